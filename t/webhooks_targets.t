# Webhooks: whatever a target does, or wherever its name leads, its delivery has a clear outcome, the others go on, and
# no address is reached that must not be.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Database qw(refused);
use Await::Receiver;
use Await::Relay;
use Await::Test;
use Test::More;
use Time::HiRes qw(time);

my $receiver = Await::Receiver->start;
my ($http, $https) = @$receiver{qw(http https)};
my $s = start_stack(without => [qw(nginx redis)]);
my $built = $ENV{AWAIT_BUILD} // "$Await::Stack::ROOT/build";
system('make', '-s', '-C', $Await::Stack::ROOT, $ENV{AWAIT_BUILD} ? "B=$built" : (), "$built/resolver.so") == 0
    or die "there is no resolver\n";

my $HOSTS = "$s->{dir}/hosts";
# Where names lead, from now on.
sub lead {
    my (%names) = @_;
    return Await::Stack::write_file($HOSTS, join('', map { "$_ $names{$_}\n" } sort keys %names), 0644);
}
# Relays that resolve names by that file. AddressSanitizer would have to be first.
sub relay {
    my ($name, @arguments) = @_;
    local @ENV{qw(LD_PRELOAD AWAIT_HOSTS)} = ($ENV{AWAIT_ASAN} ? '' : "$built/resolver.so", $HOSTS);
    return Await::Relay->start($name, @arguments);
}
# Submits a job with this URL.
sub hooked { my ($url) = @_; return submit('q', qq({"webhook": "$url", "webhook_on": "pending"})) }
# What became of jobs: job => [state, error, attempts].
sub became {
    my (@jobs) = @_;
    my $ids = join ',', map { "'$_'" } @jobs;
    my %is;
    for (
        split /\n/,
        sql(
            "SELECT d.job, coalesce(e.state, CASE WHEN a.n > 0 THEN 'retrying' ELSE 'waiting' END), a.n, a.error
            FROM await.delivery d LEFT JOIN await.delivery_end e ON e.delivery = d.id
            LEFT JOIN LATERAL (SELECT * FROM await.delivery_attempt a WHERE a.delivery = d.id
                               ORDER BY a.n DESC LIMIT 1) a ON true WHERE d.job IN ($ids)"
        ))
    {
        my ($job, $state, $n, $error) = split /\|/, $_, 4;
        $is{$job} = { state => $state, attempts => $n || 0, error => $error };
    }
    return \%is;
}
# Waits until each job has its state, and compares. Cases: [ name, URL, state, pattern of the error ].
sub outcomes {
    # with AddressSanitizer there is no resolver
    my @cases = grep { !$ENV{AWAIT_ASAN} || $_->[1] !~ m{//(?:other|stuck)[.]example} } @_;
    my %job = map { $_->[0] => hooked($_->[1]) } @cases;
    my $is = {};
    until_true(
        'each delivery has its outcome',
        sub {
            $is = became(values %job);
            !grep { ($is->{ $job{ $_->[0] } }{state} // '') ne $_->[2] } @cases;
        },
        15
    );
    for my $case (@cases) {
        my ($name, undef, $state, $why) = @$case;
        my $of = $is->{ $job{$name} };
        is $of->{state}, $state, "$name: $state";
        $why ? like $of->{error}, $why, "$name: it is listed why" : is $of->{error}, '', "$name: without an error";
    }
    return \%job;
}

# One whose certificate is good, but over; and one for another name.
my $made = "openssl req -x509 -newkey rsa:2048 -nodes -keyout $s->{dir}/old.key -out $s->{dir}/old.pem -days 2 -subj";
system("faketime 2020-01-01 $made /CN=localhost 2>/dev/null") == 0 or die "openssl cannot make a certificate\n";
my $old = Await::Receiver->start(certificate => "$s->{dir}/old.pem", key => "$s->{dir}/old.key");
my $trusted = "$s->{dir}/trusted.pem";
Await::Stack::write_file($trusted, join('', map { slurp($_) } $receiver->certificate, $old->certificate), 0644);

my $plain = "http://127.0.0.1:$http";
my $sink = 'webhooks,allow-http=on,first-delay=300ms,timeout=1s,at-once=64,allow-network=127.0.0.1';
lead(
    'other.example' => '127.0.0.1',
    'stuck.example' => '127.0.0.1',
    'private.example' => '10.0.0.1',
    'metadata.example' => '169.254.169.254',
    'v6.example' => 'fd00::1 fe80::1 ::1',
    'mapped.example' => '::ffff:127.0.0.2',
    'both.example' => '127.0.0.2 127.0.0.1',
    'closed.example' => '127.0.0.1 127.0.0.2',
    'stranger.example' => '127.0.0.2',
    'nowhere.example' => ''
);
my $relay = relay('relay', '--sink', "$sink,ca-file=$trusted");
$relay->leads;

subtest 'what a target may answer' => sub {
    my $job = outcomes(
        [ '200', "$plain/ok/one", 'delivered' ],
        [ '204', "$plain/none", 'delivered' ],
        [ '100 headers', "$plain/headers", 'delivered' ],
        [ 'trailers', "$plain/trailers", 'delivered' ],
        [ 'a status line among the trailers', "$plain/trailers/status", 'retrying', qr/^cut: / ],
        [ 'interim answers', "$plain/early", 'delivered' ],
        [ 'an endless body', "$plain/endless", 'delivered' ],
        [ 'a body of 1 GB', "$plain/gigabyte", 'delivered' ],
        [ '500 twice', "$plain/fail", 'delivered' ],
        # other hosts, as they get nothing for a while
        [ 'half of a 503 with Retry-After', "http://stuck.example:$http/stuck", 'delivered' ],
        [ '429 with Retry-After in seconds', "http://localhost:$http/busy", 'delivered' ],
        [ '503 with Retry-After as a date', "http://other.example:$http/soon", 'delivered' ],
        [ '410', "$plain/gone", 'dead', qr/^the response has the status 410$/ ],
        [ '304', "$plain/unmodified", 'retrying', qr/^the response has the status 304; redirects/ ],
        [ 'a redirect to 127.0.0.1', "$plain/redirect", 'retrying', qr/^the response has the status 302; redirects/ ],
        [ 'nothing', "$plain/hang", 'retrying', qr/^timeout: / ],
        [ 'a byte each 100 ms', "$plain/drip", 'retrying', qr/^timeout: / ],
        [ 'half a body', "$plain/half", 'retrying', qr/^cut: / ],
        [ 'half a head', "$plain/halfhead", 'retrying', qr/^garbage: there is no final status$/ ],
        [ 'the end of the connection', "$plain/nothing", 'retrying', qr/^cut: / ],
        [ 'a reset', "$plain/silence", 'retrying', qr/^cut: / ],
        [ 'no HTTP', "$plain/garbage", 'retrying', qr/^garbage: / ],
        [ 'a status that is none', "$plain/status", 'retrying', qr/^garbage: / ],
        [ 'another protocol', "$plain/switch", 'retrying', qr/^garbage: / ],
        [ 'broken chunks', "$plain/chunks", 'retrying', qr/^(?:cut|garbage): / ],
        [ 'endless headers', "$plain/head", 'retrying', qr/^too_large: / ],
        [ '20,000 headers', "$plain/many", 'retrying', qr/^too_large: / ],
        [ 'a header of 1 MB', "$plain/line", 'retrying', qr/^too_large: / ],
        [ 'a flood of interim answers', "$plain/flood", 'retrying', qr/^too_large: / ],
        [ 'a body without a head', "$plain/old", 'retrying', qr/^garbage: / ],
        [ 'a coding that was not asked for', "$plain/coded", 'retrying', qr/^garbage: / ],
        [ 'two lengths', "$plain/lengths", 'retrying', qr/^garbage: / ],
        (map { [ "a connection that is kept, but closed: $_", "$plain/stale/$_", 'delivered' ] } 1 .. 8),
        [ 'a refused connection', 'http://127.0.0.1:1/', 'retrying', qr/^connect: / ],
        [ 'TLS, trusted', "https://localhost:$https/ok/tls", 'delivered' ],
        [ 'a certificate of another name', "https://other.example:$https/ok", 'retrying', qr/^tls: / ],
        [ 'a certificate that is over', "https://localhost:$old->{https}/ok", 'retrying', qr/^tls: / ],
        [ 'no TLS', "https://localhost:$http/ok", 'retrying', qr/^tls: / ],
        [ 'TLS where none is asked for', "http://localhost:$https/ok", 'retrying', qr/^(?:cut|garbage): / ],
        [ 'a name without an address', 'http://no-such-name.invalid/', 'retrying', qr/^resolve: / ]);
    my @fail = $receiver->received('fail');
    is scalar(@fail), 3, 'what failed is sent until it is accepted';
    is scalar(keys %{ { map { $_->{headers}{'webhook-id'} => 1 } @fail } }), 1, 'with the same id';
    # three times first-delay, less a fifth
    cmp_ok $fail[2]{at} - $fail[1]{at}, '>=', 3 * 0.8 * 300, 'at growing intervals';
    for my $path ('busy', $ENV{AWAIT_ASAN} ? () : qw(soon stuck)) {
        my @got = $receiver->received($path);
        cmp_ok $got[1]{at} - $got[0]{at}, '>=', $path eq 'soon' ? 1400 : 1900, "$path: Retry-After is heeded";
    }
    is scalar($receiver->received('redirected')), 0, 'no redirect is followed';
    cmp_ok memory_kb($s->pid('relay'), 'VmHWM'), '<', $ENV{AWAIT_ASAN} ? 400_000 : 60_000, 'nothing of that is kept';
};

SKIP: {
    skip 'the resolver and AddressSanitizer both want to be first', 1 if $ENV{AWAIT_ASAN};
    subtest 'addresses that must not be reached' => sub {
        my @forbidden =
            map { [ $_, "http://$_:$http/x", 'retrying', /[.]$/ ? qr/^(?:forbidden|resolve): / : qr/^forbidden: / ] }
            qw(
            127.0.0.2 127.2 0177.0.0.2 0x7f000002 0x7f.0.0.2 2130706434 017700000002 127.0.0.2.
            0.0.0.0 0 10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 169.254.169.254 168.63.129.16 2852039166 198.18.0.1
            192.0.0.192 224.0.0.1 255.255.255.255 240.0.0.1
            [::1] [::] [::127.0.0.2] [::ffff:127.0.0.2] [::ffff:7f00:2] [::ffff:169.254.169.254] [64:ff9b::127.0.0.2]
            [64:ff9b::a9fe:a9fe] [64:ff9b:1::1] [2002:7f00:2::] [2002:a9fe:a9fe::1] [2001:0:4136:e378::] [fe80::1]
            [fc00::1] [fd00:ec2::254] [fec0::1] [ff02::1] [4000::1]
            private.example metadata.example v6.example mapped.example stranger.example PRIVATE.example
            );
        outcomes(
            @forbidden,
            [ 'a name without addresses', 'http://nowhere.example/', 'retrying', qr/^resolve: / ],
            [ 'a good address behind a bad one', "http://both.example:$http/ok/both", 'delivered' ],
            [ 'a bad address behind one that refuses', 'http://closed.example:1/', 'retrying', qr/^forbidden: / ]);
        is(($receiver->received('ok/both'))[0]{to}, '127.0.0.1', 'of two addresses, the good one is used');
        is scalar($receiver->strangers), 0, 'nobody has connected to the bad one';
        # what no URL may have is refused before anything is stored
        for my $url (
            'http://u@127.0.0.2/', 'http://127.0.0.1@127.0.0.2/',
            'http://127.0.0.2#@127.0.0.1/', 'http://127.0.0.1\\@127.0.0.2/',
            'http://[fe80::1%25lo]/', 'http://127.0.0.1:99999/',
            'http://127.0.0.1:80:80/', 'http://%31%32%37.0.0.2/',
            "http://\xef\xbc\x9127.0.0.2/"
            )
        {
            refused(
                "a URL such as $url", qq(SELECT await.submit('q', 'x',
                options => jsonb_build_object('webhook', \$url\$$url\$url\$))), qr/URL/
            );
        }
    };

    # A name that leads to a good address first, and to a bad one then (DNS rebinding).
    subtest 'a name that leads elsewhere the second time' => sub {
        $relay->stop;
        sql('DELETE FROM await.delivery_due');
        lead('moves.example' => '127.0.0.1');
        my $job = hooked("http://moves.example:$http/fail/moves");
        my $once = relay('once', '--once', '--sink', $sink);
        is $once->status, 0, 'the first look-up';
        is became($job)->{$job}{error}, 'the response has the status 500', 'leads to a target that wants it again';
        lead('moves.example' => '127.0.0.2');
        my $next = relay('next', '--sink', $sink);
        until_true('it is tried again', sub { became($job)->{$job}{error} =~ /^forbidden/ });
        is became($job)->{$job}{error}, 'forbidden: 127.0.0.2 is a loopback address', 'the second one to a bad address';
        is scalar($receiver->strangers), 0, 'which is not connected to';
        lead('moves.example' => '127.0.0.1');
        is $next->stop, 0, 'SIGTERM ends the relay';
        sql('UPDATE await.delivery_due SET due = clock_timestamp()');
        is(relay('last', '--once', '--sink', $sink)->status, 0, 'back at the good one');
        is scalar($receiver->received('fail/moves')), 2, 'it is sent again; --once does not wait for the next attempt';
    };
}

$_->stop for $receiver, $old;
finish();
