-- Deletes deliveries that ended longer ago than await.limits.delivery_keep, p_limit at most, and hosts without any.
CREATE OR REPLACE FUNCTION await.purge_deliveries(p_limit int) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    kept CONSTANT timestamptz := clock_timestamp() - (SELECT l.delivery_keep FROM await.limits l);
    old  bigint[];
    gone text;
BEGIN
    SELECT array_agg(k.delivery) INTO old
        FROM (SELECT e.delivery FROM await.delivery_end e WHERE e.at < kept ORDER BY e.at LIMIT p_limit) k;
    DELETE FROM await.delivery_attempt a WHERE a.delivery = ANY (old);
    DELETE FROM await.delivery_end e WHERE e.delivery = ANY (old);
    DELETE FROM await.delivery d WHERE d.id = ANY (old);
    FOR gone IN SELECT k.host FROM await.delivery_host k WHERE NOT EXISTS (
                    SELECT FROM await.delivery_due u WHERE u.host = k.host) LIMIT 100 FOR UPDATE SKIP LOCKED LOOP
        -- whoever inserts a delivery has the row locked, or waits now, and inserts it again
        DELETE FROM await.delivery_host k WHERE k.host = gone AND NOT EXISTS (
            SELECT FROM await.delivery_due u WHERE u.host = k.host);
    END LOOP;
    IF cardinality(old) = p_limit THEN
        RETURN NEXT 'more deliveries that ended long ago';
    END IF;
END $$;
