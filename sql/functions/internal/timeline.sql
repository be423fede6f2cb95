-- Names this database and this line of its history: system identifier, timeline, database and branch, separated by dots. A failover
-- changes it. Cursors of another timeline are answered with a reset. The branch is missing where the schema was created, and is "?"
-- until an edge has opened the timeline: that name is never the same as another. In PL/pgSQL, which keeps the plan.
CREATE OR REPLACE FUNCTION await.timeline() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT concat_ws('.', s.system_identifier, w.number, d.oid, nullif(coalesce(b.name, '?'), ''))
        FROM pg_control_system() s
        CROSS JOIN (SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8) AS number) w
        JOIN pg_database d ON d.datname = current_database()
        LEFT JOIN await.branch b ON b.system = s.system_identifier AND b.number = w.number AND b.relation = 'await.branch'::regclass);
END $$;
