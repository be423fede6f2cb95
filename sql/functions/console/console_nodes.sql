-- The nodes that were heard of in the last ten seconds, by name, 100 at most; of what each says, what
-- it says of itself.
CREATE OR REPLACE FUNCTION await.console_nodes() RETURNS json
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
    SELECT coalesce(json_agg(json_build_object('id', n.id, 'node', n.name,
            'age_ms', round(extract(epoch FROM clock_timestamp() - n.at) * 1000)::int8,
            'report', n.report - ARRAY['shown', 'asks', 'jobs']) ORDER BY n.name, n.id), '[]')
    FROM (SELECT o.* FROM await.edge_node o WHERE o.at > clock_timestamp() - interval '10 seconds'
          ORDER BY o.name, o.id LIMIT 100) n
$$;
