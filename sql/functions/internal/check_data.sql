-- Refuses event data of more than 48 KB as text, and numbers that are longer as text than as stored. Callers test
-- await.is_short() first, which is cheaper.
CREATE OR REPLACE FUNCTION await.check_data(data jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF data IS NULL OR await.is_short(data) THEN
        RETURN;
    ELSIF pg_column_size(data) > 393216 THEN  -- its text has at least an eighth of that
        RAISE EXCEPTION 'an event carries at most 48 KB of data; put more into the result' USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_json(data, 'an event''s data');
    IF octet_length(data::text) > 49152 THEN
        RAISE EXCEPTION 'an event carries at most 48 KB of data, not %; put more into the result', octet_length(data::text) USING ERRCODE = '22023';
    END IF;
END $$;
