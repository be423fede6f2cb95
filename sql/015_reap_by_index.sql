-- As before, but that time is asked once: clock_timestamp() is volatile, so no index was looked into by it. Each second
-- somebody walked over all leases, dead ones too, which under a held snapshot are all that there ever were.
CREATE OR REPLACE FUNCTION await.reap(p_limit int DEFAULT 100) RETURNS int LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    now_at  timestamptz := clock_timestamp();
    r       record;
    h       await.head;
    touched int := 0;
BEGIN
    FOR r IN SELECT l.job, l.attempt FROM await.lease l WHERE l.until < now_at
             ORDER BY l.until LIMIT p_limit LOOP
        h := await.lock_head(r.job, true);   -- job first, lease second: everybody's order
        CONTINUE WHEN h.id IS NULL;
        DELETE FROM await.lease l WHERE l.job = r.job AND l.attempt = r.attempt AND l.until < now_at;
        CONTINUE WHEN NOT FOUND;
        touched := touched + 1;
        CONTINUE WHEN h.ended;
        PERFORM await.give_back(h, r.attempt, jsonb_build_object('title', 'Lease expired', 'detail',
            format('the worker of attempt %s did not renew its lease in time', r.attempt)), interval '0');
    END LOOP;

    FOR r IN SELECT d.at, d.job FROM await.deadline d WHERE d.at <= now_at ORDER BY d.at LIMIT p_limit LOOP
        h := await.lock_head(r.job, true);
        CONTINUE WHEN h.id IS NULL;
        DELETE FROM await.deadline d WHERE d.at = r.at AND d.job = r.job;
        CONTINUE WHEN NOT FOUND OR h.ended;
        PERFORM await.append(h, 'expired', 'expired');
        touched := touched + 1;
    END LOOP;

    PERFORM await.announce();
    FOR r IN DELETE FROM await.delayed d USING (
                 SELECT due, pos FROM await.delayed WHERE due <= now_at
                 ORDER BY due, pos LIMIT p_limit FOR UPDATE SKIP LOCKED) k
             WHERE d.due = k.due AND d.pos = k.pos RETURNING d.* LOOP
        PERFORM await.open_lane(r.lane);
        INSERT INTO await.ready (lane, pos, job, attempt) VALUES (r.lane, nextval('await.pos'), r.job, r.attempt);
        touched := touched + 1;
    END LOOP;

    PERFORM await.advance_marks();
    RETURN touched;
END $$;
