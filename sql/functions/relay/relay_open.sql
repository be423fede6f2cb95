-- The cursors of these sinks, for who leads; no rows: somebody else does. A new sink begins with what is written from
-- now on.
CREATE OR REPLACE FUNCTION await.relay_open(p_relay text, p_token bigint, p_sinks text[])
RETURNS TABLE (sink text, no bigint, cursor text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    IF NOT await.relay_holds(p_relay, p_token) THEN
        RETURN;
    END IF;
    INSERT INTO await.relay_cursor (relay, sink, no, cursor)
        SELECT p_relay, s.name, 1, p.cursor FROM unnest(p_sinks) s (name), await.relay_page(NULL, 1) p
        WHERE NOT EXISTS (SELECT FROM await.relay_cursor c WHERE c.relay = p_relay AND c.sink = s.name)
        ON CONFLICT DO NOTHING;
    DELETE FROM await.relay_sink k WHERE k.relay = p_relay AND k.token < p_token;
    INSERT INTO await.relay_sink (relay, token, sink) SELECT p_relay, p_token, s.name FROM unnest(p_sinks) s (name)
        ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT s.name, c.no, c.cursor FROM unnest(p_sinks) s (name) CROSS JOIN LATERAL (
        SELECT * FROM await.relay_cursor o WHERE o.relay = p_relay AND o.sink = s.name ORDER BY o.no DESC LIMIT 1) c;
END $$;
