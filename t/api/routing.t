# SPDX-License-Identifier: Apache-2.0
# Every route, by its table: methods, tokens, bodies, HEAD, OPTIONS, the trailing slash, ETags.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Raw;
use Gemclone::Routes;
use Gemclone::Stack;

# path => {method => what goes with it}; '*': for everybody, else for users. A body is one that the route takes.
my %ROUTES = (
    '/'                => {GET => '*'},
    '/healthz'         => {GET => '*'},
    '/readyz'          => {GET => '*'},
    '/auth/signup'     => {POST => ['*', {mobile_number => '+15550000000'}]},
    '/auth/send-otp'   => {POST => ['*', {mobile_number => '+15550000000', purpose => 'login'}]},
    '/auth/verify-otp' => {POST => ['*', {mobile_number => '+15550000000', purpose => 'login', otp => '123456'}]},
    '/auth/forgot-password' => {POST => ['*', {mobile_number => '+15550000000'}]},
    '/auth/login'      => {POST => ['*', {mobile_number => '+15550000000', password => 'x'}]},
    '/auth/refresh'    => {POST => ['*', {refresh_token => 'x'}]},
    '/auth/change-password'   => {POST => ['user', {new_password => 'correct horse', current_password => 'x'}]},
    '/auth/logout'            => {POST => 'user'},
    '/auth/sessions'          => {GET  => 'user', DELETE => 'user'},
    '/auth/sessions/{session}' => {DELETE => 'user'},
    '/.well-known/jwks.json'  => {GET => '*'},
    '/openapi.json'           => {GET => '*'},
    '/docs'                   => {GET => '*'},
    '/assets/{file}'          => {GET => '*'},
    '/metrics'                => {GET => '*'},
    '/user/me'         => {GET => 'user', PATCH => ['user', {name => 'x'}], DELETE => 'user'},
    '/user/me/usage'   => {GET => 'user'},
    '/user/me/export'  => {GET => 'user'},
    (map {
        ($_ => {GET => 'user', POST => ['user', {title => 'x'}]},
            "$_/{room}" => {GET => 'user', PATCH => ['user', {title => 'y'}], DELETE => 'user'})
    } '/chat/chatroom', '/chatroom'),
    '/message/{room}'          => {GET => 'user', POST => ['user', {content => 'x'}]},
    '/message/{room}/{id}'     => {GET => 'user'},
    '/message/{room}/{id}/events'     => {GET  => 'user'},
    '/message/{room}/{id}/cancel'     => {POST => 'user'},
    '/message/{room}/{id}/regenerate' => {POST => 'user'},
    '/chat/chatroom/{room}/export'    => {GET  => 'user'},
    '/auth/stream-ticket'             => {POST => ['user', {message_id => 1}]},
    '/subscribe/pro'       => {POST => 'user'},
    '/subscribe/portal'    => {POST => 'user'},
    '/subscription/status' => {GET  => 'user'},
    '/webhook/stripe'      => {POST => '*'},
    '/chatroom/{room}/message' => {POST => ['user', {content => 'x'}]},
);

my $stack = Gemclone::Stack->shared;
my $user = $stack->new_user;
my $room = $user->room;
my $id = $user->send($room, 'Hello')->{data}{id};
my $anybody = $stack->client;
my $JSON = 'application/json';

plan tests => 3 + 4 * keys %ROUTES, need 'gemclone';

sub filled ($pattern) { return $pattern =~ s/\{(?:room|session)\}/$room/r =~ s/\{id\}/$id/r =~ s/\{file\}/chat.css/r }

sub wants_token ($res) { return $res->code == 401 && $res->body =~ /access token/ }

# What Allow must hold for a path.
sub allowed ($methods) { return join ' ', sort 'OPTIONS', map { $_ eq 'GET' ? ($_, 'HEAD') : $_ } keys %$methods }
sub allow ($res) { return join ' ', sort split /,\s*/, $res->headers->header('Allow') // '' }

subtest 'the list above is the table of routes' => sub {
    is_deeply [sort map { $_->title } Gemclone::Routes->all], [
        sort map {
            my $path = $_;
            map {"$_ $path"} keys %{$ROUTES{$path}}
        } keys %ROUTES
        ],
        'each is tested';
};

for my $pattern (sort keys %ROUTES) {
    my ($path, $methods) = (filled($pattern), $ROUTES{$pattern});

    subtest "the methods of $pattern" => sub {
        my $options = $anybody->request(OPTIONS => $path);
        is $options->code, 204, 'OPTIONS needs no token';
        is allow($options), allowed($methods), 'and tells the methods';
        is $options->body, '', 'and no more';
        for my $method (grep { !$methods->{$_} } qw(GET POST PUT PATCH DELETE PROPFIND BREW)) {
            my $res = $anybody->request($method => $path, $method =~ /^P/ ? ('{}', 'Content-Type' => $JSON) : ());
            problem_ok $res, 405, "$method is none of them";
            is allow($res), allowed($methods), 'the answer tells which are';
        }
        is $anybody->request(HEAD => $path)->code, 405, 'nor is HEAD' unless $methods->{GET};
    };

    subtest "tokens for $pattern" => sub {
        for my $method (sort keys %$methods) {
            my ($who, $body) = ref $methods->{$method} ? @{$methods->{$method}} : ($methods->{$method}, undef);
            my $res = $anybody->request($method => $path, $body);
            if ($who eq '*') {
                ok !wants_token($res), "$method needs none";
                ok !wants_token($anybody->request($method => $path, $body, Authorization => 'Bearer nonsense')), 'and does not look at one';
                next;
            }
            problem_ok $res, 401, "$method needs one";
            for my $header ('Bearer', 'Bearer ', 'Bearer x', 'Basic QTpC', 'Bearer ' . $user->token . 'x',
                $user->token, 'Bearer ' . reverse $user->token) {
                problem_ok $anybody->request(
                    $method => $path,
                    $body, Authorization => $header
                    ),
                    401, substr "not $header", 0, 30;
            }
            problem_ok $anybody->request(
                $method => $path,
                '{', 'Content-Type' => $JSON
                ),
                401, 'before the body is looked at'
                if $body;
        }
        pass 'all methods were looked at';
    };

    subtest "bodies for $pattern" => sub {
        for my $method (sort grep { ref $methods->{$_} } keys %$methods) {
            my $send
                = sub ($body, $type = $JSON) { $user->request($method => $path, $body, 'Content-Type' => $type) };
            for my $type (undef, '', 'text/plain', 'application/x-www-form-urlencoded',
                'application/jsonx', 'application/ld+json', 'multipart/form-data; boundary=x', 'json') {
                problem_ok $send->('{}', $type), 415, "$method " . ($type // 'no type');
            }
            isnt $send->('{}', $_)->code, 415, "$method $_"
                for 'application/json; charset=utf-8', 'Application/JSON', 'application/json;charset=UTF-8';
            for my $broken (
                '', '{',
                '}', '{"a":1,}',
                "{'a':1}", '{"a":1}{}',
                'undefined', '{"a":NaN}',
                '{"a":01}', "\xFF\xFE{}",
                "{\"a\":\"\xC3\"}", "{\"a\":\"\n\"}",
                '{"a":1,"a":2}', "{}\0",
                '[' x 33 . ']' x 33, '{"a":' x 33 . '1' . '}' x 33,
                '[' x 100_000, '{' . join(',', map {qq("$_":0)} 1 .. 1000) . '}', '[' . '0,' x 1000 . '0]'
            ) {
                problem_ok $send->($broken), 400, "$method " . substr $broken =~ s/[^ -~]/./gr, 0, 20;
            }
            my $fine = $method eq 'PATCH' ? 200 : 422;    # all members of these are optional
            is $send->($_)->code, $fine, "$method " . length($_) . ' bytes of it are no fault in themselves'
                for '{"a":' x 32 . '1' . '}' x 32, '{' . join(',', map {qq("$_":"[,")} 1 .. 999) . '}', '{"x":"' . 'x' x (262_144 - 8) . '"}';
            problem_ok $send->($_), 422, "$method $_", errors => [''] for '[]', '1', '"x"', 'null';
            problem_ok $send->('{"a":"' . 'x' x 262_144 . '"}'), 413, "$method more than 256 KiB";
        }
        pass 'all methods were looked at';
    };

    subtest "the forms of $pattern" => sub {
        my $user = $pattern =~ /logout/ ? $stack->new_user : $user;    # who goes
        for my $method (grep { $methods->{$_} } qw(GET PATCH POST)) {
            my $body = ref $methods->{$method} ? $methods->{$method}[1] : undef;
            my $plain = $user->request($method => $path, $body);
            next if $pattern eq '/' || $pattern eq '/docs';    # whose slash matters: t/api/pages.t
            is $user->request($method => "$path/", $body)->code, $plain->code, "$method with a slash at its end"
                unless $pattern =~ m{/auth/(?:signup|change-password|logout)};    # what works once
            problem_ok $user->request($method => "$path/x", $body), 404, "$method with more behind it";
            problem_ok $user->request($method => uc $path, $body), 404, "$method in capitals";
        }
        return pass 'nothing to get' unless $methods->{GET};
        return pass 'streams and counts have tests of their own' if $pattern =~ /events|metrics/;

        eventually(sub { !grep { $_->{status} =~ /pending|generating/ } @{$user->messages($room)} });
        my $get = $user->get($path);
        my $head = $user->request(HEAD => $path);
        is $head->code, 200, 'HEAD';
        is $head->body, '', 'has no body';
        is shown($head), shown($get) =~ s/\n\n.*\z/\n\n/sr, 'and the headers of GET';
        my $etag = $get->headers->etag;
        like $etag, qr/\A"[0-9a-f]{16,}"\z/, 'a strong ETag';
        for my $case ([$etag, 304], ["W/$etag", 304], ["\"x\", $etag", 304], ['*', 304], ['"x"', 200], ['x', 200]) {
            for my $method (qw(GET HEAD)) {
                my $res = $user->request($method => $path, undef, 'If-None-Match' => $case->[0]);
                is $res->code, $case->[1], "$method with If-None-Match: $case->[0]";
                is $res->body, '', 'without a body' if $res->code == 304;
                is $res->headers->etag, $etag, 'and with the ETag';
            }
        }
        like $get->headers->cache_control, qr/no-cache/, 'who keeps it must ask again';
    };
}

subtest 'paths that are none' => sub {
    for my $path (qw(/nothing /auth /auth/login2 /user /user/me/x /chat /message /chatroom/ /message/ /healthz/x /.env
        /favicon.ico /index.html /CHAT/chatroom), "/chat/chatroom/$room/message", "/message/$room/$id/x") {
        my $res = $user->request(GET => $path);
        if ($path eq '/chatroom/') { answer_ok $res, 200, $path }
        else                       { problem_ok $res, 404, $path }
        is $user->request(OPTIONS => $path)->code, 404, "OPTIONS $path" unless $path eq '/chatroom/';
    }
    my ($code, undef, $body)
        = Gemclone::Raw->request("GET /user%2Fme HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    is $code, 404, 'a slash that is encoded';
    like $body, qr/\A\{.*"status":404/, 'is a problem as well';
};

subtest 'paths that exist in the file system' => sub {
    # Nobody is to look there: not for a symbolic link, not for what may not be searched, not for a name too long.
    for my $path (
        '/etc/passwd', '/root/x', '/bin', '/bin/sh',
        '/tmp/', '/proc/1/root/x', '/' . 'x' x 300, '/user/' . 'x' x 300
    ) {
        problem_ok $user->get($path), 404, substr $path, 0, 20;
    }
};
