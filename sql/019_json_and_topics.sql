-- JSON that explodes when it is written out, topics that nobody needs, and what purge does, within bounds.

-- --- JSON ----------------------------------------------------------------------------------------------------------

-- Whether a small value is short when written out, and so are its numbers; false: it has to be looked at. Numbers below 1e90 have
-- 16383 digits after the point at most, so that little is written to find out. STABLE, as pg_column_size() is: so it becomes a
-- part of the expression that it is called in, and costs no call.
CREATE FUNCTION await.is_short(value jsonb) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT pg_column_size(value) <= 512
       AND NOT jsonb_path_exists(value, 'strict $.** ? (@ >= 1e90 || @ <= -1e90)')
       AND octet_length(value::text) <= 400
$$;

-- Refuses a number of more than 400 characters when written out: 1e130000 is short as it comes and as it is stored, and
-- long whenever somebody reads it. Nothing is written out before it is known to be short. `what`: for the message.
CREATE FUNCTION await.check_json(value jsonb, what text) RETURNS void LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF value IS NULL OR await.is_short(value) THEN
        RETURN;
    ELSIF EXISTS (SELECT FROM jsonb_path_query(value, 'strict $.** ? (@.type() == "number")') n
                  WHERE (scale(n::numeric) > 90 OR abs(n::numeric) >= 1e90) AND length(n::text) > 400) THEN
        RAISE EXCEPTION '% holds a number of more than 400 characters', what USING ERRCODE = '22023';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION await.check_data(data jsonb) RETURNS void LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF data IS NULL OR await.is_short(data) THEN
        RETURN;
    ELSIF pg_column_size(data) > 393216 THEN  -- as text it is no shorter than an eighth of that
        RAISE EXCEPTION 'an event carries at most 48 KB of data; put more into the result' USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_json(data, 'an event''s data');
    IF octet_length(data::text) > 49152 THEN
        RAISE EXCEPTION 'an event carries at most 48 KB of data, not %; put more into the result', octet_length(data::text) USING ERRCODE = '22023';
    END IF;
END $$;

-- What await.submit is told. Its values are texts and numbers, but for params.
CREATE FUNCTION await.check_options(o jsonb) RETURNS void LANGUAGE plpgsql IMMUTABLE AS $$
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
        'correlation_id', 'trace', 'file_name', 'params', 'lease', 'max_attempts', 'delay', 'deadline', 'retain', 'batch', 'phase') LIMIT 10) u;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'await.submit knows no option %', wrong USING ERRCODE = '22023';
    END IF;
    SELECT e.key INTO wrong FROM jsonb_each_text(o - 'params') e WHERE length(e.value) > 1000 LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'the option % has at most 1000 characters', wrong USING ERRCODE = '22023';
    ELSIF octet_length((o -> 'params')::text) > 65536 THEN
        RAISE EXCEPTION 'params have at most 64 KB, not %', octet_length((o -> 'params')::text) USING ERRCODE = '22023';
    END IF;
END $$;

-- Back-end code submits inside its own transaction. Options: priority, owner, correlation_id, trace,
-- file_name, params, lease, max_attempts, delay, deadline, retain, batch, phase.
CREATE OR REPLACE FUNCTION await.submit(queue text, payload bytea, content_type text DEFAULT 'application/octet-stream',
    options jsonb DEFAULT '{}') RETURNS uuid LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    o        jsonb := coalesce(options, '{}');
    type     text  := coalesce(content_type, 'application/octet-stream');
    body     bytea := coalesce(payload, '');
    class    int2;
    new_id   uuid;
    in_queue int4;
    prio     int2;
    due      timestamptz;
    deadline timestamptz;
BEGIN
    -- before anything of it is looked at; what is short, and an object of known names, is well
    IF o <> '{}' AND NOT (CASE WHEN jsonb_typeof(o) = 'object' THEN await.is_short(o) AND o - '{priority,owner,correlation_id,trace,file_name,params,
            lease,max_attempts,delay,deadline,retain,batch,phase}'::text[] = '{}' ELSE false END) THEN
        PERFORM await.check_options(o);
    END IF;
    PERFORM await.check_content_type(type), await.check_file_name(o ->> 'file_name');
    IF EXISTS (SELECT FROM await.queue_grant) AND NOT await.may_queue(submit.queue) THEN
        RAISE EXCEPTION 'role % may not use queue %', quote_ident(session_user), quote_literal(left(submit.queue, 80)) USING ERRCODE = '42501', HINT = 'await-ctl grant';
    END IF;
    prio := coalesce((o ->> 'priority')::int2, 0);
    due := clock_timestamp() + (o ->> 'delay')::interval;
    deadline := clock_timestamp() + (o ->> 'deadline')::interval;
    SELECT r.class INTO class FROM await.retention r WHERE r.name = coalesce(o ->> 'retain', '7d');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'retain is one of the names in await.retention, not %', quote_literal(left(o ->> 'retain', 80)) USING ERRCODE = '22023';
    END IF;
    new_id := await.new_id(class);
    in_queue := await.queue_id(submit.queue);
    PERFORM await.note_use(in_queue, class);
    INSERT INTO await.job (class, id, queue, priority, owner, batch, phase, correlation_id, trace, content_type, file_name,
                           params, payload, payload_size, lease, max_attempts, due, deadline)
    VALUES (class, new_id, in_queue, prio, o ->> 'owner', (o ->> 'batch')::uuid, o ->> 'phase', o ->> 'correlation_id',
            o ->> 'trace', type, o ->> 'file_name', o -> 'params',
            CASE WHEN length(body) <= 65536 THEN body END, length(body),
            (o ->> 'lease')::interval, (o ->> 'max_attempts')::int2, due, deadline);
    IF length(body) > 65536 THEN
        PERFORM await.cut(new_id, 'p', 0::int2, body);
    END IF;
    IF deadline IS NOT NULL THEN
        INSERT INTO await.deadline (at, job) VALUES (deadline, new_id);
    END IF;
    PERFORM await.enqueue(new_id, in_queue, prio, 1::int2, due);
    RETURN new_id;
END $$;

-- A queue or a lane of it that is not there, or that somebody makes in a transaction that is still open: for that an edge
-- waits a moment only, all its other submissions wait behind (55P03 then). Whatever else it waits for, it waits.
CREATE FUNCTION await.make_lane(p_queue text, p_priority int2) RETURNS int4 LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    in_queue int4 := await.queue_id(p_queue);
BEGIN
    PERFORM await.open_lane(await.lane(in_queue, p_priority));
    RETURN in_queue;
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'queue % is being made by a transaction that does not end', quote_literal(p_queue) USING ERRCODE = '55P03';
END $$;

-- Stores a batch of submissions: arrays of one length, times in milliseconds. A repeat of an id (sent
-- again after a lost connection) changes nothing. Returns each id and when it was created. In one order: two batches that
-- make the same queues never wait for each other.
CREATE OR REPLACE FUNCTION await.edge_submit(p_ids uuid[], p_queues text[], p_priorities int2[], p_owners text[], p_correlations text[],
    p_traces text[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes int8[],
    p_leases int8[], p_attempts int2[], p_delays int8[], p_deadlines int8[])
RETURNS TABLE (id uuid, created_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    at       timestamptz := clock_timestamp();
    r        record;
    in_queue int4;
    inserted int;
BEGIN
    FOR r IN SELECT DISTINCT g.queue, g.priority, await.class(g.id) AS class FROM unnest(p_ids, p_queues, p_priorities) g (id, queue, priority)
             ORDER BY 1, 2, 3 LOOP
        SELECT q.id INTO in_queue FROM await.queue q WHERE q.name = r.queue
            AND EXISTS (SELECT FROM await.lane_in_use m WHERE m.lane = await.lane(q.id, r.priority));
        IF NOT FOUND THEN
            in_queue := await.make_lane(r.queue, r.priority);
        END IF;
        PERFORM await.note_use(in_queue, r.class);
    END LOOP;
    -- without an exponent a number is no longer than the text it stands in
    PERFORM await.check_json(p::jsonb, 'params') FROM unnest(p_params) p WHERE octet_length(p) > 400 OR p ~ '[0-9.][eE]';
    PERFORM await.announce();
    WITH ins AS (
        INSERT INTO await.job (class, id, queue, priority, owner, created_at, correlation_id, trace, content_type, file_name,
                               params, payload, payload_size, lease, max_attempts, due, deadline)
        SELECT await.class(g.id), g.id, q.id, g.priority, g.owner, at, g.correlation, g.trace, g.type, g.name, g.params::jsonb,
               g.payload, g.size, g.lease * interval '1 ms', g.attempts,
               at + g.delay * interval '1 ms', at + g.deadline * interval '1 ms'
        FROM unnest(p_ids, p_queues, p_priorities, p_owners, p_correlations, p_traces, p_types, p_names, p_params,
                    p_payloads, p_sizes, p_leases, p_attempts, p_delays, p_deadlines)
             g (id, queue, priority, owner, correlation, trace, type, name, params, payload, size, lease, attempts, delay, deadline)
        JOIN await.queue q ON q.name = g.queue
        ON CONFLICT DO NOTHING
        RETURNING job.id, job.queue, job.priority, job.due, job.deadline
    ), now_ready AS (
        INSERT INTO await.ready (lane, pos, job, attempt)
        SELECT await.lane(i.queue, i.priority), nextval('await.pos'), i.id, 1 FROM ins i WHERE i.due IS NULL
    ), later AS (
        INSERT INTO await.delayed (due, lane, job, attempt)
        SELECT i.due, await.lane(i.queue, i.priority), i.id, 1 FROM ins i WHERE i.due IS NOT NULL
    ), bounded AS (
        INSERT INTO await.deadline (at, job) SELECT i.deadline, i.id FROM ins i WHERE i.deadline IS NOT NULL
    )
    SELECT count(*) INTO inserted FROM ins;
    IF inserted = cardinality(p_ids) THEN
        RETURN QUERY SELECT k, at FROM unnest(p_ids) k;
    ELSE
        RETURN QUERY SELECT k.id, j.created_at FROM unnest(p_ids) WITH ORDINALITY k (id, ord)
            JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id ORDER BY k.ord;
    END IF;
END $$;

-- Runs an ended job once more, as a new job. Returns the new id; null if the old one is unknown or
-- has not ended.
CREATE OR REPLACE FUNCTION await.retry(id uuid) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    h   await.head := await.lock_head(retry.id);
    k   int2 := await.class(retry.id);
    new uuid := await.new_id(k);
BEGIN
    IF h.ended IS DISTINCT FROM true THEN
        RETURN NULL;
    END IF;
    PERFORM await.note_use(h.queue, k);
    INSERT INTO await.job (class, id, queue, priority, owner, phase, correlation_id, trace, content_type, file_name,
                           params, payload, payload_size, lease, max_attempts, retry_of, extra)
        SELECT k, new, j.queue, j.priority, j.owner, j.phase, j.correlation_id, j.trace, j.content_type, j.file_name,
               j.params, j.payload, j.payload_size, j.lease, j.max_attempts, j.id, j.extra
        FROM await.job j WHERE j.class = k AND j.id = retry.id;
    INSERT INTO await.chunk (class, job, kind, attempt, n, pos, bytes)
        SELECT k, new, c.kind, c.attempt, c.n, c.pos, c.bytes FROM await.chunk c
        WHERE c.class = k AND c.job = retry.id AND c.kind = 'p' AND c.attempt = 0;
    PERFORM await.enqueue(new, h.queue, h.priority, 1::int2);
    RETURN new;
END $$;

-- --- topics --------------------------------------------------------------------------------------------------------

-- How many topics there are, or more: counted up where one is made, and set right by purge.
CREATE SEQUENCE await.topics MINVALUE 0 START 0;
SELECT setval('await.topics', (SELECT count(*) FROM await.job_topic));
-- No topic that was purged had a higher seq. One that comes back goes on behind it, with a gap, so that a cursor of before
-- is told that it lacks something; job.extra keeps as "base" what its first event follows.
CREATE SEQUENCE await.topic_floor MINVALUE 0 START 0;

-- Publishes `data` to everybody who watches topic:<topic>; the event's number. The topic keeps its last 1000 events, or,
-- with `latest`, this one. After the commit, await.hint(await.topic_id(topic)) says what to PUBLISH so that they hear of
-- it at once.
CREATE OR REPLACE FUNCTION await.publish(topic text, type text, data jsonb DEFAULT NULL, latest boolean DEFAULT false) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    topic_job uuid := await.topic_id(publish.topic);
    kept      int := CASE WHEN publish.latest THEN 1 ELSE 1000 END;
    base      int;
    h         await.head;
    said      int;
BEGIN
    IF publish.topic IS NULL OR publish.topic !~ '^[A-Za-z0-9_.:/-]{1,128}$' THEN
        RAISE EXCEPTION 'a topic''s name is 1 to 128 of A-Z a-z 0-9 _ . : / -, not %', quote_nullable(left(publish.topic, 80)) USING ERRCODE = '22023';
    ELSIF publish.type IS NULL OR publish.type !~ '^[a-z0-9_.-]{1,64}$' OR publish.type IN ('pending', 'processing', 'completed', 'failed',
        'cancelled', 'expired', 'progress', 'batch.ready', 'open', 'error', 'message', 'reset', 'ready', 'beat') THEN
        RAISE EXCEPTION 'event type % is taken or not [a-z0-9_.-]{1,64}', quote_nullable(left(publish.type, 80)) USING ERRCODE = '22023';
    END IF;
    IF NOT await.is_short(publish.data) THEN
        PERFORM await.check_data(publish.data);
    END IF;
    IF EXISTS (SELECT FROM await.queue_grant) AND NOT await.may_queue('topic:' || publish.topic) THEN
        RAISE EXCEPTION 'role % may not publish to topic %', quote_ident(session_user), quote_literal(publish.topic) USING ERRCODE = '42501', HINT = 'await-ctl grant';
    END IF;
    LOOP
        IF NOT EXISTS (SELECT FROM await.job j WHERE j.class = 3 AND j.id = topic_job) THEN
            IF (SELECT last_value FROM await.topics) >= (SELECT l.topics FROM await.limits l) THEN
                RAISE EXCEPTION 'there are as many topics as await.limits allows; % is not made', quote_literal(publish.topic) USING ERRCODE = '53400';
            END IF;
            SELECT CASE WHEN f.last_value > 0 THEN f.last_value + 1 ELSE 1 END INTO base FROM await.topic_floor f;
            INSERT INTO await.job (class, id, queue, owner, content_type, payload, payload_size, extra)
            VALUES (3, topic_job, await.queue_id('.topic', true), 'topic:' || publish.topic, 'application/json', '', 0,
                    CASE WHEN base > 1 THEN jsonb_build_object('base', base) END) ON CONFLICT DO NOTHING;
            IF FOUND THEN
                PERFORM nextval('await.topics');
            END IF;
        END IF;
        h := await.lock_head(topic_job);    -- whoever publishes to it waits here: its order is one
        EXIT WHEN h.id IS NOT NULL;         -- else it was purged in this moment
    END LOOP;
    IF h.seq = 1 THEN
        SELECT coalesce((j.extra ->> 'base')::int, 1) INTO h.seq FROM await.job j WHERE j.class = 3 AND j.id = topic_job;
    END IF;
    said := await.append(h, publish.type, CASE WHEN publish.latest THEN 'pending' ELSE 'processing' END, publish.data, 0::int2);
    DELETE FROM await.event e WHERE e.class = 3 AND e.job = topic_job AND e.seq <= said - kept;
    RETURN said;
END $$;

-- As before, and `base`: of a topic, what its first event follows.
DROP FUNCTION await.edge_events(uuid[], int4[], int, int);
CREATE FUNCTION await.edge_events(p_ids uuid[], p_after int4[], p_limit int, p_value_max int)
RETURNS TABLE (item int8, id uuid, owner text, correlation_id text, created_at timestamptz, last_seq int4, state text,
    seq int4, type text, at timestamptz, data text, status int2, content_type text, file_name text, size bigint, body bytea, base int4)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT w.ord, w.id, w.owner, w.correlation_id, w.created_at, w.last_seq, w.state,
           CASE WHEN w.before < 4194304 THEN w.seq END, w.type, w.at, CASE WHEN w.before < 4194304 THEN nullif(w.text, '') END,
           w.status, w.content_type, w.file_name, w.size, CASE WHEN w.before < 4194304 THEN w.value END, w.base
    FROM (
        SELECT k.ord, j.id, j.owner, j.correlation_id, j.created_at, coalesce(h.seq, 1) AS last_seq, coalesce(h.state, 'pending') AS state,
               e.seq, e.type, e.at, e.text, e.status, e.content_type, e.file_name, e.size, e.value,
               CASE WHEN j.extra IS NULL THEN 1 ELSE coalesce((j.extra ->> 'base')::int4, 1) END AS base,
               coalesce(sum(octet_length(e.text) + coalesce(length(e.value), 0)) OVER
                   (ORDER BY k.ord, e.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
        FROM unnest(p_ids, p_after) WITH ORDINALITY k (id, after, ord)
        JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
        LEFT JOIN LATERAL (SELECT * FROM await.event h WHERE h.class = await.class(k.id) AND h.job = k.id ORDER BY h.seq DESC LIMIT 1) h ON true
        LEFT JOIN LATERAL (SELECT e.*, coalesce(e.data::text, '') AS text,
                                  CASE WHEN e.size <= p_value_max AND e.content_type ~* '^application/([a-z0-9.+-]+[+])?json( *;.*)?$' THEN e.body END AS value
                           FROM await.event e WHERE e.class = await.class(k.id) AND e.job = k.id AND e.seq > k.after
                           ORDER BY e.seq LIMIT p_limit) e ON true
    ) w ORDER BY w.ord, w.seq;
END $$;

-- --- purge ---------------------------------------------------------------------------------------------------------

-- How far something was swept that is looked at piece by piece.
CREATE TABLE await.swept (what text, class int2, upto uuid NOT NULL, PRIMARY KEY (what, class));

-- Removes uploads that were cut off: chunks that are older than a day and never got their job. Each call goes on where the
-- last one ended; at most p_limit chunks of each class are looked at.
CREATE FUNCTION await.purge_uploads(p_limit int) RETURNS SETOF text LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    none uuid := '00000000-0000-0000-0000-000000000000';
    k    int2;
    last uuid;
    upto uuid;
    n    int;
BEGIN
    FOR k IN SELECT r.class FROM await.retention r ORDER BY r.class LOOP
        last := coalesce((SELECT s.upto FROM await.swept s WHERE s.what = 'uploads' AND s.class = k), none);
        upto := await.floor_id(clock_timestamp() - interval '1 day');
        CONTINUE WHEN last >= upto;
        upto := coalesce((SELECT c.job FROM await.chunk c WHERE c.class = k AND c.job > last AND c.job < upto
                          ORDER BY c.class, c.job OFFSET p_limit LIMIT 1), upto);
        DELETE FROM await.chunk c WHERE c.class = k AND c.job > last AND c.job <= upto AND c.kind = 'p'
            AND NOT EXISTS (SELECT FROM await.job j WHERE j.class = k AND j.id = c.job);
        GET DIAGNOSTICS n = ROW_COUNT;
        INSERT INTO await.swept VALUES ('uploads', k, upto) ON CONFLICT ON CONSTRAINT swept_pkey DO UPDATE SET upto = excluded.upto;
        IF n > 0 THEN
            RETURN NEXT format('dropped %s pieces of uploads', n);
        END IF;
    END LOOP;
END $$;

-- Removes topics that have had no event for a time. Each call goes on where the last one ended; at most p_limit topics are
-- looked at. A topic's row is locked, then looked at again: who publishes meanwhile waits for that lock, and makes it anew.
CREATE FUNCTION await.purge_topics(p_limit int) RETURNS SETOF text LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    old    timestamptz := clock_timestamp() - (SELECT l.topic_keep FROM await.limits l);
    last   uuid := coalesce((SELECT s.upto FROM await.swept s WHERE s.what = 'topics' AND s.class = 3), 'ffffffff-ffff-0000-0000-000000000000');
    r      record;
    newest record;
    looked int := 0;
    events int := 0;
    topics int := 0;
    n      int;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN;
    END IF;
    FOR r IN SELECT j.id, j.created_at, e.at FROM await.job_topic j
             LEFT JOIN LATERAL (SELECT e.at FROM await.event_topic e WHERE e.class = 3 AND e.job = j.id ORDER BY e.seq DESC LIMIT 1) e ON true
             WHERE j.class = 3 AND j.id > last ORDER BY j.class, j.id LIMIT p_limit LOOP
        looked := looked + 1;
        last := r.id;
        CONTINUE WHEN coalesce(r.at, r.created_at) >= old;
        PERFORM FROM await.job_topic j WHERE j.class = 3 AND j.id = r.id FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        SELECT e.at, e.seq INTO newest FROM await.event_topic e WHERE e.class = 3 AND e.job = r.id ORDER BY e.seq DESC LIMIT 1;
        CONTINUE WHEN newest.at >= old;
        PERFORM setval('await.topic_floor', greatest((SELECT last_value FROM await.topic_floor), coalesce(newest.seq, 1)));
        DELETE FROM await.event_topic e WHERE e.class = 3 AND e.job = r.id;
        GET DIAGNOSTICS n = ROW_COUNT;
        DELETE FROM await.job_topic j WHERE j.class = 3 AND j.id = r.id;
        events := events + n;
        topics := topics + 1;
        EXIT WHEN events >= p_limit;
    END LOOP;
    IF looked < p_limit AND events < p_limit THEN
        last := 'ffffffff-ffff-0000-0000-000000000000'; -- that was the last one: from the start again
    END IF;
    INSERT INTO await.swept VALUES ('topics', 3, last) ON CONFLICT ON CONSTRAINT swept_pkey DO UPDATE SET upto = excluded.upto;
    PERFORM setval('await.topics', (SELECT count(*) FROM await.job_topic));
    IF topics > 0 THEN
        RETURN NEXT format('dropped %s topics', topics);
    END IF;
END $$;

-- One partition each, behind whoever makes or reads it for a moment only: else next time.
CREATE FUNCTION await.make_partition(p_base text, p_class int2, p_from timestamptz, p_until timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    name text := format('%s_%s_%s', p_base, p_class, to_char(p_from AT TIME ZONE 'UTC', 'YYYYMMDD'));
BEGIN
    IF to_regclass('await.' || name) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    -- LIKE and ATTACH lock the parent far less than PARTITION OF does
    EXECUTE format('CREATE TABLE await.%I (LIKE await.%I INCLUDING ALL)', name, p_base);
    EXECUTE format('ALTER TABLE await.%I ATTACH PARTITION await.%I FOR VALUES FROM (%s, %L) TO (%s, %L)',
        p_base, name, p_class, await.floor_id(p_from), p_class, await.floor_id(p_until));
    RETURN 'made ' || name;
EXCEPTION WHEN lock_not_available OR duplicate_table OR unique_violation THEN
    RETURN 'busy ' || name;
END $$;

CREATE FUNCTION await.drop_partition(p_name text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
BEGIN
    EXECUTE format('DROP TABLE await.%I', p_name);
    RETURN 'dropped ' || p_name;
EXCEPTION WHEN lock_not_available THEN
    RETURN 'busy ' || p_name;
END $$;

-- Makes the partitions of the next days. For those who see every job it also drops partitions past their retention, and
-- removes queues, lanes and topics that are not used, and uploads that were cut off: that locks tables for everybody until
-- the caller's transaction ends, which is not left to a worker. Making waits for no turn: whoever stays in a transaction
-- after a purge that made nothing keeps nobody from it. Cheap when there is nothing to do; edges and workers call it every
-- hour. Returns what it did, one line each.
CREATE OR REPLACE FUNCTION await.purge() RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    r    await.retention;
    base text;
    old  text;
    said text;
    step interval;
    cut  timestamptz;
BEGIN
    <<making>>
    FOR r IN SELECT * FROM await.retention ORDER BY class LOOP
        step := make_interval(secs => extract(epoch FROM r.step)); -- a day has 24 hours, whatever the time zone
        cut := to_timestamp(floor(extract(epoch FROM clock_timestamp()) / extract(epoch FROM step)) * extract(epoch FROM step));
        WHILE cut <= clock_timestamp() + r.ahead LOOP
            FOREACH base IN ARRAY ARRAY['job', 'event', 'chunk'] LOOP
                said := await.make_partition(base, r.class, cut, cut + step);
                CONTINUE WHEN said IS NULL;
                RETURN NEXT said;
                EXIT making WHEN said LIKE 'busy %'; -- the next ones would be as well
            END LOOP;
            cut := cut + step;
        END LOOP;
    END LOOP;
    IF NOT await.sees_all() THEN
        RETURN;
    END IF;
    PERFORM FROM await.turn t WHERE t.what = 'purge' FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;                              -- somebody else is at it
    END IF;
    -- what takes long first: from the first drop on everybody waits, until the caller's transaction ends
    RETURN QUERY SELECT await.purge_uploads(20000);
    RETURN QUERY SELECT await.purge_topics(5000);
    FOR old IN
        SELECT c.relname FROM await.retention o JOIN pg_class c ON c.relname ~ format('^(job|event|chunk)_%s_[0-9]{8}$', o.class)
        WHERE c.relnamespace = 'await'::regnamespace AND c.relkind = 'r'
          AND to_timestamp(right(c.relname, 8), 'YYYYMMDD') + o.step + o.keep < clock_timestamp() - interval '1 day'
        ORDER BY c.relname
    LOOP
        said := await.drop_partition(old);
        RETURN NEXT said;
        EXIT WHEN said LIKE 'busy %';
    END LOOP;
    RETURN QUERY SELECT await.purge_queues();
END $$;
