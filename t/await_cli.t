# The command `await`: every verb over HTTP and in the database, exit codes, JSON; servers that are away, refuse, are
# restarted or lie.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use IO::Socket::INET;
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(reread => '1s', site => <<'CONF');
await_reread ${REREAD};
server {
    listen 127.0.0.1:${PORT};
    location /jobs { await work all; }
    location /mine { await work; await_owner $http_x_owner; }
    location /refused { return 401; }
    location /token { if ($http_authorization != "Bearer s3cret") { return 403; } await work; }
    location /busy { return 503; }
    location /page { return 200 "<html>\n"; }
}
CONF
my $program = ($ENV{AWAIT_BUILD} // "$Await::Stack::ROOT/build") . '/await';
my $login = $s->place('ann');
sql(      "CREATE ROLE ann LOGIN PASSWORD '"
        . $s->password('ann')
        . "' IN ROLE await_console, await_worker, await_edge; CREATE ROLE bob LOGIN PASSWORD '"
        . $s->password('ann')
        . "'");
my %places = (url => [ '--url', $s->url . '/jobs' ], database => [ '--database', $login ]);

# Starts it; a handle to read what it writes, and its pid. Options: env, input.
sub start {
    my ($arguments, %o) = @_;
    pipe(my $read, my $write) or die "pipe: $!\n";
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        delete @ENV{qw(AWAIT_URL AWAIT_POSTGRES AWAIT_TOKEN)};
        $ENV{PGPASSWORD} = $s->password('ann');
        my %env = %{ $o{env} // {} };
        @ENV{ keys %env } = values %env;
        my $input = "$s->{dir}/input";
        Await::Stack::write_file($input, $o{input} // '');
        open STDIN, '<', $input;
        open STDOUT, '>&', $write;
        open STDERR, '>&', $write;
        exec $program, @$arguments;
        POSIX::_exit(127);
    }
    close $write;
    return ($read, $pid);
}

# Runs it: its exit code (or "signal N"), and what it writes.
sub run {
    my ($arguments, %o) = @_;
    my ($read, $pid) = start($arguments, %o);
    my $out = do { local $/; <$read> }
        // '';
    waitpid $pid, 0;
    Await::Trace::trace('=', "await @$arguments: $? $out");
    return ($? & 127 ? 'signal ' . ($? & 127) : $? >> 8, $out);
}

# An assertion: the exit code, and what it writes. What it writes, without the line break at its end.
sub runs {
    my ($name, $arguments, $status, $says, %o) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($got, $out) = run($arguments, %o);
    is $got, $status, "$name: exit code" or diag $out;
    like $out, $says, "$name: output";
    chomp $out;
    return $out;
}

my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

for my $how (qw(url database)) {
    my @at = @{ $places{$how} };
    my @queue = $how eq 'database' ? qw(--queue work) : ();
    subtest "every verb, by $how" => sub {
        my $id = runs('submit', [ 'submit', @queue, '--type', 'text/plain', @at ], 0, qr/^$uuid\n\z/, input => 'hello');
        is sql("SELECT content_type || convert_from(payload, 'UTF8') FROM await.job WHERE id = '$id'"),
            'text/plainhello', 'the job has its type and payload';
        runs('result', [ 'result', $id, @at ], 5, qr/\Qjob $id is pending\E/);
        claim($id);
        sql("SELECT await.heartbeat('$id', test.receipt('$id'), '{\"done\": 1, \"total\": 4}')");
        complete($id, 'RESULT');
        runs('result', [ 'result', $id, @at ], 0, qr/\ARESULT\z/);
        runs('watch', [ 'watch', $id, @at ],
            0, qr/pending.*processing.*progress.*"total": ?4.*completed +text\/plain, 6/s);
        my $events = runs('watch --json', [ 'watch', $id, '--json', @at ], 0, qr/./);
        is_deeply [ map { "$_->{seq} $_->{type}" } map { decode_json($_) } split /\n/, $events ],
            [ '1 pending', '2 processing', '3 progress', '4 completed' ], 'watch --json: each event, once, in order';
        my $new = runs('retry', [ 'retry', $id, @at ], 0, qr/^$uuid\n\z/);
        isnt $new, $id, 'retry: another job';
        my $list = runs('list', [ 'list', @at ], 0, qr/^\Q$new\E  pending .*Z  work\n\Q$id\E  completed /);
        runs('list of a state', [ 'list', '--state', 'completed', '--limit', '1', @at ], 0, qr/\A\Q$id\E.*\n\z/);
        my @jobs = map { decode_json($_) } split /\n/, runs('list --json', [ qw(list --json), @at ], 0, qr/./);
        is_deeply [ map { $_->{id} } @jobs ], [ $list =~ /^($uuid)/mg ], 'list --json: the same jobs';
        runs('cancel', [ 'cancel', $new, @at ], 0, qr/\Q$new: cancelled\E/);
        runs('cancel, again', [ qw(cancel --json), $new, @at ], 0, qr/"outcome":"already"/);
        runs('cancel of an ended job', [ 'cancel', $id, @at ], 1, qr/ended/);
        runs('watch of a cancelled job', [ 'watch', $new, @at ], 3, qr/cancelled/);
        runs('result of a cancelled job', [ 'result', $new, @at ], 3, qr/\Q$new is cancelled\E/);
        my $failed = runs('submit with a key', [ 'submit', @queue, '--key', "k-$how", @at ], 0, qr/^$uuid/);
        is runs('the same again', [ 'submit', @queue, '--key', "k-$how", @at ], 0, qr/^$uuid/), $failed,
            'is the same job';
        claim($failed);
        sql("SELECT await.fail('$failed', test.receipt('$failed'), '{\"title\": \"Out of paper\"}', '-1 s')");
        runs('watch of a failed job', [ 'watch', $failed, @at ], 2, qr/failed +Out of paper/);
        runs('result of a failed job', [ 'result', $failed, @at ], 2, qr/is failed: Out of paper/);
        runs('an unknown job', [ $_, '01a21e59-63f9-791a-8a80-86013028aa8d', @at ], 4, qr/no (?:such )?job/)
            for qw(watch result retry cancel);
        my $big = runs('submit of a file', [ 'submit', @queue, "$s->{dir}/site.conf", @at ], 0, qr/^$uuid/);
        claim($big);
        complete($big, "\0\1\2" x 200_000, type => 'application/octet-stream');
        runs('a large result', [ 'result', $big, '-o', "$s->{dir}/result", @at ], 0, qr/\A\z/);
        is slurp("$s->{dir}/result"), "\0\1\2" x 200_000, 'is written to the file';
        runs('a file that cannot be written', [ 'result', $big, '-o', '/none/x', @at ], 1, qr/cannot write \/none/);
    };
}

subtest 'queues are of the database' => sub {
    my @at = @{ $places{database} };
    runs('queues', [ 'queues', @at ], 0, qr/^queue +waiting.*^work +\d+/ms);
    runs('pause', [ 'pause', 'work', @at ], 0, qr/work: paused/);
    my ($queue) = map { decode_json($_) } runs('queues --json', [ qw(queues --json work), @at ], 0, qr/^\{.*\}\n\z/);
    ok $queue->{paused}, 'it is paused';
    runs('resume', [ 'resume', 'work', @at ], 0, qr/work: resumed/);
    runs('resume, again', [ qw(resume work --json), @at ], 0, qr/"changed":false/);
    runs('an unknown queue', [ qw(queues nowhere), @at ], 4, qr/no queue "nowhere"/);
    runs("$_ by URL", [ $_, 'work', @{ $places{url} } ], 64, qr/$_ needs --database/) for qw(queues pause resume);
};

subtest 'wrong arguments' => sub {
    runs('no verb', [], 64, qr/subcommand is required/);
    runs('no address', ['list'], 64, qr/--url or --database is missing/);
    runs('both', [ 'list', @{ $places{url} }, @{ $places{database} } ], 64, qr/either --url or --database/);
    runs("URL $_", [ 'list', '--url', $_ ], 64, qr/--url/) for 'ftp://x/', 'http://', 'http://x/?a=1', "x\e[31m";
    runs('conninfo', [ 'list', '--database', 'nonsense=1 password=TOPSECRET' ], 64, qr/\A(?!.*TOPSECRET)/s);
    runs('no id', [ 'watch', '../../secret', @{ $places{url} } ], 64 - 63, qr/neither the id of a job nor a URL/);
    runs(
        "$_ of a job that is none",
        [ $_, 'x', @{ $places{database} } ],
        64, qr/$_: "x" is not the id of a job, such as/
    ) for qw(watch result retry cancel);
    runs('a foreign URL', [ 'watch', 'http://127.0.0.1:1/x', @{ $places{url} } ], 1, qr/neither the id/);
    runs('no file', [ 'submit', '/none', @{ $places{url} } ], 64, qr/cannot read \/none/);
    runs('no queue', [ 'submit', @{ $places{database} } ], 1, qr/--queue is missing/);
};

subtest 'refusals, and servers that are away' => sub {
    my @soon = qw(--timeout 1s);
    my $url = $s->url;
    runs('401', [ 'list', '--url', "$url/refused" ], 77, qr/HTTP status 401/);
    runs('403', [ 'submit', '--url', "$url/token" ], 77, qr/HTTP status 403/);
    runs('a token', [ 'submit', '--url', "$url/token" ], 0, qr/^$uuid/, env => { AWAIT_TOKEN => 's3cret' });
    runs('a header', [ 'list', '--url', "$url/mine", '--header', 'X-Owner: ann' ], 0, qr/\A\z/);
    runs('no owner', [ 'list', '--url', "$url/mine" ], 77, qr/HTTP status 403, Forbidden/);
    runs('503', [ 'list', '--url', "$url/busy", @soon ], 69, qr/503.*trying again.*503/s);
    runs('no API', [ 'submit', '--url', "$url/page" ], 1, qr/not JSON; is this a location of nginx-await/);
    runs('refused', [ 'list', '--url', 'http://127.0.0.1:1/', @soon ], 69, qr/trying again/);
    runs('no host', [ 'list', '--url', 'http://nowhere.invalid/', @soon ], 69, qr/nowhere\.invalid/);
    runs('no database', [ 'list', '--database', 'host=127.0.0.1 port=1', @soon ], 69, qr/PostgreSQL: .*refused/);
    runs(
        'a wrong password',
        [ 'list', '--database', $login ],
        77,
        qr/authentication failed/,
        env => { PGPASSWORD => 'x' });
    runs('no rights', [ 'pause', 'work', '--database', $s->place('bob') ], 77, qr/permission denied.*await_console/);
    my $id = one_job();
    my $began = time;
    runs("watch, not in time, by $_", [ 'watch', $id, @soon, @{ $places{$_} } ], 5, qr/not ended in time/)
        for sort keys %places;
    runs('wait, not in time', [ qw(result --wait), $id, @soon, @{ $places{url} } ], 5, qr/time/);
    cmp_ok time - $began, '<', 120, 'in about the time that was given';
};

subtest 'waiting, and ^C' => sub {
    for my $how (sort keys %places) {
        my @queue = $how eq 'database' ? qw(--queue work) : ();
        my ($read, $pid) =
            start([ qw(submit --wait --type text/plain), @queue, @{ $places{$how} } ], input => "wait $how");
        my ($id) = <$read> =~ /submitted ($uuid)/;
        ok $id, "$how: it says the id at once" or next;
        claim($id);
        complete($id, 'done', hint => 1);
        is do { local $/; <$read> }, 'done', "$how: the result, when it is there";
        waitpid $pid, 0;
        is $?, 0, "$how: exit code";
        my $job = one_job();
        ($read, $pid) = start([ 'watch', $job, @{ $places{$how} } ]);
        like scalar(<$read>), qr/pending/, "$how: watch has begun";
        kill 'INT', $pid;
        waitpid $pid, 0;
        is $? & 127, 2, "$how: ^C ends it by the signal";
        is sql("SELECT count(*) FROM await.event WHERE job = '$job' AND state = 'cancelled'"), 0,
            "$how: the job goes on";
    }
};

subtest 'watch goes on over a restart' => sub {
    for my $how (sort keys %places) {
        my $id = one_job();
        my ($read, $pid) = start([ qw(watch --json), $id, @{ $places{$how} } ]);
        my $out = <$read>;
        claim($id);
        $out .= <$read>;
        $s->end('nginx', 'TERM') if $how eq 'url';
        $s->end('postgres', 'INT') if $how eq 'database';
        $out .= <$read>;
        like $out, qr/trying again/, "$how: it says that the connection is lost";
        if ($how eq 'url') {
            $s->spawn('nginx',
                [ $s->{nginx}, '-p', $s->{dir}, '-c', "$s->{dir}/nginx.conf", '-e', "$s->{dir}/logs/error.log" ]);
        }
        else { $s->start_postgres }
        complete($id, 'done');
        $out .= do { local $/; <$read> };
        waitpid $pid, 0;
        is $? >> 8, 0, "$how: exit code" or diag $out;
        is_deeply [ map { decode_json($_)->{seq} } grep { /^\{/ } split /\n/, $out ], [ 1, 2, 3 ],
            "$how: each event once";
    }
};

subtest 'at a terminal' => sub {
    my $id = one_job();
    claim($id);
    my $progress = '{"done": 1, "total": 2, "message": "\u001b[2Jhalf"}';
    sql("SELECT await.heartbeat('$id', test.receipt('$id'), '$progress')");
    complete($id, "red \e[31m and \x9b2J\n", type => 'text/plain');
    local $ENV{AWAIT_URL} = $s->url . '/jobs';
    my $out = `script -qec '$program watch $id' /dev/null`;
    like $out, qr/\rprocessing  \[#{10}-{10}\]  50%   \[2Jhalf\e\[K/, 'one line with a bar';
    like $out, qr/completed  \[#{20}\] 100% .*\r?\n\z/, 'and its end';
    $out =~ s/\e\[K//g;
    unlike $out, qr/\e|\x9b/, 'nothing of others controls the terminal';
    $out = `script -qec '$program result $id' /dev/null`;
    unlike $out, qr/\e|\x9b/, 'nor does a result';
    like $out, qr/red .*\[31m and/, 'which is shown';
    my ($status, $raw) = run([ 'result', $id, @{ $places{url} } ]);
    is $raw, "red \e[31m and \x9b2J\n", 'elsewhere it is what it is';
};

# A server that answers each request with the next of these; the requests that came.
sub lying {
    my ($arguments, $status, $name, @answers) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5, ReuseAddr => 1) or die "listen: $!";
    my $url = 'http://127.0.0.1:' . $server->sockport;
    my ($read, $pid) =
        start([ @$arguments, '--url', "$url/jobs", '--timeout', '5s' ], env => { AWAIT_TOKEN => 's3cret' });
    my $requests = '';
    for my $answer (@answers) {
        my $client = $server->accept or last;
        my $request = '';
        sysread $client, $request, 65536, length $request until $request =~ /\r\n\r\n/;
        $requests .= $request;
        my ($type, $body) = ref $answer ? @$answer : ('application/json', $answer);
        my $text = "HTTP/1.1 200 OK\r\nContent-Type: $type\r\nConnection: close\r\n\r\n$body";
        syswrite $client, $text;
        close $client;
    }
    close $server;
    my $out = do { local $/; <$read> }
        // '';
    waitpid $pid, 0;
    is $? >> 8, $status, "$name: exit code" or diag $out;
    unlike $out, qr/[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae/, "$name: no control character";
    return ($out, $requests);
}

subtest 'servers that lie' => sub {
    my $id = '01a21e59-63f9-791a-8a80-86013028aa8d';
    my $evil = '\u001b]0;owned\u0007\u009b2J\u202e';
    lying(['submit'], 0, 'an id with escapes', qq({"id":"x$evil"}));
    lying([qw(submit --json)], 0, 'JSON with raw C1 and direction', qq({"id":"x","a":"\xc2\x9b2J\xe2\x80\xae\x7f"}));
    lying(['list'], 0, 'a list with escapes',
        qq({"jobs":[{"id":"$evil","state":"$evil","queue":"$evil"}],"next":null}));
    lying(['submit'], 1, 'no JSON', "{\"id\":\e[2J}");
    lying(['submit'], 1, 'no id', '{"hello":"world"}');
    lying(['submit'], 1, 'a large answer', '{"id":"' . 'x' x (17 << 20) . '"}');
    my $document = qq({"id":"$id","state":"pending","links":{}});
    my $event = qq({"job":"$evil","type":"note","at":"$evil","data":"$evil"});
    my $end = qq({"job":"$id","type":"failed","at":"now","data":{"title":"$evil"}});
    lying(
        [ 'watch', $id ],
        2, 'events with escapes',
        $document, [ 'text/event-stream', "data: $event\n\nid: 2\nevent: failed\ndata: $end\n\n" ]);
    lying(
        [ qw(watch --json), $id ],
        2, 'the same as JSON',
        $document, [ 'text/event-stream', "\r\nretry: x\r\ndata: $event\r\n\r\ndata: $end\r\n\r\n" ]);
    lying(
        [ 'watch', $id ],
        1, 'an event without an end',
        $document, [ 'text/event-stream', 'data: ' . 'x' x (2 << 20) ]);
    lying([ 'watch', $id ], 1, 'an event that is no JSON', $document, [ 'text/event-stream', "data: \e[2J\n\n" ]);
    lying([ 'watch', $id ], 1, 'no event stream', $document, [ 'text/html', '<html>' ]);
    my ($out) = lying(
        [ 'watch', $id ],
        77,
        'a link to elsewhere',
        qq({"id":"$id","state":"pending","links":{"events":"http://evil.invalid/$evil"}})
    );
    like $out, qr/another origin, which is not followed/, 'is not followed';
    ($out) = lying(
        [ 'result', $id ],
        77,
        'the same without a scheme',
        qq({"id":"$id","state":"completed","links":{"result":"//evil.invalid/x"}})
    );
    my (undef, $requests) = lying(
        [ 'watch', $id ],
        2, 'a cut stream', $document,
        [ 'text/event-stream', "id: c1\ndata: $event\n\n" ],
        [ 'text/event-stream', "data: $end\n\n" ]);
    like $requests, qr/Last-Event-ID: c1/i, 'it goes on where it was';
};

subtest 'bash completes' => sub {
    my $complete = sub {
        my @words = @_;
        my $file = "$s->{dir}/complete";
        Await::Stack::write_file($file,
                  ". $Await::Stack::ROOT/tools/completion/await\nCOMP_WORDS=($program @words)\n"
                . 'COMP_CWORD='
                . @words
                . "\n_await\nprintf '%s\\n' \"\${COMPREPLY[\@]}\"\n");
        local @ENV{qw(AWAIT_POSTGRES PGPASSWORD)} = ($login, $s->password('ann'));
        return join ' ', split /\n/, `bash $file`;
    };
    is $complete->('pa'), 'pause', 'verbs';
    is $complete->('list', '--st'), '--state', 'options of a verb';
    is $complete->('list', '--state', 'c'), 'completed cancelled', 'states';
    is $complete->('pause', 'wo'), 'work', 'queues of the database';
    my (undef, $help) = run(['--help']);
    my @verbs = $help =~ /^  ([a-z]+) {3,}/mg;
    is join(' ', sort split / /, $complete->("''")), join(' ', sort @verbs), 'all verbs';
};

finish();
