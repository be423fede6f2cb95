-- Pages of lists of jobs (await.list_page): arrays with an element for each page. `p_states`: with commas between
-- them. `p_since` and `p_until`: microseconds since 1970. For each page a row for each of its jobs, as
-- await.edge_jobs() has it without a result, or one row without a job. The last row of a page has the position of the
-- next one. A page ends early when its jobs have more than about 1 MB of params, progress and errors.
CREATE OR REPLACE FUNCTION await.edge_list(p_owners text[], p_queues text[], p_states text[], p_batches uuid[],
    p_since int8[], p_until int8[], p_ids uuid[], p_eids int8[], p_limits int4[])
RETURNS TABLE (item int8, next_id uuid, next_eid int8, id uuid, queue text, owner text, state text, seq int4,
    attempt int2, correlation_id text, batch uuid, phase text, retry_of uuid, params text, progress text,
    created_at timestamptz, updated_at timestamptz, error text, status int2, content_type text, file_name text,
    size bigint, inlined boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_most CONSTANT int := 1048576;
    p record;
BEGIN
    FOR i IN 1 .. cardinality(p_limits) LOOP
        p := await.list_page(p_owners[i], p_queues[i], string_to_array(p_states[i], ','), p_batches[i],
            'epoch'::timestamptz + p_since[i] * interval '1 microsecond',
            'epoch'::timestamptz + p_until[i] * interval '1 microsecond', p_ids[i], p_eids[i], p_limits[i],
            false);
        RETURN QUERY
        WITH found AS (
            SELECT k.n, k.eid, j.*,
                   octet_length(coalesce(j.params, '')) + octet_length(coalesce(j.progress, ''))
                   + octet_length(coalesce(j.error, '')) AS weight
            FROM unnest(p.ids, p.eids) WITH ORDINALITY k (id, eid, n)
            JOIN await.edge_jobs(p.ids, array_fill(0::int2, ARRAY[cardinality(p.ids)]), 0) j
                ON j.id = k.id AND j.queue NOT LIKE '.%'
        ), weighed AS (
            SELECT f.*, sum(f.weight) OVER (ORDER BY f.n) AS upto, lead(f.n) OVER (ORDER BY f.n) AS following
            FROM found f
        )
        SELECT i::int8, CASE WHEN w.upto >= v_most AND w.following IS NOT NULL THEN w.id ELSE p.next_id END,
               CASE WHEN w.upto >= v_most AND w.following IS NOT NULL THEN w.eid ELSE p.next_eid END, w.id, w.queue,
               w.owner, w.state, w.seq, w.attempt, w.correlation_id, w.batch, w.phase, w.retry_of, w.params,
               w.progress, w.created_at, w.updated_at, w.error, w.status, w.content_type, w.file_name, w.size, w.inlined
        FROM (VALUES (1)) one (row) LEFT JOIN weighed w ON w.upto - w.weight < v_most
        ORDER BY w.n;
    END LOOP;
END $$;
