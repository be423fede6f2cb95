-- Jobs as documents; unknown ids are left out. p_bodies: 0 no result, 1 results that are JSON of at most p_value_max bytes, 2
-- every result that is stored inline. `error`: the data of the newest event of a job that failed, or waits for its next attempt.
CREATE OR REPLACE FUNCTION await.edge_jobs(p_ids uuid[], p_bodies int2[], p_value_max int)
RETURNS TABLE (id uuid, queue text, owner text, state text, seq int4, attempt int2, correlation_id text, batch uuid, phase text,
    retry_of uuid, params text, progress text, created_at timestamptz, updated_at timestamptz, error text,
    status int2, content_type text, file_name text, size bigint, inlined boolean, body bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT j.id, q.name, j.owner, coalesce(e.state, 'pending'), coalesce(e.seq, 1), coalesce(e.attempt, 0::int2), j.correlation_id,
           j.batch, j.phase, j.retry_of, j.params::text, p.data::text, j.created_at, coalesce(e.at, j.created_at),
           CASE WHEN e.state IN ('failed', 'pending') THEN e.data::text END,
           e.status, e.content_type, e.file_name, e.size, e.body IS NOT NULL,
           CASE WHEN k.want = 2 OR (k.want = 1 AND e.size <= p_value_max AND await.is_json(e.content_type))
                THEN e.body END
    FROM unnest(p_ids, p_bodies) k (id, want)
    JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
    JOIN await.queue q ON q.id = j.queue
    LEFT JOIN LATERAL (SELECT * FROM await.event e WHERE e.class = await.class(k.id) AND e.job = k.id ORDER BY e.seq DESC LIMIT 1) e ON true
    LEFT JOIN await.event p ON p.class = await.class(k.id) AND p.job = k.id AND p.seq = e.progress;
END $$;
