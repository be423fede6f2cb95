package Await::Session;

# A psql that stays open, for tests that need several transactions at once.

use strict;
use warnings;
use IO::Handle;
use IO::Select;
use IPC::Open2;
use Scalar::Util qw(weaken);
use Time::HiRes qw(time);

my @all;      # while they live

sub new {
    my ($class, $conninfo) = @_;
    local $ENV{PGOPTIONS} = '-c client_min_messages=error';
    my $pid = open2(my $from, my $to, 'sh', '-c', 'exec psql -XAtq -d "$0" 2>&1', $conninfo);
    $to->autoflush(1);
    my $self = bless { from => $from, to => $to, pid => $pid, n => 0, buffer => '' }, $class;
    push @all, $self;
    weaken($all[-1]);
    $self->{backend} = $self->run('SELECT pg_backend_pid()');
    return $self;
}

# Sends without waiting for the answer.
sub start {
    my ($self, $sql) = @_;
    $self->{n}++;
    print { $self->{to} } "$sql;\n\\echo :done:$self->{n}\n";
    return $self;
}

# The answer to what was started last; undef if it takes longer than that.
sub finish {
    my ($self, $seconds) = @_;
    my $end = time + ($seconds // 30);
    my $mark = ":done:$self->{n}\n";
    until ((my $at = index $self->{buffer}, $mark) >= 0) {
        my $left = $end - time;
        return undef if $left <= 0 || !IO::Select->new($self->{from})->can_read($left);
        sysread $self->{from}, $self->{buffer}, 65536, length $self->{buffer} or return undef;
    }
    (my $out, $self->{buffer}) = split /\Q$mark\E/, $self->{buffer}, 2;
    chomp $out;
    return $out =~ s/^:done:\d+\n//gmr;
}

sub run { my ($self, $sql) = @_; return $self->start($sql)->finish }

# As if its machine had lost power: the server ends the transaction.
sub kill_it {
    my ($self) = @_;
    my $pid = delete $self->{pid} // return;
    kill 'KILL', $pid;
    close $self->{to};
    close $self->{from};
    waitpid $pid, 0;
}

sub end_all { $_->kill_it for grep { defined } @all }

sub DESTROY { my ($self) = @_; local ($?, $!); $self->kill_it }

1;
