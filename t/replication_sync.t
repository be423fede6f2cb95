# Synchronous replication: what was accepted survives the primary, a standby that stands still leaves nothing behind on
# the server, and a former primary comes back by pg_rewind.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Replication;
use Await::Test;
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(without => [ 'nginx', 'redis' ]);
my $servers = Await::Replication->new($s, qw(a b));

# The other one is lost: commits wait for nobody.
sub promote {
    my ($name) = @_;
    $servers->promote($name);
    $servers->wait_for_standby($name);
}

sql("ALTER SYSTEM SET $_") for 'wal_log_hints = on', "wal_keep_size = '1GB'";    # pg_rewind needs them
$s->end('postgres', 'INT');
$servers->start('a');
$servers->make_standby('a', 'b');
$servers->start('b');
$servers->wait_for_standby('a', 'b');

my $ports = join ',', map { $servers->port($_) } qw(a b);
my $who = 'dbname=await user=edge password=' . $s->password('edge');
my $site = "await_redis off;\n" . $Await::Test::SITE;
$s->start_nginx(
    "await_postgres \"host=127.0.0.1,127.0.0.1 port=$ports connect_timeout=1 $who\";\n$site",
    vars => { EXTRA => 'location = /metrics { await_metrics; }', REREAD => '1s' });

my @accepted;
# Submits some at once; returns the statuses.
sub submit_some {
    my ($n) = @_;
    my @answers = map { $_->response(30) } map { begin_request('POST', '/jobs', body => 'x') } 1 .. $n;
    push @accepted, map { json($_)->{id} } grep { $_->{status} == 202 } @answers;
    return map { $_->{status} } @answers;
}
sub children { my ($pid) = @_; return split ' ', slurp("/proc/$pid/task/$pid/children") }

sub missing {
    my $ids = join ',', map { "('$_'::uuid)" } @accepted;
    return sql(
        "SELECT count(*) FROM (VALUES $ids) a (id)
        WHERE NOT EXISTS (SELECT FROM await.job j WHERE j.id = a.id)"
    );
}
sub backends {
    my ($name) = @_;
    return $servers->on($name, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'nginx-await-%'");
}

subtest 'a standby that stands still' => sub {
    is_deeply [ submit_some(5) ], [ (202) x 5 ], 'with it submissions are accepted';
    my @standby = ($s->pid('b'), children($s->pid('b')));
    kill 'STOP', @standby;
    my $began = time;
    my $late = sub { begin_request('POST', '/jobs', body => 'late', headers => { 'Idempotency-Key' => $_[0] }) };
    my @late = map { $late->(qq("late-$_")) } 1 .. 5;
    my @answers = map { $_->response(30) } @late;
    is_deeply [ map { $_->{status} } @answers ], [ (503) x 5 ], 'without it nothing is accepted';
    cmp_ok time - $began, '<', 25, 'and that is said after a while';
    is submit_some(1), 1, 'another one is answered too';
    ok until_true('backends', sub { backends('a') <= 6 }, 20), 'no backend piles up on the server'
        or diag $servers->on('a', 'SELECT application_name, wait_event, state, left(query, 60) FROM pg_stat_activity');
    kill 'CONT', @standby;
    ok until_true('accepted again', sub { (submit_some(1))[0] == 202 }, 30), 'when it goes on, they are accepted';
    my @again = map { post('/jobs', 'late', 'Idempotency-Key' => qq("late-$_")) } 1 .. 5;
    is_deeply [ map { $_->{status} } @again ], [ (202) x 5 ], 'those are repeated';
    is sql("SELECT count(*) FROM await.job WHERE payload = 'late'"), 5, 'and each is there once';
};

subtest 'a commit that is torn from its wait for the standby' => sub {
    # was a bug: PostgreSQL says that it has committed, and warns; what was sent again and is there waited for nobody
    my @standby = ($s->pid('b'), children($s->pid('b')));
    kill 'STOP', @standby;
    my $waiting = q{FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name LIKE 'nginx-await-%'};
    my @torn;
    for my $key (undef, '"torn"') {
        my %headers = $key ? ('Idempotency-Key' => $key) : ();
        push @torn, begin_request('POST', '/jobs', body => 'torn', headers => \%headers);
        for my $how (qw(pg_cancel_backend pg_terminate_backend)) {
            my $tear = sub { $servers->on('a', "SELECT count($how(pid)) $waiting") > 0 };
            ok until_true("$how()", $tear, 10), ($key ? 'with a key' : 'without a key') . ": $how()";
            ok $torn[-1]->quiet(0.3), 'it is sent again, and not accepted';
        }
    }
    like error_log(), qr/may not have reached the synchronous standby/, 'the log says why';
    my $again = begin_request('POST', '/jobs', body => 'torn', headers => { 'Idempotency-Key' => '"torn"' });
    ok $again->quiet(0.5), 'the client sends it again: it is there, and not accepted either';
    kill 'CONT', @standby;
    my @answers = map { $_->response(30) } $again, @torn;
    is_deeply [ map { $_->{status} } @answers ], [ (202) x 3 ], 'when the standby has it, it is';
    push @accepted, map { json($_)->{id} } @answers;
    is sql("SELECT count(*) FROM await.job WHERE payload = 'torn'"), 2, 'each is there once';
};

my $stream = begin_request('GET', "/jobs/$accepted[0]/events", headers => { Accept => 'text/event-stream' });
ok $stream->wait_event('ready'), 'a stream';

subtest 'the primary is lost' => sub {
    my @under_way = map { begin_request('POST', '/jobs', body => 'x') } 1 .. 20;
    $servers->kill('a');
    promote('b');
    push @accepted, map { json($_)->{id} } grep { $_->{status} == 202 } map { $_->response(30) } @under_way;
    ok until_true('accepted again', sub { (submit_some(1))[0] == 202 }, 30), 'the standby is used';
    is missing(), 0, 'nothing that was accepted is missing: ' . @accepted;
    ok $stream->wait_event('reset'), 'the stream is told that history may have changed';
};

subtest 'the former primary comes back by pg_rewind' => sub {
    $servers->rewind('b', 'a');
    $servers->start('a');
    $servers->wait_for_standby('b', 'a');
    is_deeply [ submit_some(5) ], [ (202) x 5 ], 'it is the standby now';
    $stream->forget('reset');
    $servers->kill('b');
    promote('a');
    ok until_true('accepted again', sub { (submit_some(1))[0] == 202 }, 30), 'and the primary again';
    is missing(), 0, 'nothing that was accepted is missing: ' . @accepted;
    ok $stream->wait_event('reset'), 'the stream is told again';
    claim($accepted[0]);
    is complete($accepted[0], 'x'), 't', 'and the job of the first server';
    ok $stream->wait_event('completed'), 'is completed for those who have watched it since then';
};

$stream->close;
$s->end($_, 'INT') for qw(a);
finish();
