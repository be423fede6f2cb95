# The client of client/ in a real browser, against real servers, and what breaks networks: a server that is away, a
# proxy that swallows bytes, a tab that is frozen, two tabs, many jobs.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::ClientPage;
use Await::Swallower;
use Await::Test;
use JSON::PP;
use Test::More;
use Time::HiRes qw(time);

my $AWAY = $ENV{AWAIT_AWAY_SECONDS} // 5;    # how long the server is away
my $browser = start_page();
my $s = stack();

subtest 'submit, result, problems' => sub {
    visit();
    begin('done', <<'JS');
        const body = new Blob(["hello"], { type: "text/plain" });
        const job = await page.client().submit("/jobs", body, { onUploadProgress: (at) => { page.progress = at; } });
        page.job = job;
        return (await job.result()).text();
JS
    until_true('it is submitted', sub { script('return page.job?.id ?? null') }, $LONG);
    my $id = script('return page.job.id');
    is_deeply script('return page.progress'), { loaded => 5, total => 5 }, 'the progress of the upload is told';
    claim($id);
    hint($id);
    complete($id, 'HELLO', hint => 1);
    eventually('the result', sub { (done('done') // {})->{value} }, $LONG);
    is done('done')->{value}, 'HELLO', 'is that of the worker';
    is counted('polls'), 0, 'without a poll';
    begin('refused', <<'JS');
        await page.client().submit("/jobs", "{", { headers: { "Content-Type": "application/json" } });
JS
    eventually('a refusal', sub { done('refused') }, $LONG);
    is done('refused')->{status}, 400, 'is thrown with its status';
    like done('refused')->{problem}{detail}, qr/JSON/, 'and its problem';
    begin('failed', <<'JS');
        const job = await page.client().submit("/jobs", "x");
        page.id = job.id;
        return job.result();
JS
    until_true('it is submitted', sub { script('return page.id ?? null') }, $LONG);
    my $bad = script('return page.id');
    claim($bad);
    my $why = encode_json({ title => 'No picture', detail => 'It is a text.' });
    sql("SELECT await.fail('$bad', test.receipt('$bad'), '$why', '-1 s')");
    hint($bad);
    eventually('a failed job', sub { done('failed') }, $LONG);
    is_deeply [ @{ done('failed') }{qw(error status message)} ], [ 'JobError', 424, 'It is a text.' ],
        'rejects with its problem';
    my $none = $bad =~ s/.{6}$/000000/r;
    follow("/jobs/$none");
    eventually('a job that does not exist is an error',
        sub { (seen("/jobs/$none")->{error} // '') =~ /ProblemError: There is no such job/ }, $LONG);
    begin('gone', <<'JS');
        const job = await page.client().submit("/jobs", "x");
        await job.cancel();
        return job.result();
JS
    eventually('a cancelled job', sub { done('gone') }, $LONG);
    is done('gone')->{status}, 410, 'has no result';
};

subtest 'the example without a bundler' => sub {
    $browser->visit($s->url . '/examples/plain.html');
    $browser->click('form button');
    my $events = sub {
        return script('return [...document.querySelectorAll("li")].map((event) => event.textContent).join(" ")');
    };
    eventually('the job is submitted', sub { $events->() eq 'pending' }, $LONG);
    my ($id) = map { $_->{id} } json(get('/all'))->{jobs}[0];
    claim($id); hint($id);
    complete($id, 'HELLO', hint => 1);
    eventually('its events are shown', sub { $events->() eq 'pending processing completed' }, $LONG);
    eventually('and its result', sub { script('return document.querySelector("output").textContent') eq 'HELLO' },
        $LONG);
};

subtest 'batches and topics' => sub {
    visit();
    begin('batch', <<'JS');
        const jobs = [{ payload: 1 }, { payload: 2 }];
        const batch = await page.client().submitBatch("/jobs/batches", { jobs });
        page.batch = batch.url;
        return batch.done();
JS
    until_true('the batch is submitted', sub { script('return page.batch ?? null') }, $LONG);
    my $url = script('return page.batch');
    my @ids = map { $_->{id} } @{ json(get($url =~ s/.*(?=\/jobs)//r))->{jobs} };
    claim($ids[0]);
    complete($_, 'x', hint => 1) for @ids;
    eventually('it is ready', sub { (done('batch') // {})->{value}{ready} }, $LONG) or diag explain done('batch');
    is done('batch')->{value}{totals}{completed}, 2, 'with both jobs';
    follow('/news', topic => 'news');
    until_true('the topic is watched', sub { seen('/news')->{cursor} }, $LONG);
    post('/news', '{"n":1}');
    post('/news', '{"n":2}');
    eventually('messages come by the event stream, where the socket may not have the topic',
        sub { "@{ seen('/news')->{types} }" eq 'headline headline' }, $LONG)
        or diag explain seen('/news');
};

subtest 'the browser\'s own EventSource and WebSocket' => sub {
    visit();
    my $id = one_job();
    script(<<'JS', "/jobs/$id");
        const own = page.own = { stream: [], socket: [] };
        const stream = new EventSource(arguments[0] + "/events");
        for (const type of ["pending", "processing", "completed"]) stream.addEventListener(type, ({ data }) => {
          own.stream.push(JSON.parse(data).seq);
          if (type === "completed") stream.close();
        });
        page.ownSocket = new WebSocket(location.origin.replace("http", "ws") + arguments[0], "await.v1");
        page.ownSocket.onmessage = ({ data }) => {
          const { type, seq } = JSON.parse(data);
          if (type) own.socket.push(seq);
        };
JS
    my $own = sub { return join ' ', @{ script('return page.own[arguments[0]]', $_[0]) } };
    until_true('both have begun', sub { $own->('stream') && $own->('socket') }, $LONG);
    claim($id);
    hint($id);
    complete($id, 'x', hint => 1);
    for my $way (qw(stream socket)) {
        eventually("the $way has all", sub { $own->($way) eq '1 2 3' }, $LONG);
    }
    script('page.ownSocket.close()');
};

subtest 'the server is stopped for a while' => sub {
    visit();
    my @ids = map { one_job() } 1 .. 3;
    follow("/jobs/$_") for @ids;
    eventually(
        'all are watched',
        sub {
            3 == grep { seqs_are("/jobs/$_", 1) } @ids;
        },
        $LONG
    );
    $s->end('nginx', 'TERM');
    claim($ids[0]);
    emit($_, 'note', { n => 1 }) for @ids;
    my $began = time;
    until_true('it is noticed', sub { script('return page.openSockets()') == 0 }, $LONG);
    my ($sockets, $fetches) = map { counted($_) } qw(sockets fetches);
    until_true("$AWAY s pass", sub { time > $began + $AWAY }, $AWAY + $LONG);
    my $tries = counted('sockets') + counted('fetches') - $sockets - $fetches;
    note "away for $AWAY s: $tries attempts for three jobs";
    cmp_ok $tries, '<=', 30 + $AWAY / 2, 'it is not asked all the time';
    emit($ids[0], 'note', { n => 2 });
    start_again();
    complete($_, 'x', hint => 1) for @ids;
    eventually(
        'each event once',
        sub {
            seqs_are("/jobs/$ids[0]", 1 .. 5) && 2 == grep { seqs_are("/jobs/$_", 1 .. 4) } @ids[ 1, 2 ];
        },
        $LONG
    ) or diag explain [ map { seen("/jobs/$_") } @ids ];
};

subtest 'a proxy that swallows bytes' => sub {
    my $proxy = Await::Swallower->new($s);
    visit("http://127.0.0.1:$proxy->{port}/page/page.html");
    my $id = one_job();
    follow("/jobs/$id");
    eventually('it is watched', sub { seqs_are("/jobs/$id", 1) }, $LONG);
    $proxy->swallow;
    claim($id);
    hint($id);
    emit($id, 'note', { n => 1 });
    my $polls = counted('polls');
    eventually('silence is noticed: it polls', sub { counted('polls') > $polls }, $LONG);
    eventually('and connects anew', sub { counted('sockets') >= 2 }, $LONG);
    $proxy->pass;
    complete($id, 'x', hint => 1);
    eventually('each event once, when the network is back', sub { seqs_are("/jobs/$id", 1 .. 4) }, $LONG)
        or diag explain seen("/jobs/$id");
    $browser->visit('about:blank');
    $proxy->end;
};

sub tab { my ($handle) = @_; return $browser->call('POST', "$browser->{session}/window", { handle => $handle }) }

subtest 'a tab that is frozen, and one of two' => sub {
    visit();
    my $id = one_job();
    follow("/jobs/$id");
    eventually('it is watched', sub { seqs_are("/jobs/$id", 1) }, $LONG);
    my $first = $browser->call('GET', "$browser->{session}/window");
    $browser->cdp('Page.setWebLifecycleState', { state => 'frozen' });
    claim($id);
    hint($id);
    emit($id, 'note', { n => $_ }) for 1 .. 3;
    $browser->cdp('Page.setWebLifecycleState', { state => 'active' });
    eventually('what happened meanwhile is shown, once', sub { seqs_are("/jobs/$id", 1 .. 5) }, $LONG)
        or diag explain seen("/jobs/$id");
    my $second = $browser->call('POST', "$browser->{session}/window/new", { type => 'tab' })->{handle};
    tab($second);
    visit();
    follow("/jobs/$id");
    eventually('the second tab has all from the beginning', sub { seqs_are("/jobs/$id", 1 .. 5) }, $LONG);
    complete($id, 'x', hint => 1);
    eventually('and the end', sub { seqs_are("/jobs/$id", 1 .. 6) }, $LONG);
    $browser->call('DELETE', "$browser->{session}/window");
    tab($first);
    eventually('the first, which was hidden, too', sub { seqs_are("/jobs/$id", 1 .. 6) }, $LONG)
        or diag explain seen("/jobs/$id");
};

subtest 'tabs share a WebSocket' => sub {
    visit();
    my @ids = map { one_job() } 1 .. 2;
    my @urls = map { "/jobs/$_" } @ids;
    my %options = (shared => JSON::PP::true, quiet => 20000);
    follow($urls[0], %options);
    eventually('the first tab has the socket', sub { seqs_are($urls[0], 1) && metric('await_sockets') == 1 }, $LONG);
    claim($ids[0]);
    hint($_) for @ids;
    eventually('and goes on', sub { seqs_are($urls[0], 1, 2) }, $LONG);
    my $first = $browser->call('GET', "$browser->{session}/window");
    my $second = $browser->call('POST', "$browser->{session}/window/new", { type => 'tab' })->{handle};
    tab($second);
    visit();
    follow($_, %options) for @urls;
    eventually(
        'the second has both jobs',
        sub {
            2 == grep { seqs_are($_, 1, 2) } @urls;
        },
        $LONG
    ) or diag explain [ map { seen($_) } @urls ];
    emit($_, 'note', { n => 1 }) for @ids;
    eventually(
        'and what follows',
        sub {
            2 == grep { seqs_are($_, 1 .. 3) } @urls;
        },
        $LONG
    );
    is metric('await_sockets'), 1, 'there is one socket';
    cmp_ok counted('polls'), '<=', 2, 'and a poll for what had happened before';
    tab($first);
    eventually('the first has it, too', sub { seqs_are($urls[0], 1 .. 3) }, $LONG);
    $browser->call('DELETE', "$browser->{session}/window");
    tab($second);
    emit($_, 'note', { n => 2 }) for @ids;
    complete($_, 'x', hint => 1) for @ids;
    eventually(
        'when the first is closed, the second goes on',
        sub {
            2 == grep { seqs_are($_, 1 .. 5) } @urls;
        },
        $LONG
    ) or diag explain [ map { seen($_) } @urls ];
    eventually('with a socket of its own', sub { metric('await_sockets') == 1 }, $LONG);
};

subtest 'the tab that has the shared WebSocket is frozen' => sub {
    visit();
    my $id = one_job();
    my $url = "/jobs/$id";
    my %options = (shared => JSON::PP::true, quiet => 2000);
    follow($url, %options);
    eventually('the first tab has the socket', sub { seqs_are($url, 1) && metric('await_sockets') == 1 }, $LONG);
    my $first = $browser->call('GET', "$browser->{session}/window");
    my $second = $browser->call('POST', "$browser->{session}/window/new", { type => 'tab' })->{handle};
    tab($second);
    visit();
    follow($url, %options);
    eventually('the second has its events', sub { seqs_are($url, 1) }, $LONG);
    is metric('await_sockets'), 1, 'by the same socket';
    tab($first);
    # a request that is not answered stops all scripts of the tab; later, as WebDriver waits for what is called
    my $other = one_job();
    script('setTimeout(() => { const stop = new XMLHttpRequest();'
        . ' stop.open("GET", arguments[0], false); stop.send(); }, 100)', "/jobs/$other?wait=50");
    until_true('the first stands still', sub { metric('await_polls') == 1 }, $LONG);
    tab($second);
    claim($id);
    hint($id);
    eventually('what the frozen one does not pass on, the second reads', sub { seqs_are($url, 1, 2) }, $LONG)
        or diag explain seen($url);
    eventually('and it opens a socket', sub { metric('await_sockets') == 2 }, $LONG);
    complete($id, 'x', hint => 1);
    eventually('which has the end', sub { seqs_are($url, 1 .. 3) && seen($url)->{ended} }, $LONG);
    del("/jobs/$other");
    tab($first);
    eventually('the first, when it goes on, has all of it once', sub { seqs_are($url, 1 .. 3) }, $LONG)
        or diag explain seen($url);
    $browser->call('DELETE', "$browser->{session}/window");
    tab($second);
};

subtest 'tickets' => sub {
    visit();
    script(<<'JS');
        page.heard = {};
        const place = { events: '/in/news' };
        const listen = (name, client, more) => client.topic('news', { ...place, ...more })
          .subscribe(({ data }) => (page.heard[name] ??= []).push(data.n),
            (error) => { page.heard[name] = error.status; });
        listen('socket', page.client({ ticket: '/ticket?as=ann' }), { socket: '/in/socket' });
        listen('stream', page.client({ ticket: '/ticket?as=ann', quiet: 20000 }), { socket: false });
        listen('none', page.client({ quiet: 1000 }), { socket: false });
JS
    my $heard = sub {
        my $all = script('return page.heard[arguments[0]] ?? null', $_[0]);
        return ref $all ? "@$all" : $all // '';
    };
    post('/news', '{"n":1}');
    for my $way (qw(socket stream)) {
        eventually("by the $way, which the browser can send no header with", sub { $heard->($way) =~ /\b1$/ }, $LONG);
    }
    eventually('without one it is refused', sub { $heard->('none') eq '401' }, $LONG);
    my $tickets = metric('await_tickets_total');
    script('page.cut()');
    eventually('when the socket breaks it gets another one, as each is good once',
        sub { metric('await_tickets_total') > $tickets && script('return page.openSockets()') == 1 }, $LONG);
    post('/news', '{"n":2}');
    for my $way (qw(socket stream)) {
        eventually("and goes on: $way", sub { $heard->($way) =~ /\b1 2$/ }, $LONG);
    }
    script('page.close()');
};

# 200 jobs: submitted by the page, all of them watched.
sub two_hundred {
    my (%options) = @_;
    visit();
    script('page.options = arguments[0]', \%options);
    begin('submitted', <<'JS');
        const client = page.client(page.options);
        const jobs = [];
        const some = () => Promise.all(Array.from({ length: 20 }, () => client.submit("/jobs", "x")));
        while (jobs.length < 200) jobs.push(...await some());
        page.finished = 0;
        const follow = async (job) => {
          let n = 0;
          for await (const { seq } of job.events()) if (seq !== ++n) throw new Error(`${seq} is not ${n}`);
          if (n === 3) page.finished++;
        };
        jobs.forEach(follow);
        return jobs.map(({ id }) => id);
JS
    until_true('200 jobs are submitted', sub { done('submitted') }, 2 * $LONG);
    return @{ done('submitted')->{value} };
}
sub finish_all {
    my (@ids) = @_;
    my $claimed = sql("SELECT count(*) FROM await.claim(ARRAY['work'], 'test', 1000, NULL)");
    my $all = "unnest(ARRAY['" . join("','", @ids) . "']::uuid[]) AS j";
    sql("SELECT await.complete(j, test.receipt(j), 'x', 'text/plain', 200, NULL) FROM $all");
    hint($_) for @ids;
}

subtest '200 jobs on one page, over HTTP/1.1' => sub {
    my @ids = two_hundred(quiet => 20000);    # a busy machine must not look like a dead one
    eventually('they are on two sockets', sub { metric('await_sockets') == 2 }, $LONG);
    is script('return fetch("/jobs", { method: "OPTIONS" }).then((r) => r.status)'), 204,
        'another request gets through';
    finish_all(@ids);
    eventually('all have ended', sub { script('return page.finished') == 200 }, $LONG)
        or diag script('return page.finished');
    is counted('polls'), 0, 'without a poll';
    is counted('sockets'), 2, 'on the same two sockets';
};

subtest '200 jobs on sockets that tabs share' => sub {
    my @ids = two_hundred(shared => JSON::PP::true, quiet => 20000);
    eventually('they are on two sockets', sub { metric('await_sockets') == 2 }, $LONG);
    finish_all(@ids);
    eventually('all have ended', sub { script('return page.finished') == 200 }, $LONG);
    is counted('polls'), 0, 'without a poll';
};

subtest '200 jobs without WebSockets' => sub {
    my @ids = two_hundred(socket => JSON::PP::false, quiet => 1000);
    is script('return fetch("/jobs", { method: "OPTIONS" }).then((r) => r.status)'), 204,
        'another request gets through';
    is counted('sockets'), 0, 'no socket';
    finish_all(@ids);
    eventually('all have ended', sub { script('return page.finished') == 200 }, 2 * $LONG)
        or diag script('return page.finished');
};

$browser->quit;
finish();
