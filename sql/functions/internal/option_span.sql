-- An option of await.submit() that is a span of time, NULL if it is not there. An error (22023) names the option, its value and the bounds.
-- It is compared and returned in seconds: a month has 30 days in a comparison of intervals, but 28 to 31 in a calendar, so that
-- "1 mon -29 days" could end before it begins; and a year 360.
CREATE OR REPLACE FUNCTION await.option_span(o jsonb, p_name text, p_least interval, p_most interval) RETURNS interval
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    span interval;
BEGIN
    IF o ->> p_name IS NULL THEN
        RETURN NULL;
    END IF;
    BEGIN
        span := (o ->> p_name)::interval;
    EXCEPTION WHEN data_exception THEN
        span := NULL;
    END;
    IF span IS NULL OR extract(epoch FROM span) NOT BETWEEN extract(epoch FROM p_least) AND extract(epoch FROM p_most) THEN
        RAISE EXCEPTION '% is an interval from % to %, not %', p_name, p_least, p_most, quote_literal(left(o ->> p_name, 80)) USING ERRCODE = '22023';
    END IF;
    RETURN make_interval(secs => extract(epoch FROM span));
END $$;
