# `await-ctl setup` and `check` with a Redis that cannot be used as it is: TLS, users, a database that is not there, one
# that is busy, and what is no Redis at all. Each is told apart, and named with what to do.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::Host;    # after it, which finds its modules
use Await::Ports qw(free_port);
use IO::Socket::INET;
use Test::More;

plan skip_all => 'setup is for root' if $> != 0;

alarm 300;
my $s = start_stack(without => [qw(postgres redis nginx)]);
my $host = Await::Host->start($s);
my $before = $host->state;
my $says_own = qr/\A(?!.*apt install)(?!.*SECRET).*Nothing was done\.\n\z/s;    # another server is no remedy

# Starts a Redis with these options, in which PORT is a free one; that port.
my $started = 0;

sub start_redis {
    my @options = @_;
    my $port = free_port();
    my $name = 'redis-' . ++$started;
    @options = map { s/PORT/$port/r } @options;
    unshift @options, '--bind', '127.0.0.1' if !grep { $_ eq '--bind' } @options;
    unshift @options, '--port', $port if !grep { $_ eq '--port' } @options;
    $s->spawn($name, [ "$s->{dir}/redis-server", '--save', '', '--dir', $s->{dir}, @options ]);
    $s->wait_for($name, 20, sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) });
    return $port;
}

sub refuses {
    my ($name, $url, $status, $says, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $host->refuses($before, $name, \@arguments, $status, qr/(?=$says_own).*?$says/s, env => { AWAIT_REDIS => $url });
}

subtest 'an address that nginx would not accept' => sub {
    my %wrong = (
        'redis://127.0.0.1:99999' => 'the port is no number from 1 to 65535',
        'redis://127.0.0.1:0' => 'the port is no number',
        'redis://127.0.0.1:1:2' => 'the port is no number',
        'redis://u:TOPSECRET@127.0.0.1:six' => 'the port is no number',
        'redis://[::1]:six' => 'the port is no number',
        'redis://:6379' => 'the host is missing',
        'redis://127.0.0.1/first' => 'the database after the slash is no number',
        'rediss://127.0.0.1' => 'TLS to Redis is not supported: use stunnel'
    );
    refuses($_, $_, 64, qr/$wrong{$_}/) for sort keys %wrong;
};

subtest 'one that speaks only TLS' => sub {
    my $tls = "$s->{dir}/tls";
    Await::Stack::make_dir($tls);
    my $key = '-newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=redis';
    system("cd $tls && openssl req -x509 $key 2>/dev/null") == 0 or die 'openssl';
    my @tls = map { ("--tls-$_->[0]", "$tls/$_->[1].pem") } [qw(cert-file cert)], [qw(key-file key)],
        [qw(ca-cert-file cert)];
    my $says = qr{:\d+ speaks only TLS\n.*stunnel.* and redis://127\.0\.0\.1:PORT}s;
    for my $clients (qw(no yes)) {
        my $port = start_redis('--port', 0, '--tls-port', 'PORT', @tls, '--tls-auth-clients', $clients);
        refuses("certificates of clients: $clients", "redis://u:TOPSECRET\@127.0.0.1:$port", 69, $says);
    }
};

subtest 'what is no Redis' => sub {
    my $port = free_port();
    my $temporary = join ' ', map { "${_}_temp_path $s->{dir}/other-$_;" } qw(client_body proxy fastcgi uwsgi scgi);
    Await::Stack::write_file("$s->{dir}/other.conf", <<"CONF");
daemon off; pid $s->{dir}/other.pid-file; error_log $s->{dir}/logs/other.log; events {}
http { access_log off; $temporary server { listen 127.0.0.1:$port; } }
CONF
    $s->spawn('other', [ $s->{nginx}, '-c', "$s->{dir}/other.conf" ]);
    $s->wait_for('other', 20, sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) });
    refuses('nginx', "redis://127.0.0.1:$port", 69, qr/is no Redis server: .*the host and port of Redis/s);
    my $postgres = "redis://127.0.0.1:$host->{pg_port}";
    my ($status, $out) = $host->setup([], env => { AWAIT_REDIS => $postgres });
    is $status, 69, 'PostgreSQL: exit status';
    like $out, qr/does not answer: .*closed the connection\n/, 'it says why';
    unlike $out, qr/TLS/, 'and nothing of TLS';
    my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die "listen: $!";
    my $began = time;
    ($status, $out) = $host->setup([], env => { AWAIT_REDIS => 'redis://127.0.0.1:' . $silent->sockport });
    is $status, 69, 'one that accepts and is silent: exit status';
    like $out, qr/does not answer: no answer in 2 s\n/, 'it says why';
    cmp_ok time - $began, '<', 60, 'it does not wait for ever';
};

subtest 'a database that is not there' => sub {
    my $port = start_redis(qw(--cluster-enabled yes --cluster-port),
        free_port(), '--cluster-config-file', "$s->{dir}/nodes.conf");
    my $says = qr/refuses the database: SELECT \d+ failed: .*leave out the database at the end of the address/s;
    refuses('too high', "redis://127.0.0.1:$host->{redis_port}/99", 69, $says);
    refuses('in a cluster', "redis://127.0.0.1:$port/1", 69, $says);
    my ($status, $out) = $host->setup(['--dry-run'], env => { AWAIT_REDIS => "redis://127.0.0.1:$port" });
    is $status, 0, 'a node of a cluster, without one' or diag $out;
};

subtest 'users and their rights' => sub {
    Await::Stack::write_file("$s->{dir}/users.acl", <<'ACL');
user default off
user ping on >TOPSECRET &* +ping
user other on >TOPSECRET &other:* +@all ~*
user select on >TOPSECRET &await:* -@all +ping +publish +subscribe +unsubscribe
ACL
    my $port = start_redis('--aclfile', "$s->{dir}/users.acl");
    my $address = "\@127.0.0.1:$port";
    my $remedy = qr{the user and the password of the address: redis://USER:PASSWORD\@HOST:PORT};
    refuses('no user', "redis://127.0.0.1:$port", 69, qr/refuses the password: NOAUTH.*$remedy/s);
    refuses('an unknown one', "redis://who:TOPSECRET$address", 69, qr/refuses the password: .*WRONGPASS.*$remedy/s);
    refuses('no command', "redis://ping:TOPSECRET$address", 69, qr/ACL SETUSER ping \+publish "&await:\*"/);
    refuses('no channel', "redis://other:TOPSECRET$address", 69, qr/ACL SETUSER other \+publish "&await:\*"/);
    refuses('no SELECT', "redis://select:TOPSECRET$address/1", 69, qr/refuses SELECT: ACL SETUSER select \+select/);
    my ($status, $out) = $host->setup(['--dry-run'], env => { AWAIT_REDIS => "redis://select:TOPSECRET$address" });
    is $status, 0, 'without a database it needs none' or diag $out;
};

subtest 'one that does not serve now' => sub {
    my $full = start_redis('--maxclients', 1);
    my $only;
    my $take = sub {
        $only = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $full) or return 0;
        print $only "PING\r\n";
        return (<$only> // '') =~ /PONG/;
    };
    eventually('its only connection is taken', $take);
    refuses(
        'no connection left',
        "redis://u:TOPSECRET\@127.0.0.1:$full",
        69, qr/does not serve: .*max number of clients.*maxclients in redis\.conf/s
    );
    my $orphan = start_redis('--replicaof', '127.0.0.1 1', '--replica-serve-stale-data', 'no');
    refuses('a replica without its primary', "redis://127.0.0.1:$orphan", 69, qr/does not serve: MASTERDOWN/);
    my $replica = start_redis('--replicaof', "127.0.0.1 $host->{redis_port}");
    my ($status, $out) = $host->setup(['--dry-run'], env => { AWAIT_REDIS => "redis://127.0.0.1:$replica" });
    is $status, 0, 'a replica, where it may publish, does' or diag $out;
    # 1500 keys, of which each takes 0.02 s to load; it answers between two of them
    my @slow = (qw(--dbfilename slow.rdb --rdbcompression no));
    my $slow = start_redis(@slow);
    my $fill = 'for i = 1, 1500 do redis.call("set", i, string.rep("x", 3000)) end';
    `redis-cli -p $slow EVAL '$fill' 0; redis-cli -p $slow SHUTDOWN SAVE 2>&1`;
    $slow = start_redis(@slow, qw(--key-load-delay 20000 --loading-process-events-interval-bytes 1024));
    refuses('one that is loading', "redis://127.0.0.1:$slow", 69, qr/does not serve: LOADING .*wait until it serves/s);
    $s->end("redis-$started", 'KILL');    # it would load to the end
};

subtest 'protected mode' => sub {
    my ($address) = grep { !/^127\.|:/ } split ' ', `hostname -I 2>/dev/null`;
    plan skip_all => 'this host has no other address' if !$address;
    my $port = start_redis('--bind', '0.0.0.0');
    refuses(
        'from another address',
        "redis://u:TOPSECRET\@$address:$port",
        69, qr/is in protected mode.*a password for its users \(requirepass, or ACL\)/s
    );
};

$s->end("redis-$_", 'TERM') for 1 .. $started;
$s->end('other', 'TERM');
finish();
