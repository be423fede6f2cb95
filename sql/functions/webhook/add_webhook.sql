-- The key in a secret of Standard Webhooks: "whsec_" and 24 to 64 bytes in base64.
CREATE OR REPLACE FUNCTION await.webhook_key(p_secret text) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    key bytea;
BEGIN
    IF p_secret ~ '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$' THEN
        key := decode(substr(p_secret, 7), 'base64');
    END IF;
    IF key IS NULL OR length(key) NOT BETWEEN 24 AND 64 THEN
        RAISE EXCEPTION 'a secret is whsec_ and 24 to 64 bytes in base64' USING ERRCODE = '22023';
    END IF;
    RETURN key;
EXCEPTION WHEN invalid_parameter_value THEN   -- without the secret in the message
    RAISE EXCEPTION 'a secret is whsec_ and 24 to 64 bytes in base64' USING ERRCODE = '22023';
END $$;

-- Registers an endpoint: it gets the events of these types (NULL: endings) of the jobs and batches of a queue (NULL: of
-- all; .batch: of batches), from now on. Registered again, it gets these types, is enabled, and keeps its secret unless
-- another is given. Returns its number.
CREATE OR REPLACE FUNCTION await.add_webhook(p_url text, p_queue text DEFAULT NULL, p_types text[] DEFAULT NULL,
    p_secret text DEFAULT NULL) RETURNS int4
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    number int4;
    key    bytea := CASE WHEN p_secret IS NOT NULL THEN await.webhook_key(p_secret) END;
BEGIN
    PERFORM await.check_webhook(p_url, p_types);
    IF p_queue !~ '^[A-Za-z0-9_.-]{1,64}$' THEN
        RAISE EXCEPTION 'a queue''s name is 1 to 64 of A-Z a-z 0-9 _ . -, not %', quote_literal(left(p_queue, 80))
            USING ERRCODE = '22023';
    END IF;
    INSERT INTO await.webhook AS w (url, queue, types) VALUES (p_url, p_queue, p_types)
        ON CONFLICT (url, coalesce(queue, '')) DO UPDATE
        SET types = excluded.types, disabled_at = NULL, disabled_for = NULL
        RETURNING w.id INTO number;
    IF key IS NOT NULL THEN
        PERFORM await.replace_webhook_secret(number, key, interval '1 day');
    END IF;
    RETURN number;
END $$;
