-- Holds a batch to which the caller adds jobs of these phases: it cannot end before the caller's transaction does.
-- Others may add jobs at the same time. An error if the batch has ended (55000), or has no such phase (22023).
CREATE OR REPLACE FUNCTION await.hold_batch(b await.job, p_phases text[]) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    PERFORM await.check_phases(b.id, b.extra -> 'phases', p_phases);
    PERFORM FROM await.job j WHERE j.class = await.class(b.id) AND j.id = b.id FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no batch %', b.id USING ERRCODE = '22023';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        -- what was committed since the snapshot is not seen, but a row that is gone cannot be locked: an error (40001)
        PERFORM FROM await.batch_live l WHERE l.batch = b.id FOR KEY SHARE;
    END IF;
    IF coalesce((SELECT e.ending FROM await.event e WHERE e.class = await.class(b.id) AND e.job = b.id -- after the lock
                 ORDER BY e.seq DESC LIMIT 1), false) THEN
        RAISE EXCEPTION 'batch % has ended: no job can be added', b.id USING ERRCODE = '55000';
    END IF;
END $$;
