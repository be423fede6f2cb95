# A refusal is one answer to one request, whatever refuses, whenever, over whatever connection, with or without an error_page:
# refused submissions were stored and run, a refused body was read as the next request (and its answer given to another client of
# the same proxy), requests over a limit were answered 503 and held all the same. So a request hides in every refused body here.
# The table below has every refusal that src/http can give; one that is added there and not here fails the last part.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Http1;
use Await::Http2;
use Await::Test;
use Await::WebSocket;
use IO::Handle;
use JSON::PP;
use List::Util qw(uniq);
use Test::More;
use Time::HiRes qw(time);

my $ROOT = $Await::Stack::ROOT;
my $SOON = 4;      # seconds within which a refusal is there; what is held instead would be for thirty

# --- the table ------------------------------------------------------------------------------------------

# What each action is where nothing refuses; QUEUE becomes a queue of the row's own.
my %ACTIONS = (
    submit  => { conf => 'await_submit QUEUE;', method => 'POST' },
    publish => { conf => 'await_publish open;', method => 'POST', unscoped => 1 },
    ticket  => { conf => 'await_ticket topic:open;', method => 'POST' },
    job     => { conf => 'await_job $arg_id;', method => 'GET', args => 'id={pending}' },
    cancel  => { conf => 'await_job $arg_id;', method => 'DELETE', args => 'id={kept}' },
    result  => { conf => 'await_result $arg_id;', method => 'GET', args => 'id={done}' },
    events  => { conf => 'await_events job:$arg_id;', method => 'GET', args => 'id={pending}' },
    page    => { conf => 'await_events job:$arg_id default=json;', method => 'GET', args => 'id={pending}&wait=30' },
    socket  => { conf => 'await_allow topic:open; await_socket;', method => 'GET', headers => [ [ Upgrade => 'websocket' ], [ Connection => 'keep-alive, Upgrade' ],
        [ 'Sec-WebSocket-Version' => 13 ], [ 'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==' ], [ 'Sec-WebSocket-Protocol' => 'await.v1' ] ] },
    metrics => { conf => 'await_metrics;', method => 'GET', unscoped => 1 },
    problem => { conf => 'await_problem;', method => 'GET', unscoped => 1, open => 1 },
);
# Of the settings in add_action(), the ones whose action has another name here.
my %ALSO = (events => [qw(events page)]);

my $JSON = [ 'Content-Type' => 'application/json' ];
my $FORM = [ 'Content-Type' => 'multipart/form-data; boundary=b' ];
my $WAIT = [ Prefer => 'wait=30' ];
my $UPLOAD = 'await_submit QUEUE file=image;';
sub part { my ($disposition, $value, @lines) = @_; return "--b\r\nContent-Disposition: form-data; $disposition\r\n" . join('', map { "$_\r\n" } @lines) . "\r\n$value\r\n" }
my $FILE = part('name="image"; filename="a.png"', 'png', 'Content-Type: image/png');
my $TAIL = part('name="note"', '<HIDDEN>') . "--b--\r\n";

# Rows: action, status, name, and of: conf, method, args, headers, body (<HIDDEN>: the request within), at (head: known by the head;
# mid: by what has come of the body; end: by all of it), own (0: it is nginx's own refusal, in its own words where error_page does
# not name it), phase, ways, shapes (all, unless it says which), upgraded (what it is where no upgrade can be: 426).
my @ROWS = (
    [ submit => 400, 'queue', conf => 'await_submit $arg_q;', args => 'q=a%20b' ],
    [ submit => 400, 'wait', args => 'wait=soon' ],
    [ submit => 415, 'coding', headers => [ [ 'Content-Encoding' => 'gzip' ] ] ],
    [ submit => 415, 'coding held', headers => [ [ 'Content-Encoding' => 'gzip' ], $WAIT ] ],
    [ submit => 415, 'coding of JSON', headers => [ [ 'Content-Encoding' => 'br' ], $JSON ] ],
    [ submit => 400, 'type', headers => [ [ 'Content-Type' => 'nonsense' ] ] ],
    [ submit => 400, 'type held', headers => [ [ 'Content-Type' => 'nonsense' ], $WAIT ] ],
    [ submit => 415, 'types', conf => 'await_submit QUEUE type=application/json;', headers => [ [ 'Content-Type' => 'image/png' ] ] ],
    [ submit => 415, 'types of none', conf => 'await_submit QUEUE type=image/*;' ],
    [ submit => 400, 'correlation', headers => [ [ 'X-Correlation-Id' => 'x' x 300 ] ] ],
    [ submit => 400, 'correlation bytes', headers => [ [ 'X-Correlation-Id' => "\xff" ] ] ],
    [ submit => 400, 'key', headers => [ [ 'Idempotency-Key' => '"half' ] ] ],
    [ submit => 400, 'key held', headers => [ [ 'Idempotency-Key' => '"half' ], $WAIT ] ],
    [ submit => 400, 'no key', conf => 'await_idempotency required; await_submit QUEUE;' ],
    [ submit => 422, 'clash', headers => [ [ 'Idempotency-Key' => '"clash"' ] ], at => 'end', stored => 1 ],
    [ submit => 422, 'clash held', headers => [ [ 'Idempotency-Key' => '"clash"' ], $WAIT ], at => 'end', stored => 1 ],
    [ submit => 409, 'under way', headers => [ [ 'Idempotency-Key' => '"taken"' ] ], at => 'end', phase => 'taken' ],
    [ submit => 503, 'inflight', conf => 'await_max_inflight 1; await_submit QUEUE;' ],
    [ submit => 503, 'inflight form', conf => 'await_max_inflight 1; await_submit QUEUE file=image;', headers => [$FORM], body => "$FILE$TAIL" ],
    [ submit => 400, 'JSON', headers => [$JSON], at => 'mid' ],
    [ submit => 400, 'JSON held', headers => [ $JSON, $WAIT ], at => 'mid' ],
    [ submit => 400, 'JSON with a key', headers => [ $JSON, [ 'Idempotency-Key' => '"json"' ] ], at => 'mid' ],
    [ submit => 400, 'JSON late', headers => [ [ 'Content-Type' => 'application/a+json' ] ], body => '[1, ' . ' ' x 20000 . '<HIDDEN>', at => 'mid' ],
    [ submit => 400, 'JSON end', headers => [$JSON], body => '[[1,', at => 'end' ],
    [ submit => 413, 'length', conf => 'client_max_body_size 10; await_submit QUEUE;', own => 0, shapes => ['whole'] ],
    [ submit => 413, 'chunks', conf => 'client_max_body_size 10; await_submit QUEUE;', shapes => ['chunked'], ways => [qw(h1 tls)], at => 'mid' ],
    [ submit => 413, 'chunks of JSON', conf => 'client_max_body_size 10; await_submit QUEUE;', headers => [$JSON], body => '["<HIDDEN>"]', shapes => ['chunked'], ways => [qw(h1 tls)], at => 'mid' ],
    [ submit => 400, 'no boundary', conf => $UPLOAD, headers => [ [ 'Content-Type' => 'multipart/form-data' ] ] ],
    [ submit => 400, 'long boundary', conf => $UPLOAD, headers => [ [ 'Content-Type' => 'multipart/form-data; boundary=' . 'b' x 71 ] ] ],
    [ submit => 400, 'form', conf => $UPLOAD, headers => [$FORM], body => "--b\r\nX: y\r\n\r\n\r\n$TAIL", at => 'mid' ],
    [ submit => 400, 'form held', conf => $UPLOAD, headers => [ $FORM, $WAIT ], body => "--b\r\nX: y\r\n\r\n\r\n$TAIL", at => 'mid' ],
    [ submit => 400, 'form name', conf => $UPLOAD, headers => [$FORM], body => part("name=\"\xff\"", 'x') . $TAIL, at => 'mid' ],
    [ submit => 400, 'form coding', conf => $UPLOAD, headers => [$FORM], body => part('name="x"', 'x', 'Content-Transfer-Encoding: base64') . $TAIL, at => 'mid' ],
    [ submit => 400, 'form file', conf => $UPLOAD, headers => [$FORM], body => part('name="x"; filename="x"', 'x') . $TAIL, at => 'mid' ],
    [ submit => 400, 'form twice', conf => $UPLOAD, headers => [$FORM], body => "$FILE$FILE$TAIL", at => 'mid' ],
    [ submit => 400, 'form file type', conf => $UPLOAD, headers => [$FORM], body => part('name="image"; filename="x"', 'x', 'Content-Type: none') . $TAIL, at => 'mid' ],
    [ submit => 415, 'form file types', conf => 'await_submit QUEUE file=image type=image/jpeg;', headers => [$FORM], body => "$FILE$TAIL", at => 'mid' ],
    [ submit => 400, 'form file name', conf => $UPLOAD, headers => [$FORM], body => part("name=\"image\"; filename=\"a\xff\"", 'x') . $TAIL, at => 'mid' ],
    [ submit => 400, 'form file JSON', conf => $UPLOAD, headers => [$FORM], body => part('name="image"; filename="a"', '<HIDDEN>', 'Content-Type: application/json') . $TAIL, at => 'mid' ],
    [ submit => 413, 'form fields', conf => $UPLOAD, headers => [$FORM], body => part('name="x"', 'x' x 70000) . $TAIL, at => 'mid' ],
    [ submit => 400, 'form field', conf => $UPLOAD, headers => [$FORM], body => part('name="x"', "\xff") . $TAIL, at => 'mid' ],
    [ submit => 400, 'form end', conf => $UPLOAD, headers => [$FORM], body => $FILE . part('name="x"', '<HIDDEN>'), at => 'end' ],
    [ submit => 400, 'form no file', conf => $UPLOAD, headers => [$FORM], body => $TAIL, at => 'end' ],
    [ submit => 503, 'database', phase => 'away', at => 'end' ],
    [ submit => 503, 'database held', headers => [$WAIT], phase => 'away', at => 'end' ],
    [ submit => 503, 'database with a key', headers => [ [ 'Idempotency-Key' => '"away"' ] ], phase => 'away', at => 'end' ],

    [ publish => 404, 'topic', conf => 'await_publish $arg_t;', args => 't=a%20b' ],
    [ publish => 503, 'inflight', conf => 'await_max_inflight 1; await_publish open;' ],
    [ publish => 400, 'JSON', at => 'end' ],
    [ publish => 400, 'JSON end', body => '[', at => 'end' ],
    [ publish => 413, 'large', body => '["' . 'x' x 70000 . '"] <HIDDEN>', at => 'end' ],
    [ publish => 413, 'largish', body => '["' . 'x' x 50000 . '"]', at => 'end' ],
    [ publish => 413, 'chunks', conf => 'client_max_body_size 10; await_publish open;', shapes => ['chunked'], ways => [qw(h1 tls)], at => 'mid' ],
    [ publish => 400, 'NUL', body => '{"a":"\u0000"}', at => 'end' ],
    [ publish => 503, 'database', body => '{"a":1}', phase => 'away', at => 'end' ],

    [ ticket => 400, 'JSON', at => 'end' ],
    [ ticket => 400, 'channels', body => '{"channels":"<HIDDEN>"}' =~ s/<HIDDEN>/x/r, at => 'end' ],
    [ ticket => 400, 'no channels', body => '{"channels":[]}', at => 'end' ],
    [ ticket => 400, 'channel', body => '{"channels":[7]}', at => 'end' ],
    [ ticket => 403, 'channel', body => '{"channels":["topic:closed"]}', at => 'end' ],
    [ ticket => 413, 'large', body => '{' . ' ' x 20000 . '<HIDDEN>', at => 'end' ],
    [ ticket => 413, 'chunks', conf => 'client_max_body_size 10; await_ticket topic:open;', shapes => ['chunked'], ways => [qw(h1 tls)], at => 'mid' ],

    (map {
        my ($action, $conf, $id) = @$_;
        ([ $action => 404, 'id', args => 'id=none' ], [ $action => 404, 'unknown', args => 'id={unknown}' ], [ $action => 410, 'old', args => 'id={old}' ],
         [ $action => 404, 'foreign', conf => "await_owner \$arg_u; $conf", args => 'id={foreign}&u=bob' ],
         [ $action => 404, 'foreign, asked for long', conf => "await_owner \$arg_u; $conf", args => 'id={foreign}&u=bob', headers => [$WAIT] ])
    } [ job => 'await_job $arg_id;' ], [ cancel => 'await_job $arg_id;' ], [ result => 'await_result $arg_id;' ], [ page => 'await_events job:$arg_id default=json;' ]),
    [ events => 404, 'id', args => 'id=none' ], [ events => 404, 'unknown', args => 'id={unknown}' ], [ events => 410, 'old', args => 'id={old}' ],
    [ events => 404, 'foreign', conf => 'await_owner $arg_u; await_events job:$arg_id;', args => 'id={foreign}&u=bob' ],
    [ job => 406, 'accept', headers => [ [ Accept => 'image/png' ] ] ],
    [ events => 406, 'accept', headers => [ [ Accept => 'image/png' ] ] ],
    [ page => 406, 'accept', headers => [ [ Accept => 'image/png' ] ] ],
    [ events => 404, 'channel', conf => 'await_events $arg_c;', args => 'c=topic:closed%20' ],
    (map { my ($action, $id) = @$_; [ $action => 400, 'wait', args => "id={$id}&wait=soon" ] } [ job => 'pending' ], [ result => 'pending' ], [ page => 'pending' ]),
    (map {
        my ($action, $id) = @$_;
        ([ $action => 412, 'match', args => "id={$id}", headers => [ [ 'If-Match' => '"another"' ] ] ],
         [ $action => 412, 'match list', args => "id={$id}", headers => [ [ 'If-Match' => '"a", W/"b" , "c"' ] ] ],
         [ $action => 412, 'unmodified', args => "id={$id}", headers => [ [ 'If-Unmodified-Since' => 'Sat, 29 Oct 1994 19:43:31 GMT' ] ] ],
         [ $action => 412, 'match asked for long', args => "id={$id}", headers => [ [ 'If-Match' => '"another"' ], $WAIT ] ])
    } [ job => 'done' ], [ cancel => 'kept' ], [ result => 'done' ]),
    [ job => 412, 'match of what goes on', args => 'id={pending}', headers => [ [ 'If-Match' => '"another"' ] ] ],
    [ cancel => 409, 'ended', args => 'id={done}' ],
    (map { my ($action, $conf) = @$_; [ $action => 503, 'held', conf => "await_max_held 1; $conf", args => 'id={pending}&wait=30' ] }
        [ job => 'await_job $arg_id;' ], [ result => 'await_result $arg_id;' ], [ page => 'await_events job:$arg_id default=json;' ]),
    [ job => 503, 'held by Prefer', conf => 'await_max_held 1; await_job $arg_id;', headers => [$WAIT] ],
    [ job => 503, 'held by await_hold', conf => 'await_max_held 1; await_hold 30s; await_job $arg_id;' ],
    (map {
        my ($action, $conf, $args) = @$_;
        ([ $action => 503, 'reads', conf => "await_max_inflight 1; $conf", args => 'id={pending}', phase => 'reads' ],
         [ $action => 503, 'reads held', conf => "await_max_inflight 1; $conf", args => 'id={pending}&wait=30', phase => 'reads' ])
    } [ job => 'await_job $arg_id;' ], [ result => 'await_result $arg_id;' ], [ page => 'await_events job:$arg_id default=json;' ]),
    [ cancel => 503, 'reads', conf => 'await_max_inflight 1; await_job $arg_id;', phase => 'reads' ],
    (map { [ $_ => 503, 'database', args => 'id={pending}', phase => 'away' ] } qw(job cancel result page)),
    (map { [ $_ => 500, 'function', args => 'id={kept}', phase => 'broken' ] } qw(cancel)),
    [ publish => 500, 'function', body => '{"a":1}', phase => 'broken', at => 'end' ],
    [ result => 404, 'pending', conf => 'await_result $arg_id pending=404;', args => 'id={pending}' ],
    [ result => 409, 'pending', conf => 'await_result $arg_id pending=409;', args => 'id={pending}' ],
    [ result => 410, 'cancelled', args => 'id={cancelled}' ],
    [ result => 424, 'failed', args => 'id={failed}' ],
    [ result => 416, 'range', headers => [ [ Range => 'bytes=1000-' ] ] ],

    [ socket => 426, 'no upgrade', headers => [], conf => 'await_socket;' ],
    [ socket => 426, 'another upgrade', headers => [ [ Upgrade => 'h2c' ], [ Connection => 'Upgrade' ] ], conf => 'await_socket;' ],
    [ socket => 426, 'version', swap => { 'Sec-WebSocket-Version' => 8 } ],
    [ socket => 400, 'key', swap => { 'Sec-WebSocket-Key' => 'short' }, upgraded => 426 ],
    [ socket => 400, 'protocol', swap => { 'Sec-WebSocket-Protocol' => 'chat' }, upgraded => 426 ],
    [ socket => 400, 'protocol of a plain one', conf => 'await_socket topic:open plain;', swap => { 'Sec-WebSocket-Protocol' => 'chat' }, upgraded => 426 ],
    [ socket => 404, 'channel', conf => 'await_socket $arg_c;', args => 'c=topic:closed', upgraded => 426 ],
    [ socket => 503, 'held', conf => 'await_max_held 1; await_socket;', upgraded => 426 ],

    [ problem => 404, 'itself', args => 'x=1' ],
    [ problem => 404, 'itself by POST', method => 'POST' ],
    [ problem => 404, 'nothing', conf => 'return 404;', method => 'POST', own => 0 ],
    [ problem => 403, 'denied', conf => 'deny all;', method => 'POST', own => 0 ],
    [ problem => 401, 'basic', conf => 'auth_basic basic; auth_basic_user_file PASSWORDS;', method => 'POST', own => 0 ],
    [ problem => 429, 'quota', conf => 'limit_req zone=none; limit_req_status 429; await_submit QUEUE;', method => 'POST', own => 0 ],
    [ submit => 401, 'basic', conf => 'auth_basic basic; auth_basic_user_file PASSWORDS; await_submit QUEUE;', own => 0 ],
    [ submit => 403, 'denied', conf => 'deny all; await_submit QUEUE;', own => 0 ],
    [ submit => 403, 'by method', conf => 'await_submit QUEUE; limit_except GET { deny all; }', own => 0 ],
);

# What every action has in common.
for my $action (sort keys %ACTIONS) {
    my %of = %{ $ACTIONS{$action} };
    next if $of{open};
    my $at = $action eq 'submit' ? ' and a coding it does not take' : '';
    my @common = (
        [ 401, 'no token', conf => "await_auth_jwt api token=\$arg_token; await_auth_jwt_key_file KEY; $of{conf}", access => 'auth_jwt.cc' ],
        [ 401, 'bad token', conf => "await_auth_jwt api token=\$arg_token; await_auth_jwt_key_file KEY; $of{conf}", args => 'token=x.y.z', access => 'auth_jwt.cc' ],
        [ 401, 'no ticket', conf => "await_auth_ticket on; $of{conf}", access => 'auth_ticket.cc' ],
        [ 401, 'bad ticket', conf => "await_auth_ticket on; $of{conf}", args => 'ticket=none', access => 'auth_ticket.cc' ],
        [ 401, 'used ticket', conf => "await_auth_ticket on; $of{conf}", args => 'ticket={ticket}', access => 'auth_ticket.cc' ],
        [ 503, 'ticket, no database', conf => "await_auth_ticket on; $of{conf}", args => 'ticket={fresh}', phase => 'away', access => 'auth_ticket.cc' ],
    );
    push @common, [ 403, 'nobody', conf => "await_owner \$http_x_user; $of{conf}" ], [ 403, 'no name', conf => "await_owner \$http_x_user; $of{conf}", headers => [ [ 'X-User' => "\xff" ] ] ] unless $of{unscoped};
    push @common, [ 403, 'page', headers => [ [ Origin => 'https://evil.example' ] ] ], [ 403, 'site', headers => [ [ 'Sec-Fetch-Site' => 'cross-site' ] ] ] if $of{method} ne 'GET' || $action eq 'socket';
    my @refused = grep { $_ ne $of{method} && !($_ eq 'DELETE' && $action eq 'job') && !($_ eq 'GET' && $action eq 'cancel') } qw(GET POST PUT PATCH DELETE);
    push @common, map { [ 405, "by $_", method => $_, headers => [] ] } @refused;
    push @common, [ 204, 'OPTIONS', method => 'OPTIONS', headers => [] ];
    push @common, map { [ 204, "preflight of $_->[0]", conf => "await_cors on; await_origins https://app.example; $of{conf}", method => 'OPTIONS', access => 'cors.cc',
        headers => [ [ Origin => $_->[1] ], [ 'Access-Control-Request-Method' => $of{method} ] ] ] } [ 'ours', 'https://app.example' ], [ 'others', 'https://evil.example' ];
    for (@common) {
        my ($status, $name, %row) = @$_;
        $row{headers} = [ @{ $of{headers} // [] }, @{ $row{headers} } ] if $row{headers} && !$row{method};
        push @ROWS, [ $action, $status, $name, %row, common => 1 ];
    }
}

my %seen;
for (@ROWS) {
    my ($action, $status, $name, %row) = @$_;
    my %of = %{ $ACTIONS{$action} };
    %row = (conf => $of{conf}, method => $of{method}, body => '<HIDDEN>', at => 'head', phase => 'main', own => 1, action => $action, status => $status, name => "$action $status $name", %row);
    $row{args} = join '&', grep { defined } $row{args}, $row{args} && $row{args} =~ /^(?:token|ticket)=/ ? $of{args} : () if defined $row{args};
    $row{args} //= $of{args} // '';
    $row{headers} //= $of{headers} // [];
    $row{headers} = [ map { exists $row{swap}{ $_->[0] } ? [ $_->[0], $row{swap}{ $_->[0] } ] : $_ } @{ $row{headers} } ] if $row{swap};
    die "two rows are named $row{name}" if $seen{ $row{name} }++;
    $row{path} = $row{name} =~ s/\W+/_/gr;
    $_ = \%row;
}

# --- the servers ----------------------------------------------------------------------------------------

my ($readme) = slurp("$ROOT/README.md") =~ /^ *error_page ([\d ]+) \@problem;/m;
my %MODES = (none => '', readme => $readme, all => '400 401 403 404 405 406 408 409 410 411 412 413 414 415 416 422 424 426 429 500 502 503 504');
my @WAYS = qw(h1 tls h2 h2tls front streaming);
my %PORT;
for my $mode (keys %MODES) { $PORT{$mode}{$_} = Await::Stack::free_port() for qw(h1 h2 tls front streaming) }

my $dir = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $dir;
Await::Stack::write_file("$dir/jwt.key", 'a-secret-of-thirty-two-bytes-and-more', 0644);
Await::Stack::write_file("$dir/passwords", "ann:{PLAIN}x\n", 0644);
system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $dir/key.pem -out $dir/cert.pem -days 2 -subj /CN=localhost 2>/dev/null") == 0 or die 'openssl';

sub queue_of { my ($row, $mode) = @_; return substr "$mode-$row->{path}", 0, 64 }

my $site = '';
for my $mode (sort keys %MODES) {
    my %port = %{ $PORT{$mode} };
    my $error_page = $MODES{$mode} ? "error_page $MODES{$mode} \@problem; location \@problem { await_problem; }" : '';
    $site .= "server {\n" . ($mode eq 'none' ? "listen 127.0.0.1:\${PORT};\n" : '') . <<"CONF";
        listen 127.0.0.1:$port{h1}; listen 127.0.0.1:$port{h2} http2; listen 127.0.0.1:$port{tls} ssl http2;
        ssl_certificate $dir/cert.pem; ssl_certificate_key $dir/key.pem;
        keepalive_requests 100000; client_max_body_size 10m; $error_page
        location = /next { return 200 "next \$arg_n"; }
        location = /secret { await_job \$arg_id; await_hold 1s; }
        location = /metrics { await_metrics; }
        location = /setup { await_submit setup; }
        location = /setup-ann { await_owner \$arg_u; await_submit setup; }
        location = /setup-job { await_job \$arg_id; }
        location = /setup-ticket { await_ticket topic:open ttl=1h; }
        location = /setup-events { await_auth_ticket on; await_events topic:open default=json; }
        location = /keep { client_body_timeout 300s; await_submit keep; }
        location = /hold { await_job \$arg_id; await_hold_max 300s; await_hold 300s; }
CONF
    for my $row (@ROWS) {
        my $conf = $row->{conf} =~ s/QUEUE/queue_of($row, $mode)/er =~ s/KEY/$dir\/jwt.key/r =~ s/PASSWORDS/$dir\/passwords/r;
        $site .= "        location = /$row->{path} { $conf }\n";
    }
    $site .= "}\n";
    for my $front (qw(front streaming)) {
        my $buffering = $front eq 'front' ? 'on' : 'off';
        $site .= <<"CONF";
upstream $mode-$front { server 127.0.0.1:$port{h1}; keepalive 1; }
server {
    listen 127.0.0.1:$port{$front}; access_log off; keepalive_requests 100000; client_max_body_size 10m;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering $buffering; proxy_request_buffering $buffering;
    location / { proxy_pass http://$mode-$front; }
}
CONF
    }
}
my $s = start_stack(site => "limit_req_zone \$server_addr zone=none:1m rate=1r/m;\n$site");

# --- what the rows speak of -----------------------------------------------------------------------------

my %id = map { $_ => one_job('/setup', 'x') } qw(pending kept done failed cancelled);
$id{foreign} = one_job('/setup-ann?u=ann', 'x');
claim($_, queue => 'setup') for @id{qw(done failed)};
complete($id{done}, 'a result');
sql("SELECT await.fail('$id{failed}', '1', '{}', '-1 s')");
is del("/setup-job?id=$id{cancelled}")->{status}, 202, 'a job is cancelled';
$id{unknown} = $id{pending} =~ s/.{6}$/000000/r;
$id{old} = '018bcfe5-6801-7000-8000-000000000000';
$id{ticket} = json(post('/setup-ticket', ''))->{ticket};
is get("/setup-events?ticket=$id{ticket}")->{status}, 200, 'a ticket is used';
$id{fresh} = json(post('/setup-ticket', ''))->{ticket};
for my $mode (sort keys %MODES) {
    for my $row (grep { $_->{stored} } @ROWS) {
        my $first = begin_request('POST', "/$row->{path}", body => 'the first', port => $PORT{$mode}{h1}, headers => { 'Idempotency-Key' => '"clash"' })->response;
        is $first->{status}, 202, "$row->{name}: a first submission";
    }
    # one is used up, the next is over the quota
    begin_request('POST', '/problem_429_quota', body => 'x', port => $PORT{$mode}{$_})->response for qw(h1);
}

# what takes all the room there is where the limit is one: a held request, and a submission that does not end
my $held = begin_request('GET', "/hold?id=$id{pending}");
my $half = begin_raw("POST /keep HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
ok until_true('both are there', sub { metric('await_held') == 1 && metric('await_inflight_submissions') == 1 }), 'the room is taken';

# --- cells ----------------------------------------------------------------------------------------------

my %H1 = map { $_ => 1 } qw(h1 tls front streaming);
my %IS_FRONT = map { $_ => 1 } qw(front streaming);

# In how many shapes the body is sent: whole, in chunks, after the answer, long; over HTTP/2 without its end.
sub shapes {
    my ($row, $way) = @_;
    return @{ $row->{shapes} } if $row->{shapes};
    my $early = $row->{at} ne 'end';
    return $early ? ('whole', 'open') : 'whole' if $way eq 'h2';
    return $early ? 'open' : 'whole' if $way eq 'h2tls';
    my @long = $row->{at} eq 'head' && $row->{method} eq 'POST' && !$row->{common} ? 'big' : ();
    return ('whole', 'chunked', $early ? 'late' : (), @long) if $way eq 'h1';
    return $way eq 'tls' ? 'chunked' : $way eq 'front' ? 'whole' : ('chunked', @long);
}

my @cells;
for my $way (@WAYS) {
    for my $row (@ROWS) {
        next if $row->{ways} && !grep { $_ eq $way } @{ $row->{ways} };
        next if $row->{phase} ne 'main' && $way !~ /^(?:h1|h2|front)$/;
        for my $mode (sort keys %MODES) {
            my @shapes = $row->{phase} eq 'main' ? shapes($row, $way) : 'whole';
            push @cells, { id => "c" . @cells . 'c', way => $way, row => $row, mode => $mode, shape => $_ } for @shapes;
        }
    }
}

# What is wrong with an answer; nothing, if all is well.
sub faults {
    my ($cell, $answer) = @_;
    my ($row, $way, %headers) = ($cell->{row}, $cell->{way}, %{ $answer->{headers} });
    my $status = $cell->{status};
    my @faults;
    my $want = sub { my ($good, $what) = @_; push @faults, $what unless $good };
    $want->($answer->{status} == $status, "status $answer->{status}, not $status");
    return @faults if @faults;
    my $first = sub { $headers{ $_[0] } ? $headers{ $_[0] }[0] : '' };
    if (!$H1{$way}) { $want->(!$headers{$_}, "$_ over HTTP/2") for qw(connection upgrade keep-alive transfer-encoding proxy-connection) }
    return @faults if $status == 204;
    my $named = " $MODES{$cell->{mode}} " =~ / $status /;
    if ($row->{own} || $named) {
        my $problem = eval { decode_json($answer->{body}) } // {};
        $want->($first->('content-type') eq 'application/problem+json', 'no problem: ' . $first->('content-type'));
        $want->(ref $problem eq 'HASH' && ($problem->{status} // 0) == $status, 'a problem of another status');
        $want->(@{ $headers{'cache-control'} // [] } == 1 && $first->('cache-control') eq 'no-store', 'it may be stored');
        push @faults, [ "$status " . ($problem->{detail} // '') ];
    }
    $want->($first->('www-authenticate'), '401 without WWW-Authenticate') if $status == 401;
    push @faults, [ "$status " . $first->('www-authenticate') ] if $status == 401;
    $want->($first->('allow'), '405 without Allow') if $status == 405 && $row->{own};
    $want->($first->('retry-after') =~ /^\d+$/, '503 without Retry-After') if $status == 503;
    $want->($first->('content-range') eq 'bytes */8', '416 without Content-Range') if $status == 416;
    $want->($first->('upgrade') eq 'websocket', '426 without Upgrade') if $status == 426 && ($way eq 'h1' || $way eq 'tls');
    $want->($first->('sec-websocket-version') eq '13', '426 without Sec-WebSocket-Version') if $status == 426;
    return @faults;
}

# The request of a cell: path, headers, body.
sub request_of {
    my ($cell) = @_;
    my $row = $cell->{row};
    my $args = join '&', grep { length } $row->{args}, "cell=$cell->{id}";
    $args =~ s/\{(\w+)\}/$id{$1}/g;
    my $hidden = "GET /secret?id=$id{pending}&in=$cell->{id} HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=1\r\n\r\n";
    my $body = $row->{body} =~ s/<HIDDEN>/$hidden/gr;
    $body = 'x' x 70000 . $body if $cell->{shape} eq 'big';
    $cell->{status} = $row->{upgraded} && $cell->{way} !~ /^(?:h1|tls)$/ ? $row->{upgraded} : $row->{status};
    return ("/$row->{path}?$args", $row->{headers}, $body);
}

my %connection;
sub connection {
    my ($cell, $name) = @_;
    my ($way, $mode) = @$cell{qw(way mode)};
    my $port = $PORT{$mode}{ $way eq 'h2tls' ? 'tls' : $way };
    return $connection{"$mode $name"} //= $H1{$way} ? Await::Http1->new(port => $port, tls => $way eq 'tls') : Await::Http2->new(port => $port, tls => $way eq 'h2tls');
}

# One more request on the connection: its own answer, and nothing before it.
sub next_fault {
    my ($cell, $connection, $who) = @_;
    $connection->send(Await::Http1::head('GET', "/next?n=$cell->{id}"));
    my $answer = $connection->answer($SOON) // return "$who is not answered" . ($connection->{reset} ? " but reset: $connection->{reset}" : $connection->{eof} ? ' but closed' : '');
    return $answer->{body} eq "next $cell->{id}" ? () : "$who gets $answer->{status} " . substr $answer->{body}, 0, 60;
}

sub try_http1 {
    my ($cell) = @_;
    my ($path, $headers, $body) = request_of($cell);
    my ($method, $shape) = ($cell->{row}{method}, $cell->{shape});
    my $connection = connection($cell, 'first');
    my $head = Await::Http1::head($method, $path, $headers, body => $body, chunked => $shape eq 'chunked');
    my $rest = $shape eq 'chunked' ? Await::Http1::chunks($body) : $body;
    my $kept_back = $shape ne 'late' ? '' : $cell->{row}{at} eq 'head' ? $rest : substr $rest, -1;
    $connection->send($head . substr $rest, 0, length($rest) - length $kept_back);
    my $answer = $connection->answer($SOON) // return $connection->{reset} ? "no answer but a reset: $connection->{reset}" : 'no answer';
    my @faults = faults($cell, $answer);
    $connection->send($kept_back);
    if ($answer->{close}) {
        my $end = $connection->ends($SOON);
        push @faults, $end if $end && !($shape eq 'late' && $end =~ /reset/);
        delete $connection{"$cell->{mode} first"};
    }
    else { push @faults, next_fault($cell, $connection, 'the next request') }
    push @faults, next_fault($cell, connection($cell, 'second'), 'another client') if $IS_FRONT{ $cell->{way} };
    return @faults;
}

sub try_http2 {
    my ($cell) = @_;
    my ($path, $headers, $body) = request_of($cell);
    my $connection = connection($cell, 'first');
    my @headers = grep { $_->[0] !~ /^(?:connection|upgrade)$/i } @$headers;
    my $open = $cell->{shape} eq 'open';
    push @headers, [ 'content-length', length $body ] unless $open;
    my $id = $connection->open_stream($cell->{row}{method}, $path, headers => \@headers, end => 0);
    $connection->data($id, $body, end => !$open);
    $connection->run(sub { $connection->over($id) }, $SOON) or return 'no answer' . ($open ? ' while the body has not ended' : '');
    my $stream = $connection->stream($id);
    return "reset with $stream->{reset}, no answer" if !$stream->{ended} || !defined $stream->{status};
    return 'the connection is closed' if $connection->{eof};
    my @faults = faults($cell, $stream);
    push @faults, 'two answers' if $stream->{heads} > 1;
    $connection->data($id, '', end => 1) if $open;
    my $next = $connection->request('GET', "/next?n=$cell->{id}", timeout => $SOON);
    push @faults, 'the next request gets ' . ($next->{status} // 'nothing') unless $next->{ended} && $next->{body} eq "next $cell->{id}";
    push @faults, "GOAWAY $connection->{goaway}[1]" if $connection->{goaway};
    $connection->forget($id);
    return @faults;
}

# All cells of a phase, a process for each way; their faults, by cell. The connections stay open until `look` has looked.
sub run_cells {
    my ($cells, $look) = @_;
    my @children;
    for my $way (uniq map { $_->{way} } @$cells) {
        pipe(my $from, my $to) or die "pipe: $!";
        pipe(my $until, my $release) or die "pipe: $!";
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            close $_ for $from, $release, map { $_->{release} } @children;
            %connection = ();
            my %hangs;
            for my $cell (grep { $_->{way} eq $way } @$cells) {
                my $name = $cell->{row}{name};
                my @faults = $hangs{$name} ? 'not tried, as it was not answered before' : eval { $H1{$way} ? try_http1($cell) : try_http2($cell) };
                push @faults, "broken off: $@" if $@;
                $hangs{$name} = 1 if grep { /not answered$|^no answer/ } @faults;
                print $to encode_json([ $cell->{id}, @faults ]) . "\n";
                delete $connection{$_} for grep { /^$cell->{mode} / && grep { !ref } @faults } keys %connection;
            }
            print $to "done\n";
            $to->flush;
            sysread $until, my $bytes, 1;
            POSIX::_exit(0);
        }
        close $_ for $to, $until;
        push @children, { pid => $pid, from => $from, release => $release };
    }
    my %faults;
    for my $child (@children) {
        my $from = $child->{from};
        while (my $line = <$from>) {
            last if $line eq "done\n";
            my ($id, @faults) = @{ decode_json($line) };
            $faults{$id} = \@faults;
        }
    }
    $look->() if $look;
    close $_->{release} for @children;
    waitpid $_->{pid}, 0 for @children;
    return \%faults;
}

my %details;      # what refusals have said, for the last part
sub run_phase {
    my ($phase, $look) = @_;
    my @now = grep { $_->{row}{phase} eq $phase } @cells;
    my $begin = time;
    my $faults = run_cells(\@now, $look);
    note sprintf '%s: %d cells in %.1f s', $phase, scalar @now, time - $begin;
    my (%groups, %order);
    for my $cell (@now) { push @{ $groups{"$cell->{row}{name}, error_page $cell->{mode}, $cell->{way}"} }, $cell; $order{"$cell->{row}{name}, error_page $cell->{mode}, $cell->{way}"} //= keys %order }
    for my $group (sort { $order{$a} <=> $order{$b} } keys %groups) {
        my @bad;
        for my $cell (@{ $groups{$group} }) {
            my $found = $faults->{ $cell->{id} } // ['was not tried'];
            $details{ $_->[0] } = 1 for grep { ref } @$found;
            push @bad, map { "$cell->{shape}: $_" } grep { !ref } @$found;
        }
        ok !@bad, $group or diag join "\n", @bad;
    }
}

# --- phases ---------------------------------------------------------------------------------------------

# A session of PostgreSQL that does not end its transaction until it is closed.
sub session {
    my ($sql) = @_;
    open my $session, '|-', 'psql', '-XAtq', '-d', $s->postgres or die "psql: $!";
    $session->autoflush(1);
    print $session "SET application_name = 'holder';\nBEGIN;\n$sql;\n\\o /dev/null\n";
    until_true('it holds', sub { sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holder' AND state = 'idle in transaction' AND query NOT LIKE 'BEGIN%'") });
    return $session;
}

run_phase('main', sub {
    ok until_true('nothing is held', sub { metric('await_held') == 1 && metric('await_inflight_submissions') == 1 && metric('await_inflight_reads') == 0 && metric('await_sockets') == 0 }, 5),
        'with all connections still there, nothing of what was refused is held';
    is metric('await_held'), 1, 'await_held';
    is metric('await_parked'), 1, 'await_parked';
    is metric('await_inflight_submissions'), 1, 'await_inflight_submissions';
    is metric('await_inflight_reads'), 0, 'await_inflight_reads';
    is metric('await_watched_jobs'), 1, 'await_watched_jobs';
});
{
    my ($row) = grep { $_->{name} eq 'submit 409 under way' } @ROWS;
    my $session = session(join ';', map { "INSERT INTO await.idem VALUES ('', '" . queue_of($row, $_) . "', 'taken', '\\x00', gen_random_uuid(), clock_timestamp() + interval '1 h')" } sort keys %MODES);
    run_phase('taken');
    close $session;
}
{
    my $session = session('LOCK TABLE await.job IN ACCESS EXCLUSIVE MODE');
    my $reading = begin_request('GET', "/setup-job?id=$id{done}");
    ok until_true('a read is under way', sub { metric('await_inflight_reads') == 1 }), 'a read is under way';
    run_phase('reads', sub { is metric('await_inflight_reads'), 1, 'no other read waits'; is metric('await_held'), 1, 'and nothing is held' });
    close $session;
    is $reading->response->{status}, 200, 'the read that was there before is answered';
}
my $functions = "SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'await' AND p.proname ~ '^(edge_)?(cancel|publish)'";
for my $function (split /\n/, sql($functions)) {
    my ($name) = $function =~ /await\.(\w+)/;
    sql("ALTER FUNCTION $function RENAME TO gone_$name");
}
run_phase('broken');
for my $function (split /\n/, sql($functions =~ s/\^\(/^gone_(/r)) {
    my ($name) = $function =~ /await\.gone_(\w+)/;
    sql("ALTER FUNCTION $function RENAME TO $name");
}
is json(get("/setup-job?id=$id{kept}"))->{state}, 'pending', 'a job whose cancellation was refused is as it was';
is sql("SELECT string_agg(queue || ' ' || n, ', ' ORDER BY queue) FROM (SELECT q.name AS queue, count(*) AS n FROM await.job j JOIN await.queue q ON q.id = j.queue GROUP BY q.name) t WHERE NOT (queue = 'setup' OR queue ~ 'submit_422_clash' AND n = 1 OR queue ~ '_429_')") // '',
    '', 'nothing that was refused is stored';

$s->end('postgres', 'INT', 20);
ok until_true('PostgreSQL is away', sub { metric('await_postgres_connections') == 0 }), 'PostgreSQL is away';
run_phase('away');
$held->close;
$half->close;
ok until_true('all is given back', sub { metric('await_held') == 0 && metric('await_parked') == 0 && metric('await_inflight_submissions') == 0 && metric('await_inflight_reads') == 0 }), 'all is given back at last';

# --- the log: one line for one request ------------------------------------------------------------------

{
    my %lines;
    my @hidden;
    for (split /\n/, slurp("$s->{dir}/logs/access.log")) {
        push @hidden, $_ if m{ "GET /secret\S*&in=};
        push @{ $lines{$1} }, $2 if m{[?&]cell=(c\d+c)\b.*?" (\d{3}) };
    }
    is_deeply [ map { /(c\d+c)/; my $id = $1; my ($cell) = grep { $_->{id} eq $id } @cells; "$cell->{row}{name}, $cell->{mode}, $cell->{way}, $cell->{shape}" } @hidden ], [], 'no request was read out of a body';
    is_deeply [ map { my $told = join ' ', @{ $lines{ $_->{id} } // ['nothing'] };
        my $status = $_->{row}{upgraded} && $_->{way} !~ /^(?:h1|tls)$/ ? $_->{row}{upgraded} : $_->{row}{status};
        $told eq $status ? () : "$_->{row}{name}, $_->{mode}, $_->{way}, $_->{shape}: $told" } @cells ], [], 'each refusal has one line in the access log, with its status';
}

# --- the source: every refusal has a row ----------------------------------------------------------------

# Refusals that no single request provokes, each with the test that sees it.
my %ELSEWHERE = (
    'The service is starting.' => 'before an nginx worker has begun: nothing answers then',
    'The service restarts just now; try again.' => 't/p6_reload.t and t/reloads.t',
    'The database has not been heard of yet; try again.' => 't/tickets.t, started without PostgreSQL',
    'The session was ended.' => 't/tickets.t: await.revoke()',
);

# A call's arguments as they stand in the source, from its parenthesis on.
sub arguments {
    my ($text) = @_;
    my ($depth, $out) = (0, '');
    while ($text =~ /\G("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|.)/gs) {
        my $token = $1;
        $depth += $token eq '(' ? 1 : $token eq ')' ? -1 : 0;
        $out .= $token;
        return $out if $depth == 0;
    }
    return $out;
}
my %STATUS = (send_unavailable => 503, ask_for_upgrade => 426, challenge => 401);
my (@sites, %actions, %guards);
for my $file (glob "$ROOT/src/http/*.cc") {
    my ($name) = $file =~ m{([^/]+)$};
    my $text = slurp($file);
    $text =~ s{//[^\n"]*$}{}mg;
    $actions{$1} = $name while $text =~ /add_action\(\s*cf,\s*&Settings::(\w+)/g;
    $guards{$name} = 1 if $text =~ /^ *return add_phase_handler\(/m;
    while ($text =~ /\b(send_problem|send_unavailable|ask_for_upgrade|challenge|fail|refuse)\s*(?=\()/g) {
        my ($call, $arguments) = ($1, arguments(substr $text, pos $text));
        my @words = map { s/\\(.)/$1/gr } $arguments =~ /"((?:\\.|[^"\\])*)"/g;
        (my $code = $arguments) =~ s/"(?:\\.|[^"\\])*"//g;
        my ($status) = $code =~ /\b([45]\d\d)\b/ ? $1 : $STATUS{$call};
        next if !$status || $code =~ /\b(?:int status|std::string_view detail|const std::string &)/;      # its definition, or what passes one on
        @words = grep { / / } @words;
        push @sites, { file => $name, call => $call, status => $status, words => \@words, text => join('…', @words) };
    }
}
cmp_ok scalar @sites, '>', 50, 'the source is read';

# What a socket's client is told on the socket; the socket stays.
my $ws = Await::WebSocket->new($s->{port}, '/socket_401_no_token');
is $ws->{status}, 401, 'a socket without its token is none';
sub told { my (@said) = grep { /^\Q$_[0]\E / } sort keys %details; return @said }
my %rows = map { $_->{action} => 1 } @ROWS;
my %told_on_sockets = map { $_ => 1 } qw(400 404 409 429 503);      # t/refusals.t, t/socket.t
for my $site (@sites) {
    my $pattern = join '.*', map { quotemeta } @{ $site->{words} };
    my $seen = @{ $site->{words} } ? grep { /^$site->{status} .*$pattern/s } keys %details : told($site->{status});
    my $excused = $ELSEWHERE{ $site->{text} } || $site->{file} eq 'socket.cc' && $told_on_sockets{ $site->{status} };
    ok $seen || $excused, "$site->{file}: $site->{status} \"$site->{text}\" has a row";
}
for my $text (sort keys %ELSEWHERE) { ok scalar(grep { $_->{text} eq $text } @sites), "\"$text\" is in the source still" }
is_deeply [ grep { my $action = $_; grep { !$rows{$_} } @{ $ALSO{$action} // [$action] } } sort keys %actions ], [], 'every action has rows';
is_deeply [ grep { my $file = $_; $file ne 'access.cc' && !grep { ($_->{access} // '') eq $file } @ROWS } sort keys %guards ], [], 'every handler of a phase has rows';
finish();
