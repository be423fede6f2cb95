# The worker libraries of workers/: what they offer beyond the samples. Each case is tried with Python, Node and Go.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::Workers qw(@LIBRARIES build start_workers stop_workers);
use JSON::PP;
use Test::More;

build();
my $s = start_stack(
    extra => join ' ',
    map {
        "location ~ ^/$_/(?<queue>[\\w-]+)\$ {
            await_job_uri /jobs/\$await_id; await_submit \$queue file=text max_attempts=$_; }"
    } 1, 2
);
start_workers(\@LIBRARIES, arguments => [ 2, 1 ]);

# Begins a job that is to do something.
sub begin {
    my ($queue, $do, $text, %params) = @_;
    my @params = map { [ $_, $params{$_} ] } sort keys %params;
    my ($form, $type) = multipart([ 'do', $do ], @params, [ 'text', $text // 'abc', 'a.txt', 'text/plain' ]);
    return begin_request(
        'POST', ($do eq 'deaf' ? '/2' : '/1') . "/$queue",
        body => $form,
        headers => { Prefer => 'wait=20', 'Content-Type' => $type });
}

# One such job in each queue, at once; the answers by queue.
sub everywhere {
    my ($do, $text) = @_;
    my %begun = map { $_ => begin($_, $do, $text) } @LIBRARIES;
    return { map { $_ => $begun{$_}->response(30) } @LIBRARIES };
}

sub id_from { my ($answer) = @_; return (header($answer, 'Link') =~ m{/jobs/([0-9a-f-]{36})})[0] }

sub events_of {
    my ($id) = @_;
    return @{ json(get("/jobs/$id/events", Accept => 'application/json'))->{events} };
}

subtest 'progress and events' => sub {
    my $answers = everywhere('events');
    for my $queue (@LIBRARIES) {
        my $r = $answers->{$queue};
        is_deeply json($r), { ok => JSON::PP::true }, "$queue: an answer that is JSON is sent as such";
        is header($r, 'Content-Type'), 'application/json', "$queue: with its type";
        my $types = join ' ', map { $_->{type} } events_of(id_from($r));
        is $types, 'pending processing progress note completed', "$queue: progress, and one event though it came twice";
    }
};

subtest 'bodies in pieces' => sub {
    my $text = 'in pieces ' x 250_000;
    my $answers = everywhere('stream', $text);
    for my $queue (@LIBRARIES) {
        my $r = $answers->{$queue};
        is $r->{status}, 201, "$queue: the result has the status that the handler said";
        like header($r, 'Content-Disposition'), qr/up\.txt/, "$queue: and the name";
        ok $r->{body} eq uc $text, "$queue: payload and result went in pieces, and came whole";
    }
};

my %why = (
    fail => [ 'No way', qr/^because$/, 'what the handler says' ],
    crash => [ undef, qr/^a[^\0]b.+\\u0000$/s, 'text that JSON cannot hold is repaired, and no other' ],
    unwritable => [ undef, qr/\w/, 'a problem with a member that is no JSON' ],
    refused => [ undef, qr/content.type/i, 'a result that PostgreSQL refuses' ],
    nothing => [ undef, qr/\w/, 'a handler that returns nothing, not an empty result' ]);
for my $do (sort keys %why) {
    my ($title, $detail, $name) = @{ $why{$do} };
    subtest "a failure: $name" => sub {
        my $answers = everywhere($do);
        for my $queue (@LIBRARIES) {
            my $r = $answers->{$queue};
            my $problem = json($r);
            is $r->{status}, 424, "$queue: the job fails";
            is $problem->{title}, $title, "$queue: with the title" if defined $title;
            like $problem->{detail}, $detail, "$queue: and says why";
            is $problem->{code}, 7, "$queue: and has the members of the handler" if $do eq 'fail';
        }
    };
}

# A worker whose lease was lost can claim the same job again while it is still at it.
subtest 'the same job twice' => sub {
    my %deaf = map { $_ => begin($_, 'deaf') } @LIBRARIES;
    eventually 'each has claimed its job', sub { sql('SELECT count(*) FROM await.lease') == @LIBRARIES };
    my $reap = <<'SQL';
UPDATE await.lease SET until = clock_timestamp() - interval '1 second' WHERE attempt = 1;
SELECT await.reap(1000) \g /dev/null
SELECT count(*) FROM await.lease WHERE attempt = 1;
SQL
    # again, as what another transaction has locked just now is passed by
    eventually 'all leases are lost', sub { sql("BEGIN;\n${reap}COMMIT;") == 0 };
    for my $queue (@LIBRARIES) {
        my $answer = $deaf{$queue}->response(30);
        is $answer->{body}, 'ABC', "$queue: the second attempt ends well beside the first";
        my $log = "$s->{dir}/logs/$queue.log";
        eventually "$queue: the first attempt notices that it is lost",
            sub { slurp($log) =~ /attempt 1: nothing was changed, it is lost/ };
    }
};

subtest 'concurrency' => sub {
    my %slow = map { $_ => begin($_, 'upper', 'slow', seconds => 60) } @LIBRARIES;
    my $leased = sub { sql('SELECT count(*) FROM await.lease') };
    eventually 'each has claimed one', sub { $leased->() == @LIBRARIES };
    my $answers = everywhere('upper', 'quick');
    is $answers->{$_}{body}, 'QUICK', "$_: a second job runs beside a slow one" for @LIBRARIES;
    del("/jobs/$_") for split /\n/, sql('SELECT job FROM await.lease');
    $slow{$_}->response for @LIBRARIES;
    eventually 'a cancel ends the work, and the lease', sub { $leased->() == 0 }, 5;
};

subtest 'PostgreSQL restarts' => sub {
    $s->end('postgres', 'INT', 20);
    $s->start_postgres;
    my $answer;
    eventually 'nginx is connected again', sub { ($answer = post('/jobs', 'x'))->{status} == 202 };
    my $answers = everywhere('upper', 'again');
    is $answers->{$_}{body}, 'AGAIN', "$_: connects again by itself" for @LIBRARIES;
};

subtest 'SIGTERM' => sub {
    my @begun = map { (begin($_, 'stubborn'), begin($_, 'upper', 'abc', seconds => 600)) } @LIBRARIES;
    eventually 'each has claimed two jobs that take minutes, one of which heeds its end',
        sub { sql("SELECT count(*) FROM await.lease") == @begun };
    my $status = stop_workers(@LIBRARIES);
    is $status->{$_}, 0, "$_: ends after its grace" for @LIBRARIES;
    my @waiting = split /\n/, sql(<<'SQL');
SELECT q.name || ' ' || r.attempt FROM await.ready r JOIN await.queue q ON q.id = r.lane >> 8 ORDER BY 1
SQL
    is_deeply [ grep { /-library / } @waiting ], [ map { ("$_ 1") x 2 } sort @LIBRARIES ],
        'the jobs are given back, and no attempt is used up';
};

finish();
