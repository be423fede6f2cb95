package Await::Template;

# PostgreSQL's directory with the schema in it: made once, kept in build/, and copied for each test, in a fourth of the
# time. All copies have one system identifier and one password, so a test gets at most one of them: each of its other
# stacks has a database of its own.

use strict;
use warnings;
use Await::Stack;
use Digest::SHA qw(sha1_hex);
use Fcntl qw(:flock);
use File::Find qw(find);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use POSIX qw(strftime);

my $given;

# Puts a copy where start_postgres of this stack looks for its database, or does nothing: then it makes one.
sub give {
    my ($stack) = @_;
    return if $given || $stack->{fsync} || -e "$stack->{dir}/postgres";
    my $build = $ENV{AWAIT_BUILD} // "$Await::Stack::ROOT/build";
    open my $lock, '>>', "$build/template.lock" or return;
    my $made = "$build/template-" . key($stack);
    flock $lock, LOCK_SH or return;
    until (-e "$made/password") {
        flock $lock, LOCK_EX or return;
        make($build, $made) unless -e "$made/password";
        flock $lock, LOCK_SH or return;    # another may have the lock in between, and make another one
    }
    $given = 1;
    system('cp', '-a', '--sparse=always', "$made/postgres", "$stack->{dir}/postgres") == 0 or die "cannot copy $made\n";
    $stack->{migrated} = 1;
    $stack->{password} = Await::Stack::read_file("$made/password");
    $stack->save;
    return;
}

# What it is made from: the schema, the tools, PostgreSQL, the user, and the day, after which partitions are named.
sub key {
    my ($stack) = @_;
    my ($root, $bin) = ($Await::Stack::ROOT, Await::Stack::pg_bin());
    my @files = ("$root/tools/await-ctl", "$root/tools/lib/Await/Stack.pm", __FILE__);
    find({ no_chdir => 1, wanted => sub { push @files, $_ if -f } }, "$root/sql");
    my $text = join "\0", scalar(`$bin/postgres --version`), $bin, $stack->{user} // $>, strftime('%Y-%m-%d', gmtime),
        map { ($_, Await::Stack::read_file($_)) } sort @files;
    return sha1_hex($text);
}

# Written last: the password.
sub make {
    my ($build, $made) = @_;
    remove_tree(glob "$build/template-*");
    my $dir = tempdir('await-t-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my $stack = Await::Stack->new(dir => $dir, fsync => 0);
    $stack->start_postgres;
    $stack->end('postgres', 'INT', 20);
    make_path($made, { mode => 0700 });
    system('cp', '-a', '--sparse=always', "$dir/postgres", "$made/postgres") == 0 or die "cannot copy to $made\n";
    Await::Stack::write_file("$made/password", $stack->{password}, 0600);
    remove_tree($dir);
    return;
}

1;
