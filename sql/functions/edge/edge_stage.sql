-- Stores jobs of a batch that is being received: arrays of one length, `p_first`: the place of the first, from 1; times
-- in milliseconds. Nobody sees them before await.edge_submit_batch(). A repeated call changes nothing.
CREATE OR REPLACE FUNCTION await.edge_stage(p_batch uuid, p_first int, p_ids uuid[], p_queues text[], p_phases text[],
    p_priorities int2[], p_types text[], p_names text[], p_params text[], p_payloads bytea[], p_sizes int8[],
    p_leases int8[], p_delays int8[], p_deadlines int8[], p_attempts int2[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
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
