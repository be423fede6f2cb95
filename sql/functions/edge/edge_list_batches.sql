-- Pages of lists of batches, as await.edge_list(). `totals` are those of the batch's newest event, which costs the same
-- whatever its size; before the first all of its jobs are open. await.edge_batches() counts.

-- How many jobs a batch was given, in the form of await.batch_totals(): all of them are open.
CREATE OR REPLACE FUNCTION await.batch_first_totals(p_batch uuid, p_phases jsonb) RETURNS jsonb
LANGUAGE sql STABLE
SET enable_seqscan = off SET jit = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
    WITH added AS (
        SELECT a.phase, sum(a.jobs) AS jobs FROM await.batch_added a WHERE a.batch = p_batch GROUP BY a.phase
    )
    SELECT jsonb_build_object('total', coalesce(sum(a.jobs), 0), 'open', coalesce(sum(a.jobs), 0))
           || CASE WHEN p_phases IS NULL THEN '{}' ELSE jsonb_build_object('phases', (
                  SELECT jsonb_object_agg(p.name, jsonb_build_object('total', coalesce(b.jobs, 0),
                                                                     'open', coalesce(b.jobs, 0)))
                  FROM jsonb_array_elements_text(p_phases) p (name) LEFT JOIN added b ON b.phase = p.name)) END
    FROM added a
$$;

CREATE OR REPLACE FUNCTION await.edge_list_batches(p_owners text[], p_states text[], p_since int8[], p_until int8[],
    p_ids uuid[], p_eids int8[], p_limits int4[])
RETURNS TABLE (item int8, next_id uuid, next_eid int8, id uuid, owner text, state text, seq int4, correlation_id text,
    phases text, totals text, created_at timestamptz, updated_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    p record;
BEGIN
    FOR i IN 1 .. cardinality(p_limits) LOOP
        p := await.list_page(p_owners[i], NULL, string_to_array(p_states[i], ','), NULL,
            'epoch'::timestamptz + p_since[i] * interval '1 microsecond',
            'epoch'::timestamptz + p_until[i] * interval '1 microsecond', p_ids[i], p_eids[i], p_limits[i], true);
        RETURN QUERY
        SELECT i::int8, p.next_id, p.next_eid, b.id, b.owner, b.state, b.seq, b.correlation_id, b.phases, b.totals,
               b.created_at, b.updated_at
        FROM (VALUES (1)) one (row)
        LEFT JOIN (
            SELECT k.n, j.id, j.owner, coalesce(e.state, 'pending') AS state, coalesce(e.seq, 1) AS seq,
                   j.correlation_id, (j.extra -> 'phases')::text AS phases,
                   j.created_at, coalesce(e.at, j.created_at) AS updated_at,
                   coalesce(j.extra -> 'totals', CASE WHEN e.data ? 'total' THEN e.data END,
                            await.batch_first_totals(j.id, j.extra -> 'phases'))::text AS totals
            FROM unnest(p.ids) WITH ORDINALITY k (id, n)
            JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
            LEFT JOIN LATERAL (SELECT * FROM await.event e WHERE e.class = await.class(k.id) AND e.job = k.id
                               ORDER BY e.seq DESC LIMIT 1) e ON true) b ON true
        ORDER BY b.n;
    END LOOP;
END $$;
