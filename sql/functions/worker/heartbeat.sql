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
    slot await.lease;
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
        SELECT * INTO slot FROM await.lease l WHERE l.job = heartbeat.id AND l.receipt = heartbeat.receipt;
        IF slot.queue IS NOT NULL THEN       -- the worker knows now, so its job does not count as running
            UPDATE await.lease l SET queue = NULL WHERE l.job = heartbeat.id AND l.queue IS NOT NULL;
            IF FOUND THEN
                PERFORM await.slot_freed(slot.queue, slot.lane, slot.owner, slot.origin);
            END IF;
        END IF;
        RETURN CASE WHEN over = 'cancelled' AND slot.job IS NOT NULL THEN 'cancelled' ELSE 'lost' END;
    END IF;
    UPDATE await.lease l SET until = clock_timestamp() + l.span, no = CASE WHEN l.queue IS NOT NULL THEN nextval('await.pos') END
        WHERE l.job = heartbeat.id AND l.receipt = heartbeat.receipt;
    IF NOT FOUND THEN
        RETURN 'lost';
    END IF;
    IF progress IS NOT NULL THEN
        PERFORM await.append_event(h, 'progress', h.state, progress);
    END IF;
    RETURN 'ok';
END $$;
