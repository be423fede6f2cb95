-- The number of a queue; creates the queue and its lane if needed. An edge waits at most 200 ms for another transaction that
-- creates the same (55P03 with the constraint's name then), because all its other submissions wait behind this statement.
CREATE OR REPLACE FUNCTION await.make_lane(p_queue text, p_priority int2) RETURNS int4
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
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
