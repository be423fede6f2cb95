-- Events by their keys, for the source "wal" of await-relay, which has the keys from the write-ahead log: those that
-- the statement's snapshot sees, in the order in which they are asked for. The columns are those of await.relay_page.
-- `looked_for`: how many of the keys, which are the first; the others would make the answer too large (4 MB).
-- `cursor`: the snapshot. `upto`: where the log ended, after the snapshot was taken. Without events there is one row
-- with these.
CREATE OR REPLACE FUNCTION await.relay_lookup(p_class int2[], p_job uuid[], p_seq int4[], p_value_max int)
RETURNS TABLE (cursor text, complete boolean, job uuid, seq int4, eid bigint, type text, state text, attempt int2,
    at timestamptz, queue text, owner text, batch uuid, phase text, correlation_id text, trace text, data text,
    status int2, content_type text, file_name text, size bigint, value bytea, looked_for int, upto text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_topics CONSTANT uuid := 'ffffffff-0000-0000-0000-000000000000';
    v_most   CONSTANT bigint := 4194304;
    v_floor  CONSTANT bigint := (SELECT h.floor FROM await.home h);
BEGIN
    cursor := await.relay_cursor_text(v_floor, pg_snapshot_xmax(pg_current_snapshot()),
        ARRAY(SELECT x FROM pg_snapshot_xip(pg_current_snapshot()) x), '{}', '{}');
    upto := pg_current_wal_insert_lsn()::text;
    looked_for := cardinality(p_job);
    complete := true;
    RETURN QUERY
    WITH found AS MATERIALIZED (
        SELECT k.n::int AS n, k.seq AS seq, j.id, j.created_at, j.queue, j.owner, j.batch, j.phase, j.correlation_id,
            j.trace, e.*, sum(await.relay_weight(e.data, e.size, p_value_max)) OVER (ORDER BY k.n) AS weight
        FROM unnest(p_class, p_job, p_seq) WITH ORDINALITY k (class, job, seq, n)
        CROSS JOIN LATERAL (SELECT * FROM await.job j WHERE j.class = k.class AND j.id = k.job LIMIT 1) j
        LEFT JOIN LATERAL (SELECT e.eid, e.type, e.state, e.attempt, e.at, e.data, e.status, e.content_type,
                e.file_name, e.size, CASE WHEN e.size <= p_value_max
                    AND await.is_json(e.content_type) THEN e.body END AS value
            FROM await.event e
            WHERE k.seq > 1 AND e.class = k.class AND e.job = k.job AND e.seq = k.seq LIMIT 1) e ON true
        WHERE CASE WHEN k.seq > 1 THEN e.eid > v_floor ELSE j.eid > v_floor AND j.id < v_topics END
    ), cut AS (
        SELECT min(f.n) AS n FROM found f WHERE f.weight > v_most AND f.n > (SELECT min(o.n) FROM found o)
    )
    SELECT cursor, complete, f.id, f.seq, f.eid, coalesce(f.type, 'pending'), coalesce(f.state, 'pending'),
        coalesce(f.attempt, 0::int2), coalesce(f.at, f.created_at), q.name, f.owner, f.batch, f.phase,
        f.correlation_id, f.trace, f.data::text,
        f.status, f.content_type, f.file_name, f.size, f.value, coalesce(c.n - 1, looked_for), upto
    FROM found f CROSS JOIN cut c LEFT JOIN await.queue q ON q.id = f.queue
    WHERE c.n IS NULL OR f.n < c.n
    ORDER BY f.n;
    IF NOT FOUND THEN
        RETURN NEXT;
    END IF;
END $$;
