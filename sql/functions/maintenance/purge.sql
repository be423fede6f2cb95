-- Creates a partition, unless it exists. Waits at most 200 ms for others who lock the parent; the next purge tries again.
CREATE OR REPLACE FUNCTION await.make_partition(p_base text, p_class int2, p_from timestamptz, p_until timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $$
DECLARE
    who  text;
    name text := format('%s_%s_%s', p_base, p_class, to_char(p_from AT TIME ZONE 'UTC', 'YYYYMMDD'));
BEGIN
    IF to_regclass('await.' || name) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    -- LIKE and ATTACH lock the parent far less than PARTITION OF does
    EXECUTE format('CREATE TABLE await.%I (LIKE await.%I INCLUDING ALL)', name, p_base);
    FOR who IN SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
        FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = to_regclass('await.' || name) AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON await.%I FROM %s', name, who); -- what default privileges gave away
    END LOOP;
    EXECUTE format('ALTER TABLE await.%I ATTACH PARTITION await.%I FOR VALUES FROM (%s, %L) TO (%s, %L)',
        p_base, name, p_class, await.floor_id(p_from), p_class, await.floor_id(p_until));
    RETURN 'made ' || name;
EXCEPTION WHEN lock_not_available OR duplicate_table OR unique_violation THEN
    RETURN 'busy ' || name;
END $$;

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
-- did, one line each.
CREATE OR REPLACE FUNCTION await.purge() RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
    r    await.retention;
    base text;
    old  text;
    said text;
    step interval;
    cut  timestamptz;
BEGIN
    <<making>>
    FOR r IN SELECT * FROM await.retention ORDER BY class LOOP
        step := make_interval(secs => extract(epoch FROM r.step)); -- a day has 24 hours in every time zone
        cut := to_timestamp(floor(extract(epoch FROM clock_timestamp()) / extract(epoch FROM step)) * extract(epoch FROM step));
        WHILE cut <= clock_timestamp() + r.ahead LOOP
            FOREACH base IN ARRAY ARRAY['job', 'event', 'chunk'] LOOP
                said := await.make_partition(base, r.class, cut, cut + step);
                CONTINUE WHEN said IS NULL;
                RETURN NEXT said;
                EXIT making WHEN said LIKE 'busy %'; -- so would be the next ones
            END LOOP;
            cut := cut + step;
        END LOOP;
    END LOOP;
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
    FOR old IN
        SELECT c.relname FROM await.retention o JOIN pg_class c ON c.relname ~ format('^(job|event|chunk)_%s_[0-9]{8}$', o.class)
        WHERE c.relnamespace = 'await'::regnamespace AND c.relkind = 'r'
          AND to_timestamp(right(c.relname, 8), 'YYYYMMDD') + o.step + o.keep < clock_timestamp() - interval '1 day'
        ORDER BY c.relname
    LOOP
        said := await.drop_partition(old);
        RETURN NEXT said;
        EXIT WHEN said LIKE 'busy %';
    END LOOP;
    RETURN QUERY SELECT await.purge_queues();
END $$;
