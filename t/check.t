# `await-ctl check`: each fault is made for real, and is found, with its remedy, in the order in which to mend them.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::Host;    # after it, which finds its modules
use Test::More;

plan skip_all => 'check becomes the user of nginx, which only root can' if $> != 0;

alarm 900;          # psql many times: on a busy machine that takes long
my $s = start_stack(without => [qw(postgres redis nginx)]);
my $host = Await::Host->start($s);
my ($status, $out) = $host->setup(['--enable']);
is $status, 0, 'the host is set up' or diag $out;
$host->start_nginx;

sub check { return $host->ctl('check', [@_]) }

# With a fault made by the first code and mended by the last: what is found, and what not.
sub finds {
    my ($name, $make, $status, $says, $mend, %o) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $make->();
    my ($got, $out) = $host->ctl('check', [], %o);
    $mend->();
    is $got, $status, "$name: exit status" or diag $out;
    like $out, $says, "$name: what it says";
    return $out;
}
sub sqls {
    my (@sql) = @_;
    return sub {
        for (@sql) { my $out = $host->sql($_, 'await'); die $out if $out =~ /ERROR/ }
    }
}
sub conf {
    my ($path, $edit) = @_;
    return sub {
        my $text = slurp("$host->{etc}/$path");
        local $_ = $text;
        $edit->();
        Await::Stack::write_file("$host->{etc}/$path", $_, 0644);
    };
}
# New lines of pg_hba.conf, and whether the role of nginx is let in by them.
sub hba {
    my ($lines, $is_let_in) = @_;
    $host->hba($lines);
    my $psql = Await::Stack::pg_bin()
        . "/psql -XAtqw -h $s->{dir}/sock -p $host->{pg_port} -U www-data -d await -c 'SELECT 1'";
    my $as = 'setpriv --reuid www-data --regid www-data --clear-groups --';
    until_true('pg_hba.conf is read', sub { (`cd / && $as $psql 2>&1` eq "1\n") == $is_let_in });
}
my $site = slurp("$host->{etc}/nginx/sites-available/await");
my $restore = conf('nginx/sites-available/await', sub { $_ = $site });

subtest 'nothing is wrong' => sub {
    my ($status, $out) = check();
    is $status, 0, 'exit status' or diag $out;
    like $out, qr/^nothing is wrong$/m, 'it says so';
    unlike $out, qr/^(?:WRONG|warning|not seen)/m, 'and nothing else';
    is scalar(() = $out =~ /^ok /mg), 10, 'ten things were looked at' or diag $out;
};

subtest 'versions' => sub {
    my $module = slurp($s->{module});
    my $other = "$s->{dir}/ngx_http_await_module.so";
    my ($version) = $host->version;
    $module =~ s/\x{0}\Q$version\E\x{0}/\x{0}${\($version =~ tr{0-9}{9}r)}\x{0}/g or die "no version in $s->{module}";
    Await::Stack::write_file($other, $module, 0755);
    finds(
        'a module of another version',
        sub { $host->write_nginx("load_module $other;\n") },
        0,
        qr/^warning  versions: \Q$other\E is not of version \Q$version\E.*\n +remedy: .*schema first/m,
        sub { $host->write_nginx("load_module $s->{module};\n") });
    Await::Stack::make_dir("$s->{dir}/old");
    Await::Stack::write_file("$s->{dir}/old/await-worker", "#!/bin/sh\necho await-worker 0.0.9\n", 0755);
    finds(
        'a worker of another version',
        sub { }, 0, qr/^warning  versions: \S+ says "await-worker 0\.0\.9".*\n +remedy: .*restart workers/m,
        sub { }, env => { PATH => "$s->{dir}/old:$ENV{PATH}" });
};

subtest 'nginx' => sub {
    finds(
        'a bad configuration',
        conf('nginx/sites-available/await', sub { s/await example/await bad queue name/ }),
        1, qr/^WRONG    nginx: does not accept its configuration: .*in \S+:10\n +remedy: /m, $restore
    );
    finds(
        'no module', sub { $host->write_nginx('') },
        1,
        qr/^WRONG    nginx: .*unknown directive "await_postgres".*\n +remedy: (?:ln -s|install the package)/m,
        sub { $host->write_nginx("load_module $s->{module};\n") });
    finds(
        'an error_page that hides problems',
        conf('nginx/sites-available/await', sub { s/(error_page .*404 .*)\@problem/$1\/sorry.html/ }),
        0,
        qr{^warning  error_page: \S+/await:6 replaces .* of location /jobs .* by /sorry\.html: 401.*\n +remedy: }m,
        $restore
    );
    finds(
        'a port that nothing listens at',
        conf('nginx/sites-available/await', sub { s/listen .*;/listen 127.0.0.1:9;/ }),
        1, qr/^WRONG    ports: nothing listens at port 9,.*\n +remedy: systemctl reload nginx/m, $restore
    );
    my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $!";
    my $port = $taken->sockport;
    finds(
        'a port of another program, and an error_page: the port first',
        conf(
            'nginx/sites-available/await',
            sub { s/listen .*;/listen 127.0.0.1:$port;/; s/(error_page .*404 .*)\@problem/$1\/sorry.html/ }
        ),
        1,
        qr/^WRONG    ports: another program than nginx listens at port $port\n +remedy: .*^warning  error_page/ms,
        $restore
    );
    my $elsewhere = "$s->{dir}/nginx-elsewhere";
    Await::Stack::write_file($elsewhere, <<"SH", 0755);
#!/bin/sh
if [ "\$1" = -V ]; then echo "configure arguments: --prefix=$host->{etc} --conf-path=nginx/nginx.conf" >&2; exit; fi
exec $s->{nginx} "\$@"
SH
    my $mount = 'mount -t tmpfs none /etc/nginx';
    SKIP: {
        skip 'needs a mount namespace, and /etc/nginx', 2 if system("unshare -m sh -c '$mount' 2>/dev/null") != 0;
        my ($status, $out) = $host->ctl(
            'check', ['--etc=/etc'],
            before => [ 'unshare', '-m', 'sh', '-c', "$mount && exec \"\$\@\"", 'sh' ],
            env => { AWAIT_NGINX => $elsewhere });
        is $status, 0, 'an nginx whose configuration is elsewhere: exit status' or diag $out;
        like $out, qr/^ok       nginx: the configuration is accepted/m, 'it is found';
    }
    finds(
        'not root',
        sub { },
        0,
        qr/^not seen nginx: only root can .*^not seen PostgreSQL: .*^nothing is wrong in what was seen; \d not seen/ms,
        sub { },
        before => [ 'setpriv', '--reuid', 'daemon', '--regid', 'daemon', '--clear-groups', '--' ]);
};

subtest 'PostgreSQL and rights' => sub {
    finds(
        'no login', sqls('ALTER ROLE "www-data" NOLOGIN'),
        1,
        qr/^WRONG    PostgreSQL: nginx \(user "www-data"\) cannot log in: .*not permitted to log in\n +remedy: /m,
        sqls('ALTER ROLE "www-data" LOGIN'));
    finds(
        'too many connections of the role',
        sqls('ALTER ROLE "www-data" CONNECTION LIMIT 0'),
        1,
        qr/cannot log in: .*too many connections for role.*\n +remedy: ALTER ROLE .* CONNECTION LIMIT -1/m,
        sqls('ALTER ROLE "www-data" CONNECTION LIMIT -1'));
    for (
        [ 'no line of pg_hba.conf', '', qr/no pg_hba\.conf entry.*\n +remedy: a line for this role and database/ ],
        [
            'no password',
            "local all all scram-sha-256\n",
            qr/no password supplied.*\n +remedy: the password of the pass/
        ])
    {
        my ($name, $lines, $says) = @$_;
        finds(
            $name, sub { hba("local all postgres peer\n$lines", 0) },
            1,
            qr/^WRONG    PostgreSQL: .*cannot log in: .*$says/m,
            sub { hba("local all all peer\n", 1) });
    }
    finds(
        'a role that is missing',
        sqls('ALTER ROLE await_console RENAME TO aside'),
        1,
        qr/^WRONG    rights: there is no role await_console\n +remedy: await-ctl roles/m,
        sqls('ALTER ROLE aside RENAME TO await_console'));
    finds(
        'no member of await_edge',
        sqls('REVOKE await_edge FROM "www-data"; GRANT CONNECT ON DATABASE await TO "www-data"'),
        1,
        qr/^WRONG    rights: role "www-data" .* no member of await_edge\n +remedy: GRANT await_edge TO "www-data"$/m,
        sqls('GRANT await_edge TO "www-data"; REVOKE CONNECT ON DATABASE await FROM "www-data"'));
    finds(
        'a member that does not inherit',
        sqls('ALTER ROLE "www-data" NOINHERIT', 'GRANT CONNECT ON DATABASE await TO "www-data"'),
        1,
        qr/^WRONG    rights: role "www-data" .* does not inherit .*\n +remedy: (?:ALTER|GRANT .*) .*INHERIT/m,
        sqls('REVOKE CONNECT ON DATABASE await FROM "www-data"'));
    finds(
        'and may not connect',
        sub { }, 1,
        qr/cannot log in: .*permission denied for database.*\n +remedy: GRANT await_edge TO .*INHERIT/m,
        sqls('ALTER ROLE "www-data" INHERIT'));
    for my $of ('ROLE "www-data"', 'DATABASE await') {
        finds(
            "sessions of $of are read-only",
            sqls("ALTER $of SET default_transaction_read_only = on"),
            1,
            qr/^WRONG    PostgreSQL: the sessions of "www-data" are read-only.*\n +remedy: .*default_transaction_read/m,
            sqls("SET transaction_read_only = off; ALTER $of RESET default_transaction_read_only"));
    }
    finds(
        'too many rights',
        sqls('ALTER ROLE "www-data" CREATEROLE', 'GRANT await_worker TO "www-data"'),
        0,
        qr/^warning  rights: .*allowed to create roles.*^warning  rights: .* await_worker.*^nothing is wrong, 2/ms,
        sqls('ALTER ROLE "www-data" NOCREATEROLE', 'REVOKE await_worker FROM "www-data"'));
    finds(
        'no worker', sqls('REVOKE await_worker FROM daemon'),
        0,
        qr/^warning  rights: no login is a member of await_worker/m,
        sqls('GRANT await_worker TO daemon'));
    finds(
        'the host is down',
        sub { $s->end('postgres', 'INT') },
        1,
        qr/^WRONG    PostgreSQL: .*cannot log in: .*No such file.*\n +remedy: systemctl start postgresql/m,
        sub { $host->start_postgres });
};

subtest 'the schema' => sub {
    finds(
        'an older one',
        sqls('UPDATE await.schema_history SET version = version + 100 WHERE version = 5'),
        1,
        qr/^WRONG    schema: not up to date: the database has schema 1\d\d.*\n +remedy: install the await-tools/m,
        sqls('UPDATE await.schema_history SET version = version - 100 WHERE version = 105'));
    finds(
        'a function that was dropped',
        sqls('ALTER FUNCTION await.run_maintenance SET search_path = public'),
        1, qr/^WRONG    schema: not up to date: .*changed or dropped by hand\n +remedy: await-ctl setup/m,
        sub { });
    finds(
        'a database without it',
        conf('nginx/snippets/await.conf', sub { s/dbname=await/dbname=postgres/ }),
        1,
        qr/^WRONG    schema: database "postgres" has no schema "await"\n +remedy: await-ctl setup/m,
        conf('nginx/snippets/await.conf', sub { s/dbname=postgres/dbname=await/ }));
    my ($status, $out) = $host->setup(['--enable']);
    like $out, qr/^done: migrate the schema/m, 'its remedy is run';
    ($status) = check();
    is $status, 0, 'and mends it';
    $s->end('nginx', 'TERM');    # it would mend what comes now
    my $partition = $host->sql(<<'SQL', 'await');
SELECT await.partition_name('job', r.class, await.partition_start(r.step, clock_timestamp()))
FROM await.retention r ORDER BY r.class LIMIT 1
SQL
    finds(
        'a missing partition',
        sqls(
            qq{ALTER TABLE await.job DETACH PARTITION await."$partition"}, qq{ALTER TABLE
            await."$partition" RENAME TO aside}
        ),
        1,
        qr/^WRONG    partitions: \d+ of them are missing up to tomorrow.*\n +remedy: await-ctl purge/m,
        sqls('DROP TABLE await.aside', 'SET ROLE await_owner; SELECT await.make_partitions()'));
    finds(
        'nobody does the maintenance', sqls(<<'SQL'), 1, qr/^WRONG    maintenance: .* overdue for \d+ s/m,
INSERT INTO await.deadline (at, job) VALUES (now() - interval '1 hour', gen_random_uuid());
SQL
        sqls('DELETE FROM await.deadline'));
    $host->start_nginx;
};

subtest 'a standby' => sub {
    my ($sock, $main, $other) = ("$s->{dir}/sock", $host->{pg_port}, Await::Stack::free_port());
    # a copy that follows nobody
    $s->end('postgres', 'INT');
    is system('cp', '-a', "$s->{dir}/pg", "$s->{dir}/pg2"), 0, 'a copy of the server';
    $host->start_postgres;
    Await::Stack::write_file("$s->{dir}/pg2/standby.signal", '', 0644);
    my @start = (Await::Stack::pg_bin() . '/postgres', '-D', "$s->{dir}/pg2", '-k', $sock, '-p', $other);
    $s->spawn('standby', [ @start, '-c', 'listen_addresses=', '-c', 'fsync=off', '-c', 'wal_level=logical' ],
        user => 'postgres');
    my @psql = ($s->as_pg, Await::Stack::pg_bin() . '/psql', '-XAtqw', '-U', 'postgres', '-h', $sock, '-p', $other);
    $s->wait_for('standby', 20, sub { `cd / && @psql -c 'SELECT pg_is_in_recovery()' 2>&1` eq "t\n" });
    my $text = slurp("$host->{etc}/nginx/snippets/await.conf");
    my $back = conf('nginx/snippets/await.conf', sub { $_ = $text });
    finds(
        'a standby',
        conf('nginx/snippets/await.conf', sub { s/port=$main/port=$other/ }),
        1,
        qr/^WRONG    PostgreSQL: \S+ port $other is a standby.*\n +remedy: .*pg_promote.*^not seen schema:/ms,
        $back
    );
    finds(
        'a standby, and then the primary',
        conf('nginx/snippets/await.conf', sub { s/host=(\S+) port=$main/host=$1,$1 port=$other,$main/ }),
        0, qr/^nothing is wrong$/m, $back
    );
    $s->end('standby', 'INT');
};

subtest 'slots, connections and clocks' => sub {
    # files of the log are made without writing to them
    $host->sql($_) for 'ALTER SYSTEM SET wal_init_zero = off', 'SELECT pg_reload_conf()';
    my $switch = q{SELECT pg_logical_emit_message(false, '', ''); SELECT pg_switch_wal()};
    my $log = sub { $host->script("$switch;\n" x $_[0] . "CHECKPOINT;\n") };
    finds(
        'a slot of others that keeps much of the log',
        sub { $host->sql(q{SELECT pg_create_physical_replication_slot('backup', true)}); $log->(66) },
        1,
        qr/^WRONG    replication slot backup \(\w+, nobody .*\) keeps 10\d\d MB of .*\n +remedy: .*pg_drop_/m,
        sub { });
    finds(
        'a slot that is lost',
        sub {
            $host->sql($_) for q{ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'}, 'SELECT pg_reload_conf()';
            $log->(3);
        },
        0,
        qr/^warning  replication slot backup \(lost, nobody uses it\) has lost the log .*\n +remedy: .*pg_drop_/m,
        sub {
            $host->sql($_)
                for q{SELECT pg_drop_replication_slot('backup')}, 'ALTER SYSTEM RESET ALL', 'SELECT pg_reload_conf()';
        });
    finds(
        'a slot that nobody uses',
        sqls(q{SELECT pg_create_logical_replication_slot('await_old', 'pgoutput')}),
        1,
        qr/^WRONG    replication slot await_old .*nobody.*\n +remedy: .*pg_drop_replication_slot\('await_old'\)$/m,
        sqls(q{SELECT pg_drop_replication_slot('await_old')}));
    finds(
        'a sink of a relay that is behind',
        sqls(q{INSERT INTO await.relay_cursor (relay, sink, no, cursor) VALUES ('relay', 'gone', 1, 'kafka:5:1000')}),
        1,
        qr/^WRONG    relay: sink gone of relay is \d+ s behind \(no relay is running\)\n +remedy: start await-relay/m,
        sqls('DELETE FROM await.relay_cursor'));
    finds(
        'max_connections',
        conf('nginx/nginx.conf', sub { s/worker_processes 2/worker_processes 40/ }),
        0,
        qr/^warning  connections: nginx may need 244 .*has 97.*\n +remedy: ALTER SYSTEM SET max_connections = \d+/m,
        conf('nginx/nginx.conf', sub { s/worker_processes 40/worker_processes 2/ }));
    Await::Stack::make_dir("$s->{dir}/wrong");
    Await::Stack::write_file("$s->{dir}/wrong/date", qq{#!/bin/sh\nexec /bin/date -d '+60 seconds' "\$@"\n}, 0755);
    Await::Stack::make_dir("$s->{dir}/slow");
    Await::Stack::write_file("$s->{dir}/slow/date", qq{#!/bin/sh\n/bin/date "\$@"\nsleep 2.1\n}, 0755);
    finds(
        'a host that stands still between two looks at its clock',
        sub { }, 0, qr/^ok       clock: PostgreSQL's differs by 0\.000 s$/m,
        sub { }, env => { PATH => "$s->{dir}/slow:$ENV{PATH}" });
    finds('a clock',
        sub { }, 0, qr/^warning  clock: PostgreSQL's differs .* by -(?:59|60)\.\d+ s.*\n +remedy: .*timedatectl/m,
        sub { }, env => { PATH => "$s->{dir}/wrong:$ENV{PATH}" });
};

subtest 'Redis' => sub {
    my $address = "redis://127.0.0.1:$host->{redis_port}";
    finds(
        'Redis is down',
        sub { $s->end('redis', 'TERM') },
        1, qr/^WRONG    Redis: \Q$address\E does not answer.*\n +remedy: systemctl start redis-server/m,
        sub { });
    $host->start_redis;
    my $as_nobody = conf('nginx/snippets/await.conf', sub { s{redis://}{redis://nobody:wrong\@} });
    my $as_before = conf('nginx/snippets/await.conf', sub { s{nobody:wrong\@}{} });
    finds('a wrong password, where the default user needs none',
        $as_nobody, 1, qr/^WRONG    Redis: .*refuses the password: .*WRONGPASS/m, $as_before);
    my $redis = "redis-cli -p $host->{redis_port}";
    my $acl = "ACL SETUSER limited on '>TOPSECRET' '&other:*' '+\@all'";
    is `$redis $acl; $redis CONFIG SET requirepass TOPSECRET`, "OK\nOK\n", 'a user that is limited';
    finds('a password is missing', sub { }, 1, qr/^WRONG    Redis: .*refuses the password: NOAUTH/m, sub { });
    my $text = slurp("$host->{etc}/nginx/snippets/await.conf");
    my $said = finds(
        'a user without the channels',
        conf('nginx/snippets/await.conf', sub { s{redis://}{redis://limited:TOPSECRET@} }),
        1,
        qr/refuses PUBLISH .*: ACL SETUSER limited \+publish "&await:\*".*refuses SUBSCRIBE .*limited \+subscribe/s,
        conf('nginx/snippets/await.conf', sub { $_ = $text }));
    unlike $said, qr/TOPSECRET/, 'its password is not shown';
    `$redis -a TOPSECRET --no-auth-warning ACL SETUSER limited '&await:*' -ping`;
    finds(
        'a user without PING',
        conf('nginx/snippets/await.conf', sub { s{redis://}{redis://limited:TOPSECRET@} }),
        1,
        qr/refuses PING: .*\n +remedy: ACL SETUSER limited \+ping/m,
        conf('nginx/snippets/await.conf', sub { $_ = $text }));
    $s->end('redis', 'TERM');
    $host->start_redis;
};

subtest 'several at once: in the order in which to mend them' => sub {
    $host->sql('ALTER ROLE "www-data" NOLOGIN');
    $host->sql('REVOKE await_worker FROM daemon');
    $s->end('redis', 'TERM');
    my ($status, $out) = check('--etc=' . $host->{etc});
    is $status, 1, 'exit status';
    like $out, qr/WRONG    PostgreSQL.*WRONG    Redis.*^wrong: 2, warnings: 0\. Mend the first one first/ms,
        'the login is first';
    ($status, $out) = $host->ctl('check', ['--frobnicate']);
    is $status, 64, 'wrong arguments';
    ($status, $out) = $host->ctl('check', [], env => { AWAIT_NGINX => '/none' });
    is $status, 69, 'no nginx';
};

finish();
