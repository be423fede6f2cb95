-- Puts a job into its lane, or, if `p_due` is in the future, into await.delayed, from where await.reap() moves it into its lane.
CREATE OR REPLACE FUNCTION await.enqueue(p_job uuid, p_queue int4, p_priority int2, p_attempt int2, p_due timestamptz DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    in_lane bigint := await.lane(p_queue, p_priority);
BEGIN
    IF p_due > clock_timestamp() THEN
        INSERT INTO await.delayed (due, lane, job, attempt) VALUES (p_due, in_lane, p_job, p_attempt);
        RETURN;
    END IF;
    PERFORM await.reserve_positions();
    PERFORM await.open_lane(in_lane);
    INSERT INTO await.ready (lane, pos, job, attempt) VALUES (in_lane, nextval('await.pos'), p_job, p_attempt);
    IF await.notifies() THEN
        PERFORM await.notify_lanes(ARRAY[in_lane]);
    END IF;
END $$;
