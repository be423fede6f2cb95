-- Stores piece n (0, 1, 2, ... in this order) of a large result; await.complete() with a NULL body makes the pieces the result.
-- A repeated n changes nothing. Returns the size so far; NULL when this claim no longer holds the job.
CREATE OR REPLACE FUNCTION await.append_result(id uuid, receipt text, n int, bytes bytea) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    k     int2 := await.class(append_result.id);
    own   int2;
    start bigint := 0;
BEGIN
    IF bytes IS NULL OR length(bytes) NOT BETWEEN 1 AND 16777216 THEN
        RAISE EXCEPTION 'a piece of a result has 1 to 16777216 bytes, not %', coalesce(length(bytes)::text, 'NULL') USING ERRCODE = '22023';
    ELSIF n IS NULL OR n < 0 THEN
        RAISE EXCEPTION 'the pieces of a result are numbered from 0, not %', coalesce(n::text, 'NULL') USING ERRCODE = '22023';
    END IF;
    SELECT l.attempt INTO own FROM await.lease l WHERE l.job = append_result.id AND l.receipt = append_result.receipt FOR SHARE;
    IF NOT FOUND OR EXISTS (SELECT FROM await.event e WHERE e.class = k AND e.job = append_result.id AND e.ending) THEN
        RETURN NULL;
    END IF;
    IF n > 0 THEN
        SELECT c.pos + length(c.bytes) INTO start FROM await.chunk c WHERE c.class = k AND c.job = append_result.id
            AND c.kind = 'r' AND c.attempt = own AND c.n = append_result.n - 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'piece % of the result is missing: it is stored before piece %', n - 1, n USING ERRCODE = '22023';
        END IF;
    END IF;
    INSERT INTO await.chunk (class, job, kind, attempt, n, pos, bytes)
        VALUES (k, append_result.id, 'r', own, append_result.n, start, append_result.bytes)
        ON CONFLICT DO NOTHING;
    RETURN start + length(bytes);
END $$;
