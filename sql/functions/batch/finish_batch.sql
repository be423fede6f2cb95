-- Whether every phase of a batch without open jobs had its jobs. A phase in which no job was completed brings no next
-- one.
CREATE OR REPLACE FUNCTION await.phases_had_jobs(p_batch uuid, p_totals jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    phase     text;
    completed int := 1;
BEGIN
    FOR phase IN SELECT p.name FROM await.job j
                 CROSS JOIN LATERAL jsonb_array_elements_text(j.extra -> 'phases') WITH ORDINALITY p (name, ord)
                 WHERE j.class = await.class(p_batch) AND j.id = p_batch ORDER BY p.ord LOOP
        IF (p_totals #>> ARRAY['phases', phase, 'total'])::int = 0 THEN
            RETURN completed = 0;
        END IF;
        completed := (p_totals #>> ARRAY['phases', phase, 'completed'])::int;
    END LOOP;
    RETURN (p_totals ->> 'total')::int > 0;
END $$;

-- The jobs of a batch that ended, but not as completed: at most 50 of them, each with its error, cut to 200 characters.
CREATE OR REPLACE FUNCTION await.batch_failures(p_batch uuid) RETURNS jsonb
LANGUAGE sql STABLE
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
    SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', l.job, 'phase', l.phase, 'state', l.state,
               'title', left(e.data ->> 'title', 80), 'detail', left(e.data ->> 'detail', 200))) ORDER BY l.job), '[]')
    FROM (SELECT * FROM await.batch_loss l WHERE l.batch = p_batch ORDER BY l.job LIMIT 50) l
    LEFT JOIN LATERAL (SELECT e.data FROM await.event e
                       WHERE e.class = await.class(l.job) AND e.job = l.job AND e.ending) e ON true
$$;

-- Creates the job that a batch has when it is ready, with the event's data as its payload. Whether the queue may be
-- used was asked when the batch was created.
CREATE OR REPLACE FUNCTION await.create_ready_job(p_batch uuid, p_queue text, p_summary jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    k        int2 := await.class(p_batch);
    new      uuid := await.new_id(k);
    in_queue int4 := await.queue_id(p_queue, true);
    body     bytea := convert_to(p_summary::text, 'UTF8');
    of_user  text;
BEGIN
    PERFORM await.need_partitions(k);
    PERFORM await.note_use(in_queue, k);
    INSERT INTO await.job (class, id, queue, owner, correlation_id, trace, content_type, params, payload, payload_size)
        SELECT k, new, in_queue, j.owner, j.correlation_id, j.trace, 'application/json',
               jsonb_build_object('batch', p_batch), body, length(body)
        FROM await.job j WHERE j.class = k AND j.id = p_batch
        RETURNING owner INTO of_user;
    PERFORM await.enqueue(new, in_queue, 0::int2, 1::int2);
    IF of_user IS NOT NULL AND await.notifies() THEN
        PERFORM await.notify_work(NULL, ARRAY[of_user]);
    END IF;
END $$;

-- Writes "batch.ready" if no job of the batch is open, every phase had its jobs, and the batch has not ended: once,
-- because the row of the batch is locked first. What others have committed by then is seen by the statements after
-- that.
CREATE OR REPLACE FUNCTION await.finish_batch(p_batch uuid) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    h       await.job_head := await.lock_job(p_batch);
    totals  jsonb;
    summary jsonb;
    then_to text;
BEGIN
    IF h.id IS NULL OR h.ended OR EXISTS (SELECT FROM await.batch_open o WHERE o.batch = p_batch) THEN
        RETURN;                              -- who ends the last job waits for this transaction, and comes here then
    END IF;
    totals := await.batch_totals(p_batch);
    IF NOT await.phases_had_jobs(p_batch, totals) THEN
        PERFORM await.tell_batch(p_batch);
        RETURN;
    END IF;
    summary := totals || jsonb_build_object('batch', p_batch, 'failures', await.batch_failures(p_batch));
    PERFORM await.append_event(h, 'batch.ready', 'completed', summary);
    DELETE FROM await.batch_added a WHERE a.batch = p_batch;
    DELETE FROM await.batch_loss l WHERE l.batch = p_batch;
    SELECT j.extra ->> 'on_ready' INTO then_to FROM await.job j
        WHERE j.class = await.class(p_batch) AND j.id = p_batch;
    IF then_to IS NOT NULL THEN
        PERFORM await.create_ready_job(p_batch, then_to, summary);
    END IF;
END $$;
