-- The next events behind a cursor: of await.events_after(), and of await-relay.
--
-- A cursor is a snapshot: a set of transactions whose events were read. The next ones are in those that have ended
-- since: some that were running then ("open"), and newer ones. They are read in the order of (xid, eid), which an index
-- has, so a page costs the same however many follow. eid is drawn under the lock of the job's row, so within a page the
-- order of eid is that of each job.
--
-- Between pages it need not be: a transaction with a low number may go on for long, and change a job after one with a
-- higher number did. So where a page does not reach the end, each event's predecessor is looked up. If it is not in this
-- page and was not in an earlier one, the event waits, and with it what its transaction wrote later: the cursor then has
-- that transaction as running, read up to an eid. It was running when a transaction beyond the page began, so there are
-- never more of those than there were transactions at one time. No two can wait for each other: whoever changed the job
-- first had committed before the other did. The event with the lowest eid of all waits for nothing; so that it is in a
-- page, each open transaction has its share of each page, and where all of those wait, newer ones have one, too.
--
-- A long transaction does not hold up those behind it, and many of them are not read all at once, as they cost more the
-- more there are: newer ones have a share of their own while fewer than v_beside_of are open, and else what is left.
--
-- Rows are found by the snapshot of the statement, so none that it sees is left out; those of transactions that run now
-- are found later, whatever their number. A foreign transaction that stays open costs nothing.

-- Bytes that the reader of an event gets, about.
CREATE OR REPLACE FUNCTION await.relay_weight(data jsonb, size bigint, value_max int) RETURNS bigint
LANGUAGE sql STABLE
AS $$
    SELECT 300 + CASE WHEN data IS NULL THEN 0 WHEN pg_column_size(data) <= 500 THEN 4 * pg_column_size(data)
                      ELSE octet_length(data::text) END + CASE WHEN size <= value_max THEN size ELSE 0 END
$$;

-- What the open transactions have behind `p_upto`, p_share rows of each and one more; and of those from p_from until
-- p_until, without p_own, so many that there are p_main rows and one more, p_least and one more at least (both in the
-- order of xid, eid). `main`: of which it is.
CREATE OR REPLACE FUNCTION await.relay_keys(p_floor bigint, p_open xid8[], p_upto bigint[], p_share int,
    p_from xid8, p_until xid8, p_own xid8, p_main int, p_least int, p_value_max int)
RETURNS TABLE (main boolean, xid xid8, eid bigint, class int2, job uuid, seq int4, weight bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_incremental_sort = off
SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_topics CONSTANT uuid := 'ffffffff-0000-0000-0000-000000000000';
    v_left   int := p_main + 1;
    v_got    int;
BEGIN
    IF cardinality(p_open) > 0 THEN
        -- a condition on one transaction is written as a range, so that the index gives the order, and begins there
        RETURN QUERY
        SELECT false, u.* FROM unnest(p_open, p_upto) o (x, upto) CROSS JOIN LATERAL (
            (SELECT e.xid, e.eid, e.class, e.job, e.seq, await.relay_weight(e.data, e.size, p_value_max)
             FROM await.event e WHERE (e.xid, e.eid) > (o.x, greatest(o.upto, p_floor)) AND e.xid <= o.x
             ORDER BY e.xid, e.eid LIMIT p_share + 1)
            UNION ALL
            (SELECT j.xid, j.eid, j.class, j.id, 1, 300 FROM await.job j
             WHERE j.owner IS NOT NULL AND (j.xid, j.eid) > (o.x, greatest(o.upto, p_floor)) AND j.xid <= o.x
               AND j.id < v_topics ORDER BY j.xid, j.eid LIMIT p_share + 1)
            UNION ALL
            (SELECT j.xid, j.eid, j.class, j.id, 1, 300 FROM await.job j
             WHERE j.owner IS NULL AND (j.xid, j.eid) > (o.x, greatest(o.upto, p_floor)) AND j.xid <= o.x
               AND j.id < v_topics ORDER BY j.xid, j.eid LIMIT p_share + 1)
            ORDER BY 1, 2 LIMIT p_share + 1
        ) u;
        GET DIAGNOSTICS v_got = ROW_COUNT;
        v_left := greatest(v_left - v_got, p_least + 1);
    END IF;
    RETURN QUERY
    SELECT true, u.* FROM (
        (SELECT e.xid, e.eid, e.class, e.job, e.seq, await.relay_weight(e.data, e.size, p_value_max)
         FROM await.event e WHERE e.xid >= p_from AND e.xid < p_until AND e.xid <> p_own AND e.eid > p_floor
         ORDER BY e.xid, e.eid LIMIT v_left)
        UNION ALL
        (SELECT j.xid, j.eid, j.class, j.id, 1, 300 FROM await.job j
         WHERE j.owner IS NOT NULL AND j.xid >= p_from AND j.xid < p_until AND j.xid <> p_own AND j.eid > p_floor
           AND j.id < v_topics ORDER BY j.xid, j.eid LIMIT v_left)
        UNION ALL
        (SELECT j.xid, j.eid, j.class, j.id, 1, 300 FROM await.job j
         WHERE j.owner IS NULL AND j.xid >= p_from AND j.xid < p_until AND j.xid <> p_own AND j.eid > p_floor
           AND j.id < v_topics ORDER BY j.xid, j.eid LIMIT v_left)
        ORDER BY 1, 2 LIMIT v_left
    ) u;
END $$;

-- Of the events of a page, in the order of eid, those that wait for others (`p_blocked`: at least), and what their
-- transactions and jobs have after them. `ready`: the places of the others. `stuck`: the transactions of those that
-- wait, and up to which eid each was read.
CREATE OR REPLACE FUNCTION await.relay_sort_out(p_blocked int[], p_xid xid8[], p_eid bigint[], p_job uuid[], p_open xid8[],
    p_upto bigint[], OUT ready int[], OUT stuck xid8[], OUT upto bigint[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_jobs uuid[] := '{}';
BEGIN
    ready := '{}';
    stuck := '{}';
    FOR i IN 1 .. cardinality(p_xid) LOOP
        IF p_xid[i] = ANY (stuck) OR p_job[i] = ANY (v_jobs) OR i = ANY (p_blocked) THEN
            v_jobs := v_jobs || p_job[i];
            IF p_xid[i] <> ALL (stuck) THEN
                stuck := stuck || p_xid[i];
            END IF;
        ELSE
            ready := ready || i;
        END IF;
    END LOOP;
    upto := ARRAY(
        SELECT coalesce((SELECT max(p_eid[r]) FROM unnest(ready) r WHERE p_xid[r] = s.x),
                        (SELECT o.upto FROM unnest(p_open, p_upto) o (x, upto) WHERE o.x = s.x), 0)
        FROM unnest(stuck) WITH ORDINALITY s (x, n) ORDER BY s.n);
END $$;

-- At most about p_limit events and 4 MB behind the cursor, in order, each with the cursor behind all of them;
-- `complete`: that was all there is now. Where there is none, one row with the cursor and without a job. p_cursor NULL
-- or '': no events, only the cursor of now. `value`: a JSON result of at most p_value_max bytes.
-- `hints`: of await.hint(), channel and message in turns, where there are p_hints events at most.
CREATE OR REPLACE FUNCTION await.relay_page(p_cursor text, p_limit int, p_value_max int DEFAULT 0, p_hints int DEFAULT 0)
RETURNS TABLE (cursor text, complete boolean, job uuid, seq int4, eid bigint, type text, state text, attempt int2,
    at timestamptz, queue text, owner text, batch uuid, phase text, correlation_id text, trace text, data text,
    status int2, content_type text, file_name text, size bigint, value bytea, hints text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_topics  CONSTANT uuid := 'ffffffff-0000-0000-0000-000000000000';
    v_most    CONSTANT bigint := 4194304;
    v_beside_of CONSTANT int := 4;
    v_floor   CONSTANT bigint := (SELECT h.floor FROM await.home h);
    v_until   CONSTANT xid8 := pg_snapshot_xmax(pg_current_snapshot());
    -- its own transaction is not over; it may write more
    v_own     CONSTANT xid8 := coalesce(pg_current_xact_id_if_assigned(), '0');
    v_running xid8[] := ARRAY(SELECT x FROM pg_snapshot_xip(pg_current_snapshot()) x UNION SELECT v_own WHERE v_own <> '0');
    c         record;                        -- the cursor
    v_open    xid8[];
    v_upto    bigint[];
    v_limit   int := least(greatest(p_limit, 1), 10000);
    v_share   int;
    v_beside  int;                           -- 1: newer transactions have a share, whatever the open ones have
    k         record;                        -- the keys that were found
    v_xmax    xid8;                          -- of the new cursor, and
    v_partial xid8[];
    v_read    bigint[];
    v_blocked int[];
    v_ready   int[];
BEGIN
    IF coalesce(p_cursor, '') = '' THEN
        cursor := await.relay_cursor_text(v_floor, v_until, v_running, '{}', '{}');
        complete := true;
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO c FROM await.relay_read_cursor(p_cursor, v_floor);
    SELECT coalesce(array_agg(x ORDER BY x), '{}'), coalesce(array_agg(coalesce(p.upto, 0) ORDER BY x), '{}')
    INTO v_open, v_upto FROM pg_snapshot_xip(c.since) x LEFT JOIN unnest(c.partial, c.upto) p (px, upto) ON p.px = x
    WHERE x <> ALL (v_running);
    IF v_open = '{}' AND pg_snapshot_xmax(c.since) = v_until THEN
        cursor := p_cursor;
        complete := true;
        RETURN NEXT;
        RETURN;
    END IF;

    v_beside := (cardinality(v_open) < v_beside_of)::int;
    LOOP
        LOOP
            v_share := greatest(v_limit / greatest(cardinality(v_open) + v_beside, 1), 1);
            WITH found AS MATERIALIZED (
                SELECT * FROM await.relay_keys(v_floor, v_open, v_upto, v_share, pg_snapshot_xmax(c.since), v_until, v_own, v_limit, v_beside, p_value_max)
            ), placed AS (
                SELECT f.*, row_number() OVER (PARTITION BY f.main, CASE WHEN NOT f.main THEN f.xid END ORDER BY f.xid, f.eid)
                    <= CASE WHEN f.main THEN greatest(v_limit - (SELECT count(*) FROM found o WHERE NOT o.main), v_beside) ELSE v_share END AS kept
                FROM found f
            )
            SELECT coalesce(array_agg(p.xid) FILTER (WHERE p.kept), '{}') AS xid, array_agg(p.eid) FILTER (WHERE p.kept) AS eid,
                array_agg(p.class) FILTER (WHERE p.kept) AS class, array_agg(p.job) FILTER (WHERE p.kept) AS job,
                array_agg(p.seq) FILTER (WHERE p.kept) AS seq, sum(p.weight) FILTER (WHERE p.kept) AS weight,
                (array_agg(p.xid ORDER BY p.xid DESC) FILTER (WHERE p.main AND p.kept))[1] AS last,
                (array_agg(p.xid) FILTER (WHERE p.main AND NOT p.kept))[1] AS next,
                array_agg(p.xid) FILTER (WHERE NOT p.kept) AS cut
            INTO k FROM (SELECT * FROM placed ORDER BY eid) p;
            EXIT WHEN k.weight IS NULL OR k.weight <= v_most OR v_limit = 1;
            v_limit := greatest(least(v_limit - 1, (v_limit * v_most / k.weight)::int), 1);
        END LOOP;

        v_xmax := CASE WHEN k.next IS NULL THEN v_until WHEN k.last IS NULL THEN pg_snapshot_xmax(c.since)
            ELSE (k.last::text::bigint + 1)::text::xid8 END;
        SELECT coalesce(array_agg(x), '{}'), coalesce(array_agg(upto), '{}') INTO v_partial, v_read FROM (
            SELECT x, (SELECT max(f.eid) FROM unnest(k.xid, k.eid) f (xid, eid) WHERE f.xid = x) AS upto
            FROM unnest(k.cut) x WHERE x < v_xmax) p;
        cursor := await.relay_cursor_text(v_floor, v_xmax, v_running, v_partial, v_read);
        IF k.cut IS NOT NULL THEN
            SELECT array_agg(w.n::int) INTO v_blocked
            FROM unnest(k.class, k.job, k.seq) WITH ORDINALITY w (class, job, seq, n) CROSS JOIN LATERAL (
                (SELECT e.xid, e.eid FROM await.event e WHERE w.seq > 2 AND e.class = w.class AND e.job = w.job AND e.seq = w.seq - 1 LIMIT 1)
                UNION ALL
                (SELECT j.xid, j.eid FROM await.job j WHERE w.seq = 2 AND w.job < v_topics AND j.class = w.class AND j.id = w.job LIMIT 1)
            ) p
            WHERE w.seq > 1 AND p.eid > v_floor AND NOT pg_visible_in_snapshot(p.xid, split_part(cursor, '|', 2)::pg_snapshot)
              AND NOT EXISTS (SELECT FROM unnest(v_partial, v_read) q (x, upto) WHERE q.x = p.xid AND p.eid <= q.upto);
        END IF;
        complete := k.cut IS NULL;
        EXIT WHEN v_blocked IS NULL;
        SELECT s.ready, s.stuck || r.x, s.upto || r.upto INTO v_ready, v_partial, v_read
        FROM await.relay_sort_out(v_blocked, k.xid, k.eid, k.job, v_open, v_upto) s, LATERAL (
            SELECT coalesce(array_agg(p.x), '{}') AS x, coalesce(array_agg(p.upto), '{}') AS upto
            FROM unnest(v_partial, v_read) p (x, upto) WHERE p.x <> ALL (s.stuck)) r;
        cursor := await.relay_cursor_text(v_floor, v_xmax, v_running, v_partial, v_read);
        EXIT WHEN v_beside = 1 OR v_ready <> '{}';
        v_beside := 1;
        v_blocked := NULL;
        v_ready := NULL;
    END LOOP;

    RETURN QUERY
    SELECT cursor, complete, f.job, f.seq, f.eid, coalesce(e.type, 'pending'), coalesce(e.state, 'pending'), coalesce(e.attempt, 0::int2),
        coalesce(e.at, j.created_at), q.name, j.owner, j.batch, j.phase, j.correlation_id, j.trace, e.data, e.status, e.content_type,
        e.file_name, e.size, e.value, CASE WHEN cardinality(k.eid) <= p_hints THEN
            ARRAY(SELECT t FROM await.hint(f.job, f.seq) h, unnest(ARRAY[h.channel, h.message]) t) END
    FROM unnest(k.xid, k.eid, k.class, k.job, k.seq) WITH ORDINALITY f (xid, eid, class, job, seq, n)
    CROSS JOIN LATERAL (SELECT * FROM await.job j WHERE j.class = f.class AND j.id = f.job LIMIT 1) j
    LEFT JOIN LATERAL (SELECT e.type, e.state, e.attempt, e.at, e.data::text AS data, e.status, e.content_type, e.file_name, e.size,
            CASE WHEN e.size <= p_value_max AND await.is_json(e.content_type) THEN e.body END AS value
        FROM await.event e WHERE f.seq > 1 AND e.class = f.class AND e.job = f.job AND e.seq = f.seq LIMIT 1) e ON true
    LEFT JOIN await.queue q ON q.id = j.queue
    WHERE v_ready IS NULL OR f.n::int = ANY (v_ready)
    ORDER BY f.n;
    IF NOT FOUND THEN
        RETURN NEXT;
    END IF;
END $$;
