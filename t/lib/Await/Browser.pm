package Await::Browser;

# A real browser, by WebDriver (W3C), spoken by hand.

use strict;
use warnings;
use File::Temp qw(tempdir);
use HTTP::Tiny;
use JSON::PP;
use Time::HiRes qw(sleep time);

# Starts chromedriver beside the stack's servers, and a session of its own.
sub new {
    my ($class, $stack) = @_;
    my $self = bless {
        port => Await::Stack::free_port(),
        http => HTTP::Tiny->new(timeout => 60),
        profile => tempdir(CLEANUP => 1) }, $class;
    $stack->spawn('chromedriver', [ 'chromedriver', "--port=$self->{port}" ]);
    my $end = time + 20;
    until (eval { $self->call('GET', '/status')->{ready} }) {
        die "chromedriver does not come up\n" if time > $end;
        sleep 0.05;
    }
    my @flags = (
        qw(--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
            --disable-component-update --disable-sync --disable-dev-shm-usage --ignore-certificate-errors),
        '--window-size=1280,1000'
    );
    $self->{session} = '/session/'
        . $self->call(
        'POST',
        '/session',
        {
            capabilities => {
                alwaysMatch => {
                    browserName => 'chrome',
                    acceptInsecureCerts => JSON::PP::true,
                    'goog:chromeOptions' => { args => [ @flags, "--user-data-dir=$self->{profile}/profile" ] } } } }
    )->{sessionId};
    return $self;
}

sub call {
    my ($self, $method, $path, $body) = @_;
    my $r = $self->{http}->request(
        $method,
        "http://127.0.0.1:$self->{port}$path",
        { headers => { 'Content-Type' => 'application/json' }, $body ? (content => encode_json($body)) : () });
    my $value = eval { decode_json($r->{content})->{value} };
    die "$path: " . ((ref $value eq 'HASH' ? $value->{message} : undef) // $r->{content}) . "\n" unless $r->{success};
    return $value;
}

sub visit { my ($self, $url) = @_; return $self->call('POST', "$self->{session}/url", { url => $url }) }
sub script {
    my ($self, $code, @args) = @_;
    return $self->call('POST', "$self->{session}/execute/sync", { script => $code, args => \@args });
}
sub element {
    my ($self, $selector) = @_;
    return (
        values %{ $self->call('POST', "$self->{session}/element",
            { using => 'css selector', value => $selector }) })[0];
}
sub type {
    my ($self, $selector, $text) = @_;
    return $self->call('POST', "$self->{session}/element/" . $self->element($selector) . '/value', { text => $text });
}
sub screenshot { my ($self) = @_; return $self->call('GET', "$self->{session}/screenshot") }
sub quit { my ($self) = @_; return $self->call('DELETE', $self->{session}) }

1;
