# conf/recipes/runs.conf as its users drive it: Node's ws and python3-websockets on /ws?username=, the poll of a run,
# the client, and the page in a real browser.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Browser;
use Await::Test;
use Await::WebSocket;
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep time);

my $root = $Await::Stack::ROOT;
my $site = slurp("$root/conf/recipes/runs.conf");
my $s = start_stack(site => "await_reread 1h;\n" . $site =~ s/rate=5r\/s/rate=50r\/s/r);
for my $line ($site =~ /^# await-worker (.+)$/mg) {
    $line =~ s/\$\{ROOT\}/$root/;
    $s->start_worker('worker1', split ' ', $line);
}
sub socket_at { return Await::WebSocket->new($s->{port}, @_) }
sub run {
    my ($user, $wish) = @_;
    return id_of(post("/api/v1/runs?username=$user", $wish // '{"delay":0.05}', 'Content-Type' => 'application/json'));
}
my @steps = map { ("node_started $_", "node_completed $_") } qw(fetch parse train report);
sub brief { return join ', ', map { $_->{type} . ($_->{node_id} ? " $_->{node_id}" : '') } @_ }

subtest 'one socket for all runs of a user, each event one frame' => sub {
    my $ann = Await::WebSocket->new($s->{port}, '/ws?username=ann', protocols => undef);
    is $ann->{status}, 101, 'the socket opens';
    my $bob = Await::WebSocket->new($s->{port}, '/ws?username=bob', protocols => undef);
    my ($one, $two) = (run('ann'), run('ann', '{"delay":0.05,"fail":"train"}'));
    my @said = $ann->messages(9 + 7, 20);
    is brief(grep { $_->{run_id} eq $one } @said), join(', ', @steps, 'workflow_completed'),
        'the first run: every step, then its end';
    is brief(grep { $_->{run_id} eq $two } @said),
        join(', ', @steps[ 0 .. 4 ], 'node_failed train', 'workflow_failed'),
        'the second run: up to the step that fails';
    like $said[0]{timestamp}, qr/^\d{10}$/, 'seconds';
    ok !grep({ exists $_->{data} || exists $_->{op} || exists $_->{owner} } @said), 'nothing but what the shape has';
    my $three = run('ann');
    is brief($ann->messages(9)), join(', ', @steps, 'workflow_completed'), 'it stays open after one ends';
    ok $bob->quiet(0.2), 'others hear nothing';
    my $page = json(get("/api/v1/runs/$one/events"));
    is_deeply [ sort keys %$page ], [qw(events run_id status)], 'the poll has three members';
    is_deeply [ @$page{qw(run_id status)} ], [ $one, 'completed' ], 'the poll names the run and its status';
    is brief(@{ $page->{events} }), join(', ', @steps, 'workflow_completed'), 'the poll says the same';
    is json(get("/api/v1/runs/$two/events"))->{status}, 'failed', 'the failed run\'s status is failed';
    is get("/api/v1/runs/$one?username=bob")->{status}, 404, 'a run\'s document is its owner\'s';
    my $document = get("/api/v1/runs/$one?username=ann");
    is $document->{status}, 200, 'its owner gets the run\'s document';
    is get(json($document)->{links}{result} . '?username=ann')->{body}, '{"nodes":4}', 'and its result';
    my $again = id_of(post("/api/v1/runs/$two/retry?username=ann", ''));
    eventually 'a run that has failed is run again, by its owner',
        sub { json(get("/api/v1/runs/$again/events"))->{status} eq 'failed' };
    is post("/api/v1/runs/$two/retry?username=bob", '')->{status}, 404, 'not by another one';
    my @listed = map { $_->{id} } @{ json(get('/api/v1/runs?username=ann'))->{jobs} };
    is_deeply \@listed, [ $again, $three, $two, $one ], 'and all runs, newest first';
    is_deeply json(get('/api/v1/runs?username=bob'))->{jobs}, [], 'which are not another one\'s';
};

subtest 'who may' => sub {
    is socket_at('/ws', protocols => undef)->{status}, 403, 'nobody';
    is socket_at('/ws?username=ann', protocols => undef, headers => { Origin => 'https://evil.example' })->{status},
        403, 'another page\'s origin is refused';
    is socket_at('/ws?username=ann', protocols => undef, headers => { Origin => 'http://localhost:3000' })->{status},
        101, 'the page\'s origin';
    is header(get('/api/v1/runs/' . run('ann') . '/events', Origin => 'http://localhost:3000'),
        'Access-Control-Allow-Origin'),
        'http://localhost:3000', 'the page\'s origin may read the poll';
    is post('/api/v1/runs', '{}', 'Content-Type' => 'application/json')->{status}, 403, 'nobody may not start a run';
};

# The client against the recipe, with a socket that can be cut, or is dead. client_rows.t has all that can befall it.
Await::Stack::write_file("$s->{dir}/watch.mjs", <<'JS', 0644);
import { createRequire } from 'node:module';
const [root, url, scenario] = process.argv.slice(2);
const { createClient } = await import(`${root}/client/dist/nginx-await.js`);
const { workflow } = await import(`${root}/client/dist/workflow.js`);
const Real = createRequire(import.meta.url)('/usr/share/nodejs/ws');
let sockets = 0;
class WebSocket extends Real {
  constructor(to) {
    super(scenario === 'dead' ? 'ws://127.0.0.1:1/' : to);
    this.on('error', () => {});                       // which ws would throw
    sockets += 1;
  }
}
const client = createClient({ base: url, WebSocket, quiet: scenario === 'dead' ? 300 : 20000 });
const user = `watch-${scenario}`;
const socket = `/ws?username=${user}`;
const open = client.watch({ channel: `user:${user}`, socket, channelOf: (event) => event.run_id });
open.subscribe(() => {});
while (scenario !== 'dead' && !open.connected) await new Promise((done) => setTimeout(done, 10));
const { id } = await client.submit(`/api/v1/runs?username=${user}`, { delay: 0.15 });
const run = client.watch(workflow(id, user));
const events = [];
for await (const event of run.events()) events.push(event);
console.log(JSON.stringify({ events, polls: run.polls, sockets, connected: open.connected }));
process.exit(0);
JS
sub watched {
    my ($scenario) = @_;
    my $url = $s->url;
    my $out = `timeout 60 node $s->{dir}/watch.mjs $root $url $scenario`;
    return eval { decode_json($out) } // { broken => $out };
}

subtest 'push first, polls as a fallback' => sub {
    my $r = watched('works');
    is brief(@{ $r->{events} }), join(', ', @steps, 'workflow_completed'), 'the socket works: all events';
    is_deeply [ @$r{qw(polls sockets connected)} ], [ 0, 1, JSON::PP::true ], 'and no poll at all; the socket stays';
    $r = watched('dead');
    is brief(@{ $r->{events} }), join(', ', @steps, 'workflow_completed'), 'the socket is dead: all events';
    ok !$r->{connected} && $r->{sockets} >= 1, 'by polls, or by an event stream when that is faster';
};

subtest 'python3-websockets' => sub {
    Await::Stack::write_file("$s->{dir}/client.py", <<'PY', 0644);
import asyncio, json, sys, urllib.request, websockets
async def main(url):
    async with websockets.connect(url.replace("http", "ws") + "/ws?username=py", ping_interval=1) as ws:
        request = urllib.request.Request(url + "/api/v1/runs?username=py", b'{"delay":0.05}',
            {"Content-Type": "application/json"})
        await asyncio.to_thread(urllib.request.urlopen, request)
        seen = []
        while not seen or not seen[-1].startswith("workflow_"):
            seen.append(json.loads(await asyncio.wait_for(ws.recv(), 10))["type"])
        print(" ".join(seen))
asyncio.run(main(sys.argv[1]))
PY
    my $url = $s->url;
    is scalar(`/usr/bin/python3 $s->{dir}/client.py $url`),
        join(' ', (map { /^(\w+)/ } @steps), 'workflow_completed') . "\n", 'a client of another make gets every event';
};

subtest 'the page, in a browser' => sub {
    my $browser = Await::Browser->new($s);
    my $count = sub { $browser->script('return document.querySelectorAll(arguments[0]).length', @_) };
    my $badge = sub { $browser->script('return document.querySelector("#connection").textContent') };
    $browser->visit($s->url . '/');
    eventually('the page is connected', sub { $badge->() =~ /^live/ });
    $browser->click('#start button');
    eventually('the page shows steps that are over', sub { $count->('.graph .completed') >= 2 });
    eventually('the page shows the run\'s end', sub { $count->('.row[data-state=completed]') == 1 }, 30);
    is $count->('.graph .completed'), 4, 'the page shows four completed steps';
    like $badge->(), qr/ 0 polls$/, 'the socket brought all of it';
    is_deeply $browser->barriers($root), [], 'the page passes axe-core';
    $browser->look(1280, 'light');
    my $arrow = $browser->script(
        'return getComputedStyle(document.querySelector(".graph li.completed"), "::after").color + '
        . '" on " + getComputedStyle(document.querySelector(".row")).backgroundColor');
    unlike $arrow, qr/^(.+) on \1$/, 'the arrow behind a completed step is seen';
    $browser->quit;
};
finish();
