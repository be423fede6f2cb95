-- Adds jobs that the caller has inserted to a batch that it holds: arrays of one length.
CREATE OR REPLACE FUNCTION await.add_to_batch(p_batch uuid, p_jobs uuid[], p_phases text[]) RETURNS void
LANGUAGE sql VOLATILE
AS $$
    INSERT INTO await.batch_open (batch, job, phase)
        SELECT p_batch, g.job, g.phase FROM unnest(p_jobs, p_phases) g (job, phase);
    INSERT INTO await.batch_added (batch, phase, jobs)
        SELECT p_batch, g.phase, count(*) FROM unnest(p_phases) g (phase) GROUP BY g.phase
$$;
