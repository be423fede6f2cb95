-- How many jobs of a queue were claimed in a second of late; NULL: none, or nobody has counted. What nobody claimed
-- from for a while counts less and less.
CREATE OR REPLACE FUNCTION await.queue_rate(p_queue int4) RETURNS float8
LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN x.rate >= 0.001 THEN x.rate END
    FROM (SELECT c.rate * exp(-least(greatest(extract(epoch FROM clock_timestamp() - c.rate_at) - 10, 0),
        600) / 30)::float8 AS rate
          FROM await.queue_count c WHERE c.queue = p_queue) x
$$;
