# What a claim hands over, how a worker gives a job back, and jobs that are submitted once (docs/workers.md).

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use Test::More;

my $s = start_stack(without => [ 'redis', 'nginx' ]);
my $worker = Await::Session->new($s->postgres);
my $other = Await::Session->new($s->postgres);
sub run { return $worker->run(@_) }

sub submit {
    my ($queue, $bytes, $options) = @_;
    return run("SELECT await.submit('$queue', convert_to(repeat('x', $bytes), 'UTF8'), 'text/plain', '"
            . ($options // '{}')
            . "')");
}
# id|length of the payload or "none", one for each job
sub claimed {
    my ($queue, $n, $more) = @_;
    return [
        split /\n/,
        run(
            "SELECT id || '|' || coalesce(length(payload)::text, 'none')
        FROM await.claim(ARRAY['$queue'], 'w', $n" . ($more ? ", $more" : '') . ')'
        ) ];
}
sub claim_one {
    my ($queue) = @_;
    return split /\|/, run("SELECT id, receipt, attempt FROM await.claim(ARRAY['$queue'], 'w', 1)");
}
sub history {
    my ($id) = @_;
    return run("SELECT string_agg(type || ' ' || attempt, ', ' ORDER BY seq) FROM await.event WHERE job = '$id'");
}
# columns of the document
sub document {
    my ($id, $columns) = @_;
    return run("SELECT $columns FROM await.edge_jobs(ARRAY['$id'::uuid], ARRAY[0::int2], 0)");
}
sub due { my ($id) = @_; run("UPDATE await.delayed SET due = now() WHERE job = '$id'"); run('SELECT await.reap(100)') }

subtest 'payloads come whole up to the limit' => sub {
    for my $case (
        [ 'empty', 0, undef, 0 ],
        [ 'small', 10, undef, 10 ],
        [ 'the largest in the row', 65_536, undef, 65_536 ],
        [ 'the smallest in pieces', 65_537, undef, 65_537 ],
        [ 'two pieces and one byte', 524_289, undef, 524_289 ],
        [ 'the default limit', 1_048_576, undef, 1_048_576 ],
        [ 'a limit of its own', 3_000_000, 'inline => 3000000', 3_000_000 ],
        [ 'one that exceeds what a call hands over', 20_000_000, 'inline => 20000000', 20_000_000 ],
        [ 'NULL is the default limit', 100_000, 'inline => NULL, pieces => NULL', 100_000 ],
        [ 'pieces, within the limit', 100_000, 'pieces => true', 100_000 ],
        [ 'pieces, beyond the limit', 1_048_577, 'pieces => true', 'none' ],
        [ 'pieces only', 1, 'inline => 0, pieces => true', 'none' ])
    {
        my ($what, $size, $more, $expected) = @$case;
        my $id = submit('whole', $size);
        is_deeply claimed('whole', 10, $more), ["$id|$expected"], "$what: $size bytes";
    }
    run(q{SELECT await.submit('exact', decode(string_agg(md5(n::text), ''), 'hex')) FROM generate_series(1, 20000) n});
    is run(
        q{SELECT payload = (SELECT decode(string_agg(md5(n::text), ''), 'hex') FROM generate_series(1, 20000) n)
        FROM await.claim(ARRAY['exact'], 'w', 1)}
        ),
        't', 'byte by byte as submitted';
};

subtest 'a payload beyond the limit fails its attempt and no other job' => sub {
    my @ids = map { submit('poison', $_) } 5, 1_048_577, 6, 70_000;
    is_deeply claimed('poison', 10), [ "$ids[0]|5", "$ids[2]|6", "$ids[3]|70000" ], 'its neighbours are handed over';
    is history($ids[1]), 'processing 1, pending 1', 'the attempt began and failed';
    is run("SELECT count(*) FROM await.lease WHERE job = '$ids[1]'"), 0, 'nobody holds it';
    my $said = run(
        "SELECT data -> 'error' ->> 'title', data -> 'error' ->> 'detail' FROM await.event
        WHERE job = '$ids[1]' AND type = 'pending'"
    );
    like $said,
        qr/^Payload too large for this worker\|.* 1048577 bytes.* at most 1048576: .*"inline".*pieces => true/,
        'the error says what to do';
    due($ids[1]);
    is_deeply claimed('poison', 10, 'pieces => true'), ["$ids[1]|none"], 'a worker that takes pieces gets it next';
    is run("SELECT attempt FROM await.lease WHERE job = '$ids[1]'"), 2, 'as the second attempt';

    my $last = submit('poison', 101, '{"max_attempts": 1}');
    is_deeply claimed('poison', 1, 'inline => 100'), [], 'the last attempt';
    is document($last, "state, error::jsonb ->> 'title'"), 'failed|Payload too large for this worker',
        'ends the job with that error';
    my $gone = submit('poison', 101);
    run("SELECT await.cancel('$gone')");
    my $good = submit('poison', 7);
    is_deeply claimed('poison', 1, 'inline => 100'), ["$good|7"], 'one that was cancelled meanwhile';
    is history($gone), 'cancelled 0', 'has no further event';

    submit('flood', 50) for 1 .. 130;
    my $behind = submit('flood', 5);
    is_deeply claimed('flood', 10, 'inline => 10'), [], 'a call fails a bounded number of jobs';
    is_deeply claimed('flood', 10, 'inline => 10'), ["$behind|5"], 'and the next call goes on';
};

subtest 'a call hands over a bounded sum' => sub {
    my @ids = map { submit('sum', 6_000_000) } 1 .. 4;
    my $low = submit('sum', 10, '{"priority": -1}');
    my $options = 'inline => 10000000';
    is_deeply claimed('sum', 10, $options), [ map { "$_|6000000" } @ids[ 0, 1 ] ], 'what fits into 16 MB';
    is run("SELECT count(*) FROM await.event WHERE job = '$ids[2]'"), 0, 'the others are untouched';
    is_deeply claimed('sum', 10, $options), [ (map { "$_|6000000" } @ids[ 2, 3 ]), "$low|10" ],
        'the next call gets them, in their order, and before those of lower priority';
    my ($small, $huge, $more) = map { submit('sum', $_) } 10, 17_000_000, 20;
    $options = 'inline => 20000000';
    is_deeply claimed('sum', 10, $options), ["$small|10"], 'those before a huge one come without it';
    is_deeply claimed('sum', 10, $options), ["$huge|17000000"], 'the huge one comes alone';
    is_deeply claimed('sum', 10, $options), ["$more|20"], 'then those behind it';
    my @pieces = map { submit('sum', 1_100_000) } 1 .. 20;
    is_deeply claimed('sum', 20, 'pieces => true'), [ map { "$_|none" } @pieces ], 'payloads in pieces do not count';
};

subtest 'await.payload' => sub {
    my %id = (row => submit('read', 60_000), pieces => submit('read', 600_000));
    run("SELECT count(*) FROM await.claim(ARRAY['read'], 'w', 2)");
    for my $case (
        [ row => '', 60_000 ],
        [ pieces => '', 600_000 ],
        [ row => ', 59999', 1 ],
        [ pieces => ', 262143', 337_857 ],
        [ pieces => ', 600000', 0 ],
        [ row => ', 70000', 0 ],
        [ row => ', 10, 5', 5 ],
        [ pieces => ', 262140, 10', 10 ],
        [ pieces => ', 1, 599000', 599_000 ],
        [ pieces => ', 599990, 100', 10 ],
        [ pieces => ', NULL, NULL', 600_000 ],
        [ pieces => ', 0, 0', 0 ])
    {
        my ($kind, $range, $expected) = @$case;
        is run("SELECT length(await.payload('$id{$kind}', test.receipt('$id{$kind}')$range))"), $expected,
            "$kind: payload(id, receipt$range)";
    }
    like run("SELECT await.payload('$id{row}', test.receipt('$id{row}'), -1)"), qr/from an offset of 0 or more/,
        'a negative offset';
    like run("SELECT await.payload('$id{row}', test.receipt('$id{row}'), 0, 268435457)"), qr/reads 0 to 268435456/,
        'too long a piece';
    is run("SELECT await.payload('$id{row}', 'wrong') IS NULL"), 't', 'a wrong receipt gets NULL';
    like run("SELECT await.claim(ARRAY['read'], 'w', 1, inline => $_)"), qr/from 0 to 268435456/, "inline => $_"
        for -1, 268_435_457;
};

subtest 'release gives a job back' => sub {
    my $id = submit('back', 3);
    my (undef, $receipt, $attempt) = claim_one('back');
    is $attempt, 1, 'claimed';
    run("SELECT await.append_result('$id', '$receipt', 0, 'left')");
    is run("SELECT await.release('$id', '$receipt')"), 't', 'and released';
    is document($id, 'state, attempt'), 'pending|0', 'it is pending, as before the claim';
    is run("SELECT await.$_"), 'f', "a zombie changes nothing: $_"
        for "release('$id', '$receipt')", "complete('$id', '$receipt', 'x')", "fail('$id', '$receipt', '{}')";
    is run("SELECT await.heartbeat('$id', '$receipt')"), 'lost', 'and its heartbeat is lost';
    (undef, my $again, $attempt) = claim_one('back');
    is $attempt, 1, 'the next claim has the same number';
    isnt $again, $receipt, 'and another receipt';
    is run("SELECT await.complete('$id', '$again', NULL)"), 't', 'it completes, with the pieces that it stored:';
    is document($id, 'state, size'), 'completed|0', 'none; those of the claim before are gone';

    my $limited = submit('back', 3, '{"max_attempts": 1}');
    for (1 .. 3) { my (undef, $r) = claim_one('back'); run("SELECT await.release('$limited', '$r')") }
    is history($limited), join(', ', ('processing 1', 'pending 0') x 3), 'as often as one likes, also the only attempt';

    my (undef, $r) = claim_one('back');
    is run("SELECT await.release('$limited', '$r', '1 hour')"), 't', 'with a delay';
    is_deeply claimed('back', 5), [], 'it is not claimed before';
    due($limited);
    is_deeply claimed('back', 5), ["$limited|3"], 'and is after it';

    is run("SELECT await.release('$limited', '1.wrong')"), 'f', 'a wrong receipt: false';
    is run("SELECT await.release('$limited', NULL)"), 'f', 'no receipt: false';
    is run("SELECT await.release('01a20229-85dd-7905-b3ad-942074197547', '1.x')"), 'f', 'an unknown job: false';
    like run("SELECT await.release('$limited', test.receipt('$limited'), '-1 s')"), qr/from 0 to 10 years/,
        'a negative delay is an error';
    run("SELECT await.cancel('$limited')");
    is run("SELECT await.release('$limited', test.receipt('$limited'))"), 'f', 'a cancelled job: false';
    is document($limited, 'state'), 'cancelled', 'and it stays cancelled';
};

subtest 'release and its rivals' => sub {
    for my $rival (
        "complete('ID', 'RECEIPT', 'x')",
        "fail('ID', 'RECEIPT', '{}')",
        "release('ID', 'RECEIPT')",
        "cancel('ID')"
        )
    {
        my $id = submit('race', 3);
        my (undef, $receipt) = claim_one('race');
        $other->run('BEGIN');
        my $first = $other->run("SELECT await.$rival" =~ s/ID/$id/r =~ s/RECEIPT/$receipt/r);
        $worker->start("SELECT await.release('$id', '$receipt')");
        eventually('the release waits',
            sub { sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = $worker->{backend}") });
        $other->run('COMMIT');
        is $worker->finish, 'f', "after $rival ($first) of another session it changes nothing";
        is history($id) =~ tr/,//, 1, 'there is one event after the claim';
        run("SELECT await.cancel('$id')");
        is_deeply claimed('race', 5), [], 'no ready row is left behind';
    }
};

subtest 'a key submits once' => sub {
    my $submit = sub {
        my ($key, %o) = @_;
        return
              "SELECT await.submit('"
            . ($o{queue} // 'once') . "', '"
            . ($o{payload} // 'x') . "', '"
            . ($o{type} // 'text/plain') . "', '"
            . ($o{options} // '{}')
            . "', key => '$key'"
            . ($o{keep} ? ", keep_key => '$o{keep}'" : '') . ')';
    };
    my $first = run($submit->('k'));
    is run($submit->('k')), $first, 'a repetition gets the first job';
    is run("SELECT count(*) FROM await.ready WHERE job = '$first'"), 1, 'which is queued once';
    is run($submit->('k', options => '{"priority": 5, "trace": "t", "delay": "1 s"}')), $first,
        'how it is to run does not count';
    for my $case (
        [ payload => 'y' ],
        [ type => 'text/html' ],
        [ options => '{"params": {"a": 1}}' ],
        [ options => '{"file_name": "f"}' ])
    {
        like run('\set VERBOSITY verbose' . "\n" . $submit->('k', @$case)),
            qr/23505: the key 'k' was already used in queue 'once' .*\nDETAIL:  It stands for job \Q$first\E/,
            "another request, another $case->[0]: an error";
    }
    isnt run($submit->('k', queue => 'once.more')), $first, 'another queue, another job';
    isnt run($submit->('k', options => '{"owner": "o"}')), $first, 'another owner, another job';
    isnt run($submit->('K')), $first, 'another key, another job';
    is run("BEGIN;\n" . $submit->('undone') . ";\nROLLBACK;\nSELECT count(*) FROM await.idem WHERE key LIKE '%undone'")
        =~ s/.*\n//r, 0,
        'a rollback takes the key back';

    claimed('once', 100);
    run("SELECT await.complete('$first', test.receipt('$first'), 'done')");
    is run($submit->('k')), $first, 'an ended job keeps its key';
    run("UPDATE await.idem SET until = now() WHERE job = '$first'");
    my $second = run($submit->('k', payload => 'y', keep => '1 hour'));
    isnt $second, $first, 'a key that is no longer kept is free';
    is run("SELECT until BETWEEN now() + '59 min' AND now() + '1 hour' FROM await.idem WHERE job = '$second'"), 't',
        'keep_key says how long';
    my $short = run($submit->('short', options => '{"retain": "1d"}', keep => '9 years'));
    is run("SELECT until <= now() + '1 day' FROM await.idem WHERE job = '$short'"), 't', 'and not longer than the job';

    $other->run('BEGIN');
    my $winner = $other->run($submit->('race'));
    $worker->start($submit->('race'));
    eventually('the second waits',
        sub { sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = $worker->{backend}") });
    $other->run('COMMIT');
    is $worker->finish, $winner, 'of two at once, the second gets the job of the first';
    $other->run('BEGIN');
    my $loser = $other->run($submit->('undo'));
    $worker->start($submit->('undo'));
    eventually('the second waits',
        sub { sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = $worker->{backend}") });
    $other->run('ROLLBACK');
    isnt $worker->finish, $loser, 'of one that is rolled back, nothing is left';

    is run(
        "SELECT clash FROM await.edge_submit_once(ARRAY[await.new_id()], '{once}', '{0}', '{NULL}', '{NULL}', '{NULL}',
        '{text/plain}', '{NULL}', '{NULL}', ARRAY['x'::bytea], '{1}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{k}',
        ARRAY['f'::bytea], '{1000}')"
        ),
        'f',
        'a header of a client does not take the keys of back-end code';
    like run($submit->('')), qr/a key has 1 to 255 characters, not 0/, 'an empty key is an error';
    like run($submit->('k' x 256)), qr/a key has 1 to 255 characters, not 256/, 'one that is too long';
    like run($submit->('k', keep => $_)), qr/a key is kept for a second to ten years/, "keep_key $_"
        for '0 s', '-1 day', '11 years';
};

subtest 'calls as workers of the release before make them' => sub {
    my $id = run("SELECT await.submit('before', 'x', 'text/plain', '{}')");
    is_deeply [
        split /\|/, run("SELECT id, attempt, payload_size FROM await.claim(ARRAY['before'], 'w', 1, '1 min'::interval)")
        ],
        [ $id, 1, 1 ], 'submit and claim with four arguments';
    is run("SELECT await.payload('$id', test.receipt('$id'), 0::bigint, 262144)"), '\x78', 'payload with four';
};

subtest 'rights' => sub {
    sql("CREATE ROLE plain LOGIN PASSWORD 'plain'; CREATE ROLE hand LOGIN PASSWORD 'hand' IN ROLE await_worker");
    my %as = map { $_ => Await::Session->new($s->place($_) . " password=$_") } qw(plain hand);
    my $id = $as{hand}->run("SELECT await.submit('rights', 'x', key => 'k')");
    my $receipt = $as{hand}->run("SELECT receipt FROM await.claim(ARRAY['rights'], 'w', 1, pieces => true)");
    is $as{hand}->run("SELECT await.release('$id', '$receipt')"), 't',
        'a worker submits with a key, claims and releases';
    like $as{plain}->run("SELECT await.release('$id', '$receipt')"), qr/permission denied/, 'others do not release';
    like $as{hand}->run($_), qr/permission denied/, "a worker does not call $_"
        for "SELECT await.take_keys('{}', '{}', '{}', '{}', '{}', '{}')", "SELECT await.stored_payload('$id')",
        "SELECT await.refuse_payload('$id', 1::int2, 1)";
};

finish();
