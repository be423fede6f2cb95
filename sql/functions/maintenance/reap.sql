-- Handles what time brings: expired leases, deadlines, delayed jobs that are due, and the horizon; at most `p_limit` (default 100)
-- of each. Skips what another transaction has locked, however long. Returns how many jobs it changed.
--
-- The time is taken once: clock_timestamp() is volatile, so a condition with it would not use an index.
CREATE OR REPLACE FUNCTION await.reap(p_limit int DEFAULT 100) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    most    int := least(greatest(coalesce(p_limit, 100), 1), 10000);
    now_at  timestamptz := clock_timestamp();
    r       record;
    h       await.job_head;
    touched int := 0;
    passed  int := 0;                        -- locked by others
BEGIN
    FOR r IN SELECT l.job, l.attempt FROM await.lease l WHERE l.until < now_at ORDER BY l.until LOOP
        EXIT WHEN touched >= most OR passed >= most * 100;
        h := await.lock_job(r.job, true);    -- job first, lease second, as everywhere
        IF h.id IS NULL THEN
            passed := passed + 1;
            CONTINUE;
        END IF;
        DELETE FROM await.lease l WHERE l.job = r.job AND l.attempt = r.attempt AND l.until < now_at;
        CONTINUE WHEN NOT FOUND;
        touched := touched + 1;
        CONTINUE WHEN h.ended;
        PERFORM await.retry_or_fail(h, r.attempt, jsonb_build_object('title', 'Lease expired', 'detail',
            format('the worker of attempt %s did not renew its lease in time', r.attempt)), interval '0');
    END LOOP;

    passed := 0;
    FOR r IN SELECT d.at, d.job FROM await.deadline d WHERE d.at <= now_at ORDER BY d.at LOOP
        EXIT WHEN touched >= most * 2 OR passed >= most * 100;
        h := await.lock_job(r.job, true);
        IF h.id IS NULL THEN
            passed := passed + 1;
            CONTINUE;
        END IF;
        DELETE FROM await.deadline d WHERE d.at = r.at AND d.job = r.job;
        CONTINUE WHEN NOT FOUND OR h.ended;
        PERFORM await.append_event(h, 'expired', 'expired');
        touched := touched + 1;
    END LOOP;

    PERFORM await.reserve_positions();
    FOR r IN DELETE FROM await.delayed d USING (
                 SELECT due, pos FROM await.delayed WHERE due <= now_at
                 ORDER BY due, pos LIMIT most FOR UPDATE SKIP LOCKED) k
             WHERE d.due = k.due AND d.pos = k.pos RETURNING d.* LOOP
        -- its queue, and so the job, was deleted before it was due
        CONTINUE WHEN NOT EXISTS (SELECT FROM await.queue q WHERE q.id = r.lane >> 8);
        PERFORM await.open_lane(r.lane);
        INSERT INTO await.ready (lane, pos, job, attempt) VALUES (r.lane, nextval('await.pos'), r.job, r.attempt);
        touched := touched + 1;
    END LOOP;

    PERFORM await.advance_horizon();
    RETURN touched;
END $$;
