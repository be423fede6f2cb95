# Failovers under the load of chaos.t: the primary is killed, shut down or stands still, its standby is promoted, and it
# comes back by pg_rewind or as a new copy, again and again, while Redis, nginx, workers and lines are struck too. With
# synchronous replication nothing that was accepted is missing. With asynchronous replication only the last moments may
# be, and whoever was told of them is told of the reset. AWAIT_SEED=…, AWAIT_CHAOS_SECONDS=…, AWAIT_CHAOS_REPLICATION=…

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Chaos;
use Await::History;
use Await::Replication;
use Await::Test;
use File::Path qw(remove_tree);
use List::Util qw(shuffle);
use Test::More;
use Time::HiRes qw(time sleep);

my $seconds = $ENV{AWAIT_CHAOS_SECONDS} // 0;    # two failovers at least
my $rate = 40;                                   # jobs a second, while they are accepted
my $only = $ENV{AWAIT_CHAOS_REPLICATION};
alarm $seconds + 400;
@Await::Test::expected_alarms = (qr/exited on signal 9/);
srand(my $seed = $ENV{AWAIT_SEED} // int rand 1e6);
diag "AWAIT_SEED=$seed AWAIT_CHAOS_SECONDS=$seconds";

my $s = start_stack(without => ['nginx']);
my $servers = Await::Replication->new($s, qw(p q));
my ($primary, $standby) = qw(p q);
sql("ALTER SYSTEM SET $_") for 'wal_log_hints = on', "wal_keep_size = '1GB'";    # pg_rewind needs them
$s->end('postgres', 'INT');
$servers->start($primary);
$servers->make_standby($primary, $standby);
$servers->start($standby);

my $chaos = Await::Chaos->new(
    $s,
    hosts => [ map { $servers->port($_) } qw(p q) ],
    pause => $seconds ? 3 : 0.5
);
my %strike = map { $chaos->$_ } qw(strikes_at_workers strikes_at_nginx strikes_at_redis strikes_at_lines),
    $seconds ? 'strikes_of_a_dba' : ();
$chaos->start_clients($seed, 3600, 3600 * $rate);

# --- failovers ------------------------------------------------------------------------------------------

my (@windows, %count);

sub processes { my ($name) = @_; return ($s->pid($name), Await::Chaos::descendants($s->pid($name))) }

# All that is committed now is on the standby; since when.
sub standby_has_all {
    my $now = time;
    my $lsn = $servers->on($primary, 'SELECT pg_current_wal_lsn()');
    eventually('the standby has what is there',
        sub { $servers->on($standby, "SELECT pg_last_wal_receive_lsn() >= '$lsn'") eq 't' });
    return $now;
}

my %lose = (
    'killed' => sub {
        kill 'KILL', processes($primary);
        $s->end($primary, 'KILL');
    },
    'shut down' => sub { $s->end($primary, 'INT') },
    'stands still' => sub { kill 'STOP', processes($primary) },
);
my %bring_back = (
    'rewound' => sub { $servers->rewind(@_) },
    'copied' => sub {
        my ($of, $name) = @_;
        remove_tree($servers->data($name));
        $servers->make_standby($of, $name);
    },
);

# The standby takes over. Until the former primary follows it, commits wait for nobody.
sub fail_over {
    my ($replication, $how, $back) = @_;
    my $begin = standby_has_all();
    my $lossy = $replication eq 'asynchronous' && $how ne 'shut down';
    if ($lossy) {    # the standby gets nothing of the last moments
        kill 'STOP', $servers->on($primary, 'SELECT pid FROM pg_stat_replication');
        sleep 0.3 + rand 0.7;
    }
    my $struck = time;
    $lose{$how}->();
    push @windows, [ $begin, time, $lossy ];
    $chaos->tell('failover');
    $servers->promote($standby);
    $servers->wait_for_standby($standby);
    $chaos->strike(%strike) for 1 .. 2;
    if ($how eq 'stands still') {    # and never goes on
        kill 'KILL', processes($primary);
        $s->end($primary, 'KILL');
    }
    Await::Stack::wait_for_orphans($servers->data($primary));
    push @{ $chaos->{trouble} }, [ $begin, time + 2.5 ];
    $bring_back{$back}->($standby, $primary);
    $servers->start($primary);
    ($primary, $standby) = ($standby, $primary);
    $count{"$replication, $how, $back"}++;
    return;
}

# The standby follows, and commits wait for it if they are to.
sub replicate {
    my ($replication) = @_;
    my $follows =
        sub { $servers->on($primary, q{SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'}) == 1 };
    eventually('the standby follows', $follows, 60);
    return $servers->wait_for_standby($primary, $replication eq 'synchronous' ? $standby : ());
}

my $until = time + $seconds;
my (@replications, @ways);
for (my $n = 0; $n < 2 || time < $until; ++$n) {
    @replications = $only // shuffle(qw(synchronous asynchronous)) unless @replications;
    @ways = shuffle(
        map {
            my $how = $_;
            map { [ $how, $_ ] } sort keys %bring_back
        } sort keys %lose
    ) unless @ways;
    my $replication = shift @replications;
    replicate($replication);
    for (1 .. ($seconds ? 3 : 1)) { $chaos->strike(%strike); sleep rand 0.5 }
    fail_over($replication, @{ shift @ways });
}
replicate('asynchronous');
my $report = $chaos->finish_clients;

# --- what was promised ------------------------------------------------------------------------------------

my $history = Await::History->new(
    $report,
    windows => \@windows,
    trouble => $chaos->{trouble},
    bound => $chaos->{reread} + 1 + 1 + 10    # as in chaos.t
);
my $n = $history->accepted;
cmp_ok $n, '>', 20, "$n jobs were accepted";
$history->judge('what clients were told, they were told in order, to the end, or of a reset' => $report->{problems});
$history->judge($history->acceptance);
$history->judge($history->histories, $history->endings);
my @lost = $history->lost;
$history->judge_waits;
$history->judge_revocations(@{ $chaos->{revoked} });
cmp_ok $report->{count}{resets}, '>', 0, "$report->{count}{resets} resets";

diag "chaos of failovers: $n jobs, "
    . @lost
    . " lost, $history->{undone}{events} events undone for $history->{undone}{watchers} watchers, "
    . "$report->{count}{events} events, $report->{count}{resets} resets, $report->{count}{reconnects} reconnects, "
    . "$report->{count}{refused} refused; "
    . join(', ', map { "$count{$_} × $_" } sort keys %count) . '; '
    . $chaos->all_struck;
$chaos->stop;
$s->end($_, 'INT') for $standby, $primary;
finish();
