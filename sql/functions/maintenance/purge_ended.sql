-- Deletes ready rows of jobs that have ended or are gone, and that nobody has claimed since: they look like open jobs. Looks at
-- p_limit rows, from where the last call stopped, which is kept as one uuid: a lane and a position. True: there are more.
CREATE OR REPLACE FUNCTION await.purge_ready(p_limit int) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    place     text := coalesce((SELECT replace(s.upto::text, '-', '') FROM await.swept s WHERE s.what = 'ready' AND s.class = 0), repeat('0', 32));
    last_lane bigint := ('x' || left(place, 16))::bit(64)::bigint;
    last_pos  bigint := ('x' || right(place, 16))::bit(64)::bigint;
    seen      bigint;
BEGIN
    WITH page AS MATERIALIZED (
        SELECT y.lane, y.pos, y.job FROM await.ready y WHERE (y.lane, y.pos) > (last_lane, last_pos) ORDER BY y.lane, y.pos LIMIT p_limit
    ), ended AS MATERIALIZED (
        SELECT y.lane, y.pos FROM page g JOIN await.ready y ON y.lane = g.lane AND y.pos = g.pos
        WHERE EXISTS (SELECT FROM await.event e WHERE e.class = await.class(g.job) AND e.job = g.job AND e.ending)
           OR NOT EXISTS (SELECT FROM await.job j WHERE j.class = await.class(g.job) AND j.id = g.job)
        FOR UPDATE OF y SKIP LOCKED
    ), gone AS (
        DELETE FROM await.ready y USING ended e WHERE y.lane = e.lane AND y.pos = e.pos
    )
    SELECT count(*), max(g.lane), max(g.pos) FILTER (WHERE g.lane = (SELECT max(m.lane) FROM page m))
    INTO seen, last_lane, last_pos FROM page g;
    IF seen < p_limit THEN
        place := repeat('0', 32);
    ELSE
        place := lpad(to_hex(last_lane), 16, '0') || lpad(to_hex(last_pos), 16, '0');
    END IF;
    INSERT INTO await.swept VALUES ('ready', 0, place::uuid) ON CONFLICT ON CONSTRAINT swept_pkey DO UPDATE SET upto = excluded.upto;
    RETURN seen = p_limit;
END $$;

-- Deletes the jobs that are past their retention in partitions that stay because of others: those that have not ended, or ended
-- late. So one forgotten job does not keep a whole day. Each call goes on where the last one stopped and looks at p_limit jobs at
-- most. Nothing waits for a lock: a job that somebody has locked is left for the next round.
CREATE OR REPLACE FUNCTION await.purge_ended(p_limit int) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    r      record;
    last   uuid;
    upto   uuid;
    jobs   uuid[];
    found_old boolean := false;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN;
    END IF;
    FOR r IN SELECT o.relname, o.class, await.floor_id(o.starts) AS first, await.floor_id(o.ends) AS beyond, a.keep
             FROM await.old_partitions() o JOIN await.retention a ON a.class = o.class
             WHERE o.needed AND o.relname LIKE 'job%' ORDER BY o.starts, o.class LOOP
        found_old := true;
        last := coalesce((SELECT s.upto FROM await.swept s WHERE s.what = r.relname AND s.class = r.class), r.first);
        upto := coalesce((SELECT j.id FROM await.job j WHERE j.class = r.class AND j.id > last AND j.id < r.beyond
                          ORDER BY j.class, j.id OFFSET p_limit - 1 LIMIT 1), r.beyond);
        SELECT array_agg(k.id) INTO jobs FROM (
            SELECT j.id FROM await.job j
            CROSS JOIN LATERAL (SELECT FROM await.event e WHERE e.class = r.class AND e.job = j.id AND e.ending
                                AND e.at < clock_timestamp() - r.keep OFFSET 0) e
            WHERE j.class = r.class AND j.id > last AND j.id <= upto
              AND (j.batch IS NULL            -- a job stays as long as its batch
                   OR NOT EXISTS (SELECT FROM await.job b WHERE b.class = r.class AND b.id = j.batch)
                   OR EXISTS (SELECT FROM await.event e WHERE e.class = r.class AND e.job = j.batch AND e.ending
                              AND e.at < clock_timestamp() - r.keep))
            FOR UPDATE OF j SKIP LOCKED) k;
        DELETE FROM await.chunk c USING unnest(jobs) k (id) WHERE c.class = r.class AND c.job = k.id;
        DELETE FROM await.retried t USING unnest(jobs) k (id) WHERE t.class = r.class AND t.job = k.id;
        DELETE FROM await.event e USING unnest(jobs) k (id) WHERE e.class = r.class AND e.job = k.id;
        DELETE FROM await.job j USING unnest(jobs) k (id) WHERE j.class = r.class AND j.id = k.id;
        INSERT INTO await.swept VALUES (r.relname, r.class, CASE WHEN upto = r.beyond THEN r.first ELSE upto END)
            ON CONFLICT ON CONSTRAINT swept_pkey DO UPDATE SET upto = excluded.upto;
        IF jobs IS NOT NULL THEN
            RETURN NEXT format('dropped %s ended jobs of %s', cardinality(jobs), r.relname);
        END IF;
        IF upto < r.beyond THEN
            RETURN NEXT 'more ended jobs in ' || r.relname;
            RETURN;
        END IF;
    END LOOP;
    IF found_old AND await.purge_ready(p_limit) THEN
        RETURN NEXT 'more ready rows';
    END IF;
    -- what was noted of partitions that are gone
    DELETE FROM await.swept s WHERE s.what LIKE E'job\\_%' AND to_regclass('await.' || s.what) IS NULL;
    DELETE FROM await.late_ending l USING await.retention o WHERE o.class = l.class AND o.keep IS NOT NULL
        AND NOT await.has_partition('job', l.class, o.step, l.day::timestamp AT TIME ZONE 'UTC');
END $$;
