-- The HMAC-SHA256 (RFC 2104) of a message with the signing key, in base64url. PostgreSQL has no hmac() without an extension.
CREATE OR REPLACE FUNCTION await.sign(message text) RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT await.base64url(sha256(s.outer_pad || sha256(s.inner_pad || convert_to(message, 'UTF8')))) FROM await.secret s
$$;
