# Errors of Kafka when events are written, one a row: what the log says of each while it lasts, that the other sinks go
# on, and that nothing is lost, and each job in its order, when it ends. Each row is a sink with a broker of its own.

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

my $UNCONFIRMED = qr/no broker confirms messages: no reason is known; see whether its partitions have leaders/;
my ($PRODUCE, $INIT_PRODUCER) = (0, 22);    # requests of the protocol
sub fails { my ($request, $code) = @_; return ("fail $request $code", "fail $request 0") }
sub topic_fails { my ($code) = @_; return ("topic-error t $code", 'topic-error t 0') }

# [ name, the commands that begin and end it, what the log says meanwhile, "first": it is there before the sink is ]
my @rows = (
    [ 'corrupt', fails($PRODUCE, 2), qr/topic t: Broker: Invalid message/ ],
    [ 'unknown-topic', fails($PRODUCE, 3), $UNCONFIRMED ],
    [ 'no-leader', fails($PRODUCE, 5), $UNCONFIRMED ],
    [ 'not-leader', fails($PRODUCE, 6), $UNCONFIRMED ],
    [ 'timed-out', fails($PRODUCE, 7), $UNCONFIRMED ],
    [ 'too-large', fails($PRODUCE, 10), qr/topic t: Broker: Message size too large/ ],
    [ 'bad-topic', fails($PRODUCE, 17), qr/topic t: Broker: Invalid topic/ ],
    [ 'batch-too-large', fails($PRODUCE, 18), qr/topic t: Broker: Message batch larger than/ ],
    [ 'too-few-replicas', fails($PRODUCE, 19), $UNCONFIRMED ],
    [ 'too-few-replicas-have-it', fails($PRODUCE, 20), $UNCONFIRMED ],
    [ 'topic-right', fails($PRODUCE, 29), qr/topic t: Broker: Topic authorization failed: the ACL of the topic must/ ],
    [ 'cluster-right', fails($PRODUCE, 31), qr/topic t: Broker: Cluster authorization failed: the ACL of the cluster/ ],
    [ 'out-of-order', fails($PRODUCE, 45), qr/topic t: Broker: Broker received an out of order sequence number/ ],
    [ 'old-epoch', fails($PRODUCE, 47), qr/topic t: Broker: Producer attempted an operation with an old epoch/ ],
    [ 'storage', fails($PRODUCE, 56), $UNCONFIRMED ],
    [ 'unknown-producer', fails($PRODUCE, 59), $UNCONFIRMED ],
    [ 'bad-record', fails($PRODUCE, 87), qr/topic t: Broker: Broker failed to validate record/ ],
    [ 'fenced', fails($PRODUCE, 90), qr/topic t: Broker: There is a newer producer/ ],
    [ 'loading', fails($INIT_PRODUCER, 14), $UNCONFIRMED, 'first' ],
    [ 'may-not-begin', fails($INIT_PRODUCER, 31), qr/Cluster authorization failed.*: the ACL of the cluster/, 'first' ],
    [ 'begin-fenced', fails($INIT_PRODUCER, 90), qr/fenced by newer instance/, 'first' ],
    [ 'no-topic', topic_fails(3), qr/topic t: Broker: Unknown topic or partition: create it/, 'first' ],
    [ 'no-topic-leader', topic_fails(5), qr/confirms messages: topic t: Broker: Leader not available/, 'first' ],
    [ 'no-topic-right', topic_fails(29), qr/topic t: Broker: Topic authorization failed: the ACL/, 'first' ],
    [ 'no-partition-leader', 'leader t 0 -1', 'leader t 0 1', qr/topic t: partition 0 has no leader: start the/ ],
    # one after the other
    [ 'mixed', "errors $PRODUCE 45 7 47 2 20 31 6 90 19 29", "errors $PRODUCE 3 7 59 20 2", qr/topic t: / ],
    [ 'good', '', '' ],
);

my %kafka = map { $_->[0] => Await::Kafka->start } @rows;
$_->tell(topic => 't', 1) for values %kafka;
my $put = sub {
    my ($step, @some) = @_;
    for my $row (grep { $_->[$step] } @some) {
        $kafka{ $row->[0] }->tell(split / /, $row->[$step]);
    }
};
$put->(1, grep { $_->[4] } @rows);
my $relay = Await::Relay->start(
    'sinks',
    map {
        my ($name) = @$_;
        my $options = 'patience=2s,retry.backoff.ms=50,topic.metadata.propagation.max.ms=300';
        ('--sink' => 'kafka=' . $kafka{$name}->servers . ",topic=t,$options,name=$name")
    } @rows
);
$relay->leads;
my @jobs = submit('q');
my @late = grep { !$_->[4] } @rows;
eventually 'sinks take events',
    sub { sql('SELECT count(*) FROM await.relay_status() WHERE delivered > 0') == @late }, 30;
$put->(1, @late);
push @jobs, map { submit('q') } 1 .. 20;
complete_one('q') for @jobs;
my $events = 3 * @jobs;
eventually 'a sink without an error goes on', sub { status_of(good => 'delivered') == $events };
for my $row (grep { $_->[3] } @rows) {
    my ($name, undef, undef, $says) = @$row;
    eventually "$name: the log says it", sub { $relay->text =~ /sink $name: .*$says/ };
}
$put->(2, @rows);
for my $row (@rows) {
    my ($name) = @$row;
    eventually "$name: catches up", sub { status_of($name => 'behind') eq '0' }, 30;
    my (%seqs, %seen);
    for my $message ($kafka{$name}->messages('t')) {
        my ($job, $seq) = split /:/, $message->{headers}{'event-id'};
        $seqs{$job} .= $seq unless $seen{$job}{$seq}++;
    }
    is_deeply \%seqs, { map { $_ => '123' } @jobs }, "$name: with all events, those of a job in their order";
    my %lines;
    $lines{$_}++ for $relay->text =~ /^(.*sink \Q$name\E: .*)$/mg;
    ok !grep({ $_ > 3 } values %lines), "$name: the log is short" if $name ne 'mixed';
}
is status_of($_ => "reason IS NULL OR reason = ''"), 't', "$_: the status is good" for map { $_->[0] } @rows;
is $relay->stop, 0, 'SIGTERM ends it';

$_->stop for values %kafka;
finish();
