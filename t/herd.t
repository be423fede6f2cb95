# A herd: ten thousand streams of a thousand jobs that come back at once cost tens of queries, not thousands.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use IO::Handle;
use IPC::Open2;
use JSON::PP;
use Test::More;
use Time::HiRes qw(time);

my $limit = 19_000;
if (($ENV{AWAIT_LIMITED} // '') ne 'yes') {
    $ENV{AWAIT_LIMITED} = 'yes';
    exec 'prlimit', "--nofile=$limit:20000", $^X, $0;
}
@Await::Test::expected_alarms = (qr/exited on signal 9/);
my ($streams, $jobs) = $ENV{AWAIT_ASAN} ? (2_000, 200) : (10_000, 1_000);
# the last wave is told of ten jobs only: a re-read finds the rest
my $s = start_stack(reread => '30s', extra => 'location = /metrics { await_metrics; } await_retry 200ms 600ms;');
my @ids = split /\n/, sql("SELECT await.submit('work', 'x', 'text/plain') FROM generate_series(1, $jobs)");

sub settled {
    my ($last, $same) = (-1, 0);
    until_true(
        'the counter rests',
        sub {
            my $now = metric('await_postgres_statements_total');
            $same = $now == $last ? $same + 1 : 0;
            $last = $now;
            sleep 1.1;
            $same > 0;
        },
        60
    );
    return $last;
}

Await::Stack::write_file("$s->{dir}/jobs", join "\n", @ids);
my $before = metric('await_postgres_statements_total');
my $pid = open2(my $told, my $tell, 'node', "$FindBin::Bin/chaos/streams.js", $s->{port}, $streams, "$s->{dir}/jobs");
$tell->autoflush(1);
my $status = sub { print $tell "status\n"; return decode_json(scalar readline $told) };

my $begin = time;
ok until_true('all have begun', sub { $status->()->{ready} == $streams && $status->()->{events} == $streams }, 90),
    sprintf '%d streams of %d jobs, %.1f s', $streams, $jobs, time - $begin;
my $took = time - $begin;
my $statements = metric('await_postgres_statements_total') - $before;
cmp_ok $statements, '<', 200 + 20 * $took, "they cost $statements statements";
is metric('await_held'), $streams, 'await_held';
is metric('await_watched_jobs'), $jobs, 'await_watched_jobs';
is metric('await_inflight_reads'), 0, 'await_inflight_reads';

subtest 'the nginx worker dies: all come back at once' => sub {
    my $old = settled();
    my ($pid) = worker_pids();
    my $was = $status->()->{connects};
    kill 'KILL', $pid;
    my $begin = time;
    ok until_true('all are back',
        sub { my $now = $status->(); $now->{connects} >= $was + $streams && $now->{ready} == $streams }, 90),
        'all are back';
    my $took = time - $begin;
    my $statements = settled() - $old;
    # they come back spread over their `retry`: what counts is that reads go by job and by time, not by client
    cmp_ok $statements, '<', $jobs + 100 + 150 * $took,
        sprintf('it costs %d statements, back in %.1f s', $statements, $took);
    is_deeply $status->()->{problems}, [], 'nothing is told twice';
    is $status->()->{events}, $streams, 'each stream has one event';
};

subtest 'Redis comes back: everybody is looked after in tens of queries' => sub {
    my $old = settled();
    $s->end('redis', 'KILL');
    $s->start_redis;
    eventually('nginx finds Redis again', sub { metric('await_redis_connections') == 1 });
    my $statements = settled() - $old;
    cmp_ok $statements, '<', 140, "$statements statements";
};

subtest 'every job ends: everybody hears it once' => sub {
    my $old = metric('await_postgres_statements_total');
    sql("SELECT count(await.complete(id, receipt, 'x')) FROM await.claim(ARRAY['work'], 'w', 1000)");
    hint($_) for @ids[ 0 .. 9 ];
    my $begin = time;
    eventually('all streams have ended', sub { $status->()->{ended} == $streams }, 90);
    my $statements = metric('await_postgres_statements_total') - $old;
    diag sprintf '%d streams in %.1f s, %d statements', $streams, time - $begin, $statements;
};
print $tell "end\n";
my $end = decode_json(scalar readline $told);
waitpid $pid, 0;
is_deeply $end->{problems}, [], 'each event once, in order';
is $end->{events}, 3 * $streams, 'all of them';
finish();
