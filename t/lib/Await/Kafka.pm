package Await::Kafka;

# A cluster of brokers for a test (t/kafka/broker.cc), and what kcat reads from it and writes to it.

use strict;
use warnings;
use Await::Json;
use Await::Test;
use IPC::Open2 qw(open2);
use JSON::PP;

my $broker = ($ENV{AWAIT_BUILD} // "$Await::Stack::ROOT/build") . '/kafka-broker';

sub start {
    my ($class, $brokers) = @_;
    my $pid = open2(my $out, my $in, $broker, $brokers // 1);
    my $self = bless { pid => $pid, out => $out, in => $in }, $class;
    chomp($self->{servers} = readline $out);
    return $self;
}

sub servers { my ($self) = @_; return $self->{servers} }

# One of the commands of the broker.
sub tell {
    my ($self, @words) = @_;
    print { $self->{in} } "@words\n";
    $self->{in}->flush;
    chomp(my $answer = readline($self->{out}) // 'gone');
    die "kafka-broker: @words: $answer\n" unless $answer eq 'ok';
    return;
}

# A front of the broker with TLS or passwords, whose options t/kafka/front.js has: an object like this one.
sub front {
    my ($self, %options) = @_;
    my ($port) = $self->{servers} =~ /:(\d+)$/;
    my $json = JSON::PP->new->encode({ %options, port => $port + 0 });
    my $pid = open2(my $out, my $in, 'node', "$Await::Stack::ROOT/t/kafka/front.js", $json);
    chomp(my $own = readline($out) // die "no front of the broker\n");
    return bless { pid => $pid, out => $out, in => $in, servers => ($options{host} // '127.0.0.1') . ":$own" },
        ref $self;
}

sub all_down { my ($self, $brokers) = @_; $self->tell(down => $_) for 1 .. $brokers; return }
sub all_up { my ($self, $brokers) = @_; $self->tell(up => $_) for 1 .. $brokers; return }

# Writes a message by kcat. Options: key, headers (a list of "name=value"), partition.
sub put_message {
    my ($self, $topic, $value, %o) = @_;
    my $file = stack()->{dir} . '/message';
    Await::Stack::write_file($file, $value);
    my @arguments = ('-T', '-p', $o{partition} // 0, '-X', 'message.max.bytes=100000000');
    push @arguments, '-k', $o{key} if defined $o{key};
    push @arguments, map { ('-H', $_) } @{ $o{headers} // [] };
    return $self->kcat([ '-P', '-t', $topic, @arguments, $file ]);
}

# Ends a transaction in partition 0, by a record that nobody gets. There is one broker.
sub put_marker {
    my ($self, $topic) = @_;
    my ($port) = $self->{servers} =~ /:(\d+)$/;
    return system('node', "$Await::Stack::ROOT/t/kafka/marker.js", $port, $topic) == 0 || die "no marker in $topic\n";
}

# Writes a message for each line, the part before a tab being its key.
sub put_lines {
    my ($self, $topic, @lines) = @_;
    my $file = stack()->{dir} . '/lines';
    Await::Stack::write_file($file, join '', map { "$_\n" } @lines);
    return $self->kcat([ '-P', '-t', $topic, '-K', "\t", '-p', 0, '-l', $file ]);
}

# The first `count` messages of a topic, when they are there; without a count, all that are there. Each has topic,
# partition, offset, key, payload, and headers as a hash.
sub messages {
    my ($self, $topic, $count) = @_;
    my $lines = $self->kcat([
        '-C', '-q', '-J', '-t', $topic, '-o', 'beginning', $count ? ('-c', $count) : '-e',
        '-X', 'fetch.wait.max.ms=50'
    ]);
    my @all = map { JSON::PP::decode_json($_) } split /\n/, $lines;
    $_->{headers} = { @{ $_->{headers} // [] } } for @all;
    return @all;
}

sub kcat {
    my ($self, $arguments) = @_;
    open my $run, '-|', 'timeout', 20, 'kcat', '-b', $self->{servers}, @$arguments or die "kcat: $!";
    my $text = do { local $/; readline $run }
        // '';
    close $run;
    return $text;
}

sub stop {
    my ($self) = @_;
    return unless $self->{pid};
    close $self->{in};
    kill 'KILL', $self->{pid};
    waitpid delete $self->{pid}, 0;
    return;
}
sub DESTROY { local $?; $_[0]->stop }

1;
