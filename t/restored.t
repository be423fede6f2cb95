# A dump that is restored into another server: its rows have transaction numbers of the old one. Nothing of before is
# told again, and nothing of after is missed.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

my $SITE = <<'CONF';
await_reread 500ms;
server {
    listen 127.0.0.1:${PORT};
    await_owner $arg_owner;
    location = /jobs { await_submit work; }
    location = /user { await_events user:$arg_owner; }
}
CONF
my $s = start_stack(without => [ 'redis', 'nginx' ]);

# another server, of which we are a copy
my $old = Await::Stack->new(dir => "$s->{dir}/old", fsync => 0);
$old->start_postgres;
$old->sql("DO \$\$ BEGIN FOR i IN 1 .. 30000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END \$\$");
$old->sql("SELECT await.submit('work', 'x', 'text/plain', '{\"owner\": \"ann\"}') FROM generate_series(1, 30)");
$old->sql("SELECT await.complete(id, receipt, 'ok') FROM await.claim(ARRAY['work'], 'w', 20)");
$old->sql("SELECT await.grant_queues('worker', '{work}')");
# batches: one in progress, one that is ready, one whose jobs are only partly there
my @batches =
    map { $old->sql("SELECT await.create_batch(jsonb_build_object('owner', 'bea', 'on_ready', '$_'))") } qw(mail done);
$old->sql(
    "SELECT await.submit('b$_', 'x', 'text/plain', jsonb_build_object('batch', '$batches[$_]'))
    FROM generate_series(1, 3)"
) for 0, 1;
$old->sql("SELECT await.complete(id, receipt, 'ok') FROM await.claim(ARRAY['b$_'], 'w', 1 + 2 * $_)") for 0, 1;
$old->sql(
    "SELECT await.edge_stage('01a20259-b1ac-8c07-9f5a-2b6c1d0e4a77', 1, '{01a20259-b1ac-7c07-9f5a-2b6c1d0e4a78}',
    '{b0}', '{NULL}', '{0}', '{text/plain}', '{NULL}', '{NULL}', '{x}', '{1}', '{NULL}', '{NULL}', '{NULL}', '{NULL}')"
);
my $eids = $old->sql('SELECT last_value FROM await.eid');
my $dump = "$s->{dir}/dump";

sub restore {
    my ($from, $to) = @_;
    local $ENV{PGPASSWORD} = $from->password('await');
    system(Await::Stack::pg_bin() . '/pg_dump', '-Fc', '-n', 'await', '-f', $dump, '-d', $from->place('await')) == 0
        or die 'pg_dump';
    $to->sql('DROP SCHEMA await CASCADE');
    local $ENV{PGPASSWORD} = $to->password('admin');
    system(Await::Stack::pg_bin() . '/pg_restore', '-d', $to->place('admin'), $dump) == 0 or die 'pg_restore';
    return;
}
sub ctl {
    local $ENV{AWAIT_POSTGRES} = $s->postgres;
    my $said = `$FindBin::Bin/../tools/await-ctl $_[0] 2>&1`;
    return ($? >> 8, $said);
}
sub tail { return sql("SELECT cardinality(jobs), complete FROM await.edge_tail(pg_current_snapshot(), 20000)") }
# What the user's channel tells of, of new jobs and old: states by how often.
sub told {
    my ($since) = @_;
    return sql(
        "SELECT count(*) FROM await.edge_user_events('{1}', '{ann}', ARRAY['$since'],
        ARRAY[extract(epoch FROM now())::int8],
        '{\"\"}', '{0}', '{0}', 500, 100) WHERE id IS NOT NULL"
    );
}
sub snapshot {
    return sql(
        "SELECT upto FROM await.edge_user_events('{1}', '{ann}', '{\"\"}', '{0}', '{\"\"}', '{0}', '{0}', 500, 100)");
}

restore($old, $s);
sub numbers { return sql("SELECT max(xid)::text::bigint - pg_current_xact_id()::text::bigint > 1000 FROM await.event") }
is numbers(), 't', 'the rows have numbers that this server has yet to give';
sql("SELECT FROM await.edge_hello('{}', '{}')");
is sql('SELECT floor, foreign_rows FROM await.home'), "$eids|t", 'an edge that connects notices it';
is tail(), '0|t', 'nothing of before is new';
my $since = snapshot();
is told($since), 0, 'nor to its user';
my $job = sql("SELECT await.submit('work', 'x', 'text/plain', '{\"owner\": \"ann\"}')");
is told($since), 1, 'a new job is told, alone';
is sql("SELECT cardinality(jobs) FROM await.edge_tail('$since'::pg_snapshot, 20000)"), 1, 'the tail has its user';

my ($status, $said) = ctl('restored');
is $status, 0, 'await-ctl restored';
like $said, qr/^[1-9]\d* rows had numbers of another server/m, 'says what it did';
like $said, qr/^limited to queues: worker$/m, 'and which roles are limited';
is sql("SELECT foreign_rows, (SELECT count(*) FROM await.event WHERE xid > pg_current_xact_id()) FROM await.home"),
    'f|0',
    'no such number is left';
is told($since), 1, 'the same is told';
is sql("SELECT g.role::text FROM await.queue_grant g"), 'worker', 'the limits of roles have come along';
is((ctl('restored'))[1] =~ /^0 rows had/m, 1, 'again: nothing to do');
is((ctl('migrate'))[0], 0, 'migrate restores the grants');

subtest 'batches go on where they were' => sub {
    my $totals = sub {
        my ($n) = @_;
        return sql(
            "SELECT totals::jsonb ->> 'total', totals::jsonb ->> 'completed', state
            FROM await.edge_batches('{$batches[$n]}')"
        );
    };
    is $totals->(0), '3|1|processing', 'one in progress has its counts';
    is $totals->(1), '3|3|completed', 'one that was ready, too';
    sql("SELECT await.submit('b0', 'x', 'text/plain', jsonb_build_object('batch', '$batches[0]'))");
    sql("SELECT await.complete(id, receipt, 'ok') FROM await.claim(ARRAY['b0'], 'w', 9)");
    is $totals->(0), '4|4|completed', 'it takes jobs, and becomes ready';
    is sql("SELECT string_agg(q.name, ' ' ORDER BY q.name) FROM await.job j JOIN await.queue q ON q.id = j.queue
            WHERE j.params ? 'batch'"), 'done mail', 'each has its job of on_ready once';
    is sql(q{SELECT jobs -> 0 ->> 'batch' FROM await.list('{"owner": "bea", "limit": 1, "queue": "b0"}')}), $batches[0],
        'lists have its jobs';
    eventually(
        'what was received in part a day ago is deleted',
        sub { sql('SELECT await.run_maintenance()'); sql('SELECT count(*) FROM await.batch_stage') == 0 });
};

subtest 'maintenance does the same, step by step' => sub {
    restore($old, $s);
    my $saw = 0;
    eventually(
        'it has settled all',
        sub {
            sql('SELECT await.run_maintenance()');
            $saw ||= sql('SELECT foreign_rows FROM await.home') eq 't';
            $saw && sql('SELECT foreign_rows FROM await.home') eq 'f';
        });
    is numbers(), 'f', 'the numbers fit';
    is tail(), '0|t', 'nothing is new';
};

subtest 'a client that was connected to the old one' => sub {
    (ctl('migrate'))[0] == 0 or die 'migrate';
    $s->start_redis;
    $s->start_nginx($SITE);
    my $stream = begin_request('GET', '/user?owner=ann', headers => { Accept => 'text/event-stream' });
    ok $stream->wait_event('ready'), 'it watches';
    my $new = id_of(post('/jobs?owner=ann', 'x'));
    ok $stream->wait_event('pending'), 'it is told of a new job';
    is scalar(grep { $_->{event} eq 'pending' } @{ $stream->events }), 1, 'of nothing else';
    is scalar(grep { $_->{event} eq 'completed' } @{ $stream->events }), 0, 'and of no ending of before';
};
finish();
