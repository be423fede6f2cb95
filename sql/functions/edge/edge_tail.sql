-- All jobs that got an event since the snapshot `p_since`, with their newest seq, and the users whose jobs changed or were
-- created, with seq 0; and the snapshot to go on from. Reads at most p_limit rows of each table; `complete`: that was all. Rows that
-- came with a dump from another server (await.home.floor) are seen by every snapshot.
CREATE OR REPLACE FUNCTION await.edge_tail(p_since pg_snapshot, p_limit int)
RETURNS TABLE (snapshot text, complete boolean, jobs uuid[], seqs int4[])
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_floor bigint := (SELECT h.floor FROM await.home h);
BEGIN
    RETURN QUERY
    WITH tail AS MATERIALIZED (
        SELECT e.job, e.seq, e.owner, e.eid > v_floor AS ours FROM await.event e
        WHERE e.xid >= pg_snapshot_xmax(p_since) OR e.xid = ANY (ARRAY(SELECT pg_snapshot_xip(p_since)))
        LIMIT p_limit
    ), came AS MATERIALIZED (
        SELECT j.owner, j.eid > v_floor AS ours FROM await.job j
        WHERE j.owner IS NOT NULL AND (j.xid >= pg_snapshot_xmax(p_since) OR j.xid = ANY (ARRAY(SELECT pg_snapshot_xip(p_since))))
        LIMIT p_limit
    ), newest AS (
        SELECT t.job, max(t.seq) AS seq FROM tail t WHERE t.ours GROUP BY t.job
        UNION ALL
        SELECT await.user_id(o.owner), 0 FROM (SELECT t.owner FROM tail t WHERE t.owner IS NOT NULL AND t.ours UNION SELECT c.owner FROM came c WHERE c.ours) o
    )
    SELECT pg_current_snapshot()::text, (SELECT count(*) FROM tail) < p_limit AND (SELECT count(*) FROM came) < p_limit,
           coalesce(array_agg(n.job), '{}'), coalesce(array_agg(n.seq), '{}') FROM newest n;
END $$;
