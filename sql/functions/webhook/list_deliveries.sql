-- A delivery as JSON, with its last attempt. `p_owner`: for the owner of the job, who is not told where a name leads.
CREATE OR REPLACE FUNCTION await.delivery_document(d await.delivery, p_owner text) RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object('id', d.id::text, 'webhook', nullif(d.webhook, 0), 'url', d.url,
        'event', d.job || ':' || d.seq, 'type', d.type, 'queue', d.queue,
        'state', coalesce(e.state, CASE WHEN u.attempts > 0 THEN 'retrying' ELSE 'waiting' END),
        'created_at', await.utc(d.created_at), 'ended_at', await.utc(e.at),
        'next_attempt_at', await.utc(CASE WHEN u.due < 'infinity' AND u.attempts > 0 THEN u.due END),
        'attempts', coalesce(a.n, 0), 'status', a.status,
        'error', CASE WHEN p_owner IS NOT NULL AND a.error LIKE 'forbidden: %'
                      THEN 'forbidden: the host leads to an address that is not public' ELSE a.error END,
        'ms', a.ms)::text
    FROM (SELECT) one
    LEFT JOIN await.delivery_end e ON e.delivery = d.id
    LEFT JOIN await.delivery_due u ON u.delivery = d.id
    LEFT JOIN LATERAL (SELECT * FROM await.delivery_attempt a WHERE a.delivery = d.id ORDER BY a.n DESC LIMIT 1) a
        ON true
$$;

-- One page of the list of deliveries, newest first, of those that have all of these properties; NULL: any. `p_state`:
-- waiting, retrying, delivered or dead. `p_webhook`: 0: of jobs' own URLs. `p_owner`: of the own URLs of the jobs of
-- this owner. `p_after`: go on after this one. Each row is a document; the last one has none, and `next`, after which
-- the next page begins, NULL: there is none. No more than 2000 deliveries are looked at.
CREATE OR REPLACE FUNCTION await.list_deliveries(p_state text, p_webhook int4, p_job uuid, p_since timestamptz,
    p_after bigint, p_limit int4, p_owner text DEFAULT NULL) RETURNS TABLE (document text, next bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_from   bigint := coalesce(p_after, 9223372036854775807);
    v_limit  int := least(greatest(coalesce(p_limit, 50), 1), 200);
    v_seen   int := 0;
    v_found  int := 0;
    v_last   bigint;
    d        await.delivery;
    v_ids    refcursor;
    v_id     bigint;
    v_of     int4 := CASE WHEN p_owner IS NULL THEN p_webhook ELSE 0 END;
BEGIN
    IF p_job IS NOT NULL THEN
        OPEN v_ids FOR SELECT k.id FROM await.delivery k WHERE k.job = p_job AND k.id < v_from ORDER BY k.id DESC;
    ELSIF p_state = 'dead' THEN
        OPEN v_ids FOR SELECT e.delivery FROM await.delivery_end e WHERE e.state = 'dead' AND e.delivery < v_from
            ORDER BY e.delivery DESC;
    ELSIF p_state IN ('waiting', 'retrying') THEN
        OPEN v_ids FOR SELECT u.delivery FROM await.delivery_due u WHERE u.delivery < v_from ORDER BY u.delivery DESC;
    ELSIF v_of IS NOT NULL THEN
        OPEN v_ids FOR SELECT k.id FROM await.delivery k WHERE k.webhook = v_of AND k.id < v_from
            ORDER BY k.webhook DESC, k.id DESC;
    ELSE
        OPEN v_ids FOR SELECT k.id FROM await.delivery k WHERE k.id < v_from ORDER BY k.id DESC;
    END IF;
    LOOP
        FETCH v_ids INTO v_id;
        EXIT WHEN NOT FOUND;
        IF v_found = v_limit OR v_seen = 2000 THEN
            next := v_last;
            EXIT;
        END IF;
        v_seen := v_seen + 1;
        v_last := v_id;
        SELECT * INTO d FROM await.delivery k WHERE k.id = v_id;
        EXIT WHEN d.created_at < p_since;    -- ids are in the order of time
        CONTINUE WHEN d.webhook <> p_webhook;
        CONTINUE WHEN p_owner IS NOT NULL AND NOT await.delivery_is_of(d, p_owner);
        document := await.delivery_document(d, p_owner);
        CONTINUE WHEN document::json ->> 'state' <> p_state;
        v_found := v_found + 1;
        RETURN QUERY SELECT document, NULL::bigint;
    END LOOP;
    CLOSE v_ids;
    RETURN QUERY SELECT NULL::text, next;
END $$;
