package Await::Test;

# What every t/*.t starts with: a private stack on free ports in a temp dir, an HTTP client that can be
# left hanging, the worker's functions, and the look into error.log at the end. t/README.md says how to use it.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use Socket qw(INADDR_LOOPBACK SOL_SOCKET SO_RCVBUF pack_sockaddr_in);
use Test::More;
use Time::HiRes qw(time sleep);
use lib abs_path(dirname(abs_path(__FILE__)) . '/../../../tools/lib');
use Await::Json;
use JSON::PP;    # after it
use Await::Leftovers;
use Await::Psql;
use Await::Stack;
use Await::Template;
use Await::Trace;

use Exporter 'import';
our @EXPORT = qw(start_stack stack get post put del request begin_request begin_raw header json sql claim complete hint
    until_true eventually self_signed metric multipart finish one_job error_log slurp id_of worker_pids workers_are_new
    memory_kb);

$SIG{PIPE} = 'IGNORE';
# a test that hangs has failed; on a busy machine some take five minutes
our $waiting_for;
$SIG{ALRM} = sub { die 'this test takes too long' . ($waiting_for ? ", waiting for: $waiting_for" : '') . "\n" };
alarm 1200;

Await::Stack::use_memory();
# Debian's psql is a script in Perl that looks for the real one, which takes longer than the query
our $PATH = $ENV{PATH};
$ENV{PATH} = Await::Stack::pg_bin() . ":$PATH";
my $stack;
my $test_pid = $$;

# The locations most tests want; ${EXTRA} is theirs.
our $SITE = <<'CONF';
await_reread ${REREAD};
server {
    listen 127.0.0.1:${PORT};
    client_max_body_size 60m;
    error_page 404 405 406 408 409 410 413 415 416 429 503 @problem;
    location @problem { await_problem; }
    location = /jobs { await_submit work file=image; }
    location ~ ^/jobs/(?<id>[^/]+)$ { await_job $id; await_events job:$id; }
    location ~ ^/jobs/(?<id>[^/]+)/result$ { await_result $id; }
    location ~ ^/jobs/(?<id>[^/]+)/events$ { await_events job:$id; }
    ${EXTRA}
}
CONF

# The receipt of whoever holds the job, in SQL, for the calls of a worker that does not keep its own.
our $RECEIPT = <<'SQL';
CREATE SCHEMA IF NOT EXISTS test;
GRANT USAGE ON SCHEMA test TO PUBLIC;
CREATE OR REPLACE FUNCTION test.receipt(id uuid) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
AS $$ SELECT l.receipt FROM await.lease l WHERE l.job = receipt.id $$;
SQL

sub stack { return $stack }

# Starts PostgreSQL, Redis and nginx. Options: site or extra (text), http (text before the server), reread (default 1h:
# what comes sooner came by a hint), workers, without (names not to start), main, bare (no error_page anywhere, and a
# log that says more: what answers is the module alone; AWAIT_FIXTURE=bare does that to any test).
sub start_stack {
    my (%o) = @_;
    my $dir = tempdir('await-t-XXXXXX', TMPDIR => 1);
    $stack = Await::Stack->new(dir => $dir, fsync => $o{fsync} // 0, worker_processes => $o{workers} // 1);
    my %without = map { $_ => 1 } @{ $o{without} // [] };
    unless ($without{postgres}) {
        Await::Template::give($stack);
        $stack->start_postgres;
        $stack->sql($RECEIPT);
    }
    $stack->start_redis unless $without{redis};
    my $site = ($o{http} // '') . ($o{site} // $SITE);
    if ($o{bare} // (($ENV{AWAIT_FIXTURE} // '') eq 'bare')) {
        $stack->{log_level} = 'info';
        $stack->{bare} = 1;
    }
    $stack->start_nginx($site, vars => { EXTRA => $o{extra} // '', REREAD => $o{reread} // '1h' }, main => $o{main})
        unless $without{nginx};
    return $stack;
}

# The last word of every test: nothing alarming in error.log, no sanitizer has spoken, no process is left behind.
sub finish {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    if ($stack) {
        stop_all();
        my @logs = logs();
        is_deeply([ map { alarms(slurp($_)) } @logs ], [], 'no log has an alert, an emerg or a crit');
        for my $log (@logs) {
            my ($report) = slurp($log) =~ /^(.*(?:ERROR: \w+Sanitizer)(?:.*\n){1,60})/m;
            diag "$log:\n$report" if $report;
        }
        my @reports = grep { /Sanitizer|runtime error:/ && !/ngx_\w+\.c:/ } map { split /\n/, slurp($_) } @logs;
        is_deeply(\@reports, [], 'no sanitizer has spoken');
    }
    is(join("\n", leftovers()), '', 'no process is left behind');
    done_testing();
}

sub logs { return map { grep { !m{/test\.log$} } glob "$_->{dir}/logs/*.log" } grep { defined } @Await::Stack::all }

# Sessions and stacks that the test holds end with it.
sub stop_all {
    Await::Session->end_all if $INC{'Await/Session.pm'};
    Await::Psql::end_all();
    $_->stop('QUIT') for grep { defined && $_ != $stack } @Await::Stack::all;
    $stack->stop('QUIT');
}

sub leftovers { return Await::Leftovers::end(map { $_->{dir} } grep { defined } @Await::Stack::all) }

sub alarms { my ($log) = @_; return grep { /\[(alert|emerg|crit)\]/ && !expected($_) } split /\n/, $log }

our @expected_alarms;
sub expected { my ($line) = @_; return scalar grep { $line =~ $_ } @expected_alarms }

sub error_log { return slurp("$stack->{dir}/logs/error.log") }
sub slurp { return Await::Stack::read_file($_[0]) }

END {
    if ($$ == $test_pid) {
        my $status = $?;
        my $failed = $status || !Test::More->builder->is_passing;
        Await::Trace::show_failure();
        if ($stack) {
            stop_all();
            my @lines = split /\n/, error_log();
            diag join "\n  ", "the end of $stack->{dir}/logs/error.log:", @lines > 15 ? @lines[ -15 .. -1 ] : @lines
                if $failed && @lines;
        }
        leftovers();
        if ($stack) {
            if ($ENV{AWAIT_KEEP}) { diag "kept: $stack->{dir}" }
            else { remove_tree($stack->{dir}); diag 'AWAIT_KEEP=1 keeps the directory with its logs' if $failed }
        }
        $? = $status;
    }
}

# A certificate for localhost, in cert.pem, and its key, in key.pem.
sub self_signed {
    my ($dir, $algorithm) = @_;
    $algorithm //= 'rsa:2048';
    my $files = "-keyout $dir/key.pem -out $dir/cert.pem";
    system("openssl req -x509 -newkey $algorithm -nodes $files -days 2 -subj /CN=localhost 2>/dev/null") == 0
        or die "openssl cannot make a certificate\n";
}

# --- HTTP -----------------------------------------------------------------------------------------------

# A request in flight: { socket, buffer }. Headers as name => value pairs. `rcvbuf`: so many bytes the kernel receives
# that nobody has read.
sub begin_request {
    my ($method, $path, %o) = @_;
    my $body = $o{body};
    my %headers = (Host => 'localhost', Connection => 'close', %{ $o{headers} // {} });
    $headers{'Content-Length'} = length $body
        if defined $body && !exists $headers{'Transfer-Encoding'} && !exists $headers{'Content-Length'};
    my $head = "$method $path HTTP/1.1\r\n" . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers) . "\r\n";
    return begin_raw($head . ($body // ''), $o{port}, $o{rcvbuf});
}

sub begin_raw {
    my ($bytes, $port, $rcvbuf) = @_;
    my $socket = IO::Socket::INET->new(Proto => 'tcp', Timeout => 20) or die "socket: $!";
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, $rcvbuf if $rcvbuf;    # from the beginning
    $socket->connect(pack_sockaddr_in($port // $stack->{port}, INADDR_LOOPBACK)) or die "connect: $!";
    binmode $socket;
    my $self = bless { socket => $socket, buffer => '' }, 'Await::Test::Exchange';
    Await::Trace::trace('>', $bytes);
    $self->write_out($bytes);
    return $self;
}

sub request { my $timeout = {@_[ 2 .. $#_ ]}->{timeout} // 20; return begin_request(@_)->response($timeout) }
sub get  { my ($path, %headers) = @_; return request('GET', $path, headers => \%headers) }
sub del  { my ($path, %headers) = @_; return request('DELETE', $path, headers => \%headers) }
sub post { my ($path, $body, %headers) = @_; return request('POST', $path, body => $body, headers => \%headers) }
sub put  { my ($path, $body, %headers) = @_; return request('PUT', $path, body => $body, headers => \%headers) }
sub header { my ($response, $name) = @_; return $response->{headers}{ lc $name } }
sub json {
    my ($response) = @_;
    my $value = eval { decode_json($response->{body}) };
    return $value // { broken => $response->{body} };
}

# A multipart/form-data body and its Content-Type. Parts: [name, value] or [name, value, file name, type].
sub multipart {
    my @parts = @_;
    my $boundary = '----await' . int(rand 1e9);
    my $body = '';
    for my $part (@parts) {
        my ($name, $value, $file, $type) = @$part;
        $body .= "--$boundary\r\nContent-Disposition: form-data; name=\"$name\""
            . (defined $file ? "; filename=\"$file\"" : '') . "\r\n";
        $body .= "Content-Type: $type\r\n" if defined $type;
        $body .= "\r\n$value\r\n";
    }
    return ("$body--$boundary--\r\n", "multipart/form-data; boundary=$boundary");
}

{
    package Await::Test::Exchange;
    use Time::HiRes qw(time);

    sub send {
        my ($self, $bytes) = @_;
        Await::Trace::trace('>', $bytes);
        return $self->write_out($bytes);
    }

    sub write_out {
        my ($self, $bytes) = @_;
        my $at = 0;
        while ($at < length $bytes) {
            my $n = syswrite $self->{socket}, $bytes, length($bytes) - $at, $at;
            last unless defined $n;      # it answered early and closed
            $at += $n;
        }
        return $self;
    }

    # Reads what comes until `enough` is true or the time is over; false at the end of the stream too.
    sub read_until {
        my ($self, $enough, $timeout) = @_;
        my $had = length $self->{buffer};
        my $began = time;
        my $found = $self->fill_until($enough, $timeout);
        my $end = $found ? '' : $self->{eof} ? 'the connection has ended; ' : sprintf 'waited %.1f s; ', time - $began;
        Await::Trace::trace('<', $end . (substr($self->{buffer}, $had) || 'nothing new'))
            unless $found && length $self->{buffer} == $had;
        return $found;
    }

    sub fill_until {
        my ($self, $enough, $timeout) = @_;
        my $end = time + ($timeout // 20);
        until ($enough->($self->{buffer})) {
            my $left = $end - time;
            return 0 if $left <= 0;
            next unless IO::Select->new($self->{socket})->can_read($left);
            my $n = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
            if (!$n) { $self->{eof} = 1; return $enough->($self->{buffer}) ? 1 : 0 }
        }
        return 1;
    }

    sub quiet { my ($self, $seconds) = @_; return !IO::Select->new($self->{socket})->can_read($seconds) }
    sub close { close $_[0]{socket} }

    # One whole response off the connection.
    sub response {
        my ($self, $timeout) = @_;
        my $response = $self->read_response($timeout // 20);
        Await::Trace::trace('<',
            ($response->{head} // 'no whole answer:') . "\r\n\r\n" . substr($response->{body} // '', 0, 5000));
        return $response;
    }

    sub read_response {
        my ($self, $timeout) = @_;
        $self->fill_until(sub { $_[0] =~ /\r\n\r\n/ }, $timeout)
            or return { status => 0, headers => {}, body => $self->{buffer} };
        my ($head, $rest) = split /\r\n\r\n/, $self->{buffer}, 2;
        my ($line, @lines) = split /\r\n/, $head;
        my ($status) = $line =~ m{^HTTP/1\.1 (\d+)};
        if ($status == 100) { $self->{buffer} = $rest; return $self->read_response($timeout) }
        my %headers;
        for (@lines) {
            my ($name, $value) = /^([^:]+):\s*(.*)$/;
            $headers{ lc $name } = exists $headers{ lc $name } ? "$headers{ lc $name }, $value" : $value;
        }
        my $response = { status => $status, headers => \%headers, head => $head };
        $self->{buffer} = $rest;
        if (($headers{'transfer-encoding'} // '') eq 'chunked') {
            $self->fill_until(sub { $_[0] =~ /(?:^|\r\n)0\r\n\r\n$/ }, $timeout);
            $response->{body} = dechunk($self->{buffer});
            $self->{buffer} = '';
        }
        elsif (defined $headers{'content-length'}) {
            my $length = $headers{'content-length'};
            $self->fill_until(sub { length $_[0] >= $length }, $timeout) unless $self->{head_only};
            $response->{body} = substr $self->{buffer}, 0, $length, '';
        }
        elsif ($status == 204 || $status == 304) { $response->{body} = '' }
        else { $self->fill_until(sub { 0 }, $timeout); $response->{body} = $self->{buffer} }
        return $response;
    }

    sub dechunk {
        my ($in) = @_;
        my $out = '';
        while ($in =~ s/^([0-9a-fA-F]+)\r\n//) {
            my $length = hex $1 or last;
            last if length $in < $length;
            $out .= substr $in, 0, $length, '';
            $in =~ s/^\r\n//;
        }
        return $out;
    }

    # The events of an event stream so far: [{ id, event, data }], comments left out. Each is parsed once, however often
    # they are looked at.
    sub events {
        my ($self) = @_;
        my $end = index $self->{buffer}, "\r\n\r\n";
        return [] if $end < 0;
        my $head = substr $self->{buffer}, 0, $end;
        my $parsed = $self->{parsed};
        $parsed = $self->{parsed} = { head => $head, at => $end + 4, text => '', events => [] }
            unless $parsed && $parsed->{head} eq $head && $parsed->{at} <= length $self->{buffer};
        take_text($self->{buffer}, $parsed);
        my $whole = rindex($parsed->{text}, "\n\n") + 2;
        for my $frame (split /\n\n/, $whole > 1 ? substr $parsed->{text}, 0, $whole, '' : '') {
            my %event;
            for (split /\n/, $frame) {
                if (/^(id|event|data): (.*)$/) { $event{$1} = exists $event{$1} ? "$event{$1}\n$2" : $2 }
            }
            push @{ $parsed->{events} }, \%event if exists $event{data};
        }
        return [ @{ $parsed->{events} } ];
    }

    # Those of a type that have come are not found again.
    sub forget {
        my ($self, $type) = @_;
        $_->{event} = 'forgotten' for grep { ($_->{event} // '') eq $type } @{ $self->events };
        return;
    }

    # What of the body is new, whole chunks only.
    sub take_text {
        my ($buffer, $parsed) = (\$_[0], $_[1]);
        if ($parsed->{head} !~ /transfer-encoding: chunked/i) {
            $parsed->{text} .= substr $$buffer, $parsed->{at};
            $parsed->{at} = length $$buffer;
            return;
        }
        while (substr($$buffer, $parsed->{at}, 20) =~ /^((?:\r\n)?([0-9a-fA-F]+)\r\n)/) {
            my ($begin, $length) = ($parsed->{at} + length $1, hex $2);
            last if !$length || length $$buffer < $begin + $length;
            $parsed->{text} .= substr $$buffer, $begin, $length;
            $parsed->{at} = $begin + $length;
        }
        return;
    }

    sub wait_event {
        my ($self, $type, $timeout) = @_;
        my $find = sub { return (grep { ($_->{event} // '') eq $type } @{ $self->events })[0] };
        $self->fill_until($find, $timeout);
        my $found = $find->();
        Await::Trace::trace(
            $found ? '<' : '=',
            $found
            ? "event: $type\ndata: $found->{data}"
            : "no event $type, but: "
                . (join(' ', map { $_->{event} // 'message' } @{ $self->events }) || "none\n$self->{buffer}"));
        return $found;
    }
}

# --- the worker's side ----------------------------------------------------------------------------------

sub sql {
    my @arguments = @_;
    my $out = $stack->sql(@arguments);
    Await::Trace::trace('=', "$arguments[0]: $out");
    return $out;
}

# Submits a body; the job's id.
sub one_job { my ($path, $body, %headers) = @_; return id_of(post($path // '/jobs', $body // 'x', %headers)) }
sub id_of { my ($response) = @_; return json($response)->{id} // die "no id in: $response->{status} $response->{body}" }

my %receipt;                                 # of each job and attempt that was claimed here

# Claims until it has this job; its attempt.
sub claim {
    my ($id, %o) = @_;
    my $lease = $o{lease} ? "interval '$o{lease}'" : 'null';
    my $queue = $o{queue} // 'work';
    my @claimed = map { [ split /\|/ ] } split /\n/,
        sql("SELECT id, attempt, receipt FROM await.claim(ARRAY['$queue'], 'test', 1000, $lease)");
    $receipt{ $_->[0] }{ $_->[1] } = $_->[2] for @claimed;
    my ($found) = grep { $_->[0] eq $id } @claimed;
    return $found && $found->[1];
}

sub quote { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

# Ends a job as its worker would, without a hint unless hint => 1. By the receipt of the attempt that is named, else of
# whoever holds it.
sub complete {
    my ($id, $body, %o) = @_;
    my $receipt = defined $o{attempt}
        && $receipt{$id}{ $o{attempt} } ? quote($receipt{$id}{ $o{attempt} }) : "test.receipt('$id')";
    my $bytes = "decode('" . unpack('H*', $body // '') . "', 'hex')";
    my $done =
        sql(  "SELECT await.complete('$id', $receipt, $bytes, "
            . quote($o{type} // 'text/plain') . ', '
            . ($o{status} // 200) . ', '
            . (defined $o{name} ? quote($o{name}) : 'null')
            . ')');
    hint($id) if $o{hint};
    return $done;
}

# Publishes what await.hint says.
sub hint {
    my ($id) = @_;
    my @said = map { $stack->redis_command('PUBLISH', split /\|/, $_, 2) } split /\n/,
        sql("SELECT channel, message FROM await.hint('$id')");
    return $said[0];
}

# A number off a location = /metrics.
sub metric {
    my ($name) = @_;
    my $page = do { local $Await::Trace::silent = 1; get('/metrics') };
    my ($value) = $page->{body} =~ /^\Q$name\E (\d+)$/m;
    Await::Trace::trace('=', "$name: " . ($value // "not in the metrics ($page->{status})"));
    return $value;
}

# Waits for a condition, never for a time. In vain: says so, and what the condition saw last.
sub until_true {
    my ($what, $condition, $timeout) = @_;
    local $waiting_for = $what;
    $timeout //= 20;
    my $end = time + $timeout;
    my $seen = [];
    while (time < $end) {
        (my $true, $seen) = Await::Trace::collect($condition);
        if ($true) { Await::Trace::trace(@$_) for @$seen; return 1 }
        sleep 0.02;
    }
    diag join "\n", "waited $timeout s in vain: $what", map { 'last seen: ' . Await::Trace::line(@$_, 500) } @$seen;
    return 0;
}

# The assertion that something becomes true.
sub eventually {
    my ($what, $condition, $timeout) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(until_true($what, $condition, $timeout), $what);
}

sub worker_pids {
    my $master = $stack->pid('nginx');
    return grep { slurp("/proc/$_/cmdline") =~ /worker process(?! is shutting)/ } split ' ',
        slurp("/proc/$master/task/$master/children");
}
# Whether all nginx workers that run are other ones than these.
sub workers_are_new {
    my %old = map { $_ => 1 } @_;
    my @now = worker_pids();
    return @now == $stack->{worker_processes} && !grep { $old{$_} } @now;
}
sub memory_kb { my ($pid, $what) = @_; my ($kb) = slurp("/proc/$pid/status") =~ /^\Q$what\E:\s+(\d+)/m; return $kb }

1;
