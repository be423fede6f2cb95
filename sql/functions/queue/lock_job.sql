-- Locks a job's row, which serialises the job's history, and returns its newest state; a row of NULLs where the job does not
-- exist, or is locked by another and `p_skip` is true. The state is read by a statement of its own after the lock was granted,
-- so that it sees what the last holder committed.
CREATE OR REPLACE FUNCTION await.lock_job(p_id uuid, p_skip boolean DEFAULT false) RETURNS await.job_head
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    h await.job_head;
BEGIN
    IF p_skip THEN
        SELECT j.id, j.owner, j.queue, j.priority, j.max_attempts, j.batch, j.phase
            INTO h.id, h.owner, h.queue, h.priority, h.max_attempts, h.batch, h.phase
            FROM await.job j WHERE j.class = await.class(p_id) AND j.id = p_id FOR NO KEY UPDATE SKIP LOCKED;
    ELSE
        SELECT j.id, j.owner, j.queue, j.priority, j.max_attempts, j.batch, j.phase
            INTO h.id, h.owner, h.queue, h.priority, h.max_attempts, h.batch, h.phase
            FROM await.job j WHERE j.class = await.class(p_id) AND j.id = p_id FOR NO KEY UPDATE;
    END IF;
    IF h.id IS NULL THEN
        RETURN h;
    END IF;
    SELECT e.seq, e.state, e.attempt, e.progress, e.ending INTO h.seq, h.state, h.attempt, h.progress, h.ended
        FROM await.event e WHERE e.class = await.class(p_id) AND e.job = p_id ORDER BY e.seq DESC LIMIT 1;
    IF NOT FOUND THEN
        h.seq := 1; h.state := 'pending'; h.attempt := 0; h.ended := false;
    END IF;
    RETURN h;
END $$;
