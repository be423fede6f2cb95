package Await::Database;

# What a test does to the database behind nginx: a purge now, days that have passed, sessions that hold locks, timings.

use strict;
use warnings;
no warnings 'exec';
use Await::Test;
use Test::More;

use Exporter 'import';
our @EXPORT = qw(refused old_partition timed purge purger background end);
our @EXPORT_OK = qw(counted end_sessions submit state);

# A job of so many bytes (1), submitted by SQL. Options: JSON.
sub submit {
    my ($queue, $options, $bytes) = @_;
    $bytes //= 1;
    $options //= '{}';
    return sql("SELECT await.submit('$queue', convert_to(repeat('x', $bytes), 'UTF8'), 'text/plain', '$options')");
}
# Of a job, as the database has it; "gone" if it has none.
sub state {
    my ($id) = @_;
    return sql(
        "SELECT coalesce((SELECT coalesce((SELECT state FROM await.event e WHERE e.job = j.id ORDER BY seq DESC
        LIMIT 1), 'pending') FROM await.job j WHERE id = '$id'), 'gone')"
    );
}
# PostgreSQL refuses the statement, and says why in few words.
sub refused {
    my ($what, $sql, $why) = @_;
    my (undef, $error) = stack()->psql($sql);
    like $error // 'it was taken', $why, $what;
    unlike $error // '', qr/\d{500}/, "$what: and no long message";
}
# A partition of jobs of that day, up to the next one.
sub old_partition {
    my ($day, $next) = @_;
    my ($from, $to) = map { sql("SELECT await.floor_id('$_ 00:00Z')") } $day, $next;
    my $name = 'await.job_0_' . $day =~ tr/-//dr;
    sql("CREATE TABLE $name (LIKE await.job INCLUDING ALL);
        ALTER TABLE await.job ATTACH PARTITION $name FOR VALUES FROM (0, '$from') TO (0, '$to')");
}
# The best of some, in milliseconds; not the first, which fills the session's caches.
sub timed {
    my ($sql) = @_;
    return sql(<<"SQL");
DO \$\$
DECLARE t timestamptz; best numeric := 1e9;
BEGIN
    PERFORM $sql;
    FOR i IN 1 .. 10 LOOP
        t := clock_timestamp();
        PERFORM $sql;
        best := least(best, extract(epoch FROM clock_timestamp() - t) * 1000);
    END LOOP;
    PERFORM set_config('t.ms', best::text, false);
END \$\$;
SELECT current_setting('t.ms')
SQL
}

# Purges, behind whoever is at it: nginx is, once an hour.
sub purge { return sql("BEGIN; SELECT FROM await.turn WHERE what = 'purge' FOR UPDATE; SELECT await.purge(); COMMIT") }

# SQL in a session of its own, statement by statement; its pid.
sub background {
    my ($sql, $conninfo) = @_;
    my $pid = fork // die;
    if (!$pid) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>&', \*STDOUT;
        exec 'psql', '-XAtq', '-d', $conninfo // stack()->postgres, map { ('-c', $_) } ref $sql ? @$sql : $sql;
    }
    return $pid;
}
# The name of the connection that calls await.purge() next.
sub purger {
    sql(<<'SQL');
CREATE TABLE test.purged (who text);
GRANT INSERT ON test.purged TO PUBLIC;
ALTER FUNCTION await.purge() RENAME TO true_purge;
CREATE FUNCTION await.purge() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO test.purged VALUES (current_setting('application_name'));
    SELECT * FROM await.true_purge()
$$;
GRANT EXECUTE ON FUNCTION await.purge() TO await_edge;
SQL
    until_true('somebody purges', sub { sql('SELECT count(*) FROM test.purged') > 0 }, 30);
    sql('DROP FUNCTION await.purge(); ALTER FUNCTION await.true_purge() RENAME TO purge');
    return sql("SELECT coalesce(string_agg(DISTINCT who, ' '), 'nobody') FROM test.purged");
}
# Counts the calls of a function of the schema await that returns a single value, from now on: ($calls, $end), of which
# the first gives their number, the second makes the function what it was. What pg_stat_user_functions has, sessions
# report up to ten seconds late.
sub counted {
    my ($signature) = @_;
    my ($name) = $signature =~ /^(\w+)/;
    my $was = sql("SELECT pg_get_functiondef('await.$signature'::regprocedure)");
    my ($head) = $was =~ /^(.*\n) LANGUAGE /s or die "no definition: $was";
    my $n = sql("SELECT pronargs FROM pg_proc WHERE oid = 'await.$signature'::regprocedure");
    my $arguments = join ', ', map { "\$$_" } 1 .. $n;
    sql($was =~ s/ await\.$name\(/ test.$name(/r);
    sql("CREATE SEQUENCE IF NOT EXISTS test.calls_of_$name; GRANT ALL ON SEQUENCE test.calls_of_$name TO PUBLIC");
    sql("$head LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS \$test\$ BEGIN
        PERFORM nextval('test.calls_of_$name'); RETURN test.$name($arguments); END \$test\$");
    my $calls = sub { return sql("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM test.calls_of_$name") };
    return ($calls, sub { sql($was); return });
}

# Ends all sessions of workers, so that those which were killed or stopped get nothing any more: PostgreSQL does what it
# was asked for, a claim for example, until it notices.
sub end_sessions {
    my $theirs = sql("SELECT array_agg(pid) FROM pg_stat_activity WHERE usename = 'worker'");
    my $ended = "SELECT count(pg_terminate_backend(pid)) = 0 FROM pg_stat_activity WHERE pid = ANY ('$theirs')";
    return !$theirs || until_true('the sessions of workers end', sub { sql($ended) eq 't' });
}

# Ends one that sleeps, and its session with it.
sub end {
    my ($pid) = @_;
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(%'
        AND pid <> pg_backend_pid()");
    waitpid $pid, 0;
    until_true(
        'its session is gone',
        sub {
            sql("SELECT count(*) FROM pg_stat_activity
                WHERE query LIKE '%pg_sleep(%' AND pid <> pg_backend_pid()") == 0;
        });
}

1;
