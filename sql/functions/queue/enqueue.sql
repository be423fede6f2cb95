-- Puts a job of a special queue into its lane, or behind the others of its owner. The caller has announced the draw of a position.
CREATE OR REPLACE FUNCTION await.stand_in_line(q await.queue, p_lane bigint, p_owner text, p_job uuid, p_attempt int2) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    place bigint := nextval('await.pos');
    most  int;
    after bigint;
BEGIN
    IF p_owner IS NOT NULL AND (q.fair IS NOT NULL OR q.max_running_per_owner IS NOT NULL) THEN
        SELECT r.room, r.origin INTO most, after FROM await.owner_room(q, p_lane, p_owner, false) r;
        -- without any that is ready or runs, none can be held: whoever took the last of them has seen to that
        IF most <= 0 OR after > 0 AND EXISTS (SELECT FROM await.held h WHERE h.lane = p_lane AND h.owner = p_owner AND h.pos > after) THEN
            PERFORM await.hold_job(p_lane, p_owner, place, p_job, p_attempt);
            RETURN;
        END IF;
    END IF;
    INSERT INTO await.ready (lane, pos, job, attempt, owner, origin) VALUES (p_lane, place, p_job, p_attempt, p_owner, place);
END $$;

-- Puts a job into its lane, or, if `p_due` is in the future, into await.delayed, from where await.reap() moves it into its lane.
CREATE OR REPLACE FUNCTION await.enqueue(p_job uuid, p_queue int4, p_priority int2, p_attempt int2, p_due timestamptz DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    in_lane bigint := await.lane(p_queue, p_priority);
    q       await.queue;
    who     text;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = p_queue AND k.special;
    IF FOUND THEN
        SELECT j.owner INTO who FROM await.job j WHERE j.class = await.class(p_job) AND j.id = p_job;
    END IF;
    IF p_due > clock_timestamp() THEN
        INSERT INTO await.delayed (due, lane, job, attempt, owner) VALUES (p_due, in_lane, p_job, p_attempt, who);
        RETURN;
    END IF;
    PERFORM await.reserve_positions();
    PERFORM await.open_lane(in_lane);
    IF q.id IS NOT NULL THEN
        PERFORM await.stand_in_line(q, in_lane, who, p_job, p_attempt);
    ELSE
        INSERT INTO await.ready (lane, pos, job, attempt) VALUES (in_lane, nextval('await.pos'), p_job, p_attempt);
    END IF;
    IF await.notifies() THEN
        PERFORM await.notify_lanes(ARRAY[in_lane]);
    END IF;
END $$;
