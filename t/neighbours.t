# nginx's own modules beside ours. A subrequest that led to await_socket killed the nginx worker; the second taker of
# one body (two mirrors, a submission and its mirror, error_page) got none of it; under limit_rate a result stopped
# after its first piece; `expires` sent a Cache-Control that contradicted ours; any offer of an upgrade was taken for a
# WebSocket's.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Http1;
use Await::Http2;
use Await::Neighbours;
use Await::Test;
use Digest::MD5 qw(md5_hex);
use IO::Uncompress::Gunzip qw(gunzip);
use JSON::PP;
use Test::More;

my $SOON = 5;      # seconds within which an answer is there

# --- who takes a body: each gets all of it, or it is refused ---------------------------------------------

my @BODIES = (7, 20_000, 100_000, 1_000_000);

my $n = 0;
my $locations = '';
for my $taker (@TAKERS) {
    my ($name, $conf, $status, $must, %more) = @$taker;
    my $own = 'n' . $n++;
    my %queue = map { $_ => "$own-$_" } qw(QA QB QC);
    $conf =~ s/\bURI\b/\/$own/g;
    $conf =~ s/\bNAME\b/$own/g;
    $conf =~ s/\b(QA|QB|QC)\b/$queue{$1}/g;
    $conf =~ s/TAKER/http:\/\/taker/g;
    # what stands outside of locations is for the one that follows
    $conf =~ s/^(client_body_in_file_only clean;) (location = \S+ \{)/$2 $1/;
    $locations .= "$conf\n";
    $taker = { name => $name, uri => "/$own", status => $status, must => [ map { $queue{$_} } @$must ], %more,
        map({ $_ => [ map { $queue{$_} } @{ $more{$_} // [] } ] } qw(none lent)) };
}

# --- what is inside of a page ---------------------------------------------------------------------------

my %GETS = (
    job     => 'await_job $http_x_id;',
    result  => 'await_result $http_x_id;',
    page    => 'await_events job:$http_x_id default=json;',
    events  => 'await_events job:$http_x_id;',
    metrics => 'await_metrics;',
    health  => 'await_health;',
    socket  => 'await_socket topic:open plain;',
    list    => 'await_jobs listed all;',
    batches => 'await_batches all;',
    webhooks => 'await_webhooks all;',
    console => 'rewrite ^ /console/api/failures last;',    # it answers paths below a prefix
    batch   => 'await_batch $http_x_batch;',
    watched => 'await_job $http_x_id; await_events job:$http_x_id; await_socket job:$http_x_id;',
);
for my $action (sort keys %GETS) {
    my $conf = $GETS{$action};
    $locations .= <<"CONF";
    location = /in/$action { $conf }
    location = /inner/$action { internal; $conf }
    location = /ssi/$action { ssi on; ssi_types *; root \${DIR}; try_files /$action.shtml =404; }
    location = /added/$action { root \${DIR}; addition_types *; add_before_body /inner/$action;
        add_after_body /inner/$action; try_files /page.html =404; }
    location = /auth/$action { auth_request /inner/$action; root \${DIR}; try_files /page.html =404; }
    location = /mirrored/$action { mirror /inner/$action; root \${DIR}; try_files /page.html =404; }
    location = /gzip/$action { gzip on; gzip_types *; gzip_min_length 1; $conf }
    location = /sub/$action { sub_filter_types *; sub_filter_once off; sub_filter not-there there; $conf }
    location = /slow/$action { limit_rate 300k; $conf }
    location = /expires/$action { expires 1h; $conf }
    location = /epoch/$action { expires epoch; $conf }
    location = /header/$action { add_header X-Own yes always; add_header Vary Own always; $conf }
    location = /cached/$action { proxy_cache pages; proxy_cache_valid any 1h; proxy_set_header Host localhost;
        proxy_pass http://self/in/$action; }
    location = /accel/$action { proxy_pass http://taker/accel-in/$action; }
    location = /tried/$action { try_files /none /in/$action; }
    location = /if/$action { @{[ $action eq 'metrics' ? $conf : "if (\$request_method = GET) { $conf }" ]} }
    location = /limit/$action { limit_except GET { deny all; } limit_req zone=slow burst=50; $conf }
    location = /post/$action { $conf post_action /inner/$action; }
    location = /missing/$action { error_page 404 = /in/$action; return 404; }
CONF
}
my $h2 = Await::Stack::free_port();
my $dir = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $dir;
$locations =~ s/\$\{DIR\}/$dir/g;
Await::Stack::write_file("$dir/page.html", 'the page', 0644);
Await::Stack::write_file("$dir/$_.shtml",
    "<1><!--# include virtual=\"/inner/$_\" --><2><!--# include virtual=\"/inner/$_\" wait=\"yes\" --><3>", 0644)
    for keys %GETS;
my $taker_port = Await::Stack::free_port();
my $s = start_stack(workers => 1, site => <<"CONF");
limit_req_zone \$server_addr zone=slow:1m rate=100r/s;
limit_conn_zone \$server_addr zone=many:1m;
proxy_cache_path $dir/cache keys_zone=pages:1m;
await_zone zone=batches:1m;
await_cache batches;
upstream self { server 127.0.0.1:\${PORT}; }
upstream taker { server 127.0.0.1:$taker_port; }
server {
    listen 127.0.0.1:$taker_port; client_max_body_size 10m;
    location ~ ^/(?<queue>n[^/]+)\$ { await_submit \$queue; }
    location ~ ^/accel/(?<name>[^/]+)\$ { add_header X-Accel-Redirect \@\$name; return 200; }
    location ~ ^/accel-in/(?<name>[^/]+)\$ { add_header X-Accel-Redirect /inner/\$name; return 200; }
}
server {
    listen 127.0.0.1:\${PORT}; listen 127.0.0.1:$h2 http2; client_max_body_size 10m; keepalive_requests 10000;
    location = /page { return 200 "page"; }
    location = /jobs { await_submit work; }
    location = /next { return 200 "next"; }
    location = /metrics { await_metrics; }
    location = /trickle { limit_rate 1k; await_events job:\$http_x_id; }
    location = /cancel { await_job \$arg_id; }
    location /console { await_console; }
    $locations
}
CONF
my $done = one_job('/jobs', 'x');
claim($done);
complete($done, 'r' x 500_000);
my $batch = sql("SELECT await.create_batch('{}')");
sql("SELECT await.submit('set', 'x', options => '{\"batch\": \"$batch\"}') FROM generate_series(1, 3)");
complete($_, 'x') for map { /^([^|]+)/ } split /\n/, sql("SELECT id FROM await.claim('{set}', 'w', 3)");
sql("SELECT await.submit('listed', 'x', options => jsonb_build_object('params',
    jsonb_build_object('p', repeat('p', 2000)))) FROM generate_series(1, 100)");
sql("SELECT await.add_webhook('https://a.example/', 'hooked', '{*}')");
sql("SELECT await.enqueue_deliveries(ARRAY[await.submit('hooked', 'x')], '{1}', '{pending}')
    FROM generate_series(1, 200)");
my ($worker) = worker_pids();

sub alive {
    my ($when) = @_;
    my $before = $worker;
    ($worker) = until_true('a worker', sub { worker_pids() == 1 }) ? worker_pids() : 0;
    return is $worker, $before, "$when: the nginx worker lives";
}

# Queue => list of [size, md5] of what it has.
sub stored {
    my %stored;
    for (
        split /\n/,
        sql(
            "SELECT q.name, j.payload_size, md5(coalesce(j.payload,
                (SELECT string_agg(c.bytes, '' ORDER BY c.pos) FROM await.chunk c
                    WHERE c.class = j.class AND c.job = j.id AND c.kind = 'p')))
                          FROM await.job j JOIN await.queue q ON q.id = j.queue WHERE q.name ~ '^n[0-9]'"
        ))
    {
        my ($queue, @of) = split /\|/;
        push @{ $stored{$queue} }, "@of";
    }
    return \%stored;
}
sub body_of { my ($size, $tag) = @_; return substr join(' ', $tag, 1 .. $size / 5), 0, $size }

my @open;        # nginx ends the mirrors of a client that leaves
my %expect;      # queue => the bodies it must have; those it may have
my $only = $ENV{AWAIT_ONLY} // '';      # a pattern of takers, to try some by hand
for my $taker (grep { $_->{name} =~ /(?:$only)/ } @TAKERS) {
    subtest "$taker->{name}: the body" => sub {
        my $case = 0;
        for my $way (qw(length chunked h2)) {
            my $connection = $way eq 'h2' ? Await::Http2->new(port => $h2) : Await::Http1->new(port => $s->{port});
            push @open, $connection;
            for my $size (@BODIES) {
                my $body = body_of($size, $case++ % 10 . "$taker->{uri}");
                $body = 'x' x $size if length $body < $size;
                my $sum = length($body) . ' ' . md5_hex($body);
                my @headers = ([ 'X-Id' => $done ], map { [ $_->[0], "$_->[1]$case" ] } @{ $taker->{headers} // [] });
                if ($taker->{first}) {
                    my $first = Await::Http1->new(port => $s->{port});
                    $first->send(Await::Http1::head('POST', $taker->{uri}, \@headers, body => 'first') . 'first');
                    is $first->answer($SOON)->{status}, 202, 'the first with this key';
                }
                my $answer;
                if ($way eq 'h2') { $answer = $connection->request('POST', $taker->{uri},
                    headers => [ map { [ lc $_->[0], $_->[1] ] } @headers ], body => $body, timeout => $SOON) }
                else {
                    my $chunked = $way eq 'chunked';
                    $connection->send(
                        Await::Http1::head('POST', $taker->{uri}, \@headers, body => $body, chunked => $chunked)
                            . ($chunked ? Await::Http1::chunks($body) : $body));
                    $answer = $connection->answer($SOON) // { status => 'none' };
                }
                my $status = $answer->{status} // 'none';
                if (defined $taker->{status}) { is $status, $taker->{status}, "$size bytes, $way: answered" }
                else { like $status, qr/^(?:202|[45]\d\d)$/, "$size bytes, $way: answered" }
                push @{ $expect{$_}{must} }, $sum for @{ $taker->{must} };
                push @{ $expect{$_}{may} }, $sum for @{ $taker->{lent} };
                push @{ $expect{ $taker->{lent}[0] }{must} }, $sum if !defined $taker->{status} && $status eq '202';
                $expect{$_}{must} //= [] for @{ $taker->{none} };
                if ($status eq 'none') { fail 'not answered: no more is tried'; return }
                if ($way eq 'h2') {
                    is $connection->request('GET', '/next', timeout => $SOON)->{body}, 'next', 'the connection goes on'
                        or return;
                }
                elsif ($answer->{close}) { $connection = Await::Http1->new(port => $s->{port}) }
                else {
                    $connection->send(Await::Http1::head('GET', '/next'));
                    my $next = $connection->answer($SOON);
                    is $next ? $next->{body} : 'nothing', 'next', 'the connection goes on' or return;
                }
            }
        }
    };
    alive("$taker->{name}: the body");
}
# mirrors may be stored after the answer
my $has_all = sub {
    my $stored = stored();
    return !grep { @{ $stored->{$_} // [] } < @{ $expect{$_}{must} // [] } } keys %expect;
};
ok until_true('all takers have theirs', $has_all, 10), 'all takers have theirs';
{
    my $stored = stored();
    for my $taker (@TAKERS) {
        my @wrong;
        for my $queue (grep { $expect{$_} } @{ $taker->{must} }, @{ $taker->{none} }, @{ $taker->{lent} }) {
            my %left;
            $left{$_}++ for @{ $stored->{$queue} // [] };
            for (@{ $expect{$queue}{must} // [] }) {
                $left{$_} ? $left{$_}-- : push @wrong, "$queue lacks " . (split)[0] . ' bytes';
            }
            my %may = map { $_ => 1 } @{ $expect{$queue}{may} // [] };
            push @wrong, "$queue has " . (split)[0] . ' bytes that nobody sent'
                for grep { $left{$_} && !$may{$_} } keys %left;
        }
        is_deeply \@wrong, [], "$taker->{name}: each taker has all bytes of each body, or was refused";
    }
}

# --- pages and what stands in them ----------------------------------------------------------------------

sub ask {
    my ($path, @headers) = @_;
    my $connection = Await::Http1->new(port => $s->{port});
    $connection->send(Await::Http1::head('GET', $path, [ [ 'X-Id' => $done ], [ 'X-Batch' => $batch ], @headers ]));
    return $connection->answer($SOON) // { status => 'none', headers => {}, body => '' };
}
sub field { my ($answer, $name) = @_; return join ', ', @{ $answer->{headers}{$name} // [] } }

my @upgrade = (
    [ Connection => 'Upgrade' ],
    [ Upgrade => 'websocket' ],
    [ 'Sec-WebSocket-Version' => 13 ],
    [ 'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==' ]);
my %plain = map { $_ => ask("/in/$_") } keys %GETS;
is $plain{$_}{status}, { socket => 426 }->{$_} // 200, "$_: asked for itself" for sort keys %GETS;
# what may stand in a page: the action's body; the stream's and the metrics' change from one to the next
my %INSIDE = (
    job => qr/"state":"completed"/,
    watched => qr/"state":"completed"/,
    result => qr/^r+$/,
    page => qr/"done":true/,
    events => qr/event: completed/,
    metrics => qr/^await_held /m,
    health => qr/"status":"ready"/,
    list => qr/^\{"jobs":\[.*"next":/s,
    batches => qr/^\{"batches":\[.*\Q$batch\E/s,
    batch => qr/"ready":true.*"jobs":\[/s
);
# What stands before, between and after the marks of a page.
sub between {
    my ($body, @marks) = @_;
    my $marks = join '|', map { quotemeta } @marks;
    return split /$marks/, $body, -1;
}
sub is_whole {
    my ($action, $text) = @_;
    return $action eq 'result' ? length $text == 500_000 && $text =~ tr/r// == 500_000 : $text =~ $INSIDE{$action};
}
for my $action (sort keys %GETS) {
    for my $case ([ 'plainly' ], [ 'with an upgrade', @upgrade ],
        [ 'with conditions', [ 'If-None-Match' => field($plain{$action}, 'etag') || '"x"' ],
            [ 'If-Modified-Since' => 'Thu, 01 Jan 2099 00:00:00 GMT' ] ],
                  [ 'with a range', [ Range => 'bytes=0-2' ] ], [ 'with a wait', [ Prefer => 'wait=1' ] ],
                      [ 'with a false match', [ 'X-Other' => 1 ], [ 'If-Match' => '"none"' ] ]) {
        my ($how, @headers) = @$case;
        my $name = "$action, asked $how";
        my ($status) = $how eq 'with a false match' ? 412 : 200;
        my $ssi = ask("/ssi/$action", @headers);
        is $ssi->{status}, $status, "SSI: $name: the page";
        if ($status != 200) { unlike $ssi->{body}, qr/problem/, 'the page itself is refused' }
        elsif ($INSIDE{$action}) {
            my (undef, $first, $second, $rest) = between($ssi->{body}, '<1>', '<2>', '<3>');
            ok is_whole($action, $first) && is_whole($action, $second) && $rest eq '', 'has it twice, whole'
                or diag substr $ssi->{body}, 0, 300;
        }
        else { like $ssi->{body}, qr/^<1>.*<2>.*<3>$/s, 'goes on around it'; unlike $ssi->{body}, qr/101 Switching/,
            'no socket in it' }
        my $added = ask("/added/$action", @headers);
        is $added->{status}, $how eq 'with conditions' ? 304 : $status, "addition: $name: the page"
            if $how !~ /range|conditions/;
        if ($INSIDE{$action} && $added->{status} == 200) {
            my ($before, $after) = between($added->{body}, 'the page');
            ok is_whole($action, $before) && is_whole($action, $after // ''), 'stands between, whole'
                or diag substr $added->{body}, 0, 300;
        }
        my $auth = ask("/auth/$action", @headers);
        my $allowed = $action ne 'socket';
        like $auth->{status}, $allowed ? qr/^(?:200|206|304|412)$/ : qr/^5\d\d$/,
            "auth_request: $name: answered by what it says";
        my $mirrored = ask("/mirrored/$action", @headers);
        like $mirrored->{status}, qr/^(?:200|206|304|412)$/, "mirror: $name: the page";
    }
    alive($action);
}

# --- what changes an answer on its way ------------------------------------------------------------------

sub without_links {
    my ($text) = @_;
    my $document = eval { decode_json($text) } // {};
    delete $_->{links} for $document, @{ $document->{jobs} // [] }, @{ $document->{batches} // [] };
    return $document;
}
for my $action (grep { $_ ne 'socket' } sort keys %GETS) {
    # links are where a document was asked for, the numbers and a stream's times change
    my $same = sub {
        my ($body, $name) = @_;
        return like $body, $INSIDE{$action}, $name if $action =~ /^(?:metrics|events)$/;
        return is_deeply without_links($body), without_links($plain{$action}{body}), $name
            if $action =~ /^(?:job|watched|list|batch|batches)$/;
        return is md5_hex($body), md5_hex($plain{$action}{body}), $name;
    };
    my $zipped = ask("/gzip/$action", [ 'Accept-Encoding' => 'gzip' ]);
    gunzip(\$zipped->{body}, \my $unzipped);
    $same->($unzipped // '', "gzip: $action: whole");
    unlike field($zipped, 'etag'), qr/^"/, 'no strong ETag' if $action ne 'events';
    is field($zipped, 'accept-ranges'), '', 'no ranges of it';
    my $filtered = ask("/sub/$action");
    $same->($filtered->{body}, "sub_filter: $action: whole");
    unlike field($filtered, 'etag'), qr/^"/, 'no strong ETag';
    my $slow = ask("/slow/$action");
    $same->($slow->{body}, "limit_rate: $action: whole");
    my $connection = Await::Http2->new(port => $h2);
    $same->(
        $connection->request(
            'GET', "/slow/$action",
            headers => [ [ 'x-id', $done ], [ 'x-batch', $batch ] ],
            timeout => $SOON
            )->{body},
        "limit_rate over HTTP/2: $action: whole"
    );
    for my $way (qw(tried if limit post missing accel)) {
        my $answer = ask("/$way/$action");
        is $answer->{status}, 200, "$way: $action";
        $same->($answer->{body}, 'whole');
    }
    next if $action eq 'console';      # it is behind a rewrite, which leaves the location's own headers behind
    my $header = ask("/header/$action");
    is field($header, 'x-own'), 'yes', "add_header: $action: there";
    like field($header, 'vary'), qr/\bOwn\b/, 'Vary is added to';
    my $had = field($plain{$action}, 'cache-control');
    is field($header, 'cache-control'), $had, 'the rest is as it was';
    for my $case ([ expires => 'max-age=3600' ], [ epoch => 'no-cache' ]) {
        my ($way, $says) = @$case;
        my $answer = ask("/$way/$action");
        is field($answer, 'cache-control'), $says, "expires: $action: one Cache-Control, the operator's";
        is scalar @{ $answer->{headers}{expires} // [] }, 1, 'one Expires';
    }
    for my $name (qw(etag cache-control accept-ranges content-type retry-after)) {
        cmp_ok scalar @{ $plain{$action}{headers}{$name} // [] }, '<=', 1, "$action: $name not twice";
    }
}
# a stream under limit_rate: what happens is told when the rate allows it, not when a time-out has passed
for my $way (qw(HTTP/1.1 HTTP/2)) {
    my $id = one_job('/jobs', 'x');
    my $read;
    if ($way eq 'HTTP/2') {
        my $connection = Await::Http2->new(port => $h2);
        my $stream = $connection->open_stream('GET', '/trickle', headers => [ [ 'x-id', $id ] ]);
        $read = sub {
            my ($what) = @_;
            return $connection->run(sub { $connection->stream($stream)->{body} =~ $what }, 10);
        };
    }
    else {
        my $stream = begin_request('GET', '/trickle', headers => { 'X-Id' => $id });
        $read = sub { my ($what) = @_; return $stream->read_until(sub { $_[0] =~ $what }) };
    }
    ok $read->(qr/event: pending/), "limit_rate over $way: a stream begins";
    claim($id);
    hint($id);
    ok $read->(qr/event: processing/), 'and goes on';
    complete($id, 'x', hint => 1);
    ok $read->(qr/event: completed/), 'to the end';
}
for my $case ([ 'h2c', [ Connection => 'Upgrade, HTTP2-Settings' ], [ Upgrade => 'h2c' ],
    [ 'HTTP2-Settings' => 'AAMAAABkAAQAAP__' ] ],
        [ 'TLS', [ Connection => 'Upgrade' ], [ Upgrade => 'TLS/1.0, HTTP/1.1' ] ],
              [ 'an unknown one', [ Connection => 'keep-alive' ], [ Upgrade => 'websocket2' ] ]) {
    my ($offer, @headers) = @$case;
    is ask("/in/$_", @headers)->{status}, $plain{$_}{status}, "an offer of $offer is none of ours: $_"
        for sort keys %GETS;
    my $connection = Await::Http1->new(port => $s->{port});
    $connection->send(Await::Http1::head('POST', '/jobs', \@headers, body => 'x') . 'x');
    my $answer = $connection->answer($SOON) // {};
    is $answer->{status}, 202, 'nor of a submission';
    $connection->send(Await::Http1::head('DELETE', '/cancel?id=' . decode_json($answer->{body})->{id}, \@headers));
    is +($connection->answer($SOON) // {})->{status}, 202, 'nor of a cancellation';
}

# a cache keeps nothing that it may not
{
    my $pending = one_job('/jobs', 'x');
    my $get = sub {
        my ($action) = @_;
        my $connection = Await::Http1->new(port => $s->{port});
        $connection->send(Await::Http1::head('GET', "/cached/$action", [ [ 'X-Id' => $pending ] ]));
        return $connection->answer($SOON);
    };
    like $get->('job')->{body}, qr/"state":"pending"/, 'a job through a cache';
    is $get->('result')->{status}, 202, 'and its result';
    claim($pending);
    complete($pending, 'ended');
    like $get->('job')->{body}, qr/"state":"completed"/, 'the job that has ended is told of';
    is $get->('result')->{body}, 'ended', 'and its result';
    my $connection = Await::Http1->new(port => $s->{port});
    $connection->send(Await::Http1::head('GET', '/cached/result', [ [ 'X-Id' => $done ] ]));
    is length +($connection->answer($SOON) // { body => '' })->{body}, 500_000,
        'nor does one client get what was for another';
}
alive('at last');
finish();
