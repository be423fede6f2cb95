# The console: its files, its JSON and its stream, who may see and do what, what is refused, and that nothing runs
# while nobody looks.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Database qw(counted);
use Await::Http2;
use Await::Session;
use Await::Test;
use JSON::PP qw(decode_json encode_json);
use Test::More;
use Time::HiRes qw(time);

my $h2 = Await::Stack::free_port();
my $dir = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $dir;
Await::Stack::write_file("$dir/users", "ann:{PLAIN}secret\n", 0644);
my $s = start_stack(workers => 2, site => <<"CONF");
await_reread 1h;
server {
    listen 127.0.0.1:\${PORT}; listen 127.0.0.1:$h2 http2;
    location = /jobs { await_submit work; }
    location ~ ^/jobs/(?<id>[^/]+)\$ { await_job \$id; await_events job:\$id; }
    location = /metrics { await_metrics; }
    location /look { await_console; }
    location /slash/ { await_console; }
    location /do { await_console write; error_page 400 403 404 405 413 415 503 \@problem; }
    location /bare { await_console write; }
    location /shut { deny all; await_console write; }
    location /users { auth_basic console; auth_basic_user_file $dir/users; await_console; }
    location /owned { await_owner \$arg_u; await_console; }
    location = /allowed { auth_request /look/api/overview; try_files /none =404; }
    location \@problem { await_problem; }
}
CONF

my @JSON = ('Content-Type' => 'application/json');
sub act { my ($do, %headers) = @_; return post('/do/api/actions', encode_json($do), @JSON, %headers) }
sub outcomes { my ($response) = @_; return join ' ', map { $_->{outcome} } @{ json($response)->{results} } }
# The newest data of an event of a stream; or, once `good` says so of it.
sub newest {
    my ($stream, $event, $good) = @_;
    my $last = sub { my @all = $_[0] =~ /^event: \Q$event\E\ndata: (.*)\n\n/mg; @all ? decode_json($all[-1]) : undef };
    $stream->read_until(sub { my $is = $last->($_[0]); $is && (!$good || $good->($is)) }, 60);
    return $last->($stream->{buffer});
}

subtest 'the page' => sub {
    my $page = get('/look/');
    is $page->{status}, 200, 'is there';
    like header($page, 'content-type'), qr{^text/html}, 'as HTML';
    my $policy = header($page, 'content-security-policy');
    like $policy, qr/default-src 'none'; script-src 'self'; style-src 'self'/, 'nothing from elsewhere';
    unlike $policy, qr/unsafe/, 'and nothing inline';
    is header($page, 'x-content-type-options'), 'nosniff', 'no sniffing';
    is header($page, 'x-frame-options'), 'DENY', 'no frames';
    is header($page, 'cache-control'), 'no-cache', 'a new version is seen at once';
    my $etag = header($page, 'etag');
    is get('/look/', 'If-None-Match' => $etag)->{status}, 304, 'what has not changed is not sent again';
    unlike $page->{body}, qr/<script>|<style|\son\w+=|\sstyle=/, 'it has nothing that the policy forbids';
    my @files = $page->{body} =~ /(?:src|href)="([^"#]+)"/g;
    cmp_ok scalar(@files), '>=', 4, 'it names files';
    push @files, map { get("/look/$_")->{body} =~ m{from '\./([^']+)'}g } grep { /^\w+\.js$/ } @files;
    is get("/look/$_")->{status}, 200, $_ for sort keys %{ { map { $_ => 1 } @files } };
    is get('/look')->{status}, 308, 'without the slash';
    is header(get('/look'), 'location'), './look/', 'it leads there';
    is get('/slash/')->{status}, 200, 'in a location that ends with a slash too';
    is get('/slash/api/queues')->{status}, 200, 'with its data';
    is get("/look/$_")->{status}, 404, "there is no $_" for qw(none.js ../x vendor/LICENSE-uPlot api api/none);
    is request('HEAD', '/look/app.js')->{status}, 200, 'HEAD';
};

my $id = one_job();
my $odd = q({"owner": "<img src=x onerror=alert(1)>"});
sql("SELECT await.submit('odd', 'x', options => '$odd')");

subtest 'as JSON' => sub {
    my $o = json(get('/look/api/overview'));
    ok !$o->{node}{write}, 'this one does not act';
    cmp_ok $o->{node}{submitted}, '>=', 1, 'what the node knows';
    is_deeply $o->{node}{problems}, [], 'nothing is wrong';
    is_deeply [ map { $_->{queue} } @{ $o->{overview}{queues} } ], [qw(odd work)], 'what the database says';
    is header(get('/look/api/overview'), 'cache-control'), 'no-store', 'it is not stored';
    is json(get('/look/api/queues?match=wor'))->{queues}[0]{ready}, 1, 'queues';
    is_deeply [ map { $_->{queue} } @{ json(get('/look/api/jobs'))->{jobs} } ], [qw(odd work)], 'jobs';
    my $page = json(get('/look/api/jobs?limit=1'));
    is json(get("/look/api/jobs?limit=1&cursor=$page->{next}"))->{jobs}[0]{id}, $id, 'and their next page';
    is json(get('/look/api/jobs?owner=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E'))->{jobs}[0]{queue}, 'odd',
        'by an owner of any name';
    is json(get("/look/api/jobs/$id"))->{state}, 'pending', 'a job';
    is json(get("/look/api/jobs/\U$id"))->{id}, $id, 'in capital letters';
    is_deeply json(get('/look/api/failures')), { looked => 0, found => 0, groups => [] }, 'failures';
    is header(get('/look/api/jobs'), 'x-content-type-options'), 'nosniff', 'JSON is not sniffed';
};

subtest 'the rights of an edge' => sub {
    my $r = act({ action => 'cancel', jobs => [$id] });
    is $r->{status}, 403, 'are to read, and not to act';
    like json($r)->{detail}, qr/GRANT await_console TO/, 'it says what is missing';
    is json(get("/look/api/jobs/$id"))->{state}, 'pending', 'the job is as it was';
    sql('GRANT await_console TO edge');
};

subtest 'what is refused' => sub {
    for my $bad (
        'queues?limit=0', 'queues?limit=101', 'queues?limit=x', 'queues?match=', 'queues?match=' . 'x' x 65,
        'queues?after=%ff', 'queues?limit=1&limit=2', 'jobs?state=done', 'jobs?state=failed,', 'jobs?batch=x',
        'jobs?since=today', 'jobs?cursor=x', "jobs?cursor=$id.x", "jobs?cursor=$id.99999999999999999999",
        'jobs?owner=', 'jobs?owner=' . 'x' x 1025, 'jobs?queue=%00', 'failures?queue='
        )
    {
        for my $where (qw(do bare)) {
            my $r = get("/$where/api/$bad");
            is $r->{status}, 400, "$where: " . substr $bad, 0, 30;
            like json($r)->{detail}, qr/^The argument "\w+" /, 'and why';
        }
    }
    is get("/do/api/jobs/$_")->{status}, 404, "no job $_"
        for 'x', '00000000-0000-7000-8000-000000000000', 'ffffffff-ffff-8000-8000-000000000000', "$id/x", '';
    is act({})->{status}, 400, 'no action';
    is act({ action => 'drop', jobs => [$id] })->{status}, 400, 'an action that is none';
    is act({ action => 'cancel', jobs => $_ })->{status}, 400, 'jobs that are none: ' . substr encode_json([$_]), 0, 30
        for [], ['x'], $id, [ map { sprintf '%08d-0000-7000-8000-000000000000', $_ } 1 .. 101 ], [ { a => 1 } ], undef;
    like json(act({}))->{detail}, qr/"retry" or "cancel"/, 'it says what an action is';
    is post('/do/api/actions', '{"action": "cancel"', @JSON)->{status}, 400, 'broken JSON';
    is post('/do/api/actions', '[' x 10000, @JSON)->{status}, 400, 'deep JSON';
    is post('/do/api/actions', '{"action": "cancel", "jobs": ["\u0000"]}', @JSON)->{status}, 400, 'a NUL';
    is post('/do/api/actions', ' ' x 20000, @JSON)->{status}, 413, 'long JSON';
    is post('/do/api/actions', '{}', 'Content-Type' => $_)->{status}, 415, "a form of another site: $_"
        for 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x';
    is post('/do/api/actions', '{}')->{status}, 415, 'no type';
    is act({ action => 'cancel', jobs => [$id] }, @$_)->{status}, 403, "from elsewhere: $_->[0]"
        for [ Origin => 'https://evil.example' ], [ 'Sec-Fetch-Site' => 'cross-site' ],
        [ 'Sec-Fetch-Site' => 'same-site' ], [ Origin => 'null' ];
    is post("/do/$_", '{}', @JSON)->{status}, 404, "no POST of $_" for '', 'api/jobs', "api/jobs/$id";
    is post('/look/api/actions', '{}', @JSON)->{status}, 405, 'without "write"';
    is header(post('/look/api/actions', '{}', @JSON), 'allow'), 'GET, HEAD, OPTIONS', 'which says so';
    is del("/do/api/jobs/$id")->{status}, 405, 'DELETE';
    is $_->{status}, 403, 'nothing behind "deny all"'
        for get('/shut/'), get('/shut/api/jobs'), get('/shut/api/live'), post('/shut/api/actions', '{}', @JSON);
    is get($_)->{status}, 401, "$_ needs a password" for qw(/users/ /users/api/jobs /users/api/live /users/app.js);
    is get('/owned/api/jobs')->{status}, 200, 'an owner is not asked for: it shows those of all';
    is json(get("/look/api/jobs/$id"))->{state}, 'pending', 'and the job is as it was';
};

subtest 'live' => sub {
    is metric('await_consoles'), 0, 'no console is open';
    my @streams = map { begin_request('GET', '/do/api/live') } 1 .. 3;
    ok newest($_, 'overview'), 'it has data' for @streams;
    is metric('await_consoles'), 3, 'three are open';
    my ($head) = split /\r\n\r\n/, $streams[0]{buffer};
    like $head, qr{^HTTP/1\.1 200 .*^Content-Type: text/event-stream}ms, 'as a stream of events';
    ok newest($streams[0], 'node')->{write}, 'that knows of "write"';
    my $before = newest($streams[0], 'overview')->{at};
    my $after = newest($streams[0], 'overview', sub { $_[0]{at} ne $before });
    isnt $after->{at}, $before, 'it goes on';
    my $watcher = begin_request('GET', "/jobs/$id", headers => { Accept => 'text/event-stream' });
    my $poll = begin_request('GET', "/jobs/$id?wait=25");
    my $node = newest($streams[1], 'node', sub { $_[0]{streams} == 1 && $_[0]{polls} == 1 });
    is "$node->{streams} $node->{polls}", '1 1', 'it shows held clients';
    is outcomes(act({ action => 'cancel', jobs => [$id] })), 'cancelled', 'a job is cancelled';
    is json($poll->response)->{state}, 'cancelled', 'a held poll hears of it at once';
    like $watcher->response->{body}, qr/^event: cancelled$/m, 'so does a stream';
    my $timed = sub { my $sum = 0; $sum += $_ for @{ $_[0]{latency}{deliver} }; $sum >= 1 };
    ok $timed->(newest($streams[1], 'node', $timed)), 'the delivery is timed';
    ok grep({ $_ } @{ newest($streams[1], 'node')->{latency}{submit} }), 'and so are submissions';
    $_->close for @streams;
    eventually 'none is open', sub { metric('await_consoles') == 0 };
};

subtest 'nothing runs while nobody looks' => sub {
    my ($reads, $back) = counted('console_overview()');
    my $stream = begin_request('GET', '/do/api/live');
    eventually 'reads are counted', $reads;
    $stream->close;
    eventually 'the console is closed', sub { metric('await_consoles') == 0 };
    my ($before, $began) = ($reads->(), time);
    eventually 'seconds have passed', sub { time > $began + 4 };
    cmp_ok $reads->() - $before, '<=', 1, 'nothing is read any more';    # or one that was on its way
    my @many = map { begin_request('GET', '/do/api/live') } 1 .. 20;
    newest($_, 'overview') for @many;
    ($before, $began) = ($reads->(), time);
    eventually 'seconds have passed', sub { time > $began + 6 };
    # each console for itself, it would be twenty a second, each of the two nginx workers, two
    my ($n, $took) = ($reads->() - $before, time - $began);
    cmp_ok $n, '<=', 2 + 1.3 * $took, sprintf 'twenty consoles on two nginx workers: %d reads in %.1f s', $n, $took;
    # a read that took long is not repeated soon
    ok until_true('it is read', sub { $reads->() > $before }, 60), 'and it is read';
    $_->close for @many;
    $back->();
};

is get('/allowed')->{status}, 404, 'as a subrequest of auth_request it is answered';

subtest 'over HTTP/2' => sub {
    my $c = Await::Http2->new(port => $h2);
    is $c->request('GET', '/look/')->{status}, 200, 'the page';
    is decode_json($c->request('GET', '/look/api/overview')->{body})->{overview}{queues}[0]{queue}, 'odd', 'its data';
    my $stream = $c->open_stream('GET', '/look/api/live');
    ok $c->run(sub { ($c->stream($stream)->{body} // '') =~ /event: overview\ndata: \{/ }, 20), 'its stream';
};

subtest 'actions' => sub {
    my $again = one_job();
    is outcomes(act({ action => 'pause', queues => ['work'] })), 'paused', 'a queue is paused';
    ok json(get('/look/api/queues?match=work'))->{queues}[0]{paused}, 'which is shown';
    is outcomes(act({ action => 'resume', queues => ['work'] })), 'resumed', 'and resumed';
    is outcomes(act({ action => 'retry', jobs => [$id] })), 'retried', 'a cancelled job is retried';
    my %got = map { $_->{job} => $_->{outcome} }
        @{ json(act({ action => 'cancel', jobs => [ $again, $id ] }))->{results} };
    is_deeply \%got, { $again => 'cancelled', $id => 'already' }, 'of several, it says of each what came of it';
    my $locked = one_job();
    my $session = Await::Session->new($s->postgres('admin'));
    $session->run("BEGIN; SELECT FROM await.job WHERE id = '$locked' FOR UPDATE");
    is outcomes(act({ action => 'cancel', jobs => [$locked] })), 'locked', 'who has it locked is not waited for';
    $session->run('ROLLBACK');
    is outcomes(act({ action => 'cancel', jobs => [$locked] })), 'cancelled', 'later it works';
    is act({ action => 'cancel', jobs => [$locked] }, 'Sec-Fetch-Site' => 'same-origin', Origin => $s->url)->{status},
        200, 'from the page itself';
};

subtest 'PostgreSQL is away' => sub {
    my $stream = begin_request('GET', '/do/api/live');
    ok newest($stream, 'overview'), 'there is data';
    $s->end('postgres', 'INT');
    my $node = newest($stream, 'node', sub { @{ $_[0]{problems} } });
    is $node->{problems}[0]{state}, 'not connected', 'the console says so';
    is get('/look/')->{status}, 200, 'the page is there';
    is get('/look/api/overview')->{status}, 200, 'what the node knows too';
    is get('/look/api/queues')->{status}, 503, 'what it does not know is 503';
    is act({ action => 'pause', queues => ['work'] })->{status}, 503, 'and nothing can be done';
    $s->start_postgres;
    ok !@{ newest($stream, 'node', sub { !@{ $_[0]{problems} } })->{problems} }, 'it comes back by itself';
    $stream->close;
};

finish();
