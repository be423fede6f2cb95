-- Takes a job out of the line of a queue whose waiting jobs are counted, if its row does not say whose job it is. The row
-- is near where the job began to wait. One that is not found is dropped by await.claim().
CREATE OR REPLACE FUNCTION await.leave_counted_line(h await.job_head) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    in_lane CONSTANT bigint := await.lane(h.queue, h.priority);
    place   bigint;
BEGIN
    DELETE FROM await.delayed d WHERE d.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.delayed o WHERE o.lane = in_lane AND o.owner IS NULL AND o.job = h.id
        FOR UPDATE SKIP LOCKED));
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT await.place_of(h.id, in_lane, coalesce((SELECT m.pos FROM await.low_water m WHERE m.lane = in_lane
               ORDER BY m.pos DESC LIMIT 1), 0),
           coalesce((SELECT e.eid FROM await.event e WHERE e.class = j.class AND e.job = j.id AND e.state = 'pending'
               ORDER BY e.seq DESC LIMIT 1), j.eid)) INTO place
        FROM await.job j WHERE j.class = await.class(h.id) AND j.id = h.id;
    DELETE FROM await.ready r WHERE r.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.ready o WHERE o.lane = in_lane AND o.pos BETWEEN place - 200 AND place + 200
            AND o.job = h.id FOR UPDATE SKIP LOCKED));
END $$;

-- Takes a job that has ended, and was `h` before, out of its line: in a special queue, and where waiting jobs are
-- counted. It does not count as waiting any more, and the next of its owner moves up. In other queues await.claim()
-- drops it. What a claim has locked is left to it.
CREATE OR REPLACE FUNCTION await.leave_line(h await.job_head) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    q    await.queue;
    gone record;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = h.queue AND (k.special OR k.rated);
    IF NOT FOUND OR h.state <> 'pending' THEN
        RETURN;
    ELSIF NOT q.special OR h.owner IS NULL THEN
        PERFORM await.leave_counted_line(h);
        RETURN;
    END IF;
    DELETE FROM await.ready r WHERE r.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.ready o WHERE o.job = h.id AND o.owner IS NOT NULL FOR UPDATE SKIP LOCKED))
        RETURNING r.lane, r.owner, r.origin INTO gone;
    IF gone.lane IS NOT NULL THEN
        IF q.fair IS NOT NULL OR q.max_running_per_owner IS NOT NULL THEN
            PERFORM await.admit_held(q, gone.lane, gone.owner, gone.origin);
        END IF;
        RETURN;
    END IF;
    DELETE FROM await.held y WHERE y.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.held o WHERE o.job = h.id FOR UPDATE SKIP LOCKED));
    IF FOUND THEN
        RETURN;
    END IF;
    DELETE FROM await.delayed d WHERE d.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.delayed o
        WHERE o.lane = await.lane(h.queue, h.priority) AND o.owner = h.owner AND o.job = h.id FOR UPDATE SKIP LOCKED));
    IF NOT FOUND THEN                        -- from before the queue was special
        PERFORM await.leave_counted_line(h);
    END IF;
END $$;
