# await-relay --from kafka: messages become jobs, each once, whatever comes and whatever is away.

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

my $s = start_stack(without => [ 'nginx', 'redis' ]);
my $kafka = Await::Kafka->start(1);
$kafka->tell(topic => $_, 1) for qw(orders bad letters large-letters many lost mixed mixed-letters times marked);
$kafka->tell(topic => 'large', 2);
$kafka->tell('topic-error', 'nowhere', 3);
my $trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

# A broker of the mock lets a new group wait for 3 s, and one whose member is gone for its time-out less a second: so
# all that is tested here runs side by side.
sub from {
    my ($topic, $more, $group) = @_;
    return ('--from',
              'kafka='
            . $kafka->servers
            . ",topic=$topic,queue=$topic,group="
            . ($group // $topic)
            . ',session.timeout.ms=3300,heartbeat.interval.ms=300'
            . ($more // ''));
}
sub jobs {
    my ($queue) = @_;
    return sql("SELECT count(*) FROM await.job j JOIN await.queue q ON q.id = j.queue WHERE q.name = '$queue'");
}
sub payloads {
    my ($queue) = @_;
    return sql(
        "SELECT coalesce(string_agg(convert_from(j.payload, 'UTF8'), ',' ORDER BY j.eid), '')
        FROM await.job j JOIN await.queue q ON q.id = j.queue WHERE q.name = '$queue'"
    );
}

my @orders = from('orders', ',type=text/plain');
my @bad_ones = from('bad', ',dead_letter=letters');
my @mixed = from('mixed', ',type=application/json,dead_letter=mixed-letters');
my @large = from('large', ',dead_letter=large-letters');
my @lost = from('lost', ',type=application/json,dead_letter=nowhere,topic.metadata.propagation.max.ms=300');
my @times = from('times', ',type=text/plain');
my @many = from('many');
my @marked = from('marked', ',type=text/plain');
$kafka->put_message('marked', 'one');
$kafka->put_marker('marked');
my $relay = Await::Relay->start('first', @orders, @bad_ones, @mixed, @large, @lost, @times, @many, @marked);

# a new group lets its first members wait meanwhile
subtest 'wrong arguments' => sub {
    my $good = 'kafka=b:1,topic=t,queue=q,group=g';
    my %wrong = (
        'kafka=b:1,queue=q,group=g' => qr/the option topic is missing/,
        'kafka=b:1,topic=t,group=g' => qr/the option queue is missing/,
        'kafka=b:1,topic=t,queue=q' => qr/the option group is missing/,
        'nats=b:1' => qr/there is no source "nats"/,
        "$good,dead_letter=t" => qr/the dead letters would come back/,
        "$good,name=a/b" => qr/a name has 1 to 64/,
        "$good,type=json" => qr/the option type is a content type/,
        "$good,max_size=1g" => qr/max_size is a size/,
        "$good,enable.auto.commit=true" => qr/enable\.auto\.commit is set by the relay/
    );
    for my $text (sort keys %wrong) {
        my $relay = Await::Relay->start('wrong', '--from', $text);
        is $relay->status, 64, "$text is refused";
        like $relay->text, $wrong{$text}, "$text: the reason";
    }
};

subtest 'a message is a job' => sub {
    $kafka->put_message(
        'orders',
        '{"n": 1}',
        key => 'order-1',
        headers => [
            'content-type=application/json', 'await-owner=ann',
            'await-priority=7', 'await-params={"size": 2}',
            "traceparent=$trace"
        ]);
    $kafka->put_message('orders', 'plain', headers => ['correlation-id=c-2']);
    $kafka->put_message(
        'orders',
        '{"specversion":"1.0","id":"1","source":"/x","type":"t","datacontenttype":"text/plain","data":"inside"}',
        headers => ['content-type=application/cloudevents+json']);
    eventually 'messages that were there before are read', sub { jobs('orders') == 3 };
    is sql(
        "SELECT string_agg(concat_ws(' ', convert_from(j.payload, 'UTF8'), j.content_type, j.owner,
        j.priority, j.params, j.correlation_id, j.trace), '; ' ORDER BY j.eid)
        FROM await.job j JOIN await.queue q ON q.id = j.queue WHERE q.name = 'orders'"
        ),
        qq({"n": 1} application/json ann 7 {"size": 2} order-1 $trace; plain text/plain 0 c-2; inside text/plain 0),
        'with its content type, options, key and trace';
    $kafka->put_message('orders', 'odd',
        headers => [ 'content-type=', 'traceparent=none', "x=\xff", 'correlation-id=' ]);
    eventually 'headers that say nothing are passed over', sub { jobs('orders') == 4 };
    is sql(
        "SELECT content_type || coalesce(trace, '') || coalesce(correlation_id, '') FROM await.job
        WHERE payload = 'odd'"
        ),
        'text/plain', 'with the type of the source';
    $kafka->put_message('orders', 'later');
    eventually 'a message that comes later is read', sub { jobs('orders') == 5 };
};

# Bug: a time in microseconds was no cursor any more, and one in the future hid how far behind the source is.
subtest 'times of messages, and a message without a value' => sub {
    my $now = int(time * 1000);
    my @times = (0, -1, 1, 253_402_300_800_000, $now * 1000, 9_223_372_036_854_775_807, $now);
    $kafka->tell(put => 'times', $times[$_], "t$_") for 0 .. $#times;
    $kafka->tell(put => 'times', $now, '-');
    $kafka->tell(put => 'times', $now, 'end');
    eventually 'the others are jobs', sub { payloads('times') eq join ',', (map { "t$_" } 0 .. $#times), 'end' };
    like $relay->text, qr/message times\[0\]\@7 is no valid job: it has no value; it is skipped/, 'the log says it';
    my $state = sub { status_of('from:times', "concat_ws(' ', delivered, failures, behind, lag, reason)") };
    eventually 'the status is good', sub { $state->() eq '8 1 0 0' };
    my $at = sql("SELECT split_part(cursor, ':', 3) FROM await.relay_status() WHERE sink = 'from:times'");
    ok $at >= $now && $at <= time * 1000, 'no message is later than now';
};

# the record at the end of a transaction is no message, and nothing that the source is behind by
subtest 'a message of a transaction' => sub {
    eventually 'is a job', sub { status_of('from:marked', 'delivered') eq '1' };
    eventually 'and the source has read all', sub { status_of('from:marked', 'behind') eq '0' };
    is status_of('from:marked', 'failures'), 0, 'and nothing else came';
    $kafka->put_message('marked', 'two');
    eventually 'what follows is a job', sub { payloads('marked') eq 'one,two' };
};

my @bad = (
    [ '{"a":', 'content-type=application/json', qr/^its value is not JSON/ ],
    [ 'x', 'await-colour=red', qr/^there is no header await-colour$/ ],
    [ 'x', 'await-delay=soon', qr/delay is an interval/ ],
    [ 'x', 'await-owner=' . ('o' x 2000), qr/the option owner has at most 1000/ ],
    [ 'x', 'content-type=none', qr/^its content type is not/ ],
    [ '[]', 'content-type=application/cloudevents+json', qr/^the CloudEvent/ ]);

subtest 'what is no valid job goes to the dead letters, and stalls nothing' => sub {
    my $n = 0;
    for my $bad (@bad) {
        $kafka->put_message('bad', 'good ' . ++$n);
        $kafka->put_message('bad', $bad->[0], key => "k$n", headers => [ $bad->[1] ]);
    }
    $kafka->put_message('bad', 'good ' . ++$n);
    eventually 'all good ones are jobs', sub { jobs('bad') == 7 };
    is payloads('bad'), join(',', map { "good $_" } 1 .. 7), 'in their order';
    my $counts = sub { join ' ', map { status_of('from:bad', $_) } qw(delivered failures behind) };
    eventually 'the status counts jobs and dead letters', sub { $counts->() eq '7 6 0' };
    my %letter = map { $_->{key} => $_ } $kafka->messages('letters', scalar @bad);
    for my $i (0 .. $#bad) {
        my $letter = $letter{ 'k' . ($i + 1) } // { payload => '', headers => {} };
        my ($name, $value) = split /=/, $bad[$i][1], 2;
        like $letter->{headers}{'dead-letter-reason'}, $bad[$i][2], "letter $i: the reason";
        ok $letter->{payload} eq $bad[$i][0] && ($letter->{headers}{$name} // '') eq $value,
            "letter $i: the message as it was";
        is_deeply [ @{ $letter->{headers} }{qw(dead-letter-topic dead-letter-partition dead-letter-offset)} ],
            [ 'bad', 0, 2 * $i + 1 ],
            "letter $i: where it was";
    }
    Await::Stack::write_file("$s->{dir}/empty", "empty\t\n");
    $kafka->kcat([ '-P', '-t', 'bad', '-p', 0, '-K', "\t", '-H', 'await-delay=soon', '-l', "$s->{dir}/empty" ]);
    my $empty = ($kafka->messages('letters', @bad + 1))[-1];
    is_deeply [ @$empty{qw(key payload)} ], [ 'empty', '' ], 'an empty value stays one';
    like $relay->text, qr/message bad\[0\]\@1 is no valid job: its value is not JSON.*; it goes to letters/,
        'the log says it';
};

subtest 'dead letters are in the order of their messages' => sub {
    my $file = "$s->{dir}/mixed";
    Await::Stack::write_file($file, join '', map { "$_\n" } '1', '{', '2', '}', '3', ']');
    $kafka->kcat([ '-P', '-t', 'mixed', '-p', 0, '-H', 'await-delay=soon', '-l', $file ]);
    my @letters = $kafka->messages('mixed-letters', 6);
    is join(' ', map { $_->{payload} } @letters), '1 { 2 } 3 ]', 'whether PostgreSQL has refused them or we';
    like join(' ', map { $_->{headers}{'dead-letter-reason'} } @letters[ 4, 5 ]), qr/delay.* its value is not JSON/,
        'each with its reason';
};

subtest 'a message of 10 MB' => sub {
    my $large = 'x' x 10_000_000;
    $kafka->put_message('large', $large, key => 'k');
    my ($letter) = $kafka->messages('large-letters', 1);
    is $letter->{headers}{'dead-letter-reason'}, 'its value has 10000000 bytes, more than 1048576', 'is a dead letter';
    ok $letter->{payload} eq $large, 'with its value';
    $kafka->put_message('large', 'small', partition => 1);    # the mock cannot keep two in one
    eventually 'others are jobs', sub { payloads('large') eq 'small' };
};

subtest 'a topic of dead letters that is missing' => sub {
    $kafka->put_lines('lost', '1', '{', '2', '3');
    eventually 'those behind the bad one are jobs', sub { payloads('lost') eq '1,2,3' };
    eventually 'the log names the topic', sub { $relay->text =~ /cannot write dead letters: topic nowhere: / };
};

# Reads all from the start in other groups, without dead letters.
my $last;

subtest 'kills, PostgreSQL and brokers away' => sub {
    $kafka->put_lines('many', map { "m$_" } 1 .. 5000);
    until_true('some are jobs', sub { jobs('many') > 0 });
    my $outage = sub {
        $s->end('postgres', 'INT');
        until_true('the relay knows it', sub { $relay->text =~ /cannot submit jobs|PostgreSQL/ });
    };
    if ($ENV{AWAIT_KAFKA_LONG}) {    # it leaves its group with its lead, and has to wait for both
        $outage->();
        $s->start_postgres;
        $kafka->put_lines('many', map { "m$_" } 5001 .. 6000);
        until_true('more are jobs', sub { (eval { jobs('many') } // 0) >= 6000 });
    }
    $outage->();
    is $relay->stop('KILL'), 'killed', 'the relay is killed';
    $s->start_postgres;
    $kafka->tell('topic-error', 'nowhere', 0);
    my @relays = map { Await::Relay->start($_, @orders, @lost, @many) } qw(second standby);
    $last = Await::Relay->start(
        'last', '--name', 'other',
        from('lost', ',type=application/json', 'lost-again'),
        from('many', '', 'other'));
    $kafka->put_lines('many', map { "m$_" } ($ENV{AWAIT_KAFKA_LONG} ? 6001 : 5001) .. 10_000);
    $kafka->tell(down => 1);
    $kafka->tell(up => 1);
    eventually 'all are jobs', sub {
        (eval { jobs('many') } // 0) >= 10_000;
    }, 40;
    is payloads('many'), join(',', map { "m$_" } 1 .. 10_000), 'each once, in their order';
    is(($kafka->messages('nowhere', 1))[0]{payload},
        '{', 'the bad message was not committed, and is written when its topic is there');
    is payloads('lost'), '1,2,3', 'those behind it came again, and are the same jobs';
    $kafka->put_message('orders', 'last');
    eventually 'another source goes on where it was', sub { payloads('orders') =~ /,later,last$/ };
    is jobs('orders'), 6, 'and nothing is read twice';
    is $_->stop, 0, 'SIGTERM ends a relay' for @relays;
};

subtest 'replays, and no dead letters' => sub {
    $kafka->put_lines('many', 'end');
    $kafka->put_lines('lost', '}', '4');
    eventually 'another group reads all from the start', sub { payloads('many') =~ /,end$/ }, 30;
    is jobs('many'), 10_001, 'and they are the same jobs';
    eventually 'without dead letters it goes on', sub { payloads('lost') eq '1,2,3,4' };
    like $last->text, qr/lost\[0\]\@4 is no valid job: .*; it is skipped/, 'and the log says what was skipped';
    $kafka->put_lines('lost', ('}') x 30, '5');
    eventually 'nor do many bad ones stop it', sub { payloads('lost') eq '1,2,3,4,5' };
    $last->stop;
    my $lines = () = $last->text =~ /is no valid job/g;
    my $more = 0;
    $more += $_ for $last->text =~ / (\d+) more messages were no valid jobs/g;
    # 20 a minute; where a lease was lost some come again
    cmp_ok $lines, '<', 32, 'of which the log says few';
    cmp_ok $lines + $more, '>=', 32, 'and how many more there were, before it ends';
};

$kafka->stop;
finish();
