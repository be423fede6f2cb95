-- Limits a role to queues, or gives it more ("await-ctl grant").
CREATE OR REPLACE FUNCTION await.grant_queues(role name, queues text[]) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    who regrole := quote_ident(grant_queues.role)::regrole;
BEGIN
    IF cardinality(queues) = 0 OR queues IS NULL OR '' = ANY (queues) OR array_position(queues, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'await.grant_queues needs the names of queues; ''*'' stands for all' USING ERRCODE = '22023';
    END IF;
    DELETE FROM await.queue_grant g WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = g.role); -- of dropped roles
    DELETE FROM await.queue_grant g WHERE g.role = who AND g.queue = '';
    INSERT INTO await.queue_grant (role, queue) SELECT DISTINCT who, q FROM unnest(queues) q ON CONFLICT DO NOTHING;
END $$;
