-- Creates the jobs of await.batch_stage, all in one statement, in their order.
CREATE OR REPLACE FUNCTION await.insert_staged(p_batch uuid, p_owner text, p_correlation text, p_trace text)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    k        int2 := await.class(p_batch);
    at       timestamptz := clock_timestamp();
    ids      uuid[];
    phases   text[];
    lanes    bigint[];                       -- in which a worker can claim some of them now
    specials int4[] := '{}';
    lining   uuid[];                         -- jobs of special queues
    large    record;
    r        record;
BEGIN
    FOR r IN SELECT DISTINCT s.queue, s.priority FROM await.batch_stage s WHERE s.batch = p_batch ORDER BY 1, 2 LOOP
        PERFORM await.note_use(await.make_lane(r.queue, r.priority), k);
        specials := specials || ARRAY(SELECT q.id FROM await.queue q WHERE q.name = r.queue AND q.special);
    END LOOP;
    PERFORM await.check_json(s.params::jsonb, 'params') FROM await.batch_stage s
        WHERE s.batch = p_batch AND (octet_length(s.params) > 400 OR s.params ~ '[0-9.][eE]');
    FOR large IN SELECT s.id, s.payload FROM await.batch_stage s
                 WHERE s.batch = p_batch AND length(s.payload) > 65536 LOOP
        PERFORM await.need_partitions(k, 'chunk');
        PERFORM await.store_chunks(large.id, 'p', 0::int2, large.payload);
    END LOOP;
    PERFORM await.reserve_positions();
    WITH ins AS (
        INSERT INTO await.job (class, id, queue, priority, owner, batch, phase, created_at, correlation_id, trace,
                               content_type, file_name, params, payload, payload_size, lease, max_attempts, due,
                               deadline)
        SELECT k, g.id, q.id, g.priority, p_owner, p_batch, g.phase, at, p_correlation, p_trace, g.content_type,
               g.file_name, g.params::jsonb, CASE WHEN g.size <= 65536 THEN g.payload END, g.size,
               g.lease * interval '1 ms', g.max_attempts,
               at + g.delay * interval '1 ms', at + g.deadline * interval '1 ms'
        FROM await.batch_stage g JOIN await.queue q ON q.name = g.queue WHERE g.batch = p_batch ORDER BY g.n
        RETURNING job.id, job.queue, job.priority, job.due, job.deadline, job.phase, job.eid
    ), now_ready AS (
        INSERT INTO await.ready (lane, pos, job, attempt)
        SELECT await.lane(i.queue, i.priority), nextval('await.pos'), i.id, 1
        FROM (SELECT * FROM ins ORDER BY eid) i WHERE i.due IS NULL AND i.queue <> ALL (specials)
    ), later AS (
        INSERT INTO await.delayed (due, lane, job, attempt, owner)
        SELECT i.due, await.lane(i.queue, i.priority), i.id, 1, CASE WHEN i.queue = ANY (specials) THEN p_owner END
        FROM ins i WHERE i.due IS NOT NULL
    ), bounded AS (
        INSERT INTO await.deadline (at, job) SELECT i.deadline, i.id FROM ins i WHERE i.deadline IS NOT NULL
    )
    SELECT array_agg(i.id ORDER BY i.eid), array_agg(i.phase ORDER BY i.eid),
           array_agg(DISTINCT await.lane(i.queue, i.priority)) FILTER (WHERE i.due IS NULL),
           array_agg(i.id ORDER BY i.eid) FILTER (WHERE i.due IS NULL AND i.queue = ANY (specials))
        INTO ids, phases, lanes, lining FROM ins i;
    IF lining IS NOT NULL THEN
        PERFORM await.stand_in_line(q, await.lane(q.id, j.priority), p_owner, j.id, 1::int2)
        FROM (SELECT j.queue, j.priority, j.id FROM unnest(lining) WITH ORDINALITY g (id, n)
              JOIN await.job j ON j.class = k AND j.id = g.id ORDER BY g.n) j
        JOIN await.queue q ON q.id = j.queue;
    END IF;
    DELETE FROM await.batch_stage s WHERE s.batch = p_batch;
    PERFORM await.add_to_batch(p_batch, ids, phases);
    IF await.notifies() THEN
        PERFORM await.notify_lanes(lanes), await.notify_work(NULL, ARRAY[p_owner]);
    END IF;
END $$;

-- The first limit that the jobs of await.batch_stage would exceed, and when there may be room.
CREATE OR REPLACE FUNCTION await.batch_limit_met(p_batch uuid, p_owner text, p_most int, p_owner_most int,
    OUT refused text, OUT retry_ms int8)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    r record;
BEGIN
    IF p_most IS NULL AND p_owner_most IS NULL THEN
        RETURN;
    END IF;
    FOR r IN SELECT s.queue, min(s.priority) AS priority, count(*)::int AS n
             FROM await.batch_stage s WHERE s.batch = p_batch GROUP BY s.queue ORDER BY s.queue LOOP
        SELECT m.refused, m.retry_ms INTO refused, retry_ms
            FROM await.limit_met(await.make_lane(r.queue, r.priority), p_owner, r.n, p_most, p_owner_most) m;
        EXIT WHEN refused IS NOT NULL;
    END LOOP;
END $$;

-- Creates a batch of the jobs that were stored for it by await.edge_stage(): all or none. `p_jobs`: their number. A
-- repeated call (after a lost connection) changes nothing. `p_key`: its Idempotency-Key, `p_scope`: the name under
-- which keys are kept apart, as a queue's name does for jobs. Returns the id of the batch, or of the one that came
-- first with the key, and when it was created; `clash`: the first one was a different request. `refused`: nothing was
-- stored, because its jobs would exceed a limit of those that wait in a queue (await.limit_met): p_most in each queue,
-- p_owner_most of the owner in each. `p_webhook`: what await.job has, as text.
-- replaces: await.edge_submit_batch(uuid, int, text, text, text, text[], text, int8, text, text, bytea, int8)
-- replaces: await.edge_submit_batch(uuid, int, text, text, text, text[], text, int8, text, text, bytea, int8, int, int)
CREATE OR REPLACE FUNCTION await.edge_submit_batch(p_batch uuid, p_jobs int, p_owner text, p_correlation text,
    p_trace text, p_phases text[], p_on_ready text, p_deadline int8, p_scope text, p_key text,
    p_fingerprint bytea, p_keep int8, p_most int DEFAULT NULL, p_owner_most int DEFAULT NULL,
    p_webhook text DEFAULT NULL)
RETURNS TABLE (id uuid, created_at timestamptz, clash boolean, refused text, retry_ms int8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    k     int2 := await.class(p_batch);
    first record;
    met   record;
    patience text := current_setting('lock_timeout');
BEGIN
    IF NOT await.is_batch(p_batch) OR p_jobs NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'a batch has an id of version 8 and 1 to 10000 jobs' USING ERRCODE = '22023';
    END IF;
    PERFORM await.need_partitions(k);
    SELECT p_batch AS id, false AS clash INTO first;
    IF p_key IS NOT NULL THEN
        LOCK TABLE await.idem IN ROW EXCLUSIVE MODE; -- so that only the wait for a key is short
        PERFORM set_config('lock_timeout', '200ms', true);
        SELECT t.id, t.clash INTO first FROM await.take_keys(ARRAY[p_batch], ARRAY[p_scope], ARRAY[p_owner],
            ARRAY[p_key], ARRAY[p_fingerprint], ARRAY[p_keep]) t;
        PERFORM set_config('lock_timeout', patience, true);
    END IF;
    IF first.id = p_batch AND NOT EXISTS (SELECT FROM await.job j WHERE j.class = k AND j.id = p_batch) THEN
        IF (SELECT count(*) FROM await.batch_stage s WHERE s.batch = p_batch) <> p_jobs THEN
            RAISE EXCEPTION 'the jobs of batch % are not all there', p_batch USING ERRCODE = '40000'; -- lost: an edge says 503
        END IF;
        PERFORM await.check_phases(p_batch, nullif(to_jsonb(p_phases), '[]'),
            ARRAY(SELECT DISTINCT s.phase FROM await.batch_stage s WHERE s.batch = p_batch));
        met := await.batch_limit_met(p_batch, p_owner, p_most, p_owner_most);
        IF met.refused IS NOT NULL THEN
            DELETE FROM await.idem i
                WHERE i.owner = coalesce(p_owner, '') AND i.queue = p_scope AND i.key = p_key AND i.job = p_batch;
            RETURN QUERY SELECT p_batch, clock_timestamp(), false, met.refused::text, met.retry_ms::int8;
            RETURN;
        END IF;
        PERFORM await.insert_batch(p_batch, p_owner, p_correlation, p_trace, p_phases, p_on_ready,
            clock_timestamp() + p_deadline * interval '1 ms', p_webhook::jsonb);
        PERFORM await.insert_staged(p_batch, p_owner, p_correlation, p_trace);
    ELSIF first.id <> p_batch THEN
        DELETE FROM await.batch_stage s WHERE s.batch = p_batch;
    END IF;
    RETURN QUERY SELECT first.id::uuid, coalesce((SELECT j.created_at FROM await.job j
        WHERE j.class = await.class(first.id) AND j.id = first.id), clock_timestamp()), first.clash::boolean,
            NULL::text, NULL::int8;
END $$;
