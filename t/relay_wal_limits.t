# await-relay --source wal within limits: all slots are in use, a slot that keeps too much (--wal-limit), and a pooler
# in front of everything but the log (--wal-postgres).

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Pooler qw(start_pooler);
use Await::Relay;
use Await::Session;
use Await::Test;
use Test::More;

my $s = start_stack(without => [qw(nginx redis)]);
sql($_)
    for 'ALTER SYSTEM SET wal_level = logical', 'ALTER SYSTEM SET max_replication_slots = 2',
    q{ALTER SYSTEM SET wal_keep_size = 0}, 'ALTER ROLE relay REPLICATION', 'SELECT await.relay_wal(true)';
$s->end('postgres', 'INT');
$s->{migrated} = 1;
$s->start_postgres;
my @only_log = qw(--poll 1h);
sub slots { return sql(q{SELECT count(*) FROM pg_replication_slots WHERE slot_name ~ '^await_relay_'}) }
sub has {
    my ($relay, @ids) = @_;
    return @ids == grep { $relay->text =~ /"$_:1"/ } @ids;
}

subtest 'all slots are in use' => sub {
    sql("SELECT pg_create_physical_replication_slot('taken$_')") for 1, 2;
    my $check = Await::Relay->start('check', qw(--source wal --sink stdout --check));
    is $check->status, 1, '--check: 1';
    like $check->text, qr/^source wal: all 2 replication slots are in use: raise max_replication_slots, or drop one/m,
        'with the remedy';
    my $relay = Await::Relay->start('full', qw(--name full --source wal --sink stdout));
    $relay->leads;
    my $id = submit('q');
    eventually 'events are handed on from the tables', sub { has($relay, $id) };
    eventually 'the log says why',
        sub { $relay->text =~ /cannot follow the write-ahead log.*replication slots are in use/ };
    sql("SELECT pg_drop_replication_slot('taken$_')") for 1, 2;
    eventually 'when one is free, it is taken', sub { $relay->text =~ /the write-ahead log is followed/ }, 40;
    is $relay->stop, 0, 'it ends';
};

subtest 'a pooler in front of everything but the log' => sub {
    my $port = start_pooler(size => 3);
    my $direct = $s->place('relay');
    local $s->{relay_place} = "host=127.0.0.1 port=$port dbname=await user=relay";
    my $check = Await::Relay->start('check-pooled', qw(--source wal --sink stdout --check));
    is $check->status, 1, 'without --wal-postgres: 1';
    like $check->text, qr/^source wal: (?!ok)/m, 'a pooler does not replicate';
    $check = Await::Relay->start('check-both', qw(--source wal --sink stdout --check --wal-postgres), $direct);
    is $check->status, 0, 'with it: 0' or diag $check->text;
    my $relay =
        Await::Relay->start('pooled', qw(--name pooled --source wal --sink stdout --wal-postgres), $direct, @only_log);
    $relay->leads;
    eventually 'the log is followed', sub { $relay->text =~ /the write-ahead log is followed/ };
    my @ids = map { submit('q') } 1 .. 20;
    eventually 'events come by it', sub { has($relay, @ids) };
    sql('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots');
    push @ids, map { submit('q') } 1 .. 20;
    eventually 'and after a cut', sub { has($relay, @ids) };
    my %times;
    $times{ $_->{id} }++ for $relay->events;
    is scalar(keys %times), 40, 'all of them';
    is scalar(grep { $times{"$_:1"} > 1 } @ids[ 20 .. 39 ]), 0, 'those of after the cut once';
    is $relay->stop, 0, 'it ends';
};

# A relay whose slot is given up while a transaction is open, and the jobs that were submitted. One that loses its
# lease meanwhile, because it is not let run in time, gets no new slot as long as that transaction is open: nothing.
sub given_up {
    my ($name) = @_;
    my $relay = Await::Relay->start($name, '--name', $name, qw(--source wal --sink stdout --wal-limit 16));
    $relay->leads;
    eventually "$name: the log is followed", sub { $relay->text =~ /the write-ahead log is followed/ };
    my @ids = map { submit('q') } 1 .. 5;
    eventually "$name: events come by it", sub { has($relay, @ids) };
    my $session = Await::Session->new($s->postgres);
    $session->run('BEGIN');
    push @ids, $session->run("SELECT await.submit('q', 'x', 'text/plain')");    # it holds the slot
    sql("SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000000))") for 1 .. 20;
    push @ids, map { submit('q') } 1 .. 5;
    sql('CHECKPOINT');
    my $lost = sub { $relay->text =~ /not leading any more/ };
    eventually "$name: the slot is given up",
        sub { $lost->() || slots() == 0 && $relay->text =~ /--wal-limit|keeps? more/ }, 30;
    push @ids, map { submit('q') } 1 .. 5;
    my $as_asked = !$lost->();
    $session->run('COMMIT');
    return ($relay, @ids) if $as_asked;
    $relay->stop;
    return;
}

subtest 'a slot that keeps more than --wal-limit is given up, and nothing is lost' => sub {
    my ($relay, @ids);
    for (1 .. 5) { ($relay, @ids) = given_up("limited$_"); last if $relay }
    ok $relay, 'its lease lasts' or return;
    push @ids, map { submit('q') } 1 .. 5;
    ok until_true('all come', sub { has($relay, @ids) }), 'all events are handed on, the late one too'
        or diag $relay->text =~ s/^\{.*\n//gmr;
    is slots(), 0, 'from the tables: there is no slot for a minute';
    eventually 'the cursor is stored', sub { sql("SELECT behind FROM await.relay_status('$relay->{name}')") eq '0' };
    is $relay->stop, 0, 'it ends';
};

finish();
