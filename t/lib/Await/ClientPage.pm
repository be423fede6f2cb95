package Await::ClientPage;

# A page with the client of client/ in a real browser, and a stack with the whole API of one queue.

use strict;
use warnings;
use FindBin;
use Await::Browser;
use Await::Test;
use JSON::PP;

use Exporter 'import';
our @EXPORT = qw($LONG start_page start_again script visit follow seen counted seqs_are begin done emit);

our $LONG = 60;    # seconds until a condition has not become true: the machine may be busy
my $root = $Await::Stack::ROOT;
my ($browser, $site);

my $SITE = <<"CONF";
await_reread 1h;
await_format run_event '{"type":"\@type","...":"\@data","timestamp":"\@at|unix","run_id":"\@job","seq":"\@seq",
                         "cursor":"\@cursor"}';
await_format run_page '{"run_id":"\@id","events":"\@events","status":"\@state"}';
server {
    listen 127.0.0.1:\${PORT};
    client_max_body_size 60m;
    await_retry 1s 2s;
    await_owner \$arg_owner;
    error_page 404 405 406 409 410 413 415 429 503 \@problem;
    location \@problem { await_problem; }
    location /jobs { await_owner off; await work; }
    location = /news { await_owner off; await_publish news type=headline; await_events topic:news; }
    location = /ticket { await_owner \$arg_as; await_ticket topic:news; }
    location /in/ {
        await_auth_ticket on; await_owner \$await_user;
        location = /in/socket { await_allow topic:news; await_socket; }
        location = /in/news { await_events topic:news; }
    }
    location = /api/v1/runs { await_owner \$arg_username; await_submit work; }
    location ~ ^/api/v1/runs/(?<run>[0-9a-f-]+)/events\$ {
        await_owner off; await_event_types pending=off processing=off completed=workflow_completed;
        await_events job:\$run default=json event=run_event format=run_page;
    }
    location = /ws {
        await_owner \$arg_username; await_event_types pending=off processing=off completed=workflow_completed;
        await_socket user:\$arg_username plain event=run_event;
    }
    location = /all { await_owner off; await_jobs work all; }
    location = /metrics { await_owner off; await_metrics; }
    location /dist/ { alias $root/client/dist/; types { text/javascript js; } }
    location /examples/ { alias $root/client/examples/; types { text/html html; } }
    location /page/ { alias $root/t/client/; types { text/javascript js; text/html html; } }
    location /built/ { alias \${HERE}/built/; types { text/javascript js; text/html html; } }
}
CONF

# Starts it all; the browser.
sub start_page {
    my $s = start_stack(without => ['nginx']);
    $site = $SITE =~ s/\$\{HERE\}/$s->{dir}/gr;
    $s->start_nginx($site);
    return $browser = Await::Browser->new($s);
}

# nginx, after it was ended.
sub start_again { return stack()->start_nginx($site) }

sub script { return $browser->script(@_) }

sub visit {
    my ($page) = @_;
    $browser->visit($page // stack()->url . '/page/page.html');
    until_true('the script has begun', sub { script('return !!window.page?.ready') }, $LONG)
        or die "the page does not run\n";
    return;
}

# Watches a channel in the page; t/client/page.js has the options.
sub follow { my ($url, %o) = @_; return script('page.follow(...arguments)', $url, \%o) }
sub seen { my ($url) = @_; return script('return page.seen(arguments[0])', $url) }
sub seqs_are { my ($url, @seqs) = @_; return "@{ seen($url)->{seqs} }" eq "@seqs" }
sub counted { my ($what) = @_; return script('return page.count[arguments[0]]', $what) }

# Begins what takes longer than a script may; what became of it, or undef.
sub begin { my ($name, $code) = @_; return script("page.begin('$name', (async () => { $code })())") }
sub done { my ($name) = @_; return script('return page.done[arguments[0]] ?? null', $name) }

# An event of a worker.
sub emit {
    my ($id, $type, $data) = @_;
    sql("SELECT await.emit('$id', test.receipt('$id'), '$type', '" . encode_json($data // {}) . "')");
    hint($id);
    return;
}

1;
