-- As await.cancel(), for edges: does not wait longer than 200 ms for a lock (55P03 then), because an edge's next statements wait
-- behind it. With `p_seq` (If-Match) it cancels only if the job's newest event has this seq; otherwise it returns 'changed'.
CREATE OR REPLACE FUNCTION await.edge_cancel(p_id uuid, p_seq int DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms' SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    h await.job_head := await.lock_job(p_id);
BEGIN
    IF h.id IS NOT NULL AND h.seq <> p_seq THEN
        RETURN 'changed';
    END IF;
    RETURN await.cancel(p_id);
END $$;
