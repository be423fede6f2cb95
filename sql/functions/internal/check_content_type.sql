-- Refuses a content type that could break a header further on. Error code 22023, so that callers can tell.
CREATE OR REPLACE FUNCTION await.check_content_type(value text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF value !~ E'^[A-Za-z0-9!#$%&''*+.^_`|~-]{1,127}/[A-Za-z0-9!#$%&''*+.^_`|~-]{1,127}([ \\t]*;[\\x20-\\x7e\\t]*)?$' OR length(value) > 255 THEN
        RAISE EXCEPTION 'content type % is not of the form type/subtype (RFC 9110)', quote_literal(left(value, 80)) USING ERRCODE = '22023';
    END IF;
END $$;
