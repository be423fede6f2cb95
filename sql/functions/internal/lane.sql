-- The number of a lane: a queue and a priority. The lowest number of a queue has the highest priority.
CREATE OR REPLACE FUNCTION await.lane(queue int4, priority int2) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT queue::bigint << 8 | (100 - priority) $$;
