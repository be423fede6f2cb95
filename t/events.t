# Server-Sent Events: primer, ids, replay, resume, reset, heartbeats, the end; and the same as JSON.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use Test::More;
use Time::HiRes qw(time);

start_stack(extra => <<'CONF');
    location ~ ^/ping/(?<id>[^/]+)$ { await_ping 1s; await_retry 3s 4s; await_events job:$id; }
    location ~ ^/json/(?<id>[^/]+)$ { await_events job:$id default=json; }
CONF

my @sse = (Accept => 'text/event-stream');
sub stream { my ($path, %headers) = @_; return begin_request('GET', $path, headers => { @sse, %headers }) }
sub types { my ($stream) = @_; return [ map { $_->{event} } @{ $stream->events } ] }
sub data { return json({ body => $_[0]{data} }) }

subtest 'a job\'s whole life, live' => sub {
    my $id = one_job('/jobs', 'x', 'X-Correlation-Id' => 'c');
    my $s = stream("/jobs/$id/events");
    ok $s->wait_event('pending'), 'the event pending arrives';
    my ($head) = split /\r\n\r\n/, $s->{buffer};
    like $head, qr{^HTTP/1.1 200}, 'the stream is answered with 200';
    like $head, qr{Content-Type: text/event-stream\r}i, 'its type is text/event-stream';
    like $head, qr{Cache-Control: no-store}i, 'no cache stores it';
    like $head, qr{X-Accel-Buffering: no}i, 'no proxy buffers it';
    like $s->{buffer}, qr/\r\nretry: \d{4}\nid: [\w-]+\nevent: ready\n/, 'retry is in the block of ready';
    my ($ready, $pending) = @{ $s->events };
    is $ready->{event}, 'ready', 'the first event is ready';
    is data($ready)->{state}, 'pending', 'ready has the state pending';
    is data($ready)->{cursor}, $ready->{id}, 'ready\'s cursor is its id';
    is data($ready)->{type}, 'ready', 'ready has its type in the data';
    is_deeply data($pending),
        { job => $id, seq => 1, type => 'pending', data => undef, at => data($pending)->{at}, correlation_id => 'c' },
        'pending has every member';
    claim($id); hint($id);
    ok $s->wait_event('processing'), 'the event processing arrives';
    sql("SELECT await.heartbeat('$id', test.receipt('$id'), '{\"done\": 1}')"); hint($id);
    is_deeply data($s->wait_event('progress'))->{data}, { done => 1 }, 'the event progress has its data';
    sql("SELECT await.emit('$id', test.receipt('$id'), 'node_started', '{\"text\": \"a\\nb\\r\\nid: evil\"}')");
    hint($id);
    is_deeply data($s->wait_event('node_started'))->{data}, { text => "a\nb\r\nid: evil" }, 'nothing injects a line';
    complete($id, "{\n \"a\": 1\n}", type => 'application/json', name => 'n', hint => 1);
    is_deeply data($s->wait_event('completed'))->{result},
        { type => 'application/json', size => 11, name => 'n', value => { a => 1 } },
        'the event completed has the result';
    $s->read_until(sub { 0 }, 3);
    ok $s->{eof}, 'the server ends the stream';
    is_deeply types($s), [qw(ready pending processing progress node_started completed)], 'every event once, in order';
    my %ids = map { $_->{id} => 1 } @{ $s->events };
    is scalar(keys %ids), 6, 'each event has an id of its own';
    like $_, qr/^[A-Za-z0-9_-]+$/, 'URL-safe' for keys %ids;

    subtest 'resume' => sub {
        my @events = @{ $s->events };
        my $again = stream("/jobs/$id/events", 'Last-Event-ID' => $events[2]{id});
        $again->read_until(sub { 0 }, 5);
        is_deeply types($again), [qw(ready progress node_started completed)], 'every later event, once, in order';
        my $by_query = stream("/jobs/$id/events?cursor=$events[3]{id}");
        $by_query->read_until(sub { 0 }, 5);
        is_deeply types($by_query), [qw(ready node_started completed)], '?cursor= goes on behind the event it names';
        my $both = stream("/jobs/$id/events?cursor=$events[1]{id}", 'Last-Event-ID' => $events[4]{id});
        $both->read_until(sub { 0 }, 5);
        is_deeply types($both), [qw(ready completed)], 'Last-Event-ID beats ?cursor=';
        my $r = get("/jobs/$id/events", @sse, 'Last-Event-ID' => $events[5]{id});
        is $r->{status}, 204, 'at the end: 204, which stops EventSource';
        is header($r, 'Cache-Control'), 'no-store', 'the 204 is not stored';
        is json(get("/jobs/$id"))->{cursor}, $events[5]{id}, 'the document has the same cursor';
    };

    subtest 'a cursor that says nothing here' => sub {
        my $other = json(get('/jobs/' . one_job()))->{cursor};
        for my $cursor ('garbage', 'A' x 3000, '', "\xff\xfe", $other) {
            next if $cursor eq '';
            my $reset = stream("/jobs/$id/events", 'Last-Event-ID' => $cursor);
            $reset->read_until(sub { 0 }, 5);
            is_deeply types($reset), ['reset'], 'reset, in-band';
            is data($reset->events->[0])->{state}, 'completed',
                "reset has the state completed: cursor " . substr $cursor, 0, 30;
        }
        my $live = one_job();
        my $s = stream("/jobs/$live/events", 'Last-Event-ID' => 'garbage');
        ok $s->wait_event('reset'), 'a garbled cursor of a live job gets a reset';
        claim($live); complete($live, 'x', hint => 1);
        ok $s->wait_event('completed'), 'and goes on from there';
        is_deeply types($s), [qw(reset processing completed)], 'reset, then every event of afterwards';
    };
};

subtest 'one URL, several ways to watch' => sub {
    my $id = one_job();
    ok stream("/jobs/$id")->wait_event('ready'), 'the document\'s URL streams where events are accepted';
    is get("/jobs/$id")->{headers}{'content-type'}, 'application/json', 'without Accept it is the document';
    is get("/jobs/$id", Accept => 'text/event-stream;q=0.1, application/json')->{headers}{'content-type'},
        'application/json', 'JSON preferred: it is the document';
    is get("/jobs/$id/events", Accept => 'image/png')->{status}, 406, 'no acceptable type: 406';
};

subtest '?names=off and ?beat=1' => sub {
    my $id = one_job();
    my $reset = stream("/ping/$id?names=off&cursor=zzz");
    $reset->read_until(sub { $_[0] =~ /data/ });
    is data($reset->events->[0])->{type}, 'reset', 'reset can be told from ready by its data';
    my $s = stream("/ping/$id?names=off&beat=1");
    $s->read_until(sub { $_[0] =~ /pending/ });
    is_deeply [ grep { defined && $_ ne 'beat' } @{ types($s) } ], [], 'onmessage sees all';
    ok $s->wait_event('beat'), 'heartbeats that scripts see';
    like $s->{buffer}, qr/retry: 3\d{3}\n|retry: 4000\n/, 'await_retry';
};

subtest 'heartbeats' => sub {
    my $id = one_job();
    my $s = stream("/ping/$id");
    ok $s->read_until(sub { $_[0] =~ /\n:\n/ }), 'a comment each await_ping';
    is_deeply types($s), [qw(ready pending)], 'which is no event';
};

# As @microsoft/fetch-event-source and many parsers written by hand do it: each blank line ends a message, with or
# without data.
sub messages {
    my ($body) = @_;
    my ($message, @out) = ({});
    while ($body =~ /([^\r\n]*)(?:\r\n|\n|\r)/g) {
        my $line = $1;
        if ($line eq '') { push @out, $message; $message = {} }
        elsif ($line =~ /^(\w+): ?(.*)/) { $message->{$1} = defined $message->{$1} ? "$message->{$1}\n$2" : $2 }
    }
    return @out;
}

subtest 'every block has data, for clients that parse each' => sub {
    my $id = one_job();
    my @query = ('', '?names=off', '?cursor=zzz', '?names=off&cursor=zzz', '?beat=1');
    my %stream = map { $_ => stream("/ping/$id$_") } @query;
    for my $query (@query) {
        my $s = $stream{$query};
        ok $s->read_until(sub { $_[0] =~ /^:|\{\}/m }), "'$query': there is a heartbeat";
        my ($body) = $s->{buffer} =~ /\r\n\r\n(.*)/s;
        my @messages = messages(Await::Test::Exchange::dechunk($body));
        cmp_ok scalar(@messages), '>=', 1, "'$query': there are messages";
        is_deeply [ grep { !eval { JSON::PP->new->decode($_->{data} // '') } } @messages ], [],
            "'$query': each has data in JSON";
        like $messages[0]{retry}, qr/^\d+$/, "'$query': the first has the time to reconnect";
    }
};

subtest 'a history longer than a page, and many watchers' => sub {
    my $id = one_job();
    claim($id);
    sql("SELECT count(await.emit('$id', test.receipt('$id'), 'token', to_jsonb(n))) FROM generate_series(1, 1000) n");
    my @s = map { stream("/jobs/$id/events") } 1 .. 10;
    ok $_->read_until(sub { $_[0] =~ /"data":1000,/ }, 20), 'each stream gets the whole history' for @s;
    sql("SELECT count(await.emit('$id', test.receipt('$id'), 'token', to_jsonb(n))) FROM generate_series(1001, 1250) n"
    );
    complete($id, 'x', hint => 1);
    for my $s (@s) {
        $s->read_until(sub { 0 }, 10);
        is_deeply [ map { data($_)->{seq} } grep { $_->{event} ne 'ready' } @{ $s->events } ], [ 1 .. 1253 ],
            'in order, once each';
    }
};

subtest 'a slow client does not fill memory, and misses nothing' => sub {
    my $id = one_job();
    claim($id);
    my ($pid) = worker_pids();
    my $s = stream("/jobs/$id/events");
    ok $s->wait_event('processing'), 'the stream has begun';
    my $before = memory_kb($pid, 'VmRSS');
    sql("SELECT count(await.emit('$id', test.receipt('$id'), 'block', to_jsonb(repeat('x', 40000))))
        FROM generate_series(1, 1000) n");
    hint($id);
    is get("/jobs/$id")->{status}, 200, 'nginx has seen the hint';
    eventually('memory stands still: the stream has stalled',
        sub { my $was = memory_kb($pid, 'VmRSS'); select undef, undef, undef, 0.3; memory_kb($pid, 'VmRSS') == $was });
    my $grown = memory_kb($pid, 'VmHWM') - $before;
    cmp_ok $grown, '<', $ENV{AWAIT_ASAN} ? 400_000 : 24_000, "40 MB wait, memory grew by $grown KB";
    complete($id, 'x', hint => 1);
    $s->read_until(sub { substr($_[0], -70_000) =~ /event: completed/ }, 60);    # what came last, of 40 MB
    $s->read_until(sub { 0 }, 10);
    my ($body) = $s->{buffer} =~ /\r\n\r\n(.*)/s;
    my $blocks = () = Await::Test::Exchange::dechunk($body) =~ /^event: block\ndata: /mg;    # fast: it is 40 MB
    is $blocks, 1000, 'none of the blocks is missing';
};

subtest 'not there' => sub {
    is get("/jobs/$_/events", @sse)->{status}, 404, "no job $_: 404" for 'nope', '01a20229-85dd-7905-b3ad-942074197547';
    is post('/jobs/nope/events', 'x')->{status}, 405, 'POST is not allowed';
    my $head = begin_request('HEAD', '/jobs/' . one_job() . '/events', headers => {@sse});
    $head->{head_only} = 1;
    is $head->response->{status}, 200, 'HEAD does not stream';
};

subtest 'as JSON' => sub {
    my $id = one_job();
    my $r = get("/json/$id");
    is header($r, 'Content-Type'), 'application/json', 'the page is JSON';
    my $page = json($r);
    is_deeply [ map { $_->{type} } @{ $page->{events} } ], ['pending'], 'the page has the event pending';
    is $page->{state}, 'pending', 'the page\'s state is pending';
    ok !$page->{done}, 'the page is not done';
    my $held = begin_request('GET', "/json/$id?cursor=$page->{cursor}", headers => { Prefer => 'wait=20' });
    ok $held->quiet(0.3), 'a page with a cursor at the end is held';
    claim($id); hint($id);
    $page = json($held->response);
    is_deeply [ map { $_->{type} } @{ $page->{events} } ], ['processing'], 'it is answered with the next event';
    # was a bug: a hint sent before its commit was seen, and then never again
    $held = begin_request('GET', "/json/$id?cursor=$page->{cursor}&wait=20");
    ok $held->quiet(0.2), 'the next page is held';
    my ($channel) = split /\|/, sql("SELECT channel FROM await.hint('$id')");
    # over a session that is there already: what comes more than a third of a second after its hint waits for the
    # re-read
    my $worker = Await::Session->new(stack()->postgres);
    my $receipt = sql("SELECT test.receipt('$id')");
    stack()->redis_command('PUBLISH', $channel, "1 $id 3 completed");
    is $worker->run("SELECT await.complete('$id', '$receipt', 'x', 'text/plain')"), 't', 'the worker completes the job';
    is_deeply [ map { $_->{type} } @{ json($held->response)->{events} } ], ['completed'],
        'the held page has the event completed';
    $page = json(get("/json/$id?cursor=$page->{cursor}&wait=20"));
    is_deeply [ map { $_->{type} } @{ $page->{events} } ], ['completed'],
        'the page at the same cursor has the event completed';
    ok $page->{done}, 'the page is done';
    my $end = json(get("/json/$id?cursor=$page->{cursor}&wait=20"));
    is_deeply $end->{events}, [], 'after the end: at once';
    ok json(get("/json/$id?cursor=garbage"))->{reset}, 'a garbled cursor gets a reset';
    is get("/jobs/$id/events", Accept => 'application/json')->{headers}{'content-type'}, 'application/json',
        'the events\' URL gives JSON where it is accepted';
    is get("/json/$id?wait=x")->{status}, 400, 'a malformed wait: 400';
    my $quiet = one_job();
    my $cursor = json(get("/json/$quiet"))->{cursor};
    $r = get("/json/$quiet?cursor=$cursor", Prefer => 'wait=1');
    is_deeply json($r)->{events}, [], 'on time-out nothing';
    is header($r, 'Preference-Applied'), 'wait=1', 'Preference-Applied says what was waited';
};

subtest 'a job that is no longer kept' => sub {
    my $gone = '00000000-0001-7905-b3ad-942074197547';
    my %sse = (Accept => 'text/event-stream');
    is get("/jobs/$gone/events", %sse)->{status}, 410, 'who asks for the first time';
    is get("/jobs/$gone/events?cursor=x", Accept => 'application/json')->{status}, 410, 'a page is answered the same';
    my $r = get("/jobs/$gone/events", %sse, 'Last-Event-ID' => 'AWrnmsRprKr4AAAABg');
    is $r->{status}, 200, 'an EventSource that was away too long';
    my ($id, $data) = $r->{body} =~ /^retry: \d+\nid: (\S+)\nevent: reset\ndata: (.*)\n\n\z/;
    is json({ body => $data // '' })->{state}, 'gone', 'is told so';
    is get("/jobs/$gone/events", %sse, 'Last-Event-ID' => $id // '')->{status}, 204, 'once';
};

finish();
