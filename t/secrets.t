# Passwords are nowhere that others can read. Was a bug: they were in ps, in the environment of the commands that read
# strangers' files, in what nginx -t and error.log say of a mistake, and in files that everybody could open.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use IO::Socket::INET;
use Test::More;

my $s = start_stack(
    workers => 2,
    extra => 'location = /metrics { await_metrics; } location = /env { await_submit env; }',
    http => "proxy_cache_path \${DIR}/cache keys_zone=c:1m;\n"
);
my @secrets = ($s->{password}, map { $s->password($_) } qw(admin await edge worker));
sub told { my ($text) = @_; return scalar grep { index($text, $_) >= 0 } @secrets }
sub own_processes {
    return
        grep { (readlink "/proc/$_/cwd" // '') eq $s->{dir} || slurp("/proc/$_/cmdline") =~ /\Q$s->{dir}\E/ }
        map { m{(\d+)$} } glob '/proc/[0-9]*';
}

# What a job's command has in its environment, by the options of its worker.
sub environment_of_job {
    my ($name, @options) = @_;
    $s->start_worker($name, '--queue', 'env', @options, '--', 'env');
    my $r = post('/env', 'x', Prefer => 'wait=20');
    $s->end($name, 'TERM');
    return $r->{body};
}

subtest 'a job\'s command' => sub {
    local @ENV{qw(DATABASE_URL PGPASSFILE AWAIT_QUEUE TRACEPARENT)} =
        ("postgres://u:$secrets[4]\@h/x", '/x', 'not-this', 'not-this');
    my $env = environment_of_job('plain');
    like $env, qr/^AWAIT_JOB_ID=/m, 'knows its job';
    like $env, qr/^PATH=/m, 'and what is no secret';
    is_deeply [ $env =~ /^AWAIT_QUEUE=(.*)/mg ], ['env'], 'what it is told of its job is told once';
    is told($env), 0, 'but no password, under whatever name' or diag $env;
    unlike $env, qr/^(AWAIT_POSTGRES|AWAIT_REDIS|REDISCLI_AUTH|PG\w*|DATABASE_URL)=/m,
        'no variable of a connection is there';
    $env = environment_of_job('asked', '--pass-env', 'AWAIT_POSTGRES,PGPASSWORD', '--pass-env', 'AWAIT_REDIS');
    like $env, qr/^AWAIT_POSTGRES=host=.*user=worker$/m, 'asked for, it gets it';
    like $env, qr/^PGPASSWORD=\Q$secrets[4]\E$/m, 'PGPASSWORD as well';
    like $env, qr/^AWAIT_REDIS=/m, 'AWAIT_REDIS as well';
    unlike $env, qr/^REDISCLI_AUTH=/m, 'and no more';
    my $peek = sub { my ($name) = @_;
        $s->start_worker($name, '--queue', 'env', '--', 'sh', '-c', 'cat /proc/$PPID/environ 2>&1; true');
        my $r = post('/env', 'x', Prefer => 'wait=20'); $s->end($name, 'TERM'); return $r->{body} };
    SKIP: {
        skip 'its commands are another user\'s only if we are root', 2
            unless $> == 0 && Await::Stack::reachable('nobody', $s->{worker});
        local $s->{run_as} = 'nobody';
        my $seen = $peek->('peeking');
        like $seen, qr/Permission denied/, 'nor does it read its worker\'s';
        is told($seen), 0, 'no secret in what it saw';
    }
};

subtest 'await-worker\'s arguments' => sub {
    my %ways = (
        'as arguments' => [ '--postgres', $s->postgres('worker'), '--redis', $s->redis ],
        'with =' => [ '--postgres=' . $s->postgres('worker'), '--redis=' . $s->redis ],
        'as a URL' => [ '--postgres', "postgresql://worker:$secrets[4]\@127.0.0.1:$s->{pg_port}/await" ],
    );
    for my $way (sort keys %ways) {
        $s->spawn('argued', [ $s->{worker}, @{ $ways{$way} }, '--queue', 'env', '--', 'true' ]);
        my $pid = $s->pid('argued');
        ok until_true("$way: connected",
            sub { sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'nginx-await-worker'") > 0 }),
            "$way: it works";
        my $seen = slurp("/proc/$pid/cmdline") =~ tr/\0/ /r;
        is told($seen), 0, 'and hides it' or diag $seen;
        like $seen, qr/--queue env -- true/, 'the rest can be read';
        $s->end('argued', 'TERM');
        eventually("$way: the worker is gone",
            sub { sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'nginx-await-worker'") == 0 });
    }
    Await::Stack::write_file("$s->{dir}/conninfo", $s->postgres('worker') . "\n", 0600);
    Await::Stack::write_file("$s->{dir}/url", $s->redis . "\n", 0600);
    $s->spawn(
        'filed',
        [
            $s->{worker}, '--postgres', "\@$s->{dir}/conninfo", '--redis',
            "\@$s->{dir}/url", '--queue', 'work', '--',
            'cat'
        ]);
    is post('/jobs', 'from a file', Prefer => 'wait=20')->{body}, 'from a file', '@FILE';
    $s->end('filed', 'TERM');
};

subtest 'thin hints: what a job says does not pass Redis' => sub {
    for my $thin (0, 1) {
        my $redis = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $s->{redis_port}) or die;
        print $redis "AUTH $s->{password}\r\nPSUBSCRIBE await:*\r\n";
        my $heard = '';
        my $listen = sub {
            my ($enough) = @_;
            until_true(
                'heard',
                sub {
                    sysread $redis, $heard, 65536, length $heard if IO::Select->new($redis)->can_read(0.05);
                    $heard =~ $enough;
                });
        };
        $listen->(qr/psubscribe/);
        $s->start_worker('hinting', '--queue', 'work', $thin ? '--thin-hints' : (), '--', 'cat');
        my $r = post('/jobs', 'a result in the open', Prefer => 'wait=20');
        is $r->{body}, 'a result in the open',
            "the result is what was sent: " . ($thin ? 'thin hints' : 'hints with data');
        ok $listen->(qr/ completed/), 'its hint';
        my $says = $heard =~ /completed \S+ \{/ ? 1 : 0;
        is $says, 1 - $thin, $thin ? 'says nothing' : 'says it all';
        $s->end('hinting', 'TERM');
    }
};

my @wrong = (
    'host=db.invalid dbname=x user=u password=TOPSECRET',
    "host=db.invalid password='TOP SECRET'",
    "host=db.invalid password='TOP\\'SECRET'",
    "password='TOPSECRET",
    'password=TOP SECRET host=db.invalid',
    'host=127.0.0.1 password=TOPSECRET port=abc',
    'host=127.0.0.1 password=TOPSECRET sslmode=bogus',
    'host=127.0.0.1 passwrd=TOPSECRET',
    'host=127.0.0.1 port=TOPSECRET',
    'host=127.0.0.1 sslpassword=TOPSECRET connect_timeout=soon',
    'host=127.0.0.1 password=TOPSECRET sslrootcert=/no/such',
    'postgres//u:TOPSECRET@h/x',
    'postgres:u:TOPSECRET@h/x',
    'u:TOPSECRET@h/x',
    'TOPSECRET',
    'TOPSECRET@h',
    'postgres://u:TOPSECRET@db.invalid/x',
    'postgres://u:a@TOPSECRET@db.invalid/x',
    'postgres://u:TOP%zzSECRET@h/x',
    'postgres://u:TOPSECRET',
    'postgres://u:TOP/SECRET@h/x',
    'postgres://u:TOPSECRET@[::1/x',
    'postgres://h/x?password=TOPSECRET&nope=1',
    'postgres://h/x?passwd=TOPSECRET',
    'postgres://h/x?TOPSECRET',
    'mysql://u:TOPSECRET@h/x',
    'dbname=postgres://u:TOPSECRET@h/x port=abc',
);
my @wrong_redis = (
    'redis://default:TOPSECRET@db.invalid:6379', 'rediss://default:TOPSECRET@db.invalid',
    'redis//default:TOPSECRET@h', 'default:TOPSECRET@h:6379',
    'redis://default:TOPSECRET@h:port', 'redis://:TOPSECRET@h:99999',
    'redis://default:TOPSECRET@h/base', 'redis://default:TOPSECRET',
    'redis://default:TOPSECRET@', 'http://default:TOPSECRET@h',
    'redis:default:TOPSECRET@h', 'TOPSECRET',
);
subtest 'what nginx -t and await-worker say of a mistake' => sub {
    my $t = Await::Stack->new(dir => "$s->{dir}/config");
    $t->{port} = Await::Stack::free_port();
    my $try = sub {
        my ($directive, $address, @worker) = @_;
        $t->configure_nginx(
            "await_$directive \"" . ($address =~ s/(["\\])/\\$1/gr) . "\"; server { listen 127.0.0.1:\${PORT}; }");
        my $said = $t->nginx_t;
        isnt $?, 0, "$directive: refused: $address";
        unlike $said, qr/TOP|SECRET/, 'without a word of it';
        like $said, qr/"[^"]*" .* in \S+site\.conf:1$/m, 'what, why and where';
        my $pid = open(my $out, '-|') // die;
        if (!$pid) {
            open STDERR, '>&', \*STDOUT;
            exec 'timeout', '10', $s->{worker}, @worker, '--queue', 'none', '--', 'true';
        }
        $said = do { local $/; <$out> };
        close $out;
        # names are its own business to look up: libpq does so when it connects
        unlike $said, qr/TOP|SECRET/, 'await-worker neither' or diag $said;
    };
    $try->('postgres', $_, '--postgres', /db\.invalid/ ? "$_ port=abc" : $_) for @wrong;
    $try->('redis', $_, '--postgres', 'host=127.0.0.1 port=abc', '--redis', $_) for @wrong_redis;
    $t->configure_nginx("await_postgres '$_'; server { listen 127.0.0.1:\${PORT}; }"), like $t->nginx_t,
        qr/it must specify at least "host="/, "'$_' is none"
        for '', ' ';
};

subtest 'a server that repeats what it was told' => sub {
    # a Redis whose AUTH has another name says "unknown command `AUTH`, with args beginning with: …"
    my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 5) or die;
    my $pid = fork // die;
    if (!$pid) {
        while (my $c = $server->accept) {
            sysread $c, my $said, 4096;
            syswrite $c, "-ERR unknown command `AUTH`, with args beginning with: `default`, `TOPSECRET`\r\n";
            close $c;
        }
        POSIX::_exit(0);
    }
    my $line = "await_redis redis://default:TOPSECRET\@127.0.0.1:@{[ $server->sockport ]};\n";
    $s->end('nginx', 'TERM');
    my $from = length error_log();
    $s->start_nginx($line . $Await::Test::SITE =~ s/\$\{REREAD\}/1h/r =~ s/\$\{EXTRA\}//r);
    ok until_true('told', sub { substr(error_log(), $from) =~ /cannot connect to Redis.*AUTH.*ERR unknown command/ }),
        'its error is told';
    unlike error_log(), qr/TOPSECRET/, 'without the password';
    kill 'KILL', $pid;
    waitpid $pid, 0;
    $s->end('nginx', 'TERM');
    $s->start_nginx(
        $Await::Test::SITE =~ s/\$\{REREAD\}/1h/r =~ s/\$\{EXTRA\}/location = \/metrics { await_metrics; }/r);
};

subtest 'nginx\'s helpers connect to nothing' => sub {
    # was a bug: a proxy_cache_path alone made two processes more that held connections, for ever
    $s->end('nginx', 'TERM');
    $s->start_nginx("proxy_cache_path $s->{dir}/cache keys_zone=c:1m;\n" . $Await::Test::SITE =~ s/\$\{REREAD\}/1h/r =~
            s/\$\{EXTRA\}/location = \/metrics { await_metrics; }/r);
    my $master = $s->pid('nginx');
    ok until_true(
        'there is a cache manager',
        sub {
            grep { slurp("/proc/$_/cmdline") =~ /cache manager/ } split ' ',
                slurp("/proc/$master/task/$master/children");
        }
        ),
        'a cache manager runs';
    eventually('nginx is connected',
        sub { (metric('await_redis_connections') // 0) >= 2 && (metric('await_postgres_connections') // 0) >= 6 });
    is sql("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'nginx-await-%'"), 6,
        'three for each nginx worker, and no more';
    is metric('await_postgres_connections'), 6, 'counted';
    is metric('await_redis_connections'), 2, 'two for Redis';
};

subtest 'processes and files of the stack' => sub {
    $s->start_worker('worker1', '--queue', 'work', '--', 'cat');
    is post('/jobs', 'x', Prefer => 'wait=20')->{body}, 'x', 'the worker answers a submission';
    my @pids = own_processes();
    cmp_ok scalar(@pids), '>=', 6, 'all are looked at';
    is told(slurp("/proc/$_/cmdline")), 0, "$_: " . (slurp("/proc/$_/cmdline") =~ tr/\0/ /r) for @pids;
    my @open;
    require File::Find;
    File::Find::find(
        { no_chdir => 1, wanted => sub { push @open, $_ if -f $_ && !-l $_ && ((stat _)[2] & 07) && -s _ } },
        $s->{dir});
    is_deeply \@open, [], 'no file is everybody\'s';
    is((stat $s->{dir})[2] & 07777, 0711, 'and the directory is no list');
    is told(slurp($_)), 0, "$_ has no password" for glob "$s->{dir}/logs/*";
    my @users = split /\n/, sql("SELECT DISTINCT a.usename || ' ' || r.rolsuper FROM pg_stat_activity a
        JOIN pg_roles r ON r.rolname = a.usename WHERE a.application_name LIKE 'nginx-await%' ORDER BY 1");
    is_deeply \@users, [ 'edge false', 'worker false' ], 'nginx and the workers are roles of their own, no superuser';
    if ($> == 0) { isnt((stat "/proc/" . $s->pid($_))[4], 0, "$_ is not root's") for qw(redis postgres) }
};

subtest 'await-ctl' => sub {
    # a psql that tells what it was called with, and that it has what it needs
    Await::Stack::write_file(
        "$s->{dir}/psql",
        "#!/bin/sh\ntr '\\0' ' ' < /proc/\$PPID/cmdline > $s->{dir}/caller\necho \"\$*\" > $s->{dir}/arguments\n"
        . "exec /usr/bin/psql \"\$@\"\n",
        0755
    );
    local $ENV{PATH} = "$s->{dir}:$ENV{PATH}";
    my $p = $s->password('await');
    for my $conninfo ($s->postgres, $s->place('await') . " password='$p'",
        $s->place('await') . " password = '$p' sslmode=prefer", "postgres://await:$p\@127.0.0.1:$s->{pg_port}/await",
            "postgresql://await\@127.0.0.1:$s->{pg_port}/await?password=$p&sslmode=prefer") {
        my $out = `$Await::Stack::ROOT/tools/await-ctl migrate "$conninfo" 2>&1`;
        is $?, 0, $conninfo =~ s/\Q$p\E/***/r or diag $out;
        is told(slurp("$s->{dir}/$_")), 0, "not in the arguments ($_)"
            or diag slurp("$s->{dir}/$_")
            for qw(caller arguments);
    }
};
finish();
