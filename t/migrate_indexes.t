# migrate builds new indexes of large partitions ahead, while everybody goes on: it holds the tables for a moment only.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use File::Temp qw(tempdir);
use Test::More;

my $s = start_stack(without => [qw(nginx redis)]);
my $root = $Await::Stack::ROOT;
my $dir = tempdir(CLEANUP => 1);
system("cp -r '$root/sql/.' '$dir' && chmod -R a+rX '$dir'") == 0 or die 'cp';
my $next = sprintf '%04d', sql('SELECT max(version) + 1 FROM await.schema_history');

sub migrate {
    local @ENV{qw(AWAIT_SQL AWAIT_POSTGRES)} = ($dir, $s->postgres('await'));
    my $said = `'$root/tools/await-ctl' migrate 2>&1`;
    return ($?, $said);
}
sub state_of {
    my ($index) = @_;
    return sql("SELECT count(*) || ' ' || bool_and(i.indisvalid) || ' ' || count(h.inhparent) FROM pg_index i
        JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_inherits h ON h.inhrelid = c.oid
        WHERE c.relname LIKE '%\\_$index'");
}

# one partition of more than 8 MB, and one with a few rows
sql("INSERT INTO await.job (class, id, queue, payload_size, payload, phase)
    SELECT k, await.new_id(k), 1, 1000, convert_to(repeat('x', 1000), 'UTF8'), 'p' || n % 5
    FROM (VALUES (1::int2, 12000), (2::int2, 10)) v (k, rows), generate_series(1, v.rows) n");
open my $file, '>', "$dir/schema/${next}_indexes.sql" or die $!;
print $file <<'SQL';
-- Two indexes, one of them of a column that is new.
CREATE INDEX job_phase ON await.job (phase, id)  -- for a test; only for it
    WHERE phase IS NOT NULL;
ALTER TABLE await.job ADD COLUMN mark int;
CREATE INDEX job_mark ON await.job (mark) WHERE mark IS NOT NULL;
SQL
close $file;

# the rest of an attempt that was ended
my $large = sql("SELECT relid FROM pg_partition_tree('await.job') WHERE isleaf
    ORDER BY pg_relation_size(relid) DESC LIMIT 1");
my $name = sql("SELECT relname FROM pg_class WHERE oid = '$large'::regclass");
sql("CREATE INDEX ${name}_job_phase ON $large (phase)");
sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'await.${name}_job_phase'::regclass");

my ($status, $said) = migrate();
is $status, 0, 'migrate succeeds' or diag $said;
like $said, qr/^building index \Q${name}\E_job_phase ahead \(\d+ MB\)/m, 'it says what it builds ahead';
like $said, qr/index \Q${name}\E_job_mark could not be built ahead.*: .*column "mark" does not exist/,
    'and what it could not, with the reason';
is state_of('job_phase'), '1 true 1', 'the index of the large partition is whole, and part of the new one';
like sql("SELECT pg_get_indexdef('await.${name}_job_phase'::regclass)"), qr/\(phase, id\) WHERE \(phase IS NOT NULL\)$/,
    'it is not what was left of the attempt before';
is sql("SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE NOT i.indisvalid AND c.relnamespace = 'await'::regnamespace"), 0, 'no index is left that is not whole';
is sql("SELECT count(*) = (SELECT count(*) FROM pg_partition_tree('await.job') WHERE isleaf)
    FROM pg_partition_tree('await.job_mark') WHERE isleaf"), 't', 'each partition has the other index, too';
($status, $said) = migrate();
like $said, qr/already up to date/, 'nothing is built again';

# The indexes that 0010 makes anew under their names, and its new one, on a database of before.
subtest 'indexes that replace others' => sub {
    my $at_9 = q{
        DROP INDEX await.event_xid, await.job_xid, await.job_xid_ownerless, await.queue_paused,
            await.queue_named;
        CREATE INDEX event_xid ON await.event (xid);
        CREATE INDEX job_xid ON await.job (xid) WHERE owner IS NOT NULL;
        DROP TABLE await.relay_leader, await.relay_cursor, await.relay_sink, await.webhook,
            await.webhook_secret, await.delivery, await.delivery_due, await.delivery_host,
            await.delivery_end, await.delivery_attempt, await.edge_node CASCADE;
        DROP SEQUENCE await.deliveries_delivered, await.deliveries_failed, await.deliveries_dead;
        ALTER TABLE await.job DROP webhook, DROP mark;
        ALTER TABLE await.limits DROP delivery_keep;
        DROP INDEX await.job_phase};
    sql($at_9);
    sql('DELETE FROM await.schema_history WHERE version >= 10');
    unlink glob "$dir/schema/${next}_*";
    sql("INSERT INTO await.event (class, job, seq, type, state, attempt, data)
        SELECT class, id, 2, 'step', 'processing', 1, to_jsonb(repeat(id::text, 20)) FROM await.job WHERE class = 1");
    ($status, $said) = migrate();
    is $status, 0, 'migrate succeeds' or diag $said;
    for (qw(event_xid job_xid job_xid_ownerless)) {
        like $said, qr/^building index \w+_\d+_$_ ahead \(\d+ MB\)/m, "$_ of the large partition is built ahead";
        is state_of($_), '1 true 1', "$_: it is whole, and part of the index of the table";
        my ($table) = /^([a-z]+)/;
        is sql("SELECT count(*) = (SELECT count(*) FROM pg_partition_tree('await.$table') WHERE isleaf)
            FROM pg_partition_tree('await.$_') WHERE isleaf"), 't', "$_: each partition has it";
    }
    unlike $said, qr/could not be built ahead/, 'none is left to the time when the tables are held';
};

finish();
