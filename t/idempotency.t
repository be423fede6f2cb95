# Idempotency-Key: a request sent again is the same job, whoever takes it and however often.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use Test::More;

start_stack(workers => 2, extra => <<'CONF');
    location = /other { await_submit other; }
    location = /must { await_idempotency required; await_submit work; }
    location = /never { await_idempotency off; await_submit work; }
    location = /short { await_idempotency on 1s; await_submit work; }
    location = /fleeting { await_idempotency on 30d; await_submit work retain=1d; }
    location = /owned { await_owner $arg_who; await_submit work; }
CONF

my $number = 0;
sub key { return 'k-' . ++$number }
sub send_with { my ($key, $body, %headers) = @_; return post('/jobs', $body, 'Idempotency-Key' => $key, %headers) }
sub jobs { return sql('SELECT count(*) FROM await.job') }

subtest 'the same request again: the same job, its document as it is now' => sub {
    my $key = '"' . key() . '"';
    my $first = send_with($key, 'once');
    is $first->{status}, 202, 'the first request is accepted';
    ok !defined header($first, 'Idempotency-Replayed'), 'the first is no replay';
    my $id = id_of($first);
    my $before = jobs();
    my $again = send_with($key, 'once');
    is $again->{status}, 202, 'the second request is accepted';
    is header($again, 'Idempotency-Replayed'), 'true', 'the second is marked as a replay';
    is header($again, $_), header($first, $_), $_ for qw(Location Link Cache-Control);
    is json($again)->{id}, $id, 'the second has the first one\'s id';
    is json($again)->{state}, 'pending', 'the job is pending';
    is jobs(), $before, 'no job was made';
    complete($id, 'done', attempt => claim($id));
    my $ended = send_with($key, 'once');
    is $ended->{status}, 202, 'also when it has ended';
    is json($ended)->{state}, 'completed', 'the replay has the state completed';
    is header($ended, 'Location'), header($first, 'Location'), 'the replay has the same Location';
};

subtest 'another payload, type, name or params under the same key: 422, and nothing is stored' => sub {
    my $key = key();
    my $form = sub {
        my (%o) = @_;
        return multipart([ a => $o{a} // 1 ],
            [ image => $o{bytes} // 'x', $o{name} // 'x.png', $o{type} // 'image/png' ]);
    };
    my ($body, $type) = $form->();
    my $id = id_of(send_with($key, $body, 'Content-Type' => $type));
    my $before = jobs();
    for my $change ([ bytes => 'y' ], [ name => 'y.png' ], [ type => 'image/gif' ], [ a => 2 ]) {
        my ($other, $its) = $form->(@$change);
        my $r = send_with($key, $other, 'Content-Type' => $its);
        is $r->{status}, 422, $change->[0];
        is header($r, 'Content-Type'), 'application/problem+json', "$change->[0]: the answer is a problem";
    }
    is jobs(), $before, 'nothing was stored';
    my ($again, $boundary) = $form->();
    isnt $boundary, $type, 'a browser sends another boundary';
    is id_of(send_with($key, $again, 'Content-Type' => $boundary)), $id, 'which changes nothing';
};

subtest 'a key is one of its owner and its queue' => sub {
    my $key = key();
    my %ids = map { $_ => id_of(post($_, 'x', 'Idempotency-Key' => $key)) } '/jobs', '/other', '/owned?who=ann',
        '/owned?who=bob';
    is scalar(keys %{ { reverse %ids } }), 4, 'four owners and queues: four jobs';
    is id_of(post($_, 'x', 'Idempotency-Key' => $key)), $ids{$_}, $_ for sort keys %ids;
};

subtest 'quoted, escaped, bare, with parameters; malformed is 400' => sub {
    my $key = key();
    my $id = id_of(send_with($key, 'x'));
    is id_of(send_with($_, 'x')), $id, $_ for "\"$key\"", " $key ", "\"$key\"; a=1;b=\"c;d\"", "$key;x";
    is id_of(send_with('"a\\"b\\\\"', 'x')), id_of(send_with('"a\\"b\\\\" ', 'x')), 'escapes';
    for my $bad ('', '""', '"open', '"a\\n"', 'a b', 'a,b', '"a", "b"', "\"\xe9\"", '"' . 'x' x 256 . '"',
        '"a";', '"a"=1', "\"a\x7f\"")
    {
        my $r = send_with($bad, 'x');
        is $r->{status}, 400, "<$bad>";
    }
    is send_with('x' x 255, 'x')->{status}, 202, 'as long as may be';
    my $twice = begin_raw(
        "POST /jobs HTTP/1.1\r\nHost: x\r\nIdempotency-Key: \"a\"\r\nIdempotency-Key: \"b\"\r\nConnection: close\r\n"
        . "Content-Length: 0\r\n\r\n"
    )->response;
    is $twice->{status}, 400, 'two of them';
};

subtest 'required, off' => sub {
    is post('/must', 'x')->{status}, 400, 'required: without a key 400';
    is post('/must', 'x', 'Idempotency-Key' => key())->{status}, 202, 'required: with a key 202';
    my $key = key();
    isnt id_of(post('/never', 'x', 'Idempotency-Key' => $key)), id_of(post('/never', 'x', 'Idempotency-Key' => $key)),
        'off: the same key makes two jobs';
    is post('/never', 'x', 'Idempotency-Key' => '""')->{status}, 202, 'off reads nothing';
};

subtest 'a key ends with its time, and with its job; what has ended is removed' => sub {
    my $key = key();
    my $id = id_of(post('/short', 'x', 'Idempotency-Key' => $key));
    my $over = "SELECT until < clock_timestamp() FROM await.idem WHERE key = '$key'";
    until_true('its time is over', sub { sql($over) ne 'f' });
    isnt id_of(post('/short', 'y', 'Idempotency-Key' => $key)), $id, 'another payload too: it is a new key';
    eventually('the key is removed',
        sub { sql('SELECT await.run_maintenance()'); sql("SELECT count(*) FROM await.idem WHERE key = '$key'") == 0 });
    post('/fleeting', 'x', 'Idempotency-Key' => $key = key());
    is sql("SELECT until < now() + interval '25 hours' FROM await.idem WHERE key = '$key'"), 't',
        'not longer than the job is kept';
};

subtest 'many at once, on two nginx workers: one job' => sub {
    for my $round (1 .. 5) {
        my $key = key();
        my $before = jobs();
        my @all =
            map { begin_request('POST', '/jobs', body => "race $round", headers => { 'Idempotency-Key' => $key }) }
            1 .. 40;
        my @answers = map { $_->response } @all;
        is scalar(grep { $_->{status} == 202 } @answers), 40, "round $round: all are accepted";
        my %ids = map { json($_)->{id} => 1 } @answers;
        is scalar(keys %ids), 1, 'one id';
        is jobs(), $before + 1, 'one job';
        is scalar(grep { !defined header($_, 'Idempotency-Replayed') } @answers), 1, 'one came first';
    }
};

subtest 'many at once with two payloads: one of them is taken' => sub {
    my $key = key();
    my @all = map {
        begin_request('POST', '/jobs', body => $_ % 2 ? 'odd' : 'even', headers => { 'Idempotency-Key' => $key })
    } 1 .. 20;
    my %status;
    $status{ $_->response->{status} }++ for @all;
    is_deeply \%status, { 202 => 10, 422 => 10 }, 'ten of each payload: one half is accepted, the other refused';
};

subtest 'mixed with others in one batch' => sub {
    my $key = key();
    my @all =
        map { begin_request('POST', '/jobs', body => 'x', headers => $_ % 3 ? {} : { 'Idempotency-Key' => $key }) }
        1 .. 30;
    my %ids = map { id_of($_->response) => 1 } @all;
    is scalar(keys %ids), 21, 'twenty without a key make twenty jobs, ten with it one';
};

subtest 'the first is not committed yet: 409 after a short wait, and others are not harmed' => sub {
    my $key = key();
    my $hold = Await::Session->new(stack()->postgres);
    $hold->run(
        "BEGIN; INSERT INTO await.idem SELECT '', 'work', '$key', '\\x00', gen_random_uuid(), now() + interval '1 day'"
    );
    my @others = map { begin_request('POST', '/jobs', body => 'x') } 1 .. 5;
    my $blocked = begin_request('POST', '/jobs', body => 'x', headers => { 'Idempotency-Key' => $key });
    my $r = $blocked->response;
    is $r->{status}, 409, 'the second with this key is told 409';
    is header($r, 'Retry-After'), 1, 'it says when to come back';
    is $_->response->{status}, 202, 'others are accepted' for @others;
    $hold->run('ROLLBACK');
    is send_with($key, 'x')->{status}, 202, 'then it is free';
};

subtest 'Prefer: wait on a request that was sent before' => sub {
    my $key = key();
    my $id = id_of(send_with($key, 'slow'));
    my $held =
        begin_request('POST', '/jobs', body => 'slow', headers => { 'Idempotency-Key' => $key, Prefer => 'wait=20' });
    ok $held->quiet(0.3), 'it waits for the job';
    complete($id, 'made', attempt => claim($id), hint => 1);
    my $r = $held->response;
    is $r->{status}, 200, 'the held replay is answered';
    is $r->{body}, 'made', 'its body is the result';
    is header($r, 'Idempotency-Replayed'), 'true', 'it is marked as a replay';
    is header($r, 'Content-Location'), "/jobs/$id/result", 'Content-Location names the result';
    is send_with($key, 'slow', Prefer => 'wait=20')->{body}, 'made', 'at once where it has ended';
};

subtest 'a large upload sent again leaves nothing behind' => sub {
    my $key = key();
    my $body = 'large ' x 100_000;
    my $id = id_of(send_with($key, $body));
    my $chunks = sql('SELECT count(*) FROM await.chunk');
    is id_of(send_with($key, $body)), $id, 'the same upload is the same job';
    is send_with($key, "$body.")->{status}, 422, 'another upload under the key is refused';
    eventually('the pieces of both are gone', sub { sql('SELECT count(*) FROM await.chunk') == $chunks });
};

finish();
