# Tickets: signed, used once on any node, bound to owner and channels, never in a log; and await.revoke(), which ends
# what is live.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use JSON::PP;
use MIME::Base64 qw(decode_base64url encode_base64url);
use Test::More;
use Time::HiRes qw(sleep time);

my $dir = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $dir;
Await::Stack::write_file("$dir/users", "ann:{PLAIN}pass\n", 0644);
my $logs = 'log_format safe "$await_safe_request|$await_safe_request_uri|$request|$await_user|$status"; '
    . 'access_log logs/safe.log safe; error_log logs/error.log info; ';
my $s = start_stack(workers => 2, http => $logs, extra => <<"CONF");
    location = /ticket { await_owner \$arg_u; await_ticket topic:news user:\$arg_u; }
    location = /short { await_owner \$arg_u; await_ticket topic:news ttl=1s; }
    location = /job { await_owner \$arg_u; await_ticket job:\$arg_id; }
    location = /any { await_owner \$arg_u; await_allow topic:scores.*; await_ticket; }
    location = /jobs/of { await_owner \$arg_u; await_submit work; }
    location ~ ^/held/(?<id>[^/]+)\$ { await_owner \$arg_u; await_job \$id; await_events job:\$id; }
    location /in/ {
        await_auth_ticket on; await_owner \$await_user;
        location = /in/news { await_events topic:news; await_socket topic:news; }
        location = /in/mine { await_events user:\$await_user; await_socket; await_allow topic:news topic:other; }
        location = /in/other { await_events topic:other; }
        location = /in/submit { await_submit work; }
        location = /in/publish { await_publish news; }
        location = /in/ticket { await_ticket user:\$await_user; }
        location ~ ^/in/jobs/(?<id>[^/]+)\$ { await_job \$id; }
    }
    location = /either { satisfy any; auth_basic here; auth_basic_user_file $dir/users; await_auth_ticket on;
        await_events topic:news default=json; }
    location = /live { await_owner \$arg_u; await_events user:\$arg_u; await_socket user:\$arg_u; }
    location = /livepage { await_owner \$arg_u; await_events user:\$arg_u default=json; }
    location = /up { await_auth_ticket on; rewrite ^ /echo break; proxy_pass http://127.0.0.1:\$server_port; }
    location = /echo { return 200 "\$request_uri|\$http_referer"; }
    location = /metrics { await_metrics; }
CONF

sub stream {
    my ($path, %headers) = @_;
    return begin_request('GET', $path, headers => { Accept => 'text/event-stream', %headers });
}
sub ticket { my ($u, $body, $path) = @_; return json(post(($path // '/ticket?') . "u=$u", $body // ''))->{ticket} }
sub new_workers {
    my @old = worker_pids();
    kill 'HUP', $s->pid('nginx');
    until_true('only new nginx workers', sub { workers_are_new(@old) });
}
sub open_socket { my ($path, %o) = @_; return Await::WebSocket->new($s->{port}, $path, %o) }

subtest 'the database is slow to say what it is' => sub {
    my $hello = sql(q{SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'edge_hello'});
    sql($hello =~ s/\nBEGIN\n\K/PERFORM pg_sleep(1);/r);
    new_workers();
    my $began = time;
    my @given = map { begin_request('POST', '/ticket?u=ann', body => '') } 1 .. 10;
    my @refused = map { begin_request('GET', '/in/news?ticket=x') } 1 .. 10;
    is_deeply [ map { $_->response->{status} } @given, @refused ], [ (200) x 10, (401) x 10 ],
        'all are answered, by what they are';
    cmp_ok time - $began, '>', 0.5, 'they have waited';
    sql($hello);
    new_workers();
    is open_socket('/in/news?ticket=' . ticket('ann'))->{status}, 101, 'then a ticket opens a socket';
};

subtest 'given, used once' => sub {
    my $r = post('/ticket?u=ann', '');
    is $r->{status}, 200, 'a ticket is given';
    is header($r, 'Cache-Control'), 'no-store', 'the answer is not stored';
    is json($r)->{expires_in}, 30, 'it says how long it counts';
    my $ticket = json($r)->{ticket};
    my $ws = open_socket("/in/news?ticket=$ticket");
    is $ws->{status}, 101, 'the ticket opens a socket';
    is $ws->message->{channel}, 'topic:news', 'which is subscribed';
    $r = get("/in/news?ticket=$ticket");
    is $r->{status}, 401, 'once';
    is header($r, 'WWW-Authenticate'), 'Ticket realm="await", error="invalid_ticket"',
        'WWW-Authenticate says invalid_ticket';
    $r = get('/in/news');
    is $r->{status}, 401, 'none';
    is header($r, 'WWW-Authenticate'), 'Ticket realm="await"', 'WWW-Authenticate names the realm alone';
    my $stream = stream('/in/news?ticket=' . ticket('ann'));
    ok $stream->wait_event('ready'), 'for a stream as well';
    my $mine = stream('/in/mine?ticket=' . ticket('ann'));
    ok $mine->wait_event('ready'), '$await_user is its owner';
    my $id = one_job('/jobs/of?u=ann');
    ok $mine->read_until(sub { $_[0] =~ /$id/ }), 'and its stream has the owner\'s jobs';
};

subtest 'fifty at once, on two nginx workers: one gets in' => sub {
    for my $round (1 .. 5) {
        my $ticket = ticket('ann');
        my @all = map { begin_request('GET', "/in/news?ticket=$ticket", headers => { Accept => 'application/json' }) }
            1 .. 50;
        my %n;
        $n{ $_->response->{status} }++ for @all;
        is_deeply \%n, { 200 => 1, 401 => 49 }, "round $round: one gets in";
    }
    is sql('SELECT count(*) FROM await.ticket_used') >= 7, 1, 'the used tickets are written down';
};

subtest 'bound to its channels and owner' => sub {
    is json(post('/ticket?u=ann', '{"channels":["topic:other"]}'))->{detail},
        'This resource does not issue tickets for one of these channels.',
        'a channel that the location does not have is refused, by name';
    is post('/ticket?u=ann', '{"channels":["user:bob"]}')->{status}, 403, 'another user\'s channel is refused';
    is post('/ticket?u=', '')->{status}, 403, 'nobody';
    is get('/in/other?ticket=' . ticket('ann'))->{status}, 404, 'not what it is for';
    is get('/in/mine?ticket=' . ticket('ann', '{"channels":["topic:news"]}'))->{status}, 404, 'only what was asked for';
    my $ws = open_socket('/in/mine?ticket=' . ticket('ann', '{"channels":["user:ann"]}'));
    $ws->say({ op => 'subscribe', channel => 'topic:news' });
    is_deeply [ @{ $ws->message }{qw(op status)} ], [ 'error', 404 ], 'nor by a socket\'s name';
    $ws->say({ op => 'subscribe', channel => 'user:ann' });
    is $ws->message->{op}, 'subscribed', 'its own channel is subscribed';
    my $mine = one_job('/jobs/of?u=ann');
    my $his = one_job('/jobs/of?u=bob');
    is get("/in/jobs/$his?ticket=" . ticket('ann'))->{status}, 404, 'another\'s job';
    is get("/in/jobs/$mine?ticket=" . ticket('ann'))->{status}, 404, 'one\'s own, which the ticket is not for';
    is get("/in/jobs/$mine?ticket=" . ticket('ann', '', "/job?id=$mine&"))->{status}, 200, 'one that it is for';
    is request($_->[0], "$_->[1]?ticket=" . ticket('ann', $_->[2]), body => '')->{status}, 403,
        "$_->[0] $_->[1] with a ticket"
        for [ POST => '/in/submit' ], [ POST => '/in/ticket', '{"channels":["user:ann"]}' ],
        [ DELETE => "/in/jobs/$mine" ], [ POST => '/in/publish' ];
    is sql("SELECT count(*) FROM await.event WHERE job = '$mine'"), 0, 'nothing was cancelled';
    is post('/any?u=ann', '{"channels":["topic:scores.x","user:ann"]}')->{status}, 200,
        'what await_allow lets one name';
    is post('/any?u=ann', '{"channels":["topic:secret"]}')->{status}, 403, 'what await_allow does not name is refused';
    is post('/any?u=ann', '')->{status}, 403, 'a ticket for nothing';
};

subtest 'bad ones' => sub {
    my $good = ticket('ann');
    my ($body, $mac) = split /\./, $good;
    my $other = decode_base64url($body) =~ s/"ann"/"bob"/r;
    my %bad = (
        'garbled' => 'AAAA',
        'unsigned' => $body,
        'an empty signature' => "$body.",
        'cut' => substr($good, 0, -2),
        'another body' => encode_base64url($other) . ".$mac",
        'long' => 'a' x 3000 . '.' . $mac,
        'another signature' => "$body." . ('A' x 43),
        'a dot' => '.',
        'two' => "$good.$mac"
    );
    is get("/in/news?ticket=$bad{$_}")->{status}, 401, $_ for sort keys %bad;
    is stream("/in/news?ticket=$good")->wait_event('ready')->{event}, 'ready', 'none of which has used it';
    my $short = ticket('ann', '', '/short?');
    my $until = time + 1.2;
    ok $short, 'a ticket that counts for a second is given';
    until_true('its second is over', sub { time > $until });
    is get("/in/news?ticket=$short")->{status}, 401, 'too late';
    is post('/ticket?u=ann', $_)->{status}, 400, $_
        for '{', '[]', '"x"', '{"channels":"topic:news"}', '{"channels":[1]}', '{"channels":[]}';
    is post('/ticket?u=ann', '{"channels":["' . 'x' x 20000 . '"]}')->{status}, 413, 'a body too long is refused';
    is get('/ticket?u=ann')->{status}, 405, 'GET is not allowed';
    is post('/ticket?u=ann', '', Origin => 'https://evil.example')->{status}, 403, 'a page from elsewhere';
};

subtest 'beside nginx\'s own rules' => sub {
    is get('/either')->{status}, 401, 'satisfy any: neither is refused';
    is get('/either', Authorization => 'Basic ' . MIME::Base64::encode_base64('ann:pass', ''))->{status}, 200,
        'satisfy any: basic';
    is get('/either?ticket=' . ticket('ann'))->{status}, 200, 'satisfy any: the ticket';
    is get('/either?ticket=x')->{status}, 401, 'satisfy any: a bad ticket is refused';
};

subtest 'in no log, and not upstream' => sub {
    my $ticket = ticket('ann');
    my $up = get("/up?a=1&ticket=$ticket&b=2");
    is $up->{status}, 200, 'the request reaches the upstream';
    unlike $up->{body}, qr/\Q$ticket/, 'the ticket does not';
    get("/echo?ticket=$ticket&x=1&token=secret");      # where nothing reads it, $await_safe_request helps
    until_true('logged', sub { slurp("$s->{dir}/logs/safe.log") =~ /x=1/ });
    my $log = slurp("$s->{dir}/logs/safe.log");
    my ($line) = grep { m{^GET /up} } split /\n/, $log;
    unlike $line, qr/\Q$ticket/, 'blanked once read';
    like $line, qr/\|ann\|200$/, 'the log has the user';
    ($line) = grep { /x=1/ } split /\n/, $log;
    like $line, qr{^GET /echo\?ticket=\*+&x=1&token=\*+ HTTP/1.1\|/echo\?ticket=\*+&x=1&token=\*+\|},
        '$await_safe_request, $await_safe_request_uri';
    unlike error_log(), qr/\Q$ticket/, 'the error log has no ticket';
};

subtest 'PostgreSQL away: 503, and not let in' => sub {
    my $ticket = ticket('ann');
    $s->end('postgres', 'INT', 20);
    is get("/in/news?ticket=$ticket")->{status}, 503, 'while it is away: 503';
    $s->start_postgres;
    eventually('tickets count again', sub { get('/in/news?ticket=' . ticket('ann'))->{status} == 200 });
};

subtest 'await.revoke() ends what is live, in a moment, and nothing of others' => sub {
    my $id = one_job('/jobs/of?u=eve');
    my $open = sub {
        my ($u) = @_;
        return {
            stream => stream("/live?u=$u"), socket => open_socket("/live?u=$u"),
            held => begin_request('GET', "/livepage?u=$u&wait=20"),
            job => begin_request('GET', "/held/$id?u=$u", headers => { Prefer => 'wait=20' }) };
    };
    my $others = metric('await_held');
    my ($eve, $fay) = ($open->('eve'), $open->('fay'));
    for ($eve, $fay) { $_->{stream}->wait_event('ready'); $_->{socket}->message }
    until_true('a stream, a page and a poll of each are held', sub { metric('await_held') >= $others + 6 });
    my $ticket = ticket('eve');
    my ($channel, $message) = split /\|/, sql("SELECT channel, message FROM await.revoke('eve')");
    my $began = time;
    $s->redis_command('PUBLISH', $channel, $message);
    ok $eve->{stream}->read_until(sub { $eve->{stream}{eof} || $_[0] =~ /\r\n0\r\n\r\n$/ }), 'a stream ends';
    is $eve->{socket}->closed, 4401, 'a socket is closed';
    is $eve->{held}->response->{status}, 403, 'a held page is refused';
    is $eve->{job}->response->{status}, 403, 'a held poll too';
    cmp_ok time - $began, '<', 15, 'before their wait is over (20 s), and await_reread (30 s)';
    ok $fay->{stream}->quiet(0.2) && $fay->{socket}->quiet(0.1), 'others stay';
    is get("/in/mine?ticket=$ticket")->{status}, 401, 'a ticket of before is worth nothing';
    ok stream('/in/mine?ticket=' . ticket('eve'))->wait_event('ready'), 'a new one is';
    my $again = stream('/live?u=eve');
    $again->wait_event('ready');
    $s->redis_command('PUBLISH', $channel, $message);
    ok $again->quiet(0.5), 'it counts once';
    like get('/metrics')->{body}, qr/^await_revoked_total 4$/m, 'the second hint cuts nobody: four in all';
};
finish();
