package Await::Pooler;

# PgBouncer in transaction mode in front of the stack's PostgreSQL: few connections for many clients, so that a
# statement meets a session that others have used.

use strict;
use warnings;
use Await::Test;

use Exporter 'import';
our @EXPORT_OK = qw(start_pooler point_pooler);

my ($port, $size);

sub configure {
    my ($to) = @_;
    my $s = stack();
    Await::Stack::write_file("$s->{dir}/pooler-users",
        join('', map { qq("$_" ") . $s->password($_) . qq("\n) } qw(edge worker relay await)), 0600);
    Await::Stack::write_file("$s->{dir}/pooler.ini", <<"INI", 0600);
[databases]
await = host=127.0.0.1 port=$to
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $s->{dir}/pooler-users
pool_mode = transaction
ignore_startup_parameters = extra_float_digits
default_pool_size = $size
max_client_conn = 200
server_login_retry = 1
server_check_delay = 0
INI
    if ($s->{user}) {
        my @pw = getpwnam $s->{user};
        chown @pw[ 2, 3 ], map { "$s->{dir}/$_" } qw(pooler-users pooler.ini);
    }
    return;
}

# Its port. Options: size (connections for each user).
sub start_pooler {
    my (%o) = @_;
    my $s = stack();
    my ($binary) = grep { -x } qw(/usr/sbin/pgbouncer /usr/bin/pgbouncer);
    die "no pgbouncer (Debian: pgbouncer)\n" unless $binary;
    $port = Await::Stack::free_port();
    $size = $o{size} // 3;
    configure($s->{pg_port});
    $s->spawn('pooler', [ $binary, "$s->{dir}/pooler.ini" ], $s->{user} ? (user => $s->{user}) : ());
    $s->wait_for('pooler', 10, sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) });
    return $port;
}

# From now on it has another server behind it; its clients stay connected.
sub point_pooler {
    my ($to) = @_;
    configure($to);
    kill 'HUP', stack()->pid('pooler');
    return;
}

1;
