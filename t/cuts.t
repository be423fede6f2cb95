# A client that vanishes in the middle took the nginx worker with it: what had been answered to a dead connection was
# freed while nginx was still at it, and a submission refused in its second packet read itself after its end. So every
# action is cut at every stage (by RST, FIN, half-close, a stream's reset) over every transport, many at once; freed
# memory is overwritten (MALLOC_PERTURB_; `make asan` sees more). Afterwards the workers are the same, nothing is
# counted as held or open, and exactly those jobs exist that were answered or may have been committed. AWAIT_SEED=
# repeats the same cases, AWAIT_CUTS_SECONDS= is for how long, AWAIT_CUTS_ONLY= a pattern of "action over transport".

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::CutActions;
use Await::CutSteps;
use Await::Cutter;
use Await::Test;
use Digest::SHA qw(sha1);
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{AWAIT_CUTS_SECONDS} // 15;
my $seed = $ENV{AWAIT_SEED} // 1 + int rand 1e6;
my $only = $ENV{AWAIT_CUTS_ONLY} // '.';
my $at_once = 16;
alarm $seconds + 240;
$ENV{MALLOC_PERTURB_} //= 165;
diag "AWAIT_SEED=$seed";

# --- the servers: every way to linger, to park and to show errors, each on three ports -----------------------

my $files = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $files;
self_signed($files, 'ec -pkeyopt ec_paramgen_curve:P-256');
my $secret = 'of nobody but this test, and long enough';
Await::Stack::write_file("$files/secret", "$secret\n", 0644);

my $locations = <<'CONF' =~ s/\$\{FILES\}/$files/gr;
    ssl_certificate ${FILES}/cert.pem; ssl_certificate_key ${FILES}/key.pem;
    client_max_body_size 400k; client_body_timeout 5s; send_timeout 5s; lingering_timeout 1s;
    keepalive_timeout 3s;    # nginx keeps a connection alive whose reset it has met while it discarded a body
    location = /jobs { await_submit work file=image; }
    location = /batches { await_batch queues=work file=image; await_batches all; }
    location = /list { await_jobs all; }
    location /hooks { await_webhooks write all; }
    location /console { await_console write; }
    location = /played { await_submit work; await_proxy http://b headers=X-Any; }
    location = /hooked { await_submit work webhook=https://a.example/; }
    location ~ ^/kept/(?<id>[^/]+)$ { await_cache results; await_batch $id; }
    location ~ ^/jobs/(?<id>[^/]+)/retry$ { await_retry_job $id; }
    location ~ ^/batches/(?<id>[^/]+)$ { await_batch $id; await_events batch:$id; }
    location ~ ^/added/(?<id>[^/]+)$ { await_submit work batch=$id phase=a; }
    location = /images { await_submit work type=image/*; }
    location = /keyed { await_idempotency required; await_submit work; }
    location = /held { await_submit echo; }
    location = /one { await_max_inflight 1; await_submit work; }
    location = /asked { auth_request /allowed; await_submit work; }
    location = /forbidden { auth_request /denied; await_submit work; }
    location = /allowed { internal; return 204; }
    location = /denied { internal; return 403; }
    location ~ ^/jobs/(?<id>[^/]+)$ { await_job $id; await_events job:$id; await_socket job:$id; }
    location ~ ^/jobs/(?<id>[^/]+)/result$ { await_result $id; }
    location ~ ^/cached/(?<id>[^/]+)$ { await_cache results; await_result $id; }
    location ~ ^/slowly/(?<id>[^/]+)$ { limit_rate 400k; await_result $id; }
    location ~ ^/zipped/(?<id>[^/]+)$ { gzip on; gzip_types *; gzip_min_length 0; await_result $id;
        await_events job:$id; }
    location ~ ^/few/(?<id>[^/]+)$ { await_max_held 3; await_job $id; }
    location = /news { await_publish news; await_events topic:news; await_socket topic:news; }
    location = /page { await_events topic:news default=json; }
    location ~ ^/publish/(?<t>.*)$ { await_publish $t; }
    location = /flood { await_events topic:flood; await_publish flood; await_max_buffered 300k; }
    location = /me { await_owner $arg_u; await_events user:$arg_u topic:news; await_submit work; }
    location = /ws { await_allow topic:*; await_socket; }
    location = /ticket { await_owner $arg_u; await_ticket topic:news ttl=1h; }
    location /t/ { await_auth_ticket on; await_owner $await_user; location = /t/news { await_events topic:news;
        await_socket topic:news; } }
    location /in/ {
        await_auth_jwt here token=$arg_token; await_auth_jwt_key_file ${FILES}/secret; await_owner $await_user;
        location = /in/jobs { await_submit work; }
        location = /in/me { await_events user:$await_user; await_socket user:$await_user; }
    }
    location = /metrics { await_metrics; }
CONF

my (@servers, $site);
for my $n (0 .. 7) {
    my ($linger, $park, $shown) = map { $n >> $_ & 1 } 0 .. 2;
    my %port = map { $_ => Await::Stack::free_port() } qw(plain secure h2c);
    push @servers,
        {
        port => \%port,
        name => 'lingering_close '
            . ($linger ? 'off' : 'on')
            . ', await_park '
            . ($park ? 'off' : 'on')
            . ($shown ? ', no error_page' : '') };
    $site .=
          "server {\n"
        . ($n == 0 ? "    listen 127.0.0.1:\${PORT};\n" : '')
        . "    listen 127.0.0.1:$port{plain}; listen 127.0.0.1:$port{secure} ssl http2; "
        . "listen 127.0.0.1:$port{h2c} http2;\n"
        . ($linger ? "    lingering_close off;\n" : '')
        . ($park ? "    await_park off;\n" : '')
        . (
        $shown
        ? ''
        : "    error_page 400 401 403 404 405 406 408 409 410 413 415 416 422 426 429 503 \@problem;\n "
            . "   location \@problem { await_problem; }\n"
        ) . "$locations}\n";
}
my $s = start_stack(site => "await_reread 1h;\nawait_zone zone=results:4m;\n$site");
sql('GRANT await_console TO edge');
$s->start_worker('echo', '--queue', 'echo', '--concurrency', 4, '--content-type', 'text/plain', '--', 'cat');

my $cutter = Await::Cutter->new;
my ($large, $small) =
    prepare_actions(cutter => $cutter, port => $servers[0]{port}{plain}, seed => $seed, secret => $secret);
my (%stored, %whose, %seen, @wrong, @begun, %count);   # %stored: what each submission's mark may and must have led to

# --- one case ------------------------------------------------------------------------------------------------

my %transports = (
    plain => { port => 'plain', version => 1 },
    TLS => { port => 'secure', version => 1, tls => 1 },
    h2c => { port => 'h2c', version => 2 },
    'HTTP/2' => { port => 'secure', version => 2, tls => 1 });
my @transports = (('plain') x 5, ('TLS') x 2, ('h2c') x 2, 'HTTP/2');
my @names = sort keys %ACTIONS;
# Sometimes a request has company on its connection: a second one behind it, or over HTTP/2 other streams before it.
sub keep_company {
    my ($c, $version) = @_;
    if ($version == 1) {
        $c->{second} = pick(
            sub { submit('/jobs', 'behind') },
            sub { held('/jobs/ID?wait=20') },
            @ACTIONS{ 'no JSON at the end', 'result', 'stream' })->();
        return;
    }
    my @others = @ACTIONS{ 'submit', 'poll held', 'stream', 'no JSON', 'submit held', 'stream by the megabyte' };
    $c->{others} = [ map { pick(@others)->() } 1 .. 1 + rand 3 ];
}

# No handshake, or some bytes of one.
sub without_handshake {
    my ($how) = @_;
    my $hello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'r' x 32;
    return (
        [ send => pick(substr($hello, 0, rand length $hello), "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n") ],
        pause(0.01), [ cut => $how =~ /rst|fin/ ? $how : 'rst' ]);
}

# What the marks of the client's requests may lead to: a job, if the request is sent whole.
sub expect_marks {
    my ($c) = @_;
    for my $one (grep { $_ && $_->{mark} } $c->{request}, $c->{second}, @{ $c->{others} }) {
        my $may_be_cut = $one == $c->{request} || $one == ($c->{second} // 0);
        $stored{ $one->{mark} } = $one->{stores} && (!$may_be_cut || $c->{whole}) ? 1 : 0;
        $whose{ $one->{mark} } = $c->{name};
    }
}

# The n-th of this seed, or what is asked for.
sub begin {
    my ($n, %o) = @_;
    srand unpack 'L', sha1("$seed $n");      # seeds that are neighbours begin alike
    my ($server, $transport, $name, $stage) = (
        $o{server} // pick(@servers),
        $o{transport} // pick(@transports),
        $o{name} // pick(@names),
        $o{stage} // pick(@STAGES));
    my $r = $ACTIONS{$name}->();
    $r->{name} = $name;
    my %by = %{ $transports{$transport} };
    return if "$name over $transport" !~ /$only/ || $by{version} == 2 && ($r->{socket} || $r->{h1});
    my $how = $o{how}
        // pick(qw(rst rst rst fin half), $by{tls} ? 'notify' : (), $by{version} == 2 ? qw(reset reset) : ());
    my $c = {
        name => $name,
        stream => 1,
        answers => [],
        tls => $by{tls},
        request => $r,
        others => [],
        wrong => \@wrong,
        next_path => "/jobs/$small" };
    my $company = !$o{name} && rand() < 0.2 && !$r->{socket} && !$r->{unsaid};
    keep_company($c, $by{version}) if $company;
    my @steps = $by{version} == 1 ? steps1($r, $stage, $how, $c) : steps2($r, $stage, $how, $c);
    if ($by{tls} && $c->{stage} eq 'part' && rand() < 0.5) {
        @$c{qw(tls second others)} = (0, undef, []);
        @by{qw(tls version)} = (0, 1);
        @steps = without_handshake($how);
    }
    $c->{name} =
          "$n: $name over $transport, cut by $how at '$c->{stage}'"
        . ($company ? ', in company' : '')
        . ", $server->{name}";
    expect_marks($c);
    push @begun, $c->{name};
    shift @begun if @begun > 60;
    ++$count{begun}; ++$count{ $c->{stage} };
    my $client = $cutter->add(
        %$c,
        port => $server->{port}{ $by{port} },
        version => $by{version},
        narrow => $r->{big} && rand() < 0.5,
        steps => \@steps,
        done => \&judge
    );
    $begun[-1] .= ', from port ' . $client->{socket}->sockport;
    return 1;
}

sub judge {
    my ($c) = @_;
    collect($c);
    my $r = $c->{request};
    my @statuses =
        $c->{version} == 1
        ? (map({ $_->{status} } @{ $c->{answers} }), $c->{in} =~ m{^HTTP/1\.1 (?!100)(\d{3}) })
        : Await::Cutter::stream($c)->{status} // ();
    my $status = $statuses[0] or return;
    $seen{ $r->{name} } //= $status;
    my $good = $status =~ /^\d+$/ && $status < 400;
    ++$count{answers};
    push @wrong, "$c->{name}: answered $status"
        if $status !~ /^\d{3}$/ || $status == 500 || ($good && ($r->{refused} || (!$c->{whole} && $status != 101)));
    $stored{ $r->{mark} } = 2 if $r->{stores} && !$r->{twice} && $good && $stored{ $r->{mark} };
    $stored{ $c->{second}{mark} } = 2 if $c->{second} && $c->{second}{stores} && ($statuses[1] // 0) == 202;
}

# --- and all of them -------------------------------------------------------------------------------------------

sub descriptors { my ($pid) = @_; my @all = glob "/proc/$pid/fd/*"; return scalar @all }
# What is still connected to which server.
sub connections {
    my ($pid) = @_;
    my %its = map { (readlink // '') =~ /socket:\[(\d+)\]/ ? ($1 => 1) : () } glob "/proc/$pid/fd/*";
    my %server = map {
        my $server = $_;
        map { $server->{port}{$_} => "$_, $server->{name}" } keys %{ $server->{port} }
    } @servers;
    return map {
        my ($local, $peer, $state, $inode) = (split)[ 1 .. 3, 9 ];
        my $port = hex((split /:/, $local)[1] // 0);
        $its{ $inode // '' } && $server{$port} && $state ne '0A'
            ? "state $state from port " . hex((split /:/, $peer)[1]) . ": $server{$port}"
            : ()
    } split /\n/, slurp('/proc/net/tcp');
}
my %read;
sub harmed {
    my ($pid) = @_;
    my @now = worker_pids();
    return "the nginx worker is another: @now, not $pid" if "@now" ne $pid;
    for my $path (map { "$s->{dir}/logs/$_.log" } qw(error nginx)) {
        open my $file, '<', $path or next;
        seek $file, $read{$path} // 0, 0;
        while (<$file>) { chomp; return $_ if /\[(alert|emerg)\]|Sanitizer/ }
        $read{$path} = tell $file;
    }
    return undef;
}

get("/jobs/$small") for 1 .. 3;
my ($worker) = worker_pids();
my ($before) = descriptors($worker);

# first each of them is done, so that it is known to be what its name says
for my $name (@names) {
    begin($name, server => $servers[0], transport => 'plain', name => $name, stage => 'answered', how => 'fin');
    $cutter->turn while $cutter->busy >= $at_once;
}
$cutter->turn while $cutter->busy;
sub is_itself {
    my ($name) = @_;
    my ($r, $status) = ($ACTIONS{$name}->(), $seen{$name} // 0);
    return 1 if "$name over plain" !~ /$only/ || $r->{full} || $r->{held} && ($status == 0 || $status == 410);
    return $r->{refused} ? $status >= 400 : $status > 100 && $status < 400;
}
is_deeply { map { $_ => $seen{$_} } grep { !is_itself($_) } @names }, {}, 'each action is what its name says';
my ($start, $n, $look, $storm, $harm) = (time, 0, time + 0.5, time + 1);
while (time < $start + $seconds && !$harm) {
    for (1 .. 1000) { last if $cutter->busy >= $at_once; begin(++$n) }
    $cutter->turn;
    if (time >= $look) { $harm = harmed($worker); $look = time + 0.5 }
    if (time >= $storm) { $cutter->vanish($_, 'rst') for $cutter->clients; $storm = time + 1 }    # all at one moment
}
my ($took, $last) = (time - $start, time + 30);
$cutter->turn while $cutter->busy && time < $last;
$cutter->vanish($_, 'fin') for $cutter->clients;

$harm //=
      until_true('the service answers', sub { get('/metrics')->{status} == 200 })
    ? harmed($worker)
    : 'no answer any more';
is $harm, undef, "nothing is harmed by " . ($count{begun} // 0) . " cuts"
    or diag join "\n", "AWAIT_SEED=$seed; the last of $n:", @begun;
is_deeply \@wrong, [], 'what was answered is as it should be';
subtest 'nothing is left behind' => sub {
    my @gauges =
        qw(await_held await_parked await_sockets await_watched_jobs await_inflight_submissions await_inflight_reads
            await_buffered_bytes);
    my %left;
    until_true(
        'all gauges at 0',
        sub {
            my $all = get('/metrics')->{body};
            %left = map { $all =~ /^\Q$_\E (-?\d+)$/m ? ($_ => $1) : ($_ => 'missing') } @gauges;
            return !grep { $_ ne "0" } values %left;
        },
        20
    );
    is_deeply \%left, { map { $_ => 0 } @gauges }, 'gauges';
    until_true('descriptors as before', sub { descriptors($worker) <= $before }, 20);
    cmp_ok descriptors($worker), '<=', $before, 'descriptors' or diag join "\n", connections($worker);
    is post('/jobs', 'after')->{status}, 202, 'it takes jobs';
    is get("/jobs/$large/result")->{body}, 'r' x 600_000, 'and gives results';
};
subtest 'the jobs there are' => sub {
    my %there;
    my $marked = "FROM await.job j WHERE correlation_id LIKE 'cut-%'";
    $there{$_}++
        for split /\n/, sql("SELECT correlation_id $marked AND (batch IS NULL OR correlation_id IS DISTINCT FROM
            (SELECT b.correlation_id FROM await.job b WHERE b.id = j.batch))");
    is_deeply [ map { "$_: " . ($whose{$_} // 'hidden') } grep { !$stored{$_} } sort keys %there ], [],
        'none of a request that was refused, cut too early or never was one';
    is_deeply [ grep { $there{$_} > 1 } sort keys %there ], [], 'none twice';
    is_deeply [ map { "$_: $whose{$_}" } grep { $stored{$_} == 2 && !$there{$_} } sort keys %stored ], [],
        'all that were answered';
    is sql("SELECT string_agg(id || ' ' || n, ', ') FROM (SELECT id, (SELECT count(*) FROM await.job a
        WHERE a.batch = j.id AND a.correlation_id = j.correlation_id) AS n $marked AND await.is_batch(id)) b
        WHERE n <> 40") // '', '',
        'all jobs of each batch';
    is sql('SELECT count(*) FROM await.batch_stage'), 0, 'and nothing of a batch that was cut';
};
note sprintf 'cuts: %d in %.0f s, %d of them answered; %s', delete $count{begun} // 0, $took,
    delete $count{answers} // 0, join ', ', map { "$count{$_} $_" } grep { $count{$_} } @STAGES;
finish();
