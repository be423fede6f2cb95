-- Ends a job that has not ended. Returns 'cancelled'; 'already': it was cancelled before; 'ended': it has another ending; NULL:
-- unknown. A worker that has the job learns of it by its next heartbeat.
CREATE OR REPLACE FUNCTION await.cancel(id uuid) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    h await.job_head := await.lock_job(cancel.id);
BEGIN
    IF h.id IS NULL THEN
        RETURN NULL;
    ELSIF h.ended THEN
        RETURN CASE h.state WHEN 'cancelled' THEN 'already' ELSE 'ended' END;
    END IF;
    PERFORM await.append_event(h, 'cancelled', 'cancelled');
    RETURN 'cancelled';
END $$;
