-- Creates a batch without jobs inside the caller's transaction; await.submit() with the option `batch` adds them.
-- Returns its id. It is ready, once, when each of its phases had jobs and all of them have ended. Options: owner,
-- phases (an array of names in their order), on_ready (a queue: it gets a job with the summary when the batch is
-- ready), correlation_id, trace, retain, deadline (an interval: then the batch expires, and its jobs are cancelled),
-- webhook and webhook_on (as of await.submit(): where the batch's own events go).
CREATE OR REPLACE FUNCTION await.create_batch(options jsonb DEFAULT '{}') RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    o      jsonb := coalesce(options, '{}');
    wrong  text;
    class  int2;
    new_id uuid;
BEGIN
    IF jsonb_typeof(o) <> 'object' THEN
        RAISE EXCEPTION 'the options of await.create_batch are a JSON object' USING ERRCODE = '22023';
    ELSIF pg_column_size(o) > 65536 THEN
        RAISE EXCEPTION 'the options of await.create_batch have at most 64 KB' USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_json(o, 'the options of await.create_batch');
    SELECT string_agg(left(k, 80), ', ') INTO wrong FROM (SELECT k FROM jsonb_object_keys(o) k
        WHERE k NOT IN ('owner', 'phases', 'on_ready', 'correlation_id', 'trace', 'retain', 'deadline',
            'webhook', 'webhook_on') LIMIT 10) u;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'await.create_batch has no option %', wrong USING ERRCODE = '22023';
    END IF;
    SELECT e.key INTO wrong FROM jsonb_each_text(o - 'phases') e WHERE length(e.value) > 1000 LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'the option % has at most 1000 characters', wrong USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_values(o - 'phases');
    o := jsonb_strip_nulls(o - 'phases') || jsonb_build_object('phases', coalesce(nullif(o -> 'phases', 'null'), '[]'));
    IF jsonb_typeof(o -> 'phases') <> 'array'
          OR jsonb_path_exists(o, 'strict $.phases[*] ? (@.type() <> "string")', '{}', true) THEN
        RAISE EXCEPTION 'phases is an array of names, not %', left((o -> 'phases')::text, 80) USING ERRCODE = '22023';
    ELSIF jsonb_array_length(o -> 'phases') > 16 THEN
        RAISE EXCEPTION 'a batch has at most 16 phases, not %', jsonb_array_length(o -> 'phases')
            USING ERRCODE = '22023';
    END IF;
    IF o ->> 'on_ready' IS NOT NULL AND EXISTS (SELECT FROM await.queue_grant)
       AND NOT await.may_queue(o ->> 'on_ready') THEN
        RAISE EXCEPTION 'role % may not use queue %', quote_ident(session_user),
            quote_literal(left(o ->> 'on_ready', 80)) USING ERRCODE = '42501', HINT = 'await-ctl grant';
    END IF;
    SELECT r.class INTO class FROM await.retention r WHERE r.name = coalesce(o ->> 'retain', '7d');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'retain is one of the names in await.retention, not %', quote_literal(left(o ->> 'retain', 80))
            USING ERRCODE = '22023';
    END IF;
    IF o ->> 'on_ready' IS NOT NULL THEN
        PERFORM await.queue_id(o ->> 'on_ready'); -- it counts against the limit, unlike one that a directive names
    END IF;
    new_id := await.new_batch_id(class);
    PERFORM await.need_partitions(class);
    PERFORM await.insert_batch(new_id, o ->> 'owner', o ->> 'correlation_id', o ->> 'trace',
        ARRAY(SELECT jsonb_array_elements_text(o -> 'phases')), o ->> 'on_ready',
        clock_timestamp() + await.option_span(o, 'deadline', '0', '10 years'), await.option_webhook(o));
    RETURN new_id;
END $$;
