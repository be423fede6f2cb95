# Cursors over all events (await.events_after): they leave nothing out, and have the events of each job in order,
# whatever transactions do at the same time.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Database qw(refused);
use Await::Session;
use Await::Test;
use Test::More;

start_stack(without => [qw(redis nginx)]);

# A page behind a cursor: the next cursor, and the events as "job seq" (the job's first letters, or its name).
my %name;
sub page {
    my ($cursor, $n) = @_;
    $n //= 1000;
    my @rows = map { [ split /\|/ ] } split /\n/, sql(
        "SELECT replace(next, '|', '/') || '|' || coalesce(id::text || '|' || seq, '|')
            FROM await.events_after(replace('$cursor', '/', '|'), $n)"
    );
    my $next = @rows ? $rows[0][0] : $cursor;
    is scalar(grep { $_->[0] ne $next } @rows), 0, 'all rows have the same cursor' if grep { $_->[0] ne $next } @rows;
    return ($next, map { ($name{ $_->[1] } // $_->[1]) . " $_->[2]" } grep { $_->[1] } @rows);
}
sub now { return (page(''))[0] }
sub submit_as {
    my ($name, $options) = @_;
    my $id = sql("SELECT await.submit('q', 'x', 'text/plain', '" . ($options // '{}') . "')");
    $name{$id} = $name;
    return $id;
}
sub emit_sql { my ($id, $type) = @_; return "SELECT await.append_event(await.lock_job('$id'), '$type', 'processing')" }

subtest 'a cursor goes on where it stood' => sub {
    my $cursor = now();
    is_deeply [ page($cursor) ], [$cursor], 'nothing is new';
    my $id = submit_as('a');
    submit_as('b', '{"owner": "u"}');
    sql("SELECT await.publish('news', 'said', '{}')");
    $name{ sql("SELECT await.topic_id('news')") } = 'topic';
    ($cursor, my @got) = page($cursor);
    is_deeply \@got, [ 'a 1', 'b 1', 'topic 2' ], 'jobs of nobody and of somebody, and what a topic says, in order';
    ($cursor, @got) = page($cursor);
    is_deeply \@got, [], 'each once';
    sql(emit_sql($id, 'x'));
    sql(emit_sql($id, 'y'));
    (my $later, @got) = page($cursor, 1);
    is_deeply \@got, ['a 2'], 'one at a time';
    ($later, @got) = page($later, 1);
    is_deeply \@got, ['a 3'], 'and the next';
    is_deeply [ (page($later))[ 1 .. 9 ] ], [ (undef) x 9 ], 'and no more';
    ($later, @got) = page('start');
    is_deeply \@got, [ 'a 1', 'b 1', 'topic 2', 'a 2', 'a 3' ], 'from the start: all that is kept';
};

subtest 'a late commit is not left out, and holds up nobody' => sub {
    my ($late, $other) = (submit_as('late'), submit_as('other'));
    my $cursor = now();
    my $session = Await::Session->new(stack()->postgres);
    $session->run('BEGIN');
    $session->run(emit_sql($late, 'x'));
    sql(emit_sql($other, 'x'));
    ($cursor, my @got) = page($cursor);
    is_deeply \@got, ['other 2'], 'what has committed comes at once';
    sql(emit_sql($other, 'x'));
    ($cursor, @got) = page($cursor);
    is_deeply \@got, ['other 3'], 'again';
    $session->run('COMMIT');
    ($cursor, @got) = page($cursor);
    is_deeply \@got, ['late 2'], 'then what was late, once';
    is_deeply [ page($cursor) ], [ (page($cursor))[0] ], 'and no more';
};

subtest 'a transaction with a low number that changes a job last waits for those before it' => sub {
    my ($one, $two) = (submit_as('one'), submit_as('two'));
    my $cursor = now();
    my $session = Await::Session->new(stack()->postgres);
    $session->run('BEGIN');
    $session->run(emit_sql($one, 'first'));    # it has its number
    sql(emit_sql($two, "n$_")) for 1 .. 5;
    $session->run(emit_sql($two, 'last'));
    $session->run(emit_sql($one, 'second'));
    $session->run('COMMIT');
    my @all;
    for my $n (1 .. 3, 7) {
        my ($at, @got, @page) = ($cursor);
        for (1 .. 40) {
            ($at, @page) = page($at, $n);
            push @got, @page;
            cmp_ok scalar(@page), '<=', $n + 1, "a page of $n is no longer" if @page > $n + 1;
        }
        is_deeply [ grep { /two/ } @got ], [ map { "two $_" } 2 .. 7 ], "pages of $n: the job's events in order";
        is_deeply [ grep { /one/ } @got ], [ 'one 2', 'one 3' ], "pages of $n: the other job's too, each once";
    }
};

subtest 'many transactions at once, some of which began long before they changed a job' => sub {
    my @jobs = map { submit_as("j$_") } 1 .. 6;
    my $ids = join ',', map { "'$_'" } @jobs;
    my $cursor = now();
    # each takes its number, waits, and adds events to some of the jobs, which others change meanwhile; some roll back
    my $writer = <<"SQL";
DO \$\$
BEGIN
    FOR i IN 1 .. 40 LOOP
        PERFORM pg_current_xact_id(), pg_sleep(random() ^ 4 * 0.05);
        PERFORM await.append_event(await.lock_job(j.id), 'x', 'processing')
            FROM (SELECT k AS id FROM unnest(ARRAY[$ids]::uuid[]) k WHERE random() < 0.4 ORDER BY k) j;
        IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
    END LOOP;
END \$\$
SQL
    my @writers = map { Await::Session->new(stack()->postgres)->start($writer) } 1 .. 6;
    my (%seq, @wrong, $n, $waited);
    my $take = sub {
        my ($size) = @_;
        my $before = $cursor;
        ($cursor, my @got) = page($cursor, $size);
        $waited++ if $cursor =~ m{/\d+:\d+(,\d+:\d+)*$} && $cursor =~ tr{/}{} == 2;
        for (@got) {
            my ($job, $seq) = split / /;
            push @wrong, "$job: $seq after " . ($seq{$job} // 1) if $seq != ($seq{$job} // 1) + 1;
            $seq{$job} = $seq;
            $n++;
        }
        return @got || $cursor ne $before;
    };
    my @left = @writers;
    while (@left) {
        $take->(1 + int rand 6);
        @left = grep { !defined $_->finish(0.002) } @left;
    }
    1 while $take->(1 + int rand 9);
    is_deeply \@wrong, [], 'the events of each job come in order, none twice, none left out';
    is $n, sql("SELECT count(*) FROM await.event WHERE job IN ($ids)"), 'all of them';
    cmp_ok $waited // 0, '>', 0, 'some pages left a transaction half read';
};

subtest 'many long transactions are not read all at once, and do not hold up what follows' => sub {
    my $cursor = now();
    my @long = map { submit_as("long$_") } 1 .. 12;
    for my $id (@long) {
        sql("SELECT count(await.append_event(await.lock_job('$id'), 'x', 'processing')) FROM generate_series(1, 40)");
    }
    my $after = submit_as('after');
    my (@got, @page, $most_open, $pages);
    do {
        ($cursor, @page) = page($cursor, 20);
        push @got, @page;
        my ($partial) = $cursor =~ m{^[^/]*/[^/]*/(.*)};
        my $open = () = ($partial // '') =~ /:/g;
        $most_open = $open if $open > ($most_open // 0);
        $pages++;
    } while (@page);
    my @all = map {
        my $job = "long$_";
        map { "$job $_" } 1 .. 41
    } 1 .. 12;
    is_deeply [ sort @got ], [ sort @all, 'after 1' ], 'all of them, each once';
    is_deeply [ grep { /^long7 / } @got ], [ map { "long7 $_" } 1 .. 41 ], 'in order';
    cmp_ok $most_open, '<=', 4, 'few transactions are half read at any time';
    cmp_ok $pages, '<', 12 * 42 / 20 + 12, 'and pages are full';
    $cursor = now();
    sql("SELECT count(await.append_event(await.lock_job('$long[0]'), 'x', 'processing')) FROM generate_series(1, 200)");
    sql(emit_sql($after, 'x'));
    ($cursor, @page) = page($cursor, 20);
    ($cursor, @page) = page($cursor, 20);
    is scalar(grep { $_ eq 'after 2' } @page), 1, 'an event behind one long transaction does not wait for its end';
};

subtest 'all transactions of a page wait for one that is far behind it' => sub {
    my @jobs = map { submit_as("w$_") } 1 .. 6;
    my $between = submit_as('between');
    my $cursor = now();
    my @sessions = map { Await::Session->new(stack()->postgres) } @jobs;
    for my $session (@sessions) {
        $session->run('BEGIN');
        $session->run('SELECT pg_current_xact_id()');
    }
    sql(emit_sql($between, 'x')) for 1 .. 15;
    sql('SELECT ' . join ', ', map { "await.append_event(await.lock_job('$_'), 'x', 'processing')" } @jobs);
    for my $i (0 .. $#jobs) {
        $sessions[$i]->run(emit_sql($jobs[$i], 'x')) for 1 .. 5;
        $sessions[$i]->run('COMMIT');
    }
    my ($at, @got, @page) = ($cursor);
    for (1 .. 80) {
        ($at, @page) = page($at, 3);
        push @got, @page;
    }
    for my $job ('between', map { "w$_" } 1 .. 6) {
        my $last = $job eq 'between' ? 16 : 7;
        is_deeply [ grep { /^$job / } @got ], [ map { "$job $_" } 2 .. $last ], "$job: in order, each once";
    }
};

subtest 'a page is bounded, and what is no cursor is refused' => sub {
    my $id = submit_as('big');
    my $cursor = now();
    sql(
        "SELECT await.append_event(await.lock_job('$id'), 'x', 'processing',
             to_jsonb(array_to_string(ARRAY(SELECT md5((g * 1000 + i)::text) FROM generate_series(1, 1400) i), '')))
         FROM generate_series(1, 200) g"
    );
    my ($next, @got) = page($cursor, 1000);
    cmp_ok scalar(@got), '<', 120, 'about 4 MB at a time';
    cmp_ok scalar(@got), '>', 50, 'and not much less';
    my @all = @got;
    while (1) { ($next, @got) = page($next, 1000); last unless @got; push @all, @got }
    is_deeply \@all, [ map { "big $_" } 2 .. 201 ], 'all of one transaction, over several pages';
    refused 'nonsense', "SELECT * FROM await.events_after('nonsense', 1)", qr/not a cursor/;
    refused 'a cursor of the future',
        "SELECT * FROM await.events_after('0|99999999:99999999:', 1)", qr/ahead of this server/;
    is sql("SELECT id, seq FROM await.events_after('7|5:5:', 9)"),
        sql("SELECT id, seq FROM await.events_after('start', 9)"),
        'a cursor of the server that a dump is of: all that was written here';
};

subtest 'the sink of docs/relay.md' => sub {
    my ($sql) = slurp("$Await::Stack::ROOT/docs/relay.md") =~ /## A sink of your own.*?```sql\n(.*?)```/s;
    my ($begin, $again) = split /^-- again and again\n/m, $sql;
    sql("CREATE TABLE my_cursor (cursor text); CREATE TABLE my_log (id uuid, seq int, type text, data jsonb); $begin");
    my $logged = sub { return sql(q{SELECT string_agg(id || ':' || seq, ' ' ORDER BY id, seq) FROM my_log}) };
    is $logged->(), '', 'it begins with what is written from then on';
    my @ids = map { sql(q{SELECT await.submit('mine', 'x', 'text/plain')}) } 1 .. 3;
    sql($again) for 1 .. 2;
    is $logged->(), join(' ', map { "$_:1" } sort @ids), 'each event has its effect once';
    sql(q{SELECT await.cancel(id) FROM my_log});
    sql($again) for 1 .. 2;
    is $logged->(), join(' ', map { ("$_:1", "$_:2") } sort @ids), 'and those that come later';
};

finish();
