-- base64url without padding (RFC 4648, section 5).
CREATE OR REPLACE FUNCTION await.base64url(bytes bytea) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$ SELECT translate(encode(bytes, 'base64'), E'+/=\n', '-_') $$;
