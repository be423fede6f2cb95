# What clients and other logins could use up or hold: queues that they name ran out for good, and each lane that ever
# was cost every claim; topics were for ever; a number of eight bytes was 130,000 digits when written out; and advisory
# locks, which any login may take, stopped leases, purge and migrate.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Database;
use Await::Test;
use Test::More;
use Time::HiRes qw(sleep time);

my $s = start_stack(extra => <<'CONF');
    location ~ ^/named/(?<q>.+)$ { await_submit $q; }
    location ~ ^/form/(?<q>.+)$ { await_submit $q file=image; }
    location ~ ^/topic/(?<t>.+)$ { await_publish $t; await_events topic:$t; }
    location ~ ^/latest/(?<t>.+)$ { await_publish $t latest; await_events topic:$t; }
CONF

sub publish { my ($path, $json) = @_; return post($path, $json, 'Content-Type' => 'application/json') }
sub stream {
    my ($path, %headers) = @_;
    return begin_request('GET', $path, headers => { Accept => 'text/event-stream', %headers });
}

subtest 'unknown queues past the limit are refused, alone; what a configuration names is made' => sub {
    sql("UPDATE await.limits SET queues = (SELECT count(*) FROM await.queue WHERE NOT named) + 3");
    is post("/named/first.$_", 'x')->{status}, 202, "first.$_" for 1 .. 3;
    # with neighbours, who are in the same batch or not
    my @good = map { begin_request('POST', '/jobs', body => "g$_") } 1 .. 20;
    my @bad = map { begin_request('POST', "/named/more.$_", body => 'x') } 1 .. 20;
    push @good, map { begin_request('POST', '/named/first.1', body => "f$_") } 1 .. 20;
    is_deeply [ map { $_->response->{status} } @good ], [ (202) x 40 ], 'neighbours are stored';
    my @refused = map { $_->response } @bad;
    is_deeply [ map { $_->{status} } @refused ], [ (503) x 20 ], 'submissions to unknown queues are refused';
    like header($refused[0], 'Retry-After'), qr/^\d+$/, 'they say when to come back';
    unlike $refused[0]{body}, qr/await\.limits|more\.1'/, 'what PostgreSQL says is in the log';
    like error_log(), qr/answering 503: PostgreSQL 53400: queue \S+ is not created: there are as many queues/,
        'the log has what PostgreSQL says';
    refused 'by SQL too', "SELECT await.submit('more.99', 'x')", qr/as many queues/;
    is sql("SELECT now_ms > 0, unmade IS NULL FROM await.edge_hello(ARRAY['literal', 'work'], ARRAY[0, 7]::int2[])"),
        't|t', 'literal ones are made';
    like sql("SELECT unmade FROM await.edge_hello(ARRAY['bad name', 'fine'], ARRAY[0, 0]::int2[])"), qr/^bad name: /,
        'and the greeting answers whatever cannot be';
    is sql("SELECT string_agg(name, ' ' ORDER BY name) FROM await.queue WHERE named
        AND name IN ('literal', 'work', 'fine', '.topic')"), 'fine literal work',
        'the queues of the configuration are named, no topic\'s';
    is sql("SELECT count(*) FROM await.queue WHERE name LIKE 'more.%'"), 0, 'no refused queue was made';
};

subtest 'numbers do not run out' => sub {
    sql("UPDATE await.limits SET queues = 100000");
    sql("SELECT setval('await.queue_id_seq', 2000000000)");
    my $id = sql("SELECT await.submit('wide', 'x', 'text/plain', '{\"priority\": -100}')");
    is sql("SELECT id > 32767 FROM await.queue WHERE name = 'wide'"), 't', 'the queue\'s number is beyond 16 bits';
    is sql("SELECT id FROM await.claim(ARRAY['wide'], 'w', 5)"), $id, 'a job in it is claimed';
    sql("SELECT setval('await.queue_id_seq', 2147483647)");
    ok sql("SELECT await.submit('around', 'x')"), 'behind the last one the first free one';
    ok sql("SELECT id FROM await.claim(ARRAY['around'], 'w', 5)"), 'a job in it is claimed';
};

subtest 'thirty thousand lanes cost who claims from one nothing' => sub {
    sql(
        "INSERT INTO await.queue (name) SELECT 'lane.' || n FROM generate_series(1, 30000) n;
         INSERT INTO await.lane_in_use SELECT await.lane(id, 0::int2) FROM await.queue WHERE name LIKE 'lane.%';
         ANALYZE await.queue; ANALYZE await.lane_in_use"
    );
    cmp_ok timed('await.advance_horizon()'), '<', 10, 'advance_horizon';
    cmp_ok timed("count(*) FROM await.claim(ARRAY['lane.77'], 'w', 1)"), '<', 10, 'a claim';
    ok until_true('they go', sub { purge(); sql('SELECT count(*) FROM await.lane_in_use') < 1000 }),
        'and they go: nothing was ever kept in them';
};

subtest 'the mark follows who claims, past what is dead' => sub {
    sql("SELECT count(await.submit('mark', 'x')) FROM generate_series(1, 50)");
    sql("SELECT count(*) FROM await.claim(ARRAY['mark'], 'w', 50)");
    my $mark = sub { sql("SELECT coalesce(max(m.pos), 0) FROM await.low_water m
        WHERE m.lane >> 8 = (SELECT id FROM await.queue WHERE name = 'mark')") };
    eventually(
        'the mark comes near the newest position',
        sub {
            sql("SELECT count(*) FROM await.claim(ARRAY['mark'], 'w', 1)");
            $mark->() >= sql('SELECT last_value FROM await.pos') - 1;
        });
    my $held = background("BEGIN; SELECT await.submit('mark', 'slow'); SELECT pg_advisory_lock(77), pg_sleep(60)");
    eventually('a submission is under way',
        sub { sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND granted") });
    my $horizon = sql("SELECT await.advance_horizon(); SELECT last_value FROM await.horizon");
    sql("SELECT count(await.submit('mark', 'x')) FROM generate_series(1, 50); SELECT await.advance_horizon()");
    is sql('SELECT last_value FROM await.horizon'), $horizon =~ s/\A\n//r, 'the horizon waits for it';
    end($held);
};

subtest 'unused queues and lanes go; what is used, configured or kept stays' => sub {
    sql("SELECT await.submit(q, 'x', 'text/plain', o::jsonb)
        FROM (VALUES ('gone', '{}'), ('waits', '{}'), ('kept', '{\"retain\": \"keep\"}'), ('set', '{}'),
        ('fresh', '{}')) v (q, o)");
    sql("SELECT count(*) FROM await.claim(ARRAY['gone', 'kept', 'set', 'fresh'], 'w', 10);
        UPDATE await.queue SET max_attempts = 9 WHERE name = 'set'");
    my $there = sub { sql("SELECT string_agg(name, ' ' ORDER BY name) FROM await.queue
        WHERE name IN ('gone', 'waits', 'kept', 'set', 'fresh')") };
    purge();
    is $there->(), 'fresh gone kept set waits', 'jobs of them are kept';
    # the days have passed, and with them the jobs
    sql("UPDATE await.queue_used SET day = day - 30
        WHERE queue IN (SELECT id FROM await.queue WHERE name IN ('gone', 'kept', 'set'))");
    sql("UPDATE await.queue_used SET day = day - 3 WHERE queue IN (SELECT id FROM await.queue WHERE name = 'waits')");
    ok until_true('it goes', sub { purge(); $there->() eq 'fresh kept set waits' }), 'what nothing is kept of goes';
    is sql("SELECT string_agg(q.name, ' ' ORDER BY q.name) FROM await.lane_in_use l
        JOIN await.queue q ON q.id = l.lane >> 8 WHERE q.name IN ('gone', 'waits', 'kept', 'set', 'fresh')"),
        'fresh waits', 'a lane stays where something waits in it, or it was used of late';
    my $again = sql("SELECT await.submit('gone', 'x')");
    is sql("SELECT id FROM await.claim(ARRAY['gone'], 'w', 5)"), $again, 'a queue that went is made anew';
    $again = sql("SELECT await.submit('set', 'x')");
    is sql("SELECT id FROM await.claim(ARRAY['set'], 'w', 5)"), $again, 'and so is a lane';
};

subtest 'what was to wait longer than its queue is kept leaves nothing' => sub {
    sql("SELECT await.submit('later', 'x', 'text/plain', '{\"delay\": \"90 days\"}')");
    my $queue = sql("SELECT id FROM await.queue WHERE name = 'later'");
    sql("UPDATE await.queue_used SET day = day - 400 WHERE queue = $queue");
    eventually('the queue goes', sub { purge(); sql("SELECT count(*) FROM await.queue WHERE name = 'later'") == 0 });
    sql("UPDATE await.delayed SET due = clock_timestamp() WHERE lane >> 8 = $queue; SELECT await.reap()");
    is sql("SELECT (SELECT count(*) FROM await.delayed WHERE lane >> 8 = $queue),
        (SELECT count(*) FROM await.ready WHERE lane >> 8 = $queue),
        (SELECT count(*) FROM await.lane_in_use WHERE lane >> 8 = $queue)"), '0|0|0', 'nothing of its lanes is left';
    sql(
        "INSERT INTO await.lane_in_use VALUES (await.lane($queue, 0::int2));
        INSERT INTO await.ready (lane, pos, job, attempt) VALUES (await.lane($queue, 0::int2), 1, gen_random_uuid(), 1)"
    );
    ok until_true(
        'a lane without a queue',
        sub {
            purge();
            sql("SELECT (SELECT count(*) FROM await.ready
        WHERE lane >> 8 = $queue) + (SELECT count(*) FROM await.lane_in_use WHERE lane >> 8 = $queue)") == 0;
        }
        ),
        'goes as well';
};

subtest 'a purge is quick and does last what others wait for' => sub {
    is sql("SELECT string_agg(p.oid::regprocedure::text, ' ') FROM pg_proc p
        WHERE p.pronamespace = 'await'::regnamespace AND 'enable_seqscan=off' = ANY (p.proconfig)
        AND NOT 'jit=off' = ANY (p.proconfig)"),
        '', 'where plans count as dear none is compiled';
    sql("SELECT count(await.publish('idle.' || n, 'update', '1')) FROM generate_series(1, 600) n;
        UPDATE await.event_topic SET at = at - interval '8 days'
        WHERE job IN (SELECT await.topic_id('idle.' || n) FROM generate_series(1, 600) n)");
    sql("SELECT await.submit('short', 'x'); UPDATE await.queue_used SET day = day - 400
        WHERE queue = (SELECT id FROM await.queue WHERE name = 'short')");
    old_partition('2020-01-02', '2020-01-03');
    my $began = time;
    my $said = '';
    eventually('the purge drops both the queues and the partition',
        sub { $said .= purge(); $said =~ /dropped \d+ queues/ && $said =~ /dropped job_0_20200102/ });
    cmp_ok time - $began, '<', 18, 'soon';
    like $said, qr/dropped \d+ topics.*dropped job_0_20200102.*dropped \d+ queues/s,
        'topics first, then the partition, then queues';
    is purger(), 'nginx-await-bulk', 'nginx does it where no submission waits behind';
};

subtest 'a submission never lands where nobody reads, however they meet' => sub {
    my @writers = map { background(<<'SQL') } 1 .. 3;
DO $$ BEGIN
    FOR i IN 1 .. 10000000 LOOP
        PERFORM await.submit('race.' || (i % 3), 'x');
        COMMIT;
        EXIT WHEN to_regclass('public.enough') IS NOT NULL;
    END LOOP;
END $$
SQL
    my $gone = 0;
    ok until_true('they have gone some times', sub {
        # every queue looks as if it had had no job for years; to purge alone, so that nobody notes another day
        # meanwhile
        $gone++ if sql(
            "BEGIN; UPDATE await.queue_used SET day = day - 400
            WHERE queue IN (SELECT id FROM await.queue WHERE name LIKE 'race.%'); SELECT await.purge_queues(); COMMIT"
        ) =~ /dropped \d+ queues/;
        return $gone >= 3;
    }, 60), 'while they are used the queues go';
    sql('CREATE TABLE public.enough ()');
    waitpid $_, 0 for @writers;
    # what was removed with its queue were jobs that count as gone; whatever is ready now is in a lane that is read
    is sql("SELECT count(*) FROM await.ready r WHERE NOT EXISTS (SELECT FROM await.lane_in_use l WHERE l.lane = r.lane)
        OR NOT EXISTS (SELECT FROM await.queue q WHERE q.id = r.lane >> 8)"), 0, 'nothing is ready where nobody reads';
    my $ready =
        sql("SELECT count(*) FROM await.ready r JOIN await.queue q ON q.id = r.lane >> 8 WHERE q.name LIKE 'race.%'");
    is sql("SELECT count(*) FROM await.claim(ARRAY['race.0', 'race.1', 'race.2'], 'w', 1000)"),
        $ready > 1000 ? 1000 : $ready, 'all of it can be claimed';
};

subtest 'topics: a limit, an end, and a cursor of before is told' => sub {
    ok publish('/topic/old.one', "$_")->{status} == 200, "event $_" for 1 .. 3;
    my $first = json(publish('/topic/old.one', '4'))->{cursor};
    my $cursor = json(publish('/topic/old.one', '4'))->{cursor};
    publish('/topic/live.one', '1');
    sql("UPDATE await.event_topic SET at = at - interval '8 days' WHERE job = await.topic_id('old.one')");
    purge();
    is sql("SELECT count(*) FROM await.job_topic WHERE owner LIKE '%.one'"), 1, 'one with events stays';
    is sql("SELECT count(*) FROM await.event_topic WHERE job = await.topic_id('old.one')"), 0,
        'events of the other are gone';
    my $waiting = stream('/topic/old.one');
    ok $waiting->wait_event('ready'), 'it can be watched all the same';
    my $new = json(publish('/topic/old.one', '5'))->{cursor};
    publish('/topic/old.one', '6');
    for my $old ($first, $cursor) {
        my $stream = stream('/topic/old.one', 'Last-Event-ID' => $old);
        ok $stream->wait_event('reset'), 'a cursor of before gets a reset';
        ok $stream->wait_event('update'), 'then its events';
        is $stream->events->[-1]{data} =~ /"data":(\d)/ && $1, 6, 'and the latest';
    }
    ok $waiting->read_until(sub { $_[0] =~ /"data":6/ }), 'who waited gets the sixth';
    is_deeply [ map { $_->{event} . ($_->{data} =~ /"data":(\d)/ ? $1 : '') } @{ $waiting->events } ],
        [ 'ready', 'update5', 'update6' ], 'who waited misses nothing';
    my $on = stream('/topic/old.one', 'Last-Event-ID' => $new);
    ok $on->wait_event('update'), 'then its events';
    is_deeply [ map { $_->{event} } @{ $on->events } ], [ 'ready', 'update' ], 'a new one goes on';

    sql("UPDATE await.limits SET topics = (SELECT count(*) FROM await.job_topic) + 1");
    is publish('/topic/room.1', '1')->{status}, 200, 'a topic below the limit is made';
    my $r = publish('/topic/room.2', '1');
    is $r->{status}, 503, 'a topic past the limit is refused';
    ok header($r, 'Retry-After'), 'it says when to come back';
    is publish('/topic/room.1', '2')->{status}, 200, 'those that are there go on';
    sql("UPDATE await.limits SET topics = 100000");
};

subtest 'who publishes to a topic that a transaction holds may come again' => sub {
    my $sql = "BEGIN; SELECT await.publish('held.one', 'n', '1'); SELECT pg_advisory_lock(88), pg_sleep(120)";
    my $held = background($sql, $s->postgres('worker'));
    eventually('the transaction is open',
        sub { sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 88 AND granted") });
    # was a bug: 409, as if the client had done something about which there can be a conflict
    my $r = publish('/topic/held.one', '2');
    ok $r->{status} == 503 && header($r, 'Retry-After'), 'it passes, so it is 503 with Retry-After';
    is publish('/topic/free.one', '1')->{status}, 200, 'others are not held up';
    end($held);
    is publish('/topic/held.one', '2')->{status}, 200, 'after its end it is published';
};

subtest 'who publishes while a topic is purged publishes' => sub {
    my $end = time + 3;
    my @writers = map { background(<<"SQL") } 1 .. 2;
DO \$\$ BEGIN
    LOOP
        PERFORM await.publish('busy', 'update', '1');
        UPDATE await.event_topic SET at = at - interval '8 days' WHERE job = await.topic_id('busy');
        COMMIT;
        EXIT WHEN clock_timestamp() > to_timestamp($end);
    END LOOP;
END \$\$
SQL
    my ($gone, $highest, $repeats) = (0, 0, 0);
    while (time < $end || (!$gone && time < $end + 10)) {
        my $said = sql("SELECT string_agg(p, ' ') FROM await.purge_topics(5000) p");
        $gone++ if $said =~ /dropped/;
        my $seq = sql("SELECT coalesce(max(seq), 0) FROM await.event_topic WHERE job = await.topic_id('busy')");
        $repeats++ if $seq && $seq < $highest;
        $highest = $seq if $seq > $highest;
    }
    waitpid $_, 0 for @writers;
    cmp_ok $gone, '>', 0, "it went $gone times";
    is $repeats, 0, 'its numbers never begin again';
    cmp_ok sql("SELECT await.publish('busy', 'update', '2')"), '>', $highest,
        'the next number is beyond all that were given';
};

subtest 'numbers that are long only when written out' => sub {
    my $id = sql("SELECT await.submit('json', 'x')");
    my $receipt = sql("SELECT receipt FROM await.claim(ARRAY['json'], 'w', 1)");
    sql("CREATE FUNCTION public.tried(q text) RETURNS text LANGUAGE plpgsql AS \$\$ BEGIN EXECUTE q;
        RETURN 'it was taken'; EXCEPTION WHEN OTHERS THEN RETURN sqlerrm; END \$\$");
    my %ways = (
        emit => "SELECT await.emit('$id', '$receipt', 'n', 'BAD')",
        progress => "SELECT await.heartbeat('$id', '$receipt', 'BAD')",
        fail => "SELECT await.fail('$id', '$receipt', 'BAD')",
        publish => "SELECT await.publish('json', 'n', 'BAD')",
        params => "SELECT await.submit('json', 'x', 'text/plain', '{\"params\": BAD}')",
        'an edge\'s params' => "SELECT await.edge_submit(ARRAY[await.new_id()], ARRAY['json'], ARRAY[0]::int2[],
            ARRAY[null], ARRAY[null], ARRAY[null], ARRAY['a/b'], ARRAY[null], ARRAY['BAD'], ARRAY['x'::bytea], ARRAY[1],
            ARRAY[null]::int8[], ARRAY[null]::int2[], ARRAY[null]::int8[], ARRAY[null]::int8[])",
    );
    for my $bad ('1e130000', '-1e130000', '[1e130000]', '{"a": [[{"b": 1e131000}]]}', '1e-16000', '0e-16000', '[1e400]',
        '9' x 401, '1e-399', '{"x": [0.5, ' . join(', ', ('1e130000') x 4000) . ']}') {
        my @ways = sort keys %ways;
        my @said = split /\n/,
            sql(  'SELECT public.tried(q) FROM unnest(ARRAY['
                . join(', ', map { '$q$' . $ways{$_} =~ s/BAD/$bad/r . '$q$' } @ways)
                . ']) WITH ORDINALITY v (q, n) ORDER BY n');
        like $said[$_], qr/^.{0,60}(?:number of more than 400|48 KB|64 KB).{0,60}$/, "$ways[$_]: " . substr $bad, 0, 30
            for 0 .. $#ways;
    }
    for my $option (qw(priority max_attempts delay owner lease)) {
        refused "option $option", "SELECT await.submit('json', 'x', 'text/plain', '{\"$option\": 1e130000}')",
            qr/number of more than 400/;
    }
    refused 'large params',
        "SELECT await.submit('json', 'x', 'text/plain', jsonb_build_object('params', repeat('x', 66000)))", qr/64 KB/;
    refused 'a long option',
        "SELECT await.submit('json', 'x', 'text/plain', jsonb_build_object('owner', repeat('x', 66000)))",
        qr/option owner has at most/;
    refused 'no object', "SELECT await.submit('json', 'x', 'text/plain', '[1]')", qr/JSON object/;
    refused 'no name', "SELECT await.submit(null, 'x')", qr/queue's name/;
    ok sql("SELECT await.submit('json', null, null, null)"), 'NULL is the default';
    for my $good (
        '1e308', '-1e300', '1e-300', '0.' . '1' x 390,
        '9' x 400, '[1, 2.50, 1e15, -0.001]',
        'null', '"1e130000"'
        )
    {
        like sql("SELECT await.emit('$id', '$receipt', 'n', '$good')"), qr/^\d+$/, 'emit ' . substr $good, 0, 30;
    }
    is publish('/topic/numbers', '[1e130000]')->{status}, 400, 'by HTTP';
    my $began = time;
    my $other = begin_request('POST', '/jobs', body => 'x');
    is publish('/topic/numbers', '[' . join(',', ('1e130000') x 5000) . ']')->{status}, 400,
        'a long body of such numbers is refused';
    is $other->response->{status}, 202, 'another request is served meanwhile';
    cmp_ok time - $began, '<', 15, 'and nobody waits for it';
};

subtest 'locks that any login may take stop nothing' => sub {
    sql("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN PASSWORD 'x'");
    my $conninfo = $s->postgres =~ s/user=\S+/user=stranger/r =~ s/password=\S+/password=x/r;
    my $id = sql("SELECT await.submit('stopped', 'x')");
    my ($gave) = sql("SELECT receipt FROM await.claim(ARRAY['stopped'], 'w', 1, '1 s')");
    my $last = sql('SELECT last_value FROM await.pos');   # pg_locks shows it to everybody
    # each number that was ever used, shared and not; the positions that come next; and whatever of ours it can name
    my $held = background([
        'BEGIN',
        "SELECT pg_advisory_lock(x'4157'::int, n), pg_advisory_xact_lock_shared(x'4157'::int, n)
            FROM generate_series(0, 9) n",
        "SELECT pg_advisory_lock((x'4157'::bigint << 48) | n) FROM generate_series($last - 50, $last + 1500) n",
        'SAVEPOINT a',
        'PREPARE p AS INSERT INTO await.ready DEFAULT VALUES',
        'ROLLBACK TO a',
        'PREPARE q AS SELECT FROM await.schema_history',
        'ROLLBACK TO a',
        'SELECT pg_advisory_lock(88), pg_sleep(120)',
    ], $conninfo);
    ok until_true('it holds them',
        sub { sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 88 AND granted") }),
        'a login without a right';
    refused 'it can name nothing', "SET ROLE stranger; PREPARE p AS INSERT INTO await.ready DEFAULT VALUES",
        qr/permission denied for schema await/;
    my $began = time;
    is post('/jobs', 'x')->{status}, 202, 'a submission';
    is_deeply [ map { $_->response->{status} }
        map { begin_request('POST', "/named/stopped.$_", body => 'x') } 1 .. 20 ], [ (202) x 20 ],
        'to new queues, too';
    cmp_ok time - $began, '<', 10, 'long before the locks are given back, after 120 s';
    ok until_true('given again', sub { sql("SELECT count(*) FROM await.claim(ARRAY['stopped'], 'w', 1)") }),
        'leases run out';
    is sql("SELECT string_agg(type, ' ' ORDER BY seq) FROM await.event WHERE job = '$id'"),
        'processing pending processing', 'the lease ran out and the job was given again';
    sql("SELECT count(await.submit('stopped', 'x')) FROM generate_series(1, 200);
        SELECT count(*) FROM await.claim(ARRAY['stopped'], 'w', 200)");
    ok until_true('the horizon',
        sub { sql("SELECT await.advance_horizon(); SELECT last_value FROM await.horizon") =~ /(\d+)/ && $1 > 150 }),
        'marks go on';
    my ($part) = sql("SELECT relname FROM pg_class WHERE relname ~ '^job_0_[0-9]+\$' AND relkind = 'r'
        ORDER BY relname DESC LIMIT 1");
    sql("DROP TABLE await.$part");
    ok until_true(
        'made', sub { sql('SELECT await.purge()'); sql("SELECT to_regclass('await.$part') IS NOT NULL") eq 't' }
        ),
        'purge makes partitions';
    my $migrate = fork // die;
    if (!$migrate) { open STDOUT, '>', '/dev/null'; exec "$FindBin::Bin/../tools/await-ctl", 'migrate', $s->postgres }
    ok until_true('migrate ends', sub { waitpid($migrate, 1) == $migrate }, 30), 'migrate goes on';
    end($held);
};

subtest 'announcements that are not to be believed cost claims little' => sub {
    my $held = background([
            "SELECT pg_advisory_lock_shared((x'4157'::bigint << 48) | n) FROM generate_series(1, 4000) n",
            'SELECT pg_advisory_lock(89), pg_sleep(120)'
        ],
        $s->postgres =~ s/user=\S+/user=stranger/r =~ s/password=\S+/password=x/r
    );
    eventually('the stranger holds the locks',
        sub { sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 89 AND granted") });
    cmp_ok timed("setval('await.last_advance', 0), count(*) FROM await.claim(ARRAY['stopped'], 'w', 1)"), '<', 200,
        'a claim';
    is sql("BEGIN; SELECT 1 FROM await.submit('stopped', 'x'); SELECT await.advance_horizon();
        SELECT last_value > 4000 OR last_value = (SELECT last_value - 1 FROM await.pos) FROM await.horizon; ROLLBACK"),
        "1\n\nt",
        'nor do they move the horizon';
    end($held);
};

subtest 'a transaction that makes a queue and does not end stops that queue alone' => sub {
    my $held = background(["BEGIN; SELECT await.submit('held.new', 'x'); SELECT pg_advisory_lock(87), pg_sleep(120)"],
        $s->postgres('worker'));
    eventually('the transaction is open',
        sub { sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 87 AND granted") });
    my $began = time;
    my (@held, @other);
    for my $n (1 .. 30) {
        push @held, map { begin_request('POST', '/named/held.new', body => 'x') } 1 .. 5;
        push @other, begin_request('POST', $n % 2 ? '/jobs' : "/named/other.$n", body => 'x');
    }
    is_deeply [ map { $_->response->{status} } @other ], [ (202) x 30 ], 'others are stored';
    cmp_ok time - $began, '<', 8, 'before a statement is given up, after 10 s';
    my @answers = map { $_->response } @held;
    is_deeply [ map { $_->{status} } @answers ], [ (409) x 150 ], 'its own are refused';
    ok header($answers[0], 'Retry-After'), 'and may come again';
    cmp_ok time - $began, '<', 15, 'together: each for itself waits 200 ms';
    end($held);
    is post('/named/held.new', 'x')->{status}, 202, 'after its end they are stored';
};

subtest 'a worker that stays in its transaction, after a purge too, stops nobody else' => sub {
    my @ids = map { sql("SELECT await.submit('clock', 'x')") } 1 .. 3;
    sql("SELECT count(*) FROM await.claim(ARRAY['clock'], 'w', 3);
        UPDATE await.lease SET until = clock_timestamp() - interval '1 min' WHERE job = '$ids[0]'");
    # something for a purge to remove: it would lock what everybody needs
    sql("SELECT await.submit('idle', 'x'); UPDATE await.queue_used SET day = day - 400
        WHERE queue = (SELECT id FROM await.queue WHERE name = 'idle')");
    old_partition('2020-01-01', '2020-01-02');
    sql("SELECT setval('await.last_maintenance', 0), setval('await.last_advance', 0)");
    my $held = background("BEGIN; SELECT await.run_maintenance(1), count(*) FROM await.claim(ARRAY['nothing'], 'w', 1);
        SELECT count(*) FROM await.purge(); SELECT pg_advisory_lock(99), pg_sleep(120)", $s->postgres('worker'));
    eventually('the transaction is open',
        sub { sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 99 AND granted") });
    sql("UPDATE await.lease SET until = clock_timestamp() - interval '1 min' WHERE job = '$ids[1]'");
    my $now = sub {
        my ($sql) = @_;
        return (split /\n/, sql("SET statement_timeout = '60s'; $sql"))[-1];
    };    # rather than to wait for its end
    ok until_true(
        'the others\' leases run out',
        sub {
            $now->("SELECT await.run_maintenance(1)");
            sql("SELECT count(*) FROM await.lease WHERE job = '$ids[1]'") == 0;
        }
        ),
        'though what it holds comes first';
    ok $now->("SELECT await.submit('clock', 'x')"), 'one may submit';
    is $now->("SELECT count(*) > 0 FROM await.claim(ARRAY['clock'], 'w', 10)"), 't', 'and claim';
    sql("UPDATE await.retention SET ahead = ahead + interval '3 days' WHERE class = 0");
    like $now->("SELECT string_agg(p, ' ') FROM await.purge() p"),
        qr/^made job_0_\d+ made event_0_\d+ made chunk_0_\d+ made job_0_/, 'partitions are made';
    end($held);
    purge();                                 # nginx's own may have come before
    is sql(
        "SELECT to_regclass('await.job_0_20200101') IS NULL, NOT EXISTS (SELECT FROM await.queue WHERE name = 'idle')"),
        't|t', 'and what is old or unused goes';
};

subtest 'a clock that was set back stops nothing' => sub {
    my $id = sql("SELECT await.submit('back', 'x')");
    sql("SELECT count(*) FROM await.claim(ARRAY['back'], 'w', 1);
        UPDATE await.lease SET until = clock_timestamp() - interval '1 min' WHERE job = '$id'");
    sql("SELECT setval('await.last_maintenance', 9000000000), setval('await.last_advance', 900000000000)");
    eventually('the lease is reaped',
        sub { sql('SELECT await.run_maintenance()'); sql("SELECT count(*) FROM await.lease WHERE job = '$id'") == 0 });
};

subtest 'uploads that were cut off go, of every class, however long ago' => sub {
    sql('DELETE FROM await.swept');          # nobody has looked for long
    # an id of some time ago, of each class, in a partition of that time
    sql(<<'SQL');
DO $$
DECLARE
    k int2; at timestamptz := now() - interval '40 days'; id uuid; whose uuid; low uuid; high uuid;
BEGIN
    FOREACH k IN ARRAY ARRAY[2, 3]::int2[] LOOP
        low := await.floor_id(at - interval '1 hour'); high := await.floor_id(at + interval '1 hour');
        BEGIN
            EXECUTE format('CREATE TABLE await.chunk_old_%s PARTITION OF await.chunk
                FOR VALUES FROM (%s, %L) TO (%s, %L)', k, k, low, k, high);
        EXCEPTION WHEN invalid_object_definition THEN NULL; -- there is one of that time
        END;
        id := overlay(await.floor_id(at)::text PLACING '7000-8000-0000000000' || lpad(k::text, 2, '0') FROM 15)::uuid;
        INSERT INTO await.chunk VALUES (k, id, 'p', 0, 0, 0, 'cut off');
    END LOOP;
END $$
SQL
    is sql("SELECT count(*) FROM await.chunk WHERE bytes = 'cut off'"), 2, 'both uploads are there';
    my $young = sql('SELECT await.new_id(0::int2)');
    sql("SELECT await.edge_put('$young', 0, 0, 'young')");
    purge();
    is sql("SELECT count(*) FROM await.chunk WHERE bytes = 'cut off'"), 0, 'both uploads are gone';
    is sql("SELECT count(*) FROM await.chunk WHERE bytes = 'young'"), 1, 'one under way stays';
};

subtest 'a missing partition is no fault of the client\'s' => sub {
    sql("DO \$\$ DECLARE r record; BEGIN FOR r IN SELECT relname FROM pg_class
        WHERE relname ~ '^job_1_[0-9]+\$' LOOP EXECUTE 'ALTER TABLE await.job DETACH PARTITION await.' || r.relname;
        EXECUTE 'ALTER TABLE await.' || r.relname || ' RENAME TO away_' || r.relname; END LOOP; END \$\$");
    is post('/jobs', 'x')->{status}, 202, 'it is created, and the submission stored';
    like error_log(), qr/partitions of today or tomorrow were missing and have been created/, 'error.log says so';
};

finish();
