# What an operator of await-relay sees and does: --check, systemd, outages in its log, await-ctl relay, metrics.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Relay;
use Await::Test;
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP qw(decode_json);
use Socket qw(SOCK_DGRAM);
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(extra => 'location = /metrics { await_metrics; }');

# What it says, and its exit status before it.
my $n = 0;
sub run {
    my (@arguments) = @_;
    my $relay = Await::Relay->start('run' . ++$n, @arguments);
    return $relay->status . ' ' . $relay->text;
}

subtest '--check says what is missing, and the remedy' => sub {
    is run(qw(--check --sink stdout --sink redis)), "0 PostgreSQL: ok\nsink stdout: ok\nsink redis: ok\nlead: ok\n",
        'nothing';
    {
        local @ENV{qw(AWAIT_SINKS)} = ('stdout; redis');
        is run('--check'), "0 PostgreSQL: ok\nsink stdout: ok\nsink redis: ok\nlead: ok\n",
            'sinks of the environment, with a space between them';
    }
    {
        local $s->{relay_place} = $s->place('relay') =~ s/user=relay/user=nobody/r;
        like run(qw(--check --sink stdout)),
            qr/^1 .*PostgreSQL: .*authentication failed.*sink stdout: not looked at, because PostgreSQL is missing/s,
            'a role that cannot log in';
        local $s->{relay_place} = $s->place('worker');
        like run(qw(--check --sink stdout)), qr/^1 .*PostgreSQL: .*(?:permission|authentication)/s, 'another role';
        sql("CREATE ROLE bare LOGIN PASSWORD '" . $s->password('relay') . q{'});
        local $s->{relay_place} = $s->place('bare');
        like run(qw(--check --sink stdout)), qr/^1 .*PostgreSQL: .*permission denied/s, 'a role without rights';
        sql('GRANT await_relay TO bare');
        like run(qw(--check --sink stdout)), qr/^0 PostgreSQL: ok/, 'a member of await_relay needs no more';
        sql('ALTER ROLE bare CONNECTION LIMIT 1');
        like run(qw(--check --sink stdout)), qr/^1 .*PostgreSQL: .*too many connections for role/s,
            'one that may not have enough connections';
        local $s->{relay_place} = $s->place('relay') =~ s/port=\d+/port=1/r;
        like run(qw(--check --sink stdout)), qr/^1 .*PostgreSQL: .*[Cc]onnection refused/s, 'no server';
    }
    sql('UPDATE await.schema_history SET version = version - 100');
    like run(qw(--check --sink stdout)), qr/^1 .*PostgreSQL: .*run "await-ctl migrate"/s, 'an older schema';
    sql('UPDATE await.schema_history SET version = version + 100');
    $s->end('redis', 'TERM');
    like run(qw(--check --sink stdout --sink redis)),
        qr/^1 .*sink stdout: ok\nsink redis: .*cannot connect to Redis .*refused/s, 'Redis';
    $s->start_redis;
    is sql('SELECT count(*) FROM await.relay_status()'), 0, 'and it has left nothing behind';
};

# A service manager's socket: what it is told, up to a message.
sub told {
    my ($socket, $upto) = @_;
    my @all;
    while (IO::Select->new($socket)->can_read(10)) {
        recv $socket, my $message, 4096, 0;
        push @all, $message;
        last if $message eq $upto;
    }
    return "@all";
}

subtest 'systemd: readiness, the watchdog and the end' => sub {
    my $path = "$s->{dir}/notify";
    for my $socket_path ($path, "\@await-test-$$") {
        my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $socket_path =~ s/^\@/\0/r) or die "socket: $!";
        chmod 0777, $path;
        my $kind = $socket_path eq $path ? 'a socket' : 'an abstract socket';
        local @ENV{qw(NOTIFY_SOCKET WATCHDOG_USEC)} = ($socket_path, 150_000);
        my $relay = Await::Relay->start('notified', qw(--name notified --sink stdout));
        is told($socket, 'READY=1'), 'READY=1', "$kind: it is ready when PostgreSQL answers";
        $relay->leads;
        is told($socket, 'WATCHDOG=1'), 'WATCHDOG=1', "$kind: and alive";
        told($socket, 'WATCHDOG=1') for 1 .. 3;
        kill 'STOP', $relay->pid;
        1 while IO::Select->new($socket)->can_read(0.2) && defined recv $socket, my $message, 4096, 0;
        ok !IO::Select->new($socket)->can_read(0.3), "$kind: one that stands still is silent";
        kill 'CONT', $relay->pid;
        is told($socket, 'WATCHDOG=1'), 'WATCHDOG=1', "$kind: until it goes on";
        is $relay->stop, 0, "$kind: SIGTERM ends it";
        is told($socket, 'STOPPING=1') =~ s/(?:WATCHDOG=1 )*//r, 'STOPPING=1', "$kind: and it says so";
    }
    my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "$path-2") or die "socket: $!";
    chmod 0777, "$path-2";
    {
        local @ENV{qw(NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID)} = ("$path-2", 150_000, 1);
        local $s->{relay_place} = $s->place('relay') =~ s/port=\d+/port=1/r;
        my $relay = Await::Relay->start('unready', '--sink', 'stdout');
        eventually 'PostgreSQL is away', sub { $relay->text =~ /cannot connect to PostgreSQL/ };
        ok !IO::Select->new($socket)->can_read(0.2), 'without PostgreSQL it is not ready';
        is $relay->stop, 0, 'and can be stopped';
        is told($socket, 'STOPPING=1'), 'STOPPING=1', 'which it says; the watchdog is that of another process';
    }
    close $socket;
    local $ENV{NOTIFY_SOCKET} = "$path-2";
    my $relay = Await::Relay->start('unheard', qw(--name unheard --sink stdout));
    ok $relay->leads, 'a socket that nobody listens to does no harm';
    $relay->stop;
};

subtest 'outages are told once for each reason' => sub {
    my $relay = Await::Relay->start('told', qw(--name told --sink redis --sink stdout));
    $relay->leads;
    $s->end('redis', 'KILL');
    submit('q');
    eventually 'several attempts fail',
        sub { sql("SELECT failures FROM await.relay_status('told') WHERE sink = 'redis'") > 3 };
    my %said;
    $said{$_}++ for $relay->text =~ /^await-relay: (sink redis: .*)$/mg;
    cmp_ok scalar(keys %said), '<=', 2, 'the log says that the connection is lost, and why there is no other';
    is_deeply [ grep { $_ > 1 } values %said ], [], 'once';
    $s->start_redis;
    eventually 'it delivers again', sub { $relay->text =~ /sink redis: delivers again after/ };
    my $before = length $relay->text;
    $s->end('postgres', 'INT');
    $s->{migrated} = 1;
    eventually 'all connections are missed', sub {
        3 == grep { substr($relay->text, $before) =~ /PostgreSQL \(relay $_\)/ } qw(lead read bulk);
    };
    $s->start_postgres;
    eventually 'it leads again', sub { substr($relay->text, $before) =~ /leading the relays "told"/ };
    eventually 'all are back', sub {
        3 == grep { substr($relay->text, $before) =~ /reconnected to PostgreSQL \(relay $_\)/ } qw(lead read bulk);
    };
    my %times;
    $times{$_}++ for substr($relay->text, $before) =~ /^(await-relay: .*)$/mg;
    is_deeply [ grep { $times{$_} > 1 && !/leading/ } sort keys %times ], [], 'and no line is there twice';
    my $id = submit('q');
    eventually 'it works', sub { $relay->text =~ /"$id:1"/ };
    is $relay->stop, 0, 'it ends';
};

sub metrics { my %all = get('/metrics')->{body} =~ /^(await_relay_\w+\{.*?\}) (\S+)$/mg; return \%all }

subtest 'await-ctl relay, and the metrics' => sub {
    is sql('DELETE FROM await.relay_cursor; DELETE FROM await.relay_leader'), '', 'no relay has been here';
    my ($said, $status) = relay_ctl();
    is $status, 0, 'without a relay: 0';
    ($said, $status) = relay_ctl('--json');
    is_deeply decode_json($said), [], 'and an empty list';
    my $gone = Await::Relay->start('gone', qw(--name gone --sink stdout));
    $gone->leads;
    is $gone->stop, 0, 'one comes and goes';
    my $relay = Await::Relay->start('main', qw(--name main --sink redis --sink), 'stdout,name=lines');
    $relay->leads;
    submit('q') for 1 .. 5;
    eventually 'everything is delivered',
        sub { sql("SELECT min(delivered) || ' ' || sum(behind) FROM await.relay_status('main')") eq '5 0' };
    my %sink = map { $_->{sink} => $_ } @{ decode_json(relay_ctl('--json')) };
    is_deeply [ map { $sink{lines}{$_} } qw(relay behind lag delivered failures reason) ],
        [ 'main', 0, 0, 5, 0, undef ], 'JSON: what it has done';
    like $sink{redis}{leader}, qr/^\S+:@{[ $relay->pid ]}$/, 'and who leads';
    like relay_ctl(), qr/^\s*relay .*leader .*sink .*behind .*lag.*delivered .*failures .*moved .*trouble.*
        main .* lines .* 5 .*\n.* main .* redis /xs, 'as a table';

    $s->end('redis', 'KILL');
    submit('q') for 1 .. 3;
    my $of = sub {
        my ($name, $relay, $sink) = @_;
        return metrics()->{qq(await_relay_$name\{relay="$relay",sink="$sink"\})};
    };
    # nginx reads them every 5 s
    eventually 'the metrics: a sink that is down has a lag', sub { ($of->(qw(lag_events main redis)) // 0) == 3 };
    cmp_ok $of->(qw(lag_seconds main redis)), '>', 0, 'in seconds, too';
    cmp_ok $of->(qw(failures_total main redis)), '>', 0, 'and failures';
    is_deeply [ map { $of->($_, qw(main lines)) } qw(led delivered_total lag_events failures_total) ], [ 1, 8, 0, 0 ],
        'the other one has none';
    is $of->(qw(led gone stdout)), 0, 'nobody leads the relays that are gone';
    like relay_ctl(), qr/redis .* 3 .*Redis/, 'await-ctl shows them, and why';
    ($said, $status) = relay_ctl(qw(set main redis now));
    is "$status $said", "0 main/redis: set\n", 'an operator leaves out what was missed';
    eventually 'the relay takes it over', sub { status_of('redis', 'behind') eq '0' };
    $s->start_redis;

    # a relay learns of it with the next event that it delivers
    my $before = $relay->events;
    is relay_ctl(qw(--json set main lines start)), qq({"relay" : "main", "sink" : "lines", "done" : "set"}\n), 'start';
    my $last = submit('q');
    my $kept = sql("SELECT count(*) FROM await.events_after('start', 100000) WHERE id IS NOT NULL");
    eventually 'everything that is kept comes once more', sub { $relay->events == $before + $kept + 1 };
    my $cursor = sql('SELECT next FROM await.events_after(NULL)');
    my @two = map { submit('q') } 1 .. 2;
    eventually 'these come', sub {
        2 == grep { $relay->text =~ /"$_:1"/ } @two;
    };
    is relay_ctl('set', 'main', 'lines', "'$cursor'"), "main/lines: set\n", 'a cursor';
    submit('q');
    eventually 'what is behind it comes once more', sub {
        2 == grep { 2 == (() = $relay->text =~ /"$_:1"/g) } @two;
    };
    is scalar(() = $relay->text =~ /"$last:1"/g), 2, 'and nothing of before';

    for (
        [ [ 'set', 'main', 'lines', 'nonsense' ], 1, qr/not a cursor/ ],
        [ [qw(set main none now)], 1, qr/there is no such sink/ ],
        [ [qw(drop main none)], 1, qr/there is no such sink/ ],
        [ [qw(drop main lines)], 1, qr/lines is in use: start the relays "main" without it first/ ],
        [ [qw(set main from:kafka now)], 1, qr/from:kafka is a source of jobs: where it goes on is kept in Kafka/ ],
        [ [qw(set main lines)], 64, qr/await-ctl relay/ ],
        [ ['else'], 64, qr/await-ctl relay/ ],
        [ [qw(wal maybe)], 64, qr/await-ctl relay/ ])
    {
        my ($words, $exits, $says) = @$_;
        ($said, $status) = relay_ctl(@$words);
        is $status, $exits, "@$words: $exits";
        like $said, $says, "@$words: and why";
    }
    sql("DELETE FROM await.relay_cursor WHERE relay = 'main' AND sink = 'lines'");
    submit('q');
    eventually 'a relay whose cursor was deleted begins anew', sub { status_of('lines', 'delivered') =~ /^[01]$/ };
    my $late = submit('q');
    eventually 'with what comes from then on', sub { $relay->text =~ /"$late:1"/ };
    is $relay->stop, 0, 'it ends';
    like relay_ctl(), qr/main .*nobody .*redis/, 'and nobody leads';
    is relay_ctl(qw(drop main lines)), "main/lines: dropped\n", 'a sink is forgotten';
    relay_ctl('drop', @$_) for [qw(main redis)], [qw(gone stdout)];
    is scalar(grep { $_->{sink} } @{ decode_json(relay_ctl('--json')) }), 0, 'all are forgotten';
};

finish();
