# What an attack on the control of queues found: a quota of an owner counted all jobs of the queue; a claim left open
# in its transaction kept every submission of nginx waiting; cancelled jobs filled a queue that nobody claims from; a
# client that cancelled and retried had no quota. Fairness that came later is in control_sql.t.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(extra => <<'CONF');
    location = /full { await_submit full max_pending=3; }
    location = /running { await_submit running max_pending=9 max_pending_per_owner=9; await_owner $arg_owner; }
    location = /again { await_retry_job $arg_id max_pending=2; }
    location = /mine { await_retry_job $arg_id max_pending_per_owner=1; await_owner $arg_owner; }
CONF

sub submit_for {
    my ($queue, $owner, $n) = @_;
    return sql("SELECT await.submit('$queue', 'x', options => '{\"owner\": \"$owner\"}') FROM generate_series(1, $n)");
}
sub queue_of { return "(SELECT id FROM await.queue WHERE name = '$_[0]')" }

subtest 'a quota of an owner reads the owner\'s jobs' => sub {
    sql("SELECT await.submit('wide', 'x')");
    sql("INSERT INTO await.ready (lane, pos, job, attempt) SELECT r.lane, nextval('await.pos'), gen_random_uuid(), 1
        FROM await.ready r, generate_series(1, 30000) WHERE r.lane >> 8 = ${\queue_of('wide')}");
    my $buffers = sub {
        my ($most) = @_;
        my $plan = sql("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)
            SELECT await.limit_met(${\queue_of('wide')}, 'A', 1, $most, 10)");
        return decode_json($plan)->[0]{Plan}{'Shared Hit Blocks'};
    };
    $buffers->('NULL');
    my ($bounded, $free) = ($buffers->(10), $buffers->('NULL'));
    cmp_ok $free, '<=', $bounded + 20, "not those of others ($free buffers, $bounded with a limit of the queue)";
    is sql("SELECT refused IS NULL FROM await.limit_met(${\queue_of('wide')}, NULL, 1, NULL, 10)"), 't',
        'and without an owner there is no limit';
};

subtest 'a claim that stays open stops no submission' => sub {
    sql(qq{SELECT await.set_queue('running', '{"max_running": 2}')});
    submit_for('running', 'A', 2);
    my $id = sql("SELECT id FROM await.job WHERE queue = ${\queue_of('running')} ORDER BY id DESC LIMIT 1");
    my $worker = Await::Session->new($s->postgres);
    is $worker->run("BEGIN; SELECT count(*) FROM await.claim('{running}', 'w')"), 1, 'a worker claims, and stays';
    for my $what (
        [ 'a submission with limits', sub { post('/running?owner=B', 'x')->{status} == 202 } ],
        [ 'one to another queue', sub { post('/jobs', 'x')->{status} == 202 } ],
        [ 'a position', sub { defined json(get("/jobs/$id?include=position"))->{position} } ])
    {
        my ($name, $do) = @$what;
        my $began = time;
        ok $do->(), "$name is answered";
        cmp_ok time - $began, '<', 8, 'before a statement is given up, after 10 s';
    }
    $worker->run('ROLLBACK');
    post('/running?owner=B', 'x');
    is sql("SELECT quotas AND rated FROM await.queue WHERE name = 'running'"), 't', 'what it waited for is done later';
};

subtest 'cancelled jobs fill no queue' => sub {
    is post('/full', 'x')->{status}, 202, 'the first';
    my @ids = map { id_of(post('/full', 'x')) } 2 .. 3;
    is post('/full', 'x')->{status}, 503, 'the fourth is refused';
    is request('DELETE', "/jobs/$ids[1]")->{status}, 202, 'one is cancelled';
    eventually 'so there is room', sub { post('/full', 'x')->{status} == 202 };
    is request('DELETE', "/jobs/$ids[0]")->{status}, 202, 'and another one';
    eventually 'and again', sub { post('/full', 'x')->{status} == 202 };
    is post('/full', 'x')->{status}, 503, 'but no more than that';
    my $last = sql("SELECT await.submit('full', 'x', options => '{\"delay\": \"1 hour\"}')");
    is sql("SELECT await.cancel('$last')"), 'cancelled', 'one that waits for its time is cancelled';
    is sql("SELECT count(*) FROM await.delayed d WHERE d.lane >> 8 = ${\queue_of('full')}"), 0,
        'and gone from the line';
    is sql("SELECT count(*) FROM await.claim('{full}', 'w', 10)"), 3, 'the others are claimed';
};

subtest 'limits hold for retries' => sub {
    submit_for('again', 'A', 4);
    my @ids = split /\n/, sql("SELECT id FROM await.job WHERE queue = ${\queue_of('again')} ORDER BY eid");
    sql("SELECT await.cancel('$_')") for @ids;
    sql("SELECT await.claim('{again}', 'w', 9)");
    is post("/mine?owner=A&id=$ids[0]")->{status}, 202, 'one is retried';
    my $refused = post("/mine?owner=A&id=$ids[1]");
    is $refused->{status}, 429, 'a second one of the owner is not';
    is header($refused, 'ratelimit-policy'), '"pending";q=1', 'with RateLimit-Policy';
    is post("/mine?owner=A&id=$ids[0]")->{status}, 202, 'a repetition is not refused';
    is post("/again?id=$ids[1]")->{status}, 202, 'two may wait in the queue';
    $refused = post("/again?id=$ids[2]");
    is $refused->{status}, 503, 'and no third one';
    like header($refused, 'retry-after'), qr/^[1-9]\d*$/, 'with Retry-After';
    is sql("SELECT count(*) FROM await.job WHERE retry_of IS NOT NULL"), 2, 'what is refused is not stored';
    is sql("SELECT count(*) FROM await.retried WHERE job = '$ids[2]'"), 0, 'nor counts as retried';
};

finish();
