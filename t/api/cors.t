# SPDX-License-Identifier: Apache-2.0
# Pages of other origins: what browsers are told of them on every kind of answer, and that a preflight costs nothing.
use Mojo::Base -strict, -signatures;

use Gemclone::Answers;
use Gemclone::Check;
use Gemclone::Paths qw(top);
use Gemclone::Raw;
use Gemclone::Shop;
use Test::More;

use constant {APP => 'https://app.example.com', DEV => 'http://localhost:3000', EVIL => 'https://evil.example'};
use constant VARY => 'Access-Control-Request-Headers, Access-Control-Request-Method, Origin';

plan tests => 13;

my %HOSTS = (
    'exact.test' => ["GemcloneCORSOrigin ${\APP}", "GemcloneCORSOrigin capacitor://localhost ${\DEV}"],
    'any.test'   => ['GemcloneCORSOrigin *'],
    'cred.test'  => ["GemcloneCORSOrigin ${\APP}", 'GemcloneCORSCredentials On'],
    'none.test'  => [],
);
my $shop = Gemclone::Shop->start(
    children   => 1,
    directives => [
        'GemcloneDemoPage Off',    # or / varies by Accept, too
        (map { ('<VirtualHost *:*>', "ServerName $_", @{$HOSTS{$_}}, '</VirtualHost>') } sort keys %HOSTS),
        @Gemclone::Answers::DIRECTIVES,
    ],
);
my $stack = $shop->stack;
my ($user, $anybody) = ($stack->new_user, $stack->client);
my $room = $user->room;

# A request of a page of $origin (undef: of none) to a host.
sub ask ($host, $origin, $method, $path, $body = undef, %headers) {
    return $user->request($method => $path, $body, Host => $host, Origin => $origin, %headers);
}

sub preflight ($host, $origin, $path, $method = 'POST', %headers) {
    return $anybody->request(OPTIONS => $path, undef, Host => $host, Origin => $origin,
        'Access-Control-Request-Method' => $method, %headers);
}

sub listed ($text) { return join ', ', sort split /,\s*/, $text // '' }

# What an answer's head says of origins, by the names' ends; Vary and what stands in lists sorted.
sub told ($head) {
    my %is = map { /^Access-Control-(\S+): *(.*?)\r?$/i ? ($1 => $2) : () } split /\n/, $head;
    $is{$_} = listed($is{$_}) for grep {/Headers|Methods/} keys %is;
    my ($vary) = $head =~ /^Vary: *(.*?)\r?$/mi;
    $is{Vary} = listed($vary) if defined $vary;
    return \%is;
}

sub told_by ($res) { return told($res->headers->to_string) }

my $EXPOSED = told_by(ask('exact.test', APP, GET => '/healthz'))->{'Expose-Headers'};
my %ALLOWED = ('Allow-Origin' => APP, 'Expose-Headers' => $EXPOSED, Vary => 'Origin');

# That every kind of answer tells the same. What an answer varies by beside Origin is no matter of this.
sub every_kind_ok ($host, $origin, $wanted, $what) {
    return subtest $what => sub {
        for my $kind (answers_of_every_kind($shop, Host => $host, Origin => $origin)) {
            my ($which, $status, $code, $head) = @$kind;
            is $code, $status, $which;
            is_deeply told($head), $wanted, '... tells the same';
        }
    };
}

every_kind_ok 'exact.test', APP, \%ALLOWED, 'an origin that is allowed';
every_kind_ok 'exact.test', EVIL, {Vary => 'Origin'}, 'one that is not';
every_kind_ok 'exact.test', undef, {Vary => 'Origin'}, 'none';
every_kind_ok 'any.test', EVIL, {'Allow-Origin' => '*', 'Expose-Headers' => $EXPOSED}, 'any';
every_kind_ok 'cred.test', APP, {%ALLOWED, 'Allow-Credentials' => 'true'}, 'with credentials';
every_kind_ok 'none.test', APP, {}, 'without the directive nothing is told';

subtest 'which origins are allowed' => sub {
    is told_by(ask('exact.test', $_, GET => '/'))->{'Allow-Origin'}, $_, "$_ is" for APP, DEV, 'capacitor://localhost';
    for my $other (
        'null', '*', '', 'app.example.com', 'http://app.example.com', APP . ':443', APP . ':8443', APP . '/', uc APP,
        APP . '.evil.example', 'https://evil.example/' . APP, 'https://x' . substr(APP, 8), 'https://example.com',
        'http://localhost', APP . ', ' . APP, APP . ' ' . DEV, 'file://', "x\t" . APP,
    ) {
        is_deeply told_by(ask('exact.test', $other, GET => '/')), {Vary => 'Origin'}, "'$other' is not";
    }
    is told_by(ask('any.test', $_, GET => '/'))->{'Allow-Origin'}, '*', ($_ // 'none') . ' is, where any is'
        for 'null', APP, undef;
    my $twice = Gemclone::Raw->new(url => $stack->url)
        ->send("GET / HTTP/1.1\r\nHost: exact.test\r\nOrigin: ${\APP}\r\nOrigin: ${\EVIL}\r\nConnection: close\r\n\r\n")->read;
    is_deeply told($twice), {Vary => 'Origin'}, 'two at once are not';
};

subtest 'a preflight' => sub {
    my $res = preflight('exact.test', APP, "/message/$room", 'POST', 'Access-Control-Request-Headers' => 'authorization, x-evil');
    is $res->code, 204, 'is answered without a token';
    is $res->body, '', 'without a body';
    is_deeply told_by($res), {
        'Allow-Origin'  => APP,
        'Allow-Methods' => 'GET, HEAD, OPTIONS, POST',
        'Allow-Headers' => 'Accept, Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, traceparent',
        'Max-Age'       => 7200,
        Vary            => VARY,
        },
        'tells what the path takes, whatever was asked for';
    is listed($res->headers->header('Allow')), 'GET, HEAD, OPTIONS, POST', 'as any OPTIONS';
    is told_by(preflight('exact.test', APP, "/chat/chatroom/$room", 'BREW'))->{'Allow-Methods'},
        'DELETE, GET, HEAD, OPTIONS, PATCH', 'also to another method';
    is told_by(preflight('any.test', 'null', '/user/me'))->{'Allow-Origin'}, '*', 'any origin, where any is allowed';
    is told_by(preflight('cred.test', APP, '/user/me'))->{'Allow-Credentials'}, 'true', 'with credentials';
};

subtest 'what is none' => sub {
    for my $case (
        ['another origin',     preflight('exact.test', EVIL, '/user/me')],
        ['the origin null',    preflight('exact.test', 'null', '/user/me')],
        ['no origin',          preflight('exact.test', undef, '/user/me')],
    ) {
        my ($what, $res) = @$case;
        is $res->code, 204, $what;
        is listed($res->headers->header('Allow')), 'DELETE, GET, HEAD, OPTIONS, PATCH', '... is told the methods';
        is_deeply told_by($res), {Vary => VARY}, '... and no more';
    }
    is_deeply told_by(ask('exact.test', APP, OPTIONS => '/user/me')),
        {%ALLOWED, Vary => VARY}, 'OPTIONS that asks for no method is a request as others';
    is_deeply told_by(preflight('any.test', undef, '/user/me')),
        {'Allow-Origin' => '*', 'Expose-Headers' => $EXPOSED, Vary => VARY}, 'nor is one without an origin';
    is_deeply told_by(preflight('none.test', APP, '/user/me')), {}, 'without the directive there are none';
};

subtest 'what a page may read' => sub {
    # Of what answers have: these are for browsers and caches, or every page may read them (CORS-safelisted).
    my %no_matter = map { $_ => 1 } qw(Allow Cache-Control Content-Language Content-Security-Policy Location Vary
        X-Accel-Buffering X-Content-Type-Options);
    my %sent = map { $_ => 1 } map { $_->slurp =~ /headers_out, "([\w-]+)"/g }
        map { top->child('mod_gemclone', $_)->list->grep(qr/\.c$/)->each } qw(api stream);
    is $EXPOSED, join(', ', sort grep { !$no_matter{$_} && !/^Access-Control/ } keys %sent), 'is all that answers have for it';
};

subtest 'what an answer varies by beside' => sub {
    my $res = ask('exact.test', APP, GET => "/chat/chatroom/$room/export");
    is_deeply [$res->code, @{told_by($res)}{qw(Vary Allow-Origin)}], [200, 'Accept, Origin', APP], 'is told, too';
};

subtest 'a request that httpd cannot read' => sub {
    my (undef, $head) = Gemclone::Raw->request("GET / HTTP/1.1\r\nHost: none.test\r\nno colon\r\n\r\n", url => $stack->url);
    like $head, qr{^HTTP/1\.1 400 }, 'is an error';
    is told($head)->{'Allow-Origin'}, '*', 'of the first host, whatever it names';
};

subtest 'without a database' => sub {
    $stack->log->expect(qr/GEM020[123]/, qr/GEM040[57]/, qr/GEM0703/, qr/\[dbd:(?:error|crit)\]/);
    $stack->postgres->stop;
    my $res = preflight('exact.test', APP, '/chat/chatroom');
    is $res->code, 204, 'a preflight is answered';
    is told_by($res)->{'Allow-Methods'}, 'GET, HEAD, OPTIONS, POST', 'as ever';
    $res = ask('exact.test', APP, POST => '/chat/chatroom', {title => 'x'});
    problem_ok $res, 503, 'what follows is not';
    is_deeply told_by($res), \%ALLOWED, 'which the page may know';
    $stack->postgres->start;
};
