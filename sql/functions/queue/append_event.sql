-- Writes the next event of a job that the caller locked by await.lock_job(). Returns its seq. The last five arguments are those
-- of "completed". await.claim() and await.complete_many() write one event for each of many jobs, in one statement of their own.
CREATE OR REPLACE FUNCTION await.append_event(h await.job_head, p_type text, p_state text, p_data jsonb DEFAULT NULL,
    p_attempt int2 DEFAULT NULL, p_event_id text DEFAULT NULL,
    p_status int2 DEFAULT NULL, p_content_type text DEFAULT NULL, p_file_name text DEFAULT NULL, p_size bigint DEFAULT NULL,
    p_body bytea DEFAULT NULL) RETURNS int4
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    INSERT INTO await.event (class, job, seq, owner, type, state, attempt, progress, data, event_id, ending,
                             status, content_type, file_name, size, body)
    VALUES (await.class(h.id), h.id, h.seq + 1, h.owner, p_type, p_state, coalesce(p_attempt, h.attempt),
            CASE WHEN p_type = 'progress' THEN h.seq + 1 ELSE h.progress END, p_data, p_event_id,
            p_state IN ('completed', 'failed', 'cancelled', 'expired'),
            p_status, p_content_type, p_file_name, p_size, p_body);
    IF p_state IN ('completed', 'failed', 'cancelled', 'expired') THEN
        PERFORM await.job_ended(ARRAY[h.id]);
        IF h.batch IS NOT NULL THEN
            PERFORM await.batch_jobs_ended(h.batch, ARRAY[h.id], p_state);
        ELSIF await.is_batch(h.id) THEN
            PERFORM await.batch_ended(h.id, p_state);
        END IF;
    END IF;
    RETURN h.seq + 1;
END $$;
