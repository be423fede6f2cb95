# A database of the numbered migrations 001 to 021, from before the first release, with data in it, is converted by its
# plain owner while edges and workers of that time go on: nothing is lost, receipts and cursors count, and its schema is
# then that of a new database.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::Schema qw(dump_schema);
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
sub as_owner {
    my ($dir, $file) = @_;
    chomp(my $text = `psql -Xq -v ON_ERROR_STOP=1 -d '@{[ in('await') ]}' -o /dev/null -f '$dir/$file' 2>&1`);
    return $text;
}
sub migrate {
    my ($dir) = @_;
    local @ENV{qw(AWAIT_SQL AWAIT_POSTGRES)} = ($dir, in('await'));
    my $said = `'$root/tools/await-ctl' migrate 2>/dev/null`;
    return ($?, $said);
}

# the schema of that time
my $before = tempdir(CLEANUP => 1);
chmod 0755, $before;
system("gzip -dc '$FindBin::Bin/data/schema_021.sql.gz' > '$before/schema.sql'") == 0 or die 'gzip';
is as_owner($before, 'schema.sql'), '', 'the schema of before';
old('INSERT INTO await.secret (key, inner_pad, outer_pad) SELECT n.key, n.inner_pad, n.outer_pad
    FROM await.new_secret() n; SELECT await.purge()');

# edge_submit as an edge of any version calls it; one job
sub submit { my ($id, $queue, $owner, $delay) = @_; return "SELECT id FROM await.edge_submit(ARRAY[$id],
    ARRAY['$queue'], ARRAY[0::int2], ARRAY[$owner], ARRAY[null], ARRAY[null], ARRAY['text/plain'], ARRAY[null],
    ARRAY['{\"a\": 1}'], ARRAY['body'::bytea], ARRAY[4::int8], ARRAY[null]::int8[], ARRAY[null]::int2[],
    ARRAY[$delay]::int8[], ARRAY[null]::int8[])" }
sub once { my ($id) = @_; return "SELECT id, clash FROM await.edge_submit_once(ARRAY[$id], ARRAY['kept'],
    ARRAY[0::int2], ARRAY['ann'], ARRAY[null], ARRAY[null], ARRAY['text/plain'], ARRAY[null], ARRAY[null],
    ARRAY['body'::bytea], ARRAY[4::int8], ARRAY[null]::int8[], ARRAY[null]::int2[], ARRAY[null]::int8[],
    ARRAY[null]::int8[], ARRAY['key'], ARRAY['print'::bytea], ARRAY[3600000::int8])" }
sub events { my ($id, $after) = @_; return as('edge', "SELECT string_agg(seq || type, ' ' ORDER BY seq)
    FROM await.edge_events(ARRAY['$id'::uuid], ARRAY[$after], 100, 100)") }
sub user { my ($since, $at) = @_; return "SELECT upto, upto_at, string_agg(id || '/' || seq, ' ' ORDER BY eid)
    FROM await.edge_user_events(ARRAY[1::int8], ARRAY['ann'], ARRAY['$since'], ARRAY[$at]::int8[], ARRAY[''],
    ARRAY[0::int8], ARRAY[0::int8], 10000, 100) GROUP BY 1, 2" }

sub new_id { return "'" . old('SELECT await.new_id(1::int2)') . "'::uuid" }
my %job;
$job{$_} = as('edge', submit(new_id(), $_, "'ann'", 'null')) for qw(running ended lost waits);
$job{delayed} = as('edge', submit(new_id(), 'delayed', 'null', 3600000));
my ($first) = as('edge', once(new_id())) =~ /^([-\w]+)\|f$/;
my %receipt;
for my $name (qw(running ended lost)) {
    my $claimed = as('worker', "SELECT id, receipt FROM await.claim(ARRAY['$name'], 'w', 1, '1 hour')");
    ok $claimed =~ /^\Q$job{$name}\E\|(1\.\S+)$/ && ($receipt{$name} = $1), "a worker has $name" or diag $claimed;
}
is as('worker', "SELECT await.emit('$job{running}', '$receipt{running}', 'step', '1');
    SELECT await.complete('$job{ended}', '$receipt{ended}', 'result', 'text/plain')"), "3\nt", 'it works';
my $topic =
    as('worker',
    "SELECT await.publish('news', 'update', '1'), await.publish('news', 'update', '2'), await.topic_id('news')") =~
    s/.*\|//r;
my $ticket = old('SELECT gen_random_uuid()');
my $use = "SELECT good FROM await.edge_use_tickets(ARRAY['$ticket'::uuid], ARRAY['ann'],
    ARRAY[floor(extract(epoch FROM now()) * 1000)]::int8[],
    ARRAY[floor(extract(epoch FROM now()) * 1000) + 600000]::int8[])";
is as('edge', $use), 't', 'a ticket is good';
my ($upto, $at) = as('edge', user('', 0)) =~ /^([^|]+)\|(\d+)\|/;
my $tail = as('edge', 'SELECT pg_current_snapshot()');
is as('edge', "SELECT count(*) FROM await.edge_hello(ARRAY['named'], ARRAY[0::int2])"), 1, 'an edge says hello';
my $key = old('SELECT encode(key, \'hex\') FROM await.secret');
my $history = old('SELECT md5(string_agg(e::text, $$ $$ ORDER BY eid))
    FROM (SELECT job, seq, eid, xid, owner, type, state, attempt, data, at, body FROM await.event) e');
my $leases = old('SELECT job, attempt, worker, span, until, receipt FROM await.lease ORDER BY job');

# an edge of that time, whose session has its statements prepared: it goes on until it is told
my $out = "$before/edge";
my $edge = fork // die;
if (!$edge) {
    open STDOUT, '>', $out; open STDERR, '>&', \*STDOUT;
    open my $psql, '|-', 'psql', '-XAtq', '-d', in('edge') or POSIX::_exit(1);
    $psql->autoflush(1);
    print $psql "\\set VERBOSITY terse\n" . 'PREPARE s(uuid) AS ' . submit('$1', 'busy', "'ann'", 'null') . ";\n"
        . "PREPARE e AS SELECT last_seq FROM await.edge_events(ARRAY['$job{running}'::uuid], ARRAY[0], 9, 9);\n"
        . "PREPARE t AS SELECT complete FROM await.edge_tail('$tail'::pg_snapshot, 10);\nPREPARE p AS
            SELECT await.edge_publish('busy', 'update', '1', true);\n"
        . "PREPARE m AS SELECT await.tick();\nPREPARE h AS SELECT now_ms, unmade
            FROM await.edge_hello('{named}', '{0}');\n";
    my $submitted = 0;
    until (-e "$before/enough") {
        $submitted++;
        my $ms = int(time * 1000) & ~3 | 1;
        my $id = sprintf '%08x-%04x-7000-8000-%012x', $ms >> 16, $ms & 0xffff, int rand 1e14;
        print $psql
            "EXECUTE s('$id');\nEXECUTE e \\g /dev/null\nEXECUTE t \\g /dev/null\nEXECUTE p \\g /dev/null\n"
            . "EXECUTE m \\g /dev/null\nEXECUTE h \\g /dev/null\n";
        sleep 0.005;
    }
    close $psql;
    Await::Stack::write_file("$before/submitted", $submitted);
    POSIX::_exit(0);
}
# and a worker, which submits, claims and completes
my $worked = "$before/worker";
my $worker = fork // die;
if (!$worker) {
    open STDOUT, '>', $worked; open STDERR, '>&', \*STDOUT;
    open my $psql, '|-', 'psql', '-XAtq', '-d', in('worker') or POSIX::_exit(1);
    $psql->autoflush(1);
    print $psql "PREPARE s AS SELECT await.submit('steady', 'x');\n"
        . "PREPARE c AS SELECT await.complete(id, receipt, 'r') FROM await.claim(ARRAY['steady'], 'w', 1);\n";
    until (-e "$before/enough") { print $psql "EXECUTE s \\g /dev/null\nEXECUTE c;\n"; sleep 0.005 }
    close $psql;
    POSIX::_exit(0);
}
my $go_on = sub {
    my ($seen, $done) = map { -s $_ // 0 } $out, $worked;
    return until_true('they go on', sub { (-s $out // 0) > $seen + 400 && (-s $worked // 0) > $done + 20 });
};
ok $go_on->(), 'an edge and a worker go on meanwhile';
my ($status, $said) = migrate("$root/sql");
is $status, 0, 'its owner, who is no superuser, converts it';
like $said,
    qr/^converted[ ]migrations[ ]001[ ]to[ ]021[ ]to[ ]schema[ ]1\n(?:applied[ ]schema[ ]\d+:[ ]\w+\n)*
        applied[ ]functions[ ]\w+[ ]\(\d+[ ]files\)\nchanged[ ]grants:[ ]\d+\n\z/x,
    'and is told what was done';
ok $go_on->(), 'and both still go on';
Await::Stack::write_file("$before/enough", '');
waitpid $_, 0 for $edge, $worker;
is_deeply [ grep { $_ ne 't' } split /\n/, slurp($worked) ], [], 'the worker saw no error';
# what greets and publishes has a lock_timeout in its functions of before; submissions wait
my @answers = grep { !/^ERROR:  canceling statement due to lock timeout$/ } split /\n/, slurp($out);
# a call of the tick of before that waited for the conversion finds no table: the next one is that of after
@answers = grep { !/^ERROR:  relation "await\.ticked" does not exist/ } @answers;
my @stored = grep { /^[-0-9a-f]{36}$/ } @answers;
is_deeply [ grep { !/^[-0-9a-f]{36}$/ } @answers ], [], 'the edge saw no other error';
is scalar @stored, slurp("$before/submitted"), 'no submission failed';
is old("SELECT count(*) FROM await.job j JOIN await.ready r ON r.job = j.id JOIN await.queue q ON q.id = j.queue
    WHERE q.name = 'busy'"), scalar @stored, 'all it stored waits in its lane';

subtest 'what was there is there' => sub {
    is old("SELECT md5(string_agg(e::text, \$\$ \$\$ ORDER BY eid))
        FROM (SELECT job, seq, eid, xid, owner, type, state, attempt, data, at, body FROM await.event
        WHERE job <> await.topic_id('busy') AND job NOT IN (SELECT j.id FROM await.job j
        JOIN await.queue q ON q.id = j.queue WHERE q.name = 'steady')) e"), $history, 'the histories, to the letter';
    is old('SELECT job, attempt, worker, span, until, receipt FROM await.lease ORDER BY job'), $leases, 'the leases';
    is old('SELECT count(*) FROM await.delayed'), 1, 'the delayed job';
    is old('SELECT encode(key, \'hex\') FROM await.secret'), $key, 'the key that tickets and hints are signed with';
    is as('edge', once("'@{[ old('SELECT await.new_id()') ]}'::uuid")), "$first|f", 'a repeat is the same job';
    is as('edge', $use), 'f', 'a used ticket stays used';
    is old("SELECT convert_from(body, 'UTF8') FROM await.event WHERE job = '$job{ended}' AND ending"), 'result',
        'the result of the ended job';
};

subtest 'cursors go on' => sub {
    is events($job{running}, 2), '3step', 'of a job';
    is events($topic, 2), '3update', 'of a topic';
    is as('worker', "SELECT await.publish('news', 'update', '3')"), 4, 'whose numbers go on';
    is as('edge', "SELECT count(*) > 0 FROM await.edge_tail('$tail'::pg_snapshot, 1000)"), 't', 'of the tail';
    is as('edge', "SELECT await.cancel('$job{waits}')"), 'cancelled', 'the waiting job is cancelled';
    like as('edge', user($upto, $at)), qr{ $job{waits}/2$}, 'of a user: the last thing is what happened after';
    unlike as('edge', user($upto, $at)), qr{$job{ended}}, 'and nothing of before is told again';
};

subtest 'workers' => sub {
    is as('worker', "SELECT count(*) FROM await.claim(ARRAY['running'], 'w', 1)"), 0, 'a lease keeps its job';
    is as('worker', "SELECT await.heartbeat('$job{running}', '$receipt{running}')"), 'ok', 'its worker renews it';
    is as('worker', "SELECT await.complete('$job{running}', '$receipt{running}', 'x')"), 't', 'and ends the job';
    old("UPDATE await.lease SET until = now() - interval '1 s' WHERE job = '$job{lost}'");
    ok until_true(
        'given again',
        sub {
            as('worker', "SELECT await.tick()");
            as('worker', "SELECT id, attempt FROM await.claim(ARRAY['lost'], 'w', 1)") eq "$job{lost}|2";
        }
        ),
        'a lease that runs out: another has the job';
    is as('worker', "SELECT await.complete(id, receipt, 'x') FROM await.claim(ARRAY['kept'], 'w', 1)"), 't',
        'what waited is claimed and ended';
    old("UPDATE await.delayed SET due = now()");
    ok until_true(
        'due',
        sub {
            as('worker', 'SELECT await.tick()');
            as('worker', "SELECT id FROM await.claim(ARRAY['delayed'], 'w', 1)") eq $job{delayed};
        }
        ),
        'and so is what was delayed';
    is as('worker', "SELECT count(*) FROM await.claim(ARRAY['busy'], 'w', 1000)"),
        @stored > 1000 ? 1000 : scalar @stored, 'and what came meanwhile';
};

my ($new, $converted) = map { dump_schema($s, $_) } qw(await old);
ok $converted eq $new, 'its schema is that of a new database';
($status, $said) = migrate("$root/sql");
is $status, 0, 'a second time';
like $said, qr/^already up to date: schema \d+, functions \w+\n\z/, 'there is nothing to do';
ok dump_schema($s, 'old') eq $new, 'and nothing changes';

subtest 'one that stopped earlier is refused' => sub {
    sql('CREATE DATABASE older OWNER await', 'postgres');
    $s->sql(
        "CREATE SCHEMA await AUTHORIZATION await;
            CREATE TABLE await.migration (number int PRIMARY KEY, name text NOT NULL);
        ALTER TABLE await.migration OWNER TO await; INSERT INTO await.migration VALUES (15, '015_reap_by_index')",
        'older'
    );
    local $ENV{AWAIT_POSTGRES} = $s->postgres =~ s/dbname=await/dbname=older/r;
    my $out = `'$root/tools/await-ctl' migrate 2>&1`;
    isnt $?, 0, 'loudly';
    like $out,
        qr/at[ ]migration[ ]15,[ ].*only[ ]021[ ]can[ ]be[ ]converted\.[ ]Nothing[ ]was[ ]done.*
            run[ ]"migrate"[ ]of[ ]the[ ]await-ctl[ ]that[ ]has[ ]the[ ]files/sx,
        'and is told what to do';
    is $s->sql('SELECT count(*) FROM await.migration', 'older'), 1, 'nothing was done';
};
finish();
