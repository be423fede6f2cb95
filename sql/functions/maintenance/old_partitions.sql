-- The partitions of await.job that hold a job which has not ended. Such a job is in await.ready, await.held, await.delayed or
-- await.lease, and in one of them in every snapshot, so its id is read there and no job is looked up. The first seven digits of an id are its time in
-- steps of a quarter of an hour; where such a step lies in two partitions, both count.
CREATE OR REPLACE FUNCTION await.open_partitions() RETURNS text[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
    SELECT array_agg(DISTINCT await.partition_name('job', r.class, await.partition_start(r.step,
               to_timestamp(('x' || rpad('0000' || o.digits, 16, filler))::bit(64)::bigint / 1000.0))))
    FROM (SELECT DISTINCT await.class(w.job) AS class, left(w.job::text, 7) AS digits
          FROM (SELECT job FROM await.ready UNION ALL SELECT job FROM await.held UNION ALL SELECT job FROM await.delayed
                UNION ALL SELECT job FROM await.lease) w) o
    JOIN await.retention r ON r.class = o.class AND r.keep IS NOT NULL
    CROSS JOIN (VALUES ('0'), ('f')) f (filler)
$$;

-- The partitions whose jobs would all be past their retention if each had ended by the day after the partition's. `needed`: some
-- job in it has not ended, or ended so late that its retention is not over. Late endings are read after the open jobs, in a
-- statement of its own: a job that was not open has committed its ending, and the note of it, by then.
CREATE OR REPLACE FUNCTION await.old_partitions() RETURNS TABLE (relname name, class int2, starts timestamptz, ends timestamptz, needed boolean)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    old  name[] := ARRAY(
        SELECT c.relname FROM await.retention o JOIN pg_class c ON c.relname ~ format('^(job|event|chunk)_%s_[0-9]{8}$', o.class)
        WHERE c.relnamespace = 'await'::regnamespace AND c.relkind = 'r'
          AND to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' + o.step + o.keep < clock_timestamp() - interval '1 day');
    open text[];
BEGIN
    IF old = '{}' THEN
        RETURN;
    END IF;
    open := await.open_partitions();
    RETURN QUERY
    SELECT p.relname, r.class, p.start, p.start + r.step,
           'job' || substr(p.relname, strpos(p.relname, '_')) = ANY (coalesce(open, '{}'))
           OR EXISTS (SELECT FROM await.late_ending l WHERE l.class = r.class
                      AND l.day >= (p.start AT TIME ZONE 'UTC')::date AND l.day < ((p.start + r.step) AT TIME ZONE 'UTC')::date
                      AND (l.ended + 1)::timestamp AT TIME ZONE 'UTC' + r.keep >= clock_timestamp())
           OR EXISTS (SELECT FROM await.batch_live b
                      WHERE await.class(b.batch) = r.class AND b.batch < await.floor_id(p.start + r.step))
    FROM (SELECT o AS relname, to_date(right(o, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' AS start,
                 substr(o, strpos(o, '_') + 1, 1)::int2 AS class
          FROM unnest(old) o) p
    JOIN await.retention r ON r.class = p.class;
END $$;
