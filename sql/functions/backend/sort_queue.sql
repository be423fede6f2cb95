-- After await.set_queue(): of the jobs that waited in the queue already, from position `after` on, p_limit at most come
-- into the order that the settings ask for. Returns the position to go on from; NULL: there are no more.
CREATE OR REPLACE FUNCTION await.sort_queue(queue text, after bigint DEFAULT 0, p_limit int DEFAULT 5000) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    q    await.queue;
    r    record;
    last bigint;
    upto CONSTANT bigint := (SELECT s.last_value FROM await.pos s);
    n    int := 0;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.name = sort_queue.queue;
    IF NOT FOUND OR q.fair IS NULL AND q.max_running_per_owner IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM await.reserve_positions();
    FOR r IN SELECT y.lane, y.pos, y.job, y.attempt, y.owner AS named, j.owner FROM (
                 SELECT x.* FROM await.lane_in_use m CROSS JOIN LATERAL (
                     SELECT o.* FROM await.ready o WHERE o.lane = m.lane AND o.pos > after AND o.pos <= upto
                     ORDER BY o.pos LIMIT least(p_limit, 100000) FOR UPDATE SKIP LOCKED) x
                 WHERE m.lane >> 8 = q.id ORDER BY x.pos LIMIT least(p_limit, 100000)) y
             LEFT JOIN await.job j ON j.class = await.class(y.job) AND j.id = y.job ORDER BY y.pos LOOP
        n := n + 1;
        last := r.pos;
        CONTINUE WHEN r.owner IS NULL OR r.named IS NOT NULL;
        DELETE FROM await.ready y WHERE y.lane = r.lane AND y.pos = r.pos;
        PERFORM await.stand_in_line(q, r.lane, r.owner, r.job, r.attempt);
    END LOOP;
    RETURN CASE WHEN n = least(p_limit, 100000) THEN last END;
END $$;
