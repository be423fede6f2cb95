package Await::RefusalsOfWebhooks;

# The rows of Await::Refusals that are about webhooks.

use strict;
use warnings;

use Exporter 'import';
our @EXPORT = qw(@WEBHOOK_ROWS);

our @WEBHOOK_ROWS = ((
        map { [ webhooks => 400, "$_->[0] $_->[1]", args => "$_->[0]=$_->[1]" ] } [ state => 'done' ],
        [ limit => 0 ],
        [ limit => 201 ],
        [ job => 'x' ],
        [ since => 'today' ],
        [ webhook => 'x' ],
        [ cursor => 'x' ]
    ),
    [ webhooks => 400, 'twice', args => 'state=dead&limit=1&state=dead' ],
    [ webhooks => 404, 'path', below => '/no/list' ],
    [ webhooks => 406, 'accept', headers => [ [ Accept => 'image/png' ] ] ],
    [ webhooks => 503, 'reads', conf => 'await_max_inflight 1; await_webhooks all;', phase => 'reads' ],
    [ webhooks => 503, 'database', phase => 'away' ],
    [ retry_delivery => 404, 'path', below => '/one/retry' ],
    [ retry_delivery => 404, 'unknown', below => '/999/retry' ],
    [ retry_delivery => 409, 'not ended' ],
    [ retry_delivery => 409, 'disabled', below => '/2/retry' ],
    [
        retry_delivery => 404,
        'foreign',
        conf => 'await_owner $arg_u; await_webhooks write;',
        args => 'u=bob'
    ],
    [ retry_delivery => 503, 'reads', conf => 'await_max_inflight 1; await_webhooks write all;', phase => 'reads' ],
    [ retry_delivery => 503, 'database', phase => 'away' ],
    [
        submit => 400,
        'webhook',
        conf => 'await_webhook_hosts *; await_submit QUEUE webhook=$arg_hook;',
        args => 'hook=ftp://example.com/'
    ],
    [
        submit => 403,
        'host of the webhook',
        conf => 'await_webhook_hosts a.example; await_submit QUEUE webhook=$arg_hook;',
        args => 'hook=https://b.example/'
    ],
    [
        batch_submit => 400,
        'webhook',
        conf => 'await_webhook_hosts *; await_batch queues=QUEUE webhook=$arg_hook;',
        args => 'hook=ftp://example.com/'
    ],
    [
        batch_submit => 403,
        'host of the webhook',
        args => 'hook=https://b.example/',
        conf => 'await_webhook_hosts a.example; await_batch queues=QUEUE webhook=$arg_hook;'
    ],
);

1;
