-- Ends a job that has not ended. Returns 'cancelled'; 'already': it was cancelled before; 'ended': it has another ending; NULL:
-- unknown. A worker that has the job learns of it by its next heartbeat. Of a batch it cancels the jobs that have not ended, too:
-- the first of them at once, the others within seconds.
CREATE OR REPLACE FUNCTION await.cancel(id uuid) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    h await.job_head := await.lock_job(cancel.id);
BEGIN
    IF h.id IS NULL OR h.id >= 'ffffffff-0000-0000-0000-000000000000' THEN
        RETURN NULL;                         -- topics are no jobs
    ELSIF h.ended THEN
        RETURN CASE h.state WHEN 'cancelled' THEN 'already' ELSE 'ended' END;
    END IF;
    IF await.is_batch(cancel.id) THEN
        PERFORM await.append_event(h, 'cancelled', 'cancelled', await.batch_totals(cancel.id));
        IF current_setting('transaction_isolation') = 'read committed' THEN
            PERFORM await.cancel_batch_jobs(cancel.id, 100);
        END IF;
    ELSE
        PERFORM await.append_event(h, 'cancelled', 'cancelled');
        PERFORM await.leave_line(h);
    END IF;
    RETURN 'cancelled';
END $$;
