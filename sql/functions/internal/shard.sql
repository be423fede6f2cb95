-- The Redis channel on which the hints of a job, a topic or a user are published: one of 4096, chosen by the id's last bits.
CREATE OR REPLACE FUNCTION await.shard(id uuid) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT 'await:' || ((get_byte(uuid_send(id), 14) & 15) << 8 | get_byte(uuid_send(id), 15)) $$;
