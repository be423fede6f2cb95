-- Ends all live streams, WebSockets and held requests of an owner, on every edge, and makes its unused tickets invalid. Returns
-- what to PUBLISH on Redis after the commit; without it an edge learns of it after await_reread at the latest.
CREATE OR REPLACE FUNCTION await.revoke(owner text) RETURNS TABLE (channel text, message text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF revoke.owner IS NULL THEN
        RAISE EXCEPTION 'await.revoke needs an owner' USING ERRCODE = '22023';
    END IF;
    INSERT INTO await.revoked AS r (owner) VALUES (revoke.owner) ON CONFLICT ON CONSTRAINT revoked_pkey DO UPDATE SET at = clock_timestamp();
    channel := 'await:revoked';
    message := '1';
    RETURN NEXT;
END $$;
