-- After a change of a queue's limits: notes all owners with jobs in await.held, so that await.visit_held() looks after
-- them.
CREATE OR REPLACE FUNCTION await.admit_all(p_queue int4) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    h record;
BEGIN
    PERFORM await.reserve_positions();
    SELECT p_queue::bigint << 8 AS lane, '' AS owner INTO h;
    LOOP                                     -- from owner to owner, whatever the number of their jobs
        SELECT o.lane, o.owner, o.pos INTO h FROM await.held o
            WHERE (o.lane, o.owner, o.pos) > (h.lane, h.owner, 9223372036854775807)
                AND o.lane < (p_queue::bigint + 1) << 8
            ORDER BY o.lane, o.owner, o.pos LIMIT 1;
        EXIT WHEN NOT FOUND;
        INSERT INTO await.held_note (lane, owner, pos) VALUES (h.lane, h.owner, h.pos);
    END LOOP;
END $$;
