-- After the end of a lease of a managed queue: the next job of its owner may stand in line, and workers that found the
-- queue full learn of it.
CREATE OR REPLACE FUNCTION await.slot_freed(p_queue int4, p_lane bigint, p_owner text, p_origin bigint) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    q     await.queue;
    lane  bigint;
    moved int := 0;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = p_queue;
    IF q.max_running_per_owner IS NOT NULL AND p_owner IS NOT NULL THEN
        FOR lane IN SELECT m.lane FROM await.lane_in_use m WHERE m.lane >> 8 = p_queue ORDER BY m.lane LOOP
            moved := moved + await.admit_held(q, lane, p_owner, CASE WHEN lane = p_lane THEN p_origin ELSE 0 END);
        END LOOP;
    END IF;
    IF moved = 0 AND q.max_running IS NOT NULL AND await.notifies() THEN
        PERFORM await.notify_lanes(ARRAY[p_lane]);
    END IF;
END $$;
