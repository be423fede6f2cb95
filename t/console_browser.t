# The console in a real browser: each page, by mouse and by keyboard, wide and narrow, light and dark, without a barrier
# that axe-core finds and without anything that the content security policy forbids; what strangers wrote is text; and
# nothing is done that was not confirmed.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Browser;
use Await::Test;
use MIME::Base64 qw(decode_base64);
use Test::More;
use Time::HiRes qw(time);

alarm 600;    # a browser on a busy machine
my $site = $Await::Test::SITE =~ s/\$\{REREAD\}/1h/r =~ s/\$\{EXTRA\}/<<'CONF'/er;
    location /console { await_console write; }
    location /look/ { await_console; }
    location = /metrics { await_metrics; }
CONF
my $s = start_stack(site => $site);
sql('GRANT await_console TO edge');

my $evil = '<img src=x onerror=alert(1)>';
my $options = qq({"owner": "$evil\\u202egpj.exe", "max_attempts": 1, )
    . qq("params": {"html": "</script><script>alert(1)</script>$evil"}});
my ($bad, @others) = map { sql("SELECT await.submit('judge', 'x', options => '$options')") } 1 .. 3;
sql(
    "SELECT await.fail(c.id, c.receipt, '{\"title\": \"$evil\", \"detail\": \"<b>full</b>\"}', NULL)
    FROM await.claim('{judge}', '$evil', 3) c"
);
my @waiting = map { sql("SELECT await.submit('mail', 'x')") } 1 .. 4;
my $held = sql("SELECT await.submit('running', 'x')");
sql("SELECT await.claim('{running}', '$evil' || chr(8238) || 'gpj.exe', 1)");

my $browser = Await::Browser->new($s);
my $root = $Await::Stack::ROOT;
my $wait = 60;
sub script { return $browser->script(@_) }
sub becomes { my ($what, $true) = @_; return ok until_true($what, $true, $wait), $what }
sub text_of { return script('return document.querySelector(arguments[0])?.innerText ?? ""', @_) }
sub count_of { return script('return document.querySelectorAll(arguments[0]).length', @_) }
sub shows {
    my ($what, $selector, $pattern) = @_;
    return ok until_true($what, sub { text_of($selector) =~ $pattern }, $wait), $what;
}
sub complaints {
    my $log = $browser->call('POST', "$browser->{session}/se/log", { type => 'browser' });
    return [ map { $_->{message} } @$log ];
}
sub go { my ($hash) = @_; return script('location.hash = arguments[0]', $hash) }
# Presses a button that has this text, in whatever is shown.
sub press {
    my ($text, $within) = @_;
    return ok until_true("there is a button \"$text\"", sub {
        script(<<'JS', $text, $within // 'main');
            const button = [...document.querySelectorAll(`${arguments[1]} button`)]
                .find((b) => b.innerText === arguments[0] && b.checkVisibility() && !b.disabled);
            button?.click();
            return Boolean(button);
JS
    }, $wait), "a button \"$text\"";
}
sub asks {
    my ($title) = @_;
    return ok until_true("it asks: $title",
        sub { script('return document.getElementById("confirm").open') && text_of('#confirm-title') eq $title }, $wait),
        "it asks: $title";
}
sub answer { my ($word) = @_; press($word, '#confirm'); return }
# Something to see: clients, and workers that are busy for a while in several queues.
sub busy {
    my %jobs = (thumbnails => 14, reports => 2, judge => 6, exports => 1, billing => 3);
    my @clients = map {
        my $accept = $_ % 5 ? 'text/event-stream' : 'application/json';
        begin_request('GET', '/jobs/' . one_job() . ($_ % 5 ? '' : '?wait=55'), headers => { Accept => $accept })
    } 1 .. 40;
    sql("SELECT count(await.submit('exports', 'x')) FROM generate_series(1, 3000)");
    sql("SELECT await.pause('exports')");
    for my $second (1 .. 45) {
        my $end = time + 1;
        for my $queue (sort keys %jobs) {
            my $n = int($jobs{$queue} * (0.7 + rand 0.6)) + ($queue eq 'judge' && $second % 15 < 5 ? 9 : 0);
            sql("SELECT count(await.submit('$queue', 'x')) FROM generate_series(1, $n)");
            sql("SELECT count(await.complete(l.job, l.receipt, 'x')) FROM await.lease l JOIN await.job j ON j.id = l.job
                WHERE j.queue = await.queue_id('$queue', false) AND random() < 0.8");
            sql("SELECT count(*) FROM await.claim('{$queue}', '$queue-$_', " . int(1 + $n / 3) . ')') for 1, 2;
        }
        select undef, undef, undef, $end - time if $end > time;
    }
    return @clients;
}
sub picture {
    my ($name) = @_;
    return unless $ENV{AWAIT_SCREENSHOT};
    open my $file, '>:raw', "$ENV{AWAIT_SCREENSHOT}/$name.png" or die "$name.png: $!";
    print {$file} decode_base64($browser->screenshot);
    return close $file;
}

my %views = (
    overview => [ '#/overview', 'main', qr/mail.*running/s ],
    queues => [ '#/queues', 'table', qr/judge.*mail.*running/s ],
    jobs => [ '#/jobs', 'table', qr/\Q$held\E/ ],
    job => [ "#/jobs/$bad", '.timeline', qr/failed/ ],
    failures => [ '#/failures', 'main', qr/\b3\b/ ],
);

subtest 'it is live' => sub {
    $browser->visit($s->url . '/console');
    shows('the page has data', '#live', qr/^live$/);
    is script('return location.pathname'), '/console/', 'in its own directory';
    shows('the queues are there', 'main', $views{overview}[2]);
    ok count_of('canvas') >= 7, 'with plots';
    like script('return document.querySelector(".plot").getAttribute("aria-label")'), qr/^Jobs a second: in /,
        'which say in words what they show';
    my $more = sql("SELECT await.submit('fresh', 'x')");
    shows('a new queue comes by itself', 'main', qr/fresh/);
    my $tile = sub {
        return script('return [...document.querySelectorAll(".tile")].map((each) => each.innerText)'
            . '.find((text) => text.startsWith(arguments[0])) ?? ""', $_[0]);
    };
    my $open = sql('SELECT (SELECT count(*) FROM await.ready) + (SELECT count(*) FROM await.delayed)');
    becomes('the tile has all jobs that wait', sub { $tile->('Waiting') =~ /^Waiting\s+$open\s/ });
    my $polled = begin_request('GET', "/jobs/$held?wait=50");
    becomes('clients of all nodes', sub { $tile->('Clients held') =~ /^Clients held\s+1\s.*on 1 node/s });
    shows('by node and transport', 'main', qr/Clients by node.*\(this one\)\s+1\s+0\s+0\s/s);
    go("#/jobs/$held");
    shows('who watches a job', 'main', qr/Watched by\s+1 client watches it now/);
    sql("SELECT await.emit(l.job, l.receipt, 'note', '{}') FROM await.lease l WHERE l.job = '$held'");
    my $stream = begin_request('GET', "/jobs/$held", headers => { Accept => 'text/event-stream' });
    shows('and what it was sent', '.timeline', qr/delivered\s.*up to event \d, to 1 client by event stream/s);
    $_->close for $polled, $stream;
    go('#/overview');
};

subtest 'every page' => sub {
    for my $name (sort keys %views) {
        my ($hash, $selector, $pattern) = @{ $views{$name} };
        go($hash);
        shows("$name has its data", $selector, $pattern);
        is_deeply $browser->barriers($root), [],
            "$name: no barrier and no sideways scroll, wide and narrow, light and dark";
        $browser->look(1280, 'light');
    }
};

subtest 'what strangers wrote is text' => sub {
    for my $name (sort keys %views) {
        my ($hash, $selector, $pattern) = @{ $views{$name} };
        go($hash);
        shows("$name has its data", $selector, $pattern);
        is count_of('main img, main script, main b:not(.legend b, .moment b)'), 0, "$name: no element of theirs";
    }
    go("#/jobs/$bad");
    shows('the job', '.timeline', qr/failed/);
    like text_of('main'), qr/\Q$evil\E/, 'its owner and error as they are';
    like text_of('main'), qr{</script><script>alert}, 'its parameters too';
    go('#/overview');
    shows('the worker\'s name', 'main', qr/\Q$evil\E\\u202egpj/);
    for my $page ('#/overview', "#/jobs/$bad") {
        go($page);
        shows('what turns text around is shown by its number', 'main', qr/\Q$evil\E\\u202egpj/);
        unlike text_of('main'), qr/\x{202e}/, 'and turns nothing';
    }
};

subtest 'by keyboard' => sub {
    $browser->visit($s->url . '/console/');
    shows('the page has data', '#live', qr/^live$/);
    $browser->press('Tab');
    is script('return document.activeElement.className'), 'skip', 'the first stop leads to the content';
    $browser->press('Tab') for 1 .. 2;
    is script('return document.activeElement.innerText'), 'Queues', 'then come the pages';
    $browser->press('Enter');
    shows('Enter opens one', 'h1', qr/^Queues$/);
    is script('return document.querySelector("nav [aria-current]").innerText'), 'Queues', 'which is marked';
    is script('return document.activeElement.id'), 'main', 'and has the focus';
    shows('the queues', 'table', qr/mail/);
    script(q{document.querySelector('button[aria-label="Pause mail"]').focus()});
    $browser->press('Enter');
    asks('Pause the queue?');
    is script('return document.getElementById("confirm").contains(document.activeElement)'), JSON::PP::true,
        'the focus is in the question';
    $browser->press('Escape');
    becomes('Escape means no', sub { !script('return document.getElementById("confirm").open') }, $wait);
    is script('return document.activeElement.getAttribute("aria-label")'), 'Pause mail', 'and the focus is back';
    is sql(q(SELECT paused FROM await.queue WHERE name = 'mail')), 'f', 'nothing was done';
};

subtest 'pause and resume' => sub {
    script(q{document.querySelector('button[aria-label="Pause mail"]').click()});
    asks('Pause the queue?');
    answer('Keep as it is');
    script(q{document.querySelector('button[aria-label="Pause mail"]').click()});
    asks('Pause the queue?');
    is sql(q(SELECT paused FROM await.queue WHERE name = 'mail')), 'f', 'not before it is confirmed';
    answer('Pause');
    becomes('it is paused', sub { sql(q(SELECT paused FROM await.queue WHERE name = 'mail')) eq 't' }, $wait);
    shows('which is said', '#said', qr/^1 paused$/);
    becomes('and shown', sub { count_of('button[aria-label="Resume mail"]') == 1 }, $wait);
    script(q{document.querySelector('button[aria-label="Resume mail"]').click()});
    asks('Resume the queue?');
    answer('Resume');
    becomes('it is resumed', sub { sql(q(SELECT paused FROM await.queue WHERE name = 'mail')) eq 'f' }, $wait);
};

subtest 'jobs' => sub {
    go('#/jobs?state=failed');
    becomes('filtered by state', sub { count_of('tbody tr') == 3 }, $wait);
    script('document.querySelector(".all input").click()');
    press('Retry');
    asks('Retry 3 jobs?');
    is count_of('#confirm-items li'), 3, 'it names them';
    answer('Retry');
    becomes('many are retried',
        sub { sql('SELECT count(*) FROM await.job WHERE retry_of IS NOT NULL') == 3 }, $wait);
    shows('which is said', '#said', qr/^3 retried$/);
    go("#/jobs/$waiting[0]");
    shows('one job', '.timeline', qr/submitted/);
    press('Cancel job');
    asks('Cancel the job?');
    answer('Cancel job');
    shows('is cancelled', '.timeline', qr/cancelled/);
    is sql("SELECT state FROM await.event WHERE job = '$waiting[0]'"), 'cancelled', 'in the database';
    go('#/jobs');
    shows('the list', 'table', qr/\Q$held\E/);
    script('document.querySelector("input[name=id]").value = arguments[0]', uc $bad);
    press('Search');
    shows('an id leads to its job', 'h1', qr/\Q$bad\E/);
    go('#/failures');
    becomes('failures that were retried have no button', sub {
        text_of('main') =~ /3 retried/ && script('return document.querySelector(".failure button").hidden') }, $wait);
};

subtest 'the clock of the browser is wrong' => sub {
    my $source = 'const now = Date.now; Date.now = () => now() + 7200000;';
    my $script = $browser->cdp('Page.addScriptToEvaluateOnNewDocument', { source => $source });
    $browser->visit('about:blank');
    $browser->visit($s->url . '/console/');
    shows('the page has data', '#live', qr/^live$/);
    becomes('its clock is', sub { script('return Date.now() - performance.timeOrigin') > 7_000_000 });
    go("#/jobs/$held");
    shows('the job', '.timeline', qr/processing/);
    like text_of('main'), qr/Submitted.*\(\d+(?:\.\d)? (?:s|min) ago\)/s, 'the age of the job is by the database';
    like text_of('.timeline'), qr/lease ends.* in \d/s, 'and what is to come is to come';
    $browser->cdp('Page.removeScriptToEvaluateOnNewDocument', { identifier => $script->{identifier} });
    $browser->visit('about:blank');
    eventually 'a page that is left has no stream, though the browser may keep it',
        sub { metric('await_consoles') == 0 };
    $browser->call('POST', "$browser->{session}/back", {});
    shows('when it is shown again', '#live', qr/^live$/);
    is metric('await_consoles'), 1, 'it has one';
    $browser->visit($s->url . '/console/#/queues');
    shows('the queues', 'table', qr/mail/);
};

subtest 'addresses that lead nowhere' => sub {
    for my $hash ('#/constructor', '#/toString', '#/__proto__') {
        go($hash);
        shows("$hash shows the overview", 'main', qr/Waiting.*Running/is);
        go('#/queues');
        shows('and the page goes on', 'h1', qr/^Queues$/);
    }
    go('#/overview');
    go('#/queues/%');
    shows('a broken escape too', 'h1', qr/^Queues$/);
};

subtest 'more than can be done at once' => sub {
    sql("SELECT count(await.submit('many', 'x')) FROM generate_series(1, 120)");
    go('#/jobs?queue=many');
    becomes('a page of jobs', sub { count_of('tbody tr') == 50 });
    for my $rows (100, 120) {
        press('More jobs');
        becomes("$rows of them", sub { count_of('tbody tr') == $rows });
    }
    script('for (const box of document.querySelectorAll("tbody input")) if (!box.checked) box.click()');
    press('Cancel jobs');
    asks('Cancel 100 jobs?');
    like text_of('#confirm-text'), qr/100 of 120/, 'it says of how many';
    answer('Cancel jobs');
    shows('these are cancelled', '#said', qr/^100 cancelled$/);
    shows('the others are still selected', '.bar', qr/\b20 selected/);
    go('#/failures?queue=mail');
    shows('no failure of a queue is not no failure', 'main', qr/None of the newest 3 jobs that failed/);
};

subtest 'without write' => sub {
    $browser->visit($s->url . '/look/#/queues');
    shows('the queues', 'table', qr/mail/);
    is script('return [...document.querySelectorAll("td button")].filter((b) => b.checkVisibility()).length'), 0,
        'nothing can be paused';
    go('#/jobs?queue=running');
    shows('the jobs', 'table', qr/\Q$held\E/);
    is script('return [...document.querySelectorAll("tbody input, .bar button")]'
        . '.filter((b) => b.checkVisibility()).length'), 0, 'nothing can be selected';
};

subtest 'pictures' => sub {
    plan skip_all => 'AWAIT_SCREENSHOT is not set' unless $ENV{AWAIT_SCREENSHOT};
    $browser->visit($s->url . '/console/#/overview');
    my @clients = busy();
    for my $look ([ 'console-light', 1280, 'light' ], [ 'console-dark', 1280, 'dark' ],
        [ 'console-phone', 375, 'light' ]) {
        my ($name, @look) = @$look;
        $browser->look(@look);
        shows('the page has data', '#live', qr/^live$/);
        picture($name);
        pass $name;
    }
};

is_deeply complaints(), [], 'the browser complains of nothing: no violation of the policy, no error of a script';

subtest 'nginx is away for a while' => sub {
    $browser->visit($s->url . '/console/#/overview');
    shows('the page has data', '#live', qr/^live$/);
    $s->end('nginx', 'QUIT');
    shows('the page says so', '#live', qr/^reconnecting$/);
    $s->start_nginx($site);
    shows('and goes on by itself', '#live', qr/^live$/);
};

$browser->quit;
finish();
