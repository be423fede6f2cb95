# nginx asks the database who it is before it uses a connection, and again until it is told. What is refused at first is
# not forgotten: a schema that comes later, a right, a lock; and what changes is noticed: a clock that is set, a role's
# password, an outage with its reasons.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use MIME::Base64 qw(decode_base64url);
use POSIX qw(strftime);
use Test::More;

my $s = start_stack(extra => 'location = /metrics { await_metrics; }', reread => '1s');
my $root = $Await::Stack::ROOT;

# The timeline in a cursor: 0 is none.
sub timeline_of { my ($job) = @_; return unpack 'x N', decode_base64url($job->{cursor} // '') }
sub restart {
    my ($conninfo, %o) = @_;
    $s->end('nginx', 'TERM');
    $s->start_nginx(
        ($conninfo ? "await_postgres \"$conninfo\";\n" : '') . $Await::Test::SITE,
        vars => { EXTRA => 'location = /metrics { await_metrics; }', REREAD => '1s' },
        %o
    );
}
# How far a date is from today, in words of libfaketime.
sub state_of_clock {
    my ($date) = @_;
    return (grep { my ($days) = /^([+-]\d+)/; strftime('%d %b', gmtime(time + $days * 86400)) eq $date } '-2d',
        '+30d', '+0')[0] // '';
}
sub told {
    my ($from, $what) = @_;
    return scalar grep { /\[error\]/ && $_ =~ $what } split /\n/, substr error_log(), $from;
}

# was a bug: the greeting was asked for once; after a refusal nginx had timeline 0 for ever
my @refusals = ([
        'no schema yet',
        qr/missing or old, run "await-ctl migrate": .*(?:3F000|42883)/,
        sub { $s->sql('CREATE DATABASE later OWNER await', 'postgres'); 'later' },
        sub {
            local @ENV{qw(AWAIT_POSTGRES PGPASSWORD)} =
                ($s->place('await') =~ s/dbname=await/dbname=later/r, $s->password('await'));
            Await::Stack::system_or_die("$s->{dir}/logs/later.log", "$root/tools/await-ctl", 'migrate');
        }
    ],
    [
        'no right',
        qr/make the role of await_postgres a member of await_edge, .*42501/,
        sub { sql('REVOKE EXECUTE ON FUNCTION await.edge_hello FROM await_edge'); 'await' },
        sub { sql('GRANT EXECUTE ON FUNCTION await.edge_hello TO await_edge') }
    ],
    [
        'no function',
        qr/missing or old, .*42883/,
        sub { sql('ALTER FUNCTION await.edge_hello RENAME TO other_hello'); 'await' },
        sub { sql('ALTER FUNCTION await.other_hello RENAME TO edge_hello') }
    ],
);
for (@refusals) {
    my ($name, $state, $break, $mend) = @$_;
    subtest $name => sub {
        my $from = length error_log();
        my $database = $break->();
        restart($s->postgres('edge') =~ s/dbname=await/dbname=$database/r);
        eventually('the log says why', sub { told($from, qr/cannot query schema "await", retrying.*$state/) });
        my $waiting = begin_request('POST', '/jobs', body => 'x');
        is $waiting->response->{status}, 503, 'nothing is accepted' if $name eq 'no right';
        eventually('the metrics',
            sub { metric('await_postgres_connections') == 3 && metric('await_postgres_greeted') == 0 });
        $mend->();
        my $answer;
        ok until_true('202', sub { ($answer = post('/jobs', 'x'))->{status} == 202 }), 'it is accepted soon after';
        ok timeline_of(json($answer)), 'with a cursor of the timeline of the database';
        is told($from, qr/cannot query schema/), 1, 'it was said once';
        eventually('and that it is over', sub { told($from, qr/schema "await" can be used after/) == 1 });
    };
}

subtest 'a lock' => sub {
    my $from = length error_log();
    my $lock = Await::Session->new($s->postgres('admin'));
    $lock->run('BEGIN; LOCK TABLE await.retention');
    restart($s->postgres('edge'));
    eventually('it waits',
        sub { metric('await_postgres_connections') == 3 && metric('await_postgres_greeted') == 0 });
    $lock->run('ROLLBACK');
    my $answer;
    ok until_true('202', sub { ($answer = post('/jobs', 'x'))->{status} == 202 }), 'it is accepted soon after';
    ok timeline_of(json($answer)), 'with a cursor of the timeline of the database';
    is told($from, qr/cannot query schema/), 0, 'nothing was refused';
};

subtest 'an outage, and its reasons' => sub {
    restart();
    eventually('connected', sub { metric('await_postgres_greeted') == 3 });
    my $id = one_job();
    my $from = length error_log();
    $s->end('postgres', 'INT');
    ok until_true('503', sub { get("/jobs/$id")->{status} == 503 }, 20), 'PostgreSQL is down';
    my @posts = map { begin_request('POST', '/jobs', body => 'x') } 1 .. 50;
    is_deeply [ map { $_->response->{status} } @posts ], [ (503) x 50 ], 'submissions are refused';
    eventually('each reason is told',
        sub { told($from, qr/cannot connect to PostgreSQL \(write\).*Connection refused/) });
    eventually('refused requests are counted',
        sub { told($from, qr/\b50 submissions refused in \d+ s: timeout: PostgreSQL/) }, 40);
    cmp_ok told($from, qr/answering 503/), '<', 8, 'and not logged one by one';
    my $before = told($from, qr/cannot connect/);
    cmp_ok $before, '<=', 6, 'one line for a connection and a reason';
    $s->start_postgres;
    eventually('it is back, and says so', sub { told($from, qr/reconnected to PostgreSQL \(write\) after \d+ s/) });
    is told($from, qr/reconnected to PostgreSQL/), 3, 'once for each connection'
        if until_true('all', sub { metric('await_postgres_greeted') == 3 });
    is post('/jobs', 'x')->{status}, 202, 'it is accepted';
    $from = length error_log();
    $s->sql("ALTER ROLE edge PASSWORD 'another'");
    sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'nginx-await-%'});
    eventually('a changed password is named',
        sub { told($from, qr/\(read\).*password authentication failed for user "edge"/) });
    $s->sql("ALTER ROLE edge PASSWORD '@{[ $s->password('edge') ]}'");
    eventually('and its end', sub { told($from, qr/reconnected to PostgreSQL/) == 3 });
};

subtest 'locks and serialisation are no conflict' => sub {
    # was a bug: 409 for a plain POST
    my $lock = Await::Session->new($s->postgres('admin'));
    $lock->run('BEGIN; LOCK TABLE await.ready IN EXCLUSIVE MODE');
    sql(q{ALTER ROLE edge SET lock_timeout = '100ms'});
    restart();
    my $waiting = begin_request('POST', '/jobs', body => 'x');
    ok $waiting->quiet(0.5), 'a submission waits';
    my $late = post('/jobs', 'x');
    is $late->{status}, 503, 'one that has waited for three seconds';
    ok header($late, 'Retry-After'), 'may come back';
    my $patient = begin_request('POST', '/jobs', body => 'x');
    ok $patient->quiet(0.3), 'the next one';
    $lock->run('ROLLBACK');
    is $patient->response->{status}, 202, 'is accepted when the lock is gone';
    sql('ALTER ROLE edge RESET lock_timeout');
};

subtest 'a clock that is set does not matter' => sub {
    # was a bug: after its clock had stepped, a node asked for partitions of yesterday, and its submissions were 400
    plan skip_all => 'faketime and AddressSanitizer both want to be first' if $ENV{AWAIT_ASAN};
    my ($faketime) = glob '/usr/lib/*/faketime/libfaketime.so.1' or die 'libfaketime is missing (Debian: faketime)';
    my $step = sub { Await::Stack::write_file("$s->{dir}/step", "$_[0]\n", 0644) };
    $step->('+0');
    {
        my %env = (
            LD_PRELOAD => $faketime, FAKETIME_TIMESTAMP_FILE => "$s->{dir}/step", FAKETIME_NO_CACHE => 1,
            DONT_FAKE_MONOTONIC => 1
        );
        local @ENV{ keys %env } = values %env;
        restart(undef, main => join '', map { "env $_;\n" } keys %env);
    }
    is post('/jobs', 'x')->{status}, 202, 'a submission';
    my $id = one_job();
    for my $to ('-2d', '+30d', '+0') {
        $step->($to);
        ok until_true(
            'the clock of nginx is set',
            sub {
                my ($date) = header(get('/metrics'), 'Date') =~ /, (\d+ \w+)/;
                state_of_clock($date) eq $to;
            },
            10
            ),
            "the clock is set to $to";
        # libfaketime sets CLOCK_MONOTONIC_COARSE too, so a statement that is under way may time out: once
        eventually('a submission', sub { post('/jobs', 'x')->{status} == 202 });
        is get("/jobs/$id")->{status}, 200, 'and a read';
    }
};

subtest 'a dump that is restored is another branch' => sub {
    my $hello = sub { sql("SELECT timeline FROM await.edge_hello('{}', '{}')") };
    my $before = $hello->();
    is $hello->(), $before, 'the name stays';
    # what a restored table has; in one transaction, before nginx greets it
    my $unnamed = sql('BEGIN; UPDATE await.branch SET relation = 1; SELECT await.timeline(); COMMIT');
    like $unnamed, qr/\.\?$/m, 'before it is greeted, it has no name that anybody could know';
    my $after = $hello->();
    like $after, qr/^\Q$before\E\.[0-9a-f]{12}$/, 'then one of its own';
    is $hello->(), $after, 'which stays';
};

# was a bug: it waited for the answer, up to ten seconds each time
subtest 'a greeting without an answer does not keep nginx from quitting' => sub {
    my $holder = Await::Session->new($s->postgres);
    $holder->run('BEGIN; LOCK TABLE await.secret IN ACCESS EXCLUSIVE MODE');
    restart();
    my $waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'edge_hello'";
    eventually('greetings wait', sub { sql($waiting) >= 3 });
    my @workers = worker_pids();
    kill QUIT => $s->pid('nginx');
    ok until_true('the nginx workers are gone', sub { !grep { kill 0, $_ } @workers }, 8), 'it quits at once';
    $holder->run('ROLLBACK');
};
finish();
