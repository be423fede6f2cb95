package Await::Trace;

# What a test sent and received: the last of it is shown when an assertion fails, all of it with AWAIT_VERBOSE=1. And
# the rule that every assertion has a name.

use strict;
use warnings;
use Test2::API ();
use Test::Builder ();
use Time::HiRes qw(time);

my $KEPT = 6;           # so many of the last lines are shown with a failure
my $WIDTH = 500;        # and so many characters of each
my $WIDTH_VERBOSE = 4000;
my $began = time;

my @recent;             # what was traced since the last failure
my @failure;            # what belongs to a failure and is not shown yet: its own diagnostics come first
our $collected;         # a list that takes the lines instead
our $silent;

# One thing that was sent (>), received (<) or found out (=).
sub trace {
    my ($sign, $text) = @_;
    return if $silent;
    show_failure();
    my $length = length $text;
    $text = substr $text, 0, $WIDTH_VERBOSE;
    if ($collected) { push @$collected, [ $sign, $text ]; return }
    diag(line($sign, $text, $WIDTH_VERBOSE, $length)) if $ENV{AWAIT_VERBOSE};
    $text =~ s/^(?:Server|Date|Host|Connection): .*\r\n//mg;
    push @recent, line($sign, $text, $WIDTH, $length);
    shift @recent if @recent > $KEPT;
    return;
}

sub line {
    my ($sign, $text, $width, $length) = @_;
    $length //= length $text;
    $text = substr($text, 0, $width) . " … ($length bytes)" if length $text > $width || $length > $WIDTH_VERBOSE;
    $text =~ s/\r\n/\n/g;
    $text =~ s/\n+\z//;
    $text =~ s/([^\n\x20-\x7e\x80-\xff])/sprintf '\\x%02x', ord $1/ge;
    $text =~ s/\n/\n            /g;
    return sprintf '%8.3f s %s %s', time - $began, $sign, $text;
}

# Calls the code; the lines that it traced, [sign, text] each, which are not shown.
sub collect {
    my ($code) = @_;
    local $collected = [];
    my $value = $code->();
    return ($value, $collected);
}

sub diag { return Test::Builder->new->diag(@_) }

sub show_failure {
    return unless @failure;
    my @lines = splice @failure;
    diag(join "\n", 'what came before this failure (AWAIT_VERBOSE=1 shows everything):', @lines);
    return;
}

Test2::API::test2_stack()->top->listen(
    sub {
        my ($hub, $event) = @_;
        return
            unless $event->isa('Test2::Event::Ok') && !$event->effective_pass && !$event->isa('Test2::Event::Subtest');
        push @failure, splice @recent unless $ENV{AWAIT_VERBOSE};
    },
    inherit => 1,
);

# Every assertion of Test::More comes through here, from wherever it is called.
{
    no warnings 'redefine';
    my $ok = \&Test::Builder::ok;
    *Test::Builder::ok = sub {
        show_failure();
        @_ = ($_[0], 0, 'an assertion that has no name') unless length($_[2] // '');
        goto &$ok;
    };
}

1;
