# Whose pages may submit, cancel and open WebSockets (await_origins).

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use Test::More;

start_stack(extra => <<'CONF');
    location = /ws { await_socket; }
    location /listed/ { await_origins same https://app.example http://localhost:3000; location = /listed/jobs {
        await_submit work; await_socket; } }
    location = /foreign { await_origins https://app.example; await_submit work; }
    location = /any { await_origins any; await_submit work; await_socket; }
CONF
my $here = '127.0.0.1:' . stack()->{port};

sub answer { my ($path, %headers) = @_; return post($path, 'x', Host => $here, %headers)->{status} }
sub socket_answer {
    my ($path, %headers) = @_;
    return Await::WebSocket->new(stack()->{port}, $path, headers => { Host => $here, %headers })->{status};
}

subtest 'same, which is the default' => sub {
    my @cases = (
        [ 'no browser', 202 ],
        [ 'our own page', 202, Origin => "http://$here", 'Sec-Fetch-Site' => 'same-origin' ],
        [ 'a typed address', 202, 'Sec-Fetch-Site' => 'none' ],
        [ 'an older browser, our own page', 202, Origin => "http://$here" ],
        [ 'behind somebody who ends TLS', 202, Origin => "https://$here" ],
        [ 'another letter case', 202, Origin => uc "http://$here" ],
        [ 'another site', 403, Origin => 'https://evil.example', 'Sec-Fetch-Site' => 'cross-site' ],
        [ 'the same site, another host', 403, Origin => 'https://other.example', 'Sec-Fetch-Site' => 'same-site' ],
        [ 'an older browser, another site', 403, Origin => 'https://evil.example' ],
        [ 'another port', 403, Origin => 'http://127.0.0.1:1' ],
        [ 'a sandboxed page', 403, Origin => 'null' ],
        [ 'ours as a part of another', 403, Origin => "http://$here.evil.example" ],
        [ 'a browser that says so without Origin', 403, 'Sec-Fetch-Site' => 'cross-site' ],
        [ 'an origin that is none', 403, Origin => $here ],
        [ 'two of them', 403, Origin => "http://$here, https://evil.example" ],
        [ 'an empty one', 202, Origin => '' ],
    );
    for my $case (@cases) {
        my ($name, $status, %headers) = @$case;
        is answer('/jobs', %headers), $status, $name;
        is socket_answer('/ws', %headers), $status == 202 ? 101 : 403, "$name: a socket";
    }
    my $id = one_job();
    is del("/jobs/$id", Origin => 'https://evil.example')->{status}, 403, 'nor may it cancel';
    is get("/jobs/$id", Origin => 'https://evil.example')->{status}, 200, 'what it reads, its browser keeps from it';
    is header(post('/jobs', 'x', Origin => 'https://evil.example'), 'Content-Type'), 'application/problem+json',
        'the refusal is a problem';
};

subtest 'listed' => sub {
    is answer('/listed/jobs', Origin => 'https://app.example', 'Sec-Fetch-Site' => 'cross-site'), 202,
        'a listed origin may';
    is answer('/listed/jobs', Origin => 'http://localhost:3000', 'Sec-Fetch-Site' => 'same-site'), 202,
        'another listed origin may';
    is socket_answer('/listed/jobs', Origin => 'https://app.example'), 101, 'a listed origin may open a socket';
    is answer('/listed/jobs', Origin => "http://$here"), 202, 'and our own';
    is answer('/listed/jobs', Origin => $_), 403, $_
        for 'http://app.example', 'https://app.example:444', 'https://xapp.example', 'https://app.example.evil';
};

subtest 'any' => sub {
    is answer('/any', Origin => 'https://evil.example', 'Sec-Fetch-Site' => 'cross-site'), 202, 'any origin may';
    is socket_answer('/any', Origin => 'null'), 101, 'even a null origin may open a socket';
};

finish();
