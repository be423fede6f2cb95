-- Puts a job of a managed queue behind the others of its owner, into await.held.
CREATE OR REPLACE FUNCTION await.hold_job(p_lane bigint, p_owner text, p_pos bigint, p_job uuid,
    p_attempt int2) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    INSERT INTO await.held (lane, owner, pos, job, attempt) VALUES (p_lane, p_owner, p_pos, p_job, p_attempt);
    IF NOT EXISTS (SELECT FROM await.held_note k WHERE k.lane = p_lane AND k.owner = p_owner
        AND k.xid = pg_current_xact_id()) THEN
        INSERT INTO await.held_note (lane, owner, pos) VALUES (p_lane, p_owner, p_pos);
    END IF;
END $$;
