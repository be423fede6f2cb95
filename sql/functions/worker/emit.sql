-- Writes a custom event into the job's history. Returns its seq (for a repeated event_id the seq it got the first time); NULL
-- when this claim no longer holds the job.
CREATE OR REPLACE FUNCTION await.emit(id uuid, receipt text, type text, data jsonb DEFAULT NULL, event_id text DEFAULT NULL) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    h   await.job_head;
    old int;
BEGIN
    PERFORM await.check_event_type(emit.type);
    IF length(emit.event_id) > 255 THEN
        RAISE EXCEPTION 'an event id has at most 255 characters' USING ERRCODE = '22023';
    END IF;
    IF NOT await.is_short(data) THEN
        PERFORM await.check_data(data);
    END IF;
    IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = emit.id AND l.receipt = emit.receipt) THEN
        RETURN NULL;
    END IF;
    h := await.lock_job(emit.id);
    IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = emit.id AND l.receipt = emit.receipt) THEN
        RETURN NULL;                         -- lost while this waited for the lock
    END IF;
    IF emit.event_id IS NOT NULL THEN
        SELECT e.seq INTO old FROM await.event e
            WHERE e.class = await.class(emit.id) AND e.job = emit.id AND e.event_id = emit.event_id;
        IF FOUND THEN
            RETURN old;
        END IF;
    END IF;
    IF h.ended IS DISTINCT FROM false THEN
        RETURN NULL;
    END IF;
    RETURN await.append_event(h, emit.type, h.state, data, NULL, emit.event_id);
END $$;
