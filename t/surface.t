# `await queue;` answers every request as the single directives on locations of their own would, byte for byte: a table
# of requests goes to both.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use Test::More;

# --- the same API, written in both ways ---------------------------------------------------------------------------

# Of a queue at a prefix: the options of "await", those of the single directives, and what the location has else.
my $OPTIONS =
    'file=image params=a,b type=image/*,text/plain priority=7 lease=1m max_attempts=2 retain=1d max_pending=9000';
my $FORMATS = 'format=document event=brief default=text';
my $BATCHES = 'queues=other phases=a,b on_ready=mail options=delay,priority';
my $ADDED = 'batch=$arg_batch phase=$arg_phase';
my @PLACES = (
    { prefix => '/jobs' },
    {
        prefix => '/own',
        more => 'await_owner $http_x_owner; await_origins https://a.example; await_cors on;',
        submit => 'max_pending_per_owner=500',
        retry => 'max_pending_per_owner=500',
        add => 'max_pending_per_owner=500',
        submit_batch => 'max_pending_per_owner=500',
        options => 'max_pending_per_owner=500'
    },
    {
        prefix => '/all',
        submit => "$OPTIONS format=document $ADDED",
        add => "$OPTIONS format=document",
        jobs => 'all format=document',
        job => 'format=document default=text',
        result => 'pending=404 failed=500',
        retry => 'format=document max_pending=9000',
        events => 'event=brief thin linger',
        one_socket => 'event=brief thin plain',
        socket => 'event=brief thin',
        submit_batch => "$BATCHES $OPTIONS",
        batches => 'all',
        batch => 'default=text',
        options => "$OPTIONS $FORMATS $ADDED $BATCHES all pending=404 failed=500 thin linger plain"
    },
    {
        prefix => '/page',
        options => 'default=json pending=409',
        job => 'default=json',
        batch => 'default=json',
        result => 'pending=409',
        events => 'default=json'
    },
    { prefix => '/slash', slash => '/' },
    {
        prefix => '/outside',
        more => 'await_job_uri https://api.example/v1/$await_id; await_result_uri /made/$await_id;'
            . 'await_batch_uri https://api.example/b/$await_id;'
    },
    { prefix => '/a/deep.er+path', more => 'client_max_body_size 10; await_idempotency required; await_value_max 0;' },
);

sub in_one {
    my ($p) = @_;
    my ($options, $more) = map { $_ // '' } @$p{qw(options more)};
    return "location $p->{prefix}@{[ $p->{slash} // '' ]} { $more await work $options; }\n";
}

sub written_out {
    my ($p) = @_;
    my $at = quotemeta($p->{prefix}) =~ s{\\/}{/}gr;
    my %o = map { $_ => $p->{$_} // '' }
        qw(submit jobs job result retry events one_socket socket submit_batch batches batch add more);
    my $listed = "$o{more} $o{jobs}" =~ /await_owner|\ball\b/;
    my $jobs = "$o{more} await_submit work $o{submit};" . ($listed ? " await_jobs work $o{jobs};" : '');
    my $watch = "await_events job:\$id $o{events}; await_socket job:\$id $o{one_socket};";
    my $queues = $o{submit_batch} =~ /queues=/ ? '' : 'queues=work';
    my $uri = $o{more} =~ /await_job_uri/ ? $o{more} : "$o{more} await_job_uri $p->{prefix}/\$await_id;";
    my $batches = "$uri await_batch $queues $o{submit_batch};" . ($listed ? " await_batches $o{batches};" : '');
    my $add = "await_submit work batch=\$id phase=\$arg_phase $o{add};";
    my $watch_batch = $watch =~ s/job:/batch:/gr;
    return <<"CONF";
    @{[ $p->{slash} ? '' : "location = $p->{prefix} { $jobs }" ]}
    location = $p->{prefix}/ { $jobs }
    location = $p->{prefix}/socket { $o{more} await_socket $o{socket}; }
    location = $p->{prefix}/batches { $batches }
    location ~ "^$at/batches/(?<id>[^/]+)\$" { $uri await_batch \$id $o{batch}; $watch_batch $add }
    location ~ "^$at/batches/(?<id>[^/]+)/events\$" { $o{more} $watch_batch }
    location ~ "^$at/(?<id>[^/]+)\$" { $o{more} await_job \$id $o{job}; $watch }
    location ~ "^$at/(?<id>[^/]+)/result\$" { $o{more} await_result \$id $o{result}; }
    location ~ "^$at/(?<id>[^/]+)/retry\$" { $o{more} await_retry_job \$id $o{retry}; }
    location ~ "^$at/(?<id>[^/]+)/events\$" { $o{more} $watch }
CONF
}

my %PAGES = (none => '', problem => 'error_page 403 404 405 406 409 410 413 415 426 @problem;');
my %port = map { $_ => { one => Await::Stack::free_port(), out => Await::Stack::free_port() } } sort keys %PAGES;
my $apis = '';
for my $pages (sort keys %PAGES) {
    my $common = "$PAGES{$pages} location \@problem { await_problem; } merge_slashes off;";
    $apis .= "server { listen 127.0.0.1:$port{$pages}{one}; $common @{[ map { in_one($_) } @PLACES ]} }\n"
        . "server { listen 127.0.0.1:$port{$pages}{out}; $common @{[ map { written_out($_) } @PLACES ]} }\n";
}

my $s = start_stack(site => <<"CONF");
await_reread 1h;
await_retry 7s 7s;
await_format document '{"ref":"\@id","is":"\@state|upper"}';
await_format brief '{"is":"\@type"}';
$apis
CONF

# --- comparing ------------------------------------------------------------------------------------------------------

# An answer without what differs from one request to the next.
sub plain {
    my ($text) = @_;
    $text =~ s/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/<id>/g;
    $text =~ s/\b[0-9a-f]{32}\b/<request>/g;
    $text =~ s/^Date: [^\r\n]*/Date: <date>/mg;
    $text =~ s/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/<time>/g;
    return $text;
}
# With error_page and without, or one of them.
sub both_if { my ($both) = @_; return $both ? qw(none problem) : 'none' }
# The cursor of a new job has its id in it.
sub plain_new {
    my ($text) = @_;
    return plain($text) =~ s/("cursor":)"[\w-]+"/$1"<cursor>"/gr =~ s/^id: [\w-]+$/id: <cursor>/mgr;
}

# One request to both; the answer of "await". Option: keyed, with an Idempotency-Key of its own each time.
my $keys = 0;
sub same {
    my ($pages, $method, $path, %o) = @_;
    my $keyed = delete $o{keyed};
    my @exchanges = map {                    # both at once
        my %headers = %{ $o{headers} // {} };
        $headers{'Idempotency-Key'} = '"' . ++$keys . '"' if $keyed;
        begin_request($method, $path, port => $port{$pages}{$_}, %o, headers => \%headers)
    } qw(one out);
    my @answers = map {
        $_->{head_only} = $method eq 'HEAD';
        my $answer = $_->response;
        "$answer->{head}\r\n\r\n" . ($answer->{body} // '')
    } @exchanges;
    my $clean = $o{body} ? \&plain_new : \&plain;
    my $shown = join ' ', $method, $path, map { "$_: $o{headers}{$_}" } sort keys %{ $o{headers} // {} };
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $clean->($answers[0]), $clean->($answers[1]), "$pages: $shown";
    return $answers[0];
}

my %id;
my @JSON = ('Content-Type' => 'application/json');
my $TWO = '{"jobs":[{"payload":1},{"payload":{"two":2}}]}';
# The places where all is tried.
sub is_full { my ($p) = @_; return $p->{prefix} =~ m{^/(?:own|all)$} }
sub anyones { my ($p) = @_; return ($p->{more} // '') =~ /owner/ ? '' : 'anyone_' }
# All places have one queue: jobs that are submitted at one of them are seen at those with the same owner.
my %AT = ('' => '/own', anyone_ => '/jobs');
sub submitted {
    my ($path, $body, @headers) = @_;
    my %headers = ('X-Owner' => 'ann', @headers);
    return json(request('POST', $path, port => $port{none}{one}, body => $body, headers => \%headers));
}
# A batch of two jobs, some of them done.
sub submit_batch {
    my ($whose, $done) = @_;
    my $batch = submitted("$AT{$whose}/batches", $TWO, @JSON);
    for (map { $_->{id} } @{ $batch->{jobs} }[ 0 .. $done - 1 ]) { claim($_, lease => '1 hour'); complete($_, 'done') }
    return $batch->{id} // die $batch->{detail};
}
sub submit { my ($whose) = @_; return submitted($AT{$whose}, 'x')->{id} }
for my $whose ('', 'anyone_') {
    $id{"${whose}ready_batch"} = submit_batch($whose, 2);
    $id{"${whose}batch"} = submit_batch($whose, 1);
    for my $name (qw(done failed cancelled running pending)) {
        my $id = $id{"$whose$name"} = submit($whose);
        claim($id, lease => '1 hour') if $name =~ /done|failed|running/;
        complete($id, '{"ok":true}', type => 'application/json', name => 'r.json') if $name eq 'done';
        sql("SELECT await.cancel('$id')") if $name eq 'cancelled';
        sql("SELECT await.fail('$id', test.receipt('$id'), '{\"title\":\"No\",\"detail\":\"It broke.\"}', '-1 s')")
            if $name eq 'failed';
    }
}
$id{nowhere} = '0198c0de-0000-7000-8000-000000000000';
$id{bad} = 'not-an-id';

subtest 'jobs' => sub {
    my @accepts = ({}, map { { Accept => $_ } } 'application/json', 'text/plain', 'text/html', 'image/png');
    for my $p (@PLACES) {
        my $all = is_full($p);
        my @names = map { anyones($p) . $_ } $all ? qw(pending done failed cancelled running) : 'done';
        for my $name (@names, $all ? qw(nowhere bad) : (), $p->{prefix} eq '/own' ? 'anyone_done' : ()) {
            my $job = "$p->{prefix}/$id{$name}";
            my @requests = (map { [ GET => $job, $_ ] } $name !~ /done/ ? {} : $all ? @accepts : @accepts[ 0, 2 ]);
            push @requests, [ HEAD => $job ], [ OPTIONS => $job ], [ PUT => $job ], [ POST => $job ];
            push @requests, [ GET => "$job/result" ], [ HEAD => "$job/result" ], [ DELETE => "$job/result" ];
            push @requests, [ GET => "$job/events", { Accept => 'application/json' } ],
                [ GET => "$job/events?cursor=nonsense&limit=2", { Accept => 'application/json' } ],
                [ GET => "$job/events", { Accept => 'image/png' } ], [ POST => "$job/events" ];
            push @requests, [ GET => "$job?wait=soon" ], [ GET => $job, { 'If-Match' => '"no"' } ],
                [ GET => "$job/result", { Range => 'bytes=2-4' } ]
                if $name =~ /done|bad/;
            push @requests, [ GET => "$job/retry" ], [ OPTIONS => "$job/retry" ], [ GET => "$job?include=position" ],
                [ GET => "$job?include=all" ]
                if $name =~ /done|bad|pending/;
            push @requests, [ POST => "$job/retry" ] if $name !~ /done|failed|cancelled/;
            push @requests, [ DELETE => $job, { Origin => 'https://b.example' } ] if $name =~ /done|bad/;
            push @requests,
                [ OPTIONS => $job, { Origin => 'https://a.example', 'Access-Control-Request-Method' => 'GET' } ]
                if $p->{prefix} eq '/own';
            for (@requests) {
                my ($method, $path, $headers) = @$_;
                same($_, $method, $path, headers => { 'X-Owner' => 'ann', %{ $headers // {} } })
                    for both_if($name =~ /done|bad/);
            }
        }
        same('none', GET => "$p->{prefix}/$names[0]", headers => {});
    }
};

subtest 'batches' => sub {
    for my $p (@PLACES) {
        my $whose = anyones($p);
        my $foreign = $whose ? 'nowhere' : 'anyone_batch';
        my $all = is_full($p);
        for my $name ("${whose}ready_batch", $all ? ("${whose}batch", $foreign, "${whose}done", 'bad') : ()) {
            my $batch = "$p->{prefix}/batches/$id{$name}";
            my @requests = [ GET => $batch ];
            push @requests, map { [ GET => $batch, { Accept => $_ } ] } qw(text/plain image/png) if $all;
            push @requests, [ HEAD => $batch ], [ OPTIONS => $batch ], [ PUT => $batch ],
                [ GET => "$batch?limit=1" ], [ GET => "$batch?limit=none" ],
                [ GET => "$batch/events", { Accept => 'application/json' } ], [ POST => "$batch/events" ];
            push @requests, [ DELETE => $batch, { 'X-Owner' => 'bob' } ] if $p->{prefix} eq '/own';
            push @requests, [ DELETE => $batch ] if $name !~ /batch$/ || $name =~ /ready/;
            push @requests, [ POST => $batch ] if $name eq $foreign || $name !~ /batch$/;
            push @requests,
                [ OPTIONS => $batch, { Origin => 'https://a.example', 'Access-Control-Request-Method' => 'DELETE' } ]
                if $p->{prefix} eq '/own';
            same('none', $_->[0], $_->[1], headers => { 'X-Owner' => 'ann', %{ $_->[2] // {} } }) for @requests;
        }
    }
    like same('none', GET => "/jobs/batches/$id{anyone_batch}"), qr{"links":\{"self":"/jobs/[0-9a-f-]{36}"},
        'the jobs of a batch have links';
};

subtest 'lists' => sub {
    for my $p (@PLACES) {
        my $at = $p->{prefix} . ($p->{slash} // '');
        for my $list ($at, "$p->{prefix}/batches") {
            my @asks = '';
            push @asks, '?limit=1', '?state=completed,failed', '?state=none', '?queue=work' if is_full($p);
            same('none', GET => $list . $_, headers => { 'X-Owner' => 'ann' }) for @asks;
        }
    }
    my $own = json(request('GET', '/own?state=completed', port => $port{none}{one}, headers => { 'X-Owner' => 'ann' }));
    is $own->{jobs}[0]{id}, $id{done}, 'the list of an owner has its newest job first';
    is $own->{jobs}[0]{links}{self}, "/own/$id{done}", 'with its link';
    my $all = json(request('GET', '/all?limit=200', port => $port{none}{one}));
    my %listed = map { $_->{ref} => $_->{is} } @{ $all->{jobs} };
    is_deeply [ @listed{ @id{qw(done anyone_done)} } ], [ ('COMPLETED') x 2 ],
        'with "all", everybody\'s, as format= says';
};

subtest 'batches are submitted, added to and cancelled' => sub {
    my ($form, $multipart) =
        multipart([ 'a', 'x' ], map { [ 'image', "bytes $_", "$_.png", 'image/png' ] } 1 .. 2);
    for my $p (@PLACES) {
        my @headers = ('X-Owner' => 'ann');
        my $path = "$p->{prefix}/batches";
        my @bodies = (
            [ $TWO, @JSON ],
            [ $form, 'Content-Type' => $multipart ],
            [ '{"jobs":[{"payload":1,"queue":"other","phase":"b","priority":3}]}', @JSON ],
            [ "{\"payload\":1}\n{\"payload\":", 'Content-Type' => 'application/x-ndjson' ],
            [ '{"jobs":[{"payload":1,"queue":"mail"}]}', @JSON ],
            [ $TWO, 'Content-Type' => 'text/plain' ],
            [ $TWO, @JSON, Origin => 'https://b.example' ]);
        for my $body (is_full($p) ? @bodies : @bodies[ 0, 1 ]) {
            my ($bytes, %more) = @$body;
            same('none', POST => $path, body => $bytes, headers => { @headers, %more }, keyed => 1);
        }
        same('none', $_ => $path, headers => {@headers}) for qw(PUT OPTIONS);
        my %batch = map { $_ => submit_batch(anyones($p), 0) } qw(one out);
        for my $request (
            [ POST => '', body => 'x', headers => { 'Content-Type' => 'text/plain' } ],
            [ POST => '?phase=c', body => '[]', headers => {@JSON} ],
            [ POST => '', body => 'x', headers => { 'X-Owner' => 'bob' } ],
            [ DELETE => '' ],
            [ DELETE => '' ],
            [ POST => '', body => 'x', headers => { 'Content-Type' => 'text/plain' } ])
        {
            my ($method, $args, %o) = @$request;
            my ($one, $out) = map {
                my ($at, $answer) = ($_);
                # maintenance may have the batch locked: then it says to retry
                until_true(
                    'the batch is free',
                    sub {
                        $answer = request(
                            $method, "$path/$batch{$at}$args", %o,
                            port => $port{none}{$at},
                            headers => { @headers, 'Idempotency-Key' => '"' . ++$keys . '"', %{ $o{headers} // {} } });
                        return $answer->{status} != 409 || !header($answer, 'retry-after');
                    });
                plain_new("$answer->{head} $answer->{body}")
            } qw(one out);
            is $one, $out, "$method $path/<id>$args";
        }
    }
    my $answer = request(
        'POST', '/all/batches',
        port => $port{none}{one},
        body => $form,
        headers => { 'Content-Type' => $multipart });
    is $answer->{status}, 202, 'each file of a form is a job of a batch';
    my $batch = id_of($answer);
    is sql("SELECT string_agg(concat_ws('|', params, priority, max_attempts, file_name, phase), ' ' ORDER BY id)"
            . " FROM await.job WHERE batch = '$batch'"), '{"a": "x"}|7|2|1.png|a {"a": "x"}|7|2|2.png|a',
        'the options of submissions are those of its jobs';
    $answer = request('POST', "/all?batch=$batch&phase=b", port => $port{none}{one}, body => 'x',
        headers => { 'Content-Type' => 'text/plain' });
    is $answer->{status}, 202, 'batch= and phase= add a job to it';
    $answer = request('POST', "/all/batches/$batch?phase=b", port => $port{none}{one}, body => 'x',
        headers => { 'Content-Type' => 'text/plain' });
    my ($job) = header($answer, 'Location') =~ m{^/all/([0-9a-f-]+)$};
    is sql("SELECT batch || '|' || phase FROM await.job WHERE id = '$job'"), "$batch|b",
        'and so does a POST to it, which answers with the path of the job';
};

subtest 'submissions' => sub {
    my ($form, $multipart) = multipart([ 'a', 'x' ], [ 'c', 'z' ], [ 'image', 'bytes', 'a.png', 'image/png' ]);
    my ($no_file, $other) = multipart([ 'a', 'x' ]);
    my @bodies = (
        ['x'],
        [ $form, 'Content-Type' => $multipart ],
        [ $no_file, 'Content-Type' => $other ],
        [ '{"a":1}', 'Content-Type' => 'application/json' ],
        [ '{"a":', 'Content-Type' => 'application/json' ],
        [ 'x', 'Content-Type' => 'nonsense' ],
        [ 'x', 'Content-Encoding' => 'gzip' ],
        [ 'x', Origin => 'https://b.example' ],
        [ 'x', Accept => 'text/html' ],
        [ 'x', Prefer => 'respond-async' ],
        [ 'x' x 100, 'Content-Type' => 'text/plain' ],
        [ 'x', 'If-Match' => '"no"' ]);
    for my $p (@PLACES) {
        my @paths = $p->{slash} ? "$p->{prefix}/" : ($p->{prefix}, "$p->{prefix}/", "$p->{prefix}/?a=%2F");
        for my $path (@paths) {
            for my $body (is_full($p) ? @bodies : @bodies[ 0, 1, 10 ]) {
                my ($bytes, %headers) = @$body;
                same($_, POST => $path, body => $bytes, headers => { 'X-Owner' => 'ann', %headers }, keyed => 1)
                    for both_if($path eq '/own');
            }
            for my $method (qw(GET HEAD PUT DELETE OPTIONS PATCH)) {
                same($_, $method, $path, headers => { 'X-Owner' => 'ann' }) for both_if(is_full($p));
            }
        }
        same('none', POST => $paths[0], body => 'x');
    }
    my $answer = same('none', POST => '/all', body => $form, headers => { 'Content-Type' => $multipart });
    like $answer, qr/^HTTP\S+ 202 .*\{"ref":"[\w-]+","is":"PENDING"\}$/s, 'an upload is accepted in the given format';
    my ($job) = $answer =~ /"ref":"([^"]+)/;
    is sql("SELECT params::text, priority, max_attempts, file_name FROM await.job WHERE id = '$job'"),
        '{"a": "x"}|7|2|a.png', 'the options of submissions are applied';
};

subtest 'jobs are cancelled and retried' => sub {
    for my $p (@PLACES) {
        my %cancelled = map { $_ => submit(anyones($p)) } qw(one out);
        for (qw(DELETE POST)) {
            my ($method, $end) = ($_, $_ eq 'POST' ? '/retry' : '');
            my %is = map {
                my $answer = request(
                    $method, "$p->{prefix}/$cancelled{$_}$end",
                    port => $port{none}{$_},
                    headers => { 'X-Owner' => 'ann' });
                $_ => plain_new("$answer->{head} $answer->{body}")
            } qw(one out);
            like $is{one}, qr/^HTTP\S+ 202 /, "$p->{prefix}: $method works";
            is $is{one}, $is{out}, "$p->{prefix}: and answers alike";
        }
    }
};

# What the streams of both bring, up to what is awaited.
sub streamed {
    my ($path, $until) = @_;
    my %stream = map {                       # both at once
        $_ => begin_request(
            'GET', $path,
            port => $port{none}{$_},
            headers => { 'X-Owner' => 'ann', Accept => 'text/event-stream' })
    } qw(one out);
    my %text;
    for (qw(one out)) {
        $stream{$_}->read_until(sub { $_[0] =~ $until });
        $text{$_} = $stream{$_}{buffer} =~ s/($until).*/$1/sr;
        $stream{$_}->close;
    }
    return %text;
}
# The head of the answer, and the frames that come: so many at first, and with each subscription.
sub frames {
    my ($way, $path, @wanted) = @_;
    my $ws = Await::WebSocket->new($port{none}{$way}, $path, headers => { 'X-Owner' => 'ann' }, key => 'A' x 22 . '==');
    delete $ws->{headers}{date};
    my @seen = ($ws->{status}, map { "$_: $ws->{headers}{$_}" } sort keys %{ $ws->{headers} });
    for my $next (@wanted) {
        my ($n, $channel) = ref $next ? @$next : $next;
        $ws->say({ op => 'subscribe', channel => $channel }) if defined $channel;
        push @seen, map { my $frame = $ws->next_frame(10); $frame ? "$frame->{opcode} $frame->{payload}" : () } 1 .. $n;
    }
    return join "\n", @seen;
}

subtest 'streams and sockets' => sub {
    for my $p (@PLACES) {
        my $own = anyones($p);
        my ($done, $pending, $foreign) = @id{ "${own}done", "${own}pending", $own ? 'nowhere' : 'anyone_done' };
        for my $end ('', '/events') {
            my %stream = streamed("$p->{prefix}/$done$end", qr/event: completed\n.*?\n\n/s);
            like $stream{one}, qr/event: completed\n/, "$p->{prefix}/<id>$end: a stream of an ended job";
            is plain($stream{one}), plain($stream{out}), "$p->{prefix}/<id>$end: is alike";
            my ($cursor) = $stream{one} =~ /^id: (\S+)$/m;
            %stream = streamed("$p->{prefix}/$pending$end?cursor=$cursor", qr/event: (?:ready|reset)\n.*?\n\n/s);
            is plain($stream{one}), plain($stream{out}), "$p->{prefix}/<id>$end: with a cursor of another job, too";
            my %frames = map { $_ => frames($_, "$p->{prefix}/$done$end", 3) } qw(one out);
            like $frames{one}, qr/^101\n.*(?:completed|"is").*\z/s, "$p->{prefix}/<id>$end: a socket of the job";
            is plain($frames{one}), plain($frames{out}), "$p->{prefix}/<id>$end: is alike";
        }
        my $ready = $id{"${own}ready_batch"};
        for my $end ('', '/events') {
            my $path = "$p->{prefix}/batches/$ready$end";
            my %stream = streamed($path, qr/event: batch\.ready\n.*?\n\n/s);
            like $stream{one}, qr/event: batch\.ready\n/, "$p->{prefix}/batches/<id>$end: a stream of a batch";
            is plain($stream{one}), plain($stream{out}), "$p->{prefix}/batches/<id>$end: is alike";
            my %frames = map { $_ => frames($_, $path, 3) } qw(one out);
            like $frames{one}, qr/^101\n/, "$p->{prefix}/batches/<id>$end: a socket of a batch";
            is plain($frames{one}), plain($frames{out}), "$p->{prefix}/batches/<id>$end: is alike";
        }
        my @wanted = ([ 4, "job:$done" ], [ 3, "batch:$ready" ], [ 1, "job:$foreign" ], [ 1, 'job:x' ]);
        my %frames = map { $_ => frames($_, "$p->{prefix}/socket", @wanted) } qw(one out);
        like $frames{one}, qr/"subscribed".*"error"/s, "$p->{prefix}/socket: clients subscribe";
        is plain($frames{one}), plain($frames{out}), "$p->{prefix}/socket: is alike";
        same($_, GET => "$p->{prefix}/socket"), same($_, POST => "$p->{prefix}/socket", body => 'x')
            for sort keys %PAGES;
    }
};

subtest 'paths that are written in another way' => sub {
    my $odd = substr $id{anyone_done}, 1;
    for my $path (
        "/jobs/\%30$odd", "/jobs/$id{anyone_done}/%72esult",
        "/jobs/./$id{anyone_done}", "/x/../jobs/$id{anyone_done}",
        "/jobs/\%3f", "/jobs/$id{anyone_done}%2Fresult",
        "/jobs/socket\%20", '/jobs/' . uc $id{anyone_done},
        '/jobs/%C3%A4', '/jobs/' . 'x' x 500,
        "http://localhost/jobs/$id{anyone_done}"
        )
    {
        same($_, GET => $path) for sort keys %PAGES;
    }
};
finish();
