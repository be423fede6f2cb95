package Await::Refusals;

# Every action, and every refusal that it can give: the table of t/refusals_matrix.t.

use strict;
use warnings;

use Await::RefusalParts;
use Await::RefusalsOfBatches;
use Await::RefusalsOfConsole;
use Await::RefusalsOfWebhooks;
use Exporter 'import';
our @EXPORT = qw(@ROWS);

# What each action is where nothing refuses; QUEUE becomes a queue of the row's own.
my %ACTIONS = (
    submit  => { conf => 'await_submit QUEUE;', method => 'POST' },
    publish => { conf => 'await_publish open;', method => 'POST', unscoped => 1 },
    ticket  => { conf => 'await_ticket topic:open;', method => 'POST' },
    job     => { conf => 'await_job $arg_id;', method => 'GET', args => 'id={pending}' },
    cancel  => { conf => 'await_job $arg_id;', method => 'DELETE', args => 'id={kept}' },
    batch_submit => { conf => 'await_batch queues=QUEUE;', method => 'POST',
        headers => [ [ 'Content-Type' => 'application/json' ] ] },
    batch   => { conf => 'await_batch $arg_id;', method => 'GET', args => 'id={batch}' },
    batch_cancel => { conf => 'await_batch $arg_id;', method => 'DELETE', args => 'id={batch}' },
    retry_job => { conf => 'await_retry_job $arg_id;', method => 'POST', args => 'id={done}' },
    result  => { conf => 'await_result $arg_id;', method => 'GET', args => 'id={done}' },
    events  => { conf => 'await_events job:$arg_id;', method => 'GET', args => 'id={pending}' },
    page    => { conf => 'await_events job:$arg_id default=json;', method => 'GET', args => 'id={pending}&wait=30' },
    jobs    => { conf => 'await_jobs QUEUE all;', method => 'GET' },
    batches => { conf => 'await_batches all;', method => 'GET' },
    webhooks => { conf => 'await_webhooks all;', method => 'GET' },
    retry_delivery => { conf => 'await_webhooks write all;', method => 'POST', below => '/1/retry' },
    socket  => { conf => 'await_allow topic:open; await_socket;', method => 'GET',
        headers => [ [ Upgrade => 'websocket' ], [ Connection => 'keep-alive, Upgrade' ],
        [ 'Sec-WebSocket-Version' => 13 ], [ 'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==' ],
            [ 'Sec-WebSocket-Protocol' => 'await.v1' ] ] },
    console => { conf => 'await_console;', method => 'GET', below => '/api/queues', unscoped => 1 },
    console_act => { conf => 'await_console write;', method => 'POST', below => '/api/actions', unscoped => 1,
        headers => [ [ 'Content-Type' => 'application/json' ] ] },
    metrics => { conf => 'await_metrics;', method => 'GET', unscoped => 1 },
    health  => { conf => 'await_health;', method => 'GET', unscoped => 1 },
    resources => { conf => 'await QUEUE;', method => 'POST', below => '/no/resource', open => 1 },
    problem => { conf => 'await_problem;', method => 'GET', unscoped => 1, open => 1 },
);
# Rows: action, status, name, and of: conf, method, args, below (what a request has behind the path of its location),
# headers, body (<HIDDEN>: the request within), at (head: known by the head; mid: by what has come of the body; end: by
# all of it), own (0: it is nginx's own refusal, in its own words where error_page does not name it), phase, ways,
# shapes (all, unless it says which), upgraded (what it is where no upgrade can be: 426).
our @ROWS = (
    [ submit => 400, 'queue', conf => 'await_submit $arg_q;', args => 'q=a%20b' ],
    [ submit => 400, 'wait', args => 'wait=soon' ],
    [ submit => 415, 'coding', headers => [ [ 'Content-Encoding' => 'gzip' ] ] ],
    [ submit => 415, 'coding held', headers => [ [ 'Content-Encoding' => 'gzip' ], $WAIT ] ],
    [ submit => 415, 'coding of JSON', headers => [ [ 'Content-Encoding' => 'br' ], $JSON ] ],
    [ submit => 400, 'type', headers => [ [ 'Content-Type' => 'nonsense' ] ] ],
    [ submit => 400, 'type held', headers => [ [ 'Content-Type' => 'nonsense' ], $WAIT ] ],
    [ submit => 415, 'types', conf => 'await_submit QUEUE type=application/json;',
        headers => [ [ 'Content-Type' => 'image/png' ] ] ],
    [ submit => 415, 'types of none', conf => 'await_submit QUEUE type=image/*;' ],
    [ submit => 400, 'correlation', headers => [ [ 'X-Correlation-Id' => 'x' x 300 ] ] ],
    [ submit => 400, 'correlation bytes', headers => [ [ 'X-Correlation-Id' => "\xff" ] ] ],
    [ submit => 400, 'key', headers => [ [ 'Idempotency-Key' => '"half' ] ] ],
    [ submit => 400, 'key held', headers => [ [ 'Idempotency-Key' => '"half' ], $WAIT ] ],
    [ submit => 400, 'no key', conf => 'await_idempotency required; await_submit QUEUE;' ],
    [ submit => 422, 'clash', headers => [ [ 'Idempotency-Key' => '"clash"' ] ], at => 'end', stored => 1 ],
    [ submit => 422, 'clash held', headers => [ [ 'Idempotency-Key' => '"clash"' ], $WAIT ], at => 'end', stored => 1 ],
    [ submit => 409, 'under way', headers => [ [ 'Idempotency-Key' => '"taken"' ] ], at => 'end', phase => 'taken' ],
    [ submit => 400, 'JSON streamed', headers => [ $JSON, $STREAM ], at => 'mid' ],
    [ submit => 422, 'clash streamed', headers => [ [ 'Idempotency-Key' => '"clash"' ], $STREAM ], at => 'end',
        stored => 1 ],
    [ submit => 503, 'streamed', conf => 'await_max_held 1; await_submit QUEUE;', headers => [$STREAM] ],
    [ submit => 503, 'reads streamed', conf => 'await_max_inflight 1; await_submit QUEUE;', headers => [$STREAM],
        phase => 'reads' ],
    [ submit => 503, 'database streamed', headers => [$STREAM], phase => 'away', at => 'end' ],
    [ submit => 503, 'inflight', conf => 'await_max_inflight 1; await_submit QUEUE;' ],
    [ submit => 503, 'inflight form', conf => 'await_max_inflight 1; await_submit QUEUE file=image;',
        headers => [$FORM], body => "$FILE$TAIL" ],
    [ submit => 400, 'JSON', headers => [$JSON], at => 'mid' ],
    [ submit => 400, 'JSON held', headers => [ $JSON, $WAIT ], at => 'mid' ],
    [ submit => 400, 'JSON with a key', headers => [ $JSON, [ 'Idempotency-Key' => '"json"' ] ], at => 'mid' ],
    [ submit => 400, 'JSON late', headers => [ [ 'Content-Type' => 'application/a+json' ] ],
        body => '[1, ' . ' ' x 20000 . '<HIDDEN>', at => 'mid' ],
    [ submit => 400, 'JSON end', headers => [$JSON], body => '[[1,', at => 'end' ],
    [ submit => 413, 'length', conf => 'client_max_body_size 10; await_submit QUEUE;', own => 0, shapes => ['whole'] ],
    [ submit => 413, 'chunks', conf => 'client_max_body_size 10; await_submit QUEUE;', shapes => ['chunked'],
        ways => [qw(h1 tls)], at => 'mid' ],
    [ submit => 413, 'chunks of JSON', conf => 'client_max_body_size 10; await_submit QUEUE;', headers => [$JSON],
        body => '["<HIDDEN>"]', shapes => ['chunked'], ways => [qw(h1 tls)], at => 'mid' ],
    (map { [ $_ => 400, 'framing', headers => [], shapes => ['garbled'], ways => [qw(h1 tls)],
        at => 'mid' ] } qw(submit publish ticket)),
    [ submit => 400, 'no boundary', conf => $UPLOAD, headers => [ [ 'Content-Type' => 'multipart/form-data' ] ] ],
    [ submit => 400, 'long boundary', conf => $UPLOAD,
        headers => [ [ 'Content-Type' => 'multipart/form-data; boundary=' . 'b' x 71 ] ] ],
    [ submit => 400, 'form', conf => $UPLOAD, headers => [$FORM], body => "--b\r\nX: y\r\n\r\n\r\n$TAIL", at => 'mid' ],
    [ submit => 400, 'form held', conf => $UPLOAD, headers => [ $FORM, $WAIT ], body => "--b\r\nX: y\r\n\r\n\r\n$TAIL",
        at => 'mid' ],
    [ submit => 400, 'form name', conf => $UPLOAD, headers => [$FORM], body => part("name=\"\xff\"", 'x') . $TAIL,
        at => 'mid' ],
    [ submit => 400, 'form coding', conf => $UPLOAD, headers => [$FORM],
        body => part('name="x"', 'x', 'Content-Transfer-Encoding: base64') . $TAIL, at => 'mid' ],
    [ submit => 400, 'form file', conf => $UPLOAD, headers => [$FORM],
        body => part('name="x"; filename="x"', 'x') . $TAIL, at => 'mid' ],
    [ submit => 400, 'form twice', conf => $UPLOAD, headers => [$FORM], body => "$FILE$FILE$TAIL", at => 'mid' ],
    [ submit => 400, 'form file type', conf => $UPLOAD, headers => [$FORM],
        body => part('name="image"; filename="x"', 'x', 'Content-Type: none') . $TAIL, at => 'mid' ],
    [ submit => 415, 'form file without a type', conf => 'await_submit QUEUE file=image type=image/jpeg;',
        headers => [$FORM], body => part('name="image"; filename="a"', 'x') . $TAIL, at => 'mid' ],
    [ submit => 415, 'form file types', conf => 'await_submit QUEUE file=image type=image/jpeg;', headers => [$FORM],
        body => "$FILE$TAIL", at => 'mid' ],
    [ submit => 400, 'form file name', conf => $UPLOAD, headers => [$FORM],
        body => part("name=\"image\"; filename=\"a\xff\"", 'x') . $TAIL, at => 'mid' ],
    [ submit => 400, 'form file JSON', conf => $UPLOAD, headers => [$FORM],
        body => part('name="image"; filename="a"', '<HIDDEN>', 'Content-Type: application/json') . $TAIL, at => 'mid' ],
    [ submit => 413, 'form fields', conf => $UPLOAD, headers => [$FORM], body => part('name="x"', 'x' x 70000) . $TAIL,
        at => 'mid' ],
    [ submit => 400, 'form field', conf => $UPLOAD, headers => [$FORM], body => part('name="x"', "\xff") . $TAIL,
        at => 'mid' ],
    [ submit => 400, 'form end', conf => $UPLOAD, headers => [$FORM], body => $FILE . part('name="x"', '<HIDDEN>'),
        at => 'end' ],
    [ submit => 400, 'form no file', conf => $UPLOAD, headers => [$FORM], body => $TAIL, at => 'end' ],
    [ submit => 503, 'database', phase => 'away', at => 'end' ],
    [ submit => 503, 'database held', headers => [$WAIT], phase => 'away', at => 'end' ],
    [ submit => 503, 'database with a key', headers => [ [ 'Idempotency-Key' => '"away"' ] ], phase => 'away',
        at => 'end' ],

    [ submit => 400, 'recorded path', conf => 'await_proxy http://b/x$arg_p; await_submit QUEUE;', args => 'p=/../y' ],
    [ submit => 400, 'recorded header', conf => 'await_proxy http://b headers=X-Odd; await_submit QUEUE;',
        headers => [ [ 'X-Odd' => "\xff" ], $WAIT ] ],
    [ submit => 413, 'recorded size', conf => 'await_proxy http://b/' . '$arg_p' x 12 . '; await_submit QUEUE;',
        args => 'p=' . 'x' x 6000, ways => $FEW ],

    @BATCH_ROWS,

    [ publish => 404, 'topic', conf => 'await_publish $arg_t;', args => 't=a%20b' ],
    [ publish => 503, 'inflight', conf => 'await_max_inflight 1; await_publish open;' ],
    [ publish => 400, 'JSON', at => 'end' ],
    [ publish => 400, 'JSON end', body => '[', at => 'end' ],
    [ publish => 413, 'large', body => '["' . 'x' x 70000 . '"] <HIDDEN>', at => 'end' ],
    [ publish => 413, 'largish', body => '["' . 'x' x 50000 . '"]', at => 'end' ],
    [ publish => 413, 'chunks', conf => 'client_max_body_size 10; await_publish open;', shapes => ['chunked'],
        ways => [qw(h1 tls)], at => 'mid' ],
    [ publish => 400, 'NUL', body => '{"a":"\u0000"}', at => 'end' ],
    [ publish => 503, 'database', body => '{"a":1}', phase => 'away', at => 'end' ],

    [ ticket => 400, 'JSON', at => 'end' ],
    [ ticket => 400, 'channels', body => '{"channels":"<HIDDEN>"}' =~ s/<HIDDEN>/x/r, at => 'end' ],
    [ ticket => 400, 'no channels', body => '{"channels":[]}', at => 'end' ],
    [ ticket => 400, 'channel', body => '{"channels":[7]}', at => 'end' ],
    [ ticket => 403, 'channel', body => '{"channels":["topic:closed"]}', at => 'end' ],
    [ ticket => 413, 'large', body => '{' . ' ' x 20000 . '<HIDDEN>', at => 'end' ],
    [ ticket => 413, 'chunks', conf => 'client_max_body_size 10; await_ticket topic:open;', shapes => ['chunked'],
        ways => [qw(h1 tls)], at => 'mid' ],

    (map {
        my ($action, $conf, $id) = @$_;
        ([ $action => 404, 'id', args => 'id=none' ], [ $action => 404, 'unknown', args => 'id={unknown}' ],
            [ $action => 410, 'old', args => 'id={old}' ],
         [ $action => 404, 'foreign', conf => "await_owner \$arg_u; $conf", args => 'id={foreign}&u=bob' ],
         [ $action => 404, 'foreign, asked for long', conf => "await_owner \$arg_u; $conf",
             args => 'id={foreign}&u=bob', headers => [$WAIT] ])
    } [ job => 'await_job $arg_id;' ], [ cancel => 'await_job $arg_id;' ], [ result => 'await_result $arg_id;' ],
        [ retry_job => 'await_retry_job $arg_id;' ], [ page => 'await_events job:$arg_id default=json;' ]),
    [ events => 404, 'id', args => 'id=none' ], [ events => 404, 'unknown', args => 'id={unknown}' ],
        [ events => 410, 'old', args => 'id={old}' ],
    [ events => 404, 'foreign', conf => 'await_owner $arg_u; await_events job:$arg_id;', args => 'id={foreign}&u=bob' ],
    [ job => 406, 'accept', headers => [ [ Accept => 'image/png' ] ] ],
    [ job => 406, 'accept beside events', conf => 'await_job $arg_id; await_events job:$arg_id;',
        headers => [ [ Accept => 'image/png' ] ] ],
    [ events => 406, 'accept', headers => [ [ Accept => 'image/png' ] ] ],
    [ page => 406, 'accept', headers => [ [ Accept => 'image/png' ] ] ],
    [ events => 404, 'channel', conf => 'await_events $arg_c;', args => 'c=topic:closed%20' ],
    (map { my ($action, $id) = @$_; [ $action => 400, 'wait', args => "id={$id}&wait=soon" ] } [ job => 'pending' ],
        [ result => 'pending' ], [ page => 'pending' ]),
    [ page => 400, 'limit', args => 'id={pending}&limit=none' ],
    [ page => 400, 'limit held', args => 'id={pending}&limit=0&wait=30' ],
    (map {
        my ($action, $id) = @$_;
        ([ $action => 412, 'match', args => "id={$id}", headers => [ [ 'If-Match' => '"another"' ] ] ],
         [ $action => 412, 'match list', args => "id={$id}", headers => [ [ 'If-Match' => '"a", W/"b" , "c"' ] ] ],
         [ $action => 412, 'unmodified', args => "id={$id}",
             headers => [ [ 'If-Unmodified-Since' => 'Sat, 29 Oct 1994 19:43:31 GMT' ] ] ],
         [ $action => 412, 'match asked for long', args => "id={$id}",
             headers => [ [ 'If-Match' => '"another"' ], $WAIT ] ])
    } [ job => 'done' ], [ cancel => 'kept' ], [ result => 'done' ]),
    [ job => 412, 'match of what goes on', args => 'id={pending}', headers => [ [ 'If-Match' => '"another"' ] ] ],
    # these have no entity tag that could match
    (map { [ $_ => 412, 'match', headers => [ @{ $ACTIONS{$_}{headers} // [] },
        [ 'If-Match' => '"another"' ] ] ] }
        qw(submit batch_submit publish ticket retry_job webhooks retry_delivery console console_act events page jobs
            batches metrics health socket)),
    # a ticket is for watching, and gets no other
    (map { [ $_ => 403, 'by a ticket', conf => "await_auth_ticket on; $ACTIONS{$_}{conf}", args => 'ticket={mint}',
        access => 'auth_ticket.cc' ] }
        qw(submit batch_submit publish ticket cancel retry_job webhooks retry_delivery console console_act jobs batches
            metrics health)),
    [ submit => 503, 'full', conf => 'await_submit brim max_pending=1;',
        headers => [ [ 'Idempotency-Key' => '"brim"' ] ], at => 'end' ],
    [ submit => 429, 'quota', conf => 'await_owner $arg_u; await_submit brim max_pending_per_owner=1;', args => 'u=bob',
        headers => [ [ 'Idempotency-Key' => '"brim"' ] ], at => 'end' ],
    [ retry_job => 503, 'full', conf => 'await_retry_job $arg_id max_pending=1;', args => 'id={brim}', at => 'end' ],
    [ retry_job => 429, 'quota', conf => 'await_owner $arg_u; await_retry_job $arg_id max_pending_per_owner=1;',
        args => 'u=bob&id={brim}', at => 'end' ],
    [ job => 400, 'include', args => 'id={pending}&include=all' ],
    [ retry_job => 409, 'not ended', args => 'id={pending}', at => 'end' ],
    [ cancel => 409, 'ended', args => 'id={done}' ],
    (map { my ($action, $conf) = @$_; [ $action => 503, 'held', conf => "await_max_held 1; $conf",
        args => 'id={pending}&wait=30' ] }
        [ job => 'await_job $arg_id;' ], [ result => 'await_result $arg_id;' ],
            [ page => 'await_events job:$arg_id default=json;' ]),
    [ job => 503, 'held by Prefer', conf => 'await_max_held 1; await_job $arg_id;', headers => [$WAIT] ],
    [ job => 503, 'held by await_hold', conf => 'await_max_held 1; await_hold 30s; await_job $arg_id;' ],
    (map {
        my ($action, $conf, $args) = @$_;
        ([ $action => 503, 'reads', conf => "await_max_inflight 1; $conf", args => 'id={pending}', phase => 'reads' ],
         [ $action => 503, 'reads held', conf => "await_max_inflight 1; $conf", args => 'id={pending}&wait=30',
             phase => 'reads' ])
    } [ job => 'await_job $arg_id;' ], [ result => 'await_result $arg_id;' ],
        [ page => 'await_events job:$arg_id default=json;' ]),
    [ cancel => 503, 'reads', conf => 'await_max_inflight 1; await_job $arg_id;', phase => 'reads' ],
    (map { [ $_ => 503, 'database', args => 'id={pending}', phase => 'away' ] } qw(job cancel retry_job result page)),
    (map { [ $_ => 500, 'function', args => 'id={kept}', phase => 'broken' ] } qw(cancel)),
    [ publish => 500, 'function', body => '{"a":1}', phase => 'broken', at => 'end' ],
    [ result => 404, 'pending', conf => 'await_result $arg_id pending=404;', args => 'id={pending}' ],
    [ result => 409, 'pending', conf => 'await_result $arg_id pending=409;', args => 'id={pending}' ],
    [ result => 410, 'cancelled', args => 'id={cancelled}' ],
    [ result => 424, 'failed', args => 'id={failed}' ],
    [ result => 416, 'range', headers => [ [ Range => 'bytes=1000-' ] ] ],

    [ batches => 400, 'state', args => 'state=done' ],
    [ batches => 406, 'accept', headers => [ [ Accept => 'image/png' ] ] ],
    [ batches => 503, 'reads', conf => 'await_max_inflight 1; await_batches all;', phase => 'reads' ],
    [ batches => 503, 'database', phase => 'away' ],
    [ jobs => 400, 'queue of the location', conf => 'await_jobs $arg_q all;', args => 'q=a%20b' ],
    [ jobs => 400, 'queue', conf => 'await_jobs all;', args => 'queue=a%20b' ],
    [ jobs => 400, 'another queue', args => 'queue=another' ],
    [ jobs => 400, 'twice', args => 'state=failed&limit=1&state=failed' ],
    (map { [ jobs => 400, "$_->[0] $_->[1]", args => "$_->[0]=$_->[1]" ] } [ state => 'done' ], [ limit => 0 ],
        [ limit => 201 ], [ batch => 'x' ], [ created_after => 'today' ], [ created_before => 1 ], [ cursor => 'x' ]),
    [ jobs => 406, 'accept', headers => [ [ Accept => 'image/png' ] ] ],
    [ jobs => 503, 'reads', conf => 'await_max_inflight 1; await_jobs all;', phase => 'reads' ],
    [ jobs => 503, 'database', phase => 'away' ],

    @WEBHOOK_ROWS,
    @CONSOLE_ROWS,

    [ socket => 426, 'no upgrade', headers => [], conf => 'await_socket;' ],
    [ socket => 426, 'another upgrade', headers => [ [ Upgrade => 'h2c' ], [ Connection => 'Upgrade' ] ],
        conf => 'await_socket;' ],
    [ socket => 426, 'version', swap => { 'Sec-WebSocket-Version' => 8 } ],
    [ socket => 400, 'key', swap => { 'Sec-WebSocket-Key' => 'short' }, upgraded => 426 ],
    [ socket => 400, 'protocol', swap => { 'Sec-WebSocket-Protocol' => 'chat' }, upgraded => 426 ],
    [ socket => 400, 'protocol of a plain one', conf => 'await_socket topic:open plain;',
        swap => { 'Sec-WebSocket-Protocol' => 'chat' }, upgraded => 426 ],
    [ socket => 404, 'channel', conf => 'await_socket $arg_c;', args => 'c=topic:closed', upgraded => 426 ],
    [ socket => 503, 'held', conf => 'await_max_held 1; await_socket;', upgraded => 426 ],

    [ problem => 404, 'itself', args => 'x=1' ],
    [ problem => 404, 'itself by POST', method => 'POST' ],
    [ problem => 404, 'nothing', conf => 'return 404;', method => 'POST', own => 0 ],
    [ problem => 403, 'denied', conf => 'deny all;', method => 'POST', own => 0 ],
    [ problem => 401, 'basic', conf => 'auth_basic basic; auth_basic_user_file PASSWORDS;', method => 'POST',
        own => 0 ],
    (map { [ resources => 404, "path by $_", method => $_, access => 'resources.cc' ] }
            qw(GET POST PUT DELETE OPTIONS)),
    [ resources => 404, 'path held', headers => [ $JSON, $WAIT ] ],
    [ problem => 429, 'quota', conf => 'limit_conn one 1; limit_conn_status 429; await_submit QUEUE;', method => 'POST',
        own => 0 ],
    [ submit => 401, 'basic', conf => 'auth_basic basic; auth_basic_user_file PASSWORDS; await_submit QUEUE;',
        own => 0 ],
    [ submit => 403, 'denied', conf => 'deny all; await_submit QUEUE;', own => 0 ],
    [ submit => 403, 'by method', conf => 'await_submit QUEUE; limit_except GET { deny all; }', own => 0 ],
);

# What every action has in common.
for my $action (sort keys %ACTIONS) {
    my %of = %{ $ACTIONS{$action} };
    next if $of{open};
    my $at = $action eq 'submit' ? ' and a coding it does not take' : '';
    my @common = ([
            401, 'no token',
            conf => "await_auth_jwt api token=\$arg_token; await_auth_jwt_key_file KEY; $of{conf}",
            access => 'auth_jwt.cc'
        ],
        [
            401, 'bad token',
            conf => "await_auth_jwt api token=\$arg_token; await_auth_jwt_key_file KEY; $of{conf}",
            args => 'token=x.y.z',
            access => 'auth_jwt.cc'
        ],
        [ 401, 'no ticket', conf => "await_auth_ticket on; $of{conf}", access => 'auth_ticket.cc' ],
        [
            401, 'bad ticket',
            conf => "await_auth_ticket on; $of{conf}",
            args => 'ticket=none',
            access => 'auth_ticket.cc'
        ],
        [
            401, 'used ticket',
            conf => "await_auth_ticket on; $of{conf}",
            args => 'ticket={ticket}',
            access => 'auth_ticket.cc'
        ],
        [
            503, 'ticket, no database',
            conf => "await_auth_ticket on; $of{conf}",
            args => 'ticket={fresh}',
            phase => 'away',
            access => 'auth_ticket.cc'
        ],
    );
    push @common, [ 403, 'nobody', conf => "await_owner \$http_x_user; $of{conf}" ],
        [ 403, 'no name', conf => "await_owner \$http_x_user; $of{conf}", headers => [ [ 'X-User' => "\xff" ] ] ]
        unless $of{unscoped};
    push @common, [ 403, 'page', headers => [ [ Origin => 'https://evil.example' ] ] ],
        [ 403, 'site', headers => [ [ 'Sec-Fetch-Site' => 'cross-site' ] ] ]
        if $of{method} ne 'GET' || $action eq 'socket';
    my @refused =
        grep {
            $_ ne $of{method}
                && !($_ eq 'DELETE' && $action =~ /^(?:job|batch)$/)
                && !($_ eq 'GET' && $action =~ /(?:cancel|retry_delivery|console_act)$/)
        }
        qw(GET POST PUT PATCH DELETE);
    push @common, map { [ 405, "by $_", method => $_, headers => [] ] } @refused;
    push @common, [ 204, 'OPTIONS', method => 'OPTIONS', headers => [] ];
    push @common, map {
        [
            204, "preflight of $_->[0]",
            conf => "await_cors on; await_origins https://app.example; $of{conf}",
            method => 'OPTIONS',
            access => 'cors.cc',
            headers => [ [ Origin => $_->[1] ], [ 'Access-Control-Request-Method' => $of{method} ] ] ]
    } [ 'ours', 'https://app.example' ], [ 'others', 'https://evil.example' ];
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
    %row = (
        conf => $of{conf},
        method => $of{method},
        body => '<HIDDEN>',
        at => 'head',
        phase => 'main',
        own => 1,
        below => $of{below} // '',
        action => $action,
        status => $status,
        name => "$action $status $name",
        %row
    );
    $row{args} = join '&', grep { defined } $row{args},
        $row{args} && $row{args} =~ /^(?:token|ticket)=/ ? $of{args} : ()
        if defined $row{args};
    $row{args} //= $of{args} // '';
    $row{headers} //= $of{headers} // [];
    $row{headers} =
        [ map { exists $row{swap}{ $_->[0] } ? [ $_->[0], $row{swap}{ $_->[0] } ] : $_ } @{ $row{headers} } ]
        if $row{swap};
    die "two rows are named $row{name}" if $seen{ $row{name} }++;
    $row{path} = $row{name} =~ s/\W+/_/gr;
    $_ = \%row;
}

1;
