-- What the first page of the console shows, as JSON: the queues that matter most, workers, latencies, relays, webhooks
-- and PostgreSQL. Its cost depends neither on how many jobs there are nor on how many queues, but for one look at each
-- of up to 20,000 lanes. Counts what has happened, as the metrics do. Like all reads of the console it waits for no lock
-- longer than a second: the statements of clients wait behind it.
CREATE OR REPLACE FUNCTION await.console_overview() RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_leased  json;
    v_running jsonb;
    v_total   bigint;
    v_ids     int4[];
    v_queues  json;
    v_spans   json;
BEGIN
    PERFORM await.count_events();
    WITH leases AS MATERIALIZED (
        SELECT * FROM await.console_leases()
    ), workers AS (
        SELECT l.worker, count(*) AS jobs, (array_agg(l.job ORDER BY l.job))[:5] AS ids FROM leases l
        GROUP BY l.worker ORDER BY count(*) DESC, l.worker LIMIT 50
    )
    SELECT (SELECT coalesce(jsonb_object_agg(b.queue, b.n), '{}') FROM (SELECT l.queue, count(*) AS n FROM leases l
                                                                         GROUP BY 1) b),
           (SELECT count(*) FROM leases),
           (SELECT coalesce(json_agg(json_build_object('worker', left(w.worker, 200), 'jobs', w.jobs, 'running',
                (SELECT json_agg(json_build_object('id', l.job, 'queue', q.name, 'attempt', l.attempt,
                     'since', await.utc(s.at), 'until', await.utc(l.until)) ORDER BY l.job)
                 FROM leases l JOIN await.queue q ON q.id = l.queue
                 LEFT JOIN LATERAL (SELECT e.at FROM (SELECT v.at, v.type FROM await.event v
                                                      WHERE v.class = await.class(l.job) AND v.job = l.job
                                                      ORDER BY v.seq DESC LIMIT 50) e
                                    WHERE e.type = 'processing' LIMIT 1) s ON true
                 WHERE l.job = ANY (w.ids)))), '[]') FROM workers w)
        INTO v_running, v_total, v_leased;

    -- those whose jobs wait longest, that workers are busy with, that are paused, that configurations name, the eldest
    SELECT array_agg(u.queue) INTO v_ids FROM (
        (SELECT (m.lane >> 8)::int4 AS queue FROM (SELECT y.lane FROM await.lane_in_use y ORDER BY y.lane LIMIT 20000) m
         CROSS JOIN LATERAL (SELECT r.pos FROM await.ready r
                             WHERE r.lane = m.lane AND r.pos >= coalesce((
                                 SELECT w.pos FROM await.low_water w WHERE w.lane = m.lane
                                 ORDER BY w.lane DESC, w.pos DESC LIMIT 1), 0)
                             ORDER BY r.lane, r.pos LIMIT 1) f
         GROUP BY 1 ORDER BY min(f.pos) LIMIT 25)
        UNION (SELECT k.key::int4 FROM jsonb_each_text(v_running) k ORDER BY k.value::bigint DESC LIMIT 15)
        UNION (SELECT q.id FROM await.queue q WHERE q.paused ORDER BY q.id LIMIT 10)
        UNION (SELECT q.id FROM await.queue q WHERE q.named AND q.name NOT LIKE '.%' ORDER BY q.id LIMIT 15)
        UNION (SELECT q.id FROM await.queue q WHERE q.name NOT LIKE '.%' ORDER BY q.id LIMIT 15)
    ) u;
    SELECT coalesce(json_agg(d.doc ORDER BY d.doc ->> 'queue'), '[]') INTO v_queues
        FROM (SELECT await.console_queue(k, coalesce((v_running ->> k::text)::bigint, 0)) AS doc
              FROM unnest(v_ids) k) d WHERE d.doc IS NOT NULL AND left(d.doc ->> 'queue', 1) <> '.';
    SELECT json_object_agg(s.what, s.counts) INTO v_spans FROM (
        SELECT n.what, json_agg(n.sum ORDER BY n.i) AS counts FROM (
            SELECT h.what, u.i, sum(u.x) AS sum FROM await.queue_count c
            CROSS JOIN LATERAL (VALUES ('wait', c.waits), ('work', c.runs), ('total', c.totals)) h (what, counts)
            CROSS JOIN LATERAL unnest(h.counts) WITH ORDINALITY u (x, i)
            WHERE c.queue = ANY (v_ids) GROUP BY 1, 2) n GROUP BY 1) s;
    RETURN json_build_object('at', await.utc(clock_timestamp()), 'queues', v_queues,
        'queues_total', (SELECT count(*) FROM (SELECT FROM await.queue q WHERE q.name NOT LIKE '.%' LIMIT 20000) x),
        'running', v_total, 'workers', v_leased, 'bounds', await.buckets(), 'latency', coalesce(v_spans, '{}'),
        'relays', await.console_relays(), 'webhooks', (SELECT row_to_json(w) FROM await.delivery_stats() w),
        'postgres', (SELECT json_build_object('version', current_setting('server_version'),
                'database', current_database(), 'connections', s.numbackends,
                'max_connections', current_setting('max_connections')::int, 'commits', s.xact_commit,
                'rollbacks', s.xact_rollback, 'hit', round((s.blks_hit::float8 / nullif(s.blks_hit + s.blks_read, 0))::numeric,
                4), 'deadlocks', s.deadlocks, 'started', await.utc(pg_postmaster_start_time()),
                'overdue', round(await.reap_lag()::numeric, 3),
                'oldest_transaction', (SELECT round(extract(epoch FROM clock_timestamp() - min(a.xact_start)), 3)
                                       FROM pg_stat_activity a WHERE a.datname = s.datname AND a.pid <> pg_backend_pid()
                                           AND a.backend_type = 'client backend'))
            FROM pg_stat_database s WHERE s.datname = current_database()))::text;
END $$;
