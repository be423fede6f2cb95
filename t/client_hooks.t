# The hooks for React, in StrictMode, and the composable for Vue, in a page that vite builds, against real servers.

use strict;
use warnings;
no warnings 'exec';
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::ClientPage;
use Await::Test;
use File::Copy qw(copy);
use File::Path qw(make_path);
use Test::More;

my $root = $Await::Stack::ROOT;
my $modules = "$root/build/client/node_modules";
system('make', '-s', '-C', $root, 'client-modules') == 0 or die "npm cannot install what client/package.json names\n";
my $browser = start_page();
my $s = stack();
build_page("$s->{dir}/app", "$s->{dir}/built");

# As an application has it: the package and what it uses in node_modules/. For development, so that React's StrictMode
# mounts everything twice.
sub build_page {
    my ($app, $out) = @_;
    make_path("$app/node_modules/nginx-await/dist");
    copy("$root/client/package.json", "$app/node_modules/nginx-await/") or die "package.json: $!\n";
    copy($_, "$app/node_modules/nginx-await/dist/") or die "$_: $!\n" for glob "$root/client/dist/*.js";
    copy("$root/t/client/hooks.$_", "$app/") or die "hooks.$_: $!\n" for qw(html jsx);
    symlink "$modules/$_", "$app/node_modules/$_" for qw(react react-dom vue);
    my $defines = join ', ', '__VUE_OPTIONS_API__: true',
        map { "__VUE_PROD_${_}__: false" } qw(DEVTOOLS HYDRATION_MISMATCH_DETAILS);
    Await::Stack::write_file("$app/vite.config.mjs", <<"JS");
export default { base: '/built/', logLevel: 'warn', define: { $defines },
  build: { outDir: '$out', emptyOutDir: true, rollupOptions: { input: 'hooks.html' }, minify: false } };
JS
    local $ENV{NODE_ENV} = 'development';
    system("cd $app && $modules/.bin/vite build --mode development") == 0 or die "vite cannot build the page\n";
    return;
}

# The texts of all elements that a selector finds.
sub text_of {
    my ($selector) = @_;
    my $all = '[...document.querySelectorAll(arguments[0])]';
    return script("return $all.map((element) => element.textContent.trim()).join('|')", $selector);
}
sub show { my ($name, %props) = @_; return script('page.show(...arguments)', $name, \%props) }
sub finish_job { my ($id) = @_; claim($id); hint($id); complete($id, 'x', hint => 1); return }

visit($s->url . '/built/hooks.html');

subtest 'useSubmit and useJob' => sub {
    show('Submit');
    script('page.submit(new Blob(["hello"])).then((job) => { page.id = job.id; })');
    until_true('it is submitted', sub { script('return page.id ?? null') }, $LONG);
    my $id = script('return page.id');
    eventually('two views show the job', sub { text_of('.job') eq 'pending: 1|pending: 1' }, $LONG)
        or diag text_of('.job');
    is text_of('.upload'), 'idle 5', 'the upload is told';
    finish_job($id);
    eventually('and its end', sub { text_of('.job') eq 'completed: 1 2 3|completed: 1 2 3' }, $LONG)
        or diag text_of('.job');
    is counted('subscribe'), 1, 'by one subscription, in StrictMode';
    is counted('sockets'), 1, 'on one socket';
    is counted('polls'), 0, 'without a poll';
};

subtest 'useJobs; nothing is left when they are taken away' => sub {
    my @ids = map { one_job() } 1 .. 3;
    my $before = counted('subscribe');
    show('Jobs', urls => [ map { "/jobs/$_" } @ids ]);
    until_true('they are watched', sub { counted('subscribe') == $before + 3 }, $LONG);
    finish_job($ids[1]);
    eventually('each has its state',
        sub { text_of('.jobs') =~ /^(?:pending|processing) completed (?:pending|processing)$/ }, $LONG)
        or diag text_of('.jobs');
    show(undef);
    eventually('they are no longer watched', sub { counted('unsubscribe') == 2 }, $LONG) or diag counted('unsubscribe');
    my $renders = counted('renders');
    finish_job($_) for @ids[ 0, 2 ];
    show('Jobs', urls => [ map { "/jobs/$_" } @ids ]);
    eventually('shown again, they have all that has happened',
        sub { text_of('.jobs') eq 'completed completed completed' }, $LONG)
        or diag text_of('.jobs');
    is counted('sockets'), 1, 'all on the same socket';
    show(undef);
};

subtest 'useBatch and useTopic' => sub {
    my $batch = json(post('/jobs/batches', '{"jobs":[{"payload":1}]}', 'Content-Type' => 'application/json'));
    show('Batch', url => $batch->{links}{self});
    eventually('the batch is shown', sub { text_of('.batch') eq 'pending' }, $LONG);
    finish_job($batch->{jobs}[0]{id});
    eventually('and that it is ready', sub { text_of('.batch') eq 'completed' }, $LONG) or diag text_of('.batch');
    post('/news', '{"n":1}');
    show('Topic');
    eventually('the latest message of the topic', sub { text_of('.topic') eq '1' }, $LONG);
    post('/news', '{"n":2}');
    eventually('and what follows', sub { text_of('.topic') eq '1 2' }, $LONG) or diag text_of('.topic');
    show(undef);
};

subtest 'useWorkflowEvents' => sub {
    my $run = one_job('/api/v1/runs?username=ann');
    my $sockets = counted('sockets');
    show('Run', id => $run);
    my $opened = sub { return counted('sockets') == $sockets + 1 };
    until_true('the socket of the user is open', sub { $opened->() && metric('await_sockets') == 2 }, $LONG);
    claim($run);
    hint($run);
    emit($run, node_started => { node_id => 'fetch' });
    eventually('an event is shown', sub { text_of('.run') eq 'running: fetch' }, $LONG) or diag text_of('.run');
    complete($run, 'x', hint => 1);
    eventually('and the end', sub { text_of('.run') eq 'completed: fetch workflow_completed' }, $LONG)
        or diag text_of('.run');
    my $next = one_job('/api/v1/runs?username=ann');
    show('Run', id => $next);
    claim($next);
    hint($next);
    emit($next, node_started => { node_id => 'parse' });
    eventually('the next run comes by the same socket', sub { text_of('.run') eq 'running: parse' }, $LONG)
        or diag text_of('.run');
    ok $opened->(), 'which has stayed open';
    show(undef);
};

subtest 'Vue' => sub {
    my $id = one_job();
    script('page.unmount = page.vue(arguments[0])', "/jobs/$id");
    eventually('the job is shown', sub { text_of('.vue') eq 'pending: 1' }, $LONG);
    finish_job($id);
    eventually('and its end', sub { text_of('.vue') eq 'completed: 3' }, $LONG) or diag text_of('.vue');
    my $other = one_job();
    my $gone = counted('unsubscribe');
    script('page.unmount(); page.unmount = page.vue(arguments[0])', "/jobs/$other");
    until_true('another one', sub { text_of('.vue') eq 'pending: 1' }, $LONG);
    script('page.unmount()');
    eventually('is no longer watched when it is unmounted', sub { counted('unsubscribe') == $gone + 1 }, $LONG);
};

is_deeply [
    grep { !/Download the React DevTools|development build|favicon/ }
    map { $_->{message} } @{ $browser->call('POST', "$browser->{session}/se/log", { type => 'browser' }) }
    ],
    [], 'the browser complains of nothing';
$browser->quit;
finish();
