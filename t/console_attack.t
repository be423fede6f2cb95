# The console against those who mean harm, and what stands in its way: pages of other sites, locks that are held,
# nginx workers that are killed, clients that use up what may be held.

use strict;
use warnings;
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
# The newest data of an event of a stream, once `good` says so of it; waits so many seconds.
sub newest {
    my ($stream, $event, $good, $seconds) = @_;
    my $last = sub { my @all = $_[0] =~ /^event: \Q$event\E\ndata: (.*)\n\n/mg; @all ? decode_json($all[-1]) : undef };
    my $is;
    $stream->read_until(sub { $is = $last->($_[0]); $is && (!$good || $good->($is)) }, $seconds // 30);
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
    eventually 'a read waits', sub {
        sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'console_overview'");
    };
    return;
}

subtest 'a lock is held' => sub {
    my $stream = begin_request('GET', '/any/api/live');
    ok newest($stream, 'overview'), 'there is data';
    block();
    my $start = time;
    is post('/jobs', 'x' x 300_000)->{status}, 202, 'a large submission is accepted';
    cmp_ok time - $start, '<', 5, 'soon';
    ok newest($stream, 'node', sub { $_[0]{overview_age_ms} > 3000 }), 'the page is told how old its data is';
    my $at = newest($stream, 'overview')->{at};
    $session->run('ROLLBACK');
    ok newest($stream, 'overview', sub { $_[0] && $_[0]{at} ne $at }, 20), 'soon after the lock is gone there is data';
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
    ok newest($next, 'overview', sub { $_[0] && $_[0]{at} ne $at }, 15), 'and read on at once';
    $next->close;
};

finish();
