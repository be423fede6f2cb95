-- Announces, once per transaction, that this transaction will draw positions from await.pos. Call it before the first draw.
--
-- The announcement is a shared advisory transaction lock. Its number is a lower bound of what the transaction will draw: the
-- sequence's last value. await.advance_horizon() stays below it until the transaction ends (t/model/queue.pml). Any login can
-- hold exactly that lock against us, so nobody waits for it: if it is taken, a random lower number is tried, farther below with
-- each try. A number that is too low only delays the horizon. The number has 48 bits with a sign.
CREATE OR REPLACE FUNCTION await.reserve_positions() RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    last_pos bigint;
BEGIN
    IF current_setting('await.positions_reserved', true) IS NOT DISTINCT FROM transaction_timestamp()::text THEN
        RETURN;
    END IF;
    SELECT last_value INTO last_pos FROM await.pos;
    FOR bits IN 0 .. 40 BY 4 LOOP
        IF pg_try_advisory_xact_lock_shared((x'4157'::bigint << 48)
                | ((last_pos - floor(random() * (1::bigint << bits))::bigint) & x'ffffffffffff'::bigint)) THEN
            PERFORM set_config('await.positions_reserved', transaction_timestamp()::text, true);
            RETURN;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'another session holds the advisory locks that announce positions'
        USING ERRCODE = '55P03', HINT = 'see pg_locks, classid 1096220672 and above';
END $$;
