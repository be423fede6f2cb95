-- Forgets a sink: its cursor and counts. False: there is no such sink. One that a relay has at this moment is refused:
-- it would begin again with what is written from then on, and leave out what it had before it.
CREATE OR REPLACE FUNCTION await.relay_drop(relay text, sink text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM await.relay_status(relay_drop.relay) s WHERE s.sink = relay_drop.sink
               AND s.leader IS NOT NULL) THEN
        RAISE EXCEPTION 'the sink % is in use: start the relays "%" without it first', relay_drop.sink,
            relay_drop.relay USING ERRCODE = '55006';
    END IF;
    DELETE FROM await.relay_cursor c WHERE c.relay = relay_drop.relay AND c.sink = relay_drop.sink;
    RETURN FOUND;
END $$;
