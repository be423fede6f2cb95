package Await::Schema;

# The schema of a database as text, and as sql/snapshot.sql has it.

use strict;
use warnings;
use Exporter qw(import);
use Await::Stack;
our @EXPORT_OK = qw(dump_schema server_version);

# Partitions of days come and go.
my @DATED = map { ('-T', "await.${_}_[0-9]_*") } qw(job event chunk);

# What pg_dump --schema-only gives, without owners, comments and session settings, which differ by version.
sub dump_schema {
    my ($stack, $database) = @_;
    local $ENV{PGPASSWORD} = $stack->password('admin');
    my $conninfo = $stack->place('admin') =~ s/dbname=\S+/dbname=$database/r;
    my @command = (Await::Stack::pg_bin() . '/pg_dump', '-d', $conninfo, qw(--schema-only --no-owner -n await), @DATED);
    open my $dump, '-|', @command or die "pg_dump: $!\n";
    my $text = '';
    while (my $line = <$dump>) {
        $text .= $line unless $line =~ /^(--|SET |SELECT pg_catalog\.set_config|\\(un)?restrict|$)/;
    }
    close $dump or die "pg_dump failed\n";
    return $text;
}

sub server_version { my ($stack) = @_; return int($stack->sql('SHOW server_version_num') / 10000) }

1;
