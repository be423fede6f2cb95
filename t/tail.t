# A cursor over many jobs is a snapshot: nothing skipped, nothing told twice, no stall behind anybody's long
# transaction.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(without => [ 'redis', 'nginx' ]);
my $reader = Await::Session->new($s->postgres);

# One look: { job => newest seq }, and goes on from there.
my $snapshot = $reader->run('SELECT pg_current_snapshot()');
sub look {
    my %found;
    for (split /\n/, $reader->run("SELECT 'S ' || snapshot || ' ' || complete FROM await.edge_tail('$snapshot', 20000);
        SELECT j || ' ' || q FROM await.edge_tail('$snapshot', 20000) t, unnest(t.jobs, t.seqs) u (j, q)")) {
        if (/^S (\S+) (\S+)$/) { $snapshot = $1; is $2, 'true', 'the tail is complete' if $2 ne 'true' }
        elsif (/^(\S+) (\d+)$/) { $found{$1} = $2 }
    }
    return \%found;
}
# two statements, two snapshots: what the second saw and the first did not would be told again
$reader->run('SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ');
{
    no warnings 'redefine';
    my $plain = \&look;
    *look = sub { $reader->run('BEGIN'); my $found = $plain->(); $reader->run('COMMIT'); return $found }
}

sub job {
    my ($session) = @_;
    my $id = sql("SELECT await.submit('tail', 'x', 'text/plain')");
    sql("SELECT count(*) FROM await.claim(ARRAY['tail'], 'w', 1000)");
    return $id;
}

subtest 'a commit that comes late' => sub {
    my ($a, $b) = (job(), job());
    look();
    my ($early, $late) = (Await::Session->new($s->postgres), Await::Session->new($s->postgres));
    $late->run("BEGIN; SELECT await.emit('$a', test.receipt('$a'), 'x')");     # the smaller number
    $early->run("SELECT await.emit('$b', test.receipt('$b'), 'x')");
    is_deeply look(), { $b => 3 }, 'the later number is told at once';
    $late->run('COMMIT');
    is_deeply look(), { $a => 3 }, 'the smaller one when it is there';
    is_deeply look(), {}, 'once';
};

subtest 'one that is rolled back' => sub {
    my $a = job();
    look();
    my $w = Await::Session->new($s->postgres);
    $w->run("BEGIN; SELECT await.emit('$a', test.receipt('$a'), 'x')");
    is_deeply look(), {}, 'before it ends there is nothing';
    $w->run('ROLLBACK');
    is_deeply look(), {}, 'after the rollback there is nothing';
    $w->run("SELECT await.emit('$a', test.receipt('$a'), 'y')");
    is_deeply look(), { $a => 3 }, 'the next event has the number of the one rolled back';
};

subtest 'eight writers, a stranger who stays for the whole time' => sub {
    my $stranger = Await::Session->new($s->postgres);
    $stranger->run('CREATE TABLE public.foreign_work (n int)');
    $stranger->run('BEGIN; INSERT INTO public.foreign_work VALUES (1)');
    my @jobs = map { job() } 1 .. 8;
    look();
    my $begin = time;
    my @writers = map {
        my $id = $_;
        my $pid = fork // die;
        if (!$pid) {
            open STDOUT, '>', '/dev/null';
            my $sql = join ';', map {
                sprintf 'BEGIN; SELECT await.emit(%s, test.receipt(%1$s), %s); SELECT pg_sleep(%.3f); COMMIT', "'$id'",
                    "'x'",
                    rand 0.03
            } 1 .. 120;
            exec 'psql', '-XAtq', '-d', $s->postgres, '-c', "SELECT 1", map { ('-c', $_) } split /;/, $sql;
        }
        $pid;
    } @jobs;
    my (%at, $looks);
    my $bad = 0;
    my $take = sub {
        my $found = look();
        ++$looks;
        for (keys %$found) { $bad++ if ($at{$_} // 2) >= $found->{$_}; $at{$_} = $found->{$_} }
        return scalar keys %$found;
    };
    until_true(
        'they are done',
        sub {
            $take->();
            my $n = 0;
            for my $pid (@writers) { $n += kill(0, $pid) && waitpid($pid, POSIX::WNOHANG()) == 0 ? 1 : 0 }
            $n == 0;
        },
        60
    );
    $take->();
    is $bad, 0, 'nothing is told twice, nor out of order';
    is_deeply [ map { $at{$_} } @jobs ], [ (122) x 8 ],
        "every event is found, in $looks looks, behind a transaction as old as the run";
    $stranger->run('ROLLBACK');
};

finish();
