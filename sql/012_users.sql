-- What all jobs of an owner do, as one history: user:<owner>. It is read by snapshots, for its transactions commit in
-- another order than they draw their numbers: what was committed between two moments, ordered by eid, and a moment
-- that is never taken back. docs/architecture.md tells why nothing less will do.

CREATE INDEX event_owner ON await.event (owner, xid) WHERE owner IS NOT NULL;
CREATE INDEX job_owner ON await.job (owner, xid) WHERE owner IS NOT NULL;
CREATE INDEX job_xid ON await.job (xid) WHERE owner IS NOT NULL;

-- The channel's id: where its hints go. Nothing is stored under it.
CREATE FUNCTION await.user_id(name text) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT encode(set_byte(set_byte(b, 6, (get_byte(b, 6) & 15) | 128), 8, (get_byte(b, 8) & 63) | 128), 'hex')::uuid
    FROM (SELECT '\xfffffffeffff'::bytea || substring(sha256(convert_to('user:' || name, 'UTF8')) FROM 1 FOR 10)) s (b)
$$;

-- The events of each owner's jobs that `p_since` does not see and `p_upto` ('': this moment) sees, after that eid, in
-- order; at most p_limit of each owner's and about 4 MB of all together. p_since '': none, only the moment. Each item has
-- at least one row; `complete`: that was all; `lost`: p_since, of the Unix second p_at, is older than what is kept.
CREATE FUNCTION await.edge_user_events(p_items int8[], p_owners text[], p_since text[], p_at int8[], p_upto text[], p_upto_at int8[],
    p_eids int8[], p_limit int, p_value_max int)
RETURNS TABLE (item int8, owner text, upto text, upto_at int8, complete boolean, lost boolean, id uuid, correlation_id text, eid int8,
    seq int4, type text, at timestamptz, data text, status int2, content_type text, file_name text, size bigint, body bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    now_s  int8 := floor(extract(epoch FROM clock_timestamp()));
    kept_s int8 := (SELECT extract(epoch FROM min(r.keep)) FROM await.retention r);
BEGIN
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT g.item, g.owner, g.eid, coalesce(nullif(g.upto, '')::pg_snapshot, pg_current_snapshot()) AS upto,
               CASE WHEN g.upto = '' THEN now_s ELSE g.upto_at END AS upto_at,
               CASE WHEN g.since <> '' AND g.since_at >= now_s - kept_s THEN g.since::pg_snapshot END AS since,
               g.since <> '' AND g.since_at < now_s - kept_s AS lost
        FROM unnest(p_items, p_owners, p_since, p_at, p_upto, p_upto_at, p_eids) g (item, owner, since, since_at, upto, upto_at, eid)
    ), found AS MATERIALIZED (
        SELECT a.item, f.eid, f.class, f.job, f.seq, row_number() OVER (PARTITION BY a.item ORDER BY f.eid) AS n
        FROM asked a CROSS JOIN LATERAL (
            SELECT u.eid, u.class, u.job, u.seq FROM (
                SELECT e.eid, e.class, e.job, e.seq, e.xid FROM await.event e
                WHERE e.owner = a.owner AND e.xid >= pg_snapshot_xmax(a.since)
                UNION ALL
                SELECT e.eid, e.class, e.job, e.seq, e.xid FROM pg_snapshot_xip(a.since) x (xid)
                JOIN await.event e ON e.owner = a.owner AND e.xid = x.xid
                UNION ALL
                SELECT j.eid, j.class, j.id, 1, j.xid FROM await.job j
                WHERE j.owner = a.owner AND j.xid >= pg_snapshot_xmax(a.since)
                UNION ALL
                SELECT j.eid, j.class, j.id, 1, j.xid FROM pg_snapshot_xip(a.since) x (xid)
                JOIN await.job j ON j.owner = a.owner AND j.xid = x.xid
            ) u
            WHERE pg_visible_in_snapshot(u.xid, a.upto) AND u.eid > a.eid AND u.job < 'ffffffff-0000-0000-0000-000000000000'
            ORDER BY u.eid LIMIT p_limit + 1
        ) f
    ), told AS MATERIALIZED (
        SELECT f.item, f.eid, f.job, f.seq, j.correlation_id, coalesce(e.type, 'pending') AS type, coalesce(e.at, j.created_at) AS at,
               e.text, e.status, e.content_type, e.file_name, e.size, e.value,
               coalesce(sum(coalesce(octet_length(e.text), 0) + coalesce(length(e.value), 0)) OVER
                   (ORDER BY f.item, f.eid ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
        FROM found f
        JOIN await.job j ON j.class = f.class AND j.id = f.job
        LEFT JOIN LATERAL (SELECT e.*, e.data::text AS text,
                                  CASE WHEN e.size <= p_value_max AND e.content_type ~* '^application/([a-z0-9.+-]+[+])?json( *;.*)?$' THEN e.body END AS value
                           FROM await.event e WHERE e.class = f.class AND e.job = f.job AND e.seq = f.seq) e ON true
        WHERE f.n <= p_limit
    ), counted AS (
        SELECT a.item, a.owner, a.upto, a.upto_at, a.lost, (SELECT count(*) FROM found f WHERE f.item = a.item)
                   = (SELECT count(*) FROM told t WHERE t.item = a.item AND t.before < 4194304) AS complete
        FROM asked a
    )
    SELECT c.item, c.owner, c.upto::text, c.upto_at, c.complete, c.lost, t.job, t.correlation_id, t.eid, t.seq, t.type, t.at, t.text,
           t.status, t.content_type, t.file_name, t.size, t.value
    FROM counted c LEFT JOIN told t ON t.item = c.item AND t.before < 4194304
    ORDER BY c.item, t.eid;
END $$;

-- As before, and users, with seq 0: those whose jobs changed or came.
CREATE OR REPLACE FUNCTION await.edge_tail(p_since pg_snapshot, p_limit int)
RETURNS TABLE (snapshot text, complete boolean, jobs uuid[], seqs int4[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    WITH tail AS MATERIALIZED (
        SELECT e.job, e.seq, e.owner FROM await.event e
        WHERE e.xid >= pg_snapshot_xmax(p_since) OR e.xid = ANY (ARRAY(SELECT pg_snapshot_xip(p_since)))
        LIMIT p_limit
    ), came AS MATERIALIZED (
        SELECT j.owner FROM await.job j
        WHERE j.owner IS NOT NULL AND (j.xid >= pg_snapshot_xmax(p_since) OR j.xid = ANY (ARRAY(SELECT pg_snapshot_xip(p_since))))
        LIMIT p_limit
    ), newest AS (
        SELECT t.job, max(t.seq) AS seq FROM tail t GROUP BY t.job
        UNION ALL
        SELECT await.user_id(o.owner), 0 FROM (SELECT t.owner FROM tail t WHERE t.owner IS NOT NULL UNION SELECT c.owner FROM came c) o
    )
    SELECT pg_current_snapshot()::text, (SELECT count(*) FROM tail) < p_limit AND (SELECT count(*) FROM came) < p_limit,
           coalesce(array_agg(n.job), '{}'), coalesce(array_agg(n.seq), '{}') FROM newest n;
END $$;

CREATE FUNCTION await.shard(id uuid) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT 'await:' || ((get_byte(uuid_send(id), 14) & 15) << 8 | get_byte(uuid_send(id), 15)) $$;

-- As before, and behind it a thin hint for who watches user:<owner>.
CREATE OR REPLACE FUNCTION await.hint(id uuid, seq int DEFAULT NULL) RETURNS TABLE (channel text, message text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    k    int2 := await.class(hint.id);
    e    await.event;
    j    await.job;
    rich text;
    of_user text;
BEGIN
    IF hint.seq IS NULL THEN
        SELECT * INTO e FROM await.event v WHERE v.class = k AND v.job = hint.id ORDER BY v.seq DESC LIMIT 1;
    ELSE
        SELECT * INTO e FROM await.event v WHERE v.class = k AND v.job = hint.id AND v.seq = hint.seq;
    END IF;
    of_user := CASE WHEN hint.id >= 'ffffffff-0000-0000-0000-000000000000' THEN NULL -- a topic
                    WHEN e.job IS NOT NULL THEN e.owner
                    ELSE (SELECT w.owner FROM await.job w WHERE w.class = k AND w.id = hint.id) END;
    IF e.job IS NOT NULL THEN
        channel := await.shard(hint.id);
        message := format('1 %s %s %s', hint.id, e.seq, e.type);
        IF e.xid IS DISTINCT FROM pg_current_xact_id_if_assigned() AND coalesce(length(e.body), 0) <= 5120
            AND coalesce(pg_column_size(e.data), 0) <= 8192 THEN
            SELECT * INTO j FROM await.job w WHERE w.class = k AND w.id = hint.id;
            rich := json_build_object('t', await.timeline(), 'queue', (SELECT q.name FROM await.queue q WHERE q.id = j.queue), 'owner', j.owner,
                'state', e.state, 'attempt', e.attempt, 'correlation_id', j.correlation_id, 'batch', j.batch, 'phase', j.phase,
                'retry_of', j.retry_of, 'params', j.params::text, 'created_at', floor(extract(epoch FROM j.created_at) * 1000)::bigint,
                'progress', (SELECT p.data::text FROM await.event p WHERE p.class = k AND p.job = hint.id AND p.seq = e.progress),
                'at', floor(extract(epoch FROM e.at) * 1000)::bigint, 'data', e.data::text,
                'status', e.status, 'content_type', e.content_type, 'file_name', e.file_name, 'size', e.size,
                'body', await.base64url(e.body))::text;
            IF octet_length(rich) <= 7936 THEN
                message := message || ' ' || await.sign(message || ' ' || rich) || ' ' || rich;
            END IF;
        END IF;
        RETURN NEXT;
    END IF;
    IF of_user IS NOT NULL THEN
        channel := await.shard(await.user_id(of_user));
        message := format('1 %s 0 user', await.user_id(of_user));
        RETURN NEXT;
    END IF;
END $$;

-- As before; a user of many of the jobs is told once.
CREATE OR REPLACE FUNCTION await.hints(ids uuid[]) RETURNS TABLE (channel text, message text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT h.channel, h.message FROM unnest(ids) k, LATERAL await.hint(k) h
$$;

REVOKE ALL ON FUNCTION await.user_id(text), await.shard(uuid),
    await.edge_user_events(int8[], text[], text[], int8[], text[], int8[], int8[], int, int) FROM PUBLIC;
