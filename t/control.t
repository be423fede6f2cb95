# What operators set for queues: pause and resume, how many jobs run, of one owner too, and that owners take turns; how
# many may wait, where a job stands, and what has failed is run once more. By SQL, HTTP and await-ctl.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use JSON::PP qw(decode_json);
use Test::More;

my $s = start_stack(extra => <<'CONF');
    location = /full { await_submit full max_pending=3; await_owner $arg_owner; await_idempotency on; }
    location = /mine { await_submit mine max_pending_per_owner=2; await_owner $arg_owner; }
    location = /sets { await_batch queues=set,other max_pending=10 max_pending_per_owner=6; await_owner $arg_owner;
        await_idempotency on; }
    location = /set { await_submit set batch=$arg_b max_pending=10 max_pending_per_owner=6; await_owner $arg_owner; }
    location ~ ^/sets/(?<id>[^/]+)$ { await_batch $id; await_owner $arg_owner; }
    location ~ ^/owned/(?<id>[^/]+)$ { await_job $id; await_owner $arg_owner; }
    location ~ ^/owned/(?<id>[^/]+)/retry$ { await_retry_job $id; await_owner $arg_owner; }
    location ~ ^/jobs/(?<id>[^/]+)/retry$ { await_retry_job $id; }
CONF

my $ctl = "$Await::Stack::ROOT/tools/await-ctl";
sub ctl {
    my ($conninfo, @words) = @_;
    my $pid = open(my $from, '-|') // die "fork: $!";
    if (!$pid) { $ENV{AWAIT_POSTGRES} = $conninfo; open STDERR, '>&', \*STDOUT; exec $ctl, @words or POSIX::_exit(127) }
    my $out = do { local $/; <$from> }
        // '';
    close $from;
    return ($? >> 8, $out);
}
sub submit_for {
    my ($queue, $owner, $n) = @_;
    return sql("SELECT await.submit('$queue', 'x', options => '{\"owner\": \"$owner\"}') FROM generate_series(1, $n)");
}
# What PostgreSQL says, an error too.
my $session = Await::Session->new($s->postgres);
sub said { return $session->run($_[0]) }
# The owners of the jobs that a claim gets, in their order. Maintenance takes the turn of a queue, too, and a claim
# waits for it for 200 ms only, which a busy machine exceeds: the turn is taken first.
sub owners {
    my ($queue, $n) = @_;
    my $claimed = sql(
        "BEGIN; SELECT FROM await.queue WHERE name = '$queue' FOR NO KEY UPDATE;
        SELECT coalesce(string_agg(coalesce((SELECT j.owner FROM await.job j WHERE j.id = c.id), '-'), ''
            ORDER BY c.ord), '')
        FROM await.claim('{$queue}', 'w', $n) WITH ORDINALITY c (id, receipt, attempt, queue, payload, content_type,
            file_name, params,
            batch, phase, trace, deadline, payload_size, correlation_id, lease_for, ord); COMMIT"
    );
    return $claimed =~ s/\A\n//r;
}
sub end_all {
    my ($queue, $owner) = @_;
    return sql(
        "SELECT count(*) FILTER (WHERE await.complete(l.job, l.receipt, 'x'))
        FROM await.lease l JOIN await.job j ON j.id = l.job
        JOIN await.queue q ON q.id = j.queue WHERE q.name = '$queue' AND ('@{[$owner // '']}' IN ('', j.owner))"
    );
}

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
    is sql("SELECT count(*) > 0 FROM (SELECT await.visit_held(1000)) x"), 't', 'maintenance looks';
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

subtest 'max_pending: 503 for everybody' => sub {
    is post('/full?owner=A', 'x')->{status}, 202, "job $_ of 3" for 1 .. 2;
    my $first = post('/full?owner=A', 'x', 'Idempotency-Key' => '"k"');
    is $first->{status}, 202, 'job 3 of 3';
    my $r = post('/full?owner=B', 'x', 'Idempotency-Key' => '"l"');
    is $r->{status}, 503, 'the fourth is refused';
    like header($r, 'retry-after'), qr/^[1-9]\d*$/, 'with Retry-After';
    is json($r)->{detail}, 'The queue is full. Nothing was stored; retry later.', 'as a problem';
    is post('/full?owner=B', 'x')->{status}, 503, 'and the fifth, which is known before';
    is sql(
        "SELECT count(*), (SELECT count(*) FROM await.idem WHERE key = 'l')
        FROM await.job j JOIN await.queue q ON q.id = j.queue
        WHERE q.name = 'full'"
        ),
        '3|0', 'nothing is stored, no key either';
    my $again = post('/full?owner=A', 'x', 'Idempotency-Key' => '"k"');
    is $again->{status}, 202, 'a repetition is not refused';
    is header($again, 'location'), header($first, 'location'), 'and has the same job';
    owners('full', 1);
    eventually 'there is room again', sub { post('/full?owner=B', 'x')->{status} == 202 };
};

subtest 'max_pending_per_owner: 429 for the owner' => sub {
    is post('/mine?owner=A', 'x')->{status}, 202, "job $_ of 2" for 1 .. 2;
    my $r = post('/mine?owner=A', 'x' x 300_000);
    is $r->{status}, 429, 'the third is refused';
    is header($r, 'ratelimit-policy'), '"pending";q=2', 'RateLimit-Policy';
    like header($r, 'ratelimit'), qr/^"pending";r=0;t=[1-9]\d*$/, 'RateLimit';
    like header($r, 'retry-after'), qr/^[1-9]\d*$/, 'Retry-After';
    is post('/mine?owner=B', 'x')->{status}, 202, 'another owner is not';
    eventually 'nothing of the upload is kept', sub { sql("SELECT count(*) FROM await.chunk") == 0 };
    my $id = sql(
        "SELECT j.id FROM await.job j JOIN await.ready r ON r.job = j.id WHERE r.owner = 'A'
        AND j.queue = (SELECT id FROM await.queue WHERE name = 'mine') LIMIT 1"
    );
    is request('DELETE', "/owned/$id?owner=A")->{status}, 202, 'one is cancelled';
    eventually 'so there is room', sub { post('/mine?owner=A', 'x')->{status} == 202 };
    sql("SELECT await.fail(c.id, c.receipt, '{}', '1 hour') FROM await.claim('{mine}', 'w', 10) c");
    eventually 'jobs that wait for their next attempt count', sub { post('/mine?owner=A', 'x')->{status} == 429 };
    sql("SELECT await.cancel(d.job) FROM await.delayed d
        WHERE d.lane >> 8 = (SELECT id FROM await.queue WHERE name = 'mine') AND d.owner = 'A' LIMIT 1");
    eventually 'but not those that are cancelled', sub { post('/mine?owner=A', 'x')->{status} == 202 };
};

# A batch of jobs for a queue.
sub post_set {
    my ($owner, $n, %more) = @_;
    my $key = delete $more{key};
    my $jobs = join ',', map { sprintf '{"payload":%d,"queue":"%s"}', $_, $more{queue} // 'set' } 1 .. $n;
    return post(
        "/sets?owner=$owner", "{\"jobs\":[$jobs]}",
        'Content-Type' => 'application/json',
        defined $key ? ('Idempotency-Key' => "\"$key\"") : ());
}

subtest 'limits hold for batches, all or none' => sub {
    is post_set('A', 4)->{status}, 202, 'four jobs of six';
    my $kept = post_set('A', 2, key => 's');
    is $kept->{status}, 202, 'six of six';
    my $r = post_set('A', 1);
    is $r->{status}, 429, 'a batch with the seventh is refused';
    is header($r, 'ratelimit-policy'), '"pending";q=6', 'with RateLimit-Policy';
    like header($r, 'retry-after'), qr/^[1-9]\d*$/, 'and Retry-After';
    is header(post_set('A', 2, key => 's'), 'location'), header($kept, 'location'), 'a repetition is not';
    is post_set('B', 4)->{status}, 202, 'ten of ten';
    $r = post_set('C', 2, key => 'full');
    is $r->{status}, 503, 'a batch with the twelfth is refused';
    is json($r)->{detail}, 'The queue is full. Nothing was stored; retry later.', 'as a problem';
    is post_set('C', 3, queue => 'other')->{status}, 202, 'another queue has its own limits';
    is sql(
        "SELECT count(*) FILTER (WHERE q.name = 'set'), count(*) FILTER (WHERE q.name = '.batch'),
        (SELECT count(*) FROM await.batch_stage), (SELECT count(*) FROM await.idem WHERE key = 'full')
        FROM await.job j JOIN await.queue q ON q.id = j.queue"
        ),
        '10|4|0|0', 'nothing that was refused is stored';
    $r = post_set('D', 7);
    is $r->{status}, 413, 'a batch that would never fit is refused for good';
    like json($r)->{detail}, qr/^Invalid batch. Job 7, at byte \d+: no more than 6 jobs may wait in the queue set,/,
        'at its seventh job';
    my $id = (split m{/}, header($kept, 'location'))[-1];
    is post("/set?owner=A&b=$id", 'x')->{status}, 429, 'a job that is added to a batch is refused, too';
    is del("/sets/$id?owner=A")->{status}, 202, 'a batch is cancelled';
    is post_set('A', 2)->{status}, 202, 'so there is room';
    is owners('set', 3), 'AAA', 'some are claimed';
    is post_set('C', 3, key => 'full')->{status}, 202, 'so there is room for everybody, with the same key';
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
    # what finds a row locked by maintenance is left to the next round of that
    my $next;
    eventually('another is let in', sub { $next = owners('b', 1) });
    is $next, 'A', 'the next of A' or diag sql('TABLE await.held');
    is sql("SELECT await.cancel('$one')"), 'cancelled', 'the batch is cancelled';
    my $held = "await.held h JOIN await.queue q ON q.id = h.lane >> 8 WHERE q.name = 'b'";
    eventually('none is held', sub { sql("SELECT count(*) FROM $held") == 0 });
    my $state = "SELECT state FROM await.event WHERE job = '$other' ORDER BY seq DESC LIMIT 1";
    eventually('the other one is ready', sub { sql($state) eq 'completed' });
    is owners('b', 10), 'B', 'and its job "on ready" waits';
};

subtest '?include=position' => sub {
    my @ids = map { id_of(post('/jobs', 'x')) } 1 .. 5;
    my $doc = json(get("/jobs/$ids[3]?include=position"));
    is $doc->{position}, 4, 'the fourth is the fourth';
    ok exists $doc->{eta}, 'with eta';
    is header(get("/jobs/$ids[3]?include=position"), 'etag'), undef,
        'and without an entity tag, because it changes without an event';
    ok !exists json(get("/jobs/$ids[3]"))->{position}, 'only where it is asked for';
    is get("/jobs/$ids[3]?include=all")->{status}, 400, 'another include is refused';
    sql("SELECT count(*) FROM await.claim('{work}', 'w', 2)");
    is json(get("/jobs/$ids[3]?include=position"))->{position}, 2, 'it moves up';
    my $claimed = json(get("/jobs/$ids[0]?include=position"));
    ok exists $claimed->{position} && !defined $claimed->{position}, 'null for a job that is not pending';
    sql("SELECT await.submit('big', 'x') FROM generate_series(1, 6000)");
    my $last = sql("SELECT await.submit('big', 'x')");
    sql("SELECT await.submit('big', 'x') FROM generate_series(1, 500)");
    my $place = sql("SELECT place FROM await.position('$last')");
    cmp_ok abs($place - 6001), '<', 300, "an estimate of a long line: $place of 6001";
};

subtest 'POST .../retry' => sub {
    my $id = sql(q{SELECT await.submit('again', 'payload', 'text/plain', '{"owner": "A"}')});
    is post("/owned/$id/retry?owner=A")->{status}, 409, '409 before the end';
    sql("SELECT await.fail(c.id, c.receipt, '{\"type\": \"/t\"}', '-1 s') FROM await.claim('{again}', 'w') c");
    is post("/owned/$id/retry?owner=B")->{status}, 404, '404 for another owner';
    is post("/owned/$id/retry?owner=A", '', Origin => 'https://evil.example')->{status}, 403, '403 from a foreign page';
    my $r = post("/owned/$id/retry?owner=A");
    is $r->{status}, 202, 'an ended job is retried';
    my $doc = json($r);
    is $doc->{retry_of}, $id, 'a new job with retry_of';
    is $doc->{state}, 'pending', 'which waits';
    is header($r, 'location'), "/owned/$doc->{id}", 'Location is the new job';
    my $twice = post("/owned/$id/retry?owner=A");
    is json($twice)->{id}, $doc->{id}, 'a repetition has the same job';
    is header($twice, 'idempotency-replayed'), 'true', 'and says so';
    is sql("SELECT convert_from(payload, 'UTF8') FROM await.claim('{again}', 'w')"), 'payload',
        'the payload is the old one';
    is post('/owned/01a21b59-2555-72b8-a14b-b110c77b5d23/retry?owner=A')->{status}, 404, 'unknown: 404';
};

subtest 'await.retry_many' => sub {
    sql("SELECT await.submit('many', 'x') FROM generate_series(1, 25)");
    sql("SELECT await.fail(c.id, c.receipt, '{\"type\": \"/a\"}', '-1 s') FROM await.claim('{many}', 'w', 20) c");
    sql("SELECT await.fail(c.id, c.receipt, '{\"type\": \"/b\"}', '-1 s') FROM await.claim('{many}', 'w', 5) c");
    is sql(q{SELECT retried, passed, upto IS NULL FROM await.retry_many('{"queue": "many", "error_type": "/b"}')}),
        '5|0|t', 'by their error';
    is sql(q{SELECT retried + passed, upto IS NOT NULL FROM await.retry_many('{"queue": "many"}', 10)}), '10|t',
        'a step';
    is sql(q{SELECT retried + passed FROM await.retry_many('{"queue": "many"}', 1000)}), 25, 'all of them';
    is sql(q{SELECT retried FROM await.retry_many('{"queue": "many"}', 1000)}), 0, 'none twice';
    is sql(
        "SELECT count(*), count(DISTINCT retry_of) FROM await.job WHERE retry_of IS NOT NULL AND queue =
        (SELECT id FROM await.queue WHERE name = 'many')"
        ),
        '25|25', '25 new jobs';
    like said(qq{SELECT await.retry_many('$_->[0]')}), $_->[1], "$_->[0]"
        for [ '{"queue": "nowhere"}', qr/no queue 'nowhere'/ ], [ '{"state": "pending"}', qr/state of a filter/ ],
        [ '{"que": "x"}', qr/not que/ ],
        [ '[]', qr/JSON object/ ], [ '{"created_after": "soon"}', qr/created_after is a time, not 'soon'/ ];
    is sql(
        q{SELECT count(*) FROM await.find_jobs('{"queue": "many", "created_before": "2020-01-01"}')
            WHERE id IS NOT NULL}
        ),
        0, 'by time';
};

subtest 'what was retried is forgotten with the old job' => sub {
    my $kept = sql('SELECT count(*) FROM await.retried');
    cmp_ok $kept, '>', 0, 'some were retried';
    sql("INSERT INTO await.retried SELECT 1, await.floor_id('2020-01-01'), await.new_id(1::int2)");
    sql('SELECT count(*) FROM await.purge()');
    is sql('SELECT count(*) FROM await.retried'), $kept, 'only that of a job whose partition is gone';
};

subtest 'await-ctl' => sub {
    sql("CREATE ROLE operator LOGIN PASSWORD 'operator' IN ROLE await_console");
    my $as = "host=127.0.0.1 port=$s->{pg_port} dbname=await user=operator password=operator";
    my $run = sub { return ctl($as, @_) };
    my $says = sub { return scalar((ctl($as, @_))[1]) };
    like $says->('pause', 'work'), qr/^work: paused$/m, 'pause';
    like $says->('queues'), qr/^ *work +\| +\d+ +\| +\d+ +\| +paused/m, 'queues says paused';
    is decode_json($says->('queues', '--json', 'work'))->[0]{paused}, JSON::PP::true, 'in JSON, too';
    is_deeply decode_json($says->('resume', '--json', 'work')),
        { queue => 'work', paused => JSON::PP::false, changed => JSON::PP::true }, 'resume';
    like $says->('queue', 'set', 'set', 'max_running=3', 'fair=16'), qr/^ *set .*\| +3 +\| +\| +16/m, 'queue set';
    for my $wrong (
        [ 1, qr/there is no such queue/, 'queues', 'nowhere' ],
        [ 1, qr/is a number from 1 to 1000, or off, not '0'/, 'queue', 'set', 'x', 'fair=0' ],
        [ 1, qr/no setting fare/, 'queue', 'set', 'x', 'fare=1' ],
        [ 64, qr/is not NAME=N/, 'queue', 'set', 'x', 'fair' ],
        [ 64, qr/usage/, 'pause' ],
        [ 1, qr/there is no queue 'nowhere'/, 'resume', 'nowhere' ],
        [ 64, qr/is no filter/, 'jobs', '--what=x' ],
        [ 64, qr/needs a filter/, 'retry-many' ],
        [ 64, qr/the limit is a number/, 'jobs', '--limit=x' ])
    {
        my ($code, $said, @words) = @$wrong;
        my ($got, $out) = $run->(@words);
        is $got, $code, "await-ctl @words: exit $code";
        like $out, $said, "await-ctl @words: says why";
    }
    sql("SELECT await.submit('ctl', 'x') FROM generate_series(1, 3)");
    sql("SELECT await.fail(c.id, c.receipt, '{\"title\": \"No luck\"}', '-1 s') FROM await.claim('{ctl}', 'w', 2) c");
    is scalar(() = $says->('jobs', '--queue=ctl') =~ /^\S{36}  failed     ctl  \S+  No luck$/mg), 2,
        'jobs lists what failed';
    is decode_json((split /\n/, $says->('jobs', '--json', '--queue=ctl'))[0])->{queue}, 'ctl',
        'in JSON, a line for each';
    is_deeply decode_json($says->('retry-many', '--json', '--queue=ctl')),
        { retried => 2, passed => 0, more => JSON::PP::false }, 'retry-many';
    my $id = sql(
        "SELECT id FROM await.job
            WHERE queue = (SELECT id FROM await.queue WHERE name = 'ctl') AND retry_of IS NOT NULL LIMIT 1"
    );
    like $says->('cancel', $id), qr/^$id  cancelled$/m, 'cancel';
    my ($code, $out) = $run->('cancel', $id, '01a21b59-2555-72b8-a14b-b110c77b5d23');
    is $code, 1, 'what cannot be cancelled is an error';
    like $out, qr/^$id  already\n\S+  unknown$/m, 'each is said';
    sql("CREATE ROLE plain_worker LOGIN PASSWORD 'plain_worker' IN ROLE await_worker");
    ($code, $out) = ctl($as =~ s/operator/plain_worker/gr, 'pause', 'work');
    is $code, 1, 'a worker may not pause';
    like $out, qr/permission denied/, 'and is told so';
};

finish();
