-- What an edge needs to know of its database, asked when a connection opens, and again at every re-read.
--
-- The queues in p_queues are named by the edge's configuration: they are created here, in a short transaction, stay, and do not
-- count against await.limits.queues. `unmade`: those that could not be created, and why. `hint_key`: the signing key; `old_keys`:
-- those that were rotated out and still count. `keep_ms`: by retention class, 0 for ever. `schema_version`: the number of the
-- newest file of sql/schema.
CREATE OR REPLACE FUNCTION await.edge_hello(p_queues text[], p_priorities int2[])
RETURNS TABLE (now_ms bigint, timeline text, keep_ms bigint[], hint_key bytea, old_keys bytea[], unmade text, schema_version int)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $$
#variable_conflict use_column
DECLARE
    q       record;
    missing text;
BEGIN
    FOR q IN SELECT g.name, g.priority FROM unnest(p_queues, p_priorities) g (name, priority) LOOP
        BEGIN
            PERFORM await.open_lane(await.lane(await.queue_id(q.name, true), q.priority));
            UPDATE await.queue u SET named = true WHERE u.name = q.name AND NOT u.named;
        EXCEPTION WHEN OTHERS THEN           -- a queue that cannot be created does not stop the others
            missing := concat_ws('; ', missing, format('%s: %s', q.name, sqlerrm));
        END;
    END LOOP;
    PERFORM await.open_timeline();
    RETURN QUERY SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, await.timeline(),
        (SELECT array_agg(coalesce(floor(extract(epoch FROM r.keep) * 1000)::bigint, 0) ORDER BY r.class) FROM await.retention r),
        (SELECT s.key FROM await.secret s),
        ARRAY(SELECT o.key FROM await.old_secret o WHERE o.until > clock_timestamp()), missing,
        (SELECT max(h.version) FROM await.schema_history h);
END $$;
