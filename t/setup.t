# `await-ctl setup` on a host that has nginx, PostgreSQL and Redis: what it makes works, a second run changes nothing,
# what it says undoes all of it, and it changes nothing where it may not or cannot.

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

subtest 'what is missing is named, with a remedy' => sub {
    $host->refuses(
        $before, 'no PostgreSQL',
        [], 69,
        qr/PostgreSQL does not answer.*apt install postgresql/s,
        env => { PGHOST => "$s->{dir}/none" });
    $host->refuses(
        $before, 'no PostgreSQL, said in another language',
        [], 69,
        qr/PostgreSQL does not answer.*apt install postgresql/s,
        env => { PGHOST => "$s->{dir}/none", LANGUAGE => 'de', LC_ALL => 'C.UTF-8' });
    my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die "listen: $!";
    $host->refuses(
        $before, 'a PostgreSQL that accepts and never answers',
        [], 69,
        qr/PostgreSQL does not answer: .*timeout/,
        env => { PGHOST => '127.0.0.1', PGPORT => $silent->sockport, PGCONNECT_TIMEOUT => 2 });
    $host->refuses(
        $before, 'no right', [], 1,
        qr/cannot log in to PostgreSQL as an administrator/,
        env => { PGHOST => '127.0.0.1', PGUSER => 'nobody' });
    $host->refuses(
        $before, 'no Redis', [], 69,
        qr/does not answer.*apt install redis-server.*--redis=off/s,
        env => { AWAIT_REDIS => 'redis://127.0.0.1:1' });
    $host->refuses(
        $before, 'a password in the address of Redis is not shown',
        [], 69,
        qr/\A(?!.*TOPSECRET).*\*\*\*/s,
        env => { AWAIT_REDIS => 'redis://u:TOPSECRET@127.0.0.1:1' });
    $host->refuses(
        $before, 'no nginx', [], 69,
        qr/nginx is missing: apt install nginx/,
        env => { AWAIT_NGINX => '/none' });
    my $elsewhere = "$s->{dir}/nginx-elsewhere";
    my $arguments = 'configure arguments: --prefix=/opt/n --conf-path=conf/nginx.conf --with-http_ssl_module';
    Await::Stack::write_file($elsewhere, qq{#!/bin/sh\n[ "\$1" = -V ] && echo "$arguments" >&2\n}, 0755);
    my ($status, $out) = $host->setup(["--etc=$s->{dir}/none"], env => { AWAIT_NGINX => $elsewhere });
    is $status, 69, 'an nginx whose configuration is elsewhere: exit status';
    like $out, qr{no \S+/none/nginx/nginx\.conf, .*reads /opt/n/conf/nginx\.conf: do it by hand.*Nothing was done},
        'it says where';
    $host->write_nginx('');
    my $without = $host->state;
    $host->refuses($without, 'no module, to be enabled',
        ['--enable'], 69, qr/does not load the module.*load_module.*\nThen run the same.*Nothing was done/);
    $host->write_nginx("load_module $s->{module};\n");
    is_deeply $host->state, $before, 'with it again';
    $host->refuses(
        $before,
        'an unknown user',
        ['--worker-user=nobody-at-all'],
        64, qr/no user "nobody-at-all".*adduser/s
    );
    $host->refuses(
        $before,
        'a user who is the superuser',
        ['--worker-user=postgres'],
        64, qr/"postgres" with rights of an administrator/
    );
    $host->refuses(
        $before, 'a password with @, which is not shown',
        [], 69,
        qr/\A(?!.*TOPSECRET).*\*\*\*/s,
        env => { AWAIT_REDIS => 'redis://u:p@TOPSECRET@127.0.0.1:1' });
    $host->refuses($before, 'one user for both', ['--worker-user=www-data'], 64, qr/different users/);
};

subtest 'a port that is taken' => sub {
    plan skip_all => 'no ss (iproute2)' if !grep { -x "$_/ss" } split /:/, $ENV{PATH};
    my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $!";
    my $port = $taken->sockport;
    my $says = qr/another program \(\S+\) listens at port $port: --listen=/;
    $host->refuses($before, "listen $_", [ "--listen=$_", '--enable' ], 64, $says)
        for "127.0.0.1:$port", $port, "*:$port";
    my ($status, $out) = $host->setup([ "--listen=127.0.0.2:$port", '--dry-run' ]);
    is $status, 0, 'of another address' or diag $out;
};

subtest 'without a terminal it asks nothing' => sub {
    my ($status, $out) = $host->ctl('setup', ['--database=await']);
    is $status, 64, 'a missing answer is an error';
    like $out, qr/--nginx-user is missing, and there is no terminal/, 'it names the option';
    is_deeply $host->state, $before, 'nothing is changed';
};

subtest 'hostile arguments' => sub {
    my $file = "$s->{dir}/hacked";
    $host->refuses($before, "queue $_", ["--queue=$_"], 64, qr/no name of a queue|more than 64/)
        for '../x', "a'; touch $file; '", 'a{}', '-x', 'x' x 65;
    $host->refuses($before, "listen $_", ["--listen=$_"], 64, qr/ADDRESS:PORT/)
        for '80; } evil {', "8080\ninclude x", '$(id)';
    $host->refuses($before, "listen $_", ["--listen=$_"], 64, qr/the port is no number from 1 to 65535/)
        for '99999', '127.0.0.1:0', '[::1]:123456';
    $host->refuses($before, "options $_", ["--options=$_"], 64, qr/--options: psql: .*Nothing was done/)
        for 'foo=bar', 'sslmode=bogus', 'sslmode', "sslmode='x";
    $host->refuses($before, "options $_", ["--options=$_"], 64, qr/may have no user, dbname, passfile or service/)
        for 'dbname=postgres', 'sslmode=prefer user = postgres', 'passfile=/x';
    $host->refuses($before, "owner $_", ["--owner=$_"], 64, qr/no name of a role/) for 'a b', 'await_edge', 'x"; DROP';
    $host->refuses($before, "redis $_", ["--redis=$_"], 64, qr/--redis/)
        for 'http://x', "redis://x;\n", 'redis://x"y', 'redis://$x';
    $host->refuses($before, 'a line break in a name', ["--database=a\nb"], 64, qr/control characters/);
    $host->refuses($before, 'a long name', [ '--database=' . 'x' x 64 ], 64, qr/more than 63/);
    $host->refuses($before, 'a database of PostgreSQL', ['--database=template1'], 64, qr/PostgreSQL itself/);
    $host->refuses($before, 'an unknown option', ['--frobnicate'], 64, qr/no option of setup/);
    my ($status, $out) = $host->setup([ '--etc=/e\\tc', '--dry-run' ]);
    is $status, 64, 'a backslash in a path: exit status';
    like $out, qr/--etc has a backslash\. Nothing was done/, 'it says so';
    ok !-e $file, 'nothing was run';
};

subtest 'a database or a server that cannot be used' => sub {
    my $state = $before;
    $host->sql(q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
    $before = $host->state;
    $host->refuses($before, 'another encoding',
        ['--database=latin'], 1, qr/is LATIN1, and UTF8 is needed.*Nothing was done/);
    $host->sql('DROP DATABASE latin');
    $before = $state;
    my $as_standby = sub {
        $s->end('postgres', 'INT');
        Await::Stack::write_file("$s->{dir}/pg/standby.signal", '', 0644);
        $host->start_postgres;
    };
    $as_standby->();
    $host->refuses($before, 'a standby', [$_], 1,
        qr/is a standby, and read-only: -d names the primary\. Nothing was done/)
        for '--yes', '--dry-run', '--sql';
    is $host->sql('SELECT pg_promote()'), 't', 'it is promoted';
};

subtest '--dry-run changes nothing' => sub {
    my $dump = $host->dump;
    my ($status, $out) = $host->setup([ '--dry-run', '--enable' ]);
    is $status, 0, 'exit status' or diag $out;
    is $host->dump, $dump, 'a dump of all databases is the same';
    like $out, qr/would create role await_edge.*would create database "await".*would write .*Nothing was done/s,
        'it says what it would do';
    like $out, qr{^PostgreSQL: \Q$s->{dir}\E/sock port $host->{pg_port}, as role "postgres"$}m, 'and at which server';
    is_deeply $host->state, $before, 'nothing is changed';
};

subtest 'at a terminal it asks, and takes no for an answer' => sub {
    my $command = "$Await::Stack::ROOT/tools/await-ctl setup --etc=$host->{etc} --worker-user=daemon";
    local @ENV{qw(PGHOST PGPORT AWAIT_REDIS AWAIT_NGINX)} =
        ("$s->{dir}/sock", $host->{pg_port}, "redis://127.0.0.1:$host->{redis_port}", $s->{nginx});
    my $out = `printf 'shop\\n\\n\\n\\nn\\n' | script -qec '$command' /dev/null 2>&1`;
    like $out, qr/Name of the database \[await\]: .*Queue of the example \[example\]: /s, 'it asks, with defaults';
    like $out, qr/would create database "shop".*Go on\? .*Nothing was done/s, 'it says what it would do, and asks';
    is_deeply $host->state, $before, 'nothing is changed';
};

my $MODES = <<'TEXT';
755 await
640 await/example.env
600 await/undo.sh
777 nginx/conf.d/await.conf
755 nginx/sites-available
644 nginx/sites-available/await
777 nginx/sites-enabled/await
755 nginx/snippets
644 nginx/snippets/await.conf
TEXT

sub modes {
    my $made = $host->state;
    delete @$made{ keys %$before };
    my @paths = sort map { m{^\Q$host->{etc}\E/(.*)} } keys %$made;
    return join '', map { sprintf "%o %s\n", (lstat "$host->{etc}/$_")[2] & 07777, $_ } @paths;
}

subtest 'by peer: what it makes works at once' => sub {
    # as an operator has it: Debian's psql, and a umask
    umask 077;
    my ($status, $out) = $host->setup(['--enable'], env => { PATH => $Await::Test::PATH });
    umask 022;
    is $status, 0, 'exit status' or diag $out;
    is modes(), $MODES, 'modes of what it makes do not depend on the umask';
    like $out, qr/connections: up to 16 = 2 nginx worker processes x 3 x 2/, 'connections are counted';
    like $out, qr/To undo all of it: sh .*undo\.sh/, 'it says how to undo it';
    unlike $out, qr/password/, 'no password is needed';
    is $host->sql("SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL"), 0, 'and none is made';
    my $other = $host->sql("SELECT has_database_privilege('public', 'await', 'CONNECT')");
    is $other, 'f', 'others may not connect to the database';
    $host->start_nginx;
    $host->start_worker('example', qw(tr a-z A-Z));
    my $answer = post('/jobs', 'first job', Prefer => 'wait=15');
    is "$answer->{status} $answer->{body}", '200 FIRST JOB', 'a job is submitted, processed and answered';
    is get('/health')->{status}, 200, 'nginx is healthy';
    my $after = $host->state;
    ($status, $out) = $host->setup(['--enable']);
    is $status, 0, 'a second run: exit status';
    like $out, qr/^Nothing was to be done/m, 'a second run says so';
    is_deeply $host->state, $after, 'a second run changes nothing';
    my $own = "$host->{etc}/nginx/sites-enabled/own";
    Await::Stack::write_file($own, "server { listen 127.0.0.1:9; location /own { await own; } }\n", 0644);
    $out = `sh '$host->{etc}/await/undo.sh' 2>&1`;
    is $? >> 8, 1, 'undoing what a site of the operator needs: exit status' or diag $out;
    like $out, qr{requires "await_postgres" .* in \Q$own\E:1\n.*^undo\.sh: not all is undone}ms, 'it names the line';
    is system($s->{nginx}, '-t', '-q', '-c', "$host->{etc}/nginx/nginx.conf"), 0, 'nginx goes on';
    is get('/health')->{status}, 200, 'and so does the database';
    unlink $own;
    $host->undoes($before, 'by peer, while nginx and a worker are connected');
    $s->end($_, 'TERM') for qw(worker nginx);
};

subtest 'files of the operator are kept' => sub {
    mkdir "$host->{etc}/nginx/snippets";
    Await::Stack::write_file("$host->{etc}/nginx/snippets/await.conf", "# mine\n");
    my $mine = $host->state;
    my ($status, $out) = $host->setup([]);
    is $status, 0, 'exit status' or diag $out;
    like $out, qr{kept .*snippets/await\.conf as it is}, 'it says so';
    is slurp("$host->{etc}/nginx/snippets/await.conf"), "# mine\n", 'the file is the same';
    unlike $out, qr{^done: enable}m, 'nothing is enabled without --enable';
    is_deeply [ glob "$host->{etc}/nginx/{conf.d,sites-enabled}/*" ], [], 'nothing is linked';
    is `sh '$host->{etc}/await/undo.sh' 2>&1`, '', 'undoing complains of nothing';
    is_deeply $host->state, $mine, 'undoing leaves what was there';
    unlink "$host->{etc}/nginx/snippets/await.conf";
    rmdir "$host->{etc}/nginx/snippets";
};

subtest 'a failure in the middle is completed by a second run' => sub {
    my $path = "$host->{etc}/nginx/sites-available";
    Await::Stack::write_file($path, 'in the way');
    my ($status, $out) = $host->setup(['--redis=off']);
    is $status, 1, 'exit status of the first run';
    like $out, qr{could not make directory .*sites-available\. Mend this, and run the same command again},
        'it says why';
    unlink $path;
    ($status, $out) = $host->setup(['--redis=off']);
    is $status, 0, 'exit status of the second run' or diag $out;
    unlike $out, qr/done: (?:create role|create database)/, 'it repeats nothing';
    like $out, qr{done: write .*sites-available/await}, 'it does the rest';
    is $host->sql('SHOW await.notify', 'await'), 'on', 'without Redis, PostgreSQL notifies';
    $host->sql('CREATE DATABASE more OWNER await_owner');
    $out = `sh '$host->{etc}/await/undo.sh' 2>&1`;
    is $? >> 8, 1, 'undoing what somebody uses: exit status';
    like $out, qr/role "await_owner" cannot be dropped.*^undo\.sh: not all is undone/ms, 'it says what is left';
    $host->sql('DROP DATABASE more');
    # undone already, it is somebody else's now
    $host->sql('CREATE DATABASE await');
    is `sh '$host->{etc}/await/undo.sh' 2>&1`, '', 'undoing goes on, and complains of nothing';
    is $host->sql('DROP DATABASE await'), '', 'what somebody else has made meanwhile is kept';
    is_deeply $host->state, $before, 'nothing else is left';
};

subtest 'by password, with a hostile name of a database' => sub {
    $host->hba("local all postgres peer\nlocal all all scram-sha-256\n");
    my $database = q(we "ird" 'd\b' $(touch /tmp/x) 50% @é #);
    umask 0;
    my ($status, $out) = $host->setup([ "--database=$database", '--enable', '--redis-users' ]);
    umask 022;
    is $status, 0, 'exit status' or diag $out;
    # systemd reads the password of a worker: a command that runs as the worker's user cannot
    my %reader = ('nginx.pgpass' => 'www-data', 'worker.pgpass' => 'root');
    my %others = ('nginx.pgpass' => '', 'worker.pgpass' => "$host->{etc}/await/example.env\n");
    for my $file (sort keys %reader) {
        my $path = "$host->{etc}/await/$file";
        my ($mode, $uid) = (stat $path)[ 2, 4 ];
        is sprintf('%o', $mode & 07777) . ' ' . getpwuid($uid), "600 $reader{$file}", "$file: mode and owner";
        my ($password) = slurp($path) =~ /:([0-9a-f]{48})$/;
        ok $password, "$file: has a password";
        unlike $out, qr/\Q$password\E/, "$file: it is not printed";
        my $places = `grep -rlF '$password' '$host->{etc}' '$s->{dir}/logs'`;
        is $places, "$others{$file}$path\n", "$file: it is nowhere else, and in no log";
    }
    my ($mode, $uid) = (stat "$host->{etc}/await/example.env")[ 2, 4 ];
    is sprintf('%o %s', $mode & 07777, $uid), '640 0', 'the variables of workers are for root';
    $host->start_nginx;
    $host->start_worker('example', qw(tr a-z A-Z));
    my $answer = post('/jobs', 'by password', Prefer => 'wait=15');
    is "$answer->{status} $answer->{body}", '200 BY PASSWORD', 'a job is submitted, processed and answered';
    $s->end($_, 'TERM') for qw(worker nginx);
    my $after = $host->state;
    ($status, $out) = $host->setup([ "--database=$database", '--enable', '--redis-users' ]);
    is $status, 0, 'a second run: exit status' or diag $out;
    is_deeply $host->state, $after, 'a second run changes nothing';
    # its default user needs no password, and is let in after a wrong one, too
    my $redis = "redis-cli -p $host->{redis_port} ACL";
    is scalar(`$redis USERS`), "await_edge\nawait_worker\ndefault\n", 'Redis has users';
    like scalar(`$redis LIST`), qr/^user await_worker on .*-\@all(?: \+(?:subscribe|publish|ping)){3}$/m,
        'which may do little';
    like slurp("$host->{etc}/await/example.env"), qr{^AWAIT_REDIS=redis://await_worker:[0-9a-f]{48}\@127}m,
        'to be used';
    $host->undoes($before, 'by password');
    is scalar(`$redis USERS`), "default\n", 'which are undone';
};

subtest 'a database that was there before keeps what it has' => sub {
    $host->sql(q{CREATE ROLE shopkeeper LOGIN});
    $host->sql(q{CREATE DATABASE shop OWNER shopkeeper});
    $host->sql($_, 'shop')
        for 'CREATE TABLE goods AS SELECT 1 AS id', 'REVOKE CONNECT ON DATABASE shop FROM PUBLIC',
        'GRANT CONNECT ON DATABASE shop TO shopkeeper';
    my ($mine, $dump) = ($host->state, $host->dump);
    my ($status, $out) = $host->setup([ '--database=shop', '--redis=off', '--owner=shopkeeper' ]);
    is $status, 64, 'a superuser does not act as a role that can log in';
    like $out, qr/role "shopkeeper" or a member of it can log in/, 'it says why';
    is_deeply $host->state, $mine, 'nothing is changed';
    ($status, $out) = $host->setup([ '--database=shop', '--redis=off' ]);
    is $status, 0, 'another owner: exit status' or diag $out;
    my $after = $host->state;
    ($status, $out) = $host->setup([ '--database=shop', '--redis=off' ]);
    like $out, qr/^Nothing was to be done/m, 'a second run says so';
    is_deeply $host->state, $after, 'and changes nothing';
    is `sh '$host->{etc}/await/undo.sh' 2>&1`, '', 'undoing complains of nothing';
    is_deeply $host->state, $mine, 'undoing leaves the database';
    is $host->dump, $dump, 'with all that was in it';
    $host->sql($_) for 'DROP DATABASE shop', 'DROP ROLE shopkeeper';
};

subtest 'a role that was there before keeps its password and its other rights' => sub {
    $host->sql(q{CREATE ROLE "www-data" LOGIN PASSWORD 'mine'});
    my $mine = $host->state;
    # from where only root can read it: the administrator of PostgreSQL gets a copy
    mkdir "$s->{dir}/private", 0700;
    system("cd $Await::Stack::ROOT && cp -R tools sql $s->{dir}/private") == 0 or die 'cp';
    my ($status, $out) =
        $host->setup([], tool => "$s->{dir}/private/tools/await-ctl", env => { TMPDIR => "$s->{dir}/private" });
    is $status, 1, 'exit status';
    like $out, qr/^done: migrate the schema/m, 'a copy of await-ctl is run' or diag $out;
    like $out, qr/The role was there before, so its password is not changed/, 'it says so';
    is `sh '$host->{etc}/await/undo.sh' 2>&1`, '', 'undoing complains of nothing';
    is_deeply $host->state, $mine, 'undoing leaves the role';
    $host->sql('DROP ROLE "www-data"');
};

finish();
