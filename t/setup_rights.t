# `await-ctl setup` where PostgreSQL and Redis belong to others: a role that is no superuser, by TLS; rights that are
# missing; a Redis with users. No password is seen by anybody but its reader.

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
my $tls = "$s->{dir}/tls";
Await::Stack::make_dir($tls);
{
    my $key = '-newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2';
    my $for = q{-subj /CN=db -addext 'subjectAltName=IP:127.0.0.1'};
    system("cd $tls && openssl req -x509 $key $for 2>/dev/null && chown postgres key.pem && chmod 644 cert.pem") == 0
        or die 'openssl';
}
my @log = map { ('-c', $_) } 'log_statement=all', 'log_connections=on';
my $host = Await::Host->start(
    $s,
    hba => "local all postgres peer\nhostssl all all 127.0.0.1/32 scram-sha-256\n",
    postgres => [ @log, map { ('-c', $_) } 'ssl=on', "ssl_cert_file=$tls/cert.pem", "ssl_key_file=$tls/key.pem" ]);
$s->end('redis', 'TERM');
Await::Stack::write_file("$s->{dir}/users.acl", "user default on >ADMIN%SECRET ~* &* +\@all\n", 0644);
$host->start_redis('--aclfile', "$s->{dir}/users.acl");

# Commands that write down their arguments, as everybody can see them
my $argv = "$s->{dir}/argv";
Await::Stack::write_file($argv, '', 0666);
Await::Stack::make_dir("$s->{dir}/watched");
for my $command (qw(psql redis-cli setpriv setsid env timeout)) {
    my ($real) = grep { -x } Await::Stack::pg_bin() . "/$command", "/usr/bin/$command";
    Await::Stack::write_file("$s->{dir}/watched/$command", <<"SH", 0755);
#!/bin/sh
printf '%s\\n' "\$0 \$*" >> $argv
exec $real "\$@"
SH
}
my %watched = (PATH => "$s->{dir}/watched:$ENV{PATH}", PGHOST => undef, PGPORT => undef);
my $verified = "sslmode=verify-full sslrootcert=$tls/cert.pem";
my $default = "redis://default:ADMIN%25SECRET\@127.0.0.1:$host->{redis_port}";
my $before = $host->state;

sub redis_cli {
    local $ENV{REDISCLI_AUTH} = 'ADMIN%SECRET';
    return scalar `redis-cli --no-auth-warning -p $host->{redis_port} @_ 2>&1`;
}

subtest 'a managed PostgreSQL, and Redis with users' => sub {
    my $password = q(p@ss 'w"%\\:é);
    $host->sql(q{CREATE ROLE "d b@" LOGIN CREATEDB CREATEROLE PASSWORD 'p@ss ''w"%\:é'});
    $before = $host->state;
    my $escaped = $password =~ s/([^A-Za-z0-9])/sprintf '%%%02x', ord $1/ger;
    my $options = "sslmode=verify-full&sslrootcert=$tls/cert.pem";
    my %env = (
        %watched,
        AWAIT_POSTGRES => "postgres://d%20b%40:$escaped\@127.0.0.1:$host->{pg_port}/postgres?$options",
        AWAIT_REDIS => $default
    );
    my @arguments = ('--enable', '--redis-users', '--relay=redis', "--options=$verified");
    my ($status, $out) = $host->setup(\@arguments, env => \%env);
    is $status, 0, 'exit status' or diag $out;
    like $out, qr/^done: make the administrator a member of await_owner$/m, 'it can act as the owner';
    unlike $out, qr/WARNING: logins/, 'no warning of TLS';
    like $out, qr/WARNING: Redis forgets|done: create the Redis user await_relay/, 'Redis has users';
    $host->start_nginx;
    $host->start_worker('example', qw(tr a-z A-Z));
    my $answer = post('/jobs', 'by tls', Prefer => 'wait=15');
    is "$answer->{status} $answer->{body}", '200 BY TLS', 'a job is submitted, processed and answered';
    my $unencrypted = $host->sql(<<'SQL');
SELECT count(*) FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) WHERE a.usename <> 'postgres' AND NOT s.ssl
SQL
    is $unencrypted, 0, 'by TLS';
    my $relay = `set -a; . $host->{etc}/await/relay.env; @{[$s->{worker} =~ s/worker$/relay/r]} --check 2>&1`;
    is $?, 0, 'the relay has what it needs' or diag $relay;
    my $users = redis_cli('CLIENT LIST');
    like $users, qr/ user=await_$_ /, "$_ uses its user of Redis" for qw(edge worker);
    $s->end($_, 'TERM') for qw(worker nginx);
    unlike slurp("$s->{dir}/logs/error.log"), qr/refuses|lost connection/, 'nginx may do all that it needs';

    my @secrets = map { slurp("$host->{etc}/await/$_") =~ /([0-9a-f]{48})/ }
        qw(nginx.pgpass worker.pgpass relay.pgpass await_edge.redis await_worker.redis await_relay.redis);
    is scalar @secrets, 6, 'there are six passwords';
    cmp_ok -s $argv, '>', 1000, 'arguments were seen';
    my $seen = slurp($argv) . $out . slurp("$s->{dir}/logs/postgres.log") . slurp("$s->{dir}/logs/redis.log");
    my @shown = grep { index($seen, $_) >= 0 } @secrets, $password, $escaped, 'ADMIN%SECRET', 'ADMIN%25SECRET';
    is_deeply \@shown, [], 'no password is in an argument, what is printed or a log';
    my $stored = `grep -rlE 'ADMIN.*SECRET|\Q$escaped\E' $host->{etc}`;
    is $stored, '', 'nobody stores the passwords of administrators';
    my @open =
        grep { (stat)[2] & 077 && /env$/ ? (stat)[2] & 07 : (stat)[2] & 077 } grep { -f } glob "$host->{etc}/await/*";
    is_deeply \@open, [], 'others can read no file of them';

    my $after = $host->state;
    ($status, $out) = $host->setup(\@arguments, env => \%env);
    is $status, 0, 'a second run: exit status' or diag $out;
    like $out, qr/^Nothing was to be done/m, 'a second run says so';
    is_deeply $host->state, $after, 'a second run changes nothing';
    my ($checked, $said) = $host->ctl('check', [ '-d', 'host=127.0.0.1 port=' . $host->{pg_port} ]);
    like $said, qr/^ok       PostgreSQL: nginx can log in as "www-data"/m, 'check sees it';
    unlike $said, qr/[0-9a-f]{48}/, 'check shows no password';
    my $undone = `PGPASSWORD='' sh '$host->{etc}/await/undo.sh' 2>&1`;
    isnt $?, 0, 'undoing without the password of Redis: exit status';
    like $undone, qr/^Redis: NOAUTH.*^undo\.sh: not all is undone/ms, 'it says why, and keeps the rest';
    {
        local @ENV{qw(PGPASSWORD REDISCLI_AUTH)} = ($password, 'ADMIN%SECRET');
        $host->undoes($before, 'managed');
    }
    is redis_cli('ACL USERS'), "default\n", 'nor a user of Redis';
    unlike slurp("$s->{dir}/users.acl"), qr/await/, 'nor in its file';
    $host->sql('DROP ROLE "d b@"');
};

subtest 'rights that are missing: what somebody else has to run' => sub {
    $host->sql(q{CREATE ROLE weak LOGIN PASSWORD 'weak'});
    redis_cli(q{ACL SETUSER weak on '>weak' '&*' +publish +subscribe +unsubscribe +ping});
    $before = $host->state;
    my %env = (
        %watched,
        PGPASSWORD => 'weak',
        AWAIT_POSTGRES => "host=127.0.0.1 port=$host->{pg_port} user=weak dbname=postgres $verified",
        AWAIT_REDIS => "redis://weak:weak\@127.0.0.1:$host->{redis_port}"
    );
    my ($status, $out) = $host->setup([ '--redis-users', "--options=$verified" ], env => \%env);
    is $status, 1, 'exit status' or diag $out;
    like $out, qr/"weak" may not create role await_edge.*Have this run by a superuser/s, 'it says why';
    my ($sql) = $out =~ /same command again:\n(-- .*)/s;
    is_deeply $host->state, $before, 'nothing is changed';
    my ($asked, $listed) = $host->setup(['--sql'], env => \%env);
    is $listed, $sql, '--sql prints the same';
    is $host->script($sql), '', 'a superuser runs it';
    ($status, $out) = $host->setup([ '--redis-users', "--options=$verified" ], env => \%env);
    is $status, 1, 'a second run: exit status';
    like $out, qr/^done: migrate the schema/m, 'it has got on' or diag $out;
    like $out, qr/Whoever may change it: \\password "www-data" in psql, with the one of \S+nginx\.pgpass/,
        'a password is set by who may';
    $host->sql("ALTER ROLE \"www-data\" PASSWORD '" . password('nginx') . "'");
    $host->setup([ '--redis-users', "--options=$verified" ], env => \%env);
    $host->sql("ALTER ROLE daemon PASSWORD '" . password('worker') . "'");
    ($status, $out) = $host->setup([ '--redis-users', "--options=$verified" ], env => \%env);
    is $status, 1, 'a third run: exit status';
    my ($acl) = $out =~ /^(ACL SETUSER await_edge reset on #.*)$/m;
    ok $acl, 'what an administrator of Redis has to run' or diag $out;
    is redis_cli("'" . join("' '", split / /, $acl) . "'"), "OK\n", 'it is run';
    $host->setup([ '--redis-users', "--options=$verified" ], env => \%env) =~ /x/;
    ($acl) = ($host->setup([ '--redis-users', "--options=$verified" ], env => \%env))[1] =~
        /^(ACL SETUSER await_worker .*)$/m;
    is redis_cli("'" . join("' '", split / /, $acl) . "'"), "OK\n", 'and for workers';
    ($status, $out) = $host->setup([ '--redis-users', "--options=$verified" ], env => \%env);
    is $status, 0, 'then all is done' or diag $out;
    redis_cli(qw(ACL DELUSER weak await_edge await_worker));
};

subtest 'without Redis: only a superuser may let the database notify' => sub {
    $host->sql(q{CREATE ROLE maker LOGIN CREATEDB CREATEROLE PASSWORD 'maker'});
    my %env = (PGPASSWORD => 'maker', PGHOST => undef, PGPORT => undef, AWAIT_POSTGRES =>
            "host=127.0.0.1 port=$host->{pg_port} user=maker dbname=postgres $verified");
    my @arguments = ('--redis=off', '--database=quiet', "--options=$verified");
    my ($status, $out) = $host->setup(\@arguments, env => \%env);
    is $status, 1, 'exit status' or diag $out;
    my ($sql) = $out =~ /permission denied to set parameter.*same command again:\n(.*)/s;
    like $sql, qr/^ALTER DATABASE "quiet" SET await\.notify = on;$/m, 'what somebody else has to run' or diag $out;
    is $host->script($sql), '', 'a superuser runs it';
    is $host->sql('SHOW await.notify', 'quiet'), 'on', 'the database notifies';
    (undef, $out) = $host->setup([ @arguments, '--sql' ], env => \%env);
    unlike $out, qr/await\.notify/, 'and that is not asked for again';
};
sub password { my ($password) = slurp("$host->{etc}/await/$_[0].pgpass") =~ /([0-9a-f]{48})/; return $password }

finish();
