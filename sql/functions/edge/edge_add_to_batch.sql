-- Creates the job in a batch, which the caller has locked. A payload that is NULL is in await.chunk.
-- replaces: await.insert_added(await.job, uuid, text, text, int2, text, text, text, text, text, bytea, int8, int8, int2, int8, int8)
CREATE OR REPLACE FUNCTION await.insert_added(b await.job, p_id uuid, p_queue text, p_phase text, p_priority int2,
    p_correlation text, p_trace text, p_type text, p_name text, p_params text, p_payload bytea, p_size int8,
    p_lease int8, p_attempts int2, p_delay int8, p_deadline int8, p_webhook text DEFAULT NULL) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    at       timestamptz := clock_timestamp();
    due      timestamptz := at + p_delay * interval '1 ms';
    deadline timestamptz := at + p_deadline * interval '1 ms';
    in_queue int4;
BEGIN
    IF p_params IS NOT NULL THEN
        PERFORM await.check_json(p_params::jsonb, 'params');
    END IF;
    PERFORM await.need_partitions(b.class);
    in_queue := await.make_lane(p_queue, p_priority);
    PERFORM await.note_use(in_queue, b.class);
    INSERT INTO await.job (class, id, queue, priority, owner, batch, phase, created_at, correlation_id, trace,
                           content_type, file_name, params, payload, payload_size, lease, max_attempts, due, deadline,
                           webhook)
    VALUES (b.class, p_id, in_queue, p_priority, b.owner, b.id, p_phase, at, p_correlation, p_trace, p_type, p_name,
            p_params::jsonb, p_payload, p_size, p_lease * interval '1 ms', p_attempts, due, deadline,
            p_webhook::jsonb);
    IF deadline IS NOT NULL THEN
        INSERT INTO await.deadline (at, job) VALUES (deadline, p_id);
    END IF;
    PERFORM await.enqueue(p_id, in_queue, p_priority, 1::int2, due);
    PERFORM await.add_to_batch(b.id, ARRAY[p_id], ARRAY[p_phase]);
    IF b.owner IS NOT NULL AND await.notifies() THEN
        PERFORM await.notify_work(NULL, ARRAY[b.owner]);
    END IF;
    RETURN at;
END $$;

-- Locks the row of a batch against its end. False: it is gone. Waits at most 200 ms for who has it locked (55P03 with a
-- constraint's name then), as await.edge_cancel() does: the next statements of an edge wait behind this one.
CREATE OR REPLACE FUNCTION await.share_batch(b await.job) RETURNS boolean
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    FOR i IN 0 .. 20 LOOP
        PERFORM FROM await.job j WHERE j.class = b.class AND j.id = b.id FOR SHARE SKIP LOCKED;
        IF FOUND THEN
            RETURN true;
        ELSIF NOT EXISTS (SELECT FROM await.job j WHERE j.class = b.class AND j.id = b.id) THEN
            RETURN false;
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RAISE EXCEPTION 'batch % is locked by a transaction that does not end', b.id
        USING ERRCODE = '55P03', CONSTRAINT = 'job_pkey';
END $$;

-- Submits one job to a batch that is open; times in milliseconds. The id has the batch's retention class. The owner
-- becomes the batch's. `outcome`: 'added'; 'no batch': it is unknown, or another owner's (NULL: any owner may);
-- 'ended'; 'no phase': the batch has no such phase; 'queue' or 'owner': the job would exceed a limit of those that wait
-- (await.limit_met), and there may be room in `retry_ms`. The rest is as in await.edge_submit_once(): an earlier job
-- with the key counts as added, even if the batch has ended since.
-- replaces: await.edge_add_to_batch(uuid, uuid, text, text, int2, text, text, text, text, text, text, bytea, int8, int8, int2, int8, int8, text, bytea, int8)
-- replaces: await.edge_add_to_batch(uuid, uuid, text, text, int2, text, text, text, text, text, text, bytea, int8, int8, int2, int8, int8, text, bytea, int8, int, int)
CREATE OR REPLACE FUNCTION await.edge_add_to_batch(p_batch uuid, p_id uuid, p_queue text, p_phase text,
    p_priority int2, p_owner text, p_correlation text, p_trace text, p_type text, p_name text, p_params text,
    p_payload bytea, p_size int8, p_lease int8, p_attempts int2, p_delay int8, p_deadline int8, p_key text,
    p_fingerprint bytea, p_keep int8, p_most int DEFAULT NULL, p_owner_most int DEFAULT NULL,
    p_webhook text DEFAULT NULL)
RETURNS TABLE (outcome text, id uuid, created_at timestamptz, clash boolean, retry_ms int8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    b        await.job;
    first    record;
    patience text := current_setting('lock_timeout');
BEGIN
    IF await.is_batch(p_batch) THEN
        SELECT * INTO b FROM await.job j WHERE j.class = await.class(p_batch) AND j.id = p_batch;
    END IF;
    IF b.id IS NULL OR p_owner IS NOT NULL AND b.owner IS DISTINCT FROM p_owner THEN
        RETURN QUERY SELECT 'no batch', p_id, clock_timestamp(), false, NULL::int8;
        RETURN;
    END IF;
    IF p_key IS NOT NULL THEN
        LOCK TABLE await.idem IN ROW EXCLUSIVE MODE; -- so that only the wait for a key is short
        PERFORM set_config('lock_timeout', '200ms', true);
        SELECT t.id, t.clash INTO first FROM await.take_keys(ARRAY[p_id], ARRAY[p_queue], ARRAY[p_owner],
            ARRAY[p_key], ARRAY[p_fingerprint], ARRAY[p_keep]) t;
        PERFORM set_config('lock_timeout', patience, true);
        IF first.id <> p_id THEN
            RETURN QUERY SELECT 'added', first.id::uuid, coalesce((SELECT j.created_at FROM await.job j
                WHERE j.class = await.class(first.id) AND j.id = first.id), clock_timestamp()), first.clash::boolean,
                NULL::int8;
            RETURN;
        END IF;
    END IF;
    -- it cannot end before this transaction does; not locked before, as the wait for a key would hold up its end
    IF NOT await.share_batch(b) THEN
        outcome := 'no batch';
    ELSIF coalesce((SELECT e.ending FROM await.event e WHERE e.class = b.class AND e.job = p_batch -- after the lock
                 ORDER BY e.seq DESC LIMIT 1), false) THEN
        outcome := 'ended';
    ELSIF (CASE WHEN b.extra ? 'phases' THEN coalesce(NOT b.extra -> 'phases' ? p_phase, true)
                ELSE p_phase IS NOT NULL END) THEN
        outcome := 'no phase';
    ELSIF p_most IS NOT NULL OR p_owner_most IS NOT NULL THEN
        SELECT m.refused, m.retry_ms INTO outcome, retry_ms FROM await.limit_met(
            await.make_lane(p_queue, p_priority), b.owner, 1, p_most, p_owner_most) m;
    END IF;
    IF outcome IS NULL THEN
        RETURN QUERY SELECT 'added', p_id, await.insert_added(b, p_id, p_queue, p_phase, p_priority,
            coalesce(p_correlation, b.correlation_id), coalesce(p_trace, b.trace), p_type, p_name, p_params, p_payload,
            p_size, p_lease, p_attempts, p_delay, p_deadline, p_webhook), false, NULL::int8;
        RETURN;
    END IF;
    DELETE FROM await.idem i
        WHERE i.owner = coalesce(p_owner, '') AND i.queue = p_queue AND i.key = p_key AND i.job = p_id;
    RETURN QUERY SELECT outcome, p_id, clock_timestamp(), false, retry_ms;
END $$;
