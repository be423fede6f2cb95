package Await::Workers;

# The samples of workers/samples and the libraries of workers/, as programs that tests start: each turns text to upper
# case, takes params.seconds for it, and has a queue of its own.

use strict;
use warnings;
use Await::Test;

use Exporter 'import';
our @EXPORT_OK = qw(@ALL @LIBRARIES build start_workers stop_workers);

my $root = $Await::Stack::ROOT;
my $built = ($ENV{AWAIT_BUILD} // "$root/build") . '/workers';
my $samples = "$root/workers/samples";
my ($jdbc) = glob '/usr/share/java/postgresql.jar';
my @one_job = (1, 25);    # at once, and its seconds at a stop

our @LIBRARIES = qw(python-library node-library go-library);
our @ALL = (qw(shell python node perl php ruby go java), @LIBRARIES);
my %command = (
    shell => [ 'bash', "$samples/worker.sh" ],
    python => [ '/usr/bin/python3', "$samples/worker.py" ],
    node => [ 'node', "$built/node/worker.mjs" ],
    perl => [ 'perl', "$samples/worker.pl" ],
    php => [ 'php', "$samples/worker.php" ],
    ruby => [ 'ruby', "$samples/worker.rb" ],
    go => ["$built/go/sample"],
    java => [ 'java', '-XX:TieredStopAtLevel=1', '-cp', "$built/java:" . ($jdbc // ''), 'Worker' ],
    'python-library' => [ '/usr/bin/python3', "$root/t/samples/library.py" ],
    'node-library' => [ 'node', "$built/node/library.mjs" ],
    'go-library' => ["$built/go/library"]);

# Compiles what has to be, and checks types; dies with what was said.
sub build {
    my @to = $ENV{AWAIT_BUILD} ? ("B=$ENV{AWAIT_BUILD}") : ();
    my $said = `cd '$root' && make -s @to workers 2>&1`;
    die "make workers failed:\n$said" if $?;
}

# Starts these. Options: port (of PostgreSQL or of a pooler), redis (false: without it), arguments (of libraries).
sub start_workers {
    my ($queues, %o) = @_;
    my $s = stack();
    my %env = (
        PGHOST => '127.0.0.1',
        PGPORT => $o{port} // $s->{pg_port},
        PGDATABASE => 'await',
        PGUSER => 'worker',
        PGPASSWORD => $s->password('worker'),
        PGSSLMODE => 'disable',
        AWAIT_POSTGRES => '',
        AWAIT_REDIS => $o{redis} // 1 ? "redis://127.0.0.1:$s->{redis_port}" : '',
        REDISCLI_AUTH => $s->{password},
        PATH => Await::Stack::pg_bin() . ":$ENV{PATH}",
        PYTHONPATH => "$root/workers/python",
        PYTHONDONTWRITEBYTECODE => 1
    );
    for my $queue (@$queues) {
        my @arguments = $queue =~ /-library$/ ? @{ $o{arguments} // \@one_job } : ();
        $s->spawn($queue, [ @{ $command{$queue} }, @arguments ], env => { %env, PGAPPNAME => $queue });
    }
}

# Sends SIGTERM to these at once; how each ended, as of waitpid.
sub stop_workers {
    my @queues = @_;
    my $s = stack();
    kill 'TERM', map { $s->pid($_) } @queues;
    my %left = map { $_ => 1 } @queues;
    until_true(
        'the workers end',
        sub {
            delete @left{ grep { !$s->alive($_) } keys %left };
            !%left;
        },
        20
    );
    my %status = map { $_ => $left{$_} ? 'still runs' : $s->{status}{$_} } @queues;
    $s->end($_, 'KILL') for @queues;
    return \%status;
}

1;
