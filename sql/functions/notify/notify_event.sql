-- With await.notify: tells edges of a new event of a job or a topic, and that something has changed for the job's owner, by thin
-- hints (await.hint); and tells the worker that has the job if it was ended from outside. PostgreSQL sends each message once per
-- transaction, after the commit.
CREATE OR REPLACE FUNCTION await.notify_event() RETURNS trigger
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    PERFORM pg_notify('await_hint', format('1 %s %s %s', NEW.job, NEW.seq, NEW.type));
    IF NEW.owner IS NOT NULL AND NEW.job < 'ffffffff-0000-0000-0000-000000000000' THEN
        PERFORM pg_notify('await_hint', await.user_hint(NEW.owner));
    END IF;
    IF NEW.state IN ('cancelled', 'expired') AND EXISTS (SELECT FROM await.lease l WHERE l.job = NEW.job) THEN
        PERFORM pg_notify('await_cancel', NEW.job::text);
    END IF;
    RETURN NULL;
END $$;
