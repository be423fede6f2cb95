-- The SETs that functions carry here and below pin one plan a session: docs/adr/0002-generic-plans.md.

-- The queue inside: lanes and their marks, a job's head, appending events, reaping. Not for callers;
-- the workers' functions are in 004_worker.sql, the edge's in 005_edge.sql.

-- Says that this transaction is about to draw positions. The lock's number is the sequence's last
-- value: whatever is drawn after is larger, and await.advance_marks stays below it until we commit.
CREATE FUNCTION await.announce() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared((x'4157'::bigint << 48) | (SELECT last_value FROM await.pos));
END $$;

CREATE FUNCTION await.lane(queue int2, priority int2) RETURNS int4
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT queue::int4 << 8 | (100 - priority) $$;

-- A queue's number; the queue is made at its first use.
CREATE FUNCTION await.queue_id(p_name text) RETURNS int2 LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    found_id int2;
BEGIN
    SELECT q.id INTO found_id FROM await.queue q WHERE q.name = p_name;
    IF NOT FOUND THEN
        INSERT INTO await.queue (name) VALUES (p_name) ON CONFLICT (name) DO NOTHING;
        SELECT q.id INTO found_id FROM await.queue q WHERE q.name = p_name;
    END IF;
    RETURN found_id;
END $$;

CREATE FUNCTION await.open_lane(p_lane int4) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM await.mark m WHERE m.lane = p_lane) THEN
        INSERT INTO await.mark (lane, pos) VALUES (p_lane, 0) ON CONFLICT (lane) DO NOTHING;
    END IF;
END $$;

-- Puts a job (back) in its lane, now or when due.
CREATE FUNCTION await.enqueue(p_job uuid, p_queue int2, p_priority int2, p_attempt int2, p_due timestamptz DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    in_lane int4 := await.lane(p_queue, p_priority);
BEGIN
    IF p_due > clock_timestamp() THEN
        INSERT INTO await.delayed (due, lane, job, attempt) VALUES (p_due, in_lane, p_job, p_attempt);
        RETURN;
    END IF;
    PERFORM await.announce();
    PERFORM await.open_lane(in_lane);
    INSERT INTO await.ready (lane, pos, job, attempt) VALUES (in_lane, nextval('await.pos'), p_job, p_attempt);
END $$;

-- A job's newest state, under the lock on its row. Read after the lock was given, in a statement of
-- its own, so that it sees what the last holder committed.
CREATE TYPE await.head AS (
    id uuid, owner text, queue int2, priority int2, max_attempts int2,
    seq int4, state text, attempt int2, progress int4, ended boolean
);
CREATE FUNCTION await.lock_head(p_id uuid, p_skip boolean DEFAULT false) RETURNS await.head
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    h await.head;
BEGIN
    IF p_skip THEN
        SELECT j.id, j.owner, j.queue, j.priority, j.max_attempts
            INTO h.id, h.owner, h.queue, h.priority, h.max_attempts
            FROM await.job j WHERE j.class = await.class(p_id) AND j.id = p_id FOR NO KEY UPDATE SKIP LOCKED;
    ELSE
        SELECT j.id, j.owner, j.queue, j.priority, j.max_attempts
            INTO h.id, h.owner, h.queue, h.priority, h.max_attempts
            FROM await.job j WHERE j.class = await.class(p_id) AND j.id = p_id FOR NO KEY UPDATE;
    END IF;
    IF h.id IS NULL THEN
        RETURN h;
    END IF;
    SELECT e.seq, e.state, e.attempt, e.progress, e.ending INTO h.seq, h.state, h.attempt, h.progress, h.ended
        FROM await.event e WHERE e.class = await.class(p_id) AND e.job = p_id ORDER BY e.seq DESC LIMIT 1;
    IF NOT FOUND THEN
        h.seq := 1; h.state := 'pending'; h.attempt := 0; h.ended := false;
    END IF;
    RETURN h;
END $$;

-- The next event of a job whose head is locked. Returns its seq.
CREATE FUNCTION await.append(h await.head, p_type text, p_state text, p_data jsonb DEFAULT NULL,
    p_attempt int2 DEFAULT NULL, p_event_id text DEFAULT NULL) RETURNS int4 LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO await.event (class, job, seq, owner, type, state, attempt, progress, data, event_id, ending)
    VALUES (await.class(h.id), h.id, h.seq + 1, h.owner, p_type, p_state, coalesce(p_attempt, h.attempt),
            CASE WHEN p_type = 'progress' THEN h.seq + 1 ELSE h.progress END, p_data, p_event_id,
            p_state IN ('completed', 'failed', 'cancelled', 'expired'));
    RETURN h.seq + 1;
END $$;

-- An attempt has come to nothing: try again later, or end the job if that was the last one.
CREATE FUNCTION await.give_back(h await.head, p_attempt int2, p_error jsonb, p_retry_in interval)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    q       await.queue;
    pause   interval := p_retry_in;
    problem jsonb := CASE jsonb_typeof(p_error) WHEN 'object' THEN p_error
                     ELSE jsonb_build_object('detail', p_error) END;
BEGIN
    SELECT * INTO q FROM await.queue WHERE id = h.queue;
    IF p_attempt >= coalesce(h.max_attempts, q.max_attempts) OR pause < interval '0' THEN
        PERFORM await.append(h, 'failed', 'failed', problem, p_attempt);
        RETURN;
    END IF;
    IF pause IS NULL THEN                    -- doubled each time, give or take a quarter
        pause := least(q.backoff_min * (2 ^ least(p_attempt - 1, 30)), q.backoff_max) * (0.75 + random() / 2);
    END IF;
    PERFORM await.append(h, 'pending', 'pending',
        jsonb_build_object('error', problem, 'retry_at', clock_timestamp() + pause), p_attempt);
    PERFORM await.enqueue(h.id, h.queue, h.priority, (p_attempt + 1)::int2, clock_timestamp() + pause);
END $$;

-- Moves each lane's mark up to its first ready row, but never past a position that a running
-- transaction may have drawn: last value first, then the announced ones, then what is visible. Three
-- statements, three snapshots, in this order (t/model/queue.pml); where a transaction keeps one snapshot
-- for all of them, the mark stays where it is.
CREATE FUNCTION await.advance_marks() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    last_pos  bigint;
    announced bigint;
    first     bigint;
    m         await.mark;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN;
    END IF;
    SELECT last_value INTO last_pos FROM await.pos;
    SELECT min(((l.classid::bigint & x'ffff'::bigint) << 32) | l.objid::bigint) INTO announced
        FROM pg_locks l
        WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.classid::bigint >> 16 = x'4157'::bigint
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database());
    FOR m IN SELECT * FROM await.mark FOR UPDATE SKIP LOCKED LOOP
        SELECT min(r.pos) INTO first FROM await.ready r WHERE r.lane = m.lane AND r.pos >= m.pos;
        first := least(first, announced, last_pos);
        IF first > m.pos THEN
            UPDATE await.mark SET pos = first WHERE lane = m.lane;
        END IF;
    END LOOP;
END $$;

-- Brings time to bear: expired leases, due retries, passed deadlines, the marks. At most `p_limit`
-- of each. Returns how many jobs it touched.
CREATE FUNCTION await.reap(p_limit int DEFAULT 100) RETURNS int LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    r       record;
    h       await.head;
    touched int := 0;
BEGIN
    FOR r IN SELECT l.job, l.attempt FROM await.lease l WHERE l.until < clock_timestamp()
             ORDER BY l.until LIMIT p_limit LOOP
        h := await.lock_head(r.job, true);   -- job first, lease second: everybody's order
        CONTINUE WHEN h.id IS NULL;
        DELETE FROM await.lease l WHERE l.job = r.job AND l.attempt = r.attempt AND l.until < clock_timestamp();
        CONTINUE WHEN NOT FOUND;
        touched := touched + 1;
        CONTINUE WHEN h.ended;
        PERFORM await.give_back(h, r.attempt, jsonb_build_object('title', 'Lease expired', 'detail',
            format('the worker of attempt %s did not renew its lease in time', r.attempt)), interval '0');
    END LOOP;

    FOR r IN SELECT d.at, d.job FROM await.deadline d WHERE d.at <= clock_timestamp() ORDER BY d.at LIMIT p_limit LOOP
        h := await.lock_head(r.job, true);
        CONTINUE WHEN h.id IS NULL;
        DELETE FROM await.deadline d WHERE d.at = r.at AND d.job = r.job;
        CONTINUE WHEN NOT FOUND OR h.ended;
        PERFORM await.append(h, 'expired', 'expired');
        touched := touched + 1;
    END LOOP;

    PERFORM await.announce();
    FOR r IN DELETE FROM await.delayed d USING (
                 SELECT due, pos FROM await.delayed WHERE due <= clock_timestamp()
                 ORDER BY due, pos LIMIT p_limit FOR UPDATE SKIP LOCKED) k
             WHERE d.due = k.due AND d.pos = k.pos RETURNING d.* LOOP
        PERFORM await.open_lane(r.lane);
        INSERT INTO await.ready (lane, pos, job, attempt) VALUES (r.lane, nextval('await.pos'), r.job, r.attempt);
        touched := touched + 1;
    END LOOP;

    PERFORM await.advance_marks();
    RETURN touched;
END $$;

-- Reaps if nobody has done so in this second. The second stands in a sequence: read and set outside
-- of any transaction, no row to update. A session lock, given back before we return: a caller that
-- stays in its transaction for an hour must not stop everybody's clock.
CREATE FUNCTION await.tick(p_limit int DEFAULT 100) RETURNS int LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    this_second bigint := floor(extract(epoch FROM clock_timestamp()));
    touched     int := 0;
BEGIN
    IF (SELECT last_value FROM await.ticked) >= this_second
        OR current_setting('transaction_isolation') <> 'read committed' -- another will do more with this second
        OR NOT pg_try_advisory_lock(x'4157'::int, 2) THEN
        RETURN 0;
    END IF;
    BEGIN
        PERFORM setval('await.ticked', this_second);
        touched := await.reap(p_limit);
    EXCEPTION WHEN OTHERS THEN
        PERFORM pg_advisory_unlock(x'4157'::int, 2);
        RAISE;
    END;
    PERFORM pg_advisory_unlock(x'4157'::int, 2);
    RETURN touched;
END $$;
