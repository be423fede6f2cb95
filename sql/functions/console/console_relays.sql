-- The sinks of the relays, 50 at most: as await.relay_status() says, but what is behind a cursor is counted up to
-- 2,000 of each kind.
CREATE OR REPLACE FUNCTION await.console_relays() RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
    s    record;
    lag  record;
    rows json[] := '{}';
BEGIN
    FOR s IN
        SELECT DISTINCT ON (c.relay, c.sink) c.*, l.holder, l.until FROM await.relay_cursor c
        LEFT JOIN LATERAL (SELECT y.holder, y.until FROM await.relay_leader y WHERE y.relay = c.relay
                           ORDER BY y.no DESC LIMIT 1) l ON true
        ORDER BY c.relay, c.sink, c.no DESC LIMIT 50
    LOOP
        SELECT * INTO lag FROM await.relay_lag(s.cursor, 2000);
        rows := rows || json_build_object('relay', s.relay, 'sink', s.sink,
            'leader', CASE WHEN await.relay_leads(s.until) THEN s.holder END, 'behind', lag.behind,
            'lag', round(lag.lag::numeric, 3), 'moved', await.utc(s.at), 'delivered', s.delivered,
            'failures', s.failures, 'reason', left(coalesce(lag.trouble, s.reason), 500));
    END LOOP;
    RETURN array_to_json(rows);
END $$;
