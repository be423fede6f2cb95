# P8: memory, connections and queues have limits; past them a quick 503. And 10,000 held requests on one nginx worker.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;
use Time::HiRes qw(time);

# twenty thousand descriptors for ours and nginx's
my $limit = 19_000;
if (($ENV{AWAIT_LIMITED} // '') ne 'yes') {
    $ENV{AWAIT_LIMITED} = 'yes';
    exec 'prlimit', "--nofile=$limit:20000", $^X, $0;
}

my $s = start_stack(reread => '2s', extra => <<'CONF');
    location ~ ^/few/(?<id>[^/]+)$ { await_max_held 5; await_job $id; await_events job:$id; }
    location = /one { await_max_inflight 1; await_submit work; }
    location ~ ^/long/(?<id>[^/]+)$ { await_hold_max 300s; await_job $id; }
CONF

subtest 'await_max_held' => sub {
    my $id = one_job();
    my @held = map { begin_request('GET', "/few/$id?wait=20") } 1 .. 5;
    ok $held[-1]->quiet(0.2), 'five polls are held';
    my $r = get("/few/$id?wait=20");
    is $r->{status}, 503, 'the sixth is refused';
    ok header($r, 'Retry-After'), 'it says when to come back';
    is get("/few/$id")->{status}, 200, 'a plain poll is no burden';
    $r = get("/few/$id", Accept => 'text/event-stream');
    is $r->{status}, 200, 'EventSource is told to come back';
    like $r->{body}, qr/^retry: \d+\n\z/, 'the stream has nothing but a time to come back';
    $_->close for @held;
    eventually('there is room again',
        sub { my $h = begin_request('GET', "/few/$id?wait=1"); $h->response->{status} == 200 });
};

subtest 'await_max_inflight' => sub {
    my $upload = begin_request('POST', '/one', headers => { 'Content-Length' => 100 }, body => 'half');
    eventually('while the first is under way a second is refused', sub { post('/one', 'x')->{status} == 503 });
    $upload->send('x' x 96);
    is $upload->response->{status}, 202, 'the first is accepted';
    is post('/one', 'x')->{status}, 202, 'then there is room again';
};

subtest 'ten thousand held requests' => sub {
    my $count = $ENV{AWAIT_ASAN} ? 2_000 : 10_000;
    my $jobs = 100;
    my @ids = map { one_job() } 1 .. $jobs;
    my ($pid) = worker_pids();
    my $before = memory_kb($pid, 'VmRSS');
    my @held;
    for my $n (0 .. $count - 1) {
        push @held, begin_request('GET', "/long/$ids[ $n % $jobs ]?wait=300");
        # nginx accepts in bursts; a full backlog would only cost seconds
        if ($n % 400 == 399) { get("/jobs/$ids[0]") }
    }
    ok $held[-1]->quiet(0.5), 'all are held';
    my $per = (memory_kb($pid, 'VmRSS') - $before) / $count;
    cmp_ok $per, '<', $ENV{AWAIT_ASAN} ? 200 : 24, sprintf '%.1f KB each in nginx', $per;

    # A session tells what it called with up to 10 s of delay, so what is counted in 4 s can be the calls of 14 s: some
    # twenty. One read for each job would be two hundred in two re-reads, one for each request twenty thousand.
    sql("ALTER SYSTEM SET track_functions = 'pl'");
    sql('SELECT pg_reload_conf()');
    my $reads = sub { sql("SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE funcname LIKE 'edge%'") };
    eventually('the re-read is counted', sub { $reads->() > 0 });
    my $quiet_from = $reads->();
    my $began = time;
    ok $held[0]->quiet(4), 'quiet';
    my $queries = $reads->() - $quiet_from;
    cmp_ok $queries, '<', $jobs, "$queries reads in " . int(time - $began) . ' s: none of them per request';

    $began = time;
    sql("SELECT count(await.complete(id, receipt, 'x')) FROM await.claim(ARRAY['work'], 'w', 1000)");
    hint($_) for @ids;
    my $good = grep { my $r = $_->response(60); $r->{status} == 200 && $r->{body} =~ /"state":"completed"/ } @held;
    is $good, $count, sprintf 'all are answered, %.1f s', time - $began;
};

finish();
