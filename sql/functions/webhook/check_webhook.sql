-- Refuses a URL that no delivery can be sent to, and types that no event has. Error code 22023. wire/webhook_target.cc has
-- the same rules.
CREATE OR REPLACE FUNCTION await.check_webhook(p_url text, p_types text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    host text := substring(p_url FROM '^[Hh][Tt][Tt][Pp][Ss]?://([^/?#]*)');
    port text := substring(host FROM ':([0-9]{1,5})$');
    bad  text;
BEGIN
    IF p_url IS NULL OR length(p_url) > 2000 OR p_url !~ E'^[\\x21-\\x7e]+$' OR p_url ~ E'["<>\\\\^`{|}#]' THEN
        RAISE EXCEPTION 'the URL of a webhook is 1 to 2000 characters of ASCII, without a fragment, not %',
            quote_nullable(left(p_url, 80)) USING ERRCODE = '22023';
    ELSIF host IS NULL OR host !~ '^([A-Za-z0-9._-]+|[[][0-9A-Fa-f:.]+[]])(:[0-9]{1,5})?$'
          OR port IS NOT NULL AND port::int NOT BETWEEN 1 AND 65535 THEN
        RAISE EXCEPTION 'the URL of a webhook is https://host[:port]/..., without a user name, not %',
            quote_literal(left(p_url, 80)) USING ERRCODE = '22023';
    ELSIF cardinality(p_types) NOT BETWEEN 1 AND 32 THEN
        RAISE EXCEPTION 'a webhook has 1 to 32 types of events, not %', cardinality(p_types) USING ERRCODE = '22023';
    END IF;
    SELECT t INTO bad FROM unnest(p_types) t WHERE t IS NULL OR t !~ '^([a-z0-9_.-]{1,64}|[*])$' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the type of an event is 1 to 64 of a-z 0-9 _ . -, or *, not %', quote_nullable(left(bad, 80))
            USING ERRCODE = '22023';
    END IF;
END $$;
