-- As await.edge_submit_once(), for a batch in which some submissions have limits: how many jobs may wait in the queue
-- (p_mosts), and of the owner in the queue (p_owner_mosts). `refused`: 'queue' or 'owner' where one is reached; nothing
-- is stored then, and `retry_ms` says when there may be room. A submission that is repeated, by its id or its key, is
-- not refused.
--
-- What other transactions store at the same moment is not seen, so a limit can be exceeded by as many submissions as
-- are being stored then.
--
-- replaces: await.edge_submit_limited(uuid[], text[], int2[], text[], text[], text[], text[], text[], text[], bytea[], int8[], int8[], int2[], int8[], int8[], text[], bytea[], int8[], int4[], int4[])
CREATE OR REPLACE FUNCTION await.edge_submit_limited(p_ids uuid[], p_queues text[], p_priorities int2[],
    p_owners text[], p_correlations text[],
    p_traces text[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes int8[],
    p_leases int8[], p_attempts int2[], p_delays int8[], p_deadlines int8[], p_keys text[], p_fingerprints bytea[],
        p_keeps int8[],
    p_mosts int4[], p_owner_mosts int4[], p_webhooks text[] DEFAULT NULL)
RETURNS TABLE (id uuid, created_at timestamptz, clash boolean, refused text, retry_ms int8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    whys  text[];                            -- for each index, why it is refused
    spans int8[];
    good  int[];
BEGIN
    PERFORM await.make_lane(g.queue, min(g.priority)) FROM unnest(p_queues, p_priorities) g (queue, priority)
        WHERE NOT EXISTS (SELECT FROM await.queue q WHERE q.name = g.queue) GROUP BY g.queue ORDER BY g.queue;
    PERFORM await.ask_of_queue(q.id, g.of_owner) FROM (
            SELECT g.queue, bool_or(g.owner_most IS NOT NULL) AS of_owner FROM unnest(p_queues, p_mosts,
                p_owner_mosts) g (queue, most, owner_most)
            WHERE g.most IS NOT NULL OR g.owner_most IS NOT NULL GROUP BY 1) g
        JOIN await.queue q ON q.name = g.queue WHERE NOT q.rated OR g.of_owner AND NOT q.quotas;
    WITH given AS MATERIALIZED (
        SELECT g.ord, g.owner, q.id AS queue, g.most, CASE WHEN g.owner IS NOT NULL THEN g.owner_most END AS owner_most
        FROM unnest(p_ids, p_queues, p_owners, p_keys, p_mosts, p_owner_mosts) WITH ORDINALITY
             g (id, queue, owner, key, most, owner_most, ord)
        JOIN await.queue q ON q.name = g.queue
        WHERE (g.most IS NOT NULL OR g.owner_most IS NOT NULL)
          AND NOT EXISTS (SELECT FROM await.job j WHERE j.class = await.class(g.id) AND j.id = g.id)
          AND NOT EXISTS (SELECT FROM await.idem i WHERE i.owner = coalesce(g.owner, '') AND i.queue = g.queue
              AND i.key = g.key
                          AND i.until > clock_timestamp())
    ), of_owners AS MATERIALIZED (
        SELECT o.queue, o.owner, await.count_waiting(o.queue, o.owner, o.most) AS n
        FROM (SELECT g.queue, g.owner, max(g.owner_most) AS most FROM given g WHERE g.owner_most IS NOT NULL
            GROUP BY 1, 2) o
    ), by_owner AS MATERIALIZED (
        SELECT g.*, coalesce(o.n + row_number() OVER (PARTITION BY g.queue, g.owner ORDER BY g.ord) > g.owner_most,
            false) AS over
        FROM given g LEFT JOIN of_owners o ON o.queue = g.queue AND o.owner = g.owner
    ), of_queues AS MATERIALIZED (
        SELECT o.queue, await.count_waiting(o.queue, NULL, o.most) AS n
        FROM (SELECT g.queue, max(g.most) AS most FROM by_owner g WHERE g.most IS NOT NULL AND NOT g.over GROUP BY 1) o
    ), judged AS (
        SELECT b.ord, CASE WHEN b.over THEN 'owner'
                 WHEN o.n + row_number() OVER (PARTITION BY b.queue, b.over
                     ORDER BY b.ord) > b.most THEN 'queue' END AS why, b.queue, b.owner
        FROM by_owner b LEFT JOIN of_queues o ON o.queue = b.queue
    ), timed AS (                            -- once for each queue and owner
        SELECT d.queue, d.owner, d.why, await.retry_ms(d.queue,
            CASE d.why WHEN 'queue' THEN 1 ELSE await.owner_ahead(d.queue, d.owner) END) AS ms
        FROM (SELECT DISTINCT j.queue, CASE j.why WHEN 'owner' THEN j.owner END AS owner, j.why FROM judged j
            WHERE j.why IS NOT NULL) d
    )
    SELECT array_agg(j.why ORDER BY g.ord), array_agg(t.ms ORDER BY g.ord), array_agg(g.ord::int
        ORDER BY g.ord) FILTER (WHERE j.why IS NULL)
    INTO whys, spans, good
    FROM unnest(p_ids) WITH ORDINALITY g (id, ord) LEFT JOIN judged j ON j.ord = g.ord
    LEFT JOIN timed t ON t.queue = j.queue AND t.why = j.why AND (t.owner IS NULL OR t.owner = j.owner);

    RETURN QUERY
    WITH stored AS MATERIALIZED (
        SELECT s.* FROM (
            SELECT array_agg(g.id ORDER BY g.ord) AS ids, array_agg(g.queue ORDER BY g.ord) AS queues,
                array_agg(g.priority ORDER BY g.ord) AS priorities,
                array_agg(g.owner ORDER BY g.ord) AS owners, array_agg(g.correlation ORDER BY g.ord) AS correlations,
                array_agg(g.trace ORDER BY g.ord) AS traces, array_agg(g.type ORDER BY g.ord) AS types,
                    array_agg(g.name ORDER BY g.ord) AS names,
                array_agg(g.params ORDER BY g.ord) AS params, array_agg(g.payload ORDER BY g.ord) AS payloads,
                    array_agg(g.size ORDER BY g.ord) AS sizes,
                array_agg(g.lease ORDER BY g.ord) AS leases, array_agg(g.attempts ORDER BY g.ord) AS attempts,
                array_agg(g.delay ORDER BY g.ord) AS delays, array_agg(g.deadline ORDER BY g.ord) AS deadlines,
                array_agg(g.key ORDER BY g.ord) AS keys, array_agg(g.fingerprint ORDER BY g.ord) AS fingerprints,
                    array_agg(g.keep ORDER BY g.ord) AS keeps,
                CASE WHEN p_webhooks IS NOT NULL THEN array_agg(g.webhook ORDER BY g.ord) END AS webhooks
            FROM unnest(p_ids, p_queues, p_priorities, p_owners, p_correlations, p_traces, p_types, p_names, p_params,
                        p_payloads, p_sizes, p_leases, p_attempts, p_delays, p_deadlines, p_keys, p_fingerprints,
                            p_keeps, p_webhooks) WITH ORDINALITY
                 g (id, queue, priority, owner, correlation, trace, type, name, params, payload, size, lease, attempts,
                     delay, deadline,
                    key, fingerprint, keep, webhook, ord)
            WHERE g.ord = ANY (good)) a
        CROSS JOIN LATERAL await.edge_submit_once(a.ids, a.queues, a.priorities, a.owners, a.correlations, a.traces,
            a.types, a.names, a.params,
            a.payloads, a.sizes, a.leases, a.attempts, a.delays, a.deadlines, a.keys, a.fingerprints,
                a.keeps, a.webhooks) WITH ORDINALITY
            s (id, created_at, clash, nth)
        WHERE a.ids IS NOT NULL
    )
    SELECT coalesce(s.id, p_ids[w.ord]), s.created_at, coalesce(s.clash, false), w.why, w.ms
    FROM unnest(whys, spans) WITH ORDINALITY w (why, ms, ord)
    LEFT JOIN stored s ON s.nth = array_position(good, w.ord::int) ORDER BY w.ord;
END $$;
