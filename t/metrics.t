# What operators see: await_metrics with what happens in each queue, checked by promtool, and await_health, which tells
# a load balancer whether to send requests here. Neither waits for the database.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use IPC::Open2;
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(workers => 2, reread => '500ms', extra => <<'CONF');
    location = /metrics { await_metrics; }
    location = /health { await_health; }
    location = /strict { await_health redis=required; }
    location = /queue { await_submit $arg_q; }
    location = /later { await_submit later delay=1h; }
CONF

sub series {
    my ($name) = @_;
    my %found;
    for (split /\n/, get('/metrics')->{body}) { $found{ $1 // '' } = $2 if /^\Q$name\E(?:\{([^}]*)\})? (\S+)$/ }
    return \%found;
}
sub value { my ($name, $labels) = @_; return series($name)->{$labels} }

# a relay has been here, and has delivered to a webhook: only then there are metrics of these
sql(q{SELECT setval('await.deliveries_delivered', 1)});
sql("SELECT o.sink FROM await.relay_lease('main', 'test', NULL, '1 second') l,
    await.relay_open('main', l.token, '{stdout}') o");

subtest 'ready' => sub {
    until_true('both nginx workers are ready',
        sub { get('/health')->{status} == 200 && get('/strict')->{status} == 200 });
    my $r = get('/health');
    my $says = json($r);
    delete $says->{paused};                  # there once the metrics of queues were read
    is_deeply $says, { status => 'ready', problems => [], degraded => [] }, 'the document says so';
    is header($r, 'cache-control'), 'no-store', 'it is not stored';
    is header($r, 'content-type'), 'application/json', 'its type is JSON';
    my $head = request('HEAD', '/health');
    is "$head->{status} " . header($head, 'content-length'), '200 ' . length $r->{body}, 'HEAD has status and length';
    is request('POST', '/health', body => '')->{status}, 405, 'POST is not allowed';
    my $before = metric('await_postgres_statements_total');
    get('/health') for 1 .. 50;
    cmp_ok metric('await_postgres_statements_total') - $before, '<', 25, '50 checks make no statements of their own';
};

subtest 'queues' => sub {
    sql("SELECT await.queue_id('many.' || g, false) FROM generate_series(1, 150) g");
    my @jobs = map { one_job('/queue?q=alpha', 'x') } 1 .. 5;
    one_job('/later', 'x');
    sql("SELECT await.pause('later')");
    sql("SELECT count(*) FROM await.claim('{alpha}', 'w', 4)");
    complete($jobs[0], 'done');
    sql("SELECT await.fail('$jobs[1]', test.receipt('$jobs[1]'), '{}', '0')");    # and again
    sql("SELECT await.fail('$jobs[2]', test.receipt('$jobs[2]'), '{}', '-1 s')");
    del("/jobs/$jobs[3]");
    ok until_true('counted', sub { (value('await_queue_ended_total', 'queue="alpha",state="cancelled"') // 0) == 1 },
        40),
        'what has happened is counted';
    my $ended = series('await_queue_ended_total');
    is $ended->{"queue=\"alpha\",state=\"$_->[0]\""}, $_->[1], "$_->[1] $_->[0]"
        for [ completed => 1 ], [ failed => 1 ], [ cancelled => 1 ], [ expired => 0 ];
    is value('await_queue_retries_total', 'queue="alpha"'), 1, 'one retry';
    is value('await_queue_ready', 'queue="alpha"'), 2, 'the fifth one waits, and the one that is tried again';
    is value('await_queue_delayed', 'queue="later"'), 1, 'the delayed one is not ready yet';
    is value('await_queue_paused', "queue=\"$_->[0]\""), $_->[1], "$_->[0]: paused $_->[1]"
        for [ later => 1 ], [ alpha => 0 ];
    is_deeply json(get('/health'))->{paused}, ['later'], 'await_health lists what is paused';
    cmp_ok value('await_queue_oldest_seconds', 'queue="alpha"'), '>', 0, 'the fifth one has waited for some time';
    is value('await_queue_wait_seconds_count', 'queue="alpha"'), 4, 'four claims have waited';
    is value('await_queue_run_seconds_count', 'queue="alpha"'), 4, 'four attempts have run';
    is value('await_queue_job_seconds_count', 'queue="alpha"'), 3, 'three jobs have ended';
    is value('await_queue_job_seconds_bucket', 'queue="alpha",le="+Inf"'), 3, 'all of them are in the last bucket';
    my $buckets = series('await_queue_job_seconds_bucket');
    my @counts = map { $buckets->{$_} } sort { ($a =~ /le="([\d.]+)/)[0] <=> ($b =~ /le="([\d.]+)/)[0] }
        grep { /alpha/ && !/Inf/ } keys %$buckets;
    is scalar(@counts), 12, 'twelve bounds';
    is_deeply \@counts, [ sort { $a <=> $b } @counts ], 'the buckets are cumulative';
    is scalar(keys %{ series('await_queue_ready') }), 101, 'a hundred queues, and one line for all others';
    is value('await_queue_ready', 'queue="(other)"'), 0, 'nothing waits in the others';
    ok !exists $ended->{'queue="(other)",state="completed"'}, 'the others have no counters';
    eventually('maintenance is not late', sub { value('await_reap_lag_seconds', '') < 5 });
    is value('await_reread_lag_seconds', ''), 0, 'the re-read is not late';
};

subtest 'each event is counted once' => sub {
    my $open = Await::Session->new($s->postgres);
    my $slow = one_job('/queue?q=beta', 'x');
    claim($slow, queue => 'beta');
    my ($receipt) = sql("SELECT test.receipt('$slow')");
    $open->run("BEGIN; SELECT await.complete('$slow', '$receipt', 'done')");    # has its number, and is not over
    my @quick = map { one_job('/queue?q=beta', 'x') } 1 .. 3;
    for (@quick) { claim($_, queue => 'beta'); complete($_, 'done') }
    my $count = sub {
        sql("SELECT await.count_events('0 s')");
        return sql('SELECT coalesce(sum(completed), 0) FROM await.queue_count '
                . "JOIN await.queue q ON q.id = queue WHERE q.name = 'beta'");
    };
    is $count->(), 3, 'those that are committed, though an older transaction is open';
    is $count->(), 3, 'and not again';
    $open->run('COMMIT');
    is $count->(), 4, 'the older one when it commits';
    my @many = map { one_job('/queue?q=beta', 'x') } 1 .. 6;
    for (@many) { claim($_, queue => 'beta'); complete($_, 'done') }
    my $calls = 0;
    until_true('all pieces', sub { ++$calls; sql("SELECT await.count_events('0 s', 3)") eq 'f' });
    cmp_ok $calls, '>', 2, 'a backlog is counted in pieces of a few transactions';
    is $count->(), 10, 'each event of them once';
    sql("UPDATE await.counted SET upto = '1:99999999:1', system = 1");
    is $count->(), 10, 'after a restore into another server it goes on from there';
    claim(my $after = one_job('/queue?q=beta', 'x'), queue => 'beta');
    complete($after, 'done');
    is $count->(), 11, 'and counts what is new';
    # was a bug: a release is a pending event, too
    claim(my $back = one_job('/queue?q=gamma', 'x'), queue => 'gamma');
    sql("SELECT await.release('$back', test.receipt('$back'))");
    claim($back, queue => 'gamma');
    sql("SELECT await.fail('$back', test.receipt('$back'), '{}', '0')");
    $count->();
    is sql("SELECT c.retries FROM await.queue_count c JOIN await.queue q ON q.id = c.queue WHERE q.name = 'gamma'"), 1,
        'a failed attempt is a retry, one that was given back is not';
};

subtest 'promtool' => sub {
    my $body = get('/metrics')->{body};
    my $pid = open2(my $out, my $in, 'promtool check metrics 2>&1');
    print $in $body;
    close $in;
    my $said = do { local $/; <$out> };
    waitpid $pid, 0;
    is $? >> 8, 0, 'promtool accepts the metrics' or diag $said;
    is $said, '', 'and has nothing to say';
};

subtest 'the documentation' => sub {
    my %said =
        map { /^\| `(await_\w+)` \| (\w+) / ? ($1 => $2) : () } split /\n/,
        slurp("$FindBin::Bin/../docs/directives/await_metrics.md");
    my %told = get('/metrics')->{body} =~ /^# TYPE (\w+) (\w+)$/mg;
    is_deeply \%told, \%said, 'has each metric, with its type, and no other';
};

subtest 'not ready' => sub {
    $s->end('redis', 'TERM');
    ok until_true('degraded', sub { json(get('/health'))->{status} eq 'degraded' }), 'without Redis it is degraded';
    is get('/health')->{status}, 200, 'and gets requests';
    is get('/strict')->{status}, 503, 'unless Redis is required';
    sql('UPDATE await.schema_history SET version = version - 1000');
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'nginx-await-%'");
    ok until_true('schema', sub { get('/health')->{body} =~ /"postgresql schema"/ }, 20),
        'a schema that is too old is told';
    sql('UPDATE await.schema_history SET version = version + 1000');
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'nginx-await-%'");
    until_true('ready again', sub { get('/health')->{status} == 200 }, 20);
    $s->end('postgres', 'INT');
    my $began = time;
    ok until_true('unavailable', sub { get('/health')->{status} == 503 }), 'without PostgreSQL it is not ready';
    my $r = get('/health');
    my $said = json($r);
    is $said->{status}, 'unavailable', 'the document says so';
    is_deeply $said->{problems}[0], { part => 'postgresql write', state => 'not connected' }, 'and what is missing';
    like header($r, 'retry-after'), qr/^\d+$/, 'it has Retry-After';
    unlike $r->{body}, qr/127\.0\.0\.1|$s->{pg_port}|password|user/, 'it tells no addresses';
    my $metrics = get('/metrics');
    is $metrics->{status}, 200, 'the metrics are served';
    like $metrics->{body}, qr/^await_queue_ready\{queue="alpha"\}/m, 'with what was known of the queues';
    cmp_ok time - $began, '<', 15, 'nothing waits for the database';
};

subtest 'shutting down' => sub {
    $s->start_postgres;
    until_true('ready again', sub { get('/health')->{status} == 200 }, 20);
    my $held = begin_request('GET', '/jobs/' . one_job() . '?wait=20');
    my $check = begin_raw("GET /health HTTP/1.1\r\nHost: x\r\n");
    eventually('a poll is held', sub { metric('await_held') == 1 });
    my @old = worker_pids();
    kill QUIT => $s->pid('nginx');
    eventually('both workers shut down', sub { (() = error_log() =~ /gracefully shutting down/g) == 2 });
    print { $check->{socket} } "\r\n";
    my $r = $check->response;
    is $r->{status}, 503, 'a check that is under way is told to go elsewhere';
    is json($r)->{problems}[0]{state}, 'shutting down', 'because nginx shuts down';
    is lc header($r, 'connection'), 'close', 'the connection is closed after it';
};

finish();
