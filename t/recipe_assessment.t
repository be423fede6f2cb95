# conf/recipes/assessment.conf as its users use it: a service submits a batch of essays, they pass two phases, the
# dashboard hears of it at once, one e-mail goes out; who may do what; the page in a real browser.

use strict;
use utf8;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Browser;
use Await::Database qw(end_sessions);
use Await::Test;
use Await::WebSocket;
use JSON::PP;
use Test::More;

my $root = $Await::Stack::ROOT;
my $site = slurp("$root/conf/recipes/assessment.conf");
my ($services, $login) = map { Await::Stack::free_port() } 1, 2;
my $s = start_stack(site => "await_reread 1h;\n" . $site =~ s/\$\{PORT\+1\}/$services/gr =~ s/\$\{PORT\+2\}/$login/gr);
my $url = '/internal/v1/batches';
my %caller = ('X-Internal-API-Key' => '9f86d081884c7d65', 'X-Service-ID' => 'dashboard');
my ($cookie) = $site =~ /"~\^(\w+)\$" ann;/;
my %ann = (Cookie => "session=$cookie");

sub start_workers {
    my $n = 0;
    for my $line ($site =~ /^# await-worker (.+)$/mg) {
        $line =~ s/\$\{ROOT\}/$root/;
        $line =~ s/ 0\.4$/ 0/;
        $s->start_worker('worker' . ++$n, split ' ', $line);
    }
}
# As a service, of a user.
sub service {
    my ($method, $path, $body, %headers) = @_;
    return request($method, $path, port => $services, body => $body, headers => { %caller, %headers });
}
sub essays {
    my (@texts) = @_;
    my $n = 0;
    return encode_json(
        { jobs => [ map { { queue => 'spellcheck', payload => $_, params => { essay_id => 'e' . ++$n } } } @texts ] });
}
sub submit {
    my ($user, $key, $body, %headers) = @_;
    return service(
        'POST', $url, $body,
        'X-User-ID' => $user,
        'Idempotency-Key' => "\"$key\"",
        'Content-Type' => 'application/json',
        %headers
    );
}
sub status { my ($location) = @_; return json(service('GET', $location)) }
sub emails {
    return sql("SELECT count(*) FROM await.job j JOIN await.queue q ON q.id = j.queue WHERE q.name = 'email'");
}

my @texts = ('We recieve teh news.', '', 'Sleep is good.', 'Dreams are stories that nobody has written. Größe.');
my ($batch, $location);

subtest 'a service submits a batch' => sub {
    my $r = submit('ann', 'class-7', essays(@texts), 'X-Correlation-Id' => 'c-7');
    is $r->{status}, 202, 'the batch is accepted';
    $batch = id_of($r);
    $location = header($r, 'Location');
    is $location, "$url/$batch/status", 'its URL is that of the status';
    my $doc = status($location);
    is_deeply [ sort keys %$doc ], [qw(batch_id essays processing_summary status)], 'the status has four members';
    is_deeply [ @$doc{qw(batch_id status)} ], [ $batch, 'pending' ], 'nothing has begun';
    is_deeply [ map { $_->{params}{essay_id} } @{ $doc->{essays} } ], [qw(e1 e2 e3 e4)], 'its essays';
    my $again = submit('ann', 'class-7', essays(@texts));
    is_deeply [ id_of($again), header($again, 'Idempotency-Replayed') ], [ $batch, 'true' ],
        'the same key within 24 hours: the same batch';
    is submit('ann', 'class-7', essays('x'))->{status}, 422, 'the same key with other essays';
    is sql('SELECT count(*) FROM await.job'), 5, 'one batch with four jobs is stored';
};

subtest 'its phases, live' => sub {
    my $live = Await::WebSocket->new($s->{port}, '/live', headers => {%ann});
    is $live->message->{op}, 'subscribed', 'the dashboard watches all of its user';
    my $rich = begin_request('GET', "/batches/$batch", headers => { Accept => 'text/event-stream', %ann });
    ok $rich->wait_event('pending'), 'and this batch';
    start_workers();
    my (@thin, $ready);
    until ($ready) {
        push @thin, $live->message(20) // last;
        ($ready) = grep { $_->{type} eq 'batch.ready' } $thin[-1];
    }
    is $ready->{batch}, $batch, 'the dashboard is told that the batch is ready';
    my @jobs = grep { $_->{job} } @thin;
    is scalar(grep { $_->{type} eq 'completed' } @jobs), 6, 'and of each phase of each essay';
    ok !grep({ exists $_->{data} || exists $_->{result}{value} } @jobs), 'without their data';
    is_deeply [ grep { $_->{correlation_id} ne 'c-7' } @thin ], [], 'all events have the correlation id';
    is_deeply [ @{ $ready->{data} }{qw(total completed failed)}, exists $ready->{data}{failures} ], [ 7, 6, 1, '' ],
        'with its counts, and without what failed';
    my $event = $rich->wait_event('batch.ready');
    my $data = json({ body => $event->{data} });
    is $data->{data}{failures}[0]{detail}, 'The essay e2 is empty.', 'the stream of the batch has all data';
    is $data->{correlation_id}, 'c-7', 'and the same correlation id';
    ok $live->quiet(0.2) || $live->message->{type} ne 'batch.ready', 'batch.ready comes once';
};

subtest 'the results of the batch' => sub {
    my $doc = status($location);
    is $doc->{status}, 'completed_with_failures', 'the batch is completed, with a failure';
    my %essays = map { ("$_->{phase} $_->{params}{essay_id}" => $_) } @{ $doc->{essays} };
    is_deeply [ sort keys %essays ], [ (map { "cj $_" } qw(e1 e3 e4)), map { "spellcheck $_" } qw(e1 e2 e3 e4) ],
        'an essay that fails is not handed on';
    is_deeply $essays{'spellcheck e1'}{result}{value}{corrections}, [ 'recieve: receive', 'teh: the' ],
        'what was corrected';
    is_deeply [ sort keys %{ $essays{'cj e4'}{result}{value} } ], [qw(confidence grade score)], 'the assessment';
    my $summary = $doc->{processing_summary};
    is_deeply [ @$summary{qw(completed failed)} ], [ 6, 1 ], 'what succeeded is kept';
    is_deeply [ map { "$_->{phase}: $_->{detail}" } @{ $summary->{failures} } ],
        ['spellcheck: The essay e2 is empty.'], 'what failed is listed';
    is header(service('GET', $location), 'Retry-After'), undef, 'without Retry-After: it will not change';
};

subtest 'one e-mail' => sub {
    my $mail = sub { sql("SELECT convert_from(body, 'UTF8') FROM await.event WHERE content_type = 'message/rfc822'") };
    eventually('it is written', sub { $mail->() });
    my $text = $mail->();
    like $text, qr/^To: ann\@school\.example$/m, 'to the owner of the batch';
    like $text, qr/\n\nEssays assessed: 3\. Not assessed: 1\.\n- The essay e2 is empty\.$/, 'with the summary';
    is emails(), 1, 'once';
    is sql("SELECT count(*) FROM await.event WHERE job = '$batch' AND type = 'batch.ready'"), 1, 'as the event';
};

subtest 'a worker that is killed after it has handed an essay on' => sub {
    $s->end('worker1', 'KILL');
    end_sessions();
    my $again = id_of(submit('ann', 'crash', essays('We sleep a third of our lives.')));
    my ($job) = split /\n/, sql("SELECT id FROM await.job WHERE batch = '$again'");
    local @ENV{qw(AWAIT_POSTGRES PGPASSWORD AWAIT_JOB_ID AWAIT_BATCH AWAIT_PARAMS)} =
        ($s->place('worker'), $s->password('worker'), $job, $again, '{"essay_id":"e1"}');
    is system("echo '\"We sleep a third of our lives.\"' | $root/conf/recipes/spellcheck 0 > /dev/null"), 0,
        'the next phase is submitted, this one does not end';
    my $counts =
        sub { my $doc = json(get("/batches/$again", %ann)); return "$doc->{totals}{done} of $doc->{totals}{total}" };
    eventually('the next phase is over', sub { $counts->() eq '1 of 2' });
    is emails(), 1, 'the batch does not seem to be done';
    my ($line) = $site =~ /^# await-worker (.+spellcheck) 0\.4$/m;
    $s->start_worker('worker1', split ' ', $line =~ s/\$\{ROOT\}/$root/r);
    eventually('another worker does it again', sub { json(get("/batches/$again", %ann))->{ready} });
    is $counts->(), '2 of 2', 'the essay was handed on once';
    is emails(), 2, 'an e-mail for this batch';
};

subtest 'the batches of a user' => sub {
    my $page = json(service('GET', "$url/user/ann?limit=1"));
    is scalar(@{ $page->{batches} }), 1, 'a page';
    ok $page->{next}, 'and where the next one begins';
    my $next = json(service('GET', "$url/user/ann?limit=1&cursor=$page->{next}"));
    is_deeply [ @{ $next->{batches}[0] }{qw(batch_id status)} ], [ $batch, 'completed_with_failures' ],
        'oldest last, as the status shows them';
    is $next->{batches}[0]{processing_summary}{failed}, 1, 'with a summary';
    is $next->{next}, undef, 'there are two';
    is_deeply json(service('GET', "$url/user/bob"))->{batches}, [], 'another user has none';
    is scalar(@{ json(get('/batches', %ann))->{batches} }), 2, 'the dashboard lists them as well';
};

subtest 'who may' => sub {
    my $without = sub { my ($name, %more) = @_; my %some = (%caller, %more); delete $some{$name}; return \%some };
    for (
        [ 'without either header', {} ],
        [ 'without X-Internal-API-Key', $without->('X-Internal-API-Key') ],
        [ 'without X-Service-ID', $without->('X-Service-ID') ],
        [ 'with the key in capitals', $without->('', 'X-Internal-API-Key' => uc $caller{'X-Internal-API-Key'}) ],
        [ 'as another service', $without->('', 'X-Service-ID' => 'billing') ],
        )
    {
        my ($name, $headers) = @$_;
        for my $path ($location, "$url/user/ann", $url) {
            my $r =
                request($path eq $url ? 'POST' : 'GET', $path, port => $services, headers => $headers, body => '{}');
            is "$r->{status} " . header($r, 'Content-Type'), '403 application/problem+json', "$name: $path";
        }
    }
    is submit('', 'x', essays('x'))->{status}, 403, 'a batch of nobody';
    is service('POST', $url, essays('x'), 'X-User-ID' => 'ann', 'Content-Type' => 'application/json')->{status}, 400,
        'without a key';
    my $before = sql('SELECT count(*) FROM await.job');
    like submit('ann', 'queue', '{"jobs":[{"queue":"email","payload":1}]}')->{body},
        qr/Job 1, at byte 9: the queue email cannot be used here/,
        'a queue that is not for clients';
    is submit('ann', 'phase', '{"jobs":[{"queue":"cj","phase":"print","payload":1}]}')->{status}, 400, 'no such phase';
    is sql('SELECT count(*) FROM await.job'), $before, 'nothing is stored';
    my $odd = submit('bob', 'odd',
        '{"jobs":[{"queue":"cj","phase":"cj","payload":{}},{"queue":"spellcheck","payload":[1]}]}');
    my $his = header($odd, 'Location');
    eventually('what is no text fails', sub { status($his)->{status} eq 'failed' });
    is_deeply [ map { $_->{detail} } @{ status($his)->{processing_summary}{failures} } ],
        [ 'The essay is not a text.', 'The essay without an id is not a text.' ], 'and says why';
    is get("/batches/$batch")->{status}, 401, 'a dashboard without a session';
    is get("/batches/$batch", Cookie => 'session=x')->{status}, 401, 'with another session';
    my $bobs = id_of(submit('bob', 'his', essays('Sleep.')));
    is get("/batches/$bobs", %ann)->{status}, 404, 'the batch of another user';
    is get($location, %ann)->{status}, 404, 'the query API is not on the address of the dashboards';
    my $evil = Await::WebSocket->new($s->{port}, '/live', headers => { %ann, Origin => 'https://evil.example' });
    is $evil->{status}, 403, 'a page of another origin';
};

subtest 'the page, in a browser' => sub {
    my $browser = Await::Browser->new($s);
    my $text = sub { $browser->script('return document.querySelector(arguments[0])?.textContent', @_) // '' };
    $browser->visit($s->url . '/');
    eventually('the page asks to sign in', sub { $text->('#notice a') eq 'Sign in' });
    is_deeply $browser->barriers($root), [], 'the page passes axe-core';
    $browser->click('#notice a');
    eventually('the page can be used',
        sub { !$browser->script('return document.querySelectorAll("form :disabled").length') && $text->('.row h2') });
    $browser->script('document.querySelector("[name=count]").value = 3');
    $browser->click('[name=empty]');
    $browser->click('#submit button');
    eventually('the batch is done', sub { $text->('#batches article .status') =~ /^completed with failures in / });
    is $text->('#batches article:first-child tbody tr:nth-child(2)'), "2––The essay 2 is empty.",
        'the page says what failed';
    like $text->('#batches article:first-child tbody tr:nth-child(3)'), qr/^3[A-E]\d+/, 'and the grades';
    is $browser->script('return document.querySelectorAll("#batches article").length'), 3, 'beside the older batches';
    is_deeply $browser->barriers($root), [], 'the page with batches passes axe-core';
    $browser->quit;
};
eventually('an e-mail for each batch', sub { emails() == 5 });
finish();
