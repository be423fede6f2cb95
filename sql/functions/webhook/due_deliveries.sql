-- The deliveries that are due, of hosts in their order from after `p_after` on, at most `p_limit`; and of a host, as
-- many as it has room for: p_rooms of p_hosts, p_room of others, without p_held, which are sent already. The earliest
-- first, none that was due before p_sinces, in microseconds since 1970 (so that a snapshot that somebody holds, in
-- which all that were sent are still there, does not make this slow). Changes nothing: there is one relay that sends,
-- which knows what it sends. `upto`: the host to go on after; NULL: there are no more. A row without a delivery only
-- says that.
--
-- `keys`: what it is signed with. NULL: its endpoint is disabled or gone, so it is given up.
CREATE OR REPLACE FUNCTION await.due_deliveries(p_after text, p_hosts text[], p_rooms int4[], p_sinces int8[],
    p_held int8[], p_room int4, p_limit int4)
RETURNS TABLE (upto text, id bigint, webhook int4, job uuid, seq int4, type text, host text, url text, body text,
    attempts int4, due int8, keys bytea[])
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_host text := coalesce(p_after, '');
    v_room int;
    v_left int := p_limit;
    v_place CONSTANT jsonb := (SELECT jsonb_object_agg(g.host, g.n) FROM unnest(p_hosts) WITH ORDINALITY g (host, n));
    v_at   int;
    r      record;
    v_for  text;                             -- whom v_keys are for: an endpoint and an origin
    v_keys bytea[];
    d      await.delivery;
BEGIN
    FOR i IN 1 .. 5000 LOOP                  -- hosts, of which most may have no room
        SELECT k.host INTO v_host FROM await.delivery_host k WHERE k.host > v_host ORDER BY k.host LIMIT 1;
        IF NOT FOUND THEN
            RETURN QUERY SELECT NULL::text, NULL::bigint, NULL::int4, NULL::uuid, NULL::int4, NULL::text, NULL::text,
                NULL::text, NULL::text, NULL::int4, NULL::int8, NULL::bytea[];
            RETURN;
        END IF;
        v_at := v_place -> v_host;           -- not by array_position(): there may be many that do not answer
        v_room := least(v_left, coalesce(p_rooms[v_at], p_room));
        CONTINUE WHEN v_room <= 0;
        FOR r IN SELECT u.* FROM await.delivery_due u
                 WHERE u.host = v_host AND u.due <= clock_timestamp()
                   AND u.due >= coalesce('epoch'::timestamptz + p_sinces[v_at] * interval '1 us', '-infinity')
                   AND u.delivery <> ALL (p_held)
                   -- or somebody has deleted it: such a row takes the room of no other
                   AND EXISTS (SELECT FROM await.delivery k WHERE k.id = u.delivery)
                 ORDER BY u.due, u.delivery LIMIT v_room LOOP
            v_left := v_left - 1;
            SELECT * INTO d FROM await.delivery k WHERE k.id = r.delivery;
            CONTINUE WHEN NOT FOUND;
            -- an HMAC takes longer than all else
            IF v_for IS DISTINCT FROM d.webhook || ' ' || substring(lower(d.url) FROM '^[a-z]+://[^/?]*') THEN
                v_for := d.webhook || ' ' || substring(lower(d.url) FROM '^[a-z]+://[^/?]*');
                v_keys := CASE WHEN d.webhook = 0 OR EXISTS (SELECT FROM await.webhook w
                                    WHERE w.id = d.webhook AND w.disabled_at IS NULL)
                               THEN await.webhook_keys(d.webhook, d.url) END;
            END IF;
            upto := v_host;
            id := d.id;
            webhook := d.webhook;
            job := d.job;
            seq := d.seq;
            type := d.type;
            host := v_host;
            url := d.url;
            body := d.body;
            attempts := r.attempts;
            due := (extract(epoch FROM greatest(r.due, 'epoch')) * 1000000)::int8;
            keys := v_keys;
            RETURN NEXT;
        END LOOP;
        EXIT WHEN v_left <= 0;
    END LOOP;
    RETURN QUERY SELECT v_host, NULL::bigint, NULL::int4, NULL::uuid, NULL::int4, NULL::text, NULL::text, NULL::text,
        NULL::text, NULL::int4, NULL::int8, NULL::bytea[];
END $$;
