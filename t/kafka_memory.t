# A sink of Kafka that catches up over large events: it reads a few megabytes ahead, not as many events as otherwise.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Kafka;
use Await::Relay;
use Await::Test;
use Test::More;

my $EVENTS = 1600;
my $SIZE = 45_000;

my $s = start_stack(without => [ 'nginx', 'redis' ]);
my $kafka = Await::Kafka->start(1);
$kafka->tell(topic => 'large', 1);
my @sink = ('--sink', 'kafka=' . $kafka->servers . ',topic=large');

my $relay = Await::Relay->start('before', @sink);
$relay->leads;
submit('q');
eventually 'it delivers', sub { status_of('kafka', 'delivered') eq '1' };
is $relay->stop, 0, 'a relay comes and goes';
sql(
    "SELECT count(*) FROM (SELECT await.publish('news' || g % 20, 'said',
        jsonb_build_object('text', repeat(chr(97 + g % 26), $SIZE))) FROM generate_series(1, $EVENTS) g) x"
);

$kafka->tell(rtt => 1, 100);    # what follows is read meanwhile
$relay = Await::Relay->start('after', @sink);
$relay->leads;
my $before = memory_kb($relay->pid, 'VmHWM');
eventually 'it has caught up', sub { status_of('kafka', 'delivered') == $EVENTS + 1 }, 60;
my $grown = memory_kb($relay->pid, 'VmHWM') - $before;
note "grown by $grown KB over @{[ $EVENTS * $SIZE / 1000 ]} KB";
# two groups of 4 MB and a page each, one of them once more in librdkafka
cmp_ok $grown, '<', 50_000, 'and never had more than a few pages of it' unless $ENV{AWAIT_ASAN};
is $relay->stop, 0, 'it ends';

$kafka->stop;
finish();
