package Await::RefusalsOfConsole;

# The rows of Await::Refusals that are about the console.

use strict;
use warnings;

use Exporter 'import';
our @EXPORT = qw(@CONSOLE_ROWS);

my $JSON = [ 'Content-Type' => 'application/json' ];

our @CONSOLE_ROWS = ((
        map { [ console => 400, $_->[1], below => "/api/$_->[0]", args => $_->[1] ] }
            [ queues => 'limit=0' ],
        [ queues => 'limit=1&limit=2' ],
        [ jobs => 'state=done' ],
        [ jobs => 'cursor=x' ],
        [ jobs => 'since=today' ],
        [ failures => 'queue=' ]
    ),
    [ console => 404, 'path', below => '/no/file.js' ],
    [ console => 404, 'unknown job', below => '/api/jobs/x' ],
    [ console => 404, 'no job', below => '/api/jobs/00000000-0000-7000-8000-000000000000' ],
    [ console => 503, 'reads', conf => 'await_max_inflight 1; await_console;', phase => 'reads' ],
    [
        console => 503,
        'reads of a job',
        conf => 'await_max_inflight 1; await_console;',
        phase => 'reads',
        below => '/api/jobs/00000000-0000-7000-8000-000000000000'
    ],
    [ console => 503, 'database', phase => 'away' ],
    [ console_act => 404, 'path', below => '/api/jobs' ],
    [ console_act => 415, 'type', headers => [ [ 'Content-Type' => 'text/plain' ] ] ],
    [ console_act => 400, 'JSON', at => 'end' ],
    [ console_act => 403, 'right', body => '{"action": "pause", "queues": ["setup"]}', at => 'end' ],
    [ console_act => 413, 'length', body => '<HIDDEN>' . 'x' x 20000, at => 'mid' ],
    [ console_act => 503, 'inflight', conf => 'await_max_inflight 1; await_console write;' ],
    [
        console_act => 503,
        'database',
        body => '{"action": "pause", "queues": ["setup"]}',
        phase => 'away',
        at => 'end'
    ],
);

1;
