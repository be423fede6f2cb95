package Await::Backend;

# An HTTP back end that answers well or badly, as its path says: for the tests of await-worker --http and await_proxy.
# It is a program of its own, one process a connection: perl -MAwait::Backend -e 'Await::Backend::serve(@ARGV)' PORT LOG

use strict;
use warnings;
use Exporter 'import';
use IO::Poll;
use IO::Socket::INET;

our @EXPORT_OK = qw(start_backend requests);

my $LIB = __FILE__ =~ s{/Await/Backend\.pm$}{}r;

# Starts it, on this port or a free one; the port.
sub start_backend {
    my ($name, $port) = @_;
    require Await::Test;
    my $s = Await::Test::stack();
    $port //= Await::Stack::free_port();
    $s->spawn($name,
        [ $^X, "-I$LIB", '-MAwait::Backend', '-e', 'Await::Backend::serve(@ARGV)', $port, "$s->{dir}/$name.requests" ]);
    $s->wait_for($name, 10, sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) });
    return $port;
}

# The lines of its log that match: "method target".
sub requests {
    my ($name, $pattern) = @_;
    return grep { /$pattern/ } split /\n/, Await::Test::slurp(Await::Test::stack()->{dir} . "/$name.requests");
}

sub serve {
    my ($port, $log) = @_;
    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';
    my %answering;    # by whom connections are served: they end with this process
    local $SIG{TERM} = sub { kill 'KILL', keys %answering; exit 0 };
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 64, ReuseAddr => 1)
        or die "listen: $!";
    while (1) {
        my $socket = $listener->accept or next;
        my $pid = fork;
        if (defined $pid && $pid == 0) {
            local $SIG{TERM} = 'DEFAULT';
            close $listener;
            binmode $socket;
            eval { one($socket, $log); 1 } or print STDERR $@;
            exit 0;
        }
        close $socket;
        delete @answering{ grep { !kill 0, $_ } keys %answering };
        $answering{$pid} = 1 if $pid;
    }
}

sub one {
    my ($socket, $log) = @_;
    my $head = '';
    while ($head !~ /\r\n\r\n/) { sysread $socket, $head, 65536, length $head or return }
    ($head, my $body) = split /\r\n\r\n/, $head, 2;
    my ($line, @lines) = split /\r\n/, $head;
    my ($method, $target) = split / /, $line;
    my %headers = map { /^([^:]+): *(.*)$/ ? (lc $1, $2) : () } @lines;
    open my $out, '>>', $log or die "$log: $!";
    syswrite $out, "$method $target\n";
    close $out;
    my $request = { socket => $socket, method => $method, target => $target, headers => \%headers, body => $body };
    my ($name, $rest) = $target =~ m{/([a-z]+)(?:/([0-9]+))?(?:\?.*)?$};
    my $action = main_action($name // '');
    $action->($request, $rest);
    shutdown $socket, 1;
    1 while sysread $socket, my $junk, 65536;    # or what is left unread would reset the connection
}

sub main_action { my ($name) = @_; no strict 'refs'; return defined &{"on_$name"} ? \&{"on_$name"} : \&on_echo }

# The rest of the body: kept, or only counted.
sub read_body {
    my ($r, $keep) = @_;
    my $left = ($r->{headers}{'content-length'} // 0) - length $r->{body};
    my ($size, $last) = (length $r->{body}, $r->{body});
    while ($left > 0) {
        my $n = sysread $r->{socket}, my $bytes, 1 << 20 or last;
        $left -= $n;
        $size += $n;
        $r->{body} .= $bytes if $keep;
        $last = $bytes;
    }
    return ($size, substr $last, -4);
}

sub say_raw {
    my ($r, $bytes) = @_;
    my $at = 0;
    while ($at < length $bytes) { $at += syswrite($r->{socket}, $bytes, length($bytes) - $at, $at) // return }
    return 1;
}

sub answer {
    my ($r, $status, $body, @headers) = @_;
    return say_raw(
        $r,
        join("\r\n",
            "HTTP/1.1 $status Words",
            'Connection: close',
            @headers, 'Content-Length: ' . length $body,
            '', $body));
}

sub on_echo {
    my ($r) = @_;
    read_body($r, 1);
    my $text = join "\n", "$r->{method} $r->{target}", (map { "$_: $r->{headers}{$_}" } sort keys %{ $r->{headers} }),
        '', $r->{body};
    answer($r, 200, $text, 'Content-Type: text/plain;charset=utf-8');
}
sub on_status { my ($r, $status) = @_; read_body($r); answer($r, $status, "why $status", 'Content-Type: text/plain') }
sub on_bare { my ($r, $status) = @_; read_body($r); say_raw($r, "HTTP/1.1 $status Words\r\nConnection: close\r\n\r\n") }
sub on_large {    # an error with a page of 3 MB, of which it says the size
    my ($r, $status) = @_;
    read_body($r);
    answer($r, $status, 'x' x (3 << 20), 'Content-Type: text/html');
}
sub on_redirect {
    my ($r, $status) = @_;
    read_body($r);
    answer($r, $status, '', "Location: http://$r->{headers}{host}/echo/followed");
}
sub on_problem {
    my ($r, $status) = @_;
    read_body($r);
    answer(
        $r, $status,
        ' {"type": "https://x/low", "title": "Low", "balance": 1e2} ',
        'Content-Type: application/problem+json'
    );
}
sub on_poison { my ($r) = @_; read_body($r); answer($r, 422, '{"title": "\u0000"}', 'Content-Type: application/json') }
sub on_deep {
    my ($r) = @_;
    read_body($r);
    my $deep = '[' x 3000 . ']' x 3000;
    my $body = qq({"title": "Low", "errors": $deep, "detail": "Why.", "n": 1e9999, "balance": 7});
    answer($r, 422, $body, 'Content-Type: application/problem+json');
}
sub on_page { my ($r) = @_; read_body($r); answer($r, 404, '<html>' . 'x' x 100_000, 'Content-Type: text/html') }
sub on_named {
    my ($r) = @_;
    read_body($r);
    answer(
        $r, 201, 'bytes',
        'Content-Type: image/png',
        q{Content-Disposition: attachment; filename="x.png"; filename*=UTF-8''%C3%BC%20a.png}
    );
}
sub on_coded { my ($r) = @_; read_body($r); answer($r, 200, 'zzz', 'Content-Encoding: gzip') }
sub on_half { my ($r) = @_; read_body($r); say_raw($r, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf") }
sub on_halfhead { my ($r) = @_; read_body($r); say_raw($r, "HTTP/1.1 200 OK\r\nContent-Le") }
sub on_nothing { my ($r) = @_; read_body($r) }
sub on_garbage { my ($r) = @_; read_body($r); say_raw($r, "SSH-2.0-OpenSSH\r\n") }
sub on_trailers {
    my ($r) = @_;
    read_body($r);
    say_raw($r,
              "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
            . "Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
            . "3\r\nabc\r\n0\r\nContent-Type: text/evil\r\nX-T: 1\r\n\r\n"
    );
}
sub on_headers {
    my ($r, $n) = @_;
    read_body($r);
    answer($r, 200, 'ok', 'Content-Type: text/plain', map { "X-$_: " . 'v' x 50 } 1 .. $n);
}
sub on_hang { my ($r) = @_; read_body($r); sysread $r->{socket}, my $end, 1 }    # until it is left
# Says at the first attempt that it is unavailable, with a pause, and never ends to say so.
sub on_stuck {
    my ($r, $status) = @_;
    return on_flaky($r, $status) if $r->{headers}{'x-await-attempt'} > 1;
    read_body($r);
    say_raw($r, "HTTP/1.1 $status Words\r\nRetry-After: 2\r\nContent-Length: 9\r\n\r\nhalf");
    sysread $r->{socket}, my $end, 1;
}
sub on_endless {
    my ($r) = @_;
    read_body($r);
    say_raw($r, "HTTP/1.1 200 OK\r\n\r\n") or return;
    1 while say_raw($r, 'x' x 65536);
}
sub on_slow {
    my ($r, $seconds) = @_;
    read_body($r);
    sleep $seconds;
    answer($r, 200, 'late', 'Content-Type: text/plain');
}
# Unavailable at the first attempt, with a pause.
sub on_flaky {
    my ($r, $status) = @_;
    read_body($r);
    return answer($r, 200, 'at last', 'Content-Type: text/plain') if $r->{headers}{'x-await-attempt'} > 1;
    return answer($r, $status, 'not yet', 'Content-Type: text/plain', 'Retry-After: 1');
}
# Answers without reading the body, and keeps the connection open until it is left.
sub on_deaf {
    my ($r, $status) = @_;
    say_raw($r, "HTTP/1.1 $status Words\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nearly");
    my $poll = IO::Poll->new;
    $poll->mask($r->{socket} => 0x2000);    # POLLRDHUP
    $poll->poll(30);
}
sub on_zipped {
    my ($r) = @_;
    read_body($r);
    say_raw($r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nzzz\r\n0\r\n\r\n");
}
sub on_early { my ($r) = @_; say_raw($r, "HTTP/1.1 413 No\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlong") }
# Counts the body, and answers with as many bytes.
sub on_mirror {
    my ($r) = @_;
    my ($size, $last) = read_body($r);
    say_raw($r, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Last: $last\r\nContent-Length: $size\r\n\r\n");
    my $block = 'y' x (1 << 20);
    for (my $left = $size; $left > 0; $left -= 1 << 20) {
        say_raw($r, $left < length $block ? substr($block, 0, $left) : $block) or return;
    }
}

1;
