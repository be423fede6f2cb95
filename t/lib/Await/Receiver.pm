package Await::Receiver;

# A real receiver of webhooks, t/webhooks/receiver.js: what it does depends on the path. It verifies what it gets by a
# library of Standard Webhooks that is not ours.

use strict;
use warnings;
use File::Temp qw(tempdir);
use Await::Test;
use JSON::PP qw(decode_json);
use POSIX ();

my $built = $ENV{AWAIT_BUILD} // "$Await::Stack::ROOT/build";
my $verifier = "$built/verifier/node_modules/standardwebhooks";

# Options: certificate and key, of its own by default.
sub start {
    my ($class, %o) = @_;
    system('make', '-s', '-C', $Await::Stack::ROOT, $ENV{AWAIT_BUILD} ? "B=$built" : (), $verifier) == 0
        or die "there is no verifier of signatures\n";
    my $self = bless { dir => tempdir(CLEANUP => 1), owner => $$ }, $class;
    chmod 0755, $self->{dir};
    self_signed($self->{dir}) unless $o{certificate};
    @$self{qw(certificate key)} = ($o{certificate} // "$self->{dir}/cert.pem", $o{key} // "$self->{dir}/key.pem");
    pipe(my $read, $self->{secrets}) or die $!;
    $self->{pid} = fork // die $!;
    if (!$self->{pid}) {
        open STDIN, '<&', $read or POSIX::_exit(1);
        open STDOUT, '>', "$self->{dir}/received" or POSIX::_exit(1);
        exec 'node', "$Await::Stack::ROOT/t/webhooks/receiver.js", $verifier, @$self{qw(certificate key)}
            or POSIX::_exit(1);
    }
    $self->{secrets}->autoflush(1);
    until_true('the receiver listens', sub { scalar $self->lines }) or die 'no receiver';
    @$self{qw(http https)} = @{ ($self->lines)[0] }{qw(http https)};
    return $self;
}

# What it has been asked, or connected to, on the address that must not be reached.
sub strangers { my ($self) = @_; return grep { $_->{stranger} } $self->lines }

sub certificate { return $_[0]{certificate} }

# What it has printed.
sub lines {
    my ($self) = @_;
    my $file = "$self->{dir}/received";
    return map { decode_json($_) } grep { /\}$/ } split /\n/, -e $file ? slurp($file) : '';
}
# What came for a path, and what follows it.
sub received {
    my ($self, $url) = @_;
    return grep { ($_->{url} // '') =~ m{^/\Q$url\E(?:[/?]|$)} } $self->lines;
}
sub comes {
    my ($self, $url, $n) = @_;
    return until_true("$url comes", sub { $self->received($url) >= ($n // 1) }, 20);
}
# It verifies what comes for the path by this secret.
sub verify {
    my ($self, $path, $secret) = @_;
    print { $self->{secrets} } "$path $secret\n";
    return until_true(
        "$path is verified",
        sub {
            grep { ($_->{secret} // '') eq $path } $self->lines;
        });
}

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} // return;
    kill 'TERM', $pid;
    waitpid $pid, 0;
    return;
}
sub DESTROY { my ($self) = @_; local ($?, $!) = ($?, $!); $self->stop if $$ == $self->{owner}; return }

1;
