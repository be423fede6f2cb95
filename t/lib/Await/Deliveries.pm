package Await::Deliveries;

# The checker of what sinks of await-relay got: each event that is in the database at least once, and those of a job in
# their order. What is delivered and not in the database, a failover has undone.

use strict;
use warnings;
use Await::Test;

# Options: windows, each [begin, end] of a failover that may undo what was committed then, in seconds. What is in the
# database can be given, too: stored, a hash of "JOB SEQ TIME".
sub new {
    my ($class, %o) = @_;
    my $self = bless { windows => [], %o }, $class;
    $self->{stored} //= { map { $_ => 1 } split /\n/, sql(<<'SQL') };
SELECT j.id || ' 1 ' || await.utc(j.created_at) FROM await.job j WHERE NOT starts_with(j.id::text, 'ffffffff')
UNION ALL SELECT e.job || ' ' || e.seq || ' ' || await.utc(e.at) FROM await.event e
    WHERE NOT starts_with(e.job::text, 'ffffffff')
SQL
    return $self;
}

sub stored { my ($self) = @_; return scalar keys %{ $self->{stored} } }

# Promises of a sink, and what breaks them. Its deliveries are lists of [job, seq, time] in their order, one for each
# time that a process has led; of one receiver there is one list. Options: from (1), the first seq of a job that it
# gets; timeless, if it is not told the time.
sub promises {
    my ($self, $sink, $lists, %o) = @_;
    my $key = $o{timeless} ? sub { "$_[0] $_[1]" } : sub { "$_[0] $_[1] $_[2]" };
    my $from = $o{from} // 1;
    my (%due, %had, @invented, @disordered, %count);
    for (keys %{ $self->{stored} }) { my @event = split / /; $due{ $key->(@event) } = 1 if $event[1] >= $from }
    for my $list (@$lists) {
        push @disordered, map { "$sink: $_" } disordered($list, $from, @$lists > 1);
        for my $event (@$list) {
            $count{delivered}++;
            my $name = $key->(@$event);
            next if $had{$name}++;
            next if $due{$name};
            $count{undone}++;
            push @invented, $name unless $self->may_be_undone($event->[2]);
        }
    }
    $self->{count}{$sink} = { undone => 0, %count, doubles => ($count{delivered} // 0) - keys %had };
    return (
        "$sink: every event is delivered" => [ grep { !$had{$_} } sort keys %due ],
        "$sink: the events of each job come in order" => \@disordered,
        "$sink: nothing is delivered that is not there, unless a failover undid it" => \@invented,
    );
}

# The first delivery of an event comes behind that of the one before. Of one list of several: behind it, or at the
# place where this job begins in it.
sub disordered {
    my ($list, $from, $of_several) = @_;
    my (%upto, @found);
    for my $event (@$list) {
        my ($job, $seq) = @$event;
        my $upto = $upto{$job} // ($of_several ? $seq - 1 : $from - 1);
        push @found, "$job: $seq behind $upto" if $seq > $upto + 1;
        $upto{$job} = $seq if $seq > $upto;
    }
    return @found;
}

sub may_be_undone {
    my ($self, $time) = @_;
    return scalar @{ $self->{windows} } if !defined $time;
    my ($h, $m, $s) = $time =~ /T(\d+):(\d+):([\d.]+)Z$/;
    my $at = $h * 3600 + $m * 60 + $s;
    for (@{ $self->{windows} }) {
        my ($begin, $end) = map { $_ - 86400 * int($_ / 86400) } @$_;
        return 1 if $begin <= $end ? $at >= $begin && $at <= $end : $at >= $begin || $at <= $end;
    }
    return 0;
}

# What there was of each sink, as text.
sub counts {
    my ($self) = @_;
    return join '; ', map {
        my $c = $self->{count}{$_};
        "$_: $c->{delivered} deliveries, $c->{doubles} of them again, $c->{undone} undone"
    } sort keys %{ $self->{count} };
}

1;
