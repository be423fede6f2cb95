# Who asks, by a signed token (await_auth_jwt): every algorithm, every way to forge one, and what nginx's own access
# rules make of it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use Digest::SHA qw(hmac_sha256 hmac_sha512);
use JSON::PP;
use MIME::Base64 qw(encode_base64url decode_base64url);
use Test::More;
use Time::HiRes qw(time);

my $dir = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $dir;
sub shell { my ($command) = @_; my $out = `cd $dir && $command 2>/dev/null`; die "$command" if $?; return $out }
shell(
    'openssl genrsa -out rsa.key 2048 && openssl rsa -in rsa.key -pubout -out rsa.pem && '
    . 'openssl genrsa -out other.key 2048'
);
shell(
    'openssl ecparam -name prime256v1 -genkey -noout -out ec.key && openssl ec -in ec.key -pubout -out ec.pem && '
    . 'openssl ecparam -name secp384r1 -genkey -noout -out p384.key && openssl ec -in p384.key -pubout -out p384.pem'
);
shell(
    'openssl req -x509 -key rsa.key -out cert.pem -days 2 -subj /CN=issuer && openssl genrsa -out short.key 1024 && '
    . 'openssl rsa -in short.key -pubout -out short.pem'
);
my $secret = 'a secret that nobody but us two knows, of course';
sub file { my ($name, $text) = @_; Await::Stack::write_file("$dir/$name", $text, 0644) }
file('secret', "$secret\n");
# the same keys as a JWK set
my ($modulus) = shell('openssl rsa -in rsa.key -noout -modulus') =~ /Modulus=(\w+)/;
my $point = substr shell('openssl ec -in ec.key -pubout -outform DER'), -64;
file(
    'jwks.json',
    encode_json({
            keys => [ {
                    kty => 'RSA',
                    kid => 'r1',
                    use => 'sig',
                    alg => 'RS256',
                    n => encode_base64url(pack 'H*', $modulus),
                    e => 'AQAB'
                },
                {
                    kty => 'EC',
                    kid => 'e1',
                    crv => 'P-256',
                    x => encode_base64url(substr $point, 0, 32),
                    y => encode_base64url(substr $point, 32)
                },
                { kty => 'oct', kid => 's1', k => encode_base64url($secret) },
                { kty => 'RSA', kid => 'enc', use => 'enc', n => 'AQAB', e => 'AQAB' } ] }));
file('users', "ann:{PLAIN}pass\n");

sub der_to_raw {
    my ($der) = @_;
    my ($r, $s) = unpack 'x2 x C/a x C/a', $der;
    return join '', map { substr(("\0" x 32) . $_, -32) } $r, $s;
}
sub sign {
    my ($alg, $data, $key) = @_;
    return hmac_sha256($data, $key // $secret) if $alg eq 'HS256';
    return hmac_sha512($data, $key // $secret) if $alg eq 'HS512';
    file('data', $data);
    $key //= $alg eq 'ES256' ? 'ec.key' : 'rsa.key';
    my $signature = shell("openssl dgst -sha256 -sign $key data");
    return $alg eq 'ES256' ? der_to_raw($signature) : $signature;
}
# Options: alg, kid, key, header (more of it); all else are claims.
sub token {
    my ($claims, %o) = @_;
    my $alg = $o{alg} // 'HS256';
    my $head = encode_base64url(
        encode_json({ alg => $alg, typ => 'JWT', ($o{kid} ? (kid => $o{kid}) : ()), %{ $o{header} // {} } }));
    my $data = "$head." . encode_base64url(encode_json({ sub => 'ann', exp => int(time) + 300, %$claims }));
    return "$data." . encode_base64url($o{signature} // sign($o{sign} // $alg, $data, $o{key}));
}

my $site = <<'CONF' =~ s/\$\{DIR\}/$dir/gr;
    await_auth_jwt_leeway 2s;
    large_client_header_buffers 4 16k;
    location = /secret { await_auth_jwt here; await_auth_jwt_key_file ${DIR}/secret; await_owner $await_user;
        await_submit work; }
    location = /rsa { await_auth_jwt here; await_auth_jwt_key_file ${DIR}/rsa.pem; await_submit work; }
    location = /cert { await_auth_jwt here; await_auth_jwt_key_file ${DIR}/cert.pem; await_submit work; }
    location = /ec { await_auth_jwt here; await_auth_jwt_key_file ${DIR}/ec.pem; await_submit work; }
    location = /jwks { await_auth_jwt here; await_auth_jwt_key_file ${DIR}/jwks.json; await_submit work; }
    location = /both { await_auth_jwt here; await_auth_jwt_key_file ${DIR}/rsa.pem;
        await_auth_jwt_key_file ${DIR}/secret; await_submit work; }
    location = /metrics { await_metrics; }
    location /in/ {
        await_auth_jwt here token=$arg_token; await_auth_jwt_key_file ${DIR}/secret; await_owner $await_user;
        location ~ ^/in/jobs/(?<id>[^/]+)$ {
            add_header X-User "$await_user $await_jwt_claim_org $await_jwt_claim_n $await_jwt_claim_list" always;
            await_job $id; }
        location ~ ^/in/events/(?<id>[^/]+)$ { await_ping 1s; await_events job:$id; }
        location = /in/ws { await_ping 15s socket=60s; await_socket; }
        location = /in/off { await_auth_jwt off; await_owner off; await_submit work; }
    }
    location = /cookie { await_auth_jwt here token=$cookie_session; await_auth_jwt_key_file ${DIR}/secret;
        await_submit work; }
    location = /strict { await_auth_jwt here; await_auth_jwt_key_file ${DIR}/secret;
        await_auth_jwt_require iss=https://login.example aud=game; await_submit work; }
    location = /any { satisfy any; auth_basic basic; auth_basic_user_file ${DIR}/users; await_auth_jwt here;
        await_auth_jwt_key_file ${DIR}/secret; await_submit work; }
    location = /all { satisfy all; allow 127.0.0.1; deny all; auth_request /allowed; await_auth_jwt here;
        await_auth_jwt_key_file ${DIR}/secret; await_submit work; }
    location = /denied { deny all; await_auth_jwt here; await_auth_jwt_key_file ${DIR}/secret; await_submit work; }
    location = /allowed { internal; return 204; }
    location = /cross { satisfy any; deny all; await_auth_jwt here; await_auth_jwt_key_file ${DIR}/secret;
        await_submit work; }
    location = /claim { await_owner $await_user; await_submit work; }
    location = /counted { limit_conn one 1; await_auth_jwt here token=$arg_token; await_auth_jwt_key_file ${DIR}/secret;
        await_socket; }
    location = /limited { limit_req zone=few; await_auth_jwt here; await_auth_jwt_key_file ${DIR}/secret;
        await_submit work; }
CONF
my $s = start_stack(
    http =>
        'limit_conn_zone $binary_remote_addr zone=one:1m; limit_req_zone $binary_remote_addr zone=few:1m rate=1r/m; '
        . 'log_format user "$request|$await_user|$await_jwt_claim_org|$status"; access_log logs/user.log user; '
        . 'error_log logs/error.log info; ',
    extra => $site
);
sub with { my ($path, $token, %headers) = @_; return post($path, 'x', Authorization => "Bearer $token", %headers) }
sub status { return with(@_)->{status} }

subtest 'each algorithm with its key' => sub {
    is status('/secret', token({})), 202, 'HS256';
    is status('/rsa', token({}, alg => 'RS256')), 202, 'RS256';
    is status('/cert', token({}, alg => 'RS256')), 202, 'by a certificate';
    is status('/ec', token({}, alg => 'ES256')), 202, 'ES256' for 1 .. 5;
    is status('/jwks', token({}, alg => $_->[0], kid => $_->[1])), 202, "a JWK set, $_->[0]"
        for [ 'RS256', 'r1' ], [ 'ES256', 'e1' ], [ 'HS256', 's1' ], [ 'RS256', '' ];
    is status('/both', token({}, alg => $_)), 202, "two files, $_" for 'HS256', 'RS256';
    my $id = json(with('/secret', token({ sub => 'bob' })))->{id};
    is sql("SELECT owner FROM await.job WHERE id = '$id'"), 'bob', '$await_user owns it';
};

subtest 'none, forged, of another key' => sub {
    my $r = post('/secret', 'x');
    is $r->{status}, 401, 'a request without a token is refused';
    is header($r, 'WWW-Authenticate'), 'Bearer realm="here"', 'WWW-Authenticate names the realm';
    is status('/secret', ''), 401, 'an empty one';
    my $good = token({});
    my ($head, $body, $signature) = split /\./, $good;
    my $public = Await::Test::slurp("$dir/rsa.pem");
    my %bad = (
        'another secret' => [ '/secret', token({}, key => 'x' x 40) ],
        'another RSA key' => [ '/rsa', token({}, alg => 'RS256', key => 'other.key') ],
        'alg none, unsigned' => [ '/secret', token({}, alg => 'none', signature => '') ],
        'alg None' => [ '/secret', token({}, alg => 'None', signature => '') ],
        'alg none, without the last dot' => [ '/secret', encode_base64url('{"alg":"none"}') . ".$body" ],
        'the public key as an HMAC secret' => [ '/rsa', token({}, alg => 'HS256', key => $public) ],
        'the same without its newline' => [ '/rsa', token({}, alg => 'HS256', key => $public =~ s/\n\z//r) ],
        'the same beside a secret' => [ '/both', token({}, alg => 'HS256', key => $public) ],
        'HS512' => [ '/secret', token({}, alg => 'HS512') ],
        'RS256 where ES256 is due' => [ '/ec', token({}, alg => 'RS256') ],
        'ES256 of zeros (psychic)' => [ '/ec', token({}, alg => 'ES256', signature => "\0" x 64) ],
        'an empty signature' => [ '/secret', "$head.$body." ],
        'cut signature' => [ '/secret', substr $good, 0, -4 ],
        'changed claims' => [ '/secret', "$head." . encode_base64url('{"sub":"root"}') . ".$signature" ],
        'a kid that is not there' => [ '/jwks', token({}, kid => 'nonesuch') ],
        'a kid of another key' => [ '/jwks', token({}, kid => 'r1') ],
        'a jwk of its own' => [ '/rsa', token({}, alg => 'HS256', key => 'y' x 40,
            header => { jwk => { kty => 'oct', k => encode_base64url('y' x 40) } }) ],
        'critical extensions' => [ '/secret', token({}, header => { crit => ['b64'], b64 => JSON::PP::false }) ],
        'expired' => [ '/secret', token({ exp => int(time) - 3 }) ],
        'expired, as text' => [ '/secret', token({ exp => '9999999999' }) ],
        'not yet' => [ '/secret', token({ nbf => int(time) + 60 }) ],
        'huge' => [ '/secret', token({ pad => 'x' x 6200 }) ],
        'no token' => [ '/secret', 'hello' ],
        'dots' => [ '/secret', '..' ],
        'four parts' => [ '/secret', "$good.x" ],
        'a header that is no JSON' => [ '/secret', encode_base64url('nope') . ".$body.$signature" ],
        'duplicate members' => [ '/secret', do { my $d = encode_base64url('{"alg":"HS256","alg":"HS256"}') . ".$body";
        "$d." . encode_base64url(sign('HS256', $d)) } ],
        'claims that are a list' => [ '/secret', do { my $d = "$head." . encode_base64url('[]');
        "$d." . encode_base64url(sign('HS256', $d)) } ],
    );
    for my $name (sort keys %bad) {
        my $r = with(@{ $bad{$name} });
        is $r->{status}, 401, $name;
        is header($r, 'WWW-Authenticate'), 'Bearer realm="here", error="invalid_token"',
            "$name: WWW-Authenticate says invalid_token"
            or diag $name;
    }
    is status('/secret', token({ exp => int(time) - 1 })), 202, 'within the leeway';
    is post('/secret', 'x', Authorization => 'bearer ' . token({}))->{status}, 202, 'the scheme is of any case';
    is post('/secret', 'x', Authorization => 'Basic ' . token({}))->{status}, 401,
        'a token under the scheme Basic is refused';
    is status('/secret', token({ exp => int(time) + 300, nbf => int(time) - 5 })), 202,
        'exp in the future and nbf in the past are taken';
    is sql("SELECT count(*) FROM await.job WHERE owner = 'root'"), 0, 'nothing came through';
};

subtest 'what is required' => sub {
    is status('/strict', token({ iss => 'https://login.example', aud => 'game' })), 202,
        'the required issuer and audience are taken';
    is status('/strict', token({ iss => 'https://login.example', aud => [ 'other', 'game' ] })), 202,
        'one of several audiences';
    is status('/strict', token($_)), 401, "refused: claims " . encode_json($_) for { }
    , { iss => 'https://login.example' }, { iss => 'https://evil.example', aud => 'game' },
        { iss => 'https://login.example', aud => 'games' }, { iss => 'https://login.example', aud => ['x'] };
};

subtest 'from a cookie, from the query; and no log ever sees it' => sub {
    is post('/cookie', 'x', Cookie => 'session=' . token({}))->{status}, 202, 'a token in the cookie is taken';
    my $token = token({ org => 'acme', n => 7, list => [ 1, 'b' ] });
    my $id = json(with('/secret', $token))->{id};
    my $r = get("/in/jobs/$id?a=1&token=$token&b=2");
    is $r->{status}, 200, 'a token in the query is taken';
    is header($r, 'X-User'), 'ann acme 7 [1,"b"]', 'claims';
    is get("/in/jobs/$id?token=${token}x")->{status}, 401, 'a changed token in the query is refused';
    is get("/in/jobs/$id")->{status}, 401, 'no token at all is refused';
    is post('/in/off', 'x')->{status}, 202, 'off';
    is get("/in/jobs/$id?token=" . token({ sub => 'bob' }))->{status}, 404, 'somebody else finds nothing';
    my $held = begin_request('GET', "/in/jobs/$id?wait=20&token=$token");
    eventually('the request is parked', sub { metric('await_parked') == 1 });
    complete($id, 'x', attempt => claim($id), hint => 1);
    my $answer = $held->response;
    is $answer->{status}, 200, 'the parked request is answered';
    is header($answer, 'X-User'), 'ann acme 7 [1,"b"]', 'also of a parked request';
    eventually('the access log has the request', sub { slurp("$s->{dir}/logs/user.log") =~ m{wait=20} });
    like slurp("$s->{dir}/logs/user.log"), qr{^GET /in/jobs/\Q$id\E\?wait=20&token=\*+ HTTP/1.1\|ann\|acme\|200$}m,
        'blanked, with the user';
    like slurp("$s->{dir}/logs/user.log"), qr{\?a=1&token=\*+&b=2 }, 'the token is blanked between other arguments';
    my (undef, undef, $signature) = split /\./, $token;
    get('/in/jobs/a?token=a&x=a');
    ok until_true('logged', sub { slurp("$s->{dir}/logs/user.log") =~ m{^GET /in/jobs/a\?token=\*&x=\* HTTP}m }),
        'where it is a value, and nowhere else';
    unlike slurp($_), qr/\Q$signature\E/, $_ for glob "$s->{dir}/logs/*.log";
    like error_log(), qr/await: answering 401: token rejected: invalid signature/,
        'a refusal is told of once, with its reason';
};

subtest 'beside auth_basic, auth_request, allow, deny, satisfy, limit_req' => sub {
    my $basic = 'Basic ' . MIME::Base64::encode_base64('ann:pass', '');
    is post('/any', 'x', Authorization => $basic)->{status}, 202, 'any: the password';
    is status('/any', token({})), 202, 'any: the token';
    is post('/any', 'x')->{status}, 401, 'any: neither';
    is status('/all', token({})), 202, 'all';
    is post('/all', 'x')->{status}, 401, 'satisfy all: neither is refused';
    is status('/denied', token({})), 403, 'deny stays deny';
    is status('/cross', token({})), 202, 'any: the token in spite of deny';
    is post('/cross', 'x')->{status}, 401, 'any: nothing but deny is refused';
    is post('/claim', 'x', Authorization => 'Bearer ' . token({}))->{status}, 403,
        'where nothing verifies it there is no $await_user';
    is status('/limited', token({})), 202, 'the first request is within the limit';
    is status('/limited', token({})), 503, 'limit_req';
    my $first = Await::WebSocket->new($s->{port}, '/counted?token=' . token({}));
    is $first->{status}, 101, 'the first socket opens';
    is(Await::WebSocket->new($s->{port}, '/counted?token=' . token({}))->{status},
        503, 'limit_conn counts an open socket');
    $first->close;
    eventually('a socket opens again once the first has closed',
        sub { Await::WebSocket->new($s->{port}, '/counted?token=' . token({}))->{status} == 101 });
};

subtest 'expiry ends what is live' => sub {
    my $token = token({ exp => int(time) + 4 });     # and two seconds of leeway
    my $id = json(with('/secret', $token))->{id};
    my $lasting = token({});
    my $began = time;
    my $ws = Await::WebSocket->new($s->{port}, "/in/ws?token=$token");
    my $stays = Await::WebSocket->new($s->{port}, "/in/ws?token=$lasting");
    is $ws->{status}, 101, 'the socket opens';
    my $stream = begin_request('GET', "/in/events/$id?token=$token");
    ok $stream->wait_event('pending'), 'the stream has begun';
    is $ws->closed, 4401, 'the socket is closed with 4401 when its token expires';
    my $took = time - $began;
    cmp_ok $took, '<', 20, "after $took s";
    ok $stream->read_until(sub { 0 }, 20) || $stream->{eof}, 'the stream ends';
    is get("/in/events/$id?token=$token")->{status}, 401, 'and is not opened again';
    $stays->say({ op => 'ping' });
    is $stays->message->{op}, 'beat', 'who has time stays';
};

subtest 'key files that are none' => sub {
    file('short', 'too short');
    file('empty', '');
    file('p384', Await::Test::slurp("$dir/p384.pem"));
    file('broken.json', '{"keys":');
    file('nokeys.json', '{"keys":[]}');
    file('odd.json', '{"kty":"RSA","n":"!","e":"AQAB"}');
    file('wrongalg.json', encode_json({ kty => 'oct', alg => 'HS512', k => encode_base64url($secret) }));
    my %bad = (
        short => qr/invalid key file "[^"]+": a secret has fewer than 32 bytes/,
        empty => qr/fewer than 32 bytes/,
        'rsa.key' => qr/it contains a private key/,
        'short.pem' => qr/fewer than 2048 bits/,
        'p384' => qr/neither RSA nor on the curve P-256/,
        'broken.json' => qr/invalid JSON/,
        'nokeys.json' => qr/it contains no key/,
        'odd.json' => qr/a JWK is neither/,
        'wrongalg.json' => qr/"alg"/,
        'missing' => qr/open\(\) "[^"]+" failed \(2: No such file/
    );
    my $t = Await::Stack->new(dir => "$s->{dir}/config");
    $t->{port} = Await::Stack::free_port();
    for my $name (sort keys %bad) {
        my $location = "location / { await_auth_jwt here;\nawait_auth_jwt_key_file $dir/$name; return 200; }";
        $t->configure_nginx("server { listen 127.0.0.1:\${PORT}; $location }", bare => 1);
        like $t->nginx_t, qr/\[emerg\].*\Q$name\E".*site\.conf:2/, $name;
        like $t->nginx_t, $bad{$name}, "$name: the message says why";
    }
    for my $case (
        [ 'await_auth_jwt here;', qr/"await_auth_jwt" directive requires "await_auth_jwt_key_file"/ ],
        [
            "await_auth_jwt here token=x; await_auth_jwt_key_file $dir/secret;",
            qr/it must be in the form "token=\$variable"/
        ],
        [ 'await_auth_jwt_require x;', qr/it must be in the form "claim=value"/ ],
        [ 'await_auth_jwt off token=$arg_x;', qr/"off".*it cannot be used with other parameters/ ],
        [ 'await_auth_jwt "a\"b";', qr/a realm must not be empty/ ],
        [ 'await_auth_jwt_leeway soon;', qr/"soon".*it must be a time/ ])
    {
        $t->configure_nginx("server { listen 127.0.0.1:\${PORT}; location / { $case->[0] return 200; } }", bare => 1);
        like $t->nginx_t, $case->[1], $case->[0];
    }
};

finish();
