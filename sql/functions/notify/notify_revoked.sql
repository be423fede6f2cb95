-- With await.notify: tells edges to read whose access was revoked.
CREATE OR REPLACE FUNCTION await.notify_revoked() RETURNS trigger
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    PERFORM pg_notify('await_revoked', '1');
    RETURN NULL;
END $$;
