# Pages of events, which lead to the next one, and the pages of problem types.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Await::Test;
use JSON::PP;
use Test::More;

start_stack(extra => <<'CONF');
    large_client_header_buffers 4 16k;
    location /problems/ { await_problem; }
    location /docs/ { await_problem_base https://api.example/docs/; await_problem; }
    location = /page { await_events $arg_c default=json; await_allow topic:*; }
    location = /closed { return 404; }
CONF

my @browser = (Accept => 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8');

subtest 'pages of events, and the next one' => sub {
    my $id = one_job();
    my $receipt = claim($id);
    sql("SELECT count(await.emit('$id', test.receipt('$id'), 'n', to_jsonb(i))) FROM generate_series(1, 248) i");
    my $follow = sub {
        my ($path, $most) = @_;
        my (@seqs, @sizes);
        for (1 .. 60) {
            my $r = get($path);
            push @seqs, map { $_->{seq} } @{ json($r)->{events} };
            push @sizes, scalar @{ json($r)->{events} };
            my ($next) = (header($r, 'Link') // '') =~ /^<(\?[^>]+)>; rel="next"$/ or return (\@seqs, \@sizes, $r);
            $path = "/page$next";
        }
        return (\@seqs, \@sizes);
    };
    for my $case ([ '', 100 ], [ '&limit=100', 100 ], [ '&limit=7', 7 ], [ '&limit=1000000', 100 ],
        [ '&x=%3E%22', 100 ])
    {
        my ($args, $most) = @$case;
        my ($seqs, $sizes, $last) = $follow->("/page?c=job:$id$args");
        is_deeply $seqs, [ 1 .. 250 ], "'$args': Link leads through all events, each once";
        cmp_ok((sort { $b <=> $a } @$sizes)[0], '<=', $most, "'$args': none has more");
        ok !json($last)->{done}, "'$args': the last is not done, the job goes on";
        is header($last, 'Link'), undef, "'$args': nor has it a next one";
    }
    my ($one) = $follow->("/page?c=job:$id&limit=1");
    is_deeply $one, [ 1 .. 60 ], 'one by one';
    is get("/page?c=job:$id&limit=$_")->{status}, 400, "limit=$_: 400" for '0', '-1', 'abc', '', '1.5', '%31%00';
    my $r = get("/page?c=job:$id&cursor=zzz&ticket=secret&limit=2");
    is json($r)->{reset}, JSON::PP::true, 'a reset';
    is header($r, 'Link'), undef, 'has nothing behind it';
    $r = get("/page?c=job:$id&ticket=secret&wait=1&limit=2");
    unlike header($r, 'Link'), qr/secret|cursor=.*cursor=/, 'Link has no ticket and one cursor';
    like header($r, 'Link'), qr/wait=1&limit=2&cursor=/, 'and the other arguments';
    for my $strange ('%0d%0aSet-Cookie:a', "\"<>\\|^`\xff", 'a' x 7000) {
        like header(get("/page?c=job:$id&limit=1&x=$strange"), 'Link'), qr/^<\?[\x21-\x7e]*>; rel="next"$/,
            'nothing of the arguments ends the link: ' . substr $strange, 0, 10;
    }
    complete($id, 'x', attempt => $receipt);
    my (undef, undef, $end) = $follow->("/page?c=job:$id");
    ok json($end)->{done}, 'done when the job has ended and all is read';
};

subtest 'problem types at their URLs' => sub {
    my $r = get('/problems/');
    my @all = @{ json($r)->{problems} };
    cmp_ok scalar(@all), '>', 20, 'the list has them';
    my $problem = json(get('/jobs/0'));
    ok scalar(grep { $_->{type} eq $problem->{type} } @all), 'that of a problem among them';
    for my $type (@all) {
        my $one = json(get($type->{type}));
        is_deeply $one, $type, "$type->{type} is described there";
        my $page = get($type->{type}, @browser);
        is header($page, 'Content-Type'), 'text/html; charset=utf-8', "$type->{type} is a page for browsers";
        like $page->{body}, qr{<h1>\Q$type->{title}\E</h1>}, "$type->{type} has its title";
    }
    like get('/problems/', @browser)->{body}, qr{<a href="conflict">Conflict</a>}, 'the list links them';
    is get('/problems/nonesuch')->{status}, 404, 'another name: 404';
    is get('/problems/conflict/x')->{status}, 404, 'what is below: 404';
    is request('HEAD', '/problems/conflict')->{status}, 200, 'HEAD';
    is post('/problems/conflict', 'x')->{status}, 404, 'nothing can be posted';
    is json(get('/docs/conflict'))->{type}, 'https://api.example/docs/conflict',
        'a base of another host: its path counts';
    is json(get('/closed'))->{status}, 404, 'error_page works as before';
};

finish();
