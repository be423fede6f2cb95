-- What workers and back-end code call. docs/workers.md is the contract in prose.

-- Refuses what could break a header or a stream further on. Errcode 22023, so that callers can tell.
CREATE FUNCTION await.check_content_type(value text) RETURNS void LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF value !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]{1,127}/[A-Za-z0-9!#$%&''*+.^_`|~-]{1,127}([ \t]*;[\x20-\x7e\t]*)?$' OR length(value) > 255 THEN
        RAISE EXCEPTION 'content type % is not type/subtype as RFC 9110 has it', quote_literal(left(value, 80)) USING ERRCODE = '22023';
    END IF;
END $$;

CREATE FUNCTION await.check_file_name(value text) RETURNS void LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF value ~ '[[:cntrl:]/\\]' OR length(value) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'file name % holds a control character or a path, or is not 1 to 255 long', quote_literal(left(value, 80)) USING ERRCODE = '22023';
    END IF;
END $$;

-- Back-end code submits inside its own transaction. Options: priority, owner, correlation_id, trace,
-- file_name, params, lease, max_attempts, delay, deadline, retain, batch, phase.
CREATE FUNCTION await.submit(queue text, payload bytea, content_type text DEFAULT 'application/octet-stream',
    options jsonb DEFAULT '{}') RETURNS uuid LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    o        jsonb := coalesce(options, '{}');
    unknown  text;
    class    int2;
    new_id   uuid;
    in_queue int2;
    prio     int2 := coalesce((o ->> 'priority')::int2, 0);
    due      timestamptz := clock_timestamp() + (o ->> 'delay')::interval;
    deadline timestamptz := clock_timestamp() + (o ->> 'deadline')::interval;
    body     bytea := coalesce(payload, '');
BEGIN
    SELECT string_agg(k, ', ') INTO unknown FROM jsonb_object_keys(o) k WHERE k NOT IN ('priority', 'owner',
        'correlation_id', 'trace', 'file_name', 'params', 'lease', 'max_attempts', 'delay', 'deadline', 'retain', 'batch', 'phase');
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'await.submit knows no option %', unknown USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_content_type(content_type), await.check_file_name(o ->> 'file_name');
    SELECT r.class INTO class FROM await.retention r WHERE r.name = coalesce(o ->> 'retain', '7d');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'retain is one of the names in await.retention, not %', quote_literal(o ->> 'retain') USING ERRCODE = '22023';
    END IF;
    new_id := await.new_id(class);
    in_queue := await.queue_id(submit.queue);
    INSERT INTO await.job (class, id, queue, priority, owner, batch, phase, correlation_id, trace, content_type, file_name,
                           params, payload, payload_size, lease, max_attempts, due, deadline)
    VALUES (class, new_id, in_queue, prio, o ->> 'owner', (o ->> 'batch')::uuid, o ->> 'phase', o ->> 'correlation_id',
            o ->> 'trace', content_type, o ->> 'file_name', o -> 'params',
            CASE WHEN length(body) <= 65536 THEN body END, length(body),
            (o ->> 'lease')::interval, (o ->> 'max_attempts')::int2, due, deadline);
    IF length(body) > 65536 THEN
        PERFORM await.cut(new_id, 'p', 0::int2, body);
    END IF;
    IF deadline IS NOT NULL THEN
        INSERT INTO await.deadline (at, job) VALUES (deadline, new_id);
    END IF;
    PERFORM await.enqueue(new_id, in_queue, prio, 1::int2, due);
    RETURN new_id;
END $$;

-- Stores a body as pieces of 256 KB.
CREATE FUNCTION await.cut(p_job uuid, p_kind "char", p_attempt int2, p_body bytea) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO await.chunk (class, job, kind, attempt, n, pos, bytes)
    SELECT await.class(p_job), p_job, p_kind, p_attempt, n, n * 262144::bigint, substr(p_body, n * 262144 + 1, 262144)
    FROM generate_series(0, (length(p_body) - 1) / 262144) n
$$;

-- Takes up to n jobs: highest priority first, then oldest. Each comes with a lease (default: the
-- job's, else the queue's) under the attempt's number. payload is null where payload_size > 64 KB:
-- read it by await.payload.
CREATE FUNCTION await.claim(queues text[], worker text, n int DEFAULT 1, lease interval DEFAULT NULL)
RETURNS TABLE (id uuid, attempt int, queue text, payload bytea, content_type text, file_name text, params jsonb,
               batch uuid, phase text, trace text, deadline timestamptz,
               payload_size bigint, correlation_id text, lease_for interval)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    p_lease  interval := claim.lease;
    p_worker text := claim.worker;
    wanted   int := claim.n;
    lanes    record;
    jobs     uuid[];
    attempts int2[];
    given    int;
BEGIN
    IF wanted NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'await.claim takes 1 to 1000 jobs, not %', wanted USING ERRCODE = '22023';
    ELSIF p_lease < interval '1 second' THEN
        RAISE EXCEPTION 'a lease lasts at least a second, not %', p_lease USING ERRCODE = '22023';
    END IF;
    PERFORM await.tick();
    FOR lanes IN
        SELECT m.lane & 255 AS rank, array_agg(m.lane) AS lane, array_agg(m.pos) AS mark
        FROM await.mark m WHERE m.lane >> 8 IN (SELECT q.id FROM await.queue q WHERE q.name = ANY (claim.queues))
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
                       coalesce(p_lease, j.lease, q.lease) AS span
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
                INSERT INTO await.lease (job, attempt, worker, span, until)
                SELECT (l.job).id, l.attempt, p_worker, l.span, clock_timestamp() + l.span FROM live l
            )
            SELECT (l.job).id, l.attempt::int, l.name, (l.job).payload, (l.job).content_type, (l.job).file_name, (l.job).params,
                   (l.job).batch, (l.job).phase, (l.job).trace, (l.job).deadline,
                   (l.job).payload_size, (l.job).correlation_id, l.span
            FROM live l ORDER BY l.ord;
            GET DIAGNOSTICS given = ROW_COUNT;
            wanted := wanted - given;
        END LOOP;
    END LOOP;
END $$;

-- Renews the lease. 'ok'; 'cancelled': stop, the job has ended; 'lost': stop, the job is another's.
CREATE FUNCTION await.heartbeat(id uuid, attempt int, progress jsonb DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    h    await.head;
    over text;
BEGIN
    IF progress IS NOT NULL THEN
        PERFORM await.check_data(progress);
        h := await.lock_head(heartbeat.id);
    END IF;
    SELECT e.type INTO over FROM await.event e WHERE e.class = await.class(heartbeat.id) AND e.job = heartbeat.id AND e.ending;
    IF FOUND THEN
        RETURN CASE over WHEN 'cancelled' THEN 'cancelled' ELSE 'lost' END;
    END IF;
    UPDATE await.lease l SET until = clock_timestamp() + l.span WHERE l.job = heartbeat.id AND l.attempt = heartbeat.attempt;
    IF NOT FOUND THEN
        RETURN 'lost';
    END IF;
    IF progress IS NOT NULL THEN
        PERFORM await.append(h, 'progress', h.state, progress);
    END IF;
    RETURN 'ok';
END $$;

CREATE FUNCTION await.check_data(data jsonb) RETURNS void LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF octet_length(data::text) > 49152 THEN
        RAISE EXCEPTION 'an event carries at most 48 KB of data, not %; put more into the result', octet_length(data::text) USING ERRCODE = '22023';
    END IF;
END $$;

-- Writes an event of the worker's own into the job's history. Returns its seq (a repeated event_id:
-- the seq it got the first time), null when this attempt no longer owns the job.
CREATE FUNCTION await.emit(id uuid, attempt int, type text, data jsonb DEFAULT NULL, event_id text DEFAULT NULL) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    h   await.head;
    old int;
BEGIN
    IF emit.type !~ '^[a-z0-9_.-]{1,64}$' OR emit.type IN ('pending', 'processing', 'completed', 'failed', 'cancelled', 'expired',
        'progress', 'batch.ready', 'open', 'error', 'message', 'reset', 'ready', 'beat') THEN
        RAISE EXCEPTION 'event type % is taken or not [a-z0-9_.-]{1,64}', quote_literal(left(emit.type, 80)) USING ERRCODE = '22023';
    ELSIF length(emit.event_id) > 255 THEN
        RAISE EXCEPTION 'an event id has at most 255 characters' USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_data(data);
    h := await.lock_head(emit.id);
    SELECT e.seq INTO old FROM await.event e
        WHERE e.class = await.class(emit.id) AND e.job = emit.id AND e.event_id = emit.event_id;
    IF FOUND THEN
        RETURN old;
    END IF;
    IF h.ended IS DISTINCT FROM false OR NOT EXISTS (SELECT FROM await.lease l WHERE l.job = emit.id AND l.attempt = emit.attempt) THEN
        RETURN NULL;
    END IF;
    RETURN await.append(h, emit.type, h.state, data, NULL, emit.event_id);
END $$;

-- Gives up the lease of this attempt under the job's lock. False: it is not (or no longer) the owner.
CREATE FUNCTION await.release(h await.head, p_attempt int) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF h.id IS NULL THEN
        RETURN false;
    END IF;
    DELETE FROM await.lease l WHERE l.job = h.id AND l.attempt = p_attempt;
    RETURN FOUND AND NOT h.ended;
END $$;

-- Ends the job with its result. body null: the pieces stored by await.append_result. False: this
-- attempt no longer owns the job, and nothing has changed.
CREATE FUNCTION await.complete(id uuid, attempt int, body bytea, content_type text DEFAULT 'application/octet-stream',
    status int DEFAULT 200, file_name text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    h     await.head;
    total bigint := length(body);
BEGIN
    PERFORM await.check_content_type(content_type), await.check_file_name(file_name);
    IF status NOT IN (200, 201, 203) THEN
        RAISE EXCEPTION 'a result has status 200, 201 or 203, not %', status USING ERRCODE = '22023';
    END IF;
    h := await.lock_head(complete.id);
    IF NOT await.release(h, complete.attempt) THEN
        RETURN false;
    END IF;
    IF body IS NULL THEN
        SELECT coalesce(max(c.pos + length(c.bytes)), 0) INTO total FROM await.chunk c
            WHERE c.class = await.class(complete.id) AND c.job = complete.id AND c.kind = 'r' AND c.attempt = complete.attempt;
        body := CASE total WHEN 0 THEN ''::bytea END;
    ELSIF total > 65536 THEN
        DELETE FROM await.chunk c WHERE c.class = await.class(complete.id) AND c.job = complete.id AND c.kind = 'r' AND c.attempt = complete.attempt;
        PERFORM await.cut(complete.id, 'r', complete.attempt::int2, body);
        body := NULL;
    END IF;
    INSERT INTO await.event (class, job, seq, owner, type, state, attempt, progress, ending, status, content_type, file_name, size, body)
    VALUES (await.class(h.id), h.id, h.seq + 1, h.owner, 'completed', 'completed', complete.attempt, h.progress, true,
            complete.status, complete.content_type, complete.file_name, total, body);
    RETURN true;
END $$;

-- This attempt failed. retry_in null: by the queue's back-off; negative: not again. With no attempt
-- left the job ends as failed, with `error` (members of a problem, RFC 9457) as its problem.
CREATE FUNCTION await.fail(id uuid, attempt int, error jsonb, retry_in interval DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    h await.head;
BEGIN
    PERFORM await.check_data(error);
    h := await.lock_head(fail.id);
    IF NOT await.release(h, fail.attempt) THEN
        RETURN false;
    END IF;
    PERFORM await.give_back(h, fail.attempt::int2, coalesce(error, '{}'), retry_in);
    RETURN true;
END $$;

-- A stretch of a payload, from `offset` (bytes, from 0), at most `length` bytes. Empty past the end,
-- null for an unknown job.
CREATE FUNCTION await.payload(id uuid, "offset" bigint DEFAULT 0, length int DEFAULT 262144) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    j await.job;
BEGIN
    IF "offset" < 0 OR length NOT BETWEEN 0 AND 16777216 THEN
        RAISE EXCEPTION 'await.payload reads 0 to 16777216 bytes from an offset of 0 or more' USING ERRCODE = '22023';
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

-- Stores piece n (0, 1, 2 …, in this order) of a large result; await.complete with a null body makes
-- it the result. A repeated n is taken once. Returns the size so far, null when this attempt no longer
-- owns the job.
CREATE FUNCTION await.append_result(id uuid, attempt int, n int, bytes bytea) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    k     int2 := await.class(append_result.id);
    start bigint := 0;
BEGIN
    IF length(bytes) NOT BETWEEN 1 AND 16777216 THEN
        RAISE EXCEPTION 'a piece of a result has 1 to 16777216 bytes, not %', length(bytes) USING ERRCODE = '22023';
    END IF;
    PERFORM 1 FROM await.lease l WHERE l.job = append_result.id AND l.attempt = append_result.attempt FOR SHARE;
    IF NOT FOUND OR EXISTS (SELECT FROM await.event e WHERE e.class = k AND e.job = append_result.id AND e.ending) THEN
        RETURN NULL;
    END IF;
    IF n > 0 THEN
        SELECT c.pos + length(c.bytes) INTO start FROM await.chunk c WHERE c.class = k AND c.job = append_result.id
            AND c.kind = 'r' AND c.attempt = append_result.attempt AND c.n = append_result.n - 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'piece % of the result comes before piece %', n, n - 1 USING ERRCODE = '22023';
        END IF;
    END IF;
    INSERT INTO await.chunk (class, job, kind, attempt, n, pos, bytes)
        VALUES (k, append_result.id, 'r', append_result.attempt, append_result.n, start, append_result.bytes)
        ON CONFLICT DO NOTHING;
    RETURN start + length(bytes);
END $$;

-- Ends a job that has not ended. 'cancelled'; 'already': it was cancelled before; 'ended': it has
-- another ending; null: unknown. A worker at it learns by its next heartbeat.
CREATE FUNCTION await.cancel(id uuid) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    h await.head := await.lock_head(cancel.id);
BEGIN
    IF h.id IS NULL THEN
        RETURN NULL;
    ELSIF h.ended THEN
        RETURN CASE h.state WHEN 'cancelled' THEN 'already' ELSE 'ended' END;
    END IF;
    PERFORM await.append(h, 'cancelled', 'cancelled');
    RETURN 'cancelled';
END $$;

-- Runs an ended job once more, as a new job. Returns the new id; null if the old one is unknown or
-- has not ended.
CREATE FUNCTION await.retry(id uuid) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    h   await.head := await.lock_head(retry.id);
    k   int2 := await.class(retry.id);
    new uuid := await.new_id(k);
BEGIN
    IF h.ended IS DISTINCT FROM true THEN
        RETURN NULL;
    END IF;
    INSERT INTO await.job (class, id, queue, priority, owner, phase, correlation_id, trace, content_type, file_name,
                           params, payload, payload_size, lease, max_attempts, retry_of, extra)
        SELECT k, new, j.queue, j.priority, j.owner, j.phase, j.correlation_id, j.trace, j.content_type, j.file_name,
               j.params, j.payload, j.payload_size, j.lease, j.max_attempts, j.id, j.extra
        FROM await.job j WHERE j.class = k AND j.id = retry.id;
    INSERT INTO await.chunk (class, job, kind, attempt, n, pos, bytes)
        SELECT k, new, c.kind, c.attempt, c.n, c.pos, c.bytes FROM await.chunk c
        WHERE c.class = k AND c.job = retry.id AND c.kind = 'p' AND c.attempt = 0;
    PERFORM await.enqueue(new, h.queue, h.priority, 1::int2);
    RETURN new;
END $$;

-- What to PUBLISH on Redis after a commit, if one likes: watchers then learn in a millisecond instead
-- of at their next re-read. Format 1: version, job, seq, type. docs/workers.md.
CREATE FUNCTION await.hint(id uuid) RETURNS TABLE (channel text, message text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY SELECT 'await:' || ((get_byte(uuid_send(hint.id), 14) & 15) << 8 | get_byte(uuid_send(hint.id), 15)),
                        format('1 %s %s %s', hint.id, e.seq, e.type)
        FROM await.event e WHERE e.class = await.class(hint.id) AND e.job = hint.id ORDER BY e.seq DESC LIMIT 1;
END $$;
