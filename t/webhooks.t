# Webhooks: what a real receiver gets, over hangs and kills, and who can name which URL over HTTP.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Receiver;
use Await::Relay;
use Await::Test;
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(time);

my $receiver = Await::Receiver->start;
my ($http, $https) = @$receiver{qw(http https)};
sub received { return $receiver->received(@_) }
sub comes { return $receiver->comes(@_) }
sub verify { return $receiver->verify(@_) }

my $s = start_stack(extra => <<"CONF");
    location = /hooked {
        await_webhook_hosts http://127.0.0.1:$http *.example.com;
        await_submit hooked webhook=\$arg_hook webhook_on=pending;
    }
    location = /fixed { await_submit fixed webhook=http://127.0.0.1:$http/ok/fixed?id=\$arg_id; }
    location = /batch { await_batch queues=inside webhook=http://127.0.0.1:$http/ok/batch; }
    location /all { await all webhook=http://127.0.0.1:$http/ok/all webhook_on=pending; }
    location /deliveries { await_webhooks write all; }
    location = /metrics { await_metrics; }
    location = /looks { await_webhooks all; }
    location /mine { await_owner \$arg_u; await_webhooks write; }
    location = /owned {
        await_webhook_hosts http://127.0.0.1:$http http://127.0.0.2:$http; await_owner \$arg_u;
        await_submit owned webhook=\$arg_hook webhook_on=pending;
    }
CONF

sub ctl {
    my (@words) = @_;
    local $ENV{AWAIT_POSTGRES} = $s->postgres;
    open my $from, '-|', "$Await::Stack::ROOT/tools/await-ctl", 'webhooks', @words or die $!;
    local $/;
    return scalar <$from>;
}
# Submits a job with this URL, and what it gets.
sub hooked {
    my ($path, $options, $host) = @_;
    $host //= '127.0.0.1';
    my $url = $path =~ /^http/ ? $path : "http://$host:$http/$path";
    return submit('q', qq({"webhook": "$url", "webhook_on": "pending"}));
}
# What is listed for a job.
sub of_job { my ($job) = @_; return json(get("/looks?job=$job"))->{deliveries}[0] // {} }
sub ends {
    my ($job, $state, $why) = @_;
    return until_true("$job is $state", sub { (of_job($job)->{state} // '') eq $state }, 40);
}

my $sink = 'webhooks,allow-http=on,first-delay=300ms,timeout=10s,at-once=4,a-second=1000,allow-network=127.0.0.1';
my $relay = Await::Relay->start('relay', '--sink', $sink);
$relay->leads;
metric('await_held');    # now that somebody asks, they are read every 5 s

subtest 'an endpoint' => sub {
    ctl('add', "http://127.0.0.1:$http/ok/endpoint", '--queue=work', '--types=*');
    my ($secret) = ctl('secret', 1) =~ /(\S+)/;
    verify('ok', $secret);
    my $id = submit('work');
    ok comes('ok/endpoint'), 'gets an event';
    complete_one('work');
    comes('ok/endpoint', 3);
    my @got = received('ok/endpoint');
    is join(' ', map { decode_json($_->{body})->{type} } @got), 'pending processing completed',
        'all events, in their order';
    is join(' ', map { $_->{good} } @got), '1 1 1', 'a library of Standard Webhooks accepts the signatures';
    is $got[2]{headers}{'webhook-id'}, "$id:3", 'the id says which event it is';
    is "$got[2]{method} $got[2]{headers}{'content-type'}", 'POST application/json', 'it is a POST of JSON';
    like $got[2]{headers}{'user-agent'}, qr{^nginx-await/}, 'by nginx-await';
    ctl('rotate', 1);
    submit('work');
    comes('ok/endpoint', 4);
    is + (received('ok/endpoint'))[3]{good}, 1, 'the old secret is good while the new one is taken over';
    is scalar(split / /, (received('ok/endpoint'))[3]{headers}{'webhook-signature'}), 2, 'by a second signature';
    verify('ok', (split /\n/, ctl('secret', 1))[0]);
    submit('work');
    comes('ok/endpoint', 5);
    is + (received('ok/endpoint'))[4]{good}, 1, 'and so is the new one';
    ctl('remove', 1);
};

subtest 'a host that hangs' => sub {
    my @hang = map { hooked("hang/$_", undef, 'localhost') } 1 .. 12;
    comes('hang/1');
    my $began = time;
    my $id = hooked('ok/beside');
    comes('ok/beside');
    cmp_ok time - $began, '<', 8, 'takes nothing from another one, which its time-out of 10 s would';
    my @slow = map { hooked("slow/$_") } 1 .. 8;
    ends($_, 'delivered') for @slow;
    cmp_ok((received('slow'))[-1]{most}, '<=', 8, 'no host gets more at the same time than it may');
    sql("DELETE FROM await.delivery_due WHERE host LIKE 'localhost%'");
};

# A page of what is due, read while an attempt ended, brought it once more.
subtest 'many at once' => sub {
    sql(
        qq{SELECT count(await.submit('many', 'x', options => jsonb_build_object('webhook',
            'http://127.0.0.1:$http/ok/many/' || n, 'webhook_on', 'pending'))) FROM generate_series(1, 300) n}
    );
    until_true(
        'all are delivered',
        sub {
            sql(
                "SELECT count(*) FROM await.delivery d JOIN await.delivery_end e ON e.delivery = d.id
            WHERE d.queue = 'many'"
            ) == 300;
        },
        20
    );
    my %n;
    $n{ $_->{url} }++ for received('ok/many');
    is scalar(keys %n), 300, 'all come';
    is_deeply [ grep { $n{$_} > 1 } sort keys %n ], [], 'each once';
};

subtest '410 disables an endpoint' => sub {
    ctl('add', "http://127.0.0.1:$http/gone/endpoint", '--queue=gone', '--types=pending');
    my ($webhook) = ctl('list') =~ m{(\d+) \| \S+/gone/endpoint};
    # in one transaction, so that both are stored before the first answer
    my @jobs = split /\n/, sql("SELECT await.submit('gone', 'x') FROM generate_series(1, 2)");
    ok ends($_, 'dead'), 'what is for it is given up' for @jobs;
    like ctl('list'), qr/disabled: 410 Gone/, 'the list says so';
    like $relay->text, qr/webhook $webhook, to 127\.0\.0\.1:$http, is disabled: the receiver answered 410/,
        'the log says so';
    my $n = received('gone/endpoint');
    submit('gone');
    my $later = hooked('ok/later');
    ends($later, 'delivered');
    is scalar(received('gone/endpoint')), $n, 'it gets nothing any more';
};

subtest 'over HTTP' => sub {
    my $url = "http://127.0.0.1:$http/ok/own";
    my $id = one_job("/hooked?hook=$url");
    ends($id, 'delivered');
    is of_job($id)->{url}, $url, 'the client names the URL';
    is post('/hooked', 'x')->{status}, 202, 'or none';
    my $jobs = sql('SELECT count(*) FROM await.job');
    for my $case (
        [ 403, "http://127.0.0.1:$https/" ],
        [ 403, "https://127.0.0.1:$http/" ],
        [ 403, 'https://example.com/' ],
        [ 403, 'https://x.example.com.evil/' ],
        [ 403, 'http://a.example.com/' ],
        [ 400, 'ftp://a.example.com/' ],
        [ 400, 'https://u@a.example.com/' ],
        [ 403, 'https%3A%2F%2Fexample.com%2F' ],
        [ 400, 'https%3A%2F%2Fu%40a.example.com%2F' ],
        [ 400, 'https%3A%2F%2Fa.example.com%2F%00' ],
        [ 400, 'https%253A%252F%252Fa.example.com%252F' ],
        [ 400, 'x' ],
        [ 400, 'https://a.example.com/' . 'x' x 2000 ])
    {
        my ($status, $hook) = @$case;
        is post("/hooked?hook=$hook", 'x')->{status}, $status, 'refused: ' . substr $hook, 0, 40;
    }
    is sql('SELECT count(*) FROM await.job'), $jobs, 'nothing of that is stored';
    is post('/hooked?hook=https://a.example.com/', 'x')->{status}, 202, 'a host below the domain';
    my $encoded = one_job('/hooked?hook=https%3A%2F%2Fa.example.com%2Fx%3Fy%3D%2541%26z');
    is sql("SELECT webhook ->> 'url' FROM await.job WHERE id = '$encoded'"), 'https://a.example.com/x?y=%41&z',
        'a URL is decoded once, as clients encode it in an argument';
    my $fixed = one_job('/fixed?id=7');
    complete_one('fixed');
    ends($fixed, 'delivered');
    like of_job($fixed)->{url}, qr{/ok/fixed\?id=7$}, 'a host of the configuration needs no permission';
    my $batch = id_of(post('/batch', '{"jobs":[{"payload":1}]}', 'Content-Type' => 'application/json'));
    complete_one('inside');
    ends($batch, 'delivered');
    is of_job($batch)->{type}, 'batch.ready', 'a batch says that it is ready';
    my $all = one_job('/all');
    ends($all, 'delivered');
    is of_job($all)->{type}, 'pending', 'await has the options, too';
    my $keyed = post("/hooked?hook=$url", 'x', 'Idempotency-Key' => '"k"');
    is header(post("/hooked?hook=$url/2", 'x', 'Idempotency-Key' => '"k"'), 'Idempotency-Replayed'), 'true',
        'another URL does not make another request';
    ends(json($keyed)->{id}, 'delivered');
    is of_job(json($keyed)->{id})->{url}, $url, 'the first one counts';
};

subtest 'await_webhooks' => sub {
    my $id = hooked('ok/again');
    ends($id, 'delivered');
    my $is = of_job($id);
    is "@$is{qw(state type queue attempts status)}", 'delivered pending q 1 200', 'a delivery is listed';
    is $is->{event}, "$id:1", 'with its event';
    is json(post("/deliveries/$is->{id}/retry"))->{id}, $is->{id}, 'it is sent once more';
    comes('ok/again', 2);
    is + (received('ok/again'))[1]{headers}{'webhook-id'}, "$id:1", 'with the same id';
    my $waiting = hooked('hang/again');
    ends($waiting, 'retrying');
    is post('/deliveries/' . of_job($waiting)->{id} . '/retry')->{status}, 409, 'not if it has not ended';
    is post('/deliveries/999999/retry')->{status}, 404, 'nor if there is none';
    is post('/looks')->{status}, 405, 'nor without write';
    my ($page, @ids) = ('/looks?limit=30');
    for (1 .. 100) {
        my $r = get($page);
        push @ids, map { $_->{id} } @{ json($r)->{deliveries} };
        my ($next) = (header($r, 'Link') // '') =~ /<(.*)>; rel="next"/ or last;
        $page = $next =~ m{^[?]} ? "/looks$next" : $next;
    }
    is scalar(@ids), sql('SELECT count(*) FROM await.delivery'), 'the pages have all of them';
    is join(' ', @ids), join(' ', sort { $b <=> $a } @ids), 'each once, the newest first';
    for my $state (qw(delivered dead retrying)) {
        my %states = map { $_->{state} => 1 } @{ json(get("/looks?state=$state&limit=200"))->{deliveries} };
        is join(' ', keys %states), $state, "those that are $state";
    }
    unlike get('/looks?limit=200')->{body}, qr/whsec|signature/, 'no secret is listed';
};

subtest 'await_webhooks of an owner' => sub {
    ctl('add', "http://127.0.0.1:$http/ok/operator", '--queue=owned', '--types=pending');
    my %id = map { $_ => one_job("/owned?u=$_&hook=http://127.0.0.1:$http/ok/$_") } qw(ann bob);
    my $inside = one_job("/owned?u=ann&hook=http://127.0.0.2:$http/");
    ends($_, 'delivered') for values %id;
    until_true('the other one has failed',
        sub { get("/looks?job=$inside")->{body} =~ /"error":"forbidden: 127/ }, 20);
    comes('ok/operator', 3);
    my @mine = @{ json(get('/mine?u=ann'))->{deliveries} };
    is join(' ', map { $_->{event} } @mine), "$inside:1 $id{ann}:1", 'are those of the own URLs of the own jobs';
    is $mine[0]{error}, 'forbidden: the host leads to an address that is not public',
        'whose owner is not told where a name leads';
    is_deeply json(get("/mine?u=ann&job=$id{bob}"))->{deliveries}, [], 'a job of another owner has none';
    my ($theirs) = @{ json(get('/mine?u=bob'))->{deliveries} };
    is post("/mine/$theirs->{id}/retry?u=ann")->{status}, 404, 'nor can it be sent again by another owner';
    is scalar(received('ok/bob')), 1, 'so it is not';
    is post("/mine/$theirs->{id}/retry?u=bob")->{status}, 202, 'but by its own';
    comes('ok/bob', 2);
    is get('/mine')->{status}, 403, 'nobody has none';
    my ($operator) = grep { $_->{webhook} } @{ json(get("/looks?job=$id{ann}"))->{deliveries} };
    is_deeply json(get("/mine?u=ann&webhook=$operator->{webhook}"))->{deliveries}, [], 'an endpoint is the operator\'s';
    is post("/mine/$operator->{id}/retry?u=ann")->{status}, 404, 'and so is what it got';
};

subtest 'the metrics' => sub {
    ok until_true('they are read', sub { metric('await_webhook_deliveries_total{outcome="delivered"}') }, 20),
        'say what was delivered';
    eventually 'what failed', sub { metric('await_webhook_failures_total') > 0 }, 20;
    like metric('await_webhook_deliveries{state="retrying"}'), qr/^\d+$/, 'and what waits';
};

subtest 'kills and takeovers' => sub {
    my @jobs = map { hooked("slow/kill/$_") } 1 .. 12;
    comes('slow/kill');
    is $relay->stop('KILL'), 'killed', 'the relay is killed while it sends';
    my $next = Await::Relay->start('next', '--sink', $sink);
    ends($_, 'delivered') for @jobs;
    my %n;
    $n{ $_->{headers}{'webhook-id'} }++ for received('slow/kill');
    is scalar(keys %n), 12, 'each event has arrived, with its id';
    cmp_ok((sort { $b <=> $a } values %n)[0], '<=', 2, 'what was under way came once more');
    my $last = hooked('slow/stop');
    comes('slow/stop');
    is $next->stop, 0, 'SIGTERM ends it';
    is of_job($last)->{state}, 'delivered', 'when the answer has come';
    my $id = hooked('ok/once');
    is(Await::Relay->start('once', '--once', '--sink', $sink)->status, 0, "--once");
    is of_job($id)->{state}, 'delivered', 'sends what is there, and ends';
    sql('DELETE FROM await.delivery_due');
    my $plain = hooked('ok/plain');
    my $tls = hooked("https://localhost:$https/ok/tls");
    my $bare = Await::Relay->start('bare', '--sink',
        "webhooks,allow-network=127.0.0.1,ca-file=@{[$receiver->certificate]},first-delay=300ms");
    ends($tls, 'delivered');
    is of_job($tls)->{state}, 'delivered', 'a certificate that is trusted is good';
    ends($plain, 'retrying');
    like of_job($plain)->{error}, qr/^http is not allowed: /, 'without allow-http, http is not sent';
    $bare->stop;
    for my $wrong (
        'webhooks=x', 'webhooks,allow-network=none',
        'webhooks,at-once=0', 'webhooks,first-delay=x',
        'webhooks,allow-http=1', 'webhooks,no=1'
        )
    {
        is(Await::Relay->start('wrong', '--sink', $wrong)->status, 64, "$wrong is refused");
    }
};

unlike join('', map { slurp($_) } glob "$s->{dir}/logs/*.log"), qr/whsec_|v1,[A-Za-z0-9+\/]{40}/,
    'no secret and no signature is in a log';
$receiver->stop;
finish();
