-- Stores a large body as pieces of 256 KB. Kind 'p': payload, attempt 0; 'r': result of this attempt.
CREATE OR REPLACE FUNCTION await.store_chunks(p_job uuid, p_kind "char", p_attempt int2, p_body bytea) RETURNS void
LANGUAGE sql VOLATILE
AS $$
    INSERT INTO await.chunk (class, job, kind, attempt, n, pos, bytes)
    SELECT await.class(p_job), p_job, p_kind, p_attempt, n, n * 262144::bigint, substr(p_body, n * 262144 + 1, 262144)
    FROM generate_series(0, (length(p_body) - 1) / 262144) n
$$;
