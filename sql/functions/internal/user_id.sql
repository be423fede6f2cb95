-- The id of the channel user:<name>. It only determines where the hints go; nothing is stored under it.
CREATE OR REPLACE FUNCTION await.user_id(name text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT encode(set_byte(set_byte(b, 6, (get_byte(b, 6) & 15) | 128), 8, (get_byte(b, 8) & 63) | 128), 'hex')::uuid
    FROM (SELECT E'\\xfffffffeffff'::bytea || substring(sha256(convert_to('user:' || name, 'UTF8')) FROM 1 FOR 10)) s (b)
$$;
