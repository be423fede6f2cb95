-- Deletes queues and lanes that were created by their use and have no jobs any more. A submitting transaction reads await.queue and
-- await.lane_in_use and so holds a lock on them until its end: behind a lock that excludes it there is no submission under way, and
-- the statement after it sees everything (t/model/queue.pml). That lock is tried for 200 ms only, and only if there is something
-- to delete.
CREATE OR REPLACE FUNCTION await.purge_queues() RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET lock_timeout = '200ms'
AS $$
DECLARE
    today   date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    idle    int4[];
    gone    int4[];
    orphans int4[];                          -- of lanes without a queue
    queues  int;
    lanes   int;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN;
    END IF;
    -- a partition stays as long as a job in it has not ended, and its queues with it
    DELETE FROM await.queue_used u USING await.retention r
        WHERE r.class = u.class AND r.keep IS NOT NULL AND u.day + r.step + r.keep + interval '3 days' < today
          AND NOT await.has_partition('job', u.class, r.step, u.day::timestamp AT TIME ZONE 'UTC');
    -- marks that a newer one of their lane has replaced; without a mark, claims are slower and still correct
    DELETE FROM await.low_water m WHERE m.ctid = ANY (ARRAY(SELECT o.ctid FROM await.low_water o
        WHERE o.lane > 0 AND NOT EXISTS (SELECT FROM await.lane_in_use l WHERE l.lane = o.lane)
           OR EXISTS (SELECT FROM await.low_water n WHERE n.lane = o.lane AND n.pos > o.pos) FOR UPDATE SKIP LOCKED));
    SELECT array_agg(q.id) INTO idle FROM await.queue q
        WHERE NOT q.named AND NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = q.id AND u.day >= today - 1)
          AND (NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = q.id)
               OR EXISTS (SELECT FROM await.lane_in_use l WHERE l.lane >> 8 = q.id));
    SELECT array_agg(DISTINCT (l.lane >> 8)::int4) INTO orphans FROM await.lane_in_use l
        WHERE NOT EXISTS (SELECT FROM await.queue q WHERE q.id = l.lane >> 8);
    IF idle IS NULL AND orphans IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        LOCK TABLE await.queue, await.lane_in_use IN ACCESS EXCLUSIVE MODE;
        SELECT array_agg(q.id) INTO idle FROM await.queue q
            WHERE q.id = ANY (idle) AND NOT q.named AND NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = q.id AND u.day >= today - 1);
        -- their jobs were deleted, so ready rows that are left have no job
        SELECT array_agg(q.id) INTO gone FROM await.queue q
            WHERE q.id = ANY (idle) AND NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = q.id)
              AND (q.lease, q.max_attempts, q.backoff_min, q.backoff_max) = ('5 minutes'::interval, 5, '2 seconds'::interval, '1 hour'::interval)
              AND NOT q.paused AND NOT q.managed;
        DELETE FROM await.queue q WHERE q.id = ANY (gone);
        GET DIAGNOSTICS queues = ROW_COUNT;
        gone := gone || ARRAY(SELECT o.id FROM unnest(orphans) o (id) WHERE NOT EXISTS (SELECT FROM await.queue q WHERE q.id = o.id));
        DELETE FROM await.lane_in_use l USING (SELECT unnest(idle) UNION SELECT unnest(gone)) q (id)
            WHERE l.lane >> 8 = q.id AND (coalesce(q.id = ANY (gone), false) OR NOT EXISTS (
                SELECT FROM await.ready r WHERE r.lane = l.lane
                  AND r.pos >= coalesce((SELECT m.pos FROM await.low_water m WHERE m.lane = l.lane ORDER BY m.pos DESC LIMIT 1), 0)));
        GET DIAGNOSTICS lanes = ROW_COUNT;
        DELETE FROM await.ready r USING unnest(gone) q (id) WHERE r.lane >= q.id::bigint << 8 AND r.lane < (q.id::bigint + 1) << 8;
        DELETE FROM await.held h USING unnest(gone) q (id) WHERE h.lane >= q.id::bigint << 8 AND h.lane < (q.id::bigint + 1) << 8;
        DELETE FROM await.low_water m USING unnest(gone) q (id) WHERE m.lane = -q.id;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        RETURN NEXT 'busy queues';           -- a long reader, or a lock on such a row: the next purge tries again
        RETURN;
    END;
    IF lanes > 0 THEN
        RETURN NEXT format('dropped %s lanes', lanes);
    END IF;
    IF queues > 0 THEN
        RETURN NEXT format('dropped %s queues', queues);
    END IF;
END $$;
