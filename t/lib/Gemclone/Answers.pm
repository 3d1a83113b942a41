# SPDX-License-Identifier: Apache-2.0
# One answer of every kind that there is, for tests of what all of them must have.
#
#   my $shop = Gemclone::Shop->start(directives => [@Gemclone::Answers::DIRECTIVES]);
#   for (answers_of_every_kind($shop, Origin => 'https://app.example.com')) {
#       my ($what, $expected_status, $status, $head) = @$_;
package Gemclone::Answers;
use Mojo::Base -strict, -signatures;

use Exporter 'import';
use Gemclone::Events;
use Gemclone::Raw;

our @EXPORT = qw(answers_of_every_kind);

# What a server needs for them.
our @DIRECTIVES = (
    'GemcloneQuota basic unlimited', '<Location "/denied">', 'Require all denied', '</Location>',
    '<Location "/auth/signup">', 'LimitRequestBody 2000', '</Location>',
);

# To requests that have all these headers; one that is undef is left out.
sub answers_of_every_kind ($shop, %with) {
    my $stack = $shop->stack;
    $stack->log->expect('AH01630');
    my $user = $stack->new_user;
    my $room = $user->room;
    my $id = $user->send($room, 'Hello')->{reply}{id};
    $user->wait_reply($room, $id);
    return (_ours($user, $room, $id, %with), _of_httpd($stack, $user, %with), _stream($user, $room, %with));
}

# (what, status, headers) of requests with a body or without.
sub _ours ($user, $room, $id, %with) {
    my @json = ('Content-Type' => 'application/json');
    my $etag = $user->get('/chat/chatroom', %with)->headers->etag;
    my @asked = (
        ['an answer to everybody', 200, GET => '/'],
        ['an answer to a user', 200, GET => '/user/me'],
        ['a list', 200, GET => '/chat/chatroom'],
        ['HEAD', 200, HEAD => '/chat/chatroom'],
        ['not modified', 304, GET => '/chat/chatroom', undef, 'If-None-Match' => $etag],
        ['something new', 201, POST => "/message/$room", {content => 'Hello'}],
        ['the whole of a stream', 200, GET => "/message/$room/$id/events"],
        ['nothing more of it', 204, GET => "/message/$room/$id/events", undef, 'Last-Event-ID' => '1-end'],
        ['an address of Stripe\'s, which was asked first', 200, POST => '/subscribe/pro', ''],
        ['a body that is none', 400, POST => '/auth/signup', '{', @json],
        ['a token that is none', 401, GET => '/user/me', undef, Authorization => 'Bearer x'],
        ['no such address', 404, GET => '/nothing'],
        ['nor for OPTIONS', 404, OPTIONS => '/nothing'],
        ['another method', 405, PUT => '/user/me'],
        ['a body that is no JSON', 415, POST => '/auth/signup', '{}', 'Content-Type' => 'text/plain'],
        ['a body that breaks a rule', 422, POST => '/auth/signup', {}],
    );
    return map { _asked($user, \%with, @$_) } @asked;
}

sub _of_httpd ($stack, $user, %with) {
    my @asked = (
        ['httpd: forbidden', 403, GET => '/denied'],
        ['httpd: a body too long', 413, POST => '/auth/signup', 'x' x 3000, 'Content-Type' => 'application/json'],
    );
    my $lines = join '', map {"$_: $with{$_}\r\n"} grep { defined $with{$_} } sort keys %with;
    $lines = "Host: x\r\n$lines" unless $with{Host};
    my @raw = (['httpd: a path that climbs', 400, '/../x'], ['httpd: a slash that is encoded', 404, '/user%2fme']);
    return (
        map({ _asked($user, \%with, @$_) } @asked),
        map {
            my ($code, $head)
                = Gemclone::Raw->request("GET $_->[2] HTTP/1.1\r\n${lines}Connection: close\r\n\r\n", url => $stack->url);
            [@$_[0, 1], $code, $head];
        } @raw
    );
}

sub _asked ($user, $with, $what, $status, $method, $path, $body = undef, @headers) {
    my $res = $user->request($method => $path, $body, %$with, @headers);
    return [$what, $status, $res->code, $res->headers->to_string];
}

sub _stream ($user, $room, %with) {
    delete $with{$_} for grep { !defined $with{$_} } keys %with;
    my $events = Gemclone::Events->of_prompt($user, $room, 'Hello', headers => \%with)->answered;
    $events->rest;
    return ['a stream as it comes', 201, $events->status, $events->head];
}

1;
