-- Where a timeline began. PostgreSQL numbers a timeline by those that the promoted server has heard of, so two standbys that are
-- promoted apart from each other, or a former primary that is promoted without pg_rewind, get the same number. The first edge that
-- greets a server on a new timeline draws a random name (await.open_timeline), which the others cannot have in their history.
-- A row counts only in the table in which it was written: a dump that is restored is another branch, too.
CREATE TABLE await.branch (
    system   bigint NOT NULL,                -- the system identifier
    number   text NOT NULL,                  -- of the timeline, as in the names of WAL files
    relation oid NOT NULL,                   -- of this table
    name     text NOT NULL,
    since    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (system, number, relation)
);
-- The timeline on which this file is applied keeps its name without a branch, so that cursors stay valid.
INSERT INTO await.branch (system, number, relation, name)
SELECT s.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8), 'await.branch'::regclass, '' FROM pg_control_system() s;
