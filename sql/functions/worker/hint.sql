-- What to PUBLISH on Redis after the commit, optionally, of the job's newest event or of the one with this seq: subscribers then
-- learn of it in a millisecond instead of at their next re-read. docs/workers.md describes the format.
--
-- Format 1: version, job, seq, type, signature, JSON. The last two are left out (a thin hint: "read it") where the message would
-- exceed 8 KB; where the caller's own transaction wrote the event, because before its commit that proves nothing; and where the
-- caller may not use the job's queue, or publish to the topic. A worker asks after its lease ended, so the queue decides.
-- A second row is a thin hint for subscribers of user:<owner>, and a third one for those of the job's batch, if that has had an
-- event since; if it is ready, a fourth one wakes workers of its on_ready queue. A caller that may not use the queue of the job
-- gets none of them, because they would reveal the owner and the batch.
CREATE OR REPLACE FUNCTION await.hint(id uuid, seq int DEFAULT NULL) RETURNS TABLE (channel text, message text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    k    int2 := await.class(hint.id);
    e    await.event;
    j    await.job;
    of_user text;
    of_batch uuid;
    may  boolean := true;
BEGIN
    IF hint.seq IS NULL THEN
        SELECT * INTO e FROM await.event v WHERE v.class = k AND v.job = hint.id ORDER BY v.seq DESC LIMIT 1;
    ELSE
        SELECT * INTO e FROM await.event v WHERE v.class = k AND v.job = hint.id AND v.seq = hint.seq;
    END IF;
    IF EXISTS (SELECT FROM await.queue_grant) THEN
        may := (SELECT await.may_queue(CASE WHEN hint.id >= 'ffffffff-0000-0000-0000-000000000000' THEN w.owner ELSE q.name END)
                FROM await.job w JOIN await.queue q ON q.id = w.queue WHERE w.class = k AND w.id = hint.id);
    END IF;
    of_user := CASE WHEN NOT may OR hint.id >= 'ffffffff-0000-0000-0000-000000000000' THEN NULL -- a topic
                    WHEN e.job IS NOT NULL THEN e.owner
                    ELSE (SELECT w.owner FROM await.job w WHERE w.class = k AND w.id = hint.id) END;
    IF e.job IS NOT NULL THEN
        channel := await.shard(hint.id);
        IF may AND e.xid IS DISTINCT FROM pg_current_xact_id_if_assigned() THEN
            SELECT * INTO j FROM await.job w WHERE w.class = k AND w.id = hint.id;
            message := await.hint_message(e, j, (SELECT q.name FROM await.queue q WHERE q.id = j.queue), await.timeline());
        ELSE
            message := format('1 %s %s %s', hint.id, e.seq, e.type);
        END IF;
        RETURN NEXT;
    END IF;
    IF of_user IS NOT NULL THEN
        channel := await.shard(await.user_id(of_user));
        message := await.user_hint(of_user);
        RETURN NEXT;
    END IF;
    of_batch := CASE WHEN NOT may OR e.job IS NULL THEN NULL WHEN j.id IS NOT NULL THEN j.batch
                     ELSE (SELECT w.batch FROM await.job w WHERE w.class = k AND w.id = hint.id) END;
    IF of_batch IS NOT NULL THEN
        RETURN QUERY SELECT h.*
            FROM (SELECT * FROM await.event b WHERE b.class = k AND b.job = of_batch ORDER BY b.seq DESC LIMIT 1) v,
                LATERAL (VALUES (await.shard(of_batch), format('1 %s %s %s', of_batch, v.seq, v.type)),
                    ('await:queue:' || CASE WHEN v.type = 'batch.ready' THEN
                        (SELECT w.extra ->> 'on_ready' FROM await.job w WHERE w.class = k AND w.id = of_batch) END, '1'))
                    h (channel, message)
            WHERE v.at > e.at - interval '1 second' AND h.channel IS NOT NULL;
    END IF;
END $$;
