-- Gives rows that came with a dump from another server a transaction number that every snapshot has seen, p_limit at most of each
-- table. Their own numbers belong to the other server; this one may yet give the same. Returns how many; 0: none is left.
CREATE OR REPLACE FUNCTION await.settle_rows(p_limit int) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    foreign_upto bigint := (SELECT h.floor FROM await.home h);
    given        xid8 := pg_current_xact_id();  -- this server has not given higher ones to what was committed before
    events       int;
    jobs         int;
BEGIN
    UPDATE await.event e SET xid = '3' FROM (
            SELECT o.class, o.job, o.seq FROM await.event o WHERE o.xid > given AND o.eid <= foreign_upto LIMIT p_limit FOR UPDATE SKIP LOCKED) k
        WHERE e.class = k.class AND e.job = k.job AND e.seq = k.seq;
    GET DIAGNOSTICS events = ROW_COUNT;
    UPDATE await.job j SET xid = '3' FROM (
            SELECT o.class, o.id FROM await.job o WHERE o.owner IS NOT NULL AND o.xid > given AND o.eid <= foreign_upto
            LIMIT p_limit FOR UPDATE SKIP LOCKED) k
        WHERE j.class = k.class AND j.id = k.id;
    GET DIAGNOSTICS jobs = ROW_COUNT;
    IF events + jobs = 0 THEN
        UPDATE await.home h SET foreign_rows = false WHERE h.foreign_rows;
    END IF;
    RETURN events + jobs;
END $$;

-- Notices that the rows came from another server, by its system identifier, or from another database. True: they are new here.
CREATE OR REPLACE FUNCTION await.notice_restore() RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    here record;
    h    await.home;
BEGIN
    SELECT s.system_identifier AS system, d.oid AS database INTO here FROM pg_control_system() s, pg_database d WHERE d.datname = current_database();
    SELECT * INTO h FROM await.home;
    IF (h.system, h.database) = (here.system, here.database) THEN
        RETURN false;
    END IF;
    LOCK TABLE await.home IN SHARE ROW EXCLUSIVE MODE; -- one session writes it
    INSERT INTO await.home AS o (system, database, floor, foreign_rows)
        SELECT here.system, here.database, e.last_value, true FROM await.eid e
        ON CONFLICT (one) DO UPDATE SET system = excluded.system, database = excluded.database, floor = excluded.floor, foreign_rows = true
        WHERE (o.system, o.database) <> (excluded.system, excluded.database);
    RAISE WARNING 'await: the data was restored from another server or database: run "await-ctl restored"';
    RETURN true;
END $$;

-- Notices a restored dump, and settles its rows step by step. Edges call it when they connect, before they write or read anything,
-- and maintenance calls it.
CREATE OR REPLACE FUNCTION await.settle() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT await.notice_restore() AND EXISTS (SELECT FROM await.home h WHERE h.foreign_rows) THEN
        PERFORM FROM await.turn t WHERE t.what = 'purge' FOR UPDATE SKIP LOCKED;
        IF FOUND THEN
            PERFORM await.settle_rows(2000);
        END IF;
    END IF;
END $$;
