# Values that workers and back-end code pass to functions: one that is out of bounds is refused with its name and its
# bounds, and nothing is stored; the text of a failure is never refused.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Database qw(submit state);
use Await::Session;
use Await::Test;
use Test::More;

my $s = start_stack(without => [ 'redis', 'nginx' ]);

# What PostgreSQL says to a statement: its error code and message, or nothing.
sub complaint {
    my ($sql) = @_;
    my (undef, $error) = $s->psql("\\set VERBOSITY verbose\n$sql;");
    my ($code, $text) = ($error // '') =~ /ERROR:\s+(\w{5}): (.*)/;
    return $code ? "$code $text" : '';
}
sub jobs { return sql('SELECT count(*) FROM await.job') }

subtest 'options of a submission' => sub {
    my $before = jobs();
    my @bad = map { ("-1 second", "290000 years", "11 years", "soon", "", "infinity")[ $_ ] } 0 .. 5;
    for my $name (qw(delay deadline)) {
        for my $value (@bad) {
            like complaint("SELECT await.submit('q', 'x', 'text/plain', '{\"$name\": \"$value\"}')"),
                qr/^22023 $name is an interval from 00:00:00 to 10 years, not '\Q$value\E'/, "$name $value";
        }
    }
    for my $value ('0', '25 hours', '-1 second', 'NaN') {
        like complaint("SELECT await.submit('q', 'x', 'text/plain', '{\"lease\": \"$value\"}')"),
            qr/^22023 lease is an interval from 00:00:01 to 1 day, not '$value'/, "lease $value";
    }
    # was a bug: a job whose owner is '{"id": 1}' is a job that nobody sees
    for my $name (qw(owner correlation_id trace file_name phase batch retain lease priority)) {
        for my $value ('{"id": 1}', '["x"]', 'true') {
            like complaint("SELECT await.submit('q', 'x', 'text/plain', '{\"$name\": $value}')"),
                qr/^22023 the option $name is a text or a number/, "$name $value";
        }
    }
    # was a bug: in February this one had run out before it began
    is sql("SELECT await.option_span('{\"lease\": \"1 mon -29 days -23:59:50\"}', 'lease', '1 second', '1 day')"),
        '00:00:10', 'a month has thirty days';
    is sql("SELECT await.option_span('{\"delay\": \"-1 year 365 days\"}', 'delay', '-1 day', '1 day')"), '-06:00:00',
        'and a year 365.25 of them';
    like complaint(q(SELECT await.submit('q', 'x', 'text/plain', '{"lease": "1 year -359 days"}'))),
        qr/^22023 lease is an interval from/, 'also where the bounds are';
    # were bugs: raw errors, and line ends in what workers send in a header
    for (
        [ '{"batch": "zz"}', qr/^22023 batch is the id of a batch, not 'zz'/ ],
        [ '{"batch": ""}', qr/^22023 batch is the id of a batch, not ''/ ],
        [ '{"trace": "00\r\nX-Admin: 1"}', qr/^22023 the option trace contains a control character/ ],
        [ '{"correlation_id": "a\u007f"}', qr/^22023 the option correlation_id contains a control character/ ],
        )
    {
        like complaint("SELECT await.submit('q', 'x', 'text/plain', '$_->[0]')"), $_->[1], $_->[0];
    }
    is complaint(q(SELECT await.submit('kept', 'x', 'text/plain', '{"batch": null, "phase": null, "owner": "a\nb"}'))),
        '', 'null is as if it was not there, and an owner may have any characters';
    my %numbers = (priority => [ -100, 100 ], max_attempts => [ 1, 1000 ]);
    for my $name (sort keys %numbers) {
        my ($least, $most) = @{ $numbers{$name} };
        my @wrong = ('1.5', '"1e2"', '"NaN"', '"x"', '""', '99999999999999999999', '"\u0663"', '"1\\n"');
        for my $value ($least - 1, $most + 1, @wrong) {
            like complaint("SELECT await.submit('q', 'x', 'text/plain', '{\"$name\": $value}')"),
                qr/^22023 $name is a whole number from $least to $most, not /, "$name $value";
        }
        for my $value ($least, $most, "\"$most\"", 'null') {
            is complaint("SELECT await.submit('kept', 'x', 'text/plain', '{\"$name\": $value}')"), '', "$name $value";
        }
    }
    is sql("SELECT count(*) FROM await.job j JOIN await.queue q ON q.id = j.queue WHERE q.name = 'q'"), 0,
        'nothing is stored of what was refused';
    is jobs() - $before, 9, 'the others are';
};

# were bugs: '{"id": 1}' was an owner, and what is wrong was said in words of PostgreSQL
subtest 'options of a batch and of a list, and others' => sub {
    my $before = jobs();
    for my $name (qw(owner correlation_id trace on_ready retain deadline)) {
        like complaint("SELECT await.create_batch('{\"$name\": $_}')"),
            qr/^22023 the option $name is a text or a number/, "$name $_"
            for '{"id": 1}', '["x"]', 'true';
    }
    like complaint(q(SELECT await.create_batch('{"trace": "a\nb"}'))), qr/^22023 the option trace contains a control/,
        'a line end';
    is jobs(), $before, 'nothing is stored';
    is complaint(q(SELECT await.create_batch('{"phases": null, "owner": null, "deadline": null}'))), '', 'null is none';
    my %wrong = (
        '{"batch": "zz"}' => qr/^22023 batch is the id of a batch, not 'zz'/,
        '{"owner": {"id": 1}}' => qr/^22023 the option owner is a text or a number/,
        '{"created_after": "2026-01-01 +99"}' => qr/^22023 created_after is a time, not/,
    );
    like complaint("SELECT await.list('$_')"), $wrong{$_}, $_ for sort keys %wrong;
    like complaint('SELECT await.revoke(NULL)'), qr/^22023 await.revoke needs an owner/, 'no owner';
    submit('month', '{}');
    is sql("SELECT lease_for FROM await.claim(ARRAY['month'], 'w', 1, '1 mon -29 days -23:59:50')"), '00:00:10',
        'a lease of a month less 29 days and some is one of ten seconds, in February, too';
    like complaint("SELECT await.claim(ARRAY['month'], 'w', 1, '1 year -359 days')"), qr/^22023 a lease lasts/,
        'and one of six days is too long';
};

# A job of this queue that is claimed: its id and its receipt.
sub claimed {
    my ($queue) = @_;
    submit($queue, '{}');
    return split /\|/, sql("SELECT id, receipt FROM await.claim(ARRAY['$queue'], 'w', 1)");
}

subtest 'spans of a failure and of a release' => sub {
    my ($id, $receipt) = claimed('spans');
    like complaint("SELECT await.fail('$id', '$receipt', '{}', '290000 years')"),
        qr/^22023 retry_in is at most 10 years/,
        'a retry in 290000 years';
    for my $delay ('-1 second', '290000 years') {
        like complaint("SELECT await.release('$id', '$receipt', '$delay')"),
            qr/^22023 the delay of await.release is an interval from 0 to 10 years/, "a release for $delay";
    }
    is sql("SELECT await.complete('$id', '$receipt', 'x')"), 't', 'the attempt goes on all the same';
};

subtest 'the text of a failure' => sub {
    my %errors = (
        'a long text' => "jsonb_build_object('title', 't', 'detail', repeat('x', 100000))",
        'long control characters' =>
            "jsonb_build_object('title', repeat(chr(1), 9000), 'detail', repeat(chr(2), 90000))",
        'many members' =>
            "(SELECT jsonb_object_agg('m' || i, repeat('y', 100)) FROM generate_series(1, 2000) i)",
        'a long text alone' => "to_jsonb(repeat('z', 200000))",
        'a long array' => "(SELECT jsonb_agg(i) FROM generate_series(1, 100000) i)",
    );
    for my $what (sort keys %errors) {
        my ($id, $receipt) = claimed('errors');
        is sql("SELECT await.fail('$id', '$receipt', $errors{$what}, '-1 second')"), 't', "$what: the attempt fails";
        my $ending = "FROM await.event WHERE job = '$id' AND ending";
        my ($size, $cut) = split /\|/, sql("SELECT octet_length(data::text), data ? 'truncated' $ending");
        cmp_ok $size, '<=', 49152, "$what: it fits";
        is $cut, 't', "$what: and says that it was cut";
    }
    my ($id, $receipt) = claimed('errors');
    is sql("SELECT await.fail('$id', '$receipt', '{\"title\": \"short\"}', '-1 second')"), 't',
        'a short one fails, too';
    is sql("SELECT data FROM await.event WHERE job = '$id' AND ending"), '{"title": "short"}', 'and is kept as it is';
    ($id, $receipt) = claimed('errors');
    like complaint("SELECT await.fail('$id', '$receipt', '{\"title\": \"t\", \"status\": 1e99999}', '-1 second')"),
        qr/^22023 the error of an attempt contains a number/, 'a number of 100,000 digits is no text';
};

subtest 'an attempt that is given back for ever' => sub {
    my ($id, $receipt) = claimed('back');
    sql(
        "DO \$\$ DECLARE r record; BEGIN
            PERFORM await.release('$id', '$receipt');
            FOR i IN 2 .. 100 LOOP
                SELECT * INTO r FROM await.claim(ARRAY['back'], 'w', 1);
                PERFORM await.release(r.id, r.receipt);
            END LOOP;
        END \$\$"
    );
    ($id, $receipt) = split /\|/, sql("SELECT id, receipt FROM await.claim(ARRAY['back'], 'w', 1)");
    like $receipt, qr/^1\./, 'a hundred times it is the same attempt';
    sql("SELECT await.release('$id', '$receipt')");
    my $last = "FROM await.event WHERE job = '$id' ORDER BY seq DESC LIMIT 1";
    is sql("SELECT attempt, data -> 'error' ->> 'title' $last"), '1|Released too often', 'then it has failed';
    sql("UPDATE await.delayed SET due = now() WHERE job = '$id'");
    eventually(
        'the next attempt',
        sub { ($id, $receipt) = split /\|/, sql("SELECT id, receipt FROM await.claim(ARRAY['back'], 'w', 1)"); $id }
    );
    like $receipt, qr/^2\./, 'it has the next number';
    is sql("SELECT await.release('$id', '$receipt')"), 't', 'and can be given back';
    is sql("SELECT data ->> 'releases' $last"), 1, 'counted anew';
};

subtest 'a delayed job that cannot be moved' => sub {
    # was a bug: three jobs of a queue that another transaction was just creating stood before those behind them
    my @locked = map { submit('locked', '{"delay": "500 ms"}') } 1 .. 4;
    my ($bad, $good) = map { submit("due$_", '{"delay": "1 second"}') } 1, 2;
    my $holder = Await::Session->new($s->postgres);
    $holder->run("BEGIN; SELECT await.open_lane(await.lane(id, 0::int2)) FROM await.queue WHERE name = 'locked'");
    sql("ALTER TABLE await.ready ADD CONSTRAINT poison CHECK (job <> '$bad') NOT VALID");
    my $ready = 'SELECT count(*) FROM await.ready WHERE job =';
    my $moved = sub { sql('SELECT await.run_maintenance()'); sql("$ready '$good'") };
    eventually('the other one is moved', $moved);
    $holder->run('ROLLBACK');
    my $ids = join ',', map { "'$_'" } @locked;
    my $found = "SELECT count(*) FROM await.ready WHERE job IN ($ids)";
    eventually('those whose queue was locked, too',
        sub { sql('SELECT await.run_maintenance()'); sql($found) == 4 });
    is sql("SELECT due > now() FROM await.delayed WHERE job = '$bad'"), 't', 'it is put off';
    sql('ALTER TABLE await.ready DROP CONSTRAINT poison');
    sql("UPDATE await.delayed SET due = now() WHERE job = '$bad'");
    eventually('and moved later',
        sub { sql('SELECT await.run_maintenance()'); sql("SELECT count(*) FROM await.ready WHERE job = '$bad'") });
};
finish();
