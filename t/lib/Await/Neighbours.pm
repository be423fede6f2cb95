package Await::Neighbours;

# The table of t/neighbours.t: who takes the body of a request, beside whom.

use strict;
use warnings;

use Exporter 'import';
our @EXPORT = qw(@TAKERS);

# Name; the locations (URI is where the request goes, QA and QB are queues of its own, TAKER/QA a proxy's upstream that
# submits to QA); the answer's status; who must have the body. `lent`: of a body that was read and refused, all or
# nothing reaches the next taker.
our @TAKERS = (
    [ 'a mirror', 'location = URI { mirror URI-c; await_submit QA; } location = URI-c { internal; await_submit QB; }',
        202, [qw(QA QB)] ],
    [ 'two mirrors',
        'location = URI { mirror URI-c; mirror URI-d; await_submit QA; } location = URI-c '
        . '{ internal; await_submit QB; } location = URI-d { internal; await_submit QC; }', 202, [qw(QA QB QC)] ],
    [ 'a mirror to a proxy',
        'location = URI { mirror URI-c; await_submit QA; } location = URI-c { internal; proxy_pass TAKER/QB; }', 202,
            [qw(QA QB)] ],
    [ 'mirrors of both kinds',
        'location = URI { mirror URI-c; mirror URI-d; await_submit QA; } location = URI-c '
        . '{ internal; proxy_pass TAKER/QB; } location = URI-d { internal; await_submit QC; }', 202, [qw(QA QB QC)] ],
    [ 'a proxy and its mirror',
        'location = URI { mirror URI-c; proxy_pass TAKER/QA; } location = URI-c { internal; await_submit QB; }', 202,
            [qw(QA QB)] ],
    [ 'a proxy and two mirrors',
        'location = URI { mirror URI-c; mirror URI-d; proxy_pass TAKER/QA; } location = URI-c '
        . '{ internal; await_submit QB; } location = URI-d { internal; await_submit QC; }', 202, [qw(QA QB QC)] ],
    [ 'a page and its mirror',
        'location = URI { mirror URI-c; return 200 "page"; } location = URI-c { internal; await_submit QB; }', 200, [],
            lent => ['QB'] ],
    [ 'a mirror, all in files',
        'client_body_in_file_only clean; '
        . 'location = URI { mirror URI-c; await_submit QA; } location = URI-c { internal; await_submit QB; }', 202,
            [qw(QA QB)] ],
    [ 'a mirror in small buffers',
        'location = URI { client_body_buffer_size 1k; mirror URI-c; await_submit QA; } '
        . 'location = URI-c { internal; client_body_buffer_size 1k; await_submit QB; }', 202, [qw(QA QB)] ],
    [ 'a mirror that refuses',
        'location = URI { mirror URI-c; await_submit QA; } '
        . 'location = URI-c { internal; await_submit QB type=image/png; }', 202, ['QA'], none => ['QB'] ],
    [ 'refused beside a mirror',
        'location = URI { mirror URI-c; await_submit QA type=image/png; } '
        . 'location = URI-c { internal; await_submit QB; }', 415, ['QB'], none => ['QA'] ],
    [ 'mirrors to what answers GET',
        'location = URI { mirror URI-c; mirror URI-d; mirror URI-e; mirror URI-f; await_submit QA; } location = '
        . 'URI-c { internal; await_job $http_x_id; } location = URI-d { internal; await_metrics; } location = URI-e '
        . '{ internal; await_publish open; } location = URI-f { internal; await_ticket topic:open; }', 202, ['QA'] ],
    [ 'auth_request',
        'location = URI { auth_request URI-c; await_submit QA; } location = URI-c { internal; return 204; }', 202,
            ['QA'] ],
    [ 'auth_request to a job',
        'location = URI { auth_request URI-c; await_submit QA; } location = URI-c { internal; await_job $http_x_id; }',
            202, ['QA'] ],
    [ 'auth_request that denies',
        'location = URI { auth_request URI-c; await_submit QA; } location = URI-c { internal; return 403; }', 403, [],
            none => ['QA'] ],
    [ 'error_page of the head to a submission',
        'location = URI { await_submit QA type=image/png; error_page 415 = @NAME; } '
        . 'location @NAME { await_submit QB; }', 202, ['QB'], none => ['QA'] ],
    [ 'error_page of the head to a proxy',
        'location = URI { await_submit QA type=image/png; error_page 415 = @NAME; } '
        . 'location @NAME { rewrite ^ /QB break; proxy_pass TAKER; }', 202, ['QB'], none => ['QA'] ],
    [ 'error_page of the head to a page',
        'location = URI { await_submit QA type=image/png; error_page 415 = @NAME; } '
        . 'location @NAME { return 200 "page"; }', 200, [], none => ['QA'] ],
    [ 'error_page of the head, twice',
        'location = URI { await_submit QA type=image/png; recursive_error_pages on; error_page 415 = @NAME; } '
        . 'location @NAME { recursive_error_pages on; await_submit QC type=image/gif; error_page 415 = @NAME-2; } '
        . 'location @NAME-2 { await_submit QB; }', 202, ['QB'], none => [qw(QA QC)] ],
    [ 'error_page of the body to a submission',
        'location = URI { await_idempotency required; await_submit QA; error_page 422 = @NAME; } '
        . 'location @NAME { await_idempotency off; await_submit QB; }', undef, [], lent => ['QB'],
            headers => [ [ 'Idempotency-Key' => 'one' ] ], first => 'QA' ],
    [ 'error_page of the body to a proxy',
        'location = URI { await_submit QA; error_page 422 = @NAME; } location @NAME '
        . '{ rewrite ^ /QB break; proxy_pass TAKER; proxy_set_header Idempotency-Key ""; }', undef, [], lent => ['QB'],
            headers => [ [ 'Idempotency-Key' => 'one' ] ], first => 'QA' ],
    [ 'error_page of a proxy',
        'location = URI { proxy_pass http://127.0.0.1:1; error_page 502 = @NAME; } location @NAME { await_submit QB; }',
            202, ['QB'] ],
    [ 'error_page of a proxy, unbuffered',
        'location = URI { proxy_request_buffering off; proxy_http_version 1.1; proxy_pass http://127.0.0.1:1; '
        . 'error_page 502 = @NAME; } location @NAME { await_submit QB; }', undef, [], lent => ['QB'] ],
    [ 'X-Accel-Redirect', 'location = URI { proxy_pass TAKER/accel/NAME; } location @NAME { await_submit QB; }', 202,
        ['QB'] ],
    [ 'try_files', 'location = URI { try_files /none @NAME; } location @NAME { await_submit QB; }', 202, ['QB'] ],
    [ 'if', 'location = URI { if ($request_method = POST) { await_submit QB; } }', 202, ['QB'] ],
    [ 'limit_except', 'location = URI { await_submit QB; limit_except POST { deny all; } }', 202, ['QB'] ],
    [ 'limit_req with a delay', 'location = URI { limit_req zone=slow burst=50; await_submit QB; }', 202, ['QB'] ],
    [ 'limit_conn', 'location = URI { limit_conn many 100; await_submit QB; }', 202, ['QB'] ],
    [ 'rewrite', 'location = URI { rewrite ^ URI-c last; } location = URI-c { internal; await_submit QB; }', 202,
        ['QB'] ],
    [ 'post_action',
        'location = URI { await_submit QA; post_action URI-c; } location = URI-c { internal; await_submit QB; }', 202,
            ['QA'], lent => ['QB'] ],
    [ 'gzip and addition',
        'location = URI { gzip on; gzip_types *; gzip_min_length 1; add_after_body /page; addition_types *; '
        . 'await_submit QB; }',
        202, ['QB'] ],
    [ 'limit_rate', 'location = URI { limit_rate 100k; await_submit QB; }', 202, ['QB'] ],
    [ 'a submission and a batch that refuses',
        'location = URI { mirror URI-c; await_submit QA; } '
        . 'location = URI-c { internal; await_batch queues=QB file=image; }', 202, ['QA'], none => ['QB'] ],
    [ 'a batch that refuses and a submission',
        'location = URI { mirror URI-c; await_batch queues=QA file=image; } '
        . 'location = URI-c { internal; await_submit QB; }', 415, ['QB'], none => ['QA'] ],
    [ 'error_page of a batch to a submission',
        'location = URI { await_batch queues=QA file=image; error_page 415 = @NAME; } '
        . 'location @NAME { await_submit QB; }', 202, ['QB'], none => ['QA'] ],
    [ 'a mirror to a retry',
        'location = URI { mirror URI-c; await_submit QA; } '
        . 'location = URI-c { internal; await_retry_job $http_x_id; }', 202, ['QA'] ],
    [ 'a retry and its mirror',
        'location = URI { mirror URI-c; await_retry_job $http_x_id; } '
        . 'location = URI-c { internal; await_submit QB; }', 202, ['QB'] ],
    [ 'a recorded request and its mirror',
        'location = URI { mirror URI-c; await_submit QA; await_proxy http://b; } '
        . 'location = URI-c { internal; await_submit QB; await_proxy http://b/other; }', 202, [qw(QA QB)] ],
    [ 'error_page of a proxy to a recorded request',
        'location = URI { proxy_pass http://127.0.0.1:1; error_page 502 = @NAME; } '
        . 'location @NAME { await_submit QB; await_proxy http://b; }', 202, ['QB'] ],
    [ 'error_page of a recorded request to a submission',
        'location = URI { await_submit QA; await_proxy http://b/x$http_x_dots; error_page 400 = @NAME; } '
        . 'location @NAME { await_submit QB; }', 202, ['QB'], none => ['QA'], headers => [ [ 'X-Dots' => '/../' ] ] ],
    [ 'a mirror to the retry of a delivery',
        'location = URI { mirror URI-c/1/retry; await_submit QA; } '
        . 'location URI-c { internal; await_webhooks write all; }', 202, ['QA'] ],
    [ 'a submission with a webhook and its mirror',
        'location = URI { mirror URI-c; await_submit QA webhook=https://a.example/; } '
        . 'location = URI-c { internal; await_submit QB webhook=https://b.example/ webhook_on=pending; }', 202,
            [qw(QA QB)] ],
);

1;
