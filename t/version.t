# The version: one in the source, the same from await-ctl, await-worker, the log at start and CHANGES.md.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

my $root = $Await::Stack::ROOT;
my ($version) = slurp("$root/src/base/version.h") =~ /kVersion\[\] = "(\d+\.\d+\.\d+)"/;
ok $version, 'src/base/version.h has a version of three numbers' or BAIL_OUT 'nothing to compare with';

my $s = start_stack();

sub lines_of_version {
    my ($log) = @_;
    return [ map { m{\[notice\] \d+#\d+: nginx-await/(\S+)$} } split /\n/, $log ];
}

subtest 'the programs say it' => sub {
    is `$root/tools/await-ctl --version`,  "await-ctl $version\n",    'await-ctl --version';
    my $copy = File::Temp::tempdir(CLEANUP => 1);
    system('cp', "$root/tools/await-ctl", $copy) == 0 or die 'cp';
    is `$copy/await-ctl --version`,        "await-ctl $version\n",    'a copy of it elsewhere';
    is `$s->{worker} --version`,           "await-worker $version\n", 'await-worker --version';
    is $?, 0, 'await-worker --version succeeds without the options that a run requires';
};

subtest 'CHANGES.md has it' => sub {
    my ($newest) = slurp("$root/CHANGES.md") =~ /^## \[?(\d+\.\d+\.\d+)/m;
    is $newest, $version, 'the newest release of CHANGES.md';
};

subtest 'error.log has it once' => sub {
    is_deeply lines_of_version(error_log()), [$version], 'the master logs it at start';
    ok until_true('a worker', sub { worker_pids() }), 'an nginx worker';
    my ($before) = worker_pids();
    kill 'HUP', $s->pid('nginx');
    ok until_true('new workers', sub { my @now = worker_pids(); @now == 1 && $now[0] != $before }), 'a reload';
    is_deeply lines_of_version(error_log()), [$version], 'a reload does not log it again';
};

subtest 'nginx -t does not say it' => sub {
    my $out = $s->nginx_t;
    is $?, 0, 'the configuration is accepted';
    is_deeply lines_of_version($out . slurp("$s->{dir}/logs/test.log")), [], 'neither on the terminal nor in the log';
};

subtest 'a server without our directives does not say it' => sub {
    my $other = Await::Stack->new(dir => File::Temp::tempdir(CLEANUP => 1), fsync => 0);
    $other->start_nginx('server { listen 127.0.0.1:${PORT}; return 204; }', bare => 1);
    is_deeply lines_of_version(slurp("$other->{dir}/logs/error.log")), [], 'loaded, not used, nothing logged';
    $other->stop;
};

finish();
