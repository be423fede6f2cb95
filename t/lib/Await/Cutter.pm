package Await::Cutter;

# Many clients at once in one process, each of which does what its list of steps says and then vanishes: by RST, by FIN,
# by closing its sending side only, by a stream's reset. Plain or TLS, HTTP/1.1 or HTTP/2, by hand: no library would cut
# like this.
#
# Steps, in order:
#   [send => BYTES]                 all of them, or the connection's end
#   [pause => SECONDS]              lets the server see what came so far as a packet of its own
#   [until => CONDITION, SECONDS]   reads until CONDITION->(client), the end, or so long
#   [call => CODE]                  CODE->(client)
#   [cut => HOW]                    rst, fin, half (then what comes is read for a while), notify (TLS's own
#                                   goodbye, then FIN)

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Net::SSLeay ();
use Socket qw(SOL_SOCKET SO_LINGER SO_RCVBUF);
use Time::HiRes qw(time);

Net::SSLeay::load_error_strings(); Net::SSLeay::SSLeay_add_ssl_algorithms(); Net::SSLeay::randomize();
my %context;
sub context {
    my ($version) = @_;
    return $context{$version} //= do {
        my $context = Net::SSLeay::CTX_new() or die 'TLS';
        Net::SSLeay::CTX_set_mode($context, 3);          # what could not be written may be tried again from elsewhere
        Net::SSLeay::CTX_set_alpn_protos($context, [ $version == 2 ? 'h2' : 'http/1.1' ]);
        $context;
    };
}

sub new { my ($class) = @_; return bless { clients => {} }, $class }
sub clients { my ($self) = @_; return values %{ $self->{clients} } }
sub busy { my ($self) = @_; return scalar keys %{ $self->{clients} } }

# Options: port, tls, version (1 or 2), steps, done (called with the client once it is gone), narrow (a small receive
# buffer), and whatever the caller likes to find again.
sub add {
    my ($self, %o) = @_;
    my $socket = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!";
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, pack 'i', 4096 if $o{narrow};
    connect $socket, Socket::pack_sockaddr_in($o{port}, Socket::INADDR_LOOPBACK()) or die "connect: $!";
    $socket->blocking(0);
    binmode $socket;
    my $c = { %o, socket => $socket, in => '', out => '', streams => {} };
    if ($o{tls}) {
        $c->{ssl} = Net::SSLeay::new(context($o{version})) or die 'TLS';
        Net::SSLeay::set_fd($c->{ssl}, fileno $socket);
        Net::SSLeay::set_connect_state($c->{ssl});
    }
    $self->{clients}{ fileno $socket } = $c;
    return $c;
}

# One turn for everybody who can do something.
sub turn {
    my ($self, $seconds) = @_;
    my ($now, $until) = (time, time + ($seconds // 0.05));
    my ($reading, $writing) = (IO::Select->new, IO::Select->new);
    for my $c ($self->clients) {
        $self->advance($c);
        next if $c->{gone};
        my ($what) = @{ $c->{steps}[0] };
        ($what eq 'send' && !$c->{wants_read} ? $writing : $reading)->add($c->{socket}) unless $what eq 'pause';
        $until = $c->{wake} if defined $c->{wake} && $c->{wake} < $until;
    }
    return unless $self->busy;
    my $left = $until - time;
    IO::Select->select($reading, $writing, undef, $left > 0 ? $left : 0);
    return;
}

sub advance {
    my ($self, $c) = @_;
    while (!$c->{gone}) {
        my $step = $c->{steps}[0] or return $self->vanish($c, 'fin');
        my ($what, $with, $for) = @$step;
        if ($what eq 'send') { return unless write_out($c, $step) }
        elsif ($what eq 'call') { $with->($c) }
        elsif ($what eq 'cut') { return $self->cut($c, $with) unless $with eq 'half'; half($c) }
        else {
            $c->{wake} //= time + ($what eq 'pause' ? $with : $for);
            read_in($c) unless $what eq 'pause';
            return unless time >= $c->{wake} || $what eq 'until' && ($with->($c) || $c->{eof});
            delete $c->{wake};
        }
        shift @{ $c->{steps} };
    }
}

sub write_out {
    my ($c, $step) = @_;
    while (length $step->[1]) {
        my $n = $c->{ssl} ? Net::SSLeay::write($c->{ssl}, $step->[1]) : syswrite $c->{socket}, $step->[1];
        if (!defined $n || $n <= 0) {
            if ($c->{ssl}) {
                my $why = Net::SSLeay::get_error($c->{ssl}, $n // -1);
                Net::SSLeay::ERR_clear_error();
                $c->{wants_read} = $why == 2;
                return 0 if $why == 2 || $why == 3;
            } elsif ($!{EAGAIN}) { return 0 }
            $c->{broken} = 1;                 # it answered early and closed
            return 1;
        }
        substr $step->[1], 0, $n, '';
        $c->{wants_read} = 0;
    }
    return 1;
}

sub read_in {
    my ($c) = @_;
    for (1 .. 8) {
        if ($c->{ssl}) {
            my $bytes = Net::SSLeay::read($c->{ssl}, 65536);
            if (!defined $bytes || !length $bytes) {
                my $why = Net::SSLeay::get_error($c->{ssl}, -1);
                Net::SSLeay::ERR_clear_error();
                $c->{eof} = 1 unless $why == 2 || $why == 3;
                return;
            }
            $c->{in} .= $bytes;
        } else {
            my $n = sysread $c->{socket}, $c->{in}, 65536, length $c->{in};
            if (!$n) { $c->{eof} = 1 unless !defined $n && $!{EAGAIN}; return }
        }
    }
}

# The sending side is closed, the other read for a little.
sub half {
    my ($c) = @_;
    shutdown $c->{socket}, 1;
    $c->{halved} = 1;
}

sub cut {
    my ($self, $c, $how) = @_;
    read_in($c);
    return $self->vanish($c, $how);
}

sub vanish {
    my ($self, $c, $how) = @_;
    $c->{gone} = $how;
    delete $self->{clients}{ fileno $c->{socket} };
    setsockopt $c->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 if $how eq 'rst';
    if ($c->{ssl}) {
        Net::SSLeay::shutdown($c->{ssl}) if $how eq 'notify';
        Net::SSLeay::free($c->{ssl});
        delete $c->{ssl};
    }
    close $c->{socket};
    $c->{done}->($c) if $c->{done};
}

# --- what came over HTTP/1.1 --------------------------------------------------------------------------

# Takes one whole answer off what came: { status, headers, body }; undef as long as there is none.
sub answer {
    my ($c) = @_;
    while (1) {
        my $end = index $c->{in}, "\r\n\r\n";
        return undef if $end < 0;
        my $head = substr $c->{in}, 0, $end;
        my ($status) = $head =~ m{^HTTP/1\.[01] (\d+)}
            or return { status => 'no HTTP: ' . substr($head, 0, 40), close => 1 };
        if ($status == 100) { substr $c->{in}, 0, $end + 4, ''; next }
        my %answer = (status => $status, close => $head =~ /^Connection: close/mi ? 1 : 0, head => $head);
        my $from = $end + 4;
        if ($status == 101) { $answer{close} = 1; substr $c->{in}, 0, $from, '' }
        elsif ($status == 204 || $status == 304) { substr $c->{in}, 0, $from, '' }
        elsif ($head =~ /^Content-Length: (\d+)/mi) {
            return undef if length($c->{in}) < $from + $1;
            $answer{body} = substr $c->{in}, $from, $1;
            substr $c->{in}, 0, $from + $1, '';
        }
        elsif ($head =~ /^Transfer-Encoding: chunked/mi) {
            my $last = index $c->{in}, "\r\n0\r\n\r\n", $from - 2;
            return undef if $last < 0;
            substr $c->{in}, 0, $last + 7, '';
        }
        else { return undef unless $c->{eof}; $answer{close} = 1; $c->{in} = '' }
        return \%answer;
    }
}

# --- what came over HTTP/2 -----------------------------------------------------------------------------

sub frame {
    my ($type, $flags, $stream, $payload) = @_;
    return substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $stream) . $payload;
}
sub integer {
    my ($prefix, $n) = @_;
    my $most = (1 << $prefix) - 1;
    return chr $n if $n < $most;
    my $out = chr $most;
    $n -= $most;
    while ($n >= 128) { $out .= chr(128 | $n & 127); $n >>= 7 }
    return $out . chr $n;
}
sub literal { my ($name, $value) = @_; return "\0" . join '', map { integer(7, length) . $_ } $name, $value }

# The client's side of a connection's begin. Options: window (of each stream), credit (more for the connection).
sub preface {
    my (%o) = @_;
    return
          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        . frame(4, 0, 0, pack 'nN', 4, $o{window})
        . ($o{credit} ? frame(8, 0, 0, pack 'N', $o{credit}) : '');
}

# Reads the frames that are whole: per stream its status, the bytes of its body, whether it ended.
sub frames {
    my ($c) = @_;
    while (length $c->{in} >= 9) {
        my ($length, $type, $flags, $id) = (unpack('N', "\0" . substr $c->{in}, 0, 3), unpack 'x3 C C N', $c->{in});
        last if length($c->{in}) < 9 + $length;
        my $payload = substr $c->{in}, 9, $length;
        substr $c->{in}, 0, 9 + $length, '';
        my $stream = stream($c, $id);
        if ($type == 1) { $stream->{status} //= status($payload) }
        if ($type == 0) { $stream->{bytes} += $length; $stream->{body} .= $payload if length $stream->{body} < 2000 }
        if ($type == 3) { @$stream{qw(ended reset)} = (1, unpack 'N', $payload) }
        if ($type <= 1 && $flags & 1) { $stream->{ended} = 1 }
        if ($type == 6 && $flags & 1) { $c->{pong} = 1 }
        if ($type == 7) { $c->{goaway} = unpack 'x4 N', $payload }
    }
    return $c->{streams};
}

sub stream { my ($c, $id) = @_; return $c->{streams}{ $id // $c->{stream} } //= { bytes => 0, body => '', ended => 0 } }

# nginx writes the status first, and never by Huffman's code.
sub status {
    my ($block) = @_;
    $block =~ s/^[\x20-\x3f]+//;
    my %known = (0x88 => 200, 0x89 => 204, 0x8a => 206, 0x8b => 304, 0x8c => 400, 0x8d => 404, 0x8e => 500);
    my $first = ord $block;
    return $known{$first} // ($block =~ /^.\x03(\d{3})/s ? $1 : "no status: " . unpack 'H20', $block);
}

1;
