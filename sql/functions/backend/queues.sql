-- The queues for operators, by name: what waits and runs in each, what was set for it, and how many jobs a second were
-- claimed of late. Counts as await.queue_stats() does; `waiting` has those that wait for their time, too. Of one queue,
-- if it is named.
CREATE OR REPLACE FUNCTION await.queues(name text DEFAULT NULL)
RETURNS TABLE (queue text, waiting bigint, running bigint, paused boolean, max_running int, max_running_per_owner int,
    fair int,
               rate float8, oldest float8, completed bigint, failed bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off
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
