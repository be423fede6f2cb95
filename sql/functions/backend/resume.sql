-- Resumes a queue that was paused, and wakes workers where await.notify is on. With Redis, PUBLISH await:queue:<queue>
-- wakes them; await-worker polls anyway. Returns whether it was paused.
CREATE OR REPLACE FUNCTION await.resume(queue text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE await.queue q SET paused = false WHERE q.name = resume.queue AND q.paused;
    IF NOT FOUND THEN
        IF NOT EXISTS (SELECT FROM await.queue q WHERE q.name = resume.queue) THEN
            RAISE EXCEPTION 'there is no queue %', quote_literal(left(resume.queue, 80)) USING ERRCODE = '22023';
        END IF;
        RETURN false;
    END IF;
    PERFORM await.publish('queue:' || resume.queue, 'resumed', '{"paused": false}', true);
    IF await.notifies() THEN
        PERFORM await.notify_work(ARRAY[resume.queue]);
    END IF;
    RETURN true;
END $$;
