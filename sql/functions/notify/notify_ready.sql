-- With await.notify: tells workers that a queue has work.
CREATE OR REPLACE FUNCTION await.notify_ready() RETURNS trigger
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    PERFORM pg_notify('await_work', q.name) FROM await.queue q WHERE q.id = NEW.lane >> 8;
    RETURN NULL;
END $$;
