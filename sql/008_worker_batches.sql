-- Many endings in one transaction: for workers that finish many jobs a second. claim takes up to 1000 at once
-- already.

-- Ends jobs with their results: arrays of one length; an id twice counts once. Statuses default to 200, file
-- names to none, content types to application/octet-stream. As await.complete: `done` is false where that attempt
-- no longer owns the job, and nothing has changed. A body of more than 64 KB is one for await.complete.
CREATE FUNCTION await.complete_many(ids uuid[], attempts int[], bodies bytea[], content_types text[] DEFAULT NULL,
    statuses int[] DEFAULT NULL, file_names text[] DEFAULT NULL) RETURNS TABLE (id uuid, done boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    n    int := cardinality(ids);
    bad  int;
    ended uuid[];
BEGIN
    IF n = 0 OR ids IS NULL THEN
        RETURN;
    ELSIF n > 1000 OR cardinality(attempts) <> n OR cardinality(bodies) <> n OR cardinality(content_types) <> n
        OR cardinality(statuses) <> n OR cardinality(file_names) <> n THEN
        RAISE EXCEPTION 'await.complete_many takes 1 to 1000 jobs in arrays of one length' USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_content_type(t) FROM (SELECT DISTINCT t FROM unnest(content_types) t WHERE t IS NOT NULL) c;
    PERFORM await.check_file_name(f) FROM (SELECT DISTINCT f FROM unnest(file_names) f WHERE f IS NOT NULL) c;
    SELECT s INTO bad FROM unnest(statuses) s WHERE s NOT IN (200, 201, 203) LIMIT 1;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'a result has status 200, 201 or 203, not %', bad USING ERRCODE = '22023';
    ELSIF EXISTS (SELECT FROM unnest(bodies) b WHERE b IS NULL OR length(b) > 65536) THEN
        RAISE EXCEPTION 'await.complete_many takes bodies of at most 64 KB; await.complete takes larger ones' USING ERRCODE = '22023';
    END IF;
    -- in id order, as everybody; the next statement sees what the last holder committed
    PERFORM 1 FROM unnest(ids) k (id) JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
        ORDER BY j.id FOR NO KEY UPDATE OF j;
    WITH given AS MATERIALIZED (
        SELECT DISTINCT ON (g.id) g.id, g.attempt, g.body, coalesce(g.type, 'application/octet-stream') AS type, coalesce(g.status, 200) AS status, g.name
        FROM unnest(ids, attempts, bodies, content_types, statuses, file_names) g (id, attempt, body, type, status, name) ORDER BY g.id
    ), released AS (
        DELETE FROM await.lease l USING given g WHERE l.job = g.id AND l.attempt = g.attempt RETURNING l.job
    ), said AS (
        INSERT INTO await.event (class, job, seq, owner, type, state, attempt, progress, ending, status, content_type, file_name, size, body)
        SELECT await.class(g.id), g.id, e.seq + 1, e.owner, 'completed', 'completed', g.attempt, e.progress, true,
               g.status, g.type, g.name, length(g.body), g.body
        FROM released r JOIN given g ON g.id = r.job
        CROSS JOIN LATERAL (SELECT e.seq, e.owner, e.progress, e.ending FROM await.event e
                            WHERE e.class = await.class(g.id) AND e.job = g.id ORDER BY e.seq DESC LIMIT 1) e
        WHERE NOT e.ending
        RETURNING event.job
    )
    SELECT array_agg(s.job) INTO ended FROM said s;
    RETURN QUERY SELECT k.id, k.id = ANY (coalesce(ended, '{}')) FROM (SELECT DISTINCT u.id FROM unnest(ids) u (id)) k;
END $$;

-- What to PUBLISH after the commit for many jobs: await.hint() of each.
CREATE FUNCTION await.hints(ids uuid[]) RETURNS TABLE (channel text, message text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT h.channel, h.message FROM unnest(ids) k, LATERAL await.hint(k) h
$$;

REVOKE ALL ON FUNCTION await.complete_many(uuid[], int[], bytea[], text[], int[], text[]), await.hints(uuid[]) FROM PUBLIC;
