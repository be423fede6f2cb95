# A page of user:<owner> read the owner's whole day, sorted, for each page that a cursor of long ago asked for: 60,000
# jobs were 60 ms a page, and four such readers made everybody else's page fifty times slower. And the paging itself, by
# transactions that commit in any order: each event once, whatever way the page is read. Was a bug, too: the moments
# that bound what a page costs were had only where statement and transaction began at the same time, which in the
# extended protocol they never do: all of nginx's pages were read from the owner's first event on.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use JSON::PP;
use Test::More;

start_stack(without => [ 'redis', 'nginx' ]);
# what nginx's statements read, in PostgreSQL's log
my %explain = (log_min_duration => 0, log_analyze => 'on', log_buffers => 'on', log_timing => 'off');
sql(
    join ';',
    'ALTER ROLE edge SET session_preload_libraries = auto_explain',
    'ALTER ROLE edge SET log_min_messages = log',
    map { "ALTER ROLE edge SET auto_explain.$_ = '$explain{$_}'" } sort keys %explain
);
stack()->start_redis;
stack()->start_nginx($Await::Test::SITE,
    vars =>
        { REREAD => '1h', EXTRA => 'await_owner $arg_u; location = /page { await_events user:$arg_u default=json; }' });
sql("SELECT await.submit('work', 'x')");     # so that nobody waits for who makes the queue
my $db = Await::Session->new(stack()->postgres);
my $at = $db->run('SELECT extract(epoch FROM now())::int8');

# One page, as an edge asks for it: the eids, whether it was all, and the moment.
sub page {
    my ($owner, $since, $upto, $after, $limit) = @_;
    my $call =
        "await.edge_user_events('{1}', '{$owner}', ARRAY['$since'], ARRAY[$at]::int8[], ARRAY['$upto'], "
        . "ARRAY[$at]::int8[], ARRAY[$after]::int8[], $limit, 16384)";
    my ($eids, $complete, $moment) = split /\|/,
        $db->run(
        "SELECT coalesce(string_agg(eid::text, ' ' ORDER BY eid), ''), bool_and(complete), min(upto) FROM $call");
    return ([ split / /, $eids ], $complete eq 't', $moment);
}

# All that lies between two moments, page by page.
sub pages {
    my ($owner, $since, $upto, $limit) = @_;
    my ($after, @all) = (0);
    while (1) {
        my ($eids, $complete, $moment) = page($owner, $since, $upto, $after, $limit);
        push @all, @$eids;
        return ($moment, @all) if $complete;
        die 'a page that is neither all nor anything' unless @$eids;
        ($upto, $after) = ($moment, $eids->[-1]);
    }
}

# The same by the rule alone.
sub due {
    my ($owner, $since, $upto) = @_;
    return split / /, $db->run(
        "SELECT coalesce(string_agg(u.eid::text, ' ' ORDER BY u.eid), '') FROM (
            SELECT e.eid, e.xid FROM await.event e WHERE e.owner = '$owner'
            UNION ALL SELECT j.eid, j.xid FROM await.job j WHERE j.owner = '$owner') u
        WHERE NOT pg_visible_in_snapshot(u.xid, '$since') AND pg_visible_in_snapshot(u.xid, '$upto')"
    );
}

subtest 'each event once, however transactions overlap and whatever the page holds' => sub {
    srand(my $seed = $ENV{AWAIT_SEED} // int rand 1e6);
    note "AWAIT_SEED=$seed";
    my @open = map { { session => Await::Session->new(stack()->postgres) } } 1 .. 5;
    # as edges get them, and as PostgreSQL has them
    my $moment = sub {
        return $db->run(
            "SELECT upto FROM await.edge_user_events('{1}', '{ann}', '{\"\"}', '{0}', '{\"\"}', '{0}', '{0}', 1, 1)");
    };
    my @moments = ([ $moment->(), 0 ]);
    # and over HTTP, in the extended protocol: a cursor, and all that was committed by then
    my $committed = sub { return split /\n/, $db->run("SELECT e.job || ' ' || e.seq FROM await.event e
        WHERE e.owner = 'ann' UNION ALL SELECT j.id || ' 1' FROM await.job j WHERE j.owner = 'ann'") };
    my $seen = sub {
        return { cursor => json(get('/page?u=ann'))->{cursor}, before => { map { $_ => 1 } $committed->() } };
    };
    my @cursors = ($seen->());
    for my $step (1 .. 90) {
        my $one = $open[ rand @open ];
        if (!$one->{in}) {
            $one->{session}->run('BEGIN');
            $one->{in} = 1;
        } elsif (rand() < 0.6) {
            my $n = rand() < 0.2 ? 30 : 1 + int rand 3;
            my $owner = rand() < 0.8 ? 'ann' : 'bob';
            $one->{session}->run("SELECT count(await.submit('work', 'x', 'text/plain', '{\"owner\": \"$owner\"}'))
                FROM generate_series(1, $n)");
        } else {
            $one->{session}->run(rand() < 0.8 ? 'COMMIT' : 'ROLLBACK');
            $one->{in} = 0;
        }
        # a worker's events too
        $db->run("SELECT count(await.emit(c.id, c.receipt, 'n', 'null'))
            FROM await.claim(ARRAY['work'], 'w', 3, interval '1 hour') c") if $step % 7 == 0;
        push @moments, [ ($step % 30 ? $moment->() : $db->run('SELECT pg_current_snapshot()')), $step ]
            if $step % 15 == 0;
        push @cursors, $seen->() if $step % 10 == 5;
    }
    $_->{session}->run('COMMIT') for grep { $_->{in} } @open;
    push @moments, [ $moment->(), 1000 ];
    my $wrong = 0;
    for my $from (@moments) {
        for my $limit (5, 40, 500) {
            my (undef, @all) = pages('ann', $from->[0], '', $limit);
            my @due = due('ann', $from->[0], $moments[-1][0]);
            $wrong++ if "@all" ne "@due";
            diag "from $from->[1], pages of $limit: @all instead of @due" if "@all" ne "@due" && $wrong < 3;
        }
        my ($to) = $moments[ rand @moments ];
        next if $to->[1] <= $from->[1];
        my (undef, @all) = pages('ann', $from->[0], $to->[0], 5);
        is "@all", join(' ', due('ann', $from->[0], $to->[0])), "from $from->[1] to $to->[1]";
    }
    is $wrong, 0, 'to the end';
    for my $from (@cursors) {
        my ($cursor, @all) = ($from->{cursor});
        while (1) {
            my $page = json(get("/page?u=ann&cursor=$cursor"));
            push @all, map { "$_->{job} $_->{seq}" } @{ $page->{events} // die 'no page' };
            last if !@{ $page->{events} };
            $cursor = $page->{cursor};
        }
        is_deeply [ sort @all ], [ sort grep { !$from->{before}{$_} } $committed->() ],
            scalar(@all) . ' by a cursor over HTTP';
    }
    cmp_ok scalar(due('ann', $moments[0][0], $moments[-1][0])), '>', 50, 'and there was something to read';
};

subtest 'a page costs the page' => sub {
    # blocks, for time is the machine's; the second call, when everything is planned
    my $blocks = sub {
        my ($owner, $since, $upto, $after) = @_;
        my $sql = "SELECT * FROM await.edge_user_events('{1}', '{$owner}', ARRAY['$since'], ARRAY[$at]::int8[],
            ARRAY['$upto'], ARRAY[$at]::int8[], ARRAY[$after]::int8[], 100, 16384)";
        my $plan =
            sql("DO \$\$ BEGIN PERFORM count(*) FROM ($sql) s; END \$\$; EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) $sql");
        my $root = decode_json($plan)->[0]{Plan};
        return $root->{'Shared Hit Blocks'} + $root->{'Shared Read Blocks'};
    };
    my $many = sub {
        sql(
            "DO \$\$ BEGIN FOR i IN 1 .. $_[1] LOOP PERFORM await.submit('q', 'x', 'text/plain', "
            . "'{\"owner\": \"$_[0]\"}') FROM generate_series(1, 20); COMMIT; END LOOP; END \$\$"
        );
    };
    my $moment = sub {
        return $db->run(
            "SELECT upto FROM await.edge_user_events('{1}', '{few}', '{\"\"}', '{0}', '{\"\"}', '{0}', '{0}', 1, 1)");
    };
    my $start = $moment->();
    $many->(few => 15);
    $many->(many => 300);
    my $middle = $moment->();
    $many->(many => 300);
    my $few = $blocks->('few', $start, '', 0);
    my $eid = sql("SELECT eid FROM await.job WHERE owner = 'many' ORDER BY eid OFFSET 5000 LIMIT 1");
    my %cost = (
        'the first page of many' => $blocks->('many', $start, '', 0),
        'one in the middle' => $blocks->('many', $start, '', $eid),
        'the first, by a cursor from in between' => $blocks->('many', $middle, '', 0),
        'one before an old moment' => $blocks->('many', '3:3:', $middle, $eid),
        'nothing before an old moment' => $blocks->('many', '3:3:', $start, 0),
        'of a cursor of one\'s own making' => $blocks->('many', '3:3:', '', 0),
    );
    cmp_ok $cost{$_}, '<', 2 * $few + 200, "$_: $cost{$_} blocks, and $few where there are few" for sort keys %cost;
};

subtest 'a page over HTTP costs the page' => sub {
    # four jobs a block, so that each job read in vain counts
    my $many = sub {
        sql(
            "DO \$\$ BEGIN FOR i IN 1 .. $_[1] LOOP PERFORM await.submit('q', convert_to(repeat('x', 1900), 'UTF8'), "
            . "'text/plain', '{\"owner\": \"$_[0]\"}') FROM generate_series(1, 40); COMMIT; END LOOP; END \$\$"
        );
    };
    my $log = stack()->{dir} . '/logs/postgres.log';
    my $blocks = sub {                       # of the last of three, when all is planned
        my ($u, $cursor, $page) = @_;
        my $read;
        for (1 .. 3) {
            my $from = -s $log;
            $page = json(get("/page?u=$u&cursor=$cursor"));
            until_true(
                "the plan in the log",
                sub {
                    substr(slurp($log), $from) =~
                        /edge_user_events.*?\n\s*Function Scan[^\n]*\n\s*Buffers: shared ([^\n]*)/s
                        and $read = $1;
                }) or die "nothing in the log";
        }
        my $n = 0;
        $n += $1 while $read =~ /(?:hit|read)=(\d+)/g;
        return ($n, scalar @{ $page->{events} }, $page->{cursor});
    };
    my $cursor = sub { return json(get("/page?u=$_[0]"))->{cursor} };
    my %start = map { $_ => $cursor->($_) } qw(rare lot);
    $many->(rare => 13);
    my %cursor = ('from before the first' => $start{lot});
    for my $when ('in between', 'near the end') {
        $many->(lot => 140);
        $cursor{"from $when"} = $cursor->('lot');
    }
    $many->(lot => 20);
    my ($few, $got) = $blocks->('rare', $start{rare});
    cmp_ok $got, '>=', 100, "a page of $got, $few blocks";
    for my $from (sort keys %cursor) {
        my ($read, $n) = $blocks->('lot', $cursor{$from});
        is $n, $got, "of 12,000 jobs, $from: as many";
        cmp_ok $read, '<', 1.25 * $few + 200, "$read blocks";
    }
};

subtest 'one reader\'s large events leave no other\'s page empty' => sub {
    my $since = $db->run('SELECT pg_current_snapshot()');
    sql("SELECT await.submit('large', 'x', 'text/plain', '{\"owner\": \"big\"}') FROM generate_series(1, 40);
        SELECT await.submit('small', 'x', 'text/plain', '{\"owner\": \"sam\"}')");
    sql("SELECT count(await.emit(c.id, c.receipt, 'n', to_jsonb(repeat(md5(n::text), 1400))))
        FROM await.claim(ARRAY['large'], 'w', 40, interval '1 hour') c, generate_series(1, 5) n");
    my $rows = sql(
        "SELECT string_agg(owner || ' ' || n || ' ' || complete, ', ' ORDER BY owner) FROM (
            SELECT owner, count(eid) AS n, bool_and(complete) AS complete
            FROM await.edge_user_events('{1,2}', '{big,sam}', ARRAY['$since', '$since'], ARRAY[$at, $at]::int8[],
                '{\"\",\"\"}', '{0,0}', '{0,0}', 500, 16384) GROUP BY owner) s"
    );
    like $rows, qr/^big \d+ false, sam 1 true$/, $rows;
};

finish();
