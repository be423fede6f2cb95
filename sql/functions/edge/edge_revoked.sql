-- The owners that were revoked within the last hour, and when, in Unix milliseconds.
CREATE OR REPLACE FUNCTION await.edge_revoked() RETURNS TABLE (owner text, at int8)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.owner, floor(extract(epoch FROM r.at) * 1000)::int8 FROM await.revoked r WHERE r.at > clock_timestamp() - interval '1 hour'
$$;
