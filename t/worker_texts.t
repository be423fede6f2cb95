# await-worker and what a command writes: texts are repaired, numbers keep their spelling, and all events are stored
# before the job ends, through floods, restarts and locks. Bugs: a NUL in stderr left the job processing until its lease
# ran out; a tail cut inside a character lost every accent; 0.1 was told as 0.10000000000000001; events were lost while
# PostgreSQL restarted or was locked, and after 30 s of a flood; a payload that met a restart cost the attempt.

use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Session;
use Await::Test;
use Encode qw(decode_utf8);
use JSON::PP;
use Test::More;
use Time::HiRes qw(time);

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output todo_output);
my $s = start_stack(without => ['nginx']);
my $json = JSON::PP->new->allow_nonref;

# Jobs are shell scripts.
$s->start_worker('run', '--queue', 'run', '--concurrency', 4, '--grace', '1s', '--', 'sh');
sub run {
    my ($script, $options, $queue) = @_;
    my $hex = unpack 'H*', $script;
    return sql("SELECT await.submit('"
            . ($queue // 'run')
            . "', decode('$hex', 'hex'), 'text/plain', '"
            . ($options // '{"max_attempts": 1}')
            . "')");
}
sub state_of { return sql("SELECT state FROM await.event WHERE job = '$_[0]' AND ending") }
sub ended {
    my ($id, $name, $state) = @_;
    eventually($name, sub { state_of($id) eq $state }, 30);
}
sub log_of { return slurp("$s->{dir}/logs/$_[0].log") }
sub error_of {
    my $text = sql("SELECT coalesce(data -> 'error', data) FROM await.event WHERE job = '$_[0]' AND ending");
    return $json->decode(decode_utf8($text));
}
sub events_of {
    my ($id, $types) = @_;
    return map { decode_utf8($_) } split /\n/, sql(
        "SELECT concat_ws(' ', type, data, CASE WHEN event_id NOT LIKE 'await-worker %' THEN event_id END)
        FROM await.event WHERE job = '$id' AND type NOT IN ('processing', 'completed') ORDER BY seq"
    );
}

subtest 'stderr' => sub {
    my $bad = "\x{fffd}";
    my @cases = (
        [ 'a NUL', q{printf 'boom \0 x' >&2}, "boom $bad x" ],
        [ 'no UTF-8', q{printf 'a\377b\303' >&2}, "a${bad}b$bad" ],
        [ 'a surrogate', q{printf '\355\240\200.' >&2}, "$bad$bad$bad." ],
        [ 'UTF-8', q{printf 'gr\303\274n \360\237\246\266' >&2}, "grün \x{1f9b6}" ],
        [ 'a character cut off', q{perl -e 'print STDERR "\xc3\xa9" x 3000, "x"'}, ('é' x 1023) . 'x' ],
        [ 'a character not cut', q{perl -e 'print STDERR "\xc3\xa9" x 3000, "xy"'}, ('é' x 1023) . 'xy' ],
        [ 'four bytes cut off', q{perl -e 'print STDERR "\xf0\x9f\xa6\xb6" x 600, 0'}, ("\x{1f9b6}" x 511) . 0 ],
        [ 'control characters', q{printf '\033[1mbold\001\177"\\\\' >&2}, "\e[1mbold\x01\x7f\"\\" ],
        [ 'NULs only', q{perl -e 'print STDERR "\0" x 5000'}, $bad x 2048 ],
        [ 'nothing', q{:}, 'The command wrote nothing to stderr.' ],
    );
    $_->[3] = run("$_->[1]; exit 65", '{}') for @cases;
    for (@cases) {
        my ($what, undef, $detail, $id) = @$_;
        ended($id, "$what: the job has failed", 'failed');
        is error_of($id)->{detail}, $detail, "$what: the detail is repaired";
        is sql("SELECT count(*) FROM await.event WHERE job = '$id' AND type = 'processing'"), 1,
            "$what: exit 65 is not retried";
    }
};

subtest 'descriptor 3' => sub {
    my $bad = "\x{fffd}";
    my $long = '9' x 20;
    my @cases = (
        # the line, and what is stored: type, data, id
        [ '{"done":0.1}', 'progress {"done": 0.1}' ],
        [ '{"type":"a","data":0.10,"id":"1"}', 'a 0.10 1' ],
        [ qq({"done":$long,"of":-0.50}), qq(progress {"of": -0.50, "done": $long}) ],
        [ '{"type":"b","data":1E3,"id":7}', 'b 1000 7' ],
        [ '{"done":1e300}', 'progress {"done": 1' . '0' x 300 . '}' ],
        [ '{"type":"c","data":"a\u0000\ud800"}', qq(c "a$bad$bad") ],
        [ "{\"note\":\"a\0b\xff\"}", qq(progress {"note": "a${bad}b$bad"}) ],
        [ "{\"type\":\"d\",\"data\":\"\t\e[1m\"}", 'd "\t\u001b[1m"' ],
        ['{"done":1e400}'],
        ['{"type":"d","data":1e200000}'],
        ['{"type":"Not a type"}'],
        ['{"type":"completed"}'],
        [ '{"type":"e","data":"' . 'x' x 50_000 . '"}' ],
        [ 'x' x 400_000 ],
        ['no json'],
        [ "{\"type\":\"e\",\"id\":\"\xff\"}", "e $bad" ],
        [ '{"type":"repeated","id":"r"}', 'repeated r' ],
        ['{"type":"repeated","id":"r"}'],
        [ '{"done":"without a line feed"}', 'progress {"done": "without a line feed"}' ],
    );
    Await::Stack::write_file("$s->{dir}/lines", join "\n", map { $_->[0] } @cases);
    chmod 0644, "$s->{dir}/lines";
    my $id = run("cat $s->{dir}/lines >&3; echo ended");
    ended($id, 'the job completes, whatever the lines are', 'completed');
    my @seen = events_of($id);
    for (grep { defined $_->[1] } @cases) {
        is shift(@seen), $_->[1], "stored: $_->[1]" =~ s/0{9,}/0…0/r;
    }
    is_deeply \@seen, [], 'and nothing else';
    my $log = log_of('run');
    like $log, qr/ignored 1 events or progress that PostgreSQL refused, the last one: .*22023/, 'a refusal is told';
    like $log, qr/ignored 1 lines on descriptor 3 that are not JSON objects, the last one: a line of more/,
        'and so is a line that is none';
    like $log, qr/ignored 4 events or progress/, 'the others by their number';
};

subtest 'a flood of junk, of progress and of events' => sub {
    my $id = run(q(yes junk | head -n 30000 >&3));
    ended($id, 'junk does no harm', 'completed');
    my @lines = grep { /$id.*ignored/ } split /\n/, log_of('run');
    cmp_ok scalar(@lines), '<=', 3, 'it does not flood the log';
    my $told = 0;
    $told += $_ for map { /ignored (\d+)/ } @lines;
    is $told, 30_000, 'each line is counted';

    $id = run(q(seq 100000 | sed 's/.*/{"done":&}/' >&3; for i in $(seq 10); do echo "{\"type\":\"own\"}" >&3; done));
    ended($id, 'after 100,000 progress lines the job completes', 'completed');
    is sql("SELECT count(*) FROM await.event WHERE job = '$id' AND type = 'own'"), 10, 'with the events behind';
    is sql("SELECT data ->> 'done' FROM await.event WHERE job = '$id' AND type = 'progress' ORDER BY seq DESC LIMIT 1"),
        100_000, 'and with the last progress';

    $id = run(q(seq 4000 | sed 's/.*/{"type":"line","data":&}/' >&3));
    eventually('the flood has begun', sub { sql("SELECT count(*) FROM await.event WHERE job = '$id'") > 1 });
    my $other = run('echo beside');
    ended($other, 'another job of the worker completes', 'completed');
    ended($id, 'and so does the one that floods', 'completed');
    is sql(
        "SELECT count(*), bool_and(n = data::text::int) FROM (SELECT data, row_number() OVER (ORDER BY seq) n
        FROM await.event WHERE job = '$id' AND type = 'line') e"
        ),
        '4000|t', 'all its events are stored, in order';
};

subtest 'PostgreSQL restarts while events are told' => sub {
    my $id = run(
        q(for i in $(seq 40); do echo "{\"type\":\"step\",\"id\":\"s$i\"}"; echo '{"type":"anon"}'; sleep .03; done >&3)
    );
    eventually('events come', sub { sql("SELECT count(*) FROM await.event WHERE job = '$id'") > 5 });
    $s->end('postgres', 'INT');
    $s->start_postgres;
    ended($id, 'the job completes', 'completed');
    is sql(
        "SELECT count(*) FILTER (WHERE type = 'step'), count(*) FILTER (WHERE type = 'anon'), max(attempt)
        FROM await.event WHERE job = '$id'"
        ),
        '40|40|1', 'with each event once, at the first attempt';
};

subtest 'a table is locked while events are told' => sub {
    my $locked = "$s->{dir}/locked";
    my $tell = q(for i in $(seq 15); do echo '{"type":"step"}'; done >&3);
    my $id =
        run("$tell; until [ -e $locked ]; do sleep 0.02; done; $tell", '{"lease": "6 seconds", "max_attempts": 1}');
    eventually('events come', sub { sql("SELECT count(*) FROM await.event WHERE job = '$id'") > 10 });
    my $lock = Await::Session->new($s->postgres);
    $lock->run('BEGIN; LOCK TABLE await.event IN SHARE MODE');
    Await::Stack::write_file($locked, '');
    my $until = sub { sql("SELECT until FROM await.lease WHERE job = '$id'") };
    my $first = $until->();
    eventually('a statement waits for the lock',
        sub { sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'await.event'::regclass") });
    eventually('heartbeats are not held up', sub { $until->() ne $first });
    is state_of($id), '', 'the job waits';
    $lock->run('COMMIT');
    ended($id, 'then it completes', 'completed');
    is sql("SELECT count(*) FROM await.event WHERE job = '$id' AND type = 'step'"), 30, 'with all events';
};

subtest 'PostgreSQL restarts while the payload is fed' => sub {
    my $go = "$s->{dir}/go";
    $s->start_worker('fed', '--queue', 'fed', '--', 'sh', '-c',
        "head -c 1000 > /dev/null; until [ -e $go ]; do sleep 0.02; done; cat | wc -c");
    my $id = run('x' x 3_000_000, undef, 'fed');
    eventually('it has begun', sub { sql("SELECT count(*) FROM await.lease WHERE job = '$id'") });
    $s->end('postgres', 'INT');
    Await::Stack::write_file($go, '');
    eventually('the worker has noticed', sub { log_of('fed') =~ /connect/ });
    $s->start_postgres;
    ended($id, 'the job completes', 'completed');
    is sql("SELECT convert_from(body, 'UTF8')::int, attempt FROM await.event WHERE job = '$id' AND ending"),
        '2999000|1', 'with all of its payload, at the first attempt';
};

subtest 'params' => sub {
    my $params = '{"a": "' . 'ü' x 30_000 . '"}';
    my $options = Encode::encode_utf8($json->encode({ max_attempts => 1, params => $json->decode($params) }));
    my $script = 'wc -c < "$AWAIT_PARAMS_FILE"; printf %s "$AWAIT_PARAMS" | cmp - "$AWAIT_PARAMS_FILE" && echo same';
    for ([ 'none' => '{"max_attempts": 1}', 2 ], [ 'of 60 KB' => $options, 60_009 ]) {
        my ($what, $given, $size) = @$_;
        my $id = run($script, $given);
        ended($id, "$what: the job completes", 'completed');
        is sql("SELECT convert_from(body, 'UTF8') FROM await.event WHERE job = '$id' AND ending"), "$size\nsame\n",
            "$what: in the environment and in a file";
    }
    # the least room that a system gives is 128 KB, a quarter of this stack; `wc` of newer systems needs 256 KB of stack
    $s->spawn(
        'tight',
        [ 'sh', '-c', 'ulimit -s 512; exec "$@"', 'sh', $s->{worker}, '--queue', 'tight', '--', 'sh' ],
        env => { AWAIT_POSTGRES => $s->postgres('worker'), FILLER => 'x' x 80_000 });
    my $id = run('wc -c < "$AWAIT_PARAMS_FILE"; echo "${AWAIT_PARAMS-unset}"', $options, 'tight');
    ended($id, 'an environment that has no room for them: the job completes', 'completed');
    is sql("SELECT convert_from(body, 'UTF8') FROM await.event WHERE job = '$id' AND ending"), "60009\nunset\n",
        'they are in the file only';
};

subtest 'an outcome that PostgreSQL refuses' => sub {
    sql(
        "ALTER TABLE await.event ADD CONSTRAINT picky CHECK (data::text NOT LIKE '%secret%'
        AND coalesce(position('secret'::bytea in body), 0) = 0) NOT VALID"
    );
    for (
        [ 'a result' => 'echo secret', 'The result was refused' ],
        [ 'an error' => 'echo secret >&2; exit 65', 'The command failed' ])
    {
        my ($what, $script, $title) = @$_;
        my $id = run($script, '{"max_attempts": 1}');
        ended($id, "$what: the job fails", 'failed');
        is error_of($id)->{title}, $title, "$what: and says so";
        like log_of('run'), qr/$id.*its outcome was refused, .*picky/, "$what: the log has the reason";
    }
};

subtest 'arguments that cannot work' => sub {
    my @cases = (
        [ [ '--content-type', 'no type' ], qr/"no type" is not a content type/ ],
        [ [ '--file-name', 'a/b' ], qr{"a/b" is not a file name} ],
        [ [ '--lease', "1\e[31m" ], qr/"1 \[31m" is not a time such as/ ],
        [ [ '--redis', 'redis://:secret@no.such.host.invalid:1' ], qr/host not found: "no.such.host.invalid"/ ],
    );
    for (@cases) {
        my ($arguments, $message) = @$_;
        my $pid = open my $said, '-|' // die "fork: $!";
        if (!$pid) {
            open STDERR, '>&', \*STDOUT;
            exec $s->{worker}, '--postgres', 'host=x', '--queue', 'q', @$arguments, '--', 'true';
        }
        my $text = do { local $/; <$said> };
        close $said;
        is $? >> 8, 64, "@$arguments: refused";
        like $text, qr/\Aawait-worker: /, "@$arguments: with the name of the program" =~ s/:secret//r;
        like $text, $message, "@$arguments: says why" =~ s/:secret//r;
        unlike $text, qr/secret/, "@$arguments: without the password" =~ s/:secret//r;
    }
};

subtest 'the name of a Redis server' => sub {
    my $url = "redis://localhost:$s->{redis_port}";
    $s->spawn(
        'named',
        [ $s->{worker}, '--redis', $url, '--queue', 'named', '--', 'cat' ],
        env => { AWAIT_POSTGRES => $s->postgres('worker'), REDISCLI_AUTH => $s->{password} });
    my $heard = sub { $s->redis_command('PUBLISH', 'await:queue:named', '1') =~ /^:1/ };
    eventually('it is resolved', $heard);
    $s->end('redis', 'TERM');
    $s->start_redis;
    eventually('and again after a restart', $heard);
};
finish();
