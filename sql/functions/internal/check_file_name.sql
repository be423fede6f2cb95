-- Refuses a file name that could break a header or name a path. Error code 22023.
CREATE OR REPLACE FUNCTION await.check_file_name(value text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF value ~ E'[[:cntrl:]/\\\\]' OR length(value) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'file name % contains a control character or a path separator, or does not have 1 to 255 characters',
            quote_literal(left(value, 80)) USING ERRCODE = '22023';
    END IF;
END $$;
