-- A queue as the console shows it. `p_running`: how many of its jobs workers have. What waits for its time, or behind
-- others of its owner, is counted up to 1,000.
CREATE OR REPLACE FUNCTION await.console_queue(p_queue int4, p_running bigint) RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    most  CONSTANT int := 1000;
    lanes CONSTANT bigint := p_queue::bigint << 8;
    q     await.queue;
    c     await.queue_count;
    d     record;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = p_queue;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT * INTO c FROM await.queue_count k WHERE k.queue = p_queue;
    SELECT * INTO d FROM await.console_depth(p_queue, most);
    RETURN json_build_object('queue', q.name, 'paused', q.paused, 'ready', d.ready, 'about', d.about,
        'delayed', (SELECT count(*) FROM (SELECT FROM await.delayed y WHERE y.lane >= lanes AND y.lane < lanes + 256
                                          LIMIT most) x),
        'held', (SELECT count(*) FROM (SELECT FROM await.held y WHERE y.lane >= lanes AND y.lane < lanes + 256
                                       LIMIT most) x),
        'running', p_running, 'max_running', q.max_running,
        'oldest', CASE WHEN d.since IS NOT NULL
            THEN round(greatest(extract(epoch FROM clock_timestamp() - d.since), 0)::numeric, 3) END,
        'rate', round(await.queue_rate(q.id)::numeric, 3),
        'completed', coalesce(c.completed, 0), 'failed', coalesce(c.failed, 0), 'cancelled', coalesce(c.cancelled, 0),
        'expired', coalesce(c.expired, 0), 'retries', coalesce(c.retries, 0));
END $$;
