-- Moves await.horizon: below it there is no position that a running transaction has drawn or may yet draw. Reads the sequence's
-- last value first, then the announced positions (t/model/queue.pml).
--
-- Anybody can take an advisory lock with such a number. So it counts only if its transaction also holds await.ready for
-- writing, which requires the right to use the schema. A transaction that has announced but not yet opened await.ready has drawn
-- nothing, and will draw more than the last value. There is no join, because there may be as many false announcements as
-- PostgreSQL has locks.
CREATE OR REPLACE FUNCTION await.advance_horizon() RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    last_pos  bigint;
    announced bigint;
BEGIN
    SELECT last_value INTO last_pos FROM await.pos;
    WITH held AS MATERIALIZED (
        SELECT l.locktype, l.relation, l.mode, l.classid::bigint AS high, l.objid::bigint AS low, l.objsubid, l.virtualtransaction
        FROM pg_locks l WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND l.locktype IN ('advisory', 'relation') AND l.granted
    )
    SELECT min((((a.high & x'ffff'::bigint) << 48) | (a.low << 16)) >> 16) INTO announced FROM held a
        WHERE a.locktype = 'advisory' AND a.objsubid = 1 AND a.high >> 16 = x'4157'::bigint
          AND a.virtualtransaction = ANY (ARRAY(SELECT w.virtualtransaction FROM held w WHERE w.locktype = 'relation'
                                                AND w.relation = 'await.ready'::regclass AND w.mode = 'RowExclusiveLock'));
    PERFORM setval('await.horizon', greatest(least(last_pos, announced), 0));
END $$;
