-- Ends this attempt as failed. retry_in NULL: the queue's back-off; negative: no further attempt. If no attempt is left, the job
-- ends as failed with `error` (members of a problem, RFC 9457), which is cut if it has more than 48 KB. False: this claim no longer holds the job.
CREATE OR REPLACE FUNCTION await.fail(id uuid, receipt text, error jsonb, retry_in interval DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    h   await.job_head;
    own int2;
BEGIN
    IF retry_in > interval '10 years' THEN
        RAISE EXCEPTION 'retry_in is at most 10 years, not %', retry_in USING ERRCODE = '22023';
    ELSIF NOT await.is_short(error) THEN
        error := await.fit_error(error);
    END IF;
    IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = fail.id AND l.receipt = fail.receipt) THEN
        RETURN false;
    END IF;
    h := await.lock_job(fail.id);
    own := await.end_lease(h.id, fail.receipt);
    IF own IS NULL OR h.ended THEN
        RETURN false;
    END IF;
    PERFORM await.retry_or_fail(h, own, coalesce(error, '{}'), retry_in);
    RETURN true;
END $$;
