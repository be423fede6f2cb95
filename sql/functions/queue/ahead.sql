-- How many ready jobs of a lane have positions from p_mark to before p_pos. Up to 1000 are counted; beyond that it is
-- an estimate by how close together the first 1000 and the last 1000 of them are.
CREATE OR REPLACE FUNCTION await.ahead(p_lane bigint, p_mark bigint, p_pos bigint) RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    n     int;
    first bigint;
    upto  bigint;
    low   bigint;
    high  bigint;
BEGIN
    SELECT count(*), min(x.pos), max(x.pos) INTO n, first, upto FROM (
        SELECT r.pos FROM await.ready r WHERE r.lane = p_lane AND r.pos >= p_mark AND r.pos < p_pos ORDER BY r.pos
            LIMIT 1000) x;
    IF n < 1000 THEN
        RETURN n;
    END IF;
    SELECT min(x.pos), max(x.pos) INTO low, high FROM (
        SELECT r.pos FROM await.ready r WHERE r.lane = p_lane AND r.pos >= p_mark AND r.pos < p_pos ORDER BY r.pos DESC
            LIMIT 1000) x;
    RETURN greatest(1000, ((500.0 / (upto - first + 1) + 500.0 / (high - low + 1)) * (high - first + 1))::bigint);
END $$;
