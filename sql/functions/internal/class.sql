-- The retention class of a job: the two low bits of the milliseconds in its id.
CREATE OR REPLACE FUNCTION await.class(id uuid) RETURNS int2
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT (get_byte(uuid_send(id), 5) & 3)::int2 $$;
