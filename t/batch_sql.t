# Batches, as the database keeps them: when one is ready, who may add jobs, what is counted and told.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Batches;
use Await::Database qw(refused state);
use Await::Session;
use Await::Test;
use JSON::PP;
use Test::More;
use Time::HiRes qw(time);

start_batches();

subtest 'every way in which a job ends counts, and the last one makes the batch ready' => sub {
    for my $last (qw(complete many fail lost expire cancel)) {
        my $batch = batch('{"owner": "o"}');
        my $queue = "last.$last";
        add($batch, $queue, 2, $last eq 'lost' ? (max_attempts => 1) : ());
        work($queue, $_) for $last eq 'lost' ? () : qw(release again);
        work($queue, 'complete');
        is ready($batch), 0, "$last: not ready while one is open";
        work($queue, $last);
        is ready($batch), 1, "$last: ready with the last one";
        my $state = {
            many => 'completed',
            complete => 'completed',
            fail => 'failed',
            lost => 'failed',
            expire => 'expired',
            cancel => 'cancelled'
        }->{$last};
        my $said = summary($batch);
        is "@$said{qw(total done open completed)} $said->{$state}", $state eq 'completed' ? '2 2 0 2 2' : '2 2 0 1 1',
            "$last: the summary counts it";
        is scalar @{ $said->{failures} }, $state eq 'completed' ? 0 : 1, "$last: failures has what was not completed";
        is left_over($batch), '00000', "$last: nothing is kept of what only open batches need";
        is state($batch), 'completed', "$last: the batch has ended";
    }
    my $batch = batch();
    add($batch, 'why', 1);
    work('why', 'fail');
    my ($failure) = @{ summary($batch)->{failures} };
    is "@$failure{qw(state title detail)}", 'failed No why not', 'a failure says why';
    $batch = batch();
    add($batch, 'bounded', 60);
    sql("SELECT await.cancel(j.id) FROM await.job j WHERE j.batch = '$batch'");
    is scalar @{ summary($batch)->{failures} }, 50, 'failures are 50 at most';
    is summary($batch)->{cancelled}, 60, 'but all are counted';
};

subtest 'phases' => sub {
    my $batch = batch('{"phases": ["spell", "grade"]}');
    add($batch, 'spell', 2, phase => 'spell');
    work('spell', 'complete', 2);
    is ready($batch), 0, 'not ready while a phase had no jobs';
    is state($batch), 'processing', 'it goes on';
    add($batch, 'grade', 1, phase => 'grade');
    work('grade', 'complete');
    is ready($batch), 1, 'ready when each phase had jobs and all ended';
    is_deeply [ map { $_->{completed} } @{ summary($batch)->{phases} }{qw(spell grade)} ], [ 2, 1 ],
        'counts of each phase';

    $batch = batch('{"phases": ["a", "b", "c"]}');
    add($batch, 'a', 2, phase => 'a');
    work('a', 'fail', 2);
    is ready($batch), 1, 'a phase without a completed job brings no next one: ready';
    $batch = batch('{"phases": ["a", "b"]}');
    add($batch, 'b', 1, phase => 'b');
    work('b', 'complete');
    is ready($batch), 0, 'not ready while the first phase had no jobs';

    # a worker of the first phase adds to the batch it works in, and ends its job, in one transaction
    $batch = batch('{"phases": ["a", "b"]}');
    add($batch, 'one', 1, phase => 'a');
    sql(
        "BEGIN; CREATE TEMP TABLE c AS SELECT * FROM await.claim(ARRAY['one'], 'w', 1);
        SELECT await.submit('two', 'x', 'text/plain', jsonb_build_object('batch', '$batch', 'phase', 'b')) FROM c;
        SELECT await.complete(id, receipt, 'x') FROM c; COMMIT"
    );
    is ready($batch), 0, 'a worker adds the next phase and ends its job: not ready';
    work('two', 'complete');
    is ready($batch), 1, 'ready after the added one';
    is sql("SELECT await.create_batch()::text ~ '-8'"), 't', 'the id of a batch is a UUIDv8';
};

subtest 'a job of a batch is its batch\'s' => sub {
    my $batch = batch('{"owner": "anna", "correlation_id": "corr", "trace": "tr", "retain": "1d"}');
    my ($job) = add($batch, 'own', 1);
    is sql("SELECT owner, correlation_id, trace, class = await.class('$batch') FROM await.job WHERE id = '$job'"),
        'anna|corr|tr|t',
        'it has the owner, the correlation id, the trace and the retention';
    ($job) = add($batch, 'own', 1, correlation_id => 'mine', owner => 'anna', retain => '1d');
    is sql("SELECT correlation_id FROM await.job WHERE id = '$job'"), 'mine', 'unless it has its own correlation id';
    is sql("SELECT count(*) FROM await.edge_batch_jobs('$batch', '00000000-0000-0000-0000-000000000000', 10)"), 2,
        'the jobs of the batch';
    is sql("SELECT count(*) FROM await.edge_batch_jobs('$batch', '$job', 10)"), 0, 'and those after one';
    my $first = sql("SELECT await.submit('own', 'x', 'text/plain', '{\"batch\": \"$batch\"}', 'key')");
    work('own', 'complete', 3);
    is ready($batch), 1, 'all three ended';
    is sql("SELECT await.submit('own', 'x', 'text/plain', '{\"batch\": \"$batch\"}', 'key')"), $first,
        'the same call with a key gives the first job, even after the batch has ended';
    is sql("SELECT await.retry('$batch')"), '', 'a batch cannot be retried';
    my $again = sql("SELECT await.retry('$job')");
    is sql("SELECT batch IS NULL FROM await.job WHERE id = '$again'"), 't', 'a job that is retried is in no batch';
};

subtest 'what is refused, with nothing stored' => sub {
    my $batch = batch('{"owner": "o", "phases": ["a"]}');
    my $open = batch();
    my $ended = batch();
    add($ended, 'over', 1);
    work('over', 'complete');
    my $before = sql(
        'SELECT (SELECT count(*) FROM await.job), (SELECT count(*) FROM await.batch_open), (SELECT count(*)
            FROM await.batch_live)'
    );
    my $submit = sub { return "SELECT await.submit('q', 'x', 'text/plain', '" . encode_json({@_}) . "')" };
    refused('no phase', $submit->(batch => $batch), qr/a job of batch \S+ needs a phase/);
    refused(
        'an unknown phase',
        $submit->(batch => $batch, phase => 'b'),
        qr/has no phase 'b'.*\n.*Its phases are \["a"\]/
    );
    refused(
        'a phase where there is none',
        $submit->(batch => $open, phase => 'b'),
        qr/has no phase 'b'.*\n.*It has no phases/
    );
    refused('a phase without a batch', $submit->(phase => 'b'), qr/a job has a phase only in a batch/);
    refused('a batch that has ended', $submit->(batch => $ended), qr/has ended: no job can be added/);
    refused('an unknown batch', $submit->(batch => '01a20229-85dd-8905-b3ad-942074197547'), qr/there is no batch/);
    refused(
        'the id of a job',
        $submit->(batch => sql("SELECT id FROM await.job WHERE batch = '$ended'")),
        qr/there is no batch/
    );
    refused('no id', $submit->(batch => 'x'), qr/batch is the id of a batch, not 'x'/);
    refused(
        'another owner',
        $submit->(batch => $batch, phase => 'a', owner => 'p'),
        qr/the owner is that of the batch, not 'p'/
    );
    refused('an owner where there is none', $submit->(batch => $open, owner => 'p'),
        qr/the owner is that of the batch/);
    refused('another retention', $submit->(batch => $open, retain => '1d'), qr/retain is that of the batch, not '1d'/);
    my $long = '"' . 'x' x 1001 . '"';
    for (
        [ 'no object', '[]', qr/are a JSON object/ ],
        [ 'an unknown option', '{"phase": "a"}', qr/has no option phase/ ],
        [ 'phases that are none', '{"phases": "a"}', qr/phases is an array of names/ ],
        [ 'a phase of number', '{"phases": [1]}', qr/phases is an array of names/ ],
        [ 'a phase of null', '{"phases": [null]}', qr/phases is an array of names/ ],
        [ 'a phase in a list', '{"phases": [["a"]]}', qr/phases is an array of names/ ],
        [ 'a bad name', '{"phases": ["a b"]}', qr/the name of a phase is/ ],
        [ 'a phase twice', '{"phases": ["a", "a"]}', qr/a phase is named twice/ ],
        [ '17 phases', encode_json({ phases => [ 1 .. 17 ] }) =~ s/(\d+)/"$1"/gr, qr/at most 16 phases, not 17/ ],
        [ 'too much', encode_json({ phases => [ map { "p$_" } 1 .. 9000 ] }), qr/at most 64 KB/ ],
        [ 'a long owner', "{\"owner\": $long}", qr/the option owner has at most 1000/ ],
        [ 'a NUL', '{"owner": "a\\u0000b"}', qr/cannot be converted to text/ ],
        [ 'an unknown retention', '{"retain": "8d"}', qr/retain is one of the names/ ],
        [ 'a deadline before', '{"deadline": "-1 s"}', qr/deadline is an interval from/ ],
        [ 'no deadline', '{"deadline": "soon"}', qr/deadline is an interval from/ ],
        [ 'a bad queue', '{"on_ready": "a b"}', qr/a queue's name is/ ],
        )
    {
        refused($_->[0], "SELECT await.create_batch('$_->[1]')", $_->[2]);
    }
    is sql(
        'SELECT (SELECT count(*) FROM await.job), (SELECT count(*) FROM await.batch_open), (SELECT count(*)
            FROM await.batch_live)'
        ),
        $before, 'nothing was stored';
    sql("SELECT await.cancel('$batch')");
    refused('a batch that was cancelled', $submit->(batch => $batch, phase => 'a'), qr/has ended/);
};

subtest 'the job of on_ready' => sub {
    my $batch = batch('{"owner": "o", "correlation_id": "c", "on_ready": "mail"}');
    add($batch, 'mailed', 2);
    work('mailed', 'complete');
    my $s = Await::Session->new(stack()->postgres);
    $s->run('BEGIN');
    my $last = $s->run("SELECT test.work('mailed')");
    is ready($batch) . sql("SELECT count(*) FROM await.job WHERE params ->> 'batch' = '$batch'"), '00',
        'neither is there before the commit';
    $s->run('COMMIT');
    is ready($batch), 1, 'the batch is ready';
    is sql(
        "SELECT j.owner, j.correlation_id, q.name, j.content_type, convert_from(j.payload, 'UTF8')::jsonb = e.data
        FROM await.job j JOIN await.queue q ON q.id = j.queue JOIN await.event e ON e.job = '$batch' AND e.ending
        WHERE j.params ->> 'batch' = '$batch'"
        ),
        'o|c|mail|application/json|t', 'its job has the summary as its payload';
    is sql("SELECT channel FROM await.hint('$last') WHERE message = '1'"), 'await:queue:mail',
        'the hint of the last job wakes its worker';
    is sql("SELECT DISTINCT h.message FROM await.job j, await.hint(j.id) h
            WHERE j.batch = '$batch' AND h.channel = 'await:queue:mail'"),
        1, 'the hint of the job before it wakes its workers';
    is work('mail', 'complete'), 1, 'and can be claimed';
    $batch = batch();
    add($batch, 'mailed', 1);
    $last = sql("SELECT test.work('mailed')");
    is sql("SELECT count(*) FROM await.hint('$last')"), 2, 'without on_ready there is nobody to wake';
    $batch = batch('{"on_ready": "mail"}');
    add($batch, 'mailed', 1);
    sql("SELECT await.cancel('$batch')");
    is sql("SELECT count(*) FROM await.ready r JOIN await.queue q ON r.lane >> 8 = q.id WHERE q.name = 'mail'"), 0,
        'none of a batch that is cancelled';
};

subtest 'cancel, and the deadline' => sub {
    my $batch = batch();
    my @jobs = add($batch, 'stop', 110);
    my $held = sql("SELECT id FROM await.claim(ARRAY['stop'], 'w', 1)");
    is sql("SELECT await.cancel('$batch')"), 'cancelled', 'a batch is cancelled';
    is sql("SELECT await.cancel('$batch')"), 'already', 'once';
    is sql(
        "SELECT count(*) FROM await.event WHERE job IN (SELECT id FROM await.job WHERE batch = '$batch')
            AND state = 'cancelled'"
        ),
        100,
        'a hundred of its jobs at once';
    is sql("SELECT await.heartbeat('$held', test.receipt('$held'))"), 'cancelled', 'a worker learns of it';
    sql('SELECT await.visit_batches(1000)');
    is sql(
        "SELECT count(*) FROM await.event WHERE job IN (SELECT id FROM await.job WHERE batch = '$batch')
            AND state = 'cancelled'"
        ),
        110,
        'maintenance cancels the others';
    sql('SELECT await.visit_batches(1000)');
    is left_over($batch), '00000', 'nothing is left to do';
    is totals($batch)->{cancelled}, 110, 'the totals stay';
    is ready($batch), 0, 'it was never ready';

    $batch = batch('{"deadline": "0 s"}');
    add($batch, 'late', 3);
    sql('SELECT await.reap(100); SELECT await.visit_batches(100)');
    is state($batch), 'expired', 'a batch expires at its deadline';
    is sql("SELECT data ->> 'open' FROM await.event WHERE job = '$batch' AND ending"), 3,
        'its event says what was open';
    is sql(
        "SELECT count(*) FROM await.event WHERE job IN (SELECT id FROM await.job WHERE batch = '$batch')
            AND state = 'cancelled'"
        ),
        3,
        'its jobs are cancelled';
    $batch = batch('{"deadline": "1 hour"}');
    add($batch, 'early', 1);
    work('early', 'complete');
    is sql("SELECT count(*) FROM await.deadline WHERE job = '$batch'"), 0, 'when it is ready the deadline goes';
};

subtest 'what is told' => sub {
    my $batch = batch();
    add($batch, 'told', 10);
    work('told', 'complete');
    is sql("SELECT data ->> 'done' FROM await.event WHERE job = '$batch' AND type = 'progress'"), 1,
        'the first ending is told at once';
    work('told', 'complete', 4);
    my $told = sql("SELECT count(*) FROM await.event WHERE job = '$batch'");
    cmp_ok $told, '<', 5, 'the next ones together';
    sql('SELECT test.visit()');
    is sql("SELECT data ->> 'done' FROM await.event WHERE job = '$batch' ORDER BY seq DESC LIMIT 1"), 5,
        'maintenance tells the newest totals';
    $told = sql("SELECT count(*) FROM await.event WHERE job = '$batch'");
    my $before = sql('SELECT clock_timestamp(); SELECT test.visit()') =~ s/\n.*//sr;
    is sql("SELECT count(*) FROM await.event WHERE job = '$batch'"), $told, 'and nothing when nothing has changed';
    is sql("SELECT max(visit) > timestamptz '$before' FROM await.batch_live WHERE batch = '$batch'"), 't',
        'the next visit is later';
    is totals($batch)->{open}, 5, 'the document has the totals of now';

    # a day of 10,000 jobs, by the clock that the batch sees: how many events one an instant would give
    my $events = sql(
        "WITH RECURSIVE t (age, n) AS (SELECT 0.25, 1 UNION ALL
        SELECT age + extract(epoch FROM greatest(interval '250 ms',
            interval '1 s' * least(60, age / 50)))::numeric, n + 1
        FROM t WHERE age < 86400)
        SELECT count(*) FROM t WHERE age < 3600"
    );
    cmp_ok $events, '<', 500, "a batch of 10,000 jobs that takes an hour has at most $events events";
    is sql(
        "SELECT round(extract(epoch FROM await.batch_pause(
            await.floor_id(clock_timestamp() - interval '1 hour'), 10000)))"
        ), 60,
        'the pause of a large old batch';
    is sql("SELECT await.batch_pause(await.floor_id(clock_timestamp() - interval '1 hour'), 1) < interval '1 s'"), 't',
        'that of a small one';
    sql(
        "UPDATE await.batch_live SET visit = clock_timestamp() + interval '1 day',
            told = clock_timestamp() + interval '1 day'
        WHERE batch = '$batch'; SELECT await.clock_was_ahead(clock_timestamp()); SELECT test.work('told')"
    );
    is sql("SELECT data ->> 'done' FROM await.event WHERE job = '$batch' ORDER BY seq DESC LIMIT 1"), 6,
        'a clock that was set back stops nothing';
    is sql("SELECT visit < clock_timestamp() + interval '2 min' FROM await.batch_live WHERE batch = '$batch'"), 't',
        'nor the visits';
};

subtest 'rights' => sub {
    sql(
        "CREATE ROLE batcher LOGIN PASSWORD 'x' IN ROLE await_worker;
        CREATE ROLE edger LOGIN PASSWORD 'x' IN ROLE await_edge"
    );
    my $as = sub {
        my ($role, $sql) = @_;
        my ($out, $error) = stack()->psql("SET SESSION AUTHORIZATION $role; $sql");
        return $error // $out;
    };
    like $as->('batcher', 'SELECT await.create_batch()'), qr/^[0-9a-f-]{36}$/m, 'a worker creates a batch';
    for my $call (
        "finish_batch('01a20229-85dd-8905-b3ad-942074197547')", 'visit_batches(1)',
        "edge_unstage('01a20229-85dd-8905-b3ad-942074197547')", "edge_batches('{}')"
        )
    {
        like $as->('batcher', "SELECT await.$call"), qr/permission denied for function/, "a worker may not call $call";
    }
    like $as->('batcher', 'SELECT * FROM await.batch_open'), qr/permission denied for table/, 'nor read the tables';
    like $as->('edger', 'SELECT await.create_batch()'), qr/permission denied/, 'an edge creates none this way';
    is $as->('edger', "SELECT count(*) FROM await.edge_batches('{}')"), 0, 'it reads documents';
    sql("SELECT await.grant_queues('batcher', ARRAY['mine'])");
    like $as->('batcher', "SELECT await.create_batch('{\"on_ready\": \"theirs\"}')"),
        qr/role batcher may not use queue 'theirs'/,
        'a role that is limited to queues names only one of them in on_ready';
    like $as->('batcher', "SELECT await.create_batch('{\"on_ready\": \"mine\"}')"), qr/^[0-9a-f-]{36}$/m,
        'one of its own it may';
    my $batch = batch();
    like $as->('batcher', "SELECT await.submit('theirs', 'x', 'a/b', '{\"batch\": \"$batch\"}')"),
        qr/may not use queue/, 'nor adds it a job elsewhere';
    sql("SELECT await.revoke_queues('batcher', ARRAY['mine'])");
};

# was a bug: maintenance, which a claim may run, waited 200 ms for each batch that somebody had locked
subtest 'maintenance waits for no batch that is locked' => sub {
    my @held = map { batch() } 1 .. 100;
    my $free = batch();
    add($_, 'held', 1) for @held, $free;
    my $repeatable = 'BEGIN ISOLATION LEVEL REPEATABLE READ';
    sql("$repeatable; SELECT await.complete(id, receipt, 'x') FROM await.claim(ARRAY['held'], 'w', 101); COMMIT");
    my $holder = Await::Session->new(stack()->postgres);
    $holder->run('BEGIN');
    $holder->run("SELECT await.lock_job('$_')") for @held;
    my $began = time;
    sql('SELECT await.visit_batches(1000)');
    cmp_ok time - $began, '<', 10, 'a call with 100 of them is quick, which would be 20 s';
    is ready($free), 1, 'and handles the one behind them';
    $holder->run('ROLLBACK');
    sql('SELECT await.visit_batches(1000)');
    is scalar(grep { ready($_) } @held), scalar @held, 'the others are handled when they are free';
};

finish();
