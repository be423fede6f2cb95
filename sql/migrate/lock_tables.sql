-- All tables or none, each try for less than deadlock_timeout: whoever works in them waits, and is never ended because of us.
DO $$
BEGIN
    PERFORM set_config('lock_timeout', '500ms', true);
    FOR i IN 1 .. 120 LOOP
        BEGIN
            EXECUTE (SELECT 'LOCK TABLE ' || string_agg(c.oid::regclass::text, ', ' ORDER BY c.relname) FROM pg_class c
                     WHERE c.relnamespace = 'await'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                       AND c.relname NOT IN ('migration', 'schema_history', 'function_set'));
            PERFORM set_config('lock_timeout', '0', true);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(0.1 * random());
        END;
    END LOOP;
    RAISE EXCEPTION 'a transaction has used the tables for a minute: see pg_stat_activity. Nothing was done.';
END $$;
