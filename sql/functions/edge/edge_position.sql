-- await.position() of some jobs, in milliseconds.
CREATE OR REPLACE FUNCTION await.edge_position(p_ids uuid[]) RETURNS TABLE (id uuid, place bigint, eta_ms bigint)
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$ SELECT k, p.place, (p.seconds * 1000)::bigint FROM unnest(p_ids) k, LATERAL await.position(k) p $$;
