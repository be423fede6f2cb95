# Several channels on one event stream or page: each whole and in order, events say which, and one cursor tells of all
# of them, on every transport.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep time);

srand(my $seed = $ENV{AWAIT_SEED} // int rand 1e6);
diag "AWAIT_SEED=$seed";

my $s = start_stack(workers => 2, extra => <<'CONF');
    location = /mine { await_owner $arg_u; await_submit work; }
    location = /ticket { await_owner $arg_u; await_ticket topic:news user:$arg_u; }
    location = /news { await_publish news; }
    location = /mixed { await_owner $arg_u; await_events job:$arg_a topic:news user:$arg_u;
        await_socket job:$arg_a topic:news user:$arg_u; }
    location = /two { await_events job:$arg_a job:$arg_b default=sse; await_socket job:$arg_a job:$arg_b; }
    location = /linger { await_events job:$arg_a job:$arg_b linger; }
    location = /page { await_events job:$arg_a topic:news default=json; }
    location = /pages { await_events job:$arg_a job:$arg_b default=json; }
    location = /slow { await_events job:$arg_a job:$arg_b topic:news; await_max_buffered 16k; }
    location = /named { await_allow topic:scores.*; await_events topic:news $arg_channel; }
    location = /in { await_auth_ticket on; await_owner $await_user; await_events topic:news user:$await_user; }
    location = /metrics { await_metrics; }
CONF

sub stream {
    my ($path, %headers) = @_;
    return begin_request('GET', $path, headers => { Accept => 'text/event-stream', %headers });
}
sub ready {
    my ($path, %headers) = @_;
    my $stream = stream($path, %headers);
    $stream->wait_event('ready') or die "no primer: $stream->{buffer}";
    return $stream;
}
sub data { my ($event) = @_; return decode_json($event->{data}) }
sub real { my ($stream) = @_; return grep { $_->{event} !~ /^(ready|reset)$/ } @{ $stream->events } }
sub name {
    my ($event) = @_;
    return $event->{name} //= do { my $data = data($event); "$data->{channel} $data->{seq}" };
}
sub said { my ($stream) = @_; return map { name($_) } real($stream) }
sub of { my ($channel, @said) = @_; return [ map { /^\Q$channel\E (\d+)$/ ? $1 : () } @said ] }
sub resets { my ($stream) = @_; return map { data($_) } grep { $_->{event} eq 'reset' } @{ $stream->events } }
sub last_id { my ($stream) = @_; return (map { $_->{id} // () } @{ $stream->events })[-1] }
sub publish { my ($n) = @_; return json(post('/news', "{\"n\":$n}", 'Content-Type' => 'application/json')) }
sub emit { my ($id, $n) = @_; sql("SELECT await.emit('$id', test.receipt('$id'), 'step', '$n')"); return hint($id) }
sub until_said {
    my ($stream, $n) = @_;
    return $stream->read_until(sub { said($stream) >= $n }) || diag $stream->{buffer};
}

subtest 'a job, a topic and a user' => sub {
    publish(1);
    my $id = one_job('/mine?u=ann');
    my $one = ready("/mixed?a=$id&u=ann");
    my ($ready) = @{ $one->events };
    is data($ready)->{state}, 'live', 'ready says that the channels are live';
    is data($ready)->{cursor}, $ready->{id}, 'the cursor in its data is its id';
    is(($ready->{id} =~ tr/.//), 2, 'a cursor of three');
    cmp_ok length $ready->{id}, '<=', 512, 'the cursor is 512 bytes at most';
    until_said($one, 2);
    is_deeply [ sort(said($one)) ], [ "job:$id 1", 'topic:news 2' ],
        'the job from its start, the latest of the topic, the user from now on';
    my $cursor = last_id($one);
    claim($id);
    hint($id);
    publish(2);
    until_said($one, 5);
    is_deeply of("job:$id", said($one)), [ 1, 2 ], 'events of the job';
    is_deeply of('user:ann', said($one)), [2], 'events of the user';
    is_deeply of('topic:news', said($one)), [ 2, 3 ], 'events of the topic';
    $one->close;
    publish(3);
    emit($id, 1);

    my $two = ready("/mixed?a=$id&u=ann", 'Last-Event-ID' => $cursor);
    until_said($two, 6);
    is_deeply [ of("job:$id", said($two)), of('user:ann', said($two)), of('topic:news', said($two)) ],
        [ [ 2, 3 ], [ 2, 3 ], [ 3, 4 ] ], 'each goes on where it was';
    is_deeply [ resets($two) ], [], 'none of them is reset';
    my $socket = Await::WebSocket->new($s->{port}, "/mixed?a=$id&u=ann&cursor=$cursor");
    is_deeply [ sort map { "$_->{channel} $_->{seq}" } grep { !$_->{op} } $socket->messages(9) ], [ sort(said($two)) ],
        'on a socket too';
    my ($news) = grep { data($_)->{channel} eq 'topic:news' } real($two);
    like $news->{data}, qr/^\{"channel":"topic:news","topic":"news","seq":3,"type":"update","data":\{"n":2\},/,
        'an event names its channel and its topic';

    my $page = json(get("/page?a=$id&cursor=$cursor"));
    is_deeply [ map { "$_->{channel} $_->{seq}" } @{ $page->{events} } ],
        [ "job:$id 2", "job:$id 3", 'topic:news 3', 'topic:news 4' ], 'a page of two of them';
    is $page->{state}, 'live', 'the page\'s state is live';
    is $page->{reset}, undef, 'the page has no reset';
    is_deeply [ @{ json(get("/page?a=$id&cursor=$page->{cursor}"))->{events} } ], [], 'and nothing more';
    my $cut = ready("/mixed?a=$id&u=ann", 'Last-Event-ID' => last_id($two));
    ok !until_said_within($cut, 1, 0.5), 'who has all of it gets nothing twice';
};
sub until_said_within {
    my ($stream, $n, $seconds) = @_;
    return $stream->read_until(sub { said($stream) >= $n }, $seconds);
}

subtest 'what lost its place says which' => sub {
    my ($a, $b) = (one_job(), one_job());
    my $alone = ready("/two?a=$a&b=$a");
    $alone->wait_event('pending');
    like last_id($alone), qr/^[^.]+$/, 'twice the same is once';
    my $half = ready("/two?a=$a&b=$b&cursor=" . last_id($alone));
    ok $half->wait_event('reset'), 'a reset is sent';
    is_deeply [ map { "$_->{channel} $_->{state}" } resets($half) ], [ "job:$b pending" ], 'a cursor of one of them';
    is_deeply [ said($half) ], [], 'who was reset has all up to now';
    claim($_) for $a, $b;
    hint($_) for $a, $b;
    until_said($half, 2);
    is_deeply [ sort(said($half)) ], [ sort "job:$a 2", "job:$b 2" ], 'both channels go on';

    my $none = ready("/two?a=$a&b=$b&cursor=garbled");
    $none->read_until(sub { resets($none) == 2 });
    my @resets = resets($none);
    is_deeply [ sort map { $_->{channel} } @resets ], [ sort "job:$a", "job:$b" ], 'a cursor of neither';
    # who leaves between the two is told of the second when coming back
    my $rest = ready("/two?a=$a&b=$b&cursor=$resets[0]{cursor}");
    ok $rest->wait_event('reset'), 'the other is reset';
    is_deeply [ map { $_->{channel} } resets($rest) ], [ $resets[1]{channel} ], 'by its name';
    my $before = ready("/two?a=$a&b=$b&cursor=" . data($none->events->[0])->{cursor});
    $before->read_until(sub { resets($before) == 2 });
    is scalar(resets($before)), 2, 'and who leaves before both, of both';
    my $reset = json(get("/pages?a=$a&b=$b&cursor=$resets[0]{cursor}"));
    is $reset->{reset}, JSON::PP::true, 'a page says so too';
    is json(get("/pages?a=$a&b=$b&cursor=$reset->{cursor}"))->{reset}, undef, 'once';
    is_deeply [ map { $_->{op} }
            Await::WebSocket->new($s->{port}, "/two?a=$a&b=$b&cursor=$resets[0]{cursor}")->messages(3) ],
        [qw(subscribed subscribed reset)], 'and a socket';
};

subtest 'the end' => sub {
    my ($a, $b) = (one_job(), one_job());
    my ($stream, $linger) = map { ready("$_?a=$a&b=$b") } '/two', '/linger';
    claim($_) for $a, $b;
    complete($a, 'done', hint => 1);
    ok $stream->wait_event('completed'), 'the first job\'s end arrives';
    my $first = last_id($stream);
    ok $stream->quiet(0.5) && !$stream->{eof}, 'not with the first';
    my $again = ready("/two?a=$a&b=$b", 'Last-Event-ID' => $first);
    complete($b, 'done', hint => 1);
    for my $one ($stream, $again) { $one->read_until(sub { 0 }, 10); ok $one->{eof}, 'with the last' }
    is_deeply of("job:$b", said($again))->[-1], 3, 'the other job goes on to its last event';
    is get("/two?a=$a&b=$b", Accept => 'text/event-stream', 'Last-Event-ID' => last_id($again))->{status}, 204,
        'nothing will ever come';
    $linger->read_until(sub { 2 == grep { $_->{event} eq 'completed' } real($linger) });
    ok $linger->quiet(0.5) && !$linger->{eof}, 'linger';
    is json(get("/pages?a=$a&b=$b"))->{done}, JSON::PP::true, 'a page knows too';

    my $gone = '00000000-0001-7905-b3ad-942074197547';
    my $open = ready("/two?a=$gone&b=" . (my $c = one_job()));
    ok $open->wait_event('pending'), 'the other job\'s events arrive';
    is_deeply [ map { "$_->{channel} $_->{state}" } resets($open) ], ["job:$gone gone"],
        'a job that is no longer kept is told';
    my $knows = ready("/two?a=$gone&b=$c&cursor=" . last_id($open));
    ok !until_said_within($knows, 1, 0.3) && !resets($knows), 'once';
    my $both = get("/two?a=$gone&b=" . ($gone =~ s/7547$/7548/r), Accept => 'text/event-stream');
    is $both->{status}, 200, 'two jobs that are gone are answered';
    my ($last) = reverse $both->{body} =~ /^id: (.+)$/mg;
    is scalar(() = $both->{body} =~ /"state":"gone"/g), 2, 'each is told to be gone';
    is get("/two?a=$gone&b=" . ($gone =~ s/7547$/7548/r), Accept => 'text/event-stream', 'Last-Event-ID' => $last)
        ->{status}, 204, 'with the last cursor there is nothing more';
    is get("/pages?a=$gone&b=$c")->{status}, 410, 'a page answers 410 where one is gone';
};

subtest 'a page is held until any of them has news' => sub {
    my $id = one_job();
    my $have = json(get("/page?a=$id"));
    claim($id);
    complete($id, 'done');
    $have = json(get("/page?a=$id&cursor=$have->{cursor}"));
    my $held = begin_request('GET', "/page?a=$id&cursor=$have->{cursor}&wait=25");
    ok $held->quiet(0.5), 'an ended job is no news';
    my $began = time;
    publish(9);
    my $page = json($held->response);
    is_deeply [ map { "$_->{channel} $_->{data}{n}" } @{ $page->{events} } ], ['topic:news 9'],
        'only the topic\'s event is in it';
    cmp_ok time - $began, '<', 18, 'the page is answered before its time is over';
    my $empty = json(get("/page?a=$id&cursor=$page->{cursor}&wait=1"));
    is_deeply $empty->{events}, [], 'a page that times out has no events';
    is $empty->{cursor}, $page->{cursor}, 'nothing came';
    like get('/metrics')->{body}, qr/^await_held(\{[^}]*\})? \d+/m, 'the metrics have await_held';
};

subtest 'a slow client, and reconnects at any moment' => sub {
    my ($a, $b) = (one_job(), one_job());
    claim($_) for $a, $b;
    publish(0);
    my ($slow, $reader) = map { ready("/slow?a=$a&b=$b") } 1, 2;
    until_said($_, 5) for $slow, $reader;
    my $news = sql("SELECT await.topic_id('news')");
    my @said;
    for my $round (1 .. 12) {
        sql("SELECT await.emit('$a', test.receipt('$a'), 'step', to_jsonb(repeat('x', 700))),
            await.emit('$b', test.receipt('$b'), 'step', to_jsonb(repeat('y', 700))),
            await.publish('news', 'n', to_jsonb(i)) FROM generate_series(1, 30) i");
        hint($a) if $round % 3;
        hint($b) if $round % 2;
        hint($news) if $round % 5;
        next if $round % 4;
        $reader->read_until(sub { said($reader) >= 90 });
        my @seen = (real($reader))[ 0 .. rand real($reader) ];
        push @said, map { name($_) } @seen;
        my $cursor = $seen[-1]{id};
        $reader->close;
        $reader = stream("/slow?a=$a&b=$b", 'Last-Event-ID' => $cursor);
    }
    hint($_) for $a, $b, $news;
    my $all = sub {
        my ($stream, @before) = @_;
        return sub {
            my @now = (@before, said($stream));
            return
                   @{ of("job:$a", @now) } >= 362
                && @{ of("job:$b", @now) } >= 362
                && @{ of('topic:news', @now) } >= 361;
        }
    };
    $reader->read_until($all->($reader, @said), 20);
    push @said, said($reader);
    $slow->read_until($all->($slow), 20);
    for my $got ([ 'reconnecting', @said ], [ 'slow', said($slow) ]) {
        my ($who, @events) = @$got;
        is_deeply of($_, @events), [ 1 .. 362 ], "$who: $_ once each, in order" for "job:$a", "job:$b";
        my @topic = @{ of('topic:news', @events) };
        is_deeply \@topic, [ $topic[0] .. $topic[0] + 360 ], "$who: the topic too";
    }
    is scalar(resets($_)), 0, 'nobody is reset' for $slow, $reader;
};

subtest 'who may not' => sub {
    my $hers = one_job('/mine?u=ann');
    is get("/mixed?a=$hers&u=bob", Accept => 'text/event-stream')->{status}, 404, 'a foreign job among them';
    is get('/two?a=' . one_job() . '&b=' . (one_job() =~ s/.{6}$/000000/r), Accept => 'text/event-stream')->{status},
        404, 'one that never was';
    is get('/two?a=' . one_job() . '&b=', Accept => 'text/event-stream')->{status}, 404,
        'an empty channel is not found';
    is get('/named?channel=topic:secret', Accept => 'text/event-stream')->{status}, 404,
        'a topic that clients may not name';
    ok ready('/named?channel=topic:scores.1'), 'a topic that clients may name is there';
    my $ticket = sub { return json(post('/ticket?u=ann', $_[0]))->{ticket} };
    is get('/in?ticket=' . $ticket->('{"channels":["topic:news"]}'), Accept => 'text/event-stream')->{status}, 404,
        'a ticket for one of them';
    ok ready('/in?ticket=' . $ticket->('')), 'one for both';
};

finish();
