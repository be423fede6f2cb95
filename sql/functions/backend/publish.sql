-- Publishes an event to all subscribers of topic:<topic>. Returns the event's seq. The topic keeps its last 1000 events, or,
-- with `latest`, only this one: then its state is "pending", else "processing". After the commit, await.hint(await.topic_id(topic))
-- returns what to PUBLISH on Redis so that subscribers learn of it at once.
--
-- A topic is a row of await.job that no worker claims, and its events are the job's events.
CREATE OR REPLACE FUNCTION await.publish(topic text, type text, data jsonb DEFAULT NULL, latest boolean DEFAULT false) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    topic_job uuid := await.topic_id(publish.topic);
    kept      int := CASE WHEN publish.latest THEN 1 ELSE 1000 END;
    base      int;
    h         await.job_head;
    said      int;
BEGIN
    IF publish.topic IS NULL OR publish.topic !~ '^[A-Za-z0-9_.:/-]{1,128}$' THEN
        RAISE EXCEPTION 'a topic''s name is 1 to 128 of A-Z a-z 0-9 _ . : / -, not %', quote_nullable(left(publish.topic, 80)) USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_event_type(publish.type);
    IF NOT await.is_short(publish.data) THEN
        PERFORM await.check_data(publish.data);
    END IF;
    IF EXISTS (SELECT FROM await.queue_grant) AND NOT await.may_queue('topic:' || publish.topic) THEN
        RAISE EXCEPTION 'role % may not publish to topic %', quote_ident(session_user), quote_literal(publish.topic) USING ERRCODE = '42501', HINT = 'await-ctl grant';
    END IF;
    LOOP
        IF NOT EXISTS (SELECT FROM await.job j WHERE j.class = 3 AND j.id = topic_job) THEN
            IF (SELECT last_value FROM await.topics) >= (SELECT l.topics FROM await.limits l) THEN
                RAISE EXCEPTION 'topic % is not created: there are as many topics as await.limits permits', quote_literal(publish.topic)
                    USING ERRCODE = '53400', HINT = 'raise await.limits.topics';
            END IF;
            SELECT CASE WHEN f.last_value > 0 THEN f.last_value + 1 ELSE 1 END INTO base FROM await.topic_floor f;
            INSERT INTO await.job (class, id, queue, owner, content_type, payload, payload_size, extra)
            VALUES (3, topic_job, await.queue_id('.topic', true), 'topic:' || publish.topic, 'application/json', '', 0,
                    CASE WHEN base > 1 THEN jsonb_build_object('base', base) END) ON CONFLICT DO NOTHING;
            IF FOUND THEN
                PERFORM nextval('await.topics');
            END IF;
        END IF;
        h := await.lock_job(topic_job);     -- publishers wait here, so the topic has one order
        EXIT WHEN h.id IS NOT NULL;         -- NULL: it has just been purged
    END LOOP;
    IF h.seq = 1 THEN
        SELECT coalesce((j.extra ->> 'base')::int, 1) INTO h.seq FROM await.job j WHERE j.class = 3 AND j.id = topic_job;
    END IF;
    said := await.append_event(h, publish.type, CASE WHEN publish.latest THEN 'pending' ELSE 'processing' END, publish.data, 0::int2);
    DELETE FROM await.event e WHERE e.class = 3 AND e.job = topic_job AND e.seq <= said - kept;
    RETURN said;
END $$;
