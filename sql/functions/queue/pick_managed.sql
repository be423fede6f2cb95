-- Moves the low-water mark of the leases of a queue. The caller has taken the turn (await.take_turn), so no claim is
-- under way.
CREATE OR REPLACE FUNCTION await.advance_running(p_queue int4) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    old   bigint := coalesce((SELECT max(m.pos) FROM await.low_water m WHERE m.lane = -p_queue), 0);
    first bigint;
BEGIN
    SELECT l.no INTO first FROM await.lease l WHERE l.queue = p_queue AND l.no >= old ORDER BY l.no LIMIT 1;
    first := coalesce(first, (SELECT s.last_value FROM await.pos s));
    IF first > old + 100 THEN
        INSERT INTO await.low_water (lane, pos) VALUES (-p_queue, first);
        DELETE FROM await.low_water m WHERE m.ctid = ANY (ARRAY(
            SELECT o.ctid FROM await.low_water o WHERE o.lane = -p_queue AND o.pos <= old FOR UPDATE SKIP LOCKED));
    END IF;
END $$;

-- Locks the first p_width ready jobs of a lane, in their order. Those that are beyond the limit of their owner are
-- `over`.
CREATE OR REPLACE FUNCTION await.look_at_line(q await.queue, p_lane bigint, p_mark bigint, p_width int)
RETURNS TABLE (pos bigint, job uuid, attempt int2, owner text, origin bigint, over boolean)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
BEGIN
    IF q.max_running_per_owner IS NULL THEN
        RETURN QUERY SELECT r.pos, r.job, r.attempt, r.owner, r.origin, false FROM await.ready r
            WHERE r.lane = p_lane AND r.pos >= p_mark ORDER BY r.pos LIMIT p_width FOR UPDATE SKIP LOCKED;
        RETURN;
    END IF;
    RETURN QUERY
    WITH locked AS MATERIALIZED (
        SELECT r.pos, r.job, r.attempt, r.origin FROM await.ready r
        WHERE r.lane = p_lane AND r.pos >= p_mark ORDER BY r.pos LIMIT p_width FOR UPDATE SKIP LOCKED
    -- by the job: the row says it only if the queue was special when it was written
    ), named AS MATERIALIZED (
        SELECT l.*, j.owner, row_number() OVER (PARTITION BY j.owner ORDER BY l.pos) AS nth
        FROM locked l LEFT JOIN await.job j ON j.class = await.class(l.job) AND j.id = l.job
    ), limited AS MATERIALIZED (
        SELECT o.owner, q.max_running_per_owner - u.n AS rest FROM (SELECT DISTINCT n.owner FROM named n
            WHERE n.owner IS NOT NULL) o
        CROSS JOIN LATERAL await.running(q.id, p_lane, o.owner, q.max_running_per_owner, false) u
    )
    SELECT n.pos, n.job, n.attempt, n.owner, n.origin, n.owner IS NOT NULL AND n.nth > l.rest
    FROM named n LEFT JOIN limited l ON l.owner = n.owner ORDER BY n.pos;
END $$;

-- Takes up to p_wanted jobs of a lane of a managed queue for await.claim(): as many as its limits permit. Those beyond
-- their owner's limit go to await.held, so that they stand in nobody's way: at most 10,000 in one call.
CREATE OR REPLACE FUNCTION await.pick_managed(p_queue int4, p_lane bigint, p_mark bigint, p_wanted int,
    OUT jobs uuid[], OUT attempts int2[], OUT in_lanes bigint[], OUT in_pos bigint[], OUT owners text[],
        OUT origins bigint[])
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    q       await.queue;
    limited boolean;
    most    int := p_wanted;
    width   int := p_wanted;
    r       record;
    over    int;
    passed  int := 0;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = p_queue;
    limited := q.max_running IS NOT NULL OR q.max_running_per_owner IS NOT NULL;
    IF limited THEN
        IF NOT await.take_turn(p_queue) THEN
            RETURN;
        END IF;
        PERFORM await.advance_running(p_queue);
        IF q.max_running IS NOT NULL THEN
            most := least(most, q.max_running - (SELECT u.n FROM await.running(p_queue, NULL, NULL, q.max_running,
                false) u));
        END IF;
    END IF;
    PERFORM await.reserve_positions();
    WHILE most > 0 AND passed < 10000 LOOP
        over := 0;
        FOR r IN SELECT * FROM await.look_at_line(q, p_lane, p_mark, width) LOOP
            CONTINUE WHEN NOT r.over AND cardinality(jobs) >= most;
            DELETE FROM await.ready y WHERE y.lane = p_lane AND y.pos = r.pos;
            IF r.over THEN
                PERFORM await.hold_job(p_lane, r.owner, coalesce(r.origin, r.pos), r.job, r.attempt);
                over := over + 1;
            ELSE
                jobs := jobs || r.job;
                attempts := attempts || r.attempt;
                in_lanes := in_lanes || p_lane;
                in_pos := in_pos || r.pos;
                owners := array_append(owners, r.owner);
                origins := array_append(origins, coalesce(r.origin, r.pos));
            END IF;
        END LOOP;
        EXIT WHEN jobs IS NOT NULL OR over = 0;
        passed := passed + over;
        width := least(greatest(width * 4, 200), 2000);
    END LOOP;
END $$;
