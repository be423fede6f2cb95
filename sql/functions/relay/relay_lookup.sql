-- Events by their keys, for the source "wal" of await-relay, which has the keys from the write-ahead log: those that
-- the statement's snapshot sees, in the order in which they are asked for. The columns are those of await.relay_page.
-- `looked_for`, in the last row: how many of the keys, which are the first; the others would make the answer too large
-- (4 MB).
-- `cursor`: the snapshot. `upto`: where the log ended, after the snapshot was taken. Without events there is one row
-- with these.
--
-- A few keys are looked up one by one: a statement for all of them prepares for every partition. They come with their
-- hints, as await.hint() has them, if there are p_hints at most; those of a job in no batch are made of the rows that
-- were read.
CREATE OR REPLACE FUNCTION await.relay_lookup(p_class int2[], p_job uuid[], p_seq int4[], p_value_max int,
    p_hints int DEFAULT 0)
RETURNS TABLE (cursor text, complete boolean, job uuid, seq int4, eid bigint, type text, state text, attempt int2,
    at timestamptz, queue text, owner text, batch uuid, phase text, correlation_id text, trace text, data text,
    status int2, content_type text, file_name text, size bigint, value bytea, hints text[], looked_for int, upto text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off
SET enable_mergejoin = off
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
