# What clients send costs what it weighs, whatever its shape. A form of empty fields stopped an nginx worker for
# seconds, a WebSocket message in fragments of a byte took a hundred times await_max_frame, a socket's messages had no
# budget and filled the log, and numbers that are long only when written out became gigabytes in PostgreSQL.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use Test::More;
use Time::HiRes qw(time);

my $secure = Await::Stack::free_port();
my $keys = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $keys;
self_signed($keys);
my $s = start_stack(extra => <<'CONF' =~ s/\$\{KEYS\}/$keys/gr =~ s/\$\{SECURE\}/$secure/gr);
    listen 127.0.0.1:${SECURE} ssl; ssl_certificate ${KEYS}/cert.pem; ssl_certificate_key ${KEYS}/key.pem;
    location = /metrics { await_metrics; }
    location = /forms { await_submit work file=image; }
    location = /chosen { await_submit work file=image params=a,b; }
    location = /ws { error_log logs/sockets.log info; await_socket; }
    location = /narrow { await_max_buffered 32k; await_socket; }
    location = /uploads { await_max_uploads 1m; await_submit work; }
    location = /publish { await_publish news; }
CONF
my $pid;
eventually('an nginx worker runs', sub { ($pid) = worker_pids() });

sub open_ws { my ($path) = @_; return Await::WebSocket->new($s->{port}, $path // '/ws') }
# seconds of CPU that the nginx worker has used
sub cpu { my @stat = split ' ', slurp("/proc/$pid/stat") =~ s/^.*\) //r; return ($stat[11] + $stat[12]) / 100 }
sub form {
    my ($count) = @_;
    return
        join('', map { "--b\r\nContent-Disposition:form-data;name=$_\r\n\r\n\r\n" } 1 .. $count)
        . "--b\r\nContent-Disposition: form-data; name=image\r\n\r\nx\r\n--b--\r\n";
}
sub send_form { my ($path, $body) = @_; return post($path, $body, 'Content-Type' => 'multipart/form-data; boundary=b') }

subtest 'forms' => sub {
    for my $path ('/forms', '/chosen') {
        is send_form($path, form(1000))->{status}, 202, "$path: a thousand fields";
        is send_form($path, form(1001))->{status}, 413, 'and one more';
        my $before = cpu();
        is send_form($path, form(40_000))->{status}, 413, 'and many';
        cmp_ok cpu() - $before, '<', 0.5, 'which cost little';
    }
    my $long = join '', map { "--b\r\nContent-Disposition: form-data; name=" . 'n' x 7900 . "$_\r\n\r\n\r\n" } 1 .. 9;
    is send_form('/forms', $long . form(1))->{status}, 413, 'names count as values do';
};

subtest 'a message in fragments of a byte' => sub {
    my $before = memory_kb($pid, 'VmRSS');
    my @sockets = map { open_ws() } 1 .. 20;
    my $fragments = Await::WebSocket::frame(1, '{', fin => 0) . join '',
        map { Await::WebSocket::frame(0, ' ', fin => 0) } 1 .. 20_000;
    $_->raw($fragments . Await::WebSocket::frame(9, 'all')) for @sockets;
    is $_->next_frame->{payload}, 'all', 'a ping among them is answered' for @sockets;
    cmp_ok memory_kb($pid, 'VmRSS') - $before, '<', 10_000, 'it takes what it has' unless $ENV{AWAIT_ASAN};
    cmp_ok metric('await_buffered_bytes'), '>=', 20 * 20_001, 'and is counted';
    $_->raw(Await::WebSocket::frame(0, '"op":"ping"}')) for @sockets;
    is $_->message->{op}, 'beat', 'it is one message' for @sockets;
    is metric('await_buffered_bytes'), 0, 'and given back';
    $sockets[0]->raw(Await::WebSocket::frame(1, 'x', fin => 0) . Await::WebSocket::frame(0, 'x', fin => 0) x 65_536);
    is $sockets[0]->closed, 1009, 'a message of too many fragments is closed with 1009';
    $sockets[1]->raw(chr(0x81) . chr(0xff) . pack('Q>', 1 << 62));
    is $sockets[1]->closed, 1009, 'an announcement is enough';
    $sockets[2]->raw($fragments);
    eventually('the fragments are counted', sub { metric('await_buffered_bytes') > 0 });
    $sockets[2]{socket}->close;
    eventually('they are given back when the client leaves', sub { metric('await_buffered_bytes') == 0 });
};

subtest 'codes of a close' => sub {
    for my $code (1000, 1012, 1013, 1014, 3000, 4999) {
        my $ws = open_ws();
        $ws->raw(Await::WebSocket::frame(8, pack('n', $code) . 'bye'));
        is $ws->closed, $code, "a close with $code comes back";
    }
};

subtest 'more messages than a turn takes: each is answered, in its order' => sub {
    my $ping = Await::WebSocket::frame(1, '{"op":"ping"}');
    for my $path ('/ws', '/narrow') {
        my $ws = open_ws($path);
        $ws->raw($ping x 6000 . Await::WebSocket::frame(1, '{"op":"unsubscribe","channel":"topic:t"}'));
        my @said = $ws->messages(6001);
        is scalar(grep { $_->{op} eq 'beat' } @said[ 0 .. 5999 ]), 6000, $path;
        is $said[6000]{status}, 404, "$path: the unsubscribe behind them is answered last";
    }
    my $slow = open_ws('/narrow');
    my $writer = fork // die $!;
    if (!$writer) {
        $slow->raw(
            (Await::WebSocket::frame(9, 'x' x 125) x 9 . $ping) x 8000 . Await::WebSocket::frame(8, pack 'n', 1000));
        require POSIX;
        POSIX::_exit(0);
    }
    eventually('the client that does not read has bytes waiting', sub { metric('await_buffered_bytes') > 32_000 });
    cmp_ok metric('await_buffered_bytes'), '<', 200_000, 'with a bounded part of it in memory';
    my %answers;
    while (my $frame = $slow->next_frame) { ++$answers{ $frame->{opcode} }; last if $frame->{opcode} == 8 }
    is_deeply \%answers, { 1 => 8000, 10 => 72_000, 8 => 1 }, 'then all are answered';
    waitpid $writer, 0;
    require IO::Socket::SSL;
    my $tls = IO::Socket::SSL->new(PeerAddr => '127.0.0.1', PeerPort => $secure, SSL_verify_mode => 0)
        // die 'TLS: ' . IO::Socket::SSL::errstr();
    print $tls
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        . "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: await.v1\r\n\r\n";
    print $tls $ping x 3000;
    my $seen = '';
    my $count = 0;
    until ($count >= 3000) { sysread($tls, $seen, 65536, length $seen) or last; $count = () = $seen =~ /"beat"/g }
    is $count, 3000, 'over TLS too';
};

subtest 'who is refused again and again' => sub {
    my $ws = open_ws();
    $ws->send_text('{}') for 1 .. 150;
    is scalar(grep { $_->{status} == 400 } $ws->messages(150)), 150, 'a burst is answered';
    my $before = () = slurp("$s->{dir}/logs/sockets.log") =~ /client rejected with/g;
    my $begin = time;
    my $flood = open_ws();
    $flood->raw(Await::WebSocket::frame(1, '{}') x 20_000);
    is $flood->closed, 1008, 'a flood is not';
    my $log = slurp("$s->{dir}/logs/sockets.log");
    my $after = () = $log =~ /client rejected with/g;
    cmp_ok $after - $before, '<=', 2 + time - $begin, 'a line a second at most';
};

subtest 'a hundred channels' => sub {
    my $ws = open_ws();
    my @ids = map { one_job() } 1 .. 101;
    $ws->say({ op => 'subscribe', channel => "job:$_" }) for @ids;
    my @said = $ws->messages(201);
    is_deeply [ map { $_->{status} } grep { ($_->{op} // '') eq 'error' } @said ], [429],
        'one subscription is refused: the 101st';
    $ws->say({ op => 'unsubscribe', channel => "job:$_" }) for @ids;
    @said = $ws->messages(101);
    is scalar(grep { $_->{op} eq 'unsubscribed' } @said), 100, 'a hundred subscriptions end';
};

subtest 'bodies that are not over' => sub {
    my $begin = sub {
        my ($sent, $all) = @_;
        return begin_request('POST', '/uploads', headers => { 'Content-Length' => $all }, body => 'x' x $sent);
    };
    my @stalled = map { $begin->(60_000, 1_000_000) } 1 .. 10;
    eventually('the stalled bodies are counted', sub { metric('await_uploads_bytes') >= 600_000 });
    my $large = join '', map { chr(97 + $_ % 26) x 1000 } 1 .. 3000;
    my $response = post('/uploads', $large);
    is $response->{status}, 202, 'another one, while memory is short';
    is sql(   "SELECT string_agg(bytes, '' ORDER BY n) = '$large'::bytea FROM await.chunk WHERE job = '"
            . id_of($response)
            . "'"), 't', 'is stored as it is';
    push @stalled, map { $begin->(120_000, 1_000_000) } 1 .. 20;
    eventually('some uploads are refused', sub { metric('await_refused_total{limit="uploads"}') > 0 });
    cmp_ok metric('await_uploads_bytes'), '<=', 1_300_000, 'memory is bounded';
    my @refused = grep { !$_->quiet(0) } @stalled;
    is_deeply [ map { $_->response->{status} } @refused ], [ (503) x @refused ], 'each refusal is a 503';
    $_->close for @stalled;
    eventually('all memory is given back', sub { metric('await_uploads_bytes') == 0 });
    is post('/uploads', $large)->{status}, 202, 'there is room again';
};

subtest 'what is published' => sub {
    my $of = sub { my ($body) = @_; return post('/publish', $body, 'Content-Type' => 'application/json')->{status} };
    is $of->('"' . 'x' x 49_150 . '"'), 200, '48 KB';
    is $of->('"' . 'x' x 49_151 . '"'), 413, 'and a byte more';
    is $of->('[' . '1,' x 20_000 . '1]'), 413, 'as PostgreSQL writes it';
    is $of->('[' . '1,' x 16_383 . '1]'), 200, 'which is this long at most';
    is $of->('"' . 'x' x 65_000 . '"'), 413, 'a string of 65,000 characters is refused';
    is $of->('x' x 100_000), 413, 'what is no JSON and too long is refused as too long';
    my $begin = time;
    is $of->('[' . '1e130000,' x 5000 . '1]'), 400, 'numbers that are long when written out';
    is $of->($_), 400, $_
        for '1e400', '-1E+0401', '1e-131000', '[0.1e-400]', '{"a":1000000e396}', '0e-9999999999999999999';
    is $of->($_), 200, $_ for '1e308', '[-1.7976931348623157e308, 5e-324]', '"1e400"', '0.1e-390';
    cmp_ok time - $begin, '<', 10, 'all of it within ten seconds';
};

finish();
