-- Ends the job with its result. body NULL: the pieces stored by await.append_result(). False: this claim no longer holds the job,
-- and nothing has changed.
CREATE OR REPLACE FUNCTION await.complete(id uuid, receipt text, body bytea, content_type text DEFAULT 'application/octet-stream',
    status int DEFAULT 200, file_name text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    h     await.job_head;
    slot_queue  int4;                        -- of a managed queue
    slot_lane   bigint;
    slot_owner  text;
    slot_origin bigint;
    own   int2;                              -- the attempt's number
    total bigint := length(body);
BEGIN
    content_type := coalesce(content_type, 'application/octet-stream');
    status := coalesce(status, 200);
    PERFORM await.check_content_type(content_type);
    IF file_name IS NOT NULL THEN
        PERFORM await.check_file_name(file_name);
    END IF;
    IF status NOT IN (200, 201, 203) THEN
        RAISE EXCEPTION 'a result has status 200, 201 or 203, not %', status USING ERRCODE = '22023';
    END IF;
    IF NOT EXISTS (SELECT FROM await.lease l WHERE l.job = complete.id AND l.receipt = complete.receipt) THEN
        RETURN false;
    END IF;
    h := await.lock_job(complete.id);
    DELETE FROM await.lease l WHERE l.job = h.id AND l.receipt = complete.receipt
        RETURNING l.attempt, l.queue, l.lane, l.owner, l.origin
        INTO own, slot_queue, slot_lane, slot_owner, slot_origin;
    IF slot_queue IS NOT NULL THEN
        PERFORM await.slot_freed(slot_queue, slot_lane, slot_owner, slot_origin);
    END IF;
    IF own IS NULL OR h.ended THEN
        RETURN false;
    END IF;
    IF body IS NULL THEN
        SELECT coalesce(max(c.pos + length(c.bytes)), 0) INTO total FROM await.chunk c
            WHERE c.class = await.class(complete.id) AND c.job = complete.id AND c.kind = 'r' AND c.attempt = own;
        body := CASE total WHEN 0 THEN ''::bytea END;
    ELSIF total > 65536 THEN
        DELETE FROM await.chunk c WHERE c.class = await.class(complete.id) AND c.job = complete.id AND c.kind = 'r' AND c.attempt = own;
        PERFORM await.store_chunks(complete.id, 'r', own, body);
        body := NULL;
    END IF;
    PERFORM await.append_event(h, 'completed', 'completed', p_attempt => own, p_status => complete.status::int2,
        p_content_type => complete.content_type, p_file_name => complete.file_name, p_size => total, p_body => body);
    RETURN true;
END $$;
