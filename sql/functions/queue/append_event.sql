-- Writes the next event of a job that the caller locked by await.lock_job(). Returns its seq. await.complete() writes its event
-- itself, because it has five more columns; await.claim() and await.complete_many() write one event for each of many jobs.
CREATE OR REPLACE FUNCTION await.append_event(h await.job_head, p_type text, p_state text, p_data jsonb DEFAULT NULL,
    p_attempt int2 DEFAULT NULL, p_event_id text DEFAULT NULL) RETURNS int4
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    INSERT INTO await.event (class, job, seq, owner, type, state, attempt, progress, data, event_id, ending)
    VALUES (await.class(h.id), h.id, h.seq + 1, h.owner, p_type, p_state, coalesce(p_attempt, h.attempt),
            CASE WHEN p_type = 'progress' THEN h.seq + 1 ELSE h.progress END, p_data, p_event_id,
            p_state IN ('completed', 'failed', 'cancelled', 'expired'));
    RETURN h.seq + 1;
END $$;
