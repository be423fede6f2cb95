# The schema as it is built: sql/snapshot.sql is what a new database has, each function is defined once, nothing is
# PUBLIC, and `await-ctl migrate` does all or nothing and says which. AWAIT_SNAPSHOT=write writes sql/snapshot.sql.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use Await::Schema qw(dump_schema server_version);
use File::Temp qw(tempdir);
use Test::More;
use Time::HiRes qw(sleep);

my $s = start_stack(workers => 2, without => ['redis']);
my $root = $Await::Stack::ROOT;
my $ctl = "$root/tools/await-ctl";
my $dir = tempdir(CLEANUP => 1);
my @functions = sort map { s{^\Q$root\E/sql/}{}r } glob "$root/sql/functions/*/*.sql";

sub create { my ($database) = @_; $s->sql("CREATE DATABASE $database OWNER await", 'postgres'); return $database }
# await-ctl as the schema's owner of a database, with the files of a directory: exit code and what it says.
sub ctl {
    my ($database, $command, %o) = @_;
    local $ENV{AWAIT_POSTGRES} = $s->postgres =~ s/dbname=await/dbname=$database/r;
    local $ENV{AWAIT_SQL} = $o{sql} // "$root/sql";
    local $ENV{PATH} = $o{path} // $ENV{PATH};
    my $said = `/bin/sh '$ctl' $command 2>&1`;
    return ($? >> 8, $said);
}
# A copy of sql/ of which a test may change files.
my $copies = 0;
sub copy_of_sql { my $to = "$dir/" . ++$copies; system('cp', '-r', "$root/sql", $to) == 0 or die 'cp'; return $to }
sub append { my ($file, $text) = @_; Await::Stack::write_file($file, slurp($file) . $text) }

subtest 'sql/snapshot.sql is the schema of a new database' => sub {
    my $version = server_version($s);
    my $fresh =
          "-- PostgreSQL $version. What pg_dump gives of a new database, "
        . "without partitions of days. Made by: make snapshot.\n"
        . dump_schema($s, 'await');
    my $file = "$root/sql/snapshot.sql";
    Await::Stack::write_file($file, $fresh, 0644) if ($ENV{AWAIT_SNAPSHOT} // '') eq 'write';
    my $text = slurp($file);
    my ($made_by) = $text =~ /^-- PostgreSQL (\d+)\./;
    ok $made_by, 'its first line names the version that made it';
SKIP: {
        skip "it was made by PostgreSQL $made_by, this is $version", 1 if $made_by != $version;
        ok $text eq $fresh, 'equal'
            or diag "run `make snapshot` and look at the difference\n" . difference($text, $fresh);
    }
};

sub difference {
    my ($one, $other) = @_;
    Await::Stack::write_file("$dir/$_->[0]", $_->[1]) for [ snapshot => $one ], [ database => $other ];
    return scalar `diff -u '$dir/snapshot' '$dir/database' | head -40`;
}

subtest 'each function is defined once, in the file of its name' => sub {
    my %defined;
    for my $file (@functions) {
        my @names = slurp("$root/sql/$file") =~ /^CREATE OR REPLACE FUNCTION await\.(\w+)\(/mg;
        push @{ $defined{$_} }, $file for @names;
        my ($name) = $file =~ m{(\w+)\.sql$};
        is $names[-1], $name, "$file ends with await.$name()";
    }
    is_deeply [ grep { @{ $defined{$_} } > 1 } sort keys %defined ], [], 'none twice';
    is_deeply [
        split /\n/, sql("SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'await'::regnamespace ORDER BY 1")
        ],
        [ sort keys %defined ], 'and the database has no other';
};

my ($newest) = (sort glob "$root/sql/schema/*.sql")[-1] =~ m{/(\d+)_};
my ($needed) = slurp("$root/src/pg/statements.h") =~ /kSchemaVersion = (\d+);/;
is $needed, $newest + 0, 'the module needs the newest file of sql/schema';

subtest 'every body is valid' => sub {
    my (undef, $error) =
        $s->psql('BEGIN; SET LOCAL check_function_bodies = on; '
            . join('', map { slurp("$root/sql/$_") } @functions)
            . 'ROLLBACK');
    is $error, undef, 'applied with check_function_bodies, which migrate turns off';
};

subtest 'nothing is for PUBLIC' => sub {
    is sql(
        "SELECT string_agg(p.oid::regprocedure::text, ' ') FROM pg_proc p WHERE p.pronamespace = 'await'::regnamespace
        AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)"
        ),
        '', 'no function';
    is sql(
        "SELECT string_agg(c.relname, ' ') FROM pg_class c
        WHERE c.relnamespace = 'await'::regnamespace AND c.relkind <> 'i'
        AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner)"
        ),
        '', 'no table is anybody\'s but the owner\'s';
    is sql("SELECT count(*) FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'await' AND a.grantee = 0"),
        0, 'nor the schema';
};

subtest 'a grant that is missing is restored, one too many is taken away' => sub {
    sql(
        "REVOKE EXECUTE ON FUNCTION await.cancel(uuid) FROM await_edge;
         GRANT EXECUTE ON FUNCTION await.purge_queues() TO PUBLIC, await_worker"
    );
    my ($status, $said) = ctl('await', 'migrate');
    is $status, 0, 'migrate';
    is $said, "changed grants: 3\n", 'says how many';
    is sql(
        "SELECT has_function_privilege('await_edge', 'await.cancel(uuid)', 'EXECUTE'),
                has_function_privilege('await_worker', 'await.purge_queues()', 'EXECUTE')"
        ),
        't|f', 'as sql/grants.sql has it';
};

subtest 'roles that are created late get their rights at the next migrate' => sub {
    create('late');
    sql("ALTER ROLE $_ RENAME TO hidden_$_") for qw(await_edge await_worker await_relay await_console);
    my ($status, $said) = ctl('late', 'migrate');
    is $status, 0, 'without the roles';
    like $said, qr/there is no role await_edge, await_worker, await_relay, await_console.*may not create roles/s,
        'it warns';
    sql('CREATE ROLE await_edge');
    ($status, $said) = ctl('late', 'migrate');
    like $said, qr/^changed grants: \d+\n.*there is no role await_worker, await_relay, await_console,/s,
        'with one of them';
    is $s->sql(
        "SELECT has_function_privilege('await_edge', 'await.edge_tail(pg_snapshot, int)', 'EXECUTE')
                AND has_schema_privilege('await_edge', 'await', 'USAGE')",
        'late'
        ),
        't', 'it has its rights';
    $s->sql('DROP OWNED BY await_edge', 'late');
    sql('DROP ROLE await_edge');
    sql("ALTER ROLE hidden_$_ RENAME TO $_") for qw(await_edge await_worker await_relay await_console);
};

subtest 'migrate --check' => sub {
    create('checked');
    my ($status, $said) = ctl('checked', 'migrate --check');
    is $status, 1, 'an empty database';
    like $said, qr/^not[ ]up[ ]to[ ]date:[ ].*[ ]has[ ]schema[ ]0,[ ]functions[ ]none;[ ].*[ ]has[ ]schema[ ]\d+,
            [ ]functions[ ]\w+\n.*run[ ]"await-ctl[ ]migrate"/x, 'is told';
    is $s->sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'await'", 'checked'), 0, 'and nothing is done';
    is((ctl('checked', 'migrate'))[0], 0, 'migrated');
    ($status, $said) = ctl('checked', 'migrate --check');
    is $status, 0, 'then there is nothing to do';
    like $said, qr/^up to date: schema \d+, functions \w+\n\z/, 'it says so';
    ($status, $said) = ctl('checked', 'migrate --chekc');
    isnt $status, 0, 'a misspelt switch is no conninfo';
};

subtest 'changed functions are applied, and what a file replaces is dropped' => sub {
    my $sql = copy_of_sql();
    $s->sql('SET ROLE await; CREATE FUNCTION await.sign(text, int) RETURNS text LANGUAGE sql AS $$ SELECT $1 $$',
        'checked');
    append("$sql/functions/internal/sign.sql", "-- replaces: await.sign(text, int)\n");
    my ($status, $said) = ctl('checked', 'migrate', sql => $sql);
    is $status, 0, 'migrated';
    like $said, qr/^applied functions (\w+) \(@{[ scalar @functions ]} files\)\n\z/, 'it says what it did';
    is $s->sql(
        "SELECT count(*) FROM pg_proc WHERE proname = 'sign' AND pronamespace = 'await'::regnamespace", 'checked'
        ),
        1, 'one is gone';
    is((ctl('checked', 'migrate', sql => $sql))[1] =~ /^already up to date/ ? 1 : 0, 1, 'once');
    like((ctl('checked', 'migrate'))[1], qr/^applied functions/, 'and the release before can be put back');
};

subtest 'a next schema file, while rows are there: all or nothing' => sub {
    my $id = $s->sql("SELECT await.submit('q', 'x')", 'checked');
    my $sql = copy_of_sql();
    Await::Stack::write_file(sprintf("$sql/schema/%04d_next.sql", my $next = $newest + 1),
        "ALTER TABLE await.limits ADD next int NOT NULL DEFAULT 7;\n");
    my $emit = slurp("$sql/functions/worker/emit.sql");
    append("$sql/functions/worker/emit.sql", "SELECT 1 / 0;\n");
    my $before = dump_schema($s, 'checked');
    my ($status, $said) = ctl('checked', 'migrate', sql => $sql);
    isnt $status, 0, 'a file that fails';
    like $said, qr/division by zero/, 'says why';
    ok dump_schema($s, 'checked') eq $before, 'and nothing was done';
    Await::Stack::write_file("$sql/functions/worker/emit.sql", $emit);
    ($status, $said) = ctl('checked', 'migrate', sql => $sql);
    is $status, 0, 'mended';
    like $said, qr/^applied schema $next: \d+_next\napplied functions/, 'both are applied';
    is $s->sql(
        "SELECT next, (SELECT id FROM await.claim(ARRAY['q'], 'w', 1)),
                (SELECT schema_version FROM await.edge_hello('{}', '{}')) FROM await.limits",
        'checked'
        ),
        "7|$id|$next", 'the rows are there';
    ($status, $said) = ctl('checked', 'migrate');
    isnt $status, 0, 'the await-ctl of before';
    like $said, qr/the database has schema $next, this await-ctl knows schema $needed: .*Nothing was done/,
        'refuses what it does not know';
    isnt((ctl('checked', 'migrate --check'))[0], 0, 'so does --check');
};

subtest 'failures are loud' => sub {
    create('loud');
    my @cases = (
        [ 'no schema', sub { system 'rm', '-r', "$_[0]/schema" }, qr/the schema is not in/ ],
        [ 'an empty schema', sub { unlink glob "$_[0]/schema/*" }, qr/there is no file in .*schema/ ],
        [ 'no function', sub { unlink glob "$_[0]/functions/*/*" }, qr/there is no file in .*functions/ ],
        [ 'no grants', sub { unlink "$_[0]/grants.sql" }, qr/grants\.sql is missing, empty or cannot be read/ ],
        [
            'an empty file',
            sub { Await::Stack::write_file("$_[0]/functions/edge/edge_tail.sql", '') },
            qr/edge_tail\.sql is missing, empty or cannot be read/
        ],
        [
            'what is no file',
            sub { unlink "$_[0]/functions/worker/fail.sql"; mkdir "$_[0]/functions/worker/fail.sql" },
            qr/fail\.sql is missing, empty or cannot be read/
        ],
        [
            'a gap in the numbers',
            sub { Await::Stack::write_file("$_[0]/schema/0099_later.sql", "SELECT 1;\n") },
            qr/0099_later\.sql where number \d+ is due/
        ],
    );
    for my $case (@cases) {
        my ($name, $spoil, $why) = @$case;
        my $sql = copy_of_sql();
        $spoil->($sql);
        my ($status, $said) = ctl('loud', 'migrate', sql => $sql);
        isnt $status, 0, $name;
        like $said, qr/$why.*Nothing was done/s, "$name: it says so";
    }
    mkdir "$dir/bin";
    symlink -x "/bin/$_" ? "/bin/$_" : "/usr/bin/$_", "$dir/bin/$_" for qw(sh dirname readlink awk);
    my ($status, $said) = ctl('loud', 'migrate', path => "$dir/bin");
    isnt $status, 0, 'no psql';
    like $said, qr/psql is missing/, 'no psql: it says so';
    ($status) = ctl('nowhere', 'migrate');
    isnt $status, 0, 'no database';
    is $s->sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'await'", 'loud'), 0,
        'and nothing was done by any of them';
};

subtest 'two at once' => sub {
    create('twice');
    my @pids = map {
        my $n = $_;
        my $pid = fork // die;
        if (!$pid) {
            my ($status, $said) = ctl('twice', 'migrate');
            Await::Stack::write_file("$dir/twice.$n", "$status $said");
            require POSIX;
            POSIX::_exit(0);
        }
        $pid;
    } 1 .. 2;
    waitpid $_, 0 for @pids;
    my @said = sort map { slurp("$dir/twice.$_") } 1 .. 2;
    like $said[0], qr/^0 already up to date/, 'one has nothing to do';
    like $said[1], qr/^0 applied schema 1: /, 'the other did it';
};

# await-ctl as another login of a database.
sub ctl_as {
    my ($role, $database, $command) = @_;
    local $ENV{AWAIT_POSTGRES} = $s->place($role) =~ s/dbname=await/dbname=$database/r;
    local $ENV{PGPASSWORD} = $role eq 'admin' ? $s->password('admin') : $role;
    local $ENV{AWAIT_SQL} = "$root/sql";
    my $said = `/bin/sh '$ctl' $command 2>&1`;
    return ($? >> 8, $said);
}
sub login { sql("CREATE ROLE $_ LOGIN PASSWORD '$_'") for @_; return }
sub owners {
    my ($database) = @_;
    return $s->sql(
        "SELECT string_agg(DISTINCT o::regrole::text, ' ') FROM (
            SELECT proowner FROM pg_proc WHERE pronamespace = 'await'::regnamespace UNION
            SELECT relowner FROM pg_class WHERE relnamespace = 'await'::regnamespace UNION
            SELECT nspowner FROM pg_namespace WHERE nspname = 'await') x (o)", $database
    );
}

subtest 'all in the schema has one owner, whoever migrates' => sub {
    login(qw(deputy outsider));
    sql('GRANT await TO deputy');
    create('owned');
    $s->sql('CREATE SCHEMA await AUTHORIZATION await', 'owned');
    my ($status, $said) = ctl_as('deputy', 'owned', 'migrate');
    is $status, 0, 'a member of the owner, who may not create a schema in the database';
    is owners('owned'), 'await', 'all is the owner\'s';
    for my $command ('migrate', 'migrate --check') {
        ($status, $said) = ctl_as('outsider', 'owned', $command);
        isnt $status, 0, "somebody else: $command";
        like $said, qr/the schema await belongs to "await".*Nothing was done.*run await-ctl as "await"/s,
            'is told who may';
    }
    for my $command ('migrate', 'migrate --check', 'status', 'purge', 'rotate') {
        ($status, $said) = ctl_as('admin', 'owned', $command);
        isnt $status, 0, "a superuser: $command";
        like $said, qr/the schema await belongs to "await".*superuser "admin".*run await-ctl as "await"/s,
            'is told who may';
    }
    is owners('owned'), 'await', 'all is the owner\'s still';
    create('super');
    ($status, $said) = ctl_as('admin', 'super', 'migrate');
    is $status, 0, 'a superuser in an empty database';
    like $said, qr/WARNING: .*"admin", a superuser.*applied schema 1/s, 'is warned';
    create('theirs');
    sql('ALTER ROLE await_relay CREATEROLE');
    like((ctl('owned', 'migrate'))[1], qr/WARNING: .*may do more .*: await_relay;/, 'a role with odd powers is told');
    sql("ALTER ROLE await_relay NOCREATEROLE; ALTER ROLE await_edge LOGIN PASSWORD 'await_edge';
        GRANT CREATE ON DATABASE theirs TO await_edge");
    like((ctl_as('await_edge', 'theirs', 'migrate'))[1], qr/"await_edge" .*cannot own the schema\. Nothing was done/,
        'await_edge cannot be the owner');
    sql('ALTER ROLE await_edge NOLOGIN; REVOKE CREATE ON DATABASE theirs FROM await_edge');
    ($status, $said) = ctl_as('outsider', 'theirs', 'migrate');
    like $said,
        qr/"outsider" may not create the schema await.*Nothing was done.*CREATE SCHEMA await AUTHORIZATION outsider/s,
        'is told what a DBA does';
};

subtest 'code that others planted does not run' => sub {
    create('planted');
    $s->sql('GRANT CREATE ON DATABASE planted TO outsider; CREATE TABLE public.ran (by text);
        GRANT INSERT ON public.ran TO PUBLIC', 'planted');
    my $as_outsider = 'SET ROLE outsider; CREATE SCHEMA await; CREATE FUNCTION await.f() RETURNS int LANGUAGE sql AS
        $$ INSERT INTO public.ran VALUES (session_user); SELECT 1 $$;
        CREATE FUNCTION await.purge() RETURNS int LANGUAGE sql AS $$ SELECT await.f() $$;';
    $s->sql(
        "$as_outsider CREATE VIEW await.schema_history AS
            SELECT await.f() AS version, 'x'::text AS name, now() AS applied_at;
        CREATE VIEW await.function_set AS SELECT 'x' || await.f() AS hash, now() AS applied_at", 'planted'
    );
    for my $command ('migrate', 'migrate --check', 'status', 'purge', 'rotate', 'grant outsider q') {
        isnt((ctl_as('admin', 'planted', $command))[0], 0, "superuser, their schema: $command");
    }
    $s->sql('ALTER SCHEMA await OWNER TO await', 'planted');
    for my $command ('migrate', 'migrate --check', 'status', 'purge', 'rotate') {
        my ($status, $said) = ctl('planted', $command);
        like "$status $said", qr/^[1-9].*not all that is in it: await\.f\(\) \(of "outsider"\)/, "named: $command";
    }
    $s->sql(
        'ALTER FUNCTION await.f() OWNER TO await; ALTER FUNCTION await.purge() OWNER TO await;
        ALTER VIEW await.function_set OWNER TO await; ALTER VIEW await.schema_history OWNER TO await', 'planted'
    );
    like(
        (ctl('planted', 'migrate'))[1],
        qr/await\.schema_history.* is not a plain table.*Nothing was done/,
        'a view for a table'
    );
    is $s->sql('SELECT count(*) FROM public.ran', 'planted'), 0, 'nothing ran';
    $s->sql("CREATE FUNCTION public.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        ALTER FUNCTION public.t() OWNER TO outsider;
        CREATE TRIGGER t AFTER UPDATE ON await.limits EXECUTE FUNCTION public.t()", 'owned');
    like((ctl('owned', 'migrate'))[1], qr/await\.limits is not a plain table/, 'nor would a trigger of theirs');
};

subtest 'objects of other schemas are not called' => sub {
    create('paths');
    $s->sql(
        q{CREATE TABLE public.ran (by text); GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC;
        CREATE FUNCTION public.f(jsonb, name) RETURNS jsonb LANGUAGE sql AS $$
            INSERT INTO public.ran VALUES ('f'); SELECT $1 -> $2::text $$;
        CREATE OPERATOR public.-> (LEFTARG = jsonb, RIGHTARG = name, FUNCTION = public.f);
        CREATE FUNCTION public.g(jsonb, name) RETURNS boolean LANGUAGE sql AS $$
            INSERT INTO public.ran VALUES ('g'); SELECT $1 ? $2::text $$;
        CREATE OPERATOR public.? (LEFTARG = jsonb, RIGHTARG = name, FUNCTION = public.g);
        GRANT INSERT, SELECT ON public.ran TO PUBLIC;
        ALTER DATABASE paths SET search_path = public, pg_catalog}, 'paths'
    );
    is((ctl('paths', $_))[0], 0, $_) for 'migrate', 'migrate --check', 'status', 'purge';
    is $s->sql('SELECT count(*) FROM public.ran', 'paths'), 0, 'whatever the search path of the database';
};

subtest 'default privileges open nothing' => sub {
    create('defaults');
    sql('CREATE ROLE reader');
    $s->sql("ALTER DEFAULT PRIVILEGES FOR ROLE await GRANT ALL ON $_ TO PUBLIC, reader", 'defaults')
        for qw(TABLES SEQUENCES FUNCTIONS TYPES SCHEMAS);
    my ($status, $said) = ctl('defaults', 'migrate');
    is $status, 0, 'migrate';
    like $said, qr/took away rights .*from: PUBLIC, reader\n/, 'says whose rights it took away';
    my $foreign = "SELECT string_agg(what, ' ') FROM (
        SELECT c.relname, a.grantee, c.relowner FROM pg_class c, aclexplode(c.relacl) a
            WHERE c.relnamespace = 'await'::regnamespace UNION ALL
        SELECT p.proname, a.grantee, p.proowner FROM pg_proc p, aclexplode(p.proacl) a
            WHERE p.pronamespace = 'await'::regnamespace UNION ALL
        SELECT t.typname, a.grantee, t.typowner FROM pg_type t, aclexplode(t.typacl) a
            WHERE t.typnamespace = 'await'::regnamespace AND a.grantee <> 0 UNION ALL
        SELECT nspname, a.grantee, nspowner FROM pg_namespace n, aclexplode(n.nspacl) a
            WHERE n.nspname = 'await') x (what, who, owner)
        WHERE who <> owner AND who::regrole::text !~ '^await_'";
    is $s->sql($foreign, 'defaults'), '', 'nobody else has any';
    like((ctl('defaults', 'migrate'))[1], qr/^already up to date/, 'once');
    my $part =
        $s->sql("SELECT max(relname) FROM pg_class WHERE relname ~ '^job_0_[0-9]+\$' AND relkind = 'r'", 'defaults');
    $s->sql("DROP TABLE await.$part; SELECT await.purge()", 'defaults');
    is $s->sql("SELECT to_regclass('await.$part') IS NOT NULL", 'defaults') . $s->sql($foreign, 'defaults'), 't',
        'nor any in partitions that are made later';
    $s->sql('GRANT CREATE ON SCHEMA await TO reader; GRANT SELECT (key) ON await.secret TO reader', 'defaults');
    like(
        (ctl('defaults', 'migrate --check'))[1],
        qr/^not up to date: .*took away rights .*from: reader/,
        '--check tells it'
    );
    is((ctl('defaults', 'migrate'))[0] . $s->sql($foreign, 'defaults'), '0', 'migrate takes it away');
    $s->sql('DROP OWNED BY reader', 'defaults');
};

subtest 'functions that were changed, dropped or removed from the files' => sub {
    create('healed');
    my $sql = copy_of_sql();
    Await::Stack::write_file("$sql/functions/internal/extra.sql",
        "CREATE OR REPLACE FUNCTION await.extra() RETURNS int LANGUAGE sql AS 'SELECT 1';\n");
    is((ctl('healed', 'migrate', sql => $sql))[0], 0, 'migrated');
    my $before = dump_schema($s, 'healed');
    for my $harm (
        'DROP FUNCTION await.claim',
        'DROP FUNCTION await.base64url',
        q{CREATE OR REPLACE FUNCTION await.extra() RETURNS int LANGUAGE sql AS 'SELECT 2'},
        'ALTER FUNCTION await.purge() RESET ALL'
        )
    {
        $s->sql("SET ROLE await; $harm", 'healed');
        my ($status, $said) = ctl('healed', 'migrate --check', sql => $sql);
        is $status, 1, "$harm: --check";
        like $said, qr/but: functions were changed or dropped by hand\n/, 'says why';
        like((ctl('healed', 'migrate', sql => $sql))[1], qr/^applied functions/, 'migrate applies them');
        ok dump_schema($s, 'healed') eq $before, 'all is as before';
    }
    my ($status, $said) = ctl('healed', 'migrate');
    like $said, qr/^applied functions .*\ndropped await\.extra\(\), which is not in these files\n/,
        'drops it, and says so';
    is $s->sql("SELECT to_regproc('await.extra') IS NULL", 'healed'), 't', 'it is gone';
    like((ctl('healed', 'migrate'))[1], qr/^already up to date/, 'once');
};

subtest 'what cannot be right is refused' => sub {
    for my $words ("migrate '' --check", 'migrate dbname=x --check', 'migrate a b', 'look', 'status a b', 'roles x') {
        my ($status, $said) = ctl('loud', $words);
        is $status, 64, $words;
        like $said, qr/^usage: await-ctl (?:migrate|status|roles) |"look" is no command; /, 'it says how it is called';
    }
    my $sql = copy_of_sql();
    Await::Stack::write_file("$dir/fake/find", "#!/bin/sh\n/usr/bin/find \"\$@\" | head -n 5\nexit 1\n", 0755)
        if mkdir "$dir/fake";
    my ($status, $said) = ctl('loud', 'migrate', path => "$dir/fake:$ENV{PATH}");
    is $status, 66, 'a directory that can be read by half';
    like $said, qr/cannot read all of .*functions\. Nothing was done/, 'it says so';
    append("$sql/functions/internal/sign.sql", "-- replaces: sign(text, int)\n");
    ($status, $said) = ctl('loud', 'migrate', sql => $sql);
    is $status, 66, 'a line "replaces" that names no function of ours';
    like $said, qr/"-- replaces: sign\(text, int\)" is not .*Nothing was done/, 'it says which';
    for my $command ('status', 'purge', 'rotate', 'grant await q') {
        ($status, $said) = ctl('loud', $command);
        isnt $status, 0, "no schema: $command";
        like $said, qr/the database "loud" has no schema "await"; run "await-ctl migrate"/, 'what to do';
    }
    Await::Stack::write_file("$dir/conninfo", "dbname=a\ndbname=b\n");
    ($status, $said) = ctl('loud', "status \@$dir/conninfo");
    is $status, 64, 'a file of two lines';
    like $said, qr/must have one line/, 'it says so';
    sql("CREATE DATABASE latin OWNER await ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", 'postgres');
    ($status, $said) = ctl('latin', 'migrate');
    isnt $status, 0, 'another encoding';
    like $said, qr/the encoding of database "latin" is LATIN1: .*UTF8\. Nothing was done/, 'it says which';
    my $broken = copy_of_sql();
    append("$broken/schema/0001_baseline.sql", "SELECT 1 / 0;\n");
    isnt((ctl('loud', 'migrate', sql => $broken))[0], 0, 'a first migrate that fails');
    is $s->sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'await'", 'loud'), 0, 'has done nothing';
};

subtest 'the edge says once that schema and module do not fit, and goes on' => sub {
    my $lines = sub { return scalar(() = error_log() =~ /schema version \d/g) };
    my $reload = sub {    # one that is left of before would say it for itself when it connects anew
        my @before = worker_pids();
        kill 'HUP', $s->pid('nginx');
        ok until_true('reloaded', sub { !grep { kill 0, $_ } @before }), 'the nginx workers of before are gone';
    };
    my $serves = sub {
        my ($why) = @_;
        my $statuses = sub { map { (eval { post('/jobs', 'x') } // { status => 0 })->{status} } 1 .. 20 };
        ok until_true('served', sub { !grep { $_ != 202 } $statuses->() }), $why;
    };
    $serves->('they fit');
    is $lines->(), 0, 'not a word';
    sql('INSERT INTO await.schema_history VALUES (' . ($needed + 1) . ", 'next')");
    $reload->();
    ok until_true('told', $lines), 'a newer schema';
    like error_log(), qr/schema version @{[ $needed + 1 ]} is newer than this module's $needed; .*upgrade nginx-await/,
        'both numbers, and what to do';
    $serves->('an older edge goes on');
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'edge'");
    $serves->('connected anew');
    is $lines->(), 1, 'one line, by two nginx workers and after a reconnect';
    sql('DELETE FROM await.schema_history');
    $reload->();
    ok until_true('told', sub { $lines->() > 1 }), 'an older schema';
    like error_log(), qr/schema version 0, this module needs $needed; run "await-ctl migrate"/,
        'both numbers, and what to do';
};
finish();
