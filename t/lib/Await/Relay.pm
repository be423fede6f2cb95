package Await::Relay;

# An await-relay of a test, and what it has written.

use strict;
use warnings;
use Await::Json;
use Await::Test;
use JSON::PP;
use Test::More;
use Time::HiRes qw(time);

use Exporter 'import';
our @EXPORT = qw(submit complete_one status_of relay_ctl);

my $listeners = 0;

# Starts one with these arguments. Its output and its log are in one file.
sub start {
    my ($class, $name, @arguments) = @_;
    my $s = stack();
    $s->start_relay($name, @arguments);
    my %option = map { $arguments[$_] => $arguments[ $_ + 1 ] } grep { $arguments[$_] eq '--name' } 0 .. $#arguments;
    my $sinks = grep { $_ eq '--sink' } @arguments;
    return bless {
        name => $name,
        relay => $option{'--name'} // 'relay',
        sinks => $sinks,
        file => "$s->{dir}/logs/$name.log",
        begins => $s->{log_begins}{$name} // 0
    }, $class;
}

sub pid { my ($self) = @_; return stack()->pid($self->{name}) }

sub text { my ($self) = @_; return substr slurp($self->{file}), $self->{begins} }

# The events that it has written by its sink stdout, whole lines only. Each is parsed once.
sub events {
    my ($self) = @_;
    my $new = substr $self->text, $self->{seen} //= 0;
    my $whole = substr $new, 0, 1 + rindex $new, "\n";
    $self->{seen} += length $whole;
    push @{ $self->{events} }, map { JSON::PP::decode_json($_) } $whole =~ /^(\{.*\})$/mg;
    return wantarray ? @{ $self->{events} } : scalar @{ $self->{events} };
}
sub written {
    my ($file) = @_;
    return map { JSON::PP->new->decode($_) } slurp($file) =~ /^(\{.*\})$/mg;
}

# It leads, and its sinks have cursors: what is written from now on is theirs.
sub leads {
    my ($self) = @_;
    return until_true(
        "$self->{name} leads",
        sub {
            $self->text =~ /leading the relays/
                && sql("SELECT count(cursor) FROM await.relay_status('$self->{relay}')") >= $self->{sinks};
        });
}

# Ends it; its exit status, or "killed".
sub stop {
    my ($self, $signal) = @_;
    my $s = stack();
    my $pid = $s->pid($self->{name}) or return $s->{status}{ $self->{name} };
    kill $signal // 'TERM', $pid;
    return $self->status;
}

# Its exit status, once it has ended.
sub status {
    my ($self) = @_;
    my $s = stack();
    until_true("$self->{name} ends", sub { !$s->alive($self->{name}) }, 40);
    my $status = $s->{status}{ $self->{name} } // 0;
    return $status & 127 ? 'killed' : $status >> 8;
}

# Subscribes to these channels of Redis; what has come, as redis-cli prints it.
sub listen {
    my ($class, $pattern) = @_;
    my $s = stack();
    my $name = 'listener' . ++$listeners;
    $s->spawn(
        $name,
        [ 'redis-cli', '-h', '127.0.0.1', '-p', $s->{redis_port}, 'PSUBSCRIBE', $pattern ],
        env => { REDISCLI_AUTH => $s->{password} });
    my $file = "$s->{dir}/logs/$name.log";
    until_true('Redis is listened to', sub { slurp($file) =~ /psubscribe/ });
    return sub { return slurp($file) };
}

sub submit {
    my ($queue, $options) = @_;
    return sql("SELECT await.submit('$queue', 'x', 'text/plain', '" . ($options // '{}') . "')");
}

# Claims a job and completes it.
sub complete_one {
    my ($queue, $body, $type) = @_;
    return sql(
              "SELECT await.complete(c.id, c.receipt, convert_to('"
            . ($body // 'done')
            . "', 'UTF8'), '"
            . ($type // 'text/plain') . "')
        FROM await.claim(ARRAY['$queue'], 'w', 1) c"
    );
}

# What await-ctl relay says, to the owner of the schema, and its exit status behind it.
sub relay_ctl {
    my (@words) = @_;
    my $s = stack();
    local $ENV{AWAIT_POSTGRES} = $s->postgres;
    my $said = qx{$Await::Stack::ROOT/tools/await-ctl relay @words 2>&1};
    return wantarray ? ($said, $? >> 8) : $said;
}

# A column of a sink, as await.relay_status() has it.
sub status_of { my ($sink, $column) = @_; return sql("SELECT $column FROM await.relay_status() WHERE sink = '$sink'") }

1;
