-- Which of these sinks nobody serves, because the leader of the relays of that name was started without them, and who
-- that is. No rows: none, nobody leads, or the leader has only begun.
CREATE OR REPLACE FUNCTION await.relay_unserved(p_relay text, p_sinks text[])
RETURNS TABLE (leader text, sink text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
    SELECT l.holder, s.name
    FROM (SELECT * FROM await.relay_leader o WHERE o.relay = p_relay ORDER BY o.no DESC LIMIT 1) l
    CROSS JOIN unnest(p_sinks) s (name)
    WHERE await.relay_leads(l.until) AND EXISTS (SELECT FROM await.relay_sink k WHERE k.relay = p_relay
            AND k.token = l.token)
        AND NOT EXISTS (SELECT FROM await.relay_sink k WHERE k.relay = p_relay AND k.token = l.token
            AND k.sink = s.name)
    ORDER BY 2
$$;
