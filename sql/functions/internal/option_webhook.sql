-- The options webhook and webhook_on, as await.job has them; NULL without the first.
CREATE OR REPLACE FUNCTION await.option_webhook(o jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    types text[] := string_to_array(o ->> 'webhook_on', ',');
BEGIN
    IF o ->> 'webhook' IS NULL THEN
        IF types IS NOT NULL THEN
            RAISE EXCEPTION 'the option webhook_on requires webhook' USING ERRCODE = '22023';
        END IF;
        RETURN NULL;
    END IF;
    PERFORM await.check_webhook(o ->> 'webhook', types);
    RETURN jsonb_strip_nulls(jsonb_build_object('url', o ->> 'webhook', 'on', to_jsonb(types)));
END $$;
