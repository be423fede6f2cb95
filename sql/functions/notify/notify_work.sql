-- With await.notify: tells workers that there is work in these queues, and edges that these owners have a new job. PostgreSQL sends each
-- message once per transaction, after the commit.
CREATE OR REPLACE FUNCTION await.notify_work(p_queues text[], p_owners text[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    PERFORM pg_notify('await_work', d.queue) FROM (SELECT DISTINCT k AS queue FROM unnest(p_queues) k) d;
    PERFORM pg_notify('await_hint', await.user_hint(d.owner))
        FROM (SELECT DISTINCT o AS owner FROM unnest(p_owners) o WHERE o IS NOT NULL) d;
END $$;
