package Await::Leftovers;

# The processes of a test that are still there when it is over.

use strict;
use warnings;
use Time::HiRes qw(sleep time);

# Whoever is started from here on carries it; nobody who was there before does.
my $mark = join '.', $$, time;
$ENV{NGINX_AWAIT_TEST} = $mark;

sub slurp { my ($path) = @_; open my $file, '<', $path or return ''; local $/; return scalar <$file> // '' }

# { pid, parent, what } of all that live.
sub processes {
    my @found;
    for my $pid (map { m{(\d+)$} } glob '/proc/[0-9]*') {
        my ($state, $parent) = slurp("/proc/$pid/stat") =~ /\) (\S) (\d+) [^)]*$/ or next;
        next if $state eq 'Z';
        push @found, { pid => $pid, parent => $parent, what => slurp("/proc/$pid/cmdline") =~ s/\0/ /gr =~ s/\s+$//r };
    }
    return @found;
}

# Ours are our descendants; who has the mark in its environment; and who runs in one of the directories or was started
# with its name: nginx and PostgreSQL write their titles over the environment.
sub ours {
    my (@dirs) = @_;
    my @all = processes();
    my %parent = map { $_->{pid} => $_->{parent} } @all;
    my $is_ours = sub {
        my ($process) = @_;
        return 0 if $process->{pid} == $$;
        for (my $pid = $process->{parent}; $pid; $pid = $parent{$pid}) { return 1 if $pid == $$ }
        return 1 if slurp("/proc/$process->{pid}/environ") =~ /(?:^|\0)NGINX_AWAIT_TEST=\Q$mark\E(?:\0|$)/;
        my $cwd = readlink("/proc/$process->{pid}/cwd") // '';
        return scalar grep { $cwd =~ m{^\Q$_\E(?:/|$)} || $process->{what} =~ m{\Q$_\E(?:/|\s|$)} } @dirs;
    };
    return grep { $is_ours->($_) } @all;
}

# What is left once those that are ending have had their time: "pid: command line". They are ended, by their pids.
sub end {
    my (@dirs) = @_;
    my $until = time + 5;
    my @left;
    while (@left = ours(@dirs)) { last if time > $until; sleep 0.02 }
    kill 'KILL', map { $_->{pid} } @left;
    waitpid $_->{pid}, 0 for grep { $_->{parent} == $$ } @left;
    return map { "$_->{pid}: $_->{what}" } @left;
}

1;
