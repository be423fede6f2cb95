-- The host of a URL that await.check_webhook() has accepted, in lower case, with the port if the URL has one.
CREATE OR REPLACE FUNCTION await.webhook_host(p_url text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT substring(lower(p_url) FROM '^[a-z]+://([^/?#]*)') $$;
