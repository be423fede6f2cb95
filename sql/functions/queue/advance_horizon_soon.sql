-- Moves the horizon unless somebody has in this twentieth of a second. If two sessions do so at once, it is done twice.
CREATE OR REPLACE FUNCTION await.advance_horizon_soon() RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    this bigint := floor(extract(epoch FROM clock_timestamp()) * 20);
BEGIN
    IF (SELECT last_value FROM await.last_advance) = this THEN
        RETURN;
    END IF;
    PERFORM setval('await.last_advance', this);
    PERFORM await.advance_horizon();
END $$;
