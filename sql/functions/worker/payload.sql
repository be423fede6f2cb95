-- Part of a payload: at most `length` bytes from byte `offset` (from 0) on. Empty past the end; NULL when this claim no longer
-- holds the job.
CREATE OR REPLACE FUNCTION await.payload(id uuid, receipt text, "offset" bigint DEFAULT 0, length int DEFAULT 262144) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    j await.job;
BEGIN
    "offset" := coalesce("offset", 0);
    length := coalesce(length, 262144);
    IF "offset" < 0 OR length NOT BETWEEN 0 AND 16777216 THEN
        RAISE EXCEPTION 'await.payload reads 0 to 16777216 bytes from an offset of 0 or more' USING ERRCODE = '22023';
    ELSIF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = payload.id AND l.receipt = payload.receipt) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO j FROM await.job k WHERE k.class = await.class(payload.id) AND k.id = payload.id;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF "offset" >= j.payload_size THEN
        RETURN '';
    ELSIF j.payload IS NOT NULL THEN
        RETURN substr(j.payload, "offset"::int + 1, length);
    END IF;
    RETURN (SELECT coalesce(string_agg(substr(c.bytes, greatest("offset" - c.pos, 0)::int + 1,
                       least("offset" + payload.length - c.pos, 16777216)::int - greatest("offset" - c.pos, 0)::int), '' ORDER BY c.n), '')
            FROM await.chunk c
            WHERE c.class = j.class AND c.job = j.id AND c.kind = 'p' AND c.attempt = 0
              AND c.pos < "offset" + payload.length
              AND c.pos >= (SELECT max(f.pos) FROM await.chunk f WHERE f.class = j.class AND f.job = j.id
                            AND f.kind = 'p' AND f.attempt = 0 AND f.pos <= "offset"));
END $$;
