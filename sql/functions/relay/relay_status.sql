-- How many events a cursor has before it, at most p_most of each kind are counted.
CREATE OR REPLACE FUNCTION await.relay_behind(p_cursor text, p_most int) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_sort = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_floor CONSTANT bigint := (SELECT h.floor FROM await.home h);
    c       record;
BEGIN
    SELECT * INTO c FROM await.relay_read_cursor(p_cursor, v_floor);
    RETURN (SELECT sum(n) FROM (
        SELECT count(*) AS n FROM (SELECT FROM await.event e WHERE e.xid >= pg_snapshot_xmax(c.since)
            AND e.eid > v_floor LIMIT p_most) x
        UNION ALL SELECT count(*) FROM (SELECT FROM await.job j WHERE j.owner IS NULL
            AND j.xid >= pg_snapshot_xmax(c.since) AND j.eid > v_floor LIMIT p_most) x
        UNION ALL SELECT count(*) FROM (SELECT FROM await.job j WHERE j.owner IS NOT NULL
            AND j.xid >= pg_snapshot_xmax(c.since) AND j.eid > v_floor LIMIT p_most) x
        UNION ALL SELECT count(*) FROM (
            SELECT FROM pg_snapshot_xip(c.since) o (x) LEFT JOIN unnest(c.partial, c.upto) p (px, upto) ON p.px = o.x
            CROSS JOIN LATERAL (
                SELECT e.eid FROM await.event e WHERE e.xid >= o.x AND e.xid <= o.x
                    AND e.eid > greatest(p.upto, v_floor)
                UNION ALL SELECT j.eid FROM await.job j WHERE j.owner IS NULL AND j.xid >= o.x AND j.xid <= o.x
                    AND j.eid > greatest(p.upto, v_floor)
                UNION ALL SELECT j.eid FROM await.job j WHERE j.owner IS NOT NULL AND j.xid >= o.x AND j.xid <= o.x
                    AND j.eid > greatest(p.upto, v_floor)) e LIMIT p_most) x) s);
END $$;

-- The same as a row, and for how many seconds the next of them waits. A cursor that is none has NULL and says why. A
-- source of jobs has "kafka:BEHIND:TIME" instead, with the time of its last message in milliseconds.
-- replaces: await.relay_lag(text)
CREATE OR REPLACE FUNCTION await.relay_lag(p_cursor text, p_most int DEFAULT 100000, OUT behind bigint, OUT lag float8, OUT trouble text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_cursor ~ '^kafka:[0-9]{1,18}:-?[0-9]{1,15}$' THEN
        behind := split_part(p_cursor, ':', 2);
        lag := CASE WHEN behind > 0 AND split_part(p_cursor, ':', 3) <> '-1' THEN greatest(extract(epoch FROM
            clock_timestamp()) - split_part(p_cursor, ':', 3)::float8 / 1000, 0) ELSE 0 END;
        RETURN;
    END IF;
    behind := await.relay_behind(p_cursor, p_most);
    lag := coalesce((SELECT greatest(extract(epoch FROM clock_timestamp() - min(p.at)), 0)
                     FROM await.relay_page(p_cursor, 1) p WHERE isfinite(p.at)), 0);
EXCEPTION WHEN invalid_parameter_value OR invalid_text_representation THEN
    trouble := sqlerrm;
END $$;

-- The sinks of the relays, or of one: who leads and has this sink, how far each has come, and what it has before it
-- (100000: or more).
CREATE OR REPLACE FUNCTION await.relay_status(relay text DEFAULT NULL)
RETURNS TABLE (relay text, leader text, leads_since timestamptz, sink text, behind bigint, lag float8, moved timestamptz,
    delivered bigint, failures bigint, reason text, cursor text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
    WITH leaders AS (
        SELECT DISTINCT ON (l.relay) l.relay, l.token, l.holder, l.since, l.until FROM await.relay_leader l
        ORDER BY l.relay, l.no DESC
    ), sinks AS (
        SELECT DISTINCT ON (c.relay, c.sink) c.* FROM await.relay_cursor c ORDER BY c.relay, c.sink, c.no DESC
    )
    SELECT coalesce(s.relay, l.relay), CASE WHEN t.serves THEN l.holder END, CASE WHEN t.serves THEN l.since END,
        s.sink, g.behind, g.lag, s.at, s.delivered, s.failures, coalesce(g.trouble, s.reason), s.cursor
    FROM sinks s FULL JOIN leaders l ON l.relay = s.relay LEFT JOIN LATERAL await.relay_lag(s.cursor) g ON true
    CROSS JOIN LATERAL (SELECT await.relay_leads(l.until) AND (s.sink IS NULL OR EXISTS (SELECT FROM await.relay_sink k
        WHERE k.relay = l.relay AND k.token = l.token AND k.sink = s.sink)) AS serves) t
    WHERE relay_status.relay IS NULL OR coalesce(s.relay, l.relay) = relay_status.relay
    ORDER BY 1, 4
$$;
