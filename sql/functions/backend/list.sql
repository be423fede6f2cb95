-- A time among the options of await.list() or in a filter of await.find_jobs(), in microseconds since 1970.
CREATE OR REPLACE FUNCTION await.list_time(o jsonb, p_name text) RETURNS int8
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF o ->> p_name IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN (extract(epoch FROM least(greatest((o ->> p_name)::timestamptz, '0001-01-01'), '9999-01-01'))
            * 1000000)::int8;
EXCEPTION WHEN data_exception THEN
    RAISE EXCEPTION '% is a time, not %', p_name, quote_literal(left(o ->> p_name, 80)) USING ERRCODE = '22023';
END $$;

-- One page of the list of jobs, newest first: `jobs`, an array of documents, and `next`, the cursor of the next page,
-- NULL after the last one. A page may have fewer jobs than the limit, or none, and still be followed by another one
-- (await.list_page).
-- Options: owner, queue, state (one, or an array), batch, created_after (at that time or later), created_before, limit
-- (1 to 200, 50 by default), cursor. A role that is limited to queues names one of them.
CREATE OR REPLACE FUNCTION await.list(options jsonb DEFAULT '{}', OUT jobs jsonb, OUT next text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_states CONSTANT text[] := '{pending,processing,completed,failed,cancelled,expired}';
    o       jsonb := coalesce(options, '{}');
    wrong   text;
    states  text[];
    at      text[] := string_to_array(o ->> 'cursor', '.');
    "limit" int;
BEGIN
    IF jsonb_typeof(o) <> 'object' THEN
        RAISE EXCEPTION 'the options of await.list are a JSON object' USING ERRCODE = '22023';
    END IF;
    SELECT string_agg(left(k, 80), ', ') INTO wrong FROM (
        SELECT k FROM jsonb_object_keys(o) k WHERE k NOT IN ('owner', 'queue', 'state', 'batch', 'created_after',
            'created_before', 'limit', 'cursor') LIMIT 10) u;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'await.list knows no option %', wrong USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_values(o - 'state');
    IF jsonb_typeof(o -> 'state') = 'array' THEN
        states := ARRAY(SELECT jsonb_array_elements_text(o -> 'state'));
    ELSIF o ->> 'state' IS NOT NULL THEN
        states := ARRAY[o ->> 'state'];
    END IF;
    IF NOT states <@ v_states OR states = '{}' OR array_position(states, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a state is one of %, not %', array_to_string(v_states, ', '), left((o -> 'state')::text, 80)
            USING ERRCODE = '22023';
    END IF;
    "limit" := coalesce(await.option_number(o, 'limit', 1, 200), 50);
    IF o ->> 'cursor' IS NOT NULL AND o ->> 'cursor' !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[.][0-9]{1,18}$' THEN
        RAISE EXCEPTION 'cursor is what an earlier call returned as next, not %',
            quote_literal(left(o ->> 'cursor', 80)) USING ERRCODE = '22023';
    END IF;
    IF EXISTS (SELECT FROM await.queue_grant) AND NOT await.may_queue(coalesce(o ->> 'queue', '*')) THEN
        RAISE EXCEPTION 'role % may not list the jobs of %', quote_ident(session_user),
            coalesce('queue ' || quote_literal(left(o ->> 'queue', 80)), 'all queues')
            USING ERRCODE = '42501', HINT = 'await-ctl grant';
    END IF;
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', j.id, 'queue', j.queue, 'owner', j.owner, 'state', j.state,
               'seq', j.seq, 'attempt', j.attempt, 'correlation_id', j.correlation_id, 'batch', j.batch,
               'phase', j.phase, 'retry_of', j.retry_of, 'params', j.params::jsonb, 'progress', j.progress::jsonb,
               'created_at', j.created_at, 'updated_at', j.updated_at, 'error', j.error::jsonb,
               'result', CASE WHEN j.state = 'completed' THEN
                   jsonb_build_object('type', j.content_type, 'size', j.size, 'name', j.file_name) END)
               ORDER BY j.n) FILTER (WHERE j.id IS NOT NULL), '[]'),
           (array_agg(j.next_id || '.' || j.next_eid ORDER BY j.n DESC))[1]
        INTO jobs, next
        FROM await.edge_list(ARRAY[o ->> 'owner'], ARRAY[o ->> 'queue'], ARRAY[array_to_string(states, ',')],
            ARRAY[await.option_uuid(o, 'batch')], ARRAY[await.list_time(o, 'created_after')],
            ARRAY[await.list_time(o, 'created_before')], ARRAY[at[1]::uuid], ARRAY[at[2]::int8], ARRAY["limit"])
            WITH ORDINALITY j (item, next_id, next_eid, id, queue, owner, state, seq, attempt, correlation_id, batch,
                phase, retry_of, params, progress, created_at, updated_at, error, status, content_type, file_name, size,
                inlined, n);
END $$;
