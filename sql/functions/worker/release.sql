-- Gives a claimed job back, after `delay` or at once, without using up the attempt: the next claim has the same number. An attempt that
-- is given back more than 100 times has failed. What the worker stored of a result is deleted. False: this claim no longer holds the
-- job, and nothing has changed.
CREATE OR REPLACE FUNCTION await.release(id uuid, receipt text, delay interval DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    k    int2 := await.class(release.id);
    h    await.job_head;
    own  int2;
    due  timestamptz;
    before jsonb;                            -- the data of the last event "pending"
    times int := 1;                          -- how often this attempt has been given back
BEGIN
    IF delay NOT BETWEEN interval '0' AND interval '10 years' THEN
        RAISE EXCEPTION 'the delay of await.release is an interval from 0 to 10 years, not %', delay USING ERRCODE = '22023';
    END IF;
    IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = release.id AND l.receipt = release.receipt) THEN
        RETURN false;
    END IF;
    h := await.lock_job(release.id);
    own := await.end_lease(h.id, release.receipt);
    IF own IS NULL OR h.ended THEN
        RETURN false;
    END IF;
    DELETE FROM await.chunk c WHERE c.class = k AND c.job = release.id AND c.kind = 'r' AND c.attempt = own;
    due := clock_timestamp() + coalesce(delay, interval '0');
    -- its "error" says why the attempt before failed: the document goes on to say so
    SELECT e.data INTO before FROM await.event e WHERE e.class = k AND e.job = release.id AND e.type = 'pending' ORDER BY e.seq DESC LIMIT 1;
    IF jsonb_typeof(before -> 'releases') = 'number' THEN
        times := (before ->> 'releases')::int + 1;
    END IF;
    IF times > 100 THEN
        PERFORM await.retry_or_fail(h, own, jsonb_build_object('title', 'Released too often',
            'detail', format('attempt %s was given back %s times', own, times)), nullif(delay, interval '0'));
        RETURN true;
    END IF;
    PERFORM await.append_event(h, 'pending', 'pending', await.waiting(h, due, before -> 'error') || jsonb_build_object('released', true, 'releases', times), (own - 1)::int2);
    PERFORM await.enqueue(h.id, h.queue, h.priority, own, due);
    RETURN true;
END $$;
