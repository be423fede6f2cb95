-- In how many milliseconds a client whose submission was refused may try again: when the queue has taken `ahead` more
-- jobs, by its rate; a minute where none is known. At most an hour.
CREATE OR REPLACE FUNCTION await.retry_ms(p_queue int4, ahead bigint) RETURNS int8
LANGUAGE sql STABLE
AS $$
    SELECT (least(greatest(coalesce(ahead / await.queue_rate(p_queue), 60), 1), 3600) * 1000)::int8
$$;
