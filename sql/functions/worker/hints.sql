-- await.hint() of many jobs. Each message comes once, also where a user owns several of the jobs.
CREATE OR REPLACE FUNCTION await.hints(ids uuid[]) RETURNS TABLE (channel text, message text)
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT DISTINCT h.channel, h.message FROM unnest(ids) k, LATERAL await.hint(k) h
$$;
