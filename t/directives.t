# Bad configuration fails at nginx -t with file, line and reason; a server that uses none of our directives is left alone.

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

my @cases = (
    [ 'two backends', "await_postgres 'host=/a'; await_postgres 'host=/b';", qr/"await_postgres" directive is duplicate/ ],
    [ 'a conninfo that is none', "await_postgres 'hots=x';", qr/is no conninfo: invalid connection option "hots"/ ],
    [ 'a host that does not exist', "await_postgres 'host=no.such.host.invalid';", qr/"no.such.host.invalid", which cannot be resolved/ ],
    [ 'a Redis URL that is none', 'await_redis localhost:6379;', qr/"localhost:6379" is no Redis URL: it begins with redis:/ ],
    [ 'Redis over TLS', 'await_redis rediss://h;', qr/TLS/ ],
    [ 'a re-read without end', 'await_reread 1ms;', qr/at least 50ms/, 'elsewhere' ],
    [ 'a queue that is none', location('await_submit "a b";'), qr/"a b" is no queue/ ],
    [ 'an unknown option', location('await_submit q prioritty=1;'), qr/"prioritty=1" is no option of await_submit/ ],
    [ 'a priority out of range', location('await_submit q priority=101;'), qr/no number from -100 to 100/ ],
    [ 'a lease that is too short', location('await_submit q lease=10ms;'), qr/"lease=10ms" is no time, or too short/ ],
    [ 'retention that is none', location('await_submit q retain=1y;'), qr/"retain=1y" is no time up to 90d/ ],
    [ 'params without file', location('await_submit q params=a;'), qr/needs file=/ ],
    [ 'an action twice', location('await_submit q; await_submit r;'), qr/"await_submit" is there twice/ ],
    [ 'a job\'s default', location('await_job $arg_id default=xml;'), qr/"default=xml" is no option of await_job/ ],
    [ 'a job without id', location('await_job;'), qr/invalid number of arguments in "await_job"/ ],
    [ 'an unknown variable', location('await_job $nonesuch;'), qr/unknown "nonesuch" variable/, 'elsewhere' ],
    [ 'a failed status', location('await_result $arg_id failed=200;'), qr/"failed=200" is no option of await_result/ ],
    [ 'a channel', location('await_events news;'), qr/"news" is neither a channel/ ],
    [ 'an owner that is everybody', location('await_owner me;'), qr/"me" holds no variable/ ],
    [ 'a ping', location('await_ping 10ms;'), qr/"10ms" is no time from 1s to 2m/ ],
    [ 'a retry', location('await_retry 5s 1s;'), qr/smaller first/ ],
    [ 'keys', location('await_idempotency maybe;'), qr/"maybe" is none of "on", "off" and "required"/ ],
    [ 'keys for no time', location('await_idempotency on 10ms;'), qr/"10ms" is no time of 1s or more/ ],
    [ 'a socket\'s channel', location('await_socket news;'), qr/"news" is neither a channel, job:<id>, topic:<name>, user:<name> or a variable, nor one of the options plain, thin and event=/ ],
    [ 'plain without a channel', location('await_socket plain;'), qr/"plain" needs a channel/ ],
    [ 'an origin that is none', location('await_origins example.com;'), qr/"example.com" is no origin/ ],
    [ 'an origin with a path', location('await_origins https://example.com/;'), qr/is no origin/ ],
    [ 'any and others', location('await_origins any same;'), qr/"any" stands alone/ ],
    [ 'no channels', location('await_max_channels 0;'), qr/"0" is no number of 1 or more/ ],
    [ 'a frame that is no size', location('await_max_frame x;'), qr/"await_max_frame" directive invalid value/ ],
    [ 'a topic that is none', location('await_publish "a b";'), qr/"a b" is no topic/ ],
    [ 'a topic to watch that is none', location('await_events topic:;'), qr/"topic:" is neither a channel/ ],
    [ 'events of nothing', location('await_events thin;'), qr/"thin" is no channel: there is nothing to watch/ ],
    [ 'more channels than a cursor can tell of', location('await_events ' . join(' ', map { "topic:t$_" } 1 .. 17) . ';'), qr/"topic:t17" is one channel too many: a cursor can tell of 16/ ],
    [ 'a pattern of jobs', location('await_allow job:*;'), qr/"job:\*" is no pattern of topics/ ],
    [ 'publishing how', location('await_publish a newest;'), qr/"newest" is no option of await_publish: there are type= and latest/ ],
    [ 'a format that is no JSON', "await_format f '{';", qr/"f" is no template of a format: it is no JSON/, 'elsewhere' ],
    [ 'a format with a path that is none', "await_format f '{\"a\":\"\@a b\"}';", qr/"f" is no template of a format: "\@a b" is no path/, 'elsewhere' ],
    [ 'a format twice', "await_format f '{}'; await_format f '{}';", qr/"f" is the name of a format that is there already/, 'elsewhere' ],
    [ 'a format that is not there', location('await_events job:$arg_id event=f;'), qr/"event=f" names no format/ ],
    [ 'a document\'s format', location('await_job $arg_id format=f;'), qr/"format=f" names no format/ ],
    [ 'a submission\'s format', location('await_submit q format=f;'), qr/"format=f" names no format/ ],
    [ 'a type\'s name', location('await_event_types completed;'), qr/"completed" is not of the form type=name or type=off/ ],
    [ 'a type that is none', location('await_event_types Completed=x;'), qr/"Completed=x" is not of the form/ ],
    [ 'an events option', location('await_events job:$arg_id thick;'), qr/"thick" is neither a channel.*nor one of the options default=sse\|json, thin, linger, event= and format=/ ],
    [ 'a ticket\'s channel', location('await_ticket news;'), qr/"news" is neither a channel/ ],
    [ 'a ticket for ever', location('await_ticket topic:a ttl=1d;'), qr/"ttl=1d" is no time from 1s to 1h/ ],
    [ 'tickets perhaps', location('await_auth_ticket maybe;'), qr/invalid value "maybe" in "await_auth_ticket"/ ],
    [ 'a user without a name', location('await_events user:;'), qr/"user:" is neither a channel/ ],
    [ 'a hold', location('await_hold soon;'), qr/"await_hold" directive invalid value/ ],
    [ 'a value that is too large', location('await_value_max 1m;'), qr/at most 64k/, 'elsewhere' ],
    [ 'a type that is none', location('await_safe_types png;'), qr/"png" is no media type/ ],
    [ 'no one held', location('await_max_held 0;'), qr/"0" is no number of 1 or more/ ],
    [ 'none in flight', location('await_max_inflight x;'), qr/"x" is no number of 1 or more/ ],
    [ 'a drain too short', 'await_drain 10ms;', qr/"await_drain" is at least 1s/, 'elsewhere' ],
    [ 'a buffer that is no size', location('await_max_buffered lots;'), qr/"await_max_buffered" directive invalid value/ ],
    [ 'uploads that are no size', location('await_max_uploads many;'), qr/"await_max_uploads" directive invalid value/ ],
    [ 'metrics of something', location('await_metrics all;'), qr/invalid number of arguments in "await_metrics"/ ],
    [ 'two answers to POST', location('await_submit q; await_publish news;'), qr/"await_publish" answers POST, and so does "await_submit" in this location in \S+site\.conf/ ],
    [ 'two answers to POST, the other way round', location('await_ticket topic:a; await_submit q;'), qr/"await_submit" answers POST, and so does "await_ticket"/ ],
    [ 'an action where another handler is', location('proxy_pass http://127.0.0.1:1; await_submit q;'), qr/"await_submit" is in a location of another handler, such as proxy_pass/ ],
    [ 'another handler where an action is', location('await_submit q; proxy_pass http://127.0.0.1:1;'), qr/is a location of an await action and of another handler, such as proxy_pass/, 'elsewhere' ],
    [ 'a place where it cannot be', "server { listen 127.0.0.1:\${PORT}; await_submit q; }", qr/"await_submit" directive is not allowed here/ ],
);
for my $case (@cases) {
    my ($name, $site, $why, $elsewhere) = @$case;
    if ($elsewhere) {
        $s->configure_nginx($site);
        like $s->nginx_t, $why, $name;
        next;
    }
    refused($name, $site, $why, bare => scalar($site =~ /^await_postgres/));
}
$s->configure_nginx(location('await_submit q;'), bare => 1);
like $s->nginx_t, qr/"await_submit" needs "await_postgres" in the http block, which says where the jobs are kept, in \S+site\.conf:2/, 'an action without a database';

subtest 'what is taken' => sub {
    for my $site (location('await_submit $arg_queue priority=-5 type=image/*,text/plain file=f params=a,b lease=1m max_attempts=1 delay=5s deadline=1h retain=keep; await_job_uri /j/$await_id; await_owner $remote_addr;'),
        location('await_hold 30s; await_hold_max 1m; await_ping 15s socket=25s; await_retry 1s; await_safe_types image/png; await_job $arg_id default=text; await_events job:$arg_id default=json;'),
        location('if ($arg_x) { await_owner off; await_hold 1s; } limit_except GET { deny all; } await_job $arg_id;'), 'await_redis off; await_reread 100ms; await_drain 5s; await_max_buffered 32k;' . location("await_metrics;")) {
        $s->configure_nginx($site);
        like $s->nginx_t, qr/test is successful/, $site;
    }
};

subtest 'nothing runs where nothing is used' => sub {
    $s->start_nginx("await_postgres 'host=127.0.0.1 port=1'; await_redis redis://127.0.0.1:1; server { listen 127.0.0.1:\${PORT}; location / { return 200 hello; } }", bare => 1);
    is get('/')->{body}, 'hello';
    my ($pid) = worker_pids();
    my @sockets = grep { (readlink $_) =~ /socket:/ } glob "/proc/$pid/fd/*";
    cmp_ok scalar(@sockets), '<=', 4, 'no connections';
    unlike error_log(), qr/await/, 'no word in the log';
    $s->end('nginx', 'TERM');
};

finish();
