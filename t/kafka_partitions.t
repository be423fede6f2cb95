# Partitions are added to topics that a relay writes to and reads from. The mock cannot add any: its front hides some at
# first.

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
my $kafka = Await::Kafka->start;
$kafka->tell(topic => $_, 8) for qw(out in);
my $front = $kafka->front(partitions => { out => 1, in => 1 });
my $often = 'topic.metadata.refresh.interval.ms=200,session.timeout.ms=3300,heartbeat.interval.ms=300';
my $relay = Await::Relay->start(
    'added',
    '--sink' => 'kafka=' . $front->servers . ",topic=out,name=added,$often",
    '--from' => 'kafka=' . $front->servers . ",topic=in,queue=added,group=g,type=text/plain,$often"
);
$relay->leads;
my $jobs = sub {
    sql(
        "SELECT coalesce(string_agg(convert_from(payload, 'UTF8'), ',' ORDER BY j.eid), '')
        FROM await.job j JOIN await.queue q ON q.id = j.queue AND q.name = 'added' WHERE payload <> 'x'"
    );
};
my @jobs = map { submit('added') } 1 .. 10;
$kafka->messages('out', 10);
$kafka->put_message('in', 'one');
$kafka->put_message('in', 'two', partition => 7);
eventually 'the source reads the partition that there is', sub { $jobs->() eq 'one' };
$front->tell('{"partitions": {}}');
eventually 'and one that is added', sub { $jobs->() eq 'one,two' };
eventually 'the sink writes to them', sub {
    push @jobs, submit('added');
    grep { $_->{partition} > 0 } $kafka->messages('out');
};
eventually 'and has written all', sub { status_of('added', 'behind') eq '0' };
my %seen = map { $_->{key} => 1 } $kafka->messages('out');
ok !grep({ !$seen{$_} } @jobs), 'of each job';
is $relay->stop, 0, 'it ends';

$_->stop for $front, $kafka;
finish();
