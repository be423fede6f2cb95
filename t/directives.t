# Bad configuration fails at nginx -t with file, line and reason; a server that uses none of our directives is left
# alone.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

my $s = start_stack(without => [ 'postgres', 'redis', 'nginx' ]);
$s->{port} = Await::Stack::free_port();

sub refused {
    my ($name, $site, $why, %o) = @_;
    $s->configure_nginx($site, %o);
    my $out = $s->nginx_t;
    my ($line) = grep { /\[emerg\]/ } split /\n/, $out;
    like $line // "it was taken: $out", $why, $name;
    like $line // '', qr/site\.conf:\d+/, 'with file and line';
}
sub location { return "server { listen 127.0.0.1:\${PORT};\nlocation / { $_[0] } }" }

my @cases = ([
        'two backends',
        "await_postgres 'host=/a'; await_postgres 'host=/b';",
        qr/"await_postgres" directive is duplicate/
    ],
    [
        'a conninfo that is none',
        "await_postgres 'hots=x';",
        qr/invalid value "hots=\*\*\*" in "await_postgres" directive, invalid connection option "hots"/
    ],
    [
        'a host that does not exist',
        "await_postgres 'host=no.such.host.invalid';",
        qr/in "await_postgres" directive, host not found: "no.such.host.invalid"/
    ],
    [
        'a Redis URL that is none',
        'await_redis localhost:6379;',
        qr/invalid value "localhost:6379" in "await_redis" directive, it must begin with "redis:/
    ],
    [ 'Redis over TLS', 'await_redis rediss://h;', qr/TLS/ ],
    [
        'a re-read without end',
        'await_reread 1ms;',
        qr/invalid value "1ms" in "await_reread" directive, it must be a time between 50ms and 1h/
    ],
    [
        'a queue that is none',
        location('await_submit "a b";'),
        qr/invalid value "a b" in "await_submit" directive, a queue name must be 1 to 64 characters/
    ],
    [
        'an unknown option',
        location('await_submit q prioritty=1;'),
        qr/invalid parameter "prioritty=1" in "await_submit" directive, it must be one of file=,/
    ],
    [
        'a priority out of range',
        location('await_submit q priority=101;'),
        qr/"priority=101".*it must be a number between -100 and 100/
    ],
    [
        'a lease that is too short',
        location('await_submit q lease=10ms;'),
        qr/invalid parameter "lease=10ms".*it must be a time between 1s and 1d/
    ],
    [
        'retention that is none',
        location('await_submit q retain=1y;'),
        qr/"retain=1y".*it must be a time of no more than 90d, or "keep"/
    ],
    [ 'params without file', location('await_submit q params=a;'), qr/"params=".*it requires "file="/ ],
    [ 'an action twice', location('await_submit q; await_submit r;'), qr/"await_submit" directive is duplicate/ ],
    [
        'a job\'s default',
        location('await_job $arg_id default=xml;'),
        qr/invalid parameter "default=xml" in "await_job" directive, it must be default=json\|text or format=/
    ],
    [ 'a job without id', location('await_job;'), qr/invalid number of arguments in "await_job"/ ],
    [
        'an unknown variable',
        location('await_job $nonesuch;'),
        qr/unknown "nonesuch" variable in "await_job" directive, it must be defined/
    ],
    [
        'a failed status',
        location('await_result $arg_id failed=200;'),
        qr/invalid parameter "failed=200" in "await_result" directive/
    ],
    [
        'a channel',
        location('await_events news;'),
        qr/invalid parameter "news" in "await_events" directive, it must be a channel/
    ],
    [
        'an owner that is everybody',
        location('await_owner me;'),
        qr/invalid value "me" in "await_owner" directive, it must contain a variable/
    ],
    [
        'a ping',
        location('await_ping 10ms;'),
        qr/invalid value "10ms" in "await_ping" directive, it must be between 1s and 2m/
    ],
    [
        'a retry',
        location('await_retry 5s 1s;'),
        qr/invalid value "1s" in "await_retry" directive, the maximum must be a time no less than the minimum/
    ],
    [
        'keys',
        location('await_idempotency maybe;'),
        qr/invalid value "maybe" in "await_idempotency" directive, it must be "on", "off" or "required"/
    ],
    [
        'keys for no time',
        location('await_idempotency on 10ms;'),
        qr/invalid value "10ms" in "await_idempotency" directive, it must be equal to or greater than 1s/
    ],
    [
        'a socket\'s channel', location('await_socket news;'),
        qr/invalid[ ]parameter[ ]"news"[ ]in[ ]"await_socket"[ ]directive,[ ]it[ ]must[ ]be[ ]a[ ]channel
            [ ]\(job:\$id,[ ]batch:\$id,[ ]topic:<name>,[ ]user:<name>[ ]or[ ]a[ ]variable\)[ ]or[ ]one[ ]of[ ]plain,
            [ ]thin[ ]and[ ]event=/x
    ],
    [
        'plain without a channel',
        location('await_socket plain;'),
        qr/"plain" in "await_socket" directive, it requires a channel/
    ],
    [
        'an origin that is none',
        location('await_origins example.com;'),
        qr/"example.com" in "await_origins" directive, it must be "same", "any" or an origin/
    ],
    [ 'an origin with a path', location('await_origins https://example.com/;'), qr/an origin without a path/ ],
    (map {
        [ "await_cors $_->[0]", location("await_cors $_->[0]; await_submit q;"),
            qr/in "await_cors" directive, $_->[1]/ ]
    } [ 'maybe', qr/it must be "on" or "off"/ ], [ 'off headers=A', qr/it cannot be used with "off"/ ],
        [ 'on header=A', qr/it must be headers= or expose=/ ], [ 'on headers=', qr/it must list names of headers/ ],
        [ 'on headers=A,,B', qr/it must list names/ ], [ '"on" "headers=A, B"', qr/it must list names/ ],
        [ 'on headers=A:', qr/it must list names/ ], [ 'on expose=A/B', qr/it must list names/ ],
        [ 'on expose="(x)"', qr/it must list names/ ]),
    [ 'headers=* with credentials', location('await_origins https://a.example; await_cors on headers=*;'),
        qr/"await_cors" directive can only have "headers=\*" or "expose=\*" with "await_origins any"/ ],
    [ 'expose=* with credentials', location('await_cors on expose=X,*;'), qr/"await_cors" directive can only have/ ],
    [ 'await_cors twice', location('await_cors on; await_cors off;'), qr/"await_cors" directive is duplicate/ ],
    [ 'a constant request id', location('await_request_id me;'),
        qr/invalid value "me" in "await_request_id" directive, it must contain a variable, or be "off"/ ],
    [
        'any and others',
        location('await_origins any same;'),
        qr/"any" in "await_origins" directive, it cannot be used with other origins/
    ],
    [
        'no channels',
        location('await_max_channels 0;'),
        qr/invalid value "0" in "await_max_channels" directive, it must be a number equal to or greater than 1/
    ],
    [
        'a frame that is no size',
        location('await_max_frame x;'),
        qr/invalid value "x" in "await_max_frame" directive, it must be a size between/
    ],
    [
        'a topic that is none',
        location('await_publish "a b";'),
        qr/invalid value "a b" in "await_publish" directive, a topic must be/
    ],
    [ 'a topic to watch that is none', location('await_events topic:;'), qr/"topic:".*it must be a channel/ ],
    [ 'events of nothing', location('await_events thin;'), qr/"await_events" directive requires at least one channel/ ],
    [
        'more channels than a cursor can tell of',
        location('await_events ' . join(' ', map { "topic:t$_" } 1 .. 17) . ';'),
        qr/"topic:t17".*there are too many channels, the maximum is 16/
    ],
    [ 'a pattern of jobs', location('await_allow job:*;'), qr/"job:\*".*it must be a topic pattern/ ],
    [
        'a list of nobody\'s jobs',
        location('await_jobs q;'),
        qr/"await_jobs" directive lists what an owner has, so it requires "await_owner",.*"all" lists everybody/
    ],
    [
        'a list of what',
        location('await_jobs q failed;'),
        qr/"failed".*it must be the name of a queue, in front, or all/
    ],
    [ 'publishing how', location('await_publish a newest;'), qr/"newest".*it must be type= or latest/ ],
    [
        'a format that is no JSON',
        "await_format f '{';",
        qr/invalid template of the format "f" in "await_format" directive: invalid JSON: /
    ],
    [
        'a format with a path that is none',
        "await_format f '{\"a\":\"\@a b\"}';",
        qr/invalid template of the format "f".*: invalid path "\@a b", it must be/
    ],
    [
        'a format twice',
        "await_format f '{}'; await_format f '{}';",
        qr/invalid value "f" in "await_format" directive, this format is already defined/
    ],
    [
        'a format that is not there',
        location('await_events job:$arg_id event=f;'),
        qr/invalid parameter "event=f" in "await_events" directive, the format is unknown/
    ],
    [
        'a document\'s format',
        location('await_job $arg_id format=f;'),
        qr/invalid parameter "format=f".*the format is unknown/
    ],
    [
        'a submission\'s format',
        location('await_submit q format=f;'),
        qr/invalid parameter "format=f".*the format is unknown/
    ],
    [
        'a type\'s name',
        location('await_event_types completed;'),
        qr/"completed".*it must be in the form "type=name" or "type=off"/
    ],
    [ 'a type that is none', location('await_event_types Completed=x;'), qr/"Completed=x".*it must be in the form/ ],
    [
        'an events option',
        location('await_events job:$arg_id thick;'),
        qr/"thick".*it must be a channel.*or one of default=sse\|json, thin, linger, event= and format=/
    ],
    [
        'a ticket\'s channel',
        location('await_ticket news;'),
        qr/invalid parameter "news" in "await_ticket" directive, it must be a channel/
    ],
    [ 'a ticket for ever', location('await_ticket topic:a ttl=1d;'), qr/"ttl=1d".*it must be between 1s and 1h/ ],
    [ 'tickets perhaps', location('await_auth_ticket maybe;'), qr/invalid value "maybe" in "await_auth_ticket"/ ],
    [ 'a user without a name', location('await_events user:;'), qr/"user:".*it must be a channel/ ],
    [ 'a hold', location('await_hold soon;'), qr/invalid value "soon" in "await_hold" directive, it must be a time/ ],
    [
        'a value that is too large',
        location('await_value_max 1m;'),
        qr/invalid value "1m" in "await_value_max" directive, it must be a size of at most 64k/
    ],
    [ 'a type that is none', location('await_safe_types png;'), qr/"png".*it must be a media type/ ],
    [ 'no one held', location('await_max_held 0;'), qr/invalid value "0" in "await_max_held" directive/ ],
    [ 'none in flight', location('await_max_inflight x;'), qr/invalid value "x" in "await_max_inflight" directive/ ],
    [
        'a drain too short',
        'await_drain 10ms;',
        qr/invalid value "10ms" in "await_drain" directive, it must be a time between 1s and 1d/
    ],
    [
        'a buffer that is no size',
        location('await_max_buffered lots;'),
        qr/invalid value "lots" in "await_max_buffered" directive, it must be a size between/
    ],
    [
        'uploads that are no size',
        location('await_max_uploads many;'),
        qr/invalid value "many" in "await_max_uploads" directive, it must be a size equal/
    ],
    [ 'metrics of something', location('await_metrics all;'), qr/invalid number of arguments in "await_metrics"/ ],
    [
        'two answers to POST', location('await_submit q; await_publish news;'),
        qr/"await_publish"[ ]directive[ ]cannot[ ]be[ ]used[ ]with[ ]"await_submit"[ ]in[ ]the[ ]same[ ]location,
            [ ]both[ ]handle[ ]POST[ ]in[ ]\S+site\.conf/x
    ],
    [
        'two answers to POST, the other way round',
        location('await_ticket topic:a; await_submit q;'),
        qr/"await_submit" directive cannot be used with "await_ticket"/
    ],
    [
        'an action where another handler is',
        location('proxy_pass http://127.0.0.1:1; await_submit q;'),
        qr/"await_submit" directive cannot be used in a location with another handler such as "proxy_pass"/
    ],
    [
        'another handler where an action is',
        location('await_submit q; proxy_pass http://127.0.0.1:1;'),
        qr/"await_submit" directive cannot be used in a location with another handler such as "proxy_pass"/
    ],
    [
        'a place where it cannot be',
        "server { listen 127.0.0.1:\${PORT}; await_submit q; }",
        qr/"await_submit" directive is not allowed here/
    ],
);
for my $case (@cases) {
    my ($name, $site, $why) = @$case;
    refused($name, $site, $why, bare => scalar($site =~ /^await_postgres/));
}
$s->configure_nginx(location('await_submit q;'), bare => 1);
like $s->nginx_t, qr/"await_submit" directive requires "await_postgres" in the "http" block in \S+site\.conf:2/,
    'an action without a database';

subtest 'what is taken' => sub {
    for my $site (
        location(
            'await_submit $arg_queue priority=-5 type=image/*,text/plain file=f params=a,b lease=1m max_attempts=1 '
                . 'delay=5s deadline=1h retain=keep; await_job_uri /j/$await_id; await_owner $remote_addr;'
        ),
        location(
                  'await_hold 30s; await_hold_max 1m; await_ping 15s socket=25s; await_retry 1s; '
                . 'await_safe_types image/png; await_job $arg_id default=text; await_events job:$arg_id default=json;'
        ),
        location('if ($arg_x) { await_owner off; await_hold 1s; } limit_except GET { deny all; } await_job $arg_id;'),
        'await_redis off; await_reread 100ms; await_drain 5s; await_max_buffered 32k;' . location("await_metrics;"))
    {
        $s->configure_nginx($site);
        like $s->nginx_t, qr/test is successful/, $site;
    }
};

subtest 'nothing runs where nothing is used' => sub {
    $s->start_nginx(
        "await_postgres 'host=127.0.0.1 port=1'; await_redis redis://127.0.0.1:1; "
            . "server { listen 127.0.0.1:\${PORT}; location / { return 200 hello; } }",
        bare => 1
    );
    is get('/')->{body}, 'hello', 'nginx serves a location without the module';
    my ($pid) = worker_pids();
    my @sockets = grep { (readlink $_) =~ /socket:/ } glob "/proc/$pid/fd/*";
    cmp_ok scalar(@sockets), '<=', 4, 'no connections';
    unlike error_log(), qr/await/, 'no word in the log';
    $s->end('nginx', 'TERM');
};

finish();
