-- For the metrics of an edge: the sinks of the relays, the first p_most, with times in milliseconds. `behind` NULL: the
-- cursor cannot be read.
CREATE OR REPLACE FUNCTION await.edge_relays(p_most int)
RETURNS TABLE (relay text, sink text, led boolean, behind bigint, lag_ms bigint, delivered bigint, failures bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.relay, s.sink, s.leader IS NOT NULL, s.behind, (s.lag * 1000)::bigint, s.delivered, s.failures
    FROM await.relay_status() s WHERE s.sink IS NOT NULL ORDER BY s.relay, s.sink LIMIT p_most
$$;
