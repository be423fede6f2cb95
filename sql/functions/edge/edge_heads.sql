-- The newest seq of the given jobs, in the form of await.edge_tail(): for an edge that watches few jobs, or after a reconnect.
CREATE OR REPLACE FUNCTION await.edge_heads(p_ids uuid[]) RETURNS TABLE (snapshot text, complete boolean, jobs uuid[], seqs int4[])
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    RETURN QUERY
    SELECT pg_current_snapshot()::text, true, coalesce(array_agg(k.id), '{}'), coalesce(array_agg(h.seq), '{}')
    FROM unnest(p_ids) k (id)
    CROSS JOIN LATERAL (SELECT e.seq FROM await.event e WHERE e.class = await.class(k.id) AND e.job = k.id
                        ORDER BY e.seq DESC LIMIT 1) h;
END $$;
