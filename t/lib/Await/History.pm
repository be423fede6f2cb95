package Await::History;

# The checker of chaos: compares what clients were told (the report of t/chaos/clients.js) with what is in the database
# at the end. What a failover may have undone is told by its window: everything that was committed before it began is on
# the server that took over, and after its end nothing was committed on the one that was lost.

use strict;
use warnings;
use Await::Test;
use Test::More;

# Options: windows, each [begin, end, whether what was accepted may be lost]; trouble, when even a watcher who is
# connected may be late: [begin, end]; bound, the seconds that nobody waits longer than otherwise. What is in the
# database can be given, too: stored, events.
sub new {
    my ($class, $report, %o) = @_;
    my $self = bless { report => $report, windows => [], trouble => [], topic_from => 0, %o }, $class;
    $self->{trouble} = [ sort { $a->[0] <=> $b->[0] } @{ $self->{trouble} } ];
    $self->{bound} *= 4 if $self->{bound} && $ENV{AWAIT_ASAN};
    $self->read_jobs unless $self->{stored};
    $self->read_events unless $self->{events};
    return $self;
}

# The assertions: a promise, and what breaks it.
sub judge {
    my ($self, @promises) = @_;
    while (my ($name, $broken) = splice @promises, 0, 2) {
        is_deeply $broken, [], $name or diag join "\n  ", 'broken by:', grep { defined } @$broken[ 0 .. 19 ];
    }
    return;
}

sub read_jobs {
    my ($self) = @_;
    my @columns = qw(payload last endings whole state body at);
    for (
        split /\n/,
        sql(
            "SELECT j.id, convert_from(j.payload, 'UTF8'), coalesce(max(e.seq), 1),
                coalesce(count(*) FILTER (WHERE e.ending), 0), coalesce(max(e.seq), 1) = count(e.seq) + 1,
                max(e.state) FILTER (WHERE e.ending), max(convert_from(e.body, 'UTF8')),
                extract(epoch FROM max(e.at) FILTER (WHERE e.ending))
            FROM await.job j LEFT JOIN await.event e ON e.job = j.id
            WHERE j.id <> await.topic_id('chaos') GROUP BY 1, 2"
        ))
    {
        my ($id, @values) = split /\|/, $_, -1;
        @{ $self->{stored}{$id} }{@columns} = @values;
    }
    return;
}

# Each event as a client knows it: job, number, type, time. A job begins with `pending`.
sub read_events {
    my ($self) = @_;
    my $ms = 'floor(extract(epoch FROM %s) * 1000)::int8';
    my $sql = sprintf
        "SELECT concat_ws(' ', CASE WHEN job = await.topic_id('chaos') THEN 'topic' ELSE job::text END, seq, type,
            $ms) FROM await.event
        UNION ALL SELECT concat_ws(' ', id, 1, 'pending', $ms) FROM await.job WHERE id <> await.topic_id('chaos')",
        'at',
        'created_at';
    $self->{events} = { map { $_ => 1 } split /\n/, sql($sql) };
    $self->{topic_from} = sql("SELECT coalesce(min(seq), 0) FROM await.event WHERE job = await.topic_id('chaos')");
    return;
}

sub accepted { my ($self) = @_; return keys %{ $self->{report}{accepted} } }

# Whether what was under way in this time, in milliseconds, may have been undone by a failover: of a commit, or only of
# one that was accepted.
sub may_be_lost {
    my ($self, $sent, $known, $accepted) = @_;
    return
        scalar grep { $sent <= 1000 * $_->[1] && $known >= 1000 * $_->[0] && ($_->[2] || !$accepted) }
        @{ $self->{windows} };
}

# Those that were accepted, are not there, and may be lost.
sub lost {
    my ($self) = @_;
    my ($report, $stored) = @$self{qw(report stored)};
    return grep { !$stored->{$_} && $self->may_be_lost(@{ $report->{times}{$_} }, 1) } $self->accepted;
}

sub acceptance {
    my ($self) = @_;
    my ($report, $stored) = @$self{qw(report stored)};
    my %accepted = %{ $report->{accepted} };
    my %lost = map { $_ => 1 } $self->lost;
    my @kept = grep { $stored->{$_} } keys %accepted;
    my %times;
    $times{ $_->{payload} }++ for values %$stored;
    my %gone = map { $accepted{$_} => 1 } keys %lost;
    my $once = sub { my $n = $times{ $_[0] } // 0; return $n == 1 || !$n && $gone{ $_[0] } };
    my $is_own =
        sub { my ($job) = @_; return $job->{state} ne 'completed' || $job->{body} eq "made of $job->{payload}" };
    return (
        'every 202 is in the database' => [ grep { !$stored->{$_} && !$lost{$_} } keys %accepted ],
        'with its payload' => [ grep { $stored->{$_}{payload} ne $accepted{$_} } @kept ],
        'what was sent again with its Idempotency-Key is one job' => [ grep { !$once->($_) } @{ $report->{settled} } ],
        'every accepted job has ended, once' => [ grep { $stored->{$_}{endings} != 1 } @kept ],
        'no history has a hole' => [ grep { $stored->{$_}{whole} ne 't' } keys %$stored ],
        'every result is that of its own job' => [ grep { !$is_own->($stored->{$_}) } @kept ],
    );
}

# Of a list that a client was told between two resets: the events that are not in the database. Those of a topic that it
# no longer keeps are nobody's business.
sub undone {
    my ($self, @told) = @_;
    return grep {
        my ($job, $seq, $type, $at, $heard) = split / /;
        !$self->{events}{"$job $seq $type $at"} && !($job eq 'topic' && $seq < $self->{topic_from})
    } @told;
}

# What clients were told is what is there; what was undone is the end of what they knew, they were told so, and no
# client had both.
sub histories {
    my ($self) = @_;
    my (@standing, @mixed, @early, @still);
    $self->{undone} = { events => 0, watchers => 0 };
    for my $watcher (@{ $self->{report}{seen} }) {
        my @histories = @{ $watcher->{histories} };
        my $who = "$watcher->{id} ($watcher->{mode})";
        my $events = 0;
        for my $i (0 .. $#histories) {
            my @undone = $self->undone(@{ $histories[$i] });
            $events += @undone;
            push @standing, map { "$who: $_" } @undone if $i == $#histories && !$watcher->{lost};
            push @early, map { "$who: $_" } grep { !$self->may_be_lost(0, (split / /)[4]) } @undone;
            push @mixed, map { "$who: $_" } behind_undone([@undone], $histories[$i]);
        }
        push @still, $who if $watcher->{lost} && $self->{stored}{ $watcher->{id} };
        $self->{undone}{events} += $events;
        $self->{undone}{watchers}++ if $events;
    }
    return (
        'every event that a client was told is there, or the client was told of a reset' => \@standing,
        'no event was undone but those of the time of a failover' => \@early,
        'nobody was told events of two histories without a reset between them' => \@mixed,
        'no job was said not to exist that exists' => \@still,
    );
}

# The events that stand, of a job of which an earlier one was undone.
sub behind_undone {
    my ($undone, $told) = @_;
    my %undone = map { $_ => 1 } @$undone or return;
    my (%broken, @found);
    for (@$told) {
        my ($job) = split / /;
        if ($undone{$_}) { $broken{$job} = 1 }
        elsif ($broken{$job}) { push @found, $_ }
    }
    return @found;
}

sub heard {
    my ($self) = @_;
    return grep { !$_->{lost} } @{ $self->{report}{heard} };
}

sub endings {
    my ($self) = @_;
    my $last = sub { my $job = $self->{stored}{ $_[0] }; return $job ? $job->{last} : 0 };
    my @others = grep { $_->{last} != $last->($_->{id}) } $self->heard;
    return ('every watcher knows the last event' => [ map { "$_->{id} $_->{mode} $_->{last}" } @others ]);
}

# Everybody who could hear the end has heard it in time.
sub judge_waits {
    my ($self) = @_;
    my ($stored, @heard) = ($self->{stored}, $self->heard);
    my ($worst, $late, $in_all) = (0, 'nobody', 0);
    for my $watcher (@heard) {
        my $from = $stored->{ $watcher->{id} }{at} or next;
        my $to = ($watcher->{learned} // 0) / 1000;
        my $longest = $self->calm($from, $to);
        ($worst, $late) = ($longest, "$watcher->{id} ($watcher->{mode})") if $longest > $worst;
        $in_all = $to - $from if $to - $from > $in_all;
    }
    cmp_ok $worst, '<', $self->{bound},
        sprintf 'nobody waited longer than %.2f s without trouble (%s), %.2f s in all', $worst, $late, $in_all;
    return;
}

# The longest stretch without trouble in which somebody still waited.
sub calm {
    my ($self, $from, $to) = @_;
    my ($at, $longest) = ($from, 0);
    for my $t (@{ $self->{trouble} }, [ $to, $to ]) {
        my ($begin, $end) = map { $_ > $to ? $to : $_ } @$t;
        $longest = $begin - $at if $begin - $at > $longest;
        $at = $end if $end > $at;
    }
    return $longest;
}

# Each [when it was asked for, when it was committed].
sub judge_revocations {
    my ($self, @revoked) = @_;
    my ($sent_away, $stays) = (0, 0);
    for my $revoked (
        grep {
            !$self->may_be_lost(map { 1000 * $_ } @$_)
        } @revoked
        )
    {
        for my $session (@{ $self->{report}{sessions} }) {
            my ($from, $to) = ($session->{from} / 1000, $session->{to} / 1000);
            next if $from > $revoked->[0] || $to < $revoked->[1];
            ++$sent_away;
            my $longest = $self->calm($revoked->[1], $to);
            $stays = $longest if $longest > $stays;
        }
    }
    cmp_ok $stays, '<', $self->{bound},
        sprintf 'of %d streams and sockets that were there when their owner was revoked, '
        . 'none stays longer than %.2f s without trouble', $sent_away, $stays;
    return $sent_away;
}

1;
