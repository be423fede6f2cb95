# What is overdue: it is done until nothing is, a row that cannot be handled stops no other, and whoever does it holds
# nothing.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Database qw(submit state);
use Await::Session;
use Await::Test;
use Test::More;

my $s = start_stack(without => [ 'redis', 'nginx' ], workers => 4);

subtest 'what cannot be handled stands before nobody' => sub {
    sql("INSERT INTO await.deadline SELECT now() - interval '1 hour', gen_random_uuid() FROM generate_series(1, 1500)");
    sql(
        "INSERT INTO await.lease SELECT gen_random_uuid(), 1, 'w', '1 min', now() - interval '1 hour', 'none'
        FROM generate_series(1, 1500)"
    );
    my $queue = 'behind';
    my $bounded = submit($queue, '{"deadline": "1 second"}');
    my $leased = submit('leased', '{"lease": "1 second", "max_attempts": 1}');
    sql("SELECT count(*) FROM await.claim(ARRAY['leased'], 'w', 1)");
    # a row that fails each time: its history has a hole where the next event goes
    my ($bad, $worse) = (submit('bad', '{"deadline": "1 second"}'), submit('bad', '{"lease": "1 second"}'));
    sql("SELECT count(*) FROM await.claim(ARRAY['bad'], 'w', 2)");
    sql(
        "ALTER TABLE await.event ADD CONSTRAINT poison CHECK (job NOT IN ('$bad', '$worse')
        OR type = 'processing') NOT VALID"
    );
    # and one that somebody holds
    my $held = submit('held', '{"deadline": "1 second"}');
    my $holder = Await::Session->new($s->postgres);
    $holder->run("BEGIN; SELECT FROM await.job WHERE id = '$held' FOR UPDATE");
    eventually('the deadline is kept', sub { sql('SELECT await.run_maintenance()'); &state($bounded) eq 'expired' });
    eventually('the lease has run out', sub { sql('SELECT await.run_maintenance()'); &state($leased) eq 'failed' });
    is &state($held), 'pending', 'what is held waits';
    $holder->run('ROLLBACK');
    eventually('and is expired then', sub { sql('SELECT await.run_maintenance()'); &state($held) eq 'expired' });
    is sql("SELECT count(*) FROM await.deadline WHERE at < now()"), 0, 'no deadline is left that has come';
    is sql("SELECT count(*) FROM await.lease WHERE until < now()"), 0, 'and no lease';
    is sql(
        "SELECT (SELECT count(*) FROM await.deadline WHERE job = '$bad') + (SELECT count(*) FROM await.lease
        WHERE job = '$worse')"
        ),
        2, 'what cannot be handled was put off';
    sql('ALTER TABLE await.event DROP CONSTRAINT poison');
    sql(
        "UPDATE await.deadline SET at = now() WHERE job = '$bad';
        UPDATE await.lease SET until = now() WHERE job = '$worse'"
    );
    eventually('and is handled when it can be',
        sub { sql('SELECT await.run_maintenance()'); &state($bad) eq 'expired' && &state($worse) eq 'pending' });
    my $done = submit('done', '{"deadline": "30 days"}');
    sql("SELECT await.complete(id, receipt, 'x') FROM await.claim(ARRAY['done'], 'w', 1)");
    is sql("SELECT count(*) FROM await.deadline WHERE job = '$done'"), 0,
        'the deadline of an ended job goes with the ending';
};

subtest 'a heartbeat in an open transaction stops no other lease' => sub {
    my @id = map { submit('beats', '{"lease": "1 second"}') } 1 .. 2;
    sql("SELECT count(*) FROM await.claim(ARRAY['beats'], 'w', 2)");
    my $beat = Await::Session->new($s->postgres);
    $beat->run("BEGIN; SELECT await.heartbeat('$id[0]', test.receipt('$id[0]'))");
    eventually('the other one is given again',
        sub { sql('SELECT await.run_maintenance()'); &state($id[1]) eq 'pending' }, 10);
    is &state($id[0]), 'processing', 'this one is not touched';
    $beat->run('COMMIT');
};

subtest 'a lane that is being created stops no other delayed job' => sub {
    my $maker = Await::Session->new($s->postgres);
    submit('slow', '{"priority": 0}');
    my @id = (submit('slow', '{"priority": 7, "delay": "1 second"}'), submit('other', '{"delay": "1 second"}'));
    $maker->run("BEGIN; SELECT await.submit('slow', 'x', 'text/plain', '{\"priority\": 7}')");
    eventually(
        'the other one can be claimed',
        sub {
            sql('SELECT await.run_maintenance()');
            sql("SELECT count(*) FROM await.claim(ARRAY['other'], 'w', 1)") == 1;
        });
    is sql("SELECT count(*) FROM await.delayed WHERE job = '$id[0]'"), 1, 'the first one waits for its lane';
    $maker->run('ROLLBACK');
    eventually(
        'which is then created',
        sub {
            sql('SELECT await.run_maintenance()');
            sql("SELECT count(*) FROM await.delayed WHERE job = '$id[0]'") == 0;
        });
};

subtest 'a cancelled maintenance leaves nothing behind' => sub {
    for my $how ('statement_timeout', 'pg_cancel_backend', 'pg_terminate_backend') {
        my $id = submit('cut', '{"lease": "1 second"}');
        sql("SELECT count(*) FROM await.claim(ARRAY['cut'], 'w', 1)");
        my ($lock, $victim) = map { Await::Session->new($s->postgres) } 1 .. 2;
        $lock->run('BEGIN; LOCK TABLE await.idem');
        $victim->run("SET statement_timeout = '" . ($how eq 'statement_timeout' ? '300ms' : '60s') . "'");
        $victim->start("SELECT setval('await.last_maintenance', 1); SELECT await.run_maintenance()");
        until_true(
            'it waits',
            sub {
                sql(
                    "SELECT count(*) FROM pg_stat_activity WHERE pid = $victim->{backend}
            AND wait_event_type = 'Lock'"
                );
            },
            5
        ) if $how ne 'statement_timeout';    # which may have ended it before we look
        sql("SELECT $how($victim->{backend})") if $how ne 'statement_timeout';
        $victim->finish(5);
        $lock->run('COMMIT');
        eventually('the lease runs out', sub { sql('SELECT await.run_maintenance()'); &state($id) eq 'pending' });
        is sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, "$how: no lock stays in a session";
        sql("SELECT await.complete(id, receipt, 'x') FROM await.claim(ARRAY['cut'], 'w', 10)");
    }
};

subtest 'all that is overdue is done, in steps' => sub {
    sql(
        "SELECT count(await.submit('due', 'x', 'text/plain', '{\"delay\": \"1 second\"}'))
        FROM generate_series(1, 3500)"
    );
    eventually('all of it is due', sub { sql('SELECT count(*) FROM await.delayed WHERE due > now()') == 0 });
    my $steps = 0;
    $steps++ while sql('SELECT await.run_maintenance(300)') > 0;
    is $steps, 3, 'in bounded steps, without a pause';
    is sql('SELECT count(*), await.reap_lag() FROM await.delayed WHERE due <= now()'), '0|0', 'nothing is overdue';
    is sql("SELECT count(*) FROM await.claim(ARRAY['due'], 'w', 1000)"), 1000, 'it can be claimed';
    # a caller that stays in its transaction leaves the work to others
    sql("SELECT await.submit('due', 'x', 'text/plain', '{\"delay\": \"1 second\"}')");
    eventually('it is due', sub { sql('SELECT await.reap_lag() > 0') eq 't' });
    my $stays = Await::Session->new($s->postgres);
    $stays->run('BEGIN; SELECT 1');
    sql("SELECT setval('await.last_maintenance', floor(extract(epoch FROM now()))::bigint - 1)");
    is $stays->run('SELECT await.run_maintenance()'), 0, 'in a transaction nothing is moved';
    $stays->run('ROLLBACK');
};

subtest 'nginx alone keeps the time, whatever await_reread is' => sub {
    my ($delayed, $leased) = (submit('later', '{"delay": "1 second"}'), submit('lost', '{"lease": "1 second"}'));
    sql("SELECT count(*) FROM await.claim(ARRAY['lost'], 'w', 1)");
    $s->start_redis;
    $s->start_nginx(
        'await_reread 1h; server { listen ${PORT}; location = /health { await_health; } }',
        vars => { EXTRA => '', REREAD => '1h' }
    );
    eventually('a delayed job is ready',
        sub { sql("SELECT count(*) FROM await.ready WHERE job = '$delayed'") == 1 });
    eventually('a lease that ran out is taken back', sub { &state($leased) eq 'pending' });
    my (%calls, %seconds);
    eventually(
        'it goes on, in every second',
        sub {
            for (
                split /\n/,
                sql("SELECT DISTINCT pid || ' ' || extract(epoch FROM query_start) FROM pg_stat_activity
                    WHERE application_name = 'nginx-await-bulk' AND query LIKE '%run_maintenance%'")
                )
            {
                $calls{$_} = 1;
                $seconds{$1} = 1 if / (\d+)/;
            }
            return keys %seconds >= 5;
        });
    cmp_ok scalar(keys %calls), '<=', 8, 'of 4 nginx workers one calls PostgreSQL, once a second';
};
finish();
