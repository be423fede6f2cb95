-- The payload of a job that is stored in pieces: at most p_length bytes from byte p_offset on.
CREATE OR REPLACE FUNCTION await.stored_payload(p_job uuid, p_offset bigint DEFAULT 0, p_length int DEFAULT 268435456) RETURNS bytea
LANGUAGE sql STABLE
AS $$
    SELECT coalesce(string_agg(CASE WHEN c.pos >= p_offset AND c.pos + length(c.bytes) <= p_offset + p_length THEN c.bytes
               ELSE substr(c.bytes, greatest(p_offset - c.pos, 0)::int + 1,
                           least(p_offset + p_length - c.pos, 16777216)::int - greatest(p_offset - c.pos, 0)::int) END,
               '' ORDER BY c.n), '')
    FROM await.chunk c
    WHERE c.class = await.class(p_job) AND c.job = p_job AND c.kind = 'p' AND c.attempt = 0 AND c.pos < p_offset + p_length
      AND c.pos >= (SELECT max(f.pos) FROM await.chunk f WHERE f.class = await.class(p_job) AND f.job = p_job
                    AND f.kind = 'p' AND f.attempt = 0 AND f.pos <= p_offset)
$$;
