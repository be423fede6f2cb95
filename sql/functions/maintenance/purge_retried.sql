-- Forgets which jobs were retried of those that are in no partition any more, p_limit of a retention class at most.
CREATE OR REPLACE FUNCTION await.purge_retried(p_limit int) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    r record;
    n int;
BEGIN
    FOR r IN SELECT o.class, min(to_date(right(c.relname, 8), 'YYYYMMDD'))::timestamp AT TIME ZONE 'UTC' AS starts
             FROM await.retention o JOIN pg_class c ON c.relname ~ format('^job_%s_[0-9]{8}$', o.class)
             WHERE c.relnamespace = 'await'::regnamespace AND c.relkind = 'r' GROUP BY o.class LOOP
        DELETE FROM await.retried t WHERE t.ctid = ANY (ARRAY(
            SELECT o.ctid FROM await.retried o WHERE o.class = r.class AND o.job < await.floor_id(r.starts)
            ORDER BY o.class, o.job LIMIT p_limit FOR UPDATE SKIP LOCKED));
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n = p_limit THEN
            RETURN NEXT 'more jobs that were retried, of class ' || r.class;
        END IF;
    END LOOP;
END $$;
