# What a Redis refuses is seen: each reason once in error.log, at its default level, and the recovery; it is asked less
# and less often meanwhile; and the metrics tell connected from subscribed.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use IO::Select;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time);

# name; what it answers to a command (undef: it closes the connection; empty: nothing; HELLO: to whoever connects); what
# the log says; options: whether it counts as connected and subscribed, and what the log says when it is over.
my $denied = '-DENIED Redis is running in protected mode because ' . 'x' x 1500;
my @cases = ([
        'no password given',
        { '*' => '-NOAUTH Authentication required.' },
        qr/cannot connect to .*PING was answered with: NOAUTH/
    ],
    [
        'a wrong password',
        { AUTH => '-WRONGPASS invalid username-password pair' },
        qr/cannot connect to .*AUTH was answered with: WRONGPASS/,
        user => 'u:p@'
    ],
    [
        'no such database',
        { SELECT => '-ERR DB index is out of range' },
        qr/cannot connect to .*SELECT was answered with: ERR DB index/,
        db => '/99'
    ],
    [
        'maxclients',
        { HELLO => '-ERR max number of clients reached', '*' => undef },
        qr/cannot connect to .*PING was answered with: ERR max number/
    ],
    [
        'protected mode',
        { HELLO => $denied, '*' => undef },
        qr/cannot connect to .*PING was answered with: DENIED Redis is running in protected mode/
    ],
    [ 'it is loading', { '*' => '-LOADING Redis is loading the dataset in memory' }, qr/cannot connect to .*LOADING/ ],
    [
        'a TLS port',
        { '*' => "\x15\x03\x01\x00\x02\x02\x46" },
        qr/cannot connect to .*invalid reply: no Redis server, or one that expects TLS/
    ],
    [ 'a web server', { '*' => 'HTTP/1.1 400 Bad Request' }, qr/cannot connect to .*no Redis server/ ],
    [
        # so does a Redis 7 that speaks only TLS
        'a proxy without a back end',
        { '*' => undef },
        qr/cannot connect to .*(?:connection closed by Redis|reset by peer), while it was greeted: it may expect TLS/
    ],
    [
        'a proxy that says so',
        { '*' => '-ERR no backend available' },
        qr/cannot connect to .*PING was answered with: ERR no backend/
    ],
    [
        'no channels',
        { SUBSCRIBE => '-NOPERM this user has no permissions to access one of the channels used as arguments' },
        qr/ refuses SUBSCRIBE, .*NOPERM this user/,
        connected => 1,
        again => qr/ accepts SUBSCRIBE again after \d/
    ],
    [
        'no subscribe', { SUBSCRIBE => "-NOPERM this user has no permissions to run the 'subscribe' command" },
        qr/ refuses SUBSCRIBE, .*NOPERM this user/,
        connected => 1,
        again => qr/ accepts SUBSCRIBE again after \d/
    ],
    [
        # was a bug: it counted as subscribed
        'no answer to subscribe', { SUBSCRIBE => '' },
        qr/ does not answer SUBSCRIBE, .*timeout/,
        connected => 1,
        again => qr/ accepts SUBSCRIBE again after \d/
    ],
    [
        'no publish', { PUBLISH => "-NOPERM this user has no permissions to run the 'publish' command" },
        qr/ refuses PUBLISH, .*NOPERM this user/,
        connected => 1,
        subscribed => 1,
        again => undef
    ],
    [
        'no ping', { PING => "-NOPERM this user has no permissions to run the 'ping' command" },
        qr/ refuses PING, .*NOPERM this user/,
        connected => 1,
        subscribed => 1,
        again => qr/ accepts PING again after \d/
    ],
);

my %listener = map { $_->[0] => IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 64) } @cases;
my %port = map { $_ => $listener{$_}->sockport } keys %listener;
my $s = start_stack(without => [ 'nginx', 'redis' ]);
my $healed = "$s->{dir}/healed";

sub well {
    my ($command, $channel, $client) = @_;
    return "+OK" if $command eq 'AUTH' || $command eq 'SELECT';
    return ':0' if $command eq 'PUBLISH';
    return "*3\r\n\$@{[ length $command ]}\r\n" . lc($command) . "\r\n\$@{[ length $channel ]}\r\n$channel\r\n:1"
        if $command =~ /SUBSCRIBE/ && ($client->{subscribed} = 1);
    return $client->{subscribed} ? "*2\r\n\$4\r\npong\r\n\$0\r\n" : '+PONG';
}

# Answers all complete commands in the buffer; false: the connection is to be closed.
sub answer {
    my ($socket, $client) = @_;
    while ($client->{in} =~ s/\A\*(\d+)\r\n((?:\$\d+\r\n[^\r]*\r\n)+)//) {
        my @words = $2 =~ /\$\d+\r\n([^\r]*)\r\n/g;
        my $refuses = -e $healed ? {} : $client->{refuses};
        my ($key) = grep { exists $refuses->{$_} } $words[0], '*';
        my $reply = defined $key ? $refuses->{$key} : well(@words[ 0, 1 ], $client);
        return 0 unless defined $reply;
        syswrite $socket, "$reply\r\n" if length $reply;
    }
    return 1;
}

# The servers. Prints the name of each that is connected to.
sub serve {
    my ($report) = @_;
    $report->autoflush(1);
    my $select = IO::Select->new(values %listener);
    my %case_of = map { $listener{ $_->[0] } => $_ } @cases;
    my %client;
    while (1) {
        for my $socket ($select->can_read(5)) {
            if (my $case = $case_of{$socket}) {
                my $new = $socket->accept or next;
                print $report time, " $case->[0]\n";
                my $refuses = $case->[1];
                if (!-e $healed && defined $refuses->{HELLO}) {
                    syswrite $new, "$refuses->{HELLO}\r\n";
                    close $new;
                    next;
                }
                $client{$new} = { in => '', refuses => $refuses };
                $select->add($new);
            }
            else {
                my $n = sysread $socket, $client{$socket}{in}, 65536, length $client{$socket}{in};
                next if $n && answer($socket, $client{$socket});
                delete $client{$socket};
                $select->remove($socket);
                close $socket;
            }
        }
    }
}

pipe my $from_servers, my $to_test or die $!;
my $servers = fork // die $!;
if (!$servers) {
    close $from_servers;
    alarm 1200;
    eval { serve($to_test); 1 } or print STDERR "the servers: $@";
    require POSIX;
    POSIX::_exit(0);
}
close $to_test;
$_->close for values %listener;
sub end_servers { my $pid = $servers or return; undef $servers; kill KILL => $pid; waitpid $pid, 0; return }
END { my $status = $?; end_servers(); $? = $status }

my %opened;
my $rest = '';
sub hear {
    while (IO::Select->new($from_servers)->can_read(0)) {
        sysread($from_servers, $rest, 65536, length $rest) or die 'the servers have gone';
        while ($rest =~ s/^(\S+) (.*)\n//) { push @{ $opened{$2} }, $1 }
    }
    return 1;
}

$s->{log_level} = 'error';    # nginx's default
$s->start_nginx(
    'await_redis ' . join(
        ' ',
        map {
            my ($name, undef, undef, %o) = @$_;
            'redis://' . ($o{user} // '') . "127.0.0.1:$port{$name}" . ($o{db} // '')
        } @cases
        )
        . ";\n"
        . $Await::Test::SITE,
    vars => { EXTRA => 'location = /metrics { await_metrics; } location = /health { await_health; }', REREAD => '1h' });
one_job();                    # announced, by PUBLISH

sub told {
    my ($name, $what) = @_;
    return grep { /\[error\].*Redis 127\.0\.0\.1:$port{$name}\b/ && $_ =~ $what } split /\n/, error_log();
}

for (@cases) {
    my ($name, undef, $said) = @$_;
    eventually("$name: the reason is in the log", sub { told($name, $said) });
}
my %expected = (
    connected => scalar(
        grep {
            { @$_[ 3 .. $#$_ ] }
            ->{connected}
        } @cases
    ),
    subscribed => scalar(
        grep {
            { @$_[ 3 .. $#$_ ] }
            ->{subscribed}
        } @cases
    ));
eventually('connected are those that have answered PING',
    sub { metric('await_redis_connections') == $expected{connected} });
is metric('await_redis_subscribed'), $expected{subscribed}, 'subscribed are those that have accepted it';
my %missing = ('not connected' => @cases - $expected{connected},
    'not subscribed' => $expected{connected} - $expected{subscribed});
my $health = get('/health');
is $health->{status}, 200, 'without them it can serve requests';
my %told;
$told{"$_->{part}: $_->{state}"}++ for @{ json($health)->{degraded} };
is_deeply \%told, { map { ("redis: $_" => $missing{$_}) } keys %missing },
    'a check of its health tells those that are not connected from those that are not subscribed';

for (@cases) {
    my ($name, undef, undef, %o) = @$_;
    if ($o{connected}) { hear(); is scalar @{ $opened{$name} }, 2, "$name: it stays connected"; next }
    eventually("$name: it is tried again", sub { hear() && @{ $opened{$name} } >= 10 });
    my @times = @{ $opened{$name} };
    # five of each connection, with pauses of at least 50, 100, 200 and 400 ms; of 400 in all if they did not grow
    cmp_ok $times[9] - $times[0], '>=', 0.6, "$name: less and less often";
}
for (@cases) {
    my ($name, undef, $said) = @$_;
    is scalar(told($name, $said)), 1, "$name: it is said once";
    is scalar(told($name, qr/reconnected/)), 0, "$name: and not that it is back";
}

Await::Stack::write_file($healed, '');
for (@cases) {
    my ($name, undef, undef, %o) = @$_;
    my $again = exists $o{again} ? $o{again} : qr/reconnected to Redis .* after \d/;
    eventually("$name: the recovery is in the log", sub { told($name, $again) }) if $again;
}
eventually('all are subscribed', sub { metric('await_redis_subscribed') == @cases });
is json(get('/health'))->{status}, 'ready', 'and it is ready';
$s->end('nginx', 'TERM');
end_servers();
finish();
