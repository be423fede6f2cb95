-- How many jobs of a queue can be claimed: counted up to p_most at both ends of each lane, and beyond that `about` so
-- many, by how close their positions are. `since`: when the first of them could have been claimed.
CREATE OR REPLACE FUNCTION await.console_depth(p_queue int4, p_most int, OUT ready bigint, OUT about boolean,
    OUT since timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    m     record;
    head  record;
    tail  record;
    first timestamptz;
    most  int := p_most;
BEGIN
    ready := 0;
    about := false;
    -- the numbers of a queue's lanes are beside each other
    FOR m IN SELECT l.lane, coalesce((SELECT w.pos FROM await.low_water w WHERE w.lane = l.lane
                                      ORDER BY w.lane DESC, w.pos DESC LIMIT 1), 0) AS mark
             FROM await.lane_in_use l WHERE l.lane >= p_queue::bigint << 8 AND l.lane < (p_queue + 1)::bigint << 8
             ORDER BY l.lane LOOP
        SELECT count(*) AS n, min(x.pos) AS low, max(x.pos) AS high, (array_agg(x.job ORDER BY x.pos))[1] AS job INTO head
            FROM (SELECT r.pos, r.job FROM await.ready r WHERE r.lane = m.lane AND r.pos >= m.mark
                  ORDER BY r.lane, r.pos LIMIT most) x;
        CONTINUE WHEN head.n = 0;
        ready := ready + head.n;
        SELECT coalesce((SELECT (e.data ->> 'retry_at')::timestamptz FROM await.event e
                         WHERE e.class = j.class AND e.job = j.id AND e.type = 'pending' ORDER BY e.seq DESC LIMIT 1),
                        greatest(j.created_at, j.due))
            INTO first FROM await.job j WHERE j.class = await.class(head.job) AND j.id = head.job;
        since := least(since, first);
        IF head.n = most THEN
            SELECT count(*) AS n, min(x.pos) AS low, max(x.pos) AS high INTO tail
                FROM (SELECT r.pos FROM await.ready r WHERE r.lane = m.lane AND r.pos > head.high
                      ORDER BY r.lane DESC, r.pos DESC LIMIT most) x;
            ready := ready + tail.n;
            IF tail.n = most AND tail.low > head.high + 1 THEN
                about := true;
                ready := ready + ((tail.low - head.high - 1) * (head.n + tail.n)::float8
                    / (head.high - head.low + tail.high - tail.low + 2))::bigint;
            END IF;
        END IF;
        most := greatest(most - head.n, 10); -- a queue may have 201 lanes
    END LOOP;
END $$;
