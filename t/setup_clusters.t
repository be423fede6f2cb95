# `await-ctl setup` by Debian's psql, which chooses among the servers ("clusters") of a host: by name, the one of port
# 5432, or none; and by a pooler before a server.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::Host;    # after it, which finds its modules
use Test::More;

plan skip_all => 'setup is for root' if $> != 0;
plan skip_all => 'psql is not that of postgresql-common' if !-x '/usr/share/postgresql-common/pg_wrapper';

alarm 300;
my $s = start_stack(without => [qw(postgres redis nginx)]);
my $host = Await::Host->start($s);
$host->sql('CREATE ROLE root LOGIN SUPERUSER');    # where an address is given, we are no other user
my $before = $host->state;
my $clusters = "$s->{dir}/clusters";
my ($version) = Await::Stack::pg_bin() =~ m{/(\d+)/bin$};
my $sockets = "$s->{dir}/sock";

# What Debian's psql finds is below this directory, and nothing of the environment names a server.
my %debian =
    (PATH => "/usr/bin:$Await::Test::PATH", PG_CLUSTER_CONF_ROOT => $clusters, PGHOST => undef, PGPORT => undef);

sub add_cluster {
    my ($name, $port, $data) = @_;
    my $directory = "$clusters/$version/$name";
    Await::Stack::make_dir($directory);
    Await::Stack::write_file("$directory/postgresql.conf",
        "data_directory = '$data'\nport = $port\nunix_socket_directories = '$sockets'\n", 0644);
    return;
}

sub refuses {
    my ($name, $status, $says, %env) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $host->refuses($before, $name, [], $status, $says, env => { %debian, %env });
}

add_cluster('main', 5, "$s->{dir}/none");
add_cluster('second', $host->{pg_port}, "$s->{dir}/pg");
my $choose = qr{On this host: $version/main \(port 5, down\), $version/second \(port $host->{pg_port}, online\)\. };
$choose = qr{${choose}PGCLUSTER=VERSION/NAME chooses one};

subtest 'none is the default' => sub {
    refuses('no name', 69, qr/does not answer: psql: .*\n.*$choose/);
    refuses('one that is down', 69, qr/does not answer: psql: .*\n.*$choose/, PGCLUSTER => "$version/main");
    refuses(
        'one that is not there',
        1,
        qr/Cluster $version third does not exist\n.*$choose/,
        PGCLUSTER => "$version/third"
    );
    my ($status, $out) = $host->setup(['--dry-run'], env => { %debian, PGCLUSTER => "$version/second" });
    is $status, 0, 'by name: exit status' or diag $out;
    like $out, qr{^PostgreSQL: \Q$sockets\E port $host->{pg_port}, as role "postgres"$}m, 'it says which one it is';
};

subtest 'none is the default, and psql warns of it' => sub {
    local @ENV{qw(PATH PG_CLUSTER_CONF_ROOT)} = @debian{qw(PATH PG_CLUSTER_CONF_ROOT)};
    my $warns = do { delete local $ENV{PGHOST}; `psql --version 2>&1` };
    like $warns, qr/^Warning: No existing cluster/, 'it does so';
    my %there = (%debian, AWAIT_POSTGRES => "host=$sockets port=$host->{pg_port}");
    my ($status, $out) = $host->setup(['--enable'], env => \%there);
    is $status, 0, 'exit status' or diag $out;
    unlike $out, qr/Warning/, 'no warning is passed on';
    like $out, qr{^PostgreSQL: \Q$sockets\E port $host->{pg_port}, as role "root"$}m, 'it names the server';
    ok !-e "$host->{etc}/await/nginx.pgpass", 'each user is known by name';
    ($status, $out) = $host->setup(['--enable'], env => \%there);
    like $out, qr/^Nothing was to be done/m, 'a second run says so' or diag $out;
    (undef, $out) = $host->ctl('check', [], env => \%there);
    like $out, qr/^ok       PostgreSQL: nginx can log in as "www-data"/m, 'check sees it, too';
    like $out, qr/^ok       schema: up to date/m, 'and the schema' or diag $out;
    SKIP: {
        my ($pgbouncer) = grep { -x } qw(/usr/sbin/pgbouncer /usr/bin/pgbouncer);
        skip 'no pgbouncer', 4 if !$pgbouncer;
        pooled($pgbouncer, $_) for 'extra_float_digits', 'extra_float_digits, options';
    }
    $host->undoes($before, 'by address');
};

# setup and check by a pooler that refuses options, or hides that they are not heeded: what was set up is not touched.
sub pooled {
    my ($pgbouncer, $ignored) = @_;
    my $port = Await::Ports::free_port();
    Await::Stack::write_file("$s->{dir}/pooler.ini", <<"INI", 0644);
[databases]
* = host=$sockets port=$host->{pg_port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
pool_mode = transaction
ignore_startup_parameters = $ignored
INI
    $s->spawn('pooler', [ $pgbouncer, "$s->{dir}/pooler.ini" ], user => 'postgres');
    $s->wait_for('pooler', 20, sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) });
    my %there = (%debian, AWAIT_POSTGRES => "host=127.0.0.1 port=$port user=postgres");
    my $state = $host->state;
    my $says = qr/^await-ctl: a pooler stands before PostgreSQL.*: -d names PostgreSQL itself\. Nothing/m;
    $host->refuses($state, "setup by a pooler that ignores $ignored", [], 1, $says, env => \%there);
    my $snippet = "$host->{etc}/nginx/snippets/await.conf";
    my $text = slurp($snippet);
    Await::Stack::write_file($snippet, $text =~ s/host=\S+ port=\d+/host=127.0.0.1 port=$port/r, 0644);
    my (undef, $out) = $host->ctl('check', [], env => \%there);
    like $out, qr/^not seen schema: a pooler stands before PostgreSQL, .*: -d CONNINFO/m, 'check by it' or diag $out;
    Await::Stack::write_file($snippet, $text, 0644);
    $s->end('pooler', 'TERM');
    return;
}

subtest 'one is the default' => sub {
    add_cluster('main', 5432, "$s->{dir}/none");
    refuses('it is down', 69, qr/does not answer: psql: .*5432.*\nOn this host: .*, down\), .*, online\)/);
};

finish();
