-- The id of a topic. It is derived from the name, so that nobody has to look it up. It is above all ids of jobs: topics have
-- partitions of their own.
CREATE OR REPLACE FUNCTION await.topic_id(name text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT encode(set_byte(set_byte(b, 6, (get_byte(b, 6) & 15) | 128), 8, (get_byte(b, 8) & 63) | 128), 'hex')::uuid
    FROM (SELECT E'\\xffffffffffff'::bytea || substring(sha256(convert_to('topic:' || name, 'UTF8')) FROM 1 FOR 10)) s (b)
$$;
