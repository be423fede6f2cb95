# Rows of events and jobs that somebody has edited by hand: whatever is in them, await-relay hands them on to each of
# its sinks in some form, and goes on. Bugs: a time "infinity" was written before the beginning of a text and ended the
# relay, and stopped the sinks redis and webhooks; a type of 2 MB stopped the sink kafka.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Kafka;
use Await::Receiver;
use Await::Relay;
use Await::Test;
use JSON::PP;
use Test::More;

my $s = start_stack(without => ['nginx']);
my $kafka = Await::Kafka->start(1);
my $receiver = Await::Receiver->start;
sql("SELECT await.add_webhook('http://127.0.0.1:$receiver->{http}/ok/all', NULL, '{*}')");

# What is set in the row of the ending, or of the job.
my @edits = (
    event => "type = ''",
    event => q(type = E'a b/c\n"x'),
    event => "type = repeat('t', 300)",
    event => "type = repeat('t', 2000000)",
    event => "state = 'odd'",
    event => "at = 'infinity'",
    event => "at = '-infinity'",
    event => "at = '20000-01-01'",
    event => "at = '0044-03-15 BC'",
    event => 'attempt = -1',
    event => "data = to_jsonb(repeat('d', 3000000))",
    event => "data = 'null'",
    event => "data = '[1]'",
    event => 'content_type = NULL',
    event => 'size = NULL',
    event => 'size = -5',
    event => q(file_name = E'\n' || repeat('f', 2000000)),
    event => 'status = NULL',
    event => 'status = 999',
    event => 'body = NULL',
    event => q(body = '\xff00'),
    event => "body = convert_to(repeat('[', 5000), 'UTF8')",
    event => 'seq = 99',
    event => 'ending = false',
    job => 'queue = 9999',
    job => q(correlation_id = E'\n'),
    job => "correlation_id = repeat('é', 1000000)",
    job => q(trace = E'bad\r\nX: y'),
    job => "phase = repeat('p', 2000000)",
    job => 'batch = id',
    job => q(webhook = '{"url": "x"}'),
    job => "created_at = 'infinity'",
    job => "content_type = ''"
);

my $relay =
    Await::Relay->start('relay', '--sink', 'redis', '--sink', 'stdout',
    '--sink', 'kafka=' . $kafka->servers . ',topic=events.{queue}',
    '--sink', 'webhooks,allow-http=on,allow-network=127.0.0.1,at-once=32,a-second=1000');
$relay->leads;

my %job;
for (my $i = 0; $i < @edits; $i += 2) {
    my ($table, $what) = @edits[ $i, $i + 1 ];
    my $row = $table eq 'job' ? 'id = :id' : "type = 'completed' AND job = :id";
    my $id = sql("SELECT await.submit('edited', 'x', 'text/plain', '{\"owner\": \"ann\"}')");
    $row =~ s/:id/'$id'/;
    sql(
        "BEGIN;
        SELECT await.complete(c.id, c.receipt, '{\"a\": 1}', 'application/json')
            FROM await.claim(ARRAY['edited'], 'w', 1) c;
        UPDATE await.$table SET $what WHERE $row;
        COMMIT"
    );
    $job{$id} = "$table: " . substr $what, 0, 60;
}
my $last = submit('last');

my @behind;
ok until_true(
    'all sinks have everything',
    sub {
        @behind = grep { status_of($_, 'behind') ne 0 } qw(redis stdout kafka webhooks);
        return !@behind;
    },
    40
    ),
    'all sinks have everything'
    or diag "behind: @behind: ", map { status_of($_, "left(coalesce(reason, ''), 300)") . ' ' } @behind;

my %has = (
    stdout => { map { $_->{job} => 1 } $relay->events },
    kafka => { map { $_->{key} => 1 } map { $kafka->messages($_) } qw(events.edited events.last events.topic) });
for my $sink (sort keys %has) {
    is_deeply [ map { $job{$_} } grep { !$has{$sink}{$_} } sort keys %job ], [], "$sink: each of the jobs";
    ok $has{$sink}{$last}, "$sink: and the last one, which nobody has edited";
}
ok until_true(
    'webhooks are accepted',
    sub {
        sql(
            "SELECT count(*) FROM await.delivery d LEFT JOIN await.delivery_end e ON e.delivery = d.id
            WHERE e.state IS DISTINCT FROM 'delivered'"
        ) == 0;
    },
    20
    ),
    'webhooks: all are accepted';
my %sent = map { $_->{headers}{'webhook-id'} =~ /^(.*):/; $1 => 1 } $receiver->received('ok');
is_deeply [ grep { !/queue/ } map { $job{$_} } grep { !$sent{$_} } sort keys %job ], [],
    'webhooks: each of the jobs that has a queue';
is $relay->stop, 0, 'the relay ends well';
unlike $relay->text, qr/^await-relay: (?!leading|not leading)/m, 'and has said nothing';

$kafka->stop;
$receiver->stop;
finish();
