-- Refuses jobs whose phase is not one of their batch. `p_declared`: the names of its phases, NULL if it has none.
CREATE OR REPLACE FUNCTION await.check_phases(p_batch uuid, p_declared jsonb, p_phases text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    bad text;
BEGIN
    SELECT p INTO bad FROM unnest(p_phases) p
        WHERE CASE WHEN p_declared IS NULL THEN p IS NOT NULL ELSE p IS NULL OR NOT p_declared ? p END LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    ELSIF bad IS NULL THEN
        RAISE EXCEPTION 'a job of batch % needs a phase', p_batch USING ERRCODE = '22023',
            HINT = format('Its phases are %s.', left(p_declared::text, 200));
    END IF;
    RAISE EXCEPTION 'batch % has no phase %', p_batch, quote_literal(left(bad, 80)) USING ERRCODE = '22023',
        HINT = CASE WHEN p_declared IS NULL THEN 'It has no phases.'
                    ELSE format('Its phases are %s.', left(p_declared::text, 200)) END;
END $$;
