# await-worker and the processes of a command: a cancel reaches them at once, and none is left when the slot is free,
# however it was started. Bugs: a background process that held stdout held the slot for ever, and no signal ended it;
# grandchildren lived on when the worker was killed; a cancel was heard of after 100 s, as a lost lease.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;
use Time::HiRes qw(sleep time);

my $s = start_stack();
my $detach = q{use POSIX; exit if fork; POSIX::setsid(); exit if fork; $SIG{TERM} = "IGNORE";};
# how a command can leave a process behind
my %leave = (
    'in the background' => q{sleep 600 &},
    'with nohup' => q{nohup sleep 600 &},
    'in another session' => q{setsid sleep 600 &},
    'detached twice' => qq{perl -e '$detach sleep 600' &},
    'detached, without streams' => qq{perl -e '$detach POSIX::close(\$_) for 0 .. 4; sleep 600' &},
    'that ignores SIGTERM' => q{sh -c 'trap "" TERM; sleep 600; sleep 600' &},
    'that is stopped' => q{sh -c 'kill -STOP $$' &},
    'that forks others' => q{sh -c 'while :; do sleep 600 & sleep 0.3; done' &},
    'that writes for ever' => q{sh -c 'while :; do echo more; sleep 0.1; done' &},
);

# Jobs are shell scripts.
sub worker { my ($name, @more) = @_; $s->start_worker($name, '--queue', $name, @more, '--', 'sh') }
sub run {
    my ($queue, $script) = @_;
    return sql("SELECT await.submit('$queue', decode('" . unpack('H*', $script) . "', 'hex'), 'text/plain')");
}
sub ending { return sql("SELECT state FROM await.event WHERE job = '$_[0]' AND ending") }
# The processes of a job's command.
sub processes {
    return grep { slurp("$_/environ") =~ /(?:^|\0)AWAIT_JOB_ID=$_[0]\0/ } glob '/proc/[0-9]*';
}
sub log_of { return slurp("$s->{dir}/logs/$_[0].log") }

subtest 'what a command leaves behind' => sub {
    worker('left', '--grace', '2s', '--concurrency', 20);
    my $begin = time;
    my %job = map { $_ => run('left', "echo begun; $leave{$_}\necho done") }
        sort keys %leave;
    for my $how (sort keys %leave) {
        my $id = $job{$how};
        eventually("a process $how: the job is completed", sub { ending($id) eq 'completed' });
        like sql("SELECT convert_from(body, 'UTF8') FROM await.event WHERE job = '$id' AND ending"),
            qr/\Abegun\n(?:more\n)*done\n(?:more\n)*\z/, "a process $how: with what the command has written";
        is_deeply [ processes($id) ], [], "a process $how: it has been killed";
    }
    cmp_ok time - $begin, '<', 60, 'soon: what is left behind lasts for 600 s';

    my $id = run('left', '(sleep 0.7; echo late) & echo early');
    eventually('what follows within a second is read', sub { ending($id) eq 'completed' });
    is sql("SELECT convert_from(body, 'UTF8') FROM await.event WHERE job = '$id' AND ending"), "early\nlate\n",
        'and belongs to the result';
};

subtest 'a cancel, told by Redis' => sub {
    worker('told', '--grace', '1s', '--concurrency', 20);
    my %job = map { $_ => run('told', "$leave{$_}\nsleep 600") } sort keys %leave;
    eventually("a process $_ runs", sub { processes($job{$_}) >= 2 }) for sort keys %leave;
    # right after a heartbeat, so that the next one is five seconds away; on a busy machine, once of some times
    my ($tries, $took) = (0, 1e9);
    while ($tries++ < 4 && $took >= 3) {
        my $plain = run('told', 'exec sleep 600');
        eventually('a plain command runs', sub { slurp(((processes($plain))[0] // '') . '/cmdline') =~ /sleep/ });
        my ($process) = processes($plain);
        my $until = sub { return sql("SELECT until FROM await.lease WHERE job = '$plain'") };
        my $before = $until->();
        eventually('its lease is renewed', sub { $until->() ne $before });
        my $begin = time;
        del("/jobs/$plain");
        until_true('it ends', sub { slurp("$process/stat") !~ /\) [^Z]/ });
        $took = time - $begin;
        eventually('its lease is gone', sub { $until->() eq '' });
    }
    cmp_ok $took, '<', 3, sprintf 'a cancel ends the command at once: after %.0f ms', $took * 1000;
    del("/jobs/$_") for values %job;
    eventually("a process $_ ends with its job", sub { !processes($job{$_}) }) for sort keys %leave;
    my $log = log_of('told');
    my $stopped = () = $log =~ /stopping the command: the job was cancelled/g;
    is $stopped, $tries - 1 + keys %leave, 'the log says why';
    unlike $log, qr/lease is lost/, 'and nothing else';
    my $next = run('told', 'echo next');
    eventually('the worker goes on', sub { ending($next) eq 'completed' });
};

subtest 'a cancel, without Redis' => sub {
    $s->spawn(
        'deaf',
        [ $s->{worker}, '--queue', 'deaf', '--', 'sh' ],
        env => { AWAIT_POSTGRES => $s->postgres('worker') });
    my $id = run('deaf', "sleep 600");
    eventually('the command runs', sub { processes($id) });
    my $begin = time;
    sql("SELECT await.cancel('$id')");
    eventually('the command ends', sub { !processes($id) }, 40);
    note sprintf 'from await.cancel to the end of the command: %.0f ms', (time - $begin) * 1000;
    cmp_ok time - $begin, '<', 30, 'by a heartbeat, long before a third of its lease of 5 minutes';
    like log_of('deaf'), qr/stopping the command: the job was cancelled/, 'the log says why';
};

subtest 'the worker is killed' => sub {
    worker('killed', '--concurrency', 20);
    my %job = map { $_ => run('killed', "$leave{$_}\nsleep 600") } sort keys %leave;
    eventually("a process $_ runs", sub { processes($job{$_}) >= 2 }) for sort keys %leave;
    kill 'KILL', $s->pid('killed');
    eventually("a process $_ ends with it", sub { !processes($job{$_}) }) for sort keys %leave;
    $s->end('killed', 'KILL');
};

subtest 'SIGTERM twice' => sub {
    worker('stopped', '--concurrency', 20);
    my %job = map { $_ => run('stopped', "$leave{$_}\nsleep 600") } sort keys %leave;
    eventually("a process $_ runs", sub { processes($job{$_}) >= 2 }) for sort keys %leave;
    kill 'TERM', $s->pid('stopped');
    eventually('the worker says that it drains', sub { log_of('stopped') =~ /draining/ });
    my $begin = time;
    kill 'TERM', $s->pid('stopped');
    eventually('the worker ends', sub { !$s->alive('stopped') });
    cmp_ok time - $begin, '<', 18, 'and so do all commands';
    is_deeply [ processes($job{$_}) ], [], "a process $_ has ended" for sort keys %leave;
    is sql(   "SELECT DISTINCT state, attempt FROM await.event e WHERE job = ANY ('{"
            . join(',', values %job)
            . "}') AND seq = (SELECT max(seq) FROM await.event l WHERE l.job = e.job)"), 'pending|0',
        'the jobs were given back, and no attempt was used up';
};
finish();
