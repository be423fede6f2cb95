# Errors of Kafka when messages are read, one a row: what the log and the status say of each while it lasts, that the
# other sources go on, and that each message is a job, in order, when it ends. Each row is a source with a broker of its
# own.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Kafka;
use Await::Relay;
use Await::Test;
use Test::More;

start_stack(without => [ 'nginx', 'redis' ]);

# requests of the protocol
my %REQUEST = (fetch => 1, commit => 8, committed => 9, coordinator => 10, join => 11, heartbeat => 12, sync => 14);
sub fails { my ($request, $code) = @_; return ("fail $REQUEST{$request} $code", "fail $REQUEST{$request} 0") }
sub topic_fails { my ($code) = @_; return ("topic-error t $code", 'topic-error t 0') }
my $COMMIT = qr/cannot commit offsets, so that messages may come again: Broker: /;

# [ name, the commands that begin and end it, what the log says meanwhile, "first": it is there before the source is ]
my @rows = (
    [ 'corrupt', fails(fetch => 2), qr/Fetch from broker 1 failed: Broker: Invalid message/ ],
    [ 'fetch-unknown', fails(fetch => 3) ],
    [ 'not-leader', fails(fetch => 6) ],
    [ 'may-not-read', fails(fetch => 29), qr/Topic authorization failed: the ACL of the topic must allow it/ ],
    [ 'storage', fails(fetch => 56) ],
    [ 'old-epoch', fails(fetch => 74) ],
    [ 'unknown-error', fails(fetch => -1), qr/Fetch from broker 1 failed: Unknown broker error/ ],
    [ 'no-partition-leader', 'leader t 0 -1', 'leader t 0 1' ],
    [ 'commit-loading', fails(commit => 14), qr/${COMMIT}Coordinator load in progress/ ],
    [ 'commit-moved', fails(commit => 16), qr/${COMMIT}Not coordinator/ ],
    [ 'commit-generation', fails(commit => 22), qr/${COMMIT}Specified group generation id is not valid/ ],
    [ 'commit-member', fails(commit => 25), qr/${COMMIT}Unknown member/ ],
    [ 'commit-rebalance', fails(commit => 27), qr/${COMMIT}Group rebalance in progress/ ],
    [
        'commit-right', fails(commit => 30),
        qr/${COMMIT}Group authorization failed: the ACL of the group must allow it/
    ],
    [ 'member', fails(heartbeat => 25) ],
    [ 'rebalance', fails(heartbeat => 27) ],
    # Bug: the partition was read no more until the relay began anew
    [ 'committed-moved', fails(committed => 16), qr/Failed to fetch committed offset.*Not coordinator/, 'first' ],
    [
        'committed-right', fails(committed => 29), qr/Failed to fetch committed offset.*: the ACL of the topic/,
        'first'
    ],
    [ 'no-coordinator', fails(coordinator => 15), undef, 'first' ],
    [ 'group-right', fails(coordinator => 30), qr/Group authorization failed: the ACL of the group must/, 'first' ],
    [ 'join-session', fails(join => 26), qr/JoinGroup failed: Broker: Invalid session timeout/, 'first' ],
    [ 'group-full', fails(join => 81), qr/Consumer group has reached maximum size/, 'first' ],
    [ 'sync-rebalance', fails(sync => 27), undef, 'first' ],
    [ 'no-topic', topic_fails(3), qr/Subscribed topic not available: t: .*: create it/, 'first' ],
    [ 'no-topic-right', topic_fails(29), qr/Subscribed topic not available: t: .*: the ACL of the topic/, 'first' ],
    [ 'deleted', topic_fails(3), qr/t: .*Unknown topic or partition.*: create it/ ],
    ['good'],
);

my %kafka = map { $_->[0] => Await::Kafka->start } @rows;
for my $kafka (values %kafka) {
    $kafka->tell(topic => 't', 1);
    $kafka->tell(put => 't', -1, 'one');
}
my $tell = sub {
    my ($step, @some) = @_;
    for my $row (grep { $_->[$step] } @some) {
        $kafka{ $row->[0] }->tell(split / /, $row->[$step]);
    }
};
my @first = grep { $_->[4] } @rows;
my @late = grep { !$_->[4] } @rows;
my $jobs_of = sub {
    return {
        map { split /=/ } split /\n/,
        sql(
            "SELECT q.name || '=' || string_agg(convert_from(j.payload, 'UTF8'), ' ' ORDER BY j.eid)
            FROM await.job j JOIN await.queue q ON q.id = j.queue GROUP BY q.name"
        ) };
};
$tell->(1, @first);
my $options = 'type=text/plain,group=g,session.timeout.ms=3300,heartbeat.interval.ms=300,retry.backoff.ms=50,'
    . 'topic.metadata.refresh.interval.ms=1000';
my $relay = Await::Relay->start('sources',
    map { ('--from' => 'kafka=' . $kafka{ $_->[0] }->servers . ",topic=t,$options,queue=$_->[0],name=$_->[0]") } @rows);
eventually 'sources without an error read', sub { keys %{ $jobs_of->() } >= @late }, 30;
$tell->(1, @late);
# the broker's own client cannot write while the topic or its leader is missing
my @two = grep { $_->[0] !~ /deleted|no-topic|leader$/ } @rows;
$kafka{ $_->[0] }->tell(put => 't', -1, 'two') for @two;
eventually 'a source without an error goes on', sub { $jobs_of->()->{good} eq 'one two' };
for my $row (grep { $_->[3] } @rows) {
    my ($name, undef, undef, $says) = @$row;
    eventually "$name: the log says it", sub { $relay->text =~ /^await-relay: Kafka source t: .*$says/m }, 30;
    eventually "$name: the status says it", sub { status_of("from:$name" => 'reason') =~ /$says/ };
}
$tell->(2, @rows);
$kafka{ $_->[0] }->tell(put => 't', -1, 'three') for @rows;
my %want = ((map { $_->[0] => 'one three' } @rows), map { $_->[0] => 'one two three' } @two);
for my $row (@rows) {
    my ($name) = @$row;
    eventually "$name: each message is a job", sub { ($jobs_of->()->{$name} // '') eq $want{$name} }, 40;
}
for my $row (@rows) {
    my ($name) = @$row;
    eventually "$name: the status is good", sub { status_of("from:$name" => "reason IS NULL OR reason = ''") eq 't' },
        30;
}

# Bug: the status had the last failure of a commit until a message came
subtest 'brokers are away from a source that has read all' => sub {
    my @away = grep { $_->[0] =~ /^(good|member|storage)$/ } @rows;
    $kafka{ $_->[0] }->all_down(1) for @away;
    my $reason = sub { status_of("from:$_[0]" => 'reason') // '' };
    for my $name (map { $_->[0] } @away) {
        eventually "$name: the status says it", sub { $reason->($name) =~ /no broker can be reached|refused/ };
    }
    $kafka{ $_->[0] }->all_up(1) for @away;
    for my $name (map { $_->[0] } @away) {
        eventually "$name: the status is good again, without a message", sub { $reason->($name) eq '' }, 40;
    }
    is $relay->stop, 0, 'SIGTERM ends it';
};

# the mock keeps 5 MB of a partition
subtest 'messages are removed before they are read' => sub {
    my $kafka = $kafka{good};
    $kafka->put_message('t', $_ x 900_000) for 'a' .. 'h';
    $kafka->put_message('t', 'end');
    my $first = ($kafka->messages('t'))[0]{offset};
    cmp_ok $first, '>', 3, 'the next one is gone';
    $relay =
        Await::Relay->start('good', '--from' => 'kafka=' . $kafka->servers . ",topic=t,$options,queue=good,name=good");
    eventually 'what is left is read', sub { $jobs_of->()->{good} =~ / end$/ };
    my $jobs = sql(
        "SELECT string_agg(coalesce(convert_from(payload, 'UTF8'), 'large'), ' ' ORDER BY j.eid)
        FROM await.job j JOIN await.queue q ON q.id = j.queue WHERE q.name = 'good'"
    );
    is $jobs, join(' ', 'one two three', ('large') x (11 - $first), 'end'), 'each message once, from the first one on';
    like $relay->text,
        qr/Kafka source t: messages were removed before they were read.*: t \[0\]: offset reset \(at offset 3,/,
        'the log says it';
    is $relay->stop, 0, 'it ends';
};

$_->stop for values %kafka;
finish();
