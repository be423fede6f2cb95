-- After await.set_queue(): of the jobs that waited in the queue already, from position `after` on, p_limit at most come
-- into the order that the settings ask for: of each owner the first ones stay where they are, the others go to
-- await.held. Returns the position to go on from; NULL: there are no more.
CREATE OR REPLACE FUNCTION await.sort_queue(queue text, after bigint DEFAULT 0, p_limit int DEFAULT 5000) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    q    await.queue;
    r    record;
    most int;                                -- of an owner in a lane
    last bigint;
    upto CONSTANT bigint := (SELECT s.last_value FROM await.pos s);
    n    int := 0;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.name = sort_queue.queue;
    most := least(q.fair, q.max_running_per_owner, 1000);
    IF NOT FOUND OR q.fair IS NULL AND q.max_running_per_owner IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM await.reserve_positions();
    FOR r IN SELECT y.lane, y.pos, y.job, y.attempt, y.owner AS named, y.origin, y.mark, j.owner FROM (
                 SELECT x.*, m.mark FROM (
                     SELECT u.lane, coalesce((SELECT w.pos FROM await.low_water w WHERE w.lane = u.lane
                         ORDER BY w.pos DESC LIMIT 1), 0) AS mark
                     FROM await.lane_in_use u WHERE u.lane >> 8 = q.id) m
                 CROSS JOIN LATERAL (
                     SELECT o.* FROM await.ready o WHERE o.lane = m.lane AND o.pos > after AND o.pos >= m.mark
                         AND o.pos <= upto
                     ORDER BY o.pos LIMIT least(p_limit, 100000) FOR UPDATE SKIP LOCKED) x
                 ORDER BY x.pos LIMIT least(p_limit, 100000)) y
             LEFT JOIN await.job j ON j.class = await.class(y.job) AND j.id = y.job ORDER BY y.pos LOOP
        n := n + 1;
        last := r.pos;
        CONTINUE WHEN r.owner IS NULL;
        IF (SELECT count(*) FROM (SELECT FROM await.ready y WHERE y.lane = r.lane AND y.owner = r.owner
                AND y.pos >= r.mark AND y.pos < r.pos LIMIT most) x) >= most THEN
            DELETE FROM await.ready y WHERE y.lane = r.lane AND y.pos = r.pos;
            PERFORM await.hold_job(r.lane, r.owner, coalesce(r.origin, r.pos), r.job, r.attempt);
        ELSIF r.named IS NULL THEN           -- the row is written anew, as rows are never updated
            DELETE FROM await.ready y WHERE y.lane = r.lane AND y.pos = r.pos;
            INSERT INTO await.ready (lane, pos, job, attempt, owner, origin)
                VALUES (r.lane, r.pos, r.job, r.attempt, r.owner, r.pos);
        END IF;
    END LOOP;
    RETURN CASE WHEN n = least(p_limit, 100000) THEN last END;
END $$;
