# What operators set for queues, over HTTP and by await-ctl: how many jobs may wait, where a job stands, and what has
# failed is run once more. What claims get is in control_sql.t.

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
# What PostgreSQL says, an error too.
my $session = Await::Session->new($s->postgres);
sub said { return $session->run($_[0]) }

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
    sql("SELECT await.claim('{full}', 'w', 1)");
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
    is sql("SELECT count(*) FROM await.claim('{set}', 'w', 3)"), 3, 'some are claimed';
    is post_set('C', 3, key => 'full')->{status}, 202, 'so there is room for everybody, with the same key';
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
