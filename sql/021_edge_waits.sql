-- What edges ask for their clients. An edge sends its statements one behind another: none may wait long for somebody's
-- open transaction, or all that follow wait with it. 55P03 then, for that statement alone.

-- Cancels a job only if its newest event is still the one that the caller has seen (If-Match).
-- As await.cancel(); `p_seq` null: whatever happened. 'changed': there are newer events, and nothing was done.
CREATE FUNCTION await.edge_cancel(p_id uuid, p_seq int DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    h await.head := await.lock_head(p_id);
BEGIN
    IF h.id IS NOT NULL AND h.seq <> p_seq THEN
        RETURN 'changed';
    END IF;
    RETURN await.cancel(p_id);
END $$;

CREATE FUNCTION await.edge_publish(p_topic text, p_type text, p_data jsonb, p_latest boolean) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
BEGIN
    RETURN await.publish(p_topic, p_type, p_data, p_latest);
END $$;
