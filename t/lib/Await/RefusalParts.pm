package Await::RefusalParts;

# Headers and bodies that the rows of Await::Refusals have in common.

use strict;
use warnings;

use Exporter 'import';
our @EXPORT = qw($JSON $FORM $WAIT $STREAM $LINES $FEW $UPLOAD $PHOTOS $FILE $TAIL part);

our $JSON = [ 'Content-Type' => 'application/json' ];
our $FORM = [ 'Content-Type' => 'multipart/form-data; boundary=b' ];
our $WAIT = [ Prefer => 'wait=30' ];
our $STREAM = [ Accept => 'text/event-stream' ];
our $UPLOAD = 'await_submit QUEUE file=image;';
sub part {
    my ($disposition, $value, @lines) = @_;
    return
          "--b\r\nContent-Disposition: form-data; $disposition\r\n"
        . join('', map { "$_\r\n" } @lines)
        . "\r\n$value\r\n";
}
our $LINES = [ 'Content-Type' => 'application/x-ndjson' ];
our $FEW = [qw(h1 h2)];                     # where the bodies differ, and what is done with them does not
our $PHOTOS = 'await_batch queues=QUEUE file=image;';
our $FILE = part('name="image"; filename="a.png"', 'png', 'Content-Type: image/png');
our $TAIL = part('name="note"', '<HIDDEN>') . "--b--\r\n";

1;
