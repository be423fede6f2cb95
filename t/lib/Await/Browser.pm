package Await::Browser;

# A real browser, by WebDriver (W3C), spoken by hand.

use strict;
use warnings;
use File::Temp qw(tempdir);
use HTTP::Tiny;
use JSON::PP;
use Time::HiRes qw(sleep time);

# Starts chromedriver beside the stack's servers, and a session of its own.
sub new {
    my ($class, $stack) = @_;
    my $self = bless {
        port => Await::Stack::free_port(),
        http => HTTP::Tiny->new(timeout => 60),
        profile => tempdir(CLEANUP => 1) }, $class;
    $stack->spawn('chromedriver', [ 'chromedriver', "--port=$self->{port}" ]);
    my $end = time + 20;
    until (eval { $self->call('GET', '/status')->{ready} }) {
        die "chromedriver does not come up\n" if time > $end;
        sleep 0.05;
    }
    my @flags = (
        qw(--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
            --disable-component-update --disable-sync --disable-dev-shm-usage --ignore-certificate-errors),
        '--window-size=1280,1000'
    );
    $self->{session} = '/session/'
        . $self->call(
        'POST',
        '/session',
        {
            capabilities => {
                alwaysMatch => {
                    browserName => 'chrome',
                    acceptInsecureCerts => JSON::PP::true,
                    'goog:chromeOptions' => { args => [ @flags, "--user-data-dir=$self->{profile}/profile" ] } } } }
    )->{sessionId};
    return $self;
}

sub call {
    my ($self, $method, $path, $body) = @_;
    my $r = $self->{http}->request(
        $method,
        "http://127.0.0.1:$self->{port}$path",
        { headers => { 'Content-Type' => 'application/json' }, $body ? (content => encode_json($body)) : () });
    my $value = eval { decode_json($r->{content})->{value} };
    die "$path: " . ((ref $value eq 'HASH' ? $value->{message} : undef) // $r->{content}) . "\n" unless $r->{success};
    return $value;
}

sub visit { my ($self, $url) = @_; return $self->call('POST', "$self->{session}/url", { url => $url }) }
# Windows: each of them is visible, unlike tabs.
sub window { my ($self) = @_; return $self->call('GET', "$self->{session}/window") }
sub open_window {
    my ($self) = @_;
    my $handle = $self->call('POST', "$self->{session}/window/new", { type => 'window' })->{handle};
    $self->to_window($handle);
    return $handle;
}
sub to_window { my ($self, $handle) = @_; return $self->call('POST', "$self->{session}/window", { handle => $handle }) }
# The caller goes to another one, unless it does not matter which.
sub close_window {
    my ($self, $handle) = @_;
    $self->to_window($handle);
    my $left = $self->call('DELETE', "$self->{session}/window");
    return $self->to_window($left->[0]);
}
sub script {
    my ($self, $code, @args) = @_;
    return $self->call('POST', "$self->{session}/execute/sync", { script => $code, args => \@args });
}
sub element {
    my ($self, $selector) = @_;
    return (
        values %{ $self->call('POST', "$self->{session}/element",
            { using => 'css selector', value => $selector }) })[0];
}
sub type {
    my ($self, $selector, $text) = @_;
    return $self->call('POST', "$self->{session}/element/" . $self->element($selector) . '/value', { text => $text });
}
sub click {
    my ($self, $selector) = @_;
    return $self->call('POST', "$self->{session}/element/" . $self->element($selector) . '/click', {});
}
# A key, for whatever has the focus.
my %KEYS = (Tab => "\x{e004}", Enter => "\x{e007}", Escape => "\x{e00c}");
sub press {
    my ($self, $key) = @_;
    my @actions = map { { type => $_, value => $KEYS{$key} } } qw(keyDown keyUp);
    return $self->call('POST', "$self->{session}/actions",
        { actions => [ { type => 'key', id => 'keys', actions => \@actions } ] });
}
# A command of the Chrome DevTools Protocol.
sub cdp {
    my ($self, $command, $arguments) = @_;
    return $self->call('POST', "$self->{session}/goog/cdp/execute", { cmd => $command, params => $arguments });
}
# The size of the page, and "light" or "dark".
sub look {
    my ($self, $width, $scheme) = @_;
    $self->cdp('Emulation.setDeviceMetricsOverride',
        { width => $width, height => 900, deviceScaleFactor => 1, mobile => JSON::PP::false });
    # without transitions, so that no colour is on its way
    my %media = ('prefers-color-scheme' => $scheme, 'prefers-reduced-motion' => 'reduce');
    return $self->cdp('Emulation.setEmulatedMedia',
        { features => [ map { { name => $_, value => $media{$_} } } sort keys %media ] });
}

# What axe-core has to look at again in another scheme.
my $COLOURS = [qw(color-contrast link-in-text-block)];
# What axe-core finds on the page that is serious or critical: ["rule: selector", …]. In both schemes, and on a phone.
sub barriers {
    my ($self, $root) = @_;
    my $axe = "$root/build/client/node_modules/axe-core/axe.min.js";
    # of the versions that client/package-lock.json has
    -e $axe or system("make -s -C '$root' client-modules >/dev/null") == 0 or die "npm cannot install axe-core\n";
    open my $file, '<', $axe or die "$axe: $!\n";
    my $code = do { local $/; <$file> };
    my @found;
    $self->script("$code; window.axe = axe");
    for my $look ([ 1280, 'light' ], [ 1280, 'dark' ], [ 375, 'light' ]) {
        $self->look(@$look);
        my $all = $self->script(
            'return axe.run(document, arguments[0]).then((r) => ({ rules: r.passes.length, '
            . 'wide: document.documentElement.scrollWidth > innerWidth, violations: r.violations'
            . '.map((v) => [v.id, v.impact, v.nodes.map((n) => n.target.join(" ") + " " + (n.any[0]?.message ?? ""))'
            . '.join("; ")]) }))',
            { resultTypes => ['violations'], $look->[1] eq 'dark' ? (runOnly => $COLOURS) : () });
        die "axe-core has checked nothing\n" unless $all->{rules};
        push @found, "@$look: it scrolls sideways" if $all->{wide};
        push @found,
            map { "@$look: $_->[0]: $_->[2]" } grep { $_->[1] =~ /^(?:serious|critical|moderate)$/ }
            @{ $all->{violations} };
    }
    return \@found;
}
sub screenshot { my ($self) = @_; return $self->call('GET', "$self->{session}/screenshot") }
sub quit { my ($self) = @_; return $self->call('DELETE', $self->{session}) }

1;
