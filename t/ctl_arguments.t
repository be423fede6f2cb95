# What await-ctl says of arguments that PostgreSQL would not read: which, what was expected, and status 64.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Relay;
use Await::Test;
use Test::More;

my $s = start_stack(without => [qw(nginx redis)]);
local $ENV{AWAIT_POSTGRES} = $s->postgres;

# What it says, and its exit status before it.
sub ctl {
    my (@words) = @_;
    my $words = join ' ', map { "'" . s/'/'\\''/gr . "'" } @words;
    my $said = qx{$Await::Stack::ROOT/tools/await-ctl $words 2>&1};
    return ($? >> 8) . " $said";
}

ctl(qw(webhooks add https://example.com/hook));
my $id = submit('q');
my $time = 'is not a time such as 2026-11-27T18:00:00Z or yesterday';
my $job = 'is not the id of a job, such as';
for (
    [ [qw(webhooks deliveries --since=x)], qq(--since: "x" $time) ],
    [ [ qw(webhooks deliveries), '--since=2026-13-01' ], qq(--since: "2026-13-01" $time) ],
    [ [ qw(webhooks deliveries), q(--since='; SELECT 1 \g) ], qq(--since: "'; SELECT 1 \\g" $time) ],
    [ [qw(webhooks deliveries --job=x)], qq("x" $job) ],
    [ [qw(webhooks deliveries --endpoint=99999999999)], '"99999999999" is not the number of an endpoint' ],
    [ [qw(webhooks deliveries --endpoint=one)], '"one" is not a number' ],
    [ [qw(webhooks remove 2147483648)], '"2147483648" is not the number of an endpoint' ],
    [ [qw(webhooks rotate 1 --overlap=long)], '--overlap: "long" is not a span of time such as 12h or 2 days' ],
    [ [qw(webhooks rotate 2147483648)], '"2147483648" is not the number of an endpoint' ],
    [ [qw(webhooks retry x)], '"x" is not a number' ],
    [ [qw(jobs --created-after=x)], qq(--created-after: "x" $time) ],
    [ [qw(jobs --created-before=24:00)], qq(--created-before: "24:00" $time) ],
    [ [qw(retry-many --created-before=x)], qq(--created-before: "x" $time) ],
    [ [ 'cancel', $id, 'x' ], qq("x" $job) ],
    [ [ 'cancel', "$id " ], qq("$id " $job) ])
{
    my ($words, $says) = @$_;
    like ctl(@$words), qr/\A64 await-ctl: \Q$says\E.*Nothing was done\.\n\z/, "@$words";
}
is sql("SELECT state FROM await.find_jobs('{\"state\": \"cancelled\"}', 10, NULL)"), '', 'nothing was cancelled';
for (
    [qw(webhooks deliveries --since=yesterday --endpoint=1)], [ qw(webhooks deliveries), "--job=\U$id" ],
    [ 'webhooks', 'deliveries', '--since=2026-11-27 18:00+01' ], [qw(webhooks rotate 1 --overlap=12h)],
    [qw(jobs --created-after=today)], [ 'cancel', $id ])
{
    like ctl(@$_), qr/\A0 /, "@$_";
}

# which word, or how the command is called
my $no_option = 'is no option of';
for (
    [ [qw(frobnicate)], qr/"frobnicate" is no command; "await-ctl --help" lists them/ ],
    [ [qw(pause)], qr/usage: await-ctl pause (?!.*await-ctl resume).*\nawait-ctl: wrong arguments of pause/s ],
    [ [qw(pause a b)], qr/usage: await-ctl pause .*wrong arguments of pause/s ],
    [ [qw(relay set a)], qr/usage: await-ctl relay .*\n +await-ctl relay .*wrong arguments of relay/s ],
    [ [qw(webhooks enable)], qr/usage: await-ctl webhooks .*wrong arguments of webhooks/s ],
    [ [qw(rotate --forgt)], qr/usage: await-ctl rotate .*wrong arguments of rotate/s ],
    [ [qw(pause -x)], qr/"-x" $no_option pause/ ],
    [ [qw(queues --jsn)], qr/"--jsn" $no_option queues/ ],
    [ [qw(grant worker q --all)], qr/"--all" $no_option grant/ ],
    [ [qw(grant worker q -d)], qr/-d needs a CONNINFO/ ],
    [ [qw(setup --yes -d)], qr/-d needs a CONNINFO/ ],
    [ [qw(setup --database shop)], qr/"--database" is to be written --database=NAME/ ],
    [ [qw(setup --owner=)], qr/"--owner=" is to be written --owner=ROLE/ ],
    [ [qw(check --etc=here)], qr{"--etc=here" is to be written --etc=/PATH} ],
    [ [qw(check --frobnicate)], qr/"--frobnicate" $no_option check/ ])
{
    my ($words, $says) = @$_;
    like ctl(@$words), qr/\A64 (?:await-ctl: )?$says/, "@$words";
}
is sql('SELECT count(*) FROM await.queues() WHERE paused'), 0, 'no queue was paused';
{
    local $ENV{AWAIT_POSTGRES} = 'host=/none';
    for (
        [qw(queues q -d DB)], [qw(queues q --json -d DB)],
        [qw(queues -d DB --json q)], [qw(jobs --state=failed -d DB)],
        [qw(webhooks list -d DB)], [qw(grant await_worker q -d DB)])
    {
        like ctl(map { $_ eq 'DB' ? $s->postgres : $_ } @$_), qr/\A0 /, "-d anywhere: @$_";
    }
}
{
    # stands in for redis-cli: everybody sees its arguments
    Await::Stack::make_dir("$s->{dir}/bin");
    my $argv = "$s->{dir}/argv";
    Await::Stack::write_file("$s->{dir}/bin/redis-cli", "#!/bin/sh\necho \"\$*\" >> $argv\necho 1\n", 0755);
    local @ENV{qw(PATH AWAIT_REDIS)} = ("$s->{dir}/bin:$ENV{PATH}", 'redis://ann:TOP%40SECRET@127.0.0.1:7/3');
    ctl('pause', 'q');
    is ctl('resume', 'q'), "0 q: resumed\n", 'a queue is resumed, with a Redis';
    is slurp($argv), "--no-auth-warning --user ann -h 127.0.0.1 -p 7 -n 3 PUBLISH await:queue:q 1\n",
        'workers are told by it, and its password is in no argument';
    local $ENV{AWAIT_REDIS} = 'unix:/none';
    ctl('resume', 'q');
    like slurp($argv), qr{^--no-auth-warning -s /none PUBLISH}m, 'by a socket, too';
}

{
    # as "await-ctl setup" makes it
    local @ENV{qw(AWAIT_POSTGRES PGPASSWORD)} = ($s->place('admin'), $s->password('admin'));
    my $admin = sub { system(Await::Stack::pg_bin() . '/psql', '-XAtqw', '-d', $s->place('admin'), '-c', @_) };
    is $admin->('ALTER ROLE await NOLOGIN'), 0, 'nobody logs in as the owner';
    my ($remedy) = ctl('status') =~ /\A[1-9].*superuser "admin".*HINT:  .*: (PGOPTIONS='[^']*') await-ctl /s;
    is $remedy, "PGOPTIONS='-c role=await'", 'a superuser is told how to act as the owner';
    for (['status'], ['queues'], ['purge']) {
        local $ENV{PGOPTIONS} = '-c role=await';
        like ctl(@$_), qr/\A0 /, "which does: @$_";
    }
    $admin->('ALTER ROLE await LOGIN');
}

like ctl(@$_), qr/\A0 usage: await-ctl/, "@$_"
    for map { my $command = $_; map { [ $command, $_ ] } qw(--help -h) }
    qw(pause cancel grant queues purge rotate relay setup check);
is sql('SELECT string_agg(queue, $$ $$) FROM await.queue_grant'), 'q', 'one queue was granted, and nothing else done';

finish();
