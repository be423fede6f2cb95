# conf/recipes/leaderboard.conf: scores posted by everybody reach everybody, over ws:// and wss://, by ticket, header or
# query; the page in a real browser.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Browser;
use Await::Test;
use Await::WebSocket;
use Digest::SHA qw(hmac_sha256);
use JSON::PP;
use MIME::Base64 qw(decode_base64url encode_base64 encode_base64url);
use Test::More;
use Time::HiRes qw(sleep time);

my $root = $Await::Stack::ROOT;
my $site = slurp("$root/conf/recipes/leaderboard.conf");
my $files = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $files;
system('sh', '-c', "cd $files && $root/conf/recipes/prepare") == 0 or die;
my $tls = Await::Stack::free_port();
my $s = start_stack(
    site => "await_reread 1h;\n" . $site =~ s/\b(users\.htpasswd|cert\.pem|key\.pem|jwks\.json)\b/$files\/$1/gr =~
        s/\$\{TLS_PORT\}/$tls/gr);
{
    local $ENV{PGPASSWORD} = $s->password('await');
    system('psql', '-Xq', '-d', $s->place('await'), '-f', "$root/conf/recipes/leaderboard.sql") == 0 or die
}
for my $line ($site =~ /^# await-worker (.+)$/mg) {
    $line =~ s/\$\{ROOT\}/$root/;
    $s->start_worker('worker1', split ' ', $line);
}
my %basic = (Authorization => 'Basic ' . encode_base64('admin:admin', ''));
my $key = decode_base64url(json({ body => slurp("$files/jwks.json") })->{keys}[0]{k});
sub token {
    my (%claims) = @_;
    my $data =
        encode_base64url('{"alg":"HS256","kid":"demo"}') . '.'
        . encode_base64url(
        encode_json({ sub => 'ann', iss => 'https://login.example', aud => 'game', exp => int(time) + 60, %claims }));
    return "$data." . encode_base64url(hmac_sha256($data, $key));
}
sub socket_at { return Await::WebSocket->new($s->{port}, @_) }
sub post_score {
    my ($player, $score) = @_;
    return post(
        '/scores', encode_json({ player => $player, score => $score }),
        'Content-Type' => 'application/json',
        %basic
    );
}
sub curl { my ($arguments) = @_; return scalar `curl -sk $arguments` }
sub ticket { return json({ body => curl("-u admin:admin -X POST https://127.0.0.1:$tls/ws/ticket") })->{ticket} }
sub top { my ($message) = @_; return join ' ', map { "$_->{player}:$_->{score}" } @{ $message->{data}{top} } }

subtest 'everybody hears, however they came in' => sub {
    my $token = token();
    my %sockets = (
        'by a token in the query' =>
            Await::WebSocket->new($s->{port}, "/ws/leaderboard?token=$token", protocols => undef),
        'by a header' => Await::WebSocket->new(
            $s->{port}, '/ws/leaderboard',
            protocols => undef,
            headers => { Authorization => "Bearer $token" }
        ),
        'by a ticket' => Await::WebSocket->new($s->{port}, '/ws/leaderboard?ticket=' . ticket(), protocols => undef),
    );
    is $sockets{$_}{status}, 101, $_ for sort keys %sockets;
    my $stream = begin_request('GET', "/ws/leaderboard?token=$token", headers => { Accept => 'text/event-stream' });
    $stream->wait_event('ready');
    my $posted = post_score('ann', 120);
    is $posted->{status}, 202, 'a score is accepted';
    is top($sockets{$_}->message), 'ann:120', $_ for sort keys %sockets;
    ok $stream->wait_event('score'), 'a stream too';
    post_score('bob', 300);
    is top($sockets{'by a header'}->message), 'bob:300 ann:120', 'the better player leads';
    post_score('ann', 90);
    is top($sockets{'by a header'}->message), 'bob:300 ann:120', 'the best counts';
    my $late = Await::WebSocket->new($s->{port}, "/ws/leaderboard?token=$token", protocols => undef);
    is top($late->message), 'bob:300 ann:120', 'who comes later gets the latest first';
    my $bad = post_score('', 1);
    is json(get(header($bad, 'Location'), %basic, Prefer => 'wait=10'))->{error}{detail},
        'A score is {"player": a name, "score": a whole number}.', 'a bad score fails with the worker\'s words';
};

subtest 'who may not' => sub {
    is socket_at('/ws/leaderboard', protocols => undef)->{status}, 401, 'a socket without a token is refused';
    is socket_at('/ws/leaderboard?token=' . token(@$_), protocols => undef)->{status}, 401, "$_->[0]"
        for [ exp => 1 ], [ iss => 'x' ], [ aud => 'y' ];
    my $ticket = ticket();
    is socket_at("/ws/leaderboard?ticket=$ticket", protocols => undef)->{status}, 101, 'a ticket opens a socket';
    is socket_at("/ws/leaderboard?ticket=$ticket", protocols => undef)->{status}, 401, 'a ticket counts once';
    is post('/ws/ticket', '', %basic)->{status}, 403, 'tickets over TLS only';
    is post('/ws/ticket', '')->{status}, 403, 'without a password there is no ticket';
    is socket_at(
        '/ws/leaderboard?token=' . token(),
        protocols => undef,
        headers => { Origin => 'https://evil.example' })->{status}, 403, 'a socket from another origin is refused';
    is post('/scores', '{}')->{status}, 401, 'a score without a password is refused';
    until_true('logged', sub { slurp("$s->{dir}/logs/access.log") =~ /evil|ticket=/ });
    unlike slurp("$s->{dir}/logs/access.log"), qr/(ticket|token)=[^* ]/, 'no ticket and no token in the log';
};

subtest 'what became of a score' => sub {
    my $posted = json(post('/scores', '{"player":"kim","score":"many"}', %basic, 'Content-Type' => 'application/json'));
    my $r = get("$posted->{links}{self}?wait=20", %basic);
    is json($r)->{error}{detail}, 'A score is {"player": a name, "score": a whole number}.', 'its job says so';
    is get($posted->{links}{result}, %basic)->{status}, 424, 'the link to the result is one';
    is get('/scores', %basic)->{status}, 200, 'one\'s own are listed';
};

subtest 'published from inside' => sub {
    my $ws = Await::WebSocket->new($s->{port}, '/ws/leaderboard?token=' . token(), protocols => undef);
    $ws->message;
    is post('/internal/scores', '{"top":[{"player":"house","score":1}]}')->{status}, 200, 'the board is published';
    is top($ws->message), 'house:1', 'the socket gets it';
};

subtest 'the page over wss, in a browser' => sub {
    my $browser = Await::Browser->new($s);
    $browser->visit("https://127.0.0.1:$tls/");
    eventually('the page says live',
        sub { $browser->script('return document.querySelector("#connection").textContent') =~ /^live/ });
    $browser->script(
        'document.querySelector("[name=player]").value = "eve"; document.querySelector("[name=score]").value = 999; '
        . 'document.querySelector("#post button").click()'
    );
    eventually('the page\'s own score is on its board',
        sub { ($browser->script('return document.querySelector("#board li")?.textContent') // '') eq 'eve999' });
    post_score('zed', 1500);
    eventually('somebody else\'s score is on its board',
        sub { ($browser->script('return document.querySelector("#board li")?.textContent') // '') eq 'zed1500' });
    is_deeply $browser->barriers($Await::Stack::ROOT), [], 'the page passes axe-core';
    $browser->quit;
};
finish();
