-- Notes that a queue gets a job of this retention class today, so that the queue is kept as long as its jobs are.
CREATE OR REPLACE FUNCTION await.note_use(p_queue int4, p_class int2) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
BEGIN
    IF NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = p_queue AND u.class = p_class AND u.day = today) THEN
        INSERT INTO await.queue_used (queue, class, day) VALUES (p_queue, p_class, today);
    END IF;
END $$;
