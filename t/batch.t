# Batches: submitted as one request, all or none; the document, its pages and long polls; cancellation; adding.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(time);

start_stack(
    workers => 2,
    http =>
        q(await_format essays '{"batch_id":"@id","status":"@status","essays":"@jobs",)
        . q("processing_summary":"@summary"}';),
    extra => <<'CONF');


    location = /batches {
        await_batch queues=essay,cj phases=spell,cj on_ready=mail options=priority,delay,lease max_attempts=2;
    }
    location ~ ^/batches/(?<batch>[^/]+)$ { await_batch $batch; }
    location = /one { await_batch queues=solo; await_batch_uri /batches/$await_id; }
    location = /many { await_batch queues=many; await_batch_uri /batches/$await_id; }
    location = /photos {
        await_batch queues=photo file=image params=album,tag type=image/*,application/json,application/x-ndjson;
        await_batch_uri /batches/$await_id;
    }
    location ~ ^/status/(?<batch>[^/]+)$ { await_batch $batch format=essays; await_job_uri /jobs/$await_id; }
    location ~ ^/word/(?<batch>[^/]+)$ { await_hold 10s; await_batch $batch default=text; }
    location ~ ^/add/(?<batch>[^/]+)$ { await_submit cj batch=$batch phase=$arg_phase max_attempts=1; }
    location = /metrics { await_metrics; }
    location = /mine { await_owner $arg_who; await_batch queues=solo; }
    location ~ ^/mine/(?<batch>[^/]+)$ { await_owner $arg_who; await_batch $batch; await_submit solo batch=$batch; }
    location ~ ^/both(?:/(?<batch>[^/]+))?$ { await_batch $batch queues=solo; }
CONF

my @ndjson = ('Content-Type' => 'application/x-ndjson');
my @json = ('Content-Type' => 'application/json');

sub batch {
    my ($path, $jobs, %headers) = @_;
    return post($path, encode({ jobs => $jobs }), @json, %headers);
}
sub encode { return JSON::PP->new->canonical->utf8->encode($_[0]) }
sub submitted { my $r = batch(@_); return id_of($r) }
sub document { my ($id, $args) = @_; return json(get("/batches/$id" . ($args // ''))) }
sub nothing {
    return sql(
        'SELECT (SELECT count(*) FROM await.job) || \'/\' || (SELECT count(*) FROM await.batch_stage)
    || \'/\' || (SELECT count(*) FROM await.batch_live) || \'/\' || (SELECT count(*) FROM await.chunk)'
    );
}
sub finish_job { my ($id, $queue, $body) = @_; claim($id, queue => $queue); return complete($id, $body // 'done') }

subtest 'a batch through its life' => sub {
    my $r = batch(
        '/batches',
        [
            { queue => 'essay', payload => { a => 1 }, params => { n => 1 } },
            { queue => 'essay', payload => 'text', priority => 5, lease => 30, phase => 'spell' },
        ],
        'X-Correlation-Id' => 'corr'
    );
    is $r->{status}, 202, 'it is accepted';
    my $d = json($r);
    my $id = $d->{id};
    like $id, qr/^[0-9a-f]{8}-[0-9a-f]{4}-8/, 'its id is a UUIDv8';
    is header($r, 'Location'), "/batches/$id", 'Location';
    is header($r, 'Link'), "</batches/$id>; rel=\"status\"", 'Link';
    is header($r, 'Cache-Control'), 'no-store', 'the answer is not stored';
    ok header($r, 'Retry-After'), 'it says when to come back';
    is_deeply [ @$d{qw(state status ready correlation_id finished_at next)} ],
        [ 'pending', 'pending', JSON::PP::false, 'corr', undef, undef ], 'a new batch is pending';
    is_deeply $d->{totals},
        {
        total => 2,
        done => 0,
        open => 2,
        pending => 2,
        processing => 0,
        completed => 0,
        failed => 0,
        cancelled => 0,
        expired => 0
        },
        'its totals';
    is_deeply $d->{phases}{cj},
        { total => 0, done => 0, open => 0, completed => 0, failed => 0, cancelled => 0, expired => 0 },
        'a phase without jobs';
    is_deeply $d->{links}, { self => "/batches/$id", events => "/batches/$id/events" }, 'its links';
    my @jobs = @{ $d->{jobs} };
    is_deeply [ map { [ @$_{qw(queue phase batch state)}, $_->{params} ] } @jobs ],
        [ [ 'essay', 'spell', $id, 'pending', { n => 1 } ], [ 'essay', 'spell', $id, 'pending', undef ] ],
        'its jobs, in their order, in the first phase by default';
    is sql("SELECT convert_from(payload, 'UTF8') || content_type FROM await.job WHERE id = '$jobs[0]{id}'"),
        '{"a":1}application/json', 'a payload is what was sent';
    is sql("SELECT priority || ' ' || lease || ' ' || max_attempts FROM await.job WHERE id = '$jobs[1]{id}'"),
        '5 00:00:30 2', 'options of the job and of the directive';
    claim($jobs[0]{id}, queue => 'essay');
    is_deeply [ @{ document($id)->{totals} }{qw(pending processing)} ], [ 0, 2 ], 'claimed jobs are processing';
    complete($jobs[0]{id}, 'done');
    complete($jobs[1]{id}, 'done');
    $d = document($id);
    is_deeply [ @$d{qw(state ready)}, $d->{phases}{spell}{completed} ], [ 'processing', JSON::PP::false, 2 ],
        'not ready before the last phase had jobs';
    my $added = post("/add/$id?phase=cj", 'x');
    is $added->{status}, 202, 'a job is added';
    is json($added)->{batch}, $id, 'it says in which batch it is';
    my $last = json($added)->{id};
    claim($last, queue => 'cj');
    sql("SELECT await.fail('$last', test.receipt('$last'), '{\"title\": \"Bad essay\", \"detail\": \"no text\"}', NULL)"
    );
    $d = document($id);
    is_deeply [ @$d{qw(state status ready)} ], [ 'completed', 'completed_with_failures', JSON::PP::true ], 'ready';
    is_deeply $d->{summary},
        {
        completed => 2,
        failed => 1,
        cancelled => 0,
        expired => 0,
        failures => [ { id => $last, phase => 'cj', state => 'failed', title => 'Bad essay', detail => 'no text' } ]
        },
        'the summary says what failed';
    is $d->{finished_at}, $d->{updated_at}, 'finished';
    is sql("SELECT count(*) FROM await.job j JOIN await.queue q ON q.id = j.queue WHERE q.name = 'mail'"), 1,
        'the job of on_ready is there, once';
    $added = post("/add/$id?phase=cj", 'x');
    is $added->{status}, 409, 'nothing is added to a batch that has ended';
    is json(get("/status/$id"))->{processing_summary}{failed}, 1, 'a format';
    is_deeply [ map { ref } @{ json(get("/status/$id")) }{qw(essays)} ], ['ARRAY'], 'with the jobs';
    is json(get("/status/$id"))->{essays}[0]{links}{self}, "/jobs/$jobs[0]{id}", 'whose links are by await_job_uri';
};

subtest 'lines' => sub {
    my $bytes = join '', map { chr } 0 .. 255;
    my $r = post(
        '/one',
        "{\"payload\":1}\n\r\n"
            . encode({
                payload_base64 => encode_base64($bytes, ''),
                content_type => 'image/png',
                file_name => 'a b.png'
            })
            . "\n",
        @ndjson
    );
    is $r->{status}, 202, 'lines are accepted';
    my ($one, $two) = map { $_->{id} } @{ json($r)->{jobs} };
    is sql("SELECT encode(payload, 'hex') FROM await.job WHERE id = '$two'"), unpack('H*', $bytes), 'bytes';
    is sql("SELECT content_type || ' ' || file_name FROM await.job WHERE id = '$two'"), 'image/png a b.png',
        'their type and name';
    is sql("SELECT encode(payload, 'escape') FROM await.job WHERE id = '$one'"), 1, 'and JSON';
};

subtest 'what is wrong with a job is said with its place' => sub {
    my $r = batch('/batches', [ { queue => 'cj', payload => 1 }, { queue => 'none', payload => 2 } ]);
    is json($r)->{detail}, 'Invalid batch. Job 2, at byte 36: the queue none cannot be used here; use essay, cj.',
        'a queue';
};

subtest 'ten thousand jobs, whose pages follow one another' => sub {
    my $body = join '', map { "{\"payload\":$_}\n" } 1 .. 10_000;
    my $r = post('/many', $body, @ndjson);
    is $r->{status}, 202, 'accepted';
    my $id = json($r)->{id};
    is json($r)->{totals}{total}, 10_000, 'all are there';
    is scalar @{ json($r)->{jobs} }, 50, 'the answer has the first of them';
    my (@seen, $next);
    for (1 .. 4) {
        my $page = get("/batches/$id?limit=200" . ($next ? "&cursor=$next" : ''));
        my $d = json($page);
        push @seen, map { $_->{id} } @{ $d->{jobs} };
        $next = $d->{next};
        is header($page, 'Link'), "<?limit=200&cursor=$next>; rel=\"next\"", 'the next page';
    }
    is sql(
        "SELECT string_agg(encode(payload, 'escape'), ',' ORDER BY id) FROM await.job
            WHERE batch = '$id' AND id <= '$seen[-1]'"
        ),
        join(',', 1 .. 800), 'in the order in which they were sent';
    is scalar(keys %{ { map { $_ => 1 } @seen } }), 800, 'each once';
    is get("/batches/$id?$_")->{status}, 400, "refused: $_"
        for qw(limit=0 limit=201 limit=x cursor=x limit=1&limit=2 limit=), "cursor=${next}x", "cursor=&cursor=$next";
    is_deeply [ map { $_->{id} } @{ json(get("/batches/$id?limit=200&cursor="))->{jobs} } ], [ @seen[ 0 .. 199 ] ],
        'an empty cursor is the first page, as of lists';
    my $other = submitted('/many', [ { payload => 1 } ]);
    is get("/batches/$other?cursor=$next")->{status}, 400, 'the cursor of another batch is refused';
    my $before = nothing();
    $r = post('/many', "{\"payload\":0}\n$body", @ndjson);
    is $r->{status}, 413, '10,001 jobs are refused';
    like json($r)->{detail}, qr/^Invalid batch\. Job 10001, at byte \d+: a batch has at most 10000 jobs\.$/,
        'and it says so';
    eventually('nothing is left of them', sub { nothing() eq $before });
};

subtest 'a form with many files' => sub {
    my $large = join '', map { chr rand 256 } 1 .. 300_000;
    my ($body, $type) = multipart(
        [ album => 'spring' ],
        [ other => 1 ],
        (map { [ image => "small $_", "$_.png", 'image/png' ] } 1 .. 5),
        [ image => $large, 'large.jpg' ],
        [ image => 'x', 'C:\last.gif', 'image/gif' ]);
    my $r = post('/photos', $body, 'Content-Type' => $type);
    is $r->{status}, 202, 'accepted' or diag $r->{body};
    my $jobs = json($r)->{jobs};
    is_deeply [ map { $_->{params} } @$jobs ], [ ({ album => 'spring' }) x 7 ], 'the fields are params of each job';
    is sql(   "SELECT string_agg(file_name || ' ' || content_type, ', ' ORDER BY id) FROM await.job WHERE batch = '"
            . json($r)->{id}
            . "'"),
        join(', ', (map { "$_.png image/png" } 1 .. 5), 'large.jpg image/jpeg', 'last.gif image/gif'),
        'a job a file, in their order';
    is sql(
        "SELECT encode(sha256(string_agg(bytes, '' ORDER BY n)), 'hex') FROM await.chunk WHERE job = '$jobs->[5]{id}'"),
        Digest::SHA::sha256_hex($large), 'a large file is stored in chunks';
    is sql("SELECT payload_size FROM await.job WHERE id = '$jobs->[5]{id}'"), 300_000, 'whole';
    my $before = nothing();
    ($body, $type) = multipart([ image => $large, 'a.png' ], [ image => 'x', 'b.txt', 'text/plain' ]);
    $r = post('/photos', $body, 'Content-Type' => $type);
    is $r->{status}, 415, 'one file of a wrong type';
    like json($r)->{detail}, qr/^Job 2: Unsupported content type text\/plain/, 'it says which';
    ($body, $type) = multipart([ image => 'x', 'a.png' ], [ tag => 'late' ]);
    $r = post('/photos', $body, 'Content-Type' => $type);
    is $r->{status}, 400, 'a field behind a file';
    like json($r)->{detail}, qr/"tag" follows a file/, 'it says which';
    eventually('nothing is left of them', sub { nothing() eq $before });
};

subtest 'fields are copied for each file, up to a limit' => sub {    # was a bug: 200 KB of a form became 60 MB
    my $before = nothing();
    my ($body, $type) = multipart([ album => 'a' x 60_000 ], map { [ image => 'x', "$_.png" ] } 1 .. 145);
    my $r = post('/photos', $body, 'Content-Type' => $type);
    is $r->{status}, 413, 'too much in all';
    like json($r)->{detail}, qr/^Job 140: the form fields, .* exceed 8 MB in all/, 'it says at which file';
    eventually('nothing is left of them', sub { nothing() eq $before });
};

subtest 'a client that leaves amid its files leaves none' => sub {
    my ($body, $type) = multipart(map { [ image => $_ x 150_000, "$_.png" ] } qw(a b c d));
    my $before = nothing();
    my $half = begin_request(
        'POST', '/photos',
        headers => { 'Content-Type' => $type, 'Content-Length' => length $body },
        body => substr($body, 0, 500_000)
    );
    eventually('three files are stored', sub { sql('SELECT count(DISTINCT job) FROM await.chunk') >= 3 });
    $half->close;
    eventually('nothing is left of them', sub { nothing() eq $before });
};

subtest 'Prefer: wait, and long polls' => sub {
    my $held = begin_request(
        'POST', '/one',
        body => encode({ jobs => [ { payload => 'w' }, { payload => 'w' } ] }),
        headers => { @json, Prefer => 'wait=15' });
    my @ids;
    until_true('the jobs are there',
        sub { @ids = split /\n/, sql(q(SELECT id FROM await.job WHERE payload = '"w"' ORDER BY id)); @ids == 2 });
    my $id = sql("SELECT batch FROM await.job WHERE id = '$ids[0]'");
    my $word = begin_request('GET', "/word/$id");
    my $poll = begin_request('GET', "/batches/$id", headers => { Prefer => 'wait=15' });
    my $first = get("/batches/$id");
    my $changed =
        begin_request('GET', "/batches/$id?wait=15", headers => { 'If-None-Match' => header($first, 'ETag') });
    is get("/batches/$id", 'If-None-Match' => header($first, 'ETag'))->{status}, 304, 'unchanged: 304';
    is get("/batches/$id", 'If-Match' => '"x"')->{status}, 412, 'another one is not preferred';
    is get("/batches/$id", 'If-Match' => header($first, 'ETag'))->{status}, 200, 'this one is';
    finish_job($ids[0], 'solo');
    hint($id);
    my $r = $changed->response;
    is $r->{status}, 200, 'a poll with If-None-Match is answered by the first change';
    is json($r)->{totals}{completed}, 1, 'with the totals';
    complete($ids[1], 'done');
    hint($id);
    $r = $held->response;
    is $r->{status}, 200, 'the submission is answered when the batch is ready';
    is header($r, 'Preference-Applied'), 'wait=15', 'Preference-Applied';
    is header($r, 'Content-Location'), "/batches/$id", 'Content-Location';
    is json($r)->{ready}, JSON::PP::true, 'with its document';
    is json($poll->response)->{ready}, JSON::PP::true, 'the long poll, too';
    is $word->response->{body}, 'COMPLETED', 'and in one word';
    is header(get("/batches/$id"), 'Cache-Control'), 'private, no-cache', 'an ended batch may be kept';
    my $open = submitted('/one', [ { payload => 1 } ]);
    is get("/word/$open?wait=1")->{body}, 'TIMEOUT', 'in vain: TIMEOUT';
    $r = request('HEAD', "/batches/$open");
    is_deeply [ $r->{status}, $r->{body} // '' ], [ 200, '' ], 'HEAD';
    is header(request('OPTIONS', "/batches/$open"), 'Allow'), 'GET, HEAD, DELETE, OPTIONS', 'OPTIONS';
    is header(put('/batches', 'x'), 'Allow'), 'POST, OPTIONS', '405 with Allow';
    is header(put('/both/x', 'x'), 'Allow'), 'GET, HEAD, POST, DELETE, OPTIONS', 'both in one directive';
};

subtest 'a batch is sent again' => sub {
    my @key = ('Idempotency-Key' => '"b-1"');
    my $jobs = [ map { { payload => { n => $_ } } } 1 .. 3 ];
    my $first = batch('/one', $jobs, @key);
    my $before = nothing();
    my $again = batch('/one', $jobs, @key);
    is $again->{status}, 202, 'accepted again';
    is json($again)->{id}, json($first)->{id}, 'the same batch';
    is header($again, 'Idempotency-Replayed'), 'true', 'marked as a replay';
    my $r = post('/one', join('', map { encode($_) . "\n" } @$jobs), @ndjson, @key);
    is json($r)->{id}, json($first)->{id}, 'the form does not matter, the jobs do';
    is batch('/one', [ @$jobs[ 0, 1 ] ], @key)->{status}, 422, 'other jobs: 422';
    is batch('/one', [ @$jobs[ 1, 0, 2 ] ], @key)->{status}, 422, 'another order: 422';
    eventually('and nothing is stored', sub { nothing() eq $before });
    my $large = join '', map { chr rand 256 } 1 .. 100_000;
    my $form = sub {
        my ($body, $type) = multipart([ image => $large, 'a.png' ], [ image => $_[0], 'b.png' ]);
        return post('/photos', $body, 'Content-Type' => $type, 'Idempotency-Key' => 'f-1');
    };
    $first = $form->('x');
    $before = nothing();
    is json($form->('x'))->{id}, json($first)->{id}, 'a form, too';
    is $form->('y')->{status}, 422, 'with another file: 422';
    eventually('and nothing is stored of it', sub { nothing() eq $before });
};

subtest 'cancelling' => sub {
    my $id = submitted('/one', [ map { { payload => $_ } } 1 .. 3 ]);
    my ($done) = map { $_->{id} } @{ document($id)->{jobs} };
    finish_job($done, 'solo');
    my $r = del("/batches/$id");
    is $r->{status}, 202, 'accepted';
    is_deeply [ @{ json($r) }{qw(state ready)} ], [ 'cancelled', JSON::PP::false ], 'it is cancelled';
    is del("/batches/$id")->{status}, 200, 'once more changes nothing';
    eventually('its open jobs are cancelled', sub { document($id)->{totals}{cancelled} == 2 });
    is json(get("/jobs/$done"))->{state}, 'completed', 'what had ended stays';
    my $kept = submitted('/one', [ { payload => 1 } ]);
    my %conditions =
        ('If-Match' => header(get("/batches/$kept"), 'ETag'), 'If-Unmodified-Since' => 'Sat, 29 Oct 1994 19:43:31 GMT');
    for my $name (sort keys %conditions) {
        $r = del("/batches/$kept", $name => $conditions{$name});
        is $r->{status}, 412, "not with $name";
        like json($r)->{detail}, qr/^The batch does not satisfy/, 'and it says so';
    }
    is document($kept)->{state}, 'pending', 'nothing is changed then';
    is del("/batches/$kept", 'If-Match' => '*')->{status}, 202, 'with If-Match: * it is cancelled';
    my $ready = submitted('/one', [ { payload => 1 } ]);
    finish_job(document($ready)->{jobs}[0]{id}, 'solo');
    is del("/batches/$ready")->{status}, 409, 'a ready batch cannot be cancelled';
};

subtest 'clients that send slowly take little memory, whatever the number of jobs' => sub {
    my $clients = 64;
    my $sent = join '', map { "{\"payload\":{\"n\":$_}}\n" } 1 .. 9_900;
    my $before = nothing();
    my $most = 0;
    my $look = sub { my $now = metric('await_uploads_bytes'); $most = $now if $now > $most; return $now };
    my @slow = map {
        $look->() if $_ % 8 == 0;
        begin_request('POST', '/many', headers => { @ndjson, 'Content-Length' => length($sent) + 20 }, body => $sent);
    } 1 .. $clients;
    eventually('all that was sent is taken, and most of it is stored',
        sub { $look->(); sql('SELECT count(DISTINCT batch) FROM await.batch_stage WHERE n > 9500') == $clients }, 180);
    my $held = $look->();
    note "await_uploads_bytes: at most $most, at last $held";
    cmp_ok $most, '<', $clients * 300_000, 'less than 300 KB each, at any time';
    cmp_ok $held, '>', $clients * 10_000, 'which is counted';
    is metric('await_inflight_submissions'), $clients, 'they count as submissions in progress';
    $_->close for @slow;
    eventually('a client that leaves leaves nothing', sub { nothing() eq $before });
    eventually('all memory is given back', sub { metric('await_uploads_bytes') == 0 });
};

# was a bug: it stopped all submissions of an nginx worker until statement_timeout
subtest 'a transaction that does not end holds a batch' => sub {
    my $id = submitted('/one', [ map { { payload => $_ } } 1 .. 3 ]);
    my ($job) = map { $_->{id} } @{ document($id)->{jobs} };
    claim($job, queue => 'solo');
    my $worker = Await::Session->new(stack()->postgres);
    $worker->run('BEGIN');
    is $worker->run("SELECT await.complete('$job', test.receipt('$job'), 'x')"), 't', 'a worker ends a job, and stays';
    my $add = begin_request('POST', "/add/$id", body => 'x');
    my $began = time;
    is post('/jobs', 'x')->{status}, 202, 'another submission';
    cmp_ok time - $began, '<', 8, 'does not wait for that transaction, which would be 10 s';
    my $r = $add->response;
    is $r->{status}, 409, 'what is added to this batch is refused';
    ok header($r, 'Retry-After'), 'for now';
    $worker->run('COMMIT');
    is post("/add/$id", 'x')->{status}, 202, 'after the transaction it is taken';
};

subtest 'who may see and add' => sub {
    my $r = batch('/mine?who=ann', [ { payload => 1 } ]);
    my $id = json($r)->{id};
    is get("/mine/$id?who=ann")->{status}, 200, 'its owner reads it';
    my $unknown = $id =~ s/.$/$& eq '0' ? '1' : '0'/er;
    for my $method (qw(GET DELETE POST)) {
        my ($foreign, $none) = map { request($method, "/mine/$_?who=bob", $method eq 'POST' ? (body => 'x') : ()) } $id,
            $unknown;
        is $foreign->{status}, 404, "$method by another: 404";
        my ($one, $other) = map { s/$id|$unknown/ID/gr =~ s/"request_id":"[^"]+"//r } $foreign->{body}, $none->{body};
        is $one, $other, "$method of another's is as of an unknown one";
    }
    is sql("SELECT count(*) FROM await.job WHERE batch = '$id'"), 1, 'nothing was added';
    is post("/mine/$id?who=ann", 'x')->{status}, 202, 'its owner adds to it';
    is sql("SELECT string_agg(owner, ',') FROM await.job WHERE batch = '$id'"), 'ann,ann', 'the jobs are the owner\'s';
    my $job = json($r)->{jobs}[0]{id};
    is get("/batches/$job")->{status}, 404, 'the id of a job is not that of a batch';
    is get("/jobs/$id")->{status}, 404, 'nor the reverse';
    is post("/add/$job?phase=cj", 'x')->{status}, 404, 'and nothing is added to a job';
    is post("/add/$id?phase=cj", 'x')->{status}, 400, 'to a batch without phases nothing with a phase';
    my $phased = submitted('/batches', [ { queue => 'cj', payload => 1 } ]);
    is post("/add/$phased?phase=none", 'x')->{status}, 400, 'nor to an unknown phase';
    is post("/add/$phased", 'x')->{status}, 400, 'nor without one';
    my @keyed = map { post("/add/$phased?phase=cj", 'x', 'Idempotency-Key' => 'add-1') } 1, 2;
    is json($keyed[1])->{id}, json($keyed[0])->{id}, 'a job is added once for a key';
    is post("/add/$phased?phase=cj", 'y', 'Idempotency-Key' => 'add-1')->{status}, 422,
        'another one under the key: 422';
    is post("/add/$phased?phase=none", 'x', 'Idempotency-Key' => 'add-2')->{status}, 400, 'what is refused';
    is post("/add/$phased?phase=cj", 'x', 'Idempotency-Key' => 'add-2')->{status}, 202, 'takes no key';
    my $large = 'z' x 200_000;
    is post("/add/$phased?phase=cj", $large)->{status}, 202, 'a large payload is added, too';
    is get("/batches/$_")->{status}, 404, "no batch: $_" for 'x', 'ffffffff-ffff-8fff-bfff-ffffffffffff';
    my $old = '01000000-0000-8000-8000-000000000000';
    is get("/batches/$old")->{status}, 410, 'past its retention: 410';
};

finish();
