-- With await.notify: tells edges that an owner has a new job.
CREATE OR REPLACE FUNCTION await.notify_job() RETURNS trigger
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    IF NEW.id < 'ffffffff-0000-0000-0000-000000000000' THEN
        PERFORM pg_notify('await_hint', format('1 %s 0 user', await.user_id(NEW.owner)));
    END IF;
    RETURN NULL;
END $$;
