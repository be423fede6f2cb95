-- What has happened in each queue, for operators: await.count_events() adds up the events since its last call, every few seconds in
-- one session. So nothing is counted where jobs are submitted, claimed and completed, and no row here is written by two sessions.

-- The counts of a queue since it was first used. Histograms have the buckets of await.buckets(), each without the smaller ones.
CREATE TABLE await.queue_count (
    queue     int4 PRIMARY KEY,
    completed bigint NOT NULL DEFAULT 0,
    failed    bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    expired   bigint NOT NULL DEFAULT 0,
    retries   bigint NOT NULL DEFAULT 0,      -- attempts that failed and were followed by another
    waits     bigint[] NOT NULL,              -- from when a job could be claimed to its claim
    wait_sum  float8 NOT NULL DEFAULT 0,      -- in seconds
    runs      bigint[] NOT NULL,              -- from a claim to the end of the attempt
    run_sum   float8 NOT NULL DEFAULT 0,
    totals    bigint[] NOT NULL,              -- from the submission to the end of the job
    total_sum float8 NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- Which events have been counted: those that this snapshot sees. `system`: the server whose transactions it is about.
CREATE TABLE await.counted (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    upto   pg_snapshot NOT NULL,
    at     timestamptz NOT NULL,
    system bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO await.counted (upto, at, system) SELECT pg_current_snapshot(), clock_timestamp(), system_identifier FROM pg_control_system();
