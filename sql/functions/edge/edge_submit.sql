-- Stores a batch of submissions: arrays of one length, times in milliseconds. A repeated id (sent again after a lost connection)
-- changes nothing. Returns each id and when its job was created. Queues are created in one order, so that two batches which
-- create the same queues never wait for each other.
--
-- `p_webhooks`: what await.job has, as text; NULL: none of them has one.
-- replaces: await.edge_submit(uuid[], text[], int2[], text[], text[], text[], text[], text[], text[], bytea[], int8[], int8[], int2[], int8[], int8[])
CREATE OR REPLACE FUNCTION await.edge_submit(p_ids uuid[], p_queues text[], p_priorities int2[], p_owners text[], p_correlations text[],
    p_traces text[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes int8[],
    p_leases int8[], p_attempts int2[], p_delays int8[], p_deadlines int8[], p_webhooks text[] DEFAULT NULL)
RETURNS TABLE (id uuid, created_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    at       timestamptz := clock_timestamp();
    today    date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    r        record;
    inserted int;
    specials int4[] := '{}';
    apart    uuid[];                         -- jobs with a delay, and those of special queues
BEGIN
    -- queues, lanes and partitions that are missing, and special queues: usually none, so one statement for all of them, instead of several for each
    FOR r IN SELECT d.* FROM (SELECT DISTINCT g.queue, g.priority, await.class(g.id) AS class
                              FROM unnest(p_ids, p_queues, p_priorities) g (id, queue, priority)) d
             WHERE NOT EXISTS (SELECT FROM await.queue q
                               JOIN await.lane_in_use m ON m.lane = await.lane(q.id, d.priority)
                               JOIN await.queue_used u ON u.queue = q.id AND u.class = d.class AND u.day = today
                               JOIN await.retention o ON o.class = d.class
                               WHERE q.name = d.queue AND NOT q.special
                                 AND await.has_partition('job', d.class, o.step, at))
             ORDER BY 1, 2, 3 LOOP
        PERFORM await.need_partitions(r.class);
        PERFORM await.note_use(await.make_lane(r.queue, r.priority), r.class);
        specials := specials || ARRAY(SELECT q.id FROM await.queue q WHERE q.name = r.queue AND q.special);
    END LOOP;
    -- without an exponent a number is no longer than the text that contains it
    PERFORM await.check_json(p::jsonb, 'params') FROM unnest(p_params) p WHERE octet_length(p) > 400 OR p ~ '[0-9.][eE]';
    PERFORM await.reserve_positions();
    WITH ins AS (
        INSERT INTO await.job (class, id, queue, priority, owner, created_at, correlation_id, trace, content_type, file_name,
                               params, payload, payload_size, lease, max_attempts, due, deadline, webhook)
        SELECT await.class(g.id), g.id, q.id, g.priority, g.owner, at, g.correlation, g.trace, g.type, g.name, g.params::jsonb,
               g.payload, g.size, g.lease * interval '1 ms', g.attempts,
               at + g.delay * interval '1 ms', at + g.deadline * interval '1 ms', g.webhook::jsonb
        FROM unnest(p_ids, p_queues, p_priorities, p_owners, p_correlations, p_traces, p_types, p_names, p_params,
                    p_payloads, p_sizes, p_leases, p_attempts, p_delays, p_deadlines, p_webhooks)
             g (id, queue, priority, owner, correlation, trace, type, name, params, payload, size, lease, attempts, delay, deadline,
                webhook)
        JOIN await.queue q ON q.name = g.queue
        ON CONFLICT DO NOTHING
        RETURNING job.id, job.queue, job.priority, job.due, job.deadline, job.owner
    ), now_ready AS (
        INSERT INTO await.ready (lane, pos, job, attempt)
        SELECT await.lane(i.queue, i.priority), nextval('await.pos'), i.id, 1 FROM ins i WHERE i.due IS NULL AND i.queue <> ALL (specials)
    ), bounded AS (
        INSERT INTO await.deadline (at, job) SELECT i.deadline, i.id FROM ins i WHERE i.deadline IS NOT NULL
    )
    SELECT count(*), array_agg(i.id) FILTER (WHERE i.due IS NOT NULL OR i.queue = ANY (specials)) INTO inserted, apart FROM ins i;
    IF apart IS NOT NULL THEN                -- rarely, so that the others need not open these tables and their indexes
        INSERT INTO await.delayed (due, lane, job, attempt, owner)
        SELECT j.due, await.lane(j.queue, j.priority), j.id, 1, CASE WHEN j.queue = ANY (specials) THEN j.owner END
        FROM unnest(apart) k (id) JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id WHERE j.due IS NOT NULL;
        PERFORM await.stand_in_line(q, await.lane(q.id, g.priority), g.owner, g.id, 1::int2)
        FROM unnest(p_ids, p_queues, p_priorities, p_owners, p_delays) WITH ORDINALITY g (id, queue, priority, owner, delay, ord)
        JOIN await.queue q ON q.name = g.queue
        WHERE g.id = ANY (apart) AND g.delay IS NULL AND q.id = ANY (specials) ORDER BY g.ord;
    END IF;
    IF await.notifies() THEN
        PERFORM await.notify_work(ARRAY(SELECT g.queue FROM unnest(p_queues, p_delays) g (queue, delay) WHERE g.delay IS NULL), p_owners);
    END IF;
    IF inserted = cardinality(p_ids) THEN
        RETURN QUERY SELECT k, at FROM unnest(p_ids) k;
    ELSE
        -- Some are here already, but who sent them has not heard so: their commit may still wait for a synchronous
        -- standby, or have been torn from that wait. The lock is written to the WAL behind them, so that this commit
        -- waits for the standby to have both.
        RETURN QUERY SELECT k.id, j.created_at FROM unnest(p_ids) WITH ORDINALITY k (id, ord)
            JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id ORDER BY k.ord FOR KEY SHARE OF j;
    END IF;
END $$;
