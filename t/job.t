# A job's document: poll, conditional requests, long poll, one word, cancellation.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;
use Time::HiRes qw(time);

start_stack(extra => <<'CONF');
    location ~ ^/word/(?<id>[^/]+)$ { await_hold 20s; await_job $id default=text; }
    location ~ ^/brief/(?<id>[^/]+)$ { await_hold_max 1s; await_value_max 10; await_job $id; }
CONF

subtest 'the document through a job\'s life' => sub {
    my $id = one_job('/jobs', 'x', 'X-Correlation-Id' => 'c');
    my $r = get("/jobs/$id");
    is $r->{status}, 200, 'a pending job is answered';
    is header($r, 'ETag'), '"1-json"', 'its ETag has the sequence number';
    is header($r, 'Cache-Control'), 'no-store', 'a pending document is not stored';
    is header($r, 'Retry-After'), 1, 'it says when to come back';
    is header($r, 'Vary'), 'Accept, Prefer', 'Vary names Accept and Prefer';
    my $attempt = claim($id);
    my $job = json(get("/jobs/$id"));
    is_deeply [ @$job{qw(state seq attempt)} ], [ 'processing', 2, 1 ],
        'a claimed job is processing, at its first attempt';
    sql("SELECT await.heartbeat('$id', test.receipt('$id'), '{\"done\": 40, \"total\": 100}')");
    $job = json(get("/jobs/$id"));
    is_deeply $job->{progress}, { done => 40, total => 100 }, 'the document has the progress';
    is $job->{finished_at}, undef, 'it has no finished_at';
    sql("SELECT await.emit('$id', test.receipt('$id'), 'node_started')");
    complete($id, '{"answer": 42}', type => 'application/json', name => 'a.json');
    $r = get("/jobs/$id");
    $job = json($r);
    is_deeply [ @$job{qw(id queue state seq correlation_id)} ], [ $id, 'work', 'completed', 5, 'c' ],
        'the document of the completed job';
    is_deeply $job->{progress}, { done => 40, total => 100 }, 'the last progress stays';
    is_deeply $job->{result}, { type => 'application/json', size => 14, name => 'a.json', value => { answer => 42 } },
        'its result, with the value';
    is $job->{finished_at}, $job->{updated_at}, 'it finished when it was last updated';
    is header($r, 'Cache-Control'), 'private, no-cache', 'an ended document may be kept, and is asked for again';
    is header($r, 'Retry-After'), undef, 'nobody has to come back';
    is_deeply $job->{links}, { self => "/jobs/$id", result => "/jobs/$id/result", events => "/jobs/$id/events" },
        'its links';
    is_deeply json(get("/brief/$id"))->{result}, { type => 'application/json', size => 14, name => 'a.json' },
        'await_value_max';
};

subtest 'a job that waits for its next attempt says why, and until when' => sub {
    my $waiting = sub {
        my ($id) = @_;
        my $job = json(get("/jobs/$id"));
        my $title = $job->{last_error} && $job->{last_error}{title};
        my $soon =
            defined $job->{retry_at}
            ? sql("SELECT abs(extract(epoch FROM '$job->{retry_at}'::timestamptz - '$job->{updated_at}'::timestamptz))")
            : undef;
        return [ @$job{qw(state attempt max_attempts)}, $title, defined $soon ? sprintf '%.0f', $soon : undef ];
    };
    my $none = [ undef, undef, undef ];
    my $id = one_job();
    is_deeply $waiting->($id), [ 'pending', 0, @$none ], 'a new job: nothing';
    claim($id);
    is_deeply $waiting->($id), [ 'processing', 1, @$none ], 'a first attempt: nothing';
    sql("SELECT await.fail('$id', test.receipt('$id'), '{\"title\": \"Busy\", \"code\": 7}', '1 hour')");
    is_deeply $waiting->($id), [ 'pending', 1, 5, 'Busy', 3600 ],
        'it failed: the error, and when the next attempt may begin';
    is_deeply json(get("/jobs/$id"))->{last_error},
        { type => '/problems/job-failed', title => 'Busy', status => 424, instance => "/jobs/$id", code => 7 },
        'the error is a problem with the members that the worker gave';
    like json(get("/jobs/$id"))->{retry_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
        'retry_at has the form of all times';
    sql("UPDATE await.delayed SET due = now() WHERE job = '$id'; SELECT await.reap(10)");
    claim($id);
    is_deeply $waiting->($id), [ 'processing', 2, @$none ], 'the second attempt runs: nothing';
    sql("SELECT await.release('$id', test.receipt('$id'), '5 min')");
    is_deeply $waiting->($id), [ 'pending', 1, 5, 'Busy', 300 ], 'it is given back: still the error of the first';
    sql("UPDATE await.delayed SET due = now() WHERE job = '$id'; SELECT await.reap(10)");
    claim($id);
    sql("UPDATE await.lease SET until = now() - interval '1 s' WHERE job = '$id'; SELECT await.reap(10)");
    is_deeply $waiting->($id), [ 'pending', 2, 5, 'Lease expired', 0 ], 'its lease expired: that, and at once';
    del("/jobs/$id");
    is_deeply $waiting->($id), [ 'cancelled', 2, @$none ], 'it is cancelled: nothing';

    $id = one_job();
    claim($id);
    sql("SELECT await.release('$id', test.receipt('$id'))");
    is_deeply $waiting->($id), [ 'pending', 0, 5, undef, 0 ], 'given back at the first attempt: no error';
    claim($id);
    complete($id, 'x');
};

subtest 'a failed job carries its problem' => sub {
    my $id = one_job();
    claim($id);
    sql("SELECT await.fail('$id', test.receipt('$id'),
        '{\"title\": \"No luck\", \"detail\": \"it broke\", \"code\": 7}', '-1 s')");
    my $job = json(get("/jobs/$id"));
    is $job->{state}, 'failed', 'the job has failed';
    is_deeply $job->{error},
        {
        type => '/problems/job-failed',
        title => 'No luck',
        detail => 'it broke',
        code => 7,
        status => 424,
        instance => "/jobs/$id"
        },
        'its error is the worker\'s problem, with what is missing filled in';
};

subtest 'If-None-Match' => sub {
    my $id = one_job();
    my $r = get("/jobs/$id", 'If-None-Match' => '"1-json"');
    is $r->{status}, 304, 'the same ETag: 304';
    is $r->{body}, '', 'a 304 has no body';
    is header($r, $_), header(get("/jobs/$id"), $_), $_ for qw(ETag Vary Cache-Control);
    is get("/jobs/$id", 'If-None-Match' => 'W/"1-text"')->{status}, 200, 'another representation';
    is get("/jobs/$id", 'If-None-Match' => '"x", W/"1-json"')->{status}, 304, 'one of a list';
};

subtest 'one word' => sub {
    my $id = one_job();
    my $r = get("/jobs/$id", Accept => 'text/plain');
    is $r->{body}, 'PENDING', 'text/plain: the state as a word';
    is header($r, 'Content-Type'), 'text/plain', 'its type is text/plain';
    is get("/jobs/$id?wait=1", Accept => 'text/plain')->{body}, 'TIMEOUT', 'a wait that times out is the word TIMEOUT';
    my $held = begin_request('GET', "/word/$id");
    ok $held->quiet(0.3), 'await_hold holds who asks for nothing';
    claim($id); complete($id, 'x', hint => 1);
    is $held->response->{body}, 'COMPLETED', 'the held request is answered with COMPLETED';
    is get("/word/$id", Accept => 'application/json')->{headers}{'content-type'}, 'application/json',
        'JSON is given where it is accepted';
    is get("/jobs/$id", Accept => 'image/png')->{status}, 406, 'no acceptable type: 406';
};

subtest 'a long poll is held until the job has ended, and answered at once then' => sub {
    for my $how ([ '?wait=20' ], [ '', Prefer => 'wait=20' ]) {
        my ($query, %headers) = @$how;
        my $id = one_job();
        my $held = begin_request('GET', "/jobs/$id$query", headers => \%headers);
        claim($id); hint($id);
        ok $held->quiet(0.3), 'processing is no ending';
        complete($id, 'x');
        ok $held->quiet(0.2), 'without a hint it learns at the next re-read';
        my $begin = time;
        hint($id);
        my $r = $held->response;
        cmp_ok time - $begin, '<', 15, 'the hint is what told it, and not the end of the wait';
        is json($r)->{state}, 'completed', 'the answer has the state completed';
        is header($r, 'Preference-Applied'), %headers ? 'wait=20' : undef,
            'Preference-Applied only where Prefer was sent';
    }
};

subtest 'with If-None-Match it is held until the ETag changes' => sub {
    my $id = one_job();
    my $held = begin_request('GET', "/jobs/$id", headers => { Prefer => 'wait=20', 'If-None-Match' => '"1-json"' });
    ok $held->quiet(0.3), 'the poll is held';
    claim($id); hint($id);
    my $r = $held->response;
    is $r->{status}, 200, 'it is answered when the job is claimed';
    is header($r, 'ETag'), '"2-json"', 'with the new ETag';
    is get("/jobs/$id?wait=20", 'If-None-Match' => '"1-json"')->{status}, 200, 'changed before: at once';
};

subtest 'on time-out: the current document, or 304; never an error' => sub {
    my $id = one_job();
    my $begin = time;
    my $poll = sub { my ($path, %headers) = @_; return begin_request('GET', $path, headers => \%headers) };
    my ($plain, $same, $capped) = (
        $poll->("/jobs/$id", Prefer => 'wait=1'),
        $poll->("/jobs/$id", Prefer => 'wait=1', 'If-None-Match' => '"1-json"'),
        $poll->("/brief/$id", Prefer => 'wait=600')
    );
    my $r = $plain->response;
    is $r->{status}, 200, 'a wait that times out gets the document';
    is json($r)->{state}, 'pending', 'the state is still pending';
    is header($r, 'Preference-Applied'), 'wait=1', 'Preference-Applied says what was waited';
    is $same->response->{status}, 304, 'a wait that times out with the same ETag gets 304';
    is header($capped->response, 'Preference-Applied'), 'wait=1', 'await_hold_max caps it';
    cmp_ok time - $begin, '<', 15, 'it took about a second, not ten minutes';
};

subtest 'a result written between the check and the subscription is delivered' => sub {
    # the hint is sent before the commit is seen, and then never again
    my $id = one_job();
    claim($id);
    my ($channel) = split /\|/, sql("SELECT channel FROM await.hint('$id')");
    my $held = begin_request('GET', "/jobs/$id?wait=20");
    ok $held->quiet(0.2), 'the poll is held';
    stack()->redis_command('PUBLISH', $channel, "1 $id 3 completed");
    complete($id, 'x');                 # 2, 10, 50, 250 ms later at the most it is looked at again
    my $begin = time;
    is json($held->response)->{state}, 'completed', 'it is answered with the ending';
    cmp_ok time - $begin, '<', 15, 'it took less than the re-read, and than its wait';
};

subtest 'forged and garbled hints change nothing' => sub {
    my $id = one_job();
    my ($channel) = split /\|/, do { claim($id); sql("SELECT channel FROM await.hint('$id')") };
    my $held = begin_request('GET', "/jobs/$id?wait=20");
    ok $held->quiet(0.2), 'the poll is held';
    stack()->redis_command('PUBLISH', $channel, $_)
        for "1 $id 9 completed", "1 $id", '', "2 $id 3 x", "1 $id -1 x", "1 $id 99999999999999 x", "\0\xff";
    ok $held->quiet(0.6), 'still held';
    complete($id, 'x', hint => 1);
    is json($held->response)->{state}, 'completed', 'the true hint is what answers it';
};

subtest 'DELETE cancels' => sub {
    my $id = one_job();
    my $held = begin_request('GET', "/jobs/$id?wait=20");
    ok $held->quiet(0.2), 'the poll is held';
    my $r = del("/jobs/$id");
    is $r->{status}, 202, 'DELETE is accepted';
    is json($r)->{state}, 'cancelled', 'the job is cancelled';
    is json($held->response)->{state}, 'cancelled', 'and tells who waits';
    is del("/jobs/$id")->{status}, 200, 'again';
    is claim($id), undef, 'nobody gets it any more';
    my $done = one_job();
    claim($done); complete($done, 'x');
    $r = del("/jobs/$done");
    is $r->{status}, 409, 'DELETE of a completed job: 409';
    like json($r)->{detail}, qr/completed/, 'the detail says that it has completed';
    is del('/jobs/01a20229-85dd-7905-b3ad-942074197547')->{status}, 404, 'DELETE of an unknown job: 404';
    my $running = one_job();
    claim($running); del("/jobs/$running");
    is sql("SELECT await.heartbeat('$running', test.receipt('$running'))"), 'cancelled',
        'a worker learns at its next heartbeat';
    is complete($running, 'late'), 'f', 'and can change nothing';
};

subtest 'ids that are none, and jobs that are not there' => sub {
    for my $path (
        '/jobs/nonsense', '/jobs/01a20229-85dd-7905-b3ad-942074197547',
        '/jobs/01a20229-85dd-7905-b3ad-94207419754', '/jobs/ffffffff-ffff-4fff-bfff-ffffffffffff'
        )
    {
        my $r = get($path);
        is $r->{status}, 404, $path;
        is header($r, 'Content-Type'), 'application/problem+json', "$path: the answer is a problem";
        is get("$path?wait=10")->{status}, 404, 'at once';
    }
    is get('/jobs/00000000-0001-7905-b3ad-942074197547')->{status}, 410, 'past retention, by the id alone';
};

subtest 'methods' => sub {
    my $id = one_job();
    my $r = put("/jobs/$id", 'x');
    is $r->{status}, 405, 'PUT is not allowed';
    is header($r, 'Allow'), 'GET, HEAD, DELETE, OPTIONS', 'Allow lists the methods';
    my $options = request('OPTIONS', "/jobs/$id");
    is $options->{status}, 204, 'OPTIONS is answered';
    is header($options, 'Allow'), 'GET, HEAD, DELETE, OPTIONS', 'its Allow lists the methods';
    my $head = begin_request('HEAD', "/jobs/$id?wait=20");
    $head->{head_only} = 1;
    $r = $head->response;
    is $r->{status}, 200, 'HEAD never holds';
    cmp_ok header($r, 'Content-Length'), '>', 300, 'HEAD has the document\'s length';
    is $r->{body}, '', 'HEAD has no body';
    is get("/jobs/$id?wait=-1")->{status}, 400, 'a negative wait: 400';
    is get("/jobs/$id?wait=1x")->{status}, 400, 'a malformed wait: 400';
    is get("/jobs/$id", Prefer => 'wait=x, foo="bar, wait=9"')->{status}, 200, 'a malformed Prefer is ignored';
};

subtest 'keep-alive and pipelining around a held request' => sub {
    my $id = one_job();
    my $c = begin_raw("GET /jobs/$id?wait=1 HTTP/1.1\r\nHost: x\r\n\r\nGET /jobs/$id HTTP/1.1\r\nHost: x\r\n\r\n");
    is $c->response->{status}, 200, 'the first is answered';
    is $c->response->{status}, 200, 'the second is answered after the first';
    $c->send("GET /jobs/nope HTTP/1.1\r\nHost: x\r\n\r\n");
    is $c->response->{status}, 404, 'the connection goes on after both';
};

subtest 'a client that leaves costs nothing more' => sub {
    my $id = one_job();
    my @held = map { begin_request('GET', "/jobs/$id?wait=20") } 1 .. 20;
    ok $held[0]->quiet(0.2), 'the polls are held';
    $_->close for @held;
    ok until_true('499 in the log',
        sub { (() = Await::Test::slurp(stack()->{dir} . '/logs/access.log') =~ /" 499 /g) >= 20 }),
        'noticed at once';
};

finish();
