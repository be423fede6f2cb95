# The demo, as make run serves it: with curl, and in a real browser that drops photos and watches them on one WebSocket.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Browser;
use Await::Test;
use Test::More;

my $root = $Await::Stack::ROOT;
my $site = slurp("$root/conf/minimal.conf");
my $s = start_stack(site => "await_reread 1h;\n" . $site =~ s/\}\s*\z/location = \/metrics { await_metrics; } }\n/r);
for my $line ($site =~ /^# await-worker (.+)$/mg) {
    $line =~ s/\$\{ROOT\}/$root/;
    $s->start_worker('worker1', split ' ', $line);
}
my $photos = File::Temp::tempdir(CLEANUP => 1);
system(
    "convert -size 1200x900 plasma:fractal $photos/a.jpg && convert -size 640x480 gradient:red-blue $photos/b.png && "
    . "echo no picture > $photos/c.jpg"
) == 0 or die 'ImageMagick';

subtest 'with curl' => sub {
    my $upload = "-F image=\@$photos/a.jpg -H 'Prefer: wait=20' @{[ $s->url ]}/jobs";
    is scalar(`curl -s -o $photos/thumb.jpg -w '%{http_code} %{content_type}' $upload`), '200 image/jpeg',
        'an upload is answered with a JPEG';
    is scalar(`identify -format '%m %wx%h' $photos/thumb.jpg`), 'JPEG 320x240', 'a thumbnail';
    my $failed = json({ body => scalar `curl -s -F image=\@$photos/c.jpg -H 'Prefer: wait=20' @{[ $s->url ]}/jobs` });
    is $failed->{detail}, 'This is no picture that we know.',
        'a file that is no picture fails with the worker\'s words';
    like get('/')->{body}, qr/Drop photos here/, 'the page is served';
    is get('/app.js')->{status}, 200, 'its script is served';
};

my $browser = Await::Browser->new($s);
sub script { return $browser->script(@_) }

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

subtest 'without barriers' => sub {
    is_deeply $browser->barriers($root), [], 'the page with jobs passes axe-core, light, dark and on a phone';
    for my $page ('runs', 'leaderboard', 'assessment', 'submissions') {
        $browser->visit($s->url . "/$page.html");
        eventually("$page: the page says which configuration it needs",
            sub { script('return document.getElementById("notice").textContent') =~ m{conf/recipes/$page\.conf} });
        is_deeply $browser->barriers($root), [], "$page: the page passes axe-core";
    }
    my $log = slurp("$s->{dir}/logs/access.log");
    unlike $log, qr{"GET /ws|/ws/ticket|"GET /batches|/session},
        'a page of another recipe asks for nothing that is not there';
    $browser->look(1280, 'light');
};

subtest 'ten photos while the worker is busy' => sub {
    my $worker = $s->pid('worker1');
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

$browser->quit;
finish();
