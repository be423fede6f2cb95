-- How many jobs can be claimed in each queue that has some, in up to 20,000 lanes: counted up to 50 at both ends of each
-- lane, and beyond that `about` so many, by how close their positions are. `first`: the position of the first of them.
CREATE OR REPLACE FUNCTION await.console_lanes() RETURNS TABLE (queue int4, first bigint, ready bigint, about boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
    SELECT (m.lane >> 8)::int4, min(h.low), sum(h.n + t.n + CASE WHEN t.n = 50
            THEN (t.low - h.high - 1) * (h.n + t.n)::float8 / (h.high - h.low + t.high - t.low + 2) ELSE 0 END)::bigint,
        bool_or(t.n = 50)
    FROM (SELECT y.lane, coalesce((SELECT w.pos FROM await.low_water w WHERE w.lane = y.lane
                                   ORDER BY w.lane DESC, w.pos DESC LIMIT 1), 0) AS mark
          FROM await.lane_in_use y ORDER BY y.lane LIMIT 20000) m
    CROSS JOIN LATERAL (SELECT count(*) AS n, min(x.pos) AS low, max(x.pos) AS high FROM (
        SELECT r.pos FROM await.ready r WHERE r.lane = m.lane AND r.pos >= m.mark ORDER BY r.lane, r.pos LIMIT 50) x) h
    CROSS JOIN LATERAL (SELECT count(*) AS n, min(x.pos) AS low, max(x.pos) AS high FROM (
        SELECT r.pos FROM await.ready r WHERE h.n = 50 AND r.lane = m.lane AND r.pos > h.high
        ORDER BY r.lane DESC, r.pos DESC LIMIT 50) x) t
    WHERE h.n > 0 GROUP BY 1
$$;
