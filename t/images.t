# Containers: docker/compose.yml and docker/kubernetes are valid, name only what there is, and their configurations
# work: the services of compose.yml run here as processes, with requests through the balancer to two edges, and an edge
# that leaves. `make image-tests` builds the images.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::Compose qw(yaml compose command environment options_of);    # after it
use File::Path qw(make_path);
use JSON::PP ();
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'the images have the nginx of Debian' if $ENV{AWAIT_ASAN};

my $root = $Await::Stack::ROOT;
my $build = $ENV{AWAIT_BUILD} // "$root/build";
my $compose = compose();
my %services = %{ $compose->{services} };
sub manifests { return map { yaml($_) } sort glob "$root/docker/kubernetes/*.yaml" }
my @manifests = manifests();
my $dockerfile = slurp("$root/docker/Dockerfile");

# Where a program of the images is in this tree; undef if there is none.
sub program {
    my ($name) = @_;
    my %at = (
        'await-worker' => "$build/await-worker",
        'await-relay' => "$build/await-relay",
        'await-ctl' => "$root/tools/await-ctl",
        gallery => "$root/docker/gallery",
    );
    return $at{$name} // ($name =~ m{^/usr/share/nginx-await/(.*)} && -x "$root/$1" ? "$root/$1" : undef);
}

# What is wrong with a command of an image.
sub wrong_with {
    my ($what, @words) = @_;
    my $program = program($words[0]);
    return "$what: no $words[0]" unless $program && -x $program;
    my @wrong;
    for my $word (@words[ 1 .. $#words ]) {
        last if $word eq '--';
        push @wrong, "$what: $words[0] has no $word" if $word =~ /^--/ && !options_of($program)->{$word};
    }
    my ($at) = grep { $words[$_] eq '--' } 0 .. $#words;
    push @wrong, "$what: no $words[ $at + 1 ]"
        if defined $at && !program($words[ $at + 1 ]) && $words[ $at + 1 ] ne 'sha256sum';
    return @wrong;
}

subtest 'compose.yml names what there is' => sub {
    my @wrong;
    for my $name (sort keys %services) {
        my $service = $services{$name};
        my $ours = $service->{image} =~ m{^nginx-await/};
        my %secrets = map { $_ => 1 } @{ $service->{secrets} // [] };
        push @wrong, map { "$name: no secret $_" } grep { !$compose->{secrets}{$_} } keys %secrets;
        my %files = map { m{^/run/secrets/(.*)} ? ($1 => 1) : () } values %{ $service->{environment} // {} };
        push @wrong, map { "$name: does not get $_" } grep { !$secrets{$_} } keys %files;
        push @wrong, map { "$name: gets $_, and does not use it" } grep { $ours && !$files{$_} } keys %secrets;
        for (@{ $service->{volumes} // [] }) {
            my ($source) = split /:/;
            push @wrong, "$name: no $source"
                unless $source =~ m{^\./(.*)} ? -e "$root/docker/$1" : exists $compose->{volumes}{$source};
        }
        push @wrong, map { "$name is published: $_" } grep { !/^127\.0\.0\.1:/ } @{ $service->{ports} // [] };
        while (my ($other, $how) = each %{ $service->{depends_on} // {} }) {
            my $once = ($services{$other}{restart} // '') eq 'no';
            push @wrong, "$name: depends on $other, which ends: $once"
                if $once != ($how->{condition} eq 'service_completed_successfully');
        }
        push @wrong, "$name: not confined" if $ours && !($service->{read_only} && "@{ $service->{cap_drop} }" eq 'ALL');
        push @wrong, "$name: no target" if $ours && $dockerfile !~ /^FROM \S+ AS \Q$service->{build}{target}\E$/m;
        push @wrong, wrong_with($name, @{ $service->{command} }) if $ours && $service->{command};
    }
    is_deeply \@wrong, [], 'secrets, volumes, images, programs and their options';
    my $made = slurp("$root/docker/make-secrets");
    is_deeply [ grep { my ($word) = /(.*)_password/; $made !~ /\b$word\b/ } sort keys %{ $compose->{secrets} } ], [],
        'make-secrets makes all secrets';
    my $demo = slurp("$root/conf/demo.conf");
    my %lines = map { s{\$\{ROOT\}}{/usr/share/nginx-await}r =~ s{127\.0\.0\.1:\$\{PORT\+5\}}{legacy:8085}r => 1 }
        $demo =~ /^# (await-worker .*)$/mg;
    is_deeply [ sort map { join ' ', @{ $services{$_}{command} } } grep { /^worker-/ } keys %services ],
        [ sort keys %lines ],
        'its workers are those of conf/demo.conf';
    # Compose takes an image that has a name for one of somebody else
    my ($down) = slurp("$root/docs/install.md") =~ /^docker compose \S.* down (.*)$/m;
    is $down, '--volumes --rmi all', 'what docs/install.md removes it by removes images that have a name, too';
};

subtest 'the Dockerfile' => sub {
    my @copied = map { split ' ' } $dockerfile =~ /^COPY (docker\/.*) \S+$/mg;
    cmp_ok scalar @copied, '>=', 4, 'it copies files';
    is_deeply [ grep { !-e "$root/$_" } @copied ], [], 'which there are';
    is_deeply [ grep { !-x "$root/$_" } grep { !/\.conf$/ } @copied ], [], 'and can be executed';
    my @last =
        map { (/^USER (.*)$/mg)[-1] // 'root' } grep { /^FROM \S+ AS (?:edge|tools|gallery)$/m } split /^(?=FROM )/m,
        $dockerfile;
    is_deeply \@last, [ ('10001:10001') x 3 ], 'no image runs as root';
    like slurp("$root/.dockerignore"), qr{^docker/secrets$}m, 'secrets are not sent to the builder';
};

# Of each kind: what must fit together in the manifests.
sub pods {
    return grep { $_->{spec} && $_->{spec}{template} } @manifests;
}
subtest 'docker/kubernetes names what there is' => sub {
    cmp_ok scalar @manifests, '>=', 7, 'there are manifests';
    my @wrong;
    for my $one (pods()) {
        my $name = "$one->{kind} $one->{metadata}{name}";
        my $pod = $one->{spec}{template}{spec};
        my $labels = $one->{spec}{template}{metadata}{labels};
        my $wanted = $one->{spec}{selector}{matchLabels} // {};
        push @wrong, "$name: selects others" if grep { $labels->{$_} ne $wanted->{$_} } keys %$wanted;
        push @wrong, "$name: may be root"
            unless $pod->{securityContext}{runAsNonRoot}
            && $pod->{securityContext}{runAsUser} == 10001
            && $pod->{securityContext}{seccompProfile}{type} eq 'RuntimeDefault';
        my %volumes = map { $_->{name} => $_ } @{ $pod->{volumes} };
        for my $container (@{ $pod->{containers} }) {
            my %mounts = map { $_->{mountPath} => $_->{name} } @{ $container->{volumeMounts} };
            push @wrong, map { "$name: no volume $_" } grep { !$volumes{$_} } values %mounts;
            push @wrong, "$name: can write to its root" unless $container->{securityContext}{readOnlyRootFilesystem};
            push @wrong, "$name: gains privileges"
                if $container->{securityContext}{allowPrivilegeEscalation}
                || "@{ $container->{securityContext}{capabilities}{drop} }" ne 'ALL';
            push @wrong, "$name: no limit of memory" unless $container->{resources}{limits}{memory};
            for (grep { $_->{name} =~ /_FILE$/ } @{ $container->{env} }) {
                my ($where) = $_->{value} =~ m{^(.*)/(?:postgres|redis)-password$};
                push @wrong, "$name: $_->{name} is no secret"
                    unless $where && $volumes{ $mounts{$where} // '' }{secret};
            }
            push @wrong, wrong_with($name, @{ $container->{args} }) if $container->{args};
        }
    }
    is_deeply \@wrong, [], 'labels, volumes, secrets, rights, programs and their options';
    my %is = map { ("$_->{kind} $_->{metadata}{name}" => $_) } @manifests;
    my $pod = $is{'Deployment await-edge'}{spec}{template};
    for my $other (map { $is{"$_ await-edge"}{spec} } qw(Service PodDisruptionBudget)) {
        is_deeply $other->{selector}{matchLabels} // $other->{selector}, $pod->{metadata}{labels},
            'the edges are selected';
    }
    my ($edge) = @{ $pod->{spec}{containers} };
    my %ports = map { $_->{name} => $_->{containerPort} } @{ $edge->{ports} };
    my @named = map { $edge->{"${_}Probe"}{httpGet}{port} } qw(startup readiness);
    is_deeply [ grep { !$ports{$_} } @named, $is{'Service await-edge'}{spec}{ports}[0]{targetPort} ], [],
        'ports are there';
    my %env = map { $_->{name} => $_->{value} } @{ $edge->{env} };
    my $needed = $edge->{lifecycle}{preStop}{exec}{command}[1] + ($env{AWAIT_DRAIN} =~ s/s$//r) + 10;
    cmp_ok $pod->{spec}{terminationGracePeriodSeconds}, '>=', $needed, 'there is time to drain';
};

# By the Compose specification's schema, and by the types of Kubernetes' API, which know of fields that do not exist.
sub complaints_about_compose {
    my ($value) = @_;
    Await::Stack::write_file("$build/schemas/compose.json", JSON::PP::encode_json($value));
    return scalar `node $root/t/schemas/compose.js $build/schemas/node_modules < $build/schemas/compose.json 2>&1`;
}

sub complaints_about_manifests {
    my (@values) = @_;
    my %imports =
        map { ("import type { I$_->{kind} } from 'kubernetes-models/$_->{apiVersion}/$_->{kind}';\n" => 1) } @values;
    my $n = 0;
    my @constants = map { "export const a${\$n++}: I$_->{kind} = " . JSON::PP::encode_json($_) . ";\n" } @values;
    Await::Stack::write_file("$build/schemas/manifests.ts", join '', sort(keys %imports), @constants);
    my $options = '--noEmit --strict --skipLibCheck --target es2022 --lib es2022 --moduleResolution node';
    return scalar `cd $build/schemas && tsc $options manifests.ts 2>&1`;
}

subtest 'schemas' => sub {
    my $said = `env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C $root B=$build $build/schemas/ok 2>&1`;
    if ($? && system('npm ping --fetch-retries=0 --fetch-timeout=5000 > /dev/null 2>&1') != 0) {
        plan skip_all => "npm's registry, which has the schemas, cannot be reached";
    }
    is $said, '', 'they are there' or return;
    is complaints_about_compose(compose()), '', 'compose.yml is valid';
    is complaints_about_manifests(manifests()), '', 'docker/kubernetes is valid';
    my $wrong = { %$compose, services => { %services, edge1 => { %{ $services{edge1} }, depend_on => [] } } };
    like complaints_about_compose($wrong), qr/^\S*edge1 .*depend_on/m, 'an error in compose.yml would be found';
    my ($edge) = grep { $_->{kind} eq 'Deployment' } manifests();
    $wrong = { %$edge, spec => { %{ $edge->{spec} }, replica => 2 } };
    like complaints_about_manifests($wrong), qr/replica"?' does not exist/, 'and one in a manifest';
};

my $s = start_stack(without => [qw(nginx redis)]);
chmod 0711, $s->{dir};
umask 022;    # services are other users
my $user = $> == 0
    && !grep({ !Await::Stack::reachable('nobody', $_) } $root, "$build/await-worker", $s->{dir}) ? 'nobody' : undef;
make_path("$s->{dir}/secrets");
my ($receiver, $legacy) = map { '127.0.0.1:' . Await::Stack::free_port() } 1 .. 2;

# What runs as a service: its name, the service of compose.yml, variables beside its own.
sub settings {
    my (%more) = @_;
    return (
        postgres => $s->{pg_port},
        redis => $s->{redis_port},
        secrets => "$s->{dir}/secrets",
        receiver => $receiver,
        legacy => $legacy,
        files => "$s->{dir}/gallery",
        port => 0,
        %more
    );
}

sub start_service {
    my ($name, $service, %o) = @_;
    my %env = (
        PATH => "$s->{dir}/bin:$ENV{PATH}",
        environment($service, settings(%o)),
        AWAIT_RUN => "$s->{dir}/$name",
        AWAIT_ETC => $o{files} // '',
        PGPORT => $s->{pg_port},
        %{ $o{env} // {} });
    # nobody may write there
    make_path("$s->{dir}/$name", "$s->{dir}/logs");
    Await::Stack::write_file("$s->{dir}/logs/$name.log", '', 0666);
    chmod 0777, "$s->{dir}/$name";
    chmod 0666, "$s->{dir}/logs/$name.log";
    return $s->spawn($name, [ command($service, settings(%o)), @{ $o{arguments} // [] } ], user => $user, env => \%env);
}

sub run_once {
    my ($name, %o) = @_;
    start_service($name, $services{$name}, %o);
    until_true("$name has ended", sub { !$s->alive($name) }, 60);
    is $s->{status}{$name}, 0, "$name succeeds" or diag slurp("$s->{dir}/logs/$name.log");
}

# By docker/redis.sh, as in its container.
sub start_redis {
    my ($server) = grep { -x } map { ("/usr/bin/$_-server", "/usr/bin/$_-check-rdb") } qw(redis valkey);
    symlink $server, "$s->{dir}/bin/redis-server" or die "symlink: $!";
    $s->{redis_port} = Await::Stack::free_port();
    my %env = (PATH => "$s->{dir}/bin:$ENV{PATH}", SECRETS => "$s->{dir}/secrets");
    my ($script) = @{ $services{redis}{command} };
    is $script, '/usr/local/bin/redis.sh', 'Redis has users of its own';
    my @listen = ('--bind', '127.0.0.1', '--port', $s->{redis_port});
    $s->spawn('redis', [ "$root/docker/redis.sh", @listen ], user => $user, env => \%env);
    $s->wait_for('redis', 20, sub { redis('edge', 'PING') eq "PONG\n" });
}
sub redis {
    my ($role, @command) = @_;
    local $ENV{REDISCLI_AUTH} = slurp("$s->{dir}/secrets/redis_${role}_password");
    return scalar `redis-cli --no-auth-warning -p $s->{redis_port} --user await_$role @command 2>&1`;
}

subtest 'the database is made' => sub {
    system("cp $root/docker/make-secrets $s->{dir}/ && $s->{dir}/make-secrets") == 0 or die 'make-secrets';
    is scalar(() = glob "$s->{dir}/secrets/*_password"), keys %{ $compose->{secrets} }, 'there are passwords';
    like slurp("$s->{dir}/secrets/edge_password"), qr/^[\w.]{32}\z/, 'long ones';
    chmod 0755, "$s->{dir}/secrets";
    local @ENV{qw(PGHOST PGPORT PGUSER PGPASSWORD SECRETS)} =
        ('127.0.0.1', $s->{pg_port}, 'admin', $s->password('admin'), "$s->{dir}/secrets");
    is scalar(`$root/docker/database.sh 2>&1`), '', 'by database.sh';
    make_path("$s->{dir}/bin");
    symlink program($_), "$s->{dir}/bin/$_" for qw(await-worker await-relay await-ctl gallery);
    start_redis();
    run_once('migration');
    run_once('migration');
    like slurp("$s->{dir}/logs/migration.log"), qr/already up to date/, 'a second time there is nothing to do';
};

my %port;
sub ports_beside {
    for (1 .. 100) {
        my $port = Await::Stack::free_port();
        return $port
            unless grep { !IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_, Listen => 1) }
            $port + 1 .. $port + 3, $port + 363;
    }
    die "there are no ports beside each other\n";
}

sub start_nginx_of {
    my ($name, %env) = @_;
    $port{$name} //= ports_beside();
    $port{"$name health"} //= Await::Stack::free_port();
    start_service(
        $name,
        $services{$name},
        files => "$s->{dir}/files-$name",
        arguments => [ '-g', "load_module $s->{module};" ],
        env => {
            AWAIT_NGINX => $s->{nginx},
            AWAIT_PORT => $port{$name},
            AWAIT_HEALTH_PORT => $port{"$name health"},
            %env
        });
    eventually("$name is healthy", sub { health($name) == 200 });
}

# HEALTHCHECK's command, with curl's exit status if there is no answer.
sub health {
    my ($name) = @_;
    my ($check) = $dockerfile =~ /^ +CMD (curl .*)$/m or die 'no HEALTHCHECK';
    local $ENV{AWAIT_HEALTH_PORT} = $port{"$name health"};
    return system("$check 2>/dev/null") == 0 ? 200 : 0;
}

subtest 'the services start' => sub {
    for my $name (qw(edge1 edge2)) {
        $port{$name} = ports_beside();
        mkdir "$s->{dir}/files-$name", 0777;
        chmod 0777, "$s->{dir}/files-$name";
        run_once(
            'gallery',
            files => "$s->{dir}/files-$name",
            env => {
                AWAIT_PORT => $port{$name},
                AWAIT_DATA => $root,
                AWAIT_RECEIVER => $receiver,
                AWAIT_LEGACY => $legacy
            });
        start_nginx_of($name);
    }
    make_path("$s->{dir}/files-balancer/conf.d");
    symlink "$root/docker/balancer.conf", "$s->{dir}/files-balancer/conf.d/balancer.conf";
    start_nginx_of('balancer', map { ("AWAIT_EDGE_$_" => "127.0.0.1:$port{\"edge$_\"}") } 1, 2);
    start_service($_, $services{$_}, port => $port{edge2}, files => "$s->{dir}/files-edge1")
        for qw(worker-reports worker-thumbnails worker-scores relay1 relay2 receiver legacy);
    my $sinks = "SELECT count(*) FROM await.relay_status() WHERE sink IN ('redis', 'webhooks')";
    eventually('the relay leads', sub { $s->sql($sinks, 'jobs') eq 2 });
    $s->{port} = $port{balancer};
};

sub requests { my ($edge, $pattern) = @_; return scalar(() = slurp("$s->{dir}/logs/$edge.log") =~ /"$pattern/g) }

my %basic = (Authorization => 'Basic YWRtaW46YWRtaW4=');
sub upload {
    my ($body, $type) = multipart([ image => 'no picture', 'a.png', 'image/png' ]);
    is post('/upload', $body, %basic, 'Content-Type' => $type)->{status}, 202, 'an upload';
}
sub webhooks { return scalar(() = slurp("$s->{dir}/logs/receiver.log") =~ /^webhook .* signature is right$/mg) }

subtest 'a round trip' => sub {
    like get('/')->{body}, qr/<html/, 'the page';
    for my $n (1 .. 4) {
        my $r =
            post('/reports', 'months=1', Prefer => 'wait=20', 'Content-Type' => 'application/x-www-form-urlencoded');
        is $r->{body}, "month,sales\n1,819\n", "report $n, from the old back end";
    }
    cmp_ok requests($_, 'POST /reports'), '>=', 1, "$_ has served some of them" for qw(edge1 edge2);
    my %json = (%basic, 'Content-Type' => 'application/json', Prefer => 'wait=20');
    ok json(post('/scores', '{"player":"ann","score":7}', %json))->{published},
        'a worker that uses PostgreSQL and Redis';
    upload();
    eventually('the webhook has reached the receiver', sub { webhooks() >= 1 });
    eventually('which publishes it', sub { requests('edge2', 'POST /internal/hooks HTTP/1.1" 20') >= 1 });
    is post('/internal/hooks', '{}')->{status}, 404, 'nobody else can';
    is get('/metrics')->{status}, 404, 'or sees metrics';
    is get('/api/v1/runs?username=ann')->{status}, 200, 'what is for local clients is for those of private networks';
};

subtest 'each role has its own user of Redis' => sub {
    # who is connected: none is the default user, and all of ours have said nothing that is refused
    my @log = map { slurp($_) } grep { -e } map { "$s->{dir}/logs/$_.log" } qw(edge1 edge2 relay1 worker-scores);
    is_deeply [ grep { /NOPERM|WRONGPASS|NOAUTH/ } @log ], [], 'may do all that it needs';
    like redis('edge', 'GET', 'x'), qr/NOPERM/, 'edges cannot read keys';
    like redis('worker', 'SUBSCRIBE', 'other'), qr/NOPERM/, 'workers see no other channel';
    like redis('relay', 'SUBSCRIBE', 'await:cancel'), qr/NOPERM/, 'the relay cannot listen';
    like scalar(`redis-cli -p $s->{redis_port} PUBLISH await:check 1 2>&1`), qr/NOAUTH/, 'nobody else can do anything';
    my %secret = map { $_ => slurp("$s->{dir}/secrets/redis_${_}_password") } qw(edge worker relay);
    is scalar(keys %{ { reverse %secret } }), 3, 'each has a password of its own';
    my $arguments = slurp('/proc/' . $s->pid('redis') . '/cmdline');
    is_deeply [ grep { index($arguments, $_) >= 0 } values %secret ], [], 'which is in no argument';
};

subtest 'an edge leaves' => sub {
    my $answer = json(post('/reports', 'months=12', 'Content-Type' => 'application/x-www-form-urlencoded'));
    my $held = begin_request('GET', "/reports/$answer->{id}?wait=30", port => $port{edge1});
    until_true(
        'it is held',
        sub {
            request('GET', '/metrics', port => $port{'edge1 health'})->{body} =~ /^await_held [1-9]/m;
        });
    my ($signal) = $dockerfile =~ /^STOPSIGNAL SIG(\w+)$/m;
    kill $signal => $s->pid('edge1');
    eventually('it stops listening', sub { health('edge1') == 0 });
    is get('/')->{status}, 200, 'the balancer goes on';
    like $held->response(40)->{status}, qr/^20[02]$/, 'who was held gets an answer';
    until_true('it has ended', sub { !$s->alive('edge1') }, 45);
    is $s->{status}{edge1}, 0, 'with exit status 0';
    is post('/reports', 'months=1', Prefer => 'wait=20', 'Content-Type' => 'application/x-www-form-urlencoded')
        ->{status}, 200,
        'the other one serves';
    my $told = webhooks();
    $s->end('relay1', 'KILL');
    upload();
    eventually('without a relay webhooks go on', sub { webhooks() > $told });
};

subtest 'the edge says what is wrong' => sub {
    # as in its image: nginx may not be root, whose workers would be others
    my $as = $user ? "setpriv --reuid $user --regid nogroup --clear-groups --" : '';
    make_path("$s->{dir}/try", "$s->{dir}/wrong/conf.d");
    chmod 0777, "$s->{dir}/try";
    my $try = sub {
        my (%env) = @_;
        my $etc = delete $env{etc} // "$s->{dir}/files-edge2";
        local @ENV{ keys %env } = values %env;
        local @ENV{qw(AWAIT_RUN AWAIT_ETC AWAIT_NGINX)} = ("$s->{dir}/try", $etc, $s->{nginx});
        # nginx opens its standard output once more: an engine gives it to the user of the container
        Await::Stack::write_file("$s->{dir}/try.log", '', 0666);
        system("$as $root/docker/entrypoint-edge -t -g 'load_module $s->{module};' >> $s->{dir}/try.log 2>&1");
        return ($? >> 8) . ': ' . slurp("$s->{dir}/try.log");
    };
    my @ok = (AWAIT_POSTGRES => $s->place('edge'), AWAIT_REDIS => "redis://127.0.0.1:$s->{redis_port}");
    like $try->(@ok), qr/^0: .*test is successful/s, 'nothing, if all is there';
    like $try->(@ok, AWAIT_REDIS => 'redis://x"; user root;'), qr/^78: entrypoint-edge: AWAIT_REDIS has a character/,
        'no value leaves its place';
    like $try->(@ok, AWAIT_DRAIN => "1s\nuser root"), qr/^78: entrypoint-edge: AWAIT_DRAIN has/, 'nor by a newline';
    like $try->(@ok, PGPASSWORD_FILE => "$s->{dir}/none"), qr/^78: .*PGPASSWORD_FILE=\S+none: .* cannot read it$/m,
        'a secret that is missing';
    Await::Stack::write_file("$s->{dir}/secret", "sec.ret\n", 0644);
    my $address = "redis://await_edge\@127.0.0.1:$s->{redis_port}";
    my @redis = (AWAIT_REDIS => $address, REDISCLI_AUTH_FILE => "$s->{dir}/secret");
    like $try->(@ok, @redis), qr/^0: /, 'a user of Redis';
    like slurp("$s->{dir}/try/backends.conf"), qr{^await_redis "redis://await_edge:sec\.ret\@127}m, 'with its password';
    like $try->(@ok, @redis, AWAIT_REDIS => 'redis://u:p@127.0.0.1'), qr/^78: .*has a password already/,
        'but not two passwords';
    Await::Stack::write_file("$s->{dir}/odd", "p:w\\\n", 0644);
    like $try->(@ok, PGPASSWORD_FILE => "$s->{dir}/odd"), qr/^0: /, 'a password with any character';
    is slurp("$s->{dir}/try/pgpass"), "*:*:*:*:p\\:w\\\\\n", 'is written as libpq reads it';
    is sprintf('%o', (stat "$s->{dir}/try/pgpass")[2] & 0777), '600', 'for its own user';
    my %urls = ('postgres://jobs_edge@127.0.0.1/jobs' => '?', 'postgresql://127.0.0.1/jobs?user=jobs_edge' => '&');
    for my $url (sort keys %urls) {
        like $try->(@ok, AWAIT_POSTGRES => $url, PGPASSWORD_FILE => "$s->{dir}/odd"), qr/^0: /, "by $url";
        like slurp("$s->{dir}/try/backends.conf"),
            qr{^await_postgres "\Q$url$urls{$url}\Epassfile=\Q$s->{dir}\E/try/pgpass";}m, 'with the passfile in it';
    }
    like $try->(@ok, REDISCLI_AUTH_FILE => "$s->{dir}/odd"), qr/^78: .*letters, digits/,
        'but for Redis one that fits into a URL';
    like $try->(@ok, etc => "$s->{dir}/wrong"), qr/^78: entrypoint-edge: no configuration: mount/, 'no configuration';
    Await::Stack::write_file("$s->{dir}/wrong/conf.d/site.conf", "\nserver { listen \${AWAIT_PROT}; }\n", 0644);
    like $try->(@ok, etc => "$s->{dir}/wrong"), qr/^78: entrypoint-edge: \S+site\.conf:2: \$\{AWAIT_PROT\} is not set/m,
        'a name that is not known';
    Await::Stack::write_file("$s->{dir}/wrong/conf.d/site.conf", "server { listen \${AWAIT_PORT}; await x; }\n", 0644);
    like $try->(@ok, etc => "$s->{dir}/wrong"), qr/^1: .*conf\.d\/site\.conf:1/s, 'what nginx refuses';
    is scalar(`$root/docker/entrypoint-tools 2>&1`),
        "entrypoint-tools: no command; for example: await-worker --help\n", 'tools need a command';
    my $site = (grep { $_->{kind} eq 'ConfigMap' } @manifests)[0]{data}{'site.conf'};
    Await::Stack::write_file("$s->{dir}/wrong/conf.d/site.conf", $site, 0644);
    like $try->(@ok, etc => "$s->{dir}/wrong"), qr/^0: .*test is successful/s, 'the site of docker/kubernetes is right';
};

finish();
