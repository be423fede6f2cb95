# Topics: published by POST or SQL, watched by event stream, JSON page and WebSocket; the latest value first, a history
# of a thousand, cursors that go on or say what is lost.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use Test::More;
use Time::HiRes qw(sleep time);

my $s = start_stack(extra => <<'CONF');
    location = /news { await_publish news; await_events topic:news; await_socket topic:news; }
    location = /page { await_events topic:news default=json; }
    location ~ ^/scores/(?<game>[^/]+)$ { await_publish scores.$game type=score; await_events topic:scores.$game; }
    location = /ws { await_allow topic:scores.* topic:public; await_socket; }
    location = /closed { await_socket; }
    location = /owned { await_owner $arg_who; await_events topic:owned; await_socket topic:owned; }
    location = /owned/publish { await_publish owned; }
    location = /plain { await_socket topic:news plain; }
    location = /any { if ($arg_u) { await_owner $arg_u; } await_allow topic:scores.*; await_events $arg_channel;
        await_socket $arg_channel; }
    location = /latest { await_publish latest latest; await_events topic:latest; }
    location = /typed { await_publish news type=$arg_type; }
    location = /metrics { await_metrics; }
CONF

sub publish { my ($path, $json) = @_; return post($path, $json, 'Content-Type' => 'application/json') }
sub socket_at { return Await::WebSocket->new($s->{port}, @_) }
sub stream {
    my ($path, %headers) = @_;
    return begin_request('GET', $path, headers => { Accept => 'text/event-stream', %headers });
}
sub values_of {
    return [ map { $_->{data} =~ /"data":(\{"n":)?(\d+)/ ? $2 : () }
            grep { ($_->{event} // '') !~ /ready|reset/ } @{ $_[0]->events } ];
}

subtest 'who watches is told; who comes later gets the latest value first' => sub {
    my $early = stream('/news');
    my $ready = $early->wait_event('ready');
    like $ready->{data}, qr/"state":"live"/, 'a topic that nobody has published to is there all the same';
    my $r = publish('/news', '{"n":1}');
    is $r->{status}, 200, 'the publication is accepted';
    is json($r)->{channel}, 'topic:news', 'the answer names the channel';
    my $event = $early->wait_event('update');
    like $event->{data}, qr/^\{"topic":"news","seq":2,"type":"update","data":\{"n":1\},"at":"[^"]+"\}$/,
        'the event has every member';
    is $event->{id}, json($r)->{cursor}, 'the publisher\'s cursor is the event\'s';
    publish('/news', "{\"n\":$_}") for 2 .. 5;
    ok $early->read_until(sub { @{ values_of($early) } == 5 }), 'all five arrive';
    is_deeply values_of($early), [ 1 .. 5 ], 'in order, each once';
    my $late = stream('/news');
    ok $late->wait_event('update'), 'who comes later gets an event';
    publish('/news', '{"n":6}');
    ok $late->read_until(sub { @{ values_of($late) } == 2 }), 'and the next';
    is_deeply values_of($late), [ 5, 6 ], 'the latest, then what comes';
};

subtest 'a cursor goes on where it was, on every transport' => sub {
    my $page = json(get('/page'));
    is_deeply [ map { $_->{data}{n} } @{ $page->{events} } ], [6], 'a page has the latest value';
    is $page->{done}, JSON::PP::false, 'a topic\'s page is never done';
    publish('/news', "{\"n\":$_}") for 7 .. 9;
    is_deeply [ map { $_->{data}{n} } @{ json(get("/page?cursor=$page->{cursor}"))->{events} } ], [ 7 .. 9 ],
        'a page goes on behind its cursor';
    my $ws = Await::WebSocket->new($s->{port}, "/news?cursor=$page->{cursor}");
    my @said = $ws->messages(4);
    is $said[0]{op}, 'subscribed', 'a socket is subscribed';
    is $said[0]{channel}, 'topic:news', 'to the topic';
    is_deeply [ map { $_->{data}{n} } @said[ 1 .. 3 ] ], [ 7 .. 9 ], 'it goes on behind the page\'s cursor';
    is $said[1]{channel}, 'topic:news', 'each event names its channel';
    my $stream = stream('/news', 'Last-Event-ID' => $said[2]{cursor});
    ok $stream->wait_event('update'), 'a stream gets an event';
    is_deeply values_of($stream), [9], 'it goes on behind the socket\'s cursor';
    my $held = begin_request('GET', "/page?cursor=$said[3]{cursor}&wait=20");
    ok $held->quiet(0.3), 'held until there is something new';
    publish('/news', '{"n":10}');
    is_deeply [ map { $_->{data}{n} } @{ json($held->response)->{events} } ], [10], 'the held page has the new event';
    is $ws->message->{data}{n}, 10, 'the socket has it as well';
};

subtest 'garbled: reset, and the latest value' => sub {
    my $stream = stream('/news', 'Last-Event-ID' => 'garbage');
    ok $stream->wait_event('reset'), 'the stream is reset';
    ok $stream->wait_event('update'), 'then it has an event';
    is_deeply values_of($stream), [10], 'the latest';
};

subtest 'by SQL, with and without a hint' => sub {
    my $stream = stream('/scores/chess');
    ok $stream->wait_event('ready'), 'the stream has begun';
    is sql("SELECT await.publish('scores.chess', 'score', '{\"n\": 1}')"), 2, 'publishing gives the event\'s number';
    my ($channel, $message) = split /\|/,
        sql("SELECT channel, message FROM await.hint(await.topic_id('scores.chess'))"), 2;
    $s->redis_command('PUBLISH', $channel, $message);
    ok $stream->wait_event('score'), 'a signed hint';
    sql("SELECT await.publish('scores.chess', 'score', '{\"n\": 2}')");
    sql("SELECT await.publish('scores.chess', 'score', '{\"n\": 3}')");
    ($channel, $message) = split /\|/,
        sql("SELECT channel, message FROM await.hint(await.topic_id('scores.chess'))"), 2;
    $s->redis_command('PUBLISH', $channel, $message);
    ok $stream->read_until(sub { @{ values_of($stream) } == 3 }), 'one that leaves something out';
    is_deeply values_of($stream), [ 1 .. 3 ], 'each once, in order';
    is_deeply values_of(
        do { my $other = stream('/scores/go'); $other->wait_event('ready'); $other }
        ),
        [],
        'another topic has nothing of it';
};

subtest 'past its history: reset and the latest, never silence' => sub {
    my $cursor = json(publish('/scores/long', '0'))->{cursor};
    my $kept =
        sub { sql("SELECT count(*), min(seq), max(seq) FROM await.event WHERE job = await.topic_id('scores.long')") };
    sql("SELECT count(await.publish('scores.long', 'score', to_jsonb(n))) FROM generate_series(1, 1200) n");
    is $kept->(), '1000|203|1202', 'a thousand are kept';
    my $stream = stream('/scores/long', 'Last-Event-ID' => $cursor);
    ok $stream->wait_event('reset'), 'the stream is reset';
    ok $stream->wait_event('score'), 'then it has an event';
    is_deeply values_of($stream), [1200], 'the latest';
    my $recent = stream('/scores/long',
        'Last-Event-ID' => json(get("/scores/long?cursor=$cursor", Accept => 'application/json'))->{cursor});
    publish('/scores/long', '1201');
    ok $recent->wait_event('score'), 'with a cursor in the history the stream goes on';
    is values_of($recent)->[-1], 1201, 'with the newest';
};

subtest 'a socket names topics that are allowed' => sub {
    publish('/scores/chess', '{"n":4}');
    my $ws = Await::WebSocket->new($s->{port}, '/ws');
    $ws->say({ op => 'subscribe', channel => 'topic:scores.chess' });
    is_deeply [ map { $_->{op} // $_->{data}{n} } $ws->messages(2) ], [ 'subscribed', 4 ],
        'subscribed, with the latest value';
    for my $channel ('topic:news', 'topic:public2', 'topic:', 'topic:scores.a b', 'topic:' . 'scores.' x 40) {
        $ws->say({ op => 'subscribe', channel => $channel });
        is $ws->message->{status}, 404, $channel;
    }
    $ws->say({ op => 'subscribe', channel => 'job:' . sql("SELECT await.topic_id('news')") });
    is $ws->message->{status}, 404, 'a topic is no job';
    $ws->say({ op => 'unsubscribe', channel => 'topic:scores.chess' });
    is $ws->message->{op}, 'unsubscribed', 'unsubscribed is answered';
    my $closed = Await::WebSocket->new($s->{port}, '/closed');
    $closed->say({ op => 'subscribe', channel => 'topic:public' });
    is $closed->message->{status}, 404, 'without await_allow nothing can be named';
    is get('/jobs/' . sql("SELECT await.topic_id('news')"))->{status}, 404, 'nor has it a document';
    is get('/jobs/' . sql("SELECT await.topic_id('news')") . '/events')->{status}, 404, 'nor events by its id';
    my $plain = Await::WebSocket->new($s->{port}, '/plain', protocols => undef);
    is $plain->message->{data}{n}, 10, 'plain: the latest, and nothing else';
};

subtest 'a topic is nobody\'s: an owner is asked for, and none is looked for' => sub {
    my @sockets = map { Await::WebSocket->new($s->{port}, "/owned?who=$_") } 'ann', 'bob';
    is $_->message->{op}, 'subscribed', 'nothing was ever published there' for @sockets;
    my $stream = stream('/owned?who=ann');
    ok $stream->wait_event('ready'), 'the stream has begun';
    is publish('/owned/publish', '{"n":1}')->{status}, 200, 'the publication is accepted';
    is $_->message->{data}{n}, 1, 'each owner\'s socket gets it' for @sockets;
    ok $stream->wait_event('update'), 'the stream gets it';
    is(Await::WebSocket->new($s->{port}, '/owned?who=')->{status}, 403, 'nobody');
};

subtest 'bad input' => sub {
    is publish('/news', $_)->{status}, 400, "<$_>" for '', '{', '{} x', '"a';
    is publish('/news', '"' . 'x' x 70_000 . '"')->{status}, 413, 'a body too long is refused';
    is publish("/typed?type=$_", '1')->{status}, 400, "type $_" for 'completed', 'reset', 'A', 'x' x 65;
    is publish('/typed?type=mine', '1')->{status}, 200, 'a type that the location names is taken';
    is publish('/scores/a%20b', '1')->{status}, 404, 'a name that is none';
    is header(request('PUT', '/news'), 'Allow'), 'GET, HEAD, POST, OPTIONS', 'Allow lists the methods';
    is post('/news', '1', Origin => 'https://evil.example')->{status}, 403, 'from a page elsewhere';
};

subtest 'many watch, much is published: everybody gets all of it, in order, for few reads' => sub {
    my @streams = map { stream('/scores/busy') } 1 .. 200;
    ok $_->wait_event('ready'), 'the stream has begun' for @streams;
    my $statements = sub { metric('await_postgres_statements_total') };
    sleep 1.1;
    my $before = $statements->();
    my $began = time;
    publish('/scores/busy', "{\"n\":$_}") for 1 .. 100;
    my $whole = grep { my $one = $_; $one->read_until(sub { @{ values_of($one) } == 100 }, 20) } @streams;
    is $whole, 200, 'every stream has all hundred';
    is scalar(grep { "@{ values_of($_) }" ne join ' ', 1 .. 100 } @streams), 0, 'each in order, once';
    sleep 1.1;
    cmp_ok $statements->() - $before, '<', 2000, 'statements, 100 of them publish; a read a stream is 20,000';
};

subtest 'channels that clients name: topics that await_allow lets them, jobs and users as anywhere' => sub {
    publish('/scores/chess', '{"n":1}');
    is get('/any?channel=topic:scores.chess', Accept => 'application/json')->{status}, 200,
        'a page of an allowed topic';
    is get("/any?channel=$_", Accept => 'application/json')->{status}, 404, "'$_'"
        for 'topic:news', 'topic:other', 'user:ann', 'job:x', 'x', '';
    is get('/any?channel=user:ann&u=ann', Accept => 'application/json')->{status}, 200, 'one\'s own';
    is socket_at('/any?channel=topic:news')->{status}, 404, 'a socket of another topic is refused';
    is socket_at('/any?channel=topic:scores.chess')->message->{channel}, 'topic:scores.chess',
        'a socket of an allowed topic';
};

subtest 'of which only the latest value counts' => sub {
    post('/latest', "{\"n\":$_}", 'Content-Type' => 'application/json') for 1 .. 3;
    my $stream = stream('/latest');
    ok $stream->wait_event('update'), 'the stream has an event';
    is_deeply values_of($stream), [3], 'the latest of three';
    my $cursor = $stream->events->[-1]{id};
    post('/latest', "{\"n\":$_}", 'Content-Type' => 'application/json') for 4 .. 9;
    ok $stream->read_until(sub { grep { $_ == 9 } @{ values_of($stream) } }), 'the stream gets the ninth';
    my $behind = stream("/latest?cursor=$cursor");
    ok $behind->read_until(sub { @{ values_of($behind) } }), 'who was away gets an event';
    is_deeply values_of($behind), [9], 'who was away gets the newest, and is not told of a loss';
    is scalar(grep { $_->{event} eq 'reset' } @{ $behind->events }), 0, 'and no reset';
    is sql("SELECT count(*) FROM await.event WHERE job = await.topic_id('latest')"), 1, 'one is kept';
};
finish();
