# What docs/operations.md says is true: its commands for backup and restore, while nginx and workers go on; how many
# connections a process takes, how much disk a job; its lines for nginx.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

my $page = slurp("$Await::Stack::ROOT/docs/operations.md");
my $s = start_stack(workers => 2, site => <<'CONF');
await_reread 500ms;
server {
    listen 127.0.0.1:${PORT};
    await_owner $arg_owner;
    location /jobs { await work; }
    location /later { await later; }
    location = /user { await_events user:$arg_owner; }
}
CONF
$s->start_worker('worker1', qw(--queue work --concurrency 8 --content-type text/plain -- tr a-z A-Z));

my @psql = ('-h', '127.0.0.1', '-p', $s->{pg_port}, '-U', 'admin', '-XAtqw', '-v', 'ON_ERROR_STOP=1');
sub admin {
    my ($sql, $database) = @_;
    local $ENV{PGPASSWORD} = $s->password('admin');
    open my $from, '-|', Await::Stack::pg_bin() . '/psql', @psql, '-d', $database // 'await', '-c', $sql
        or die "psql: $!";
    my $out = do { local $/; <$from> };
    chomp $out;
    return $out;
}

sub stream {
    my ($path, %headers) = @_;
    return begin_request('GET', $path, headers => { Accept => 'text/event-stream', %headers });
}

# The commands of a section, block by block, as its reader runs them: by passwords of a passfile.
Await::Stack::write_file("$s->{dir}/pgpass", join('', map { "*:*:*:$_:@{[ $s->password($_) ]}\n" } qw(admin await)),
    0600);
sub blocks {
    my ($heading) = @_;
    my ($section) = $page =~ /^## \Q$heading\E\n(.*?)^## /ms or die "no section $heading";
    return $section =~ /^```sh\n(.*?)^```/msg;
}
sub run_block {
    my ($name, $commands) = @_;
    $commands =~ s/dbname=jobs user=jobs_owner/dbname=await user=await/g;
    $commands =~ s/ jobs$/ await/mg;
    my $tools = "$Await::Stack::ROOT/tools";
    local @ENV{qw(PGHOST PGPORT PGUSER PGPASSFILE)} = ('127.0.0.1', $s->{pg_port}, 'admin', "$s->{dir}/pgpass");
    local $ENV{PATH} = Await::Stack::pg_bin() . ":$tools:$ENV{PATH}";
    Await::Stack::write_file("$s->{dir}/commands", $commands);
    my $out = `cd $s->{dir} && sh -eu commands 2>&1`;
    is $?, 0, "$name: exit status" or diag "$commands\n$out";
    return $out;
}

subtest 'connections' => sub {
    is post('/jobs?owner=ann', 'first', Prefer => 'wait=15', 'Content-Type' => 'text/plain')->{body}, 'FIRST', 'a job';
    $s->start_relay('relay1', '--sink', 'redis');
    my $count = 'SELECT count(*) FROM pg_stat_activity WHERE usename =';
    my ($nginx, $relay) =
        $page =~ /Three for each nginx worker process.*?; one for each await-worker.*?(three) for each await-relay/s
        ? (3 * 2, 3)
        : die 'the page says nothing of connections';
    until_true('the relay leads',
        sub { admin("SELECT count(*) FROM await.relay_status() WHERE leader IS NOT NULL") }, 20);
    my %most;
    for (1 .. 20) {
        post('/jobs?owner=ann', 'more', Prefer => 'wait=15', 'Content-Type' => 'text/plain');
        for my $role (qw(edge worker relay)) {
            my $n = admin("$count '$role'");
            $most{$role} = $n if $n > ($most{$role} // 0);
        }
    }
    cmp_ok $most{edge}, '<=', $nginx, "nginx: three for each worker process, at most ($most{edge})";
    cmp_ok $most{edge}, '>=', 2, 'and one at least';
    is $most{worker}, 1, 'await-worker: one, with --concurrency 8';
    cmp_ok $most{relay}, '<=', $relay, "await-relay: three, at most ($most{relay})";
    $s->end('relay1', 'TERM');
};

subtest 'disk' => sub {
    my ($own, $factor, $log) =
        $page =~ /A job that has ended takes ([\d.]+) KB, and ([\d.]+) times the size.*?queue writes ([\d.]+) KB/s
        or die 'the page says nothing of disks';
    my $size = q{SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
        WHERE c.relnamespace = 'await'::regnamespace AND c.relkind IN ('r', 'S')};
    my ($n, $bytes) = (4000, 1000);
    my ($before, $written) = (admin($size), admin(q{SELECT pg_current_wal_lsn() - '0/0'}));
    # payloads that cannot be compressed
    admin(<<"SQL");
SELECT count(await.submit('disk', (SELECT string_agg(sha256((i * 100 + k)::text::bytea), '')
    FROM generate_series(1, $bytes / 32) k), 'text/plain', '{"owner": "ann"}')) FROM generate_series(1, $n) i
SQL
    admin("SELECT count(await.complete(id, receipt, 'ok')) FROM await.claim(ARRAY['disk'], 'w', 50)") for 1 .. $n / 50;
    is admin("SELECT count(*) FROM await.queue_stats() WHERE queue = 'disk' AND ready + leased > 0"), 0,
        'all have ended';
    my $each = (admin($size) - $before) / $n;
    my $most = 1024 * $own + $factor * $bytes;
    cmp_ok $each, '<=', $most, sprintf 'a job with %d bytes takes %.0f, as the page says', $bytes, $each;
    cmp_ok $each, '>=', $most / 2, 'and not much less';
    my $wal = (admin(q{SELECT pg_current_wal_lsn() - '0/0'}) - $written) / $n;
    cmp_ok $wal, '<=', 1.3 * (1024 * $log + $bytes), sprintf 'and %.0f of the write-ahead log', $wal;
};

subtest 'backup and restore, while nginx and a worker go on' => sub {
    my ($backup, $restore) = blocks('Backup and restore');
    my $kept = json(post('/jobs?owner=ann', 'kept', 'Content-Type' => 'text/plain'))->{id};
    is json(get("/jobs/$kept?owner=ann&wait=15"))->{state}, 'completed', 'a job that is done';
    my @waiting = map { json(post('/later?owner=ann', "later $_", 'Content-Type' => 'text/plain'))->{id} } 1 .. 3;
    my $stream = stream('/user?owner=ann');
    my ($cursor) = map { $_->{id} } $stream->wait_event('ready');
    ok $cursor, 'a client has a cursor';
    close $stream->{socket};
    admin('ALTER DATABASE await SET await.notify = on; REVOKE CONNECT ON DATABASE await FROM PUBLIC');
    admin('GRANT CONNECT ON DATABASE await TO await, edge, worker');
    my $is =
        q{SELECT (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(datacl) a),
        (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = d.oid AND setrole = 0),
        pg_get_userbyid(datdba), encoding FROM pg_database d WHERE datname = 'await'};
    my $as_before = admin($is, 'postgres');
    my $rows = 'SELECT (SELECT count(*) FROM await.job), (SELECT count(*) FROM await.event)';
    my $had = admin($rows);
    run_block('backup', $backup);
    is post('/jobs?owner=ann', 'afterwards', Prefer => 'wait=15', 'Content-Type' => 'text/plain')->{body}, 'AFTERWARDS',
        'a job after the dump';
    admin('DROP DATABASE await WITH (FORCE)', 'postgres');
    eventually('without a database submissions are refused', sub { post('/jobs?owner=ann', 'x')->{status} == 503 });
    my $out = run_block('restore', $restore);
    is admin($is, 'postgres'), $as_before, 'owner, rights and settings of the database are as before';
    is admin($rows), $had, 'all rows are there';
    eventually(
        'nginx and the worker go on by themselves',
        sub {
            post('/jobs?owner=ann', 'again', Prefer => 'wait=5', 'Content-Type' => 'text/plain')->{body} eq 'AGAIN';
        },
        60
    );
    is get("/jobs/$kept/result?owner=ann")->{body}, 'KEPT', 'a result of before is there';
    is json(get("/later/$_?owner=ann"))->{state}, 'pending', 'a job that waited still waits' for @waiting;
    my $again = stream('/user?owner=ann', 'Last-Event-ID' => $cursor);
    ok $again->wait_event('reset'), 'a client with a cursor of before gets a reset';
    close $again->{socket};
    $s->start_worker('worker2', qw(--queue later --content-type text/plain -- tr a-z A-Z));
    for my $id (@waiting) {
        is json(get("/later/$id?owner=ann&wait=15"))->{state}, 'completed', 'and is done';
    }
};

subtest 'lines for nginx' => sub {
    my ($section) = $page =~ /^## Tuning\n(.*?)^## /ms or die 'no section Tuning';
    my ($main, $listen) = $section =~ /^```nginx\n(.*?)^```/msg;
    $listen =~ s/listen 443 ssl/listen 127.0.0.1:$s->{port}/;
    Await::Stack::write_file("$s->{dir}/tuned.conf",
        "pid tuned.pid;\n${main}http { access_log off; server { $listen } }\n");
    my $said = `$s->{nginx} -t -p $s->{dir} -c $s->{dir}/tuned.conf -e $s->{dir}/logs/tuned.log 2>&1`;
    is $?, 0, 'nginx accepts them' or diag $said;
    unlike $said, qr/\[warn\]/, 'without a warning';
    my ($look) = $page =~ /^## What to look at when.*?\n(.*?)^## /ms;
    my $metrics = slurp("$Await::Stack::ROOT/docs/directives/await_metrics.md");
    is_deeply [ grep { $metrics !~ /\b$_\b/ } $look =~ /`(await_(?:held|redis|postgres|queue)[a-z_]*)`/g ], [],
        'the metrics that are named exist';
};

finish();
