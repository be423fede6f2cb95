# P6, the other half: a binary upgrade (USR2), and old processes that are gone within await_drain whoever holds them up.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use POSIX ();
use Test::More;
use Time::HiRes qw(time sleep);

my $s = start_stack(without => ['nginx']);
$s->{port} = Await::Stack::free_port();
my $site = $Await::Test::SITE =~ s/\$\{REREAD\}/2s/r =~ s/\$\{EXTRA\}/location = \/metrics { await_metrics; }/r;
$s->configure_nginx("await_drain 3s;\nsend_timeout 60s;\n$site",
    main => $ENV{AWAIT_ASAN} ? 'env ASAN_OPTIONS; env UBSAN_OPTIONS;' : '');
# nginx takes USR2 only where its parent is gone, as with a daemon
if (!(my $between = fork // die)) {
    POSIX::setsid();
    if (!(fork // die)) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>&', \*STDOUT;
        exec $s->{nginx}, '-p', $s->{dir}, '-c', "$s->{dir}/nginx.conf", '-e', "$s->{dir}/logs/error.log"
            or POSIX::_exit(1);
    }
    for (1 .. 500) { last if -s "$s->{dir}/nginx.started"; sleep 0.02 }
    POSIX::_exit(0);
}
wait;
sub master { my ($file) = @_; my ($pid) = slurp("$s->{dir}/nginx.started" . ($file // '')) =~ /(\d+)/; return $pid }
sub workers { my ($pid) = @_; return split ' ', slurp("/proc/$pid/task/$pid/children") }
$s->adopt('nginx', master());       # so that it is ended whatever happens
ok until_true('nginx serves', sub { (eval { post('/jobs', 'x') } // {})->{status} == 202 }), 'started';

subtest 'USR2, then QUIT: a new binary takes over' => sub {
    my $old = master();
    my $id = one_job();
    claim($id);
    my $stream = begin_request('GET', "/jobs/$id/events", headers => { Accept => 'text/event-stream' });
    my $held = begin_request('GET', "/jobs/$id?wait=40");
    ok $stream->wait_event('processing'), 'the stream has begun';
    kill 'USR2', $old;
    ok until_true(
        'the new master',
        sub {
            -s "$s->{dir}/nginx.started.oldbin" && -s "$s->{dir}/nginx.started" && master() != $old
                && workers(master());
        }
        ),
        'a new master serves beside the old one';
    $s->adopt('nginx', master());
    my @posts = map { begin_request('POST', '/jobs', body => "u$_") } 1 .. 40;
    kill 'QUIT', $old;
    push @posts, map { begin_request('POST', '/jobs', body => "u$_") } 41 .. 80;
    is scalar(grep { $_->response->{status} == 202 } @posts), 80, 'every submission is answered';
    my $r = $held->response;
    is $r->{status}, 200, 'who was held is answered';
    like header($r, 'Retry-After'), qr/^[1-5]$/, 'and told when to come back';
    $stream->read_until(sub { 0 }, 10);
    ok $stream->{eof} && $stream->{buffer} =~ /\r\n0\r\n\r\n$/, 'the stream ends in good order';
    my ($last) = reverse grep { defined $_->{id} } @{ $stream->events };
    my $again = begin_request('GET', "/jobs/$id/events",
        headers => { Accept => 'text/event-stream', 'Last-Event-ID' => $last->{id} });
    ok $again->wait_event('ready'), 'the stream is served by the new binary';
    complete($id, 'x', hint => 1);
    ok $again->wait_event('completed'), 'and goes on at the new one';
    is_deeply [ map { $_->{event} } @{ $again->events } ], [ 'ready', 'completed' ], 'where it was';
    ok until_true('the old master is gone', sub { !kill 0, $old }), 'the old one is gone';
};

subtest 'whoever holds it up, an old nginx worker is gone within await_drain' => sub {
    my $big = one_job();
    my $attempt = claim($big);
    sql("SELECT await.append_result('$big', test.receipt('$big'), n, convert_to(repeat('x', 4000000), 'UTF8'))
        FROM generate_series(0, 4) n");
    sql("SELECT await.complete('$big', test.receipt('$big'), null, 'text/plain')");
    my $busy = one_job();
    claim($busy);
    sql("SELECT await.emit('$busy', test.receipt('$busy'), 'n', to_jsonb(repeat('y', 40000)))
        FROM generate_series(1, 400)");
    my @old = workers(master());
    my $upload = begin_request('POST', '/jobs', headers => { 'Content-Length' => 1000000 }, body => 'half');
    my $download = begin_request('GET', "/jobs/$big/result");
    my $deaf = begin_request('GET', "/jobs/$busy/events", headers => { Accept => 'text/event-stream' });
    eventually('all of them are under way', sub { metric('await_buffered_bytes') > 0 });
    kill 'HUP', master();
    my $begin = time;
    eventually('the old nginx workers are gone', sub { !grep { kill 0, $_ } @old }, 40);
    my $took = time - $begin;
    cmp_ok $took, '<', 3 + 17, sprintf 'after %.1f s, and not after send_timeout of a minute', $took;
    cmp_ok $took, '>', 2, 'and not before it had to';
    my $r = $upload->response;
    is $r->{status}, 503, 'the upload is told';
    ok header($r, 'Retry-After'), 'it says when to come back';
    like get('/metrics')->{body}, qr/^await_cut_total [1-9]/m, 'the others are counted';
    # the stream goes on from what was read of it
    $deaf->read_until(sub { 0 }, 3);
    my $events = Await::Test::Exchange::events({ buffer => $deaf->{buffer} =~ s/[^\n]*\z//r });
    my ($last) = reverse grep { defined $_->{id} && ($_->{data} // '') =~ /\}$/ } @$events;
    my $again = begin_request('GET', "/jobs/$busy/events",
        headers => { Accept => 'text/event-stream', 'Last-Event-ID' => $last->{id} });
    ok $again->read_until(sub { $_[0] =~ /"seq":402\b/ }, 20), 'to the last event';
    my ($first) = grep { $_->{event} eq 'n' } @{ $again->events };
    is json({ body => $first->{data} })->{seq}, json({ body => $last->{data} })->{seq} + 1, 'without a hole';
};

kill 'TERM', master();
my $pid = $s->pid('nginx');
ok until_true('nginx ends', sub { !kill 0, $pid }), 'ended';
finish();
