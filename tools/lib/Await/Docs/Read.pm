package Await::Docs::Read;

# What the checks of the documentation are made of: files, what patterns find in them, the tables of pages, and the
# difference of two sets.

use strict;
use warnings;
use File::Find;

use Exporter 'import';
our @EXPORT = qw(load slurp sites place once code_of tables rows_under named_under compare names $EDGE $MEND);

# the source of the nginx module; await-worker's is documented elsewhere
our $EDGE = qr{^src/(?!worker/)};
our $MEND = 'mend the checks in tools/lib/Await, which do not recognise it any more';

# --- reading ---------------------------------------------------------------------------------------------------------

# path => text of all files below $root that a check reads; others are there with an empty text, for links to them.
sub load {
    my ($root) = @_;
    my %files;
    find({
            no_chdir => 1,
            preprocess => sub {
                grep { !/^(?:\.git|build|node_modules)$/ } @_;
            },
            wanted => sub {
                my ($path) = m{^\Q$root\E/(.*)$} or return;
                $files{$path} = -f $_ && $path =~ m{\.(?:md|cc|h|sql)$} ? slurp($_) : '';
            },
        },
        $root
    );
    return \%files;
}

sub slurp { open my $file, '<', $_[0] or die "$_[0]: $!\n"; local $/; return scalar <$file> }

# What a pattern finds in the files whose paths match: { file, place ("file:line"), at, got => [its groups] }.
sub sites {
    my ($code, $paths, $pattern) = @_;
    return map {
        my $file = $_;
        @{ once($file, $code->{$file}, "sites $pattern", sub { sites_in($file, $_[0], $pattern) }) }
    } sort grep { $_ =~ $paths } keys %$code;
}

sub sites_in {
    my ($file, $text, $pattern) = @_;
    my @sites;
    while ($text =~ /$pattern/g) {
        my @got = @{^CAPTURE};
        push @sites, { file => $file, place => place($file, $text, $-[0]), at => $-[0], got => \@got };
    }
    return \@sites;
}

# What a function makes of a file's text: made again only when the text is another one. t/check_docs.t checks all files
# a hundred times, and each time one of them has changed.
my %made;

sub once {
    my ($file, $text, $what, $make) = @_;
    my $last = $made{$what}{$file};
    $last = $made{$what}{$file} = [ $text, $make->($text) ] unless $last && $last->[0] eq $text;
    return $last->[1];
}

sub place { my ($file, $text, $at) = @_; return "$file:" . (1 + (substr($text, 0, $at) =~ tr/\n//)) }

# The source without its comments; lines stay where they are.
sub code_of {
    my ($files) = @_;
    return { map { $_ => once($_, $files->{$_}, 'code', /\.sql$/ ? \&without_dashes : \&without_slashes) }
            grep { m{^(?:src|sql)/} } keys %$files };
}

sub without_dashes { my ($text) = @_; return $text =~ s/--[^\n]*//gr }
sub without_slashes { my ($text) = @_; return $text =~ s{("(?:\\.|[^"\\\n])*")|//[^\n]*}{$1 // ''}ger }

# The tables of a page: { line, head => [cells], rows => [{ line, cells }] }.
sub tables {
    my ($text) = @_;
    my (@tables, $table, $fenced);
    my $line = 0;
    for (split /\n/, $text, -1) {
        ++$line;
        $fenced = !$fenced if /^```/;
        if ($fenced || !/^\|(.*)\|\s*$/) { undef $table; next }
        my @cells = map { s/^\s+|\s+$//gr =~ s/\\\|/|/gr } split /(?<!\\)\|/, $1, -1;
        if (!$table) { push @tables, $table = { line => $line, head => \@cells, rows => [] } }
        elsif (grep { !/^:?-+:?$/ } @cells) {
            push @{ $table->{rows} }, { line => $line, cells => \@cells };
        }
    }
    return @tables;
}

# Of the tables whose first column has this head: the rows.
sub rows_under {
    my ($files, $page, $head) = @_;
    return map { @{ $_->{rows} } } grep { $_->{head}[0] eq $head } tables($files->{$page} // '');
}

# What the first column of such tables names in backticks: name => place.
sub named_under {
    my ($files, $page, $head, $pattern) = @_;
    my %named;
    for my $row (rows_under($files, $page, $head)) {
        $named{$_} //= "$page:$row->{line}" for map { /$pattern/ ? $1 : () } $row->{cells}[0] =~ /`([^`]+)`/g;
    }
    return \%named;
}

# --- comparing -------------------------------------------------------------------------------------------------------

# Complaints about two sets, name => place each.
sub compare {
    my ($what, $source, $documented, $where) = @_;
    return "src: no $what is found in the source: $MEND" unless %$source;
    my @complaints;
    for (sort keys %$source) {
        push @complaints, "$source->{$_}: the $what `$_` is not documented: add it to $where"
            unless exists $documented->{$_};
    }
    for (sort keys %$documented) {
        push @complaints,
            "$documented->{$_}: the source has no $what `$_`: remove it here, or write it as the source does"
            unless exists $source->{$_};
    }
    return @complaints;
}

# name => place of a pattern's first group.
sub names {
    my %names;
    $names{ $_->{got}[0] } //= $_->{place} for reverse @_;
    return \%names;
}

1;
