# `await-ctl setup` in a world that is against it: files, links and directories that others have put in its way, and
# runs that are killed at any moment, which the next run completes.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::Host;    # after it, which finds its modules
use File::Path qw(remove_tree);
use POSIX ();
use Test::More;

plan skip_all => 'setup is for root' if $> != 0;

alarm 900;          # psql many times: on a busy machine that takes long
my $s = start_stack(without => [qw(postgres redis nginx)]);
my $host = Await::Host->start($s, hba => "local all postgres peer\nlocal all all scram-sha-256\n");
my $etc = $host->{etc};
my $victim = "$s->{dir}/victim";
Await::Stack::write_file($victim, "precious\n", 0640);
my $before = $host->state;

# With something in its way, which the first code makes and the last takes away: what setup says, and that it changes
# nothing.
sub refuses {
    my ($name, $make, $status, $says, $mend, %o) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $make->();
    my $with = $host->state;
    my ($got, $out) = $host->setup($o{arguments} // ['--redis=off'], %o);
    is $got, $status, "$name: exit status" or diag $out;
    like $out, $says, "$name: what it says";
    is_deeply $host->state, $with, "$name: nothing is changed";
    $mend->();
    is slurp($victim), "precious\n", "$name: the file of another is as it was";
}

subtest 'what others have put in its way' => sub {
    my @enable = (arguments => [ '--redis=off', '--enable' ]);
    for my $plant (sub { symlink $victim, $_[0] }, sub { Await::Stack::write_file($_[0], "mine\n") }) {
        for my $path (map { "$etc/nginx/$_" } qw(conf.d/await.conf sites-enabled/await)) {
            my $is = $path =~ /(\w+)\/\w+(?:\.conf)?$/ ? $1 : '';
            refuses(
                "something in $is",
                sub { $path =~ /conf$/ ? $plant->($path) : symlink '/dev/null', $path },
                1,
                $path =~ /conf$/
                ? qr/nginx does not accept|\Q$path\E is there, and is not what --enable/
                : qr/is there, and is not/,
                sub { unlink $path },
                @enable
            );
        }
    }
    for my $mode (0777, 0775) {
        refuses(
            sprintf('a directory of mode %o', $mode),
            sub { mkdir "$etc/await"; chmod $mode, "$etc/await" },
            1,
            qr/others than root can write to \S+await: chown root, chmod go-w\. Nothing was done/,
            sub { rmdir "$etc/await" });
    }
    refuses(
        'a directory of another user',
        sub { mkdir "$etc/await"; chown scalar(getpwnam 'daemon'), 0, "$etc/await" },
        1,
        qr/others than root/,
        sub { rmdir "$etc/await" });
    refuses(
        'a link that leads nowhere',
        sub { symlink "$s->{dir}/none", "$etc/await" },
        1,
        qr/leads nowhere/,
        sub { unlink "$etc/await" });
    $s->spawn('other', [ 'flock', '-F', "$etc/nginx", 'sleep', '120' ]);
    until_true('another run is busy', sub { system('flock', '-n', "$etc/nginx", 'true') != 0 });
    refuses('another run', sub { }, 75, qr/another "await-ctl setup" is running/, sub { $s->end('other', 'TERM') });
};

subtest 'a file system that cannot be written to' => sub {
    my $mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"';
    plan skip_all => 'needs a mount namespace' if system("unshare -m sh -c '$mount' $etc 2>/dev/null") != 0;
    refuses('read-only', sub { }, 1, qr/cannot make \S+await\. Nothing was done/,
        sub { }, before => [ 'unshare', '-m', 'sh', '-c', "$mount && exec \"\$\@\"", $etc ]);
};

subtest 'a file system that is full' => sub {
    my $mount = 'mount -t tmpfs -o size="$SIZE" none "$0"';
    plan skip_all => 'needs a mount namespace' if system("SIZE=4096 unshare -m sh -c '$mount' $etc 2>/dev/null") != 0;
    my $pages = 3 * POSIX::sysconf(POSIX::_SC_PAGESIZE());
    # one page for each file, and three: nginx.conf takes one, and the third file of setup has none
    my $inside = <<"SH";
cp -a "\$0" "\$COPY" && SIZE=$pages && $mount && cp -a "\$COPY/." "\$0/" || exit 99
echo full; "\$@"; echo "status \$?"
find "\$0" -name '.await-setup.*' -o -type f -size 0
mount -o remount,size=1m "\$0" || exit 99
echo room; "\$@"; echo "status \$?"
echo undo; sh "\$0/await/undo.sh"; echo "status \$?"
cd "\$0" && find . -type f
SH
    my ($status, $out) = $host->setup(
        ['--redis=off'],
        before => [ 'unshare', '-m', 'sh', '-c', $inside, $etc ],
        env => { COPY => "$s->{dir}/etc-copy" });
    my ($full, $room, $undo) = $out =~ /^full\n(.*)^room\n(.*)^undo\n(.*)/ms;
    like $full, qr/^done: write a password .*No space left on device.*^status 1\n\z/ms,
        'it fails, and leaves no part of a file'
        or diag $out;
    like $full, qr/cannot write \S+undo\.sh, .*Mend this, and run the same command again; it undoes what was done/,
        'it says what to do';
    like $room, qr/^status 0$/m, 'the same command completes it, as soon as there is room' or diag $out;
    unlike $room, qr/done: (?:create database|write a password to \S+nginx)/, 'and repeats nothing';
    is $undo, "status 0\n./nginx/nginx.conf\n", 'undoing complains of nothing, and leaves no file';
    is_deeply $host->state, $before, 'nor anything else';
    my $small = "$s->{dir}/small";
    Await::Stack::make_dir($small);
    refuses(
        'the temporary directory', sub { }, 73, qr/there is no room in \S+ \(TMPDIR\)\. Nothing was done/,
        sub { },
        before => [ 'unshare', '-m', 'sh', '-c', "SIZE=4096 && $mount && exec \"\$\@\"", $small ],
        env => { TMPDIR => $small });
};

subtest 'links in place of its files are kept, and not followed' => sub {
    mkdir "$etc/nginx/$_" for qw(snippets sites-available);
    symlink $victim, "$etc/nginx/sites-available/await";
    symlink "$s->{dir}/none", "$etc/nginx/snippets/await.conf";
    my $with = $host->state;
    my ($status, $out) = $host->setup(['--redis=off']);
    is $status, 0, 'exit status' or diag $out;
    like $out, qr{kept \S+/$_ as it is}, "it says so of $_" for qw(snippets/await\.conf sites-available/await);
    is slurp($victim), "precious\n", 'the file of another is as it was';
    ok !-e "$s->{dir}/none", 'nothing is made where a link leads';
    is `sh '$etc/await/undo.sh' 2>&1`, '', 'undoing complains of nothing';
    is_deeply $host->state, $with, 'undoing leaves what was there';
    remove_tree(map { "$etc/nginx/$_" } qw(snippets sites-available));
};

subtest 'a path that a shell, SQL, a conninfo and nginx would read otherwise' => sub {
    my $odd = qq($s->{dir}/e t'c\$(id)%41"{\xc3\xa9;#);
    system('cp', '-a', $etc, $odd) == 0 or die 'cp';
    local $host->{etc} = $odd;
    my $conf = slurp("$odd/nginx/nginx.conf") =~ s{include \S+/conf\.d/}{include conf.d/}r;
    Await::Stack::write_file("$odd/nginx/nginx.conf", $conf, 0644);
    my $with = $host->state;
    my ($status, $out) = $host->setup([ '--redis=off', '--enable' ]);
    is $status, 0, 'exit status' or diag $out;
    $host->start_nginx;
    eventually('nginx logs in by a passfile there', sub { get('/health')->{status} == 200 });
    (undef, $out) = $host->ctl('check', []);
    like $out, qr/^nothing is wrong/m, 'check finds nothing' or diag $out;
    $s->end('nginx', 'TERM');
    $host->undoes($with, 'there');
    remove_tree($odd);
};

subtest 'what is written is not enabled by that' => sub {
    rmdir "$etc/nginx/sites-enabled";
    mkdir "$etc/nginx/sites-available";
    symlink 'sites-available', "$etc/nginx/sites-enabled";
    my $with = $host->state;
    my @test = ($s->{nginx}, '-t', '-q', '-c', "$etc/nginx/nginx.conf");
    my ($status, $out) = $host->setup(['--redis=off']);
    is $status, 0, 'where sites-enabled is a link to sites-available' or diag $out;
    is_deeply [ glob "$etc/nginx/sites-available/*" ], [], 'the example is elsewhere';
    is system(@test), 0, 'nginx accepts its configuration';
    ($status, $out) = $host->setup([ '--redis=off', '--enable' ]);
    is $status, 0, 'with --enable' or diag $out;
    like $out, qr/^The site is enabled/m, 'it is enabled';
    $host->start_nginx;
    eventually('and nginx serves it', sub { get('/health')->{status} == 200 });
    $s->end('nginx', 'TERM');
    ($status, $out) = $host->setup([ '--redis=off', '--enable' ]);
    like $out, qr/^Nothing was to be done/m, 'a second run says so' or diag $out;
    is `sh '$etc/await/undo.sh' 2>&1`, '', 'undoing complains of nothing';
    is_deeply $host->state, $with, 'nothing is left';
    unlink "$etc/nginx/sites-enabled";
    Await::Stack::make_dir("$etc/nginx/sites-enabled");
    rmdir "$etc/nginx/sites-available";
    for my $all ('snippets/aw*.conf', 's*/aw*.conf') {
        mkdir "$etc/nginx/snippets";
        Await::Stack::write_file("$etc/nginx/conf.d/all.conf", "include $all;\n", 0644);
        refuses(
            "an include of $all",
            sub { }, 1,
            qr{nginx would read \S+/await\.conf at once.*Nothing was done},
            sub { rmdir "$etc/nginx/snippets"; unlink "$etc/nginx/conf.d/all.conf" });
    }
};

# A directory of commands, of which this one ends all of the run by a signal when it is called for the n-th time: before
# it has done its work, or after.
sub deadly {
    my ($command, $n, $when, $signal) = @_;
    $signal //= 9;
    my $bin = "$s->{dir}/deadly";
    remove_tree($bin);
    Await::Stack::make_dir($bin);
    Await::Stack::write_file("$bin/count", '', 0666);
    my ($real) = grep { -x } "/usr/bin/$command";
    my $die = "[ \$(wc -c < $bin/count) != $n ] ||";
    my $work =
        $when eq 'before'
        ? "$die kill -$signal 0\nexec $real \"\$\@\""
        : "$real \"\$\@\"; s=\$?; $die kill -$signal 0; exit \$s";
    Await::Stack::write_file("$bin/$command", "#!/bin/sh\nprintf x >> $bin/count\n$work\n", 0755);
    return { PATH => "$bin:$ENV{PATH}" };
}

subtest 'a run that somebody ends from the keyboard' => sub {
    local $SIG{INT} = 'DEFAULT';    # a shell ignores it in what it starts in the background, and that is inherited
    my ($status, $out) =
        $host->setup([], before => ['/usr/bin/setsid'], env => deadly('setpriv', 8, 'before', 'INT'));
    is $status, 130, 'exit status' or diag $out;
    like $out, qr{^await-ctl: stopped\. The same command completes it; \S+/undo\.sh undoes what was done\.$}m,
        'it says how to go on';
    $host->undoes($before, 'what was done');
};

subtest 'runs that are killed, one after the other' => sub {
    my @moments = (
        [ setpriv => 5, 'before' ],
        [ setpriv => 7, 'after' ],
        [ setpriv => 6, 'after' ],
        [ setpriv => 8, 'after' ],
        [ ln => 1, 'before' ],
        [ ln => 1, 'after' ],
        [ ln => 2, 'after' ],
        [ ln => 3, 'after' ]);
    my %said;
    for (@moments) {
        my ($command, $n, $when) = @$_;
        my ($status, $out) = $host->setup(['--enable'], before => ['/usr/bin/setsid'], env => deadly(@$_));
        is $status, 137, "killed $when call $n of $command" or diag $out or last;
        $said{$_}++ for $out =~ /^(done: .*)$/mg;
    }
    my ($status, $out) = $host->setup(['--enable']);
    is $status, 0, 'the last run completes it' or diag $out;
    $said{$_}++ for $out =~ /^(done: .*)$/mg;
    is_deeply [ grep { $said{$_} > 1 } sort keys %said ], [], 'nothing was done twice';
    cmp_ok scalar keys %said, '>=', 12, 'what is done is said';
    is_deeply [ glob "$etc/{await,nginx/*}/.await-setup.*" ], [], 'no file is left over';
    is $host->sql("SELECT has_database_privilege('public', 'await', 'CONNECT')"), 'f', 'no right is left out';
    $host->start_nginx;
    $host->start_worker('example', qw(tr a-z A-Z));
    my $answer = post('/jobs', 'in the end', Prefer => 'wait=15');
    is "$answer->{status} $answer->{body}", '200 IN THE END', 'a job is submitted, processed and answered';
    $s->end($_, 'TERM') for qw(worker nginx);
    my $after = $host->state;
    ($status, $out) = $host->setup(['--enable']);
    like $out, qr/^Nothing was to be done/m, 'nothing is left to do';
    is_deeply $host->state, $after, 'and nothing is changed';
    is `sh '$etc/await/undo.sh' 2>&1`, '', 'undoing complains of nothing';
    is_deeply $host->state, $before, 'nothing is left';
};

subtest 'nginx does not accept it' => sub {
    my $mine = "$etc/nginx/conf.d/mine.conf";
    Await::Stack::write_file($mine, "await_redis redis://127.0.0.1:6379;\n");
    my $with = $host->state;
    my ($status, $out) = $host->setup([ '--redis=off', '--enable' ]);
    is $status, 1, 'exit status' or diag $out;
    like $out, qr/nginx does not accept it, so it is disabled again: .*duplicate/, 'it says why';
    is slurp($mine), "await_redis redis://127.0.0.1:6379;\n", 'the file of the operator is kept';
    is system($s->{nginx}, '-t', '-q', '-c', "$etc/nginx/nginx.conf"), 0, 'nginx accepts its configuration again';
    is `sh '$etc/await/undo.sh' 2>&1`, '', 'undoing complains of nothing';
    is_deeply $host->state, $with, 'nothing is left';
};

finish();
