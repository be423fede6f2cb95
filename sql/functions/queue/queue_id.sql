-- Whether no more queues may be created by their first use (await.limits.queues). await.queues counts them and may be too high;
-- it is counted anew only when the limit seems reached, because counting for every new name would be slow.
CREATE OR REPLACE FUNCTION await.queues_are_full() RETURNS boolean
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    most int := (SELECT l.queues FROM await.limits l);
BEGIN
    IF (SELECT last_value FROM await.queues) < most THEN
        RETURN false;
    END IF;
    PERFORM setval('await.queues', (SELECT count(*) FROM await.queue q WHERE NOT q.named));
    RETURN (SELECT last_value FROM await.queues) >= most;
END $$;

-- The number of a queue. A queue is created when it is first used. `p_named`: an operator named it in the configuration, so it
-- does not count against the limit.
CREATE OR REPLACE FUNCTION await.queue_id(p_name text, p_named boolean DEFAULT false) RETURNS int4
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    found_id int4;
BEGIN
    SELECT q.id INTO found_id FROM await.queue q WHERE q.name = p_name;
    IF FOUND THEN
        RETURN found_id;
    ELSIF p_name IS NULL OR p_name !~ '^[A-Za-z0-9_.-]{1,64}$' THEN
        RAISE EXCEPTION 'a queue''s name is 1 to 64 of A-Z a-z 0-9 _ . -, not %', quote_nullable(left(p_name, 80)) USING ERRCODE = '22023';
    ELSIF NOT p_named AND await.queues_are_full() THEN
        RAISE EXCEPTION 'queue % is not created: there are as many queues as await.limits permits', quote_literal(p_name)
            USING ERRCODE = '53400', HINT = 'name it literally in the configuration, or raise await.limits.queues';
    END IF;
    FOR i IN 1 .. 100 LOOP                   -- another may create it meanwhile, or its number may be taken
        INSERT INTO await.queue (name, named) VALUES (p_name, p_named) ON CONFLICT DO NOTHING;
        IF FOUND AND NOT p_named THEN
            PERFORM nextval('await.queues');
        END IF;
        SELECT q.id INTO found_id FROM await.queue q WHERE q.name = p_name;
        EXIT WHEN FOUND;
    END LOOP;
    IF found_id IS NULL THEN
        RAISE EXCEPTION 'queue % cannot be created', quote_literal(p_name) USING ERRCODE = '53400';
    END IF;
    RETURN found_id;
END $$;
