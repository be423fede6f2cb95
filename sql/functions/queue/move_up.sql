-- After await.claim() has taken jobs of these owners from a lane of a managed queue: the next ones of each come into
-- the lane.
CREATE OR REPLACE FUNCTION await.move_up(p_queue int4, p_lane bigint, p_owners text[], p_origins bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    q await.queue;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = p_queue;
    PERFORM await.admit_held(q, p_lane, o.owner, o.origin) FROM (
        SELECT u.owner, max(u.origin) AS origin FROM unnest(p_owners, p_origins) u (owner, origin)
        WHERE u.owner IS NOT NULL GROUP BY 1 ORDER BY 1) o;
END $$;
