# What the docs show runs: the README's configuration and curl session, the pages' snippets, the workers in three languages.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

my $root = $Await::Stack::ROOT;
my $readme = slurp("$root/README.md");
my ($conf) = $readme =~ /```nginx\n(.*?)```/s;
my $s = start_stack(site => "await_reread 500ms;\n" . $conf =~ s/listen 8080/listen 127.0.0.1:\${PORT}/r =~ s/\}\s*\z/location ~ ^\/to\/(?<queue>\\w+)\$ { await_job_uri \/jobs\/\$await_id; await_submit \$queue; }\n}\n/r);

subtest 'README' => sub {
    my $minimal = slurp("$root/conf/minimal.conf");
    my $plain = sub { my ($text) = @_; $text =~ s/^#.*\n//mg; $text =~ s/\$\{PORT\}/8080/; $text =~ s/^ *location \/ .*\n//m; return $text };
    is $plain->($conf), $plain->($minimal), 'shows conf/minimal.conf';
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
    is $n, 4;
};

subtest 'the snippet of every directive is taken by nginx' => sub {
    for my $page (glob "$root/docs/directives/*.md") {
        my ($name) = $page =~ m{([^/]+)\.md$};
        my $text = slurp($page);
        my ($snippet) = $text =~ /```nginx\n(.*?)```/s;
        my ($context) = $text =~ /^\| context \| (.*?) \|$/m;
        my $site = $context =~ /^http$/ ? "$snippet server { listen 127.0.0.1:\${PORT}; location / { await_submit q; } }"
            : $snippet =~ /^server \{/m ? $snippet =~ s/^server \{/server { listen 127.0.0.1:\${PORT};/mr
            : $snippet =~ /^\s*(location|error_page)/ ? "server { listen 127.0.0.1:\${PORT}; $snippet }" : "server { listen 127.0.0.1:\${PORT}; location / { $snippet } }";
        my $t = Await::Stack->new(dir => File::Temp::tempdir(CLEANUP => 1));
        $t->{port} = Await::Stack::free_port();
        system 'touch', "$t->{dir}/users";
        Await::Stack::write_file("$t->{dir}/jwks.json", '{"kty":"oct","k":"' . 'A' x 43 . '"}', 0644);
        $t->configure_nginx($site);
        like $t->nginx_t, qr/test is successful/, $name;
    }
};

my $docs = slurp("$root/docs/workers.md");
sub program { my ($language, $file) = @_; my ($text) = $docs =~ /\n## \w+\n\n```\Q$language\E\n(.*?)```/s; Await::Stack::write_file("$s->{dir}/$file", $text); return "$s->{dir}/$file" }

my ($shell) = $docs =~ /## Shell\n\n```sh\n(.*?)```/s;
Await::Stack::write_file("$s->{dir}/worker.sh", $shell);
my %workers = (shell => [ 'sh', "$s->{dir}/worker.sh" ], python => [ '/usr/bin/python3', program('python', 'worker.py') ], node => [ 'node', program('js', 'worker.js') ]);
my %expected = (shell => 'ONE TWO', python => '{"words": 2}', node => 'owt eno');
my $modules = -e '/usr/share/nodejs/pg' ? '/usr/share/nodejs' : "$root/build/node/node_modules";
if (!-e "$modules/pg") { system("npm install --silent --no-save --prefix $root/build/node pg\@8 >/dev/null 2>&1") == 0 or diag 'npm cannot install pg' }
for my $language (sort keys %workers) {
    subtest "a worker in $language" => sub {
        $s->spawn("own-$language", $workers{$language}, env => { AWAIT_POSTGRES => $s->postgres('worker'), NODE_PATH => $modules });
        my $r = post("/to/$language", 'one two', Prefer => 'wait=20');
        is $r->{status}, 200;
        is $r->{body}, $expected{$language};
        $s->end("own-$language", 'TERM');
    };
}
finish();
