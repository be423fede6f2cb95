-- Whether an id is that of a batch: a UUIDv8 that is not above all times, as the ids of topics and users are. Not
-- STRICT, so that PostgreSQL inlines it.
CREATE OR REPLACE FUNCTION await.is_batch(id uuid) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT get_byte(uuid_send(id), 6) >> 4 = 8 AND get_byte(uuid_send(id), 0) < 255 $$;
