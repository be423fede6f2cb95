-- The relays of which other name send the webhooks, and who leads them; no rows: none do. With p_token, of who leads:
-- then those of p_relay do from now on, until their leader changes or ends. Deliveries are those of the database, not of
-- a name, so two who send would send each of them twice.
CREATE OR REPLACE FUNCTION await.relay_webhooks(p_relay text, p_token bigint DEFAULT NULL)
RETURNS TABLE (relay text, holder text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_mark CONSTANT text := 'kind:webhooks'; -- a sink's name has no colon
BEGIN
    IF p_token IS NOT NULL THEN
        LOCK TABLE await.relay_sink IN SHARE ROW EXCLUSIVE MODE; -- one at a time
    END IF;
    RETURN QUERY SELECT k.relay, l.holder FROM await.relay_sink k CROSS JOIN LATERAL (
            SELECT * FROM await.relay_leader o WHERE o.relay = k.relay ORDER BY o.no DESC LIMIT 1) l
        WHERE k.sink = v_mark AND k.relay <> p_relay AND l.token = k.token
          AND await.relay_leads(l.until)
        LIMIT 1;
    IF NOT FOUND AND p_token IS NOT NULL AND await.relay_holds(p_relay, p_token) THEN
        INSERT INTO await.relay_sink (relay, token, sink) VALUES (p_relay, p_token, v_mark) ON CONFLICT DO NOTHING;
    END IF;
END $$;
