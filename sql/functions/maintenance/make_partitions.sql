-- Creates a partition, unless it exists. Waits at most 200 ms for others who lock the parent; the next call tries again.
CREATE OR REPLACE FUNCTION await.make_partition(p_base text, p_class int2, p_from timestamptz, p_until timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $$
DECLARE
    who  text;
    name text := await.partition_name(p_base, p_class, p_from);
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

-- Creates the partitions of the time until `p_ahead` from now (NULL: as await.retention has it), the next ones first. Cheap where
-- all exist. Returns what it did, one line each.
CREATE OR REPLACE FUNCTION await.make_partitions(p_ahead interval DEFAULT NULL) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r     record;
    said  text;
    moment timestamptz := clock_timestamp();
BEGIN
    FOR r IN
        SELECT p.class, base.name AS base, s.start, make_interval(secs => extract(epoch FROM p.step)) AS step
        FROM await.retention p
        CROSS JOIN LATERAL generate_series(0, ceil(extract(epoch FROM coalesce(p_ahead, p.ahead)) / extract(epoch FROM p.step))::int) n
        CROSS JOIN LATERAL (SELECT await.partition_start(p.step, moment) + n * make_interval(secs => extract(epoch FROM p.step)) AS start) s
        CROSS JOIN (VALUES (1, 'job'), (2, 'event'), (3, 'chunk')) base (ord, name)
        WHERE s.start <= moment + coalesce(p_ahead, p.ahead)
          AND to_regclass('await.' || await.partition_name(base.name, p.class, s.start)) IS NULL
        ORDER BY s.start > moment, p.class, s.start, base.ord
    LOOP
        said := await.make_partition(r.base, r.class, r.start, r.start + r.step);
        CONTINUE WHEN said IS NULL;
        RETURN NEXT said;
        EXIT WHEN said LIKE 'busy %';        -- so would be the next ones
    END LOOP;
END $$;
