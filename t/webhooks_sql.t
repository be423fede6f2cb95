# Webhooks, as the database keeps them: who gets which event, in which order, what becomes of an attempt, and await-ctl.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Database qw(refused);
use Await::Session;
use Await::Test;
use JSON::PP qw(decode_json);
use MIME::Base64 qw(decode_base64 encode_base64);
use Digest::SHA qw(hmac_sha256);
use Test::More;

my $s = start_stack(without => [qw(nginx redis)]);
my $ctl = "$Await::Stack::ROOT/tools/await-ctl";
my $conninfo = $s->postgres;
sub ctl {
    my (@words) = @_;
    my $pid = open(my $from, '-|') // die "fork: $!";
    if (!$pid) {
        $ENV{AWAIT_POSTGRES} = $conninfo;
        open STDERR, '>&', \*STDOUT;
        exec $ctl, 'webhooks', @words or POSIX::_exit(127);
    }
    my $out = do { local $/; <$from> }
        // '';
    close $from;
    return wantarray ? ($? >> 8, $out) : $out;
}

# A job with these options that was claimed and completed: three events.
sub done {
    my ($queue, $options) = @_;
    my $id = sql("SELECT await.submit('$queue', 'x', options => '" . ($options // '{}') . "')");
    sql(
        "SELECT await.complete(c.id, c.receipt, 'result', 'text/plain') FROM await.claim('{$queue}', 'w', 100) c
        WHERE c.id = '$id'"
    );
    return $id;
}
# Hands the events of jobs to the webhooks, as the relay does; how many deliveries were stored.
sub enqueue {
    my (@ids) = @_;
    my $ids = join ',', map { "'$_'" } @ids;
    return sql(
        "SELECT await.enqueue_deliveries(array_agg(job ORDER BY job, seq), array_agg(seq ORDER BY job, seq),
            array_agg(type ORDER BY job, seq))
        FROM (SELECT id AS job, 1 AS seq, 'pending' AS type FROM await.job WHERE id IN ($ids)
              UNION ALL SELECT job, seq, type FROM await.event WHERE job IN ($ids)) e"
    );
}
# What is stored for a job: type and URL.
sub stored {
    return sql(
        "SELECT coalesce(string_agg(type || ' ' || url, ', ' ORDER BY seq, url), '')
        FROM await.delivery WHERE job = '$_[0]'"
    );
}
sub due {
    return sql(
        "SELECT coalesce(string_agg(type || ' ' || url, ', ' ORDER BY id), '')
        FROM await.due_deliveries('', '{}', '{}', '{}', '{}', 100, 1000)"
    );
}
# Ends the attempt for a job and URL.
sub attempt {
    my ($job, $type, $outcome, $delay) = @_;
    $delay //= 0;
    return sql(
        "SELECT await.finish_deliveries(ARRAY[d.id], ARRAY[u.attempts], '{$outcome}', '{$delay}',
        ARRAY[CASE '$outcome' WHEN 'delivered' THEN 200 ELSE 500 END]::int2[], '{why}', '{7}')
        FROM await.delivery d JOIN await.delivery_due u ON u.delivery = d.id WHERE d.job = '$job' AND d.type = '$type'"
    );
}
sub forget {
    sql(
        'TRUNCATE await.webhook, await.webhook_secret, await.delivery, await.delivery_due, await.delivery_end,
    await.delivery_attempt, await.delivery_host RESTART IDENTITY;
    INSERT INTO await.webhook_secret VALUES (0, sha256(\'key\'))'
    );
    return;
}

subtest 'which events a URL gets' => sub {
    my $job = done('none');
    is enqueue($job), 0, 'without a webhook, nothing is stored';
    sql(
        "SELECT await.add_webhook('https://all.example/'), await.add_webhook('https://q.example/', 'q'),
        await.add_webhook('https://types.example/', 'q', '{pending,processing}'),
        await.add_webhook('https://any.example/', 'q', '{*}')"
    );
    is enqueue($job), 1, 'an endpoint gets the endings';
    is stored($job), 'completed https://all.example/', 'and nothing else';
    $job = done('q');
    is enqueue($job), 7, 'each endpoint gets its own';
    is stored($job),
        join(', ',
        (map { "pending https://$_.example/" } qw(any types)),
        (map { "processing https://$_.example/" } qw(any types)),
        map { "completed https://$_.example/" } qw(all any q)),
        'of its types, of its queue';
    is enqueue($job), 0, 'handed over once more, nothing is stored twice';
    forget();
    my $own = done('q', '{"webhook": "https://own.example/x?y=1"}');
    my $on = done('q', '{"webhook": "https://own.example/", "webhook_on": "pending,failed"}');
    enqueue($own, $on);
    is stored($own), 'completed https://own.example/x?y=1', 'a job\'s own URL gets its ending';
    is stored($on), 'pending https://own.example/', 'or the types that it names';
    my $batch = sql(q{SELECT await.create_batch('{"webhook": "https://batch.example/"}')});
    my $in = sql("SELECT await.submit('q', 'x', options => '{\"batch\": \"$batch\"}')");
    sql("SELECT await.complete(c.id, c.receipt, 'result') FROM await.claim('{q}', 'w', 1) c");
    enqueue($batch, $in);
    is stored($batch), 'batch.ready https://batch.example/', 'a batch\'s URL gets that it is ready';
    is stored($in), '', 'its jobs have none of it';
    my $again = sql("SELECT await.retry('$own')");
    is sql("SELECT webhook ->> 'url' FROM await.job WHERE id = '$again'"), 'https://own.example/x?y=1',
        'a retry has that of the old job';
    sql("SELECT await.publish('news', 'said', '{}')");
    sql("SELECT await.add_webhook('https://any.example/', NULL, '{*}')");
    is sql("SELECT await.enqueue_deliveries(array_agg(job), array_agg(seq), array_agg(type)) FROM await.event_topic"),
        0, 'topics have no webhooks';
    is sql(q{SELECT await.enqueue_deliveries('{01a20259-b1ac-7c07-9f5a-2b6c1d0e4a77}', '{3}', '{completed}')}), 0,
        'nor have events that are gone';
    forget();
};

subtest 'what is sent' => sub {
    my $job =
        done('q', '{"webhook": "https://own.example/", "webhook_on": "*", "owner": "a\"nn", "correlation_id": "c-1"}');
    enqueue($job);
    my ($first, undef, $last) = map { decode_json($_) } split /\n/,
        sql("SELECT body FROM await.delivery WHERE job = '$job' ORDER BY seq");
    is_deeply [ @{ $first->{data} }{qw(job seq state queue owner correlation_id)} ],
        [ $job, 1, 'pending', 'q', 'a"nn', 'c-1' ], 'which event it is';
    is $first->{type}, 'pending', 'its type';
    like $first->{timestamp}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'its time';
    ok !exists $first->{data}{batch} && !exists $first->{data}{attempt}, 'members that say nothing are left out';
    is_deeply $last->{data}{result}, { status => 200, type => 'text/plain', size => 6 }, 'the result without its body';
    unlike sql("SELECT string_agg(body, '') FROM await.delivery WHERE job = '$job'"), qr/payload|"x"/, 'no payload';
    my $failed = sql(q{SELECT await.submit('q', 'x', options => '{"webhook": "https://own.example/"}')});
    sql(
        qq{SELECT await.fail(c.id, c.receipt, '{"title": "No", "null": null}', '-1 s')
        FROM await.claim('{q}', 'w', 100) c
        WHERE c.id = '$failed'}
    );
    enqueue($failed);
    my $body = decode_json(sql("SELECT body FROM await.delivery WHERE job = '$failed'"));
    is $body->{data}{data}{title}, 'No', 'the error of a job that failed';
    ok exists $body->{data}{data}{null}, 'as it is';
    forget();
};

subtest 'order and attempts' => sub {
    my $job = done('q', '{"webhook": "https://own.example/", "webhook_on": "*"}');
    my $other = done('q', '{"webhook": "https://own.example/"}');
    enqueue($job, $other);
    is due(), 'pending https://own.example/, completed https://own.example/', 'the first of each job is due';
    is attempt($job, 'pending', 'retry', 60000), 0, 'while it is repeated';
    is due(), 'completed https://own.example/', 'those behind it wait';
    sql("UPDATE await.delivery_due SET due = clock_timestamp() WHERE due < 'infinity'");
    is attempt($job, 'pending', 'delivered'), 1, 'when it has been accepted';
    like due(), qr/processing/, 'the next one is due';
    attempt($job, 'processing', 'dead');
    like due(), qr/completed.*completed/, 'also when it is given up';
    is sql(
        "SELECT await.finish_deliveries(ARRAY[id], '{5}', '{delivered}', '{0}', '{200}', '{NULL}', '{1}')
        FROM await.delivery
        WHERE job = '$job' AND type = 'completed'"
        ),
        0, 'an outcome of a delivery that another has tried meanwhile';
    like due(), qr/completed.*completed/, 'changes nothing';
    is sql(
        "SELECT string_agg(n || ' ' || status || ' ' || error, ', ' ORDER BY n) FROM await.delivery_attempt a
        JOIN await.delivery d ON d.id = a.delivery WHERE d.type = 'pending'"
        ),
        '1 500 why, 2 200 why', 'attempts are listed';
    sql("UPDATE await.delivery_due SET until = clock_timestamp() + interval '1 s'");
    attempt($job, 'completed', 'retry', 5000);
    is sql(
        "SELECT state FROM await.delivery_end e JOIN await.delivery d ON d.id = e.delivery
        WHERE d.job = '$job' AND d.type = 'completed'"
        ),
        'dead', 'after three days it is given up';
    my $late = sql("SELECT id FROM await.delivery WHERE job = '$job' AND type = 'completed'");
    is sql("SELECT await.retry_delivery($late)"), 'retried', 'it can be sent once more';
    is sql("SELECT await.retry_delivery($late)"), 'waiting', 'but not while it waits';
    is sql('SELECT await.retry_delivery(4711)'), 'unknown', 'an unknown one is unknown';
    is sql('SELECT delivered, failed, dead FROM await.delivery_stats()'), '1|3|2', 'outcomes are counted';
    forget();
};

subtest 'rows that somebody has edited' => sub {
    my @jobs = map { done('q', '{"webhook": "https://own.example/"}') } 1 .. 5;
    my @edited = ('{"url": "x"}', '{"url": null}', '[1]', '{"url": "https://own.example/", "on": 5}');
    sql("UPDATE await.job SET webhook = '$edited[$_]' WHERE id = '$jobs[$_]'") for 0 .. $#edited;
    my $all = join ',', @jobs;
    is sql("SELECT await.enqueue_deliveries('{$all}', array_fill(3, '{5}'), array_fill('completed'::text, '{5}'))"), 2,
        'stand in the way of no other';
    my $host = "(SELECT host FROM await.delivery_due LIMIT 1)";
    sql("INSERT INTO await.delivery_due (job, webhook, seq, delivery, host, due, until)
        VALUES (gen_random_uuid(), 0, 1, 888888, $host, now() - interval '1 day', now() + interval '1 day')");
    sql("UPDATE await.delivery_due SET due = '-infinity' WHERE job = '$jobs[4]'");
    is sql("SELECT count(id) FROM await.due_deliveries('', '{}', '{}', '{}', '{}', 2, 1000)"), 2,
        'nor does a delivery that is gone, or is due for ever';
    sql('DELETE FROM await.delivery_due WHERE delivery = 888888');
    forget();
};

subtest 'a job\'s own URL that wants no more' => sub {
    my $job = done('q', '{"webhook": "https://own.example/", "webhook_on": "*"}');
    my $other = done('q', '{"webhook": "https://own.example/"}');
    sql("SELECT await.enqueue_deliveries('{$job,$job,$other}', '{1,2,3}', '{pending,processing,completed}')");
    sql(
        "SELECT await.finish_deliveries(ARRAY[id], '{0}', '{gone}', '{0}', '{410}', '{gone}', '{7}')
        FROM await.delivery WHERE job = '$job' AND type = 'pending'"
    );
    is due(), 'completed https://own.example/', 'gets nothing more of this job, but of others';
    is sql(
        "SELECT string_agg(d.type || ' ' || e.state, ', ' ORDER BY d.id) FROM await.delivery d
        JOIN await.delivery_end e ON e.delivery = d.id"
        ),
        'pending dead, processing dead', 'what waited has ended';
    is enqueue($job), 0, 'and what happens then is not stored';
    my $first = sql("SELECT id FROM await.delivery WHERE job = '$job' AND type = 'pending'");
    sql("SELECT await.retry_delivery($first)");
    attempt($job, 'pending', 'delivered');
    is enqueue($job), 1, 'until it has accepted that, sent once more';
    forget();
};

# Bug: all deliveries of the job were looked at for each of its events.
subtest 'a job with many events' => sub {
    my $own = '{"webhook": "https://own.example/", "webhook_on": "*"}';
    my $job = sql("SELECT await.submit('q', 'x', options => '$own')");
    sql("SELECT count(await.append_event(await.lock_job('$job'), 'tick', 'processing', '1'))
        FROM generate_series(1, 500)");
    sql("INSERT INTO await.delivery (webhook, job, seq, type, queue, url, body)
        SELECT 0, '$job', 1000 + g, 'tick', 'q', 'https://own.example/', '{}' FROM generate_series(1, 40000) g");
    my $began = time;
    is enqueue($job), 501, 'those of its events that come later are stored';
    cmp_ok time - $began, '<', 6, 'at once, not in 20 s';
    forget();
};

subtest 'an event that is stored while the one before ends is not forgotten' => sub {
    my $job = done('q', '{"webhook": "https://own.example/", "webhook_on": "*"}');
    sql("SELECT await.enqueue_deliveries('{$job}', '{1}', '{pending}')");
    my ($one, $two) = map { Await::Session->new($conninfo) } 1, 2;
    $one->run('BEGIN');
    $one->run("SELECT await.enqueue_deliveries('{$job}', '{2}', '{processing}')");
    $two->start(
        q{SELECT await.finish_deliveries(ARRAY[(SELECT min(id) FROM await.delivery)], '{0}', '{delivered}', '{0}',
            '{200}', '{NULL}', '{1}')}
    );
    ok until_true('the end waits',
        sub { sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") > 0 }),
        'the end waits for it';
    $one->run('COMMIT');
    is $two->finish, 1, 'and finds it';
    is due(), 'processing https://own.example/', 'so it is due';
    forget();
};

subtest 'hosts' => sub {
    my @slow = map { done('q', qq({"webhook": "https://slow.example/$_"})) } 1 .. 5;
    my @fast = map { done('q', qq({"webhook": "https://fast.example/$_"})) } 1 .. 2;
    enqueue(@slow, @fast);
    my $count = sub {
        sql(
            "SELECT coalesce(string_agg(host || n, ' ' ORDER BY host), '') FROM (SELECT host, count(*) AS n
        FROM await.due_deliveries($_[0]) WHERE id IS NOT NULL GROUP BY host) h"
        );
    };
    is $count->(q('', '{}', '{}', '{}', '{}', 3, 100)), 'fast.example2 slow.example3',
        'each host gets what it has room for';
    is $count->(q('', '{slow.example}', '{0}', '{0}', '{}', 3, 100)), 'fast.example2', 'a full one gets nothing';
    is $count->(q('', '{}', '{}', '{}', '{}', 3, 1)), 'fast.example1', 'all of them no more than there is room in all';
    my $held = q(ARRAY(SELECT delivery FROM await.delivery_due WHERE host = 'fast.example'));
    is $count->("'', '{}', '{}', '{}', $held, 3, 100"),
        'slow.example3', 'those that are sent already are left out';
    is $count->(q('fast.example', '{}', '{}', '{}', '{}', 3, 100)), 'slow.example3', 'and then the next one comes';
    my $now = 'ARRAY[(extract(epoch FROM clock_timestamp()) * 1000000)::int8]';
    is $count->("'', '{slow.example}', '{9}', $now, '{}', 3, 100"),
        'fast.example2',
        'none that was due before';
    sql(q{INSERT INTO await.delivery_host SELECT 'dead' || i || '.example' FROM generate_series(1, 3000) i});
    my $dead = q{ARRAY(SELECT 'dead' || i || '.example' FROM generate_series(3000, 1, -1) i)};
    is $count->("'', $dead, array_fill(0, '{3000}'), array_fill(0::int8, '{3000}'), '{}', 3, 100"),
        'fast.example2 slow.example3', 'thousands that are known to be down are passed by at once';
    forget();
};

subtest 'a host that is purged while a delivery is stored' => sub {
    my ($one, $two) = map { done('q', '{"webhook": "https://own.example/"}') } 1, 2;
    enqueue($one);
    attempt($one, 'completed', 'delivered');
    my $session = Await::Session->new($conninfo);
    $session->run('BEGIN');
    $session->run('SELECT await.purge_deliveries(10)');
    is sql('SELECT count(*) FROM await.delivery_host'), 1, 'it is there for others';
    my $other =
        Await::Session->new($conninfo)->start("SELECT await.enqueue_deliveries('{$two}', '{3}', '{completed}')");
    ok until_true('it waits', sub { sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") > 0 }),
        'who stores one waits';
    $session->run('COMMIT');
    is $other->finish, 1, 'it is stored';
    is due(), 'completed https://own.example/', 'and found';
    sql(
        "UPDATE await.delivery SET created_at = created_at - interval '8 days';
        UPDATE await.delivery_end SET at = at - interval '8 days'; SELECT await.purge_deliveries(10)"
    );
    is sql('SELECT count(*) FROM await.delivery'), 1, 'after a week, one that has ended is deleted';
    forget();
};

subtest 'endpoints' => sub {
    my ($status, $out) = ctl('add', 'https://a.example/x', '--types=pending,failed', '--type=failed');
    is $status, 64, 'an option that add does not have';
    like ctl('add', 'https://a.example/x', '--types=pending,failed'), qr/webhook 1: registered/, 'one is registered';
    my $secret = 'whsec_' . encode_base64('k' x 24, '');
    my $file = "$s->{dir}/secret";
    open my $to, '>', $file or die $!;
    print {$to} "$secret\n";
    close $to;
    like ctl('add', 'http://b.example:8080/', '--queue=q', "--secret-file=$file"), qr/webhook 2/,
        'with a secret of its own';
    ctl('add', 'http://b.example:8080/', '--queue=q', "--secret-file=$file");
    is ctl('secret', 2), "$secret\n", 'which is shown, and there once, also if it is registered again';
    my $derived = ctl('secret', 1);
    like $derived, qr{^whsec_[A-Za-z0-9+/]{43}=$}, 'another one has that of its origin';
    is ctl('secret', 'https://A.example:443/other'), $derived, 'as all URLs of the origin have';
    isnt ctl('secret', 'https://a.example:8443/'), $derived, 'and no other';
    is decode_base64($derived =~ s/whsec_//r),
        hmac_sha256('https://a.example', pack 'H*',
        sql("SELECT encode(key, 'hex') FROM await.webhook_secret WHERE webhook = 0")),
        'it is an HMAC of the origin';
    ctl('rotate', 2, '--overlap=1h');
    my @two = split /\n/, ctl('secret', 2);
    is "@two[1 .. $#two]", $secret, 'after a rotation, the old secret is there beside the new one';
    isnt $two[0], $secret, 'which comes first';
    ctl('rotate', 1);
    is + (split /\n/, ctl('secret', 1))[1] . "\n", $derived, 'the derived one, too, is there for a while';
    ctl('rotate', 'derived', '--overlap=0');
    isnt ctl('secret', 'https://a.example/'), $derived, 'all derived ones are replaced';
    my $list = ctl('--json', 'list');
    unlike $list, qr/whsec|key/, 'no secret is on the list';
    is scalar @{ decode_json($list) }, 2, 'all endpoints are';
    like ctl('disable', 1), qr/disabled: by an operator/, 'one is disabled';
    my $job = done('p');
    is enqueue($job), 0, 'and gets nothing';
    unlike ctl('enable', 1), qr/disabled/, 'and enabled';
    unlike ctl('remove', 1), qr/a\.example/, 'and removed';
    for (
        ['ftp://x'], ['https://u:p@x/'],
        [ 'https://x/', '--queue=a b' ],
        [ 'https://x/', '--types=A' ],
        [ 'https://x/', '--secret-file=/dev/null' ], [])
    {
        ($status) = ctl('add', @$_);
        isnt $status, 0, "add @$_ is refused";
    }
    is sql('SELECT count(*) FROM await.webhook'), 1, 'nothing was stored';
    for my $words (
        [ 'remove', 7 ],
        [ 'enable', 'x' ],
        ['rotate'], [ 'secret', 7 ],
        ['nothing'],
        [ 'deliveries', '--state=x' ],
        [ 'retry', 1 ])
    {
        ($status) = ctl(@$words);
        isnt $status, 0, "@$words is refused";
    }
    forget();
};

subtest 'the list' => sub {
    sql("SELECT await.add_webhook('https://a.example/', 'q', '{*}')");
    my @jobs = map { done('q') } 1 .. 3;
    enqueue(@jobs);
    my @all = map { decode_json($_) } split /\n/, ctl('--json', 'deliveries');
    is join(' ', map { $_->{id} } @all), '9 8 7 6 5 4 3 2 1', 'the newest first';
    my ($status, $out) = ctl('deliveries', '--limit=2');
    is scalar(split /\n/, $out), 2, 'no more than asked for';
    is scalar(my @of = split /\n/, ctl('deliveries', "--job=$jobs[1]")), 3, 'of a job';
    attempt($jobs[0], 'pending', 'dead');
    attempt($jobs[1], 'pending', 'retry', 60000);
    like ctl('deliveries', '--state=dead'), qr/^1 +dead +$jobs[0]:1 +pending .*attempts: 1 +why$/, 'what is dead';
    like ctl('deliveries', '--state=retrying'), qr/^4 .*next at \d{4}-.*$/, 'what is repeated, and when';
    is scalar(() = ctl('deliveries', '--state=waiting') =~ /waiting/g), 7, 'what waits';
    is ctl('deliveries', '--since=tomorrow'), '', 'of a time';
    is sql('SELECT count(*), max(next) FROM await.list_deliveries(NULL, 1, NULL, NULL, NULL, 4)'), '5|6',
        'a page says where the next one begins';
    is sql('SELECT count(*), max(next) FROM await.list_deliveries(NULL, 1, NULL, NULL, 6, 200)'), '6|',
        'the last one does not';
    like ctl('retry', 1), qr/1 +retried/, 'one is sent once more';
    attempt($jobs[0], 'pending', 'dead');
    ctl('disable', 1);
    ($status, $out) = ctl('retry', 1);
    is $status, 1, 'but not to an endpoint that is disabled';
    like $out, qr/1 +disabled/, 'which it says';
    ctl('remove', 1);
    like ctl('retry', 1), qr/1 +disabled/, 'nor to one that was removed';
    like ctl('deliveries', '--state=dead'), qr/^1 .*why$/, 'it stays as it was';
    forget();
};

subtest 'options by SQL' => sub {
    for (
        '"webhook": "ftp://x"',
        '"webhook": "https://a b/"',
        '"webhook": "https://x/", "webhook_on": "A"',
        '"webhook_on": "failed"',
        '"webhook": "https://x/", "webhook_on": ""',
        '"webhook": {"url": "https://x/"}',
        '"webhook": "https://x/#y"'
        )
    {
        refused("submit with $_", "SELECT await.submit('q', 'x', options => '{$_}')", qr/22023|webhook|type|text/);
        refused("create_batch with $_", "SELECT await.create_batch('{$_}')", qr/22023|webhook|type|text/);
    }
};

subtest 'who may' => sub {
    for my $right (
        [ relay => 'SELECT await.enqueue_deliveries(NULL, NULL, NULL)' ],
        [ relay => q(SELECT count(*) FROM await.due_deliveries('', '{}', '{}', '{}', '{}', 1, 1)) ],
        [ relay => 'SELECT await.finish_deliveries(NULL, NULL, NULL, NULL, NULL, NULL, NULL)' ],
        [ edge => 'SELECT count(*) FROM await.list_deliveries(NULL, NULL, NULL, NULL, NULL, NULL)' ],
        [ edge => 'SELECT await.retry_delivery(1)' ],
        [ console => 'SELECT count(*) FROM await.webhooks()' ],
        [ console => q(SELECT await.add_webhook('https://x/')) ],
        [ console => q(SELECT await.webhook_secret('https://x/')) ])
    {
        my ($may, $sql) = @$right;
        for my $role (qw(edge worker relay console)) {
            my $allowed = sql(
                "SELECT has_function_privilege('await_$role', p.oid, 'EXECUTE') FROM pg_proc p
                WHERE p.pronamespace = 'await'::regnamespace AND p.proname = '" . ($sql =~ /await\.(\w+)/)[0] . "'"
            );
            my $shared = $role eq 'console' && $sql =~ /list_deliveries|retry_delivery/;
            is $allowed, $role eq $may || $shared ? 't' : 'f', ($sql =~ /await\.(\w+)/)[0] . ": $role";
        }
    }
};

finish();
