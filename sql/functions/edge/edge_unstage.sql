-- Forgets what was stored of a batch that is not submitted.
CREATE OR REPLACE FUNCTION await.edge_unstage(p_batch uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$ DELETE FROM await.batch_stage s WHERE s.batch = p_batch $$;
