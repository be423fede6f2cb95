# The console against those who mean harm, and what stands in its way: pages of other sites, locks that are held,
# nginx workers that are killed, clients that use up what may be held.

use strict;
use warnings;
no warnings 'portable';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use JSON::PP qw(decode_json encode_json);
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(workers => 2, site => <<'CONF');
await_reread 1h;
await_origins any; await_cors on;
server {
    listen 127.0.0.1:${PORT};
    location = /jobs { await_submit work; }
    location = /metrics { await_metrics; }
    location ~ ^/jobs/(?<id>[^/]+)$ { await_job $id; }
    location /any { await_console write; error_page 404 @problem; }
    location /ops:c { await_console; }
    location /slash/ { await_console; }
    location /few { await_max_held 1; await_console; }
    location @problem { await_problem; }
}
server {
    listen 127.0.0.1:${PORT}; server_name listed;
    await_origins same https://app.example.com;
    location /listed { await_console write; }
}
CONF
sql('GRANT await_console TO edge');

my @JSON = ('Content-Type' => 'application/json');
my $ACTION = encode_json({ action => 'pause', queues => ['work'] });
# The newest data of an event of a stream, once `good` says so of it. On a busy machine an overview is read rarely.
sub newest {
    my ($stream, $event, $good) = @_;
    my $last = sub { my @all = $_[0] =~ /^event: \Q$event\E\ndata: (.*)\n\n/mg; @all ? decode_json($all[-1]) : undef };
    my $is;
    $stream->read_until(sub { $is = $last->($_[0]); $is && (!$good || $good->($is)) }, 60);
    return $is && (!$good || $good->($is)) ? $is : undef;
}
one_job();

subtest 'pages of other sites' => sub {
    for my $case ([ any => 'localhost', 'https://evil.example' ], [ listed => 'listed', 'https://app.example.com' ]) {
        my ($where, $host, $origin) = @$case;
        my %from = (Host => $host, Origin => $origin, 'Sec-Fetch-Site' => 'cross-site');
        my $preflight = request('OPTIONS', "/$where/api/actions", headers => {
            %from, 'Access-Control-Request-Method' => 'POST', 'Access-Control-Request-Headers' => 'content-type' });
        my $read = get("/$where/api/jobs", %from);
        my $problem = get("/$where/none", %from);
        my $act = post("/$where/api/actions", $ACTION, @JSON, %from);
        is $act->{status}, 403, "$where: may not act";
        for my $response ($preflight, $read, $problem, $act) {
            my @cors = grep { defined header($response, "Access-Control-Allow-$_") } qw(Origin Credentials Methods);
            is "@cors", '', "$where: $response->{status} has no header for other sites";
        }
    }
    is header(post('/jobs', 'x', Origin => 'https://evil.example'), 'Access-Control-Allow-Origin'), '*',
        'other locations are as they were';
    is post('/any/api/actions', $ACTION, @JSON, Origin => $s->url, 'Sec-Fetch-Site' => 'same-origin')->{status}, 200,
        'the page itself may act';
};

subtest 'conditions and redirections' => sub {
    my $etag = header(get('/any/'), 'etag');
    is get('/any/', 'If-Match' => $etag)->{status}, 200, 'If-Match with the entity tag of a file';
    is get('/any/', 'If-Match' => '*')->{status}, 200, 'with any';
    is get($_, 'If-Match' => '"other"')->{status}, 412, "with another: $_" for '/any/', '/any/app.js', '/any/api/jobs';
    is header(get('/ops:c'), 'location'), './ops:c/', 'a name with a colon is a name';
    my $r = get('/slash');
    is $r->{status}, 301, 'without the slash of the location';
    like header($r, 'location'), qr{/slash/$}, 'it leads there';
    is get('/any/api/jobs?since=0000-01-01T00:00:00Z')->{status}, 400, 'a year that PostgreSQL does not know';
    like json(get('/any/api/jobs?since=0000-01-01T00:00:00Z'))->{detail}, qr/^The argument "since"/, 'is named';
};

subtest 'others use up await_max_held' => sub {
    my @open = map { begin_request('GET', '/few/api/live') } 1 .. 4;
    ok newest($_, 'overview'), 'a console opens' for @open;
    my $id = one_job();
    $_->close for @open;
    is get('/few/api/overview')->{status}, 200, 'and so does its JSON';
};

# Locks what an overview reads, so that one waits; returns once it does.
my $session = Await::Session->new($s->postgres('admin'));
sub block {
    $session->run('BEGIN; LOCK TABLE await.relay_cursor IN ACCESS EXCLUSIVE MODE');
    my $waits = sub {
        sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'console_overview'");
    };
    eventually 'a read waits', $waits, 60;    # on a busy machine an overview is read rarely
    return;
}

subtest 'a lock is held' => sub {
    my $stream = begin_request('GET', '/any/api/live');
    ok newest($stream, 'overview'), 'there is data';
    block();
    my $start = time;
    is post('/jobs', 'x' x 300_000)->{status}, 202, 'a large submission is accepted';
    is metric('await_consoles'), 1, 'while the lock is held';
    ok newest($stream, 'node', sub { $_[0]{overview_age_ms} > 3000 }), 'the page is told how old its data is';
    my $at = newest($stream, 'overview')->{at};
    $session->run('ROLLBACK');
    ok newest($stream, 'overview', sub { $_[0] && $_[0]{at} ne $at }), 'soon after the lock is gone there is data';
    $stream->close;
};

subtest 'the nginx worker that reads is killed' => sub {
    push @Await::Test::expected_alarms, qr/exited on signal 9|exited with fatal code/;
    my $stream = begin_request('GET', '/any/api/live');
    ok newest($stream, 'overview'), 'there is data';
    block();
    my @pids = worker_pids();
    kill 'KILL', @pids;
    $session->run('ROLLBACK');
    $stream->close;
    workers_are_new(@pids);
    my $next = begin_request('GET', '/any/api/live');
    ok newest($next, 'overview', sub { $_[0] }), 'others have data';
    my $at = newest($next, 'overview', sub { $_[0] })->{at};
    ok newest($next, 'overview', sub { $_[0] && $_[0]{at} ne $at }), 'and read on';
    $next->close;
};

# Replaces a function of the console until the subtest ends.
sub with_function {
    my ($signature, $body, $do) = @_;
    my $before = sql("SELECT pg_get_functiondef('await.@{[ $signature =~ s/p jsonb/jsonb/r ]}'::regprocedure)");
    sql("CREATE OR REPLACE FUNCTION await.$signature RETURNS text LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS \$test\$ BEGIN $body END \$test\$");
    $do->();
    return sql($before);
}

my $asleep = sub { sql(q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep')) };

subtest 'a read that is slow' => sub {
    with_function('console_queues(p jsonb)' => q(PERFORM pg_sleep(30); RETURN '{}';), sub {
        my $start = time;
        my $slow = begin_request('GET', '/any/api/queues');
        eventually 'it is at it', $asleep;
        is post('/jobs', 'x' x 300_000)->{status}, 202, 'a large submission is accepted meanwhile';
        is $slow->response->{status}, 503, 'it is given up';
        cmp_ok time - $start, '<', 25, 'long before the time of other statements is over';
        is $asleep->(), 0, 'by PostgreSQL, too';
        is get('/any/api/jobs')->{status}, 200, 'on the same connection';
    });
    is get('/any/api/queues')->{status}, 200, 'afterwards it works';
};

subtest 'nginx is reloaded during a read' => sub {
    with_function('console_queues(p jsonb)' => q(PERFORM pg_sleep(1); RETURN '{"queues": [], "next": "slow"}';), sub {
        my $stream = begin_request('GET', '/any/api/live');
        ok newest($stream, 'overview'), 'a console is open';
        my $slow = begin_request('GET', '/any/api/queues');
        eventually 'a read is on its way', $asleep;
        my @pids = worker_pids();
        kill 'HUP', $s->pid('nginx');
        is json($slow->response)->{next}, 'slow', 'it is answered by the old nginx worker';
        ok $stream->read_until(sub { $stream->{eof} }, 20), 'the stream ends';
        workers_are_new(@pids);
        eventually 'and no old worker stays', sub { !grep { kill 0, $_ } @pids };
    });
};

subtest 'the shared overview is locked' => sub {
    my $stream = begin_request('GET', '/any/api/live');
    ok newest($stream, 'overview'), 'there is data';
    # the lock is the first word of the zone, which has the text of the overview
    my ($pid) = worker_pids();
    my $zone;
    open my $maps, '<', "/proc/$pid/maps" or die "maps: $!";
    open my $memory, '+<:raw', "/proc/$pid/mem" or plan skip_all => 'the memory of nginx cannot be written here';
    for (<$maps>) {
        my ($from, $to) = /^(\w+)-(\w+) rw-s .*zero/ or next;
        sysseek $memory, hex $from, 0;
        sysread $memory, my $bytes, hex($to) - hex $from;
        $zone = hex $from if $bytes =~ /"totals"/ && $bytes =~ /"max_connections"/;
    }
    ok $zone, 'its zone is found';
    my $lock = sub { sysseek $memory, $zone, 0; return syswrite $memory, pack 'Q', $_[0] };
    $lock->(1);
    my $at = newest($stream, 'overview')->{at};
    ok newest($stream, 'node', sub { $_[0]{overview_age_ms} > 3000 }),
        'what the node knows comes on, with the age of the data';
    is newest($stream, 'overview')->{at}, $at, 'but nothing new';
    is get('/any/api/overview')->{status}, 200, 'nor is a single answer kept waiting';
    is post('/jobs', 'x')->{status}, 202, 'and clients notice nothing';
    $lock->(0);
    ok newest($stream, 'overview', sub { $_[0] && $_[0]{at} ne $at }), 'when it is free, there is data again';
    $stream->close;
};

subtest 'an overview that is too large' => sub {
    push @Await::Test::expected_alarms, qr/more than the/;
    my $stream = begin_request('GET', '/any/api/live');
    my $at;
    with_function('console_overview()' => q(RETURN json_build_object('at', repeat('x', 300000))::text;), sub {
        eventually 'is said in error.log, in a line', sub {
            error_log() =~ /await: the overview of await_console has 30\d{4} bytes, more than the 262144 that/ };
        newest($stream, 'node', sub { $_[0]{overview_age_ms} > 1500 });    # all that was read before has come
        $at = newest($stream, 'overview')->{at};
        ok newest($stream, 'node', sub { $_[0]{overview_age_ms} > 3000 }), 'the console goes on';
        is newest($stream, 'overview')->{at}, $at, 'with what was read before';
    });
    ok newest($stream, 'overview', sub { $_[0] && $_[0]{at} ne $at }), 'and with what is read afterwards';
    $stream->close;
};

subtest 'more consoles than there is room for' => sub {
    # two nginx workers have room for a hundred each
    my @streams = map { begin_request('GET', '/any/api/live') } 1 .. 201;
    my (@open, $refused);
    for my $stream (@streams) {
        $stream->read_until(sub { $_[0] =~ /^event: (?:node|refused)\n/m }, 30);
        if ($stream->{buffer} =~ /^event: refused\n/m) { $refused = $stream }
        else { push @open, $stream }
    }
    ok $refused, 'one is refused';
    cmp_ok scalar(@open), '>=', 100, 'when a hundred are open';
    like $refused->{buffer}, qr{^HTTP/1.1 200 .*^retry: \d+\n.*"detail":"Too many consoles are open}ms,
        'with a status that lets EventSource come again, and says why';
    ok newest($open[0], 'node'), 'the others go on';
    is post('/jobs', 'x')->{status}, 202, 'and so do clients';
    $_->close for @open;
    eventually 'none is open', sub { metric('await_consoles') == 0 };
    my $again = begin_request('GET', '/any/api/live');
    ok newest($again, 'overview', sub { $_[0] }), 'then there is room';
    $again->close;
};

finish();
