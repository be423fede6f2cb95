-- Where in its lane a ready job stands, by when it began to wait: a row of await.ready is not found by its job. Reads
-- some 40 rows, however many wait.
CREATE OR REPLACE FUNCTION await.place_of(p_job uuid, p_lane bigint, p_mark bigint, p_eid bigint) RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    low  bigint := p_mark;
    high bigint := (SELECT s.last_value + 1 FROM await.pos s);
    mid  bigint;
    r    record;
    eid  bigint;
BEGIN
    WHILE low < high LOOP                    -- jobs below `low` began to wait before, those from `high` on after
        mid := (low + high) / 2;
        SELECT y.pos, y.job INTO r FROM await.ready y WHERE y.lane = p_lane AND y.pos >= mid AND y.pos < high
            ORDER BY y.pos LIMIT 1;
        IF NOT FOUND THEN
            high := mid;
        ELSIF r.job = p_job THEN
            RETURN r.pos;
        ELSE
            SELECT coalesce((SELECT e.eid FROM await.event e WHERE e.class = j.class AND e.job = j.id
                AND e.state = 'pending' ORDER BY e.seq DESC LIMIT 1), j.eid) INTO eid -- it may have ended since
                FROM await.job j WHERE j.class = await.class(r.job) AND j.id = r.job;
            IF eid < p_eid THEN
                low := r.pos + 1;
            ELSE
                high := mid;
            END IF;
        END IF;
    END LOOP;
    RETURN high;
END $$;
