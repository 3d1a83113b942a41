# SPDX-License-Identifier: Apache-2.0
# CR, LF and NUL in every place of a request, raw and escaped: no answer is split or gets a header, none is a 500.
# Takes long: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Raw;
use Gemclone::Routes;
use Gemclone::Shop;
use Mojo::JSON qw(decode_json encode_json);
use Mojo::Util qw(url_escape);
use Test::More;

my @routes = Gemclone::Routes->all;
plan tests => 5 + @routes;

my $shop = Gemclone::Shop->start(
    children   => 1,
    directives => ['GemcloneQuota basic unlimited', 'GemcloneCORSOrigin https://app.example.com'],
);
my $stack = $shop->stack;
$stack->log->expect('GEM0704');
my @children = $stack->apache->children_pids;
my $guest = Gemclone::Routes->guest($shop);

# name => bytes. What follows them would be seen in an answer that they get into.
my %BREAK = (
    CRLF           => "\r\nX-Injected: yes",
    LF             => "\nX-Injected: yes",
    CR             => "\rX-Injected: yes",
    NUL            => "\0X-Injected: yes",
    'two lines'    => "\r\n\r\nHTTP/1.1 200 OK\r\nX-Injected: yes\r\n\r\n<html>",
    'a line of U+' => "\xe2\x80\xa8X-Injected: yes",
    'cut to lines' => "\xc4\x8d\xc4\x8aX-Injected: yes",    # characters that become CR LF where they are cut to bytes
);
my @HEADERS = (Gemclone::Routes->headers, qw(User-Agent Referer If-None-Match Host X-Forwarded-For Access-Control-Request-Headers));

sub request ($route, %with) { return $route->bytes($guest, %with) }

# What is wrong with the answer to these bytes, or nothing; strict: they are to be refused.
sub fault ($bytes, $strict = 0) {
    my ($code, $head, $body) = Gemclone::Raw->request($bytes, url => $stack->url);
    return $head =~ /X-Injected/ && 'it is said again' if $bytes =~ /\A[A-Z]+ [^ \r\n]*\r?\n/;    # HTTP/0.9 knows no heads
    return 'no answer' unless $code;
    return "status $code" if $code !~ ($strict ? qr/^4/ : qr/^[24]/);
    return 'a header that was put in' if $head =~ /^X-Injected/mi;
    return 'an answer that was split' if $body =~ m{^HTTP/1}m;
    return 'a control character in the head' if $head =~ /[^\t\r\n -~]|\r(?!\n)|(?<!\r)\n/;
    return if $code =~ /^2/;
    my $problem = eval { decode_json($body) };
    return "a $code that is no problem" unless ref $problem eq 'HASH' && $problem->{status} == $code && length $problem->{detail};
    return 'a problem that says it again' if $body =~ /X-Injected/;
    return;
}

sub renew ($route) {
    $guest = Gemclone::Routes->guest($shop) if $route->ends && $guest->{user}->get("/chat/chatroom/$guest->{room}")->code != 200;
    return;
}

# [where, bytes, strict] of all that is tried on a route.
sub raw_cases ($route) {
    my ($path, @cases) = ($route->path($guest));
    for my $break (sort keys %BREAK) {
        my $bytes = $BREAK{$break};
        my $strict = $break =~ /^(?:CR|NUL)$/;
        push @cases, ["$break in the path", request($route, target => "$path$bytes"), $strict || $break =~ /U|cut/];
        push @cases, ["$break in the query", request($route, query => "x=$bytes"), $strict];
        push @cases, map { ["$break in $_", request($route, headers => {$_ => "x$bytes"}), $strict] }
            grep { !/^(?:Content-Length|Transfer-Encoding)$/ } @HEADERS;
        push @cases, ["$break in a header's name", request($route, headers => {"X$bytes" => 'x'}), $strict];
        push @cases, ["$break in a preflight", request($route, method => 'OPTIONS', headers => {
            Origin => "https://app.example.com$bytes", 'Access-Control-Request-Method' => "POST$bytes",
            'Access-Control-Request-Headers' => "x$bytes"}), $strict];
    }
    return @cases;
}

sub escaped_cases ($route) {
    my ($path, @cases) = ($route->path($guest));
    for my $break (sort keys %BREAK) {
        my $bytes = $BREAK{$break};
        for my $escaped (map { ($_, s/%/%25/gr) } url_escape($bytes)) {
            push @cases, ["$break in the path", request($route, target => "$path$escaped"), 1];
            push @cases, map { ["$break in $_", request($route, path => {$_ => $escaped}), 1] } $route->pattern =~ /\{(\w+)\}/g;
            push @cases, map { ["$break in ?$_=", request($route, query => "$_=$escaped"), 0] } Gemclone::Routes->parameters, 'x', $escaped;
            push @cases, map { ["$break in $_", request($route, headers => {$_ => "x$escaped"}), 0] }
                grep { !/^(?:Content-Length|Transfer-Encoding)$/ } @HEADERS;
        }
    }
    return @cases;
}

# Of the members of a body that are texts.
sub body_cases ($route) {
    my $body = $route->body($guest) or return;
    my @cases;
    for my $member (grep { !ref $body->{$_} && ($body->{$_} // '') !~ /^\d{1,9}$/ } sort keys %$body) {
        for my $break (sort keys %BREAK) {
            my $value = ($body->{$member} // '') . $BREAK{$break};
            my $json = encode_json {%$body, $member => $value};
            push @cases, ["$break escaped in $member", request($route, body => {$member => $value}), $break eq 'NUL' && !$route->is_raw];
            push @cases, ["$break raw in $member", request($route, bytes => $json =~ s/\\u0000/\0/gr =~ s/\\r/\r/gr =~ s/\\n/\n/gr),
                $break !~ /U|cut/];
            push @cases, ["$break in the name $member", request($route, body => {"$member$BREAK{$break}" => 'x'}), 0];
        }
    }
    return @cases;
}

for my $route (@routes) {
    my (@bad, $count);
    for my $cases (\&raw_cases, \&escaped_cases, \&body_cases) {
        renew($route);
        for my $case ($cases->($route)) {
            my ($where, $bytes, $strict) = @$case;
            my $fault = fault($bytes, $strict);
            push @bad, "$where: $fault: " . substr $bytes =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger, 0, 300 if $fault;
            $count++;
        }
    }
    is_deeply \@bad, [], $route->title . ": $count requests";
}

subtest 'lines are no fault in a text' => sub {
    my $user = $guest->{user};
    my $text = "One\r\ntwo\nthree\rfour\x{2028}five\t\x{7f}\x1b[31m";
    my $room = answer_ok($user->post('/chat/chatroom', {title => $text, system_prompt => $text}), 201, 'a room')->{chatroom};
    is_deeply [@$room{qw(title system_prompt)}], [$text, $text], 'has its texts as they were sent';
    is_deeply $user->get("/chat/chatroom/$room->{id}")->json->{chatroom}, $room, 'also later';
    is $user->send($room->{id}, $text)->{data}{content}, $text, 'so has a prompt';
    for my $accept ('application/json', 'text/markdown') {
        my $export = $user->get("/chat/chatroom/$room->{id}/export", Accept => $accept);
        is $export->code, 200, "and $accept of them";
        like $export->headers->content_disposition, qr/\Aattachment; filename="chatroom-$UUID\.\w+"\z/, 'under a name of ours';
    }
};

subtest 'keys' => sub {
    my $send = sub ($key) { $guest->{user}->post("/message/$guest->{room}", {content => 'x'}, 'Idempotency-Key' => $key) };
    problem_ok $send->($_), 400, 'not ' . s/([^ -~])/sprintf '\\x%02x', ord $1/ger
        for "a\tb", "a\x7f", "a\x80", "\x{a0}", "a\xe2\x80\xa8", "\x1b[31m", 'a b', '%0d%0a x';
    answer_ok $send->('%0d%0aX-Injected:yes'), 201, 'but what is visible, whatever it means elsewhere';
};

subtest 'ids of events' => sub {
    for my $id ("1-2%0d%0ax", "1-2\tx", '1-end%00', '%0a1-end', "1-e\xc4\x8and") {
        problem_ok $guest->{user}->get("/message/$guest->{room}/$guest->{id}/events", 'Last-Event-ID' => $id), 400, "not '$id'";
        problem_ok $guest->{user}->get("/message/$guest->{room}/$guest->{id}/events?last_event_id=" . url_escape($id)), 400, 'nor in a query';
    }
};

is_deeply [$stack->apache->children_pids], \@children, 'no child has died';
is_deeply [grep {/GEM0[25]0\d|SQLSTATE/} $stack->log->lines], [], 'and the database was never asked for anything that it cannot do';
