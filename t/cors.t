# Pages of other origins that may read (await_cors): preflights before any access rule, headers on every answer.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

my $dir = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $dir;
Await::Stack::write_file("$dir/users", "ann:{PLAIN}pass\n", 0644);
start_stack(extra => <<'CONF' =~ s/\$\{DIR\}/$dir/gr);
    location /app/ {
        await_cors on; await_origins same https://app.example;
        location = /app/jobs { auth_basic here; auth_basic_user_file ${DIR}/users; await_owner $remote_user;
            await_submit work; }
        location ~ ^/app/jobs/(?<id>[^/]+)$ { await_job $id; await_events job:$id; }
        location = /app/off { await_cors off; await_submit work; }
        location = /app/closed { deny all; await_submit work; }
    }
    location = /any { await_cors on; await_origins any; await_submit work; }
    location = /more { await_cors on headers=X-Requested-With,sentry-trace,content-type expose=X-Cost,etag;
        await_origins https://app.example; await_submit work; }
    location = /all { await_cors on headers=* expose=*; await_origins any; await_submit work; }
CONF
my $app = 'https://app.example';
my $basic = 'Basic ' . do { require MIME::Base64; MIME::Base64::encode_base64('ann:pass', '') };

sub preflight {
    my ($path, $origin, $method) = @_;
    return request(
        'OPTIONS',
        $path,
        headers => {
            Origin => $origin,
            'Access-Control-Request-Method' => $method // 'POST',
            'Access-Control-Request-Headers' => 'content-type'
        });
}

subtest 'preflights' => sub {
    my $r = preflight('/app/jobs', $app);
    is $r->{status}, 204, 'no password is asked for';
    is header($r, 'Access-Control-Allow-Origin'), $app, 'the origin is allowed';
    is header($r, 'Access-Control-Allow-Credentials'), 'true', 'credentials are allowed';
    is header($r, 'Access-Control-Allow-Methods'), 'POST, OPTIONS', 'the methods of a submission are allowed';
    like header($r, 'Access-Control-Allow-Headers'), qr/Authorization, Content-Type, Idempotency-Key/,
        'the request\'s headers are allowed';
    is header($r, 'Access-Control-Max-Age'), 600, 'the answer may be kept for 600 s';
    is header($r, 'Vary'), 'Origin', 'Vary names Origin';
    is preflight('/app/closed', $app)->{status}, 204, 'nor is deny';
    is header(preflight('/app/jobs/x', $app, 'GET'), 'Access-Control-Allow-Methods'), 'GET, HEAD, DELETE, OPTIONS',
        'the methods of a job are allowed';
    my $other = preflight('/app/jobs', 'https://evil.example');
    is $other->{status}, 204, 'another origin gets 204 as well';
    ok !defined header($other, 'Access-Control-Allow-Origin'), 'another origin learns nothing';
    ok !defined header($other, 'Access-Control-Allow-Methods'), 'another origin is told no methods';
    is header($other, 'Vary'), 'Origin', 'and no cache mixes them up';
    is request('OPTIONS', '/app/jobs', headers => { Origin => $app })->{status}, 401,
        'an OPTIONS that is no preflight goes the usual way';
    is preflight('/app/off', $app)->{status}, 204, 'await_cors off: 204';
    ok !defined header(preflight('/app/off', $app), 'Access-Control-Allow-Origin'), 'off';
};

subtest 'answers' => sub {
    my %from = (Origin => $app, 'Sec-Fetch-Site' => 'cross-site');
    my $r = post('/app/jobs', 'x', %from, Authorization => $basic);
    is $r->{status}, 202, 'a submission from the origin is accepted';
    is header($r, 'Access-Control-Allow-Origin'), $app, 'its origin is allowed';
    like header($r, 'Access-Control-Expose-Headers'), qr/Location, Link, ETag, Retry-After/,
        'the headers of the API are exposed';
    my $id = id_of($r);
    is header(get("/app/jobs/$id", %from), 'Access-Control-Allow-Origin'), $app, 'a document';
    is header(get('/app/jobs/0198c0de-0000-7000-8000-000000000000', %from), 'Access-Control-Allow-Origin'), $app,
        'a problem';
    my $stream = begin_request('GET', "/app/jobs/$id", headers => { %from, Accept => 'text/event-stream' });
    ok $stream->wait_event('pending'), 'the stream has begun';
    like $stream->{buffer}, qr/^Access-Control-Allow-Origin: \Q$app\E\r$/m, 'a stream';
    my $denied = post('/app/jobs', 'x', %from);
    is $denied->{status}, 401, 'a submission without a password is refused';
    is header($denied, 'Access-Control-Allow-Origin'), $app, 'nginx\'s own 401';
    my $foreign = get("/app/jobs/$id", Origin => 'https://evil.example');
    is $foreign->{status}, 200, 'another origin\'s read is answered';
    ok !defined header($foreign, 'Access-Control-Allow-Origin'), 'what its browser will keep from it';
    like header($foreign, 'Vary'), qr/Origin/, 'its Vary names Origin';
    ok !defined header(get("/app/jobs/$id"), 'Access-Control-Allow-Origin'), 'no browser';
    my $held = begin_request('GET', "/app/jobs/$id?wait=20", headers => {%from});
    ok $held->quiet(0.3), 'a long poll is held';
    complete($id, 'x', attempt => claim($id), hint => 1);
    is header($held->response, 'Access-Control-Allow-Origin'), $app, 'one that was parked';
    is header(post('/any', 'x', Origin => 'https://whoever.example'), 'Access-Control-Allow-Origin'), '*',
        'any origin is allowed by *';
    ok !defined header(post('/any', 'x', Origin => 'https://whoever.example'), 'Access-Control-Allow-Credentials'),
        'without credentials';
};

subtest 'lists of headers' => sub {
    my %from = (Origin => $app, 'Sec-Fetch-Site' => 'cross-site');
    my $names = sub { my %n; $n{ lc $_ }++ for split /, /, header(@_) // ''; return \%n };
    my $plain = $names->(preflight('/app/jobs', $app), 'Access-Control-Allow-Headers');
    my $more = $names->(preflight('/more', $app), 'Access-Control-Allow-Headers');
    is_deeply $more, { %$plain, 'x-requested-with' => 1, 'sentry-trace' => 1 },
        'headers= is added to what the module uses, each name once';
    my $read = $names->(post('/app/jobs', 'x', %from, Authorization => $basic), 'Access-Control-Expose-Headers');
    ok $read->{$_}, "by default a page can read $_" for qw(content-disposition x-request-id operation-location);
    is_deeply $names->(post('/more', 'x', %from), 'Access-Control-Expose-Headers'), { %$read, 'x-cost' => 1 },
        'expose= is added';
    is_deeply $names->(post('/more', '{', %from, 'Content-Type' => 'application/json'),
        'Access-Control-Expose-Headers'), { %$read, 'x-cost' => 1 }, 'to problems, too';
    ok $names->(preflight('/all', 'https://who.example'), 'Access-Control-Allow-Headers')->{'*'}, 'headers=*';
    ok $names->(preflight('/all', 'https://who.example'), 'Access-Control-Allow-Headers')->{authorization},
        'headers=* has Authorization beside it, which it does not cover';
    ok $names->(post('/all', 'x', Origin => 'https://who.example'), 'Access-Control-Expose-Headers')->{'*'}, 'expose=*';
};

finish();
