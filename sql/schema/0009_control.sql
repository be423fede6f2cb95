-- What operators set for a queue, and who waits for whom.

ALTER TABLE await.queue
    ADD paused boolean NOT NULL DEFAULT false,       -- claims get nothing
    ADD max_running int CHECK (max_running >= 1),    -- claimed at the same time; NULL: any number
    ADD max_running_per_owner int CHECK (max_running_per_owner >= 1),
    ADD fair int2 CHECK (fair BETWEEN 1 AND 1000),   -- jobs of one owner that stand in a lane; NULL: all of them
    ADD quotas boolean NOT NULL DEFAULT false,       -- how many jobs of an owner wait was asked for
    ADD rated boolean NOT NULL DEFAULT false,        -- how fast it is was asked for
    ADD managed boolean GENERATED ALWAYS AS
        (max_running IS NOT NULL OR max_running_per_owner IS NOT NULL OR fair IS NOT NULL) STORED,
    ADD special boolean GENERATED ALWAYS AS
        (max_running IS NOT NULL OR max_running_per_owner IS NOT NULL OR fair IS NOT NULL OR quotas) STORED;
-- So that whoever has no such queue pays one look at an empty index.
CREATE INDEX queue_special ON await.queue (id) WHERE special;
CREATE INDEX queue_rated ON await.queue (id) WHERE rated;

-- How many jobs a second were claimed of late, as await.count_events() saw it at `rate_at`.
ALTER TABLE await.queue_count ADD rate float8 NOT NULL DEFAULT 0, ADD rate_at timestamptz;

-- In special queues, `owner` is the job's. Of an owner's jobs in a lane of a managed queue, the rest waits in
-- await.held; `origin` is the position that the job had in there, or its own. An owner's jobs leave await.held in the
-- order of their positions, so the highest origin says where the rest begins: no scan begins before it, however many
-- rows were deleted there.
ALTER TABLE await.ready ADD owner text, ADD origin bigint;
CREATE INDEX ready_of_owner ON await.ready (lane, owner, pos) WHERE owner IS NOT NULL;
CREATE INDEX ready_of_job ON await.ready (job) WHERE owner IS NOT NULL;
ALTER TABLE await.delayed ADD owner text;
CREATE INDEX delayed_of_lane ON await.delayed (lane, owner, job);
CREATE TABLE await.held (
    lane bigint NOT NULL, owner text NOT NULL, pos bigint NOT NULL, job uuid NOT NULL, attempt int2 NOT NULL,
    PRIMARY KEY (lane, owner, pos)
);
CREATE INDEX held_of_job ON await.held (job);
-- Which owner's jobs came into await.held lately, from which position on: whoever claimed or ended a job meanwhile did
-- not see them, so await.visit_held() looks again. One row of a transaction, lane and owner.
CREATE TABLE await.held_note (
    id    bigint PRIMARY KEY DEFAULT nextval('await.pos'),
    lane  bigint NOT NULL, owner text NOT NULL, pos bigint NOT NULL,
    xid   xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX held_note_of_owner ON await.held_note (lane, owner, xid);
-- Below it there is no such note.
CREATE SEQUENCE await.held_notes MINVALUE 0 START 0;

-- Of jobs of queues with a limit on those that run; NULL otherwise. `no` grows with each claim and each heartbeat, so
-- that those that live are found behind a low-water mark: the lane of that mark is -queue.
ALTER TABLE await.lease ADD queue int4, ADD lane bigint, ADD owner text, ADD no bigint, ADD origin bigint;
CREATE INDEX lease_of_queue ON await.lease (queue, no) WHERE queue IS NOT NULL;
CREATE INDEX lease_of_owner ON await.lease (queue, owner, no) WHERE queue IS NOT NULL;

ALTER TABLE await.held      SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE await.held_note SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02);

-- Ended jobs that were run once more, and by which job first (await.edge_retry, await.retry_many).
CREATE TABLE await.retried (class int2 NOT NULL, job uuid NOT NULL, retry uuid NOT NULL, PRIMARY KEY (class, job));
