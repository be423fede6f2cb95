# Signed hints (await_hints signed): an event that await.hint() proves is delivered without a read; what is forged, of
# another history or not yet committed is only a reason to look.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

my $s = start_stack(reread => '60s', extra => <<'CONF');
    location = /metrics { await_metrics; }
    location ~ ^/verified/(?<id>[^/]+)$ { await_hints verified; await_job $id; await_events job:$id; }
CONF
sub statements { return metric('await_postgres_statements_total') }
sub signed {
    my ($id, $seq) = @_;
    return split /\|/, sql("SELECT channel, message FROM await.hint('$id'" . (defined $seq ? ", $seq" : '') . ')'), 2;
}
sub publish { $s->redis_command('PUBLISH', @_) }
sub held { my ($n) = @_; return until_true("$n held", sub { metric('await_parked') == $n }) }
# how many statements it took, but for the second's tick
sub reads_during { my ($what) = @_; my $before = statements(); $what->(); return statements() - $before }

subtest 'an ending answers a held request without a read' => sub {
    for my $case ([ 'application/json', '{"answer":42}' ], [ 'text/plain', "gr\x{c3}\x{bc}n" ],
        [ 'image/png', join '', map { chr } 0 .. 255 ], [ 'text/plain', '' ]) {
        my ($type, $body) = @$case;
        my $id = one_job('/jobs', 'x', 'X-Correlation-Id' => 'c1');
        claim($id);
        my $poll = begin_request('GET', "/jobs/$id?wait=30");
        my $result = begin_request('GET', "/jobs/$id/result?wait=30");
        held(2);
        complete($id, $body, type => $type, name => 'a b.bin');
        my ($channel, $message) = signed($id);
        like $message, qr/^1 \Q$id\E 3 completed [\w-]{43} \{/, "$type: the hint is signed and has the event";
        my ($document, $answer);
        is reads_during(sub { publish($channel, $message); $document = $poll->response; $answer = $result->response }),
            0, "$type: no statement";
        is $answer->{body}, $body, 'the very bytes';
        is header($answer, 'Content-Type'), $type, "$type: the result's type";
        my $read = get("/jobs/$id");
        is $document->{body}, $read->{body}, 'the document is the one that a read gives';
        is header($document, 'ETag'), header($read, 'ETag'), "$type: the document's ETag is that of a read";
        is header($answer, 'ETag'), header(get("/jobs/$id/result"), 'ETag'),
            "$type: the result's ETag is that of a read";
    }
};

subtest 'events reach a stream without a read' => sub {
    my $id = one_job();
    my $stream = begin_request('GET', "/jobs/$id/events");
    ok $stream->wait_event('pending'), 'the stream has begun';
    held(1);
    claim($id);
    is reads_during(sub { publish(signed($id)); $stream->wait_event('processing') }), 0,
        'the event processing costs no read';
    sql("SELECT await.emit('$id', test.receipt('$id'), 'line', '{\"n\":$_}')") for 1 .. 3;
    is reads_during(
        sub {
            publish(signed($id, $_)) for 3 .. 5;
            $stream->read_until(sub { () = $_[0] =~ /event: line/g; $_[0] =~ /"n":3/ || $_[0] =~ /"n": 3/ });
        }
        ),
        0,
        'one by one';
    sql("SELECT await.emit('$id', test.receipt('$id'), 'line', '{\"n\":$_}')") for 4 .. 6;
    publish(signed($id));
    ok $stream->read_until(sub { $_[0] =~ /"n": ?6/ }), 'a later one makes it read what lies between';
    publish(signed($id, $_)) for 3 .. 8;
    complete($id, 'x', hint => 1);
    ok $stream->wait_event('completed'), 'the event completed arrives';
    my @seqs = map { json({ body => $_->{data} })->{seq} // () } @{ $stream->events };
    is_deeply \@seqs, [ 1 .. 9 ], 'each once, in order, however often it was said';
    my $again = begin_request('GET', "/jobs/$id/events");
    ok $again->wait_event('completed'), 'who comes later gets the whole history';
    is_deeply [ map { $_->{data} } @{ $again->events }[ 1 .. 9 ] ],
        [ map { $_->{data} } @{ $stream->events }[ 1 .. 9 ] ], 'as they are read by who comes later';
};

subtest 'what proves nothing' => sub {
    my $id = one_job();
    claim($id);
    my $poll = begin_request('GET', "/jobs/$id?wait=30");
    my $stream = begin_request('GET', "/jobs/$id/events");
    held(2);
    my $other = one_job(); claim($other); complete($other, 'secret');
    my ($channel) = signed($id);
    my (undef, $message) = signed($other);
    my ($signature, $payload) = $message =~ /^\S+ \S+ \S+ \S+ (\S+) (.*)$/;
    publish($channel, "1 $id 3 completed $signature $payload");                         # another job's proof
    publish($channel, "1 $id 3 completed " . 'A' x 43 . " $payload");
    publish($channel, "1 $id 3 completed $signature");
    publish($channel, "1 $id 3 completed $signature {\"t\":");
    (my $changed = (signed($id))[1]) =~ s/"attempt" : 1/"attempt" : 7/;
    publish($channel, $changed);
    ok $poll->quiet(0.7), 'nobody is told';
    unlike $stream->{buffer}, qr/completed|secret/, 'the stream has nothing of it';
    my $now = sql("BEGIN; SELECT await.complete('$id', test.receipt('$id'), 'x', 'text/plain');
        SELECT message FROM await.hint('$id'); ROLLBACK");
    like $now, qr/^1 \Q$id\E 3 completed$/m, 'before the commit there is no proof';
    publish($channel, $now =~ s/^t\n//r);
    ok $poll->quiet(0.7), 'the poll is still held';
    complete($id, '{"n":1}', type => 'application/json', hint => 1);
    is json($poll->response)->{state}, 'completed', 'the truth arrives all the same';
    ok $stream->wait_event('completed'), 'the stream gets the event completed';
};

subtest 'too large to be proved' => sub {
    my $id = one_job();
    claim($id);
    my $poll = begin_request('GET', "/jobs/$id/result?wait=30");
    held(1);
    my $body = 'x' x 30_000;
    complete($id, $body);
    my ($channel, $message) = signed($id);
    is $message, "1 $id 3 completed", 'a large result\'s hint has no proof';
    publish($channel, $message);
    is $poll->response->{body}, $body, 'the poll reads the result';
};

subtest 'await_hints verified' => sub {
    my $id = one_job();
    claim($id);
    my $poll = begin_request('GET', "/verified/$id?wait=30");
    my $stream = begin_request('GET', "/verified/$id", headers => { Accept => 'text/event-stream' });
    ok $stream->wait_event('processing'), 'the stream has begun';
    held(2);
    complete($id, 'x');
    cmp_ok reads_during(sub { publish(signed($id)); $poll->response; $stream->wait_event('completed') }), '>=', 1,
        'reads before it believes';
};

subtest 'a crowd' => sub {
    my $id = one_job();
    claim($id);
    my @polls = map { begin_request('GET', "/jobs/$id?wait=50") } 1 .. 300;
    my @streams = map { begin_request('GET', "/jobs/$id/events") } 1 .. 100;
    held(400);
    complete($id, '{"n":1}', type => 'application/json');
    cmp_ok reads_during(
        sub {
            publish(signed($id));
            is scalar(grep { json($_->response)->{state} eq 'completed' } @polls), 300, 'every poll is answered';
            is scalar(grep { $_->wait_event('completed') } @streams), 100, 'every stream gets the event completed';
        }
        ),
        '<=',
        2,
        'costs a read, not hundreds';
};

subtest 'the key is nobody else\'s' => sub {
    my @mine = split /\n/, sql("SELECT r.rolname FROM pg_roles r WHERE r.rolname LIKE 'await\\_%'
        AND has_table_privilege(r.oid, 'await.secret', 'SELECT')");
    is_deeply \@mine, [], 'no role reads the table';
    is sql("SELECT has_function_privilege('await_worker', 'await.edge_hello(text[], int2[])', 'EXECUTE')"), 'f',
        'a worker may not call edge_hello';
    is sql("SELECT has_function_privilege('await_worker', 'await.sign(text)', 'EXECUTE')"), 'f',
        'a worker may not call sign';
};

finish();
