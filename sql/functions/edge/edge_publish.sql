-- As await.publish(), for edges: does not wait longer than 200 ms for a lock (55P03 then), because an edge's next statements wait
-- behind it.
CREATE OR REPLACE FUNCTION await.edge_publish(p_topic text, p_type text, p_data jsonb, p_latest boolean) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $$
BEGIN
    RETURN await.publish(p_topic, p_type, p_data, p_latest);
END $$;
