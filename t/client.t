# The client of client/ without a browser: its own tests under a clock of their own, the size of its bundle, that
# dist/ is what its sources give, and that the package installs, has its types, and can be imported on a server.

use strict;
use warnings;
use FindBin;
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

my $MOST = 5 * 1024;    # bytes of what a page loads first, gzipped
my $root = $Await::Stack::ROOT;
my $client = "$root/client";
my $modules = "$root/build/client/node_modules";
# the names of fetched packages are in package-lock.json, so they are the same everywhere
system('make', '-s', '-C', $root, 'client-modules') == 0 or die "npm cannot install what client/package.json names\n";
my $dir = tempdir(CLEANUP => 1);

sub run {
    my ($command) = @_;
    my $out = `$command 2>&1`;
    diag $out if $?;
    return $? == 0;
}
sub zipped { my ($file) = @_; return length scalar `gzip -9 -n -c $file` }

subtest 'its own tests' => sub {
    my @files = glob "$client/test/*.test.mjs";
    cmp_ok scalar(@files), '>=', 3, 'there are some';
    ok run("node --no-warnings --test --test-timeout=120000 @files"), 'they pass';
};

subtest 'dist/' => sub {
    ok run("node $client/build.mjs $modules $dir/dist"), 'it is built';
    is scalar(`diff -r $client/dist $dir/dist 2>&1`), '', 'the same bytes as those in the repository: run make client';
    my $size = zipped("$client/dist/nginx-await.js");
    cmp_ok $size, '<=', $MOST, 'what a page loads first is small' or diag "$size bytes";
    note "nginx-await.js: $size bytes gzipped";
    my $bundle = slurp("$client/dist/nginx-await.js");
    is join(' ', sort $bundle =~ /import\("([^"]+)"\)/g), './stream.js ./upload.js',
        'it loads two more when it needs them';
    unlike $bundle, qr/\bimport\s*[{*"]|\bfrom\s*"/, 'and nothing at once';
};

# As an application has it: installed, with the types of what it uses; nothing else of the package is there.
subtest 'the package' => sub {
    my $pack = "npm pack --silent --ignore-scripts --pack-destination $dir";
    ok run("cd $client && $pack"), 'npm packs it';
    my ($tar) = glob "$dir/nginx-await-*.tgz";
    my @files = sort split /\n/, `tar -tzf $tar`;
    my $ours = qr{^package/(?:dist/[\w-]+\.(?:js|d\.ts)|examples/[\w-]+\.html|package\.json|README\.md|LICENSE)$};
    is_deeply [ grep { $_ !~ $ours } @files ], [], 'nothing is in it that does not belong there';
    ok scalar(grep { $_ eq 'package/LICENSE' } @files), 'but its licence';
    my $app = "$dir/app";
    make_path($app);
    Await::Stack::write_file("$app/package.json", '{"name":"app","private":true,"type":"module"}');
    my $quietly = '--silent --offline --no-audit --no-fund --legacy-peer-deps';
    ok run("cd $app && npm install $quietly $tar"), 'npm installs it, without the network';
    copy("$client/test/types/$_", "$app/$_") or die "$_: $!" for qw(app.ts hooks.tsx ssr.mjs);
    for my $name (qw(react react-dom scheduler vue typescript @types @vue csstype)) {
        symlink "$modules/$name", "$app/node_modules/$name" if -e "$modules/$name";
    }
    my $strict = '--noEmit --strict --exactOptionalPropertyTypes';
    my $tsc = "node $modules/typescript/bin/tsc $strict --jsx react-jsx --target es2022 --lib es2022,dom,dom.iterable";
    ok run("cd $app && $tsc --module nodenext --moduleResolution nodenext app.ts"),
        'tsc accepts what uses it, as Node resolves';
    ok run("cd $app && $tsc --module esnext --moduleResolution bundler app.ts hooks.tsx"),
        'and as bundlers do, with the hooks';
    ok run("cd $app && node ssr.mjs"), 'it can be imported and rendered where there is no page';
    Await::Stack::write_file("$app/index.html", '<div id="root"></div><script type="module" src="/main.tsx"></script>');
    Await::Stack::write_file("$app/main.tsx", <<'TSX');
import { createRoot } from 'react-dom/client';
import { View } from './hooks.tsx';
createRoot(document.getElementById('root')!).render(<View id={null} user="ann" />);
TSX
    my $vite = "node $modules/vite/bin/vite.js build --logLevel warn";
    ok run("cd $app && $vite"), 'vite builds a page of it';
    my @built = map { s{.*/|-[^-]{8}(?=\.js$)}{}gr } glob "$app/dist/assets/*.js";
    is "@built", 'index.js stream.js upload.js', 'and leaves two for when they are needed';
    Await::Stack::write_file("$app/vite.config.mjs", 'export default { ssr: { noExternal: true } }');
    ok run("cd $app && $vite --ssr ssr.mjs --outDir server"), 'and one file for a server, which has all of it';
    ok run("mv $app/node_modules $app/gone && node $app/server/ssr.js"), 'and runs without the package';
};

finish();
