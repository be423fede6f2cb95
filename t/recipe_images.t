# conf/recipes/images.conf as its users type it.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
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
    "cd $files && $root/conf/recipes/prepare && convert -size 800x600 plasma:fractal test.jpg && echo text > test.txt")
    == 0
    or die;
# the third party
my $analytics = Await::Receiver->start;
my $s = start_stack(site => "await_reread 1h;\n" . $site =~ s{users\.htpasswd}{$files/users.htpasswd}gr =~
        s/await_hold 30s/await_hold 2s/r =~
        s{https://analytics\.example/hook}{http://127.0.0.1:$analytics->{http}/ok/hook}r);
my $url = $s->url;
sub curl { my ($arguments) = @_; return scalar `cd $files && curl -s $arguments` }

subtest 'as typed' => sub {
    my $doc = json({ body => curl("-u admin:admin -F image=\@test.jpg $url/upload") });
    is_deeply [ sort keys %$doc ], [qw(id message status)], 'the upload\'s document has three members';
    is $doc->{status}, 'PENDING', 'its status is PENDING';
    my $began = time;
    is curl("$url/image/status/$doc->{id}"), "TIMEOUT", 'blocks, at most so long';
    cmp_ok time - $began, '>', 1.9, 'it blocked for its two seconds';
    for my $line ($site =~ /^# await-worker (.+)$/mg) {
        $line =~ s/\$\{ROOT\}/$root/;
        $s->start_worker('worker1', split ' ', $line);
    }
    my $word = '';
    for (1 .. 10) { $word = curl("$url/image/status/$doc->{id}"); last if $word ne 'TIMEOUT' }
    is $word, 'COMPLETED', 'the client asks again';
    $began = time;
    is curl("$url/image/status/$doc->{id}"), 'COMPLETED', 'the status of a finished image is COMPLETED';
    cmp_ok time - $began, '<', 1.5, 'already finished: at once';
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

subtest 'a third party learns of each upload' => sub {
    $analytics->verify('ok', sql("SELECT (await.webhook_secret('http://127.0.0.1:$analytics->{http}/ok/hook'))[1]"));
    my ($line) = $site =~ /^# await-relay (.+)$/m;
    Await::Relay->start('relay', map { s/^webhooks$/webhooks,allow-http=on,allow-network=127.0.0.1/r } split ' ',
        $line)->leads;
    my $id = json({ body => curl("-u admin:admin -F image=\@test.jpg $url/upload") })->{id};
    my $of_it = sub { grep { $_->{body} =~ /$id/ } $analytics->received('ok/hook') };
    until_true('the call comes', $of_it);
    my ($call) = $of_it->();
    is $call->{good}, 1, 'by a call that it can verify';
    my $event = decode_json($call->{body});
    is "$event->{type} $event->{data}{job} $event->{data}{owner}", "pending $id admin", 'with the id and the user';
    unlike $call->{body}, qr/JFIF|payload/, 'and not the image';
};
$analytics->stop;
finish();
