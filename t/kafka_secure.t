# Kafka with TLS and passwords: events and messages go through, and what is wrong is said in a line with what to mend,
# by --check and in the log. The front of the broker verifies passwords itself (t/kafka/front.js).

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Kafka;
use Await::Relay;
use Await::Test;
use Test::More;

my $PASSWORD = 'long-and-secret';
my $s = start_stack(without => [ 'nginx', 'redis' ]);
chmod 0755, $s->{dir};
my $kafka = Await::Kafka->start;
$kafka->tell(topic => $_, 1) for qw(events orders letters);
my %dir = map { $_ => "$s->{dir}/$_" } qw(own other);
for my $dir (values %dir) {
    mkdir $dir or die "$dir: $!";
    self_signed($dir);
}
my %tls = (host => 'localhost', cert => "$dir{own}/cert.pem", key => "$dir{own}/key.pem");
my %front = (
    tls => $kafka->front(%tls),
    sasl => $kafka->front(users => { ann => $PASSWORD }),
    both => $kafka->front(%tls, users => { ann => $PASSWORD }));

# Properties in a file, as docs/kafka.md has it.
my $files = 0;
sub config {
    my ($file, @properties) = ("$s->{dir}/kafka" . ++$files . '.properties', @_);
    Await::Stack::write_file($file, join '', map { "$_\n" } @properties, 'broker.address.family=v4');
    return "config=$file";
}
sub tls { my ($ca) = @_; return $ca ? "ssl.ca.location=$dir{$ca}/cert.pem" : () }
sub sasl {
    my ($mechanism, $user, $password) = @_;
    return ("sasl.mechanism=$mechanism", "sasl.username=$user", "sasl.password=$password");
}
my @TLS = ('security.protocol=SSL', tls('own'));
my @PLAIN = ('security.protocol=SASL_PLAINTEXT', sasl('PLAIN', 'ann', $PASSWORD));
my @SCRAM = ('security.protocol=SASL_PLAINTEXT', sasl('SCRAM-SHA-256', 'ann', $PASSWORD));
my @BOTH = ('security.protocol=SASL_SSL', tls('own'), sasl('SCRAM-SHA-256', 'ann', $PASSWORD));

my $MEND_TLS = qr/: the port must speak TLS, and its certificate be of this name and of an authority in ssl\.ca/;
my $UNTRUSTED = qr/certificate verify failed.*$MEND_TLS/;
my $WRONG = qr/Invalid username or password: correct sasl\.mechanism, sasl\.username and sasl\.password$/m;
my @checks = (
    [ 'TLS', 'tls', [@TLS], 'ok' ],
    [ 'PLAIN', 'sasl', [@PLAIN], 'ok' ],
    [ 'SCRAM', 'sasl', [@SCRAM], 'ok' ],
    [ 'TLS and SCRAM', 'both', [@BOTH], 'ok' ],
    [ 'no authority', 'tls', ['security.protocol=SSL'], $UNTRUSTED ],
    [ 'another authority', 'tls', [ 'security.protocol=SSL', tls('other') ], $UNTRUSTED ],
    [ 'another name', 'tls', [@TLS], $UNTRUSTED, '127.0.0.1' ],
    [ 'no TLS', 'tls', [], qr/Disconnected|security\.protocol/ ],
    [ 'TLS where there is none', 'sasl', [@TLS], qr/SSL.*$MEND_TLS/ ],
    [ 'a wrong password', 'sasl', [ $PLAIN[0], sasl('PLAIN', 'ann', 'wrong-one') ], $WRONG ],
    [ 'a wrong password by SCRAM', 'sasl', [ $PLAIN[0], sasl('SCRAM-SHA-256', 'ann', 'wrong-one') ], $WRONG ],
    [ 'an unknown user', 'both', [ @BOTH[ 0, 1 ], sasl('PLAIN', 'bob', $PASSWORD) ], $WRONG ],
    [ 'an unknown user by SCRAM', 'sasl', [ $PLAIN[0], sasl('SCRAM-SHA-256', 'bob', $PASSWORD) ], $WRONG ],
    [ 'another mechanism', 'sasl', [ $PLAIN[0], sasl('SCRAM-SHA-512', 'ann', $PASSWORD) ], qr/PLAIN,\s*SCRAM-SHA-256/ ],
    [ 'no password', 'sasl', [], qr/Disconnected|security\.protocol/ ]);

subtest 'what --check says' => sub {
    my @running = map {
        my ($name, $front, $properties, undef, $host) = @$_;
        my $servers = $front{$front}->servers;
        $servers =~ s/.*:/$host:/ if $host;
        my $config = config(@$properties);
        [
            $_,
            Await::Relay->start(
                "check $name", '--check',
                '--sink' => "kafka=$servers,topic=events,$config",
                '--from' => "kafka=$servers,topic=orders,queue=q,group=g,$config"
            ) ]
    } @checks;
    for (@running) {
        my ($row, $relay) = @$_;
        my ($name, undef, undef, $says) = @$row;
        is $relay->status, $says eq 'ok' ? 0 : 1, "$name: the status";
        like $relay->text, qr/^.*sink kafka: .*$says/m, "$name: of a sink";
        like $relay->text, qr/^.*source kafka orders: .*$says/m, "$name: of a source";
    }
};

subtest 'events and messages go through, also when the password changes' => sub {
    my $servers = $front{both}->servers;
    my $config = config(@BOTH);
    my $relay = Await::Relay->start(
        'both',
        '--sink' => "kafka=$servers,topic=events,patience=1s,reconnect.backoff.max.ms=200,$config",
        '--from' =>
            # a broker of the mock waits for a member that is gone, as after a lost lease, for its time-out
            "kafka=$servers,topic=orders,queue=orders,group=g,dead_letter=letters,reconnect.backoff.max.ms=200,"
            . "session.timeout.ms=3300,heartbeat.interval.ms=300,$config"
    );
    $relay->leads;
    my $jobs =
        sub { sql("SELECT count(*) FROM await.job j JOIN await.queue q ON q.id = j.queue WHERE q.name = 'orders'") };
    $kafka->put_message('orders', 'one');
    $kafka->put_message('orders', 'bad', headers => ['await-colour=red']);
    eventually 'a message is a job', sub { $jobs->() == 1 }, 60;    # a relay that was stopped for a second joins again
    is(($kafka->messages('letters', 1))[0]{payload}, 'bad', 'a bad one is a dead letter');
    my $id = submit('q');
    eventually 'events are written', sub {
        grep { $_->{key} eq $id } $kafka->messages('events');
    };
    $front{both}->tell('{"users": {"ann": "changed"}}');
    my @more = map { submit('q') } 1 .. 3;
    eventually 'the log says it, of the sink', sub { $relay->text =~ /sink kafka: .*$WRONG/ };
    eventually 'and of the source', sub { $relay->text =~ /Kafka source orders: .*$WRONG/ };
    $front{both}->tell(qq({"users": {"ann": "$PASSWORD"}}));
    $kafka->put_message('orders', 'two');
    eventually 'messages are jobs again', sub { $jobs->() == 2 }, 60;
    eventually 'nothing is lost', sub {
        my %keys = map { $_->{key} => 1 } $kafka->messages('events');
        !grep { !$keys{$_} } @more;
    }, 60;
    is $relay->stop, 0, 'it ends';
};

my @logs = glob "'$s->{dir}/logs/*.log'";
ok @logs > @checks && !grep({ slurp($_) =~ /\Q$PASSWORD\E|wrong-one/ } @logs), 'no log has a password';

$_->stop for values %front, $kafka;
finish();
