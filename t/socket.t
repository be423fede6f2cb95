# WebSockets: many channels on one connection, cursors, resets, limits, drain; told by clients that nobody here wrote.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use Test::More;

my $secure = Await::Stack::free_port();
my $keys = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $keys;
self_signed($keys);
start_stack(extra => <<'CONF' =~ s/\$\{KEYS\}/$keys/gr =~ s/\$\{SECURE\}/$secure/gr);
    listen 127.0.0.1:${SECURE} ssl; ssl_certificate ${KEYS}/cert.pem; ssl_certificate_key ${KEYS}/key.pem;
    location = /metrics { await_metrics; }
    location = /ws { await_socket; }
    location ~ ^/ws/(?<id>[^/]+)$ { await_socket job:$id; }
    location ~ ^/plain/(?<id>[^/]+)$ { await_socket job:$id plain; }
    location = /few { await_max_channels 2; await_socket; }
    location = /owned { await_owner $arg_who; await_submit work; await_socket; }
    location = /off { await_park off; await_socket; }
    location ~ ^/all/(?<id>[^/]+)$ { await_job $id; await_events job:$id; await_socket job:$id; }
CONF

sub open_ws { my ($path, %o) = @_; return Await::WebSocket->new(stack()->{port}, $path // '/ws', %o) }
sub types { return [ map { $_->{type} // $_->{op} } @_ ] }

subtest 'a job watched from its beginning to its end' => sub {
    my $id = one_job();
    my $ws = open_ws();
    is $ws->{status}, 101, 'the socket opens';
    is $ws->{headers}{'sec-websocket-protocol'}, 'await.v1', 'it speaks await.v1';
    $ws->say({ op => 'subscribe', channel => "job:$id" });
    my $said = $ws->message;
    is $said->{op}, 'subscribed', 'the answer is subscribed';
    is $said->{channel}, "job:$id", 'it names the channel';
    is $said->{state}, 'pending', 'it has the state';
    my $event = $ws->message;
    is_deeply [ sort keys %$event ], [ sort qw(channel cursor job seq type data at correlation_id) ],
        'an event has every member';
    is $event->{type}, 'pending', 'the first event is pending';
    my $attempt = claim($id); hint($id);
    is $ws->message->{type}, 'processing', 'the next event is processing';
    sql("SELECT await.emit('$id', test.receipt('$id'), 'note', '{\"n\": 1}')"); hint($id);
    my $note = $ws->message;
    is $note->{seq}, 3, 'the note has the next number';
    is $note->{data}{n}, 1, 'the note has its data';
    complete($id, '{"ok": true}', type => 'application/json', hint => 1);
    my $last = $ws->message;
    is $last->{type}, 'completed', 'the last event is completed';
    is_deeply $last->{result}{value}, { ok => JSON::PP::true }, 'it has the result';
    ok $ws->quiet(0.3), 'it stays open';
    $ws->say({ op => 'ping' });
    is $ws->message->{op}, 'beat', 'a ping is answered by a beat';
    $ws->say({ op => 'subscribe', channel => "job:$id", cursor => $note->{cursor} });
    is_deeply types($ws->messages(2)), [ 'subscribed', 'completed' ], 'from a cursor on';
    $ws->say({ op => 'subscribe', channel => "job:$id", cursor => $last->{cursor} });
    is_deeply types($ws->messages(1)), ['subscribed'], 'from the end there is nothing';
    is $ws->close, 1000, 'the close comes back with 1000';
};

subtest 'a ping with a channel is answered with how far it is' => sub {
    my $id = one_job();
    my $ws = open_ws();
    my $place = sub { $ws->say({ op => 'ping', channel => $_[0] }); return $ws->message };
    is_deeply $place->("job:$id"),
        { op => 'error', channel => "job:$id", status => 404, detail => 'Not subscribed to this channel.' },
        'a channel that is not on the socket';
    is $place->('nonsense')->{status}, 404, 'no channel at all';
    $ws->say({ op => 'subscribe', channel => "job:$id" });
    my (undef, $event) = $ws->messages(2);
    is_deeply $place->("job:$id"), { op => 'beat', channel => "job:$id", cursor => $event->{cursor} },
        'the cursor of the event that was sent last';
    claim($id); hint($id);
    my $next = $ws->message;
    isnt $next->{cursor}, $event->{cursor}, 'behind another event';
    is $place->("job:$id")->{cursor}, $next->{cursor}, 'it is another one';
    $ws->say({ op => 'ping', channel => 7 });
    is_deeply $ws->message, { op => 'beat' }, 'a channel that is no string counts as none';
    complete($id, 'x', hint => 1);
    is $ws->message->{type}, 'completed', 'when the job has ended';
    is $place->("job:$id")->{status}, 404, 'its channel has left the socket';
    $ws->close;
};

subtest 'the same cursor on every transport' => sub {
    my $id = one_job();
    claim($id);
    my $page = json(get("/jobs/$id/events", Accept => 'application/json'));
    my $ws = open_ws();
    $ws->say({ op => 'subscribe', channel => "job:$id", cursor => $page->{cursor} });
    is $ws->message->{op}, 'subscribed', 'the socket is subscribed';
    complete($id, 'x', hint => 1);
    my $end = $ws->message;
    is $end->{seq}, 3, 'the ending has the next number';
    my $stream = begin_request('GET', "/jobs/$id/events", headers => { 'Last-Event-ID' => $end->{cursor} })->response;
    is $stream->{status}, 204, 'and back';
    $ws->close;
};

subtest 'a cursor that says nothing here: reset, with what is now' => sub {
    my $id = one_job();
    claim($id);
    my $ws = open_ws();
    $ws->say({ op => 'subscribe', channel => "job:$id", cursor => 'garbage' });
    my @said = $ws->messages(2);
    is_deeply types(@said), [ 'subscribed', 'reset' ], 'subscribed, then reset';
    is $said[1]{state}, 'processing', 'reset has the state';
    complete($id, 'x', hint => 1);
    is $ws->message->{type}, 'completed', 'the events of afterwards follow';
    $ws->close;
};

subtest 'many channels, each in its order' => sub {
    my @ids = map { one_job() } 1 .. 20;
    my $ws = open_ws();
    $ws->say({ op => 'subscribe', channel => "job:$_" }) for @ids;
    my @first = $ws->messages(40);
    is scalar(grep { ($_->{op} // '') eq 'subscribed' } @first), 20, 'each channel is subscribed';
    claim($_) for @ids;
    complete($_, "made $_") for @ids;
    hint($_) for @ids;
    my %seen;
    for my $event ($ws->messages(40)) { push @{ $seen{ $event->{job} } }, $event->{seq} }
    is_deeply \%seen, { map { $_ => [ 2, 3 ] } @ids }, 'the events of each in their order';
    $ws->close;
};

subtest 'unsubscribe' => sub {
    my $id = one_job();
    my $ws = open_ws();
    $ws->say({ op => 'subscribe', channel => "job:$id" });
    $ws->messages(2);
    $ws->say({ op => 'unsubscribe', channel => "job:$id" });
    is $ws->message->{op}, 'unsubscribed', 'unsubscribed is answered';
    claim($id); hint($id);
    ok $ws->quiet(0.3), 'no event comes any more';
    $ws->say({ op => 'unsubscribe', channel => "job:$id" });
    is $ws->message->{status}, 404, 'what is not subscribed cannot be unsubscribed';
    $ws->close;
};

subtest 'what is refused says so, and the socket goes on' => sub {
    my $id = one_job();
    my $ws = open_ws();
    my $unknown = '0198c0de-0000-7000-8000-00000000000' . int rand 10;
    my %said;
    for my $case (
        [ "job:$unknown", 404 ],
        [ 'job:x', 404 ],
        [ 'nonsense', 404 ],
        [ '', 404 ],
        [ 'user:me', 404 ],
        [ 'topic:t', 404 ])
    {
        $ws->say({ op => 'subscribe', channel => $case->[0] });
        my $error = $ws->message;
        is $error->{op}, 'error', "'$case->[0]': an error";
        is $error->{status}, $case->[1], "'$case->[0]': its status";
        is $error->{channel} // '', $case->[0], "'$case->[0]': its channel is named";
    }
    $ws->say({ op => 'subscribe', channel => "job:$id" });
    $ws->messages(2);
    $ws->say({ op => 'subscribe', channel => "job:$id" });
    is $ws->message->{status}, 409, 'twice';
    for my $bad (
        '', '{', '[]', '"x"', '{}', '{"op":1}', '{"op":"nonesuch"}', '{"op":"subscribe"}',
        '{"op":"subscribe","channel":1}',
        "{\"op\":\"subscribe\",\"channel\":\"job:$id\",\"cursor\":1}",
        '[' x 3000
        )
    {
        $ws->send_text($bad);
        my $error = $ws->message;
        is "$error->{op} $error->{status}", 'error 400', "'" . substr($bad, 0, 40) . "'";
    }
    $ws->close;
};

subtest 'a job of somebody else is like none' => sub {
    my $id = one_job('/owned?who=ann');
    my $theirs = open_ws('/owned?who=bob');
    my $unknown = $id =~ s/...$/fff/r;
    $theirs->say({ op => 'subscribe', channel => "job:$_" }) for $id, $unknown;
    my @errors = $theirs->messages(2);
    is_deeply [ map { delete $_->{channel}; $_ } $errors[0] ], [ map { delete $_->{channel}; $_ } $errors[1] ],
        'the same words';
    my $mine = open_ws('/owned?who=ann');
    $mine->say({ op => 'subscribe', channel => "job:$id" });
    is $mine->message->{op}, 'subscribed', 'its owner is subscribed';
    is open_ws('/owned?who=')->{status}, 403, 'nobody';
};

subtest 'limits' => sub {
    my $ws = open_ws('/few');
    $ws->say({ op => 'subscribe', channel => 'job:' . one_job() }) for 1 .. 3;
    my ($error) = grep { ($_->{op} // '') eq 'error' } $ws->messages(5);
    is $error->{status}, 429, 'channels';
    $ws->send_text('x' x 70_000);
    is $ws->closed, 1009, 'a message that is too large';
};

subtest 'channels of the location, plain and not' => sub {
    my $id = one_job();
    my ($ws, $plain) = (open_ws("/ws/$id"), open_ws("/plain/$id", protocols => undef));
    is_deeply types($ws->messages(2)), [ 'subscribed', 'pending' ], 'the channel of the location is subscribed at once';
    is_deeply types($plain->message), ['pending'], 'nothing but events';
    ok !exists $plain->{headers}{'sec-websocket-protocol'}, 'plain: no protocol is spoken';
    $plain->send_text('whatever');
    claim($id); hint($id);
    is $plain->message->{type}, 'processing', 'plain: what the client says is passed over';
    my $none = open_ws('/plain/0198c0de-0000-7000-8000-000000000000', protocols => undef);
    is $none->closed, 4404, 'plain: a job that is not there closes with 4404';
};

subtest 'one URL, four ways to watch' => sub {
    my $id = one_job();
    is json(get("/all/$id"))->{state}, 'pending', 'by default the document';
    is header(get("/all/$id", Accept => 'text/plain'), 'Content-Type'), 'text/plain', 'text/plain: the state as a word';
    my $sse = begin_request('GET', "/all/$id", headers => { Accept => 'text/event-stream' });
    ok $sse->wait_event('pending'), 'text/event-stream: a stream';
    is open_ws("/all/$id")->message->{op}, 'subscribed', 'an upgrade: a socket';
};

subtest 'who cannot upgrade is told how' => sub {
    my $r = get('/ws');
    is $r->{status}, 426, 'a plain GET: 426';
    is header($r, 'Upgrade'), 'websocket', 'Upgrade says to what';
    is header($r, 'Sec-WebSocket-Version'), 13, 'and Sec-WebSocket-Version which';
    is post('/ws', 'x')->{status}, 405, 'POST is not allowed';
    my %good = (
        Upgrade => 'websocket',
        Connection => 'Upgrade',
        'Sec-WebSocket-Version' => 13,
        'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Protocol' => 'await.v1'
    );
    is get('/ws', %good, 'Sec-WebSocket-Version' => 8)->{status}, 426, 'another version: 426';
    is get('/ws', %good, Upgrade => 'h2c')->{status}, 426, 'an upgrade to something else: 426';
    is get('/ws', %good, Connection => 'close')->{status}, 426, 'a connection that does not upgrade: 426';
    is get('/ws', %good, 'Sec-WebSocket-Key' => $_)->{status}, 400, "key <$_>"
        for '', 'short', 'dGhlIHNhbXBsZSBub25jZQ=', 'dGhlIHNhbXBsZSBub25jZ*==';
    is get('/ws', %good, 'Sec-WebSocket-Protocol' => $_)->{status}, 400, "protocol <$_>"
        for 'chat', 'await.v2, chat', ',', '"await.v1"';
    for my $none (undef, '', ' ') {
        my $id = one_job();
        my $ws = open_ws('/ws', protocols => $none);
        is $ws->{status}, 101, 'a client that offers no subprotocol gets in';
        is $ws->{headers}{'sec-websocket-protocol'}, undef, 'it is told of none';
        $ws->say({ op => 'subscribe', channel => "job:$id" });
        is_deeply types($ws->messages(2)), [qw(subscribed pending)], 'it speaks await.v1 all the same';
        $ws->close;
    }
    is open_ws('/ws', protocols => 'chat, await.v1')->{headers}{'sec-websocket-protocol'}, 'await.v1',
        'of several protocols ours is taken';
    is open_ws('/ws', key => 'dGhlIHNhbXBsZSBub25jZQ==')->{headers}{'sec-websocket-accept'},
        's3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'the example of RFC 6455';
};

subtest 'parked or not, the access log tells of it once' => sub {
    for my $path ('/ws', '/off') {
        my $id = one_job();
        my $ws = open_ws($path);
        $ws->say({ op => 'subscribe', channel => "job:$id" });
        $ws->messages(2);
        eventually("$path: the socket is parked", sub { metric('await_parked') > 0 }) if $path eq '/ws';
        $ws->close;
        ok until_true('logged', sub { slurp(stack()->{dir} . '/logs/access.log') =~ m{"GET \Q$path\E HTTP/1.1" 101 } }),
            $path;
    }
};

subtest 'frames sent behind the request are not lost' => sub {
    my $id = one_job();
    my $ws = open_ws('/ws', early => [ { op => 'subscribe', channel => "job:$id" } ]);
    is $ws->message->{op}, 'subscribed', 'the early message is answered';
};

subtest 'a client that does not read holds nobody up, and nothing is lost to it' => sub {
    my $id = one_job();
    my $attempt = claim($id);
    my $ws = open_ws();
    $ws->say({ op => 'subscribe', channel => "job:$id" });
    $ws->messages(3);
    for my $i (1 .. 60) { sql("SELECT count(await.emit('$id', test.receipt('$id'), 'n', to_jsonb(repeat('x', 3000))))
        FROM generate_series(1, 50)"); hint($id) }
    until_true('bytes wait for it', sub { metric('await_buffered_bytes') > 0 });
    my @events = $ws->messages(3000, 30);
    is_deeply [ map { $_->{seq} } @events ], [ 3 .. 3002 ], 'all of 9 MB, in order';
};


my $files = File::Temp::tempdir(CLEANUP => 1);
sub foreign {
    my ($name, $program, $code) = @_;
    Await::Stack::write_file("$files/client", $code);
    my $id = one_job();
    my $attempt = claim($id);
    open my $out, '-|', "$program $files/client ws://127.0.0.1:" . stack()->{port} . "/ws job:$id 2>&1" or die $!;
    is scalar(readline $out), "subscribed await.v1\n", $name;
    is scalar(readline $out), "pending\n", "$name: the event pending";
    is scalar(readline $out), "processing\n", "$name: the event processing";
    complete($id, "{\"by\":\"$name\"}", type => 'application/json', hint => 1);
    is scalar(readline $out), "completed $name\n", "$name: the event completed with the result";
    is scalar(readline $out), "closed 1000\n", "$name: closed with 1000";
    close $out;
}

subtest 'clients that nobody here wrote' => sub {
    foreign('python', '/usr/bin/python3', <<'PYTHON');
import asyncio, json, sys, websockets
async def main(url, channel):
    async with websockets.connect(url, subprotocols=["await.v1"]) as ws:
        await ws.send(json.dumps({"op": "subscribe", "channel": channel}))
        assert json.loads(await ws.recv())["op"] == "subscribed"
        print("subscribed", ws.subprotocol, flush=True)
        while True:
            event = json.loads(await ws.recv())
            completed = event["type"] == "completed"
            print(event["type"], *([event["result"]["value"]["by"]] if completed else []), flush=True)
            if completed: break
        await asyncio.wait_for(await ws.ping(), 5)
    print("closed", ws.close_code)
asyncio.run(main(*sys.argv[1:]))
PYTHON
    local $ENV{NODE_PATH} = '/usr/share/nodejs';  # where Debian has it
    foreign('node', 'node', <<'NODE');
const WebSocket = require('ws');
const ws = new WebSocket(process.argv[2], ['await.v1']);
ws.on('open', () => ws.send(JSON.stringify({ op: 'subscribe', channel: process.argv[3] })));
ws.on('message', (text) => {
  const said = JSON.parse(text);
  if (said.op) console.log(said.op, ws.protocol);
  else if (said.type !== 'completed') console.log(said.type);
  else { console.log(said.type, said.result.value.by); ws.ping(); ws.on('pong', () => ws.close(1000)); }
});
ws.on('close', (code) => console.log('closed', code));
NODE
};

subtest 'over TLS, parked too' => sub {
    my $tls = sub {
        require IO::Socket::SSL;
        return IO::Socket::SSL->new(PeerAddr => '127.0.0.1', PeerPort => $secure, SSL_verify_mode => 0)
            // die 'TLS: ' . IO::Socket::SSL::errstr();
    };
    my $id = one_job();
    my $socket = $tls->();
    print $socket
        "GET /ws/$id HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        . "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        . "Sec-WebSocket-Protocol: await.v1\r\n\r\n";
    my $seen = '';
    my $until = sub {
        my ($what) = @_;
        local $SIG{ALRM} = sub { die "no $what in $seen" };
        alarm 20;
        until ($seen =~ $what) { sysread($socket, $seen, 65536, length $seen) or last }
        alarm 280;
        return $seen =~ $what;
    };
    ok $until->(qr/"type":"pending"/), 'the event pending arrives';
    eventually('the socket is parked', sub { metric('await_parked') > 0 });
    for (1 .. 3) {
        print $socket Await::WebSocket::frame(1, '{"op":"ping"}');
        $seen = '';
        ok $until->(qr/"op":"beat"/), "ping $_ is answered";
    }
    claim($id); complete($id, 'x', hint => 1);
    ok $until->(qr/"type":"completed"/), 'the event completed arrives';
    print $socket Await::WebSocket::frame(8, pack 'n', 1000);
    $seen = '';
    ok $until->(qr/\x88\x02\x03\xe8/), 'the close comes back with 1000';
};

subtest 'a reload says bye, with a time to come back' => sub {
    my $id = one_job();
    my ($ws, $plain, $unparked) = (open_ws("/ws/$id"), open_ws("/plain/$id", protocols => undef), open_ws('/off'));
    $ws->messages(2);
    $plain->message;
    kill HUP => stack()->pid('nginx');
    my $bye = $ws->message;
    is $bye->{op}, 'bye', 'the socket is told bye';
    cmp_ok $bye->{retry}, '>=', 1000, 'with a time to come back';
    is $ws->closed, 1012, 'and closed with 1012';
    is $plain->closed, 1012, 'the plain one is closed with 1012';
    is $unparked->message->{op}, 'bye', 'the one that is not parked is told bye';
    is $unparked->closed, 1012, 'and closed with 1012';
    is open_ws("/ws/$id")->message->{op}, 'subscribed', 'the new ones take over';
};

subtest 'a shutdown says bye as well, and that nobody takes over' => sub {
    my $id = one_job();
    my ($ws, $plain) = (open_ws("/ws/$id"), open_ws("/plain/$id"));
    $ws->messages(2);
    $plain->message;
    kill QUIT => stack()->pid('nginx');
    is $ws->message->{op}, 'bye', 'the socket is told bye';
    is $_->closed, 1001, 'it is closed with 1001' for $ws, $plain;
};

finish();
