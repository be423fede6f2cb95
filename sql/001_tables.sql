-- The tables. Everything is inserted and deleted, almost nothing is updated: an updated row is what
-- kills a queue under a forgotten BEGIN. docs/architecture.md tells the reasons at length.

CREATE SCHEMA IF NOT EXISTS await;

-- Retention. The class of a job stands in the two low bits of its id's milliseconds, so that every
-- table can be cut by (class, id) and a whole day goes by DROP instead of DELETE.
CREATE TABLE await.retention (
    class int2 PRIMARY KEY CHECK (class BETWEEN 0 AND 3),
    name  text NOT NULL UNIQUE,
    keep  interval,                          -- null: for ever
    step  interval NOT NULL,                 -- the length of one partition
    ahead interval NOT NULL DEFAULT '7 days' -- how far ahead partitions are made
);
INSERT INTO await.retention (class, name, keep, step) VALUES
    (0, '1d',   '1 day',   '1 day'),
    (1, '7d',   '7 days',  '1 day'),
    (2, '90d',  '90 days', '30 days'),
    (3, 'keep', NULL,      '360 days');

CREATE TABLE await.queue (
    id           int2 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9_.-]{1,64}$'),
    lease        interval NOT NULL DEFAULT '5 minutes' CHECK (lease >= '1 second'),
    max_attempts int2 NOT NULL DEFAULT 5 CHECK (max_attempts >= 1),
    backoff_min  interval NOT NULL DEFAULT '2 seconds',
    backoff_max  interval NOT NULL DEFAULT '1 hour'
);

CREATE SEQUENCE await.eid;                   -- orders events in every cursor over many jobs
CREATE SEQUENCE await.pos;                   -- orders the ready rows of a lane
CREATE SEQUENCE await.ticked MINVALUE 0 START 0; -- the second in which somebody last reaped

-- A job is written once and never changed; it is event 1 ("pending") of its own history, and the
-- lock on its row serialises that history.
CREATE TABLE await.job (
    class          int2 NOT NULL,
    id             uuid NOT NULL,
    queue          int2 NOT NULL,
    priority       int2 NOT NULL DEFAULT 0 CHECK (priority BETWEEN -100 AND 100),
    owner          text,
    batch          uuid,
    phase          text,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    eid            bigint NOT NULL DEFAULT nextval('await.eid'),
    xid            xid8 NOT NULL DEFAULT pg_current_xact_id(),
    correlation_id text,
    trace          text,
    content_type   text NOT NULL DEFAULT 'application/octet-stream',
    file_name      text,
    params         jsonb,
    payload        bytea,                    -- null: in await.chunk, kind 'p'
    payload_size   bigint NOT NULL,
    lease          interval,                 -- null: the queue's
    max_attempts   int2,                     -- null: the queue's
    due            timestamptz,              -- not before
    deadline       timestamptz,              -- expires then
    retry_of       uuid,
    extra          jsonb,                    -- what later features keep with a job
    PRIMARY KEY (class, id)
) PARTITION BY RANGE (class, id);
ALTER TABLE await.job ALTER payload SET STORAGE EXTERNAL;

-- Every change of a job, seq 2, 3, 4 … without a hole. Each row repeats the state after it, so the
-- newest row is the job's whole state.
CREATE TABLE await.event (
    class        int2 NOT NULL,
    job          uuid NOT NULL,
    seq          int4 NOT NULL CHECK (seq >= 2),
    eid          bigint NOT NULL DEFAULT nextval('await.eid'),
    xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
    owner        text,
    type         text NOT NULL,
    state        text NOT NULL,
    attempt      int2 NOT NULL,
    progress     int4,                       -- seq of the newest progress event up to here
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    data         jsonb,
    event_id     text,                       -- the worker's own id: a repeat changes nothing
    ending       boolean NOT NULL DEFAULT false,
    status       int2,                       -- these five only in "completed"
    content_type text,
    file_name    text,
    size         bigint,
    body         bytea,                      -- null with a size: in await.chunk, kind 'r'
    PRIMARY KEY (class, job, seq)
) PARTITION BY RANGE (class, job);
ALTER TABLE await.event ALTER body SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX event_one_ending ON await.event (class, job) WHERE ending;
CREATE UNIQUE INDEX event_once ON await.event (class, job, event_id) WHERE event_id IS NOT NULL;
CREATE INDEX event_xid ON await.event (xid);

-- Large bodies, committed piece by piece. Without a job row they are garbage.
CREATE TABLE await.chunk (
    class   int2 NOT NULL,
    job     uuid NOT NULL,
    kind    "char" NOT NULL CHECK (kind IN ('p', 'r')), -- payload, result
    attempt int2 NOT NULL,                              -- 0 for a payload
    n       int4 NOT NULL,
    pos     bigint NOT NULL,                            -- offset of the first byte
    bytes   bytea NOT NULL,
    PRIMARY KEY (class, job, kind, attempt, n)
) PARTITION BY RANGE (class, job);
ALTER TABLE await.chunk ALTER bytes SET STORAGE EXTERNAL;
CREATE INDEX chunk_pos ON await.chunk (class, job, kind, attempt, pos);

-- What waits for a worker. A lane is a queue and a priority: queue << 8 | 100 - priority.
CREATE TABLE await.ready (
    lane int4 NOT NULL, pos bigint NOT NULL, job uuid NOT NULL, attempt int2 NOT NULL,
    PRIMARY KEY (lane, pos)
);
-- Where claim starts reading a lane: no ready row lies below. Also the list of lanes in use.
CREATE TABLE await.mark (lane int4 PRIMARY KEY, pos bigint NOT NULL);

CREATE TABLE await.delayed (
    due timestamptz NOT NULL, pos bigint NOT NULL DEFAULT nextval('await.pos'),
    lane int4 NOT NULL, job uuid NOT NULL, attempt int2 NOT NULL,
    PRIMARY KEY (due, pos)
);
CREATE TABLE await.deadline (at timestamptz NOT NULL, job uuid NOT NULL, PRIMARY KEY (at, job));

-- Who works on what. The row with the attempt's number is the fence: who has none changes nothing.
CREATE TABLE await.lease (
    job uuid PRIMARY KEY, attempt int2 NOT NULL, worker text,
    span interval NOT NULL, until timestamptz NOT NULL
);
CREATE INDEX lease_until ON await.lease (until);

ALTER TABLE await.ready   SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE await.lease   SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE await.delayed SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);
