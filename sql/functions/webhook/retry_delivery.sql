-- Sends a delivery once more that has ended, with the same id and body, and three days of attempts. Returns 'retried';
-- 'waiting', if it has not ended; 'unknown'.
CREATE OR REPLACE FUNCTION await.retry_delivery(p_id bigint) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    DELETE FROM await.delivery_end e WHERE e.delivery = p_id;
    IF FOUND THEN
        PERFORM await.queue_deliveries(ARRAY[p_id]);
        RETURN 'retried';
    END IF;
    RETURN CASE WHEN EXISTS (SELECT FROM await.delivery d WHERE d.id = p_id) THEN 'waiting' ELSE 'unknown' END;
END $$;
