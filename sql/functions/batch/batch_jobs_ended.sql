-- What the ending of jobs brings for their batch. The caller has locked the jobs and written their endings, with this
-- state.
--
-- The last one writes "batch.ready". Nobody counts, and those who end jobs of one batch at the same time do not wait
-- for each other: each deletes the rows of its jobs, and then looks for the row of any other open job that nobody is
-- just ending. If there is one, it is not the last, and it locks that row for as long as its transaction lasts: so
-- whoever ends that job sees what happened here. If there is none, it takes the lock on the batch and looks again
-- (t/model/batch.pml). The search begins behind its own job, not at the first row: there lie the rows that were
-- deleted.
CREATE OR REPLACE FUNCTION await.batch_jobs_ended(p_batch uuid, p_jobs uuid[], p_state text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    here uuid := p_jobs[1];
BEGIN
    IF p_state = 'completed' THEN
        DELETE FROM await.batch_open o WHERE o.batch = p_batch AND o.job = ANY (p_jobs);
    ELSE
        WITH gone AS (
            DELETE FROM await.batch_open o WHERE o.batch = p_batch AND o.job = ANY (p_jobs) RETURNING o.*
        )
        INSERT INTO await.batch_loss (batch, job, phase, state) SELECT g.batch, g.job, g.phase, p_state FROM gone g;
    END IF;
    IF NOT FOUND THEN
        RETURN;                              -- no open row: it was counted before
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        INSERT INTO await.batch_todo (batch) VALUES (p_batch); -- it cannot know whether it was the last
        RETURN;
    END IF;
    PERFORM FROM await.batch_open o WHERE o.batch = p_batch AND o.job > here ORDER BY o.job LIMIT 1
        FOR KEY SHARE SKIP LOCKED;
    IF NOT FOUND THEN
        PERFORM FROM await.batch_open o WHERE o.batch = p_batch AND o.job < here ORDER BY o.job LIMIT 1
            FOR KEY SHARE SKIP LOCKED;
    END IF;
    IF FOUND THEN
        PERFORM await.tell_batch(p_batch);
    ELSE
        PERFORM await.finish_batch(p_batch);
    END IF;
END $$;
