# conf/recipes/images.conf as its users type it; what they should not type; and the third party, which is told of each
# upload by a webhook, whatever is away.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Database qw(end_sessions);
use Await::Receiver;
use Await::Relay;
use Await::Test;
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(sleep time);

my $root = $Await::Stack::ROOT;
my $site = slurp("$root/conf/recipes/images.conf");
my $files = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $files;
system('sh', '-c',
    "cd $files && $root/conf/recipes/prepare && echo \"bob:\$(openssl passwd -apr1 bob)\" >> users.htpasswd && "
    . 'convert -size 800x600 plasma:fractal test.jpg && echo text > test.txt && : > empty.jpg') == 0
    or die;
# the third party
my $analytics = Await::Receiver->start;
my $s = start_stack(site => "await_reread 1h;\n" . $site =~ s{users\.htpasswd}{$files/users.htpasswd}gr =~
        s/await_hold 30s/await_hold 2s/r =~
        s{https://analytics\.example/hook}{http://127.0.0.1:$analytics->{http}/ok/hook}r);
my $url = $s->url;
sub curl { my ($arguments) = @_; return scalar `cd $files && curl -s $arguments` }

sub start_worker {
    my ($line) = $site =~ /^# await-worker (.+)$/m;
    return $s->start_worker('worker1', split ' ', $line =~ s/\$\{ROOT\}/$root/r);
}

subtest 'as typed' => sub {
    my $doc = json({ body => curl("-u admin:admin -F image=\@test.jpg $url/upload") });
    is_deeply [ sort keys %$doc ], [qw(id message status)], 'the upload\'s document has three members';
    is $doc->{status}, 'PENDING', 'its status is PENDING';
    my $began = time;
    is curl("$url/image/status/$doc->{id}"), "TIMEOUT", 'blocks, at most so long';
    cmp_ok time - $began, '>', 1.9, 'it blocked for its two seconds';
    start_worker();
    my $word = '';
    for (1 .. 10) { $word = curl("$url/image/status/$doc->{id}"); last if $word ne 'TIMEOUT' }
    is $word, 'COMPLETED', 'the client asks again';
    is curl("$url/image/status/$doc->{id}"), 'COMPLETED', 'the status of a finished image is COMPLETED';
    is curl("-u admin:admin -o thumb.jpg -w '%{http_code} %{content_type}' $url/image/$doc->{id}"), '200 image/jpeg',
        'the image is a JPEG to the client';
    is scalar(`identify -format %m $files/thumb.jpg`), 'JPEG', 'and a JPEG to ImageMagick';
    my $bad = json({ body => curl("-u admin:admin -F image=\@test.txt $url/upload") });
    is curl("$url/image/status/$bad->{id}"), 'FAILED', 'a text file has FAILED';
    is sql("SELECT owner FROM await.job WHERE id = '$doc->{id}'"), 'admin', 'the job is its uploader\'s';
    my $with = json({ body => curl("-u admin:admin -F image=\@test.jpg -F caption=hello -F other=x $url/upload") });
    is sql("SELECT params FROM await.job WHERE id = '$with->{id}'"), '{"caption": "hello"}',
        'only the field caption is kept';
};

subtest 'who may' => sub {
    is curl("-o /dev/null -w '%{http_code} %{content_type}' -F image=\@test.jpg $url/upload"),
        '401 application/problem+json', 'without a password: 401, as a problem';
    is curl("-o /dev/null -w '%{http_code}' -u admin:wrong -F image=\@test.jpg $url/upload"), '401',
        'with a wrong password: 401';
    my $id = json({ body => curl("-u admin:admin -F image=\@test.jpg $url/upload") })->{id};
    is curl("-o /dev/null -w '%{http_code}' $url/image/$id"), '401', 'the image needs a login, its status does not';
    is curl("-o /dev/null -w '%{http_code}' $url/image/status/00000000-0000-7000-8000-000000000000"), '410', 'long ago';
};

sub upload { my ($arguments) = @_; return json({ body => curl("-u admin:admin $arguments $url/upload") }) }

subtest 'two users' => sub {
    my $id = upload('-F image=@test.jpg')->{id};
    until_true('done', sub { curl("$url/image/status/$id") eq 'COMPLETED' });
    is curl("-o /dev/null -w '%{http_code}' -u bob:bob $url/image/$id"), '404', 'an image is not another user\'s';
    for my $who ('', '-u admin:admin') {
        is curl("-o /dev/null -w '%{http_code}' $who -X DELETE $url/image/status/$id"), '403',
            'who may read the status may not cancel the upload';
    }
};

subtest 'what is no upload' => sub {
    my $stored = sub { sql('SELECT count(*) FROM await.job') };
    my $before = $stored->();
    Await::Stack::write_file("$files/large.jpg", 'x' x (51 << 20));
    for (
        [ '-F picture=@test.jpg', 400, 'a form without the field' ],
        [ '-F image=@test.jpg -F image=@test.jpg', 400, 'two images' ],
        [ '-d image=test.jpg -H "Content-Encoding: gzip"', 415, 'a body with a coding' ],
        [ '-H "Content-Type: multipart/form-data" --data-binary @test.jpg', 400, 'a form without a boundary' ],
        [ '-F image=@large.jpg', 413, 'more than 50 MB' ],
        [ '-X PUT -F image=@test.jpg', 405, 'another method' ],
        )
    {
        my ($arguments, $status, $name) = @$_;
        is curl("-o /dev/null -w '%{http_code} %{content_type}' -u admin:admin $arguments $url/upload"),
            "$status application/problem+json", $name;
    }
    is $stored->(), $before, 'nothing is stored';
    my $empty = upload('-F image=@empty.jpg')->{id};
    is curl("$url/image/status/$empty"), 'FAILED', 'an empty image fails';
    my $path = upload(q{-F 'image=@test.jpg;filename=../../etc/passwd' --form-string 'caption=<script>'})->{id};
    is curl("$url/image/status/$path"), 'COMPLETED', 'a name with a path is only a name';
    my $plain = upload('-H "Content-Type: image/jpeg" --data-binary @test.jpg')->{id};
    is curl("$url/image/status/$plain"), 'COMPLETED', 'a body that is no form is the image itself';
};

subtest 'a worker that is killed' => sub {
    my $worker = $s->pid('worker1');
    kill STOP => $worker;
    end_sessions();
    my $id = upload('-F image=@test.jpg')->{id};
    $s->end('worker1', 'KILL');
    is curl("$url/image/status/$id"), 'TIMEOUT', 'the upload waits';
    start_worker();
    is curl("$url/image/status/$id"), 'COMPLETED', 'and is done by the next one';
};

subtest 'a third party learns of each upload' => sub {
    $analytics->verify('ok', sql("SELECT (await.webhook_secret('http://127.0.0.1:$analytics->{http}/ok/hook'))[1]"));
    my ($line) = $site =~ /^# await-relay (.+)$/m;
    my $options = 'webhooks,allow-http=on,allow-network=127.0.0.1,first-delay=100ms';
    my $start = sub { Await::Relay->start($_[0], split ' ', $line =~ s/webhooks$/$options/r) };
    my $relay = $start->('relay1');
    $relay->leads;
    my $calls = sub {
        my %of;
        push @{ $of{ decode_json($_->{body})->{data}{job} } }, $_ for $analytics->received('ok/hook');
        return \%of;
    };
    my $id = upload('-F image=@test.jpg')->{id};
    until_true('the call comes', sub { $calls->()->{$id} });
    my ($call) = @{ $calls->()->{$id} };
    is $call->{good}, 1, 'by a call that it can verify';
    my $event = decode_json($call->{body});
    is "$event->{type} $event->{data}{job} $event->{data}{owner}", "pending $id admin", 'with the id and the user';
    is $call->{headers}{'webhook-id'}, "$id:1", 'and an id of the call';
    unlike $call->{body}, qr/JFIF|payload|test\.jpg|password/, 'and not the image';

    my $key = '-H \'Idempotency-Key: "twice"\' -F image=@test.jpg';
    my @same = map { upload($key)->{id} } 1, 2;
    is $same[0], $same[1], 'an upload that is repeated with its key is one';
    upload('-F picture=@test.jpg');

    kill STOP => $analytics->{pid};
    my @ids = map { upload('-F image=@test.jpg')->{id} } 1 .. 5;
    $relay->stop('KILL');
    push @ids, map { upload('-F image=@test.jpg')->{id} } 1 .. 5;
    kill CONT => $analytics->{pid};
    $start->('relay2')->leads;
    eventually 'uploads are told while the relay was killed, and the third party was away',
        sub { my $of = $calls->(); !grep { !$of->{$_} } @ids };
    my $of = $calls->();
    is scalar(@{ $of->{ $same[0] } }), 1, 'that which was repeated, once';
    is_deeply [ grep { keys %{ { map { $_->{headers}{'webhook-id'} => 1 } @{ $of->{$_} } } } != 1 } keys %$of ], [],
        'a call that comes again has the same id';
    is_deeply [ grep { !$_->{good} } $analytics->received('ok/hook') ], [], 'each can be verified';
};
$analytics->stop;
finish();
