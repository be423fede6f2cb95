package Await::Docs::Http;

# docs/http.md compared with the source.

use strict;
use warnings;
use Await::Docs::Read;

use Exporter 'import';
our @EXPORT =
    qw(check_members check_problems check_states check_event_types check_operations check_close_codes check_headers
    check_arguments check_statuses);

my $HTTP = 'docs/http.md';
my $RELAY = 'docs/relay.md';    # what await-relay writes
my $KAFKA = 'docs/kafka.md';

# --- documents -------------------------------------------------------------------------------------------------------

# Each object that the source writes: from where its JsonWriter is made or taken on, all members that it is given.
sub objects {
    my ($code) = @_;
    my @objects;
    my $member =
        qr/\bJsonWriter\s+&?(\w+)\b(?!\()|\b(\w+)\.(?:text|number|boolean|null|raw|made)(?:_or_null)?\(\s*"(\w+)"/;
    my %writing = map { $_ => $code->{$_} } grep { $code->{$_} =~ /JsonWriter/ } keys %$code;
    my (%open, $file);    # not of tickets, recorded requests, targets of webhooks and the console, which are not for clients
    for (sites(\%writing, qr{^src/(?!worker/|wire/(?:.*ticket|replay|webhook_target)\.cc$|.*/(?:console|node_report))}, $member)) {
        my ($made, $writer, $name) = @{ $_->{got} };
        %open = () if ($file // '') ne $_->{file};
        $file = $_->{file};
        if (defined $made) { push @objects, $open{$made} = {}; next }
        next unless $open{$writer};
        $open{$writer}{$name} //= $_->{place};
    }
    return grep { %$_ } @objects;
}

# The tables of members of a page: where each is, and its members.
sub member_tables {
    my ($files, $page) = @_;
    return map {
        my $table = $_;
        {
            place => "$page:$table->{line}",
            members => { map { $_->{cells}[0] =~ /^`(\w+)`$/ ? ($1 => "$page:$_->{line}") : () } @{ $table->{rows} } } }
    } grep { $_->{head}[0] eq 'member' } tables($files->{$page} // '');
}

sub check_members {
    my ($files, $code) = @_;
    my @tables = map { member_tables($files, $_) } $HTTP, $RELAY, $KAFKA;
    my @objects = objects($code);
    return "src: no document is found in the source: $MEND" unless @objects;
    return "$HTTP:1: there is no table of members" unless @tables;
    my (@complaints, %written);
    for my $object (@objects) {
        my $lacking = sub {
            my ($table) = @_;
            return grep { !$table->{members}{$_} } keys %$object;
        };
        my $file = (values %$object)[0];
        my $page = $file =~ m{^src/(?:wire/)?relay} ? $RELAY : $file =~ m{/cloud_event} ? $KAFKA : $HTTP;
        my @of_page = grep { $_->{place} =~ /^\Q$page\E:/ } @tables or next;
        my ($best) = sort { $lacking->($a) <=> $lacking->($b) } @of_page;
        for my $table (@of_page) {
            next if $lacking->($table) && $table != $best;
            $written{"$table->{place} $_"} = 1 for keys %$object;
        }
        push @complaints, map {
            "$object->{$_}: the member `$_` is not documented: add it to the table of members at $best->{place}"
            }
            sort $lacking->($best);
    }
    for my $table (@tables) {
        push @complaints, map {
            "$table->{members}{$_}: the source writes no member `$_` here: remove it, or write it as the source does"
            }
            grep { !$written{"$table->{place} $_"} } sort keys %{ $table->{members} };
    }
    return @complaints;
}

# A cell without links and marks, as the pages of the problem types show it.
sub plain { my ($text) = @_; return $text =~ s/\[([^\]]*)\]\([^)]*\)/$1/gr =~ s/`//gr }

sub check_problems {
    my ($files, $code) = @_;
    my (%source, %said, @complaints);
    for (sites($code, qr{^src/}, qr/\{([45]\d\d), "([a-z-]+)", "([^"]+)",((?:\s*"(?:\\.|[^"\\])*")+)\}/)) {
        my ($status, $name, $title, $when) = @{ $_->{got} };
        $when = join '', $when =~ /"((?:\\.|[^"\\])*)"/g;
        $source{$name} = { place => $_->{place}, status => $status, title => $title, when => $when =~ s/\\(.)/$1/gr };
    }
    for my $row (rows_under($files, $HTTP, 'problem')) {
        my ($name) = $row->{cells}[0] =~ /`([a-z-]+)`/ or next;
        $said{$name} = { place => "$HTTP:$row->{line}", status => $row->{cells}[1], title => $row->{cells}[2],
            when => plain($row->{cells}[3]) };
        push @complaints,
            "$said{$name}{place}: write <a id=\"problem-$name\"></a> before `$name`, so that links find it"
            unless $row->{cells}[0] =~ /<a id="problem-\Q$name\E">/;
    }
    push @complaints,
        compare(
        'problem',
        { map { $_ => $source{$_}{place} } keys %source },
        { map { $_ => $said{$_}{place} } keys %said },
        "the table of problems in $HTTP"
        );
    for my $name (sort grep { $said{$_} } keys %source) {
        for (qw(status title when)) {
            push @complaints,
                "$said{$name}{place}: the $_ of `$name` is \"$said{$name}{$_}\" here, but \"$source{$name}{$_}\" in "
                . "$source{$name}{place}: write that"
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
    my @lists = sites($code, qr{^sql/}, qr/[(\[{]([^()\[\]{}]*\bbatch\.ready\b[^()\[\]{}]*)[)\]}]/);
    for my $list (@lists) {
        my $quote = $list->{got}[0] =~ /'/ ? "'" : '';    # '{a,b}' has them bare; a dump puts ::text behind each
        $list->{names} = { map { $_ => 1 } $list->{got}[0] =~ /$quote([a-z][a-z0-9_.-]*)$quote/g };
    }
    @lists = grep { keys %{ $_->{names} } > 3 } @lists;    # else the arguments of a call
    my %source;
    for my $list (@lists) { $source{$_} //= $list->{place} for keys %{ $list->{names} } }
    my @complaints = compare('reserved event type', \%source, $said, "the table of event types in $HTTP");
    for my $list (@lists) {
        push @complaints, map {
            "$list->{place}: the list of reserved event types lacks `$_`, which $source{$_} has: write both alike"
            }
            grep { !$list->{names}{$_} } sort keys %source;
    }
    my $sent = names(
        sites($code, qr{^src/(?!.*/console)}, qr/\bsse_frame\([^,()]*, "(\w+)"/),
        sites($code, qr{^src/}, qr/\bpush_state\("(\w+)"/));
    push @complaints, "src: no frame of a stream is found in the source: $MEND" unless %$sent;
    push @complaints,
        map { "$sent->{$_}: the event type `$_` is not documented: add it to the table of event types in $HTTP" }
        grep { !$said->{$_} } sort keys %$sent;
    return @complaints;
}

# What is said on a WebSocket, by its member "op".
sub check_operations {
    my ($files, $code) = @_;
    my %wire = map { $_ => $code->{$_} } grep { m{^src/wire/} && $code->{$_} =~ /\bop\b/ } keys %$code;
    my $asked = names(sites(\%wire, qr/./, qr/\*?\bop [!=]= "(\w+)"/));
    my $said = names(
        sites(\%wire, qr/./, qr/"op", "(\w+)"/),
        sites(\%wire, qr/./, qr/"op":"(\w+)"/),
        sites(\%wire, qr/./, qr/\breturn \w+\("(\w+)", channel/));
    return compare(
        'message of a client',
        $asked,
        named_under($files, $HTTP, 'the client sends', qr/^(\w+)$/),
        "its table in $HTTP"
        ),
        compare(
        'message of the server',
        $said,
        named_under($files, $HTTP, 'the server sends', qr/^(\w+)$/),
        "its table in $HTTP"
        );
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
    my %said =
        map { $_->{cells}[0] =~ /^(\d{4})$/ ? ($1 => "$HTTP:$_->{line}") : () } rows_under($files, $HTTP, 'close code');
    return compare('close code', \%used, \%said, "the table of close codes in $HTTP");
}

# --- requests --------------------------------------------------------------------------------------------------------

sub check_headers {
    my ($files, $code) = @_;
    my $lower = sub {
        my ($names) = @_;
        return { map { lc $_ => $names->{$_} } keys %$names };
    };
    my $asked = $lower->(named_under($files, $HTTP, 'request header', qr/^([\w-]+)$/));
    my $given = $lower->(named_under($files, $HTTP, 'response header', qr/^([\w-]+)$/));
    my @complaints = (
        compare(
            'request header',
            names(sites($code, $EDGE, qr/\b(?:own_|has_|each_)?header\(\w+, "([a-z-]+)"/)),
            $asked, "the table of request headers in $HTTP"
        ),
        compare(
            'response header',
            $lower->(names(sites($code, $EDGE, qr/\badd_header\(\w+, "([\w-]+)"/))),
            $given, "the table of response headers in $HTTP"
        ));
    my %listed;
    for my $list (sites($code, $EDGE, qr/\[\] =\s*((?:"[\w, -]+"\s*)+);/)) {
        my %names = map { lc $_ => 1 } join('', $list->{got}[0] =~ /"([^"]*)"/g) =~ /[\w-]+/g;
        my $which = $names{prefer} ? 'request' : $names{etag} ? 'response' : next;
        my $table = $which eq 'request' ? $asked : $given;
        $listed{$which} = 1;
        push @complaints,
            map { "$list->{place}: the $which header `$_`, which await_cors names, is not documented: add it to $HTTP" }
            grep { !$table->{$_} } sort keys %names;
    }
    push @complaints, "src: the headers that await_cors names are not found in the source: $MEND"
        unless keys %listed == 2;
    return @complaints;
}

sub check_arguments {
    my ($files, $code) = @_;
    my $source = names(sites($code, $EDGE, qr/\bargument\(\w+, "(\w+)"/),
        sites($code, $EDGE, qr/\bngx_http_arg\([^;"]*"(\w+)"/));
    return compare(
        'query argument',
        $source,
        named_under($files, $HTTP, 'argument', qr/^(\w+)$/),
        "the table of query arguments in $HTTP"
    );
}

# All statuses of the source, and what each endpoint refuses by the table of t/refusals_matrix.t, which is complete.
sub check_statuses {
    my ($files, $code, $refusals) = @_;
    my ($table) = grep { $_->{head}[0] eq 'status' } tables($files->{$HTTP} // '')
        or return "$HTTP:1: there is no table of statuses";
    my %said = map { $_->{cells}[0] => "$HTTP:$_->{line}" } @{ $table->{rows} };
    my $sent = names(sites($code, $EDGE, qr/\b(?:send\w*|Objection|refuse|answer)[({]+\s*(?:\w+, )?([1-5]\d\d)\b/),
        sites($code, $EDGE, qr/(?<!\{)\b([45]\d\d),\s*"/));
    return "src: no status is found: $MEND" unless %$sent;
    my @complaints =
        map { "$sent->{$_}: the status $_ is not documented: add it to the table of statuses at $HTTP:$table->{line}" }
        grep { !$said{$_} } sort keys %$sent;
    my %written;
    for my $row (@{ $table->{rows} }) {
        my ($status, @marks) = @{ $row->{cells} };
        push @complaints, "$HTTP:$row->{line}: the source knows no status $status: remove it"
            unless grep { /\b$status\b/ } values %$code or $status == 101;
        for my $i (1 .. @marks) {
            my $endpoint = $table->{head}[$i] // '';
            $written{"$endpoint $status"} = "$HTTP:$row->{line}"
                if ($marks[ $i - 1 ] // '') eq '●' && $endpoint ne 'meaning';
        }
    }
    my %refused = map { ("$_->{action} $_->{status}" => $_->{name}) } grep { $_->{action} !~ /^(?:problem|resources)$/ } @$refusals;
    return @complaints, "t/lib/Await/Refusals.pm:1: it has no rows: $MEND" unless %refused;
    for (sort keys %refused) {
        my ($endpoint, $status) = split / /;
        push @complaints,
            "$HTTP:$table->{line}: $endpoint answers $status (\"$refused{$_}\" of t/lib/Await/Refusals.pm): "
            . 'mark it with ●'
            unless $written{$_};
    }
    for (sort keys %written) {
        my ($endpoint, $status) = split / /;
        push @complaints,
            "$written{$_}: no row of t/lib/Await/Refusals.pm shows that $endpoint answers $status: remove the mark, "
            . "or add a row there"
            if $status =~ /^4/ && !$refused{$_};
    }
    return @complaints;
}

1;
