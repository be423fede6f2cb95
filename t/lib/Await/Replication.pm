package Await::Replication;

# Several servers of one database: the first is that of the stack, the others are its standbys. They have names of one
# letter. `$stack->{pg_port}` is the port of the one that was promoted last.

use strict;
use warnings;
use Await::Test;
use Await::Stack;
use Test::More;

# The servers are not started, but the first one, which the stack runs, is up.
sub new {
    my ($class, $stack, $first, @others) = @_;
    my %port = ($first => $stack->{pg_port}, map { $_ => Await::Stack::free_port() } @others);
    my %data = ($first => "$stack->{dir}/postgres", map { $_ => "$stack->{dir}/$_" } @others);
    return bless { stack => $stack, port => \%port, data => \%data }, $class;
}

sub port { my ($self, $name) = @_; return $self->{port}{$name} }
sub data { my ($self, $name) = @_; return $self->{data}{$name} }

sub on {
    my ($self, $name, $sql) = @_;
    local $self->{stack}{pg_port} = $self->port($name);
    return $self->{stack}->sql($sql);
}

sub give_to_owner {
    my ($self, @files) = @_;
    my $user = $self->{stack}{user} or return;
    return chown((getpwnam($user))[ 2, 3 ], @files);
}

# Runs one of PostgreSQL's programs; what it says is in the log of this name.
sub run {
    my ($self, $log, $program, @arguments) = @_;
    my $s = $self->{stack};
    my $file = "$s->{dir}/logs/$log.log";
    my $command = join ' ', $s->as_pg, 'env PGPASSWORD=' . $s->password('admin'), Await::Stack::pg_bin() . "/$program",
        @arguments, ">>$file 2>&1";
    return system('sh', '-c', $command) == 0 || BAIL_OUT(slurp($file));
}

# A copy of one server, which follows it when it is started.
sub make_standby {
    my ($self, $of, $name) = @_;
    mkdir $self->data($name), 0700;
    $self->give_to_owner($self->data($name));
    return $self->run('basebackup', 'pg_basebackup', '-R -X stream -c fast --no-sync -D',
        $self->data($name), '-d', "'host=127.0.0.1 port=@{[ $self->port($of) ]} user=admin application_name=$name'");
}

sub start {
    my ($self, $name) = @_;
    my $s = $self->{stack};
    unlink $self->data($name) . '/postmaster.pid';
    my @settings = (
        'max_connections=200', 'listen_addresses=127.0.0.1',
        'unix_socket_directories=', 'fsync=off',
        'log_min_messages=fatal', 'wal_retrieve_retry_interval=200ms'
    );
    $s->spawn(
        $name,
        [
            Await::Stack::pg_bin() . '/postgres',
            '-D', $self->data($name), '-p', $self->port($name), map { ('-c', $_) } @settings
        ],
        user => $s->{user});
    return eventually("$name is up", sub { local $s->{pg_port} = $self->port($name); $s->try_sql('SELECT 1') }, 60);
}

# At once, without a checkpoint.
sub kill {
    my ($self, $name) = @_;
    my $s = $self->{stack};
    $s->end($s->alive($name) ? $name : 'postgres', 'QUIT');
    return Await::Stack::wait_for_orphans($self->data($name));
}

# Makes a former primary, which is down, follow the one that was promoted.
sub rewind {
    my ($self, $of, $name) = @_;
    $self->on($of, 'CHECKPOINT');    # or pg_rewind does not see the new timeline
    return $self->run('rewind', 'pg_rewind', '--no-sync -R -D',
        $self->data($name), '--source-server',
        "'host=127.0.0.1 port=@{[ $self->port($of) ]} user=admin dbname=postgres application_name=$name'");
}

# From now on a commit on this server waits for the other one; without another one, for nobody.
sub wait_for_standby {
    my ($self, $name, $standby) = @_;
    $self->on($name,
        'ALTER SYSTEM '
            . ($standby ? "SET synchronous_standby_names = '$standby'" : 'RESET synchronous_standby_names'));
    $self->on($name, 'SELECT pg_reload_conf()');
    return 1 unless $standby;
    my $sync = sub { $self->on($name, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == 1 };
    my $waits = eventually("$name waits for $standby", $sync, 30);
    $self->on($name, 'CHECKPOINT');    # the process that does it tells the others, and has read the setting by then
    return $waits;
}

sub promote {
    my ($self, $name) = @_;
    $self->on($name, 'SELECT pg_promote()');
    $self->{stack}{pg_port} = $self->port($name);
    return eventually("$name takes over", sub { $self->on($name, 'SELECT pg_is_in_recovery()') eq 'f' }, 60);
}

1;
