-- Workers are kept apart. A claim is proved by its receipt, "<attempt>.<secret>", and no longer by the attempt's number,
-- which anybody could guess; and a role can be limited to queues.
--
-- One rule for all functions below: NULL stands for the default of an argument that has one, and is refused where there is
-- none. A receipt that is wrong, old, another job's or NULL gets what a lost lease gets, before anything is locked or read:
-- it neither learns of the job nor keeps anybody waiting.

DROP FUNCTION await.claim(text[], text, int, interval), await.heartbeat(uuid, int, jsonb), await.emit(uuid, int, text, jsonb, text),
    await.release(await.head, int), await.complete(uuid, int, bytea, text, int, text), await.fail(uuid, int, jsonb, interval),
    await.payload(uuid, bigint, int), await.append_result(uuid, int, int, bytea),
    await.complete_many(uuid[], int[], bytea[], text[], int[], text[]);

-- The value and no digest of it: only the schema's owner reads this table, who could as well change what a digest protects;
-- the row goes with the claim; and a hash would be paid by every call. Leases of before have none: they run out.
ALTER TABLE await.lease ADD COLUMN receipt text;

-- Which queues a role may use; "*" stands for anything, "topic:" in front for the topics it may publish to, '' for nothing.
-- By oid, so that a renamed role stays limited.
CREATE TABLE await.queue_grant (
    role  regrole NOT NULL,
    queue text NOT NULL CHECK (queue ~ '^([A-Za-z0-9_.*-]{1,64}|topic:[A-Za-z0-9_.:/*-]{1,128})?$'),
    PRIMARY KEY (role, queue)
);

-- Whether whoever is logged in sees every job anyway: the schema's owner, superusers, edges and relays. By session_user, which
-- neither SET ROLE nor a SECURITY DEFINER function changes.
CREATE FUNCTION await.sees_all() RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_has_role(session_user, (SELECT s.nspowner FROM pg_namespace s WHERE s.nspname = 'await'), 'MEMBER')
        OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname IN ('await_edge', 'await_relay') AND pg_has_role(session_user, r.oid, 'MEMBER'))
$$;

-- Whether whoever is logged in may use this queue ("topic:<name>": publish to it). By all roles session_user is a member of.
-- Nothing is said of any of them: all queues. Who sees every job anyway is not limited.
CREATE FUNCTION await.may_queue(queue text) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    of_topic boolean := may_queue.queue LIKE 'topic:%';
    allowed  boolean;
BEGIN
    SELECT coalesce(bool_or(g.queue = '*' OR (of_topic = (g.queue LIKE 'topic:%')
               AND may_queue.queue LIKE replace(replace(g.queue, '_', '\_'), '*', '%'))), false)
        INTO allowed FROM await.queue_grant g WHERE pg_has_role(session_user, g.role, 'MEMBER') HAVING count(*) > 0;
    RETURN coalesce(allowed, true) OR await.sees_all();
END $$;

-- What await-ctl grant and revoke do, for the schema's owner. A role that was limited stays so: whoever loses the last queue has
-- none, and not all.
CREATE FUNCTION await.grant_queues(role name, queues text[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    who regrole := quote_ident(grant_queues.role)::regrole;
BEGIN
    IF cardinality(queues) = 0 OR queues IS NULL OR '' = ANY (queues) OR array_position(queues, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'await.grant_queues needs the names of queues; ''*'' stands for all' USING ERRCODE = '22023';
    END IF;
    DELETE FROM await.queue_grant g WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = g.role); -- dropped since
    DELETE FROM await.queue_grant g WHERE g.role = who AND g.queue = '';
    INSERT INTO await.queue_grant (role, queue) SELECT DISTINCT who, q FROM unnest(queues) q ON CONFLICT DO NOTHING;
END $$;

-- Takes these queues away; NULL: all of them.
CREATE FUNCTION await.revoke_queues(role name, queues text[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    who regrole := quote_ident(revoke_queues.role)::regrole;
BEGIN
    DELETE FROM await.queue_grant g WHERE g.role = who AND (queues IS NULL OR g.queue = ANY (queues));
    IF NOT EXISTS (SELECT FROM await.queue_grant g WHERE g.role = who) THEN
        INSERT INTO await.queue_grant (role, queue) VALUES (who, '');
    END IF;
END $$;

-- Takes up to n jobs: highest priority first, then oldest. Each comes with a lease (default: the job's, else the queue's; a
-- second to a day) and the receipt that all later calls ask for. payload is null where payload_size > 64 KB: read it by
-- await.payload.
CREATE FUNCTION await.claim(queues text[], worker text, n int DEFAULT 1, lease interval DEFAULT NULL)
RETURNS TABLE (id uuid, receipt text, attempt int, queue text, payload bytea, content_type text, file_name text, params jsonb,
               batch uuid, phase text, trace text, deadline timestamptz,
               payload_size bigint, correlation_id text, lease_for interval)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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
    PERFORM await.tick(), await.advance_soon();
    FOR lanes IN
        SELECT m.lane & 255 AS rank, array_agg(m.lane) AS lane, array_agg(await.newest_mark(m.lane)) AS mark
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
            WITH live AS MATERIALIZED (       -- ended jobs (cancelled while they waited) fall out here
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

-- Renews the lease. 'ok'; 'cancelled': stop, the job has ended; 'lost': stop, the job is another's.
CREATE FUNCTION await.heartbeat(id uuid, receipt text, progress jsonb DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    h    await.head;
    over text;
BEGIN
    IF progress IS NOT NULL THEN
        IF NOT await.is_short(progress) THEN
            PERFORM await.check_data(progress);
        END IF;
        IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = heartbeat.id AND l.receipt = heartbeat.receipt) THEN
            RETURN 'lost';
        END IF;
        h := await.lock_head(heartbeat.id);
        over := CASE WHEN h.ended THEN h.state END;
    ELSE
        SELECT e.type INTO over FROM await.event e WHERE e.class = await.class(heartbeat.id) AND e.job = heartbeat.id AND e.ending;
    END IF;
    IF over IS NOT NULL THEN
        RETURN CASE WHEN over = 'cancelled' AND EXISTS (SELECT FROM await.lease l WHERE l.job = heartbeat.id AND l.receipt = heartbeat.receipt)
                    THEN 'cancelled' ELSE 'lost' END;
    END IF;
    UPDATE await.lease l SET until = clock_timestamp() + l.span WHERE l.job = heartbeat.id AND l.receipt = heartbeat.receipt;
    IF NOT FOUND THEN
        RETURN 'lost';
    END IF;
    IF progress IS NOT NULL THEN
        PERFORM await.append(h, 'progress', h.state, progress);
    END IF;
    RETURN 'ok';
END $$;

-- Writes an event of the worker's own into the job's history. Returns its seq (a repeated event_id: the seq it got the first
-- time), null when this claim no longer holds the job.
CREATE FUNCTION await.emit(id uuid, receipt text, type text, data jsonb DEFAULT NULL, event_id text DEFAULT NULL) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    h   await.head;
    old int;
BEGIN
    IF emit.type IS NULL OR emit.type !~ '^[a-z0-9_.-]{1,64}$' OR emit.type IN ('pending', 'processing', 'completed', 'failed', 'cancelled',
        'expired', 'progress', 'batch.ready', 'open', 'error', 'message', 'reset', 'ready', 'beat') THEN
        RAISE EXCEPTION 'event type % is taken or not [a-z0-9_.-]{1,64}', quote_nullable(left(emit.type, 80)) USING ERRCODE = '22023';
    ELSIF length(emit.event_id) > 255 THEN
        RAISE EXCEPTION 'an event id has at most 255 characters' USING ERRCODE = '22023';
    END IF;
    IF NOT await.is_short(data) THEN
        PERFORM await.check_data(data);
    END IF;
    IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = emit.id AND l.receipt = emit.receipt) THEN
        RETURN NULL;
    END IF;
    h := await.lock_head(emit.id);
    IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = emit.id AND l.receipt = emit.receipt) THEN
        RETURN NULL;                         -- lost while this waited for the lock
    END IF;
    IF emit.event_id IS NOT NULL THEN
        SELECT e.seq INTO old FROM await.event e
            WHERE e.class = await.class(emit.id) AND e.job = emit.id AND e.event_id = emit.event_id;
        IF FOUND THEN
            RETURN old;
        END IF;
    END IF;
    IF h.ended IS DISTINCT FROM false THEN
        RETURN NULL;
    END IF;
    RETURN await.append(h, emit.type, h.state, data, NULL, emit.event_id);
END $$;

-- Ends the job with its result. body null: the pieces stored by await.append_result. False: this claim no longer holds the job,
-- and nothing has changed.
CREATE FUNCTION await.complete(id uuid, receipt text, body bytea, content_type text DEFAULT 'application/octet-stream',
    status int DEFAULT 200, file_name text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    h     await.head;
    own   int2;                              -- the attempt's number
    total bigint := length(body);
BEGIN
    content_type := coalesce(content_type, 'application/octet-stream');
    status := coalesce(status, 200);
    PERFORM await.check_content_type(content_type);
    IF file_name IS NOT NULL THEN
        PERFORM await.check_file_name(file_name);
    END IF;
    IF status NOT IN (200, 201, 203) THEN
        RAISE EXCEPTION 'a result has status 200, 201 or 203, not %', status USING ERRCODE = '22023';
    END IF;
    IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = complete.id AND l.receipt = complete.receipt) THEN
        RETURN false;
    END IF;
    h := await.lock_head(complete.id);
    DELETE FROM await.lease l WHERE l.job = h.id AND l.receipt = complete.receipt RETURNING l.attempt INTO own;
    IF own IS NULL OR h.ended THEN
        RETURN false;
    END IF;
    IF body IS NULL THEN
        SELECT coalesce(max(c.pos + length(c.bytes)), 0) INTO total FROM await.chunk c
            WHERE c.class = await.class(complete.id) AND c.job = complete.id AND c.kind = 'r' AND c.attempt = own;
        body := CASE total WHEN 0 THEN ''::bytea END;
    ELSIF total > 65536 THEN
        DELETE FROM await.chunk c WHERE c.class = await.class(complete.id) AND c.job = complete.id AND c.kind = 'r' AND c.attempt = own;
        PERFORM await.cut(complete.id, 'r', own, body);
        body := NULL;
    END IF;
    INSERT INTO await.event (class, job, seq, owner, type, state, attempt, progress, ending, status, content_type, file_name, size, body)
    VALUES (await.class(h.id), h.id, h.seq + 1, h.owner, 'completed', 'completed', own, h.progress, true,
            complete.status, complete.content_type, complete.file_name, total, body);
    RETURN true;
END $$;

-- This attempt failed. retry_in null: by the queue's back-off; negative: not again. With no attempt left the job ends as failed,
-- with `error` (members of a problem, RFC 9457) as its problem.
CREATE FUNCTION await.fail(id uuid, receipt text, error jsonb, retry_in interval DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    h   await.head;
    own int2;
BEGIN
    IF NOT await.is_short(error) THEN
        PERFORM await.check_data(error);
    END IF;
    IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = fail.id AND l.receipt = fail.receipt) THEN
        RETURN false;
    END IF;
    h := await.lock_head(fail.id);
    DELETE FROM await.lease l WHERE l.job = h.id AND l.receipt = fail.receipt RETURNING l.attempt INTO own;
    IF own IS NULL OR h.ended THEN
        RETURN false;
    END IF;
    PERFORM await.give_back(h, own, coalesce(error, '{}'), retry_in);
    RETURN true;
END $$;

-- A stretch of a payload, from `offset` (bytes, from 0), at most `length` bytes. Empty past the end, null when this claim no
-- longer holds the job.
CREATE FUNCTION await.payload(id uuid, receipt text, "offset" bigint DEFAULT 0, length int DEFAULT 262144) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    j await.job;
BEGIN
    "offset" := coalesce("offset", 0);
    length := coalesce(length, 262144);
    IF "offset" < 0 OR length NOT BETWEEN 0 AND 16777216 THEN
        RAISE EXCEPTION 'await.payload reads 0 to 16777216 bytes from an offset of 0 or more' USING ERRCODE = '22023';
    ELSIF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = payload.id AND l.receipt = payload.receipt) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO j FROM await.job k WHERE k.class = await.class(payload.id) AND k.id = payload.id;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF "offset" >= j.payload_size THEN
        RETURN '';
    ELSIF j.payload IS NOT NULL THEN
        RETURN substr(j.payload, "offset"::int + 1, length);
    END IF;
    RETURN (SELECT coalesce(string_agg(substr(c.bytes, greatest("offset" - c.pos, 0)::int + 1,
                       least("offset" + payload.length - c.pos, 16777216)::int - greatest("offset" - c.pos, 0)::int), '' ORDER BY c.n), '')
            FROM await.chunk c
            WHERE c.class = j.class AND c.job = j.id AND c.kind = 'p' AND c.attempt = 0
              AND c.pos < "offset" + payload.length
              AND c.pos >= (SELECT max(f.pos) FROM await.chunk f WHERE f.class = j.class AND f.job = j.id
                            AND f.kind = 'p' AND f.attempt = 0 AND f.pos <= "offset"));
END $$;

-- Stores piece n (0, 1, 2 …, in this order) of a large result; await.complete with a null body makes it the result. A repeated n
-- is taken once. Returns the size so far, null when this claim no longer holds the job.
CREATE FUNCTION await.append_result(id uuid, receipt text, n int, bytes bytea) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    k     int2 := await.class(append_result.id);
    own   int2;
    start bigint := 0;
BEGIN
    IF bytes IS NULL OR length(bytes) NOT BETWEEN 1 AND 16777216 THEN
        RAISE EXCEPTION 'a piece of a result has 1 to 16777216 bytes, not %', coalesce(length(bytes)::text, 'NULL') USING ERRCODE = '22023';
    ELSIF n IS NULL OR n < 0 THEN
        RAISE EXCEPTION 'the pieces of a result are numbered from 0, not %', coalesce(n::text, 'NULL') USING ERRCODE = '22023';
    END IF;
    SELECT l.attempt INTO own FROM await.lease l WHERE l.job = append_result.id AND l.receipt = append_result.receipt FOR SHARE;
    IF NOT FOUND OR EXISTS (SELECT FROM await.event e WHERE e.class = k AND e.job = append_result.id AND e.ending) THEN
        RETURN NULL;
    END IF;
    IF n > 0 THEN
        SELECT c.pos + length(c.bytes) INTO start FROM await.chunk c WHERE c.class = k AND c.job = append_result.id
            AND c.kind = 'r' AND c.attempt = own AND c.n = append_result.n - 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'piece % of the result comes before piece %', n, n - 1 USING ERRCODE = '22023';
        END IF;
    END IF;
    INSERT INTO await.chunk (class, job, kind, attempt, n, pos, bytes)
        VALUES (k, append_result.id, 'r', own, append_result.n, start, append_result.bytes)
        ON CONFLICT DO NOTHING;
    RETURN start + length(bytes);
END $$;

-- Ends jobs with their results: arrays of one length; an id twice counts once. Statuses default to 200, file names to none,
-- content types to application/octet-stream, also one by one. As await.complete: `done` is false where that claim no longer holds
-- the job, and nothing has changed. A body of more than 64 KB is one for await.complete.
CREATE FUNCTION await.complete_many(ids uuid[], receipts text[], bodies bytea[], content_types text[] DEFAULT NULL,
    statuses int[] DEFAULT NULL, file_names text[] DEFAULT NULL) RETURNS TABLE (id uuid, done boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    n    int := cardinality(ids);
    bad  int;
    ended uuid[];
BEGIN
    IF n = 0 AND cardinality(receipts) = 0 AND cardinality(bodies) = 0 THEN
        RETURN;
    ELSIF n IS NULL OR n NOT BETWEEN 1 AND 1000 OR cardinality(receipts) IS DISTINCT FROM n OR cardinality(bodies) IS DISTINCT FROM n
        OR cardinality(content_types) <> n OR cardinality(statuses) <> n OR cardinality(file_names) <> n
        OR 1 <> ANY (ARRAY[array_ndims(ids), array_ndims(receipts), array_ndims(bodies), array_ndims(content_types), array_ndims(statuses),
                           array_ndims(file_names)]) THEN
        RAISE EXCEPTION 'await.complete_many takes 1 to 1000 jobs in arrays of one length and one dimension' USING ERRCODE = '22023';
    ELSIF array_position(ids, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a job''s id is NULL' USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_content_type(t) FROM (SELECT DISTINCT t FROM unnest(content_types) t WHERE t IS NOT NULL) c;
    PERFORM await.check_file_name(f) FROM (SELECT DISTINCT f FROM unnest(file_names) f WHERE f IS NOT NULL) c;
    SELECT s INTO bad FROM unnest(statuses) s WHERE s NOT IN (200, 201, 203) LIMIT 1;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'a result has status 200, 201 or 203, not %', bad USING ERRCODE = '22023';
    ELSIF EXISTS (SELECT FROM unnest(bodies) b WHERE b IS NULL OR length(b) > 65536) THEN
        RAISE EXCEPTION 'await.complete_many takes bodies of at most 64 KB; await.complete takes larger ones' USING ERRCODE = '22023';
    END IF;
    -- Those it holds, in id order, as everybody; the next statement sees what the last holder committed. OFFSET 0: by the leases
    -- one by one, whatever the planner believes of a table that is empty each time it looks.
    PERFORM 1 FROM unnest(ids, receipts) k (id, receipt)
        CROSS JOIN LATERAL (SELECT FROM await.lease l WHERE l.job = k.id AND l.receipt = k.receipt OFFSET 0) l
        JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
        ORDER BY j.id FOR NO KEY UPDATE OF j;
    WITH held AS MATERIALIZED (              -- under the lock; a right receipt counts, whatever else is said of the same id
        SELECT DISTINCT ON (g.id) g.id, l.attempt, g.body, coalesce(g.type, 'application/octet-stream') AS type, coalesce(g.status, 200) AS status, g.name
        FROM unnest(ids, receipts, bodies, content_types, statuses, file_names) g (id, receipt, body, type, status, name)
        CROSS JOIN LATERAL (SELECT l.attempt FROM await.lease l WHERE l.job = g.id AND l.receipt = g.receipt OFFSET 0) l
        ORDER BY g.id
    ), released AS (
        DELETE FROM await.lease l WHERE l.job = ANY (ARRAY(SELECT h.id FROM held h))
    ), said AS (
        INSERT INTO await.event (class, job, seq, owner, type, state, attempt, progress, ending, status, content_type, file_name, size, body)
        SELECT await.class(h.id), h.id, e.seq + 1, e.owner, 'completed', 'completed', h.attempt, e.progress, true,
               h.status, h.type, h.name, length(h.body), h.body
        FROM held h
        CROSS JOIN LATERAL (SELECT e.seq, e.owner, e.progress, e.ending FROM await.event e
                            WHERE e.class = await.class(h.id) AND e.job = h.id ORDER BY e.seq DESC LIMIT 1) e
        WHERE NOT e.ending
        RETURNING event.job
    )
    SELECT array_agg(s.job) INTO ended FROM said s;
    RETURN QUERY SELECT k.id, k.id = ANY (coalesce(ended, '{}')) FROM (SELECT DISTINCT u.id FROM unnest(ids) u (id)) k;
END $$;

-- As before. Who may not use the job's queue (of a topic: not publish to it) gets a thin hint, job, seq and type, and none for
-- who watches user:<owner>: it would name the owner. A worker asks when its lease is gone already, so the queue counts.
CREATE OR REPLACE FUNCTION await.hint(id uuid, seq int DEFAULT NULL) RETURNS TABLE (channel text, message text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    k    int2 := await.class(hint.id);
    e    record;
    j    await.job;
    rich text;
    of_user text;
    may  boolean := true;
BEGIN
    IF hint.seq IS NULL THEN
        SELECT v.*, EXISTS (SELECT FROM await.queue_grant) AS limited INTO e FROM await.event v
            WHERE v.class = k AND v.job = hint.id ORDER BY v.seq DESC LIMIT 1;
    ELSE
        SELECT v.*, EXISTS (SELECT FROM await.queue_grant) AS limited INTO e FROM await.event v
            WHERE v.class = k AND v.job = hint.id AND v.seq = hint.seq;
    END IF;
    IF e.limited IS NOT FALSE THEN           -- or there is no such event
        may := NOT EXISTS (SELECT FROM await.queue_grant) OR
               (SELECT await.may_queue(CASE WHEN hint.id >= 'ffffffff-0000-0000-0000-000000000000' THEN w.owner ELSE q.name END)
                FROM await.job w JOIN await.queue q ON q.id = w.queue WHERE w.class = k AND w.id = hint.id);
    END IF;
    of_user := CASE WHEN NOT may OR hint.id >= 'ffffffff-0000-0000-0000-000000000000' THEN NULL -- a topic
                    WHEN e.job IS NOT NULL THEN e.owner
                    ELSE (SELECT w.owner FROM await.job w WHERE w.class = k AND w.id = hint.id) END;
    IF e.job IS NOT NULL THEN
        channel := await.shard(hint.id);
        message := format('1 %s %s %s', hint.id, e.seq, e.type);
        IF may AND e.xid IS DISTINCT FROM pg_current_xact_id_if_assigned() AND coalesce(length(e.body), 0) <= 5120
            AND coalesce(pg_column_size(e.data), 0) <= 8192 THEN
            SELECT * INTO j FROM await.job w WHERE w.class = k AND w.id = hint.id;
            rich := json_build_object('t', await.timeline(), 'queue', (SELECT q.name FROM await.queue q WHERE q.id = j.queue), 'owner', j.owner,
                'state', e.state, 'attempt', e.attempt, 'correlation_id', j.correlation_id, 'batch', j.batch, 'phase', j.phase,
                'retry_of', j.retry_of, 'params', j.params::text, 'created_at', floor(extract(epoch FROM j.created_at) * 1000)::bigint,
                'progress', (SELECT p.data::text FROM await.event p WHERE p.class = k AND p.job = hint.id AND p.seq = e.progress),
                'at', floor(extract(epoch FROM e.at) * 1000)::bigint, 'data', e.data::text,
                'status', e.status, 'content_type', e.content_type, 'file_name', e.file_name, 'size', e.size,
                'body', await.base64url(e.body))::text;
            IF octet_length(rich) <= 7936 THEN
                message := message || ' ' || await.sign(message || ' ' || rich) || ' ' || rich;
            END IF;
        END IF;
        RETURN NEXT;
    END IF;
    IF of_user IS NOT NULL THEN
        channel := await.shard(await.user_id(of_user));
        message := format('1 %s 0 user', await.user_id(of_user));
        RETURN NEXT;
    END IF;
END $$;
