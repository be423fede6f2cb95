-- How many jobs of a batch that is not ready are in which state, of all and of each phase: {"total", "done", "open",
-- "completed", "failed", "cancelled", "expired", "phases": {<name>: the same}}. "done" have ended. By the snapshot of
-- the caller's statement, which must be that by which the batch is not ready: when it is, its rows are gone.
CREATE OR REPLACE FUNCTION await.batch_totals(p_batch uuid) RETURNS jsonb
LANGUAGE sql STABLE
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
    WITH counted AS MATERIALIZED (
        SELECT c.phase, sum(c.added) AS total, sum(c.opened) AS open, sum(c.failed) AS failed,
               sum(c.cancelled) AS cancelled, sum(c.expired) AS expired
        FROM (SELECT a.phase, a.jobs AS added, 0 AS opened, 0 AS failed, 0 AS cancelled, 0 AS expired
              FROM await.batch_added a WHERE a.batch = p_batch
              UNION ALL SELECT o.phase, 0, count(*), 0, 0, 0
              FROM await.batch_open o WHERE o.batch = p_batch GROUP BY o.phase
              UNION ALL SELECT l.phase, 0, 0, count(*) FILTER (WHERE l.state = 'failed'),
                               count(*) FILTER (WHERE l.state = 'cancelled'),
                               count(*) FILTER (WHERE l.state = 'expired')
              FROM await.batch_loss l WHERE l.batch = p_batch GROUP BY l.phase) c
        GROUP BY GROUPING SETS ((), (c.phase))
    ), named AS (
        SELECT c.phase, jsonb_build_object('total', coalesce(c.total, 0), 'done', coalesce(c.total - c.open, 0),
                   'open', coalesce(c.open, 0),
                   'completed', coalesce(c.total - c.open - c.failed - c.cancelled - c.expired, 0),
                   'failed', coalesce(c.failed, 0), 'cancelled', coalesce(c.cancelled, 0),
                   'expired', coalesce(c.expired, 0)) AS counts
        FROM counted c
    ), declared AS (
        SELECT jsonb_object_agg(p.name, coalesce(n.counts,
                   '{"total":0,"done":0,"open":0,"completed":0,"failed":0,"cancelled":0,"expired":0}')) AS phases
        FROM await.job j CROSS JOIN LATERAL jsonb_array_elements_text(j.extra -> 'phases') p (name)
        LEFT JOIN named n ON n.phase = p.name
        WHERE j.class = await.class(p_batch) AND j.id = p_batch
    )
    SELECT n.counts || CASE WHEN d.phases IS NULL THEN '{}' ELSE jsonb_build_object('phases', d.phases) END
    FROM (SELECT counts FROM named WHERE phase IS NULL ORDER BY (counts ->> 'total')::int DESC LIMIT 1) n
    CROSS JOIN declared d
$$;
