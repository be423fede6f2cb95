-- Redeems single-use tickets. `good`: the ticket is valid and this is its first use. Issued and valid until: Unix milliseconds.
-- A ticket issued before its owner was revoked is not valid.
CREATE OR REPLACE FUNCTION await.edge_use_tickets(p_ids uuid[], p_owners text[], p_issued int8[], p_untils int8[]) RETURNS TABLE (item int8, good boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT g.ord, g.id, g.owner, to_timestamp(g.issued / 1000.0) AS issued, to_timestamp(g.until / 1000.0) AS until,
               row_number() OVER (PARTITION BY g.id ORDER BY g.ord) AS n
        FROM unnest(p_ids, p_owners, p_issued, p_untils) WITH ORDINALITY g (id, owner, issued, until, ord)
    ), used AS (
        INSERT INTO await.ticket_used (id, until)
        SELECT a.id, a.until + interval '1 minute' FROM asked a WHERE a.n = 1 AND a.until > clock_timestamp() ORDER BY a.id
        ON CONFLICT DO NOTHING RETURNING id
    )
    SELECT a.ord, a.n = 1 AND EXISTS (SELECT FROM used u WHERE u.id = a.id)
               AND NOT EXISTS (SELECT FROM await.revoked r WHERE r.owner = a.owner AND r.at >= a.issued)
    FROM asked a ORDER BY a.ord;
END $$;
