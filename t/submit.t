# Taking work in: JSON, raw bytes, forms, large uploads; and every bad input with its clear 4xx.

use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use Encode qw(encode_utf8);
use Test::More;

my $s = start_stack(extra => <<'CONF');
    location = /json { await_submit json type=application/json priority=7 lease=90s max_attempts=3 retain=30d; }
    location = /pictures { await_submit pictures file=image params=caption type=image/*; }
    location = /small { client_max_body_size 10k; await_submit work; }
    location = /elsewhere { await_job_uri /status/$await_id; await_result_uri /made/$await_id; await_submit work; }
    location = /later { await_submit later delay=1h deadline=2h; }
    location /tree/ { await_submit work; }
    location = /any { await_submit $arg_queue; }
    location = /metrics { await_metrics; }
CONF

sub stored { my ($id, $columns) = @_; return sql("SELECT $columns FROM await.job WHERE id = '$id'") }
sub count_jobs { return sql('SELECT count(*) FROM await.job') + sql('SELECT count(*) FROM await.chunk') }

subtest 'a JSON body is stored as it was sent' => sub {
    my $r = post(
        '/json', encode_utf8('{"a": [1, 2.50, "ü"]}'),
        'Content-Type' => 'application/json; charset=utf-8',
        'X-Correlation-Id' => 'c-1'
    );
    is $r->{status}, 202, 'a JSON body is accepted';
    my $job = json($r);
    is $job->{state}, 'pending', 'its state is pending';
    is $job->{correlation_id}, 'c-1', 'its correlation id is the request\'s';
    is $job->{seq}, 1, 'its sequence number is 1';
    is header($r, 'Location'), "/json/$job->{id}", 'Location names the job';
    is header($r, 'Link'), "</json/$job->{id}>; rel=\"status\"", 'Link names the status';
    is header($r, 'Cache-Control'), 'no-store', 'the answer is not stored';
    like $job->{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'created_at is a time in milliseconds';
    like $job->{id}, qr/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, 'the id is a UUIDv7';
    is stored($job->{id}, "encode(payload, 'escape'), content_type, priority, max_attempts, lease, class"),
        '{"a": [1, 2.50, "\\303\\274"]}|application/json; charset=utf-8|7|3|00:01:30|2',
        'the body to the letter, and the location\'s options';
    is_deeply $job->{links},
        { self => "/json/$job->{id}", result => "/json/$job->{id}/result", events => "/json/$job->{id}/events" },
        'the links of the job';
};

subtest 'any bytes of any type, an empty body, a body without a type' => sub {
    my $bytes = join '', map { chr } 0 .. 255;
    my $id = one_job('/jobs', $bytes, 'Content-Type' => 'application/x-own');
    is stored($id, "encode(payload, 'hex'), content_type"), unpack('H*', $bytes) . '|application/x-own',
        'every byte as it was, and the type';
    is stored(one_job('/jobs', ''), 'payload_size, length(payload)'), '0|0', 'an empty body is stored as one';
    is stored(one_job('/jobs', 'x'), 'content_type'), 'application/octet-stream', 'without a type it is octets';
    is request('POST', '/jobs')->{status}, 202, 'no Content-Length at all';
};

subtest 'a chunked body' => sub {
    my $r = request(
        'POST', '/jobs',
        headers => { 'Transfer-Encoding' => 'chunked' },
        body => "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    );
    is stored(id_of($r), "encode(payload, 'escape')"), 'abcde', 'the chunks are joined';
};

subtest 'a form: its file is the payload, its fields are params' => sub {
    my ($body, $type) = multipart(
        [ caption => encode_utf8('Füße 🦶') ],
        [ image => "\xff\xd8picture", encode_utf8('C:\\Bilder\\Fußweg "1".jpg') =~ s/"/%22/gr, 'image/jpeg' ],
        [ tag => 'a' ],
        [ tag => 'b' ],
        [ empty => '' ]);
    my $r = post('/jobs', $body, 'Content-Type' => $type);
    is $r->{status}, 202, 'the form is accepted';
    is stored(id_of($r), "encode(payload, 'hex'), content_type, file_name"),
        unpack('H*', "\xff\xd8picture") . '|image/jpeg|' . encode_utf8('Fußweg "1".jpg'),
        'the file is the payload, with its type and its name without folders';
    is_deeply json($r)->{params}, { caption => 'Füße 🦶', tag => [ 'a', 'b' ], empty => '' }, 'the fields are params';
};

subtest 'params= keeps only what it names' => sub {
    my ($body, $type) = multipart([ caption => 'yes' ], [ other => 'no' ], [ image => 'x', 'x.png', 'image/png' ]);
    is_deeply json(post('/pictures', $body, 'Content-Type' => $type))->{params}, { caption => 'yes' },
        'only the named field is kept';
};

subtest 'a form is taken whole where no file= is said' => sub {
    my ($body, $type) = multipart([ a => 1 ]);
    is stored(one_job('/small', $body, 'Content-Type' => $type), 'content_type'), $type, 'the form is the payload';
};

subtest 'large bodies go in by pieces, and come out as they were' => sub {
    for my $size (65_536, 65_537, 262_144, 1_000_003) {
        my $body = join '', map { chr(($_ * 7 + $size) % 256) } 1 .. 1000;
        $body = substr $body x (1 + $size / 1000), 0, $size;
        my $id = one_job('/jobs', $body);
        is stored($id, 'payload_size, payload IS NULL'), "$size|" . ($size > 65_536 ? 't' : 'f'),
            "$size bytes: stored in the row up to 64 KB, in pieces above";
        claim($id);
        is sql("SELECT md5(await.payload('$id', test.receipt('$id'), 0, 16777216))"),
            do { require Digest::MD5; Digest::MD5::md5_hex($body) }, "$size bytes";
    }
};

subtest 'the memory of an nginx worker stays flat under 50 MB uploads' => sub {
    my ($pid) = worker_pids();
    my $body = 'x' x 50_000_000;
    my ($form, $type) = multipart([ image => $body, 'big.bin', 'application/octet-stream' ]);
    one_job('/jobs', 'y' x 1_000_000);
    my $before = memory_kb($pid, 'VmRSS');
    my $id = one_job('/jobs', $form, 'Content-Type' => $type);
    is stored($id, 'payload_size'), 50_000_000, 'the upload\'s size is stored';
    is sql("SELECT count(*), sum(length(bytes)) FROM await.chunk WHERE job = '$id'"), '191|50000000',
        'in pieces, none missing';
    one_job('/jobs', $body);
    my $after = memory_kb($pid, 'VmHWM');
    cmp_ok $after - $before, '<', $ENV{AWAIT_ASAN} ? 400_000 : 6_000, "grew by " . ($after - $before) . ' KB';
};

subtest 'options: priority, delay, deadline, uris' => sub {
    my $r = post('/elsewhere', 'x');
    my $id = id_of($r);
    is header($r, 'Location'), "/status/$id", 'Location is the location\'s own';
    is json($r)->{links}{result}, "/made/$id", 'the link to the result is the location\'s own';
    my $later = one_job('/later');
    is sql("SELECT count(*) FROM await.ready WHERE job = '$later'"), 0, 'a delayed job is not ready';
    is sql("SELECT round(extract(epoch FROM due - clock_timestamp()) / 60) FROM await.delayed WHERE job = '$later'"),
        60, 'it is due in an hour';
    is sql("SELECT round(extract(epoch FROM at - clock_timestamp()) / 60) FROM await.deadline WHERE job = '$later'"),
        120, 'its deadline is in two';
    like header(post('/tree/a%20b/', 'x'), 'Location'), qr{^/tree/a%20b/[0-9a-f-]{36}$},
        'the URL as the client wrote it';
    is header(post('/jobs?x=1', 'x'), 'Location') =~ m{^/jobs/[0-9a-f-]{36}$}, 1, 'without its query';
};

subtest 'traceparent is stored, a broken one is not' => sub {
    my $trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    is stored(one_job('/jobs', 'x', traceparent => $trace), 'trace'), $trace, 'a traceparent is stored';
    is stored(one_job('/jobs', 'x', traceparent => 'x'), 'trace'), '', 'a broken one is not';
};

subtest 'Expect: 100-continue' => sub {
    my $r = request('POST', '/jobs', body => 'abc', headers => { Expect => '100-continue' });
    is $r->{status}, 202, 'the body is accepted';
};

my $good = count_jobs();

sub refused {
    my ($name, $status, $detail, $r) = @_;
    subtest $name => sub {
        is $r->{status}, $status, "$name: the status";
        return if stack()->{bare} && $status == 413 && header($r, 'Content-Type') eq 'text/html';     # nginx's own
        is header($r, 'Content-Type'), 'application/problem+json', "$name: it is a problem";
        my $problem = json($r);
        is $problem->{status}, $status, "$name: the problem's status";
        like $problem->{detail} // '', $detail, "$name: the problem's detail";
        like $problem->{type}, qr{^/problems/[a-z-]+$}, "$name: the problem's type";
        ok length $problem->{title}, 'a title';
        is $problem->{instance} =~ m{^/}, 1, "$name: the problem's instance is a path";
    };
}

my @json = ('Content-Type' => 'application/json');
refused('broken JSON', 400, qr/^Invalid JSON at byte 5: unexpected character/, post('/jobs', '{"a":}', @json));
refused('JSON cut short', 400, qr/^Invalid JSON: unexpected end of data/, post('/jobs', '{"a":1', @json));
refused('JSON that is empty', 400, qr/^Invalid JSON: no data/, post('/jobs', '', @json));
refused('two JSON values', 400, qr/unexpected data after the end/, post('/jobs', '{} {}', @json));
refused('JSON that is not UTF-8', 400, qr/UTF-8/, post('/jobs', "\"\xff\"", @json));
refused('broken +json', 400, qr/^Invalid JSON/, post('/jobs', 'x', 'Content-Type' => 'application/merge-patch+json'));
# was a bug: the piece in flight came back after the answer, and the request was answered twice
refused(
    'a large JSON body that breaks at its end',
    400,
    qr/^Invalid JSON/,
    post('/jobs', '[' . ('"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",' x 20_000) . ']', @json));
refused('a form without boundary', 400, qr/boundary/, post('/jobs', 'x', 'Content-Type' => 'multipart/form-data'));
{
    my ($body, $type) = multipart([ image => 'x' x 400_000, 'x', 'image/png' ]);
    refused(
        'a form cut in the middle',
        400,
        qr/form is truncated/,
        post('/jobs', substr($body, 0, 300_000), 'Content-Type' => $type));
    refused(
        'a form cut in its headers',
        400,
        qr/form is truncated/,
        post('/jobs', substr($body, 0, 60), 'Content-Type' => $type));
    refused('a form that is none', 400, qr/form is truncated/, post('/jobs', 'hello', 'Content-Type' => $type));
    ($body, $type) = multipart([ image => 'x', 'a' ], [ image => 'y', 'b' ]);
    refused('a form with two files', 400, qr/twice/, post('/jobs', $body, 'Content-Type' => $type));
    ($body, $type) = multipart([ caption => 'x' ]);
    refused(
        'a form without its file',
        400,
        qr/does not contain the file "image"/,
        post('/jobs', $body, 'Content-Type' => $type));
    ($body, $type) = multipart([ image => 'x', 'a' ], [ other => 'y', 'b' ]);
    refused('a file in another field', 400, qr/"other" is a file/, post('/jobs', $body, 'Content-Type' => $type));
    ($body, $type) = multipart([ caption => "a\0b" ], [ image => 'x', 'a' ]);
    refused('a NUL in a field', 400, qr/NUL/, post('/jobs', $body, 'Content-Type' => $type));
    ($body, $type) = multipart([ caption => "\xff" ], [ image => 'x', 'a' ]);
    refused('a field that is not UTF-8', 400, qr/UTF-8/, post('/jobs', $body, 'Content-Type' => $type));
    ($body, $type) = multipart([ image => 'x', "a\xff" ]);
    refused('a file name that is not UTF-8', 400, qr/name/, post('/jobs', $body, 'Content-Type' => $type));
    ($body, $type) = multipart([ caption => 'x' x 70_000 ], [ image => 'x', 'a' ]);
    refused('fields that are too large', 413, qr/64 KB/, post('/jobs', $body, 'Content-Type' => $type));
    ($body, $type) = multipart([ image => 'x', 'a.txt', 'text/plain' ]);
    refused('a file of the wrong type', 415, qr{image/\*}, post('/pictures', $body, 'Content-Type' => $type));
    ($body, $type) = multipart([ image => '{', 'a.json', 'application/json' ]);
    refused('a file of broken JSON', 400, qr/JSON/, post('/jobs', $body, 'Content-Type' => $type));
}
refused(
    'a wrong type', 415,
    qr/^Unsupported content type text\/plain/,
    post('/json', 'x', 'Content-Type' => 'text/plain'));
refused('a garbled type', 400, qr/type\/subtype/, post('/jobs', 'x', 'Content-Type' => 'nonsense'));
refused('an encoded body', 415, qr/Content-Encoding gzip/, post('/jobs', 'x', 'Content-Encoding' => 'gzip'));
is header(post('/jobs', 'x', 'Content-Encoding' => 'br'), 'Accept-Encoding'), 'identity', 'which says what it takes';
refused('a body that is too large', 413, qr/^/, post('/small', 'x' x 20_000));
refused(
    'a chunked body that is too large',
    413, qr/^/,
    request(
        'POST', '/small',
        headers => { 'Transfer-Encoding' => 'chunked' },
        body => sprintf("%x\r\n%s\r\n0\r\n\r\n", 20_000, 'x' x 20_000)));
refused('a wrong method', 405, qr/POST/, get('/jobs'));
is header(get('/jobs'), 'Allow'), 'POST, OPTIONS', 'which says what it allows';
refused('a malformed ?wait', 400, qr/whole number/, post('/jobs?wait=soon', 'x'));
is request('OPTIONS', '/jobs')->{status}, 204, 'OPTIONS';

ok until_true('the pieces of refused uploads are removed', sub { count_jobs() == $good }), 'nothing of it was stored';

subtest 'an upload whose client leaves is removed' => sub {
    my $upload = begin_request('POST', '/jobs', headers => { 'Content-Length' => 10_000_000 }, body => 'x' x 2_000_000);
    eventually('pieces of the upload are stored',
        sub { sql('SELECT count(*) FROM await.chunk WHERE job NOT IN (SELECT id FROM await.job)') > 3 });
    $upload->close;
    eventually('they are gone', sub { count_jobs() == $good });
};

sub orphans { return sql('SELECT count(*) FROM await.chunk WHERE job NOT IN (SELECT id FROM await.job)') }

# its pieces stayed until await.purge_uploads()
subtest 'an upload whose client leaves while it waits to be sent is removed' => sub {
    my $others = Await::Session->new($s->postgres);
    $others->run('BEGIN');
    $others->run('LOCK TABLE await.job IN EXCLUSIVE MODE');
    my @sent = begin_request('POST', '/jobs', body => 'x');
    eventually(
        'its statement waits for the lock',
        sub {
            sql("SELECT count(*) FROM pg_stat_activity
                WHERE wait_event_type = 'Lock' AND application_name = 'nginx-await-write'") == 1;
        });
    push @sent, begin_request('POST', '/jobs', body => 'x');    # behind it, as the last that may be sent
    my $upload = begin_request('POST', '/jobs', body => 'x' x 100_000);
    eventually('its pieces are stored', sub { orphans() == 1 });
    $upload->close;
    eventually('nginx has noticed', sub { metric('await_inflight_submissions') == 2 });
    $others->run('ROLLBACK');
    is_deeply [ map { $_->response->{status} } @sent ], [ 202, 202 ], 'the others are stored';
    $good += 2;
    eventually('nothing else is stored', sub { count_jobs() == $good });
};

subtest 'an upload whose job PostgreSQL refuses for certain is removed' => sub {
    my $most = sql('SELECT queues FROM await.limits');
    sql('UPDATE await.limits SET queues = (SELECT count(*) FROM await.queue WHERE NOT named)');
    is post('/any?queue=one.more', 'x' x 100_000)->{status}, 503, 'a queue beyond the limit is refused';
    eventually('its pieces are gone', sub { orphans() == 0 });
    sql("UPDATE await.limits SET queues = $most");
};

subtest 'not errors: a malformed Prefer, an identity encoding' => sub {
    is post('/jobs', 'x', Prefer => 'wait=soon; =,,"')->{status}, 202, 'a malformed Prefer is passed over';
    is post('/jobs', 'x', 'Content-Encoding' => 'identity')->{status}, 202, 'the identity encoding is none';
    is post('/jobs', 'x', Prefer => 'respond-async')->{status}, 202, 'respond-async is what happens anyway';
};

subtest 'many at once join in batches, and each gets its own' => sub {
    my @requests = map { begin_request('POST', '/jobs', body => "n$_") } 1 .. 300;
    my %ids;
    for my $n (1 .. 300) { my $r = $requests[ $n - 1 ]->response; $ids{$n} = id_of($r) if $r->{status} == 202 }
    is scalar(keys %ids), 300, 'all are accepted, each under its id';
    my %stored = map { split /\|/ } split /\n/,
        sql("SELECT id, encode(payload, 'escape') FROM await.job WHERE encode(payload, 'escape') ~ '^n[0-9]+\$'");
    is_deeply [ grep { $stored{ $ids{$_} } ne "n$_" } keys %ids ], [], 'no mix-up';
};

finish();
