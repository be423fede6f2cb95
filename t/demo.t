# The demo, as make run starts it: all tabs with one start, by curl and in a real browser; dropped photos on one
# WebSocket; what each tab is for; a content security policy that nothing breaks.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Browser;
use Await::Test;
use Await::Template;    # after it
use File::Path qw(make_path);
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'the launcher is not built with sanitizers' if $ENV{AWAIT_ASAN};
my $root = $Await::Stack::ROOT;
my $site = slurp("$root/conf/demo.conf");
my $s = start_stack(without => [qw(postgres redis nginx)]);

# Six ports beside each other.
sub is_free { return IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_[0], Listen => 1) }
sub six_ports {
    for (1 .. 100) {
        my $port = Await::Stack::free_port();
        return $port unless grep { !Await::Ports::reserve($_) || !is_free($_) } $port + 1 .. $port + 5;
    }
    die "there are no six ports beside each other\n";
}

# The launcher's directory, with a database that has the schema.
make_path("$s->{dir}/run");
my $demo = Await::Stack->new(dir => "$s->{dir}/run", fsync => 0);
Await::Template::give($demo);
$s->{port} = six_ports();
@ENV{qw(RUN_DIR PORT TLS_PORT)} = ($demo->{dir}, $s->{port}, Await::Stack::free_port());
delete $ENV{CONF};
my $url = $s->url;

subtest 'one start' => sub {
    my $out = `$root/tools/await-stack up 2>&1`;
    is $?, 0, 'it starts' or diag $out;
    $demo = Await::Stack->new(dir => $demo->{dir}, fsync => 0);    # with the ports that the launcher has chosen
    like $out, qr{ready: \Q$url\E}, 'and says where it is';
    my $programs = () = $site =~ /^# (?:await-worker|await-relay|program) /mg;
    is scalar(keys %{ $demo->running }), 3 + $programs, 'with all programs that its configuration names';
    is $demo->sql('SELECT string_agg(sink, \' \' ORDER BY sink) FROM await.relay_status()'), 'redis webhooks',
        'and with sinks that get what comes from now on';
};

my $photos = File::Temp::tempdir(CLEANUP => 1);
system(
    "convert -size 1200x900 plasma:fractal $photos/a.jpg && convert -size 640x480 gradient:red-blue $photos/b.png && "
    . "echo no picture > $photos/c.jpg"
) == 0 or die 'ImageMagick';

subtest 'with curl' => sub {
    my $upload = "-F image=\@$photos/a.jpg -H 'Prefer: wait=20' $url/jobs";
    is scalar(`curl -s -o $photos/thumb.jpg -w '%{http_code} %{content_type}' $upload`), '200 image/jpeg',
        'an upload is answered with a JPEG';
    is scalar(`identify -format '%m %wx%h' $photos/thumb.jpg`), 'JPEG 320x240', 'a thumbnail';
    my $failed = json({ body => scalar `curl -s -F image=\@$photos/c.jpg -H 'Prefer: wait=20' $url/jobs` });
    is $failed->{detail}, 'This is no picture that we know.',
        'a file that is no picture fails with the worker\'s words';
    is scalar(`curl -s -H 'Prefer: wait=20' -d months=1 $url/reports`), "month,sales\n1,819\n",
        'the old back end answers through a job';
    is scalar(`curl -s -o /dev/null -w '%{http_code}' -H 'Prefer: wait=20' -d months=x $url/reports`), 422,
        'and refuses as it always has';
    my $judged = `curl -s -u admin:admin -d '2 3' $url/judge/submissions`;
    is get(json({ body => $judged })->{links}{self})->{status}, 401, 'a submission is its owner\'s';
    like scalar(`curl -s -o /dev/null -w '%{http_code}' -u admin:wrong $url/judge/submissions`), qr/^401/,
        'a wrong password is refused';
    is post('/upload', 'x')->{status}, 401, 'an upload needs a password';
    my $receiver = $s->{port} + 4;
    is request('POST', '/hook', body => '{"type":"forged"}', port => $receiver)->{status}, 401,
        'the receiver refuses what is not signed';
    is request('GET', '/hook', port => $receiver)->{status}, 405, 'and what is no webhook';
    is request('POST', '/hook', port => $receiver, headers => { 'Content-Length' => 2 << 20 })->{status}, 413,
        'and what is too large';
    is request('GET', '/reports', port => $receiver + 1)->{status}, 405, 'the old back end takes POST only';
};

# Each action of the recipes is in the demo as it is there; only its webhook goes elsewhere.
subtest 'the configuration is that of the recipes' => sub {
    my $squeezed = sub { return $_[0] =~ s/\s+#\ .*//r =~ s/\s+/ /gr =~ s/^ | $//gr };
    my $all = $squeezed->($site =~ s/\s+# .*//gr =~ s/\$session_user/\$user/gr);
    for my $name (qw(runs images leaderboard assessment submissions judge)) {
        my @actions = map { $squeezed->($_) }
            slurp("$root/conf/recipes/$name.conf") =~
            /\b(await(?:_(?:format|submit|job|result|batch|socket|events|jobs|ticket))?\s[^;]*;)/g;
        cmp_ok scalar(@actions), '>', 2, "$name has actions";
        is_deeply [ grep { index($all, $_) < 0 && !/webhook=/ } @actions ], [], "$name: the demo has them";
    }
};

my $browser = Await::Browser->new($s);
sub script { return $browser->script(@_) }
sub text_of { return script('return document.querySelector(arguments[0])?.textContent ?? ""', @_) }
sub count_of { return script('return document.querySelectorAll(arguments[0]).length', @_) }
# What the browser complains of; each line once.
sub complaints {
    my $log = $browser->call('POST', "$browser->{session}/se/log", { type => 'browser' });
    return [ map { $_->{message} } @$log ];
}

# Each tab: what is done there, and what becomes of it.
my @tabs = (
    [
        runs => sub { $browser->click('#start button') },
        'a run ends, without a poll' => sub {
            text_of('.run .note') =~ /^workflow_completed/ && text_of('#link') =~ / 0 polls/;
        },
        sub {
            $browser->click('#start button');
            until_true('another one is shown', sub { count_of('.run') == 2 });
            $browser->click('.run:first-of-type .cancel');
        },
        'another one is cancelled' => sub { text_of('.run:first-of-type .note') =~ /^workflow_cancelled/ },
        sub { $browser->click('.run:first-of-type .again') },
        'and run again' => sub { count_of('.run') == 3 && count_of('.run:first-of-type li.completed') >= 1 }
    ],
    [
        leaderboard => sub { $browser->click('#post button') },
        'the score is on the board' => sub { text_of('#board li') eq 'ann 100' && text_of('#state') eq 'live' }
    ],
    [
        assessment => sub {
            script('document.getElementById("count").value = 2');
            $browser->click('#submit button');
        },
        'the batch passes its phases' =>
            sub { text_of('.run .status') =~ /^completed in / && count_of('.run tbody tr') == 2 }
    ],
    [
        submissions => sub { $browser->click('#submit button') },
        'it has passed' => sub { text_of('.run .states li:last-child') eq 'passed' }
    ],
    [
        judge => sub { script('document.getElementById("how").value = "all"'); $browser->click('#submit button') },
        'the results come on all four transports' => sub { count_of('.tests li.passed') == 40 },
        sub { script('document.getElementById("answer").value = "2 4"'); $browser->click('#submit button') },
        'a wrong answer is shown' => sub { count_of('.tests li.failed') == 4 * 9 }
    ],
    [
        images => sub { $browser->type('#file', "$photos/a.jpg"); $browser->click('#upload button') },
        'the thumbnail is shown' => sub {
            (script('return document.querySelector(".job img")?.naturalWidth') // 0) == 320;
        },
        sub { },
        'the third party was told, by a signed request' => sub {
            script('return document.querySelector("#hooks li")?.dataset.job') eq
                script('return document.querySelector(".job").title')
                && text_of('#hooks .note') =~ /by admin; the signature is right/;
        }
    ],
    [
        legacy => sub { script('document.getElementById("months").value = 2'); $browser->click('#order button') },
        'the report is shown' => sub { text_of('.run tbody') eq '18192638' },
        sub { script('document.getElementById("months").value = 100'); $browser->click('#order button') },
        'what the back end refuses is shown' =>
            sub { text_of('.run.failed .note') eq 'months must be a number from 1 to 99.' }
    ],
);
for my $tab (@tabs) {
    my ($name, @steps) = @$tab;
    subtest "the tab $name" => sub {
        $browser->visit("$url/$name.html");
        until_true('the script has begun', sub { text_of('#curl') =~ /curl/ });
        is count_of('nav a[aria-current]'), 1, 'the tab is marked';
        eventually('its configuration is shown', sub { text_of('#configuration pre') =~ /^location /m });
        unlike text_of('#configuration pre'), qr/\$\{/, 'with the ports of this server';
        ok script('return document.getElementById("notice").hidden'), 'it works here';
        while (my ($do, $what, $becomes) = splice @steps, 0, 3) {
            $do->();
            eventually($what, $becomes);
        }
        is_deeply $browser->barriers($root), [], 'the page passes axe-core, light, dark and on a phone';
        $browser->look(1280, 'light');
        is_deeply [ grep { !m{/result - .*42[24]} } @{ complaints() } ], [], 'the browser complains of nothing';
    };
}

subtest 'in a browser' => sub {
    $browser->visit($s->url . '/');
    $browser->type('#files', "$photos/a.jpg\n$photos/b.png\n$photos/c.jpg");
    my $states = sub {
        script(
            'return [...document.querySelectorAll("article")].map(a => a.querySelector("h2").textContent + " " + '
            . 'a.dataset.state).sort()'
        );
    };
    eventually('all uploads have ended',
        sub { join(',', @{ $states->() }) eq 'a.jpg completed,b.png completed,c.jpg failed' })
        or diag explain $states->();
    eventually(
        'the thumbnails are shown',
        sub {
            script('return [...document.querySelectorAll("article img")].filter(i => i.naturalWidth == 320).length') ==
                2;
        });
    like script(
        'return document.querySelector("article .note").textContent + [...document.querySelectorAll(".note")].map(n '
        . '=> n.textContent)'
    ), qr/no picture that we know/, 'the failed one shows why';
    my $log = script(
        'return [...document.querySelectorAll("article")].find(a => a.querySelector("h2").textContent == '
        . '"a.jpg").querySelector(".events").textContent'
    );
    is join(' ', $log =~ /^(\w+) \{/mg), 'pending processing progress progress progress progress completed',
        'each event was seen live, in order';
    if ($ENV{AWAIT_SCREENSHOT}) {
        require MIME::Base64;
        open my $file, '>:raw', $ENV{AWAIT_SCREENSHOT};
        print $file MIME::Base64::decode_base64($browser->screenshot);
        close $file;
    }
};

is_deeply $browser->barriers($root), [], 'the page with jobs passes axe-core, light, dark and on a phone';
$browser->look(1280, 'light');

subtest 'with the keyboard alone' => sub {
    $browser->visit("$url/legacy.html");
    until_true('the script has begun', sub { text_of('#curl') =~ /curl/ });
    my @stops;
    for (1 .. 12) {
        $browser->press('Tab');
        push @stops, script('return document.activeElement.id || document.activeElement.textContent.trim()');
    }
    my $tabs = script('return [...document.querySelectorAll("nav a")].map((a) => a.textContent)');
    is_deeply [ @stops[ 0 .. @$tabs + 1 ] ], [ @$tabs, 'months', 'Order a report' ], 'all is reached in its order';
    script('document.getElementById("months").value = 1; document.getElementById("months").focus()');
    $browser->press('Enter');
    eventually('Enter orders a report', sub { count_of('.run tbody tr') == 1 });
};

subtest 'ten photos while the worker is busy' => sub {
    my $worker = $demo->pid('worker1');
    kill STOP => $worker;
    $browser->visit($s->url . '/');
    until_true('the script has begun', sub { script('return document.getElementById("curl").textContent') =~ /curl/ });
    system("cp $photos/a.jpg $photos/ten.$_.jpg") for 0 .. 9;
    $browser->type('#files', join "\n", map { "$photos/ten.$_.jpg" } 0 .. 9);
    my $count = sub { script('return document.querySelectorAll(`article[data-state="' . $_[0] . '"]`).length') };
    eventually('all ten are pending', sub { $count->('pending') == 10 });
    eventually('on one socket', sub { metric('await_sockets') == 1 });
    is script('return fetch("/jobs", { method: "OPTIONS" }).then((r) => r.status)'), 204,
        'another request gets through';
    $browser->click('article:first-of-type .cancel');
    eventually('one is cancelled', sub { $count->('failed') == 1 });
    is script('return document.querySelector("article .note").textContent'), 'Cancelled.', 'the page says so';
    ok script('return !document.querySelector("article .again").hidden'), 'it offers to try again';
    $browser->click('article:first-of-type .again');
    eventually('it is pending again', sub { $count->('pending') == 10 });
    kill CONT => $worker;
    eventually('all ten are completed', sub { $count->('completed') == 10 }, 40);
};

subtest 'EventSource reconnects by itself, and stops at the end' => sub {
    my $id = one_job('/jobs', 'x');     # the worker will refuse it
    until_true('ended', sub { json(get("/jobs/$id"))->{state} eq 'failed' });
    script(
        'window.types = []; window.s = new EventSource(arguments[0]); '
        . 'for (const t of ["ready", "pending", "processing", "failed", "reset"]) s.addEventListener(t, '
        . 'e => types.push(t)); ',
        "/jobs/$id/events"
    );
    ok until_true('closed for good by 204', sub { script('return s.readyState') == 2 }, 30),
        'stopped by 204 after its reconnect';
    is join(' ', grep { $_ ne 'processing' } @{ script('return types') }), 'ready pending failed', 'nothing twice';
};

subtest 'over TLS and HTTP/2' => sub {
    $browser->visit("https://127.0.0.1:$ENV{TLS_PORT}/index.html");
    $browser->type('#files', "$photos/b.png");
    eventually('a photo is done, by a secure WebSocket', sub { count_of('article[data-state="completed"]') == 1 });
    is script('return performance.getEntriesByType("navigation")[0].nextHopProtocol'), 'h2', 'the page came by HTTP/2';
    $browser->visit("https://127.0.0.1:$ENV{TLS_PORT}/leaderboard.html");
    eventually('the leaderboard is live', sub { text_of('#state') eq 'live' && text_of('#board li') eq 'ann 100' });
};

subtest 'where only one recipe is configured' => sub {
    my $plain = Await::Stack->new(dir => "$s->{dir}/plain", worker_processes => 1);
    my $backends = sprintf qq(await_postgres "%s";\nawait_redis %s;\n), $demo->postgres('edge'), $demo->redis;
    $plain->start_nginx($backends . slurp("$root/conf/minimal.conf"));
    for my $page (qw(runs leaderboard assessment submissions judge images legacy)) {
        $browser->visit($plain->url . "/$page.html");
        eventually("$page: the page says which configuration it needs",
            sub { text_of('#notice') =~ m{make run CONF=conf/(?:recipes/$page|demo)\.conf} });
        ok script('return document.getElementById("configuration").hidden'), "$page: and shows none";
    }
    my $log = slurp("$plain->{dir}/logs/access.log");
    unlike $log, qr{"GET /ws|/ws/ticket|"GET /batches|/session|"GET /hooks},
        'a page of another recipe asks for nothing that is not there';
    $plain->stop;
};

$browser->quit;
is system("$root/tools/await-stack down -q"), 0, 'one stop';
is_deeply $demo->running, {}, 'ends all of it';
finish();
