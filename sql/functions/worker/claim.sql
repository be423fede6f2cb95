-- Takes up to n jobs: highest priority first, then oldest. Each comes with a lease (default: the job's, else the queue's; from a
-- second to a day) and a receipt "<attempt>.<secret>", which all later calls ask for. payload is NULL where payload_size > 64 KB:
-- read it by await.payload().
CREATE OR REPLACE FUNCTION await.claim(queues text[], worker text, n int DEFAULT 1, lease interval DEFAULT NULL)
RETURNS TABLE (id uuid, receipt text, attempt int, queue text, payload bytea, content_type text, file_name text, params jsonb,
               batch uuid, phase text, trace text, deadline timestamptz,
               payload_size bigint, correlation_id text, lease_for interval)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    p_lease  interval := claim.lease;
    p_worker text := claim.worker;
    wanted   int := coalesce(claim.n, 1);
    foreign_queue text;
    lanes    record;
    jobs     uuid[];
    attempts int2[];
    given    int;
BEGIN
    IF wanted NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'await.claim takes 1 to 1000 jobs, not %', wanted USING ERRCODE = '22023';
    ELSIF p_lease NOT BETWEEN interval '1 second' AND interval '1 day' THEN
        RAISE EXCEPTION 'a lease lasts a second to a day, not %; heartbeats renew it', p_lease USING ERRCODE = '22023';
    ELSIF claim.queues IS NULL OR array_ndims(claim.queues) > 1 OR cardinality(claim.queues) > 1000 OR array_position(claim.queues, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'await.claim needs a list of at most 1000 queues' USING ERRCODE = '22023';
    ELSIF length(p_worker) > 255 THEN
        RAISE EXCEPTION 'a worker''s name has at most 255 characters' USING ERRCODE = '22023';
    END IF;
    IF EXISTS (SELECT FROM await.queue_grant) THEN
        SELECT k INTO foreign_queue FROM unnest(claim.queues) k WHERE NOT await.may_queue(k) LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'role % may not claim from queue %', quote_ident(session_user), quote_literal(left(foreign_queue, 80))
                USING ERRCODE = '42501', HINT = 'await-ctl grant gives a role queues.';
        END IF;
    END IF;
    PERFORM await.run_maintenance(), await.advance_horizon_soon();
    FOR lanes IN
        SELECT m.lane & 255 AS rank, array_agg(m.lane) AS lane, array_agg(await.advance_low_water(m.lane)) AS mark
        FROM await.lane_in_use m WHERE m.lane >> 8 IN (SELECT q.id FROM await.queue q WHERE q.name = ANY (claim.queues))
        GROUP BY 1 ORDER BY 1
    LOOP
        LOOP
            EXIT WHEN wanted = 0;
            WITH picked AS MATERIALIZED (
                SELECT r.lane, r.pos FROM unnest(lanes.lane, lanes.mark) l (lane, mark)
                CROSS JOIN LATERAL (SELECT y.lane, y.pos FROM await.ready y WHERE y.lane = l.lane AND y.pos >= l.mark
                                    ORDER BY y.pos LIMIT wanted FOR UPDATE SKIP LOCKED) r
                ORDER BY r.pos LIMIT wanted
            ), taken AS (
                DELETE FROM await.ready y USING picked p WHERE y.lane = p.lane AND y.pos = p.pos RETURNING y.job, y.attempt, y.pos
            )
            SELECT array_agg(t.job ORDER BY t.pos), array_agg(t.attempt ORDER BY t.pos) INTO jobs, attempts FROM taken t;
            EXIT WHEN jobs IS NULL;

            PERFORM 1 FROM unnest(jobs) k (job) JOIN await.job j ON j.class = await.class(k.job) AND j.id = k.job
                ORDER BY j.id FOR NO KEY UPDATE OF j;

            RETURN QUERY
            WITH live AS MATERIALIZED (       -- without jobs that ended (were cancelled) while they waited
                SELECT t.ord, t.attempt, j AS job, q.name, coalesce(e.seq, 1) AS seq, e.progress,
                       least(greatest(coalesce(p_lease, j.lease, q.lease), interval '1 second'), interval '1 day') AS span,
                       t.attempt || '.' || await.base64url(uuid_send(gen_random_uuid())) AS receipt
                FROM unnest(jobs, attempts) WITH ORDINALITY t (job, attempt, ord)
                JOIN await.job j ON j.class = await.class(t.job) AND j.id = t.job
                JOIN await.queue q ON q.id = j.queue
                LEFT JOIN LATERAL (SELECT e.seq, e.state, e.progress FROM await.event e
                                   WHERE e.class = await.class(t.job) AND e.job = t.job ORDER BY e.seq DESC LIMIT 1) e ON true
                WHERE coalesce(e.state, 'pending') = 'pending'
            ), said AS (
                INSERT INTO await.event (class, job, seq, owner, type, state, attempt, progress)
                SELECT (l.job).class, (l.job).id, l.seq + 1, (l.job).owner, 'processing', 'processing', l.attempt, l.progress FROM live l
            ), leased AS (
                INSERT INTO await.lease (job, attempt, worker, span, until, receipt)
                SELECT (l.job).id, l.attempt, p_worker, l.span, clock_timestamp() + l.span, l.receipt FROM live l
            )
            SELECT (l.job).id, l.receipt, l.attempt::int, l.name, (l.job).payload, (l.job).content_type, (l.job).file_name, (l.job).params,
                   (l.job).batch, (l.job).phase, (l.job).trace, (l.job).deadline,
                   (l.job).payload_size, (l.job).correlation_id, l.span
            FROM live l ORDER BY l.ord;
            GET DIAGNOSTICS given = ROW_COUNT;
            wanted := wanted - given;
        END LOOP;
    END LOOP;
END $$;
