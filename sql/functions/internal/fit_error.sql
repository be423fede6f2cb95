-- The error of a failed attempt, made to fit: a worker that reports a failure is not refused because its text is long. What is too large
-- for an event is reduced to the members of RFC 9457, cut, and "truncated" says so.
CREATE OR REPLACE FUNCTION await.fit_error(error jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF error IS NULL OR await.is_short(error) THEN
        RETURN error;
    END IF;
    PERFORM await.check_json(error, 'the error of an attempt');
    IF await.fits_event(error) THEN
        RETURN error;
    END IF;
    RETURN '{"truncated": true}' || CASE jsonb_typeof(error)
        WHEN 'object' THEN coalesce((SELECT jsonb_object_agg(e.key, CASE jsonb_typeof(e.value)
                WHEN 'string' THEN to_jsonb(left(e.value #>> '{}', CASE e.key WHEN 'detail' THEN 4000 ELSE 400 END)) ELSE e.value END)
            FROM jsonb_each(error) e WHERE e.key IN ('type', 'title', 'status', 'detail', 'instance')
              AND (jsonb_typeof(e.value) = 'string' OR await.is_short(e.value))), '{}')
        ELSE jsonb_build_object('detail', left(error #>> '{}', 4000)) END;
END $$;
