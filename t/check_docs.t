# Each check of tools/check-docs can fail: with one thing changed, in the documentation or in the source, it complains
# of that, with file and line, and of nothing else. Needs no servers.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../tools/lib";
use Await::Docs qw(load complaints directives_page);
use Await::Refusals;
use Test::More;

my $files = load("$FindBin::Bin/..");
is_deeply [ complaints($files, \@ROWS) ], [], 'the documentation agrees with the source';

my $HTTP = 'docs/http.md';
my $METRICS = 'docs/directives/await_metrics.md';
my $VARIABLES = 'docs/variables.md';
my $PARK = 'docs/directives/await_park.md';
my $ARCHITECTURE = 'docs/architecture.md';
my $GLOSSARY = 'docs/glossary.md';
my $OLD =
    qr{^docs/directives\.md:\d+: the page is older than docs/directives/\*\.md, of which it is made: run "make docs"$};
my $CALLBACK = 'set_it, NGX_HTTP_MAIN_CONF_OFFSET, 0, nullptr}';

# The file of the source that has it, wherever it is.
sub holder {
    my ($pattern) = @_;
    return (grep { m{^src/} && $files->{$_} =~ $pattern } sort keys %$files)[0] // die "no file of src has $pattern";
}

# A row of a table, as a pattern: names are in backticks, numbers are not.
sub row { my ($cell) = @_; my $tick = $cell =~ /^\d/ ? '' : '`'; return qr/^\| $tick\Q$cell\E$tick \|.*\n/m }

# Complaints: the source has something undocumented; the documentation has something that is not in the source.
sub undocumented {
    my ($what, $tree) = @_;
    return qr{^@{[ $tree // 'src' ]}/\S+:\d+: the \Q$what\E is not documented: add it to };
}
sub unknown {
    my ($what, $page) = @_;
    return qr{^@{[ $page // $HTTP ]}:\d+: the source has no \Q$what\E: remove it here, };
}

# name, file, what is there, what stands there instead, the complaints
my @CHANGES = (
    [ 'member of a job', $HTTP, row('attempt'), '', undocumented('member `attempt`') ],
    [ 'member of an event', $HTTP, row('topic'), '', undocumented('member `topic`') ],
    [ 'member of a page', $HTTP, row('done'), '', undocumented('member `done`') ],
    [ 'member of a ticket', $HTTP, row('expires_in'), '', undocumented('member `expires_in`') ],
    [ 'member of a problem', $HTTP, row('instance'), '', undocumented('member `instance`') ],
    [ 'member of a message', $HTTP, row('retry'), '', undocumented('member `retry`') ],
    [
        'member that is not written',
        $HTTP,
        qr/^(?=\| `attempt` )/m,
        "| `tries` | number | |\n",
        qr{^docs/http\.md:\d+: the source writes no member `tries` here: remove it}
    ],
    [
        'member that is new',
        holder(qr/text\("queue", /),
        qr/(?=\w+\.text\("queue", )/,
        'out.text("lane", "x"); ',
        undocumented('member `lane`')
    ],
    [ 'problem', $HTTP, qr/^\| <a id="problem-gone">.*\n/m, '', undocumented('problem `gone`') ],
    [
        'problem that is not known',
        $HTTP,
        qr/^(?=\| <a id="problem-gone">)/m,
        "| <a id=\"problem-lost\"></a>`lost` | 404 | Lost | |\n",
        unknown('problem `lost`')
    ],
    [
        'problem without an anchor',
        $HTTP, qr/<a id="problem-gone"><\/a>/,
        '', qr{^docs/http\.md:\d+: write <a id="problem-gone"></a> before `gone`}
    ],
    [
        'problem of another status',
        $HTTP, qr/`gone` \| 410/,
        '`gone` | 411',
        qr{^docs/http\.md:\d+: the status of `gone` is "411" here, but "410" in src/\S+:\d+: write that$}
    ],
    [
        'problem of another title',
        holder(qr/"gone", "Gone"/),
        qr/"gone", "Gone"/,
        '"gone", "Went"',
        qr{^docs/http\.md:\d+: the title of `gone` is "Gone" here, but "Went" in src/}
    ],
    [
        'problem that is new',
        holder(qr/\{410, "gone"/),
        qr/(?=\{410, "gone")/,
        '{402, "unpaid", "Unpaid", "no money"}, ',
        undocumented('problem `unpaid`')
    ],
    [
        'meaning of a problem',
        $HTTP,
        qr/the `Idempotency-Key` was used for another request/,
        'the key was used',
        qr{^docs/http\.md:\d+: the when of `unprocessable` is "the key was used" here, but "the Idempotency-Key was}
    ],
    [ 'state', $HTTP, row('expired'), '', undocumented('state `expired`') ],
    [
        'state that is not known', $HTTP,
        row('expired'), "| `lost` | | |\n",
        undocumented('state `expired`'), unknown('state `lost`')
    ],
    [
        'event type', $HTTP, qr/^\| `progress` \| the worker.*\n/m,
        '', undocumented('reserved event type `progress`', 'sql')
    ],
    [
        'event type that is not known',
        $HTTP,
        qr/^\| `batch\.ready`/m,
        '| `batch.done`, `batch.ready`',
        unknown('reserved event type `batch.done`')
    ],
    [
        'frame of a stream', holder(qr/push_state\("reset"/),
        qr/push_state\("reset"/, 'push_state("again"',
        qr{^src/\S+:\d+: the event type `again` is not documented}
    ],
    [ 'message of the server', $HTTP, row('unsubscribed'), '', undocumented('message of the server `unsubscribed`') ],
    [ 'message of a client', $HTTP, row('ping'), '', undocumented('message of a client `ping`') ],
    [ 'close code', $HTTP, row('1008'), '', undocumented('close code `1008`') ],
    [
        'close code that is not sent',
        $HTTP,
        qr/^(?=\| 1008 )/m,
        "| 1010 | going away |\n",
        unknown('close code `1010`')
    ],
    [ 'request header', $HTTP, row('If-Range'), '', undocumented('request header `if-range`') ],
    [
        'request header that is not read',
        $HTTP,
        qr/^(?=\| `If-Range` )/m,
        "| `If-Luck` | |\n",
        unknown('request header `if-luck`')
    ],
    [ 'response header', $HTTP, row('Accept-Post'), '', undocumented('response header `accept-post`') ],
    [
        'response header that is not sent',
        $HTTP,
        qr/^(?=\| `Accept-Post` )/m,
        "| `X-Powered-By` | |\n",
        unknown('response header `x-powered-by`')
    ],
    [
        'header that await_cors exposes',
        holder(qr/"Location, Link, ETag/),
        qr/"Location, Link, ETag/,
        '"Location, Linked, ETag',
        qr{^src/\S+:\d+: the response header `linked`, which await_cors names, is not documented}
    ],
    [ 'query argument', $HTTP, row('names'), '', undocumented('query argument `names`') ],
    [
        'query argument that is not read',
        $HTTP,
        qr/^\| `names` /m,
        '| `names`, `depth` ',
        unknown('query argument `depth`')
    ],
    [
        'status', $HTTP, row('422'), '',
        qr{^src/\S+:\d+: the status 422 is not documented},
        qr{^docs/http\.md:\d+: submit answers 422},
        qr{^docs/http\.md:\d+: batch_submit answers 422}
    ],
    [
        'status that is not known',
        $HTTP, qr/^(?=\| 422 )/m,
        "| 418 | |\n", qr{^docs/http\.md:\d+: the source knows no status 418: remove it$}
    ],
    [
        'status of an endpoint',
        $HTTP,
        qr/^\| 416 \| \| \| \| ● /m,
        '| 416 | | | | ',
        qr{^docs/http\.md:\d+: result answers 416 .*: mark it with ●$}
    ],
    [
        'status that an endpoint does not give',
        $HTTP, qr/^\| 416 \| /m,
        '| 416 | ●', qr{^docs/http\.md:\d+: no row of t/lib/Await/Refusals\.pm shows that submit answers 416}
    ],
    [ 'metric', $METRICS, row('await_cut_total'), '', undocumented('metric `await_cut_total`') ],
    [
        'metric that is not known',
        $METRICS,
        qr/^(?=\| `await_cut_total`)/m,
        "| `await_torn_total` | counter | | | |\n",
        unknown('metric `await_torn_total`', $METRICS)
    ],
    [
        'metric of another type',
        $METRICS,
        qr/`await_cut_total` \| counter/,
        '`await_cut_total` | gauge',
        qr{^docs/\S+:\d+: `await_cut_total` is a gauge here, but a counter in src/\S+:\d+: write that$}
    ],
    [
        'label of a metric',
        $METRICS,
        qr/, `uploads` \|/,
        ' |',
        qr{^docs/\S+:\d+: the labels of `await_refused_total` are "limit=held, limit=reads, limit=submissions" here, }
    ],
    [ 'variable', $VARIABLES, row('$await_hold_time'), '', undocumented('variable `$await_hold_time`') ],
    [
        'variable that is not known',
        $VARIABLES,
        qr/^\| `\$await_id` /m,
        '| `$await_id`, `$await_queue` ',
        unknown('variable `$await_queue`', $VARIABLES)
    ],
    [
        'prefix of variables',
        $VARIABLES,
        qr/^\| `\$await_jwt_claim_<name>` /m,
        '| `$await_jwt_claim` ',
        undocumented('variable `$await_jwt_claim_<name>`'),
        unknown('variable `$await_jwt_claim`', $VARIABLES)
    ],
    [ 'value of a variable', $VARIABLES, row('poll'), '', undocumented('value of $await_delivery `poll`') ],
    [
        'directive',
        holder(qr/ngx_string\("await_drain"\)/),
        qr/(?=\{ngx_string\("await_drain"\))/,
        "{ngx_string(\"await_stop\"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, $CALLBACK, ",
        (undocumented('directive `await_stop`')) x 2
    ],
    [
        'directive in README.md', 'README.md',
        qr{\[await_drain\]\(docs/directives/await_drain\.md\)}, '',
        undocumented('directive `await_drain`')
    ],
    [
        'directive that is gone',
        holder(qr/ngx_string\("await_drain"\)/),
        qr/\{ngx_string\("await_drain"\)[^\n]*/,
        '',
        unknown('directive `await_drain`', 'README.md'),
        unknown('directive `await_drain`', 'docs/directives/await_drain.md')
    ],
    [
        'context', $PARK,
        qr/context \| http, server, location/,
        'context | http, server',
        $OLD, qr{^\Q$PARK\E:\d+: context is "http, server", but src/\S+:\d+ says "http, server, location": write that$}
    ],
    [
        'context in the source',
        holder(qr/ngx_string\("await_park"\)/),
        qr/("await_park"\), +)\w+ /,
        '"await_park"), NGX_HTTP_SRV_CONF ',
        qr{^\Q$PARK\E:\d+: context is "http, server, location", but src/\S+:\d+ says "server": write that$}
    ],
    [
        'default of a time',
        'docs/directives/await_drain.md',
        qr/`30s`/, '`60s`', $OLD,
        qr{^docs/directives/await_drain\.md:\d+: default is "60s", but src/\S+:\d+ says "30s": write that$}
    ],
    [
        'default of a size',
        holder(qr/outer\.max_frame, \d/),
        qr/outer\.max_frame, \d+/,
        'outer.max_frame, 1048576',
        qr{await_max_frame\.md:\d+: default is "64k", but \S+ says "1m"}
    ],
    [
        'default of a choice',
        holder(qr/outer\.hints, kSigned/),
        qr/outer\.hints, kSigned/,
        'outer.hints, kVerified',
        qr{await_hints\.md:\d+: default is "signed", but \S+ says "verified"}
    ],
    [
        'default of a flag',
        holder(qr/outer\.park, 1/),
        qr/outer\.park, 1/,
        'outer.park, 0',
        qr{await_park\.md:\d+: default is "on", but \S+ says "off"}
    ],
    [
        'syntax of a flag',
        $PARK,
        qr/`await_park on \\\| off;`/,
        '`await_park yes;`',
        $OLD, qr{await_park\.md:\d+: syntax is "await_park yes;", but \S+ says "await_park on \| off;"}
    ],
    [
        'default that docs/http.md quotes',
        $HTTP,
        qr/await_max_frame\.md\), 64 KB/,
        'await_max_frame.md), 32 KB',
        qr{^docs/http\.md:\d+: the default of await_max_frame is "32k" here, but "64k" on its page: write that$}
    ],
    [
        'version of a directive',
        $PARK, qr/^\| \| This directive appeared.*\n/m,
        '', qr{^\Q$PARK\E:1: the table lacks the row "since": add it$}
    ],
    [
        'title of a page', $PARK, qr/^# await_park/, '# Parking',
        qr{^\Q$PARK\E:1: the page begins with "# await_park"$}
    ],
    [ 'page that has changed', $PARK, qr/\n\n(?=[A-Z])/, "\n\nSets this. ", $OLD ],
    [
        'link to nowhere',
        $HTTP,
        qr{\(directives/await_owner\.md\)},
        '(directives/await_owners.md)',
        qr{^docs/http\.md:\d+: the link to directives/await_owners\.md leads nowhere: correct it$}
    ],
    [
        'page without an example',
        $PARK, qr/^```nginx\n.*?^```\n/ms, '',
        qr{^\Q$PARK\E:1: the first nginx example of the page must use await_park: add it$}
    ],
    [
        'example of another directive',
        $PARK,
        qr/await_park (?=off; +#)/,
        'await_parked ',
        qr{^\Q$PARK\E:1: the first nginx example of the page must use await_park: add it$}
    ],
    [
        'file that is not there', $ARCHITECTURE,
        qr/`http\/exchange\/receiver`/, '`http/receiver`',
        qr{^\Q$ARCHITECTURE\E:\d+: `http/receiver` does not exist: correct the name$}
    ],
    [
        'file of another name',
        'docs/development.md', qr{`src/core/kind\.h`}, '`src/core/kinds.h`',
        qr{^docs/development\.md:\d+: `src/core/kinds\.h` does not exist: correct the name$}
    ],
    [
        'test that is not there',
        'CONTRIBUTING.md', qr{`t/cuts\.t`}, '`t/cut.t`',
        qr{^CONTRIBUTING\.md:\d+: `t/cut\.t` does not exist: correct the name$}
    ],
    [
        'class that is not there', $ARCHITECTURE,
        qr/`core::Subscription`/, '`core::Feed`',
        qr{^\Q$ARCHITECTURE\E:\d+: `core::Feed` does not exist: correct the name$}
    ],
    [
        'function that is not there', $ARCHITECTURE,
        qr/`await\.purge\(\)`/, '`await.sweep()`',
        qr{^\Q$ARCHITECTURE\E:\d+: `await\.sweep\(` does not exist: correct the name$}
    ],
    [
        'file that a comment names',
        holder(qr{// [^\n]*\(http/exchange/respond\.cc}),
        qr{http/exchange/respond\.cc}, 'http/respond.cc',
        qr{^src/\S+:\d+: http/respond\.cc does not exist: correct the name$}
    ],
    [
        'word without a meaning',
        $GLOSSARY, qr/^\| job \|.*/m,
        '| job | |', qr{^\Q$GLOSSARY\E:\d+: the word has no meaning: add one$}
    ],
    [
        'glossary without words',
        $GLOSSARY, qr/^\|.*/ms, '', qr{^\Q$GLOSSARY\E:1: the page defines no words: add a table "word, meaning"$}
    ],
    [
        'link to no heading',
        $HTTP, qr{\(#cursors\)}, '(#cursor)',
        qr{^docs/http\.md:\d+: docs/http\.md has no heading or anchor #cursor: correct the link$}
    ],
);

for (@CHANGES) {
    my ($name, $file, $from, $to, @expected) = @$_;
    my %changed = %$files;
    ok $changed{$file} =~ s/$from/$to/, "$name: $file has what is to be changed" or next;
    my @others = complaints(\%changed, \@ROWS);
    my @lacking;
    for my $pattern (@expected) {
        my ($at) = grep { $others[$_] =~ $pattern } 0 .. $#others;
        if (defined $at) { splice @others, $at, 1 }
        else { push @lacking, "$pattern" }
    }
    is_deeply { lacking => \@lacking, others => \@others }, { lacking => [], others => [] },
        "$name: this is told, and nothing else";
}

# A check that does not recognise the source any more must not pass in silence.
my %bare = map { $_ => m{^(?:src|sql)/} ? '' : $files->{$_} } keys %$files;
my @silent = grep { /found|recognise/ } complaints(\%bare, []);
cmp_ok scalar @silent, '>=', 18, 'where the source has nothing, every check complains of itself'
    or diag join "\n", @silent;

is directives_page($files), $files->{'docs/directives.md'}, 'docs/directives.md is as "make docs" makes it';

done_testing();
