-- Makes the publication that the source "wal" of await-relay needs, or drops it. Returns what was done. For the owner
-- of the schema, who needs the right CREATE on the database: await-ctl relay wal on|off.
--
-- It has only the keys of new jobs and events, and the number of the transaction that wrote them; await.relay_lookup()
-- reads the rest. All partitions are in it, by the names of their tables.
CREATE OR REPLACE FUNCTION await.relay_wal(wanted boolean) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_publication p WHERE p.pubname = 'await_relay') THEN
        DROP PUBLICATION await_relay;
        IF NOT relay_wal.wanted THEN
            RETURN 'dropped the publication await_relay';
        END IF;
    ELSIF NOT relay_wal.wanted THEN
        RETURN 'there is no publication await_relay';
    END IF;
    SET LOCAL client_min_messages = error;   -- wal_level is said below
    CREATE PUBLICATION await_relay FOR TABLE await.job (class, id, xid), await.event (class, job, seq, xid)
        WITH (publish = 'insert', publish_via_partition_root);
    RETURN 'made the publication await_relay' || CASE WHEN current_setting('wal_level') = 'logical' THEN ''
        ELSE format('; wal_level is %s: ALTER SYSTEM SET wal_level = logical, and restart PostgreSQL',
                    current_setting('wal_level')) END;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION '%', sqlerrm USING ERRCODE = '42501', HINT = CASE WHEN sqlerrm ~ 'database'
        THEN format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user) ELSE 'ask its owner' END;
END $$;
