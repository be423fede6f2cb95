-- Topics: a history without an end. A topic is a row of await.job that no worker ever claims, and what is published
-- are its events; so reading, cursors, hints, re-reads and failovers are those of jobs. Its id is made of its name, so
-- that nobody has to look it up, and stands behind every time there is, in partitions of its own.

CREATE TABLE await.job_topic PARTITION OF await.job
    FOR VALUES FROM (3, 'ffffffff-ffff-0000-0000-000000000000') TO (3, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
CREATE TABLE await.event_topic PARTITION OF await.event
    FOR VALUES FROM (3, 'ffffffff-ffff-0000-0000-000000000000') TO (3, 'ffffffff-ffff-ffff-ffff-ffffffffffff');

CREATE FUNCTION await.topic_id(name text) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT encode(set_byte(set_byte(b, 6, (get_byte(b, 6) & 15) | 128), 8, (get_byte(b, 8) & 63) | 128), 'hex')::uuid
    FROM (SELECT '\xffffffffffff'::bytea || substring(sha256(convert_to('topic:' || name, 'UTF8')) FROM 1 FOR 10)) s (b)
$$;

-- Publishes `data` to everybody who watches topic:<topic>; the event's number. The topic keeps its last 1000 events.
-- After the commit, await.hint(await.topic_id(topic)) says what to PUBLISH so that they hear of it at once.
CREATE FUNCTION await.publish(topic text, type text, data jsonb DEFAULT NULL) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    topic_job uuid := await.topic_id(publish.topic);
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
    said := await.append(h, publish.type, 'processing', publish.data, 0::int2);
    DELETE FROM await.event e WHERE e.class = 3 AND e.job = topic_job AND e.seq <= said - 1000;
    RETURN said;
END $$;

REVOKE ALL ON FUNCTION await.topic_id(text), await.publish(text, text, jsonb) FROM PUBLIC;
