-- What came of attempts: arrays of one length. `p_attempts`: how many were made before; another number means that
-- another relay has been there, and nothing is changed. `p_outcomes`: 'delivered'; 'retry', after p_delays
-- milliseconds; 'dead'; 'gone', which also disables the endpoint, or ends what else the job's own URL would get;
-- 'unsent', dead without an attempt. `p_statuses`: of the response, if there was one. `p_spans`: milliseconds that it
-- took. `p_events`: "JOB:SEQ" of each; after a failover that has lost deliveries, others may have their ids. One that
-- would be repeated after its three days is dead. Returns how many became due by the end of one before them.
CREATE OR REPLACE FUNCTION await.finish_deliveries(p_ids bigint[], p_attempts int4[], p_outcomes text[],
    p_delays int8[], p_statuses int2[], p_errors text[], p_spans int4[], p_events text[] DEFAULT NULL) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    r      record;
    state  text;
    next   bigint;
    passed int := 0;
BEGIN
    FOR r IN
        SELECT g.*, u.job, u.webhook, u.seq, u.until, u.host, u.attempts AS made
        FROM unnest(p_ids, p_attempts, p_outcomes, p_delays, p_statuses, p_errors, p_spans, p_events)
             g (id, attempts, outcome, delay, status, error, ms, event)
        JOIN await.delivery_due u ON u.delivery = g.id AND u.attempts = g.attempts
            AND (g.event IS NULL OR u.job || ':' || u.seq = g.event)
        ORDER BY u.job, u.webhook, u.seq
    LOOP
        DELETE FROM await.delivery_due u WHERE u.delivery = r.id AND u.attempts = r.attempts;
        CONTINUE WHEN NOT FOUND;             -- another relay was faster
        IF r.outcome <> 'unsent' THEN
            -- sent again after its end, it counts on
            INSERT INTO await.delivery_attempt (delivery, n, at, ms, status, error)
                SELECT r.id, coalesce(max(a.n), 0) + 1, clock_timestamp(), r.ms, r.status, left(r.error, 500)
                FROM await.delivery_attempt a WHERE a.delivery = r.id;
        END IF;
        state := CASE WHEN r.outcome = 'delivered' THEN 'delivered'
                      WHEN r.outcome = 'retry' AND clock_timestamp() + r.delay * interval '1 ms' <= r.until THEN NULL
                      ELSE 'dead' END;
        PERFORM nextval('await.deliveries_failed') WHERE r.outcome IN ('retry', 'dead', 'gone');
        IF state IS NULL THEN
            INSERT INTO await.delivery_due (job, webhook, seq, delivery, host, due, until, attempts)
                VALUES (r.job, r.webhook, r.seq, r.id, r.host, clock_timestamp() + r.delay * interval '1 ms', r.until,
                        r.attempts + 1);
            CONTINUE;
        END IF;
        PERFORM nextval('await.deliveries_' || state);
        INSERT INTO await.delivery_end (delivery, state) VALUES (r.id, state);
        IF r.outcome = 'gone' THEN
            UPDATE await.webhook w SET disabled_at = clock_timestamp(), disabled_for = '410 Gone'
                WHERE w.id = r.webhook AND w.disabled_at IS NULL;
            IF r.webhook = 0 THEN
                WITH ended AS (
                    DELETE FROM await.delivery_due u WHERE u.job = r.job AND u.webhook = 0 RETURNING u.delivery)
                INSERT INTO await.delivery_end (delivery, state) SELECT n.delivery, 'dead' FROM ended n;
            END IF;
        END IF;
        SELECT u.delivery INTO next FROM await.delivery_due u
            WHERE u.job = r.job AND u.webhook = r.webhook ORDER BY u.seq LIMIT 1;
        IF FOUND THEN
            -- its three days are those of its own event; an attempt that is due is made in any case
            UPDATE await.delivery_due u SET due = clock_timestamp()
                WHERE u.delivery = next AND u.due = 'infinity';
            passed := passed + 1;
        END IF;
    END LOOP;
    RETURN passed;
END $$;
