-- A time as in the documents of edges. Infinite is only what somebody has edited.
CREATE OR REPLACE FUNCTION await.utc(at timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT to_char(CASE WHEN isfinite(at) THEN at WHEN at > 'epoch' THEN '9999-12-31 23:59:59.999+00'
                        WHEN at < 'epoch' THEN '0001-01-01 00:00:00+00' END AT TIME ZONE 'UTC',
                   'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
