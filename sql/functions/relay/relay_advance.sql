-- Moves the cursor of a sink, for who leads: p_no is the number of the cursor before. p_cursor NULL: it stays, but what
-- is counted grows. p_reason: why the sink takes nothing at present. No row: somebody else leads. `moved` false: the
-- cursor was set by an operator, to this one; or, without a number, removed.
CREATE OR REPLACE FUNCTION await.relay_advance(p_relay text, p_token bigint, p_sink text, p_no bigint, p_cursor text,
    p_delivered int DEFAULT 0, p_failures int DEFAULT 0, p_reason text DEFAULT NULL)
RETURNS TABLE (moved boolean, no bigint, cursor text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    c await.relay_cursor;
BEGIN
    IF NOT await.relay_holds(p_relay, p_token) THEN
        RETURN;
    END IF;
    SELECT * INTO c FROM await.relay_cursor o WHERE o.relay = p_relay AND o.sink = p_sink ORDER BY o.no DESC LIMIT 1;
    IF c.no = p_no THEN
        INSERT INTO await.relay_cursor (relay, sink, no, cursor, delivered, failures, reason)
            VALUES (p_relay, p_sink, c.no + 1, coalesce(p_cursor, c.cursor), c.delivered + p_delivered,
                    c.failures + p_failures, left(p_reason, 1000)) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            DELETE FROM await.relay_cursor o WHERE o.relay = p_relay AND o.sink = p_sink AND o.no = c.no;
            RETURN QUERY SELECT true, c.no + 1, coalesce(p_cursor, c.cursor);
            RETURN;
        END IF;
        SELECT * INTO c FROM await.relay_cursor o WHERE o.relay = p_relay AND o.sink = p_sink
            ORDER BY o.no DESC LIMIT 1;
    END IF;
    RETURN QUERY SELECT false, c.no, c.cursor;
END $$;
