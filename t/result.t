# What the worker made, as the client gets it.

use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Encode qw(encode_utf8);
use Test::More;

start_stack(extra => <<'CONF');
    location ~ ^/img/(?<id>[^/]+)$ { await_safe_types image/png text/html; await_result $id pending=404 failed=502; }
CONF

sub done { my ($body, %o) = @_; my $id = one_job(); claim($id); complete($id, $body, %o); return $id }

subtest 'status, type and body are the worker\'s' => sub {
    my $id = done("\x89PNG\0data", type => 'image/png', status => 201, name => 'a.png');
    my $r = get("/jobs/$id/result");
    is $r->{status}, 201, 'the status is the worker\'s';
    is $r->{body}, "\x89PNG\0data", 'the body is the worker\'s';
    is header($r, 'Content-Type'), 'image/png', 'the type is the worker\'s';
    is header($r, 'Content-Disposition'), 'inline; filename="a.png"', 'the file\'s name is the worker\'s';
    is header($r, 'X-Content-Type-Options'), 'nosniff', 'browsers are told not to guess the type';
    is header($r, 'Content-Security-Policy'), "sandbox; default-src 'none'", 'browsers are told to run nothing in it';
    is header($r, 'Cache-Control'), 'private, no-cache', 'it may be kept, and is asked for again';
    like header($r, 'ETag'), qr/^"[^"]+"$/, 'a strong ETag';
    is get("/jobs/$id/result", 'If-None-Match' => header($r, 'ETag'))->{status}, 304, 'the same ETag: 304';
};

subtest 'what could run in a browser comes as an attachment' => sub {
    my $id = done('<script>', type => 'text/html', name => encode_utf8('naïve "x".html'));
    my $d = header(get("/jobs/$id/result"), 'Content-Disposition');
    is $d, q(attachment; filename="na_ve _x_.html"; filename*=UTF-8''na%C3%AFve%20%22x%22.html),
        'HTML is an attachment, its name in ASCII and in UTF-8';
    like header(get("/img/$id"), 'Content-Disposition'), qr/^inline/, 'await_safe_types';
    is header(get('/jobs/' . done('x', type => 'image/svg+xml') . '/result'), 'Content-Disposition'), 'attachment',
        'SVG is an attachment';
    is header(get('/jobs/' . done('x', type => 'text/plain') . '/result'), 'Content-Disposition'), undef,
        'plain text is none';
};

subtest 'before the end: 202 with the document' => sub {
    my $id = one_job();
    my $r = get("/jobs/$id/result");
    is $r->{status}, 202, 'a pending result: 202';
    is header($r, 'Retry-After'), 1, 'it says when to come back';
    is header($r, 'Location'), "/jobs/$id", 'Location names the job';
    is json($r)->{links}{self}, "/jobs/$id", 'the body is the job\'s document';
    is get("/img/$id")->{status}, 404, 'pending=404';
    my $held = begin_request('GET', "/jobs/$id/result", headers => { Prefer => 'wait=20' });
    ok $held->quiet(0.3), 'a wait is held';
    claim($id); complete($id, 'made', hint => 1);
    is $held->response->{body}, 'made', 'it is answered with the result';
};

subtest 'Prefer: wait on the POST makes it synchronous' => sub {
    my $post = begin_request('POST', '/jobs', body => 'x', headers => { Prefer => 'wait=20' });
    my $id;
    eventually('the job is stored', sub { $id = sql("SELECT job FROM await.ready ORDER BY pos DESC LIMIT 1") });
    claim($id); complete($id, 'made of x', type => 'text/plain', status => 203, hint => 1);
    my $r = $post->response;
    is $r->{status}, 203, 'the status is the worker\'s';
    is $r->{body}, 'made of x', 'the body is the result';
    is header($r, 'Content-Location'), "/jobs/$id/result", 'Content-Location names the result';
    is header($r, 'Link'), "</jobs/$id>; rel=\"status\"", 'Link names the status';
    is header($r, 'Preference-Applied'), 'wait=20', 'Preference-Applied says how long';
    is header($r, 'Vary'), 'Prefer', 'Vary names Prefer';
    $post = begin_request(
        'POST', '/jobs',
        body => 'x',
        headers => { Prefer => 'wait=20', Range => 'bytes=0-1', 'If-None-Match' => '*' });
    eventually('the job is stored', sub { $id = sql('SELECT job FROM await.ready ORDER BY pos DESC LIMIT 1') });
    claim($id); complete($id, 'whole', hint => 1);
    is $post->response->{body}, 'whole', 'a POST has neither conditions nor ranges';
    $r = post('/jobs', 'x', Prefer => 'wait=1');
    is $r->{status}, 202, 'too slow: 202';
    is header($r, 'Preference-Applied'), 'wait=1', 'Preference-Applied says what was waited';
};

subtest 'failed, cancelled' => sub {
    my $id = one_job();
    claim($id);
    sql("SELECT await.fail('$id', test.receipt('$id'), '{\"title\": \"T\", \"x\": [1]}', '-1 s')");
    my $r = get("/jobs/$id/result");
    is $r->{status}, 424, 'a failed job: 424';
    is header($r, 'Content-Type'), 'application/problem+json', 'it is a problem';
    is_deeply json($r)->{x}, [1], 'with the worker\'s own member';
    is json($r)->{status}, 424, 'the problem\'s status is 424';
    is get("/img/$id")->{status}, 502, 'failed=502';
    my $gone = one_job();
    del("/jobs/$gone");
    is get("/jobs/$gone/result")->{status}, 410, 'a cancelled job: 410';
    is get('/jobs/01a20229-85dd-7905-b3ad-942074197547/result')->{status}, 404, 'an unknown job: 404';
    is get('/jobs/x/result')->{status}, 404, 'an id that is none: 404';
    is del("/jobs/$id/result")->{status}, 405, 'DELETE is not allowed';
};

my $large = join '', map { chr(($_ * 31 + ($_ >> 8)) % 256) } 0 .. 999_999;
for my $case ([ small => '0123456789' ], [ large => $large ]) {
    my ($name, $body) = @$case;
    my $id = done($body, type => 'text/plain');
    my $size = length $body;
    subtest "ranges of a $name result" => sub {
        my $r = get("/jobs/$id/result");
        ok $r->{body} eq $body, 'whole';
        is header($r, 'Content-Length'), $size, 'Content-Length is the whole';
        is header($r, 'Accept-Ranges'), 'bytes', 'ranges are offered';
        for my $range (
            [ '0-0', 0, 1 ],
            [ '2-5', 2, 4 ],
            [ '-3', $size - 3, 3 ],
            [ '5-', 5, $size - 5 ],
            [ '4-99999999', 4, $size - 4 ])
        {
            my ($text, $at, $length) = @$range;
            my $part = get("/jobs/$id/result", Range => "bytes=$text");
            is $part->{status}, 206, $text;
            ok $part->{body} eq substr($body, $at, $length), 'bytes';
            is header($part, 'Content-Range'), "bytes $at-" . ($at + $length - 1) . "/$size", "$text: Content-Range";
        }
        my $bad = get("/jobs/$id/result", Range => 'bytes=1000000-');
        is $bad->{status}, 416, 'a range beyond the end: 416';
        is header($bad, 'Content-Range'), "bytes */$size", 'its Content-Range has the size';
        is get("/jobs/$id/result", Range => 'lines=1-2')->{status}, 200, 'another unit: whole';
        is get("/jobs/$id/result", Range => 'bytes=1-2', 'If-Range' => '"other"')->{status}, 200,
            'If-Range of another version: whole';
        is get("/jobs/$id/result", Range => 'bytes=1-2', 'If-Range' => header($r, 'ETag'))->{status}, 206,
            'If-Range of this version: 206';
        my $head = begin_request('HEAD', "/jobs/$id/result");
        $head->{head_only} = 1;
        is header($head->response, 'Content-Length'), $size, 'HEAD';
    };
}

subtest 'a range across pieces' => sub {
    my $id = done($large, type => 'text/plain');
    my $r = get("/jobs/$id/result", Range => 'bytes=262000-530000');
    ok $r->{body} eq substr($large, 262000, 268001), 'the range\'s bytes';
};

subtest 'a result appended in pieces of any size' => sub {
    my $id = one_job();
    claim($id);
    my @sizes = (1, 70_000, 3, 200_000);
    my $n = 0;
    my $all = '';
    for my $size (@sizes) {
        my $piece = substr $large, $n * 1000, $size;
        sql("SELECT await.append_result('$id', test.receipt('$id'), $n, decode('" . unpack('H*', $piece) . "', 'hex'))")
            for 1 .. 2;    # a repeat is taken once
        $all .= $piece;
        $n++;
    }
    is sql("SELECT await.complete('$id', test.receipt('$id'), null, 'text/plain')"), 't',
        'the worker completes the job';
    my $r = get("/jobs/$id/result");
    ok $r->{body} eq $all, 'all bytes, each piece once';
    ok get("/jobs/$id/result", Range => 'bytes=69999-70005')->{body} eq substr($all, 69999, 7),
        'a range across two pieces';
};

subtest 'a 50 MB result to a slow client costs an nginx worker little memory' => sub {
    my $id = one_job();
    claim($id);
    sql("SELECT await.append_result('$id', test.receipt('$id'), n, convert_to(repeat(chr(65 + n % 26), 250000), 'UTF8'))
        FROM generate_series(0, 199) n ORDER BY n");
    is sql("SELECT await.complete('$id', test.receipt('$id'), null, 'text/plain')"), 't',
        'the worker completes the job';
    my ($pid) = worker_pids();
    my $before = memory_kb($pid, 'VmRSS');
    my $slow = begin_request('GET', "/jobs/$id/result");
    ok $slow->read_until(sub { length $_[0] > 10_000 }), 'the first bytes arrive';
    my $r = $slow->response(60);
    is length $r->{body}, 50_000_000, 'all bytes arrive';
    is substr($r->{body}, 250_000, 1), 'B', 'the second piece comes second';
    my $grown = memory_kb($pid, 'VmHWM') - $before;
    cmp_ok $grown, '<', $ENV{AWAIT_ASAN} ? 300_000 : 6_000, "grew by $grown KB";
};

subtest 'a client that leaves in the middle' => sub {
    my $id = done($large x 5, type => 'text/plain');
    my $c = begin_request('GET', "/jobs/$id/result");
    ok $c->read_until(sub { length $_[0] > 10_000 }), 'the first bytes arrive';
    $c->close;
    is get("/jobs/$id")->{status}, 200, 'nginx lives';
};

subtest 'an empty result' => sub {
    my $r = get('/jobs/' . done('', type => 'text/plain') . '/result');
    is $r->{status}, 200, 'the status is 200';
    is header($r, 'Content-Length'), 0, 'Content-Length is 0';
};

finish();
