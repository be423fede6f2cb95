-- Which place in its queue a pending job has, 1: the next, and in how many seconds it may be claimed. Both are
-- estimates: by the jobs that stand before it, and by how many of the queue were claimed in a second of late; what
-- comes later with a higher priority passes it. NULLs where that is not known: the job is not pending; its queue is
-- paused, or nothing was claimed; `place` of a job that waits for its time, whose `seconds` are those until then.
CREATE OR REPLACE FUNCTION await.position(id uuid, OUT place bigint, OUT seconds float8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    j     await.job;
    e     record;
    q     await.queue;
    own   bigint;                            -- its lane
    due   timestamptz;
    m     record;
    behind bigint;                           -- of the owner's jobs in await.held
BEGIN
    SELECT * INTO j FROM await.job w WHERE w.class = await.class(position.id) AND w.id = position.id;
    SELECT v.eid, v.state, v.data INTO e FROM await.event v WHERE v.class = j.class AND v.job = j.id
        ORDER BY v.seq DESC LIMIT 1;
    IF j.id IS NULL OR coalesce(e.state, 'pending') <> 'pending' OR await.is_batch(j.id)
       OR j.id >= 'ffffffff-0000-0000-0000-000000000000' THEN
        RETURN;
    END IF;
    SELECT * INTO q FROM await.queue k WHERE k.id = j.queue;
    IF NOT q.rated THEN
        PERFORM await.ask_of_queue(q.id, false);
    END IF;
    due := coalesce((e.data ->> 'retry_at')::timestamptz, j.due);
    IF due > clock_timestamp() THEN
        seconds := CASE WHEN NOT q.paused THEN extract(epoch FROM due - clock_timestamp()) END;
        RETURN;
    END IF;
    own := await.lane(j.queue, j.priority);
    IF q.managed AND j.owner IS NOT NULL THEN
        SELECT h.pos INTO behind FROM await.held h WHERE h.job = j.id AND h.lane = own LIMIT 1;
        behind := CASE WHEN behind IS NULL THEN NULL ELSE (SELECT count(*) FROM (SELECT FROM await.held h
            WHERE h.lane = own AND h.owner = j.owner AND h.pos < behind LIMIT 1000) x) END;
    END IF;
    place := 1 + coalesce(behind, 0);
    FOR m IN SELECT l.lane, coalesce((SELECT w.pos FROM await.low_water w WHERE w.lane = l.lane ORDER BY w.pos DESC
        LIMIT 1), 0) AS mark
             FROM await.lane_in_use l WHERE l.lane >> 8 = j.queue AND l.lane <= own LOOP
        place := place + await.ahead(m.lane, m.mark, CASE
            WHEN m.lane = own AND behind IS NULL THEN await.place_of(j.id, own, m.mark, coalesce(e.eid, j.eid))
            ELSE 9223372036854775807 END);
    END LOOP;
    seconds := CASE WHEN NOT q.paused THEN place / await.queue_rate(q.id) END;
END $$;
