# Synchronous replication: what was accepted survives the primary, a standby that stands still leaves nothing behind on
# the server, and a former primary comes back by pg_rewind.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(without => [ 'nginx', 'redis' ]);
my $bin = Await::Stack::pg_bin();
my %port = (a => $s->{pg_port}, b => Await::Stack::free_port());
my %data = (a => "$s->{dir}/postgres", b => "$s->{dir}/b");

sub on {
    my ($name, $sql) = @_;
    local $s->{pg_port} = $port{$name};
    return $s->sql($sql);
}

sub start_server {
    my ($name) = @_;
    unlink "$data{$name}/postmaster.pid";
    my @settings = (
        'max_connections=100', 'listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off',
        'wal_retrieve_retry_interval=200ms', 'log_min_messages=fatal'
    );
    $s->spawn(
        $name,
        [ "$bin/postgres", '-D', $data{$name}, '-p', $port{$name}, map { ('-c', $_) } @settings ],
        user => $s->{user});
    return eventually("$name is up", sub { local $s->{pg_port} = $port{$name}; $s->try_sql('SELECT 1') }, 60);
}

sub as_postgres {
    my ($log, @command) = @_;
    my $command = join ' ', $s->as_pg, "env PGPASSWORD=@{[ $s->password('admin') ]}", @command;
    my $file = "$s->{dir}/logs/$log.log";
    return system('sh', '-c', "$command >>$file 2>&1") == 0 || BAIL_OUT(slurp($file));
}

# From now on a commit on this server waits for the other one.
sub wait_for_standby {
    my ($name, $standby) = @_;
    on($name, "ALTER SYSTEM SET synchronous_standby_names = '$standby'");
    on($name, 'SELECT pg_reload_conf()');
    return eventually("$name waits for $standby",
        sub { on($name, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == 1 }, 30);
}

# The other one is lost: commits wait for nobody.
sub promote {
    my ($name) = @_;
    on($name, 'SELECT pg_promote()');
    $s->{pg_port} = $port{$name};
    ok until_true("$name takes over", sub { on($name, 'SELECT pg_is_in_recovery()') eq 'f' }, 60), "$name takes over";
    on($name, 'ALTER SYSTEM RESET synchronous_standby_names');
    on($name, 'SELECT pg_reload_conf()');
}

sql("ALTER SYSTEM SET $_") for 'wal_log_hints = on', "wal_keep_size = '1GB'";    # pg_rewind needs them
$s->end('postgres', 'INT');
start_server('a');
mkdir $data{b}, 0700;
chown((getpwnam($s->{user}))[ 2, 3 ], $data{b}) if $s->{user};
as_postgres('basebackup', "$bin/pg_basebackup -R -X stream -c fast --no-sync -D $data{b} -d",
    "'host=127.0.0.1 port=$port{a} user=admin application_name=b'");
start_server('b');
wait_for_standby('a', 'b');

my $who = 'dbname=await user=edge password=' . $s->password('edge');
my $site = "await_redis off;\n" . $Await::Test::SITE;
$s->start_nginx(
    "await_postgres \"host=127.0.0.1,127.0.0.1 port=$port{a},$port{b} connect_timeout=1 $who\";\n$site",
    vars => { EXTRA => 'location = /metrics { await_metrics; }', REREAD => '1s' });

my @accepted;
# Submits some at once; returns the statuses.
sub submit_some {
    my ($n) = @_;
    my @answers = map { $_->response(30) } map { begin_request('POST', '/jobs', body => 'x') } 1 .. $n;
    push @accepted, map { json($_)->{id} } grep { $_->{status} == 202 } @answers;
    return map { $_->{status} } @answers;
}
sub children { my ($pid) = @_; return split ' ', slurp("/proc/$pid/task/$pid/children") }

sub missing {
    my $ids = join ',', map { "('$_'::uuid)" } @accepted;
    return sql(
        "SELECT count(*) FROM (VALUES $ids) a (id)
        WHERE NOT EXISTS (SELECT FROM await.job j WHERE j.id = a.id)"
    );
}
sub backends { return on($_[0], "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'nginx-await-%'") }

subtest 'a standby that stands still' => sub {
    is_deeply [ submit_some(5) ], [ (202) x 5 ], 'with it submissions are accepted';
    my @standby = ($s->pid('b'), children($s->pid('b')));
    kill 'STOP', @standby;
    my $began = time;
    my $late = sub { begin_request('POST', '/jobs', body => 'late', headers => { 'Idempotency-Key' => $_[0] }) };
    my @late = map { $late->(qq("late-$_")) } 1 .. 5;
    my @answers = map { $_->response(30) } @late;
    is_deeply [ map { $_->{status} } @answers ], [ (503) x 5 ], 'without it nothing is accepted';
    cmp_ok time - $began, '<', 25, 'and that is said after a while';
    is submit_some(1), 1, 'another one is answered too';
    ok until_true('backends', sub { backends('a') <= 6 }, 20), 'no backend piles up on the server'
        or diag on('a', 'SELECT application_name, wait_event, state, left(query, 60) FROM pg_stat_activity');
    kill 'CONT', @standby;
    ok until_true('accepted again', sub { (submit_some(1))[0] == 202 }, 30), 'when it goes on, they are accepted';
    my @again = map { post('/jobs', 'late', 'Idempotency-Key' => qq("late-$_")) } 1 .. 5;
    is_deeply [ map { $_->{status} } @again ], [ (202) x 5 ], 'those are repeated';
    is sql("SELECT count(*) FROM await.job WHERE payload = 'late'"), 5, 'and each is there once';
};

my $stream = begin_request('GET', "/jobs/$accepted[0]/events", headers => { Accept => 'text/event-stream' });
ok $stream->wait_event('ready'), 'a stream';

subtest 'the primary is lost' => sub {
    my @under_way = map { begin_request('POST', '/jobs', body => 'x') } 1 .. 20;
    $s->end('a', 'QUIT');
    Await::Stack::wait_for_orphans($data{a});
    promote('b');
    push @accepted, map { json($_)->{id} } grep { $_->{status} == 202 } map { $_->response(30) } @under_way;
    ok until_true('accepted again', sub { (submit_some(1))[0] == 202 }, 30), 'the standby is used';
    is missing(), 0, 'nothing that was accepted is missing: ' . @accepted;
    ok $stream->wait_event('reset', 15), 'the stream is told that history may have changed';
};

subtest 'the former primary comes back by pg_rewind' => sub {
    on('b', 'CHECKPOINT');    # or pg_rewind does not see the new timeline
    as_postgres('rewind', "$bin/pg_rewind --no-sync -R -D $data{a} --source-server",
        "'host=127.0.0.1 port=$port{b} user=admin dbname=postgres application_name=a'");
    start_server('a');
    wait_for_standby('b', 'a');
    is_deeply [ submit_some(5) ], [ (202) x 5 ], 'it is the standby now';
    $stream->{buffer} =~ s/event: reset/event: was/g;
    $s->end('b', 'QUIT');
    Await::Stack::wait_for_orphans($data{b});
    promote('a');
    ok until_true('accepted again', sub { (submit_some(1))[0] == 202 }, 30), 'and the primary again';
    is missing(), 0, 'nothing that was accepted is missing: ' . @accepted;
    ok $stream->wait_event('reset', 15), 'the stream is told again';
    claim($accepted[0]);
    is complete($accepted[0], 'x'), 't', 'and the job of the first server';
    ok $stream->wait_event('completed', 10), 'is completed for those who have watched it since then';
};

$stream->close;
$s->end($_, 'INT') for qw(a);
finish();
