# Relays of several names that share a consumer group of Kafka: partitions move between them while messages come, one of
# them ends and another is killed. Each message is one job, and those of a partition are in their order.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Kafka;
use Await::Relay;
use Await::Test;
use Test::More;

my $PARTITIONS = 4;
my $s = start_stack(without => [ 'nginx', 'redis' ]);
my $kafka = Await::Kafka->start(1);
$kafka->tell(topic => 'shared', $PARTITIONS);
my $from = 'kafka=' . $kafka->servers . ',topic=shared,queue=shared,group=g,type=text/plain';
sub relay {
    my ($name) = @_;
    return Await::Relay->start($name, '--name', $name, '--from',
        "$from,session.timeout.ms=3300,heartbeat.interval.ms=300");
}

# Writes so many messages more to each partition: "<partition>:<number>".
my $written = 0;
sub more {
    my ($n) = @_;
    my $file = "$s->{dir}/lines";
    for my $partition (0 .. $PARTITIONS - 1) {
        Await::Stack::write_file($file, join '', map { "$partition:" . ($written + $_) . "\n" } 1 .. $n);
        $kafka->kcat([ '-P', '-t', 'shared', '-p', $partition, '-l', $file ]);
    }
    $written += $n;
    return;
}
sub jobs { return sql("SELECT count(*) FROM await.job j JOIN await.queue q ON q.id = j.queue AND q.name = 'shared'") }
sub read_by {
    my ($name) = @_;
    return sql("SELECT coalesce(max(delivered), 0) FROM await.relay_status('$name') WHERE sink = 'from:shared'");
}

more(1000);
my $first = relay('first');
ok until_true('the first one reads', sub { jobs() > 0 }, 20), 'the first one reads';
my %relay = map { $_ => relay($_) } qw(second third);
more(300);
for my $name (sort keys %relay) {
    ok until_true(
        "$name gets partitions",
        sub {
            more(50);
            return read_by($name) > 0;
        },
        30
        ),
        "$name gets partitions";
}
more(300);
is $first->stop, 0, 'the first one ends';
more(300);
is $relay{second}->stop('KILL'), 'killed', 'another one is killed';
more(300);
ok until_true('all are read', sub { jobs() >= $PARTITIONS * $written }, 40), 'the third one reads all';
is jobs(), $PARTITIONS * $written, 'each message is one job';
is sql(
    "SELECT count(*) FROM (
        SELECT m[2]::int - lag(m[2]::int, 1, 0) OVER (PARTITION BY m[1] ORDER BY j.eid) AS step
        FROM await.job j JOIN await.queue q ON q.id = j.queue AND q.name = 'shared',
             string_to_array(convert_from(j.payload, 'UTF8'), ':') m) x WHERE step <> 1"
    ),
    0, 'and those of a partition are in their order';
is $relay{third}->stop, 0, 'the third one ends';

$kafka->stop;
finish();
