-- Deletes abandoned uploads: pieces that are older than a day and never got their job. Each call goes on where the last one stopped
-- and looks at most at p_limit pieces of each class.
CREATE OR REPLACE FUNCTION await.purge_uploads(p_limit int) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    none uuid := '00000000-0000-0000-0000-000000000000';
    k    int2;
    last uuid;
    upto uuid;
    n    int;
BEGIN
    FOR k IN SELECT r.class FROM await.retention r ORDER BY r.class LOOP
        last := coalesce((SELECT s.upto FROM await.swept s WHERE s.what = 'uploads' AND s.class = k), none);
        upto := await.floor_id(clock_timestamp() - interval '1 day');
        IF last > await.floor_id(clock_timestamp()) THEN
            last := none;                    -- the clock was ahead
        END IF;
        CONTINUE WHEN last >= upto;
        upto := coalesce((SELECT c.job FROM await.chunk c WHERE c.class = k AND c.job > last AND c.job < upto
                          ORDER BY c.class, c.job OFFSET p_limit LIMIT 1), upto);
        DELETE FROM await.chunk c WHERE c.class = k AND c.job > last AND c.job <= upto AND c.kind = 'p'
            AND NOT EXISTS (SELECT FROM await.job j WHERE j.class = k AND j.id = c.job);
        GET DIAGNOSTICS n = ROW_COUNT;
        INSERT INTO await.swept VALUES ('uploads', k, upto) ON CONFLICT ON CONSTRAINT swept_pkey DO UPDATE SET upto = excluded.upto;
        IF n > 0 THEN
            RETURN NEXT format('dropped %s pieces of uploads', n);
        END IF;
    END LOOP;
END $$;
