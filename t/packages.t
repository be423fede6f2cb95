# What `make install` installs, and what the packages are made of: nothing is missing, and nothing is left by
# `make uninstall`. `make install-tests` builds the packages and installs them in clean systems.

use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use Test::More;
use lib "$FindBin::Bin/../tools/lib";
use Await::Stack;

my $root = $Await::Stack::ROOT;
my $build = $ENV{AWAIT_BUILD} // "$root/build";
my $dir = tempdir(CLEANUP => 1);
delete @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS B PREFIX DESTDIR STRIP)};
chmod 0755, $dir;

sub slurp { return Await::Stack::read_file($_[0]) }
sub said { my (@command) = @_; my $said = qx{@command 2>&1}; return $? ? "exit status $?: $said" : $said }

sub files_in {
    my ($where) = @_;
    return map { s{^\Q$where\E}{}r } grep { length } split /\n/, `find $where ! -type d`;
}

# What is in a list of packaging/install.mk.
sub listed {
    my ($name) = @_;
    my ($words) = slurp("$root/packaging/install.mk") =~ /^\Q$name\E *:= *(.*)$/m;
    return split ' ', $words // die "no list $name";
}
my @programs = (listed('EXECUTABLES'), listed('SCRIPTS'));

my $to = "$dir/root";
my $install = "make -s -C $root DESTDIR=$to PREFIX=/opt/await MODULES_DIR=/modules B=$build";
is said("$root/tools/make-man $build @{[listed('MANUALS')]}"), '', 'make man';
# not "install": what it builds first is built already
is said("umask 077; $install install-built"), '', 'make install' or BAIL_OUT 'there is nothing to look at';
my %installed = map { $_ => 1 } files_in($to);

subtest 'make install' => sub {
    ok $installed{"/opt/await/bin/$_"}, "$_ is installed" for @programs;
    for (qw(/modules/ngx_http_await_module.so /opt/await/bin/await-worker)) {
        like said("file $to$_"), qr/, stripped$/m, "$_ is stripped";
    }
    cmp_ok -s "$to/modules/ngx_http_await_module.so", '<', 4e6, 'the module is small' unless $ENV{AWAIT_ASAN};
    my ($version) = slurp("$root/src/base/version.h") =~ /"(.*?)"/;
    is said("$to/opt/await/bin/$_ --version"), "$_ $version\n", "$_ works where it is installed" for @programs;
    ok $installed{"/opt/await/share/nginx-await/tools/$_"}, "with $_"
        for map { m{([^/]+)$} } glob "$root/tools/await-ctl-*";
    my @sql = split /\n/, `cd $root && git ls-files sql`;
    is_deeply [ grep { !$installed{"/opt/await/share/nginx-await/$_"} } @sql ], [], 'and all of the SQL';
    like said("env AWAIT_POSTGRES='host=$dir/none' $to/opt/await/bin/await-ctl migrate"), qr/connection to server/,
        'await-ctl finds it, and asks PostgreSQL';
    is said("find $to/opt $to/modules ! -type l ! -perm -a=r -o -type d ! -perm -a=x"), '',
        'all may read it, whatever the umask is';
    my @broken = grep { -l "$to$_" && !-e "$to$_" } keys %installed;
    is_deeply \@broken, [], 'no link leads nowhere';
    like said("env -u HOME make -s -C $root help"), qr/\Amake targets:/, 'make complains of no HOME, as under cron';
};

subtest 'manual pages' => sub {
    my $man = "$to/opt/await/share/man";
    for my $program (@programs) {
        ok -s "$man/man1/$program.1", "$program.1" or next;
        my $page = said("env MANWIDTH=200 man -E ascii -l $man/man1/$program.1");
        my @help = ('--help', $program eq 'await-ctl' ? ('setup --help', 'check --help') : ());
        my %options =
            map { $_ => 1 } map { said("$to/opt/await/bin/$program $_") =~ /(?<![\w-])(--?[a-z][a-z-]*)/g } @help;
        cmp_ok scalar keys %options, '>=', 4, "$program has options";
        my @missing = grep { $page !~ /(?<![\w-])\Q$_\E(?![\w-])/ } sort keys %options;
        is_deeply \@missing, [], "$program.1 has all of them";
        my ($also) = $page =~ /^SEE ALSO\n(.*)/ms;
        is_deeply [ grep { $_ ne $program && $also !~ /\b\Q$_\E\(1\)/ } @programs ], [], 'and names the others';
    }
    my $page = said("env MANWIDTH=200 man -E ascii -l $man/man5/nginx-await.5");
    my @directives = map { m{([^/]+)\.md$} } glob "$root/docs/directives/*.md";
    is_deeply [ grep { $page !~ /^   \Q$_\E$/m } @directives ], [], 'nginx-await.5 has all directives';
    is said("env LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z $_ > /dev/null"), '', "no warning: $_"
        for glob "$man/man*/*";
};

# a package is built where PostgreSQL is not installed
subtest 'await-ctl without psql' => sub {
    mkdir "$dir/bin";
    symlink "/usr/bin/$_", "$dir/bin/$_" for qw(sh cat sed awk grep dirname readlink);
    my $ctl = "env PATH=$dir/bin $to/opt/await/share/nginx-await/tools/await-ctl";
    like said("$ctl --help"), qr/\Ausage: await-ctl migrate/, '--help says it';
    like said("$ctl $_ --help"), qr/\Ausage: await-ctl $_ /, "$_ --help, too" for qw(setup check);
    like said("$ctl --version"), qr/\Aawait-ctl \d/, '--version too';
    like said("$ctl status"), qr/\Aexit status \d+: await-ctl: psql is missing [^\n]*\n\z/,
        'all else names what is missing';
};

subtest 'units' => sub {
    my $units = "$to/opt/await/lib/systemd/system";
    ok -e "$units/$_", "$_ is installed" for listed('UNITS');
    like slurp("$units/await-relay.service"), qr{^ExecStart=/opt/await/bin/await-relay$}m,
        'starts what is installed beside it';
    plan skip_all => 'no systemd-analyze' if system('systemd-analyze --version > /dev/null 2>&1') != 0;
    for my $unit (listed('UNITS')) {
        my $name = $unit =~ s/@/\@queue/r;
        # as it would be: with the program and the files that it names
        my $text = slurp("$units/$unit") =~ s{/opt/await/bin}{$to/opt/await/bin}r =~ s{^User=.*}{User=daemon}mr;
        Await::Stack::write_file("$dir/$name", $text, 0644);
        my $verified = said("systemd-analyze verify --man=no $dir/$name");
        $verified = join '', grep { /await/ } split /^/, $verified;
        is $verified, '', "systemd-analyze verify $unit";
        my ($exposure) = said("systemd-analyze security --offline=true $dir/$name") =~ /exposure level .*: ([\d.]+)/;
        cmp_ok $exposure // 10, '<=', 3, "systemd-analyze security $unit: $exposure of 10";
    }
};

subtest 'completion' => sub {
    my $completion = "$to/opt/await/share/bash-completion/completions";
    my $complete = sub {
        my ($program, @words) = @_;
        my $script =
              ". $completion/$program; COMP_WORDS=($program @words); COMP_CWORD="
            . @words . '; '
            . "_nginx_await; printf '%s\\n' \"\${COMPREPLY[\@]}\"\n";
        Await::Stack::write_file("$dir/complete", $script, 0644);
        local $ENV{PATH} = "$to/opt/await/bin:$ENV{PATH}";
        return map { split /\n/ } said("bash $dir/complete");
    };
    my %usage = map { $_ => 1 }
        map { split /\|/ } said("$root/tools/await-ctl --help") =~ /^(?:usage:| {6}) await-ctl ([a-z][\w|-]*)/mg;
    cmp_ok scalar keys %usage, '>=', 12, 'await-ctl has commands';
    is_deeply [ $complete->('await-ctl', "''") ], [ sort keys %usage ], 'all are completed';
    is_deeply [ $complete->('await-ctl', 'mi') ], ['migrate'], 'and one of them';
    is_deeply [ $complete->('await-ctl', 'setup', '--redis') ], [ '--redis', '--redis-users' ], 'options of its setup';
    is_deeply [ $complete->('await-worker', '--thin') ], ['--thin-hints'], 'options of await-worker';
    is_deeply [ $complete->('await-relay', '--wal-l') ], ['--wal-limit'], 'options of await-relay';
    ok $installed{"/opt/await/share/bash-completion/completions/$_"}, "there is one for $_" for @programs;
};

subtest 'make uninstall' => sub {
    Await::Stack::write_file("$to/opt/await/share/nginx-await/mine", '', 0644);
    is said("$install uninstall"), '', 'make uninstall';
    is_deeply [ files_in($to) ], ['/opt/await/share/nginx-await/mine'], 'removes its files, and no others';
    unlink "$to/opt/await/share/nginx-await/mine";
    is said("$install uninstall"), '', 'again';
    ok !-d "$to/opt/await/share/$_", "and the directory $_" for qw(nginx-await doc/nginx-await);
};

subtest 'STRIP= keeps the symbols' => sub {
    is said("$install STRIP= install-built"), '', 'make install STRIP=';
    like said("file $to/opt/await/bin/await-worker"), qr/not stripped$/m, 'they are there';
};

subtest 'a module of another nginx' => sub {
    my $nginx = $ENV{AWAIT_NGINX} // '/usr/sbin/nginx';
    my $module = "$build/objs/ngx_http_await_module.so";
    is said("$root/tools/check-module $module $nginx"), '', 'ours fits';
    my $other = slurp($module);
    ok $other =~ s/(\d,\d,\d,)([01])([01]{20,})/$1 . (1 - $2) . $3/ge, 'one with another signature';
    Await::Stack::write_file("$dir/other.so", $other, 0644);
    my $said = said("$root/tools/check-module $dir/other.so $nginx");
    like $said, qr/^exit status \d+: \S+ was not built for \S+ \(nginx[^\n]*NGINX_SRC=[^\n]*\n\z/,
        'is told in one line';
    Await::Stack::write_file("$dir/no.so", 'no module', 0644);
    like said("$root/tools/check-module $dir/no.so $nginx"), qr/cannot load \S+: [^\n]*\[emerg\][^\n]*\n\z/,
        'and any other reason';
};

subtest 'debian/' => sub {
    my ($set) = slurp("$root/tools/install-deps") =~ /^ *\[build\]="(.*?)"/ms;
    my ($control) = slurp("$root/debian/control") =~ /^Build-Depends: (.*?)^\S/ms;
    my %of_control = map { s/ \(.*//r => 1 } split /,\s*/, $control =~ s/\s+\z//r;
    my %of_build = map { $_ => 1 } split ' ', $set;
    is_deeply [ grep { !$of_control{$_} } sort keys %of_build ], [qw(g++ make)],
        'its Build-Depends are the set "build" of tools/install-deps, but for build-essential';
    is_deeply [ grep { !$of_build{$_} } sort keys %of_control ], [qw(debhelper-compat lowdown)],
        'and what makes packages and manual pages';
    my ($version) = slurp("$root/src/base/version.h") =~ /"(.*?)"/;
    like slurp("$root/debian/changelog"), qr/\Anginx-await \(\Q$version\E\) /, 'its version is that of the source';
    my ($spec) = slurp("$root/packaging/nginx-await.spec") =~ /^Version: *(\S+)/m;
    is $spec, $version, 'and that of the RPM spec';
    my %packaged;
    for my $list (glob "$root/debian/*.install") { $packaged{$_} = 1 for split ' ', slurp($list) }
    my @left = grep {
        my $file = $_ =~ s{^/opt/await}{usr}r;
        !grep { index("$file/", "$_/") == 0 } keys %packaged
    } grep { !m{^/modules/|/systemd/} } sort keys %installed;
    is_deeply \@left, [], 'whatever is installed is in one of the packages';
};

# debian/await-tools.postrm in a system of its own: what it says.
sub purged {
    my ($system) = @_;
    mkdir "$dir/few";
    symlink "/usr/bin/$_", "$dir/few/$_" for qw(sh sed grep find rm rmdir);    # no deluser
    return said("env PATH=$dir/few DPKG_ROOT=$system sh $root/debian/await-tools.postrm purge");
}

subtest 'purging await-tools' => sub {
    my $system = "$dir/purged";
    my $database = "runuser -u postgres -- psql -c 'DROP DATABASE IF EXISTS \"await\" WITH (FORCE)'";
    my $write = sub {
        my ($path, $text) = @_;
        Await::Stack::make_dir($system . $path =~ s{/[^/]*$}{}r);
        Await::Stack::write_file("$system$path", $text // '', 0600);
    };
    my $setup = sub {
        $write->($_) for map { "/etc/await/$_" } qw(example.env nginx.pgpass worker.pgpass await_edge.redis);
        my @files = map { "rm -f '/etc/$_'" } qw(nginx/snippets/await.conf await/example.env await/nginx.pgpass
            await/worker.pgpass await/await_edge.redis);
        my $itself = "rm -f '/etc/await/undo.sh'; rmdir '/etc/await'";
        $write->('/etc/await/undo.sh', join "\n", '# Undoes it', @files, $database, $itself, '');
    };
    $setup->();
    my $said = purged($system);
    like $said, qr/what "await-ctl setup" has made .* still there.*\n\Q$database\E\n\z/s,
        'it says what is left, and what removes it';
    like $said, qr{^rm -f '/etc/nginx/snippets/await\.conf'$}m, 'files of nginx too';
    unlike $said, qr{/etc/await/}, 'and nothing that has gone';
    is_deeply [ files_in("$system/etc") ], [], 'the files of setup have gone';
    ok !-d "$system/etc/await", 'and the directory';
    is purged($system), '', 'again, there is nothing to say';

    $setup->();
    $write->('/etc/nginx/snippets/await.conf', "await_postgres \"passfile=/etc/await/nginx.pgpass\";\n");
    like purged($system), qr{kept /etc/await/nginx\.pgpass, .*sh /etc/await/undo\.sh$}s, 'what nginx reads is kept';
    is_deeply [ sort(files_in("$system/etc/await")) ], [ '/nginx.pgpass', '/undo.sh' ], 'with what removes it, only';

    unlink glob "$system/etc/await/*";
    $write->("/etc/await/$_") for qw(mine.pgpass await_edge.redis kafka.properties work.env);
    my $wants = '/etc/systemd/system/multi-user.target.wants';
    my @links = map { "$system$wants/$_.service" } qw(await-worker@mine await-relay nginx);
    $write->("$wants/await-worker\@own.service");
    symlink '/none', $_ for @links;
    is purged($system), '', 'without setup nothing is said';
    is_deeply [ sort(files_in("$system/etc/systemd")) ],
        [ map { $_ =~ s{^/etc/systemd}{}r } map { "$wants/$_.service" } qw(await-worker@own nginx) ],
        'links to units that have gone go with them';
    is_deeply [ sort(files_in("$system/etc/await")) ], [ '/await_edge.redis', '/kafka.properties', '/mine.pgpass' ],
        'and files of the operator are kept, but for those of the units';
};

subtest 'make deb: the maintainer' => sub {
    plan skip_all => 'no dpkg-parsechangelog (dpkg-dev)'
        if system('dpkg-parsechangelog --version > /dev/null 2>&1') != 0;
    # stands in for the build: the packages have what these files say
    Await::Stack::make_dir("$dir/deb-bin");
    Await::Stack::write_file("$dir/deb-bin/dpkg-buildpackage",
        "#!/bin/sh\ngrep -h -e '^Maintainer:' -e '^ -- ' debian/control debian/changelog > ../who.deb\n", 0755);
    my $who = sub {
        local @ENV{qw(PATH DEBFULLNAME DEBEMAIL EMAIL USER)} =
            ("$dir/deb-bin:$ENV{PATH}", @_, 'builder@here', 'builder');
        delete @ENV{ grep { !defined $ENV{$_} } qw(DEBFULLNAME DEBEMAIL) };
        my $said = said("$root/packaging/make-deb $dir/deb");
        return $? ? $said : join ' ', map { /^(?:Maintainer:| --) (.* <.*>)/ } split /\n/, slurp("$dir/deb/who.deb");
    };
    my $ours = 'nginx-await developers <maintainers@nginx-await.invalid>';
    is $who->(undef, undef), "$ours $ours", 'not who builds them';
    my $theirs = "Zoë O'Doe <zoe\@example.org>";
    is $who->("Zoë O'Doe", 'zoe@example.org'), "$theirs $theirs", 'but who is named to publish them';
    like $who->($_, 'zoe@example.org'), qr/^exit status \d+: make-deb: DEBFULLNAME/, 'hostile ones are refused'
        for "a\nb", 'a <b>', 'a|e id|', 'a&b', 'a\\b';
};
done_testing;
