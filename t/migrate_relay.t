# A database of schema 9, from before await-relay and webhooks, with rows in it, is migrated while edges and workers of
# that time go on: none of their calls fails or waits for long, nothing is lost, and a relay that waited begins.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Relay;
use Await::Schema qw(dump_schema);
use Await::Test;
use File::Temp qw(tempdir);
use POSIX ();
use Test::More;
use Time::HiRes qw(time sleep);

my $s = start_stack(without => [qw(nginx redis)]);
my $root = $Await::Stack::ROOT;
sql('CREATE DATABASE old OWNER await', 'postgres');
sub in { my ($role) = @_; return $s->postgres($role) =~ s/dbname=await/dbname=old/r }
sub old { return $s->sql($_[0], 'old') }
sub migrate {
    my ($dir) = @_;
    local @ENV{qw(AWAIT_SQL AWAIT_POSTGRES)} = ($dir, in('await'));
    my $said = `'$root/tools/await-ctl' migrate 2>&1`;
    return ($?, $said);
}

my $before = tempdir(CLEANUP => 1);
chmod 0755, $before;
system('tar', '-xzf', "$FindBin::Bin/data/sql_9.tar.gz", '-C', $before) == 0 or die 'tar';
system('cp', '-r', "$root/sql/convert", "$before/sql/convert") == 0 or die 'cp';    # migrate reads it in any case
my ($status, $said) = migrate("$before/sql");
is $status, 0, 'a database of that time' or diag $said;
is old('SELECT max(version) FROM await.schema_history'), 9, 'has schema 9';

# rows of all kinds
old(q{SELECT await.submit('done', 'x', 'text/plain', '{"owner": "ann"}') FROM generate_series(1, 300)});
old(q{SELECT await.complete(id, receipt, 'r') FROM await.claim(ARRAY['done'], 'w', 200)});
old(q{SELECT await.emit(id, receipt, 'step', '1') FROM await.claim(ARRAY['done'], 'w', 50, '1 hour')});
old(q{SELECT await.publish('news', 'said', '1') FROM generate_series(1, 20)});
my $batch = old(q{SELECT await.create_batch('{"on_ready": "mail"}')});
old("SELECT await.submit('b', 'x', 'text/plain', jsonb_build_object('batch', '$batch')) FROM generate_series(1, 3)");
my $rows = q{SELECT md5(string_agg(t, ' ' ORDER BY t)) FROM (
    SELECT concat_ws('|', job, seq, eid, xid, owner, type, state, attempt, data, at, body) AS t FROM await.event
        WHERE eid <= %1$s
    UNION ALL SELECT concat_ws('|', id, queue, owner, eid, xid, payload, created_at, batch) FROM await.job
        WHERE eid <= %1$s
    UNION ALL SELECT concat_ws('|', job, attempt, worker, span, until, receipt) FROM await.lease
        WHERE span = '1 hour') x};
$rows = sprintf $rows, old('SELECT last_value FROM await.eid');
my $stored = old($rows);
my $tail = old('SELECT pg_current_snapshot()');

# --- clients of that time -----------------------------------------------------------------------------------

# Statements that nginx and await-worker of schema 9 have prepared, again and again; each says how long it took. A
# statement is a name, its SQL, and values that are made for each call.
my %edge = (
    submit => q{SELECT id FROM await.edge_submit(ARRAY[$1::uuid], ARRAY['busy'], ARRAY[0::int2], ARRAY['ann'],
        ARRAY[null], ARRAY[null], ARRAY['text/plain'], ARRAY[null], ARRAY['{"a": 1}'], ARRAY['body'::bytea],
        ARRAY[4::int8], ARRAY[null]::int8[], ARRAY[null]::int2[], ARRAY[null]::int8[], ARRAY[null]::int8[])},
    limited => q{SELECT id FROM await.edge_submit_limited(ARRAY[$1::uuid], ARRAY['busy'], ARRAY[0::int2],
        ARRAY['ann'], ARRAY[null], ARRAY[null], ARRAY['text/plain'], ARRAY[null], ARRAY['{"a": 1}'],
        ARRAY['body'::bytea], ARRAY[4::int8], ARRAY[null]::int8[], ARRAY[null]::int2[], ARRAY[null]::int8[],
        ARRAY[null]::int8[], ARRAY[gen_random_uuid()::text], ARRAY['print'::bytea], ARRAY[3600000::int8],
        ARRAY[null]::int4[], ARRAY[null]::int4[])},
    tail => qq{SELECT count(*) FROM await.edge_tail('$tail'::text::pg_snapshot, 100)},
    history => q{SELECT count(*) FROM await.edge_user_events(ARRAY[1::int8], ARRAY['ann'], ARRAY[''], ARRAY[0::int8],
        ARRAY[''], ARRAY[0::int8], ARRAY[0::int8], 1000, 10)},
    batch => qq{SELECT count(*) FROM await.edge_batches(ARRAY['$batch'::uuid])},
    publish => q{SELECT await.edge_publish('busy', 'update', '1', true)},
    maintain => 'SELECT await.run_maintenance()',
    queues => q{SELECT count(*) FROM await.edge_queues(100)},
);
my %worker = (
    put => q{SELECT await.submit('steady', 'x')},
    work => q{SELECT await.emit(c.id, c.receipt, 'step', '1') > 0 AND await.heartbeat(c.id, c.receipt) = 'ok'
        AND await.complete(c.id, c.receipt, 'r') FROM await.claim(ARRAY['steady', 'busy'], 'w', 1, interval '1 minute',
        inline => 65536, pieces => true) c},
);
my $enough = "$before/enough";
sub client {
    my ($role, %statements) = @_;
    my $file = "$before/$role";
    my $pid = fork // die "fork: $!";
    return ($pid, $file) if $pid;
    open STDOUT, '>', $file;
    open STDERR, '>&', \*STDOUT;
    open my $psql, '|-', 'psql', '-XAtq', '-d', in($role) or POSIX::_exit(1);
    $psql->autoflush(1);
    my @names = sort keys %statements;
    print $psql "\\set VERBOSITY terse\n", map { "PREPARE $_ AS $statements{$_};\n" } @names;
    my $id = sub {
        my $ms = int(time * 1000) & ~3 | 1;
        return sprintf "('%08x-%04x-7000-8000-%012x')", $ms >> 16, $ms & 0xffff, int rand 1e14;
    };
    my %takes = map { $_ => scalar $statements{$_} =~ /\$1/ } @names;
    print $psql "\\timing on\n";
    until (-e $enough) {
        print $psql map { "\\echo $_\nEXECUTE $_" . ($takes{$_} ? $id->() : '') . " \\g /dev/null\n" } @names;
        sleep 0.08;
    }
    close $psql;
    POSIX::_exit(0);
}
my ($edge, $edge_said) = client('edge', %edge);
my ($worker, $worker_said) = client('worker', %worker);
sub go_on {
    my ($when) = @_;
    my %from = map { $_ => -s $_ // 0 } $edge_said, $worker_said;
    return eventually "edges and workers go on $when", sub {
        !grep { (-s $_ // 0) < $from{$_} + 1000 } keys %from;
    };
}
go_on('before');

# a relay that is there too early waits
my $relay;
{
    local $s->{relay_place} = $s->place('relay') =~ s/dbname=await/dbname=old/r;
    $relay = Await::Relay->start('early', qw(--name early --sink stdout));
}
eventually 'a relay says what it waits for',
    sub { $relay->text =~ /permission denied|does not exist|await-ctl migrate/ };

my $began = time;
($status, $said) = migrate("$root/sql");
my $took = time - $began;
is $status, 0, sprintf 'migrated in %.1f s', $took or diag $said;
like $said, qr/applied schema 10: 0010_relay\napplied schema 11: 0011_webhooks\n/, 'by these files';
go_on('after');
go_on('still');
Await::Stack::write_file($enough, '');
waitpid $_, 0 for $edge, $worker;

# --- what came of it ------------------------------------------------------------------------------------------

for ([ edge => $edge_said ], [ worker => $worker_said ]) {
    my ($who, $file) = @$_;
    my ($name, %longest, @errors) = ('begin');
    for (split /\n/, slurp($file)) {
        if (/^Time: ([\d.]+) ms/) { $longest{$name} = $1 if $1 > ($longest{$name} // 0) }
        elsif (/^\w+$/) { $name = $_ }
        else { push @errors, "$name: $_" }
    }
    is_deeply \@errors, [], "no call of the $who failed";
    my ($slowest) = sort { $longest{$b} <=> $longest{$a} } keys %longest;
    # and a machine that stands still for a moment: until the end of all it would be minutes
    cmp_ok $longest{$slowest}, '<', 1000 * ($took + 10),
        "none of the $who waited for longer than the migration took: $longest{$slowest} ms ($slowest)";
}
is old($rows), $stored, 'what was there is there';
is old(
    q{SELECT count(*) FROM await.job j WHERE NOT await.is_batch(j.id) AND NOT EXISTS (SELECT FROM await.event e
    WHERE e.job = j.id) AND NOT EXISTS (SELECT FROM await.ready r WHERE r.job = j.id) 
    AND j.id < 'ffffffff-0000-0000-0000-000000000000'}
    ),
    0,
    'every job that was submitted waits or was worked on';
ok dump_schema($s, 'old') eq dump_schema($s, 'await'), 'the schema is that of a new database';

eventually 'the relay that waited leads', sub { $relay->text =~ /leading the relays "early"/ };
eventually 'it has a cursor', sub { old('SELECT count(*) FROM await.relay_cursor') == 1 };
my $id = old(q{SELECT await.submit('q', 'x', 'text/plain')});
eventually 'and hands on what is new', sub { $relay->text =~ /"$id:1"/ };
is $relay->stop, 0, 'it ends';
my $all = old(
    q{SELECT (SELECT count(*) FROM await.event) + (SELECT count(*) FROM await.job
    WHERE id < 'ffffffff-0000-0000-0000-000000000000')}
);
my $have = old(q{SELECT count(*) FROM await.events_after('start', 1000000) WHERE id IS NOT NULL});
cmp_ok $have, '>', 300, "events_after() begins with what was written before ($have of $all, of a page)";
is old(
    q{SELECT count(*) FROM (SELECT job, seq FROM await.event UNION ALL SELECT id, 1 FROM await.job
    WHERE id < 'ffffffff-0000-0000-0000-000000000000') x}
    ),
    $all, 'all of it';
finish();
