-- The table of the leaderboard, created by the owner of the schema. conf/recipes/score writes to it as a worker.
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS public.best (player text PRIMARY KEY CHECK (length(player) BETWEEN 1 AND 40), score int NOT NULL);
GRANT SELECT, INSERT, UPDATE ON public.best TO await_worker;
