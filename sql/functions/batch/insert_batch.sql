-- Creates a batch without jobs. If it is not ready by `p_deadline`, it expires. `p_phases`: their names in their order,
-- or NULL.
-- replaces: await.insert_batch(uuid, text, text, text, text[], text, timestamptz)
CREATE OR REPLACE FUNCTION await.insert_batch(p_id uuid, p_owner text, p_correlation text, p_trace text,
    p_phases text[], p_on_ready text, p_deadline timestamptz, p_webhook jsonb DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    bad text;
BEGIN
    IF cardinality(p_phases) > 16 THEN
        RAISE EXCEPTION 'a batch has at most 16 phases, not %', cardinality(p_phases) USING ERRCODE = '22023';
    END IF;
    SELECT p INTO bad FROM unnest(p_phases) p WHERE p IS NULL OR p !~ '^[A-Za-z0-9_.-]{1,64}$' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the name of a phase is 1 to 64 of A-Z a-z 0-9 _ . -, not %', quote_nullable(left(bad, 80))
            USING ERRCODE = '22023';
    ELSIF (SELECT count(DISTINCT p) FROM unnest(p_phases) p) <> cardinality(p_phases) THEN
        RAISE EXCEPTION 'a phase is named twice' USING ERRCODE = '22023';
    END IF;
    IF p_on_ready IS NOT NULL THEN           -- an error now, not when the batch is ready
        PERFORM await.queue_id(p_on_ready, true);
    END IF;
    INSERT INTO await.job (class, id, queue, owner, correlation_id, trace, content_type, payload, payload_size,
                           deadline, extra, webhook)
    VALUES (await.class(p_id), p_id, await.queue_id('.batch', true), p_owner, p_correlation, p_trace,
            'application/json', '', 0, p_deadline,
            jsonb_strip_nulls(jsonb_build_object('phases', nullif(to_jsonb(p_phases), '[]'), 'on_ready', p_on_ready)),
            p_webhook);
    INSERT INTO await.batch_live (batch, told, pause, visit)
    VALUES (p_id, clock_timestamp(), interval '0', clock_timestamp() + interval '1 minute');
    IF p_deadline IS NOT NULL THEN
        INSERT INTO await.deadline (at, job) VALUES (p_deadline, p_id);
    END IF;
END $$;
