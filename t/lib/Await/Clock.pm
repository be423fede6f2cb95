package Await::Clock;

# PostgreSQL with a clock that a test sets, by libfaketime. Its timeouts (lock_timeout and others) do not come then.

use strict;
use warnings;
use Await::Test;    # also finds Await::Stack
use Await::Stack;

use Exporter 'import';
our @EXPORT = qw(faked_clock clocked_postgres set_clock);

my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1';
my $file;

# Whether it can be used here; if not, why.
sub faked_clock {
    return (0, 'faketime and AddressSanitizer both want to be first') if $ENV{AWAIT_ASAN};
    return $library ? 1 : (0, 'libfaketime is missing');
}

# By how many days the clock is ahead of the machine's; less than 0: behind.
sub set_clock {
    my ($ahead) = @_;
    Await::Stack::write_file($file, sprintf('%+.6fd', $ahead), 0644);
    return;
}

# Starts the PostgreSQL of a stack. All of them have the same clock.
sub clocked_postgres {
    my ($s) = @_;
    unless ($file) { $file = "$s->{dir}/clock"; set_clock(0) }
    Await::Template::give($s);
    $s->start_postgres;
    $s->end('postgres', 'INT');
    # the library for PostgreSQL alone: what runs as another user could not share its semaphore
    my @env = (
        "LD_PRELOAD=$library", "FAKETIME_TIMESTAMP_FILE=$file",
        'FAKETIME_NO_CACHE=1', 'FAKETIME_DONT_FAKE_MONOTONIC=1'
    );
    my @set = (
        'listen_addresses=127.0.0.1', 'unix_socket_directories=',
        'fsync=off', 'log_min_messages=fatal',
        'max_connections=50'
    );
    $s->spawn(
        'postgres',
        [
            'env', @env, Await::Stack::pg_bin() . '/postgres',
            '-D', "$s->{dir}/postgres", '-p', $s->{pg_port}, map { ('-c', $_) } @set
        ],
        user => $s->{user});
    $s->wait_for('postgres', 30, sub { $s->try_sql('SELECT 1') });
    $s->sql($Await::Test::RECEIPT);
    return $s;
}

1;
