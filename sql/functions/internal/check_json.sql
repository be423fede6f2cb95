-- Refuses JSON that contains a number of more than 400 characters. 1e130000 is short as input and as stored, but long whenever it
-- is read. Nothing is written out before it is known to be short. `what` names the value in the error message.
CREATE OR REPLACE FUNCTION await.check_json(value jsonb, what text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF value IS NULL OR await.is_short(value) THEN
        RETURN;
    ELSIF EXISTS (SELECT FROM jsonb_path_query(value, 'strict $.** ? (@.type() == "number")') n
                  WHERE (scale(n::numeric) > 90 OR abs(n::numeric) >= 1e90) AND length(n::text) > 400) THEN
        RAISE EXCEPTION '% contains a number of more than 400 characters', what USING ERRCODE = '22023';
    END IF;
END $$;
