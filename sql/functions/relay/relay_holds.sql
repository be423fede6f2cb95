-- Whether this token is the newest of the relays of a name, so that its owner leads. It stays so until the end of the
-- transaction: who takes over waits for that. For transactions that end soon.
CREATE OR REPLACE FUNCTION await.relay_holds(p_relay text, p_token bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_no    bigint;
    v_token bigint;
BEGIN
    FOR i IN 1 .. 10 LOOP
        SELECT l.no, l.token INTO v_no, v_token FROM await.relay_leader l WHERE l.relay = p_relay
            ORDER BY l.no DESC LIMIT 1;
        IF v_token IS DISTINCT FROM p_token THEN
            RETURN false;
        END IF;
        PERFORM FROM await.relay_leader l WHERE l.relay = p_relay AND l.no = v_no FOR SHARE;
        IF FOUND THEN
            RETURN true;
        END IF;                              -- it was renewed in between
    END LOOP;
    RETURN false;
END $$;
