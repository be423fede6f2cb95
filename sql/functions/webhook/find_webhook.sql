-- An endpoint that is registered. Error code 22023 if there is none.
CREATE OR REPLACE FUNCTION await.find_webhook(p_id int4) RETURNS await.webhook
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    w await.webhook;
BEGIN
    SELECT * INTO w FROM await.webhook k WHERE k.id = p_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no webhook %', p_id USING ERRCODE = '22023', HINT = 'await-ctl webhooks list';
    END IF;
    RETURN w;
END $$;
