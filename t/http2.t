# The same over HTTP/2, with and without TLS, by clients that nobody here wrote.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use JSON::PP;
use Test::More;
use Time::HiRes qw(time);

my $tls = Await::Stack::free_port();
my $h2c = Await::Stack::free_port();
my $dir = File::Temp::tempdir(CLEANUP => 1);
self_signed($dir);
my $locations = $Await::Test::SITE =~ s/^.*?(?=    client_max_body)//sr =~ s/\}\s*\z//r;
start_stack(extra => 'location = /metrics { await_metrics; }', http => <<"CONF");
server { listen 127.0.0.1:$h2c http2; access_log logs/access.log; ${\ $locations =~ s/\$\{EXTRA\}//r } }
server { listen 127.0.0.1:$tls ssl http2; ssl_certificate $dir/cert.pem; ssl_certificate_key $dir/key.pem;
    ${\ $locations =~ s/\$\{EXTRA\}//r } }
CONF

sub curl { my ($args) = @_; return scalar `curl -s -k --max-time 30 $args` }

for my $case ([ 'HTTP/2 without TLS', "--http2-prior-knowledge", "http://127.0.0.1:$h2c" ],
    [ 'HTTP/2 over TLS', '--http2', "https://127.0.0.1:$tls" ],
              [ 'HTTP/1.1 over TLS', '--http1.1', "https://127.0.0.1:$tls" ],
                  [ 'HTTP/1.1', '--http1.1', 'http://127.0.0.1:' . stack()->{port} ]) {
    my ($name, $flags, $url) = @$case;
    subtest $name => sub {
        open my $file, '>', "$dir/upload"; print $file 'x' x 700_000; close $file;
        my $job = decode_json(curl("$flags -F image=\@$dir/upload $url/jobs"));
        my $id = $job->{id};
        is sql("SELECT payload_size FROM await.job WHERE id = '$id'"), 700_000, 'an upload';
        is curl("$flags -o /dev/null -w '%{http_code}' -d '{' -H 'Content-Type: application/json' $url/jobs"), 400,
            'bad input';
        is curl(
            "$flags -o /dev/null -w '%{http_code}' --data-binary \@$dir/upload -H 'Content-Type: application/json' "
            . "$url/jobs"
        ), 400, 'refused while it is still sent';
        is curl("$flags '$url/jobs/$id?wait=1' -H 'Accept: text/plain'"), 'TIMEOUT', 'a long poll times out';
        open my $events, '-|', "curl -skN --max-time 30 $flags $url/jobs/$id/events" or die;
        my $seen = '';
        while (<$events>) { $seen .= $_; last if /"type":"pending"/ }
        open my $poll, '-|', "curl -sk --max-time 30 $flags -H 'Prefer: wait=20' $url/jobs/$id" or die;
        eventually('the stream and the poll are both held', sub { metric('await_held') == 2 });
        claim($id);
        my $large = 'r' x 600_000;
        complete($id, $large, hint => 1);
        is decode_json(do { local $/; <$poll> })->{state}, 'completed', 'a long poll is answered';
        { local $/; $seen .= <$events> // '' }
        close $events;
        is $? >> 8, 0, 'the stream ends cleanly';
        is_deeply [ $seen =~ /^event: (.*)$/mg ], [qw(ready pending processing completed)], 'events';
        ok curl("$flags $url/jobs/$id/result") eq $large, 'a large result';
        is curl("$flags -r 5-9 $url/jobs/$id/result"), 'rrrrr', 'a range';
        my $begin = time;
        my $gone = curl("$flags --max-time 1 '$url/jobs/@{[ one_job() ]}?wait=20'");
        cmp_ok time - $begin, '<', 15, 'a client may leave';
        is curl("$flags -o /dev/null -w '%{http_version}' $url/jobs/$id"), $name =~ /2/ ? 2 : '1.1', "curl spoke $name";
    };
}

my $load = `h2load -n 500 -c 10 -m 20 -d /etc/hostname http://127.0.0.1:$h2c/jobs 2>&1`;
like $load, qr/500 succeeded, 0 failed/, 'h2load: 500 submissions on 10 connections';
finish();
