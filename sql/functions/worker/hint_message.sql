-- The message of await.hint() for an event: with what it says and what is known of its job, signed, where that is short
-- enough. An event or a job whose time somebody has set to infinity is not described. The rows are variables of the
-- caller, so a body stays where it is stored until it is needed.
CREATE OR REPLACE FUNCTION await.hint_message(e await.event, j await.job, p_queue text, p_timeline text) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    message  text := '1 ' || e.job || ' ' || e.seq || ' ' || e.type;
    progress text;
    rich     text;
BEGIN
    IF isfinite(e.at) AND isfinite(j.created_at) AND coalesce(length(e.body), 0) <= 5120
            AND coalesce(pg_column_size(e.data), 0) <= 8192 THEN
        IF e.progress = e.seq THEN
            progress := e.data::text;
        ELSIF e.progress IS NOT NULL THEN
            SELECT p.data::text INTO progress FROM await.event p
                WHERE p.class = e.class AND p.job = e.job AND p.seq = e.progress;
        END IF;
        rich := json_build_object('t', p_timeline, 'queue', p_queue, 'owner', j.owner, 'state', e.state,
            'attempt', e.attempt, 'correlation_id', j.correlation_id, 'batch', j.batch, 'phase', j.phase,
            'retry_of', j.retry_of, 'params', j.params::text,
            'created_at', floor(extract(epoch FROM j.created_at) * 1000)::bigint, 'progress', progress,
            'at', floor(extract(epoch FROM e.at) * 1000)::bigint, 'data', e.data::text,
            'status', e.status, 'content_type', e.content_type, 'file_name', e.file_name, 'size', e.size,
            'body', await.base64url(e.body));
        IF octet_length(rich) <= 7936 THEN
            message := message || ' ' || await.sign(message || ' ' || rich) || ' ' || rich;
        END IF;
    END IF;
    RETURN message;
END $$;
