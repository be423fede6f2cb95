# P4: every watcher sees a job's events in order, once each, across reconnects to any nginx worker, its death, and
# transports.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

@Await::Test::expected_alarms = (qr/exited on signal 9/);
my $s = start_stack(workers => 2, reread => '500ms');
srand(my $seed = $ENV{AWAIT_SEED} // int rand 1e6);
diag "AWAIT_SEED=$seed";
my $id = one_job();
claim($id);
my $last = 1200;

subtest 'a cursor is understood from the first moment' => sub {
    # was a bug: before PostgreSQL had told an nginx worker its timeline, a cursor was taken for none
    my $cursor = json(get("/jobs/$id"))->{cursor};
    my $postmaster = $s->pid('postgres');
    kill 'STOP', $postmaster;
    my @old = worker_pids();
    kill 'KILL', @old;
    eventually('new nginx workers have started', sub { workers_are_new(@old) });
    my $stream = begin_request('GET', "/jobs/$id/events?cursor=$cursor", headers => { Accept => 'text/event-stream' });
    my $page = begin_request('GET', "/jobs/$id/events?cursor=$cursor", headers => { Accept => 'application/json' });
    ok $page->quiet(0.5), 'they wait for PostgreSQL';
    kill 'CONT', $postmaster;
    $page = json($page->response);
    is_deeply [ $page->{events}, $page->{reset}, $page->{cursor} ], [ [], undef, $cursor ], 'a page';
    ok $stream->wait_event('ready'), 'a stream';
    is scalar(@{ $stream->events }), 1, 'which repeats nothing';
};

# a writer in the background, some events with a hint, some without
my $writer = fork // die;
if (!$writer) {
    for (my $n = 1; $n <= $last; $n += 10) {
        sql(join ';', map { "SELECT await.emit('$id', test.receipt('$id'), 'n', to_jsonb($_))" } $n .. $n + 9);
        hint($id) if $n % 30 == 1;
    }
    complete($id, 'x', hint => 1);
    POSIX::_exit(0);
}

my (@seen, $cursor);
my ($connects, $done) = (0, 0);
until ($done) {
    if (++$connects % 7 == 0) { my @pids = worker_pids(); kill 'KILL', $pids[ rand @pids ] if @pids }
    if ($connects % 3 == 0) {                                        # by JSON pages
        my $r = eval {
            get("/jobs/$id/events?wait=1" . (defined $cursor ? "&cursor=$cursor" : ''), Accept => 'application/json');
        };
        next unless $r && $r->{status} == 200;
        my $page = json($r);
        push @seen, map { $_->{seq} } @{ $page->{events} };
        $cursor = $page->{cursor};
        $done = $page->{done};
        next;
    }
    my $stream = eval {
        begin_request('GET', "/jobs/$id/events",
            headers => { Accept => 'text/event-stream', defined $cursor ? ('Last-Event-ID' => $cursor) : () });
    } or next;
    my $wanted = 1 + int rand 200;
    $stream->read_until(sub { 0 }, 0.05 + rand 0.3);
    my ($head) = $stream->{buffer} =~ m{^HTTP/1.1 (\d+)};
    if (($head // 0) == 204) { $done = 1; last }
    # only whole frames count, as in a browser
    my ($raw, $body) = split /\r\n\r\n/, $stream->{buffer}, 2;
    for my $event (@{ Await::Test::Exchange::events({ buffer => $stream->{buffer} =~ s/[^\n]*\z//r }) }) {
        next unless defined $event->{id} && defined $event->{event} && $event->{data} =~ /\}$/;
        $cursor = $event->{id};
        push @seen, json({ body => $event->{data} })->{seq} if $event->{event} ne 'ready';
        $done = 1 if $event->{event} eq 'completed';
        fail 'a reset' if $event->{event} eq 'reset';
    }
    $stream->close;
}
waitpid $writer, 0;
is_deeply \@seen, [ 1 .. $last + 3 ], "$last events over $connects connections, in order, once each";
finish();
