# The demo, as make run starts it: one start for all of it; by curl; over TLS and HTTP/2; its configuration is that of
# the recipes; its pages where only one recipe is configured. gallery.t uses its pages.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Demo;
use Await::Test;
use Test::More;

plan skip_all => 'the launcher is not built with sanitizers' if $ENV{AWAIT_ASAN};
my $root = $Await::Stack::ROOT;
my ($s, $said) = start_demo();
my $url = $s->url;
my $photos = make_photos();

subtest 'one start' => sub {
    like $said, qr{ready: \Q$url\E}, 'it says where it is';
    my $programs = () = $site =~ /^# (?:await-worker|await-relay|program) /mg;
    is scalar(keys %{ demo()->running }), 3 + $programs, 'with all programs that its configuration names';
    is demo()->sql('SELECT string_agg(sink, \' \' ORDER BY sink) FROM await.relay_status()'), 'redis webhooks',
        'and with sinks that get what comes from now on';
};

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

subtest 'EventSource reconnects by itself, and stops at the end' => sub {
    ready("$url/");
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
    ready("https://127.0.0.1:$ENV{TLS_PORT}/index.html");
    browser()->type('#files', "$photos/b.png");
    eventually('a photo is done', sub { count_of('article[data-state="completed"]') == 1 });
    like text_of('#connection'), qr/ 0 polls$/, 'by a secure WebSocket';
    like text_of('#curl pre'), qr{^curl -k .*https://}m, 'the curl lines know that';
    is script('return performance.getEntriesByType("navigation")[0].nextHopProtocol'), 'h2', 'the page came by HTTP/2';
    ready("https://127.0.0.1:$ENV{TLS_PORT}/leaderboard.html");
    browser()->click('#post button');
    eventually('the leaderboard is live',
        sub { text_of('#connection') =~ /^live/ && text_of('#board li') eq 'ann100' });
};

subtest 'where only one recipe is configured' => sub {
    my $plain = Await::Stack->new(dir => "$s->{dir}/plain", worker_processes => 1);
    my $backends = sprintf qq(await_postgres "%s";\nawait_redis %s;\n), demo()->postgres('edge'), demo()->redis;
    $plain->start_nginx($backends . slurp("$root/conf/minimal.conf"));
    for my $page (qw(runs leaderboard assessment submissions judge images legacy)) {
        browser()->visit($plain->url . "/$page.html");
        eventually("$page: the page says which configuration it needs",
            sub { text_of('#notice') =~ m{make run CONF=conf/(?:recipes/$page|demo)\.conf} });
        is count_of('#configuration'), 0, "$page: and shows none";
        is count_of('.stack button:not(:disabled)'), 0, "$page: nothing can be pressed";
    }
    my $log = slurp("$plain->{dir}/logs/access.log");
    unlike $log, qr{"GET /ws|/ws/ticket|"GET /batches|/session|"GET /hooks},
        'a page of another recipe asks for nothing that is not there';
    $plain->stop;
};

is end_demo(), 0, 'one stop';
is_deeply demo()->running, {}, 'ends all of it';
finish();
