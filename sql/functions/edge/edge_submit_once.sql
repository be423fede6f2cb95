-- As await.edge_submit(), for a batch in which some submissions have an Idempotency-Key. Each row says which job the submission
-- stands for: its own, or the one that came first with that key; `clash`: the first one was a different request. Of two batches
-- with the same key, on any edge, the later waits for the earlier, at most 200 ms (55P03 then).
--
-- replaces: await.edge_submit_once(uuid[], text[], int2[], text[], text[], text[], text[], text[], text[], bytea[], int8[], int8[], int2[], int8[], int8[], text[], bytea[], int8[])
CREATE OR REPLACE FUNCTION await.edge_submit_once(p_ids uuid[], p_queues text[], p_priorities int2[], p_owners text[], p_correlations text[],
    p_traces text[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes int8[],
    p_leases int8[], p_attempts int2[], p_delays int8[], p_deadlines int8[], p_keys text[], p_fingerprints bytea[], p_keeps int8[],
    p_webhooks text[] DEFAULT NULL)
RETURNS TABLE (id uuid, created_at timestamptz, clash boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    now_at   timestamptz := clock_timestamp();
    patience text := current_setting('lock_timeout');
    owned    int[];                          -- indexes of those that are the first with their key
    stands   uuid[];                         -- for each index, the job that the submission stands for
    clashes  boolean[];
BEGIN
    LOCK TABLE await.idem IN ROW EXCLUSIVE MODE; -- so that only the wait for a key is short
    PERFORM set_config('lock_timeout', '200ms', true);
    SELECT array_agg(k.id ORDER BY k.ord), array_agg(k.clash ORDER BY k.ord),
           array_agg(k.ord ORDER BY k.ord) FILTER (WHERE k.id = p_ids[k.ord])
    INTO stands, clashes, owned
    FROM await.take_keys(p_ids, p_queues, p_owners, p_keys, p_fingerprints, p_keeps) k;
    PERFORM set_config('lock_timeout', patience, true);

    IF cardinality(owned) = cardinality(p_ids) THEN
        RETURN QUERY SELECT s.id, s.created_at, false FROM await.edge_submit(p_ids, p_queues, p_priorities, p_owners, p_correlations,
            p_traces, p_types, p_names, p_params, p_payloads, p_sizes, p_leases, p_attempts, p_delays, p_deadlines,
            p_webhooks) s;
        RETURN;
    ELSIF owned IS NOT NULL THEN
        PERFORM await.edge_submit(array_agg(g.id), array_agg(g.queue), array_agg(g.priority), array_agg(g.owner), array_agg(g.correlation),
            array_agg(g.trace), array_agg(g.type), array_agg(g.name), array_agg(g.params), array_agg(g.payload), array_agg(g.size),
            array_agg(g.lease), array_agg(g.attempts), array_agg(g.delay), array_agg(g.deadline),
            CASE WHEN p_webhooks IS NOT NULL THEN array_agg(g.webhook) END)
        FROM unnest(p_ids, p_queues, p_priorities, p_owners, p_correlations, p_traces, p_types, p_names, p_params,
                    p_payloads, p_sizes, p_leases, p_attempts, p_delays, p_deadlines, p_webhooks) WITH ORDINALITY
             g (id, queue, priority, owner, correlation, trace, type, name, params, payload, size, lease, attempts, delay, deadline,
                webhook, ord)
        WHERE g.ord = ANY (owned);
    END IF;
    RETURN QUERY
    SELECT k.id, coalesce(j.created_at, now_at), coalesce(k.clash, false)
    FROM unnest(stands, clashes) WITH ORDINALITY k (id, clash, ord)
    LEFT JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id ORDER BY k.ord;
END $$;
