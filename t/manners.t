# What clients of other people's make expect: request ids, forms without scripts, submit and stream in one request,
# types guessed from file names.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use JSON::PP;
use Test::More;

my $h2 = Await::Stack::free_port();
my $upstream = Await::Stack::free_port();
my $http = <<'HTTP' =~ s/\$\{UPSTREAM\}/$upstream/gr;
log_format ids '$request_id $await_request_id "$request" $status';
server { listen 127.0.0.1:${UPSTREAM}; location / { add_header X-Request-Id theirs; return 200 legacy; } }
map $http_x_request_id $their_id { default $http_x_request_id; }
HTTP
my $stack = start_stack(http => $http, site => <<'CONF' =~ s/\$\{H2\}/$h2/gr =~ s/\$\{UPSTREAM\}/$upstream/gr);
await_reread 1h;
server {
    listen 127.0.0.1:${PORT};
    listen 127.0.0.1:${H2} http2;
    access_log logs/ids.log ids;
    large_client_header_buffers 4 16k;
    error_page 404 405 413 429 500 503 @problem;
    location @problem { await_problem; }
    location /problems/ { await_problem; }
    location = /jobs { await_submit work; }
    location ~ ^/jobs/(?<id>[0-9a-fA-F-]+)$ { await_job $id; await_events job:$id; await_socket job:$id; }
    location ~ ^/jobs/(?<id>[0-9a-fA-F-]+)/result$ { await_result $id; }
    location ~ ^/jobs/(?<id>[0-9a-fA-F-]+)/events$ { await_events job:$id; await_socket job:$id; }
    location = /bare { error_page 599 /x; await_submit work; }
    location = /photos { await_job_uri /jobs/$await_id; types { image/jpeg jpg jpeg; application/json json; }
        await_submit photos file=image type=image/*,application/json; }
    location = /any { types { image/png png; } await_job_uri /jobs/$await_id; await_submit photos file=image; }
    location = /held { await_hold 1s; await_job_uri /jobs/$await_id; await_submit work; }
    location ~ ^/held/(?<id>[^/]+)$ { await_hold 1s; await_job $id; }
    location ~ ^/short/(?<id>[^/]+)$ { await_hold_max 1s; await_job $id; }
    location = /full { await_max_held 1; await_submit work; }
    location = /trusting { await_request_id $their_id; await_submit work; }
    location = /silent { await_request_id off; await_submit work; }
    location = /small { client_max_body_size 10; await_submit work; }
    location = /closed { return 404; }
    location = /static { error_page 400 /page.html; await_submit work; }
    location = /page.html { return 200 page; }
    location = /fallback { error_page 400 = @legacy; await_submit work; }
    location @legacy { proxy_pass http://127.0.0.1:${UPSTREAM}; }
    location = /ssi { ssi on; default_type text/html; return 200 '<!--# include virtual="/jobs/$arg_id" -->'; }
    location = /mirrored { mirror /copy; await_job_uri /jobs/$await_id; await_submit work; }
    location = /copy { internal; await_submit copies; }
    location = /plain { return 200 plain; }
    location = /metrics { await_metrics; }
    location = /cross { await_cors on; await_origins https://app.example; await_submit work; }
}
CONF

my @form = ('Content-Type' => 'application/x-www-form-urlencoded');
my @browser = (Accept => 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8');
my @stream = (Accept => 'text/event-stream');
sub types {
    my ($s) = @_;
    return [ map { $_->{event} } @{ $s->events } ];
}
sub logged { my ($id) = @_; return slurp("$stack->{dir}/logs/ids.log") =~ /\Q$id\E/ }

subtest 'X-Request-Id is on every answer, and nginx logs the same' => sub {
    my $id = one_job();
    my $done = one_job();
    claim($done);
    complete($done, 'x');
    my $failed = one_job();
    claim($failed);
    sql("SELECT await.fail('$failed', test.receipt('$failed'), '{\"title\":\"bad\",\"request_id\":\"theirs\"}', '-1 s')"
    );
    my $gone = '00000000-0001-7905-b3ad-942074197547';
    for my $case (
        [ 202, POST => '/jobs', body => 'x' ],
        [ 303, POST => '/jobs', body => 'a=1', headers => { @form, @browser } ],
        [ 200, GET => "/jobs/$id" ],
        [ 200, HEAD => "/jobs/$id" ],
        [ 200, GET => "/jobs/$id", headers => {@browser} ],
        [ 304, GET => "/jobs/$id", headers => { 'If-None-Match' => '"2-json"' } ],
        [ 200, GET => "/jobs/$id/events", headers => { Accept => 'application/json' } ],
        [ 200, GET => "/jobs/$done/events", headers => {@stream} ],
        [ 200, GET => "/jobs/$done/result" ],
        [ 202, GET => "/jobs/$id/result" ],
        [ 204, OPTIONS => '/jobs' ],
        [ 200, GET => '/metrics' ],
        [ 200, GET => '/problems/' ],
        [ 400, GET => "/jobs/$id?wait=x" ],
        [ 400, POST => '/jobs', body => '{', headers => { 'Content-Type' => 'application/json' } ],
        [ 404, GET => '/jobs/0' ],
        [ 404, GET => '/closed' ],
        [ 404, GET => '/nowhere' ],
        [ 405, PUT => '/jobs', body => 'x' ],
        [ 406, GET => "/jobs/$id", headers => { Accept => 'image/png' } ],
        [ 410, GET => "/jobs/$gone" ],
        [ 412, DELETE => "/jobs/$id", headers => { 'If-Match' => '"x"' } ],
        [ 413, POST => '/small', body => 'x' x 20 ],
        [ 424, GET => "/jobs/$failed/result" ],
        [ 503, GET => "/full", headers => {@stream} ],
        [
            403,
            POST => '/jobs',
            body => 'x',
            headers => { Origin => 'https://evil.example' }
        ],
        [
            204,
            OPTIONS => '/cross',
            headers => {
                Origin => 'https://app.example',
                'Access-Control-Request-Method' => 'POST'
            } ])
    {
        my ($status, $method, $path, %o) = @$case;
        ($status, $method, $o{body}) = (202, 'POST', 'x') if $path eq '/full';
        delete $o{headers} if $path eq '/full';
        my $name = "$method $path: $status";
        my $r = request($method, $path, %o);
        is $r->{status}, $status, "$name: the status";
        my $sent = header($r, 'X-Request-Id') // '';
        like $sent, qr/^[0-9a-f]{32}$/, "$name: it has an id";
        is json($r)->{request_id}, $sent, "$name: the problem has the same"
            if $status >= 400 && $method ne 'HEAD';
        ok until_true('logged', sub { logged("$sent $sent \"$method $path") }), "$name: the log has the same";
    }
    my $ws = Await::WebSocket->new($stack->{port}, "/jobs/$id/events");
    like $ws->{headers}{'x-request-id'}, qr/^[0-9a-f]{32}$/, 'a WebSocket has one';
    $ws->messages(2);
    my $s = begin_request('GET', "/jobs/$id", headers => {@stream});
    $s->wait_event('pending');
    my ($of_stream) = $s->{buffer} =~ /^X-Request-Id: (\S+)\r$/mi;
    eventually 'both are parked', sub { metric('await_parked') == 2 };
    $ws->close;
    complete($id, 'x', attempt => claim($id), hint => 1);
    $s->read_until(sub { 0 }, 5);
    my $of_socket = $ws->{headers}{'x-request-id'};
    ok until_true("logged $_", sub { logged("$_ $_ \"GET") }), 'it is the same when the connection was parked'
        for $of_socket, $of_stream;
    my $held = begin_request('GET', '/held/' . one_job());
    my $r = $held->response;
    ok until_true('logged', sub { logged(header($r, 'X-Request-Id') . ' ') }), 'and that of a long poll';
};

subtest 'whose id' => sub {
    my $ours = qr/^[0-9a-f]{32}$/;
    like header(post('/jobs', 'x', 'X-Request-Id' => 'mine'), 'X-Request-Id'), $ours, 'by default nginx\'s own';
    for my $good ('mine', 'A-Z_a.z:0=+/@9', 'x' x 128) {
        my $r = post('/trusting', 'x', 'X-Request-Id' => $good);
        is header($r, 'X-Request-Id'), $good, "await_request_id: the client's, " . substr $good, 0, 20;
        is json($r)->{correlation_id}, $good, 'the job has it as its correlation id';
        ok until_true('logged', sub { logged(" $good \"POST /trusting") }), '$await_request_id has it';
    }
    for my $bad (undef, '', ' ', 'x' x 129, 'x' x 8000, 'a b', 'a"b', "a\tb", "a\xff", '<b>', 'a,b', 'a;b', "a\x7f") {
        my $r = post('/trusting', 'x', defined $bad ? ('X-Request-Id' => $bad) : ());
        like header($r, 'X-Request-Id'), $ours,
            'one that is not well-formed is not taken: ' . substr($bad // 'none', 0, 10);
    }
    is json(request('PUT', '/trusting', body => 'x', headers => { 'X-Request-Id' => 'mine' }))->{request_id}, 'mine',
        'a problem that goes through error_page has it as well';
    my $off = post('/silent', '{', 'Content-Type' => 'application/json');
    is header($off, 'X-Request-Id'), undef, 'off: no header';
    ok !exists json($off)->{request_id}, 'off: no member';
    is header(post('/static', '{', 'Content-Type' => 'application/json'), 'X-Request-Id'), undef,
        'an error page of the site\'s own is the site\'s';
    is header(post('/fallback', '{', 'Content-Type' => 'application/json'), 'X-Request-Id'), 'theirs',
        'and so is the answer of an upstream behind error_page';
    is header(get($_), 'X-Request-Id'), undef, "a location without us has none: $_" for '/plain', '/page.html';
    my @lines = grep { /^x-request-id:/i } split /\r\n/, put('/jobs', 'x')->{head};
    is scalar(@lines), 1, 'it is sent once';
};

subtest 'bare Prefer: wait' => sub {
    my $id = one_job();
    my $held = begin_request('GET', "/jobs/$id", headers => { Prefer => 'wait' });
    ok $held->quiet(0.3), 'it is held';
    complete($id, 'x', attempt => claim($id), hint => 1);
    my $r = $held->response;
    is json($r)->{state}, 'completed', 'until the job has ended';
    is header($r, 'Preference-Applied'), 'wait=55', 'as long as await_hold_max';
    $id = one_job();
    is header(get("/held/$id", Prefer => 'wait'), 'Preference-Applied'), 'wait=1', 'or as await_hold';
    my %short = map { $_ => begin_request('GET', "/short/$id", headers => { Prefer => $_ }) } 'wait=""',
        'respond-async, wait', 'wait; x=1', 'wait=99999999999999999999';
    is header($short{$_}->response, 'Preference-Applied'), 'wait=1', $_ for sort keys %short;
    for my $wait ('wait=abc', 'wait=-1', 'wait=1.5', 'waits', 'wait="') {
        my $r = get("/short/$id", Prefer => $wait);
        is $r->{status}, 200, "$wait: it is no error";
        is header($r, 'Preference-Applied'), undef, "$wait: nothing is applied";
    }
    is get("/short/$id?wait=$_")->{status}, 400, "?wait=$_: 400" for 'abc', '-1', '1.5', '';
    is get("/short/$id?wait=99999999999999999999")->{status}, 200, '?wait= of any length is a number';
};

subtest 'a form that a browser sends without a script' => sub {
    for my $type (
        'application/x-www-form-urlencoded', 'text/plain',
        'multipart/form-data; boundary=b', 'Multipart/Form-Data;boundary=b'
        )
    {
        my $r = post('/jobs', 'a=1', 'Content-Type' => $type, @browser);
        is $r->{status}, 303, "$type: 303";
        is $r->{body}, '', "$type: no body";
        my $there = header($r, 'Location');
        like $there, qr{^/jobs/[0-9a-f-]{36}$}, "$type: to the job";
        is header($r, 'Cache-Control'), 'no-store', "$type: not stored";
        my $page = get($there, @browser);
        is header($page, 'Content-Type'), 'text/html; charset=utf-8', "$type: which is a page";
        like $page->{body}, qr/<h1>Job pending<\/h1>/, "$type: with the state";
    }
    is post('/jobs', 'a=1', @form, Accept => 'text/html')->{status}, 303, 'only text/html';
    for my $case (
        [ '*/*', @form ],
        [ 'application/json', @form ],
        [ 'application/json, text/html', @form ],
        [ 'text/html;q=0.5, */*', @form ],
        [ 'text/html', 'Content-Type' => 'application/json' ],
        ['text/html'],
        [ undef, @form ],
        [ 'image/png', @form ],
        [ 'text/html;q=0', @form ])
    {
        my ($accept, @headers) = @$case;
        my $r = post('/jobs', '[1]', @headers, defined $accept ? (Accept => $accept) : ());
        is $r->{status}, 202, 'a client that is none: ' . ($accept // 'no Accept') . " @headers";
        is header($r, 'Operation-Location'), header($r, 'Location'), 'its 202 has Operation-Location';
    }
    my $first = post('/jobs', 'a=1', @form, @browser, 'Idempotency-Key' => 'k1');
    my $again = post('/jobs', 'a=1', @form, @browser, 'Idempotency-Key' => 'k1');
    is header($again, 'Location'), header($first, 'Location'), 'sent twice it is one job';
    is header($again, 'Idempotency-Replayed'), 'true', 'and says so';
    my $held = begin_request('POST', '/jobs?wait=20', body => 'a=2', headers => { @form, @browser });
    ok until_true('a job', sub { sql("SELECT count(*) FROM await.job WHERE payload = 'a=2'") }),
        'with ?wait= it is held';
    my $id = sql("SELECT id FROM await.job WHERE payload = 'a=2'");
    complete($id, 'made', type => 'text/plain', attempt => claim($id), hint => 1);
    is $held->response->{body}, 'made', 'and answered with the result';
};

subtest 'the page of a job' => sub {
    my $id = one_job();
    my $r = get("/jobs/$id", @browser);
    like $r->{body}, qr/http-equiv="refresh"/, 'it reloads itself';
    like header($r, 'Content-Security-Policy'), qr/default-src 'none'/, 'it has no scripts';
    is header($r, 'ETag'), '"1-html"', 'its entity tag is its own';
    is get("/jobs/$id", @browser, 'If-None-Match' => '"1-html"')->{status}, 304, 'which is heeded';
    is get("/jobs/$id", Accept => 'text/html', 'If-None-Match' => '"1-json"')->{status}, 200, 'another one is not';
    is header(get("/jobs/$id", Accept => '*/*'), 'Content-Type'), 'application/json', 'scripts get JSON';
    is header(get("/jobs/$id", Accept => 'application/json, text/html'), 'Content-Type'), 'application/json',
        'and so do those that take both';
    is request('HEAD', "/jobs/$id", headers => {@browser})->{body}, '', 'HEAD has no body';
    claim($id);
    sql("SELECT await.fail('$id', test.receipt('$id'), '{\"title\":\"<script>alert(1)</script>&\\\"\"}', '-1 s')");
    hint($id);
    $r = get("/jobs/$id", @browser);
    unlike $r->{body}, qr/http-equiv|<script/, 'ended: it does not reload, and nothing of the worker is markup';
    like $r->{body}, qr/&lt;script&gt;/, 'it shows the error';
    my $upper = uc one_job();
    is get("/jobs/$upper")->{status}, 200, 'an id in upper case is the same id';
};

subtest 'types of files from their names' => sub {
    my $send = sub {
        my ($path, $name, $type) = @_;
        my ($body, $as) = multipart([ image => '{}', $name, $type ]);
        return post($path, $body, 'Content-Type' => $as);
    };
    my $type_of = sub { sql("SELECT content_type FROM await.job WHERE id = '" . id_of($_[0]) . "'") };
    for my $case (
        [ 'a.jpg', 'image/jpeg' ],
        [ 'A.JPG', 'image/jpeg' ],
        [ 'a.b.jpeg', 'image/jpeg' ],
        [ 'C:\\photos\\a.jpg', 'image/jpeg' ],
        [ '.jpg', 'image/jpeg' ],
        [ 'a.json', 'application/json' ])
    {
        my $r = $send->('/photos', $case->[0], undef);
        is $r->{status}, 202, "$case->[0]: is taken";
        is $type_of->($r), $case->[1], "$case->[0]: its type";
    }
    for my $name ('a.txt', 'a', 'a.', 'jpg', 'a.jpg.exe', '', 'a.' . 'x' x 200) {
        my $r = $send->('/photos', $name, undef);
        is $r->{status}, 415, "$name: is not";
        like json($r)->{detail}, qr/has no Content-Type.*send it with a Content-Type of image/, "$name: the remedy";
        is header($r, 'Accept-Post'), 'image/*, application/json', "$name: what is taken";
    }
    is $send->('/photos', 'a.jpg', 'text/plain')->{status}, 415, 'a type that is said counts';
    is $type_of->($send->('/any', 'a.png', undef)), 'image/png', 'where any type is taken as well';
    is $type_of->($send->('/any', 'a.xyz', undef)), 'application/octet-stream', 'a name that tells nothing';
    is $type_of->($send->('/any', 'a.png', 'text/plain')), 'text/plain', 'the client knows better';
    my ($body, $as) = multipart([ image => '{', 'a.json' ]);
    is post('/photos', $body, 'Content-Type' => $as)->{status}, 400, 'guessed JSON must be JSON';
};

subtest 'submit and stream in one request' => sub {
    my $s = begin_request('POST', '/jobs', body => 'live', headers => {@stream});
    ok $s->wait_event('pending'), 'the events come';
    my ($head) = split /\r\n\r\n/, $s->{buffer};
    like $head, qr{^HTTP/1.1 200 }, 'it is 200';
    like $head, qr{^Content-Type: text/event-stream\r$}mi, 'it is a stream';
    my ($there) = $head =~ /^Location: (\S+)\r$/mi;
    my ($id) = $there =~ m{^/jobs/([0-9a-f-]{36})$};
    ok $id, 'Location is the job';
    like $head, qr{^Content-Location: \Q$there\E/events\r$}mi, 'Content-Location is its events';
    like $head, qr{^Link: <\Q$there\E>; rel="status"\r$}mi, 'Link is the job';
    eventually 'it is parked', sub { metric('await_parked') >= 1 };
    complete($id, 'made', attempt => claim($id), hint => 1);
    $s->read_until(sub { 0 }, 5);
    is_deeply types($s), [qw(ready pending processing completed)], 'all events, then the end';

    my %key = (@stream, 'Idempotency-Key' => 'stream-1');
    $s = begin_request('POST', '/jobs?names=off', body => 'twice', headers => {%key});
    ok $s->read_until(sub { $_[0] =~ /pending/ }), 'with a key';
    my ($first) = $s->{buffer} =~ /^Location: (\S+)\r$/mi;
    my $cursor = $s->events->[1]{id};
    close $s->{socket};
    my $job = $first =~ s{.*/}{}r;
    complete($job, 'x', attempt => claim($job), hint => 1);
    is json(get($first))->{state}, 'completed', 'a client that leaves does not cancel';
    my $again = request('POST', '/jobs', body => 'twice', headers => { %key, 'Last-Event-ID' => $cursor });
    is header($again, 'Location'), $first, 'sent again it is the same job';
    is header($again, 'Idempotency-Replayed'), 'true', 'and says so';
    is_deeply [ $again->{body} =~ /^event: (.*)$/mg ], [qw(ready processing completed)], 'behind what the client has';
    is scalar(() = request('POST', '/jobs', body => 'twice', headers => {%key})->{body} =~ /^event: (?!ready)/mg), 3,
        'all of it, without Last-Event-ID';
    is request('POST', '/jobs', body => 'other', headers => {%key})->{status}, 422, 'another request with the key: 422';
    my $fresh = begin_request('POST', '/jobs', body => 'x', headers => { @stream, 'Last-Event-ID' => $cursor });
    ok $fresh->wait_event('pending'), 'a new job begins at its beginning, whatever cursor is sent';
    is_deeply types($fresh), [qw(ready pending)], 'without a reset';
    close $fresh->{socket};

    for my $case (
        [ 400, '/jobs', '{', 'Content-Type' => 'application/json' ],
        [ 413, '/small', 'x' x 20 ],
        [ 415, '/jobs', 'x', 'Content-Encoding' => 'gzip' ],
        [ 400, '/jobs?wait=x', 'x' ],
        [ 403, '/jobs', 'x', Origin => 'https://evil.example' ],
        [ 400, '/jobs', 'x', 'Idempotency-Key' => '"' ])
    {
        my ($status, $path, $body, %headers) = @$case;
        my $r = post($path, $body, @stream, %headers);
        is $r->{status}, $status, "a refusal is one: $status";
        is header($r, 'Content-Type'), 'application/problem+json', "$status: it is a problem";
    }
    my $hog = begin_request('POST', '/full', body => 'x', headers => {@stream});
    ok $hog->wait_event('pending'), 'the one that is held';
    my $before = sql('SELECT count(*) FROM await.job');
    is post('/full', 'x', @stream)->{status}, 503, 'no more are held: 503';
    is sql('SELECT count(*) FROM await.job'), $before, 'nothing is stored';
    close $hog->{socket};
    eventually 'it is gone', sub { metric('await_held') == 0 };
    my @many = map { begin_request('POST', '/full', body => 'x', headers => {@stream}) } 1 .. 8;
    for (@many) {
        $_->read_until(sub { $_[0] =~ /\r\n\r\n/ });
    }
    my %status;
    $status{ $_->{buffer} =~ m{^HTTP/1.1 (\d+)} ? $1 : 0 }++ for @many;
    is $status{200}, 1, 'of many at once one is held';
    is(($status{202} // 0) + ($status{503} // 0), 7, 'the others get the document, or nothing is stored');
    close $_->{socket} for @many;
    eventually 'all are gone', sub { metric('await_held') == 0 };

    my $first_of_two =
        begin_raw("POST /jobs HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Length: 1\r\n\r\nx"
            . "GET /jobs/0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    ok $first_of_two->wait_event('pending'), 'with another request behind it';
    ($id) = $first_of_two->{buffer} =~ m{^Location: /jobs/(\S+)\r$}mi;
    complete($id, 'x', attempt => claim($id), hint => 1);
    $first_of_two->read_until(sub { 0 }, 5);
    like $first_of_two->{buffer}, qr{event: completed.*\r\nHTTP/1\.1 404 }s, 'which is answered behind the stream';
    my $old = begin_raw("POST /jobs HTTP/1.0\r\nAccept: text/event-stream\r\nContent-Length: 1\r\n\r\nx");
    ok $old->wait_event('pending'), 'over HTTP/1.0';
    close $old->{socket};

    for my $accept ('application/json', '*/*', 'application/json, text/event-stream', 'text/event-stream;q=0.1, */*') {
        is post('/jobs', 'x', Accept => $accept)->{status}, 202, "no stream: $accept";
    }
    for my $accept ('text/event-stream, */*;q=0.1', 'text/event-stream;q=0.9, application/json;q=0.8') {
        my $t = begin_request('POST', '/jobs', body => 'x', headers => { Accept => $accept, Prefer => 'wait=1' });
        ok $t->wait_event('pending'), "a stream: $accept";
        close $t->{socket};
    }
};

subtest 'subrequests are answered without the wishes of the main request' => sub {
    my $id = one_job();
    is json(get("/ssi?id=$id", @browser))->{id}, $id, 'what SSI includes is JSON in a browser, too';
    my $s = begin_request('POST', '/mirrored', body => 'x', headers => {@stream});
    ok $s->wait_event('pending'), 'a stream whose request is mirrored';
    ok until_true(
        'stored',
        sub {
            sql(
                "SELECT count(*) FROM await.job j JOIN await.queue q ON q.id = j.queue
        WHERE q.name = 'copies'"
            ) == 1;
        }
        ),
        'the mirror is submitted as well';
    is metric('await_held'), 1, 'and does not stream';
    close $s->{socket};
};

subtest 'over HTTP/2' => sub {
    my $url = "http://127.0.0.1:$h2";
    my $curl = 'curl -s --http2-prior-knowledge --max-time 20';
    open my $out, '-|', "$curl -N -i -H 'Accept: text/event-stream' -d two $url/jobs" or die;
    my $seen = '';
    while ($seen !~ /event: pending\n/ && defined(my $line = readline $out)) { $seen .= $line }
    like $seen, qr{^HTTP/2 200}, 'submit and stream';
    like $seen, qr/^x-request-id: [0-9a-f]{32}\r$/m, 'with an id';
    my ($id) = $seen =~ m{^location: /jobs/(\S+)\r$}m;
    complete($id, 'x', attempt => claim($id), hint => 1);
    { local $/; $seen .= readline $out }
    like $seen, qr/event: completed\n/, 'to its end';
    close $out;
    like `$curl -i -H 'Accept: text/html' -d a=1 $url/jobs`, qr{^HTTP/2 303 }, 'a form';
    like `$curl -i $url/jobs/0`, qr{^x-request-id: (\S+)\r\n.*"request_id":"\1"}ms, 'a problem';
};

subtest 'words of refusals' => sub {
    my $id = one_job();
    like json(get("/jobs/$id", Accept => 'image/png'))->{detail}, qr{text/event-stream},
        '406 names all that can be had';
    post('/jobs', 'a', 'Idempotency-Key' => 'k422');
    like post('/jobs', 'b', 'Idempotency-Key' => 'k422')->{head}, qr{^HTTP/1.1 422 Unprocessable Content\r},
        '422 has its reason phrase';
};

finish();
