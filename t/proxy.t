# await_proxy: a whole request becomes a job, which await-worker --http plays to a back end. With Prefer: wait, what it
# answers is the answer to the request.

use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Backend qw(start_backend requests);
use Await::Http1;
use Await::Http2;
use Await::Test;
use Test::More;

my $h2_port = do { require Await::Stack; Await::Stack::free_port() };
my $port = do { require Await::Stack; Await::Stack::free_port() };
my $url = "http://127.0.0.1:$port";
my $bare = <<"CONF";
server {
    listen 127.0.0.1:$h2_port http2;
    location /legacy/ {
        await_job_uri /jobs/\$await_id; await_submit legacy max_attempts=1; await_proxy $url headers=X-Tenant;
    }
    location /plain/ { await_job_uri /jobs/\$await_id; await_submit legacy; await_proxy $url; }
}
CONF
my $s = start_stack(http => $bare, extra => <<"CONF");
    error_page 400 413 \@problem;
    location /legacy/ {
        await_job_uri /jobs/\$await_id; await_result_uri /jobs/\$await_id/result;
        await_submit legacy max_attempts=1;
        await_proxy $url methods=POST,PUT,PATCH,DELETE headers=X-Tenant,If-Match;
    }
    location /plain/ { await_job_uri /jobs/\$await_id; await_submit legacy; await_proxy $url; }
    location = / { await_job_uri /jobs/\$await_id; await_submit legacy; await_proxy $url; }
    location = /fixed { await_job_uri /jobs/\$await_id; await_submit legacy; await_proxy $url/echo?q=\$arg_q; }
    location = /chosen {
        await_job_uri /jobs/\$await_id; await_submit legacy;
        await_proxy $url/status/400;
        if (\$arg_ok) { await_proxy $url/status/200; await_submit legacy; }
    }
    location /tree { await legacy; await_proxy $url/echo; }
    location /cookies/ {
        await_job_uri /jobs/\$await_id; await_submit legacy; await_proxy $url headers=Cookie,X-Tenant;
    }
    location = /elsewhere { await_job_uri /jobs/\$await_id; await_submit legacy; await_proxy http://127.0.0.1:1; }
    location = /nobody { await_job_uri /jobs/\$await_id; await_submit nobody; await_proxy $url; }
CONF
start_backend('backend', $port);
$s->start_worker('w1', '--queue', 'legacy', '--concurrency', 4, '--http', $url);
my @WAIT = (Prefer => 'wait=20');
sub jobs { return sql('SELECT count(*) FROM await.job') }

subtest 'a request that waits gets the answer of the back end' => sub {
    my $r = post(
        '/legacy/echo/a%20b?x=%2F&y', 'the body', @WAIT,
        'Content-Type' => 'text/css',
        'X-Tenant' => 't1',
        Accept => 'text/plain',
        Cookie => 'secret',
        Authorization => 'secret'
    );
    is $r->{status}, 200, 'its status';
    is header($r, 'Content-Type'), 'text/plain;charset=utf-8', 'its type';
    like $r->{body}, qr{^POST /legacy/echo/a%20b\?x=%2F&y\n}, 'method, path and arguments are those of the client';
    like $r->{body}, qr/\n\nthe body$/, 'and so is the body';
    like post('/legacy/echo?' . "\xc3\xa4" x 3000, '', @WAIT)->{body}, qr{^POST /legacy/echo[?](?:%C3%A4){3000}\n},
        'of arguments that are three times as long when they are encoded, all';
    like $r->{body}, qr/^\Q$_\E$/m, "it was sent $_" for 'x-tenant: t1', 'accept: text/plain', 'content-type: text/css';
    unlike $r->{body}, qr/secret/, 'headers that are not named were not sent';
    my ($id) = header($r, 'Link') =~ m{/jobs/([0-9a-f-]+)};
    like $r->{body}, qr/idempotency-key: "\Q$id\E"/, 'with the id of the job as the key';
    is_deeply json(get("/jobs/$id"))->{params},
        {
        origin => $url,
        method => 'POST',
        uri => '/legacy/echo/a%20b?x=%2F&y',
        headers => { accept => 'text/plain', 'x-tenant' => 't1' }
        },
        'what was recorded';
    is post('/legacy/named', '', @WAIT)->{status}, 201, 'a status of its own';
};

subtest 'a request that does not wait gets 202' => sub {
    my $r = post('/legacy/slow/1', 'x');
    is $r->{status}, 202, 'at once';
    like header($r, 'Location'), qr{^/jobs/}, 'with the URL of the job';
    is json(get(header($r, 'Location') . '?wait=20'))->{state}, 'completed', 'which ends';
    is get(header($r, 'Location') . '/result')->{body}, 'late', 'with the answer as its result';
};

subtest 'methods' => sub {
    for my $method (qw(PUT PATCH DELETE)) {
        my $r = request($method, '/legacy/echo', body => 'b', headers => {@WAIT});
        is $r->{status}, 200, "$method: 200";
        like $r->{body}, qr{^$method /legacy/echo\n.*\n\nb$}s, "$method: with its body";
        my $refused = request($method, '/plain/echo', body => 'b', headers => {@WAIT});
        is $refused->{status}, 405, "$method where it is not named: 405";
        is header($refused, 'Allow'), 'POST, OPTIONS', "$method: Allow says what is";
    }
    is header(get('/legacy/echo'), 'Allow'), 'POST, PUT, PATCH, DELETE, OPTIONS', 'GET is not a job';
    is request('PUT', '/legacy/echo', body => 'x', headers => { Origin => 'http://evil.example' })->{status}, 403,
        'PUT from another site is refused, as POST is';
    is request('PUT', '/legacy/echo', body => 'x', headers => { @WAIT, 'If-Match' => '"v1"' })->{status}, 200,
        'If-Match is for the back end where it is named';
    is post('/plain/echo', 'x', 'If-Match' => '"v1"')->{status}, 412, 'and cannot be satisfied elsewhere';
};

subtest 'the back end refuses' => sub {
    my %status = (
        400 => 400,
        403 => 403,
        404 => 404,
        409 => 409,
        413 => 413,
        418 => 418,
        422 => 422,
        451 => 451,
        401 => 424,
        405 => 424,
        407 => 424,
        416 => 424,
        426 => 424,
        429 => 424,
        500 => 424,
        503 => 424,
        302 => 424
    );
    for my $status (sort keys %status) {
        my $r = post("/legacy/status/$status", 'x', @WAIT);
        is $r->{status}, $status{$status}, "$status: $status{$status}";
        is json($r)->{backend_status}, $status, "$status: in the problem";
        is json($r)->{status}, $status{$status}, "$status: which has the status of the answer";
    }
    my $r = post('/legacy/problem/409', 'x', @WAIT);
    is header($r, 'Content-Type'), 'application/problem+json', 'a problem of the back end';
    is_deeply [ @{ json($r) }{qw(type title balance)} ], [ 'https://x/low', 'Low', 100 ], 'with its members';
    my ($id) = header($r, 'Link') =~ m{/jobs/([0-9a-f-]+)};
    is get("/jobs/$id/result")->{status}, 424, 'the result of the job is as of any that failed';
};

subtest 'what is refused stores nothing' => sub {
    my $before = jobs();
    is post($_, 'x')->{status}, 400, "$_: 400"
        for '/legacy/a/../echo', '/legacy/%2e%2e/legacy/echo', '/legacy/./echo',
        '/legacy/..;/echo';
    for my $value ("\xff", "a\x01b") {
        my $r = post('/legacy/echo', 'x', 'X-Tenant' => $value);
        is $r->{status}, 400, 'a header with odd bytes: 400';
        like json($r)->{detail}, qr/^The header x-tenant is not valid UTF-8/, 'which says so';
    }
    is post('/legacy/echo', '{', 'Content-Type' => 'application/json')->{status}, 400, 'bad JSON: 400';
    is post('/legacy/echo', 'z', 'Content-Encoding' => 'gzip')->{status}, 415, 'a coding: 415';
    is jobs(), $before, 'nothing is stored';
};

subtest 'a URL with a path' => sub {
    like post('/fixed?q=a%20b&x=1', '', @WAIT)->{body}, qr{^POST /echo\?q=a%20b\n}, 'is what is requested';
    is post('/chosen?ok=1', '', @WAIT)->{status}, 200, 'in an "if" block';
    is post('/chosen', '', @WAIT)->{status}, 400, 'and outside of it';
};

subtest 'with "await"' => sub {
    my $r = post('/tree', 'b', @WAIT);
    like $r->{body}, qr{^POST /echo\n}, 'a submission is played';
    my ($id) = header($r, 'Link') =~ m{</tree/([0-9a-f-]+)>};
    is json(get("/tree/$id"))->{state}, 'completed', 'its job is below the path';
    my $batch = post(
        '/tree/batches',
        '{"jobs":[{"payload":1,"params":{"method":"DELETE","uri":"/secret"}}]}',
        'Content-Type' => 'application/json'
    );
    is $batch->{status}, 404, 'there are no batches, which could contain other requests';
    is post("/tree/batches/$id", 'x')->{status}, 405, 'and nothing to add to one';
    is scalar requests('backend', 'secret'), 0, 'nothing of the kind was sent';
    is post("/tree/$id/retry", '')->{status}, 202, 'a retry is the same request again';
};

subtest 'idempotency' => sub {
    my @key = ('Idempotency-Key' => '"k1"');
    my $first = post('/plain/echo/1', 'x', @WAIT, @key);
    my $again = post('/plain/echo/1', 'x', @WAIT, @key);
    is $again->{body}, $first->{body}, 'the same request: the same answer';
    is scalar requests('backend', '/plain/echo/1'), 1, 'the back end was asked once';
    is post('/plain/echo/2', 'x', @key)->{status}, 422, 'another path with the same key: 422';
};

subtest 'what could be understood in two ways' => sub {
    my $before = jobs();
    my $raw = sub {
        my ($head, $body) = @_;
        my $connection = Await::Http1->new(port => $s->{port});
        $connection->send(join("\r\n", @$head, '', '') . ($body // ''));
        my $answer = $connection->answer(10);
        return $answer ? $answer->{status} : 'none';
    };
    my $smuggled = "0\r\n\r\nPOST /legacy/smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    my $post = 'POST /legacy/echo HTTP/1.1';
    for my $case (
        [ 'two framings', [ $post, 'Host: x', 'Content-Length: 6', 'Transfer-Encoding: chunked' ] ],
        [ 'two lengths', [ $post, 'Host: x', 'Content-Length: 0', 'Content-Length: ' . length $smuggled ] ],
        [ 'a length that is none', [ $post, 'Host: x', 'Content-Length: +5' ] ],
        [ 'a coding that is none', [ $post, 'Host: x', 'Transfer-Encoding: xchunked' ] ],
        [ 'a coding behind another', [ $post, 'Host: x', 'Transfer-Encoding: chunked, identity' ] ],
        [ 'a folded header', [ $post, 'Host: x', 'X-Tenant: a', ' Transfer-Encoding: chunked', 'Content-Length: 0' ] ],
        [ 'a space before the colon', [ $post, 'Host: x', 'Content-Length : 5' ] ],
        [ 'two hosts', [ $post, 'Host: x', 'Host: y', 'Content-Length: 0' ] ],
        [ 'no host', [ $post, 'Content-Length: 0' ] ])
    {
        my ($name, $head) = @$case;
        like $raw->($head, $smuggled), qr/^(?:400|501)$/, "$name: refused";
    }
    is jobs(), $before, 'nothing of that is stored';
    is scalar requests('backend', 'smuggled'), 0, 'and nothing was hidden in a body';
    is $raw->([
            'POST http://evil.example/legacy/echo/absolute?a=b HTTP/1.1',
            'Host: x',
            'Prefer: wait=20',
            'Content-Length: 0'
        ]
        ),
        200, 'the host of an absolute URI';
    is $raw->([ 'POST http://evil.example?a=b HTTP/1.1', 'Host: x', 'Prefer: wait=20', 'Content-Length: 0' ]), 200,
        'nor is that of one without a path';
    is scalar requests('backend', '^POST /\\?a=b$'), 1, 'which becomes /';
    is scalar requests('backend', '^POST /legacy/echo/absolute\\?a=b$'), 1, 'is not passed on';
    my $r = post(
        '/legacy/echo', 'x', @WAIT,
        Connection => 'close, X-Tenant',
        'X-Tenant' => "a\tb",
        Te => 'trailers',
        'Proxy-Authorization' => 'secret',
        'Keep-Alive' => 'timeout=5'
    );
    unlike $r->{body}, qr/^(?:connection|te|keep-alive|proxy)/m, 'headers of the connection are not passed on';
    unlike $r->{body}, qr/^x-tenant/m, 'nor is one that Connection names';
    like $r->{body}, qr/^host: 127\.0\.0\.1:$port$/m, 'the host is that of the back end';
};

subtest 'headers in several lines' => sub {
    my @lines = ([ Prefer => 'wait=20' ], map { ([ Cookie => "c$_=$_" ], [ 'X-Tenant' => "t$_" ]) } 1 .. 3);
    my $r = Await::Http1->new(port => $s->{port})
        ->send(Await::Http1::head('POST', '/cookies/echo', \@lines, body => 'x') . 'x')->answer(20);
    like $r->{body}, qr/^cookie: c1=1; c2=2; c3=3$/m, 'cookies become the one line that they are';
    like $r->{body}, qr/^x-tenant: t1, t2, t3$/m, 'others a list';
};

subtest 'HTTP/2' => sub {
    my $h2 = Await::Http2->new(port => $h2_port);
    my $r = $h2->request(
        'POST', '/legacy/echo/h2?x=1',
        body => 'over h2',
        timeout => 20,
        headers => [ [ prefer => 'wait=20' ], [ 'x-tenant' => 't2' ], [ cookie => 'secret' ] ]);
    is $r->{status}, 200, 'a request is played';
    like $r->{body}, qr{^POST /legacy/echo/h2\?x=1\n.*^x-tenant: t2\n(?:.*\n)?\nover h2$}ms,
        'with its headers and body';
    unlike $r->{body}, qr/secret/, 'and no others';
    my $refused = $h2->request('POST', '/legacy/a/../echo', body => 'x', timeout => 20);
    is $refused->{status}, 400, 'one that cannot be recorded is refused';
    is $h2->request(
        'POST', '/plain/status/409',
        body => 'x',
        timeout => 20,
        headers => [ [ prefer => 'wait=20' ] ])->{status}, 409, 'and the back end refuses, without error_page';
};

subtest 'a back end that is away for a while' => sub {
    $s->end('backend', 'TERM', 5);
    my $r = post('/plain/echo/later', 'x', Prefer => 'wait=1');
    is $r->{status}, 202, 'the job waits';
    my $job = header($r, 'Location');
    is json(get($job))->{attempt}, 0, 'and uses up no attempt';
    start_backend('backend', $port);
    is json(get("$job?wait=20"))->{state}, 'completed', 'when the back end is there again, it is played';
    is json(get($job))->{attempt}, 1, 'by the first attempt';
};

subtest 'what the worker does not serve' => sub {
    my $r = post('/elsewhere', 'x', @WAIT);
    is $r->{status}, 424, 'another back end than that of the worker: the job fails';
    is json($r)->{title}, 'The request cannot be sent', 'and says so';
    is post('/nobody', 'x', Prefer => 'wait=1')->{status}, 202, 'without a worker: 202 when the wait is over';
};

finish();
