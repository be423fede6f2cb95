-- Ends up to 1000 jobs with their results, in arrays of one length; an id that comes twice counts once. NULL statuses are 200,
-- NULL content types application/octet-stream. `done` is false where that claim no longer holds the job, and nothing has changed
-- for it. A body may have up to 64 KB; await.complete() takes larger ones.
CREATE OR REPLACE FUNCTION await.complete_many(ids uuid[], receipts text[], bodies bytea[], content_types text[] DEFAULT NULL,
    statuses int[] DEFAULT NULL, file_names text[] DEFAULT NULL) RETURNS TABLE (id uuid, done boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    n    int := cardinality(ids);
    bad  int;
    ended uuid[];
    batched boolean;                         -- whether some of the jobs are in a batch
    b    record;
    slots await.lease[];                     -- of managed queues
BEGIN
    IF n = 0 AND cardinality(receipts) = 0 AND cardinality(bodies) = 0 THEN
        RETURN;
    ELSIF n IS NULL OR n NOT BETWEEN 1 AND 1000 OR cardinality(receipts) IS DISTINCT FROM n OR cardinality(bodies) IS DISTINCT FROM n
        OR cardinality(content_types) <> n OR cardinality(statuses) <> n OR cardinality(file_names) <> n
        OR 1 <> ANY (ARRAY[array_ndims(ids), array_ndims(receipts), array_ndims(bodies), array_ndims(content_types), array_ndims(statuses),
                           array_ndims(file_names)]) THEN
        RAISE EXCEPTION 'await.complete_many takes 1 to 1000 jobs in arrays of one length and one dimension' USING ERRCODE = '22023';
    ELSIF array_position(ids, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a job''s id is NULL' USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_content_type(t) FROM (SELECT DISTINCT t FROM unnest(content_types) t WHERE t IS NOT NULL) c;
    PERFORM await.check_file_name(f) FROM (SELECT DISTINCT f FROM unnest(file_names) f WHERE f IS NOT NULL) c;
    SELECT s INTO bad FROM unnest(statuses) s WHERE s NOT IN (200, 201, 203) LIMIT 1;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'a result has status 200, 201 or 203, not %', bad USING ERRCODE = '22023';
    ELSIF EXISTS (SELECT FROM unnest(bodies) b WHERE b IS NULL OR length(b) > 65536) THEN
        RAISE EXCEPTION 'await.complete_many takes bodies of at most 64 KB; await.complete takes larger ones' USING ERRCODE = '22023';
    END IF;
    -- Locks the jobs it holds in the order of their ids, as all do; the next statement sees what the last holder committed.
    -- OFFSET 0: the leases are looked up one by one, although the planner may think that the table is empty.
    SELECT bool_or(k.batch IS NOT NULL) INTO batched FROM (
        SELECT j.batch FROM unnest(ids, receipts) k (id, receipt)
        CROSS JOIN LATERAL (SELECT FROM await.lease l WHERE l.job = k.id AND l.receipt = k.receipt OFFSET 0) l
        JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
        ORDER BY j.id FOR NO KEY UPDATE OF j) k;
    WITH held AS MATERIALIZED (              -- under the lock; of several receipts for an id the valid one counts
        SELECT DISTINCT ON (g.id) g.id, l.attempt, g.body, coalesce(g.type, 'application/octet-stream') AS type, coalesce(g.status, 200) AS status, g.name
        FROM unnest(ids, receipts, bodies, content_types, statuses, file_names) g (id, receipt, body, type, status, name)
        CROSS JOIN LATERAL (SELECT l.attempt FROM await.lease l WHERE l.job = g.id AND l.receipt = g.receipt OFFSET 0) l
        ORDER BY g.id
    ), released AS (
        DELETE FROM await.lease l WHERE l.job = ANY (ARRAY(SELECT h.id FROM held h)) RETURNING l
    ), said AS (
        INSERT INTO await.event (class, job, seq, owner, type, state, attempt, progress, ending, status, content_type, file_name, size, body)
        SELECT await.class(h.id), h.id, e.seq + 1, e.owner, 'completed', 'completed', h.attempt, e.progress, true,
               h.status, h.type, h.name, length(h.body), h.body
        FROM held h
        CROSS JOIN LATERAL (SELECT e.seq, e.owner, e.progress, e.ending FROM await.event e
                            WHERE e.class = await.class(h.id) AND e.job = h.id ORDER BY e.seq DESC LIMIT 1) e
        WHERE NOT e.ending
        RETURNING event.job
    )
    SELECT (SELECT array_agg(s.job) FROM said s), (SELECT array_agg(r.l) FROM released r WHERE (r.l).queue IS NOT NULL) INTO ended, slots;
    IF slots IS NOT NULL THEN
        PERFORM await.slot_freed(l.queue, l.lane, l.owner, l.origin) FROM unnest(slots) l;
    END IF;
    PERFORM await.job_ended(ended);
    IF batched THEN                          -- batch by batch, in one order
        FOR b IN SELECT j.batch, array_agg(j.id ORDER BY j.id) AS jobs
                 FROM unnest(ended) k (id) JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
                 WHERE j.batch IS NOT NULL GROUP BY j.batch ORDER BY j.batch LOOP
            PERFORM await.batch_jobs_ended(b.batch, b.jobs, 'completed');
        END LOOP;
    END IF;
    RETURN QUERY SELECT k.id, k.id = ANY (coalesce(ended, '{}')) FROM (SELECT DISTINCT u.id FROM unnest(ids) u (id)) k;
END $$;
