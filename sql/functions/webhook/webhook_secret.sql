-- The secrets of an endpoint, the newest first, in the form that libraries of Standard Webhooks take. `p_endpoint`: its
-- number, or a URL that jobs send to. For operators: who has a secret can forge deliveries.
CREATE OR REPLACE FUNCTION await.webhook_secret(p_endpoint text) RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    w    await.webhook;
    keys bytea[];
BEGIN
    IF p_endpoint ~ '^[0-9]{1,9}$' THEN
        w := await.find_webhook(p_endpoint::int4);
        keys := await.webhook_keys(w.id, w.url);
    ELSE
        PERFORM await.check_webhook(p_endpoint, NULL);
        keys := await.webhook_keys(0, p_endpoint);
    END IF;
    RETURN ARRAY(SELECT 'whsec_' || translate(encode(k, 'base64'), E'\n', '') FROM unnest(keys) WITH ORDINALITY g (k, n)
        ORDER BY n);
END $$;
