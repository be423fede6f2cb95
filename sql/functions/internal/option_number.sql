-- An option of await.submit() that is a whole number, NULL if it is not there. An error (22023) names the option, its value and the bounds.
CREATE OR REPLACE FUNCTION await.option_number(o jsonb, p_name text, p_least int, p_most int) RETURNS int2
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF o ->> p_name IS NULL THEN
        RETURN NULL;
    ELSIF o ->> p_name !~ '^-?[0-9]{1,5}$' OR (o ->> p_name)::int NOT BETWEEN p_least AND p_most THEN
        RAISE EXCEPTION '% is a whole number from % to %, not %', p_name, p_least, p_most, quote_literal(left(o ->> p_name, 80)) USING ERRCODE = '22023';
    END IF;
    RETURN (o ->> p_name)::int2;
END $$;
