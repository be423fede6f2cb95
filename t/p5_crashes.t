# P5: crashes are boring. Workers, nginx workers, Redis and PostgreSQL are killed; every accepted job finishes.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

@Await::Test::expected_alarms = (qr/exited on signal 9/);
my $s = start_stack(workers => 2, fsync => 1, reread => '500ms');
my @work = (
    '--queue', 'work', '--concurrency', 2, '--lease', '1s', '--', 'sh', '-c',
    'x=$(cat); sleep 0.05; printf "made of %s" "$x"'
);
$s->start_worker("worker$_", @work) for 1 .. 2;
srand(my $seed = $ENV{AWAIT_SEED} // int rand 1e6);
diag "AWAIT_SEED=$seed";

my %jobs;
my $n = 0;
sub submit_some {
    my @posts = map { ++$n; [ $n, eval { begin_request('POST', '/jobs', body => "n$n") } ] } 1 .. 12;
    for (grep { $_->[1] } @posts) {
        my $r = $_->[1]->response;
        $jobs{ id_of($r) } = "n$_->[0]" if $r->{status} == 202;
    }
}

my @victims = (
    sub {
        kill 'KILL', $s->pid('worker1');
        until_true('gone', sub { !$s->alive('worker1') });
        $s->start_worker('worker1', @work);
    },
    sub { my @pids = worker_pids(); kill 'KILL', $pids[ rand @pids ] },
    sub { $s->end('redis', 'KILL'); $s->start_redis },
    sub { $s->end('postgres', 'KILL'); $s->start_postgres },
    sub {
        kill 'KILL', $s->pid('worker2');
        until_true('gone', sub { !$s->alive('worker2') });
        $s->start_worker('worker2', @work);
    },
    sub {
        kill 'TERM', $s->pid('worker1');
        until_true('drained', sub { !$s->alive('worker1') });
        $s->start_worker('worker1', @work);
    },
);
for my $victim (@victims) { submit_some(); $victim->(); submit_some() }
cmp_ok scalar(keys %jobs), '>', 40, scalar(keys %jobs) . ' jobs were accepted';

ok until_true(
    'all have ended',
    sub {
        sql(
            'SELECT count(*) FROM await.job j WHERE NOT EXISTS (SELECT FROM await.event e WHERE e.job = j.id
            AND e.ending)'
        ) == 0;
    },
    90
    ),
    'every accepted job finishes';
my @wrong = grep { my $r = get("/jobs/$_/result"); $r->{body} ne "made of $jobs{$_}" } keys %jobs;
is_deeply \@wrong, [], 'with its own result';
is sql('SELECT count(*) FROM (SELECT job FROM await.event WHERE ending GROUP BY job HAVING count(*) > 1) x'), 0, 'once';
finish();
