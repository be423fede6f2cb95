# Bad input of every kind: refused as the contract says, told once in error.log, where nginx tells of its clients'
# errors, once in the access log, and nowhere what was sent; a foreign job costs what an unknown one does.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use Digest::SHA qw(hmac_sha256);
use List::Util qw(min);
use Test::More;
use Time::HiRes qw(time);

my $dir = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $dir;
Await::Stack::write_file("$dir/jwt.key", 'a-secret-of-thirty-two-bytes-and-more', 0644);
my $s = start_stack(http => 'error_log logs/error.log info; ', extra => <<"CONF");
    location = /mine { await_owner \$arg_u; await_submit work; }
    location ~ ^/mine/(?<id>[^/]+)\$ { await_owner \$arg_u; await_job \$id; await_events job:\$id; }
    location = /ws { await_owner \$arg_u; await_allow topic:open; await_socket; }
    location = /jwt { await_auth_jwt api token=\$arg_token; await_auth_jwt_key_file $dir/jwt.key;
        await_events topic:open default=json; }
    location = /ticket { await_owner \$arg_u; await_ticket topic:open; }
    location = /in { await_auth_ticket on; await_owner \$await_user; await_events topic:open default=json; }
    location = /metrics { await_metrics; }
CONF

# What stands in the logs: error.log, and how many lines there are in the access log. The one nginx worker has written
# all of what it did before when it answers; that request's own line may come later and does not count.
sub logs {
    get('/metrics');
    return (slurp("$s->{dir}/logs/error.log"),
        scalar(() = slurp("$s->{dir}/logs/access.log") =~ m{^(?!.*"GET /metrics ).*\n}mg));
}
# What a request or a message adds to them: the lines of ours in error.log, and how many there are in the access log.
sub logged {
    my ($do) = @_;
    my ($before, $requests) = logs();
    $do->();
    until_true('told', sub { substr(slurp("$s->{dir}/logs/error.log"), length $before) =~ /await: .*\n/ });
    my ($after, $now) = logs();
    my @ours = grep { /await: / } split /\n/, substr $after, length $before;
    return (\@ours, $now - $requests);
}
sub token {
    my ($head, $claims, $key) = @_;
    my $data = encode_base64url(encode_json($head)) . '.' . encode_base64url(encode_json($claims));
    return "$data." . ($key ? encode_base64url(hmac_sha256($data, $key)) : '');
}
my $key = 'a-secret-of-thirty-two-bytes-and-more';
my $soon = int(time) + 60;
my $mine = one_job('/mine?u=ann');
my $none = $mine =~ s/.{6}$/000000/r;
my $used = json(post('/ticket?u=ann', ''))->{ticket};
get("/in?ticket=$used");
my $secret = 'SECRET' x 3;

for my $case (
    [ 'a foreign job',             404, 'GET', "/mine/$mine?u=bob" ],
    [ 'an unknown job',            404, 'GET', "/mine/$none?u=bob" ],
    [ 'an id that is none',        404, 'GET', "/mine/$secret?u=bob" ],
    [ 'a foreign job to cancel',   404, 'DELETE', "/mine/$mine?u=bob" ],
    [ 'its events',                404, 'GET', "/mine/$mine?u=bob", Accept => 'text/event-stream' ],
    [ 'a wait that is none',       400, 'GET', "/mine/$mine?u=ann&wait=$secret" ],
    [ 'nobody',                    403, 'GET', "/mine/$mine" ],
    [ 'a foreign page',            403, 'DELETE', "/mine/$mine?u=ann", Origin => "https://$secret.example" ],
    [ 'no JSON',                   400, 'POST', '/mine?u=ann', 'Content-Type' => 'application/json' ],
    [ 'a key that is none',        400, 'POST', '/mine?u=ann', 'Idempotency-Key' => "\"$secret" ],
    [ 'a token of another key',    401, 'GET', '/jwt?token=' . token({ alg => 'HS256' },
        { sub => $secret, exp => $soon }, 'another-secret-of-thirty-two-bytes-and-more') ],
    [ 'a token that is over',      401, 'GET', '/jwt?token=' . token({ alg => 'HS256' },
        { sub => $secret, exp => 1000 }, $key) ],
    [ 'a token of alg none',       401, 'GET', '/jwt?token=' . token({ alg => 'none' },
        { sub => $secret, exp => $soon }) ],
    [ 'a token of another kind',   401, 'GET', '/jwt?token=' . token({ alg => 'RS256' },
        { sub => $secret, exp => $soon }, $key) ],
    [ 'no token at all',           401, 'GET', "/jwt?token=$secret" ],
    [ 'a huge one',                401, 'GET', '/jwt?token=' . 'A' x 6000 ],
    [ 'a ticket that was used',    401, 'GET', "/in?ticket=$used" ],
    [ 'no ticket at all',          401, 'GET', "/in?ticket=$secret" ],
    [ 'channels that are none',    400, 'POST', '/ticket?u=ann' ],
    [ 'a handshake that is none',  426, 'GET', '/ws?u=ann' ],
) {
    my ($name, $status, $method, $path, %headers) = @$case;
    my ($errors, $accesses) = logged(
        sub {
            is request($method, $path, body => $method eq 'POST' ? "{$secret" : undef, headers => \%headers)->{status},
                $status, "$name: $status";
        });
    is scalar(@$errors), 1, 'told once' or diag join "\n", @$errors;
    is $accesses, 1, 'and in the access log';
    my ($said) = map { /await: (.*?), client:/ ? $1 : $_ } @$errors;
    unlike $said, qr/SECRET|\Q$mine\E/, 'not what was sent';
}

my @bad = (
    [ 'no JSON',               sub { $_[0]->send_text("{$secret") }, 400 ],
    [ 'an op that is none',    sub { $_[0]->say({ op => $secret }) }, 400 ],
    [ 'a channel that is none', sub { $_[0]->say({ op => 'subscribe', channel => $secret }) }, 404 ],
    [ 'a foreign job',         sub { $_[0]->say({ op => 'subscribe', channel => "job:$mine" }) }, 404 ],
    [ 'an unknown job',        sub { $_[0]->say({ op => 'subscribe', channel => "job:$none" }) }, 404 ],
    [ 'another user',          sub { $_[0]->say({ op => 'subscribe', channel => 'user:ann' }) }, 404 ],
    [ 'a topic not allowed',   sub { $_[0]->say({ op => 'subscribe', channel => 'topic:closed' }) }, 404 ],
    [ 'no subscription',       sub { $_[0]->say({ op => 'unsubscribe', channel => 'topic:open' }) }, 404 ],
    [ 'a binary message',      sub { $_[0]->send_frame(2, $secret) }, 1003 ],
    [ 'a frame without mask',  sub { $_[0]->send_frame(1, $secret, mask => 0) }, 1002 ],
    [ 'a reserved bit',        sub { $_[0]->send_frame(1, $secret, rsv => 4) }, 1002 ],
    [ 'an opcode that is none', sub { $_[0]->send_frame(3, $secret) }, 1002 ],
    [ 'no UTF-8',              sub { $_[0]->send_frame(1, "\xff\xfe") }, 1007 ],
    [ 'too long a message',    sub { $_[0]->send_frame(1, 'x' x 70000) }, 1009 ],
);
for my $case (@bad) {
    my ($name, $send, $status) = @$case;
    my $ws = Await::WebSocket->new($s->{port}, '/ws?u=bob');
    my ($errors) = logged(sub { $send->($ws) });
    is scalar(@$errors), 1, "socket: $name is told once" or diag join "\n", @$errors;
    like $errors->[0] // '', qr/rejected with $status: /, "as $status";
    my ($said) = map { /await: (.*?), client:/ ? $1 : $_ } @$errors;
    unlike $said, qr/SECRET|\Q$mine\E/, 'not what was sent';
}
{
    my $ws = Await::WebSocket->new($s->{port}, '/ws?u=bob');
    my $errors = length slurp("$s->{dir}/logs/error.log");
    $ws->send_frame(8, pack 'n', 1000);
    $ws->fill(sub { 0 }, 2);
    unlike substr(slurp("$s->{dir}/logs/error.log"), $errors), qr/await: /, 'a client that closes is no error';
}

# what PostgreSQL is asked says whether it is there as little as the answer does
sub statements { return metric('await_postgres_statements_total') // die 'no metric' }
my %asked;
for my $round (1 .. 10) {
    for my $id ($mine, $none) {
        my $before = statements();
        get("/mine/$id?u=bob") for 1 .. 20;
        push @{ $asked{$id} }, statements() - $before;
    }
    last if $round > 1 && min(@{ $asked{$mine} }) == min(@{ $asked{$none} });
}
# the least of some rounds: what nginx asks by itself, once a second, is counted too
is min(@{ $asked{$mine} }), min(@{ $asked{$none} }), 'as many statements for a foreign job as for none';
finish();
