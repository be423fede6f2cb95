# Two nginx nodes, PostgreSQL, Redis and workers are killed, stopped, cut off and reloaded at random, while clients
# submit and watch in every way. Every 202 is in the database, every accepted job ends once, every watcher got every
# event once, in order, to the end, every batch was ready once, when all its jobs had ended, and has its one job then,
# and nobody waited longer than the bound. AWAIT_SEED=…, AWAIT_CHAOS_SECONDS=… (of strikes)

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Chaos;
use Await::History;
use Await::Test;
use Test::More;
use Time::HiRes qw(time sleep);

# In a mount namespace of its own, whose small disk is gone with the test, however it ends.
my $may_mount = $ENV{AWAIT_CHAOS_MOUNTS} // system('unshare -m true 2>/dev/null') == 0;
if ($may_mount && !defined $ENV{AWAIT_CHAOS_MOUNTS}) {
    $ENV{AWAIT_CHAOS_MOUNTS} = 1;
    exec 'unshare', '-m', $^X, $0, @ARGV;
}

my $seconds = $ENV{AWAIT_CHAOS_SECONDS} // 40;
my $jobs = $ENV{AWAIT_CHAOS_JOBS} // 80 * $seconds;
alarm $seconds + 400;
@Await::Test::expected_alarms = (qr/exited on signal 9/);
srand(my $seed = $ENV{AWAIT_SEED} // int rand 1e6);
diag "AWAIT_SEED=$seed AWAIT_CHAOS_SECONDS=$seconds";

my $s = start_stack(fsync => 1, without => ['nginx']);
my ($disk, $mounted) = "$s->{dir}/postgres";
END { local $?; system('umount', '-l', $disk) if $mounted }
move_to_small_disk() if $may_mount;
my $chaos = Await::Chaos->new($s, hosts => [ $s->{pg_port} ]);
$chaos->start_clients($seed, $seconds, $jobs);

# What PostgreSQL has moves to a file system that can be filled.
sub move_to_small_disk {
    sql(q{ALTER SYSTEM SET max_wal_size = '128MB'});
    $s->end('postgres', 'INT');
    rename $disk, "$disk.was" or die "rename: $!";
    mkdir $disk or die "mkdir: $!";
    system('mount', '-t', 'tmpfs', '-o', 'size=700m', 'tmpfs', $disk) == 0 or die 'mount';
    $mounted = 1;
    system('cp', '-aT', "$disk.was", $disk) == 0 && system('rm', '-r', "$disk.was") == 0 or die 'cp';
    return $s->start_postgres;
}
# Leaves not a page, for a while. PostgreSQL refuses what needs one, and ends if the WAL does.
sub fill_disk {
    system("cat /dev/zero 2>/dev/null >'$disk/ballast'");    # until nothing fits
    my $until = time + 0.5 + rand 2;
    ok !$s->try_sql('CREATE TABLE public.more AS SELECT generate_series(1, 1000)'), 'the disk is full';
    sleep 0.05 while time < $until;
    unlink "$disk/ballast";
    until_true('PostgreSQL goes on, or has ended', sub { !$s->alive('postgres') || $s->try_sql('SELECT 1') });
    $s->start_postgres if !$s->alive('postgres');
    return;
}

# --- strikes --------------------------------------------------------------------------------------------

my %strike = (
    (map { $chaos->$_ } qw(strikes_at_workers strikes_at_nginx strikes_at_redis strikes_at_lines strikes_of_a_dba)),
    'PostgreSQL killed' => sub {
        $chaos->during(2.5, sub { $s->end('postgres', 'KILL'); $s->start_postgres });
    },
    'PostgreSQL restarted' => sub {
        $chaos->during(2.5, sub { $s->end('postgres', 'INT'); $s->start_postgres });
    },
    'PostgreSQL stopped' => sub {
        $chaos->during(
            0.5,
            sub {
                my @all = ($s->pid('postgres'), Await::Chaos::descendants($s->pid('postgres')));
                kill 'STOP', @all;
                $chaos->pause;
                kill 'CONT', @all;
            });
    });
if ($may_mount) {
    $strike{'disk full'} = sub { $chaos->during(2.5, \&fill_disk) };
}
else {
    diag 'no disk is filled: mounts are not allowed here';
}
my $until = time + $seconds;
while (time < $until) {
    $chaos->strike(%strike);
    sleep 0.2 + rand 0.8;
}
my $report = $chaos->finish_clients;

# --- what was promised ------------------------------------------------------------------------------------

# re-read, its read, coming back, and a machine with much to do; who is not told waits for 25 s (await_hold_max), or for
# ever
my $bound = $chaos->{reread} + 1 + 1 + 10;
my $history = Await::History->new($report, trouble => $chaos->{trouble}, bound => $bound);
my $n = $history->accepted;
cmp_ok $n, '>', 3 * $seconds, "$n jobs were accepted";
$history->judge('what clients were told, they were told once, in order, to the end' => $report->{problems});
$history->judge($history->acceptance);
cmp_ok $report->{count}{published}, '>', $seconds / 2,
    "$report->{count}{published} events were published, $report->{count}{told} times told";
cmp_ok $report->{count}{users}, '>', 0, "$report->{count}{users} events told to who watches a user";
cmp_ok $report->{count}{replayed}, '>', 0,
    "$report->{count}{replayed} of " . @{ $report->{settled} } . ' had been sent before';
$history->judge($history->histories, $history->endings);
$history->judge_waits;
my $sent_away = $history->judge_revocations(@{ $chaos->{revoked} });
cmp_ok $sent_away, '>', 0, "$sent_away streams and sockets were there when their owner was revoked"
    if @{ $chaos->{revoked} } > 2;    # one may meet nobody, as while nginx is away

# What a query says of a batch, for all that were accepted, where it is not what it must be.
my %batches = %{ $report->{batches} };
sub batches_with {
    my ($query, $due) = @_;
    my %found = map { split /\|/ } split /\n/, sql($query);
    return [ map { "$_: " . ($found{$_} // 'none') } grep { ($found{$_} // '') ne $due->($_) } sort keys %batches ];
}
cmp_ok scalar(keys %batches), '>', $seconds / 4,
    keys(%batches) . " batches were accepted, $report->{count}{late} with a job that was added later";
is_deeply batches_with(q{SELECT batch, count(*) || '/' || count(e.job) FROM await.job j
    LEFT JOIN await.event e ON e.job = j.id AND e.ending WHERE batch IS NOT NULL GROUP BY 1},
    sub { "$batches{$_[0]}{jobs}/$batches{$_[0]}{jobs}" }), [], 'every batch has all its jobs, and each has ended once';
is_deeply batches_with(q{SELECT job, string_agg(type, ' ') FROM await.event e WHERE ending AND await.is_batch(job)
    AND NOT EXISTS (SELECT FROM await.event x WHERE x.job = e.job AND x.seq > e.seq) GROUP BY 1},
    sub { 'batch.ready' }), [], 'every batch was ready once, at its end';
is_deeply batches_with(q{SELECT e.job, count(*) FROM await.event e JOIN await.job j ON j.batch = e.job
    JOIN await.event l ON l.job = j.id AND l.ending
    WHERE e.type = 'batch.ready' AND (e.data ->> 'open' = '0') AND l.at <= e.at GROUP BY 1},
    sub { $batches{$_[0]}{jobs} }), [], 'and not before the last of them had ended';
is_deeply batches_with(q{SELECT j.params ->> 'batch', count(*) FROM await.job j JOIN await.queue q ON q.id = j.queue
    WHERE q.name = 'mail' GROUP BY 1}, sub { 1 }), [], 'every batch has its e-mail job, once';
is sql(q{SELECT count(*) FROM (SELECT regexp_replace(convert_from(payload, 'UTF8'), '-[^-]*$', '') AS name
    FROM await.job WHERE batch IS NOT NULL GROUP BY 1 HAVING count(DISTINCT batch) > 1) twice}), 0,
    'what was sent again with its Idempotency-Key is one batch';
is sql(q{SELECT count(*) FROM await.job WHERE batch IS NOT NULL AND convert_from(payload, 'UTF8') ~ 'cut-'}), 0,
    "nothing is stored of $report->{count}{cut} batches that were cut";

diag "chaos: $n jobs, $report->{count}{events} events, $report->{count}{reconnects} reconnects, "
    . "$report->{count}{sockets} WebSockets, $report->{count}{refused} refused, $report->{count}{unknown} unknown, "
    . "$report->{count}{replayed} replayed; @{[ $chaos->all_struck ]}";
$chaos->stop;
finish();
