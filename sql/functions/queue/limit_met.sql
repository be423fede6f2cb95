-- Which limit of waiting jobs p_jobs more of this owner would exceed in a queue: 'queue', of p_most in all; 'owner', of
-- p_owner_most of the owner; NULL: none. `retry_ms`: when there may be room. Limits that are NULL are none. What other
-- transactions store at the same moment is not seen.
CREATE OR REPLACE FUNCTION await.limit_met(p_queue int4, p_owner text, p_jobs int, p_most int, p_owner_most int,
    OUT refused text, OUT retry_ms int8)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    of_owner CONSTANT boolean := p_owner_most IS NOT NULL AND p_owner IS NOT NULL;
    beyond   int;                            -- how many have to be claimed first
BEGIN
    PERFORM await.ask_of_queue(p_queue, of_owner);
    IF of_owner THEN
        beyond := await.count_waiting(p_queue, p_owner, p_owner_most) + p_jobs - p_owner_most;
        IF beyond > 0 THEN
            refused := 'owner';
            retry_ms := await.retry_ms(p_queue, await.owner_ahead(p_queue, p_owner) + beyond - 1);
            RETURN;
        END IF;
    END IF;
    IF p_most IS NULL THEN
        RETURN;
    END IF;
    beyond := await.count_waiting(p_queue, NULL, p_most) + p_jobs - p_most;
    IF beyond > 0 THEN
        refused := 'queue';
        retry_ms := await.retry_ms(p_queue, beyond);
    END IF;
END $$;
