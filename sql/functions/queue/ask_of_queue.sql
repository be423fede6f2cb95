-- Notes that somebody asks how fast a queue is, and, with p_quotas, how many jobs of an owner wait in it. Waits for
-- nobody: while an operator or a claim has the queue locked (await.take_turn), it is left to whoever asks next.
CREATE OR REPLACE FUNCTION await.ask_of_queue(p_queue int4, p_quotas boolean) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    UPDATE await.queue q SET rated = true, quotas = q.quotas OR p_quotas WHERE q.ctid = ANY (ARRAY(
        SELECT k.ctid FROM await.queue k WHERE k.id = p_queue AND (NOT k.rated OR p_quotas AND NOT k.quotas)
        FOR NO KEY UPDATE SKIP LOCKED));
END $$;
