# The tools of the build see what they are for: a build directory that is not whole is made again, and each check of
# sizes and commit messages fails where it should. nginx and the compiler are stand-ins that only count.

use strict;
use warnings;
no warnings 'exec';
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use FindBin;
use Test::More;
use lib "$FindBin::Bin/../tools/lib";
use Await::Stack;

my $root = $Await::Stack::ROOT;
my $dir = tempdir(CLEANUP => 1);
delete @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS B CC CXX CXXFLAGS AWAIT_CXXFLAGS NGINX_SRC JOBS GIT_DIR)};

sub slurp { return Await::Stack::read_file($_[0]) }

sub spew {
    my ($path, $text, $mode) = @_;
    make_path($path =~ s{/[^/]*$}{}r);
    Await::Stack::write_file($path, $text, $mode);
}

# Runs a command in a process group of its own; what it said, and its status in $?.
sub run {
    my ($in, @command) = @_;
    my $pid = open(my $from, '-|') // die "fork: $!\n";
    if ($pid == 0) {
        setpgrp;
        chdir $in;
        open STDERR, '>&', \*STDOUT;
        exec @command;
        POSIX::_exit(127);
    }
    my $said = do { local $/; <$from> }
        // '';
    close $from;
    return $said;
}

# A tree with our build files and one source.
sub project {
    my ($at) = @_;
    make_path("$at/tools");
    copy("$root/tools/$_", "$at/tools/$_") for qw(build-module install-deps check-layers check-size check-commits);
    chmod 0755, glob "$at/tools/*";
    make_path("$at/packaging");
    copy("$root/$_", "$at/$_") for qw(config config.make Makefile packaging/install.mk);
    spew("$at/src/core/$_.cc", "// $_\n") for qw(one two);
    return $at;
}

# An nginx whose configure writes a makefile, and counts its runs; with CRASH it is killed half-way, with all around it.
sub nginx {
    my ($at, $configure, $version) = @_;
    spew("$at/src/core/nginx.h", "#define NGINX_VERSION      \"$version\"\n");
    spew("$at/$configure", <<'SH', 0755);
#!/bin/sh
for word; do case $word in --builddir=*) objs=${word#*=} ;; esac; done
echo run >> "$LOG"
printf 'modules:\n\techo built >> "$(LOG)"\n' > "$objs/Makefile"
[ -z "$CRASH" ] || kill -KILL 0
SH
    return $at;
}

subtest 'the module is configured when it has to be' => sub {
    local $ENV{LOG} = "$dir/configured";
    my $here = project("$dir/here");
    my $nginx = nginx("$dir/nginx", 'configure', '1.22.1');
    my $runs = sub { return scalar(() = slurp($ENV{LOG}) =~ /^run$/mg) };
    my $before = 0;
    my $build = sub {
        my ($from, $at) = @_;
        my $said = run($at // $here, 'tools/build-module', $from, "@{[ $at // $here ]}/build");
        return $said;
    };
    my $configures = sub {
        my ($how, $what, @arguments) = @_;
        $build->(@arguments);
        is $?, 0, "builds: $what";
        is $runs->() - $before, $how, ($how ? 'configures: ' : 'does not configure: ') . $what;
        $before = $runs->();
    };
    $configures->(1, 'the first time', $nginx);
    $configures->(0, 'nothing changed', $nginx);
    unlink "$here/src/core/two.cc";
    $configures->(1, 'a source is gone', $nginx);
    spew("$here/src/http/new/three.cc", '');
    $configures->(1, 'a source in a new folder', $nginx);
    spew("$here/config.make", "# changed\n");
    $configures->(1, 'config.make has changed', $nginx);
    nginx($nginx, 'configure', '1.26.3');
    $configures->(1, 'another version of nginx', $nginx);
    my $clone = nginx("$dir/clone", 'auto/configure', '1.26.3');
    $configures->(1, 'another NGINX_SRC, a clone with auto/configure', $clone);

    { local $ENV{CRASH} = 1; unlink "$here/build/objs/configured"; $build->($clone) }
    isnt $?, 0, 'a configure is killed';
    ok -e "$here/build/objs/Makefile", 'and leaves a makefile';
    $before = $runs->();
    $configures->(1, 'the last configure did not end', $clone);

    is system('cp', '-a', $here, "$dir/copy"), 0, 'the whole directory is copied';
    spew("$dir/copy/build/objs/stale.o", '');
    $configures->(1, 'a copy', $clone, "$dir/copy");
    ok !-e "$dir/copy/build/objs/stale.o", 'which begins with an empty directory';

    my $made = run($here, 'make', '-n', 'build', "B=$dir/dry", "NGINX_SRC=$clone", 'JOBS=-j1');
    is $?, 0, 'make -n: exit status';
    like $made, qr{^would build the module in \Q$dir\E/dry/objs$}m, 'it says what would be built';
    is $runs->(), $before, 'and configures nothing';
    ok !-e "$dir/dry/objs", 'nor makes anything';

    spew("$here/build/objs/under_way", '');
    utime 1, 1, "$here/build/objs/under_way";
    spew("$here/build/objs/cut.o", '');
    $configures->(0, 'the last make was killed', $clone);
    ok !-e "$here/build/objs/cut.o", 'what it wrote last is made again';

    remove_tree("$dir/clone/auto");
    like $build->($clone), qr{NGINX_SRC=\S+ has neither ./configure nor auto/configure}, 'a tree without any is named';
    isnt $?, 0, 'and is an error';
};

subtest 'objects and executables are made again when they have to be' => sub {
    my $here = project("$dir/objects");
    # writes what -o and -MF ask for
    spew("$here/c++", <<'SH', 0755);
#!/bin/sh
[ "$1" != --version ] || { echo "$VERSION"; exit; }
while [ $# -gt 0 ]; do
    case $1 in -c) source=$2 ;; -o) out=$2 ;; -MF) deps=$2 ;; -MM) source=- ;; esac
    shift
done
[ -z "$deps" ] || echo "$out: src/core/one.h" > "$deps"
[ "$source" != - ] || exit 0
: > "$out"; echo "${source:-link}" >> "$LOG"
SH
    spew("$here/src/worker/main.cc", '');
    spew("$here/src/core/one.h", '');
    my $makes = sub {
        my ($what, $expected, $at, @variables) = @_;
        local @ENV{qw(LOG VERSION)} = ("$dir/compiled", $ENV{VERSION} // 'c++ 12');
        unlink $ENV{LOG};
        run($at, 'make', '-s', "CXX=$at/c++", @variables, 'worker');
        is $?, 0, "make: $what";
        is_deeply [ sort split /\n/, slurp($ENV{LOG}) ], $expected, $what;
    };
    my @all = ('link', map { "src/$_.cc" } qw(core/one core/two worker/main));
    $makes->('all at first', \@all, $here);
    $makes->('nothing when nothing has changed', [], $here);
    $makes->('all with other flags', \@all, $here, 'CXXFLAGS=-O0');
    $makes->('all with those of before', \@all, $here);
    { local $ENV{VERSION} = 'c++ 14'; $makes->('all by another compiler', \@all, $here) }
    $makes->('all by that of before', \@all, $here);
    unlink "$here/src/core/two.cc";
    $makes->('linked without a source that is gone', ['link'], $here);
    spew("$here/objs/addon/core/one.o", 'of the module');
    my @with = ("CXXFLAGS=-O1", "MODULE_OBJECTS=$here/objs");
    $makes->('nothing again that the module has', [ 'link', 'src/worker/main.cc' ], $here, @with);
    is slurp("$here/build/cc/core/one.o"), 'of the module', 'which is the same object';
    for my $file (qw(one.cc one.h)) {
        utime time + 60, time + 60, "$here/src/core/$file";
        unlink "$here/build/cc/core/one.o";
        $makes->("what the module has of an older $file", [ 'link', 'src/core/one.cc' ], $here, @with);
        utime 1, 1, "$here/src/core/$file";
    }
    is system('cp', '-a', $here, "$dir/objects2"), 0, 'the directory is copied';
    $makes->('all in a copy', [ grep { !/two/ } @all ], "$dir/objects2");
};

subtest 'a directory with a space in its name' => sub {
    my $here = project("$dir/a space");
    for (['build'], ['clean'], [ 'clean', "B=$dir/b c" ]) {
        my $said = run($_->[1] ? "$dir/objects" : $here, 'make', @$_);
        isnt $?, 0, "make @$_ fails";
        like $said, qr/^Makefile:\d+: .* has a space or another special character.*\n\z/, 'says why';
    }
    ok !-e "$here/build" && !-e "$dir/a", 'nothing is made';
};

subtest 'two makes at once' => sub {
    my $here = project("$dir/twice");
    # each waits until both are there, and writes its own text in two parts
    spew("$here/c++", <<'SH', 0755);
#!/bin/sh
[ "$1" != --version ] || { echo c++; exit; }
while [ $# -gt 0 ]; do
    case $1 in -o) out=$2 ;; -MF) deps=$2 ;; esac
    shift
done
echo "$ME $out" >> "$LOG"; printf $ME > "$out"; [ -z "$deps" ] || : > "$deps"
n=0; until grep -q "^$OTHER " "$LOG" || [ $n = 200 ]; do sleep 0.05; n=$((n + 1)); done
printf $ME >> "$out"
SH
    spew("$here/src/worker/main.cc", '');
    local $ENV{LOG} = "$dir/twice.log";
    my @makes = map {
        local @ENV{qw(ME OTHER)} = @$_;
        my $pid = fork // die;
        if (!$pid) { chdir $here; exec 'make', '-s', "CXX=$here/c++", 'worker' }
        $pid
    } [ 'A', 'B' ], [ 'B', 'A' ];
    for (@makes) { waitpid $_, 0; is $?, 0, 'make' }
    my %seen;
    $seen{$_}++ for slurp($ENV{LOG}) =~ /^[AB] (.+)$/mg;
    cmp_ok scalar keys %seen, '>', 4, 'both compile';
    is_deeply [ grep { $seen{$_} > 1 } sort keys %seen ], [], 'no two write the same file';
    like slurp($_), qr/\A(?:AA|BB)\z/, s{.*/}{}r . ' is whole'
        for glob("$here/build/cc/*/*.o"), "$here/build/await-worker";
    is_deeply [ grep { /\.(?:new|deps)$/ } glob "$here/build/* $here/build/cc/* $here/build/cc/*/*" ], [],
        'nothing is left over';
};

subtest 'a free port is given once' => sub {
    # with few to give: each of two processes takes what there is, and holds it until the other has, too
    no warnings 'redefine';
    local *Await::Ports::read_random = sub { return pack 'L', int rand 8 };
    my @from = map {
        my $pid = open(my $ports, '-|') // die;
        if (!$pid) {
            $| = 1;
            print join(' ', grep { $_ < 10008 } map { Await::Stack::free_port() } 1 .. 8), "\n";
            sleep 60;
            POSIX::_exit(0);
        }
        [ $pid, $ports ]
    } 1, 2;
    my %given;
    $given{$_}++ for map { split ' ', readline($_->[1]) } @from;
    kill 'KILL', map { $_->[0] } @from;
    close $_->[1] for @from;
    cmp_ok scalar keys %given, '>', 4, 'ports are given';
    is_deeply [ grep { $given{$_} > 1 } sort keys %given ], [], 'each once';
};

subtest 'missing packages are named in one line' => sub {
    my $here = project("$dir/packages");
    spew("$here/bin/dpkg-query", "#!/bin/sh\nexit 1\n", 0755);
    my $said = do { local $ENV{PATH} = "$here/bin:$ENV{PATH}"; run($here, 'tools/install-deps', '--missing', 'build') };
    is $? >> 8, 69, 'is an error';
    like $said, qr/\Amissing packages: make g\+\+ .*libhiredis-dev.*; install them by apt-get, .*\n\z/,
        'one line with all of them';
};

subtest 'layers' => sub {
    my $here = project("$dir/layers");
    spew("$here/src/pg/rows.h", '');
    spew("$here/src/core/three.h", '');
    my $complaints = sub {
        my ($name, $text) = @_;
        spew("$here/$name", $text);
        my $said = run($here, 'tools/check-layers');
        unlink "$here/$name";
        return $said;
    };
    for (
        '#include "three.h"',
        '#include "core/three.h"',
        '#include "base/../core/three.h"',
        '// #include "pg/rows.h"',
        "/*\n#include \"pg/rows.h\"\n*/",
        '#include <string>',
        )
    {
        is $complaints->('src/core/a.h', "$_\n"), '', s/\n/ /gr;
    }
    for (
        '#include "pg/rows.h"',
        '# include "pg/rows.h"',
        "  #\tinclude\t<pg/rows.h>",
        '#include"pg/rows.h"',
        '#include "../pg/rows.h"',
        '#include "core/../pg/rows.h"',
        '#include /* */ "pg/rows.h"',
        "#include \\\n  \"pg/rows.h\"",
        '%:include "pg/rows.h"',
        '#import "pg/rows.h"',
        'import "pg/rows.h";',
        '#include "pg/gone.h"',
        )
    {
        is $complaints->('src/core/a.h', "$_\n"), "check-layers: src/core/a.h: core may not include pg\n", s/\n/ /gr;
    }
    like $complaints->('src/core/a.h', qq(#include "../../t/a.h"\n)), qr{includes ../../t/a.h, which is not in src},
        'not in src';
    like $complaints->('src/core/a.h', "#include ROWS\n"), qr{an include without a name: ROWS}, 'a macro';
    like $complaints->('src/core/a.h', "#  include <libpq-fe.h>\n"), qr{core may not use libpq}, 'what is not ours';
    like $complaints->('src/core/deep/er/a.h', qq(#include "pg/rows.h"\n)), qr{a.h: core may not include pg},
        'a file deep below';
    like $complaints->('src/http/live/deep/a.h', qq(#include "http/modules/a.h"\n)),
        qr{src/http/live may not include src/http/modules},
        'a room of http';
    my $integer = "std::int64_t a();\n";
    is $complaints->('src/core/a.h', $integer), "check-layers: src/core/a.h: has no #include <cstdint>\n",
        'a type without its header';
    is $complaints->('src/core/a.h', "#include <cstdint>\n$integer"), '', 'with it';
    spew("$here/src/core/four.h", "#include <cstdint>\n");
    is $complaints->('src/core/a.h', qq(#include "core/four.h"\n$integer)), '', 'or by another one of ours';
    like $complaints->($_, "\n"), qr{^check-layers: $_: is in no layer}, $_ for qw(src/a.cc src/new/a.cc);
    like $complaints->('src/http/a.cc', "\n"), qr{belongs into one of src/http/}, 'src/http/a.cc';
    like $complaints->('src/core/a.hpp', "\n"), qr{sources are named .cc or .h}, 'a.hpp';
    my $client = sub { return $complaints->('client/src/watch.ts', "$_[0] from '$_[1]';\n") };
    is $client->('import { withQuery }', './http.js'), '', 'a file of the client imports from those below';
    is $client->('import type { Hub }', './hub.js'), '', 'and types from any';
    for (qw(./hub.js ./watch.js ./gone.js react)) {
        like $client->('import { x }', $_), qr{^check-layers: client/src/watch.ts: may not import }, "not from $_";
    }
    like $complaints->('client/src/new.ts', "\n"), qr{is not in the order}, 'a file that is new';
    is run($here, 'tools/check-layers'), '', 'nothing else';
    is $?, 0, 'is no error';
};

subtest 'sizes' => sub {
    my $here = project("$dir/sizes");
    my $tool = slurp("$here/tools/check-size") =~ s/^my %may_be_longer = \(.*?^\);/my %may_be_longer = ();/msr;
    spew("$here/tools/check-size", $tool, 0755);
    my $complaints = sub {
        my ($name, $text) = @_;
        spew("$here/$name", $text);
        my $said = run($here, 'tools/check-size');
        unlink "$here/$name";
        return $said;
    };
    my $body = sub { return "  one();\n" x $_[0] };
    is $complaints->('src/core/f.cc', "void f() {\n" . $body->(58) . "}\n"), '', 'a function of 60 lines may be';
    like $complaints->('src/core/f.cc', "void f() {\n" . $body->(59) . "}\n"),
        qr{src/core/f.cc:1: a function of 61 lines, 60 at most}, 'one of 61 may not';
    isnt $?, 0, 'is an error';
    my $constructor = "struct T {\n  T(int a)\n      : a_{a}, b_{\"}\"} {\n" . $body->(60) . "  }\n};\n";
    like $complaints->('src/core/t.h', $constructor), qr{src/core/t.h:2: a function of 63 lines.*\(T\)},
        'a constructor with members in braces';
    is $complaints->('src/core/t.cc', "Row rows[] = {\n" . "    {\"a\", f()},\n" x 100 . "};\n"), '',
        'a table is no function';
    like $complaints->('t/lib/Await/Long.pm', "package Long;\nsub f {\n" . "    one();\n" x 60 . "}\n1;\n"),
        qr{Long.pm:2: a function of 62 lines}, 'a sub';
    like $complaints->('src/wire/long.cc', "// a line\n" x 501), qr{src/wire/long.cc: 501 lines, 500 at most},
        'a file of 501 lines';
    like $complaints->($_, "# a line\n" x 501), qr{^check-size: $_: 501 lines, 500 at most}, $_
        for qw(src/core/deep/er/a.h src/a.cc tools/lib/A.pm tools/lib/Await/Deep/A.pm t/lib/Await/Deep/A.pm);
};

subtest 'messages of commits' => sub {
    my $here = project("$dir/commits");
    my $git = sub {
        my $said = run($here, 'git', '-c', 'user.name=x', '-c', 'user.email=x@example.org', @_);
        is $?, 0, "git $_[0]";
        return $said;
    };
    $git->('init', '-q');
    $git->('add', '.');
    $git->('commit', '-q', '-m', 'as it was');
    my $start = $git->('rev-parse', 'HEAD') =~ s/\n//r;
    my $said = sub { return run($here, 'tools/check-commits', $start) };
    my $commit = sub { $git->('commit', '-q', '--allow-empty', '--cleanup=verbatim', '-m', $_[0]) };
    is $said->(), '', 'what was before does not count';
    $commit->("Hub: drop listeners that fall behind\n\nThey kept rows in memory that nobody would read.\n");
    $commit->("\xe2\x80\xa6" x 72 . "\n\nCharacters count, not bytes.\n");
    is $said->(), '', 'a subject and a body';
    is $?, 0, 'is no error';
    for (
        [ 'x' x 73 . "\n\nWhy.\n", qr/the subject has 73 columns, 72 at most/ ],
        [ "\xe2\x80\xa6" x 73 . "\n\nWhy.\n", qr/"(?:\xe2\x80\xa6){40}": the subject has 73 columns/ ],
        [ "No body\n", qr/has no body: say why/ ],
        [ "No body\n\nSigned-off-by: x\n", qr/has no body: say why/ ],
        [ "Second line\nnot empty\n\nWhy.\n", qr/the second line is not empty/ ],
        [ "wip: more\n\nWhy.\n", qr/fold it into the commit/ ],
        )
    {
        $commit->($_->[0]);
        like $said->(), qr/\A.*$_->[1].*\n\z/, "one complaint: $_->[1]";
        is $? >> 8, 1, 'is an error';
        $git->('reset', '-q', '--soft', 'HEAD~1');
    }
    $commit->("Unhelpful\n");
    my $tool = slurp("$here/tools/check-commits") =~
        s/^my \(\$since, \$date\) = .*/my (\$since, \$date) = ('$start', '2020-01-01T00:00:00Z');/mr;
    is run($dir, 'git', 'clone', '-q', '--depth', 1, "file://$here", "$dir/shallow"), '',
        'a shallow clone, without the first commit';
    spew("$dir/shallow/tools/check-commits", $tool, 0755);
    like run("$dir/shallow", 'tools/check-commits'), qr/Unhelpful.*has no body/, 'is checked by date';
    $git->('reset', '-q', '--hard', 'HEAD~1');
    $git->('checkout', '-q', '-b', 'side');
    $commit->("Side\n\nWhy.\n");
    $git->('checkout', '-q', '-');
    $git->('merge', '-q', '--no-ff', '-m', "Merge branch 'side'", 'side');
    is run($dir, 'git', 'clone', '-q', '--depth', 1, "file://$here", "$dir/merge"), '', 'a shallow clone of a merge';
    spew("$dir/merge/tools/check-commits", $tool, 0755);
    is run("$dir/merge", 'tools/check-commits'), '', 'has no complaint of the merge';
};

# A file that fails once fails nothing, one that fails again does, and so does one that a promise stands in.
subtest 'end-to-end tests that fail' => sub {
    my $here = "$dir/e2e";
    my $ok = "use Test::More; ok 1, 'good'; done_testing();";
    my $once = "use Test::More; ok -e '$here/seen', 'only then'; open my \$f, '>', '$here/seen'; done_testing();";
    my $never = "use Test::More; ok 0, 'never'; done_testing();";
    for (
        [ 'none', { a => $ok }, 0, qr/^Result: PASS\n\z/m ],
        [ 'one, once', { a => $ok, b => $once }, 0, qr{unsteady, failed beside others and passed alone: b\.t\n\z} ],
        [ 'one, always', { a => $ok, b => $never }, 1, qr/once more, alone: b\.t.*never/s ],
        [ 'three', { a => $ok, b => $once, c => $never, d => $never }, 1, qr/\A(?!.*once more)/s ],
        [ 'a promise', { a => $ok, p1_x => $once }, 1, qr/\A(?!.*once more)/s ],
        [ 'chaos', { a => $ok, chaos_x => $once }, 1, qr/\A(?!.*once more)/s ],
        [ 'the only one', { b => $once }, 1, qr/\A(?!.*once more)/s ],
        )
    {
        my ($what, $files, $status, $says) = @$_;
        remove_tree($here);
        spew("$here/$_.t", $files->{$_}) for keys %$files;
        my $said = run($here, "$root/tools/e2e", map { "$_.t" } sort keys %$files);
        is $? >> 8, $status, "$what: status $status";
        like $said, $says, "$what: what it says";
        is -e "$here/build/e2e.unsteady" ? 1 : 0, $what eq 'one, once' ? 1 : 0, "$what: what make test says at its end";
    }
};

# What is asked is whether they are there; SIGPIPE would end the whole command.
subtest 'a stack whose servers are not there' => sub {
    local $SIG{PIPE} = sub { fail('SIGPIPE arrives') };
    my $stack = Await::Stack->new(dir => "$dir/stack");
    ok !$stack->try_sql('-' x 1_000_000), 'psql ends before it has read its input';
    my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "listen: $!\n";
    $stack->{redis_port} = $server->sockport;
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) { close $server->accept; POSIX::_exit(0) }
    is $stack->redis_command('PING'), '', 'Redis closes the connection';
    waitpid $pid, 0;
};

done_testing();
