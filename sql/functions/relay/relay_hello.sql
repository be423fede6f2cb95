-- What a relay needs to know of its database, asked when a connection opens. Notices a restored dump first.
CREATE OR REPLACE FUNCTION await.relay_hello() RETURNS TABLE (timeline text, schema_version int)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM await.settle(), await.open_timeline();
    RETURN QUERY SELECT await.timeline(), (SELECT max(h.version) FROM await.schema_history h);
END $$;
