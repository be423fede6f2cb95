-- What the ending of a batch brings with it. The caller has locked the batch and written its ending. Its jobs are kept
-- as long as the batch: the days on which they were submitted are noted, unless that is its own day or the next.
CREATE OR REPLACE FUNCTION await.batch_ended(p_batch uuid, p_state text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    k     int2 := await.class(p_batch);
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
BEGIN
    DELETE FROM await.batch_live l WHERE l.batch = p_batch;
    IF p_state <> 'completed' THEN
        INSERT INTO await.batch_todo (batch) VALUES (p_batch);
    END IF;
    IF p_batch < await.floor_id((today - 1)::timestamp AT TIME ZONE 'UTC') THEN
        INSERT INTO await.late_ending (class, day, ended)
        SELECT DISTINCT k, (to_timestamp(('x' || left(replace(j.id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)
                            AT TIME ZONE 'UTC')::date, today
        FROM await.job j
        WHERE j.class = k AND j.batch = p_batch AND j.id < await.floor_id((today - 1)::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;
