package Await::RefusalSource;

# The refusals that stand in the source: t/refusals_matrix.t compares them with its table.

use strict;
use warnings;

use Exporter 'import';
our @EXPORT = qw(refusals_in_source);

# A bracket's content as it stands in the source, up to its end.
sub rest_of_bracket {
    my ($text) = @_;
    my ($depth, $out) = (1, '');
    while ($text =~ /\G("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|.)/gs) {
        my $token = $1;
        $depth += $token =~ /^[({[]$/ ? 1 : $token =~ /^[)}\]]$/ ? -1 : 0;
        return $out if $depth == 0;
        $out .= $token;
    }
    return $out;
}

# What src/http refuses, by status and words, whatever the function is called: a status first, the words after it in the
# same brackets; and what is of one status always. Also the actions (of add_action) and the files that have handlers of
# a phase.
sub refusals_in_source {
    my ($root) = @_;
    my %status = (send_unavailable => 503, ask_for_upgrade => 426, challenge => 401);
    my (@sites, %actions, %guards);
    for my $file (glob "$root/src/http/*/*.cc") {
        my ($name) = $file =~ m{([^/]+)$};
        open my $in, '<', $file or die "$file: $!";
        my $text = do { local $/; <$in> };
        $text =~ s{//[^\n"]*$}{}mg;
        $actions{$1} = $name while $text =~ /add_action\(\s*cf,\s*&\w+::(\w+)/g;
        $guards{$name} = 1 if $text =~ /\badd_(?:phase|access)_handler\(\s*cf,/;
        my $calls = join '|', keys %status;
        while ($text =~ /\G(?:("(?:\\.|[^"\\])*")|\b([45]\d\d)\s*,|\b($calls)\s*\(|.)/gs) {
            my ($status, $call) = ($2, $3);
            next unless $status || $call;
            my $rest = rest_of_bracket(substr $text, pos $text);
            my @words = grep { / / } map { s/\\(.)/$1/gr } $rest =~ /"((?:\\.|[^"\\])*)"/g;
            next if $call && !@words;      # its definition, or what passes one on
            push @sites,
                { file => $name, status => $status // $status{$call}, words => \@words, text => join('…', @words) };
        }
    }
    return (\@sites, [ sort keys %actions ], [ sort grep { $_ ne 'access.cc' } keys %guards ]);
}

1;
