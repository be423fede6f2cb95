-- The endpoints that are registered, for operators, without their secrets. `own_secret`: it has one of its own. The
-- last three say what became of the newest 1000 deliveries.
CREATE OR REPLACE FUNCTION await.webhooks()
RETURNS TABLE (id int4, url text, queue text, types text[], own_secret boolean, created_at timestamptz,
    disabled_at timestamptz, disabled_for text, delivered int, waiting int, dead int)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off
AS $$
    SELECT w.id, w.url, w.queue, w.types, EXISTS (SELECT FROM await.webhook_secret s WHERE s.webhook = w.id),
        w.created_at, w.disabled_at, w.disabled_for, c.delivered, c.waiting, c.dead
    FROM await.webhook w CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE e.state = 'delivered')::int AS delivered,
               count(*) FILTER (WHERE e.state IS NULL)::int AS waiting,
               count(*) FILTER (WHERE e.state = 'dead')::int AS dead
        FROM (SELECT d.id FROM await.delivery d WHERE d.webhook = w.id ORDER BY d.id DESC LIMIT 1000) d
        LEFT JOIN await.delivery_end e ON e.delivery = d.id) c
    ORDER BY w.id
$$;
