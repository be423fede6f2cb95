-- One page of a list of jobs or batches, newest first. It is read along an index from a position, so neither how far a
-- page is from the first nor how many jobs there are makes it slower. The position is the last job that was looked at,
-- by its id and its eid: no job is shown twice, whatever is inserted, and partitions may be dropped between two pages.
--
-- Which index is read depends on the filters (await.list_way). What the index does not know is tested job by job, of
-- 2,000 jobs a page at most. So a page may have fewer jobs than were asked for, or none, and still be followed by
-- another one.

-- The eid below which all jobs lie that were created before `p_at`. Numbers are drawn in the order of time, but for
-- the moment that a statement takes: five seconds are left for that. The clock of an id is that of the submission,
-- which is earlier.
CREATE OR REPLACE FUNCTION await.eid_before(p_at timestamptz) RETURNS int8
LANGUAGE sql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
    SELECT min(f.eid) FROM (VALUES (0::int2), (1::int2), (2::int2), (3::int2)) c (class)
    CROSS JOIN LATERAL (SELECT j.eid FROM await.job j
                        WHERE j.class = c.class AND j.id >= await.floor_id(p_at + interval '5 seconds')
                          AND j.id < 'ffffffff-0000-0000-0000-000000000000'
                        ORDER BY j.class, j.id LIMIT 1) f
$$;

-- The eid above which all jobs lie that were created at `p_at` or later. Of the jobs that were submitted before, one
-- whose payload took long to arrive may have been created later, so several are looked at.
CREATE OR REPLACE FUNCTION await.eid_since(p_at timestamptz) RETURNS int8
LANGUAGE sql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
    SELECT max(f.eid) FROM (VALUES (0::int2), (1::int2), (2::int2), (3::int2)) c (class)
    CROSS JOIN LATERAL (SELECT j.eid, j.created_at FROM await.job j
                        WHERE j.class = c.class AND j.id < await.floor_id(p_at - interval '5 seconds')
                        ORDER BY j.class DESC, j.id DESC LIMIT 20) f
    WHERE f.created_at < p_at - interval '5 seconds'
$$;

-- The jobs that wait for a worker, or have one if `p_leased`, as long as they are few: NULL if there are more than
-- p_most.
CREATE OR REPLACE FUNCTION await.few_open(p_leased boolean, p_most int) RETURNS uuid[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    lanes bigint[] := ARRAY(SELECT m.lane FROM await.lane_in_use m ORDER BY m.lane LIMIT p_most + 1);
    jobs  uuid[];
BEGIN
    IF cardinality(lanes) > p_most THEN
        RETURN NULL;
    END IF;
    -- behind the marks of their lanes, as await.claim() reads them: below may lie what was deleted
    SELECT array_agg(u.job) INTO jobs FROM (
        SELECT w.job FROM (
            (SELECT r.job FROM unnest(lanes) l (lane)
             CROSS JOIN LATERAL (SELECT r.job FROM await.ready r
                                 WHERE r.lane = l.lane AND r.pos >= coalesce((
                                     SELECT w.pos FROM await.low_water w WHERE w.lane = l.lane
                                     ORDER BY w.lane DESC, w.pos DESC LIMIT 1), 0)
                                 ORDER BY r.lane, r.pos LIMIT p_most + 1) r
             LIMIT p_most + 1)
            UNION ALL
            (SELECT h.job FROM await.held h ORDER BY h.lane, h.owner, h.pos LIMIT p_most + 1)
            UNION ALL
            (SELECT d.job FROM await.delayed d ORDER BY d.due LIMIT p_most + 1)
            UNION ALL
            (SELECT l.job FROM await.lease l WHERE p_leased LIMIT p_most + 1)
        ) w LIMIT p_most + 1
    ) u;
    RETURN CASE WHEN coalesce(cardinality(jobs), 0) <= p_most THEN coalesce(jobs, '{}') END;
END $$;

-- By which index a list is read:
--   'batches' batches; they are rows of await.job, too
--   'batch'  the jobs of a batch
--   'lost'   those that failed, were cancelled or expired
--   'leased' those that a worker has
--   'open'   those that wait, while they are few: all of them are looked at
--   'owner'  an owner's, in the order in which they were stored
--   'all'    in the order of their ids
CREATE OR REPLACE FUNCTION await.list_way(p_owner text, p_states text[], p_batch uuid, p_batches boolean) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN p_batches THEN 'batches'
                WHEN p_batch IS NOT NULL THEN 'batch'
                WHEN p_states <@ '{failed,cancelled,expired}' THEN 'lost'
                WHEN p_states <@ '{processing}' THEN 'leased'
                WHEN p_states <@ '{pending,processing}' THEN 'open'
                WHEN p_owner IS NOT NULL THEN 'owner'
                ELSE 'all' END
$$;

-- The next jobs that failed, were cancelled or expired, each state by its own part of the index.
CREATE OR REPLACE FUNCTION await.list_lost(p_owner text, p_states text[], p_id uuid, p_from_id uuid, p_limit int)
RETURNS TABLE (job uuid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_incremental_sort = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    IF p_owner IS NULL THEN
        RETURN QUERY SELECT u.job FROM (
            (SELECT e.job FROM await.event e
             WHERE e.ending AND e.state = 'failed' AND 'failed' = ANY (p_states)
               AND e.job < p_id AND e.job >= p_from_id
             ORDER BY e.job DESC LIMIT p_limit)
            UNION ALL
            (SELECT e.job FROM await.event e
             WHERE e.ending AND e.state = 'cancelled' AND 'cancelled' = ANY (p_states)
               AND e.job < p_id AND e.job >= p_from_id
             ORDER BY e.job DESC LIMIT p_limit)
            UNION ALL
            (SELECT e.job FROM await.event e
             WHERE e.ending AND e.state = 'expired' AND 'expired' = ANY (p_states)
               AND e.job < p_id AND e.job >= p_from_id
             ORDER BY e.job DESC LIMIT p_limit)
        ) u ORDER BY u.job DESC LIMIT p_limit;
    ELSE
        RETURN QUERY SELECT u.job FROM (
            (SELECT e.job FROM await.event e
             WHERE e.ending AND e.state = 'failed' AND e.owner = p_owner
               AND 'failed' = ANY (p_states) AND e.job < p_id AND e.job >= p_from_id
             ORDER BY e.job DESC LIMIT p_limit)
            UNION ALL
            (SELECT e.job FROM await.event e
             WHERE e.ending AND e.state = 'cancelled' AND e.owner = p_owner
               AND 'cancelled' = ANY (p_states) AND e.job < p_id AND e.job >= p_from_id
             ORDER BY e.job DESC LIMIT p_limit)
            UNION ALL
            (SELECT e.job FROM await.event e
             WHERE e.ending AND e.state = 'expired' AND e.owner = p_owner
               AND 'expired' = ANY (p_states) AND e.job < p_id AND e.job >= p_from_id
             ORDER BY e.job DESC LIMIT p_limit)
        ) u ORDER BY u.job DESC LIMIT p_limit;
    END IF;
END $$;

-- The next p_limit jobs of one of these ways, below a position, in descending order: by eid for 'owner', by id for all
-- others. Sorting is disabled, so that each branch is read in the order of its index, and no further than needed.
CREATE OR REPLACE FUNCTION await.list_walk(p_way text, p_owner text, p_states text[], p_batch uuid, p_jobs uuid[],
    p_id uuid, p_eid int8, p_from_id uuid, p_from_eid int8, p_limit int)
RETURNS TABLE (id uuid, eid int8, owner text, queue int4, created_at timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_incremental_sort = off
SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    CASE p_way
    WHEN 'owner' THEN
        RETURN QUERY SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
            WHERE j.owner = p_owner AND j.eid < p_eid AND j.eid > p_from_eid
              AND j.id < 'ffffffff-0000-0000-0000-000000000000'
            ORDER BY j.eid DESC LIMIT p_limit;
    WHEN 'all' THEN
        RETURN QUERY SELECT u.id, u.eid, u.owner, u.queue, u.created_at FROM (
            (SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
             WHERE j.class = 0 AND j.id < p_id AND j.id >= p_from_id ORDER BY j.id DESC LIMIT p_limit)
            UNION ALL
            (SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
             WHERE j.class = 1 AND j.id < p_id AND j.id >= p_from_id ORDER BY j.id DESC LIMIT p_limit)
            UNION ALL
            (SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
             WHERE j.class = 2 AND j.id < p_id AND j.id >= p_from_id ORDER BY j.id DESC LIMIT p_limit)
            UNION ALL
            (SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
             WHERE j.class = 3 AND j.id < p_id AND j.id >= p_from_id ORDER BY j.id DESC LIMIT p_limit)
        ) u ORDER BY u.id DESC LIMIT p_limit;
    WHEN 'batch' THEN
        RETURN QUERY SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
            WHERE j.class = await.class(p_batch) AND j.batch = p_batch AND j.id < p_id AND j.id >= p_from_id
            ORDER BY j.id DESC LIMIT p_limit;
    WHEN 'batches' THEN
        IF p_owner IS NULL THEN
            RETURN QUERY SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
                WHERE j.extra IS NOT NULL AND j.id < p_id AND j.id >= p_from_id ORDER BY j.id DESC LIMIT p_limit;
        ELSE
            RETURN QUERY SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
                WHERE j.extra IS NOT NULL AND j.owner = p_owner AND j.id < p_id AND j.id >= p_from_id
                ORDER BY j.id DESC LIMIT p_limit;
        END IF;
    WHEN 'leased' THEN
        RETURN QUERY SELECT l.job, j.eid, j.owner, j.queue, j.created_at
            FROM (SELECT l.job FROM await.lease l WHERE l.job < p_id AND l.job >= p_from_id
                  ORDER BY l.job DESC LIMIT p_limit) l
            LEFT JOIN await.job j ON j.class = await.class(l.job) AND j.id = l.job;
    WHEN 'lost' THEN                         -- the partition of a job may be dropped before that of its events
        RETURN QUERY SELECT l.job, j.eid, j.owner, j.queue, j.created_at
            FROM await.list_lost(p_owner, p_states, p_id, p_from_id, p_limit) l
            LEFT JOIN await.job j ON j.class = await.class(l.job) AND j.id = l.job;
    WHEN 'open' THEN
        RETURN QUERY SELECT k.id, j.eid, j.owner, j.queue, j.created_at
            FROM unnest(p_jobs) WITH ORDINALITY k (id, n)
            JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
            WHERE k.id < p_id AND k.id >= p_from_id ORDER BY k.n LIMIT p_limit;
    END CASE;
END $$;

-- A page of at most p_limit jobs (up to 200), or batches if `p_batches`, of those with all of these properties; NULL:
-- any. `p_id` and `p_eid`: the position, NULL for the first page. `next_id` and `next_eid`: that of the next page;
-- NULL: this one was the last.
CREATE OR REPLACE FUNCTION await.list_page(p_owner text, p_queue text, p_states text[], p_batch uuid,
    p_since timestamptz, p_until timestamptz, p_id uuid, p_eid int8, p_limit int,
    p_batches boolean, OUT ids uuid[], OUT eids int8[], OUT next_id uuid, OUT next_eid int8)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    v_most  CONSTANT int := 2000;            -- jobs that are looked at for a page
    v_way   text := await.list_way(p_owner, p_states, p_batch, p_batches);
    v_queue int4;
    v_tests boolean := p_states IS NOT NULL; -- whether the newest event of each job has to be read
    v_jobs  uuid[];
    v_from_id  uuid := '00000000-0000-0000-0000-000000000000';
    v_from_eid int8 := 0;
    v_until_id uuid;
    v_seen  int := 0;
    v_step  int := p_limit + 1;              -- one more tells whether there is a next page
    c       record;
BEGIN
    ids := '{}';
    eids := '{}';
    IF p_queue IS NOT NULL THEN
        SELECT q.id INTO v_queue FROM await.queue q WHERE q.name = p_queue;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    IF v_way = 'batch' AND EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_batch) AND j.id = p_batch
                                   AND j.owner IS DISTINCT FROM coalesce(p_owner, j.owner)) THEN
        RETURN;                              -- another owner's: its size and its jobs' ids are not for this one
    END IF;
    IF v_way = 'open' THEN
        v_jobs := await.few_open('processing' = ANY (p_states), v_most);
        IF v_jobs IS NULL THEN
            v_way := CASE WHEN p_owner IS NULL THEN 'all' ELSE 'owner' END;
        ELSE
            SELECT array_agg(DISTINCT k ORDER BY k DESC) INTO v_jobs FROM unnest(v_jobs) k;
        END IF;
    END IF;
    IF p_since > 'epoch'::timestamptz + interval '10 minutes' THEN -- ids have no earlier times
        v_from_id := await.floor_id(least(p_since, '9000-01-01') - interval '10 minutes');
    END IF;
    IF p_until IS NOT NULL THEN
        p_until := greatest(p_until, 'epoch');
        v_until_id := await.floor_id(least(p_until, '9000-01-01') + interval '5 seconds');
    END IF;
    -- the topics' ids are above those of all jobs
    p_id := least(coalesce(p_id, 'ffffffff-0000-0000-0000-000000000000'),
                  v_until_id);
    p_eid := coalesce(p_eid, 9223372036854775807);
    IF v_way = 'owner' AND p_until IS NOT NULL THEN
        p_eid := least(p_eid, await.eid_before(least(p_until, '9000-01-01')));
    END IF;
    IF v_way = 'owner' AND p_since > 'epoch'::timestamptz + interval '10 minutes' THEN
        v_from_eid := coalesce(await.eid_since(greatest(least(p_since, '9000-01-01'), 'epoch')), 0);
    END IF;
    LOOP
        SELECT count(*) AS n, array_agg(w.id ORDER BY w.n) FILTER (WHERE w.fits) AS ids,
               array_agg(w.eid ORDER BY w.n) FILTER (WHERE w.fits) AS eids,
               (array_agg(w.id ORDER BY w.n DESC))[1] AS last_id,
               (array_agg(w.eid ORDER BY w.n DESC))[1] AS last_eid
            INTO c
            FROM (SELECT w.id, w.eid, w.n,
                         await.is_batch(w.id) = p_batches
                         AND w.queue = coalesce(v_queue, w.queue)
                         AND w.owner IS NOT DISTINCT FROM coalesce(p_owner, w.owner)
                         AND w.created_at >= coalesce(p_since, w.created_at)
                         AND (p_until IS NULL OR w.created_at < p_until)
                         AND (NOT v_tests OR coalesce(e.state, 'pending') = ANY (p_states)) AS fits
                  FROM await.list_walk(v_way, p_owner, p_states, p_batch, v_jobs, p_id, p_eid, v_from_id, v_from_eid,
                                       v_step) WITH ORDINALITY w (id, eid, owner, queue, created_at, n)
                  LEFT JOIN LATERAL (SELECT e.state FROM await.event e
                                     WHERE v_tests AND e.class = await.class(w.id) AND e.job = w.id
                                     ORDER BY e.seq DESC LIMIT 1) e ON true
                 ) w;
        ids := ids || coalesce(c.ids, '{}');
        eids := eids || coalesce(c.eids, '{}');
        IF cardinality(ids) > p_limit THEN
            ids := ids[:p_limit];
            eids := eids[:p_limit];
            next_id := ids[p_limit];
            next_eid := eids[p_limit];
            RETURN;
        END IF;
        v_seen := v_seen + c.n;
        IF c.n < v_step THEN
            RETURN;                          -- that was all
        END IF;
        p_id := c.last_id;
        p_eid := coalesce(c.last_eid, p_eid);
        IF v_seen >= v_most THEN
            next_id := p_id;
            next_eid := p_eid;
            RETURN;
        END IF;
        v_step := least(500, v_most - v_seen);
    END LOOP;
END $$;
