-- The history of all jobs of an owner, user:<owner>. It is read by snapshots, because transactions commit in another order than
-- they draw their numbers (docs/architecture.md).
--
-- The planner does not know the owner. If it could sort, it might choose an index over everybody's events, or read all events of
-- a transaction by eid. So sorting is disabled, each branch is ordered by its index, and a condition on one transaction is written
-- as a range, which only the index that begins with xid returns in order.

-- The current snapshot, with every running transaction named. pg_current_snapshot() has as xmax the transaction after the last one
-- that has *ended*; transactions beyond it may be running as well. Here they are listed too, plus one number that is not in use
-- yet, so that everything at or past xmax got its number after this moment. That the last number before xmax is listed as running
-- marks such a snapshot (await.is_whole_snapshot). It sees the same rows. Falls back to pg_current_snapshot() where there are too
-- many, or the calling transaction is one of them.
--
-- How far the numbers have come is asked of pg_xact_status(), which refuses a number that is not assigned yet: it looks each time,
-- after the snapshot was taken, whatever the protocol, the isolation level, and what this transaction did before. age() looks once
-- per transaction, and pg_current_xact_id() would assign a number for each read.
CREATE OR REPLACE FUNCTION await.whole_snapshot() RETURNS pg_snapshot
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_most CONSTANT int := 64;
    s      pg_snapshot := pg_current_snapshot();
    v_xmax int8 := pg_snapshot_xmax(s)::text::int8;
    v_next int8 := v_xmax;
BEGIN
    IF pg_current_xact_id_if_assigned() IS NOT NULL
        OR (v_xmax + v_most + 1) & x'ffffffff'::int8 < v_most + 4 THEN -- transaction numbers 0 to 2 are special
        RETURN s;
    END IF;
    BEGIN
        WHILE v_next <= v_xmax + v_most LOOP
            PERFORM pg_xact_status(v_next::text::xid8);
            v_next := v_next + 1;
        END LOOP;
        RETURN s;
    EXCEPTION WHEN invalid_parameter_value THEN -- v_next is not assigned yet
        RETURN format('%s:%s:%s', pg_snapshot_xmin(s), v_next + 1, concat_ws(',',
            (SELECT string_agg(x::text, ',' ORDER BY x::text::int8) FROM pg_snapshot_xip(s) x),
            (SELECT string_agg(x::text, ',' ORDER BY x) FROM generate_series(v_xmax, v_next) x)))::pg_snapshot;
    END;
END $$;

-- Whether a snapshot was made by await.whole_snapshot(), with all running transactions named.
CREATE OR REPLACE FUNCTION await.is_whole_snapshot(s pg_snapshot) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT
AS $$
    SELECT EXISTS (SELECT FROM pg_snapshot_xip(s) x WHERE x = ((pg_snapshot_xmax(s)::text::int8 - 1)::text)::xid8)
$$;

-- The events of an owner that `p_since` does not see and `p_upto` does, after eid `p_after`, the first p_limit of them, for a range
-- of any length: read in the order of eid, between two numbers. `weight`: bytes as stored that the reader will get.
--
-- A transaction gets its number before its rows get their eids (the column default in sql/schema). So whatever was written by
-- transactions that got their number after a moment has a higher eid than all that was committed by then: this limits the walk.
CREATE OR REPLACE FUNCTION await.user_walk(p_owner text, p_since pg_snapshot, p_upto pg_snapshot, p_after int8, p_limit int, p_value_max int)
RETURNS TABLE (eid int8, class int2, job uuid, seq int4, weight int8)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_incremental_sort = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_few   CONSTANT int := 50;  -- one would do; the best of several narrows the range more
    v_floor CONSTANT int8 := (SELECT h.floor FROM await.home h); -- rows up to it are seen by every snapshot
    v_from  int8;                -- what is wanted has a higher eid, unless p_since lists its transaction as running,
    v_until int8;                -- and a lower eid than this
BEGIN
    SELECT greatest(p_after, v_floor, coalesce(max(u.eid), 0)) INTO v_from FROM ( -- a snapshot that is not whole gives no bound
        (SELECT e.eid, e.xid FROM await.event e WHERE e.owner = p_owner AND e.xid < pg_snapshot_xmax(p_since)
         ORDER BY e.xid DESC, e.eid DESC LIMIT v_few)
        UNION ALL
        (SELECT j.eid, j.xid FROM await.job j WHERE j.owner = p_owner AND j.xid < pg_snapshot_xmax(p_since)
         ORDER BY j.xid DESC, j.eid DESC LIMIT v_few)
    ) u WHERE await.is_whole_snapshot(p_since) AND pg_visible_in_snapshot(u.xid, p_since);
    SELECT coalesce(min(u.eid), 9223372036854775807) INTO v_until FROM (
        (SELECT e.eid FROM await.event e WHERE e.owner = p_owner AND e.xid >= pg_snapshot_xmax(p_upto) AND e.eid > v_floor ORDER BY e.xid, e.eid LIMIT v_few)
        UNION ALL
        (SELECT j.eid FROM await.job j WHERE j.owner = p_owner AND j.xid >= pg_snapshot_xmax(p_upto) AND j.eid > v_floor ORDER BY j.xid, j.eid LIMIT v_few)
    ) u WHERE await.is_whole_snapshot(p_upto);
    RETURN QUERY
    SELECT u.eid, u.class, u.job, u.seq, u.weight FROM (
        (SELECT e.eid, e.class, e.job, e.seq, coalesce(pg_column_size(e.data), 0) + CASE WHEN e.size <= p_value_max THEN e.size ELSE 0 END AS weight FROM await.event e
         WHERE e.owner = p_owner AND e.eid > v_from AND e.eid < v_until AND e.job < 'ffffffff-0000-0000-0000-000000000000'
           AND NOT pg_visible_in_snapshot(e.xid, p_since) AND pg_visible_in_snapshot(e.xid, p_upto)
         ORDER BY e.eid LIMIT p_limit)
        UNION ALL
        (SELECT j.eid, j.class, j.id, 1, 0 FROM await.job j
         WHERE j.owner = p_owner AND j.eid > v_from AND j.eid < v_until AND j.id < 'ffffffff-0000-0000-0000-000000000000'
           AND NOT pg_visible_in_snapshot(j.xid, p_since) AND pg_visible_in_snapshot(j.xid, p_upto)
         ORDER BY j.eid LIMIT p_limit)
        UNION ALL -- transactions that were running may have drawn their eids long before
        SELECT w.* FROM pg_snapshot_xip(p_since) x (xid), LATERAL (
            SELECT e.eid, e.class, e.job, e.seq, coalesce(pg_column_size(e.data), 0) + CASE WHEN e.size <= p_value_max THEN e.size ELSE 0 END FROM await.event e
            WHERE e.owner = p_owner AND (e.xid, e.eid) > (x.xid, greatest(p_after, v_floor)) AND (e.xid, e.eid) <= (x.xid, v_from) AND e.job < 'ffffffff-0000-0000-0000-000000000000'
              AND pg_visible_in_snapshot(e.xid, p_upto)
            ORDER BY e.xid, e.eid LIMIT p_limit) w
        UNION ALL
        SELECT w.* FROM pg_snapshot_xip(p_since) x (xid), LATERAL (
            SELECT j.eid, j.class, j.id, 1, 0::int8 FROM await.job j
            WHERE j.owner = p_owner AND (j.xid, j.eid) > (x.xid, greatest(p_after, v_floor)) AND (j.xid, j.eid) <= (x.xid, v_from) AND j.id < 'ffffffff-0000-0000-0000-000000000000'
              AND pg_visible_in_snapshot(j.xid, p_upto)
            ORDER BY j.xid, j.eid LIMIT p_limit) w
    ) u ORDER BY u.eid LIMIT p_limit;
END $$;

-- The events of each owner's jobs that `p_since` does not see and `p_upto` ('': now) sees, after that eid, in order: at most
-- p_limit for each owner and about 4 MB of all together, shared evenly, so that one reader's pages do not leave another's empty.
-- p_since '': no events, only the current snapshot. Each item has at least one row. `complete`: that was all. `lost`: p_since, of
-- the Unix second p_at, is older than what is kept. A short range is read by its transactions, a long one by await.user_walk().
CREATE OR REPLACE FUNCTION await.edge_user_events(p_items int8[], p_owners text[], p_since text[], p_at int8[], p_upto text[], p_upto_at int8[],
    p_eids int8[], p_limit int, p_value_max int)
RETURNS TABLE (item int8, owner text, upto text, upto_at int8, complete boolean, lost boolean, id uuid, correlation_id text, eid int8,
    seq int4, type text, at timestamptz, data text, status int2, content_type text, file_name text, size bigint, body bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_incremental_sort = off
SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_now     int8 := floor(extract(epoch FROM clock_timestamp()));
    v_kept    int8 := (SELECT extract(epoch FROM min(r.keep)) FROM await.retention r);
    v_floor   CONSTANT int8 := (SELECT h.floor FROM await.home h); -- rows up to it are seen by every snapshot
    v_moment  pg_snapshot := CASE WHEN '' = ANY (p_upto) THEN await.whole_snapshot() END;
    v_since   pg_snapshot[];
    v_upto    pg_snapshot[];
    v_upto_at int8[];
    v_lost    boolean[];
    v_long    int[];             -- items with more than a page
    v_item    int[];             -- what was found, by item
    v_eid     int8[];
    v_class   int2[];
    v_job     uuid[];
    v_seq     int4[];
    v_weight  int8[];
    i         int;
BEGIN
    SELECT array_agg(CASE WHEN g.since <> '' AND g.since_at >= v_now - v_kept THEN g.since::pg_snapshot END ORDER BY g.n),
           array_agg(coalesce(nullif(g.upto, '')::pg_snapshot, v_moment) ORDER BY g.n),
           array_agg(CASE WHEN g.upto = '' THEN v_now ELSE g.upto_at END ORDER BY g.n),
           array_agg(g.since <> '' AND g.since_at < v_now - v_kept ORDER BY g.n)
    INTO v_since, v_upto, v_upto_at, v_lost
    FROM unnest(p_since, p_at, p_upto, p_upto_at) WITH ORDINALITY g (since, since_at, upto, upto_at, n);

    WITH near AS MATERIALIZED (
        SELECT a.n, u.*, count(*) OVER (PARTITION BY a.n) > p_limit AS long,
               pg_visible_in_snapshot(u.xid, a.upto) AND u.eid > a.eid AND u.job < 'ffffffff-0000-0000-0000-000000000000' AS due
        FROM unnest(p_owners, v_since, v_upto, p_eids) WITH ORDINALITY a (owner, since, upto, eid, n) CROSS JOIN LATERAL (
            (SELECT e.class, e.job, e.seq, e.xid, e.eid, coalesce(pg_column_size(e.data), 0) + CASE WHEN e.size <= p_value_max THEN e.size ELSE 0 END AS weight
             FROM await.event e WHERE e.owner = a.owner AND e.xid >= pg_snapshot_xmax(a.since) AND e.eid > v_floor ORDER BY e.xid, e.eid LIMIT p_limit + 1)
            UNION ALL
            (SELECT r.* FROM pg_snapshot_xip(a.since) x (xid), LATERAL (
                SELECT e.class, e.job, e.seq, e.xid, e.eid, coalesce(pg_column_size(e.data), 0) + CASE WHEN e.size <= p_value_max THEN e.size ELSE 0 END
                FROM await.event e WHERE e.owner = a.owner AND e.xid >= x.xid AND e.xid <= x.xid AND e.eid > v_floor ORDER BY e.xid, e.eid LIMIT p_limit + 1) r LIMIT p_limit + 1)
            UNION ALL
            (SELECT j.class, j.id, 1, j.xid, j.eid, 0
             FROM await.job j WHERE j.owner = a.owner AND j.xid >= pg_snapshot_xmax(a.since) AND j.eid > v_floor ORDER BY j.xid, j.eid LIMIT p_limit + 1)
            UNION ALL
            (SELECT r.* FROM pg_snapshot_xip(a.since) x (xid), LATERAL (
                SELECT j.class, j.id, 1, j.xid, j.eid, 0
                FROM await.job j WHERE j.owner = a.owner AND j.xid >= x.xid AND j.xid <= x.xid AND j.eid > v_floor ORDER BY j.xid, j.eid LIMIT p_limit + 1) r LIMIT p_limit + 1)
        ) u
    )
    SELECT array_agg(DISTINCT r.n::int) FILTER (WHERE r.long), array_agg(r.n) FILTER (WHERE r.due AND NOT r.long),
           array_agg(r.eid) FILTER (WHERE r.due AND NOT r.long), array_agg(r.class) FILTER (WHERE r.due AND NOT r.long),
           array_agg(r.job) FILTER (WHERE r.due AND NOT r.long), array_agg(r.seq) FILTER (WHERE r.due AND NOT r.long),
           array_agg(r.weight) FILTER (WHERE r.due AND NOT r.long)
    INTO v_long, v_item, v_eid, v_class, v_job, v_seq, v_weight FROM near r;
    FOREACH i IN ARRAY coalesce(v_long, '{}') LOOP
        SELECT v_item || array_agg(i), v_eid || array_agg(w.eid), v_class || array_agg(w.class), v_job || array_agg(w.job),
               v_seq || array_agg(w.seq), v_weight || array_agg(w.weight)
        INTO v_item, v_eid, v_class, v_job, v_seq, v_weight
        FROM await.user_walk(p_owners[i], v_since[i], v_upto[i], p_eids[i], p_limit + 1, p_value_max) w;
    END LOOP;

    RETURN QUERY
    WITH found AS MATERIALIZED (
        SELECT f.n, f.eid, f.class, f.job, f.seq, f.weight, row_number() OVER (PARTITION BY f.n ORDER BY f.eid) AS place
        FROM unnest(v_item, v_eid, v_class, v_job, v_seq, v_weight) f (n, eid, class, job, seq, weight)
    ), picked AS MATERIALIZED ( -- limits the size before data is converted to text
        SELECT f.*, coalesce(sum(f.weight) OVER (ORDER BY f.place, f.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
        FROM found f WHERE f.place <= p_limit
    ), page AS MATERIALIZED ( -- LIMIT 1: each is looked up in its own partition only
        SELECT f.n, f.eid, f.job, f.seq, j.correlation_id, coalesce(e.type, 'pending') AS type, coalesce(e.at, j.created_at) AS at,
               e.text, e.status, e.content_type, e.file_name, e.size, e.value,
               coalesce(sum(coalesce(octet_length(e.text), 0) + coalesce(length(e.value), 0)) OVER
                   (ORDER BY f.place, f.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
        FROM picked f
        CROSS JOIN LATERAL (SELECT j.correlation_id, j.created_at FROM await.job j WHERE j.class = f.class AND j.id = f.job LIMIT 1) j
        LEFT JOIN LATERAL (SELECT e.*, e.data::text AS text,
                                  CASE WHEN e.size <= p_value_max AND await.is_json(e.content_type) THEN e.body END AS value
                           FROM await.event e WHERE f.seq > 1 AND e.class = f.class AND e.job = f.job AND e.seq = f.seq LIMIT 1) e ON true
        WHERE f.before < 4194304
    ), counted AS MATERIALIZED (
        SELECT a.n, a.item, a.owner, a.upto, a.upto_at, a.lost, (SELECT count(*) FROM found f WHERE f.n = a.n)
                   = (SELECT count(*) FROM page t WHERE t.n = a.n AND t.before < 4194304) AS complete
        FROM unnest(p_items, p_owners, v_upto, v_upto_at, v_lost) WITH ORDINALITY a (item, owner, upto, upto_at, lost, n)
    )
    SELECT c.item, c.owner, c.upto::text, c.upto_at, c.complete, c.lost, t.job, t.correlation_id, t.eid, t.seq, t.type, t.at, t.text,
           t.status, t.content_type, t.file_name, t.size, t.value
    FROM counted c LEFT JOIN page t ON t.n = c.n AND t.before < 4194304
    ORDER BY c.item, t.eid;
END $$;
