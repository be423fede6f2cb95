-- What is sent for an event: thin, without payloads and the bodies of results.
CREATE OR REPLACE FUNCTION await.delivery_body(j await.job, p_queue text, e await.event) RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT '{"type":' || to_json(e.type) || ',"timestamp":"' || await.utc(e.at) || '","data":'
        -- without the brace at its end; the event's own data may have members that are null
        || regexp_replace(json_strip_nulls(json_build_object('job', e.job, 'seq', e.seq, 'state', e.state,
               'queue', p_queue,
               'attempt', nullif(e.attempt, 0), 'owner', j.owner, 'batch', j.batch, 'phase', j.phase,
               'correlation_id', j.correlation_id, 'trace', j.trace, 'retry_of', j.retry_of,
               'result', CASE WHEN e.size IS NOT NULL THEN json_build_object('status', e.status,
                   'type', e.content_type, 'size', e.size, 'name', e.file_name) END))::text, '}$', '')
        || coalesce(',"data":' || e.data::text, '') || '}}'
$$;

-- The host of each of these is in await.delivery_host, until the caller's transaction ends at least.
CREATE OR REPLACE FUNCTION await.hold_hosts(p_hosts text[]) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    one text;
BEGIN
    FOR one IN SELECT DISTINCT h FROM unnest(p_hosts) h ORDER BY 1 LOOP
        LOOP                                 -- await.purge_deliveries() may delete it meanwhile
            PERFORM FROM await.delivery_host k WHERE k.host = one FOR KEY SHARE;
            EXIT WHEN FOUND;
            INSERT INTO await.delivery_host (host) VALUES (one) ON CONFLICT DO NOTHING;
        END LOOP;
    END LOOP;
END $$;

-- Makes deliveries due. Of a job and an endpoint, one that follows another which has not ended waits for it. The
-- caller has inserted them.
CREATE OR REPLACE FUNCTION await.queue_deliveries(p_ids bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    PERFORM await.hold_hosts(ARRAY(SELECT await.webhook_host(d.url) FROM await.delivery d WHERE d.id = ANY (p_ids)));
    -- against await.finish_deliveries(), which deletes the row of the one before, and looks for the next one then
    PERFORM FROM await.delivery_due u
        WHERE (u.job, u.webhook) IN (SELECT d.job, d.webhook FROM await.delivery d WHERE d.id = ANY (p_ids))
        ORDER BY u.job, u.webhook, u.seq FOR KEY SHARE;
    INSERT INTO await.delivery_due (job, webhook, seq, delivery, host, due, until)
        SELECT d.job, d.webhook, d.seq, d.id, await.webhook_host(d.url),
            CASE WHEN row_number() OVER (PARTITION BY d.job, d.webhook ORDER BY d.seq) > 1
                   OR EXISTS (SELECT FROM await.delivery_due u WHERE u.job = d.job AND u.webhook = d.webhook
                              AND u.seq < d.seq) THEN 'infinity' ELSE clock_timestamp() END,
            clock_timestamp() + interval '3 days'
        FROM await.delivery d WHERE d.id = ANY (p_ids) ORDER BY d.job, d.webhook, d.seq
        ON CONFLICT DO NOTHING;
END $$;

-- Stores a delivery of each of these events for each endpoint that gets it: arrays of one length, the events of a job
-- in their order. One that is stored already is not stored again. Returns how many were stored. Events of topics, and
-- those that are no longer kept, get none.
CREATE OR REPLACE FUNCTION await.enqueue_deliveries(p_jobs uuid[], p_seqs int4[], p_types text[]) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    ids bigint[];
BEGIN
    WITH target AS MATERIALIZED (
        SELECT g.job, g.seq, g.ord, t.id AS webhook, t.url, q.name AS queue
        FROM unnest(p_jobs, p_seqs, p_types) WITH ORDINALITY g (job, seq, type, ord)
        JOIN await.job j ON j.class = await.class(g.job) AND j.id = g.job
        JOIN await.queue q ON q.id = j.queue
        CROSS JOIN LATERAL (
            SELECT w.id, w.url FROM await.webhook w
            WHERE w.disabled_at IS NULL AND (w.queue IS NULL OR w.queue = q.name)
              AND await.webhook_wants(w.types, g.type)
            UNION ALL
            SELECT 0, j.webhook ->> 'url' WHERE j.webhook IS NOT NULL AND await.webhook_wants(
                CASE WHEN jsonb_typeof(j.webhook -> 'on') = 'array' THEN ARRAY(SELECT jsonb_array_elements_text(j.webhook -> 'on')) END, g.type)
        ) t
        WHERE g.job < 'ffffffff-0000-0000-0000-000000000000'     -- topics
          AND await.webhook_host(t.url) IS NOT NULL              -- or somebody has edited it
    ), gone AS MATERIALIZED (                -- jobs of which their own URL wants no more: once a job, not once an event
        SELECT o.job FROM (SELECT DISTINCT t.job FROM target t WHERE t.webhook = 0) o
        WHERE EXISTS (
            SELECT FROM await.delivery d JOIN await.delivery_end e ON e.delivery = d.id AND e.state = 'dead'
            JOIN await.delivery_attempt a ON a.delivery = d.id AND a.status = 410
            WHERE d.job = o.job AND d.webhook = 0)
    ), ins AS (
        INSERT INTO await.delivery (webhook, job, seq, type, queue, url, body)
        SELECT t.webhook, t.job, t.seq, e.type, t.queue, t.url, e.body
        FROM target t CROSS JOIN LATERAL (
            SELECT e.type, await.delivery_body(j, t.queue, e) AS body FROM await.event e
            JOIN await.job j ON j.class = e.class AND j.id = e.job
            WHERE t.seq > 1 AND e.class = await.class(t.job) AND e.job = t.job AND e.seq = t.seq
            UNION ALL
            SELECT 'pending', await.delivery_body(j, t.queue, jsonb_populate_record(NULL::await.event,
                jsonb_build_object('job', j.id, 'seq', 1, 'type', 'pending', 'state', 'pending', 'attempt', 0,
                                   'at', j.created_at)))
            FROM await.job j WHERE t.seq = 1 AND j.class = await.class(t.job) AND j.id = t.job) e
        WHERE t.webhook <> 0 OR NOT EXISTS (SELECT FROM gone n WHERE n.job = t.job)
        ORDER BY t.ord, t.webhook
        ON CONFLICT DO NOTHING
        RETURNING delivery.id
    )
    SELECT array_agg(i.id) INTO ids FROM ins i;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM await.queue_deliveries(ids);
    RETURN cardinality(ids);
END $$;
