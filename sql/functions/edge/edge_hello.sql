-- What an edge needs to know of its database, asked when a connection opens, and again at every re-read.
--
-- The queues in p_queues are named by the edge's configuration: they are created here, in a short transaction, stay, and do not
-- count against await.limits.queues. `unmade`: those that could not be created, and why. `hint_key`: the signing key; `old_keys`:
-- those that were rotated out and still count. `keep_ms`: how old a job can be, by retention class, 0 for ever: jobs that have not
-- ended are kept for longer than the class says. `schema_version`: the number of the newest file of sql/schema.
--
-- Also creates partitions that are missing, and notices a restored dump, before anything is written or read.
-- Creates a queue that a configuration names, and its lane. Waits at most 200 ms for another transaction that creates the same.
-- Returns why it could not be created.
CREATE OR REPLACE FUNCTION await.make_named_lane(p_queue text, p_priority int2) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $$
BEGIN
    PERFORM await.open_lane(await.lane(await.queue_id(p_queue, true), p_priority));
    UPDATE await.queue u SET named = true WHERE u.name = p_queue AND NOT u.named;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN                   -- a queue that cannot be created does not stop the others
    RETURN format('%s: %s', p_queue, sqlerrm);
END $$;

CREATE OR REPLACE FUNCTION await.edge_hello(p_queues text[], p_priorities int2[])
RETURNS TABLE (now_ms bigint, timeline text, keep_ms bigint[], hint_key bytea, old_keys bytea[], unmade text, schema_version int)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    q       record;
    missing text;
BEGIN
    PERFORM await.settle(), await.need_partitions();
    FOR q IN SELECT g.name, g.priority FROM unnest(p_queues, p_priorities) g (name, priority) LOOP
        missing := nullif(concat_ws('; ', missing, await.make_named_lane(q.name, q.priority)), '');
    END LOOP;
    PERFORM await.open_timeline();
    RETURN QUERY SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, await.timeline(),
        (SELECT array_agg(coalesce(floor(extract(epoch FROM greatest(r.keep, clock_timestamp() - o.starts)) * 1000)::bigint * (r.keep IS NOT NULL)::int, 0)
                          ORDER BY r.class)
         FROM await.retention r LEFT JOIN LATERAL (
             SELECT min(to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC') AS starts FROM pg_class c
             WHERE c.relnamespace = 'await'::regnamespace AND c.relkind = 'r' AND c.relname ~ format('^job_%s_[0-9]{8}$', r.class)) o ON true),
        (SELECT s.key FROM await.secret s),
        ARRAY(SELECT o.key FROM await.old_secret o WHERE o.until > clock_timestamp()), missing,
        (SELECT max(h.version) FROM await.schema_history h);
END $$;
