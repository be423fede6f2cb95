-- Refuses a filter of await.find_jobs() that is malformed. Error code 22023.
CREATE OR REPLACE FUNCTION await.check_filter(filter jsonb) RETURNS void
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    wrong text;
BEGIN
    IF filter IS NULL OR jsonb_typeof(filter) <> 'object' THEN
        RAISE EXCEPTION 'a filter is a JSON object' USING ERRCODE = '22023';
    END IF;
    SELECT string_agg(left(k, 80), ', ') INTO wrong FROM (SELECT k FROM jsonb_object_keys(filter) k
        WHERE k NOT IN ('queue', 'state', 'created_after', 'created_before', 'error_type', 'owner') LIMIT 10) u;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'a filter has queue, state, owner, created_after, created_before and error_type, not %', wrong
            USING ERRCODE = '22023';
    ELSIF filter ->> 'state' NOT IN ('completed', 'failed', 'cancelled', 'expired') THEN
        RAISE EXCEPTION 'the state of a filter is completed, failed, cancelled or expired, not %',
            quote_literal(left(filter ->> 'state', 80))
            USING ERRCODE = '22023';
    ELSIF NOT EXISTS (SELECT FROM await.queue q WHERE q.name = filter ->> 'queue') AND filter ? 'queue' THEN
        RAISE EXCEPTION 'there is no queue %', quote_nullable(left(filter ->> 'queue', 80)) USING ERRCODE = '22023';
    END IF;
    PERFORM await.list_time(filter, 'created_after'), await.list_time(filter, 'created_before');
END $$;

-- Ended jobs by a filter, oldest first within their retention class: queue, state (by default failed), owner,
-- created_after, created_before, error_type (the `type` of the problem they failed with). Looks at no more than 10,000
-- ended jobs: `upto` is the job to go on after, in the same column of every row; NULL where there are no more. The last
-- row has no job, so that `upto` is always said.
CREATE OR REPLACE FUNCTION await.find_jobs(filter jsonb, p_limit int DEFAULT 100, after uuid DEFAULT NULL)
RETURNS TABLE (id uuid, queue text, state text, owner text, created_at timestamptz, ended_at timestamptz, attempt int,
    error jsonb,
               retried_by uuid, upto uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    most  int := least(greatest(coalesce(p_limit, 100), 1), 1000);
    looks int := 10000;
    in_class int2 := coalesce(await.class(after), 0);
    start uuid := coalesce(after, '00000000-0000-0000-0000-000000000000');
    least_id uuid;
    end_id uuid;
    r     record;
BEGIN
    PERFORM await.check_filter(filter);
    least_id := coalesce(await.floor_id((filter ->> 'created_after')::timestamptz),
        '00000000-0000-0000-0000-000000000000');
    end_id := least(coalesce(await.floor_id((filter ->> 'created_before')::timestamptz),
        'ffffffff-0000-0000-0000-000000000000'),
                    'ffffffff-0000-0000-0000-000000000000');
    WHILE in_class <= 3 LOOP
        FOR r IN SELECT e.job, e.state, e.at, e.attempt, e.data, q.name, j.owner, j.created_at, t.retry FROM (
                     SELECT v.* FROM await.event v WHERE v.class = in_class AND v.job > start AND v.job >= least_id
                         AND v.job < end_id AND v.ending
                       AND NOT await.is_batch(v.job)
                     ORDER BY v.class, v.job LIMIT looks) e
                 JOIN await.job j ON j.class = e.class AND j.id = e.job JOIN await.queue q ON q.id = j.queue
                 LEFT JOIN await.retried t ON t.class = e.class AND t.job = e.job
                 ORDER BY e.job LOOP
            looks := looks - 1;
            upto := r.job;
            CONTINUE WHEN r.state <> coalesce(filter ->> 'state', 'failed')
                OR r.name <> coalesce(filter ->> 'queue', r.name)
                OR filter ? 'owner' AND r.owner IS DISTINCT FROM filter ->> 'owner'
                OR filter ? 'error_type' AND (r.data ->> 'type') IS DISTINCT FROM filter ->> 'error_type';
            id := r.job; queue := r.name; state := r.state; owner := r.owner; created_at := r.created_at;
            ended_at := r.at;
            attempt := r.attempt; error := CASE WHEN r.state = 'failed' THEN r.data END; retried_by := r.retry;
            RETURN NEXT;
            most := most - 1;
            EXIT WHEN most = 0;
        END LOOP;
        EXIT WHEN most = 0 OR looks <= 0;
        in_class := in_class + 1;
        start := '00000000-0000-0000-0000-000000000000';
        upto := NULL;
    END LOOP;
    id := NULL; queue := NULL; state := NULL; owner := NULL; created_at := NULL; ended_at := NULL; attempt := NULL;
    error := NULL;
    retried_by := NULL;
    RETURN NEXT;
END $$;
