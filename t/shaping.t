# await_format, await_event_types, thin, linger: other shapes of what we say, on every transport.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use JSON::PP;
use Test::More;

my $s = start_stack(http => <<'HTTP', extra => <<'CONF');
    await_format run '{"type":"@type","...":"@data","timestamp":"@at|unix","ms":"@at|ms","run":"@job"}';
    await_format page '{"run_id":"@id","events":"@events","status":"@state","on":"@channel"}';
    await_format uploaded '{"message":"Uploaded","id":"@id","status":"@state|upper",
        "verdict":"@result.value.verdict ?? @state","deep":{"list":["@queue",1,null,"@@x"]},"none":"@params.none"}';
HTTP
    await_event_types completed=workflow_completed failed=workflow_failed pending=off processing=off;
    location = /in { await_submit work format=uploaded; }
    location ~ ^/in/(?<id>[^/]+)$ { await_job $id format=uploaded; }
    location ~ ^/run/(?<id>[^/]+)$ { await_events job:$id default=json event=run format=page; }
    location ~ ^/sse/(?<id>[^/]+)$ { await_events job:$id event=run; }
    location ~ ^/renamed/(?<id>[^/]+)$ { await_events job:$id; await_socket job:$id; }
    location ~ ^/ws/(?<id>[^/]+)$ { await_socket job:$id plain event=run; }
    location ~ ^/thin/(?<id>[^/]+)$ { await_event_types note=note; await_events job:$id thin; await_socket job:$id thin;
        }
    location ~ ^/hidden/(?<id>[^/]+)$ { await_event_types completed=off; await_events job:$id; }
    location ~ ^/linger/(?<id>[^/]+)$ { await_ping 1s; await_events job:$id linger; }
CONF
sub stream {
    my ($path, %headers) = @_;
    return begin_request('GET', $path, headers => { Accept => 'text/event-stream', %headers });
}

my $r = post('/in', 'x');
my $doc = json($r);
my $id = $doc->{id};
subtest 'a document' => sub {
    is $r->{status}, 202, 'the submission is accepted';
    is_deeply $doc,
        {
        message => 'Uploaded',
        id => $id,
        status => 'PENDING',
        verdict => 'pending',
        deep => { list => [ 'work', 1, undef, '@x' ] },
        none => undef
        },
        'its document has the template\'s members';
    claim($id);
    sql("SELECT await.emit('$id', test.receipt('$id'), 'node_started',
        '{\"node_id\":\"fetch\",\"type\":\"other\",\"big\":123456789012345678901234567890,\"s\":\"a\\\"}b\"}')");
    sql("SELECT await.heartbeat('$id', test.receipt('$id'), '{\"done\":1}')");
    complete($id, '{"verdict":"PASSED"}', type => 'application/json', hint => 1);
    is json(get("/in/$id"))->{verdict}, 'PASSED', 'deep in a result';
    is json(get("/in/$id"))->{status}, 'COMPLETED', 'the status has its other name';
};

subtest 'events as a page' => sub {
    my $body = get("/run/$id")->{body};
    my $page = decode_json($body);
    is $page->{run_id}, $id, 'a page has the run\'s id';
    is $page->{status}, 'completed', 'a state keeps its name';
    is $page->{on}, "job:$id", 'a page has its channel';
    is join(' ', map { $_->{type} } @{ $page->{events} }), 'node_started progress workflow_completed',
        'renamed, hidden, and the template\'s own members win';
    is $page->{events}[0]{node_id}, 'fetch', 'data stand beside the type';
    is $page->{events}[0]{s}, 'a"}b', 'a string with quotes and a bracket';
    like $body, qr/"big": ?123456789012345678901234567890\b/, 'every digit';
    like $page->{events}[0]{timestamp}, qr/^\d{10}$/, 'a time in seconds';
    like $page->{events}[0]{ms}, qr/^\d{13}$/, 'a time in milliseconds';
    is $page->{events}[2]{run}, $id, 'an ending has the run\'s id';
};

subtest 'as a stream, and on sockets' => sub {
    my $all = stream("/sse/$id");
    $all->read_until(sub { 0 }, 20);
    is join(' ', map { $_->{event} } @{ $all->events }), 'ready node_started progress workflow_completed',
        'a stream has the same events behind ready';
    is decode_json($all->events->[1]{data})->{node_id}, 'fetch', 'its data stand beside the type';
    my $at = stream("/sse/$id?cursor=" . $all->events->[1]{id});
    $at->read_until(sub { 0 }, 20);
    is join(' ', map { $_->{event} } @{ $at->events }), 'ready progress workflow_completed',
        'cursors count what is hidden';
    is get("/sse/$id?cursor=" . $all->events->[-1]{id}, Accept => 'text/event-stream')->{status}, 204,
        'behind the last event there is nothing: 204';
    my $plain = Await::WebSocket->new($s->{port}, "/ws/$id", protocols => undef);
    my @said = $plain->messages(3);
    is_deeply [ sort keys %{ $said[0] } ], [qw(big ms node_id run s timestamp type)], 'nothing but the template';
    is join(' ', map { $_->{type} } @said), 'node_started progress workflow_completed',
        'a plain socket has the same events';
    my $socket = Await::WebSocket->new($s->{port}, "/renamed/$id");
    @said = $socket->messages(4);
    is join(' ', map { $_->{type} // $_->{op} } @said), 'subscribed node_started progress workflow_completed',
        'a socket with the protocol has them behind subscribed';
    ok $said[1]{cursor} && $said[1]{channel}, 'with what the contract has';
};

subtest 'live, beside others who want it otherwise' => sub {
    my $job = one_job('/in');
    my @streams = map { stream("/$_/$job") } qw(sse renamed thin sse renamed);
    $_->wait_event('ready') for @streams;
    claim($job);
    for my $n (1 .. 5) { sql("SELECT await.emit('$job', test.receipt('$job'), 'note', '{\"n\":$n}')"); hint($job) }
    for my $i (0 .. 4) {
        my $stream = $streams[$i];
        $stream->read_until(sub { 5 == grep { $_->{event} eq 'note' } @{ $stream->events } });
        my @notes = map { decode_json($_->{data}) } grep { $_->{event} eq 'note' } @{ $stream->events };
        is scalar(@notes), 5, "stream $i gets five notes";
        if ($i % 3 == 0) {
            is_deeply [ map { $_->{n} } @notes ], [ 1 .. 5 ], 'formatted';
        }
        elsif ($i == 2) {
            ok !exists $notes[0]{data}, 'thin: no data';
            is $notes[4]{seq}, 7, 'thin: with its sequence number';
        }
        else {
            is_deeply [ map { $_->{data}{n} } @notes ], [ 1 .. 5 ], 'as it is';
        }
    }
    like $streams[2]->{buffer}, qr/^event: pending/m, 'this location names its own types';
    complete($job, '{"secret":1}', type => 'application/json', hint => 1);
    my $end = $streams[2]->wait_event('completed');
    unlike $end->{data}, qr/secret/, 'thin: no result';
};

subtest 'a hidden end is an end' => sub {
    my $job = one_job('/in');
    claim($job);
    complete($job, 'x');
    my $stream = stream("/hidden/$job");
    $stream->read_until(sub { 0 }, 20);
    is join(' ', map { $_->{event} } @{ $stream->events }), 'ready pending processing ready',
        'the last one has the cursor';
    is get("/hidden/$job?cursor=" . $stream->events->[-1]{id}, Accept => 'text/event-stream')->{status}, 204,
        'where nothing will come';
};

subtest 'linger' => sub {
    my $job = one_job('/in');
    claim($job);
    complete($job, 'x');
    my $stream = stream("/linger/$job");
    ok $stream->wait_event('workflow_completed'), 'the end arrives under its other name';
    ok $stream->read_until(sub { $_[0] =~ /^:\n/m }), 'stays open';
    ok stream("/linger/$job?cursor=" . $stream->events->[-1]{id})->wait_event('ready'),
        'also for who comes after the end';
};

finish();
