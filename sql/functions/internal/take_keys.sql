-- Idempotency keys for new jobs, in arrays of one length; a NULL key takes none. Each row, in the order of the arrays, says which
-- job stands for the key: the new one, or the one that came first with it, and `clash` that the first was a different request.
-- Waits for a transaction that takes the same key, as long as lock_timeout permits.
CREATE OR REPLACE FUNCTION await.take_keys(p_ids uuid[], p_queues text[], p_owners text[], p_keys text[], p_fingerprints bytea[],
    p_keeps int8[]) RETURNS TABLE (ord int, id uuid, clash boolean)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
    now_at timestamptz := clock_timestamp();
BEGIN
    -- In one order, and each key once, so that two calls never wait for each other. A key is not kept longer than its job:
    -- this statement cannot check that the job exists, because it would not see one that was committed a moment ago.
    INSERT INTO await.idem AS i (owner, queue, key, fingerprint, job, until)
    SELECT DISTINCT ON (coalesce(g.owner, ''), g.queue, g.key) coalesce(g.owner, ''), g.queue, g.key, g.fingerprint, g.id,
           now_at + least(g.keep * interval '1 ms', r.keep)
    FROM unnest(p_ids, p_queues, p_owners, p_keys, p_fingerprints, p_keeps) WITH ORDINALITY g (id, queue, owner, key, fingerprint, keep, ord)
    JOIN await.retention r ON r.class = await.class(g.id)
    WHERE g.key IS NOT NULL
    ORDER BY coalesce(g.owner, ''), g.queue, g.key, g.ord
    ON CONFLICT (owner, queue, key) DO UPDATE SET fingerprint = excluded.fingerprint, job = excluded.job, until = excluded.until
        WHERE i.until <= now_at;

    -- a statement of its own, so that it sees what others committed while the first one waited
    RETURN QUERY
    SELECT g.ord::int, coalesce(i.job, g.id), coalesce(i.fingerprint <> g.fingerprint, false)
    FROM unnest(p_ids, p_queues, p_owners, p_keys, p_fingerprints) WITH ORDINALITY g (id, queue, owner, key, fingerprint, ord)
    LEFT JOIN await.idem i ON i.owner = coalesce(g.owner, '') AND i.queue = g.queue AND i.key = g.key
    ORDER BY g.ord;
END $$;
