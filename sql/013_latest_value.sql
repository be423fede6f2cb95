-- Topics of which only the latest value counts: a leaderboard, a price. Whoever is behind gets the newest event and none
-- of those before it, and they are not kept. Such events have the state "pending", the others "processing".

DROP FUNCTION await.publish(text, text, jsonb);

-- Publishes `data` to everybody who watches topic:<topic>; the event's number. The topic keeps its last 1000 events, or,
-- with `latest`, this one. After the commit, await.hint(await.topic_id(topic)) says what to PUBLISH so that they hear of
-- it at once.
CREATE FUNCTION await.publish(topic text, type text, data jsonb DEFAULT NULL, latest boolean DEFAULT false) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    topic_job uuid := await.topic_id(publish.topic);
    kept      int := CASE WHEN publish.latest THEN 1 ELSE 1000 END;
    h         await.head;
    said      int;
BEGIN
    IF publish.topic IS NULL OR publish.topic !~ '^[A-Za-z0-9_.:/-]{1,128}$' THEN
        RAISE EXCEPTION 'a topic''s name is 1 to 128 of A-Z a-z 0-9 _ . : / -, not %', quote_nullable(left(publish.topic, 80)) USING ERRCODE = '22023';
    ELSIF publish.type IS NULL OR publish.type !~ '^[a-z0-9_.-]{1,64}$' OR publish.type IN ('pending', 'processing', 'completed', 'failed',
        'cancelled', 'expired', 'progress', 'batch.ready', 'open', 'error', 'message', 'reset', 'ready', 'beat') THEN
        RAISE EXCEPTION 'event type % is taken or not [a-z0-9_.-]{1,64}', quote_nullable(left(publish.type, 80)) USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_data(publish.data);
    IF NOT EXISTS (SELECT FROM await.job j WHERE j.class = 3 AND j.id = topic_job) THEN
        INSERT INTO await.job (class, id, queue, owner, content_type, payload, payload_size)
        VALUES (3, topic_job, await.queue_id('.topic'), 'topic:' || publish.topic, 'application/json', '', 0) ON CONFLICT DO NOTHING;
    END IF;
    h := await.lock_head(topic_job);        -- whoever publishes to it waits here: its order is one
    said := await.append(h, publish.type, CASE WHEN publish.latest THEN 'pending' ELSE 'processing' END, publish.data, 0::int2);
    DELETE FROM await.event e WHERE e.class = 3 AND e.job = topic_job AND e.seq <= said - kept;
    RETURN said;
END $$;

REVOKE ALL ON FUNCTION await.publish(text, text, jsonb, boolean) FROM PUBLIC;
