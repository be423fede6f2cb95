-- The data of the event "pending" of a job that waits for its next attempt, which the document of the job repeats: from when on it
-- may be claimed, how many attempts it has at most, and why the last one failed (members of a problem, or NULL).
CREATE OR REPLACE FUNCTION await.waiting(h await.job_head, p_due timestamptz, p_error jsonb) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
    SELECT jsonb_build_object('retry_at', to_char(p_due AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
               'max_attempts', coalesce(h.max_attempts, (SELECT q.max_attempts FROM await.queue q WHERE q.id = h.queue)))
           || CASE WHEN p_error IS NULL THEN '{}' ELSE jsonb_build_object('error', p_error) END
$$;
