# A client that vanishes in the middle took the nginx worker with it: what had been answered to a dead connection was
# freed while nginx was still at it, and a submission refused in its second packet read itself after its end. So every
# action is cut at every stage (by RST, FIN, half-close, a stream's reset) over every transport, many at once; freed
# memory is overwritten (MALLOC_PERTURB_; `make asan` sees more). Afterwards the workers are the same, nothing is
# counted as held or open, and exactly those jobs exist that were answered or may have been committed. SEED= begins the
# same cases again, AWAIT_CUTS_SECONDS= is for how long, AWAIT_CUTS_ONLY= a pattern of "action over transport".

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Cutter;
use Await::Test;
use Digest::SHA qw(hmac_sha256 sha1);
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{AWAIT_CUTS_SECONDS} // 15;
my $seed = $ENV{SEED} // 1 + int rand 1e6;
my $only = $ENV{AWAIT_CUTS_ONLY} // '.';
my $at_once = 16;
alarm $seconds + 240;
$ENV{MALLOC_PERTURB_} //= 165;
diag "SEED=$seed";

# --- the servers: every way to linger, to park and to show errors, each on three ports -----------------------

my $files = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $files;
self_signed($files, 'ec -pkeyopt ec_paramgen_curve:P-256');
my $secret = 'of nobody but this test, and long enough';
Await::Stack::write_file("$files/secret", "$secret\n", 0644);

my $locations = <<'CONF' =~ s/\$\{FILES\}/$files/gr;
    ssl_certificate ${FILES}/cert.pem; ssl_certificate_key ${FILES}/key.pem;
    client_max_body_size 400k; client_body_timeout 5s; send_timeout 5s; lingering_timeout 1s;
    keepalive_timeout 3s;    # nginx keeps a connection alive whose reset it has met while it discarded a body
    location = /jobs { await_submit work file=image; }
    location = /images { await_submit work type=image/*; }
    location = /keyed { await_idempotency required; await_submit work; }
    location = /held { await_submit echo; }
    location = /one { await_max_inflight 1; await_submit work; }
    location = /asked { auth_request /allowed; await_submit work; }
    location = /forbidden { auth_request /denied; await_submit work; }
    location = /allowed { internal; return 204; }
    location = /denied { internal; return 403; }
    location ~ ^/jobs/(?<id>[^/]+)$ { await_job $id; await_events job:$id; await_socket job:$id; }
    location ~ ^/jobs/(?<id>[^/]+)/result$ { await_result $id; }
    location ~ ^/cached/(?<id>[^/]+)$ { await_cache results; await_result $id; }
    location ~ ^/slowly/(?<id>[^/]+)$ { limit_rate 400k; await_result $id; }
    location ~ ^/zipped/(?<id>[^/]+)$ { gzip on; gzip_types *; gzip_min_length 0; await_result $id;
        await_events job:$id; }
    location ~ ^/few/(?<id>[^/]+)$ { await_max_held 3; await_job $id; }
    location = /news { await_publish news; await_events topic:news; await_socket topic:news; }
    location = /page { await_events topic:news default=json; }
    location ~ ^/publish/(?<t>.*)$ { await_publish $t; }
    location = /flood { await_events topic:flood; await_publish flood; await_max_buffered 300k; }
    location = /me { await_owner $arg_u; await_events user:$arg_u topic:news; await_submit work; }
    location = /ws { await_allow topic:*; await_socket; }
    location = /ticket { await_owner $arg_u; await_ticket topic:news ttl=1h; }
    location /t/ { await_auth_ticket on; await_owner $await_user; location = /t/news { await_events topic:news;
        await_socket topic:news; } }
    location /in/ {
        await_auth_jwt here token=$arg_token; await_auth_jwt_key_file ${FILES}/secret; await_owner $await_user;
        location = /in/jobs { await_submit work; }
        location = /in/me { await_events user:$await_user; await_socket user:$await_user; }
    }
    location = /metrics { await_metrics; }
CONF

my (@servers, $site);
for my $n (0 .. 7) {
    my ($linger, $park, $shown) = map { $n >> $_ & 1 } 0 .. 2;
    my %port = map { $_ => Await::Stack::free_port() } qw(plain secure h2c);
    push @servers,
        {
        port => \%port,
        name => 'lingering_close '
            . ($linger ? 'off' : 'on')
            . ', await_park '
            . ($park ? 'off' : 'on')
            . ($shown ? ', no error_page' : '') };
    $site .=
          "server {\n"
        . ($n == 0 ? "    listen 127.0.0.1:\${PORT};\n" : '')
        . "    listen 127.0.0.1:$port{plain}; listen 127.0.0.1:$port{secure} ssl http2; "
        . "listen 127.0.0.1:$port{h2c} http2;\n"
        . ($linger ? "    lingering_close off;\n" : '')
        . ($park ? "    await_park off;\n" : '')
        . (
        $shown
        ? ''
        : "    error_page 400 401 403 404 405 406 408 409 410 413 415 416 422 426 429 503 \@problem;\n "
            . "   location \@problem { await_problem; }\n"
        ) . "$locations}\n";
}
my $s = start_stack(site => "await_reread 1h;\nawait_zone zone=results:4m;\n$site");
$s->start_worker('echo', '--queue', 'echo', '--concurrency', 4, '--content-type', 'text/plain', '--', 'cat');

# --- what the requests speak of -------------------------------------------------------------------------

my @pool;
sub job {
    @pool = split /\n/, sql("SELECT await.submit('pool', 'x', 'text/plain') FROM generate_series(1, 1000)")
        unless @pool > 1;
    return $_[0] ? pop @pool : $pool[0];
}
sub ended { my ($body) = @_; my $id = one_job(); claim($id); complete($id, $body); return $id }
my ($large, $small) = (ended('r' x 600_000), ended('made'));
my $old = '01900000-0001-7645-b3ec-99daaec2129a';
my $flood = json(post('/flood', '"' . 'f' x 40_000 . '"'))->{cursor} // die 'flood';
post('/flood', '"' . 'f' x 40_000 . '"') for 1 .. 40;
my @tickets = map { json(post('/ticket?u=ann', ''))->{ticket} // die 'ticket' } 1 .. 60;
my $token = do {
    my $data = join '.', map { encode_base64url(encode_json($_)) } { alg => 'HS256', typ => 'JWT' },
        { sub => 'ann', exp => int(time) + 36_000 };
    "$data." . encode_base64url(hmac_sha256($data, $secret));
};

my $cutter = Await::Cutter->new;
my (%stored, %whose, %seen, @wrong, @begun, %count);   # %stored: what each submission's mark may and must have led to
my $marks = 0;

# Somebody else does it, just now.
sub elsewhere {
    my ($method, $path, $body) = @_;
    $cutter->add(
        port => $servers[0]{port}{plain},
        version => 1,
        name => "$method $path",
        steps => [ [
                      send => "$method $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
                    . length($body // '')
                    . "\r\n\r\n"
                    . ($body // '')
            ],
            [ until => sub { $_[0]{in} =~ /\r\n\r\n/ }, 5 ],
            [ cut => 'fin' ] ]);
}

# --- the actions --------------------------------------------------------------------------------------------

# A request: { method, path, headers, body } and what may become of it: stores (its mark in the database), refused, held
# (answered only when `wake` is called, or for good), split (where its second packet begins), socket.
sub ask { my ($path, %o) = @_; return { method => 'GET', path => $path, %o } }
sub carry {
    my ($path, $body, %o) = @_;
    my $type = delete $o{type} // 'text/plain';
    return {
        method => 'POST',
        path => $path,
        body => $body,
        %o, headers => [ [ 'Content-Type', $type ], @{ $o{headers} // [] } ] };
}
sub marked {
    my ($request) = @_;
    $request->{mark} = "cut-$seed-" . ++$marks;
    push @{ $request->{headers} }, [ 'X-Correlation-Id', $request->{mark} ];
    return $request;
}
sub submit { return { %{ marked(carry(@_)) }, stores => 1 } }
sub refused { my ($request) = @_; return { %{ marked($request) }, refused => 1 } }
sub held {
    my ($path, %o) = @_;
    my $id = job(1);
    return ask($path =~ s/ID/$id/r, held => 1, wake => sub { elsewhere(DELETE => "/jobs/$id") }, %o);
}
sub watching {
    my ($path, %o) = @_;
    return ask($path, held => 1, wake => sub { elsewhere(POST => '/news', '"now"') }, %o);
}
sub sse { return (headers => [ [ 'Accept', 'text/event-stream' ] ]) }
sub prefer { return (headers => [ [ 'Prefer', "wait=$_[0]" ] ]) }
sub bearer { return (headers => [ [ 'Authorization', "Bearer $_[0]" ] ]) }
sub some { my ($most) = @_; return join '', map { chr 97 + rand 26 } 1 .. rand $most }
sub form { my ($body, $type) = multipart(@_); return ($body, type => $type) }
sub wrong_json {
    my $good = '{"a":' . '1' x rand 300;
    return (qq($good@@@) . 'x' x rand 2000, type => 'application/json', split => length $good);
}
# in a body that is refused, what would be a submission if it were read as a request
sub hidden {
    my $mark = "cut-$seed-hidden-" . ++$marks;
    return "POST /jobs HTTP/1.1\r\nHost: x\r\nX-Correlation-Id: $mark\r\nContent-Length: 1\r\n\r\nx" x 3;
}
sub upgrade {
    my ($path, @frames) = @_;
    return {
        method => 'GET',
        path => $path,
        socket => 1,
        headers => [
            [ Upgrade => 'websocket' ],
            [ Connection => 'Upgrade' ],
            [ 'Sec-WebSocket-Version', 13 ],
            [ 'Sec-WebSocket-Protocol', 'await.v1' ],
            [ 'Sec-WebSocket-Key', 'AAAAAAAAAAAAAAAAAAAAAA==' ]
        ],
        body => join '',
        @frames
    };
}
sub text {
    my ($payload, %o) = @_;
    my $n = length $payload;
    return
          chr(($o{fin} // 0x80) | ($o{opcode} // 1))
        . ($n < 126 ? chr(0x80 | $n) : chr(0xfe) . pack 'n', $n)
        . "\0\0\0\0$payload";
}
sub op { my ($op, $channel) = @_; return text(encode_json({ op => $op, $channel ? (channel => $channel) : () })) }

my %actions = (
    'submit' => sub { submit('/jobs', some(300)) },
    'submit nothing' => sub { submit('/jobs', '') },
    'submit JSON' => sub { submit('/jobs', '{"a":"' . some(3000) . '"}', type => 'application/json') },
    'submit form' =>
        sub { submit('/jobs', form([ 'a', some(50) ], [ 'image', some(5000), 'a.png', 'image/png' ], [ 'b', 'c' ])) },
    'submit large' => sub { submit('/jobs', 'l' x (70_000 + rand 300_000), h1 => 1) },
    'submit large form' => sub {
        submit('/jobs', form([ 'image', 'l' x (70_000 + rand 300_000), 'a.bin', 'application/octet-stream' ]), h1 => 1);
    },
    'submit keyed' => sub { submit('/keyed', 'k', headers => [ [ 'Idempotency-Key', qq("$seed-$marks") ] ]) },
    'submit keyed again' => sub {
        my $n = int rand 5;
        return { %{ submit('/keyed', "k$n", headers => [ [ 'Idempotency-Key', qq("again-$n") ] ]) }, twice => 1 };
    },
    'submit held' => sub { submit('/held', some(200), prefer(20), slow => 0.08) },
    'submit held large' => sub { submit('/held', 'h' x rand 60_000, prefer(20), slow => 0.08) },
    'submit held for good' => sub { submit('/jobs', some(200), prefer(20), held => 1) },
    'submit one at a time' => sub { my $r = submit('/one', some(2000), full => 1) },
    'submit asked for' => sub { submit('/asked', some(2000)) },
    'submit of a user' => sub { submit('/me?u=ann', some(100)) },
    'submit by token' => sub { submit('/in/jobs', some(100), bearer($token)) },
    'submit expecting' => sub { submit('/jobs', some(400), headers => [ [ 'Expect', '100-continue' ] ]) },
    'publish' => sub { carry('/news', '{"n":"' . some(1000) . '"}') },
    'ticket' => sub { carry('/ticket?u=ann', '{"channels":["topic:news"]}') },
    'poll' => sub { ask('/jobs/' . job()) },
    'poll an ended one' => sub { ask("/jobs/$small") },
    'poll held' => sub { held('/jobs/ID?wait=20') },
    'poll held by Prefer' => sub { held('/jobs/ID', prefer(20)) },
    'poll held shortly' => sub { ask('/jobs/' . job() . '?wait=1', slow => 0.2) },
    'poll few' => sub { held('/few/ID?wait=20', full => 1) },
    'head of a job' => sub { +{ %{ ask("/jobs/$small") }, method => 'HEAD', headless => 1 } },
    'cancel' => sub { +{ %{ ask('/jobs/' . job(1)) }, method => 'DELETE' } },
    'result' => sub { ask("/jobs/$small/result") },
    'result held' => sub { held('/jobs/ID/result', prefer(20)) },
    'result large' => sub { ask("/jobs/$large/result", big => 1) },
    'result slowly' => sub { ask("/slowly/$large", big => 1) },
    'result zipped' => sub { ask("/zipped/$large", headers => [ [ 'Accept-Encoding', 'gzip' ] ]) },
    'result cached' => sub { ask("/cached/$small") },
    'result range' => sub { ask("/jobs/$large/result", headers => [ [ 'Range', 'bytes=1000-400000' ] ], big => 1) },
    'stream' => sub { held('/jobs/ID', sse()) },
    'stream zipped' => sub {
        held('/zipped/ID', sse(), headers => [ [ 'Accept', 'text/event-stream' ], [ 'Accept-Encoding', 'gzip' ] ]);
    },
    'stream of an ended one' => sub { ask("/jobs/$small", sse()) },
    'stream of one forgotten' => sub { ask("/jobs/$old?cursor=x", sse()) },
    'stream of a topic' => sub { watching('/news', sse()) },
    'stream of a user' => sub { watching('/me?u=ann', sse()) },
    'stream by token' => sub { watching("/in/me?token=$token", sse(), still => 1) },
    'stream by ticket' => sub { watching('/t/news?ticket=' . $tickets[ rand @tickets ], sse(), full => 1) },
    'stream by the megabyte' => sub {
        ask("/flood?cursor=$flood", sse(), held => 1, big => 1, wake => sub { elsewhere(POST => '/flood', '"more"') });
    },
    'page' => sub { ask('/page') },
    'page held' => sub { watching("/page?wait=20&cursor=$flood") },
    'page held of a job' => sub { held('/jobs/ID?wait=20', headers => [ [ 'Accept', 'application/json' ] ]) },
    'socket' => sub {
        my $id = job();
        upgrade(
            '/ws', op('subscribe', "job:$id"), op('ping'),
            op('subscribe', 'topic:news'),
            op('unsubscribe', "job:$id"));
    },
    'socket of a job' => sub {
        my $id = job(1);
        return { %{ upgrade("/jobs/$id", op('ping')) }, held => 1, wake => sub { elsewhere(DELETE => "/jobs/$id") } };
    },
    'socket of a topic' => sub {
        return {
            %{ upgrade('/news', text('{"op":', fin => 0), text('', opcode => 9), text('"ping"}', opcode => 0)) },
            held => 1,
            wake => sub { elsewhere(POST => '/news', '"now"') } };
    },
    'socket by the megabyte' => sub {
        return {
            %{
                upgrade('/ws', text(encode_json({ op => 'subscribe', channel => 'topic:flood', cursor => $flood })))
            },
            big => 1
        };
    },
    'socket by ticket' =>
        sub { return { %{ upgrade('/t/news?ticket=' . $tickets[ rand @tickets ], op('ping')) }, full => 1 } },
    'socket with rubbish' => sub { upgrade('/ws', op('ping'), 'rubbish' x 5) },
    'socket that says goodbye' => sub { upgrade('/ws', op('ping'), text(pack('n', 1000), opcode => 8)) },
    'metrics' => sub { ask('/metrics') },
    # refused, each where it can be: before the body, in it, at its end
    'no JSON' => sub { refused(carry('/jobs', wrong_json())) },
    'no JSON at the end' => sub { refused(carry('/jobs', '{"a":[1,2', type => 'application/json')) },
    'no JSON in a large one' => sub {
        refused(carry('/jobs', '["' . 'l' x (70_000 + rand 200_000) . '",@]', type => 'application/json', h1 => 1));
    },
    'no JSON in a form' => sub {
        refused(
            carry('/jobs', form([ 'image', '{"a":@@@' . 'x' x rand 3000, 'a.json', 'application/json' ]),
                split => 150));
    },
    'no form' =>
        sub { refused(carry('/jobs', 'no form at all' . hidden(), type => 'multipart/form-data; boundary=b')) },
    'form without a file' => sub { refused(carry('/jobs', form([ 'a', 'b' ]))) },
    'form with two files' =>
        sub { refused(carry('/jobs', form([ 'image', 'a', 'a' ], [ 'image', 'b', 'b' ]), split => 120)) },
    'form without a boundary' => sub { refused(carry('/jobs', hidden(), type => 'multipart/form-data')) },
    'wrong type' => sub { refused(carry('/images', hidden())) },
    'wrong encoding' => sub { refused(carry('/jobs', hidden(), headers => [ [ 'Content-Encoding', 'gzip' ] ])) },
    'wrong correlation' => sub { my $r = refused(carry('/jobs', hidden())); $r->{headers}[-1][1] .= 'x' x 300; $r },
    'wrong wait' => sub { refused(carry('/jobs?wait=x', hidden())) },
    'wrong key' => sub { refused(carry('/keyed', hidden(), headers => [ [ 'Idempotency-Key', '"' ] ])) },
    'no key' => sub { refused(carry('/keyed', hidden())) },
    'too large' => sub { refused(carry('/jobs', 'l' x 420_000, h1 => 1)) },
    'too large, said in the head' =>
        sub { refused(carry('/jobs', hidden(), headers => [ [ 'Content-Length', 99_000_000 ] ], unsaid => 1)) },
    'wrong method' => sub { +{ %{ refused(carry('/jobs', hidden())) }, method => 'PUT' } },
    'wrong method of a job' => sub { +{ %{ refused(carry('/jobs/' . job(), hidden())) } } },
    'foreign origin' => sub { refused(carry('/jobs', hidden(), headers => [ [ 'Origin', 'https://evil.example' ] ])) },
    'foreign origin of a DELETE' => sub {
        +{
            %{ refused(ask('/jobs/' . job(), headers => [ [ 'Origin', 'https://evil.example' ] ])) },
            method => 'DELETE'
        };
    },
    'not allowed' => sub { refused(carry('/forbidden', hidden())) },
    'no owner' => sub { refused(carry('/me', hidden())) },
    'no token' => sub { refused(carry('/in/jobs', hidden())) },
    'wrong token' => sub { refused(carry('/in/jobs', hidden(), bearer("x$token"))) },
    'no ticket' => sub { refused(ask('/t/news', sse())) },
    'wrong ticket' => sub { refused(ask("/t/news?ticket=$tickets[0]x", sse())) },
    'ticket for others' => sub { refused(carry('/ticket?u=ann', '{"channels":["user:bob"]}')) },
    'ticket for nothing' => sub { refused(carry('/ticket?u=ann', '@@@' . hidden())) },
    'publish no JSON' => sub { refused(carry('/news', '{"n":@@' . hidden())) },
    'publish too much' => sub { refused(carry('/news', '"' . 'p' x 66_000 . '"', h1 => 1)) },
    'publish nowhere' => sub { refused(carry('/publish/%20', hidden())) },
    'no such job' => sub { refused(ask("/jobs/0$old")) },
    'no such job held' => sub { refused(ask('/jobs/' . job() =~ s/.$/x/r . '?wait=20', headers => [])) },
    'forgotten job' => sub { refused(ask("/jobs/$old")) },
    'wrong range' => sub { refused(ask("/jobs/$small/result", headers => [ [ 'Range', 'bytes=1000-' ] ])) },
    'no socket' => sub { refused(ask('/ws')) },
    'socket of another version' => sub {
        my $r = upgrade('/ws');
        $r->{headers}[2][1] = 7;
        delete $r->{body};
        return { %{ refused($r) }, socket => 0, h1 => 1 };
    },
);

# --- stages -----------------------------------------------------------------------------------------------------

my %transports = (
    plain => { port => 'plain', version => 1 },
    TLS => { port => 'secure', version => 1, tls => 1 },
    h2c => { port => 'h2c', version => 2 },
    'HTTP/2' => { port => 'secure', version => 2, tls => 1 });
my @transports = (('plain') x 5, ('TLS') x 2, ('h2c') x 2, 'HTTP/2');
my @stages = qw(part head first middle last all state race answering answered again);

sub pause { return [ pause => rand($_[0]) ] }
sub pick { return $_[ rand @_ ] }
# Bytes as one packet or some.
sub pieces {
    my ($bytes, @at) = @_;
    push @at, map { 1 + int rand length $bytes } 1 .. rand 3 if length $bytes > 2;
    my ($from, @steps) = (0);
    for my $to ((sort { $a <=> $b } grep { $_ > 0 && $_ < length $bytes } @at), length $bytes) {
        push @steps, [ send => substr $bytes, $from, $to - $from ], pause(0.004);
        $from = $to;
    }
    pop @steps;
    return @steps;
}

sub http1 {
    my ($r) = @_;
    my $body = $r->{body};
    my @headers = ([ Host => 'localhost' ], @{ $r->{headers} // [] });
    if (defined $body && !$r->{socket} && !$r->{unsaid}) {
        if (!$r->{split} && rand() < 0.3 && length $body) {
            push @headers, [ 'Transfer-Encoding', 'chunked' ];
            my $in = 1 + int rand length $body;
            $body = join('',
                map { length ? sprintf("%x\r\n%s\r\n", length, $_) : '' } substr($body, 0, $in),
                substr $body, $in)
                . "0\r\n\r\n";
        } else { push @headers, [ 'Content-Length', length $body ] }
    }
    return ("$r->{method} $r->{path} HTTP/1.1\r\n" . join('', map { "$_->[0]: $_->[1]\r\n" } @headers) . "\r\n",
        $body // '');
}

# The head's frame, and those of the body.
sub http2 {
    my ($r, $stream, $tls) = @_;
    my $body = $r->{body};
    my @headers = (
        [ ':method', $r->{method} ],
        [ ':path', $r->{path} ],
        [ ':scheme', $tls ? 'https' : 'http' ],
        [ ':authority', 'localhost' ],
        @{ $r->{headers} // [] });
    push @headers, [ 'content-length', length $body ] if defined $body && !$r->{unsaid} && rand() < 0.5;
    my $block = join '', map { Await::Cutter::literal(lc $_->[0], $_->[1]) } @headers;
    my @data;
    my $most = pick(10, 300, 16384, 16384);
    $most = 16384 if length($body // '') > 5000;
    for (my $at = 0; defined $body && $at < length $body;) {
        my $n = @data == 0 && $r->{split} ? $r->{split} : $most;
        push @data, Await::Cutter::frame(0, 0, $stream, substr $body, $at, $n);
        $at += $n;
    }
    substr $data[-1], 4, 1, "\1" if @data;
    return (Await::Cutter::frame(1, @data ? 4 : 5, $stream, $block), @data);
}

sub is_answered {
    my ($c) = @_;
    collect($c);
    return $c->{version} == 1 ? @{ $c->{answers} } > 0 : Await::Cutter::stream($c)->{ended};
}
sub is_answering {
    my ($c, $n) = @_;
    collect($c);
    return $c->{version} == 1
        ? @{ $c->{answers} } || length $c->{in} >= $n
        : Await::Cutter::stream($c)->{status} && Await::Cutter::stream($c)->{bytes} >= $n;
}
sub is_begun {
    my ($c) = @_;
    collect($c);
    return is_answered($c) || $c->{in} =~ /ready|101 S/ || Await::Cutter::stream($c)->{body} =~ /ready/;
}
sub collect {
    my ($c) = @_;
    return Await::Cutter::frames($c) if $c->{version} == 2;
    while (@{ $c->{answers} } < 2 && (my $answer = Await::Cutter::answer($c))) {
        push @{ $c->{answers} }, $answer;
        last if $answer->{close};
    }
}

# What is done after all has been sent.
sub after {
    my ($r, $stage) = @_;
    my @wake = $r->{wake} ? [ call => $r->{wake} ] : ();
    my $slow = $r->{slow} // 0.02;
    my $read = $r->{big} ? 30_000 : 400;
    return () if $stage eq 'all';
    return rand() < 0.5 ? [ until => \&is_begun, $slow ] : pause($slow) if $stage eq 'state';
    return (pause($slow), @wake, rand() < 0.7 ? () : pause(0.003)) if $stage eq 'race';
    return (pause(0.01), @wake, [ until => sub { is_answering($_[0], 1 + rand $read) }, 0.5 ]) if $stage eq 'answering';
    return (pause(0.005), @wake, [ until => \&is_answered, $r->{held} ? 0.2 : 10 ]);
}

# The next request on the connection is answered as if nothing had been.
sub again {
    my ($c) = @_;
    my $answer = $c->{answers}[0];
    return if !$answer || $answer->{close} || $c->{eof} || $c->{broken} || length $c->{in};
    splice @{ $c->{steps} }, 1, 0, [ send => "GET /jobs/$small HTTP/1.1\r\nHost: x\r\n\r\n" ],
        [ until => sub { collect($_[0]); @{ $_[0]{answers} } > 1 }, 20 ], [
        call => sub {
            my $next = $_[0]{answers}[1];
            push @wrong,
                "$c->{name}: the next request is answered " . ($next ? $next->{status} : "nothing, but $c->{in}")
                unless ($next && $next->{status} == 200) || $_[0]{eof};
        }
        ];
}

# And other streams of a connection live on.
sub ping {
    return (
        [ send => Await::Cutter::frame(6, 0, 0, 'pingpong') ],
        [ until => sub { Await::Cutter::frames($_[0]); $_[0]{pong} || $_[0]{goaway} || $_[0]{eof} }, 20 ],
        [
            call => sub {
                push @wrong, "$_[0]{name}: no answer to a PING"
                    unless $_[0]{pong} || $_[0]{goaway} || $_[0]{broken} || $_[0]{eof};
            }
        ]);
}

sub steps1 {
    my ($r, $stage, $how, $c) = @_;
    my ($head, $body) = http1($r);
    my $n = length $body;
    $stage = pick(qw(part all)) if !$n && $stage =~ /^(head|first|middle|last)$/;
    my @cut =
        $how eq 'half'
        ? ([ cut => 'half' ], [ until => sub { $_[0]{eof} }, 0.1 + rand 0.2 ], [ cut => pick(qw(fin rst)) ])
        : [ cut => $how ];
    my %begun = (
        part => substr($head, 0, rand length $head),
        head => $head,
        first => $head . substr($body, 0, 1),
        middle => $head . substr($body, 0, rand $n),
        last => $head . substr($body, 0, $n - 1));
    @$c{qw(stage whole)} = ($stage, !exists $begun{$stage} || $begun{$stage} eq "$head$body");
    return (rand() < 0.5 ? [ send => $begun{$stage} ] : pieces($begun{$stage}, length $head),
        rand() < 0.5 ? () : pause(0.01), @cut)
        if exists $begun{$stage};
    my @sent =
        $r->{split} && rand() < 0.7
        ? (
        [ send => $head . substr $body, 0, $r->{split} ],
        [ pause => 0.003 + rand 0.01 ],
        [ send => substr $body, $r->{split} ])
        : rand() < 0.5 ? [ send => $head . $body ]
        : pieces($head . $body, length $head);
    if ($c->{second}) { $sent[-1][1] .= join '', http1($c->{second}) }
    return (@sent, after($r, $stage), $stage eq 'again' && !$c->{second} ? [ call => \&again ] : (), @cut);
}

sub steps2 {
    my ($r, $stage, $how, $c) = @_;
    my @frames = (Await::Cutter::preface(window => pick(0, 100, 65535, 1 << 20), credit => pick(0, 1 << 24)));
    for my $other (@{ $c->{others} }) { push @frames, http2($other, $c->{stream}, $c->{tls}); $c->{stream} += 2 }
    my ($head, @data) = http2($r, $c->{stream}, $c->{tls});
    $stage = pick(qw(part all)) if !@data && $stage =~ /^(head|first|middle|last)$/;
    my $body = join '', @data;
    my %begun = (
        part => substr($head, 0, rand length $head),
        head => $head,
        first => $head . substr($body, 0, 10),
        middle => $head . substr($body, 0, rand length $body),
        last => $head . substr($body, 0, length($body) - 1));
    @$c{qw(stage whole)} = ($stage, !exists $begun{$stage} || $begun{$stage} eq "$head$body");
    my @cut =
        $how eq 'half'
        ? ([ cut => 'half' ], [ until => sub { $_[0]{eof} }, 0.1 + rand 0.2 ], [ cut => 'fin' ])
        : $how eq 'reset' ? (
        [ send => Await::Cutter::frame(3, 0, $c->{stream}, pack 'N', 8) ],
        rand() < 0.7 ? ping() : (),
        [ cut => pick(qw(fin rst)) ])
        : [ cut => $how ];
    if (exists $begun{$stage}) {
        # a stream's reset stands between frames
        $begun{$stage} = $stage eq 'part' ? '' : join '', $head,
            @data[ 0 .. ($stage eq 'head' ? -1 : $stage eq 'last' ? $#data - 1 : int(rand @data) - 1) ]
            if $how eq 'reset';
        @cut = [ cut => 'fin' ] if $how eq 'reset' && $stage eq 'part';
        return (pieces(join('', @frames) . $begun{$stage}), rand() < 0.5 ? () : pause(0.01), @cut);
    }
    my @sent =
        rand() < 0.5
        ? [ send => join '', @frames, $head, @data ]
        : ([ send => join '', @frames, $head ], map { (pause(0.004), [ send => $_ ]) } @data);
    return (@sent, after($r, $stage), @cut);
}

# --- one case ------------------------------------------------------------------------------------------------

my @names = sort keys %actions;
# The n-th of this seed, or what is asked for.
sub begin {
    my ($n, %o) = @_;
    srand unpack 'L', sha1("$seed $n");      # seeds that are neighbours begin alike
    my ($server, $transport, $name, $stage) = (
        $o{server} // pick(@servers),
        $o{transport} // pick(@transports),
        $o{name} // pick(@names),
        $o{stage} // pick(@stages));
    my $r = $actions{$name}->();
    $r->{name} = $name;
    my %by = %{ $transports{$transport} };
    return if "$name over $transport" !~ /$only/ || $by{version} == 2 && ($r->{socket} || $r->{h1});
    my $how = $o{how}
        // pick(qw(rst rst rst fin half), $by{tls} ? 'notify' : (), $by{version} == 2 ? qw(reset reset) : ());
    my $c = { name => $name, stream => 1, answers => [], tls => $by{tls}, request => $r };
    my $company = !$o{name} && rand() < 0.2 && !$r->{socket} && !$r->{unsaid};
    $c->{second} = pick(
        sub { submit('/jobs', 'behind') },
        sub { held('/jobs/ID?wait=20') },
        $actions{'no JSON at the end'},
        $actions{result}, $actions{stream}
    )->()
        if $company && $by{version} == 1;
    $c->{others} = $company && $by{version} == 2
        ? [
        map {
            pick(map { $actions{$_} } 'submit',
                'poll held', 'stream', 'no JSON', 'submit held', 'stream by the megabyte')->()
        } 1 .. 1 + rand 3
        ]
        : [];
    my @steps = $by{version} == 1 ? steps1($r, $stage, $how, $c) : steps2($r, $stage, $how, $c);
    if ($by{tls} && $c->{stage} eq 'part' && rand() < 0.5) {    # no handshake, or some bytes of one
        @$c{qw(tls second others)} = (0, undef, []);
        @by{qw(tls version)} = (0, 1);
        my $hello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'r' x 32;
        @steps = (
            [ send => pick(substr($hello, 0, rand length $hello), "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n") ],
            pause(0.01), [ cut => $how =~ /rst|fin/ ? $how : 'rst' ]);
    }
    for my $one (grep { $_ && $_->{mark} } $r, $c->{second}, @{ $c->{others} }) {
        $stored{ $one->{mark} } =
            $one->{stores} && ($one != $r || $c->{whole}) && ($one != ($c->{second} // 0) || $c->{whole}) ? 1 : 0;
    }
    $c->{name} =
          "$n: $name over $transport, cut by $how at '$c->{stage}'"
        . ($company ? ', in company' : '')
        . ", $server->{name}";
    push @begun, $c->{name};
    $whose{ $_->{mark} } = $c->{name} for grep { $_ && $_->{mark} } $r, $c->{second}, @{ $c->{others} };
    shift @begun if @begun > 60;
    ++$count{begun}; ++$count{ $c->{stage} };
    my $client = $cutter->add(
        %$c,
        port => $server->{port}{ $by{port} },
        version => $by{version},
        narrow => $r->{big} && rand() < 0.5,
        steps => \@steps,
        done => \&judge
    );
    $begun[-1] .= ', from port ' . $client->{socket}->sockport;
    return 1;
}

sub judge {
    my ($c) = @_;
    collect($c);
    my $r = $c->{request};
    my @statuses =
        $c->{version} == 1
        ? (map({ $_->{status} } @{ $c->{answers} }), $c->{in} =~ m{^HTTP/1\.1 (?!100)(\d{3}) })
        : Await::Cutter::stream($c)->{status} // ();
    my $status = $statuses[0] or return;
    $seen{ $r->{name} } //= $status;
    my $good = $status =~ /^\d+$/ && $status < 400;
    ++$count{answers};
    push @wrong, "$c->{name}: answered $status"
        if $status !~ /^\d{3}$/ || $status == 500 || ($good && ($r->{refused} || (!$c->{whole} && $status != 101)));
    $stored{ $r->{mark} } = 2 if $r->{stores} && !$r->{twice} && $good && $stored{ $r->{mark} };
    $stored{ $c->{second}{mark} } = 2 if $c->{second} && $c->{second}{stores} && ($statuses[1] // 0) == 202;
}

# --- and all of them -------------------------------------------------------------------------------------------

sub descriptors { my ($pid) = @_; my @all = glob "/proc/$pid/fd/*"; return scalar @all }
# What is still connected to which server.
sub connections {
    my ($pid) = @_;
    my %its = map { (readlink // '') =~ /socket:\[(\d+)\]/ ? ($1 => 1) : () } glob "/proc/$pid/fd/*";
    my %server = map {
        my $server = $_;
        map { $server->{port}{$_} => "$_, $server->{name}" } keys %{ $server->{port} }
    } @servers;
    return map {
        my ($local, $peer, $state, $inode) = (split)[ 1 .. 3, 9 ];
        my $port = hex((split /:/, $local)[1] // 0);
        $its{ $inode // '' } && $server{$port} && $state ne '0A'
            ? "state $state from port " . hex((split /:/, $peer)[1]) . ": $server{$port}"
            : ()
    } split /\n/, slurp('/proc/net/tcp');
}
my %read;
sub harmed {
    my ($pid) = @_;
    my @now = worker_pids();
    return "the nginx worker is another: @now, not $pid" if "@now" ne $pid;
    for my $path (map { "$s->{dir}/logs/$_.log" } qw(error nginx)) {
        open my $file, '<', $path or next;
        seek $file, $read{$path} // 0, 0;
        while (<$file>) { chomp; return $_ if /\[(alert|emerg)\]|Sanitizer/ }
        $read{$path} = tell $file;
    }
    return undef;
}

get("/jobs/$small") for 1 .. 3;
my ($worker) = worker_pids();
my ($before) = descriptors($worker);

# first each of them is done, so that it is known to be what its name says
for my $name (@names) {
    begin($name, server => $servers[0], transport => 'plain', name => $name, stage => 'answered', how => 'fin');
    $cutter->turn while $cutter->busy >= $at_once;
}
$cutter->turn while $cutter->busy;
sub is_itself {
    my ($name) = @_;
    my ($r, $status) = ($actions{$name}->(), $seen{$name} // 0);
    return 1 if "$name over plain" !~ /$only/ || $r->{full} || $r->{held} && ($status == 0 || $status == 410);
    return $r->{refused} ? $status >= 400 : $status > 100 && $status < 400;
}
is_deeply { map { $_ => $seen{$_} } grep { !is_itself($_) } @names }, {}, 'each action is what its name says';
my ($start, $n, $look, $storm, $harm) = (time, 0, time + 0.5, time + 1);
while (time < $start + $seconds && !$harm) {
    for (1 .. 1000) { last if $cutter->busy >= $at_once; begin(++$n) }
    $cutter->turn;
    if (time >= $look) { $harm = harmed($worker); $look = time + 0.5 }
    if (time >= $storm) { $cutter->vanish($_, 'rst') for $cutter->clients; $storm = time + 1 }    # all at one moment
}
my ($took, $last) = (time - $start, time + 30);
$cutter->turn while $cutter->busy && time < $last;
$cutter->vanish($_, 'fin') for $cutter->clients;

$harm //=
      until_true('the service answers', sub { get('/metrics')->{status} == 200 }, 10)
    ? harmed($worker)
    : 'no answer any more';
is $harm, undef, "nothing is harmed by " . ($count{begun} // 0) . " cuts"
    or diag join "\n", "SEED=$seed; the last of $n:", @begun;
is_deeply \@wrong, [], 'what was answered is as it should be';
subtest 'nothing is left behind' => sub {
    my @gauges =
        qw(await_held await_parked await_sockets await_watched_jobs await_inflight_submissions await_inflight_reads
            await_buffered_bytes);
    my %left;
    until_true(
        'all gauges at 0',
        sub {
            my $all = get('/metrics')->{body};
            %left = map { $all =~ /^\Q$_\E (-?\d+)$/m ? ($_ => $1) : ($_ => 'missing') } @gauges;
            return !grep { $_ ne "0" } values %left;
        },
        20
    );
    is_deeply \%left, { map { $_ => 0 } @gauges }, 'gauges';
    until_true('descriptors as before', sub { descriptors($worker) <= $before }, 20);
    cmp_ok descriptors($worker), '<=', $before, 'descriptors' or diag join "\n", connections($worker);
    is post('/jobs', 'after')->{status}, 202, 'it takes jobs';
    is get("/jobs/$large/result")->{body}, 'r' x 600_000, 'and gives results';
};
subtest 'the jobs there are' => sub {
    my %there;
    $there{$_}++ for split /\n/, sql("SELECT correlation_id FROM await.job WHERE correlation_id LIKE 'cut-%'");
    is_deeply [ map { "$_: " . ($whose{$_} // 'hidden') } grep { !$stored{$_} } sort keys %there ], [],
        'none of a request that was refused, cut too early or never was one';
    is_deeply [ grep { $there{$_} > 1 } sort keys %there ], [], 'none twice';
    is_deeply [ map { "$_: $whose{$_}" } grep { $stored{$_} == 2 && !$there{$_} } sort keys %stored ], [],
        'all that were answered';
};
note sprintf 'cuts: %d in %.0f s, %d of them answered; %s', delete $count{begun} // 0, $took,
    delete $count{answers} // 0, join ', ', map { "$count{$_} $_" } grep { $count{$_} } @stages;
finish();
