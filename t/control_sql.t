# In which order the jobs of a queue come, and how many: pause and resume, limits on what runs, of one owner too, and
# owners that take turns. By SQL, with PostgreSQL alone: maintenance, which nginx does every second, moves jobs up as
# well, and has rows locked meanwhile, so that beside it one claim may get less than all that it could.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use JSON::PP qw(decode_json);
use POSIX ();
use Test::More;

my $s = start_stack(without => [ 'redis', 'nginx' ]);

sub submit_for {
    my ($queue, $owner, $n) = @_;
    return sql("SELECT await.submit('$queue', 'x', options => '{\"owner\": \"$owner\"}') FROM generate_series(1, $n)");
}
# What PostgreSQL says, an error too.
my $session = Await::Session->new($s->postgres);
sub said { return $session->run($_[0]) }
# The owners of the jobs that a claim gets, in their order.
sub owners {
    my ($queue, $n) = @_;
    return sql(
        "SELECT coalesce(string_agg((SELECT coalesce(j.owner, '-') FROM await.job j WHERE j.id = c.id), ''
            ORDER BY c.ord), '')
        FROM await.claim('{$queue}', 'w', $n) WITH ORDINALITY c (id, receipt, attempt, queue, payload, content_type,
            file_name, params, batch, phase, trace, deadline, payload_size, correlation_id, lease_for, ord)"
    );
}
sub end_all {
    my ($queue, $owner) = @_;
    return sql(
        "SELECT count(*) FILTER (WHERE await.complete(l.job, l.receipt, 'x'))
        FROM await.lease l JOIN await.job j ON j.id = l.job
        JOIN await.queue q ON q.id = j.queue WHERE q.name = '$queue' AND ('@{[$owner // '']}' IN ('', j.owner))"
    );
}
sub queue_of { return "(SELECT id FROM await.queue WHERE name = '$_[0]')" }

subtest 'pause and resume' => sub {
    submit_for('p', 'A', 2);
    is sql("SELECT await.pause('p')"), 't', 'the queue is paused';
    is sql("SELECT await.pause('p')"), 'f', 'once';
    is owners('p', 10), '', 'a claim gets nothing';
    submit_for('p', 'A', 1);
    is sql("SELECT paused, waiting FROM await.queues('p')"), 't|3', 'submissions go on';
    is sql(
        "SELECT place, seconds IS NULL FROM await.job j, await.position(j.id)
        WHERE j.queue = (SELECT id FROM await.queue WHERE name = 'p')
        ORDER BY j.eid DESC LIMIT 1"
        ),
        '3|t', 'nobody knows when it goes on';
    is sql("SELECT e.type FROM await.event e WHERE e.job = await.topic_id('queue:p')"), 'paused', 'its topic says so';
    my $listener = Await::Session->new($s->postgres);
    $listener->run('LISTEN await_work');
    is sql("SET await.notify = on; SELECT await.resume('p')"), 't', 'it goes on';
    like $listener->run('SELECT 1'), qr/1/, 'a listener is there';
    is owners('p', 10), 'AAA', 'a claim gets the jobs in their order';
    like said("SELECT await.resume('nowhere')"), qr/there is no queue 'nowhere'/, 'an unknown queue is an error';
};

subtest 'max_running is exact, and every end of a lease gives the slot back' => sub {
    is sql(q{SELECT await.set_queue('r', '{"max_running": 2}')}), '', 'set';
    submit_for('r', 'A', 12);
    is owners('r', 10), 'AA', 'two of ten';
    is owners('r', 10), '', 'then none';
    my @sessions = map { Await::Session->new($s->postgres) } 1 .. 4;
    my %ways = (
        'a completion' =>
            "SELECT await.complete(l.job, l.receipt, 'x') FROM await.lease l WHERE l.queue IS NOT NULL LIMIT 1",
        'many completions' =>
            "SELECT done FROM await.lease l, await.complete_many(ARRAY[l.job], ARRAY[l.receipt], '{x}')
            WHERE l.queue IS NOT NULL LIMIT 1",
        'a failure' =>
            "SELECT await.fail(l.job, l.receipt, '{}', '1 hour') FROM await.lease l WHERE l.queue IS NOT NULL LIMIT 1",
        'a release' =>
            "SELECT await.release(l.job, l.receipt, '1 hour') FROM await.lease l WHERE l.queue IS NOT NULL LIMIT 1",
        'a lost lease' => "UPDATE await.lease SET until = now() - interval '1 s'
            WHERE job = (SELECT job FROM await.lease WHERE queue IS NOT NULL LIMIT 1);
            SELECT await.reap() > 0",
        'a cancel that the worker learns of' =>
            "WITH l AS MATERIALIZED (SELECT job, receipt FROM await.lease WHERE queue IS NOT NULL LIMIT 1),
            c AS MATERIALIZED (SELECT l.*, await.cancel(l.job) AS said FROM l) SELECT said = 'cancelled' FROM c",
    );
    for my $way (sort keys %ways) {
        is sql($ways{$way}), 't', $way;
        sql("SELECT await.heartbeat(l.job, l.receipt) FROM await.lease l WHERE l.queue IS NOT NULL");
        is owners('r', 10), 'A', "$way gives one slot back";
    }
    sql(q{SELECT await.set_queue('r', '{"max_running": "off"}')});
    is length owners('r', 100), 12 - 8 + 1, 'without the limit all others come, with the one whose lease was lost';
};

subtest 'racing claims do not exceed max_running' => sub {
    sql(q{SELECT await.set_queue('race', '{"max_running": 5}')});
    submit_for('race', 'A', 60);
    my @pids;
    for (1 .. 6) {
        my $pid = fork // die;
        if (!$pid) {
            my $own = Await::Session->new($s->postgres);
            $own->run("SELECT count(*) FROM await.claim('{race}', 'w', 2)") for 1 .. 5;
            POSIX::_exit(0);
        }
        push @pids, $pid;
    }
    waitpid $_, 0 for @pids;
    is sql("SELECT count(*) FROM await.lease l WHERE l.queue = (SELECT id FROM await.queue WHERE name = 'race')"), 5,
        'exactly five run';
};

subtest 'max_running_per_owner stands in nobody\'s way' => sub {
    sql(q{SELECT await.set_queue('o', '{"max_running_per_owner": 2}')});
    submit_for('o', 'A', 50);
    submit_for('o', 'B', 1);
    is join('', sort split //, owners('o', 10)), 'AAB', 'two of A, and B who is behind 50 of A';
    is owners('o', 10), '', 'no more of A';
    is end_all('o', 'A'), 2, 'A\'s jobs end';
    is owners('o', 10), 'AA', 'the next two of A';
    is sql(
        "SELECT await.complete(l.job, l.receipt, 'x') FROM await.lease l WHERE l.owner = 'A'
        AND l.queue = (SELECT id FROM await.queue WHERE name = 'o') LIMIT 1"
        ),
        't', 'one ends';
    is owners('o', 10), 'A', 'one comes';
    my $got = 0;
    for (1 .. 40) { $got += end_all('o'); last if owners('o', 10) eq '' }
    is $got, 48, 'all run at last, each once';
    submit_for('late', 'A', 30);
    submit_for('late', 'B', 1);
    sql(q{SELECT await.set_queue('late', '{"max_running_per_owner": 1}')});
    is join('', sort split //, owners('late', 10)), 'AB', 'a limit that comes later holds for what waits already';
    sql(q{SELECT await.set_queue('late', '{"max_running_per_owner": null}'); SELECT await.visit_held(100)});
    is owners('late', 100), 'A' x 29, 'and without it all come';
};

subtest 'fair: owners take turns' => sub {
    sql(q{SELECT await.set_queue('f', '{"fair": 2}')});
    submit_for('f', 'A', 1000);
    submit_for('f', 'B', 1);
    submit_for('f', 'C', 5);
    is owners('f', 12), 'AABCCAACCAAC', 'two of an owner, then the next';
    is length owners('f', 1000), 1006 - 12, 'all come, one by one' or diag sql("SELECT count(*) FROM await.held");
    # a job whose submission commits after its owner's line has been used up is found
    submit_for('f', 'A', 3);
    my $slow = Await::Session->new($s->postgres);
    $slow->run("BEGIN; SELECT await.submit('f', 'x', options => '{\"owner\": \"A\"}')");
    is owners('f', 10), 'AAA', 'what is committed is taken';
    $slow->run('COMMIT');
    cmp_ok sql('SELECT await.visit_held(1000)'), '>', 0, 'maintenance looks';
    is owners('f', 10), 'A', 'what was not is not lost';
    submit_for('f', 'A', 10);
    is sql("SELECT await.cancel(h.job) FROM await.held h WHERE h.owner = 'A' ORDER BY pos LIMIT 1"), 'cancelled',
        'one that is held is cancelled';
    is length owners('f', 100), 9, 'and does not come';
};

subtest 'a held snapshot makes nothing slower' => sub {
    sql(q{SELECT await.set_queue('s', '{"fair": 1, "max_running_per_owner": 3}')});
    submit_for('s', 'A', 2000);
    my $held = Await::Session->new($s->postgres);
    $held->run('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM await.job');
    my $buffers = sub {
        my $plan = sql(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)
            SELECT await.complete(c.id, c.receipt, 'x') FROM await.claim('{s}', 'w', 1) c"
        );
        my $top = decode_json($plan)->[0]{Plan};
        return $top->{'Shared Hit Blocks'} + $top->{'Shared Read Blocks'};
    };
    my $first = 0;
    $first += $buffers->() for 1 .. 5;
    sql("SELECT count(await.complete(c.id, c.receipt, 'x')) FROM await.claim('{s}', 'w', 1) c") for 1 .. 300;
    my $later = 0;
    $later += $buffers->() for 1 .. 5;
    cmp_ok $later, '<', $first * 2.5, "a claim reads about what it did before 300 others ($first, $later)";
    $held->run('ROLLBACK');
};

subtest 'the jobs of batches stand in line as others' => sub {
    sql(q{SELECT await.set_queue('b', '{"fair": 1, "max_running_per_owner": 3}')});
    my ($one, $other) = map { sql("SELECT await.create_batch('{\"owner\": \"$_\", \"on_ready\": \"b\"}')") } qw(A B);
    my $add = sub {
        sql("SELECT await.submit('b', 'x', options => '{\"batch\": \"$_[0]\"}') FROM generate_series(1, $_[1])");
    };
    $add->($one, 5);
    $add->($other, 2);
    is sql("SELECT jsonb_array_length((await.list('{\"queue\": \"b\", \"state\": \"pending\"}')).jobs)"), 7,
        'a list has those that are held';
    is owners('b', 4), 'ABAB', 'their owners take turns';
    is end_all('b'), 4, 'they end';
    is owners('b', 1), 'A', 'the next of A' or diag sql('TABLE await.held');
    is sql("SELECT await.cancel('$one')"), 'cancelled', 'the batch is cancelled';
    is sql("SELECT count(*) FROM await.held h WHERE h.lane >> 8 = ${\queue_of('b')}"), 0, 'none is held';
    is sql("SELECT state FROM await.event WHERE job = '$other' ORDER BY seq DESC LIMIT 1"), 'completed',
        'the other one is ready';
    is owners('b', 10), 'B', 'and its job "on ready" waits';
};

subtest 'fair= that comes later sorts all that waits' => sub {
    for my $quotas (0, 1) {
        my $queue = "later$quotas";
        submit_for($queue, 'A', 1);
        sql("UPDATE await.queue SET quotas = true WHERE name = '$queue'") if $quotas;    # as a submission with a quota
        submit_for($queue, 'A', 29);
        submit_for($queue, 'B', 3);
        sql(qq{SELECT await.set_queue('$queue', '{"fair": 2}')});
        my $after = 0;
        for (1 .. 20) { $after = sql("SELECT await.sort_queue('$queue', $after, 5)"); last if $after eq '' }
        is $after, '', 'sorting comes to an end';
        my $known = $quotas ? 'whose owner was known' : 'whose owner was not';
        is owners($queue, 4), 'AABB', "the owners take turns, in the order of jobs $known";
        is length owners($queue, 100), 29, 'and all come';
        is sql("SELECT count(*) FROM await.held h WHERE h.lane >> 8 = ${\queue_of($queue)}"), 0, 'none is left aside';
    }
    submit_for('order', 'A', 9);
    my @ids = split /\n/, sql("SELECT id FROM await.job WHERE queue = ${\queue_of('order')} ORDER BY eid");
    sql(qq{SELECT await.set_queue('order', '{"fair": 2}'), await.sort_queue('order')});
    is sql("SELECT string_agg(c.id::text, ' ' ORDER BY c.ord) FROM await.claim('{order}', 'w', 9) WITH ORDINALITY
        c (id, receipt, attempt, queue, payload, content_type, file_name, params, batch, phase, trace, deadline,
            payload_size, correlation_id, lease_for, ord)"), join(' ', @ids), 'an owner\'s jobs stay in their order';
};

finish();
