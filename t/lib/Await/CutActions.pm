package Await::CutActions;

# The actions of t/cuts.t: every request that succeeds or is held, and every one that is refused.

use strict;
use warnings;
use Await::Test;
use Digest::SHA qw(hmac_sha256);
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use Test::More;
use Time::HiRes qw(time);

use Exporter 'import';
our @EXPORT = qw(%ACTIONS prepare_actions submit held);

my ($cutter, $port, $seed, $large, $small, $flood, $token, @tickets);
my $old = '01900000-0001-7645-b3ec-99daaec2129a';
my $marks = 0;

# Makes what the requests speak of, once the servers run. Options: cutter, port (where others do something meanwhile),
# seed, secret (which signs tokens). Returns the ids of a job with a large result (600 KB of r) and of one with a small.
sub prepare_actions {
    my (%o) = @_;
    ($cutter, $port, $seed) = @o{qw(cutter port seed)};
    ($large, $small) = (ended('r' x 600_000), ended('made'));
    $flood = json(post('/flood', '"' . 'f' x 40_000 . '"'))->{cursor} // die 'flood';
    post('/flood', '"' . 'f' x 40_000 . '"') for 1 .. 40;
    @tickets = map { json(post('/ticket?u=ann', ''))->{ticket} // die 'ticket' } 1 .. 60;
    my $data = join '.', map { encode_base64url(encode_json($_)) } { alg => 'HS256', typ => 'JWT' },
        { sub => 'ann', exp => int(time) + 36_000 };
    $token = "$data." . encode_base64url(hmac_sha256($data, $o{secret}));
    return ($large, $small);
}

# Deliveries that have ended, and those that were sent again.
my @deliveries;
sub delivery {
    unless (@deliveries) {
        sql("SELECT await.add_webhook('https://a.example/', 'hooked', '{*}')");
        sql("SELECT await.enqueue_deliveries(ARRAY[await.submit('hooked', 'x')], '{1}', '{pending}')
            FROM generate_series(1, 300)");
        @deliveries = split /\n/, sql(
            "WITH ended AS (DELETE FROM await.delivery_due RETURNING delivery)
            INSERT INTO await.delivery_end (delivery, state) SELECT delivery, 'dead' FROM ended RETURNING delivery");
    }
    return shift(@deliveries);
}

my @pool;
sub job {
    @pool = split /\n/, sql("SELECT await.submit('pool', 'x', 'text/plain') FROM generate_series(1, 1000)")
        unless @pool > 1;
    return $_[0] ? pop @pool : $pool[0];
}
sub ended { my ($body) = @_; my $id = one_job(); claim($id); complete($id, $body); return $id }

# Somebody else does it, just now.
sub elsewhere {
    my ($method, $path, $body) = @_;
    $cutter->add(
        port => $port,
        version => 1,
        name => "$method $path",
        steps => [ [
                      send => "$method $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
                    . length($body // '')
                    . "\r\n\r\n"
                    . ($body // '')
            ],
            [ until => sub { $_[0]{in} =~ /\r\n\r\n/ }, 5 ],
            [ cut => 'fin' ] ]);
}

# A request: { method, path, headers, body } and what may become of it: stores (its mark in the database), refused, held
# (answered only when `wake` is called, or for good), split (where its second packet begins), socket.
sub ask { my ($path, %o) = @_; return { method => 'GET', path => $path, %o } }
sub carry {
    my ($path, $body, %o) = @_;
    my $type = delete $o{type} // 'text/plain';
    return {
        method => 'POST',
        path => $path,
        body => $body,
        %o, headers => [ [ 'Content-Type', $type ], @{ $o{headers} // [] } ] };
}
sub marked {
    my ($request) = @_;
    $request->{mark} = "cut-$seed-" . ++$marks;
    push @{ $request->{headers} }, [ 'X-Correlation-Id', $request->{mark} ];
    return $request;
}
sub submit { return { %{ marked(carry(@_)) }, stores => 1 } }
sub refused { my ($request) = @_; return { %{ marked($request) }, refused => 1 } }
sub held {
    my ($path, %o) = @_;
    my $id = job(1);
    return ask($path =~ s/ID/$id/r, held => 1, wake => sub { elsewhere(DELETE => "/jobs/$id") }, %o);
}
sub watching {
    my ($path, %o) = @_;
    return ask($path, held => 1, wake => sub { elsewhere(POST => '/news', '"now"') }, %o);
}
sub sse { return (headers => [ [ 'Accept', 'text/event-stream' ] ]) }
sub prefer { return (headers => [ [ 'Prefer', "wait=$_[0]" ] ]) }
sub bearer { return (headers => [ [ 'Authorization', "Bearer $_[0]" ] ]) }
sub some { my ($most) = @_; return join '', map { chr 97 + rand 26 } 1 .. rand $most }
sub form { my ($body, $type) = multipart(@_); return ($body, type => $type) }
sub wrong_json {
    my $good = '{"a":' . '1' x rand 300;
    return (qq($good@@@) . 'x' x rand 2000, type => 'application/json', split => length $good);
}
# in a body that is refused, what would be a submission if it were read as a request
sub hidden {
    my $mark = "cut-$seed-hidden-" . ++$marks;
    return "POST /jobs HTTP/1.1\r\nHost: x\r\nX-Correlation-Id: $mark\r\nContent-Length: 1\r\n\r\nx" x 3;
}
sub upgrade {
    my ($path, @frames) = @_;
    return {
        method => 'GET',
        path => $path,
        socket => 1,
        headers => [
            [ Upgrade => 'websocket' ],
            [ Connection => 'Upgrade' ],
            [ 'Sec-WebSocket-Version', 13 ],
            [ 'Sec-WebSocket-Protocol', 'await.v1' ],
            [ 'Sec-WebSocket-Key', 'AAAAAAAAAAAAAAAAAAAAAA==' ]
        ],
        body => join '',
        @frames
    };
}
sub text {
    my ($payload, %o) = @_;
    my $n = length $payload;
    return
          chr(($o{fin} // 0x80) | ($o{opcode} // 1))
        . ($n < 126 ? chr(0x80 | $n) : chr(0xfe) . pack 'n', $n)
        . "\0\0\0\0$payload";
}
sub op { my ($op, $channel) = @_; return text(encode_json({ op => $op, $channel ? (channel => $channel) : () })) }

# A batch of 40 jobs, as lines; and an id of one that is open.
sub lines {
    my ($size) = @_;
    return (join('', map { '{"payload":"' . ('b' x rand $size) . qq("}\n) } 1 .. 40), type => 'application/x-ndjson');
}
my @batches;
sub batch {
    @batches = split /\n/, sql("SELECT await.create_batch('{\"phases\": [\"a\"]}') FROM generate_series(1, 500)")
        unless @batches > 1;
    return $_[0] ? pop @batches : $batches[0];
}
my @cancelled;
sub retriable {
    @cancelled = split /\n/, sql("SELECT j FROM (SELECT await.submit('gone', 'x') AS j FROM generate_series(1, 200)) k
        WHERE await.cancel(j) = 'cancelled'")
        unless @cancelled > 1;
    return pop @cancelled;
}
sub held_batch {
    my ($path, %o) = @_;
    my $id = batch(1);
    return ask($path =~ s/ID/$id/r, held => 1, wake => sub { elsewhere(DELETE => "/batches/$id") }, %o);
}

our %ACTIONS = (
    'batch' => sub { submit('/batches', lines(100)) },
    'batch of large jobs' => sub { submit('/batches', lines(9000), h1 => 1) },
    'batch in JSON' => sub {
        my ($lines) = lines(30);
        return submit('/batches', '{"jobs":[' . join(',', split /\n/, $lines) . ']}', type => 'application/json');
    },
    'batch of files' => sub {
        submit('/batches', form([ 'a', 'b' ], map { [ 'image', 'p' x rand 3000, "$_.png", 'image/png' ] } 1 .. 40));
    },
    'batch of large files' => sub {
        submit('/batches', form(map { [ 'image', 'p' x ($_ % 15 ? 100 : 70_000 + rand 50_000), "$_.bin" ] } 1 .. 40),
            h1 => 1);
    },
    'batch keyed again' => sub {
        my $n = int rand 5;
        my $body = join '', map { qq({"payload":"$n"}\n) } 1 .. 40;
        return { %{ submit('/batches', $body, type => 'application/x-ndjson',
            headers => [ [ 'Idempotency-Key', qq("batch-$n") ] ]) }, twice => 1 };
    },
    'batch held' => sub { submit('/batches', lines(20), prefer(20), held => 1) },
    'batch read' => sub { ask('/batches/' . batch()) },
    'batch awaited' => sub { held_batch('/batches/ID?wait=20') },
    'batch cancelled' => sub { +{ %{ ask('/batches/' . batch(1)) }, method => 'DELETE' } },
    'batch streamed' => sub { held_batch('/batches/ID', sse()) },
    'batch added to' => sub { submit('/added/' . batch(), some(300)) },
    'batch cached' => sub { ask('/kept/' . batch()) },
    'batch cached, awaited' => sub { held_batch('/kept/ID?wait=20') },
    'batches' => sub { ask('/batches?limit=' . (1 + int rand 200)) },
    'list' => sub { ask('/list?limit=' . (1 + int rand 200)) },
    'list of many' => sub { ask('/list?limit=200', big => 1) },
    'list by state' => sub { ask('/list?state=completed,failed&limit=2') },
    'retry' => sub { +{ %{ ask("/jobs/$small/retry") }, method => 'POST' } },
    'retry of another' => sub { +{ %{ ask('/jobs/' . retriable() . '/retry') }, method => 'POST' } },
    'deliveries' => sub { ask('/hooks?limit=200') },
    'delivery sent again' => sub { +{ %{ ask('/hooks/' . delivery() . '/retry') }, method => 'POST' } },
    'no delivery sent again' => sub { +{ %{ refused(ask('/hooks/999999999/retry')) }, method => 'POST' } },
    'no deliveries' => sub { refused(ask('/hooks?state=none')) },
    'recorded' => sub { submit('/played', some(300), headers => [ [ 'X-Any', some(100) ] ]) },
    'recorded large' => sub { submit('/played', 'l' x (70_000 + rand 300_000), h1 => 1) },
    'recorded, held' => sub { submit('/played', some(300), prefer(20), held => 1) },
    'not recorded' => sub { refused(carry('/played', some(300), headers => [ [ 'X-Any', "\xff" ] ])) },
    'submit with a webhook' => sub { submit('/hooked', some(300)) },
    'position' => sub { ask('/jobs/' . job() . '?include=position') },
    'no retry' => sub { +{ %{ refused(ask('/jobs/' . job() . '/retry')) }, method => 'POST' } },
    'retry of no job' => sub { +{ %{ refused(ask("/jobs/0$old/retry")) }, method => 'POST' } },
    'no list' => sub { refused(ask('/list?limit=0')) },
    'no cursor of a list' => sub { refused(ask('/list?cursor=x')) },
    'no position' => sub { refused(ask('/jobs/' . job() . '?include=x')) },
    'no batch' => sub {
        my ($lines) = lines(100);
        my $body = "$lines@@@" . 'x' x rand 2000;
        refused(carry('/batches', $body, type => 'application/x-ndjson', split => length $lines));
    },
    'no batch in a large one' => sub {
        my ($lines) = lines(9000);
        refused(carry('/batches', "$lines@@@" . hidden(), type => 'application/x-ndjson', h1 => 1));
    },
    'no batch of files' => sub {
        refused(carry('/batches', form((map { [ 'image', 'p' x 70_000, 'a' ] } 1 .. 3), [ 'late', 'x' ]), h1 => 1));
    },
    'half a batch' => sub { refused(carry('/batches', '{"jobs":[{"payload":1}', type => 'application/json')) },
    'no such batch' => sub { refused(ask('/batches/' . job())) },
    'added to no batch' => sub { refused(carry('/added/' . job(), hidden())) },
    'submit' => sub { submit('/jobs', some(300)) },
    'submit nothing' => sub { submit('/jobs', '') },
    'submit JSON' => sub { submit('/jobs', '{"a":"' . some(3000) . '"}', type => 'application/json') },
    'submit form' =>
        sub { submit('/jobs', form([ 'a', some(50) ], [ 'image', some(5000), 'a.png', 'image/png' ], [ 'b', 'c' ])) },
    'submit large' => sub { submit('/jobs', 'l' x (70_000 + rand 300_000), h1 => 1) },
    'submit large form' => sub {
        submit('/jobs', form([ 'image', 'l' x (70_000 + rand 300_000), 'a.bin', 'application/octet-stream' ]), h1 => 1);
    },
    'submit keyed' => sub { submit('/keyed', 'k', headers => [ [ 'Idempotency-Key', qq("$seed-$marks") ] ]) },
    'submit keyed again' => sub {
        my $n = int rand 5;
        return { %{ submit('/keyed', "k$n", headers => [ [ 'Idempotency-Key', qq("again-$n") ] ]) }, twice => 1 };
    },
    'submit held' => sub { submit('/held', some(200), prefer(20), slow => 0.08) },
    'submit held large' => sub { submit('/held', 'h' x rand 60_000, prefer(20), slow => 0.08) },
    'submit held for good' => sub { submit('/jobs', some(200), prefer(20), held => 1) },
    'submit streamed' => sub { submit('/jobs', some(200), sse(), held => 1) },
    'submit streamed large' => sub { submit('/jobs', 's' x rand 60_000, sse(), held => 1) },
    'submit one at a time' => sub { my $r = submit('/one', some(2000), full => 1) },
    'submit asked for' => sub { submit('/asked', some(2000)) },
    'submit of a user' => sub { submit('/me?u=ann', some(100)) },
    'submit by token' => sub { submit('/in/jobs', some(100), bearer($token)) },
    'submit expecting' => sub { submit('/jobs', some(400), headers => [ [ 'Expect', '100-continue' ] ]) },
    'publish' => sub { carry('/news', '{"n":"' . some(1000) . '"}') },
    'ticket' => sub { carry('/ticket?u=ann', '{"channels":["topic:news"]}') },
    'poll' => sub { ask('/jobs/' . job()) },
    'poll an ended one' => sub { ask("/jobs/$small") },
    'poll held' => sub { held('/jobs/ID?wait=20') },
    'poll held by Prefer' => sub { held('/jobs/ID', prefer(20)) },
    'poll held shortly' => sub { ask('/jobs/' . job() . '?wait=1', slow => 0.2) },
    'poll few' => sub { held('/few/ID?wait=20', full => 1) },
    'head of a job' => sub { +{ %{ ask("/jobs/$small") }, method => 'HEAD', headless => 1 } },
    'cancel' => sub { +{ %{ ask('/jobs/' . job(1)) }, method => 'DELETE' } },
    'result' => sub { ask("/jobs/$small/result") },
    'result held' => sub { held('/jobs/ID/result', prefer(20)) },
    'result large' => sub { ask("/jobs/$large/result", big => 1) },
    'result slowly' => sub { ask("/slowly/$large", big => 1) },
    'result zipped' => sub { ask("/zipped/$large", headers => [ [ 'Accept-Encoding', 'gzip' ] ]) },
    'result cached' => sub { ask("/cached/$small") },
    'result range' => sub { ask("/jobs/$large/result", headers => [ [ 'Range', 'bytes=1000-400000' ] ], big => 1) },
    'stream' => sub { held('/jobs/ID', sse()) },
    'stream zipped' => sub {
        held('/zipped/ID', sse(), headers => [ [ 'Accept', 'text/event-stream' ], [ 'Accept-Encoding', 'gzip' ] ]);
    },
    'stream of an ended one' => sub { ask("/jobs/$small", sse()) },
    'stream of one forgotten' => sub { ask("/jobs/$old?cursor=x", sse()) },
    'stream of a topic' => sub { watching('/news', sse()) },
    'stream of a user' => sub { watching('/me?u=ann', sse()) },
    'stream by token' => sub { watching("/in/me?token=$token", sse(), still => 1) },
    'stream by ticket' => sub { watching('/t/news?ticket=' . $tickets[ rand @tickets ], sse(), full => 1) },
    'stream by the megabyte' => sub {
        ask("/flood?cursor=$flood", sse(), held => 1, big => 1, wake => sub { elsewhere(POST => '/flood', '"more"') });
    },
    'page' => sub { ask('/page') },
    'page held' => sub { watching("/page?wait=20&cursor=$flood") },
    'page held of a job' => sub { held('/jobs/ID?wait=20', headers => [ [ 'Accept', 'application/json' ] ]) },
    'socket' => sub {
        my $id = job();
        upgrade(
            '/ws', op('subscribe', "job:$id"), op('ping'),
            op('subscribe', 'topic:news'),
            op('unsubscribe', "job:$id"));
    },
    'socket of a job' => sub {
        my $id = job(1);
        return { %{ upgrade("/jobs/$id", op('ping')) }, held => 1, wake => sub { elsewhere(DELETE => "/jobs/$id") } };
    },
    'socket of a topic' => sub {
        return {
            %{ upgrade('/news', text('{"op":', fin => 0), text('', opcode => 9), text('"ping"}', opcode => 0)) },
            held => 1,
            wake => sub { elsewhere(POST => '/news', '"now"') } };
    },
    'socket by the megabyte' => sub {
        return {
            %{
                upgrade('/ws', text(encode_json({ op => 'subscribe', channel => 'topic:flood', cursor => $flood })))
            },
            big => 1
        };
    },
    'socket by ticket' =>
        sub { return { %{ upgrade('/t/news?ticket=' . $tickets[ rand @tickets ], op('ping')) }, full => 1 } },
    'socket with rubbish' => sub { upgrade('/ws', op('ping'), 'rubbish' x 5) },
    'socket that says goodbye' => sub { upgrade('/ws', op('ping'), text(pack('n', 1000), opcode => 8)) },
    'metrics' => sub { ask('/metrics') },
    'console' => sub { ask('/console/vendor/uplot.js') },
    'console overview' => sub { ask('/console/api/overview') },
    'console jobs' => sub { ask('/console/api/jobs?limit=100') },
    'console live' => sub { ask('/console/api/live', held => 1, wake => sub { }) },
    'console action' => sub { carry('/console/api/actions', encode_json({ action => 'cancel', jobs => [ job(1) ] }),
        type => 'application/json') },
    'no console action' => sub { refused(carry('/console/api/actions', wrong_json())) },
    # refused, each where it can be: before the body, in it, at its end
    'no JSON' => sub { refused(carry('/jobs', wrong_json())) },
    'no JSON at the end' => sub { refused(carry('/jobs', '{"a":[1,2', type => 'application/json')) },
    'no JSON in a large one' => sub {
        refused(carry('/jobs', '["' . 'l' x (70_000 + rand 200_000) . '",@]', type => 'application/json', h1 => 1));
    },
    'no JSON in a form' => sub {
        refused(
            carry('/jobs', form([ 'image', '{"a":@@@' . 'x' x rand 3000, 'a.json', 'application/json' ]),
                split => 150));
    },
    'no form' =>
        sub { refused(carry('/jobs', 'no form at all' . hidden(), type => 'multipart/form-data; boundary=b')) },
    'form without a file' => sub { refused(carry('/jobs', form([ 'a', 'b' ]))) },
    'form with two files' =>
        sub { refused(carry('/jobs', form([ 'image', 'a', 'a' ], [ 'image', 'b', 'b' ]), split => 120)) },
    'form without a boundary' => sub { refused(carry('/jobs', hidden(), type => 'multipart/form-data')) },
    'wrong type' => sub { refused(carry('/images', hidden())) },
    'wrong encoding' => sub { refused(carry('/jobs', hidden(), headers => [ [ 'Content-Encoding', 'gzip' ] ])) },
    'wrong correlation' => sub { my $r = refused(carry('/jobs', hidden())); $r->{headers}[-1][1] .= 'x' x 300; $r },
    'wrong wait' => sub { refused(carry('/jobs?wait=x', hidden())) },
    'wrong key' => sub { refused(carry('/keyed', hidden(), headers => [ [ 'Idempotency-Key', '"' ] ])) },
    'no key' => sub { refused(carry('/keyed', hidden())) },
    'too large' => sub { refused(carry('/jobs', 'l' x 420_000, h1 => 1)) },
    'too large, said in the head' =>
        sub { refused(carry('/jobs', hidden(), headers => [ [ 'Content-Length', 99_000_000 ] ], unsaid => 1)) },
    'wrong method' => sub { +{ %{ refused(carry('/jobs', hidden())) }, method => 'PUT' } },
    'wrong method of a job' => sub { +{ %{ refused(carry('/jobs/' . job(), hidden())) } } },
    'foreign origin' => sub { refused(carry('/jobs', hidden(), headers => [ [ 'Origin', 'https://evil.example' ] ])) },
    'foreign origin of a DELETE' => sub {
        +{
            %{ refused(ask('/jobs/' . job(), headers => [ [ 'Origin', 'https://evil.example' ] ])) },
            method => 'DELETE'
        };
    },
    'not allowed' => sub { refused(carry('/forbidden', hidden())) },
    'no owner' => sub { refused(carry('/me', hidden())) },
    'no token' => sub { refused(carry('/in/jobs', hidden())) },
    'wrong token' => sub { refused(carry('/in/jobs', hidden(), bearer("x$token"))) },
    'no ticket' => sub { refused(ask('/t/news', sse())) },
    'wrong ticket' => sub { refused(ask("/t/news?ticket=$tickets[0]x", sse())) },
    'ticket for others' => sub { refused(carry('/ticket?u=ann', '{"channels":["user:bob"]}')) },
    'ticket for nothing' => sub { refused(carry('/ticket?u=ann', '@@@' . hidden())) },
    'publish no JSON' => sub { refused(carry('/news', '{"n":@@' . hidden())) },
    'publish too much' => sub { refused(carry('/news', '"' . 'p' x 66_000 . '"', h1 => 1)) },
    'publish nowhere' => sub { refused(carry('/publish/%20', hidden())) },
    'no such job' => sub { refused(ask("/jobs/0$old")) },
    'no such job held' => sub { refused(ask('/jobs/' . job() =~ s/.$/x/r . '?wait=20', headers => [])) },
    'forgotten job' => sub { refused(ask("/jobs/$old")) },
    'wrong range' => sub { refused(ask("/jobs/$small/result", headers => [ [ 'Range', 'bytes=1000-' ] ])) },
    'no socket' => sub { refused(ask('/ws')) },
    'socket of another version' => sub {
        my $r = upgrade('/ws');
        $r->{headers}[2][1] = 7;
        delete $r->{body};
        return { %{ refused($r) }, socket => 0, h1 => 1 };
    },
);

1;
