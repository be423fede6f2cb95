-- Runs ended jobs that a filter of await.find_jobs() finds once more, each as a new job with retry_of: p_limit of them
-- at most. A job that was retried before, by whomever, is passed by, so the same call may be repeated. Looks at no more
-- than 10,000 ended jobs; `upto` is the job to go on after, NULL: there are no more.
CREATE OR REPLACE FUNCTION await.retry_many(filter jsonb, p_limit int DEFAULT 100, after uuid DEFAULT NULL,
    OUT retried int, OUT passed int, OUT upto uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    found record;
    h     await.job_head;
BEGIN
    retried := 0;
    passed := 0;
    FOR found IN SELECT * FROM await.find_jobs(filter, p_limit, after) LOOP
        upto := found.upto;
        CONTINUE WHEN found.id IS NULL;
        h := await.lock_job(found.id, true); -- whoever retries it now has it locked
        IF h.id IS NULL OR EXISTS (SELECT FROM await.retried r WHERE r.class = await.class(found.id)
            AND r.job = found.id) THEN
            passed := passed + 1;
        ELSE
            PERFORM await.retry(found.id);
            retried := retried + 1;
        END IF;
    END LOOP;
END $$;
