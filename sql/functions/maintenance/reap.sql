-- One lease that has run out: its job gets its next attempt, or fails. False: it was locked by another, or renewed.
CREATE OR REPLACE FUNCTION await.reap_lease(p_job uuid, p_attempt int2, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    h    await.job_head := await.lock_job(p_job, true); -- job first, lease second, as everywhere
    slot await.lease;
BEGIN
    IF h.id IS NULL AND EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_job) AND j.id = p_job) THEN
        RETURN false;
    END IF;
    PERFORM FROM await.lease l WHERE l.job = p_job AND l.attempt = p_attempt AND l.until < p_now FOR UPDATE SKIP LOCKED; -- of a heartbeat
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM await.lease l WHERE l.job = p_job AND l.attempt = p_attempt RETURNING l.* INTO slot;
    IF slot.queue IS NOT NULL THEN
        PERFORM await.slot_freed(slot.queue, slot.lane, slot.owner, slot.origin);
    END IF;
    IF NOT h.ended THEN                      -- NULL: the job is gone
        PERFORM await.retry_or_fail(h, p_attempt, jsonb_build_object('title', 'Lease expired', 'detail',
            format('the worker of attempt %s did not renew its lease in time', p_attempt)), interval '0');
    END IF;
    RETURN true;
END $$;

-- One deadline that has come: its job expires, unless it has ended or is gone. False: the job was locked by another.
CREATE OR REPLACE FUNCTION await.reap_deadline(p_at timestamptz, p_job uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    h await.job_head := await.lock_job(p_job, true);
BEGIN
    IF h.id IS NULL AND EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_job) AND j.id = p_job) THEN
        RETURN false;
    END IF;
    DELETE FROM await.deadline d WHERE d.at = p_at AND d.job = p_job;
    IF NOT FOUND THEN
        RETURN false;
    ELSIF NOT h.ended THEN
        PERFORM await.append_event(h, 'expired', 'expired',
            CASE WHEN await.is_batch(p_job) THEN await.batch_totals(p_job) END);
        PERFORM await.leave_line(h);
    END IF;
    RETURN true;
END $$;

-- Handles the leases that have run out, or, with p_deadlines, the deadlines that have come: p_limit at most. What another transaction
-- has locked is passed by. With p_each a row that cannot be handled is passed by as well: it is put off by a minute, with a
-- warning, so that it does not stand before the others for ever. Returns how many rows were handled.
CREATE OR REPLACE FUNCTION await.reap_rows(p_deadlines boolean, p_limit int, p_now timestamptz, p_each boolean) RETURNS int
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    due     refcursor;
    r       record;
    handled int := 0;
    passed  int := 0;
    did     boolean;
    waited  int := 0;
BEGIN
    IF p_deadlines THEN
        OPEN due FOR SELECT d.at, d.job, NULL::int2 AS attempt FROM await.deadline d WHERE d.at <= p_now ORDER BY d.at;
    ELSE
        OPEN due FOR SELECT l.until AS at, l.job, l.attempt FROM await.lease l WHERE l.until < p_now ORDER BY l.until;
    END IF;
    LOOP
        FETCH due INTO r;
        EXIT WHEN NOT FOUND OR handled >= p_limit OR passed >= 10000 OR waited >= 3;
        IF NOT p_each THEN
            did := CASE WHEN p_deadlines THEN await.reap_deadline(r.at, r.job) ELSE await.reap_lease(r.job, r.attempt, p_now) END;
        ELSE
            BEGIN
                did := CASE WHEN p_deadlines THEN await.reap_deadline(r.at, r.job) ELSE await.reap_lease(r.job, r.attempt, p_now) END;
            EXCEPTION
                WHEN lock_not_available THEN
                    did := false;
                    waited := waited + 1;
                WHEN unique_violation OR serialization_failure OR deadlock_detected THEN
                    did := false;            -- another transaction was faster
                WHEN OTHERS THEN
                    did := false;
                    RAISE WARNING 'await: the % of job % cannot be handled: %', CASE WHEN p_deadlines THEN 'deadline' ELSE 'expired lease' END, r.job, sqlerrm;
                    IF p_deadlines THEN
                        UPDATE await.deadline d SET at = p_now + interval '1 minute' WHERE d.at = r.at AND d.job = r.job;
                    ELSE
                        UPDATE await.lease l SET until = p_now + interval '1 minute' WHERE l.job = r.job AND l.until = r.at;
                    END IF;
            END;
        END IF;
        IF did THEN
            handled := handled + 1;
        ELSE
            passed := passed + 1;
        END IF;
    END LOOP;
    CLOSE due;
    RETURN handled;
END $$;

-- Puts a job of a special queue that is due into its line.
CREATE OR REPLACE FUNCTION await.line_up(d await.delayed) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    q await.queue;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = d.lane >> 8;
    IF FOUND THEN
        PERFORM await.stand_in_line(q, d.lane, d.owner, d.job, d.attempt);
    END IF;
END $$;

-- Moves delayed jobs that are due into their lanes, p_limit at most. A lane that another transaction is just creating is left out.
CREATE OR REPLACE FUNCTION await.move_due(p_limit int, p_now timestamptz) RETURNS int
LANGUAGE plpgsql VOLATILE
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    busy  bigint[] := '{}';
    lanes bigint[];
    lane  bigint;
    moved int;
    owned await.delayed[];                   -- of special queues
BEGIN
    LOOP
        SELECT array_agg(DISTINCT d.lane) INTO lanes FROM (
            SELECT d.lane FROM await.delayed d WHERE d.due <= p_now AND d.lane <> ALL (busy) ORDER BY d.due, d.pos LIMIT p_limit) d
            WHERE NOT EXISTS (SELECT FROM await.lane_in_use u WHERE u.lane = d.lane)
              AND EXISTS (SELECT FROM await.queue q WHERE q.id = d.lane >> 8);
        EXIT WHEN lanes IS NULL OR cardinality(busy) >= 3;
        FOREACH lane IN ARRAY lanes LOOP
            BEGIN
                PERFORM await.open_lane(lane);
            EXCEPTION WHEN lock_not_available OR serialization_failure OR deadlock_detected THEN
                busy := busy || lane;
                EXIT WHEN cardinality(busy) >= 3;
            END;
        END LOOP;
    END LOOP;
    busy := busy || lanes;                   -- not opened: next time
    PERFORM await.reserve_positions();
    WITH due AS MATERIALIZED (
        SELECT d.due, d.pos FROM await.delayed d WHERE d.due <= p_now AND d.lane <> ALL (busy)
        ORDER BY d.due, d.pos LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM await.delayed d USING due k WHERE d.due = k.due AND d.pos = k.pos RETURNING d.*
    ), now_ready AS (
        INSERT INTO await.ready (lane, pos, job, attempt)
        SELECT s.lane, nextval('await.pos'), s.job, s.attempt
        FROM (SELECT g.* FROM gone g WHERE EXISTS (SELECT FROM await.queue q WHERE q.id = g.lane >> 8) -- else it went, and its jobs
                AND g.owner IS NULL ORDER BY g.due, g.pos) s
    )
    SELECT count(*), array_agg(DISTINCT g.lane), array_agg(g::await.delayed ORDER BY g.due, g.pos) FILTER (WHERE g.owner IS NOT NULL)
        INTO moved, lanes, owned FROM gone g;
    IF owned IS NOT NULL THEN
        PERFORM await.line_up(d) FROM unnest(owned) d;
    END IF;
    IF await.notifies() THEN
        PERFORM await.notify_lanes(lanes);
    END IF;
    RETURN moved;
END $$;

-- The same one by one, after move_due() failed. A job that cannot be moved is put off by a minute, with a warning; the jobs of a lane
-- that another transaction has locked are left out.
CREATE OR REPLACE FUNCTION await.move_each_due(p_limit int, p_now timestamptz) RETURNS int
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    r     await.delayed;
    moved int := 0;
    busy  bigint[] := '{}';
BEGIN
    PERFORM await.reserve_positions();
    FOR r IN SELECT d.* FROM await.delayed d WHERE d.due <= p_now ORDER BY d.due, d.pos LIMIT p_limit FOR UPDATE SKIP LOCKED LOOP
        EXIT WHEN cardinality(busy) >= 3;
        CONTINUE WHEN r.lane = ANY (busy);
        BEGIN
            DELETE FROM await.delayed d WHERE d.due = r.due AND d.pos = r.pos;
            IF EXISTS (SELECT FROM await.queue q WHERE q.id = r.lane >> 8) THEN
                PERFORM await.open_lane(r.lane);
                PERFORM await.line_up(r);
                IF await.notifies() THEN
                    PERFORM await.notify_lanes(ARRAY[r.lane]);
                END IF;
            END IF;
            moved := moved + 1;
        EXCEPTION
            WHEN lock_not_available OR serialization_failure OR deadlock_detected THEN
                busy := busy || r.lane;
            WHEN OTHERS THEN
                RAISE WARNING 'await: job % is due and cannot be moved into its queue: %', r.job, sqlerrm;
                UPDATE await.delayed d SET due = p_now + interval '1 minute' WHERE d.due = r.due AND d.pos = r.pos;
        END;
    END LOOP;
    RETURN moved;
END $$;

-- Handles what time brings: expired leases, deadlines, delayed jobs that are due, and the horizon; at most `p_limit` of each, oldest
-- first; of delayed jobs, which are moved all at once, five times as many. Waits for nobody. Returns how many rows it handled: as many as
-- p_limit, or more, mean that there is more to do.
--
-- The time is taken once: clock_timestamp() is volatile, so a condition with it would not use an index. Each part is tried as one; if
-- that fails, row by row, so that one row that cannot be handled stops no other.
CREATE OR REPLACE FUNCTION await.reap(p_limit int DEFAULT 1000) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET lock_timeout = '200ms'
AS $$
DECLARE
    most    int := least(greatest(coalesce(p_limit, 1000), 1), 10000);
    now_at  timestamptz := clock_timestamp();
    handled int := 0;
BEGIN
    FOR part IN 0 .. 1 LOOP
        BEGIN
            handled := handled + await.reap_rows(part = 1, most, now_at, false);
        EXCEPTION WHEN OTHERS THEN
            handled := handled + await.reap_rows(part = 1, most, now_at, true);
        END;
    END LOOP;
    BEGIN
        handled := handled + await.move_due(most * 5, now_at);
    EXCEPTION
        WHEN serialization_failure OR lock_not_available THEN
            NULL;                            -- in an old snapshot others were faster
        WHEN OTHERS THEN
            handled := handled + await.move_each_due(most, now_at);
    END;
    PERFORM await.advance_horizon();
    RETURN handled;
END $$;
