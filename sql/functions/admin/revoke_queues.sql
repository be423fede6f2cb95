-- Takes these queues away from a role; NULL: all of them ("await-ctl revoke"). A role that was limited stays limited: without a
-- queue left it may use none, and not all.
CREATE OR REPLACE FUNCTION await.revoke_queues(role name, queues text[]) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    who regrole := quote_ident(revoke_queues.role)::regrole;
BEGIN
    DELETE FROM await.queue_grant g WHERE g.role = who AND (queues IS NULL OR g.queue = ANY (queues));
    IF NOT EXISTS (SELECT FROM await.queue_grant g WHERE g.role = who) THEN
        INSERT INTO await.queue_grant (role, queue) VALUES (who, '');
    END IF;
END $$;
