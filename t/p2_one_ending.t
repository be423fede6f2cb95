# P2: each job ends exactly once, whoever hurries.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

my $s = start_stack(without => ['redis']);
my @ids = map { id_of(post('/jobs', "j$_")) } 1 .. 60;
sql("SELECT count(*) FROM await.claim(ARRAY['work'], 'w', 100)");

# eight sessions at once, each trying to end, cancel, fail or retire every job
my $list = join ',', map { "'$_'" } @ids;
my @calls = map { "SELECT count($_) FROM unnest(ARRAY[$list]::uuid[]) WITH ORDINALITY x (id, n)" } (
    "await.complete(id, test.receipt(id), 'a')",
    "await.complete(id, test.receipt(id), 'b')",
    "CASE WHEN n % 3 = 0 THEN await.cancel(id) END",
    "CASE WHEN n % 3 = 1 THEN await.fail(id, test.receipt(id), '{}', '-1 s') END",
    "await.complete(id, '2.AAAAAAAAAAAAAAAAAAAAAA', 'zombie')",
    "await.emit(id, test.receipt(id), 'late')",
    "await.heartbeat(id, test.receipt(id), '{}')",
    "await.fail(id, test.receipt(id), '{}', '0 s')"
);
my @pids = map {
    my $sql = $_;
    my $pid = fork // die;
    if (!$pid) {
        open STDOUT, '>>', "$s->{dir}/logs/race.log";
        open STDERR, '>&', \*STDOUT;
        exec 'psql', '-XAtq', '-d', $s->postgres, '-c', $sql;
    }
    $pid;
} @calls;
# and clients who cancel
my @deletes = map { begin_request('DELETE', "/jobs/$_") } @ids[ 0 .. 9 ];
$_->response for @deletes;
waitpid $_, 0 for @pids;
my $said = slurp("$s->{dir}/logs/race.log");
is scalar(() = $said =~ /^\d+$/mg), 8, 'each of the eight sessions comes to its end';
unlike $said, qr/ERROR/, 'nobody deadlocks or fails';
sql("SELECT await.cancel(id) FROM await.job");

is sql("SELECT count(*) FROM (SELECT job FROM await.event WHERE ending GROUP BY job HAVING count(*) = 1) x"), 60,
    'each has one ending';
is sql('SELECT count(*) FROM await.event e WHERE ending
    AND EXISTS (SELECT FROM await.event l WHERE l.job = e.job AND l.seq > e.seq)'), 0, 'after which nothing comes';
is sql('SELECT count(*) FROM (SELECT job FROM await.event GROUP BY job HAVING max(seq) <> count(*) + 1) x'), 0,
    'and seq has no hole';
for my $id (@ids) {
    my $job = json(get("/jobs/$id"));
    next if $job->{state} =~ /^(completed|failed|cancelled)$/;
    fail "$id is $job->{state}";
}
finish();
