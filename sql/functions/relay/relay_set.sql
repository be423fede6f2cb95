-- Sets where a sink goes on: 'now', 'start' (all that is kept), or a cursor. For operators; a leader that is at work
-- takes it over. False: there is no such sink.
CREATE OR REPLACE FUNCTION await.relay_set(relay text, sink text, cursor text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    c    await.relay_cursor;
    v_to text;
BEGIN
    IF relay_set.cursor = '' THEN           -- a variable of a script that was not set: it would be 'now'
        RAISE EXCEPTION 'a cursor is now, start, or one of await.events_after(), not an empty text' USING ERRCODE = '22023';
    END IF;
    IF relay_set.sink LIKE 'from:%' THEN
        RAISE EXCEPTION '% is a source of jobs: where it goes on is kept in Kafka, for its consumer group', relay_set.sink
            USING ERRCODE = '22023', HINT = 'kafka-consumer-groups --reset-offsets sets it while no relay is running.';
    END IF;
    SELECT p.cursor INTO v_to FROM await.relay_page(nullif(relay_set.cursor, 'now'), 1) p LIMIT 1; -- or an error
    LOOP
        SELECT * INTO c FROM await.relay_cursor o WHERE o.relay = relay_set.relay AND o.sink = relay_set.sink
            ORDER BY o.no DESC LIMIT 1;
        IF c.no IS NULL THEN
            RETURN false;
        END IF;
        INSERT INTO await.relay_cursor (relay, sink, no, cursor, delivered, failures)
            VALUES (c.relay, c.sink, c.no + 1, CASE WHEN relay_set.cursor = 'now' THEN v_to ELSE relay_set.cursor END,
                    c.delivered, c.failures) ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
    END LOOP;
    DELETE FROM await.relay_cursor o WHERE o.relay = c.relay AND o.sink = c.sink AND o.no <= c.no;
    RETURN true;
END $$;
