# Every transport by every way to it: a reader that stalls and comes back, and one that is slow for longer than
# send_timeout, get everything, once, in order; a stream that is read stays for longer than send_timeout; and the access
# log says the same of all. Streams that were not parked were reset send_timeout after their first event, over TLS a
# reader who stalled while events came was cut, a timer of limit_rate's was deleted, and $realip_remote_addr of a parked
# request was its client's.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Client;
use Await::Test;
use MIME::Base64;
use Test::More;
use Time::HiRes qw(time sleep);

my $files = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $files;
self_signed($files);

my @ways = (
    { name => 'HTTP/1.1' },
    { name => 'HTTP/1.1, not parked', conf => 'await_park off;' },
    { name => 'HTTP/1.1, limit_rate', conf => 'limit_rate 300k;' },
    { name => 'TLS 1.3', tls => 1 },
    { name => 'TLS 1.2, records of 4 KB', tls => 'TLSv1_2', conf => 'ssl_buffer_size 4k;' },
    { name => 'TLS, not parked', tls => 1, conf => 'await_park off;' },
    { name => 'HTTP/2', http2 => 1 },
    { name => 'HTTP/2, limit_rate', http2 => 1, conf => 'limit_rate 300k;' },
    { name => 'HTTP/2 over TLS', http2 => 1, tls => 1 },
);
my $TIMEOUT = 5;      # send_timeout, in seconds; longer on a busy machine, see below
Await::Stack::write_file("$files/timeout.conf", "send_timeout ${TIMEOUT}s;\n", 0644);
my @transports = (
    { name => 'poll', path => '/jobs/ID', wait => 1 },
    { name => 'post', path => '/jobs', method => 'POST', body => 'x', wait => 1 },
    { name => 'page', path => '/jobs/ID/events', accept => 'application/json', wait => 1, last => 1 },
    { name => 'sse', path => '/jobs/ID/events' },
    { name => 'stream', path => '/jobs', method => 'POST', body => 'x', accept => 'text/event-stream' },
    { name => 'socket', path => '/ws/ID', upgrade => 1 },
    { name => 'inline', path => '/jobs/SMALL/result' },
    { name => 'large', path => '/jobs/LARGE/result' },
    { name => 'batch', path => '/sets/BATCH', wait => 1 },
    { name => 'set', path => '/sets', method => 'POST', body => '{"jobs":[{"payload":1},{"payload":2}]}', wait => 1,
        type => 'application/json' },
    { name => 'events', path => '/sets/BATCH', accept => 'text/event-stream' },
    { name => 'list', path => '/list?limit=50' },
    { name => 'retry', path => '/jobs/SMALL/retry', method => 'POST', body => '' },
    { name => 'overview', path => '/ops/api/overview' },
    { name => 'console', path => '/ops/api/live' },
);

# Variables that a log may hold: all but those that no two requests have in common.
my @variables =
    qw(status request_method uri args arg_x query_string is_args request_filename document_root host server_name
        http_host http_accept http_x_tag http_prefer content_length content_type cookie_c remote_addr
        binary_remote_addr realip_remote_addr remote_user scheme limit_rate limit_req_status nothing captured mapped
        geo request_completion await_delivery await_state sent_http_content_type sent_http_cache_control
        sent_http_vary sent_http_x_accel_buffering sent_http_x_named sent_http_connection sent_http_transfer_encoding
        connection_requests server_protocol request_length body_bytes_sent bytes_sent pipe request_body);
my $servers = '';
for my $way (@ways) {
    $way->{port} = Await::Stack::free_port();
    my $listen =
          "listen 127.0.0.1:$way->{port} sndbuf=16k"
        . ($way->{tls} ? ' ssl' : '')
        . ($way->{http2} ? ' http2' : '') . ';';
    my $certificate = "ssl_certificate $files/cert.pem; ssl_certificate_key $files/key.pem;";
    $servers .= "server { $listen $certificate ${\($way->{conf} // '')}" . <<'CONF';
    server_name ways; access_log logs/ways.log ways; set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;
        set $nothing ""; keepalive_timeout 60s;
    location = /jobs { limit_req zone=many burst=500 nodelay; await_submit work;
        add_header X-Named "$http_x_tag" always; }
    location ~ ^/jobs/(?<captured>[^/]+)$ { limit_req zone=many burst=500 nodelay; await_job $captured;
        add_header X-Named "$http_x_tag" always; }
    location ~ ^/jobs/(?<captured>[^/]+)/result$ { await_result $captured; }
    location ~ ^/jobs/(?<captured>[^/]+)/events$ { await_events job:$captured; add_header X-Named "$http_x_tag" always;
        }
    location = /list { await_jobs listed all; }
    location ~ ^/jobs/(?<captured>[^/]+)/retry$ { await_retry_job $captured; add_header X-Named "$http_x_tag" always; }
    location = /sets { limit_req zone=many burst=500 nodelay; await_batch queues=work;
        add_header X-Named "$http_x_tag" always; }
    location ~ ^/sets/(?<captured>[^/]+)$ { limit_req zone=many burst=500 nodelay; await_batch $captured;
        await_events batch:$captured; add_header X-Named "$http_x_tag" always; }
    location /ops { await_console; add_header X-Named "$http_x_tag" always; }
    location ~ ^/ws/(?<captured>[^/]+)$ { await_socket job:$captured; }
}
CONF
}
my $s = start_stack(http => <<"CONF" . $servers, extra => 'location = /metrics { await_metrics; }');
include $files/timeout.conf;
await_drain 2s;
await_ping 2m socket=2m;      # or the log would count the pings of a busy machine
await_max_buffered 4m;
limit_req_zone \$server_name zone=many:1m rate=1000r/s;
map \$http_x_tag \$mapped { "" none; ~^(?<letter>.) "begins with \$letter"; }
geo \$geo { default far; 192.0.2.0/24 near; }
log_format ways escape=json '\$arg_way|\$arg_t|\$realip_remote_port|@{[ join '|', map { "\$$_" } @variables ]}';
CONF

# send_timeout is far from the time that the stall takes on this machine; without a client it takes a part of it
{
    my $warm = one_job();
    my $began = time;
    claim($warm);
    fill_up($warm);
    my $took = time - $began;
    complete($warm, 'x');
    if ($took > 0.4) {
        $TIMEOUT = int(4 + 6 * $took);
        Await::Stack::write_file("$files/timeout.conf", "send_timeout ${TIMEOUT}s;\n", 0644);
        my @old = worker_pids();
        kill 'HUP', $s->pid('nginx');
        eventually('nginx has a longer send_timeout', sub { workers_are_new(@old) && !grep { kill 0, $_ } @old }, 40);
    }
}

# --- the scenario: all ways and transports at once -----------------------------------------------------

my $large = join '', map { sprintf '%08x', $_ } 1 .. 80_000;
my ($small_id, $large_id) = (one_job(), one_job());
my $job = one_job();
claim($job);      # and the others with it
my $attempt = 1;
complete($small_id, 'a small result');
complete($large_id, $large);
sql("SELECT (await.edge_retry('$small_id')).id");      # so that all that do so get this one
my $batch = sql("SELECT await.create_batch('{}')");
my $batch_job = sql("SELECT await.submit('work', 'x', options => '{\"batch\": \"$batch\"}')");
sql("SELECT await.submit('listed', 'x') FROM generate_series(1, 50)");

my @clients;
sub begin {
    my ($n, $transport) = @_;
    my $way = $ways[$n];
    my %headers =
        (Accept => $transport->{accept} // '*/*', 'X-Tag' => 'seen', 'X-Real-IP' => '192.0.2.7', Cookie => 'c=1');
    $headers{Prefer} = 'wait=50' if $transport->{wait};
    $headers{'Content-Type'} = $transport->{type} if $transport->{type};
    @headers{qw(Connection Upgrade Sec-WebSocket-Protocol Sec-WebSocket-Version Sec-WebSocket-Key)} =
        ('Upgrade', 'websocket', 'await.v1', 13, encode_base64('sixteen bytes 16', ''))
        if $transport->{upgrade};
    $headers{'Last-Event-ID'} = $transport->{cursor} if defined $transport->{cursor};
    my $path = $transport->{path} =~ s/ID/$job/r =~ s/SMALL/$small_id/r =~ s/LARGE/$large_id/r
        =~ s/BATCH/$batch/r;
    my $client = Await::Client->new(
        $way->{port}, $transport->{method} // 'GET',
        $path . ($path =~ /\?/ ? '&' : '?') . "x=1&way=$n&t=$transport->{name}",
        headers => \%headers,
        body => $transport->{body},
        http2 => $way->{http2},
        tls => $way->{tls},
        rcvbuf => 65536
    );
    $client->{case} = "$transport->{name}, $way->{name}";
    $client->{n} = $n;
    $client->{transport} = $transport->{name};
    push @clients, $client;
}
sub of { my ($name) = @_; return grep { $_->{transport} eq $name } @clients }

# Lets all read, so many bytes each in 20 ms, until a condition holds. Who is slow because the machine is busy reads
# more at a time, or send_timeout would be over between two of its windows.
sub turn {
    my ($most, $enough, $seconds) = @_;
    my $last = time;
    my $end = $last + ($seconds // 60);
    until ($enough->()) {
        my $now = time;
        return 0 if $now > $end;
        my $steps = ($now - $last) / 0.02;
        $last = $now;
        $_->fill(int($most * ($steps > 1 ? $steps : 1))) for @clients;
        sleep 0.02;
    }
    return 1;
}
# Events for all who hear of a job, while nobody reads.
sub fill_up {
    my ($id) = @_;
    for my $round (0 .. 4) {
        my ($first, $last) = ($round * 10 + 1, $round * 10 + 10);
        sql("SELECT count(await.emit('$id', test.receipt('$id'), 'n',
            to_jsonb('filled ' || n || ' ' || repeat('z', 30000)))) FROM generate_series($first, $last) n");
        hint($id);
    }
    return;
}

sub types { my ($client) = @_; return [ map { /^event: (.*)$/m ? $1 : () } split /\n\n/, $client->{body} ] }
# The numbers of the events that have begun to come, in order.
sub numbers {
    my ($client) = @_;
    $client->{numbers} //= [];
    if ($client->{transport} eq 'socket') {
        my @new = defined $client->{head} ? $client->socket_frames : ();
        push @{ $client->{numbers} }, map { $_->[1] =~ /"filled (\d+) z/ } @new;
        push @{ $client->{last} }, grep { $_->[1] =~ /"type":"completed"/ } @new;
        return $client->{numbers};
    }
    pos($client->{body}) = $client->{seen} // 0;
    while ($client->{body} =~ /"filled (\d+) z/g) {
        push @{ $client->{numbers} }, $1;
        $client->{seen} = pos $client->{body};
    }
    return $client->{numbers};
}

my $EVENTS = 50;
for my $n (0 .. $#ways) { begin($n, $_) for grep { !($_->{upgrade} && $ways[$n]{http2}) && !$_->{last} } @transports }
my @HELD = qw(poll post sse stream batch set events);
my $held = @HELD * @ways + grep { !$_->{http2} } @ways;
ok turn(
    65536,
    sub {
        metric('await_held') == $held && !grep { $_->{body} eq '' } of('sse');
    }
    ),
    'all are held' or diag metric('await_held'),
    " of $held";
is_deeply [ map { $_->{case} }
    grep { $_->{eof} || $_->{ended} || $_->{reset} } map { of($_) } @HELD, 'socket' ], [],
    'and none has ended';

# nobody reads: events, and others while the first are stuck; all within send_timeout
$_->fill(400_000) for @clients;
my $stuck = time;
fill_up($job);
eventually('bytes wait for the slow clients', sub { metric('await_buffered_bytes') > 1_000_000 });
until_true('a stall shorter than send_timeout', sub { time - $stuck > 1 });
if (time - $stuck > $TIMEOUT - 0.5) {
    diag sprintf 'this machine took %.1f s for what takes one: nothing can be said of a stall', time - $stuck;
    finish();
    exit 0;
}

# they come back and read slowly, for longer than send_timeout
my $began = time;
$_->fill(150_000) for @clients;      # else the kernel's window opens later than they read
my @readers = map { of($_) } qw(sse socket);
# for half as long again
my $all = sub { return !grep { @{ numbers($_) } < $EVENTS && !$_->{eof} } @readers };
ok turn(20_000 / $TIMEOUT, $all, 120), 'all events have come';
cmp_ok time - $began, '>', $TIMEOUT + 0.1, 'slowly';
is_deeply numbers($_), [ 1 .. $EVENTS ], "each event once, in order: $_->{case}" for @readers;
ok turn(65536, sub { !grep { !$_->{ended} && !$_->{eof} } map { of($_) } qw(large inline list retry overview) }),
    'the results have come';
for my $client (of('large')) {
    is $client->{status}, 200, "the status: $client->{case}";
    ok $client->{body} eq $large, "every byte: $client->{case}" or diag length $client->{body};
}
is $_->{body}, 'a small result', $_->{case} for of('inline');
my ($listed) = map { $_->{body} } of('list');
is scalar @{ json({ body => $listed })->{jobs} }, 50, 'the list has 50 jobs';
for my $client (of('list')) {
    is $client->{status}, 200, "the status: $client->{case}";
    ok $client->{body} eq $listed, "the same list: $client->{case}" or diag length $client->{body};
}
for my $client (of('retry')) {
    is $client->{status}, 202, $client->{case};
    is json($client)->{retry_of}, $small_id, "the job that was retried: $client->{case}";
}
for my $client (of('overview')) {
    is $client->{status}, 200, $client->{case};
    is json($client)->{overview}{totals}{queues}, 2, "what the console says of the queues: $client->{case}";
}
ok turn(65536, sub { metric('await_buffered_bytes') == 0 }), 'nothing waits any more';

my $told = sub { my ($client) = @_; return scalar(() = $client->{body} =~ /^event: node\ndata: \{.*\}\n\n/mg) };
my %before = map { $_->{case} => $told->($_) } of('console');
# quiet for longer than send_timeout
my $quiet = time;
turn(65536, sub { time - $quiet > $TIMEOUT + 0.6 });
is_deeply [ map { $_->{case} }
    grep { $_->{eof} || $_->{ended} || $_->{reset} } map { of($_) } @HELD, 'socket', 'console' ], [],
    'whoever has read everything stays';
cmp_ok $told->($_), '>', $before{ $_->{case} }, "and a console goes on: $_->{case}" for of('console');

# the end
my $cursor = (of('sse'))[0]{body} =~ /.*^id: ([^\n]+)\n/ms ? $1 : '';
begin($_, { %{ $transports[2] }, cursor => $cursor }) for 0 .. $#ways;
ok turn(65536, sub { metric('await_held') == $held + @ways }), 'pages are held';
complete($job, '{"n":1}', type => 'application/json', attempt => $attempt, hint => 1);
complete($_, 'posted', hint => 1)
    for map { /^([^|]+)/ } split /\n/, sql("SELECT id FROM await.claim(ARRAY['work'], 'test', 1000, null)");
my @ENDED = (@HELD, 'page');
ok turn(65536, sub { !grep { !$_->{ended} && !$_->{eof} } map { of($_) } @ENDED }), 'all end';
for my $client (map { of($_) } @ENDED) {
    is $client->{status}, 200, $client->{case};
    ok $client->{ended}, "ends as it should: $client->{case}";
}
is json({ body => $_->{body} })->{state}, 'completed', $_->{case} for of('poll');
is $_->{body}, 'posted', $_->{case} for of('post');
is_deeply [ map { $_->{type} } @{ json({ body => $_->{body} })->{events} } ], ['completed'], $_->{case} for of('page');
is_deeply types($_), [ qw(ready pending processing), ('n') x $EVENTS, 'completed' ], $_->{case} for of('sse');
is_deeply types($_), [qw(ready pending processing completed)], $_->{case} for of('stream');
for my $client (of('batch'), of('set')) {
    my $document = json($client);
    is $document->{ready} ? $document->{state} : 'not ready', 'completed', $client->{case};
    my $jobs = $client->{transport} eq 'set' ? 2 : 1;
    is_deeply [ map { $_->{state} } @{ $document->{jobs} } ], [ ('completed') x $jobs ],
        "its jobs: $client->{case}";
}
is types($_)->[-1], 'batch.ready', $_->{case} for of('events');
turn(65536, sub { numbers($_) for of('socket'); !grep { !$_->{last} } of('socket') });
for my $client (of('socket')) {
    is $client->{status}, 101, "the socket opens: $client->{case}";
    is scalar @{ $client->{last} // [] }, 1, $client->{case};
    $client->put("\x88\x82\0\0\0\0\x03\xe8");
}
ok turn(65536, sub { !grep { !$_->{eof} } of('socket') }), 'the sockets close';
close $_->{socket} for @clients;
eventually(
    'all gauges are at rest',
    sub {
        !grep { metric($_) } qw(await_held await_parked await_buffered_bytes await_sockets await_inflight_reads);
    });

# --- a reload: who has the end of his stream still to read has all of await_drain for it, and counts if he is cut ----

my $read = scalar @clients;
$job = one_job();
claim($job);
begin($_, $transports[3]) for 0 .. $#ways;
my @stalled = splice @clients, $read;
eventually('all are held', sub { metric('await_held') == @stalled });
sql("SELECT count(await.emit('$job', test.receipt('$job'), 'n', to_jsonb(repeat('z', 30000))))
    FROM generate_series(1, 40)");
hint($job);
eventually('bytes wait for all', sub { metric('await_buffered_bytes') > 500_000 * @stalled });
my @old = worker_pids();
kill 'HUP', $s->pid('nginx');
eventually('the old nginx worker is gone', sub { !grep { kill 0, $_ } @old }, 40);
is metric('await_cut_total'), scalar @stalled, 'all are counted';

# --- the log -------------------------------------------------------------------------------------------

my %logged;      # of the first scenario
for (reverse split /\n/, slurp("$s->{dir}/logs/ways.log")) {
    my ($n, $t, $port, @values) = split /\|/, $_, -1;
    $logged{$t}[$n] = { port => $port, map { $variables[$_] => $values[$_] } 0 .. $#variables };
}
# without a request each event is a chunk; and what a console says changes
my $IS_LIVE = qr/^(?:sse|stream|events|console|overview)$/;
my %of_protocol = map { $_ => 1 }
    qw(scheme server_protocol http_host host request_length body_bytes_sent bytes_sent sent_http_connection
        sent_http_transfer_encoding limit_rate);
for my $t (map { $_->{name} } @transports) {
    for my $n (grep { $logged{$t}[$_] || !($t eq 'socket' && $ways[$_]{http2}) } 1 .. $#ways) {
        my ($first, $this) = map { my $line = $logged{$t}[$_]; $line && { %$line } } ($n == 5 ? 3 : 1), $n;
        ok $this, "a line: $t, $ways[$n]{name}" or next;
        $_->{args} =~ s/way=\d+//, $_->{query_string} =~ s/way=\d+// for $first, $this;
        cmp_ok delete $this->{port}, '>', 0, 'the port of the peer'; delete $first->{port};
        delete @$_{qw(bytes_sent body_bytes_sent)}
            for $t =~ /$IS_LIVE/ ? ($first, $this) : ();
        if ($n != 5) {
            delete @$_{ keys %of_protocol } for $first, $this;
        }    # else: TLS, parked and not parked, where all is the same
        is_deeply $this, $first, "$t, $ways[$n]{name}";
    }
    my ($parked, $not) = map {
        my $line = { %{ $logged{$t}[$_] } };
        delete $line->{port};
        delete @$line{qw(bytes_sent body_bytes_sent)} if $t =~ /$IS_LIVE/;
        $line->{$_} =~ s/way=\d+// for qw(args query_string);
        $line
    } 0, 1;
    is_deeply $parked, $not, "$t, parked and not parked: " . @variables . ' variables';
    is $logged{$t}[0]{realip_remote_addr}, '127.0.0.1', 'and the peer is the peer';
}

finish();
