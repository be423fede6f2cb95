# P7: without the right owner a job does not exist.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Test::More;

start_stack(site => <<'CONF');
await_reread 1h;
server {
    listen 127.0.0.1:${PORT};
    await_owner $http_x_user;
    location = /jobs { await_submit work; }
    location ~ ^/jobs/(?<id>[^/]+)$ { await_job $id; await_events job:$id; }
    location ~ ^/jobs/(?<id>[^/]+)/result$ { await_result $id; }
    location ~ ^/open/(?<id>[^/]+)$ { await_owner off; await_job $id; add_header X-Owner "[$await_owner]" always; }
    location ~ ^/who/(?<id>[^/]+)$ { await_job $id; add_header X-Owner "[$await_owner]" always; }
}
CONF

my $id = one_job('/jobs', 'x', 'X-User' => 'anna');
is sql("SELECT owner FROM await.job WHERE id = '$id'"), 'anna', 'the job is its submitter\'s';
is get("/jobs/$id", 'X-User' => 'anna')->{status}, 200, 'its owner';

my $none = '01a20229-85dd-7905-b3ad-942074197546';
for my $case ([ 'GET', '/jobs/%s' ], [ 'GET', '/jobs/%s?wait=5' ], [ 'GET', '/jobs/%s/result' ],
    [ 'DELETE', '/jobs/%s' ],
              [ 'GET', '/jobs/%s', Accept => 'text/event-stream' ],
                  [ 'GET', '/jobs/%s', Accept => 'application/json', 'If-None-Match' => '*' ]) {
    my ($method, $path, %headers) = @$case;
    my ($foreign, $unknown) =
        map { request($method, sprintf($path, $_), headers => { 'X-User' => 'bert', %headers }) } $id, $none;
    is $foreign->{status}, 404, "$method $path";
    for ($foreign, $unknown) {
        my $of_request = header($_, 'X-Request-Id');
        $_->{all} = ($_->{head} =~ s/^Date: .*$//mr) . $_->{body} =~ s/\Q$id\E|\Q$none\E/ID/gr;
        $_->{all} =~ s/$of_request/REQUEST/g;
    }
    is $foreign->{all}, $unknown->{all}, 'another\'s job and no job are alike in every byte, but for the request id';
}
is json(get("/jobs/$id", 'X-User' => 'anna'))->{state}, 'pending', 'and nothing has happened to it';

for my $nobody ({}, { 'X-User' => '' }, { 'X-User' => "\xff" }) {
    is request('POST', '/jobs', body => 'x', headers => $nobody)->{status}, 403, 'nobody may submit';
    is request('GET', "/jobs/$id", headers => $nobody)->{status}, 403, 'nor read';
}
my $open = get("/open/$id");
is $open->{status}, 200, 'await_owner off';
is header($open, 'X-Owner'), '[]', 'await_owner off: the variable is empty';
is header(get("/who/$id", 'X-User' => 'anna'), 'X-Owner'), '[anna]', '$await_owner';
finish();
