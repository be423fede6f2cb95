-- Drops a partition. Waits at most 200 ms for readers; the next purge tries again.
CREATE OR REPLACE FUNCTION await.drop_partition(p_name text) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $$
BEGIN
    EXECUTE format('DROP TABLE await.%I', p_name);
    RETURN 'dropped ' || p_name;
EXCEPTION WHEN lock_not_available THEN
    RETURN 'busy ' || p_name;
END $$;

-- Creates the partitions of the next days. For callers that may see every job it also drops partitions past their retention, and
-- deletes unused queues, lanes and topics, and abandoned uploads: that locks tables for everybody until the caller's transaction
-- ends, which is not left to a worker. Creating takes no turn: a caller that stays in its transaction after a purge that created
-- nothing does not keep others from it. Cheap when there is nothing to do; edges and workers call it every hour. Returns what it
-- did, one line each; a line that begins with "more" says that a bounded step was done of something that has not ended: call again.
CREATE OR REPLACE FUNCTION await.purge() RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
    old  record;
    said text;
BEGIN
    RETURN QUERY SELECT await.make_partitions();
    IF NOT await.sees_all() THEN
        RETURN;
    END IF;
    PERFORM FROM await.turn t WHERE t.what = 'purge' FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;                              -- another session purges
    END IF;
    -- what takes long comes first: from the first drop on all others wait until the caller's transaction ends
    RETURN QUERY SELECT await.purge_uploads(20000);
    RETURN QUERY SELECT await.purge_topics(5000);
    RETURN QUERY SELECT await.purge_ended(20000);
    RETURN QUERY SELECT await.purge_retried(20000);
    RETURN QUERY SELECT await.purge_deliveries(20000);
    FOR old IN SELECT o.relname FROM await.old_partitions() o WHERE NOT o.needed ORDER BY o.relname LOOP
        said := await.drop_partition(old.relname);
        RETURN NEXT said;
        EXIT WHEN said LIKE 'busy %';
    END LOOP;
    RETURN QUERY SELECT await.purge_queues();
END $$;
