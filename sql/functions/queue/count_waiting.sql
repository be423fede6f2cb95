-- How many jobs wait in a queue, or of one owner in it: no more than p_most are counted.
CREATE OR REPLACE FUNCTION await.count_waiting(p_queue int4, p_owner text, p_most int) RETURNS int
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    m record;
    n int := 0;
BEGIN
    FOR m IN SELECT l.lane, coalesce((SELECT w.pos FROM await.low_water w WHERE w.lane = l.lane ORDER BY w.pos DESC
        LIMIT 1), 0) AS mark
             FROM await.lane_in_use l WHERE l.lane >> 8 = p_queue LOOP
        EXIT WHEN n >= p_most;
        IF p_owner IS NULL THEN
            n := n + (SELECT count(*) FROM (SELECT FROM await.ready r WHERE r.lane = m.lane AND r.pos >= m.mark
                LIMIT p_most - n) x);
            n := n + (SELECT count(*) FROM (SELECT FROM await.held h WHERE h.lane = m.lane LIMIT p_most - n) x);
            n := n + (SELECT count(*) FROM (SELECT FROM await.delayed d WHERE d.lane = m.lane LIMIT p_most - n) x);
        ELSE
            n := n + (SELECT count(*) FROM (
                SELECT FROM await.ready r WHERE r.lane = m.lane AND r.owner = p_owner AND r.pos >= m.mark
                    LIMIT p_most - n) x);
            n := n + (SELECT count(*) FROM (SELECT FROM await.held h WHERE h.lane = m.lane AND h.owner = p_owner
                LIMIT p_most - n) x);
            n := n + (SELECT count(*) FROM (SELECT FROM await.delayed d WHERE d.lane = m.lane AND d.owner = p_owner
                LIMIT p_most - n) x);
        END IF;
    END LOOP;
    RETURN n;
END $$;
