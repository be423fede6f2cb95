package Await::WebSocket;

# A WebSocket client of the tests' own: frame by frame, and badly where asked.

use strict;
use warnings;
use Await::Trace;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64;
use Time::HiRes qw(time);

# Options: protocols (what to offer; undef: nothing), key, headers, early (messages sent with the request).
sub new {
    my ($class, $port, $path, %o) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10) or die "connect: $!";
    binmode $socket;
    my $self = bless { socket => $socket, buffer => '', control => [] }, $class;
    my $protocols = exists $o{protocols} ? $o{protocols} : 'await.v1';
    my %headers = (
        Host => 'localhost',
        Upgrade => 'websocket',
        Connection => 'keep-alive, Upgrade',
        'Sec-WebSocket-Version' => 13,
        'Sec-WebSocket-Key' => $o{key} // encode_base64(join('', map { chr rand 256 } 1 .. 16), ''),
        defined $protocols ? ('Sec-WebSocket-Protocol' => $protocols) : (), %{ $o{headers} // {} });
    Await::Trace::trace('>', "GET $path, upgrade to a WebSocket");
    $self->raw("GET $path HTTP/1.1\r\n" . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers) . "\r\n"
        . join '', map { frame(1, encode_json($_)) } @{ $o{early} // [] });
    $self->fill(sub { $self->{buffer} =~ /\r\n\r\n/ }, 10);
    (my $head, $self->{buffer}) = split /\r\n\r\n/, $self->{buffer}, 2;
    ($self->{status}) = $head =~ m{^HTTP/1\.1 (\d+)};
    Await::Trace::trace('<', $head);
    $self->{headers} = { map { /^([^:]+):\s*(.*)$/ ? (lc $1 => $2) : () } split /\r\n/, $head };
    return $self;
}

sub raw {
    my ($self, $bytes) = @_;
    for (my $at = 0; $at < length $bytes;) {
        my $n = syswrite $self->{socket}, $bytes, length($bytes) - $at, $at;
        last unless $n;
        $at += $n;
    }
    return $self;
}

# One frame. Options: fin (1), rsv (0), mask (1), length (what the head says).
sub frame {
    my ($opcode, $payload, %o) = @_;
    my $length = $o{length} // length $payload;
    my $masked = $o{mask} // 1;
    my $bit = $masked ? 0x80 : 0;
    my $head = chr((($o{fin} // 1) << 7) | (($o{rsv} // 0) << 4) | $opcode);
    $head .=
          $length < 126 ? chr($bit | $length)
        : $length < 65536 ? chr($bit | 126) . pack('n', $length)
        : chr($bit | 127) . pack('Q>', $length);
    return $head . $payload unless $masked;
    my $mask = join '', map { chr rand 256 } 1 .. 4;
    return $head . $mask . ($payload ^ substr($mask x (1 + length($payload) / 4), 0, length $payload));
}

sub send_frame {
    my ($self, @frame) = @_;
    Await::Trace::trace('>', "frame $frame[0]: $frame[1]");
    return $self->raw(frame(@frame));
}
sub send_text { my ($self, $text) = @_; return $self->send_frame(1, $text) }
sub say { my ($self, $message) = @_; return $self->send_text(encode_json($message)) }

sub fill {
    my ($self, $enough, $seconds) = @_;
    my $end = time + $seconds;
    until ($enough->()) {
        my $left = $end - time;
        return 0 if $left <= 0 || $self->{eof};
        next unless IO::Select->new($self->{socket})->can_read($left);
        my $n = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
        $self->{eof} = 1 unless $n;
    }
    return 1;
}

# The next frame: { opcode, fin, payload }; undef at the end or when the time is over.
sub next_frame {
    my ($self, $seconds) = @_;
    my $frame = $self->read_frame($seconds // 20);
    Await::Trace::trace('<',
        $frame ? "frame $frame->{opcode}: $frame->{payload}" : $self->{eof} ? 'the connection has ended' : 'no frame');
    return $frame;
}

sub read_frame {
    my ($self, $seconds) = @_;
    my $size = sub {
        my $have = length $self->{buffer};
        return undef if $have < 2;
        my $length = ord(substr $self->{buffer}, 1, 1) & 0x7f;
        my $head = $length == 126 ? 4 : $length == 127 ? 10 : 2;
        return undef if $have < $head;
        $length = unpack 'n', substr $self->{buffer}, 2, 2 if $head == 4;
        $length = unpack 'Q>', substr $self->{buffer}, 2, 8 if $head == 10;
        return $have >= $head + $length ? ($head, $length) : undef;
    };
    $self->fill(sub { defined(($size->())[0]) }, $seconds) or return undef;
    my ($head, $length) = $size->();
    my $first = ord substr $self->{buffer}, 0, 1;
    die "a server's frame is masked" if ord(substr $self->{buffer}, 1, 1) & 0x80;
    my $payload = substr $self->{buffer}, $head, $length;
    substr $self->{buffer}, 0, $head + $length, '';
    return { opcode => $first & 0x0f, fin => $first >> 7, rsv => ($first >> 4) & 7, payload => $payload };
}

# The next message as what its JSON says; pings are answered. Undef: closed, or nothing came.
sub message {
    my ($self, $seconds) = @_;
    while (my $frame = $self->next_frame($seconds)) {
        if ($frame->{opcode} == 9) { $self->send_frame(10, $frame->{payload}); ++$self->{pings}; next }
        if ($frame->{opcode} == 8) { $self->{close} = $frame; return undef }
        if ($frame->{opcode} == 10) { push @{ $self->{control} }, $frame; next }
        return decode_json($frame->{payload});
    }
    return undef;
}

sub messages {
    my ($self, $n, $seconds) = @_;
    my @all;
    while (@all < $n) { push @all, $self->message($seconds) // last }
    return @all;
}

sub quiet {
    my ($self, $seconds) = @_;
    my $frame = $self->next_frame($seconds);
    unless ($frame) { return 1 }
    $self->{unexpected} = $frame;
    return 0;
}

# The code the server closes with; 0: it just ended; undef: it did not.
sub closed {
    my ($self, $seconds) = @_;
    my $frame = delete $self->{close};
    while (!$frame) {
        $frame = $self->next_frame($seconds // 20);
        return $self->{eof} ? 0 : undef unless $frame;
        undef $frame if $frame->{opcode} != 8;
    }
    $self->send_frame(8, substr $frame->{payload}, 0, 2) unless $self->{closing};
    $self->{reason} = substr $frame->{payload}, 2 if length $frame->{payload} > 2;
    return length $frame->{payload} >= 2 ? unpack 'n', $frame->{payload} : 1005;
}

# Closes, as a client should; the code that comes back.
sub close {
    my ($self, $code) = @_;
    $self->{closing} = 1;
    $self->send_frame(8, pack 'n', $code // 1000);
    my $back = $self->closed(10);
    $self->fill(sub { $self->{eof} }, 5);
    return $back;
}

1;
