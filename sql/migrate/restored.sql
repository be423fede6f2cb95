-- For `await-ctl restored`: makes rows that came with a dump fit this server, and says what it did.
DO $$
BEGIN
    IF to_regclass('await.home') IS NULL THEN
        RAISE EXCEPTION 'run "await-ctl migrate" first. Nothing was done.';
    END IF;
END $$;
SET client_min_messages = error;
-- a dump without its sequences, or with older ones
SELECT setval('await.eid', greatest(s.last_value, (SELECT max(e.eid) FROM await.event e), (SELECT max(j.eid) FROM await.job j))) FROM await.eid s \g /dev/null
SELECT setval('await.pos', greatest(s.last_value, (SELECT max(r.pos) FROM await.ready r), (SELECT max(d.pos) FROM await.delayed d),
    (SELECT max(m.pos) FROM await.low_water m))) FROM await.pos s \g /dev/null
SELECT await.notice_restore() AS is_new \gset
DO $$
DECLARE
    n   int;
    all_rows bigint := 0;
BEGIN
    LOOP
        n := await.settle_rows(5000);
        COMMIT;
        EXIT WHEN n = 0;
        all_rows := all_rows + n;
    END LOOP;
    PERFORM set_config('await.settled', all_rows::text, false);
END $$;
SELECT CASE WHEN :'is_new' THEN 'the data came from another server or database, which was not known yet' ELSE 'the data belongs to this database' END;
SELECT format('%s rows had numbers of another server, and fit this one now', current_setting('await.settled'));
SELECT format('role %s is limited to queues, but does not exist: create it, and "await-ctl grant" its queues', g.role::oid)
    FROM await.queue_grant g WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = g.role) GROUP BY g.role;
SELECT CASE WHEN count(*) = 0 THEN 'no role is limited to queues: if some were, "await-ctl grant" them again before workers connect'
    ELSE 'limited to queues: ' || string_agg(DISTINCT g.role::text, ', ') END FROM await.queue_grant g;
SELECT 'now run "await-ctl migrate" for the grants, and "await-ctl rotate --forget" if the other server goes on';
