# The checkers of chaos find what they are for: each promise is broken in a report that is right otherwise.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Deliveries;
use Await::History;
use Await::Test;
use JSON::PP;
use Test::More;

# At 200 s a failover lost what had been committed from 100 s on: of job "lost" all, of job "kept" the attempt that had
# begun. What a client of each was told: an event, and when.
my $RIGHT = encode_json({
        accepted => { kept => 'k', lost => 'l' },
        times => { kept => [ 90_000, 95_000 ], lost => [ 110_000, 120_000 ] },
        settled => [ 'k', 'l' ],
        heard =>
            [ { id => 'kept', mode => 'stream', last => 3 }, { id => 'lost', mode => 'page', last => 1, lost => 1 } ],
        seen => [ {
                id => 'kept',
                mode => 'stream',
                histories => [
                    [ 'kept 1 pending 95000 95001', 'kept 2 processing 130000 130001' ],
                    [ 'kept 2 processing 210000 210001', 'kept 3 completed 220000 220001' ] ]
            },
            { id => 'lost', mode => 'page', lost => 1, histories => [ ['lost 1 pending 110000 120000'] ] },
        ] });
my %STORED = (payload => 'k', last => 3, endings => 1, whole => 't', state => 'completed', body => 'made of k');
my @EVENTS = ('kept 1 pending 95000', 'kept 2 processing 210000', 'kept 3 completed 220000');

# What is found in the report, when it has been changed.
sub found {
    my ($change) = @_;
    my ($report, %stored, %o) = (decode_json($RIGHT), %STORED);
    my @windows = ([ 100, 200, 1 ]);
    $change->($report, \%stored, \@windows);
    my $history = Await::History->new(
        $report,
        windows => \@windows,
        stored => { kept => \%stored, @windows > 1 ? (lost => { %STORED, payload => 'l', body => 'made of l' }) : () },
        events => { map { $_ => 1 } @EVENTS });
    my @promises = ($history->acceptance, $history->histories, $history->endings);
    my @found;
    while (my ($name, $broken) = splice @promises, 0, 2) { push @found, $name if @$broken }
    return \@found;
}

my $told = sub { my ($report, $i) = @_; return $report->{seen}[0]{histories}[$i] };
my $RESET = 'every event that a client was told is there, or the client was told of a reset';
my $MIXED = 'nobody was told events of two histories without a reset between them';
my $TIME = 'no event was undone but those of the time of a failover';
my $KEY = 'what was sent again with its Idempotency-Key is one job';
my @CASES = (
    [ 'what is right' => sub { } ],
    [ 'a synchronous standby took over' => sub { $_[2][0][2] = 0 }, 'every 202 is in the database', $KEY ],
    [
        'it was accepted before' => sub { $_[0]{times}{lost} = [ 90_000, 99_000 ] },
        'every 202 is in the database', $KEY
    ],
    [
        'it was sent afterwards' => sub { $_[0]{times}{lost} = [ 201_000, 202_000 ] },
        'every 202 is in the database', $KEY
    ],
    [ 'another payload' => sub { $_[1]{payload} = 'x'; $_[1]{body} = 'made of x' }, 'with its payload', $KEY ],
    [ 'two endings' => sub { $_[1]{endings} = 2 }, 'every accepted job has ended, once' ],
    [ 'no ending' => sub { $_[1]{endings} = 0 }, 'every accepted job has ended, once' ],
    [ 'a number is missing' => sub { $_[1]{whole} = 'f' }, 'no history has a hole' ],
    [ 'the result of another job' => sub { $_[1]{body} = 'made of l' }, 'every result is that of its own job' ],
    [
        'no reset' => sub {
            my $h = $_[0]{seen}[0]{histories};
            @$h = [ map { @$_ } @$h ];
        },
        $RESET,
        $MIXED
    ],
    [ 'told behind the reset' => sub { push @{ $told->($_[0], 1) }, 'kept 4 note 150000 230000' }, $RESET ],
    [ 'undone before the failover' => sub { $told->($_[0], 0)[1] = 'kept 2 processing 98000 99000' }, $TIME ],
    [
        'a new event behind an undone one' => sub { push @{ $told->($_[0], 0) }, 'kept 3 completed 220000 220001' },
        $MIXED
    ],
    [ 'told as lost, but there' => sub { push @{ $_[2] }, [ 0, 0, 0 ] }, 'no job was said not to exist that exists' ],
    [ 'the end was not heard' => sub { $_[0]{heard}[0]{last} = 2 }, 'every watcher knows the last event' ],
);
for my $case (@CASES) {
    my ($what, $change, @expected) = @$case;
    is_deeply found($change), \@expected, "$what: " . (@expected ? 'found' : 'nothing is found');
}

# What a sink got of two jobs, of one of which a failover undid event 3 and wrote another one.
my @AT = map { "2026-01-01T00:00:0$_.000Z" } 0 .. 9;
my %DUE = map { $_ => 1 } "a 1 $AT[1]", "a 2 $AT[2]", "a 3 $AT[6]", "b 1 $AT[3]";
my @GOT = ([ 'a', 1, $AT[1] ], [ 'a', 2, $AT[2] ], [ 'b', 1, $AT[3] ], [ 'a', 3, $AT[4] ], [ 'a', 3, $AT[6] ]);
my ($MISSING, $ORDER, $INVENTED) = map { "s: $_" } 'every event is delivered', 'the events of each job come in order',
    'nothing is delivered that is not there, unless a failover undid it';
sub delivered {
    my ($lists, %o) = @_;
    my $checker = Await::Deliveries->new(stored => {%DUE}, windows => $o{windows} // [ [ 3.5, 5 ] ]);
    my @promises = $checker->promises(s => $lists, from => $o{from} // 1, timeless => $o{timeless});
    my @found;
    while (my ($name, $broken) = splice @promises, 0, 2) { push @found, $name if @$broken }
    return [ \@found, $checker->counts ];
}
my $all_well = 's: 5 deliveries, 0 of them again, 1 undone';
my @DELIVERIES = (
    [ 'all is well' => [ \@GOT ], {}, $all_well ],
    [ 'again, from some place on' => [ [ @GOT, @GOT[ 1 .. 4 ] ] ], {}, 's: 9 deliveries, 4 of them again, 1 undone' ],
    [ 'none of one' => [ [ @GOT[ 0, 1, 3, 4 ] ] ], {}, undef, $MISSING ],
    [ 'only what was undone' => [ [ @GOT[ 0 .. 3 ] ] ], {}, undef, $MISSING ],
    [ 'another order' => [ [ @GOT[ 1, 0, 2 .. 4 ] ] ], {}, undef, $ORDER ],
    [ 'one is left out at first' => [ [ @GOT[ 0, 3, 1, 2, 4 ] ] ], {}, undef, $ORDER ],
    [ 'by two, one after the other' => [ [ @GOT[ 0 .. 2 ] ], [ @GOT[ 1, 3, 4 ] ] ], {} ],
    [ 'by two, one of which leaves one out' => [ [ @GOT[ 0 .. 2 ] ], [ @GOT[ 0, 3, 4 ] ] ], {}, undef, $ORDER ],
    [ 'undone before the failover' => [ \@GOT ], { windows => [ [ 5, 6 ] ] }, undef, $INVENTED ],
    [ 'undone without a failover' => [ \@GOT ], { windows => [] }, undef, $INVENTED ],
    [ 'of no such job' => [ [ @GOT, [ 'c', 1, $AT[2] ] ] ], {}, undef, $INVENTED ],
    [ 'from the second on' => [ [ map { $_->[1] > 1 ? $_ : () } @GOT ] ], { from => 2 } ],
    [ 'without times' => [ [ map { [ @$_[ 0, 1 ] ] } @GOT ] ], { timeless => 1 } ],
    [
        'without times, none of one' => [ [ map { [ @$_[ 0, 1 ] ] } @GOT[ 0 .. 2 ] ] ],
        { timeless => 1 }, undef, $MISSING
    ],
);
for my $case (@DELIVERIES) {
    my ($what, $lists, $options, $counts, @expected) = @$case;
    my ($found, $said) = @{ delivered($lists, %$options) };
    is_deeply $found, \@expected, "deliveries: $what: " . (@expected ? 'found' : 'nothing is found');
    is $said, $counts, "deliveries: $what: they are counted" if $counts;
}
finish();
