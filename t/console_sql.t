# The functions behind await_console: what they return, and that their cost does not grow with queues and jobs.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Database qw(refused);
use Await::Session;
use Await::Test;
use JSON::PP qw(decode_json encode_json);
use Test::More;

my $s = start_stack(without => [qw(nginx redis)]);

# A function of the console with these arguments.
sub console {
    my ($name, $args) = @_;
    my $json = $args ? encode_json($args) =~ s/'/''/gr : undef;
    my $got = sql("SELECT await.console_$name(" . (defined $json ? "'$json'" : '') . ')');
    return $got eq '' ? undef : decode_json($got);
}
sub submit_sql {
    my ($queue, $options) = @_;
    return sql("SELECT await.submit('$queue', 'x', options => '" . ($options // '{}') . "')");
}
sub act {
    my ($args) = @_;
    my $json = encode_json($args) =~ s/'/''/gr;
    my @rows = map { [ split /\|/, $_, -1 ] } split /\n/, sql("SELECT * FROM await.console_act('$json')");
    my ($document) = map { decode_json(join '|', $_->[0]) } grep { $_->[0] ne '' } @rows;
    return ($document, [ grep { $_->[0] eq '' } @rows ]);
}
# What EXPLAIN says of a call: the buffers that it touches.
sub buffers {
    my ($call) = @_;
    sql("SELECT await.$call") for 1 .. 2;
    my $plan = decode_json(sql("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT await.$call"))->[0]{Plan};
    return $plan->{'Shared Hit Blocks'} + $plan->{'Shared Read Blocks'};
}

my $odd = q({"owner": "<b>eve</b>", "params": {"x": "</script><script>alert(1)</script>"}});
my $waiting = submit_sql('first');
my $running = submit_sql('second', $odd);
my $receipt = sql(q(SELECT receipt FROM await.claim('{second}', 'worker-1')));
my @failed = map { submit_sql('third', '{"max_attempts": 1}') } 1 .. 3;
sql(
    "SELECT await.fail(c.id, c.receipt, '{\"type\": \"/problems/x\", \"title\": \"No disk\", \"detail\": \"full\"}',
    NULL) FROM await.claim('{third}', 'w', 10) c"
);
submit_sql('later', '{"delay": 3600}');

subtest 'the overview' => sub {
    my $o = console('overview');
    my %queues = map { $_->{queue} => $_ } @{ $o->{queues} };
    is join(' ', sort keys %queues), 'first later second third', 'names the queues';
    is "$queues{first}{ready} $queues{second}{ready} $queues{later}{delayed}", '1 0 1', 'what waits in each';
    is $queues{second}{running}, 1, 'and what runs';
    cmp_ok $queues{first}{oldest}, '>=', 0, 'for how long the first job waits';
    is $queues{second}{oldest}, undef, 'none waits where none is';
    is_deeply [ @{ $o->{workers}[0] }{qw(worker jobs)} ], [ 'worker-1', 1 ], 'who works';
    is_deeply [ @{ $o->{workers}[0]{running}[0] }{qw(id queue attempt)} ], [ $running, 'second', 1 ], 'on what';
    like $o->{workers}[0]{running}[0]{since}, qr/^20\d\d-.*Z$/, 'and since when';
    is $o->{totals}{queues}, sql(q(SELECT count(*) FROM await.queue WHERE name NOT LIKE '.%')),
        'how many queues there are';
    is_deeply [ map { 0 + $_ } @{ $o->{totals} }{qw(ready delayed held running)} ], [ 1, 1, 0, 1 ],
        'what is in all of them';
    is_deeply $o->{nodes}, [], 'no node has told of itself';
    is $o->{postgres}{database}, sql('SELECT current_database()'), 'what PostgreSQL says of itself';
};

subtest 'pages of queues' => sub {
    my $page = console('queues', { limit => 2 });
    is join(' ', map { $_->{queue} } @{ $page->{queues} }), 'first later', 'by name';
    $page = console('queues', { limit => 2, after => $page->{next} });
    is join(' ', map { $_->{queue} } @{ $page->{queues} }), 'second third', 'one after the other';
    is $page->{next}, undef, 'to the last';
    is join(' ', map { $_->{queue} } @{ console('queues', { match => 'ir' })->{queues} }), 'first third',
        'by a part of the name';
    is_deeply console('queues', { match => '%' })->{queues}, [], 'which is no pattern';
};

subtest 'pages of jobs' => sub {
    my (@seen, $cursor);
    for (1 .. 10) {
        my $page = console('jobs', { limit => 2, $cursor ? (cursor => $cursor) : () });
        push @seen, map { $_->{id} } @{ $page->{jobs} };
        $cursor = $page->{next} or last;
    }
    is scalar(@seen), 6, 'all jobs';
    is_deeply \@seen, [ reverse sort @seen ], 'newest first';
    my $failed = console('jobs', { state => 'failed', queue => 'third' })->{jobs};
    is scalar(@$failed), 3, 'by state and queue';
    is $failed->[0]{error}, 'No disk: full', 'with what went wrong';
    is_deeply [ map { $_->{id} } @{ console('jobs', { owner => '<b>eve</b>' })->{jobs} } ], [$running],
        'by owner';
    is_deeply console('jobs', { queue => 'nowhere' }), { jobs => [], next => undef }, 'none of an unknown queue';
    refused('a cursor of one\'s own', q(SELECT await.console_jobs('{"cursor": "x"}')), qr/invalid input syntax/);
};

subtest 'a job' => sub {
    my $job = console('job', { id => $running });
    is_deeply [ @$job{qw(queue owner state attempt)} ], [ 'second', '<b>eve</b>', 'processing', 1 ], 'its state';
    is $job->{lease}{worker}, 'worker-1', 'who has it';
    is_deeply [ map { $_->{type} } @{ $job->{events} } ], ['processing'], 'its events';
    like $job->{params}, qr/alert/, 'its parameters, as text';
    is console('job', { id => '00000000-0000-7000-8000-000000000000' }), undef, 'nothing of an unknown one';
    sql("SELECT await.emit('$running', '$receipt', 'note', '{\"n\": 1}') FROM generate_series(1, 250)");
    is scalar(@{ console('job', { id => $running })->{events} }), 200, 'no more than 200 events';
};

subtest 'failures' => sub {
    submit_sql('fourth', '{"max_attempts": 1}');
    sql(q(SELECT await.fail(c.id, c.receipt, '{"title": "Other"}', NULL) FROM await.claim('{fourth}', 'w', 10) c));
    my $f = console('failures', {});
    is $f->{looked}, 4, 'of all queues';
    is_deeply [ map { "$_->{queue} $_->{title} $_->{count}" } @{ $f->{groups} } ],
        [ 'third No disk 3', 'fourth Other 1' ], 'by error, the most frequent first';
    is_deeply [ sort @{ $f->{groups}[0]{jobs} } ], [ sort @failed ], 'with their jobs';
    $f = console('failures', { queue => 'fourth' });
    is "$f->{looked} $f->{found} " . @{ $f->{groups} }, '4 1 1', 'of one queue, and how many were looked at';
    is_deeply console('failures', { queue => 'first' }), { looked => 4, found => 0, groups => [] },
        'none of a queue is not none at all';
};

subtest 'actions' => sub {
    my ($done, $hears) = act({ action => 'cancel', jobs => [ $waiting, $running ] });
    is_deeply [ map { $_->{outcome} } @{ $done->{results} } ], [qw(cancelled cancelled)], 'several jobs are cancelled';
    is_deeply [ sort map { join ' ', @$_[ 1 .. 3 ] } @$hears ],
        [ sort "$waiting 2 ", "$running 253 <b>eve</b>" ], 'their newest events are named, for hints';
    is sql("SELECT max(seq) FROM await.event WHERE job = '$running'"), 253, 'as they are';
    ($done) = act({ action => 'cancel', jobs => [$waiting] });
    is $done->{results}[0]{outcome}, 'already', 'again changes nothing';
    ($done, $hears) = act({ action => 'retry', jobs => [ $failed[0] ] });
    is "$done->{results}[0]{outcome} $hears->[0][4]", 'retried third', 'a failed job is retried';
    is console('job', { id => $failed[0] })->{retried_by}, $done->{results}[0]{made}, 'as a new one';
    ($done) = act({ action => 'retry', jobs => [ $failed[0] ] });
    is $done->{results}[0]{outcome}, 'replayed', 'once only';
    ($done) = act({ action => 'retry', jobs => [ submit_sql('first'), '00000000-0000-7000-8000-000000000000' ] });
    is_deeply [ sort map { $_->{outcome} } @{ $done->{results} } ], [qw(running unknown)], 'what cannot be is said';
    ($done) = act({ action => 'pause', queues => [ 'first', 'nowhere' ] });
    is_deeply [ map { $_->{outcome} } @{ $done->{results} } ], [qw(paused unknown)], 'a queue is paused';
    is sql(q(SELECT count(*) FROM await.queue WHERE name = 'nowhere')), 0, 'and none is created';
    ok console('queues', { match => 'first' })->{queues}[0]{paused}, 'which is shown';
    ($done, $hears) = act({ action => 'resume', queues => ['first'] });
    is "$done->{results}[0]{outcome} $hears->[0][4]", 'resumed first', 'and resumed';
    my @many = map { sprintf '%08d-0000-7000-8000-000000000000', $_ } 1 .. 101;
    my $many = encode_json({ action => 'cancel', jobs => \@many });
    refused('no action: ' . substr($_, 0, 40), "SELECT await.console_act('$_')", qr/an action needs/)
        for '{}', '{"action": "drop"}', '{"action": "cancel"}', '{"action": "cancel", "jobs": []}', $many,
        '{"action": "pause", "queues": "first"}', '{"action": "pause", "queues": ["first", null, 1]}',
        '{"action": "cancel", "jobs": [null]}';
    my $before = console('job', { id => $failed[1] })->{retried_by};
    my $bad = encode_json({ action => 'retry', jobs => [ $failed[1], 'x' ] });
    refused('one bad id refuses all', "SELECT await.console_act('$bad')", qr/an action needs/);
    is console('job', { id => $failed[1] })->{retried_by}, $before, 'and nothing is done';
};

subtest 'what no operator may change' => sub {
    sql("SELECT await.publish('news', 'note', '{}')");
    my $topic = sql("SELECT await.topic_id('news')");
    my $events = sub { sql("SELECT count(*) || ' ' || count(*) FILTER (WHERE ending) FROM await.event
        WHERE job = '$topic'") };
    my $before = $events->();
    for my $action (qw(cancel retry)) {
        my ($done, $hears) = act({ action => $action, jobs => [ uc $topic ] });
        is $done->{results}[0]{outcome}, 'unknown', "$action: a topic is no job";
        is_deeply $hears, [], 'nobody hears of it';
        is sql("SELECT await.$action('$topic') IS NULL"), 't', "nor is it for await.$action()";
    }
    is $events->(), $before, 'and it has no ending';
    my ($done) = act({ action => 'cancel', jobs => [ $waiting, uc $waiting ] });
    is_deeply $done->{results}, [ { job => $waiting, outcome => 'already', made => undef } ],
        'a job in upper and in lower case is one';
};

subtest 'locks are not waited for' => sub {
    my $session = Await::Session->new($s->postgres('admin'));
    $session->run("BEGIN; SELECT FROM await.queue WHERE name = 'first' FOR UPDATE");
    my ($done) = act({ action => 'pause', queues => [ 'first', 'second' ] });
    is_deeply { map { $_->{queue} => $_->{outcome} } @{ $done->{results} } },
        { first => 'locked', second => 'paused' }, 'a locked queue is passed by';
    $session->run('ROLLBACK');
    act({ action => 'resume', queues => ['second'] });
    sql("SELECT await.publish('queue:first', 'note', '{}')");
    $session->run("BEGIN; SELECT FROM await.job WHERE id = await.topic_id('queue:first') FOR UPDATE");
    ($done) = act({ action => 'pause', queues => [ 'first', 'second' ] });
    is join(' ', map { $_->{outcome} } @{ $done->{results} }), 'locked locked',
        'what a change needs may be locked, too';
    $session->run('ROLLBACK');
    is console('queues', { match => 'first' })->{queues}[0]{paused}, JSON::PP::false, 'then nothing was changed';
    $session->run('BEGIN; LOCK TABLE await.queue, await.job IN ACCESS EXCLUSIVE MODE');
    refused("$_ gives up", "SELECT await.console_$_", qr/lock timeout/)
        for 'overview()', q(queues('{}')), q(jobs('{}')), q(failures('{}')), qq(job('{"id": "$waiting"}'));
    $session->run('ROLLBACK');
};

subtest 'rights' => sub {
    for my $role (qw(await_edge await_worker await_relay await_console)) {
        my %may = map { $_ => sql("SELECT has_function_privilege('$role', p.oid, 'EXECUTE') FROM pg_proc p
            WHERE p.pronamespace = 'await'::regnamespace AND p.proname = 'console_$_'") }
            qw(overview queues jobs job failures act depth queue leases relays error nodes lanes);
        is join(' ', sort grep { $may{$_} eq 't' } keys %may),
            {
                await_edge => 'failures job jobs overview queues',
                await_console => 'act failures job jobs overview queues' }->{$role} // '', $role;
    }
};

# 10,000 queues with jobs in each, and 20,000 in one.
subtest 'many queues and jobs' => sub {
    sql('UPDATE await.limits SET queues = 20000');
    my %before = map { $_ => buffers($_) }
        q(console_queues('{"limit": 50}')), q(console_jobs('{"limit": 50}')), q(console_failures('{}'));
    sql(
        q(INSERT INTO await.queue (name)
              SELECT format('many.%s', to_char(i, 'FM00000')) FROM generate_series(1, 10000) i;
          SELECT count(await.submit(q.name, 'x')) FROM await.queue q WHERE q.name LIKE 'many.%')
    );
    sql(q(SELECT count(await.submit('deep', 'x')) FROM generate_series(1, 20000)));
    sql('VACUUM ANALYZE await.ready');
    my $o = console('overview');
    cmp_ok scalar(@{ $o->{queues} }), '<=', 80, 'the overview has a bounded number of queues';
    cmp_ok length(encode_json($o)), '<', 64 * 1024, 'and of bytes';
    cmp_ok $o->{totals}{queues}, '>', 10000, 'of all';
    my $waiting = sql('SELECT count(*) FROM await.ready');
    my $shown = 0;
    $shown += $_->{ready} for @{ $o->{queues} };
    cmp_ok $shown, '<', $waiting / 2, 'what is shown is a part of what waits';
    cmp_ok abs($o->{totals}{ready} - $waiting), '<', $waiting / 20, 'the total is that of all queues';
    ok $o->{totals}{about}, 'which is an estimate, as one of them is deep';
    sql(q(DELETE FROM await.queue_count));
    sql(q(INSERT INTO await.queue_count (queue, completed, failed, waits, runs, totals)
          SELECT q.id, 2, 1, '{}', '{}', '{}' FROM await.queue q WHERE q.name LIKE 'many.%'));
    my $ended = console('overview')->{ended};
    is "$ended->{completed} $ended->{failed}", '20000 10000', 'what has ended, in all queues';
    my ($deep) = @{ console('queues', { match => 'deep' })->{queues} };
    ok $deep->{about}, 'the depth of a deep queue is estimated';
    cmp_ok abs($deep->{ready} - 20000), '<', 2000, 'well';
    cmp_ok buffers('console_overview()'), '<', 150_000, 'the overview looks at each lane once';
    cmp_ok buffers(q(console_queues('{"match": "deep"}'))), '<', 30_000, 'a search looks at the names';
    cmp_ok buffers($_), '<', 3 * $before{$_} + 5000, "$_ costs as before" for sort keys %before;
};

finish();
