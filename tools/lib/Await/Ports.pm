package Await::Ports;

# Ports for servers on this machine.

use strict;
use warnings;
use Exporter qw(import);
use IO::Socket::INET;
use Socket qw(AF_UNIX SOCK_DGRAM pack_sockaddr_un);

our @EXPORT_OK = qw(check_port free_port read_random reserve);
my %reserved;

# Below those that the kernel gives to outgoing connections: while a server is down, one of them could take its port.
sub free_port {
    my $low;
    if (open my $file, '<', '/proc/sys/net/ipv4/ip_local_port_range') { ($low) = <$file> =~ /^(\d+)/ }
    my $most = ($low // 32768) - 1;
    for (1 .. 100) {
        last if $most < 12000;
        # not by rand: a test that repeats its seed would repeat its ports
        my $port = 10000 + unpack('L', read_random()) % ($most - 10000);
        return $port if !$reserved{$port} && reserve($port) && IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'tcp', Listen => 1);
    }
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Proto => 'tcp', Listen => 1) or die "no free port: $!\n";
    return $socket->sockport;
}

# From here until we end, no other process that asks for a free port is given this one, though nobody listens there yet, or
# for a while: whoever has the socket of that name has the port. It has no file, and goes with us however we end.
sub reserve {
    my ($port) = @_;
    return 1 if $reserved{$port};
    socket my $socket, AF_UNIX, SOCK_DGRAM, 0 or die "socket: $!\n";
    return 0 unless bind $socket, pack_sockaddr_un("\0nginx-await-port-$port");
    return $reserved{$port} = $socket;
}

# Dies with one clear line unless we could listen there.
sub check_port {
    my ($port, $name) = @_;
    $name //= 'PORT';
    die "$name=$port is not a port from 1 to 65535\n" unless $port =~ /^\d+$/ && $port >= 1 && $port <= 65535;
    IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $port, Proto => 'tcp', Listen => 1, ReuseAddr => 1)
        or die "port $port cannot be used ($!), choose another: $name=" . ($port < 65000 ? $port + 1 : 8080) . "\n";
}

sub read_random { open my $file, '<:raw', '/dev/urandom' or die "/dev/urandom: $!\n"; read $file, my $bytes, 32; return $bytes }

1;
