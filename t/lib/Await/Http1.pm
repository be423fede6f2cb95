package Await::Http1;

# A connection of HTTP/1.1 that is kept: request after request on it, with or without TLS, and an eye for bytes nobody
# asked for.

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);

# Options: port, tls.
sub new {
    my ($class, %o) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $o{port}, Timeout => 10)
        // die "connect: $!";
    if ($o{tls}) {
        require IO::Socket::SSL;
        $socket = IO::Socket::SSL->start_SSL($socket, SSL_verify_mode => 0) // die 'TLS: ' . IO::Socket::SSL::errstr();
    }
    $socket->blocking(0);
    return bless { socket => $socket, select => IO::Select->new($socket), in => '' }, $class;
}

# A request's bytes. Headers: [[name, value], …]. Options: body (with its length), chunked (the body in two chunks).
sub head {
    my ($method, $path, $headers, %o) = @_;
    my $head = "$method $path HTTP/1.1\r\nHost: localhost\r\n" . join '',
        map { "$_->[0]: $_->[1]\r\n" } @{ $headers // [] };
    return "$head\r\n" unless defined $o{body};
    return $head . 'Content-Length: ' . length($o{body}) . "\r\n\r\n" unless $o{chunked};
    return "${head}Transfer-Encoding: chunked\r\n\r\n";
}

sub chunks {
    my ($body) = @_;
    my $first = substr $body, 0, length($body) / 2, '';
    return join('', map { length $_ ? sprintf("%x\r\n%s\r\n", length $_, $_) : () } $first, $body) . "0\r\n\r\n";
}

# Sends all of it, unless the other side closes first; what comes meanwhile is kept.
sub send {
    my ($self, $bytes) = @_;
    my $end = time + 10;
    while (length $bytes && time < $end && !$self->{error}) {
        my $n = syswrite $self->{socket}, $bytes;
        if ($n) { substr $bytes, 0, $n, ''; next }
        if (!($!{EAGAIN} || $!{EWOULDBLOCK})) { $self->{error} = "$!"; last }
        $self->receive(0);
        IO::Select::select($self->{select}, $self->{select}, undef, 0.1);
    }
    return $self;
}

# Takes in what is there, or comes within the time; false where nothing did.
sub receive {
    my ($self, $seconds) = @_;
    my $end = time + $seconds;
    while (!$self->{eof}) {
        my $n = sysread $self->{socket}, $self->{in}, 65536, length $self->{in};
        return 1 if $n;
        if (defined $n || !($!{EAGAIN} || $!{EWOULDBLOCK})) {
            $self->{eof} = 1;
            $self->{reset} = "$!" unless defined $n;
            return 0;
        }
        my $left = $end - time;
        return 0 if $left <= 0;
        $self->{select}->can_read($left);
    }
    return 0;
}

sub fill {
    my ($self, $enough, $end) = @_;
    until ($enough->()) { my $left = $end - time; return 0 if $left <= 0 || !$self->receive($left) && !$enough->() }
    return 1;
}

# The next answer: { status, headers (lists), body, close }; undef if none came whole in time. Options: no_body (to
# HEAD).
sub answer {
    my ($self, $seconds, %o) = @_;
    my $end = time + $seconds;
    while (1) {
        $self->fill(sub { $self->{in} =~ /\r\n\r\n/ }, $end) or return;
        my ($head) = $self->{in} =~ /^(.*?\r\n)\r\n/s;
        $head =~ m{^HTTP/1\.1 (\d{3})} or return { status => 0, headers => {}, body => $self->{in}, close => 1 };
        my %answer = (status => $1, headers => {}, head => $head);
        substr $self->{in}, 0, 2 + length $head, '';
        next if $answer{status} < 200 && $answer{status} != 101;
        for (split /\r\n/, $head) { push @{ $answer{headers}{ lc $1 } }, $2 if /^([^:\s]+):\s*(.*)$/ }
        $answer{close} = (grep { /close/i } @{ $answer{headers}{connection} // [] }) ? 1 : 0;
        return \%answer if $answer{status} == 101;
        $answer{body} = $o{no_body} || $answer{status} =~ /^(?:204|304)$/ ? '' : $self->body(\%answer, $end);
        return defined $answer{body} ? \%answer : undef;
    }
}

sub body {
    my ($self, $answer, $end) = @_;
    my %headers = %{ $answer->{headers} };
    if ($headers{'transfer-encoding'}) {
        my $body = '';
        while (1) {
            $self->fill(sub { $self->{in} =~ /\r\n/ }, $end) or return;
            my ($size) = $self->{in} =~ /^([0-9a-f]+)/i or return;
            my $line = index($self->{in}, "\r\n") + 2;
            my $length = hex $size;
            $self->fill(sub { length $self->{in} >= $line + $length + 2 }, $end) or return;
            $body .= substr $self->{in}, $line, $length;
            substr $self->{in}, 0, $line + $length + 2, '';
            return $body unless $length;
        }
    }
    if (my $length = $headers{'content-length'}) {
        $self->fill(sub { length $self->{in} >= $length->[0] }, $end) or return;
        return substr $self->{in}, 0, $length->[0], '';
    }
    $self->fill(sub { 0 }, $end);
    return $self->{eof} ? delete($self->{in}) // '' : undef;
}

# Waits for the end of the connection: '' if it came cleanly and nothing before it, or what is wrong.
sub ends {
    my ($self, $seconds) = @_;
    $self->fill(sub { 0 }, time + $seconds);
    return 'bytes nobody asked for: ' . substr $self->{in}, 0, 60 if length $self->{in};
    return 'it stays open' unless $self->{eof};
    return $self->{reset} ? "it is reset: $self->{reset}" : '';
}

1;
