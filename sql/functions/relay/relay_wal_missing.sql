-- What the source "wal" of await-relay lacks on this server, each with the remedy; no rows: nothing. For the role that
-- has logged in.
CREATE OR REPLACE FUNCTION await.relay_wal_missing() RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('wal_level') <> 'logical' THEN
        RETURN NEXT format('wal_level is %s: ALTER SYSTEM SET wal_level = logical, and restart PostgreSQL',
            current_setting('wal_level'));
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = session_user AND (r.rolreplication OR r.rolsuper)) THEN
        RETURN NEXT format('the role %s may not replicate: ALTER ROLE %1$I REPLICATION', session_user);
    END IF;
    IF (SELECT count(*) FROM pg_replication_slots) >= current_setting('max_replication_slots')::int THEN
        RETURN NEXT format('all %s replication slots are in use: raise max_replication_slots, or drop one that nobody '
            'uses', current_setting('max_replication_slots'));
    END IF;
    IF (SELECT count(*) FROM pg_publication p JOIN pg_publication_tables t USING (pubname)
        WHERE p.pubname = 'await_relay' AND p.pubinsert AND p.pubviaroot AND t.schemaname = 'await'
            AND t.rowfilter IS NULL AND (t.tablename = 'job' AND t.attnames @> '{class,id,xid}'
                OR t.tablename = 'event' AND t.attnames @> '{class,job,seq,xid}')) < 2
    THEN
        RETURN NEXT 'the publication await_relay is missing or differs: await-ctl relay wal on, as the owner of the '
            'schema await';
    END IF;
END $$;
