-- The failures for the console, grouped by queue and error: of the newest 1,000 jobs that failed (`looked`: how many
-- these are) those in the queue `queue` (`found`), or all. Groups: 100 at most.
CREATE OR REPLACE FUNCTION await.console_failures(p jsonb) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_queue CONSTANT int4 := (SELECT q.id FROM await.queue q WHERE q.name = p ->> 'queue');
    out     json;
BEGIN
    WITH newest AS MATERIALIZED (
        SELECT l.job, l.at, l.data, j.queue FROM (
            SELECT e.class, e.job, e.at, e.data FROM await.event e WHERE e.ending AND e.state = 'failed'
            ORDER BY e.job DESC LIMIT 1000) l
        JOIN await.job j ON j.class = l.class AND j.id = l.job
        WHERE NOT await.is_batch(l.job)
    ), lost AS (
        SELECT * FROM newest n WHERE p ->> 'queue' IS NULL OR n.queue = v_queue
    ), groups AS (
        SELECT l.queue, left(l.data ->> 'type', 200) AS type, left(l.data ->> 'title', 200) AS title, count(*) AS n,
            min(l.at) AS first, max(l.at) AS last, (array_agg(l.job ORDER BY l.at DESC))[:100] AS jobs,
            (array_agg(left(l.data ->> 'detail', 300) ORDER BY l.at DESC))[1] AS detail,
            count(*) FILTER (WHERE EXISTS (SELECT FROM await.retried r
                                           WHERE r.class = await.class(l.job) AND r.job = l.job)) AS retried
        FROM lost l GROUP BY 1, 2, 3 ORDER BY 4 DESC, 6 DESC LIMIT 100
    )
    SELECT json_build_object('looked', (SELECT count(*) FROM newest), 'found', (SELECT count(*) FROM lost), 'groups', coalesce((
        SELECT json_agg(json_build_object('queue', q.name, 'type', g.type, 'title', g.title, 'detail', g.detail,
            'count', g.n, 'retried', g.retried, 'first', await.utc(g.first), 'last', await.utc(g.last), 'jobs', g.jobs)
            ORDER BY g.n DESC, g.last DESC)
        FROM groups g JOIN await.queue q ON q.id = g.queue), '[]')) INTO out;
    RETURN out::text;
END $$;
