# A Redis that lies costs its connection and nothing else: "*1000000000" alone made hiredis allocate eight gigabytes in
# the nginx worker, seconds for everybody, again with every reconnect.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use IO::Select;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time);

# What each says as soon as somebody connects; a list is said a byte at a time, a code ref again and again.
my %lies = (
    'a long array' => "*1000000000\r\n",
    'a longer one' => "*999999999999999999\r\n",
    'an array of seventeen' => "*17\r\n" . ":1\r\n" x 16,
    'a long string' => "\$1000000000\r\n",
    'a long string in a message' => "*3\r\n\$7\r\nmessage\r\n\$7\r\nawait:1\r\n\$2000000\r\n" . 'x' x 100_000,
    'arrays in arrays' => "*1\r\n" x 100_000,
    'a status without an end' => '+' . 'x' x 3_000_000,
    'an error without an end' => '-' . 'x' x 3_000_000,
    'a number without an end' => ':' . '1' x 3_000_000,
    'a count without an end' => '*' . '0' x 3_000_000,
    'a negative length' => "\$-7\r\n",
    'maps of RESP3' => "%1000000000\r\n",
    'sets and pushes' => "~1000000000\r\n>1000000000\r\n",
    'large strings in one array' => "*16\r\n" . ("\$200000\r\n" . 'x' x 200_000 . "\r\n") x 16,
    'a web server' => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    'zeros' => "\0" x 100_000,
    'a good word, then a lie' => "+OK\r\n+PONG\r\n*1000000000\r\n",
    'no status for AUTH' => ":1\r\n",
    'an array for AUTH' => "*3\r\n\$7\r\nmessage\r\n\$7\r\nawait:1\r\n\$1\r\nx\r\n",
    'no to AUTH' => "-WRONGPASS invalid username-password pair\r\n",
    'a lie byte by byte' => [ split //, "*1000000000\r\n" ],
);
my $flood = join '',
    map { "*3\r\n\$7\r\nmessage\r\n\$7\r\nawait:$_\r\n\$" . length("1 nonsense $_") . "\r\n1 nonsense $_\r\n" }
    1 .. 500;
my %floods = (
    'a flood of messages' => $flood,
    'a flood of numbers' => ":1\r\n" x 5000,
    'a flood of nothing' => "*0\r\n\$-1\r\n" x 2500
);
my @names = (sort(keys %lies), sort keys %floods);

my (%listener, %port);
for my $name (@names) {
    $listener{$name} = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 64, Blocking => 0)
        or die "listen: $!";
    $port{$name} = $listener{$name}->sockport;
}

# Says "opened" and "closed" with the name, for each connection.
sub lie {
    my ($report) = @_;
    $report->autoflush(1);
    my ($read, $write) = (IO::Select->new(values %listener), IO::Select->new);
    my %name_of = map { $listener{$_} => $_ } keys %listener;
    my %said;
    while (1) {
        my ($can_read, $can_write) = IO::Select->select($read, $write, undef, 5);
        for my $socket (@{ $can_read // [] }) {
            if (my $name = $listener{ $name_of{$socket} } == $socket ? $name_of{$socket} : undef) {
                my $client = $socket->accept or next;
                $client->blocking(0);
                $client->setsockopt(Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1);
                $name_of{$client} = $name;
                $said{$client} = {
                    name => $name,
                    rest => ref $lies{$name}
                    ? join('', @{ $lies{$name} })
                    : $lies{$name} // "+PONG\r\n$floods{$name}" };
                $_->add($client) for $read, $write;
                print $report time, " opened $name\n";
            } else {
                my $n = sysread $socket, my $ignored, 65536;
                next if $n || (!defined $n && $!{EAGAIN});
                print $report time, " closed $name_of{$socket}\n";
                $_->remove($socket) for $read, $write;
                delete $said{$socket};
                close $socket;
            }
        }
        for my $socket (@{ $can_write // [] }) {
            my $own = $said{$socket} or next;
            my $n = syswrite $socket, $own->{rest}, ref $lies{ $own->{name} } ? 1 : length $own->{rest};
            substr $own->{rest}, 0, $n // 0, '';
            next if length $own->{rest};
            if ($floods{ $own->{name} }) { $own->{rest} = $floods{ $own->{name} } }
            else { $write->remove($socket) }
        }
    }
}

pipe my $from_liar, my $to_test or die $!;
my $liar = fork // die $!;
if (!$liar) {
    close $from_liar;
    alarm 1200;
    eval { lie($to_test); 1 } or print STDERR "the liar: $@";
    require POSIX;
    POSIX::_exit(0);
}
close $to_test;
$_->close for values %listener;
sub end_liar {
    my $pid = $liar;
    undef $liar;
    return unless $pid;
    kill KILL => $pid;
    waitpid $pid, 0;
}
END { my $status = $?; end_liar(); $? = $status }

my (%opened, %closed);
my $rest = '';
sub hear {
    while (IO::Select->new($from_liar)->can_read(0)) {
        sysread($from_liar, $rest, 65536, length $rest) or die 'the liar has gone';
        while ($rest =~ s/^(\S+) (opened|closed) (.*)\n//) {
            push @{ ($2 eq 'opened' ? \%opened : \%closed)->{$3} }, $1;
        }
    }
    return 1;
}

my $s = start_stack(without => ['nginx']);
my $redis = join ' ', $s->redis, map { 'redis://' . (/AUTH/ ? 'u:p@' : '') . "127.0.0.1:$port{$_}" } @names;
$s->start_nginx(
    "await_redis $redis;\n" . $Await::Test::SITE,
    vars =>
        { EXTRA => 'location = /metrics { await_metrics; } location = /quick { return 200 quick; }', REREAD => '1h' });
my $pid;
eventually('an nginx worker runs', sub { ($pid) = worker_pids() });
sub served {
    my ($name, $times) = @_;
    return hear() && @{ ($floods{$name} ? \%opened : \%closed)->{$name} // [] } >= $times;
}
sub missing { return grep { !served($_, $floods{$_} ? 1 : 2) } @names }

my $slowest = 0;
my $all = until_true('every lie told, and its connection lost', sub {
    my $begin = time;
    return 0 unless get('/quick')->{body} eq 'quick';
    $slowest = time - $begin if time - $begin > $slowest;
    return !missing();
}, 120);
ok $all, 'every lie costs its connection' or diag 'not lost: ', join ', ', missing();
cmp_ok $slowest, '<', 10, 'nobody waited for it';
is_deeply [ worker_pids() ], [$pid], 'the nginx worker is the same';
cmp_ok memory_kb($pid, 'VmPeak'), '<', 1_000_000, 'it never asked for much memory' unless $ENV{AWAIT_ASAN};
cmp_ok memory_kb($pid, 'VmHWM'), '<', 200_000, 'nor had it much' unless $ENV{AWAIT_ASAN};

subtest 'work goes on by the Redis that is well' => sub {
    my $id = one_job();
    my $held = begin_request('GET', "/jobs/$id?wait=50");
    eventually('the poll is parked', sub { metric('await_parked') > 0 });
    claim($id);
    complete($id, 'made', hint => 1);
    is json($held->response)->{state}, 'completed', 'the poll is answered';
};

subtest 'it is asked less and less often' => sub {
    # two connections each time; a good word at first changes nothing
    for my $name ('a long array', 'a good word, then a lie') {
        eventually("$name: twelve connections were opened", sub { hear() && @{ $opened{$name} } >= 12 });
        my @times = @{ $opened{$name} };
        my ($longest) = sort { $b <=> $a } map { $times[$_] - $times[ $_ - 1 ] } 1 .. 11;
        cmp_ok $longest, '>=', 0.35, $name;
    }
};

end_liar();
finish();
