-- The low-water mark of a lane: no ready row lies below this position, so await.claim() starts to read there. Moves the mark
-- forward first, at most once in a twentieth of a second, so that a mark costs only those who claim from its lane.
--
-- The newest mark of a lane is its highest row; the one before is deleted by its key and never updated (docs/adr/0004). The
-- horizon is read before the ready rows, in a statement of its own (t/model/queue.pml); where the transaction keeps one snapshot
-- for all statements, the mark stays where it is.
CREATE OR REPLACE FUNCTION await.advance_low_water(p_lane bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    safe  bigint := (SELECT last_value FROM await.horizon);
    this  bigint := (SELECT last_value FROM await.last_advance);
    old   await.low_water;
    first bigint;
BEGIN
    SELECT * INTO old FROM await.low_water m WHERE m.lane = p_lane ORDER BY m.pos DESC LIMIT 1;
    old.pos := coalesce(old.pos, 0);
    IF this = old.moved OR safe <= old.pos OR current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN old.pos;
    END IF;
    SELECT min(r.pos) INTO first FROM await.ready r WHERE r.lane = p_lane AND r.pos >= old.pos;
    first := least(first, safe);
    IF first > old.pos THEN
        INSERT INTO await.low_water (lane, pos, moved) VALUES (p_lane, first, this);
        DELETE FROM await.low_water m WHERE m.ctid = ANY (ARRAY(
            SELECT o.ctid FROM await.low_water o WHERE o.lane = p_lane AND o.pos = old.pos FOR UPDATE SKIP LOCKED));
    END IF;
    RETURN greatest(first, old.pos);
END $$;
