# Reload upon reload, with streams held and submissions coming: every event arrives once, every submission is answered,
# and neither memory nor descriptors grow. AWAIT_RELOADS=, AWAIT_STREAMS=, AWAIT_RELOAD_EVERY= seconds; make soak does
# 136 in ten minutes with 2,000 streams.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use IO::Handle;
use IPC::Open2;
use JSON::PP;
use Test::More;
use Time::HiRes qw(time sleep);

my $reloads = $ENV{AWAIT_RELOADS} // 6;
my $streams = $ENV{AWAIT_STREAMS} // 300;
my $every = $ENV{AWAIT_RELOAD_EVERY} // 2;
alarm $reloads * $every + 300;
if (($ENV{AWAIT_LIMITED} // '') ne 'yes') {
    $ENV{AWAIT_LIMITED} = 'yes';
    exec 'prlimit', '--nofile=19000:20000', $^X, $0;
}

my $jobs = 50;
my $s = start_stack(
    workers => 2,
    reread => '2s',
    http => "await_drain 10s;\nawait_retry 100ms 1500ms;\n",
    extra => 'location = /load { await_submit load; }'
);
my @ids = split /\n/, sql("SELECT await.submit('work', 'x', 'text/plain') FROM generate_series(1, $jobs)");
sql("SELECT count(*) FROM await.claim(ARRAY['work'], 'w', 1000, '2 hours')");
Await::Stack::write_file("$s->{dir}/jobs", join "\n", @ids);
my $streams_pid =
    open2(my $told, my $tell, 'node', "$FindBin::Bin/chaos/streams.js", $s->{port}, $streams, "$s->{dir}/jobs");
$tell->autoflush(1);
my $status = sub { print $tell shift // 'status', "\n"; return decode_json(scalar readline $told) };
ok until_true('all have begun', sub { $status->()->{ready} == $streams }, 60), "$streams streams of $jobs jobs";

# submissions without a pause, by curl's own keep-alive
my $load = fork // die;
if (!$load) {
    my ($answered, $refused, %other, $stop) = (0, 0);
    local $SIG{TERM} = sub { $stop = 1 };
    while (!$stop) {
        my $r = eval { post('/load', "n$answered") } // { status => 0 };
        $r->{status} == 202 ? ++$answered : ++$other{ $r->{status} };
        sleep 0.01;
    }
    Await::Stack::write_file("$s->{dir}/load", encode_json({ answered => $answered, other => \%other }));
    POSIX::_exit(0);
}

sub old_workers {
    my $master = $s->pid('nginx');
    return grep { slurp("/proc/$_/cmdline") =~ /shutting down/ } split ' ',
        slurp("/proc/$master/task/$master/children");
}
sub descriptors { my ($pid) = @_; my @all = glob "/proc/$pid/fd/*"; return scalar @all }
my $writer = Await::Session->new($s->postgres);
my (@master_kb, @worker_kb, @descriptors, @generations);
my $emitted = 0;
my $next = time;
for my $n (1 .. $reloads) {
    my @old = worker_pids();
    kill 'HUP', $s->pid('nginx');
    eventually("reload $n: new nginx workers have started", sub { workers_are_new(@old) }, 30) or last;
    $next += $every;
    until (time >= $next) {
        $writer->run("SELECT count(await.emit(id, test.receipt(id), 'n', to_jsonb($emitted))) FROM unnest(ARRAY["
                . join(',', map { "'$_'" } @ids)
                . ']::uuid[]) id');
        hint($ids[ rand @ids ]);
        ++$emitted;
        sleep 0.2;
    }
    push @master_kb, memory_kb($s->pid('nginx'), 'VmRSS');
    push @worker_kb, (sort { $a <=> $b } map { memory_kb($_, 'VmRSS') } worker_pids())[-1];
    push @generations, scalar old_workers();
    push @descriptors, descriptors($s->pid('nginx')) - 2 * $generations[-1];    # a pair of sockets to each
}
kill 'TERM', $load;
waitpid $load, 0;
my $load_report = decode_json(slurp("$s->{dir}/load"));
cmp_ok $load_report->{answered}, '>', $reloads * $every * 5, "$load_report->{answered} submissions were answered";
is_deeply $load_report->{other}, {}, 'all with 202';

ok until_true('old nginx workers are gone', sub { !old_workers() }, 20), 'old nginx workers are gone';
sql(      "SELECT count(await.complete(id, test.receipt(id), 'x')) FROM unnest(ARRAY["
        . join(',', map { "'$_'" } @ids)
        . ']::uuid[]) id');
ok until_true('all have ended', sub { $status->()->{ended} == $streams }, 60), 'every stream heard the end';
my $end = $status->('end');
waitpid $streams_pid, 0;
is_deeply $end->{problems}, [], 'each event once, in order';
is $end->{events}, $streams * ($emitted + 3), "all $emitted of each job";
cmp_ok $end->{connects}, '>', $streams * $reloads * 0.5, "$end->{connects} connections";
cmp_ok $end->{retry_max} - $end->{retry_min}, '>', 500,
    "sent away with retry between $end->{retry_min} and $end->{retry_max} ms";

# the last third is as large as the first; a few hundred KB is what nginx's own configuration pool moves
sub level {
    my ($what, $slack, @values) = @_;
    my $third = int(@values / 3) || 1;
    my $median = sub { (sort { $a <=> $b } @_)[ @_ / 2 ] };
    my ($before, $after) = ($median->(@values[ 0 .. $third - 1 ]), $median->(@values[ -$third .. -1 ]));
    cmp_ok $after, '<=', $before * 1.15 + $slack, "$what: $before, then $after";
}
level('master, KB', 1500, @master_kb) unless $ENV{AWAIT_ASAN};
level('nginx worker, KB', 3000, @worker_kb) unless $ENV{AWAIT_ASAN};
level("the master's descriptors", 2, @descriptors);
level('generations alive', 3, @generations);
diag
    "reloads: $reloads with $streams streams, $end->{connects} connections, $end->{events} events, "
    . "$load_report->{answered} submissions; at most "
    . (sort { $b <=> $a } @generations)[0]
    . ' old nginx workers at once';
finish();
