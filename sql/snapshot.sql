-- PostgreSQL 15. What pg_dump gives of a new database, without partitions of days. Made by: make snapshot.
CREATE SCHEMA await;
CREATE TYPE await.job_head AS (
	id uuid,
	owner text,
	queue integer,
	priority smallint,
	max_attempts smallint,
	seq integer,
	state text,
	attempt smallint,
	progress integer,
	ended boolean,
	batch uuid,
	phase text
);
CREATE FUNCTION await.add_to_batch(p_batch uuid, p_jobs uuid[], p_phases text[]) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO await.batch_open (batch, job, phase)
        SELECT p_batch, g.job, g.phase FROM unnest(p_jobs, p_phases) g (job, phase);
    INSERT INTO await.batch_added (batch, phase, jobs)
        SELECT p_batch, g.phase, count(*) FROM unnest(p_phases) g (phase) GROUP BY g.phase
$$;
CREATE FUNCTION await.add_to_histogram(p_counts bigint[], p_seconds double precision[]) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT array_agg(coalesce(p_counts[b + 1], 0) + coalesce(s.n, 0) ORDER BY b)
    FROM generate_series(0, cardinality(await.buckets())) b
    LEFT JOIN (SELECT width_bucket(x, await.buckets()) AS bucket, count(*) AS n FROM unnest(p_seconds) x GROUP BY 1) s ON s.bucket = b
$$;
CREATE FUNCTION await.add_webhook(p_url text, p_queue text DEFAULT NULL::text, p_types text[] DEFAULT NULL::text[], p_secret text DEFAULT NULL::text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    number int4;
    key    bytea := CASE WHEN p_secret IS NOT NULL THEN await.webhook_key(p_secret) END;
BEGIN
    PERFORM await.check_webhook(p_url, p_types);
    IF p_queue !~ '^[A-Za-z0-9_.-]{1,64}$' THEN
        RAISE EXCEPTION 'a queue''s name is 1 to 64 of A-Z a-z 0-9 _ . -, not %', quote_literal(left(p_queue, 80))
            USING ERRCODE = '22023';
    END IF;
    INSERT INTO await.webhook AS w (url, queue, types) VALUES (p_url, p_queue, p_types)
        ON CONFLICT (url, coalesce(queue, '')) DO UPDATE
        SET types = excluded.types, disabled_at = NULL, disabled_for = NULL
        RETURNING w.id INTO number;
    IF key IS NOT NULL THEN
        PERFORM await.replace_webhook_secret(number, key, interval '1 day');
    END IF;
    RETURN number;
END $_$;
CREATE FUNCTION await.admit_all(p_queue integer) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    h record;
BEGIN
    PERFORM await.reserve_positions();
    SELECT p_queue::bigint << 8 AS lane, '' AS owner INTO h;
    LOOP                                     -- from owner to owner, whatever the number of their jobs
        SELECT o.lane, o.owner, o.pos INTO h FROM await.held o
            WHERE (o.lane, o.owner, o.pos) > (h.lane, h.owner, 9223372036854775807)
                AND o.lane < (p_queue::bigint + 1) << 8
            ORDER BY o.lane, o.owner, o.pos LIMIT 1;
        EXIT WHEN NOT FOUND;
        INSERT INTO await.held_note (lane, owner, pos) VALUES (h.lane, h.owner, h.pos);
    END LOOP;
END $$;
CREATE TABLE await.queue (
    id integer NOT NULL,
    name text NOT NULL,
    lease interval DEFAULT '00:05:00'::interval NOT NULL,
    max_attempts smallint DEFAULT 5 NOT NULL,
    backoff_min interval DEFAULT '00:00:02'::interval NOT NULL,
    backoff_max interval DEFAULT '01:00:00'::interval NOT NULL,
    named boolean DEFAULT false NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    max_running integer,
    max_running_per_owner integer,
    fair smallint,
    quotas boolean DEFAULT false NOT NULL,
    rated boolean DEFAULT false NOT NULL,
    managed boolean GENERATED ALWAYS AS (((max_running IS NOT NULL) OR (max_running_per_owner IS NOT NULL) OR (fair IS NOT NULL))) STORED,
    special boolean GENERATED ALWAYS AS (((max_running IS NOT NULL) OR (max_running_per_owner IS NOT NULL) OR (fair IS NOT NULL) OR quotas)) STORED,
    CONSTRAINT queue_fair_check CHECK (((fair >= 1) AND (fair <= 1000))),
    CONSTRAINT queue_lease_check CHECK ((lease >= '00:00:01'::interval)),
    CONSTRAINT queue_max_attempts_check CHECK ((max_attempts >= 1)),
    CONSTRAINT queue_max_running_check CHECK ((max_running >= 1)),
    CONSTRAINT queue_max_running_per_owner_check CHECK ((max_running_per_owner >= 1)),
    CONSTRAINT queue_name_check CHECK ((name ~ '^[A-Za-z0-9_.-]{1,64}$'::text))
);
CREATE FUNCTION await.admit_held(q await.queue, p_lane bigint, p_owner text, p_after bigint, p_sure boolean DEFAULT false) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    most   int;
    after  bigint;
    first  bigint;
    moved  int;
    total  int := 0;
BEGIN
    SELECT r.room, greatest(r.origin, p_after) INTO most, after FROM await.owner_room(q, p_lane, p_owner, p_sure) r;
    WHILE most > 0 LOOP
        SELECT h.pos INTO first FROM await.held h WHERE h.lane = p_lane AND h.owner = p_owner AND h.pos > after
            ORDER BY h.pos LIMIT 1;
        EXIT WHEN NOT FOUND;
        PERFORM FROM await.held h WHERE h.lane = p_lane AND h.owner = p_owner AND h.pos = first FOR UPDATE SKIP LOCKED;
        EXIT WHEN NOT FOUND;
        PERFORM await.reserve_positions(), await.open_lane(p_lane);
        WITH next AS MATERIALIZED (
            SELECT h.pos FROM await.held h WHERE h.lane = p_lane AND h.owner = p_owner AND h.pos >= first
            ORDER BY h.pos LIMIT most FOR UPDATE SKIP LOCKED
        ), gone AS (
            DELETE FROM await.held h USING next n WHERE h.lane = p_lane AND h.owner = p_owner AND h.pos = n.pos
                RETURNING h.*
        ), live AS (
            SELECT g.* FROM gone g WHERE NOT EXISTS (
                SELECT FROM await.event e WHERE e.class = await.class(g.job) AND e.job = g.job AND e.ending)
            ORDER BY g.pos
        ), now_ready AS (
            INSERT INTO await.ready (lane, pos, job, attempt, owner, origin)
            SELECT l.lane, nextval('await.pos'), l.job, l.attempt, l.owner, l.pos FROM live l
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM now_ready), (SELECT max(g.pos) FROM gone g) INTO moved, after;
        total := total + moved;
        most := most - moved;
    END LOOP;
    IF total > 0 AND await.notifies() THEN
        PERFORM await.notify_lanes(ARRAY[p_lane]);
    END IF;
    RETURN total;
END $$;
CREATE FUNCTION await.advance_horizon() RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    last_pos  bigint;
    announced bigint;
BEGIN
    SELECT last_value INTO last_pos FROM await.pos;
    WITH held AS MATERIALIZED (
        SELECT l.locktype, l.relation, l.mode, l.classid::bigint AS high, l.objid::bigint AS low, l.objsubid, l.virtualtransaction
        FROM pg_locks l WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND l.locktype IN ('advisory', 'relation') AND l.granted
    )
    SELECT min((((a.high & x'ffff'::bigint) << 48) | (a.low << 16)) >> 16) INTO announced FROM held a
        WHERE a.locktype = 'advisory' AND a.objsubid = 1 AND a.high >> 16 = x'4157'::bigint
          AND a.virtualtransaction = ANY (ARRAY(SELECT w.virtualtransaction FROM held w WHERE w.locktype = 'relation'
                                                AND w.relation = 'await.ready'::regclass AND w.mode = 'RowExclusiveLock'));
    PERFORM setval('await.horizon', greatest(least(last_pos, announced), 0));
END $$;
CREATE FUNCTION await.advance_horizon_soon() RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    this bigint := floor(extract(epoch FROM clock_timestamp()) * 20);
BEGIN
    IF (SELECT last_value FROM await.last_advance) = this THEN
        RETURN;
    END IF;
    PERFORM setval('await.last_advance', this);
    PERFORM await.advance_horizon();
END $$;
CREATE FUNCTION await.advance_low_water(p_lane bigint) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    safe  bigint := (SELECT last_value FROM await.horizon);
    this  bigint := (SELECT last_value FROM await.last_advance);
    old   await.low_water;
    first bigint;
BEGIN
    SELECT * INTO old FROM await.low_water m WHERE m.lane = p_lane ORDER BY m.pos DESC LIMIT 1;
    old.pos := coalesce(old.pos, 0);
    IF this = old.moved OR safe <= old.pos OR current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN old.pos;
    END IF;
    SELECT min(r.pos) INTO first FROM await.ready r WHERE r.lane = p_lane AND r.pos >= old.pos;
    first := least(first, safe);
    IF first > old.pos THEN
        INSERT INTO await.low_water (lane, pos, moved) VALUES (p_lane, first, this);
        DELETE FROM await.low_water m WHERE m.ctid = ANY (ARRAY(
            SELECT o.ctid FROM await.low_water o WHERE o.lane = p_lane AND o.pos = old.pos FOR UPDATE SKIP LOCKED));
    END IF;
    RETURN greatest(first, old.pos);
END $$;
CREATE FUNCTION await.advance_running(p_queue integer) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    old   bigint := coalesce((SELECT max(m.pos) FROM await.low_water m WHERE m.lane = -p_queue), 0);
    first bigint;
BEGIN
    SELECT l.no INTO first FROM await.lease l WHERE l.queue = p_queue AND l.no >= old ORDER BY l.no LIMIT 1;
    first := coalesce(first, (SELECT s.last_value FROM await.pos s));
    IF first > old + 100 THEN
        INSERT INTO await.low_water (lane, pos) VALUES (-p_queue, first);
        DELETE FROM await.low_water m WHERE m.ctid = ANY (ARRAY(
            SELECT o.ctid FROM await.low_water o WHERE o.lane = -p_queue AND o.pos <= old FOR UPDATE SKIP LOCKED));
    END IF;
END $$;
CREATE FUNCTION await.ahead(p_lane bigint, p_mark bigint, p_pos bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    n     int;
    first bigint;
    upto  bigint;
    low   bigint;
    high  bigint;
BEGIN
    SELECT count(*), min(x.pos), max(x.pos) INTO n, first, upto FROM (
        SELECT r.pos FROM await.ready r WHERE r.lane = p_lane AND r.pos >= p_mark AND r.pos < p_pos ORDER BY r.pos
            LIMIT 1000) x;
    IF n < 1000 THEN
        RETURN n;
    END IF;
    SELECT min(x.pos), max(x.pos) INTO low, high FROM (
        SELECT r.pos FROM await.ready r WHERE r.lane = p_lane AND r.pos >= p_mark AND r.pos < p_pos ORDER BY r.pos DESC
            LIMIT 1000) x;
    RETURN greatest(1000, ((500.0 / (upto - first + 1) + 500.0 / (high - low + 1)) * (high - first + 1))::bigint);
END $$;
CREATE FUNCTION await.append_event(h await.job_head, p_type text, p_state text, p_data jsonb DEFAULT NULL::jsonb, p_attempt smallint DEFAULT NULL::smallint, p_event_id text DEFAULT NULL::text, p_status smallint DEFAULT NULL::smallint, p_content_type text DEFAULT NULL::text, p_file_name text DEFAULT NULL::text, p_size bigint DEFAULT NULL::bigint, p_body bytea DEFAULT NULL::bytea) RETURNS integer
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO await.event (class, job, seq, owner, type, state, attempt, progress, data, event_id, ending,
                             status, content_type, file_name, size, body)
    VALUES (await.class(h.id), h.id, h.seq + 1, h.owner, p_type, p_state, coalesce(p_attempt, h.attempt),
            CASE WHEN p_type = 'progress' THEN h.seq + 1 ELSE h.progress END, p_data, p_event_id,
            p_state IN ('completed', 'failed', 'cancelled', 'expired'),
            p_status, p_content_type, p_file_name, p_size, p_body);
    IF p_state IN ('completed', 'failed', 'cancelled', 'expired') THEN
        PERFORM await.job_ended(ARRAY[h.id]);
        IF h.batch IS NOT NULL THEN
            PERFORM await.batch_jobs_ended(h.batch, ARRAY[h.id], p_state);
        ELSIF await.is_batch(h.id) THEN
            PERFORM await.batch_ended(h.id, p_state);
        END IF;
    END IF;
    RETURN h.seq + 1;
END $$;
CREATE FUNCTION await.append_result(id uuid, receipt text, n integer, bytes bytea) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    k     int2 := await.class(append_result.id);
    own   int2;
    start bigint := 0;
BEGIN
    IF bytes IS NULL OR length(bytes) NOT BETWEEN 1 AND 16777216 THEN
        RAISE EXCEPTION 'a piece of a result has 1 to 16777216 bytes, not %', coalesce(length(bytes)::text, 'NULL') USING ERRCODE = '22023';
    ELSIF n IS NULL OR n < 0 THEN
        RAISE EXCEPTION 'the pieces of a result are numbered from 0, not %', coalesce(n::text, 'NULL') USING ERRCODE = '22023';
    END IF;
    SELECT l.attempt INTO own FROM await.lease l WHERE l.job = append_result.id AND l.receipt = append_result.receipt FOR SHARE;
    IF NOT FOUND OR EXISTS (SELECT FROM await.event e WHERE e.class = k AND e.job = append_result.id AND e.ending) THEN
        RETURN NULL;
    END IF;
    IF n > 0 THEN
        SELECT c.pos + length(c.bytes) INTO start FROM await.chunk c WHERE c.class = k AND c.job = append_result.id
            AND c.kind = 'r' AND c.attempt = own AND c.n = append_result.n - 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'piece % of the result is missing: it is stored before piece %', n - 1, n USING ERRCODE = '22023';
        END IF;
    END IF;
    INSERT INTO await.chunk (class, job, kind, attempt, n, pos, bytes)
        VALUES (k, append_result.id, 'r', own, append_result.n, start, append_result.bytes)
        ON CONFLICT DO NOTHING;
    RETURN start + length(bytes);
END $$;
CREATE FUNCTION await.ask_of_queue(p_queue integer, p_quotas boolean) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE await.queue q SET rated = true, quotas = q.quotas OR p_quotas WHERE q.ctid = ANY (ARRAY(
        SELECT k.ctid FROM await.queue k WHERE k.id = p_queue AND (NOT k.rated OR p_quotas AND NOT k.quotas)
        FOR NO KEY UPDATE SKIP LOCKED));
END $$;
CREATE FUNCTION await.base64url(bytes bytea) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT translate(encode(bytes, 'base64'), E'+/=\n', '-_') $$;
CREATE FUNCTION await.batch_ended(p_batch uuid, p_state text) RETURNS void
    LANGUAGE plpgsql
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
DECLARE
    k     int2 := await.class(p_batch);
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
BEGIN
    DELETE FROM await.batch_live l WHERE l.batch = p_batch;
    IF p_state <> 'completed' THEN
        INSERT INTO await.batch_todo (batch) VALUES (p_batch);
    END IF;
    IF p_batch < await.floor_id((today - 1)::timestamp AT TIME ZONE 'UTC') THEN
        INSERT INTO await.late_ending (class, day, ended)
        SELECT DISTINCT k, (to_timestamp(('x' || left(replace(j.id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)
                            AT TIME ZONE 'UTC')::date, today
        FROM await.job j
        WHERE j.class = k AND j.batch = p_batch AND j.id < await.floor_id((today - 1)::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;
CREATE FUNCTION await.batch_failures(p_batch uuid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', l.job, 'phase', l.phase, 'state', l.state,
               'title', left(e.data ->> 'title', 80), 'detail', left(e.data ->> 'detail', 200))) ORDER BY l.job), '[]')
    FROM (SELECT * FROM await.batch_loss l WHERE l.batch = p_batch ORDER BY l.job LIMIT 50) l
    LEFT JOIN LATERAL (SELECT e.data FROM await.event e
                       WHERE e.class = await.class(l.job) AND e.job = l.job AND e.ending) e ON true
$$;
CREATE FUNCTION await.batch_first_totals(p_batch uuid, p_phases jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    WITH added AS (
        SELECT a.phase, sum(a.jobs) AS jobs FROM await.batch_added a WHERE a.batch = p_batch GROUP BY a.phase
    )
    SELECT jsonb_build_object('total', coalesce(sum(a.jobs), 0), 'open', coalesce(sum(a.jobs), 0))
           || CASE WHEN p_phases IS NULL THEN '{}' ELSE jsonb_build_object('phases', (
                  SELECT jsonb_object_agg(p.name, jsonb_build_object('total', coalesce(b.jobs, 0),
                                                                     'open', coalesce(b.jobs, 0)))
                  FROM jsonb_array_elements_text(p_phases) p (name) LEFT JOIN added b ON b.phase = p.name)) END
    FROM added a
$$;
CREATE FUNCTION await.batch_jobs_ended(p_batch uuid, p_jobs uuid[], p_state text) RETURNS void
    LANGUAGE plpgsql
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
DECLARE
    here uuid := p_jobs[1];
BEGIN
    IF p_state = 'completed' THEN
        DELETE FROM await.batch_open o WHERE o.batch = p_batch AND o.job = ANY (p_jobs);
    ELSE
        WITH gone AS (
            DELETE FROM await.batch_open o WHERE o.batch = p_batch AND o.job = ANY (p_jobs) RETURNING o.*
        )
        INSERT INTO await.batch_loss (batch, job, phase, state) SELECT g.batch, g.job, g.phase, p_state FROM gone g;
    END IF;
    IF NOT FOUND THEN
        RETURN;                              -- no open row: it was counted before
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        INSERT INTO await.batch_todo (batch) VALUES (p_batch); -- it cannot know whether it was the last
        RETURN;
    END IF;
    PERFORM FROM await.batch_open o WHERE o.batch = p_batch AND o.job > here ORDER BY o.job LIMIT 1
        FOR KEY SHARE SKIP LOCKED;
    IF NOT FOUND THEN
        PERFORM FROM await.batch_open o WHERE o.batch = p_batch AND o.job < here ORDER BY o.job LIMIT 1
            FOR KEY SHARE SKIP LOCKED;
    END IF;
    IF FOUND THEN
        PERFORM await.tell_batch(p_batch);
    ELSE
        PERFORM await.finish_batch(p_batch);
    END IF;
END $$;
CREATE FUNCTION await.batch_limit_met(p_batch uuid, p_owner text, p_most integer, p_owner_most integer, OUT refused text, OUT retry_ms bigint) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    r record;
BEGIN
    IF p_most IS NULL AND p_owner_most IS NULL THEN
        RETURN;
    END IF;
    FOR r IN SELECT s.queue, min(s.priority) AS priority, count(*)::int AS n
             FROM await.batch_stage s WHERE s.batch = p_batch GROUP BY s.queue ORDER BY s.queue LOOP
        SELECT m.refused, m.retry_ms INTO refused, retry_ms
            FROM await.limit_met(await.make_lane(r.queue, r.priority), p_owner, r.n, p_most, p_owner_most) m;
        EXIT WHEN refused IS NOT NULL;
    END LOOP;
END $$;
CREATE FUNCTION await.batch_pause(p_batch uuid, p_total integer) RETURNS interval
    LANGUAGE sql
    AS $$
    SELECT greatest(interval '250 ms', interval '1 s' * (least(1, p_total / 1000.0)
           * least(60, greatest(0, extract(epoch FROM clock_timestamp())
                               - ('x' || left(replace(p_batch::text, '-', ''), 12))::bit(48)::bigint / 1000.0) / 50)))
$$;
CREATE FUNCTION await.batch_totals(p_batch uuid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
    WITH counted AS MATERIALIZED (
        SELECT c.phase, sum(c.added) AS total, sum(c.opened) AS open, sum(c.failed) AS failed,
               sum(c.cancelled) AS cancelled, sum(c.expired) AS expired
        FROM (SELECT a.phase, a.jobs AS added, 0 AS opened, 0 AS failed, 0 AS cancelled, 0 AS expired
              FROM await.batch_added a WHERE a.batch = p_batch
              UNION ALL SELECT o.phase, 0, count(*), 0, 0, 0
              FROM await.batch_open o WHERE o.batch = p_batch GROUP BY o.phase
              UNION ALL SELECT l.phase, 0, 0, count(*) FILTER (WHERE l.state = 'failed'),
                               count(*) FILTER (WHERE l.state = 'cancelled'),
                               count(*) FILTER (WHERE l.state = 'expired')
              FROM await.batch_loss l WHERE l.batch = p_batch GROUP BY l.phase) c
        GROUP BY GROUPING SETS ((), (c.phase))
    ), named AS (
        SELECT c.phase, jsonb_build_object('total', coalesce(c.total, 0), 'done', coalesce(c.total - c.open, 0),
                   'open', coalesce(c.open, 0),
                   'completed', coalesce(c.total - c.open - c.failed - c.cancelled - c.expired, 0),
                   'failed', coalesce(c.failed, 0), 'cancelled', coalesce(c.cancelled, 0),
                   'expired', coalesce(c.expired, 0)) AS counts
        FROM counted c
    ), declared AS (
        SELECT jsonb_object_agg(p.name, coalesce(n.counts,
                   '{"total":0,"done":0,"open":0,"completed":0,"failed":0,"cancelled":0,"expired":0}')) AS phases
        FROM await.job j CROSS JOIN LATERAL jsonb_array_elements_text(j.extra -> 'phases') p (name)
        LEFT JOIN named n ON n.phase = p.name
        WHERE j.class = await.class(p_batch) AND j.id = p_batch
    )
    SELECT n.counts || CASE WHEN d.phases IS NULL THEN '{}' ELSE jsonb_build_object('phases', d.phases) END
    FROM (SELECT counts FROM named WHERE phase IS NULL ORDER BY (counts ->> 'total')::int DESC LIMIT 1) n
    CROSS JOIN declared d
$$;
CREATE FUNCTION await.blend(p_rate double precision, n integer, p_since timestamp with time zone, p_rate_at timestamp with time zone) RETURNS double precision
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE WHEN p_rate_at IS NULL THEN n / b.seconds
                ELSE p_rate * exp(-least(b.seconds + b.idle, 600) / 30) + n / b.seconds * (1 - exp(-least(b.seconds, 600) / 30)) END
    FROM (SELECT greatest(extract(epoch FROM clock_timestamp() - p_since), 1)::float8 AS seconds,
                 greatest(extract(epoch FROM p_since - coalesce(p_rate_at, p_since)), 0)::float8 AS idle) b
$$;
CREATE FUNCTION await.buckets() RETURNS double precision[]
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT ARRAY[0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 3600]::float8[] $$;
CREATE FUNCTION await.cancel(id uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    h await.job_head := await.lock_job(cancel.id);
BEGIN
    IF h.id IS NULL OR h.id >= 'ffffffff-0000-0000-0000-000000000000' THEN
        RETURN NULL;                         -- topics are no jobs
    ELSIF h.ended THEN
        RETURN CASE h.state WHEN 'cancelled' THEN 'already' ELSE 'ended' END;
    END IF;
    IF await.is_batch(cancel.id) THEN
        PERFORM await.append_event(h, 'cancelled', 'cancelled', await.batch_totals(cancel.id));
        IF current_setting('transaction_isolation') = 'read committed' THEN
            PERFORM await.cancel_batch_jobs(cancel.id, 100);
        END IF;
    ELSE
        PERFORM await.append_event(h, 'cancelled', 'cancelled');
        PERFORM await.leave_line(h);
    END IF;
    RETURN 'cancelled';
END $$;
CREATE FUNCTION await.cancel_batch_jobs(p_batch uuid, p_limit integer) RETURNS integer
    LANGUAGE plpgsql
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
DECLARE
    one uuid;
    h   await.job_head;
    n   int := 0;
BEGIN
    FOR one IN SELECT o.job FROM await.batch_open o WHERE o.batch = p_batch ORDER BY o.job LIMIT p_limit
               FOR UPDATE SKIP LOCKED LOOP
        h := await.lock_job(one, true);
        IF h.ended IS FALSE THEN
            PERFORM await.append_event(h, 'cancelled', 'cancelled');
            PERFORM await.leave_line(h);
            n := n + 1;
        ELSIF NOT EXISTS (SELECT FROM await.job j WHERE j.class = await.class(one) AND j.id = one) THEN
            DELETE FROM await.batch_open o WHERE o.batch = p_batch AND o.job = one;
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM await.batch_open o WHERE o.batch = p_batch) THEN
        RETURN n;
    END IF;
    UPDATE await.job j SET extra = j.extra || jsonb_build_object('totals', await.batch_totals(p_batch))
        WHERE j.class = await.class(p_batch) AND j.id = p_batch;
    DELETE FROM await.batch_added a WHERE a.batch = p_batch;
    DELETE FROM await.batch_loss l WHERE l.batch = p_batch;
    RETURN NULL;
END $$;
CREATE FUNCTION await.check_content_type(value text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
BEGIN
    IF value !~ E'^[A-Za-z0-9!#$%&''*+.^_`|~-]{1,127}/[A-Za-z0-9!#$%&''*+.^_`|~-]{1,127}([ \\t]*;[\\x20-\\x7e\\t]*)?$' OR length(value) > 255 THEN
        RAISE EXCEPTION 'content type % is not of the form type/subtype (RFC 9110)', quote_literal(left(value, 80)) USING ERRCODE = '22023';
    END IF;
END $_$;
CREATE FUNCTION await.check_data(data jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF data IS NULL OR await.is_short(data) THEN
        RETURN;
    END IF;
    PERFORM await.check_json(data, 'an event''s data');
    IF NOT await.fits_event(data) THEN
        RAISE EXCEPTION 'an event carries at most 48 KB of data; put more into the result' USING ERRCODE = '22023';
    END IF;
END $$;
CREATE FUNCTION await.check_event_type(type text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
BEGIN
    IF type IS NULL OR type !~ '^[a-z0-9_.-]{1,64}$' OR type IN ('pending', 'processing', 'completed', 'failed', 'cancelled', 'expired',
        'progress', 'batch.ready', 'open', 'error', 'message', 'reset', 'ready', 'beat') THEN
        RAISE EXCEPTION 'event type % is reserved, or is not 1 to 64 of a-z 0-9 _ . -', quote_nullable(left(type, 80))
            USING ERRCODE = '22023';
    END IF;
END $_$;
CREATE FUNCTION await.check_file_name(value text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF value ~ E'[[:cntrl:]/\\\\]' OR length(value) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'file name % contains a control character or a path separator, or does not have 1 to 255 characters',
            quote_literal(left(value, 80)) USING ERRCODE = '22023';
    END IF;
END $$;
CREATE FUNCTION await.check_filter(filter jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    wrong text;
BEGIN
    IF filter IS NULL OR jsonb_typeof(filter) <> 'object' THEN
        RAISE EXCEPTION 'a filter is a JSON object' USING ERRCODE = '22023';
    END IF;
    SELECT string_agg(left(k, 80), ', ') INTO wrong FROM (SELECT k FROM jsonb_object_keys(filter) k
        WHERE k NOT IN ('queue', 'state', 'created_after', 'created_before', 'error_type', 'owner') LIMIT 10) u;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'a filter has queue, state, owner, created_after, created_before and error_type, not %', wrong
            USING ERRCODE = '22023';
    ELSIF filter ->> 'state' NOT IN ('completed', 'failed', 'cancelled', 'expired') THEN
        RAISE EXCEPTION 'the state of a filter is completed, failed, cancelled or expired, not %',
            quote_literal(left(filter ->> 'state', 80))
            USING ERRCODE = '22023';
    ELSIF NOT EXISTS (SELECT FROM await.queue q WHERE q.name = filter ->> 'queue') AND filter ? 'queue' THEN
        RAISE EXCEPTION 'there is no queue %', quote_nullable(left(filter ->> 'queue', 80)) USING ERRCODE = '22023';
    END IF;
    PERFORM await.list_time(filter, 'created_after'), await.list_time(filter, 'created_before');
END $$;
CREATE FUNCTION await.check_json(value jsonb, what text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
BEGIN
    IF value IS NULL OR await.is_short(value) THEN
        RETURN;
    ELSIF EXISTS (SELECT FROM jsonb_path_query(value, 'strict $.** ? (@.type() == "number")') n
                  WHERE (scale(n::numeric) > 90 OR abs(n::numeric) >= 1e90) AND length(n::text) > 400) THEN
        RAISE EXCEPTION '% contains a number of more than 400 characters', what USING ERRCODE = '22023';
    END IF;
END $_$;
CREATE FUNCTION await.check_options(o jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    wrong text;
BEGIN
    IF jsonb_typeof(o) <> 'object' THEN
        RAISE EXCEPTION 'the options of await.submit are a JSON object' USING ERRCODE = '22023';
    ELSIF pg_column_size(o) > 1048576 THEN
        RAISE EXCEPTION 'params have at most 64 KB' USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_json(o, 'the options of await.submit');
    SELECT string_agg(left(k, 80), ', ') INTO wrong FROM (SELECT k FROM jsonb_object_keys(o) k WHERE k NOT IN ('priority', 'owner',
        'correlation_id', 'trace', 'file_name', 'params', 'lease', 'max_attempts', 'delay', 'deadline', 'retain', 'batch', 'phase',
        'webhook', 'webhook_on') LIMIT 10) u;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'await.submit has no option %', wrong USING ERRCODE = '22023';
    END IF;
    SELECT e.key INTO wrong FROM jsonb_each_text(o - 'params') e WHERE length(e.value) > 1000 LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'the option % has at most 1000 characters', wrong USING ERRCODE = '22023';
    ELSIF octet_length((o -> 'params')::text) > 65536 THEN
        RAISE EXCEPTION 'params have at most 64 KB, not %', octet_length((o -> 'params')::text) USING ERRCODE = '22023';
    END IF;
END $$;
CREATE FUNCTION await.check_phases(p_batch uuid, p_declared jsonb, p_phases text[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    bad text;
BEGIN
    SELECT p INTO bad FROM unnest(p_phases) p
        WHERE CASE WHEN p_declared IS NULL THEN p IS NOT NULL ELSE p IS NULL OR NOT p_declared ? p END LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    ELSIF bad IS NULL THEN
        RAISE EXCEPTION 'a job of batch % needs a phase', p_batch USING ERRCODE = '22023',
            HINT = format('Its phases are %s.', left(p_declared::text, 200));
    END IF;
    RAISE EXCEPTION 'batch % has no phase %', p_batch, quote_literal(left(bad, 80)) USING ERRCODE = '22023',
        HINT = CASE WHEN p_declared IS NULL THEN 'It has no phases.'
                    ELSE format('Its phases are %s.', left(p_declared::text, 200)) END;
END $$;
CREATE FUNCTION await.check_values(o jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    wrong text;
BEGIN
    SELECT e.key INTO wrong FROM jsonb_each(o) e WHERE jsonb_typeof(e.value) IN ('object', 'array', 'boolean') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the option % is a text or a number', wrong USING ERRCODE = '22023';
    END IF;
    SELECT k INTO wrong FROM unnest('{correlation_id,trace}'::text[]) k WHERE o ->> k ~ E'[\\x01-\\x1f\\x7f]' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the option % contains a control character', wrong USING ERRCODE = '22023';
    END IF;
END $$;
CREATE FUNCTION await.check_webhook(p_url text, p_types text[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
DECLARE
    host text := substring(p_url FROM '^[Hh][Tt][Tt][Pp][Ss]?://([^/?#]*)');
    port text := substring(host FROM ':([0-9]{1,5})$');
    bad  text;
BEGIN
    IF p_url IS NULL OR length(p_url) > 2000 OR p_url !~ E'^[\\x21-\\x7e]+$' OR p_url ~ E'["<>\\\\^`{|}#]' THEN
        RAISE EXCEPTION 'the URL of a webhook is 1 to 2000 characters of ASCII, without a fragment, not %',
            quote_nullable(left(p_url, 80)) USING ERRCODE = '22023';
    ELSIF host IS NULL OR host !~ '^([A-Za-z0-9._-]+|[[][0-9A-Fa-f:.]+[]])(:[0-9]{1,5})?$'
          OR port IS NOT NULL AND port::int NOT BETWEEN 1 AND 65535 THEN
        RAISE EXCEPTION 'the URL of a webhook is https://host[:port]/..., without a user name, not %',
            quote_literal(left(p_url, 80)) USING ERRCODE = '22023';
    ELSIF cardinality(p_types) NOT BETWEEN 1 AND 32 THEN
        RAISE EXCEPTION 'a webhook has 1 to 32 types of events, not %', cardinality(p_types) USING ERRCODE = '22023';
    END IF;
    SELECT t INTO bad FROM unnest(p_types) t WHERE t IS NULL OR t !~ '^([a-z0-9_.-]{1,64}|[*])$' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the type of an event is 1 to 64 of a-z 0-9 _ . -, or *, not %', quote_nullable(left(bad, 80))
            USING ERRCODE = '22023';
    END IF;
END $_$;
CREATE FUNCTION await.claim(queues text[], worker text, n integer DEFAULT 1, lease interval DEFAULT NULL::interval, inline integer DEFAULT 1048576, pieces boolean DEFAULT false) RETURNS TABLE(id uuid, receipt text, attempt integer, queue text, payload bytea, content_type text, file_name text, params jsonb, batch uuid, phase text, trace text, deadline timestamp with time zone, payload_size bigint, correlation_id text, lease_for interval)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    p_lease  interval := make_interval(secs => extract(epoch FROM claim.lease)); -- see await.option_span()
    p_worker text := claim.worker;
    wanted   int := coalesce(claim.n, 1);
    p_inline int := coalesce(claim.inline, 1048576);
    p_pieces boolean := coalesce(claim.pieces, false);
    foreign_queue text;
    lanes    record;
    jobs     uuid[];
    attempts int2[];
    in_lanes bigint[];
    in_pos   bigint[];
    owners   text[];                         -- of special queues
    managed  int4;                           -- the queue whose lane it is, if it is managed
    salt     CONSTANT int4 := (random() * 2147483647)::int4;
    origins  bigint[];
    sizes    bigint;                         -- of the payloads of these jobs that come inline
    largest  bigint;
    room     bigint := 16777216;             -- for payloads, in this call
    refused  int := 0;
    given    int;
    fit      int;
BEGIN
    IF wanted NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'await.claim takes 1 to 1000 jobs, not %', wanted USING ERRCODE = '22023';
    ELSIF p_lease NOT BETWEEN interval '1 second' AND interval '1 day' THEN
        RAISE EXCEPTION 'a lease lasts a second to a day, not %; heartbeats renew it', p_lease USING ERRCODE = '22023';
    ELSIF claim.queues IS NULL OR array_ndims(claim.queues) > 1 OR cardinality(claim.queues) > 1000 OR array_position(claim.queues, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'await.claim needs a list of at most 1000 queues' USING ERRCODE = '22023';
    ELSIF length(p_worker) > 255 THEN
        RAISE EXCEPTION 'a worker''s name has at most 255 characters' USING ERRCODE = '22023';
    ELSIF p_inline NOT BETWEEN 0 AND 268435456 THEN
        RAISE EXCEPTION 'inline is a number of bytes from 0 to 268435456, not %', p_inline USING ERRCODE = '22023',
            HINT = 'larger ones are read in pieces: pieces => true, and await.payload()';
    END IF;
    IF EXISTS (SELECT FROM await.queue_grant) THEN
        SELECT k INTO foreign_queue FROM unnest(claim.queues) k WHERE NOT await.may_queue(k) LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'role % may not claim from queue %', quote_ident(session_user), quote_literal(left(foreign_queue, 80))
                USING ERRCODE = '42501', HINT = 'await-ctl grant gives a role queues.';
        END IF;
    END IF;
    PERFORM await.run_maintenance(), await.advance_horizon_soon();
    FOR lanes IN
        -- by priority, and within it managed queues one by one, in any order
        SELECT (m.lane & 255) << 32 | q.turn AS turn, array_agg(m.lane) AS lane,
               array_agg(await.advance_low_water(m.lane)) AS mark
        FROM (SELECT k.id, (CASE WHEN k.managed THEN k.id ELSE 0 END) # salt AS turn FROM await.queue k
              WHERE k.name = ANY (claim.queues) AND NOT k.paused) q
        JOIN await.lane_in_use m ON m.lane >> 8 = q.id
        GROUP BY 1 ORDER BY 1
    LOOP
        managed := nullif((lanes.turn & 2147483647)::int4 # salt, 0);
        LOOP
            EXIT WHEN wanted = 0 OR refused >= 100;
            IF managed IS NOT NULL THEN
                SELECT p.jobs, p.attempts, p.in_lanes, p.in_pos, p.owners, p.origins
                    INTO jobs, attempts, in_lanes, in_pos, owners, origins
                    FROM await.pick_managed(managed, lanes.lane[1], lanes.mark[1], wanted) p;
            ELSE
                WITH picked AS MATERIALIZED (
                    SELECT r.lane, r.pos FROM unnest(lanes.lane, lanes.mark) l (lane, mark)
                    CROSS JOIN LATERAL (SELECT y.lane, y.pos FROM await.ready y WHERE y.lane = l.lane AND y.pos >= l.mark
                                        ORDER BY y.pos LIMIT wanted FOR UPDATE SKIP LOCKED) r
                    ORDER BY r.pos LIMIT wanted
                ), taken AS (
                    DELETE FROM await.ready y USING picked p WHERE y.lane = p.lane AND y.pos = p.pos RETURNING y.*
                )
                SELECT array_agg(t.job), array_agg(t.attempt), array_agg(t.lane), array_agg(t.pos), array_agg(t.owner),
                       array_agg(t.origin)
                    INTO jobs, attempts, in_lanes, in_pos, owners, origins
                    FROM (SELECT * FROM taken ORDER BY pos) t;
            END IF;
            EXIT WHEN jobs IS NULL;
            SELECT sum(l.payload_size) FILTER (WHERE l.payload_size <= p_inline), max(l.payload_size) INTO sizes, largest
            FROM (SELECT j.payload_size FROM unnest(jobs) k (job) JOIN await.job j ON j.class = await.class(k.job) AND j.id = k.job
                  ORDER BY j.id FOR NO KEY UPDATE OF j) l;
            IF sizes > room THEN             -- the first that fit, or one alone; the others go back to their places
                SELECT greatest(count(*) FILTER (WHERE u.upto <= room), CASE WHEN room = 16777216 THEN 1 ELSE 0 END) INTO fit
                FROM (SELECT sum(CASE WHEN j.payload_size <= p_inline THEN j.payload_size ELSE 0 END) OVER (ORDER BY t.ord) AS upto
                      FROM unnest(jobs) WITH ORDINALITY t (job, ord)
                      JOIN await.job j ON j.class = await.class(t.job) AND j.id = t.job) u;
                INSERT INTO await.ready (lane, pos, job, attempt, owner, origin)
                    SELECT * FROM unnest(in_lanes[fit + 1:], in_pos[fit + 1:], jobs[fit + 1:], attempts[fit + 1:], owners[fit + 1:],
                                         origins[fit + 1:]);
                IF await.notifies() THEN     -- for other workers
                    PERFORM await.notify_lanes(in_lanes[fit + 1:]);
                END IF;
                jobs := jobs[:fit];
                attempts := attempts[:fit];
                origins := origins[:fit];
                wanted := 0;                 -- and nothing of lower priority passes them
            END IF;
            room := room - coalesce(sizes, 0);
            IF largest > p_inline AND NOT p_pieces THEN
                PERFORM await.refuse_payload(j.id, t.attempt, p_inline) FROM unnest(jobs, attempts) t (job, attempt)
                    JOIN await.job j ON j.class = await.class(t.job) AND j.id = t.job WHERE j.payload_size > p_inline;
                GET DIAGNOSTICS fit = ROW_COUNT;
                refused := refused + fit;
            END IF;
            RETURN QUERY
            WITH live AS MATERIALIZED (       -- without jobs that ended (were cancelled) while they waited
                SELECT t.ord, t.attempt, t.origin, j AS job, q.name, coalesce(e.seq, 1) AS seq, e.progress,
                       least(greatest(coalesce(p_lease, j.lease, q.lease), interval '1 second'), interval '1 day') AS span,
                       t.attempt || '.' || await.base64url(uuid_send(gen_random_uuid())) AS receipt
                FROM unnest(jobs, attempts, origins) WITH ORDINALITY t (job, attempt, origin, ord)
                JOIN await.job j ON j.class = await.class(t.job) AND j.id = t.job
                JOIN await.queue q ON q.id = j.queue
                LEFT JOIN LATERAL (SELECT e.seq, e.state, e.progress FROM await.event e
                                   WHERE e.class = await.class(t.job) AND e.job = t.job ORDER BY e.seq DESC LIMIT 1) e ON true
                WHERE coalesce(e.state, 'pending') = 'pending' AND (p_pieces OR j.payload_size <= p_inline)
            ), said AS (
                INSERT INTO await.event (class, job, seq, owner, type, state, attempt, progress)
                SELECT (l.job).class, (l.job).id, l.seq + 1, (l.job).owner, 'processing', 'processing', l.attempt, l.progress FROM live l
            ), leased AS (
                INSERT INTO await.lease (job, attempt, worker, span, until, receipt, queue, lane, owner, no, origin)
                SELECT (l.job).id, l.attempt, p_worker, l.span, clock_timestamp() + l.span, l.receipt, managed,
                       CASE WHEN managed IS NOT NULL THEN in_lanes[1] END,
                       CASE WHEN managed IS NOT NULL THEN (l.job).owner END,
                       CASE WHEN managed IS NOT NULL THEN nextval('await.pos') END,
                       CASE WHEN managed IS NOT NULL THEN l.origin END
                FROM live l
            )
            SELECT (l.job).id, l.receipt, l.attempt::int, l.name,
                   CASE WHEN (l.job).payload_size > p_inline THEN NULL
                        WHEN (l.job).payload IS NOT NULL THEN (l.job).payload
                        ELSE await.stored_payload((l.job).id) END,
                   (l.job).content_type, (l.job).file_name, (l.job).params,
                   (l.job).batch, (l.job).phase, (l.job).trace, (l.job).deadline,
                   (l.job).payload_size, (l.job).correlation_id, l.span
            FROM live l ORDER BY l.ord;
            GET DIAGNOSTICS given = ROW_COUNT;
            wanted := greatest(wanted - given, 0);
            IF managed IS NOT NULL THEN
                PERFORM await.move_up(managed, in_lanes[1], owners, origins);
            END IF;
        END LOOP;
    END LOOP;
END $$;
CREATE FUNCTION await.class(id uuid) RETURNS smallint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT (get_byte(uuid_send(id), 5) & 3)::int2 $$;
CREATE FUNCTION await.clock_was_ahead(p_now timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET jit TO 'off'
    AS $$
DECLARE
    ahead uuid := await.floor_id(p_now + interval '1 second'); -- ids of then are higher
BEGIN
    UPDATE await.lease l SET until = p_now + l.span WHERE l.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.lease o WHERE o.until > p_now + o.span + interval '1 second' FOR UPDATE SKIP LOCKED));
    -- of new jobs, and of those that were put back
    UPDATE await.delayed d SET due = d.due - (k.at - p_now) FROM (
            SELECT o.due, o.pos, w.at FROM await.delayed o CROSS JOIN LATERAL (
                SELECT j.created_at AS at FROM await.job j WHERE o.attempt = 1 AND o.job > ahead AND j.class = await.class(o.job) AND j.id = o.job
                UNION ALL
                (SELECT e.at FROM await.event e WHERE o.attempt > 1 AND e.class = await.class(o.job) AND e.job = o.job ORDER BY e.seq DESC LIMIT 1)) w
            WHERE w.at > p_now + interval '1 second' FOR UPDATE OF o SKIP LOCKED) k
        WHERE d.due = k.due AND d.pos = k.pos;
    UPDATE await.deadline d SET at = d.at - (k.created_at - p_now) FROM (
            SELECT o.at, o.job, j.created_at FROM await.deadline o JOIN await.job j ON j.class = await.class(o.job) AND j.id = o.job
            WHERE o.job > ahead AND j.created_at > p_now + interval '1 second' FOR UPDATE OF o SKIP LOCKED) k
        WHERE d.at = k.at AND d.job = k.job;
    UPDATE await.batch_live b SET visit = p_now WHERE b.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.batch_live o WHERE o.visit > p_now + interval '2 minutes'
        FOR NO KEY UPDATE SKIP LOCKED));
    UPDATE await.revoked r SET at = p_now WHERE r.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.revoked o WHERE o.at > p_now + interval '1 second' FOR UPDATE SKIP LOCKED));
END $$;
CREATE FUNCTION await.complete(id uuid, receipt text, body bytea, content_type text DEFAULT 'application/octet-stream'::text, status integer DEFAULT 200, file_name text DEFAULT NULL::text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    h     await.job_head;
    slot_queue  int4;                        -- of a managed queue
    slot_lane   bigint;
    slot_owner  text;
    slot_origin bigint;
    own   int2;                              -- the attempt's number
    total bigint := length(body);
BEGIN
    content_type := coalesce(content_type, 'application/octet-stream');
    status := coalesce(status, 200);
    PERFORM await.check_content_type(content_type);
    IF file_name IS NOT NULL THEN
        PERFORM await.check_file_name(file_name);
    END IF;
    IF status NOT IN (200, 201, 203) THEN
        RAISE EXCEPTION 'a result has status 200, 201 or 203, not %', status USING ERRCODE = '22023';
    END IF;
    IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = complete.id AND l.receipt = complete.receipt) THEN
        RETURN false;
    END IF;
    h := await.lock_job(complete.id);
    DELETE FROM await.lease l WHERE l.job = h.id AND l.receipt = complete.receipt
        RETURNING l.attempt, l.queue, l.lane, l.owner, l.origin
        INTO own, slot_queue, slot_lane, slot_owner, slot_origin;
    IF slot_queue IS NOT NULL THEN
        PERFORM await.slot_freed(slot_queue, slot_lane, slot_owner, slot_origin);
    END IF;
    IF own IS NULL OR h.ended THEN
        RETURN false;
    END IF;
    IF body IS NULL THEN
        SELECT coalesce(max(c.pos + length(c.bytes)), 0) INTO total FROM await.chunk c
            WHERE c.class = await.class(complete.id) AND c.job = complete.id AND c.kind = 'r' AND c.attempt = own;
        body := CASE total WHEN 0 THEN ''::bytea END;
    ELSIF total > 65536 THEN
        DELETE FROM await.chunk c WHERE c.class = await.class(complete.id) AND c.job = complete.id AND c.kind = 'r' AND c.attempt = own;
        PERFORM await.store_chunks(complete.id, 'r', own, body);
        body := NULL;
    END IF;
    PERFORM await.append_event(h, 'completed', 'completed', p_attempt => own, p_status => complete.status::int2,
        p_content_type => complete.content_type, p_file_name => complete.file_name, p_size => total, p_body => body);
    RETURN true;
END $$;
CREATE FUNCTION await.complete_many(ids uuid[], receipts text[], bodies bytea[], content_types text[] DEFAULT NULL::text[], statuses integer[] DEFAULT NULL::integer[], file_names text[] DEFAULT NULL::text[]) RETURNS TABLE(id uuid, done boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    n    int := cardinality(ids);
    bad  int;
    ended uuid[];
    batched boolean;                         -- whether some of the jobs are in a batch
    b    record;
    slots await.lease[];                     -- of managed queues
BEGIN
    IF n = 0 AND cardinality(receipts) = 0 AND cardinality(bodies) = 0 THEN
        RETURN;
    ELSIF n IS NULL OR n NOT BETWEEN 1 AND 1000 OR cardinality(receipts) IS DISTINCT FROM n OR cardinality(bodies) IS DISTINCT FROM n
        OR cardinality(content_types) <> n OR cardinality(statuses) <> n OR cardinality(file_names) <> n
        OR 1 <> ANY (ARRAY[array_ndims(ids), array_ndims(receipts), array_ndims(bodies), array_ndims(content_types), array_ndims(statuses),
                           array_ndims(file_names)]) THEN
        RAISE EXCEPTION 'await.complete_many takes 1 to 1000 jobs in arrays of one length and one dimension' USING ERRCODE = '22023';
    ELSIF array_position(ids, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a job''s id is NULL' USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_content_type(t) FROM (SELECT DISTINCT t FROM unnest(content_types) t WHERE t IS NOT NULL) c;
    PERFORM await.check_file_name(f) FROM (SELECT DISTINCT f FROM unnest(file_names) f WHERE f IS NOT NULL) c;
    SELECT s INTO bad FROM unnest(statuses) s WHERE s NOT IN (200, 201, 203) LIMIT 1;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'a result has status 200, 201 or 203, not %', bad USING ERRCODE = '22023';
    ELSIF EXISTS (SELECT FROM unnest(bodies) b WHERE b IS NULL OR length(b) > 65536) THEN
        RAISE EXCEPTION 'await.complete_many takes bodies of at most 64 KB; await.complete takes larger ones' USING ERRCODE = '22023';
    END IF;
    -- Locks the jobs it holds in the order of their ids, as all do; the next statement sees what the last holder committed.
    -- OFFSET 0: the leases are looked up one by one, although the planner may think that the table is empty.
    SELECT bool_or(k.batch IS NOT NULL) INTO batched FROM (
        SELECT j.batch FROM unnest(ids, receipts) k (id, receipt)
        CROSS JOIN LATERAL (SELECT FROM await.lease l WHERE l.job = k.id AND l.receipt = k.receipt OFFSET 0) l
        JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
        ORDER BY j.id FOR NO KEY UPDATE OF j) k;
    WITH held AS MATERIALIZED (              -- under the lock; of several receipts for an id the valid one counts
        SELECT DISTINCT ON (g.id) g.id, l.attempt, g.body, coalesce(g.type, 'application/octet-stream') AS type, coalesce(g.status, 200) AS status, g.name
        FROM unnest(ids, receipts, bodies, content_types, statuses, file_names) g (id, receipt, body, type, status, name)
        CROSS JOIN LATERAL (SELECT l.attempt FROM await.lease l WHERE l.job = g.id AND l.receipt = g.receipt OFFSET 0) l
        ORDER BY g.id
    ), released AS (
        DELETE FROM await.lease l WHERE l.job = ANY (ARRAY(SELECT h.id FROM held h)) RETURNING l
    ), said AS (
        INSERT INTO await.event (class, job, seq, owner, type, state, attempt, progress, ending, status, content_type, file_name, size, body)
        SELECT await.class(h.id), h.id, e.seq + 1, e.owner, 'completed', 'completed', h.attempt, e.progress, true,
               h.status, h.type, h.name, length(h.body), h.body
        FROM held h
        CROSS JOIN LATERAL (SELECT e.seq, e.owner, e.progress, e.ending FROM await.event e
                            WHERE e.class = await.class(h.id) AND e.job = h.id ORDER BY e.seq DESC LIMIT 1) e
        WHERE NOT e.ending
        RETURNING event.job
    )
    SELECT (SELECT array_agg(s.job) FROM said s), (SELECT array_agg(r.l) FROM released r WHERE (r.l).queue IS NOT NULL) INTO ended, slots;
    IF slots IS NOT NULL THEN
        PERFORM await.slot_freed(l.queue, l.lane, l.owner, l.origin) FROM unnest(slots) l;
    END IF;
    PERFORM await.job_ended(ended);
    IF batched THEN                          -- batch by batch, in one order
        FOR b IN SELECT j.batch, array_agg(j.id ORDER BY j.id) AS jobs
                 FROM unnest(ended) k (id) JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
                 WHERE j.batch IS NOT NULL GROUP BY j.batch ORDER BY j.batch LOOP
            PERFORM await.batch_jobs_ended(b.batch, b.jobs, 'completed');
        END LOOP;
    END IF;
    RETURN QUERY SELECT k.id, k.id = ANY (coalesce(ended, '{}')) FROM (SELECT DISTINCT u.id FROM unnest(ids) u (id)) k;
END $$;
CREATE FUNCTION await.console_act(p jsonb) RETURNS TABLE(document text, job uuid, seq integer, owner text, queue text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '500ms'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $_$
#variable_conflict use_column
DECLARE
    action  CONSTANT text := p ->> 'action';
    of_jobs CONSTANT boolean := action IN ('retry', 'cancel');
    list    CONSTANT jsonb := p -> CASE WHEN of_jobs THEN 'jobs' ELSE 'queues' END;
    items   text[];
    item    text;
    h       await.job_head;
    outcome text;
    made    uuid;
    blocked boolean := false;
    results json[] := '{}';
BEGIN
    IF action IS NULL OR action NOT IN ('retry', 'cancel', 'pause', 'resume') THEN
        RAISE EXCEPTION 'an action needs to be retry, cancel, pause or resume' USING ERRCODE = '22023';
    ELSIF jsonb_typeof(list) IS DISTINCT FROM 'array' OR jsonb_array_length(list) NOT BETWEEN 1 AND 100
        OR EXISTS (SELECT FROM jsonb_array_elements(list) x WHERE jsonb_typeof(x) <> 'string'
                   OR of_jobs AND x #>> '{}' !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$') THEN
        RAISE EXCEPTION 'an action needs a list of 1 to 100 jobs or queues' USING ERRCODE = '22023';
    END IF;
    -- in one order, so that two operators do not wait for each other
    items := ARRAY(SELECT DISTINCT CASE WHEN of_jobs THEN lower(x) ELSE x END FROM jsonb_array_elements_text(list) x
                   ORDER BY 1);
    FOREACH item IN ARRAY items LOOP
        made := NULL;
        BEGIN
            IF blocked THEN
                outcome := 'locked';
            ELSIF of_jobs THEN
                h := await.lock_job(item::uuid, true);
                IF h.id IS NULL OR h.id >= 'ffffffff-0000-0000-0000-000000000000' THEN
                    outcome := CASE WHEN item::uuid < 'ffffffff-0000-0000-0000-000000000000' AND EXISTS (
                        SELECT FROM await.job j WHERE j.class = await.class(item::uuid) AND j.id = item::uuid)
                        THEN 'locked' ELSE 'unknown' END;
                ELSIF action = 'cancel' THEN
                    outcome := await.cancel(h.id);
                ELSIF NOT h.ended OR await.is_batch(h.id) THEN
                    outcome := CASE WHEN h.ended THEN 'batch' ELSE 'running' END;
                ELSE
                    SELECT r.retry INTO made FROM await.retried r WHERE r.class = await.class(h.id) AND r.job = h.id;
                    outcome := CASE WHEN made IS NULL THEN 'retried' ELSE 'replayed' END;
                    made := coalesce(made, await.retry(h.id));
                END IF;
            ELSIF NOT EXISTS (SELECT FROM await.queue q WHERE q.name = item) OR left(item, 1) = '.' THEN
                outcome := 'unknown';
            ELSIF NOT EXISTS (SELECT FROM await.queue q WHERE q.name = item FOR NO KEY UPDATE SKIP LOCKED) THEN
                outcome := 'locked';
            ELSIF action = 'pause' THEN
                outcome := CASE WHEN await.pause(item) THEN 'paused' ELSE 'already' END;
            ELSE
                outcome := CASE WHEN await.resume(item) THEN 'resumed' ELSE 'already' END;
            END IF;
        EXCEPTION WHEN lock_not_available THEN
            outcome := 'locked';
            made := NULL;
            blocked := true;
        END;
        IF outcome = 'cancelled' THEN
            RETURN QUERY SELECT NULL::text, h.id, h.seq + 1, h.owner, NULL::text;
        ELSIF outcome = 'retried' THEN
            RETURN QUERY SELECT NULL::text, NULL::uuid, NULL::int4, h.owner, q.name FROM await.queue q
                WHERE q.id = h.queue;
        ELSIF outcome = 'resumed' THEN
            RETURN QUERY SELECT NULL::text, NULL::uuid, NULL::int4, NULL::text, item;
        END IF;
        results := results || CASE WHEN of_jobs THEN json_build_object('job', item, 'outcome', outcome, 'made', made)
            ELSE json_build_object('queue', item, 'outcome', outcome) END;
    END LOOP;
    RETURN QUERY SELECT json_build_object('action', action, 'results', array_to_json(results))::text, NULL::uuid,
        NULL::int4, NULL::text, NULL::text;
END $_$;
CREATE FUNCTION await.console_depth(p_queue integer, p_most integer, OUT ready bigint, OUT about boolean, OUT since timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    m     record;
    head  record;
    tail  record;
    first timestamptz;
    most  int := p_most;
BEGIN
    ready := 0;
    about := false;
    -- the numbers of a queue's lanes are beside each other
    FOR m IN SELECT l.lane, coalesce((SELECT w.pos FROM await.low_water w WHERE w.lane = l.lane
                                      ORDER BY w.lane DESC, w.pos DESC LIMIT 1), 0) AS mark
             FROM await.lane_in_use l WHERE l.lane >= p_queue::bigint << 8 AND l.lane < (p_queue + 1)::bigint << 8
             ORDER BY l.lane LOOP
        SELECT count(*) AS n, min(x.pos) AS low, max(x.pos) AS high, (array_agg(x.job ORDER BY x.pos))[1] AS job INTO head
            FROM (SELECT r.pos, r.job FROM await.ready r WHERE r.lane = m.lane AND r.pos >= m.mark
                  ORDER BY r.lane, r.pos LIMIT most) x;
        CONTINUE WHEN head.n = 0;
        ready := ready + head.n;
        SELECT coalesce((SELECT (e.data ->> 'retry_at')::timestamptz FROM await.event e
                         WHERE e.class = j.class AND e.job = j.id AND e.type = 'pending' ORDER BY e.seq DESC LIMIT 1),
                        greatest(j.created_at, j.due))
            INTO first FROM await.job j WHERE j.class = await.class(head.job) AND j.id = head.job;
        since := least(since, first);
        IF head.n = most THEN
            SELECT count(*) AS n, min(x.pos) AS low, max(x.pos) AS high INTO tail
                FROM (SELECT r.pos FROM await.ready r WHERE r.lane = m.lane AND r.pos > head.high
                      ORDER BY r.lane DESC, r.pos DESC LIMIT most) x;
            ready := ready + tail.n;
            IF tail.n = most AND tail.low > head.high + 1 THEN
                about := true;
                ready := ready + ((tail.low - head.high - 1) * (head.n + tail.n)::float8
                    / (head.high - head.low + tail.high - tail.low + 2))::bigint;
            END IF;
        END IF;
        most := greatest(most - head.n, 10); -- a queue may have 201 lanes
    END LOOP;
END $$;
CREATE FUNCTION await.console_error(p_error jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT left(coalesce(nullif(concat_ws(': ', p_error ->> 'title', p_error ->> 'detail'), ''),
                         p_error #>> '{error,detail}', p_error #>> '{error,title}', p_error ->> 'type'), 300)
$$;
CREATE FUNCTION await.console_failures(p jsonb) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    v_queue CONSTANT int4 := (SELECT q.id FROM await.queue q WHERE q.name = p ->> 'queue');
    out     json;
BEGIN
    WITH newest AS MATERIALIZED (
        SELECT l.job, l.at, l.data, j.queue FROM (
            SELECT e.class, e.job, e.at, e.data FROM await.event e WHERE e.ending AND e.state = 'failed'
            ORDER BY e.job DESC LIMIT 1000) l
        JOIN await.job j ON j.class = l.class AND j.id = l.job
        WHERE NOT await.is_batch(l.job)
    ), lost AS (
        SELECT * FROM newest n WHERE p ->> 'queue' IS NULL OR n.queue = v_queue
    ), groups AS (
        SELECT l.queue, left(l.data ->> 'type', 200) AS type, left(l.data ->> 'title', 200) AS title, count(*) AS n,
            min(l.at) AS first, max(l.at) AS last, (array_agg(l.job ORDER BY l.at DESC))[:100] AS jobs,
            (array_agg(left(l.data ->> 'detail', 300) ORDER BY l.at DESC))[1] AS detail,
            count(*) FILTER (WHERE EXISTS (SELECT FROM await.retried r
                                           WHERE r.class = await.class(l.job) AND r.job = l.job)) AS retried
        FROM lost l GROUP BY 1, 2, 3 ORDER BY 4 DESC, 6 DESC LIMIT 100
    )
    SELECT json_build_object('looked', (SELECT count(*) FROM newest), 'found', (SELECT count(*) FROM lost), 'groups', coalesce((
        SELECT json_agg(json_build_object('queue', q.name, 'type', g.type, 'title', g.title, 'detail', g.detail,
            'count', g.n, 'retried', g.retried, 'first', await.utc(g.first), 'last', await.utc(g.last), 'jobs', g.jobs)
            ORDER BY g.n DESC, g.last DESC)
        FROM groups g JOIN await.queue q ON q.id = g.queue), '[]')) INTO out;
    RETURN out::text;
END $$;
CREATE FUNCTION await.console_job(p jsonb) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    v_id CONSTANT uuid := p ->> 'id';
    v_class CONSTANT int2 := await.class(v_id);
    j    await.job;
    d    record;
    q    text;
BEGIN
    SELECT * INTO j FROM await.job y WHERE y.class = v_class AND y.id = v_id;
    SELECT k.name INTO q FROM await.queue k WHERE k.id = j.queue;
    IF j.id IS NULL OR j.id >= 'ffffffff-0000-0000-0000-000000000000' THEN
        RETURN NULL;                         -- topics are no jobs
    END IF;
    SELECT * INTO d FROM await.edge_jobs(ARRAY[v_id], ARRAY[0::int2], 0);
    RETURN json_build_object('id', j.id, 'queue', q, 'owner', j.owner, 'state', d.state, 'attempt', d.attempt,
        'max_attempts', coalesce(j.max_attempts, (SELECT k.max_attempts FROM await.queue k WHERE k.id = j.queue)),
        'priority', j.priority, 'batch', j.batch, 'phase', j.phase, 'is_batch', await.is_batch(j.id),
        'correlation_id', j.correlation_id, 'content_type', j.content_type, 'file_name', j.file_name,
        'payload_size', j.payload_size, 'params', left(j.params::text, 4096), 'progress', left(d.progress, 4096),
        'created_at', await.utc(j.created_at), 'updated_at', await.utc(d.updated_at), 'due', await.utc(j.due),
        'deadline', await.utc(j.deadline), 'retry_of', j.retry_of,
        'retried_by', (SELECT r.retry FROM await.retried r WHERE r.class = v_class AND r.job = v_id),
        'result', CASE WHEN d.status IS NOT NULL THEN json_build_object('status', d.status, 'size', d.size,
            'content_type', d.content_type, 'file_name', d.file_name) END,
        'lease', (SELECT json_build_object('worker', left(l.worker, 200), 'until', await.utc(l.until), 'attempt', l.attempt)
                  FROM await.lease l WHERE l.job = v_id),
        'seq', d.seq,
        'events', (SELECT coalesce(json_agg(json_build_object('seq', e.seq, 'type', e.type, 'state', e.state,
                'attempt', e.attempt, 'at', await.utc(e.at), 'data', left(e.data::text, 4096)) ORDER BY e.seq), '[]')
            FROM (SELECT v.seq, v.type, v.state, v.attempt, v.at, v.data FROM await.event v
                  WHERE v.class = v_class AND v.job = v_id ORDER BY v.seq DESC LIMIT 200) e),
        'deliveries', (SELECT coalesce(json_agg(l.document::json), '[]')
                       FROM await.list_deliveries(NULL, NULL, v_id, NULL, NULL, 50) l WHERE l.document IS NOT NULL),
        'nodes', (SELECT coalesce(json_agg(json_build_object('node', n.name, 'watching', k.job -> 'watching',
                        'following', coalesce((n.report #> ARRAY['jobs', await.user_id(j.owner)::text, 'watching'])::int8, 0),
                        'sent', k.job -> 'sent') ORDER BY n.name, n.id), '[]')
                  FROM await.edge_node n JOIN LATERAL (SELECT n.report #> ARRAY['jobs', v_id::text]) k (job) ON k.job IS NOT NULL
                  WHERE n.at > clock_timestamp() - interval '10 seconds'))::text;
END $$;
CREATE FUNCTION await.console_jobs(p jsonb) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    most   CONSTANT int := least(greatest(coalesce((p ->> 'limit')::int, 50), 1), 100);
    page   record;
BEGIN
    page := await.list_page(p ->> 'owner', p ->> 'queue', string_to_array(p ->> 'state', ','), (p ->> 'batch')::uuid,
        (p ->> 'since')::timestamptz, (p ->> 'until')::timestamptz, split_part(p ->> 'cursor', '.', 1)::uuid,
        split_part(p ->> 'cursor', '.', 2)::bigint, most, false);
    RETURN json_build_object('jobs', (
            SELECT coalesce(json_agg(json_build_object('id', j.id, 'queue', j.queue, 'owner', j.owner, 'state', j.state,
                'attempt', j.attempt, 'created_at', await.utc(j.created_at), 'updated_at', await.utc(j.updated_at),
                'correlation_id', j.correlation_id, 'batch', j.batch, 'retry_of', j.retry_of, 'size', j.size,
                'error', await.console_error(j.error::jsonb)) ORDER BY k.n), '[]')
            FROM unnest(page.ids) WITH ORDINALITY k (id, n)
            JOIN await.edge_jobs(page.ids, array_fill(0::int2, ARRAY[cardinality(page.ids)]), 0) j ON j.id = k.id
            WHERE left(j.queue, 1) <> '.'),
        'next', page.next_id || '.' || page.next_eid)::text;
END $$;
CREATE FUNCTION await.console_lanes() RETURNS TABLE(queue integer, first bigint, ready bigint, about boolean)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT (m.lane >> 8)::int4, min(h.low), sum(h.n + t.n + CASE WHEN t.n = 50
            THEN (t.low - h.high - 1) * (h.n + t.n)::float8 / (h.high - h.low + t.high - t.low + 2) ELSE 0 END)::bigint,
        bool_or(t.n = 50)
    FROM (SELECT y.lane, coalesce((SELECT w.pos FROM await.low_water w WHERE w.lane = y.lane
                                   ORDER BY w.lane DESC, w.pos DESC LIMIT 1), 0) AS mark
          FROM await.lane_in_use y ORDER BY y.lane LIMIT 20000) m
    CROSS JOIN LATERAL (SELECT count(*) AS n, min(x.pos) AS low, max(x.pos) AS high FROM (
        SELECT r.pos FROM await.ready r WHERE r.lane = m.lane AND r.pos >= m.mark ORDER BY r.lane, r.pos LIMIT 50) x) h
    CROSS JOIN LATERAL (SELECT count(*) AS n, min(x.pos) AS low, max(x.pos) AS high FROM (
        SELECT r.pos FROM await.ready r WHERE h.n = 50 AND r.lane = m.lane AND r.pos > h.high
        ORDER BY r.lane DESC, r.pos DESC LIMIT 50) x) t
    WHERE h.n > 0 GROUP BY 1
$$;
CREATE FUNCTION await.console_leases() RETURNS TABLE(job uuid, attempt smallint, worker text, until timestamp with time zone, queue integer)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT l.job, l.attempt, l.worker, l.until, j.queue
    FROM (SELECT y.job, y.attempt, y.worker, y.until FROM await.lease y ORDER BY y.job DESC LIMIT 2000) l
    JOIN await.job j ON j.class = await.class(l.job) AND j.id = l.job
$$;
CREATE FUNCTION await.console_nodes() RETURNS json
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
    SELECT coalesce(json_agg(json_build_object('id', n.id, 'node', n.name,
            'age_ms', round(extract(epoch FROM clock_timestamp() - n.at) * 1000)::int8,
            'report', n.report - ARRAY['shown', 'asks', 'jobs']) ORDER BY n.name, n.id), '[]')
    FROM (SELECT o.* FROM await.edge_node o WHERE o.at > clock_timestamp() - interval '10 seconds'
          ORDER BY o.name, o.id LIMIT 100) n
$$;
CREATE FUNCTION await.console_overview() RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    v_leased  json;
    v_running jsonb;
    v_ids     int4[];
    v_busy    int4[];                        -- all queues where jobs wait, those first that wait longest
    v_ready   bigint[];                      -- how many, and whether that is an estimate
    v_about   boolean[];
    v_inside  CONSTANT int4[] := ARRAY(SELECT q.id FROM await.queue q WHERE left(q.name, 1) = '.' LIMIT 1000);
    v_queues  json;
    v_totals  json;
    v_spans   json;
BEGIN
    PERFORM await.count_events();
    WITH leases AS MATERIALIZED (
        SELECT * FROM await.console_leases()
    ), workers AS (
        SELECT l.worker, count(*) AS jobs, (array_agg(l.job ORDER BY l.job))[:5] AS ids FROM leases l
        GROUP BY l.worker ORDER BY count(*) DESC, l.worker LIMIT 50
    )
    SELECT (SELECT coalesce(jsonb_object_agg(b.queue, b.n), '{}') FROM (SELECT l.queue, count(*) AS n FROM leases l
                                                                         GROUP BY 1) b),
           (SELECT coalesce(json_agg(json_build_object('worker', left(w.worker, 200), 'jobs', w.jobs, 'running',
                (SELECT json_agg(json_build_object('id', l.job, 'queue', q.name, 'attempt', l.attempt,
                     'since', await.utc(s.at), 'until', await.utc(l.until)) ORDER BY l.job)
                 FROM leases l JOIN await.queue q ON q.id = l.queue
                 LEFT JOIN LATERAL (SELECT e.at FROM (SELECT v.at, v.type FROM await.event v
                                                      WHERE v.class = await.class(l.job) AND v.job = l.job
                                                      ORDER BY v.seq DESC LIMIT 50) e
                                    WHERE e.type = 'processing' LIMIT 1) s ON true
                 WHERE l.job = ANY (w.ids)))), '[]') FROM workers w)
        INTO v_running, v_leased;
    SELECT coalesce(array_agg(l.queue ORDER BY l.first), '{}'), array_agg(l.ready ORDER BY l.first),
        array_agg(l.about ORDER BY l.first) INTO v_busy, v_ready, v_about
        FROM await.console_lanes() l WHERE l.queue <> ALL (v_inside);
    -- those whose jobs wait longest, that workers are busy with, that are paused, that configurations name, the eldest
    SELECT array_agg(u.queue) INTO v_ids FROM (
        SELECT b.queue FROM unnest(v_busy[:25]) b (queue)
        UNION (SELECT k.key::int4 FROM jsonb_each_text(v_running) k ORDER BY k.value::bigint DESC LIMIT 15)
        UNION (SELECT q.id FROM await.queue q WHERE q.paused ORDER BY q.id LIMIT 10)
        UNION (SELECT q.id FROM await.queue q WHERE q.named AND q.name NOT LIKE '.%' ORDER BY q.id LIMIT 15)
        UNION (SELECT q.id FROM await.queue q WHERE q.name NOT LIKE '.%' ORDER BY q.id LIMIT 15)
    ) u;
    SELECT coalesce(json_agg(d.doc ORDER BY d.doc ->> 'queue'), '[]') INTO v_queues
        FROM (SELECT await.console_queue(k, coalesce((v_running ->> k::text)::bigint, 0)) AS doc
              FROM unnest(v_ids) k) d WHERE d.doc IS NOT NULL AND left(d.doc ->> 'queue', 1) <> '.';
    -- what is shown of a queue is counted better than what is said of all
    SELECT json_build_object('ready', coalesce(sum(u.ready) FILTER (WHERE NOT u.shown), 0) + (
                SELECT coalesce(sum((d ->> 'ready')::bigint), 0) FROM json_array_elements(v_queues) d),
            'about', coalesce(bool_or(u.about) FILTER (WHERE NOT u.shown), false) OR EXISTS (
                SELECT FROM json_array_elements(v_queues) d WHERE (d ->> 'about')::boolean),
            'delayed', (SELECT count(*) FROM (SELECT FROM await.delayed LIMIT 100000) x),
            'held', (SELECT count(*) FROM (SELECT FROM await.held LIMIT 100000) x),
            'running', (SELECT count(*) FROM (SELECT FROM await.lease LIMIT 100000) x),
            'queues', (SELECT count(*) FROM (SELECT FROM await.queue q WHERE q.name NOT LIKE '.%' LIMIT 20000) x))
        INTO v_totals
        FROM (SELECT b.ready, b.about, b.queue = ANY (v_ids) AS shown
              FROM unnest(v_busy, v_ready, v_about) b (queue, ready, about)) u;
    SELECT json_object_agg(s.what, s.counts) INTO v_spans FROM (
        SELECT n.what, json_agg(n.sum ORDER BY n.i) AS counts FROM (
            SELECT h.what, u.i, sum(u.x) AS sum FROM await.queue_count c
            CROSS JOIN LATERAL (VALUES ('wait', c.waits), ('work', c.runs), ('total', c.totals)) h (what, counts)
            CROSS JOIN LATERAL unnest(h.counts) WITH ORDINALITY u (x, i)
            WHERE c.queue = ANY (v_ids) GROUP BY 1, 2) n GROUP BY 1) s;
    RETURN json_build_object('at', await.utc(clock_timestamp()), 'queues', v_queues,
        'totals', v_totals, 'ended', (SELECT json_build_object('completed', coalesce(sum(c.completed), 0),
                'failed', coalesce(sum(c.failed), 0), 'cancelled', coalesce(sum(c.cancelled), 0),
                'expired', coalesce(sum(c.expired), 0))
            FROM (SELECT k.* FROM await.queue_count k WHERE k.queue <> ALL (v_inside) LIMIT 20000) c),
        'nodes', await.console_nodes(), 'workers', v_leased, 'bounds', await.buckets(), 'latency', coalesce(v_spans, '{}'),
        'relays', await.console_relays(), 'webhooks', (SELECT row_to_json(w) FROM await.delivery_stats() w),
        'postgres', (SELECT json_build_object('version', current_setting('server_version'),
                'database', current_database(), 'connections', s.numbackends,
                'max_connections', current_setting('max_connections')::int, 'commits', s.xact_commit,
                'rollbacks', s.xact_rollback, 'hit', round((s.blks_hit::float8 / nullif(s.blks_hit + s.blks_read, 0))::numeric,
                4), 'deadlocks', s.deadlocks, 'started', await.utc(pg_postmaster_start_time()),
                'overdue', round(await.reap_lag()::numeric, 3),
                'oldest_transaction', (SELECT round(extract(epoch FROM clock_timestamp() - min(a.xact_start)), 3)
                                       FROM pg_stat_activity a WHERE a.datname = s.datname AND a.pid <> pg_backend_pid()
                                           AND a.backend_type = 'client backend'))
            FROM pg_stat_database s WHERE s.datname = current_database()))::text;
END $$;
CREATE FUNCTION await.console_queue(p_queue integer, p_running bigint) RETURNS json
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    most  CONSTANT int := 1000;
    lanes CONSTANT bigint := p_queue::bigint << 8;
    q     await.queue;
    c     await.queue_count;
    d     record;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = p_queue;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT * INTO c FROM await.queue_count k WHERE k.queue = p_queue;
    SELECT * INTO d FROM await.console_depth(p_queue, most);
    RETURN json_build_object('queue', q.name, 'paused', q.paused, 'ready', d.ready, 'about', d.about,
        'delayed', (SELECT count(*) FROM (SELECT FROM await.delayed y WHERE y.lane >= lanes AND y.lane < lanes + 256
                                          LIMIT most) x),
        'held', (SELECT count(*) FROM (SELECT FROM await.held y WHERE y.lane >= lanes AND y.lane < lanes + 256
                                       LIMIT most) x),
        'running', p_running, 'max_running', q.max_running,
        'oldest', CASE WHEN d.since IS NOT NULL
            THEN round(greatest(extract(epoch FROM clock_timestamp() - d.since), 0)::numeric, 3) END,
        'rate', round(await.queue_rate(q.id)::numeric, 3),
        'completed', coalesce(c.completed, 0), 'failed', coalesce(c.failed, 0), 'cancelled', coalesce(c.cancelled, 0),
        'expired', coalesce(c.expired, 0), 'retries', coalesce(c.retries, 0));
END $$;
CREATE FUNCTION await.console_queues(p jsonb) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    most CONSTANT int := least(greatest(coalesce((p ->> 'limit')::int, 50), 1), 100);
    ids  int4[];
    busy jsonb;
BEGIN
    ids := ARRAY(SELECT k.id FROM await.queue k
                 WHERE k.name > coalesce(p ->> 'after', '') AND left(k.name, 1) <> '.'
                   AND (p ->> 'match' IS NULL OR strpos(k.name, p ->> 'match') > 0)
                 ORDER BY k.name LIMIT most + 1);
    SELECT coalesce(jsonb_object_agg(b.queue, b.n), '{}') INTO busy
        FROM (SELECT l.queue, count(*) AS n FROM await.console_leases() l WHERE l.queue = ANY (ids) GROUP BY 1) b;
    RETURN json_build_object('queues', (
            SELECT coalesce(json_agg(await.console_queue(k.id, coalesce((busy ->> k.id::text)::bigint, 0))
                                     ORDER BY k.n), '[]')
            FROM unnest(ids[:most]) WITH ORDINALITY k (id, n)),
        'next', CASE WHEN cardinality(ids) > most
                     THEN (SELECT q.name FROM await.queue q WHERE q.id = ids[most]) END)::text;
END $$;
CREATE FUNCTION await.console_relays() RETURNS json
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    s    record;
    lag  record;
    rows json[] := '{}';
BEGIN
    FOR s IN
        SELECT DISTINCT ON (c.relay, c.sink) c.*, l.holder, l.until FROM await.relay_cursor c
        LEFT JOIN LATERAL (SELECT y.holder, y.until FROM await.relay_leader y WHERE y.relay = c.relay
                           ORDER BY y.no DESC LIMIT 1) l ON true
        ORDER BY c.relay, c.sink, c.no DESC LIMIT 50
    LOOP
        SELECT * INTO lag FROM await.relay_lag(s.cursor, 2000);
        rows := rows || json_build_object('relay', s.relay, 'sink', s.sink,
            'leader', CASE WHEN await.relay_leads(s.until) THEN s.holder END, 'behind', lag.behind,
            'lag', round(lag.lag::numeric, 3), 'moved', await.utc(s.at), 'delivered', s.delivered,
            'failures', s.failures, 'reason', left(coalesce(lag.trouble, s.reason), 500));
    END LOOP;
    RETURN array_to_json(rows);
END $$;
CREATE FUNCTION await.count_events(p_every interval DEFAULT '00:00:05'::interval, p_most integer DEFAULT 50000) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
DECLARE
    last   await.counted;
    now_   CONSTANT pg_snapshot := pg_current_snapshot();
    server CONSTANT bigint := (SELECT s.system_identifier FROM pg_control_system() s);
    low    bigint;                           -- transactions from here on, and below `high`
    high   bigint;
    seen   pg_snapshot := now_;
BEGIN
    SELECT * INTO last FROM await.counted c FOR UPDATE SKIP LOCKED;
    IF last.at IS NULL OR last.at > clock_timestamp() - p_every AND last.at <= clock_timestamp() THEN
        RETURN false;
    END IF;
    low := pg_snapshot_xmax(last.upto)::text::bigint;
    high := pg_snapshot_xmax(now_)::text::bigint;
    -- a restored dump has the snapshot of another server
    IF last.system <> server OR low > high OR last.at < clock_timestamp() - interval '1 hour' THEN
        UPDATE await.counted c SET upto = now_, at = clock_timestamp(), system = server;
        RETURN false;
    END IF;
    IF high - low > p_most THEN              -- what was seen when `high` was the next transaction, as far as it has ended
        high := low + p_most;
        seen := format('%s:%s:%s', least(pg_snapshot_xmin(now_)::text::bigint, high), high,
            (SELECT string_agg(x::text, ',' ORDER BY x::text::bigint) FROM pg_snapshot_xip(now_) x WHERE x::text::bigint < high))::pg_snapshot;
    END IF;
    WITH fresh AS MATERIALIZED (
        SELECT e.class, e.job, e.seq, e.type, e.state, e.at, e.ending, e.data FROM await.event e
        WHERE e.xid >= low::text::xid8 AND e.xid < high::text::xid8 AND (e.ending OR e.type IN ('processing', 'pending'))
          AND pg_visible_in_snapshot(e.xid, seen)
        UNION ALL
        SELECT e.class, e.job, e.seq, e.type, e.state, e.at, e.ending, e.data FROM pg_snapshot_xip(last.upto) x JOIN await.event e ON e.xid = x
        WHERE (e.ending OR e.type IN ('processing', 'pending')) AND pg_visible_in_snapshot(x, seen)
    ), timed AS MATERIALIZED (
        SELECT j.queue, f.type, f.ending, f.state,
            f.type = 'pending' AND NOT coalesce(f.data ? 'released', false) AS retried, -- one that was given back has not failed
            CASE WHEN f.type = 'processing' THEN f.at - coalesce((p.data ->> 'retry_at')::timestamptz, greatest(j.created_at, j.due)) END AS wait,
            CASE WHEN f.type <> 'processing' AND p.type = 'processing' THEN f.at - p.at END AS run,
            CASE WHEN f.ending THEN f.at - j.created_at END AS total
        FROM fresh f JOIN await.job j ON j.class = f.class AND j.id = f.job
        LEFT JOIN LATERAL (SELECT e.type, e.at, e.data FROM await.event e
                           WHERE e.class = f.class AND e.job = f.job AND e.seq < f.seq AND e.type IN ('processing', 'pending')
                           ORDER BY e.seq DESC LIMIT 1) p ON true
    ), seconds AS (                          -- clocks may have stepped
        SELECT t.*, greatest(extract(epoch FROM t.wait), 0)::float8 AS wait_s, greatest(extract(epoch FROM t.run), 0)::float8 AS run_s,
            greatest(extract(epoch FROM t.total), 0)::float8 AS total_s FROM timed t
    ), added AS (
        SELECT s.queue, count(*) FILTER (WHERE s.ending AND s.state = 'completed') AS completed,
            count(*) FILTER (WHERE s.ending AND s.state = 'failed') AS failed,
            count(*) FILTER (WHERE s.ending AND s.state = 'cancelled') AS cancelled,
            count(*) FILTER (WHERE s.ending AND s.state = 'expired') AS expired,
            count(*) FILTER (WHERE s.retried) AS retries,
            array_agg(s.wait_s) FILTER (WHERE s.wait IS NOT NULL) AS waits, coalesce(sum(s.wait_s) FILTER (WHERE s.wait IS NOT NULL), 0) AS wait_sum,
            array_agg(s.run_s) FILTER (WHERE s.run IS NOT NULL) AS runs, coalesce(sum(s.run_s) FILTER (WHERE s.run IS NOT NULL), 0) AS run_sum,
            array_agg(s.total_s) FILTER (WHERE s.total IS NOT NULL) AS totals, coalesce(sum(s.total_s) FILTER (WHERE s.total IS NOT NULL), 0) AS total_sum
        FROM seconds s GROUP BY s.queue
    )
    INSERT INTO await.queue_count AS c (queue, completed, failed, cancelled, expired, retries, waits, wait_sum, runs, run_sum, totals, total_sum,
        rate, rate_at)
    SELECT a.queue, coalesce(o.completed, 0) + a.completed, coalesce(o.failed, 0) + a.failed, coalesce(o.cancelled, 0) + a.cancelled,
        coalesce(o.expired, 0) + a.expired, coalesce(o.retries, 0) + a.retries,
        await.add_to_histogram(o.waits, a.waits), coalesce(o.wait_sum, 0) + a.wait_sum,
        await.add_to_histogram(o.runs, a.runs), coalesce(o.run_sum, 0) + a.run_sum,
        await.add_to_histogram(o.totals, a.totals), coalesce(o.total_sum, 0) + a.total_sum,
        await.blend(o.rate, coalesce(cardinality(a.waits), 0), last.at, o.rate_at), clock_timestamp()
    FROM added a LEFT JOIN await.queue_count o ON o.queue = a.queue
    WHERE EXISTS (SELECT FROM await.queue q WHERE q.id = a.queue)
    ON CONFLICT (queue) DO UPDATE SET completed = excluded.completed, failed = excluded.failed, cancelled = excluded.cancelled,
        expired = excluded.expired, retries = excluded.retries, waits = excluded.waits, wait_sum = excluded.wait_sum, runs = excluded.runs,
        run_sum = excluded.run_sum, totals = excluded.totals, total_sum = excluded.total_sum,
        rate = excluded.rate, rate_at = excluded.rate_at;
    IF random() < 0.01 THEN                  -- of queues that were deleted
        DELETE FROM await.queue_count c WHERE NOT EXISTS (SELECT FROM await.queue q WHERE q.id = c.queue);
    END IF;
    UPDATE await.counted c SET upto = seen, at = clock_timestamp();
    RETURN high < pg_snapshot_xmax(now_)::text::bigint;
END $$;
CREATE FUNCTION await.count_waiting(p_queue integer, p_owner text, p_most integer) RETURNS integer
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    m record;
    n int := 0;
BEGIN
    FOR m IN SELECT l.lane, coalesce((SELECT w.pos FROM await.low_water w WHERE w.lane = l.lane ORDER BY w.pos DESC
        LIMIT 1), 0) AS mark
             FROM await.lane_in_use l WHERE l.lane >> 8 = p_queue LOOP
        EXIT WHEN n >= p_most;
        IF p_owner IS NULL THEN
            n := n + (SELECT count(*) FROM (SELECT FROM await.ready r WHERE r.lane = m.lane AND r.pos >= m.mark
                LIMIT p_most - n) x);
            n := n + (SELECT count(*) FROM (SELECT FROM await.held h WHERE h.lane = m.lane LIMIT p_most - n) x);
            n := n + (SELECT count(*) FROM (SELECT FROM await.delayed d WHERE d.lane = m.lane LIMIT p_most - n) x);
        ELSE
            n := n + (SELECT count(*) FROM (
                SELECT FROM await.ready r WHERE r.lane = m.lane AND r.owner = p_owner AND r.pos >= m.mark
                    LIMIT p_most - n) x);
            n := n + (SELECT count(*) FROM (SELECT FROM await.held h WHERE h.lane = m.lane AND h.owner = p_owner
                LIMIT p_most - n) x);
            n := n + (SELECT count(*) FROM (SELECT FROM await.delayed d WHERE d.lane = m.lane AND d.owner = p_owner
                LIMIT p_most - n) x);
        END IF;
    END LOOP;
    RETURN n;
END $$;
CREATE FUNCTION await.create_batch(options jsonb DEFAULT '{}'::jsonb) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $_$
DECLARE
    o      jsonb := coalesce(options, '{}');
    wrong  text;
    class  int2;
    new_id uuid;
BEGIN
    IF jsonb_typeof(o) <> 'object' THEN
        RAISE EXCEPTION 'the options of await.create_batch are a JSON object' USING ERRCODE = '22023';
    ELSIF pg_column_size(o) > 65536 THEN
        RAISE EXCEPTION 'the options of await.create_batch have at most 64 KB' USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_json(o, 'the options of await.create_batch');
    SELECT string_agg(left(k, 80), ', ') INTO wrong FROM (SELECT k FROM jsonb_object_keys(o) k
        WHERE k NOT IN ('owner', 'phases', 'on_ready', 'correlation_id', 'trace', 'retain', 'deadline',
            'webhook', 'webhook_on') LIMIT 10) u;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'await.create_batch has no option %', wrong USING ERRCODE = '22023';
    END IF;
    SELECT e.key INTO wrong FROM jsonb_each_text(o - 'phases') e WHERE length(e.value) > 1000 LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'the option % has at most 1000 characters', wrong USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_values(o - 'phases');
    o := jsonb_strip_nulls(o - 'phases') || jsonb_build_object('phases', coalesce(nullif(o -> 'phases', 'null'), '[]'));
    IF jsonb_typeof(o -> 'phases') <> 'array'
          OR jsonb_path_exists(o, 'strict $.phases[*] ? (@.type() <> "string")', '{}', true) THEN
        RAISE EXCEPTION 'phases is an array of names, not %', left((o -> 'phases')::text, 80) USING ERRCODE = '22023';
    ELSIF jsonb_array_length(o -> 'phases') > 16 THEN
        RAISE EXCEPTION 'a batch has at most 16 phases, not %', jsonb_array_length(o -> 'phases')
            USING ERRCODE = '22023';
    END IF;
    IF o ->> 'on_ready' IS NOT NULL AND EXISTS (SELECT FROM await.queue_grant)
       AND NOT await.may_queue(o ->> 'on_ready') THEN
        RAISE EXCEPTION 'role % may not use queue %', quote_ident(session_user),
            quote_literal(left(o ->> 'on_ready', 80)) USING ERRCODE = '42501', HINT = 'await-ctl grant';
    END IF;
    SELECT r.class INTO class FROM await.retention r WHERE r.name = coalesce(o ->> 'retain', '7d');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'retain is one of the names in await.retention, not %', quote_literal(left(o ->> 'retain', 80))
            USING ERRCODE = '22023';
    END IF;
    IF o ->> 'on_ready' IS NOT NULL THEN
        PERFORM await.queue_id(o ->> 'on_ready'); -- it counts against the limit, unlike one that a directive names
    END IF;
    new_id := await.new_batch_id(class);
    PERFORM await.need_partitions(class);
    PERFORM await.insert_batch(new_id, o ->> 'owner', o ->> 'correlation_id', o ->> 'trace',
        ARRAY(SELECT jsonb_array_elements_text(o -> 'phases')), o ->> 'on_ready',
        clock_timestamp() + await.option_span(o, 'deadline', '0', '10 years'), await.option_webhook(o));
    RETURN new_id;
END $_$;
CREATE FUNCTION await.create_ready_job(p_batch uuid, p_queue text, p_summary jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    k        int2 := await.class(p_batch);
    new      uuid := await.new_id(k);
    in_queue int4 := await.queue_id(p_queue, true);
    body     bytea := convert_to(p_summary::text, 'UTF8');
    of_user  text;
BEGIN
    PERFORM await.need_partitions(k);
    PERFORM await.note_use(in_queue, k);
    INSERT INTO await.job (class, id, queue, owner, correlation_id, trace, content_type, params, payload, payload_size)
        SELECT k, new, in_queue, j.owner, j.correlation_id, j.trace, 'application/json',
               jsonb_build_object('batch', p_batch), body, length(body)
        FROM await.job j WHERE j.class = k AND j.id = p_batch
        RETURNING owner INTO of_user;
    PERFORM await.enqueue(new, in_queue, 0::int2, 1::int2);
    IF of_user IS NOT NULL AND await.notifies() THEN
        PERFORM await.notify_work(NULL, ARRAY[of_user]);
    END IF;
END $$;
CREATE SEQUENCE await.eid
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE await.event (
    class smallint NOT NULL,
    job uuid NOT NULL,
    seq integer NOT NULL,
    eid bigint DEFAULT 
CASE
    WHEN (pg_current_xact_id() IS NOT NULL) THEN nextval('await.eid'::regclass)
    ELSE NULL::bigint
END NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    owner text,
    type text NOT NULL,
    state text NOT NULL,
    attempt smallint NOT NULL,
    progress integer,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    data jsonb,
    event_id text,
    ending boolean DEFAULT false NOT NULL,
    status smallint,
    content_type text,
    file_name text,
    size bigint,
    body bytea,
    CONSTRAINT event_seq_check CHECK ((seq >= 2))
)
PARTITION BY RANGE (class, job);
ALTER TABLE ONLY await.event ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE await.job (
    class smallint NOT NULL,
    id uuid NOT NULL,
    queue integer NOT NULL,
    priority smallint DEFAULT 0 NOT NULL,
    owner text,
    batch uuid,
    phase text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    eid bigint DEFAULT 
CASE
    WHEN (pg_current_xact_id() IS NOT NULL) THEN nextval('await.eid'::regclass)
    ELSE NULL::bigint
END NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    correlation_id text,
    trace text,
    content_type text DEFAULT 'application/octet-stream'::text NOT NULL,
    file_name text,
    params jsonb,
    payload bytea,
    payload_size bigint NOT NULL,
    lease interval,
    max_attempts smallint,
    due timestamp with time zone,
    deadline timestamp with time zone,
    retry_of uuid,
    extra jsonb,
    webhook jsonb,
    CONSTRAINT job_priority_check CHECK (((priority >= '-100'::integer) AND (priority <= 100)))
)
PARTITION BY RANGE (class, id);
ALTER TABLE ONLY await.job ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE FUNCTION await.delivery_body(j await.job, p_queue text, e await.event) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
    SELECT '{"type":' || to_json(e.type) || ',"timestamp":"' || await.utc(e.at) || '","data":'
        -- without the brace at its end; the event's own data may have members that are null
        || regexp_replace(json_strip_nulls(json_build_object('job', e.job, 'seq', e.seq, 'state', e.state,
               'queue', p_queue,
               'attempt', nullif(e.attempt, 0), 'owner', j.owner, 'batch', j.batch, 'phase', j.phase,
               'correlation_id', j.correlation_id, 'trace', j.trace, 'retry_of', j.retry_of,
               'result', CASE WHEN e.size IS NOT NULL THEN json_build_object('status', e.status,
                   'type', e.content_type, 'size', e.size, 'name', e.file_name) END))::text, '}$', '')
        || coalesce(',"data":' || e.data::text, '') || '}}'
$_$;
CREATE TABLE await.delivery (
    id bigint NOT NULL,
    webhook integer NOT NULL,
    job uuid NOT NULL,
    seq integer NOT NULL,
    type text NOT NULL,
    queue text NOT NULL,
    url text NOT NULL,
    body text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE FUNCTION await.delivery_document(d await.delivery, p_owner text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT json_build_object('id', d.id::text, 'webhook', nullif(d.webhook, 0), 'url', d.url,
        'event', d.job || ':' || d.seq, 'type', d.type, 'queue', d.queue,
        'state', coalesce(e.state, CASE WHEN u.attempts > 0 THEN 'retrying' ELSE 'waiting' END),
        'created_at', await.utc(d.created_at), 'ended_at', await.utc(e.at),
        'next_attempt_at', await.utc(CASE WHEN u.due < 'infinity' AND u.attempts > 0 THEN u.due END),
        'attempts', coalesce(a.n, 0), 'status', a.status,
        'error', CASE WHEN p_owner IS NOT NULL AND a.error LIKE 'forbidden: %'
                      THEN 'forbidden: the host leads to an address that is not public' ELSE a.error END,
        'ms', a.ms)::text
    FROM (SELECT) one
    LEFT JOIN await.delivery_end e ON e.delivery = d.id
    LEFT JOIN await.delivery_due u ON u.delivery = d.id
    LEFT JOIN LATERAL (SELECT * FROM await.delivery_attempt a WHERE a.delivery = d.id ORDER BY a.n DESC LIMIT 1) a
        ON true
$$;
CREATE FUNCTION await.delivery_is_of(d await.delivery, p_owner text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT d.webhook = 0 AND (d.body::json #>> '{data,owner}') IS NOT DISTINCT FROM p_owner $$;
CREATE FUNCTION await.delivery_stats(OUT delivered bigint, OUT failed bigint, OUT dead bigint, OUT waiting bigint, OUT retrying bigint) RETURNS record
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT (SELECT last_value FROM await.deliveries_delivered), (SELECT last_value FROM await.deliveries_failed),
        (SELECT last_value FROM await.deliveries_dead), count(*) FILTER (WHERE u.attempts = 0),
        count(*) FILTER (WHERE u.attempts > 0)
    FROM (SELECT u.attempts FROM await.delivery_due u ORDER BY u.delivery LIMIT 20000) u
$$;
CREATE FUNCTION await.do_for_batch(p_at timestamp with time zone, p_batch uuid, p_limit integer) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    h await.job_head;
    n int;
BEGIN
    PERFORM FROM await.batch_todo t WHERE t.at = p_at AND t.batch = p_batch FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    h := await.lock_job(p_batch, true);
    IF h.id IS NULL AND EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_batch) AND j.id = p_batch) THEN
        RETURN 0;                            -- locked: in the next call
    ELSIF h.ended AND h.state <> 'completed' AND EXISTS (SELECT FROM await.batch_added a WHERE a.batch = p_batch) THEN
        n := await.cancel_batch_jobs(p_batch, p_limit);
    ELSIF NOT h.ended THEN
        PERFORM await.finish_batch(p_batch);
    END IF;
    IF n IS NULL THEN
        DELETE FROM await.batch_todo t WHERE t.at = p_at AND t.batch = p_batch;
    END IF;
    RETURN coalesce(n, 0);
END $$;
CREATE FUNCTION await.drop_partition(p_name text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '200ms'
    AS $$
BEGIN
    EXECUTE format('DROP TABLE await.%I', p_name);
    RETURN 'dropped ' || p_name;
EXCEPTION WHEN lock_not_available THEN
    RETURN 'busy ' || p_name;
END $$;
CREATE FUNCTION await.due_deliveries(p_after text, p_hosts text[], p_rooms integer[], p_sinces bigint[], p_held bigint[], p_room integer, p_limit integer) RETURNS TABLE(upto text, id bigint, webhook integer, job uuid, seq integer, type text, host text, url text, body text, attempts integer, due bigint, keys bytea[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
DECLARE
    v_host text := coalesce(p_after, '');
    v_room int;
    v_left int := p_limit;
    v_place CONSTANT jsonb := (SELECT jsonb_object_agg(g.host, g.n) FROM unnest(p_hosts) WITH ORDINALITY g (host, n));
    v_at   int;
    r      record;
    v_for  text;                             -- whom v_keys are for: an endpoint and an origin
    v_keys bytea[];
    d      await.delivery;
BEGIN
    FOR i IN 1 .. 5000 LOOP                  -- hosts, of which most may have no room
        SELECT k.host INTO v_host FROM await.delivery_host k WHERE k.host > v_host ORDER BY k.host LIMIT 1;
        IF NOT FOUND THEN
            RETURN QUERY SELECT NULL::text, NULL::bigint, NULL::int4, NULL::uuid, NULL::int4, NULL::text, NULL::text,
                NULL::text, NULL::text, NULL::int4, NULL::int8, NULL::bytea[];
            RETURN;
        END IF;
        v_at := v_place -> v_host;           -- not by array_position(): there may be many that do not answer
        v_room := least(v_left, coalesce(p_rooms[v_at], p_room));
        CONTINUE WHEN v_room <= 0;
        FOR r IN SELECT u.* FROM await.delivery_due u
                 WHERE u.host = v_host AND u.due <= clock_timestamp()
                   AND u.due >= coalesce('epoch'::timestamptz + p_sinces[v_at] * interval '1 us', '-infinity')
                   AND u.delivery <> ALL (p_held)
                   -- or somebody has deleted it: such a row takes the room of no other
                   AND EXISTS (SELECT FROM await.delivery k WHERE k.id = u.delivery)
                 ORDER BY u.due, u.delivery LIMIT v_room LOOP
            v_left := v_left - 1;
            SELECT * INTO d FROM await.delivery k WHERE k.id = r.delivery;
            CONTINUE WHEN NOT FOUND;
            -- an HMAC takes longer than all else
            IF v_for IS DISTINCT FROM d.webhook || ' ' || substring(lower(d.url) FROM '^[a-z]+://[^/?]*') THEN
                v_for := d.webhook || ' ' || substring(lower(d.url) FROM '^[a-z]+://[^/?]*');
                v_keys := CASE WHEN d.webhook = 0 OR EXISTS (SELECT FROM await.webhook w
                                    WHERE w.id = d.webhook AND w.disabled_at IS NULL)
                               THEN await.webhook_keys(d.webhook, d.url) END;
            END IF;
            upto := v_host;
            id := d.id;
            webhook := d.webhook;
            job := d.job;
            seq := d.seq;
            type := d.type;
            host := v_host;
            url := d.url;
            body := d.body;
            attempts := r.attempts;
            due := (extract(epoch FROM greatest(r.due, 'epoch')) * 1000000)::int8;
            keys := v_keys;
            RETURN NEXT;
        END LOOP;
        EXIT WHEN v_left <= 0;
    END LOOP;
    RETURN QUERY SELECT v_host, NULL::bigint, NULL::int4, NULL::uuid, NULL::int4, NULL::text, NULL::text, NULL::text,
        NULL::text, NULL::int4, NULL::int8, NULL::bytea[];
END $$;
CREATE FUNCTION await.edge_add_to_batch(p_batch uuid, p_id uuid, p_queue text, p_phase text, p_priority smallint, p_owner text, p_correlation text, p_trace text, p_type text, p_name text, p_params text, p_payload bytea, p_size bigint, p_lease bigint, p_attempts smallint, p_delay bigint, p_deadline bigint, p_key text, p_fingerprint bytea, p_keep bigint, p_most integer DEFAULT NULL::integer, p_owner_most integer DEFAULT NULL::integer, p_webhook text DEFAULT NULL::text) RETURNS TABLE(outcome text, id uuid, created_at timestamp with time zone, clash boolean, retry_ms bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
DECLARE
    b        await.job;
    first    record;
    patience text := current_setting('lock_timeout');
BEGIN
    IF await.is_batch(p_batch) THEN
        SELECT * INTO b FROM await.job j WHERE j.class = await.class(p_batch) AND j.id = p_batch;
    END IF;
    IF b.id IS NULL OR p_owner IS NOT NULL AND b.owner IS DISTINCT FROM p_owner THEN
        RETURN QUERY SELECT 'no batch', p_id, clock_timestamp(), false, NULL::int8;
        RETURN;
    END IF;
    IF p_key IS NOT NULL THEN
        LOCK TABLE await.idem IN ROW EXCLUSIVE MODE; -- so that only the wait for a key is short
        PERFORM set_config('lock_timeout', '200ms', true);
        SELECT t.id, t.clash INTO first FROM await.take_keys(ARRAY[p_id], ARRAY[p_queue], ARRAY[p_owner],
            ARRAY[p_key], ARRAY[p_fingerprint], ARRAY[p_keep]) t;
        PERFORM set_config('lock_timeout', patience, true);
        IF first.id <> p_id THEN
            RETURN QUERY SELECT 'added', first.id::uuid, coalesce((SELECT j.created_at FROM await.job j
                WHERE j.class = await.class(first.id) AND j.id = first.id), clock_timestamp()), first.clash::boolean,
                NULL::int8;
            RETURN;
        END IF;
    END IF;
    -- it cannot end before this transaction does; not locked before, as the wait for a key would hold up its end
    IF NOT await.share_batch(b) THEN
        outcome := 'no batch';
    ELSIF coalesce((SELECT e.ending FROM await.event e WHERE e.class = b.class AND e.job = p_batch -- after the lock
                 ORDER BY e.seq DESC LIMIT 1), false) THEN
        outcome := 'ended';
    ELSIF (CASE WHEN b.extra ? 'phases' THEN coalesce(NOT b.extra -> 'phases' ? p_phase, true)
                ELSE p_phase IS NOT NULL END) THEN
        outcome := 'no phase';
    ELSIF p_most IS NOT NULL OR p_owner_most IS NOT NULL THEN
        SELECT m.refused, m.retry_ms INTO outcome, retry_ms FROM await.limit_met(
            await.make_lane(p_queue, p_priority), b.owner, 1, p_most, p_owner_most) m;
    END IF;
    IF outcome IS NULL THEN
        RETURN QUERY SELECT 'added', p_id, await.insert_added(b, p_id, p_queue, p_phase, p_priority,
            coalesce(p_correlation, b.correlation_id), coalesce(p_trace, b.trace), p_type, p_name, p_params, p_payload,
            p_size, p_lease, p_attempts, p_delay, p_deadline, p_webhook), false, NULL::int8;
        RETURN;
    END IF;
    DELETE FROM await.idem i
        WHERE i.owner = coalesce(p_owner, '') AND i.queue = p_queue AND i.key = p_key AND i.job = p_id;
    RETURN QUERY SELECT outcome, p_id, clock_timestamp(), false, retry_ms;
END $$;
CREATE FUNCTION await.edge_batch_jobs(p_batch uuid, p_after uuid, p_limit integer) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
    SELECT j.id FROM await.job j WHERE j.class = await.class(p_batch) AND j.batch = p_batch AND j.id > p_after
    ORDER BY j.batch, j.id LIMIT p_limit
$$;
CREATE FUNCTION await.edge_batches(p_ids uuid[]) RETURNS TABLE(id uuid, owner text, state text, seq integer, correlation_id text, phases text, totals text, created_at timestamp with time zone, updated_at timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT j.id, j.owner, coalesce(e.state, 'pending'), coalesce(e.seq, 1), j.correlation_id,
           (j.extra -> 'phases')::text,
           CASE WHEN e.type = 'batch.ready' THEN e.data::text
                WHEN j.extra ? 'totals' THEN (j.extra -> 'totals')::text
                ELSE (await.batch_totals(j.id) || jsonb_build_object('processing', (
                          SELECT count(*) FROM await.batch_open o
                          CROSS JOIN LATERAL (SELECT FROM await.lease l WHERE l.job = o.job OFFSET 0) l
                          WHERE o.batch = j.id), 'failures', await.batch_failures(j.id)))::text END,
           j.created_at, coalesce(e.at, j.created_at)
    FROM unnest(p_ids) k (id)
    JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id AND await.is_batch(k.id)
    LEFT JOIN LATERAL (SELECT * FROM await.event e WHERE e.class = await.class(k.id) AND e.job = k.id
                       ORDER BY e.seq DESC LIMIT 1) e ON true;
END $$;
CREATE FUNCTION await.edge_cancel(p_id uuid, p_seq integer DEFAULT NULL::integer) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    h await.job_head := await.lock_job(p_id, true);
BEGIN
    -- not by lock_timeout, which would also end the wait for a table that is being vacuumed or altered
    FOR i IN 1 .. 20 LOOP
        EXIT WHEN h.id IS NOT NULL OR NOT EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_id) AND j.id = p_id);
        PERFORM pg_sleep(0.01);
        h := await.lock_job(p_id, true);
    END LOOP;
    IF h.id IS NULL AND EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_id) AND j.id = p_id) THEN
        RAISE EXCEPTION 'job % is locked by a transaction that does not end', p_id USING ERRCODE = '55P03', CONSTRAINT = 'job_pkey';
    ELSIF h.id IS NOT NULL AND h.seq <> p_seq THEN
        RETURN 'changed';
    END IF;
    RETURN await.cancel(p_id);
END $$;
CREATE FUNCTION await.edge_drop(p_job uuid) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    DELETE FROM await.chunk c WHERE c.class = await.class(p_job) AND c.job = p_job AND c.kind = 'p'
        AND NOT EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_job) AND j.id = p_job)
$$;
CREATE FUNCTION await.edge_events(p_ids uuid[], p_after integer[], p_limit integer, p_value_max integer) RETURNS TABLE(item bigint, id uuid, owner text, correlation_id text, created_at timestamp with time zone, last_seq integer, state text, seq integer, type text, at timestamp with time zone, data text, status smallint, content_type text, file_name text, size bigint, body bytea, base integer)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT w.ord, w.id, w.owner, w.correlation_id, w.created_at, w.last_seq, w.state,
           CASE WHEN w.before < 4194304 THEN w.seq END, w.type, w.at, CASE WHEN w.before < 4194304 THEN nullif(w.text, '') END,
           w.status, w.content_type, w.file_name, w.size, CASE WHEN w.before < 4194304 THEN w.value END, w.base
    FROM (
        SELECT k.ord, j.id, j.owner, j.correlation_id, j.created_at, coalesce(h.seq, 1) AS last_seq, coalesce(h.state, 'pending') AS state,
               e.seq, e.type, e.at, e.text, e.status, e.content_type, e.file_name, e.size, e.value,
               CASE WHEN j.extra IS NULL THEN 1 ELSE coalesce((j.extra ->> 'base')::int4, 1) END AS base,
               coalesce(sum(octet_length(e.text) + coalesce(length(e.value), 0)) OVER
                   (ORDER BY k.ord, e.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
        FROM unnest(p_ids, p_after) WITH ORDINALITY k (id, after, ord)
        JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
        LEFT JOIN LATERAL (SELECT * FROM await.event h WHERE h.class = await.class(k.id) AND h.job = k.id ORDER BY h.seq DESC LIMIT 1) h ON true
        LEFT JOIN LATERAL (SELECT e.*, coalesce(e.data::text, '') AS text,
                                  CASE WHEN e.size <= p_value_max AND await.is_json(e.content_type) THEN e.body END AS value
                           FROM await.event e WHERE e.class = await.class(k.id) AND e.job = k.id AND e.seq > k.after
                           ORDER BY e.seq LIMIT p_limit) e ON true
    ) w ORDER BY w.ord, w.seq;
END $$;
CREATE FUNCTION await.edge_get(p_job uuid, p_attempt smallint, p_at bigint) RETURNS TABLE(pos bigint, bytes bytea)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
    SELECT c.pos, c.bytes FROM await.chunk c
    WHERE c.class = await.class(p_job) AND c.job = p_job AND c.kind = 'r' AND c.attempt = p_attempt AND c.pos <= p_at
    ORDER BY c.pos DESC LIMIT 1
$$;
CREATE FUNCTION await.edge_heads(p_ids uuid[]) RETURNS TABLE(snapshot text, complete boolean, jobs uuid[], seqs integer[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
BEGIN
    RETURN QUERY
    SELECT pg_current_snapshot()::text, true, coalesce(array_agg(k.id), '{}'), coalesce(array_agg(h.seq), '{}')
    FROM unnest(p_ids) k (id)
    CROSS JOIN LATERAL (SELECT e.seq FROM await.event e WHERE e.class = await.class(k.id) AND e.job = k.id
                        ORDER BY e.seq DESC LIMIT 1) h;
END $$;
CREATE FUNCTION await.edge_hello(p_queues text[], p_priorities smallint[]) RETURNS TABLE(now_ms bigint, timeline text, keep_ms bigint[], hint_key bytea, old_keys bytea[], unmade text, schema_version integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
DECLARE
    q       record;
    missing text;
BEGIN
    PERFORM await.settle(), await.need_partitions();
    FOR q IN SELECT g.name, g.priority FROM unnest(p_queues, p_priorities) g (name, priority) LOOP
        missing := nullif(concat_ws('; ', missing, await.make_named_lane(q.name, q.priority)), '');
    END LOOP;
    PERFORM await.open_timeline();
    RETURN QUERY SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, await.timeline(),
        (SELECT array_agg(coalesce(floor(extract(epoch FROM greatest(r.keep, clock_timestamp() - o.starts)) * 1000)::bigint * (r.keep IS NOT NULL)::int, 0)
                          ORDER BY r.class)
         FROM await.retention r LEFT JOIN LATERAL (
             SELECT min(to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC') AS starts FROM pg_class c
             WHERE c.relnamespace = 'await'::regnamespace AND c.relkind = 'r' AND c.relname ~ format('^job_%s_[0-9]{8}$', r.class)) o ON true),
        (SELECT s.key FROM await.secret s),
        ARRAY(SELECT o.key FROM await.old_secret o WHERE o.until > clock_timestamp()), missing,
        (SELECT max(h.version) FROM await.schema_history h);
END $_$;
CREATE FUNCTION await.edge_jobs(p_ids uuid[], p_bodies smallint[], p_value_max integer) RETURNS TABLE(id uuid, queue text, owner text, state text, seq integer, attempt smallint, correlation_id text, batch uuid, phase text, retry_of uuid, params text, progress text, created_at timestamp with time zone, updated_at timestamp with time zone, error text, status smallint, content_type text, file_name text, size bigint, inlined boolean, body bytea)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT j.id, q.name, j.owner, coalesce(e.state, 'pending'), coalesce(e.seq, 1), coalesce(e.attempt, 0::int2), j.correlation_id,
           j.batch, j.phase, j.retry_of, j.params::text, p.data::text, j.created_at, coalesce(e.at, j.created_at),
           CASE WHEN e.state IN ('failed', 'pending') THEN e.data::text END,
           e.status, e.content_type, e.file_name, e.size, e.body IS NOT NULL,
           CASE WHEN k.want = 2 OR (k.want = 1 AND e.size <= p_value_max AND await.is_json(e.content_type))
                THEN e.body END
    FROM unnest(p_ids, p_bodies) k (id, want)
    JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
    JOIN await.queue q ON q.id = j.queue
    LEFT JOIN LATERAL (SELECT * FROM await.event e WHERE e.class = await.class(k.id) AND e.job = k.id ORDER BY e.seq DESC LIMIT 1) e ON true
    LEFT JOIN await.event p ON p.class = await.class(k.id) AND p.job = k.id AND p.seq = e.progress;
END $$;
CREATE FUNCTION await.edge_list(p_owners text[], p_queues text[], p_states text[], p_batches uuid[], p_since bigint[], p_until bigint[], p_ids uuid[], p_eids bigint[], p_limits integer[]) RETURNS TABLE(item bigint, next_id uuid, next_eid bigint, id uuid, queue text, owner text, state text, seq integer, attempt smallint, correlation_id text, batch uuid, phase text, retry_of uuid, params text, progress text, created_at timestamp with time zone, updated_at timestamp with time zone, error text, status smallint, content_type text, file_name text, size bigint, inlined boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    v_most CONSTANT int := 1048576;
    p record;
BEGIN
    FOR i IN 1 .. cardinality(p_limits) LOOP
        p := await.list_page(p_owners[i], p_queues[i], string_to_array(p_states[i], ','), p_batches[i],
            'epoch'::timestamptz + p_since[i] * interval '1 microsecond',
            'epoch'::timestamptz + p_until[i] * interval '1 microsecond', p_ids[i], p_eids[i], p_limits[i],
            false);
        RETURN QUERY
        WITH found AS (
            SELECT k.n, k.eid, j.*,
                   octet_length(coalesce(j.params, '')) + octet_length(coalesce(j.progress, ''))
                   + octet_length(coalesce(j.error, '')) AS weight
            FROM unnest(p.ids, p.eids) WITH ORDINALITY k (id, eid, n)
            JOIN await.edge_jobs(p.ids, array_fill(0::int2, ARRAY[cardinality(p.ids)]), 0) j
                ON j.id = k.id AND j.queue NOT LIKE '.%'
        ), weighed AS (
            SELECT f.*, sum(f.weight) OVER (ORDER BY f.n) AS upto, lead(f.n) OVER (ORDER BY f.n) AS following
            FROM found f
        )
        SELECT i::int8, CASE WHEN w.upto >= v_most AND w.following IS NOT NULL THEN w.id ELSE p.next_id END,
               CASE WHEN w.upto >= v_most AND w.following IS NOT NULL THEN w.eid ELSE p.next_eid END, w.id, w.queue,
               w.owner, w.state, w.seq, w.attempt, w.correlation_id, w.batch, w.phase, w.retry_of, w.params,
               w.progress, w.created_at, w.updated_at, w.error, w.status, w.content_type, w.file_name, w.size, w.inlined
        FROM (VALUES (1)) one (row) LEFT JOIN weighed w ON w.upto - w.weight < v_most
        ORDER BY w.n;
    END LOOP;
END $$;
CREATE FUNCTION await.edge_list_batches(p_owners text[], p_states text[], p_since bigint[], p_until bigint[], p_ids uuid[], p_eids bigint[], p_limits integer[]) RETURNS TABLE(item bigint, next_id uuid, next_eid bigint, id uuid, owner text, state text, seq integer, correlation_id text, phases text, totals text, created_at timestamp with time zone, updated_at timestamp with time zone)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    p record;
BEGIN
    FOR i IN 1 .. cardinality(p_limits) LOOP
        p := await.list_page(p_owners[i], NULL, string_to_array(p_states[i], ','), NULL,
            'epoch'::timestamptz + p_since[i] * interval '1 microsecond',
            'epoch'::timestamptz + p_until[i] * interval '1 microsecond', p_ids[i], p_eids[i], p_limits[i], true);
        RETURN QUERY
        SELECT i::int8, p.next_id, p.next_eid, b.id, b.owner, b.state, b.seq, b.correlation_id, b.phases, b.totals,
               b.created_at, b.updated_at
        FROM (VALUES (1)) one (row)
        LEFT JOIN (
            SELECT k.n, j.id, j.owner, coalesce(e.state, 'pending') AS state, coalesce(e.seq, 1) AS seq,
                   j.correlation_id, (j.extra -> 'phases')::text AS phases,
                   j.created_at, coalesce(e.at, j.created_at) AS updated_at,
                   coalesce(j.extra -> 'totals', CASE WHEN e.data ? 'total' THEN e.data END,
                            await.batch_first_totals(j.id, j.extra -> 'phases'))::text AS totals
            FROM unnest(p.ids) WITH ORDINALITY k (id, n)
            JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
            LEFT JOIN LATERAL (SELECT * FROM await.event e WHERE e.class = await.class(k.id) AND e.job = k.id
                               ORDER BY e.seq DESC LIMIT 1) e ON true) b ON true
        ORDER BY b.n;
    END LOOP;
END $$;
CREATE FUNCTION await.edge_paused(p_queue text) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ SELECT count(*) FROM await.queue q WHERE q.name = p_queue AND q.paused $$;
CREATE FUNCTION await.edge_position(p_ids uuid[]) RETURNS TABLE(id uuid, place bigint, eta_ms bigint)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ SELECT k, p.place, (p.seconds * 1000)::bigint FROM unnest(p_ids) k, LATERAL await.position(k) p $$;
CREATE FUNCTION await.edge_publish(p_topic text, p_type text, p_data jsonb, p_latest boolean) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    LOCK TABLE ONLY await.job, ONLY await.event, await.job_topic, await.event_topic IN ROW EXCLUSIVE MODE;
    RETURN await.publish_soon(p_topic, p_type, p_data, p_latest);
END $$;
CREATE FUNCTION await.edge_put(p_job uuid, p_n integer, p_pos bigint, p_bytes bytea) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT await.need_partitions(await.class(p_job), 'chunk') WHERE p_n = 0;
    INSERT INTO await.chunk (class, job, kind, attempt, n, pos, bytes)
    VALUES (await.class(p_job), p_job, 'p', 0, p_n, p_pos, p_bytes) ON CONFLICT DO NOTHING
$$;
CREATE FUNCTION await.edge_queues(p_most integer) RETURNS TABLE(queue text, ready bigint, delayed bigint, leased bigint, oldest_ms bigint, completed bigint, failed bigint, cancelled bigint, expired bigint, retries bigint, waits bigint[], wait_ms bigint, runs bigint[], run_ms bigint, totals bigint[], total_ms bigint, lag_ms bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM await.count_events();
    RETURN QUERY SELECT s.queue, s.ready, s.delayed, s.leased, (s.oldest * 1000)::bigint, s.completed, s.failed, s.cancelled, s.expired,
        s.retries, s.waits, (s.wait_sum * 1000)::bigint, s.runs, (s.run_sum * 1000)::bigint, s.totals, (s.total_sum * 1000)::bigint,
        (await.reap_lag() * 1000)::bigint
        FROM await.queue_stats(p_most) s;
END $$;
CREATE FUNCTION await.edge_relays(p_most integer) RETURNS TABLE(relay text, sink text, led boolean, behind bigint, lag_ms bigint, delivered bigint, failures bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT s.relay, s.sink, s.leader IS NOT NULL, s.behind, (s.lag * 1000)::bigint, s.delivered, s.failures
    FROM await.relay_status() s WHERE s.sink IS NOT NULL ORDER BY s.relay, s.sink LIMIT p_most
$$;
CREATE FUNCTION await.edge_report(p_id uuid, p_name text, p_report jsonb) RETURNS SETOF uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '500ms'
    SET jit TO 'off'
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
CREATE FUNCTION await.edge_retry(p_id uuid, p_most integer DEFAULT NULL::integer, p_owner_most integer DEFAULT NULL::integer, OUT outcome text, OUT id uuid, OUT retry_ms bigint) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    h await.job_head := await.lock_job(p_id, true);
BEGIN
    -- not by lock_timeout, which would also end the wait for a table that is being vacuumed or altered
    FOR i IN 1 .. 20 LOOP
        EXIT WHEN h.id IS NOT NULL OR NOT EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_id)
            AND j.id = p_id);
        PERFORM pg_sleep(0.01);
        h := await.lock_job(p_id, true);
    END LOOP;
    IF h.id IS NULL AND EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_id) AND j.id = p_id) THEN
        RAISE EXCEPTION 'job % is locked by a transaction that does not end', p_id USING ERRCODE = '55P03',
            CONSTRAINT = 'job_pkey';
    ELSIF h.id IS NULL OR await.is_batch(p_id) THEN
        outcome := 'unknown';
        RETURN;
    ELSIF NOT h.ended THEN
        outcome := 'running';
        RETURN;
    END IF;
    SELECT r.retry INTO edge_retry.id FROM await.retried r WHERE r.class = await.class(p_id) AND r.job = p_id;
    outcome := CASE WHEN FOUND THEN 'replayed' ELSE 'retried' END;
    IF outcome = 'replayed' THEN
        RETURN;
    ELSIF p_most IS NOT NULL OR p_owner_most IS NOT NULL THEN
        SELECT coalesce(m.refused, outcome), m.retry_ms INTO outcome, edge_retry.retry_ms
            FROM await.limit_met(h.queue, h.owner, 1, p_most, p_owner_most) m;
    END IF;
    IF outcome = 'retried' THEN
        edge_retry.id := await.retry(p_id);
    END IF;
END $$;
CREATE FUNCTION await.edge_revoked() RETURNS TABLE(owner text, at bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT r.owner, floor(extract(epoch FROM r.at) * 1000)::int8 FROM await.revoked r WHERE r.at > clock_timestamp() - interval '1 hour'
$$;
CREATE FUNCTION await.edge_stage(p_batch uuid, p_first integer, p_ids uuid[], p_queues text[], p_phases text[], p_priorities smallint[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes bigint[], p_leases bigint[], p_delays bigint[], p_deadlines bigint[], p_attempts smallint[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO await.batch_stage (batch, n, id, queue, phase, priority, content_type, file_name, params, payload, size,
                                   lease, delay, deadline, max_attempts)
    SELECT p_batch, p_first + g.ord - 1, g.id, g.queue, g.phase, g.priority, g.type, g.name, g.params, g.payload,
           g.size, g.lease, g.delay, g.deadline, g.attempts
    FROM unnest(p_ids, p_queues, p_phases, p_priorities, p_types, p_names, p_params, p_payloads, p_sizes, p_leases,
                p_delays, p_deadlines, p_attempts) WITH ORDINALITY
         g (id, queue, phase, priority, type, name, params, payload, size, lease, delay, deadline, attempts, ord)
    ON CONFLICT DO NOTHING;
END $$;
CREATE FUNCTION await.edge_submit(p_ids uuid[], p_queues text[], p_priorities smallint[], p_owners text[], p_correlations text[], p_traces text[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes bigint[], p_leases bigint[], p_attempts smallint[], p_delays bigint[], p_deadlines bigint[], p_webhooks text[] DEFAULT NULL::text[]) RETURNS TABLE(id uuid, created_at timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
DECLARE
    at       timestamptz := clock_timestamp();
    today    date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    r        record;
    inserted int;
    specials int4[] := '{}';
    apart    uuid[];                         -- jobs with a delay, and those of special queues
BEGIN
    -- queues, lanes and partitions that are missing, and special queues: usually none, so one statement for all of them, instead of several for each
    FOR r IN SELECT d.* FROM (SELECT DISTINCT g.queue, g.priority, await.class(g.id) AS class
                              FROM unnest(p_ids, p_queues, p_priorities) g (id, queue, priority)) d
             WHERE NOT EXISTS (SELECT FROM await.queue q
                               JOIN await.lane_in_use m ON m.lane = await.lane(q.id, d.priority)
                               JOIN await.queue_used u ON u.queue = q.id AND u.class = d.class AND u.day = today
                               JOIN await.retention o ON o.class = d.class
                               WHERE q.name = d.queue AND NOT q.special
                                 AND await.has_partition('job', d.class, o.step, at))
             ORDER BY 1, 2, 3 LOOP
        PERFORM await.need_partitions(r.class);
        PERFORM await.note_use(await.make_lane(r.queue, r.priority), r.class);
        specials := specials || ARRAY(SELECT q.id FROM await.queue q WHERE q.name = r.queue AND q.special);
    END LOOP;
    -- without an exponent a number is no longer than the text that contains it
    PERFORM await.check_json(p::jsonb, 'params') FROM unnest(p_params) p WHERE octet_length(p) > 400 OR p ~ '[0-9.][eE]';
    PERFORM await.reserve_positions();
    WITH ins AS (
        INSERT INTO await.job (class, id, queue, priority, owner, created_at, correlation_id, trace, content_type, file_name,
                               params, payload, payload_size, lease, max_attempts, due, deadline, webhook)
        SELECT await.class(g.id), g.id, q.id, g.priority, g.owner, at, g.correlation, g.trace, g.type, g.name, g.params::jsonb,
               g.payload, g.size, g.lease * interval '1 ms', g.attempts,
               at + g.delay * interval '1 ms', at + g.deadline * interval '1 ms', g.webhook::jsonb
        FROM unnest(p_ids, p_queues, p_priorities, p_owners, p_correlations, p_traces, p_types, p_names, p_params,
                    p_payloads, p_sizes, p_leases, p_attempts, p_delays, p_deadlines, p_webhooks)
             g (id, queue, priority, owner, correlation, trace, type, name, params, payload, size, lease, attempts, delay, deadline,
                webhook)
        JOIN await.queue q ON q.name = g.queue
        ON CONFLICT DO NOTHING
        RETURNING job.id, job.queue, job.priority, job.due, job.deadline, job.owner
    ), now_ready AS (
        INSERT INTO await.ready (lane, pos, job, attempt)
        SELECT await.lane(i.queue, i.priority), nextval('await.pos'), i.id, 1 FROM ins i WHERE i.due IS NULL AND i.queue <> ALL (specials)
    ), bounded AS (
        INSERT INTO await.deadline (at, job) SELECT i.deadline, i.id FROM ins i WHERE i.deadline IS NOT NULL
    )
    SELECT count(*), array_agg(i.id) FILTER (WHERE i.due IS NOT NULL OR i.queue = ANY (specials)) INTO inserted, apart FROM ins i;
    IF apart IS NOT NULL THEN                -- rarely, so that the others need not open these tables and their indexes
        INSERT INTO await.delayed (due, lane, job, attempt, owner)
        SELECT j.due, await.lane(j.queue, j.priority), j.id, 1, CASE WHEN j.queue = ANY (specials) THEN j.owner END
        FROM unnest(apart) k (id) JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id WHERE j.due IS NOT NULL;
        PERFORM await.stand_in_line(q, await.lane(q.id, g.priority), g.owner, g.id, 1::int2)
        FROM unnest(p_ids, p_queues, p_priorities, p_owners, p_delays) WITH ORDINALITY g (id, queue, priority, owner, delay, ord)
        JOIN await.queue q ON q.name = g.queue
        WHERE g.id = ANY (apart) AND g.delay IS NULL AND q.id = ANY (specials) ORDER BY g.ord;
    END IF;
    IF await.notifies() THEN
        PERFORM await.notify_work(ARRAY(SELECT g.queue FROM unnest(p_queues, p_delays) g (queue, delay) WHERE g.delay IS NULL), p_owners);
    END IF;
    IF inserted = cardinality(p_ids) THEN
        RETURN QUERY SELECT k, at FROM unnest(p_ids) k;
    ELSE
        -- Some are here already, but who sent them has not heard so: their commit may still wait for a synchronous
        -- standby, or have been torn from that wait. The lock is written to the WAL behind them, so that this commit
        -- waits for the standby to have both.
        RETURN QUERY SELECT k.id, j.created_at FROM unnest(p_ids) WITH ORDINALITY k (id, ord)
            JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id ORDER BY k.ord FOR KEY SHARE OF j;
    END IF;
END $$;
CREATE FUNCTION await.edge_submit_batch(p_batch uuid, p_jobs integer, p_owner text, p_correlation text, p_trace text, p_phases text[], p_on_ready text, p_deadline bigint, p_scope text, p_key text, p_fingerprint bytea, p_keep bigint, p_most integer DEFAULT NULL::integer, p_owner_most integer DEFAULT NULL::integer, p_webhook text DEFAULT NULL::text) RETURNS TABLE(id uuid, created_at timestamp with time zone, clash boolean, refused text, retry_ms bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
DECLARE
    k     int2 := await.class(p_batch);
    first record;
    met   record;
    patience text := current_setting('lock_timeout');
BEGIN
    IF NOT await.is_batch(p_batch) OR p_jobs NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'a batch has an id of version 8 and 1 to 10000 jobs' USING ERRCODE = '22023';
    END IF;
    PERFORM await.need_partitions(k);
    SELECT p_batch AS id, false AS clash INTO first;
    IF p_key IS NOT NULL THEN
        LOCK TABLE await.idem IN ROW EXCLUSIVE MODE; -- so that only the wait for a key is short
        PERFORM set_config('lock_timeout', '200ms', true);
        SELECT t.id, t.clash INTO first FROM await.take_keys(ARRAY[p_batch], ARRAY[p_scope], ARRAY[p_owner],
            ARRAY[p_key], ARRAY[p_fingerprint], ARRAY[p_keep]) t;
        PERFORM set_config('lock_timeout', patience, true);
    END IF;
    IF first.id = p_batch AND NOT EXISTS (SELECT FROM await.job j WHERE j.class = k AND j.id = p_batch) THEN
        IF (SELECT count(*) FROM await.batch_stage s WHERE s.batch = p_batch) <> p_jobs THEN
            RAISE EXCEPTION 'the jobs of batch % are not all there', p_batch USING ERRCODE = '40000'; -- lost: an edge says 503
        END IF;
        PERFORM await.check_phases(p_batch, nullif(to_jsonb(p_phases), '[]'),
            ARRAY(SELECT DISTINCT s.phase FROM await.batch_stage s WHERE s.batch = p_batch));
        met := await.batch_limit_met(p_batch, p_owner, p_most, p_owner_most);
        IF met.refused IS NOT NULL THEN
            DELETE FROM await.idem i
                WHERE i.owner = coalesce(p_owner, '') AND i.queue = p_scope AND i.key = p_key AND i.job = p_batch;
            RETURN QUERY SELECT p_batch, clock_timestamp(), false, met.refused::text, met.retry_ms::int8;
            RETURN;
        END IF;
        PERFORM await.insert_batch(p_batch, p_owner, p_correlation, p_trace, p_phases, p_on_ready,
            clock_timestamp() + p_deadline * interval '1 ms', p_webhook::jsonb);
        PERFORM await.insert_staged(p_batch, p_owner, p_correlation, p_trace);
    ELSIF first.id <> p_batch THEN
        DELETE FROM await.batch_stage s WHERE s.batch = p_batch;
    END IF;
    RETURN QUERY SELECT first.id::uuid, coalesce((SELECT j.created_at FROM await.job j
        WHERE j.class = await.class(first.id) AND j.id = first.id), clock_timestamp()), first.clash::boolean,
            NULL::text, NULL::int8;
END $$;
CREATE FUNCTION await.edge_submit_limited(p_ids uuid[], p_queues text[], p_priorities smallint[], p_owners text[], p_correlations text[], p_traces text[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes bigint[], p_leases bigint[], p_attempts smallint[], p_delays bigint[], p_deadlines bigint[], p_keys text[], p_fingerprints bytea[], p_keeps bigint[], p_mosts integer[], p_owner_mosts integer[], p_webhooks text[] DEFAULT NULL::text[]) RETURNS TABLE(id uuid, created_at timestamp with time zone, clash boolean, refused text, retry_ms bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
DECLARE
    whys  text[];                            -- for each index, why it is refused
    spans int8[];
    good  int[];
BEGIN
    PERFORM await.make_lane(g.queue, min(g.priority)) FROM unnest(p_queues, p_priorities) g (queue, priority)
        WHERE NOT EXISTS (SELECT FROM await.queue q WHERE q.name = g.queue) GROUP BY g.queue ORDER BY g.queue;
    PERFORM await.ask_of_queue(q.id, g.of_owner) FROM (
            SELECT g.queue, bool_or(g.owner_most IS NOT NULL) AS of_owner FROM unnest(p_queues, p_mosts,
                p_owner_mosts) g (queue, most, owner_most)
            WHERE g.most IS NOT NULL OR g.owner_most IS NOT NULL GROUP BY 1) g
        JOIN await.queue q ON q.name = g.queue WHERE NOT q.rated OR g.of_owner AND NOT q.quotas;
    WITH given AS MATERIALIZED (
        SELECT g.ord, g.owner, q.id AS queue, g.most, CASE WHEN g.owner IS NOT NULL THEN g.owner_most END AS owner_most
        FROM unnest(p_ids, p_queues, p_owners, p_keys, p_mosts, p_owner_mosts) WITH ORDINALITY
             g (id, queue, owner, key, most, owner_most, ord)
        JOIN await.queue q ON q.name = g.queue
        WHERE (g.most IS NOT NULL OR g.owner_most IS NOT NULL)
          AND NOT EXISTS (SELECT FROM await.job j WHERE j.class = await.class(g.id) AND j.id = g.id)
          AND NOT EXISTS (SELECT FROM await.idem i WHERE i.owner = coalesce(g.owner, '') AND i.queue = g.queue
              AND i.key = g.key
                          AND i.until > clock_timestamp())
    ), of_owners AS MATERIALIZED (
        SELECT o.queue, o.owner, await.count_waiting(o.queue, o.owner, o.most) AS n
        FROM (SELECT g.queue, g.owner, max(g.owner_most) AS most FROM given g WHERE g.owner_most IS NOT NULL
            GROUP BY 1, 2) o
    ), by_owner AS MATERIALIZED (
        SELECT g.*, coalesce(o.n + row_number() OVER (PARTITION BY g.queue, g.owner ORDER BY g.ord) > g.owner_most,
            false) AS over
        FROM given g LEFT JOIN of_owners o ON o.queue = g.queue AND o.owner = g.owner
    ), of_queues AS MATERIALIZED (
        SELECT o.queue, await.count_waiting(o.queue, NULL, o.most) AS n
        FROM (SELECT g.queue, max(g.most) AS most FROM by_owner g WHERE g.most IS NOT NULL AND NOT g.over GROUP BY 1) o
    ), judged AS (
        SELECT b.ord, CASE WHEN b.over THEN 'owner'
                 WHEN o.n + row_number() OVER (PARTITION BY b.queue, b.over
                     ORDER BY b.ord) > b.most THEN 'queue' END AS why, b.queue, b.owner
        FROM by_owner b LEFT JOIN of_queues o ON o.queue = b.queue
    ), timed AS (                            -- once for each queue and owner
        SELECT d.queue, d.owner, d.why, await.retry_ms(d.queue,
            CASE d.why WHEN 'queue' THEN 1 ELSE await.owner_ahead(d.queue, d.owner) END) AS ms
        FROM (SELECT DISTINCT j.queue, CASE j.why WHEN 'owner' THEN j.owner END AS owner, j.why FROM judged j
            WHERE j.why IS NOT NULL) d
    )
    SELECT array_agg(j.why ORDER BY g.ord), array_agg(t.ms ORDER BY g.ord), array_agg(g.ord::int
        ORDER BY g.ord) FILTER (WHERE j.why IS NULL)
    INTO whys, spans, good
    FROM unnest(p_ids) WITH ORDINALITY g (id, ord) LEFT JOIN judged j ON j.ord = g.ord
    LEFT JOIN timed t ON t.queue = j.queue AND t.why = j.why AND (t.owner IS NULL OR t.owner = j.owner);
    RETURN QUERY
    WITH stored AS MATERIALIZED (
        SELECT s.* FROM (
            SELECT array_agg(g.id ORDER BY g.ord) AS ids, array_agg(g.queue ORDER BY g.ord) AS queues,
                array_agg(g.priority ORDER BY g.ord) AS priorities,
                array_agg(g.owner ORDER BY g.ord) AS owners, array_agg(g.correlation ORDER BY g.ord) AS correlations,
                array_agg(g.trace ORDER BY g.ord) AS traces, array_agg(g.type ORDER BY g.ord) AS types,
                    array_agg(g.name ORDER BY g.ord) AS names,
                array_agg(g.params ORDER BY g.ord) AS params, array_agg(g.payload ORDER BY g.ord) AS payloads,
                    array_agg(g.size ORDER BY g.ord) AS sizes,
                array_agg(g.lease ORDER BY g.ord) AS leases, array_agg(g.attempts ORDER BY g.ord) AS attempts,
                array_agg(g.delay ORDER BY g.ord) AS delays, array_agg(g.deadline ORDER BY g.ord) AS deadlines,
                array_agg(g.key ORDER BY g.ord) AS keys, array_agg(g.fingerprint ORDER BY g.ord) AS fingerprints,
                    array_agg(g.keep ORDER BY g.ord) AS keeps,
                CASE WHEN p_webhooks IS NOT NULL THEN array_agg(g.webhook ORDER BY g.ord) END AS webhooks
            FROM unnest(p_ids, p_queues, p_priorities, p_owners, p_correlations, p_traces, p_types, p_names, p_params,
                        p_payloads, p_sizes, p_leases, p_attempts, p_delays, p_deadlines, p_keys, p_fingerprints,
                            p_keeps, p_webhooks) WITH ORDINALITY
                 g (id, queue, priority, owner, correlation, trace, type, name, params, payload, size, lease, attempts,
                     delay, deadline,
                    key, fingerprint, keep, webhook, ord)
            WHERE g.ord = ANY (good)) a
        CROSS JOIN LATERAL await.edge_submit_once(a.ids, a.queues, a.priorities, a.owners, a.correlations, a.traces,
            a.types, a.names, a.params,
            a.payloads, a.sizes, a.leases, a.attempts, a.delays, a.deadlines, a.keys, a.fingerprints,
                a.keeps, a.webhooks) WITH ORDINALITY
            s (id, created_at, clash, nth)
        WHERE a.ids IS NOT NULL
    )
    SELECT coalesce(s.id, p_ids[w.ord]), s.created_at, coalesce(s.clash, false), w.why, w.ms
    FROM unnest(whys, spans) WITH ORDINALITY w (why, ms, ord)
    LEFT JOIN stored s ON s.nth = array_position(good, w.ord::int) ORDER BY w.ord;
END $$;
CREATE FUNCTION await.edge_submit_once(p_ids uuid[], p_queues text[], p_priorities smallint[], p_owners text[], p_correlations text[], p_traces text[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes bigint[], p_leases bigint[], p_attempts smallint[], p_delays bigint[], p_deadlines bigint[], p_keys text[], p_fingerprints bytea[], p_keeps bigint[], p_webhooks text[] DEFAULT NULL::text[]) RETURNS TABLE(id uuid, created_at timestamp with time zone, clash boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
DECLARE
    now_at   timestamptz := clock_timestamp();
    patience text := current_setting('lock_timeout');
    owned    int[];                          -- indexes of those that are the first with their key
    stands   uuid[];                         -- for each index, the job that the submission stands for
    clashes  boolean[];
BEGIN
    LOCK TABLE await.idem IN ROW EXCLUSIVE MODE; -- so that only the wait for a key is short
    PERFORM set_config('lock_timeout', '200ms', true);
    SELECT array_agg(k.id ORDER BY k.ord), array_agg(k.clash ORDER BY k.ord),
           array_agg(k.ord ORDER BY k.ord) FILTER (WHERE k.id = p_ids[k.ord])
    INTO stands, clashes, owned
    FROM await.take_keys(p_ids, p_queues, p_owners, p_keys, p_fingerprints, p_keeps) k;
    PERFORM set_config('lock_timeout', patience, true);
    IF cardinality(owned) = cardinality(p_ids) THEN
        RETURN QUERY SELECT s.id, s.created_at, false FROM await.edge_submit(p_ids, p_queues, p_priorities, p_owners, p_correlations,
            p_traces, p_types, p_names, p_params, p_payloads, p_sizes, p_leases, p_attempts, p_delays, p_deadlines,
            p_webhooks) s;
        RETURN;
    ELSIF owned IS NOT NULL THEN
        PERFORM await.edge_submit(array_agg(g.id), array_agg(g.queue), array_agg(g.priority), array_agg(g.owner), array_agg(g.correlation),
            array_agg(g.trace), array_agg(g.type), array_agg(g.name), array_agg(g.params), array_agg(g.payload), array_agg(g.size),
            array_agg(g.lease), array_agg(g.attempts), array_agg(g.delay), array_agg(g.deadline),
            CASE WHEN p_webhooks IS NOT NULL THEN array_agg(g.webhook) END)
        FROM unnest(p_ids, p_queues, p_priorities, p_owners, p_correlations, p_traces, p_types, p_names, p_params,
                    p_payloads, p_sizes, p_leases, p_attempts, p_delays, p_deadlines, p_webhooks) WITH ORDINALITY
             g (id, queue, priority, owner, correlation, trace, type, name, params, payload, size, lease, attempts, delay, deadline,
                webhook, ord)
        WHERE g.ord = ANY (owned);
    END IF;
    RETURN QUERY
    SELECT k.id, coalesce(j.created_at, now_at), coalesce(k.clash, false)
    FROM unnest(stands, clashes) WITH ORDINALITY k (id, clash, ord)
    LEFT JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id ORDER BY k.ord;
END $$;
CREATE FUNCTION await.edge_tail(p_since pg_snapshot, p_limit integer) RETURNS TABLE(snapshot text, complete boolean, jobs uuid[], seqs integer[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    v_floor bigint := (SELECT h.floor FROM await.home h);
BEGIN
    RETURN QUERY
    WITH tail AS MATERIALIZED (
        SELECT e.job, e.seq, e.owner, e.eid > v_floor AS ours FROM await.event e
        WHERE e.xid >= pg_snapshot_xmax(p_since) OR e.xid = ANY (ARRAY(SELECT pg_snapshot_xip(p_since)))
        LIMIT p_limit
    ), came AS MATERIALIZED (
        SELECT j.owner, j.eid > v_floor AS ours FROM await.job j
        WHERE j.owner IS NOT NULL AND (j.xid >= pg_snapshot_xmax(p_since) OR j.xid = ANY (ARRAY(SELECT pg_snapshot_xip(p_since))))
        LIMIT p_limit
    ), newest AS (
        SELECT t.job, max(t.seq) AS seq FROM tail t WHERE t.ours GROUP BY t.job
        UNION ALL
        SELECT await.user_id(o.owner), 0 FROM (SELECT t.owner FROM tail t WHERE t.owner IS NOT NULL AND t.ours UNION SELECT c.owner FROM came c WHERE c.ours) o
    )
    SELECT pg_current_snapshot()::text, (SELECT count(*) FROM tail) < p_limit AND (SELECT count(*) FROM came) < p_limit,
           coalesce(array_agg(n.job), '{}'), coalesce(array_agg(n.seq), '{}') FROM newest n;
END $$;
CREATE FUNCTION await.edge_unstage(p_batch uuid) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ DELETE FROM await.batch_stage s WHERE s.batch = p_batch $$;
CREATE FUNCTION await.edge_use_tickets(p_ids uuid[], p_owners text[], p_issued bigint[], p_untils bigint[]) RETURNS TABLE(item bigint, good boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
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
CREATE FUNCTION await.edge_user_events(p_items bigint[], p_owners text[], p_since text[], p_at bigint[], p_upto text[], p_upto_at bigint[], p_eids bigint[], p_limit integer, p_value_max integer) RETURNS TABLE(item bigint, owner text, upto text, upto_at bigint, complete boolean, lost boolean, id uuid, correlation_id text, eid bigint, seq integer, type text, at timestamp with time zone, data text, status smallint, content_type text, file_name text, size bigint, body bytea)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    v_now     int8 := floor(extract(epoch FROM clock_timestamp()));
    v_kept    int8 := (SELECT extract(epoch FROM min(r.keep)) FROM await.retention r);
    v_floor   CONSTANT int8 := (SELECT h.floor FROM await.home h); -- rows up to it are seen by every snapshot
    v_moment  pg_snapshot := CASE WHEN '' = ANY (p_upto) THEN await.whole_snapshot() END;
    v_since   pg_snapshot[];
    v_upto    pg_snapshot[];
    v_upto_at int8[];
    v_lost    boolean[];
    v_long    int[];             -- items with more than a page
    v_item    int[];             -- what was found, by item
    v_eid     int8[];
    v_class   int2[];
    v_job     uuid[];
    v_seq     int4[];
    v_weight  int8[];
    i         int;
BEGIN
    SELECT array_agg(CASE WHEN g.since <> '' AND g.since_at >= v_now - v_kept THEN g.since::pg_snapshot END ORDER BY g.n),
           array_agg(coalesce(nullif(g.upto, '')::pg_snapshot, v_moment) ORDER BY g.n),
           array_agg(CASE WHEN g.upto = '' THEN v_now ELSE g.upto_at END ORDER BY g.n),
           array_agg(g.since <> '' AND g.since_at < v_now - v_kept ORDER BY g.n)
    INTO v_since, v_upto, v_upto_at, v_lost
    FROM unnest(p_since, p_at, p_upto, p_upto_at) WITH ORDINALITY g (since, since_at, upto, upto_at, n);
    WITH near AS MATERIALIZED (
        SELECT a.n, u.*, count(*) OVER (PARTITION BY a.n) > p_limit AS long,
               pg_visible_in_snapshot(u.xid, a.upto) AND u.eid > a.eid AND u.job < 'ffffffff-0000-0000-0000-000000000000' AS due
        FROM unnest(p_owners, v_since, v_upto, p_eids) WITH ORDINALITY a (owner, since, upto, eid, n) CROSS JOIN LATERAL (
            (SELECT e.class, e.job, e.seq, e.xid, e.eid, coalesce(pg_column_size(e.data), 0) + CASE WHEN e.size <= p_value_max THEN e.size ELSE 0 END AS weight
             FROM await.event e WHERE e.owner = a.owner AND e.xid >= pg_snapshot_xmax(a.since) AND e.eid > v_floor ORDER BY e.xid, e.eid LIMIT p_limit + 1)
            UNION ALL
            (SELECT r.* FROM pg_snapshot_xip(a.since) x (xid), LATERAL (
                SELECT e.class, e.job, e.seq, e.xid, e.eid, coalesce(pg_column_size(e.data), 0) + CASE WHEN e.size <= p_value_max THEN e.size ELSE 0 END
                FROM await.event e WHERE e.owner = a.owner AND e.xid >= x.xid AND e.xid <= x.xid AND e.eid > v_floor ORDER BY e.xid, e.eid LIMIT p_limit + 1) r LIMIT p_limit + 1)
            UNION ALL
            (SELECT j.class, j.id, 1, j.xid, j.eid, 0
             FROM await.job j WHERE j.owner = a.owner AND j.xid >= pg_snapshot_xmax(a.since) AND j.eid > v_floor ORDER BY j.xid, j.eid LIMIT p_limit + 1)
            UNION ALL
            (SELECT r.* FROM pg_snapshot_xip(a.since) x (xid), LATERAL (
                SELECT j.class, j.id, 1, j.xid, j.eid, 0
                FROM await.job j WHERE j.owner = a.owner AND j.xid >= x.xid AND j.xid <= x.xid AND j.eid > v_floor ORDER BY j.xid, j.eid LIMIT p_limit + 1) r LIMIT p_limit + 1)
        ) u
    )
    SELECT array_agg(DISTINCT r.n::int) FILTER (WHERE r.long), array_agg(r.n) FILTER (WHERE r.due AND NOT r.long),
           array_agg(r.eid) FILTER (WHERE r.due AND NOT r.long), array_agg(r.class) FILTER (WHERE r.due AND NOT r.long),
           array_agg(r.job) FILTER (WHERE r.due AND NOT r.long), array_agg(r.seq) FILTER (WHERE r.due AND NOT r.long),
           array_agg(r.weight) FILTER (WHERE r.due AND NOT r.long)
    INTO v_long, v_item, v_eid, v_class, v_job, v_seq, v_weight FROM near r;
    FOREACH i IN ARRAY coalesce(v_long, '{}') LOOP
        SELECT v_item || array_agg(i), v_eid || array_agg(w.eid), v_class || array_agg(w.class), v_job || array_agg(w.job),
               v_seq || array_agg(w.seq), v_weight || array_agg(w.weight)
        INTO v_item, v_eid, v_class, v_job, v_seq, v_weight
        FROM await.user_walk(p_owners[i], v_since[i], v_upto[i], p_eids[i], p_limit + 1, p_value_max) w;
    END LOOP;
    RETURN QUERY
    WITH found AS MATERIALIZED (
        SELECT f.n, f.eid, f.class, f.job, f.seq, f.weight, row_number() OVER (PARTITION BY f.n ORDER BY f.eid) AS place
        FROM unnest(v_item, v_eid, v_class, v_job, v_seq, v_weight) f (n, eid, class, job, seq, weight)
    ), picked AS MATERIALIZED ( -- limits the size before data is converted to text
        SELECT f.*, coalesce(sum(f.weight) OVER (ORDER BY f.place, f.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
        FROM found f WHERE f.place <= p_limit
    ), page AS MATERIALIZED ( -- LIMIT 1: each is looked up in its own partition only
        SELECT f.n, f.eid, f.job, f.seq, j.correlation_id, coalesce(e.type, 'pending') AS type, coalesce(e.at, j.created_at) AS at,
               e.text, e.status, e.content_type, e.file_name, e.size, e.value,
               coalesce(sum(coalesce(octet_length(e.text), 0) + coalesce(length(e.value), 0)) OVER
                   (ORDER BY f.place, f.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
        FROM picked f
        CROSS JOIN LATERAL (SELECT j.correlation_id, j.created_at FROM await.job j WHERE j.class = f.class AND j.id = f.job LIMIT 1) j
        LEFT JOIN LATERAL (SELECT e.*, e.data::text AS text,
                                  CASE WHEN e.size <= p_value_max AND await.is_json(e.content_type) THEN e.body END AS value
                           FROM await.event e WHERE f.seq > 1 AND e.class = f.class AND e.job = f.job AND e.seq = f.seq LIMIT 1) e ON true
        WHERE f.before < 4194304
    ), counted AS MATERIALIZED (
        SELECT a.n, a.item, a.owner, a.upto, a.upto_at, a.lost, (SELECT count(*) FROM found f WHERE f.n = a.n)
                   = (SELECT count(*) FROM page t WHERE t.n = a.n AND t.before < 4194304) AS complete
        FROM unnest(p_items, p_owners, v_upto, v_upto_at, v_lost) WITH ORDINALITY a (item, owner, upto, upto_at, lost, n)
    )
    SELECT c.item, c.owner, c.upto::text, c.upto_at, c.complete, c.lost, t.job, t.correlation_id, t.eid, t.seq, t.type, t.at, t.text,
           t.status, t.content_type, t.file_name, t.size, t.value
    FROM counted c LEFT JOIN page t ON t.n = c.n AND t.before < 4194304
    ORDER BY c.item, t.eid;
END $$;
CREATE FUNCTION await.eid_before(p_at timestamp with time zone) RETURNS bigint
    LANGUAGE sql STABLE
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
    SELECT min(f.eid) FROM (VALUES (0::int2), (1::int2), (2::int2), (3::int2)) c (class)
    CROSS JOIN LATERAL (SELECT j.eid FROM await.job j
                        WHERE j.class = c.class AND j.id >= await.floor_id(p_at + interval '5 seconds')
                          AND j.id < 'ffffffff-0000-0000-0000-000000000000'
                        ORDER BY j.class, j.id LIMIT 1) f
$$;
CREATE FUNCTION await.eid_since(p_at timestamp with time zone) RETURNS bigint
    LANGUAGE sql STABLE
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
    SELECT max(f.eid) FROM (VALUES (0::int2), (1::int2), (2::int2), (3::int2)) c (class)
    CROSS JOIN LATERAL (SELECT j.eid, j.created_at FROM await.job j
                        WHERE j.class = c.class AND j.id < await.floor_id(p_at - interval '5 seconds')
                        ORDER BY j.class DESC, j.id DESC LIMIT 20) f
    WHERE f.created_at < p_at - interval '5 seconds'
$$;
CREATE FUNCTION await.emit(id uuid, receipt text, type text, data jsonb DEFAULT NULL::jsonb, event_id text DEFAULT NULL::text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    h   await.job_head;
    old int;
BEGIN
    PERFORM await.check_event_type(emit.type);
    IF length(emit.event_id) > 255 THEN
        RAISE EXCEPTION 'an event id has at most 255 characters' USING ERRCODE = '22023';
    END IF;
    IF NOT await.is_short(data) THEN
        PERFORM await.check_data(data);
    END IF;
    IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = emit.id AND l.receipt = emit.receipt) THEN
        RETURN NULL;
    END IF;
    h := await.lock_job(emit.id);
    IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = emit.id AND l.receipt = emit.receipt) THEN
        RETURN NULL;                         -- lost while this waited for the lock
    END IF;
    IF emit.event_id IS NOT NULL THEN
        SELECT e.seq INTO old FROM await.event e
            WHERE e.class = await.class(emit.id) AND e.job = emit.id AND e.event_id = emit.event_id;
        IF FOUND THEN
            RETURN old;
        END IF;
    END IF;
    IF h.ended IS DISTINCT FROM false THEN
        RETURN NULL;
    END IF;
    RETURN await.append_event(h, emit.type, h.state, data, NULL, emit.event_id);
END $$;
CREATE FUNCTION await.enable_webhook(p_webhook integer, p_enabled boolean DEFAULT true) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM await.find_webhook(p_webhook);
    UPDATE await.webhook w SET disabled_at = CASE WHEN NOT p_enabled THEN clock_timestamp() END,
            disabled_for = CASE WHEN NOT p_enabled THEN 'by an operator' END
        WHERE w.id = p_webhook AND (w.disabled_at IS NULL) IS DISTINCT FROM p_enabled;
    RETURN FOUND;
END $$;
CREATE FUNCTION await.end_lease(p_job uuid, p_receipt text) RETURNS smallint
    LANGUAGE plpgsql
    AS $$
DECLARE
    slot await.lease;
BEGIN
    DELETE FROM await.lease l WHERE l.job = p_job AND l.receipt = p_receipt RETURNING l.* INTO slot;
    IF slot.queue IS NOT NULL THEN
        PERFORM await.slot_freed(slot.queue, slot.lane, slot.owner, slot.origin);
    END IF;
    RETURN slot.attempt;
END $$;
CREATE FUNCTION await.enqueue(p_job uuid, p_queue integer, p_priority smallint, p_attempt smallint, p_due timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    in_lane bigint := await.lane(p_queue, p_priority);
    q       await.queue;
    who     text;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = p_queue AND k.special;
    IF FOUND THEN
        SELECT j.owner INTO who FROM await.job j WHERE j.class = await.class(p_job) AND j.id = p_job;
    END IF;
    IF p_due > clock_timestamp() THEN
        INSERT INTO await.delayed (due, lane, job, attempt, owner) VALUES (p_due, in_lane, p_job, p_attempt, who);
        RETURN;
    END IF;
    PERFORM await.reserve_positions();
    PERFORM await.open_lane(in_lane);
    IF q.id IS NOT NULL THEN
        PERFORM await.stand_in_line(q, in_lane, who, p_job, p_attempt);
    ELSE
        INSERT INTO await.ready (lane, pos, job, attempt) VALUES (in_lane, nextval('await.pos'), p_job, p_attempt);
    END IF;
    IF await.notifies() THEN
        PERFORM await.notify_lanes(ARRAY[in_lane]);
    END IF;
END $$;
CREATE FUNCTION await.enqueue_deliveries(p_jobs uuid[], p_seqs integer[], p_types text[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    ids bigint[];
BEGIN
    WITH target AS MATERIALIZED (
        SELECT g.job, g.seq, g.ord, t.id AS webhook, t.url, q.name AS queue
        FROM unnest(p_jobs, p_seqs, p_types) WITH ORDINALITY g (job, seq, type, ord)
        JOIN await.job j ON j.class = await.class(g.job) AND j.id = g.job
        JOIN await.queue q ON q.id = j.queue
        CROSS JOIN LATERAL (
            SELECT w.id, w.url FROM await.webhook w
            WHERE w.disabled_at IS NULL AND (w.queue IS NULL OR w.queue = q.name)
              AND await.webhook_wants(w.types, g.type)
            UNION ALL
            SELECT 0, j.webhook ->> 'url' WHERE j.webhook IS NOT NULL AND await.webhook_wants(
                CASE WHEN jsonb_typeof(j.webhook -> 'on') = 'array' THEN ARRAY(SELECT jsonb_array_elements_text(j.webhook -> 'on')) END, g.type)
        ) t
        WHERE g.job < 'ffffffff-0000-0000-0000-000000000000'     -- topics
          AND await.webhook_host(t.url) IS NOT NULL              -- or somebody has edited it
    ), gone AS MATERIALIZED (                -- jobs of which their own URL wants no more: once a job, not once an event
        SELECT o.job FROM (SELECT DISTINCT t.job FROM target t WHERE t.webhook = 0) o
        WHERE EXISTS (
            SELECT FROM await.delivery d JOIN await.delivery_end e ON e.delivery = d.id AND e.state = 'dead'
            JOIN await.delivery_attempt a ON a.delivery = d.id AND a.status = 410
            WHERE d.job = o.job AND d.webhook = 0)
    ), ins AS (
        INSERT INTO await.delivery (webhook, job, seq, type, queue, url, body)
        SELECT t.webhook, t.job, t.seq, e.type, t.queue, t.url, e.body
        FROM target t CROSS JOIN LATERAL (
            SELECT e.type, await.delivery_body(j, t.queue, e) AS body FROM await.event e
            JOIN await.job j ON j.class = e.class AND j.id = e.job
            WHERE t.seq > 1 AND e.class = await.class(t.job) AND e.job = t.job AND e.seq = t.seq
            UNION ALL
            SELECT 'pending', await.delivery_body(j, t.queue, jsonb_populate_record(NULL::await.event,
                jsonb_build_object('job', j.id, 'seq', 1, 'type', 'pending', 'state', 'pending', 'attempt', 0,
                                   'at', j.created_at)))
            FROM await.job j WHERE t.seq = 1 AND j.class = await.class(t.job) AND j.id = t.job) e
        WHERE t.webhook <> 0 OR NOT EXISTS (SELECT FROM gone n WHERE n.job = t.job)
        ORDER BY t.ord, t.webhook
        ON CONFLICT DO NOTHING
        RETURNING delivery.id
    )
    SELECT array_agg(i.id) INTO ids FROM ins i;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM await.queue_deliveries(ids);
    RETURN cardinality(ids);
END $$;
CREATE FUNCTION await.events_after(cursor text, n integer DEFAULT 1000) RETURNS TABLE(next text, id uuid, seq integer, type text, state text, attempt smallint, at timestamp with time zone, queue text, topic text, owner text, batch uuid, phase text, correlation_id text, trace text, data jsonb, status smallint, content_type text, file_name text, size bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT p.cursor, p.job, p.seq, p.type, p.state, p.attempt, p.at, nullif(p.queue, '.topic'),
        CASE WHEN p.queue = '.topic' THEN substr(p.owner, 7) END, CASE WHEN p.queue <> '.topic' THEN p.owner END,
        p.batch, p.phase, p.correlation_id, p.trace, p.data::jsonb, p.status, p.content_type, p.file_name, p.size
    FROM await.relay_page(events_after.cursor, events_after.n) p
    WHERE p.job IS NOT NULL OR NOT p.complete OR coalesce(events_after.cursor, '') = ''
$$;
CREATE FUNCTION await.fail(id uuid, receipt text, error jsonb, retry_in interval DEFAULT NULL::interval) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    h   await.job_head;
    own int2;
BEGIN
    IF retry_in > interval '10 years' THEN
        RAISE EXCEPTION 'retry_in is at most 10 years, not %', retry_in USING ERRCODE = '22023';
    ELSIF NOT await.is_short(error) THEN
        error := await.fit_error(error);
    END IF;
    IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = fail.id AND l.receipt = fail.receipt) THEN
        RETURN false;
    END IF;
    h := await.lock_job(fail.id);
    own := await.end_lease(h.id, fail.receipt);
    IF own IS NULL OR h.ended THEN
        RETURN false;
    END IF;
    PERFORM await.retry_or_fail(h, own, coalesce(error, '{}'), retry_in);
    RETURN true;
END $$;
CREATE FUNCTION await.few_open(p_leased boolean, p_most integer) RETURNS uuid[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    lanes bigint[] := ARRAY(SELECT m.lane FROM await.lane_in_use m ORDER BY m.lane LIMIT p_most + 1);
    jobs  uuid[];
BEGIN
    IF cardinality(lanes) > p_most THEN
        RETURN NULL;
    END IF;
    -- behind the marks of their lanes, as await.claim() reads them: below may lie what was deleted
    SELECT array_agg(u.job) INTO jobs FROM (
        SELECT w.job FROM (
            (SELECT r.job FROM unnest(lanes) l (lane)
             CROSS JOIN LATERAL (SELECT r.job FROM await.ready r
                                 WHERE r.lane = l.lane AND r.pos >= coalesce((
                                     SELECT w.pos FROM await.low_water w WHERE w.lane = l.lane
                                     ORDER BY w.lane DESC, w.pos DESC LIMIT 1), 0)
                                 ORDER BY r.lane, r.pos LIMIT p_most + 1) r
             LIMIT p_most + 1)
            UNION ALL
            (SELECT h.job FROM await.held h ORDER BY h.lane, h.owner, h.pos LIMIT p_most + 1)
            UNION ALL
            (SELECT d.job FROM await.delayed d ORDER BY d.due LIMIT p_most + 1)
            UNION ALL
            (SELECT l.job FROM await.lease l WHERE p_leased LIMIT p_most + 1)
        ) w LIMIT p_most + 1
    ) u;
    RETURN CASE WHEN coalesce(cardinality(jobs), 0) <= p_most THEN coalesce(jobs, '{}') END;
END $$;
CREATE FUNCTION await.find_batch(p_batch uuid) RETURNS await.job
    LANGUAGE plpgsql
    AS $$
DECLARE
    b await.job;
BEGIN
    IF await.is_batch(p_batch) THEN
        SELECT * INTO b FROM await.job j WHERE j.class = await.class(p_batch) AND j.id = p_batch;
    END IF;
    IF b.id IS NULL THEN
        RAISE EXCEPTION 'there is no batch %', p_batch USING ERRCODE = '22023';
    END IF;
    RETURN b;
END $$;
CREATE FUNCTION await.find_jobs(filter jsonb, p_limit integer DEFAULT 100, after uuid DEFAULT NULL::uuid) RETURNS TABLE(id uuid, queue text, state text, owner text, created_at timestamp with time zone, ended_at timestamp with time zone, attempt integer, error jsonb, retried_by uuid, upto uuid)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    most  int := least(greatest(coalesce(p_limit, 100), 1), 1000);
    looks int := 10000;
    in_class int2 := coalesce(await.class(after), 0);
    start uuid := coalesce(after, '00000000-0000-0000-0000-000000000000');
    least_id uuid;
    end_id uuid;
    r     record;
BEGIN
    PERFORM await.check_filter(filter);
    least_id := coalesce(await.floor_id((filter ->> 'created_after')::timestamptz),
        '00000000-0000-0000-0000-000000000000');
    end_id := least(coalesce(await.floor_id((filter ->> 'created_before')::timestamptz),
        'ffffffff-0000-0000-0000-000000000000'),
                    'ffffffff-0000-0000-0000-000000000000');
    WHILE in_class <= 3 LOOP
        FOR r IN SELECT e.job, e.state, e.at, e.attempt, e.data, q.name, j.owner, j.created_at, t.retry FROM (
                     SELECT v.* FROM await.event v WHERE v.class = in_class AND v.job > start AND v.job >= least_id
                         AND v.job < end_id AND v.ending
                       AND NOT await.is_batch(v.job)
                     ORDER BY v.class, v.job LIMIT looks) e
                 JOIN await.job j ON j.class = e.class AND j.id = e.job JOIN await.queue q ON q.id = j.queue
                 LEFT JOIN await.retried t ON t.class = e.class AND t.job = e.job
                 ORDER BY e.job LOOP
            looks := looks - 1;
            upto := r.job;
            CONTINUE WHEN r.state <> coalesce(filter ->> 'state', 'failed')
                OR r.name <> coalesce(filter ->> 'queue', r.name)
                OR filter ? 'owner' AND r.owner IS DISTINCT FROM filter ->> 'owner'
                OR filter ? 'error_type' AND (r.data ->> 'type') IS DISTINCT FROM filter ->> 'error_type';
            id := r.job; queue := r.name; state := r.state; owner := r.owner; created_at := r.created_at;
            ended_at := r.at;
            attempt := r.attempt; error := CASE WHEN r.state = 'failed' THEN r.data END; retried_by := r.retry;
            RETURN NEXT;
            most := most - 1;
            EXIT WHEN most = 0;
        END LOOP;
        EXIT WHEN most = 0 OR looks <= 0;
        in_class := in_class + 1;
        start := '00000000-0000-0000-0000-000000000000';
        upto := NULL;
    END LOOP;
    id := NULL; queue := NULL; state := NULL; owner := NULL; created_at := NULL; ended_at := NULL; attempt := NULL;
    error := NULL;
    retried_by := NULL;
    RETURN NEXT;
END $$;
CREATE TABLE await.webhook (
    id integer NOT NULL,
    url text NOT NULL,
    queue text,
    types text[],
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    disabled_at timestamp with time zone,
    disabled_for text
);
CREATE FUNCTION await.find_webhook(p_id integer) RETURNS await.webhook
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    w await.webhook;
BEGIN
    SELECT * INTO w FROM await.webhook k WHERE k.id = p_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no webhook %', p_id USING ERRCODE = '22023', HINT = 'await-ctl webhooks list';
    END IF;
    RETURN w;
END $$;
CREATE FUNCTION await.finish_batch(p_batch uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    h       await.job_head := await.lock_job(p_batch);
    totals  jsonb;
    summary jsonb;
    then_to text;
BEGIN
    IF h.id IS NULL OR h.ended OR EXISTS (SELECT FROM await.batch_open o WHERE o.batch = p_batch) THEN
        RETURN;                              -- who ends the last job waits for this transaction, and comes here then
    END IF;
    totals := await.batch_totals(p_batch);
    IF NOT await.phases_had_jobs(p_batch, totals) THEN
        PERFORM await.tell_batch(p_batch);
        RETURN;
    END IF;
    summary := totals || jsonb_build_object('batch', p_batch, 'failures', await.batch_failures(p_batch));
    PERFORM await.append_event(h, 'batch.ready', 'completed', summary);
    DELETE FROM await.batch_added a WHERE a.batch = p_batch;
    DELETE FROM await.batch_loss l WHERE l.batch = p_batch;
    SELECT j.extra ->> 'on_ready' INTO then_to FROM await.job j
        WHERE j.class = await.class(p_batch) AND j.id = p_batch;
    IF then_to IS NOT NULL THEN
        PERFORM await.create_ready_job(p_batch, then_to, summary);
    END IF;
END $$;
CREATE FUNCTION await.finish_deliveries(p_ids bigint[], p_attempts integer[], p_outcomes text[], p_delays bigint[], p_statuses smallint[], p_errors text[], p_spans integer[], p_events text[] DEFAULT NULL::text[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    r      record;
    state  text;
    next   bigint;
    passed int := 0;
BEGIN
    FOR r IN
        SELECT g.*, u.job, u.webhook, u.seq, u.until, u.host, u.attempts AS made
        FROM unnest(p_ids, p_attempts, p_outcomes, p_delays, p_statuses, p_errors, p_spans, p_events)
             g (id, attempts, outcome, delay, status, error, ms, event)
        JOIN await.delivery_due u ON u.delivery = g.id AND u.attempts = g.attempts
            AND (g.event IS NULL OR u.job || ':' || u.seq = g.event)
        ORDER BY u.job, u.webhook, u.seq
    LOOP
        DELETE FROM await.delivery_due u WHERE u.delivery = r.id AND u.attempts = r.attempts;
        CONTINUE WHEN NOT FOUND;             -- another relay was faster
        IF r.outcome <> 'unsent' THEN
            -- sent again after its end, it counts on
            INSERT INTO await.delivery_attempt (delivery, n, at, ms, status, error)
                SELECT r.id, coalesce(max(a.n), 0) + 1, clock_timestamp(), r.ms, r.status, left(r.error, 500)
                FROM await.delivery_attempt a WHERE a.delivery = r.id;
        END IF;
        state := CASE WHEN r.outcome = 'delivered' THEN 'delivered'
                      WHEN r.outcome = 'retry' AND clock_timestamp() + r.delay * interval '1 ms' <= r.until THEN NULL
                      ELSE 'dead' END;
        PERFORM nextval('await.deliveries_failed') WHERE r.outcome IN ('retry', 'dead', 'gone');
        IF state IS NULL THEN
            INSERT INTO await.delivery_due (job, webhook, seq, delivery, host, due, until, attempts)
                VALUES (r.job, r.webhook, r.seq, r.id, r.host, clock_timestamp() + r.delay * interval '1 ms', r.until,
                        r.attempts + 1);
            CONTINUE;
        END IF;
        PERFORM nextval('await.deliveries_' || state);
        INSERT INTO await.delivery_end (delivery, state) VALUES (r.id, state);
        IF r.outcome = 'gone' THEN
            UPDATE await.webhook w SET disabled_at = clock_timestamp(), disabled_for = '410 Gone'
                WHERE w.id = r.webhook AND w.disabled_at IS NULL;
            IF r.webhook = 0 THEN
                WITH ended AS (
                    DELETE FROM await.delivery_due u WHERE u.job = r.job AND u.webhook = 0 RETURNING u.delivery)
                INSERT INTO await.delivery_end (delivery, state) SELECT n.delivery, 'dead' FROM ended n;
            END IF;
        END IF;
        SELECT u.delivery INTO next FROM await.delivery_due u
            WHERE u.job = r.job AND u.webhook = r.webhook ORDER BY u.seq LIMIT 1;
        IF FOUND THEN
            -- its three days are those of its own event; an attempt that is due is made in any case
            UPDATE await.delivery_due u SET due = clock_timestamp()
                WHERE u.delivery = next AND u.due = 'infinity';
            passed := passed + 1;
        END IF;
    END LOOP;
    RETURN passed;
END $$;
CREATE FUNCTION await.fit_error(error jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF error IS NULL OR await.is_short(error) THEN
        RETURN error;
    END IF;
    PERFORM await.check_json(error, 'the error of an attempt');
    IF await.fits_event(error) THEN
        RETURN error;
    END IF;
    RETURN '{"truncated": true}' || CASE jsonb_typeof(error)
        WHEN 'object' THEN coalesce((SELECT jsonb_object_agg(e.key, CASE jsonb_typeof(e.value)
                WHEN 'string' THEN to_jsonb(left(e.value #>> '{}', CASE e.key WHEN 'detail' THEN 4000 ELSE 400 END)) ELSE e.value END)
            FROM jsonb_each(error) e WHERE e.key IN ('type', 'title', 'status', 'detail', 'instance')
              AND (jsonb_typeof(e.value) = 'string' OR await.is_short(e.value))), '{}')
        ELSE jsonb_build_object('detail', left(error #>> '{}', 4000)) END;
END $$;
CREATE FUNCTION await.fits_event(data jsonb) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$ SELECT pg_column_size(data) <= 393216 AND octet_length(data::text) <= 49152 $$;
CREATE FUNCTION await.floor_id(at timestamp with time zone) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT rpad(lpad(to_hex((floor(extract(epoch FROM at) * 1000))::bigint), 12, '0'), 32, '0')::uuid $$;
CREATE FUNCTION await.grant_queues(role name, queues text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    who regrole := quote_ident(grant_queues.role)::regrole;
BEGIN
    IF cardinality(queues) = 0 OR queues IS NULL OR '' = ANY (queues) OR array_position(queues, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'await.grant_queues needs the names of queues; ''*'' stands for all' USING ERRCODE = '22023';
    END IF;
    DELETE FROM await.queue_grant g WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = g.role); -- of dropped roles
    DELETE FROM await.queue_grant g WHERE g.role = who AND g.queue = '';
    INSERT INTO await.queue_grant (role, queue) SELECT DISTINCT who, q FROM unnest(queues) q ON CONFLICT DO NOTHING;
END $$;
CREATE FUNCTION await.has_partition(p_base text, p_class smallint, p_step interval, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$ SELECT to_regclass(format('await.%I', await.partition_name(p_base, p_class, date_bin(p_step, p_at, 'epoch')))) IS NOT NULL $$;
CREATE FUNCTION await.heartbeat(id uuid, receipt text, progress jsonb DEFAULT NULL::jsonb) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    h    await.job_head;
    over text;
    slot await.lease;
BEGIN
    IF progress IS NOT NULL THEN
        IF NOT await.is_short(progress) THEN
            PERFORM await.check_data(progress);
        END IF;
        IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = heartbeat.id AND l.receipt = heartbeat.receipt) THEN
            RETURN 'lost';
        END IF;
        h := await.lock_job(heartbeat.id);
        over := CASE WHEN h.ended THEN h.state END;
    ELSE
        SELECT e.type INTO over FROM await.event e WHERE e.class = await.class(heartbeat.id) AND e.job = heartbeat.id AND e.ending;
    END IF;
    IF over IS NOT NULL THEN
        SELECT * INTO slot FROM await.lease l WHERE l.job = heartbeat.id AND l.receipt = heartbeat.receipt;
        IF slot.queue IS NOT NULL THEN       -- the worker knows now, so its job does not count as running
            UPDATE await.lease l SET queue = NULL WHERE l.job = heartbeat.id AND l.queue IS NOT NULL;
            IF FOUND THEN
                PERFORM await.slot_freed(slot.queue, slot.lane, slot.owner, slot.origin);
            END IF;
        END IF;
        RETURN CASE WHEN over = 'cancelled' AND slot.job IS NOT NULL THEN 'cancelled' ELSE 'lost' END;
    END IF;
    UPDATE await.lease l SET until = clock_timestamp() + l.span, no = CASE WHEN l.queue IS NOT NULL THEN nextval('await.pos') END
        WHERE l.job = heartbeat.id AND l.receipt = heartbeat.receipt;
    IF NOT FOUND THEN
        RETURN 'lost';
    END IF;
    IF progress IS NOT NULL THEN
        PERFORM await.append_event(h, 'progress', h.state, progress);
    END IF;
    RETURN 'ok';
END $$;
CREATE FUNCTION await.hint(id uuid, seq integer DEFAULT NULL::integer) RETURNS TABLE(channel text, message text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
DECLARE
    k    int2 := await.class(hint.id);
    e    await.event;
    j    await.job;
    of_user text;
    of_batch uuid;
    may  boolean := true;
BEGIN
    IF hint.seq IS NULL THEN
        SELECT * INTO e FROM await.event v WHERE v.class = k AND v.job = hint.id ORDER BY v.seq DESC LIMIT 1;
    ELSE
        SELECT * INTO e FROM await.event v WHERE v.class = k AND v.job = hint.id AND v.seq = hint.seq;
    END IF;
    IF EXISTS (SELECT FROM await.queue_grant) THEN
        may := (SELECT await.may_queue(CASE WHEN hint.id >= 'ffffffff-0000-0000-0000-000000000000' THEN w.owner ELSE q.name END)
                FROM await.job w JOIN await.queue q ON q.id = w.queue WHERE w.class = k AND w.id = hint.id);
    END IF;
    of_user := CASE WHEN NOT may OR hint.id >= 'ffffffff-0000-0000-0000-000000000000' THEN NULL -- a topic
                    WHEN e.job IS NOT NULL THEN e.owner
                    ELSE (SELECT w.owner FROM await.job w WHERE w.class = k AND w.id = hint.id) END;
    IF e.job IS NOT NULL THEN
        channel := await.shard(hint.id);
        IF may AND e.xid IS DISTINCT FROM pg_current_xact_id_if_assigned() THEN
            SELECT * INTO j FROM await.job w WHERE w.class = k AND w.id = hint.id;
            message := await.hint_message(e, j, (SELECT q.name FROM await.queue q WHERE q.id = j.queue), await.timeline());
        ELSE
            message := format('1 %s %s %s', hint.id, e.seq, e.type);
        END IF;
        RETURN NEXT;
    END IF;
    IF of_user IS NOT NULL THEN
        channel := await.shard(await.user_id(of_user));
        message := await.user_hint(of_user);
        RETURN NEXT;
    END IF;
    of_batch := CASE WHEN NOT may OR e.job IS NULL THEN NULL WHEN j.id IS NOT NULL THEN j.batch
                     ELSE (SELECT w.batch FROM await.job w WHERE w.class = k AND w.id = hint.id) END;
    IF of_batch IS NOT NULL THEN
        RETURN QUERY SELECT h.*
            FROM (SELECT * FROM await.event b WHERE b.class = k AND b.job = of_batch ORDER BY b.seq DESC LIMIT 1) v,
                LATERAL (VALUES (await.shard(of_batch), format('1 %s %s %s', of_batch, v.seq, v.type)),
                    ('await:queue:' || CASE WHEN v.type = 'batch.ready' THEN
                        (SELECT w.extra ->> 'on_ready' FROM await.job w WHERE w.class = k AND w.id = of_batch) END, '1'))
                    h (channel, message)
            WHERE v.at > e.at - interval '1 second' AND h.channel IS NOT NULL;
    END IF;
END $$;
CREATE FUNCTION await.hint_message(e await.event, j await.job, p_queue text, p_timeline text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    message  text := '1 ' || e.job || ' ' || e.seq || ' ' || e.type;
    progress text;
    rich     text;
BEGIN
    IF isfinite(e.at) AND isfinite(j.created_at) AND coalesce(length(e.body), 0) <= 5120
            AND coalesce(pg_column_size(e.data), 0) <= 8192 THEN
        IF e.progress = e.seq THEN
            progress := e.data::text;
        ELSIF e.progress IS NOT NULL THEN
            SELECT p.data::text INTO progress FROM await.event p
                WHERE p.class = e.class AND p.job = e.job AND p.seq = e.progress;
        END IF;
        rich := json_build_object('t', p_timeline, 'queue', p_queue, 'owner', j.owner, 'state', e.state,
            'attempt', e.attempt, 'correlation_id', j.correlation_id, 'batch', j.batch, 'phase', j.phase,
            'retry_of', j.retry_of, 'params', j.params::text,
            'created_at', floor(extract(epoch FROM j.created_at) * 1000)::bigint, 'progress', progress,
            'at', floor(extract(epoch FROM e.at) * 1000)::bigint, 'data', e.data::text,
            'status', e.status, 'content_type', e.content_type, 'file_name', e.file_name, 'size', e.size,
            'body', await.base64url(e.body));
        IF octet_length(rich) <= 7936 THEN
            message := message || ' ' || await.sign(message || ' ' || rich) || ' ' || rich;
        END IF;
    END IF;
    RETURN message;
END $$;
CREATE FUNCTION await.hints(ids uuid[]) RETURNS TABLE(channel text, message text)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT DISTINCT h.channel, h.message FROM unnest(ids) k, LATERAL await.hint(k) h
$$;
CREATE FUNCTION await.hmac(p_key bytea, p_message bytea) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    inner_pad bytea := p_key || decode(repeat('00', 64 - length(p_key)), 'hex');
    outer_pad bytea := inner_pad;
BEGIN
    FOR i IN 0 .. 63 LOOP
        inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # 54);
        outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # 92);
    END LOOP;
    RETURN sha256(outer_pad || sha256(inner_pad || p_message));
END $$;
CREATE FUNCTION await.hold_batch(b await.job, p_phases text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM await.check_phases(b.id, b.extra -> 'phases', p_phases);
    PERFORM FROM await.job j WHERE j.class = await.class(b.id) AND j.id = b.id FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no batch %', b.id USING ERRCODE = '22023';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        -- what was committed since the snapshot is not seen, but a row that is gone cannot be locked: an error (40001)
        PERFORM FROM await.batch_live l WHERE l.batch = b.id FOR KEY SHARE;
    END IF;
    IF coalesce((SELECT e.ending FROM await.event e WHERE e.class = await.class(b.id) AND e.job = b.id -- after the lock
                 ORDER BY e.seq DESC LIMIT 1), false) THEN
        RAISE EXCEPTION 'batch % has ended: no job can be added', b.id USING ERRCODE = '55000';
    END IF;
END $$;
CREATE FUNCTION await.hold_hosts(p_hosts text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    one text;
BEGIN
    FOR one IN SELECT DISTINCT h FROM unnest(p_hosts) h ORDER BY 1 LOOP
        LOOP                                 -- await.purge_deliveries() may delete it meanwhile
            PERFORM FROM await.delivery_host k WHERE k.host = one FOR KEY SHARE;
            EXIT WHEN FOUND;
            INSERT INTO await.delivery_host (host) VALUES (one) ON CONFLICT DO NOTHING;
        END LOOP;
    END LOOP;
END $$;
CREATE FUNCTION await.hold_job(p_lane bigint, p_owner text, p_pos bigint, p_job uuid, p_attempt smallint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO await.held (lane, owner, pos, job, attempt) VALUES (p_lane, p_owner, p_pos, p_job, p_attempt);
    IF NOT EXISTS (SELECT FROM await.held_note k WHERE k.lane = p_lane AND k.owner = p_owner
        AND k.xid = pg_current_xact_id()) THEN
        INSERT INTO await.held_note (lane, owner, pos) VALUES (p_lane, p_owner, p_pos);
    END IF;
END $$;
CREATE FUNCTION await.in_transaction() RETURNS boolean
    LANGUAGE sql STABLE
    AS $$ SELECT now() <> statement_timestamp() AND coalesce(current_setting('await.single', true), '') <> 'on' $$;
CREATE FUNCTION await.insert_added(b await.job, p_id uuid, p_queue text, p_phase text, p_priority smallint, p_correlation text, p_trace text, p_type text, p_name text, p_params text, p_payload bytea, p_size bigint, p_lease bigint, p_attempts smallint, p_delay bigint, p_deadline bigint, p_webhook text DEFAULT NULL::text) RETURNS timestamp with time zone
    LANGUAGE plpgsql
    AS $$
DECLARE
    at       timestamptz := clock_timestamp();
    due      timestamptz := at + p_delay * interval '1 ms';
    deadline timestamptz := at + p_deadline * interval '1 ms';
    in_queue int4;
BEGIN
    IF p_params IS NOT NULL THEN
        PERFORM await.check_json(p_params::jsonb, 'params');
    END IF;
    PERFORM await.need_partitions(b.class);
    in_queue := await.make_lane(p_queue, p_priority);
    PERFORM await.note_use(in_queue, b.class);
    INSERT INTO await.job (class, id, queue, priority, owner, batch, phase, created_at, correlation_id, trace,
                           content_type, file_name, params, payload, payload_size, lease, max_attempts, due, deadline,
                           webhook)
    VALUES (b.class, p_id, in_queue, p_priority, b.owner, b.id, p_phase, at, p_correlation, p_trace, p_type, p_name,
            p_params::jsonb, p_payload, p_size, p_lease * interval '1 ms', p_attempts, due, deadline,
            p_webhook::jsonb);
    IF deadline IS NOT NULL THEN
        INSERT INTO await.deadline (at, job) VALUES (deadline, p_id);
    END IF;
    PERFORM await.enqueue(p_id, in_queue, p_priority, 1::int2, due);
    PERFORM await.add_to_batch(b.id, ARRAY[p_id], ARRAY[p_phase]);
    IF b.owner IS NOT NULL AND await.notifies() THEN
        PERFORM await.notify_work(NULL, ARRAY[b.owner]);
    END IF;
    RETURN at;
END $$;
CREATE FUNCTION await.insert_batch(p_id uuid, p_owner text, p_correlation text, p_trace text, p_phases text[], p_on_ready text, p_deadline timestamp with time zone, p_webhook jsonb DEFAULT NULL::jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $_$
DECLARE
    bad text;
BEGIN
    IF cardinality(p_phases) > 16 THEN
        RAISE EXCEPTION 'a batch has at most 16 phases, not %', cardinality(p_phases) USING ERRCODE = '22023';
    END IF;
    SELECT p INTO bad FROM unnest(p_phases) p WHERE p IS NULL OR p !~ '^[A-Za-z0-9_.-]{1,64}$' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the name of a phase is 1 to 64 of A-Z a-z 0-9 _ . -, not %', quote_nullable(left(bad, 80))
            USING ERRCODE = '22023';
    ELSIF (SELECT count(DISTINCT p) FROM unnest(p_phases) p) <> cardinality(p_phases) THEN
        RAISE EXCEPTION 'a phase is named twice' USING ERRCODE = '22023';
    END IF;
    IF p_on_ready IS NOT NULL THEN           -- an error now, not when the batch is ready
        PERFORM await.queue_id(p_on_ready, true);
    END IF;
    INSERT INTO await.job (class, id, queue, owner, correlation_id, trace, content_type, payload, payload_size,
                           deadline, extra, webhook)
    VALUES (await.class(p_id), p_id, await.queue_id('.batch', true), p_owner, p_correlation, p_trace,
            'application/json', '', 0, p_deadline,
            jsonb_strip_nulls(jsonb_build_object('phases', nullif(to_jsonb(p_phases), '[]'), 'on_ready', p_on_ready)),
            p_webhook);
    INSERT INTO await.batch_live (batch, told, pause, visit)
    VALUES (p_id, clock_timestamp(), interval '0', clock_timestamp() + interval '1 minute');
    IF p_deadline IS NOT NULL THEN
        INSERT INTO await.deadline (at, job) VALUES (p_deadline, p_id);
    END IF;
END $_$;
CREATE FUNCTION await.insert_staged(p_batch uuid, p_owner text, p_correlation text, p_trace text) RETURNS void
    LANGUAGE plpgsql
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
DECLARE
    k        int2 := await.class(p_batch);
    at       timestamptz := clock_timestamp();
    ids      uuid[];
    phases   text[];
    lanes    bigint[];                       -- in which a worker can claim some of them now
    specials int4[] := '{}';
    lining   uuid[];                         -- jobs of special queues
    large    record;
    r        record;
BEGIN
    FOR r IN SELECT DISTINCT s.queue, s.priority FROM await.batch_stage s WHERE s.batch = p_batch ORDER BY 1, 2 LOOP
        PERFORM await.note_use(await.make_lane(r.queue, r.priority), k);
        specials := specials || ARRAY(SELECT q.id FROM await.queue q WHERE q.name = r.queue AND q.special);
    END LOOP;
    PERFORM await.check_json(s.params::jsonb, 'params') FROM await.batch_stage s
        WHERE s.batch = p_batch AND (octet_length(s.params) > 400 OR s.params ~ '[0-9.][eE]');
    FOR large IN SELECT s.id, s.payload FROM await.batch_stage s
                 WHERE s.batch = p_batch AND length(s.payload) > 65536 LOOP
        PERFORM await.need_partitions(k, 'chunk');
        PERFORM await.store_chunks(large.id, 'p', 0::int2, large.payload);
    END LOOP;
    PERFORM await.reserve_positions();
    WITH ins AS (
        INSERT INTO await.job (class, id, queue, priority, owner, batch, phase, created_at, correlation_id, trace,
                               content_type, file_name, params, payload, payload_size, lease, max_attempts, due,
                               deadline)
        SELECT k, g.id, q.id, g.priority, p_owner, p_batch, g.phase, at, p_correlation, p_trace, g.content_type,
               g.file_name, g.params::jsonb, CASE WHEN g.size <= 65536 THEN g.payload END, g.size,
               g.lease * interval '1 ms', g.max_attempts,
               at + g.delay * interval '1 ms', at + g.deadline * interval '1 ms'
        FROM await.batch_stage g JOIN await.queue q ON q.name = g.queue WHERE g.batch = p_batch ORDER BY g.n
        RETURNING job.id, job.queue, job.priority, job.due, job.deadline, job.phase, job.eid
    ), now_ready AS (
        INSERT INTO await.ready (lane, pos, job, attempt)
        SELECT await.lane(i.queue, i.priority), nextval('await.pos'), i.id, 1
        FROM (SELECT * FROM ins ORDER BY eid) i WHERE i.due IS NULL AND i.queue <> ALL (specials)
    ), later AS (
        INSERT INTO await.delayed (due, lane, job, attempt, owner)
        SELECT i.due, await.lane(i.queue, i.priority), i.id, 1, CASE WHEN i.queue = ANY (specials) THEN p_owner END
        FROM ins i WHERE i.due IS NOT NULL
    ), bounded AS (
        INSERT INTO await.deadline (at, job) SELECT i.deadline, i.id FROM ins i WHERE i.deadline IS NOT NULL
    )
    SELECT array_agg(i.id ORDER BY i.eid), array_agg(i.phase ORDER BY i.eid),
           array_agg(DISTINCT await.lane(i.queue, i.priority)) FILTER (WHERE i.due IS NULL),
           array_agg(i.id ORDER BY i.eid) FILTER (WHERE i.due IS NULL AND i.queue = ANY (specials))
        INTO ids, phases, lanes, lining FROM ins i;
    IF lining IS NOT NULL THEN
        PERFORM await.stand_in_line(q, await.lane(q.id, j.priority), p_owner, j.id, 1::int2)
        FROM (SELECT j.queue, j.priority, j.id FROM unnest(lining) WITH ORDINALITY g (id, n)
              JOIN await.job j ON j.class = k AND j.id = g.id ORDER BY g.n) j
        JOIN await.queue q ON q.id = j.queue;
    END IF;
    DELETE FROM await.batch_stage s WHERE s.batch = p_batch;
    PERFORM await.add_to_batch(p_batch, ids, phases);
    IF await.notifies() THEN
        PERFORM await.notify_lanes(lanes), await.notify_work(NULL, ARRAY[p_owner]);
    END IF;
END $$;
CREATE FUNCTION await.is_batch(id uuid) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT get_byte(uuid_send(id), 6) >> 4 = 8 AND get_byte(uuid_send(id), 0) < 255 $$;
CREATE FUNCTION await.is_json(content_type text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $_$ SELECT content_type ~* '^application/([a-z0-9.+-]+[+])?json( *;.*)?$' $_$;
CREATE FUNCTION await.is_short(value jsonb) RETURNS boolean
    LANGUAGE sql STABLE
    AS $_$
    SELECT pg_column_size(value) <= 512
       AND NOT jsonb_path_exists(value, 'strict $.** ? (@ >= 1e90 || @ <= -1e90)')
       AND octet_length(value::text) <= 400
$_$;
CREATE FUNCTION await.is_whole_snapshot(s pg_snapshot) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT
    AS $$
    SELECT EXISTS (SELECT FROM pg_snapshot_xip(s) x WHERE x = ((pg_snapshot_xmax(s)::text::int8 - 1)::text)::xid8)
$$;
CREATE FUNCTION await.job_ended(p_jobs uuid[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    today date;
    r     record;
BEGIN
    IF EXISTS (SELECT FROM await.deadline) THEN
        FOR r IN SELECT j.deadline, j.id FROM unnest(p_jobs) k (id)
                 CROSS JOIN LATERAL (SELECT j.id, j.deadline FROM await.job j WHERE j.class = await.class(k.id) AND j.id = k.id OFFSET 0) j
                 WHERE j.deadline IS NOT NULL LOOP
            DELETE FROM await.deadline d WHERE d.at = r.deadline AND d.job = r.id;
        END LOOP;
    END IF;
    IF NOT await.floor_id(clock_timestamp() - interval '1 day') > ANY (p_jobs) THEN
        RETURN;
    END IF;
    today := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    FOR r IN SELECT DISTINCT await.class(k.id) AS class,
                 (to_timestamp(('x' || left(replace(k.id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) AT TIME ZONE 'UTC')::date AS day
             FROM unnest(p_jobs) k (id) WHERE k.id < await.floor_id((today - 1)::timestamp AT TIME ZONE 'UTC') LOOP
        IF NOT EXISTS (SELECT FROM await.late_ending l WHERE l.class = r.class AND l.day = r.day AND l.ended = today) THEN
            INSERT INTO await.late_ending (class, day, ended) VALUES (r.class, r.day, today);
        END IF;
    END LOOP;
END $$;
CREATE FUNCTION await.job_of_key(new_id uuid, queue text, o jsonb, key text, keep interval, type text, body bytea) RETURNS uuid
    LANGUAGE plpgsql
    AS $$
DECLARE
    request bytea := sha256(body);
    part    text;
    first   record;
BEGIN
    IF length(key) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'a key has 1 to 255 characters, not %', length(key) USING ERRCODE = '22023';
    ELSIF keep NOT BETWEEN interval '1 second' AND interval '10 years' THEN
        RAISE EXCEPTION 'a key is kept for a second to ten years, not %', keep USING ERRCODE = '22023';
    END IF;
    FOREACH part IN ARRAY ARRAY[type, o ->> 'file_name', o ->> 'params'] LOOP -- each with its length, so that no two lists are alike
        request := request || convert_to(coalesce(octet_length(part) || ':' || part, '-'), 'UTF8');
    END LOOP;
    SELECT k.id, k.clash INTO first FROM await.take_keys(ARRAY[new_id], ARRAY[queue], ARRAY[o ->> 'owner'], ARRAY[chr(1) || key],
        ARRAY[sha256(request)], ARRAY[(extract(epoch FROM coalesce(keep, interval '1 day')) * 1000)::int8]) k;
    IF first.clash THEN
        RAISE EXCEPTION 'the key % was already used in queue % with a different job', quote_literal(left(key, 80)), quote_literal(queue)
            USING ERRCODE = '23505', DETAIL = format('It stands for job %s.', first.id);
    END IF;
    RETURN first.id;
END $$;
CREATE FUNCTION await.lane(queue integer, priority smallint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT queue::bigint << 8 | (100 - priority) $$;
CREATE FUNCTION await.leave_counted_line(h await.job_head) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    in_lane CONSTANT bigint := await.lane(h.queue, h.priority);
    place   bigint;
BEGIN
    DELETE FROM await.delayed d WHERE d.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.delayed o WHERE o.lane = in_lane AND o.owner IS NULL AND o.job = h.id
        FOR UPDATE SKIP LOCKED));
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT await.place_of(h.id, in_lane, coalesce((SELECT m.pos FROM await.low_water m WHERE m.lane = in_lane
               ORDER BY m.pos DESC LIMIT 1), 0),
           coalesce((SELECT e.eid FROM await.event e WHERE e.class = j.class AND e.job = j.id AND e.state = 'pending'
               ORDER BY e.seq DESC LIMIT 1), j.eid)) INTO place
        FROM await.job j WHERE j.class = await.class(h.id) AND j.id = h.id;
    DELETE FROM await.ready r WHERE r.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.ready o WHERE o.lane = in_lane AND o.pos BETWEEN place - 200 AND place + 200
            AND o.job = h.id FOR UPDATE SKIP LOCKED));
END $$;
CREATE FUNCTION await.leave_line(h await.job_head) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    q    await.queue;
    gone record;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = h.queue AND (k.special OR k.rated);
    IF NOT FOUND OR h.state <> 'pending' THEN
        RETURN;
    ELSIF NOT q.special OR h.owner IS NULL THEN
        PERFORM await.leave_counted_line(h);
        RETURN;
    END IF;
    DELETE FROM await.ready r WHERE r.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.ready o WHERE o.job = h.id AND o.owner IS NOT NULL FOR UPDATE SKIP LOCKED))
        RETURNING r.lane, r.owner, r.origin INTO gone;
    IF gone.lane IS NOT NULL THEN
        IF q.fair IS NOT NULL OR q.max_running_per_owner IS NOT NULL THEN
            PERFORM await.admit_held(q, gone.lane, gone.owner, gone.origin);
        END IF;
        RETURN;
    END IF;
    DELETE FROM await.held y WHERE y.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.held o WHERE o.job = h.id FOR UPDATE SKIP LOCKED));
    IF FOUND THEN
        RETURN;
    END IF;
    DELETE FROM await.delayed d WHERE d.ctid = ANY (ARRAY(
        SELECT o.ctid FROM await.delayed o
        WHERE o.lane = await.lane(h.queue, h.priority) AND o.owner = h.owner AND o.job = h.id FOR UPDATE SKIP LOCKED));
    IF NOT FOUND THEN                        -- from before the queue was special
        PERFORM await.leave_counted_line(h);
    END IF;
END $$;
CREATE FUNCTION await.limit_met(p_queue integer, p_owner text, p_jobs integer, p_most integer, p_owner_most integer, OUT refused text, OUT retry_ms bigint) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    of_owner CONSTANT boolean := p_owner_most IS NOT NULL AND p_owner IS NOT NULL;
    beyond   int;                            -- how many have to be claimed first
BEGIN
    PERFORM await.ask_of_queue(p_queue, of_owner);
    IF of_owner THEN
        beyond := await.count_waiting(p_queue, p_owner, p_owner_most) + p_jobs - p_owner_most;
        IF beyond > 0 THEN
            refused := 'owner';
            retry_ms := await.retry_ms(p_queue, await.owner_ahead(p_queue, p_owner) + beyond - 1);
            RETURN;
        END IF;
    END IF;
    IF p_most IS NULL THEN
        RETURN;
    END IF;
    beyond := await.count_waiting(p_queue, NULL, p_most) + p_jobs - p_most;
    IF beyond > 0 THEN
        refused := 'queue';
        retry_ms := await.retry_ms(p_queue, beyond);
    END IF;
END $$;
CREATE FUNCTION await.limit_of(p_settings jsonb, p_name text, p_most integer) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
DECLARE
    value text := p_settings ->> p_name;
BEGIN
    IF value IS NULL OR value = 'off' THEN
        RETURN NULL;
    ELSIF value !~ '^[0-9]{1,9}$' OR value::int NOT BETWEEN 1 AND p_most THEN
        RAISE EXCEPTION '% is a number from 1 to %, or off, not %', p_name, p_most, quote_literal(left(value, 80))
            USING ERRCODE = '22023';
    END IF;
    RETURN value::int;
END $_$;
CREATE SEQUENCE await.pos
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE await.delayed (
    due timestamp with time zone NOT NULL,
    pos bigint DEFAULT nextval('await.pos'::regclass) NOT NULL,
    lane bigint NOT NULL,
    job uuid NOT NULL,
    attempt smallint NOT NULL,
    owner text
)
WITH (autovacuum_vacuum_threshold='2000', autovacuum_vacuum_scale_factor='0.02');
CREATE FUNCTION await.line_up(d await.delayed) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    q await.queue;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = d.lane >> 8;
    IF FOUND THEN
        PERFORM await.stand_in_line(q, d.lane, d.owner, d.job, d.attempt);
    END IF;
END $$;
CREATE FUNCTION await.list(options jsonb DEFAULT '{}'::jsonb, OUT jobs jsonb, OUT next text) RETURNS record
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $_$
DECLARE
    v_states CONSTANT text[] := '{pending,processing,completed,failed,cancelled,expired}';
    o       jsonb := coalesce(options, '{}');
    wrong   text;
    states  text[];
    at      text[] := string_to_array(o ->> 'cursor', '.');
    "limit" int;
BEGIN
    IF jsonb_typeof(o) <> 'object' THEN
        RAISE EXCEPTION 'the options of await.list are a JSON object' USING ERRCODE = '22023';
    END IF;
    SELECT string_agg(left(k, 80), ', ') INTO wrong FROM (
        SELECT k FROM jsonb_object_keys(o) k WHERE k NOT IN ('owner', 'queue', 'state', 'batch', 'created_after',
            'created_before', 'limit', 'cursor') LIMIT 10) u;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'await.list knows no option %', wrong USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_values(o - 'state');
    IF jsonb_typeof(o -> 'state') = 'array' THEN
        states := ARRAY(SELECT jsonb_array_elements_text(o -> 'state'));
    ELSIF o ->> 'state' IS NOT NULL THEN
        states := ARRAY[o ->> 'state'];
    END IF;
    IF NOT states <@ v_states OR states = '{}' OR array_position(states, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a state is one of %, not %', array_to_string(v_states, ', '), left((o -> 'state')::text, 80)
            USING ERRCODE = '22023';
    END IF;
    "limit" := coalesce(await.option_number(o, 'limit', 1, 200), 50);
    IF o ->> 'cursor' IS NOT NULL AND o ->> 'cursor' !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[.][0-9]{1,18}$' THEN
        RAISE EXCEPTION 'cursor is what an earlier call returned as next, not %',
            quote_literal(left(o ->> 'cursor', 80)) USING ERRCODE = '22023';
    END IF;
    IF EXISTS (SELECT FROM await.queue_grant) AND NOT await.may_queue(coalesce(o ->> 'queue', '*')) THEN
        RAISE EXCEPTION 'role % may not list the jobs of %', quote_ident(session_user),
            coalesce('queue ' || quote_literal(left(o ->> 'queue', 80)), 'all queues')
            USING ERRCODE = '42501', HINT = 'await-ctl grant';
    END IF;
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', j.id, 'queue', j.queue, 'owner', j.owner, 'state', j.state,
               'seq', j.seq, 'attempt', j.attempt, 'correlation_id', j.correlation_id, 'batch', j.batch,
               'phase', j.phase, 'retry_of', j.retry_of, 'params', j.params::jsonb, 'progress', j.progress::jsonb,
               'created_at', j.created_at, 'updated_at', j.updated_at, 'error', j.error::jsonb,
               'result', CASE WHEN j.state = 'completed' THEN
                   jsonb_build_object('type', j.content_type, 'size', j.size, 'name', j.file_name) END)
               ORDER BY j.n) FILTER (WHERE j.id IS NOT NULL), '[]'),
           (array_agg(j.next_id || '.' || j.next_eid ORDER BY j.n DESC))[1]
        INTO jobs, next
        FROM await.edge_list(ARRAY[o ->> 'owner'], ARRAY[o ->> 'queue'], ARRAY[array_to_string(states, ',')],
            ARRAY[await.option_uuid(o, 'batch')], ARRAY[await.list_time(o, 'created_after')],
            ARRAY[await.list_time(o, 'created_before')], ARRAY[at[1]::uuid], ARRAY[at[2]::int8], ARRAY["limit"])
            WITH ORDINALITY j (item, next_id, next_eid, id, queue, owner, state, seq, attempt, correlation_id, batch,
                phase, retry_of, params, progress, created_at, updated_at, error, status, content_type, file_name, size,
                inlined, n);
END $_$;
CREATE FUNCTION await.list_deliveries(p_state text, p_webhook integer, p_job uuid, p_since timestamp with time zone, p_after bigint, p_limit integer, p_owner text DEFAULT NULL::text) RETURNS TABLE(document text, next bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
DECLARE
    v_from   bigint := coalesce(p_after, 9223372036854775807);
    v_limit  int := least(greatest(coalesce(p_limit, 50), 1), 200);
    v_seen   int := 0;
    v_found  int := 0;
    v_last   bigint;
    d        await.delivery;
    v_ids    refcursor;
    v_id     bigint;
    v_of     int4 := CASE WHEN p_owner IS NULL THEN p_webhook ELSE 0 END;
BEGIN
    IF p_job IS NOT NULL THEN
        OPEN v_ids FOR SELECT k.id FROM await.delivery k WHERE k.job = p_job AND k.id < v_from ORDER BY k.id DESC;
    ELSIF p_state = 'dead' THEN
        OPEN v_ids FOR SELECT e.delivery FROM await.delivery_end e WHERE e.state = 'dead' AND e.delivery < v_from
            ORDER BY e.delivery DESC;
    ELSIF p_state IN ('waiting', 'retrying') THEN
        OPEN v_ids FOR SELECT u.delivery FROM await.delivery_due u WHERE u.delivery < v_from ORDER BY u.delivery DESC;
    ELSIF v_of IS NOT NULL THEN
        OPEN v_ids FOR SELECT k.id FROM await.delivery k WHERE k.webhook = v_of AND k.id < v_from
            ORDER BY k.webhook DESC, k.id DESC;
    ELSE
        OPEN v_ids FOR SELECT k.id FROM await.delivery k WHERE k.id < v_from ORDER BY k.id DESC;
    END IF;
    LOOP
        FETCH v_ids INTO v_id;
        EXIT WHEN NOT FOUND;
        IF v_found = v_limit OR v_seen = 2000 THEN
            next := v_last;
            EXIT;
        END IF;
        v_seen := v_seen + 1;
        v_last := v_id;
        SELECT * INTO d FROM await.delivery k WHERE k.id = v_id;
        EXIT WHEN d.created_at < p_since;    -- ids are in the order of time
        CONTINUE WHEN d.webhook <> p_webhook;
        CONTINUE WHEN p_owner IS NOT NULL AND NOT await.delivery_is_of(d, p_owner);
        document := await.delivery_document(d, p_owner);
        CONTINUE WHEN document::json ->> 'state' <> p_state;
        v_found := v_found + 1;
        RETURN QUERY SELECT document, NULL::bigint;
    END LOOP;
    CLOSE v_ids;
    RETURN QUERY SELECT NULL::text, next;
END $$;
CREATE FUNCTION await.list_lost(p_owner text, p_states text[], p_id uuid, p_from_id uuid, p_limit integer) RETURNS TABLE(job uuid)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
BEGIN
    IF p_owner IS NULL THEN
        RETURN QUERY SELECT u.job FROM (
            (SELECT e.job FROM await.event e
             WHERE e.ending AND e.state = 'failed' AND 'failed' = ANY (p_states)
               AND e.job < p_id AND e.job >= p_from_id
             ORDER BY e.job DESC LIMIT p_limit)
            UNION ALL
            (SELECT e.job FROM await.event e
             WHERE e.ending AND e.state = 'cancelled' AND 'cancelled' = ANY (p_states)
               AND e.job < p_id AND e.job >= p_from_id
             ORDER BY e.job DESC LIMIT p_limit)
            UNION ALL
            (SELECT e.job FROM await.event e
             WHERE e.ending AND e.state = 'expired' AND 'expired' = ANY (p_states)
               AND e.job < p_id AND e.job >= p_from_id
             ORDER BY e.job DESC LIMIT p_limit)
        ) u ORDER BY u.job DESC LIMIT p_limit;
    ELSE
        RETURN QUERY SELECT u.job FROM (
            (SELECT e.job FROM await.event e
             WHERE e.ending AND e.state = 'failed' AND e.owner = p_owner
               AND 'failed' = ANY (p_states) AND e.job < p_id AND e.job >= p_from_id
             ORDER BY e.job DESC LIMIT p_limit)
            UNION ALL
            (SELECT e.job FROM await.event e
             WHERE e.ending AND e.state = 'cancelled' AND e.owner = p_owner
               AND 'cancelled' = ANY (p_states) AND e.job < p_id AND e.job >= p_from_id
             ORDER BY e.job DESC LIMIT p_limit)
            UNION ALL
            (SELECT e.job FROM await.event e
             WHERE e.ending AND e.state = 'expired' AND e.owner = p_owner
               AND 'expired' = ANY (p_states) AND e.job < p_id AND e.job >= p_from_id
             ORDER BY e.job DESC LIMIT p_limit)
        ) u ORDER BY u.job DESC LIMIT p_limit;
    END IF;
END $$;
CREATE FUNCTION await.list_page(p_owner text, p_queue text, p_states text[], p_batch uuid, p_since timestamp with time zone, p_until timestamp with time zone, p_id uuid, p_eid bigint, p_limit integer, p_batches boolean, OUT ids uuid[], OUT eids bigint[], OUT next_id uuid, OUT next_eid bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
DECLARE
    v_most  CONSTANT int := 2000;            -- jobs that are looked at for a page
    v_way   text := await.list_way(p_owner, p_states, p_batch, p_batches);
    v_queue int4;
    v_tests boolean := p_states IS NOT NULL; -- whether the newest event of each job has to be read
    v_jobs  uuid[];
    v_from_id  uuid := '00000000-0000-0000-0000-000000000000';
    v_from_eid int8 := 0;
    v_until_id uuid;
    v_seen  int := 0;
    v_step  int := p_limit + 1;              -- one more tells whether there is a next page
    c       record;
BEGIN
    ids := '{}';
    eids := '{}';
    IF p_queue IS NOT NULL THEN
        SELECT q.id INTO v_queue FROM await.queue q WHERE q.name = p_queue;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    IF v_way = 'batch' AND EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_batch) AND j.id = p_batch
                                   AND j.owner IS DISTINCT FROM coalesce(p_owner, j.owner)) THEN
        RETURN;                              -- another owner's: its size and its jobs' ids are not for this one
    END IF;
    IF v_way = 'open' THEN
        v_jobs := await.few_open('processing' = ANY (p_states), v_most);
        IF v_jobs IS NULL THEN
            v_way := CASE WHEN p_owner IS NULL THEN 'all' ELSE 'owner' END;
        ELSE
            SELECT array_agg(DISTINCT k ORDER BY k DESC) INTO v_jobs FROM unnest(v_jobs) k;
        END IF;
    END IF;
    IF p_since > 'epoch'::timestamptz + interval '10 minutes' THEN -- ids have no earlier times
        v_from_id := await.floor_id(least(p_since, '9000-01-01') - interval '10 minutes');
    END IF;
    IF p_until IS NOT NULL THEN
        p_until := greatest(p_until, 'epoch');
        v_until_id := await.floor_id(least(p_until, '9000-01-01') + interval '5 seconds');
    END IF;
    -- the topics' ids are above those of all jobs
    p_id := least(coalesce(p_id, 'ffffffff-0000-0000-0000-000000000000'),
                  v_until_id);
    p_eid := coalesce(p_eid, 9223372036854775807);
    IF v_way = 'owner' AND p_until IS NOT NULL THEN
        p_eid := least(p_eid, await.eid_before(least(p_until, '9000-01-01')));
    END IF;
    IF v_way = 'owner' AND p_since > 'epoch'::timestamptz + interval '10 minutes' THEN
        v_from_eid := coalesce(await.eid_since(greatest(least(p_since, '9000-01-01'), 'epoch')), 0);
    END IF;
    LOOP
        SELECT count(*) AS n, array_agg(w.id ORDER BY w.n) FILTER (WHERE w.fits) AS ids,
               array_agg(w.eid ORDER BY w.n) FILTER (WHERE w.fits) AS eids,
               (array_agg(w.id ORDER BY w.n DESC))[1] AS last_id,
               (array_agg(w.eid ORDER BY w.n DESC))[1] AS last_eid
            INTO c
            FROM (SELECT w.id, w.eid, w.n,
                         await.is_batch(w.id) = p_batches
                         AND w.queue = coalesce(v_queue, w.queue)
                         AND w.owner IS NOT DISTINCT FROM coalesce(p_owner, w.owner)
                         AND w.created_at >= coalesce(p_since, w.created_at)
                         AND (p_until IS NULL OR w.created_at < p_until)
                         AND (NOT v_tests OR coalesce(e.state, 'pending') = ANY (p_states)) AS fits
                  FROM await.list_walk(v_way, p_owner, p_states, p_batch, v_jobs, p_id, p_eid, v_from_id, v_from_eid,
                                       v_step) WITH ORDINALITY w (id, eid, owner, queue, created_at, n)
                  LEFT JOIN LATERAL (SELECT e.state FROM await.event e
                                     WHERE v_tests AND e.class = await.class(w.id) AND e.job = w.id
                                     ORDER BY e.seq DESC LIMIT 1) e ON true
                 ) w;
        ids := ids || coalesce(c.ids, '{}');
        eids := eids || coalesce(c.eids, '{}');
        IF cardinality(ids) > p_limit THEN
            ids := ids[:p_limit];
            eids := eids[:p_limit];
            next_id := ids[p_limit];
            next_eid := eids[p_limit];
            RETURN;
        END IF;
        v_seen := v_seen + c.n;
        IF c.n < v_step THEN
            RETURN;                          -- that was all
        END IF;
        p_id := c.last_id;
        p_eid := coalesce(c.last_eid, p_eid);
        IF v_seen >= v_most THEN
            next_id := p_id;
            next_eid := p_eid;
            RETURN;
        END IF;
        v_step := least(500, v_most - v_seen);
    END LOOP;
END $$;
CREATE FUNCTION await.list_time(o jsonb, p_name text) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    IF o ->> p_name IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN (extract(epoch FROM least(greatest((o ->> p_name)::timestamptz, '0001-01-01'), '9999-01-01'))
            * 1000000)::int8;
EXCEPTION WHEN data_exception THEN
    RAISE EXCEPTION '% is a time, not %', p_name, quote_literal(left(o ->> p_name, 80)) USING ERRCODE = '22023';
END $$;
CREATE FUNCTION await.list_walk(p_way text, p_owner text, p_states text[], p_batch uuid, p_jobs uuid[], p_id uuid, p_eid bigint, p_from_id uuid, p_from_eid bigint, p_limit integer) RETURNS TABLE(id uuid, eid bigint, owner text, queue integer, created_at timestamp with time zone)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    CASE p_way
    WHEN 'owner' THEN
        RETURN QUERY SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
            WHERE j.owner = p_owner AND j.eid < p_eid AND j.eid > p_from_eid
              AND j.id < 'ffffffff-0000-0000-0000-000000000000'
            ORDER BY j.eid DESC LIMIT p_limit;
    WHEN 'all' THEN
        RETURN QUERY SELECT u.id, u.eid, u.owner, u.queue, u.created_at FROM (
            (SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
             WHERE j.class = 0 AND j.id < p_id AND j.id >= p_from_id ORDER BY j.id DESC LIMIT p_limit)
            UNION ALL
            (SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
             WHERE j.class = 1 AND j.id < p_id AND j.id >= p_from_id ORDER BY j.id DESC LIMIT p_limit)
            UNION ALL
            (SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
             WHERE j.class = 2 AND j.id < p_id AND j.id >= p_from_id ORDER BY j.id DESC LIMIT p_limit)
            UNION ALL
            (SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
             WHERE j.class = 3 AND j.id < p_id AND j.id >= p_from_id ORDER BY j.id DESC LIMIT p_limit)
        ) u ORDER BY u.id DESC LIMIT p_limit;
    WHEN 'batch' THEN
        RETURN QUERY SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
            WHERE j.class = await.class(p_batch) AND j.batch = p_batch AND j.id < p_id AND j.id >= p_from_id
            ORDER BY j.id DESC LIMIT p_limit;
    WHEN 'batches' THEN
        IF p_owner IS NULL THEN
            RETURN QUERY SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
                WHERE j.extra IS NOT NULL AND j.id < p_id AND j.id >= p_from_id ORDER BY j.id DESC LIMIT p_limit;
        ELSE
            RETURN QUERY SELECT j.id, j.eid, j.owner, j.queue, j.created_at FROM await.job j
                WHERE j.extra IS NOT NULL AND j.owner = p_owner AND j.id < p_id AND j.id >= p_from_id
                ORDER BY j.id DESC LIMIT p_limit;
        END IF;
    WHEN 'leased' THEN
        RETURN QUERY SELECT l.job, j.eid, j.owner, j.queue, j.created_at
            FROM (SELECT l.job FROM await.lease l WHERE l.job < p_id AND l.job >= p_from_id
                  ORDER BY l.job DESC LIMIT p_limit) l
            LEFT JOIN await.job j ON j.class = await.class(l.job) AND j.id = l.job;
    WHEN 'lost' THEN                         -- the partition of a job may be dropped before that of its events
        RETURN QUERY SELECT l.job, j.eid, j.owner, j.queue, j.created_at
            FROM await.list_lost(p_owner, p_states, p_id, p_from_id, p_limit) l
            LEFT JOIN await.job j ON j.class = await.class(l.job) AND j.id = l.job;
    WHEN 'open' THEN
        RETURN QUERY SELECT k.id, j.eid, j.owner, j.queue, j.created_at
            FROM unnest(p_jobs) WITH ORDINALITY k (id, n)
            JOIN await.job j ON j.class = await.class(k.id) AND j.id = k.id
            WHERE k.id < p_id AND k.id >= p_from_id ORDER BY k.n LIMIT p_limit;
    END CASE;
END $$;
CREATE FUNCTION await.list_way(p_owner text, p_states text[], p_batch uuid, p_batches boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE WHEN p_batches THEN 'batches'
                WHEN p_batch IS NOT NULL THEN 'batch'
                WHEN p_states <@ '{failed,cancelled,expired}' THEN 'lost'
                WHEN p_states <@ '{processing}' THEN 'leased'
                WHEN p_states <@ '{pending,processing}' THEN 'open'
                WHEN p_owner IS NOT NULL THEN 'owner'
                ELSE 'all' END
$$;
CREATE FUNCTION await.lock_job(p_id uuid, p_skip boolean DEFAULT false) RETURNS await.job_head
    LANGUAGE plpgsql
    AS $$
DECLARE
    h await.job_head;
BEGIN
    IF p_skip THEN
        SELECT j.id, j.owner, j.queue, j.priority, j.max_attempts, j.batch, j.phase
            INTO h.id, h.owner, h.queue, h.priority, h.max_attempts, h.batch, h.phase
            FROM await.job j WHERE j.class = await.class(p_id) AND j.id = p_id FOR NO KEY UPDATE SKIP LOCKED;
    ELSE
        SELECT j.id, j.owner, j.queue, j.priority, j.max_attempts, j.batch, j.phase
            INTO h.id, h.owner, h.queue, h.priority, h.max_attempts, h.batch, h.phase
            FROM await.job j WHERE j.class = await.class(p_id) AND j.id = p_id FOR NO KEY UPDATE;
    END IF;
    IF h.id IS NULL THEN
        RETURN h;
    END IF;
    SELECT e.seq, e.state, e.attempt, e.progress, e.ending INTO h.seq, h.state, h.attempt, h.progress, h.ended
        FROM await.event e WHERE e.class = await.class(p_id) AND e.job = p_id ORDER BY e.seq DESC LIMIT 1;
    IF NOT FOUND THEN
        h.seq := 1; h.state := 'pending'; h.attempt := 0; h.ended := false;
    END IF;
    RETURN h;
END $$;
CREATE FUNCTION await.look_at_line(q await.queue, p_lane bigint, p_mark bigint, p_width integer) RETURNS TABLE(pos bigint, job uuid, attempt smallint, owner text, origin bigint, over boolean)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
    IF q.max_running_per_owner IS NULL THEN
        RETURN QUERY SELECT r.pos, r.job, r.attempt, r.owner, r.origin, false FROM await.ready r
            WHERE r.lane = p_lane AND r.pos >= p_mark ORDER BY r.pos LIMIT p_width FOR UPDATE SKIP LOCKED;
        RETURN;
    END IF;
    RETURN QUERY
    WITH locked AS MATERIALIZED (
        SELECT r.pos, r.job, r.attempt, r.origin FROM await.ready r
        WHERE r.lane = p_lane AND r.pos >= p_mark ORDER BY r.pos LIMIT p_width FOR UPDATE SKIP LOCKED
    -- by the job: the row says it only if the queue was special when it was written
    ), named AS MATERIALIZED (
        SELECT l.*, j.owner, row_number() OVER (PARTITION BY j.owner ORDER BY l.pos) AS nth
        FROM locked l LEFT JOIN await.job j ON j.class = await.class(l.job) AND j.id = l.job
    ), limited AS MATERIALIZED (
        SELECT o.owner, q.max_running_per_owner - u.n AS rest FROM (SELECT DISTINCT n.owner FROM named n
            WHERE n.owner IS NOT NULL) o
        CROSS JOIN LATERAL await.running(q.id, p_lane, o.owner, q.max_running_per_owner, false) u
    )
    SELECT n.pos, n.job, n.attempt, n.owner, n.origin, n.owner IS NOT NULL AND n.nth > l.rest
    FROM named n LEFT JOIN limited l ON l.owner = n.owner ORDER BY n.pos;
END $$;
CREATE FUNCTION await.make_lane(p_queue text, p_priority smallint) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '200ms'
    AS $$
DECLARE
    in_queue int4;
BEGIN
    in_queue := await.queue_id(p_queue);     -- not above, where its error would not be handled below
    PERFORM await.open_lane(await.lane(in_queue, p_priority));
    RETURN in_queue;
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'queue % is being created by a transaction that does not end', quote_literal(p_queue)
        USING ERRCODE = '55P03', CONSTRAINT = 'queue_name_key';
END $$;
CREATE FUNCTION await.make_named_lane(p_queue text, p_priority smallint) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '200ms'
    AS $$
BEGIN
    PERFORM await.open_lane(await.lane(await.queue_id(p_queue, true), p_priority));
    UPDATE await.queue u SET named = true WHERE u.name = p_queue AND NOT u.named;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN                   -- a queue that cannot be created does not stop the others
    RETURN format('%s: %s', p_queue, sqlerrm);
END $$;
CREATE FUNCTION await.make_partition(p_base text, p_class smallint, p_from timestamp with time zone, p_until timestamp with time zone) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '200ms'
    AS $$
DECLARE
    who  text;
    name text := await.partition_name(p_base, p_class, p_from);
BEGIN
    IF to_regclass('await.' || name) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    -- LIKE and ATTACH lock the parent far less than PARTITION OF does
    EXECUTE format('CREATE TABLE await.%I (LIKE await.%I INCLUDING ALL)', name, p_base);
    FOR who IN SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
        FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = to_regclass('await.' || name) AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON await.%I FROM %s', name, who); -- what default privileges gave away
    END LOOP;
    EXECUTE format('ALTER TABLE await.%I ATTACH PARTITION await.%I FOR VALUES FROM (%s, %L) TO (%s, %L)',
        p_base, name, p_class, await.floor_id(p_from), p_class, await.floor_id(p_until));
    RETURN 'made ' || name;
EXCEPTION WHEN lock_not_available OR duplicate_table OR unique_violation THEN
    RETURN 'busy ' || name;
END $$;
CREATE FUNCTION await.make_partitions(p_ahead interval DEFAULT NULL::interval) RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    r     record;
    said  text;
    moment timestamptz := clock_timestamp();
BEGIN
    FOR r IN
        SELECT p.class, base.name AS base, s.start, make_interval(secs => extract(epoch FROM p.step)) AS step
        FROM await.retention p
        CROSS JOIN LATERAL generate_series(0, ceil(extract(epoch FROM coalesce(p_ahead, p.ahead)) / extract(epoch FROM p.step))::int) n
        CROSS JOIN LATERAL (SELECT await.partition_start(p.step, moment) + n * make_interval(secs => extract(epoch FROM p.step)) AS start) s
        CROSS JOIN (VALUES (1, 'job'), (2, 'event'), (3, 'chunk')) base (ord, name)
        WHERE s.start <= moment + coalesce(p_ahead, p.ahead)
          AND to_regclass('await.' || await.partition_name(base.name, p.class, s.start)) IS NULL
        ORDER BY s.start > moment, p.class, s.start, base.ord
    LOOP
        said := await.make_partition(r.base, r.class, r.start, r.start + r.step);
        CONTINUE WHEN said IS NULL;
        RETURN NEXT said;
        EXIT WHEN said LIKE 'busy %';        -- so would be the next ones
    END LOOP;
END $$;
CREATE FUNCTION await.may_queue(queue text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    of_topic boolean := may_queue.queue LIKE 'topic:%';
    allowed  boolean;
BEGIN
    SELECT coalesce(bool_or(g.queue = '*' OR (of_topic = (g.queue LIKE 'topic:%')
               AND may_queue.queue LIKE replace(replace(g.queue, '_', E'\\_'), '*', '%'))), false)
        INTO allowed FROM await.queue_grant g WHERE pg_has_role(session_user, g.role, 'MEMBER') HAVING count(*) > 0;
    RETURN coalesce(allowed, true) OR await.sees_all();
END $$;
CREATE FUNCTION await.move_due(p_limit integer, p_now timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
DECLARE
    busy  bigint[] := '{}';
    lanes bigint[];
    lane  bigint;
    moved int;
    owned await.delayed[];                   -- of special queues
BEGIN
    LOOP
        SELECT array_agg(DISTINCT d.lane) INTO lanes FROM (
            SELECT d.lane FROM await.delayed d WHERE d.due <= p_now AND d.lane <> ALL (busy) ORDER BY d.due, d.pos LIMIT p_limit) d
            WHERE NOT EXISTS (SELECT FROM await.lane_in_use u WHERE u.lane = d.lane)
              AND EXISTS (SELECT FROM await.queue q WHERE q.id = d.lane >> 8);
        EXIT WHEN lanes IS NULL OR cardinality(busy) >= 3;
        FOREACH lane IN ARRAY lanes LOOP
            BEGIN
                PERFORM await.open_lane(lane);
            EXCEPTION WHEN lock_not_available OR serialization_failure OR deadlock_detected THEN
                busy := busy || lane;
                EXIT WHEN cardinality(busy) >= 3;
            END;
        END LOOP;
    END LOOP;
    busy := busy || lanes;                   -- not opened: next time
    PERFORM await.reserve_positions();
    WITH due AS MATERIALIZED (
        SELECT d.due, d.pos FROM await.delayed d WHERE d.due <= p_now AND d.lane <> ALL (busy)
        ORDER BY d.due, d.pos LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM await.delayed d USING due k WHERE d.due = k.due AND d.pos = k.pos RETURNING d.*
    ), now_ready AS (
        INSERT INTO await.ready (lane, pos, job, attempt)
        SELECT s.lane, nextval('await.pos'), s.job, s.attempt
        FROM (SELECT g.* FROM gone g WHERE EXISTS (SELECT FROM await.queue q WHERE q.id = g.lane >> 8) -- else it went, and its jobs
                AND g.owner IS NULL ORDER BY g.due, g.pos) s
    )
    SELECT count(*), array_agg(DISTINCT g.lane), array_agg(g::await.delayed ORDER BY g.due, g.pos) FILTER (WHERE g.owner IS NOT NULL)
        INTO moved, lanes, owned FROM gone g;
    IF owned IS NOT NULL THEN
        PERFORM await.line_up(d) FROM unnest(owned) d;
    END IF;
    IF await.notifies() THEN
        PERFORM await.notify_lanes(lanes);
    END IF;
    RETURN moved;
END $$;
CREATE FUNCTION await.move_each_due(p_limit integer, p_now timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    r     await.delayed;
    moved int := 0;
    busy  bigint[] := '{}';
BEGIN
    PERFORM await.reserve_positions();
    FOR r IN SELECT d.* FROM await.delayed d WHERE d.due <= p_now ORDER BY d.due, d.pos LIMIT p_limit FOR UPDATE SKIP LOCKED LOOP
        EXIT WHEN cardinality(busy) >= 3;
        CONTINUE WHEN r.lane = ANY (busy);
        BEGIN
            DELETE FROM await.delayed d WHERE d.due = r.due AND d.pos = r.pos;
            IF EXISTS (SELECT FROM await.queue q WHERE q.id = r.lane >> 8) THEN
                PERFORM await.open_lane(r.lane);
                PERFORM await.line_up(r);
                IF await.notifies() THEN
                    PERFORM await.notify_lanes(ARRAY[r.lane]);
                END IF;
            END IF;
            moved := moved + 1;
        EXCEPTION
            WHEN lock_not_available OR serialization_failure OR deadlock_detected THEN
                busy := busy || r.lane;
            WHEN OTHERS THEN
                RAISE WARNING 'await: job % is due and cannot be moved into its queue: %', r.job, sqlerrm;
                UPDATE await.delayed d SET due = p_now + interval '1 minute' WHERE d.due = r.due AND d.pos = r.pos;
        END;
    END LOOP;
    RETURN moved;
END $$;
CREATE FUNCTION await.move_up(p_queue integer, p_lane bigint, p_owners text[], p_origins bigint[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    q await.queue;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = p_queue;
    PERFORM await.admit_held(q, p_lane, o.owner, o.origin) FROM (
        SELECT u.owner, max(u.origin) AS origin FROM unnest(p_owners, p_origins) u (owner, origin)
        WHERE u.owner IS NOT NULL GROUP BY 1 ORDER BY 1) o;
END $$;
CREATE FUNCTION await.need_partitions(p_class smallint DEFAULT NULL::smallint, p_base text DEFAULT 'job'::text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF p_class IS NOT NULL AND await.has_partition(p_base, p_class,
           (SELECT r.step FROM await.retention r WHERE r.class = p_class), clock_timestamp()) THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM await.make_partitions(interval '1 day') said WHERE said LIKE 'made %') THEN
        RAISE WARNING 'await: partitions of today or tomorrow were missing and have been created; await.purge() should run every hour';
    END IF;
END $$;
CREATE FUNCTION await.new_batch_id(class smallint DEFAULT 1) RETURNS uuid
    LANGUAGE sql
    AS $$
    SELECT encode(set_byte(b, 6, (get_byte(b, 6) & 15) | 128), 'hex')::uuid
    FROM (SELECT uuid_send(await.new_id(class)) AS b) n
$$;
CREATE FUNCTION await.new_id(class smallint DEFAULT 1) RETURNS uuid
    LANGUAGE plpgsql
    AS $$
DECLARE
    ms    bigint := floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    bytes bytea  := uuid_send(gen_random_uuid());
BEGIN
    bytes := overlay(bytes PLACING substring(int8send((ms & ~3::bigint) | class) FROM 3) FROM 1 FOR 6);
    RETURN encode(set_byte(bytes, 6, (get_byte(bytes, 6) & 15) | 112), 'hex')::uuid;
END $$;
CREATE FUNCTION await.new_secret(OUT key bytea, OUT inner_pad bytea, OUT outer_pad bytea) RETURNS record
    LANGUAGE plpgsql
    AS $$
BEGIN
    key := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    inner_pad := key || decode(repeat('00', 32), 'hex');
    outer_pad := inner_pad;
    FOR i IN 0 .. 63 LOOP
        inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # 54);
        outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # 92);
    END LOOP;
END $$;
CREATE FUNCTION await.note_use(p_queue integer, p_class smallint) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
BEGIN
    IF NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = p_queue AND u.class = p_class AND u.day = today) THEN
        INSERT INTO await.queue_used (queue, class, day) VALUES (p_queue, p_class, today);
    END IF;
END $$;
CREATE FUNCTION await.notice_restore() RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    here record;
    h    await.home;
BEGIN
    SELECT s.system_identifier AS system, d.oid AS database INTO here FROM pg_control_system() s, pg_database d WHERE d.datname = current_database();
    SELECT * INTO h FROM await.home;
    IF (h.system, h.database) = (here.system, here.database) THEN
        RETURN false;
    END IF;
    LOCK TABLE await.home IN SHARE ROW EXCLUSIVE MODE; -- one session writes it
    INSERT INTO await.home AS o (system, database, floor, foreign_rows)
        SELECT here.system, here.database, e.last_value, true FROM await.eid e
        ON CONFLICT (one) DO UPDATE SET system = excluded.system, database = excluded.database, floor = excluded.floor, foreign_rows = true
        WHERE (o.system, o.database) <> (excluded.system, excluded.database);
    RAISE WARNING 'await: the data was restored from another server or database: run "await-ctl restored"';
    RETURN true;
END $$;
CREATE FUNCTION await.notifies() RETURNS boolean
    LANGUAGE sql STABLE
    AS $$ SELECT coalesce(current_setting('await.notify', true), '') IN ('on', 'true', 'yes', '1') $$;
CREATE FUNCTION await.notify_event() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_notify('await_hint', format('1 %s %s %s', NEW.job, NEW.seq, NEW.type));
    IF NEW.owner IS NOT NULL AND NEW.job < 'ffffffff-0000-0000-0000-000000000000' THEN
        PERFORM pg_notify('await_hint', await.user_hint(NEW.owner));
    END IF;
    IF NEW.state IN ('cancelled', 'expired') AND EXISTS (SELECT FROM await.lease l WHERE l.job = NEW.job) THEN
        PERFORM pg_notify('await_cancel', NEW.job::text);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION await.notify_lanes(p_lanes bigint[]) RETURNS void
    LANGUAGE sql
    AS $$ SELECT await.notify_work(ARRAY(SELECT q.name FROM await.queue q WHERE q.id IN (SELECT x >> 8 FROM unnest(p_lanes) x))) $$;
CREATE FUNCTION await.notify_revoked() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_notify('await_revoked', '1');
    RETURN NULL;
END $$;
CREATE FUNCTION await.notify_work(p_queues text[], p_owners text[] DEFAULT NULL::text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_notify('await_work', d.queue) FROM (SELECT DISTINCT k AS queue FROM unnest(p_queues) k) d;
    PERFORM pg_notify('await_hint', await.user_hint(d.owner))
        FROM (SELECT DISTINCT o AS owner FROM unnest(p_owners) o WHERE o IS NOT NULL) d;
END $$;
CREATE FUNCTION await.old_partitions() RETURNS TABLE(relname name, class smallint, starts timestamp with time zone, ends timestamp with time zone, needed boolean)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $_$
#variable_conflict use_column
DECLARE
    old  name[] := ARRAY(
        SELECT c.relname FROM await.retention o JOIN pg_class c ON c.relname ~ format('^(job|event|chunk)_%s_[0-9]{8}$', o.class)
        WHERE c.relnamespace = 'await'::regnamespace AND c.relkind = 'r'
          AND to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' + o.step + o.keep < clock_timestamp() - interval '1 day');
    open text[];
BEGIN
    IF old = '{}' THEN
        RETURN;
    END IF;
    open := await.open_partitions();
    RETURN QUERY
    SELECT p.relname, r.class, p.start, p.start + r.step,
           'job' || substr(p.relname, strpos(p.relname, '_')) = ANY (coalesce(open, '{}'))
           OR EXISTS (SELECT FROM await.late_ending l WHERE l.class = r.class
                      AND l.day >= (p.start AT TIME ZONE 'UTC')::date AND l.day < ((p.start + r.step) AT TIME ZONE 'UTC')::date
                      AND (l.ended + 1)::timestamp AT TIME ZONE 'UTC' + r.keep >= clock_timestamp())
           OR EXISTS (SELECT FROM await.batch_live b
                      WHERE await.class(b.batch) = r.class AND b.batch < await.floor_id(p.start + r.step))
    FROM (SELECT o AS relname, to_date(right(o, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' AS start,
                 substr(o, strpos(o, '_') + 1, 1)::int2 AS class
          FROM unnest(old) o) p
    JOIN await.retention r ON r.class = p.class;
END $_$;
CREATE FUNCTION await.open_lane(p_lane bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM await.lane_in_use m WHERE m.lane = p_lane) THEN
        INSERT INTO await.lane_in_use (lane) VALUES (p_lane) ON CONFLICT (lane) DO NOTHING;
    END IF;
END $$;
CREATE FUNCTION await.open_partitions() RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
    SELECT array_agg(DISTINCT await.partition_name('job', r.class, await.partition_start(r.step,
               to_timestamp(('x' || rpad('0000' || o.digits, 16, filler))::bit(64)::bigint / 1000.0))))
    FROM (SELECT DISTINCT await.class(w.job) AS class, left(w.job::text, 7) AS digits
          FROM (SELECT job FROM await.ready UNION ALL SELECT job FROM await.held UNION ALL SELECT job FROM await.delayed
                UNION ALL SELECT job FROM await.lease) w) o
    JOIN await.retention r ON r.class = o.class AND r.keep IS NOT NULL
    CROSS JOIN (VALUES ('0'), ('f')) f (filler)
$$;
CREATE FUNCTION await.open_timeline() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF await.timeline() NOT LIKE '%.?' THEN
        RETURN;
    END IF;
    -- stored here before it is used, but without waiting for a standby, which may be the server that has failed
    PERFORM set_config('synchronous_commit', 'local', true);
    INSERT INTO await.branch (system, number, relation, name)
    SELECT s.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8), 'await.branch'::regclass,
           left(replace(gen_random_uuid()::text, '-', ''), 12)
    FROM pg_control_system() s
    ON CONFLICT DO NOTHING;                  -- another edge was faster
END $$;
CREATE FUNCTION await.option_number(o jsonb, p_name text, p_least integer, p_most integer) RETURNS smallint
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
BEGIN
    IF o ->> p_name IS NULL THEN
        RETURN NULL;
    ELSIF o ->> p_name !~ '^-?[0-9]{1,5}$' OR (o ->> p_name)::int NOT BETWEEN p_least AND p_most THEN
        RAISE EXCEPTION '% is a whole number from % to %, not %', p_name, p_least, p_most, quote_literal(left(o ->> p_name, 80)) USING ERRCODE = '22023';
    END IF;
    RETURN (o ->> p_name)::int2;
END $_$;
CREATE FUNCTION await.option_span(o jsonb, p_name text, p_least interval, p_most interval) RETURNS interval
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    span interval;
BEGIN
    IF o ->> p_name IS NULL THEN
        RETURN NULL;
    END IF;
    BEGIN
        span := (o ->> p_name)::interval;
    EXCEPTION WHEN data_exception THEN
        span := NULL;
    END;
    IF span IS NULL OR extract(epoch FROM span) NOT BETWEEN extract(epoch FROM p_least) AND extract(epoch FROM p_most) THEN
        RAISE EXCEPTION '% is an interval from % to %, not %', p_name, p_least, p_most, quote_literal(left(o ->> p_name, 80)) USING ERRCODE = '22023';
    END IF;
    RETURN make_interval(secs => extract(epoch FROM span));
END $$;
CREATE FUNCTION await.option_uuid(o jsonb, p_name text) RETURNS uuid
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    RETURN (o ->> p_name)::uuid;
EXCEPTION WHEN invalid_text_representation THEN
    RAISE EXCEPTION '% is the id of a %, not %', p_name, p_name, quote_literal(left(o ->> p_name, 80))
        USING ERRCODE = '22023';
END $$;
CREATE FUNCTION await.option_webhook(o jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    types text[] := string_to_array(o ->> 'webhook_on', ',');
BEGIN
    IF o ->> 'webhook' IS NULL THEN
        IF types IS NOT NULL THEN
            RAISE EXCEPTION 'the option webhook_on requires webhook' USING ERRCODE = '22023';
        END IF;
        RETURN NULL;
    END IF;
    PERFORM await.check_webhook(o ->> 'webhook', types);
    RETURN jsonb_strip_nulls(jsonb_build_object('url', o ->> 'webhook', 'on', to_jsonb(types)));
END $$;
CREATE FUNCTION await.owner_ahead(p_queue integer, p_owner text) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    m     record;
    first bigint;
    n     bigint := 1;
BEGIN
    FOR m IN SELECT l.lane, coalesce((SELECT w.pos FROM await.low_water w WHERE w.lane = l.lane ORDER BY w.pos DESC
        LIMIT 1), 0) AS mark
             FROM await.lane_in_use l WHERE l.lane >> 8 = p_queue ORDER BY l.lane LOOP
        SELECT r.pos INTO first FROM await.ready r WHERE r.lane = m.lane AND r.owner = p_owner AND r.pos >= m.mark
            ORDER BY r.pos LIMIT 1;
        n := n + await.ahead(m.lane, m.mark, coalesce(first, 9223372036854775807));
        EXIT WHEN first IS NOT NULL;
    END LOOP;
    RETURN n;
END $$;
CREATE FUNCTION await.owner_line(p_lane bigint, p_owner text, p_most integer, p_sure boolean, OUT n integer, OUT origin bigint) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    mark bigint := coalesce((SELECT m.pos FROM await.low_water m WHERE m.lane = p_lane ORDER BY m.pos DESC LIMIT 1), 0);
BEGIN
    IF p_sure THEN
        SELECT count(*), max(x.origin) INTO n, origin FROM (
            SELECT r.origin FROM await.ready r WHERE r.lane = p_lane AND r.owner = p_owner AND r.pos >= mark
            ORDER BY r.pos DESC LIMIT p_most FOR KEY SHARE SKIP LOCKED) x;
    ELSE
        SELECT count(*), max(x.origin) INTO n, origin FROM (
            SELECT r.origin FROM await.ready r WHERE r.lane = p_lane AND r.owner = p_owner AND r.pos >= mark
            ORDER BY r.pos DESC LIMIT p_most) x;
    END IF;
END $$;
CREATE FUNCTION await.owner_room(q await.queue, p_lane bigint, p_owner text, p_sure boolean, OUT room integer, OUT origin bigint) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    most     int := q.fair;                  -- in the lane; NULL: any number
    waiting  int;
    runs     int;
    ran_from bigint;
BEGIN
    IF q.max_running_per_owner IS NOT NULL THEN
        SELECT r.n, r.origin INTO runs, ran_from FROM await.running(q.id, p_lane, p_owner,
            least(q.max_running_per_owner, 1000), p_sure) r;
        most := least(most, q.max_running_per_owner - runs, 1000);
    END IF;
    SELECT l.n, l.origin INTO waiting, origin FROM await.owner_line(p_lane, p_owner, greatest(coalesce(most, 1), 1),
        p_sure) l;
    room := CASE WHEN most IS NULL THEN 1000 ELSE most - waiting END;
    origin := greatest(origin, ran_from, 0);
END $$;
CREATE FUNCTION await.partition_name(p_base text, p_class smallint, p_start timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT format('%s_%s_%s', p_base, p_class, to_char(p_start AT TIME ZONE 'UTC', 'YYYYMMDD')) $$;
CREATE FUNCTION await.partition_start(p_step interval, p_at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$ SELECT to_timestamp(floor(extract(epoch FROM p_at) / extract(epoch FROM p_step)) * extract(epoch FROM p_step)) $$;
CREATE FUNCTION await.pause(queue text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    in_queue int4 := await.queue_id(pause.queue, true);
BEGIN
    UPDATE await.queue q SET paused = true, named = true WHERE q.id = in_queue AND NOT q.paused;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM await.publish('queue:' || pause.queue, 'paused', '{"paused": true}', true);
    RETURN true;
END $$;
CREATE FUNCTION await.payload(id uuid, receipt text, "offset" bigint DEFAULT 0, length integer DEFAULT NULL::integer) RETURNS bytea
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    most CONSTANT int := 268435456;
    j    await.job;
BEGIN
    "offset" := coalesce("offset", 0);
    IF "offset" < 0 OR length NOT BETWEEN 0 AND most THEN
        RAISE EXCEPTION 'await.payload reads 0 to % bytes from an offset of 0 or more', most USING ERRCODE = '22023';
    ELSIF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = payload.id AND l.receipt = payload.receipt) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO j FROM await.job k WHERE k.class = await.class(payload.id) AND k.id = payload.id;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF "offset" >= j.payload_size THEN
        RETURN '';
    ELSIF length IS NULL AND j.payload_size - "offset" > most THEN
        RAISE EXCEPTION 'the payload has % bytes, more than PostgreSQL returns at once', j.payload_size
            USING ERRCODE = '54000', HINT = 'read it in pieces: await.payload(id, receipt, offset, length)';
    END IF;
    length := least(coalesce(length, most), j.payload_size - "offset");
    RETURN CASE WHEN j.payload IS NOT NULL THEN substr(j.payload, "offset"::int + 1, length)
                ELSE await.stored_payload(j.id, "offset", length) END;
END $$;
CREATE FUNCTION await.phases_had_jobs(p_batch uuid, p_totals jsonb) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    phase     text;
    completed int := 1;
BEGIN
    FOR phase IN SELECT p.name FROM await.job j
                 CROSS JOIN LATERAL jsonb_array_elements_text(j.extra -> 'phases') WITH ORDINALITY p (name, ord)
                 WHERE j.class = await.class(p_batch) AND j.id = p_batch ORDER BY p.ord LOOP
        IF (p_totals #>> ARRAY['phases', phase, 'total'])::int = 0 THEN
            RETURN completed = 0;
        END IF;
        completed := (p_totals #>> ARRAY['phases', phase, 'completed'])::int;
    END LOOP;
    RETURN (p_totals ->> 'total')::int > 0;
END $$;
CREATE FUNCTION await.pick_managed(p_queue integer, p_lane bigint, p_mark bigint, p_wanted integer, OUT jobs uuid[], OUT attempts smallint[], OUT in_lanes bigint[], OUT in_pos bigint[], OUT owners text[], OUT origins bigint[]) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    q       await.queue;
    limited boolean;
    most    int := p_wanted;
    width   int := p_wanted;
    r       record;
    over    int;
    passed  int := 0;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = p_queue;
    limited := q.max_running IS NOT NULL OR q.max_running_per_owner IS NOT NULL;
    IF limited THEN
        IF NOT await.take_turn(p_queue) THEN
            RETURN;
        END IF;
        PERFORM await.advance_running(p_queue);
        IF q.max_running IS NOT NULL THEN
            most := least(most, q.max_running - (SELECT u.n FROM await.running(p_queue, NULL, NULL, q.max_running,
                false) u));
        END IF;
    END IF;
    PERFORM await.reserve_positions();
    WHILE most > 0 AND passed < 10000 LOOP
        over := 0;
        FOR r IN SELECT * FROM await.look_at_line(q, p_lane, p_mark, width) LOOP
            CONTINUE WHEN NOT r.over AND cardinality(jobs) >= most;
            DELETE FROM await.ready y WHERE y.lane = p_lane AND y.pos = r.pos;
            IF r.over THEN
                PERFORM await.hold_job(p_lane, r.owner, coalesce(r.origin, r.pos), r.job, r.attempt);
                over := over + 1;
            ELSE
                jobs := jobs || r.job;
                attempts := attempts || r.attempt;
                in_lanes := in_lanes || p_lane;
                in_pos := in_pos || r.pos;
                owners := array_append(owners, r.owner);
                origins := array_append(origins, coalesce(r.origin, r.pos));
            END IF;
        END LOOP;
        EXIT WHEN jobs IS NOT NULL OR over = 0;
        passed := passed + over;
        width := least(greatest(width * 4, 200), 2000);
    END LOOP;
END $$;
CREATE FUNCTION await.place_of(p_job uuid, p_lane bigint, p_mark bigint, p_eid bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    low  bigint := p_mark;
    high bigint := (SELECT s.last_value + 1 FROM await.pos s);
    mid  bigint;
    r    record;
    eid  bigint;
BEGIN
    WHILE low < high LOOP                    -- jobs below `low` began to wait before, those from `high` on after
        mid := (low + high) / 2;
        SELECT y.pos, y.job INTO r FROM await.ready y WHERE y.lane = p_lane AND y.pos >= mid AND y.pos < high
            ORDER BY y.pos LIMIT 1;
        IF NOT FOUND THEN
            high := mid;
        ELSIF r.job = p_job THEN
            RETURN r.pos;
        ELSE
            SELECT coalesce((SELECT e.eid FROM await.event e WHERE e.class = j.class AND e.job = j.id
                AND e.state = 'pending' ORDER BY e.seq DESC LIMIT 1), j.eid) INTO eid -- it may have ended since
                FROM await.job j WHERE j.class = await.class(r.job) AND j.id = r.job;
            IF eid < p_eid THEN
                low := r.pos + 1;
            ELSE
                high := mid;
            END IF;
        END IF;
    END LOOP;
    RETURN high;
END $$;
CREATE FUNCTION await."position"(id uuid, OUT place bigint, OUT seconds double precision) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    j     await.job;
    e     record;
    q     await.queue;
    own   bigint;                            -- its lane
    due   timestamptz;
    m     record;
    behind bigint;                           -- of the owner's jobs in await.held
BEGIN
    SELECT * INTO j FROM await.job w WHERE w.class = await.class(position.id) AND w.id = position.id;
    SELECT v.eid, v.state, v.data INTO e FROM await.event v WHERE v.class = j.class AND v.job = j.id
        ORDER BY v.seq DESC LIMIT 1;
    IF j.id IS NULL OR coalesce(e.state, 'pending') <> 'pending' OR await.is_batch(j.id)
       OR j.id >= 'ffffffff-0000-0000-0000-000000000000' THEN
        RETURN;
    END IF;
    SELECT * INTO q FROM await.queue k WHERE k.id = j.queue;
    IF NOT q.rated THEN
        PERFORM await.ask_of_queue(q.id, false);
    END IF;
    due := coalesce((e.data ->> 'retry_at')::timestamptz, j.due);
    IF due > clock_timestamp() THEN
        seconds := CASE WHEN NOT q.paused THEN extract(epoch FROM due - clock_timestamp()) END;
        RETURN;
    END IF;
    own := await.lane(j.queue, j.priority);
    IF q.managed AND j.owner IS NOT NULL THEN
        SELECT h.pos INTO behind FROM await.held h WHERE h.job = j.id AND h.lane = own LIMIT 1;
        behind := CASE WHEN behind IS NULL THEN NULL ELSE (SELECT count(*) FROM (SELECT FROM await.held h
            WHERE h.lane = own AND h.owner = j.owner AND h.pos < behind LIMIT 1000) x) END;
    END IF;
    place := 1 + coalesce(behind, 0);
    FOR m IN SELECT l.lane, coalesce((SELECT w.pos FROM await.low_water w WHERE w.lane = l.lane ORDER BY w.pos DESC
        LIMIT 1), 0) AS mark
             FROM await.lane_in_use l WHERE l.lane >> 8 = j.queue AND l.lane <= own LOOP
        place := place + await.ahead(m.lane, m.mark, CASE
            WHEN m.lane = own AND behind IS NULL THEN await.place_of(j.id, own, m.mark, coalesce(e.eid, j.eid))
            ELSE 9223372036854775807 END);
    END LOOP;
    seconds := CASE WHEN NOT q.paused THEN place / await.queue_rate(q.id) END;
END $$;
CREATE FUNCTION await.publish(topic text, type text, data jsonb DEFAULT NULL::jsonb, latest boolean DEFAULT false) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $_$
DECLARE
    topic_job uuid := await.topic_id(publish.topic);
    kept      int := CASE WHEN publish.latest THEN 1 ELSE 1000 END;
    base      int;
    h         await.job_head;
    said      int;
BEGIN
    IF publish.topic IS NULL OR publish.topic !~ '^[A-Za-z0-9_.:/-]{1,128}$' THEN
        RAISE EXCEPTION 'a topic''s name is 1 to 128 of A-Z a-z 0-9 _ . : / -, not %', quote_nullable(left(publish.topic, 80)) USING ERRCODE = '22023';
    END IF;
    PERFORM await.check_event_type(publish.type);
    IF NOT await.is_short(publish.data) THEN
        PERFORM await.check_data(publish.data);
    END IF;
    IF EXISTS (SELECT FROM await.queue_grant) AND NOT await.may_queue('topic:' || publish.topic) THEN
        RAISE EXCEPTION 'role % may not publish to topic %', quote_ident(session_user), quote_literal(publish.topic) USING ERRCODE = '42501', HINT = 'await-ctl grant';
    END IF;
    LOOP
        IF NOT EXISTS (SELECT FROM await.job j WHERE j.class = 3 AND j.id = topic_job) THEN
            IF (SELECT last_value FROM await.topics) >= (SELECT l.topics FROM await.limits l) THEN
                RAISE EXCEPTION 'topic % is not created: there are as many topics as await.limits permits', quote_literal(publish.topic)
                    USING ERRCODE = '53400', HINT = 'raise await.limits.topics';
            END IF;
            SELECT CASE WHEN f.last_value > 0 THEN f.last_value + 1 ELSE 1 END INTO base FROM await.topic_floor f;
            INSERT INTO await.job (class, id, queue, owner, content_type, payload, payload_size, extra)
            VALUES (3, topic_job, await.queue_id('.topic', true), 'topic:' || publish.topic, 'application/json', '', 0,
                    CASE WHEN base > 1 THEN jsonb_build_object('base', base) END) ON CONFLICT DO NOTHING;
            IF FOUND THEN
                PERFORM nextval('await.topics');
            END IF;
        END IF;
        h := await.lock_job(topic_job);     -- publishers wait here, so the topic has one order
        EXIT WHEN h.id IS NOT NULL;         -- NULL: it has just been purged
    END LOOP;
    IF h.seq = 1 THEN
        SELECT coalesce((j.extra ->> 'base')::int, 1) INTO h.seq FROM await.job j WHERE j.class = 3 AND j.id = topic_job;
    END IF;
    said := await.append_event(h, publish.type, CASE WHEN publish.latest THEN 'pending' ELSE 'processing' END, publish.data, 0::int2);
    DELETE FROM await.event e WHERE e.class = 3 AND e.job = topic_job AND e.seq <= said - kept;
    RETURN said;
END $_$;
CREATE FUNCTION await.publish_soon(p_topic text, p_type text, p_data jsonb, p_latest boolean) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '200ms'
    AS $$
BEGIN
    RETURN await.publish(p_topic, p_type, p_data, p_latest);
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'topic % is being written to by a transaction that does not end', quote_literal(p_topic)
        USING ERRCODE = '55P03';
END $$;
CREATE FUNCTION await.purge() RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    old  record;
    said text;
BEGIN
    RETURN QUERY SELECT await.make_partitions();
    IF NOT await.sees_all() THEN
        RETURN;
    END IF;
    PERFORM FROM await.turn t WHERE t.what = 'purge' FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;                              -- another session purges
    END IF;
    -- what takes long comes first: from the first drop on all others wait until the caller's transaction ends
    RETURN QUERY SELECT await.purge_uploads(20000);
    RETURN QUERY SELECT await.purge_topics(5000);
    RETURN QUERY SELECT await.purge_ended(20000);
    RETURN QUERY SELECT await.purge_retried(20000);
    RETURN QUERY SELECT await.purge_deliveries(20000);
    FOR old IN SELECT o.relname FROM await.old_partitions() o WHERE NOT o.needed ORDER BY o.relname LOOP
        said := await.drop_partition(old.relname);
        RETURN NEXT said;
        EXIT WHEN said LIKE 'busy %';
    END LOOP;
    RETURN QUERY SELECT await.purge_queues();
END $$;
CREATE FUNCTION await.purge_deliveries(p_limit integer) RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    kept CONSTANT timestamptz := clock_timestamp() - (SELECT l.delivery_keep FROM await.limits l);
    old  bigint[];
    gone text;
BEGIN
    SELECT array_agg(k.delivery) INTO old
        FROM (SELECT e.delivery FROM await.delivery_end e WHERE e.at < kept ORDER BY e.at LIMIT p_limit) k;
    DELETE FROM await.delivery_attempt a WHERE a.delivery = ANY (old);
    DELETE FROM await.delivery_end e WHERE e.delivery = ANY (old);
    DELETE FROM await.delivery d WHERE d.id = ANY (old);
    FOR gone IN SELECT k.host FROM await.delivery_host k WHERE NOT EXISTS (
                    SELECT FROM await.delivery_due u WHERE u.host = k.host) LIMIT 100 FOR UPDATE SKIP LOCKED LOOP
        -- whoever inserts a delivery has the row locked, or waits now, and inserts it again
        DELETE FROM await.delivery_host k WHERE k.host = gone AND NOT EXISTS (
            SELECT FROM await.delivery_due u WHERE u.host = k.host);
    END LOOP;
    IF cardinality(old) = p_limit THEN
        RETURN NEXT 'more deliveries that ended long ago';
    END IF;
END $$;
CREATE FUNCTION await.purge_ended(p_limit integer) RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
DECLARE
    r      record;
    last   uuid;
    upto   uuid;
    jobs   uuid[];
    found_old boolean := false;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN;
    END IF;
    FOR r IN SELECT o.relname, o.class, await.floor_id(o.starts) AS first, await.floor_id(o.ends) AS beyond, a.keep
             FROM await.old_partitions() o JOIN await.retention a ON a.class = o.class
             WHERE o.needed AND o.relname LIKE 'job%' ORDER BY o.starts, o.class LOOP
        found_old := true;
        last := coalesce((SELECT s.upto FROM await.swept s WHERE s.what = r.relname AND s.class = r.class), r.first);
        upto := coalesce((SELECT j.id FROM await.job j WHERE j.class = r.class AND j.id > last AND j.id < r.beyond
                          ORDER BY j.class, j.id OFFSET p_limit - 1 LIMIT 1), r.beyond);
        SELECT array_agg(k.id) INTO jobs FROM (
            SELECT j.id FROM await.job j
            CROSS JOIN LATERAL (SELECT FROM await.event e WHERE e.class = r.class AND e.job = j.id AND e.ending
                                AND e.at < clock_timestamp() - r.keep OFFSET 0) e
            WHERE j.class = r.class AND j.id > last AND j.id <= upto
              AND (j.batch IS NULL            -- a job stays as long as its batch
                   OR NOT EXISTS (SELECT FROM await.job b WHERE b.class = r.class AND b.id = j.batch)
                   OR EXISTS (SELECT FROM await.event e WHERE e.class = r.class AND e.job = j.batch AND e.ending
                              AND e.at < clock_timestamp() - r.keep))
            FOR UPDATE OF j SKIP LOCKED) k;
        DELETE FROM await.chunk c USING unnest(jobs) k (id) WHERE c.class = r.class AND c.job = k.id;
        DELETE FROM await.retried t USING unnest(jobs) k (id) WHERE t.class = r.class AND t.job = k.id;
        DELETE FROM await.event e USING unnest(jobs) k (id) WHERE e.class = r.class AND e.job = k.id;
        DELETE FROM await.job j USING unnest(jobs) k (id) WHERE j.class = r.class AND j.id = k.id;
        INSERT INTO await.swept VALUES (r.relname, r.class, CASE WHEN upto = r.beyond THEN r.first ELSE upto END)
            ON CONFLICT ON CONSTRAINT swept_pkey DO UPDATE SET upto = excluded.upto;
        IF jobs IS NOT NULL THEN
            RETURN NEXT format('dropped %s ended jobs of %s', cardinality(jobs), r.relname);
        END IF;
        IF upto < r.beyond THEN
            RETURN NEXT 'more ended jobs in ' || r.relname;
            RETURN;
        END IF;
    END LOOP;
    IF found_old AND await.purge_ready(p_limit) THEN
        RETURN NEXT 'more ready rows';
    END IF;
    -- what was noted of partitions that are gone
    DELETE FROM await.swept s WHERE s.what LIKE E'job\\_%' AND to_regclass('await.' || s.what) IS NULL;
    DELETE FROM await.late_ending l USING await.retention o WHERE o.class = l.class AND o.keep IS NOT NULL
        AND NOT await.has_partition('job', l.class, o.step, l.day::timestamp AT TIME ZONE 'UTC');
END $$;
CREATE FUNCTION await.purge_expired(p_limit integer) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
    DELETE FROM await.idem i USING (SELECT o.owner, o.queue, o.key FROM await.idem o WHERE o.until <= now()
                                    ORDER BY o.until LIMIT p_limit FOR UPDATE SKIP LOCKED) old
    WHERE i.owner = old.owner AND i.queue = old.queue AND i.key = old.key;
    DELETE FROM await.ticket_used t USING (SELECT o.id FROM await.ticket_used o WHERE o.until <= now()
                                           ORDER BY o.until LIMIT p_limit FOR UPDATE SKIP LOCKED) old WHERE t.id = old.id;
    DELETE FROM await.batch_stage s USING (SELECT o.batch, o.n FROM await.batch_stage o
                                           WHERE o.batch < await.floor_id(now() - interval '1 day')
                                           ORDER BY o.batch, o.n LIMIT p_limit FOR UPDATE SKIP LOCKED) old
    WHERE s.batch = old.batch AND s.n = old.n;
    DELETE FROM await.revoked r USING (SELECT o.owner FROM await.revoked o WHERE o.at <= now() - interval '1 hour'
                                       LIMIT p_limit FOR UPDATE SKIP LOCKED) old WHERE r.owner = old.owner;
$$;
CREATE FUNCTION await.purge_queues() RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET lock_timeout TO '200ms'
    AS $$
DECLARE
    today   date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    idle    int4[];
    gone    int4[];
    orphans int4[];                          -- of lanes without a queue
    queues  int;
    lanes   int;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN;
    END IF;
    -- a partition stays as long as a job in it has not ended, and its queues with it
    DELETE FROM await.queue_used u USING await.retention r
        WHERE r.class = u.class AND r.keep IS NOT NULL AND u.day + r.step + r.keep + interval '3 days' < today
          AND NOT await.has_partition('job', u.class, r.step, u.day::timestamp AT TIME ZONE 'UTC');
    -- marks that a newer one of their lane has replaced; without a mark, claims are slower and still correct
    DELETE FROM await.low_water m WHERE m.ctid = ANY (ARRAY(SELECT o.ctid FROM await.low_water o
        WHERE o.lane > 0 AND NOT EXISTS (SELECT FROM await.lane_in_use l WHERE l.lane = o.lane)
           OR EXISTS (SELECT FROM await.low_water n WHERE n.lane = o.lane AND n.pos > o.pos) FOR UPDATE SKIP LOCKED));
    SELECT array_agg(q.id) INTO idle FROM await.queue q
        WHERE NOT q.named AND NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = q.id AND u.day >= today - 1)
          AND (NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = q.id)
               OR EXISTS (SELECT FROM await.lane_in_use l WHERE l.lane >> 8 = q.id));
    SELECT array_agg(DISTINCT (l.lane >> 8)::int4) INTO orphans FROM await.lane_in_use l
        WHERE NOT EXISTS (SELECT FROM await.queue q WHERE q.id = l.lane >> 8);
    IF idle IS NULL AND orphans IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        LOCK TABLE await.queue, await.lane_in_use IN ACCESS EXCLUSIVE MODE;
        SELECT array_agg(q.id) INTO idle FROM await.queue q
            WHERE q.id = ANY (idle) AND NOT q.named AND NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = q.id AND u.day >= today - 1);
        -- their jobs were deleted, so ready rows that are left have no job
        SELECT array_agg(q.id) INTO gone FROM await.queue q
            WHERE q.id = ANY (idle) AND NOT EXISTS (SELECT FROM await.queue_used u WHERE u.queue = q.id)
              AND (q.lease, q.max_attempts, q.backoff_min, q.backoff_max) = ('5 minutes'::interval, 5, '2 seconds'::interval, '1 hour'::interval)
              AND NOT q.paused AND NOT q.managed;
        DELETE FROM await.queue q WHERE q.id = ANY (gone);
        GET DIAGNOSTICS queues = ROW_COUNT;
        gone := gone || ARRAY(SELECT o.id FROM unnest(orphans) o (id) WHERE NOT EXISTS (SELECT FROM await.queue q WHERE q.id = o.id));
        DELETE FROM await.lane_in_use l USING (SELECT unnest(idle) UNION SELECT unnest(gone)) q (id)
            WHERE l.lane >> 8 = q.id AND (coalesce(q.id = ANY (gone), false) OR NOT EXISTS (
                SELECT FROM await.ready r WHERE r.lane = l.lane
                  AND r.pos >= coalesce((SELECT m.pos FROM await.low_water m WHERE m.lane = l.lane ORDER BY m.pos DESC LIMIT 1), 0)));
        GET DIAGNOSTICS lanes = ROW_COUNT;
        DELETE FROM await.ready r USING unnest(gone) q (id) WHERE r.lane >= q.id::bigint << 8 AND r.lane < (q.id::bigint + 1) << 8;
        DELETE FROM await.held h USING unnest(gone) q (id) WHERE h.lane >= q.id::bigint << 8 AND h.lane < (q.id::bigint + 1) << 8;
        DELETE FROM await.low_water m USING unnest(gone) q (id) WHERE m.lane = -q.id;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        RETURN NEXT 'busy queues';           -- a long reader, or a lock on such a row: the next purge tries again
        RETURN;
    END;
    IF lanes > 0 THEN
        RETURN NEXT format('dropped %s lanes', lanes);
    END IF;
    IF queues > 0 THEN
        RETURN NEXT format('dropped %s queues', queues);
    END IF;
END $$;
CREATE FUNCTION await.purge_ready(p_limit integer) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
DECLARE
    place     text := coalesce((SELECT replace(s.upto::text, '-', '') FROM await.swept s WHERE s.what = 'ready' AND s.class = 0), repeat('0', 32));
    last_lane bigint := ('x' || left(place, 16))::bit(64)::bigint;
    last_pos  bigint := ('x' || right(place, 16))::bit(64)::bigint;
    seen      bigint;
BEGIN
    WITH page AS MATERIALIZED (
        SELECT y.lane, y.pos, y.job FROM await.ready y WHERE (y.lane, y.pos) > (last_lane, last_pos) ORDER BY y.lane, y.pos LIMIT p_limit
    ), ended AS MATERIALIZED (
        SELECT y.lane, y.pos FROM page g JOIN await.ready y ON y.lane = g.lane AND y.pos = g.pos
        WHERE EXISTS (SELECT FROM await.event e WHERE e.class = await.class(g.job) AND e.job = g.job AND e.ending)
           OR NOT EXISTS (SELECT FROM await.job j WHERE j.class = await.class(g.job) AND j.id = g.job)
        FOR UPDATE OF y SKIP LOCKED
    ), gone AS (
        DELETE FROM await.ready y USING ended e WHERE y.lane = e.lane AND y.pos = e.pos
    )
    SELECT count(*), max(g.lane), max(g.pos) FILTER (WHERE g.lane = (SELECT max(m.lane) FROM page m))
    INTO seen, last_lane, last_pos FROM page g;
    IF seen < p_limit THEN
        place := repeat('0', 32);
    ELSE
        place := lpad(to_hex(last_lane), 16, '0') || lpad(to_hex(last_pos), 16, '0');
    END IF;
    INSERT INTO await.swept VALUES ('ready', 0, place::uuid) ON CONFLICT ON CONSTRAINT swept_pkey DO UPDATE SET upto = excluded.upto;
    RETURN seen = p_limit;
END $$;
CREATE FUNCTION await.purge_retried(p_limit integer) RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $_$
DECLARE
    r record;
    n int;
BEGIN
    FOR r IN SELECT o.class, min(to_date(right(c.relname, 8), 'YYYYMMDD'))::timestamp AT TIME ZONE 'UTC' AS starts
             FROM await.retention o JOIN pg_class c ON c.relname ~ format('^job_%s_[0-9]{8}$', o.class)
             WHERE c.relnamespace = 'await'::regnamespace AND c.relkind = 'r' GROUP BY o.class LOOP
        DELETE FROM await.retried t WHERE t.ctid = ANY (ARRAY(
            SELECT o.ctid FROM await.retried o WHERE o.class = r.class AND o.job < await.floor_id(r.starts)
            ORDER BY o.class, o.job LIMIT p_limit FOR UPDATE SKIP LOCKED));
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n = p_limit THEN
            RETURN NEXT 'more jobs that were retried, of class ' || r.class;
        END IF;
    END LOOP;
END $_$;
CREATE FUNCTION await.purge_topics(p_limit integer) RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    old    timestamptz := clock_timestamp() - (SELECT l.topic_keep FROM await.limits l);
    last   uuid := coalesce((SELECT s.upto FROM await.swept s WHERE s.what = 'topics' AND s.class = 3), 'ffffffff-ffff-0000-0000-000000000000');
    r      record;
    newest record;
    looked int := 0;
    events int := 0;
    topics int := 0;
    n      int;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN;
    END IF;
    FOR r IN SELECT j.id, j.created_at, e.at FROM await.job_topic j
             LEFT JOIN LATERAL (SELECT e.at FROM await.event_topic e WHERE e.class = 3 AND e.job = j.id ORDER BY e.seq DESC LIMIT 1) e ON true
             WHERE j.class = 3 AND j.id > last ORDER BY j.class, j.id LIMIT p_limit LOOP
        looked := looked + 1;
        last := r.id;
        CONTINUE WHEN coalesce(r.at, r.created_at) >= old;
        PERFORM FROM await.job_topic j WHERE j.class = 3 AND j.id = r.id FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        SELECT e.at, e.seq INTO newest FROM await.event_topic e WHERE e.class = 3 AND e.job = r.id ORDER BY e.seq DESC LIMIT 1;
        CONTINUE WHEN newest.at >= old;
        PERFORM setval('await.topic_floor', greatest((SELECT last_value FROM await.topic_floor), coalesce(newest.seq, 1)));
        DELETE FROM await.event_topic e WHERE e.class = 3 AND e.job = r.id;
        GET DIAGNOSTICS n = ROW_COUNT;
        DELETE FROM await.job_topic j WHERE j.class = 3 AND j.id = r.id;
        events := events + n;
        topics := topics + 1;
        EXIT WHEN events >= p_limit;
    END LOOP;
    IF looked < p_limit AND events < p_limit THEN
        last := 'ffffffff-ffff-0000-0000-000000000000'; -- the end was reached: start again
    END IF;
    INSERT INTO await.swept VALUES ('topics', 3, last) ON CONFLICT ON CONSTRAINT swept_pkey DO UPDATE SET upto = excluded.upto;
    PERFORM setval('await.topics', (SELECT count(*) FROM await.job_topic));
    IF topics > 0 THEN
        RETURN NEXT format('dropped %s topics', topics);
    END IF;
END $$;
CREATE FUNCTION await.purge_uploads(p_limit integer) RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    none uuid := '00000000-0000-0000-0000-000000000000';
    k    int2;
    last uuid;
    upto uuid;
    n    int;
BEGIN
    FOR k IN SELECT r.class FROM await.retention r ORDER BY r.class LOOP
        last := coalesce((SELECT s.upto FROM await.swept s WHERE s.what = 'uploads' AND s.class = k), none);
        upto := await.floor_id(clock_timestamp() - interval '1 day');
        IF last > await.floor_id(clock_timestamp()) THEN
            last := none;                    -- the clock was ahead
        END IF;
        CONTINUE WHEN last >= upto;
        upto := coalesce((SELECT c.job FROM await.chunk c WHERE c.class = k AND c.job > last AND c.job < upto
                          ORDER BY c.class, c.job OFFSET p_limit LIMIT 1), upto);
        DELETE FROM await.chunk c WHERE c.class = k AND c.job > last AND c.job <= upto AND c.kind = 'p'
            AND NOT EXISTS (SELECT FROM await.job j WHERE j.class = k AND j.id = c.job);
        GET DIAGNOSTICS n = ROW_COUNT;
        INSERT INTO await.swept VALUES ('uploads', k, upto) ON CONFLICT ON CONSTRAINT swept_pkey DO UPDATE SET upto = excluded.upto;
        IF n > 0 THEN
            RETURN NEXT format('dropped %s pieces of uploads', n);
        END IF;
    END LOOP;
END $$;
CREATE FUNCTION await.queue_deliveries(p_ids bigint[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM await.hold_hosts(ARRAY(SELECT await.webhook_host(d.url) FROM await.delivery d WHERE d.id = ANY (p_ids)));
    -- against await.finish_deliveries(), which deletes the row of the one before, and looks for the next one then
    PERFORM FROM await.delivery_due u
        WHERE (u.job, u.webhook) IN (SELECT d.job, d.webhook FROM await.delivery d WHERE d.id = ANY (p_ids))
        ORDER BY u.job, u.webhook, u.seq FOR KEY SHARE;
    INSERT INTO await.delivery_due (job, webhook, seq, delivery, host, due, until)
        SELECT d.job, d.webhook, d.seq, d.id, await.webhook_host(d.url),
            CASE WHEN row_number() OVER (PARTITION BY d.job, d.webhook ORDER BY d.seq) > 1
                   OR EXISTS (SELECT FROM await.delivery_due u WHERE u.job = d.job AND u.webhook = d.webhook
                              AND u.seq < d.seq) THEN 'infinity' ELSE clock_timestamp() END,
            clock_timestamp() + interval '3 days'
        FROM await.delivery d WHERE d.id = ANY (p_ids) ORDER BY d.job, d.webhook, d.seq
        ON CONFLICT DO NOTHING;
END $$;
CREATE FUNCTION await.queue_id(p_name text, p_named boolean DEFAULT false) RETURNS integer
    LANGUAGE plpgsql
    AS $_$
DECLARE
    found_id int4;
BEGIN
    SELECT q.id INTO found_id FROM await.queue q WHERE q.name = p_name;
    IF FOUND THEN
        RETURN found_id;
    ELSIF p_name IS NULL OR p_name !~ '^[A-Za-z0-9_.-]{1,64}$' THEN
        RAISE EXCEPTION 'a queue''s name is 1 to 64 of A-Z a-z 0-9 _ . -, not %', quote_nullable(left(p_name, 80)) USING ERRCODE = '22023';
    ELSIF NOT p_named AND await.queues_are_full() THEN
        RAISE EXCEPTION 'queue % is not created: there are as many queues as await.limits permits', quote_literal(p_name)
            USING ERRCODE = '53400', HINT = 'name it literally in the configuration, or raise await.limits.queues';
    END IF;
    FOR i IN 1 .. 100 LOOP                   -- another may create it meanwhile, or its number may be taken
        INSERT INTO await.queue (name, named) VALUES (p_name, p_named) ON CONFLICT DO NOTHING;
        IF FOUND AND NOT p_named THEN
            PERFORM nextval('await.queues');
        END IF;
        SELECT q.id INTO found_id FROM await.queue q WHERE q.name = p_name;
        EXIT WHEN FOUND;
    END LOOP;
    IF found_id IS NULL THEN
        RAISE EXCEPTION 'queue % cannot be created', quote_literal(p_name) USING ERRCODE = '53400';
    END IF;
    RETURN found_id;
END $_$;
CREATE FUNCTION await.queue_rate(p_queue integer) RETURNS double precision
    LANGUAGE sql STABLE
    AS $$
    SELECT CASE WHEN x.rate >= 0.001 THEN x.rate END
    FROM (SELECT c.rate * exp(-least(greatest(extract(epoch FROM clock_timestamp() - c.rate_at) - 10, 0),
        600) / 30)::float8 AS rate
          FROM await.queue_count c WHERE c.queue = p_queue) x
$$;
CREATE FUNCTION await.queue_stats(p_most integer DEFAULT 100) RETURNS TABLE(queue text, ready bigint, delayed bigint, leased bigint, oldest double precision, completed bigint, failed bigint, cancelled bigint, expired bigint, retries bigint, waits bigint[], wait_sum double precision, runs bigint[], run_sum double precision, totals bigint[], total_sum double precision)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
    WITH lanes AS (
        SELECT (m.lane >> 8)::int4 AS queue, m.lane, coalesce((SELECT max(w.pos) FROM await.low_water w WHERE w.lane = m.lane), 0) AS mark
        FROM await.lane_in_use m
    ), waiting AS (
        SELECT l.queue, sum(c.n)::bigint AS ready, min(f.since) AS since FROM lanes l
        CROSS JOIN LATERAL (SELECT count(*) AS n FROM (SELECT FROM await.ready r WHERE r.lane = l.lane AND r.pos >= l.mark LIMIT 100000) x) c
        LEFT JOIN LATERAL (SELECT r.job FROM await.ready r WHERE r.lane = l.lane AND r.pos >= l.mark ORDER BY r.pos LIMIT 1) o ON true
        LEFT JOIN LATERAL (
            SELECT coalesce((SELECT (e.data ->> 'retry_at')::timestamptz FROM await.event e
                             WHERE e.class = j.class AND e.job = j.id AND e.type = 'pending' ORDER BY e.seq DESC LIMIT 1),
                            greatest(j.created_at, j.due)) AS since
            FROM await.job j WHERE j.class = await.class(o.job) AND j.id = o.job) f ON true
        WHERE c.n > 0 GROUP BY l.queue
    ), aside AS (                            -- behind others of their owner
        SELECT (h.lane >> 8)::int4 AS queue, count(*) AS held FROM (SELECT y.lane FROM await.held y ORDER BY y.lane LIMIT 200000) h GROUP BY 1
    ), later AS (
        SELECT (d.lane >> 8)::int4 AS queue, count(*) AS delayed FROM (SELECT y.lane FROM await.delayed y ORDER BY y.due LIMIT 200000) d GROUP BY 1
    ), held AS (
        SELECT j.queue, count(*) AS leased FROM (SELECT y.job FROM await.lease y LIMIT 100000) l
        JOIN await.job j ON j.class = await.class(l.job) AND j.id = l.job GROUP BY 1
    ), everything AS (
        SELECT q.name, coalesce(w.ready, 0) + coalesce(a.held, 0) AS ready, coalesce(l.delayed, 0) AS delayed, coalesce(h.leased, 0) AS leased,
            coalesce(greatest(extract(epoch FROM clock_timestamp() - w.since), 0), 0)::float8 AS oldest, c AS counts,
            row_number() OVER (ORDER BY q.named DESC, coalesce(c.completed + c.failed + c.cancelled + c.expired, 0) DESC, q.id) AS place
        FROM await.queue q LEFT JOIN waiting w ON w.queue = q.id LEFT JOIN aside a ON a.queue = q.id LEFT JOIN later l ON l.queue = q.id LEFT JOIN held h ON h.queue = q.id
        LEFT JOIN await.queue_count c ON c.queue = q.id
    )
    (SELECT e.name, e.ready, e.delayed, e.leased, e.oldest,
        coalesce((e.counts).completed, 0), coalesce((e.counts).failed, 0), coalesce((e.counts).cancelled, 0), coalesce((e.counts).expired, 0),
        coalesce((e.counts).retries, 0),
        coalesce((e.counts).waits, await.add_to_histogram(NULL, NULL)), coalesce((e.counts).wait_sum, 0),
        coalesce((e.counts).runs, await.add_to_histogram(NULL, NULL)), coalesce((e.counts).run_sum, 0),
        coalesce((e.counts).totals, await.add_to_histogram(NULL, NULL)), coalesce((e.counts).total_sum, 0)
     FROM everything e WHERE e.place <= p_most ORDER BY e.name)
    UNION ALL
    SELECT NULL, coalesce(sum(e.ready), 0)::bigint, coalesce(sum(e.delayed), 0)::bigint, coalesce(sum(e.leased), 0)::bigint,
        coalesce(max(e.oldest), 0), 0, 0, 0, 0, 0, '{}', 0, '{}', 0, '{}', 0
    FROM everything e WHERE e.place > p_most
$$;
CREATE FUNCTION await.queues(name text DEFAULT NULL::text) RETURNS TABLE(queue text, waiting bigint, running bigint, paused boolean, max_running integer, max_running_per_owner integer, fair integer, rate double precision, oldest double precision, completed bigint, failed bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM await.count_events('1 s');
    RETURN QUERY
    SELECT q.name, s.ready + s.delayed, s.leased, q.paused, q.max_running, q.max_running_per_owner, q.fair::int,
           await.queue_rate(q.id), s.oldest, s.completed, s.failed
    FROM await.queue_stats(10000) s JOIN await.queue q ON q.name = s.queue
    WHERE left(q.name, 1) <> '.' AND (queues.name IS NULL OR q.name = queues.name) ORDER BY q.name;
END $$;
CREATE FUNCTION await.queues_are_full() RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    most int := (SELECT l.queues FROM await.limits l);
BEGIN
    IF (SELECT last_value FROM await.queues) < most THEN
        RETURN false;
    END IF;
    PERFORM setval('await.queues', (SELECT count(*) FROM await.queue q WHERE NOT q.named));
    RETURN (SELECT last_value FROM await.queues) >= most;
END $$;
CREATE FUNCTION await.reap(p_limit integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET lock_timeout TO '200ms'
    AS $$
DECLARE
    most    int := least(greatest(coalesce(p_limit, 1000), 1), 10000);
    now_at  timestamptz := clock_timestamp();
    handled int := 0;
BEGIN
    FOR part IN 0 .. 1 LOOP
        BEGIN
            handled := handled + await.reap_rows(part = 1, most, now_at, false);
        EXCEPTION WHEN OTHERS THEN
            handled := handled + await.reap_rows(part = 1, most, now_at, true);
        END;
    END LOOP;
    BEGIN
        handled := handled + await.move_due(most * 5, now_at);
    EXCEPTION
        WHEN serialization_failure OR lock_not_available THEN
            NULL;                            -- in an old snapshot others were faster
        WHEN OTHERS THEN
            handled := handled + await.move_each_due(most, now_at);
    END;
    PERFORM await.advance_horizon();
    RETURN handled;
END $$;
CREATE FUNCTION await.reap_deadline(p_at timestamp with time zone, p_job uuid) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    h await.job_head := await.lock_job(p_job, true);
BEGIN
    IF h.id IS NULL AND EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_job) AND j.id = p_job) THEN
        RETURN false;
    END IF;
    DELETE FROM await.deadline d WHERE d.at = p_at AND d.job = p_job;
    IF NOT FOUND THEN
        RETURN false;
    ELSIF NOT h.ended THEN
        PERFORM await.append_event(h, 'expired', 'expired',
            CASE WHEN await.is_batch(p_job) THEN await.batch_totals(p_job) END);
        PERFORM await.leave_line(h);
    END IF;
    RETURN true;
END $$;
CREATE FUNCTION await.reap_lag() RETURNS double precision
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT greatest(extract(epoch FROM clock_timestamp() - least((SELECT min(d.due) FROM await.delayed d),
        (SELECT min(l.until) FROM await.lease l), (SELECT min(d.at) FROM await.deadline d))), 0)::float8
$$;
CREATE FUNCTION await.reap_lease(p_job uuid, p_attempt smallint, p_now timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    h    await.job_head := await.lock_job(p_job, true); -- job first, lease second, as everywhere
    slot await.lease;
BEGIN
    IF h.id IS NULL AND EXISTS (SELECT FROM await.job j WHERE j.class = await.class(p_job) AND j.id = p_job) THEN
        RETURN false;
    END IF;
    PERFORM FROM await.lease l WHERE l.job = p_job AND l.attempt = p_attempt AND l.until < p_now FOR UPDATE SKIP LOCKED; -- of a heartbeat
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM await.lease l WHERE l.job = p_job AND l.attempt = p_attempt RETURNING l.* INTO slot;
    IF slot.queue IS NOT NULL THEN
        PERFORM await.slot_freed(slot.queue, slot.lane, slot.owner, slot.origin);
    END IF;
    IF NOT h.ended THEN                      -- NULL: the job is gone
        PERFORM await.retry_or_fail(h, p_attempt, jsonb_build_object('title', 'Lease expired', 'detail',
            format('the worker of attempt %s did not renew its lease in time', p_attempt)), interval '0');
    END IF;
    RETURN true;
END $$;
CREATE FUNCTION await.reap_rows(p_deadlines boolean, p_limit integer, p_now timestamp with time zone, p_each boolean) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    due     refcursor;
    r       record;
    handled int := 0;
    passed  int := 0;
    did     boolean;
    waited  int := 0;
BEGIN
    IF p_deadlines THEN
        OPEN due FOR SELECT d.at, d.job, NULL::int2 AS attempt FROM await.deadline d WHERE d.at <= p_now ORDER BY d.at;
    ELSE
        OPEN due FOR SELECT l.until AS at, l.job, l.attempt FROM await.lease l WHERE l.until < p_now ORDER BY l.until;
    END IF;
    LOOP
        FETCH due INTO r;
        EXIT WHEN NOT FOUND OR handled >= p_limit OR passed >= 10000 OR waited >= 3;
        IF NOT p_each THEN
            did := CASE WHEN p_deadlines THEN await.reap_deadline(r.at, r.job) ELSE await.reap_lease(r.job, r.attempt, p_now) END;
        ELSE
            BEGIN
                did := CASE WHEN p_deadlines THEN await.reap_deadline(r.at, r.job) ELSE await.reap_lease(r.job, r.attempt, p_now) END;
            EXCEPTION
                WHEN lock_not_available THEN
                    did := false;
                    waited := waited + 1;
                WHEN unique_violation OR serialization_failure OR deadlock_detected THEN
                    did := false;            -- another transaction was faster
                WHEN OTHERS THEN
                    did := false;
                    RAISE WARNING 'await: the % of job % cannot be handled: %', CASE WHEN p_deadlines THEN 'deadline' ELSE 'expired lease' END, r.job, sqlerrm;
                    IF p_deadlines THEN
                        UPDATE await.deadline d SET at = p_now + interval '1 minute' WHERE d.at = r.at AND d.job = r.job;
                    ELSE
                        UPDATE await.lease l SET until = p_now + interval '1 minute' WHERE l.job = r.job AND l.until = r.at;
                    END IF;
            END;
        END IF;
        IF did THEN
            handled := handled + 1;
        ELSE
            passed := passed + 1;
        END IF;
    END LOOP;
    CLOSE due;
    RETURN handled;
END $$;
CREATE FUNCTION await.refuse_payload(p_job uuid, p_attempt smallint, p_inline integer) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    h    await.job_head := await.lock_job(p_job);
    size bigint := (SELECT j.payload_size FROM await.job j WHERE j.class = await.class(p_job) AND j.id = p_job);
    why  text;
BEGIN
    IF h.state IS DISTINCT FROM 'pending' THEN
        RETURN;                              -- it ended (was cancelled) while it waited
    END IF;
    why := format('The payload has %s bytes, and the worker took at most %s: it has to call await.claim with a larger "inline", '
        'or with pieces => true and read the payload by await.payload.', size, p_inline);
    h.seq := await.append_event(h, 'processing', 'processing', p_attempt => p_attempt);
    PERFORM await.retry_or_fail(h, p_attempt, jsonb_build_object('title', 'Payload too large for this worker', 'detail', why), NULL);
    RAISE WARNING 'job %, attempt % failed: %', p_job, p_attempt, why;
END $$;
CREATE FUNCTION await.relay_advance(p_relay text, p_token bigint, p_sink text, p_no bigint, p_cursor text, p_delivered integer DEFAULT 0, p_failures integer DEFAULT 0, p_reason text DEFAULT NULL::text) RETURNS TABLE(moved boolean, no bigint, cursor text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
DECLARE
    c await.relay_cursor;
BEGIN
    IF NOT await.relay_holds(p_relay, p_token) THEN
        RETURN;
    END IF;
    SELECT * INTO c FROM await.relay_cursor o WHERE o.relay = p_relay AND o.sink = p_sink ORDER BY o.no DESC LIMIT 1;
    IF c.no = p_no THEN
        INSERT INTO await.relay_cursor (relay, sink, no, cursor, delivered, failures, reason)
            VALUES (p_relay, p_sink, c.no + 1, coalesce(p_cursor, c.cursor), c.delivered + p_delivered,
                    c.failures + p_failures, left(p_reason, 1000)) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            DELETE FROM await.relay_cursor o WHERE o.relay = p_relay AND o.sink = p_sink AND o.no = c.no;
            RETURN QUERY SELECT true, c.no + 1, coalesce(p_cursor, c.cursor);
            RETURN;
        END IF;
        SELECT * INTO c FROM await.relay_cursor o WHERE o.relay = p_relay AND o.sink = p_sink
            ORDER BY o.no DESC LIMIT 1;
    END IF;
    RETURN QUERY SELECT false, c.no, c.cursor;
END $$;
CREATE FUNCTION await.relay_behind(p_cursor text, p_most integer) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    v_floor CONSTANT bigint := (SELECT h.floor FROM await.home h);
    c       record;
BEGIN
    SELECT * INTO c FROM await.relay_read_cursor(p_cursor, v_floor);
    RETURN (SELECT sum(n) FROM (
        SELECT count(*) AS n FROM (SELECT FROM await.event e WHERE e.xid >= pg_snapshot_xmax(c.since)
            AND e.eid > v_floor LIMIT p_most) x
        UNION ALL SELECT count(*) FROM (SELECT FROM await.job j WHERE j.owner IS NULL
            AND j.xid >= pg_snapshot_xmax(c.since) AND j.eid > v_floor LIMIT p_most) x
        UNION ALL SELECT count(*) FROM (SELECT FROM await.job j WHERE j.owner IS NOT NULL
            AND j.xid >= pg_snapshot_xmax(c.since) AND j.eid > v_floor LIMIT p_most) x
        UNION ALL SELECT count(*) FROM (
            SELECT FROM pg_snapshot_xip(c.since) o (x) LEFT JOIN unnest(c.partial, c.upto) p (px, upto) ON p.px = o.x
            CROSS JOIN LATERAL (
                SELECT e.eid FROM await.event e WHERE e.xid >= o.x AND e.xid <= o.x
                    AND e.eid > greatest(p.upto, v_floor)
                UNION ALL SELECT j.eid FROM await.job j WHERE j.owner IS NULL AND j.xid >= o.x AND j.xid <= o.x
                    AND j.eid > greatest(p.upto, v_floor)
                UNION ALL SELECT j.eid FROM await.job j WHERE j.owner IS NOT NULL AND j.xid >= o.x AND j.xid <= o.x
                    AND j.eid > greatest(p.upto, v_floor)) e LIMIT p_most) x) s);
END $$;
CREATE FUNCTION await.relay_cursor_text(p_floor bigint, p_xmax xid8, p_running xid8[], p_partial xid8[], p_upto bigint[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT concat_ws('|', p_floor, concat_ws(':', coalesce(min(r.x), p_xmax), p_xmax,
               coalesce(string_agg(r.x::text, ',' ORDER BY r.x), '')),
           (SELECT string_agg(p.x || ':' || p.upto, ',' ORDER BY p.x) FROM unnest(p_partial, p_upto) p (x, upto)
            WHERE p.upto > 0))
    FROM (SELECT DISTINCT x FROM unnest(p_running || p_partial) x WHERE x < p_xmax) r
$$;
CREATE FUNCTION await.relay_drop(relay text, sink text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF EXISTS (SELECT FROM await.relay_status(relay_drop.relay) s WHERE s.sink = relay_drop.sink
               AND s.leader IS NOT NULL) THEN
        RAISE EXCEPTION 'the sink % is in use: start the relays "%" without it first', relay_drop.sink,
            relay_drop.relay USING ERRCODE = '55006';
    END IF;
    DELETE FROM await.relay_cursor c WHERE c.relay = relay_drop.relay AND c.sink = relay_drop.sink;
    RETURN FOUND;
END $$;
CREATE FUNCTION await.relay_hello() RETURNS TABLE(timeline text, schema_version integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM await.settle(), await.open_timeline();
    RETURN QUERY SELECT await.timeline(), (SELECT max(h.version) FROM await.schema_history h);
END $$;
CREATE FUNCTION await.relay_holds(p_relay text, p_token bigint) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    v_no    bigint;
    v_token bigint;
BEGIN
    FOR i IN 1 .. 10 LOOP
        SELECT l.no, l.token INTO v_no, v_token FROM await.relay_leader l WHERE l.relay = p_relay
            ORDER BY l.no DESC LIMIT 1;
        IF v_token IS DISTINCT FROM p_token THEN
            RETURN false;
        END IF;
        PERFORM FROM await.relay_leader l WHERE l.relay = p_relay AND l.no = v_no FOR SHARE;
        IF FOUND THEN
            RETURN true;
        END IF;                              -- it was renewed in between
    END LOOP;
    RETURN false;
END $$;
CREATE FUNCTION await.relay_keys(p_floor bigint, p_open xid8[], p_upto bigint[], p_share integer, p_from xid8, p_until xid8, p_own xid8, p_main integer, p_least integer, p_value_max integer) RETURNS TABLE(main boolean, xid xid8, eid bigint, class smallint, job uuid, seq integer, weight bigint)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    v_topics CONSTANT uuid := 'ffffffff-0000-0000-0000-000000000000';
    v_left   int := p_main + 1;
    v_got    int;
BEGIN
    IF cardinality(p_open) > 0 THEN
        -- a condition on one transaction is written as a range, so that the index gives the order, and begins there
        RETURN QUERY
        SELECT false, u.* FROM unnest(p_open, p_upto) o (x, upto) CROSS JOIN LATERAL (
            (SELECT e.xid, e.eid, e.class, e.job, e.seq, await.relay_weight(e.data, e.size, p_value_max)
             FROM await.event e WHERE (e.xid, e.eid) > (o.x, greatest(o.upto, p_floor)) AND e.xid <= o.x
             ORDER BY e.xid, e.eid LIMIT p_share + 1)
            UNION ALL
            (SELECT j.xid, j.eid, j.class, j.id, 1, 300 FROM await.job j
             WHERE j.owner IS NOT NULL AND (j.xid, j.eid) > (o.x, greatest(o.upto, p_floor)) AND j.xid <= o.x
               AND j.id < v_topics ORDER BY j.xid, j.eid LIMIT p_share + 1)
            UNION ALL
            (SELECT j.xid, j.eid, j.class, j.id, 1, 300 FROM await.job j
             WHERE j.owner IS NULL AND (j.xid, j.eid) > (o.x, greatest(o.upto, p_floor)) AND j.xid <= o.x
               AND j.id < v_topics ORDER BY j.xid, j.eid LIMIT p_share + 1)
            ORDER BY 1, 2 LIMIT p_share + 1
        ) u;
        GET DIAGNOSTICS v_got = ROW_COUNT;
        v_left := greatest(v_left - v_got, p_least + 1);
    END IF;
    RETURN QUERY
    SELECT true, u.* FROM (
        (SELECT e.xid, e.eid, e.class, e.job, e.seq, await.relay_weight(e.data, e.size, p_value_max)
         FROM await.event e WHERE e.xid >= p_from AND e.xid < p_until AND e.xid <> p_own AND e.eid > p_floor
         ORDER BY e.xid, e.eid LIMIT v_left)
        UNION ALL
        (SELECT j.xid, j.eid, j.class, j.id, 1, 300 FROM await.job j
         WHERE j.owner IS NOT NULL AND j.xid >= p_from AND j.xid < p_until AND j.xid <> p_own AND j.eid > p_floor
           AND j.id < v_topics ORDER BY j.xid, j.eid LIMIT v_left)
        UNION ALL
        (SELECT j.xid, j.eid, j.class, j.id, 1, 300 FROM await.job j
         WHERE j.owner IS NULL AND j.xid >= p_from AND j.xid < p_until AND j.xid <> p_own AND j.eid > p_floor
           AND j.id < v_topics ORDER BY j.xid, j.eid LIMIT v_left)
        ORDER BY 1, 2 LIMIT v_left
    ) u;
END $$;
CREATE FUNCTION await.relay_lag(p_cursor text, p_most integer DEFAULT 100000, OUT behind bigint, OUT lag double precision, OUT trouble text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
    IF p_cursor ~ '^kafka:[0-9]{1,18}:-?[0-9]{1,15}$' THEN
        behind := split_part(p_cursor, ':', 2);
        lag := CASE WHEN behind > 0 AND split_part(p_cursor, ':', 3) <> '-1' THEN greatest(extract(epoch FROM
            clock_timestamp()) - split_part(p_cursor, ':', 3)::float8 / 1000, 0) ELSE 0 END;
        RETURN;
    END IF;
    behind := await.relay_behind(p_cursor, p_most);
    lag := coalesce((SELECT greatest(extract(epoch FROM clock_timestamp() - min(p.at)), 0)
                     FROM await.relay_page(p_cursor, 1) p WHERE isfinite(p.at)), 0);
EXCEPTION WHEN invalid_parameter_value OR invalid_text_representation THEN
    trouble := sqlerrm;
END $_$;
CREATE FUNCTION await.relay_leads(p_until timestamp with time zone) RETURNS boolean
    LANGUAGE sql
    AS $$
    SELECT p_until > clock_timestamp() AND p_until < clock_timestamp() + interval '1 minute'
$$;
CREATE FUNCTION await.relay_lease(p_relay text, p_holder text, p_token bigint, p_span interval) RETURNS TABLE(token bigint, holder text, left_ms bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
DECLARE
    v_now  CONSTANT timestamptz := clock_timestamp();
    v_span CONSTANT interval := least(p_span, interval '30 seconds');
    l      await.relay_leader;
    v_goes_on boolean;
BEGIN
    SELECT * INTO l FROM await.relay_leader o WHERE o.relay = p_relay ORDER BY o.no DESC LIMIT 1;
    v_goes_on := coalesce(l.token = p_token AND l.holder = p_holder, false);
    IF NOT v_goes_on AND await.relay_leads(l.until) THEN
        RETURN QUERY SELECT NULL::bigint, l.holder, ceil(extract(epoch FROM l.until - v_now) * 1000)::bigint;
        RETURN;
    END IF;
    IF NOT v_goes_on THEN
        IF l.no IS NOT NULL THEN             -- what the one before has begun ends first (await.relay_holds)
            PERFORM FROM await.relay_leader o WHERE o.relay = p_relay AND o.no > l.no - 100 ORDER BY o.no FOR UPDATE;
        END IF;
        l.token := coalesce(l.token, 0) + 1;
        l.since := v_now;
    END IF;
    INSERT INTO await.relay_leader (relay, no, token, holder, since, until)
        VALUES (p_relay, coalesce(l.no, 0) + 1, l.token, p_holder, l.since, clock_timestamp() + v_span)
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN                        -- another was faster
        RETURN QUERY SELECT NULL::bigint, NULL::text, extract(epoch FROM v_span)::bigint * 1000;
        RETURN;
    END IF;
    DELETE FROM await.relay_leader o WHERE o.relay = p_relay AND o.no IN (
        SELECT d.no FROM await.relay_leader d WHERE d.relay = p_relay AND d.no <= l.no AND d.no > l.no - 100
        FOR UPDATE SKIP LOCKED);
    RETURN QUERY SELECT l.token, p_holder, extract(epoch FROM v_span)::bigint * 1000;
END $$;
CREATE FUNCTION await.relay_lookup(p_class smallint[], p_job uuid[], p_seq integer[], p_value_max integer, p_hints integer DEFAULT 0) RETURNS TABLE(cursor text, complete boolean, job uuid, seq integer, eid bigint, type text, state text, attempt smallint, at timestamp with time zone, queue text, owner text, batch uuid, phase text, correlation_id text, trace text, data text, status smallint, content_type text, file_name text, size bigint, value bytea, hints text[], looked_for integer, upto text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    v_topics CONSTANT uuid := 'ffffffff-0000-0000-0000-000000000000';
    v_most   CONSTANT bigint := 4194304;
    v_few    CONSTANT int := 64;
    v_floor  CONSTANT bigint := (SELECT h.floor FROM await.home h);
    v_weight bigint := 0;
    v_any    boolean := false;
    v_limited boolean;                       -- some queues are for some roles only
    v_timeline text;
    e        await.event;
    j        await.job;
BEGIN
    cursor := v_floor || '|' || pg_current_snapshot(); -- as await.relay_cursor_text() has it
    upto := pg_current_wal_insert_lsn()::text;
    looked_for := cardinality(p_job);
    complete := true;
    IF looked_for <= v_few THEN
        IF looked_for BETWEEN 1 AND p_hints THEN
            v_limited := EXISTS (SELECT FROM await.queue_grant);
            v_timeline := await.timeline();
        END IF;
        FOR i IN 1 .. looked_for LOOP
            SELECT * INTO j FROM await.job w WHERE w.class = p_class[i] AND w.id = p_job[i];
            CONTINUE WHEN NOT FOUND;
            IF p_seq[i] > 1 THEN
                SELECT * INTO e FROM await.event v WHERE v.class = p_class[i] AND v.job = p_job[i] AND v.seq = p_seq[i];
                CONTINUE WHEN NOT FOUND OR e.eid <= v_floor;
            ELSE
                CONTINUE WHEN j.eid <= v_floor OR j.id >= v_topics;
                e := NULL;
            END IF;
            v_weight := v_weight + await.relay_weight(e.data, e.size, p_value_max);
            IF v_any AND v_weight > v_most THEN
                -- a row without an event; the number is that of the last row
                job := NULL;
                looked_for := i - 1;
                EXIT;
            END IF;
            v_any := true;
            SELECT q.name INTO queue FROM await.queue q WHERE q.id = j.queue;
            job := j.id; seq := p_seq[i]; eid := coalesce(e.eid, j.eid); type := coalesce(e.type, 'pending');
            state := coalesce(e.state, 'pending'); attempt := coalesce(e.attempt, 0::int2); at := coalesce(e.at, j.created_at);
            owner := j.owner; batch := j.batch; phase := j.phase; correlation_id := j.correlation_id; trace := j.trace;
            data := e.data::text; status := e.status; content_type := e.content_type; file_name := e.file_name; size := e.size;
            value := CASE WHEN e.size <= p_value_max AND await.is_json(e.content_type) THEN e.body END;
            hints := NULL;
            IF cardinality(p_job) <= p_hints THEN
                IF v_limited OR j.batch IS NOT NULL THEN
                    hints := ARRAY(SELECT t FROM await.hint(job, seq) h, unnest(ARRAY[h.channel, h.message]) t);
                ELSE
                    hints := '{}';
                    IF e.job IS NOT NULL THEN
                        hints := ARRAY[await.shard(job), await.hint_message(e, j, queue, v_timeline)];
                    END IF;
                    IF j.owner IS NOT NULL AND job < v_topics THEN
                        hints := hints || ARRAY[await.shard(await.user_id(j.owner)), await.user_hint(j.owner)];
                    END IF;
                END IF;
            END IF;
            RETURN NEXT;
        END LOOP;
        IF NOT v_any OR job IS NULL THEN
            RETURN NEXT;
        END IF;
        RETURN;
    END IF;
    RETURN QUERY
    WITH found AS MATERIALIZED (
        SELECT k.n::int AS n, k.seq AS seq, j.id, j.eid AS job_eid, j.created_at, j.queue, j.owner, j.batch, j.phase,
            j.correlation_id, j.trace, e.*,
            sum(await.relay_weight(e.data, e.size, p_value_max)) OVER (ORDER BY k.n) AS weight
        FROM unnest(p_class, p_job, p_seq) WITH ORDINALITY k (class, job, seq, n)
        CROSS JOIN LATERAL (SELECT * FROM await.job j WHERE j.class = k.class AND j.id = k.job LIMIT 1) j
        LEFT JOIN LATERAL (SELECT e.eid, e.type, e.state, e.attempt, e.at, e.data, e.status, e.content_type,
                e.file_name, e.size, CASE WHEN e.size <= p_value_max
                    AND await.is_json(e.content_type) THEN e.body END AS value
            FROM await.event e
            WHERE k.seq > 1 AND e.class = k.class AND e.job = k.job AND e.seq = k.seq LIMIT 1) e ON true
        WHERE CASE WHEN k.seq > 1 THEN e.eid > v_floor ELSE j.eid > v_floor AND j.id < v_topics END
    ), cut AS (
        SELECT min(f.n) AS n FROM found f WHERE f.weight > v_most AND f.n > (SELECT min(o.n) FROM found o)
    )
    SELECT cursor, complete, f.id, f.seq, coalesce(f.eid, f.job_eid), coalesce(f.type, 'pending'),
        coalesce(f.state, 'pending'), coalesce(f.attempt, 0::int2), coalesce(f.at, f.created_at), q.name, f.owner,
        f.batch, f.phase, f.correlation_id, f.trace, f.data::text, f.status, f.content_type, f.file_name, f.size,
        f.value, NULL::text[], coalesce(c.n - 1, looked_for), upto
    FROM found f CROSS JOIN cut c LEFT JOIN await.queue q ON q.id = f.queue
    WHERE c.n IS NULL OR f.n < c.n
    ORDER BY f.n;
    IF NOT FOUND THEN
        RETURN NEXT;
    END IF;
END $$;
CREATE FUNCTION await.relay_open(p_relay text, p_token bigint, p_sinks text[]) RETURNS TABLE(sink text, no bigint, cursor text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
BEGIN
    IF NOT await.relay_holds(p_relay, p_token) THEN
        RETURN;
    END IF;
    INSERT INTO await.relay_cursor (relay, sink, no, cursor)
        SELECT p_relay, s.name, 1, p.cursor FROM unnest(p_sinks) s (name), await.relay_page(NULL, 1) p
        WHERE NOT EXISTS (SELECT FROM await.relay_cursor c WHERE c.relay = p_relay AND c.sink = s.name)
        ON CONFLICT DO NOTHING;
    DELETE FROM await.relay_sink k WHERE k.relay = p_relay AND k.token < p_token;
    INSERT INTO await.relay_sink (relay, token, sink) SELECT p_relay, p_token, s.name FROM unnest(p_sinks) s (name)
        ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT s.name, c.no, c.cursor FROM unnest(p_sinks) s (name) CROSS JOIN LATERAL (
        SELECT * FROM await.relay_cursor o WHERE o.relay = p_relay AND o.sink = s.name ORDER BY o.no DESC LIMIT 1) c;
END $$;
CREATE FUNCTION await.relay_page(p_cursor text, p_limit integer, p_value_max integer DEFAULT 0, p_hints integer DEFAULT 0) RETURNS TABLE(cursor text, complete boolean, job uuid, seq integer, eid bigint, type text, state text, attempt smallint, at timestamp with time zone, queue text, owner text, batch uuid, phase text, correlation_id text, trace text, data text, status smallint, content_type text, file_name text, size bigint, value bytea, hints text[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    v_topics  CONSTANT uuid := 'ffffffff-0000-0000-0000-000000000000';
    v_most    CONSTANT bigint := 4194304;
    v_beside_of CONSTANT int := 4;
    v_floor   CONSTANT bigint := (SELECT h.floor FROM await.home h);
    v_until   CONSTANT xid8 := pg_snapshot_xmax(pg_current_snapshot());
    -- its own transaction is not over; it may write more
    v_own     CONSTANT xid8 := coalesce(pg_current_xact_id_if_assigned(), '0');
    v_running xid8[] := ARRAY(SELECT x FROM pg_snapshot_xip(pg_current_snapshot()) x UNION SELECT v_own WHERE v_own <> '0');
    c         record;                        -- the cursor
    v_open    xid8[];
    v_upto    bigint[];
    v_limit   int := least(greatest(p_limit, 1), 10000);
    v_share   int;
    v_beside  int;                           -- 1: newer transactions have a share, whatever the open ones have
    k         record;                        -- the keys that were found
    v_xmax    xid8;                          -- of the new cursor, and
    v_partial xid8[];
    v_read    bigint[];
    v_blocked int[];
    v_ready   int[];
BEGIN
    IF coalesce(p_cursor, '') = '' THEN
        cursor := await.relay_cursor_text(v_floor, v_until, v_running, '{}', '{}');
        complete := true;
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO c FROM await.relay_read_cursor(p_cursor, v_floor);
    SELECT coalesce(array_agg(x ORDER BY x), '{}'), coalesce(array_agg(coalesce(p.upto, 0) ORDER BY x), '{}')
    INTO v_open, v_upto FROM pg_snapshot_xip(c.since) x LEFT JOIN unnest(c.partial, c.upto) p (px, upto) ON p.px = x
    WHERE x <> ALL (v_running);
    IF v_open = '{}' AND pg_snapshot_xmax(c.since) = v_until THEN
        cursor := p_cursor;
        complete := true;
        RETURN NEXT;
        RETURN;
    END IF;
    v_beside := (cardinality(v_open) < v_beside_of)::int;
    LOOP
        LOOP
            v_share := greatest(v_limit / greatest(cardinality(v_open) + v_beside, 1), 1);
            WITH found AS MATERIALIZED (
                SELECT * FROM await.relay_keys(v_floor, v_open, v_upto, v_share, pg_snapshot_xmax(c.since), v_until, v_own, v_limit, v_beside, p_value_max)
            ), placed AS (
                SELECT f.*, row_number() OVER (PARTITION BY f.main, CASE WHEN NOT f.main THEN f.xid END ORDER BY f.xid, f.eid)
                    <= CASE WHEN f.main THEN greatest(v_limit - (SELECT count(*) FROM found o WHERE NOT o.main), v_beside) ELSE v_share END AS kept
                FROM found f
            )
            SELECT coalesce(array_agg(p.xid) FILTER (WHERE p.kept), '{}') AS xid, array_agg(p.eid) FILTER (WHERE p.kept) AS eid,
                array_agg(p.class) FILTER (WHERE p.kept) AS class, array_agg(p.job) FILTER (WHERE p.kept) AS job,
                array_agg(p.seq) FILTER (WHERE p.kept) AS seq, sum(p.weight) FILTER (WHERE p.kept) AS weight,
                (array_agg(p.xid ORDER BY p.xid DESC) FILTER (WHERE p.main AND p.kept))[1] AS last,
                (array_agg(p.xid) FILTER (WHERE p.main AND NOT p.kept))[1] AS next,
                array_agg(p.xid) FILTER (WHERE NOT p.kept) AS cut
            INTO k FROM (SELECT * FROM placed ORDER BY eid) p;
            EXIT WHEN k.weight IS NULL OR k.weight <= v_most OR v_limit = 1;
            v_limit := greatest(least(v_limit - 1, (v_limit * v_most / k.weight)::int), 1);
        END LOOP;
        v_xmax := CASE WHEN k.next IS NULL THEN v_until WHEN k.last IS NULL THEN pg_snapshot_xmax(c.since)
            ELSE (k.last::text::bigint + 1)::text::xid8 END;
        SELECT coalesce(array_agg(x), '{}'), coalesce(array_agg(upto), '{}') INTO v_partial, v_read FROM (
            SELECT x, (SELECT max(f.eid) FROM unnest(k.xid, k.eid) f (xid, eid) WHERE f.xid = x) AS upto
            FROM unnest(k.cut) x WHERE x < v_xmax) p;
        cursor := await.relay_cursor_text(v_floor, v_xmax, v_running, v_partial, v_read);
        IF k.cut IS NOT NULL THEN
            SELECT array_agg(w.n::int) INTO v_blocked
            FROM unnest(k.class, k.job, k.seq) WITH ORDINALITY w (class, job, seq, n) CROSS JOIN LATERAL (
                (SELECT e.xid, e.eid FROM await.event e WHERE w.seq > 2 AND e.class = w.class AND e.job = w.job AND e.seq = w.seq - 1 LIMIT 1)
                UNION ALL
                (SELECT j.xid, j.eid FROM await.job j WHERE w.seq = 2 AND w.job < v_topics AND j.class = w.class AND j.id = w.job LIMIT 1)
            ) p
            WHERE w.seq > 1 AND p.eid > v_floor AND NOT pg_visible_in_snapshot(p.xid, split_part(cursor, '|', 2)::pg_snapshot)
              AND NOT EXISTS (SELECT FROM unnest(v_partial, v_read) q (x, upto) WHERE q.x = p.xid AND p.eid <= q.upto);
        END IF;
        complete := k.cut IS NULL;
        EXIT WHEN v_blocked IS NULL;
        SELECT s.ready, s.stuck || r.x, s.upto || r.upto INTO v_ready, v_partial, v_read
        FROM await.relay_sort_out(v_blocked, k.xid, k.eid, k.job, v_open, v_upto) s, LATERAL (
            SELECT coalesce(array_agg(p.x), '{}') AS x, coalesce(array_agg(p.upto), '{}') AS upto
            FROM unnest(v_partial, v_read) p (x, upto) WHERE p.x <> ALL (s.stuck)) r;
        cursor := await.relay_cursor_text(v_floor, v_xmax, v_running, v_partial, v_read);
        EXIT WHEN v_beside = 1 OR v_ready <> '{}';
        v_beside := 1;
        v_blocked := NULL;
        v_ready := NULL;
    END LOOP;
    RETURN QUERY
    SELECT cursor, complete, f.job, f.seq, f.eid, coalesce(e.type, 'pending'), coalesce(e.state, 'pending'), coalesce(e.attempt, 0::int2),
        coalesce(e.at, j.created_at), q.name, j.owner, j.batch, j.phase, j.correlation_id, j.trace, e.data, e.status, e.content_type,
        e.file_name, e.size, e.value, CASE WHEN cardinality(k.eid) <= p_hints THEN
            ARRAY(SELECT t FROM await.hint(f.job, f.seq) h, unnest(ARRAY[h.channel, h.message]) t) END
    FROM unnest(k.xid, k.eid, k.class, k.job, k.seq) WITH ORDINALITY f (xid, eid, class, job, seq, n)
    CROSS JOIN LATERAL (SELECT * FROM await.job j WHERE j.class = f.class AND j.id = f.job LIMIT 1) j
    LEFT JOIN LATERAL (SELECT e.type, e.state, e.attempt, e.at, e.data::text AS data, e.status, e.content_type, e.file_name, e.size,
            CASE WHEN e.size <= p_value_max AND await.is_json(e.content_type) THEN e.body END AS value
        FROM await.event e WHERE f.seq > 1 AND e.class = f.class AND e.job = f.job AND e.seq = f.seq LIMIT 1) e ON true
    LEFT JOIN await.queue q ON q.id = j.queue
    WHERE v_ready IS NULL OR f.n::int = ANY (v_ready)
    ORDER BY f.n;
    IF NOT FOUND THEN
        RETURN NEXT;
    END IF;
END $$;
CREATE FUNCTION await.relay_read_cursor(p_cursor text, p_floor bigint, OUT since pg_snapshot, OUT partial xid8[], OUT upto bigint[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    v_part text[] := string_to_array(p_cursor, '|');
BEGIN
    since := '4:4:';                         -- await.settle_rows() gives 3 to rows of a dump
    partial := '{}';
    upto := '{}';
    IF p_cursor = 'start' THEN
        RETURN;
    END IF;
    IF p_cursor !~ '^[0-9]{1,18}[|][0-9]{1,18}:[0-9]{1,18}:([0-9]{1,18}(,[0-9]{1,18})*)?([|][0-9]{1,18}:[0-9]{1,18}(,[0-9]{1,18}:[0-9]{1,18})*)?$' THEN
        RAISE EXCEPTION 'not a cursor of await.events_after(): %', quote_literal(left(p_cursor, 80)) USING ERRCODE = '22023';
    END IF;
    IF v_part[1]::bigint <> p_floor THEN
        RETURN;
    END IF;
    since := v_part[2]::pg_snapshot;
    SELECT coalesce(array_agg(split_part(x, ':', 1)::xid8), '{}'), coalesce(array_agg(split_part(x, ':', 2)::bigint), '{}')
    INTO partial, upto FROM unnest(string_to_array(v_part[3], ',')) x;
    IF pg_snapshot_xmax(since) > pg_snapshot_xmax(pg_current_snapshot()) THEN
        RAISE EXCEPTION 'the cursor is ahead of this server: it belongs to a history that a failover or a restore has left'
            USING ERRCODE = '22023', HINT = 'start again from now (NULL) or from what is kept (''start'')';
    END IF;
END $_$;
CREATE FUNCTION await.relay_release(p_relay text, p_token bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    v_no CONSTANT bigint := (SELECT max(l.no) FROM await.relay_leader l WHERE l.relay = p_relay);
BEGIN
    IF await.relay_holds(p_relay, p_token) THEN -- the row stays, so that the token after it is higher
        INSERT INTO await.relay_leader (relay, no, token, holder, since, until)
            VALUES (p_relay, v_no + 1, p_token + 1, '', clock_timestamp(), clock_timestamp()) ON CONFLICT DO NOTHING;
        DELETE FROM await.relay_leader l WHERE l.relay = p_relay AND l.no = v_no;
    END IF;
END $$;
CREATE FUNCTION await.relay_set(relay text, sink text, cursor text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    c    await.relay_cursor;
    v_to text;
BEGIN
    IF relay_set.cursor = '' THEN           -- a variable of a script that was not set: it would be 'now'
        RAISE EXCEPTION 'a cursor is now, start, or one of await.events_after(), not an empty text' USING ERRCODE = '22023';
    END IF;
    IF relay_set.sink LIKE 'from:%' THEN
        RAISE EXCEPTION '% is a source of jobs: where it goes on is kept in Kafka, for its consumer group', relay_set.sink
            USING ERRCODE = '22023', HINT = 'kafka-consumer-groups --reset-offsets sets it while no relay is running.';
    END IF;
    SELECT p.cursor INTO v_to FROM await.relay_page(nullif(relay_set.cursor, 'now'), 1) p LIMIT 1; -- or an error
    LOOP
        SELECT * INTO c FROM await.relay_cursor o WHERE o.relay = relay_set.relay AND o.sink = relay_set.sink
            ORDER BY o.no DESC LIMIT 1;
        IF c.no IS NULL THEN
            RETURN false;
        END IF;
        INSERT INTO await.relay_cursor (relay, sink, no, cursor, delivered, failures)
            VALUES (c.relay, c.sink, c.no + 1, CASE WHEN relay_set.cursor = 'now' THEN v_to ELSE relay_set.cursor END,
                    c.delivered, c.failures) ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
    END LOOP;
    DELETE FROM await.relay_cursor o WHERE o.relay = c.relay AND o.sink = c.sink AND o.no <= c.no;
    RETURN true;
END $$;
CREATE FUNCTION await.relay_sort_out(p_blocked integer[], p_xid xid8[], p_eid bigint[], p_job uuid[], p_open xid8[], p_upto bigint[], OUT ready integer[], OUT stuck xid8[], OUT upto bigint[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    v_jobs uuid[] := '{}';
BEGIN
    ready := '{}';
    stuck := '{}';
    FOR i IN 1 .. cardinality(p_xid) LOOP
        IF p_xid[i] = ANY (stuck) OR p_job[i] = ANY (v_jobs) OR i = ANY (p_blocked) THEN
            v_jobs := v_jobs || p_job[i];
            IF p_xid[i] <> ALL (stuck) THEN
                stuck := stuck || p_xid[i];
            END IF;
        ELSE
            ready := ready || i;
        END IF;
    END LOOP;
    upto := ARRAY(
        SELECT coalesce((SELECT max(p_eid[r]) FROM unnest(ready) r WHERE p_xid[r] = s.x),
                        (SELECT o.upto FROM unnest(p_open, p_upto) o (x, upto) WHERE o.x = s.x), 0)
        FROM unnest(stuck) WITH ORDINALITY s (x, n) ORDER BY s.n);
END $$;
CREATE FUNCTION await.relay_status(relay text DEFAULT NULL::text) RETURNS TABLE(relay text, leader text, leads_since timestamp with time zone, sink text, behind bigint, lag double precision, moved timestamp with time zone, delivered bigint, failures bigint, reason text, cursor text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
    WITH leaders AS (
        SELECT DISTINCT ON (l.relay) l.relay, l.token, l.holder, l.since, l.until FROM await.relay_leader l
        ORDER BY l.relay, l.no DESC
    ), sinks AS (
        SELECT DISTINCT ON (c.relay, c.sink) c.* FROM await.relay_cursor c ORDER BY c.relay, c.sink, c.no DESC
    )
    SELECT coalesce(s.relay, l.relay), CASE WHEN t.serves THEN l.holder END, CASE WHEN t.serves THEN l.since END,
        s.sink, g.behind, g.lag, s.at, s.delivered, s.failures, coalesce(g.trouble, s.reason), s.cursor
    FROM sinks s FULL JOIN leaders l ON l.relay = s.relay LEFT JOIN LATERAL await.relay_lag(s.cursor) g ON true
    CROSS JOIN LATERAL (SELECT await.relay_leads(l.until) AND (s.sink IS NULL OR EXISTS (SELECT FROM await.relay_sink k
        WHERE k.relay = l.relay AND k.token = l.token AND k.sink = s.sink)) AS serves) t
    WHERE relay_status.relay IS NULL OR coalesce(s.relay, l.relay) = relay_status.relay
    ORDER BY 1, 4
$$;
CREATE FUNCTION await.relay_unserved(p_relay text, p_sinks text[]) RETURNS TABLE(leader text, sink text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
    SELECT l.holder, s.name
    FROM (SELECT * FROM await.relay_leader o WHERE o.relay = p_relay ORDER BY o.no DESC LIMIT 1) l
    CROSS JOIN unnest(p_sinks) s (name)
    WHERE await.relay_leads(l.until) AND EXISTS (SELECT FROM await.relay_sink k WHERE k.relay = p_relay
            AND k.token = l.token)
        AND NOT EXISTS (SELECT FROM await.relay_sink k WHERE k.relay = p_relay AND k.token = l.token
            AND k.sink = s.name)
    ORDER BY 2
$$;
CREATE FUNCTION await.relay_wal(wanted boolean) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_publication p WHERE p.pubname = 'await_relay') THEN
        DROP PUBLICATION await_relay;
        IF NOT relay_wal.wanted THEN
            RETURN 'dropped the publication await_relay';
        END IF;
    ELSIF NOT relay_wal.wanted THEN
        RETURN 'there is no publication await_relay';
    END IF;
    SET LOCAL client_min_messages = error;   -- wal_level is said below
    CREATE PUBLICATION await_relay FOR TABLE await.job (class, id, xid), await.event (class, job, seq, xid)
        WITH (publish = 'insert', publish_via_partition_root);
    RETURN 'made the publication await_relay' || CASE WHEN current_setting('wal_level') = 'logical' THEN ''
        ELSE format('; wal_level is %s: ALTER SYSTEM SET wal_level = logical, and restart PostgreSQL',
                    current_setting('wal_level')) END;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION '%', sqlerrm USING ERRCODE = '42501', HINT = CASE WHEN sqlerrm ~ 'database'
        THEN format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user) ELSE 'ask its owner' END;
END $$;
CREATE FUNCTION await.relay_wal_missing() RETURNS SETOF text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
    IF current_setting('wal_level') <> 'logical' THEN
        RETURN NEXT format('wal_level is %s: ALTER SYSTEM SET wal_level = logical, and restart PostgreSQL',
            current_setting('wal_level'));
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = session_user AND (r.rolreplication OR r.rolsuper)) THEN
        RETURN NEXT format('the role %s may not replicate: ALTER ROLE %1$I REPLICATION', session_user);
    END IF;
    IF (SELECT count(*) FROM pg_replication_slots) >= current_setting('max_replication_slots')::int THEN
        RETURN NEXT format('all %s replication slots are in use: raise max_replication_slots, or drop one that nobody '
            'uses', current_setting('max_replication_slots'));
    END IF;
    IF (SELECT count(*) FROM pg_publication p JOIN pg_publication_tables t USING (pubname)
        WHERE p.pubname = 'await_relay' AND p.pubinsert AND p.pubviaroot AND t.schemaname = 'await'
            AND t.rowfilter IS NULL AND (t.tablename = 'job' AND t.attnames @> '{class,id,xid}'
                OR t.tablename = 'event' AND t.attnames @> '{class,job,seq,xid}')) < 2
    THEN
        RETURN NEXT 'the publication await_relay is missing or differs: await-ctl relay wal on, as the owner of the '
            'schema await';
    END IF;
END $_$;
CREATE FUNCTION await.relay_webhooks(p_relay text, p_token bigint DEFAULT NULL::bigint) RETURNS TABLE(relay text, holder text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    v_mark CONSTANT text := 'kind:webhooks'; -- a sink's name has no colon
BEGIN
    IF p_token IS NOT NULL THEN
        LOCK TABLE await.relay_sink IN SHARE ROW EXCLUSIVE MODE; -- one at a time
    END IF;
    RETURN QUERY SELECT k.relay, l.holder FROM await.relay_sink k CROSS JOIN LATERAL (
            SELECT * FROM await.relay_leader o WHERE o.relay = k.relay ORDER BY o.no DESC LIMIT 1) l
        WHERE k.sink = v_mark AND k.relay <> p_relay AND l.token = k.token
          AND await.relay_leads(l.until)
        LIMIT 1;
    IF NOT FOUND AND p_token IS NOT NULL AND await.relay_holds(p_relay, p_token) THEN
        INSERT INTO await.relay_sink (relay, token, sink) VALUES (p_relay, p_token, v_mark) ON CONFLICT DO NOTHING;
    END IF;
END $$;
CREATE FUNCTION await.relay_weight(data jsonb, size bigint, value_max integer) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
    SELECT 300 + CASE WHEN data IS NULL THEN 0 WHEN pg_column_size(data) <= 500 THEN 4 * pg_column_size(data)
                      ELSE octet_length(data::text) END + CASE WHEN size <= value_max THEN size ELSE 0 END
$$;
CREATE FUNCTION await.release(id uuid, receipt text, delay interval DEFAULT NULL::interval) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    k    int2 := await.class(release.id);
    h    await.job_head;
    own  int2;
    due  timestamptz;
    before jsonb;                            -- the data of the last event "pending"
    times int := 1;                          -- how often this attempt has been given back
BEGIN
    IF delay NOT BETWEEN interval '0' AND interval '10 years' THEN
        RAISE EXCEPTION 'the delay of await.release is an interval from 0 to 10 years, not %', delay USING ERRCODE = '22023';
    END IF;
    IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = release.id AND l.receipt = release.receipt) THEN
        RETURN false;
    END IF;
    h := await.lock_job(release.id);
    own := await.end_lease(h.id, release.receipt);
    IF own IS NULL OR h.ended THEN
        RETURN false;
    END IF;
    DELETE FROM await.chunk c WHERE c.class = k AND c.job = release.id AND c.kind = 'r' AND c.attempt = own;
    due := clock_timestamp() + coalesce(delay, interval '0');
    -- its "error" says why the attempt before failed: the document goes on to say so
    SELECT e.data INTO before FROM await.event e WHERE e.class = k AND e.job = release.id AND e.type = 'pending' ORDER BY e.seq DESC LIMIT 1;
    IF jsonb_typeof(before -> 'releases') = 'number' THEN
        times := (before ->> 'releases')::int + 1;
    END IF;
    IF times > 100 THEN
        PERFORM await.retry_or_fail(h, own, jsonb_build_object('title', 'Released too often',
            'detail', format('attempt %s was given back %s times', own, times)), nullif(delay, interval '0'));
        RETURN true;
    END IF;
    PERFORM await.append_event(h, 'pending', 'pending', await.waiting(h, due, before -> 'error') || jsonb_build_object('released', true, 'releases', times), (own - 1)::int2);
    PERFORM await.enqueue(h.id, h.queue, h.priority, own, due);
    RETURN true;
END $$;
CREATE FUNCTION await.remove_webhook(p_webhook integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM await.find_webhook(p_webhook);
    DELETE FROM await.webhook w WHERE w.id = p_webhook;
    DELETE FROM await.webhook_secret s WHERE s.webhook = p_webhook;
END $$;
CREATE FUNCTION await.replace_webhook_secret(p_webhook integer, p_key bytea, p_overlap interval) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF p_overlap NOT BETWEEN interval '0' AND interval '30 days' OR p_overlap IS NULL THEN
        RAISE EXCEPTION 'an old secret is used for 0 seconds to 30 days more, not %', p_overlap
            USING ERRCODE = '22023';
    END IF;
    DELETE FROM await.webhook_secret s WHERE s.webhook = p_webhook
        AND (s.until <= clock_timestamp() OR s.key = p_key); -- it may be given again
    UPDATE await.webhook_secret s SET until = clock_timestamp() + p_overlap
        WHERE s.webhook = p_webhook AND s.until IS NULL;
    INSERT INTO await.webhook_secret (webhook, key) VALUES (p_webhook, p_key);
END $$;
CREATE FUNCTION await.reserve_positions() RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    last_pos bigint;
BEGIN
    IF current_setting('await.positions_reserved', true) IS NOT DISTINCT FROM transaction_timestamp()::text THEN
        RETURN;
    END IF;
    SELECT last_value INTO last_pos FROM await.pos;
    FOR bits IN 0 .. 40 BY 4 LOOP
        IF pg_try_advisory_xact_lock_shared((x'4157'::bigint << 48)
                | ((last_pos - floor(random() * (1::bigint << bits))::bigint) & x'ffffffffffff'::bigint)) THEN
            PERFORM set_config('await.positions_reserved', transaction_timestamp()::text, true);
            RETURN;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'another session holds the advisory locks that announce positions'
        USING ERRCODE = '55P03', HINT = 'see pg_locks, classid 1096220672 and above';
END $$;
CREATE FUNCTION await.resume(queue text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE await.queue q SET paused = false WHERE q.name = resume.queue AND q.paused;
    IF NOT FOUND THEN
        IF NOT EXISTS (SELECT FROM await.queue q WHERE q.name = resume.queue) THEN
            RAISE EXCEPTION 'there is no queue %', quote_literal(left(resume.queue, 80)) USING ERRCODE = '22023';
        END IF;
        RETURN false;
    END IF;
    PERFORM await.publish('queue:' || resume.queue, 'resumed', '{"paused": false}', true);
    IF await.notifies() THEN
        PERFORM await.notify_work(ARRAY[resume.queue]);
    END IF;
    RETURN true;
END $$;
CREATE FUNCTION await.retry(id uuid) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    h   await.job_head := await.lock_job(retry.id);
    k   int2 := await.class(retry.id);
    new uuid := await.new_id(k);
BEGIN
    IF h.ended IS DISTINCT FROM true OR await.is_batch(retry.id) OR h.id >= 'ffffffff-0000-0000-0000-000000000000' THEN
        RETURN NULL;                         -- topics are no jobs
    END IF;
    PERFORM await.need_partitions(k), await.note_use(h.queue, k);
    INSERT INTO await.job (class, id, queue, priority, owner, phase, correlation_id, trace, content_type, file_name,
                           params, payload, payload_size, lease, max_attempts, retry_of, extra, webhook)
        SELECT k, new, j.queue, j.priority, j.owner, j.phase, j.correlation_id, j.trace, j.content_type, j.file_name,
               j.params, j.payload, j.payload_size, j.lease, j.max_attempts, j.id, j.extra, j.webhook
        FROM await.job j WHERE j.class = k AND j.id = retry.id;
    INSERT INTO await.chunk (class, job, kind, attempt, n, pos, bytes)
        SELECT k, new, c.kind, c.attempt, c.n, c.pos, c.bytes FROM await.chunk c
        WHERE c.class = k AND c.job = retry.id AND c.kind = 'p' AND c.attempt = 0;
    PERFORM await.enqueue(new, h.queue, h.priority, 1::int2);
    IF h.owner IS NOT NULL AND await.notifies() THEN
        PERFORM await.notify_work(NULL, ARRAY[h.owner]);
    END IF;
    INSERT INTO await.retried (class, job, retry) VALUES (k, retry.id, new) ON CONFLICT DO NOTHING;
    RETURN new;
END $$;
CREATE FUNCTION await.retry_delivery(p_id bigint, p_owner text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
BEGIN
    IF p_owner IS NOT NULL AND NOT EXISTS (
        SELECT FROM await.delivery d WHERE d.id = p_id AND await.delivery_is_of(d, p_owner)) THEN
        RETURN 'unknown';
    END IF;
    IF EXISTS (SELECT FROM await.delivery d JOIN await.delivery_end e ON e.delivery = d.id
               WHERE d.id = p_id AND d.webhook > 0 AND NOT EXISTS (
                   SELECT FROM await.webhook w WHERE w.id = d.webhook AND w.disabled_at IS NULL)) THEN
        RETURN 'disabled';
    END IF;
    DELETE FROM await.delivery_end e WHERE e.delivery = p_id;
    IF FOUND THEN
        PERFORM await.queue_deliveries(ARRAY[p_id]);
        RETURN 'retried';
    END IF;
    RETURN CASE WHEN EXISTS (SELECT FROM await.delivery d WHERE d.id = p_id) THEN 'waiting' ELSE 'unknown' END;
END $$;
CREATE FUNCTION await.retry_many(filter jsonb, p_limit integer DEFAULT 100, after uuid DEFAULT NULL::uuid, OUT retried integer, OUT passed integer, OUT upto uuid) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    found record;
    h     await.job_head;
BEGIN
    retried := 0;
    passed := 0;
    FOR found IN SELECT * FROM await.find_jobs(filter, p_limit, after) LOOP
        upto := found.upto;
        CONTINUE WHEN found.id IS NULL;
        h := await.lock_job(found.id, true); -- whoever retries it now has it locked
        IF h.id IS NULL OR EXISTS (SELECT FROM await.retried r WHERE r.class = await.class(found.id)
            AND r.job = found.id) THEN
            passed := passed + 1;
        ELSE
            PERFORM await.retry(found.id);
            retried := retried + 1;
        END IF;
    END LOOP;
END $$;
CREATE FUNCTION await.retry_ms(p_queue integer, ahead bigint) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
    SELECT (least(greatest(coalesce(ahead / await.queue_rate(p_queue), 60), 1), 3600) * 1000)::int8
$$;
CREATE FUNCTION await.retry_or_fail(h await.job_head, p_attempt smallint, p_error jsonb, p_retry_in interval) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    q       await.queue;
    pause   interval := p_retry_in;
    due     timestamptz;
    problem jsonb := CASE jsonb_typeof(p_error) WHEN 'object' THEN p_error
                     ELSE jsonb_build_object('detail', p_error) END;
BEGIN
    SELECT * INTO q FROM await.queue WHERE id = h.queue;
    IF p_attempt >= coalesce(h.max_attempts, q.max_attempts) OR pause < interval '0' THEN
        PERFORM await.append_event(h, 'failed', 'failed', problem, p_attempt);
        RETURN;
    END IF;
    IF pause IS NULL THEN                    -- doubled each time, with a jitter of a quarter
        pause := least(q.backoff_min * (2 ^ least(p_attempt - 1, 30)), q.backoff_max) * (0.75 + random() / 2);
    END IF;
    due := clock_timestamp() + pause;
    PERFORM await.append_event(h, 'pending', 'pending', await.waiting(h, due, problem), p_attempt);
    PERFORM await.enqueue(h.id, h.queue, h.priority, (p_attempt + 1)::int2, due);
END $$;
CREATE FUNCTION await.revoke(owner text) RETURNS TABLE(channel text, message text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF revoke.owner IS NULL THEN
        RAISE EXCEPTION 'await.revoke needs an owner' USING ERRCODE = '22023';
    END IF;
    INSERT INTO await.revoked AS r (owner) VALUES (revoke.owner) ON CONFLICT ON CONSTRAINT revoked_pkey DO UPDATE SET at = clock_timestamp();
    channel := 'await:revoked';
    message := '1';
    RETURN NEXT;
END $$;
CREATE FUNCTION await.revoke_queues(role name, queues text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    who regrole := quote_ident(revoke_queues.role)::regrole;
BEGIN
    DELETE FROM await.queue_grant g WHERE g.role = who AND (queues IS NULL OR g.queue = ANY (queues));
    IF NOT EXISTS (SELECT FROM await.queue_grant g WHERE g.role = who) THEN
        INSERT INTO await.queue_grant (role, queue) VALUES (who, '');
    END IF;
END $$;
CREATE FUNCTION await.rotate(forget boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    LOCK TABLE await.old_secret IN SHARE ROW EXCLUSIVE MODE; -- one rotation at a time
    DELETE FROM await.old_secret o WHERE forget OR o.until <= clock_timestamp();
    IF NOT coalesce(forget, false) THEN
        INSERT INTO await.old_secret (key, until) SELECT s.key, clock_timestamp() + interval '1 day' FROM await.secret s;
    END IF;
    INSERT INTO await.secret (key, inner_pad, outer_pad) SELECT n.key, n.inner_pad, n.outer_pad FROM await.new_secret() n
        ON CONFLICT ON CONSTRAINT secret_pkey DO UPDATE
        SET key = excluded.key, inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad;
END $$;
CREATE FUNCTION await.rotate_webhook(p_webhook integer, p_overlap interval DEFAULT '1 day'::interval) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    w   await.webhook;
    key bytea := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    old bytea[];
BEGIN
    LOCK TABLE await.webhook_secret IN SHARE ROW EXCLUSIVE MODE; -- one rotation at a time
    IF p_webhook IS NOT NULL THEN
        w := await.find_webhook(p_webhook);
        IF NOT EXISTS (SELECT FROM await.webhook_secret s WHERE s.webhook = w.id) THEN
            old := await.webhook_keys(0, w.url);       -- it had the one of its origin
            INSERT INTO await.webhook_secret (webhook, key) VALUES (w.id, old[1]);
        END IF;
    END IF;
    PERFORM await.replace_webhook_secret(coalesce(w.id, 0), key, p_overlap);
END $$;
CREATE FUNCTION await.run_maintenance(p_limit integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    most        int := least(greatest(coalesce(p_limit, 1000), 1), 10000);
    last_second bigint := (SELECT last_value FROM await.last_maintenance);
    this_second bigint := floor(extract(epoch FROM clock_timestamp()));
    in_block    boolean := await.in_transaction();
    handled     int;
BEGIN
    IF last_second = this_second OR in_block AND this_second - last_second BETWEEN 1 AND 4 THEN
        RETURN 0;
    END IF;
    IF in_block THEN
        most := least(most, 100);
    END IF;
    IF last_second > this_second + 1 THEN
        PERFORM await.clock_was_ahead(clock_timestamp());
    END IF;
    PERFORM setval('await.last_maintenance', this_second);
    IF NOT in_block THEN
        PERFORM await.need_partitions(), await.settle();
    END IF;
    handled := await.reap(most) + await.visit_batches(most) + await.visit_held(most);
    IF NOT in_block AND EXISTS (SELECT FROM await.queue q WHERE q.rated) THEN
        PERFORM await.count_events(p_most => 20000);
    END IF;
    IF handled >= most THEN
        PERFORM setval('await.last_maintenance', 0); -- there is more
    END IF;
    PERFORM await.purge_expired(most * 10);
    RETURN handled;
END $$;
CREATE FUNCTION await.running(p_queue integer, p_lane bigint, p_owner text, p_most integer, p_sure boolean, OUT n integer, OUT origin bigint) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    mark bigint := coalesce((SELECT m.pos FROM await.low_water m WHERE m.lane = -p_queue ORDER BY m.pos DESC
        LIMIT 1), 0);
BEGIN
    IF p_owner IS NULL THEN
        SELECT count(*) INTO n FROM (
            SELECT FROM await.lease l WHERE l.queue = p_queue AND l.no >= mark ORDER BY l.no LIMIT p_most) x;
    ELSIF p_sure THEN
        SELECT count(*), max(x.origin) FILTER (WHERE x.lane = p_lane) INTO n, origin FROM (
            SELECT l.lane, l.origin FROM await.lease l WHERE l.queue = p_queue AND l.owner = p_owner AND l.no >= mark
            ORDER BY l.no LIMIT p_most FOR KEY SHARE SKIP LOCKED) x;
    ELSE
        SELECT count(*), max(x.origin) FILTER (WHERE x.lane = p_lane) INTO n, origin FROM (
            SELECT l.lane, l.origin FROM await.lease l WHERE l.queue = p_queue AND l.owner = p_owner AND l.no >= mark
            ORDER BY l.no LIMIT p_most) x;
    END IF;
END $$;
CREATE FUNCTION await.sees_all() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT pg_has_role(session_user, (SELECT s.nspowner FROM pg_namespace s WHERE s.nspname = 'await'), 'MEMBER')
        OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname IN ('await_edge', 'await_relay') AND pg_has_role(session_user, r.oid, 'MEMBER'))
$$;
CREATE FUNCTION await.set_queue(queue text, settings jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    in_queue int4;
    wrong    text;
    q        await.queue;
BEGIN
    IF settings IS NULL OR jsonb_typeof(settings) <> 'object' THEN
        RAISE EXCEPTION 'the settings of await.set_queue are a JSON object' USING ERRCODE = '22023';
    END IF;
    SELECT string_agg(left(k, 80), ', ') INTO wrong FROM (SELECT k FROM jsonb_object_keys(settings) k
        WHERE k NOT IN ('max_running', 'max_running_per_owner', 'fair') LIMIT 10) u;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'await.set_queue has no setting %', wrong USING ERRCODE = '22023';
    END IF;
    in_queue := await.queue_id(set_queue.queue, true);
    UPDATE await.queue k SET named = true,
        max_running = CASE WHEN settings ? 'max_running'
            THEN await.limit_of(settings, 'max_running', 1000000) ELSE k.max_running END,
        max_running_per_owner = CASE WHEN settings ? 'max_running_per_owner'
            THEN await.limit_of(settings, 'max_running_per_owner', 1000000) ELSE k.max_running_per_owner END,
        fair = CASE WHEN settings ? 'fair' THEN await.limit_of(settings, 'fair', 1000) ELSE k.fair END
        WHERE k.id = in_queue RETURNING * INTO q;
    IF q.managed THEN                        -- those that run already count
        UPDATE await.lease l SET queue = in_queue, lane = await.lane(j.queue, j.priority), owner = j.owner,
            no = nextval('await.pos')
            FROM await.job j WHERE l.queue IS NULL AND j.class = await.class(l.job) AND j.id = l.job
                AND j.queue = in_queue;
    END IF;
    PERFORM await.admit_all(in_queue);
    IF await.notifies() THEN
        PERFORM await.notify_work(ARRAY[set_queue.queue]);
    END IF;
END $$;
CREATE FUNCTION await.settle() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NOT await.notice_restore() AND EXISTS (SELECT FROM await.home h WHERE h.foreign_rows) THEN
        PERFORM FROM await.turn t WHERE t.what = 'purge' FOR UPDATE SKIP LOCKED;
        IF FOUND THEN
            PERFORM await.settle_rows(2000);
        END IF;
    END IF;
END $$;
CREATE FUNCTION await.settle_rows(p_limit integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
DECLARE
    foreign_upto bigint := (SELECT h.floor FROM await.home h);
    given        xid8 := pg_current_xact_id();  -- this server has not given higher ones to what was committed before
    events       int;
    jobs         int;
BEGIN
    UPDATE await.event e SET xid = '3' FROM (
            SELECT o.class, o.job, o.seq FROM await.event o WHERE o.xid > given AND o.eid <= foreign_upto LIMIT p_limit FOR UPDATE SKIP LOCKED) k
        WHERE e.class = k.class AND e.job = k.job AND e.seq = k.seq;
    GET DIAGNOSTICS events = ROW_COUNT;
    UPDATE await.job j SET xid = '3' FROM (
            SELECT o.class, o.id FROM await.job o WHERE o.owner IS NOT NULL AND o.xid > given AND o.eid <= foreign_upto
            LIMIT p_limit FOR UPDATE SKIP LOCKED) k
        WHERE j.class = k.class AND j.id = k.id;
    GET DIAGNOSTICS jobs = ROW_COUNT;
    IF events + jobs = 0 THEN
        UPDATE await.home h SET foreign_rows = false WHERE h.foreign_rows;
    END IF;
    RETURN events + jobs;
END $$;
CREATE FUNCTION await.shard(id uuid) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT 'await:' || ((get_byte(uuid_send(id), 14) & 15) << 8 | get_byte(uuid_send(id), 15)) $$;
CREATE FUNCTION await.share_batch(b await.job) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    FOR i IN 0 .. 20 LOOP
        PERFORM FROM await.job j WHERE j.class = b.class AND j.id = b.id FOR SHARE SKIP LOCKED;
        IF FOUND THEN
            RETURN true;
        ELSIF NOT EXISTS (SELECT FROM await.job j WHERE j.class = b.class AND j.id = b.id) THEN
            RETURN false;
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RAISE EXCEPTION 'batch % is locked by a transaction that does not end', b.id
        USING ERRCODE = '55P03', CONSTRAINT = 'job_pkey';
END $$;
CREATE FUNCTION await.sign(message text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    RETURN (SELECT await.base64url(sha256(s.outer_pad || sha256(s.inner_pad || convert_to(message, 'UTF8')))) FROM await.secret s);
END $$;
CREATE FUNCTION await.slot_freed(p_queue integer, p_lane bigint, p_owner text, p_origin bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    q     await.queue;
    lane  bigint;
    moved int := 0;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.id = p_queue;
    IF q.max_running_per_owner IS NOT NULL AND p_owner IS NOT NULL THEN
        FOR lane IN SELECT m.lane FROM await.lane_in_use m WHERE m.lane >> 8 = p_queue ORDER BY m.lane LOOP
            moved := moved + await.admit_held(q, lane, p_owner, CASE WHEN lane = p_lane THEN p_origin ELSE 0 END);
        END LOOP;
    END IF;
    IF moved = 0 AND q.max_running IS NOT NULL AND await.notifies() THEN
        PERFORM await.notify_lanes(ARRAY[p_lane]);
    END IF;
END $$;
CREATE FUNCTION await.sort_queue(queue text, after bigint DEFAULT 0, p_limit integer DEFAULT 5000) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    q    await.queue;
    r    record;
    most int;                                -- of an owner in a lane
    last bigint;
    upto CONSTANT bigint := (SELECT s.last_value FROM await.pos s);
    n    int := 0;
BEGIN
    SELECT * INTO q FROM await.queue k WHERE k.name = sort_queue.queue;
    most := least(q.fair, q.max_running_per_owner, 1000);
    IF NOT FOUND OR q.fair IS NULL AND q.max_running_per_owner IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM await.reserve_positions();
    FOR r IN SELECT y.lane, y.pos, y.job, y.attempt, y.owner AS named, y.origin, y.mark, j.owner FROM (
                 SELECT x.*, m.mark FROM (
                     SELECT u.lane, coalesce((SELECT w.pos FROM await.low_water w WHERE w.lane = u.lane
                         ORDER BY w.pos DESC LIMIT 1), 0) AS mark
                     FROM await.lane_in_use u WHERE u.lane >> 8 = q.id) m
                 CROSS JOIN LATERAL (
                     SELECT o.* FROM await.ready o WHERE o.lane = m.lane AND o.pos > after AND o.pos >= m.mark
                         AND o.pos <= upto
                     ORDER BY o.pos LIMIT least(p_limit, 100000) FOR UPDATE SKIP LOCKED) x
                 ORDER BY x.pos LIMIT least(p_limit, 100000)) y
             LEFT JOIN await.job j ON j.class = await.class(y.job) AND j.id = y.job ORDER BY y.pos LOOP
        n := n + 1;
        last := r.pos;
        CONTINUE WHEN r.owner IS NULL;
        IF (SELECT count(*) FROM (SELECT FROM await.ready y WHERE y.lane = r.lane AND y.owner = r.owner
                AND y.pos >= r.mark AND y.pos < r.pos LIMIT most) x) >= most THEN
            DELETE FROM await.ready y WHERE y.lane = r.lane AND y.pos = r.pos;
            PERFORM await.hold_job(r.lane, r.owner, coalesce(r.origin, r.pos), r.job, r.attempt);
        ELSIF r.named IS NULL THEN           -- the row is written anew, as rows are never updated
            DELETE FROM await.ready y WHERE y.lane = r.lane AND y.pos = r.pos;
            INSERT INTO await.ready (lane, pos, job, attempt, owner, origin)
                VALUES (r.lane, r.pos, r.job, r.attempt, r.owner, r.pos);
        END IF;
    END LOOP;
    RETURN CASE WHEN n = least(p_limit, 100000) THEN last END;
END $$;
CREATE FUNCTION await.stand_in_line(q await.queue, p_lane bigint, p_owner text, p_job uuid, p_attempt smallint) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    place bigint := nextval('await.pos');
    most  int;
    after bigint;
BEGIN
    IF p_owner IS NOT NULL AND (q.fair IS NOT NULL OR q.max_running_per_owner IS NOT NULL) THEN
        SELECT r.room, r.origin INTO most, after FROM await.owner_room(q, p_lane, p_owner, false) r;
        -- without any that is ready or runs, none can be held: whoever took the last of them has seen to that
        IF most <= 0 OR after > 0 AND EXISTS (SELECT FROM await.held h WHERE h.lane = p_lane AND h.owner = p_owner AND h.pos > after) THEN
            PERFORM await.hold_job(p_lane, p_owner, place, p_job, p_attempt);
            RETURN;
        END IF;
    END IF;
    INSERT INTO await.ready (lane, pos, job, attempt, owner, origin) VALUES (p_lane, place, p_job, p_attempt, p_owner, place);
END $$;
CREATE FUNCTION await.store_chunks(p_job uuid, p_kind "char", p_attempt smallint, p_body bytea) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO await.chunk (class, job, kind, attempt, n, pos, bytes)
    SELECT await.class(p_job), p_job, p_kind, p_attempt, n, n * 262144::bigint, substr(p_body, n * 262144 + 1, 262144)
    FROM generate_series(0, (length(p_body) - 1) / 262144) n
$$;
CREATE FUNCTION await.stored_payload(p_job uuid, p_offset bigint DEFAULT 0, p_length integer DEFAULT 268435456) RETURNS bytea
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(string_agg(CASE WHEN c.pos >= p_offset AND c.pos + length(c.bytes) <= p_offset + p_length THEN c.bytes
               ELSE substr(c.bytes, greatest(p_offset - c.pos, 0)::int + 1,
                           least(p_offset + p_length - c.pos, 16777216)::int - greatest(p_offset - c.pos, 0)::int) END,
               '' ORDER BY c.n), '')
    FROM await.chunk c
    WHERE c.class = await.class(p_job) AND c.job = p_job AND c.kind = 'p' AND c.attempt = 0 AND c.pos < p_offset + p_length
      AND c.pos >= (SELECT max(f.pos) FROM await.chunk f WHERE f.class = await.class(p_job) AND f.job = p_job
                    AND f.kind = 'p' AND f.attempt = 0 AND f.pos <= p_offset)
$$;
CREATE FUNCTION await.submit(queue text, payload bytea, content_type text DEFAULT 'application/octet-stream'::text, options jsonb DEFAULT '{}'::jsonb, key text DEFAULT NULL::text, keep_key interval DEFAULT NULL::interval) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $_$
DECLARE
    o        jsonb := coalesce(options, '{}');
    type     text  := coalesce(content_type, 'application/octet-stream');
    body     bytea := coalesce(payload, '');
    class    int2;
    missing  boolean;                        -- the partition of now
    new_id   uuid;
    first_id uuid;
    in_queue int4;
    prio     int2 := 0;
    attempts int2;
    lease    interval;
    due      timestamptz;
    deadline timestamptz;
    owner    text;
    webhook  jsonb;
    b        await.job;                      -- the batch
BEGIN
    -- before any option is read; an object that is short and has only known names needs no further check
    IF o <> '{}' AND NOT (CASE WHEN jsonb_typeof(o) = 'object' THEN await.is_short(o) AND o - '{priority,owner,correlation_id,trace,file_name,params,
            lease,max_attempts,delay,deadline,retain,batch,phase,webhook,webhook_on}'::text[] = '{}' ELSE false END) THEN
        PERFORM await.check_options(o);
    END IF;
    PERFORM await.check_content_type(type), await.check_file_name(o ->> 'file_name');
    IF EXISTS (SELECT FROM await.queue_grant) AND NOT await.may_queue(submit.queue) THEN
        RAISE EXCEPTION 'role % may not use queue %', quote_ident(session_user), quote_literal(left(submit.queue, 80)) USING ERRCODE = '42501', HINT = 'await-ctl grant';
    END IF;
    IF o <> '{}' THEN
        IF jsonb_path_exists(o - 'params', 'strict $.* ? (@.type() == "object" || @.type() == "array" || @.type() == "boolean")')
           OR o ->> 'correlation_id' ~ E'[\\x01-\\x1f\\x7f]' OR o ->> 'trace' ~ E'[\\x01-\\x1f\\x7f]' THEN
            PERFORM await.check_values(o - 'params');
        END IF;
        lease := await.option_span(o, 'lease', '1 second', '1 day');
        due := clock_timestamp() + await.option_span(o, 'delay', '0', '10 years');
        deadline := clock_timestamp() + await.option_span(o, 'deadline', '0', '10 years');
        attempts := await.option_number(o, 'max_attempts', 1, 1000);
        prio := coalesce(await.option_number(o, 'priority', -100, 100), 0);
        webhook := await.option_webhook(o);
    END IF;
    SELECT r.class, NOT await.has_partition('job', r.class, r.step, clock_timestamp()) INTO class, missing
        FROM await.retention r WHERE r.name = coalesce(o ->> 'retain', '7d');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'retain is one of the names in await.retention, not %', quote_literal(left(o ->> 'retain', 80)) USING ERRCODE = '22023';
    END IF;
    owner := o ->> 'owner';
    IF o ->> 'batch' IS NOT NULL THEN       -- its jobs are kept as long as the batch, and belong to its owner
        b := await.find_batch(await.option_uuid(o, 'batch'));
        IF o ->> 'retain' IS NOT NULL AND class <> b.class THEN
            RAISE EXCEPTION 'retain is that of the batch, not %', quote_literal(left(o ->> 'retain', 80))
                USING ERRCODE = '22023', HINT = 'leave it out';
        ELSIF owner <> b.owner OR owner IS NOT NULL AND b.owner IS NULL THEN
            RAISE EXCEPTION 'the owner is that of the batch, not %', quote_literal(left(owner, 80))
                USING ERRCODE = '22023', HINT = 'leave it out';
        END IF;
        class := b.class;
        owner := b.owner;
    ELSIF o ->> 'phase' IS NOT NULL THEN
        RAISE EXCEPTION 'a job has a phase only in a batch' USING ERRCODE = '22023';
    END IF;
    IF missing OR b.id IS NOT NULL THEN      -- the batch may be of another class
        PERFORM await.need_partitions(class);
    END IF;
    new_id := await.new_id(class);
    IF key IS NOT NULL THEN
        first_id := await.job_of_key(new_id, queue,
            CASE WHEN b.id IS NULL THEN o ELSE o || jsonb_build_object('owner', owner) END, key, keep_key, type, body);
        IF first_id <> new_id THEN
            RETURN first_id;                 -- even if the batch has ended since
        END IF;
    END IF;
    IF b.id IS NOT NULL THEN
        PERFORM await.hold_batch(b, ARRAY[o ->> 'phase']);
    END IF;
    in_queue := await.queue_id(submit.queue);
    PERFORM await.note_use(in_queue, class);
    INSERT INTO await.job (class, id, queue, priority, owner, batch, phase, correlation_id, trace, content_type, file_name,
                           params, payload, payload_size, lease, max_attempts, due, deadline, webhook)
    VALUES (class, new_id, in_queue, prio, owner, b.id, o ->> 'phase', coalesce(o ->> 'correlation_id', b.correlation_id),
            coalesce(o ->> 'trace', b.trace), type, o ->> 'file_name', o -> 'params',
            CASE WHEN length(body) <= 65536 THEN body END, length(body),
            lease, attempts, due, deadline, webhook);
    IF length(body) > 65536 THEN
        PERFORM await.store_chunks(new_id, 'p', 0::int2, body);
    END IF;
    IF deadline IS NOT NULL THEN
        INSERT INTO await.deadline (at, job) VALUES (deadline, new_id);
    END IF;
    PERFORM await.enqueue(new_id, in_queue, prio, 1::int2, due);
    IF b.id IS NOT NULL THEN
        PERFORM await.add_to_batch(b.id, ARRAY[new_id], ARRAY[o ->> 'phase']);
    END IF;
    IF owner IS NOT NULL AND await.notifies() THEN
        PERFORM await.notify_work(NULL, ARRAY[owner]);
    END IF;
    RETURN new_id;
END $_$;
CREATE FUNCTION await.submit_messages(p_queue text, p_payloads bytea[], p_types text[], p_options jsonb[], p_keys text[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $_$
DECLARE
    v_n     CONSTANT int := cardinality(p_payloads);
    v_keep  CONSTANT interval := '30 days';
    v_plain boolean;
    v_class int2;
    v_clash record;
BEGIN
    SELECT coalesce(bool_and(coalesce(length(m.payload) <= 65536 AND length(m.key) BETWEEN 1 AND 255 AND (m.o = '{}' OR
        CASE WHEN jsonb_typeof(m.o) = 'object' THEN await.is_short(m.o)
            AND m.o - '{priority,owner,correlation_id,trace,params}'::text[] = '{}'
            AND NOT jsonb_path_exists(m.o - 'params', 'strict $.* ? (@.type() != "string")')
            AND (m.o - 'params')::text !~ E'\\\\'
            AND coalesce(m.o ->> 'priority', '0') ~ '^-?[0-9]{1,2}$' END), false)), false)
    INTO v_plain FROM unnest(p_payloads, p_options, p_keys) m (payload, o, key);
    IF v_plain IS NOT TRUE THEN
        RETURN (SELECT count(await.submit(p_queue, m.payload, m.type, m.o, m.key, v_keep))
                FROM unnest(p_payloads, p_types, p_options, p_keys) m (payload, type, o, key));
    END IF;
    PERFORM await.check_content_type(m.type) FROM (SELECT DISTINCT t AS type FROM unnest(p_types) t) m;
    IF EXISTS (SELECT FROM await.queue_grant) AND NOT await.may_queue(p_queue) THEN
        RAISE EXCEPTION 'role % may not use queue %', quote_ident(session_user), quote_literal(left(p_queue, 80))
            USING ERRCODE = '42501', HINT = 'await-ctl grant';
    END IF;
    SELECT r.class INTO v_class FROM await.retention r WHERE r.name = '7d';
    -- the key and the fingerprint are those of await.submit()
    SELECT m.key, s.id INTO v_clash
    FROM (SELECT array_agg(await.new_id(v_class)) AS ids,
              array_agg(coalesce(m.o ->> 'priority', '0')::int2 ORDER BY m.n) AS priorities,
              array_agg(m.o ->> 'owner' ORDER BY m.n) AS owners,
              array_agg(m.o ->> 'correlation_id' ORDER BY m.n) AS correlations,
              array_agg(m.o ->> 'trace' ORDER BY m.n) AS traces, array_agg(m.o ->> 'params' ORDER BY m.n) AS params,
              array_agg(length(m.payload)::int8 ORDER BY m.n) AS sizes, array_agg(chr(1) || m.key ORDER BY m.n) AS keys,
              array_agg(sha256(sha256(m.payload)
                  || convert_to(concat(octet_length(m.type), ':', m.type, '-',
                         coalesce(octet_length(m.o ->> 'params') || ':' || (m.o ->> 'params'), '-')), 'UTF8'))
                  ORDER BY m.n) AS prints
          FROM unnest(p_payloads, p_types, p_options, p_keys) WITH ORDINALITY m (payload, type, o, key, n)) a,
        LATERAL await.edge_submit_once(a.ids, array_fill(p_queue, ARRAY[v_n]), a.priorities, a.owners, a.correlations,
            a.traces, p_types, array_fill(NULL::text, ARRAY[v_n]), a.params, p_payloads, a.sizes,
            array_fill(NULL::int8, ARRAY[v_n]), array_fill(NULL::int2, ARRAY[v_n]), array_fill(NULL::int8, ARRAY[v_n]),
            array_fill(NULL::int8, ARRAY[v_n]), a.keys, a.prints,
            array_fill((extract(epoch FROM v_keep) * 1000)::int8, ARRAY[v_n]))
            WITH ORDINALITY s (id, created_at, clash, n)
        JOIN unnest(p_keys) WITH ORDINALITY m (key, n) ON m.n = s.n
    WHERE s.clash LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the key % was already used in queue % with a different job',
            quote_literal(left(v_clash.key, 80)), quote_literal(p_queue) USING ERRCODE = '23505', DETAIL = format('It stands for job %s.', v_clash.id);
    END IF;
    RETURN v_n;
END $_$;
CREATE FUNCTION await.take_keys(p_ids uuid[], p_queues text[], p_owners text[], p_keys text[], p_fingerprints bytea[], p_keeps bigint[]) RETURNS TABLE(ord integer, id uuid, clash boolean)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    now_at timestamptz := clock_timestamp();
BEGIN
    -- In one order, and each key once, so that two calls never wait for each other. A key is not kept longer than its job:
    -- this statement cannot check that the job exists, because it would not see one that was committed a moment ago.
    INSERT INTO await.idem AS i (owner, queue, key, fingerprint, job, until)
    SELECT DISTINCT ON (coalesce(g.owner, ''), g.queue, g.key) coalesce(g.owner, ''), g.queue, g.key, g.fingerprint, g.id,
           now_at + least(g.keep * interval '1 ms', r.keep)
    FROM unnest(p_ids, p_queues, p_owners, p_keys, p_fingerprints, p_keeps) WITH ORDINALITY g (id, queue, owner, key, fingerprint, keep, ord)
    JOIN await.retention r ON r.class = await.class(g.id)
    WHERE g.key IS NOT NULL
    ORDER BY coalesce(g.owner, ''), g.queue, g.key, g.ord
    ON CONFLICT (owner, queue, key) DO UPDATE SET fingerprint = excluded.fingerprint, job = excluded.job, until = excluded.until
        WHERE i.until <= now_at;
    -- a statement of its own, so that it sees what others committed while the first one waited
    RETURN QUERY
    SELECT g.ord::int, coalesce(i.job, g.id), coalesce(i.fingerprint <> g.fingerprint, false)
    FROM unnest(p_ids, p_queues, p_owners, p_keys, p_fingerprints) WITH ORDINALITY g (id, queue, owner, key, fingerprint, ord)
    LEFT JOIN await.idem i ON i.owner = coalesce(g.owner, '') AND i.queue = g.queue AND i.key = g.key
    ORDER BY g.ord;
END $$;
CREATE FUNCTION await.take_turn(p_queue integer) RETURNS boolean
    LANGUAGE plpgsql
    SET lock_timeout TO '200ms'
    AS $$
BEGIN
    PERFORM FROM await.queue q WHERE q.id = p_queue FOR NO KEY UPDATE;
    RETURN FOUND;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;
CREATE FUNCTION await.tell_batch(p_batch uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    now_at timestamptz := clock_timestamp();
    l      await.batch_live;
    h      await.job_head;
    totals jsonb;
BEGIN
    SELECT * INTO l FROM await.batch_live b WHERE b.batch = p_batch;
    IF NOT FOUND OR now_at < l.told + l.pause AND now_at >= l.told THEN
        RETURN;
    END IF;
    h := await.lock_job(p_batch, true);
    IF h.id IS NULL OR h.ended THEN
        RETURN;
    END IF;
    totals := await.batch_totals(p_batch);
    PERFORM await.append_event(h, 'progress', 'processing', totals);
    l.pause := await.batch_pause(p_batch, (totals ->> 'total')::int);
    UPDATE await.batch_live b
        SET told = now_at, pause = l.pause, visit = now_at + l.pause, total = (totals ->> 'total')::int
        WHERE b.batch = p_batch;
END $$;
CREATE FUNCTION await.tick(p_limit integer DEFAULT 100) RETURNS integer
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ SELECT await.run_maintenance(p_limit) $$;
CREATE FUNCTION await.timeline() RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN (
        SELECT concat_ws('.', s.system_identifier, w.number, d.oid, nullif(coalesce(b.name, '?'), ''))
        FROM pg_control_system() s
        CROSS JOIN (SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8) AS number) w
        JOIN pg_database d ON d.datname = current_database()
        LEFT JOIN await.branch b ON b.system = s.system_identifier AND b.number = w.number AND b.relation = 'await.branch'::regclass);
END $$;
CREATE FUNCTION await.topic_id(name text) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT encode(set_byte(set_byte(b, 6, (get_byte(b, 6) & 15) | 128), 8, (get_byte(b, 8) & 63) | 128), 'hex')::uuid
    FROM (SELECT E'\\xffffffffffff'::bytea || substring(sha256(convert_to('topic:' || name, 'UTF8')) FROM 1 FOR 10)) s (b)
$$;
CREATE FUNCTION await.user_hint(p_owner text) RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT format('1 %s 0 user', await.user_id(p_owner)) $$;
CREATE FUNCTION await.user_id(name text) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT encode(set_byte(set_byte(b, 6, (get_byte(b, 6) & 15) | 128), 8, (get_byte(b, 8) & 63) | 128), 'hex')::uuid
    FROM (SELECT E'\\xfffffffeffff'::bytea || substring(sha256(convert_to('user:' || name, 'UTF8')) FROM 1 FOR 10)) s (b)
$$;
CREATE FUNCTION await.user_walk(p_owner text, p_since pg_snapshot, p_upto pg_snapshot, p_after bigint, p_limit integer, p_value_max integer) RETURNS TABLE(eid bigint, class smallint, job uuid, seq integer, weight bigint)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
DECLARE
    v_few   CONSTANT int := 50;  -- one would do; the best of several narrows the range more
    v_floor CONSTANT int8 := (SELECT h.floor FROM await.home h); -- rows up to it are seen by every snapshot
    v_from  int8;                -- what is wanted has a higher eid, unless p_since lists its transaction as running,
    v_until int8;                -- and a lower eid than this
BEGIN
    SELECT greatest(p_after, v_floor, coalesce(max(u.eid), 0)) INTO v_from FROM ( -- a snapshot that is not whole gives no bound
        (SELECT e.eid, e.xid FROM await.event e WHERE e.owner = p_owner AND e.xid < pg_snapshot_xmax(p_since)
         ORDER BY e.xid DESC, e.eid DESC LIMIT v_few)
        UNION ALL
        (SELECT j.eid, j.xid FROM await.job j WHERE j.owner = p_owner AND j.xid < pg_snapshot_xmax(p_since)
         ORDER BY j.xid DESC, j.eid DESC LIMIT v_few)
    ) u WHERE await.is_whole_snapshot(p_since) AND pg_visible_in_snapshot(u.xid, p_since);
    SELECT coalesce(min(u.eid), 9223372036854775807) INTO v_until FROM (
        (SELECT e.eid FROM await.event e WHERE e.owner = p_owner AND e.xid >= pg_snapshot_xmax(p_upto) AND e.eid > v_floor ORDER BY e.xid, e.eid LIMIT v_few)
        UNION ALL
        (SELECT j.eid FROM await.job j WHERE j.owner = p_owner AND j.xid >= pg_snapshot_xmax(p_upto) AND j.eid > v_floor ORDER BY j.xid, j.eid LIMIT v_few)
    ) u WHERE await.is_whole_snapshot(p_upto);
    RETURN QUERY
    SELECT u.eid, u.class, u.job, u.seq, u.weight FROM (
        (SELECT e.eid, e.class, e.job, e.seq, coalesce(pg_column_size(e.data), 0) + CASE WHEN e.size <= p_value_max THEN e.size ELSE 0 END AS weight FROM await.event e
         WHERE e.owner = p_owner AND e.eid > v_from AND e.eid < v_until AND e.job < 'ffffffff-0000-0000-0000-000000000000'
           AND NOT pg_visible_in_snapshot(e.xid, p_since) AND pg_visible_in_snapshot(e.xid, p_upto)
         ORDER BY e.eid LIMIT p_limit)
        UNION ALL
        (SELECT j.eid, j.class, j.id, 1, 0 FROM await.job j
         WHERE j.owner = p_owner AND j.eid > v_from AND j.eid < v_until AND j.id < 'ffffffff-0000-0000-0000-000000000000'
           AND NOT pg_visible_in_snapshot(j.xid, p_since) AND pg_visible_in_snapshot(j.xid, p_upto)
         ORDER BY j.eid LIMIT p_limit)
        UNION ALL -- transactions that were running may have drawn their eids long before
        SELECT w.* FROM pg_snapshot_xip(p_since) x (xid), LATERAL (
            SELECT e.eid, e.class, e.job, e.seq, coalesce(pg_column_size(e.data), 0) + CASE WHEN e.size <= p_value_max THEN e.size ELSE 0 END FROM await.event e
            WHERE e.owner = p_owner AND (e.xid, e.eid) > (x.xid, greatest(p_after, v_floor)) AND (e.xid, e.eid) <= (x.xid, v_from) AND e.job < 'ffffffff-0000-0000-0000-000000000000'
              AND pg_visible_in_snapshot(e.xid, p_upto)
            ORDER BY e.xid, e.eid LIMIT p_limit) w
        UNION ALL
        SELECT w.* FROM pg_snapshot_xip(p_since) x (xid), LATERAL (
            SELECT j.eid, j.class, j.id, 1, 0::int8 FROM await.job j
            WHERE j.owner = p_owner AND (j.xid, j.eid) > (x.xid, greatest(p_after, v_floor)) AND (j.xid, j.eid) <= (x.xid, v_from) AND j.id < 'ffffffff-0000-0000-0000-000000000000'
              AND pg_visible_in_snapshot(j.xid, p_upto)
            ORDER BY j.xid, j.eid LIMIT p_limit) w
    ) u ORDER BY u.eid LIMIT p_limit;
END $$;
CREATE FUNCTION await.utc(at timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT to_char(CASE WHEN isfinite(at) THEN at WHEN at > 'epoch' THEN '9999-12-31 23:59:59.999+00'
                        WHEN at < 'epoch' THEN '0001-01-01 00:00:00+00' END AT TIME ZONE 'UTC',
                   'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
CREATE FUNCTION await.visit_batch(p_batch uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    now_at timestamptz := clock_timestamp();
    h      await.job_head := await.lock_job(p_batch, true);
    l      await.batch_live;
BEGIN
    SELECT * INTO l FROM await.batch_live b WHERE b.batch = p_batch;
    IF h.id IS NULL OR l.batch IS NULL OR now_at < l.visit AND now_at > l.visit - interval '2 minutes' THEN
        RETURN;
    END IF;
    IF await.batch_totals(p_batch) IS DISTINCT FROM (SELECT e.data FROM await.event e
            WHERE e.class = await.class(p_batch) AND e.job = p_batch AND e.type = 'progress'
            ORDER BY e.seq DESC LIMIT 1) THEN
        UPDATE await.batch_live b SET pause = interval '0' WHERE b.batch = p_batch;
        PERFORM await.tell_batch(p_batch);
    ELSE
        UPDATE await.batch_live b
            SET visit = now_at + greatest(l.pause, least((now_at - l.told) / 10, interval '1 minute'))
            WHERE b.batch = p_batch;
    END IF;
END $$;
CREATE FUNCTION await.visit_batches(p_limit integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET lock_timeout TO '200ms'
    AS $$
DECLARE
    -- not from the beginning each time: while somebody holds an old snapshot, the rows of before are still there
    since  timestamptz := CASE WHEN random() < 0.02 THEN '-infinity' ELSE clock_timestamp() - interval '10 minutes' END;
    now_at timestamptz := clock_timestamp();
    one    record;
    n      int := 0;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN 0;                            -- it would not see what is there
    END IF;
    FOR one IN SELECT t.at, t.batch FROM await.batch_todo t WHERE t.at > since ORDER BY t.at, t.batch LIMIT p_limit LOOP
        EXIT WHEN n >= p_limit;
        BEGIN
            n := n + await.do_for_batch(one.at, one.batch, p_limit - n);
        EXCEPTION WHEN lock_not_available OR serialization_failure OR deadlock_detected OR unique_violation THEN
            NULL;                            -- in the next call
        END;
    END LOOP;
    FOR one IN SELECT b.batch FROM await.batch_live b
               WHERE b.visit <= now_at AND b.visit > since ORDER BY b.visit LIMIT p_limit LOOP
        BEGIN
            PERFORM await.visit_batch(one.batch);
        EXCEPTION WHEN lock_not_available OR serialization_failure OR deadlock_detected OR unique_violation THEN
            NULL;
        END;
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;
CREATE FUNCTION await.visit_held(p_limit integer) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    low     bigint := (SELECT s.last_value FROM await.held_notes s);
    safe    bigint;
    q       await.queue;
    k       record;
    late    record;
    upto    bigint;
    visited int := 0;
BEGIN
    IF NOT EXISTS (SELECT FROM await.held_note n WHERE n.id >= low) THEN
        RETURN 0;
    END IF;
    SELECT s.last_value INTO safe FROM await.horizon s;
    FOR k IN SELECT n.* FROM await.held_note n WHERE n.id >= low ORDER BY n.id LIMIT p_limit FOR UPDATE SKIP LOCKED LOOP
        DELETE FROM await.held_note n WHERE n.id = k.id;
        visited := visited + 1;
        SELECT * INTO q FROM await.queue u WHERE u.id = k.lane >> 8;
        CONTINUE WHEN NOT FOUND;
        SELECT r.origin INTO upto FROM await.owner_room(q, k.lane, k.owner, false) r;
        FOR late IN DELETE FROM await.held h WHERE h.ctid = ANY (ARRAY(
                SELECT o.ctid FROM await.held o WHERE o.lane = k.lane AND o.owner = k.owner AND o.pos >= k.pos
                    AND o.pos < upto
                FOR UPDATE SKIP LOCKED)) RETURNING h.* LOOP
            PERFORM await.reserve_positions();
            PERFORM await.hold_job(k.lane, k.owner, nextval('await.pos'), late.job, late.attempt);
        END LOOP;
        PERFORM await.admit_held(q, k.lane, k.owner, 0, true);
    END LOOP;
    PERFORM setval('await.held_notes', greatest(low, least((SELECT min(n.id) FROM await.held_note n
        WHERE n.id >= low), safe)));
    RETURN visited;
END $$;
CREATE FUNCTION await.waiting(h await.job_head, p_due timestamp with time zone, p_error jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    SELECT jsonb_build_object('retry_at', to_char(p_due AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
               'max_attempts', coalesce(h.max_attempts, (SELECT q.max_attempts FROM await.queue q WHERE q.id = h.queue)))
           || CASE WHEN p_error IS NULL THEN '{}' ELSE jsonb_build_object('error', p_error) END
$$;
CREATE FUNCTION await.webhook_host(p_url text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT substring(lower(p_url) FROM '^[a-z]+://([^/?#]*)') $$;
CREATE FUNCTION await.webhook_key(p_secret text) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
DECLARE
    key bytea;
BEGIN
    IF p_secret ~ '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$' THEN
        key := decode(substr(p_secret, 7), 'base64');
    END IF;
    IF key IS NULL OR length(key) NOT BETWEEN 24 AND 64 THEN
        RAISE EXCEPTION 'a secret is whsec_ and 24 to 64 bytes in base64' USING ERRCODE = '22023';
    END IF;
    RETURN key;
EXCEPTION WHEN invalid_parameter_value THEN   -- without the secret in the message
    RAISE EXCEPTION 'a secret is whsec_ and 24 to 64 bytes in base64' USING ERRCODE = '22023';
END $_$;
CREATE FUNCTION await.webhook_keys(p_webhook integer, p_url text) RETURNS bytea[]
    LANGUAGE plpgsql STABLE
    AS $_$
DECLARE
    keys   bytea[];
    origin text := regexp_replace(lower(substring(p_url FROM '^[A-Za-z]+://[^/?#]*')),
               '^(http(?=://.*:80$)|https(?=://.*:443$))(://.*):[0-9]+$', E'\\1\\2');
BEGIN
    IF p_webhook > 0 THEN
        SELECT array_agg(s.key ORDER BY s.until DESC NULLS FIRST) INTO keys FROM await.webhook_secret s
            WHERE s.webhook = p_webhook AND (s.until IS NULL OR s.until > clock_timestamp());
    END IF;
    IF keys IS NULL THEN
        SELECT array_agg(await.hmac(s.key, convert_to(origin, 'UTF8')) ORDER BY s.until DESC NULLS FIRST) INTO keys
            FROM await.webhook_secret s
            WHERE s.webhook = 0 AND (s.until IS NULL OR s.until > clock_timestamp());
    END IF;
    RETURN keys;
END $_$;
CREATE FUNCTION await.webhook_secret(p_endpoint text) RETURNS text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    w    await.webhook;
    keys bytea[];
BEGIN
    IF p_endpoint ~ '^[0-9]{1,9}$' THEN
        w := await.find_webhook(p_endpoint::int4);
        keys := await.webhook_keys(w.id, w.url);
    ELSE
        PERFORM await.check_webhook(p_endpoint, NULL);
        keys := await.webhook_keys(0, p_endpoint);
    END IF;
    RETURN ARRAY(SELECT 'whsec_' || translate(encode(k, 'base64'), E'\n', '') FROM unnest(keys) WITH ORDINALITY g (k, n)
        ORDER BY n);
END $_$;
CREATE FUNCTION await.webhook_wants(p_types text[], p_type text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE WHEN p_types IS NULL
        THEN p_type = 'batch.ready' OR p_type = ANY ('{completed,failed,cancelled,expired}'::text[])
        ELSE p_type = ANY (p_types) OR '*' = ANY (p_types) END
$$;
CREATE FUNCTION await.webhooks() RETURNS TABLE(id integer, url text, queue text, types text[], own_secret boolean, created_at timestamp with time zone, disabled_at timestamp with time zone, disabled_for text, delivered integer, waiting integer, dead integer)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT w.id, w.url, w.queue, w.types, EXISTS (SELECT FROM await.webhook_secret s WHERE s.webhook = w.id),
        w.created_at, w.disabled_at, w.disabled_for, c.delivered, c.waiting, c.dead
    FROM await.webhook w CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE e.state = 'delivered')::int AS delivered,
               count(*) FILTER (WHERE e.state IS NULL)::int AS waiting,
               count(*) FILTER (WHERE e.state = 'dead')::int AS dead
        FROM (SELECT d.id FROM await.delivery d WHERE d.webhook = w.id ORDER BY d.id DESC LIMIT 1000) d
        LEFT JOIN await.delivery_end e ON e.delivery = d.id) c
    ORDER BY w.id
$$;
CREATE FUNCTION await.whole_snapshot() RETURNS pg_snapshot
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    v_most CONSTANT int := 64;
    s      pg_snapshot := pg_current_snapshot();
    v_xmax int8 := pg_snapshot_xmax(s)::text::int8;
    v_next int8 := v_xmax;
BEGIN
    IF pg_current_xact_id_if_assigned() IS NOT NULL
        OR (v_xmax + v_most + 1) & x'ffffffff'::int8 < v_most + 4 THEN -- transaction numbers 0 to 2 are special
        RETURN s;
    END IF;
    BEGIN
        WHILE v_next <= v_xmax + v_most LOOP
            PERFORM pg_xact_status(v_next::text::xid8);
            v_next := v_next + 1;
        END LOOP;
        RETURN s;
    EXCEPTION WHEN invalid_parameter_value THEN -- v_next is not assigned yet
        RETURN format('%s:%s:%s', pg_snapshot_xmin(s), v_next + 1, concat_ws(',',
            (SELECT string_agg(x::text, ',' ORDER BY x::text::int8) FROM pg_snapshot_xip(s) x),
            (SELECT string_agg(x::text, ',' ORDER BY x) FROM generate_series(v_xmax, v_next) x)))::pg_snapshot;
    END;
END $$;
CREATE TABLE await.batch_added (
    batch uuid NOT NULL,
    phase text,
    jobs integer NOT NULL
);
CREATE TABLE await.batch_live (
    batch uuid NOT NULL,
    told timestamp with time zone NOT NULL,
    pause interval NOT NULL,
    visit timestamp with time zone NOT NULL,
    total integer DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE await.batch_loss (
    batch uuid NOT NULL,
    job uuid NOT NULL,
    phase text,
    state text NOT NULL
);
CREATE TABLE await.batch_open (
    batch uuid NOT NULL,
    job uuid NOT NULL,
    phase text
)
WITH (autovacuum_vacuum_threshold='2000', autovacuum_vacuum_scale_factor='0.02');
CREATE TABLE await.batch_stage (
    batch uuid NOT NULL,
    n integer NOT NULL,
    id uuid NOT NULL,
    queue text NOT NULL,
    phase text,
    priority smallint NOT NULL,
    content_type text NOT NULL,
    file_name text,
    params text,
    payload bytea,
    size bigint NOT NULL,
    lease bigint,
    delay bigint,
    deadline bigint,
    max_attempts smallint
)
WITH (autovacuum_vacuum_threshold='2000', autovacuum_vacuum_scale_factor='0.02');
ALTER TABLE ONLY await.batch_stage ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE TABLE await.batch_todo (
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    batch uuid NOT NULL
);
CREATE TABLE await.branch (
    system bigint NOT NULL,
    number text NOT NULL,
    relation oid NOT NULL,
    name text NOT NULL,
    since timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE await.chunk (
    class smallint NOT NULL,
    job uuid NOT NULL,
    kind "char" NOT NULL,
    attempt smallint NOT NULL,
    n integer NOT NULL,
    pos bigint NOT NULL,
    bytes bytea NOT NULL,
    CONSTRAINT chunk_kind_check CHECK ((kind = ANY (ARRAY['p'::"char", 'r'::"char"])))
)
PARTITION BY RANGE (class, job);
ALTER TABLE ONLY await.chunk ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE TABLE await.counted (
    one boolean DEFAULT true NOT NULL,
    upto pg_snapshot NOT NULL,
    at timestamp with time zone NOT NULL,
    system bigint NOT NULL,
    CONSTRAINT counted_one_check CHECK (one)
)
WITH (fillfactor='50');
CREATE TABLE await.deadline (
    at timestamp with time zone NOT NULL,
    job uuid NOT NULL
);
CREATE SEQUENCE await.deliveries_dead
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;
CREATE SEQUENCE await.deliveries_delivered
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;
CREATE SEQUENCE await.deliveries_failed
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;
CREATE TABLE await.delivery_attempt (
    delivery bigint NOT NULL,
    n integer NOT NULL,
    at timestamp with time zone NOT NULL,
    ms integer NOT NULL,
    status smallint,
    error text
);
CREATE TABLE await.delivery_due (
    job uuid NOT NULL,
    webhook integer NOT NULL,
    seq integer NOT NULL,
    delivery bigint NOT NULL,
    host text NOT NULL,
    due timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL
)
WITH (autovacuum_vacuum_threshold='2000', autovacuum_vacuum_scale_factor='0.02');
CREATE TABLE await.delivery_end (
    delivery bigint NOT NULL,
    state text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT delivery_end_state_check CHECK ((state = ANY (ARRAY['delivered'::text, 'dead'::text])))
);
CREATE TABLE await.delivery_host (
    host text NOT NULL
);
ALTER TABLE await.delivery ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME await.delivery_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE UNLOGGED TABLE await.edge_node (
    id uuid NOT NULL,
    name text NOT NULL,
    at timestamp with time zone NOT NULL,
    report jsonb NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE await.event_topic (
    class smallint NOT NULL,
    job uuid NOT NULL,
    seq integer NOT NULL,
    eid bigint DEFAULT 
CASE
    WHEN (pg_current_xact_id() IS NOT NULL) THEN nextval('await.eid'::regclass)
    ELSE NULL::bigint
END NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    owner text,
    type text NOT NULL,
    state text NOT NULL,
    attempt smallint NOT NULL,
    progress integer,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    data jsonb,
    event_id text,
    ending boolean DEFAULT false NOT NULL,
    status smallint,
    content_type text,
    file_name text,
    size bigint,
    body bytea,
    CONSTRAINT event_seq_check CHECK ((seq >= 2))
);
ALTER TABLE ONLY await.event_topic ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE await.function_set (
    one boolean DEFAULT true NOT NULL,
    hash text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    catalogue text,
    signatures text[],
    CONSTRAINT function_set_one_check CHECK (one)
);
CREATE TABLE await.held (
    lane bigint NOT NULL,
    owner text NOT NULL,
    pos bigint NOT NULL,
    job uuid NOT NULL,
    attempt smallint NOT NULL
)
WITH (autovacuum_vacuum_threshold='2000', autovacuum_vacuum_scale_factor='0.02');
CREATE TABLE await.held_note (
    id bigint DEFAULT nextval('await.pos'::regclass) NOT NULL,
    lane bigint NOT NULL,
    owner text NOT NULL,
    pos bigint NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL
)
WITH (autovacuum_vacuum_threshold='2000', autovacuum_vacuum_scale_factor='0.02');
CREATE SEQUENCE await.held_notes
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;
CREATE TABLE await.home (
    one boolean DEFAULT true NOT NULL,
    system bigint NOT NULL,
    database oid NOT NULL,
    floor bigint DEFAULT 0 NOT NULL,
    foreign_rows boolean DEFAULT false NOT NULL,
    CONSTRAINT home_one_check CHECK (one)
);
CREATE SEQUENCE await.horizon
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;
CREATE TABLE await.idem (
    owner text NOT NULL,
    queue text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    job uuid NOT NULL,
    until timestamp with time zone NOT NULL
)
WITH (autovacuum_vacuum_threshold='2000', autovacuum_vacuum_scale_factor='0.02');
CREATE TABLE await.job_topic (
    class smallint NOT NULL,
    id uuid NOT NULL,
    queue integer NOT NULL,
    priority smallint DEFAULT 0 NOT NULL,
    owner text,
    batch uuid,
    phase text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    eid bigint DEFAULT 
CASE
    WHEN (pg_current_xact_id() IS NOT NULL) THEN nextval('await.eid'::regclass)
    ELSE NULL::bigint
END NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    correlation_id text,
    trace text,
    content_type text DEFAULT 'application/octet-stream'::text NOT NULL,
    file_name text,
    params jsonb,
    payload bytea,
    payload_size bigint NOT NULL,
    lease interval,
    max_attempts smallint,
    due timestamp with time zone,
    deadline timestamp with time zone,
    retry_of uuid,
    extra jsonb,
    webhook jsonb,
    CONSTRAINT job_priority_check CHECK (((priority >= '-100'::integer) AND (priority <= 100)))
);
ALTER TABLE ONLY await.job_topic ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE TABLE await.lane_in_use (
    lane bigint NOT NULL
);
CREATE SEQUENCE await.last_advance
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;
CREATE SEQUENCE await.last_maintenance
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;
CREATE TABLE await.late_ending (
    class smallint NOT NULL,
    day date NOT NULL,
    ended date NOT NULL
);
CREATE TABLE await.lease (
    job uuid NOT NULL,
    attempt smallint NOT NULL,
    worker text,
    span interval NOT NULL,
    until timestamp with time zone NOT NULL,
    receipt text,
    queue integer,
    lane bigint,
    owner text,
    no bigint,
    origin bigint
)
WITH (autovacuum_vacuum_threshold='2000', autovacuum_vacuum_scale_factor='0.02');
CREATE TABLE await.limits (
    one boolean DEFAULT true NOT NULL,
    queues integer DEFAULT 10000 NOT NULL,
    topics integer DEFAULT 100000 NOT NULL,
    topic_keep interval DEFAULT '7 days'::interval NOT NULL,
    delivery_keep interval DEFAULT '7 days'::interval NOT NULL,
    CONSTRAINT limits_delivery_keep_check CHECK ((delivery_keep >= '01:00:00'::interval)),
    CONSTRAINT limits_one_check CHECK (one),
    CONSTRAINT limits_queues_check CHECK ((queues >= 0)),
    CONSTRAINT limits_topic_keep_check CHECK ((topic_keep >= '01:00:00'::interval)),
    CONSTRAINT limits_topics_check CHECK ((topics >= 0))
);
CREATE TABLE await.low_water (
    lane bigint NOT NULL,
    pos bigint NOT NULL,
    moved bigint DEFAULT 0 NOT NULL
)
WITH (autovacuum_vacuum_threshold='1000', autovacuum_vacuum_scale_factor='0.02');
CREATE TABLE await.old_secret (
    key bytea NOT NULL,
    until timestamp with time zone NOT NULL
);
CREATE TABLE await.queue_count (
    queue integer NOT NULL,
    completed bigint DEFAULT 0 NOT NULL,
    failed bigint DEFAULT 0 NOT NULL,
    cancelled bigint DEFAULT 0 NOT NULL,
    expired bigint DEFAULT 0 NOT NULL,
    retries bigint DEFAULT 0 NOT NULL,
    waits bigint[] NOT NULL,
    wait_sum double precision DEFAULT 0 NOT NULL,
    runs bigint[] NOT NULL,
    run_sum double precision DEFAULT 0 NOT NULL,
    totals bigint[] NOT NULL,
    total_sum double precision DEFAULT 0 NOT NULL,
    rate double precision DEFAULT 0 NOT NULL,
    rate_at timestamp with time zone
)
WITH (fillfactor='50');
CREATE TABLE await.queue_grant (
    role regrole NOT NULL,
    queue text NOT NULL,
    CONSTRAINT queue_grant_queue_check CHECK ((queue ~ '^([A-Za-z0-9_.*-]{1,64}|topic:[A-Za-z0-9_.:/*-]{1,128})?$'::text))
);
ALTER TABLE await.queue ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME await.queue_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
    CYCLE
);
CREATE TABLE await.queue_used (
    queue integer NOT NULL,
    class smallint NOT NULL,
    day date NOT NULL
);
CREATE SEQUENCE await.queues
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;
CREATE TABLE await.ready (
    lane bigint NOT NULL,
    pos bigint NOT NULL,
    job uuid NOT NULL,
    attempt smallint NOT NULL,
    owner text,
    origin bigint
)
WITH (autovacuum_vacuum_threshold='2000', autovacuum_vacuum_scale_factor='0.02');
CREATE TABLE await.relay_cursor (
    relay text NOT NULL,
    sink text NOT NULL,
    no bigint NOT NULL,
    cursor text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    delivered bigint DEFAULT 0 NOT NULL,
    failures bigint DEFAULT 0 NOT NULL,
    reason text,
    CONSTRAINT relay_cursor_sink_check CHECK ((sink ~ '^[A-Za-z0-9_.:-]{1,128}$'::text))
)
WITH (autovacuum_vacuum_threshold='1000', autovacuum_vacuum_scale_factor='0.02');
CREATE TABLE await.relay_leader (
    relay text NOT NULL,
    no bigint NOT NULL,
    token bigint NOT NULL,
    holder text NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    CONSTRAINT relay_leader_relay_check CHECK ((relay ~ '^[A-Za-z0-9_.-]{1,64}$'::text))
)
WITH (autovacuum_vacuum_threshold='1000', autovacuum_vacuum_scale_factor='0.02');
CREATE TABLE await.relay_sink (
    relay text NOT NULL,
    token bigint NOT NULL,
    sink text NOT NULL
);
CREATE TABLE await.retention (
    class smallint NOT NULL,
    name text NOT NULL,
    keep interval,
    step interval NOT NULL,
    ahead interval DEFAULT '7 days'::interval NOT NULL,
    CONSTRAINT retention_class_check CHECK (((class >= 0) AND (class <= 3)))
);
CREATE TABLE await.retried (
    class smallint NOT NULL,
    job uuid NOT NULL,
    retry uuid NOT NULL
);
CREATE TABLE await.revoked (
    owner text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE await.schema_history (
    version integer NOT NULL,
    name text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE await.secret (
    one boolean DEFAULT true NOT NULL,
    key bytea NOT NULL,
    inner_pad bytea NOT NULL,
    outer_pad bytea NOT NULL,
    CONSTRAINT secret_one_check CHECK (one)
);
CREATE TABLE await.swept (
    what text NOT NULL,
    class smallint NOT NULL,
    upto uuid NOT NULL
);
CREATE TABLE await.ticket_used (
    id uuid NOT NULL,
    until timestamp with time zone NOT NULL
)
WITH (autovacuum_vacuum_threshold='2000', autovacuum_vacuum_scale_factor='0.02');
CREATE SEQUENCE await.topic_floor
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;
CREATE SEQUENCE await.topics
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;
CREATE TABLE await.turn (
    what text NOT NULL
);
ALTER TABLE await.webhook ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME await.webhook_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE await.webhook_secret (
    webhook integer NOT NULL,
    key bytea NOT NULL,
    until timestamp with time zone,
    CONSTRAINT webhook_secret_key_check CHECK (((length(key) >= 24) AND (length(key) <= 64)))
);
ALTER TABLE ONLY await.event ATTACH PARTITION await.event_topic FOR VALUES FROM ('3', 'ffffffff-ffff-0000-0000-000000000000') TO ('3', 'ffffffff-ffff-ffff-ffff-ffffffffffff');
ALTER TABLE ONLY await.job ATTACH PARTITION await.job_topic FOR VALUES FROM ('3', 'ffffffff-ffff-0000-0000-000000000000') TO ('3', 'ffffffff-ffff-ffff-ffff-ffffffffffff');
ALTER TABLE ONLY await.batch_live
    ADD CONSTRAINT batch_live_pkey PRIMARY KEY (batch);
ALTER TABLE ONLY await.batch_loss
    ADD CONSTRAINT batch_loss_pkey PRIMARY KEY (batch, job);
ALTER TABLE ONLY await.batch_open
    ADD CONSTRAINT batch_open_pkey PRIMARY KEY (batch, job);
ALTER TABLE ONLY await.batch_stage
    ADD CONSTRAINT batch_stage_pkey PRIMARY KEY (batch, n);
ALTER TABLE ONLY await.branch
    ADD CONSTRAINT branch_pkey PRIMARY KEY (system, number, relation);
ALTER TABLE ONLY await.chunk
    ADD CONSTRAINT chunk_pkey PRIMARY KEY (class, job, kind, attempt, n);
ALTER TABLE ONLY await.counted
    ADD CONSTRAINT counted_pkey PRIMARY KEY (one);
ALTER TABLE ONLY await.deadline
    ADD CONSTRAINT deadline_pkey PRIMARY KEY (at, job);
ALTER TABLE ONLY await.delayed
    ADD CONSTRAINT delayed_pkey PRIMARY KEY (due, pos);
ALTER TABLE ONLY await.delivery_attempt
    ADD CONSTRAINT delivery_attempt_pkey PRIMARY KEY (delivery, n);
ALTER TABLE ONLY await.delivery_due
    ADD CONSTRAINT delivery_due_pkey PRIMARY KEY (job, webhook, seq);
ALTER TABLE ONLY await.delivery_end
    ADD CONSTRAINT delivery_end_pkey PRIMARY KEY (delivery);
ALTER TABLE ONLY await.delivery_host
    ADD CONSTRAINT delivery_host_pkey PRIMARY KEY (host);
ALTER TABLE ONLY await.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (id);
ALTER TABLE ONLY await.edge_node
    ADD CONSTRAINT edge_node_pkey PRIMARY KEY (id);
ALTER TABLE ONLY await.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (class, job, seq);
ALTER TABLE ONLY await.event_topic
    ADD CONSTRAINT event_topic_pkey PRIMARY KEY (class, job, seq);
ALTER TABLE ONLY await.function_set
    ADD CONSTRAINT function_set_pkey PRIMARY KEY (one);
ALTER TABLE ONLY await.held_note
    ADD CONSTRAINT held_note_pkey PRIMARY KEY (id);
ALTER TABLE ONLY await.held
    ADD CONSTRAINT held_pkey PRIMARY KEY (lane, owner, pos);
ALTER TABLE ONLY await.home
    ADD CONSTRAINT home_pkey PRIMARY KEY (one);
ALTER TABLE ONLY await.idem
    ADD CONSTRAINT idem_pkey PRIMARY KEY (owner, queue, key);
ALTER TABLE ONLY await.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (class, id);
ALTER TABLE ONLY await.job_topic
    ADD CONSTRAINT job_topic_pkey PRIMARY KEY (class, id);
ALTER TABLE ONLY await.lane_in_use
    ADD CONSTRAINT lane_in_use_pkey PRIMARY KEY (lane);
ALTER TABLE ONLY await.lease
    ADD CONSTRAINT lease_pkey PRIMARY KEY (job);
ALTER TABLE ONLY await.limits
    ADD CONSTRAINT limits_pkey PRIMARY KEY (one);
ALTER TABLE ONLY await.queue_count
    ADD CONSTRAINT queue_count_pkey PRIMARY KEY (queue);
ALTER TABLE ONLY await.queue_grant
    ADD CONSTRAINT queue_grant_pkey PRIMARY KEY (role, queue);
ALTER TABLE ONLY await.queue
    ADD CONSTRAINT queue_name_key UNIQUE (name);
ALTER TABLE ONLY await.queue
    ADD CONSTRAINT queue_pkey PRIMARY KEY (id);
ALTER TABLE ONLY await.ready
    ADD CONSTRAINT ready_pkey PRIMARY KEY (lane, pos);
ALTER TABLE ONLY await.relay_cursor
    ADD CONSTRAINT relay_cursor_pkey PRIMARY KEY (relay, sink, no);
ALTER TABLE ONLY await.relay_leader
    ADD CONSTRAINT relay_leader_pkey PRIMARY KEY (relay, no);
ALTER TABLE ONLY await.relay_sink
    ADD CONSTRAINT relay_sink_pkey PRIMARY KEY (relay, token, sink);
ALTER TABLE ONLY await.retention
    ADD CONSTRAINT retention_name_key UNIQUE (name);
ALTER TABLE ONLY await.retention
    ADD CONSTRAINT retention_pkey PRIMARY KEY (class);
ALTER TABLE ONLY await.retried
    ADD CONSTRAINT retried_pkey PRIMARY KEY (class, job);
ALTER TABLE ONLY await.revoked
    ADD CONSTRAINT revoked_pkey PRIMARY KEY (owner);
ALTER TABLE ONLY await.schema_history
    ADD CONSTRAINT schema_history_pkey PRIMARY KEY (version);
ALTER TABLE ONLY await.secret
    ADD CONSTRAINT secret_pkey PRIMARY KEY (one);
ALTER TABLE ONLY await.swept
    ADD CONSTRAINT swept_pkey PRIMARY KEY (what, class);
ALTER TABLE ONLY await.ticket_used
    ADD CONSTRAINT ticket_used_pkey PRIMARY KEY (id);
ALTER TABLE ONLY await.turn
    ADD CONSTRAINT turn_pkey PRIMARY KEY (what);
ALTER TABLE ONLY await.webhook
    ADD CONSTRAINT webhook_pkey PRIMARY KEY (id);
CREATE INDEX batch_added_batch ON await.batch_added USING btree (batch);
CREATE INDEX batch_live_visit ON await.batch_live USING btree (visit);
CREATE INDEX batch_todo_at ON await.batch_todo USING btree (at, batch);
CREATE INDEX chunk_pos ON ONLY await.chunk USING btree (class, job, kind, attempt, pos);
CREATE INDEX delayed_of_lane ON await.delayed USING btree (lane, owner, job);
CREATE INDEX delivery_dead ON await.delivery_end USING btree (delivery) WHERE (state = 'dead'::text);
CREATE INDEX delivery_due_at ON await.delivery_due USING btree (host, due, delivery);
CREATE UNIQUE INDEX delivery_due_of ON await.delivery_due USING btree (delivery);
CREATE INDEX delivery_end_at ON await.delivery_end USING btree (at);
CREATE INDEX delivery_of_webhook ON await.delivery USING btree (webhook, id);
CREATE UNIQUE INDEX delivery_once ON await.delivery USING btree (job, seq, webhook);
CREATE INDEX event_lost ON ONLY await.event USING btree (state, job) WHERE (ending AND (state <> 'completed'::text));
CREATE UNIQUE INDEX event_once ON ONLY await.event USING btree (class, job, event_id) WHERE (event_id IS NOT NULL);
CREATE UNIQUE INDEX event_one_ending ON ONLY await.event USING btree (class, job) WHERE ending;
CREATE INDEX event_owner_eid ON ONLY await.event USING btree (owner, eid) WHERE (owner IS NOT NULL);
CREATE INDEX event_owner_lost ON ONLY await.event USING btree (owner, state, job) WHERE (ending AND (state <> 'completed'::text) AND (owner IS NOT NULL));
CREATE INDEX event_owner_xid ON ONLY await.event USING btree (owner, xid, eid) WHERE (owner IS NOT NULL);
CREATE UNIQUE INDEX event_topic_class_job_event_id_idx ON await.event_topic USING btree (class, job, event_id) WHERE (event_id IS NOT NULL);
CREATE UNIQUE INDEX event_topic_class_job_idx ON await.event_topic USING btree (class, job) WHERE ending;
CREATE INDEX event_topic_owner_eid_idx ON await.event_topic USING btree (owner, eid) WHERE (owner IS NOT NULL);
CREATE INDEX event_topic_owner_state_job_idx ON await.event_topic USING btree (owner, state, job) WHERE (ending AND (state <> 'completed'::text) AND (owner IS NOT NULL));
CREATE INDEX event_topic_owner_xid_eid_idx ON await.event_topic USING btree (owner, xid, eid) WHERE (owner IS NOT NULL);
CREATE INDEX event_topic_state_job_idx ON await.event_topic USING btree (state, job) WHERE (ending AND (state <> 'completed'::text));
CREATE INDEX event_xid ON ONLY await.event USING btree (xid, eid);
CREATE INDEX event_topic_xid_eid_idx ON await.event_topic USING btree (xid, eid);
CREATE INDEX held_note_of_owner ON await.held_note USING btree (lane, owner, xid);
CREATE INDEX held_of_job ON await.held USING btree (job);
CREATE INDEX idem_until ON await.idem USING btree (until);
CREATE INDEX job_batch ON ONLY await.job USING btree (batch, id) WHERE (batch IS NOT NULL);
CREATE INDEX job_batches ON ONLY await.job USING btree (id) WHERE (extra IS NOT NULL);
CREATE INDEX job_owner_batches ON ONLY await.job USING btree (owner, id) WHERE ((extra IS NOT NULL) AND (owner IS NOT NULL));
CREATE INDEX job_owner_eid ON ONLY await.job USING btree (owner, eid) WHERE (owner IS NOT NULL);
CREATE INDEX job_owner_xid ON ONLY await.job USING btree (owner, xid, eid) WHERE (owner IS NOT NULL);
CREATE INDEX job_topic_batch_id_idx ON await.job_topic USING btree (batch, id) WHERE (batch IS NOT NULL);
CREATE INDEX job_topic_id_idx ON await.job_topic USING btree (id) WHERE (extra IS NOT NULL);
CREATE INDEX job_topic_owner_eid_idx ON await.job_topic USING btree (owner, eid) WHERE (owner IS NOT NULL);
CREATE INDEX job_topic_owner_id_idx ON await.job_topic USING btree (owner, id) WHERE ((extra IS NOT NULL) AND (owner IS NOT NULL));
CREATE INDEX job_topic_owner_xid_eid_idx ON await.job_topic USING btree (owner, xid, eid) WHERE (owner IS NOT NULL);
CREATE INDEX job_xid ON ONLY await.job USING btree (xid, eid) WHERE (owner IS NOT NULL);
CREATE INDEX job_topic_xid_eid_idx ON await.job_topic USING btree (xid, eid) WHERE (owner IS NOT NULL);
CREATE INDEX job_xid_ownerless ON ONLY await.job USING btree (xid, eid) WHERE (owner IS NULL);
CREATE INDEX job_topic_xid_eid_idx1 ON await.job_topic USING btree (xid, eid) WHERE (owner IS NULL);
CREATE INDEX lane_of_queue ON await.lane_in_use USING btree (((lane >> 8)));
CREATE INDEX late_ending_day ON await.late_ending USING btree (class, day, ended);
CREATE INDEX lease_of_owner ON await.lease USING btree (queue, owner, no) WHERE (queue IS NOT NULL);
CREATE INDEX lease_of_queue ON await.lease USING btree (queue, no) WHERE (queue IS NOT NULL);
CREATE INDEX lease_until ON await.lease USING btree (until);
CREATE INDEX low_water_of_lane ON await.low_water USING btree (lane, pos);
CREATE INDEX queue_named ON await.queue USING btree (id) WHERE named;
CREATE INDEX queue_paused ON await.queue USING btree (id) WHERE paused;
CREATE INDEX queue_rated ON await.queue USING btree (id) WHERE rated;
CREATE INDEX queue_special ON await.queue USING btree (id) WHERE special;
CREATE INDEX queue_used_day ON await.queue_used USING btree (queue, class, day);
CREATE INDEX ready_of_job ON await.ready USING btree (job) WHERE (owner IS NOT NULL);
CREATE INDEX ready_of_owner ON await.ready USING btree (lane, owner, pos) WHERE (owner IS NOT NULL);
CREATE INDEX ticket_used_until ON await.ticket_used USING btree (until);
CREATE UNIQUE INDEX webhook_once ON await.webhook USING btree (url, COALESCE(queue, ''::text));
CREATE UNIQUE INDEX webhook_secret_newest ON await.webhook_secret USING btree (webhook) WHERE (until IS NULL);
CREATE INDEX webhook_secret_of ON await.webhook_secret USING btree (webhook);
ALTER INDEX await.event_once ATTACH PARTITION await.event_topic_class_job_event_id_idx;
ALTER INDEX await.event_one_ending ATTACH PARTITION await.event_topic_class_job_idx;
ALTER INDEX await.event_owner_eid ATTACH PARTITION await.event_topic_owner_eid_idx;
ALTER INDEX await.event_owner_lost ATTACH PARTITION await.event_topic_owner_state_job_idx;
ALTER INDEX await.event_owner_xid ATTACH PARTITION await.event_topic_owner_xid_eid_idx;
ALTER INDEX await.event_pkey ATTACH PARTITION await.event_topic_pkey;
ALTER INDEX await.event_lost ATTACH PARTITION await.event_topic_state_job_idx;
ALTER INDEX await.event_xid ATTACH PARTITION await.event_topic_xid_eid_idx;
ALTER INDEX await.job_batch ATTACH PARTITION await.job_topic_batch_id_idx;
ALTER INDEX await.job_batches ATTACH PARTITION await.job_topic_id_idx;
ALTER INDEX await.job_owner_eid ATTACH PARTITION await.job_topic_owner_eid_idx;
ALTER INDEX await.job_owner_batches ATTACH PARTITION await.job_topic_owner_id_idx;
ALTER INDEX await.job_owner_xid ATTACH PARTITION await.job_topic_owner_xid_eid_idx;
ALTER INDEX await.job_pkey ATTACH PARTITION await.job_topic_pkey;
ALTER INDEX await.job_xid ATTACH PARTITION await.job_topic_xid_eid_idx;
ALTER INDEX await.job_xid_ownerless ATTACH PARTITION await.job_topic_xid_eid_idx1;
CREATE TRIGGER notify AFTER INSERT ON await.event FOR EACH ROW WHEN ((current_setting('await.notify'::text, true) = ANY (ARRAY['on'::text, 'true'::text, 'yes'::text, '1'::text]))) EXECUTE FUNCTION await.notify_event();
CREATE TRIGGER notify AFTER INSERT OR UPDATE ON await.revoked FOR EACH ROW WHEN ((current_setting('await.notify'::text, true) = ANY (ARRAY['on'::text, 'true'::text, 'yes'::text, '1'::text]))) EXECUTE FUNCTION await.notify_revoked();
GRANT USAGE ON SCHEMA await TO await_console;
GRANT USAGE ON SCHEMA await TO await_edge;
GRANT USAGE ON SCHEMA await TO await_relay;
GRANT USAGE ON SCHEMA await TO await_worker;
REVOKE ALL ON FUNCTION await.add_to_batch(p_batch uuid, p_jobs uuid[], p_phases text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.add_to_histogram(p_counts bigint[], p_seconds double precision[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.add_webhook(p_url text, p_queue text, p_types text[], p_secret text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.add_webhook(p_url text, p_queue text, p_types text[], p_secret text) TO await_console;
REVOKE ALL ON FUNCTION await.admit_all(p_queue integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.admit_held(q await.queue, p_lane bigint, p_owner text, p_after bigint, p_sure boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.advance_horizon() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.advance_horizon_soon() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.advance_low_water(p_lane bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.advance_running(p_queue integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.ahead(p_lane bigint, p_mark bigint, p_pos bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.append_event(h await.job_head, p_type text, p_state text, p_data jsonb, p_attempt smallint, p_event_id text, p_status smallint, p_content_type text, p_file_name text, p_size bigint, p_body bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.append_result(id uuid, receipt text, n integer, bytes bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION await.append_result(id uuid, receipt text, n integer, bytes bytea) TO await_worker;
REVOKE ALL ON FUNCTION await.ask_of_queue(p_queue integer, p_quotas boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.base64url(bytes bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.batch_ended(p_batch uuid, p_state text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.batch_failures(p_batch uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.batch_first_totals(p_batch uuid, p_phases jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.batch_jobs_ended(p_batch uuid, p_jobs uuid[], p_state text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.batch_limit_met(p_batch uuid, p_owner text, p_most integer, p_owner_most integer, OUT refused text, OUT retry_ms bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.batch_pause(p_batch uuid, p_total integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.batch_totals(p_batch uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.blend(p_rate double precision, n integer, p_since timestamp with time zone, p_rate_at timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.buckets() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.cancel(id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION await.cancel(id uuid) TO await_edge;
GRANT ALL ON FUNCTION await.cancel(id uuid) TO await_console;
REVOKE ALL ON FUNCTION await.cancel_batch_jobs(p_batch uuid, p_limit integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.check_content_type(value text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.check_data(data jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.check_event_type(type text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.check_file_name(value text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.check_filter(filter jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.check_json(value jsonb, what text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.check_options(o jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.check_phases(p_batch uuid, p_declared jsonb, p_phases text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.check_values(o jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.check_webhook(p_url text, p_types text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.claim(queues text[], worker text, n integer, lease interval, inline integer, pieces boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION await.claim(queues text[], worker text, n integer, lease interval, inline integer, pieces boolean) TO await_worker;
REVOKE ALL ON FUNCTION await.class(id uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.clock_was_ahead(p_now timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.complete(id uuid, receipt text, body bytea, content_type text, status integer, file_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.complete(id uuid, receipt text, body bytea, content_type text, status integer, file_name text) TO await_worker;
REVOKE ALL ON FUNCTION await.complete_many(ids uuid[], receipts text[], bodies bytea[], content_types text[], statuses integer[], file_names text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.complete_many(ids uuid[], receipts text[], bodies bytea[], content_types text[], statuses integer[], file_names text[]) TO await_worker;
REVOKE ALL ON FUNCTION await.console_act(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION await.console_act(p jsonb) TO await_console;
REVOKE ALL ON FUNCTION await.console_depth(p_queue integer, p_most integer, OUT ready bigint, OUT about boolean, OUT since timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.console_error(p_error jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.console_failures(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION await.console_failures(p jsonb) TO await_edge;
GRANT ALL ON FUNCTION await.console_failures(p jsonb) TO await_console;
REVOKE ALL ON FUNCTION await.console_job(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION await.console_job(p jsonb) TO await_edge;
GRANT ALL ON FUNCTION await.console_job(p jsonb) TO await_console;
REVOKE ALL ON FUNCTION await.console_jobs(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION await.console_jobs(p jsonb) TO await_edge;
GRANT ALL ON FUNCTION await.console_jobs(p jsonb) TO await_console;
REVOKE ALL ON FUNCTION await.console_lanes() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.console_leases() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.console_nodes() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.console_overview() FROM PUBLIC;
GRANT ALL ON FUNCTION await.console_overview() TO await_edge;
GRANT ALL ON FUNCTION await.console_overview() TO await_console;
REVOKE ALL ON FUNCTION await.console_queue(p_queue integer, p_running bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.console_queues(p jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION await.console_queues(p jsonb) TO await_edge;
GRANT ALL ON FUNCTION await.console_queues(p jsonb) TO await_console;
REVOKE ALL ON FUNCTION await.console_relays() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.count_events(p_every interval, p_most integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.count_waiting(p_queue integer, p_owner text, p_most integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.create_batch(options jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION await.create_batch(options jsonb) TO await_worker;
REVOKE ALL ON FUNCTION await.create_ready_job(p_batch uuid, p_queue text, p_summary jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.delivery_body(j await.job, p_queue text, e await.event) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.delivery_document(d await.delivery, p_owner text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.delivery_is_of(d await.delivery, p_owner text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.delivery_stats(OUT delivered bigint, OUT failed bigint, OUT dead bigint, OUT waiting bigint, OUT retrying bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION await.delivery_stats(OUT delivered bigint, OUT failed bigint, OUT dead bigint, OUT waiting bigint, OUT retrying bigint) TO await_edge;
REVOKE ALL ON FUNCTION await.do_for_batch(p_at timestamp with time zone, p_batch uuid, p_limit integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.drop_partition(p_name text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.due_deliveries(p_after text, p_hosts text[], p_rooms integer[], p_sinces bigint[], p_held bigint[], p_room integer, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.due_deliveries(p_after text, p_hosts text[], p_rooms integer[], p_sinces bigint[], p_held bigint[], p_room integer, p_limit integer) TO await_relay;
REVOKE ALL ON FUNCTION await.edge_add_to_batch(p_batch uuid, p_id uuid, p_queue text, p_phase text, p_priority smallint, p_owner text, p_correlation text, p_trace text, p_type text, p_name text, p_params text, p_payload bytea, p_size bigint, p_lease bigint, p_attempts smallint, p_delay bigint, p_deadline bigint, p_key text, p_fingerprint bytea, p_keep bigint, p_most integer, p_owner_most integer, p_webhook text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_add_to_batch(p_batch uuid, p_id uuid, p_queue text, p_phase text, p_priority smallint, p_owner text, p_correlation text, p_trace text, p_type text, p_name text, p_params text, p_payload bytea, p_size bigint, p_lease bigint, p_attempts smallint, p_delay bigint, p_deadline bigint, p_key text, p_fingerprint bytea, p_keep bigint, p_most integer, p_owner_most integer, p_webhook text) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_batch_jobs(p_batch uuid, p_after uuid, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_batch_jobs(p_batch uuid, p_after uuid, p_limit integer) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_batches(p_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_batches(p_ids uuid[]) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_cancel(p_id uuid, p_seq integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_cancel(p_id uuid, p_seq integer) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_drop(p_job uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_drop(p_job uuid) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_events(p_ids uuid[], p_after integer[], p_limit integer, p_value_max integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_events(p_ids uuid[], p_after integer[], p_limit integer, p_value_max integer) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_get(p_job uuid, p_attempt smallint, p_at bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_get(p_job uuid, p_attempt smallint, p_at bigint) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_heads(p_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_heads(p_ids uuid[]) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_hello(p_queues text[], p_priorities smallint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_hello(p_queues text[], p_priorities smallint[]) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_jobs(p_ids uuid[], p_bodies smallint[], p_value_max integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_jobs(p_ids uuid[], p_bodies smallint[], p_value_max integer) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_list(p_owners text[], p_queues text[], p_states text[], p_batches uuid[], p_since bigint[], p_until bigint[], p_ids uuid[], p_eids bigint[], p_limits integer[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_list(p_owners text[], p_queues text[], p_states text[], p_batches uuid[], p_since bigint[], p_until bigint[], p_ids uuid[], p_eids bigint[], p_limits integer[]) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_list_batches(p_owners text[], p_states text[], p_since bigint[], p_until bigint[], p_ids uuid[], p_eids bigint[], p_limits integer[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_list_batches(p_owners text[], p_states text[], p_since bigint[], p_until bigint[], p_ids uuid[], p_eids bigint[], p_limits integer[]) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_paused(p_queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_paused(p_queue text) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_position(p_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_position(p_ids uuid[]) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_publish(p_topic text, p_type text, p_data jsonb, p_latest boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_publish(p_topic text, p_type text, p_data jsonb, p_latest boolean) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_put(p_job uuid, p_n integer, p_pos bigint, p_bytes bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_put(p_job uuid, p_n integer, p_pos bigint, p_bytes bytea) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_queues(p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_queues(p_most integer) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_relays(p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_relays(p_most integer) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_report(p_id uuid, p_name text, p_report jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_report(p_id uuid, p_name text, p_report jsonb) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_retry(p_id uuid, p_most integer, p_owner_most integer, OUT outcome text, OUT id uuid, OUT retry_ms bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_retry(p_id uuid, p_most integer, p_owner_most integer, OUT outcome text, OUT id uuid, OUT retry_ms bigint) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_revoked() FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_revoked() TO await_edge;
REVOKE ALL ON FUNCTION await.edge_stage(p_batch uuid, p_first integer, p_ids uuid[], p_queues text[], p_phases text[], p_priorities smallint[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes bigint[], p_leases bigint[], p_delays bigint[], p_deadlines bigint[], p_attempts smallint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_stage(p_batch uuid, p_first integer, p_ids uuid[], p_queues text[], p_phases text[], p_priorities smallint[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes bigint[], p_leases bigint[], p_delays bigint[], p_deadlines bigint[], p_attempts smallint[]) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_submit(p_ids uuid[], p_queues text[], p_priorities smallint[], p_owners text[], p_correlations text[], p_traces text[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes bigint[], p_leases bigint[], p_attempts smallint[], p_delays bigint[], p_deadlines bigint[], p_webhooks text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_submit(p_ids uuid[], p_queues text[], p_priorities smallint[], p_owners text[], p_correlations text[], p_traces text[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes bigint[], p_leases bigint[], p_attempts smallint[], p_delays bigint[], p_deadlines bigint[], p_webhooks text[]) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_submit_batch(p_batch uuid, p_jobs integer, p_owner text, p_correlation text, p_trace text, p_phases text[], p_on_ready text, p_deadline bigint, p_scope text, p_key text, p_fingerprint bytea, p_keep bigint, p_most integer, p_owner_most integer, p_webhook text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_submit_batch(p_batch uuid, p_jobs integer, p_owner text, p_correlation text, p_trace text, p_phases text[], p_on_ready text, p_deadline bigint, p_scope text, p_key text, p_fingerprint bytea, p_keep bigint, p_most integer, p_owner_most integer, p_webhook text) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_submit_limited(p_ids uuid[], p_queues text[], p_priorities smallint[], p_owners text[], p_correlations text[], p_traces text[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes bigint[], p_leases bigint[], p_attempts smallint[], p_delays bigint[], p_deadlines bigint[], p_keys text[], p_fingerprints bytea[], p_keeps bigint[], p_mosts integer[], p_owner_mosts integer[], p_webhooks text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_submit_limited(p_ids uuid[], p_queues text[], p_priorities smallint[], p_owners text[], p_correlations text[], p_traces text[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes bigint[], p_leases bigint[], p_attempts smallint[], p_delays bigint[], p_deadlines bigint[], p_keys text[], p_fingerprints bytea[], p_keeps bigint[], p_mosts integer[], p_owner_mosts integer[], p_webhooks text[]) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_submit_once(p_ids uuid[], p_queues text[], p_priorities smallint[], p_owners text[], p_correlations text[], p_traces text[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes bigint[], p_leases bigint[], p_attempts smallint[], p_delays bigint[], p_deadlines bigint[], p_keys text[], p_fingerprints bytea[], p_keeps bigint[], p_webhooks text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_submit_once(p_ids uuid[], p_queues text[], p_priorities smallint[], p_owners text[], p_correlations text[], p_traces text[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes bigint[], p_leases bigint[], p_attempts smallint[], p_delays bigint[], p_deadlines bigint[], p_keys text[], p_fingerprints bytea[], p_keeps bigint[], p_webhooks text[]) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_tail(p_since pg_snapshot, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_tail(p_since pg_snapshot, p_limit integer) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_unstage(p_batch uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_unstage(p_batch uuid) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_use_tickets(p_ids uuid[], p_owners text[], p_issued bigint[], p_untils bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_use_tickets(p_ids uuid[], p_owners text[], p_issued bigint[], p_untils bigint[]) TO await_edge;
REVOKE ALL ON FUNCTION await.edge_user_events(p_items bigint[], p_owners text[], p_since text[], p_at bigint[], p_upto text[], p_upto_at bigint[], p_eids bigint[], p_limit integer, p_value_max integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.edge_user_events(p_items bigint[], p_owners text[], p_since text[], p_at bigint[], p_upto text[], p_upto_at bigint[], p_eids bigint[], p_limit integer, p_value_max integer) TO await_edge;
REVOKE ALL ON FUNCTION await.eid_before(p_at timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.eid_since(p_at timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.emit(id uuid, receipt text, type text, data jsonb, event_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.emit(id uuid, receipt text, type text, data jsonb, event_id text) TO await_worker;
REVOKE ALL ON FUNCTION await.enable_webhook(p_webhook integer, p_enabled boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION await.enable_webhook(p_webhook integer, p_enabled boolean) TO await_console;
REVOKE ALL ON FUNCTION await.end_lease(p_job uuid, p_receipt text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.enqueue(p_job uuid, p_queue integer, p_priority smallint, p_attempt smallint, p_due timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.enqueue_deliveries(p_jobs uuid[], p_seqs integer[], p_types text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.enqueue_deliveries(p_jobs uuid[], p_seqs integer[], p_types text[]) TO await_relay;
REVOKE ALL ON FUNCTION await.events_after(cursor text, n integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.events_after(cursor text, n integer) TO await_relay;
REVOKE ALL ON FUNCTION await.fail(id uuid, receipt text, error jsonb, retry_in interval) FROM PUBLIC;
GRANT ALL ON FUNCTION await.fail(id uuid, receipt text, error jsonb, retry_in interval) TO await_worker;
REVOKE ALL ON FUNCTION await.few_open(p_leased boolean, p_most integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.find_batch(p_batch uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.find_jobs(filter jsonb, p_limit integer, after uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION await.find_jobs(filter jsonb, p_limit integer, after uuid) TO await_console;
REVOKE ALL ON FUNCTION await.find_webhook(p_id integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.finish_batch(p_batch uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.finish_deliveries(p_ids bigint[], p_attempts integer[], p_outcomes text[], p_delays bigint[], p_statuses smallint[], p_errors text[], p_spans integer[], p_events text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.finish_deliveries(p_ids bigint[], p_attempts integer[], p_outcomes text[], p_delays bigint[], p_statuses smallint[], p_errors text[], p_spans integer[], p_events text[]) TO await_relay;
REVOKE ALL ON FUNCTION await.fit_error(error jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.fits_event(data jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.floor_id(at timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.grant_queues(role name, queues text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.has_partition(p_base text, p_class smallint, p_step interval, p_at timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.heartbeat(id uuid, receipt text, progress jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION await.heartbeat(id uuid, receipt text, progress jsonb) TO await_worker;
REVOKE ALL ON FUNCTION await.hint(id uuid, seq integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.hint(id uuid, seq integer) TO await_worker;
GRANT ALL ON FUNCTION await.hint(id uuid, seq integer) TO await_relay;
GRANT ALL ON FUNCTION await.hint(id uuid, seq integer) TO await_console;
REVOKE ALL ON FUNCTION await.hint_message(e await.event, j await.job, p_queue text, p_timeline text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.hints(ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.hints(ids uuid[]) TO await_worker;
GRANT ALL ON FUNCTION await.hints(ids uuid[]) TO await_relay;
GRANT ALL ON FUNCTION await.hints(ids uuid[]) TO await_console;
REVOKE ALL ON FUNCTION await.hmac(p_key bytea, p_message bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.hold_batch(b await.job, p_phases text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.hold_hosts(p_hosts text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.hold_job(p_lane bigint, p_owner text, p_pos bigint, p_job uuid, p_attempt smallint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.in_transaction() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.insert_added(b await.job, p_id uuid, p_queue text, p_phase text, p_priority smallint, p_correlation text, p_trace text, p_type text, p_name text, p_params text, p_payload bytea, p_size bigint, p_lease bigint, p_attempts smallint, p_delay bigint, p_deadline bigint, p_webhook text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.insert_batch(p_id uuid, p_owner text, p_correlation text, p_trace text, p_phases text[], p_on_ready text, p_deadline timestamp with time zone, p_webhook jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.insert_staged(p_batch uuid, p_owner text, p_correlation text, p_trace text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.is_batch(id uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.is_json(content_type text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.is_short(value jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.is_whole_snapshot(s pg_snapshot) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.job_ended(p_jobs uuid[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.job_of_key(new_id uuid, queue text, o jsonb, key text, keep interval, type text, body bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.lane(queue integer, priority smallint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.leave_counted_line(h await.job_head) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.leave_line(h await.job_head) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.limit_met(p_queue integer, p_owner text, p_jobs integer, p_most integer, p_owner_most integer, OUT refused text, OUT retry_ms bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.limit_of(p_settings jsonb, p_name text, p_most integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.line_up(d await.delayed) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.list(options jsonb, OUT jobs jsonb, OUT next text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.list(options jsonb, OUT jobs jsonb, OUT next text) TO await_worker;
GRANT ALL ON FUNCTION await.list(options jsonb, OUT jobs jsonb, OUT next text) TO await_console;
REVOKE ALL ON FUNCTION await.list_deliveries(p_state text, p_webhook integer, p_job uuid, p_since timestamp with time zone, p_after bigint, p_limit integer, p_owner text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.list_deliveries(p_state text, p_webhook integer, p_job uuid, p_since timestamp with time zone, p_after bigint, p_limit integer, p_owner text) TO await_edge;
GRANT ALL ON FUNCTION await.list_deliveries(p_state text, p_webhook integer, p_job uuid, p_since timestamp with time zone, p_after bigint, p_limit integer, p_owner text) TO await_console;
REVOKE ALL ON FUNCTION await.list_lost(p_owner text, p_states text[], p_id uuid, p_from_id uuid, p_limit integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.list_page(p_owner text, p_queue text, p_states text[], p_batch uuid, p_since timestamp with time zone, p_until timestamp with time zone, p_id uuid, p_eid bigint, p_limit integer, p_batches boolean, OUT ids uuid[], OUT eids bigint[], OUT next_id uuid, OUT next_eid bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.list_time(o jsonb, p_name text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.list_walk(p_way text, p_owner text, p_states text[], p_batch uuid, p_jobs uuid[], p_id uuid, p_eid bigint, p_from_id uuid, p_from_eid bigint, p_limit integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.list_way(p_owner text, p_states text[], p_batch uuid, p_batches boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.lock_job(p_id uuid, p_skip boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.look_at_line(q await.queue, p_lane bigint, p_mark bigint, p_width integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.make_lane(p_queue text, p_priority smallint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.make_named_lane(p_queue text, p_priority smallint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.make_partition(p_base text, p_class smallint, p_from timestamp with time zone, p_until timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.make_partitions(p_ahead interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.may_queue(queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.may_queue(queue text) TO await_worker;
REVOKE ALL ON FUNCTION await.move_due(p_limit integer, p_now timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.move_each_due(p_limit integer, p_now timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.move_up(p_queue integer, p_lane bigint, p_owners text[], p_origins bigint[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.need_partitions(p_class smallint, p_base text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.new_batch_id(class smallint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.new_id(class smallint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.new_secret(OUT key bytea, OUT inner_pad bytea, OUT outer_pad bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.note_use(p_queue integer, p_class smallint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.notice_restore() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.notifies() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.notify_event() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.notify_lanes(p_lanes bigint[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.notify_revoked() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.notify_work(p_queues text[], p_owners text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.old_partitions() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.open_lane(p_lane bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.open_partitions() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.open_timeline() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.option_number(o jsonb, p_name text, p_least integer, p_most integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.option_span(o jsonb, p_name text, p_least interval, p_most interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.option_uuid(o jsonb, p_name text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.option_webhook(o jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.owner_ahead(p_queue integer, p_owner text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.owner_line(p_lane bigint, p_owner text, p_most integer, p_sure boolean, OUT n integer, OUT origin bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.owner_room(q await.queue, p_lane bigint, p_owner text, p_sure boolean, OUT room integer, OUT origin bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.partition_name(p_base text, p_class smallint, p_start timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.partition_start(p_step interval, p_at timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.pause(queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.pause(queue text) TO await_console;
REVOKE ALL ON FUNCTION await.payload(id uuid, receipt text, "offset" bigint, length integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.payload(id uuid, receipt text, "offset" bigint, length integer) TO await_worker;
REVOKE ALL ON FUNCTION await.phases_had_jobs(p_batch uuid, p_totals jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.pick_managed(p_queue integer, p_lane bigint, p_mark bigint, p_wanted integer, OUT jobs uuid[], OUT attempts smallint[], OUT in_lanes bigint[], OUT in_pos bigint[], OUT owners text[], OUT origins bigint[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.place_of(p_job uuid, p_lane bigint, p_mark bigint, p_eid bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await."position"(id uuid, OUT place bigint, OUT seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION await."position"(id uuid, OUT place bigint, OUT seconds double precision) TO await_console;
REVOKE ALL ON FUNCTION await.publish(topic text, type text, data jsonb, latest boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION await.publish(topic text, type text, data jsonb, latest boolean) TO await_edge;
GRANT ALL ON FUNCTION await.publish(topic text, type text, data jsonb, latest boolean) TO await_worker;
GRANT ALL ON FUNCTION await.publish(topic text, type text, data jsonb, latest boolean) TO await_relay;
REVOKE ALL ON FUNCTION await.publish_soon(p_topic text, p_type text, p_data jsonb, p_latest boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.purge() FROM PUBLIC;
GRANT ALL ON FUNCTION await.purge() TO await_edge;
GRANT ALL ON FUNCTION await.purge() TO await_worker;
GRANT ALL ON FUNCTION await.purge() TO await_relay;
GRANT ALL ON FUNCTION await.purge() TO await_console;
REVOKE ALL ON FUNCTION await.purge_deliveries(p_limit integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.purge_ended(p_limit integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.purge_expired(p_limit integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.purge_queues() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.purge_ready(p_limit integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.purge_retried(p_limit integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.purge_topics(p_limit integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.purge_uploads(p_limit integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.queue_deliveries(p_ids bigint[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.queue_id(p_name text, p_named boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.queue_rate(p_queue integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.queue_stats(p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.queue_stats(p_most integer) TO await_console;
REVOKE ALL ON FUNCTION await.queues(name text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.queues(name text) TO await_console;
REVOKE ALL ON FUNCTION await.queues_are_full() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.reap(p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.reap(p_limit integer) TO await_relay;
REVOKE ALL ON FUNCTION await.reap_deadline(p_at timestamp with time zone, p_job uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.reap_lag() FROM PUBLIC;
GRANT ALL ON FUNCTION await.reap_lag() TO await_console;
REVOKE ALL ON FUNCTION await.reap_lease(p_job uuid, p_attempt smallint, p_now timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.reap_rows(p_deadlines boolean, p_limit integer, p_now timestamp with time zone, p_each boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.refuse_payload(p_job uuid, p_attempt smallint, p_inline integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.relay_advance(p_relay text, p_token bigint, p_sink text, p_no bigint, p_cursor text, p_delivered integer, p_failures integer, p_reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.relay_advance(p_relay text, p_token bigint, p_sink text, p_no bigint, p_cursor text, p_delivered integer, p_failures integer, p_reason text) TO await_relay;
REVOKE ALL ON FUNCTION await.relay_behind(p_cursor text, p_most integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.relay_cursor_text(p_floor bigint, p_xmax xid8, p_running xid8[], p_partial xid8[], p_upto bigint[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.relay_drop(relay text, sink text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.relay_drop(relay text, sink text) TO await_relay;
REVOKE ALL ON FUNCTION await.relay_hello() FROM PUBLIC;
GRANT ALL ON FUNCTION await.relay_hello() TO await_relay;
REVOKE ALL ON FUNCTION await.relay_holds(p_relay text, p_token bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.relay_keys(p_floor bigint, p_open xid8[], p_upto bigint[], p_share integer, p_from xid8, p_until xid8, p_own xid8, p_main integer, p_least integer, p_value_max integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.relay_lag(p_cursor text, p_most integer, OUT behind bigint, OUT lag double precision, OUT trouble text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.relay_leads(p_until timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.relay_lease(p_relay text, p_holder text, p_token bigint, p_span interval) FROM PUBLIC;
GRANT ALL ON FUNCTION await.relay_lease(p_relay text, p_holder text, p_token bigint, p_span interval) TO await_relay;
REVOKE ALL ON FUNCTION await.relay_lookup(p_class smallint[], p_job uuid[], p_seq integer[], p_value_max integer, p_hints integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.relay_lookup(p_class smallint[], p_job uuid[], p_seq integer[], p_value_max integer, p_hints integer) TO await_relay;
REVOKE ALL ON FUNCTION await.relay_open(p_relay text, p_token bigint, p_sinks text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.relay_open(p_relay text, p_token bigint, p_sinks text[]) TO await_relay;
REVOKE ALL ON FUNCTION await.relay_page(p_cursor text, p_limit integer, p_value_max integer, p_hints integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.relay_page(p_cursor text, p_limit integer, p_value_max integer, p_hints integer) TO await_relay;
REVOKE ALL ON FUNCTION await.relay_read_cursor(p_cursor text, p_floor bigint, OUT since pg_snapshot, OUT partial xid8[], OUT upto bigint[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.relay_release(p_relay text, p_token bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION await.relay_release(p_relay text, p_token bigint) TO await_relay;
REVOKE ALL ON FUNCTION await.relay_set(relay text, sink text, cursor text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.relay_set(relay text, sink text, cursor text) TO await_relay;
REVOKE ALL ON FUNCTION await.relay_sort_out(p_blocked integer[], p_xid xid8[], p_eid bigint[], p_job uuid[], p_open xid8[], p_upto bigint[], OUT ready integer[], OUT stuck xid8[], OUT upto bigint[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.relay_status(relay text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.relay_status(relay text) TO await_relay;
GRANT ALL ON FUNCTION await.relay_status(relay text) TO await_console;
REVOKE ALL ON FUNCTION await.relay_unserved(p_relay text, p_sinks text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.relay_unserved(p_relay text, p_sinks text[]) TO await_relay;
REVOKE ALL ON FUNCTION await.relay_wal(wanted boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.relay_wal_missing() FROM PUBLIC;
GRANT ALL ON FUNCTION await.relay_wal_missing() TO await_relay;
REVOKE ALL ON FUNCTION await.relay_webhooks(p_relay text, p_token bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION await.relay_webhooks(p_relay text, p_token bigint) TO await_relay;
REVOKE ALL ON FUNCTION await.relay_weight(data jsonb, size bigint, value_max integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.release(id uuid, receipt text, delay interval) FROM PUBLIC;
GRANT ALL ON FUNCTION await.release(id uuid, receipt text, delay interval) TO await_worker;
REVOKE ALL ON FUNCTION await.remove_webhook(p_webhook integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.remove_webhook(p_webhook integer) TO await_console;
REVOKE ALL ON FUNCTION await.replace_webhook_secret(p_webhook integer, p_key bytea, p_overlap interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.reserve_positions() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.resume(queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.resume(queue text) TO await_console;
REVOKE ALL ON FUNCTION await.retry(id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION await.retry(id uuid) TO await_console;
REVOKE ALL ON FUNCTION await.retry_delivery(p_id bigint, p_owner text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.retry_delivery(p_id bigint, p_owner text) TO await_edge;
GRANT ALL ON FUNCTION await.retry_delivery(p_id bigint, p_owner text) TO await_console;
REVOKE ALL ON FUNCTION await.retry_many(filter jsonb, p_limit integer, after uuid, OUT retried integer, OUT passed integer, OUT upto uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION await.retry_many(filter jsonb, p_limit integer, after uuid, OUT retried integer, OUT passed integer, OUT upto uuid) TO await_console;
REVOKE ALL ON FUNCTION await.retry_ms(p_queue integer, ahead bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.retry_or_fail(h await.job_head, p_attempt smallint, p_error jsonb, p_retry_in interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.revoke(owner text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.revoke(owner text) TO await_console;
REVOKE ALL ON FUNCTION await.revoke_queues(role name, queues text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.rotate(forget boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.rotate_webhook(p_webhook integer, p_overlap interval) FROM PUBLIC;
GRANT ALL ON FUNCTION await.rotate_webhook(p_webhook integer, p_overlap interval) TO await_console;
REVOKE ALL ON FUNCTION await.run_maintenance(p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.run_maintenance(p_limit integer) TO await_edge;
GRANT ALL ON FUNCTION await.run_maintenance(p_limit integer) TO await_worker;
GRANT ALL ON FUNCTION await.run_maintenance(p_limit integer) TO await_relay;
GRANT ALL ON FUNCTION await.run_maintenance(p_limit integer) TO await_console;
REVOKE ALL ON FUNCTION await.running(p_queue integer, p_lane bigint, p_owner text, p_most integer, p_sure boolean, OUT n integer, OUT origin bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.sees_all() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.set_queue(queue text, settings jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION await.set_queue(queue text, settings jsonb) TO await_console;
REVOKE ALL ON FUNCTION await.settle() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.settle_rows(p_limit integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.shard(id uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.share_batch(b await.job) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.sign(message text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.slot_freed(p_queue integer, p_lane bigint, p_owner text, p_origin bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.sort_queue(queue text, after bigint, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.sort_queue(queue text, after bigint, p_limit integer) TO await_console;
REVOKE ALL ON FUNCTION await.stand_in_line(q await.queue, p_lane bigint, p_owner text, p_job uuid, p_attempt smallint) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.store_chunks(p_job uuid, p_kind "char", p_attempt smallint, p_body bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.stored_payload(p_job uuid, p_offset bigint, p_length integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.submit(queue text, payload bytea, content_type text, options jsonb, key text, keep_key interval) FROM PUBLIC;
GRANT ALL ON FUNCTION await.submit(queue text, payload bytea, content_type text, options jsonb, key text, keep_key interval) TO await_worker;
GRANT ALL ON FUNCTION await.submit(queue text, payload bytea, content_type text, options jsonb, key text, keep_key interval) TO await_relay;
REVOKE ALL ON FUNCTION await.submit_messages(p_queue text, p_payloads bytea[], p_types text[], p_options jsonb[], p_keys text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION await.submit_messages(p_queue text, p_payloads bytea[], p_types text[], p_options jsonb[], p_keys text[]) TO await_relay;
REVOKE ALL ON FUNCTION await.take_keys(p_ids uuid[], p_queues text[], p_owners text[], p_keys text[], p_fingerprints bytea[], p_keeps bigint[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.take_turn(p_queue integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.tell_batch(p_batch uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.tick(p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION await.tick(p_limit integer) TO await_edge;
GRANT ALL ON FUNCTION await.tick(p_limit integer) TO await_worker;
GRANT ALL ON FUNCTION await.tick(p_limit integer) TO await_relay;
GRANT ALL ON FUNCTION await.tick(p_limit integer) TO await_console;
REVOKE ALL ON FUNCTION await.timeline() FROM PUBLIC;
REVOKE ALL ON FUNCTION await.topic_id(name text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.topic_id(name text) TO await_edge;
GRANT ALL ON FUNCTION await.topic_id(name text) TO await_worker;
GRANT ALL ON FUNCTION await.topic_id(name text) TO await_relay;
GRANT ALL ON FUNCTION await.topic_id(name text) TO await_console;
REVOKE ALL ON FUNCTION await.user_hint(p_owner text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.user_id(name text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.user_walk(p_owner text, p_since pg_snapshot, p_upto pg_snapshot, p_after bigint, p_limit integer, p_value_max integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.utc(at timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.visit_batch(p_batch uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.visit_batches(p_limit integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.visit_held(p_limit integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.waiting(h await.job_head, p_due timestamp with time zone, p_error jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.webhook_host(p_url text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.webhook_key(p_secret text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.webhook_keys(p_webhook integer, p_url text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.webhook_secret(p_endpoint text) FROM PUBLIC;
GRANT ALL ON FUNCTION await.webhook_secret(p_endpoint text) TO await_console;
REVOKE ALL ON FUNCTION await.webhook_wants(p_types text[], p_type text) FROM PUBLIC;
REVOKE ALL ON FUNCTION await.webhooks() FROM PUBLIC;
GRANT ALL ON FUNCTION await.webhooks() TO await_console;
REVOKE ALL ON FUNCTION await.whole_snapshot() FROM PUBLIC;
