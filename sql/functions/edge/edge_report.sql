-- What a node tells of itself, every few seconds: `p_id`, of this start of nginx, the name of its host, and `p_report`, which
-- has its numbers, `shown`, whether a console of it is open, `asks`, the jobs that its consoles show, and `jobs`, what it
-- knows of those that consoles of any node show. It is stored while a console of any node is open, and forgotten when none
-- is. Returns these jobs, 16 at most, and the channels of their owners. A node that has told nothing for a minute is
-- forgotten, and shown for ten seconds only (await.console_nodes). Of more than 1,000 nodes those that come later are not
-- told of.
CREATE OR REPLACE FUNCTION await.edge_report(p_id uuid, p_name text, p_report jsonb) RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' SET jit = off
AS $$
BEGIN
    PERFORM x::uuid FROM jsonb_array_elements_text(CASE WHEN jsonb_typeof(p_report -> 'asks') = 'array' THEN p_report -> 'asks'
                                                        ELSE '[]' END) x;
    IF jsonb_typeof(p_report) IS DISTINCT FROM 'object' OR length(p_report::text) > 65536 OR length(p_name) > 255 THEN
        RAISE EXCEPTION 'a report of a node needs to be an object of at most 64 KB' USING ERRCODE = '22023';
    END IF;
    IF p_report -> 'shown' IS DISTINCT FROM 'true' AND NOT EXISTS (
        SELECT FROM await.edge_node o WHERE o.id <> p_id AND o.at > clock_timestamp() - interval '10 seconds'
            AND o.report -> 'shown' = 'true') THEN
        DELETE FROM await.edge_node n WHERE n.id = p_id;
        RETURN;
    END IF;
    DELETE FROM await.edge_node n WHERE n.id IN (
        SELECT o.id FROM await.edge_node o WHERE o.at < clock_timestamp() - interval '1 minute' AND o.id <> p_id
        FOR UPDATE SKIP LOCKED);
    UPDATE await.edge_node n SET name = p_name, at = clock_timestamp(), report = p_report WHERE n.id = p_id;
    IF NOT FOUND AND (SELECT count(*) FROM await.edge_node) < 1000 THEN
        INSERT INTO await.edge_node (id, name, at, report) VALUES (p_id, p_name, clock_timestamp(), p_report)
            ON CONFLICT (id) DO NOTHING;
    END IF;
    RETURN QUERY WITH asked AS MATERIALIZED (
        SELECT a.job::uuid FROM await.edge_node n
            CROSS JOIN LATERAL jsonb_array_elements_text(CASE WHEN jsonb_typeof(n.report -> 'asks') = 'array'
                                                              THEN n.report -> 'asks' ELSE '[]' END) a (job)
            WHERE n.at > clock_timestamp() - interval '10 seconds'
            GROUP BY 1 ORDER BY min(n.id::text), 1 LIMIT 16)
        SELECT a.job FROM asked a
        UNION ALL SELECT DISTINCT await.user_id(j.owner) FROM asked a
            JOIN LATERAL (SELECT y.owner FROM await.job y WHERE y.class = await.class(a.job) AND y.id = a.job) j ON true
            WHERE j.owner IS NOT NULL;
END $$;
