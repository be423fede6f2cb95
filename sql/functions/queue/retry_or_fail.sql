-- Ends a failed attempt of a locked job: puts the job back into its queue, after `p_retry_in` (NULL: the queue's back-off;
-- negative: never), or, if that was the last attempt, ends it as failed. `p_error`: members of a problem (RFC 9457).
CREATE OR REPLACE FUNCTION await.retry_or_fail(h await.job_head, p_attempt int2, p_error jsonb, p_retry_in interval)
RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    q       await.queue;
    pause   interval := p_retry_in;
    due     timestamptz;
    problem jsonb := CASE jsonb_typeof(p_error) WHEN 'object' THEN p_error
                     ELSE jsonb_build_object('detail', p_error) END;
BEGIN
    SELECT * INTO q FROM await.queue WHERE id = h.queue;
    IF p_attempt >= coalesce(h.max_attempts, q.max_attempts) OR pause < interval '0' THEN
        PERFORM await.append_event(h, 'failed', 'failed', problem, p_attempt);
        RETURN;
    END IF;
    IF pause IS NULL THEN                    -- doubled each time, with a jitter of a quarter
        pause := least(q.backoff_min * (2 ^ least(p_attempt - 1, 30)), q.backoff_max) * (0.75 + random() / 2);
    END IF;
    due := clock_timestamp() + pause;
    PERFORM await.append_event(h, 'pending', 'pending', await.waiting(h, due, problem), p_attempt);
    PERFORM await.enqueue(h.id, h.queue, h.priority, (p_attempt + 1)::int2, due);
END $$;
