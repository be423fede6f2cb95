-- What await-relay keeps: who leads, and how far each sink has come. Rows are inserted, and the ones before deleted:
-- the newest counts. Nothing is updated, so that a snapshot that somebody holds slows down nothing.

-- Every event, and every job (event 1), in the order of transactions and within them (await.relay_page). These replace
-- indexes of the transaction alone. Each job is in one of the two.
DROP INDEX await.event_xid;
CREATE INDEX event_xid ON await.event (xid, eid);
DROP INDEX await.job_xid;
CREATE INDEX job_xid ON await.job (xid, eid) WHERE owner IS NOT NULL;
CREATE INDEX job_xid_ownerless ON await.job (xid, eid) WHERE owner IS NULL;

-- The leader of the relays of a name. `token` grows with each change of the leader: what one writes is refused once
-- there is a newer token (await.relay_holds).
CREATE TABLE await.relay_leader (
    relay  text NOT NULL CHECK (relay ~ '^[A-Za-z0-9_.-]{1,64}$'),
    no     bigint NOT NULL,
    token  bigint NOT NULL,
    holder text NOT NULL,
    since  timestamptz NOT NULL,             -- when it began to lead
    until  timestamptz NOT NULL,
    PRIMARY KEY (relay, no)
);

-- How far a sink has come: everything before `cursor` (await.events_after) was delivered. The counts grow.
CREATE TABLE await.relay_cursor (
    relay     text NOT NULL,
    sink      text NOT NULL CHECK (sink ~ '^[A-Za-z0-9_.:-]{1,128}$'),
    no        bigint NOT NULL,
    cursor    text NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    delivered bigint NOT NULL DEFAULT 0,     -- events
    failures  bigint NOT NULL DEFAULT 0,     -- pages that were not delivered, and are tried again
    reason    text,                          -- of the last one; NULL: the last page was delivered
    PRIMARY KEY (relay, sink, no)
);
ALTER TABLE await.relay_leader SET (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE await.relay_cursor SET (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.02);
