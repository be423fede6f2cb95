# Webhooks over days: the attempts of a delivery that nobody accepts, which the database keeps. Time passes by moving
# what is due, and the end of the three days, nearer.

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
my @sink = ('--sink', 'webhooks,allow-http=on,allow-network=127.0.0.1');

sub hooked {
    my ($path, $host) = @_;
    my $url = 'http://' . ($host // '127.0.0.1') . ":$receiver->{http}/$path";
    return submit('q', qq({"webhook": "$url", "webhook_on": "pending"}));
}
sub one {
    my ($job, $what, $from) = @_;
    return sql("SELECT $what FROM await.delivery d JOIN $from WHERE d.job = '$job'");
}
sub attempts { return one($_[0], 'count(*)', 'await.delivery_attempt a ON a.delivery = d.id') }
# Seconds until the next attempt, from the last one on; empty: there is none.
sub delay {
    my ($job) = @_;
    return one(
        $job, 'round(extract(epoch FROM u.due - (SELECT max(at) FROM await.delivery_attempt a
        WHERE a.delivery = d.id)))', 'await.delivery_due u ON u.delivery = d.id AND u.attempts > 0'
    );
}
sub tried {
    my ($job, $n) = @_;
    return until_true("attempt $n", sub { attempts($job) == $n && (delay($job) ne '' || ended($job)) }, 20);
}
sub ended { return one($_[0], 'e.state', 'await.delivery_end e ON e.delivery = d.id') }
# So many seconds pass.
sub elapse {
    my ($seconds) = @_;
    return sql(
        "UPDATE await.delivery_due SET due = due - interval '$seconds s', until = until - interval '$seconds s'
        WHERE due < 'infinity'"
    );
}

my $relay = Await::Relay->start('relay', @sink);
$relay->leads;

subtest 'jitter, and Retry-After of days' => sub {
    my @jobs = map { hooked("redirect/$_") } 1 .. 12;
    my $day = hooked('later/86400', 'localhost');
    tried($_, 1) for @jobs, $day;
    my %delays = map {
        sql(
            "SELECT extract(epoch FROM u.due - a.at) FROM await.delivery d
        JOIN await.delivery_due u ON u.delivery = d.id JOIN await.delivery_attempt a ON a.delivery = d.id
        WHERE d.job = '$_'"
        ) => 1
    } @jobs;
    cmp_ok scalar(keys %delays), '>', 6, 'those that fail together are not repeated together';
    is_deeply [ grep { $_ < 3.9 || $_ > 6.1 } keys %delays ], [], 'but some 5 seconds later';
    cmp_ok abs(delay($day) - 86_400), '<', 2, 'a Retry-After of a day is heeded';
    my $longer = hooked('later/9999999999999', '127.0.0.1');
    tried($longer, 1);
    cmp_ok abs(delay($longer) - 86_400), '<', 2, 'a longer one is a day';
    sql('DELETE FROM await.delivery_due');
    $relay->stop;    # which forgets the pause of the host
};

subtest 'three days' => sub {
    $relay = Await::Relay->start('second', @sink);
    my $job = hooked('redirect/days');
    my (@expected, @wrong) = map { my $s = 5 * 3**$_; $s < 28_800 ? $s : 28_800 } 0 .. 30;
    my ($n, $elapsed, @delays) = (1, 0);
    for (; tried($job, $n) && !ended($job); ++$n) {
        my $delay = delay($job);
        push @delays, $delay;
        push @wrong, "after attempt $n: $delay s"
            unless abs($delay - $expected[ $n - 1 ]) <= 0.2 * $expected[ $n - 1 ] + 1;
        $elapsed += $delay;
        if ($n == 6) {
            is $relay->stop('KILL'), 'killed', 'the relay is killed';
            elapse($delay);
            $relay = Await::Relay->start('third', @sink);
        }
        else { elapse($delay) }
        last if $n > 40;
    }
    is_deeply \@wrong, [], 'each pause is three times the one before, up to eight hours, a fifth more or less';
    is ended($job), 'dead', 'then it is given up';
    cmp_ok $elapsed, '<=', 3 * 86_400, 'after three days';
    cmp_ok $elapsed, '>', 3 * 86_400 - 1.2 * 28_800, 'no sooner';
    is attempts($job), $n, 'all attempts are listed';
    my @got = $receiver->received('redirect/days');
    is scalar(@got), $n, 'and were made, each once';
    is scalar(keys %{ { map { $_->{headers}{'webhook-id'} => 1 } @got } }), 1, 'with one id';
    like $got[-1]{headers}{'webhook-timestamp'}, qr/^\d{10}$/, 'each with the time of its own';
    cmp_ok $got[-1]{headers}{'webhook-timestamp'}, '>=', $got[0]{headers}{'webhook-timestamp'}, 'which goes on';
    is one($job, "await.retry_delivery(d.id)", '(SELECT) one ON true'), 'retried', 'sent once more';
    tried($job, $n + 1);
    cmp_ok delay($job), '<=', 6, 'it has three days of its own, from short pauses on';
};

$relay->stop;
$receiver->stop;
finish();
