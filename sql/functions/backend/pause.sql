-- Pauses a queue: claims get none of its jobs from the commit on, submissions go on. The jobs that workers have run on.
-- Returns whether it was not paused before. A queue that does not exist is created.
CREATE OR REPLACE FUNCTION await.pause(queue text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    in_queue int4 := await.queue_id(pause.queue, true);
BEGIN
    UPDATE await.queue q SET paused = true, named = true WHERE q.id = in_queue AND NOT q.paused;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM await.publish('queue:' || pause.queue, 'paused', '{"paused": true}', true);
    RETURN true;
END $$;
