# The channel of a batch, on every transport: its history, cursors, resets, thin, tickets, other owners.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use Test::More;

start_stack(extra => <<'CONF');

    location = /batches { await_batch queues=solo,next phases=one,two; }
    location ~ ^/batches/(?<batch>[^/]+)$ { await_batch $batch; await_events batch:$batch; await_socket batch:$batch; }
    location ~ ^/batches/(?<batch>[^/]+)/thin$ { await_events batch:$batch thin; }
    location ~ ^/any/(?<name>.+)$ { await_events $name; }
    location = /ws { await_socket; await_allow batch:* topic:a; }
    location = /users { await_owner $arg_who; await_batch queues=solo; await_events user:$arg_who; }
    location ~ ^/mine/(?<batch>[^/]+)$ { await_owner $arg_who; await_batch $batch; await_events batch:$batch; }
    location = /tickets { await_owner $arg_who; await_ticket batch:$arg_batch; }
    location ~ ^/ticketed/(?<batch>[^/]+)$ {
        await_auth_ticket on; await_owner $await_user; await_batch $batch; await_events batch:$batch;
    }
CONF

my @ready = qw(pending progress batch.ready);

sub batch {
    my ($n, $args) = @_;
    my $r = post(
        '/batches',
        join('', map { qq({"queue":"solo","phase":"one","payload":$_}\n) } 1 .. $n),
        'Content-Type' => 'application/x-ndjson'
    );
    return (id_of($r), map { $_->{id} } @{ json($r)->{jobs} });
}
sub stream {
    my ($path, %headers) = @_;
    return begin_request('GET', $path, headers => { Accept => 'text/event-stream', %headers });
}
sub page { my ($path) = @_; return json(get($path, Accept => 'application/json')) }
sub types {
    return [ map { $_->{type} } @_ ];
}
sub add_second {
    my ($batch) = @_;
    return sql("SELECT await.submit('next', 'x', 'text/plain', '{\"batch\": \"$batch\", \"phase\": \"two\"}')");
}
sub end_job { my ($id, $queue) = @_; claim($id, queue => $queue); return complete($id, 'done', hint => 1) }

subtest 'a stream, a socket and pages see the same history' => sub {
    my ($id, @jobs) = batch(2);
    my $stream = stream("/batches/$id");
    my $thin = stream("/batches/$id/thin");
    my $ws = Await::WebSocket->new(stack()->{port}, '/ws');
    $ws->say({ op => 'subscribe', channel => "batch:$id" });
    is_deeply [ @{ $ws->message }{qw(op channel state)} ], [ 'subscribed', "batch:$id", 'pending' ], 'subscribed';
    is $ws->message->{type}, 'pending', 'its first event';
    ok $stream->wait_event('pending'), 'on the stream, too';
    end_job($jobs[0], 'solo');
    my $told = $ws->message;
    is_deeply [ @$told{qw(channel batch job type seq)} ], [ "batch:$id", $id, undef, 'progress', 2 ],
        'progress, by the hint of a job';
    is_deeply [ @{ $told->{data} }{qw(total completed open)}, $told->{data}{phases}{one}{completed} ], [ 2, 1, 1, 1 ],
        'with the totals, of the phases, too';
    end_job($jobs[1], 'solo');
    end_job(add_second($id), 'next');
    my $ready;
    do { $ready = $ws->message } until !$ready || $ready->{type} eq 'batch.ready';
    is_deeply [ @{ $ready->{data} }{qw(total completed)} ], [ 3, 3 ], 'batch.ready with the totals';
    is_deeply $ready->{data}{failures}, [], 'and what failed';
    my $last = $stream->wait_event('batch.ready');
    ok $last, 'on the stream, too';
    ok $stream->read_until(sub { $_[0] =~ /\r\n0\r\n\r\n$/ }), 'which ends then';
    is stream("/batches/$id", 'Last-Event-ID' => $last->{id})->response->{status}, 204, 'and needs not be opened again';
    my $thin_ready = $thin->wait_event('batch.ready');
    is_deeply JSON::PP::decode_json($thin_ready->{data})->{data},
        { total => 3, done => 3, open => 0, completed => 3, failed => 0, cancelled => 0, expired => 0 },
        'thin: the counts only';
    my $page = page("/any/batch:$id");
    is $page->{events}[0]{type}, 'pending', 'a page from the start';
    is $page->{events}[-1]{type}, 'batch.ready', 'to the end';
    is_deeply [ @$page{qw(state done)} ], [ 'completed', JSON::PP::true ], 'and says that this is all';
    my @seqs = map { $_->{seq} } @{ $page->{events} };
    is_deeply \@seqs, [ 1 .. @seqs ], 'numbered without gaps';
    my $rest = page("/any/batch:$id?cursor=" . $told->{cursor});
    is $rest->{events}[0]{seq}, 3, 'a cursor of the socket is valid for a page';
    is_deeply page("/any/batch:$id?cursor=" . json(get("/batches/$id"))->{cursor})->{events}, [],
        'that of the document, too';
    my ($other) = batch(1);
    my $reset = page("/any/batch:$other?cursor=" . $told->{cursor});
    is $reset->{reset}, JSON::PP::true, 'the cursor of another batch: a reset';
    $ws->say({ op => 'subscribe', channel => "batch:$other", cursor => 'x' });
    is $ws->message->{op}, 'subscribed', 'on a socket';
    is_deeply [ @{ $ws->message }{qw(op channel)} ], [ 'reset', "batch:$other" ], 'a garbled cursor: a reset';
};

subtest 'long poll, and cancelling' => sub {
    my ($id, @jobs) = batch(2);
    my $cursor = page("/any/batch:$id")->{cursor};
    my $poll =
        begin_request('GET', "/any/batch:$id?cursor=$cursor&wait=10", headers => { Accept => 'application/json' });
    end_job($jobs[0], 'solo');
    my $page = json($poll->response);
    is_deeply types(@{ $page->{events} }), ['progress'], 'a held page is answered by progress';
    my $stream = stream("/batches/$id");
    $stream->wait_event('progress');
    is del("/batches/$id")->{status}, 202, 'cancelled';
    ok $stream->wait_event('cancelled'), 'the stream has its ending';
    is page("/any/batch:$id")->{done}, JSON::PP::true, 'and the channel is at its end';
};

subtest 'whose it is' => sub {
    my $mine = id_of(post('/users?who=ann', '{"payload":1}', 'Content-Type' => 'application/x-ndjson'));
    my $user = begin_request('GET', '/users?who=ann', headers => { Accept => 'text/event-stream' });
    $user->wait_event('ready');
    is get("/mine/$mine?who=bob", Accept => 'text/event-stream')->{status}, 404, 'another owner: 404';
    like json(get("/mine/$mine?who=bob", Accept => 'text/event-stream'))->{detail}, qr/no such batch/,
        'as for an unknown batch';
    my $ticket = json(
        post("/tickets?who=ann&batch=$mine", qq({"channels":["batch:$mine"]}), 'Content-Type' => 'application/json'))
        ->{ticket};
    is get("/ticketed/$mine?ticket=$ticket")->{status}, 200, 'a ticket for the channel reads the document';
    $ticket = json(
        post("/tickets?who=ann&batch=$mine", qq({"channels":["batch:$mine"]}), 'Content-Type' => 'application/json'))
        ->{ticket};
    my ($other) = batch(1);
    is get("/ticketed/$other?ticket=$ticket")->{status}, 404, 'but no other one';
    my $job = json(get("/mine/$mine?who=ann"))->{jobs}[0]{id};
    end_job($job, 'solo');
    my $event = $user->wait_event('batch.ready');
    ok $event, 'the channel of its owner has its events';
    is JSON::PP::decode_json($event->{data})->{batch}, $mine, 'and says which batch it is';
    is get("/any/$_", Accept => 'application/json')->{status}, 404, "no channel: $_"
        for "batch:$job", "job:$mine", 'batch:x', "batch:$job=" . 'x';
    my $ws = Await::WebSocket->new(stack()->{port}, '/ws');
    $ws->say({ op => 'subscribe', channel => "batch:$job" });
    is_deeply [ @{ $ws->message }{qw(op status detail)} ], [ 'error', 404, 'There is no such batch.' ],
        'nor on a socket';
    my $gone = '01000000-0000-8000-8000-000000000000';
    is get("/any/batch:$gone", Accept => 'application/json')->{status}, 410, 'past its retention: 410';
};

finish();
