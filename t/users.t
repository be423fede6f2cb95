# user:<owner>: what all jobs of an owner do, as one history, in commit order, each event once, on every transport;
# nobody else's.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use Await::WebSocket;
use JSON::PP;
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(workers => 2, extra => <<'CONF');
    await_owner $arg_u;
    location = /mine { await_submit work; await_events user:$arg_u; await_socket user:$arg_u; }
    location ~ ^/mine/(?<id>[^/]+)$ { await_job $id; }
    location = /page { await_events user:$arg_u default=json; }
    location = /of { await_events user:$arg_of; await_socket; }
    location = /all { await_owner off; await_events $arg_channel; await_socket; }
    location = /soon { await_socket user:$arg_u plain; }
    location = /metrics { await_owner off; await_metrics; }
CONF

sub stream {
    my ($path, %headers) = @_;
    return begin_request('GET', $path, headers => { Accept => 'text/event-stream', %headers });
}
sub ready {
    my ($path, %headers) = @_;
    my $stream = stream($path, %headers);
    $stream->wait_event('ready') or die "no primer: $stream->{buffer}";
    return $stream;
}
sub submit { my ($u, $body) = @_; return one_job("/mine?u=$u", $body // 'x') }
sub said {
    my ($stream) = @_;
    return
        map { my $e = decode_json($_->{data}); "$e->{job} $e->{seq} $e->{type}" }
        grep { $_->{event} !~ /^(ready|reset)$/ } @{ $stream->events };
}
sub last_id { my ($stream) = @_; return (map { $_->{id} // () } @{ $stream->events })[-1] }

subtest 'all of an owner\'s jobs on one stream, from now on' => sub {
    my $old = submit('ann');
    my $ann = ready('/mine?u=ann');
    my $bob = ready('/mine?u=bob');
    like $ann->events->[0]{data}, qr/"state":"live"/, 'ready says that the channel is live';
    my ($one, $two) = (submit('ann'), submit('ann'));
    my $his = submit('bob');
    claim($_) for $one, $two;
    complete($two, 'done', hint => 1);
    sql("SELECT await.emit('$one', test.receipt('$one'), 'node_started', '{\"n\":1}')");
    complete($one, '{"a":1}', type => 'application/json', hint => 1);
    ok $ann->read_until(sub { 2 == grep { /completed/ } said($ann) }), 'both ends arrive' or diag $ann->{buffer};
    is_deeply [ grep { /$one/ } said($ann) ],
        [ "$one 1 pending", "$one 2 processing", "$one 3 node_started", "$one 4 completed" ], 'each job in its order';
    is_deeply [ grep { /$two/ } said($ann) ], [ "$two 1 pending", "$two 2 processing", "$two 3 completed" ],
        'the other job in its order';
    is scalar(grep { /$old 1 |$his/ } said($ann)), 0, 'nothing from before, nothing of others';
    ok $bob->read_until(sub { scalar(said($bob)) >= 1 }), 'the other user has an event';
    is_deeply [ said($bob) ], ["$his 1 pending"], 'which is the one of his job';
    my ($ended) = grep { $_->{data} =~ /$one/ && $_->{event} eq 'completed' } @{ $ann->events };
    is_deeply decode_json($ended->{data})->{result}{value}, { a => 1 }, 'with what it is';
    ok !$ann->{eof}, 'and it stays open';
};

subtest 'a cursor goes on where it was, whatever was committed meanwhile, on every transport' => sub {
    my $first = ready('/mine?u=cat');
    my $a = submit('cat');
    $first->wait_event('pending');
    my $cursor = last_id($first);
    $first->close;
    # a transaction that began before and commits after others did: its numbers are smaller than theirs
    my $slow = Await::Session->new($s->postgres);
    my $late = $slow->run("BEGIN; SELECT await.submit('work', 'x', 'text/plain', '{\"owner\":\"cat\"}')");
    my $b = submit('cat');
    my $second = ready("/mine?u=cat&cursor=$cursor");
    ok $second->read_until(sub { scalar(said($second)) >= 1 }), 'an event arrives';
    is_deeply [ said($second) ], ["$b 1 pending"], 'the one that is committed';
    my $between = last_id($second);
    $slow->run('COMMIT');
    my $c = submit('cat');
    ok $second->read_until(sub { scalar(said($second)) >= 3 }), 'two more arrive';
    is_deeply [ sort(said($second)) ], [ sort "$b 1 pending", "$late 1 pending", "$c 1 pending" ],
        'the late one too, once';
    my $page = json(get("/page?u=cat&cursor=$between"));
    is_deeply [ sort map { $_->{job} } @{ $page->{events} } ], [ sort $late, $c ], 'from in between, as a page';
    is $page->{done}, JSON::PP::false, 'a user\'s page is never done';
    is json(get("/page?u=cat&cursor=$page->{cursor}"))->{events}[0], undef, 'and nothing more';
    my $ws = Await::WebSocket->new($s->{port}, "/mine?u=cat&cursor=$cursor");
    my @said = $ws->messages(4);
    is $said[0]{op}, 'subscribed', 'the socket is subscribed';
    is $said[0]{channel}, 'user:cat', 'to the user';
    is_deeply [ sort map { $_->{job} } @said[ 1 .. 3 ] ], [ sort $late, $b, $c ], 'by socket';
    is $said[1]{channel}, 'user:cat', 'each event names its channel';
    my $again = Await::WebSocket->new($s->{port}, "/mine?u=cat&cursor=$said[2]{cursor}");
    my @rest = $again->messages(2);
    is $rest[1]{job}, $said[3]{job}, 'a socket\'s cursor counts as well, in the middle of what was read at once';
};

subtest 'held for news' => sub {
    my $page = json(get('/page?u=dan'));
    is_deeply $page->{events}, [], 'at first there is nothing';
    my $held = begin_request('GET', "/page?u=dan&cursor=$page->{cursor}", headers => { Prefer => 'wait=20' });
    ok $held->quiet(0.3), 'waits';
    submit('someone');
    ok $held->quiet(0.3), 'not for others';
    my $id = submit('dan');
    my $r = $held->response;
    is_deeply [ map { $_->{job} } @{ json($r)->{events} } ], [$id], 'the page has the user\'s new job';
};

subtest 'a cancel is told at once' => sub {
    my $stream = ready('/mine?u=eve');
    my $id = submit('eve');
    is del("/mine/$id?u=eve")->{status}, 202, 'the cancel is accepted';
    ok $stream->read_until(sub { grep { $_ eq "$id 2 cancelled" } said($stream) }), 'the stream is told';
};

subtest 'nobody else\'s' => sub {
    is get('/of?u=ann&of=bob')->{status}, 404, 'another user\'s';
    is get('/of?u=ann&of=')->{status}, 404, 'nobody\'s';
    is get('/all?channel=user:ann')->{status}, 404, 'without an owner nobody is anybody';
    is stream('/of?u=ann&of=ann')->wait_event('ready')->{event}, 'ready', 'one\'s own';
    my $ws = Await::WebSocket->new($s->{port}, '/of?u=ann');
    $ws->say({ op => 'subscribe', channel => 'user:bob' });
    is_deeply [ @{ $ws->message }{qw(op channel status)} ], [ 'error', 'user:bob', 404 ],
        'another user\'s channel by name: 404';
    $ws->say({ op => 'subscribe', channel => 'user:ann' });
    is_deeply [ @{ $ws->message }{qw(op channel state)} ], [ 'subscribed', 'user:ann', 'live' ], 'one\'s own by name';
    my $id = submit('ann');
    is $ws->message->{job}, $id, 'the socket gets the event of the user\'s job';
    is get("/mine/$id?u=bob")->{status}, 404, 'another user does not get the job';
    # a topic is no user's, whatever the user is called
    sql("SELECT await.publish('t', 'update', '1')");
    my $odd = ready('/mine?u=topic:t');
    sql("SELECT await.publish('t', 'update', '2')");
    my $theirs = submit('topic:t');
    ok $odd->read_until(sub { said($odd) }), 'a user named like a topic gets an event';
    is_deeply [ said($odd) ], ["$theirs 1 pending"], 'its own, not the topic\'s';
};

subtest 'cursors that say nothing' => sub {
    my $good = last_id(ready('/mine?u=fay'));
    submit('fay');
    for my $bad (
        [ 'garbled', 'AAAA' ],
        [ 'of another user', last_id(ready('/mine?u=gil')) ],
        [ 'cut', substr $good, 0, -3 ],
        [ 'of a job', 'AcmxhTEiQ0NzAAAABw' ],
        [ 'too busy', 'busy' ],
        [ 'long', 'A' x 600 ])
    {
        my $stream = stream("/mine?u=fay&cursor=$bad->[1]");
        my $reset = $stream->wait_event('reset') or diag $stream->{buffer};
        ok $reset, $bad->[0];
        my $id = submit('fay');
        ok $stream->read_until(
            sub {
                grep { $_ eq "$id 1 pending" } said($stream);
            },
            10
            ),
            'and goes on from now';
        is scalar(said($stream)), 1, "$bad->[0]: nothing from before";
        $stream->close;
    }
    sql("UPDATE await.retention SET keep = '1 second' WHERE class = 0");
    my $first = sub {
        my $stream = stream("/mine?u=fay&cursor=$good");
        $stream->read_until(sub { @{ $stream->events } });
        return $stream->events->[0]{event} // '';
    };
    eventually('a cursor older than what is kept gets a reset', sub { $first->() eq 'reset' });
    sql("UPDATE await.retention SET keep = '1 day' WHERE class = 0");
};

subtest 'a long history comes in pieces, whole and in order, and a slow client loses nothing' => sub {
    my $cursor = last_id(ready('/mine?u=hal'));
    my $fill = 'x' x 3000;
    my ($id) = submit('hal');
    claim($id);
    sql("SELECT await.emit('$id', test.receipt('$id'), 'note', jsonb_build_object('n', n, 'fill', '$fill'))
        FROM generate_series(1, 1300) n");
    # or the kernel would take all of it
    my $stream = begin_request(
        'GET', "/mine?u=hal&cursor=$cursor",
        headers => { Accept => 'text/event-stream' },
        rcvbuf => 65_536
    );
    eventually('it does not read, and bytes wait for it', sub { metric('await_buffered_bytes') > 0 });
    ok $stream->read_until(sub { $_[0] =~ /"n":1300\b|"n": 1300\b/ }, 60), 'it gets the last event';
    my @n = map { decode_json($_->{data})->{seq} } grep { $_->{event} eq 'note' } @{ $stream->events };
    is_deeply \@n, [ 3 .. 1302 ], '1300 events';
    my $page = json(get("/page?u=hal&cursor=$cursor"));
    my $n = @{ $page->{events} };
    cmp_ok $n, '<', 1302, 'a page has so many';
    while (@{ $page->{events} }) { $page = json(get("/page?u=hal&cursor=$page->{cursor}")); $n += @{ $page->{events} } }
    is $n, 1302, 'the next ones have the rest';
};

subtest 'many users at once, many jobs, by random commits: each event once' => sub {
    my @users = map { "u$_" } 1 .. 6;
    my %streams = map { $_ => [ ready("/mine?u=$_"), ready("/mine?u=$_") ] } @users;
    my @sessions = map { Await::Session->new($s->postgres) } 1 .. 4;
    my %jobs;
    for my $round (1 .. 25) {
        my @open = grep { rand() < 0.7 } 0 .. 3;
        for my $i (@open) {
            $sessions[$i]->run('BEGIN');
            for my $user (grep { rand() < 0.5 } @users) {
                push @{ $jobs{$user} },
                    $sessions[$i]->run("SELECT await.submit('work', 'x', 'text/plain', '{\"owner\":\"$user\"}')");
            }
        }
        for my $i (sort { rand() <=> 0.5 } @open) { $sessions[$i]->run('COMMIT') }
        for my $user (@users) { hint($jobs{$user}[-1]) if $jobs{$user} && rand() < 0.5 }
        if (rand() < 0.3) {      # somebody leaves and comes back
            my $user = $users[ rand @users ];
            my $stream = $streams{$user}[1];
            my $cursor = last_id($stream);
            $stream->read_until(sub { 0 }, 0.01);
            my @had = said($stream);
            $cursor = last_id($stream);
            $stream->close;
            $streams{$user}[1] = ready("/mine?u=$user&cursor=$cursor");
            $streams{$user}[1]{had} = [ @{ $stream->{had} // [] }, @had ];
        }
    }
    hint($jobs{$_}[-1]) for grep { $jobs{$_} } @users;
    for my $user (@users) {
        my $due = [ sort map { "$_ 1 pending" } @{ $jobs{$user} // [] } ];
        for my $stream (@{ $streams{$user} }) {
            $stream->read_until(sub { @{ $stream->{had} // [] } + said($stream) >= @$due });
            is_deeply [ sort @{ $stream->{had} // [] }, said($stream) ], $due, "$user: " . @$due;
        }
    }
};

# was a bug: the timeline of the database was known with the greeting of any connection, and the key of these cursors
# with that of the one that reads; a request between them had a cursor that nobody could verify
subtest 'a new nginx worker knows a cursor as soon as it answers anything' => sub {
    my $first = ready('/mine?u=eve');
    my $job = submit('eve');
    $first->wait_event('pending');
    my $cursor = last_id($first);
    $first->close;
    sql('ALTER FUNCTION await.edge_hello RENAME TO true_hello');
    sql(<<'SQL');
CREATE FUNCTION await.edge_hello(p_queues text[], p_priorities int2[])
RETURNS TABLE (now_ms bigint, timeline text, keep_ms bigint[], hint_key bytea, old_keys bytea[], unmade text,
    schema_version int)
LANGUAGE sql SECURITY DEFINER AS $$
    SELECT h.* FROM await.true_hello(p_queues, p_priorities) h,
        pg_sleep(CASE WHEN current_setting('application_name') ~ 'read' THEN 1.5 ELSE 0 END)
$$
SQL
    sql('GRANT EXECUTE ON FUNCTION await.edge_hello TO await_edge');
    my @old = worker_pids();
    kill 'HUP', $s->pid('nginx');
    eventually('new nginx workers have started', sub { workers_are_new(@old) });
    my $stream;
    ok until_true(
        'a submission is answered',
        sub {
            return unless eval { post('/mine?u=eve', 'y')->{status} == 202 };
            $stream = stream("/mine?u=eve&cursor=$cursor");
        },
        15
        ),
        'the connection that writes is in use';
    ok $stream->wait_event('pending'), 'the stream goes on';
    is scalar(grep { $_->{event} eq 'reset' } @{ $stream->events }), 0, 'without a reset';
    sql('DROP FUNCTION await.edge_hello');
    sql('ALTER FUNCTION await.true_hello RENAME TO edge_hello');
};
finish();
