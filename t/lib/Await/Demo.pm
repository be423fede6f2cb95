package Await::Demo;

# The demo as `make run` starts it, in a directory and on ports of its own, and its pages in a real browser.

use strict;
use warnings;
use Await::Browser;
use Await::Test;
use Await::Template;    # after it
use File::Path qw(make_path);
use IO::Socket::INET;

use Exporter 'import';
our @EXPORT = qw($site demo start_demo end_demo without_nginx make_photos browser script text_of count_of ready loaded
    type_in complaints);

my $root = $Await::Stack::ROOT;
our $site = slurp("$root/conf/demo.conf");
my ($demo, $browser, $is_ours);    # nginx is: then we have to end it

# Six ports beside each other.
sub is_free { return IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_[0], Listen => 1) }
sub six_ports {
    for (1 .. 100) {
        my $port = Await::Stack::free_port();
        return $port unless grep { !Await::Ports::reserve($_) || !is_free($_) } $port + 1 .. $port + 5;
    }
    die "there are no six ports beside each other\n";
}

sub demo    { return $demo }
sub browser { return $browser //= Await::Browser->new(Await::Test::stack()) }

# Starts it, with a database that has the schema. Returns the stack of the test and what the launcher has said.
sub start_demo {
    my $s = start_stack(without => [qw(postgres redis nginx)]);
    make_path("$s->{dir}/run");
    $demo = Await::Stack->new(dir => "$s->{dir}/run", fsync => 0);
    Await::Template::give($demo);
    $s->{port} = six_ports();
    @ENV{qw(RUN_DIR PORT TLS_PORT)} = ($demo->{dir}, $s->{port}, Await::Stack::free_port());
    delete $ENV{CONF};
    my $said = `$root/tools/await-stack up 2>&1`;
    die $said if $?;
    $demo = Await::Stack->new(dir => $demo->{dir}, fsync => 0);    # with the ports that the launcher has chosen
    return ($s, $said);
}

# nginx is gone while `$do` is done.
sub without_nginx {
    my ($do) = @_;
    my $dir = $demo->{dir};
    $demo->end('nginx', 'TERM', 10);
    $do->();
    $is_ours = 1;
    $demo->spawn('nginx', [ $demo->{nginx}, '-p', $dir, '-c', "$dir/nginx.conf", '-e', "$dir/logs/error.log" ]);
    return $demo->wait_for('nginx', 20, sub { -s "$dir/nginx.started" });
}

# Returns the status of `make down`.
sub end_demo {
    $browser->quit if $browser;
    $demo->end('nginx', 'TERM', 10) if $is_ours;
    return system("$root/tools/await-stack down -q");
}

# Photos: a.jpg, b.png, and c.jpg, which is none.
sub make_photos {
    my $dir = File::Temp::tempdir(CLEANUP => 1);
    system("convert -size 1200x900 plasma:fractal $dir/a.jpg && convert -size 640x480 gradient:red-blue $dir/b.png && "
            . "echo no picture > $dir/c.jpg") == 0 or die 'ImageMagick';
    return $dir;
}

sub script { return browser()->script(@_) }
sub text_of { return script('return document.querySelector(arguments[0])?.textContent ?? ""', @_) }
sub count_of { return script('return document.querySelectorAll(arguments[0]).length', @_) }

# Opens a page, and waits until it can be used.
sub ready {
    my ($url) = @_;
    browser()->visit($url);
    return loaded($url);
}
sub loaded {
    my ($what) = @_;
    return until_true("$what can be used",
        sub { count_of('.stack button:disabled') == 0 && text_of('#curl') =~ /curl/ });
}
sub type_in {
    my ($field, $value) = @_;
    return script('document.querySelector(arguments[0]).value = arguments[1]', $field, $value);
}
# What the browser complains of; each line once.
sub complaints {
    my $log = browser()->call('POST', "$browser->{session}/se/log", { type => 'browser' });
    return [ map { $_->{message} } @$log ];
}

1;
