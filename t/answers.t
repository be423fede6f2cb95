# Faults of single answers: a POST's conditions were asked of the job that it had just made; a field stood twice where
# an error_page led through our handlers again; a refused body was waited for; bodies of tickets counted nowhere; a
# ticket opened what other modules serve, and what its owner was revoked for while another rule took its time; an ETag's
# case.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::Http1;
use Digest::SHA qw(hmac_sha256);
use JSON::PP;
use MIME::Base64 qw(encode_base64 encode_base64url);
use Test::More;
use Time::HiRes qw(time);

my $dir = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $dir;
Await::Stack::write_file("$dir/jwt.key", 'a-secret-of-thirty-two-bytes-and-more', 0644);
Await::Stack::write_file("$dir/users", "ann:{PLAIN}pass\n", 0644);
Await::Stack::write_file("$dir/static", "the operator's", 0644);
my $inherits = Await::Stack::free_port();
my $s = start_stack(bare => 1, http => 'limit_req_zone $binary_remote_addr zone=one:64k rate=1r/m; ', site => <<"CONF");
await_reread 1h;
server {
    listen 127.0.0.1:\${PORT};
    client_body_timeout 3s;
    location = /jobs { await_submit work; }
    location = /small { await_submit work; await_max_uploads 64k; }
    location = /page { await_submit work; error_page 400 415 \@problem; }
    location = /taken { await_submit work type=text/plain; error_page 415 = \@taker; }
    location \@taker { await_submit taker; }
    location \@problem { await_problem; }
    location ~ ^/jobs/(?<id>[^/]+)\$ { await_job \$id; await_events job:\$id; await_socket job:\$id; }
    location ~ ^/jobs/(?<id>[^/]+)/result\$ { await_result \$id; }
    location = /mine { await_owner \$arg_u; await_submit work; }
    location = /ticket { await_owner \$arg_u; await_ticket \$arg_c; await_allow topic:*; }
    location = /limited { await_cors on; limit_req zone=one; limit_req_status 429; error_page 429 \@problem;
        await_metrics; }
    location = /metrics { await_metrics; }
    location = /slow { internal; proxy_set_header Accept */*;
        proxy_pass http://127.0.0.1:\$server_port/hold/\$slow?wait=3; }
    location ~ ^/hold/(?<id>[^/]+)\$ { await_job \$id default=text; }
    location /in/ {
        await_auth_ticket on; await_owner \$await_user;
        location = /in/static { alias $dir/static; }
        location = /in/proxied { proxy_pass http://127.0.0.1:\$server_port/metrics; }
        location ~ ^/in/job/(?<id>[^/]+)\$ { await_job \$id; await_events job:\$id; }
        location = /in/late { set \$slow \$arg_slow; auth_request /slow; await_events user:\$await_user; }
        location = /in/either { satisfy any; auth_basic here; auth_basic_user_file $dir/users;
            await_events topic:news default=json; }
    }
}
server {
    listen 127.0.0.1:$inherits;
    await_auth_jwt api; await_auth_jwt_key_file $dir/jwt.key;
    error_page 401 \@problem;
    location / { await_events topic:x; }
    location \@problem { await_problem; }
}
CONF

sub ticket { my ($u, $channel) = @_; return json(post("/ticket?u=$u&c=$channel", ''))->{ticket} }
sub jobs { return sql('SELECT count(*) FROM await.job') }
my $long_ago = 'Wed, 01 Jan 2020 00:00:00 GMT';

subtest 'a POST has no conditions but If-Match' => sub {
    for my $path ('/jobs', '/jobs?wait=0', '/jobs?wait=1') {
        for my $case ([ 'If-Unmodified-Since' => $long_ago, 202 ], [ 'If-None-Match' => '"x"', 202 ],
            [ 'If-Match' => '"x"', 412 ], [ 'If-Match' => '*', 412 ]) {
            my ($name, $value, $status) = @$case;
            my $before = jobs();
            my $r = post($path, 'x', $name => $value);
            is $r->{status}, $status, "$path $name: $value";
            is jobs() - $before, $status == 202 ? 1 : 0, 'stored or not';
            is json($r)->{type}, '/problems/precondition-failed',
                "$path $name: the problem's type is precondition-failed"
                if $status == 412;
        }
    }
};

subtest 'cancel only if still as I saw it' => sub {
    my $id = one_job();
    my $etag = header(get("/jobs/$id"), 'ETag');
    like $etag, qr/^"/, 'a strong one';
    claim($id);
    is del("/jobs/$id", 'If-Match' => $etag)->{status}, 412, 'it is not';
    is del("/jobs/$id", 'If-Unmodified-Since' => $long_ago)->{status}, 412, 'nor by its date';
    is del("/jobs/$id", 'If-None-Match' => '*')->{status}, 412, 'nor absent';
    is json(get("/jobs/$id"))->{state}, 'processing', 'nothing was done';
    $etag = header(get("/jobs/$id"), 'ETag');
    is get("/jobs/$id", 'If-Match' => "W/$etag")->{status}, 412, 'a weak one never matches';
    is get("/jobs/$id/result", 'If-Match' => '*')->{status}, 412, 'there is no result';
    is get("/jobs/$id", 'If-Match' => "\"x\", $etag")->{status}, 200, 'a list that has its ETag matches';
    is del("/jobs/$id", 'If-Match' => $etag)->{status}, 202, 'now it is';
};

subtest 'fields stand once' => sub {
    my $r = begin_request('GET', '/', port => $inherits)->response;
    is $r->{status}, 401, 'nginx\'s own 401 is answered';
    is header($r, 'WWW-Authenticate'), 'Bearer realm="api"', 'also where error_page leads through the rule again';
    get('/limited');
    $r = get('/limited', Origin => 'https://x.example');
    is $r->{status}, 429, 'the second request is over the limit';
    like header($r, 'Retry-After') // '', qr/^\d+$/, "nginx's own 429 says when, though more is known of the request";
    $r = get('/in/either', Authorization => 'Basic ' . encode_base64('ann:pass', ''));
    is header($r, 'WWW-Authenticate'), undef, 'no challenge for whom another rule let in';
};

subtest 'a refused body is waited for by nobody who cannot take it' => sub {
    my $began = time;
    my $r = begin_request(
        'POST', '/page',
        headers => { 'Content-Type' => 'application/json', 'Content-Length' => 1000 },
        body => '{"a":@@'
    )->response;
    is $r->{status}, 400, 'at once, though await_problem makes it';
    my $before = jobs();
    $r = post('/taken', 'all of it', 'Content-Type' => 'image/png');
    is $r->{status}, 202, 'but an error_page that takes it';
    is sql("SELECT convert_from(payload, 'UTF8') FROM await.job WHERE id = '" . json($r)->{id} . "'"), 'all of it',
        'gets it whole';
};

subtest 'what bodies hold is counted, and bounded' => sub {
    my @stalled = map {
        begin_request('POST', '/ticket?u=ann&c=topic:x', headers => { 'Content-Length' => 15000 }, body => ' ' x 14000)
    } 1 .. 10;
    eventually('what ten tickets hold is counted',
        sub { metric('await_uploads_bytes') >= 140_000 && metric('await_inflight_submissions') == 10 });
    my $r = post('/small', 'x' x 50_000);
    is $r->{status}, 503, 'past await_max_uploads';
    is json($r)->{detail}, 'The request bodies in progress use too much memory; retry later.',
        'the problem\'s detail says that bodies take too much memory';
    ok header($r, 'Retry-After'), 'with Retry-After';
    $_->close for @stalled;
    eventually('nothing is counted once their clients have left',
        sub { metric('await_uploads_bytes') == 0 && metric('await_inflight_submissions') == 0 });
};

subtest 'a ticket' => sub {
    my $id = one_job('/mine?u=ann');
    is get("/in/$_?ticket=" . ticket('ann', 'topic:news'))->{status}, 403, "does not open $_" for qw(static proxied);
    is get('/in/job/' . uc($id) . '?ticket=' . ticket('ann', "job:$id"))->{status}, 200, 'an id has two cases';
    is get("/in/job/$id?ticket=" . ticket('ann', 'job:' . uc $id))->{status}, 200, 'here too';
    my $stream = begin_request(
        'GET',
        '/in/job/' . uc($id) . '?ticket=' . ticket('ann', "job:$id"), headers => { Accept => 'text/event-stream' });
    ok $stream->wait_event('ready'), 'and on a stream';
    my $slow = one_job();
    my $held = metric('await_held');
    my $late = begin_request(
        'GET',
        "/in/late?slow=$slow&ticket=" . ticket('ann', 'user:ann'),
        headers => { Accept => 'text/event-stream' });
    eventually('the stream whose other rule is slow is held', sub { metric('await_held') > $held });
    $s->redis_command('PUBLISH', split /\|/, sql("SELECT channel, message FROM await.revoke('ann')"));
    my $r = $late->response;
    is $r->{status}, 403, 'not after its owner was revoked';
};

finish();
