-- Moves jobs of an owner from await.held into their lane, in their order, as far as there is room. Whoever has the
-- first of them locked does so already. A job that has ended meanwhile is dropped. `p_after`: an origin of a job of
-- this owner and lane that the caller knows of.
CREATE OR REPLACE FUNCTION await.admit_held(q await.queue, p_lane bigint, p_owner text, p_after bigint,
    p_sure boolean DEFAULT false) RETURNS int
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    most   int;
    after  bigint;
    first  bigint;
    moved  int;
    total  int := 0;
BEGIN
    SELECT r.room, greatest(r.origin, p_after) INTO most, after FROM await.owner_room(q, p_lane, p_owner, p_sure) r;
    WHILE most > 0 LOOP
        SELECT h.pos INTO first FROM await.held h WHERE h.lane = p_lane AND h.owner = p_owner AND h.pos > after
            ORDER BY h.pos LIMIT 1;
        EXIT WHEN NOT FOUND;
        PERFORM FROM await.held h WHERE h.lane = p_lane AND h.owner = p_owner AND h.pos = first FOR UPDATE SKIP LOCKED;
        EXIT WHEN NOT FOUND;
        PERFORM await.reserve_positions(), await.open_lane(p_lane);
        WITH next AS MATERIALIZED (
            SELECT h.pos FROM await.held h WHERE h.lane = p_lane AND h.owner = p_owner AND h.pos >= first
            ORDER BY h.pos LIMIT most FOR UPDATE SKIP LOCKED
        ), gone AS (
            DELETE FROM await.held h USING next n WHERE h.lane = p_lane AND h.owner = p_owner AND h.pos = n.pos
                RETURNING h.*
        ), live AS (
            SELECT g.* FROM gone g WHERE NOT EXISTS (
                SELECT FROM await.event e WHERE e.class = await.class(g.job) AND e.job = g.job AND e.ending)
            ORDER BY g.pos
        ), now_ready AS (
            INSERT INTO await.ready (lane, pos, job, attempt, owner, origin)
            SELECT l.lane, nextval('await.pos'), l.job, l.attempt, l.owner, l.pos FROM live l
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM now_ready), (SELECT max(g.pos) FROM gone g) INTO moved, after;
        total := total + moved;
        most := most - moved;
    END LOOP;
    IF total > 0 AND await.notifies() THEN
        PERFORM await.notify_lanes(ARRAY[p_lane]);
    END IF;
    RETURN total;
END $$;
