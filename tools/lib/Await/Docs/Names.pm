package Await::Docs::Names;

# Names of files, functions and types: those that the pages write in backticks, and the files that comments of the
# source name, must exist.

use strict;
use warnings;
use Await::Docs::Read;
use List::Util qw(any);

use Exporter 'import';
our @EXPORT = qw(check_names check_comments check_glossary);

my $LAYER = qr/base|core|wire|io|pg|redis|ngx|http|worker/;
my $GLOSSARY = 'docs/glossary.md';

sub check_names {
    my ($files, $code) = @_;
    my %functions = %{ names(sites($code, qr{^sql/}, qr/\b(?:FUNCTION|PROCEDURE) await\.(\w+)\s*\(/i)) };
    return "sql: no function is found in the source: $MEND" unless %functions;
    return map {
        my ($place, $span) = @$_;
        my @wrong = (lost_files($files, $span), lost_types($code, $span));
        push @wrong, grep { !$functions{ /(\w+)\(/ ? $1 : '' } } $span =~ /\bawait\.\w+\(/g;
        map { "$place: `$_` does not exist: correct the name" } @wrong;
    } map {
        my $file = $_;
        @{ once($file, $files->{$file}, 'spans', sub { [ spans($file, $_[0]) ] }) }
    } sort grep { /\.md$/ } keys %$files;
}

# The code spans of a page outside its examples: [place, text].
sub spans {
    my ($file, $text) = @_;
    $text =~ s/^( *```.*?^ *```)/$1 =~ s{[^\n]}{}gr/gems;
    my @spans;
    push @spans, [ place($file, $text, $-[0]), $1 ] while $text =~ /`(?!-- )([^`\n]+)`/g;    # not a line of SQL
    return @spans;
}

# What a span names by a path that is not there; `core/hub` is src/core/hub.h or .cc, `*` is any name.
sub lost_files {
    my ($files, $span) = @_;
    my ($path) = $span =~ m{^((?:(?:src|t|sql|tools)|$LAYER)/[\w./*-]*)} or return;
    my @names = $path =~ m{^$LAYER/} ? map { "src/$path$_" } '', '.h', '.cc' : $path;
    return () if grep { exists $files->{$_} } @names;
    my $pattern = join '[^/]*', map { quotemeta } split /\*+/, $path =~ s{/$}{}r, -1;
    $pattern = $path =~ m{^$LAYER/} ? qr/^src\/$pattern(?:\.h|\.cc)?$/ : qr/^$pattern$/;
    return (grep { $_ =~ $pattern } keys %$files) ? () : $path;
}

# The same of `core::Hub`.
sub lost_types {
    my ($code, $span) = @_;
    my @lost;
    while ($span =~ /\b($LAYER)::(\w+)/g) {
        my ($layer, $name) = ($1, $2);
        push @lost, "${layer}::$name"
            unless any { m{^src/$layer/} && index($code->{$_}, $name) >= 0 && $code->{$_} =~ /\b$name\b/ } keys %$code;
    }
    return @lost;
}

# Files that comments name with their folder: "http/exchange/respond.cc".
sub check_comments {
    my ($files) = @_;
    my $named = qr{//[^\n]*?(?<![\w/.])((?:(?:src|t|sql|tools)|$LAYER)/[\w./-]+\.(?:cc|h|sql|t|pml))\b};
    return map { "$_->{place}: $_->{got}[0] does not exist: correct the name" }
        grep { my $path = $_->{got}[0]; !exists $files->{$path} && !exists $files->{"src/$path"} }
        sites($files, qr{^(?:src|t)/.*\.(?:cc|h)$}, $named);
}

sub check_glossary {
    my ($files) = @_;
    my @rows = rows_under($files, $GLOSSARY, 'word');
    return "$GLOSSARY:1: the page defines no words: add a table \"word, meaning\"" unless @rows;
    return map { "$GLOSSARY:$_->{line}: the word has no meaning: add one" }
        grep { ($_->{cells}[0] // '') eq '' || ($_->{cells}[1] // '') eq '' } @rows;
}

1;
