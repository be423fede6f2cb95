package Await::Swallower;

# A proxy in front of nginx that can swallow bytes: connections stay open, nothing comes through. Those that were open
# then stay dead; new ones work as soon as it passes again.

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Await::Test;

sub new {
    my ($class, $stack) = @_;
    my $port = Await::Stack::free_port();
    my $self = bless { port => $port, flag => "$stack->{dir}/swallow", stack => $stack }, $class;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 100, ReuseAddr => 1)
        or die "listen: $!\n";
    my $to = $stack->{port};
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        $SIG{TERM} = 'DEFAULT';
        eval { serve($listener, $to, $self->{flag}) };
        require POSIX;
        POSIX::_exit(0);
    }
    $self->{pid} = $pid;
    return $self;
}

sub swallow { my ($self) = @_; open my $flag, '>', $self->{flag} or die "$self->{flag}: $!\n"; return }
sub pass { my ($self) = @_; unlink $self->{flag}; return }
sub end {
    my ($self) = @_;
    kill 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    return;
}

sub serve {
    my ($listener, $to, $flag) = @_;
    my $select = IO::Select->new($listener);
    my (%other, %dead);
    while (1) {
        for my $from ($select->can_read(0.2)) {
            my $swallows = -e $flag;
            if ($from == $listener) {
                my $client = $listener->accept or next;
                my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $to) or next;
                $select->add($client, $server);
                @other{ $client, $server } = ($server, $client);
                next;
            }
            my $other = $other{$from};
            my $read = sysread $from, my $bytes, 65536;
            @dead{ $from, $other } = (1, 1) if $swallows;
            if (!$read) {
                $select->remove($from, $other);
                delete @other{ $from, $other };
                delete @dead{ $from, $other };
                close $_ for $from, $other;
            }
            elsif (!$dead{$from}) { send_all($other, $bytes) }
        }
    }
}

sub send_all {
    my ($to, $bytes) = @_;
    for (my $at = 0; $at < length $bytes;) {
        my $n = syswrite $to, $bytes, length($bytes) - $at, $at;
        last unless $n;
        $at += $n;
    }
    return;
}

1;
