package Await::Psql;

# A test's SQL goes through a psql that is kept: to start one for each statement, and a session behind it, took half of
# the suite's time. A statement finds its session as a new one would be, and whatever has to do with sessions themselves
# finds none of these: it gets a psql of its own.

use strict;
use warnings;
use Await::Stack;
use IO::Handle;
use IO::Select;
use Time::HiRes qw(time);

# Transactions and settings that a psql left open would end with it; what sessions find when they begin; what is told of
# them, or done to them; commands of psql.
my $ALONE = qr{
    \\
    | (?:^|;) \s* (?:BEGIN|START|SET|RESET|PREPARE|EXECUTE|LISTEN|COPY|LOCK|VACUUM|EXPLAIN|LOAD) \b
    | \b (?:DATABASE|SYSTEM|ROLE|USER|EXTENSION|TEMP|TEMPORARY|TABLESPACE|SUBSCRIPTION) \b
    | \b (?:set_config|pg_advisory_\w+|pg_sleep|pg_reload_conf|pg_promote|pg_\w+_backend|pg_backend_pid) \s* \(
    | \b pg_(?:stat|locks|prepared)
}xi;

our $keep = 1;     # 0: each statement has its own
my %kept;          # by process and conninfo: { to, from, pid, n }
my $alone = $Await::Stack::run_psql;
$Await::Stack::run_psql = \&run;

sub run {
    my ($conninfo, $sql) = @_;
    if (!$keep || $sql =~ $ALONE) { end_all(); return $alone->($conninfo, $sql) }
    my $name = "$$ $conninfo";
    end($name) if $kept{$name} && !is_as_new($kept{$name});
    $kept{$name} //= start($conninfo);
    # of one statement that fails, psql can say so and go on
    my $one = $sql =~ s/;\s*\z//r;
    my $stop = $one =~ /;/ ? 'on' : 'off';
    my $out = exchange($kept{$name}, "\\set ON_ERROR_STOP $stop\n$one");
    my $failed = $kept{$name}{failed};
    end($name) unless defined $out;
    return $failed ? (undef, $failed) : ($out, undef);
}

sub start {
    my ($conninfo) = @_;
    my ($to, $from, $pid) = Await::Stack::open_psql($conninfo);
    $to->autoflush(1);
    return { to => $to, from => $from, pid => $pid, n => 0 };
}

# Whether its session still is there, and has nothing of what was done in it. One that was left in the middle is not.
sub is_as_new {
    my ($self) = @_;
    return !$self->{busy} && defined exchange($self, 'DISCARD ALL', 3) && !$self->{failed};
}

# Sends SQL; what it gives, or undef if psql ends, or takes longer than so many seconds. What went wrong is in {failed}.
sub exchange {
    my ($self, $sql, $seconds) = @_;
    local $SIG{PIPE} = 'IGNORE';
    $self->{busy} = 1;
    my $mark = sprintf 'await-%d-%d-', $$, ++$self->{n};
    delete $self->{failed};
    print { $self->{to} } "$sql\n;\n\\echo $mark:ERROR\n";
    my $end = defined $seconds ? time + $seconds : undef;
    my ($out, $error) = ('');
    until (($error) = $out =~ /^\Q$mark\E(\w+)\n\z/m) {
        my $left = defined $end ? $end - time : undef;
        my $there = !defined $left || $left > 0 && IO::Select->new($self->{from})->can_read($left);
        next if $there && sysread $self->{from}, $out, 65536, length $out;
        chomp $out;
        $self->{failed} = $out || 'psql failed';
        return undef;
    }
    $self->{busy} = 0;
    substr $out, -length "$mark$error\n", length "$mark$error\n", '';
    chomp $out;
    $self->{failed} = $out || 'psql failed' if $error eq 'true';
    return $out;
}

sub end {
    my ($name) = @_;
    my $self = delete $kept{$name} // return;
    local ($?, $!, $SIG{PIPE}) = (0, 0, 'IGNORE');
    # one that waits for its server would not end by itself
    kill 'KILL', $self->{pid} if $self->{busy};
    print { $self->{to} } "\\q\n";
    close $self->{to};
    close $self->{from};
    return;
}

# All of this process: those of one that forked us are not ours to end.
sub end_all { end($_) for grep { /^$$ / } keys %kept; return }

END { end_all() }

1;
