-- How many more jobs of an owner may stand in a lane of a managed queue: of those in await.held with positions after
-- `origin`. At most 1000 are counted at a time.
CREATE OR REPLACE FUNCTION await.owner_room(q await.queue, p_lane bigint, p_owner text, p_sure boolean,
    OUT room int, OUT origin bigint)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    most     int := q.fair;                  -- in the lane; NULL: any number
    waiting  int;
    runs     int;
    ran_from bigint;
BEGIN
    IF q.max_running_per_owner IS NOT NULL THEN
        SELECT r.n, r.origin INTO runs, ran_from FROM await.running(q.id, p_lane, p_owner,
            least(q.max_running_per_owner, 1000), p_sure) r;
        most := least(most, q.max_running_per_owner - runs, 1000);
    END IF;
    SELECT l.n, l.origin INTO waiting, origin FROM await.owner_line(p_lane, p_owner, greatest(coalesce(most, 1), 1),
        p_sure) l;
    room := CASE WHEN most IS NULL THEN 1000 ELSE most - waiting END;
    origin := greatest(origin, ran_from, 0);
END $$;
