-- As await.publish(), but waits at most 200 ms for others who write to the topic or create it.
CREATE OR REPLACE FUNCTION await.publish_soon(p_topic text, p_type text, p_data jsonb, p_latest boolean) RETURNS int
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $$
BEGIN
    RETURN await.publish(p_topic, p_type, p_data, p_latest);
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'topic % is being written to by a transaction that does not end', quote_literal(p_topic)
        USING ERRCODE = '55P03';
END $$;

-- As await.publish(), for edges: does not wait longer than 200 ms for others who write to the topic (55P03 then, without a constraint's
-- name: it passes, and is no conflict), because an edge's next statements wait behind it. Whoever has locked a table is waited for.
CREATE OR REPLACE FUNCTION await.edge_publish(p_topic text, p_type text, p_data jsonb, p_latest boolean) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    LOCK TABLE ONLY await.job, ONLY await.event, await.job_topic, await.event_topic IN ROW EXCLUSIVE MODE;
    RETURN await.publish_soon(p_topic, p_type, p_data, p_latest);
END $$;
