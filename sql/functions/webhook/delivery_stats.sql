-- Numbers of webhooks for metrics: what became of deliveries since the database was created, and how many wait for
-- their first attempt, or another one; up to 10000 each.
CREATE OR REPLACE FUNCTION await.delivery_stats(OUT delivered int8, OUT failed int8, OUT dead int8, OUT waiting int8,
    OUT retrying int8)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off
AS $$
    SELECT (SELECT last_value FROM await.deliveries_delivered), (SELECT last_value FROM await.deliveries_failed),
        (SELECT last_value FROM await.deliveries_dead), count(*) FILTER (WHERE u.attempts = 0),
        count(*) FILTER (WHERE u.attempts > 0)
    FROM (SELECT u.attempts FROM await.delivery_due u ORDER BY u.delivery LIMIT 20000) u
$$;
