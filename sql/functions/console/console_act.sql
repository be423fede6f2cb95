-- What an operator does in the console: `action` with `jobs` (retry, cancel) or `queues` (pause, resume), up to 100 of
-- them. One row has a JSON document with what became of each; the others say who must hear of it: of the job its
-- newest event and its owner, or a queue that workers may claim from. What another transaction has locked is passed by:
-- "locked". If something else that a change needs stays locked, what remains is not tried, but "locked" too: the
-- statements of clients wait behind this one. A topic, whose id is that of a job, is unknown.
CREATE OR REPLACE FUNCTION await.console_act(p jsonb)
RETURNS TABLE (document text, job uuid, seq int4, owner text, queue text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '500ms'
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    action  CONSTANT text := p ->> 'action';
    of_jobs CONSTANT boolean := action IN ('retry', 'cancel');
    list    CONSTANT jsonb := p -> CASE WHEN of_jobs THEN 'jobs' ELSE 'queues' END;
    items   text[];
    item    text;
    h       await.job_head;
    outcome text;
    made    uuid;
    blocked boolean := false;
    results json[] := '{}';
BEGIN
    IF action IS NULL OR action NOT IN ('retry', 'cancel', 'pause', 'resume') THEN
        RAISE EXCEPTION 'an action needs to be retry, cancel, pause or resume' USING ERRCODE = '22023';
    ELSIF jsonb_typeof(list) IS DISTINCT FROM 'array' OR jsonb_array_length(list) NOT BETWEEN 1 AND 100
        OR EXISTS (SELECT FROM jsonb_array_elements(list) x WHERE jsonb_typeof(x) <> 'string'
                   OR of_jobs AND x #>> '{}' !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$') THEN
        RAISE EXCEPTION 'an action needs a list of 1 to 100 jobs or queues' USING ERRCODE = '22023';
    END IF;
    -- in one order, so that two operators do not wait for each other
    items := ARRAY(SELECT DISTINCT CASE WHEN of_jobs THEN lower(x) ELSE x END FROM jsonb_array_elements_text(list) x
                   ORDER BY 1);
    FOREACH item IN ARRAY items LOOP
        made := NULL;
        BEGIN
            IF blocked THEN
                outcome := 'locked';
            ELSIF of_jobs THEN
                h := await.lock_job(item::uuid, true);
                IF h.id IS NULL OR h.id >= 'ffffffff-0000-0000-0000-000000000000' THEN
                    outcome := CASE WHEN item::uuid < 'ffffffff-0000-0000-0000-000000000000' AND EXISTS (
                        SELECT FROM await.job j WHERE j.class = await.class(item::uuid) AND j.id = item::uuid)
                        THEN 'locked' ELSE 'unknown' END;
                ELSIF action = 'cancel' THEN
                    outcome := await.cancel(h.id);
                ELSIF NOT h.ended OR await.is_batch(h.id) THEN
                    outcome := CASE WHEN h.ended THEN 'batch' ELSE 'running' END;
                ELSE
                    SELECT r.retry INTO made FROM await.retried r WHERE r.class = await.class(h.id) AND r.job = h.id;
                    outcome := CASE WHEN made IS NULL THEN 'retried' ELSE 'replayed' END;
                    made := coalesce(made, await.retry(h.id));
                END IF;
            ELSIF NOT EXISTS (SELECT FROM await.queue q WHERE q.name = item) OR left(item, 1) = '.' THEN
                outcome := 'unknown';
            ELSIF NOT EXISTS (SELECT FROM await.queue q WHERE q.name = item FOR NO KEY UPDATE SKIP LOCKED) THEN
                outcome := 'locked';
            ELSIF action = 'pause' THEN
                outcome := CASE WHEN await.pause(item) THEN 'paused' ELSE 'already' END;
            ELSE
                outcome := CASE WHEN await.resume(item) THEN 'resumed' ELSE 'already' END;
            END IF;
        EXCEPTION WHEN lock_not_available THEN
            outcome := 'locked';
            made := NULL;
            blocked := true;
        END;
        IF outcome = 'cancelled' THEN
            RETURN QUERY SELECT NULL::text, h.id, h.seq + 1, h.owner, NULL::text;
        ELSIF outcome = 'retried' THEN
            RETURN QUERY SELECT NULL::text, NULL::uuid, NULL::int4, h.owner, q.name FROM await.queue q
                WHERE q.id = h.queue;
        ELSIF outcome = 'resumed' THEN
            RETURN QUERY SELECT NULL::text, NULL::uuid, NULL::int4, NULL::text, item;
        END IF;
        results := results || CASE WHEN of_jobs THEN json_build_object('job', item, 'outcome', outcome, 'made', made)
            ELSE json_build_object('queue', item, 'outcome', outcome) END;
    END LOOP;
    RETURN QUERY SELECT json_build_object('action', action, 'results', array_to_json(results))::text, NULL::uuid,
        NULL::int4, NULL::text, NULL::text;
END $$;
