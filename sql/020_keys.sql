-- The keys that hints, tickets and cursors are signed with can be renewed. What is signed with the key of before counts for
-- a day more, so that nobody who is connected notices. Edges learn of it within await_reread, or when they are shown
-- something that they cannot check.

CREATE TABLE await.old_secret (key bytea NOT NULL, until timestamptz NOT NULL);

-- A new key, and the two pads of HMAC made of it.
CREATE FUNCTION await.new_secret(OUT key bytea, OUT inner_pad bytea, OUT outer_pad bytea) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    key := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    inner_pad := key || decode(repeat('00', 32), 'hex');
    outer_pad := inner_pad;
    FOR i IN 0 .. 63 LOOP
        inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # 54);
        outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # 92);
    END LOOP;
END $$;

-- Renews the key. The one before it counts for a day more, however often this is called; with `forget`, where somebody may
-- know them, none of before counts, nor does what was signed with them: tickets not used yet, and cursors that are signed.
CREATE FUNCTION await.rotate(forget boolean DEFAULT false) RETURNS void LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOCK TABLE await.old_secret IN SHARE ROW EXCLUSIVE MODE; -- two at once: one after the other
    DELETE FROM await.old_secret o WHERE forget OR o.until <= clock_timestamp();
    IF NOT coalesce(forget, false) THEN
        INSERT INTO await.old_secret (key, until) SELECT s.key, clock_timestamp() + interval '1 day' FROM await.secret s;
    END IF;
    UPDATE await.secret s SET key = n.key, inner_pad = n.inner_pad, outer_pad = n.outer_pad FROM await.new_secret() n;
END $$;

-- As before, but a queue that cannot be made keeps the others from nothing: `unmade` says which and why. Those it names
-- stay, and count for no limit. `old_keys`: what is no longer signed with, but counts.
DROP FUNCTION await.edge_hello(text[], int2[]);
CREATE FUNCTION await.edge_hello(p_queues text[], p_priorities int2[])
RETURNS TABLE (now_ms bigint, timeline text, keep_ms bigint[], hint_key bytea, old_keys bytea[], unmade text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
#variable_conflict use_column
DECLARE
    q       record;
    missing text;
BEGIN
    FOR q IN SELECT g.name, g.priority FROM unnest(p_queues, p_priorities) g (name, priority) LOOP
        BEGIN
            PERFORM await.open_lane(await.lane(await.queue_id(q.name, true), q.priority));
            UPDATE await.queue u SET named = true WHERE u.name = q.name AND NOT u.named;
        EXCEPTION WHEN OTHERS THEN
            missing := concat_ws('; ', missing, format('%s: %s', q.name, sqlerrm));
        END;
    END LOOP;
    RETURN QUERY SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, await.timeline(),
        (SELECT array_agg(coalesce(floor(extract(epoch FROM r.keep) * 1000)::bigint, 0) ORDER BY r.class) FROM await.retention r),
        (SELECT s.key FROM await.secret s),
        ARRAY(SELECT o.key FROM await.old_secret o WHERE o.until > clock_timestamp()), missing;
END $$;
