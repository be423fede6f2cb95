# What surrounds us: defaults of the database that would change how statements see rows and wait, partitions that are
# missing, locks that others hold. None stops time or the submissions of others; only conflicts are answered as such.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Pooler qw(start_pooler);
use Await::Session;
use Await::Test;
use Test::More;

my $s = start_stack(reread => '500ms', extra => <<'CONF');
location ~ ^/q/(?<queue>.*)$ { await_submit $queue; }
location = /later { await_submit later delay=1s; }
location = /bounded { await_submit bounded deadline=1s; }
location ~ ^/topic/(?<topic>.+)$ { await_publish $topic type=update; }
CONF

sub state { my ($id) = @_; return json(get("/jobs/$id"))->{state} }

# It is nginx whose statements have no time; the test's own have, on a busy machine too.
sql("ALTER ROLE admin SET $_ = 0") for qw(statement_timeout lock_timeout idle_session_timeout);

# Runs with a setting of the database, with nginx and what it has connected anew.
sub with_setting {
    my ($set, $code) = @_;
    sql("ALTER DATABASE await SET $set", 'postgres');
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'nginx-await%'",
        'postgres');
    eventually(
        'nginx is connected again',
        sub { sql("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'nginx-await%'", 'postgres') == 3 }
    );
    $code->();
    sql("ALTER DATABASE await RESET " . ($set =~ /^(\w+)/)[0], 'postgres');
    return;
}

for my $set (
    "default_transaction_isolation = 'repeatable read'",
    "default_transaction_isolation = 'serializable'",
    "lock_timeout = '50ms'",
    "statement_timeout = '50ms'",
    "client_encoding = 'LATIN1'"
    )
{
    subtest $set => sub {
        with_setting(
            $set,
            sub {
                my $lock = Await::Session->new($s->postgres);
                $lock->run(
                    'SET statement_timeout = 0; SET lock_timeout = 0; BEGIN; LOCK TABLE await.ready IN EXCLUSIVE MODE');
                my @held = map { begin_request('POST', '/jobs', body => 'x') } 1 .. 20;
                until_true(
                    'they wait',
                    sub {
                        sql(
                            "SELECT count(*) FROM pg_locks WHERE NOT granted
                                AND relation = 'await.ready'::regclass"
                        ) > 0;
                    },
                    3
                );
                $lock->run('COMMIT');
                is_deeply [ map { $_->response->{status} } @held ], [ (202) x 20 ],
                    'submissions that waited are stored';
                my @many = map { begin_request('POST', '/jobs', body => 'x') } 1 .. 60;
                is_deeply [ map { $_->response->{status} } @many ], [ (202) x 60 ], 'and many at once';
                my ($later, $bounded) = map { one_job($_) } '/later', '/bounded';
                eventually(
                    'a delay passes',
                    sub {
                        sql("SELECT count(*) FROM await.delayed WHERE job = '$later'") == 0;
                    },
                    10
                );
                eventually('a deadline comes', sub { &state($bounded) eq 'expired' });
                my $text = "Zo\x{c3}\x{ab}";    # as UTF-8
                my $named = id_of(post('/jobs', 'x', 'Idempotency-Key' => 'k' . int rand 1e9));
                is &state($named), 'pending', 'a key is taken';
                my $topic = 'enc-' . int rand 1e9;
                post("/topic/$topic", "{\"name\": \"$text\"}", 'Content-Type' => 'application/json');
                is sql(
                    "SET client_encoding = 'UTF8';
                        SELECT data ->> 'name' = convert_from('\\x5a6fc3ab', 'UTF8') FROM await.event
                WHERE job = await.topic_id('$topic')"
                    ),
                    't', 'text is stored as it came';
            });
    };
}

subtest 'sessions that are idle' => sub {
    with_setting(
        "idle_session_timeout = '100ms'",
        sub {
            eventually(
                'those of nginx are kept',
                sub {
                    sql(
                        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'nginx-await%'
                            AND backend_start < clock_timestamp() - interval '2 s'", 'postgres'
                    ) == 3;
                });
        });
};

subtest 'maintenance in an old snapshot' => sub {
    # workers in other languages call await.claim(), which does what time brings; nobody else may be there
    for my $level ('repeatable read', 'serializable') {
        my $id = sql("SELECT await.submit('alone', 'x', 'text/plain', '{\"delay\": \"1 second\"}')");
        eventually(
            "a delay passes at $level",
            sub {
                sql(
                    "SET default_transaction_isolation = '$level';
                SELECT count(*) FROM await.claim(ARRAY['alone'], 'w', 1)"
                ) =~ /1$/;
            });
    }
};

subtest 'a partition that is missing is created at once' => sub {
    for my $what ('job', 'event', 'chunk') {
        my $name = sql("SELECT await.partition_name('$what', 1::int2, await.partition_start('1 day', now()))");
        sql("DROP TABLE await.$name");
        my $answer = post('/jobs', 'x' x ($what eq 'chunk' ? 200_000 : 1));
        ok $answer->{status} == 202 || $answer->{status} == 503 && $answer->{headers}{'retry-after'},
            "without the partition of $what: 202, or 503 with Retry-After";
        eventually("the partition $what", sub { sql("SELECT to_regclass('await.$name') IS NOT NULL") eq 't' });
        is &state(one_job()), 'pending', "without the partition of $what: the next job is stored";
    }
    like error_log(), qr/partitions of today or tomorrow were missing and have been created/, 'and error.log says so';
};

subtest 'what others lock stops only who needs it' => sub {
    my $open = Await::Session->new($s->postgres);
    $open->run("BEGIN; SELECT await.submit('fresh', 'x')");
    my $fresh = begin_request('POST', '/q/fresh', body => 'x');
    my $began = time;
    is post('/q/other', 'x')->{status}, 202, 'a queue that is being made: others are stored';
    cmp_ok time - $began, '<', 8, 'before a statement is given up, after 10 s';
    is $fresh->response->{status}, 409, 'who submits to it is told to come again';
    $open->run('COMMIT');
    # ANALYZE and VACUUM hold this lock, behind which no partition can be attached
    $open->run('BEGIN; LOCK TABLE await.job IN SHARE UPDATE EXCLUSIVE MODE');
    sql('DELETE FROM await.swept');
    my $next =
        sql("SELECT relname FROM pg_class WHERE relname ~ '^job_1_' AND relkind = 'r' ORDER BY relname DESC LIMIT 1");
    is post('/jobs', 'x')->{status}, 202, 'beside an ANALYZE';
    $open->run('COMMIT');
    # a table that is rewritten
    my $id = one_job();
    $open->run('BEGIN; LOCK TABLE await.event, await.idem IN ACCESS EXCLUSIVE MODE');
    my @held = (
        begin_request('DELETE', "/jobs/$id"),
        begin_request('POST', '/jobs', body => 'x', headers => { 'Idempotency-Key' => 'rewritten' }),
    );
    until_true('they wait',
        sub { sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'await.event'::regclass") > 0 });
    $open->run('COMMIT');
    is_deeply [ map { $_->response->{status} } @held ], [ 202, 202 ], 'are no conflicts';
};

subtest 'options of the connection string that are in the way' => sub {
    # the session does not have our settings then: each statement has to bring them
    $s->end('nginx', 'QUIT');
    my $options = "options='-c lock_timeout=5ms -c statement_timeout=500ms -c await.single=off'";
    $s->start_nginx("await_postgres \"@{[ $s->postgres('edge') ]} $options\";\n" . $Await::Test::SITE,
        vars => { EXTRA => 'location = /later { await_submit later delay=1s; }', REREAD => '500ms' });
    is post('/jobs', 'x')->{status}, 202, 'a submission is stored';
    my $lock = Await::Session->new($s->postgres);
    $lock->run('BEGIN; LOCK TABLE await.ready IN EXCLUSIVE MODE');
    my $held = begin_request('POST', '/jobs', body => 'x');
    ok !$held->read_until(sub { length $_[0] }, 0.7), 'behind a lock a submission waits';
    $lock->run('COMMIT');
    is $held->response->{status}, 202, 'and is stored after it';
    my $later = one_job('/later');
    eventually('a delay passes', sub { sql("SELECT count(*) FROM await.delayed WHERE job = '$later'") == 0 });
};

subtest 'through PgBouncer in transaction mode' => sub {
    sql("ALTER DATABASE await SET default_transaction_isolation = 'serializable'", 'postgres');
    my $port = start_pooler();
    my $pooled = $s->postgres('edge') =~ s/port=\d+/port=$port/r;
    $s->end('nginx', 'QUIT');
    my $site = "await_postgres \"$pooled\";\n" . $Await::Test::SITE;
    my $extra = 'location = /later { await_submit later delay=1s; } location /console { await_console; }';
    $s->start_nginx($site, vars => { EXTRA => $extra, REREAD => '500ms' });
    is_deeply [ map { $_->response->{status} } map { begin_request('POST', '/jobs', body => 'x') } 1 .. 60 ],
        [ (202) x 60 ], 'submissions are stored';
    my $later = one_job('/later');
    eventually('a delay passes', sub { sql("SELECT count(*) FROM await.delayed WHERE job = '$later'") == 0 });
    is get('/console/api/queues')->{status}, 200, 'the console reads';
    sql(q(CREATE OR REPLACE FUNCTION await.console_queues(p jsonb) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS 'BEGIN PERFORM pg_sleep(20); RETURN ''{}''; END'));
    is get('/console/api/queues')->{status}, 503, 'PostgreSQL ends a read that takes long';
    local $ENV{PGPASSWORD} = $s->password('edge');
    my $left = `psql -XAtq -d '@{[ $s->place('edge') =~ s/port=\d+/port=$port/r ]}' -c "SELECT
        current_setting('transaction_isolation'), current_setting('statement_timeout'), current_setting('lock_timeout'),
        current_setting('await.single', true)"`;
    is $left, "serializable|0|0|\n", 'and no setting of ours is left in the pooled session';
};
finish();
