package Await::Names;

# Lists the assertions of Test::More that have no name: perl -MAwait::Names -c FILE. It looks at what perl has compiled, so
# that no way of writing them is missed. A test refuses them when it runs, too (t/lib/Await/Trace.pm); here they are found
# where nothing has run yet.

use strict;
use warnings;
use B ();

# how many arguments come before the name
my %ARGUMENTS = (
    ok => 1, pass => 0, fail => 0, is => 2, isnt => 2, like => 2, unlike => 2, cmp_ok => 3, is_deeply => 2, can_ok => 99,
    eventually => 0,
);
my %seen;
my $line;
my $file;

# The subroutine that a call is of, if it is called by its name, and the operands of the call.
sub call {
    my ($op) = @_;
    my $first = $op->first;
    $first = $first->first if $first->name ne 'pushmark' && $first->can('first') && ${ $first->first };
    my @operands;
    for (my $kid = $first->sibling; $$kid; $kid = $kid->sibling) { push @operands, $kid }
    my $last = pop @operands or return;
    $last = $last->first while $last->name =~ /^(?:null|rv2cv)$/ && $last->can('first') && ${ $last->first };
    return $last->name, $last, @operands;
}

sub name_of {
    my ($cv, $op) = @_;
    my $gv = $op->isa('B::PADOP') ? (($cv->PADLIST->ARRAY)[1]->ARRAY)[ $op->padix ] : $op->gv;
    return $gv->isa('B::GV') ? $gv->NAME : '';
}

sub visit {
    my ($cv, $op) = @_;
    $line = $op->line, $file = $op->file if $op->isa('B::COP');
    if ($op->name eq 'entersub' && $op->can('first')) {
        my ($kind, $called, @operands) = call($op);
        if (($kind // '') eq 'gv') {
            my $name = name_of($cv, $called);
            print "$file:$line: $name without a name\n"
                if defined $ARGUMENTS{$name} && $ARGUMENTS{$name} < 99 && @operands <= $ARGUMENTS{$name};
        }
    }
    return unless $op->can('first') && $op->flags & B::OPf_KIDS;
    for (my $kid = $op->first; $$kid; $kid = $kid->sibling) { visit($cv, $kid) }
}

# A subroutine, and those within it.
sub walk {
    my ($cv) = @_;
    return if !$$cv || !$cv->isa('B::CV') || $seen{$$cv}++;
    my $root = $cv->ROOT;
    visit($cv, $root) if $$root && !$root->isa('B::NULL');
    my $pad = $cv->PADLIST;
    return unless $$pad && $pad->can('ARRAY');
    my @values = ($pad->ARRAY)[1];
    walk($_) for grep { $_->isa('B::CV') } map { $_->ARRAY } grep { $$_ } @values;
}

CHECK {
    my $main = B::main_cv();
    $line = 0;
    visit($main, B::main_root());
    walk($_) for grep { $_->isa('B::CV') } (($main->PADLIST->ARRAY)[1])->ARRAY;
    no strict 'refs';
    for my $name (sort keys %main::) {
        next if $name =~ /::$/;
        my $code = *{"main::$name"}{CODE} or next;
        my $cv = B::svref_2object($code);
        walk($cv) if $cv->STASH->isa('B::HV') && $cv->STASH->NAME eq 'main';
    }
}

1;
