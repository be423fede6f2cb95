# await-relay: what comes out of it, whatever happens to it and to what it talks to.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Pooler qw(start_pooler);
use Await::Relay;
use Await::Test;
use Test::More;
use Time::HiRes qw(time);

start_stack(without => ['nginx']);

# while another one leads; it is looked at below
my $leads = Await::Relay->start('leads', qw(--name busy --sink stdout));
$leads->leads;
my $in_vain = Await::Relay->start('in-vain', qw(--name busy --sink stdout --once));
my $too_early;
{
    local stack()->{relay_place} = stack()->place('relay') =~ s/port=\d+/port=1/r;
    $too_early = Await::Relay->start('too-early', qw(--name early --sink stdout --once));
}

subtest 'standard output' => sub {
    my $relay = Await::Relay->start('out', '--sink', 'stdout');
    $relay->leads;
    my $id = submit('q', '{"owner": "ann", "correlation_id": "c-1"}');
    complete_one('q', '{"answer": 42}', 'application/json');
    sql("SELECT await.publish('news', 'said', '{\"a\": 1}')");
    until_true('five events are written', sub { $relay->events >= 4 });
    my @events = $relay->events;
    is join(' ', map { "$_->{type}.$_->{seq}" } @events),
        'pending.1 processing.2 completed.3 said.2', 'each event is a line';
    my $end = $events[2];
    is_deeply [ @$end{qw(id job queue owner correlation_id state attempt)} ],
        [ "$id:3", $id, 'q', 'ann', 'c-1', 'completed', 1 ], 'with what is known of its job';
    is_deeply $end->{result},
        { type => 'application/json', size => 14, name => undef, status => 200, value => { answer => 42 } },
        'and its result';
    is_deeply [ @{ $events[3] }{qw(topic type data)} ], [ 'news', 'said', { a => 1 } ], 'a topic is named';
    is $relay->stop, 0, 'SIGTERM ends it';
    submit('q');
    $relay = Await::Relay->start('again', '--sink', 'stdout');
    until_true('what came meanwhile is written', sub { $relay->events });
    is scalar($relay->events), 1, 'and nothing else: the cursor was stored';
    $relay->stop;
};

subtest 'connections that are cut' => sub {
    my $relay = Await::Relay->start('cut', qw(--name cut --sink stdout));
    $relay->leads;
    my @jobs;
    for (1 .. 4) {
        push @jobs, map { submit('q') } 1 .. 5;
        sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'relay'");
        push @jobs, map { submit('q') } 1 .. 5;
    }
    my %seen;
    ok until_true(
        'all events are written',
        sub {
            %seen = map { $_->{job} => 1 } $relay->events;
            return !grep { !$seen{$_} } @jobs;
        }
        ),
        'all events are written';
    is scalar(keys %seen), 40, 'and no others';
    $relay->stop;
};

subtest 'Redis: hints, an outage, and what was missed' => sub {
    my $s = stack();
    my $relay = Await::Relay->start('hints', qw(--name hints --sink redis --sink stdout));
    $relay->leads;
    my $listener = Await::Relay->listen('await:*');
    my $id = submit('wanted', '{"owner": "bob"}');
    my $short = sql("SELECT await.shard('$id')");
    until_true('workers are told', sub { $listener->() =~ /^await:queue:wanted$/m });
    complete_one('wanted');
    until_true('edges get the ending',
        sub { $listener->() =~ /^1 \Q$id\E 3 completed \S+ \{.*"state" ?: ?"completed"/m });
    like $listener->(), qr/^1 \S+ 0 user$/m, 'and that something of a user has changed';
    $s->end('redis', 'KILL');
    my @jobs = map { submit('later') } 1 .. 3;
    until_true('the other sink goes on', sub { $relay->events >= 6 });
    until_true('the outage is told', sub { (status_of('redis', 'failures') || 0) > 0 });
    like status_of('redis', 'reason'), qr/Redis/, 'with its reason';
    is status_of('redis', 'lag > 0'), 't', 'and its lag';
    ok until_true('the cursor is stored',
        sub { sql("SELECT behind FROM await.relay_status('hints') WHERE sink = 'stdout'") eq 0 }),
        'the other sink has none';
    $s->start_redis;
    $listener = Await::Relay->listen('await:*');
    until_true('it catches up', sub { status_of('redis', "behind = 0 AND reason IS NULL") eq 't' }, 30);
    is $relay->stop, 0, 'it ends';
};

subtest 'through PgBouncer, with the rights of its role only' => sub {
    my $port = start_pooler(size => 2);
    local stack()->{relay_place} = "host=127.0.0.1 port=$port dbname=await user=relay";
    my $relay = Await::Relay->start('pooled', qw(--name pooled --sink stdout --types completed --queue this));
    $relay->leads;
    for my $queue (qw(this that)) { submit($queue); complete_one($queue) }
    until_true('the event is written', sub { $relay->events });
    submit('this');
    complete_one('this');
    until_true('and the next', sub { $relay->events == 2 });
    is join(' ', map { "$_->{type}.$_->{queue}" } $relay->events), 'completed.this completed.this',
        'of these types and queues only';
    is $relay->stop, 0, 'it ends';
};

subtest 'once, and what is wrong' => sub {
    my $once = sub { my $r = Await::Relay->start(@_); return ($r->status, $r) };
    my $began = time;
    my ($status, $relay) = $once->('once', qw(--name once --sink stdout --once));
    is $status, 0, 'nothing to do: 0';
    cmp_ok time - $began, '<', 20, 'at once';
    sql("SELECT await.submit('q', 'x', 'text/plain') FROM generate_series(1, 1100)");
    ($status, $relay) = $once->('once', qw(--name once --sink stdout --once));
    is "$status " . $relay->events, '0 1100', 'everything up to now, over several pages';
    ($status, $relay) = $once->('once', qw(--name once --sink stdout --once));
    is "$status " . $relay->events, '0 0', 'once';
    for (
        ['--sink'],
        [ '--sink', 'pigeon' ],
        [ '--sink', 'stdout', '--sink', 'stdout' ],
        [ '--sink', 'stdout', '--sink', 'stdout,name=lines' ],
        [ '--sink', 'stdout', '--once', '--from', 'kafka=127.0.0.1:1,topic=t,queue=q,group=g' ],
        [ '--sink', 'stdout,colour=red' ],
        [ '--sink', 'redis=x' ],
        [ '--sink', 'stdout', '--types', '' ],
        [ '--sink', 'stdout', '--types', 'pending, failed' ],
        [ '--sink', 'stdout', '--queue', 'a b' ],
        [ '--sink', 'webhooks,ca-file=/nowhere' ])
    {
        ($status, $relay) = $once->('wrong', @$_);
        is $status, 64, "@$_: 64";
        like $relay->text, qr/^await-relay: .*(?:sink|--types|--queue)/m, 'with a word why';
    }
    # one that loses its lease, because it is not let run in time, does not lead
    for (1 .. 5) {
        last if $in_vain->status != 0 || $leads->text !~ /not leading any more/;
        $leads->stop;
        ($leads = Await::Relay->start('leads', qw(--name busy --sink stdout)))->leads;
        $in_vain = Await::Relay->start('in-vain', qw(--name busy --sink stdout --once));
    }
    is $in_vain->status, 1, 'where another one leads: 1';
    like $in_vain->text, qr/nothing was delivered: \S+:@{[ $leads->pid ]} leads/, 'and who';
    is $leads->stop, 0, 'which is not disturbed';
    is $too_early->status, 1, 'without PostgreSQL: 1';
    like $too_early->text, qr/nothing was delivered: .*refused/, 'and why';
    stack()->end('redis', 'KILL');
    submit('q');
    ($status, $relay) = $once->('failing', qw(--name failing --sink redis --sink stdout --once));
    is $status, 0, 'a new sink begins now, and has nothing to do';
    submit('q');
    ($status, $relay) = $once->('failing', qw(--name failing --sink redis --sink stdout --once));
    is $status, 1, 'a sink that fails: 1';
    like $relay->text, qr/sink redis: .*Redis/, 'and why';
    is $relay->events, 1, 'the other one has everything';
};

finish();
