-- Kept for edges of the release before, which call it by this name.
CREATE OR REPLACE FUNCTION await.tick(p_limit int DEFAULT 100) RETURNS int
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$ SELECT await.run_maintenance(p_limit) $$;
