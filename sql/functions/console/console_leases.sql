-- The jobs that workers have, the newest 2,000 of them.
CREATE OR REPLACE FUNCTION await.console_leases()
RETURNS TABLE (job uuid, attempt int2, worker text, until timestamptz, queue int4)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
    SELECT l.job, l.attempt, l.worker, l.until, j.queue
    FROM (SELECT y.job, y.attempt, y.worker, y.until FROM await.lease y ORDER BY y.job DESC LIMIT 2000) l
    JOIN await.job j ON j.class = await.class(l.job) AND j.id = l.job
$$;
