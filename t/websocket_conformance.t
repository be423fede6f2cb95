# RFC 6455 to the letter: what the Autobahn test suite asks in its cases 1 to 7 and 9, by a client that builds its
# frames itself. The server does not echo: a text that is whole and valid is answered (beat, or an error about its
# content), else the close code counts.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::WebSocket;
use Test::More;
use Time::HiRes qw(sleep time);

start_stack(workers => 1, extra => <<'CONF');
    location = /ws { await_max_frame 20m; await_socket; }
    location = /small { await_max_frame 1000; await_socket; }
    location = /quick { await_ping 15s socket=1s; await_socket; }
CONF
alarm 1200;

sub ws { return Await::WebSocket->new(stack()->{port}, $_[0] // '/ws') }
sub frame { return Await::WebSocket::frame(@_) }
# a message of so many bytes that is answered with a beat
sub beat_of {
    my ($size) = @_;
    my $head = '{"op":"ping","p":"';
    return $size < 30 ? '{"op":"ping"}' : $head . ('*' x ($size - length($head) - 2)) . '"}';
}
sub taken { my ($ws, $name) = @_; my $message = $ws->message; is $message && $message->{op}, 'beat', $name }
sub chopped {
    my ($ws, $bytes, $size) = @_;
    for (my $at = 0; $at < length $bytes; $at += $size) { $ws->raw(substr $bytes, $at, $size) }
    return $ws;
}
# sends bytes on a fresh socket and says with which code it is closed
sub code_after { my (@frames) = @_; my $ws = ws(); $ws->raw(join '', @frames); return $ws->closed }
sub refused { my ($code, $name, @frames) = @_; is code_after(@frames), $code, $name }

subtest '1: framing' => sub {
    for my $size (13, 30, 125, 126, 127, 128, 65_535, 65_536, 1_000_000) {
        my $ws = ws();
        $ws->send_text(beat_of($size));
        taken($ws, "a text of $size bytes");
        next if $size < 126;
        chopped($ws, frame(1, beat_of($size)), $size > 100_000 ? 99_997 : 997);
        taken($ws, 'in pieces');
    }
    my $ws = ws();
    $ws->send_text('');
    is $ws->message->{status}, 400, 'an empty text';
    $ws->raw(join '', map { frame(1, beat_of(50)) } 1 .. 100);
    is scalar(grep { $_->{op} eq 'beat' } $ws->messages(100)), 100, 'a hundred in one piece';
    refused(1003, "a binary message of $_ bytes", frame(2, 'x' x $_)) for 0, 125, 126, 65_536;
};

subtest '2: pings and pongs' => sub {
    my $ws = ws();
    for my $payload ('', 'Hello, world!', join('', map { chr } 0, 255, 254, 253, 252, 251, 0), "\xfe" x 125) {
        $ws->send_frame(9, $payload);
        my $pong = $ws->next_frame;
        is_deeply [ @$pong{qw(opcode fin payload)} ], [ 10, 1, $payload ], length($payload) . ' bytes';
    }
    chopped($ws, frame(9, 'x' x 125), 1);
    is $ws->next_frame->{payload}, 'x' x 125, 'byte by byte';
    $ws->send_frame(10, $_) for '', 'unasked', 'x' x 125;
    $ws->send_frame(9, 'after');
    is $ws->next_frame->{payload}, 'after', 'pongs that nobody asked for say nothing';
    $ws->raw(join '', map { frame(9, "n$_") } 1 .. 10);
    is_deeply [ map { $ws->next_frame->{payload} } 1 .. 10 ], [ map { "n$_" } 1 .. 10 ], 'ten at once';
    refused(1002, 'a ping of 126 bytes', frame(9, 'x' x 126));
};

subtest '3: reserved bits' => sub {
    for my $rsv (1 .. 7) {
        refused(1002, "rsv $rsv of a text", frame(1, beat_of(13), rsv => $rsv));
        refused(1002, "rsv $rsv of a ping", frame(9, '', rsv => $rsv));
    }
    my $ws = ws();
    $ws->raw(frame(1, beat_of(13)) . frame(1, 'x', rsv => 4) . frame(9, ''));
    taken($ws, 'what came before is answered');
    is $ws->closed, 1002, 'the frame with a reserved bit closes with 1002';
    refused(1002, 'of a close frame', frame(8, pack('n', 1000), rsv => 1));
};

subtest '4: opcodes that are none' => sub {
    refused(1002, "opcode $_", frame($_, '')) for 3 .. 7, 11 .. 15;
    refused(1002, "opcode $_ with bytes", frame($_, 'reserved')) for 3, 7, 11, 15;
};

subtest '5: fragments' => sub {
    my $text = beat_of(60);
    my @half = (substr($text, 0, 25), substr $text, 25);
    my $ws = ws();
    $ws->raw(frame(1, $half[0], fin => 0) . frame(0, $half[1]));
    taken($ws, 'two fragments');
    chopped($ws, frame(1, $half[0], fin => 0) . frame(0, $half[1]), 1);
    taken($ws, 'byte by byte');
    $ws->raw(frame(1, $half[0], fin => 0) . frame(9, 'between') . frame(0, $half[1]));
    is $ws->next_frame->{payload}, 'between', 'a ping between them is answered at once';
    taken($ws, 'and the text');
    $ws->raw(frame(1, '', fin => 0) . frame(0, $text, fin => 0) . frame(0, ''));
    taken($ws, 'empty fragments');
    $ws->raw( frame(1, '', fin => 0)
            . join('', map { frame(0, $_, fin => 0) . frame(10, '') } split //, $text)
            . frame(0, ''));
    taken($ws, 'a byte each, with pongs between');
    refused(1002, 'a ping in fragments', frame(9, 'a', fin => 0) . frame(0, 'b'));
    refused(1002, 'a pong in fragments', frame(10, 'a', fin => 0) . frame(0, 'b'));
    refused(1002, 'a continuation of nothing', frame(0, 'x'));
    refused(1002, 'the same, not final', frame(0, 'x', fin => 0));
    refused(1002, 'a new text before the last is over', frame(1, 'a', fin => 0) . frame(1, 'b'));
    refused(1002, 'a binary one', frame(1, 'a', fin => 0) . frame(2, 'b'));
    $ws = ws();
    $ws->raw(frame(1, $text) . frame(0, 'x'));
    taken($ws, 'a text');
    is $ws->closed, 1002, 'and a continuation after its end';
};

subtest '6: UTF-8' => sub {
    my $ws = ws();
    my $valid =
        sub { my ($bytes, $name) = @_; $ws->send_text($bytes); my $m = $ws->message; is $m && $m->{status}, 400,
            $name };
    my $hex = sub { return pack 'H*', $_[0] =~ s/ //gr };
    $valid->($hex->($_), "valid: $_")
        for 'ceba e1bdb9 cf83 cebc ceb5', 'c280', 'e0a080', 'f0908080', '7f', 'dfbf', 'efbfbf', 'f48fbfbf', 'ed9fbf',
        'ee8080', 'efbfbd', 'efbfbe', 'f0 9f98 80';
    $ws->raw(
        join '',
        map { frame($_->[0], $_->[1], fin => $_->[2]) } [ 1, $hex->('ce'), 0 ],
        [ 0, $hex->('bae1bd'), 0 ],
        [ 0, $hex->('b9'), 1 ]);
    is $ws->message->{status}, 400, 'characters cut by fragments';
    $ws->raw(
        join '',
        map { frame($_->[0], $_->[1], fin => $_->[2]) } [ 1, $hex->('f0'), 0 ],
        [ 9, 'p', 1 ],
        [ 0, $hex->('90'), 0 ],
        [ 0, $hex->('80'), 0 ],
        [ 0, $hex->('80'), 1 ]);
    is $ws->next_frame->{payload}, 'p', 'a ping between fragments is answered';
    is $ws->message->{status}, 400, 'with a ping within a character';
    refused(1007, "invalid: $_", frame(1, $hex->($_)))
        for 'cebae1bdb9cf83cebcceb5eda080656469746564', 'eda080', 'edbfbf', 'eda080edb080', 'f4908080', 'f8 88808080',
        'fc8480808080', 'c080', 'c1bf', 'e08080', 'e09fbf',
        'f0808080', 'f08fbfbf', '80', 'bf', '8080', 'c0', 'ce', 'e1bd', 'f09080', 'fe', 'ff', 'feff', 'f7bfbfbf',
        'c3 28', 'e2 28a1';
    refused(1007, 'in the second fragment', frame(1, 'good', fin => 0) . frame(0, "\xff"));
    refused(1007, 'cut off by the end of the message', frame(1, "\xf0\x90", fin => 0) . frame(0, "\x80"));
    my $early = ws();
    $early->raw(frame(1, "\xce\xba\xe1\xbd\xb9\xed\xa0\x80 much more follows", length => 1000, mask => 1));
    is $early->closed(5), 1007, 'at the first bad byte, not at the end';
};

subtest '7: closing' => sub {
    my $ws = ws();
    $ws->raw(frame(1, beat_of(13)) . frame(8, pack 'n', 1000));
    taken($ws, 'a text before the close is answered');
    is $ws->closed, 1000, 'the code comes back';
    $ws = ws();
    $ws->raw(frame(8, pack('n', 1000)) . frame(9, 'late') . frame(1, beat_of(13)));
    is $ws->closed, 1000, 'the code comes back';
    is $ws->next_frame(3), undef, 'what comes after the close is not answered';
    ok $ws->{eof}, 'and the server ends the connection';
    is code_after(frame(8, '')), 1005, 'a close without a code';
    refused(1002, 'with one byte', frame(8, 'x'));
    refused($_, "code $_", frame(8, pack 'n', $_)) for 1000 .. 1003, 1007 .. 1011, 3000, 3999, 4000, 4999;
    refused(1002, "code $_", frame(8, pack 'n', $_)) for 0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535;
    refused(1000, 'a reason of 123 bytes', frame(8, pack('n', 1000) . 'x' x 123));
    refused(1002, 'of 124', frame(8, pack('n', 1000) . 'x' x 124));
    refused(
        1007,
        'that is no UTF-8',
        frame(8, pack('n', 1000) . "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"));
    refused(1002, 'in fragments', frame(8, pack('n', 1000), fin => 0));
    $ws = ws();
    $ws->raw(frame(1, 'half', fin => 0) . frame(8, pack 'n', 1000));
    is $ws->closed, 1000, 'in the middle of a message';
    $ws = ws();
    $ws->{socket}->close;
    ok 1, 'a client that just leaves';
};

subtest 'masks' => sub {
    refused(1002, 'an unmasked text', frame(1, beat_of(13), mask => 0));
    refused(1002, 'an unmasked ping', frame(9, '', mask => 0));
    refused(1002, 'a length whose first bit is set', chr(0x81) . chr(0xff) . pack('NN', 0x80000000, 5) . 'mask');
};

subtest '9: large messages, slow ones, many pieces' => sub {
    my $ws = ws();
    for my $size (65_536, 1 << 20, 4 << 20, 16 << 20) {
        $ws->send_text(beat_of($size));
        taken($ws, "$size bytes");
    }
    my $text = beat_of(4 << 20);
    for my $piece (64, 256, 4096, 65_536) {
        my $many = length($text) > 1_000_000 && $piece < 256 ? substr($text, 0, 100_000) . '"}' : $text;
        my ($at, $out) = (0, '');
        for (; $at < length $many; $at += $piece) {
            $out .= frame($at ? 0 : 1, substr($many, $at, $piece), fin => $at + $piece >= length $many ? 1 : 0);
        }
        $ws->raw($out);
        taken($ws, "in fragments of $piece");
    }
    my $end = time + 10;
    $ws->raw(frame(1, '{"op":"ping","slow":"', fin => 0));
    while (time < $end) { $ws->raw(frame(0, 'x', fin => 0)); sleep 0.25 }
    $ws->raw(frame(0, '"}'));
    taken($ws, 'ten seconds of text');
    my $small = ws('/small');
    $small->send_text(beat_of(1000));
    taken($small, 'as large as may be');
    $small->send_text(beat_of(1001));
    is $small->closed, 1009, 'and a byte more';
    $small = ws('/small');
    $small->raw(join '', frame(1, 'x' x 400, fin => 0), map { frame(0, 'x' x 400, fin => 0) } 1 .. 2);
    is $small->closed, 1009, 'the sum of fragments counts';
    $small = ws('/small');
    $small->raw(frame(1, 'x', length => 1 << 40));
    is $small->closed, 1009, 'a length that nobody waits for';
};

subtest 'a server\'s pings; two without an answer are the end' => sub {
    my ($good, $dead) = (ws('/quick'), ws('/quick'));
    my $end = time + 4.5;
    while (time < $end) {
        if (my $frame = $good->next_frame(0.2)) {
            is $frame->{opcode}, 9, 'a ping';
            $good->send_frame(10, $frame->{payload});
        }
    }
    $good->send_text(beat_of(13));
    taken($good, 'who answers stays');
    ok $dead->fill(sub { $dead->{eof} }, 3), 'who does not is let go';
    my $busy = ws('/quick');
    $end = time + 4.5;
    while (time < $end) { $busy->send_text(beat_of(13)); sleep 0.3 }
    ok !$busy->{eof} && !$busy->fill(sub { $busy->{eof} }, 0.3), 'and who speaks otherwise lives, too';
};

finish();
