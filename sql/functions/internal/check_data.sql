-- Refuses event data of more than 48 KB as text, and numbers that are longer as text than as stored. Callers test
-- await.is_short() first, which is cheaper.
CREATE OR REPLACE FUNCTION await.check_data(data jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF data IS NULL OR await.is_short(data) THEN
        RETURN;
    END IF;
    PERFORM await.check_json(data, 'an event''s data');
    IF NOT await.fits_event(data) THEN
        RAISE EXCEPTION 'an event carries at most 48 KB of data; put more into the result' USING ERRCODE = '22023';
    END IF;
END $$;
