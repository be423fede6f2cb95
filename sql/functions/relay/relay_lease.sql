-- Whether who holds a lease with this end leads. An end that lies more than a minute ahead is one of before the clock was
-- set back.
CREATE OR REPLACE FUNCTION await.relay_leads(p_until timestamptz) RETURNS boolean
LANGUAGE sql VOLATILE
AS $$
    SELECT p_until > clock_timestamp() AND p_until < clock_timestamp() + interval '1 minute'
$$;

-- Begins to lead the relays of a name, or goes on: p_token NULL, or the token of before. (After a failover that has lost
-- the last moments, another holder may have got the same token anew.) Returns the token, or NULL if somebody else leads;
-- `holder` is who leads, and `left_ms` for how long without a word from it.
CREATE OR REPLACE FUNCTION await.relay_lease(p_relay text, p_holder text, p_token bigint, p_span interval)
RETURNS TABLE (token bigint, holder text, left_ms bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_now  CONSTANT timestamptz := clock_timestamp();
    v_span CONSTANT interval := least(p_span, interval '30 seconds');
    l      await.relay_leader;
    v_goes_on boolean;
BEGIN
    SELECT * INTO l FROM await.relay_leader o WHERE o.relay = p_relay ORDER BY o.no DESC LIMIT 1;
    v_goes_on := coalesce(l.token = p_token AND l.holder = p_holder, false);
    IF NOT v_goes_on AND await.relay_leads(l.until) THEN
        RETURN QUERY SELECT NULL::bigint, l.holder, ceil(extract(epoch FROM l.until - v_now) * 1000)::bigint;
        RETURN;
    END IF;
    IF NOT v_goes_on THEN
        IF l.no IS NOT NULL THEN             -- what the one before has begun ends first (await.relay_holds)
            PERFORM FROM await.relay_leader o WHERE o.relay = p_relay AND o.no > l.no - 100 ORDER BY o.no FOR UPDATE;
        END IF;
        l.token := coalesce(l.token, 0) + 1;
        l.since := v_now;
    END IF;
    INSERT INTO await.relay_leader (relay, no, token, holder, since, until)
        VALUES (p_relay, coalesce(l.no, 0) + 1, l.token, p_holder, l.since, clock_timestamp() + v_span)
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN                        -- another was faster
        RETURN QUERY SELECT NULL::bigint, NULL::text, extract(epoch FROM v_span)::bigint * 1000;
        RETURN;
    END IF;
    DELETE FROM await.relay_leader o WHERE o.relay = p_relay AND o.no IN (
        SELECT d.no FROM await.relay_leader d WHERE d.relay = p_relay AND d.no <= l.no AND d.no > l.no - 100
        FOR UPDATE SKIP LOCKED);
    RETURN QUERY SELECT l.token, p_holder, extract(epoch FROM v_span)::bigint * 1000;
END $$;
