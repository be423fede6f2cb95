# await-worker --http: a job becomes a request to a back end, and its answer the result. Each way in which a back end
# can answer badly has its clear outcome, and nothing stalls.

use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Backend qw(start_backend requests);
use Await::Test;
use Encode qw(encode_utf8);
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(extra => <<'CONF');
    location = /large { client_max_body_size 2g; await_job_uri /jobs/$await_id; await_submit large; }
    location = /lost { await_job_uri /jobs/$await_id; await_submit lost; }
CONF
sql(
    "INSERT INTO await.queue (name, backoff_min, backoff_max, max_attempts, named)
     SELECT q, '100 ms', '100 ms', 2, true FROM unnest(ARRAY['http', 'lost', 'other', 'short', 'held']) q"
);
my $port = start_backend('backend');
my $url = "http://127.0.0.1:$port";
sub worker {
    my ($name, $queue, @more) = @_;
    return $s->start_worker($name, '--queue', $queue, '--concurrency', 8, '--http', @more);
}
sub worker_log { my ($name) = @_; return slurp("$s->{dir}/logs/$name.log") }

# Submits a job whose params are this JSON.
sub play {
    my ($params, %o) = @_;
    my $queue = $o{queue} // 'http';
    $params =~ s/'/''/g;
    return sql(
        "SELECT await.submit('$queue', '@{[ $o{body} // 'a body' ]}', 'text/css',
        '{\"params\": $params @{[ $o{options} // '' ]}}')"
    );
}
sub play_uri { my ($uri, %o) = @_; return play(qq({"method": "POST", "uri": "$uri"}), %o) }
sub ending { my ($id) = @_; return json(get("/jobs/$id?wait=20")) }

worker('w1', 'http', "$url/base");
worker('w4', 'short', $url, '--http-timeout', '1s', '--http-max-result', 2, '--lease', '1s');
worker('w5', 'held', $url, '--lease', '1s');

# What takes seconds begins now, and is looked at later.
my %late = (
    (map { $_ => play_uri("/flaky/$_") } 429, 503),
    slow => play_uri('/slow/2', queue => 'held'),
    (map { $_ => play_uri("/$_", queue => 'short') }
        qw(hang stuck/404 stuck/503 endless large/200 large/404 large/503)));

# The seconds from the first attempt of one of these to the second.
sub pause_before_second {
    my ($name) = @_;
    return sql(
        "SELECT extract(epoch FROM max(e.at) - min(e.at)) FROM await.event e
        WHERE e.job = '$late{$name}' AND e.type = 'processing'"
    );
}

subtest 'the request is that of the job, the answer its result' => sub {
    my $trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    my $id = play(
        '{"method": "PUT", "uri": "/echo/x?y=%20z", "headers": {"x-mine": "1", "Host": "evil", "Connection": "x",
          "Content-Length": "99", "Idempotency-Key": "theirs", "X-Await-Attempt": "7"}}',
        options => qq(, "correlation_id": "c1", "trace": "$trace")
    );
    is ending($id)->{state}, 'completed', 'the job is completed';
    my $r = get("/jobs/$id/result");
    is_deeply [ $r->{status}, header($r, 'Content-Type') ], [ 200, 'text/plain;charset=utf-8' ], 'status and type';
    is $r->{body}, <<"TEXT" . "\na body", 'what was sent, and nothing else';
PUT /base/echo/x?y=%20z
accept-encoding: identity
content-length: 6
content-type: text/css
host: 127.0.0.1:$port
idempotency-key: "$id"
traceparent: $trace
user-agent: await-worker
x-await-attempt: 1
x-await-job: $id
x-await-queue: http
x-correlation-id: c1
x-mine: 1
x-request-id: c1
TEXT
    $id = play('{"method": "GET", "uri": "/echo"}', body => '');
    ending($id);
    unlike get("/jobs/$id/result")->{body}, qr/content-(?:length|type)/, 'a GET has no body';
    $id = sql("SELECT await.submit('http', 'x', 'text/css')");
    ending($id);
    like get("/jobs/$id/result")->{body}, qr{^POST /base\n}, 'without params it is a POST to the URL of the worker';
};

subtest 'answers that are results' => sub {
    my @cases = (
        [ '/named', 201, 'image/png', 'bytes', "inline; filename=\"_ a.png\"" ],
        [ '/status/203', 203, 'text/plain', 'why 203' ],
        [ '/status/202', 200, 'text/plain', 'why 202' ],
        [ '/bare/204', 200, 'application/octet-stream', '' ],
        [ '/bare/205', 200, 'application/octet-stream', '' ],
        [ '/trailers', 200, 'text/plain', 'abc' ],
        [ '/headers/100', 200, 'text/plain', 'ok' ],
    );
    my %id = map { $_->[0] => play_uri($_->[0]) } @cases;
    for my $case (@cases) {
        my ($uri, $status, $type, $body) = @$case;
        is ending($id{$uri})->{state}, 'completed', "$uri: completed";
        my $r = get("/jobs/$id{$uri}/result");
        is_deeply [ $r->{status}, header($r, 'Content-Type'), $r->{body} ], [ $status, $type, $body ],
            "$uri: $status $type";
    }
    like header(get("/jobs/$id{'/named'}/result"), 'Content-Disposition'), qr/filename\*=UTF-8''%C3%BC%20a\.png/,
        'the file name is that of Content-Disposition';
};

subtest 'answers that fail the job for good' => sub {
    my @cases = (
        [ '/status/400', 400, qr/^The back end answered 400/, qr/^why 400$/ ],
        [ '/problem/409', 409, qr/^Low$/, undef, balance => 100 ],
        [ '/page', 404, qr/^The back end answered 404/, qr/^It gave no reason/ ],
        [ '/poison', 422, qr/^\x{fffd}$/ ],
        [ '/deep', 422, qr/^Low$/, qr/^Why\. Left out, as .*: errors, n\.$/, balance => 7 ],
        [ '/bare/206', 206, qr/answered 206/, qr/a part/ ],
        [ '/bare/304', 304, qr/answered 304/, qr/condition/ ],
        [ '/redirect/301', 301, qr/answered 301/, qr/redirects/ ],
        [ '/redirect/307', 307, qr/answered 307/, qr/redirects/ ],
        [ '/coded', 200, qr/answered 200/, qr/Content-Encoding/ ],
        [ '/headers/2000', undef, qr/too large/, qr/limit/ ],
    );
    my %id = map { $_->[0] => play_uri($_->[0]) } @cases;
    for my $case (@cases) {
        my ($uri, $status, $title, $detail, $member, $value) = @$case;
        my $job = ending($id{$uri});
        is_deeply [ @$job{qw(state attempt)} ], [ 'failed', 1 ], "$uri: failed, at its first attempt";
        is $job->{error}{backend_status}, $status, "$uri: the status of the back end";
        like $job->{error}{title}, $title, "$uri: the title";
        like $job->{error}{detail}, $detail, "$uri: the detail" if $detail;
        is $job->{error}{$member}, $value, "$uri: the member $member" if $member;
    }
    is scalar requests('backend', 'followed'), 0, 'no redirect was followed';
};

subtest 'answers after which there is another attempt' => sub {
    my %title = (
        '/status/500' => qr/answered 500/,
        '/status/503' => qr/answered 503/,
        '/status/408' => qr/answered 408/,
        '/problem/502' => qr/^Low$/,
        '/half' => qr/did not answer$/,
        '/halfhead' => qr/did not answer$/,
        '/nothing' => qr/did not answer$/,
        '/garbage' => qr/did not answer$/,
        '/zipped' => qr/did not answer$/,
        '/bare/101' => qr/did not answer$/,
    );
    my %id = map { $_ => play_uri($_) } keys %title;
    for my $uri (sort keys %title) {
        my $job = ending($id{$uri});
        is_deeply [ @$job{qw(state attempt)} ], [ 'failed', 2 ], "$uri: failed, after two attempts";
        like $job->{error}{title}, $title{$uri}, "$uri: the title";
        is scalar requests('backend', "/base$uri\$"), 2, "$uri: it was asked twice";
    }
};

subtest 'Retry-After is heeded' => sub {
    for my $status (429, 503) {
        is_deeply [ @{ ending($late{$status}) }{qw(state attempt)} ], [ 'completed', 2 ],
            "$status: completed by the second attempt";
        cmp_ok pause_before_second($status), '>', 1, "$status: a second later, not by the back-off of the queue";
    }
};

subtest 'an answer that comes before the body was sent' => sub {
    my $id = id_of(request('POST', '/large', body => 'x' x 3_000_000, headers => {}));
    worker('w2', 'large', "$url/early", '--lease', '2s');
    my $job = ending($id);
    is_deeply [ @$job{qw(state attempt)} ], [ 'failed', 1 ], '413 to a body of 3 MB: it has failed';
    is $job->{error}{backend_status}, 413, 'with the status of the back end';
    $s->end('w2', 'TERM', 10);
    worker('w2', 'deaf', $url, '--lease', '2s', '--http-timeout', '15s');
    my %id = map {
        my $params = qq({"params": {"uri": "/deaf/$_"}, "max_attempts": 1});
        $_ => sql("SELECT await.submit('deaf', convert_to(repeat('x', 20000000), 'UTF8'), 'text/css', '$params')")
    } 200, 201, 302, 404, 503;
    for my $status (sort keys %id) {
        $job = ending($id{$status});
        is $job->{state}, $status < 300 ? 'completed' : 'failed', "$status to a body that nobody reads: $job->{state}";
        is $job->{error}{detail} // get("/jobs/$id{$status}/result")->{body}, 'early', 'with its answer';
    }
    is scalar requests('backend', '/deaf/'), 5, 'and nothing was sent twice';
    $s->end('w2', 'TERM', 10);
};

subtest 'bodies of both directions are streamed' => sub {
    my $mb = $ENV{AWAIT_LARGE_MB} // 16;
    worker('w3', 'large', "$url/mirror");
    my $pid = $s->pid('w3');
    my $id = id_of(request('POST', '/large', body => 'x' x ($mb << 20), timeout => 300));
    ok until_true('completed', sub { json(get("/jobs/$id"))->{state} eq 'completed' }, 280), "$mb MB there and back";
    is json(get("/jobs/$id"))->{result}{size}, $mb << 20, 'the result has all bytes';
    cmp_ok memory_kb($pid, 'VmHWM'), '<', $ENV{AWAIT_ASAN} ? 400_000 : 24_000, 'in little memory';
    $s->end('w3', 'TERM', 10);
};

subtest 'limits of time and size' => sub {
    my $job = ending($late{endless});
    is_deeply [ @$job{qw(state attempt)} ], [ 'failed', 1 ], 'an endless answer: failed for good';
    like $job->{error}{title}, qr/too large/, 'as it is too large';
    $job = ending($late{'large/200'});
    is_deeply [ @$job{qw(state attempt)} ], [ 'failed', 1 ], 'a result that says it is too large: failed for good';
    like $job->{error}{title}, qr/too large/, 'as it is too large';
    for my $case ([ 404, 1 ], [ 503, 2 ]) {
        my ($status, $attempts) = @$case;
        $job = ending($late{"large/$status"});
        is_deeply [ @$job{qw(state attempt)} ], [ 'failed', $attempts ], "$status with as much: as any $status";
        is $job->{error}{backend_status}, $status, "$status: and says so";
    }
    $job = ending($late{hang});
    is_deeply [ @$job{qw(state attempt)} ], [ 'failed', 2 ], 'a back end that hangs: failed, after two attempts';
    like $job->{error}{title}, qr/did not answer in time/, 'by the time-out';
    $job = ending($late{'stuck/404'});
    is_deeply [ $job->{attempt}, $job->{error}{backend_status} ], [ 1, 404 ], 'a 404 whose body hangs: as any 404';
    is_deeply [ @{ ending($late{'stuck/503'}) }{qw(state attempt)} ], [ 'completed', 2 ], 'a 503 whose body hangs';
    cmp_ok pause_before_second('stuck/503'), '>=', 2.9, 'its Retry-After is heeded, from the time-out on';
};

subtest 'the lease is kept, and a cancel ends the request' => sub {
    is_deeply [ @{ ending($late{slow}) }{qw(state attempt)} ], [ 'completed', 1 ], 'two seconds under a lease of one';
    my $asked = requests('backend', '^POST /hang$');
    my $id = play_uri('/hang', queue => 'held');
    eventually('the request is with the back end', sub { requests('backend', '^POST /hang$') > $asked });
    del("/jobs/$id");
    is json(get("/jobs/$id"))->{state}, 'cancelled', 'the job is cancelled';
    eventually('the log says so',
        sub { worker_log('w5') =~ /\Q$id\E attempt 1: ending the request: the job was cancelled/ });
    $id = play_uri('/hang', queue => 'held');
    eventually('another one is with the back end', sub { requests('backend', '^POST /hang$') > $asked + 1 });
    kill TERM => $s->pid('w5');
    eventually('it drains', sub { worker_log('w5') =~ /draining/ });
    kill TERM => $s->pid('w5');
    eventually('a second SIGTERM gives the job back', sub { json(get("/jobs/$id"))->{state} eq 'pending' });
    is json(get("/jobs/$id"))->{attempt}, 0, 'without using up the attempt';
};

subtest 'a back end that is away uses up no attempts' => sub {
    my $other = Await::Stack::free_port();
    worker('w6', 'lost', "http://127.0.0.1:$other");
    my @ids = map { one_job('/lost') } 1 .. 3;
    eventually('the log says that it is away',
        sub { worker_log('w6') =~ /cannot connect to the back end http:\/\/127/ });
    eventually(
        'all jobs wait',
        sub {
            sql(
                "SELECT count(*) FROM await.lease l JOIN await.job j ON j.id = l.job
        JOIN await.queue q ON q.id = j.queue AND q.name = 'lost'"
            ) == 0;
        });
    my $claims = () = worker_log('w6') =~ /: started/g;
    one_job('/lost');
    start_backend('late', $other);
    is ending($_)->{state}, 'completed', 'a job of the time before is completed' for @ids;
    is json(get("/jobs/$_"))->{attempt}, 1, 'at its first attempt' for @ids;
    like worker_log('w6'), qr/answers again/, 'the log says that it answers again';
    cmp_ok $claims, '<=', 12, 'few claims were made while it was away';
    $s->end('late', 'TERM', 5);
    my $id = one_job('/lost');
    eventually('it is away again', sub { (() = worker_log('w6') =~ /cannot connect/g) > 1 });
    start_backend('late', $other);
    is ending($id)->{state}, 'completed', 'and back again';
};

subtest 'jobs choose among the back ends that the command line names' => sub {
    my $second = start_backend('second');
    worker('w7', 'other', $url, '--http-allow', "HTTP://127.0.0.1:$second/sub/");
    my $id = play(qq({"origin": "http://127.0.0.1:$second", "uri": "/echo"}), queue => 'other');
    ending($id);
    like get("/jobs/$id/result")->{body}, qr{^POST /sub/echo\n}, 'one that is allowed, with its path';
    my @hostile = (
        '{"origin": "http://127.0.0.1:1"}',
        '{"origin": "http://169.254.169.254"}',
        '{"origin": "file:///etc/passwd"}',
        '{"origin": 1}',
        '{"uri": "//x/../y"}',
        '{"uri": "/%2e%2e/x"}',
        '{"uri": "@127.0.0.1:1/"}',
        '{"method": "TRACE"}',
        '{"method": "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"}',
        '{"headers": {"X": "a\r\nY: b"}}',
        '{"headers": 1}',
        '[1]'
    );
    my @ids = map { play($_, queue => 'other') } @hostile;
    for my $i (0 .. $#hostile) {
        my $job = ending($ids[$i]);
        is_deeply [ @$job{qw(state attempt)}, $job->{error}{title} ], [ 'failed', 1, 'The request cannot be sent' ],
            "$hostile[$i]: failed";
    }
    is scalar requests('backend', '^POST /?$'), 0, 'nothing was sent';
    like worker_log('w7'), qr/http:\/\/169\.254\.169\.254 is not one that --http or --http-allow names/,
        'the log says why';
};

subtest 'the command line' => sub {
    my @cases = (
        [ [], qr/a command is required, or --http/ ],
        [ [qw(--http ftp://x)], qr/is not a URL such as http/ ],
        [ [qw(--http http://u:secret@x)], qr/is not a URL such as http/ ],
        [ [qw(--http http://x -- cat)], qr/excludes/ ],
        [ [qw(--http http://x --status 201)], qr/excludes/ ],
        [ [qw(--http-allow http://x -- cat)], qr/requires --http/ ],
        [ [qw(--http-timeout 1s -- cat)], qr/requires --http/ ],
        [ [qw(--http http://x --http-timeout soon)], qr/is not a time/ ],
        [ [qw(--http http://x --http-max-result 0)], qr/range/ ],
    );
    for my $case (@cases) {
        my ($arguments, $message) = @$case;
        my $out = `AWAIT_POSTGRES=dbname=x $s->{worker} --queue q @$arguments 2>&1`;
        ok $?, "@$arguments: an error";
        like $out, $message, "@$arguments: it says what";
        unlike $out, qr/secret/, "@$arguments: without a password";
    }
};

finish();
