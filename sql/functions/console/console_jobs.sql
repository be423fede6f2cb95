-- What an error says in a line.
CREATE OR REPLACE FUNCTION await.console_error(p_error jsonb) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
    SELECT left(coalesce(nullif(concat_ws(': ', p_error ->> 'title', p_error ->> 'detail'), ''),
                         p_error #>> '{error,detail}', p_error #>> '{error,title}', p_error ->> 'type'), 300)
$$;

-- One page of the jobs of all owners for the console, newest first: `queue`, `state` (several with commas between
-- them), `owner`, `batch`, `since`, `until` (RFC 3339), `limit` (up to 100), and `cursor`, the `next` of the page before.
-- await.list_page() bounds what is looked at, so a page may have fewer jobs and still be followed by another one.
CREATE OR REPLACE FUNCTION await.console_jobs(p jsonb) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    most   CONSTANT int := least(greatest(coalesce((p ->> 'limit')::int, 50), 1), 100);
    page   record;
BEGIN
    page := await.list_page(p ->> 'owner', p ->> 'queue', string_to_array(p ->> 'state', ','), (p ->> 'batch')::uuid,
        (p ->> 'since')::timestamptz, (p ->> 'until')::timestamptz, split_part(p ->> 'cursor', '.', 1)::uuid,
        split_part(p ->> 'cursor', '.', 2)::bigint, most, false);
    RETURN json_build_object('jobs', (
            SELECT coalesce(json_agg(json_build_object('id', j.id, 'queue', j.queue, 'owner', j.owner, 'state', j.state,
                'attempt', j.attempt, 'created_at', await.utc(j.created_at), 'updated_at', await.utc(j.updated_at),
                'correlation_id', j.correlation_id, 'batch', j.batch, 'retry_of', j.retry_of, 'size', j.size,
                'error', await.console_error(j.error::jsonb)) ORDER BY k.n), '[]')
            FROM unnest(page.ids) WITH ORDINALITY k (id, n)
            JOIN await.edge_jobs(page.ids, array_fill(0::int2, ARRAY[cardinality(page.ids)]), 0) j ON j.id = k.id
            WHERE left(j.queue, 1) <> '.'),
        'next', page.next_id || '.' || page.next_eid)::text;
END $$;
