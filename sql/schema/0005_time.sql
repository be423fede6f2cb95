-- Jobs that outlast their retention, clocks that are set, and rows that a dump brought from another server.

-- On which later days jobs of a day ended: retention counts from the end. A job that ends on its own day or the next is not noted.
-- No unique index, as in await.queue_used.
CREATE TABLE await.late_ending (class int2 NOT NULL, day date NOT NULL, ended date NOT NULL);
CREATE INDEX late_ending_day ON await.late_ending (class, day, ended);

-- The database that these rows belong to: its server's system identifier, and its oid. A dump that is restored elsewhere is known by
-- it (await.settle). Rows up to `floor` (an eid) were written by another server, whose transaction numbers mean nothing here: every
-- snapshot of this server has seen them. `foreign_rows`: some of them may still have numbers that this server has yet to give.
CREATE TABLE await.home (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    system       bigint NOT NULL,
    database     oid NOT NULL,
    floor        bigint NOT NULL DEFAULT 0,
    foreign_rows boolean NOT NULL DEFAULT false
);
INSERT INTO await.home (system, database)
    SELECT s.system_identifier, d.oid FROM pg_control_system() s, pg_database d WHERE d.datname = current_database();
