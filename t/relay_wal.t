# await-relay --source wal: what the log says and the tables have comes out of it whatever happens to the slot, to the
# relay, to its sinks and to PostgreSQL.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Relay;
use Await::Session;
use Await::Test;
use Test::More;
use Time::HiRes qw(time sleep);

my $s = start_stack(reread => '600s', extra => 'location = /metrics { await_metrics; }');
my $KILLS = $ENV{AWAIT_RELAY_KILLS} // 1;

# Each event that was submitted, by job: how many.
my %want;
sub submit_some { my ($n) = @_; $want{ submit('q') } = 1 for 1 .. $n; return }
sub emit_some {
    for my $id (@_) {
        sql("SELECT await.append_event(await.lock_job('$id'), 'step', 'processing')");
        $want{$id}++;
    }
    return;
}

# What the relays, one after the other, have not written, and what is out of order: a first delivery that leaves one
# out. Again is allowed.
my @relays;
sub lacking {
    my (%had, @wrong);
    for my $event (grep { !$_->{topic} } map { $_->events } @relays) {
        my ($id, $seq) = @$event{qw(job seq)};
        push @wrong, "$id:$seq after " . ($had{$id} // 0) if $seq > ($had{$id} // 0) + 1;
        $had{$id} = $seq if $seq > ($had{$id} // 0);
    }
    return (@wrong, map {"$_ has $had{$_} of $want{$_}"} grep { ($had{$_} //= 0) < $want{$_} } sort keys %want);
}
sub all_come { return until_true('everything is written', sub { !lacking() }, 20) }

sub restart_postgres {
    $s->end('postgres', 'INT');
    $s->{migrated} = 1;
    $s->start_postgres;
    return;
}
sub slot { my ($column) = @_; return sql("SELECT $column FROM pg_replication_slots WHERE slot_name ~ '^await_relay_'") }
# The tables are not looked at after the start, so what comes has been in the log.
my @only_log = ('--poll', '1h');
sub follow {
    my ($name, @arguments) = @_;
    my $relay = Await::Relay->start($name, '--source', 'wal', '--sink', 'stdout', @arguments);
    until_true("$name follows the log", sub { $relay->text =~ /the write-ahead log is followed/ });
    push @relays, $relay;
    return $relay;
}

# What await-ctl relay says, to the owner of the schema.
sub ctl {
    my (@words) = @_;
    local @ENV{qw(AWAIT_POSTGRES PGPASSWORD)} = ($s->place('await'), $s->password('await'));
    return qx{$Await::Stack::ROOT/tools/await-ctl relay @words 2>&1};
}

subtest 'what is missing is said, and the tables do meanwhile' => sub {
    my $check = Await::Relay->start('check', '--source', 'wal', '--sink', 'stdout', '--check');
    is $check->status, 1, '--check fails';
    my $text = $check->text;
    like $text, qr/^source wal: wal_level is replica: ALTER SYSTEM SET wal_level = logical/m, 'the setting';
    like $text, qr/the role relay may not replicate: ALTER ROLE relay REPLICATION/, 'the right';
    like $text, qr/the publication await_relay is missing or differs: await-ctl relay wal on/, 'and the publication';
    my $relay = Await::Relay->start('meanwhile', '--source', 'wal', '--sink', 'stdout');
    $relay->leads;
    @relays = $relay;
    submit_some(2);
    all_come();
    is_deeply [ lacking() ], [], 'events come from the tables';
    is scalar(() = $relay->text =~ /events are read from the tables meanwhile/g), 1, 'the reason is said once';
    is $relay->stop, 0, 'and it can be stopped';
    like ctl('wal', 'on'), qr/made the publication await_relay; wal_level is replica/, 'and told of the setting';
    sql('ALTER SYSTEM SET wal_level = logical');
    sql('ALTER ROLE relay REPLICATION');
    sql('ALTER DATABASE await SET synchronous_commit = on');    # what is in the log is what was flushed
    sql('ALTER ROLE relay SET synchronous_commit = off');
    restart_postgres();
    $check = Await::Relay->start('check-again', '--source', 'wal', '--sink', 'stdout', '--check');
    is $check->status, 0, 'then nothing is missing' or diag $check->text;
    sql('DROP PUBLICATION await_relay');
    sql('CREATE PUBLICATION await_relay FOR TABLE await.job, await.event');
    $check = Await::Relay->start('check-other', '--source', 'wal', '--sink', 'stdout', '--check');
    is $check->status, 1, 'another publication of this name';
    like $check->text, qr/missing or differs/, 'is not enough';
    sql('DROP PUBLICATION await_relay');
    like ctl('wal', 'on'), qr/^made the publication await_relay$/, 'it is made anew';
    like ctl('--json', 'wal', 'off'), qr/"done" : "dropped/, 'dropped';
    like ctl('wal', 'off'), qr/^there is no publication/, 'once';
    like ctl('wal', 'on'), qr/^made/, 'and made again';
};

%want = @relays = ();
my $relay = follow('first', @only_log);

subtest 'events come by the log' => sub {
    is slot('temporary'), 't', 'the slot is a temporary one';
    submit_some(10);
    emit_some((sort keys %want)[ 0 .. 4 ]);
    sql("SELECT await.publish('news', 'said', '{\"a\": 1}')");
    sql("SELECT await.submit('q', 'x', 'text/plain') FROM generate_series(1, 1200)");
    $want{$_} //= 1 for split /\n/, sql('SELECT id FROM await.job WHERE eid > (SELECT max(eid) FROM await.event)');
    all_come();
    is_deeply [ lacking() ], [], 'all of them, each job in order';
    my @said = grep { ($_->{topic} // '') eq 'news' && $_->{type} eq 'said' } $relay->events;
    is scalar(@said), 1, 'and what a topic says, once';
    is scalar($relay->events), 1 + 15 + 1200, 'nothing twice';
    until_true('the cursor is stored', sub { status_of('stdout', 'behind') == 0 });
    is $relay->stop, 0, 'SIGTERM ends it';
    # PostgreSQL ends the session, and with it the slot, when it has seen that the connection is closed
    eventually 'and no slot is left behind', sub { slot('count(*)') == 0 };
};

subtest 'the slot is lost, again and again' => sub {
    $relay = follow('second');
    my $before = slot('slot_name');
    for (1 .. 2) {
        submit_some(3);
        sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name ~ '^await_relay_'");
        submit_some(3);
        emit_some((sort keys %want)[0]);
    }
    all_come();
    is_deeply [ lacking() ], [], 'all events have come, each job in order';
    eventually 'there is another slot, and the others are gone',
        sub { slot('slot_name') =~ /^await_relay_\S+\z/ && slot('slot_name') ne $before };
    sql('DROP PUBLICATION await_relay');
    submit_some(1);
    my $missed = qr/the publication await_relay is missing|does not exist.*await-ctl relay wal on/;
    until_true('it is missed', sub { $relay->text =~ $missed });
    submit_some(1);
    all_come();
    is_deeply [ lacking() ], [], 'nor does it matter that the publication is dropped';
    sql('SELECT await.relay_wal(true)');
    until_true('a slot again', sub { slot('count(*)') == 1 }, 40);
};

subtest 'the slot has kept too much: max_slot_wal_keep_size' => sub {
    my $before = slot('slot_name');
    sql($_) for "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", 'SELECT pg_reload_conf()';
    kill 'STOP', $s->pid('second');
    for (1 .. 3) {
        submit_some(1);
        sql('SELECT pg_switch_wal()');
    }
    sql('CHECKPOINT');
    until_true('the server drops it', sub { slot("count(*)") == 0 || slot('wal_status') =~ /lost|unreserved/ });
    submit_some(2);
    kill 'CONT', $s->pid('second');
    submit_some(2);
    all_come();
    is_deeply [ lacking() ], [], 'nothing is missing';
    until_true('another slot', sub { slot('slot_name') =~ /^await_relay_/ && slot('slot_name') ne $before }, 40);
    sql($_) for 'ALTER SYSTEM RESET max_slot_wal_keep_size', 'SELECT pg_reload_conf()';
};

subtest 'a sink that is down keeps no log' => sub {
    is $relay->stop, 0, 'the one before ends';
    my $both = follow('both', '--sink', 'redis', @only_log);
    until_true('both sinks are at work', sub { status_of('redis', 'behind') eq '0' });
    $s->redis_command('CLIENT', 'PAUSE', 60_000);
    submit_some(1);
    until_true('the other cursor is stored', sub { status_of('stdout', 'behind') eq '0' });
    cmp_ok status_of('redis', 'behind'), '>=', 1, 'what Redis has not answered is not delivered';
    $s->end('redis', 'KILL');
    submit_some(20);
    all_come();
    is_deeply [ lacking() ], [], 'the other one has everything';
    until_true('it is said', sub { $both->text =~ /sink redis: / });
    my $here = sql('SELECT pg_current_wal_insert_lsn()');
    ok until_true('the slot has come further', sub { slot("confirmed_flush_lsn >= '$here'") eq 't' }),
        'what was read is not kept';
    cmp_ok status_of('redis', 'behind'), '>=', 20, 'while the sink has all of it before it';
    $s->start_redis;
    ok until_true('it catches up', sub { status_of('redis', 'behind') eq '0' }, 40),
        'when it is back it gets what it has missed' or diag $both->text =~ s/^\{.*\n//gmr;
    $relay = $both;
};

subtest 'kills of the relay, and of PostgreSQL' => sub {
    for my $n (1 .. $KILLS) {
        submit_some(5);
        emit_some((sort keys %want)[ 0 .. 2 ]);
        is $relays[-1]->stop('KILL'), 'killed', 'it is killed';
        submit_some(5);
        emit_some((sort keys %want)[ 0 .. 2 ]);
        follow("again-$n", '--sink', 'redis', $n % 2 ? @only_log : ());
    }
    submit_some(3);
    all_come();
    is_deeply [ lacking() ], [], 'all events have come, each job in order';
    restart_postgres();
    submit_some(3);
    all_come();
    is_deeply [ lacking() ], [], 'and over a restart of PostgreSQL';
    unlike $relays[-1]->text, qr/nobody has asked for/, 'whose end of the stream is no surprise';
    until_true('a slot again', sub { slot('count(*)') == 1 }, 40);
    $relay = $relays[-1];
};

subtest 'a client is answered, although its worker publishes no hint' => sub {
    my $answered = sub {
        my ($how) = @_;
        my $id = one_job();
        # after the restart of PostgreSQL each of nginx's connections comes back at its own time
        eventually 'nginx reads', sub { get("/jobs/$id")->{status} == 200 };
        my $held = begin_request('GET', "/jobs/$id?wait=20");
        eventually "$how: the poll is held", sub { metric('await_held') >= 1 };
        claim($id);
        complete($id, 'done');
        return json($held->response)->{state};
    };
    is $answered->('log'), 'completed', 'by the log';
    is $relay->stop, 0, 'the relay ends';
    sql('ALTER ROLE relay SET await.notify = on');
    my $tables = Await::Relay->start('notified', qw(--poll 1h --sink redis --sink stdout));
    push @relays, $tables;
    $tables->leads;
    my $listens = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'relay' AND query ~ '^LISTEN'";
    until_true('it listens', sub { $tables->text =~ /leading/ && sql($listens) > 0 });
    my $before = $tables->events;
    sql("SET await.notify = on; SELECT await.submit('notified', 'x', 'text/plain')");
    ok until_true('it comes', sub { $tables->events > $before }), 'where await.notify is on the tables are not polled';
    sql('ALTER ROLE relay RESET await.notify');
    is $tables->stop, 0, 'it ends';
    $relay = follow('behind', '--sink', 'redis', @only_log);
};

subtest 'synchronous replication: the log is ahead of what is visible' => sub {
    sql($_) for "ALTER SYSTEM SET synchronous_standby_names = 'nobody'", 'SELECT pg_reload_conf()', 'CHECKPOINT';
    my $session = Await::Session->new($s->postgres);
    my $waits = sub {
        sql("SELECT count(*) FROM pg_stat_activity WHERE pid = $session->{backend} AND wait_event = 'SyncRep'");
    };
    $session->start("SELECT await.submit('waits', 'x', 'text/plain')");
    until_true('a commit waits for a standby', sub { $waits->() == 1 });
    my $here = sql('SELECT pg_current_wal_flush_lsn()');
    until_true('it is in the log', sub { slot("confirmed_flush_lsn >= '$here'") eq 't' });
    sql("SET synchronous_commit = local; SELECT await.submit('local', 'x', 'text/plain') FROM generate_series(1, 3)");
    ok until_true('others come', sub { 3 == grep { $_->{queue} eq 'local' } $relay->events }), 'it holds back nobody';
    is scalar(grep { $_->{queue} eq 'waits' } $relay->events), 0, 'and is not told of before it can be read';
    sql($_) for 'ALTER SYSTEM RESET synchronous_standby_names', 'SELECT pg_reload_conf()', 'CHECKPOINT';
    ok until_true('it comes', sub { 1 == grep { $_->{queue} eq 'waits' } $relay->events }), 'then it is';
    ok $session->finish, 'as its client is answered';
};

subtest 'a transaction that stays open' => sub {
    is $relay->stop, 0, 'the relay ends';
    my $session = Await::Session->new($s->postgres);
    $session->run('BEGIN');
    $session->run("SELECT await.submit('late', 'x', 'text/plain')");
    my $late = Await::Relay->start('late', '--source', 'wal', '--sink', 'stdout');
    $late->leads;
    sql("SELECT await.submit('early', 'x', 'text/plain')");
    ok until_true('events come', sub { 1 == grep { $_->{queue} eq 'early' } $late->events }),
        'while a new slot waits for it, events come from the tables';
    $session->run('COMMIT');
    ok until_true('it comes', sub { 1 == grep { $_->{queue} eq 'late' } $late->events }), 'its own when it commits';
    until_true('the log is followed', sub { $late->text =~ /the write-ahead log is followed/ });
    is $late->stop, 0, 'SIGTERM ends it';
};

finish();
