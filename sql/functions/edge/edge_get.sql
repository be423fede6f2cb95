-- The piece of a result that holds the byte at offset `p_at`.
CREATE OR REPLACE FUNCTION await.edge_get(p_job uuid, p_attempt int2, p_at bigint) RETURNS TABLE (pos bigint, bytes bytea)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
    SELECT c.pos, c.bytes FROM await.chunk c
    WHERE c.class = await.class(p_job) AND c.job = p_job AND c.kind = 'r' AND c.attempt = p_attempt AND c.pos <= p_at
    ORDER BY c.pos DESC LIMIT 1
$$;
