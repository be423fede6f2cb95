-- Forgets an endpoint and its secret. What it has not got yet is given up when it is due.
CREATE OR REPLACE FUNCTION await.remove_webhook(p_webhook int4) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM await.find_webhook(p_webhook);
    DELETE FROM await.webhook w WHERE w.id = p_webhook;
    DELETE FROM await.webhook_secret s WHERE s.webhook = p_webhook;
END $$;
