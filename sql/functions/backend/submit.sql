-- Refuses options of await.submit() that are unknown or too large. Their values are texts and numbers, except params.
CREATE OR REPLACE FUNCTION await.check_options(o jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    wrong text;
BEGIN
    IF jsonb_typeof(o) <> 'object' THEN
        RAISE EXCEPTION 'the options of await.submit are a JSON object' USING ERRCODE = '22023';
    ELSIF pg_column_size(o) > 1048576 THEN
        RAISE EXCEPTION 'params have at most 64 KB' USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_json(o, 'the options of await.submit');
    SELECT string_agg(left(k, 80), ', ') INTO wrong FROM (SELECT k FROM jsonb_object_keys(o) k WHERE k NOT IN ('priority', 'owner',
        'correlation_id', 'trace', 'file_name', 'params', 'lease', 'max_attempts', 'delay', 'deadline', 'retain', 'batch', 'phase',
        'webhook', 'webhook_on') LIMIT 10) u;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'await.submit has no option %', wrong USING ERRCODE = '22023';
    END IF;
    SELECT e.key INTO wrong FROM jsonb_each_text(o - 'params') e WHERE length(e.value) > 1000 LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'the option % has at most 1000 characters', wrong USING ERRCODE = '22023';
    ELSIF octet_length((o -> 'params')::text) > 65536 THEN
        RAISE EXCEPTION 'params have at most 64 KB, not %', octet_length((o -> 'params')::text) USING ERRCODE = '22023';
    END IF;
END $$;

-- The job that stands for a key of await.submit(): the new one, or, if it is a repetition, the first one. As with the header
-- Idempotency-Key, a key is valid for one owner and one queue, and the payload, content type, file name and params tell whether it
-- is the same request. A client cannot take such a key by a header, which holds no control character.
CREATE OR REPLACE FUNCTION await.job_of_key(new_id uuid, queue text, o jsonb, key text, keep interval, type text, body bytea) RETURNS uuid
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    request bytea := sha256(body);
    part    text;
    first   record;
BEGIN
    IF length(key) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'a key has 1 to 255 characters, not %', length(key) USING ERRCODE = '22023';
    ELSIF keep NOT BETWEEN interval '1 second' AND interval '10 years' THEN
        RAISE EXCEPTION 'a key is kept for a second to ten years, not %', keep USING ERRCODE = '22023';
    END IF;
    FOREACH part IN ARRAY ARRAY[type, o ->> 'file_name', o ->> 'params'] LOOP -- each with its length, so that no two lists are alike
        request := request || convert_to(coalesce(octet_length(part) || ':' || part, '-'), 'UTF8');
    END LOOP;
    SELECT k.id, k.clash INTO first FROM await.take_keys(ARRAY[new_id], ARRAY[queue], ARRAY[o ->> 'owner'], ARRAY[chr(1) || key],
        ARRAY[sha256(request)], ARRAY[(extract(epoch FROM coalesce(keep, interval '1 day')) * 1000)::int8]) k;
    IF first.clash THEN
        RAISE EXCEPTION 'the key % was already used in queue % with a different job', quote_literal(left(key, 80)), quote_literal(queue)
            USING ERRCODE = '23505', DETAIL = format('It stands for job %s.', first.id);
    END IF;
    RETURN first.id;
END $$;

-- Submits a job inside the caller's transaction. Returns its id. With `batch` it is added to a batch that has not ended, in
-- one of its phases; the owner, the retention and, by default, the correlation id and the trace are the batch's.
-- Options: priority, owner, correlation_id, trace, file_name, params, lease, max_attempts, delay, deadline, retain, batch, phase,
-- webhook (a URL that gets the job's ending) and webhook_on (the types of the events that it gets, with commas between them).
--
-- With a key it is submitted once: while the key is kept (a day by default, and no longer than the job), the same call returns the
-- id of the first job, and one with another payload is an error (23505). It waits for a transaction that submits the same key.
--
-- replaces: await.submit(text, bytea, text, jsonb)
CREATE OR REPLACE FUNCTION await.submit(queue text, payload bytea, content_type text DEFAULT 'application/octet-stream',
    options jsonb DEFAULT '{}', key text DEFAULT NULL, keep_key interval DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    o        jsonb := coalesce(options, '{}');
    type     text  := coalesce(content_type, 'application/octet-stream');
    body     bytea := coalesce(payload, '');
    class    int2;
    missing  boolean;                        -- the partition of now
    new_id   uuid;
    first_id uuid;
    in_queue int4;
    prio     int2 := 0;
    attempts int2;
    lease    interval;
    due      timestamptz;
    deadline timestamptz;
    owner    text;
    webhook  jsonb;
    b        await.job;                      -- the batch
BEGIN
    -- before any option is read; an object that is short and has only known names needs no further check
    IF o <> '{}' AND NOT (CASE WHEN jsonb_typeof(o) = 'object' THEN await.is_short(o) AND o - '{priority,owner,correlation_id,trace,file_name,params,
            lease,max_attempts,delay,deadline,retain,batch,phase,webhook,webhook_on}'::text[] = '{}' ELSE false END) THEN
        PERFORM await.check_options(o);
    END IF;
    PERFORM await.check_content_type(type), await.check_file_name(o ->> 'file_name');
    IF EXISTS (SELECT FROM await.queue_grant) AND NOT await.may_queue(submit.queue) THEN
        RAISE EXCEPTION 'role % may not use queue %', quote_ident(session_user), quote_literal(left(submit.queue, 80)) USING ERRCODE = '42501', HINT = 'await-ctl grant';
    END IF;
    IF o <> '{}' THEN
        IF jsonb_path_exists(o - 'params', 'strict $.* ? (@.type() == "object" || @.type() == "array" || @.type() == "boolean")')
           OR o ->> 'correlation_id' ~ E'[\\x01-\\x1f\\x7f]' OR o ->> 'trace' ~ E'[\\x01-\\x1f\\x7f]' THEN
            PERFORM await.check_values(o - 'params');
        END IF;
        lease := await.option_span(o, 'lease', '1 second', '1 day');
        due := clock_timestamp() + await.option_span(o, 'delay', '0', '10 years');
        deadline := clock_timestamp() + await.option_span(o, 'deadline', '0', '10 years');
        attempts := await.option_number(o, 'max_attempts', 1, 1000);
        prio := coalesce(await.option_number(o, 'priority', -100, 100), 0);
        webhook := await.option_webhook(o);
    END IF;
    SELECT r.class, NOT await.has_partition('job', r.class, r.step, clock_timestamp()) INTO class, missing
        FROM await.retention r WHERE r.name = coalesce(o ->> 'retain', '7d');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'retain is one of the names in await.retention, not %', quote_literal(left(o ->> 'retain', 80)) USING ERRCODE = '22023';
    END IF;
    owner := o ->> 'owner';
    IF o ->> 'batch' IS NOT NULL THEN       -- its jobs are kept as long as the batch, and belong to its owner
        b := await.find_batch(await.option_uuid(o, 'batch'));
        IF o ->> 'retain' IS NOT NULL AND class <> b.class THEN
            RAISE EXCEPTION 'retain is that of the batch, not %', quote_literal(left(o ->> 'retain', 80))
                USING ERRCODE = '22023', HINT = 'leave it out';
        ELSIF owner <> b.owner OR owner IS NOT NULL AND b.owner IS NULL THEN
            RAISE EXCEPTION 'the owner is that of the batch, not %', quote_literal(left(owner, 80))
                USING ERRCODE = '22023', HINT = 'leave it out';
        END IF;
        class := b.class;
        owner := b.owner;
    ELSIF o ->> 'phase' IS NOT NULL THEN
        RAISE EXCEPTION 'a job has a phase only in a batch' USING ERRCODE = '22023';
    END IF;
    IF missing OR b.id IS NOT NULL THEN      -- the batch may be of another class
        PERFORM await.need_partitions(class);
    END IF;
    new_id := await.new_id(class);
    IF key IS NOT NULL THEN
        first_id := await.job_of_key(new_id, queue,
            CASE WHEN b.id IS NULL THEN o ELSE o || jsonb_build_object('owner', owner) END, key, keep_key, type, body);
        IF first_id <> new_id THEN
            RETURN first_id;                 -- even if the batch has ended since
        END IF;
    END IF;
    IF b.id IS NOT NULL THEN
        PERFORM await.hold_batch(b, ARRAY[o ->> 'phase']);
    END IF;
    in_queue := await.queue_id(submit.queue);
    PERFORM await.note_use(in_queue, class);
    INSERT INTO await.job (class, id, queue, priority, owner, batch, phase, correlation_id, trace, content_type, file_name,
                           params, payload, payload_size, lease, max_attempts, due, deadline, webhook)
    VALUES (class, new_id, in_queue, prio, owner, b.id, o ->> 'phase', coalesce(o ->> 'correlation_id', b.correlation_id),
            coalesce(o ->> 'trace', b.trace), type, o ->> 'file_name', o -> 'params',
            CASE WHEN length(body) <= 65536 THEN body END, length(body),
            lease, attempts, due, deadline, webhook);
    IF length(body) > 65536 THEN
        PERFORM await.store_chunks(new_id, 'p', 0::int2, body);
    END IF;
    IF deadline IS NOT NULL THEN
        INSERT INTO await.deadline (at, job) VALUES (deadline, new_id);
    END IF;
    PERFORM await.enqueue(new_id, in_queue, prio, 1::int2, due);
    IF b.id IS NOT NULL THEN
        PERFORM await.add_to_batch(b.id, ARRAY[new_id], ARRAY[o ->> 'phase']);
    END IF;
    IF owner IS NOT NULL AND await.notifies() THEN
        PERFORM await.notify_work(NULL, ARRAY[owner]);
    END IF;
    RETURN new_id;
END $$;
