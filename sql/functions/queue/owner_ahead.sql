-- How many jobs of a queue are taken, about, until the first that waits of this owner is.
CREATE OR REPLACE FUNCTION await.owner_ahead(p_queue int4, p_owner text) RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    m     record;
    first bigint;
    n     bigint := 1;
BEGIN
    FOR m IN SELECT l.lane, coalesce((SELECT w.pos FROM await.low_water w WHERE w.lane = l.lane ORDER BY w.pos DESC
        LIMIT 1), 0) AS mark
             FROM await.lane_in_use l WHERE l.lane >> 8 = p_queue ORDER BY l.lane LOOP
        SELECT r.pos INTO first FROM await.ready r WHERE r.lane = m.lane AND r.owner = p_owner AND r.pos >= m.mark
            ORDER BY r.pos LIMIT 1;
        n := n + await.ahead(m.lane, m.mark, coalesce(first, 9223372036854775807));
        EXIT WHEN first IS NOT NULL;
    END LOOP;
    RETURN n;
END $$;
