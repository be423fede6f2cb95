-- Renews the lease, and writes a "progress" event if `progress` is not NULL. Returns 'ok'; 'cancelled': stop, the job has been
-- cancelled; 'lost': stop, this claim no longer holds the job.
CREATE OR REPLACE FUNCTION await.heartbeat(id uuid, receipt text, progress jsonb DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    h    await.job_head;
    over text;
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
        RETURN CASE WHEN over = 'cancelled' AND EXISTS (SELECT FROM await.lease l WHERE l.job = heartbeat.id AND l.receipt = heartbeat.receipt)
                    THEN 'cancelled' ELSE 'lost' END;
    END IF;
    UPDATE await.lease l SET until = clock_timestamp() + l.span WHERE l.job = heartbeat.id AND l.receipt = heartbeat.receipt;
    IF NOT FOUND THEN
        RETURN 'lost';
    END IF;
    IF progress IS NOT NULL THEN
        PERFORM await.append_event(h, 'progress', h.state, progress);
    END IF;
    RETURN 'ok';
END $$;
