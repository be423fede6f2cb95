# The sink stdout of await-relay: a reader that is slow, or does not read at all, or leaves.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Relay;
use Await::Test;
use IO::Select;
use JSON::PP qw(decode_json);
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(without => [qw(nginx redis)]);

# An await-relay whose standard output is a pipe; the end to read from.
sub start_piped {
    my ($name, @arguments) = @_;
    pipe my $from, my $to or die "pipe: $!";
    my $log = "$s->{dir}/logs/$name.log";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        close $from;
        open STDOUT, '>&', $to or POSIX::_exit(1);
        open STDERR, '>', $log or POSIX::_exit(1);
        @ENV{qw(AWAIT_POSTGRES PGPASSWORD)} = ($s->place('relay'), $s->password('relay'));
        exec $s->{worker} =~ s/worker$/relay/r, '--name', $name, '--sink', 'stdout', @arguments or POSIX::_exit(1);
    }
    $s->adopt($name, $pid);
    eventually "$name has a cursor", sub { sql("SELECT count(cursor) FROM await.relay_status('$name')") == 1 };
    return $from;
}
sub log_of { my ($name) = @_; return slurp("$s->{dir}/logs/$name.log") }
sub status {
    my ($name) = @_;
    eventually "$name ends", sub { !$s->alive($name) };
    return $s->{status}{$name};
}
sub renewals { my ($name) = @_; return sql("SELECT max(no) FROM await.relay_leader WHERE relay = '$name'") }

subtest 'nobody reads, for a while' => sub {
    my $from = start_piped('slow');
    my $pid = $s->pid('slow');
    my $before = memory_kb($pid, 'VmRSS');
    my @jobs = map { submit('q') } 1 .. 4;
    sql(
        "SELECT await.append_event(await.lock_job('$_'), 'x', 'processing',
            to_jsonb(array_to_string(ARRAY(SELECT md5((g * 1000 + i)::text) FROM generate_series(1, 1500) i), '')))
        FROM generate_series(1, 200) g"
    ) for @jobs;    # 38 MB in all
    my $leads = renewals('slow');
    eventually 'it goes on leading, though it cannot write', sub { renewals('slow') > $leads + 2 };
    cmp_ok sql("SELECT behind FROM await.relay_status('slow')"), '>', 600, 'the events wait in the database';
    my $grown = memory_kb($pid, 'VmRSS') - $before;
    cmp_ok $grown, '<', $ENV{AWAIT_ASAN} ? 200_000 : 40_000, "not in its memory, which has grown by $grown KB";
    my ($text, %had, @wrong) = ('');
    my $take = sub {
        my $event = decode_json($_[0]);
        my ($job, $seq) = @$event{qw(job seq)};
        $had{$job} //= 0;
        push @wrong, "$job:$seq" if $seq > $had{$job} + 1;
        $had{$job} = $seq if $seq > $had{$job};    # or again: a machine that stands still loses the lease
    };
    my $end = time + 90;
    until (4 == grep { ($had{$_} // 0) == 201 } @jobs) {
        last if time > $end || !IO::Select->new($from)->can_read(20) || !sysread $from, $text, 1 << 20, length $text;
        $take->($1) while $text =~ s/^(\{.*\})\n//;
    }
    is_deeply [ map { $had{$_} } @jobs ], [ (201) x 4 ], 'then it is read: all events come';
    is_deeply \@wrong, [], 'and in order';
    $grown = memory_kb($pid, 'VmHWM') - $before;
    cmp_ok $grown, '<', $ENV{AWAIT_ASAN} ? 300_000 : 60_000, "and at no time were they in its memory: $grown KB";
    eventually 'the cursor is stored', sub { sql("SELECT behind FROM await.relay_status('slow')") eq '0' };
    kill 'TERM', $pid;
    is status('slow'), 0, 'SIGTERM ends it';
};

subtest 'the reader leaves' => sub {
    my $from = start_piped('left');
    submit('q');
    my $text = '';
    sysread $from, $text, 65536;
    like $text, qr/^\{.*"type" ?: ?"pending"/, 'it has read an event';
    close $from;
    submit('q');
    is status('left'), 0, 'the relay ends';
    like log_of('left'), qr/standard output was closed: the relay ends/, 'and says why';
    is sql("SELECT count(leader) FROM await.relay_status('left')"), 0, 'the lease is given back';
    $from = start_piped('idle');
    close $from;
    is status('idle'), 0, 'it ends, too, where there is nothing to write';
    like log_of('idle'), qr/standard output was closed/, 'and says why';
    $from = start_piped('left');
    eventually 'another one goes on', sub { IO::Select->new($from)->can_read(0) };
    sysread $from, $text, 65536;
    like $text, qr/"pending"/, 'with the event that was not read';
    kill 'TERM', $s->pid('left');
    is status('left'), 0, 'SIGTERM ends it';
};

# Bug: a connection got the number of the descriptor.
subtest 'it was closed before' => sub {
    my @relay = ($s->{worker} =~ s/worker$/relay/r, qw(--name closed --sink stdout));
    local @ENV{qw(AWAIT_POSTGRES PGPASSWORD)} = ($s->place('relay'), $s->password('relay'));
    like `@relay --once 2>&1 >&-`, qr/standard output was closed: the relay ends/, 'the relay ends, and says why';
    isnt system("@relay --check >&-"), 0, '--check fails';
    my $pid = open my $pipe, '-|', "exec @relay <&- 2>&-" or die "fork: $!";
    $s->adopt('closed', $pid);
    eventually 'one whose other descriptors are closed begins',
        sub { sql("SELECT leader IS NOT NULL FROM await.relay_status('closed')") eq 't' };
    my @are = map { readlink "/proc/$pid/fd/$_" } 0, 2;
    is_deeply \@are, [ ('/dev/null') x 2 ], 'and no connection has their numbers';
    kill 'TERM', $pid;
    is status('closed'), 0, 'SIGTERM ends it';
};

subtest 'what it writes to is full' => sub {
    plan skip_all => 'there is no /dev/full' unless -e '/dev/full';
    local $s->{spawned} = 1;
    my $log = "$s->{dir}/logs/full.log";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDOUT, '>', '/dev/full' or POSIX::_exit(1);
        open STDERR, '>', $log or POSIX::_exit(1);
        @ENV{qw(AWAIT_POSTGRES PGPASSWORD)} = ($s->place('relay'), $s->password('relay'));
        exec $s->{worker} =~ s/worker$/relay/r, qw(--name full --sink stdout) or POSIX::_exit(1);
    }
    $s->adopt('full', $pid);
    eventually 'it has a cursor', sub { sql("SELECT count(cursor) FROM await.relay_status('full')") == 1 };
    submit('q');
    eventually 'the status says what is wrong',
        sub { sql("SELECT reason FROM await.relay_status('full')") =~ /cannot write.*No space left/ };
    cmp_ok sql("SELECT behind FROM await.relay_status('full')"), '>', 0, 'the event is not lost';
    is scalar(() = slurp($log) =~ /sink stdout: cannot write/g), 1, 'the log says it once';
    kill 'TERM', $pid;
    is status('full'), 0, 'SIGTERM ends it';
};

# Bug: the line at whose middle the disk was full had the next one behind its half.
subtest 'what it writes to is full for a while' => sub {
    my ($out, $log) = map { "$s->{dir}/logs/$_" } 'while.out', 'while.log';
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        local $SIG{XFSZ} = 'IGNORE';
        open STDOUT, '>', $out or POSIX::_exit(1);
        open STDERR, '>', $log or POSIX::_exit(1);
        @ENV{qw(AWAIT_POSTGRES PGPASSWORD)} = ($s->place('relay'), $s->password('relay'));
        my $relay = $s->{worker} =~ s/worker$/relay/r;
        exec 'prlimit', '--fsize=1000:', $relay, qw(--name while --sink stdout) or POSIX::_exit(1);
    }
    $s->adopt('while', $pid);
    eventually 'it has a cursor', sub { sql("SELECT count(cursor) FROM await.relay_status('while')") == 1 };
    my @jobs = map { submit('q') } 1 .. 20;
    eventually 'it is full in the middle of a line', sub { -s $out == 1000 && slurp($log) =~ /cannot write/ };
    is system('prlimit', '--pid', $pid, '--fsize=unlimited:'), 0, 'then there is room again';
    eventually 'everything is written', sub { sql("SELECT behind FROM await.relay_status('while')") eq '0' };
    my %had = map { $_->{job} => 1 } map { decode_json($_) } split /\n/, slurp($out);
    is_deeply [ grep { !$had{$_} } @jobs ], [], 'each line is whole, and each event is there';
    kill 'TERM', $pid;
    is status('while'), 0, 'SIGTERM ends it';
};

# Bug: it waited for PostgreSQL to come back, for as long as that took.
subtest '--once, and PostgreSQL goes away' => sub {
    start_piped('once');
    kill 'TERM', $s->pid('once');
    is status('once'), 0, 'there is a cursor';
    my $id = submit('q');
    sql("SELECT await.append_event(await.lock_job('$id'), 'x', 'processing', to_jsonb(repeat('x', 300000)))");
    my $from = start_piped('once', '--once');
    eventually 'it writes', sub { IO::Select->new($from)->can_read(0) };
    $s->end('postgres', 'INT');
    eventually 'it leads no more', sub { log_of('once') =~ /not leading any more/ };
    1 while sysread $from, my $text, 65536;
    is status('once'), 256, 'it ends: 1';
    # the latter, if it was reading at that moment
    like log_of('once'), qr/not everything was delivered: .*PostgreSQL|cannot read events: PostgreSQL/, 'and says why';
};

finish();
