-- One page of all queues for the console, by name: those whose names contain `match`, behind the queue `after`. `limit`:
-- up to 100.
CREATE OR REPLACE FUNCTION await.console_queues(p jsonb) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    most CONSTANT int := least(greatest(coalesce((p ->> 'limit')::int, 50), 1), 100);
    ids  int4[];
    busy jsonb;
BEGIN
    ids := ARRAY(SELECT k.id FROM await.queue k
                 WHERE k.name > coalesce(p ->> 'after', '') AND left(k.name, 1) <> '.'
                   AND (p ->> 'match' IS NULL OR strpos(k.name, p ->> 'match') > 0)
                 ORDER BY k.name LIMIT most + 1);
    SELECT coalesce(jsonb_object_agg(b.queue, b.n), '{}') INTO busy
        FROM (SELECT l.queue, count(*) AS n FROM await.console_leases() l WHERE l.queue = ANY (ids) GROUP BY 1) b;
    RETURN json_build_object('queues', (
            SELECT coalesce(json_agg(await.console_queue(k.id, coalesce((busy ->> k.id::text)::bigint, 0))
                                     ORDER BY k.n), '[]')
            FROM unnest(ids[:most]) WITH ORDINALITY k (id, n)),
        'next', CASE WHEN cardinality(ids) > most
                     THEN (SELECT q.name FROM await.queue q WHERE q.id = ids[most]) END)::text;
END $$;
