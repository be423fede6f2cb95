-- The payload of a claimed job, or part of it: at most `length` bytes from byte `offset` (from 0) on; without a length, all of it
-- from there on. Empty past the end; NULL when this claim no longer holds the job.
CREATE OR REPLACE FUNCTION await.payload(id uuid, receipt text, "offset" bigint DEFAULT 0, length int DEFAULT NULL) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    most CONSTANT int := 268435456;
    j    await.job;
BEGIN
    "offset" := coalesce("offset", 0);
    IF "offset" < 0 OR length NOT BETWEEN 0 AND most THEN
        RAISE EXCEPTION 'await.payload reads 0 to % bytes from an offset of 0 or more', most USING ERRCODE = '22023';
    ELSIF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = payload.id AND l.receipt = payload.receipt) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO j FROM await.job k WHERE k.class = await.class(payload.id) AND k.id = payload.id;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF "offset" >= j.payload_size THEN
        RETURN '';
    ELSIF length IS NULL AND j.payload_size - "offset" > most THEN
        RAISE EXCEPTION 'the payload has % bytes, more than PostgreSQL returns at once', j.payload_size
            USING ERRCODE = '54000', HINT = 'read it in pieces: await.payload(id, receipt, offset, length)';
    END IF;
    length := least(coalesce(length, most), j.payload_size - "offset");
    RETURN CASE WHEN j.payload IS NOT NULL THEN substr(j.payload, "offset"::int + 1, length)
                ELSE await.stored_payload(j.id, "offset", length) END;
END $$;
