-- Events by their keys, for the source "wal" of await-relay, which has the keys from the write-ahead log: those that
-- the statement's snapshot sees, in the order in which they are asked for. The columns are those of await.relay_page.
-- `looked_for`, in the last row: how many of the keys, which are the first; the others would make the answer too large
-- (4 MB).
-- `cursor`: the snapshot. `upto`: where the log ended, after the snapshot was taken. Without events there is one row
-- with these.
--
-- A few keys are looked up one by one: a statement for all of them prepares for every partition. They come with their
-- hints, if there are p_hints at most.
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
    f        record;
BEGIN
    cursor := v_floor || '|' || pg_current_snapshot(); -- as await.relay_cursor_text() has it
    upto := pg_current_wal_insert_lsn()::text;
    looked_for := cardinality(p_job);
    complete := true;
    IF looked_for <= v_few THEN
        FOR i IN 1 .. looked_for LOOP
            SELECT j.id, p_seq[i] AS seq, coalesce(e.eid, j.eid) AS eid, coalesce(e.type, 'pending') AS type,
                coalesce(e.state, 'pending') AS state, coalesce(e.attempt, 0::int2) AS attempt,
                coalesce(e.at, j.created_at) AS at, q.name, j.owner, j.batch, j.phase, j.correlation_id, j.trace,
                e.data::text AS data, e.status, e.content_type, e.file_name, e.size, CASE WHEN e.size <= p_value_max
                    AND await.is_json(e.content_type) THEN e.body END AS value,
                await.relay_weight(e.data, e.size, p_value_max) AS weight
            INTO f
            FROM await.job j LEFT JOIN await.event e ON e.class = p_class[i] AND e.job = p_job[i] AND e.seq = p_seq[i]
                AND p_seq[i] > 1 LEFT JOIN await.queue q ON q.id = j.queue
            WHERE j.class = p_class[i] AND j.id = p_job[i]
              AND CASE WHEN p_seq[i] > 1 THEN e.eid > v_floor ELSE j.eid > v_floor AND j.id < v_topics END;
            CONTINUE WHEN NOT FOUND;
            v_weight := v_weight + f.weight;
            IF v_any AND v_weight > v_most THEN
                -- a row without an event; the number is that of the last row
                job := NULL;
                looked_for := i - 1;
                EXIT;
            END IF;
            v_any := true;
            job := f.id; seq := f.seq; eid := f.eid; type := f.type; state := f.state; attempt := f.attempt;
            at := f.at; queue := f.name; owner := f.owner; batch := f.batch; phase := f.phase;
            correlation_id := f.correlation_id; trace := f.trace; data := f.data; status := f.status;
            content_type := f.content_type; file_name := f.file_name; size := f.size; value := f.value;
            hints := NULL;
            IF cardinality(p_job) <= p_hints THEN
                hints := ARRAY(SELECT t FROM await.hint(f.id, f.seq) h, unnest(ARRAY[h.channel, h.message]) t);
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
