# Leases: a worker may be killed between any two of its statements, or sleep through its lease and go on; the job ends
# once, by whoever holds it, with an unbroken history. Clocks are the database's.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use Test::More;

my $s = start_stack(without => [ 'redis', 'nginx' ]);

sub submit { my ($queue) = @_; return sql("SELECT await.submit('$queue', 'x', 'text/plain')") }
sub expire {
    my ($id) = @_;
    sql("UPDATE await.lease SET until = now() - interval '1 second' WHERE job = '$id'");
    sql('SELECT await.reap(100)');
}
sub state {
    my ($id) = @_;
    return sql(
        "SELECT coalesce((SELECT state FROM await.event WHERE job = '$id' ORDER BY seq DESC LIMIT 1), 'pending')");
}
sub sound {
    my ($id) = @_;
    return sql("SELECT count(*) = max(seq) - 1 AND count(*) FILTER (WHERE ending) = 1
        AND bool_and(ending OR seq < (SELECT seq FROM await.event WHERE job = '$id' AND ending)) FROM await.event
        WHERE job = '$id'") eq 't';
}

# what a worker does, statement by statement: of the job, its queue and its receipt
my @life = (
    [ claim => sub { "SELECT receipt FROM await.claim(ARRAY['$_[1]'], 'doomed', 1, '1 minute')" } ],
    [ heartbeat => sub { "SELECT await.heartbeat('$_[0]', '$_[2]')" } ],
    [ progress => sub { "SELECT await.heartbeat('$_[0]', '$_[2]', '{\"done\": 1}')" } ],
    [ emit => sub { "SELECT await.emit('$_[0]', '$_[2]', 'line', '{}', 'e1')" } ],
    [ 'first piece' => sub { "SELECT await.append_result('$_[0]', '$_[2]', 0, 'aaa')" } ],
    [ 'second piece' => sub { "SELECT await.append_result('$_[0]', '$_[2]', 1, 'bbb')" } ],
    [ complete => sub { "SELECT await.complete('$_[0]', '$_[2]', null, 'text/plain')" } ],
);

for my $n (0 .. @life) {
    for my $within (0, 1) {
        next if $within && $n == @life;
        my $queue = "q$n-$within";
        my $id = submit($queue);
        my $worker = Await::Session->new($s->postgres);
        my $dead = '';                       # its receipt
        for (@life[ 0 .. $n - 1 ]) {
            my $said = $worker->run($_->[1]->($id, $queue, $dead));
            $dead = $said if $_->[0] eq 'claim';
        }
        $worker->run('BEGIN; ' . $life[$n][1]->($id, $queue, $dead)) if $within;
        $worker->kill_it;
        my $what =
            'killed ' . ($within ? "within $life[$n][0]" : $n < @life ? "before $life[$n][0]" : 'after its commit');
        ok until_true('its transaction is over',
            sub { sql("SELECT count(*) FROM pg_stat_activity WHERE pid = $worker->{backend}") == 0 }),
            $what;
        my $expected = $n == 0 ? 'pending' : $n == @life ? 'completed' : 'processing';
        is state($id), $expected, "$what: $expected";
        expire($id);
        my ($attempt, $heir) = split /\|/, sql("SELECT attempt, receipt FROM await.claim(ARRAY['$queue'], 'heir', 1)");
        if ($n == @life) {
            is $attempt, undef, 'nothing is left to do';
            is sql("SELECT await.complete('$id', '$dead', 'again', 'text/plain')"), 'f', 'and a repeat is harmless';
        }
        else {
            is $attempt, $n == 0 ? 1 : 2, 'it is claimed again';
            is sql("SELECT await.append_result('$id', '$heir', 0, 'heir')"), 4, 'the heir begins its own result';
            if ($attempt == 2) {
                is sql("SELECT await.complete('$id', '$dead', null, 'text/plain')"), 'f',
                    'the dead one comes back: refused';
                is sql("SELECT await.append_result('$id', '$dead', 2, 'zzz')"), '', 'also with a piece';
                is sql("SELECT await.emit('$id', '$dead', 'line', '{}')"), '', 'and with an event';
                is sql("SELECT await.fail('$id', '$dead', '{}')"), 'f', 'and with a failure';
                is sql("SELECT await.heartbeat('$id', '$dead')"), 'lost', 'and learns why';
            }
            is sql("SELECT await.complete('$id', '$heir', null, 'text/plain')"), 't', 'the heir ends it';
            is sql("SELECT string_agg(convert_from(bytes, 'UTF8'), '' ORDER BY n) FROM await.chunk WHERE job = '$id'
                AND attempt = $attempt AND kind = 'r'"), 'heir', 'with its own bytes';
        }
        ok sound($id), 'one ending, no hole';
    }
}

subtest 'two who end it at once: one of them does' => sub {
    my @a = (Await::Session->new($s->postgres), Await::Session->new($s->postgres));
    for my $second (
        "SELECT await.complete('ID', test.receipt('ID'), 'b', 'text/plain')",
        "SELECT await.cancel('ID')",
        "SELECT await.fail('ID', test.receipt('ID'), '{}', '-1 s')",
        "SELECT await.reap(100)"
        )
    {
        my $id = submit('race');
        sql("SELECT count(*) FROM await.claim(ARRAY['race'], 'w', 1)");
        $a[0]->run("BEGIN; SELECT await.complete('$id', test.receipt('$id'), 'a', 'text/plain')");
        (my $sql = $second) =~ s/ID/$id/g;
        $a[1]->start($sql);
        is $a[1]->finish(0.3), undef, 'the second waits for the first' if $second !~ /reap/;
        $a[0]->run('COMMIT');
        is $a[1]->finish, $second =~ /cancel/ ? 'ended' : $second =~ /reap/ ? 0 : 'f', "then: $second";
        is state($id), 'completed', "the job completed, beside: $second";
        ok sound($id), "one ending, no hole, beside: $second";
    }
};

subtest 'a mark read in an old snapshot would pass jobs over' => sub {
    # was a bug: in a REPEATABLE READ transaction the mark went by what had been visible when that began
    my $old = Await::Session->new($s->postgres);
    sql("SELECT count(*) FROM await.claim(ARRAY['old'], 'w', 1)");
    submit('old'); sql("SELECT count(*) FROM await.claim(ARRAY['old'], 'w', 1)");
    $old->run('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM await.queue');
    my $id = submit('old');
    submit('else');
    $old->run('SELECT await.reap(100); COMMIT');
    is sql("SELECT id FROM await.claim(ARRAY['old'], 'w', 1)"), $id, 'the job is found';
};

subtest 'a worker whose clock is two days off' => sub {
    plan skip_all => 'faketime and AddressSanitizer both want to be first' if $ENV{AWAIT_ASAN};
    my $id = submit('clock');
    # by the library and not by its command, which stays between: ending that one left the worker behind
    my ($faketime) = glob '/usr/lib/*/faketime/libfaketime.so.1' or die 'libfaketime is missing';
    my $pid = $s->spawn(
        'astray',
        [
            'env', "LD_PRELOAD=$faketime", 'FAKETIME=+2d', $s->{worker}, '--postgres', $s->postgres, '--queue',
            'clock', '--lease', '3s', '--', 'sh', '-c', 'sleep 4; echo done'
        ]);
    eventually('the job is completed', sub { state($id) eq 'completed' }, 30);
    is sql("SELECT count(*) FROM await.event WHERE job = '$id' AND type = 'processing'"), 1,
        'at the first attempt, beyond its lease';
    like readlink("/proc/$pid/exe"), qr/await-worker$/, 'what is ended is the worker';
    $s->end('astray', 'TERM');
};

subtest 'who looks for leases that have run out does not walk over those that have not' => sub {
    sql("SELECT count(await.submit('many', 'x', 'text/plain')) FROM generate_series(1, 500)");
    sql("SELECT count(*) FROM await.claim(ARRAY['many'], 'w', 500, interval '5 minutes')");
    my $index = "schemaname = 'await' AND indexrelname = 'lease_until'";
    my $read = sub { sql("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE $index") };
    # each session says what it has read when it ends at the latest, which may be after its client has gone
    my $others = "backend_type = 'client backend' AND pid <> pg_backend_pid()";
    my $alone = sub { sql("SELECT count(*) FROM pg_stat_activity WHERE $others") == 0 };
    eventually('whoever read it before has ended', $alone);
    my $before = $read->();
    sql('SELECT await.reap(100)') for 1 .. 5;
    eventually('those that read it now have ended', $alone);
    cmp_ok $read->() - $before, '<', 100, 'of 500, five times';
};
finish();
