-- How many jobs of a managed queue run, or of one owner in it: of the first p_most. `origin`: the highest origin among
-- the owner's jobs of this lane. With p_sure a job is not counted while another transaction has its lease locked, which
-- may be about to end it.
CREATE OR REPLACE FUNCTION await.running(p_queue int4, p_lane bigint, p_owner text, p_most int, p_sure boolean,
    OUT n int, OUT origin bigint)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    mark bigint := coalesce((SELECT m.pos FROM await.low_water m WHERE m.lane = -p_queue ORDER BY m.pos DESC
        LIMIT 1), 0);
BEGIN
    IF p_owner IS NULL THEN
        SELECT count(*) INTO n FROM (
            SELECT FROM await.lease l WHERE l.queue = p_queue AND l.no >= mark ORDER BY l.no LIMIT p_most) x;
    ELSIF p_sure THEN
        SELECT count(*), max(x.origin) FILTER (WHERE x.lane = p_lane) INTO n, origin FROM (
            SELECT l.lane, l.origin FROM await.lease l WHERE l.queue = p_queue AND l.owner = p_owner AND l.no >= mark
            ORDER BY l.no LIMIT p_most FOR KEY SHARE SKIP LOCKED) x;
    ELSE
        SELECT count(*), max(x.origin) FILTER (WHERE x.lane = p_lane) INTO n, origin FROM (
            SELECT l.lane, l.origin FROM await.lease l WHERE l.queue = p_queue AND l.owner = p_owner AND l.no >= mark
            ORDER BY l.no LIMIT p_most) x;
    END IF;
END $$;
