-- Cancels jobs of a batch that was cancelled or has expired, p_limit at most. What somebody has locked is left for the
-- next call. After the last one the totals are kept in the batch's row, and what was noted for counting goes. The
-- caller has locked the batch. Returns how many jobs it cancelled; NULL: no open job is left.
CREATE OR REPLACE FUNCTION await.cancel_batch_jobs(p_batch uuid, p_limit int) RETURNS int
LANGUAGE plpgsql VOLATILE
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    one uuid;
    h   await.job_head;
    n   int := 0;
BEGIN
    FOR one IN SELECT o.job FROM await.batch_open o WHERE o.batch = p_batch ORDER BY o.job LIMIT p_limit
               FOR UPDATE SKIP LOCKED LOOP
        h := await.lock_job(one, true);
        IF h.ended IS FALSE THEN
            PERFORM await.append_event(h, 'cancelled', 'cancelled');
            PERFORM await.leave_line(h);
            n := n + 1;
        ELSIF NOT EXISTS (SELECT FROM await.job j WHERE j.class = await.class(one) AND j.id = one) THEN
            DELETE FROM await.batch_open o WHERE o.batch = p_batch AND o.job = one;
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM await.batch_open o WHERE o.batch = p_batch) THEN
        RETURN n;
    END IF;
    UPDATE await.job j SET extra = j.extra || jsonb_build_object('totals', await.batch_totals(p_batch))
        WHERE j.class = await.class(p_batch) AND j.id = p_batch;
    DELETE FROM await.batch_added a WHERE a.batch = p_batch;
    DELETE FROM await.batch_loss l WHERE l.batch = p_batch;
    RETURN NULL;
END $$;
