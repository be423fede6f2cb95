-- Batches: jobs that are submitted together, counted together, and followed by one event "batch.ready".
--
-- A batch is a row of await.job that no worker claims, as a topic is, and its events are the events of that row: so it
-- has an owner, cursors, a retention and one ending as every job has. Its id is a UUIDv8; those of jobs are UUIDv7
-- (await.is_batch). `extra` has "phases", the names of its phases in their order, "on_ready", the queue of the job that
-- is created when it is ready, and of a batch that was cancelled or expired the last "totals".

-- The batches that have not ended. Only who has locked the batch's row in await.job writes here.
CREATE TABLE await.batch_live (
    batch uuid PRIMARY KEY,
    told  timestamptz NOT NULL,              -- when the last event "progress" was written, or the batch created
    pause interval NOT NULL,                 -- the next one is written so much later, or after that
    visit timestamptz NOT NULL,              -- when await.visit_batches() looks at it next
    total int4 NOT NULL DEFAULT 0            -- the jobs in it, as of then
) WITH (fillfactor = 50);
CREATE INDEX batch_live_visit ON await.batch_live (visit);

-- The jobs of these batches that have not ended. Rows are inserted with the job and deleted with its ending. So nothing
-- is counted, and those who end jobs of one batch do not wait for each other (await.batch_jobs_ended).
CREATE TABLE await.batch_open (
    batch uuid NOT NULL, job uuid NOT NULL, phase text,
    PRIMARY KEY (batch, job)
);

-- How many jobs of a phase were added, a row for each time.
CREATE TABLE await.batch_added (batch uuid NOT NULL, phase text, jobs int4 NOT NULL);
CREATE INDEX batch_added_batch ON await.batch_added (batch);

-- The jobs of these batches that ended, but not as completed.
CREATE TABLE await.batch_loss (
    batch uuid NOT NULL, job uuid NOT NULL, phase text, state text NOT NULL,
    PRIMARY KEY (batch, job)
);

-- Batches for which maintenance has to do something: to cancel the jobs of one that was cancelled or expired; or to see
-- whether one is ready, because its jobs were ended in a transaction that does not see what others commit (REPEATABLE
-- READ).
CREATE TABLE await.batch_todo (at timestamptz NOT NULL DEFAULT clock_timestamp(), batch uuid NOT NULL);
CREATE INDEX batch_todo_at ON await.batch_todo (at, batch);

-- Jobs of a batch that is being received, before they are submitted all at once. Rows without a batch are deleted after
-- a day.
CREATE TABLE await.batch_stage (
    batch        uuid NOT NULL,
    n            int4 NOT NULL,              -- its place, from 1
    id           uuid NOT NULL,
    queue        text NOT NULL,
    phase        text,
    priority     int2 NOT NULL,
    content_type text NOT NULL,
    file_name    text,
    params       text,
    payload      bytea,                      -- NULL: in await.chunk
    size         bigint NOT NULL,
    lease        bigint,                     -- these three in milliseconds
    delay        bigint,
    deadline     bigint,
    max_attempts int2,
    PRIMARY KEY (batch, n)
);
ALTER TABLE await.batch_stage ALTER payload SET STORAGE EXTERNAL;

-- The jobs of a batch.
CREATE INDEX job_batch ON await.job (batch, id) WHERE batch IS NOT NULL;

ALTER TYPE await.job_head ADD ATTRIBUTE batch uuid;
ALTER TYPE await.job_head ADD ATTRIBUTE phase text;

ALTER TABLE await.batch_open  SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE await.batch_stage SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);
