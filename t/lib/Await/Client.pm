package Await::Client;

# One request of a client that reads as slowly as it is told to, the same over HTTP/1.1 and HTTP/2, with and without
# TLS: bytes and frames by hand, nothing is read but by fill(). What HTTP/2 clients have as flow control is here the
# reader's pace.

use strict;
use warnings;
use IO::Socket::INET ();
use Socket ();
use Time::HiRes qw(time);

my $PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
my $WINDOW = 65535;      # of a connection, which no setting changes

# Options: http2, tls, and rcvbuf, the socket's. The client sends its request at once.
sub new {
    my ($class, $port, $method, $path, %o) = @_;
    my $socket = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!";
    setsockopt $socket, 1, 8, pack('i', $o{rcvbuf}) if $o{rcvbuf};      # SO_RCVBUF
    connect $socket, address($port) or die "connect: $!";
    binmode $socket;
    if ($o{tls}) {
        require IO::Socket::SSL;
        IO::Socket::SSL->start_SSL(
            $socket,
            SSL_verify_mode => 0,
            SSL_alpn_protocols => [ $o{http2} ? 'h2' : 'http/1.1' ],
            $o{tls} ne '1' ? (SSL_version => $o{tls}) : ()) or die 'TLS: ' . IO::Socket::SSL::errstr();
    }
    my $self =
        bless { socket => $socket, http2 => $o{http2}, tls => $o{tls}, raw => '', body => '', owed => 0, sent => 0 },
        $class;
    $self->{http2}
        ? $self->ask2($method, $path, $o{headers} // {}, $o{body})
        : $self->ask1($method, $path, $o{headers} // {}, $o{body});
    $socket->blocking(0);
    return $self;
}

sub address { return Socket::pack_sockaddr_in($_[0], Socket::inet_aton('127.0.0.1')) }

sub ask1 {
    my ($self, $method, $path, $headers, $body) = @_;
    my %headers = (Host => 'localhost', %$headers, defined $body ? ('Content-Length' => length $body) : ());
    $self->put("$method $path HTTP/1.1\r\n"
            . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers) . "\r\n"
            . ($body // ''));
}

sub ask2 {
    my ($self, $method, $path, $headers, $body) = @_;
    my @fields = (
        [ ':method', $method ],
        [ ':scheme', $self->{tls} ? 'https' : 'http' ],
        [ ':authority', 'localhost' ],
        [ ':path', $path ],
        map { [ lc, $headers->{$_} ] } sort keys %$headers
    );
    push @fields, [ 'content-length', length $body ] if defined $body;
    my $block = join '',
        map { "\0" . text($_->[0]) . text($_->[1]) } @fields;    # literals that are not indexed (RFC 7541, 6.2.2)
    $self->put($PREFACE
            . frame(4, 0, 0)
            . frame(1, defined $body ? 4 : 5, 1, $block)
            . (defined $body ? frame(0, 1, 1, $body) : ''));
}

sub text { my ($text) = @_; my $n = length $text; return ($n < 127 ? chr $n : chr(127) . integer($n - 127)) . $text }
sub integer {
    my ($n) = @_;
    my $out = '';
    while ($n > 127) { $out .= chr($n & 127 | 128); $n >>= 7 }
    return $out . chr $n;
}
sub frame {
    my ($type, $flags, $stream, $payload) = @_;
    $payload //= '';
    return substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $stream) . $payload;
}

sub put {
    my ($self, $bytes) = @_;
    my $end = time + 10;
    for (my $at = 0; $at < length $bytes && time < $end;) {
        my $n = $self->{socket}->syswrite($bytes, length($bytes) - $at, $at);
        $at += $n if $n;
    }
}

# Takes what is there now, at most so many bytes of it.
sub fill {
    my ($self, $most) = @_;
    return if $self->{eof};
    if ($self->{http2}) {
        $self->read_some(65536);
        $self->frames;
        my $grant = $self->{owed} < $most ? $self->{owed} : $most;
        # the reader's pace: room for as much as it has taken
        $self->put(frame(8, 0, 0, pack 'N', $grant) . ($self->{ended} ? '' : frame(8, 0, 1, pack 'N', $grant)))
            if $grant > 0 && !$self->{eof};
        $self->{owed} -= $grant;
    }
    else { $self->read_some($most); $self->message }
}

sub read_some {
    my ($self, $most) = @_;
    while ($most > 0) {
        my $n = $self->{socket}->sysread($self->{raw}, $most, length $self->{raw});
        if (defined $n && $n == 0) { $self->{eof} = 1; return }
        if (!defined $n) { $self->{eof} = 1 unless $!{EAGAIN} || $!{EWOULDBLOCK}; return }
        $most -= $n;
    }
}

sub frames {
    my ($self) = @_;
    while (length $self->{raw} >= 9) {
        my $length = unpack 'N', "\0" . substr $self->{raw}, 0, 3;
        last if length $self->{raw} < 9 + $length;
        my ($type, $flags, $stream) = unpack 'CCN', substr $self->{raw}, 3, 6;
        my $payload = substr $self->{raw}, 9, $length;
        substr $self->{raw}, 0, 9 + $length, '';
        if ($type == 0) { $self->{body} .= $payload; $self->{owed} += $length }
        if ($type == 1) { $self->{status} //= status($payload) }
        if ($type == 3) { $self->{reset} = unpack 'N', $payload }
        if ($type == 4 && !($flags & 1)) { $self->put(frame(4, 1, 0)) }
        if ($type == 6 && !($flags & 1)) { $self->put(frame(6, 1, 0, $payload)) }
        $self->{ended} = 1 if $type <= 1 && $flags & 1;
    }
}

# nginx writes the status first: one of the static table, or three digits.
sub status {
    my ($block) = @_;
    my %known = (0x88 => 200, 0x89 => 204, 0x8a => 206, 0x8b => 304, 0x8c => 400, 0x8d => 404, 0x8e => 500);
    $block =~ s/^[\x20-\x3f]//;
    return $known{ ord $block } // ($block =~ /^[\x08\x48]\x03(\d{3})/ ? $1 : 0);
}

sub message {
    my ($self) = @_;
    unless (defined $self->{head}) {
        $self->{raw} =~ /\r\n\r\n/ or return;
        ($self->{head}, $self->{raw}) = split /\r\n\r\n/, $self->{raw}, 2;
        ($self->{status}) = $self->{head} =~ m{^HTTP/1\.1 (\d+)};
        ($self->{length}) = $self->{head} =~ /^content-length: (\d+)/im;
        $self->{chunked} = $self->{head} =~ /^transfer-encoding: chunked/im;
    }
    if ($self->{chunked}) {
        while ($self->{raw} =~ /^([0-9a-fA-F]+)\r\n/ && length $self->{raw} >= length($1) + 4 + hex $1) {
            my ($head, $size) = (2 + length $1, hex $1);
            $self->{body} .= substr $self->{raw}, $head, $size;
            substr $self->{raw}, 0, $head + $size + 2, '';
            $self->{ended} = 1 if $size == 0;
        }
        return;
    }
    $self->{body} .= $self->{raw};
    $self->{raw} = '';
    $self->{ended} = 1 if defined $self->{length} && length $self->{body} >= $self->{length};
}

# What came on a WebSocket, whole frames only: [ [opcode, payload] … ].
sub socket_frames {
    my ($self) = @_;
    my @frames;
    while (length $self->{body} >= 2) {
        my $length = ord(substr $self->{body}, 1, 1);
        my $head = $length == 126 ? 4 : $length == 127 ? 10 : 2;
        last if length $self->{body} < $head;
        $length = unpack 'n', substr $self->{body}, 2, 2 if $head == 4;
        $length = unpack 'Q>', substr $self->{body}, 2, 8 if $head == 10;
        last if length $self->{body} < $head + $length;
        push @frames, [ ord(substr $self->{body}, 0, 1) & 15, substr $self->{body}, $head, $length ];
        substr $self->{body}, 0, $head + $length, '';
    }
    return @frames;
}

1;
