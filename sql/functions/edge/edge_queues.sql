-- What waits in each queue and what has happened in it: of the p_most queues that configurations name or that have done most, and in
-- the last row, whose queue is NULL, of all others together, without counts, which would not only grow. Reads at most 100,000 jobs of
-- a queue; "ready" is that number where there are more. `oldest`: seconds for which the first of its jobs could have been claimed.
CREATE OR REPLACE FUNCTION await.queue_stats(p_most int DEFAULT 100)
RETURNS TABLE (queue text, ready bigint, delayed bigint, leased bigint, oldest float8,
               completed bigint, failed bigint, cancelled bigint, expired bigint, retries bigint,
               waits bigint[], wait_sum float8, runs bigint[], run_sum float8, totals bigint[], total_sum float8)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off
AS $$
    WITH lanes AS (
        SELECT (m.lane >> 8)::int4 AS queue, m.lane, coalesce((SELECT max(w.pos) FROM await.low_water w WHERE w.lane = m.lane), 0) AS mark
        FROM await.lane_in_use m
    ), waiting AS (
        SELECT l.queue, sum(c.n)::bigint AS ready, min(f.since) AS since FROM lanes l
        CROSS JOIN LATERAL (SELECT count(*) AS n FROM (SELECT FROM await.ready r WHERE r.lane = l.lane AND r.pos >= l.mark LIMIT 100000) x) c
        LEFT JOIN LATERAL (SELECT r.job FROM await.ready r WHERE r.lane = l.lane AND r.pos >= l.mark ORDER BY r.pos LIMIT 1) o ON true
        LEFT JOIN LATERAL (
            SELECT coalesce((SELECT (e.data ->> 'retry_at')::timestamptz FROM await.event e
                             WHERE e.class = j.class AND e.job = j.id AND e.type = 'pending' ORDER BY e.seq DESC LIMIT 1),
                            greatest(j.created_at, j.due)) AS since
            FROM await.job j WHERE j.class = await.class(o.job) AND j.id = o.job) f ON true
        WHERE c.n > 0 GROUP BY l.queue
    ), aside AS (                            -- behind others of their owner
        SELECT (h.lane >> 8)::int4 AS queue, count(*) AS held FROM (SELECT y.lane FROM await.held y ORDER BY y.lane LIMIT 200000) h GROUP BY 1
    ), later AS (
        SELECT (d.lane >> 8)::int4 AS queue, count(*) AS delayed FROM (SELECT y.lane FROM await.delayed y ORDER BY y.due LIMIT 200000) d GROUP BY 1
    ), held AS (
        SELECT j.queue, count(*) AS leased FROM (SELECT y.job FROM await.lease y LIMIT 100000) l
        JOIN await.job j ON j.class = await.class(l.job) AND j.id = l.job GROUP BY 1
    ), everything AS (
        SELECT q.name, coalesce(w.ready, 0) + coalesce(a.held, 0) AS ready, coalesce(l.delayed, 0) AS delayed, coalesce(h.leased, 0) AS leased,
            coalesce(greatest(extract(epoch FROM clock_timestamp() - w.since), 0), 0)::float8 AS oldest, c AS counts,
            row_number() OVER (ORDER BY q.named DESC, coalesce(c.completed + c.failed + c.cancelled + c.expired, 0) DESC, q.id) AS place
        FROM await.queue q LEFT JOIN waiting w ON w.queue = q.id LEFT JOIN aside a ON a.queue = q.id LEFT JOIN later l ON l.queue = q.id LEFT JOIN held h ON h.queue = q.id
        LEFT JOIN await.queue_count c ON c.queue = q.id
    )
    (SELECT e.name, e.ready, e.delayed, e.leased, e.oldest,
        coalesce((e.counts).completed, 0), coalesce((e.counts).failed, 0), coalesce((e.counts).cancelled, 0), coalesce((e.counts).expired, 0),
        coalesce((e.counts).retries, 0),
        coalesce((e.counts).waits, await.add_to_histogram(NULL, NULL)), coalesce((e.counts).wait_sum, 0),
        coalesce((e.counts).runs, await.add_to_histogram(NULL, NULL)), coalesce((e.counts).run_sum, 0),
        coalesce((e.counts).totals, await.add_to_histogram(NULL, NULL)), coalesce((e.counts).total_sum, 0)
     FROM everything e WHERE e.place <= p_most ORDER BY e.name)
    UNION ALL
    SELECT NULL, coalesce(sum(e.ready), 0)::bigint, coalesce(sum(e.delayed), 0)::bigint, coalesce(sum(e.leased), 0)::bigint,
        coalesce(max(e.oldest), 0), 0, 0, 0, 0, 0, '{}', 0, '{}', 0, '{}', 0
    FROM everything e WHERE e.place > p_most
$$;

-- For how many seconds what is due has been waiting for await.run_maintenance(): delayed jobs, leases that ran out, deadlines.
CREATE OR REPLACE FUNCTION await.reap_lag() RETURNS float8
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off
AS $$
    SELECT greatest(extract(epoch FROM clock_timestamp() - least((SELECT min(d.due) FROM await.delayed d),
        (SELECT min(l.until) FROM await.lease l), (SELECT min(d.at) FROM await.deadline d))), 0)::float8
$$;

-- For the metrics of an edge: counts what is new, and returns await.queue_stats() with times in milliseconds. `lag_ms`: await.reap_lag().
CREATE OR REPLACE FUNCTION await.edge_queues(p_most int)
RETURNS TABLE (queue text, ready bigint, delayed bigint, leased bigint, oldest_ms bigint,
               completed bigint, failed bigint, cancelled bigint, expired bigint, retries bigint,
               waits bigint[], wait_ms bigint, runs bigint[], run_ms bigint, totals bigint[], total_ms bigint, lag_ms bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM await.count_events();
    RETURN QUERY SELECT s.queue, s.ready, s.delayed, s.leased, (s.oldest * 1000)::bigint, s.completed, s.failed, s.cancelled, s.expired,
        s.retries, s.waits, (s.wait_sum * 1000)::bigint, s.runs, (s.run_sum * 1000)::bigint, s.totals, (s.total_sum * 1000)::bigint,
        (await.reap_lag() * 1000)::bigint
        FROM await.queue_stats(p_most) s;
END $$;
