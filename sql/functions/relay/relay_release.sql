-- Leads no longer: a standby takes over when it looks next.
CREATE OR REPLACE FUNCTION await.relay_release(p_relay text, p_token bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_no CONSTANT bigint := (SELECT max(l.no) FROM await.relay_leader l WHERE l.relay = p_relay);
BEGIN
    IF await.relay_holds(p_relay, p_token) THEN -- the row stays, so that the token after it is higher
        INSERT INTO await.relay_leader (relay, no, token, holder, since, until)
            VALUES (p_relay, v_no + 1, p_token + 1, '', clock_timestamp(), clock_timestamp()) ON CONFLICT DO NOTHING;
        DELETE FROM await.relay_leader l WHERE l.relay = p_relay AND l.no = v_no;
    END IF;
END $$;
