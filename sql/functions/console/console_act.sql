-- What an operator does in the console: `action` with `jobs` (retry, cancel) or `queues` (pause, resume), up to 100 of
-- them. One row has a JSON document with what became of each; the others say who must hear of it: of the job its
-- newest event and its owner, or a queue that workers may claim from. A job that another transaction has locked is
-- passed by: "locked".
CREATE OR REPLACE FUNCTION await.console_act(p jsonb)
RETURNS TABLE (document text, job uuid, seq int4, owner text, queue text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    action  CONSTANT text := p ->> 'action';
    of_jobs CONSTANT boolean := action IN ('retry', 'cancel');
    items   text[];
    item    text;
    h       await.job_head;
    outcome text;
    made    uuid;
    results json[] := '{}';
BEGIN
    IF action IS NULL OR action NOT IN ('retry', 'cancel', 'pause', 'resume') THEN
        RAISE EXCEPTION 'an action is retry, cancel, pause or resume' USING ERRCODE = '22023';
    ELSIF jsonb_typeof(p -> CASE WHEN of_jobs THEN 'jobs' ELSE 'queues' END) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'an action needs a list of jobs or queues' USING ERRCODE = '22023';
    END IF;
    items := ARRAY(SELECT DISTINCT x FROM jsonb_array_elements_text(p -> CASE WHEN of_jobs THEN 'jobs' ELSE 'queues' END) x
                   ORDER BY x);              -- in one order, so that two operators do not wait for each other
    IF cardinality(items) NOT BETWEEN 1 AND 100 THEN
        RAISE EXCEPTION 'an action is for 1 to 100 jobs or queues' USING ERRCODE = '22023';
    END IF;
    FOREACH item IN ARRAY items LOOP
        outcome := NULL;
        made := NULL;
        IF of_jobs THEN
            h := await.lock_job(item::uuid, true);
            IF h.id IS NULL THEN
                outcome := CASE WHEN EXISTS (SELECT FROM await.job j WHERE j.class = await.class(item::uuid)
                    AND j.id = item::uuid) THEN 'locked' ELSE 'unknown' END;
            ELSIF action = 'cancel' THEN
                outcome := await.cancel(h.id);
            ELSIF NOT h.ended OR await.is_batch(h.id) THEN
                outcome := CASE WHEN h.ended THEN 'batch' ELSE 'running' END;
            ELSE
                SELECT r.retry INTO made FROM await.retried r WHERE r.class = await.class(h.id) AND r.job = h.id;
                outcome := CASE WHEN made IS NULL THEN 'retried' ELSE 'replayed' END;
                made := coalesce(made, await.retry(h.id));
            END IF;
            IF outcome = 'cancelled' THEN
                RETURN QUERY SELECT NULL::text, h.id, h.seq + 1, h.owner, NULL::text;
            ELSIF outcome = 'retried' THEN
                RETURN QUERY SELECT NULL::text, NULL::uuid, NULL::int4, h.owner, q.name FROM await.queue q
                    WHERE q.id = h.queue;
            END IF;
            results := results || json_build_object('job', item, 'outcome', outcome, 'made', made);
        ELSE
            IF NOT EXISTS (SELECT FROM await.queue q WHERE q.name = item) OR left(item, 1) = '.' THEN
                outcome := 'unknown';
            ELSIF action = 'pause' THEN
                outcome := CASE WHEN await.pause(item) THEN 'paused' ELSE 'already' END;
            ELSE
                outcome := CASE WHEN await.resume(item) THEN 'resumed' ELSE 'already' END;
            END IF;
            IF outcome = 'resumed' THEN
                RETURN QUERY SELECT NULL::text, NULL::uuid, NULL::int4, NULL::text, item;
            END IF;
            results := results || json_build_object('queue', item, 'outcome', outcome);
        END IF;
    END LOOP;
    RETURN QUERY SELECT json_build_object('action', action, 'results', array_to_json(results))::text, NULL::uuid,
        NULL::int4, NULL::text, NULL::text;
END $$;
