# Batches: what happens at the same time, what does not see what others commit, what an edge receives, what is old.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Batches;
use Await::Database qw(refused old_partition purge state);
use Await::Session;
use Await::Test;
use Test::More;

start_batches();

subtest 'two that end the last jobs at the same time' => sub {
    my ($one, $two) = map { Await::Session->new(stack()->postgres) } 1 .. 2;
    for my $case ([ 'COMMIT', 1 ], [ 'ROLLBACK', 0 ]) {
        my ($end, $ready) = @$case;
        my $batch = batch();
        add($batch, "both.$end", 2);
        $one->run("BEGIN; SELECT test.work('both.$end')");
        $two->run('BEGIN');
        $two->start("SELECT test.work('both.$end')");
        until_true('the second waits for the batch',
            sub { sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") });
        $one->run($end);
        $two->finish;
        $two->run('COMMIT');
        is ready($batch), $ready, "the first one ends with $end";
        next if $ready;
        work("both.$end", 'complete');
        is ready($batch), 1, 'what was undone is done again: ready';
    }
    my $batch = batch();
    add($batch, 'adding', 1);
    $one->run("BEGIN; SELECT await.submit('adding', 'x', 'text/plain', '{\"batch\": \"$batch\"}')");
    $two->start("SELECT test.work('adding')");
    is $two->finish(0.3), undef, 'the last one waits for who adds a job';
    $one->run('COMMIT');
    $two->finish;
    is ready($batch), 0, 'and sees it';
    $one->run("BEGIN; SELECT test.work('adding')");
    $two->start("SELECT await.submit('adding', 'x', 'text/plain', '{\"batch\": \"$batch\"}')");
    is $two->finish(0.3), undef, 'who adds waits for the last one';
    $one->run('COMMIT');
    like $two->finish, qr/has ended/, 'and is refused';
    is ready($batch), 1, 'it is ready';
};

subtest 'transactions that do not see what others commit' => sub {
    for my $level ('REPEATABLE READ', 'SERIALIZABLE') {
        my ($one, $two) = map { Await::Session->new(stack()->postgres) } 1 .. 2;
        my $queue = 'old.' . substr $level, 0, 4;
        my $batch = batch();
        add($batch, $queue, 2);
        my ($first, $second) = map { [ split /\|/ ] } split /\n/,
            sql("SELECT id, receipt FROM await.claim(ARRAY['$queue'], 'w', 2)");
        $one->run("BEGIN ISOLATION LEVEL $level; SELECT count(*) FROM await.batch_open");
        sql("SELECT await.complete('$first->[0]', '$first->[1]', 'x')");
        is $one->run("SELECT await.complete('$second->[0]', '$second->[1]', 'x')"), 't', "$level: the last job ends";
        $one->run('COMMIT');
        sql('SELECT await.visit_batches(100)');
        is ready($batch), 1, "$level: maintenance finds the batch ready";
        is left_over($batch), '00000', "$level: nothing is left";

        $batch = batch();
        add($batch, $queue, 1);
        ($first) = map { [ split /\|/ ] } sql("SELECT id, receipt FROM await.claim(ARRAY['$queue'], 'w', 1)");
        $one->run("BEGIN ISOLATION LEVEL $level; SELECT count(*) FROM await.batch_open");
        add($batch, $queue, 1);
        $one->run("SELECT await.complete('$first->[0]', '$first->[1]', 'x')");
        $one->run('COMMIT');
        sql('SELECT await.visit_batches(100)');
        is ready($batch), 0, "$level: a job that it did not see keeps the batch open";
        $one->run("BEGIN ISOLATION LEVEL $level; SELECT count(*) FROM await.batch_open");
        work($queue, 'complete');
        is ready($batch), 1, "$level: then it is ready";
        like $one->run("SELECT await.submit('$queue', 'x', 'text/plain', '{\"batch\": \"$batch\"}')"),
            qr/could not serialize/,
            "$level: nothing is added to a batch that has ended unseen";
        $one->run('ROLLBACK');
        is sql("BEGIN ISOLATION LEVEL $level; SELECT await.cancel(await.create_batch()); COMMIT"), 'cancelled',
            "$level: cancel";
    }
};

subtest 'what was lost, and what is repeated' => sub {
    my $batch = batch();
    add($batch, 'lose', 2);
    sql("DELETE FROM await.batch_live WHERE batch = '$batch'");
    work('lose', 'complete', 2);
    is ready($batch), 1, 'without its row in batch_live a batch is ready all the same';
    my ($job) = split /\n/, sql("SELECT id FROM await.job WHERE batch = '$batch'");
    sql("SELECT await.batch_jobs_ended('$batch', ARRAY['$job'::uuid], 'completed'); SELECT await.finish_batch('$batch')"
    );
    is ready($batch), 1, 'what is done twice is said once';
};

subtest 'a batch that an edge receives' => sub {
    my $batch = sql('SELECT await.new_batch_id()');
    my @ids = split /\n/, sql("SELECT await.new_id(await.class('$batch')) FROM generate_series(1, 3)");
    my $null = 'ARRAY[NULL, NULL, NULL]';
    my $stage = sub {
        my ($b, $phases) = @_;
        return
              "SELECT await.edge_stage('$b', 1, ARRAY['"
            . join("','", @ids)
            . "']::uuid[], ARRAY['e1', 'e2', 'e1'], $phases, ARRAY[0, 0, 5]::int2[],
            ARRAY['a/b', 'a/b', 'a/b'], ${null}::text[], ARRAY['{\"n\": 1}', NULL, NULL],
            ARRAY['x', convert_to(repeat('y', 70000), 'UTF8'), 'z']::bytea[],
            ARRAY[1, 70000, 1]::int8[], ${null}::int8[], ARRAY[NULL, NULL, 3600000]::int8[],
            ${null}::int8[], ${null}::int2[])";
    };
    my $submit = sub {
        my ($b, $n, $phases, $key, $print) = @_;
        return
            "SELECT id, clash
            FROM await.edge_submit_batch('$b', $n, 'anna', 'corr', NULL, $phases, 'ready', NULL, '/batches', "
            . ($key ? "'$key', '$print', 86400000" : 'NULL, NULL, NULL') . ')';
    };
    sql($stage->($batch, "ARRAY['p', 'p', 'q']"));
    sql($stage->($batch, "ARRAY['p', 'p', 'q']"));
    is sql("SELECT count(*) FROM await.job WHERE id = ANY (ARRAY['" . join("','", @ids) . "']::uuid[])"), 0,
        'nobody sees what is received';
    refused('jobs that are not all there', $submit->($batch, 4, "ARRAY['p', 'q']"), qr/are not all there/);
    refused('a phase that is not named', $submit->($batch, 3, "ARRAY['p']"), qr/has no phase 'q'/);
    refused('no jobs', $submit->($batch, 0, 'NULL'), qr/1 to 10000 jobs/);
    refused('too many', $submit->($batch, 10001, 'NULL'), qr/1 to 10000 jobs/);
    refused('an id of a job', $submit->($ids[0], 3, 'NULL'), qr/an id of version 8/);
    is sql($submit->($batch, 3, "ARRAY['p', 'q']", 'k', 'f')), "$batch|f", 'the batch is submitted';
    is sql($submit->($batch, 3, "ARRAY['p', 'q']", 'k', 'f')), "$batch|f", 'sent again it changes nothing';
    is sql('SELECT count(*) FROM await.batch_stage'), 0, 'nothing stays in the stage';
    is sql(
        "SELECT string_agg(q.name || j.priority || (j.payload IS NULL), ' ' ORDER BY j.eid) FROM await.job j
            JOIN await.queue q ON q.id = j.queue
        WHERE j.batch = '$batch' AND j.owner = 'anna' AND j.correlation_id = 'corr'"
        ),
        'e10false e20true e15false', 'its jobs, in their order';
    is sql("SELECT length(await.payload('$ids[1]'::uuid, receipt)) FROM await.claim(ARRAY['e2'], 'w', 1)") || '70000',
        '70000', 'a large payload is in pieces';
    my $other = sql('SELECT await.new_batch_id()');
    @ids = split /\n/, sql("SELECT await.new_id(await.class('$batch')) FROM generate_series(1, 3)");
    sql($stage->($other, "ARRAY['p', 'p', 'q']"));
    is sql($submit->($other, 3, "ARRAY['p', 'q']", 'k', 'f')), "$batch|f", 'with the same key the first batch is given';
    is sql($submit->($other, 3, "ARRAY['p', 'q']", 'k', 'g')), "$batch|t", 'a different request clashes';
    is sql("SELECT (SELECT count(*) FROM await.batch_stage) + (SELECT count(*) FROM await.job WHERE batch = '$other')"),
        0, 'and nothing is stored';
    sql($stage->($other, "ARRAY['p', 'p', 'q']") . "; SELECT await.edge_unstage('$other')");
    is sql('SELECT count(*) FROM await.batch_stage'), 0, 'one that is not submitted is forgotten';
    my $old = sql(
        "SELECT overlay(overlay(await.floor_id(now() - interval '2 days')::text
            placing '8' from 15) placing '8' from 20)"
    );
    sql($stage->($old, "ARRAY['p', 'p', 'q']") . '; SELECT await.purge_expired(100)');
    is sql('SELECT count(*) FROM await.batch_stage'), 0, 'what was never submitted goes after a day';
    is sql("SELECT totals::jsonb ->> 'processing' FROM await.edge_batches(ARRAY['$batch', '$ids[0]']::uuid[])"), 1,
        'the document counts what workers have, and of a batch alone';
};

subtest 'a held snapshot: the search passes what was deleted' => sub {
    my $batch = batch();
    sql("SELECT count(await.submit('dead', 'x', 'a/b', '{\"batch\": \"$batch\"}')) FROM generate_series(1, 3000)");
    my $holder = Await::Session->new(stack()->postgres);
    $holder->run('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM await.job');
    my @read;
    for (1 .. 2) {
        sql(
            "SELECT count(*) FROM (SELECT array_agg(id) AS ids, array_agg(receipt) AS receipts, array_agg('x'::bytea)
                AS bodies
            FROM await.claim(ARRAY['dead'], 'w', 1000)) c
                CROSS JOIN LATERAL await.complete_many(c.ids, c.receipts, c.bodies)"
        );
        my ($plan) = sql(
            "UPDATE await.batch_live SET told = clock_timestamp(), pause = '1 hour' WHERE batch = '$batch';
            SELECT count(test.work('dead')) FROM generate_series(1, 10); -- so that the session has its plans
            EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT test.work('dead')"
        ) =~ /Buffers: shared hit=(\d+)/;
        push @read, $plan;
    }
    cmp_ok $read[1], '<', $read[0] + 50, "after 2,000 endings as before (@read buffers)";
    $holder->run('ROLLBACK');
};

subtest 'a batch and its jobs are kept as long as each other' => sub {
    old_partition('2020-02-01', '2020-02-02');
    old_partition('2020-02-02', '2020-02-03');
    sql(
        "CREATE TABLE await.event_0_$_->[0] (LIKE await.event INCLUDING ALL); ALTER TABLE await.event
            ATTACH PARTITION await.event_0_$_->[0]
        FOR VALUES FROM (0, '$_->[1]') TO (0, '$_->[2]')"
    ) for map {
        [ $_, map { sql("SELECT await.floor_id('$_')") } "$_ 00:00Z", ($_ + 1) . ' 00:00Z' ]
    } 20200201, 20200202;
    my $id = sub {
        my ($at, $version) = @_;
        return sql(
            "SELECT overlay(overlay(await.floor_id('$at')::text placing '$version' from 15) placing '8' from 20)");
    };
    my $batch = $id->('2020-02-01 10:00Z', 8);
    my @jobs = map { $id->($_, 7) } '2020-02-01 11:00Z', '2020-02-02 10:00Z';
    sql(
        "INSERT INTO await.job (class, id, queue, content_type, payload, payload_size, extra)
            VALUES (0, '$batch', await.queue_id('.batch', true), 'a/b', '', 0, '{}');
        INSERT INTO await.batch_live (batch, told, pause, visit) VALUES ('$batch', '2020-02-01', '0', 'infinity')"
    );
    sql(
        "INSERT INTO await.job (class, id, queue, content_type, payload, payload_size, batch)
            VALUES (0, '$_', await.queue_id('kept'), 'a/b', '', 0, '$batch');
        INSERT INTO await.event (class, job, seq, type, state, attempt, ending, at)
            VALUES (0, '$_', 2, 'completed', 'completed', 1, true, '2020-02-02 12:00Z')"
    ) for @jobs;
    my $kept = sub {
        return join ' ', map { state($_) } $batch, @jobs;
    };
    purge() for 1 .. 2;
    is $kept->(), 'pending completed completed', 'while the batch is open its jobs are kept, of every day';
    sql("SELECT await.cancel('$batch')");
    purge() for 1 .. 2;
    is $kept->(), 'cancelled completed completed', 'and a day from its end';
    sql(
        "UPDATE await.late_ending SET ended = ended - 3; UPDATE await.event SET at = at - interval '3 days'
            WHERE job = '$batch'"
    );
    eventually('then all go', sub { purge(); $kept->() eq 'gone gone gone' });
    is sql(
        'SELECT (SELECT count(*) FROM await.batch_live WHERE visit = \'infinity\') + (SELECT count(*)
            FROM await.batch_open o
        WHERE NOT EXISTS (SELECT FROM await.job j WHERE j.id = o.job))'
        ),
        0, 'nothing is left of them';
};

finish();
