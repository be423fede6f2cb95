-- Ids (UUIDv7, RFC 9562 §5.7) and the partitions that are cut by them.

CREATE FUNCTION await.class(id uuid) RETURNS int2
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT (get_byte(uuid_send(id), 5) & 3)::int2 $$;

-- The smallest id of a moment: where a partition begins.
CREATE FUNCTION await.floor_id(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT rpad(lpad(to_hex((floor(extract(epoch FROM at) * 1000))::bigint), 12, '0'), 32, '0')::uuid $$;

-- A new id: 48 bits of milliseconds (the two low ones name the retention class), 74 random bits
-- from the system's CSPRNG.
CREATE FUNCTION await.new_id(class int2 DEFAULT 1) RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    ms    bigint := floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    bytes bytea  := uuid_send(gen_random_uuid());
BEGIN
    bytes := overlay(bytes PLACING substring(int8send((ms & ~3::bigint) | class) FROM 3) FROM 1 FOR 6);
    RETURN encode(set_byte(bytes, 6, (get_byte(bytes, 6) & 15) | 112), 'hex')::uuid;
END $$;

-- Makes the partitions of the next days and drops those past their retention. Cheap when there is
-- nothing to do; edges and workers call it every hour. Returns what it did, one line each.
CREATE FUNCTION await.purge() RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r     await.retention;
    base  text;
    key   text;
    name  text;
    step  bigint;
    cut   bigint;
    part  record;
BEGIN
    IF NOT pg_try_advisory_xact_lock(x'4157'::int, 1) THEN
        RETURN;                              -- somebody else is at it
    END IF;
    FOR r IN SELECT * FROM await.retention ORDER BY class LOOP
        step := extract(epoch FROM r.step)::bigint;
        cut  := floor(extract(epoch FROM clock_timestamp()) / step)::bigint * step;
        WHILE cut <= extract(epoch FROM clock_timestamp() + r.ahead) LOOP
            FOREACH base IN ARRAY ARRAY['job', 'event', 'chunk'] LOOP
                name := format('%s_%s_%s', base, r.class, to_char(to_timestamp(cut) AT TIME ZONE 'UTC', 'YYYYMMDD'));
                CONTINUE WHEN to_regclass('await.' || name) IS NOT NULL;
                -- LIKE and ATTACH lock the parent far less than PARTITION OF does
                EXECUTE format('CREATE TABLE await.%I (LIKE await.%I INCLUDING ALL)', name, base);
                EXECUTE format('ALTER TABLE await.%I ATTACH PARTITION await.%I FOR VALUES FROM (%s, %L) TO (%s, %L)',
                    base, name, r.class, await.floor_id(to_timestamp(cut)),
                    r.class, await.floor_id(to_timestamp(cut + step)));
                RETURN NEXT 'made ' || name;
            END LOOP;
            cut := cut + step;
        END LOOP;
        CONTINUE WHEN r.keep IS NULL;
        FOR part IN
            SELECT c.relname FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
            WHERE s.nspname = 'await' AND c.relkind = 'r'
              AND c.relname ~ format('^(job|event|chunk)_%s_[0-9]{8}$', r.class)
              AND to_timestamp(right(c.relname, 8), 'YYYYMMDD') + r.step + r.keep < clock_timestamp() - interval '1 day'
        LOOP
            BEGIN                            -- behind a long reader: try again next time
                PERFORM set_config('lock_timeout', '200ms', true);
                EXECUTE format('DROP TABLE await.%I', part.relname);
                RETURN NEXT 'dropped ' || part.relname;
            EXCEPTION WHEN lock_not_available THEN
                RETURN NEXT 'busy ' || part.relname;
            END;
        END LOOP;
    END LOOP;
    -- uploads that were cut off: chunks that never got their job
    DELETE FROM await.chunk c WHERE c.kind = 'p'
        AND c.job < await.floor_id(clock_timestamp() - interval '1 day')
        AND c.job > await.floor_id(clock_timestamp() - interval '2 days')
        AND NOT EXISTS (SELECT FROM await.job j WHERE j.class = c.class AND j.id = c.job);
END $$;

SELECT await.purge();
