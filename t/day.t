# A day of a busy queue, hour by hour: the clock jumps three times, and twice the data is dumped and restored into
# another server. Each job ends once, with a whole history; a reader of the user's channel is told of each event once.
# No job is dropped before it has ended, no two attempts of it count at once, no wait is longer than it was asked for.
# AWAIT_DAY_JOBS=…: of each of five kinds, every hour.

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
my $busy = $ENV{AWAIT_DAY_JOBS} // 4;

sub at { my ($sql) = @_; return $now->sql($sql) }

# One hour's work: jobs come, time does what it brings, workers take some: they complete, fail, cancel, or vanish.
my $HOUR = <<'SQL' =~ s/BUSY/$busy/gr;
DO $$
DECLARE r record;
BEGIN
    INSERT INTO await.t_job (id)
        SELECT await.submit('day', 'x', 'text/plain', o::jsonb || '{"owner": "ann", "retain": "1d"}')
        FROM generate_series(1, BUSY) n, (VALUES ('{}'), ('{"delay": "90 minutes"}'), ('{"deadline": "3 hours"}'),
        ('{"priority": 5, "lease": "30 minutes"}'), ('{"delay": "5 hours"}')) v (o);
    COMMIT;
    LOOP
        EXIT WHEN await.run_maintenance() = 0;
        COMMIT;
    END LOOP;
    COMMIT;
    FOR r IN SELECT c.id, c.receipt, row_number() OVER () AS n FROM await.claim(ARRAY['day'], 'w', 4 * BUSY - 1) c LOOP
        UPDATE await.t_job SET twice = await.complete(r.id, receipt, 'late', 'text/plain')
            WHERE id = r.id AND receipt IS NOT NULL;    -- whoever had it before has lost it
        IF r.n <= 3 * BUSY - 2 THEN
            PERFORM await.complete(r.id, r.receipt, 'ok', 'text/plain');
        ELSIF r.n <= 3 * BUSY THEN
            PERFORM await.fail(r.id, r.receipt, '{}');
        ELSIF r.n = 3 * BUSY + 1 THEN
            PERFORM await.cancel(r.id);
        ELSE                                 -- the others vanish: their leases run out
            UPDATE await.t_job SET receipt = r.receipt WHERE id = r.id;
        END IF;
    END LOOP;
    UPDATE await.t_job t SET ended = e.at FROM await.event e
        WHERE t.ended IS NULL AND e.class = await.class(t.id) AND e.job = t.id AND e.ending;
END $$;
SELECT await.purge();
UPDATE await.t_job t SET kept = clock_timestamp() - ended WHERE kept IS NULL AND NOT EXISTS
    (SELECT FROM await.job j WHERE j.class = await.class(t.id) AND j.id = t.id);
SQL

# What must never be, hour by hour: how often it was.
my %never = (
    'a job that had not ended is gone' =>
        'SELECT count(*) FROM await.t_job t WHERE ended IS NULL AND NOT EXISTS
            (SELECT FROM await.job j WHERE j.class = await.class(t.id) AND j.id = t.id)',
    'a job is gone within a day of its end' => "SELECT count(*) FROM await.t_job WHERE kept < interval '1 day'",
    'an attempt counts after the next one was claimed' => 'SELECT count(*) FROM await.t_job WHERE twice',
    'a job has two leases' => 'SELECT count(*) - count(DISTINCT job) FROM await.lease',
    'a delay is overdue' => "SELECT count(*) FROM await.delayed WHERE due < clock_timestamp() - interval '5 seconds'",
    'a delay is longer than asked for' =>
        "SELECT count(*) FROM await.delayed WHERE due > clock_timestamp() + interval '5 hours 5 seconds'",
    'a lease is longer than asked for' =>
        "SELECT count(*) FROM await.lease WHERE until > clock_timestamp() + span + interval '5 seconds'",
    'a deadline is later than asked for' =>
        "SELECT count(*) FROM await.deadline WHERE at > clock_timestamp() + interval '3 hours 5 seconds'",
);
my %was = map { $_ => 0 } keys %never;

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

at('CREATE TABLE await.t_job (id uuid PRIMARY KEY, ended timestamptz, kept interval, receipt text, twice boolean);
    ALTER TABLE await.t_job OWNER TO await');
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
    my @what = sort keys %never;
    my @found = split /\|/, at('SELECT ' . join ', ', map { "($never{$_})" } @what);
    $was{ $what[$_] } += $found[$_] for 0 .. $#what;
    follow();
}
is at('SELECT count(*) FROM await.t_job'), 24 * 5 * $busy, 'the day has brought jobs';
is at('SELECT count(*) > 0 FROM await.t_job WHERE kept IS NOT NULL'), 't', 'those of three days ago have gone';
is $was{$_}, 0, "never: $_" for sort keys %never;
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
