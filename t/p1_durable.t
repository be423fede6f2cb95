# P1: accepted is durable. 202 is sent after the commit, never before; PostgreSQL away is 503, and it comes back by
# itself.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(fsync => 1, without => ['postgres'], reread => '500ms');

subtest 'PostgreSQL away at the start: 503, soon, with Retry-After' => sub {
    for my $request (
        [ 'POST', '/jobs', body => 'x' ],
        [ 'GET', '/jobs/01a20229-85dd-7905-b3ad-942074197546' ],
        [ 'DELETE', '/jobs/01a20229-85dd-7905-b3ad-942074197546' ])
    {
        my $begin = time;
        my $r = request(@$request);
        is $r->{status}, 503, "$request->[0]";
        ok header($r, 'Retry-After'), "$request->[0]: it says when to come back";
        is json($r)->{type}, '/problems/unavailable', "$request->[0]: the problem's type is unavailable";
        cmp_ok time - $begin, '<', 8, 'after a bounded wait';
    }
    my $r = get('/jobs/01a20229-85dd-7905-b3ad-942074197546/events', Accept => 'text/event-stream');
    is $r->{status}, 200, 'EventSource is told to come back';
    like $r->{body}, qr/^retry: \d+\n\z/, 'the stream has nothing but a time to come back';
};

$s->start_postgres;
sql($Await::Test::RECEIPT);
ok until_true('nginx finds it by itself', sub { post('/jobs', 'x')->{status} == 202 }), 'comes back';

subtest '202 only after the commit' => sub {
    my $holder = fork // die;
    if (!$holder) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        {
            no warnings;
            exec 'psql', '-XAtq', '-d', $s->postgres, '-c', 'LOCK TABLE await.job IN SHARE MODE; SELECT pg_sleep(60)'
        }
    }
    eventually(
        'the table is locked',
        sub {
            sql(
                "SELECT count(*) FROM pg_locks WHERE mode = 'ShareLock' AND granted
                AND relation = 'await.job'::regclass"
            );
        });
    my $post = begin_request('POST', '/jobs', body => 'held');
    eventually('the insert waits for the lock', sub { sql('SELECT count(*) FROM pg_locks WHERE NOT granted') });
    ok $post->quiet(0.3), 'no answer yet';
    sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE mode = 'ShareLock' AND relation = 'await.job'::regclass
        AND granted");
    waitpid $holder, 0;
    is $post->response->{status}, 202, 'now';
};

subtest 'kill -9 under load: what was accepted is there, once; what was refused may be asked again' => sub {
    my @posts = map { begin_request('POST', '/jobs', body => "k$_") } 1 .. 200;
    # one of its processes outlives it a while, as a busy one does
    my ($orphan) = split /\n/,
        sql(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1");
    kill 'STOP', $orphan;
    kill 'KILL', $s->pid('postgres');
    my $later = fork // die;
    if (!$later) { sleep 1; kill 'CONT', $orphan; POSIX::_exit(0) }
    push @posts, map { begin_request('POST', '/jobs', body => "k$_") } 201 .. 300;
    eventually('PostgreSQL is gone', sub { !$s->alive('postgres') });
    $s->start_postgres;
    waitpid $later, 0;
    my (%accepted, %refused);
    for my $n (1 .. 300) {
        my $r = $posts[ $n - 1 ]->response(30);
        if ($r->{status} == 202) { $accepted{"k$n"} = id_of($r) }
        else {
            is $r->{status}, 503, "submission $n: accepted, or refused with 503";
            ok header($r, 'Retry-After'), "submission $n: it says when to come back";
            $refused{"k$n"} = 1;
        }
    }
    diag scalar(keys %accepted) . ' accepted, ' . scalar(keys %refused) . ' refused';
    my %stored;
    push @{ $stored{ (split /\|/)[1] } }, (split /\|/)[0]
        for split /\n/, sql("SELECT id, convert_from(payload, 'UTF8') FROM await.job WHERE payload LIKE 'k%'");
    is_deeply [ grep { "@{ $stored{$_} // [] }" ne $accepted{$_} } keys %accepted ], [],
        'each accepted one, once, under its id';
};

subtest 'a restart while a client holds' => sub {
    eventually('nginx is back', sub { post('/jobs', 'x')->{status} == 202 });
    my $id = one_job();
    claim($id);
    my $held = begin_request('GET', "/jobs/$id?wait=40");
    my $stream = begin_request('GET', "/jobs/$id/events", headers => { Accept => 'text/event-stream' });
    ok $stream->wait_event('processing'), 'the stream has begun';
    ok $held->quiet(0.2), 'the poll is held';
    $s->end('postgres', 'INT');
    $s->start_postgres;
    complete($id, 'x');
    is json($held->response(20))->{state}, 'completed', 'it is answered after all';
    ok $stream->wait_event('completed'), 'and the stream goes on';
};

finish();
