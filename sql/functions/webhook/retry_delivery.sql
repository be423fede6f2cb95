-- Sends a delivery once more that has ended, with the same id and body, and three days of attempts. `p_owner`: only one
-- of the own URL of a job of this owner. Returns 'retried'; 'waiting', if it has not ended; 'disabled', if its endpoint
-- is, or was removed; 'unknown'.
CREATE OR REPLACE FUNCTION await.retry_delivery(p_id bigint, p_owner text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    IF p_owner IS NOT NULL AND NOT EXISTS (
        SELECT FROM await.delivery d WHERE d.id = p_id AND await.delivery_is_of(d, p_owner)) THEN
        RETURN 'unknown';
    END IF;
    IF EXISTS (SELECT FROM await.delivery d JOIN await.delivery_end e ON e.delivery = d.id
               WHERE d.id = p_id AND d.webhook > 0 AND NOT EXISTS (
                   SELECT FROM await.webhook w WHERE w.id = d.webhook AND w.disabled_at IS NULL)) THEN
        RETURN 'disabled';
    END IF;
    DELETE FROM await.delivery_end e WHERE e.delivery = p_id;
    IF FOUND THEN
        PERFORM await.queue_deliveries(ARRAY[p_id]);
        RETURN 'retried';
    END IF;
    RETURN CASE WHEN EXISTS (SELECT FROM await.delivery d WHERE d.id = p_id) THEN 'waiting' ELSE 'unknown' END;
END $$;
