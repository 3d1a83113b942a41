# SPDX-License-Identifier: Apache-2.0
# AuthType Gemclone and Require gemclone-tier: files and applications behind the API's tokens and tiers.
use Mojo::Base -strict, -signatures;

use Gemclone::Certificate;
use Gemclone::Check;
use Gemclone::Children;
use Gemclone::Client;
use Gemclone::Paths qw(free_port program secret_file temp_dir write_file);
use Gemclone::Process;
use Gemclone::Shop;
use Gemclone::Token;
use IO::Socket::IP;
use Mojo::File qw(path);
use Mojo::JSON qw(decode_json);
use Test::More;
use Time::HiRes qw(time);

plan tests => 14;

my $dir = temp_dir;
my ($app_port, $tls_port) = (free_port, free_port);
my ($cert, $key) = Gemclone::Certificate->make("$dir");
my $other_key = secret_file("$dir/other.key");
my $TELL = 'Header always set X-Env "expr=%{REMOTE_USER} %{env:GEMCLONE_USER} %{env:GEMCLONE_TIER}"';

sub section ($name, @lines) { return ("<$name>", @lines, '</' . ($name =~ /^(\w+)/)[0] . '>') }

# The API is on everything else.
sub door ($path, @lines) { return section(qq{Location "$path"}, 'GemcloneEngine Off', 'AuthType Gemclone', @lines) }

my @DOORS = (
    door('/users', 'Require valid-user'),
    door('/pro', 'Require gemclone-tier pro'),
    door('/basic', 'authtype "GEMCLONE"', 'Require gemclone-tier basic'),
    door('/both', 'Require gemclone-tier basic pro', $TELL),
    door('/named', 'AuthName "The archive"', 'Require gemclone-tier pro'),
    door('/any', section('RequireAny', q{Require expr "%{HTTP:X-Inside} == 'yes'"}, 'Require gemclone-tier pro')),
    door('/all', section('RequireAll', 'Require valid-user', 'Require not gemclone-tier basic')),
    door('/preflight', section('RequireAny', 'Require method OPTIONS', 'Require gemclone-tier pro')),
    door('/pro/open', 'Require all granted'),
    door('/users/pro', 'AuthMerging And', 'Require gemclone-tier pro'),
    door('/alone', 'AuthType Basic', 'AuthName x', 'AuthBasicProvider anon', 'Anonymous *', 'Require gemclone-tier pro'),
    door('/page', 'Require gemclone-tier pro', 'ErrorDocument 401 "Please sign in"', 'ErrorDocument 403 "Please pay"'),
    door('/app', 'Require gemclone-tier basic pro', 'RequestHeader set X-User "expr=%{env:GEMCLONE_USER}"',
        'RequestHeader set X-Tier "expr=%{env:GEMCLONE_TIER}"', 'RequestHeader unset Authorization', "ProxyPass http://127.0.0.1:$app_port/"),
    door('/moved', 'Require gemclone-tier basic pro', 'RewriteEngine On', 'RewriteRule "old$" "/moved/hello.txt" [L]', $TELL),
    section('LocationMatch "^/include"', 'SetOutputFilter INCLUDES'),
    section('Location "/include"', 'GemcloneEngine Off', 'Require all granted'),
    section('Directory "/*/*/htdocs"', 'Require all granted', 'DirectoryIndex hello.txt', 'Options Includes FollowSymLinks'),
    # In the API itself: only pro users may send prompts.
    section('Location "/message"', 'AuthType Gemclone', 'Require gemclone-tier pro'),
    'LogFormat "%u %{GEMCLONE_USER}e %{GEMCLONE_TIER}e %U %>s" doors', 'CustomLog doors_log doors',
);
my @COMMON = ('GemcloneQuota basic unlimited', 'GemcloneDatabaseTimeout 1s', 'GemcloneDatabaseWait 1s', 'GemcloneLease 15s');
my @MODULES = qw(authn_core authz_user auth_basic authn_anon proxy proxy_http rewrite dir include ssl http2);

# An application that tells what it was sent.
write_file("$dir/app.pl", <<~'PERL');
    use Mojolicious::Lite;
    any '/*any' => {any => ''} => sub { my $c = shift; $c->render(json => {headers => $c->req->headers->to_hash, body => $c->req->body}) };
    app->log->level('fatal');
    app->start;
    PERL
my $app = Gemclone::Process->start(name => 'app', log => "$dir/app.log",
    command => [$^X, "$dir/app.pl", 'daemon', '-l', "http://127.0.0.1:$app_port"]);
$app->wait_for(sub { IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $app_port) });

my $shop = Gemclone::Shop->start(
    children     => 2,
    more_modules => \@MODULES,
    directives   => [
        @COMMON, @DOORS, Gemclone::Children->DIRECTIVES, "Listen 127.0.0.1:$tls_port", 'SSLSessionCache none',
        section("VirtualHost 127.0.0.1:$tls_port", 'ServerName tls.test', 'SSLEngine on', "SSLCertificateFile $cert",
            "SSLCertificateKeyFile $key", 'Protocols h2 http/1.1')
    ]
);
my $stack = $shop->stack;
# What httpd says of whoever it lets in nowhere, and of a certificate for tests.
$stack->log->expect('unable to include "/pro/hello.txt"', qw(AH01631 AH01882 AH01906 AH01873 AH01909));

my $htdocs = path($stack->dir)->child('htdocs');
write_file($htdocs->child($_)->make_path->child('hello.txt'), "hello\n")
    for qw(users pro preflight basic both named any all pro/open users/pro alone page moved htaccess);
write_file($htdocs->child('htaccess', '.htaccess'), "AuthType gemclone\nRequire gemclone-tier pro\n");
write_file($htdocs->child('include')->make_path->child('x.shtml'), 'a <!--#include virtual="/pro/hello.txt" --> b');

# The same doors on a server that has no API: a host with the main server's settings, and one with a key of its own.
my $without_api = sub ($apache) {
    my $file = $apache->configure;
    return write_file($file, path($file)->slurp =~ s{^<Location "/">.*?^</Location>\n}{}msr);
};
my $FILES = qq{DocumentRoot "$htdocs"};
my @PRO = ('AuthType Gemclone', 'Require gemclone-tier pro');
sub host ($name, @lines) { return section('VirtualHost *:*', "ServerName $name", $FILES, @lines) }
my $bare = $stack->another_host(
    children => 1, redis => 0, writer => $without_api, more_modules => \@MODULES,
    directives => [
        @COMMON, section(qq{Directory "$htdocs"}, 'Require all granted', 'AllowOverride AuthConfig'),
        host('none.test'),
        host('same.test', section('Location "/pro"', @PRO), section('Location "/users"', 'AuthType Gemclone', 'Require valid-user')),
        host('own.test', "GemcloneTokenKey other file:$other_key", 'GemcloneSite own', section('Location "/pro"', @PRO)),
    ]
);

my $bare_log = Gemclone::ErrorLog->of($bare->dir);

my ($basic, $pro) = map { $stack->new_user } 1 .. 2;
$shop->buy($pro);

sub as ($user, $url = $stack->url) { return Gemclone::Client->new(url => $url, token => $user && $user->token) }
sub at ($host, $path, $user) { return as($user, $bare->url)->get($path, Host => $host) }
sub see ($path, $user, %headers) { return as($user)->get($path, %headers) }
sub codes ($path, @users) { return join ' ', map { see($path, $_)->code } @users ? @users : (undef, $basic, $pro) }

# httpd's own answer to whoever may not come in.
sub refused_ok ($res, $status, $challenge, $what) {
    is join(' ', $res->code, $res->headers->www_authenticate // '-'), "$status " . ($challenge // '-'), $what;
    return unlike $res->body, qr/hello/, '... and shows nothing';
}

subtest 'who comes in' => sub {
    is codes('/users/hello.txt'), '401 200 200', 'Require valid-user: whoever has signed in';
    is codes('/pro/hello.txt'), '401 403 200', 'Require gemclone-tier pro';
    is codes('/basic/hello.txt'), '401 200 403', 'basic alone, and names in any case';
    is codes('/both/hello.txt'), '401 200 200', 'one or the other';
    is codes('/all/hello.txt'), '401 403 200', '<RequireAll>';
    is codes('/pro/open/hello.txt'), '200 200 200', 'what is open inside is open';
    is codes('/users/pro/hello.txt'), '401 403 200', 'AuthMerging';
    is codes('/any/hello.txt'), '401 403 200', '<RequireAny>';
    is join(' ', map { see('/any/hello.txt', $_, 'X-Inside' => 'yes')->code } undef, $basic, $pro), '200 200 200',
        'by another of its ways, without a token';
    is see('/pro/hello.txt', $pro)->body, "hello\n", 'what is there is served';
    is codes('/preflight/hello.txt'), '401 403 200', 'whoever asks what others may ask';
    is as(undef)->request(OPTIONS => '/preflight/hello.txt')->code, 200, 'as browsers do without a token';
    is codes('/pro/nothing.txt'), '401 403 404', 'what is not there is nobody\'s business';
};

subtest 'how others are refused' => sub {
    refused_ok see('/pro/hello.txt', undef), 401, 'Bearer', 'without a token';
    refused_ok see('/pro/hello.txt', $basic), 403, undef, 'a good token of another tier';
    refused_ok see('/named/hello.txt', undef), 401, 'Bearer realm="The archive"', 'AuthName is the realm';
    refused_ok see('/named/hello.txt', undef, Authorization => 'Bearer x.y.z'), 401, 'Bearer realm="The archive", error="invalid_token"',
        'with what is no token';
    refused_ok see('/named/hello.txt', $basic), 403, undef, 'no realm where a token was good';
    refused_ok see('/pro/hello.txt', undef, Authorization => $_), 401, 'Bearer', "with '$_'" for 'Bearer', 'Basic YTpi';
    my ($header, $claims) = Gemclone::Token->parts($pro->token);
    for my $case (
        ['of another key', Gemclone::Token->make($header, $claims, 'x' x 64)],
        ['unsigned', Gemclone::Token->make({%$header, alg => 'none'}, $claims, '')],
        ['long', 'x' x 6000], ['with more behind', $pro->token . ' x'], ['twice', $pro->token . ', Bearer ' . $pro->token],
    ) {
        refused_ok see('/pro/hello.txt', undef, Authorization => "Bearer $case->[1]"), 401, 'Bearer error="invalid_token"', "a token $case->[0]";
    }
    $basic->post('/auth/change-password', {new_password => 'correct horse'});
    my $number = $basic->user->{mobile_number};
    my $reset = Gemclone::Client->new(url => $stack->url);
    $reset->verify($number, $reset->otp($number, 'reset_password'), 'reset_password');
    refused_ok see('/users/hello.txt', $reset), 403, undef, 'a token for a new password opens no door';
    is see('/page/hello.txt', undef)->body, 'Please sign in', 'ErrorDocument 401';
    is see('/page/hello.txt', $basic)->body, 'Please pay', 'ErrorDocument 403';
    $stack->log->expect('GEM0504');
    is see('/alone/hello.txt', undef, Authorization => 'Basic YUBiOmFAYg==')->code, 401,
        'Require gemclone-tier without AuthType Gemclone lets nobody in';
    ok $stack->log->wait_for(qr/:error\].*GEM0504: Require gemclone-tier needs AuthType Gemclone/), 'and an admin is told';
};

subtest 'bodies are not read' => sub {
    my $res = as(undef)->post('/app/x', 'x' x 1000);
    is $res->code, 401, 'of whoever is refused';
    my $sent = as($pro)->post('/app/x', 'body ' x 20_000, 'Content-Type' => 'text/plain')->json;
    is length $sent->{body}, 100_000, 'nor of whoever is let in: the application has all of it';
};

subtest 'an application behind the server' => sub {
    my $told = see('/app/page', $basic, 'X-User' => 'root', 'X-Tier' => 'pro')->json->{headers};
    is_deeply [@$told{qw(X-User X-Tier)}], [$basic->user->{id}, 'basic'], 'is told who it is, whatever the client says';
    is $told->{Authorization}, undef, 'and not by what';
    is_deeply [@{see('/app/page', $pro)->json->{headers}}{qw(X-User X-Tier)}], [$pro->user->{id}, 'pro'], 'and of which tier';
};

subtest 'what other modules see' => sub {
    my ($id, $text) = ($pro->user->{id}, $pro->user->{id});
    is see('/both/hello.txt', $pro)->headers->header('X-Env'), "$id $id pro", 'REMOTE_USER, GEMCLONE_USER and GEMCLONE_TIER';
    my $moved = see('/moved/old', $pro);
    is join(' ', $moved->code, $moved->body =~ s/\n//r, $moved->headers->header('X-Env')), "200 hello $id $id pro", 'also after an internal redirect';
    my $index = see('/both/', $pro);
    is join(' ', $index->code, $index->headers->header('X-Env')), "200 $id $id pro", 'and through mod_dir';
    see('/users/hello.txt', $pro);
    my $log = path($stack->apache->dir)->child('doors_log');
    ok eventually(sub { $log->slurp =~ m{^\Q$id $id pro /both/hello.txt 200\E$}m }), 'the access log has all of it';
    ok eventually(sub { $log->slurp =~ m{^\Q$id $id - /users/hello.txt 200\E$}m }), 'the tier only where it was asked for';
    is see('/include/x.shtml', $pro)->body, "a hello\n b", 'a page may include what its reader may see';
    unlike see('/include/x.shtml', $_)->body, qr/hello/, 'and nothing else' for undef, $basic;
};

subtest 'the API itself behind a door' => sub {
    my $room = $basic->room;
    problem_ok $basic->post("/message/$room", {content => 'x'}), 403, 'a basic user';
    problem_ok as(undef)->post("/message/$room", {content => 'x'}), 401, 'somebody';
    problem_ok as(undef)->post("/message/$room", {content => 'x'}, Authorization => 'Bearer x'), 401, 'with nonsense';
    answer_ok $pro->post('/message/' . $pro->room, {content => 'x'}), 201, 'a pro user';
    answer_ok $basic->get('/user/me'), 200, 'all else is as before';
};

subtest 'over HTTP/2' => sub {
    for my $case ([undef, 401], [$basic, 403], [$pro, 200]) {
        my ($user, $status) = @$case;
        my @auth = $user ? ('-H', 'Authorization: Bearer ' . $user->token) : ();
        open my $out, '-|', program('curl'), qw(-s --http2 -o /dev/null -m 20 -w), '%{http_version} %{http_code}', '--cacert', $cert, @auth,
            "https://127.0.0.1:$tls_port/pro/hello.txt" or die "curl: $!";
        is readline($out), "2 $status", "the same: $status";
    }
};

subtest 'a session that has ended' => sub {
    my @children = Gemclone::Children->of($stack->apache);
    my $user = $stack->new_user;
    my $takes = sub ($child) { $child->get('/users/hello.txt', Authorization => 'Bearer ' . $user->token)->code == 200 };
    is scalar(grep { $takes->($_) } @children), 2, 'it was good on both children';
    is at('same.test', '/users/hello.txt', $user)->code, 200, 'and on another host';
    $user->post('/auth/logout', '');
    my $ended = time;
    ok eventually(sub { !grep { $takes->($_) } @children }, 5), 'it is refused by both';
    ok eventually(sub { at('same.test', '/users/hello.txt', $user)->code == 401 }, 5), 'and there';
    note sprintf 'after %.3f s', time - $ended;
    refused_ok see('/users/hello.txt', $user), 401, 'Bearer error="invalid_token"', 'as any bad token';
};

subtest 'tiers that change' => sub {
    my @children = Gemclone::Children->of($stack->apache);
    my $user = $stack->new_user;
    my $codes = sub () {
        join ' ', (map { $_->get('/pro/hello.txt', Authorization => 'Bearer ' . $user->token)->code } @children),
            at('same.test', '/pro/hello.txt', $user)->code;
    };
    is $codes->(), '403 403 403', 'a new user is basic everywhere';
    my $paid = $shop->buy($user);
    is $codes->(), '200 200 200', 'whoever has paid is let in at once';
    $shop->stripe->act($paid->{subscription} => 'end');
    $shop->settle;
    is $codes->(), '403 403 403', 'until it is over';
    $stack->dbh->do(q{UPDATE gemclone.users SET tier = 'pro' WHERE id = ?}, {}, $user->user->{id});
    is at('same.test', '/pro/hello.txt', $user)->code, 200, 'a tier set in SQL counts at once where there is no cache';
};

subtest 'an account that is gone' => sub {
    my $user = $stack->new_user;
    my $dbh = $stack->dbh;
    # Without what ends its sessions: as if this child had not heard of it yet.
    $dbh->do(q{SET session_replication_role = 'replica'});
    $dbh->do('DELETE FROM gemclone.users WHERE id = ?', {}, $user->user->{id});
    refused_ok at('same.test', '/pro/hello.txt', $user), 401, 'Bearer error="invalid_token"', 'its token is not good';
};

subtest 'hosts without the API' => sub {
    is at('none.test', '/pro/hello.txt', undef)->code, 200, 'one without a door is open';
    is join(' ', map { at('same.test', '/pro/hello.txt', $_)->code } undef, $basic, $pro), '401 403 200',
        'one with the main server\'s settings takes the same tokens';
    is at('same.test', '/user/me', $pro)->code, 404, 'and has no API';
    is join(' ', map { at('same.test', '/htaccess/hello.txt', $_)->code } undef, $basic, $pro), '401 403 200', '.htaccess';
    is join(' ', map { at('own.test', '/pro/hello.txt', $_)->code } $basic, $pro), '401 401', 'one with another key does not';
    my ($header, $claims) = Gemclone::Token->parts($pro->token);
    my $token = Gemclone::Token->make({%$header, kid => 'other'}, $claims, path($other_key)->slurp =~ s/\n\z//r);
    is at('own.test', '/pro/hello.txt', Gemclone::Client->new(token => $token))->code, 200, 'but its own';
    $stack->log->expect('GEM0503');
    is at('none.test', '/htaccess/hello.txt', $pro)->code, 500, '.htaccess alone cannot have tokens looked at: nobody is let in';
    ok $bare_log->wait_for(qr/:error\].*GEM0503: AuthType Gemclone/), 'and an admin is told';
};

subtest 'Postgres is away' => sub {
    $stack->log->expect(qr/GEM020[1236]/, 'GEM0407', 'GEM0703', qr/\[dbd:(?:error|crit)\]/);
    is codes('/pro/hello.txt'), '401 403 200', 'two users are known';
    my $stranger = $stack->new_user;
    $stack->postgres->stop;
    my $res;
    ok eventually(sub { ($res = at('same.test', '/pro/hello.txt', $pro))->code == 503 }), 'who asks for a tier gets 503';
    like $res->headers->header('Retry-After'), qr/^\d+$/, 'and when to come back';
    is $res->headers->www_authenticate, undef, 'not whom to be';
    unlike $res->body, qr/hello/, 'nothing is shown';
    is at('same.test', '/users/hello.txt', $pro)->code, 200, 'a token alone is as good as before';
    is at('same.test', '/pro/hello.txt', undef)->code, 401, 'and who has none is told so';
    is codes('/pro/hello.txt', $basic, $pro), '403 200', 'what the cache knows goes on';
    is see('/pro/hello.txt', $stranger)->code, 503, 'what it does not know waits';
    $stack->postgres->start;
    ok eventually(sub { at('same.test', '/pro/hello.txt', $pro)->code == 200 }), 'when it is back all is as before';
    ok eventually(sub { see('/pro/hello.txt', $stranger)->code == 403 }), 'for everybody';
};

is scalar($stack->apache->children_pids), 2, 'all of that by the same two children';
is scalar($bare->children_pids), 1, 'and one';
