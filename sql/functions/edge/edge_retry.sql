-- Runs an ended job once more, as a new job, for edges. A repetition changes nothing and returns the same job.
-- `outcome`: 'retried', 'replayed', 'running' (the job has not ended), 'unknown'; 'queue' or 'owner': the new job would
-- exceed a limit of those that wait (await.limit_met), and there may be room in `retry_ms`. Waits at most 200 ms for
-- others who have the job locked (55P03 with a constraint's name then).
-- replaces: await.edge_retry(uuid)
CREATE OR REPLACE FUNCTION await.edge_retry(p_id uuid, p_most int DEFAULT NULL, p_owner_most int DEFAULT NULL,
    OUT outcome text, OUT id uuid, OUT retry_ms int8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    h await.job_head := await.lock_job(p_id, true);
BEGIN
    -- not by lock_timeout, which would also end the wait for a table that is being vacuumed or altered
    FOR i IN 1 .. 20 LOOP
        EXIT WHEN h.id IS NOT NULL OR NOT EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_id)
            AND j.id = p_id);
        PERFORM pg_sleep(0.01);
        h := await.lock_job(p_id, true);
    END LOOP;
    IF h.id IS NULL AND EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_id) AND j.id = p_id) THEN
        RAISE EXCEPTION 'job % is locked by a transaction that does not end', p_id USING ERRCODE = '55P03',
            CONSTRAINT = 'job_pkey';
    ELSIF h.id IS NULL OR await.is_batch(p_id) THEN
        outcome := 'unknown';
        RETURN;
    ELSIF NOT h.ended THEN
        outcome := 'running';
        RETURN;
    END IF;
    SELECT r.retry INTO edge_retry.id FROM await.retried r WHERE r.class = await.class(p_id) AND r.job = p_id;
    outcome := CASE WHEN FOUND THEN 'replayed' ELSE 'retried' END;
    IF outcome = 'replayed' THEN
        RETURN;
    ELSIF p_most IS NOT NULL OR p_owner_most IS NOT NULL THEN
        SELECT coalesce(m.refused, outcome), m.retry_ms INTO outcome, edge_retry.retry_ms
            FROM await.limit_met(h.queue, h.owner, 1, p_most, p_owner_most) m;
    END IF;
    IF outcome = 'retried' THEN
        edge_retry.id := await.retry(p_id);
    END IF;
END $$;
