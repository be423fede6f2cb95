-- Whether an endpoint gets events of this type. `p_types` NULL: it gets the endings.
CREATE OR REPLACE FUNCTION await.webhook_wants(p_types text[], p_type text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN p_types IS NULL
        THEN p_type = 'batch.ready' OR p_type = ANY ('{completed,failed,cancelled,expired}'::text[])
        ELSE p_type = ANY (p_types) OR '*' = ANY (p_types) END
$$;
