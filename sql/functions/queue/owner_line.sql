-- How many jobs of an owner are ready in a lane, of the newest p_most, and the highest origin among them: the owner's
-- jobs in await.held with positions up to there have left it. With p_sure a job is not counted while another
-- transaction has it locked, which may be a claim.
CREATE OR REPLACE FUNCTION await.owner_line(p_lane bigint, p_owner text, p_most int, p_sure boolean, OUT n int,
    OUT origin bigint)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    mark bigint := coalesce((SELECT m.pos FROM await.low_water m WHERE m.lane = p_lane ORDER BY m.pos DESC LIMIT 1), 0);
BEGIN
    IF p_sure THEN
        SELECT count(*), max(x.origin) INTO n, origin FROM (
            SELECT r.origin FROM await.ready r WHERE r.lane = p_lane AND r.owner = p_owner AND r.pos >= mark
            ORDER BY r.pos DESC LIMIT p_most FOR KEY SHARE SKIP LOCKED) x;
    ELSE
        SELECT count(*), max(x.origin) INTO n, origin FROM (
            SELECT r.origin FROM await.ready r WHERE r.lane = p_lane AND r.owner = p_owner AND r.pos >= mark
            ORDER BY r.pos DESC LIMIT p_most) x;
    END IF;
END $$;
