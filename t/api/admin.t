# SPDX-License-Identifier: Apache-2.0
# The admin page, as programs use it: who gets there, and from where; jobs, users, sessions and webhooks; what is
# logged of it. t/browser/admin.t looks at it as people do.
use Mojo::Base -strict, -signatures;

use Digest::SHA qw(sha1_base64);
use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Events;
use Gemclone::Paths qw(secret_file temp_dir write_file);
use Gemclone::Raw;
use Gemclone::Shop;
use Gemclone::Token;
use Mojo::File qw(path);
use Mojo::Util qw(b64_encode url_escape);
use Test::More;
use Time::HiRes qw(sleep);

plan tests => 19;

# What is asked here is not in openapi.json, which describes the API alone.
delete $ENV{GEMCLONE_JOURNAL};

my $dir = temp_dir;
chmod 0755, "$dir";
my $users = write_file("$dir/users", 'ada:{SHA}' . sha1_base64('a secret') . "=\n");
chmod 0644, $users;
mkdir "$dir/files";
write_file("$dir/files/.htaccess", "SetHandler gemclone-admin\nRequire ip 127.0.0.1\n");
write_file("$dir/files/hello.txt", "hello\n");

my @BASIC = ('AuthType Basic', 'AuthName admins', 'AuthBasicProvider file', "AuthUserFile $users");
sub location ($path, @lines) { return (qq{<Location "$path">}, @lines, '</Location>') }
sub admin_at ($path, @lines) { return location($path, 'SetHandler gemclone-admin', @lines) }

my @ADMIN = admin_at('/admin', @BASIC, 'Require valid-user');
my $shop = Gemclone::Shop->start(
    children     => 2,
    more_modules => [qw(authn_core authn_file auth_basic authz_user access_compat alias mime rewrite)],
    directives   => [
        'GemcloneGeminiBackoff 1min', 'GemcloneGeminiFallback none', 'GemcloneQuota basic 40', 'GemcloneCORSOrigin *', 'TypesConfig /dev/null', @ADMIN,
        admin_at('/by/address/', 'Require ip 127.0.0.1'),
        admin_at('/not/here', 'Require ip 192.0.2.1'),
        # None of these keeps anybody out.
        admin_at('/open/all', 'Require all granted'),
        admin_at('/open/none'),
        admin_at('/open/any', '<RequireAny>', 'Require all granted', 'Require ip 192.0.2.1', '</RequireAny>'),
        admin_at('/open/late', 'Require ip 127.0.0.1'), location('/open/late', 'Require all granted'),
        admin_at('/open/merged', 'Require all granted'), location('/open/merged', 'AuthMerging Or', 'Require ip 127.0.0.1'),
        admin_at('/open/method', '<Limit POST>', 'Require ip 127.0.0.1', '</Limit>'),
        admin_at('/open/limited', 'Require ip 127.0.0.1'),
            location('/open/limited', '<LimitExcept GET POST HEAD>', 'Require all denied', '</LimitExcept>'),
        admin_at('/open/afresh', 'Require ip 127.0.0.1'), location('/open/afresh', 'AuthMerging Off'),
        admin_at('/open/users', 'AuthType Gemclone', 'Require valid-user'),
        admin_at('/open/satisfied', @BASIC, 'Require valid-user', 'Satisfy Any'),
        location('/open/rewritten', 'Require ip 127.0.0.1', 'RewriteEngine On', 'RewriteRule ^ - [H=gemclone-admin]'),
        # As the section before says, this one is guarded.
        location('/ops', 'Require ip 127.0.0.1'), admin_at('/ops/gemclone'),
        location('/files', 'GemcloneEngine Off'), "Alias /files $dir/files",
        "<Directory $dir/files>", 'AllowOverride All', 'Require all granted', '</Directory>',
        # A host that has nothing but the admin page.
        '<VirtualHost *:*>', 'ServerName main.test', '</VirtualHost>',
        '<VirtualHost *:*>', 'ServerName admin.test', location('/', 'GemcloneEngine Off'), @ADMIN, '</VirtualHost>',
    ],
);
my ($stack, $stripe) = ($shop->stack, $shop->stripe);
$stack->log->expect('GEM0403', 'GEM0409', 'GEM0703', qr/AH01618: user eve not found/, qr/AH01617: user ada: authentication failure/,
    qr/AH01614: client used wrong authentication scheme/);
my %host = (children => 1, more_modules => [qw(authn_core authn_file auth_basic authz_user)]);
my $there = $stack->another_host(%host, redis => 0, directives => [$shop->directives, 'GemcloneWorker Off', @ADMIN]);
my $other = $stack->another_host(%host, directives => ['GemcloneSite other', 'GemcloneGeminiBackoff 1min', @ADMIN]);
my $dbh = $stack->dbh;

my %BASIC = (Authorization => 'Basic ' . b64_encode('ada:a secret', ''));

# Asks the admin page, of whatever host, as its admin.
sub ask ($method, $path, $body = undef, %with) {
    my $url = delete $with{url} // $stack->url;
    return Gemclone::Client->new(url => "$url/admin")->request($method => $path, $body, %BASIC, %with);
}
sub get ($path, %with) { return ask(GET => $path, undef, %with) }
sub post ($path, %with) { return ask(POST => $path, {}, %with) }
sub list ($path, %with) { my ($name) = $path =~ m{^/(\w+)}; return @{answer_ok(get($path, %with), 200, "GET $path")->{$name}} }

# That it was done is told in one line of the log, wherever that was.
sub noted ($pattern, $log = $stack->log) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok $log->wait_for(qr/\[gemclone:notice\].*GEM0801: $pattern; by "ada" from 127\.0\.0\.1/), 'the log tells who did it';
    return;
}

sub id ($user) { return $user->user->{id} }
sub used ($user) { return $user->get('/user/me/usage')->json->{usage}{today}{prompts} }
sub job ($id) { return $dbh->selectrow_hashref('SELECT * FROM gemclone.jobs WHERE reply_id = ?', {}, $id) }

# A new user's room with a reply that runs, waits, or has failed, once it does: (user, room, reply). No two prompts are
# alike, for the stand-in counts them by their text.
sub owed ($prompt, $is, $user = $stack->new_user) {
    state $count = 0;
    my $room = $user->room;
    my $reply = $user->send($room, $prompt . ' ' . ++$count)->{reply}{id};
    eventually(sub { $is->(job($reply), $user->get("/message/$room/$reply")->json->{data}) }) or die "'$prompt' is not as it was to be\n";
    return ($user, $room, $reply);
}
sub running ($user = $stack->new_user) { return owed('Slow [[delay=60000]]', sub ($job, $message) { $job && $job->{worker} }, $user) }
sub waiting ($prompt = 'Down [[status=503]] [[times=1]]') {
    return owed($prompt, sub ($job, $message) { $job && !$job->{worker} && $job->{tries} });
}
sub failed ($prompt = 'Bad [[status=400]] [[times=1]]') { return owed($prompt, sub ($job, $message) { $message->{status} eq 'failed' }) }

subtest 'who gets there' => sub {
    my $client = $stack->client;
    for my $case ([{}, 'nobody'], [{Authorization => 'Basic ' . b64_encode('ada:a guess', '')}, 'a wrong password'],
        [{Authorization => 'Basic ' . b64_encode('eve:a secret', '')}, 'a stranger'],
        [{Authorization => 'Bearer ' . $stack->new_user->token}, 'a user of the API']) {
        for my $path ('', '/', '/status', '/jobs', '/assets/admin.js', '/nothing') {
            my $res = $client->get("/admin$path", %{$case->[0]});
            is $res->code, 401, "$case->[1]: $path";
            like $res->headers->www_authenticate, qr/^Basic realm="admins"/, 'is told how to sign in';
            is $res->json->{status}, 401, 'by a problem';
        }
    }
    answer_ok get('/status'), 200, 'an admin';
    problem_ok get('/user/me'), 404, 'the API is not there';
    is $client->get('/user/me', %BASIC)->code, 401, 'an admin is no user';
    answer_ok $client->get('/by/address/status'), 200, 'by address, without a name';
    answer_ok $client->get('/ops/gemclone/status'), 200, 'by what a section around it requires';
    problem_ok $client->get('/not/here/status'), 403, 'from another address';
    $stack->log->expect(qr/AH01630: client denied.*not\/here/);
};

subtest 'what nothing guards is not shown' => sub {
    $stack->log->expect('GEM0802');
    my $client = $stack->client;
    for my $path (qw(all none any late merged method limited afresh satisfied)) {
        problem_ok $client->get("/open/$path/$_"), 403, "$path: $_" for qw(status jobs nothing), '';
        ok $stack->log->wait_for(qr{GEM0802: the admin page is not shown: no Require.*counts}), 'the log tells why';
    }
    problem_ok $stack->new_user->get('/open/users/status'), 403, 'users are no admins';
    ok $stack->log->wait_for(qr/GEM0802: .*AuthType Gemclone lets users in/), 'as the log tells';
    problem_ok $client->get('/open/rewritten/status'), 403, 'a handler that something else has set';
    ok $stack->log->wait_for(qr/GEM0802: .*its handler is not set by a plain SetHandler/), 'as the log tells, too';
    my $before = $stack->log->lines('GEM0802');
    $stack->log->expect(qr/htaccess: SetHandler gemclone-admin belongs into/);
    is $client->get('/files/hello.txt')->code, 500, 'nor can it be put into a directory by an .htaccess file';
    is scalar($stack->log->lines('GEM0802')), $before, 'where it does not even begin';
};

subtest 'a host of its own' => sub {
    my %to = (Host => 'admin.test');
    is answer_ok(get('/status', %to), 200, 'the same page')->{status}{site}, 'default', 'of the same site';
    is $stack->client->get('/healthz', %to)->code, 404, 'and no API';
    is $stack->client->get('/admin/status', %to)->code, 401, 'for admins';
};

my @ROUTES = map { [split] } split /\n/, <<~'ROUTES';
    GET /
    GET /assets/admin.css
    GET /status
    GET /jobs
    POST /jobs/{room}/1/retry
    POST /jobs/{room}/1/drop
    GET /users
    GET /users/{room}
    PATCH /users/{room}
    POST /users/{room}/sessions/end
    DELETE /users/{room}/sessions/{room}
    GET /webhooks
    GET /webhooks/evt_none
    POST /webhooks/evt_none/replay
    ROUTES
my $NOBODY = random_uuid;
$_->[1] =~ s/\{room\}/$NOBODY/g for @ROUTES;

subtest 'routes' => sub {
    my $table = path($INC{'Gemclone/Check.pm'})->dirname->dirname->dirname->dirname->child(qw(mod_gemclone api admin.c))->slurp;
    is scalar(my @lines = $table =~ /^    \{"[A-Z]+",/mg), scalar @ROUTES, 'all of them are here';
    my %methods;
    push @{$methods{$_->[1]}}, $_->[0] for @ROUTES;
    for my $path (sort keys %methods) {
        my @allowed = sort 'OPTIONS', map { $_ eq 'GET' ? ($_, 'HEAD') : $_ } @{$methods{$path}};
        my $allow = sub ($res) { join ' ', sort split /, /, $res->headers->header('Allow') // '' };
        my $options = ask(OPTIONS => $path);
        is $options->code, 204, "OPTIONS $path";
        is $allow->($options), "@allowed", 'tells the methods';
        my %is = map { $_ => 1 } @allowed;
        for my $method (grep { !$is{$_} } qw(GET POST PUT PATCH DELETE)) {
            my $res = ask($method => $path, $method =~ /^P/ ? {} : undef);
            problem_ok $res, 405, "$method $path";
            is $allow->($res), "@allowed", 'likewise';
        }
    }
    problem_ok get($_), 404, "GET $_" for qw(/nothing /jobs/1 /users/1 /users/me /webhooks/a-b /assets/nothing.js /assets/../status/x);
    problem_ok ask($_->[0] => $_->[1], $_->[0] eq 'PATCH' ? {tier => 'pro'} : $_->[0] eq 'POST' ? {} : undef), 404, "@$_: there is none"
        for grep { $_->[1] =~ /$NOBODY|evt_none/ } @ROUTES;
    my $res = get('/status');
    is get('/status', 'If-None-Match' => '"x"')->code, 200, 'other ETags are others';
    like $res->headers->etag, qr/^"/, 'answers have one';
};

subtest 'the page' => sub {
    my $page = get('/', Accept => 'text/html,*/*;q=0.8');
    is $page->code, 200, 'for people';
    like $page->headers->content_type, qr{^text/html}, 'is HTML';
    my $policy = $page->headers->header('Content-Security-Policy');
    like $policy, qr/default-src 'none'; script-src 'self'; style-src 'self'/, 'of which only its own files are run';
    like $policy, qr/frame-ancestors 'none'/, 'in no frame';
    unlike $page->body, qr/<style|style=|<script(?! type="module" src="assets\/)|\son\w+=/, 'and nothing in it';
    answer_ok get('/'), 200, 'for programs: the status';
    like get('/')->headers->vary, qr/Accept/, 'caches know that';
    my $moved = get('?x=1', Accept => 'text/html');
    is $moved->code, 308, 'without its slash';
    is $moved->headers->location, 'admin/?x=1', 'it is elsewhere, relatively';
    for my $file (['admin.css', 'text/css'], ['admin.js', 'text/javascript']) {
        my $res = get("/assets/$file->[0]");
        is $res->code, 200, $file->[0];
        like $res->headers->content_type, qr/^\Q$file->[1]\E/, 'is what it is';
    }
};

subtest 'no page of another site gets anything done' => sub {
    my ($user, $room, $reply) = waiting;
    my $session = Gemclone::Client->new(url => $stack->url)->sign_in($user->user->{mobile_number});
    my $sid = (Gemclone::Token->parts($session->token))[1]{sid};
    my @changes = (["/jobs/$room/$reply/retry"], ["/jobs/$room/$reply/drop"], ["/users/@{[id($user)]}", 'PATCH', {tier => 'pro'}],
        ["/users/@{[id($user)]}/sessions/end"], ["/users/@{[id($user)]}/sessions/$sid", 'DELETE'], ['/webhooks/evt_none/replay']);
    (my $host = $stack->url) =~ s{^http://}{};
    for my $change (@changes) {
        my ($path, $method, $body) = ($change->[0], $change->[1] // 'POST', $change->[2] // {});
        $body = undef if $method eq 'DELETE';
        for my $bad ({'Sec-Fetch-Site' => 'cross-site'}, {'Sec-Fetch-Site' => 'same-site'}, {Origin => 'https://evil.test'},
            {Origin => 'null'}, {Origin => "http://$host.evil.test"}, {Origin => 'http://127.0.0.1:1'},
            {'Sec-Fetch-Site' => 'same-origin', Origin => 'https://evil.test'}, {'Sec-Fetch-Site' => 'cross-site', Origin => "http://$host"}) {
            problem_ok ask($method => $path, $body, %$bad), 403, "$method $path " . join ' ', %$bad;
        }
        next unless $body;
        problem_ok ask($method => $path, 'a=b', 'Content-Type' => $_), 415, "$method $path as " . ($_ // 'nothing')
            for 'application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x', undef;
        problem_ok ask($method => $path, $_->[0], 'Content-Type' => 'application/json'), $_->[1], "$method $path $_->[0]"
            for ['', 400], ['{', 400], ['[]', 422];
    }
    is job($reply)->{tries}, 1, 'nothing was done';
    answer_ok $session->get('/user/me'), 200, 'nobody signed out';
    is $shop->tier($user), 'basic', 'nobody promoted';
    is scalar($stack->log->lines('GEM0801')), 0, 'and the log is empty';
    answer_ok post("/jobs/$room/$reply/retry", 'Sec-Fetch-Site' => 'same-origin', Origin => "http://$host"), 200, 'its own page does';
    is $user->wait_reply($room, $reply)->{status}, 'done', 'and it counts';

    for my $res (get('/status', Origin => 'https://x.test'), get('/nothing', Origin => 'https://x.test'),
        $stack->client->get('/admin/status', Origin => 'https://x.test'), get('/', Accept => 'text/html', Origin => 'https://x.test'),
        ask(OPTIONS => "/jobs/$room/$reply/drop", undef, Origin => 'https://x.test', 'Access-Control-Request-Method' => 'POST'),
        $stack->client->request(OPTIONS => '/admin/jobs', undef, Origin => 'https://x.test', 'Access-Control-Request-Method' => 'POST')) {
        my $headers = $res->headers->to_hash;
        is_deeply [grep {/^Access-Control/i} keys %$headers], [], 'no page of another origin reads ' . $res->code;
        is $headers->{'Cross-Origin-Resource-Policy'}, 'same-origin', 'nor takes it in';
    }
    is $stack->client->get('/healthz', Origin => 'https://x.test')->headers->header('Access-Control-Allow-Origin'), '*',
        'though the API is for all';
};

subtest 'status' => sub {
    my ($user, $room, $reply) = running;
    my $json = answer_ok(get('/status'), 200, 'what goes on')->{status};
    is_deeply [sort keys %$json], [qw(redis replies site time version webhooks workers)], 'the members';
    is_deeply [sort keys %{$json->{replies}}], [qw(due failed_today generating oldest_due_seconds owed)], 'those of replies';
    cmp_ok $json->{replies}{generating}, '>=', 1, 'one is generated';
    like $json->{workers}[0]{worker}, qr/:\d+$/, 'by a process';
    cmp_ok $json->{workers}[0]{replies}, '>=', 1, 'that has it';
    is $json->{redis}, 'ok', 'Redis is there';
    is_deeply [sort keys %{$json->{webhooks}}], [qw(failing waiting)], 'events are counted';
    $json = answer_ok(get('/status', url => $other->url), 200, 'another site')->{status};
    is $json->{site}, 'other', 'has its own';
    is $json->{replies}{owed}, 0, 'where nothing is owed';
    is $json->{webhooks}, undef, 'and nothing sold';
    post("/jobs/$room/$reply/drop");
    $user->wait_reply($room, $reply);
};

subtest 'lists of jobs' => sub {
    my ($user, $room, $reply) = running;
    my $behind = $user->send($room, 'Next')->{reply}{id};
    my ($run) = grep { $_->{id} == $reply } list('/jobs');
    is_deeply [sort keys %$run], [sort qw(id chatroom_id user_id site state created_at tries lost error reason traceparent worker lease_until cancelled)],
        'one that runs';
    is_deeply [@$run{qw(chatroom_id user_id site state tries error)}], [$room, id($user), 'default', 'running', 1, undef], 'whose it is';
    like $run->{worker}, qr/:\d+$/, 'who has it';
    like $run->{$_}, $TIME, $_ for qw(created_at lease_until);
    is_deeply [grep { $_->{id} == $reply } list("/jobs?state=$_")], [], "it is not $_" for qw(waiting failed);

    my (undef, $waits, $late) = waiting;
    my %waiting = map { $_->{id} => $_ } list('/jobs?state=waiting');
    is_deeply [sort keys %{$waiting{$late}}], [sort qw(id chatroom_id user_id site state created_at tries lost error reason traceparent run_at)],
        'one that waits';
    is_deeply [@{$waiting{$late}}{qw(tries error reason)}], [1, 'upstream', 'unavailable'], 'and why';
    like $waiting{$late}{run_at}, $TIME, 'until when';
    is $waiting{$behind}{run_at}, undef, 'and one that waits for another';

    my ($unlucky, $its, $id) = failed('Bad [[status=400]]');
    my ($fail) = list('/jobs?state=failed&limit=1');
    is_deeply [sort keys %$fail], [sort qw(id chatroom_id user_id site state created_at tries lost error reason traceparent failed_at)], 'one that failed';
    is_deeply [@$fail{qw(id chatroom_id user_id error tries)}], [$id, $its, id($unlucky), 'upstream', 1], 'the last one first';
    like $fail->{reason}, qr/^invalid_argument$/, 'in a word';
    unlike get("/jobs?state=$_")->body, qr/Slow|Bad \[|Down|Next/, "no text of anybody's: $_" for qw(running waiting failed);
    is_deeply [list("/jobs?state=$_", url => $other->url)], [], "none of another site's: $_" for qw(running waiting failed);

    problem_ok get("/jobs?$_"), 400, $_ for qw(state=x state= limit=0 limit=101 limit=x cursor=x);
    post("/jobs/$room/$_/drop") for $behind, $reply;
    post("/jobs/$waits/$late/drop");
    $user->wait_reply($room, $reply);
};

subtest 'pages of lists' => sub {
    my @all = map { my @is = failed('Bad [[status=400]]'); $is[2] } 1 .. 5;
    my (@seen, $cursor);
    for (1 .. 10) {
        my $json = answer_ok(get('/jobs?state=failed&limit=2' . ($cursor ? "&cursor=$cursor" : '')), 200, 'a page');
        push @seen, map { $_->{id} } @{$json->{jobs}};
        $cursor = $json->{next_cursor} or last;
    }
    is_deeply [@seen[0 .. 4]], [reverse @all], 'newest first, and each once';
    is scalar(@seen), $dbh->selectrow_array('SELECT count(*) FROM gemclone.failures'), 'to the end';

    my ($user, $room) = running;
    my @behind = map { $user->send($room, "Next $_")->{reply}{id} } 1 .. 5;
    (@seen, $cursor) = ();
    for (1 .. 10) {
        my $json = answer_ok(get('/jobs?state=waiting&limit=2' . ($cursor ? "&cursor=$cursor" : '')), 200, 'a page');
        push @seen, map { $_->{id} } @{$json->{jobs}};
        $cursor = $json->{next_cursor} or last;
    }
    is_deeply \@seen, \@behind, 'those that wait in the order of their turns';
    post("/jobs/$room/$_/drop") for reverse @behind;
    my ($run) = grep { $_->{chatroom_id} eq $room } list('/jobs?limit=100');
    post("/jobs/$room/$run->{id}/drop");
    $user->wait_reply($room, $run->{id});
};

subtest 'a failed reply is tried again' => sub {
    my ($user, $room, $reply) = failed;
    is used($user), 0, 'it was given back';
    my $json = answer_ok(post("/jobs/$room/$reply/retry"), 200, 'by an admin');
    is_deeply $json->{job}, {id => $reply, chatroom_id => $room, status => 'pending'}, 'it is owed again';
    noted("reply $reply of chatroom $room: had failed, is tried again");
    my $message = $user->wait_reply($room, $reply);
    is $message->{status}, 'done', 'and comes';
    like $message->{content}, qr/^You said: Bad/, 'with its text';
    is $message->{error}, undef, 'nothing is left of the failure';
    is used($user), 1, 'and it is paid for';
    is_deeply [grep { $_->{id} == $reply } list('/jobs?state=failed')], [], 'not for an admin either';
    problem_ok post("/jobs/$room/$reply/retry"), 409, 'once';

    ($user, $room, $reply) = failed('Bad [[status=400]]');
    my @events = Gemclone::Events->of_reply($user, $room, $reply)->rest;
    my $last = $events[-1]{id};
    post("/jobs/$room/$reply/retry");
    ok eventually(sub { $user->get("/message/$room/$reply")->json->{data}{status} eq 'failed' }), 'one that fails again';
    is used($user), 0, 'is given back again';
    is scalar(grep { $_->{id} == $reply } list('/jobs?state=failed')), 1, 'and is listed again';
    my @again = Gemclone::Events->of_reply($user, $room, $reply)->rest;
    isnt $again[-1]{id}, $last, 'whoever has the first end learns of the second: fences go on';

    ($user, $room, $reply) = failed('Blocked [[finish=SAFETY]] [[times=1]]');
    my $paid = used($user);
    post("/jobs/$room/$reply/retry");
    $user->wait_reply($room, $reply);
    is_deeply [$paid, used($user)], [1, 1], 'what was not given back is not charged twice';

    ($user, $room, $reply) = failed;
    $user->ask($room, 'Never mind');
    problem_ok post("/jobs/$room/$reply/retry"), 409, 'not where the chat has gone on';
    ($user, $room, $reply) = failed;
    my $new = $user->post("/message/$room/$reply/regenerate", '')->json->{reply}{id};
    $user->wait_reply($room, $new);
    problem_ok post("/jobs/$room/$reply/retry"), 409, 'nor where another reply has its place';
    ($user, $room, $reply) = failed;
    problem_ok post("/jobs/$room/$reply/retry", url => $other->url), 404, 'nor by another site';
    problem_ok post("/jobs/$room/@{[$reply - 1]}/retry"), 404, 'nor a prompt';
    answer_ok post("/jobs/$room/$reply/retry", url => $there->url), 200, 'but on any host of the same';
    is $user->wait_reply($room, $reply)->{status}, 'done', 'and it comes';
};

subtest 'a waiting reply is tried at once' => sub {
    my ($user, $room, $reply) = waiting;
    cmp_ok $dbh->selectrow_array('SELECT extract(epoch FROM due_at - now()) FROM gemclone.jobs WHERE reply_id = ?', {}, $reply), '>', 10,
        'it would have been a while';
    problem_ok post("/jobs/$room/$reply/retry", url => $other->url), 404, 'another site has no such job';
    answer_ok post("/jobs/$room/$reply/retry"), 200, 'an admin has it due';
    noted("reply $reply of chatroom $room: is tried again now");
    is $user->wait_reply($room, $reply)->{status}, 'done', 'and it comes';
    is used($user), 1, 'paid for once';

    ($user, $room, $reply) = running;
    my $behind = $user->send($room, 'Next')->{reply}{id};
    problem_ok post("/jobs/$room/$_->[0]/retry"), 409, $_->[1] for [$reply, 'not one that runs'], [$behind, 'nor one behind it'];
    post("/jobs/$room/$reply/drop");
    $user->wait_reply($room, $behind);
};

subtest 'a waiting reply is dropped' => sub {
    my ($user, $room, $reply) = waiting('Down [[status=503]]');
    my $next = $user->send($room, 'Next')->{reply}{id};
    my $reader = Gemclone::Events->of_reply($user, $room, $reply);
    is used($user), 2, 'two are charged';
    problem_ok post("/jobs/$room/$reply/drop", url => $other->url), 404, 'another site has no such job';
    is answer_ok(post("/jobs/$room/$reply/drop"), 200, 'by an admin')->{job}{status}, 'cancelled', 'it has ended';
    noted("reply $reply of chatroom $room: dropped");
    my @events = $reader->rest(10);
    is $events[-1]{data}{status}, 'cancelled', 'who reads along is told';
    is $user->wait_reply($room, $next)->{status}, 'done', 'the next one has its turn';
    is used($user), 1, 'the prompt was given back';
    problem_ok post("/jobs/$room/$reply/drop"), 409, 'once';
    problem_ok post("/jobs/$room/@{[$reply - 1]}/drop"), 404, 'a prompt is no reply';
};

subtest 'a running reply is dropped' => sub {
    for my $case (['here', $stack->url, $stack->log], ['by another host, without Redis', $there->url, undef]) {
        my ($user, $room, $reply) = running;
        my $reader = Gemclone::Events->of_reply($user, $room, $reply);
        problem_ok post("/jobs/$room/$reply/drop", url => $other->url), 404, 'not by another site';
        is answer_ok(post("/jobs/$room/$reply/drop", url => $case->[1]), 202, $case->[0])->{job}{status}, 'generating', 'it is told';
        my @events = $reader->rest(10);
        is $events[-1]{data}{status}, 'cancelled', 'and stops';
        is $user->wait_reply($room, $reply, 10)->{status}, 'cancelled', 'for good';
        is used($user), 0, 'the prompt was given back';
        noted("reply $reply of chatroom $room: dropped", $case->[2]) if $case->[2];
    }
    my ($user, $room, $reply) = running;
    $user->post("/message/$room/$reply/cancel", '');
    $user->wait_reply($room, $reply, 10);
    is used($user), 1, 'one that its user cancels is not given back';
};

subtest 'users' => sub {
    my $user = $stack->new_user(number => '+15550100123', name => 'Ada');
    my $room = $user->room;
    $user->ask($room, 'Hello');
    for my $number ('+15550100123', '5550100123', '(555) 010-0123', '+1 555 010 0123') {
        my ($found) = list('/users?number=' . url_escape $number);
        is $found->{id}, id($user), "found by $number";
    }
    is_deeply [list('/users?number=+15550100123')], [list('/users?number=%2B15550100123')], 'a + may stand as it is';
    is_deeply [list("/users?number=$_")], [], "not by $_" for qw(5550100124 555010012 0100123);
    problem_ok get("/users$_"), 400, "/users$_" for '', '?number=', '?number=x', '?number=555*', '?name=Ada';
    my $json = answer_ok(get('/users/' . id($user)), 200, 'all of it');
    is_deeply [sort keys %$json], [qw(message sessions subscription usage user)], 'the members';
    is_deeply [sort keys %{$json->{user}}],
        [sort qw(id mobile_number name tier set_tier created_at has_password chatrooms messages replies_owed)], 'those of the user';
    is_deeply [@{$json->{user}}{qw(name tier set_tier chatrooms messages replies_owed)}], ['Ada', 'basic', 'basic', 1, 2, 0], 'and what they are';
    is_deeply [@{$json->{usage}}{qw(limit remaining)}, $json->{usage}{today}{prompts}], [40, 39, 1], 'usage';
    is $json->{subscription}{tier}, 'basic', 'subscription';
    is_deeply [map { [sort keys %$_] } @{$json->{sessions}}], [[qw(client created_at expires_at id used_at)]], 'sessions';
    unlike get('/users/' . id($user))->body, qr/Hello|\bhash\b|argon2/, 'no text, no secret';
    my $log = join '', map { path($stack->apache->$_)->slurp } qw(access_log error_log);
    unlike $log, qr/5550100123|010-0123/, 'no number is logged';
    like $log, qr{GET /admin/users\?number=- }, 'but that one was looked for';
};

subtest 'a tier' => sub {
    my $user = $stack->new_user;
    my $here = sub ($url) { Gemclone::Client->new(url => $url, token => $user->token)->get('/user/me')->json->{user}{tier} };
    is $here->($_), 'basic', 'a user is basic' for ($stack->url) x 4, $other->url;
    my $path = '/users/' . id($user);
    my $json = answer_ok(ask(PATCH => $path, {tier => 'pro'}), 200, 'is set');
    is_deeply [@{$json->{user}}{qw(tier set_tier)}, $json->{usage}{limit}], ['pro', 'pro', undef], 'and told';
    noted("user @{[id($user)]}: tier set to pro");
    is $here->($_), 'pro', 'every process knows' for ($stack->url) x 8;
    ok eventually(sub { $here->($other->url) eq 'pro' }, 2), 'and every host';
    $dbh->do('UPDATE gemclone.usage SET prompts = 40 WHERE user_id = ?', {}, id($user));
    my $room = $user->room;
    $dbh->do('INSERT INTO gemclone.usage (user_id, day, prompts) VALUES (?, (now() AT TIME ZONE \'UTC\')::date, 40)', {}, id($user));
    is $user->post("/message/$room", {content => 'x'})->code, 201, 'it counts with the next prompt';
    answer_ok ask(PATCH => $path, {tier => 'basic'}), 200, 'and back';
    is $user->post("/message/$room", {content => 'x'})->code, 429, 'likewise';
    problem_ok ask(PATCH => $path, $_), 422, 'no tier', errors => ['/tier'] for {}, {tier => 'gold'}, {tier => undef}, {tier => 1};

    my $paid = $stack->new_user;
    $shop->buy($paid);
    $json = answer_ok(ask(PATCH => '/users/' . id($paid), {tier => 'basic'}), 200, 'of one who has paid');
    is_deeply [@{$json->{user}}{qw(tier set_tier)}, $json->{subscription}{status}], ['pro', 'basic', 'active'], 'what is paid for stays';
};

subtest 'sessions end' => sub {
    my $user = $stack->new_user;
    my ($second, $third) = map { Gemclone::Client->new(url => $stack->url)->sign_in($user->user->{mobile_number}) } 1 .. 2;
    my $works = sub ($client, $url) {
        return scalar grep { Gemclone::Client->new(url => $url, token => $client->token)->get('/user/me')->code == 200 } 1 .. 6;
    };
    my @hosts = ($stack->url, $there->url, $other->url);
    my $sid = (Gemclone::Token->parts($second->token))[1]{sid};
    my $path = '/users/' . id($user) . '/sessions';
    my $stranger = $stack->new_user;
    problem_ok ask(DELETE => '/users/' . id($stranger) . "/sessions/$sid"), 404, 'not another user\'s';
    answer_ok ask(DELETE => "$path/$sid"), 200, 'one of them';
    noted("user @{[id($user)]}: session $sid ended");
    ok eventually(sub { !$works->($second, $_) }, 1.5), 'is refused within a second' for @hosts;
    is $works->($user, $_), 6, 'the others are not' for @hosts;
    problem_ok ask(DELETE => "$path/$sid"), 404, 'once';
    answer_ok post("$path/end"), 200, 'all of them';
    noted("user @{[id($user)]}: all sessions ended");
    for my $client ($user, $third) {
        ok eventually(sub { !$works->($client, $_) }, 1.5), 'are refused as well' for @hosts;
        is $client->post('/auth/refresh', {refresh_token => $client->refresh_token})->code, 401, 'and cannot be refreshed';
    }
    answer_ok $stranger->get('/user/me'), 200, 'nobody else\'s';
    is_deeply answer_ok(get('/users/' . id($user)), 200, 'the user')->{sessions}, [], 'has none left';
};

subtest 'webhooks' => sub {
    $shop->listen(hold => Mojo::JSON->true);
    my $user = $stack->new_user;
    my $paid = $stripe->act($shop->checkout($user) => 'complete');
    $stripe->go_wrong(map { {status => 500, path => '/v1/'} } 1 .. 400);
    $stripe->deliver($paid->{events});
    my $failing;
    ok eventually(sub { ($failing) = list('/webhooks?state=failing') }), 'an event fails';
    is_deeply [sort keys %$failing], [sort qw(id type api_version state received_at tries error worker run_at)], 'the members';
    like $failing->{error}, qr/\w/, 'why';
    is_deeply [@$failing{qw(state worker)}], ['failing', undef], 'nobody has it' if !$failing->{worker};
    is answer_ok(get("/webhooks/$failing->{id}"), 200, 'one of them')->{webhook}{type}, $failing->{type}, 'is told of';
    is scalar(grep { $_->{id} eq $failing->{id} } list('/webhooks?state=done')), 0, 'it is not done';
    $dbh->do(q{UPDATE gemclone.stripe_events SET due_at = now() + interval '1 h' WHERE due_at IS NOT NULL});
    ok eventually(sub { $dbh->do(q{UPDATE gemclone.stripe_events SET due_at = now() + interval '1 h'
        WHERE due_at < now() + interval '50 min'}) == 0 }, 5), 'it would be long';
    $stripe->end_faults;
    is $shop->tier($user), 'basic', 'and the user would wait';
    for my $event (list('/webhooks?state=failing'), list('/webhooks?state=waiting')) {
        my $json = answer_ok(post("/webhooks/$event->{id}/replay"), 200, "$event->{type} is replayed");
        is $json->{webhook}{id}, $event->{id}, 'that one';
        noted("event $event->{id}: worked off again");
    }
    $shop->settle(60);
    is $shop->tier($user), 'pro', 'it is worked off';
    my ($done) = grep { $_->{id} eq $failing->{id} } list('/webhooks?state=done&limit=100');
    is_deeply [sort keys %$done], [sort qw(id type api_version state received_at tries outcome ended_at)], 'the members of one that is done';
    is $done->{outcome}, 'done', 'what became of it';
    answer_ok post("/webhooks/$failing->{id}/replay"), 200, 'one that is done as well';
    $shop->settle;
    unlike get('/webhooks?state=done')->body, qr/cus_|payload/, 'what stands in it is not shown';
    my (@seen, $cursor);
    for (1 .. 50) {
        my $json = answer_ok(get('/webhooks?state=done&limit=2' . ($cursor ? "&cursor=$cursor" : '')), 200, 'a page');
        push @seen, map { $_->{id} } @{$json->{webhooks}};
        $cursor = $json->{next_cursor} or last;
    }
    my %once = map { $_ => 1 } @seen;
    is scalar(keys %once), scalar(@seen), 'pages have each once';
    is_deeply [sort @seen], [sort @{$dbh->selectcol_arrayref('SELECT id FROM gemclone.stripe_events')}], 'and all';
    problem_ok get("/webhooks?$_"), 400, $_ for qw(state=x limit=0 cursor=x);
    $shop->listen;
};

subtest 'without Postgres' => sub {
    $stack->log->expect('GEM0201', 'GEM0202', 'GEM0203', 'GEM0407', 'GEM0405', 'GEM0206', qr/AH00629|AH00633|AH00632|DBD/);
    $stack->postgres->stop;
    problem_ok get($_), 503, "$_ says so" for '/status', '/jobs', '/users/' . random_uuid, '/webhooks';
    is get('/', Accept => 'text/html')->code, 200, 'the page itself is there';
    $stack->postgres->start;
    ok eventually(sub { get('/status')->code == 200 }), 'and back';
};

is scalar($stack->apache->children_pids), 2, 'all of that by the same two children';
