# await-ctl rotate: hints, tickets and live clients go on under a new key, on nodes that know it and on those that do
# not yet; the key could not be renewed at all, and a ticket named no database, so that a copy of it could sign for the
# original.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use JSON::PP;
use MIME::Base64 qw(decode_base64url encode_base64url);
use Digest::SHA qw(hmac_sha256);
use Test::More;
use Time::HiRes qw(sleep time);

my $s = start_stack(workers => 2, extra => <<'CONF');
    location = /ticket { await_owner $arg_u; await_ticket topic:news user:$arg_u; }
    location = /in/news { await_auth_ticket on; await_owner $await_user; await_events topic:news;
        await_socket topic:news; }
    location = /news { await_publish news; await_events topic:news; await_socket topic:news; }
    location = /mine { await_owner $arg_u; await_events user:$arg_u; }
    location = /of { await_owner $arg_u; await_submit work; }
    location = /metrics { await_metrics; }
CONF

sub stream {
    my ($path, %headers) = @_;
    return begin_request('GET', $path, headers => { Accept => 'text/event-stream', %headers });
}
sub ticket { return json(post('/ticket?u=ann', ''))->{ticket} }
sub status { my ($ticket) = @_; return get("/in/news?ticket=$ticket", Accept => 'application/json')->{status} }
sub rotate {
    my (@options) = @_;
    system("$FindBin::Bin/../tools/await-ctl", 'rotate', @options, $s->postgres) == 0 or die 'rotate failed';
}
sub statements { return metric('await_postgres_statements_total') // 0 }

subtest 'live clients, and tickets given before, go on' => sub {
    my $stream = stream('/news');
    my $mine = stream("/mine?u=ann");
    my $ws = Await::WebSocket->new($s->{port}, '/news');
    ok $stream->wait_event('ready') && $mine->wait_event('ready'), 'both streams have begun';
    is $ws->message->{op}, 'subscribed', 'the socket is subscribed';
    my @before = map { ticket() } 1 .. 8;
    my $id = one_job("/of?u=ann");
    rotate();
    is_deeply [ map { status($_) } @before[ 0 .. 3 ] ], [ (200) x 4 ], 'tickets signed with the key of before';
    post('/news', '{"n":1}');
    ok $stream->wait_event('update'), 'a stream';
    is $ws->message->{data}{n}, 1, 'a socket';
    sql("SELECT await.publish('news', 'update', '{\"n\": 2}')");
    my ($channel, $message) = split /\|/, sql("SELECT channel, message FROM await.hint(await.topic_id('news'))"), 2;
    $s->redis_command('PUBLISH', $channel, $message);
    ok $stream->read_until(sub { $_[0] =~ /"n":2/ }), 'a hint under the new key is taken, or a reason to look';
    sql("SELECT count(*) FROM await.claim(ARRAY['work'], 'w', 10)");
    hint($id);
    ok $mine->wait_event('processing'), 'and of a user\'s jobs';
    # whoever gives a ticket has the old key or the new one; whoever takes it, too
    is_deeply [ map { status(ticket()) } 1 .. 20 ], [ (200) x 20 ], 'new tickets count on both nginx workers';
    is_deeply [ map { status($_) } @before[ 4 .. 7 ] ], [ (200) x 4 ], 'and still';
    is status($before[0]), 401, 'once';
};

subtest 'hints under the new key spare the read again' => sub {
    my $stream = stream('/news');
    ok $stream->wait_event('ready'), 'the stream has begun';
    my $n = 100;
    ok until_true('a hint is believed', sub {
        $n++;
        sql("SELECT await.publish('news', 'update', '{\"n\": $n}')");
        my ($channel, $message) = split /\|/, sql("SELECT channel, message FROM await.hint(await.topic_id('news'))"), 2;
        sql("UPDATE await.event_topic SET data = '{\"n\": 0}' WHERE job = await.topic_id('news')
            AND seq = (SELECT max(seq) FROM await.event_topic WHERE job = await.topic_id('news'))");
        $s->redis_command('PUBLISH', $channel, $message);
        $stream->read_until(sub { () = $_[0] =~ /^data: /mg; $_[0] =~ /"n":(?:$n|0)\}[^\n]*\n\n\z|"n":$n/ });
        return $stream->{buffer} =~ /"n":$n\b/;
    }, 30), 'what it says was not read';
};

subtest 'a node that does not know the key asks, and a forger makes nobody ask much' => sub {
    my $secret = pack 'H*', sql('SELECT encode(key, \'hex\') FROM await.secret');
    my ($body) = split /\./, ticket();
    rotate();
    my $new = pack 'H*', sql('SELECT encode(key, \'hex\') FROM await.secret');
    isnt $new, $secret, 'there is a new key';
    my $json = decode_json(decode_base64url($body));
    my $name = sub { encode_base64url(substr hmac_sha256('await ticket the name of this key', $_[0]), 0, 6) };
    my $made = sub {
        my ($key, %other) = @_;
        my $b = encode_base64url(
            encode_json({ %$json, id => sql('SELECT await.new_id(0::int2)'), key => $name->($key), %other }));
        "$b." . encode_base64url(hmac_sha256("await ticket $b", $key));
    };
    is $json->{key}, $name->($secret), 'a ticket names its key';
    is status($made->($new)), 200, 'signed with a key that was not known here a moment ago';
    is status($made->($secret)), 200, 'the one of before counts';
    is status($made->('guessed')), 401, 'signed with a guessed key';
    is status($made->('guessed', key => $name->($new))), 401, 'signed with a guessed key under the new one\'s name';
    is status($made->($new, timeline => $json->{timeline} + 1)), 401, 'another database\'s, with the same key';
    my $forged = $made->('guessed');
    my $began = time;
    my $before = statements();
    is_deeply [ map { $_->response->{status} } map { begin_request('GET', "/in/news?ticket=$forged") } 1 .. 200 ],
        [ (401) x 200 ], 'forged tickets are refused, all of them';
    cmp_ok statements() - $before, '<', 100 + 60 * (time - $began), 'two hundred forged ones are a few questions';
};

# Bug: a second rotation within a day, by somebody who did not know of the first, made what was signed before it
# worthless.
subtest 'each key counts for its day, however many; --forget leaves one' => sub {
    my @old = map { ticket() } 1 .. 3;
    rotate();
    is status(ticket()), 200, 'after one rotation a new ticket counts';
    rotate();
    is status(ticket()), 200, 'after another a new ticket counts';
    is_deeply [ map { status($_) } @old[ 0, 1 ] ], [ 200, 200 ], 'the last but one';
    my $keys = sql('SELECT count(*) FROM await.old_secret');
    sql("UPDATE await.old_secret SET until = clock_timestamp() WHERE until < (SELECT max(until) FROM await.old_secret)"
    );
    rotate();
    is sql('SELECT count(*) FROM await.old_secret'), 2, "of $keys, two are in their day";
    ok until_true('the nodes know', sub { status(ticket()) == 200 && status($old[2]) == 401 }),
        'after it a key is worth nothing';
    my $leaked = ticket();
    is status(ticket()), 200, 'a ticket of this key counts';
    rotate('--forget');
    is sql('SELECT count(*) FROM await.old_secret'), 0, 'no old key is left';
    # each node looks when it is shown something under a key that it does not know
    eventually(
        'all nodes take the new key, and none the leaked one',
        sub {
            status(ticket()) == 200 && (grep { status($_) == 401 } ($leaked) x 4) == 4;
        });
};

subtest 'while PostgreSQL is away nobody knows' => sub {
    my ($body) = split /\./, ticket();
    my $json = decode_json(decode_base64url($body));
    my $b = encode_base64url(encode_json({ %$json, key => 'AAAAAAAA' }));
    $s->end('postgres', 'INT', 20);
    my $status = 0;
    ok until_true('503', sub { ($status = status("$b.AAAA")) == 503 }), 'a key that is not known: 503, not 401';
    is status('garbage'), 401, 'and nobody has to be asked about garbage';
};

finish();
