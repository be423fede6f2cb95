# What the docs show runs: the README's configuration and curl session, the examples of docs/http.md, the pages'
# snippets, the SQL of docs/workers.md.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use JSON::PP;
use Test::More;

my $root = $Await::Stack::ROOT;
my $readme = slurp("$root/README.md");
my ($one_line, $conf) = $readme =~ /```nginx\n(.*?)```.*?```nginx\n(.*?)```/s;
my $contract = slurp("$root/docs/http.md");
my ($contract_conf) = $contract =~ /```nginx\n(.*?)```/s;
my $contract_port = Await::Stack::free_port();
my ($variables_conf) = slurp("$root/docs/variables.md") =~ /```nginx\n(.*?)```/s;
my $site = "await_reread 500ms;\n$variables_conf";
$site .= $conf =~ s/listen 8080/listen 127.0.0.1:\${PORT}/r;
my $one_line_port = Await::Stack::free_port();
$site .= "server { listen 127.0.0.1:$one_line_port; await_owner \$http_x_owner; $one_line }\n";
$site .= $contract_conf =~ s/listen 8080/listen 127.0.0.1:$contract_port/r;
my $s = start_stack(site => $site);

subtest 'README' => sub {
    my $minimal = slurp("$root/conf/minimal.conf");
    my $plain = sub {
        my ($text) = @_;
        $text =~ s/^#.*\n//mg;
        $text =~ s/\$\{PORT\}/8080/;
        $text =~ s/^ *location \/(?:client\/)? .*\n//mg;    # the page, and what it uses
        return $text;
    };
    is $plain->($conf), $plain->($minimal), 'shows conf/minimal.conf';
    my ($shown) = $one_line =~ /(await \w+)/;
    like $conf, qr/\Q$shown\E/, 'begins with its line';
    my @named = $readme =~ m{^\| `(\w+ /jobs\S*)` \|}mg;
    cmp_ok scalar @named, '>=', 6, 'has a table of requests';
    for (@named) {
        my ($method, $path) = split / /;
        my $id = $path =~ /batches/ ? '0198c0de-0000-8000-8000-000000000000' : '0198c0de-0000-7000-8000-000000000000';
        my $allow = header(request('OPTIONS', $path =~ s/<id>/$id/r, port => $one_line_port), 'Allow');
        like $allow, qr/\b$method\b/, "its line answers $method $path";
    }
    my $dir = File::Temp::tempdir(CLEANUP => 1);
    system("convert -size 800x600 plasma:fractal $dir/photo.jpg") == 0 or die;
    $s->start_worker('worker1', '--queue', 'thumbnails', '--content-type', 'image/jpeg', '--', "$root/demo/thumbnail");
    my ($session) = $readme =~ /```console\n(.*?)```/s;
    my ($id, $n);
    for my $line (split /\n/, $session) {
        next unless $line =~ s/^\$ //;
        my $url = $s->url;
        $line =~ s{http://127\.0\.0\.1:8080}{$url};
        $line =~ s{/jobs/[0-9a-f-]{36}}{/jobs/$id} if $id;
        my $out = `cd $dir && rm -f thumbnail.jpg && $line 2>/dev/null`;
        is $?, 0, $line;
        ($id) = $out =~ /"id":"([0-9a-f-]{36})"/ if !$id;
        like $out, qr/event: completed\n/, 'events' if $line =~ /events/;
        is scalar(`identify -format %m $dir/thumbnail.jpg`), 'JPEG', 'a thumbnail' if $line =~ /-o thumb/;
        $n++;
    }
    is $n, 4, 'README has four commands to run';
};

# Of an example and of what really came: the words that are others each time, in order; and the text without them.
sub parted {
    my ($text) = @_;
    my @words;
    my $id = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
    my $word = qr/(?<=id: )[\w-]{18}$|(?<="cursor":")[\w-]+|(?<="cursor": ")[\w-]+|$id|\b[0-9a-f]{32}\b/m;
    $text =~ s/($word)/push @words, $1; '<word>'/ge;
    $text =~ s/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/<time>/g;
    $text =~ s/^retry: \d+$/retry: <ms>/mg;
    $text =~ s/"[0-9a-f]{12}-(\d+)"/"<id>-$1"/g;
    $text =~ s/("ticket": ?)"[\w.-]+"/$1"<ticket>"/g;
    $text =~ s/("detail": ?)"[^"]+"/$1"<detail>"/g;
    my $json = eval { JSON::PP->new->decode($text) };
    return (\@words, $json ? JSON::PP->new->canonical->encode($json) : $text);
}

# Compares them, and learns what the example's words stand for: one each, everywhere.
my %stands_for;

sub same_as_shown {
    my ($came, $shown, $name) = @_;
    my ($words, $text) = parted($came);
    my ($shown_words, $shown_text) = parted($shown);
    is $text, $shown_text, $name or return;
    return unless @$words;
    my @other = grep { ($stands_for{ $shown_words->[$_] } //= $words->[$_]) ne $words->[$_] } 0 .. $#$words;
    is_deeply [ @$shown_words[@other] ], [], "$name: each id and cursor stands for one, wherever it is shown";
}

sub as_learned { my ($text) = @_; return $text =~ s/([\w-]{18,})/$stands_for{$1} \/\/ $1/ger }

sub run_shown {
    my ($command, $shown) = @_;
    my $run = as_learned($command) =~ s/ \| jq$//r =~ s{http://127\.0\.0\.1:8080}{http://127.0.0.1:$contract_port}r;
    my $came = `$run` =~ s/\r//gr;
    is $?, 0, $command;
    return same_as_shown($came =~ s/\n*\z//r, $shown =~ s/\n*\z//r, $command) unless $shown =~ m{^HTTP/};
    my ($head, $body) = split /\n\n/, $came, 2;
    my ($shown_head, $shown_body) = split /\n\n/, $shown, 2;
    my %came = map { (parted($_))[1] => $_ } split /\n/, $head;
    same_as_shown($came{ (parted($_))[1] } // $head, $_, "$command: $_") for split /\n/, $shown_head;
    same_as_shown($body =~ s/\n*\z//r, $shown_body =~ s/\n*\z//r, "$command: the body") if $shown_body;
}

subtest 'the examples of docs/http.md' => sub {
    my ($worker) = $contract =~ /```sh\nawait-worker (.*)\n```/;
    $s->start_worker('worker2', split / /, $worker);
    my $n = 0;
    while ($contract =~ /```(console|text)\n(.*?)```/gs) {
        my ($kind, $block) = ($1, $2);
        if ($kind eq 'console') {
            my ($command, $shown) = $block =~ /^\$ (.*?)\n(.*)/s;
            run_shown($command, $shown);
            ++$n;
            next;
        }
        my $ws = Await::WebSocket->new($contract_port, '/ws');
        for my $line (split /\n/, $block) {
            my ($way, $message) = $line =~ /^([<>]) (.*)/ or next;
            ++$n;
            if ($way eq '>') { $ws->send_text(as_learned($message)); next }
            my $frame = $ws->next_frame(20);
            same_as_shown($frame ? $frame->{payload} : '<nothing>', $message, $message);
        }
    }
    cmp_ok $n, '>=', 15, 'there are as many examples as there should be';
    $s->end('worker2', 'TERM');
};

subtest 'the snippet of every directive is taken by nginx' => sub {
    for my $page (glob "$root/docs/directives/*.md") {
        my ($name) = $page =~ m{([^/]+)\.md$};
        my $text = slurp($page);
        my ($snippet) = $text =~ /```nginx\n(.*?)```/s;
        like $snippet // '', qr/(?<![\w\$])$name(?!\w)[^;]*;/, "$name: the example uses the directive" or next;
        my ($context) = $text =~ /^\| context \| (.*?) \|$/m;
        my $site =
              $context =~ /^http$/ ? "$snippet server { listen 127.0.0.1:\${PORT}; location / { await_submit q; } }"
            : $snippet =~ /^server \{/m ? $snippet =~ s/^server \{/server { listen 127.0.0.1:\${PORT};/mr
            : $snippet =~ /^\s*(location|error_page)/ ? "server { listen 127.0.0.1:\${PORT}; $snippet }"
            : "server { listen 127.0.0.1:\${PORT}; location / { $snippet } }";
        my $t = Await::Stack->new(dir => File::Temp::tempdir(CLEANUP => 1));
        $t->{port} = Await::Stack::free_port();
        system 'touch', "$t->{dir}/users";
        Await::Stack::write_file("$t->{dir}/jwks.json", '{"kty":"oct","k":"' . 'A' x 43 . '"}', 0644);
        Await::Stack::write_file("$t->{dir}/pgpass", "*:*:*:*:secret\n", 0600);
        $t->configure_nginx($site =~ s{/etc/await/pgpass}{$t->{dir}/pgpass}r);
        like $t->nginx_t, qr/test is successful/, "$name: nginx accepts the example";
    }
};

subtest 'docs/workers.md' => sub {
    my $docs = slurp("$root/docs/workers.md");
    is `$root/tools/show-samples --check`, '', 'shows the samples as they are; t/samples.t runs them';
    sql($_) for $docs =~ /```sql\n((?:SELECT \* FROM await.claim|INSERT|SELECT await.submit).*?)```/gs;
    is sql("SELECT lease, max_attempts FROM await.queue WHERE name = 'thumbnails'"), '00:00:30|3',
        'its settings of a queue are set';
    my ($id, $receipt) = split /\|/, sql("SELECT id, receipt FROM await.claim(ARRAY['thumbnails'], 'docs')");
    my ($steps) = $docs =~ /```sql\n(SELECT id, receipt, .*?)```/s;
    my %value = (id => "'$id'", receipt => "'$receipt'", result => "'x'::bytea");
    $steps =~ s/:'(\w+)'/$value{$1}/g;
    my ($claimed, $beat, $done, $hint) = split /\n/, sql($steps =~ s/^.*await\.claim.*/SELECT 'claimed';/r);
    is $beat, 'ok', 'its steps: a heartbeat';
    is $done, 't', 'and the ending';
    like $hint, qr/^await:\d+\|1 \Q$id\E 3 completed /, 'and the hint';
};
finish();
