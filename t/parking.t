# A held client's request is given up and its connection parked (await_park). Whatever nginx does with a request at its
# end must come out as if it had been there all the time: access log, keep-alive, pipelining, TLS, realip, drain, a
# client that leaves.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use IO::Socket::SSL ();
use Test::More;

my ($tls, $narrow) = (Await::Stack::free_port(), Await::Stack::free_port());
my $files = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $files;
self_signed($files);
Await::Stack::write_file("$files/users", "ann:{PLAIN}secret\n", 0644);
my %var = (FILES => $files, TLS => $tls, NARROW => $narrow);
my $s = start_stack(http => <<'CONF', extra => <<'EXTRA' =~ s/\$\{(FILES|TLS|NARROW)\}/$var{$1}/gr);
log_format full '$status|$request|$body_bytes_sent|$request_time|$remote_addr|$request_id|$remote_user|$http_x_tag|'
    '$uri|$args|$await_delivery|$await_state|$await_id|$server_name|$connection_requests|$request_length|$host';
access_log logs/full.log full;
limit_conn_zone $server_name zone=one:1m;
map $http_x_tag $who { default ""; "~^[a-z]+$" ann; }
CONF
    listen 127.0.0.1:${NARROW} sndbuf=4k;
    listen 127.0.0.1:${TLS} ssl; ssl_certificate ${FILES}/cert.pem; ssl_certificate_key ${FILES}/key.pem;
    server_name parking.example;
    keepalive_timeout 60s;
    set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;
    location = /metrics { await_metrics; }
    location = /status { stub_status; }
    location ~ ^/off/(?<id>[^/]+)$ { await_park off; await_job $id; await_events job:$id; }
    location ~ ^/limited/(?<id>[^/]+)$ { limit_conn one 1; await_job $id; }
    location ~ ^/zipped/(?<id>[^/]+)$ { gzip on; gzip_types text/event-stream; gzip_min_length 0; await_events job:$id;
        }
    location ~ ^/long/(?<id>[^/]+)$ { await_max_buffered 1m; await_events job:$id; }
    location ~ ^/slow/(?<id>[^/]+)$ { limit_rate 1m; await_events job:$id; }
    location = /user { if ($who = "") { return 401; } await_owner $who; await_events user:$who; }
    location ~ ^/known/(?<id>[^/]+)$ { if ($who = "") { return 401; } await_job $id; }
    location ~ ^/old/(.+)$ { rewrite ^/old/(.+)$ /jobs/$1?was=old last; }
    location ~ ^/named/(?<id>[^/]+)$ { add_header X-Seen "$id $request_id $http_x_tag $remote_addr" always;
        await_job_uri /elsewhere/$id; await_job $id; }
    location ~ ^/private/(?<id>[^/]+)$ { auth_basic "here"; auth_basic_user_file ${FILES}/users;
        await_owner $remote_user; await_job $id; await_events job:$id; }
    location = /private { auth_basic "here"; auth_basic_user_file ${FILES}/users; await_owner $remote_user;
        await_submit work; }
EXTRA

sub parked { my ($n) = @_; return until_true("$n parked", sub { metric('await_parked') == $n }) }
sub last_log {
    my ($what) = @_;
    my $line;
    until_true(
        "a line of $what in the log",
        sub {
            ($line) = grep { /\Q$what\E/ } reverse split /\n/, slurp("$s->{dir}/logs/full.log");
            $line;
        });
    return split /\|/, $line // '';
}
sub ask {
    my ($path, %headers) = @_;
    return
        "GET $path HTTP/1.1\r\nHost: parking.example\r\n"
        . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers) . "\r\n";
}
sub end { my ($id) = @_; claim($id); complete($id, '{"n":1}', type => 'application/json', hint => 1) }

subtest 'a held poll' => sub {
    my $id = one_job();
    my $r = begin_raw(ask("/named/$id?wait=30", 'X-Tag' => 'seen', 'X-Real-IP' => '192.0.2.7'));
    ok parked(1), 'the poll is parked';
    is metric('await_held'), 1, 'a parked poll is held';
    end($id);
    my $answer = $r->response;
    is $answer->{status}, 200, 'it is answered';
    is json($answer)->{state}, 'completed', 'it has the state completed';
    is json($answer)->{links}{self}, "/elsewhere/$id", 'what it captured from the URL is still there';
    like header($answer, 'X-Seen'), qr/^\Q$id\E [0-9a-f]{32} seen 192\.0\.2\.7$/,
        'and variables, headers, and the address that realip gave it';
    is header($answer, 'Connection'), 'keep-alive', 'the connection is kept';
    my (
        $status, $request, $sent, $time, $address, $rid, undef, $tag, $uri,
        $args, $delivery, $state, $logged_id, $server, $nth, $length, $host
    ) = last_log("/named/$id");
    is_deeply [ $status, $request, $address, $tag, $uri, $args, $delivery, $state, $logged_id, $server, $host ],
        [
        200, "GET /named/$id?wait=30 HTTP/1.1",
        '192.0.2.7', 'seen', "/named/$id", 'wait=30', 'hold', 'completed', $id, 'parking.example', 'parking.example'
        ],
        'the access log has it all';
    like header($answer, 'X-Seen'), qr/\Q$rid\E/, 'one request id from beginning to end';
    is $sent, length $answer->{body}, 'the log has the bytes sent';
    is $nth, 1, 'it is the first request of its connection';
    cmp_ok $length, '>', 100, 'the length of the request as it came';
    cmp_ok $time, '>', 0, 'the time it was held';
    is metric('await_parked'), 0, 'nothing is parked any more';
    $r->send(ask("/jobs/$id"));
    is $r->response->{status}, 200, 'the connection goes on';
    is +(last_log("GET /jobs/$id HTTP"))[4], '127.0.0.1', 'under its own address again';
    is +(last_log("GET /jobs/$id HTTP"))[14], 2, 'as its second request';
};

subtest 'time-out, 304, text, and what came without a hint' => sub {
    my $id = one_job();
    my $etag = header(get("/jobs/$id"), 'ETag');
    my $r = begin_raw(ask("/jobs/$id", 'If-None-Match' => $etag, Prefer => 'wait=1'));
    ok parked(1), 'the poll is parked';
    is +(my $answer = $r->response)->{status}, 304, 'a wait that times out with the same ETag gets 304';
    is header($answer, 'Preference-Applied'), 'wait=1', 'Preference-Applied says what was waited';
    $r->send(ask("/jobs/$id?wait=1", Accept => 'text/plain'));
    is $r->response->{body}, 'TIMEOUT', 'text/plain: a wait that times out is the word TIMEOUT';
};

subtest 'pipelined requests wait for their turn' => sub {
    my ($one, $two) = (one_job(), one_job());
    my $r = begin_raw(ask("/jobs/$one?wait=30"));
    ok parked(1), 'the poll is parked';
    $r->send(ask("/jobs/$two") . ask("/jobs/$one?wait=30"));
    ok $r->quiet(0.3), 'those behind it are not answered';
    is metric('await_parked'), 1, 'nor parked';
    end($one);
    is json($r->response)->{id}, $one, 'the first is answered first';
    is json($r->response)->{id}, $two, 'then the second';
    is json($r->response)->{state}, 'completed', 'then the third, which sees the ending';
};

subtest 'a request with a body behind it' => sub {
    my $r = begin_raw(
        "POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nPrefer: wait=30\r\n\r\n"
        . "hello"
    );
    ok parked(1), 'the submission is parked';
    my $id = sql("SELECT id FROM await.job ORDER BY created_at DESC LIMIT 1");
    end($id);
    my $answer = $r->response;
    is $answer->{status}, 200, 'it is answered';
    is $answer->{body}, '{"n":1}', 'its body is the result';
    is header($answer, 'Content-Location'), "/jobs/$id/result", 'Content-Location names the result';
    like header($answer, 'Link'), qr{^</jobs/\Q$id\E>; rel="status"$}, 'Link names the status';
    is +(last_log('POST /jobs'))[10], 'submit', 'the log says that it was a submission';
    $r->send(ask("/jobs/$id"));
    is $r->response->{status}, 200, 'the connection goes on';
};

subtest 'a stream' => sub {
    my $id = one_job();
    my $r = begin_raw(ask("/jobs/$id/events", 'X-Tag' => 'stream'));
    ok $r->wait_event('pending'), 'the event pending arrives';
    ok parked(1), 'the stream is parked';
    claim($id);
    hint($id);
    ok $r->wait_event('processing'), 'the event processing arrives';
    sql("SELECT await.emit('$id', test.receipt('$id'), 'line', '{\"n\":$_}')") for 1 .. 5;
    complete($id, '{"n":1}', type => 'application/json', hint => 1);
    ok $r->wait_event('completed'), 'the event completed arrives';
    ok $r->read_until(sub { $_[0] =~ /\r\n0\r\n\r\n$/ }), 'it ends as a chunked body does';
    is_deeply [ map { $_->{event} } @{ $r->events } ],
        [qw(ready pending processing line line line line line completed)], 'every event once, in order';
    my @log = last_log("/jobs/$id/events");
    my ($head, $body) = split /\r\n\r\n/, $r->{buffer}, 2;
    is_deeply [ @log[ 0, 7, 10, 11, 12 ] ], [ 200, 'stream', 'sse', 'completed', $id ], 'its line in the access log';
    is $log[2], length $body, 'with the bytes of the body';
    $r->{buffer} = '';
    $r->send(ask("/jobs/$id"));
    is $r->response->{status}, 200, 'the connection goes on';
};

subtest 'a stream that has caught up at last, when its client has read' => sub {
    my $id = one_job();
    my $attempt = claim($id);
    sql("SELECT count(await.emit('$id', test.receipt('$id'), 'n', to_jsonb(repeat('x', 3000))))
        FROM generate_series(1, 90)");
    my ($before) = worker_pids();
    my @slow = map { begin_raw(ask("/long/$id"), $narrow) } 1 .. 5;
    until_true('bytes wait for them', sub { metric('await_buffered_bytes') > 0 });
    ok $_->read_until(sub { length $_[0] > 270_000 }, 30), 'each slow client gets all that was written' for @slow;
    ok parked(5), 'all streams are parked';
    is_deeply [worker_pids()], [$before], 'by the same nginx worker';
    complete($id, 'x', attempt => $attempt, hint => 1);
    ok $_->wait_event('completed'), 'each stream gets the event completed' for @slow;
};

subtest 'HTTP/1.0 has no chunks' => sub {
    my $id = one_job();
    my $r = begin_raw("GET /jobs/$id/events HTTP/1.0\r\n\r\n");
    ok $r->wait_event('pending'), 'the event pending arrives';
    ok parked(1), 'the stream is parked';
    end($id);
    ok $r->read_until(sub { 0 }, 10) || $r->{eof}, 'the stream ends with the connection';
    is_deeply [ map { $_->{event} } @{ $r->events } ], [qw(ready pending processing completed)],
        'every event once, in order';
};

subtest 'clients that leave' => sub {
    my $id = one_job();
    my @gone = map { begin_raw(ask($_)) } "/jobs/$id?wait=30&gone=poll", "/jobs/$id/events?gone=stream",
        "/jobs/$id/events?gone=page&x=1";
    ok $gone[$_]->wait_event('pending'), "stream $_ has begun" for 1, 2;
    ok parked(3), 'all three are parked';
    $_->close for @gone;
    ok parked(0), 'none is parked once they have left';
    is metric('await_held'), 0, 'none is held';
    is +(last_log('gone=poll'))[0], 499, 'the log has 499 for the poll';
    is +(last_log('gone=stream'))[0], 200, 'the log has 200 for the stream';
};

subtest 'a rewritten URL' => sub {
    my $id = one_job();
    my $r = begin_raw(ask("/old/$id?wait=30"));
    ok parked(1), 'the poll is parked';
    end($id);
    is $r->response->{status}, 200, 'it is answered';
    my @log = last_log("/old/$id");
    is $log[8], "/jobs/$id", 'is logged rewritten';
    like $log[9], qr/^was=old/, 'the arguments are logged rewritten';
};

# a map with "~^…$" has matched: nginx counts two captures then, and has no array for them
subtest 'a pattern without captures' => sub {
    my $stream = begin_request('GET', '/user', headers => { 'X-Tag' => 'known', Accept => 'text/event-stream' });
    ok $stream->wait_event('ready'), 'a stream begins';
    ok parked(1), 'and is parked';
    my $other = one_job();
    my $poll = begin_request('GET', "/known/$other?wait=20", headers => { 'X-Tag' => 'x' });
    ok parked(2), 'a poll is parked behind a location with captures';
    claim($other);
    complete($other, 'x', hint => 1);
    is json($poll->response)->{id}, $other, 'the poll is answered';
    $stream->close;
    ok parked(0), 'nothing is left';
};

subtest 'who may not see a job, and who may' => sub {
    my $ann = 'Basic YW5uOnNlY3JldA==';
    my $id = id_of(post('/private', 'x', Authorization => $ann));
    my $r = begin_raw(ask("/private/$id?wait=30", Authorization => $ann));
    ok parked(1), 'the poll is parked';
    end($id);
    is $r->response->{status}, 200, 'it is answered';
    is +(last_log("/private/$id"))[6], 'ann', 'the log has the user';
};

subtest 'where parking is not possible the request stays' => sub {
    my $id = one_job();
    my $limited = begin_raw(ask("/limited/$id?wait=30"));
    eventually('the poll is held', sub { metric('await_held') == 1 });
    is get("/limited/$id?wait=30")->{status}, 503, 'limit_conn goes on counting it';
    my $off = begin_raw(ask("/off/$id?wait=30"));
    my $stream = begin_raw(ask("/off/$id", Accept => 'text/event-stream'));
    my $slow = begin_raw(ask("/slow/$id"));
    ok $_->wait_event('pending'), 'the stream has begun' for $stream, $slow;
    my $zipped = begin_raw(ask("/zipped/$id", 'Accept-Encoding' => 'gzip'));
    eventually('all five are held', sub { metric('await_held') == 5 });
    is metric('await_parked'), 0, 'none of them is parked';
    end($id);
    is $_->response->{status}, 200, 'the poll is answered' for $limited, $off;
    ok $_->wait_event('completed'), 'the stream gets the event completed' for $stream, $slow;
    ok $zipped->read_until(sub { $_[0] =~ /Content-Encoding: gzip/ && $_[0] =~ /\r\n0\r\n\r\n$/ }),
        'the compressed stream ends as a chunked body does';
};

subtest 'TLS' => sub {
    my $connect = sub {
        IO::Socket::SSL->new(PeerAddr => '127.0.0.1', PeerPort => $tls, SSL_verify_mode => 0, Timeout => 10)
            or die "TLS: $!";
    };
    my $id = one_job();
    my ($poll, $stream, $gone) = map { $connect->() } 1 .. 3;
    print $poll ask("/jobs/$id?wait=30");
    print $stream ask("/jobs/$id/events");
    print $gone ask("/jobs/$id/events");
    ok parked(3), 'all three are parked';
    close $gone;
    ok parked(2), 'the one that left is parked no more';
    print $poll ask("/jobs/$id?wait=30&second=1");
    end($id);
    my $read = sub {
        my ($socket, $until) = @_;
        my $all = '';
        while ($all !~ $until && sysread $socket, my $bytes, 65536) { $all .= $bytes }
        return $all;
    };
    like $read->($poll, qr/"state":"completed".*"state":"completed"/s), qr/HTTP\/1\.1 200 OK.*HTTP\/1\.1 200 OK/s,
        'poll, and one behind it';
    like $read->($stream, qr/\r\n0\r\n\r\n$/), qr/event: pending.*event: completed/s, 'the stream has all its events';
    # a request that OpenSSL had decrypted already when the one before it was parked was never answered
    my $record = $connect->();
    syswrite $record,
          "POST /jobs HTTP/1.1\r\nHost: x\r\nPrefer: wait=1\r\nContent-Length: 3000\r\n\r\n"
        . 'b' x 3000
        . ask("/jobs/$id");
    $record->timeout(10);
    local $SIG{ALRM} = sub { close $record };
    my $left = alarm 60;
    like $read->($record, qr/"state":"completed"/), qr{HTTP/1\.1 202 .*HTTP/1\.1 200 OK}s, 'two in one record';
    alarm $left;
};

subtest 'many at once leave nothing behind' => sub {
    my $id = one_job();
    my ($pid) = worker_pids();
    my $active = sub { get('/status')->{body} =~ /Writing: (\d+)/; $1 };
    my ($memory, @sizes);
    for my $round (1 .. 10) {
        my @clients = map { begin_raw(ask($_ % 2 ? "/jobs/$id?wait=50" : "/jobs/$id/events")) } 1 .. 500;
        ok parked(500), "round $round: all are parked";
        is $active->(), 501, 'nginx counts them as active' if $round == 1;
        $_->close for @clients;
        ok parked(0), "round $round: none is parked once they have left";
        is $active->(), 1, 'nginx counts them no more' if $round == 1;
        push @sizes, memory_kb($pid, 'VmRSS');
    }
    # what is lost for each client shows in each round; what the allocator keeps for later, in some
    my @growth = sort { $a <=> $b } map { $sizes[$_] - $sizes[ $_ - 1 ] } 2 .. $#sizes;
    cmp_ok $growth[ @growth / 2 ], '<', $ENV{AWAIT_ASAN} ? 33_000 : 200, "memory is level: @sizes";
};

subtest 'a reload moves them on' => sub {
    my $id = one_job();
    my ($poll, $stream) = (begin_raw(ask("/jobs/$id?wait=50")), begin_raw(ask("/jobs/$id/events")));
    ok $stream->wait_event('pending'), 'the stream has begun';
    ok parked(2), 'both are parked';
    my @old = worker_pids();
    kill 'HUP', $s->pid('nginx');
    is $poll->response(20)->{status}, 200, 'the poll is answered';
    ok $stream->read_until(sub { $_[0] =~ /\r\n0\r\n\r\n$/ }, 20), 'the stream ends as a chunked body does';
    eventually('the old nginx worker is gone', sub { !grep { kill 0, $_ } @old }, 20);
};

finish();
