-- An operator's limit: a whole number, or "off".
CREATE OR REPLACE FUNCTION await.limit_of(p_settings jsonb, p_name text, p_most int) RETURNS int
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    value text := p_settings ->> p_name;
BEGIN
    IF value IS NULL OR value = 'off' THEN
        RETURN NULL;
    ELSIF value !~ '^[0-9]{1,9}$' OR value::int NOT BETWEEN 1 AND p_most THEN
        RAISE EXCEPTION '% is a number from 1 to %, or off, not %', p_name, p_most, quote_literal(left(value, 80))
            USING ERRCODE = '22023';
    END IF;
    RETURN value::int;
END $$;

-- Sets limits of a queue, which is created if it does not exist. Settings, each a number, or "off" or null for none; what
-- is not named stays:
--   max_running            jobs of the queue that workers have at the same time
--   max_running_per_owner  of one owner
--   fair                   jobs of one owner that stand in the line at the same time; the others wait behind them
-- Jobs that wait already are sorted by await.sort_queue(), until it returns NULL.
CREATE OR REPLACE FUNCTION await.set_queue(queue text, settings jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    in_queue int4;
    wrong    text;
    q        await.queue;
BEGIN
    IF settings IS NULL OR jsonb_typeof(settings) <> 'object' THEN
        RAISE EXCEPTION 'the settings of await.set_queue are a JSON object' USING ERRCODE = '22023';
    END IF;
    SELECT string_agg(left(k, 80), ', ') INTO wrong FROM (SELECT k FROM jsonb_object_keys(settings) k
        WHERE k NOT IN ('max_running', 'max_running_per_owner', 'fair') LIMIT 10) u;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'await.set_queue has no setting %', wrong USING ERRCODE = '22023';
    END IF;
    in_queue := await.queue_id(set_queue.queue, true);
    UPDATE await.queue k SET named = true,
        max_running = CASE WHEN settings ? 'max_running'
            THEN await.limit_of(settings, 'max_running', 1000000) ELSE k.max_running END,
        max_running_per_owner = CASE WHEN settings ? 'max_running_per_owner'
            THEN await.limit_of(settings, 'max_running_per_owner', 1000000) ELSE k.max_running_per_owner END,
        fair = CASE WHEN settings ? 'fair' THEN await.limit_of(settings, 'fair', 1000) ELSE k.fair END
        WHERE k.id = in_queue RETURNING * INTO q;
    IF q.managed THEN                        -- those that run already count
        UPDATE await.lease l SET queue = in_queue, lane = await.lane(j.queue, j.priority), owner = j.owner,
            no = nextval('await.pos')
            FROM await.job j WHERE l.queue IS NULL AND j.class = await.class(l.job) AND j.id = l.job
                AND j.queue = in_queue;
    END IF;
    PERFORM await.admit_all(in_queue);
    IF await.notifies() THEN
        PERFORM await.notify_work(ARRAY[set_queue.queue]);
    END IF;
END $$;
