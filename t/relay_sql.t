# What the database does for relays: who leads, by which token, and how far each sink has come.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Database qw(refused);
use Await::Session;
use Await::Test;
use Test::More;

start_stack(without => [qw(redis nginx)]);

subtest 'who leads' => sub {
    my $lease = sub {
        my ($who, $token, $span) = @_;
        return sql("SELECT token FROM await.relay_lease('r', '$who', $token, '$span')");
    };
    my $first = $lease->('a', 'NULL', '400 ms');
    is $lease->('b', 'NULL', '1 s'), '', 'another stands by';
    is $lease->('a', $first, '400 ms'), $first, 'the leader goes on with its token';
    is $lease->('b', $first, '1 s'), '', 'a token is of no use to another: after a failover it may be another one';
    is sql('SELECT count(*) FROM await.relay_leader'), 1, 'one row, whatever was renewed';
    my ($no) = split /\|/, sql("SELECT no FROM await.relay_open('r', $first, ARRAY['s'])");
    is sql("SELECT moved, no FROM await.relay_advance('r', $first, 's', $no, 'start', 5)"), 't|2', 'it moves cursors';
    my $second;
    until_true('its lease ends', sub { $second = $lease->('b', 'NULL', '10 s') });
    cmp_ok $second, '>', $first, 'the next one has a higher token';
    is $lease->('a', $first, '1 s'), '', 'the one before has lost it';
    is sql("SELECT count(*) FROM await.relay_advance('r', $first, 's', 2, 'start')"), 0, 'and moves no cursor';
    is sql("SELECT no || ' ' || cursor FROM await.relay_open('r', $second, ARRAY['s'])"),
        '2 start', 'the next has its cursors';

    my $slow = Await::Session->new(stack()->postgres);
    $slow->run("BEGIN; SELECT FROM await.relay_advance('r', $second, 's', 2, '0|9:9:')");
    $lease->('b', $second, '1 ms');
    my $third = Await::Session->new(stack()->postgres);
    $third->start("SELECT token FROM await.relay_lease('r', 'c', NULL, '10 s')");
    is $third->finish(0.5), undef, 'who takes over waits for what the one before has begun';
    $slow->run('COMMIT');
    cmp_ok $third->finish, '>', $second, 'then it leads';
    is sql("SELECT cursor FROM await.relay_status('r') WHERE sink = 's'"), '0|9:9:', 'and has what was stored';

    is sql("SELECT await.relay_set('r', 's', 'start'), await.relay_set('r', 'none', 'now')"),
        't|f', 'an operator sets it';
    my $token = sql("SELECT token FROM await.relay_leader WHERE relay = 'r'");
    is sql("SELECT moved, cursor FROM await.relay_advance('r', $token, 's', 3, '0|9:9:')"),
        'f|start', 'the leader learns of it';
    is sql("SELECT delivered FROM await.relay_status('r')"), 5, 'what was counted stays';
    is sql("SELECT await.relay_drop('r', 's')"), 't', 'and drops it';
};

subtest 'a leader that has died before the clock was set back' => sub {
    my $token = sql("SELECT token FROM await.relay_lease('back', 'a', NULL, '10 s')");
    sql("SELECT FROM await.relay_open('back', $token, ARRAY['s'])");
    my $leader = sub { return sql("SELECT coalesce(leader, 'nobody') FROM await.relay_status('back')") };
    my $unserved = sub { return sql("SELECT leader FROM await.relay_unserved('back', ARRAY['s', 'other'])") };
    my $console = sub {
        return sql(
            "SELECT coalesce(r ->> 'leader', 'nobody')
        FROM json_array_elements(await.console_relays()) r WHERE r ->> 'relay' = 'back'"
        );
    };
    is $_->(), 'a', 'it leads' for $leader, $unserved, $console;
    sql("UPDATE await.relay_leader SET until = until + interval '1 hour' WHERE relay = 'back'");
    is $leader->(), 'nobody', 'nobody leads';
    is $console->(), 'nobody', 'the console says so';
    is $unserved->(), '', 'so no sink of it is blamed on its leader';
    $token = sql("SELECT token FROM await.relay_lease('back', 'b', NULL, '10 s')");
    isnt $token, '', 'another one leads at once';
    sql("SELECT FROM await.relay_open('back', $token, ARRAY['s'])");
    is $leader->(), 'b', 'and is shown';
    sql("DELETE FROM await.relay_leader WHERE relay = 'back'");
    sql("SELECT await.relay_drop('back', 's')");
};

subtest 'a token that a failover has undone, and another relay got anew' => sub {
    my $token = sql("SELECT token FROM await.relay_lease('undone', 'a', NULL, '10 s')");
    sql("DELETE FROM await.relay_leader WHERE relay = 'undone'");
    is sql("SELECT token FROM await.relay_lease('undone', 'b', NULL, '10 s')"), $token, 'it is the same number';
    is sql("SELECT token, holder FROM await.relay_lease('undone', 'a', $token, '10 s')"), '|b',
        'the first one stands by';
    is sql("SELECT token FROM await.relay_lease('undone', 'b', $token, '10 s')"), $token, 'the other one goes on';
};

subtest 'what a role may do' => sub {
    my $as = sub {
        my ($role, $sql) = @_;
        return "SET ROLE $role; $sql; RESET ROLE";
    };
    for (
        "SELECT await.relay_lease('x', 'h', NULL, '1 s')",
        "SELECT await.relay_open('x', 1, '{s}')",
        "SELECT await.relay_advance('x', 1, 's', 1, 'start')",
        "SELECT await.relay_set('x', 's', 'now')",
        "SELECT await.relay_drop('y', 's')",
        "SELECT * FROM await.events_after(NULL)",
        "SELECT * FROM await.relay_page(NULL, 1)"
        )
    {
        refused "edge: $_", $as->('edge', $_), qr/permission denied/;
        refused "worker: $_", $as->('worker', $_), qr/permission denied/;
        ok stack()->try_sql($as->('relay', $_)), "relay: $_";
    }
    for (qw(job event relay_leader relay_cursor delivery)) {
        refused "relay: the table $_", $as->('relay', "SELECT FROM await.$_"), qr/permission denied/;
    }
    refused 'relay: the publication', $as->('relay', 'SELECT await.relay_wal(true)'), qr/permission denied/;
};

finish();
