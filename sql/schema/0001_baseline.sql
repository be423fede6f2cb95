-- The tables, types and sequences. Rows are inserted and deleted, almost none is updated: under a snapshot that somebody holds,
-- dead versions of updated rows stay, and would make a queue slow (docs/architecture.md).
--
-- Never change a file of this directory once it is released; add the next number. sql/README.md has the rules.

-- --- retention -----------------------------------------------------------------------------------------------------

-- The class of a job stands in the two low bits of the milliseconds of its id (await.class), so that every large table can be
-- partitioned by (class, id), and a whole day is deleted by DROP TABLE.
CREATE TABLE await.retention (
    class int2 PRIMARY KEY CHECK (class BETWEEN 0 AND 3),
    name  text NOT NULL UNIQUE,
    keep  interval,                          -- NULL: for ever
    step  interval NOT NULL,                 -- the length of one partition
    ahead interval NOT NULL DEFAULT '7 days' -- how far ahead partitions are created
);
INSERT INTO await.retention (class, name, keep, step) VALUES
    (0, '1d',   '1 day',   '1 day'),
    (1, '7d',   '7 days',  '1 day'),
    (2, '90d',  '90 days', '30 days'),
    (3, 'keep', NULL,      '360 days');

-- --- limits --------------------------------------------------------------------------------------------------------

CREATE TABLE await.limits (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    queues     int NOT NULL DEFAULT 10000 CHECK (queues >= 0),  -- created by their first use; those edges name do not count
    topics     int NOT NULL DEFAULT 100000 CHECK (topics >= 0),
    topic_keep interval NOT NULL DEFAULT '7 days' CHECK (topic_keep >= '1 hour') -- a topic without an event for so long is deleted
);
INSERT INTO await.limits DEFAULT VALUES;

-- --- queues --------------------------------------------------------------------------------------------------------

CREATE TABLE await.queue (
    id           int4 GENERATED ALWAYS AS IDENTITY (CYCLE) PRIMARY KEY, -- CYCLE: numbers of deleted queues may be used again
    name         text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9_.-]{1,64}$'),
    lease        interval NOT NULL DEFAULT '5 minutes' CHECK (lease >= '1 second'),
    max_attempts int2 NOT NULL DEFAULT 5 CHECK (max_attempts >= 1),
    backoff_min  interval NOT NULL DEFAULT '2 seconds',
    backoff_max  interval NOT NULL DEFAULT '1 hour',
    named        boolean NOT NULL DEFAULT false -- by a configuration, or one of our own: never deleted
);
-- On which days a queue got jobs of a class: it stays as long as these jobs do. Two transactions may note the same day; with a
-- unique index one would wait for the other, however long that is.
CREATE TABLE await.queue_used (queue int4 NOT NULL, class int2 NOT NULL, day date NOT NULL);
CREATE INDEX queue_used_day ON await.queue_used (queue, class, day);
-- At least the number of queues that were created by their first use. A sequence, because it is counted outside of transactions.
CREATE SEQUENCE await.queues MINVALUE 0 START 0;
SELECT setval('await.queues', 0);            -- so that the first nextval() is 1

-- --- jobs and their events -----------------------------------------------------------------------------------------

CREATE SEQUENCE await.eid;                   -- orders events in every cursor over many jobs
CREATE SEQUENCE await.pos;                   -- orders the ready rows of a lane

-- A job is written once and never changed. It is event 1 ("pending") of its own history, and the lock on its row serialises
-- that history. The default of eid takes the transaction's number first: await.user_walk() needs that order.
CREATE TABLE await.job (
    class          int2 NOT NULL,
    id             uuid NOT NULL,
    queue          int4 NOT NULL,
    priority       int2 NOT NULL DEFAULT 0 CHECK (priority BETWEEN -100 AND 100),
    owner          text,
    batch          uuid,
    phase          text,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    eid            bigint NOT NULL DEFAULT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('await.eid') END,
    xid            xid8 NOT NULL DEFAULT pg_current_xact_id(),
    correlation_id text,
    trace          text,
    content_type   text NOT NULL DEFAULT 'application/octet-stream',
    file_name      text,
    params         jsonb,
    payload        bytea,                    -- NULL: in await.chunk, kind 'p'
    payload_size   bigint NOT NULL,
    lease          interval,                 -- NULL: the queue's
    max_attempts   int2,                     -- NULL: the queue's
    due            timestamptz,              -- not before
    deadline       timestamptz,              -- expires then
    retry_of       uuid,
    extra          jsonb,                    -- of a topic: "base", the seq that its first event follows
    PRIMARY KEY (class, id)
) PARTITION BY RANGE (class, id);
ALTER TABLE await.job ALTER payload SET STORAGE EXTERNAL;

-- Every change of a job: seq 2, 3, 4, ... without a hole. Each row repeats the state after it, so the newest row is the job's
-- whole state. A topic's events have the state "processing", or "pending" where only the latest counts.
CREATE TABLE await.event (
    class        int2 NOT NULL,
    job          uuid NOT NULL,
    seq          int4 NOT NULL CHECK (seq >= 2),
    eid          bigint NOT NULL DEFAULT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('await.eid') END,
    xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
    owner        text,
    type         text NOT NULL,
    state        text NOT NULL,
    attempt      int2 NOT NULL,
    progress     int4,                       -- seq of the newest progress event so far
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    data         jsonb,
    event_id     text,                       -- the worker's own id: a repeat changes nothing
    ending       boolean NOT NULL DEFAULT false,
    status       int2,                       -- these five only in "completed"
    content_type text,
    file_name    text,
    size         bigint,
    body         bytea,                      -- NULL with a size: in await.chunk, kind 'r'
    PRIMARY KEY (class, job, seq)
) PARTITION BY RANGE (class, job);
ALTER TABLE await.event ALTER body SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX event_one_ending ON await.event (class, job) WHERE ending;
CREATE UNIQUE INDEX event_once ON await.event (class, job, event_id) WHERE event_id IS NOT NULL;

-- For await.edge_tail().
CREATE INDEX event_xid ON await.event (xid);
CREATE INDEX job_xid ON await.job (xid) WHERE owner IS NOT NULL;
-- For await.edge_user_events(): a short range by its transactions, a long one by eid.
CREATE INDEX event_owner_eid ON await.event (owner, eid) WHERE owner IS NOT NULL;
CREATE INDEX job_owner_eid ON await.job (owner, eid) WHERE owner IS NOT NULL;
CREATE INDEX event_owner_xid ON await.event (owner, xid, eid) WHERE owner IS NOT NULL;
CREATE INDEX job_owner_xid ON await.job (owner, xid, eid) WHERE owner IS NOT NULL;

-- Large bodies, committed piece by piece. Pieces without a job row are deleted after a day.
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

-- A job's newest state, as await.lock_job() returns it.
CREATE TYPE await.job_head AS (
    id uuid, owner text, queue int4, priority int2, max_attempts int2,
    seq int4, state text, attempt int2, progress int4, ended boolean
);

-- Topics are rows of await.job that no worker claims (await.publish). Their ids stand behind those of all times.
CREATE TABLE await.job_topic PARTITION OF await.job
    FOR VALUES FROM (3, 'ffffffff-ffff-0000-0000-000000000000') TO (3, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
CREATE TABLE await.event_topic PARTITION OF await.event
    FOR VALUES FROM (3, 'ffffffff-ffff-0000-0000-000000000000') TO (3, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
-- At least the number of topics, set right by purge.
CREATE SEQUENCE await.topics MINVALUE 0 START 0;
SELECT setval('await.topics', 0);
-- No deleted topic had a higher seq. A topic that comes back goes on behind it, with a gap, so that an older cursor learns that
-- it missed something.
CREATE SEQUENCE await.topic_floor MINVALUE 0 START 0;

-- --- what waits for a worker ---------------------------------------------------------------------------------------

-- A lane is a queue and a priority: queue << 8 | 100 - priority.
CREATE TABLE await.ready (
    lane bigint NOT NULL, pos bigint NOT NULL, job uuid NOT NULL, attempt int2 NOT NULL,
    PRIMARY KEY (lane, pos)
);
CREATE TABLE await.lane_in_use (lane bigint PRIMARY KEY);
CREATE INDEX lane_of_queue ON await.lane_in_use ((lane >> 8)); -- for await.claim()

-- The low-water mark of a lane: await.claim() starts to read there, because no ready row lies below. The highest row of a lane
-- counts. The index is not unique, so that whoever moves a mark waits for nobody.
CREATE TABLE await.low_water (
    lane  bigint NOT NULL,
    pos   bigint NOT NULL,
    moved bigint NOT NULL DEFAULT 0          -- when, as await.last_advance has it
);
CREATE INDEX low_water_of_lane ON await.low_water (lane, pos);
-- Below the horizon there is no position that a running transaction has drawn or may yet draw. It is as of a moment ago, and
-- stays true. A sequence, because it is read and set outside of transactions.
CREATE SEQUENCE await.horizon MINVALUE 0 START 0;
CREATE SEQUENCE await.last_advance MINVALUE 0 START 0;     -- the twentieth of a second in which the horizon was last moved
CREATE SEQUENCE await.last_maintenance MINVALUE 0 START 0; -- the second in which await.run_maintenance() last ran

CREATE TABLE await.delayed (
    due timestamptz NOT NULL, pos bigint NOT NULL DEFAULT nextval('await.pos'),
    lane bigint NOT NULL, job uuid NOT NULL, attempt int2 NOT NULL,
    PRIMARY KEY (due, pos)
);
CREATE TABLE await.deadline (at timestamptz NOT NULL, job uuid NOT NULL, PRIMARY KEY (at, job));

-- --- who works on what ---------------------------------------------------------------------------------------------

-- The row with the claim's receipt is the fence: a worker without one changes nothing. The receipt is stored as it is and not
-- hashed: only the schema's owner can read it, who could change what a hash protects; and it is deleted with the claim.
CREATE TABLE await.lease (
    job uuid PRIMARY KEY, attempt int2 NOT NULL, worker text,
    span interval NOT NULL, until timestamptz NOT NULL, receipt text
);
CREATE INDEX lease_until ON await.lease (until);

-- Which queues a role may use: "*" stands for anything, "topic:" in front for topics it may publish to, '' for none. By oid, so
-- that a renamed role stays limited.
CREATE TABLE await.queue_grant (
    role  regrole NOT NULL,
    queue text NOT NULL CHECK (queue ~ '^([A-Za-z0-9_.*-]{1,64}|topic:[A-Za-z0-9_.:/*-]{1,128})?$'),
    PRIMARY KEY (role, queue)
);

-- --- edges ---------------------------------------------------------------------------------------------------------

-- Idempotency keys: a key of an owner and a queue stands for one job until it expires.
CREATE TABLE await.idem (
    owner       text NOT NULL,               -- '': unscoped
    queue       text NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,              -- of the request that came first
    job         uuid NOT NULL,
    until       timestamptz NOT NULL,
    PRIMARY KEY (owner, queue, key)
);
CREATE INDEX idem_until ON await.idem (until);

CREATE TABLE await.ticket_used (id uuid PRIMARY KEY, until timestamptz NOT NULL);
CREATE INDEX ticket_used_until ON await.ticket_used (until);

-- Whose streams were ended, and when; kept for an hour, in which every edge has learned of it.
CREATE TABLE await.revoked (owner text PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp());

-- The key that hints, tickets and cursors are signed with, in one row, with the two pads of HMAC (RFC 2104) made of it.
CREATE TABLE await.secret (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    key   bytea NOT NULL,
    inner_pad bytea NOT NULL,
    outer_pad bytea NOT NULL
);
-- Keys that were rotated out and count until then.
CREATE TABLE await.old_secret (key bytea NOT NULL, until timestamptz NOT NULL);

-- --- maintenance ---------------------------------------------------------------------------------------------------

-- Work that one session does at a time: whoever has the lock on the row, which is only tried.
CREATE TABLE await.turn (what text PRIMARY KEY);
INSERT INTO await.turn VALUES ('purge');
-- Where the last call stopped that purges a table piece by piece.
CREATE TABLE await.swept (what text, class int2, upto uuid NOT NULL, PRIMARY KEY (what, class));

ALTER TABLE await.ready       SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE await.lease       SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE await.delayed     SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE await.low_water   SET (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE await.idem        SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE await.ticket_used SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);
