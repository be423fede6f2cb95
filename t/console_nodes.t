# The console and other nodes: each shows what all of them hold, by transport, and who watches a job and what they were
# sent, whichever node it was, whether it has a console or not; one that is gone is no longer shown. While no console is
# open, none writes anything. Before, nodes with a console only were shown, and wrote all the time.

use strict;
use warnings;
no warnings 'portable';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Database qw(refused);
use Await::Session;
use Await::Test;
use Await::WebSocket;
use JSON::PP qw(decode_json encode_json);
use List::Util qw(sum);
use Test::More;

my $site = <<'CONF';
await_reread 1h;
server {
    listen 127.0.0.1:${PORT};
    location = /jobs { await_owner $http_x_user; await_submit work; }
    location = /user { await_owner $http_x_user; await_events user:$http_x_user; }
    location ~ ^/jobs/(?<id>[^/]+)$ { await_owner $http_x_user; await_job $id; await_events job:$id; }
    location = /socket { await_socket; }
    location = /metrics { await_metrics; }
    location /console { await_console; }
}
CONF
my $s = start_stack(site => $site, workers => 2);
my $other = Await::Stack->new(dir => "$s->{dir}/other", worker_processes => 1);
my $quiet = Await::Stack->new(dir => "$s->{dir}/quiet", worker_processes => 1);
my $backends = sprintf qq(await_postgres "%s";\nawait_redis %s;\n), $s->postgres('edge'), $s->redis;
$other->start_nginx($backends . $site);
$quiet->start_nginx($backends . $site =~ s/^ *location .console.*\n//mr);

# A request to another node.
sub at { my ($node, @request) = @_; local $s->{port} = $node->{port}; return begin_request(@request) }
sub overview { return json(get('/console/api/overview')) }
# The reports of nodes, by the id that they have for themselves.
sub reports {
    return { map { $_->{id} => $_->{report} } @{ overview()->{overview}{nodes} // [] } };
}
sub about { my ($id) = @_; return json(get("/console/api/jobs/$id"))->{nodes} }

# Waits until the nodes have reported `n` times more.
sub reported {
    my ($n) = @_;
    my $calls =
        sub { sql(q(SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE funcname = 'edge_report')) };
    my $before = $calls->();
    eventually "the nodes have reported $n times", sub { $calls->() >= $before + $n };
}
sub written {
    return sql(q{SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = 'edge_node'});
}

subtest 'while no console is open' => sub {
    sql($_) for q(ALTER SYSTEM SET track_functions = 'pl'), 'SELECT pg_reload_conf()';
    reported(4);
    is sql('SELECT count(*) FROM await.edge_node'), 0, 'nothing of it is stored';
};

my $here = sub { overview()->{node}{id} };
eventually 'all nodes are shown', sub { keys %{ reports() } == 3 };
my $there = json(at($other, 'GET', '/console/api/overview')->response)->{node}{id};
$here = $here->();
isnt $here, $there, 'each by an id of its own';
my ($third) = grep { $_ ne $here && $_ ne $there } keys %{ reports() };

my %ann = ('X-User' => 'ann');
my %sse = (Accept => 'text/event-stream');
my $id = one_job('/jobs', 'x', %ann);
my @held = (
    begin_request('GET', "/jobs/$id?wait=50", headers => {%ann}),
    (map { begin_request('GET', "/jobs/$id", headers => { %sse, %ann }) } 1 .. 2),
    (map { at($other, 'GET', "/jobs/$id", headers => { %sse, %ann }) } 1 .. 3),
    (map { at($quiet, 'GET', $_, headers => { %sse, %ann }) } "/jobs/$id", '/user', '/user'));
push @held, at($quiet, 'GET', '/user', headers => { %sse, 'X-User' => 'bob' });

subtest 'clients by node and transport' => sub {
    my $socket = Await::WebSocket->new($other->{port}, '/socket');
    $socket->say({ op => 'subscribe', channel => "job:$id" });
    my $seen = sub {
        my $r = reports();
        join ' ', map { @{ $r->{$_} }{qw(polls streams sockets)} } $here, $there, $third;
    };
    eventually 'of all nodes', sub { $seen->() eq '1 2 0 0 3 1 0 4 0' };
    my $shown = overview();
    my ($one) = map { $_->{report} } grep { $_->{id} eq $there } @{ $shown->{overview}{nodes} };
    is $one->{version}, $shown->{node}{version}, 'with their version';
    ok !grep({ exists $one->{$_} } qw(shown asks jobs)), 'and nothing else';
    eventually 'who watches a job, and all jobs of its owner, on which node', sub {
        join(' ', sort map { "$_->{watching}+$_->{following}" } @{ about($id) }) eq '1+2 3+0 4+0';
    };
    is_deeply [ map { @{ $_->{sent} } } @{ about($id) } ], [], 'none was sent anything';
    claim($id);
    complete($id, 'done', hint => 1);
    is json($held[0]->response)->{state}, 'completed', 'the job ends';
    my %sent;
    eventually 'what each was sent', sub {
        %sent = map {
            my $node = $_;
            map { ("$_->{way} $_->{seq}" => $_) } @{ $node->{sent} }
        } @{ about($id) };
        join(', ', sort keys %sent) =~ /^poll 3, socket [23](?:, socket 3)?, stream [23]/;
    };
    cmp_ok $sent{'poll 3'}{late_ms}, '<', 20_000, 'how long after the event';
    like $sent{'poll 3'}{at}, qr/^20\d\d-.*Z$/, 'and when';
    my $streams = sub {
        my $n = 0;
        $n += $_->{clients}
            for grep { $_->{way} eq 'stream' && $_->{seq} == 3 }
            map { @{ $_->{sent} } } @{ about($id) };
        $n;
    };
    eventually 'the streams of all nodes', sub { $streams->() == 8 };
    cmp_ok sum(@{ reports()->{$third}{latency}{deliver} }), '>=', 3, 'and they are timed where there is no console';
    eventually 'nobody watches it any more', sub {
        !grep { $_->{watching} > 1 } @{ about($id) };
    };
};

subtest 'more jobs than are told of' => sub {
    my @many = map { one_job('/jobs', 'x', %ann) } 1 .. 20;
    get("/console/api/jobs/$_") for @many;
    my $asked = sub { sql(q{SELECT max(jsonb_array_length(n.report -> 'asks')) FROM await.edge_node n}) };
    eventually 'sixteen jobs are asked about at once', sub { $asked->() == 16 };
    is get("/console/api/jobs/$many[-1]")->{status}, 200, 'the others are shown without';
};

subtest 'a node that is gone' => sub {
    my $master = $other->pid('nginx');
    my @workers = split ' ', slurp("/proc/$master/task/$master/children");
    kill 'STOP', $master;    # so that it starts no others
    kill 'KILL', @workers;
    $other->end('nginx', 'KILL');
    push @Await::Test::expected_alarms, qr/exited on signal 9|exited with fatal code/;
    sql("UPDATE await.edge_node SET at = at - interval '10 seconds' WHERE id = '$there'");
    eventually 'is no longer shown', sub { !exists reports()->{$there} };
    ok exists reports()->{$here}, 'the others are';
    sql(q{UPDATE await.edge_node SET at = at - interval '2 minutes'});
    eventually 'and forgotten after a minute', sub { overview(); sql('SELECT count(*) FROM await.edge_node') == 2 };
    my $jobs = sub { sql(q{SELECT count(*) FROM await.edge_node n WHERE n.report -> 'jobs' <> '{}'}) };
    eventually 'and nodes tell of no job whose page is closed', sub { $jobs->() == 0 };
};

subtest 'what a node may tell' => sub {
    my $report = sub { "SELECT * FROM await.edge_report('00000000-0000-7000-8000-00000000000$_[0]', 'x', $_[1])" };
    refused("not $_", $report->(1, $_), qr/a report of a node needs/)
        for q('[]'), 'NULL', q(jsonb_build_object('x', repeat('x', 70000)));
    refused('a job that is none', $report->(1, q('{"asks": ["x"]}')), qr/invalid input syntax/);
    is sql($report->(1, q('{"shown": true, "asks": 1}'))), '', 'what is no list asks nothing';
    is sql($report->(2, q('{}'))), '', 'nor does nothing';
    is sql($report->(4, qq('{"shown": true, "asks": ["$id"]}'))), "$id\n" . sql("SELECT await.user_id('ann')"),
        'a job is asked about with its owner';
    is sql($report->(2, q('{}'))), "$id\n" . sql("SELECT await.user_id('ann')"), 'of all nodes';
    sql(
        "INSERT INTO await.edge_node
        SELECT gen_random_uuid(), 'n' || i, clock_timestamp(), '{}' FROM generate_series(1, 1000) i"
    );
    sql($report->(3, q('{}')));
    is sql(q{SELECT count(*) FROM await.edge_node WHERE id = '00000000-0000-7000-8000-000000000003'}), 0,
        'a thousand are enough';
    cmp_ok scalar(@{ overview()->{overview}{nodes} }), '<=', 100, 'and a hundred are shown';
    sql('DELETE FROM await.edge_node');
};

subtest 'rights' => sub {
    for my $role (qw(await_edge await_worker await_relay await_console)) {
        is sql(
            "SELECT string_agg(p.proname::text, ' ' ORDER BY p.proname) FROM pg_proc p
            WHERE p.pronamespace = 'await'::regnamespace
                AND p.proname IN ('edge_report', 'console_nodes', 'console_lanes')
                AND has_function_privilege('$role', p.oid, 'EXECUTE')"
            ),
            { await_edge => 'edge_report' }->{$role} // '',
            "$role: only an edge tells of itself";
    }
};

subtest 'the last console is closed' => sub {
    my $console = begin_request('GET', '/console/api/live', headers => {%sse});
    eventually 'while one is open, nodes are stored', sub { sql('SELECT count(*) FROM await.edge_node') == 2 };
    close $console->{socket};
    eventually 'then they are forgotten', sub { sql('SELECT count(*) FROM await.edge_node') == 0 };
    reported(2);
    my $before = written();
    reported(2);
    is written(), $before, 'and nothing is written';
};

finish();
