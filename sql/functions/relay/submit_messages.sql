-- Messages of a topic of Kafka as jobs of a queue, in their order, each once by its key (await.submit); a key is kept
-- as long as the job is, and for a month at most. Arrays of one length. Returns how many there are, repetitions too.
-- An error about a message says what await.submit() says of it.
--
-- They are stored by one statement for all, unless one of them has options that are rare.
CREATE OR REPLACE FUNCTION await.submit_messages(p_queue text, p_payloads bytea[], p_types text[], p_options jsonb[],
    p_keys text[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_n     CONSTANT int := cardinality(p_payloads);
    v_keep  CONSTANT interval := '30 days';
    v_plain boolean;
    v_class int2;
    v_clash record;
BEGIN
    SELECT coalesce(bool_and(coalesce(length(m.payload) <= 65536 AND length(m.key) BETWEEN 1 AND 255 AND (m.o = '{}' OR
        CASE WHEN jsonb_typeof(m.o) = 'object' THEN await.is_short(m.o)
            AND m.o - '{priority,owner,correlation_id,trace,params}'::text[] = '{}'
            AND NOT jsonb_path_exists(m.o - 'params', 'strict $.* ? (@.type() != "string")')
            AND (m.o - 'params')::text !~ E'\\\\'
            AND coalesce(m.o ->> 'priority', '0') ~ '^-?[0-9]{1,2}$' END), false)), false)
    INTO v_plain FROM unnest(p_payloads, p_options, p_keys) m (payload, o, key);
    IF v_plain IS NOT TRUE THEN
        RETURN (SELECT count(await.submit(p_queue, m.payload, m.type, m.o, m.key, v_keep))
                FROM unnest(p_payloads, p_types, p_options, p_keys) m (payload, type, o, key));
    END IF;
    PERFORM await.check_content_type(m.type) FROM (SELECT DISTINCT t AS type FROM unnest(p_types) t) m;
    IF EXISTS (SELECT FROM await.queue_grant) AND NOT await.may_queue(p_queue) THEN
        RAISE EXCEPTION 'role % may not use queue %', quote_ident(session_user), quote_literal(left(p_queue, 80))
            USING ERRCODE = '42501', HINT = 'await-ctl grant';
    END IF;
    SELECT r.class INTO v_class FROM await.retention r WHERE r.name = '7d';
    -- the key and the fingerprint are those of await.submit()
    SELECT m.key, s.id INTO v_clash
    FROM (SELECT array_agg(await.new_id(v_class)) AS ids,
              array_agg(coalesce(m.o ->> 'priority', '0')::int2 ORDER BY m.n) AS priorities,
              array_agg(m.o ->> 'owner' ORDER BY m.n) AS owners,
              array_agg(m.o ->> 'correlation_id' ORDER BY m.n) AS correlations,
              array_agg(m.o ->> 'trace' ORDER BY m.n) AS traces, array_agg(m.o ->> 'params' ORDER BY m.n) AS params,
              array_agg(length(m.payload)::int8 ORDER BY m.n) AS sizes, array_agg(chr(1) || m.key ORDER BY m.n) AS keys,
              array_agg(sha256(sha256(m.payload)
                  || convert_to(concat(octet_length(m.type), ':', m.type, '-',
                         coalesce(octet_length(m.o ->> 'params') || ':' || (m.o ->> 'params'), '-')), 'UTF8'))
                  ORDER BY m.n) AS prints
          FROM unnest(p_payloads, p_types, p_options, p_keys) WITH ORDINALITY m (payload, type, o, key, n)) a,
        LATERAL await.edge_submit_once(a.ids, array_fill(p_queue, ARRAY[v_n]), a.priorities, a.owners, a.correlations,
            a.traces, p_types, array_fill(NULL::text, ARRAY[v_n]), a.params, p_payloads, a.sizes,
            array_fill(NULL::int8, ARRAY[v_n]), array_fill(NULL::int2, ARRAY[v_n]), array_fill(NULL::int8, ARRAY[v_n]),
            array_fill(NULL::int8, ARRAY[v_n]), a.keys, a.prints,
            array_fill((extract(epoch FROM v_keep) * 1000)::int8, ARRAY[v_n]))
            WITH ORDINALITY s (id, created_at, clash, n)
        JOIN unnest(p_keys) WITH ORDINALITY m (key, n) ON m.n = s.n
    WHERE s.clash LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the key % was already used in queue % with a different job',
            quote_literal(left(v_clash.key, 80)), quote_literal(p_queue) USING ERRCODE = '23505', DETAIL = format('It stands for job %s.', v_clash.id);
    END IF;
    RETURN v_n;
END $$;
