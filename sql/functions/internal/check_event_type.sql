-- Refuses a custom event type that is NULL, malformed, or reserved: the types in this list belong to the product. Error code 22023.
CREATE OR REPLACE FUNCTION await.check_event_type(type text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF type IS NULL OR type !~ '^[a-z0-9_.-]{1,64}$' OR type IN ('pending', 'processing', 'completed', 'failed', 'cancelled', 'expired',
        'progress', 'batch.ready', 'open', 'error', 'message', 'reset', 'ready', 'beat') THEN
        RAISE EXCEPTION 'event type % is reserved, or is not 1 to 64 of a-z 0-9 _ . -', quote_nullable(left(type, 80))
            USING ERRCODE = '22023';
    END IF;
END $$;
