# What await-relay says of properties of Kafka and names of brokers that are wrong.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Kafka;
use Await::Relay;
use Await::Test;
use Test::More;

my $s = start_stack(without => [ 'nginx', 'redis' ]);
my $kafka = Await::Kafka->start(1);
my $broker = $kafka->servers;
$kafka->tell(topic => $_, 1) for qw(events orders);

my $n = 0;
sub check {
    my ($options, $kind) = @_;
    my $relay = Await::Relay->start('check' . ++$n, '--check', $kind // '--sink', "kafka=$options");
    return $relay->status . ' ' . $relay->text;
}

subtest 'a property that is none, or has a wrong value' => sub {
    for (
        [ 'security.protocol=TLS', qr/--sink: .*Invalid value "TLS" for configuration property "security\.protocol"/ ],
        [ 'partitioner=random', qr/partitioner=random would take the events of a job out of their order/ ],
        [ 'securty.protocol=SSL', qr/securty\.protocol is not an option, and not a property of librdkafka/ ])
    {
        my ($options, $says) = @$_;
        like check("$broker,topic=events,$options"), qr/^64 .*$says/s, $options;
    }
};

subtest 'properties that do not fit together' => sub {
    my %wrong = (
        'security.protocol=SSL,ssl.ca.location=/nonexistent' => qr/ssl\.ca\.location failed/,
        'security.protocol=SASL_PLAINTEXT,sasl.mechanism=PLAIN' => qr/sasl\.username and sasl\.password must be set/,
        'security.protocol=SASL_PLAINTEXT,sasl.mechanism=NONE' => qr/[Uu]nsupported SASL mechanism/,
        'max.in.flight.requests.per.connection=10' => qr/must be set <= 5/,
    );
    for my $options (sort keys %wrong) {
        like check("$broker,topic=events,$options"), qr/^1 .*sink kafka: .*$wrong{$options}/s, "--check: $options";
    }
    like check("$broker,topic=orders,queue=q,group=g,ssl.ca.location=/nonexistent,security.protocol=SSL", '--from'),
        qr/^1 .*source kafka orders: .*ssl\.ca\.location failed/s, '--check of a source';
    like check("$broker,topic=orders,queue=q,group=g,dead_letter=events,queuing.strategy=lifo", '--from'),
        qr/^1 .*source kafka orders: .*must be set to `fifo`/s, 'and of its dead letters';
    my $relay = Await::Relay->start('unfit', '--sink',
        "kafka=$broker,topic=events,name=unfit,security.protocol=SSL,ssl.ca.location=/nonexistent");
    $relay->leads;
    submit('q');
    eventually 'without --check, the log says it', sub { $relay->text =~ /sink unfit: .*ssl\.ca\.location failed/ };
    is $relay->stop, 0, 'and the relay can be stopped';
};

subtest 'brokers without an address' => sub {
    my $unknown = qr/broker nosuch\.invalid:9092 has no address \([^)]+\): correct the name, or what resolves it/;
    like check("nosuch.invalid:9092,$broker,topic=events"), qr/^1 .*sink kafka: $unknown$/ms, '--check: one of two';
    like check("$broker,nosuch.invalid:9092,topic=orders,queue=q,group=g", '--from'),
        qr/^1 .*source kafka orders: $unknown$/ms, 'of a source';
    like check('nosuch.invalid:9092,other.invalid,topic=events'),
        qr/^1 .*broker nosuch\.invalid:9092 has no address \([^)]+\), broker other\.invalid has no address/s, 'all';
    my $relay = Await::Relay->start(
        'names',
        '--sink' => "kafka=nosuch.invalid:9092,$broker,topic=events,name=names",
        '--from' => "kafka=nosuch.invalid:9092,$broker,topic=orders,queue=q,group=g"
    );
    $relay->leads;
    my $id = submit('q');
    my ($event) = $kafka->messages('events', 1);
    is $event->{key}, $id, 'the other broker gets events';
    eventually 'the log of a relay names it', sub { $relay->text =~ /^await-relay: Kafka sink: $unknown$/m };
    eventually 'for a source, too', sub { $relay->text =~ /^await-relay: Kafka source orders: $unknown$/m };
    is $relay->stop, 0, 'it ends';
    is scalar(() = $relay->text =~ /nosuch\.invalid/g), 2, 'each said it once';
};

$kafka->stop;
finish();
