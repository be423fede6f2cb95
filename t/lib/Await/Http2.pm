package Await::Http2;

# An HTTP/2 client of the tests' own, frame by frame (RFC 9113, RFC 7541): it sees what a friendly client passes over,
# and can stop in the middle of anything.

use strict;
use warnings;
use IO::Socket::INET;
use IO::Select;
use Time::HiRes qw(time);

use constant {
    DATA => 0,
    HEADERS => 1,
    RST_STREAM => 3,
    SETTINGS => 4,
    PING => 6,
    GOAWAY => 7,
    WINDOW_UPDATE => 8,
    CONTINUATION => 9
};

# Options: port; tls; settings (number => value, sent at once); window (0: no credit is given unless credit() is
# called); socket (connected).
sub new {
    my ($class, %o) = @_;
    my $socket = $o{socket} // IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $o{port}, Timeout => 10)
        // die "connect: $!";
    if ($o{tls}) {
        require IO::Socket::SSL;
        $socket = IO::Socket::SSL->start_SSL($socket, SSL_verify_mode => 0, SSL_alpn_protocols => ['h2'])
            // die "TLS: " . IO::Socket::SSL::errstr();
    }
    $socket->blocking(0);
    my $self = bless {
        socket => $socket,
        tls => $o{tls},
        in => '',
        out => '',
        next => 1,
        streams => {},
        table => [],
        window => $o{window} // 'auto',
        ours => 65535,
        per_stream => 65535,
        frame_size => 16384,
        peer => {} }, $class;
    my %settings = (2 => 0, %{ $o{settings} // {} });
    $self->{out} = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        . frame(SETTINGS, 0, 0, join '', map { pack 'nN', $_, $settings{$_} } sort keys %settings);
    return $self;
}

sub frame {
    my ($type, $flags, $stream, $payload) = @_;
    return substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $stream) . $payload;
}

# A request's head; its stream. Options: headers ([[name, value], …]), end (no body follows; true unless given), scheme,
# authority.
sub open_stream {
    my ($self, $method, $path, %o) = @_;
    my $id = $self->{next};
    $self->{next} += 2;
    my @fields = (
        [ ':method', $method ],
        [ ':path', $path ],
        [ ':scheme', $o{scheme} // ($self->{tls} ? 'https' : 'http') ],
        [ ':authority', $o{authority} // 'localhost' ],
        @{ $o{headers} // [] });
    my $block = join '', map { "\0" . literal(lc $_->[0]) . literal($_->[1]) } @fields;
    my $flags = $o{end} // 1 ? 1 : 0;
    $self->{streams}{$id} =
        { id => $id, fields => [], headers => {}, body => '', window => $self->{per_stream}, queue => '' };
    my $first = substr $block, 0, $self->{frame_size}, '';
    $self->{out} .= frame(HEADERS, $flags | (length $block ? 0 : 4), $id, $first);
    while (length $block) {
        my $part = substr $block, 0, $self->{frame_size}, '';
        $self->{out} .= frame(CONTINUATION, length $block ? 0 : 4, $id, $part);
    }
    $self->{streams}{$id}{sent_end} = $flags;
    return $id;
}

sub literal { my ($text) = @_; return integer(0, 7, length $text) . $text }
sub integer {
    my ($first, $bits, $value) = @_;
    my $most = (1 << $bits) - 1;
    return chr($first | $value) if $value < $most;
    my $out = chr($first | $most);
    for ($value -= $most; $value >= 128; $value >>= 7) { $out .= chr(128 | ($value & 127)) }
    return $out . chr $value;
}

# Part of a body, sent as the windows allow it. Options: end.
sub data {
    my ($self, $id, $bytes, %o) = @_;
    my $stream = $self->{streams}{$id};
    $stream->{queue} .= $bytes;
    $stream->{end} = 1 if $o{end};
    $self->push_data($stream);
}

sub push_data {
    my ($self, $stream) = @_;
    return if $stream->{sent_end} || defined $stream->{reset};
    while (length $stream->{queue}) {
        my ($n) = sort { $a <=> $b } length $stream->{queue}, $self->{ours}, $stream->{window}, $self->{frame_size};
        return if $n <= 0;
        my $last = $stream->{end} && $n == length $stream->{queue};
        $self->{out} .= frame(DATA, $last ? 1 : 0, $stream->{id}, substr $stream->{queue}, 0, $n, '');
        $_ -= $n for $self->{ours}, $stream->{window};
        $stream->{sent_end} = 1 if $last;
    }
    return if !$stream->{end} || $stream->{sent_end};
    $self->{out} .= frame(DATA, 1, $stream->{id}, '');
    $stream->{sent_end} = 1;
}

sub reset { my ($self, $id, $code) = @_; $self->{out} .= frame(RST_STREAM, 0, $id, pack 'N', $code // 8) }
sub ping { my ($self) = @_; $self->{out} .= frame(PING, 0, 0, 'promised') }
sub credit { my ($self, $id, $n) = @_; $self->{out} .= frame(WINDOW_UPDATE, 0, $id, pack 'N', $n) }
sub stream { my ($self, $id) = @_; return $self->{streams}{$id} }
sub forget { my ($self, $id) = @_; delete $self->{streams}{$id} }
sub over {
    my ($self, $id) = @_;
    my $stream = $self->{streams}{$id};
    return $stream->{ended} || defined $stream->{reset} || $self->{eof};
}

# A whole exchange. Options: headers, body, timeout; what open_stream has.
sub request {
    my ($self, $method, $path, %o) = @_;
    my $id = $self->open_stream($method, $path, %o, end => !defined $o{body});
    $self->data($id, $o{body}, end => 1) if defined $o{body};
    $self->run(sub { $self->over($id) }, $o{timeout} // 10);
    return $self->{streams}{$id};
}

# Sends and receives until `enough` is true; false when the time or the connection is over first.
sub run {
    my ($self, $enough, $seconds) = @_;
    my $end = time + $seconds;
    my $select = IO::Select->new($self->{socket});
    until ($enough->()) {
        return 0 if $self->{eof} || time > $end;
        if (length $self->{out}) {
            my $n = syswrite $self->{socket}, $self->{out};
            if (defined $n) { substr $self->{out}, 0, $n, '' }
            elsif (!$!{EAGAIN} && !$!{EWOULDBLOCK}) { $self->{eof} = 1; $self->{error} = "$!"; next }
        }
        my $n = sysread $self->{socket}, my $bytes, 65536;
        if ($n) { $self->{in} .= $bytes; $self->receive; next }
        if (defined $n || !($!{EAGAIN} || $!{EWOULDBLOCK})) {
            $self->{error} = "$!" unless defined $n;
            $self->{eof} = 1;
            next;
        }
        my $left = $end - time;
        IO::Select::select($select, length $self->{out} ? $select : undef,
            undef, $left > 0.5 ? 0.5 : $left > 0 ? $left : 0);
    }
    return 1;
}

# What has come: frames are taken off the input one by one.
sub receive {
    my ($self) = @_;
    while (length $self->{in} >= 9) {
        my ($high, $low, $type, $flags, $id) = unpack 'CnCCN', $self->{in};
        my $length = ($high << 16) + $low;
        last if length $self->{in} < 9 + $length;
        my $payload = substr $self->{in}, 9, $length;
        substr $self->{in}, 0, 9 + $length, '';
        push @{ $self->{frames} }, [ $type, $flags, $id & 0x7fffffff, $length ];
        $self->take($type, $flags, $id & 0x7fffffff, $payload);
    }
}

sub take {
    my ($self, $type, $flags, $id, $payload) = @_;
    my $stream = $self->{streams}{$id};
    if ($type == DATA) {
        $self->unpad(\$payload) if $flags & 8;
        $stream->{body} .= $payload if $stream;
        if ($self->{window} && length $payload) {
            $self->credit(0, length $payload);
            $self->credit($id, length $payload) unless $flags & 1;
        }
        $stream->{ended} = 1 if $stream && $flags & 1;
    }
    elsif ($type == HEADERS || $type == CONTINUATION) {
        if ($type == HEADERS) {
            $self->unpad(\$payload) if $flags & 8;
            substr $payload, 0, 5, '' if $flags & 32;
            @$self{qw(block block_end)} = ('', $flags & 1);
        }
        $self->{block} .= $payload;
        $self->head($stream) if $flags & 4;
    }
    elsif ($type == RST_STREAM) { $stream->{reset} = unpack 'N', $payload if $stream }
    elsif ($type == GOAWAY) { $self->{goaway} = [ unpack 'NN', $payload ] }
    elsif ($type == PING) { $flags & 1 ? $self->{pongs}++ : ($self->{out} .= frame(PING, 1, 0, $payload)) }
    elsif ($type == WINDOW_UPDATE) {
        my $n = unpack 'N', $payload;
        if ($id == 0) { $self->{ours} += $n } elsif ($stream) { $stream->{window} += $n }
        $self->push_data($_) for values %{ $self->{streams} };
    }
    elsif ($type == SETTINGS && !($flags & 1)) { $self->settings($payload) }
}

sub unpad { my ($self, $payload) = @_; my $n = ord substr $$payload, 0, 1, ''; substr $$payload, -$n, $n, '' if $n }

sub settings {
    my ($self, $payload) = @_;
    my %said = unpack '(nN)*', $payload;
    $self->{peer} = { %{ $self->{peer} }, %said };
    if (defined $said{4}) {
        $_->{window} += $said{4} - $self->{per_stream} for values %{ $self->{streams} };
        $self->{per_stream} = $said{4};
    }
    $self->{frame_size} = $said{5} if $said{5};
    $self->{out} .= frame(SETTINGS, 1, 0, '');
    $self->push_data($_) for values %{ $self->{streams} };
}

# A whole block of fields: of an answer, of one that comes before it (1xx), or trailers.
sub head {
    my ($self, $stream) = @_;
    my @fields = $self->unpack_fields($self->{block});
    return unless $stream;
    my ($status) = map { $_->[0] eq ':status' ? $_->[1] : () } @fields;
    $stream->{ended} = 1 if $self->{block_end};
    return if defined $status && $status < 200;
    $stream->{heads}++ if defined $status;
    $stream->{status} //= $status;
    push @{ $stream->{fields} }, @fields;
    push @{ $stream->{headers}{ $_->[0] } }, $_->[1] for grep { $_->[0] ne ':status' } @fields;
}

# --- HPACK ----------------------------------------------------------------------------------------------

my @STATIC = map { [ split /=/, $_, 2 ] }
    qw(:authority= :method=GET :method=POST :path=/ :path=/index.html :scheme=http :scheme=https :status=200
        :status=204 :status=206 :status=304 :status=400 :status=404 :status=500 accept-charset= accept-encoding=gzip
        accept-language= accept-ranges= accept= access-control-allow-origin= age= allow= authorization= cache-control=
        content-disposition= content-encoding= content-language= content-length= content-location= content-range=
        content-type= cookie= date= etag= expect= expires= from= host= if-match= if-modified-since= if-none-match=
        if-range= if-unmodified-since= last-modified= link= location= max-forwards= proxy-authenticate=
        proxy-authorization= range= referer= refresh= retry-after= server= set-cookie= strict-transport-security=
        transfer-encoding= user-agent= vary= via= www-authenticate=);

# How many bits each byte and the end have (RFC 7541, appendix B); the code is canonical, so that these say it all.
my @BITS = map { split } (
    '13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28 6 10 10 12 13 6 '
    . '8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10',
    '13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6 15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 '
    . '6 7 7 7 7 7 15 11 14 13 28',
    '20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24 22 21 20 22 22 '
    . '23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23',
    '26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27 20 24 20 21 22 '
    . '21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26',
    '30',
);
my %SYMBOL;
{
    my ($code, $bits) = (0, 0);
    for my $symbol (sort { $BITS[$a] <=> $BITS[$b] || $a <=> $b } 0 .. 256) {
        $code <<= $BITS[$symbol] - $bits;
        $bits = $BITS[$symbol];
        $SYMBOL{ sprintf "%0${bits}b", $code++ } = chr $symbol if $symbol < 256;
    }
}

sub unhuffman {
    my ($bytes) = @_;
    my ($out, $code) = ('', '');
    for my $bit (split //, unpack 'B*', $bytes) {
        $code .= $bit;
        if (exists $SYMBOL{$code}) { $out .= $SYMBOL{$code}; $code = '' }
    }
    return $out;
}

sub unpack_fields {
    my ($self, $block) = @_;
    my @fields;
    while (length $block) {
        my $first = ord $block;
        if ($first & 0x80) { push @fields, $self->indexed(take_integer(\$block, 7)); next }
        if (($first & 0xe0) == 0x20) { take_integer(\$block, 5); next }
        my $adds = $first & 0x40;
        my $index = take_integer(\$block, $adds ? 6 : 4);
        my $name = $index ? $self->indexed($index)->[0] : take_string(\$block);
        my $field = [ $name, take_string(\$block) ];
        unshift @{ $self->{table} }, $field if $adds;
        push @fields, $field;
    }
    return @fields;
}

sub indexed {
    my ($self, $index) = @_;
    return ($index <= @STATIC ? $STATIC[ $index - 1 ] : $self->{table}[ $index - @STATIC - 1 ])
        // die "no field $index";
}

sub take_integer {
    my ($in, $bits) = @_;
    my $most = (1 << $bits) - 1;
    my $value = ord(substr $$in, 0, 1, '') & $most;
    return $value if $value < $most;
    for (my $shift = 0;; $shift += 7) {
        my $byte = ord substr $$in, 0, 1, '';
        $value += ($byte & 127) << $shift;
        return $value unless $byte & 128;
    }
}

sub take_string {
    my ($in) = @_;
    my $packed = ord($$in) & 0x80;
    my $text = substr $$in, 0, take_integer($in, 7), '';
    return $packed ? unhuffman($text) : $text;
}

1;
