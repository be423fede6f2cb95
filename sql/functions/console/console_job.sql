-- A job for the console, with what has happened to it, as JSON; NULL: there is no such job. The newest 200 events, each
-- with up to 4 KB of its data; neither payload nor result. `nodes`: those that have been asked about it, how many of their
-- clients watch it, how many follow all jobs of its owner, and what they were sent of late (await.edge_report).
CREATE OR REPLACE FUNCTION await.console_job(p jsonb) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_id CONSTANT uuid := p ->> 'id';
    v_class CONSTANT int2 := await.class(v_id);
    j    await.job;
    d    record;
    q    text;
BEGIN
    SELECT * INTO j FROM await.job y WHERE y.class = v_class AND y.id = v_id;
    SELECT k.name INTO q FROM await.queue k WHERE k.id = j.queue;
    IF j.id IS NULL OR j.id >= 'ffffffff-0000-0000-0000-000000000000' THEN
        RETURN NULL;                         -- topics are no jobs
    END IF;
    SELECT * INTO d FROM await.edge_jobs(ARRAY[v_id], ARRAY[0::int2], 0);
    RETURN json_build_object('id', j.id, 'queue', q, 'owner', j.owner, 'state', d.state, 'attempt', d.attempt,
        'max_attempts', coalesce(j.max_attempts, (SELECT k.max_attempts FROM await.queue k WHERE k.id = j.queue)),
        'priority', j.priority, 'batch', j.batch, 'phase', j.phase, 'is_batch', await.is_batch(j.id),
        'correlation_id', j.correlation_id, 'content_type', j.content_type, 'file_name', j.file_name,
        'payload_size', j.payload_size, 'params', left(j.params::text, 4096), 'progress', left(d.progress, 4096),
        'created_at', await.utc(j.created_at), 'updated_at', await.utc(d.updated_at), 'due', await.utc(j.due),
        'deadline', await.utc(j.deadline), 'retry_of', j.retry_of,
        'retried_by', (SELECT r.retry FROM await.retried r WHERE r.class = v_class AND r.job = v_id),
        'result', CASE WHEN d.status IS NOT NULL THEN json_build_object('status', d.status, 'size', d.size,
            'content_type', d.content_type, 'file_name', d.file_name) END,
        'lease', (SELECT json_build_object('worker', left(l.worker, 200), 'until', await.utc(l.until), 'attempt', l.attempt)
                  FROM await.lease l WHERE l.job = v_id),
        'seq', d.seq,
        'events', (SELECT coalesce(json_agg(json_build_object('seq', e.seq, 'type', e.type, 'state', e.state,
                'attempt', e.attempt, 'at', await.utc(e.at), 'data', left(e.data::text, 4096)) ORDER BY e.seq), '[]')
            FROM (SELECT v.seq, v.type, v.state, v.attempt, v.at, v.data FROM await.event v
                  WHERE v.class = v_class AND v.job = v_id ORDER BY v.seq DESC LIMIT 200) e),
        'deliveries', (SELECT coalesce(json_agg(l.document::json), '[]')
                       FROM await.list_deliveries(NULL, NULL, v_id, NULL, NULL, 50) l WHERE l.document IS NOT NULL),
        'nodes', (SELECT coalesce(json_agg(json_build_object('node', n.name, 'watching', k.job -> 'watching',
                        'following', coalesce((n.report #> ARRAY['jobs', await.user_id(j.owner)::text, 'watching'])::int8, 0),
                        'sent', k.job -> 'sent') ORDER BY n.name, n.id), '[]')
                  FROM await.edge_node n JOIN LATERAL (SELECT n.report #> ARRAY['jobs', v_id::text]) k (job) ON k.job IS NOT NULL
                  WHERE n.at > clock_timestamp() - interval '10 seconds'))::text;
END $$;
