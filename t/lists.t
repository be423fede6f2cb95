# Lists of jobs: pages and their cursors, filters, whose jobs, validators, and the same from SQL.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use Test::More;
use Time::HiRes qw(sleep);

my $s = start_stack(site => <<'CONF');
await_reread 1h;
await_format brief '{"job": "@id", "is": "@state|upper"}';
server {
    listen 127.0.0.1:${PORT};
    await_owner $http_x_user;
    location = /jobs { await_submit work; await_jobs work; }
    location = /mine { await_jobs; }
    location = /brief { await_jobs format=brief; await_job_uri https://api.example/v1/$await_id; }
    location = /linked { await_jobs; await_job_uri https://api.example/v1/$await_id; }
    location = /named { await_jobs q.$arg_q; }
    location = /batches { await_batches; await_batch_uri /batches/$await_id/status; }
    location = /essays { await_batches format=brief; }
    location = /everybody/batches { await_batches all; }
    location ~ ^/batches/(?<id>[^/]+)/status$ { await_batch $id; }
    location = /everybody { await_jobs all; }
    location = /open { await_owner off; await_jobs all; }
    location = /other { await_submit other; }
    location = /events { await_jobs; await_events user:$http_x_user; }
    location ~ ^/jobs/(?<id>[^/]+)$ { await_job $id; }
}
CONF
sql(q{SELECT setval('await.eid', 1000)});    # leaves room for jobs of the past
sub as { my ($user) = @_; return ('X-User' => $user) }

sub page {
    my ($path, $user) = @_;
    my $r = get($path, as($user));
    is $r->{status}, 200, "$path of $user" or diag $r->{body};
    return json($r);
}
sub ids { my ($page) = @_; return [ map { $_->{id} } @{ $page->{jobs} // $page->{batches} } ] }

# All jobs of a list, by the Link of each page; what the pages had, one element for each.
sub pages {
    my ($path, $user, $between) = @_;
    my ($where, @pages) = $path;
    while (defined $where && @pages < 200) {
        my $r = get($where, as($user));
        my $page = json($r);
        push @pages, ids($page);
        my ($link) = (header($r, 'Link') // '') =~ /^<([^>]+)>; rel="next"$/;
        my ($cursor) = ($link // '') =~ /cursor=([\w-]+)$/;
        die "Link and next differ: $r->{head}" if ($cursor // 'none') ne ($page->{next} // 'none');
        $where = defined $link ? ($path =~ s/\?.*//r) . $link : undef;
        $between->() if $between;
    }
    return @pages;
}
sub all_of { return [ map { @$_ } pages(@_) ] }

# Jobs by SQL, quickly: their ids, the oldest first.
sub submitted {
    my ($n, $options, $queue) = @_;
    $queue //= 'work';
    sleep 0.005;    # the ids of what is submitted within 4 ms have no order
    return split /\n/, sql("SELECT await.submit('$queue', 'x', 'text/plain', '$options') FROM generate_series(1, $n)");
}

subtest 'newest first, as documents without results' => sub {
    my @ids = map { sleep 0.005; one_job('/jobs', 'x', as('doc')) } 1 .. 3;
    claim($ids[0]);
    complete($ids[0], '{"answer": 42}', type => 'application/json', name => 'a.json');
    my $page = page('/jobs', 'doc');
    is_deeply ids($page), [ reverse @ids ], 'the newest job is the first';
    is $page->{next}, undef, 'one page has them all';
    my $alone = json(get("/jobs/$ids[0]", as('doc')));
    delete $alone->{result}{value};
    is_deeply $page->{jobs}[2], $alone, 'a document is that of the job, without the value of its result';
    is_deeply page('/brief', 'doc')->{jobs}[2], { job => $ids[0], is => 'COMPLETED' }, 'format= shapes each job';
    is page('/linked', 'doc')->{jobs}[1]{links}{self}, "https://api.example/v1/$ids[1]", 'await_job_uri';
    is_deeply ids(page('/mine', 'nobody')), [], 'who has no jobs has an empty list';
};

subtest 'pages: each job once, whatever comes and goes between them' => sub {
    my @ids = submitted(7, '{"owner": "pages"}');
    is_deeply [ map { scalar @$_ } pages('/jobs?limit=3', 'pages') ], [ 3, 3, 1 ], 'pages of the asked length';
    is_deeply [ map { scalar @$_ } pages('/jobs?limit=7', 'pages') ], [7], 'a page with all that is left is the last';
    my $list = all_of('/jobs?limit=2', 'pages', sub { submitted(2, '{"owner": "pages"}') });
    is_deeply $list, [ reverse @ids ], 'jobs that come meanwhile are on no later page';
    for my $path ('/everybody?limit=2&state=pending', '/everybody?limit=2&queue=work', '/mine?limit=2&state=pending') {
        my %seen;
        $seen{$_}++ for @{ all_of($path, 'pages') };
        is_deeply [ sort grep { $seen{$_} } @ids ], [ sort @ids ], "$path has all of them";
        is_deeply [ grep { $seen{$_} > 1 } keys %seen ], [], "$path has none twice";
    }
};

subtest 'a partition that is dropped between two pages' => sub {
    my @new = submitted(3, '{"owner": "drops"}');
    my ($from, $to) = map { sql("SELECT await.floor_id('$_')") } '2020-01-01 00:00Z', '2020-01-02 00:00Z';
    sql("CREATE TABLE await.${_}_0_20200101 (LIKE await.$_ INCLUDING ALL);
         ALTER TABLE await.$_ ATTACH PARTITION await.${_}_0_20200101 FOR VALUES FROM (0, '$from') TO (0, '$to')")
        for qw(job event chunk);
    my @old = map { sql("SELECT await.floor_id('2020-01-01 12:00:00.00${_}Z')") } 0, 4, 8;
    sql("INSERT INTO await.job (class, id, queue, owner, created_at, eid, payload_size)
         SELECT 0, '$old[$_]', q.id, 'drops', '2020-01-01 12:00Z', $_ + 1, 0 FROM await.queue q WHERE q.name = 'work'")
        for 0 .. 2;
    is_deeply all_of('/jobs?limit=2', 'drops'), [ reverse(@new), reverse(@old) ], 'the old jobs are the last';
    is_deeply all_of('/everybody?limit=100&created_before=2020-02-01T00:00:00Z', 'drops'), [ reverse @old ],
        'everybody\'s jobs before a time';
    is_deeply all_of('/jobs?created_before=2020-02-01T00:00:00Z', 'drops'), [ reverse @old ], 'an owner\'s, too';
    is_deeply all_of('/jobs?created_after=2020-01-01T12:00:00Z&limit=4', 'drops'), [ reverse(@new), reverse(@old) ],
        'created_after has what was created at that time';
    is_deeply all_of('/jobs?created_after=2020-01-01T12:00:00.000001Z', 'drops'), [ reverse @new ], 'and not before';
    my $dropped;
    my $list = all_of('/jobs?limit=4', 'drops', sub { sql('SELECT await.purge()') if !$dropped++ });
    is_deeply $list, [ reverse(@new), $old[2] ], 'its jobs are gone, and the page after them is the last';
};

subtest 'filters' => sub {
    my $owner = '{"owner": "filters"}';
    my $fails = sub {
        my ($id, $retry) = @_;
        claim($id, queue => 'filters');
        sql("SELECT await.fail('$id', test.receipt('$id'), '{\"detail\": \"no\"}', $retry)");
    };
    my ($again) = submitted(1, $owner, 'filters');
    $fails->($again, "interval '1 hour'");
    my ($cancelled) = submitted(1, $owner, 'filters');
    sql("SELECT await.cancel('$cancelled')");
    my ($taken) = submitted(1, $owner, 'filters');
    claim($taken, queue => 'filters');
    my ($failed) = submitted(1, '{"owner": "filters", "max_attempts": 1}', 'filters');
    $fails->($failed, 'null');
    my ($waiting) = submitted(1, $owner, 'filters');
    my ($other) = submitted(1, $owner, 'other');
    my ($later) = submitted(1, '{"owner": "filters", "delay": "1 hour"}', 'filters');
    my %is = ($again => 'again', $cancelled => 'cancelled', $taken => 'taken', $waiting => 'waiting');
    @is{ $other, $later, $failed } = qw(other later failed);
    my $has = sub {
        my ($query, @what) = @_;
        is_deeply [ map { $is{$_} // $_ } @{ all_of("/mine?$query", 'filters') } ], \@what, $query;
    };
    $has->('state=failed', 'failed');
    $has->('state=failed,cancelled', qw(failed cancelled));
    $has->('state=cancelled,failed,expired&limit=1', qw(failed cancelled));
    $has->('state=processing', 'taken');
    $has->('state=pending', qw(later other waiting again));
    $has->('state=processing,pending&limit=2', qw(later other waiting taken again));
    $has->('state=failed,pending', qw(later other waiting failed again));
    $has->('state=completed');
    $has->('queue=other', 'other');
    $has->('queue=other&state=failed');
    $has->('queue=unknown');
    $has->('batch=01a20259-b1ac-7c07-9f5a-2b6c1d0e4a77');
    $has->('created_after=2999-01-01T00:00:00Z');
    $has->('created_before=1960-01-01T00:00:00Z');
    $has->('stat=failed&limit=100&created_after=1960-01-01T00:00:00Z&created_before=9999-01-01T00:00:00Z',
        qw(later other waiting failed taken cancelled again));
    my $at = json(get("/jobs/$waiting", as('filters')))->{created_at};
    ok scalar(grep { $_ eq $waiting } @{ all_of("/mine?created_after=$at", 'filters') }), 'a document\'s own time';
    is_deeply ids(page('/named?q=x&queue=q.x', 'filters')), [],
        'the queue of the location by name';
    is_deeply [ grep { $is{$_} } @{ all_of('/everybody?state=processing', 'x') } ], [$taken],
        'everybody\'s that a worker has';
    is_deeply [ grep { $is{$_} } @{ all_of('/everybody?state=failed', 'x') } ], [$failed], 'everybody\'s that failed';
};

subtest 'a page looks at so many jobs, and no more' => sub {
    submitted(2500, '{"owner": "many"}');
    my ($first) = submitted(1, '{"owner": "many"}', 'other');
    submitted(2500, '{"owner": "many"}');
    is_deeply [ pages('/mine?queue=other', 'many') ], [ [], [$first], [] ], 'a page may be empty and have a next one';
    is_deeply [ pages('/mine?state=completed,expired', 'many') ], [ [], [], [] ], 'as where nothing matches';
    is scalar(@{ all_of('/mine?limit=200', 'many') }), 5001, 'nothing is left out';
    my $big = '{"owner": "big", "params": {"a": "' . 'x' x 60000 . '"}}';
    my @big = submitted(30, $big);
    my @pages = pages('/mine', 'big');
    cmp_ok scalar @pages, '>', 1, 'a page of large documents ends early';
    is_deeply [ map { @$_ } @pages ], [ reverse @big ], 'and the next one goes on there';
};

# was a bug: it was empty, but had a next page, whose cursor had the id of one of the jobs
subtest 'a large batch of another owner is as one that there is not' => sub {
    my $batch = sql(q{SELECT await.create_batch('{"owner": "many"}')});
    submitted(2100, qq({"batch": "$batch"}), 'large');
    is scalar(@{ all_of("/mine?batch=$batch&limit=200", 'many') }), 2100, 'its owner gets all of its jobs';
    is get("/mine?batch=$batch", as('spy'))->{body}, '{"jobs":[],"next":null}', 'another one gets an empty last page';
};

subtest 'cursors are of one owner and one list' => sub {
    submitted(3, '{"owner": "mac"}');
    submitted(3, '{"owner": "spy"}');
    my $cursor = page('/mine?limit=1&queue=work', 'mac')->{next};
    like $cursor, qr/^[\w-]{40,60}$/, 'opaque and URL-safe';
    is scalar(@{ ids(page("/mine?queue=work&limit=200&cursor=$cursor", 'mac')) }), 2, 'the limit may be another';
    is scalar(@{ ids(page("/jobs?cursor=$cursor", 'mac')) }), 2, 'the queue may be that of the location';
    is scalar(@{ ids(page('/mine?cursor=', 'mac')) }), 3, 'an empty cursor is the first page';
    for (
        [ 'another owner', "/mine?queue=work&cursor=$cursor", 'spy' ],
        [ 'everybody', "/everybody?queue=work&cursor=$cursor", 'mac' ],
        [ 'other filters', "/mine?queue=work&state=pending&cursor=$cursor", 'mac' ],
        [ 'fewer filters', "/mine?cursor=$cursor", 'mac' ],
        [ 'some bytes more', "/mine?queue=work&cursor=${cursor}AAAA", 'mac' ],
        [ 'one byte less', '/mine?queue=work&cursor=' . substr($cursor, 1), 'mac' ],
        [ 'events', '/mine?queue=work&cursor=' . page('/mine', 'mac')->{jobs}[0]{cursor}, 'mac' ],
        [ 'nothing at all', '/mine?queue=work&cursor=%00%ff', 'mac' ],
        )
    {
        my ($name, $path, $user) = @$_;
        my $r = get($path, as($user));
        is $r->{status}, 400, "a cursor of $name is refused";
        like json($r)->{detail}, qr/^The cursor is not of this list/, 'and the problem says so';
    }
};

subtest 'wrong arguments' => sub {
    for my $wrong (
        'state=failed,', 'state=,failed', qw(limit=0 limit=201 limit=x limit=-1 limit= state= state=done state=FAILED
        queue= queue=a%20b queue=a&queue=a state=failed&STATE=failed created_after=yesterday created_before=
        created_after=2026-02-30T00:00:00Z created_after=2026-01-01T00:00:00%2B01:00 batch=x batch= cursor=x&cursor=x)
        )
    {
        my $r = get("/mine?$wrong", as('wrong'));
        is $r->{status}, 400, "$wrong is refused";
        is json($r)->{type}, '/problems/bad-request', "$wrong: by a problem";
    }
    is get('/jobs?queue=other', as('wrong'))->{status}, 400, 'a queue that is not that of the location';
    is get('/named?q=a%20b', as('wrong'))->{status}, 400, 'a name of the location that is none';
    is get('/mine', as('wrong'), Accept => 'image/png')->{status}, 406, 'there is JSON only';
};

subtest 'methods and validators' => sub {
    my ($id) = submitted(1, '{"owner": "tag"}', 'q.tag');
    my $r = get('/named?q=tag', as('tag'));
    my $etag = header($r, 'ETag');
    like $etag, qr{^W/"[0-9a-f]{16}"$}, 'a weak entity tag';
    is header($r, 'Cache-Control'), 'private, no-cache', 'may be kept, and is asked for again';
    is header($r, 'Link'), undef, 'no Link where nothing follows';
    $r = get('/named?q=tag', as('tag'), 'If-None-Match' => $etag);
    is $r->{status}, 304, 'nothing is new';
    is $r->{body}, '', 'so nothing is sent';
    is header($r, 'ETag'), $etag, 'but the tag';
    claim($id, queue => 'q.tag');
    is get('/named?q=tag', as('tag'), 'If-None-Match' => $etag)->{status}, 200, 'a job of the page has changed';
    is get('/named?q=tag', as('tag'), 'If-Match' => '"x"')->{status}, 412, 'a weak tag satisfies no If-Match';
    my $head = request('HEAD', '/named?q=tag', headers => { as('tag') });
    is $head->{status}, 200, 'HEAD';
    is header($head, 'Content-Length'), length get('/named?q=tag', as('tag'))->{body}, 'has the length of the page';
    my $options = request('OPTIONS', '/jobs', headers => { as('tag') });
    is header($options, 'Allow'), 'GET, HEAD, POST, OPTIONS', 'one location submits and lists';
    is header(del('/mine', as('tag')), 'Allow'), 'GET, HEAD, OPTIONS', 'nothing else';
    like header(request('GET', '/events', headers => { as('tag'), Accept => 'application/json' }), 'Content-Type'),
        qr/json/, 'a list beside the events of the user';
    is get('/mine', as('tag'), Origin => 'https://evil.example')->{status}, 200, 'reading is not an action';
};

subtest 'whose jobs' => sub {
    my ($anna) = submitted(1, '{"owner": "anna"}');
    my ($bert) = submitted(1, '{"owner": "bert"}');
    my ($none) = submitted(1, '{}');
    is_deeply all_of('/mine', 'anna'), [$anna], 'an owner\'s own only';
    for my $query ('state=pending', 'queue=work', 'state=pending,completed', 'created_after=2020-01-01T00:00:00Z') {
        is_deeply all_of("/mine?$query", 'anna'), [$anna], "with $query, too";
    }
    my %all = map { $_ => 1 } @{ all_of('/open?limit=200', 'anna') };
    is_deeply [ grep { !$all{$_} } $anna, $bert, $none ], [], '"all" has everybody\'s, and those of nobody';
    is get('/mine')->{status}, 403, 'who is nobody has no list';
    is get('/everybody')->{status}, 403, 'nor that of all, where an owner is demanded';
    sql(q{SELECT await.publish('topic', 'x', '{}')});
    is_deeply [ grep { /^ffffffff/ } @{ all_of('/open?limit=200', 'anna') } ], [], 'topics are no jobs';
    for my $path ('/mine?limit=200', '/mine?state=failed', '/mine?state=processing', '/mine?state=pending',
        '/mine?state=cancelled,pending') {
        my %owners = map { $_ => 1 } split /\n/,
            sql('SELECT DISTINCT owner FROM await.job WHERE id = ANY (\'{'
                . join(',', @{ all_of($path, 'filters') })
                . '}\')');
        is_deeply \%owners, { filters => 1 }, "$path has this owner's only";
    }
};

subtest 'batches, and the jobs of one' => sub {
    my $create = sub { my ($options) = @_; sleep 0.005; return sql("SELECT await.create_batch('$options')") };
    my @batches = map { $create->('{"owner": "set", "phases": ["one", "two"]}') } 1 .. 3;
    my $foreign = $create->('{"owner": "other"}');
    my @jobs = map { submitted(1, qq({"batch": "$batches[1]", "phase": "$_"}), 'set') } qw(one one two);
    my $list = page('/batches', 'set');
    is_deeply ids($list), [ reverse @batches ], 'the owner\'s batches, newest first';
    is $list->{next}, undef, 'on one page';
    my $full = json(get("/batches/$batches[1]/status", as('set')));
    delete @$full{qw(jobs next)};
    is_deeply $list->{batches}[1], $full, 'each as its document, without its jobs';
    is $list->{batches}[1]{totals}{pending}, 3, 'with its totals';
    is $list->{batches}[1]{links}{self}, "/batches/$batches[1]/status", 'await_batch_uri';
    is page('/essays', 'set')->{batches}[0]{job}, $batches[2], 'format= shapes each batch';
    is_deeply all_of('/batches?limit=1', 'set'), [ reverse @batches ], 'page by page';
    my ($of_all) = [ grep { $_ eq $foreign } @{ all_of('/everybody/batches', 'set') } ];
    is_deeply $of_all, [$foreign], '"all" has everybody\'s';
    is_deeply all_of("/mine?batch=$batches[1]", 'set'), [ reverse @jobs ], 'the jobs of a batch';
    is_deeply all_of("/mine?batch=$batches[1]&limit=1&state=pending", 'set'), [ reverse @jobs ], 'with filters, too';
    is_deeply all_of("/mine?batch=$batches[1]", 'other'), [], 'another owner gets none of them';
    is_deeply all_of('/mine?queue=set', 'set'), [ reverse @jobs ], 'batches are no jobs';
    is_deeply all_of('/mine?queue=.batch', 'set'), [], 'by no name';
    claim($jobs[0], queue => 'set');
    complete($_, 'x') for @jobs;
    is_deeply all_of('/batches?state=completed', 'set'), [ $batches[1] ], 'one is ready';
    is_deeply page('/batches?state=completed', 'set')->{batches}[0]{totals}{completed}, 3, 'and says so';
    sql("SELECT await.cancel('$batches[0]')");
    is_deeply all_of('/batches?state=pending,cancelled', 'set'), [ @batches[ 2, 0 ] ], 'by states';
    is_deeply all_of('/batches?created_after=2999-01-01T00:00:00Z', 'set'), [], 'by time';
    my $cursor = page('/batches?limit=1', 'set')->{next};
    is get("/mine?cursor=$cursor", as('set'))->{status}, 400, 'a cursor of batches is of no use for jobs';
    is get("/batches?cursor=$cursor", as('spy'))->{status}, 400, 'nor for another owner';
    is get('/batches')->{status}, 403, 'who is nobody has no batches';
};

subtest 'from SQL' => sub {
    my ($one, $two, $three) = submitted(3, '{"owner": "sql"}');
    my $list = sub {
        my ($options) = @_;
        return sql("SELECT (SELECT string_agg(j ->> 'id', ' ' ORDER BY n)
                            FROM jsonb_array_elements(jobs) WITH ORDINALITY a (j, n)), next
                    FROM await.list('$options')");
    };
    my ($ids, $next) = split /\|/, $list->('{"owner": "sql", "limit": 2}');
    is $ids, "$three $two", 'the newest first';
    is $list->(qq({"owner": "sql", "limit": 2, "cursor": "$next"})), "$one|", 'the rest, and no next page';
    is $list->('{"owner": "sql", "state": ["failed", "expired"], "queue": "work"}'), '|', 'filters';
    is sql(qq(SELECT jobs #>> '{0,state}' FROM await.list('{"owner": "sql", "limit": 1, "state": "pending"}'))),
        'pending', 'documents';
    for my $wrong ('[]', '{"limit": 201}', '{"state": "done"}', '{"state": []}', '{"cursor": "x"}', '{"colour": "red"}',
        '{"created_after": "soon"}', '{"batch": "x"}') {
        my (undef, $error) = $s->psql("SELECT await.list('$wrong')");
        like $error // 'it was taken', qr/ERROR/, "$wrong is refused";
    }
    my $login = sub {
        my ($role, $member) = @_;
        sql("CREATE ROLE $role LOGIN PASSWORD '$role'; GRANT $member TO $role");
        return Await::Session->new("host=127.0.0.1 port=$s->{pg_port} dbname=await user=$role password=$role");
    };
    my $console = $login->('viewer', 'await_console');
    my $worker = $login->('limited', 'await_worker');
    my $edge = $login->('edge2', 'await_edge');
    sql("INSERT INTO await.queue_grant (role, queue) VALUES ('limited', 'other')");
    is $console->run(q{SELECT jsonb_array_length(jobs) FROM await.list('{"owner": "sql"}')}), 3, 'a console sees all';
    is $worker->run(q{SELECT jsonb_array_length(jobs) FROM await.list('{"owner": "filters", "queue": "other"}')}), 1,
        'a worker that is limited to a queue lists that queue';
    like $worker->run(q{SELECT await.list('{"queue": "work"}')}), qr/may not list the jobs of queue/, 'and no other';
    like $worker->run('SELECT await.list()'), qr/may not list the jobs of all queues/, 'and not all';
    like $edge->run('SELECT await.list()'), qr/permission denied/, 'an edge calls what is for edges';
    like $edge->run(q{SELECT await.list_page('x', null, null, null, null, null, null, null, 1, false)}),
        qr/permission denied/,
        'and nothing of the inside';
};
finish();
