-- The row of a batch in await.job. An error (22023) if there is none.
CREATE OR REPLACE FUNCTION await.find_batch(p_batch uuid) RETURNS await.job
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    b await.job;
BEGIN
    IF await.is_batch(p_batch) THEN
        SELECT * INTO b FROM await.job j WHERE j.class = await.class(p_batch) AND j.id = p_batch;
    END IF;
    IF b.id IS NULL THEN
        RAISE EXCEPTION 'there is no batch %', p_batch USING ERRCODE = '22023';
    END IF;
    RETURN b;
END $$;
