package Await::Chaos;

# What is knocked about at random: two nginx nodes that share nothing but the backends, proxies between these, workers,
# and clients that write down what they are told (t/chaos/clients.js); and the strikes against all of it. What was
# promised is looked at afterwards (Await::History).

use strict;
use warnings;
use Await::Test;
use IO::Handle;
use IPC::Open2;
use JSON::PP;
use List::Util qw(shuffle);
use Test::More;
use Time::HiRes qw(time sleep);

my $LOCATIONS = <<'CONF';
    location = /ws { await_allow topic:chaos; await_socket; }
    location = /topic { await_publish chaos; await_events topic:chaos; }
    location = /owned { await_owner $arg_u; await_submit work; await_events user:$arg_u; }
    location = /ownedws { await_owner $arg_u; await_socket; }
    location = /batches { await_batch queues=work phases=a,b on_ready=mail; }
    location ~ ^/batches/(?<batch>[^/]+)$ { await_batch $batch; }
    location ~ ^/batches/(?<batch>[^/]+)/events$ { await_events batch:$batch; }
    location ~ ^/added/(?<batch>[^/]+)$ { await_submit work batch=$batch phase=b; }
    location = /both { await_owner $arg_u; await_events topic:chaos user:$arg_u; }
CONF
my @WORK = (
    '--queue', 'work', '--concurrency', 4, '--lease', '2s', '--', 'sh', '-c',
    'x=$(cat); echo "{\"done\":1}" >&3; echo "{\"done\":2}" >&3; printf "made of %s" "$x"'
);

# The stack has PostgreSQL and Redis. Options: hosts, the ports of its PostgreSQL servers; reread, seconds; pause, the
# longest that something stands still, seconds.
sub new {
    my ($class, $stack, %o) = @_;
    my $self = bless { stack => $stack, reread => 1, pause => 3, %o, trouble => [], revoked => [], struck => {} },
        $class;
    $self->start_proxies;
    for my $name (qw(a b)) {
        $self->{node}{$name} = Await::Stack->new(dir => "$stack->{dir}/$name", worker_processes => 2);
        $self->{node}{$name}->start_nginx($self->site($name));
    }
    $self->{workers} = [ map { "worker$_" } 1 .. 3 ];
    $self->start_worker($_) for @{ $self->{workers} };
    return $self;
}

# One for each node and each server, so that a node can be cut off from one of them.
sub start_proxies {
    my ($self) = @_;
    my $s = $self->{stack};
    my %target;
    for my $node (qw(a b)) {
        $target{"pg$node$_"} = $self->{hosts}[ $_ - 1 ] for 1 .. @{ $self->{hosts} };
        $target{"red$node"} = $s->{redis_port};
    }
    $self->{port} = { map { $_ => Await::Stack::free_port() } keys %target };
    $self->{proxies} = [ sort keys %target ];
    my $pid = open2(
        my $out, my $in, 'node',
        "$Await::Stack::ROOT/t/chaos/proxy.js",
        map { "$_=$self->{port}{$_}:$target{$_}" } @{ $self->{proxies} });
    $in->autoflush(1);
    is readline $out, "ready\n", 'the proxies stand';
    @$self{qw(proxy proxy_pid)} = ($in, $pid);
    return;
}

# libpq's list of hosts, by these ports
sub conninfo {
    my ($self, $role, @ports) = @_;
    return sprintf 'host=%s port=%s dbname=await user=%s', join(',', ('127.0.0.1') x @ports), join(',', @ports), $role;
}

sub site {
    my ($self, $node) = @_;
    my $s = $self->{stack};
    my $postgres = $self->conninfo('edge', map { $self->{port}{"pg$node$_"} } 1 .. @{ $self->{hosts} });
    my $password = $s->password('edge');
    my $redis = $s->redis =~ s/:\d+$/:$self->{port}{"red$node"}/r;
    my $site = $Await::Test::SITE =~ s/\$\{REREAD\}/$self->{reread}s/r =~ s/\$\{EXTRA\}/$LOCATIONS/r;
    return <<"CONF" . $site;
await_postgres "$postgres password=$password";
await_redis $redis;
await_ping 1s socket=5s;
await_retry 100ms 1s;
await_drain 5s;
CONF
}

sub start_worker {
    my ($self, $name) = @_;
    local $self->{stack}{worker_place} = $self->conninfo('worker', @{ $self->{hosts} });
    return $self->{stack}->start_worker($name, @WORK);
}

# --- clients --------------------------------------------------------------------------------------------

# They submit for so many seconds, so many jobs in all.
sub start_clients {
    my ($self, $seed, $seconds, $jobs) = @_;
    local $ENV{NODE_PATH} = '/usr/share/nodejs';
    $self->{clients_pid} = open2($self->{heard}, $self->{clients}, 'node', "$Await::Stack::ROOT/t/chaos/clients.js",
        $seed, $seconds, $jobs, map { $self->{node}{$_}{port} } qw(a b));
    $self->{clients}->autoflush(1);
    return;
}
sub tell { my ($self, $what) = @_; return print { $self->{clients} } "$what\n" }

# They submit no more; what they write down is returned when all of them know the end.
sub finish_clients {
    my ($self) = @_;
    $self->tell('rest');
    my $report = decode_json(scalar(readline $self->{heard}) // '{}');
    waitpid $self->{clients_pid}, 0;
    close $self->{proxy};
    waitpid $self->{proxy_pid}, 0;
    return $report;
}

# --- strikes --------------------------------------------------------------------------------------------

# What delays even a watcher who is connected, and the longest it takes nginx to find back (its back-off).
sub during {
    my ($self, $recovery, $do) = @_;
    my $begin = time;
    my @result = $do->();
    push @{ $self->{trouble} }, [ $begin, time + $recovery ];
    return @result;
}
sub pick { return $_[ rand @_ ] }
sub pause { my ($self) = @_; return sleep rand $self->{pause} }

sub nginx_workers {
    my ($self) = @_;
    my $master = $self->{node}{ pick('a', 'b') }->pid('nginx');
    return grep { slurp("/proc/$_/cmdline") =~ /worker process/ } split ' ',
        slurp("/proc/$master/task/$master/children");
}
sub descendants {
    my ($pid) = @_;
    return map { ($_, descendants($_)) } split ' ', slurp("/proc/$pid/task/$pid/children");
}

# In shuffled order, each comes round; the names of those that struck are counted.
sub strike {
    my ($self, %strike) = @_;
    my $order = $self->{order} //= [];
    @$order = shuffle sort keys %strike unless @$order;
    my $what = shift @$order;
    $strike{$what}->();
    $self->{struck}{$what}++;
    return;
}
sub all_struck {
    my ($self) = @_;
    return join ', ', map { "$self->{struck}{$_} × $_" } sort keys %{ $self->{struck} };
}

sub strikes_at_workers {
    my ($self) = @_;
    my $s = $self->{stack};
    my $one = sub { pick(@{ $self->{workers} }) };
    return (
        'worker killed' => sub {
            my $name = $one->();
            my @all = descendants($s->pid($name));
            kill 'KILL', $s->pid($name);
            kill 'KILL', @all;
            until_true('gone', sub { !$s->alive($name) });
            $self->start_worker($name);    # its jobs' leases run out
        },
        'worker drained' => sub {
            my $name = $one->();
            kill 'TERM', $s->pid($name);
            # a statement to a server that stands still has 10 s
            until_true('drained', sub { !$s->alive($name) }, 60);
            $self->start_worker($name);
        },
        'worker stopped' => sub {
            my $pid = $s->pid($one->());
            kill 'STOP', $pid;
            sleep $self->{pause} / 3 + rand $self->{pause};
            kill 'CONT', $pid;
        });
}

sub strikes_at_nginx {
    my ($self) = @_;
    return (
        'nginx worker killed' => sub { my @pids = $self->nginx_workers; kill 'KILL', pick(@pids) if @pids },
        'nginx worker stopped' => sub {
            my $pid = pick($self->nginx_workers) or return;
            $self->during(0.5, sub { kill 'STOP', $pid; $self->pause; kill 'CONT', $pid });
        },
        'nginx reloaded' => sub { kill 'HUP', $self->{node}{ pick('a', 'b') }->pid('nginx') });
}

sub strikes_at_redis {
    my ($self) = @_;
    my $s = $self->{stack};
    my $line = sub {
        pick(grep { /^red/ } @{ $self->{proxies} });
    };
    return (
        'Redis killed' => sub { $s->end('redis', 'KILL'); sleep rand($self->{pause} * 2 / 3); $s->start_redis },
        'Redis stopped' => sub { my $pid = $s->pid('redis'); kill 'STOP', $pid; $self->pause; kill 'CONT', $pid },
        'line to Redis cut' => sub { print { $self->{proxy} } 'cut ' . $line->() . "\n" },
        'line to Redis stalled' => sub {
            print { $self->{proxy} } 'stall ' . $line->() . ' ' . int(rand 2000 * $self->{pause}) . "\n";
        });
}

sub strikes_at_lines {
    my ($self) = @_;
    my $line = sub {
        pick(grep { /^pg/ } @{ $self->{proxies} });
    };
    my $for_a_while = sub {
        my ($what) = @_;
        my $ms = int rand 1000 * $self->{pause};
        print { $self->{proxy} } "$what " . $line->() . " $ms\n";
        sleep $ms / 1000;
    };
    return (
        'line to PostgreSQL cut' => sub {
            $self->during(0.5, sub { print { $self->{proxy} } 'cut ' . $line->() . "\n" });
        },
        'line to PostgreSQL stalled' => sub {
            $self->during(0.5, sub { $for_a_while->('stall') });
        },
        'PostgreSQL refused' => sub {
            $self->during(2.5, sub { $for_a_while->('refuse') });
        });
}

# what a DBA does under load, and what a database does with it
my %DBA = (
    'backends terminated' => [
        2.5, q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE application_name ~ '^nginx-await' AND random() < 0.5}
    ],
    'statements cancelled' => [
        0.5,
        join ';',
        (
            q{SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
        WHERE state = 'active' AND pid <> pg_backend_pid() AND backend_type = 'client backend'}
        ) x 50
    ],
    'tables rewritten' => [
        0.5,
        'VACUUM FULL await.ready; VACUUM FULL await.lease; '
            . 'VACUUM FULL await.event; CLUSTER await.ready USING ready_pkey; REINDEX TABLE await.job'
    ],
    'purge' => [ 0.5, q{SELECT await.purge(); SELECT await.count_events('0 s'); ANALYZE await.event} ],
    'snapshot held' =>
        [ 0, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id(), pg_sleep(2); ROLLBACK' ],
);
sub strikes_of_a_dba {
    my ($self) = @_;
    my $s = $self->{stack};
    my %strike;
    for my $what (keys %DBA) {
        my ($recovery, $do) = @{ $DBA{$what} };
        $strike{$what} = sub {
            $self->during($recovery, sub { $s->try_sql($do) or diag "$what: not done" });
        };
    }
    # who watches as this owner is sent away, at once where Redis says so
    $strike{'owner revoked'} = sub {
        my $asked = time;
        $s->try_sql(q{SELECT await.revoke('gone')}) or return;
        push @{ $self->{revoked} }, [ $asked, time ];
        $s->redis_command('PUBLISH', 'await:revoked', 1) if rand() < 0.5 && $s->alive('redis');
    };
    return %strike;
}

# The nodes end, and have logged nothing alarming.
sub stop {
    my ($self) = @_;
    for my $name (sort keys %{ $self->{node} }) {
        my $node = $self->{node}{$name};
        $node->stop;
        my $log = slurp("$node->{dir}/logs/error.log");
        is_deeply [ Await::Test::alarms($log) ], [], "node $name: no alert, no emerg, no crit";
        unlike $log, qr/Sanitizer|runtime error:/, "node $name: no sanitizer has spoken";
    }
    return;
}

1;
