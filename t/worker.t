# await-worker: one command per job, progress on descriptor 3, heartbeats, cancel, drain, lost lease, concurrency.

use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Encode qw(encode_utf8);
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(extra => <<'CONF');
    location ~ ^/to/(?<queue>[a-z]+)$ { await_job_uri /jobs/$await_id; await_submit $queue file=f; }
CONF
sub state_of { return json(get("/jobs/$_[0]"))->{state} }
sub ends { my ($id) = @_; return json(get("/jobs/$id?wait=20")) }
sub alive { my ($marker) = @_; return scalar grep { slurp("$_/cmdline") =~ /^\Q$marker\E/ } glob '/proc/[0-9]*' }

subtest 'stdin, stdout, environment, types' => sub {
    $s->start_worker(
        'w1',
        '--queue',
        'env',
        '--content-type',
        'text/plain',
        '--file-name',
        'out.txt',
        '--status',
        '201',
        '--',
        'sh',
        '-c',
        'cat; printf "|%s|%s|%s|%s|%s|%s|%s|%s" "$AWAIT_JOB_ID" "$AWAIT_ATTEMPT" "$AWAIT_RECEIPT" "$AWAIT_QUEUE" '
        . '"$AWAIT_CONTENT_TYPE" "$AWAIT_FILE_NAME" "$AWAIT_PARAMS" "$TRACEPARENT"'
    );
    my ($body, $type) = multipart([ n => encode_utf8('ü') ], [ f => 'in', 'i.txt', 'text/css' ]);
    my $trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    my $begin = time;
    my $r = post('/to/env', $body, 'Content-Type' => $type, Prefer => 'wait=20', traceparent => $trace);
    cmp_ok time - $begin, '<', 15, 'answered by a hint, before its wait is over';
    is $r->{status}, 201, 'the status is the command\'s';
    my ($id) = header($r, 'Link') =~ m{/jobs/([0-9a-f-]+)};
    is $r->{body} =~ s/\|1\.[\w-]{22}\|/|RECEIPT|/r,
        "in|$id|1|RECEIPT|env|text/css|i.txt|{\"n\": \"\xc3\xbc\"}|$trace", 'stdin and the environment are the job\'s';
    is header($r, 'Content-Type'), 'text/plain', 'the type is the command\'s';
    is header($r, 'Content-Disposition'), 'inline; filename="out.txt"', 'the file\'s name is the command\'s';
};

subtest 'large in, large out' => sub {
    $s->start_worker('w2', '--queue', 'big', '--', 'cat');
    my $body = join '', map { chr($_ % 251) } 1 .. 1_000_000;
    $body x= 3;
    my $r = request('POST', '/to/big', body => $body, headers => { Prefer => 'wait=30' }, timeout => 40);
    is $r->{status}, 200, 'the result is answered';
    ok $r->{body} eq $body, '3 MB there and back';
    is request('POST', '/to/big', body => '', headers => { Prefer => 'wait=20' })->{body}, '', 'nothing there and back';
};

subtest 'progress and events on descriptor 3' => sub {
    $s->start_worker('w3', '--queue', 'notes', '--', 'sh', '-c', <<'SH');
echo '{"done": 1, "total": 2}' >&3
echo 'no json' >&3
echo '{"type": "node_started", "data": {"node": "a"}, "id": "e1"}' >&3
echo '{"type": "node_started", "data": {"node": "a"}, "id": "e1"}' >&3
echo '{"type": "completed"}' >&3
printf '{"done": 2, "total": 2}\n' >&3
SH
    my $id = one_job('/to/notes');
    my $job = ends($id);
    is $job->{state}, 'completed', 'bad lines do no harm';
    is_deeply $job->{progress}, { done => 2, total => 2 }, 'the last progress stays';
    my @types = map { $_->{type} } @{ json(get("/jobs/$id/events", Accept => 'application/json'))->{events} };
    is_deeply \@types, [qw(pending processing progress node_started progress completed)],
        'events and progress in order, those that are reserved left out';
};

subtest 'failure: the tail of stderr, back-off, 65 for good' => sub {
    $s->start_worker('w4', '--queue', 'bad', '--', 'sh', '-c',
        'read x; echo "why: $x" >&2; case $x in final) exit 65;; signal) kill -9 $$;; *) exit 3;; esac');
    my $job = ends(one_job('/to/bad', "final\n"));
    is $job->{state}, 'failed', 'exit status 65: it has failed';
    is $job->{attempt}, 1, 'at its first attempt';
    is $job->{error}{detail}, 'why: final', 'the detail is the tail of stderr';
    is $job->{error}{exit_status}, 65, 'with the exit status';
    for my $case ([ "other\n", exit_status => 3 ], [ "signal\n", signal => 9 ]) {
        my $id = one_job('/to/bad', $case->[0]);
        eventually("$case->[1]: the job is given back",
            sub { sql("SELECT count(*) FROM await.event WHERE job = '$id' AND type = 'pending'") });
        is sql("SELECT data #>> '{error,$case->[1]}' FROM await.event WHERE job = '$id' AND type = 'pending'"),
            $case->[2], "the event has the $case->[1]";
        del("/jobs/$id");
    }
    $s->start_worker('w5', '--queue', 'none', '--', '/no/such/command');
    my $id = one_job('/to/none');
    eventually(
        'a command that is not there: the job is given back, and says why',
        sub {
            sql(
                "SELECT count(*) FROM await.event WHERE job = '$id'
                AND data #>> '{error,detail}' LIKE 'cannot run /no/such/command%'"
            );
        });
};

subtest 'heartbeats keep a short lease' => sub {
    $s->start_worker('w6', '--queue', 'long', '--lease', '3s', '--', 'sh', '-c', 'sleep 7; echo done');
    my $job = ends(one_job('/to/long'));
    is_deeply [ @$job{qw(state attempt)} ], [ 'completed', 1 ], 'seven seconds under a lease of three';
};

subtest 'a cancel ends the command, TERM first, then KILL' => sub {
    $s->start_worker('w7', '--queue', 'stop', '--lease', '1s', '--grace', '1s', '--', 'sh', '-c',
        'trap "" TERM; sleep 1001 & wait; sleep 1002');
    my $id = one_job('/to/stop');
    eventually('the command runs', sub { alive("sleep\0001001") && state_of($id) eq 'processing' });
    del("/jobs/$id");
    ok until_true('ended', sub { !alive("sleep\0001001") && !alive("sleep\0001002") }), 'the whole group of it';
    is state_of($id), 'cancelled', 'the job is cancelled';
    my $next = one_job('/to/stop');
    ok until_true('the next one runs', sub { state_of($next) eq 'processing' }), 'and the worker goes on';
    del("/jobs/$next");
};

subtest 'a lost lease ends the command and changes nothing' => sub {
    $s->start_worker('w8', '--queue', 'lost', '--lease', '1s', '--', 'sh', '-c', 'sleep 1003; echo late');
    my $id = one_job('/to/lost');
    eventually('the command runs', sub { alive("sleep\0001003") });
    sql("DELETE FROM await.lease WHERE job = '$id'");       # as a reaper does, on the other side of an outage
    eventually('the command has ended', sub { !alive("sleep\0001003") });
    is state_of($id), 'processing', 'not a word from the zombie';
};

subtest 'concurrency' => sub {
    $s->start_worker('w9', '--queue', 'wide', '--concurrency', 3, '--', 'sleep', '1004');
    my @ids = map { one_job('/to/wide') } 1 .. 5;
    eventually('three commands run', sub { alive("sleep\0001004") == 3 });
    is sql("SELECT count(*) FROM await.ready r JOIN await.queue q ON r.lane >> 8 = q.id WHERE q.name = 'wide'"), 2,
        'the others are left for others';
    del("/jobs/$_") for @ids;
};

subtest 'SIGTERM drains, a second one stops' => sub {
    $s->start_worker('w10', '--queue', 'drain', '--', 'sh', '-c', 'sleep 1; echo done');
    my $id = one_job('/to/drain');
    eventually('the command runs', sub { state_of($id) eq 'processing' });
    my $after = one_job('/to/drain');
    kill 'TERM', $s->pid('w10');
    is ends($id)->{state}, 'completed', 'what runs is finished';
    eventually('the worker ends', sub { !$s->alive('w10') });
    is state_of($after), 'pending', 'nothing new is taken';
    $s->start_worker('w11', '--queue', 'hard', '--', 'sleep', '1005');
    one_job('/to/hard');
    eventually('the command runs', sub { alive("sleep\0001005") });
    kill 'TERM', $s->pid('w11');
    eventually('the worker says that it drains', sub { slurp("$s->{dir}/logs/w11.log") =~ /draining/ });
    kill 'TERM', $s->pid('w11');
    eventually('worker and command have ended', sub { !$s->alive('w11') && !alive("sleep\0001005") });
};

subtest 'PostgreSQL away while a command runs' => sub {
    $s->start_worker('w12', '--queue', 'outage', '--', 'sh', '-c', 'sleep 1; echo survived');
    my $id = one_job('/to/outage');
    eventually('the command runs', sub { state_of($id) eq 'processing' });
    $s->end('postgres', 'INT');
    $s->start_postgres;
    eventually('the job is completed',
        sub { sql("SELECT state FROM await.event WHERE job = '$id' AND ending") eq 'completed' }, 30);
};

subtest 'the lease is lost while the result is on its way' => sub {
    # near the bug that chaos found under AddressSanitizer (a task that ended twice; AWAIT_SEED=953415 showed it there)
    my $go = "$s->{dir}/go";
    $s->start_worker('twice', '--queue', 'twice', '--lease', '3s', '--', 'sh', '-c',
        "until [ -e $go ]; do sleep 0.05; done; cat");
    my $id = one_job('/to/twice', 'x');
    eventually('the job is being worked on', sub { state_of($id) eq 'processing' });
    my @backends = split /\n/, sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'nginx-await-worker'");
    kill 'STOP', @backends;
    sleep 1.5;                                   # a heartbeat is due each second: it waits in the socket
    sql("UPDATE await.lease SET until = now() - interval '1 s' WHERE job = '$id'; SELECT await.reap(10)");
    Await::Stack::write_file($go, '');
    eventually(
        'the command has ended',
        sub {
            !grep { slurp($_) =~ /until \[ -e \Q$go\E/ && slurp($_) !~ /await-worker/ } glob '/proc/[0-9]*/cmdline';
        });
    kill 'CONT', @backends;
    eventually('the next attempt completes the job', sub { state_of($id) eq 'completed' }, 20);
    ok $s->alive('twice'), 'and the worker lives';
    like slurp("$s->{dir}/logs/twice.log"), qr/no longer|lost|another/, 'it was told';
    $s->end('twice', 'TERM');
};

subtest 'without Redis it polls' => sub {
    $s->end('redis', 'TERM');
    eventually(
        'a job is completed',
        sub {
            my $id = one_job('/to/env');
            until_true('ended', sub { state_of($id) eq 'completed' });
        });
};

like `$s->{worker} --queue x 2>&1`, qr/--postgres is required/, 'what is missing is said';
like `$s->{worker} --postgres x --queue x --lease soon -- true 2>&1`, qr/"soon" is not a time such as 5m/,
    'a lease that is no time is refused';
like `$s->{worker} --postgres x --redis h:1 --queue x -- true 2>&1`, qr/it must begin with "redis/,
    'an address without redis:// is refused';
finish();
