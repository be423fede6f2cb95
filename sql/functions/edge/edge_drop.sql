-- Deletes the pieces of an upload that was abandoned. The pieces of a submitted job stay.
CREATE OR REPLACE FUNCTION await.edge_drop(p_job uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM await.chunk c WHERE c.class = await.class(p_job) AND c.job = p_job AND c.kind = 'p'
        AND NOT EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_job) AND j.id = p_job)
$$;
