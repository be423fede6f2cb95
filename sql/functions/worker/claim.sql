-- Fails an attempt whose payload is larger than its worker takes. The caller has locked the job and deleted its ready row.
CREATE OR REPLACE FUNCTION await.refuse_payload(p_job uuid, p_attempt int2, p_inline int) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    h    await.job_head := await.lock_job(p_job);
    size bigint := (SELECT j.payload_size FROM await.job j WHERE j.class = await.class(p_job) AND j.id = p_job);
    why  text;
BEGIN
    IF h.state IS DISTINCT FROM 'pending' THEN
        RETURN;                              -- it ended (was cancelled) while it waited
    END IF;
    why := format('The payload has %s bytes, and the worker took at most %s: it has to call await.claim with a larger "inline", '
        'or with pieces => true and read the payload by await.payload.', size, p_inline);
    h.seq := await.append_event(h, 'processing', 'processing', p_attempt => p_attempt);
    PERFORM await.retry_or_fail(h, p_attempt, jsonb_build_object('title', 'Payload too large for this worker', 'detail', why), NULL);
    RAISE WARNING 'job %, attempt % failed: %', p_job, p_attempt, why;
END $$;

-- Takes up to n jobs: highest priority first, then oldest. Each comes with a lease (default: the job's, else the queue's; from a
-- second to a day) and a receipt "<attempt>.<secret>", which all later calls ask for.
--
-- Payloads come whole, up to `inline` bytes. A job with a larger one fails its attempt, unless the caller asks for pieces: then
-- its payload is NULL, and await.payload() reads it. All payloads of one call have at most 16 MB, or one alone has `inline`:
-- jobs that would exceed this are left where they are.
--
-- replaces: await.claim(text[], text, int, interval)
CREATE OR REPLACE FUNCTION await.claim(queues text[], worker text, n int DEFAULT 1, lease interval DEFAULT NULL,
    inline int DEFAULT 1048576, pieces boolean DEFAULT false)
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
    p_lease  interval := make_interval(secs => extract(epoch FROM claim.lease)); -- see await.option_span()
    p_worker text := claim.worker;
    wanted   int := coalesce(claim.n, 1);
    p_inline int := coalesce(claim.inline, 1048576);
    p_pieces boolean := coalesce(claim.pieces, false);
    foreign_queue text;
    lanes    record;
    jobs     uuid[];
    attempts int2[];
    in_lanes bigint[];
    in_pos   bigint[];
    owners   text[];                         -- of special queues
    managed  int4;                           -- the queue whose lane it is, if it is managed
    salt     CONSTANT int4 := (random() * 2147483647)::int4;
    origins  bigint[];
    sizes    bigint;                         -- of the payloads of these jobs that come inline
    largest  bigint;
    room     bigint := 16777216;             -- for payloads, in this call
    refused  int := 0;
    given    int;
    fit      int;
BEGIN
    IF wanted NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'await.claim takes 1 to 1000 jobs, not %', wanted USING ERRCODE = '22023';
    ELSIF p_lease NOT BETWEEN interval '1 second' AND interval '1 day' THEN
        RAISE EXCEPTION 'a lease lasts a second to a day, not %; heartbeats renew it', p_lease USING ERRCODE = '22023';
    ELSIF claim.queues IS NULL OR array_ndims(claim.queues) > 1 OR cardinality(claim.queues) > 1000 OR array_position(claim.queues, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'await.claim needs a list of at most 1000 queues' USING ERRCODE = '22023';
    ELSIF length(p_worker) > 255 THEN
        RAISE EXCEPTION 'a worker''s name has at most 255 characters' USING ERRCODE = '22023';
    ELSIF p_inline NOT BETWEEN 0 AND 268435456 THEN
        RAISE EXCEPTION 'inline is a number of bytes from 0 to 268435456, not %', p_inline USING ERRCODE = '22023',
            HINT = 'larger ones are read in pieces: pieces => true, and await.payload()';
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
        -- by priority, and within it managed queues one by one, in any order
        SELECT (m.lane & 255) << 32 | q.turn AS turn, array_agg(m.lane) AS lane,
               array_agg(await.advance_low_water(m.lane)) AS mark
        FROM (SELECT k.id, (CASE WHEN k.managed THEN k.id ELSE 0 END) # salt AS turn FROM await.queue k
              WHERE k.name = ANY (claim.queues) AND NOT k.paused) q
        JOIN await.lane_in_use m ON m.lane >> 8 = q.id
        GROUP BY 1 ORDER BY 1
    LOOP
        managed := nullif((lanes.turn & 2147483647)::int4 # salt, 0);
        LOOP
            EXIT WHEN wanted = 0 OR refused >= 100;
            IF managed IS NOT NULL THEN
                SELECT p.jobs, p.attempts, p.in_lanes, p.in_pos, p.owners, p.origins
                    INTO jobs, attempts, in_lanes, in_pos, owners, origins
                    FROM await.pick_managed(managed, lanes.lane[1], lanes.mark[1], wanted) p;
            ELSE
                WITH picked AS MATERIALIZED (
                    SELECT r.lane, r.pos FROM unnest(lanes.lane, lanes.mark) l (lane, mark)
                    CROSS JOIN LATERAL (SELECT y.lane, y.pos FROM await.ready y WHERE y.lane = l.lane AND y.pos >= l.mark
                                        ORDER BY y.pos LIMIT wanted FOR UPDATE SKIP LOCKED) r
                    ORDER BY r.pos LIMIT wanted
                ), taken AS (
                    DELETE FROM await.ready y USING picked p WHERE y.lane = p.lane AND y.pos = p.pos RETURNING y.*
                )
                SELECT array_agg(t.job), array_agg(t.attempt), array_agg(t.lane), array_agg(t.pos), array_agg(t.owner),
                       array_agg(t.origin)
                    INTO jobs, attempts, in_lanes, in_pos, owners, origins
                    FROM (SELECT * FROM taken ORDER BY pos) t;
            END IF;
            EXIT WHEN jobs IS NULL;

            SELECT sum(l.payload_size) FILTER (WHERE l.payload_size <= p_inline), max(l.payload_size) INTO sizes, largest
            FROM (SELECT j.payload_size FROM unnest(jobs) k (job) JOIN await.job j ON j.class = await.class(k.job) AND j.id = k.job
                  ORDER BY j.id FOR NO KEY UPDATE OF j) l;
            IF sizes > room THEN             -- the first that fit, or one alone; the others go back to their places
                SELECT greatest(count(*) FILTER (WHERE u.upto <= room), CASE WHEN room = 16777216 THEN 1 ELSE 0 END) INTO fit
                FROM (SELECT sum(CASE WHEN j.payload_size <= p_inline THEN j.payload_size ELSE 0 END) OVER (ORDER BY t.ord) AS upto
                      FROM unnest(jobs) WITH ORDINALITY t (job, ord)
                      JOIN await.job j ON j.class = await.class(t.job) AND j.id = t.job) u;
                INSERT INTO await.ready (lane, pos, job, attempt, owner, origin)
                    SELECT * FROM unnest(in_lanes[fit + 1:], in_pos[fit + 1:], jobs[fit + 1:], attempts[fit + 1:], owners[fit + 1:],
                                         origins[fit + 1:]);
                IF await.notifies() THEN     -- for other workers
                    PERFORM await.notify_lanes(in_lanes[fit + 1:]);
                END IF;
                jobs := jobs[:fit];
                attempts := attempts[:fit];
                origins := origins[:fit];
                wanted := 0;                 -- and nothing of lower priority passes them
            END IF;
            room := room - coalesce(sizes, 0);
            IF largest > p_inline AND NOT p_pieces THEN
                PERFORM await.refuse_payload(j.id, t.attempt, p_inline) FROM unnest(jobs, attempts) t (job, attempt)
                    JOIN await.job j ON j.class = await.class(t.job) AND j.id = t.job WHERE j.payload_size > p_inline;
                GET DIAGNOSTICS fit = ROW_COUNT;
                refused := refused + fit;
            END IF;

            RETURN QUERY
            WITH live AS MATERIALIZED (       -- without jobs that ended (were cancelled) while they waited
                SELECT t.ord, t.attempt, t.origin, j AS job, q.name, coalesce(e.seq, 1) AS seq, e.progress,
                       least(greatest(coalesce(p_lease, j.lease, q.lease), interval '1 second'), interval '1 day') AS span,
                       t.attempt || '.' || await.base64url(uuid_send(gen_random_uuid())) AS receipt
                FROM unnest(jobs, attempts, origins) WITH ORDINALITY t (job, attempt, origin, ord)
                JOIN await.job j ON j.class = await.class(t.job) AND j.id = t.job
                JOIN await.queue q ON q.id = j.queue
                LEFT JOIN LATERAL (SELECT e.seq, e.state, e.progress FROM await.event e
                                   WHERE e.class = await.class(t.job) AND e.job = t.job ORDER BY e.seq DESC LIMIT 1) e ON true
                WHERE coalesce(e.state, 'pending') = 'pending' AND (p_pieces OR j.payload_size <= p_inline)
            ), said AS (
                INSERT INTO await.event (class, job, seq, owner, type, state, attempt, progress)
                SELECT (l.job).class, (l.job).id, l.seq + 1, (l.job).owner, 'processing', 'processing', l.attempt, l.progress FROM live l
            ), leased AS (
                INSERT INTO await.lease (job, attempt, worker, span, until, receipt, queue, lane, owner, no, origin)
                SELECT (l.job).id, l.attempt, p_worker, l.span, clock_timestamp() + l.span, l.receipt, managed,
                       CASE WHEN managed IS NOT NULL THEN in_lanes[1] END,
                       CASE WHEN managed IS NOT NULL THEN (l.job).owner END,
                       CASE WHEN managed IS NOT NULL THEN nextval('await.pos') END,
                       CASE WHEN managed IS NOT NULL THEN l.origin END
                FROM live l
            )
            SELECT (l.job).id, l.receipt, l.attempt::int, l.name,
                   CASE WHEN (l.job).payload_size > p_inline THEN NULL
                        WHEN (l.job).payload IS NOT NULL THEN (l.job).payload
                        ELSE await.stored_payload((l.job).id) END,
                   (l.job).content_type, (l.job).file_name, (l.job).params,
                   (l.job).batch, (l.job).phase, (l.job).trace, (l.job).deadline,
                   (l.job).payload_size, (l.job).correlation_id, l.span
            FROM live l ORDER BY l.ord;
            GET DIAGNOSTICS given = ROW_COUNT;
            wanted := greatest(wanted - given, 0);
            IF managed IS NOT NULL THEN
                PERFORM await.move_up(managed, in_lanes[1], owners, origins);
            END IF;
        END LOOP;
    END LOOP;
END $$;
