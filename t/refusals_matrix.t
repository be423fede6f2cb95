# A refusal is one answer to one request, whatever refuses, whenever, over whatever connection, with or without an
# error_page: refused submissions were stored and run, a refused body was read as the next request (and its answer given
# to another client of the same proxy), requests over a limit were answered 503 and held all the same. So a request
# hides in every refused body here. t/lib/Await/Refusals.pm has every refusal that src/http can give; one that is added
# there and not here fails the last part.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::RefusalCells;
use Await::Refusals;
use Await::RefusalSource;
use Await::Test;
use Await::WebSocket;
use IO::Handle;
use Test::More;
use Time::HiRes qw(time);

my $ROOT = $Await::Stack::ROOT;

# --- the servers ----------------------------------------------------------------------------------------

my ($readme) = slurp("$ROOT/README.md") =~ /^ *error_page ([\d ]+) \@problem;/m;
my %MODES = (
    none => '',
    readme => $readme,
    all => '400 401 403 404 405 406 408 409 410 411 412 413 414 415 416 422 424 426 429 500 502 503 504'
);
my %PORT;
for my $mode (keys %MODES) { $PORT{$mode}{$_} = Await::Stack::free_port() for qw(h1 h2 tls front streaming) }

my $dir = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $dir;
Await::Stack::write_file("$dir/jwt.key", 'a-secret-of-thirty-two-bytes-and-more', 0644);
Await::Stack::write_file("$dir/passwords", "ann:{PLAIN}x\n", 0644);
self_signed($dir, 'ec -pkeyopt ec_paramgen_curve:P-256');

sub queue_of { my ($row, $mode) = @_; return substr "$mode-$row->{path}", 0, 64 }

my $site = '';
for my $mode (sort keys %MODES) {
    my %port = %{ $PORT{$mode} };
    my $error_page = $MODES{$mode} ? "error_page $MODES{$mode} \@problem; location \@problem { await_problem; }" : '';
    $site .= "server {\n" . ($mode eq 'none' ? "listen 127.0.0.1:\${PORT};\n" : '') . <<"CONF";
        listen 127.0.0.1:$port{h1}; listen 127.0.0.1:$port{h2} http2; listen 127.0.0.1:$port{tls} ssl http2;
        ssl_certificate $dir/cert.pem; ssl_certificate_key $dir/key.pem;
        keepalive_requests 100000; keepalive_timeout 600s; client_max_body_size 10m; $error_page
        location = /next { return 200 "next \$arg_n"; }
        location = /secret { await_job \$arg_id; await_hold 1s; }
        location = /metrics { await_metrics; }
        location = /setup { await_submit setup; }
        location = /setup-ann { await_owner \$arg_u; await_submit setup; }
        location = /setup-batch { await_batch queues=setup-b; }
        location = /setup-phased { await_batch queues=setup-b phases=a,b; }
        location = /setup-batch-ann { await_owner \$arg_u; await_batch queues=setup-b; }
        location = /setup-job { await_job \$arg_id; }
        location = /setup-ticket { await_ticket topic:open ttl=1h; }
        location = /setup-events { await_auth_ticket on; await_events topic:open default=json; }
        location = /ws { await_allow topic:open topic:two topic:three; await_max_channels 2; await_socket; }
        location = /ws-held { await_allow topic:open topic:two; await_max_held 2; await_socket; }
        location = /ws-reads { await_allow topic:open; await_max_inflight 1; await_socket; }
        location = /keep { limit_conn one 1; client_body_timeout 300s; await_submit keep; }
        location = /hold { await_job \$arg_id; await_hold_max 300s; await_hold 300s; }
CONF
    for my $row (@ROWS) {
        my $conf =
            $row->{conf} =~ s/QUEUE/queue_of($row, $mode)/er =~ s/KEY/$dir\/jwt.key/r =~ s/PASSWORDS/$dir\/passwords/r;
        my $exact = $row->{below} ? '' : '= ';
        $site .= "        location $exact/$row->{path} { $conf }\n";
    }
    $site .= "}\n";
    for my $front (qw(front streaming)) {
        my $buffering = $front eq 'front' ? 'on' : 'off';
        $site .= <<"CONF";
upstream $mode-$front { server 127.0.0.1:$port{h1}; keepalive 1; keepalive_timeout 600s; }
server {
    listen 127.0.0.1:$port{$front}; access_log off; keepalive_requests 100000; keepalive_timeout 600s;
    client_max_body_size 10m;
    proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_buffering $buffering; proxy_request_buffering $buffering;
    location / { proxy_pass http://$mode-$front; }
}
CONF
    }
}
my $s = start_stack(site => "limit_conn_zone \$server_addr zone=one:1m;\n$site");

# --- what the rows speak of -----------------------------------------------------------------------------

my %id = map { $_ => one_job('/setup', 'x') } qw(pending kept done failed cancelled);
$id{foreign} = one_job('/setup-ann?u=ann', 'x');
claim($_, queue => 'setup') for @id{qw(done failed)};
complete($id{done}, 'a result');
sql("SELECT await.fail('$id{failed}', test.receipt('$id{failed}'), '{}', '-1 s')");
sql(q{UPDATE await.queue SET quotas = true WHERE id = await.queue_id('brim');
    SELECT await.submit('brim', 'x', options => '{"owner": "bob"}')});
$id{brim} = sql(q{SELECT await.submit('brim', 'x', options => '{"owner": "bob"}')});
is sql("SELECT await.cancel('$id{brim}')"), 'cancelled', 'one that could be retried, if its queue were not full';
is del("/setup-job?id=$id{cancelled}")->{status}, 202, 'a job is cancelled';
sql(qq{SELECT await.add_webhook('https://example.com/', NULL, '{pending}'),
    await.add_webhook('https://example.org/', NULL, '{pending}');
    SELECT await.enqueue_deliveries(ARRAY['$id{pending}']::uuid[], '{1}', '{pending}');
    WITH due AS (DELETE FROM await.delivery_due WHERE webhook = 2 RETURNING delivery)
    INSERT INTO await.delivery_end SELECT delivery, 'dead' FROM due;
    SELECT await.enable_webhook(2, false)});
$id{unknown} = $id{pending} =~ s/.{6}$/000000/r;
$id{old} = '018bcfe5-6801-7000-8000-000000000000';
{
    my %at = (batch => '', ready_batch => '', phased_batch => '', foreign_batch => '-ann?u=ann');
    for (sort keys %at) {
        my $path = $_ eq 'phased_batch' ? '/setup-phased' : "/setup-batch$at{$_}";
        my $r = post($path, '{"jobs":[{"payload":1}]}', 'Content-Type' => 'application/json');
        $id{$_} = id_of($r);
        next if $_ ne 'ready_batch';
        my $job = json($r)->{jobs}[0]{id};
        claim($job, queue => 'setup-b');
        complete($job, 'a result');
    }
    $id{unknown_batch} = $id{batch} =~ s/.{6}$/000000/r;
    $id{old_batch} = '018bcfe5-6801-8000-8000-000000000000';
}
$id{ticket} = json(post('/setup-ticket', ''))->{ticket};
is get("/setup-events?ticket=$id{ticket}")->{status}, 200, 'a ticket is used';
$id{fresh} = json(post('/setup-ticket', ''))->{ticket};
for my $mode (sort keys %MODES) {
    for my $row (grep { $_->{stored} } @ROWS) {
        my $first = begin_request(
            'POST', "/$row->{path}",
            body => $row->{action} eq 'batch_submit' ? '{"jobs":[{"payload":"the first"}]}' : 'the first',
            port => $PORT{$mode}{h1},
            headers => { 'Idempotency-Key' => '"clash"',
                $row->{action} eq 'batch_submit' ? ('Content-Type' => 'application/json') : () })->response;
        is $first->{status}, 202, "$row->{name}: a first submission";
    }
}

# what takes all the room there is where the limit is one: a held request, and a submission that does not end
my $held = begin_request('GET', "/hold?id=$id{pending}");
my $half = begin_raw("POST /keep HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
ok until_true('both are there', sub { metric('await_held') == 1 && metric('await_inflight_submissions') == 1 }),
    'the room is taken';

my %details;      # what refusals have said, for the last part

# What is refused on a socket is told on it, and the socket goes on. Cases: a status, and what is said.
sub try_socket {
    my ($path, @cases) = @_;
    my $socket = Await::WebSocket->new($s->{port}, $path);
    for my $case (@cases) {
        my ($status, $message) = @$case;
        ref $message ? $socket->say($message) : $socket->send_text($message);
        my $told = $socket->message(4) // {};
        next
            unless is $told->{status}, $status,
            "$path: "
            . ($status // 'no refusal') . ' to '
            . (ref $message ? join ' ', map { $message->{$_} } sort keys %$message : $message);
        $details{"$status " . ($told->{detail} // '')} = 1 if $status;
    }
    $socket->say({ op => 'ping' });
    is +($socket->message(4) // {})->{op}, 'beat', "$path: and goes on";
    $socket->close;
}

my @cells = refusal_cells(modes => \%MODES, ports => \%PORT, ids => \%id);

sub run_phase {
    my ($phase, $look) = @_;
    my @now = grep { $_->{row}{phase} eq $phase } @cells;
    my $begin = time;
    my $faults = run_cells(\@now, $look);
    note sprintf '%s: %d cells in %.1f s', $phase, scalar @now, time - $begin;
    my (%groups, %order);
    for my $cell (@now) {
        push @{ $groups{"$cell->{row}{name}, error_page $cell->{mode}, $cell->{way}"} }, $cell;
        $order{"$cell->{row}{name}, error_page $cell->{mode}, $cell->{way}"} //= keys %order;
    }
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
    until_true('it holds', sub { sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holder'
        AND state = 'idle in transaction' AND query NOT LIKE 'BEGIN%'") });
    return $session;
}

sub on { my ($channel) = @_; return { op => 'subscribe', channel => $channel } }
try_socket(
    '/ws',
    [ 400, '{' ],
    [ 400, { op => 'none' } ],
    [ 404, on('topic:closed') ],
    [ 404, on("job:$id{unknown}") ],
    [ 404, on('job:none') ],
    [ 404, on('user:ann') ],
    [ 404, { op => 'unsubscribe', channel => 'topic:open' } ],
    [ undef, on('topic:open') ],
    [ 409, on('topic:open') ],
    [ undef, on('topic:two') ],
    [ 429, on('topic:three') ]);
try_socket('/ws-held', [ undef, on('topic:open') ], [ 503, on('topic:two') ]);
ok until_true('their room is given back', sub { metric('await_sockets') == 0 }), 'their room is given back';
run_phase('main', sub {
    ok until_true(
        'nothing is held',
        sub {
                   metric('await_held') == 1
                && metric('await_inflight_submissions') == 1
                && metric('await_inflight_reads') == 0
                && metric('await_sockets') == 0;
        },
        5
        ),
        'with all connections still there, nothing of what was refused is held';
    is metric('await_held'), 1, 'await_held';
    is metric('await_parked'), 1, 'await_parked';
    is metric('await_inflight_submissions'), 1, 'await_inflight_submissions';
    is metric('await_inflight_reads'), 0, 'await_inflight_reads';
    is metric('await_watched_jobs'), 1, 'await_watched_jobs';
});
{
    my @scopes;
    for my $row (grep { $_->{phase} eq 'taken' } @ROWS) {
        my $kind = $row->{action} eq 'batch_submit' ? '.batch:' : '';
        push @scopes, map { $kind . queue_of($row, $_) } sort keys %MODES;
    }
    my $session = session(
        join ';',
        map {
            "INSERT INTO await.idem VALUES ('', '$_', 'taken', '\\x00', gen_random_uuid(),"
                . " clock_timestamp() + interval '1 h')"
        } @scopes
    );
    run_phase('taken');
    close $session;
}
{
    my $session = session('LOCK TABLE await.job IN ACCESS EXCLUSIVE MODE');
    my $reading = begin_request('GET', "/setup-job?id=$id{done}");
    ok until_true('a read is under way', sub { metric('await_inflight_reads') == 1 }), 'a read is under way';
    try_socket('/ws-reads', [ 503, on('topic:open') ]);
    run_phase(
        'reads',
        sub {
            is metric('await_inflight_reads'), 1, 'no other read waits';
            is metric('await_held'), 1, 'and nothing is held';
        });
    close $session;
    is $reading->response->{status}, 200, 'the read that was there before is answered';
}
my $functions = "SELECT p.oid::regprocedure, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = 'await' AND p.proname ~ '^(edge_)?(cancel|publish)'";
for (split /\n/, sql($functions)) {
    my ($function, $name) = split /\|/;
    sql("ALTER FUNCTION $function RENAME TO gone_$name");
}
run_phase('broken');
for (split /\n/, sql($functions =~ s/\^\(/^gone_(/r)) {
    my ($function, $name) = split /\|/;
    sql("ALTER FUNCTION $function RENAME TO " . substr $name, 5);
}
is sql('SELECT count(*) FROM await.batch_stage'), 0, 'nothing of a refused batch is left';
isnt json(get("/setup-job?id=$id{kept}"))->{state}, 'cancelled', 'a job whose cancellation was refused is as it was';
is sql("SELECT string_agg(queue || ' ' || n, ', ' ORDER BY queue)
    FROM (SELECT q.name AS queue, count(*) AS n FROM await.job j JOIN await.queue q ON q.id = j.queue GROUP BY q.name) t
    WHERE NOT (queue IN ('setup', 'setup-b', '.batch')
        OR queue ~ 'submit_422_clash' AND n = 1 OR queue = 'brim' AND n = 2)") // '',
    '', 'nothing that was refused is stored';

$s->end('postgres', 'INT', 20);
ok until_true('PostgreSQL is away', sub { metric('await_postgres_connections') == 0 }), 'PostgreSQL is away';
run_phase('away');
$held->close;
$half->close;
ok until_true(
    'all is given back',
    sub {
               metric('await_held') == 0
            && metric('await_parked') == 0
            && metric('await_inflight_submissions') == 0
            && metric('await_inflight_reads') == 0;
    }
    ),
    'all is given back at last';

# --- the log: one line for one request ------------------------------------------------------------------

{
    my %lines;
    my @hidden;
    for (split /\n/, slurp("$s->{dir}/logs/access.log")) {
        push @hidden, $_ if m{ "GET /secret\S*&in=};
        push @{ $lines{$1} }, $2 if m{[?&]cell=(c\d+c)\b.*?" (\d{3}) };
    }
    is_deeply [
        map {
            /(c\d+c)/;
            my $id = $1;
            map { describe($_) } grep { $_->{id} eq $id } @cells;
        } @hidden
        ],
        [],
        'no request was read out of a body';
    is_deeply [
        map {
            my $told = join ' ', @{ $lines{ $_->{id} } // ['nothing'] };
            $told eq expected_status($_) ? () : describe($_) . ": $told"
        } @cells
        ],
        [],
        'each refusal has one line in the access log, with its status';
}

# --- the source: every refusal has a row ----------------------------------------------------------------

# Refusals that no single request provokes, each with the test that sees it.
my %ELSEWHERE = (
    'The server is starting; retry later.' => 'before an nginx worker has begun: nothing answers then',
    'The server is restarting; retry later.' => 't/p6_reload.t and t/reloads.t',
    'The database is not connected yet; retry later.' => 't/tickets.t, started without PostgreSQL',
    'The job has changed since the preconditions were checked; retry.' => 'a race of two clients: t/job.t',
    'The batch has changed since the preconditions were checked; retry.' => 'a race, as of a job',
    'Another request is changing the same data; retry.' => 'a race of two clients',
    'The request body is no longer available.' => 't/neighbours.t: error_page of the body',
    'The session was revoked.' => 't/tickets.t: await.revoke()',
    'The request bodies in progress use too much memory; retry later.' =>
        't/answers.t and t/costs.t: other requests hold them',
    'A storage limit has been reached. Nothing was stored; retry later.' => 't/bounds.t: the limit of queues',
    'The data in the request is too large for this resource.' =>
        'no statement of an edge is refused for its size: the edge has looked before',
);
my ($sites, $actions, $guards) = refusals_in_source($ROOT);
cmp_ok scalar @$sites, '>', 50, 'the source is read';
cmp_ok scalar @$actions, '>=', 9, 'the actions are found: ' . join ' ', @$actions;
for my $file (qw(auth_jwt.cc auth_ticket.cc cors.cc)) {
    ok scalar(grep { $_ eq $file } @$guards), "the handler of a phase in $file is found";
}
for my $site (@$sites) {
    # words of which only one can be said in one answer are seen one by one
    my @said = map { substr $_, 4 } grep { /^$site->{status} / } keys %details;
    my @unseen = grep { my $word = $_; !grep { index($_, $word) >= 0 } @said } @{ $site->{words} };
    ok $ELSEWHERE{ $site->{text} } || @said && !@unseen, "$site->{file}: $site->{status} \"$site->{text}\" has a row";
}
for my $text (sort keys %ELSEWHERE) {
    ok scalar(grep { $_->{text} eq $text } @$sites), "\"$text\" is in the source still";
}
my %rows = map { $_->{action} => 1 } @ROWS;
is_deeply [ grep { !$rows{$_} } @$actions ], [], 'every action has rows';
is_deeply [
    grep {
        my $file = $_;
        !grep { ($_->{access} // '') eq $file } @ROWS
    } @$guards
    ],
    [],
    'every handler of a phase has rows';
finish();
