package Await::CutSteps;

# How a request of t/cuts.t (an action of Await::CutActions) is sent and where it is cut, as steps for Await::Cutter.

use strict;
use warnings;
use Await::Cutter;

use Exporter 'import';
our @EXPORT = qw(@STAGES steps1 steps2 collect pause pick);

our @STAGES = qw(part head first middle last all state race answering answered again);

sub pause { return [ pause => rand($_[0]) ] }
sub pick { return $_[ rand @_ ] }
# Bytes as one packet or some.
sub pieces {
    my ($bytes, @at) = @_;
    push @at, map { 1 + int rand length $bytes } 1 .. rand 3 if length $bytes > 2;
    my ($from, @steps) = (0);
    for my $to ((sort { $a <=> $b } grep { $_ > 0 && $_ < length $bytes } @at), length $bytes) {
        push @steps, [ send => substr $bytes, $from, $to - $from ], pause(0.004);
        $from = $to;
    }
    pop @steps;
    return @steps;
}

sub http1 {
    my ($r) = @_;
    my $body = $r->{body};
    my @headers = ([ Host => 'localhost' ], @{ $r->{headers} // [] });
    if (defined $body && !$r->{socket} && !$r->{unsaid}) {
        if (!$r->{split} && rand() < 0.3 && length $body) {
            push @headers, [ 'Transfer-Encoding', 'chunked' ];
            my $in = 1 + int rand length $body;
            $body = join('',
                map { length ? sprintf("%x\r\n%s\r\n", length, $_) : '' } substr($body, 0, $in),
                substr $body, $in)
                . "0\r\n\r\n";
        } else { push @headers, [ 'Content-Length', length $body ] }
    }
    return ("$r->{method} $r->{path} HTTP/1.1\r\n" . join('', map { "$_->[0]: $_->[1]\r\n" } @headers) . "\r\n",
        $body // '');
}

# The head's frame, and those of the body.
sub http2 {
    my ($r, $stream, $tls) = @_;
    my $body = $r->{body};
    my @headers = (
        [ ':method', $r->{method} ],
        [ ':path', $r->{path} ],
        [ ':scheme', $tls ? 'https' : 'http' ],
        [ ':authority', 'localhost' ],
        @{ $r->{headers} // [] });
    push @headers, [ 'content-length', length $body ] if defined $body && !$r->{unsaid} && rand() < 0.5;
    my $block = join '', map { Await::Cutter::literal(lc $_->[0], $_->[1]) } @headers;
    my @data;
    my $most = pick(10, 300, 16384, 16384);
    $most = 16384 if length($body // '') > 5000;
    for (my $at = 0; defined $body && $at < length $body;) {
        my $n = @data == 0 && $r->{split} ? $r->{split} : $most;
        push @data, Await::Cutter::frame(0, 0, $stream, substr $body, $at, $n);
        $at += $n;
    }
    substr $data[-1], 4, 1, "\1" if @data;
    return (Await::Cutter::frame(1, @data ? 4 : 5, $stream, $block), @data);
}

sub is_answered {
    my ($c) = @_;
    collect($c);
    return $c->{version} == 1 ? @{ $c->{answers} } > 0 : Await::Cutter::stream($c)->{ended};
}
sub is_answering {
    my ($c, $n) = @_;
    collect($c);
    return $c->{version} == 1
        ? @{ $c->{answers} } || length $c->{in} >= $n
        : Await::Cutter::stream($c)->{status} && Await::Cutter::stream($c)->{bytes} >= $n;
}
sub is_begun {
    my ($c) = @_;
    collect($c);
    return is_answered($c) || $c->{in} =~ /ready|101 S/ || Await::Cutter::stream($c)->{body} =~ /ready/;
}
sub collect {
    my ($c) = @_;
    return Await::Cutter::frames($c) if $c->{version} == 2;
    while (@{ $c->{answers} } < 2 && (my $answer = Await::Cutter::answer($c))) {
        push @{ $c->{answers} }, $answer;
        last if $answer->{close};
    }
}

# What is done after all has been sent.
sub after {
    my ($r, $stage) = @_;
    my @wake = $r->{wake} ? [ call => $r->{wake} ] : ();
    my $slow = $r->{slow} // 0.02;
    my $read = $r->{big} ? 30_000 : 400;
    return () if $stage eq 'all';
    return rand() < 0.5 ? [ until => \&is_begun, $slow ] : pause($slow) if $stage eq 'state';
    return (pause($slow), @wake, rand() < 0.7 ? () : pause(0.003)) if $stage eq 'race';
    return (pause(0.01), @wake, [ until => sub { is_answering($_[0], 1 + rand $read) }, 0.5 ]) if $stage eq 'answering';
    return (pause(0.005), @wake, [ until => \&is_answered, $r->{held} ? 0.2 : 10 ]);
}

# The next request on the connection is answered as if nothing had been. What is wrong goes to the client's `wrong`.
sub again {
    my ($c) = @_;
    my $answer = $c->{answers}[0];
    return if !$answer || $answer->{close} || $c->{eof} || $c->{broken} || length $c->{in};
    splice @{ $c->{steps} }, 1, 0, [ send => "GET $c->{next_path} HTTP/1.1\r\nHost: x\r\n\r\n" ],
        [ until => sub { collect($_[0]); @{ $_[0]{answers} } > 1 }, 20 ], [
        call => sub {
            my $next = $_[0]{answers}[1];
            push @{ $c->{wrong} },
                "$c->{name}: the next request is answered " . ($next ? $next->{status} : "nothing, but $c->{in}")
                unless ($next && $next->{status} == 200) || $_[0]{eof};
        }
        ];
}

# And other streams of a connection live on.
sub ping {
    return (
        [ send => Await::Cutter::frame(6, 0, 0, 'pingpong') ],
        [ until => sub { Await::Cutter::frames($_[0]); $_[0]{pong} || $_[0]{goaway} || $_[0]{eof} }, 20 ],
        [
            call => sub {
                push @{ $_[0]{wrong} }, "$_[0]{name}: no answer to a PING"
                    unless $_[0]{pong} || $_[0]{goaway} || $_[0]{broken} || $_[0]{eof};
            }
        ]);
}

# The steps of a request that is cut at this stage, in this way. The client may have company: `second`, a request behind
# it, or `others`, streams before it. Its `stage` and `whole` become what is really sent.
sub steps1 {
    my ($r, $stage, $how, $c) = @_;
    my ($head, $body) = http1($r);
    my $n = length $body;
    $stage = pick(qw(part all)) if !$n && $stage =~ /^(head|first|middle|last)$/;
    my @cut =
        $how eq 'half'
        ? ([ cut => 'half' ], [ until => sub { $_[0]{eof} }, 0.1 + rand 0.2 ], [ cut => pick(qw(fin rst)) ])
        : [ cut => $how ];
    my %begun = (
        part => substr($head, 0, rand length $head),
        head => $head,
        first => $head . substr($body, 0, 1),
        middle => $head . substr($body, 0, rand $n),
        last => $head . substr($body, 0, $n - 1));
    @$c{qw(stage whole)} = ($stage, !exists $begun{$stage} || $begun{$stage} eq "$head$body");
    return (rand() < 0.5 ? [ send => $begun{$stage} ] : pieces($begun{$stage}, length $head),
        rand() < 0.5 ? () : pause(0.01), @cut)
        if exists $begun{$stage};
    my @sent =
        $r->{split} && rand() < 0.7
        ? (
        [ send => $head . substr $body, 0, $r->{split} ],
        [ pause => 0.003 + rand 0.01 ],
        [ send => substr $body, $r->{split} ])
        : rand() < 0.5 ? [ send => $head . $body ]
        : pieces($head . $body, length $head);
    if ($c->{second}) { $sent[-1][1] .= join '', http1($c->{second}) }
    return (@sent, after($r, $stage), $stage eq 'again' && !$c->{second} ? [ call => \&again ] : (), @cut);
}

sub steps2 {
    my ($r, $stage, $how, $c) = @_;
    my @frames = (Await::Cutter::preface(window => pick(0, 100, 65535, 1 << 20), credit => pick(0, 1 << 24)));
    for my $other (@{ $c->{others} }) { push @frames, http2($other, $c->{stream}, $c->{tls}); $c->{stream} += 2 }
    my ($head, @data) = http2($r, $c->{stream}, $c->{tls});
    $stage = pick(qw(part all)) if !@data && $stage =~ /^(head|first|middle|last)$/;
    my $body = join '', @data;
    my %begun = (
        part => substr($head, 0, rand length $head),
        head => $head,
        first => $head . substr($body, 0, 10),
        middle => $head . substr($body, 0, rand length $body),
        last => $head . substr($body, 0, length($body) - 1));
    @$c{qw(stage whole)} = ($stage, !exists $begun{$stage} || $begun{$stage} eq "$head$body");
    my @cut =
        $how eq 'half'
        ? ([ cut => 'half' ], [ until => sub { $_[0]{eof} }, 0.1 + rand 0.2 ], [ cut => 'fin' ])
        : $how eq 'reset' ? (
        [ send => Await::Cutter::frame(3, 0, $c->{stream}, pack 'N', 8) ],
        rand() < 0.7 ? ping() : (),
        [ cut => pick(qw(fin rst)) ])
        : [ cut => $how ];
    if (exists $begun{$stage}) {
        # a stream's reset stands between frames
        $begun{$stage} = $stage eq 'part' ? '' : join '', $head,
            @data[ 0 .. ($stage eq 'head' ? -1 : $stage eq 'last' ? $#data - 1 : int(rand @data) - 1) ]
            if $how eq 'reset';
        @cut = [ cut => 'fin' ] if $how eq 'reset' && $stage eq 'part';
        return (pieces(join('', @frames) . $begun{$stage}), rand() < 0.5 ? () : pause(0.01), @cut);
    }
    my @sent =
        rand() < 0.5
        ? [ send => join '', @frames, $head, @data ]
        : ([ send => join '', @frames, $head ], map { (pause(0.004), [ send => $_ ]) } @data);
    return (@sent, after($r, $stage), @cut);
}

1;
