-- Looks after the owners whose jobs came into await.held (await.held_note), p_limit of them at most: what stood there
-- when nobody saw it comes into its lane if there is room. A job that was committed after later ones of its owner had
-- left, goes to the end of its owner's line, because nobody looks for it before them. Returns how many owners were
-- visited.
CREATE OR REPLACE FUNCTION await.visit_held(p_limit int) RETURNS int
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    low     bigint := (SELECT s.last_value FROM await.held_notes s);
    safe    bigint;
    q       await.queue;
    k       record;
    late    record;
    upto    bigint;
    visited int := 0;
BEGIN
    IF NOT EXISTS (SELECT FROM await.held_note n WHERE n.id >= low) THEN
        RETURN 0;
    END IF;
    SELECT s.last_value INTO safe FROM await.horizon s;
    FOR k IN SELECT n.* FROM await.held_note n WHERE n.id >= low ORDER BY n.id LIMIT p_limit FOR UPDATE SKIP LOCKED LOOP
        DELETE FROM await.held_note n WHERE n.id = k.id;
        visited := visited + 1;
        SELECT * INTO q FROM await.queue u WHERE u.id = k.lane >> 8;
        CONTINUE WHEN NOT FOUND;
        SELECT r.origin INTO upto FROM await.owner_room(q, k.lane, k.owner, false) r;
        FOR late IN DELETE FROM await.held h WHERE h.ctid = ANY (ARRAY(
                SELECT o.ctid FROM await.held o WHERE o.lane = k.lane AND o.owner = k.owner AND o.pos >= k.pos
                    AND o.pos < upto
                FOR UPDATE SKIP LOCKED)) RETURNING h.* LOOP
            PERFORM await.reserve_positions();
            PERFORM await.hold_job(k.lane, k.owner, nextval('await.pos'), late.job, late.attempt);
        END LOOP;
        PERFORM await.admit_held(q, k.lane, k.owner, 0, true);
    END LOOP;
    PERFORM setval('await.held_notes', greatest(low, least((SELECT min(n.id) FROM await.held_note n
        WHERE n.id >= low), safe)));
    RETURN visited;
END $$;
