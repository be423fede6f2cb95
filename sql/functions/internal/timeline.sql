-- Names this database and this line of its history: system identifier, timeline and database, separated by dots. A failover
-- changes it. Cursors of another timeline are answered with a reset.
CREATE OR REPLACE FUNCTION await.timeline() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.system_identifier || '.' || left(pg_walfile_name(pg_current_wal_lsn()), 8) || '.'
               || (SELECT oid FROM pg_database WHERE datname = current_database())
    FROM pg_control_system() s
$$;
