-- The events of each job after its `after`, in order: at most p_limit for each job, and about 4 MB of all together; the caller
-- asks again for the rest. Each known job has at least one row with its newest seq and state (item: its place in p_ids, from 1);
-- where there is no new event, or it does not fit, the event's columns are NULL. `base`: of a topic, the seq that its first event
-- follows.
CREATE OR REPLACE FUNCTION await.edge_events(p_ids uuid[], p_after int4[], p_limit int, p_value_max int)
RETURNS TABLE (item int8, id uuid, owner text, correlation_id text, created_at timestamptz, last_seq int4, state text,
    seq int4, type text, at timestamptz, data text, status int2, content_type text, file_name text, size bigint, body bytea, base int4)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT w.ord, w.id, w.owner, w.correlation_id, w.created_at, w.last_seq, w.state,
           CASE WHEN w.before < 4194304 THEN w.seq END, w.type, w.at, CASE WHEN w.before < 4194304 THEN nullif(w.text, '') END,
           w.status, w.content_type, w.file_name, w.size, CASE WHEN w.before < 4194304 THEN w.value END, w.base
    FROM (
        SELECT k.ord, j.id, j.owner, j.correlation_id, j.created_at, coalesce(h.seq, 1) AS last_seq, coalesce(h.state, 'pending') AS state,
               e.seq, e.type, e.at, e.text, e.status, e.content_type, e.file_name, e.size, e.value,
               CASE WHEN j.extra IS NULL THEN 1 ELSE coalesce((j.extra ->> 'base')::int4, 1) END AS base,
               coalesce(sum(octet_length(e.text) + coalesce(length(e.value), 0)) OVER
                   (ORDER BY k.ord, e.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
        FROM unnest(p_ids, p_after) WITH ORDINALITY k (id, after, ord)
        JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
        LEFT JOIN LATERAL (SELECT * FROM await.event h WHERE h.class = await.class(k.id) AND h.job = k.id ORDER BY h.seq DESC LIMIT 1) h ON true
        LEFT JOIN LATERAL (SELECT e.*, coalesce(e.data::text, '') AS text,
                                  CASE WHEN e.size <= p_value_max AND await.is_json(e.content_type) THEN e.body END AS value
                           FROM await.event e WHERE e.class = await.class(k.id) AND e.job = k.id AND e.seq > k.after
                           ORDER BY e.seq LIMIT p_limit) e ON true
    ) w ORDER BY w.ord, w.seq;
END $$;
