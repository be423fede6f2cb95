# One user's forged cursor failed everybody's reads of user: channels: all of a moment are one statement, PostgreSQL
# refused it for that one value, and others got its error or, on open streams, nothing at all.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(decode_base64url encode_base64url);
use Test::More;
use Time::HiRes qw(time);

my $s = start_stack(workers => 1, extra => <<'CONF');
    await_owner $arg_u;
    location = /mine { await_submit work; await_events user:$arg_u; await_socket user:$arg_u; }
    location = /page { await_events user:$arg_u default=json; }
CONF

# Seven bits a byte, the lowest first.
sub numbers {
    return join '', map {
        my ($n, $out) = ($_, '');
        while ($n >= 128) { $out .= chr($n & 127 | 128); $n >>= 7 }
        $out . chr $n
    } @_;
}

my $own = json(get('/page?u=eve'))->{cursor};
my $raw = decode_base64url($own);
my $head = substr $raw, 0, 13;
my $now = time;
my $signature = length $raw > 30 ? substr $raw, -8 : '';
my %forged = (
    'xmax without a lower half' => $head . numbers($now, 3, 2**33 - 3, 0),
    'xmin without a lower half' => $head . numbers($now, 2**33, 5, 0),
    'an older layout' => chr(2) . substr($head, 1) . numbers($now, 3, 2**33 - 3, 0),
    'a newer layout' => chr(3) . substr($head, 1) . numbers($now, 3, 2**33 - 3, 0),
    'a bad moment read up to' => $head . numbers($now, 3, 7, 0, 5, $now, 3, 2**33 - 3, 0),
    'since ever' => $head . numbers($now, 3, 0, 0),
    'with somebody\'s signature' => $head . numbers($now, 3, 2**33 - 3, 0) . $signature,
);
$_ = encode_base64url($_) for values %forged;
$forged{'one letter of one\'s own'} =
    $own =~ s/(.)(?=...$)/$1 eq 'A' ? 'B' : 'A'/er;    # not the last: of that not all bits count
$forged{'cut off'} = substr $own, 0, -3;

subtest 'whoever comes with it is told, and nobody is refused' => sub {
    for my $kind (sort keys %forged) {
        my $r = get("/page?u=eve&cursor=$forged{$kind}");
        is $r->{status}, 200, $kind;
        is json($r)->{reset}, JSON::PP::true, '… and its reader is told to begin anew';
    }
    my $mine = get("/page?u=eve&cursor=$own");
    is json($mine)->{reset}, undef, 'one\'s own is none of them';
};

# Asks again and again on one connection until it is told to end; its pid.
sub attacker {
    my ($cursor) = @_;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        $SIG{TERM} = sub { require POSIX; POSIX::_exit(0) };
        my $socket;
        while (1) {
            $socket //= IO::Socket::INET->new(PeerAddr => "127.0.0.1:$s->{port}") or next;
            print $socket "GET /page?u=eve&cursor=$cursor HTTP/1.1\r\nHost: x\r\n\r\n";
            my $got = '';
            until ($got =~ /\r\n\r\n.*\}\s*$/s) {
                sysread $socket, $got, 65536, length $got or do { undef $socket; last }
            }
        }
    }
    return $pid;
}

subtest 'meanwhile others poll, stream and hold sockets' => sub {
    my $stream = begin_request('GET', '/mine?u=ann', headers => { Accept => 'text/event-stream' });
    $stream->wait_event('ready') or die 'no primer';
    my $ws = Await::WebSocket->new($s->{port}, '/mine?u=ann');
    is $ws->message->{op}, 'subscribed', 'the socket is subscribed';
    my $cursor = json(get('/page?u=bob'))->{cursor};
    my @attackers = map { attacker($_) } (sort values %forged)[ 0 .. 7 ];
    my (%statuses, $resets);
    my $late = 0;
    for my $round (1 .. 60) {
        my $r = get("/page?u=bob&cursor=$cursor");
        $statuses{ $r->{status} }++;
        $resets++ if json($r)->{reset};
        $cursor = json($r)->{cursor} // $cursor;
        next if $round % 12;
        my $began = time;
        my $id = one_job('/mine?u=ann');
        ok $stream->read_until(
            sub {
                grep { $_->{data} =~ /$id/ } @{ $stream->events };
            }
            ),
            'a live event on a stream';
        is $ws->message->{job}, $id, 'and on a socket';
        $late = time - $began if time - $began > $late;
        my $fresh = begin_request('GET', '/mine?u=cat', headers => { Accept => 'text/event-stream' });
        ok $fresh->wait_event('ready'), 'a new stream opens';
        $fresh->close;
    }
    kill 'TERM', @attackers;
    waitpid $_, 0 for @attackers;
    is_deeply \%statuses, { 200 => 60 }, 'who polls is answered';
    is $resets, undef, 'from where it was';
    cmp_ok $late, '<', 15, "events come at once: $late s at most";
};

subtest 'a value that PostgreSQL refuses all the same is its sender\'s alone' => sub {
    # as if the database were stricter than we know: it refuses what eve asks
    sql(<<'SQL');
ALTER FUNCTION await.edge_user_events(int8[], text[], text[], int8[], text[], int8[], int8[], int, int)
    RENAME TO checked_user_events;
CREATE FUNCTION await.edge_user_events(p_items int8[], p_owners text[], p_since text[], p_at int8[], p_upto text[],
    p_upto_at int8[], p_eids int8[], p_limit int, p_value_max int)
RETURNS TABLE (item int8, owner text, upto text, upto_at int8, complete boolean, lost boolean, id uuid,
    correlation_id text, eid int8, seq int4, type text, at timestamptz, data text, status int2, content_type text,
    file_name text, size bigint, body bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    IF 'eve' = ANY (p_owners) THEN RAISE 'a value is bad' USING ERRCODE = '22P02'; END IF;
    RETURN QUERY SELECT * FROM await.checked_user_events(p_items, p_owners, p_since, p_at, p_upto, p_upto_at, p_eids,
        p_limit, p_value_max);
END $$;
GRANT EXECUTE ON FUNCTION await.edge_user_events(int8[], text[], text[], int8[], text[], int8[], int8[], int, int)
    TO PUBLIC;
SQL
    my %got;
    for (1 .. 20) {
        my @held = map { [ $_, begin_request('GET', "/page?u=$_") ] } qw(ann eve bob eve cat dan eve);
        $got{ $_->[0] }{ $_->[1]->response->{status} }++ for @held;
    }
    is_deeply $got{$_}, { 200 => 20 }, $_ for qw(ann bob cat dan);
    is_deeply $got{eve}, { 400 => 60 }, 'eve';
};

finish();
