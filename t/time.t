# Days that pass and clocks that are set: a job that has not ended is never dropped, and its retention counts from its
# end; a wrong clock costs seconds. The clock is the database's, faked.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Clock;
use Await::Database qw(:DEFAULT submit state);
use Await::Test;
use Test::More;

my ($can, $why) = faked_clock();
plan skip_all => $why if !$can;

$ENV{PGOPTIONS} = '-c client_min_messages=error';    # sql() returns warnings as well
clocked_postgres(start_stack(without => [ 'postgres', 'redis', 'nginx' ]));

# What edges and workers do, until there is no more of it.
sub tend {
    sql('SELECT await.run_maintenance()') for 1 .. 2;
    1 while purge() =~ /^more/m;
    return;
}

subtest 'retention counts from the end, and a job that has not ended stays' => sub {
    my %large = map { $_ => submit("large-$_", '{"retain": "1d"}', 100_000) } 'waits', 'ended';
    my %job = (
        'a delay longer than its retention' => submit('delayed', '{"delay": "10 days"}'),
        'a backlog' => submit('backlog', '{"retain": "1d"}'),
        'a backlog with pieces' => $large{waits},
        'a deadline after its retention' => submit('bounded', '{"retain": "1d", "deadline": "5 days"}'),
        'work that lasts for days' => submit('long', '{"retain": "1d", "lease": "1 day"}'),
        'a retry that waits for days' => submit('again', '{"retain": "1d"}'),
        'cancelled after days' => submit('cancelled', '{"retain": "1d"}'),
        'ended at once' => submit('quick', '{"retain": "1d"}'),
        'ended at once, with pieces' => $large{ended},
        'for ever' => submit('kept', '{"retain": "keep"}'),
    );
    my $take = sub { sql("SELECT count(*) FROM await.claim(ARRAY['$_[0]'], 'w', 10)") };
    my $end = sub { sql("SELECT await.complete('$_[0]', test.receipt('$_[0]'), 'done', 'text/plain')") };
    $take->($_) for 'long', 'again', 'quick', 'large-ended', 'kept';
    $end->($job{$_}) for 'ended at once', 'ended at once, with pieces', 'for ever';
    sql(
        "SELECT await.fail('$job{'a retry that waits for days'}', test.receipt('$job{'a retry that waits for days'}'),
        '{}', '6 days')"
    );
    my %seen;
    my $all = join ', ', map { "'$_'" } values %job;
    my %name = reverse %job;
    my $sample = sub {
        my ($day) = @_;
        $seen{$_}{$day} = 'gone' for keys %job;
        for (
            split /\n/,
            sql(
                "SELECT j.id, coalesce((SELECT state FROM await.event e WHERE e.job = j.id
            ORDER BY seq DESC LIMIT 1), 'pending') FROM await.job j WHERE j.id IN ($all)"
            ))
        {
            my ($id, $state) = split /\|/;
            $seen{ $name{$id} }{$day} = $state;
        }
    };
    my $long = $job{'work that lasts for days'};
    for my $day (0.9, 1.8, 2.7, 3.6, 4.5, 5.1, 5.5, 6, 6.5, 7, 7.5, 8.5, 10, 11, 15) {
        set_clock($day);
        sql("SELECT await.heartbeat('$long', test.receipt('$long'))") if $day <= 6;
        tend();
        $sample->($day);
        if ($day == 6) {
            is $end->($long), 't', 'after six days the work is done';
            is sql("SELECT await.cancel('$job{'cancelled after days'}')"), 'cancelled', 'another is cancelled';
        }
        if ($day == 7) {
            is $take->('again'), 1, 'the second attempt comes';
            is $end->($job{'a retry that waits for days'}), 't', 'and ends the job';
        }
        is $take->('delayed'), 1, 'what was delayed can be claimed' if $day == 11;
    }
    my %expected = (
        'a delay longer than its retention' => { 8.5 => 'pending', 10 => 'pending', 11 => 'pending' },
        'a backlog' => { 3.6 => 'pending', 15 => 'pending' },
        'a backlog with pieces' => { 15 => 'pending' },
        'a deadline after its retention' => { 4.5 => 'pending', 5.1 => 'expired', 5.5 => 'expired', 10 => 'gone' },
        'work that lasts for days' => { 6 => 'processing', 6.5 => 'completed', 10 => 'gone' },
        'a retry that waits for days' => { 5.5 => 'pending', 7.5 => 'completed', 11 => 'gone' },
        'cancelled after days' => { 6 => 'pending', 6.5 => 'cancelled', 10 => 'gone' },
        'ended at once' => { 0.9 => 'completed', 10 => 'gone' },
        'ended at once, with pieces' => { 0.9 => 'completed', 10 => 'gone' },
        'for ever' => { 15 => 'completed' },
    );
    for my $what (sort keys %expected) {
        is $seen{$what}{$_}, $expected{$what}{$_}, "$what: after $_ days $expected{$what}{$_}"
            for sort { $a <=> $b } keys %{ $expected{$what} };
    }
    is sql("SELECT sum(length(bytes)) FROM await.chunk WHERE job = '$large{waits}'"), 100_000,
        'the pieces of what waits are there';
    is sql("SELECT count(*) FROM await.chunk WHERE job = '$large{ended}'"), 0, 'the others are gone';
    is sql("SELECT count(*) FROM await.queue WHERE name = 'backlog'"), 1, 'a queue is kept as long as its jobs';
    is sql("SELECT count(*) FROM await.claim(ARRAY['backlog'], 'w', 1)"), 1, 'the backlog can be worked on';
    $end->($job{'a backlog'});
    sql("SELECT await.cancel('$large{waits}')");
    for my $day (17, 19) { set_clock($day); tend() }
    is sql("SELECT count(*) FROM await.old_partitions() WHERE class = 0"), 0, 'when all have ended the partitions go';
    is sql(
        "SELECT (SELECT count(*) FROM await.late_ending WHERE class = 0),
        (SELECT count(*) FROM await.ready WHERE job = '$large{waits}')"
        ),
        '0|0', 'and nothing is left of them';
};

subtest 'a clock that was ahead costs seconds' => sub {
    my %at = (
        lease => '{"lease": "5 seconds"}',
        delay => '{"delay": "2 seconds"}',
        deadline => '{"deadline": "2 seconds"}',
        retry => '{}'
    );
    set_clock(40);    # no partition has been made for so far ahead
    sql('SELECT await.run_maintenance()');
    my %job = map { $_ => submit("ahead-$_", $at{$_}) } keys %at;
    sql("SELECT count(*) FROM await.claim(ARRAY['ahead-lease', 'ahead-retry'], 'w', 2)");
    sql(
        "SELECT await.fail('$job{retry}', test.receipt('$job{retry}'), '{}', '2 seconds');
        SELECT await.run_maintenance()"
    );
    sql(q{SELECT await.revoke('ahead')});
    set_clock(20);
    my $new = submit('ahead-new', '{"delay": "1 second"}');
    my $claimed = sub {
        my ($queue) = @_;
        return sub { sql("SELECT count(*) FROM await.claim(ARRAY['$queue'], 'w', 1)") == 1 };
    };
    eventually('the delay of a new job passes', $claimed->('ahead-new'), 10);
    eventually('a delay of then passes', $claimed->('ahead-delay'), 10);
    eventually('a retry of then comes', $claimed->('ahead-retry'), 10);
    eventually('a deadline of then comes',
        sub { sql('SELECT await.run_maintenance()'); &state($job{deadline}) eq 'expired' }, 10);
    eventually(
        'who was revoked then gets in with a new ticket',
        sub {
            sql('SELECT await.run_maintenance()');
            sql(
                q{SELECT good FROM (SELECT extract(epoch FROM clock_timestamp())::int8 * 1000 + 1000 AS ms) n,
                await.edge_use_tickets(ARRAY[gen_random_uuid()], '{ahead}', ARRAY[ms], ARRAY[ms + 60000])}
            ) eq 't';
        },
        10
    );
    eventually('a lease of then runs out', $claimed->('ahead-lease'), 15);
};

# As after a clock that was ahead: the purge has dropped the days to which it is set back.
subtest 'a day without partitions' => sub {
    my $old = submit('back', '{}');
    my $batch = sql(q{SELECT await.create_batch('{}')});
    sql("SELECT await.cancel('$old')");
    my %as = (
        submit => q{await.submit('back', 'x')},
        retry => "await.retry('$old')",
        create_batch => q{await.create_batch('{}')},
        'submit into a batch' => qq{await.submit('back', 'x', 'text/plain', '{"retain": "7d", "batch": "$batch"}')},
        edge_submit => q{(await.edge_submit(ARRAY[await.new_id(1::int2)], '{back}', '{0}', '{NULL}', '{NULL}', '{NULL}',
            '{text/plain}', '{NULL}', '{NULL}', '{x}', '{1}', '{NULL}', '{NULL}', '{NULL}', '{NULL}')).id},
    );
    my $day = 21;
    for my $what (sort keys %as) {
        sql("DROP TABLE await.$_") for split /\n/, sql(
            q{SELECT relname FROM pg_class WHERE relname ~ '^(job|event|chunk)_1_[0-9]{8}$' AND
            relname > await.partition_name(substr(relname, 1, strpos(relname, '_') - 1), 1::int2, clock_timestamp())}
        );
        set_clock($day++);
        ok eval { sql("SELECT $as{$what} IS NOT NULL") eq 't' }, $what or diag $@;
    }
};
finish();
