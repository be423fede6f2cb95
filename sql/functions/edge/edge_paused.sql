-- Whether a queue is paused, for the metrics of an edge: 1 or 0.
CREATE OR REPLACE FUNCTION await.edge_paused(p_queue text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$ SELECT count(*) FROM await.queue q WHERE q.name = p_queue AND q.paused $$;
