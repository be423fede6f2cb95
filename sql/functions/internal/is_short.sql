-- Whether a JSON value and all numbers in it are short as text. False means: not known to be short, look closer. Numbers below
-- 1e90 have at most 16383 digits after the point, so writing one out to find its length is cheap. The function is STABLE, as
-- pg_column_size() is, so that PostgreSQL inlines it into the calling expression.
CREATE OR REPLACE FUNCTION await.is_short(value jsonb) RETURNS boolean
LANGUAGE sql STABLE
AS $$
    SELECT pg_column_size(value) <= 512
       AND NOT jsonb_path_exists(value, 'strict $.** ? (@ >= 1e90 || @ <= -1e90)')
       AND octet_length(value::text) <= 400
$$;
