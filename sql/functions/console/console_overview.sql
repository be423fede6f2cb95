-- What the first page of the console shows, as JSON: totals of all queues, the queues that matter most, workers, nodes,
-- latencies, relays, webhooks and PostgreSQL. Its cost does not depend on how many jobs there are: it looks at up to 100
-- of each of up to 20,000 lanes, and counts the others that have not ended up to 100,000 of a kind. Counts what has happened, as the metrics do. Like all reads of the console it waits for no lock
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
    v_ids     int4[];
    v_busy    int4[];                        -- all queues where jobs wait, those first that wait longest
    v_ready   bigint[];                      -- how many, and whether that is an estimate
    v_about   boolean[];
    v_inside  CONSTANT int4[] := ARRAY(SELECT q.id FROM await.queue q WHERE left(q.name, 1) = '.' LIMIT 1000);
    v_queues  json;
    v_totals  json;
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
           (SELECT coalesce(json_agg(json_build_object('worker', left(w.worker, 200), 'jobs', w.jobs, 'running',
                (SELECT json_agg(json_build_object('id', l.job, 'queue', q.name, 'attempt', l.attempt,
                     'since', await.utc(s.at), 'until', await.utc(l.until)) ORDER BY l.job)
                 FROM leases l JOIN await.queue q ON q.id = l.queue
                 LEFT JOIN LATERAL (SELECT e.at FROM (SELECT v.at, v.type FROM await.event v
                                                      WHERE v.class = await.class(l.job) AND v.job = l.job
                                                      ORDER BY v.seq DESC LIMIT 50) e
                                    WHERE e.type = 'processing' LIMIT 1) s ON true
                 WHERE l.job = ANY (w.ids)))), '[]') FROM workers w)
        INTO v_running, v_leased;

    SELECT coalesce(array_agg(l.queue ORDER BY l.first), '{}'), array_agg(l.ready ORDER BY l.first),
        array_agg(l.about ORDER BY l.first) INTO v_busy, v_ready, v_about
        FROM await.console_lanes() l WHERE l.queue <> ALL (v_inside);
    -- those whose jobs wait longest, that workers are busy with, that are paused, that configurations name, the eldest
    SELECT array_agg(u.queue) INTO v_ids FROM (
        SELECT b.queue FROM unnest(v_busy[:25]) b (queue)
        UNION (SELECT k.key::int4 FROM jsonb_each_text(v_running) k ORDER BY k.value::bigint DESC LIMIT 15)
        UNION (SELECT q.id FROM await.queue q WHERE q.paused ORDER BY q.id LIMIT 10)
        UNION (SELECT q.id FROM await.queue q WHERE q.named AND q.name NOT LIKE '.%' ORDER BY q.id LIMIT 15)
        UNION (SELECT q.id FROM await.queue q WHERE q.name NOT LIKE '.%' ORDER BY q.id LIMIT 15)
    ) u;
    SELECT coalesce(json_agg(d.doc ORDER BY d.doc ->> 'queue'), '[]') INTO v_queues
        FROM (SELECT await.console_queue(k, coalesce((v_running ->> k::text)::bigint, 0)) AS doc
              FROM unnest(v_ids) k) d WHERE d.doc IS NOT NULL AND left(d.doc ->> 'queue', 1) <> '.';
    -- what is shown of a queue is counted better than what is said of all
    SELECT json_build_object('ready', coalesce(sum(u.ready) FILTER (WHERE NOT u.shown), 0) + (
                SELECT coalesce(sum((d ->> 'ready')::bigint), 0) FROM json_array_elements(v_queues) d),
            'about', coalesce(bool_or(u.about) FILTER (WHERE NOT u.shown), false) OR EXISTS (
                SELECT FROM json_array_elements(v_queues) d WHERE (d ->> 'about')::boolean),
            'delayed', (SELECT count(*) FROM (SELECT FROM await.delayed LIMIT 100000) x),
            'held', (SELECT count(*) FROM (SELECT FROM await.held LIMIT 100000) x),
            'running', (SELECT count(*) FROM (SELECT FROM await.lease LIMIT 100000) x),
            'queues', (SELECT count(*) FROM (SELECT FROM await.queue q WHERE q.name NOT LIKE '.%' LIMIT 20000) x))
        INTO v_totals
        FROM (SELECT b.ready, b.about, b.queue = ANY (v_ids) AS shown
              FROM unnest(v_busy, v_ready, v_about) b (queue, ready, about)) u;
    SELECT json_object_agg(s.what, s.counts) INTO v_spans FROM (
        SELECT n.what, json_agg(n.sum ORDER BY n.i) AS counts FROM (
            SELECT h.what, u.i, sum(u.x) AS sum FROM await.queue_count c
            CROSS JOIN LATERAL (VALUES ('wait', c.waits), ('work', c.runs), ('total', c.totals)) h (what, counts)
            CROSS JOIN LATERAL unnest(h.counts) WITH ORDINALITY u (x, i)
            WHERE c.queue = ANY (v_ids) GROUP BY 1, 2) n GROUP BY 1) s;
    RETURN json_build_object('at', await.utc(clock_timestamp()), 'queues', v_queues,
        'totals', v_totals, 'ended', (SELECT json_build_object('completed', coalesce(sum(c.completed), 0),
                'failed', coalesce(sum(c.failed), 0), 'cancelled', coalesce(sum(c.cancelled), 0),
                'expired', coalesce(sum(c.expired), 0))
            FROM (SELECT k.* FROM await.queue_count k WHERE k.queue <> ALL (v_inside) LIMIT 20000) c),
        'nodes', await.console_nodes(), 'workers', v_leased, 'bounds', await.buckets(), 'latency', coalesce(v_spans, '{}'),
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
