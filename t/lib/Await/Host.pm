package Await::Host;

# A host as `await-ctl setup` finds it: PostgreSQL that knows users by their names, on a socket; a Redis without a
# password; an nginx with its configuration in etc/. Below the directory of the stack, which ends the servers.

use strict;
use warnings;
no warnings 'exec';
use Await::Ports qw(free_port);
use Await::Stack;
use IO::Socket::INET;
use POSIX ();
use Digest::SHA qw(sha1_hex);
use File::Find qw(find);
use File::Path qw(make_path remove_tree);
use Test::More ();

our $WORKER = 'daemon';    # an unprivileged user that every Debian has

# Options: hba (lines of pg_hba.conf, instead of peer for all), postgres (its further arguments).
sub start {
    my ($class, $stack, %o) = @_;
    my $self = bless { stack => $stack, dir => $stack->{dir}, etc => "$stack->{dir}/etc", %o }, $class;
    $self->{$_} = free_port() for qw(pg_port redis_port site_port);
    $self->start_postgres;
    $self->start_redis;
    Await::Stack::make_dir("$self->{etc}/nginx/$_") for qw(conf.d sites-enabled);
    $self->write_nginx("load_module $stack->{module};\n");
    return $self;
}

sub write_nginx {
    my ($self, $main) = @_;
    Await::Stack::write_file("$self->{etc}/nginx/nginx.conf", <<"CONF");
${main}user www-data;
worker_processes 2;
pid $self->{dir}/nginx.started;
error_log $self->{dir}/logs/error.log notice;
events { worker_connections 200; }
http {
    access_log off;
    client_body_temp_path $self->{dir}/tmp-body; proxy_temp_path $self->{dir}/tmp-proxy;
    fastcgi_temp_path $self->{dir}/tmp-fastcgi; uwsgi_temp_path $self->{dir}/tmp-uwsgi;
    scgi_temp_path $self->{dir}/tmp-scgi;
    include $self->{etc}/nginx/conf.d/*.conf;   # "}" in a comment
    include sites-enabled/*;
}
CONF
    return;
}

sub start_postgres {
    my ($self) = @_;
    my ($stack, $data) = ($self->{stack}, "$self->{dir}/pg");
    my $bin = Await::Stack::pg_bin();
    my @postgres = (getpwnam 'postgres')[ 2, 3 ];
    unless (-e $data) {
        make_path($data, "$self->{dir}/sock");
        chown @postgres, $data, "$self->{dir}/sock";
        chmod 0755, "$self->{dir}/sock";
        Await::Stack::system_or_die("$self->{dir}/logs/initdb.log",
            $stack->as_pg, "$bin/initdb", '-D', $data, '-U',
            'postgres', '-A', 'peer', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync', '--no-instructions');
    }
    $self->hba($self->{hba} // "local all all peer\n");
    $stack->spawn(
        'postgres',
        [
            "$bin/postgres", '-D',
            $data, '-p',
            $self->{pg_port}, '-k',
            "$self->{dir}/sock", '-c',
            'listen_addresses=127.0.0.1', '-c',
            'fsync=off', '-c',
            'full_page_writes=off', '-c',
            'wal_level=logical', @{ $self->{postgres} // [] }
        ],
        user => 'postgres'
    );
    $stack->wait_for('postgres', 60, sub { $self->sql('SELECT 1') eq '1' });
    return;
}

sub hba {
    my ($self, $lines) = @_;
    Await::Stack::write_file("$self->{dir}/pg/pg_hba.conf", $lines, 0644);
    my $pid = $self->{stack}->pid('postgres');
    kill 'HUP', $pid if $pid;
    return;
}

sub start_redis {
    my ($self, @options) = @_;
    my ($binary) = grep { -x } map { ("/usr/bin/$_-server", "/usr/bin/$_-check-rdb") } qw(redis valkey);
    my ($name) = $binary =~ m{/(redis|valkey)};
    symlink $binary, "$self->{dir}/$name-server" unless -l "$self->{dir}/$name-server";
    $self->{stack}->spawn('redis',
        [ "$self->{dir}/$name-server", '--bind', '127.0.0.1', '--port', $self->{redis_port}, '--save', '', @options ]);
    $self->{stack}->wait_for('redis', 20,
        sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{redis_port}) });
    return;
}

# By the superuser, who is let in by name. Fields by |, rows by newline; on an error what psql says.
sub sql {
    my ($self, $sql, $database) = @_;
    my $pid = open(my $from, '-|') // die "fork: $!\n";
    if ($pid == 0) {
        chdir '/';
        delete @ENV{ grep { /^PG/ } keys %ENV };
        open STDERR, '>&', \*STDOUT;
        my @psql = (Await::Stack::pg_bin() . '/psql', '-XAtq', '-v', 'ON_ERROR_STOP=1');
        exec $self->{stack}->as_pg, @psql, '-h', "$self->{dir}/sock", '-p', $self->{pg_port}, '-U', 'postgres', '-d',
            'dbname=' . quoted($database // 'postgres'), '-c', $sql;
        POSIX::_exit(127);
    }
    my $out = do { local $/; <$from> }
        // '';
    close $from;
    chomp $out;
    return $out;
}

# A script of psql, run by the superuser; what it says.
sub script {
    my ($self, $text) = @_;
    my $file = "$self->{dir}/script.sql";
    Await::Stack::write_file($file, $text, 0644);
    my @as = $self->{stack}->as_pg;
    my $psql = Await::Stack::pg_bin() . '/psql -XAtq -v ON_ERROR_STOP=1';
    return scalar `cd / && @as $psql -h $self->{dir}/sock -p $self->{pg_port} -U postgres -f $file 2>&1`;
}

sub quoted { my ($text) = @_; $text =~ s/(['\\])/\\$1/g; return "'$text'" }

# await-ctl on this host, without a terminal: its exit status, and what it says. Options: env (hash), before (a command
# that runs it), tool.
sub ctl {
    my ($self, $command, $arguments, %o) = @_;
    my %env = (
        PGHOST => "$self->{dir}/sock",
        PGPORT => $self->{pg_port},
        AWAIT_NGINX => $self->{stack}{nginx},
        AWAIT_REDIS => "redis://127.0.0.1:$self->{redis_port}",
        %{ $o{env} // {} });
    my $pid = open(my $from, '-|') // die "fork: $!\n";
    if ($pid == 0) {
        delete @ENV{ grep { /^(?:PG|AWAIT_)/ } keys %ENV };
        @ENV{ grep { defined $env{$_} } keys %env } = grep { defined } values %env;
        open STDIN, '<', '/dev/null';
        open STDERR, '>&', \*STDOUT;
        exec @{ $o{before} // [] }, $o{tool} // "$Await::Stack::ROOT/tools/await-ctl", $command, "--etc=$self->{etc}",
            @$arguments;
        POSIX::_exit(127);
    }
    my $out = do { local $/; <$from> }
        // '';
    close $from;
    return ($? & 127 ? 128 + ($? & 127) : $? >> 8, $out);
}

sub version {
    my ($version) = Await::Stack::read_file("$Await::Stack::ROOT/src/base/version.h") =~ /"(.*?)"/;
    return $version;
}

sub setup {
    my ($self, $arguments, %o) = @_;
    return $self->ctl('setup',
        [ '--yes', "--worker-user=$WORKER", "--listen=127.0.0.1:$self->{site_port}", @$arguments ], %o);
}

# All that setup could change: files with their modes and owners, roles, databases, members, schemas.
sub state {
    my ($self) = @_;
    my %found;
    find({
            no_chdir => 1,
            wanted => sub {
                my @stat = lstat;
                my $content = -l _ ? readlink : -f _ ? sha1_hex(Await::Stack::read_file($_)) : 'directory';
                $found{$_} = sprintf '%o %d:%d %s', @stat[ 2, 4, 5 ], $content;
            }
        },
        $self->{etc});
    my $catalogue = $self->sql(<<'SQL');
SELECT 'role', oid, rolname, rolcanlogin::text FROM pg_roles
UNION ALL SELECT 'database', oid, datname, datacl::text FROM pg_database
UNION ALL SELECT 'member', roleid, member::text, admin_option::text FROM pg_auth_members
UNION ALL SELECT 'setting', setrole, setdatabase::text, setconfig::text FROM pg_db_role_setting ORDER BY 1, 2, 3
SQL
    return { %found, map { $_ => 1 } split /\n/, $catalogue };
}

# An assertion: setup ends with this status, says this, and leaves this state.
sub refuses {
    my ($self, $state, $name, $arguments, $status, $says, %o) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($got, $out) = $self->setup($arguments, %o);
    Test::More::is($got, $status, "$name: exit status") or Test::More::diag($out);
    Test::More::like($out, $says, "$name: what it says");
    Test::More::is_deeply($self->state, $state, "$name: nothing is changed");
    return;
}

# An assertion: the file that setup has written undoes all of it, which leaves this state.
sub undoes {
    my ($self, $state, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $file = "$self->{etc}/await/undo.sh" =~ s/'/'\\''/gr;
    my $out = `sh '$file' 2>&1`;
    Test::More::is("$? $out", '0 ', "$name: undoing complains of nothing");
    Test::More::is_deeply($self->state, $state, "$name: nothing is left");
    return;
}

# All databases and roles, as SQL.
sub dump {
    my ($self) = @_;
    my @as = $self->{stack}->as_pg;
    my $bin = Await::Stack::pg_bin();
    my $dump = `cd / && @as $bin/pg_dumpall -h $self->{dir}/sock -p $self->{pg_port} -U postgres 2>&1`;
    return $dump =~ s/^\\(?:un)?restrict .*\n//mgr;
}

sub start_nginx {
    my ($self) = @_;
    my $s = $self->{stack};
    $s->{port} = $self->{site_port};
    $s->spawn('nginx', [ $s->{nginx}, '-c', "$self->{etc}/nginx/nginx.conf", '-g', 'daemon off;' ]);
    $s->wait_for('nginx', 20, sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{site_port}) });
    return;
}

# A worker as systemd starts it: its user, with the variables of the file that setup wrote, which root reads.
sub start_worker {
    my ($self, $queue, @command) = @_;
    my $s = $self->{stack};
    my @user = ('setpriv', '--reuid', $WORKER, '--regid', $WORKER, '--clear-groups', 'env', 'HOME=/nonexistent');
    $s->spawn(
        'worker',
        [
            'sh', '-c', 'set -a; . "$1"; shift; exec "$@"',
            'sh', "$self->{etc}/await/$queue.env",
            @user, $s->{worker}, '--queue', $queue, '--', @command
        ]);
    return;
}

1;
