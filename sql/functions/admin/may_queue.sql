-- Whether the session's login role may use this queue ("topic:<name>": publish to this topic). All roles that it is a member of
-- count. If await.queue_grant has no row for any of them, it may use all queues. Who sees every job anyway is not limited.
CREATE OR REPLACE FUNCTION await.may_queue(queue text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    of_topic boolean := may_queue.queue LIKE 'topic:%';
    allowed  boolean;
BEGIN
    SELECT coalesce(bool_or(g.queue = '*' OR (of_topic = (g.queue LIKE 'topic:%')
               AND may_queue.queue LIKE replace(replace(g.queue, '_', E'\\_'), '*', '%'))), false)
        INTO allowed FROM await.queue_grant g WHERE pg_has_role(session_user, g.role, 'MEMBER') HAVING count(*) > 0;
    RETURN coalesce(allowed, true) OR await.sees_all();
END $$;
