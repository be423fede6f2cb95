# conf/recipes/runs.conf as its users drive it: Node's ws and python3-websockets on /ws?username=, the poll of a run,
# the client that pushes first and polls as fallback, and the page in a real browser.

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

# The client hook against the real server: its socket through a proxy that can drop a frame or the line.
Await::Stack::write_file("$s->{dir}/push-first.mjs", slurp("$root/demo/push-first.js"), 0644);
Await::Stack::write_file("$s->{dir}/hook.mjs", <<'JS', 0644);
import { createRequire } from 'node:module';
import { pushFirst } from './push-first.mjs';
const require = createRequire(import.meta.url);
const Real = require('/usr/share/nodejs/ws');
const [url, scenario] = process.argv.slice(2);
let n = 0;
let sockets = 0;
// "dropped": the last message is lost; "dead": it never opens; "cut": after the third message
class Dropping extends Real {
  constructor(to) { super(scenario === 'dead' ? 'ws://127.0.0.1:1/' : to); sockets += 1; }
  set onmessage(handler) {
    super.onmessage = (message) => {
      n += 1;
      if (scenario === 'cut' && n === 4) this.terminate();
      else if ((scenario !== 'dropped' || n !== 9) && this.readyState === 1) handler(message);
    };
  }
}
const events = [];
const live = pushFirst({
  socket: `${url.replace('http', 'ws')}/ws?username=hook-${scenario}`,
  poll: (run) => `${url}/api/v1/runs/${run}/events`, quiet: 700, reconnect: 200,
  WebSocket: Dropping, onEvent: (event, how) => events.push({ ...event, how }) });
if (scenario !== 'dead') while (!live.connected) await new Promise((done) => setTimeout(done, 10));
const answer = await fetch(`${url}/api/v1/runs?username=hook-${scenario}`,
  { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"delay":0.15}' });
const { id } = await answer.json();
live.watch(id);
const end = Date.now() + 20000;
const over = () => events.some(({ type }) => type === 'workflow_completed');
while (!over() && Date.now() < end) await new Promise((done) => setTimeout(done, 20));
const polls = live.polls;
await new Promise((done) => setTimeout(done, 1600));
console.log(JSON.stringify({ events, polls, sockets, after: live.polls - polls, connected: live.connected }));
live.close();
if (scenario === 'dead') {
  sockets = 0;
  await new Promise((done) => setTimeout(done, 1500));
  if (sockets) process.exit(1);
}
process.exit(0);
JS
sub hook {
    my ($scenario) = @_;
    my $url = $s->url;
    my $out = `node $s->{dir}/hook.mjs $url $scenario`;
    is $?, 0, "$scenario: no socket is opened after close()";
    return eval { decode_json($out) } // { broken => $out };
}

subtest 'push first, poll as fallback' => sub {
    my $r = hook('works');
    is brief(@{ $r->{events} }), join(', ', @steps, 'workflow_completed'), 'the socket works: all events';
    is_deeply [ @$r{qw(polls after connected)} ], [ 0, 0, JSON::PP::true ], 'and no poll at all; the socket stays';
    $r = hook('dropped');
    is brief(sort { 0 } @{ $r->{events} }), join(', ', @steps, 'workflow_completed'),
        'the last message is dropped: all events';
    is $r->{events}[-1]{how}, 'poll', 'the last event came by a poll';
    is_deeply [ @$r{qw(polls after)} ], [ 1, 0 ], 'by one poll';
    $r = hook('cut');
    is brief(@{ $r->{events} }), join(', ', @steps, 'workflow_completed'), 
        'the socket is cut: all events, in their order';
    is_deeply [ @$r{qw(polls sockets)} ], [ 0, 2 ], 'a second socket goes on where the first one was cut';
    $r = hook('dead');
    is brief(@{ $r->{events} }), join(', ', @steps, 'workflow_completed'), 'the socket is dead: all events';
    cmp_ok $r->{polls}, '>=', 1, 'events came by polls';
    is $r->{after}, 0, 'and it stops at the end';
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
    $browser->visit($s->url . '/');
    eventually('the page is connected',
        sub { $browser->script('return document.getElementById("link").textContent') =~ /^connected/ });
    $browser->script('document.querySelector("#start button").click()');
    eventually('the page shows steps that are over',
        sub { $browser->script('return document.querySelectorAll(".graph li.completed").length') >= 2 });
    eventually(
        'the page shows the run\'s end',
        sub { ($browser->script('return document.querySelector(".run")?.dataset.state') // '') eq 'workflow_completed' }
        ,
        30
    );
    is $browser->script('return document.querySelectorAll(".graph li.completed").length'), 4,
        'the page shows four completed steps';
    like $browser->script('return document.getElementById("link").textContent'), qr/ 0 polls/,
        'the socket brought all of it';
    is_deeply $browser->barriers($root), [], 'the page passes axe-core';
    $browser->look(1280, 'light');
    my $arrow = $browser->script(
        'return getComputedStyle(document.querySelector(".graph li.completed"), "::after").color + '
        . '" on " + getComputedStyle(document.querySelector(".run")).backgroundColor');
    unlike $arrow, qr/^(.+) on \1$/, 'the arrow behind a completed step is seen';
    $browser->quit;
};
finish();
