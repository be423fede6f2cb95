package Await::RefusalCells;

# The cells of t/refusals_matrix.t: a row of Await::Refusals with an error_page or without, over one kind of connection,
# its body sent in one shape. Each is tried with another request in its body and a next one behind it.

use strict;
use warnings;
use Await::Http1;
use Await::Http2;
use Await::Refusals;
use Await::Test;
use JSON::PP;
use List::Util qw(uniq);
use POSIX ();
use Storable qw(fd_retrieve store_fd);

use Exporter 'import';
our @EXPORT = qw(refusal_cells run_cells describe expected_status);

my @WAYS = qw(h1 tls h2 h2tls front streaming);
my $SOON = 10;     # seconds within which a refusal is there; what is held instead would be for thirty
my (%MODES, %PORT, %id);

my %H1 = map { $_ => 1 } qw(h1 tls front streaming);
my %IS_FRONT = map { $_ => 1 } qw(front streaming);

# In how many shapes the body is sent: whole, in chunks, after the answer, long; over HTTP/2 without its end.
sub shapes {
    my ($row, $way) = @_;
    return @{ $row->{shapes} } if $row->{shapes};
    my $early = $row->{at} ne 'end';
    return $early ? ('whole', 'open') : 'whole' if $way eq 'h2';
    return $early ? 'open' : 'whole' if $way eq 'h2tls';
    my @long = $row->{at} eq 'head' && $row->{method} eq 'POST' && !$row->{common} ? 'big' : ();
    return ('whole', 'chunked', $early ? 'late' : (), @long) if $way eq 'h1';
    return $way eq 'tls' ? 'chunked' : $way eq 'front' ? 'whole' : ('chunked', @long);
}

# All cells. Options: modes (each name's list of statuses in error_page), ports (of each mode and way), ids (of the jobs
# and tickets that rows speak of).
sub refusal_cells {
    my (%o) = @_;
    %MODES = %{ $o{modes} };
    %PORT = %{ $o{ports} };
    %id = %{ $o{ids} };
    my @cells;
    for my $way (@WAYS) {
        for my $row (@ROWS) {
            next if $row->{ways} && !grep { $_ eq $way } @{ $row->{ways} };
            next if $row->{phase} ne 'main' && $way !~ /^(?:h1|h2|front)$/;
            for my $mode (sort keys %MODES) {
                my @shapes = $row->{phase} eq 'main' ? shapes($row, $way) : 'whole';
                push @cells, { id => 'c' . @cells . 'c', way => $way, row => $row, mode => $mode, shape => $_ }
                    for @shapes;
            }
        }
    }
    return @cells;
}

# What is wrong with an answer; nothing, if all is well.
sub faults {
    my ($cell, $answer) = @_;
    my ($row, $way, %headers) = ($cell->{row}, $cell->{way}, %{ $answer->{headers} });
    my $status = $cell->{status};
    my @faults;
    my $want = sub { my ($good, $what) = @_; push @faults, $what unless $good };
    $want->($answer->{status} == $status, "status $answer->{status}, not $status");
    return @faults if @faults;
    my $first = sub { $headers{ $_[0] } ? $headers{ $_[0] }[0] : '' };
    if (!$H1{$way}) {
        $want->(!$headers{$_}, "$_ over HTTP/2")
            for qw(connection upgrade keep-alive transfer-encoding proxy-connection);
    }
    return @faults if $status == 204;
    my $named = " $MODES{$cell->{mode}} " =~ / $status /;
    if ($row->{own} || $named) {
        my $problem = eval { decode_json($answer->{body}) } // {};
        $want->($first->('content-type') eq 'application/problem+json', 'no problem: ' . $first->('content-type'));
        $want->(ref $problem eq 'HASH' && ($problem->{status} // 0) == $status, 'a problem of another status');
        $want->(
            @{ $headers{'cache-control'} // [] } == 1 && $first->('cache-control') eq 'no-store',
            'it may be stored'
        );
        push @faults, [ "$status " . ($problem->{detail} // '') ];
    }
    $want->($first->('www-authenticate'), '401 without WWW-Authenticate') if $status == 401;
    push @faults, [ "$status " . $first->('www-authenticate') ] if $status == 401;
    $want->($first->('allow'), '405 without Allow') if $status == 405 && $row->{own};
    $want->($first->('retry-after') =~ /^\d+$/, '503 without Retry-After') if $status == 503;
    $want->($first->('content-range') eq 'bytes */8', '416 without Content-Range') if $status == 416;
    $want->($first->('upgrade') eq 'websocket', '426 without Upgrade')
        if $status == 426 && ($way eq 'h1' || $way eq 'tls');
    $want->($first->('sec-websocket-version') eq '13', '426 without Sec-WebSocket-Version') if $status == 426;
    return @faults;
}

sub mint {
    my $connection = Await::Http1->new(port => stack()->{port});
    $connection->send(Await::Http1::head('POST', '/setup-ticket', [], body => ''));
    return decode_json($connection->answer($SOON)->{body})->{ticket};
}

# The request of a cell: path, headers, body.
sub request_of {
    my ($cell) = @_;
    my $row = $cell->{row};
    my $args = join '&', grep { length } $row->{args}, "cell=$cell->{id}";
    $args =~ s/\{mint\}/mint()/e;
    $args =~ s/\{(\w+)\}/$id{$1}/g;
    my $hidden = "GET /secret?id=$id{pending}&in=$cell->{id} HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=1\r\n\r\n";
    my $body = $row->{body} =~ s/<HIDDEN>/$hidden/gr;
    $body = 'x' x 70000 . $body if $cell->{shape} eq 'big';
    # an error_page may wait for a short body, which it gets; nobody waits for the end of a long one
    $body .= 'x' x 300_000
        if $cell->{shape} =~ /open|late/ && $row->{at} eq 'mid' && " $MODES{$cell->{mode}} " =~ / $row->{status} /;
    $cell->{status} = expected_status($cell);
    return ("/$row->{path}$row->{below}?$args", $row->{headers}, $body);
}

my %connection;
sub connection {
    my ($cell, $name) = @_;
    my ($way, $mode) = @$cell{qw(way mode)};
    my $port = $PORT{$mode}{ $way eq 'h2tls' ? 'tls' : $way };
    return $connection{"$mode $name"} //=
        $H1{$way}
        ? Await::Http1->new(port => $port, tls => $way eq 'tls')
        : Await::Http2->new(port => $port, tls => $way eq 'h2tls');
}

# One more request on the connection: its own answer, and nothing before it.
sub next_fault {
    my ($cell, $connection, $who) = @_;
    $connection->send(Await::Http1::head('GET', "/next?n=$cell->{id}"));
    my $answer = $connection->answer($SOON)
        // return "$who is not answered"
        . ($connection->{reset} ? " but reset: $connection->{reset}" : $connection->{eof} ? ' but closed' : '');
    return $answer->{body} eq "next $cell->{id}" ? () : "$who gets $answer->{status} " . substr $answer->{body}, 0, 60;
}

sub try_http1 {
    my ($cell) = @_;
    my ($path, $headers, $body) = request_of($cell);
    my ($method, $shape) = ($cell->{row}{method}, $cell->{shape});
    my $connection = connection($cell, 'first');
    my $head =
        Await::Http1::head($method, $path, $headers, body => $body, chunked => $shape =~ /chunked|garbled/ ? 1 : 0);
    my $rest = $shape eq 'chunked' ? Await::Http1::chunks($body) : $shape eq 'garbled' ? "no chunk\r\n$body" : $body;
    my $kept_back = $shape ne 'late' ? '' : $cell->{row}{at} eq 'head' ? $rest : substr $rest, -1;
    $connection->send($head . substr $rest, 0, length($rest) - length $kept_back);
    my $answer = $connection->answer($SOON)
        // return $connection->{reset} ? "no answer but a reset: $connection->{reset}" : 'no answer';
    my @faults = faults($cell, $answer);
    $connection->send($kept_back);
    if ($answer->{close}) {
        my $end = $connection->ends($SOON);
        push @faults, $end if $end && !($shape eq 'late' && $end =~ /reset/);
        delete $connection{"$cell->{mode} first"};
    }
    else { push @faults, next_fault($cell, $connection, 'the next request') }
    push @faults, next_fault($cell, connection($cell, 'second'), 'another client') if $IS_FRONT{ $cell->{way} };
    return @faults;
}

sub try_http2 {
    my ($cell) = @_;
    my ($path, $headers, $body) = request_of($cell);
    my $connection = connection($cell, 'first');
    my @headers = grep { $_->[0] !~ /^(?:connection|upgrade)$/i } @$headers;
    my $open = $cell->{shape} eq 'open';
    push @headers, [ 'content-length', length $body ] unless $open;
    my $id = $connection->open_stream($cell->{row}{method}, $path, headers => \@headers, end => 0);
    $connection->data($id, $body, end => !$open);
    $connection->run(sub { $connection->over($id) }, $SOON)
        or return 'no answer' . ($open ? ' while the body has not ended' : '');
    my $stream = $connection->stream($id);
    return "reset with $stream->{reset}, no answer" if !$stream->{ended} || !defined $stream->{status};
    return 'the connection is closed' if $connection->{eof};
    my @faults = faults($cell, $stream);
    push @faults, 'two answers' if $stream->{heads} > 1;
    $connection->data($id, '', end => 1) if $open;
    my $next = $connection->request('GET', "/next?n=$cell->{id}", timeout => $SOON);
    push @faults, 'the next request gets ' . ($next->{status} // 'nothing')
        unless $next->{ended} && $next->{body} eq "next $cell->{id}";
    push @faults, "GOAWAY $connection->{goaway}[1]" if $connection->{goaway};
    $connection->forget($id);
    return @faults;
}

# All cells of a phase, a process for each way, and for each error_page where answers are waited for; their faults, by
# cell. The connections stay open until `look` has looked.
sub run_cells {
    my ($cells, $look) = @_;
    my @children;
    my $group_of =
        sub { my ($cell) = @_; return $cell->{row}{phase} eq 'main' ? $cell->{way} : "$cell->{way} $cell->{mode}" };
    for my $group (uniq map { $group_of->($_) } @$cells) {
        pipe(my $from, my $to) or die "pipe: $!";
        pipe(my $until, my $release) or die "pipe: $!";
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            close $_ for $from, $release, map { $_->{release} } @children;
            %connection = ();
            my (%faults, %hangs);
            for my $cell (grep { $group_of->($_) eq $group } @$cells) {
                my $name = $cell->{row}{name};
                my @faults =
                    $hangs{$name}
                    ? 'not tried, as it was not answered before'
                    : eval { $H1{ $cell->{way} } ? try_http1($cell) : try_http2($cell) };
                push @faults, "broken off: $@" if $@;
                $hangs{$name} = 1 if grep { /not answered$|^no answer/ } @faults;
                $faults{ $cell->{id} } = \@faults;
                delete $connection{$_} for grep { /^$cell->{mode} / && grep { !ref } @faults } keys %connection;
            }
            # at once: a pipe that is full would stop us until nginx closes connections that are not used
            store_fd(\%faults, $to);
            $to->flush;
            sysread $until, my $bytes, 1;
            POSIX::_exit(0);
        }
        close $_ for $to, $until;
        push @children, { pid => $pid, from => $from, release => $release };
    }
    my %faults;
    for my $child (@children) {
        my $told = eval { fd_retrieve($child->{from}) } // next;
        @faults{ keys %$told } = values %$told;
    }
    $look->() if $look;
    close $_->{release} for @children;
    waitpid $_->{pid}, 0 for @children;
    return \%faults;
}

# What a cell is, in words.
sub describe {
    my ($cell) = @_;
    return "$cell->{row}{name}, $cell->{mode}, $cell->{way}, $cell->{shape}";
}

# The status that it has to be refused with: 426 is for those who can upgrade.
sub expected_status {
    my ($cell) = @_;
    return $cell->{row}{upgraded} && $cell->{way} !~ /^(?:h1|tls)$/ ? $cell->{row}{upgraded} : $cell->{row}{status};
}

1;
