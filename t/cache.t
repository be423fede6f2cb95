# await_cache: results of ended jobs come from shared memory. It holds on reloads, for all nginx workers, for each owner
# his own, and forgets by itself what does not fit.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

my $zones = "await_zone zone=results:1m;\nawait_zone zone=other:1m;\n";
my $s = start_stack(reread => '60s', http => $zones, extra => <<'CONF');
    location = /metrics { await_metrics; }
    location ~ ^/hot/(?<id>[^/]+)/result$ { await_cache results; await_result $id;
        add_header X-Cache $await_cache_status always; }
    location ~ ^/hot/(?<id>[^/]+)$ { await_cache results; await_job $id;
        add_header X-Cache $await_cache_status always; }
    location ~ ^/mine/(?<id>[^/]+)$ { await_cache results; await_owner $http_x_user; await_job $id; }
    location = /mine { await_owner $http_x_user; await_submit work; }
CONF
sub done { my ($body, %o) = @_; my $id = one_job(); claim($id); complete($id, $body, %o); return $id }

subtest 'the second read is none' => sub {
    my $id = done('{"n":1}', type => 'application/json');
    my $first = get("/hot/$id");
    is header($first, 'X-Cache'), 'MISS', 'the first read is a miss';
    my $reads = metric('await_postgres_statements_total');
    my $second = get("/hot/$id");
    is header($second, 'X-Cache'), 'HIT', 'the second read is a hit';
    is metric('await_postgres_statements_total'), $reads, 'no statement';
    is $second->{body}, $first->{body}, 'both have the same body';
    is header($second, 'ETag'), header($first, 'ETag'), 'both have the same ETag';
    is header(get("/hot/$id/result"), 'X-Cache'), 'MISS', 'the body was not read with the document';
    my $result = get("/hot/$id/result");
    is header($result, 'X-Cache'), 'HIT', 'the second read of the result is a hit';
    is $result->{body}, '{"n":1}', 'its body is the result';
    is get("/hot/$id", 'If-None-Match' => header($first, 'ETag'))->{status}, 304,
        'If-None-Match is answered from the cache';
};

subtest 'what has not ended is read' => sub {
    my $id = one_job();
    is header(get("/hot/$id"), 'X-Cache'), 'MISS', "read $_ of a pending job is a miss" for 1 .. 2;
    my $held = begin_request('GET', "/hot/$id?wait=20");
    ok $held->quiet(0.3), 'a long poll is held';
    claim($id); complete($id, 'x', hint => 1);
    is json($held->response)->{state}, 'completed', 'it is answered when the job has ended';
};

subtest 'a retry is another job' => sub {
    my $id = done('one');
    get("/hot/$id/result") for 1 .. 2;
    my $again = sql("SELECT await.retry('$id')");
    is get("/hot/$again/result")->{status}, 202, 'the result of the new job is pending';
    claim($again); complete($again, 'two');
    is get("/hot/$again/result")->{body}, 'two', 'the new job has its own result';
    is get("/hot/$id/result")->{body}, 'one', 'the old job keeps its result';
};

subtest 'to each owner his own' => sub {
    my $id = id_of(post('/mine', 'x', 'X-User' => 'ann'));
    claim($id); complete($id, 'secret');
    is get("/mine/$id", 'X-User' => 'ann')->{status}, 200, "its owner gets it, read $_" for 1 .. 2;
    my ($foreign, $unknown) = (
        get("/mine/$id", 'X-User' => 'bob'),
        get('/mine/' . ($id =~ s/.$/0/r =~ s/(.)$/$1 eq '0' && $id =~ m{0$} ? '1' : '0'/er), 'X-User' => 'bob'));
    is $foreign->{status}, 404, 'another user does not';
    $_->{body} =~ s/"request_id":"[0-9a-f]{32}"// for $foreign, $unknown;
    is $foreign->{body} =~ s/\Q$id\E//gr, $unknown->{body} =~ s/[0-9a-f-]{36}//gr, 'as if it did not exist';
};

subtest 'a reload remembers' => sub {
    my $id = done('kept');
    get("/hot/$id/result") for 1 .. 2;
    my @old = worker_pids();
    kill 'HUP', $s->pid('nginx');
    eventually('new nginx workers have started', sub { workers_are_new(@old) });
    eventually('the new worker knows its database, and hits',
        sub { header(get("/hot/$id/result"), 'X-Cache') eq 'HIT' });
};

subtest 'it is bounded' => sub {
    my @ids = map { done(join '', map { chr 97 + rand 26 } 1 .. 30_000) } 1 .. 60;
    my %body = map { $_ => get("/hot/$_/result")->{body} } @ids;
    my $hits = grep {
        my $r = get("/hot/$_/result");
        $r->{body} eq $body{$_} or fail 'another body';
        header($r, 'X-Cache') eq 'HIT'
    } reverse @ids;
    cmp_ok $hits, '<', 60, "$hits of 60 are still there: the oldest go";
    cmp_ok $hits, '>', 10, 'the newest are kept';
};

finish();
