-- Lets an endpoint get events again, or no more. One that is disabled gets none of what happens meanwhile, and what it
-- has not got yet is given up when it is due. Returns false if it was so already.
CREATE OR REPLACE FUNCTION await.enable_webhook(p_webhook int4, p_enabled boolean DEFAULT true) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM await.find_webhook(p_webhook);
    UPDATE await.webhook w SET disabled_at = CASE WHEN NOT p_enabled THEN clock_timestamp() END,
            disabled_for = CASE WHEN NOT p_enabled THEN 'by an operator' END
        WHERE w.id = p_webhook AND (w.disabled_at IS NULL) IS DISTINCT FROM p_enabled;
    RETURN FOUND;
END $$;
