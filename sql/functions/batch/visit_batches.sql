-- Tells what changed in a batch, if nobody has. A batch in which nothing changes is visited less and less often, but at
-- least once in a minute; so what a transaction did that ended late is told too.
CREATE OR REPLACE FUNCTION await.visit_batch(p_batch uuid) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    now_at timestamptz := clock_timestamp();
    h      await.job_head := await.lock_job(p_batch, true);
    l      await.batch_live;
BEGIN
    SELECT * INTO l FROM await.batch_live b WHERE b.batch = p_batch;
    IF h.id IS NULL OR l.batch IS NULL OR now_at < l.visit AND now_at > l.visit - interval '2 minutes' THEN
        RETURN;
    END IF;
    IF await.batch_totals(p_batch) IS DISTINCT FROM (SELECT e.data FROM await.event e
            WHERE e.class = await.class(p_batch) AND e.job = p_batch AND e.type = 'progress'
            ORDER BY e.seq DESC LIMIT 1) THEN
        UPDATE await.batch_live b SET pause = interval '0' WHERE b.batch = p_batch;
        PERFORM await.tell_batch(p_batch);
    ELSE
        UPDATE await.batch_live b
            SET visit = now_at + greatest(l.pause, least((now_at - l.told) / 10, interval '1 minute'))
            WHERE b.batch = p_batch;
    END IF;
END $$;

-- Does what was left to do for a batch (await.batch_todo). Returns how many jobs it handled.
CREATE OR REPLACE FUNCTION await.do_for_batch(p_at timestamptz, p_batch uuid, p_limit int) RETURNS int
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    h await.job_head;
    n int;
BEGIN
    PERFORM FROM await.batch_todo t WHERE t.at = p_at AND t.batch = p_batch FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    h := await.lock_job(p_batch, true);
    IF h.id IS NULL AND EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_batch) AND j.id = p_batch) THEN
        RETURN 0;                            -- locked: in the next call
    ELSIF h.ended AND h.state <> 'completed' AND EXISTS (SELECT FROM await.batch_added a WHERE a.batch = p_batch) THEN
        n := await.cancel_batch_jobs(p_batch, p_limit);
    ELSIF NOT h.ended THEN
        PERFORM await.finish_batch(p_batch);
    END IF;
    IF n IS NULL THEN
        DELETE FROM await.batch_todo t WHERE t.at = p_at AND t.batch = p_batch;
    END IF;
    RETURN coalesce(n, 0);
END $$;

-- Looks after batches, for await.run_maintenance(): p_limit at most. A batch that cannot be handled stops no other.
-- Returns how many jobs and batches it handled.
CREATE OR REPLACE FUNCTION await.visit_batches(p_limit int) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET lock_timeout = '200ms'
AS $$
DECLARE
    -- not from the beginning each time: while somebody holds an old snapshot, the rows of before are still there
    since  timestamptz := CASE WHEN random() < 0.02 THEN '-infinity' ELSE clock_timestamp() - interval '10 minutes' END;
    now_at timestamptz := clock_timestamp();
    one    record;
    n      int := 0;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN 0;                            -- it would not see what is there
    END IF;
    FOR one IN SELECT t.at, t.batch FROM await.batch_todo t WHERE t.at > since ORDER BY t.at, t.batch LIMIT p_limit LOOP
        EXIT WHEN n >= p_limit;
        BEGIN
            n := n + await.do_for_batch(one.at, one.batch, p_limit - n);
        EXCEPTION WHEN lock_not_available OR serialization_failure OR deadlock_detected OR unique_violation THEN
            NULL;                            -- in the next call
        END;
    END LOOP;
    FOR one IN SELECT b.batch FROM await.batch_live b
               WHERE b.visit <= now_at AND b.visit > since ORDER BY b.visit LIMIT p_limit LOOP
        BEGIN
            PERFORM await.visit_batch(one.batch);
        EXCEPTION WHEN lock_not_available OR serialization_failure OR deadlock_detected OR unique_violation THEN
            NULL;
        END;
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;
