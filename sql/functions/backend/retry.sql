-- Runs an ended job once more, as a new job, which is in no batch. Returns the new id; NULL if the old job is unknown or has not ended.
CREATE OR REPLACE FUNCTION await.retry(id uuid) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    h   await.job_head := await.lock_job(retry.id);
    k   int2 := await.class(retry.id);
    new uuid := await.new_id(k);
BEGIN
    IF h.ended IS DISTINCT FROM true OR await.is_batch(retry.id) OR h.id >= 'ffffffff-0000-0000-0000-000000000000' THEN
        RETURN NULL;                         -- topics are no jobs
    END IF;
    PERFORM await.need_partitions(k), await.note_use(h.queue, k);
    INSERT INTO await.job (class, id, queue, priority, owner, phase, correlation_id, trace, content_type, file_name,
                           params, payload, payload_size, lease, max_attempts, retry_of, extra, webhook)
        SELECT k, new, j.queue, j.priority, j.owner, j.phase, j.correlation_id, j.trace, j.content_type, j.file_name,
               j.params, j.payload, j.payload_size, j.lease, j.max_attempts, j.id, j.extra, j.webhook
        FROM await.job j WHERE j.class = k AND j.id = retry.id;
    INSERT INTO await.chunk (class, job, kind, attempt, n, pos, bytes)
        SELECT k, new, c.kind, c.attempt, c.n, c.pos, c.bytes FROM await.chunk c
        WHERE c.class = k AND c.job = retry.id AND c.kind = 'p' AND c.attempt = 0;
    PERFORM await.enqueue(new, h.queue, h.priority, 1::int2);
    IF h.owner IS NOT NULL AND await.notifies() THEN
        PERFORM await.notify_work(NULL, ARRAY[h.owner]);
    END IF;
    INSERT INTO await.retried (class, job, retry) VALUES (k, retry.id, new) ON CONFLICT DO NOTHING;
    RETURN new;
END $$;
