# The rows that a client of live events has to pass, in a real browser against real servers: on a socket with
# subscriptions, and on a plain one with events of another format. Polls and connections are counted.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::ClientPage;
use Await::Test;
use JSON::PP;
use Test::More;
use Time::HiRes qw(time);

my $browser = start_page();

# A run of nine visible events, as of conf/recipes/run: four nodes, and its end.
my @nodes = map { ([ node_started => $_ ], [ node_completed => $_ ]) } qw(fetch parse train report);
sub steps {
    my ($id, $before) = @_;
    claim($id);
    hint($id);
    for my $i (0 .. $#nodes) {
        $before->($i) if $before;
        emit($id, $nodes[$i][0], { node_id => $nodes[$i][1] });
    }
    $before->(scalar @nodes) if $before;
    complete($id, '{"nodes":4}', type => 'application/json', hint => 1);
}

# Each row, over a socket with subscriptions and over a plain one, which hides the first two events.
for my $kind (qw(await.v1 plain)) {
    my $plain = $kind eq 'plain';
    my @all = $plain ? (3 .. 11) : (1 .. 11);
    my $new = sub {
        my ($lose, %o) = @_;
        visit();
        script("page.faults.lose = $lose; page.faults.dead = arguments[0]",
            $o{dead} ? JSON::PP::true : JSON::PP::false);
        my $id = $plain ? one_job('/api/v1/runs?username=ann') : one_job();
        my $url = $plain ? $id : "/jobs/$id";
        # a busy machine must not look like a dead one
        follow($url, quiet => $o{quiet} // 20000, $plain ? (user => 'ann') : ());
        until_true('the socket is open', sub { metric('await_sockets') >= 1 && counted('sockets') == 1 }, $LONG)
            unless $o{dead};
        until_true('the job is watched', sub { seqs_are($url, 1) }, $LONG) unless $plain || $o{dead};
        return ($id, $url);
    };
    my $shows = sub {
        my ($url, $what) = @_;
        eventually("$what: each event once, in order",
            sub { my $seen = seen($url); $seen->{ended} && "@{ $seen->{seqs} }" eq "@all" }, $LONG)
            or diag explain seen($url);
    };

    subtest "$kind: the socket works" => sub {
        my ($id, $url) = $new->('() => false');
        steps($id);
        $shows->($url, 'all pushed');
        is counted('polls'), 0, 'no poll';
        is counted('sockets'), 1, 'one connection';
    };
    subtest "$kind: one message is lost in the middle" => sub {
        my ($id, $url) =
            $new->('({ node_id, data, type }) => `${type} ${node_id ?? data?.node_id}` === "node_started train"');
        steps($id);
        $shows->($url, 'the gap is repaired');
        cmp_ok counted('polls'), '>=', 1, 'by a poll';
        cmp_ok counted('polls'), '<=', 2, 'or two, as the next events came while it was on its way';
        is counted('sockets'), 1, 'one connection';
    };
    subtest "$kind: the last message is lost" => sub {
        my ($id, $url) = $new->('({ type }) => /completed$/.test(type) && type !== "node_completed"', quiet => 6000);
        steps($id);
        $shows->($url, 'the end is shown');
        is counted('polls'), 1, 'one poll';
        is counted('sockets'), 1, 'one connection';
    };
    subtest "$kind: the socket is dead from the start" => sub {
        my ($id, $url) = $new->('() => false', dead => 1, quiet => 1000);
        steps($id);
        $shows->($url, 'by other ways');
        my $sockets = counted('sockets');
        my $began = time;
        eventually('it goes on trying to connect only while there is something to watch', sub { time > $began + 3 });
        is counted('sockets'), $sockets, 'none after the end';
    };
    subtest "$kind: the socket is cut once" => sub {
        my ($id, $url) = $new->('() => false');
        steps($id, sub { script('page.cut()') if $_[0] == 3 });
        $shows->($url, 'nothing is lost');
        is counted('polls'), 0, 'no poll';
        is counted('sockets'), 2, 'two connections';
    };
    subtest "$kind: close() while a reconnect is due" => sub {
        my ($id, $url) = $new->('() => false');
        script('page.faults.dead = true; page.cut()');
        script('page.close()');
        my ($sockets, $fetches) = (counted('sockets'), counted('fetches'));
        my $began = time;
        until_true('three seconds pass', sub { time > $began + 3 });
        is counted('sockets'), $sockets, 'it does not connect again';
        is counted('fetches'), $fetches, 'nor ask';
        like seen($url)->{error}, qr/AbortError/, 'and who watches is told';
    };
}

subtest 'Node, without a WebSocket: an event stream' => sub {
    my $script = <<'JS';
        import { createClient } from 'file://CLIENT/dist/nginx-await.js';
        delete globalThis.WebSocket;
        const job = await createClient({ base: process.argv[2] }).submit('/jobs', { n: 1 });
        const seqs = [];
        for await (const { seq } of job.events()) { seqs.push(seq); if (seq === 1) console.log(job.id); }
        console.log(`${seqs.join(' ')}; ${await (await job.result()).text()}; ${job.polls} polls`);
JS
    my $file = stack()->{dir} . '/node.mjs';
    Await::Stack::write_file($file, $script =~ s{CLIENT}{$Await::Stack::ROOT/client}r);
    open my $node, '-|', 'node', $file, stack()->url or die "node: $!\n";
    chomp(my $id = <$node> // '');
    claim($id);
    hint($id);
    complete($id, 'HELLO', hint => 1);
    is scalar(<$node>), "1 2 3; HELLO; 0 polls\n", 'each event, and the result';
    ok close $node, 'and the process ends by itself';
};

$browser->quit;
finish();
