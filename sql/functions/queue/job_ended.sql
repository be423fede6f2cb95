-- What an ending brings with it, for each of the jobs that the caller has ended and locked: the deadline goes, and a job that ends
-- later than on the day after its own is noted, because its retention counts from the end (await.old_partitions). Most jobs have
-- no deadline and end at once, so this asks for these two first.
CREATE OR REPLACE FUNCTION await.job_ended(p_jobs uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    today date;
    r     record;
BEGIN
    IF EXISTS (SELECT FROM await.deadline) THEN
        FOR r IN SELECT j.deadline, j.id FROM unnest(p_jobs) k (id)
                 CROSS JOIN LATERAL (SELECT j.id, j.deadline FROM await.job j WHERE j.class = await.class(k.id) AND j.id = k.id OFFSET 0) j
                 WHERE j.deadline IS NOT NULL LOOP
            DELETE FROM await.deadline d WHERE d.at = r.deadline AND d.job = r.id;
        END LOOP;
    END IF;
    IF NOT await.floor_id(clock_timestamp() - interval '1 day') > ANY (p_jobs) THEN
        RETURN;
    END IF;
    today := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    FOR r IN SELECT DISTINCT await.class(k.id) AS class,
                 (to_timestamp(('x' || left(replace(k.id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) AT TIME ZONE 'UTC')::date AS day
             FROM unnest(p_jobs) k (id) WHERE k.id < await.floor_id((today - 1)::timestamp AT TIME ZONE 'UTC') LOOP
        IF NOT EXISTS (SELECT FROM await.late_ending l WHERE l.class = r.class AND l.day = r.day AND l.ended = today) THEN
            INSERT INTO await.late_ending (class, day, ended) VALUES (r.class, r.day, today);
        END IF;
    END LOOP;
END $$;
