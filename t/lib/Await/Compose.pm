package Await::Compose;

# docker/compose.yml without a container engine: its services as processes of this machine, with addresses of the test
# in place of the names of containers.

use strict;
use warnings;
use Await::Stack;
use Exporter 'import';
use JSON::PP qw(decode_json);

our @EXPORT_OK = qw(yaml compose command environment options_of);
my $root = $Await::Stack::ROOT;

# The documents of a YAML file, with anchors and merge keys.
sub yaml {
    my ($path) = @_;
    my $read = 'import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))';
    open my $out, '-|', 'python3', '-c', $read, $path or die "python3: $!\n";
    my $json = do { local $/; <$out> };
    close $out or die "$path cannot be read as YAML\n";
    return @{ decode_json($json) };
}

sub compose { return (yaml("$root/docker/compose.yml"))[0] }

# Where things are here. Options: files (the gallery's directory), secrets, postgres (port), redis (port), receiver,
# legacy, port (of the edge that the receiver tells).
sub here {
    my ($text, %o) = @_;
    $text =~ s{\bhost=postgres\b}{host=127.0.0.1 port=$o{postgres}}g;
    $text =~ s{^postgres$}{127.0.0.1};
    $text =~ s{\bredis:6379\b}{127.0.0.1:$o{redis}}g;
    $text =~ s{/run/secrets\b}{$o{secrets}}g;
    $text =~ s{/etc/await\b}{$o{files}}g;
    $text =~ s{/usr/share/nginx-await\b}{$root}g;
    $text =~ s{^0\.0\.0\.0:8084$|\breceiver:8084\b}{$o{receiver}}g;
    $text =~ s{^0\.0\.0\.0:8085$|\blegacy:8085\b}{$o{legacy}}g;
    $text =~ s{\bedge:8080\b}{127.0.0.1:$o{port}}g;
    # the receiver's address is one of the loopback here, and of a private network there
    $text =~ s{\b172\.16\.0\.0/12\b}{127.0.0.0/8}g;
    return $text;
}

sub environment {
    my ($service, %o) = @_;
    my $env = $service->{environment} // {};
    return map { $_ => here($env->{$_}, %o) } keys %$env;
}

# What a service runs, by the entrypoint of its image.
sub command {
    my ($service, %o) = @_;
    my $entrypoint = $service->{image} eq 'nginx-await/edge' ? 'entrypoint-edge' : 'entrypoint-tools';
    return ("$root/docker/$entrypoint", map { here("$_", %o) } @{ $service->{command} // [] });
}

# The options of one of our programs, as --help has them.
my %options;
sub options_of {
    my ($program) = @_;
    return $options{$program} //= { map { $_ => 1 } `$program --help 2>&1` =~ /(?<![\w-])(--[a-z][a-z-]*)/g };
}

1;
