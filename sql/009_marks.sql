-- The marks of the lanes, moved twenty times a second and without a row that is updated. Under a snapshot that
-- somebody holds, dead rows stay: a claim walks over those between the mark and the first that is alive, so the
-- mark has to be near; and a mark that is updated would itself grow a tail of dead versions. The newest mark of
-- a lane is found from above, so what lies below is never read.

CREATE TABLE await.lane_in_use (lane int4 PRIMARY KEY);
INSERT INTO await.lane_in_use SELECT lane FROM await.mark;
ALTER TABLE await.mark DROP CONSTRAINT mark_pkey;
ALTER TABLE await.mark ADD PRIMARY KEY (lane, pos);
ALTER TABLE await.mark SET (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.02);

CREATE SEQUENCE await.marked MINVALUE 0 START 0; -- the twentieth of a second in which somebody last did it

CREATE OR REPLACE FUNCTION await.open_lane(p_lane int4) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM await.lane_in_use m WHERE m.lane = p_lane) THEN
        INSERT INTO await.lane_in_use (lane) VALUES (p_lane) ON CONFLICT (lane) DO NOTHING;
    END IF;
END $$;

-- Below it lies no ready row of the lane.
CREATE FUNCTION await.newest_mark(p_lane int4) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT m.pos FROM await.mark m WHERE m.lane = p_lane ORDER BY m.pos DESC LIMIT 1), 0)
$$;

-- As before (t/model/queue.pml): last value first, then the announced ones, then what is visible.
CREATE OR REPLACE FUNCTION await.advance_marks() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    last_pos  bigint;
    announced bigint;
    first     bigint;
    old       bigint;
    l         int4;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN;
    END IF;
    SELECT last_value INTO last_pos FROM await.pos;
    SELECT min(((l.classid::bigint & x'ffff'::bigint) << 32) | l.objid::bigint) INTO announced
        FROM pg_locks l
        WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.classid::bigint >> 16 = x'4157'::bigint
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database());
    FOR l IN SELECT u.lane FROM await.lane_in_use u FOR UPDATE SKIP LOCKED LOOP
        old := await.newest_mark(l);
        SELECT min(r.pos) INTO first FROM await.ready r WHERE r.lane = l AND r.pos >= old;
        first := least(first, announced, last_pos);
        IF first > old THEN
            INSERT INTO await.mark (lane, pos) VALUES (l, first);
            DELETE FROM await.mark m WHERE m.lane = l AND m.pos = old;
        END IF;
    END LOOP;
END $$;

-- Says that this transaction is about to draw positions, once: what it draws later is larger still, and one lock
-- for each of a hundred thousand submissions would fill PostgreSQL's lock table. The note goes with the lock, at
-- the end of the transaction or with a rollback to a savepoint.
CREATE OR REPLACE FUNCTION await.announce() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF current_setting('await.announced', true) IS DISTINCT FROM transaction_timestamp()::text THEN
        PERFORM pg_advisory_xact_lock_shared((x'4157'::bigint << 48) | (SELECT last_value FROM await.pos));
        PERFORM set_config('await.announced', transaction_timestamp()::text, true);
    END IF;
END $$;

-- Moves the marks if nobody has in this twentieth of a second. The locks are given back with the caller's
-- transaction at the latest; until then the others go on without.
CREATE FUNCTION await.advance_soon() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    this bigint := floor(extract(epoch FROM clock_timestamp()) * 20);
BEGIN
    IF (SELECT last_value FROM await.marked) >= this OR NOT pg_try_advisory_lock(x'4157'::int, 3) THEN
        RETURN;
    END IF;
    BEGIN
        PERFORM setval('await.marked', this);
        PERFORM await.advance_marks();
    EXCEPTION WHEN OTHERS THEN
        PERFORM pg_advisory_unlock(x'4157'::int, 3);
        RAISE;
    END;
    PERFORM pg_advisory_unlock(x'4157'::int, 3);
END $$;

-- Takes up to n jobs: highest priority first, then oldest. Each comes with a lease (default: the
-- job's, else the queue's) under the attempt's number. payload is null where payload_size > 64 KB:
-- read it by await.payload.
CREATE OR REPLACE FUNCTION await.claim(queues text[], worker text, n int DEFAULT 1, lease interval DEFAULT NULL)
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

REVOKE ALL ON FUNCTION await.newest_mark(int4), await.advance_soon() FROM PUBLIC;
