# await-relay and databases that are not what they were: a standby that has missed something takes over, a server of
# before comes back beside it, a dump is restored. Cursors are never ahead of what is there, and nothing is left out.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Pooler qw(start_pooler point_pooler);
use Await::Relay;
use Await::Replication;
use Await::Test;
use Test::More;
use Time::HiRes qw(time sleep);

my $s = start_stack(without => [qw(nginx redis)]);
my $servers = Await::Replication->new($s, qw(p q r));
sql("ALTER SYSTEM SET $_") for 'wal_log_hints = on', "wal_keep_size = '1GB'";
$s->end('postgres', 'INT');
$servers->start('p');
$servers->make_standby('p', 'q');
$servers->start('q');

sub hosts {
    return
          'host=127.0.0.1,127.0.0.1 port='
        . join(',', map { $servers->port($_) } 'p', 'q')
        . ' dbname=await user=relay';
}
sub has { my ($relay, $id) = @_; my $n = () = $relay->text =~ /"id" ?: ?"\Q$id\E"/g; return $n }
sub streams { return $servers->on('p', q{SELECT pid FROM pg_stat_replication WHERE state = 'streaming'}) }

subtest 'a standby takes over that has missed the last moments' => sub {
    local $s->{relay_place} = hosts();
    my @relays = map { Await::Relay->start("pair$_", qw(--name pair --sink stdout)) } 1, 2;
    eventually 'one leads', sub { sql(q{SELECT count(cursor) FROM await.relay_status('pair')}) == 1 };
    my ($leader, $other) = sort { ($b->text =~ /leading/) <=> ($a->text =~ /leading/) } @relays;
    my $kept = submit('q');
    eventually 'an event is handed on', sub { has($leader, "$kept:1") };
    eventually 'its cursor is stored', sub { status_of('stdout', 'behind') eq '0' };
    my $cursor = sql('SELECT next FROM await.events_after(NULL)');
    my $lsn = sql('SELECT pg_current_wal_lsn()');
    eventually 'and on the standby', sub { $servers->on('q', "SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't' };

    kill 'STOP', streams();    # from now on it misses everything
    my @lost = map { submit('q') } 1 .. 200;
    eventually 'these are handed on', sub { has($leader, "$lost[-1]:1") };
    eventually 'and the cursor is behind them', sub { status_of('stdout', 'behind') eq '0' };
    my $ahead = sql('SELECT next FROM await.events_after(NULL)');
    $servers->kill('p');
    $servers->promote('q');

    my $token = sql(q{SELECT max(token) FROM await.relay_leader WHERE relay = 'pair'});
    my @new = map { submit('q') } 1 .. 5;
    eventually 'what is written on the new primary is handed on', sub {
        my $n = 0;
        for my $id (@new) {
            $n++ if grep { has($_, "$id:1") } @relays;
        }
        return $n == 5;
    };
    is has($leader, "$kept:1") + has($other, "$kept:1"), 1, 'what both servers have is not handed on again';
    unlike join('', map { $_->text } @relays), qr/ahead of this server/, 'no cursor of the former primary is used';
    eventually 'the cursor is one of this server', sub { sql(q{SELECT behind FROM await.relay_status('pair')}) eq '0' };
    cmp_ok sql(q{SELECT max(token) FROM await.relay_leader WHERE relay = 'pair'}), '>=', $token, 'one of them leads';
    my ($out, $error) = $s->psql("SELECT * FROM await.events_after('$ahead', 1)");
    like $error // 'taken', qr/ahead of this server.*(?:failover|restore)/s,
        'a cursor of what was lost is refused, and the reason given';
    is scalar(split /\n/, sql("SELECT id FROM await.events_after('$cursor', 100) WHERE id IS NOT NULL")), 5,
        'one of before goes on';

    # the former primary is there again, as a server of its own: nobody follows it
    $servers->start('p');
    is $servers->on('p', 'SELECT pg_is_in_recovery()'), 'f', 'the former primary comes back, and thinks that it is one';
    my $stray = $servers->on('p', "SELECT await.submit('q', 'x', 'text/plain')");
    push @new, submit('q');
    eventually 'the new primary is followed', sub {
        grep { has($_, "$new[-1]:1") } @relays;
    };
    is has($leader, "$stray:1") + has($other, "$stray:1"), 0, 'and not the other one';
    is $_->stop, 0, 'they end' for @relays;
    $s->end('p', 'INT');
};

subtest 'behind a pooler that keeps its clients, another server takes over' => sub {
    $servers->make_standby('q', 'r');
    $servers->start('r');
    my $port = start_pooler();
    local $s->{relay_place} = "host=127.0.0.1 port=$port dbname=await user=relay";
    my $relay = Await::Relay->start('pooled', qw(--name pooled --sink stdout));
    eventually 'it leads', sub { $servers->on('q', q{SELECT count(cursor) FROM await.relay_status('pooled')}) == 1 };
    my $kept = submit('q');
    eventually 'an event is handed on', sub { has($relay, "$kept:1") };
    eventually 'its cursor is stored', sub {
        $servers->on('q', q{SELECT behind FROM await.relay_status('pooled')}) eq '0';
    };
    my $lsn = $servers->on('q', 'SELECT pg_current_wal_lsn()');
    eventually 'the standby has both', sub { $servers->on('r', "SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't' };

    kill 'STOP', $servers->on('q', q{SELECT pid FROM pg_stat_replication WHERE state = 'streaming'});
    my @lost = map { submit('q') } 1 .. 20;
    eventually 'these are handed on', sub { has($relay, "$lost[-1]:1") };
    # both are primaries for a moment: the former one answers whoever still has a session there
    $servers->promote('r');
    point_pooler($servers->port('r'));
    $servers->kill('q');
    my @new = map { submit('q') } 1 .. 5;
    eventually 'what is written on the other server is handed on', sub {
        @new == grep { has($relay, "$_:1") } @new;
    };
    eventually 'its cursor is one of that server', sub {
        $servers->on('r', q{SELECT behind, reason FROM await.relay_status('pooled')}) eq '0|';
    };
    is has($relay, "$kept:1"), 1, 'what both have is not handed on again';
    is $relay->stop, 0, 'it ends';
    $s->end('pooler', 'INT');
};

my $other;    # ends with the test
subtest 'a dump that is restored: sinks go on with what is written there' => sub {
    my $relay = Await::Relay->start('before', qw(--name dumped --sink stdout));
    $relay->leads;
    my $done = submit('q');
    eventually 'an event is handed on', sub { has($relay, "$done:1") };
    is $relay->stop, 0, 'it ends, and its cursor is stored';
    my $missed = submit('q');
    my $cursor = sql(q{SELECT cursor FROM await.relay_status('dumped')});

    $other = Await::Stack->new(dir => "$s->{dir}/other", fsync => 0);
    $other->start_postgres;
    $other->sql('DROP SCHEMA await CASCADE');
    my $dump = "$s->{dir}/dump";
    my $bin = Await::Stack::pg_bin();
    {
        local $ENV{PGPASSWORD} = $s->password('await');
        system("$bin/pg_dump", '-Fc', '-n', 'await', '-f', $dump, '-d', $s->place('await')) == 0 or die 'pg_dump';
        local $ENV{PGPASSWORD} = $other->password('admin');
        system("$bin/pg_restore", '-d', $other->place('admin'), $dump) == 0 or die 'pg_restore';
    }
    is $other->sql(q{SELECT cursor FROM await.relay_status('dumped')}), $cursor, 'the dump has the cursor';
    local @$s{qw(relay_place password)} = ($other->place('relay'), $other->{password});
    local $s->{pg_port} = $other->{pg_port};
    $relay = Await::Relay->start('after', qw(--name dumped --sink stdout));
    eventually 'a relay leads there', sub { $relay->text =~ /leading the relays "dumped"/ };
    my $new = $other->sql("SELECT await.submit('q', 'x', 'text/plain')");
    eventually 'what is written there is handed on', sub { has($relay, "$new:1") };
    my $state = $other->sql("SELECT await.append_event(await.lock_job('$missed'), 'step', 'processing')");
    eventually 'and what happens to a job of before', sub { has($relay, "$missed:2") };
    is has($relay, "$done:1"), 0, 'what was handed on before the dump is not handed on again';
    eventually 'it has a cursor of its own there',
        sub { $other->sql(q{SELECT behind, coalesce(reason, '-') FROM await.relay_status('dumped')}) eq '0|-' };
    isnt $other->sql(q{SELECT split_part(cursor, '|', 1) FROM await.relay_status('dumped')}),
        (split /\|/, $cursor)[0], 'which belongs to that server';
    is $relay->stop, 0, 'it ends';
};

$s->end('r', 'INT');
finish();
