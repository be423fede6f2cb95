-- The upper bounds of the buckets of all histograms, in seconds. One more bucket has what is longer.
CREATE OR REPLACE FUNCTION await.buckets() RETURNS float8[]
LANGUAGE sql IMMUTABLE
AS $$ SELECT ARRAY[0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 3600]::float8[] $$;

-- Adds durations in seconds to a histogram. NULL: one without counts.
CREATE OR REPLACE FUNCTION await.add_to_histogram(p_counts bigint[], p_seconds float8[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(coalesce(p_counts[b + 1], 0) + coalesce(s.n, 0) ORDER BY b)
    FROM generate_series(0, cardinality(await.buckets())) b
    LEFT JOIN (SELECT width_bucket(x, await.buckets()) AS bucket, count(*) AS n FROM unnest(p_seconds) x GROUP BY 1) s ON s.bucket = b
$$;

-- Jobs a second, of late: `n` since p_since, and p_rate until p_rate_at. What was half a minute ago counts for about a third.
CREATE OR REPLACE FUNCTION await.blend(p_rate float8, n int, p_since timestamptz, p_rate_at timestamptz) RETURNS float8
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN p_rate_at IS NULL THEN n / b.seconds
                ELSE p_rate * exp(-least(b.seconds + b.idle, 600) / 30) + n / b.seconds * (1 - exp(-least(b.seconds, 600) / 30)) END
    FROM (SELECT greatest(extract(epoch FROM clock_timestamp() - p_since), 1)::float8 AS seconds,
                 greatest(extract(epoch FROM p_since - coalesce(p_rate_at, p_since)), 0)::float8 AS idle) b
$$;

-- Adds the events since the last call to await.queue_count, unless it was called less than p_every ago, or another session does it
-- now. The events of at most p_most transactions: the rest is left for the next call. After an hour without a call it starts anew from
-- now. Returns whether there is more.
CREATE OR REPLACE FUNCTION await.count_events(p_every interval DEFAULT '5 seconds', p_most int DEFAULT 50000) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    last   await.counted;
    now_   CONSTANT pg_snapshot := pg_current_snapshot();
    server CONSTANT bigint := (SELECT s.system_identifier FROM pg_control_system() s);
    low    bigint;                           -- transactions from here on, and below `high`
    high   bigint;
    seen   pg_snapshot := now_;
BEGIN
    SELECT * INTO last FROM await.counted c FOR UPDATE SKIP LOCKED;
    IF last.at IS NULL OR last.at > clock_timestamp() - p_every AND last.at <= clock_timestamp() THEN
        RETURN false;
    END IF;
    low := pg_snapshot_xmax(last.upto)::text::bigint;
    high := pg_snapshot_xmax(now_)::text::bigint;
    -- a restored dump has the snapshot of another server
    IF last.system <> server OR low > high OR last.at < clock_timestamp() - interval '1 hour' THEN
        UPDATE await.counted c SET upto = now_, at = clock_timestamp(), system = server;
        RETURN false;
    END IF;
    IF high - low > p_most THEN              -- what was seen when `high` was the next transaction, as far as it has ended
        high := low + p_most;
        seen := format('%s:%s:%s', least(pg_snapshot_xmin(now_)::text::bigint, high), high,
            (SELECT string_agg(x::text, ',' ORDER BY x::text::bigint) FROM pg_snapshot_xip(now_) x WHERE x::text::bigint < high))::pg_snapshot;
    END IF;

    WITH fresh AS MATERIALIZED (
        SELECT e.class, e.job, e.seq, e.type, e.state, e.at, e.ending, e.data FROM await.event e
        WHERE e.xid >= low::text::xid8 AND e.xid < high::text::xid8 AND (e.ending OR e.type IN ('processing', 'pending'))
          AND pg_visible_in_snapshot(e.xid, seen)
        UNION ALL
        SELECT e.class, e.job, e.seq, e.type, e.state, e.at, e.ending, e.data FROM pg_snapshot_xip(last.upto) x JOIN await.event e ON e.xid = x
        WHERE (e.ending OR e.type IN ('processing', 'pending')) AND pg_visible_in_snapshot(x, seen)
    ), timed AS MATERIALIZED (
        SELECT j.queue, f.type, f.ending, f.state,
            f.type = 'pending' AND NOT coalesce(f.data ? 'released', false) AS retried, -- one that was given back has not failed
            CASE WHEN f.type = 'processing' THEN f.at - coalesce((p.data ->> 'retry_at')::timestamptz, greatest(j.created_at, j.due)) END AS wait,
            CASE WHEN f.type <> 'processing' AND p.type = 'processing' THEN f.at - p.at END AS run,
            CASE WHEN f.ending THEN f.at - j.created_at END AS total
        FROM fresh f JOIN await.job j ON j.class = f.class AND j.id = f.job
        LEFT JOIN LATERAL (SELECT e.type, e.at, e.data FROM await.event e
                           WHERE e.class = f.class AND e.job = f.job AND e.seq < f.seq AND e.type IN ('processing', 'pending')
                           ORDER BY e.seq DESC LIMIT 1) p ON true
    ), seconds AS (                          -- clocks may have stepped
        SELECT t.*, greatest(extract(epoch FROM t.wait), 0)::float8 AS wait_s, greatest(extract(epoch FROM t.run), 0)::float8 AS run_s,
            greatest(extract(epoch FROM t.total), 0)::float8 AS total_s FROM timed t
    ), added AS (
        SELECT s.queue, count(*) FILTER (WHERE s.ending AND s.state = 'completed') AS completed,
            count(*) FILTER (WHERE s.ending AND s.state = 'failed') AS failed,
            count(*) FILTER (WHERE s.ending AND s.state = 'cancelled') AS cancelled,
            count(*) FILTER (WHERE s.ending AND s.state = 'expired') AS expired,
            count(*) FILTER (WHERE s.retried) AS retries,
            array_agg(s.wait_s) FILTER (WHERE s.wait IS NOT NULL) AS waits, coalesce(sum(s.wait_s) FILTER (WHERE s.wait IS NOT NULL), 0) AS wait_sum,
            array_agg(s.run_s) FILTER (WHERE s.run IS NOT NULL) AS runs, coalesce(sum(s.run_s) FILTER (WHERE s.run IS NOT NULL), 0) AS run_sum,
            array_agg(s.total_s) FILTER (WHERE s.total IS NOT NULL) AS totals, coalesce(sum(s.total_s) FILTER (WHERE s.total IS NOT NULL), 0) AS total_sum
        FROM seconds s GROUP BY s.queue
    )
    INSERT INTO await.queue_count AS c (queue, completed, failed, cancelled, expired, retries, waits, wait_sum, runs, run_sum, totals, total_sum,
        rate, rate_at)
    SELECT a.queue, coalesce(o.completed, 0) + a.completed, coalesce(o.failed, 0) + a.failed, coalesce(o.cancelled, 0) + a.cancelled,
        coalesce(o.expired, 0) + a.expired, coalesce(o.retries, 0) + a.retries,
        await.add_to_histogram(o.waits, a.waits), coalesce(o.wait_sum, 0) + a.wait_sum,
        await.add_to_histogram(o.runs, a.runs), coalesce(o.run_sum, 0) + a.run_sum,
        await.add_to_histogram(o.totals, a.totals), coalesce(o.total_sum, 0) + a.total_sum,
        await.blend(o.rate, coalesce(cardinality(a.waits), 0), last.at, o.rate_at), clock_timestamp()
    FROM added a LEFT JOIN await.queue_count o ON o.queue = a.queue
    WHERE EXISTS (SELECT FROM await.queue q WHERE q.id = a.queue)
    ON CONFLICT (queue) DO UPDATE SET completed = excluded.completed, failed = excluded.failed, cancelled = excluded.cancelled,
        expired = excluded.expired, retries = excluded.retries, waits = excluded.waits, wait_sum = excluded.wait_sum, runs = excluded.runs,
        run_sum = excluded.run_sum, totals = excluded.totals, total_sum = excluded.total_sum,
        rate = excluded.rate, rate_at = excluded.rate_at;

    IF random() < 0.01 THEN                  -- of queues that were deleted
        DELETE FROM await.queue_count c WHERE NOT EXISTS (SELECT FROM await.queue q WHERE q.id = c.queue);
    END IF;
    UPDATE await.counted c SET upto = seen, at = clock_timestamp();
    RETURN high < pg_snapshot_xmax(now_)::text::bigint;
END $$;
