-- Deletes topics that have had no event for await.limits.topic_keep. Each call goes on where the last one stopped and looks at most
-- at p_limit topics. A topic's row is locked, then read again: a publisher waits for that lock, and creates the topic anew.
CREATE OR REPLACE FUNCTION await.purge_topics(p_limit int) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off
AS $$
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
        last := 'ffffffff-ffff-0000-0000-000000000000'; -- the end was reached: start again
    END IF;
    INSERT INTO await.swept VALUES ('topics', 3, last) ON CONFLICT ON CONSTRAINT swept_pkey DO UPDATE SET upto = excluded.upto;
    PERFORM setval('await.topics', (SELECT count(*) FROM await.job_topic));
    IF topics > 0 THEN
        RETURN NEXT format('dropped %s topics', topics);
    END IF;
END $$;
