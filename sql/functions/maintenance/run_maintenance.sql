-- Deletes expired rows, at most p_limit of each kind: idempotency keys, used tickets, revocations. Skips rows that another
-- transaction has locked. Compares with now(), because an index cannot be searched by the volatile clock_timestamp().
CREATE OR REPLACE FUNCTION await.purge_expired(p_limit int) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off
AS $$
    DELETE FROM await.idem i USING (SELECT o.owner, o.queue, o.key FROM await.idem o WHERE o.until <= now()
                                    ORDER BY o.until LIMIT p_limit FOR UPDATE SKIP LOCKED) old
    WHERE i.owner = old.owner AND i.queue = old.queue AND i.key = old.key;
    DELETE FROM await.ticket_used t USING (SELECT o.id FROM await.ticket_used o WHERE o.until <= now()
                                           ORDER BY o.until LIMIT p_limit FOR UPDATE SKIP LOCKED) old WHERE t.id = old.id;
    DELETE FROM await.revoked r USING (SELECT o.owner FROM await.revoked o WHERE o.at <= now() - interval '1 hour'
                                       LIMIT p_limit FOR UPDATE SKIP LOCKED) old WHERE r.owner = old.owner;
$$;

-- Reaps and deletes expired rows, unless somebody has in this second. Edges call it with every re-read, and await.claim() calls
-- it. The second is kept in a sequence, which is read and set outside of any transaction: no row is updated, and there is no lock
-- that a caller could keep. If two sessions run it at once, each skips the rows that the other has. Returns how many jobs changed.
CREATE OR REPLACE FUNCTION await.run_maintenance(p_limit int DEFAULT 100) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most        int := least(greatest(coalesce(p_limit, 100), 1), 10000);
    this_second bigint := floor(extract(epoch FROM clock_timestamp()));
    touched     int;
BEGIN
    IF (SELECT last_value FROM await.last_maintenance) = this_second
        OR current_setting('transaction_isolation') <> 'read committed' THEN -- with one snapshot for all statements it could do less
        RETURN 0;
    END IF;
    PERFORM setval('await.last_maintenance', this_second);
    touched := await.reap(most);
    PERFORM await.purge_expired(most * 100);
    RETURN touched;
END $$;
