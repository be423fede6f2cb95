-- Takes back what was written by a clock that has been set back since, so that a wrong clock costs seconds: a lease of then would
-- last as much longer, a delay or a deadline begin as much later, and new tickets of an owner who was revoked be refused as much
-- longer. Called when the clock is found before the second of the last maintenance. Leaves out rows that others have locked.
CREATE OR REPLACE FUNCTION await.clock_was_ahead(p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE
SET jit = off
AS $$
DECLARE
    ahead uuid := await.floor_id(p_now + interval '1 second'); -- ids of then are higher
BEGIN
    UPDATE await.lease l SET until = p_now + l.span WHERE l.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.lease o WHERE o.until > p_now + o.span + interval '1 second' FOR UPDATE SKIP LOCKED));
    -- of new jobs, and of those that were put back
    UPDATE await.delayed d SET due = d.due - (k.at - p_now) FROM (
            SELECT o.due, o.pos, w.at FROM await.delayed o CROSS JOIN LATERAL (
                SELECT j.created_at AS at FROM await.job j WHERE o.attempt = 1 AND o.job > ahead AND j.class = await.class(o.job) AND j.id = o.job
                UNION ALL
                (SELECT e.at FROM await.event e WHERE o.attempt > 1 AND e.class = await.class(o.job) AND e.job = o.job ORDER BY e.seq DESC LIMIT 1)) w
            WHERE w.at > p_now + interval '1 second' FOR UPDATE OF o SKIP LOCKED) k
        WHERE d.due = k.due AND d.pos = k.pos;
    UPDATE await.deadline d SET at = d.at - (k.created_at - p_now) FROM (
            SELECT o.at, o.job, j.created_at FROM await.deadline o JOIN await.job j ON j.class = await.class(o.job) AND j.id = o.job
            WHERE o.job > ahead AND j.created_at > p_now + interval '1 second' FOR UPDATE OF o SKIP LOCKED) k
        WHERE d.at = k.at AND d.job = k.job;
    UPDATE await.batch_live b SET visit = p_now WHERE b.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.batch_live o WHERE o.visit > p_now + interval '2 minutes'
        FOR NO KEY UPDATE SKIP LOCKED));
    UPDATE await.revoked r SET at = p_now WHERE r.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.revoked o WHERE o.at > p_now + interval '1 second' FOR UPDATE SKIP LOCKED));
END $$;
