-- Lets one claim at a time take jobs of a queue in which the number of running jobs is limited, so that the number is
-- exact. Waits a moment for another claim: false if it does not end.
CREATE OR REPLACE FUNCTION await.take_turn(p_queue int4) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET lock_timeout = '200ms'
AS $$
BEGIN
    PERFORM FROM await.queue q WHERE q.id = p_queue FOR NO KEY UPDATE;
    RETURN FOUND;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;
