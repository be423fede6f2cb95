-- Takes a job that has ended out of its line, in a special queue: it does not count as waiting any more, and the next
-- of its owner moves up. In other queues await.claim() drops it. What a claim has locked is left to it.
CREATE OR REPLACE FUNCTION await.leave_line(h await.job_head) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    q    await.queue;
    gone record;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = h.queue AND k.special;
    IF NOT FOUND OR h.owner IS NULL THEN
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
    DELETE FROM await.delayed d WHERE d.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.delayed o
        WHERE o.lane = await.lane(h.queue, h.priority) AND o.owner = h.owner AND o.job = h.id FOR UPDATE SKIP LOCKED));
END $$;
