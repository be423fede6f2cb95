-- Deletes expired rows, at most p_limit of each kind: idempotency keys, used tickets, batches that were not received whole,
-- revocations. Skips rows that another transaction has locked. Compares with now(), because an index cannot be searched by the
-- volatile clock_timestamp().
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
    DELETE FROM await.batch_stage s USING (SELECT o.batch, o.n FROM await.batch_stage o
                                           WHERE o.batch < await.floor_id(now() - interval '1 day')
                                           ORDER BY o.batch, o.n LIMIT p_limit FOR UPDATE SKIP LOCKED) old
    WHERE s.batch = old.batch AND s.n = old.n;
    DELETE FROM await.revoked r USING (SELECT o.owner FROM await.revoked o WHERE o.at <= now() - interval '1 hour'
                                       LIMIT p_limit FOR UPDATE SKIP LOCKED) old WHERE r.owner = old.owner;
$$;

-- Whether the caller has opened a transaction, in which it may stay: what is done in it is seen by nobody else until its end. Behind a
-- pooler, nginx and await-worker send settings before each statement, and say by await.single that nothing comes after it.
CREATE OR REPLACE FUNCTION await.in_transaction() RETURNS boolean
LANGUAGE sql STABLE
AS $$ SELECT now() <> statement_timestamp() AND coalesce(current_setting('await.single', true), '') <> 'on' $$;

-- Does what time brings (await.reap), deletes expired rows, creates partitions that are missing, and settles a restored dump, unless
-- somebody has in this second. Edges and await-worker call it every second, and await.claim() does too. The second is kept in a
-- sequence, which is read and set outside of any transaction: no row is updated, and there is no lock that a caller could keep. If
-- two sessions run it at once, each skips the rows that the other has. It only asks whether the second is another one, so a clock
-- that is set back stops nothing. While more is overdue the second does not count: whoever comes next goes on at once.
--
-- Returns how much was done; 0: nothing is left to do in this second. A caller that has opened a transaction leaves the work to
-- others, unless nobody does it.
CREATE OR REPLACE FUNCTION await.run_maintenance(p_limit int DEFAULT 1000) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most        int := least(greatest(coalesce(p_limit, 1000), 1), 10000);
    last_second bigint := (SELECT last_value FROM await.last_maintenance);
    this_second bigint := floor(extract(epoch FROM clock_timestamp()));
    in_block    boolean := await.in_transaction();
    handled     int;
BEGIN
    IF last_second = this_second OR in_block AND this_second - last_second BETWEEN 1 AND 4 THEN
        RETURN 0;
    END IF;
    IF in_block THEN
        most := least(most, 100);
    END IF;
    IF last_second > this_second + 1 THEN
        PERFORM await.clock_was_ahead(clock_timestamp());
    END IF;
    PERFORM setval('await.last_maintenance', this_second);
    IF NOT in_block THEN
        PERFORM await.need_partitions(), await.settle();
    END IF;
    handled := await.reap(most) + await.visit_batches(most) + await.visit_held(most);
    IF NOT in_block AND EXISTS (SELECT FROM await.queue q WHERE q.rated) THEN
        PERFORM await.count_events(p_most => 20000);
    END IF;
    IF handled >= most THEN
        PERFORM setval('await.last_maintenance', 0); -- there is more
    END IF;
    PERFORM await.purge_expired(most * 10);
    RETURN handled;
END $$;
