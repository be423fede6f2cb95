# The console and other nodes: each shows what all of them hold, by transport, and who watches a job and what they were
# sent, whichever node it was; one that is gone is no longer shown. Before, a console showed its own node only.

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
use Test::More;

my $site = <<'CONF';
await_reread 1h;
server {
    listen 127.0.0.1:${PORT};
    location = /jobs { await_submit work; }
    location ~ ^/jobs/(?<id>[^/]+)$ { await_job $id; await_events job:$id; }
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
sub reports { return { map { $_->{id} => $_->{report} } @{ overview()->{overview}{nodes} // [] } } }
sub about { my ($id) = @_; return json(get("/console/api/jobs/$id"))->{nodes} }

my $here = sub { overview()->{node}{id} };
my $there = json(at($other, 'GET', '/console/api/overview')->response)->{node}{id};
eventually 'both nodes with a console are shown, the one without is not', sub {
    join(' ', sort keys %{ reports() }) eq join ' ', sort $here->(), json(
        at($other, 'GET', '/console/api/overview')->response)->{node}{id};
};
($here, $there) = ($here->(), json(at($other, 'GET', '/console/api/overview')->response)->{node}{id});
isnt $here, $there, 'each by an id of its own';

my $id = one_job();
my @held = (
    begin_request('GET', "/jobs/$id?wait=50"),
    (map { begin_request('GET', "/jobs/$id", headers => { Accept => 'text/event-stream' }) } 1 .. 2),
    (map { at($other, 'GET', "/jobs/$id", headers => { Accept => 'text/event-stream' }) } 1 .. 3));

subtest 'clients by node and transport' => sub {
    my $socket = Await::WebSocket->new($other->{port}, '/socket');
    $socket->say({ op => 'subscribe', channel => "job:$id" });
    my $seen = sub { my $r = reports(); join ' ', map { @{ $r->{$_} }{qw(polls streams sockets)} } $here, $there };
    eventually 'of all nodes', sub { $seen->() eq '1 2 0 0 3 1' };
    is reports()->{$there}{version}, overview()->{node}{version}, 'with their version';
    ok !exists reports()->{$there}{asks}, 'and nothing else';
    eventually 'who watches a job, on which node', sub {
        join(' ', sort map { $_->{watching} } @{ about($id) }) eq '3 4';
    };
    is_deeply [ map { @{ $_->{sent} } } @{ about($id) } ], [], 'none was sent anything';
    claim($id);
    complete($id, 'done', hint => 1);
    is json($held[0]->response)->{state}, 'completed', 'the job ends';
    my %sent;
    eventually 'what each was sent', sub {
        %sent = map { my $node = $_; map { ("$_->{way} $_->{seq}" => $_) } @{ $node->{sent} } } @{ about($id) };
        join(', ', sort keys %sent) =~ /^poll 3, socket [23](?:, socket 3)?, stream [23]/;
    };
    cmp_ok $sent{'poll 3'}{late_ms}, '<', 20_000, 'how long after the event';
    like $sent{'poll 3'}{at}, qr/^20\d\d-.*Z$/, 'and when';
    my $streams = sub { my $n = 0; $n += $_->{clients} for grep { $_->{way} eq 'stream' && $_->{seq} == 3 }
        map { @{ $_->{sent} } } @{ about($id) }; $n };
    eventually 'the streams of both nodes', sub { $streams->() == 5 };
    eventually 'nobody watches it any more', sub { !grep { $_->{watching} > 1 } @{ about($id) } };
};

subtest 'more jobs than are told of' => sub {
    my @many = map { one_job() } 1 .. 20;
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
    eventually 'is no longer shown', sub { !exists reports()->{$there} };
    ok exists reports()->{$here}, 'the others are';
    sql(q{UPDATE await.edge_node SET at = at - interval '2 minutes'});
    eventually 'and forgotten after a minute', sub { sql('SELECT count(*) FROM await.edge_node') == 1 };
    my $jobs = sub { sql(q{SELECT count(*) FROM await.edge_node n WHERE n.report -> 'jobs' <> '{}'}) };
    eventually 'and nodes tell of no job whose page is closed', sub { $jobs->() == 0 };
};

subtest 'what a node may tell' => sub {
    my $report = sub { "SELECT * FROM await.edge_report('00000000-0000-7000-8000-00000000000$_[0]', 'x', $_[1])" };
    refused("not $_", $report->(1, $_), qr/a report of a node needs/)
        for q('[]'), 'NULL', q(jsonb_build_object('x', repeat('x', 70000)));
    refused('a job that is none', $report->(1, q('{"asks": ["x"]}')), qr/invalid input syntax/);
    is sql($report->(1, q('{"asks": 1}'))), '', 'what is no list asks nothing';
    is sql($report->(2, q('{}'))), '', 'nor does nothing';
    sql("INSERT INTO await.edge_node
        SELECT gen_random_uuid(), 'n' || i, clock_timestamp(), '{}' FROM generate_series(1, 1000) i");
    sql($report->(3, q('{}')));
    is sql(q{SELECT count(*) FROM await.edge_node WHERE id = '00000000-0000-7000-8000-000000000003'}), 0,
        'a thousand are enough';
    cmp_ok scalar(@{ overview()->{overview}{nodes} }), '<=', 100, 'and a hundred are shown';
    sql('DELETE FROM await.edge_node');
};

subtest 'rights' => sub {
    for my $role (qw(await_edge await_worker await_relay await_console)) {
        is sql("SELECT string_agg(p.proname::text, ' ' ORDER BY p.proname) FROM pg_proc p
            WHERE p.pronamespace = 'await'::regnamespace
                AND p.proname IN ('edge_report', 'console_nodes', 'console_lanes')
                AND has_function_privilege('$role', p.oid, 'EXECUTE')"), { await_edge => 'edge_report' }->{$role} // '',
            "$role: only an edge tells of itself";
    }
};

subtest 'a server without a console' => sub {
    my $shared = sub {
        my ($node) = @_;
        my $bytes = 0;
        for (split /\n/, slurp("/proc/@{[ $node->pid('nginx') ]}/maps")) {
            $bytes += hex($2) - hex $1 if /^(\w+)-(\w+) \S+s .*zero/;
        }
        return $bytes;
    };
    cmp_ok $shared->($quiet) + 500_000, '<', $shared->($s), 'has no memory for it';
    my $started = slurp("$quiet->{dir}/nginx.conf") =~ /await_console/;
    ok !$started, 'as it has no such directive';
};

finish();
