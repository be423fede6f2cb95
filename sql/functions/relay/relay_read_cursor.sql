-- Reads a cursor (await.relay_cursor_text): the snapshot, and of which of its running transactions some was read. 'start', and a
-- cursor of the server that a dump was made of, is before everything that this server wrote.
CREATE OR REPLACE FUNCTION await.relay_read_cursor(p_cursor text, p_floor bigint, OUT since pg_snapshot,
    OUT partial xid8[], OUT upto bigint[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_part text[] := string_to_array(p_cursor, '|');
BEGIN
    since := '4:4:';                         -- await.settle_rows() gives 3 to rows of a dump
    partial := '{}';
    upto := '{}';
    IF p_cursor = 'start' THEN
        RETURN;
    END IF;
    IF p_cursor !~ '^[0-9]{1,18}[|][0-9]{1,18}:[0-9]{1,18}:([0-9]{1,18}(,[0-9]{1,18})*)?([|][0-9]{1,18}:[0-9]{1,18}(,[0-9]{1,18}:[0-9]{1,18})*)?$' THEN
        RAISE EXCEPTION 'not a cursor of await.events_after(): %', quote_literal(left(p_cursor, 80)) USING ERRCODE = '22023';
    END IF;
    IF v_part[1]::bigint <> p_floor THEN
        RETURN;
    END IF;
    since := v_part[2]::pg_snapshot;
    SELECT coalesce(array_agg(split_part(x, ':', 1)::xid8), '{}'), coalesce(array_agg(split_part(x, ':', 2)::bigint), '{}')
    INTO partial, upto FROM unnest(string_to_array(v_part[3], ',')) x;
    IF pg_snapshot_xmax(since) > pg_snapshot_xmax(pg_current_snapshot()) THEN
        RAISE EXCEPTION 'the cursor is ahead of this server: it belongs to a history that a failover or a restore has left'
            USING ERRCODE = '22023', HINT = 'start again from now (NULL) or from what is kept (''start'')';
    END IF;
END $$;
