package Await::Docs;

# The documentation compared with the source, in both directions: what the source has must be documented, and what is
# documented must exist. Every complaint begins with file and line and says what to do. Sources are found by what is in
# them, not by their paths, so that moving them breaks nothing; a check that finds nothing in the source complains of
# itself.

use strict;
use warnings;
use Await::Docs::Http;
use Await::Docs::Names;
use Await::Docs::Read;

use Exporter 'import';
our @EXPORT_OK = qw(load complaints directives_page);

my $HTTP = 'docs/http.md';
my $VARIABLES = 'docs/variables.md';
my $METRICS = 'docs/directives/await_metrics.md';
my $INDEX = 'docs/directives.md';
my %CONTEXTS = (
    NGX_HTTP_MAIN_CONF => 'http',
    NGX_HTTP_SRV_CONF => 'server',
    NGX_HTTP_SIF_CONF => 'if in server',
    NGX_HTTP_LOC_CONF => 'location',
    NGX_HTTP_LIF_CONF => 'if in location',
    NGX_HTTP_LMT_CONF => 'limit_except',
);

# All complaints. The refusals are the rows of t/lib/Await/Refusals.pm.
sub complaints {
    my ($files, $refusals) = @_;
    my $code = code_of($files);
    return map { $_->($files, $code, $refusals) } \&check_directives, \&check_index, \&check_quotes, \&check_links,
        \&check_metrics,
        \&check_variables,
        \&check_members, \&check_problems, \&check_states, \&check_event_types, \&check_operations,
        \&check_close_codes, \&check_headers,
        \&check_arguments, \&check_statuses,
        \&check_names, \&check_comments, \&check_glossary;
}

# --- directives ------------------------------------------------------------------------------------------------------

# The rows of all command tables: { name, place, file, flags => [words], field }.
sub commands {
    my ($code) = @_;
    my %macros = map { $_->{got}[0] => $_->{got}[1] } sites($code, qr{^src/}, qr/^#define (\w+) \(?(NGX_[^\n)]+)\)?$/m);
    my $macro = join '|', keys %macros;
    my $row = qr/
        \{\s*ngx_string\("(await(?:_\w+)?)"\),\s*([^,]+?),\s*\w+,\s*\w+,
        \s*(?:offsetof\(\w+,\s*(\w+)\)|\w+),\s*&?\w+\s*\}/x;
    return map {
        my ($name, $flags, $field) = @{ $_->{got} };
        1 while %macros && $flags =~ s/\b($macro)\b/$macros{$1}/g;
        { name => $name, place => $_->{place}, file => $_->{file}, flags => [ $flags =~ /\w+/g ], field => $field }
    } sites($code, qr{^src/.*\.cc$}, $row);
}

# syntax, default, context and since of a directive's page: each { line, text }.
sub box {
    my ($page) = @_;
    my ($table) = tables($page);
    my %box;
    for my $row (@{ $table ? $table->{rows} : [] }) {
        my ($key, $text) = @{ $row->{cells} };
        $box{ $key eq '' ? 'since' : $key } = { line => $row->{line}, text => $text };
    }
    return \%box;
}

sub check_directives {
    my ($files, $code) = @_;
    my @commands = commands($code);
    my $merge = qr/\bngx_conf_(?:merge|init)_(?:(\w+)_)?value\(\s*[^,]*?(?:\.|->)(\w+),\s*(?:[^,;]+,\s*)?([^,;]+?)\);/;
    my @merges = sites($code, qr{^src/}, $merge);
    my %pages = map { m{^docs/directives/([^/]+)\.md$} ? ($1 => "$_:1") : () } keys %$files;
    my %readme;
    my $readme = $files->{'README.md'} // '';
    $readme{$1} //= place('README.md', $readme, $-[0]) while $readme =~ m{\(docs/directives/(\w+)\.md\)}g;
    my %names = map { $_->{name} => $_->{place} } @commands;
    my @complaints = (
        compare('directive', \%names, \%pages, 'a page docs/directives/<name>.md'),
        compare('directive', \%names, \%readme, 'the table of directives in README.md'));
    return @complaints, map { check_page($files, $code, \@merges, $_) } grep { $pages{ $_->{name} } } @commands;
}

sub check_page {
    my ($files, $code, $merges, $command) = @_;
    my $path = "docs/directives/$command->{name}.md";
    my $text = $files->{$path};
    my $box = box($text);
    my %expected = (
        context => context_of($command),
        default => default_of($code, $merges, $command),
        syntax => syntax_of($command));
    my @complaints;
    push @complaints, "$path:1: the page begins with \"# $command->{name}\"" unless $text =~ /^# $command->{name}\n/;
    for my $row (qw(syntax default context since)) {
        my $said = $box->{$row};
        if (!$said) { push @complaints, "$path:1: the table lacks the row \"$row\": add it"; next }
        my $expected = $expected{$row} // next;
        my $found = $row eq 'context' ? $said->{text} : ($said->{text} =~ /`([^`]*)`/)[0] // $said->{text};
        push @complaints,
            "$path:$said->{line}: $row is \"$found\", but $command->{place} says \"$expected\": write that"
            unless $found =~ s/\s*\|\s*/ | /gr eq $expected;
    }
    my $since = $box->{since};
    push @complaints, "$path:$since->{line}: write \"This directive appeared in version x.y.z.\""
        if $since && $since->{text} !~ /^This directive appeared in version \d+\.\d+\.\d+\.$/;
    push @complaints, "$path:1: the page says nothing below its table" unless first_sentence($text);
    my ($example) = $text =~ /^```nginx\n(.*?)^```/ms;
    push @complaints, "$path:1: the first nginx example of the page must use $command->{name}: add it"
        unless ($example // '') =~ /(?<![\w\$])$command->{name}(?!\w)[^;]*;/;
    return @complaints;
}

sub context_of {
    my ($command) = @_;
    return join ', ', map { $CONTEXTS{$_} // (/^NGX_CONF_/ ? () : "unknown $_") } @{ $command->{flags} };
}

# Of flags and of what takes no argument; of all else the page may say it as it likes.
sub syntax_of {
    my ($command) = @_;
    my %flags = map { $_ => 1 } @{ $command->{flags} };
    return "$command->{name};" if $flags{NGX_CONF_NOARGS} && !grep { /TAKE/ } keys %flags;
    return "$command->{name} on | off;" if $flags{NGX_CONF_FLAG};
    return undef;
}

# The default of a field as nginx's macros merge it, as a configuration has it; undef where they do not say it.
sub default_of {
    my ($code, $merges, $command) = @_;
    my $field = $command->{field} // return undef;
    my @found = grep { $_->{got}[1] eq $field } @$merges;
    my @near = grep { $_->{file} eq $command->{file} } @found;
    my ($kind, undef, $value) = @{ (@near ? $near[0] : @found == 1 ? $found[0] : return undef)->{got} };
    return $1 if $value =~ /^"(.*)"$/;
    if ($value =~ /^k[A-Z]/) {
        my ($choice) = sites($code, qr{^src/}, qr/\{ngx_string\("(\w+)"\), $value\}/);
        return $choice ? $choice->{got}[0] : undef;
    }
    return undef if $value !~ /^\d+$/;
    return $value ? 'on' : 'off' if grep { $_ eq 'NGX_CONF_FLAG' } @{ $command->{flags} };
    return '0' if $value == 0;
    return $value % 1000 ? "${value}ms" : $value / 1000 . 's' if ($kind // '') eq 'msec';
    return $value % 1048576 ? $value % 1024 ? $value : $value / 1024 . 'k' : $value / 1048576 . 'm'
        if ($kind // '') eq 'size';
    return $value;
}

# The first sentence below the table, on one line.
sub first_sentence {
    my ($page) = @_;
    my ($paragraph) = $page =~ /^(?:\|[^\n]*\n)+\s*\n((?:[^|`#\s][^\n]*|`[^`][^\n]*)(?:\n[^\n]+)*)/m or return undef;
    $paragraph =~ s/\n/ /g;
    $paragraph =~ s/^(.*?[.!?])\s+(?=[A-Z`\[*(]).*$/$1/s;
    return $paragraph;
}

# docs/directives.md, made of the pages.
sub directives_page {
    my ($files) = @_;
    my @names = sort map { m{^docs/directives/(\w+)\.md$} ? $1 : () } keys %$files;
    my $out = <<'TEXT';
# Directives

<!-- made by tools/make-directives of docs/directives/*.md: edit those, then `make docs` -->

All directives with their syntax, default and context. Each has a page with details and an example.

TEXT
    $out .= join(" ·\n", map { "[$_](#$_)" } @names) . "\n";
    for my $name (@names) {
        my $page = $files->{"docs/directives/$name.md"};
        my $box = box($page);
        $out .= "\n## $name\n\n| | |\n|---|---|\n";
        for my $row (qw(syntax default context)) {
            my $text = ($box->{$row} ? $box->{$row}{text} : '') =~ s/\|/\\|/gr;
            $out .= "| $row | $text |\n";
        }
        my $sentence = first_sentence($page) // '';
        $sentence =~ s{\]\((?!https?:|#)([^)]+)\)}{'](' . beside($1) . ')'}ge;
        $out .= "\n" . wrapped("$sentence [More](directives/$name.md)");
    }
    return $out;
}

# Lines of at most 120 columns, which break neither links nor code.
sub wrapped {
    my ($text) = @_;
    my @lines = ('');
    for my $word ($text =~ /(?:`[^`]*`|\[[^\]]*\]\([^)]*\)|\S)+/g) {
        if ($lines[-1] eq '') { $lines[-1] = $word }
        elsif (length("$lines[-1] $word") <= 120) { $lines[-1] .= " $word" }
        else { push @lines, $word }
    }
    return join '', map { "$_\n" } @lines;
}

# A link of a page in docs/directives as docs/ sees it.
sub beside { my ($link) = @_; return $link =~ s{^\.\./}{} ? $link : "directives/$link" }

sub check_index {
    my ($files) = @_;
    my @is = split /\n/, $files->{$INDEX} // '', -1;
    my @should = split /\n/, directives_page($files), -1;
    for my $i (0 .. ($#is > $#should ? $#is : $#should)) {
        next if ($is[$i] // '<end>') eq ($should[$i] // '<end>');
        return
              "$INDEX:"
            . ($i + 1)
            . ': the page is older than docs/directives/*.md, of which it is made: run "make docs"';
    }
    return;
}

# Defaults that a page quotes, as "[await_hold_max](…), 55 s": each is that of the directive's own page.
sub check_quotes {
    my ($files) = @_;
    my $text = $files->{$HTTP} // '';
    my @complaints;
    while ($text =~ m{\[(await_\w+)\]\([^)]*\),? \(?(\d[\d,]*)( ?(?:s|KB|MB))?(?= \||\)|\.|;)}g) {
        my ($name, $number, $unit) = ($1, $2, $3 // '');
        my $place = place($HTTP, $text, $-[0]);
        my $quoted = ($number =~ s/,//gr) . lc(substr $unit =~ s/ //r, 0, 1);
        my $box = box($files->{"docs/directives/$name.md"} // '');
        my ($default) = map { $_->{text} =~ /`(\S+)`/ } grep { $_ } $box->{default};
        push @complaints, "$place: the default of $name is \"$quoted\" here, but \"$default\" on its page: write that"
            if defined $default && $default ne $quoted;
    }
    return @complaints;
}

# --- links -----------------------------------------------------------------------------------------------------------

# What GitHub makes of a heading, and the anchors that stand in a page.
sub anchors {
    my ($text) = @_;
    my %anchors = map { $_ => 1 } $text =~ /<a id="([^"]+)">/g;
    $text =~ s/^```.*?^```//gms;
    for my $heading ($text =~ /^#+ +(.*?)\s*$/mg) {
        $heading =~ s/\[([^\]]*)\]\([^)]*\)/$1/g;
        $anchors{ lc($heading) =~ s/[^\w\- ]//gr =~ s/ /-/gr } = 1;
    }
    return \%anchors;
}

sub check_links {
    my ($files) = @_;
    my (@complaints, %anchors);
    for my $file (sort grep { /\.md$/ } keys %$files) {
        my $text = $files->{$file};
        my ($dir) = $file =~ m{^(.*/)?};
        while ($text =~ /\]\(([^)#\s]*)(?:#([^)\s]+))?[^)]*\)/g) {
            my ($link, $anchor, $place) = ($1, $2, place($file, $text, $-[0]));
            next if $link =~ /^(?:https?:|mailto:)/ || ($link eq '' && !defined $anchor);
            my $target = $link eq '' ? $file : ($dir // '') . $link;
            1 while $target =~ s{(^|/)(?!\.\./)[^/]+/\.\.(?:/|$)}{$1};
            $target =~ s{(?:^\./|/\.?$)}{}g;
            if (!exists $files->{$target}) {
                push @complaints, "$place: the link to $link leads nowhere: correct it";
                next;
            }
            next if !defined $anchor || $target !~ /\.md$/;
            $anchors{$target} //= anchors($files->{$target});
            push @complaints, "$place: $target has no heading or anchor #$anchor: correct the link"
                unless $anchors{$target}{$anchor};
        }
    }
    return @complaints;
}

# --- metrics and variables -------------------------------------------------------------------------------------------

sub check_metrics {
    my ($files, $code) = @_;
    my (%source, %said);
    for (sites($code, qr{^src/}, qr/\{(Gauge|Counter)::\w+,\s*"(await_\w+)(?:\{(\w+)=\\"(\w+)\\"\})?"/)) {
        my ($type, $name, $label, $value) = @{ $_->{got} };
        $source{$name} //= { place => $_->{place}, type => lc $type, labels => {} };
        $source{$name}{labels}{"$label=$value"} = 1 if defined $label;
    }
    for my $row (rows_under($files, $METRICS, 'metric')) {
        my ($name, $type, $labels) = @{ $row->{cells} };
        my ($label, @values) = $labels =~ /`([^`]+)`/g;
        $said{$1} =
            { place => "$METRICS:$row->{line}", type => $type, labels => { map { ("$label=$_" => 1) } @values } }
            if $name =~ /^`(\w+)`$/;
    }
    my @complaints = compare(
        'metric',
        { map { $_ => $source{$_}{place} } keys %source },
        { map { $_ => $said{$_}{place} } keys %said },
        "the table of $METRICS"
    );
    for (sort grep { $said{$_} } keys %source) {
        my ($is, $doc) = ($source{$_}, $said{$_});
        push @complaints, "$doc->{place}: `$_` is a $doc->{type} here, but a $is->{type} in $is->{place}: write that"
            if $is->{type} ne $doc->{type};
        my ($labels, $written) = map { join ', ', sort keys %{ $_->{labels} } } $is, $doc;
        push @complaints,
            "$doc->{place}: the labels of `$_` are \"$written\" here, but \"$labels\" in $is->{place}: write those"
            if $labels ne $written;
    }
    return @complaints;
}

sub check_variables {
    my ($files, $code) = @_;
    my %home = map { $_->{file} => 1 } sites($code, qr{^src/}, qr/\bngx_http_add_variable\(/);
    my @sites = grep { $home{ $_->{file} } }
        sites($code, qr{^src/}, qr/(?:\{|ngx_str_t \w+ = ngx_string\()"(await_\w+)"(?:,|\))/);
    my %source = map { '$' . $_->{got}[0] . ($_->{got}[0] =~ /_$/ ? '<name>' : '') => $_->{place} } @sites;
    my @complaints = compare(
        'variable', \%source,
        named_under($files, $VARIABLES, 'variable', qr/^(\$.*)$/),
        "the table of $VARIABLES"
    );
    my %values;
    for my $site (sites($code, $EDGE, qr/\bdelivery = ([^;]*);/)) {
        $values{$_} //= $site->{place} for $site->{got}[0] =~ /"(\w+)"/g;
    }
    push @complaints,
        compare('value of $await_delivery',
        \%values, named_under($files, $VARIABLES, '`$await_delivery`', qr/^(\w+)$/), $VARIABLES);
    return @complaints;
}

1;
