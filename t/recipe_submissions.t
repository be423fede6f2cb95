# conf/recipes/submissions.conf as its users use it: PENDING, PROCESSING, PASSED or FAILED by polls; a worker that is
# killed before, during and at the final update; the page in a real browser.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Browser;
use Await::Database qw(end_sessions);
use Await::Session;
use Await::Test;
use JSON::PP;
use Test::More;

my $root = $Await::Stack::ROOT;
my $site = slurp("$root/conf/recipes/submissions.conf");
# the lease of five minutes and the pause of the demo are shorter here
my $s = start_stack(site => "await_reread 1h;\n" . $site =~ s/lease=5m/lease=6s/r =~ s/rate=10r/rate=100r/r);
my ($worker_line) = $site =~ /^# await-worker (.+)$/m;
$worker_line =~ s/\$\{ROOT\}/$root/;
my %json = ('Content-Type' => 'application/json');
my %good = (title => 'On sleep', email => 'ann@school.example', text => 'We sleep a third of our lives.');

sub start_worker {
    my ($name, $seconds, @command) = @_;
    my ($options, $script) = $worker_line =~ /^(.+) -- (\S+) 0\.7$/;
    return $s->start_worker($name, split(' ', $options), @command ? @command : ('--', $script, $seconds));
}
sub kill_worker { my ($name) = @_; $s->end($name, 'KILL'); return end_sessions() }
sub submit { return id_of(post('/submissions', encode_json({ %good, @_ }), %json)) }
sub document { my ($id) = @_; return json(get("/submissions/$id")) }
sub status { my ($id) = @_; return document($id)->{status} }
sub becomes {
    my ($id, $status, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return eventually($name, sub { status($id) eq $status });
}
sub history {
    my ($id) = @_;
    my $events = "await.event WHERE job = '$id' AND type <> 'progress'";
    return sql("SELECT string_agg(type || ' ' || attempt, ', ' ORDER BY seq) FROM $events");
}

subtest 'stored as PENDING, answered at once; killed before: it still is' => sub {
    my $r = post('/submissions', encode_json(\%good), %json, 'Idempotency-Key' => '"one"');
    is $r->{status}, 202, 'a submission is accepted';
    my $doc = json($r);
    is_deeply [ sort keys %$doc ], [qw(attempt created_at error id status)], 'its document has five members';
    is_deeply [ @$doc{qw(status attempt error)} ], [ 'PENDING', 0, undef ], 'it is PENDING';
    is header($r, 'Location'), "/submissions/$doc->{id}", 'its URL';
    my $again = post('/submissions', encode_json(\%good), %json, 'Idempotency-Key' => '"one"');
    is json($again)->{id}, $doc->{id}, 'repeated with its key: the same submission';
    is sql('SELECT count(*) FROM await.job'), 1, 'the API and the workers share the database, where it is once';
    my $pid = start_worker('stopped', 0);
    until_true('the worker is there', sub { slurp("$s->{dir}/logs/stopped.log") ne '' || history($doc->{id}) ne '' });
    becomes($doc->{id}, 'PASSED', 'a worker takes it to PASSED');
    kill STOP => $pid;
    end_sessions();
    my $before = submit();
    kill_worker('stopped');
    is_deeply [ @{ document($before) }{qw(status attempt)} ], [ 'PENDING', 0 ],
        'the worker is killed before it claims: still PENDING';
    start_worker('next', 0);
    becomes($before, 'PASSED', 'the next worker takes it');
    is document($before)->{attempt}, 1, 'at the first attempt';
};

subtest 'verdicts' => sub {
    my $bad = submit(email => 'nobody', text => 'Too short');
    becomes($bad, 'FAILED', 'what does not pass is FAILED');
    is document($bad)->{error}, 'The email must be an address. The text must have at least three words.',
        'and says why';
    is document($bad)->{attempt}, 1, 'it is not tried again';
    my $no_object = id_of(post('/submissions', '[1,"\u0000"]', %json));
    becomes($no_object, 'FAILED', 'JSON of another form is FAILED');
    my $r = get("/submissions/$bad", Accept => 'text/plain');
    is $r->{body}, 'COMPLETED', 'its validation was completed nevertheless';
    kill_worker('next');
};

# A worker whose command writes its receipt, and ends when it may.
sub start_held_worker {
    my ($name) = @_;
    return start_worker($name, 0, '--lease', '1m', '--', 'sh', '-c',
              "echo \$AWAIT_RECEIPT > $s->{dir}/receipt; until [ -e $s->{dir}/go ]; do sleep 0.05; done; "
            . "exec $root/conf/recipes/validate 3>/dev/null");
}

subtest 'killed during the work: PENDING again when its lease is over' => sub {
    start_worker('slow', 60);
    my $id = submit();
    becomes($id, 'PROCESSING', 'a worker has it');
    kill_worker('slow');
    is status($id), 'PROCESSING', 'the worker is killed';
    becomes($id, 'PENDING', 'when its lease is over, it is PENDING again');
    is document($id)->{attempt}, 1, 'one attempt was made';
    start_worker('next', 0);
    becomes($id, 'PASSED', 'another worker takes it');
    is document($id)->{attempt}, 2, 'at the second attempt';
    kill_worker('next');
};

subtest 'killed at the final update: it happens once' => sub {
    start_held_worker('held');
    my $id = submit();
    becomes($id, 'PROCESSING', 'a worker has it');
    until_true('its receipt is written', sub { slurp("$s->{dir}/receipt") =~ /\n/ });
    my $other = Await::Session->new($s->postgres('admin'));
    $other->run("BEGIN; SELECT FROM await.job WHERE id = '$id' FOR UPDATE");
    Await::Stack::write_file("$s->{dir}/go", '');
    my $waits = "wait_event_type = 'Lock' AND query LIKE '%await.complete%'";
    eventually('its final update is under way',
        sub { sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'worker' AND $waits") == 1 });
    $s->end('held', 'KILL');
    $other->run('COMMIT');    # the update waits for two seconds
    becomes($id, 'PASSED', 'the worker is killed before it hears of it: PASSED, without a worker');
    my $before = get("/submissions/$id")->{body};
    chomp(my $receipt = slurp("$s->{dir}/receipt"));
    my $complete = "SELECT await.complete('$id', '$receipt', '{\"verdict\":\"FAILED\"}', 'application/json')";
    is sql($complete), 'f', 'the same worker reports once more';
    start_worker('next', 0);
    becomes(submit(), 'PASSED', 'another worker is at work');
    is get("/submissions/$id")->{body}, $before, 'nothing has changed';
    is history($id), 'processing 1, completed 1', 'one attempt, one ending';
};

subtest 'workers are added' => sub {
    start_worker("more$_", 0) for 1, 2;
    my @ids = map { submit(title => "number $_") } 1 .. 20;
    eventually(
        'all have passed',
        sub {
            !grep { status($_) ne 'PASSED' } @ids;
        });
    my $theirs = join ', ', map { "'$_'" } @ids;
    is sql("SELECT count(*) FROM await.event WHERE type = 'processing' AND job IN ($theirs)"), 20,
        'each was taken once';
};

subtest 'who may not' => sub {
    is post('/submissions', '{"title":', %json)->{status}, 400, 'JSON that ends early';
    is post('/submissions', 'x', 'Content-Type' => 'text/plain')->{status}, 415, 'another type';
    is post('/submissions', '"' . 'x' x 1100000 . '"', %json)->{status}, 413, 'more than a megabyte';
    is put('/submissions', '{}', %json)->{status}, 405, 'another method';
    is get('/submissions/00000000-0000-8000-8000-000000000000')->{status}, 404, 'no such submission';
};

subtest 'the page, in a browser' => sub {
    my $browser = Await::Browser->new($s);
    my $status =
        sub { $browser->script('return document.querySelector("#submissions article")?.dataset.state') // '' };
    $browser->visit($s->url . '/');
    until_true('the script has begun',
        sub { $browser->script('return document.querySelectorAll("#curl, form :enabled").length') >= 5 });
    $browser->click('#submit button');
    eventually('the submission is shown as PASSED', sub { $status->() eq 'PASSED' });
    $browser->script('document.querySelector("[name=email]").value = "nobody"');
    $browser->click('#submit button');
    eventually('the next one as FAILED', sub { $status->() eq 'FAILED' });
    is $browser->script('return document.querySelector("#submissions article .why").textContent'),
        'The email must be an address.', 'the page says why';
    is_deeply $browser->barriers($root), [], 'the page passes axe-core';
    $browser->quit;
};
finish();
