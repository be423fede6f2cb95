-- Gives an endpoint a new secret. Its deliveries are signed with the old one, too, for `p_overlap`, in which the
-- receiver takes over the new one. NULL: that of all endpoints that have none of their own.
CREATE OR REPLACE FUNCTION await.rotate_webhook(p_webhook int4, p_overlap interval DEFAULT '1 day') RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    w   await.webhook;
    key bytea := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    old bytea[];
BEGIN
    LOCK TABLE await.webhook_secret IN SHARE ROW EXCLUSIVE MODE; -- one rotation at a time
    IF p_webhook IS NOT NULL THEN
        w := await.find_webhook(p_webhook);
        IF NOT EXISTS (SELECT FROM await.webhook_secret s WHERE s.webhook = w.id) THEN
            old := await.webhook_keys(0, w.url);       -- it had the one of its origin
            INSERT INTO await.webhook_secret (webhook, key) VALUES (w.id, old[1]);
        END IF;
    END IF;
    PERFORM await.replace_webhook_secret(coalesce(w.id, 0), key, p_overlap);
END $$;
