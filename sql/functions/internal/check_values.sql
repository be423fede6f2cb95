-- Refuses options that are neither texts nor numbers, and control characters in what workers pass on in headers: an owner
-- may have some. Callers that are called often ask first.
CREATE OR REPLACE FUNCTION await.check_values(o jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    wrong text;
BEGIN
    SELECT e.key INTO wrong FROM jsonb_each(o) e WHERE jsonb_typeof(e.value) IN ('object', 'array', 'boolean') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the option % is a text or a number', wrong USING ERRCODE = '22023';
    END IF;
    SELECT k INTO wrong FROM unnest('{correlation_id,trace}'::text[]) k WHERE o ->> k ~ E'[\\x01-\\x1f\\x7f]' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the option % contains a control character', wrong USING ERRCODE = '22023';
    END IF;
END $$;
