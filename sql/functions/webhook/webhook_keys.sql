-- HMAC-SHA256 (RFC 2104) with a key of at most 64 bytes. PostgreSQL has no hmac() without an extension.
CREATE OR REPLACE FUNCTION await.hmac(p_key bytea, p_message bytea) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    inner_pad bytea := p_key || decode(repeat('00', 64 - length(p_key)), 'hex');
    outer_pad bytea := inner_pad;
BEGIN
    FOR i IN 0 .. 63 LOOP
        inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # 54);
        outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # 92);
    END LOOP;
    RETURN sha256(outer_pad || sha256(inner_pad || p_message));
END $$;

-- The keys that a delivery of an endpoint is signed with, the newest first. The endpoints of an origin, which is
-- scheme, host and port, have one in common, if they have none of their own.
CREATE OR REPLACE FUNCTION await.webhook_keys(p_webhook int4, p_url text) RETURNS bytea[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    keys   bytea[];
    origin text := regexp_replace(lower(substring(p_url FROM '^[A-Za-z]+://[^/?#]*')),
               '^(http(?=://.*:80$)|https(?=://.*:443$))(://.*):[0-9]+$', E'\\1\\2');
BEGIN
    IF p_webhook > 0 THEN
        SELECT array_agg(s.key ORDER BY s.until DESC NULLS FIRST) INTO keys FROM await.webhook_secret s
            WHERE s.webhook = p_webhook AND (s.until IS NULL OR s.until > clock_timestamp());
    END IF;
    IF keys IS NULL THEN
        SELECT array_agg(await.hmac(s.key, convert_to(origin, 'UTF8')) ORDER BY s.until DESC NULLS FIRST) INTO keys
            FROM await.webhook_secret s
            WHERE s.webhook = 0 AND (s.until IS NULL OR s.until > clock_timestamp());
    END IF;
    RETURN keys;
END $$;
