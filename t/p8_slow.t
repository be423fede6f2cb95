# P8, the slow ones: a client that reads nothing harms nobody else, and while PostgreSQL stands still latency grows,
# memory does not. Every limit has its number in await_metrics.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;
use Time::HiRes qw(time sleep);

my $s = start_stack(http => "send_timeout 3s;\nawait_max_buffered 64k;\n", extra => <<'CONF');
    location = /metrics { await_metrics; }
    location ~ ^/few/(?<id>[^/]+)$ { await_max_inflight 5; await_job $id; await_events job:$id; }
    location = /small { await_max_inflight 20; await_submit work; }
CONF

sub backends { my $pid = $s->pid('postgres'); return ($pid, split ' ', slurp("/proc/$pid/task/$pid/children")) }

subtest 'the numbers' => sub {
    my $r = get('/metrics');
    is $r->{status}, 200, 'the metrics are answered';
    like header($r, 'Content-Type'), qr{^text/plain; version=0\.0\.4}, 'their type is that of Prometheus';
    like $r->{body}, qr/^# TYPE await_held gauge\nawait_held 0$/m, 'each has its type and its value';
    eventually('the connections to PostgreSQL are counted', sub { metric('await_postgres_connections') == 3 });
    eventually('the connection to Redis is counted', sub { metric('await_redis_connections') == 1 });
    post('/jobs', 'x') for 1 .. 3;
    is metric('await_submitted_total'), 3, 'three submissions are counted';
    is request('POST', '/metrics', body => '')->{status}, 405, 'POST is not allowed';
    my ($pid) = worker_pids();
    local @Await::Test::expected_alarms = (qr/exited on signal 9/);
    kill 'KILL', $pid;
    eventually(
        'a new nginx worker serves',
        sub {
            my ($new) = worker_pids();
            $new && $new != $pid && eval { get('/metrics')->{status} == 200 }
        });
    is metric('await_submitted_total'), 3, 'counters outlive it';
};
@Await::Test::expected_alarms = (qr/exited on signal 9/);

subtest 'a client that reads nothing' => sub {
    my $id = one_job();
    claim($id);
    my @deaf = map { begin_request('GET', "/jobs/$id/events", headers => { Accept => 'text/event-stream' }) } 1 .. 5;
    setsockopt $_->{socket}, 1, 8, pack('i', 4096) for @deaf;       # SO_RCVBUF
    my $good = begin_request('GET', "/jobs/$id/events", headers => { Accept => 'text/event-stream' });
    ok $good->wait_event('processing'), 'the stream that reads has begun';
    my ($pid) = worker_pids();
    my $before = memory_kb($pid, 'VmRSS');
    my ($most, $slowest) = (0, 0);
    for my $n (1 .. 60) {
        sql("SELECT await.emit('$id', test.receipt('$id'), 'n', to_jsonb(repeat('z', 40000))) 
            FROM generate_series(1, 10)");
        my $begin = time;
        hint($id);
        my $last = 2 + 10 * $n;
        ok $good->read_until(sub { $_[0] =~ /"seq":$last\b/ }), "the stream that reads gets event $last" or last;
        $good->{buffer} = substr $good->{buffer}, -2000;
        $slowest = time - $begin if time - $begin > $slowest;
        my $now = metric('await_buffered_bytes');
        $most = $now if $now > $most;
    }
    diag sprintf 'slowest %.3f s, at most %d bytes buffered', $slowest, $most;
    cmp_ok $most, '>', 64 * 1024, 'they have filled up';
    cmp_ok $most, '<', 5 * (64 + 41 + 8) * 1024,
        'five times await_max_buffered and an event at most, of 24 MB each was to get';
    cmp_ok memory_kb($pid, 'VmRSS') - $before, '<', $ENV{AWAIT_ASAN} ? 600_000 : 12_000,
        'and nothing else grows with them';
    cmp_ok metric('await_paused_total'), '>=', 5, 'each that does not read was paused';
    ok until_true('they are let go', sub { metric('await_held') == 1 }, 20), 'after send_timeout';
    is metric('await_buffered_bytes'), 0, 'and nothing of theirs is left';
    $_->read_until(sub { 0 }, 1) for @deaf;
    my $events = Await::Test::Exchange::events({ buffer => $deaf[0]{buffer} =~ s/[^\n]*\z//r });
    my ($last) = reverse grep { defined $_->{id} && ($_->{data} // '') =~ /\}$/ } @$events;
    my $again = begin_request('GET', "/jobs/$id/events",
        headers => { Accept => 'text/event-stream', 'Last-Event-ID' => $last->{id} });
    my $next = json({ body => $last->{data} })->{seq} + 1;
    ok $again->read_until(sub { $_[0] =~ /"seq":$next\b/ }), 'one comes back and goes on where it was';
};

subtest 'PostgreSQL stands still' => sub {
    my $id = one_job();
    my ($pid) = worker_pids();
    my @stopped = backends();
    my $memory = memory_kb($pid, 'VmRSS');
    kill 'STOP', @stopped;
    my @polls = map { begin_request('GET', "/few/$id") } 1 .. 5;
    eventually('five reads are under way', sub { metric('await_inflight_reads') == 5 });
    my $r = get("/few/$id");
    is $r->{status}, 503, 'the sixth read is refused at once';
    ok header($r, 'Retry-After'), 'it says when to come back';
    is get("/few/$id", Accept => 'text/event-stream')->{body} =~ /^retry: \d+\n\z/ ? 1 : 0, 1,
        'a stream is told to come back';
    my @posts = map { begin_request('POST', '/small', body => 'p' x 1000) } 1 .. 20;
    eventually('twenty submissions are under way', sub { metric('await_inflight_submissions') == 20 });
    is post('/small', 'x')->{status}, 503, 'the twenty-first submission';
    my $wave = sub { [ map { begin_request('POST', '/jobs', body => 'w' x 30_000) } 1 .. 150 ] };
    my @waves = map { $wave->() } 1 .. 3;
    push @polls, map { begin_request('GET', "/jobs/$id") } 1 .. 150;
    ok $waves[-1][-1]->quiet(1), 'nobody is answered';
    my $grown = memory_kb($pid, 'VmRSS') - $memory;
    # each upload is in nginx's buffer, in ours, and in the batch on its way
    cmp_ok $grown, '<', $ENV{AWAIT_ASAN} ? 600_000 : 600 * (30 * 3 + 20), "$grown KB for 600 requests";
    kill 'CONT', @stopped;
    is scalar(grep { $_->response(30)->{status} == 202 } @posts, map { @$_ } @waves), 470,
        'all are stored when it goes on';
    is scalar(grep { $_->response(30)->{status} == 200 } @polls), 155, 'and all reads answered';
    is metric('await_refused_total{limit="reads"}'), 2, 'the refused reads are counted';
    is metric('await_refused_total{limit="submissions"}'), 1, 'the refused submission is counted';
    is metric('await_inflight_submissions') + metric('await_inflight_reads'), 0, 'nothing is under way any more';
};

subtest 'PostgreSQL stands still for good: an answer after a bounded time' => sub {
    my $id = one_job();
    my @stopped = backends();
    kill 'STOP', @stopped;
    my $begin = time;
    my ($poll, $post, $del) = (
        begin_request('GET', "/jobs/$id"), begin_request('POST', '/jobs', body => 'x'),
        begin_request('DELETE', "/jobs/$id"));
    for my $request ($poll, $post, $del) {
        my $r = $request->response(40);
        is $r->{status}, 503, 'an answer comes: 503';
        ok header($r, 'Retry-After'), 'it says when to come back';
    }
    my $took = time - $begin;
    cmp_ok $took, '<', 35, sprintf 'after %.1f s', $took;
    kill 'CONT', @stopped;
    eventually('submissions are accepted again', sub { post('/jobs', 'x')->{status} == 202 }, 20);
};

finish();
