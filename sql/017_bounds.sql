-- What many share has bounds: the numbers and names of queues, the lanes, the marks, and the locks. Queue numbers become
-- int4 and lanes int8: this file writes await.job anew, which takes about as long as reading it once, and submissions
-- wait meanwhile.

CREATE TABLE await.limits (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    queues     int NOT NULL DEFAULT 10000 CHECK (queues >= 0),  -- that came by their first use; edges' own do not count
    topics     int NOT NULL DEFAULT 100000 CHECK (topics >= 0),
    topic_keep interval NOT NULL DEFAULT '7 days' CHECK (topic_keep >= '1 hour') -- a topic without an event for so long goes
);
INSERT INTO await.limits DEFAULT VALUES;

-- --- wider numbers ---------------------------------------------------------------------------------------------------

-- The narrow enqueue and open_lane stay: a submission that waits for this file's end goes on to call them.
DROP FUNCTION await.newest_mark(int4), await.queue_id(text), await.lane(int2, int2);
ALTER TABLE await.queue ALTER id TYPE int4;
ALTER TABLE await.queue ALTER id SET CYCLE;  -- numbers of queues that went are taken again, should it ever come to that
ALTER TABLE await.queue ADD named boolean NOT NULL DEFAULT false; -- by a configuration, or ours: stays
UPDATE await.queue SET named = true WHERE name = '.topic';
ALTER TABLE await.job ALTER queue TYPE int4;
ALTER TYPE await.head ALTER ATTRIBUTE queue TYPE int4;
ALTER TABLE await.ready ALTER lane TYPE bigint;
ALTER TABLE await.delayed ALTER lane TYPE bigint;
ALTER TABLE await.lane_in_use ALTER lane TYPE bigint;
CREATE INDEX lane_of_queue ON await.lane_in_use ((lane >> 8)); -- what await.claim asks by

CREATE FUNCTION await.lane(queue int4, priority int2) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT queue::bigint << 8 | (100 - priority) $$;

-- --- queues and lanes that come by their first use, and go ---------------------------------------------------------

-- On which days a queue got jobs of a class: for so long as they are kept it stays. Two transactions may note the same;
-- a unique index would have one wait for the other, however long that is.
CREATE TABLE await.queue_used (queue int4 NOT NULL, class int2 NOT NULL, day date NOT NULL);
CREATE INDEX queue_used_day ON await.queue_used (queue, class, day);
INSERT INTO await.queue_used SELECT q.id, r.class, (now() AT TIME ZONE 'UTC')::date
    FROM await.queue q, await.retention r WHERE r.keep IS NOT NULL;
INSERT INTO await.queue_used SELECT DISTINCT j.queue, 3, (now() AT TIME ZONE 'UTC')::date
    FROM await.job j WHERE j.class = 3 AND j.id < 'ffffffff-0000-0000-0000-000000000000';

-- How many queues came by their first use, or more: counted up where one is made, and set right where it says that there is
-- no room. Counting rows for each new name would cost what a stranger's thousands of names cost.
CREATE SEQUENCE await.queues MINVALUE 0 START 0;
SELECT setval('await.queues', (SELECT count(*) FROM await.queue q WHERE NOT q.named));

CREATE FUNCTION await.is_full() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    most int := (SELECT l.queues FROM await.limits l);
BEGIN
    IF (SELECT last_value FROM await.queues) < most THEN
        RETURN false;
    END IF;
    PERFORM setval('await.queues', (SELECT count(*) FROM await.queue q WHERE NOT q.named));
    RETURN (SELECT last_value FROM await.queues) >= most;
END $$;

-- A queue's number; the queue is made at its first use. `p_named`: an operator named it, so it counts for no limit.
CREATE FUNCTION await.queue_id(p_name text, p_named boolean DEFAULT false) RETURNS int4 LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    found_id int4;
BEGIN
    SELECT q.id INTO found_id FROM await.queue q WHERE q.name = p_name;
    IF FOUND THEN
        RETURN found_id;
    ELSIF p_name IS NULL OR p_name !~ '^[A-Za-z0-9_.-]{1,64}$' THEN
        RAISE EXCEPTION 'a queue''s name is 1 to 64 of A-Z a-z 0-9 _ . -, not %', quote_nullable(left(p_name, 80)) USING ERRCODE = '22023';
    ELSIF NOT p_named AND await.is_full() THEN
        RAISE EXCEPTION 'there are as many queues as await.limits allows; % is not made', quote_literal(p_name)
            USING ERRCODE = '53400', HINT = 'name it literally in the configuration, or raise await.limits.queues';
    END IF;
    FOR i IN 1 .. 100 LOOP                   -- another may make it meanwhile, or have the number
        INSERT INTO await.queue (name, named) VALUES (p_name, p_named) ON CONFLICT DO NOTHING;
        IF FOUND AND NOT p_named THEN
            PERFORM nextval('await.queues');
        END IF;
        SELECT q.id INTO found_id FROM await.queue q WHERE q.name = p_name;
        EXIT WHEN FOUND;
    END LOOP;
    IF found_id IS NULL THEN
        RAISE EXCEPTION 'queue % cannot be made', quote_literal(p_name) USING ERRCODE = '53400';
    END IF;
    RETURN found_id;
END $$;

-- A queue is about to get a job of this class.
CREATE FUNCTION await.note_use(p_queue int4, p_class int2) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
BEGIN
    IF NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = p_queue AND u.class = p_class AND u.day = today) THEN
        INSERT INTO await.queue_used (queue, class, day) VALUES (p_queue, p_class, today);
    END IF;
END $$;

CREATE FUNCTION await.open_lane(p_lane bigint) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM await.lane_in_use m WHERE m.lane = p_lane) THEN
        INSERT INTO await.lane_in_use (lane) VALUES (p_lane) ON CONFLICT (lane) DO NOTHING;
    END IF;
END $$;

-- Puts a job (back) in its lane, now or when due.
CREATE FUNCTION await.enqueue(p_job uuid, p_queue int4, p_priority int2, p_attempt int2, p_due timestamptz DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    in_lane bigint := await.lane(p_queue, p_priority);
BEGIN
    IF p_due > clock_timestamp() THEN
        INSERT INTO await.delayed (due, lane, job, attempt) VALUES (p_due, in_lane, p_job, p_attempt);
        RETURN;
    END IF;
    PERFORM await.announce();
    PERFORM await.open_lane(in_lane);
    INSERT INTO await.ready (lane, pos, job, attempt) VALUES (in_lane, nextval('await.pos'), p_job, p_attempt);
END $$;

-- Removes queues and lanes that came by their use and have none. Whoever submits reads await.queue and await.lane_in_use,
-- and so holds a lock on them until its end: behind the lock that excludes it there is no submission under way, and what
-- is seen then is all there is (t/model/queue.pml). That lock is tried for a moment only, and when there is something to
-- remove.
CREATE FUNCTION await.purge_queues() RETURNS SETOF text LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET lock_timeout = '200ms' AS $$
DECLARE
    today   date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    idle    int4[];
    gone    int4[];
    orphans int4[];                          -- of lanes without a queue
    queues  int;
    lanes   int;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN;
    END IF;
    DELETE FROM await.queue_used u USING await.retention r
        WHERE r.class = u.class AND r.keep IS NOT NULL AND u.day + r.step + r.keep + interval '3 days' < today;
    -- marks that a newer one of their lane has left behind; a mark that is missing costs time and nothing else
    DELETE FROM await.mark m WHERE m.ctid = ANY (ARRAY(SELECT o.ctid FROM await.mark o
        WHERE NOT EXISTS (SELECT FROM await.lane_in_use l WHERE l.lane = o.lane)
           OR EXISTS (SELECT FROM await.mark n WHERE n.lane = o.lane AND n.pos > o.pos) FOR UPDATE SKIP LOCKED));
    SELECT array_agg(q.id) INTO idle FROM await.queue q
        WHERE NOT q.named AND NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = q.id AND u.day >= today - 1)
          AND (NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = q.id)
               OR EXISTS (SELECT FROM await.lane_in_use l WHERE l.lane >> 8 = q.id));
    SELECT array_agg(DISTINCT (l.lane >> 8)::int4) INTO orphans FROM await.lane_in_use l
        WHERE NOT EXISTS (SELECT FROM await.queue q WHERE q.id = l.lane >> 8);
    IF idle IS NULL AND orphans IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        LOCK TABLE await.queue, await.lane_in_use IN ACCESS EXCLUSIVE MODE;
        SELECT array_agg(q.id) INTO idle FROM await.queue q
            WHERE q.id = ANY (idle) AND NOT q.named AND NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = q.id AND u.day >= today - 1);
        -- jobs of these are gone; what still waits in a lane waits for nothing
        SELECT array_agg(q.id) INTO gone FROM await.queue q
            WHERE q.id = ANY (idle) AND NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = q.id)
              AND (q.lease, q.max_attempts, q.backoff_min, q.backoff_max) = ('5 minutes'::interval, 5, '2 seconds'::interval, '1 hour'::interval);
        DELETE FROM await.queue q WHERE q.id = ANY (gone);
        GET DIAGNOSTICS queues = ROW_COUNT;
        gone := gone || ARRAY(SELECT o.id FROM unnest(orphans) o (id) WHERE NOT EXISTS (SELECT FROM await.queue q WHERE q.id = o.id));
        DELETE FROM await.lane_in_use l USING (SELECT unnest(idle) UNION SELECT unnest(gone)) q (id)
            WHERE l.lane >> 8 = q.id AND (coalesce(q.id = ANY (gone), false) OR NOT EXISTS (
                SELECT FROM await.ready r WHERE r.lane = l.lane
                  AND r.pos >= coalesce((SELECT m.pos FROM await.mark m WHERE m.lane = l.lane ORDER BY m.pos DESC LIMIT 1), 0)));
        GET DIAGNOSTICS lanes = ROW_COUNT;
        DELETE FROM await.ready r USING unnest(gone) q (id) WHERE r.lane >= q.id::bigint << 8 AND r.lane < (q.id::bigint + 1) << 8;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        RETURN NEXT 'busy queues';           -- behind a long reader, or who has such a row: try again next time
        RETURN;
    END;
    IF lanes > 0 THEN
        RETURN NEXT format('dropped %s lanes', lanes);
    END IF;
    IF queues > 0 THEN
        RETURN NEXT format('dropped %s queues', queues);
    END IF;
END $$;

-- --- the marks -----------------------------------------------------------------------------------------------------

-- Below it lies no position that a transaction under way has drawn or may yet draw; as it was a moment ago, and true for
-- ever. A sequence: read and set outside of any transaction.
CREATE SEQUENCE await.horizon MINVALUE 0 START 0;
ALTER TABLE await.mark DROP CONSTRAINT mark_pkey;
ALTER TABLE await.mark ALTER lane TYPE bigint, ADD moved bigint NOT NULL DEFAULT 0; -- when, as await.marked has it
CREATE INDEX mark_of_lane ON await.mark (lane, pos); -- not unique: who moves a mark waits for nobody

-- Says that this transaction is about to draw positions, once. The lock's number is a lower bound of what it will draw: the
-- sequence's last value. Anybody may hold that very lock against us, and nobody waits for it: then it is a number at random
-- below, and farther below with each try. Meanwhile the marks stay behind that one. 48 bits with a sign.
CREATE OR REPLACE FUNCTION await.announce() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    last_pos bigint;
BEGIN
    IF current_setting('await.announced', true) IS NOT DISTINCT FROM transaction_timestamp()::text THEN
        RETURN;
    END IF;
    SELECT last_value INTO last_pos FROM await.pos;
    FOR bits IN 0 .. 40 BY 4 LOOP
        IF pg_try_advisory_xact_lock_shared((x'4157'::bigint << 48)
                | ((last_pos - floor(random() * (1::bigint << bits))::bigint) & x'ffffffffffff'::bigint)) THEN
            PERFORM set_config('await.announced', transaction_timestamp()::text, true);
            RETURN;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'somebody holds the advisory locks that announce positions' USING ERRCODE = '55P03', HINT = 'see pg_locks, classid 1096220672 and above';
END $$;

-- Moves the horizon: last value first, then the announced positions (t/model/queue.pml). A lock with such a number is
-- believed only of who holds await.ready for writing, which takes the right to use the schema: anybody may take the lock.
-- Who has announced and not yet opened await.ready has drawn nothing yet, so draws more than the last value. No join: of
-- announcements that are not to be believed there may be as many as PostgreSQL has locks.
CREATE OR REPLACE FUNCTION await.advance_marks() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    last_pos  bigint;
    announced bigint;
BEGIN
    SELECT last_value INTO last_pos FROM await.pos;
    WITH held AS MATERIALIZED (
        SELECT l.locktype, l.relation, l.mode, l.classid::bigint AS high, l.objid::bigint AS low, l.objsubid, l.virtualtransaction
        FROM pg_locks l WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND l.locktype IN ('advisory', 'relation') AND l.granted
    )
    SELECT min((((a.high & x'ffff'::bigint) << 48) | (a.low << 16)) >> 16) INTO announced FROM held a
        WHERE a.locktype = 'advisory' AND a.objsubid = 1 AND a.high >> 16 = x'4157'::bigint
          AND a.virtualtransaction = ANY (ARRAY(SELECT w.virtualtransaction FROM held w WHERE w.locktype = 'relation'
                                                AND w.relation = 'await.ready'::regclass AND w.mode = 'RowExclusiveLock'));
    PERFORM setval('await.horizon', greatest(least(last_pos, announced), 0));
END $$;

-- Where claim starts reading a lane: no ready row lies below. Moves it on first, once in a twentieth of a second: so a mark
-- costs only who claims from its lane. The horizon is read before the ready rows are looked at.
CREATE FUNCTION await.newest_mark(p_lane bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    safe  bigint := (SELECT last_value FROM await.horizon);
    this  bigint := (SELECT last_value FROM await.marked);
    old   await.mark;
    first bigint;
BEGIN
    SELECT * INTO old FROM await.mark m WHERE m.lane = p_lane ORDER BY m.pos DESC LIMIT 1;
    old.pos := coalesce(old.pos, 0);
    IF this = old.moved OR safe <= old.pos OR current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN old.pos;
    END IF;
    SELECT min(r.pos) INTO first FROM await.ready r WHERE r.lane = p_lane AND r.pos >= old.pos;
    first := least(first, safe);
    IF first > old.pos THEN
        INSERT INTO await.mark (lane, pos, moved) VALUES (p_lane, first, this);
        DELETE FROM await.mark m WHERE m.ctid = ANY (ARRAY(
            SELECT o.ctid FROM await.mark o WHERE o.lane = p_lane AND o.pos = old.pos FOR UPDATE SKIP LOCKED));
    END IF;
    RETURN greatest(first, old.pos);
END $$;

-- --- time, without a lock ------------------------------------------------------------------------------------------

-- Whose turn something is that one does at a time: the row's lock, tried only.
CREATE TABLE await.turn (what text PRIMARY KEY);
INSERT INTO await.turn VALUES ('purge');

-- Moves the horizon if nobody has in this twentieth of a second. Two at once do it twice.
CREATE OR REPLACE FUNCTION await.advance_soon() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    this bigint := floor(extract(epoch FROM clock_timestamp()) * 20);
BEGIN
    IF (SELECT last_value FROM await.marked) = this THEN
        RETURN;
    END IF;
    PERFORM setval('await.marked', this);
    PERFORM await.advance_marks();
END $$;

-- Reaps if nobody has done so in this second. The second stands in a sequence: read and set outside of any transaction,
-- no row to update and no lock that a caller could keep. Two at once are harmless: what one has taken the other skips.
CREATE OR REPLACE FUNCTION await.tick(p_limit int DEFAULT 100) RETURNS int LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    most        int := least(greatest(coalesce(p_limit, 100), 1), 10000);
    this_second bigint := floor(extract(epoch FROM clock_timestamp()));
    touched     int;
BEGIN
    IF (SELECT last_value FROM await.ticked) = this_second
        OR current_setting('transaction_isolation') <> 'read committed' THEN -- another will do more with this second
        RETURN 0;
    END IF;
    PERFORM setval('await.ticked', this_second);
    touched := await.reap(most);
    PERFORM await.forget_keys(most * 100);
    RETURN touched;
END $$;

-- As before, but a limit that is none is 100, and what another holds, for however long, is passed over.
CREATE OR REPLACE FUNCTION await.reap(p_limit int DEFAULT 100) RETURNS int LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    most    int := least(greatest(coalesce(p_limit, 100), 1), 10000);
    now_at  timestamptz := clock_timestamp();
    r       record;
    h       await.head;
    touched int := 0;
    passed  int := 0;                        -- another has them
BEGIN
    FOR r IN SELECT l.job, l.attempt FROM await.lease l WHERE l.until < now_at ORDER BY l.until LOOP
        EXIT WHEN touched >= most OR passed >= most * 100;
        h := await.lock_head(r.job, true);   -- job first, lease second: everybody's order
        IF h.id IS NULL THEN
            passed := passed + 1;
            CONTINUE;
        END IF;
        DELETE FROM await.lease l WHERE l.job = r.job AND l.attempt = r.attempt AND l.until < now_at;
        CONTINUE WHEN NOT FOUND;
        touched := touched + 1;
        CONTINUE WHEN h.ended;
        PERFORM await.give_back(h, r.attempt, jsonb_build_object('title', 'Lease expired', 'detail',
            format('the worker of attempt %s did not renew its lease in time', r.attempt)), interval '0');
    END LOOP;

    passed := 0;
    FOR r IN SELECT d.at, d.job FROM await.deadline d WHERE d.at <= now_at ORDER BY d.at LOOP
        EXIT WHEN touched >= most * 2 OR passed >= most * 100;
        h := await.lock_head(r.job, true);
        IF h.id IS NULL THEN
            passed := passed + 1;
            CONTINUE;
        END IF;
        DELETE FROM await.deadline d WHERE d.at = r.at AND d.job = r.job;
        CONTINUE WHEN NOT FOUND OR h.ended;
        PERFORM await.append(h, 'expired', 'expired');
        touched := touched + 1;
    END LOOP;

    PERFORM await.announce();
    FOR r IN DELETE FROM await.delayed d USING (
                 SELECT due, pos FROM await.delayed WHERE due <= now_at
                 ORDER BY due, pos LIMIT most FOR UPDATE SKIP LOCKED) k
             WHERE d.due = k.due AND d.pos = k.pos RETURNING d.* LOOP
        -- it was to wait longer than its queue, and so the job, was kept
        CONTINUE WHEN NOT EXISTS (SELECT FROM await.queue q WHERE q.id = r.lane >> 8);
        PERFORM await.open_lane(r.lane);
        INSERT INTO await.ready (lane, pos, job, attempt) VALUES (r.lane, nextval('await.pos'), r.job, r.attempt);
        touched := touched + 1;
    END LOOP;

    PERFORM await.advance_marks();
    RETURN touched;
END $$;

-- As before; no row that another holds is waited for.
CREATE OR REPLACE FUNCTION await.forget_keys(p_limit int) RETURNS void LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
    DELETE FROM await.idem i USING (SELECT o.owner, o.queue, o.key FROM await.idem o WHERE o.until <= now()
                                    ORDER BY o.until LIMIT p_limit FOR UPDATE SKIP LOCKED) old
    WHERE i.owner = old.owner AND i.queue = old.queue AND i.key = old.key;
    DELETE FROM await.ticket_used t USING (SELECT o.id FROM await.ticket_used o WHERE o.until <= now()
                                           ORDER BY o.until LIMIT p_limit FOR UPDATE SKIP LOCKED) old WHERE t.id = old.id;
    DELETE FROM await.revoked r USING (SELECT o.owner FROM await.revoked o WHERE o.at <= now() - interval '1 hour'
                                       LIMIT p_limit FOR UPDATE SKIP LOCKED) old WHERE r.owner = old.owner;
$$;
