package Bench;

# What the benches share: servers to compare with, the load generator, the kernel's accounting, medians, results.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use IPC::Open2;
use JSON::PP;
use List::Util qw(max min sum);
use Time::HiRes qw(time sleep);
use lib abs_path(dirname(abs_path(__FILE__)) . '/../../t/lib');
use Await::Test ();

use Exporter 'import';
our @EXPORT = qw(stack rounds median spread cpu_seconds pss_kb load node_server nchan raw_server end_server end_servers report table
    jobs_of claim_all write_head publish_messages max min sum time);

our $ROOT = abs_path(dirname(abs_path(__FILE__)) . '/../..');
our $DIR;         # scratch files
my %servers;      # name => pid
my $stack;

# Not a test: nothing of the test's own time limit.
alarm 0;

sub rounds { return $ENV{ROUNDS} // 3 }
sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[ $#sorted / 2 ] }
# How far the rounds lie apart: the noise of the machine.
sub spread { my $m = median(@_); return $m ? (max(@_) - min(@_)) / $m : 0 }

# A stack of ours. Options as Await::Test::start_stack; fsync is on.
sub stack {
    my (%o) = @_;
    $stack = Await::Test::start_stack(fsync => 1, workers => 1, reread => '600s', %o, http => 'access_log off; ' . ($o{http} // ''));
    alarm 0;
    $DIR = $stack->{dir};
    return $stack;
}
sub ours { my ($pid) = Await::Test::worker_pids(); until ($pid) { sleep 0.02; ($pid) = Await::Test::worker_pids() } return $pid }

# --- the kernel's accounting -----------------------------------------------------------------------------

# Processor seconds of a process, all its threads, to the nanosecond.
sub cpu_seconds {
    my $total = 0;
    for my $pid (@_) {
        for my $task (glob "/proc/$pid/task/*/schedstat") { $total += (split ' ', Await::Test::slurp($task))[0] // 0 }
    }
    return $total / 1e9;
}
sub pss_kb { my ($pid) = @_; my ($kb) = Await::Test::slurp("/proc/$pid/smaps_rollup") =~ /^Pss:\s+(\d+)/m; return $kb }

# --- the load generator ----------------------------------------------------------------------------------

# Starts `load WHAT options`; an object that reads its JSON lines and tells it to go on.
sub load {
    my ($what, %o) = @_;
    my $pid = open2(my $out, my $in, "$ROOT/build/load", $what, map { ("--$_", $o{$_}) } sort keys %o);
    return bless { pid => $pid, out => $out, in => $in, what => $what }, 'Bench::Load';
}
{
    package Bench::Load;
    sub line { my ($self) = @_; my $line = readline $self->{out}; die "load $self->{what} said nothing\n" unless defined $line; return JSON::PP::decode_json($line) }
    sub go { my ($self) = @_; my $in = $self->{in}; print $in "\n"; $in->flush }
    sub end { my ($self) = @_; close $self->{in}; close $self->{out}; waitpid $self->{pid}, 0; die "load $self->{what} failed\n" if $? }
    sub kill { my ($self) = @_; CORE::kill 'TERM', $self->{pid}; waitpid $self->{pid}, 0 }
}

sub write_head { my ($name, $head) = @_; $head =~ s/(?<!\r)\n/\r\n/g; Await::Stack::write_file("$DIR/$name", $head, 0644); return "$DIR/$name" }

# --- servers to compare with -----------------------------------------------------------------------------

sub spawn {
    my ($name, $port, @command) = @_;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDOUT, '>', "$DIR/$name.log"; open STDERR, '>&', \*STDOUT;
        exec 'prlimit', '--nofile=20000:20000', @command or die "exec $command[0]: $!";
    }
    $servers{$name} = $pid;
    my $until = time + 15;
    until (IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)) {
        die "$name does not listen: " . Await::Test::slurp("$DIR/$name.log") if time > $until;
        sleep 0.05;
    }
    return $pid;
}

# Each returns (port, pid of the process that does the work).
sub raw_server {
    my ($mode, @more) = @_;
    my $port = Await::Stack::free_port();
    return ($port, spawn("raw-$mode", $port, "$ROOT/build/load", 'raw', '--port', $port, '--mode', $mode, @more));
}

sub node_server {
    my ($script, @arguments) = @_;
    my $port = Await::Stack::free_port();
    local $ENV{NODE_PATH} = "$ROOT/build/bench/node_modules";
    return ($port, spawn("node-$script", $port, 'node', "$ROOT/bench/peers/$script.js", $port, @arguments));
}

# Debian's nginx with its nchan; the locations say what it serves.
sub nchan {
    my ($name, $locations, $http) = @_;
    my $port = Await::Stack::free_port();
    my ($module) = grep { -e } '/usr/lib/nginx/modules/ngx_nchan_module.so' or die "nchan is missing (Debian: libnginx-mod-nchan)\n";
    make_path("$DIR/$name");
    Await::Stack::write_file("$DIR/$name/nginx.conf", <<"CONF", 0644);
load_module $module;
user root; daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid nginx.pid; error_log error.log;
events { worker_connections 19000; }
http { access_log off; keepalive_timeout 600s; keepalive_requests 10000000; nchan_shared_memory_size 512M; @{[ $http // '' ]}
server { listen 127.0.0.1:$port backlog=4096; $locations } }
CONF
    my $master = spawn($name, $port, '/usr/sbin/nginx', '-p', "$DIR/$name", '-c', "$DIR/$name/nginx.conf", '-e', "$DIR/$name/error.log");
    my ($pid, $until) = (undef, time + 10);
    until ($pid || time > $until) {
        ($pid) = grep { Await::Test::slurp("/proc/$_/cmdline") =~ /worker process/ } split ' ', Await::Test::slurp("/proc/$master/task/$master/children");
        sleep 0.02;
    }
    die "$name has no worker: " . Await::Test::slurp("$DIR/$name/error.log") unless $pid;
    return ($port, $pid);
}

sub end_server {
    my ($name) = @_;
    my $pid = delete $servers{$name} or return;
    kill 'TERM', $pid;
    my $until = time + 10;
    sleep 0.05 while waitpid($pid, POSIX::WNOHANG()) == 0 && time < $until;
    if (kill 0, $pid) { kill 'KILL', $pid; waitpid $pid, 0 }
}
sub end_servers { end_server($_) for sort keys %servers }
END { my $status = $?; end_servers(); $? = $status }

# --- jobs ------------------------------------------------------------------------------------------------

# So many jobs in queue "work", claimed; a file of their ids.
sub jobs_of {
    my ($n, $name, %o) = @_;
    my $sql = "SELECT count(*) FROM (SELECT await.submit('work', 'x', 'text/plain', '{}') FROM generate_series(1, $n)) s";
    $stack->sql($sql);
    my @ids = split /\n/, claim_all($n);
    die scalar(@ids) . " jobs instead of $n\n" unless @ids == $n;
    Await::Stack::write_file("$DIR/$name", join('', map { "$_\n" } @ids), 0644);
    return \@ids;
}
sub claim_all {
    my ($n) = @_;
    my $out = '';
    for (my $left = $n; $left > 0; $left -= 1000) { my $some = min($left, 1000); $out .= $stack->sql("SELECT id FROM await.claim(ARRAY['work'], 'bench', $some, interval '1 hour')") . "\n" }
    return $out;
}

# Ends the jobs of a file and writes down what await.hint() says of them, in their order.
sub publish_messages {
    my ($ids, $name) = @_;
    my $list = join ',', map { "('$_')" } @$ids;
    $stack->sql("CREATE TEMP TABLE j (o serial, id uuid); INSERT INTO j (id) VALUES $list; SELECT count(await.complete(id, test.receipt(id), '{\"answer\":42}', 'application/json')) FROM j");
    Await::Stack::write_file("$DIR/$name", $stack->sql("CREATE TEMP TABLE j (o serial, id uuid); INSERT INTO j (id) VALUES $list; SELECT h.channel || ' ' || h.message FROM j, await.hint(j.id) h ORDER BY j.o") . "\n", 0644);
    return "$DIR/$name";
}

# --- results ---------------------------------------------------------------------------------------------

# Writes bench/results/NAME.json and prints the rows. A row: { name, figures … }.
sub report {
    my ($name, %result) = @_;
    my $dir = $ENV{RESULTS} // "$ROOT/bench/results";
    make_path($dir);
    Await::Stack::write_file("$dir/$name.json", JSON::PP->new->latin1->canonical->pretty->encode({ bench => $name, %result }), 0644);
}

# Rows of { column => value } as text.
sub table {
    my ($title, $columns, @rows) = @_;
    print "\n$title\n";
    my @width = map { my $c = $_; max(map { length($_->{$c} // '') } { $c => $c }, @rows) } @$columns;
    for my $row ({ map { $_ => $_ } @$columns }, @rows) {
        print join('  ', map { my $text = $row->{ $columns->[$_] } // ''; $_ ? ' ' x ($width[$_] - length $text) . $text : $text . ' ' x ($width[$_] - length $text) } 0 .. $#$columns), "\n";
    }
}

1;
