# conf/recipes/judge.conf as its users use it, through the balancer: submissions, their list, and their results by
# polls, event streams and WebSockets.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use MIME::Base64 qw(encode_base64);
use Test::More;

my $root = $Await::Stack::ROOT;
my $site = slurp("$root/conf/recipes/judge.conf");
my $files = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $files;
system('sh', '-c',
    "cd $files && $root/conf/recipes/prepare && echo \"bob:\$(openssl passwd -apr1 bob)\" >> users.htpasswd") == 0
    or die;
my @edges = map { Await::Stack::free_port() } 1, 2;
my $s = start_stack(site => "await_reread 1h;\n" . $site =~ s/users\.htpasswd/$files\/users.htpasswd/r =~
        s/\$\{PORT\+([12])\}/$edges[$1 - 1]/gr =~ s/rate=50r/rate=500r/r);
my %admin = (Authorization => 'Basic ' . encode_base64('admin:admin', ''));
my %bob = (Authorization => 'Basic ' . encode_base64('bob:bob', ''));
my $primes = '2 3 5 7 11 13 17 19 23 29';

sub start_workers {
    for my $line ($site =~ /^# await-worker (.+)$/mg) {
        $line =~ s/\$\{ROOT\}/$root/;
        $s->start_worker('worker1', split ' ', $line);
    }
}
sub submit {
    my ($text, %who) = @_;
    return id_of(post('/submissions', $text, 'Content-Type' => 'text/plain', %who));
}
sub list { my ($arguments, %who) = @_; return json(get("/submissions$arguments", %who)) }
sub ids {
    return [ map { $_->{id} } @_ ];
}

my @mine;
subtest 'the list of an owner' => sub {
    @mine = reverse map { submit($primes, %admin) } 1 .. 5;
    my $his = submit('1', %bob);
    is_deeply ids(@{ list('', %admin)->{jobs} }), \@mine, 'newest first, at the URL of submission';
    is_deeply ids(@{ list('', %bob)->{jobs} }), [$his], 'another one\'s are his';
    is get('/submissions')->{status}, 401, 'without a login there is no list';
    my (@seen, $pages);
    for (my $at = '?limit=2'; $at; $pages++) {
        my $r = get("/submissions$at", %admin);
        push @seen, @{ json($r)->{jobs} };
        ($at) = (header($r, 'Link') // '') =~ /<([^>]+)>; rel="next"/;
        push @mine, submit($primes, %admin) unless $pages;
    }
    my $new = pop @mine;
    is_deeply [ $pages, ids(@seen) ], [ 3, \@mine ],
        'three pages by Link, and what comes meanwhile changes none of them';
    unshift @mine, $new;
    is get($seen[0]{links}{self}, %admin)->{status}, 200, 'the links of the list lead through the balancer';
    is get($seen[0]{links}{self}, %bob)->{status}, 404, 'but not for others';
    my $r = get('/submissions', %admin);
    is get('/submissions', %admin, 'If-None-Match' => header($r, 'ETag'))->{status}, 304,
        'an unchanged list is not sent';
    is get('/submissions?queue=mails', %admin)->{status}, 400, 'only of this queue';
    is get('/submissions?limit=0', %admin)->{status}, 400, 'a limit out of range';
};

subtest 'results, however one waits' => sub {
    my ($polled, $streamed, $pushed, $early) = @mine;
    is get("/submissions/$early/result", %admin)->{status}, 404, 'no result yet';
    my $poll = begin_request('GET', "/submissions/$polled?wait=20", headers => {%admin});
    my $stream =
        begin_request('GET', "/submissions/$streamed/events", headers => { %admin, Accept => 'text/event-stream' });
    my $socket = Await::WebSocket->new($s->{port}, "/submissions/$pushed", headers => {%admin});
    ok $stream->wait_event('pending'), 'the stream has begun';
    is $socket->message->{op}, 'subscribed', 'the WebSocket, too';
    start_workers();
    my $doc = json($poll->response);
    is_deeply [ $doc->{state}, $doc->{result}{name} ], [ 'completed', 'output.txt' ],
        'the poll is answered with the ending, and the name of the file';
    ok $stream->wait_event('completed'), 'the stream has it';
    my $message;
    do { $message = $socket->message(20) } until !$message || $message->{type} eq 'completed';
    is $message->{result}{name}, 'output.txt', 'the WebSocket has it';
    my $r = get($doc->{links}{result}, %admin);
    is_deeply [ $r->{status}, (split /\n/, $r->{body})[-1] ], [ 200, '10 of 10' ], 'the output file';
    like header($r, 'Content-Disposition'), qr/filename="?output\.txt/, 'with its name';
    is get($doc->{links}{result}, %bob)->{status}, 404, 'it is the owner\'s';
};

subtest 'the list by state' => sub {
    eventually('all are judged', sub { @{ list('?state=completed', %admin)->{jobs} } == 6 });
    is_deeply list('?state=pending,processing', %admin)->{jobs}, [], 'none is open';
    my $wrong = submit('1 2 3', %bob);
    eventually('one more', sub { list('?state=completed', %bob)->{jobs}[0]{id} eq $wrong });
    like get("/submissions/$wrong/result", %bob)->{body}, qr/^0 of 10$/m, 'a wrong answer is judged, too';
};

subtest 'a repeated submission' => sub {
    my @ids = map { submit($primes, %admin, 'Idempotency-Key' => '"again"') } 1, 2;
    is $ids[0], $ids[1], 'with its key, by whichever edge, it is one';
};
finish();
