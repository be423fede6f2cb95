-- The HMAC-SHA256 (RFC 2104) of a message with the signing key, in base64url. PostgreSQL has no hmac() without an extension.
-- In PL/pgSQL, which keeps the plan: a function of SQL would be planned for each event that is signed.
CREATE OR REPLACE FUNCTION await.sign(message text) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT await.base64url(sha256(s.outer_pad || sha256(s.inner_pad || convert_to(message, 'UTF8')))) FROM await.secret s);
END $$;
