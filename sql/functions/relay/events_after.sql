-- For programs that hand events on by themselves: the next events of all jobs, batches and topics behind a cursor, at
-- most about n and 4 MB, those of each job in the order of seq. All rows have the same cursor, which is behind all of
-- them: store it when they have been handled, best in the same transaction. No rows: there is nothing new; keep your
-- cursor. Nothing is left out, whatever commits how late, and whatever transaction stays open; nothing comes twice
-- unless a cursor is used twice. A row without an id has only a cursor to go on from.
--
-- Kept in another database, it does not go back with a failover that loses commits (docs/relay.md).
--
-- To begin: NULL or '' returns such a row, with the cursor of now. 'start' is before all that is kept. A
-- cursor is opaque, and belongs to this database: after a dump was restored elsewhere it goes on with what is written
-- there. docs/relay.md has an example.
CREATE OR REPLACE FUNCTION await.events_after(cursor text, n int DEFAULT 1000)
RETURNS TABLE (next text, id uuid, seq int4, type text, state text, attempt int2, at timestamptz, queue text, topic text,
    owner text, batch uuid, phase text, correlation_id text, trace text, data jsonb, status int2, content_type text,
    file_name text, size bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.cursor, p.job, p.seq, p.type, p.state, p.attempt, p.at, nullif(p.queue, '.topic'),
        CASE WHEN p.queue = '.topic' THEN substr(p.owner, 7) END, CASE WHEN p.queue <> '.topic' THEN p.owner END,
        p.batch, p.phase, p.correlation_id, p.trace, p.data::jsonb, p.status, p.content_type, p.file_name, p.size
    FROM await.relay_page(events_after.cursor, events_after.n) p
    WHERE p.job IS NOT NULL OR NOT p.complete OR coalesce(events_after.cursor, '') = ''
$$;
