# Relays of two names that both have the sink webhooks: deliveries are those of the database, and one name sends them.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Receiver;
use Await::Relay;
use Await::Test;
use Test::More;

my $receiver = Await::Receiver->start;
my $s = start_stack(without => [qw(nginx redis)]);
my $sink = 'webhooks,allow-http=on,first-delay=300ms,allow-network=127.0.0.1';

sub hooked {
    my ($path) = @_;
    return submit('q', qq({"webhook": "http://127.0.0.1:$receiver->{http}/ok/$path", "webhook_on": "pending"}));
}
sub reason { return sql("SELECT reason FROM await.relay_status('$_[0]') WHERE sink = 'webhooks'") }

my $first = Await::Relay->start('first', qw(--name one --sink), $sink);
$first->leads;
hooked('begins');
$receiver->comes('ok/begins');
my $pid = $first->pid;
my $says = qr{webhooks: the relays "one" send them \(\S+:$pid\), .* the same --name, or end those};

my $second = Await::Relay->start('second', qw(--name two --sink stdout --sink), $sink);
$second->leads;
eventually 'the second says who sends them, and the remedy', sub { $second->text =~ /^await-relay: $says/m };
my $checked = Await::Relay->start('checked', qw(--check --name two --sink), $sink);
is $checked->status, 1, '--check fails';
like $checked->text, qr/^sink $says/m, 'and says so';
my $own = Await::Relay->start('own', qw(--check --name one --sink), $sink);
is $own->status, 0, '--check of another relay of the name does not';

my $id = hooked('held');
eventually 'its other sinks go on', sub { $second->text =~ /"$id:1"/ };
$receiver->comes('ok/held');
eventually 'await-ctl relay shows why', sub { reason('two') =~ /the relays "one" send them/ };
hooked("each/$_") for 1 .. 20;
eventually 'the first sends all', sub { 20 == scalar $receiver->received('ok/each') };
my $once = Await::Relay->start('once', qw(--once --name three --sink), $sink);
is $once->status, 0, '--once with nothing to deliver';

is $first->stop('KILL'), 'killed', 'the first is killed';
hooked('after');
$receiver->comes('ok/after');
like $second->text, qr/webhooks: these relays send them now/, 'the second has taken over';
eventually 'and has caught up', sub { sql("SELECT sum(behind) FROM await.relay_status('two')") eq '0' };
is reason('two'), '', 'without a reason that is left';
my $third = Await::Relay->start('third', qw(--name one --sink), $sink);
eventually 'now the other name waits', sub { $third->text =~ /webhooks: the relays "two" send them/ };
is scalar($receiver->received("ok/$_->[0]")), $_->[1], "$_->[0]: each came once"
    for [ begins => 1 ], [ held => 1 ], [ each => 20 ], [ after => 1 ];
kill 'STOP', $second->pid;
hooked('late');
$receiver->comes('ok/late');
kill 'CONT', $second->pid;
eventually 'one that stood still waits again', sub { $second->text =~ /send them now.*the relays "one" send them/s };
is scalar($receiver->received('ok/late')), 1, 'and has sent nothing';
is $third->stop, 0, 'the third ends';
hooked('last');
$receiver->comes('ok/last');
is $second->stop, 0, 'the second has taken over, and ends';

my $two = Await::Relay->start('two', '--sink', $sink, '--sink', "$sink,name=more");
is $two->status, 64, 'two sinks webhooks in one relay are refused';
like $two->text, qr/--sink: there are two sinks webhooks, which would send each delivery twice/, 'with the reason';

$receiver->stop;
finish();
