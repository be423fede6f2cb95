# The launcher behind make run, up, down and ps: ready means ready, Ctrl-C and failure leave nothing behind, data
# survives.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use HTTP::Tiny;
use IO::Socket::INET;
use Test::More;

plan skip_all => 'the launcher is not built with sanitizers' if $ENV{AWAIT_ASAN};
my $root = $Await::Stack::ROOT;
my $dir = tempdir('await-run-XXXXXX', TMPDIR => 1);
chmod 0755, $dir;
my $run = "$dir/run";
my $port = Await::Stack::free_port();
@ENV{qw(RUN_DIR PORT CONF)} = ($run, $port, 'conf/minimal.conf');
my $url = "http://127.0.0.1:$port";
my $http = HTTP::Tiny->new(timeout => 20);
sub stack_does { my ($what) = @_; my $out = `$root/tools/await-stack $what 2>&1`; return ($out, $? >> 8) }
sub pids {
    return map { Await::Stack::read_file($_) =~ /(\d+)/ ? $1 : () } glob "$run/*.pid";
}

subtest 'up, ps, down; data survives' => sub {
    my ($out, $status) = stack_does('up');
    is $status, 0, 'up' or diag $out;
    like $out, qr{ready: \Q$url\E}, 'up says where it is';
    is $http->get("$url/")->{status}, 200, 'ready when it returns';
    my %env = Await::Stack::read_file("$run/env") =~ /^(AWAIT_\w+)='(.*)'$/mg;
    is $env{AWAIT_URL}, $url, 'the file env has the URL';
    is scalar(`psql -XAtq -d '$env{AWAIT_POSTGRES}' -c 'SELECT 1'`), "1\n", 'AWAIT_POSTGRES';
    like scalar(`redis-cli --no-auth-warning -u '$env{AWAIT_REDIS}' PING`), qr/PONG/, 'AWAIT_REDIS';
    my ($id) = $http->request('POST', "$url/jobs", { content => 'x' })->{content} =~ /"id":"([^"]+)"/;
    my @pids = pids();
    is scalar(@pids), 4, 'a pid file for each: ' . join ' ', map { m{([^/]+)\.pid$} } glob "$run/*.pid";
    like(
        (stack_does('ps'))[0],
        qr/nginx\s+\d+.*\npostgres\s+\d+.*\nredis\s+\d+.*\nworker1\s+\d+/,
        'ps lists every process'
    );
    ($out, $status) = stack_does('up');
    isnt $status, 0, 'a second up fails';
    like $out, qr/^await-stack: already running in .*\n\z/, 'one line';
    is((stack_does('down'))[1], 0, 'down');
    is scalar(grep { Await::Stack::began($_) } @pids), 0, 'all have ended';
    like((stack_does('ps'))[0], qr/nothing is running/, 'ps after down: nothing runs');
    is((stack_does('up'))[1], 0, 'up again');
    is $http->get("$url/jobs/$id")->{status}, 200, 'the job is still there';
    stack_does('down');
};

subtest 'a number in a pid file that is now another process' => sub {
    my $other = fork // die;
    if (!$other) { POSIX::setsid(); exec 'sleep', 600 }
    my $stat = Await::Stack::read_file("/proc/$other/stat");
    my ($began) = $stat =~ /\) (?:\S+ ){19}(\S+)/;
    my ($boot) = Await::Stack::read_file('/proc/sys/kernel/random/boot_id') =~ /(\S+)/;
    for ([ "$other", 'an old pid file' ], [ "$other 1 $boot", 'another start' ], [ "$other $began x", 'another boot' ])
    {
        my ($text, $what) = @$_;
        Await::Stack::write_file("$run/worker1.pid", "$text\n");
        is((stack_does('down'))[1], 0, "down: $what");
        ok kill(0, $other) && waitpid($other, POSIX::WNOHANG()) == 0, 'it lives';
        ok !-e "$run/worker1.pid", 'the file is gone';
    }
    Await::Stack::write_file("$run/worker1.pid", "$other $began $boot\n");
    my $down = fork // die;
    if (!$down) { exec "$root/tools/await-stack", 'down', '-q' }
    waitpid $other, 0;
    is $? & 127, POSIX::SIGTERM(), 'the one that was started is ended';
    waitpid $down, 0;
};

sub fails_clearly {
    my ($name, $why) = @_;
    subtest $name => sub {
        my ($out, $status) = stack_does('up');
        isnt $status, 0, 'up fails';
        like $out, $why, 'says why';
        is scalar(grep { /^await-stack:/ } split /\n/, $out), 1, 'in one line';
        is_deeply [ pids() ], [], 'nothing half started is left';
    };
}
{
    my $busy = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1, ReuseAddr => 1) or die;
    fails_clearly('a busy port', qr/port $port cannot be used \(Address already in use\), choose another: PORT=/);
}
{
    my $busy = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port + 1, Listen => 1, ReuseAddr => 1);
    local $ENV{CONF} = 'conf/recipes/judge.conf';
    my $second = $port + 1;
    fails_clearly('a busy port of a second server', qr/port $second cannot be used \(Address already in use\), /);
}
{ local $ENV{PORT} = 'x'; fails_clearly('a port that is none', qr/PORT=x is not a port/) }
{
    local $ENV{CONF} = "$dir/none.conf";
    fails_clearly('a configuration that is not there', qr/cannot read CONF=\S+none\.conf: No such file/);
}
{
    Await::Stack::write_file("$dir/bad.conf",
        "server {\n listen \${PORT};\n location / { await_submit q lease=x; }\n}\n");
    local $ENV{CONF} = "$dir/bad.conf";
    fails_clearly(
        'a configuration that nginx does not take',
        qr/nginx[ ]rejected[ ]the[ ]configuration:[ ]invalid[ ]parameter[ ]"lease=x"[ ]in[ ]"await_submit"[ ]directive,
            [ ]it[ ]must[ ]be[ ]a[ ]time[ ]between[ ]1s[ ]and[ ]1d[ ]in[ ]\S+site\.conf:3/x
    );
}
for (
    [ 'program /no/such/program', qr{program1 has stopped: .*/no/such/program} ],
    [ 'await-worker --queue q', qr{worker1 has stopped: \S+} ],
    [ 'await-relay --sink nowhere', qr{relay1 exited at once, with exit code 64: \S+} ],
    [ 'await-relay --sink ${NOWHERE:-nothing}', qr{relay1 exited at once, with exit code 64: .*nothing} ],
    )
{
    my ($line, $why) = @$_;
    Await::Stack::write_file("$dir/bad.conf", "# $line\nserver { listen \${PORT}; }\n");
    local $ENV{CONF} = "$dir/bad.conf";
    fails_clearly("a program that does not run: $line", $why);
}
{
    local $ENV{AWAIT_NGINX} = '/no/such/nginx';
    fails_clearly('a missing program', qr/nginx rejected the configuration|cannot run/);
}
{
    local $ENV{RUN_DIR} = "$dir/a space";
    fails_clearly('a directory with a space', qr/RUN_DIR=\S+a space has a character that it must not have/);
    ok !-e "$dir/a space", 'and is not made';
}

subtest 'two at once in a fresh directory, and a umask that lets nobody in' => sub {
    local $ENV{RUN_DIR} = "$dir/above/fresh";
    my @up = map {
        my $pid = open(my $said, '-|') // die;
        if (!$pid) { umask 077; open STDERR, '>&', \*STDOUT; exec "$root/tools/await-stack", 'up' }
        $said
    } 1, 2;
    my @said = map {
        do { local $/; readline $_ }
    } @up;
    my @ok = map { close $_ ? 1 : 0 } @up;
    is $ok[0] + $ok[1], 1, 'one of them starts' or diag @said;
    like $said[ $ok[0] ? 1 : 0 ], qr/\Aawait-stack: (?:another make up, run|already running).*\n\z/,
        'the other says why not';
    is $http->get("$url/")->{status}, 200, 'it serves';
    is((stack_does('down'))[0], "stopped 4 processes\n", 'down');
    is((stack_does('up'))[1], 0, 'up again: ports and passwords are those of the one that started');
    stack_does('down');
    stack_does('forget');
};

subtest 'a directory that is not ours' => sub {
    local $ENV{RUN_DIR} = my $foreign = "$dir/foreign";
    mkdir $foreign, 0750;
    is((stack_does($_))[1], 0, "$_, while it is empty") for qw(ps down forget);
    ok -d $foreign, 'an empty one is not removed';
    Await::Stack::write_file("$foreign/thesis", "x\n");
    for my $command (qw(up run ps down forget)) {
        my ($out, $status) = stack_does($command);
        isnt $status, 0, "$command fails";
        like $out, qr/^await-stack: \S*\Q$foreign\E was not made by await-stack.* it is left as it is/, 'says why';
    }
    is sprintf('%o', (stat $foreign)[2] & 07777), '750', 'its mode is as before';
    is_deeply [ glob "$foreign/*" ], ["$foreign/thesis"], 'and so is what is in it';
};

SKIP: {
    mkdir "$dir/small";
    skip 'no tmpfs here', 1
        if $> != 0 || system("mount -t tmpfs -o size=12m,mode=755 tmpfs $dir/small 2>/dev/null") != 0;
    local $ENV{RUN_DIR} = $run = "$dir/small/run";
    fails_clearly('a full disk', qr/No space left on device/);
    system("umount $dir/small");
    $run = "$dir/run";
}

subtest 'run: a live log, and Ctrl-C ends all of it' => sub {
    my $pid = open(my $log, '-|') // die;
    if (!$pid) { POSIX::setpgid(0, 0); open STDERR, '>&', \*STDOUT; exec "$root/tools/await-stack", 'run' }
    my $seen = '';
    while (<$log>) { $seen .= $_; last if /nginx-await is at/ }
    like $seen, qr{at \Q$url\E/}, 'run says where it is';
    $http->request('POST', "$url/jobs", { content => 'x' });
    my $line;
    while ($line = <$log>) { last if $line =~ /POST/ }
    like $line, qr{access\s+127\.0\.0\.1 "POST /jobs HTTP/1\.1" 202}, 'the access log is shown live';
    my @pids = pids();
    kill 'INT', -$pid;
    $seen = do { local $/; <$log> };
    close $log;
    is $?, 0, 'ends cleanly';
    is scalar(grep { Await::Stack::began($_) } @pids), 0, 'all have ended';
};

subtest 'Ctrl-C while it starts' => sub {
    my $pid = open(my $log, '-|') // die;
    if (!$pid) { POSIX::setpgid(0, 0); open STDERR, '>&', \*STDOUT; exec "$root/tools/await-stack", 'run' }
    while (<$log>) { last if /starting Redis|applying/ }
    my @pids = pids();
    kill 'INT', -$pid;
    do { local $/; <$log> };
    close $log;
    is_deeply [ grep { Await::Stack::began($_) } @pids ], [], 'nothing half started is left';
};

subtest 'as an ordinary user' => sub {
    plan skip_all => 'we are one' if $> != 0;
    plan skip_all => 'nobody cannot reach the sources here' unless Await::Stack::reachable('nobody', $root);
    my $own = "$dir/own";
    mkdir $own;
    my @pw = getpwnam 'nobody';
    chown @pw[ 2, 3 ], $own;
    my $as = "RUN_DIR=$own/run setpriv --reuid nobody --regid nogroup --clear-groups $root/tools/await-stack";
    my $out = `$as up 2>&1`;
    is $? >> 8, 0, 'up' or diag $out;
    is $http->get("$url/")->{status}, 200, 'the page is served';
    is $http->request('POST', "$url/jobs", { content => 'x' })->{status}, 202, 'a submission is accepted';
    `$as down`;
    is $? >> 8, 0, 'down';
};

stack_does('forget');
ok !-e $run, 'forget';
remove_tree($dir);
finish();
