-- The ids of the jobs of a batch, in the order in which they were submitted, after `p_after`.
CREATE OR REPLACE FUNCTION await.edge_batch_jobs(p_batch uuid, p_after uuid, p_limit int) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
    SELECT j.id FROM await.job j WHERE j.class = await.class(p_batch) AND j.batch = p_batch AND j.id > p_after
    ORDER BY j.batch, j.id LIMIT p_limit
$$;
