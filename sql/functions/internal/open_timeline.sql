-- Draws the name of the branch, if this is the first call on the timeline.
CREATE OR REPLACE FUNCTION await.open_timeline() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF await.timeline() NOT LIKE '%.?' THEN
        RETURN;
    END IF;
    -- stored here before it is used, but without waiting for a standby, which may be the server that has failed
    PERFORM set_config('synchronous_commit', 'local', true);
    INSERT INTO await.branch (system, number, relation, name)
    SELECT s.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8), 'await.branch'::regclass,
           left(replace(gen_random_uuid()::text, '-', ''), 12)
    FROM pg_control_system() s
    ON CONFLICT DO NOTHING;                  -- another edge was faster
END $$;
