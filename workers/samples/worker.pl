#!/usr/bin/perl
# A worker in Perl: turns text to upper case. Debian: libdbd-pg-perl. docs/workers.md explains it.
use strict;
use warnings;
use DBI;
use DBD::Pg qw(PG_BYTEA);
use IO::Select;
use IO::Socket::INET;
use JSON::PP;

# Yours. params.seconds stands for its time. $alive->() every few seconds keeps the lease, and is false when to stop.
sub work {
    my ($text, $seconds, $alive) = @_;
    die "There is no text.\n" if $text eq '';
    for (1 .. int($seconds // 0)) { sleep 1; $alive->() or return }
    return uc $text;
}

my ($stop, $redis);
$SIG{TERM} = sub { $stop = 1 };              # finishes its job, then ends
$SIG{PIPE} = 'IGNORE';
my %options = (RaiseError => 1, PrintError => 0, pg_server_prepare => 0);    # the last one for poolers
my $db = DBI->connect('dbi:Pg:', undef, undef, \%options);       # to PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD
$db->do('LISTEN await_work');                # without Redis: heard if the database has await.notify
open my $socket, '<&=', $db->{pg_socket};
my $postgres = IO::Select->new($socket);

sub connect_redis {
    my ($address) = $ENV{AWAIT_REDIS} =~ m{^redis://([^/]+)};
    $redis = IO::Socket::INET->new(PeerAddr => $address, Timeout => 1) or return;
    my $auth = $ENV{REDISCLI_AUTH} ? "AUTH default $ENV{REDISCLI_AUTH}" : '';
    print $redis "HELLO 3 $auth\r\nSUBSCRIBE await:queue:perl\r\n";      # after HELLO 3 it may PUBLISH as well
}

sub wait_for_work {                          # for a message that there is work, or a second
    return $db->pg_notifies || $postgres->can_read(1) unless $ENV{AWAIT_REDIS};
    return connect_redis() || sleep 1 unless $redis;     # a job may have come before: claims again
    IO::Select->new($redis)->can_read(1) or return;
    sysread $redis, my $message, 65536 or return undef $redis;
    warn "Redis: $message" if $message =~ /^-/m;
}

connect_redis() if $ENV{AWAIT_REDIS};        # before the first job, whose end is to be told
until ($stop) {
    my $job = $db->selectrow_hashref("SELECT * FROM await.claim(ARRAY['perl'], 'perl', 1, inline => 64 << 20)");
    if (!$job) { wait_for_work(); next }
    my ($id, $receipt) = @$job{qw(id receipt)};
    my $alive = sub { ($db->selectrow_array('SELECT await.heartbeat(?, ?)', undef, $id, $receipt))[0] eq 'ok' };
    my $result = eval { work($job->{payload}, decode_json($job->{params} // '{}')->{seconds}, $alive) };
    my $end = $db->prepare($@ ? 'SELECT await.fail(?, ?, ?)' : "SELECT await.complete(?, ?, ?, 'text/plain')");
    if ($@) { $end->bind_param(3, encode_json({ title => 'The work failed', detail => $@ })) }
    else { $end->bind_param(3, $result, { pg_type => PG_BYTEA }) }
    $end->bind_param($_->[0], $_->[1]) for [ 1, $id ], [ 2, $receipt ];
    $end->execute;
    ($end->fetchrow_array)[0] or warn "$id: cancelled, or no longer ours\n";     # nothing was changed
    next unless $redis;
    for (@{ $db->selectall_arrayref('SELECT channel, message FROM await.hint(?)', undef, $id) }) {
        my ($channel, $message) = @$_;
        utf8::encode($message);
        print $redis "*3\r\n", map { '$' . length . "\r\n$_\r\n" } 'PUBLISH', $channel, $message;
    }
}
