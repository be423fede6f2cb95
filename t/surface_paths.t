# `await queue;` on nginx's own terms: which paths and methods it has, blocks and nested locations, ways into the
# location, HTTP/2. t/surface.t compares its answers with those of the single directives.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

my $dir = File::Temp::tempdir(CLEANUP => 1);
self_signed($dir);
my ($root, $h2, $plain, $strict) = map { Await::Stack::free_port() } 1 .. 4;
my $s = start_stack(site => <<"CONF");
await_reread 1h;
await_retry 7s 7s;
server {
    listen 127.0.0.1:\${PORT};
    await_owner \$http_x_owner;
    location /jobs {
        await work;
        if (\$arg_anyone) { await_owner off; }
        if (\$arg_stop) { return 403; }
        if (\$arg_hold) { await_hold 20s; }
        limit_except GET POST { deny 127.0.0.1; }
        location = /jobs/health { await_health; }
        location ~ ^/jobs/(?<id>[^/]+)/word\$ { await_job \$id default=text; }
        location /jobs/inner { await other; }
        location = /jobs/batches/health { await_health; }
    }
    location /guarded { set \$job \$arg_id; auth_request /check; await work; }
    location = /sub { set \$job \$arg_id/result; auth_request /check; empty_gif; }
    location = /check { internal; rewrite ^ /jobs/\$job last; }
    location = /tried { try_files /no/file /jobs/\$arg_id; }
    location = /moved { rewrite ^ /jobs/\$arg_id/result last; }
    location /old { rewrite ^/old/(.*)\$ /renamed/\$1 break; await work; }
    location /new { rewrite ^/new/v1/(.*)\$ /new/\$1 break; await work; location /new/batches { return 404; } }
    location = /failed { error_page 418 = /jobs/\$arg_id; return 418; }
    location = /log { return 200 "[\$await_path_id]"; }
    location = /metrics { await_owner off; await_metrics; }
}
server {
    listen 127.0.0.1:$root;
    location / { await work; }
    location /of/ { await q.\$arg_q; }
    location /some { await q.\$arg_q queues=q.a,q.b phases=p; await_owner \$arg_owner; }
}
server {
    listen 127.0.0.1:$h2 ssl http2; listen 127.0.0.1:$plain;
    ssl_certificate $dir/cert.pem; ssl_certificate_key $dir/key.pem;
    await_owner \$http_x_owner;
    location ^~ /jobs { await work file=image; }
}
server {
    listen 127.0.0.1:$strict; merge_slashes off;
    location /jobs { await work; }
    location /slash/ { await work; }
    location /a/deep.er+path { await work; error_page 404 \@problem; }
    location \@problem { await_problem; }
}
CONF

my %id = (nowhere => '0198c0de-0000-7000-8000-000000000000', bad => 'not-an-id');
my @JSON = ('Content-Type' => 'application/json');
my $TWO = '{"jobs":[{"payload":1},{"payload":{"two":2}}]}';
for my $name (qw(done pending)) {
    $id{$name} = one_job('/jobs', 'x', 'X-Owner' => 'ann');
    $id{"anyone_$name"} = one_job('/jobs?anyone=1', 'x', 'X-Owner' => 'ann');
    for my $id (grep { $name eq 'done' } @id{ $name, "anyone_$name" }) {
        claim($id, lease => '1 hour');
        complete($id, '{"ok":true}', type => 'application/json');
    }
}
$id{batch} = id_of(post('/jobs/batches', $TWO, @JSON, 'X-Owner' => 'ann'));
$id{anyone_batch} = id_of(post('/jobs/batches?anyone=1', $TWO, @JSON, 'X-Owner' => 'ann'));

subtest 'paths that are no resource' => sub {
    for my $prefix (qw(/jobs /slash /a/deep.er+path)) {
        my ($job, $batch) = ("$prefix/$id{anyone_done}", "$prefix/batches/$id{anyone_batch}");
        for my $path ("$job/", "$job/other", "$job/result/", "$job/events/x", "$job//events", "$prefix//$id{done}",
            "$prefix//", "$prefix/socket/", "$prefix/batches/", "$batch/", "$batch/result", "$batch/events/",
            "$batch/events/x", "$prefix/batches//$id{anyone_batch}",
            $prefix eq '/slash' ? () : ("${prefix}x", "$prefix.d/$id{done}"))
        {
            for my $method (qw(GET POST DELETE OPTIONS)) {
                my $answer = request($method, $path, port => $strict, body => 'x');
                is "$answer->{status} " . header($answer, 'content-type') . ' ' . json($answer)->{detail},
                    '404 application/problem+json There is no resource at this path.', "$method $path";
            }
        }
    }
    like request('GET', "/jobs//$id{done}", headers => { 'X-Owner' => 'ann' })->{head}, qr/ 200 /,
        'nginx has merged double slashes before';
};

sub status {
    my ($method, $path, %o) = @_;
    return request($method, $path, headers => { 'X-Owner' => 'ann' }, %o)->{status};
}

subtest 'blocks and nested locations' => sub {
    is status(GET => "/jobs/$id{anyone_done}"), 404, 'a job of no owner is not ann\'s';
    is status(GET => "/jobs/$id{anyone_done}?anyone=1"), 200, 'await_owner of an "if" block applies to a job';
    is status(GET => "/jobs/$id{anyone_done}/result?anyone=1"), 200, 'to its result';
    is status(POST => '/jobs?anyone=1', body => 'x'), 202, 'to a submission';
    is status(GET => "/jobs/$id{done}/result?stop=1"), 403, '"return" of an "if" block applies to all resources';
    is status(POST => '/jobs?stop=1', body => 'x'), 403, 'to submissions too';
    is status(DELETE => "/jobs/$id{pending}"), 403, 'limit_except applies to all resources';
    is json(get("/jobs/$id{pending}", 'X-Owner' => 'ann'))->{state}, 'pending', 'the job was not cancelled';
    is status(GET => $_), 200, 'a nested location has its own action' for '/jobs/health', '/jobs/batches/health';
    is status(GET => '/jobs'), 200, 'jobs are listed';
    is status(GET => "/jobs$_?anyone=1"), 405, "but not in a block with \"await_owner off\": '$_'" for '', '/batches';
    is header(post('/jobs', 'x', 'X-Owner' => 'ann'), 'Retry-After'), 7, 'a setting of the http block applies';
    is request('GET', "/jobs/$id{done}/word", headers => { 'X-Owner' => 'ann' })->{body}, 'COMPLETED',
        'also one by a regular expression';
    is status(POST => '/new/batches', body => $TWO), 404, 'which can also be none';
    my $inner = post('/jobs/inner', 'x', 'X-Owner' => 'ann');
    is json($inner)->{queue}, 'other', 'a nested location has its own queue';
    is json($inner)->{links}{self}, "/jobs/inner/@{[ id_of($inner) ]}", 'and its own resources';
    my $held = begin_request('GET', "/jobs/$id{pending}?hold=1", headers => { 'X-Owner' => 'ann' });
    my $also = begin_request('GET', "/jobs/$id{pending}/result?wait=20", headers => { 'X-Owner' => 'ann' });
    eventually 'both requests are held', sub { metric('await_held') == 2 };
    claim($id{pending});
    complete($id{pending}, 'late', hint => 1);
    is json($held->response)->{state}, 'completed', 'await_hold of a block: the poll is held';
    is $also->response->{body}, 'late', 'and the result';
};

subtest 'ways into the location' => sub {
    my ($done, $nowhere) = @id{qw(done nowhere)};
    is status(GET => "/guarded/$done?id=$done"), 200, 'a subrequest that is answered 200 lets in';
    is status(GET => "/guarded/$done?id=$id{bad}"), 500, 'one that is answered 404 does not';
    is status(GET => "/sub?id=$done"), 200, 'a subrequest for a result';
    is json(get("/tried?id=$done", 'X-Owner' => 'ann'))->{id}, $done, 'an internal redirect of try_files';
    is json(get("/failed?id=$done", 'X-Owner' => 'ann'))->{id}, $done, 'an error_page';
    is get("/moved?id=$done", 'X-Owner' => 'ann')->{body}, '{"ok":true}', 'a rewrite to the location';
    is status(GET => "/new/v1/$done"), 200, 'a rewrite within the location';
    is status(GET => "/old/$done"), 404, 'a rewrite to another path leads to no resource';
    is get('/log', 'X-Owner' => 'ann')->{body}, '[]', '$await_path_id is empty elsewhere';
};

# Over HTTP/2, by curl: the version, the status and what Allow says, of each path.
sub over_http2 {
    my ($method, @paths) = @_;
    my $flags = "-sk --http2 -H 'X-Owner: ann' -w '%{http_version} %{http_code} %header{allow}\\n'";
    my $how = $method eq 'HEAD' ? '-I' : "-X $method";
    my $urls = join ' ', map { "-o /dev/null 'https://127.0.0.1:$h2$_'" } @paths;
    return split /\n/, `curl $flags $how $urls`;
}

subtest 'which methods a path has' => sub {
    my ($job, $batch) = @id{qw(done batch)};
    my %kinds = (
        list => 'GET, HEAD, POST, OPTIONS',
        one => 'GET, HEAD, DELETE, OPTIONS',
        any => 'GET, HEAD, POST, DELETE, OPTIONS',
        make => 'POST, OPTIONS',
        read => 'GET, HEAD, OPTIONS');
    my @paths = (
        [ '/jobs' => 200, 'list' ],
        [ '/jobs/' => 200, 'list' ],
        [ '/jobs/batches' => 200, 'list' ],
        [ '/jobs/socket' => 426, 'read' ],
        [ "/jobs/$job" => 200, 'one' ],
        [ "/jobs/$job/result" => 200, 'read' ],
        [ "/jobs/$job/retry" => 405, 'make' ],
        [ "/jobs/$batch" => 404, 'one' ],
        [ '/jobs/events' => 404, 'one' ],
        [ "/jobs/batches/$batch" => 200, 'any' ],
        [ "/jobs/batches/$job" => 404, 'any' ],
        [ '/jobs/batches/socket' => 404, 'any' ],
        [ '/jobs/batches/batches' => 404, 'any' ],
        [ '/jobs/socket/result' => 404, 'read' ],
        [ '/jobs/batches/batches/events' => 404, 'read' ]);
    for my $method (qw(GET HEAD PATCH OPTIONS)) {
        my @spoken = over_http2($method, map { $_->[0] } @paths);
        for (@paths) {
            my ($path, $status, $kind) = @$_;
            my $expected = { PATCH => "405 $kinds{$kind}", OPTIONS => "204 $kinds{$kind}" }->{$method}
                // ("$status " . ($kind eq 'make' ? $kinds{make} : ''));
            my $exchange = begin_request($method, $path, port => $plain, headers => { 'X-Owner' => 'ann' });
            $exchange->{head_only} = $method eq 'HEAD';
            my $answer = $exchange->response;
            is "$answer->{status} " . (header($answer, 'allow') // ''), $expected, "$method $path";
            is shift @spoken, "2 $expected", "$method $path over HTTP/2";
        }
    }
};

subtest 'a queue with variables' => sub {
    my @at = (port => $root);
    is json(request('POST', '/of/?q=a', body => 'x', @at))->{queue}, 'q.a', 'jobs are submitted to it';
    is request($_, '/of/batches', body => '{}', headers => {@JSON}, @at)->{status}, 404, "there are no batches: $_"
        for qw(GET POST OPTIONS);
    my $batch = request('POST', '/some/batches?owner=eve', body => '{"jobs":[{"payload":1,"queue":"q.b"}]}',
        headers => {@JSON}, @at);
    is $batch->{status}, 202, 'there are batches of the queues of queues=' or diag $batch->{body};
    is json($batch)->{jobs}[0]{queue}, 'q.b', 'which a client can name';
    is_deeply [ map { $_->{id} } @{ json(request('GET', '/some/batches?owner=eve', @at))->{batches} } ],
        [ json($batch)->{id} ], 'they are listed';
    is json(request('GET', '/some?owner=eve&q=b', @at))->{jobs}[0]{id}, json($batch)->{jobs}[0]{id},
        'and their jobs, by the queue of the request';
};

subtest 'at the root' => sub {
    my @at = (port => $root);
    my $id = id_of(request('POST', '/', body => 'x', @at));
    is request('GET', "/$id", @at)->{status}, 200, 'a job';
    is json(request('GET', "/$id", @at))->{links}{result}, "/$id/result", 'its links';
    is request('GET', "/$id/result", @at)->{status}, 202, 'its result';
    is request('GET', '/', @at)->{status}, 405, 'the root itself takes submissions only';
    is request('GET', '/a/b', @at)->{status}, 404, 'anything else is no resource';
    my $batch = json(request('POST', '/batches', body => $TWO, headers => {@JSON}, @at));
    is $batch->{links}{self}, "/batches/$batch->{id}", 'a batch';
    is $batch->{jobs}[1]{links}{self}, "/$batch->{jobs}[1]{id}", 'the links of its jobs';
};
finish();
