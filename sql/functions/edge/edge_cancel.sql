-- As await.cancel(), for edges: does not wait longer than 200 ms for others who have the job locked (55P03 with a constraint's name
-- then), because an edge's next statements wait behind it. With `p_seq` (If-Match) it cancels only if the job's newest event has this
-- seq; otherwise it returns 'changed'.
CREATE OR REPLACE FUNCTION await.edge_cancel(p_id uuid, p_seq int DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    h await.job_head := await.lock_job(p_id, true);
BEGIN
    -- not by lock_timeout, which would also end the wait for a table that is being vacuumed or altered
    FOR i IN 1 .. 20 LOOP
        EXIT WHEN h.id IS NOT NULL OR NOT EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_id) AND j.id = p_id);
        PERFORM pg_sleep(0.01);
        h := await.lock_job(p_id, true);
    END LOOP;
    IF h.id IS NULL AND EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_id) AND j.id = p_id) THEN
        RAISE EXCEPTION 'job % is locked by a transaction that does not end', p_id USING ERRCODE = '55P03', CONSTRAINT = 'job_pkey';
    ELSIF h.id IS NOT NULL AND h.seq <> p_seq THEN
        RETURN 'changed';
    END IF;
    RETURN await.cancel(p_id);
END $$;
