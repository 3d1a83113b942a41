# SPDX-License-Identifier: Apache-2.0
# A thousand hostile requests: each is answered by 4xx, with a problem wherever HTTP could be read at all, by
# processes that live on, without a line in the error log above info. GEMCLONE_SEED repeats a run.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::ErrorLog;
use Gemclone::Raw;
use Gemclone::Stack;
use Gemclone::Token;
use List::Util qw(sum);
use Mojo::File qw(path);
use Mojo::JSON qw(decode_json encode_json);
use Test::More;

use constant REQUESTS => 1000;

plan tests => 7;

my $seed = $ENV{GEMCLONE_SEED} // time;
srand $seed;
note "GEMCLONE_SEED=$seed";

my $stack = Gemclone::Stack->start(fsync => 0);
my $user = $stack->new_user;
my ($TOKEN, $ROOM) = ($user->token, $user->room);
my $ID = $user->send($ROOM, 'Hello')->{data}{id};
my ($HEADER, $CLAIMS) = Gemclone::Token->parts($TOKEN);
my $KEY = path($stack->dir)->child('keys', 'token.key')->slurp =~ s/\n\z//r;
eventually(sub { $user->messages($ROOM)->[1]{status} eq 'done' });

sub any (@of)        { return $of[rand @of] }
sub bytes ($most)    { return join '', map { chr int rand 256 } 1 .. 1 + rand $most }
sub letters ($most)  { return join '', map { any('a' .. 'z', 0 .. 9) } 1 .. 1 + rand $most }
sub escaped ($bytes) { return $bytes =~ s/([^A-Za-z0-9])/sprintf '%%%02x', ord $1/ger }

my @POSTS = (
    ['POST', '/auth/signup'],
    ['POST', '/auth/send-otp'],
    ['POST', '/auth/verify-otp'],
    ['POST', '/chat/chatroom'],
    ['POST', '/chatroom'],
    ['POST', "/message/$ROOM"],
    ['POST', "/chatroom/$ROOM/message"]
);
my @PATCHES = (['PATCH', "/chat/chatroom/$ROOM"], ['PATCH', "/chatroom/$ROOM"]);
my @GETS = (
    ['GET', '/user/me'],
    ['GET', '/chat/chatroom'],
    ['GET', "/chat/chatroom/$ROOM"],
    ['GET', "/message/$ROOM"],
    ['GET', "/message/$ROOM/$ID"],
    ['GET', '/chatroom']
);

# The bytes of a request that HTTP can read.
sub request ($method, $path, $body = '', %header) {
    my %all = (
        Host => 'x',
        Authorization => "Bearer $TOKEN",
        'Content-Length' => length $body,
        Connection => 'close',
        %header
    );
    return join "\r\n", "$method $path HTTP/1.1", (map {"$_: $all{$_}"} grep { defined $all{$_} } sort keys %all),
        '', $body;
}

# A value that no member of any body may have.
sub wrong_value () {
    return any(
        sub { int rand 1e9 },
        sub {rand},
        sub { Mojo::JSON->true },
        sub { [] },
        sub { {} },
        sub { [[{}]] },
        sub {"a\0b"},
        sub {''},
        sub {"\n\t "},
        sub { {'$gt' => ''} },
        sub { [('a') x 3] },
        sub {-0.0},
        sub {1e308},
    )->();
}

sub forged_token () {
    my %claims = (
        %$CLAIMS,
        %{
            any({exp => time - 1 - int rand 1e6},
                {exp => -1},
                {exp => 'x'},
                {iss => letters(7)},
                {sub => letters(30)},
                {iat => time + 1e6, exp => time + 2e6},
                {exp => '1e300'},
                {sub => undef},
                {scope => letters(9)}
            )
        }
    );
    return any(
        sub { Gemclone::Token->make($HEADER, \%claims, $KEY) },
        sub { Gemclone::Token->make($HEADER, $CLAIMS, bytes(64)) },
        sub {
            my %header = (%$HEADER, alg => any(qw(none HS384 HS512 RS256 NONE x)));
            Gemclone::Token->make(\%header, $CLAIMS, $KEY, any(qw(HS256 HS384 HS512), undef));
        },
        sub { my $token = $TOKEN; substr $token, 45 + rand(length($token) - 90), 1, '!'; $token },
        sub { my $token = $TOKEN; substr $token, rand length $token, 1 + rand 20, ''; $token },
        sub { join '.', map { letters(80) } 1 .. 1 + rand 5 },
        sub { Gemclone::Token::encode(bytes(200)) . '.' . Gemclone::Token::encode(bytes(200)) . '.' . letters(43) },
        sub { letters(7000) }, sub {"$TOKEN$TOKEN"}, sub { '' }, sub { '.' x (1 + rand 100) },
    )->();
}

sub post ($body, %header) {
    my ($method, $path) = @{any(@POSTS, @PATCHES)};
    return request($method, $path, $body, 'Content-Type' => 'application/json', %header);
}

# name => what makes one of them. All of these can be read as HTTP, and must be answered by a problem.
my %KINDS = (
    'random bytes for a body' => sub { post(bytes(2000)) },
    'random bytes in a text'  => sub { post('{"content":"' . bytes(50) . "\xFF\"}") },
    'wrong types'             => sub {
        my @members = qw(content title mobile_number purpose otp name model system_prompt);
        post(encode_json({map { ($_ => wrong_value()) } @members}));
    },
    'no object'               => sub { post(encode_json([wrong_value()])) },
    'deep nesting'            => sub {
        my ($open, $close) = @{any(['[', ']'], ['{"a":', '}'], ['[{"a":', '}]'])};
        my $depth = 33 + int rand 20_000;
        post($open x $depth . any('', '1') . any('', $close x $depth));
    },
    'broken JSON'             => sub {
        my $json = encode_json({content => letters(50), title => letters(50)});
        substr $json, rand length $json, any(1, 5, 60), any('', '"', '}', ',');
        post("$json\x01");
    },
    'broken UTF-8' => sub {
        my @broken
            = ("\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80", "\xE2\x82", "\x80");
        post('{"content":"' . any(@broken) . '"}');
    },
    'lone surrogates' =>
        sub { post('{"content":"\\u' . any(qw(d800 dbff dc00 dfff)) . any('', 'x', '\\u0041') . '"}') },
    'NULs' => sub {
        post(
            any("\0" x (1 + rand 1000), "{}\0",
                "\0{}", "{\"content\":\"a\0\"}",
                '{"content":"\\u0000","title":"\\u0000"}'
            )
        );
    },
    'duplicate members' => sub { post('{"content":"a","content":"b"}') },
    'bodies too long' => sub { post('x' x (262_145 + rand 100_000)) },
    'no JSON at all' => sub {
        my @types
            = ('text/xml', 'application/x-www-form-urlencoded', letters(20), 'application/json' . letters(3), '');
        post(bytes(100), 'Content-Type' => any(@types));
    },
    'tokens expired and forged' => sub {
        my ($method, $path) = @{any(@GETS, $POSTS[3], $POSTS[5])};
        request($method, $path, '', Authorization => 'Bearer ' . forged_token());
    },
    'credentials of other schemes' => sub {
        my @schemes
            = ('Basic ' . letters(30), 'Digest username="x"', 'Bearer', letters(20), "Negotiate $TOKEN", undef);
        request(@{any(@GETS)}, '', Authorization => any(@schemes));
    },
    'ids that are none'       => sub {
        my $path = any('/chat/chatroom/', "/message/$ROOM/", '/message/', '/chatroom/') . escaped(bytes(40));
        request(any('GET', 'DELETE'), $path);
    },
    'rooms of nobody'         => sub { request(any('GET', 'DELETE'), '/chat/chatroom/' . random_uuid) },
    'cursors and limits'      => sub {
        my $query = any('limit=' . any(-1, 0, 101, 'x', 9 x 30, 'x' . escaped(bytes(9))), 'cursor=' . escaped(bytes(60)));
        request('GET', any('/chat/chatroom', "/message/$ROOM") . "?$query");
    },
    'path tricks' => sub {
        my @tricks = (
            '/..%2f..%2fetc/passwd', '/%2e%2e%2fpasswd',
            '/.%00', '/~root',
            '/.git/config', '/%c0%ae%c0%ae/',
            '/;/x', '/\\..\\x',
            '/%252e%252e/', '/' . letters(30) . '.php',
            '/' . escaped(bytes(30))
        );
        request('GET', any('/user/me', '/chat', '') . any(@tricks));
    },
    'climbing paths' => sub { request('GET', any('/../', '/user/../../', '/./../', '/%2e%2e/') . letters(9)) },
    'files of the machine' =>
        sub { request('GET', any('/etc/passwd', '/root/', '/bin/sh', '/proc/self/environ', '/' . 'x' x 300)) },
    'methods that are none' => sub {
        request(any('PUT', 'PROPFIND', 'MKCOL', 'LOCK', 'BREW', uc letters(20)), any(@GETS)->[1]);
    },
    'CRLF on its way' => sub {
        request(
            'GET', '/user/me', '',
            Authorization => 'Bearer x%0d%0aSet-Cookie: a=b',
            'X-A' => '%0d%0a%0d%0aHTTP/1.1 200 OK'
        );
    },
    'Idempotency-Keys'        => sub {
        request('POST', "/message/$ROOM", '{"content":"x"}', 'Content-Type' => 'application/json',
            'Idempotency-Key' => any('a b', 'x' x 256, "\xE9", ''));
    },
    'lengths that lie' => sub { post('{}', 'Content-Length' => any(-1, 'x', '1e3', '0x10', 9 x 25, '1, 2', '')) },
    'chunks that are none' => sub {
        post(
            any("zz\r\n{}\r\n0\r\n\r\n", "-1\r\n\r\n", 'f' x 20 . "\r\n{}\r\n", bytes(60) . "\r\n"),
            'Transfer-Encoding' => 'chunked',
            'Content-Length' => undef
        );
    },
    'headers too many' => sub {
        request('GET', '/user/me', '', map { ("X-$_" => 'x') } 1 .. 150);
    },
    'headers too long' =>
        sub { request('GET', '/user/me', '', any(['X-Long', 'x' x 9000], ['X-' . 'y' x 9000, 'x'])->@*) },
    'addresses too long' => sub { request('GET', '/' . letters(20) x 1000) },
);

# Of these some are no HTTP at all: to hang up is an answer, too.
my %UNREADABLE = (
    'random bytes'         => sub { bytes(500) . "\r\n\r\n" },
    'NULs in the head'     => sub {"GET /\0 HTTP/1.1\r\nHost: x\r\n\0: \0\r\n\r\n"},
    'TLS'                  => sub { "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . bytes(500) . "\r\n\r\n" },
    'HTTP/2'               => sub {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    'bare control letters' => sub {"GET /healthz\x01\x02 HTTP/1.1\r\nHost: x\r\n\r\n"},
    'a split response'     => sub {"GET /x\rSet-Cookie: a=b HTTP/1.1\r\nHost: x\r\n\r\n"},
    'no version'           => sub { 'FOO ' . bytes(20) =~ s/[\r\n]//gr . "\r\n\r\n" },
    'bad header lines'     => sub {
        my @lines = (": x\r\n", "no colon\r\n", "a b: c\r\n", "\xFF\xFE: x\r\n", "X: \0\r\n");
        "GET /healthz HTTP/1.1\r\nHost: x\r\n" . any(@lines) . "\r\n";
    },
    'no Host'              => sub {"GET /user/me HTTP/1.1\r\n\r\n"},
);

# What is wrong with the answer, or nothing.
sub fault ($readable, $bytes) {
    my ($code, $head, $body) = Gemclone::Raw->request($bytes, url => $stack->url, seconds => 20);
    return if !$readable && ($code == 0 || $head !~ /^HTTP/);
    return "status $code" if $code < 400 || $code > 499;
    return 'a header that was put in' if $head =~ /^Set-Cookie/mi;
    my ($type) = $head =~ /^Content-Type: ([^\r\n]*)/mi;
    return 'type ' . ($type // 'none') if ($type // '') ne 'application/problem+json';
    my $json = eval { decode_json($body) };
    return 'a body that is no problem'
        unless ref $json eq 'HASH' && $json->{status} == $code && length $json->{detail} && length $json->{title};
    return;
}

my (@kinds, %count, %fault) = (sort keys %KINDS, keys %UNREADABLE);
my @children = sort { $a <=> $b } $stack->apache->children_pids;
for my $n (1 .. REQUESTS) {
    my $kind = $kinds[$n % @kinds];
    my $bytes = ($KINDS{$kind} // $UNREADABLE{$kind})->();
    $count{$kind}++;
    my $fault = fault($KINDS{$kind}, $bytes) or next;
    push @{$fault{$kind}}, $fault;
    diag "$kind: $fault: ", substr($bytes, 0, 300) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger
        if @{$fault{$kind}} < 4;
}
is sum(values %count), REQUESTS, 'so many requests were sent';
is_deeply [sort keys %fault], [], 'each kind is answered as it should be' or diag "GEMCLONE_SEED=$seed";

my @big = map {
    my ($start, $more) = @{any(['', 'x'], ['', '['], ['{"content":"', 'x'], ['', "\0"], ['', "\xFF"])};
    fault(1, request(@$_, $start . $more x 10_000_000, 'Content-Type' => 'application/json'));
} @POSTS;
is_deeply \@big, [], 'bodies of ten megabytes too';

my @loud = grep { !/:(?:info|debug|trace\d)\]/ && !/GEM0001|GEM0003|GEM0101|GEM0601|AH00489|AH00094|AH10159/ }
    $stack->log->lines(qr/^\[/);
is_deeply \@loud, [], 'no line of the error log is above info' or $stack->log->expect(map {qr/\Q$_\E/} @loud);
is_deeply [sort { $a <=> $b } $stack->apache->children_pids], \@children, 'no child has died';
is_deeply [map { $_->{title} } grep { $_->{id} eq $ROOM } @{$user->rooms}], ['A room'], 'the room is as it was';
is $user->get('/user/me')->json->{user}{mobile_number}, $user->user->{mobile_number}, 'and so is its owner';
