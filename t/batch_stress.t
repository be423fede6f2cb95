# Many batches at once: 16 sessions complete, fail, retry, release, lose their leases and add jobs, others cancel and
# look after time,
# in every isolation. Each batch is ready once, when its last job has ended, or not at all; and nobody waits in a
# circle. The counts that a document shows meanwhile are of one moment.
# AWAIT_BATCHES: how many batches (a thousand make a minute or more)

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Database qw(background);
use Await::Test;
use Test::More;

my $batches = $ENV{AWAIT_BATCHES} // 120;
my $workers = 16;
alarm 1200 + $batches * 2;
start_stack(without => [ 'redis', 'nginx' ]);

sql(<<'SQL');
-- who ended jobs of which batch, and when his transaction had the batch in its hands
CREATE UNLOGGED TABLE test.did (batch uuid, began timestamptz, ended timestamptz);
CREATE UNLOGGED TABLE test.refused (code text);
CREATE UNLOGGED TABLE test.miscounted (document jsonb);
CREATE TABLE test.over ();

-- One thing that a worker does with a job that it has claimed.
CREATE FUNCTION test.act(c record) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    dice  float := random();
    began timestamptz := clock_timestamp();
    j     await.job;
BEGIN
    SELECT * INTO j FROM await.job k WHERE k.id = c.id;
    IF random() < 0.15 OR j.phase = 'a' AND random() < 0.9 THEN
        PERFORM await.submit(CASE WHEN random() < 0.5 THEN 's.a' ELSE 's.b' END, 'x', 'a/b',
            jsonb_strip_nulls(jsonb_build_object('batch', j.batch,
            'phase', CASE WHEN j.phase IS NOT NULL THEN 'b' END, 'max_attempts', 3)));
    END IF;
    CASE
        WHEN dice < 0.35 THEN PERFORM await.complete(c.id, c.receipt, 'x');
        WHEN dice < 0.7 THEN PERFORM await.complete_many(ARRAY[c.id], ARRAY[c.receipt], ARRAY['x'::bytea]);
        WHEN dice < 0.78 THEN PERFORM await.fail(c.id, c.receipt, '{"title": "no"}', '-1 s');
        WHEN dice < 0.84 THEN PERFORM await.fail(c.id, c.receipt, '{}', '0 s');
        WHEN dice < 0.88 THEN PERFORM await.release(c.id, c.receipt);
        WHEN dice < 0.94 THEN UPDATE await.lease SET until = clock_timestamp() - interval '1 s' WHERE job = c.id
            AND receipt = c.receipt;
        ELSE PERFORM await.cancel(c.id);
    END CASE;
    PERFORM pg_sleep(random() * 0.004);
    INSERT INTO test.did VALUES (j.batch, began, clock_timestamp());
    IF random() < 0.03 THEN
        RAISE EXCEPTION 'a worker that dies' USING ERRCODE = 'TT000';
    END IF;
END $$;

CREATE PROCEDURE test.worker() LANGUAGE plpgsql AS $$
DECLARE c record; code text;
BEGIN
    LOOP
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        SELECT id, receipt INTO c FROM await.claim(ARRAY['s.a', 's.b'], 'w', 1, interval '2 s');
        EXIT WHEN c.id IS NULL AND to_regclass('test.over') IS NULL AND NOT EXISTS (SELECT FROM await.batch_open);
        COMMIT;
        IF c.id IS NULL THEN
            PERFORM pg_sleep(0.02);
            CONTINUE;
        END IF;
        BEGIN
            PERFORM test.act(c);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE;
        END;
        IF code IS NOT NULL THEN
            INSERT INTO test.refused VALUES (code);
            code := NULL;
        END IF;
    END LOOP;
END $$;

-- Several jobs in one call, of several batches.
CREATE PROCEDURE test.collector() LANGUAGE plpgsql AS $$
DECLARE c record; code text;
BEGIN
    LOOP
        SELECT array_agg(id) AS ids, array_agg(receipt) AS receipts, array_agg('x'::bytea) AS bodies INTO c
            FROM await.claim(ARRAY['s.b', 's.a'], 'w', 4, interval '2 s');
        EXIT WHEN c.ids IS NULL AND to_regclass('test.over') IS NULL AND NOT EXISTS (SELECT FROM await.batch_open);
        COMMIT;
        IF c.ids IS NULL THEN
            PERFORM pg_sleep(0.02);
            CONTINUE;
        END IF;
        BEGIN
            INSERT INTO test.did SELECT DISTINCT batch, clock_timestamp(), clock_timestamp() + interval '1 ms'
                FROM await.job WHERE id = ANY (c.ids);
            PERFORM await.complete_many(c.ids, c.receipts, c.bodies);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE;
        END;
        IF code IS NOT NULL THEN
            INSERT INTO test.refused VALUES (code);
            code := NULL;
        END IF;
        COMMIT;
    END LOOP;
END $$;

CREATE PROCEDURE test.keeper() LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        PERFORM setval('await.last_maintenance', 0), await.run_maintenance(50);
        COMMIT;
        EXIT WHEN to_regclass('test.over') IS NULL AND NOT EXISTS (SELECT FROM await.batch_open) AND NOT EXISTS (SELECT
            FROM await.batch_todo);
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;

-- What a client reads meanwhile. A batch has two jobs or more from when it can be seen.
CREATE PROCEDURE test.reader() LANGUAGE plpgsql AS $$
DECLARE newest uuid[];
BEGIN
    LOOP
        newest := ARRAY(SELECT l.batch FROM await.batch_live l ORDER BY l.batch DESC LIMIT 20);
        COMMIT;
        INSERT INTO test.miscounted SELECT to_jsonb(d) FROM await.edge_batches(newest) d
            WHERE ((d.totals::jsonb ->> 'total')::int >= 2 AND (d.totals::jsonb ->> 'total')::int
                = (d.totals::jsonb ->> 'done')::int + (d.totals::jsonb ->> 'open')::int) IS NOT TRUE;
        COMMIT;
        EXIT WHEN to_regclass('test.over') IS NULL AND NOT EXISTS (SELECT FROM await.batch_open);
    END LOOP;
END $$;

CREATE PROCEDURE test.creator(n int) LANGUAGE plpgsql AS $$
DECLARE
    b uuid;
    phases boolean;
BEGIN
    FOR i IN 1 .. n LOOP
        phases := random() < 0.4;
        b := await.create_batch(jsonb_build_object('on_ready', 's.ready', 'phases', CASE WHEN phases
            THEN '["a", "b"]'::jsonb ELSE '[]' END)
            || CASE WHEN random() < 0.05 THEN '{"deadline": "20 ms"}'::jsonb ELSE '{}' END);
        PERFORM await.submit('s.a', 'x', 'a/b', jsonb_strip_nulls(jsonb_build_object('batch', b, 'phase',
            CASE WHEN phases THEN 'a' END, 'max_attempts', 3)))
            FROM generate_series(1, 2 + (random() * 8)::int);
        COMMIT;
        IF random() < 0.07 THEN
            PERFORM await.cancel(l.batch) FROM (SELECT batch FROM await.batch_live ORDER BY random() LIMIT 1) l;
            COMMIT;
        END IF;
    END LOOP;
    DROP TABLE test.over;
END $$;
SQL

my $admin = stack()->postgres('admin');
my @sessions = background("CALL test.creator($batches)", $admin);
push @sessions, map {
    my $level = $_ < 12 ? 'read committed' : $_ < 14 ? 'repeatable read' : 'serializable';
    my $call = 'CALL test.' . ($_ % 4 == 3 && $_ < 12 ? 'collector' : 'worker') . '()';
    background([ "SET default_transaction_isolation = '$level'", ($call) x ($_ < 14 ? 1 : 20 + $batches / 4) ],
        $admin)    # a commit may be refused
} 1 .. $workers;
push @sessions, map { background("CALL test.$_()", $admin) } qw(keeper reader reader);
my $failed = 0;
for (@sessions) { waitpid $_, 0; $failed++ if $? }
is $failed, 0, 'no session ended by an error';
sql('SELECT await.visit_batches(10000)') for 1 .. 3;

# What each batch is, by its jobs alone, beside what was said of it.
sql(<<'SQL');
CREATE TABLE test.found AS
SELECT b.id, b.phases, j.*, e.ready, e.state, e.eid AS ready_eid, e.data, o.jobs AS on_ready
FROM (SELECT id, extra -> 'phases' AS phases FROM await.job WHERE await.is_batch(id)) b
CROSS JOIN LATERAL (
    SELECT count(*) AS total, count(*) FILTER (WHERE x.state IS NULL) AS open,
        count(*) FILTER (WHERE x.state = 'completed') AS completed,
           count(*) FILTER (WHERE x.state = 'failed') AS failed, count(*) FILTER (WHERE x.state = 'cancelled')
               AS cancelled,
           count(*) FILTER (WHERE k.phase = 'b') AS second, count(*) FILTER (WHERE k.phase = 'a'
               AND x.state = 'completed') AS of_first,
           greatest(max(k.eid), max(x.eid)) AS last_eid, max(x.endings) AS endings
    FROM await.job k
    LEFT JOIN LATERAL (SELECT max(v.state) AS state, max(v.eid) AS eid, count(*) AS endings FROM await.event v
        WHERE v.job = k.id AND v.ending) x ON true
    WHERE k.batch = b.id) j
CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE v.type = 'batch.ready') AS ready,
    max(v.state) FILTER (WHERE v.ending) AS state,
    max(v.eid) FILTER (WHERE v.ending) AS eid, max(v.data::text) FILTER (WHERE v.ending)::jsonb AS data
        FROM await.event v WHERE v.job = b.id) e
CROSS JOIN LATERAL (SELECT count(*) AS jobs FROM await.job k WHERE k.params ->> 'batch' = b.id::text) o;
SQL
sub violations { my ($what, $where) = @_; is sql("SELECT count(*) FROM test.found WHERE $where"), 0, $what }
my $done = '(total > 0 AND open = 0 AND (phases IS NULL OR second > 0 OR of_first = 0))';
is sql('SELECT count(*) FROM test.found'), $batches, 'every batch is there';
violations('a batch is ready once', 'ready > 1');
violations('no batch whose jobs have ended stays open', "$done AND state IS NULL");
violations('no batch is ready before its jobs have ended', "ready > 0 AND NOT $done");
violations('what made it ready came before', 'ready > 0 AND last_eid > ready_eid');
is sql('SELECT count(*) FROM test.miscounted'), 0, 'no document was read whose counts are of two moments';
violations('no job has two endings', 'endings > 1');
violations('a job on_ready for each batch that was ready, and for no other', 'on_ready <> ready');
violations(
    'the summary has the counts',
    "ready > 0 AND (data ->> 'total', data ->> 'open', data ->> 'completed', data ->> 'failed', data ->> 'cancelled')
    IS DISTINCT FROM (total::text, '0', completed::text, failed::text, cancelled::text)"
);
violations('of a batch that was cancelled or expired no job is open', "state IN ('cancelled', 'expired') AND open > 0");
is sql(
    "SELECT (SELECT count(*) FROM await.batch_open) + (SELECT count(*) FROM await.batch_todo)
    + (SELECT count(*) FROM await.batch_live l JOIN test.found f ON f.id = l.batch WHERE f.state IS NOT NULL)
    + (SELECT count(*) FROM await.batch_added l JOIN test.found f ON f.id = l.batch WHERE f.state IS NOT NULL)
    + (SELECT count(*) FROM await.batch_loss l JOIN test.found f ON f.id = l.batch WHERE f.state IS NOT NULL)"
    ),
    0, 'nothing is left of those that ended';
is sql("SELECT count(*) FROM test.refused WHERE code = '40P01'"), 0, 'nobody waited in a circle';
is sql(
    "SELECT coalesce(string_agg(DISTINCT code, ' '), '') FROM test.refused
        WHERE code NOT IN ('TT000', '55000', '40001', '23505')"
    ),
    '',
    'and nobody was refused by another error than that the batch has ended, or that a snapshot is too old';
cmp_ok sql('SELECT count(*) FROM test.found WHERE ready > 0'), '>', $batches / 3, 'many were ready';
my $met = sql(
    'SELECT count(*) FROM test.did a JOIN test.did b ON a.batch = b.batch AND a.ctid < b.ctid AND a.began <= b.ended
        AND b.began <= a.ended'
);
cmp_ok $met, '>', 10, 'transactions that ended jobs of one batch met';
note sql(
    qq{SELECT format('%s batches: %s ready, %s cancelled or expired, %s open for want of a phase; %s jobs,
    %s transactions, $met pairs of them
    at the same time in one batch; refused: %s', count(*), sum(ready),
        count(*) FILTER (WHERE state IN ('cancelled', 'expired')), count(*) FILTER (WHERE state IS NULL),
    sum(total), (SELECT count(*) FROM test.did), (SELECT string_agg(code || ' ' || n, ', ') FROM (SELECT code, count(*)
        AS n FROM test.refused GROUP BY code) r))
    FROM test.found}
);
finish();
