package Await::Stack;

# A private stack in one directory: PostgreSQL with the schema, Redis, nginx with the module, workers.
# `make run`, the tests and the benches all start theirs here. Every process is ended by its pid.
#
# Who is who in its database: "admin", the superuser, makes databases and looks into tables; "await" owns the schema and
# migrates; "edge", a member of await_edge, is nginx; "worker", a member of await_worker, is the workers. Redis is the user
# daemon: the workers' commands (nobody) and PostgreSQL (postgres) are others.

use strict;
use warnings;
no warnings 'exec';
use Await::Ports qw(check_port free_port read_random reserve);
use Cwd qw(abs_path);
use Digest::SHA qw(sha1_hex);
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use IO::Socket::INET;
use POSIX qw(:sys_wait_h setsid);
use Scalar::Util qw(weaken);
use Time::HiRes qw(time sleep);

our @all;      # the stacks of this process, while they live
our $run_psql;  # runs SQL: a conninfo, the SQL; what came of it, or undef and PostgreSQL's words
my $MEMORY_KB = 4 << 20;      # three tests at once need a fourth of it
our $ROOT = abs_path(dirname(abs_path(__FILE__)) . '/../../..');

# Options: dir (made if missing); say (called with one line for each slow step); orphans (true: the
# processes outlive us); fsync (false for tests); module, worker (paths of what was built).
sub new {
    my ($class, %o) = @_;
    my $build = $ENV{AWAIT_BUILD} // "$ROOT/build";
    my $self = bless {
        say => sub { }, fsync => 1, nginx => $ENV{AWAIT_NGINX} // find_nginx(),
        module => "$build/objs/ngx_http_await_module.so", worker => "$build/await-worker",
        worker_processes => 1, %o, pids => {}, order => [],
    }, $class;
    make_dir($self->{dir});
    my $ours = is_ours($self->{dir});
    die "$self->{dir} was not made by await-stack and is not empty; it is left as it is, choose another directory\n"
        unless $ours || is_empty($self->{dir});
    umask 027;
    chmod 0711, $self->{dir};                # who runs as another user gets through, and sees nothing
    push @all, $self;
    weaken($all[-1]);
    $self->{dir} = abs_path($self->{dir});
    $self->{user} = $> == 0 ? 'postgres' : undef;
    $self->load;
    $self->save unless $ours;                # from now on it is ours
    return $self;
}

# Whether a stack was made in a directory: only then may its mode be changed, or all of it be removed.
sub is_ours  { my ($dir) = @_; return -O $dir && read_file("$dir/stack") =~ /^password [0-9a-f]{40}$/m }
# stack.new is our mark while it is written
sub is_empty { my ($dir) = @_; opendir my $all, $dir or return 0; return !grep { !/^(?:\.\.?|stack\.new)$/ } readdir $all }

# A directory and those above it, which other users get through whatever our umask is.
sub make_dir {
    my ($dir) = @_;
    my $before = umask 022;
    make_path($dir);
    umask $before;
}

sub find_nginx { my ($path) = grep { -x } qw(/usr/sbin/nginx /usr/local/sbin/nginx /usr/local/nginx/sbin/nginx); return $path }

# --- users, files --------------------------------------------------------------------------

# Whether an unprivileged user gets at a file or directory.
sub reachable {
    my ($user, $path) = @_;
    my @pw = getpwnam $user or return 0;
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        $) = "$pw[3] $pw[3]"; $> = $pw[2];
        POSIX::_exit(-d $path ? (-x $path ? 0 : 1) : (-r $path ? 0 : 1));
    }
    waitpid $pid, 0;
    return $? == 0;
}

sub write_file {
    my ($path, $text, $mode) = @_;
    open my $file, '>', "$path.new" or die "cannot write $path: $!\n";
    chmod $mode, $file if defined $mode;
    (print $file $text) && close $file or die "cannot write $path: $!\n";
    rename "$path.new", $path or die "cannot write $path: $!\n";
}

sub read_file { my ($path) = @_; open my $file, '<', $path or return ''; local $/; return scalar <$file> // '' }

# From now on, temporary directories of this process and of those it starts are in memory, if nothing else was said by
# TMPDIR and there is room: a database is some 2,000 files, and on a disk to create them takes longer than most tests.
sub use_memory {
    return if length($ENV{TMPDIR} // '');
    my ($options) = read_file('/proc/mounts') =~ m{^\S+ /dev/shm tmpfs (\S+)}m or return;
    return if $options =~ /\b(?:noexec|ro)\b/ || !-w '/dev/shm';
    my ($left) = `df -k --output=avail /dev/shm 2>/dev/null` =~ /(\d+)/;
    my ($free) = read_file('/proc/meminfo') =~ /^MemAvailable: +(\d+) kB/m;
    $ENV{TMPDIR} = '/dev/shm' if grep({ ($_ // 0) > $MEMORY_KB } $left, $free) == 2;
    return;
}

# What a log says went wrong, from an offset on: the first line that speaks of it, else the last one.
sub last_line {
    my ($path, $from) = @_;
    my @lines = grep { /\S/ } split /\n/, substr read_file($path), $from // 0;
    my ($why) = grep { /error|fatal|could not|cannot|no space/i } @lines;
    return $why // $lines[-1] // 'it said nothing';
}

# What must stay the same from one start to the next: ports and passwords.
sub load {
    my ($self) = @_;
    for (split /\n/, read_file("$self->{dir}/stack")) { $self->{$1} = $2 if /^(pg_port|redis_port|password) (\S+)$/ }
    $self->{password} //= sha1_hex(join ' ', map { read_random() } 1);
    $self->{$_} = $self->usable($self->{$_}) for qw(pg_port redis_port);
}

sub usable {
    my ($self, $port) = @_;
    return free_port() unless $port;
    return $port if keys %{ $self->running };
    return free_port() unless reserve($port);
    return IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1, ReuseAddr => 1) ? $port : free_port();
}

sub save {
    my ($self) = @_;
    write_file("$self->{dir}/stack", join('', map { "$_ $self->{$_}\n" } qw(pg_port redis_port password)), 0600);
}

# As the schema's owner; or as one of admin, edge and worker.
sub postgres { my ($s, $role) = @_; $role //= 'await'; return $s->place($role) . ' password=' . $s->password($role) }
sub place    { my ($s, $role) = @_; return "host=127.0.0.1 port=$s->{pg_port} dbname=await user=$role" }
sub password { my ($s, $role) = @_; return sha1_hex("$s->{password} $role") }
sub redis    { my ($s) = @_; return "redis://default:$s->{password}\@127.0.0.1:$s->{redis_port}" }
sub url      { my ($s) = @_; return "http://127.0.0.1:$s->{port}" }

# --- processes --------------------------------------------------------------------------------------

# Starts a program in the background, its output in logs/NAME.log, its pid and when it began in NAME.pid.
# Options: user, env (hash), argv0.
sub spawn {
    my ($self, $name, $command, %o) = @_;
    make_path("$self->{dir}/logs");
    open my $log, '>>', "$self->{dir}/logs/$name.log" or die "cannot write $self->{dir}/logs/$name.log: $!\n";
    $self->{log_begins}{$name} = -s $log || 0;
    my @prefix = $o{user} ? ('--reuid', $o{user}, '--regid', $o{user} eq 'nobody' ? 'nogroup' : $o{user}, '--clear-groups') : ();
    push @prefix, '--pdeathsig', 'TERM' unless $self->{orphans};
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        setsid();
        chdir $self->{dir};                  # ours may be one that the other user cannot enter
        open STDIN, '<', '/dev/null'; open STDOUT, '>&', $log; open STDERR, '>&', $log;
        @ENV{ keys %{ $o{env} } } = values %{ $o{env} } if $o{env};
        exec { 'setpriv' } 'setpriv', @prefix, '--', @$command if @prefix;
        exec { $command->[0] } @$command;
        print "cannot run $command->[0]: $!\n";
        POSIX::_exit(127);
    }
    $self->adopt($name, $pid);
    return $pid;
}

# From now on a process is this one of ours.
sub adopt {
    my ($self, $name, $pid) = @_;
    $self->{pids}{$name} = $pid;
    write_file("$self->{dir}/$name.pid", "$pid " . began($pid) . "\n");
}

# When a process began, in ticks since a boot, and which boot that was: a pid alone may be another's, or of one that has ended (Z).
sub began {
    my ($pid) = @_;
    my ($fields) = read_file("/proc/$pid/stat") =~ /\) ([^)ZX][^)]*)$/ or return '';
    return (split ' ', $fields)[19] . ' ' . (split ' ', read_file('/proc/sys/kernel/random/boot_id') || 'unknown')[0];
}

sub alive {
    my ($self, $name) = @_;
    my $pid = $self->pid($name) or return 0;
    my $ended = waitpid($pid, WNOHANG);
    $self->{status}{$name} = $? if $ended == $pid;
    return !$ended if $ended >= 0;           # it is our child; one whose first thread has ended may have others
    return read_file("$self->{dir}/$name.pid") =~ /^\d+ (\S+ \S+)$/m && "$1" eq began($pid) && kill(0, $pid) ? 1 : 0;
}

sub pid { my ($self, $name) = @_; my ($pid) = read_file("$self->{dir}/$name.pid") =~ /^(\d+)/; return $pid }

# Names and pids of what runs here.
sub running {
    my ($self) = @_;
    my %found;
    for my $file (glob "$self->{dir}/*.pid") {
        my ($name) = $file =~ m{([^/]+)\.pid$};
        $self->alive($name) ? ($found{$name} = $self->pid($name)) : unlink $file;
    }
    return \%found;
}

# Ends one process: a signal, and KILL if that does not help in time.
sub end {
    my ($self, $name, $signal, $seconds) = @_;
    my $pid = $self->pid($name);
    if ($pid && $self->alive($name)) {
        kill $signal, $pid;
        my $until = time + ($seconds // 15);
        sleep 0.01 while $self->alive($name) && time < $until;
        if ($self->alive($name)) { kill 'KILL', $pid; sleep 0.01 while $self->alive($name) }
    }
    unlink "$self->{dir}/$name.pid";
    delete $self->{pids}{$name};
}

sub wait_for {
    my ($self, $name, $seconds, $ready) = @_;
    my $until = time + $seconds;
    while (time < $until) {
        return 1 if $ready->();
        unless ($self->alive($name)) {
            my $status = $self->{status}{$name} // 0;
            my $how = $status & 127 ? 'by signal ' . ($status & 127) : 'with exit code ' . ($status >> 8);
            die "$name exited at once, $how: " . last_line("$self->{dir}/logs/$name.log", $self->{log_begins}{$name}) . "\n";
        }
        sleep 0.02;
    }
    die "$name is not ready after $seconds s; see $self->{dir}/logs/$name.log\n";
}

# --- PostgreSQL ---------------------------------------------------------------------------------------

sub pg_bin {
    my ($best) = sort { ($b =~ m{/(\d+)/})[0] <=> ($a =~ m{/(\d+)/})[0] } glob '/usr/lib/postgresql/*/bin/postgres';
    die "PostgreSQL's server is missing (Debian: postgresql)\n" unless $best;
    return dirname($best);
}

sub as_pg { my ($self) = @_; return $self->{user} ? ('setpriv', '--reuid', $self->{user}, '--regid', $self->{user}, '--clear-groups', '--') : () }

sub start_postgres {
    my ($self) = @_;
    my $data = "$self->{dir}/postgres";
    my $bin = pg_bin();
    die "$data was created before nginx and the workers had separate roles, delete it with `make clean`\n" if read_file("$data/ready") eq "\n";
    $self->init_postgres($bin, $data) unless -e "$data/ready";
    unless ($self->alive('postgres')) { wait_for_orphans($data); unlink "$data/postmaster.pid" }
    my @fast = $self->{fsync} ? () : ('-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'full_page_writes=off');
    $self->{say}->('starting PostgreSQL');
    $self->spawn('postgres', [ "$bin/postgres", '-D', $data, '-p', $self->{pg_port}, '-c', 'listen_addresses=127.0.0.1',
        '-c', 'unix_socket_directories=', '-c', 'max_connections=200', '-c', 'shared_buffers=128MB', '-c', 'log_min_messages=fatal', @fast ], user => $self->{user});
    $self->wait_for('postgres', 60, sub { $self->try_sql('SELECT 1', 'postgres') });
    return if delete $self->{migrated};         # what was copied here (t/lib/Await/Template.pm) has the schema
    unless ($self->try_sql('SELECT 1')) {
        $self->sql($self->roles_sql, 'postgres');
        $self->sql('CREATE DATABASE await OWNER await', 'postgres');
    }
    $self->{say}->('applying the schema');
    local @ENV{qw(AWAIT_POSTGRES PGPASSWORD)} = ($self->place('await'), $self->password('await'));
    system_or_die("$self->{dir}/logs/migrate.log", "$ROOT/tools/await-ctl", 'migrate');
}

# The owner may make no roles, as is usual: those of the schema are there before it.
sub roles_sql {
    my ($self) = @_;
    my %in = (await => '', edge => ' IN ROLE await_edge', worker => ' IN ROLE await_worker', relay => ' IN ROLE await_relay');
    return join ";\n", (map { "CREATE ROLE $_ NOLOGIN" } qw(await_edge await_worker await_relay await_console)),
        (map { "CREATE ROLE $_ LOGIN PASSWORD '" . $self->password($_) . "'$in{$_}" } sort keys %in),
        'GRANT await_worker TO await WITH ADMIN OPTION';    # it lets others in
}

# The processes of a killed PostgreSQL end some time after it, and while one is attached to its shared memory no new one
# starts: waits for them.
sub wait_for_orphans {
    my ($data) = @_;
    my ($segment) = read_file("$data/postmaster.pid") =~ /^ *\d+ +(\d+) *$/m or return;
    my $until = time + 30;
    my $attached = sub { for (split /\n/, read_file('/proc/sysvipc/shm')) { my (undef, $id, $count) = (split)[ 0, 1, 6 ]; return $count if $id eq $segment } return 0 };
    sleep 0.02 while $attached->() && time < $until;
}

sub init_postgres {
    my ($self, $bin, $data) = @_;
    $self->{say}->('making a database in ' . $data);
    remove_tree($data);
    make_path($data);
    my $password = "$self->{dir}/password";
    write_file($password, $self->password('admin'), 0600);
    if ($self->{user}) {
        my @pw = getpwnam $self->{user};
        chown $pw[2], $pw[3], $data, $password;
    }
    chmod 0700, $data;
    my $ok = eval {
        system_or_die("$self->{dir}/logs/initdb.log", $self->as_pg, "$bin/initdb", '-D', $data, '-U', 'admin', '-A', 'scram-sha-256',
            "--pwfile=$password", '--encoding=UTF8', '--locale=C.UTF-8', '--no-instructions', $self->{fsync} ? () : '--no-sync');
        write_file("$data/ready", "roles\n");
        chown +(getpwnam $self->{user})[ 2, 3 ], "$data/ready" if $self->{user};     # a base backup copies it
    };
    my $why = $@;
    unlink $password;
    if (!$ok && $why) { remove_tree($data); die $why }
}

sub system_or_die {
    my ($log, @command) = @_;
    make_path(dirname $log);
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        chdir '/';
        open STDIN, '<', '/dev/null'; open STDOUT, '>', $log; open STDERR, '>&', \*STDOUT;
        exec { $command[0] } @command;
        print "cannot run $command[0]: $!\n";
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    my ($tool) = (grep { !/^-/ && $_ ne 'setpriv' && $_ ne 'postgres' } @command)[0];
    die "$tool failed: " . last_line($log) . " (whole log: $log)\n" if $?;
}

# Runs SQL by psql; the output, fields by |, rows by newline. Dies with PostgreSQL's words.
sub sql {
    my ($self, $sql, $database) = @_;
    my ($out, $error) = $self->psql($sql, $database);
    die $error if defined $error;
    return $out;
}
sub try_sql { my ($self, $sql, $database) = @_; my (undef, $error) = $self->psql($sql, $database); return !defined $error }

sub psql {
    my ($self, $sql, $database) = @_;
    my $conninfo = $self->place('admin') . ' connect_timeout=20';
    $conninfo =~ s/dbname=await/dbname=$database/ if $database;
    local $ENV{PGPASSWORD} = $self->password('admin');      # arguments are seen by everybody
    return $run_psql->($conninfo, $sql);
}

# By a psql of its own. The tests have another one (t/lib/Await/Psql.pm).
$run_psql = sub {
    my ($conninfo, $sql) = @_;
    my ($to, $from) = open_psql($conninfo);
    local $SIG{PIPE} = 'IGNORE';    # psql may have ended already, if there is no server
    print $to $sql; close $to;
    my $out = do { local $/; <$from> } // '';
    close $from;
    chomp $out;
    return $? == 0 ? ($out, undef) : (undef, $out || 'psql failed');
};

# A psql that ends at the first error; handles to and from it, and its pid.
sub open_psql {
    my ($conninfo) = @_;
    my ($binary) = ((grep { -x } pg_bin() . '/psql'), 'psql');     # Debian's psql is a script that looks for the first
    pipe(my $in, my $to) or die "pipe: $!\n";
    my $pid = open(my $from, '-|') // die "fork: $!\n";
    if ($pid == 0) {
        close $to; open STDIN, '<&', $in; open STDERR, '>&', \*STDOUT;
        exec $binary, '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $conninfo, '-f', '-';
        POSIX::_exit(127);
    }
    return ($to, $from, $pid);
}

# --- Redis --------------------------------------------------------------------------------------------

sub start_redis {
    my ($self) = @_;
    # Debian's redis-tools carries the server under another name, without a system service
    my @known = $ENV{AWAIT_REDIS_SERVER} // map { ("/usr/bin/$_-server", "/usr/bin/$_-check-rdb") } qw(redis valkey);
    my ($binary) = grep { -x } @known;
    die "no Redis server: none of @known (Debian: redis-tools, or valkey-tools)\n" unless $binary;
    my $dir = "$self->{dir}/redis";
    make_path($dir);
    my $user = $> == 0 ? 'daemon' : undef;
    my @owner = $user ? (getpwnam $user)[ 2, 3 ] : ($>, -1);
    chmod 0700, $dir; chown @owner, $dir;
    write_file("$dir/redis.conf", "bind 127.0.0.1\nport $self->{redis_port}\nrequirepass $self->{password}\ndir $dir\nsave \"\"\nappendonly no\n", 0600);
    chown @owner, "$dir/redis.conf";
    # the name says what it is to be
    my ($name) = $binary =~ m{/(redis|valkey)[^/]*$} or die "AWAIT_REDIS_SERVER=$binary is neither a redis nor a valkey\n";
    unlink "$dir/$name-server";
    symlink $binary, "$dir/$name-server";
    $self->{say}->('starting Redis');
    $self->spawn('redis', [ "$dir/$name-server", "$dir/redis.conf" ], user => $user);
    $self->wait_for('redis', 20, sub { $self->redis_command('PING') =~ /PONG/ });
}

# One command to Redis; the raw reply, empty if there is none.
sub redis_command {
    my ($self, @words) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{redis_port}, Timeout => 3) or return '';
    local $SIG{PIPE} = 'IGNORE';
    my $command = sub { join '', '*' . @_ . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @_ };
    print $socket $command->('AUTH', $self->{password});
    my $reply = <$socket> // '';
    print $socket $command->(@words);
    return <$socket> // '';
}

# --- nginx --------------------------------------------------------------------------------------------

# Starts nginx with server blocks and http-level directives. ${PORT}, ${PORT+1}, ${ROOT} and what `vars` has are
# replaced; backends are added unless the text has its own. Options: vars, main (text above http).
sub start_nginx {
    my ($self, $site, %o) = @_;
    $self->{port} //= free_port();
    $self->configure_nginx($site, %o);
    $self->{say}->('starting nginx');
    $self->check_nginx;
    $self->spawn('nginx', [ $self->{nginx}, '-p', $self->{dir}, '-c', "$self->{dir}/nginx.conf", '-e', "$self->{dir}/logs/error.log" ]);
    $self->wait_for('nginx', 20, sub { -s "$self->{dir}/nginx.started" });
}

# nginx -t; dies with its words.
sub check_nginx {
    my ($self) = @_;
    my $out = $self->nginx_t;
    return if $? == 0;
    my ($why) = $out =~ /\[emerg\] (?:\d+#\d+: )?(.*)/;
    die 'nginx rejected the configuration: ' . ($why // $out) . "\n";
}

sub nginx_t {
    my ($self) = @_;
    return scalar `'$self->{nginx}' -t -p '$self->{dir}' -c '$self->{dir}/nginx.conf' -e '$self->{dir}/logs/test.log' 2>&1`;
}

sub configure_nginx {
    my ($self, $site, %o) = @_;
    my %vars = (PORT => $self->{port}, TLS_PORT => $self->{tls_port} // 8443, ROOT => $self->{shown_root} // $ROOT, DIR => $self->{dir}, %{ $o{vars} // {} });
    $site =~ s/\$\{PORT\+([1-9])\}/$self->{port} + $1/ge;       # a server more
    $site =~ s/\$\{([A-Z_]+)\}/$vars{$1} \/\/ "\${$1}"/ge;
    # the tests' second fixture: nobody turns an answer into another
    $site =~ s/^\s*error_page\b[^;]*;[ \t]*\n?//mg if $self->{bare};
    my $backends = '';
    $backends .= qq(    await_postgres "@{[ $self->postgres('edge') ]}";\n) unless $site =~ /^\s*await_postgres\s/m;
    $backends .= "    await_redis @{[ $self->redis ]};\n" unless $site =~ /^\s*await_redis\s/m;
    $backends = '' if $o{bare};
    my $user = $> != 0 ? '' : ($self->{run_as} // 'root') eq 'nobody' ? "user nobody nogroup;\n" : "user root;\n";
    my $main = $o{main} // '';
    make_path("$self->{dir}/logs");
    write_file("$self->{dir}/site.conf", $site, 0600);
    write_file("$self->{dir}/nginx.conf", <<"CONF", 0600);
# made by await-stack; the server blocks are in site.conf
load_module $self->{module};
${user}daemon off;
worker_processes $self->{worker_processes};
worker_rlimit_nofile 20000;
pid nginx.started;
error_log logs/error.log @{[ $o{log_level} // $self->{log_level} // 'notice' ]};
$main
events { worker_connections 19500; }
http {
    types { text/html html; text/css css; text/javascript js; image/png png; image/jpeg jpg jpeg; image/svg+xml svg; application/json json; }
    default_type application/octet-stream;
    log_format await '\$remote_addr "\$request" \$status \$body_bytes_sent \$request_time \$await_delivery \$await_state';
    access_log logs/access.log await;
    client_body_temp_path $self->{dir}/tmp-body; proxy_temp_path $self->{dir}/tmp-proxy;
    fastcgi_temp_path $self->{dir}/tmp-fastcgi; uwsgi_temp_path $self->{dir}/tmp-uwsgi; scgi_temp_path $self->{dir}/tmp-scgi;
$backends    include $self->{dir}/site.conf;
}
CONF
}

# --- workers ------------------------------------------------------------------------------------------

# Starts an await-worker with these arguments (from --queue on), as logs/NAME.log. With Redis, if the stack has one.
# `worker_place` of the stack leads it elsewhere than to its own server: to several.
sub start_worker { my ($self, $name, @arguments) = @_; return $self->start_program($name, 'worker', @arguments) }
sub start_relay { my ($self, $name, @arguments) = @_; return $self->start_program($name, 'relay', @arguments) }
sub start_program {
    my ($self, $name, $role, @arguments) = @_;
    $self->{say}->("starting $name: " . join ' ', @arguments);
    $self->spawn($name, [ $role eq 'relay' ? $self->{worker} =~ s/worker$/relay/r : $self->{worker}, @arguments ],
        user => $> == 0 && ($self->{run_as} // '') ne 'root' ? $self->{run_as} : undef,
        env => { ROOT => $self->{shown_root} // $ROOT, AWAIT_POSTGRES => $self->{"${role}_place"} // $self->place($role), PGPASSWORD => $self->password($role),
            -e "$self->{dir}/redis" ? (AWAIT_REDIS => $self->redis =~ s/default:[^@]*\@//r, REDISCLI_AUTH => $self->{password}) : () });
}

sub write_env {
    my ($self) = @_;
    write_file("$self->{dir}/env", join('', "AWAIT_URL='@{[ $self->url ]}'\n", "AWAIT_POSTGRES='@{[ $self->postgres('worker') ]}'\n",
        "AWAIT_REDIS='@{[ $self->redis ]}'\n", "AWAIT_OWNER='@{[ $self->postgres ]}'\n"), 0600);
}

# Ends all of it: nginx first, PostgreSQL last; by QUIT if its data is thrown away.
sub stop {
    my ($self, $signal) = @_;
    my $running = $self->running;
    $self->end('nginx', 'TERM', 10) if $running->{nginx};
    kill 'TERM', map { $running->{$_} } my @programs = grep { !/^(nginx|redis|postgres)/ } sort keys %$running;
    $self->end($_, 'TERM', 10) for @programs;
    $self->end('redis', 'TERM', 10) if $running->{redis};
    $self->end('postgres', $signal // 'INT', 20) if $running->{postgres};
    unlink "$self->{dir}/env", "$self->{dir}/nginx.started";
}

1;
