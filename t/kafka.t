# await-relay --sink kafka: what a consumer that is not ours reads, whatever happens to the brokers and to the relay.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Kafka;
use Await::Relay;
use Await::Test;
use JSON::PP;
use Test::More;
use Time::HiRes qw(time sleep);

start_stack(without => [ 'nginx', 'redis' ]);
my $kafka = Await::Kafka->start(3);
my $json = JSON::PP->new;

sub kafka_sink {
    my ($options, $name) = @_;
    return ('--sink', 'kafka=' . $kafka->servers . ",$options" . ($name ? ",name=$name" : ''));
}

# Of each key, the sequence numbers in their order, a repetition being left out.
sub first_seqs {
    my %seqs;
    my %seen;
    for my $message (@_) {
        my ($seq) = ($message->{headers}{'event-id'} // '') =~ /:(\d+)$/;
        push @{ $seqs{ $message->{key} } }, $seq unless $seen{ $message->{headers}{'event-id'} }++;
    }
    return map { $_ => "@{ $seqs{$_} }" } keys %seqs;
}

my $ROUNDS = $ENV{AWAIT_KAFKA_ROUNDS} // 3;
# it takes seconds, and the others need not wait for it
my $no_broker = Await::Relay->start('check-broker', '--check', '--sink', 'kafka=127.0.0.1:1,topic=x');

my $trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

subtest 'topics, keys, headers and envelopes' => sub {
    my $relay = Await::Relay->start(
        'forms',
        kafka_sink('topic={queue}.{type}'),
        kafka_sink('topic=thin,thin=on', 'thin'),
        kafka_sink('topic=binary,cloudevents=binary,source=//example.com/await,type=com.example.{type}', 'binary'),
        kafka_sink('topic=structured,cloudevents=structured', 'structured'));
    $relay->leads;
    my $id = submit('judge', qq({"correlation_id": "order 17", "trace": "$trace", "owner": "ann"}));
    complete_one('judge', '{"passed": true}', 'application/json');
    my ($end) = $kafka->messages('judge.completed', 1);
    is $end->{key}, $id, 'the key is the id of the job';
    is_deeply $end->{headers},
        {
        'content-type' => 'application/json',
        'event-id' => "$id:3",
        'event-type' => 'completed',
        'correlation-id' => 'order 17',
        traceparent => $trace
        },
        'headers say what the message is';
    my $event = $json->decode($end->{payload});
    is_deeply [ @$event{qw(job seq type queue owner correlation_id)}, $event->{result}{value}{passed} ],
        [ $id, 3, 'completed', 'judge', 'ann', 'order 17', JSON::PP::true ], 'the value is the event with the result';

    my @thin = $kafka->messages('thin', 3);
    is_deeply [ map { $_->{headers}{'event-type'} } @thin ], [qw(pending processing completed)],
        'a fixed topic has all events';
    ok !exists $json->decode($thin[2]{payload})->{result}{value}, 'thin: without the value of the result';

    my @binary = $kafka->messages('binary', 3);
    is_deeply [ @{ $binary[2]{headers} }
            {qw(ce_specversion ce_id ce_source ce_type ce_subject ce_correlationid ce_traceparent content-type)} ],
        [ '1.0', "$id:3", '//example.com/await', 'com.example.completed', $id, 'order 17', $trace, 'application/json' ],
        'CloudEvents: attributes are headers';
    is $json->decode($binary[2]{payload})->{type}, 'completed', 'and the value is the event';

    my @structured = $kafka->messages('structured', 3);
    is $structured[2]{headers}{'content-type'}, 'application/cloudevents+json; charset=UTF-8',
        'structured: the type says so';
    my $cloud = $json->decode($structured[2]{payload});
    is_deeply [ @$cloud{qw(specversion id source type subject)}, $cloud->{data}{result}{value}{passed} ],
        [ '1.0', "$id:3", '/await', 'completed', $id, JSON::PP::true ], 'structured: one JSON object';
    sql("SELECT await.publish('news', 'said', '{\"a\": 1}')");
    my ($said) = $kafka->messages('topic.said', 1);
    is $said->{key}, 'news', 'the events of a topic have its name as their key';
    is $relay->stop, 0, 'SIGTERM ends it';
};

subtest 'brokers are away and come back' => sub {
    my $relay = Await::Relay->start('away', kafka_sink('topic=away,patience=2s', 'away'));
    $relay->leads;
    my $first = submit('away');
    $kafka->messages('away', 1);
    $kafka->all_down(3);
    my @ids = map { submit('away') } 1 .. 50;
    complete_one('away') for 1 .. 51;
    eventually 'the status says that the sink takes nothing',
        sub { status_of('away', 'reason') =~ /no broker confirms/ }, 20;
    my $since = time;
    until_true('it has tried again', sub { time - $since > 2.5 });
    is scalar(() = $relay->text =~ /no broker confirms/g), 1, 'the log says it once';
    $kafka->all_up(3);
    my %seqs;
    until_true('all are there',
        sub { %seqs = first_seqs($kafka->messages('away')); 153 <= map { split ' ' } values %seqs }, 40);
    is_deeply \%seqs, { map { $_ => '1 2 3' } $first, @ids }, 'all events arrive, those of a job in their order';
    eventually 'the status is good again', sub { status_of('away', "reason IS NULL OR reason = ''") =~ /^t/ };
    $relay->stop;
};

subtest 'leaders move, brokers fail, the relay is killed' => sub {
    my @arguments = ('rough', kafka_sink('topic=rough', 'rough'));
    my $relay = Await::Relay->start(@arguments);
    $relay->leads;
    my @ids = map { submit('rough') } 1 .. 10;
    $kafka->messages('rough', 10);
    for my $round (1 .. $ROUNDS) {
        # NOT_LEADER_FOR_PARTITION, REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS_AFTER_APPEND
        $kafka->tell(errors => 0, 6, 7, 20);
        $kafka->tell(leader => 'rough', $round % 4, 1 + $round % 3);
        my $down = 1 + $round % 3;
        $kafka->tell(down => $down);
        push @ids, map { submit('rough') } 1 .. 10;
        complete_one('rough') for 1 .. 10;
        if ($round % 3 == 2) {
            $relay->stop('KILL');
            $relay = Await::Relay->start(@arguments);
        }
        $kafka->tell(up => $down);
    }
    complete_one('rough') for 1 .. 10;
    my $stored = sub { status_of('rough', 'behind') eq '0' };
    eventually 'the sink has caught up', sub {
        my $lag = eval { $stored->() };
        $lag;
    }, 20;
    my %seqs = first_seqs($kafka->messages('rough'));
    is_deeply \%seqs, { map { $_ => '1 2 3' } @ids }, 'nothing is lost, and the order of each job is kept';
    $relay->stop;
};

subtest 'a topic that is missing, and an event that is too large' => sub {
    $kafka->tell('topic-error', 'gone.completed', 3);
    my $relay = Await::Relay->start(
        'gone',
        kafka_sink('topic=gone.{type},topic.metadata.propagation.max.ms=300', 'gone'),
        '--queue', 'gone'
    );
    $relay->leads;
    my $id = submit('gone');
    complete_one('gone');
    eventually 'the log names the topic', sub { $relay->text =~ /topic gone\.completed: / };
    is scalar($kafka->messages('gone.processing')), 1, 'what was written is not written again';
    $kafka->tell('topic-error', 'gone.completed', 0);
    is(($kafka->messages('gone.completed', 1))[0]{key}, $id, 'the event is written when the topic is there');
    $kafka->tell(errors => 0, 10, 10);    # the batch, and then the message itself: MSG_SIZE_TOO_LARGE
    my $large = submit('gone');
    my ($message) = grep { $_->{key} eq $large } $kafka->messages('gone.pending', 2);
    is $message->{headers}{omitted}, 'data', 'an event that its topic refuses is sent without its data';
    $relay->stop;
};

subtest 'what --check and the arguments say' => sub {
    my $run = sub {
        my ($name, @arguments) = @_;
        my $relay = Await::Relay->start($name, @arguments);
        my $status = $relay->status;
        return $status . ' ' . $relay->text;
    };
    like $run->('check-good', '--check', kafka_sink('topic=thin')), qr/^0 .*sink kafka: ok/s, 'all is well';
    $kafka->tell('topic-error', 'missing', 3);
    like $run->('check-topic', '--check', kafka_sink('topic=missing')),
        qr/^1 .*topic missing does not exist: create it/s, 'a topic is missing';
    like $no_broker->status . ' ' . $no_broker->text, qr/^1 .*sink kafka: .*refused/s, 'no broker';
    my %wrong = (
        'kafka=127.0.0.1:1' => qr/the option topic is missing/,
        'kafka,topic=x' => qr/the brokers are missing/,
        'kafka=127.0.0.1:99999,topic=x' => qr/is not a broker/,
        'kafka=b:1,topic=a/b' => qr/is not a topic such as/,
        'kafka=b:1,topic={typ}' => qr/it can contain \{type\} and \{queue\}/,
        'kafka=b:1,topic=x,patience=soon' => qr/patience is a time/,
        'kafka=b:1,topic=x,thin=maybe' => qr/thin is on or off/,
        'kafka=b:1,topic=x,cloudevents=yes' => qr/cloudevents is binary or structured/,
        'kafka=b:1,topic=x,source=/a' => qr/source and type are for cloudevents/,
        'kafka=b:1,topic=x,tipic=y' => qr/tipic is not an option, and not a property of librdkafka/,
        'kafka=b:1,topic=x,linger.ms=soon' => qr/linger\.ms: Invalid value/,
        'kafka=b:1,topic=x,acks=0' => qr/acks is set by the relay/,
        'kafka=b:1,topic=x,config=/none' => qr{config: cannot read /none},
        'kafka=b:1,topic=x,sasl.password=@/none' => qr{sasl\.password: cannot read /none}
    );
    like $run->('wrong', '--sink', $_), qr/^64 .*$wrong{$_}/s, "$_ is refused" for sort keys %wrong;
};

$kafka->stop;
finish();
