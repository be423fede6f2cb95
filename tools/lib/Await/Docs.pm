package Await::Docs;

# The documentation compared with the source, in both directions: what the source has must be documented, and what is documented
# must exist. Every complaint begins with file and line and says what to do. Files are found by what is in them, not by their
# paths, so that moving them breaks nothing; a check that finds nothing in the source complains of itself.

use strict;
use warnings;
use File::Find;

use Exporter 'import';
our @EXPORT_OK = qw(load complaints directives_page);

my $HTTP = 'docs/http.md';
my $VARIABLES = 'docs/variables.md';
my $METRICS = 'docs/directives/await_metrics.md';
my $INDEX = 'docs/directives.md';
my $MEND = 'mend tools/lib/Await/Docs.pm, which does not recognise it any more';
my %CONTEXTS = (
    NGX_HTTP_MAIN_CONF => 'http',
    NGX_HTTP_SRV_CONF  => 'server',
    NGX_HTTP_SIF_CONF  => 'if in server',
    NGX_HTTP_LOC_CONF  => 'location',
    NGX_HTTP_LIF_CONF  => 'if in location',
    NGX_HTTP_LMT_CONF  => 'limit_except',
);

# --- reading ---------------------------------------------------------------------------------------------------------

# path => text of all files below $root that a check reads; others are there with an empty text, for links to them.
sub load {
    my ($root) = @_;
    my %files;
    find({
            no_chdir   => 1,
            preprocess => sub { grep { !/^(?:\.git|build|node_modules)$/ } @_ },
            wanted     => sub {
                my ($path) = m{^\Q$root\E/(.*)$} or return;
                $files{$path} = -f $_ && $path =~ m{\.(?:md|cc|h|sql)$} ? slurp($_) : '';
            },
        },
        $root);
    return \%files;
}

sub slurp { open my $file, '<', $_[0] or die "$_[0]: $!\n"; local $/; return scalar <$file> }

# What a pattern finds in the files whose paths match: { file, place ("file:line"), at, got => [its groups] }.
sub sites {
    my ($code, $paths, $pattern) = @_;
    my @sites;
    for my $file (sort grep { $_ =~ $paths } keys %$code) {
        while ($code->{$file} =~ /$pattern/g) {
            my @got = @{^CAPTURE};
            push @sites, { file => $file, place => place($file, $code->{$file}, $-[0]), at => $-[0], got => \@got };
        }
    }
    return @sites;
}

sub place { my ($file, $text, $at) = @_; return "$file:" . (1 + (substr($text, 0, $at) =~ tr/\n//)) }

# The source without its comments; lines stay where they are.
sub code_of {
    my ($files) = @_;
    my %code;
    for my $file (grep { m{^(?:src|sql)/} } keys %$files) {
        my $text = $files->{$file};
        if ($file =~ /\.sql$/) { $text =~ s/--[^\n]*//g }
        else                   { $text =~ s{("(?:\\.|[^"\\\n])*")|//[^\n]*}{$1 // ''}ge }
        $code{$file} = $text;
    }
    return \%code;
}

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
        elsif (grep { !/^:?-+:?$/ } @cells) { push @{ $table->{rows} }, { line => $line, cells => \@cells } }
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
        push @complaints, "$source->{$_}: the $what `$_` is not documented: add it to $where" unless exists $documented->{$_};
    }
    for (sort keys %$documented) {
        push @complaints, "$documented->{$_}: the source has no $what `$_`: remove it here, or write it as the source does"
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

sub complaints {
    my ($files, $refusals) = @_;
    my $code = code_of($files);
    return map { $_->($files, $code, $refusals) } \&check_directives, \&check_index, \&check_links, \&check_metrics, \&check_variables,
        \&check_members, \&check_problems, \&check_states, \&check_event_types, \&check_operations, \&check_close_codes, \&check_headers,
        \&check_arguments, \&check_statuses;
}

# --- directives ------------------------------------------------------------------------------------------------------

# The rows of all command tables: { name, place, file, flags => [words], field, choices }.
sub commands {
    my ($code) = @_;
    my %macros = map { $_->{got}[0] => $_->{got}[1] } sites($code, qr{^src/}, qr/^#define (\w+) ([^\n]+)$/m);
    my $row = qr/\{\s*ngx_string\("(await_\w+)"\),\s*([^,]+?),\s*\w+,\s*\w+,\s*(?:offsetof\(\w+,\s*(\w+)\)|\w+),\s*&?(\w+)\s*\}/;
    return map {
        my ($name, $flags, $field) = @{ $_->{got} };
        1 while $flags =~ s/\b(\w+)\b/$macros{$1} && $macros{$1} ne $1 ? $macros{$1} : $1/ge && grep { $macros{$_} } $flags =~ /\w+/g;
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
    my %pages = map { m{^docs/directives/([^/]+)\.md$} ? ($1 => "$_:1") : () } keys %$files;
    my %readme;
    my $readme = $files->{'README.md'} // '';
    $readme{$1} //= place('README.md', $readme, $-[0]) while $readme =~ m{\(docs/directives/(\w+)\.md\)}g;
    my %names = map { $_->{name} => $_->{place} } @commands;
    my @complaints = (
        compare('directive', \%names, \%pages, 'a page docs/directives/<name>.md'),
        compare('directive', \%names, \%readme, 'the table of directives in README.md'));
    return @complaints, map { check_page($files, $code, $_) } grep { $pages{ $_->{name} } } @commands;
}

sub check_page {
    my ($files, $code, $command) = @_;
    my $path = "docs/directives/$command->{name}.md";
    my $text = $files->{$path};
    my $box = box($text);
    my %expected = (context => context_of($command), default => default_of($code, $command), syntax => syntax_of($command));
    my @complaints;
    push @complaints, "$path:1: the page begins with \"# $command->{name}\"" unless $text =~ /^# $command->{name}\n/;
    for my $row (qw(syntax default context since)) {
        my $said = $box->{$row};
        if (!$said) { push @complaints, "$path:1: the table lacks the row \"$row\": add it"; next }
        my $expected = $expected{$row} // next;
        my $found = $row eq 'context' ? $said->{text} : ($said->{text} =~ /`([^`]*)`/)[0] // $said->{text};
        push @complaints, "$path:$said->{line}: $row is \"$found\", but $command->{place} says \"$expected\": write that"
            unless $found =~ s/\s*\|\s*/ | /gr eq $expected;
    }
    my $since = $box->{since}{text} // '';
    push @complaints, "$path:$box->{since}{line}: write \"This directive appeared in version x.y.z.\""
        if $box->{since} && $since !~ /^This directive appeared in version \d+\.\d+\.\d+\.$/;
    push @complaints, "$path:1: the page says nothing below its table" unless first_sentence($text);
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
    return "$command->{name};" if $flags{NGX_CONF_NOARGS};
    return "$command->{name} on | off;" if $flags{NGX_CONF_FLAG};
    return undef;
}

# The default of a field as nginx's macros merge it, written as in a configuration; undef where the source does not say it there.
sub default_of {
    my ($code, $command) = @_;
    my $field = $command->{field} // return undef;
    my $merge = qr/\bngx_conf_(?:merge|init)_(\w+)_value\(\s*[^,]*?(?:\.|->)(\w+),\s*(?:[^,;]+,\s*)?([^,;]+?)\);/;
    my @found = grep { $_->{got}[1] eq $field } sites($code, qr{^src/}, $merge);
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
    return $value % 1000 ? "${value}ms" : $value / 1000 . 's' if $kind eq 'msec';
    return $value % 1048576 ? $value % 1024 ? $value : $value / 1024 . 'k' : $value / 1048576 . 'm' if $kind eq 'size';
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
        $out .= "\n$sentence [More](directives/$name.md)\n";
    }
    return $out;
}

# A link of a page in docs/directives as docs/ sees it.
sub beside { my ($link) = @_; return $link =~ s{^\.\./}{} ? $link : "directives/$link" }

sub check_index {
    my ($files) = @_;
    my @is = split /\n/, $files->{$INDEX} // '', -1;
    my @should = split /\n/, directives_page($files), -1;
    for my $i (0 .. ($#is > $#should ? $#is : $#should)) {
        next if ($is[$i] // '<end>') eq ($should[$i] // '<end>');
        return "$INDEX:" . ($i + 1) . ': the page is older than docs/directives/*.md, of which it is made: run "make docs"';
    }
    return;
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
            if (!exists $files->{$target}) { push @complaints, "$place: the link to $link leads nowhere: correct it"; next }
            next if !defined $anchor || $target !~ /\.md$/;
            $anchors{$target} //= anchors($files->{$target});
            push @complaints, "$place: $target has no heading or anchor #$anchor: correct the link" unless $anchors{$target}{$anchor};
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
        $said{$1} = { place => "$METRICS:$row->{line}", type => $type, labels => { map { ("$label=$_" => 1) } @values } } if $name =~ /^`(\w+)`$/;
    }
    my @complaints = compare('metric', { map { $_ => $source{$_}{place} } keys %source }, { map { $_ => $said{$_}{place} } keys %said }, "the table of $METRICS");
    for (sort grep { $said{$_} } keys %source) {
        my ($is, $doc) = ($source{$_}, $said{$_});
        push @complaints, "$doc->{place}: `$_` is a $doc->{type} here, but a $is->{type} in $is->{place}: write that" if $is->{type} ne $doc->{type};
        my ($labels, $written) = map { join ', ', sort keys %{ $_->{labels} } } $is, $doc;
        push @complaints, "$doc->{place}: the labels of `$_` are \"$written\" here, but \"$labels\" in $is->{place}: write those" if $labels ne $written;
    }
    return @complaints;
}

sub check_variables {
    my ($files, $code) = @_;
    my %home = map { $_->{file} => 1 } sites($code, qr{^src/}, qr/\bngx_http_add_variable\(/);
    my @sites = grep { $home{ $_->{file} } } sites($code, qr{^src/}, qr/(?:\{|ngx_str_t \w+ = ngx_string\()"(await_\w+)"(?:,|\))/);
    my %source = map { '$' . $_->{got}[0] . ($_->{got}[0] =~ /_$/ ? '<name>' : '') => $_->{place} } @sites;
    my @complaints = compare('variable', \%source, named_under($files, $VARIABLES, 'variable', qr/^(\$.*)$/), "the table of $VARIABLES");
    my %values;
    for my $site (sites($code, qr{^src/http/}, qr/\bdelivery = ([^;]*);/)) {
        $values{$_} //= $site->{place} for $site->{got}[0] =~ /"(\w+)"/g;
    }
    push @complaints, compare('value of $await_delivery', \%values, named_under($files, $VARIABLES, '`$await_delivery`', qr/^(\w+)$/), $VARIABLES);
    return @complaints;
}

# --- documents -------------------------------------------------------------------------------------------------------

# Each object that the source writes: from where its JsonWriter is made or taken on, all members that it is given.
sub objects {
    my ($code) = @_;
    my @objects;
    my $member = qr/\bJsonWriter\s+&?(\w+)\b(?!\()|\b(\w+)\.(?:text|number|boolean|null|raw|made)(?:_or_null)?\(\s*"(\w+)"/;
    my (%open, $file);
    for (sites($code, qr{^src/(?:wire|http)/(?!.*ticket\.cc$)|^src/http/}, $member)) {
        my ($made, $writer, $name) = @{ $_->{got} };
        %open = () if ($file // '') ne $_->{file};
        $file = $_->{file};
        if (defined $made) { push @objects, $open{$made} = {}; next }
        next unless $open{$writer};
        $open{$writer}{$name} //= $_->{place};
    }
    return grep { %$_ } @objects;
}

sub check_members {
    my ($files, $code) = @_;
    my @tables = map {
        my $table = $_;
        { line => $table->{line}, members => { map { $_->{cells}[0] =~ /^`(\w+)`$/ ? ($1 => "$HTTP:$_->{line}") : () } @{ $table->{rows} } } }
    } grep { $_->{head}[0] eq 'member' } tables($files->{$HTTP} // '');
    my @objects = objects($code);
    return "src: no document is found in the source: $MEND" unless @objects;
    return "$HTTP:1: there is no table of members" unless @tables;
    my (@complaints, %written);
    for my $object (@objects) {
        my $lacking = sub { my ($table) = @_; return grep { !$table->{members}{$_} } keys %$object };
        my ($best) = sort { $lacking->($a) <=> $lacking->($b) } @tables;
        for my $table (@tables) {
            next if $lacking->($table) && $table != $best;
            $written{"$table->{line} $_"} = 1 for keys %$object;
        }
        push @complaints, map { "$object->{$_}: the member `$_` is not documented: add it to the table of members at $HTTP:$best->{line}" }
            sort $lacking->($best);
    }
    for my $table (@tables) {
        push @complaints, map { "$table->{members}{$_}: the source writes no member `$_` here: remove it, or write it as the source does" }
            grep { !$written{"$table->{line} $_"} } sort keys %{ $table->{members} };
    }
    return @complaints;
}

sub check_problems {
    my ($files, $code) = @_;
    my (%source, %said, @complaints);
    $source{ $_->{got}[1] } = { place => $_->{place}, status => $_->{got}[0], title => $_->{got}[2] }
        for sites($code, qr{^src/}, qr/\{([45]\d\d), "([a-z-]+)", "([^"]+)"\}/);
    for my $row (rows_under($files, $HTTP, 'problem')) {
        my ($name) = $row->{cells}[0] =~ /`([a-z-]+)`/ or next;
        $said{$name} = { place => "$HTTP:$row->{line}", status => $row->{cells}[1], title => $row->{cells}[2] };
        push @complaints, "$said{$name}{place}: write <a id=\"problem-$name\"></a> before `$name`, so that links find it"
            unless $row->{cells}[0] =~ /<a id="problem-\Q$name\E">/;
    }
    push @complaints, compare('problem', { map { $_ => $source{$_}{place} } keys %source }, { map { $_ => $said{$_}{place} } keys %said }, "the table of problems in $HTTP");
    for my $name (sort grep { $said{$_} } keys %source) {
        for (qw(status title)) {
            push @complaints, "$said{$name}{place}: the $_ of `$name` is \"$said{$name}{$_}\" here, but \"$source{$name}{$_}\" in $source{$name}{place}: write that"
                if $said{$name}{$_} ne $source{$name}{$_};
        }
    }
    return @complaints;
}

sub check_states {
    my ($files, $code) = @_;
    my %source;
    for my $site (sites($code, qr{^src/core/}, qr/\{([^{}]*"pending"[^{}]*"expired"[^{}]*)\}/)) {
        $source{$_} //= $site->{place} for $site->{got}[0] =~ /"(\w+)"/g;
    }
    return compare('state', \%source, named_under($files, $HTTP, 'state', qr/^(\w+)$/), "the table of states in $HTTP");
}

# The names that the SQL functions keep for the server, in every list there is of them, and what the streams send.
sub check_event_types {
    my ($files, $code) = @_;
    my $said = named_under($files, $HTTP, 'event type', qr/^([\w.-]+)$/);
    my @complaints;
    my @lists = sites($code, qr{^sql/}, qr/[(\[{]([^()\[\]{}]*\bbatch\.ready\b[^()\[\]{}]*)[)\]}]/);
    return "sql: no list of reserved event types is found: $MEND" unless @lists;
    for my $list (@lists) {
        my %source = map { $_ => $list->{place} } $list->{got}[0] =~ /([a-z][a-z0-9_.-]*)/g;
        push @complaints, compare('reserved event type', \%source, $said, "the table of event types in $HTTP");
    }
    my $sent = names(sites($code, qr{^src/}, qr/\bsse_frame\([^,()]*, "(\w+)"/), sites($code, qr{^src/}, qr/\bpush_frame\("(\w+)"/));
    push @complaints, map { "$sent->{$_}: the event type `$_` is not documented: add it to the table of event types in $HTTP" } grep { !$said->{$_} } sort keys %$sent;
    return unique(@complaints);
}

sub unique { my %seen; return grep { !$seen{$_}++ } @_ }

# What is said on a WebSocket, by its member "op".
sub check_operations {
    my ($files, $code) = @_;
    my %wire = map { $_ => $code->{$_} } grep { m{^src/wire/} && $code->{$_} =~ /\bop\b/ } keys %$code;
    my $asked = names(sites(\%wire, qr/./, qr/\*?\bop [!=]= "(\w+)"/));
    my $said = names(sites(\%wire, qr/./, qr/"op", "(\w+)"/), sites(\%wire, qr/./, qr/"op":"(\w+)"/), sites(\%wire, qr/./, qr/\breturn \w+\("(\w+)", channel/));
    return compare('message of a client', $asked, named_under($files, $HTTP, 'the client sends', qr/^(\w+)$/), "its table in $HTTP"),
        compare('message of the server', $said, named_under($files, $HTTP, 'the server sends', qr/^(\w+)$/), "its table in $HTTP");
}

sub check_close_codes {
    my ($files, $code) = @_;
    my ($enum) = sites($code, qr{^src/}, qr/\benum \w*Close\w*[^{;]*\{([^}]*)\}/);
    return "src: no close codes are found: $MEND" unless $enum;
    my %codes = $enum->{got}[0] =~ /\b(k\w+) = (\d+)/g;
    my %used;
    for (sites($code, qr{^src/}, qr/(?<![<>]= )(wire::)?\b(k[A-Z]\w+)\b(?! =)/)) {
        my $number = $codes{ $_->{got}[1] } // next;
        $used{$number} //= $_->{place} if $_->{got}[0] || $_->{file} =~ m{^src/wire/};
    }
    my %said = map { $_->{cells}[0] =~ /^(\d{4})$/ ? ($1 => "$HTTP:$_->{line}") : () } rows_under($files, $HTTP, 'close code');
    return compare('close code', \%used, \%said, "the table of close codes in $HTTP");
}

# --- requests --------------------------------------------------------------------------------------------------------

sub check_headers {
    my ($files, $code) = @_;
    my $lower = sub { my ($names) = @_; return { map { lc $_ => $names->{$_} } keys %$names } };
    my $asked = $lower->(named_under($files, $HTTP, 'request header', qr/^([\w-]+)$/));
    my $given = $lower->(named_under($files, $HTTP, 'response header', qr/^([\w-]+)$/));
    my @complaints = (
        compare('request header', names(sites($code, qr{^src/http/}, qr/\b(?:own_|has_|each_)?header\(\w+, "([a-z-]+)"/)), $asked, "the table of request headers in $HTTP"),
        compare('response header', $lower->(names(sites($code, qr{^src/http/}, qr/\badd_header\(\w+, "([\w-]+)"/))), $given, "the table of response headers in $HTTP"));
    for my $list (sites($code, qr{^src/http/}, qr/\[\] =\s*((?:"[\w, -]+"\s*)+);/)) {
        my @names = map { lc } join('', $list->{got}[0] =~ /"([^"]*)"/g) =~ /[\w-]+/g;
        my ($which, $table) = (grep { $_ eq 'etag' } @names) ? (response => $given) : (grep { $_ eq 'prefer' } @names) ? (request => $asked) : next;
        push @complaints, map { "$list->{place}: the $which header `$_`, which await_cors names, is not documented: add it to $HTTP" } grep { !$table->{$_} } @names;
    }
    return @complaints;
}

sub check_arguments {
    my ($files, $code) = @_;
    my $source = names(sites($code, qr{^src/http/}, qr/\bargument\(\w+, "(\w+)"/), sites($code, qr{^src/http/}, qr/\bngx_http_arg\([^;"]*"(\w+)"/));
    return compare('query argument', $source, named_under($files, $HTTP, 'argument', qr/^(\w+)$/), "the table of query arguments in $HTTP");
}

# All statuses of the source, and what each endpoint refuses by the table of t/refusals_matrix.t, which is complete.
sub check_statuses {
    my ($files, $code, $refusals) = @_;
    my ($table) = grep { $_->{head}[0] eq 'status' } tables($files->{$HTTP} // '') or return "$HTTP:1: there is no table of statuses";
    my %said = map { $_->{cells}[0] => "$HTTP:$_->{line}" } @{ $table->{rows} };
    my $sent = names(sites($code, qr{^src/http/}, qr/\b(?:send\w*|Objection|refuse|answer)[({]+\s*(?:\w+, )?([1-5]\d\d)\b/), sites($code, qr{^src/http/}, qr/\b([45]\d\d),\s*"/));
    return "src: no status is found: $MEND" unless %$sent;
    my @complaints = map { "$sent->{$_}: the status $_ is not documented: add it to the table of statuses at $HTTP:$table->{line}" } grep { !$said{$_} } sort keys %$sent;
    my %written;
    for my $row (@{ $table->{rows} }) {
        my ($status, @marks) = @{ $row->{cells} };
        push @complaints, "$HTTP:$row->{line}: the source knows no status $status: remove it" unless grep { /\b$status\b/ } values %$code or $status == 101;
        for my $i (1 .. @marks) {
            my $endpoint = $table->{head}[$i] // '';
            $written{"$endpoint $status"} = "$HTTP:$row->{line}" if ($marks[ $i - 1 ] // '') eq '●' && $endpoint ne 'meaning';
        }
    }
    my %refused = map { ("$_->{action} $_->{status}" => $_->{name}) } grep { $_->{action} ne 'problem' } @$refusals;
    return @complaints, "t/lib/Await/Refusals.pm:1: it has no rows: $MEND" unless %refused;
    for (sort keys %refused) {
        my ($endpoint, $status) = split / /;
        push @complaints, "$HTTP:$table->{line}: $endpoint answers $status (\"$refused{$_}\" of t/lib/Await/Refusals.pm): mark it with ●" unless $written{$_};
    }
    for (sort keys %written) {
        my ($endpoint, $status) = split / /;
        push @complaints, "$written{$_}: no row of t/lib/Await/Refusals.pm shows that $endpoint answers $status: remove the mark, or add a row there"
            if $status =~ /^4/ && !$refused{$_};
    }
    return @complaints;
}

1;
