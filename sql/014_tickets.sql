-- One-use tickets, which edges sign themselves, and the end of an owner's live streams.

CREATE TABLE await.ticket_used (id uuid PRIMARY KEY, until timestamptz NOT NULL);
CREATE INDEX ticket_used_until ON await.ticket_used (until);
ALTER TABLE await.ticket_used SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);

-- Whose streams were ended, when; kept for an hour, in which every edge has heard of it.
CREATE TABLE await.revoked (owner text PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp());

-- Uses tickets, as many as edges have at once: true for whoever was first. Issued and valid until then: Unix milliseconds.
-- A ticket from before its owner's revocation is worth nothing.
CREATE FUNCTION await.edge_use_tickets(p_ids uuid[], p_owners text[], p_issued int8[], p_untils int8[]) RETURNS TABLE (item int8, good boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
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

-- Ends all live streams, sockets and held requests of this owner, on every edge. What to PUBLISH after the commit so that
-- it happens at once; else it takes as long as await_reread.
CREATE FUNCTION await.revoke(owner text) RETURNS TABLE (channel text, message text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO await.revoked AS r (owner) VALUES (revoke.owner) ON CONFLICT ON CONSTRAINT revoked_pkey DO UPDATE SET at = clock_timestamp();
    channel := 'await:revoked';
    message := '1';
    RETURN NEXT;
END $$;

-- Who was revoked of late, and when, in Unix milliseconds.
CREATE FUNCTION await.edge_revoked() RETURNS TABLE (owner text, at int8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.owner, floor(extract(epoch FROM r.at) * 1000)::int8 FROM await.revoked r WHERE r.at > clock_timestamp() - interval '1 hour'
$$;

-- Removes what is over, at most p_limit of each: keys, tickets, revocations. By now(), for an index knows no volatile function.
CREATE OR REPLACE FUNCTION await.forget_keys(p_limit int) RETURNS void LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
    DELETE FROM await.idem i USING (SELECT o.owner, o.queue, o.key FROM await.idem o WHERE o.until <= now()
                                    ORDER BY o.until LIMIT p_limit FOR UPDATE SKIP LOCKED) old
    WHERE i.owner = old.owner AND i.queue = old.queue AND i.key = old.key;
    DELETE FROM await.ticket_used t USING (SELECT o.id FROM await.ticket_used o WHERE o.until <= now()
                                           ORDER BY o.until LIMIT p_limit FOR UPDATE SKIP LOCKED) old WHERE t.id = old.id;
    DELETE FROM await.revoked r WHERE r.at <= now() - interval '1 hour';
$$;

REVOKE ALL ON FUNCTION await.edge_use_tickets(uuid[], text[], int8[], int8[]), await.revoke(text), await.edge_revoked() FROM PUBLIC;
