# The worker contract, called as a worker in any language would: the rules that the database keeps.

use strict;
use warnings;
no warnings "exec";
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use Test::More;

start_stack(without => [ 'redis', 'nginx' ]);

sub submit {
    my ($queue, $options) = @_;
    return sql("SELECT await.submit('$queue', 'x', 'text/plain', '" . ($options // '{}') . "')");
}
sub claimed {
    my ($queue, $n, $lease) = @_;
    return [
        split /\n/,
        sql("SELECT id FROM await.claim(ARRAY['$queue'], 'w', $n, " . ($lease ? "interval '$lease'" : 'null') . ')') ];
}
sub receipt { my ($id) = @_; return sql("SELECT test.receipt('$id')") }
sub history {
    my ($id) = @_;
    return sql("SELECT string_agg(seq || ':' || type, ' ' ORDER BY seq) FROM await.event WHERE job = '$id'");
}
sub refused {
    my ($what, $sql, $why) = @_;
    my (undef, $error) = stack()->psql($sql);
    like $error // 'it was taken', $why, $what;
}

# SQL in a session of its own; its pid.
sub background {
    my ($sql) = @_;
    my $pid = fork // die;
    if (!$pid) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>&', \*STDOUT;
        exec 'psql', '-XAtq', '-d', stack()->postgres, '-c', $sql;
    }
    return $pid;
}

subtest 'priority first, then oldest; over several queues' => sub {
    my @ids = map { submit(@$_) } [ 'a', '{"priority": 0}' ], [ 'b', '{"priority": 5}' ], [ 'a', '{"priority": 5}' ],
        ['b'], [ 'a', '{"priority": -3}' ];
    is_deeply [ split /\n/, sql("SELECT id FROM await.claim(ARRAY['a', 'b', 'none'], 'w', 10)") ],
        [ @ids[ 1, 2, 0, 3, 4 ] ], 'by priority, then by age, over both queues';
    is_deeply claimed('a', 5), [], 'each is given once';
};

subtest 'what claim gives' => sub {
    my $id = submit('c',
        '{"owner": "o", "correlation_id": "k", "file_name": "f.txt", "params": {"a": 1}, "trace": "t",
          "lease": "7 min", "max_attempts": 2}'
    );
    is sql("SELECT id, attempt, queue, convert_from(payload, 'UTF8'), content_type, file_name, params, trace,
        payload_size, correlation_id, lease_for FROM await.claim(ARRAY['c'], 'w', 1)"),
        "$id|1|c|x|text/plain|f.txt|{\"a\": 1}|t|1|k|00:07:00", 'every column of a claim';
};

subtest 'an attempt that is over changes nothing' => sub {
    my $id = submit('fence');
    claimed('fence', 1, '1 s');
    my $old = receipt($id);
    eventually('the lease runs out',
        sub { sql('SELECT await.reap(10)'); sql("SELECT count(*) FROM await.lease WHERE job = '$id'") == 0 });
    is sql("SELECT await.heartbeat('$id', '$old')"), 'lost', 'a heartbeat of the old attempt is lost';
    claimed('fence', 1);
    my $new = receipt($id);
    for my $call ("await.complete('$id', '$old', 'x')", "await.fail('$id', '$old', '{}')") {
        is sql("SELECT $call"), 'f', $call;
    }
    is sql("SELECT await.emit('$id', '$old', 'token')"), '', 'an event of the old attempt is not taken';
    is sql("SELECT await.append_result('$id', '$old', 0, 'x')"), '', 'nor a piece of its result';
    is sql("SELECT await.heartbeat('$id', '$old')"), 'lost', 'nor a heartbeat, while a new attempt runs';
    is sql("SELECT await.complete('$id', '$new', 'x')"), 't', 'the new one does';
    is sql("SELECT await.complete('$id', '$new', 'y')"), 'f', 'a repeat is harmless';
    is history($id), '2:processing 3:pending 4:processing 5:completed', 'each change is an event, without a hole';
};

subtest 'after max_attempts the job fails, and says why' => sub {
    my $id = submit('tries', '{"max_attempts": 2}');
    for (1 .. 2) {
        eventually("attempt $_ is claimed", sub { @{ claimed('tries', 1, '1 s') } });
        eventually("the lease of attempt $_ runs out",
            sub { sql('SELECT await.reap(10)'); sql("SELECT count(*) FROM await.lease WHERE job = '$id'") == 0 });
    }
    is history($id), '2:processing 3:pending 4:processing 5:failed', 'each attempt is in the history, and the failure';
    like sql("SELECT data ->> 'detail' FROM await.event WHERE job = '$id' AND ending"),
        qr/attempt 2 did not renew its lease/, 'the failure says why';
};

subtest 'failure: back-off, retry_in, and not again' => sub {
    my $id = submit('fail');
    claimed('fail', 1);
    is sql("SELECT await.fail('$id', test.receipt('$id'), '{\"detail\": \"d\"}')"), 't', 'the failure is taken';
    is_deeply claimed('fail', 1), [], 'not at once';
    like sql("SELECT extract(epoch FROM due - clock_timestamp()) FROM await.delayed WHERE job = '$id'"), qr/^[012]\./,
        'about two seconds';
    sql("UPDATE await.delayed SET due = clock_timestamp() WHERE job = '$id'; SELECT await.reap(10)");
    is_deeply claimed('fail', 1), [$id], 'when it is due it is given again';
    sql("SELECT await.fail('$id', test.receipt('$id'), '\"a word\"', '0 s')");
    is_deeply claimed('fail', 1), [$id], 'retry_in 0: at once';
    sql("SELECT await.fail('$id', test.receipt('$id'), '{\"title\": \"T\"}', '-1 s')");
    is sql("SELECT state, data FROM await.event WHERE job = '$id' ORDER BY seq DESC LIMIT 1"), 'failed|{"title": "T"}',
        'retry_in below 0: it has failed, with the worker\'s problem';
};

subtest 'cancel, and retry as a new job' => sub {
    my $id = submit('again', '{"params": {"p": 1}}');
    is sql("SELECT await.retry('$id')"), '', 'what has not ended cannot be retried';
    is sql("SELECT await.cancel('$id')"), 'cancelled', 'a pending job is cancelled';
    is sql("SELECT await.cancel('$id')"), 'already', 'a cancelled job is so already';
    is sql("SELECT await.cancel('01a20229-85dd-7905-b3ad-942074197547')"), '', 'an unknown job is nothing';
    is_deeply claimed('again', 1), [], 'claim drops it';
    my $new = sql("SELECT await.retry('$id')");
    isnt $new, $id, 'a retry has another id';
    is sql("SELECT retry_of, params, convert_from(payload, 'UTF8') FROM await.job WHERE id = '$new'"),
        "$id|{\"p\": 1}|x", 'the retry has what the first one had';
    is_deeply claimed('again', 1), [$new], 'the retry is claimed';
    sql("SELECT await.complete('$new', test.receipt('$new'), 'x')");
    is sql("SELECT await.cancel('$new')"), 'ended', 'what has ended cannot be cancelled';
};

subtest 'a delayed job, a deadline' => sub {
    my $id = submit('later', '{"delay": "1 h"}');
    is_deeply claimed('later', 1), [], 'a delayed job is not given before its time';
    sql("UPDATE await.delayed SET due = clock_timestamp() WHERE job = '$id'; SELECT await.reap(10)");
    is_deeply claimed('later', 1), [$id], 'then it is';
    my $late = submit('late', '{"deadline": "1 h"}');
    sql("UPDATE await.deadline SET at = clock_timestamp() WHERE job = '$late'; SELECT await.reap(10)");
    is history($late), '2:expired', 'a job past its deadline has expired';
    is_deeply claimed('late', 1), [], 'and is not given';
};

subtest 'claim itself lets time pass' => sub {
    my $id = submit('clock');
    claimed('clock', 1, '1 s');
    eventually('the job is given again without anybody reaping', sub { grep { $_ eq $id } @{ claimed('clock', 1) } });
};

subtest 'a repeated event id changes nothing' => sub {
    my $id = submit('once');
    claimed('once', 1);
    is sql("SELECT await.emit('$id', test.receipt('$id'), 'n', '1', 'e')"), 3, 'the first emit has the next number';
    is sql("SELECT await.emit('$id', test.receipt('$id'), 'n', '2', 'e')"), 3,
        'the same event id again has the same number';
    is sql("SELECT await.emit('$id', test.receipt('$id'), 'n', '3', 'f')"), 4, 'another event id has the next number';
};

subtest 'what is refused' => sub {
    my $id = submit('bad');
    claimed('bad', 1);
    refused 'a status of another kind', "SELECT await.complete('$id', test.receipt('$id'), 'x', 'text/plain', 404)",
        qr/200, 201 or 203/;
    refused 'a content type that breaks a header',
        "SELECT await.complete('$id', test.receipt('$id'), 'x', E'text/plain\\r\\nX: y')", qr/content type/;
    refused 'a file name with a path',
        "SELECT await.complete('$id', test.receipt('$id'), 'x', 'text/plain', 200, '../x')", qr/file name/;
    refused 'an event of ours', "SELECT await.emit('$id', test.receipt('$id'), 'completed')", qr/reserved/;
    refused 'an event type out of rule', "SELECT await.emit('$id', test.receipt('$id'), 'A B')", qr/reserved/;
    refused 'too much data', "SELECT await.emit('$id', test.receipt('$id'), 'x', to_jsonb(repeat('x', 60000)))",
        qr/48 KB/;
    refused 'an unknown option', "SELECT await.submit('bad', 'x', 'text/plain', '{\"prioritty\": 1}')",
        qr/no option prioritty/;
    refused 'a queue name out of rule', "SELECT await.submit('a b', 'x')", qr/a queue's name is/;
    refused 'a claim of none', "SELECT await.claim(ARRAY['bad'], 'w', 0)", qr/1 to 1000/;
    refused 'a piece out of order', "SELECT await.append_result('$id', test.receipt('$id'), 1, 'x')",
        qr/piece 0 of the result is missing/;
    is history($id), '2:processing', 'and nothing has changed';
};

subtest 'payloads in pieces' => sub {
    my $id = sql("SELECT await.submit('big', convert_to(repeat('0123456789', 60000), 'UTF8'))");
    is sql("SELECT payload IS NULL, payload_size FROM await.claim(ARRAY['big'], 'w', 1, inline => 0, pieces => true)"),
        't|600000', 'a payload in pieces is not in the claim, its size is';
    is sql("SELECT convert_from(await.payload('$id', test.receipt('$id'), 262140, 10), 'UTF8')"), '0123456789',
        'a piece from the middle';
    is sql("SELECT length(await.payload('$id', test.receipt('$id'), 599990, 100)),
        await.payload('$id', test.receipt('$id'), 600000, 1) = ''"), '10|t',
        'the last piece is what is left, behind it there is nothing';
    is sql("SELECT await.payload('01a20229-85dd-7905-b3ad-942074197547', test.receipt('$id'))"), '',
        'of an unknown job there is nothing';
};

subtest 'the mark never passes an uncommitted submission' => sub {
    submit('mark');
    claimed('mark', 1);
    # a transaction that stays open until the lock's holder is ended
    my $holder = background('SELECT pg_advisory_lock(77); SELECT pg_sleep(60)');
    eventually('the lock is held',
        sub { sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND granted") });
    my $slow = background("BEGIN; SELECT await.submit('mark', 'slow'); SELECT pg_advisory_lock(77); COMMIT");
    eventually('the slow submission waits for the lock',
        sub { sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted") });
    my $second = submit('mark');
    is_deeply claimed('mark', 5), [$second], 'the one that is committed is claimed';
    sql('SELECT await.reap(10)') for 1 .. 3;
    sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND granted");
    waitpid $_, 0 for $slow, $holder;
    my $first = sql("SELECT id FROM await.job WHERE payload = 'slow'");
    is_deeply claimed('mark', 5), [$first], 'it is found after its commit';
    submit('mark') for 1 .. 20;
    claimed('mark', 15);
    ok until_true(
        'the mark',
        sub {
            sql("SELECT await.advance_horizon_soon();
        SELECT await.advance_low_water(m.lane) = (SELECT min(pos) FROM await.ready r WHERE r.lane = m.lane)
        FROM await.lane_in_use m JOIN await.queue q ON m.lane >> 8 = q.id WHERE q.name = 'mark'") =~ /t$/;
        }
        ),
        'and the mark moves on';
};

# Bug: each submission of a transaction took a lock of its own, and twenty thousand of them filled the lock table.
subtest 'a transaction announces itself once, and again after a rollback to a savepoint' => sub {
    my $locks = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'";
    is sql("BEGIN; SELECT count(await.submit('many', 'x')) FROM generate_series(1, 20000); $locks; ROLLBACK"),
        "20000\n1", 'one lock for twenty thousand submissions';
    like sql("BEGIN; SAVEPOINT s; SELECT 1 FROM await.submit('many', 'x'); ROLLBACK TO s; $locks;
        SELECT 1 FROM await.submit('many', 'x'); $locks; ROLLBACK"), qr/^1\n0\n1\n1$/,
        'a lock again after a rollback to a savepoint';
};

subtest 'a page of events has a bound in bytes' => sub {
    my @two = map { submit('page') } 1 .. 2;
    claimed('page', 2);
    sql("SELECT count(await.emit('$_', test.receipt('$_'), 'n', to_jsonb(repeat('x', 45000))))
        FROM generate_series(1, 80)") for @two;
    my $page = sub { sql("SELECT item, count(seq), max(last_seq), coalesce(sum(length(data)), 0)
        FROM await.edge_events(ARRAY['$two[0]', '$two[1]']::uuid[], ARRAY[$_[0], $_[1]], 100, 16384) GROUP BY 1
        ORDER BY 1") };
    my @rows = map { [ split /\|/ ] } split /\n/, $page->(0, 0);
    is $rows[0][1], 81, 'the first job has room';
    cmp_ok $rows[1][1], '<', 20, 'the second gets what is left';
    is $rows[1][2], 82, 'and is told that there is more';
    cmp_ok $rows[0][3] + $rows[1][3], '<', 4_300_000, 'both together are within the bound';
    @rows = map { [ split /\|/ ] } split /\n/, $page->(82, 10);
    is $rows[1][1], 72, 'which comes next time';
};

subtest 'partitions come, go, and carry everything' => sub {
    is sql('SELECT count(*) FROM await.purge()'), 0, 'nothing to do';
    cmp_ok sql("SELECT count(*) FROM pg_inherits WHERE inhparent = 'await.job'::regclass"), '>=', 15,
        'there are partitions for the days to come';
    my %of = ('1d' => 0, '7d' => 1, '90d' => 2, 'keep' => 3);
    is sql("SELECT class FROM await.job WHERE id = '" . submit('keep', "{\"retain\": \"$_\"}") . "'"), $of{$_}, $_
        for sort keys %of;
    my ($from, $to) = map { sql("SELECT await.floor_id('$_')") } '2020-01-01 00:00Z', '2020-01-02 00:00Z';
    sql("CREATE TABLE await.job_0_20200101 (LIKE await.job INCLUDING ALL);
         ALTER TABLE await.job ATTACH PARTITION await.job_0_20200101 FOR VALUES FROM (0, '$from') TO (0, '$to')");
    is sql('SELECT await.purge()'), 'dropped job_0_20200101', 'the old partition is dropped';
};

subtest 'roles: each can do its own work and no more' => sub {
    sql("CREATE ROLE w LOGIN PASSWORD 'w' IN ROLE await_worker; CREATE ROLE e LOGIN PASSWORD 'e' IN ROLE await_edge");
    my $as = sub {
        my ($role, $sql) = @_;
        my $c = stack()->place($role) . " password=$role";
        return `psql -XAtq -d '$c' -c "$sql" 2>&1`;
    };
    my $id = submit('role');
    like $as->('w', "SELECT id FROM await.claim(ARRAY['role'], 'w', 1)"), qr/^\Q$id/, 'a worker claims';
    like $as->('w', "SELECT await.complete('$id', '@{[ receipt($id) ]}', 'x')"), qr/^t/, 'a worker completes';
    like $as->('e', "SELECT await.edge_tail('1:1:', 1)"), qr/^\(/, 'an edge reads the tail';
    like $as->('w', 'SELECT * FROM await.job'), qr/permission denied/, 'a worker does not read the table';
    like $as->('w', "SELECT await.edge_tail('1:1:', 1)"), qr/permission denied/, 'a worker does not read the tail';
    like $as->('e', "SELECT await.claim(ARRAY['role'], 'w', 1)"), qr/permission denied/, 'an edge does not claim';
};

subtest 'options of await.submit out of range' => sub {
    for my $case (
        [ priority => 101, "priority is a whole number from -100 to 100, not '101'" ],
        [ priority => 99_999, "priority is a whole number from -100 to 100, not '99999'" ],
        [ lease => '2 days', "lease is an interval from 00:00:01 to 1 day, not '2 days'" ],
        [ lease => '0.5 s', "lease is an interval from 00:00:01 to 1 day, not '0.5 s'" ])
    {
        my ($option, $value, $why) = @$case;
        my (undef, $error) =
            stack()->psql("\\set VERBOSITY verbose\n"
                . "SELECT await.submit('q', 'x', options => '{\"$option\": \"$value\"}')");
        like $error, qr/22023: \Q$why\E/, "$option $value";
    }
};

subtest 'no superuser is needed' => sub {
    my $s = stack();
    sql("CREATE ROLE plain LOGIN PASSWORD 'plain'");
    sql('CREATE DATABASE plain OWNER plain', 'postgres');
    my $as = $s->postgres =~ s/dbname=await user=await password=\S+/dbname=plain user=plain password=plain/r;
    like `$Await::Stack::ROOT/tools/await-ctl migrate '$as' 2>&1`,
        qr/^applied schema 1: 0001_baseline\n(?:applied schema .*\n)*applied functions \w+ \(\d+ files\)\n/,
        'its owner migrates';
    like `psql -XAtq -d '$as' -c "SELECT timeline FROM await.edge_hello('{q}', '{0}')" 2>&1`,
        qr/^\d+\.0000000\d\.\d+\n/, 'an edge is told the timeline';
    my $work = "SELECT await.submit('q', 'x'); SELECT attempt FROM await.claim(ARRAY['q'], 'w', 1)";
    like
        `psql -XAtq -d '$as' -c "$work" 2>&1`,
        qr/\n1\n\z/, 'a job is submitted and claimed';
    is `psql -XAtq -d '$as' -c "SELECT await.purge()" 2>&1`, '', 'a purge has nothing to say';
};

like `$Await::Stack::ROOT/tools/await-ctl migrate '@{[ stack()->postgres ]}' 2>&1`,
    qr/^already up to date: schema \d+, functions \w+\n\z/, 'migrate is idempotent';
subtest 'no setting of a session widens what a role may claim' => sub {
    # a function is read with the settings of its caller: with the first, the "_" of a grant was any character
    submit('mail-in');
    sql("SELECT await.grant_queues('worker', '{mail_in}')");
    for my $set ('standard_conforming_strings = off', 'transform_null_equals = on', 'quote_all_identifiers = on') {
        my $worker = Await::Session->new(stack()->postgres('worker'));
        $worker->run($_) for "SET $set", 'SET escape_string_warning = off';
        like $worker->run("SELECT await.claim(ARRAY['mail-in'], 'w')"), qr/may not claim from queue/, "with $set";
    }
    sql('DELETE FROM await.queue_grant');
    my %text = map { $_ => slurp($_) =~ s/--.*//gr } glob "$Await::Stack::ROOT/sql/functions/*/*.sql";
    my @open = grep { $text{$_} =~ s/\bE'(?:[^']|'')*'//gr =~ /\\/ } sort keys %text;
    is_deeply \@open, [], 'a string with a backslash is written E\'\', which is read alike everywhere';
};

finish();
