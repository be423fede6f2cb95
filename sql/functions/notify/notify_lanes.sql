-- With await.notify: tells workers that there is work in the queues of these lanes.
CREATE OR REPLACE FUNCTION await.notify_lanes(p_lanes bigint[]) RETURNS void
LANGUAGE sql VOLATILE
AS $$ SELECT await.notify_work(ARRAY(SELECT q.name FROM await.queue q WHERE q.id IN (SELECT x >> 8 FROM unnest(p_lanes) x))) $$;
