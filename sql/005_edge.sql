-- What the nginx module calls: everything in batches, everything answered by one statement.

-- What an edge has to know of its database. `timeline` names this database and this line of its
-- history: cursors of another are answered with a reset. The queues it will submit to are made here, in
-- a short transaction: where a long one made a queue by its first use, everybody would wait for it.
CREATE FUNCTION await.edge_hello(p_queues text[], p_priorities int2[]) RETURNS TABLE (now_ms bigint, timeline text, keep_ms bigint[])
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT await.open_lane(await.lane(await.queue_id(q.name), q.priority)) FROM unnest(p_queues, p_priorities) q (name, priority);
    SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
           s.system_identifier || '.' || left(pg_walfile_name(pg_current_wal_lsn()), 8) || '.'
               || (SELECT oid FROM pg_database WHERE datname = current_database()),
           (SELECT array_agg(coalesce(floor(extract(epoch FROM r.keep) * 1000)::bigint, 0) ORDER BY r.class) FROM await.retention r)
    FROM pg_control_system() s
$$;

-- Stores a batch of submissions: arrays of one length, times in milliseconds. A repeat of an id (sent
-- again after a lost connection) changes nothing. Returns each id and when it was created.
CREATE FUNCTION await.edge_submit(p_ids uuid[], p_queues text[], p_priorities int2[], p_owners text[], p_correlations text[],
    p_traces text[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes int8[],
    p_leases int8[], p_attempts int2[], p_delays int8[], p_deadlines int8[])
RETURNS TABLE (id uuid, created_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    at       timestamptz := clock_timestamp();
    r        record;
    inserted int;
BEGIN
    FOR r IN SELECT DISTINCT g.queue, g.priority FROM unnest(p_queues, p_priorities) g (queue, priority) LOOP
        PERFORM await.open_lane(await.lane(await.queue_id(r.queue), r.priority));
    END LOOP;
    PERFORM await.announce();
    WITH ins AS (
        INSERT INTO await.job (class, id, queue, priority, owner, created_at, correlation_id, trace, content_type, file_name,
                               params, payload, payload_size, lease, max_attempts, due, deadline)
        SELECT await.class(g.id), g.id, q.id, g.priority, g.owner, at, g.correlation, g.trace, g.type, g.name, g.params::jsonb,
               g.payload, g.size, g.lease * interval '1 ms', g.attempts,
               at + g.delay * interval '1 ms', at + g.deadline * interval '1 ms'
        FROM unnest(p_ids, p_queues, p_priorities, p_owners, p_correlations, p_traces, p_types, p_names, p_params,
                    p_payloads, p_sizes, p_leases, p_attempts, p_delays, p_deadlines)
             g (id, queue, priority, owner, correlation, trace, type, name, params, payload, size, lease, attempts, delay, deadline)
        JOIN await.queue q ON q.name = g.queue
        ON CONFLICT DO NOTHING
        RETURNING job.id, job.queue, job.priority, job.due, job.deadline
    ), now_ready AS (
        INSERT INTO await.ready (lane, pos, job, attempt)
        SELECT await.lane(i.queue, i.priority), nextval('await.pos'), i.id, 1 FROM ins i WHERE i.due IS NULL
    ), later AS (
        INSERT INTO await.delayed (due, lane, job, attempt)
        SELECT i.due, await.lane(i.queue, i.priority), i.id, 1 FROM ins i WHERE i.due IS NOT NULL
    ), bounded AS (
        INSERT INTO await.deadline (at, job) SELECT i.deadline, i.id FROM ins i WHERE i.deadline IS NOT NULL
    )
    SELECT count(*) INTO inserted FROM ins;
    IF inserted = cardinality(p_ids) THEN
        RETURN QUERY SELECT k, at FROM unnest(p_ids) k;
    ELSE
        RETURN QUERY SELECT k.id, j.created_at FROM unnest(p_ids) WITH ORDINALITY k (id, ord)
            JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id ORDER BY k.ord;
    END IF;
END $$;

-- Jobs as documents; unknown ids are left out. p_bodies: 0 none, 1 results that are JSON and at most
-- p_value_max long, 2 every result that is stored inline.
CREATE FUNCTION await.edge_jobs(p_ids uuid[], p_bodies int2[], p_value_max int)
RETURNS TABLE (id uuid, queue text, owner text, state text, seq int4, attempt int2, correlation_id text, batch uuid, phase text,
    retry_of uuid, params text, progress text, created_at timestamptz, updated_at timestamptz, error text,
    status int2, content_type text, file_name text, size bigint, inlined boolean, body bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT j.id, q.name, j.owner, coalesce(e.state, 'pending'), coalesce(e.seq, 1), coalesce(e.attempt, 0::int2), j.correlation_id,
           j.batch, j.phase, j.retry_of, j.params::text, p.data::text, j.created_at, coalesce(e.at, j.created_at),
           CASE WHEN e.state = 'failed' THEN e.data::text END,
           e.status, e.content_type, e.file_name, e.size, e.body IS NOT NULL,
           CASE WHEN k.want = 2 OR (k.want = 1 AND e.size <= p_value_max AND e.content_type ~* '^application/([a-z0-9.+-]+[+])?json( *;.*)?$')
                THEN e.body END
    FROM unnest(p_ids, p_bodies) k (id, want)
    JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
    JOIN await.queue q ON q.id = j.queue
    LEFT JOIN LATERAL (SELECT * FROM await.event e WHERE e.class = await.class(k.id) AND e.job = k.id ORDER BY e.seq DESC LIMIT 1) e ON true
    LEFT JOIN await.event p ON p.class = await.class(k.id) AND p.job = k.id AND p.seq = e.progress;
END $$;

-- The events of each job after its `after`, at most p_limit of them, in order, and of all together about
-- 4 MB: what does not fit is asked for again. Every known job has at least one row (item: the place in
-- p_ids, from 1), with its newest seq and state; where nothing is new or fits its event columns are null.
CREATE FUNCTION await.edge_events(p_ids uuid[], p_after int4[], p_limit int, p_value_max int)
RETURNS TABLE (item int8, id uuid, owner text, correlation_id text, created_at timestamptz, last_seq int4, state text,
    seq int4, type text, at timestamptz, data text, status int2, content_type text, file_name text, size bigint, body bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT w.ord, w.id, w.owner, w.correlation_id, w.created_at, w.last_seq, w.state,
           CASE WHEN w.before < 4194304 THEN w.seq END, w.type, w.at, CASE WHEN w.before < 4194304 THEN nullif(w.text, '') END,
           w.status, w.content_type, w.file_name, w.size, CASE WHEN w.before < 4194304 THEN w.value END
    FROM (
        SELECT k.ord, j.id, j.owner, j.correlation_id, j.created_at, coalesce(h.seq, 1) AS last_seq, coalesce(h.state, 'pending') AS state,
               e.seq, e.type, e.at, e.text, e.status, e.content_type, e.file_name, e.size, e.value,
               coalesce(sum(octet_length(e.text) + coalesce(length(e.value), 0)) OVER
                   (ORDER BY k.ord, e.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
        FROM unnest(p_ids, p_after) WITH ORDINALITY k (id, after, ord)
        JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
        LEFT JOIN LATERAL (SELECT * FROM await.event h WHERE h.class = await.class(k.id) AND h.job = k.id ORDER BY h.seq DESC LIMIT 1) h ON true
        LEFT JOIN LATERAL (SELECT e.*, coalesce(e.data::text, '') AS text,
                                  CASE WHEN e.size <= p_value_max AND e.content_type ~* '^application/([a-z0-9.+-]+[+])?json( *;.*)?$' THEN e.body END AS value
                           FROM await.event e WHERE e.class = await.class(k.id) AND e.job = k.id AND e.seq > k.after
                           ORDER BY e.seq LIMIT p_limit) e ON true
    ) w ORDER BY w.ord, w.seq;
END $$;

-- The thin tail: every job that got an event since the snapshot `p_since`, with its newest seq, and the
-- snapshot to go on from. At most p_limit rows are looked at; `complete` says whether that was all.
CREATE FUNCTION await.edge_tail(p_since pg_snapshot, p_limit int)
RETURNS TABLE (snapshot text, complete boolean, jobs uuid[], seqs int4[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    WITH tail AS MATERIALIZED (
        SELECT e.job, e.seq FROM await.event e
        WHERE e.xid >= pg_snapshot_xmax(p_since) OR e.xid = ANY (ARRAY(SELECT pg_snapshot_xip(p_since)))
        LIMIT p_limit
    ), newest AS (SELECT t.job, max(t.seq) AS seq FROM tail t GROUP BY t.job)
    SELECT pg_current_snapshot()::text, (SELECT count(*) FROM tail) < p_limit,
           coalesce(array_agg(n.job), '{}'), coalesce(array_agg(n.seq), '{}') FROM newest n;
END $$;

-- The same for the jobs one names: after a reconnect, or when one watches few.
CREATE FUNCTION await.edge_heads(p_ids uuid[]) RETURNS TABLE (snapshot text, complete boolean, jobs uuid[], seqs int4[])
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN QUERY
    SELECT pg_current_snapshot()::text, true, coalesce(array_agg(k.id), '{}'), coalesce(array_agg(h.seq), '{}')
    FROM unnest(p_ids) k (id)
    CROSS JOIN LATERAL (SELECT e.seq FROM await.event e WHERE e.class = await.class(k.id) AND e.job = k.id
                        ORDER BY e.seq DESC LIMIT 1) h;
END $$;

-- Large bodies. A piece of an upload; the piece of a result that holds offset `p_at`; an upload given up.
CREATE FUNCTION await.edge_put(p_job uuid, p_n int4, p_pos bigint, p_bytes bytea) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO await.chunk (class, job, kind, attempt, n, pos, bytes)
    VALUES (await.class(p_job), p_job, 'p', 0, p_n, p_pos, p_bytes) ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION await.edge_get(p_job uuid, p_attempt int2, p_at bigint) RETURNS TABLE (pos bigint, bytes bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
    SELECT c.pos, c.bytes FROM await.chunk c
    WHERE c.class = await.class(p_job) AND c.job = p_job AND c.kind = 'r' AND c.attempt = p_attempt AND c.pos <= p_at
    ORDER BY c.pos DESC LIMIT 1
$$;

CREATE FUNCTION await.edge_drop(p_job uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM await.chunk c WHERE c.class = await.class(p_job) AND c.job = p_job AND c.kind = 'p'
        AND NOT EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_job) AND j.id = p_job)
$$;
