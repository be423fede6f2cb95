# PostgreSQL alone: `await_redis off`, and the wake-ups of await.notify (docs/operations.md). Reads are an hour apart,
# so whatever comes sooner came by NOTIFY.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Database qw(counted);
use Await::Pooler qw(start_pooler);
use Await::Session;
use Await::Test;
use Test::More;
use Time::HiRes qw(time);

my $SITE = <<'CONF';
await_redis off;
await_reread ${REREAD};
await_hold_max 60s;
server {
    listen 127.0.0.1:${PORT};
    error_page 404 409 503 @problem;
    location @problem { await_problem; }
    location = /jobs { await_owner $arg_owner; await_submit work; }
    location ~ ^/to/(?<queue>[a-z]+)$ { await_job_uri /jobs/$await_id; await_submit $queue; }
    location ~ ^/jobs/(?<id>[^/]+)$ { await_job $id; await_events job:$id; }
    location ~ ^/topics/(?<topic>[a-z]+)$ { await_events topic:$topic; }
    location ~ ^/users/(?<user>[a-z]+)$ { await_owner $user; await_events user:$user; }
    location = /metrics { await_metrics; }
    location = /health { await_health; }
}
CONF

my $s = start_stack(without => [ 'redis', 'nginx' ]);
sql("ALTER DATABASE await SET track_functions = 'pl'");

# What a session that listens has heard since it was asked last: "channel payload" in the order of arrival, ids by name.
my $ear = Await::Session->new($s->postgres);
$ear->run("LISTEN $_") for qw(await_hint await_work await_cancel await_revoked);
sub heard {
    my (%name) = @_;
    my @found = $ear->run('SELECT 1') =~ /^Asynchronous notification "await_(\w+)" with payload "([^"]*)"/gm;
    my @out;
    while (my ($channel, $payload) = splice @found, 0, 2) {
        $payload =~ s/\Q$name{$_}\E/$_/g for keys %name;
        push @out, "$channel $payload";
    }
    return \@out;
}

subtest 'off by default: nothing is notified' => sub {
    my $id = sql("SELECT await.submit('silent', 'x', options => '{\"owner\": \"ann\"}')");
    sql(
        "SELECT count(*) FROM await.claim(ARRAY['silent'], 'w', 1); SELECT await.cancel('$id');
        SELECT await.publish('news', 'n'); SELECT await.revoke('ann')"
    );
    is_deeply heard(), [], 'neither work nor hints';
};

sql('ALTER DATABASE await SET await.notify = on');

subtest 'what is notified' => sub {
    my $ann = sql("SELECT await.user_id('ann')");
    my $worker = Await::Session->new($s->postgres);
    my $id = $worker->run("SELECT await.submit('heard', 'x')");
    is_deeply heard(), ['work heard'], 'a submission: the queue has work';
    $worker->run("SELECT await.submit('heard', 'x', options => '{\"delay\": \"1 hour\"}')");
    is_deeply heard(), [], 'one with a delay: nothing yet';
    $worker->run('UPDATE await.delayed SET due = now(); SELECT await.reap(10)');
    is_deeply heard(), ['work heard'], 'until it is due';
    $worker->run("BEGIN; SELECT await.submit('heard', 'x'); ROLLBACK");
    is_deeply heard(), [], 'a rollback: nothing';
    $worker->run("BEGIN; SELECT await.submit('heard', 'x'), await.submit('heard', 'y'); COMMIT");
    is_deeply heard(), ['work heard'], 'two in a transaction: once';

    my $receipt = $worker->run("SELECT receipt FROM await.claim(ARRAY['heard'], 'w', 1)");
    is_deeply heard(ID => $id), ['hint 1 ID 2 processing'], 'a claim';
    $worker->run("SELECT await.heartbeat('$id', '$receipt')");
    is_deeply heard(), [], 'a heartbeat without progress: nothing';
    $worker->run("SELECT await.$_") for "heartbeat('$id', '$receipt', '1')", "emit('$id', '$receipt', 'line')";
    is_deeply heard(ID => $id), [ 'hint 1 ID 3 progress', 'hint 1 ID 4 line' ], 'progress and an event';
    $worker->run("SELECT await.release('$id', '$receipt')");
    is_deeply heard(ID => $id), [ 'hint 1 ID 5 pending', 'work heard' ], 'a release: there is work again';
    $worker->run(
        "SELECT await.complete_many(array_agg(id), array_agg(receipt), array_agg('x'::bytea))
        FROM await.claim(ARRAY['heard'], 'w', 10)"
    );
    is scalar(grep { /completed$/ } @{ heard() }), 4, 'many completions: each';

    $id = $worker->run("SELECT await.submit('heard', 'x', options => '{\"owner\": \"ann\"}')");
    is_deeply [ sort @{ heard(ANN => $ann) } ], [ 'hint 1 ANN 0 user', 'work heard' ],
        'a job with an owner: the user too';
    $worker->run("SELECT await.cancel('$id')");
    is_deeply heard(ID => $id, ANN => $ann), [ 'hint 1 ID 2 cancelled', 'hint 1 ANN 0 user' ],
        'a cancel of one that nobody has';
    $id = $worker->run("SELECT await.submit('heard', 'x')");
    $worker->run("SELECT await.claim(ARRAY['heard'], 'w', 1)");
    heard();
    $worker->run("SELECT await.cancel('$id')");
    is_deeply heard(ID => $id), [ 'hint 1 ID 3 cancelled', 'cancel ID' ],
        'a cancel of one that a worker has: the worker too';
    $id = $worker->run("SELECT await.submit('heard', 'x', options => '{\"deadline\": \"1 hour\"}')");
    $worker->run("SELECT await.claim(ARRAY['heard'], 'w', 1)");
    heard();
    $worker->run('UPDATE await.deadline SET at = now(); SELECT await.reap(10)');
    is_deeply heard(ID => $id), [ 'hint 1 ID 3 expired', 'cancel ID' ], 'and when its deadline passes';

    my $topic = sql("SELECT await.topic_id('news')");
    $worker->run("SELECT await.publish('news', 'n')");
    is_deeply heard(TOPIC => $topic), ['hint 1 TOPIC 3 n'], 'a topic';
    $worker->run("SELECT await.revoke('ann')");
    is_deeply heard(), ['revoked 1'], 'a revocation, also the second';
    $id = $worker->run("SET await.notify = off; SELECT await.submit('heard', 'x')");
    is_deeply heard(), [], 'a session may switch it off for itself';
};

$s->start_nginx($SITE, vars => { REREAD => '1h' });
$s->start_worker('worker', '--queue', 'words', '--', 'sh', '-c', 'cat; echo "{\"type\": \"seen\"}" >&3');
is metric('await_redis_connections'), 0, 'no Redis';
eventually('nginx listens', sub { (metric('await_listen_connections') // 0) == 1 });

my %sse = (headers => { Accept => 'text/event-stream' });

subtest 'held clients are answered at once' => sub {
    my $begin = time;
    my $r = post('/to/words', 'two words', Prefer => 'wait=20');
    is_deeply [ $r->{status}, $r->{body} ], [ 200, 'two words' ], 'POST, await-worker, result';
    my $id = one_job('/jobs?owner=bob');
    my $poll = begin_request('GET', "/jobs/$id?wait=60");
    my $stream = begin_request('GET', "/jobs/$id", %sse);
    my $user = begin_request('GET', '/users/bob', %sse);
    my $topic = begin_request('GET', '/topics/weather', %sse);
    $_->wait_event('ready') for $stream, $user, $topic;
    eventually('all are held', sub { metric('await_held') >= 4 });
    sql("SELECT await.publish('weather', 'rain')");
    ok $topic->wait_event('rain'), 'an event of a topic';
    claim($id);
    sql("SELECT await.emit('$id', test.receipt('$id'), 'step')");
    ok $stream->wait_event('step'), 'an event of a worker';
    complete($id, 'done');
    ok $stream->wait_event('completed'), 'the ending';
    ok $user->wait_event('completed'), 'the ending, on the channel of its user';
    is json($poll->response)->{state}, 'completed', 'the held poll';
    cmp_ok time - $begin, '<', 45, 'all of it long before the time of the wait, and before any re-read';
    sql("SELECT await.revoke('bob')");
    $user->read_until(sub { 0 });
    ok $user->{eof}, 'the stream of a revoked user is ended';
};

subtest 'an idle worker is woken' => sub {
    # after some claims in vain it waits for one to two seconds: if it was woken, what is submitted then is claimed less
    # than a second after the last of these, by the clock of the database; on a busy machine, once of many times
    my $claimed = sub {
        return sql(
            "SELECT coalesce(max(extract(epoch FROM query_start)), 0) FROM pg_stat_activity
            WHERE application_name = 'nginx-await-worker' AND query LIKE '%await.claim(%'"
        );
    };
    my $quick = 1e9;
    for (1 .. 12) {
        my ($last, $long) = ($claimed->(), 0);
        eventually('it waits for a second, again and again', sub {
            my $next = $claimed->();
            return 0 if $next <= $last;
            my $pause = $next - $last;
            $last = $next;
            $long = $pause > 0.95 && $pause < 2.1 ? $long + 1 : 0;
            return $long == 2;
        }, 60);
        my $id = id_of(post('/to/words', 'now'));
        eventually('it is claimed', sub { json(get("/jobs/$id"))->{state} ne 'pending' });
        my $took = sql(
            "SELECT extract(epoch FROM e.at) - $last FROM await.event e WHERE e.job = '$id' AND e.type = 'processing'");
        $quick = $took if $took < $quick;
        last if $quick < 0.95;
    }
    cmp_ok $quick, '<', 0.95, 'the next claim comes before its time';
};

subtest 'a cancel reaches the command' => sub {
    my ($beats, $back) = counted('heartbeat(uuid, text, jsonb)');
    $s->start_worker('long', '--queue', 'long', '--', 'sleep', '100');
    my $ended = sub { return scalar(() = slurp("$s->{dir}/logs/long.log") =~ /cancelled/g) };
    my %cancel = (DELETE => sub { del("/jobs/$_[0]") }, SQL => sub { sql("SELECT await.cancel('$_[0]')") });
    for my $way (sort keys %cancel) {
        my $quick = 1e9;
        for (1 .. 4) {
            my $id = one_job('/to/long');
            my ($seen, $before) = ($beats->(), $ended->());
            eventually('it runs, and has had a heartbeat', sub { $beats->() > $seen });
            my $begin = time;    # the next one is five seconds away
            $cancel{$way}->($id);
            eventually('it is ended', sub { $ended->() > $before });
            $quick = time - $begin if time - $begin < $quick;
            last if $quick < 3;
        }
        cmp_ok $quick, '<', 3, "long before the next heartbeat, by $way";
    }
    $back->();
};

subtest 'after the connection was lost' => sub {
    my $id = one_job('/to/work');
    my $stream = begin_request('GET', "/jobs/$id", %sse);
    $stream->wait_event('ready');
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'nginx-await-%'");
    complete($id, 'x') if claim($id);
    ok $stream->wait_event('completed'), 'the ending';
    eventually('nginx listens again', sub { (metric('await_listen_connections') // 0) == 1 });
    my $r = post('/to/words', 'again', Prefer => 'wait=20');
    is_deeply [ $r->{status}, $r->{body} ], [ 200, 'again' ], 'and everything goes on';
};
unlike error_log(), qr/LISTEN/, 'no trouble is logged';

subtest 'behind a pooler' => sub {
    my $port = start_pooler();
    my $pooled = "host=127.0.0.1 port=$port dbname=await user=edge password=@{[ $s->password('edge') ]}";
    eventually('PgBouncer answers', sub { `psql -XAtq -d '$pooled' -c 'SELECT 1' 2>&1` eq "1\n" });
    $s->end('nginx', 'QUIT', 10);
    unlink "$s->{dir}/nginx.started";
    $s->start_nginx("await_postgres '$pooled';\n$SITE", vars => { REREAD => '1s' });
    eventually(
        'nginx says why it does not listen',
        sub {
            error_log() =~
                /cannot LISTEN to PostgreSQL, although await\.notify is on: a pooler stands between; changes/;
        });
    my $r = post('/to/words', 'pooled', Prefer => 'wait=20');
    is_deeply [ $r->{status}, $r->{body} ], [ 200, 'pooled' ], 'clients are answered by re-reading';
    is metric('await_listen_connections'), 0, 'it is told as not listening';
    my $health = json(get('/health'));
    is $health->{status}, 'degraded', 'and as degraded by a check of its health';
    is_deeply $health->{degraded}, [ { part => 'postgresql notify', state => 'not listening' } ], 'which says why';
    is join(',', map { `psql -XAtq -d '$pooled' -c 'SELECT count(*) FROM pg_listening_channels()'` } 1 .. 6) =~
        tr/1-9//,
        0, 'no pooled session was left listening';
};

finish();
