# `await-ctl setup` beside what a host has already: sites of nginx at the same port, an nginx.conf that includes less,
# long lists, roles and sockets of others.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::Host;    # after it, which finds its modules
use Test::More;

plan skip_all => 'setup is for root' if $> != 0;

alarm 900;          # psql many times: on a busy machine that takes long
my $s = start_stack(without => [qw(postgres redis nginx)]);
my $host = Await::Host->start($s);
my $before = $host->state;

subtest 'a port of another site' => sub {
    my $port = $host->{site_port};
    my $site = "$host->{etc}/nginx/sites-enabled/shop";
    my $before_it = $before;
    for my $listen ("127.0.0.1:$port", $port, "*:$port", "localhost:$port default_server") {
        Await::Stack::write_file($site, "server {\n    listen $listen;\n}\n", 0644);
        $before = $host->state;
        $host->refuses($before, "a site that listens $listen",
            ['--enable'], 64, qr/nginx already has a site at port $port \(\Q$site\E:2\).*--listen=.*Nothing was done/);
    }
    for my $listen ("127.0.0.2:$port", "[::1]:$port", "[::]:$port", "unix:$host->{dir}/x.sock", $port + 1) {
        Await::Stack::write_file($site, "server { listen $listen; }\n", 0644);
        my ($status, $out) = $host->setup(['--dry-run']);
        is $status, 0, "a site that listens $listen is another" or diag $out;
    }
    unlink $site;
    $before = $before_it;
};

subtest 'what nginx does not read' => sub {
    my $conf = "$host->{etc}/nginx/nginx.conf";
    my ($whole, $before_it) = (slurp($conf), $before);
    my %without = (
        'no directory' =>
            [ qr/^ *include .*\n/m, qr{include \S+/conf\.d/\*\.conf; include \S+/sites-enabled/\*;\. Nothing} ],
        'no conf.d' => [ qr/^ *include .*conf\.d.*\n/m, qr{include \S+/conf\.d/\*\.conf;\. Nothing was done} ]);
    for my $name (sort keys %without) {
        my ($lines, $says) = @{ $without{$name} };
        Await::Stack::write_file($conf, $whole =~ s/$lines//gr);
        $before = $host->state;
        $host->refuses($before, $name, ['--enable'], 1, qr/nginx would not read what --enable makes.* $says/);
    }
    Await::Stack::write_file($conf, $whole =~ s/^ *include sites-enabled.*\n//mr);
    $before = $host->state;
    my ($status, $out) = $host->setup(['--enable']);
    is $status, 0, 'a sites-enabled that is not read' or diag $out;
    ok -l "$host->{etc}/nginx/conf.d/await-site.conf", 'the site is where nginx reads it';
    $host->undoes($before, 'without sites-enabled');
    Await::Stack::write_file($conf, $whole);
    $before = $before_it;
};

subtest 'a long list in the configuration' => sub {
    my $list = "$host->{etc}/nginx/conf.d/deny.conf";
    Await::Stack::write_file($list, join('', map { "deny 10.0.0.1;   # $_\n" } 1 .. 30_000), 0644);
    my $cpu = sub { my (undef, undef, $user, $system) = times; return $user + $system };    # of what has ended
    my $before = $cpu->();
    my ($status, $out) = $host->setup(['--dry-run']);
    is $status, 0, 'exit status' or diag $out;
    my $used = $cpu->() - $before;
    cmp_ok $used, '<', 20, sprintf 'its time grows as the list does: %.1f s of CPU', $used;
    unlink $list;
};

subtest 'a closed input, and another encoding of the client' => sub {
    my ($status, $out) = $host->setup(
        [ '--redis=off', "--database=caf\xc3\xa9" ],
        before => [ 'sh', '-c', 'exec "$@" <&-', 'sh' ],
        env => { PGCLIENTENCODING => 'LATIN1' });
    is $status, 0, 'exit status' or diag $out;
    is $host->sql(q{SELECT count(*) FROM pg_database WHERE datname = U&'caf\00E9'}), 1, 'the name is what was meant';
    $host->undoes($before, 'a closed input');
};

subtest 'a role of the schema that is an administrator' => sub {
    for my $role (qw(await_edge await_owner)) {
        my $before_it = $before;
        $host->sql("CREATE ROLE $role SUPERUSER");
        $before = $host->state;
        $host->refuses($before, $role, [], 64, qr/a role "$role" with rights of an administrator/);
        $host->sql("DROP ROLE $role");
        $before = $before_it;
    }
};

subtest 'a role that was there and cannot be used as it is' => sub {
    my $before_it = $before;
    $host->sql('CREATE ROLE "www-data" NOLOGIN');
    $before = $host->state;
    my ($status, $out) = $host->setup(['--redis=off']);
    is $status, 1, 'without LOGIN: exit status' or diag $out;
    like $out, qr/role "www-data" was there before, and may not log in: ALTER ROLE "www-data" LOGIN, by whoever/,
        'it says so';
    unlike $out, qr/pg_hba|password/, 'and nothing of passwords';
    $host->sql('ALTER ROLE "www-data" LOGIN CONNECTION LIMIT 0');
    ($status, $out) = $host->setup(['--redis=off']);
    is $status, 1, 'without a connection: exit status' or diag $out;
    like $out, qr/may not have more connections: ALTER ROLE "www-data" CONNECTION LIMIT -1, by whoever/, 'it says so';
    $host->sql('ALTER ROLE "www-data" CONNECTION LIMIT -1 NOINHERIT');
    my $inherits = qr/does not inherit the rights of await_edge: ALTER ROLE "www-data" INHERIT, or .*, by whoever/;
    ($status, $out) = $host->setup(['--redis=off']);
    is $status, 1, 'without INHERIT: exit status' or diag $out;
    like $out, $inherits, 'it says so';
    unlike $out, qr/pg_hba|password/, 'and nothing of passwords';
    $host->sql('GRANT CONNECT ON DATABASE await TO PUBLIC');
    ($status, $out) = $host->setup(['--redis=off']);
    is $status, 1, 'where it may connect: exit status' or diag $out;
    like $out, $inherits, 'it says so, too';
    $host->sql($_) for 'REVOKE CONNECT ON DATABASE await FROM PUBLIC', 'ALTER ROLE "www-data" INHERIT';
    ($status, $out) = $host->setup([ '--redis=off', '--enable' ]);
    is $status, 0, 'with all of them' or diag $out;
    $host->sql('ALTER ROLE "www-data" NOLOGIN');
    ($status, $out) = $host->ctl('check', []);
    like $out, qr/^WRONG    PostgreSQL: .* cannot log in: .*\n +remedy: ALTER ROLE \.\.\. LOGIN$/m,
        'check says so, too';
    is system("sh '$host->{etc}/await/undo.sh'"), 0, 'it is undone';
    $host->sql('DROP ROLE "www-data"');
    is_deeply $host->state, $before_it, 'nothing is left';
    $before = $before_it;
};

subtest 'users' => sub {
    my ($daemon, $uid) = (getpwnam 'daemon')[ 0, 2 ];
    $host->refuses($before, 'a number', ["--worker-user=$uid"], 64, qr/there is no user "$uid"/);
    my @as = (before => [ 'setpriv', '--reuid', $uid, '--clear-groups' ]);
    $host->refuses($before, 'another user', [], 77, qr/run it as root\. Nothing was done\.$/, @as);
    $host->refuses($before, 'another user, --dry-run',
        ['--dry-run'], 77, qr/only root can read the configuration of nginx: run it as root\. Nothing/, @as);
    my ($status, $out) = $host->ctl('check', [], @as);
    is $status, 0, 'check by another user: exit status';
    like $out, qr/^not seen nginx: only root can test its configuration$/m, 'it says what it does not see';
};

subtest 'a socket of Redis that only its group may use' => sub {
    my $socket = "$s->{dir}/redis.sock";
    $s->end('redis', 'TERM');
    $host->start_redis('--unixsocket', $socket, '--unixsocketperm', '700');
    $host->refuses($before, 'of root', ["--redis=unix:$socket"], 69,
        qr/user "www-data" may not connect to \Q$socket\E: adduser www-data root/);
    chmod 0777, $socket;
    my ($status, $out) = $host->setup([ "--redis=unix:$socket", '--enable' ]);
    is $status, 0, 'one for all: exit status' or diag $out;
    my ($checked, $said) = $host->ctl('check', []);
    like $said, qr/^ok       Redis: unix:\S+ takes what nginx sends/m, 'check says so';
    chmod 0700, $socket;
    ($checked, $said) = $host->ctl('check', []);
    is $checked, 1, 'closed afterwards: exit status of check';
    like $said, qr/^WRONG    Redis: user "www-data" of nginx may not connect to/m, 'it says so';
    $host->undoes($before, 'a socket');
    $s->end('redis', 'TERM');
    $host->start_redis;
};

finish();
