-- The smallest id of a moment. Partitions begin and end at such ids.
CREATE OR REPLACE FUNCTION await.floor_id(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT rpad(lpad(to_hex((floor(extract(epoch FROM at) * 1000))::bigint), 12, '0'), 32, '0')::uuid $$;
