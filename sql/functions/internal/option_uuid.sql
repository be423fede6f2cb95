-- An option that is an id and has the name of what it is the id of, NULL if it is not there. An error (22023) names the option and its value.
CREATE OR REPLACE FUNCTION await.option_uuid(o jsonb, p_name text) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (o ->> p_name)::uuid;
EXCEPTION WHEN invalid_text_representation THEN
    RAISE EXCEPTION '% is the id of a %, not %', p_name, p_name, quote_literal(left(o ->> p_name, 80))
        USING ERRCODE = '22023';
END $$;
