# conf/recipes/judge.conf as its users use it, through a balancer in front of two edges: submissions, their list, and
# their results by polls, event streams and WebSockets; and as a consumer of Kafka sees it. Then edges, relays, brokers,
# workers and Redis are struck one after the other, under load: nothing is lost, and nobody is told anything twice.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Kafka;
use Await::Relay ();
use Await::Test;
use Await::WebSocket;
use JSON::PP;
use List::Util qw(sum0 uniq);
use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(sleep time);

my $root = $Await::Stack::ROOT;
my $site = slurp("$root/conf/recipes/judge.conf");
my $files = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $files;
system('sh', '-c',
    "cd $files && $root/conf/recipes/prepare && echo \"bob:\$(openssl passwd -apr1 bob)\" >> users.htpasswd") == 0
    or die;
my %admin = (Authorization => 'Basic ' . encode_base64('admin:admin', ''));
my %bob = (Authorization => 'Basic ' . encode_base64('bob:bob', ''));
my $primes = '2 3 5 7 11 13 17 19 23 29';
my $CLIENTS = 20;

# The three servers are one nginx each, as they would be on three machines. What takes hours takes seconds here, and
# edges ask PostgreSQL by themselves once in an hour: what is told before was told by a hint.
my ($http, $edge, $balancer) = split /^(?=server \{)/m, $site =~ s/users\.htpasswd/$files\/users.htpasswd/r =~
    s/rate=50r/rate=5000r/r =~ s/lease=5m/lease=2s/r =~ s/^(upstream edges .*?^\})\n//msr;
my $s = start_stack(without => ['nginx']);
my %nginx = map { $_ => Await::Stack->new(dir => "$s->{dir}/$_", worker_processes => 1) } qw(a b);
my $kafka = Await::Kafka->start(3);
sub start_edge {
    my ($name) = @_;
    my $own = $edge =~ s/listen .*;/listen 127.0.0.1:\${PORT};\n\${EXTRA}/r;
    my $extra = "add_header X-Edge $name always; location = /metrics { auth_basic off; await_metrics; }";
    my $backends = sprintf qq(await_postgres "%s";\nawait_redis %s;\nawait_reread 1h;\n), $s->postgres('edge'),
        $s->redis;
    return $nginx{$name}->start_nginx($backends . $http . $own, vars => { EXTRA => $extra });
}
start_edge($_) for sort keys %nginx;
my ($upstream) = $site =~ /^(upstream edges .*?^\})/ms;
$s->start_nginx($http . $upstream =~ s/\$\{PORT\+([12])\}/$nginx{ qw(- a b)[$1] }{port}/gr . "\n$balancer");

my $relays = 0;
sub start_relay {
    my ($line) = $site =~ /^# await-relay (.+)$/m;
    my $servers = $kafka->servers;
    return Await::Relay->start('relay' . ++$relays, split ' ', $line =~ s/\$\{KAFKA:-[^}]*\}/$servers/r);
}
sub start_worker {
    my ($name) = @_;
    my ($line) = $site =~ /^# await-worker (.+)$/m;
    return $s->start_worker($name, split ' ', $line =~ s/\$\{ROOT\}/$root/r =~ s/ 0\.1$/ 0.01/r);
}

# Another one that is psql and the judge, and nothing else: it knows of no Redis.
Await::Stack::write_file("$s->{dir}/psql-worker", <<'SH', 0755);
#!/bin/bash
cd "$(mktemp -d)" || exit
PATH=$2:$PATH
db() { psql "$AWAIT_POSTGRES" -XAtq -F ' ' -v ON_ERROR_STOP=1 "$@"; }
while sleep 0.05; do
    claim="SELECT id, receipt, encode(payload, 'base64') FROM await.claim(ARRAY['judge'], 'psql', 1)"
    read -r id receipt payload <<< "$(db -c "$claim")"
    [ -n "$id" ] || continue
    base64 -d <<< "$payload" | "$1" 3> events > output
    {   while read -r event; do
            what="e->>'type', e->'data', e->>'id'"
            echo "SELECT await.emit('$id', '$receipt', $what) FROM (SELECT '$event'::jsonb e) x;"
        done < events
        result="decode('$(base64 -w 0 output)', 'base64'), 'text/plain', 200, 'output.txt'"
        echo "SELECT await.complete('$id', '$receipt', $result);"
    } | db > /dev/null
done
SH
sub start_psql_worker {
    return $s->spawn('psql-worker', [ "$s->{dir}/psql-worker", "$root/conf/recipes/judge", Await::Stack::pg_bin() ],
        env => { AWAIT_POSTGRES => $s->place('worker'), PGPASSWORD => $s->password('worker') });
}

sub submit {
    my ($text, %who) = @_;
    return id_of(post('/submissions', $text, 'Content-Type' => 'text/plain', %who));
}
sub list { my ($arguments, %who) = @_; return json(get("/submissions$arguments", %who)) }
sub ids {
    return [ map { $_->{id} } @_ ];
}

# The topics, so that a consumer finds them, and a consumer.
my @topics = map { "judge.$_" } qw(pending processing tested completed);
$kafka->tell(topic => $_, 4) for @topics;
my $build = $ENV{AWAIT_BUILD} // "$root/build";
my $kafkajs = "$build/consumer/node_modules/kafkajs";
system('make', '-s', '-C', $root, $ENV{AWAIT_BUILD} ? "B=$build" : (), $kafkajs) == 0 or die "there is no kafkajs\n";
sub start_consumer {
    return $s->spawn('consumer', [ 'node', "$root/t/recipes/consumer.js", $kafkajs, $kafka->servers, @topics ]);
}
sub consumed {
    return map { decode_json($_) } grep { /\}$/ } split /\n/, slurp("$s->{dir}/logs/consumer.log");
}
my @relay = map { start_relay() } 1, 2;
until_true('a relay leads', sub { grep { $_->text =~ /leading the relays/ } @relay });

my @mine;
subtest 'the list of an owner' => sub {
    @mine = reverse map { submit($primes, %admin) } 1 .. 5;
    my $his = submit('1', %bob);
    is_deeply ids(@{ list('', %admin)->{jobs} }), \@mine, 'newest first, at the URL of submission';
    is_deeply ids(@{ list('', %bob)->{jobs} }), [$his], 'another one\'s are his';
    is get('/submissions')->{status}, 401, 'without a login there is no list';
    my (@seen, $pages);
    for (my $at = '?limit=2'; $at; $pages++) {
        my $r = get("/submissions$at", %admin);
        push @seen, @{ json($r)->{jobs} };
        ($at) = (header($r, 'Link') // '') =~ /<([^>]+)>; rel="next"/;
        push @mine, submit($primes, %admin) unless $pages;
    }
    my $new = pop @mine;
    is_deeply [ $pages, ids(@seen) ], [ 3, \@mine ],
        'three pages by Link, and what comes meanwhile changes none of them';
    unshift @mine, $new;
    is get($seen[0]{links}{self}, %admin)->{status}, 200, 'the links of the list lead through the balancer';
    is get($seen[0]{links}{self}, %bob)->{status}, 404, 'but not for others';
    my $r = get('/submissions', %admin);
    is get('/submissions', %admin, 'If-None-Match' => header($r, 'ETag'))->{status}, 304,
        'an unchanged list is not sent';
    is get('/submissions?queue=mails', %admin)->{status}, 400, 'only of this queue';
    is get('/submissions?limit=0', %admin)->{status}, 400, 'a limit out of range';
};

subtest 'results, however one waits' => sub {
    my ($polled, $streamed, $pushed, $early) = @mine;
    is get("/submissions/$early/result", %admin)->{status}, 404, 'no result yet';
    my $poll = begin_request('GET', "/submissions/$polled?wait=20", headers => {%admin});
    my $stream =
        begin_request('GET', "/submissions/$streamed/events", headers => { %admin, Accept => 'text/event-stream' });
    my $socket = Await::WebSocket->new($s->{port}, "/submissions/$pushed", headers => {%admin});
    ok $stream->wait_event('pending'), 'the stream has begun';
    is $socket->message->{op}, 'subscribed', 'the WebSocket, too';
    for ([ \%admin, 'subscribed' ], [ \%bob, 'error' ]) {
        my ($who, $op) = @$_;
        my $any = Await::WebSocket->new($s->{port}, '/submissions/socket', headers => $who);
        is $any->say({ op => 'subscribe', channel => "job:$pushed" })->message->{op}, $op,
            "one WebSocket for any submissions of one's own: $op";
    }
    start_worker('worker1');
    start_psql_worker();
    my $doc = json($poll->response);
    is_deeply [ $doc->{state}, $doc->{result}{name} ], [ 'completed', 'output.txt' ],
        'the poll is answered with the ending, and the name of the file';
    ok $stream->wait_event('completed'), 'the stream has it';
    my $message;
    do { $message = $socket->message(20) } until !$message || $message->{type} eq 'completed';
    is $message->{result}{name}, 'output.txt', 'the WebSocket has it';
    my $r = get($doc->{links}{result}, %admin);
    is_deeply [ $r->{status}, (split /\n/, $r->{body})[-1] ], [ 200, '10 of 10' ], 'the output file';
    like header($r, 'Content-Disposition'), qr/filename="?output\.txt/, 'with its name';
    is get($doc->{links}{result}, %bob)->{status}, 404, 'it is the owner\'s';
};

subtest 'the list by state' => sub {
    eventually('all are judged', sub { @{ list('?state=completed', %admin)->{jobs} } == 6 });
    is_deeply list('?state=pending,processing', %admin)->{jobs}, [], 'none is open';
    my $wrong = submit('1 2 3', %bob);
    eventually('one more', sub { (list('?state=completed', %bob)->{jobs}[0]{id} // '') eq $wrong });
    like get("/submissions/$wrong/result", %bob)->{body}, qr/^0 of 10$/m, 'a wrong answer is judged, too';
};

subtest 'a repeated submission' => sub {
    my @ids = map { submit($primes, %admin, 'Idempotency-Key' => '"again"') } 1, 2;
    is $ids[0], $ids[1], 'with its key, by whichever edge, it is one';
};

subtest 'what is no submission' => sub {
    my $before = sql('SELECT count(*) FROM await.job');
    my $large = post('/submissions', 'x' x (1 << 20 | 1), %admin, 'Content-Type' => 'text/plain');
    is "$large->{status} " . header($large, 'Content-Type'), '413 application/problem+json', 'more than 1 MB';
    is post('/submissions', 'x')->{status}, 401, 'of nobody';
    is post('/submissions', 'x', %admin, 'Idempotency-Key' => 'x' x 300)->{status}, 400, 'with a key that is too long';
    is request('PUT', '/submissions', headers => {%admin}, body => 'x')->{status}, 405, 'by another method';
    is sql('SELECT count(*) FROM await.job'), $before, 'nothing is stored';
};

# --- strikes --------------------------------------------------------------------------------------------

# Clients on every transport begin one after the other.
sub begin_clients {
    my ($name) = @_;
    local $ENV{NODE_PATH} = '/usr/share/nodejs';
    my @command = ('node', "$root/t/recipes/judge_clients.js", $s->{port}, $name, $CLIENTS, 600);
    open my $clients, '-|', 'timeout', 40, @command or die $!;
    return $clients;
}

# What all of PostgreSQL's events are in Kafka: topic and job → the sequence numbers.
sub stored {
    my %seqs;
    push @{ $seqs{"judge.$_->[2] $_->[0]"} }, $_->[1] for map { [ split /\|/ ] } split /\n/,
        sql('SELECT job, seq, type FROM await.event UNION ALL SELECT id, 1, \'pending\' FROM await.job ORDER BY 1, 2');
    return { map { $_ => "@{ $seqs{$_} }" } keys %seqs };
}

# The same of messages [topic, key, id of the event], those left out that come again.
sub first_seqs {
    my (%seqs, %seen);
    for (@_) {
        my ($topic, $key, $id) = @$_;
        push @{ $seqs{"$topic $key"} }, $id =~ s/.*://r unless $seen{$id}++;
    }
    return { map { $_ => "@{ $seqs{$_} }" } keys %seqs };
}

# What they were told, when all have their results.
sub end_clients {
    my ($clients) = @_;
    my $said = decode_json(scalar(readline $clients) // '[]');
    close $clients;
    my @ids = map { $_->{id} } @$said;
    is scalar(uniq @ids), $CLIENTS, 'each submission is one job, however often it was repeated';
    is_deeply [ uniq map { "$_->{state}: $_->{result}, $_->{file}" } @$said ], ['completed: 10 of 10, output.txt'],
        'each client has its output file';
    is_deeply [ map { @{ $_->{other} } } @$said ], [], 'none was told anything else';
    for my $how (qw(stream socket)) {
        my @wrong = grep { "@{ $_->{events} }" ne join ' ', 1 .. @{ $_->{events} } } grep { $_->{how} eq $how } @$said;
        is_deeply [ map { "$_->{id}: @{ $_->{events} }" } @wrong ], [], "each $how brought every event once, in order";
    }
    my %said = map { my $what = $_; $what => sum0(map { $_->{$what} } @$said) } qw(posts cuts);
    return \%said;
}

sub leader { return (grep { $s->alive($_->{name}) && $_->text =~ /leading the relays/ } reverse @relay)[0] }

# Each: what it does while clients come and wait, and afterwards. Brokers first: a group of consumers of the mock
# cluster does not survive that.
my @strikes = (
    [ 'all brokers stop' => sub { $kafka->all_down(3) }, sub { $kafka->all_up(3) } ],
    [
        'brokers, an edge, the relay that leads and the workers, all at once' => sub {
            $kafka->all_down(3);
            kill_edge('a');
            leader()->stop('KILL');
            kill_workers();
        },
        sub { restart_edge('a'); $kafka->all_up(3); push @relay, start_relay(); start_consumer() }
    ],
    [ 'an edge is killed' => sub { kill_edge('a') }, sub { restart_edge('a') }, 'connections are lost' ],
    [ 'the other edge is killed' => sub { kill_edge('b') }, sub { restart_edge('b') }, 'connections are lost' ],
    [ 'the relay that leads is killed' => sub { leader()->stop('KILL') }, sub { push @relay, start_relay() } ],
    [ 'both workers are killed' => \&kill_workers, sub { } ],
    [ 'Redis is killed' => sub { $s->end('redis', 'KILL'); sleep 0.3; $s->start_redis }, sub { } ],
);
sub kill_edge {
    my ($name) = @_;
    until_true(
        "clients are held by $name",
        sub {
            my $page = request('GET', '/metrics', port => $nginx{$name}{port})->{body};
            $page =~ /^await_held (\d+)$/m && $1 > 1;
        });
    my $master = $nginx{$name}->pid('nginx');
    kill 'KILL', $master, split ' ', slurp("/proc/$master/task/$master/children");
    $nginx{$name}->end('nginx', 'KILL');
    return;
}
sub restart_edge {
    my ($name) = @_;
    start_edge($name);
    return ok until_true('', sub { (header(get('/submissions', %admin), 'X-Edge') // '') eq $name }),
        "the balancer finds $name again";
}
sub kill_workers {
    $s->end($_, 'KILL') for qw(worker1 psql-worker);
    start_worker('worker1');
    start_psql_worker();
    return;
}

for (@strikes) {
    my ($name, $strike, $after, $loss) = @$_;
    subtest $name => sub {
        my $began = time;
        my $said;
        for my $try (1 .. 3) {    # clients may all be with the other edge
            my $clients = begin_clients($name =~ s/\W+/-/gr . "-$try");
            is readline $clients, "half\n", 'clients come';
            $strike->();
            $said = end_clients($clients);
            $after->();
            last if !$loss || $said->{cuts};
        }
        cmp_ok $said->{cuts}, '>', 0, $loss if $loss;
        note sprintf '%.1f s, %d submissions in %d requests, %d connections lost', time - $began, $CLIENTS,
            @$said{qw(posts cuts)};
    };
}

subtest 'what a consumer of Kafka has' => sub {
    my $stored = stored();
    eventually 'both sinks have everything', sub {
        sql(q{SELECT coalesce(string_agg(DISTINCT behind::text, ','), '') FROM await.relay_status()}) eq '0';
    };
    my @messages = map { [ $_->{topic}, $_->{key}, $_->{headers}{'event-id'} ] } map { $kafka->messages($_) } @topics;
    my $distinct = uniq(map { $_->[2] } @messages);
    is_deeply first_seqs(@messages), $stored, 'each event is there, those of a job in their order';
    eventually 'the other consumer has read as much', sub {
        uniq(map { $_->{id} // () } consumed()) == $distinct;
    };
    is_deeply first_seqs(map { [ @$_{qw(topic key id)} ] } grep { $_->{id} } consumed()), $stored,
        'a consumer that is not of librdkafka has the same';
    note scalar(@messages), " messages of $distinct events";
};
$s->end('consumer', 'KILL');
$kafka->stop;
finish();
