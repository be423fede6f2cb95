-- Stores a piece of the payload that is being uploaded.
CREATE OR REPLACE FUNCTION await.edge_put(p_job uuid, p_n int4, p_pos bigint, p_bytes bytea) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT await.need_partitions(await.class(p_job), 'chunk') WHERE p_n = 0;
    INSERT INTO await.chunk (class, job, kind, attempt, n, pos, bytes)
    VALUES (await.class(p_job), p_job, 'p', 0, p_n, p_pos, p_bytes) ON CONFLICT DO NOTHING
$$;
