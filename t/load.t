# The load generator finds every loss, repeat and stray: a server that is wrong exactly so often is found out exactly so
# often.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bench/lib";
use Await::Test;
use Bench ();
use File::Temp qw(tempdir);
use Test::More;

alarm 1200;
$Bench::DIR = tempdir(CLEANUP => 1);

sub counts {
    my ($what, %o) = @_;
    my $ready = delete $o{ready} // sub { 1 };
    my $load = Bench::load($what, %o);
    is $load->line->{open}, $o{n}, "$what: all connections are open";
    until_true('ready', $ready);
    $load->go;
    my $got = $load->line;
    $load->go;
    $load->end;
    return $got;
}
my $streams = Bench::write_head('head', "GET / HTTP/1.1\nHost: x\n\n");

subtest 'fan-out' => sub {
    my ($port) = Bench::node_server('faulty');
    my $got = counts(
        'fanout',
        port => $port,
        n => 5,
        window => 10,
        messages => 10,
        head => $streams,
        publish => 'http',
        path => '/'
    );
    is_deeply {
        map { $_ => $got->{$_} } qw(delivered lost doubled strays closed)
    },
        { delivered => 49, lost => 1, doubled => 1, strays => 1, closed => 0 },
        'a server that loses one, doubles one and sends one astray is found out';
    Bench::end_servers();
    ($port) = Bench::raw_server('once');
    $got = counts(
        'fanout',
        port => $port,
        n => 50,
        window => 8,
        messages => 80,
        head => $streams,
        publish => 'http',
        path => '/'
    );
    is_deeply {
        map { $_ => $got->{$_} } qw(delivered lost doubled strays closed)
    },
        { delivered => 4000, lost => 0, doubled => 0, strays => 0, closed => 0 },
        'and one that is right is found right';
    Bench::end_servers();
};

subtest 'unicast' => sub {
    my ($port) = Bench::node_server('faulty');
    Await::Stack::write_file("$Bench::DIR/ids", join('', map { "id$_\n" } 1 .. 10));
    my $got = counts(
        'unicast',
        port => $port,
        n => 10,
        ids => "$Bench::DIR/ids",
        head => Bench::write_head('hold', "GET /hold/%ID% HTTP/1.1\nHost: x\n\n"), publish => 'http',
        path => '/done/%ID%',
        window => 10,
        ready => sub { request('GET', '/count', port => $port)->{body} == 10 });
    is $got->{lost}, 1, 'one is lost';
    is $got->{strays}, 1, 'one goes astray';
    is $got->{doubled}, 1, 'one is doubled';
    Bench::end_servers();
};

finish();
