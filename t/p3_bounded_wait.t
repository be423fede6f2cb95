# P3: a held client learns of an ending in milliseconds by a hint; with Redis dead, within await_reread. One that does
# not learn of it waits for 60 s, so bounds are far from that, and from what a busy machine takes; t/sim knows the time
# exactly.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use IO::Select;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

my $HOLD = 'await_hold_max 60s;';
my $s = start_stack(without => ['redis'], reread => '1s', workers => 2, extra => $HOLD);

sub learns {
    my ($what, $within, %o) = @_;
    my $id = one_job();
    my $held = begin_request('GET', "/jobs/$id?wait=60");
    my $stream = begin_request('GET', "/jobs/$id/events", headers => { Accept => 'text/event-stream' });
    ok $stream->wait_event('ready'), "$what: the stream has begun";
    ok $held->quiet(0.1), "$what: the poll is held";
    claim($id);
    complete($id, 'x', %o);
    my $begin = time;
    is json($held->response(70))->{state}, 'completed', $what;
    my $took = time - $begin;
    cmp_ok $took, '<', $within, sprintf '%s: %.3f s', $what, $took;
    ok $stream->wait_event('completed'), 'the stream too';
}

learns('no Redis from the start', 30);
$s->start_redis;
eventually('nginx finds Redis', sub { (() = error_log() =~ /reconnected to Redis/g) >= 2 });
learns('with Redis, its hint lost', 30);
$s->end('redis', 'KILL');
learns('Redis killed', 30);
$s->start_redis;
eventually('nginx finds Redis again', sub { (() = error_log() =~ /reconnected to Redis/g) >= 4 });
learns('with Redis again', 30, hint => 1);
$s->end('redis', 'TERM');

subtest 'the tail: more watched than are asked for by id' => sub {
    my @ids = map { one_job() } 1 .. 230;
    my @held = map { begin_request('GET', "/jobs/$_?wait=60") } @ids;
    ok $held[-1]->quiet(1.5), 'the polls are held';
    sql("SELECT count(await.complete(id, receipt, 'x')) FROM await.claim(ARRAY['work'], 'w', 1000)");
    my $begin = time;
    my $n = grep { json($_->response(70))->{state} eq 'completed' } @held;
    is $n, 230, 'every poll learns of the ending';
    cmp_ok time - $begin, '<', 30, 'long before their time is over';
};

subtest 'the bound itself, at the default of 4 s' => sub {
    my $node = Await::Stack->new(dir => "$s->{dir}/default", worker_processes => 1);
    $node->start_nginx(
        "await_postgres \"@{[ $s->postgres('edge') ]}\";\nawait_redis @{[ $s->redis ]};\n" . $Await::Test::SITE =~
            s/await_reread \S+//r =~ s/\$\{EXTRA\}/$HOLD/r);
    my @ids = map { one_job() } 1 .. 200;
    sql("SELECT count(*) FROM await.claim(ARRAY['work'], 'w', 1000)");
    my %of = map { $_ => begin_request('GET', "/jobs/$_?wait=60", port => $node->{port}) } @ids;
    ok $of{ $ids[-1] }->quiet(0.5), 'the polls are held';
    my $writer = fork // die;
    if (!$writer) {
        sql(join '', map { "SELECT await.complete('$_', test.receipt('$_'), 'x'); SELECT pg_sleep(0.02);\n" } @ids);
        POSIX::_exit(0);
    }
    my %socket = map { $of{$_}{socket} => $_ } @ids;
    my $waiting = IO::Select->new(map { $of{$_}{socket} } @ids);
    my %heard;
    my $end = time + 90;
    while ($waiting->count && time < $end) {
        for my $socket ($waiting->can_read(1)) { $heard{ $socket{$socket} } = time; $waiting->remove($socket) }
    }
    waitpid $writer, 0;
    my %ended = map { split /\|/ } split /\n/, sql('SELECT job, extract(epoch FROM at) FROM await.event WHERE ending');
    my @took = sort { $a <=> $b } map { ($heard{$_} // 1e12) - $ended{$_} } @ids;
    my ($half, $worst) = @took[ 99, -1 ];
    cmp_ok $half, '<=', 4, sprintf '200 endings without Redis: half of them were heard of after %.2f s', $half;
    cmp_ok $worst, '<=', 20, sprintf 'the last after %.2f s', $worst;
    $node->stop;
};

subtest 'a Redis that says nothing any more is given up' => sub {
    $s->start_redis;
    eventually('nginx finds Redis', sub { (() = error_log() =~ /reconnected to Redis/g) >= 6 });
    my $pid = $s->pid('redis');
    kill 'STOP', $pid;
    learns('Redis standing still', 30);
    ok until_true('it is noticed',
        sub { error_log() =~ /lost connection to Redis[^\n]*timeout waiting for a reply/ }, 20),
        'noticed';
    kill 'CONT', $pid;
    ok until_true('and found again', sub { (() = error_log() =~ /reconnected to Redis/g) >= 7 }, 20), 'found again';
    learns('and with it again', 30, hint => 1);
};

my $expected = qr/(?:lost connection|cannot connect|reconnected) to |answering 503/;
is_deeply [ grep { /\[error\]/ && !/$expected/ } split /\n/, error_log() ], [], 'no other errors';
finish();
