# Two relays, their sinks, their slot and PostgreSQL are killed, stopped, cut off and failed over at random, while jobs
# are submitted and worked on. Every event gets to every sink, at least once, those of a job in their order; what a
# failover undid, only from its time. The relays follow the tables or the write-ahead log, as it comes. AWAIT_SEED=…,
# AWAIT_CHAOS_SECONDS=… (of strikes)

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Chaos;
use Await::Deliveries;
use Await::Kafka;
use Await::Replication;
use Await::Test;
use IO::Handle;
use IPC::Open2;
use JSON::PP;
use List::Util qw(shuffle);
use POSIX ();
use Test::More;
use Time::HiRes qw(time sleep);

my $seconds = $ENV{AWAIT_CHAOS_SECONDS} // 6;
my $pause = $seconds > 20 ? 3 : 0.6;    # the longest that something stands still
alarm $seconds + 300;
@Await::Test::expected_alarms = (qr/exited on signal 9/);
srand(my $seed = $ENV{AWAIT_SEED} // int rand 1e6);
diag "AWAIT_SEED=$seed AWAIT_CHAOS_SECONDS=$seconds";

# --- what there is ----------------------------------------------------------------------------------------

my $s = start_stack(without => ['nginx']);
my $servers = Await::Replication->new($s, qw(p q));
my ($primary, $standby) = qw(p q);
sql("ALTER SYSTEM SET $_") for 'wal_log_hints = on', "wal_keep_size = '1GB'", 'wal_level = logical';
sql('ALTER ROLE relay REPLICATION');
$s->end('postgres', 'INT');
$servers->start($primary);
$servers->make_standby($primary, $standby);
$servers->start($standby);
sql('SELECT await.relay_wal(true)');

my $kafka = Await::Kafka->start(2);
$kafka->tell(topic => 'chaos', 4);
my ($webhooks, $redis) = map { Await::Stack::free_port() } 1 .. 2;
sql("SELECT await.add_webhook('http://127.0.0.1:$webhooks/', 'work', ARRAY['*'])");
my $heard = "$s->{dir}/logs/receivers";
my $receivers_pid = open2(
    my $said, my $receivers,
    'node', "$Await::Stack::ROOT/t/chaos/receivers.js",
    $heard, "WEBHOOKS=$webhooks", "REDIS=$redis:$s->{redis_port}"
);
$receivers->autoflush(1);
is readline $said, "ready\n", 'the receivers stand';
# by one consumer, all the time: the brokers keep little
$s->spawn('kcat',
    [ 'kcat', '-C', '-E', '-q', '-u', '-b', $kafka->servers, '-t', 'chaos', '-o', 'beginning', '-f', "%s\n" ]);

sub conninfo {
    my ($role) = @_;
    return sprintf 'host=127.0.0.1,127.0.0.1 port=%d,%d dbname=await user=%s', (map { $servers->port($_) } 'p', 'q'),
        $role;
}

my @SINKS = qw(kafka redis stdout webhooks);
my (%relay, @all, %began);    # of the two that are up: their name; all that were
sub start_relay {
    my ($n) = @_;
    my $source = rand() < 0.5 ? 'table' : 'wal';
    my $name = "relay$n-" . @all;
    local $s->{relay_place} = conninfo('relay');
    local $s->{redis_port} = $redis;
    $s->start_relay(
        $name, qw(--name chaos --sink redis),
        '--sink', 'stdout,thin=on',
        '--source', $source,
        '--sink', 'kafka=' . $kafka->servers . ',topic=chaos,thin=on',
        '--sink', 'webhooks,allow-http=on,allow-network=127.0.0.1,first-delay=100ms,a-second=2000,at-once=32'
    );
    push @all, $relay{$n} = $name;
    $began{$source}++;
    return;
}
start_relay($_) for 1, 2;
eventually 'a relay leads', sub { sql(q{SELECT count(cursor) FROM await.relay_status('chaos')}) == @SINKS };

# --- load -------------------------------------------------------------------------------------------------

# What a session does all the time: it submits, claims, tells steps and completes, now and then in one transaction that
# takes long or is rolled back.
sub load {
    my $owner = rand() < 0.3 ? '{"owner": "ann"}' : '{}';
    my $slow = rand() < 0.1
        ? sprintf 'BEGIN; SELECT await.submit(\'work\', \'x\'); SELECT pg_sleep(%.2f)', rand 0.3
        : '';
    my $end = rand() < 0.3 ? 'ROLLBACK' : 'COMMIT';
    return <<"SQL" . ($slow && "$slow;\n") . <<"COMPLETE" . ($slow && "$end;\n");
SELECT await.submit('work', 'x', 'text/plain', '$owner');
SELECT await.publish('news', 'said', '1');
SELECT id, receipt FROM await.claim(ARRAY['work'], 'w', 1, '1 s') \\gset
SELECT await.emit(:'id', :'receipt', 'step', '1');
SQL
SELECT await.emit(:'id', :'receipt', 'step', '2');
SELECT await.complete(:'id', :'receipt', 'r');
COMPLETE
}
my $enough = "$s->{dir}/enough";
my @load = map { start_load($_) } 1 .. 4;
sub start_load {
    my ($n) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    srand($seed + $n);
    open STDOUT, '>', '/dev/null';
    open STDERR, '>&', \*STDOUT;
    $ENV{PGPASSWORD} = $s->password('worker');
    until (-e $enough) {
        open my $psql, '|-', 'psql', '-XAtq', '-d', conninfo('worker') . ' target_session_attrs=read-write' or last;
        $psql->autoflush(1);
        while (!-e $enough && print $psql load()) { sleep 0.06 }
        close $psql;
        sleep 0.05;
    }
    POSIX::_exit(0);
}

# --- strikes ----------------------------------------------------------------------------------------------

my $chaos = bless { stack => $s, pause => $pause, trouble => [], revoked => [], struck => {} }, 'Await::Chaos';
my @windows;
sub one { return Await::Chaos::pick(1, 2) }
sub leader {
    my $pid = sql(q{SELECT max(leader) FROM await.relay_status('chaos')});
    return $pid =~ /(\d+)\D*$/ ? $1 : '';
}
sub on_primary { my ($sql) = @_; return $s->try_sql($sql) || diag "not done: $sql" }
sub end_relay { my ($n, $signal) = @_; return $s->end($relay{$n}, $signal, 30) }

# The one that leads, mostly: nothing happens if the other one is struck.
sub a_relay {
    my $leader = rand() < 0.8 ? leader() : '';
    my ($n) = grep { $s->pid($relay{$_}) eq $leader } 1, 2;
    return $n // one();
}
my %strike = (
    'relay killed' => sub { my $n = a_relay(); end_relay($n, 'KILL'); start_relay($n) },
    'relay drained' => sub { my $n = a_relay(); end_relay($n, 'TERM'); start_relay($n) },
    'relay stopped' => sub {
        my $pid = $s->pid($relay{ a_relay() });
        kill 'STOP', $pid;
        sleep 0.2 + rand 2 * $pause + 1;
        kill 'CONT', $pid;
    },
    'both relays killed' => sub {
        end_relay($_, 'KILL') for 1, 2;
        sleep rand $pause;
        start_relay($_) for 1, 2;
    },
    $chaos->strikes_at_redis,
    'Kafka down' => sub { $kafka->all_down(2); $chaos->pause; $kafka->all_up(2) },
    'Kafka moves' => sub {
        # NOT_LEADER_FOR_PARTITION, REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS_AFTER_APPEND
        $kafka->tell(errors => 0, 6, 7, 20);
        $kafka->tell(leader => 'chaos', $_, 1 + int rand 2) for 0 .. 3;
    },
    'webhooks down' => sub { print {$receivers} 'webhooks ' . int(1000 * rand $pause) . "\n" },
    'slot lost' => sub {
        on_primary(q{SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name ~ '^await_'});
    },
    'publication dropped' => sub {
        on_primary('SELECT await.relay_wal(false)');
        $chaos->pause;
        on_primary('SELECT await.relay_wal(true)');
    },
    'sessions of the relays terminated' => sub {
        on_primary(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'relay'});
    },
    'statements of the relays cancelled' => sub {
        on_primary(
            join ';',
            (q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'relay' AND state = 'active'}) x 50
        );
    },
    'snapshot held' => sub {
        on_primary('BEGIN; SELECT pg_current_xact_id(), pg_sleep(' . rand($pause) . '); ROLLBACK');
    },
    'PostgreSQL restarted' => sub { $s->end($primary, 'INT'); $servers->start($primary) },
);
# in front of the relays, not of the others
delete @strike{ grep { /^line to Redis/ } keys %strike };
$strike{'line to Redis cut'} = sub { print {$receivers} "cut\n" };
$strike{'line to Redis refused'} = sub { print {$receivers} 'refuse ' . int(1000 * rand $pause) . "\n" };
$strike{'line to Redis stalled'} = sub { print {$receivers} 'stall ' . int(1000 * rand $pause) . "\n" };

# The standby takes over; if `lossy`, without the last moments.
sub fail_over {
    my ($lossy) = @_;
    my $begin = time - 1;    # a transaction may last for as long
    if ($lossy) {
        my $lsn = $servers->on($primary, 'SELECT pg_current_wal_lsn()');
        eventually 'the standby has what is there',
            sub { $servers->on($standby, "SELECT pg_last_wal_receive_lsn() >= '$lsn'") eq 't' };
        kill 'STOP', $servers->on(
            $primary, q{SELECT pid FROM pg_stat_replication WHERE application_name = 'q' OR
            application_name = 'p'}
        );
        sleep 0.3 + rand 0.5;
    }
    if ($lossy) { $servers->kill($primary) }
    else { $s->end($primary, 'INT') }
    push @windows, [ $begin, time ] if $lossy;
    $servers->promote($standby);
    Await::Stack::wait_for_orphans($servers->data($primary));
    $servers->rewind($standby, $primary);
    $servers->start($primary);
    ($primary, $standby) = ($standby, $primary);
    $chaos->{struck}{ 'failover' . ($lossy ? ' with losses' : '') }++;
    return;
}
sub follows {
    return $servers->on(
        $primary, q{SELECT count(*) FROM pg_stat_replication
        WHERE state = 'streaming' AND application_name IN ('p', 'q')}
    ) == 1;
}

my $until = time + $seconds;
my $every = $seconds > 20 ? 20 : $seconds / 2;
my $next = time + $every / 2;
my $lossy = int rand 2;
while (time < $until) {
    if (time > $next) {
        eventually 'the standby follows', \&follows, 60;
        fail_over($lossy = !$lossy);
        $next = time + $every;
    }
    $chaos->strike(%strike);
    sleep rand 0.5 * $pause;
}
Await::Stack::write_file($enough, '');
waitpid $_, 0 for @load;

# --- what was promised ------------------------------------------------------------------------------------

# The lists of what was written, one for each time that its process has led.
sub deliveries_in {
    my ($file) = @_;
    my @lists = [];
    for (split /\n/, slurp($file)) {
        push @lists, [] if /leading the relays/;
        next unless /^\{.*\}$/;
        my $event = decode_json($_);
        push @{ $lists[-1] }, [ @$event{qw(job seq at)} ] if defined $event->{job};
    }
    return @lists;
}
sub received {
    my ($sink) = @_;
    return [ map { [ (split / /)[ 1 .. 3 ] ] } grep { /^$sink (?!ffffffff)/ } split /\n/, slurp($heard) ];
}

# Nothing changes by itself any more: what was claimed by a session that is gone is given back.
eventually 'all leases are over', sub { sql('SELECT count(*) FROM await.lease') == 0 }, 30;
my $caught_up = sub {
    sql(q{SELECT coalesce(sum(behind), -1) FROM await.relay_status('chaos')}) eq '0'
        && sql('SELECT count(*) FROM await.delivery_due') eq '0';
};
eventually 'all sinks catch up', $caught_up, 60
    or diag sql(q{SELECT sink, behind, reason, cursor, leader, pg_current_snapshot() FROM await.relay_status('chaos')});
my $deliveries = Await::Deliveries->new(windows => \@windows);
my $stored = $deliveries->stored;
cmp_ok $stored, '>', 10 * $seconds, "$stored events are stored";
my @kafka = $deliveries->promises(kafka => [ deliveries_in("$s->{dir}/logs/kcat.log") ]);
# the consumer may be behind
until_true 'kcat has read all', sub {
    @kafka = $deliveries->promises(kafka => [ deliveries_in("$s->{dir}/logs/kcat.log") ]);
    return !@{ $kafka[1] };
};
my @promises = (
    @kafka,
    $deliveries->promises(redis => [ received('redis') ], from => 2, timeless => 1),
    $deliveries->promises(stdout => [ map { deliveries_in("$s->{dir}/logs/$_.log") } @all ]),
    $deliveries->promises(webhooks => [ received('webhooks') ]),
    'webhooks: the id is that of the event' => [ grep { /^wrong/ } split /\n/, slurp($heard) ],
);
while (my ($name, $broken) = splice @promises, 0, 2) {
    is_deeply $broken, [], $name or diag join "\n  ", 'broken by:', grep { defined } @$broken[ 0 .. 19 ];
}
cmp_ok $began{$_} // 0, '>', 0, "a relay followed the $_" for $seconds > 20 ? qw(table wal) : ();
diag "chaos of relays: $stored events; ", $deliveries->counts, '; ', $chaos->all_struck;
is $s->alive($relay{$_}), 1, "relay $_ is at work" for 1, 2;
end_relay($_, 'TERM') for 1, 2;
is $s->{status}{ $relay{$_} }, 0, "relay $_ ends well" for 1, 2;
close $receivers;
waitpid $receivers_pid, 0;
$s->end('kcat', 'KILL');
$kafka->stop;
$s->end($_, 'INT') for $standby, $primary;
finish();
