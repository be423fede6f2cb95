-- Whether JSON is small enough for an event's data: 48 KB as text. Callers test await.check_json() first, because a number that is short
-- as stored may be long as text.
CREATE OR REPLACE FUNCTION await.fits_event(data jsonb) RETURNS boolean
LANGUAGE sql STABLE
AS $$ SELECT pg_column_size(data) <= 393216 AND octet_length(data::text) <= 49152 $$; -- the text has at least an eighth of the former
