# await_cache with batches: documents come from shared memory, for all nginx workers; of a batch that has not ended only
# for a while, and never after anybody was told anything newer. Hints outdate them; what does not come costs time only.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(http => "await_zone zone=docs:1m;\n", extra => <<'CONF');
    location = /metrics { await_metrics; }
    location = /batches { await_batch queues=work; await_batch_uri /batches/$await_id; }
    location = /list { await_owner $http_x_user; await_batches; }
    location = /mine { await_owner $http_x_user; await_batch queues=work; await_batch_uri /batches/$await_id; }
    location ~ ^/events/(?<id>[^/]+)$ { await_events batch:$id; }
    location = /user { await_owner $http_x_user; await_events user:$http_x_user; }
    location ~ ^/add/(?<id>[^/]+)$ { await_owner $http_x_user; await_submit work batch=$id; }
    location ~ ^/plain/(?<id>[^/]+)$ { await_batch $id; }
    location ~ ^/long/(?<id>[^/]+)$ { await_cache docs open=1m; await_batch $id;
        add_header X-Cache $await_cache_status always; }
    location ~ ^/default/(?<id>[^/]+)$ { await_cache docs; await_batch $id;
        add_header X-Cache $await_cache_status always; }
    location ~ ^/ended/(?<id>[^/]+)$ { await_cache docs open=0; await_batch $id;
        add_header X-Cache $await_cache_status always; }
    location ~ ^/owned/(?<id>[^/]+)$ { await_owner $http_x_user; await_cache docs open=1m; await_batch $id;
        add_header X-Cache $await_cache_status always; }
CONF

# A batch of ann's, of so many jobs that are claimed; its id, and theirs.
sub new_batch {
    my ($jobs, $payload) = @_;
    my @jobs = map { { payload => $_, params => { text => $payload // '' } } } 1 .. $jobs;
    my $r = post(
        '/mine', JSON::PP->new->encode({ jobs => \@jobs }),
        'Content-Type' => 'application/json',
        'X-User' => 'ann'
    );
    my @ids = map { $_->{id} } @{ json($r)->{jobs} };
    claim($ids[0]);
    # from now on each ending is an event at once
    return (id_of($r), @ids);
}
sub end_job { my ($id) = @_; return complete($id, 'done') }
sub seq_of { my ($batch) = @_; return sql("SELECT max(seq) FROM await.event WHERE job = '$batch'") }
sub status { return header($_[0], 'X-Cache') }
# The first subscription to a channel outdates what was read before it.
sub warm {
    my ($path, %headers) = @_;
    return eventually("$path comes from the cache", sub { status(get($path, %headers)) eq 'HIT' });
}

subtest 'the second read is none' => sub {
    my ($id) = new_batch(3);
    is status(get("/long/$id")), 'MISS', 'the first read is a miss';
    warm("/long/$id");
    my $plain = get("/plain/$id");
    my ($hits, $misses) = map { metric("await_batch_cache_total{status=\"$_\"}") } qw(hit miss);
    my $first = get("/long/$id");
    my $again = get("/long/$id");
    is status($again), 'HIT', 'what equals the document outdates nothing';
    is $again->{body}, $plain->{body} =~ s{/plain/}{/long/}gr, 'the document is as without a cache';
    my $unchanged = get("/long/$id", 'If-None-Match' => header($again, 'ETag'));
    is_deeply [ status($unchanged), $unchanged->{status} ], [ 'HIT', 304 ], '304 by its ETag';
    my $word = get("/long/$id", Accept => 'text/plain');
    is_deeply [ status($word), $word->{body} ], [ 'HIT', 'PENDING' ], 'the word comes from the same entry';
    my $part = get("/long/$id?limit=2");
    is_deeply [ status($part), scalar @{ json($part)->{jobs} } ], [ 'HIT', 2 ], 'and fewer of its jobs';
    like header($part, 'Link'), qr/rel="next"/, 'with a next page';
    is status(get("/long/$id?limit=200")), 'HIT', 'and more than there are';
    my ($next) = header($part, 'Link') =~ m{(\?[^>]+)>};
    is status(get("/long/$id$next")), 'MISS', 'another page is read';
    is status(get("/long/$id$next")), 'HIT', 'and then comes from the cache';
    is status(get("/long/$id")), 'HIT', 'beside the first one';
    is metric('await_batch_cache_total{status="hit"}') - $hits, 8, 'hits are counted';
    is metric('await_batch_cache_total{status="miss"}') - $misses, 1, 'misses are counted';
    is request('HEAD', "/long/$id")->{status}, 200, 'HEAD';
};

subtest 'a hint outdates' => sub {
    my ($id, @jobs) = new_batch(3);
    warm("/long/$id");
    end_job($jobs[0]);
    is json(get("/long/$id"))->{totals}{done}, 0, 'without a hint the old document is valid';
    hint($jobs[0]);
    eventually('with a hint the new one is read', sub { json(get("/long/$id"))->{totals}{done} == 1 });
    warm("/long/$id");
    $s->redis_command('PUBLISH', split /\|/, sql("SELECT await.shard('$id') || '|1 $id @{[ seq_of($id) ]} progress'"),
        2)
        for 1 .. 3;
    my @seen = map { status(get("/long/$id")) } 1 .. 3;
    is "@seen", 'HIT HIT HIT', 'a repeated hint outdates nothing';
};

# Whatever a client of this node is told, the cached document is not older afterwards.
my %change = (
    event => sub { end_job($_[1]); return 'done' },
    claim => sub { sql("SELECT await.emit('$_[1]', test.receipt('$_[1]'), 'progress', '{\"n\": 1}')"); return 'job' },
);
my @page = (Accept => 'application/json');
my @ways = ([
        'an event stream',
        event => sub {
            begin_request('GET', "/events/$_[0]", headers => { Accept => 'text/event-stream' })->wait_event('progress');
        }
    ],
    [ 'a page of events', event => sub { get("/events/$_[0]", @page)->{body} =~ /progress/ } ],
    [
        'a user\'s page of events',
        event => sub { get("/user?cursor=$_[2]", @page, 'X-User' => 'ann')->{body} =~ /progress/ }
    ],
    [ 'a list of batches', event => sub { get('/list', 'X-User' => 'ann')->{body} =~ /"done":1/ } ],
    [ 'the document where nothing is cached', event => sub { get("/plain/$_[0]")->{body} =~ /"done":1/ } ],
    [
        'the state in one word where nothing is cached',
        event => sub { get("/plain/$_[0]", Accept => 'text/plain')->{body} eq 'PROCESSING' }
    ],
    [ 'the document of one of its jobs', event => sub { json(get("/jobs/$_[1]"))->{state} eq 'completed' } ],
    [
        'the document with an ETag of another node',
        event => sub { get("/long/$_[0]", 'If-None-Match' => '"2-abc"')->{body} =~ /"done":1/ }
    ],
    [
        'a long poll',
        event => sub { json(get("/long/$_[0]?wait=5", 'If-None-Match' => '"1-abc"'))->{totals}{done} == 1 }
    ],
);
for my $way (@ways) {
    my ($name, $change, $tell) = @$way;
    subtest "not older than $name" => sub {
        my $cursor = json(get('/user', @page, 'X-User' => 'ann'))->{cursor};
        my ($id, @jobs) = new_batch(3);
        warm("/long/$id");
        $change{$change}->($id, $jobs[0]);
        my $old = get("/long/$id");
        is_deeply [ status($old), json($old)->{totals}{done} ], [ 'HIT', 0 ], 'nobody has told anything yet';
        ok $tell->($id, $jobs[0], $cursor), 'a client is told';
        my $new = json(get("/long/$id"));
        is_deeply [ $new->{totals}{done}, $new->{seq} ], [ 1, 2 ], 'from then on the document has it';
    };
}

subtest 'what this node changes is seen' => sub {
    my ($id, @jobs) = new_batch(3);
    warm("/long/$id");
    is post("/add/$id", 'x', 'X-User' => 'ann')->{status}, 202, 'a job is added';
    is json(get("/long/$id"))->{totals}{total}, 4, 'it counts at once';
    warm("/long/$id");
    is del("/jobs/$jobs[1]")->{status}, 202, 'a job is cancelled';
    is json(get("/long/$id"))->{totals}{cancelled}, 1, 'it counts at once';
    warm("/long/$id");
    is del("/plain/$id")->{status}, 202, 'the batch is cancelled';
    is json(get("/long/$id"))->{state}, 'cancelled', 'it is seen at once';
};

subtest 'a hint is lost' => sub {
    my ($id, @jobs) = new_batch(3);
    warm("/default/$id");
    end_job($jobs[0]);
    eventually('the document is old for a second at most', sub { json(get("/default/$id"))->{totals}{done} == 1 });
    $s->end('redis', 'KILL');
    warm("/default/$id");
    end_job($jobs[1]);
    eventually('without Redis, too', sub { json(get("/default/$id"))->{totals}{done} == 2 });
    warm("/long/$id");
    end_job($jobs[2]);
    is json(get("/long/$id"))->{totals}{done}, 2, 'as long as open= says';
    $s->start_redis;
    eventually('a new subscription outdates', sub { json(get("/long/$id"))->{totals}{done} == 3 });
};

my ($ready, @ended) = new_batch(2);
subtest 'a batch that is ready does not change' => sub {
    is status(get("/ended/$ready")), 'MISS', "while it is open it is read, $_" for 1, 2;
    my @polls = map { begin_request('GET', "/ended/$ready?wait=20") } 1 .. 12;
    ok $polls[-1]->quiet(0.3), 'long polls are held';
    eventually('a watch of the cache is no client', sub { metric('await_held') == 12 });
    end_job($_) for @ended;
    hint($ended[1]);
    is_deeply [ map { json($_->response)->{ready} } @polls ], [ (JSON::PP::true) x 12 ], 'they get the ending';
    warm("/ended/$ready");
    is status(get("/long/$ready")), 'HIT', 'wherever';
    my $r = get("/ended/$ready?wait=20");
    is_deeply [ status($r), json($r)->{status} ], [ 'HIT', 'completed' ], 'a long poll, too, at once';
};

subtest 'to each owner his own' => sub {
    my ($id) = new_batch(1);
    warm("/owned/$id", 'X-User' => 'ann');
    my ($foreign, $unknown) = map { get("/owned/$_", 'X-User' => 'bob') } $id, $id =~ s/.$/$& eq '0' ? '1' : '0'/er;
    is $foreign->{status}, 404, 'another user does not get it';
    $_->{body} =~ s/"request_id":"[0-9a-f]{32}"// for $foreign, $unknown;
    is $foreign->{body} =~ s/[0-9a-f-]{36}//gr, $unknown->{body} =~ s/[0-9a-f-]{36}//gr, 'as if it did not exist';
    warm("/owned/$id", 'X-User' => 'ann');    # its owner does, from whatever nginx worker
};

subtest 'the zone is bounded' => sub {
    my @ids = map { (new_batch(10, 'x' x 6_000))[0] } 1 .. 24;
    is length(get("/long/$_")->{body}) > 60_000, 1, 'a large document' for $ids[0];
    get("/long/$_") for @ids;
    my %hits = map { $_ => status(get("/long/$_")) } reverse @ids;
    my $hits = grep { $_ eq 'HIT' } values %hits;
    cmp_ok $hits, '<', 20, "$hits of 24 are there: the oldest go";
    my ($large) = new_batch(50, 'x' x 6_000);
    is_deeply [ map { status(get("/long/$large")) } 1, 2 ], [ 'MISS', 'MISS' ], 'what is too large is read';
    is scalar @{ json(get("/long/$large"))->{jobs} }, 50, 'and answered';
    warm("/long/$ids[-1]");
};

subtest 'a reload remembers' => sub {
    warm("/ended/$ready");
    my @old = worker_pids();
    kill 'HUP', $s->pid('nginx');
    eventually('new nginx workers have started', sub { workers_are_new(@old) });
    eventually('they hit', sub { status(get("/ended/$ready")) eq 'HIT' });
};

subtest 'a failover forgets' => sub {
    my ($id) = new_batch(1);
    warm("/long/$id");
    sql('DELETE FROM await.branch; CHECKPOINT');    # as if another server were promoted
    $s->end('postgres', 'KILL');
    is status(get("/ended/$ready")), 'HIT', 'without a database what does not change is answered';
    $s->start_postgres;
    eventually('the database is back, on another branch', sub { get("/plain/$ready")->{status} == 200 });
    eventually('what was read before is read again',
        sub { json(get("/ended/$ready"))->{cursor} eq json(get("/plain/$ready"))->{cursor} });
    eventually('also of an open batch',
        sub { json(get("/long/$id"))->{cursor} eq json(get("/plain/$id"))->{cursor} });
};

finish();
