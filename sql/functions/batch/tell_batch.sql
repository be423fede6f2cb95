-- How long a batch waits from one event "progress" to the next: the larger the batch and the longer it has run, the
-- longer; so there are some hundred of them at most, and each job of a small batch gets its own.
CREATE OR REPLACE FUNCTION await.batch_pause(p_batch uuid, p_total int) RETURNS interval
LANGUAGE sql VOLATILE
AS $$
    SELECT greatest(interval '250 ms', interval '1 s' * (least(1, p_total / 1000.0)
           * least(60, greatest(0, extract(epoch FROM clock_timestamp())
                               - ('x' || left(replace(p_batch::text, '-', ''), 12))::bit(48)::bigint / 1000.0) / 50)))
$$;

-- Writes the event "progress" of a batch, with its totals, unless the last one was written a moment ago: then
-- await.visit_batches() does it later, or whoever ends the next job. Waits for nobody.
CREATE OR REPLACE FUNCTION await.tell_batch(p_batch uuid) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    now_at timestamptz := clock_timestamp();
    l      await.batch_live;
    h      await.job_head;
    totals jsonb;
BEGIN
    SELECT * INTO l FROM await.batch_live b WHERE b.batch = p_batch;
    IF NOT FOUND OR now_at < l.told + l.pause AND now_at >= l.told THEN
        RETURN;
    END IF;
    h := await.lock_job(p_batch, true);
    IF h.id IS NULL OR h.ended THEN
        RETURN;
    END IF;
    totals := await.batch_totals(p_batch);
    PERFORM await.append_event(h, 'progress', 'processing', totals);
    l.pause := await.batch_pause(p_batch, (totals ->> 'total')::int);
    UPDATE await.batch_live b
        SET told = now_at, pause = l.pause, visit = now_at + l.pause, total = (totals ->> 'total')::int
        WHERE b.batch = p_batch;
END $$;
