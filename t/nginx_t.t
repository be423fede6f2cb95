# nginx -t finds what it can: a wrong value, a combination that cannot work, a name that nothing defines. Each error has
# the file, the line, the reason and a remedy. The line is that of the directive, not that of a closing brace.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

my $s = start_stack(without => [ 'postgres', 'redis', 'nginx' ]);
$s->{port} = Await::Stack::free_port();

# Two lines of a site: the second one is the configuration that is tried.
sub errors {
    my ($where, $directives) = @_;
    my $site =
        $where eq 'http'
        ? "# first line\n$directives\n"
        : "server { listen 127.0.0.1:\${PORT}; location / {\n$directives\n} }\n";
    $s->configure_nginx($site, $where eq 'http' && $directives =~ /^await_postgres/ ? (bare => 1) : ());
    return $s->nginx_t;
}
sub refused {
    my ($where, $directives, $what) = @_;
    my $out = errors($where, $directives);
    my ($line) = $out =~ /\[emerg\] ([^\n]*)/;
    (my $name = $directives) =~ s/\s+/ /g;
    like $line // "it was accepted: $out", qr/$what.* in \S+site\.conf:2$/, "$name is refused with reason and line";
    return;
}

# --- backends ----------------------------------------------------------------------------------------------------

my $files = $s->{dir};
Await::Stack::write_file("$files/open.pass", "*:*:*:*:secret\n", 0644);
my %conninfo = (
    '' => 'must specify at least "host="',
    'port=abc' => '"port" must be a number from 1 to 65535',
    'host=/a port=0' => '"port" must be a number',
    'host=/a port=65536' => '"port" must be a number',
    'host=/a,/b port=1,2,3' => '"port" must be one number, or as many as there are hosts',
    'host=/a hostaddr=db.example' => '"hostaddr" must be an IP address',
    'host=/a,/b hostaddr=127.0.0.1' => '"hostaddr" must have as many addresses',
    'host=/a sslmode=bogus' => '"sslmode" must be disable, allow,',
    'host=/a sslmode=verify-full' => 'require "sslrootcert", the file of the trusted certificates',
    'host=/a sslmode=verify-ca' => 'require "sslrootcert"',
    'host=/a sslrootcert=/no/such' => '"sslrootcert" cannot be read: No such file',
    'host=/a sslcert=/no/such' => '"sslcert" cannot be read: No such file',
    'host=/a sslkey=/no/such' => '"sslkey" cannot be read: No such file',
    'host=/a passfile=/no/such' => '"passfile" cannot be read: No such file',
    "host=/a passfile=$files/open.pass" => '"passfile" can be read by others than its owner, .*; set mode 0600',
    'host=/a channel_binding=require sslmode=disable' => '"channel_binding=require" needs TLS',
    'host=/a ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2' => 'is later than "ssl_max_prot',
    'host=/a connect_timeout=soon' => '"connect_timeout" must be an integer',
    'host=/a target_session_attrs=standby' => '"target_session_attrs" must be any, read-write or primary',
    'host=/a target_session_attrs=prefer-standby' => '"target_session_attrs" must be any, read-write or primary',
    'host=/a client_encoding=LATIN1' => '"client_encoding" must be UTF8',
    'host=/a replication=database' => '"replication" must be',
    'hots=/a' => 'invalid connection option "hots"',
    'postgresql://u:p@127.0.0.1:abc/x' => '"port" must be a number',
);
refused('http', "await_postgres '$_';", "in \"await_postgres\" directive, .*$conninfo{$_}") for sort keys %conninfo;
refused('http', 'await_postgres host=/a dbname=x;', 'requires one parameter, .*must be in quotes, such as');
unlike errors('http', 'await_postgres host=/a password=hunter2;'), qr/hunter2/,
    'a password without quotes is not shown';

refused('http', "await_redis $_->[0];", "\"await_redis\" directive.*$_->[1]")
    for (
    [ "''", 'it must begin with "redis://" or "unix:"' ],
    [ 'valkey://h', 'it must begin with' ],
    [ 'redis://127.0.0.1:99999', 'the port must be a number from 1 to 65535' ],
    [ 'redis://127.0.0.1:6379x', 'the port must be a number' ],
    [ 'redis://127.0.0.1/first', 'the database after the slash must be a number' ],
    [ 'redis://', 'the host is missing' ],
    [ 'redis://[::1:6379', 'must be in the form "\[address\]:port"' ],
    [ 'redis://[::1]6379', 'must be in the form "\[address\]:port"' ],
    [ 'unix:run/redis.sock', 'requires a path that begins with "/"' ],
    [ 'off redis://127.0.0.1', 'it cannot be used with servers' ],
    [ 'redis://127.0.0.1 off', 'it cannot be used with servers' ],
    [ 'redis://127.0.0.1 redis://127.0.0.1', 'the server is given twice' ]);

# --- values: what is wrong, and what would be right ----------------------------------------------------------------

my %values = (
    await_reread => [ 'a time between 50ms and 1h', qw(10ms abc 5x 0 -1s 2h 9999999999999s) ],
    await_drain => [ 'a time between 1s and 1d', qw(500ms abc 5min 2d) ],
    await_max_batch => [ 'a number between 1 and (?:4096|256)', qw(0 5000 abc -1), '10 0', '10 999' ],
    await_cache => [
        'in the form "open=time"|equal to or less than 1m|has no parameters',
        'a open', 'a open=', 'a open=x', 'a time=1s', 'a open=2m', 'off open=1s'
    ],
    await_zone => [ 'in the form "zone=name:size"', qw(results results:1m zone=a zone=a:big zone=:1m) ],
    await_hold => [ 'a time such as "30s"', qw(5min soon -1 2d) ],
    await_hold_max => [ 'a time between 1s and 1d', qw(500ms soon 0 2d) ],
    await_ping =>
        [ 'between 1s and 2m|one time', qw(500ms abc 3m socket= socket=500ms), '5s 6s', 'socket=5s socket=6s' ],
    await_retry => [ 'a time between 100ms and 1h|a time no less than', qw(abc 0 10ms 2h), '5s 1s', '5s soon' ],
    await_value_max => [ 'a size of at most 64k', qw(1m abc -1 65k) ],
    await_max_buffered => [ 'a size between 4k and 1g', qw(0 1 1k lots 2g) ],
    await_max_uploads => [ 'a size equal to or greater than 64k', qw(0 1k many) ],
    await_max_frame => [ 'a size between 128 and 1g', qw(0 x 100 10g) ],
    await_max_held => [ 'a number equal to or greater than 1', qw(0 x -1 99999999999999999999) ],
    await_max_inflight => [ 'a number equal to or greater than 1', qw(0 x) ],
    await_max_channels => [ 'a number equal to or greater than 1', qw(0 x) ],
    await_hints => [ '"signed" or "verified"', qw(maybe on) ],
    await_park => [ '"on" or "off"', 'maybe' ],
    await_cors => [
        '"on" or "off"|list names of headers|headers= or expose=|cannot be used with "off"|with "await_origins any"',
        'maybe', 'on headers=',
        '"on headers=a b"',
        'on "expose=a b"',
        'on names=x', 'off headers=x',
        'on headers=*'
    ],
    await_request_id => [ 'contain a variable, or be "off"', 'abc', "''" ],
    await_health => [ 'it must be redis=optional\|required', qw(yes redis=maybe redis) ],
    await_auth_jwt => [
        'a realm must not|in the form|cannot be used with|requires',
        "''", "'a\"b'", 'r token=abc', 'off token=$arg_t', 'r'
    ],
    await_auth_jwt_require => [ '"claim=value"', qw(x =x) ],
    await_format => [
        'a name without spaces|invalid JSON|invalid filter|invalid path',
        "'' '{}'", "f 'x'", "f ''", "f '{\"a\":\"\@id|no\"}'"
    ],
    await_auth_ticket => [ '"on" or "off"', 'maybe' ],
    await_idempotency =>
        [ '"on", "off" or "required"|at most 90d|takes no time', 'maybe', 'on 5x', 'on 500d', 'off 5m' ],
    await_auth_jwt_leeway => [ 'a time in whole seconds, at most 1h', qw(5x 500ms 2d) ],
    await_owner => [ 'contain a variable, or be "off"', 'bob', "''" ],
    await_allow => [ 'a topic pattern such as', qw(news.* topic: user:*), '"topic:a b"' ],
    await_origins => [
        'an origin without a path', qw(example.com null ftp://x https://a/b https://*.example.com https://a:b
            https://a:443 http://a:80), "''"
    ],
    await_safe_types => [ 'a media type such as', qw(png image/* / ), '"text/plain;charset=utf-8"' ],
    await_event_types => [ '"type=name" or "type=off"', qw(x =x x= X=y) ],
    await_job_uri => [ 'begin with "/", |a variable such as "\$await_id"', '/job', "''", 'jobs/$await_id' ],
    await_result_uri => [ 'begin with "/", |a variable such as "\$await_id"', '/job', 'ftp://$await_id' ],
    await_problem_base => [ 'a URI without variables', "''", 'problems', "'/a b'", '/$arg_x' ],
    await_job => [
        'the id of a job must be a variable|without "job:"',
        'id', "''", '0198c0de-0000-7000-8000-000000000000',
        'job:$arg_id'
    ],
    await_result => [ 'the id of a job must be a variable|without "job:"', 'id', 'job:$arg_id' ],
    await_console => [ 'it must be write', 'read', "''", 'writes' ],
    await_retry_job => [
        'the id of a job must be a variable|without "job:"|it must be max_pending=|a number between 1|is unknown'
            . '|requires "await_owner"', 'id',
        'job:$arg_id', '$arg_id default=text', '$arg_id format=none', '$arg_id max_pending=0', '$arg_id max_pending',
        '$arg_id max_pending_per_owner=x', '$arg_id max_pending_per_owner=1'
    ],
    await_proxy => [
        'it must be a URL such as|must have no segments|must be one of methods= and headers=|a method must be one of|'
            . 'it must name|a list of names|belongs to the connection|it is given twice',
        qw(b ftp://b http:// http://u:p@b http://b:0 http://$host http://b$arg_x http://b/../x), 'http://b nonsense=1',
        'http://b methods=', 'http://b methods=GET', 'http://b methods=post', 'http://b methods=PUT methods=PATCH',
        'http://b headers=', 'http://b "headers=a b"', 'http://b headers=Host', 'http://b headers=X-Ok,Range'
    ],
    await_jobs =>
        [ 'the name of a queue, in front, or all or format=|given twice|is unknown|requires "await_owner"', "''",
        '"a b"', 'q p', 'all q', 'q sorted', 'q format', 'all all', 'format=none all', '', 'q' ],
    await_batches => [ 'it must be all or format=|given twice|requires "await_owner"', 'q', 'all all', '', "''" ],
    await_events => [
        'a channel|at least one channel|given twice',
        qw(id job: job:id topic: user: news thin),
        'job:0198c0de-0000-7000-8000-000000000000',
        '"topic:a b"',
        '"topic:a $arg_b"',
        'topic:a topic:a'
    ],
    await_socket => [ 'a channel|given twice', qw(job:id topic: plain), 'topic:a topic:a' ],
    await_ticket => [ 'a channel|between 1s and 1h', qw(job:id ttl= ttl=500ms ttl=2h) ],
    await_publish => [
        'a topic must be|a type must be|given twice',
        "''", '"a b"', '"a $arg_b"', 'a type=', 'a type=X',
        'a type=completed',
        'a latest latest'
    ],
    await_batch => [
        'it must|each name must be|a queue name must be|a name is given twice|is given twice|too many names'
            . '|requires "file="|requires "queues="|the id of a batch must be a variable|without "batch:"'
            . '|requires the id of a batch or|requires "webhook="',
        'id', 'batch:$arg_id', 'default=text', '$arg_id queues=', '$arg_id phases=a', '$arg_id retain=1d', 'phases=a',
        'queues=a queues=b', 'queues=a phases=a phases=b', 'queues=a phases=a,,b', 'queues=a phases=a,a',
        'queues=a options=delay,delay', 'queues=a $arg_id',
        'queues=' . join(',', map { "q$_" } 1 .. 65),
        map { "queues=a $_" }
            qw(b queue=a phases= phases=$arg_p on_ready= on_ready=$arg_q options= options=queue params=a file=
            type=image lease=500ms deadline=500ms max_attempts=0 priority=101
            retain=1y batch=$arg_b phase=a max_pending=0 max_pending_per_owner=x max_pending=1000001
            webhook= webhook=x webhook_on=failed),
        'phases=' . join(',', 'a' .. 'q'), 'delay=10s deadline=5s'
    ],
    await_batch_uri => [ 'begin with "/", |a variable such as "\$await_id"', '/batch', "''", 'batches/$await_id' ],
    await => [
        'it must|a queue name must be|given twice|requires "file="|requires "queues="|requires "batch="'
            . '|the format is unknown|each name must be|the id of a batch must be a variable|a phase must be'
            . '|requires "webhook="',
        '"a b"', "''", 'q file=a file=b', 'q delay=10s deadline=5s', '$arg_q phases=a', 'q.$arg_q on_ready=a',
        'q pending=202 pending=404', 'q default=text default=json', 'q thin thin', 'q all all', 'q phases=a,a',
        'q max_pending=0', 'q max_pending=1 max_pending=2',
        map { "q $_" }
            qw(lease lease=5x max_attempts=0 priority=101 type=image retain=1y params=a tries=3 default=sse default=xml
            default= pending=200 failed=200 failed= format= format=f event=f thick thin=1 topic:a job:$arg_id $arg_id
            queues= queues=$arg_q phases= on_ready= options= options=queue batch=id batch= phase=a phases=$arg_p all=1
            r webhook= webhook=x webhook_on=failed)
    ],
    await_submit => [
        'it must|a queue name must be|given twice|requires "file="|requires "batch="|the id of a batch|a phase must be'
            . '|requires "webhook="|a type is given twice|too many types',
        '"a b"', '"a $arg_q"', "''",
        'q type=image/*,png', 'q lease=1m lease=2m', 'q file=a file=b', 'q delay=10s deadline=5s',
        map { "q $_" }
            qw(lease lease= lease=5x lease=500ms lease=2d delay=0 delay=500d deadline=500ms max_attempts=0
            max_attempts=x max_attempts=1001 priority= priority=x priority=101 file= type= type=image type=*/*
            retain= retain=0 retain=91d retain=1y params=a tries=3 batch= batch=x phase=a
            max_pending= max_pending=0 max_pending=1000001 max_pending_per_owner=x max_pending_per_owner=0),
        'q batch=$arg_b phase=', 'q batch=$arg_b "phase=a b"', 'q webhook_on=failed',
        (map { "q webhook=$_" } '', '"https://a/#b"', '"https://a b/"',
            qw(x http:// https://u:p@a/ ftp://a/ https://a:0/ x$arg_h)),
        (map { "q webhook=https://a/ webhook_on=$_" } '', 'failed,', 'Failed', 'failed,failed', '"a b"',
            join ',', map { "t$_" } 1 .. 33)
    ],
    await_webhook_hosts => [
        'it must be a host|is given twice', "''", 'https://', 'a/b', '"a b"', '*a', 'a:0',
        'u@a', '$arg_h', 'a a'
    ],
    await_webhooks => [ 'it must be write or all|given twice', 'read', "''", 'all all', 'write write' ],
    await_retry_job => [
        'must be a variable|without "job:"|it must be max_pending=',
        'id', 'job:$arg_id', '$arg_id retain=1d'
    ],
);
my %in_http = map { $_ => 1 } qw(await_reread await_drain await_max_batch await_zone await_format);
for my $directive (sort keys %values) {
    my ($what, @wrong) = @{ $values{$directive} };
    refused($in_http{$directive} ? 'http' : 'location', "$directive $_;", "\"$directive\" directive.*(?:$what)")
        for @wrong;
}

refused('location', "$_ max_pending_per_owner=2;", '"max_pending_per_owner=", which requires "await_owner"')
    for 'await_submit q', 'await_batch queues=q';
refused('location', "$_;", 'a variable that can name any host, so it requires "await_webhook_hosts"')
    for map { my $action = $_; map { "$action webhook=$_" } '$arg_h', 'https://$arg_h/x',
        'https://a$arg_h' } 'await_submit q',
    'await_batch queues=q', 'await q';

# what await_proxy records has to be a submission, and nothing else
for my $case (
    [ 'await_proxy http://b;' => 'requires "await_submit" or "await" in the same location' ],
    [ 'await_proxy http://b; await_job $arg_id;' => 'requires "await_submit" or "await"' ],
    [ 'await_proxy http://b; await_submit q file=f;' => 'cannot be used with "file="' ],
    [ 'await_proxy http://b; await q file=f;' => 'cannot be used with "file="' ],
    [ 'await_proxy http://b methods=DELETE; await_submit q; await_job $arg_id;' => 'DELETE, which "await_job"' ],
    [ 'await_proxy http://b; await_proxy http://c; await_submit q;' => '"await_proxy" directive is duplicate' ])
{
    refused('location', @$case);
}

subtest 'every directive is tried' => sub {
    my %apart =
        map { $_ => 1 } qw(await_postgres await_redis await_metrics await_problem await_auth_jwt_key_file);
    my @directives = map { slurp($_) =~ /^ +\{ngx_string\("(await(?:_\w+)?)"\), *(?:NGX_HTTP|HTTP|HSL)/mg }
        glob "$FindBin::Bin/../src/http/modules/*.cc";
    cmp_ok scalar @directives, '>', 40, 'the source has its directives';
    ok exists $values{$_} || $apart{$_}, "$_ is given wrong values" for @directives;
};

# --- what cannot work together -----------------------------------------------------------------------------------

my @get =
    ('await_job $arg_id', 'await_batch $arg_id', 'await_result $arg_id', 'await_jobs all', 'await_batches all',
    'await_webhooks all', 'await_console', 'await_metrics');
my @post =
    ('await_submit q', 'await_retry_job $arg_id', 'await_batch queues=q', 'await_publish topic',
    'await_ticket topic:a', 'await_webhooks write all');
for my $set (
    (map { [ 'GET', 'await q', $_ ] } @get, 'await_events topic:a', 'await_socket topic:a'),
    # one that also lists is refused for that
    (map { [ 'POST', 'await q', $_ ] } grep { !/await_webhooks/ } @post),
    [ 'GET', @get ],
    [ 'POST', @post ],
    [ 'GET', 'await_metrics', 'await_events topic:a', 'await_socket topic:a' ])
{
    my ($method, @actions) = @$set;
    for my $one (@actions) {
        for my $other (grep { $_ ne $one } @actions) {
            # a stream and a socket may be together
            next if "$one $other" !~ /metrics|await q/ && "$one $other" =~ /events/;
            my ($first, $second) = map { /(\w+)/ } $one, $other;
            refused(
                'location',
                "$one; $other;",
                "\"$second\" directive cannot be used with \"$first\" in the same location, " . "both handle $method"
            );
        }
    }
}
for my $one (@get, @post, 'await q', 'await_events topic:a', 'await_socket topic:a', 'await_problem') {
    my ($name) = $one =~ /(\w+)/;
    my $why = "\"$name\" directive cannot be used in a location with another handler such as \"proxy_pass\"";
    refused('location', "$one; $_;", $why) for 'proxy_pass http://127.0.0.1:1', 'empty_gif';
    refused('location', "$_; $one;", $why) for 'proxy_pass http://127.0.0.1:1', 'fastcgi_pass 127.0.0.1:1';
    my $other = $name eq 'await_problem' ? 'await_submit q' : 'await_problem';
    refused('location', "$one; $other;", 'cannot be used in a location with another handler');
}
refused('location', 'await_console; await_submit q;',
    '"await_submit" directive cannot be used with "await_console" in the same location, the console answers all paths');
refused('location', 'await_submit q; await_console;',
    '"await_console" directive cannot be used with "await_submit" in the same location, the console answers all paths');
refused('location', 'await q; await r;', '"await" directive is duplicate');
refused('location', 'await q max_pending_per_owner=5;',
    '"await" directive has "max_pending_per_owner=", which requires "await_owner"');

# "await" answers all paths below a prefix
for my $kind ([ '= /jobs', 'exact match' ], [ '~ ^/jobs', 'regular expression' ], [ '~* ^/jobs', 'regular expression' ],
    [ '@jobs', 'named location' ])
{
    $s->configure_nginx("server { listen 127.0.0.1:\${PORT}; location $kind->[0] {\nawait q;\n} }\n");
    like $s->nginx_t, qr/"await" directive requires a prefix location .*kind: $kind->[1] in \S+site\.conf:2\n/,
        "await in location $kind->[0] is refused";
}
for my $block ('if ($arg_x) {', 'limit_except GET {') {
    refused('location', "$block await q; }", '"await" directive is not allowed here');
    refused('location', "await q; if (\$arg_x) { $_ }", 'cannot be used in a block of a location with "await"')
        for 'await_submit r;', 'await_job $arg_id;', 'await_socket topic:a;', 'await_batch queues=r;',
        'await_jobs all;';
}
for my $taken ('location ^~ /jobs', 'location /', 'location /jobs/') {
    $s->configure_nginx("server { listen 127.0.0.1:\${PORT}; $taken {\nif (\$arg_x) { await_owner off; return 403; }\n"
            . "limit_except GET { deny all; }\nawait q file=f default=json linger plain;\n"
            . "location ~ ^/x { await_health; } } }\n");
    like $s->nginx_t, qr/test is successful/, "await in $taken is accepted, with blocks and a nested location";
}

refused('location', 'await_hold 90s; await_hold_max 10s;',
    '"await_hold" of 90s is longer than "await_hold_max" of 10s');
refused('location', 'await_hold 90s; await_job $arg_id;', 'longer than "await_hold_max" of 55s, the default');
refused('location', 'await_job $arg_id; if ($arg_x) { await_hold 90s; }', 'longer than "await_hold_max" of 55s');
refused(
    'http',
    "await_hold 90s; server { listen 127.0.0.1:\${PORT}; location / { await_job \$arg_id; } }",
    'of 55s, the default'
);
refused(
    'location',
    "$_; await_owner off;",
    '"' . (/(\w+)/)[0] . '" directive has a channel of a user, .*requires "await_owner"'
) for 'await_events user:$arg_x', 'await_socket user:$arg_x', 'await_ticket user:$arg_x';
refused(
    'http',
    "await_redis off; server { listen 127.0.0.1:\${PORT}; location / { await_health redis=required; } }",
    'requires "await_redis" with a server'
);
refused('location', 'await_auth_jwt_key_file /no/such;', 'open\(\) "/no/such" failed \(2: No such file');
refused('location', 'await_auth_jwt here;', '"await_auth_jwt" directive requires "await_auth_jwt_key_file"');
refused('location', "await_origins same same;", 'it is given twice');
refused('http', 'await_zone zone=a:1m; await_zone zone=a:2m;', 'this zone is already defined');
refused('location', "$_; $_;", 'directive is duplicate')
    for 'await_ping 5s', 'await_retry 1s', 'await_hold 1s', 'await_hints signed', 'await_max_frame 4k',
    'await_job_uri /$await_id', 'await_batch_uri /$await_id', 'await_batch queues=a', 'await_batch $arg_id';

# --- names that nothing defines ------------------------------------------------------------------------------------

refused(
    'location',
    "await_cache results; await_job \$arg_id;",
    'unknown zone "results" in "await_cache" directive, define it'
);
my @named = (
    'await_job %s',
    'await_result %s',
    'await_jobs %s all',
    'await_events job:%s',
    'await_socket topic:%s',
    'await_submit %s',
    'await_submit q batch=%s',
    'await_submit q batch=$arg_b phase=%s',
    'await_batch %s',
    'await_batch_uri /%s',
    'await_publish %s',
    'await_publish a type=%s',
    'await_ticket topic:%s',
    'await_owner %s',
    'await_job_uri /%s',
    'await_result_uri /%s'
);
for my $form (@named) {
    my ($directive) = $form =~ /(\w+)/;
    refused(
        'location',
        sprintf($form, $_) . ';',
        "unknown \"idd\" variable in \"$directive\" directive, it must be defined by"
    ) for $form =~ m{/} ? ('$idd') : ('$idd', '${IDD}');
}

# --- what is right stays accepted ----------------------------------------------------------------------------------

for my $right (
    'await_submit q; await_job $arg_id; await_events job:$arg_id; await_socket;',
    'await_submit q; await_metrics;',
    'await_submit q; await_jobs q all;',
    'await_owner $remote_user; await_jobs a.$arg_q; await_events user:$remote_user; await_socket;',
    'await_jobs all; await_owner off;',
    'await_batch queues=q; await_batches all;',
    'await_jobs "all$arg_q" all;',
    'await_result $arg_id; await_events job:$arg_id;',
    'await_submit q; if ($arg_x) { await_publish news; }',
    'await_job $arg_id; if ($arg_x) { proxy_pass http://127.0.0.1:1; }',
    'await_submit "a.$arg_q";',
    'await_submit q batch=$arg_batch phase=$arg_phase;',
    'await_batch $arg_id queues=a,b phases=one,two on_ready=a options=priority,delay,deadline,lease,max_attempts;',
    'await_batch queues=a file=image params=x type=image/* retain=30d deadline=1h; await_batch $arg_id default=text;',
    'await_batch $arg_id; await_events batch:$arg_id; await_socket batch:$arg_id; await_allow batch:* topic:a;',
    'await_batch queues=a; await_job $arg_id;',
    'await_publish latest latest;',
    'set $mine 1; await_job $mine$1${http_x_id}$cookie_id$arg_id$request_id;',
    'await_hold 90s; await_hold_max 2m; await_job $arg_id;',
    'await_hold 90s;',
    'await_owner $remote_user; await_events user:$remote_user topic:$arg_topic $arg_more;',
    'await_origins same https://example.com:8443 http://[::1]:3000 http://localhost:3000;',
    'await_submit q type=image/*,text/plain,application/vnd.x+json delay=5s deadline=10s lease=1d retain=keep;',
    'await_problem_base urn:problem:; await_job_uri https://api.example/$await_id; await_retry 100ms 1h;'
    )
{
    like errors('location', $right), qr/test is successful/, "$right is accepted";
}
like errors('http', $_), qr/test is successful/,
    "$_ is accepted"
    for (
    "await_postgres 'host=/a,/b port=1,2';",
    "await_postgres 'host=/a port=5432 sslmode=verify-full sslrootcert=/dev/null';",
    'await_zone zone=a:1m; server { listen 127.0.0.1:${PORT}; location / { await_cache a; await_job $arg_id; } }',
    "server { listen 127.0.0.1:\${PORT}; location / { await_cache later; await_job \$arg_id; } }\n"
    . 'await_zone zone=later:1m;',
    'server { listen 127.0.0.1:${PORT}; await_hold 90s; location / { await_hold_max 2m; await_job $arg_id; } }',
    'map $arg_q $queue { default q; } server { listen 127.0.0.1:${PORT}; '
    . 'location ~ ^/(?<id>.+)$ { await_submit $queue; await_job $id; } }'
    );

finish();
