-- The leaderboard's own table, made by the schema's owner; conf/recipes/score writes it as a worker.
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS public.best (player text PRIMARY KEY CHECK (length(player) BETWEEN 1 AND 40), score int NOT NULL);
GRANT SELECT, INSERT, UPDATE ON public.best TO await_worker;
