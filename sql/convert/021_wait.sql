-- Helpers of before the conversion: calls that were waiting for our locks may still need them. Sets :unused.
DO $$
DECLARE
    others CONSTANT text[] := ARRAY(SELECT DISTINCT l.virtualtransaction FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
        WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND c.relnamespace = 'await'::regnamespace AND l.pid <> pg_backend_pid());
BEGIN
    FOR i IN 1 .. 200 LOOP
        IF NOT EXISTS (SELECT FROM pg_locks l WHERE l.virtualtransaction = ANY (others)) THEN
            PERFORM set_config('await.unused', 'on', false);
            RETURN;
        END IF;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT coalesce(current_setting('await.unused', true), '') = 'on' AS unused \gset
