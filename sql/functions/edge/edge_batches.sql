-- Batches as documents; unknown ids are left out. `totals`: as of now while the batch is not ready
-- (await.batch_totals), with "processing", the jobs that a worker has, and "failures" (await.batch_failures); of a
-- batch that is ready, the data of "batch.ready".
CREATE OR REPLACE FUNCTION await.edge_batches(p_ids uuid[])
RETURNS TABLE (id uuid, owner text, state text, seq int4, correlation_id text, phases text, totals text,
    created_at timestamptz, updated_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT j.id, j.owner, coalesce(e.state, 'pending'), coalesce(e.seq, 1), j.correlation_id,
           (j.extra -> 'phases')::text,
           CASE WHEN e.type = 'batch.ready' THEN e.data::text
                WHEN j.extra ? 'totals' THEN (j.extra -> 'totals')::text
                ELSE (await.batch_totals(j.id) || jsonb_build_object('processing', (
                          SELECT count(*) FROM await.batch_open o
                          CROSS JOIN LATERAL (SELECT FROM await.lease l WHERE l.job = o.job OFFSET 0) l
                          WHERE o.batch = j.id), 'failures', await.batch_failures(j.id)))::text END,
           j.created_at, coalesce(e.at, j.created_at)
    FROM unnest(p_ids) k (id)
    JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id AND await.is_batch(k.id)
    LEFT JOIN LATERAL (SELECT * FROM await.event e WHERE e.class = await.class(k.id) AND e.job = k.id
                       ORDER BY e.seq DESC LIMIT 1) e ON true;
END $$;
