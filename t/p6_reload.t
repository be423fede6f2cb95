# P6: a reload loses nothing. Submissions are answered, held clients are moved on, old processes go.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

my $s = start_stack(workers => 2);
my $id = one_job();

for my $round (1 .. 3) {
    my @old = worker_pids();
    my @polls = map { begin_request('GET', "/jobs/$id?wait=50") } 1 .. 20;
    my @streams =
        map { begin_request('GET', "/jobs/$id/events", headers => { Accept => 'text/event-stream' }) } 1 .. 20;
    ok $_->wait_event('pending'), "round $round: the streams have begun" for $streams[-1];
    ok $polls[-1]->quiet(0.2), "round $round: the polls are held";
    my @posts = map { begin_request('POST', '/jobs', body => "r$_") } 1 .. 50;
    kill 'HUP', $s->pid('nginx');
    push @posts, map { begin_request('POST', '/jobs', body => "r$_") } 51 .. 100;
    is scalar(grep { $_->response->{status} == 202 } @posts), 100, 'every submission is answered';
    is scalar(grep { my $r = $_->response; $r->{status} == 200 && json($r)->{state} eq 'pending' } @polls), 20,
        'held polls get the current document';
    for my $stream (@streams) {
        $stream->read_until(sub { 0 }, 15);
        ok $stream->{eof} && $stream->{buffer} =~ /\r\n0\r\n\r\n$/,
            "round $round: each stream ends as a chunked body does, uncut";
    }
    ok until_true('old workers are gone', sub { !grep { kill 0, $_ } @old }, 20), 'old nginx workers exit';
}
claim($id); complete($id, 'x', hint => 1);
is json(get("/jobs/$id?wait=10"))->{state}, 'completed', 'the new nginx workers learn of the ending';

my $held = begin_request('GET', '/jobs/' . one_job() . '?wait=50');
ok $held->quiet(0.2), 'the poll is held';
kill 'QUIT', $s->pid('nginx');
is $held->response->{status}, 200, 'a graceful end answers who is held';
ok until_true('nginx ends', sub { !$s->alive('nginx') }), 'and nginx ends';
finish();
