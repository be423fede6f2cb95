-- Gives an endpoint another secret. Deliveries are signed with the old one, too, for `p_overlap`.
CREATE OR REPLACE FUNCTION await.replace_webhook_secret(p_webhook int4, p_key bytea, p_overlap interval) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    IF p_overlap NOT BETWEEN interval '0' AND interval '30 days' OR p_overlap IS NULL THEN
        RAISE EXCEPTION 'an old secret is used for 0 seconds to 30 days more, not %', p_overlap
            USING ERRCODE = '22023';
    END IF;
    DELETE FROM await.webhook_secret s WHERE s.webhook = p_webhook
        AND (s.until <= clock_timestamp() OR s.key = p_key); -- it may be given again
    UPDATE await.webhook_secret s SET until = clock_timestamp() + p_overlap
        WHERE s.webhook = p_webhook AND s.until IS NULL;
    INSERT INTO await.webhook_secret (webhook, key) VALUES (p_webhook, p_key);
END $$;
