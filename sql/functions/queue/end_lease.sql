-- Ends the lease of a claim, whose job the caller has locked. Returns the number of the attempt; NULL: this claim does
-- not hold the job. Inlined in await.complete(), which pays for no call.
CREATE OR REPLACE FUNCTION await.end_lease(p_job uuid, p_receipt text) RETURNS int2
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    slot await.lease;
BEGIN
    DELETE FROM await.lease l WHERE l.job = p_job AND l.receipt = p_receipt RETURNING l.* INTO slot;
    IF slot.queue IS NOT NULL THEN
        PERFORM await.slot_freed(slot.queue, slot.lane, slot.owner, slot.origin);
    END IF;
    RETURN slot.attempt;
END $$;
