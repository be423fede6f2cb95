# The pages of the demo in a real browser: each tab does what it is for, by clicks and with the keyboard; its curl lines
# work as typed; in both schemes, on a phone, with axe-core and under its content security policy. A page that loses its
# server shows each event once.

use strict;
use warnings;
use utf8;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Demo;
use Await::Test;
use MIME::Base64 qw(decode_base64);
use Test::More;
use Time::HiRes qw(sleep time);
binmode $_, ':utf8' for map { Test::More->builder->$_ } qw(output failure_output todo_output);

plan skip_all => 'the launcher is not built with sanitizers' if $ENV{AWAIT_ASAN};
my $root = $Await::Stack::ROOT;
my ($s) = start_demo();
my $url = $s->url;
my $photos = make_photos();
rename "$photos/a.jpg", "$photos/photo.jpg";
my $only = $ENV{AWAIT_ONLY} // '';
my $LONG = 60;    # seconds until a condition has not become true: the machine may be busy

# Types the lines of a page into a shell. A stream that has no end is left when it has sent something. Returns what
# waits for the shell to end: its status, and what it has said.
sub begin_typed {
    my ($name, $lines) = @_;
    Await::Stack::write_file("$photos/$name.sh", <<'SH' . $lines, 0755);
set -eu
curl() {
    case "$*" in
        *hooks* | *leaderboard*)
            stream=$(mktemp); : > $stream
            command curl --fail -sS "$@" > $stream & local pid=$!
            until grep -q '^data: .*"seq"' $stream; do kill -0 $pid; sleep 0.05; done
            kill $pid; cat $stream ;;
        *) command curl --fail -sS "$@" ;;
    esac
}
SH
    mkdir "$photos/$name";
    symlink "../$_", "$photos/$name/$_" for qw(photo.jpg b.png c.jpg);
    open my $shell, '-|', "cd $photos/$name && timeout $LONG bash ../$name.sh 2>&1" or die "bash: $!";
    return sub {
        my $said = do { local $/; <$shell> };
        close $shell;
        return ($?, $said);
    };
}

# Writes a picture of the page, if somebody wants one.
sub picture {
    my ($name, $width, $scheme) = @_;
    my $dir = $ENV{AWAIT_SCREENSHOT} or return;
    browser()->look($width, $scheme);
    browser()->call('POST', "@{[ browser()->{session} ]}/goog/cdp/execute",
        { cmd => 'Emulation.setScrollbarsHidden', params => { hidden => \1 } });
    Await::Stack::write_file("$dir/gallery-$name.png", decode_base64(browser()->screenshot), 0644);
    my $file = "$dir/gallery-$name.png";
    system('convert', $file, qw(-dither FloydSteinberg -colors 256 -strip), "PNG8:$file") == 0 or die 'ImageMagick';
    return browser()->look(1280, 'light');
}

my $picture = sub { (script('return document.querySelector(".photo img")?.naturalWidth') // 0) == 320 };
# Each tab: what is done there, and what becomes of it; what its curl lines say at the end.
my @tabs = (
    [
        index => qr/"state":"\w+".*event: completed/s => sub {
            browser()->type('#files', "$photos/photo.jpg\n$photos/b.png\n$photos/c.jpg");
        },
        'all uploads have ended' => sub {
            count_of('.photo[data-state=completed]') == 2 && text_of('.photo[data-state=failed] .note') ne '';
        },
        sub { like text_of('.photo[data-state=failed] .note'), qr/no picture that we know/, 'the page says why' },
        'the thumbnails are shown' => sub {
            script('return [...document.images].filter((each) => each.naturalWidth === 320).length') == 2;
        },
        sub {
            is join(' ', text_of('#events') =~ /^photo.jpg (\w+)/mg),
                'pending processing progress progress progress progress completed', 'each event came, in order';
            browser()->click('.photo[data-state=failed] .again');
        },
        'the one that has failed is tried again' => sub { (() = text_of('#events') =~ /^c.jpg failed/mg) == 2 }
    ],
    [
        submissions => qr/"status":"P\w+"/ => sub { browser()->click('#submit button') },
        'it has passed' => sub { text_of('.states li:last-child') eq 'passed' },
        sub { type_in('[name=email]', 'nobody'); browser()->click('#submit button') },
        'another one has failed' => sub { text_of('.row.failed .why') eq 'The email must be an address.' }
    ],
    [
        runs => qr/"run_id".*"jobs":\[\{/s => sub { },
        'the socket is open before there is a run' => sub { text_of('#connection') eq 'live · 0 polls' },
        sub { browser()->click('#start button') },
        'a run ends, without a poll' => sub {
            count_of('.row[data-state=completed] .completed') == 4 && text_of('#connection') =~ / 0 polls/;
        },
        sub { browser()->click('#start button') },
        'another one is shown' => sub { count_of('.row') == 2 },
        sub { browser()->click('.row:first-of-type .cancel') },
        'another one is cancelled' => sub { text_of('.row:first-of-type .status') eq 'cancelled' },
        sub { browser()->click('.row:first-of-type .again') },
        'and run again' => sub { count_of('.row') == 3 && count_of('.row:first-of-type .completed') >= 1 },
        sub { ready("$url/runs.html") },
        'all are there when the page is loaded again' =>
            sub { count_of('.row') == 3 && count_of('.started, .completed') >= 5 }
    ],
    [
        leaderboard => qr/"top":\[\{"score": ?\d+/ => sub { browser()->click('#post button') },
        'the score is on the board' =>
            sub { text_of('#board li') eq 'ann100' && text_of('#connection') eq 'live · 0 polls' },
        sub { browser()->click('#crowd') },
        'ten players more are' => sub { count_of('#board li') == 10 }
    ],
    [
        images => qr/COMPLETED.*event: received/s => sub {
            browser()->type('[type=file]', "$photos/photo.jpg");
            browser()->click('#upload button');
        },
        'the thumbnail is shown' => $picture,
        sub { },
        'the third party was told, by a signed request' => sub {
            script('return document.querySelector("#hooks li")?.dataset.job') eq
                script('return document.querySelector(".photo").title')
                && text_of('#hooks .badge') eq 'signature verified';
        }
    ],
    [
        assessment => qr/"essays":\[.*"batches":\[\{/s =>
            sub { type_in('[name=count]', 2); browser()->click('[name=empty]'); browser()->click('#submit button') },
        'the batch passes its phases' => sub {
            text_of('.row .status') =~ /^completed with failures in / && count_of('.row tbody tr') == 2;
        },
        sub { is text_of('.row tbody tr:last-child'), '2––The essay 2 is empty.', 'the failure is listed' },
        'by push alone' => sub { text_of('#connection') =~ / 0 polls/ }
    ],
    [
        judge => qr/"state":"completed"/ => sub { browser()->click('#submit button') },
        'the results come on all four transports' => sub { count_of('.tests .passed') == 40 },
        sub { type_in('[name=answer]', '2 4'); browser()->click('#submit button') },
        'a wrong answer is shown' => sub { count_of('.tests .failed') == 4 * 9 }
    ],
    [
        legacy => qr/month,sales/ => sub { type_in('[name=months]', 2); browser()->click('#order button') },
        'the report is shown' => sub { text_of('.row tbody') eq '18192638' },
        sub { type_in('[name=months]', 100); browser()->click('#order button') },
        'what the back end refuses is shown' =>
            sub { text_of('.row.failed .why') eq 'months must be a number from 1 to 99.' },
        sub { type_in('[name=months]', 12); browser()->click('#order button') },
        'another one is processed' => sub { count_of('.row:first-of-type[data-state=processing]') == 1 },
        sub { browser()->click('.row:first-of-type .cancel') },
        'and cancelled' => sub { count_of('.row:first-of-type.failed') == 1 }
    ],
);
# All at once, each in a window of its own: while one waits for its worker, the others go on.
my @shown = map { { name => $_->[0], says => $_->[1], steps => [ @$_[ 2 .. $#$_ ] ] } }
    grep { $_->[0] =~ /$only/ } @tabs;
subtest 'the tabs are there' => sub {
    for my $tab (@shown) {
        $tab->{window} = browser()->open_window;
        browser()->visit("$url/$tab->{name}.html");
    }
    for my $tab (@shown) {
        my $name = $tab->{name};
        browser()->to_window($tab->{window});
        loaded($name);
        is count_of('nav [aria-current]'), 1, "$name: it is marked";
        eventually "$name: its configuration and its script are shown",
            sub { text_of('#configuration pre') =~ /^location /m && text_of('#script pre') =~ m{^import .*/client/}m };
        unlike text_of('#configuration pre'), qr/\$\{/, "$name: with the ports of this server";
    }
};

subtest 'each does what it is for' => sub {
    for (my @busy = @shown; @busy; @busy = grep { @{ $_->{steps} } } @busy) {
        for my $tab (@busy) {
            browser()->to_window($tab->{window});
            my ($do, $what, $becomes) = @{ $tab->{steps} };
            if (!$tab->{until}) {
                $do->();
                $tab->{until} = time + $LONG;
            }
            my $is = $becomes->();
            next unless $is || time > $tab->{until};
            ok $is, "$tab->{name}: $what";
            splice @{ $tab->{steps} }, 0, $is ? 3 : @{ $tab->{steps} };
            delete $tab->{until};
        }
        sleep 0.05;
    }
    for my $tab (@shown) {
        browser()->to_window($tab->{window});
        ok script('return document.getElementById("notice").hidden'), "$tab->{name}: nothing is amiss";
        picture('dark', 1280, 'dark') if $tab->{name} eq 'runs';
    }
};

subtest 'their curl lines, and their barriers' => sub {
    for my $tab (@shown) {
        browser()->to_window($tab->{window});
        $tab->{typed} = begin_typed($tab->{name}, text_of('#curl pre'));
    }
    for my $tab (@shown) {
        browser()->to_window($tab->{window});
        is_deeply browser()->barriers($root), [], "$tab->{name}: it passes axe-core, light, dark and on a phone";
        browser()->look(1280, 'light');
        is_deeply [ grep { !m{/result - .*4[012]\d} } @{ complaints() } ], [],
            "$tab->{name}: the browser complains of nothing";
    }
    for my $tab (@shown) {
        my ($status, $said) = $tab->{typed}->();
        is $status, 0, "$tab->{name}: the curl lines work as typed" or diag $said;
        like $said, $tab->{says}, "$tab->{name}: and say what they should";
    }
    browser()->close_window($_->{window}) for @shown;
};

subtest 'what is not allowed to the page is seen by this test' => sub {
    ready("$url/legacy.html");
    script('document.body.append(Object.assign(document.createElement("style"), { textContent: "p {}" }))');
    like join("\n", @{ complaints() }), qr/Content Security Policy/, 'the browser complains';
};

subtest 'the navigation' => sub {
    ready("$url/judge.html");
    is_deeply script('return [...document.querySelectorAll("nav a")].map((each) => each.pathname).sort()'),
        [ sort '/console/', map { "/$_->[0].html" } @tabs ], 'has these tabs';
    browser()->look(375, 'light');
    ready("$url/legacy.html");
    ok script('const at = document.querySelector("[aria-current]").getBoundingClientRect();'
            . 'return at.left >= 0 && at.right <= innerWidth'), 'on a phone, the tab of the page is in sight';
    browser()->look(1280, 'light');
    browser()->click('nav a');
    eventually('a click leads to another', sub { text_of('h1') eq 'Drop photos, get thumbnails' });
    browser()->click('#curl button');
    eventually('the lines are copied', sub { text_of('#curl button') =~ /^(?:Copied|Selected)$/ });
};

subtest 'with the keyboard alone' => sub {
    ready("$url/legacy.html");
    my @stops;
    for (1 .. 12) {
        browser()->press('Tab');
        push @stops, script('return document.activeElement.id || document.activeElement.textContent.trim()');
    }
    my $tabs = script('return [...document.querySelectorAll("header a")].map((a) => a.textContent)');
    is_deeply [ @stops[ 0 .. @$tabs + 1 ] ], [ @$tabs, 'months', 'Order a report' ], 'all is reached in its order';
    script('document.getElementById("months").value = 1; document.getElementById("months").focus()');
    browser()->press('Enter');
    eventually('Enter orders a report', sub { count_of('.row tbody tr') == 1 });
};

sub counted { return count_of(".photo[data-state=$_[0]]") }

subtest 'a dozen photos while the worker is busy, and then the server is lost, with a run going on' => sub {
    my $worker = demo()->pid('worker1');
    kill STOP => $worker;
    ready("$url/");
    browser()->click('#samples');
    eventually('all twelve are pending', sub { counted('pending') == 12 }, $LONG);
    eventually('on one socket', sub { metric('await_sockets') == 1 });
    is script('return fetch("/jobs", { method: "OPTIONS" }).then((r) => r.status)'), 204,
        'another request gets through';
    browser()->click('.photo:first-of-type .cancel');
    eventually('one is cancelled', sub { counted('failed') == 1 });
    browser()->click('.photo:first-of-type .again');
    eventually('and uploaded again', sub { counted('pending') == 12 });
    # beside it, a run in another window
    my $photos_window = browser()->window;
    my $runs_window = browser()->open_window;
    ready("$url/runs.html?username=lost");
    eventually('the page of the runs is connected', sub { text_of('#connection') =~ /^live/ });
    browser()->click('#start button');
    eventually('a run is shown', sub { text_of('.events') =~ /node_completed fetch/ });
    my $run = script('return document.querySelector(".row").title');
    my $ended = q{SELECT count(*) FROM await.event WHERE ending AND state = 'completed'};
    my $before = demo()->sql($ended);
    without_nginx(sub {
        kill CONT => $worker;
        eventually('all are done while the server is away', sub { demo()->sql($ended) == $before + 13 }, $LONG);
    });
    eventually('the run shows its end', sub { count_of('.row[data-state=completed]') == 1 }, $LONG);
    my $steps = join '', map { "node_started $_\nnode_completed $_\n" } qw(fetch parse train report);
    is text_of('.events') =~ s/^\d+ //mgr, "${steps}workflow_completed\n", 'and each event once, in order';
    browser()->close_window($runs_window);
    browser()->to_window($photos_window);
    eventually('the page shows all twelve photos', sub { counted('completed') == 12 }, $LONG);
    picture('light', 1280, 'light');
    picture('phone', 375, 'light');
    my %types = map { split / /, $_, 2 } split /\n/, demo()->sql(
        q{SELECT job || ' pending ' || string_agg(type, ' ' ORDER BY seq) FROM await.event GROUP BY job});
    my $pages = script('return Object.fromEntries([...document.querySelectorAll(".photo")]
        .map((each) => [each.querySelector("h2").textContent, each.title]))');
    my $log = text_of('#events');
    for my $name (sort keys %$pages) {
        my $all = join ' ', $log =~ /^\Q$name\E (\w+)/mg;
        is $all =~ s/^pending cancelled //r, $types{ $pages->{$name} }, "$name: each event once, in order";
    }
};

is end_demo(), 0, 'it is stopped';
finish();
