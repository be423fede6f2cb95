# Failovers with real streaming replication: a host that stands still in front, two standbys that are promoted to the
# same timeline number, a failback without pg_rewind, a PgBouncer that is pointed at another server, and a former
# primary that comes back. Each time whoever watches is told, and nobody goes back.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Replication;
use Await::Test;
use IO::Socket::INET;
use Test::More;

my $s = start_stack(without => [ 'nginx', 'redis' ]);
my $servers = Await::Replication->new($s, qw(a b c));
my $pooler_port = Await::Stack::free_port();
# accepts connections, and says nothing: a machine that hangs
my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 64) or die "listen: $!";

sub timeline { return sql("SELECT timeline FROM await.edge_hello('{}', '{}')") }

# Two standbys of A, which hear of nobody else.
$servers->make_standby('a', 'b');
system('cp', '-a', map { $servers->data($_) } 'b', 'c') == 0 or BAIL_OUT('cp');
$servers->start($_) for qw(b c);

# --- a pooler, and two nodes: one with a list of hosts, one behind the pooler

sub configure_pooler {
    my ($to) = @_;
    Await::Stack::write_file("$s->{dir}/pooler.ini", <<"INI", 0644);
[databases]
await = host=127.0.0.1 port=@{[ $servers->port($to) ]} dbname=await user=edge password=@{[ $s->password('edge') ]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $pooler_port
unix_socket_dir =
auth_type = any
pool_mode = transaction
server_login_retry = 1
server_check_delay = 0
INI
}
configure_pooler('a');
my ($pgbouncer) = grep { -x } '/usr/sbin/pgbouncer', '/usr/bin/pgbouncer';
die 'PgBouncer is missing (Debian: pgbouncer)' unless $pgbouncer;
$s->spawn('pooler', [ $pgbouncer, "$s->{dir}/pooler.ini" ], user => $> == 0 ? 'nobody' : undef);
$s->wait_for('pooler', 20, sub { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$pooler_port") });

my $site = "await_redis off;\n" . $Await::Test::SITE;
my %vars = (EXTRA => 'location = /metrics { await_metrics; }', REREAD => '1s');
my $hosts = join ',', ('127.0.0.1') x 4;
my $ports = join ',', $silent->sockport, map { $servers->port($_) } qw(a b c);
my $who = 'dbname=await user=edge password=' . $s->password('edge');
my $node = Await::Stack->new(dir => "$s->{dir}/pooled", worker_processes => 1);
$node->start_nginx("await_postgres \"host=127.0.0.1 port=$pooler_port $who\";\n$site", vars => \%vars);
$s->{worker_processes} = 2;
$s->start_nginx("await_postgres \"host=$hosts port=$ports connect_timeout=1 $who\";\n$site", vars => \%vars);

my ($id, $other) = map {
    my $made;
    ok until_true('submitted', sub { my $r = post('/jobs', 'x'); $r->{status} == 202 && ($made = json($r)->{id}) }, 20),
        'a silent host is in front: the next one is used';
    $made;
} 1 .. 2;
claim($id);
claim($other);
sub emit { my ($type) = @_; sql("SELECT await.emit('$id', test.receipt('$id'), '$type')") }
sub watch {
    my ($port) = @_;
    return begin_request('GET', "/jobs/$id/events", headers => { Accept => 'text/event-stream' }, port => $port);
}
emit('kept');
my %stream = (hosts => watch($s->{port}), pooler => watch($node->{port}));
my $held = begin_request('GET', "/jobs/$other?wait=60");
ok $stream{$_}->wait_event('kept'), "$_: a stream has seen the last event that all have" for sort keys %stream;
my $lsn = sql('SELECT pg_current_wal_lsn()');
for my $standby (qw(b c)) {
    eventually("$standby has it", sub { $servers->on($standby, "SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't' });
}

# Nobody sees numbers that were given twice as one history.
sub failover {
    my ($to, $type, @who) = @_;
    configure_pooler($to);
    $s->alive('pooler') and kill 'HUP', $s->pid('pooler');
    ok $stream{$_}->wait_event('reset'), "$_: the stream is reset" or diag error_log() for @who;
    $stream{$_}->forget('reset') for @who;
    emit($type);
    ok $stream{$_}->wait_event($type), "$_: and goes on with what is there" for @who;
    eventually('submissions go to it', sub { post('/jobs', 'x')->{status} == 202 });
}

my %name;
subtest 'one standby takes over' => sub {
    emit('only_a') for 1 .. 2;
    ok $stream{$_}->wait_event('only_a'), "$_: sees what will be lost" for sort keys %stream;
    $servers->kill('a');
    $servers->promote('b');
    failover('b', 'on_b', sort keys %stream);
    $name{b} = timeline();
};

subtest 'the other one takes over from it, on the same timeline number' => sub {
    # was a bug: two lines of history had one name, and numbers of the second were taken for those of the first
    emit('more_b');
    ok $stream{$_}->wait_event('more_b'), "$_: sees what will be lost" for sort keys %stream;
    $servers->kill('b');
    $servers->promote('c');
    failover('c', 'on_c', sort keys %stream);
    $name{c} = timeline();
    is((split /\./, $name{c})[1], (split /\./, $name{b})[1], 'PostgreSQL gives both the same number');
    isnt $name{c}, $name{b}, 'and they have two names';
    is timeline(), $name{c}, 'which stay';
    is complete($other, 'x'), 't', 'another job ends, with a number that was never seen';
    is json($held->response)->{state}, 'completed', 'the request that is held since the first server learns of it';
};

subtest 'the first one comes back without pg_rewind' => sub {
    $servers->kill('c');
    my $signal = $servers->data('a') . '/standby.signal';
    Await::Stack::write_file($signal, '');
    $servers->give_to_owner($signal);
    $servers->start('a');
    $servers->promote('a');
    failover('a', 'on_a', sort keys %stream);
    $name{a} = timeline();
    is_deeply [ sort { $a cmp $b } map { (split /\./, $_)[1] } values %name ], [ ('00000002') x 3 ],
        'the same number again';
    isnt $name{a}, $name{$_}, "and not the name of $_" for qw(b c);
};

subtest 'a former primary that comes back is not used' => sub {
    $servers->kill('a');
    $servers->start('c');    # a primary, as it was
    my @workers = worker_pids();
    kill 'HUP', $s->pid('nginx');
    eventually('nginx was reloaded', sub { workers_are_new(@workers) });
    eventually(
        'the log says why, and what to do',
        sub { error_log() =~ /timeline \Q$name{c}\E, which is older than one that this node has used.*promote it, or/ }
    );
    is post('/jobs', 'x')->{status}, 503, 'nothing is stored there by new nginx workers';
    is $servers->on(
        'c',
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%edge_submit%' AND application_name LIKE 'nginx-%'"
        ),
        0, 'nor tried';
    my $sessions = sub { $servers->on('c', "SELECT sessions FROM pg_stat_database WHERE datname = 'await'") };
    my $before = $sessions->();
    is post('/jobs', 'x')->{status}, 503, 'some seconds later neither';
    cmp_ok $sessions->() - $before, '<', 60, 'it is asked less and less often';
    $servers->start('a');
    ok until_true('202', sub { post('/jobs', 'x')->{status} == 202 }, 20), 'when the newest is up again, it is used';
    $s->{pg_port} = $servers->port('a');
    is sql('SELECT pg_is_in_recovery()'), 'f', 'which is a primary';
};

subtest 'a worker passes over the silent host, too' => sub {
    my $job;
    $s->spawn(
        'worker',
        [ $s->{worker}, '--queue', 'work', '--', 'cat' ],
        user => $> == 0 ? 'nobody' : undef,
        env => {
            AWAIT_POSTGRES => "host=$hosts port=$ports connect_timeout=1 dbname=await user=worker",
            PGPASSWORD => $s->password('worker') });
    $job = one_job('/jobs', 'made');
    # the connection that reads may be there later than the one that writes
    eventually('the job', sub { get("/jobs/$job?wait=20")->{status} == 200 });
    eventually('completed by it', sub { json(get("/jobs/$job"))->{state} eq 'completed' });
    $s->end('worker', 'TERM');
};

@Await::Test::expected_alarms = (qr/\[alert\].*open socket/);
$_->close for values %stream;
$s->end('pooler', 'INT');
$s->end($_, 'INT') for qw(c a);
$node->stop;
finish();
