# Two nginx nodes, PostgreSQL, Redis and workers are killed, stopped, cut off and reloaded at random, while clients
# submit and watch in every way. Every 202 is in the database, every accepted job ends once, every watcher got every
# event once, in order, to the end, and nobody waited longer than the bound. AWAIT_SEED=…, AWAIT_CHAOS_SECONDS=… (of
# strikes)

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use IO::Handle;
use IPC::Open2;
use JSON::PP;
use List::Util qw(shuffle);
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

my $reread = 1;
my $s = start_stack(fsync => 1, without => ['nginx']);
my ($disk, $mounted) = "$s->{dir}/postgres";
END { local $?; system('umount', '-l', $disk) if $mounted }
move_to_small_disk() if $may_mount;
my %port = map { $_ => Await::Stack::free_port() } qw(pga pgb reda redb);
my $proxy_pid = open2(
    my $proxy_out,
    my $proxy, 'node',
    "$FindBin::Bin/chaos/proxy.js",
    "pga=$port{pga}:$s->{pg_port}",
    "pgb=$port{pgb}:$s->{pg_port}",
    "reda=$port{reda}:$s->{redis_port}",
    "redb=$port{redb}:$s->{redis_port}"
);
$proxy->autoflush(1);
is readline $proxy_out, "ready\n", 'the proxies stand';

my $LOCATIONS = <<'CONF';
    location = /ws { await_allow topic:chaos; await_socket; }
    location = /topic { await_publish chaos; await_events topic:chaos; }
    location = /owned { await_owner $arg_u; await_submit work; await_events user:$arg_u; }
    location = /ownedws { await_owner $arg_u; await_socket; }
    location = /both { await_owner $arg_u; await_events topic:chaos user:$arg_u; }
CONF

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

# two nodes that share nothing but the backends
sub site {
    my ($node) = @_;
    my $postgres = $s->postgres('edge') =~ s/port=\d+/port=$port{"pg$node"}/r;
    my $redis = $s->redis =~ s/:\d+$/:$port{"red$node"}/r;
    my $site = $Await::Test::SITE =~ s/\$\{REREAD\}/${reread}s/r =~ s/\$\{EXTRA\}/$LOCATIONS/r;
    return <<"CONF" . $site;
await_postgres "$postgres";
await_redis $redis;
await_ping 1s socket=5s;
await_retry 100ms 1s;
await_drain 5s;
CONF
}
my %node = map { $_ => Await::Stack->new(dir => "$s->{dir}/$_", worker_processes => 2) } qw(a b);
$node{$_}->start_nginx(site($_)) for sort keys %node;

my @work = ('--queue', 'work', '--concurrency', 4, '--lease', '2s', '--', 'sh', '-c',
    'x=$(cat); echo "{\"done\":1}" >&3; echo "{\"done\":2}" >&3; printf "made of %s" "$x"');
my @workers = map { "worker$_" } 1 .. 3;
$s->start_worker($_, @work) for @workers;

$ENV{NODE_PATH} = '/usr/share/nodejs';
my $clients_pid = open2(my $heard, my $clients, 'node', "$FindBin::Bin/chaos/clients.js",
    $seed, $seconds, $jobs, map { $node{$_}{port} } sort keys %node);
$clients->autoflush(1);

# --- strikes --------------------------------------------------------------------------------------------

my (%struck, @trouble, @revoked);
# What delays even a watcher who is connected, and the longest it takes nginx to find back (its back-off).
sub during { my ($recovery, $do) = @_; my $begin = time; $do->(); push @trouble, [ $begin, time + $recovery ] }
sub pick { return $_[ rand @_ ] }
sub nginx_workers {
    my ($n) = @_;
    my $master = $node{$n}->pid('nginx');
    return grep { slurp("/proc/$_/cmdline") =~ /worker process/ } split ' ',
        slurp("/proc/$master/task/$master/children");
}
sub descendants {
    my ($pid) = @_;
    return map { ($_, descendants($_)) } split ' ', slurp("/proc/$pid/task/$pid/children");
}

my %strike = (
    'worker killed' => sub {
        my $name = pick(@workers);
        my @all = descendants($s->pid($name));
        kill 'KILL', $s->pid($name);
        kill 'KILL', @all;
        until_true('gone', sub { !$s->alive($name) });
        $s->start_worker($name, @work);    # its jobs' leases run out
    },
    'worker drained' => sub {
        my $name = pick(@workers);
        kill 'TERM', $s->pid($name);
        until_true('drained', sub { !$s->alive($name) });
        $s->start_worker($name, @work);
    },
    'worker stopped' =>
        sub { my $pid = $s->pid(pick(@workers)); kill 'STOP', $pid; sleep 1 + rand 3; kill 'CONT', $pid },
    'nginx worker killed' => sub { my @pids = nginx_workers(pick('a', 'b')); kill 'KILL', pick(@pids) if @pids },
    'nginx worker stopped' => sub {
        my @pids = nginx_workers(pick('a', 'b'));
        my $pid = pick(@pids) or return;
        during(0.5, sub { kill 'STOP', $pid; sleep rand 3; kill 'CONT', $pid });
    },
    'nginx reloaded' => sub { kill 'HUP', $node{ pick('a', 'b') }->pid('nginx') },
    'Redis killed' => sub { $s->end('redis', 'KILL'); sleep rand 2; $s->start_redis },
    'Redis stopped' => sub { my $pid = $s->pid('redis'); kill 'STOP', $pid; sleep rand 3; kill 'CONT', $pid },
    'PostgreSQL killed' => sub {
        during(2.5, sub { $s->end('postgres', 'KILL'); $s->start_postgres });
    },
    'PostgreSQL restarted' => sub {
        during(2.5, sub { $s->end('postgres', 'INT'); $s->start_postgres });
    },
    'PostgreSQL stopped' => sub {
        during(
            0.5,
            sub {
                my @all = ($s->pid('postgres'), descendants($s->pid('postgres')));
                kill 'STOP', @all;
                sleep rand 3;
                kill 'CONT', @all;
            });
    },
    'line to PostgreSQL cut' => sub {
        during(0.5, sub { print $proxy 'cut ' . pick('pga', 'pgb') . "\n" });
    },
    'line to PostgreSQL stalled' => sub {
        during(0.5,
            sub { my $ms = int rand 3000; print $proxy 'stall ' . pick('pga', 'pgb') . " $ms\n"; sleep $ms / 1000 });
    },
    'PostgreSQL refused' => sub {
        during(2.5,
            sub { my $ms = int rand 3000; print $proxy 'refuse ' . pick('pga', 'pgb') . " $ms\n"; sleep $ms / 1000 });
    },
    'line to Redis cut' => sub { print $proxy 'cut ' . pick('reda', 'redb') . "\n" },
    'line to Redis stalled' => sub { print $proxy 'stall ' . pick('reda', 'redb') . ' ' . int(rand 6000) . "\n" },
);
# what a DBA does under load, and what a database does with it
my %dba = (
    'backends terminated' => [ 2.5, q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE application_name ~ '^nginx-await' AND random() < 0.5} ],
    'statements cancelled' => [ 0.5, join ';', (q{SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
        WHERE state = 'active' AND pid <> pg_backend_pid() AND backend_type = 'client backend'}) x 50 ],
    'tables rewritten' => [ 0.5, 'VACUUM FULL await.ready; VACUUM FULL await.lease; '
            . 'VACUUM FULL await.event; CLUSTER await.ready USING ready_pkey; REINDEX TABLE await.job' ],
    'purge' => [ 0.5, q{SELECT await.purge(); SELECT await.count_events('0 s'); ANALYZE await.event} ],
    'snapshot held' =>
        [ 0, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id(), pg_sleep(2); ROLLBACK' ],
);
for my $what (keys %dba) {
    my ($recovery, $do) = @{ $dba{$what} };
    $strike{$what} = sub {
        during($recovery, sub { $s->try_sql($do) or diag "$what: not done" });
    };
}
# who watches as this owner is sent away, at once where Redis says so
$strike{'owner revoked'} = sub {
    my $asked = time;
    $s->try_sql(q{SELECT await.revoke('gone')}) or return;
    push @revoked, [ $asked, time ];
    $s->redis_command('PUBLISH', 'await:revoked', 1) if rand() < 0.5 && $s->alive('redis');
};
if ($may_mount) {
    $strike{'disk full'} = sub { during(2.5, \&fill_disk) };
} else {
    diag 'no disk is filled: mounts are not allowed here';
}
my $until = time + $seconds;
my @order;
while (time < $until) {
    @order = shuffle sort keys %strike unless @order;      # each comes round
    my $what = shift @order;
    $strike{$what}->();
    $struck{$what}++;
    sleep 0.2 + rand 0.8;
}
print $clients "rest\n";
my $report = decode_json(scalar(readline $heard) // '{}');
waitpid $clients_pid, 0;
close $proxy; waitpid $proxy_pid, 0;

# --- what was promised ------------------------------------------------------------------------------------

is_deeply $report->{problems}, [], 'what clients were told, they were told once, in order, to the end';
my %accepted = %{ $report->{accepted} };
my $n = keys %accepted;
cmp_ok $n, '>', 3 * $seconds, "$n jobs were accepted";
my (%stored, %last, %ended);
for (
    split /\n/,
    sql(
        "SELECT j.id, convert_from(j.payload, 'UTF8'), coalesce(max(e.seq), 1),
            coalesce(count(*) FILTER (WHERE e.ending), 0), coalesce(max(e.seq), 1) = count(e.seq) + 1,
            max(e.state) FILTER (WHERE e.ending), max(convert_from(e.body, 'UTF8')),
            extract(epoch FROM max(e.at) FILTER (WHERE e.ending))
        FROM await.job j LEFT JOIN await.event e ON e.job = j.id
        WHERE j.id <> await.topic_id('chaos') GROUP BY 1, 2"
    ))
{
    my ($id, $payload, $last, $endings, $whole, $state, $body, $at) = split /\|/;
    $stored{$id} = {
        payload => $payload,
        last => $last,
        endings => $endings,
        whole => $whole,
        state => $state,
        body => $body,
        at => $at
    };
}
is_deeply [ grep { !$stored{$_} || $stored{$_}{payload} ne $accepted{$_} } keys %accepted ], [],
    'every 202 is in the database, with its payload';
my %times;
$times{ $_->{payload} }++ for values %stored;
is_deeply [ grep { $times{$_} != 1 } @{ $report->{settled} } ], [],
    'what was sent again with its Idempotency-Key is one job';
cmp_ok $report->{count}{published}, '>', $seconds / 2,
    "$report->{count}{published} events were published, $report->{count}{told} times told";
cmp_ok $report->{count}{users}, '>', 0, "$report->{count}{users} events told to who watches a user";
cmp_ok $report->{count}{replayed}, '>', 0,
    "$report->{count}{replayed} of " . @{ $report->{settled} } . ' had been sent before';
is_deeply [ grep { $stored{$_}{endings} != 1 } keys %accepted ], [], 'every accepted job has ended, once';
is_deeply [ grep { $stored{$_}{whole} ne 't' } keys %stored ], [], 'no history has a hole';
is_deeply [ grep { $stored{$_}{state} eq 'completed' && $stored{$_}{body} ne "made of $stored{$_}{payload}" }
        keys %accepted ], [], 'every result is that of its own job';
is_deeply [ map { "$_->{id} $_->{mode} $_->{last}" }
    grep { $_->{last} != $stored{ $_->{id} }{last} } @{ $report->{heard} } ], [],
    'every watcher knows the last event';

# the longest stretch without trouble in which somebody still waited
@trouble = sort { $a->[0] <=> $b->[0] } @trouble;
sub calm {
    my ($from, $to) = @_;
    my ($at, $longest) = ($from, 0);
    for my $t (@trouble, [ $to, $to ]) {
        my ($begin, $end) = map { $_ > $to ? $to : $_ } @$t;
        $longest = $begin - $at if $begin - $at > $longest;
        $at = $end if $end > $at;
    }
    return $longest;
}
my ($worst, $late, $in_all) = (0, 'nobody', 0);
for my $watcher (@{ $report->{heard} }) {
    my ($from, $to) = ($stored{ $watcher->{id} }{at}, $watcher->{learned} / 1000);
    my $longest = calm($from, $to);
    ($worst, $late) = ($longest, "$watcher->{id} ($watcher->{mode})") if $longest > $worst;
    $in_all = $to - $from if $to - $from > $in_all;
}
my $bound = $reread + 1 + 1 + 2;               # re-read, its read, coming back, and a machine with much to do
cmp_ok $worst, '<', $ENV{AWAIT_ASAN} ? 4 * $bound : $bound,
    sprintf 'nobody waited longer than %.2f s without trouble (%s), %.2f s in all', $worst, $late, $in_all;

my ($sent_away, $stays) = (0, 0);
for my $revoked (@revoked) {
    for my $session (@{ $report->{sessions} }) {
        my ($from, $to) = ($session->{from} / 1000, $session->{to} / 1000);
        next if $from > $revoked->[0] || $to < $revoked->[1];
        ++$sent_away;
        my $longest = calm($revoked->[1], $to);
        $stays = $longest if $longest > $stays;
    }
}
cmp_ok $sent_away, '>', 0, "$sent_away streams and sockets were there when their owner was revoked" if @revoked;
cmp_ok $stays, '<', $ENV{AWAIT_ASAN} ? 4 * $bound : $bound,
    sprintf 'and none of them for longer than %.2f s without trouble', $stays;

my $kills = join ', ', map { "$struck{$_} × $_" } sort keys %struck;
diag
    "chaos: $n jobs, $report->{count}{events} events, $report->{count}{reconnects} reconnects, "
    . "$report->{count}{sockets} WebSockets, $report->{count}{refused} refused, $report->{count}{unknown} unknown, "
    . "$report->{count}{replayed} replayed; $kills";
for my $name (sort keys %node) {
    $node{$name}->stop;
    my $log = slurp("$node{$name}{dir}/logs/error.log");
    is_deeply [ Await::Test::alarms($log) ], [], "node $name: no alert, no emerg, no crit";
    unlike $log, qr/Sanitizer|runtime error:/, "node $name: no sanitizer has spoken";
}
finish();
