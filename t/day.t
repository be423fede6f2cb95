# A day of a busy queue, hour by hour: the clock jumps three times, and twice the data is dumped and restored into
# another server. Each job ends once, with a whole history; a reader of the user's channel is told of each event once.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Clock;
use Await::Test;
use Test::More;

my ($can, $why) = faked_clock();
plan skip_all => $why if !$can;

$ENV{PGOPTIONS} = '-c client_min_messages=error';    # sql() returns warnings as well
my $s = start_stack(without => [ 'postgres', 'redis', 'nginx' ]);
my @server = (clocked_postgres($s), clocked_postgres(Await::Stack->new(dir => "$s->{dir}/other", fsync => 0)));
$server[0]->sql('DO $$ BEGIN FOR i IN 1 .. 5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$');
my $now = $server[0];                                # where the data is

sub at { my ($sql) = @_; return $now->sql($sql) }

# One hour's work: jobs come, time does what it brings, workers take some: they complete, fail, cancel, or vanish.
my $HOUR = <<'SQL';
DO $$
DECLARE r record;
BEGIN
    PERFORM await.submit('day', 'x', 'text/plain', o::jsonb || '{"owner": "ann", "retain": "1d"}')
        FROM generate_series(1, 4) n, (VALUES ('{}'), ('{"delay": "90 minutes"}'), ('{"deadline": "3 hours"}'),
        ('{"priority": 5, "lease": "30 minutes"}'), ('{"delay": "5 hours"}')) v (o);
    COMMIT;
    PERFORM await.run_maintenance();
    COMMIT;
    FOR r IN SELECT c.id, c.receipt, row_number() OVER () AS n FROM await.claim(ARRAY['day'], 'w', 15) c LOOP
        IF r.n <= 10 THEN
            PERFORM await.complete(r.id, r.receipt, 'ok', 'text/plain');
        ELSIF r.n <= 12 THEN
            PERFORM await.fail(r.id, r.receipt, '{}');
        ELSIF r.n = 13 THEN
            PERFORM await.cancel(r.id);
        END IF;                              -- the others vanish: their leases run out
    END LOOP;
END $$;
SELECT await.purge();
SQL

my %told;    # by job and seq
my ($since, $floor) = ('', 0);
# Reads the user's channel from where it was read last.
sub follow {
    my @rows = split /\n/, at(
        "SELECT upto, id, seq, eid FROM await.edge_user_events('{1}', '{ann}', ARRAY['$since'],
        ARRAY[extract(epoch FROM now())::int8], '{\"\"}', '{0}', '{0}', 10000, 100)"
    );
    for (@rows) {
        my ($upto, $id, $seq, $eid) = split /\|/;
        $since = $upto;
        next if !$id;
        $told{"$id/$seq"}++;
        fail "of before the restore: $id/$seq" if $eid <= $floor;
    }
    return;
}

# Moves the data to the other server; a reader starts anew there, as its cursor of the old one is answered with a reset.
sub move {
    my ($to) = grep { $_ != $now } @server;
    my $dump = "$s->{dir}/dump";
    my $bin = Await::Stack::pg_bin();
    follow();
    local $ENV{PGPASSWORD} = $now->password('await');
    system("$bin/pg_dump", '-Fc', '-n', 'await', '-f', $dump, '-d', $now->place('await')) == 0 or die 'pg_dump';
    $to->sql('DROP SCHEMA IF EXISTS await CASCADE');
    local $ENV{PGPASSWORD} = $to->password('admin');
    system("$bin/pg_restore", '-d', $to->place('admin'), $dump) == 0 or die 'pg_restore';
    $now = $to;
    at("SELECT FROM await.edge_hello('{}', '{}')");
    $floor = at('SELECT floor FROM await.home');
    $since = '';
    follow();
    return;
}

follow();
my $ahead = 0;
my %event = (
    5 => sub { $ahead += 3 },              # three days ahead
    9 => sub { move() },
    12 => sub { $ahead -= 3 + 2 / 24 },    # and back, by two hours too many
    15 => sub { move() },
    18 => sub { $ahead += 1 / 24 },
);
for my $hour (1 .. 24) {
    $event{$hour}->() if $event{$hour};
    $ahead += 1 / 24;
    set_clock($ahead);
    at($HOUR);
    follow();
}
is at('SELECT count(*) > 300 AND count(*) <= 480 FROM await.job WHERE owner = \'ann\''), 't',
    'the day has brought jobs';
is at('SELECT await.reap_lag() < 3600'), 't', 'nothing is overdue for long';
my $left = "SELECT count(*) FROM await.job j WHERE owner = 'ann'
    AND NOT EXISTS (SELECT FROM await.event e WHERE e.class = j.class AND e.job = j.id AND e.ending)";
eventually(
    'all have ended',
    sub {
        $ahead += 1 / 24;
        set_clock($ahead);
        at('SELECT await.run_maintenance()');
        at("SELECT count(await.complete(id, receipt, 'ok', 'text/plain')) FROM await.claim(ARRAY['day'], 'w', 1000)");
        follow();
        at($left) == 0;
    },
    30
);
is at(
    "SELECT count(*) FROM (SELECT job FROM await.event WHERE owner = 'ann' GROUP BY job
    HAVING count(*) FILTER (WHERE ending) <> 1 OR count(*) <> max(seq) - 1) e"
    ),
    0, 'each once, in a whole history';
is at(
    'SELECT (SELECT count(*) FROM await.lease) + (SELECT count(*) FROM await.delayed)
        + (SELECT count(*) FROM await.deadline)'
    ), 0,
    'nothing is left to do';
is_deeply [ grep { $told{$_} > 1 } sort keys %told ], [], 'nothing was told twice';
my @all = split /\n/, at(
    "SELECT id || '/1' FROM await.job WHERE owner = 'ann' UNION ALL
    SELECT job || '/' || seq FROM await.event WHERE owner = 'ann'"
);
my @missed = grep { !$told{$_} } @all;
is_deeply \@missed, [], 'and nothing was missed';
finish();
