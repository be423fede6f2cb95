package Await::Batches;

# Batches in SQL: creates them, adds jobs, works on these, and asks what became of the batch.

use strict;
use warnings;
use Await::Test;
use JSON::PP;

use Exporter 'import';
our @EXPORT = qw(start_batches batch add work ready summary totals left_over);

# Claims a job of a queue and ends it in a way.
my $FUNCTIONS = <<'SQL';
CREATE FUNCTION test.work(queue text, how text DEFAULT 'complete') RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE c record;
BEGIN
    SELECT * INTO STRICT c FROM await.claim(ARRAY[queue], 'w', 1);
    CASE how
        WHEN 'complete' THEN PERFORM await.complete(c.id, c.receipt, 'x');
        WHEN 'many' THEN PERFORM await.complete_many(ARRAY[c.id], ARRAY[c.receipt], ARRAY['x'::bytea]);
        WHEN 'fail' THEN PERFORM await.fail(c.id, c.receipt, '{"title": "No", "detail": "why not"}', '-1 s');
        WHEN 'again' THEN PERFORM await.fail(c.id, c.receipt, '{}', '0 s');
        WHEN 'release' THEN PERFORM await.release(c.id, c.receipt);
        WHEN 'lost' THEN UPDATE await.lease SET until = '-infinity' WHERE job = c.id; PERFORM await.reap(100);
        WHEN 'expire' THEN
            UPDATE await.job SET deadline = '2020-01-01' WHERE id = c.id;
            INSERT INTO await.deadline VALUES ('2020-01-01', c.id); PERFORM await.reap(100);
        WHEN 'cancel' THEN PERFORM await.cancel(c.id);
    END CASE;
    RETURN c.id;
END $$;
CREATE FUNCTION test.visit() RETURNS int LANGUAGE sql AS $$
    UPDATE await.batch_live SET visit = clock_timestamp() - interval '1 s';
    SELECT await.visit_batches(100);
$$;
SQL

sub start_batches {
    start_stack(without => [ 'redis', 'nginx' ]);
    sql($FUNCTIONS);
    return;
}

sub batch { my ($options) = @_; return sql("SELECT await.create_batch('" . ($options // '{}') . "')") }
sub add {
    my ($batch, $queue, $n, %o) = @_;
    my $options = encode_json({ batch => $batch, %o });
    return split /\n/, sql("SELECT await.submit('$queue', 'x', 'text/plain', '$options') FROM generate_series(1, $n)");
}
sub work {
    my ($queue, $how, $n) = @_;
    return sql("SELECT count(test.work('$queue', '$how')) FROM generate_series(1, " . ($n // 1) . ')');
}
sub ready {
    my ($batch) = @_;
    return sql("SELECT count(*) FROM await.event WHERE job = '$batch' AND type = 'batch.ready'");
}
sub summary {
    my ($batch) = @_;
    return decode_json(sql("SELECT data FROM await.event WHERE job = '$batch' AND type = 'batch.ready'") || '{}');
}
sub totals {
    my ($batch) = @_;
    return decode_json(sql("SELECT totals FROM await.edge_batches(ARRAY['$batch'::uuid])") || '{}');
}
# What is left of it in the tables that only open batches need.
sub left_over {
    my ($batch) = @_;
    return sql(
        'SELECT ' . join ' || ',
        map { "(SELECT count(*)::text FROM await.$_ WHERE batch = '$batch')" }
            qw(batch_live batch_open batch_added batch_loss batch_todo)
    );
}

1;
