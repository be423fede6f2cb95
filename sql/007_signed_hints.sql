-- Hints that prove what they say: the newest event and the job after it, signed with a key that workers cannot
-- read. Who can PUBLISH cannot forge, and an edge that believes them spares itself a read.

-- One row. The key, and the two pads of HMAC (RFC 2104) made of it, for PostgreSQL has no hmac() of its own.
CREATE TABLE await.secret (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    key   bytea NOT NULL,
    inner_pad bytea NOT NULL,
    outer_pad bytea NOT NULL
);
DO $$
DECLARE
    k    bytea := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    full_key bytea := k || decode(repeat('00', 32), 'hex');
    i_pad bytea := full_key;
    o_pad bytea := full_key;
BEGIN
    FOR i IN 0 .. 63 LOOP
        i_pad := set_byte(i_pad, i, get_byte(full_key, i) # 54);
        o_pad := set_byte(o_pad, i, get_byte(full_key, i) # 92);
    END LOOP;
    INSERT INTO await.secret (key, inner_pad, outer_pad) VALUES (k, i_pad, o_pad);
END $$;

-- Names this database and this line of its history.
CREATE FUNCTION await.timeline() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.system_identifier || '.' || left(pg_walfile_name(pg_current_wal_lsn()), 8) || '.'
               || (SELECT oid FROM pg_database WHERE datname = current_database())
    FROM pg_control_system() s
$$;

DROP FUNCTION await.edge_hello(text[], int2[]);
CREATE FUNCTION await.edge_hello(p_queues text[], p_priorities int2[])
RETURNS TABLE (now_ms bigint, timeline text, keep_ms bigint[], hint_key bytea)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT await.open_lane(await.lane(await.queue_id(q.name), q.priority)) FROM unnest(p_queues, p_priorities) q (name, priority);
    SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, await.timeline(),
           (SELECT array_agg(coalesce(floor(extract(epoch FROM r.keep) * 1000)::bigint, 0) ORDER BY r.class) FROM await.retention r),
           (SELECT s.key FROM await.secret s)
$$;

CREATE FUNCTION await.base64url(bytes bytea) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT translate(encode(bytes, 'base64'), E'+/=\n', '-_') $$;

CREATE FUNCTION await.sign(message text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT await.base64url(sha256(s.outer_pad || sha256(s.inner_pad || convert_to(message, 'UTF8')))) FROM await.secret s
$$;

-- What to PUBLISH on Redis after the commit, if one likes: of the job's newest event, or of the one named.
-- Format 1: version, job, seq, type, signature, JSON; the last two are left out (a thin hint: "look") where it
-- would be longer than 8 KB, and where the caller's own transaction wrote the event, for that proves nothing
-- before its commit. docs/workers.md has the members.
DROP FUNCTION await.hint(uuid);
CREATE FUNCTION await.hint(id uuid, seq int DEFAULT NULL) RETURNS TABLE (channel text, message text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    k    int2 := await.class(hint.id);
    e    await.event;
    j    await.job;
    body text;
    rich text;
BEGIN
    IF hint.seq IS NULL THEN
        SELECT * INTO e FROM await.event v WHERE v.class = k AND v.job = hint.id ORDER BY v.seq DESC LIMIT 1;
    ELSE
        SELECT * INTO e FROM await.event v WHERE v.class = k AND v.job = hint.id AND v.seq = hint.seq;
    END IF;
    IF e.job IS NULL THEN
        RETURN;
    END IF;
    channel := 'await:' || ((get_byte(uuid_send(hint.id), 14) & 15) << 8 | get_byte(uuid_send(hint.id), 15));
    message := format('1 %s %s %s', hint.id, e.seq, e.type);
    IF e.xid IS NOT DISTINCT FROM pg_current_xact_id_if_assigned() OR length(e.body) > 5120 OR pg_column_size(e.data) > 8192 THEN
        RETURN NEXT;
        RETURN;
    END IF;
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
    RETURN NEXT;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA await FROM PUBLIC;
