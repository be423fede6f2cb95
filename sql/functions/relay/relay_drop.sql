-- Forgets a sink: its cursor and counts. Where a relay still has it, it begins again with what is written from then on.
CREATE OR REPLACE FUNCTION await.relay_drop(relay text, sink text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM await.relay_cursor c WHERE c.relay = relay_drop.relay AND c.sink = relay_drop.sink;
    RETURN FOUND;
END $$;
