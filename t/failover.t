# A standby takes over and has not got the last commits: nginx finds it, whoever watches is told that history has
# changed, and numbers given out a second time are no events of before. A read-only server is noticed and left.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

my $s = start_stack(fsync => 1, without => ['nginx']);
my $standby_port = Await::Stack::free_port();
my $primary = $s->postgres('edge');
my $both = $primary =~ s/host=\S+ port=(\d+)/host=127.0.0.1,127.0.0.1 port=$1,$standby_port/r;
$s->start_nginx("await_postgres \"$both\";\n" . $Await::Test::SITE =~ s/\$\{REREAD\}/1s/r =~
        s/\$\{EXTRA\}/location = \/metrics { await_metrics; }/r);
my $bin = Await::Stack::pg_bin();

sub start_standby {
    $s->spawn(
        'standby',
        [
            "$bin/postgres", '-D', "$s->{dir}/standby", '-p',
            $standby_port, '-c', 'max_connections=200', '-c',
            'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='
        ],
        user => $s->{user});
    local $s->{pg_port} = $standby_port;
    ok until_true('the standby is up', sub { $s->try_sql('SELECT 1') }, 60), 'standby up';
}
mkdir "$s->{dir}/standby"; chown((getpwnam($s->{user}))[ 2, 3 ], "$s->{dir}/standby") if $s->{user}; chmod 0700,
    "$s->{dir}/standby";
system('sh', '-c', join ' ', $s->as_pg,
    "env PGPASSWORD=@{[ $s->password('admin') ]} $bin/pg_basebackup -R -X stream -c fast -D $s->{dir}/standby -d "
    . "'host=127.0.0.1 port=$s->{pg_port} user=admin' >$s->{dir}/logs/basebackup.log 2>&1"
) == 0 or BAIL_OUT(slurp("$s->{dir}/logs/basebackup.log"));
start_standby();

my $id = one_job();
my $other = one_job();
claim($id); claim($other);
my @streams = map { begin_request('GET', "/jobs/$id/events", headers => { Accept => 'text/event-stream' }) } 1 .. 3;
my $held = begin_request('GET', "/jobs/$other?wait=50");
sql("SELECT await.emit('$id', test.receipt('$id'), 'kept', '1')");
ok $_->wait_event('kept'), 'a stream has seen the last event that is kept' for @streams;
my $seen_lsn = sql('SELECT pg_current_wal_lsn()');
{
    local $s->{pg_port} = $standby_port;
    ok until_true('the standby has it', sub { $s->sql("SELECT pg_last_wal_replay_lsn() >= '$seen_lsn'") eq 't' }),
        'replicated'
}

# from here on the standby gets nothing
$s->end('standby', 'INT');
sql("SELECT await.emit('$id', test.receipt('$id'), 'lost', '$_')") for 4 .. 6;
sql("SELECT await.emit('$other', test.receipt('$other'), 'lost')");
my $gone = one_job();
for (@streams) {
    my $stream = $_;
    ok $stream->read_until(sub { $_[0] =~ /"seq":6\b/ }), 'told of what will be lost';
}
my ($cursor) = map { $_->{id} } (grep { ($_->{data} // '') =~ /"seq":6\b/ } @{ $streams[0]->events });
$streams[2]->close;
$s->end('postgres', 'KILL');
start_standby();
{
    local $s->{pg_port} = $standby_port;
    $s->sql('SELECT pg_promote()');
    ok until_true('promoted', sub { $s->sql('SELECT pg_is_in_recovery()') eq 'f' }, 60), 'the standby takes over';
}
$s->{pg_port} = $standby_port;

ok until_true('nginx finds it', sub { post('/jobs', 'x')->{status} == 202 }, 30), 'submissions go to it';
my $lost;       # each connection finds it by itself
ok until_true('for reads too', sub { ($lost = get("/jobs/$gone")->{status}) != 503 }, 30), 'and so do reads';
is $lost, 404, 'what was lost is lost';
subtest 'whoever watched is told' => sub {
    for my $stream (@streams[ 0, 1 ]) {
        my $reset = $stream->wait_event('reset');
        ok $reset, 'a stream is reset'
            or diag substr($stream->{buffer}, -700) . sql("SELECT * FROM await.edge_hello('{}', '{}')");
        sql("SELECT await.emit('$id', test.receipt('$id'), 'new', '1')") if $stream == $streams[0];
        ok $stream->wait_event('new'), 'and goes on';
        is json({ body => $stream->wait_event('new')->{data} })->{seq}, 4, 'with a number that was given before';
    }
    my $back = begin_request('GET', "/jobs/$id/events",
        headers => { Accept => 'text/event-stream', 'Last-Event-ID' => $cursor });
    ok $back->wait_event('reset'), 'who comes back with a cursor of before, too';
    my $page = json(get("/jobs/$id/events?cursor=$cursor", Accept => 'application/json'));
    ok $page->{reset}, 'also by a page';
    is metric('await_resets_total'), 4, 'counted';
};
subtest 'who holds hears of an ending whose number it had seen' => sub {
    # was a bug, found by the simulation: having seen event 3 of the old history, it was deaf to the new one's
    ok $held->quiet(0.2), 'the poll is held';
    is complete($other, 'x'), 't', 'the other job completes on the new primary';
    is sql("SELECT max(seq) FROM await.event WHERE job = '$other'"), 3, 'its ending has the number 3 as before';
    is json($held->response)->{state}, 'completed', 'the held poll learns of the ending';
};

subtest 'the old primary comes back as a standby: nobody talks to it' => sub {
    my ($port) = $primary =~ /port=(\d+)/;
    my $data = "$s->{dir}/postgres";
    unlink "$data/postmaster.pid";
    Await::Stack::write_file("$data/standby.signal", '');
    chown((getpwnam($s->{user}))[ 2, 3 ], "$data/standby.signal") if $s->{user};
    $s->spawn(
        'postgres',
        [
            "$bin/postgres", '-D', $data, '-p',
            $port, '-c', 'max_connections=200', '-c',
            'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='
        ],
        user => $s->{user});
    { local $s->{pg_port} = $port; eventually('the old primary is up as a standby',
        sub { (($s->psql('SELECT pg_is_in_recovery()'))[0] // '') eq 't' }, 60) }
    @Await::Test::expected_alarms = (qr/exited on signal 9/);
    kill 'KILL', worker_pids();
    ok until_true(
        'a new nginx worker',
        sub {
            (eval { post('/jobs', 'y') } // {})->{status} == 202;
        },
        20
        ),
        'it passes over the first of its two hosts';
    is get("/jobs/$gone")->{status}, 404, 'and reads from the second';
    $s->end('postgres', 'INT');
};

subtest 'a primary that becomes read-only is left, and found again' => sub {
    sql('ALTER SYSTEM SET default_transaction_read_only = on'); sql('SELECT pg_reload_conf()');
    ok until_true('503', sub { post('/jobs', 'x')->{status} == 503 }, 20), 'submissions are refused';
    ok until_true('reads too', sub { get("/jobs/$id")->{status} == 503 }, 20), 'and nothing old is read';
    sql('BEGIN READ WRITE; ROLLBACK');
    my (undef, $error) = $s->psql(
        "SET default_transaction_read_only = off;\nALTER SYSTEM RESET default_transaction_read_only;\n"
        . "SELECT pg_reload_conf();"
    );
    is $error, undef, 'the setting is taken back';
    ok until_true('202', sub { post('/jobs', 'x')->{status} == 202 }, 20), 'it is back';
};
like error_log(), qr/read-only/, 'the log says why';
finish();
