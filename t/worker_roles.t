# Workers are kept apart. Bugs: a role with await_worker read the payload of any job, ended what another session had
# claimed (an attempt's number, mostly 1, was all it took), read owner, parameters and results by await.hint, claimed
# from any queue, and for ten years; a status or a length that was NULL passed every check; and roles that were made
# after the first migrate were never granted anything.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use File::Temp qw(tempdir);
use Test::More;

my $s = start_stack(without => [ 'redis', 'nginx' ]);
my $ctl = "$Await::Stack::ROOT/tools/await-ctl";

sub conninfo {
    my ($role, $database) = @_;
    return "host=127.0.0.1 port=$s->{pg_port} dbname=" . ($database // 'await') . " user=$role password=$role";
}

# What a role gets: the answer, or the error. Over one session of each role, for there are hundreds of calls.
my %session;
sub as {
    my ($role, $sql, $database) = @_;
    my $name = $role . ($database // '');
    my $answer = ($session{$name} //= Await::Session->new(conninfo($role, $database)))->run($sql);
    delete $session{$name} if $sql =~ /\bSET ROLE\b/;
    return $answer;
}
my $owner = Await::Session->new($s->postgres);

# await-ctl: exit status and all it says.
sub ctl {
    my ($conninfo, @words) = @_;
    my $pid = open(my $from, '-|') // die "fork: $!";
    if (!$pid) { $ENV{AWAIT_POSTGRES} = $conninfo; open STDERR, '>&', \*STDOUT; exec $ctl, @words or POSIX::_exit(127) }
    my $out = do { local $/; <$from> } // '';
    close $from;
    return ($? >> 8, $out);
}
sub done_by_ctl { my ($status, $out) = ctl(@_); is $status, 0, "await-ctl @_[ 1 .. $#_ ]" or diag $out; return $out }

sub submit {
    my ($queue, $options, $body) = @_;
    return $owner->run(
        "SELECT await.submit('$queue', " . ($body // "'x'") . ", 'text/plain', '" . ($options // '{}') . "')");
}
sub taken {
    my ($role, $queue, $more) = @_;
    return split /\|/,
        as($role, "SELECT id, receipt FROM await.claim(ARRAY['$queue'], '$role', 1" . ($more // '') . ')');
}
sub login { my (@roles) = @_; sql("CREATE ROLE $_ LOGIN PASSWORD '$_'") for @roles }

my $admin = $s->postgres;
login(qw(thumbs mails anyone));
done_by_ctl($admin, 'grant', 'thumbs', 'thumbs', 'thumbs.*', 'topic:album');
done_by_ctl($admin, 'grant', 'mails', 'mails');
done_by_ctl($admin, 'grant', 'anyone');

subtest 'a receipt: the attempt, and what nobody can guess' => sub {
    my @ids = map { submit('thumbs') } 1 .. 50;
    my @receipts = map { (split /\|/)[1] } split /\n/,
        as('thumbs', "SELECT attempt, receipt FROM await.claim(ARRAY['thumbs'], 'w', 50)");
    is scalar(grep { /^1\.[A-Za-z0-9_-]{22}$/ } @receipts), 50, 'in a short text';
    is scalar(keys %{ { map { $_ => 1 } @receipts } }), 50, 'each another';
    sql("SELECT await.cancel(id) FROM unnest(ARRAY[" . join(',', map { "'$_'" } @ids) . "]::uuid[]) id");
};

# What a worker does with a job: the call by its receipt, and what "not yours" looks like.
my @calls = (
    [ heartbeat => "await.heartbeat('ID', RECEIPT)", 'lost' ],
    [ progress => "await.heartbeat('ID', RECEIPT, '{\"done\": 1}')", 'lost' ],
    [ emit => "await.emit('ID', RECEIPT, 'line', '1')", '' ],
    [ 'emit, repeated' => "await.emit('ID', RECEIPT, 'line', '1', 'e1')", '' ],
    [ payload => "await.payload('ID', RECEIPT, 0, 100)", '' ],
    [ 'a piece of the result' => "await.append_result('ID', RECEIPT, 0, 'forged')", '' ],
    [ complete => "await.complete('ID', RECEIPT, 'forged')", 'f' ],
    [ 'complete by pieces' => "await.complete('ID', RECEIPT, NULL)", 'f' ],
    [
        complete_many => "done FROM await.complete_many(ARRAY['ID']::uuid[], ARRAY[RECEIPT], ARRAY['forged'::bytea])",
        'f'
    ],
    [ fail => "await.fail('ID', RECEIPT, '{}', '-1 s')", 'f' ],
);
sub with {
    my ($sql, $id, $receipt) = @_;
    $receipt = defined $receipt ? "'$receipt'" : 'NULL';
    return 'SELECT ' . ($sql =~ s/ID/$id/gr =~ s/RECEIPT/$receipt\::text/gr);
}

subtest 'another worker\'s job: neither read, nor kept, nor ended' => sub {
    my $id = submit('mails', '{"owner": "anna", "params": {"secret": 1}}', "'annas payload'");
    my ($mine, $receipt) = taken('mails', 'mails');
    is $mine, $id, 'its own worker claims it';
    is as('mails', "SELECT await.emit('$id', '$receipt', 'line', '0', 'e1')"), 3, 'its own worker emits';
    my $own = submit('thumbs');
    my (undef, $other) = taken('thumbs', 'thumbs');
    my ($secret) = $receipt =~ /\.(.*)/;
    for my $forged (
        undef, '', '1', '1.', $secret, "2.$secret", lc $receipt, "$receipt ",
        substr($receipt, 0, -1),
        '1.' . 'A' x 22,
        '%', $other
        )
    {
        for my $role ('thumbs', 'anyone') {
            is as($role, with($_->[1], $id, $forged)), $_->[2], "$role, $_->[0] by " . ($forged // 'NULL') for @calls;
        }
    }
    is sql("SELECT string_agg(seq || ':' || type, ' ' ORDER BY seq) FROM await.event WHERE job = '$id'"),
        '2:processing 3:line', 'nothing has changed';
    is sql("SELECT count(*) FROM await.chunk WHERE job = '$id'"), 0, 'no piece was stored';
    is as('mails', "SELECT convert_from(await.payload('$id', '$receipt'), 'UTF8')"), 'annas payload',
        'its own worker reads it';
    is as('mails', "SELECT await.emit('$id', '$receipt', 'line', '0', 'e1')"), 3, 'a repeat is known';
    is as('mails', "SELECT await.complete('$id', '$receipt', 'done')"), 't', 'and ends it';
    is as('mails', with($_->[1], $id, $receipt)), $_->[2], "after that, $_->[0]" for @calls;
    my $unknown = '01a20229-85dd-7905-b3ad-942074197547';
    is as('thumbs', with($_->[1], $unknown, $other)), $_->[2], "of a job that is not there it gets the same, $_->[0]"
        for @calls;
    my $cancelled = submit('mails');
    (undef, my $theirs) = taken('mails', 'mails');
    sql("SELECT await.cancel('$cancelled')");
    is as('thumbs', "SELECT await.heartbeat('$cancelled', '1')"), 'lost', 'who does not hold it learns of no cancel';
    is as('mails', "SELECT await.heartbeat('$cancelled', '$theirs')"), 'cancelled', 'who holds it does';
};

subtest 'who does not hold a job keeps nobody waiting' => sub {
    my $id = submit('mails');
    my (undef, $receipt) = taken('mails', 'mails');
    my $rude = Await::Session->new(conninfo('thumbs'));
    $rude->run('BEGIN');
    $rude->run(with($_->[1], $id, '1')) for @calls;
    is as('mails', "SET statement_timeout = '5s'; SELECT await.complete('$id', '$receipt', 'x')"), 't',
        'its holder completes it within five seconds';
};

subtest 'a zombie, and the same attempt in other hands' => sub {
    my $id = submit('mails', '{"lease": "1 min"}');
    my (undef, $zombie) = taken('mails', 'mails');
    sql("UPDATE await.lease SET until = now() - interval '1 second' WHERE job = '$id'; SELECT await.reap(100)");
    my ($again, $heir) = taken('mails', 'mails');
    is $again, $id, 'the same job is claimed again';
    like $heir, qr/^2\./, 'the receipt names the second attempt';
    is as('mails', with($_->[1], $id, $zombie)), $_->[2], "the zombie, $_->[0]" for @calls;
    # as after a claim that was rolled back once its receipt was out: the number is the same, the secret is not
    my $undone = submit('mails');
    my $session = Await::Session->new(conninfo('mails'));
    $session->run('BEGIN');
    my (undef, $lost) = split /\|/, $session->run("SELECT id, receipt FROM await.claim(ARRAY['mails'], 'w', 1)");
    $session->run('ROLLBACK');
    my ($taken, $first) = taken('mails', 'mails');
    is $taken, $undone, 'the job whose claim was rolled back is claimed';
    like "$lost $first", qr/^1\.\S+ 1\.\S+$/, 'both receipts name the first attempt';
    is as('mails', with($_->[1], $undone, $lost)), $_->[2], "the first claimer, $_->[0]" for @calls;
    is as('mails', "SELECT await.complete('$_->[0]', '$_->[1]', 'x')"), 't', 'the holder ends it'
        for [ $id, $heir ], [ $undone, $first ];
    my ($one, $two) = map { submit('mails') } 1 .. 2;
    my %of = map { split /\|/ } split /\n/, as('mails', "SELECT id, receipt FROM await.claim(ARRAY['mails'], 'w', 2)");
    is as('mails', "SELECT string_agg(done::text, ' ' ORDER BY id)
        FROM await.complete_many(ARRAY['$one', '$two']::uuid[], ARRAY['$of{$two}', '$of{$one}'],
        ARRAY['a', 'b']::bytea[])"), 'false false', 'swapped';
    is as('mails', "SELECT string_agg(done::text, ' ' ORDER BY id)
        FROM await.complete_many(ARRAY['$one', '$two', '$one']::uuid[], ARRAY['1.x', '$of{$two}', '$of{$one}'],
        ARRAY['a', 'b', 'c']::bytea[])"), 'true true', 'a wrong one hides no right one';
    is sql("SELECT convert_from(body, 'UTF8'), attempt FROM await.event WHERE job = '$one' AND ending"), 'c|1',
        'the right one counts, though it came last';
};

subtest 'a role\'s queues' => sub {
    my %job =
        map { $_ => submit($_, '{"owner": "anna", "params": {"secret": 1}}') } qw(thumbs thumbs.big thumbsx mails);
    my @foreign =
        ('mails', 'thumbsx', 'thumb', 'x.thumbs', 'THUMBS', '', 'no such queue', 'topic:news', '*', 'thumbs%');
    like as('thumbs', "SELECT id FROM await.claim(ARRAY['$_'], 'w', 1)"),
        qr/role thumbs may not claim from queue '\Q$_\E'/, "claim from '$_'"
        for @foreign;
    like as('thumbs', "SELECT id FROM await.claim(ARRAY['thumbs', 'mails'], 'w', 10)"), qr/may not claim/,
        'nor beside its own';
    is sql("SELECT count(*) FROM await.lease WHERE job IN ('$job{mails}', '$job{thumbs}')"), 0, 'and nothing is taken';
    is((taken('thumbs', $_))[0], $job{$_}, "claim from $_") for qw(thumbs thumbs.big);
    is as('thumbs', "SELECT await.may_queue('$_')"), 'f', "may_queue $_"
        for @foreign[ 0, 1 ], 'topic:thumbs', 'topic:albums';
    is as('thumbs', "SELECT await.may_queue('$_')"), 't', "may_queue $_" for 'thumbs', 'thumbs.', 'topic:album';
    is as('anyone', "SELECT await.may_queue('$_')"), 't', "a role of all queues, $_" for 'thumbs', 'topic:x';
    is sql("SELECT await.may_queue('whatever')"), 't', 'the owner';
    is((taken('anyone', $_))[0], $job{$_}, "claim from $_ by who may all") for qw(thumbsx mails);
};

subtest 'hints: a stranger\'s are thin' => sub {
    my $id = submit('mails', '{"owner": "anna", "params": {"secret": 1}}');
    my (undef, $receipt) = taken('mails', 'mails');
    as('mails', "SELECT await.complete('$id', '$receipt', 'the result')");
    like as('mails', "SELECT * FROM await.hint('$id')"),
        qr/"owner" : "anna".*"params" : .*secret.*"body".*\n.* 0 user$/s, 'its worker, after the end';
    is as('thumbs', "SELECT message FROM await.hint('$id')"), "1 $id 3 completed", 'another';
    is as('thumbs', "SELECT message FROM await.hint('$id', 2)"), "1 $id 2 processing", 'an earlier one';
    is as('thumbs', "SELECT message FROM await.hints(ARRAY['$id'::uuid])"), "1 $id 3 completed", 'many';
    my $new = submit('mails', '{"owner": "anna"}');
    is as('thumbs', "SELECT message FROM await.hint('$new')"), '', 'whose a job is stays unsaid';
    sql("SELECT await.publish('$_', 'news', '{\"n\": 1}')") for 'album', 'secret';
    like as('thumbs', "SELECT message FROM await.hint(await.topic_id('album'))"), qr/"data"/, 'of its topic';
    unlike as('thumbs', "SELECT message FROM await.hint(await.topic_id('secret'))"), qr/"data"|\{/, 'of another topic';
};

subtest 'submissions and publications' => sub {
    like as('thumbs', "SELECT await.submit('mails', 'x')"), qr/ERROR: .*mails/, 'submit to a foreign queue';
    like as('thumbs', "SELECT await.submit('thumbs.new', 'x')"), qr/^[0-9a-f-]{36}$/, 'to its own';
    like as('thumbs', "SELECT await.publish('secret', 'news')"), qr/ERROR: .*secret/, 'publish to a foreign topic';
    like as('thumbs', "SELECT await.publish('album', 'news')"), qr/^\d+$/, 'to its own';
    like as('anyone', "SELECT await.publish('secret', 'news')"), qr/^\d+$/, 'who may all';
};

subtest 'however it logs in' => sub {
    login(qw(leaf twice dba));
    sql('CREATE ROLE team; GRANT await_worker TO team; GRANT team TO leaf; GRANT thumbs, mails TO twice;
        ALTER ROLE dba SUPERUSER; GRANT thumbs TO dba');
    done_by_ctl($admin, 'grant', 'team', 'team');
    is as('leaf', "SELECT await.may_queue('team'), await.may_queue('mails')"), 't|f',
        'a member has the queues of its group';
    is as('leaf', "SET ROLE team; SELECT await.may_queue('team'), await.may_queue('mails')"), 't|f',
        'also as the group';
    is as('twice', "SELECT await.may_queue('thumbs'), await.may_queue('mails'), await.may_queue('team')"), 't|t|f',
        'of two groups, those of both';
    is as('twice', "SET ROLE thumbs; SELECT await.may_queue('mails')"), 't', 'whoever it plays';
    sql('ALTER ROLE team RENAME TO crew');
    is as('leaf', "SELECT await.may_queue('team'), await.may_queue('mails')"), 't|f', 'a renamed role stays limited';
    # since PostgreSQL 16 it is the membership that inherits or not, as the role did when it was granted
    sql('ALTER ROLE leaf NOINHERIT; REVOKE crew FROM leaf; GRANT crew TO leaf');
    like as('leaf', "SELECT await.claim(ARRAY['team'], 'w', 1)"), qr/permission denied/,
        'without inheritance it has no rights';
    like as('leaf', "SET ROLE crew; SELECT await.claim(ARRAY['mails'], 'w', 1)"), qr/role leaf may not claim/,
        'without inheritance too';
    is as('dba', "SELECT await.may_queue('mails')"), 't', 'a superuser is a member of all roles and limited by none';
    like as('leaf', $_), qr/permission denied/, $_
        for 'SELECT * FROM await.queue_grant', "SELECT await.grant_queues('leaf', '{*}')",
        'SELECT receipt FROM await.lease';
};

subtest 'revoke' => sub {
    login('temp');
    done_by_ctl($admin, 'grant', 'temp', 'a', 'b');
    done_by_ctl($admin, 'revoke', 'temp', 'a');
    is as('temp', "SELECT await.may_queue('a'), await.may_queue('b')"), 'f|t', 'the other queue stays';
    done_by_ctl($admin, 'revoke', 'temp', 'b');
    is as('temp', "SELECT await.may_queue('a'), await.may_queue('b')"), 'f|f',
        'who loses the last has none, and not all';
    like done_by_ctl($admin, 'status'), qr/temp/, 'status lists the role';
    done_by_ctl($admin, 'grant', 'temp', 'c');
    is as('temp', "SELECT await.may_queue('b'), await.may_queue('c')"), 'f|t', 'the next grant is the only one';
    done_by_ctl($admin, 'revoke', 'temp');
    like as('temp', "SELECT await.claim(ARRAY['c'], 'w', 1)"),
        qr/permission denied for (?:function claim|schema await)/, 'without a queue: its rights';
    sql('GRANT await_worker TO temp');
    is as('temp', "SELECT await.may_queue('c')"), 'f', 'given back by hand it is still limited';
    done_by_ctl($admin, 'grant', 'temp');
    is as('temp', "SELECT await.may_queue('c')"), 't', 'until it is given all';
    my ($status, $out) = ctl($admin, 'grant', 'nobody_of_this_name', 'q');
    isnt $status, 0, 'a role that is not there';
    like $out, qr/role "nobody_of_this_name" does not exist/, 'the message names the role';
    for my $bad ('', 'a b', 'a%', "a'b", 'topic:', 'user:anna') {
        ($status, $out) = ctl($admin, 'grant', 'temp', $bad, 'ok');
        isnt $status, 0, "a queue called '$bad'";
    }
    ($status, $out) = ctl($admin, 'grant', 'temp', '');
    is $status, 64, 'an empty name alone does not mean all';
    done_by_ctl('', 'grant', '-d', $admin, 'temp', 'd');
    # whoever has no line of its own gets nothing, if await_worker itself is limited
    login('bare');
    sql('GRANT await_worker TO bare');
    is as('bare', "SELECT await.may_queue('x')"), 't', 'nothing is said of it: all queues';
    done_by_ctl($admin, 'revoke', 'await_worker');
    is as('bare', "SELECT await.may_queue('x')"), 'f', 'unless nothing is the rule';
    is as('mails', "SELECT await.may_queue('mails')"), 't', 'another role keeps what it has';
    sql("DELETE FROM await.queue_grant WHERE role = 'await_worker'::regrole");
};

subtest 'leases last a second to a day' => sub {
    like as('anyone', qq{SELECT await.submit('long', 'x', options => '{"lease": "$_"}')}),
        qr/lease is an interval from 00:00:01 to 1 day, not '\Q$_\E'/, "a job with $_"
        for '10 years', '0';
    my $id = submit('long');
    sql("UPDATE await.queue SET lease = '10 years' WHERE name = 'long'");
    like as('anyone', "SELECT await.claim(ARRAY['long'], 'w', 1, '$_')"), qr/a lease lasts a second to a day/, $_
        for '0.5 s', '-1 day', '25 hours', '10 years';
    is as('anyone', "SELECT lease_for FROM await.claim(ARRAY['long'], 'w', 1)"), '1 day', 'a queue cannot ask for more';
    is sql("SELECT until < now() + interval '25 hours' FROM await.lease WHERE job = '$id'"), 't',
        'the lease ends within a day';
};

# NULL, elements that are NULL, two dimensions: in every argument of every function. What stands for the default, what
# is refused.
subtest 'arguments that are NULL' => sub {
    my $n = 0;                               # each on a job of its own
    my $call = sub {
        my ($sql) = @_;
        submit('null' . ++$n);
        my ($id, $receipt) = taken('anyone', "null$n");
        return ($id,
            as('anyone', 'SELECT ' . ($sql =~ s/ID/'$id'::uuid/gr =~ s/RECEIPT/'$receipt'/gr =~ s/'mails'/'null$n'/gr))
        );
    };
    for my $refused (
        "await.claim(NULL, 'w', 1)", "await.claim(ARRAY['mails', NULL], 'w', 1)",
            "await.claim(ARRAY[['mails'], ['mails']], 'w', 1)",
        "await.claim(ARRAY[NULL]::text[], 'w', 1)", "await.claim(array_fill('mails'::text, ARRAY[1001]), 'w', 1)",
        "await.claim(ARRAY['mails'], repeat('w', 256), 1)",
        "await.claim(ARRAY['mails'], 'w', -1)", 'await.emit(ID, RECEIPT, NULL)',
        "await.append_result(ID, RECEIPT, NULL, 'x')", 'await.append_result(ID, RECEIPT, 0, NULL)',
        "await.append_result(ID, RECEIPT, -1, 'x')", "await.payload(ID, RECEIPT, -1, 1)",
        "await.payload(ID, RECEIPT, 0, -1)", "await.payload(ID, RECEIPT, 0, 268435457)",
        "await.complete_many(NULL, ARRAY[RECEIPT], ARRAY['x'::bytea])",
        "await.complete_many(ARRAY[ID], NULL, ARRAY['x'::bytea])",
        'await.complete_many(ARRAY[ID], ARRAY[RECEIPT], NULL)',
        "await.complete_many(ARRAY[NULL]::uuid[], ARRAY[RECEIPT], ARRAY['x'::bytea])",
        'await.complete_many(ARRAY[ID], ARRAY[RECEIPT], ARRAY[NULL]::bytea[])',
        "await.complete_many(ARRAY[ID, ID], ARRAY[RECEIPT], ARRAY['x'::bytea])",
        "await.complete_many('{}', ARRAY[RECEIPT], ARRAY['x'::bytea])",
        "await.complete_many(ARRAY[ID], '{}', ARRAY['x'::bytea])",
        "await.complete_many(ARRAY[ID], ARRAY[RECEIPT], '{}')",
        (map { my @a = ('ARRAY[ID, ID]', 'ARRAY[RECEIPT, RECEIPT]', "ARRAY['x', 'y']::bytea[]", "ARRAY['a/b', 'a/b']",
            'ARRAY[200, 200]', "ARRAY['f', 'f']"); $a[$_] =~ s/\[(.*?), (.*?)\]/[[$1], [$2]]/;
            'await.complete_many(' . join(', ', @a) . ')' } 0 .. 5),
        (map { "await.complete(ID, RECEIPT, 'x', 'a/b', $_)" } 0, -1, 100, 204, 404, 2147483647),
            (map { "await.complete_many(ARRAY[ID], ARRAY[RECEIPT], ARRAY['x'::bytea], NULL, ARRAY[$_])" } 0, 404),
    ) {
        my ($id, $said) = $call->($refused);
        like $said, qr/^ERROR: /, $refused;
        unlike $said, qr/violates/, 'told, and not stopped by a constraint';
        is $owner->run("SELECT string_agg(type, ' ' ORDER BY seq) FROM await.event WHERE job = '$id'"), 'processing',
            'nothing has changed';
    }
    for my $taken (
        [ 'await.heartbeat(ID, RECEIPT, NULL)', 'ok' ],
        [ 'await.heartbeat(NULL, RECEIPT)', 'lost' ],
        [ "await.emit(ID, RECEIPT, 'line', NULL, NULL)", 3 ],
        [ "await.emit(NULL, RECEIPT, 'line')", '' ],
        [ "convert_from(await.payload(ID, RECEIPT, NULL, NULL), 'UTF8')", 'x' ],
        [ 'await.payload(NULL, RECEIPT)', '' ],
        [ "await.append_result(NULL, RECEIPT, 0, 'x')", '' ],
        [ "await.complete(NULL, RECEIPT, 'x')", 'f' ],
        [ "await.fail(NULL, RECEIPT, '{}')", 'f' ],
        [ 'await.hint(NULL)', '' ],
        [ 'await.hints(NULL)', '' ],
        [ 'await.hints(ARRAY[NULL]::uuid[])', '' ],
        [ "await.complete_many('{}', '{}', '{}')", '' ],
        [ 'await.fail(ID, RECEIPT, NULL, NULL)', 't' ],
        [ 'await.complete(ID, RECEIPT, NULL)', 't' ],
        [ "done FROM await.complete_many(ARRAY[ID], ARRAY[NULL]::text[], ARRAY['x'::bytea])", 'f' ],
        [ "count(*) FROM await.claim(ARRAY['mails'], NULL, NULL, NULL)", 0 ],
        [ "count(*) FROM await.claim('{}', 'w', 1)", 0 ],
        )
    {
        my (undef, $said) = $call->($taken->[0]);
        is $said, $taken->[1], $taken->[0];
    }
    for my $end ("await.complete(ID, RECEIPT, 'x', NULL, NULL, NULL)",
        "await.complete_many(ARRAY[ID], ARRAY[RECEIPT], ARRAY['x'::bytea], NULL, NULL, NULL)",
        "await.complete_many(ARRAY[ID], ARRAY[RECEIPT], ARRAY['x'::bytea], ARRAY[NULL]::text[], ARRAY[NULL]::int[], "
        . "ARRAY[NULL]::text[])") {
        my ($id) = $call->($end);
        is sql("SELECT type, status, content_type, file_name, size FROM await.event WHERE job = '$id' AND ending"),
            'completed|200|application/octet-stream||1', $end;
    }
    # n NULL was LIMIT NULL: everything
    submit('all') for 1 .. 3;
    is as('anyone', "SELECT count(*) FROM await.claim(ARRAY['all'], 'w', NULL)"), 1, 'n is 1 then';
};

subtest 'the least rights: a plain database owner migrates, a DBA makes the roles, and migrate heals' => sub {
    login(qw(plain site hand));
    sql("ALTER ROLE $_ RENAME TO hidden_$_") for qw(await_edge await_worker await_relay await_console);
    sql('CREATE DATABASE plain OWNER plain', 'postgres');
    my $plain = conninfo('plain', 'plain');
    my ($status, $out) = ctl($plain, 'migrate');
    is $status, 0, 'migrate succeeds';
    like $out, qr/^applied schema 1: 0001_baseline\n/, 'it says what it applied';
    like $out,
        qr/there[ ]is[ ]no[ ]role[ ]await_edge,[ ]await_worker,[ ]await_relay,[ ]await_console,
            [ ]and[ ]"plain"[ ]may[ ]not[ ]create[ ]roles.*await-ctl[ ]roles.*await-ctl[ ]migrate/sx,
        'it says what is missing and what to do';
    like as('hand', "SELECT await.claim(ARRAY['q'], 'w', 1)", 'plain'), qr/permission denied/,
        'before the roles are made nobody may claim';
    sql(scalar `$ctl roles`);
    sql(scalar `$ctl roles`);
    sql('GRANT await_edge TO site; GRANT await_worker TO hand');
    like as('hand', "SELECT await.claim(ARRAY['q'], 'w', 1)", 'plain'), qr/permission denied/,
        'the roles are there, the grants are not';
    ($status, $out) = ctl($plain, 'migrate');
    is $status, 0, 'migrate again';
    like $out, qr/^changed grants: \d+\n\z/, 'it says that it granted, and nothing else';
    is as('hand', "SELECT count(*) FROM await.claim(ARRAY['q'], 'w', 1)", 'plain'), 0, 'and a worker works';
    like as('site', "SELECT timeline FROM await.edge_hello('{q}', '{0}')", 'plain'), qr/^\d+\./, 'an edge too';
    like as('site', "SELECT await.claim(ARRAY['q'], 'w', 1)", 'plain'), qr/permission denied/, 'each for itself';
    as('plain', 'REVOKE EXECUTE ON FUNCTION await.complete FROM await_worker;
        GRANT EXECUTE ON FUNCTION await.edge_jobs TO await_worker, PUBLIC', 'plain');
    like as('hand', "SELECT await.complete('01a20229-85dd-7905-b3ad-942074197547', 'x', 'x')", 'plain'),
        qr/permission denied/, 'what was revoked by hand is denied';
    done_by_ctl($plain, 'migrate');
    is as('hand', "SELECT await.complete('01a20229-85dd-7905-b3ad-942074197547', 'x', 'x')", 'plain'), 'f',
        'a grant that was taken away is healed';
    like as('hand', "SELECT await.edge_jobs('{}', '{}', 0)", 'plain'), qr/permission denied/,
        'and one that was never meant';
    is sql("SELECT xmin FROM pg_proc WHERE proname = 'claim'", 'plain'),
        do { done_by_ctl($plain, 'migrate'); sql("SELECT xmin FROM pg_proc WHERE proname = 'claim'", 'plain') },
        'what is in order is left alone';

    login('late');
    ($status, $out) = ctl($plain, 'grant', 'late', 'q');
    isnt $status, 0, 'the owner may not give the role away';
    like $out, qr/GRANT await_worker TO "late";/, 'it says what a DBA has to do';
    sql('GRANT await_worker TO late');
    is as('late', "SELECT await.may_queue('q'), await.may_queue('r')", 'plain'), 't|f', 'and the queues were noted';
    sql('GRANT await_worker TO plain WITH ADMIN OPTION');
    login('later');
    done_by_ctl($plain, 'grant', 'later', 'q');
    is as('later', "SELECT count(*) FROM await.claim(ARRAY['q'], 'w', 1)", 'plain'), 0, 'with ADMIN OPTION it may';
    like $out = sql(
        "SELECT string_agg(proname, ' ') FROM pg_proc p WHERE pronamespace = 'await'::regnamespace
        AND has_function_privilege('anyone', p.oid, 'EXECUTE')
        AND NOT has_function_privilege('hand', p.oid, 'EXECUTE')",
        'plain'
        ),
        qr/^$/, 'PUBLIC may call nothing';
    sql("DROP OWNED BY $_", 'plain') for qw(await_edge await_worker await_relay await_console);
    sql("REVOKE await_edge FROM site; REVOKE await_worker FROM hand, late, later, plain CASCADE");
    sql("DROP ROLE $_; ALTER ROLE hidden_$_ RENAME TO $_") for qw(await_edge await_worker await_relay await_console);
};

subtest 'await-ctl: from anywhere, and not silent where it did nothing' => sub {
    my $dir = tempdir(CLEANUP => 1);
    system 'cp', $ctl, "$dir/await-ctl";
    symlink $ctl, "$dir/link";
    my $run = sub {
        my ($command) = @_;
        my $out = `cd '$dir' && AWAIT_POSTGRES='$admin' $command 2>&1`;
        return ($? >> 8, $out);
    };
    my ($status, $out) = $run->('./await-ctl migrate');
    isnt $status, 0, 'a copy without its folder' unless -d '/usr/share/nginx-await/sql/schema';
    like $out, qr/the schema is not in .*AWAIT_SQL.*Nothing was done/,
        'it says where it looked, and that nothing was done'
        unless -d '/usr/share/nginx-await/sql/schema';
    ($status, $out) = $run->('AWAIT_SQL=/nonexistent ./link migrate');
    isnt $status, 0, 'a folder that is not there';
    like $out, qr{not in /nonexistent.*Nothing was done}, 'it says where it looked, and that nothing was done';
    ($status, $out) = $run->("AWAIT_SQL='$Await::Stack::ROOT/sql' ./await-ctl migrate");
    is $status, 0, 'a copy, told where';
    like $out, qr/^already up to date: schema \d+, functions [0-9a-f]{12}$/, 'it says so';
    Await::Stack::write_file("$dir/pass", join(':', '*', '*', '*', 'await', $s->password('await')) . "\n", 0600);
    ($status, $out) = $run->("AWAIT_POSTGRES='@{[ $s->place('await') ]}' PGPASSFILE=pass ./link migrate");
    is $status, 0, 'a passfile with a relative name';
    ($status, $out) = $run->('./link migrate');
    is $status, 0, 'a link';
    ($status, $out) = $run->("AWAIT_POSTGRES='host=127.0.0.1 port=1 dbname=x' ./link migrate");
    isnt $status, 0, 'no database';
    sql("INSERT INTO await.schema_history (version, name) VALUES (999, 'tomorrow')");
    ($status, $out) = $run->('./link migrate');
    isnt $status, 0, 'a schema newer than the migrations';
    like $out, qr/the database has schema 999, this await-ctl knows schema \d+: .*Nothing was done/,
        'it says both numbers';
    sql('DELETE FROM await.schema_history WHERE version = 999');
};

subtest 'await-ctl shows no password' => sub {
    my $dir = tempdir(CLEANUP => 1);
    # a psql that writes down what everybody could read
    Await::Stack::write_file("$dir/psql",
        "#!/bin/sh\nprintf '%s\\n' \"\$*\" >> '$dir/argv'; printf '%s' \"\$PGPASSWORD\" > '$dir/password'\n", 0755);
    for my $case (
        [ 'host=h password=se%cret dbname=d', 'se%cret' ],
        [ "password='it\\'s'", "it's" ],
        [ "host=h password = 'se cr\\'et' user=u", "se cr'et" ],
        [ 'password=a\\ b', 'a b' ],
        [ 'password=secret', 'secret' ],
        [ 'postgresql://u:se%20cr%2Fet@h:1/d?sslmode=disable', 'se cr/et' ],
        [ 'postgres://h/d?password=secret&sslmode=disable', 'secret' ],
        [ 'postgres://u@h/d?a=b&password=secret', 'secret' ],
        )
    {
        unlink "$dir/argv";
        local $ENV{PATH} = "$dir:$ENV{PATH}";
        ctl($case->[0], 'purge');
        is slurp("$dir/password"), $case->[1], "$case->[0]: by the environment";
        unlike slurp("$dir/argv"), qr/se[ %]?.*cr|password|it\\?'/, 'and not by an argument';
    }
    like done_by_ctl($admin, 'status'), qr/0001_baseline/, 'a password of the real kind works';
    my ($status) = ctl("postgresql://await:@{[ $s->password('await') ]}\@127.0.0.1:$s->{pg_port}/await", 'status');
    is $status, 0, 'in a URL too';
    my $behind = 'user=await&password=' . $s->password('await') . '&connect_timeout=3';
    ($status) = ctl('', 'status', "postgresql://127.0.0.1:$s->{pg_port}/await?$behind");
    is $status, 0, 'or behind it';
};
finish();
