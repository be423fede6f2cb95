# The samples and libraries of workers/, as docs/workers.md shows them: each does jobs of any size, heeds a cancel, a
# lost lease and SIGTERM, and fails what it cannot do; directly, without Redis, and through PgBouncer in transaction
# mode, with nginx behind it, too. nginx reads again after an hour only: what is answered sooner came by a hint.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::Pooler qw(start_pooler);
use Await::Workers qw(@ALL build start_workers stop_workers);
use Test::More;

build();
my @LASTING = grep { $_ ne 'shell' } @ALL;    # those with a session; psql comes and goes, and cannot wait for a NOTIFY
my $site = $Await::Test::SITE =~ s/await_submit work file=image;/await_submit work;/r;
my $to = 'location ~ ^/to/(?<queue>[\w-]+)$ { await_job_uri /jobs/$await_id; await_submit $queue file=text; }';
my $once = 'location ~ ^/once/(?<queue>[\w-]+)$ { await_job_uri /jobs/$await_id; await_submit $queue max_attempts=1; }';
my $s = start_stack(site => $site, extra => "$to $once await_hold_max 100s;", reread => '1h');

my %text = ('10 B' => "ab\0\xff\xc3\xa9\r\n\\z", '100 KB' => 'some text ' x 10240, '5 MB' => '');
$text{'5 MB'} = join '', map { pack 'N', $_ * 2654435761 % 2**32 } 1 .. 5 * 2**18;

# Starts a request for each queue, and returns the answers by queue.
sub all_at_once {
    my ($begin) = @_;
    my %begun = map { $_ => $begin->($_) } @ALL;
    return { map { $_ => $begun{$_}->response(120) } @ALL };
}

sub begin_job {
    my ($body, $where) = @_;
    return sub {
        my ($queue) = @_;
        return begin_request(
            'POST', ($where // '/to') . "/$queue",
            body => $body,
            headers => { Prefer => 'wait=100', 'Content-Type' => 'text/plain' });
    };
}

# A job of some seconds for each queue, each claimed; their ids by queue.
sub slow_jobs {
    my ($seconds) = @_;
    my ($form, $type) = multipart([ 'seconds', $seconds ], [ 'text', 'abc', 'a.txt', 'text/plain' ]);
    my %id = map { $_ => one_job("/to/$_", $form, 'Content-Type' => $type) } @ALL;
    my $ids = join ', ', map { "'$_'" } values %id;
    eventually "all workers have claimed their job of $seconds s",
        sub { sql("SELECT count(*) FROM await.lease WHERE job IN ($ids)") == @ALL };
    return \%id;
}

sub wait_for_log {
    my ($queue, $pattern, $name) = @_;
    return eventually $name, sub { slurp("$s->{dir}/logs/$queue.log") =~ $pattern };
}

# The jobs are there before their workers, who must not do the first ones before they can tell of their end.
sub sizes {
    my (%where) = @_;
    my %begun;
    my $since = time;
    for my $size ('10 B', '100 KB', '5 MB') {
        $begun{$size} = { map { $_ => begin_job($text{$size})->($_) } @ALL };
    }
    start_workers(\@ALL, %where);
    for my $size ('10 B', '100 KB', '5 MB') {
        my $expected = $text{$size} =~ tr/a-z/A-Z/r;
        for my $queue (@ALL) {
            my $r = $begun{$size}{$queue}->response(120);
            is $r->{status}, 200, "$queue: a payload of $size is answered with the result";
            ok $r->{body} eq $expected, "$queue: the result of $size has the right bytes";
            is header($r, 'Content-Type'), 'text/plain', "$queue: the result of $size has its type";
        }
    }
    cmp_ok time - $since, '<', 80, 'all were told of by hints, before their wait of 100 s was over';
}

# An idle worker asks once a second. Tells each that there is work as soon as it has asked: its next claim comes sooner.
sub wakes {
    my ($tell, @queues) = @_;
    my (%claim, %told, %woken);
    my $look = sub {
        my @now;
        for (split /\n/, sql(<<'SQL')) {
SELECT application_name, extract(epoch FROM max(query_start)) FROM pg_stat_activity
WHERE usename = 'worker' AND query LIKE '%await.claim(%' GROUP BY 1
SQL
            my ($queue, $at) = split /\|/;
            $queue = 'java' if $queue =~ /JDBC/;
            next if $at == ($claim{$queue} // 0);
            $woken{$queue} = 1 if $told{$queue} && $at - $claim{$queue} < 0.8;
            $claim{$queue} = $at;
            $told{$queue} = 1;
            push @now, $queue;
        }
        $tell->(@now) if @now;
        return !grep { !$woken{$_} } @queues;
    };
    until_true('all are woken', $look);
    ok $woken{$_}, "$_: claims at once when it is told of work" for @queues;
}

sub cancel {
    my $id = slow_jobs(60);
    is del("/jobs/$id->{$_}")->{status}, 202, "$_: the job is cancelled" for @ALL;
    my $next = all_at_once(begin_job('next'));
    for my $queue (@ALL) {
        is $next->{$queue}{body}, 'NEXT', "$queue: a cancelled job makes room for the next one";
        is json(get("/jobs/$id->{$queue}"))->{state}, 'cancelled', "$queue: the job stays cancelled";
        wait_for_log($queue, qr/cancelled/, "$queue: the log says so");
    }
}

# Another worker gets hold of the jobs that these are at. In one transaction, so that none of them is in between.
sub lost_lease {
    my $id = slow_jobs(3);
    my $ids = join ', ', map { "'$_'" } values %$id;
    my $queues = join ', ', map { "'$_'" } @ALL;
    my $steal = <<"SQL";
BEGIN;
UPDATE await.lease SET until = clock_timestamp() - interval '1 second' WHERE job IN ($ids) AND worker <> 'thief';
SELECT await.reap(1000) \\g /dev/null
SELECT count(*) FROM await.claim(ARRAY[$queues], 'thief', 1000) WHERE id IN ($ids);
COMMIT;
SQL
    my $stolen = 0;    # again, as what another transaction has locked just now is passed by
    eventually 'the leases run out, and all jobs are claimed by another worker',
        sub { ($stolen += sql($steal)) == @ALL };
    my $next = all_at_once(begin_job('next'));
    for my $queue (@ALL) {
        is $next->{$queue}{body}, 'NEXT', "$queue: a lost job makes room for the next one";
        is complete($id->{$queue}, 'of the thief'), 't', "$queue: the other worker completes it";
        is get("/jobs/$id->{$queue}/result")->{body}, 'of the thief', "$queue: and that is the result";
        wait_for_log($queue, qr/\Q$id->{$queue}\E.*(?:no longer ours|is lost)/, "$queue: the worker noticed");
    }
}

sub failure {
    my $failed = all_at_once(begin_job('', '/once'));
    my $next = all_at_once(begin_job('next'));
    for my $queue (@ALL) {
        is $failed->{$queue}{status}, 424, "$queue: what the work cannot do fails";
        ok json($failed->{$queue})->{title}, "$queue: with a problem that has a title";
        is $next->{$queue}{body}, 'NEXT', "$queue: and the worker goes on";
    }
}

sub nginx_with {
    my ($lines, $reread) = @_;
    my @before = worker_pids();
    $s->configure_nginx("$lines\n$site", vars => { EXTRA => "$to $once", REREAD => $reread // '1h' });
    kill 'HUP', $s->pid('nginx');
    eventually 'nginx has its new configuration', sub { workers_are_new(@before) };
}

# Redis makes them fast, and nothing depends on it.
sub without_redis {
    nginx_with('', '500ms');
    $s->end('redis', 'KILL');
    my $answers = all_at_once(begin_job('meanwhile'));
    is $answers->{$_}{body}, 'MEANWHILE', "$_: works on while Redis is away" for @ALL;
    $s->start_redis;
    for my $queue (@ALL) {
        eventually "$queue: has connected to it again",
            sub { $s->redis_command('PUBLISH', "await:queue:$queue", '1') =~ /^:1/ };
    }
}

# What a worker has is finished, and the process ends well; Java's status says by which signal.
sub sigterm {
    my ($name, $id) = @_;
    my $status = stop_workers(@ALL);
    for my $queue (@ALL) {
        is $status->{$queue}, $queue eq 'java' ? 143 << 8 : 0, "$queue: $name ends well on SIGTERM";
        is json(get("/jobs/$id->{$queue}"))->{state}, 'completed', "$queue: its job was completed" if $id;
    }
}

subtest 'directly' => sub {
    sizes();
    wakes(sub { $s->redis_command('PUBLISH', "await:queue:$_", '1') for @_ }, @LASTING);
    cancel();
    lost_lease();
    failure();
    without_redis();
    sigterm('a worker with a job', slow_jobs(2));
};

subtest 'with PostgreSQL alone' => sub {
    sql('ALTER DATABASE await SET await.notify = on');
    nginx_with('await_redis off;');
    start_workers(\@ALL, redis => 0);
    wakes(
        sub {
            sql(join ';', map { "NOTIFY await_work, '$_'" } @_);
        },
        @LASTING
    );
    cancel();
    sigterm('an idle worker');
    sql('ALTER DATABASE await RESET await.notify');
};

subtest 'through PgBouncer in transaction mode' => sub {
    my $port = start_pooler();
    my $edge = $s->postgres('edge') =~ s/port=\d+/port=$port/r;
    nginx_with(qq(await_postgres "$edge";));
    sizes(port => $port);
    cancel();
    failure();
    sigterm('an idle worker');
};

finish();
