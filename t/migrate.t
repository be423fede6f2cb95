# A database of before receipts, wide queue numbers and moments, with data in it, brought up to date by its plain owner while
# edges of that time go on: nothing is lost, leases and cursors count, and a second time changes nothing.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use POSIX ();
use Test::More;
use Time::HiRes qw(time sleep);

my $s = start_stack(without => [qw(nginx redis)]);
my $root = $Await::Stack::ROOT;
sql('CREATE DATABASE old OWNER await', 'postgres');
sub in { my ($role) = @_; return $s->postgres($role) =~ s/dbname=await/dbname=old/r }
sub old { return $s->sql($_[0], 'old') }
# As one of the roles; what psql says, errors too.
sub as {
    my ($role, $sql) = @_;
    local $ENV{STATEMENT} = $sql;
    chomp(my $text = `psql -XAtq -d '@{[ in($role) ]}' -c "\$STATEMENT" 2>&1`);
    return $text;
}
sub migrate { my ($dir) = @_; local @ENV{qw(AWAIT_SQL AWAIT_POSTGRES)} = ($dir, in('await')); my $said = `'$root/tools/await-ctl' migrate 2>/dev/null`; return ($?, $said) }

# the schema of that time: its migrations, and each role may call what it finds
my $before = tempdir(CLEANUP => 1);
chmod 0755, $before;
copy($_, $before) for grep { m{/0(0\d|1[0-5])_} } glob "$root/sql/*.sql";
Await::Stack::write_file("$before/grants.sql", "GRANT USAGE ON SCHEMA await TO await_edge, await_worker; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA await TO await_edge, await_worker;\n");
is((migrate($before))[0], 0, 'the schema of before');
is old('SELECT max(number) FROM await.migration'), 15;

# edge_submit as an edge of any version calls it; one job
sub submit { my ($id, $queue, $owner, $delay) = @_; return "SELECT id FROM await.edge_submit(ARRAY[$id], ARRAY['$queue'], ARRAY[0::int2], ARRAY[$owner], ARRAY[null], ARRAY[null], ARRAY['text/plain'], ARRAY[null], ARRAY['{\"a\": 1}'], ARRAY['body'::bytea], ARRAY[4::int8], ARRAY[null]::int8[], ARRAY[null]::int2[], ARRAY[$delay]::int8[], ARRAY[null]::int8[])" }
sub once { my ($id) = @_; return "SELECT id, clash FROM await.edge_submit_once(ARRAY[$id], ARRAY['kept'], ARRAY[0::int2], ARRAY['ann'], ARRAY[null], ARRAY[null], ARRAY['text/plain'], ARRAY[null], ARRAY[null], ARRAY['body'::bytea], ARRAY[4::int8], ARRAY[null]::int8[], ARRAY[null]::int2[], ARRAY[null]::int8[], ARRAY[null]::int8[], ARRAY['key'], ARRAY['print'::bytea], ARRAY[3600000::int8])" }
sub events { my ($id, $after) = @_; return as('edge', "SELECT string_agg(seq || type, ' ' ORDER BY seq) FROM await.edge_events(ARRAY['$id'::uuid], ARRAY[$after], 100, 100)") }
sub user { my ($since, $at) = @_; return "SELECT upto, upto_at, string_agg(id || '/' || seq, ' ' ORDER BY eid) FROM await.edge_user_events(ARRAY[1::int8], ARRAY['ann'], ARRAY['$since'], ARRAY[$at]::int8[], ARRAY[''], ARRAY[0::int8], ARRAY[0::int8], 10000, 100) GROUP BY 1, 2" }

my %job;
$job{$_} = as('edge', submit('await.new_id(1::int2)', $_, "'ann'", 'null')) for qw(running ended waits);
$job{delayed} = as('edge', submit('await.new_id(1::int2)', 'delayed', 'null', 3600000));
my ($first) = as('edge', once('await.new_id(1::int2)')) =~ /^([-\w]+)\|f$/;
for my $name (qw(running ended)) { is as('worker', "SELECT id, attempt FROM await.claim(ARRAY['$name'], 'w', 1, '1 hour')"), "$job{$name}|1" }
is as('worker', "SELECT await.emit('$job{running}', 1, 'step', '1'); SELECT await.complete('$job{ended}', 1, 'result', 'text/plain')"), "3\nt";
my $topic = as('worker', "SELECT await.publish('news', 'update', '1'), await.publish('news', 'update', '2'), await.topic_id('news')") =~ s/.*\|//r;
my $ticket = old('SELECT gen_random_uuid()');
my $use = "SELECT good FROM await.edge_use_tickets(ARRAY['$ticket'::uuid], ARRAY['ann'], ARRAY[floor(extract(epoch FROM now()) * 1000)]::int8[], ARRAY[floor(extract(epoch FROM now()) * 1000) + 600000]::int8[])";
is as('edge', $use), 't';
my ($upto, $at) = as('edge', user('', 0)) =~ /^([^|]+)\|(\d+)\|/;
my $tail = as('edge', 'SELECT pg_current_snapshot()');
is as('edge', "SELECT count(*) FROM await.edge_hello(ARRAY['named'], ARRAY[0::int2])"), 1;
my $key = old('SELECT encode(key, \'hex\') FROM await.secret');
my $history = old('SELECT md5(string_agg(e::text, $$ $$ ORDER BY eid)) FROM (SELECT job, seq, eid, xid, owner, type, state, attempt, data, at, body FROM await.event) e');
my $leases = old('SELECT job, attempt, worker, span, until FROM await.lease');

# an edge of that time, whose session has its statements prepared: it goes on until it is told
my $out = "$before/edge";
my $edge = fork // die;
if (!$edge) {
    open STDOUT, '>', $out; open STDERR, '>&', \*STDOUT;
    open my $psql, '|-', 'psql', '-XAtq', '-d', in('edge') or POSIX::_exit(1);
    $psql->autoflush(1);
    print $psql 'PREPARE s(uuid) AS ' . submit('$1', 'busy', "'ann'", 'null') . ";\n"
        . "PREPARE e AS SELECT last_seq FROM await.edge_events(ARRAY['$job{running}'::uuid], ARRAY[0], 9, 9);\n"
        . "PREPARE t AS SELECT complete FROM await.edge_tail('$tail'::pg_snapshot, 10);\nPREPARE p AS SELECT await.publish('busy', 'update', '1', true);\n";
    until (-e "$before/enough") {
        my $ms = int(time * 1000) & ~3 | 1;
        my $id = sprintf '%08x-%04x-7000-8000-%012x', $ms >> 16, $ms & 0xffff, int rand 1e14;
        print $psql "EXECUTE s('$id');\nEXECUTE e \\g /dev/null\nEXECUTE t \\g /dev/null\nEXECUTE p \\g /dev/null\n";
        sleep 0.005;
    }
    close $psql;
    POSIX::_exit(0);
}
ok until_true('it submits', sub { (-s $out // 0) > 400 }), 'an edge goes on meanwhile';
my ($status, $said) = migrate("$root/sql");
is $status, 0, 'its owner, who is no superuser, brings it up to date';
like $said, qr/^applied 016_\w+\n(applied \d+_\w+\n)+\z/;
my $size = -s $out;
ok until_true('it submits', sub { -s $out > $size + 400 }), 'and it still goes on';
Await::Stack::write_file("$before/enough", '');
waitpid $edge, 0;
my @stored = split /\n/, slurp($out);
is_deeply [ grep { !/^[-0-9a-f]{36}$/ } @stored ], [], 'it saw no error';
is old("SELECT count(*) FROM await.job j JOIN await.ready r ON r.job = j.id JOIN await.queue q ON q.id = j.queue WHERE q.name = 'busy'"), scalar @stored, 'all it stored waits in its lane';

subtest 'what was there is there' => sub {
    is old("SELECT md5(string_agg(e::text, \$\$ \$\$ ORDER BY eid)) FROM (SELECT job, seq, eid, xid, owner, type, state, attempt, data, at, body FROM await.event WHERE job <> await.topic_id('busy')) e"), $history, 'the histories, to the letter';
    is old('SELECT job, attempt, worker, span, until FROM await.lease'), $leases, 'the lease';
    is old('SELECT count(*) FROM await.delayed'), 1;
    is old('SELECT encode(key, \'hex\') FROM await.secret'), $key, 'the key that tickets and hints are signed with';
    is as('edge', once("'@{[ old('SELECT await.new_id()') ]}'::uuid")), "$first|f", 'a repeat is the same job';
    is as('edge', $use), 'f', 'a used ticket stays used';
    is old("SELECT convert_from(body, 'UTF8') FROM await.event WHERE job = '$job{ended}' AND ending"), 'result';
};

subtest 'cursors go on' => sub {
    is events($job{running}, 2), '3step', 'of a job';
    is events($topic, 2), '3update', 'of a topic';
    is as('worker', "SELECT await.publish('news', 'update', '3')"), 4, 'whose numbers go on';
    is as('edge', "SELECT count(*) > 0 FROM await.edge_tail('$tail'::pg_snapshot, 1000)"), 't', 'of the tail';
    is as('edge', "SELECT await.cancel('$job{waits}')"), 'cancelled';
    like as('edge', user($upto, $at)), qr{ $job{waits}/2$}, 'of a user: the last thing is what happened after';
    unlike as('edge', user($upto, $at)), qr{$job{ended}}, 'and nothing of before is told again';
};

subtest 'workers' => sub {
    is as('worker', "SELECT count(*) FROM await.claim(ARRAY['running'], 'w', 1)"), 0, 'a lease keeps its job';
    for my $call ("complete('$job{running}', '1', 'x')", "heartbeat('$job{running}', '1')", "emit('$job{running}', '1', 'step', '2')") {
        like as('worker', "SELECT await.$call"), qr/^(f|lost|)$/, "a worker of before is told that it lost it: $call";
    }
    like as('worker', "SELECT await.complete('$job{running}', 1, 'x')"), qr/does not exist/, 'or that there is no such function';
    old("UPDATE await.lease SET until = now() - interval '1 s' WHERE job = '$job{running}'");
    ok until_true('given again', sub { as('worker', "SELECT await.tick()"); as('worker', "SELECT id, attempt FROM await.claim(ARRAY['running'], 'w', 1)") eq "$job{running}|2" }), 'its lease runs out, and another has it';
    is as('worker', "SELECT await.complete(id, receipt, 'x') FROM await.claim(ARRAY['kept'], 'w', 1)"), 't', 'what waited is claimed and ended';
    old("UPDATE await.delayed SET due = now()");
    ok until_true('due', sub { as('worker', 'SELECT await.tick()'); as('worker', "SELECT id FROM await.claim(ARRAY['delayed'], 'w', 1)") eq $job{delayed} }), 'and so is what was delayed';
    is as('worker', "SELECT count(*) FROM await.claim(ARRAY['busy'], 'w', 1000)"), @stored > 1000 ? 1000 : scalar @stored, 'and what came meanwhile';
};

my $schema = "SELECT md5(string_agg(d, ' ' ORDER BY d)) FROM (SELECT pg_get_functiondef(oid) || coalesce(proacl::text, '') FROM pg_proc WHERE pronamespace = 'await'::regnamespace AND prokind = 'f'
    UNION ALL SELECT c.oid || c.relname || coalesce(c.relacl::text, '') || c.relfilenode FROM pg_class c WHERE c.relnamespace = 'await'::regnamespace) u (d)";
my $was = old($schema);
is_deeply [ migrate("$root/sql") ], [ 0, '' ], 'a second time there is nothing to do';
is old($schema), $was, 'and nothing changes';
finish();
