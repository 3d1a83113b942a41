# SPDX-License-Identifier: Apache-2.0
# Tickets: for browsers, whose EventSource can send no token. One use, one reply, sixty seconds, and no log has them.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Events qw(text_of);
use Gemclone::Raw;
use Gemclone::Stack;
use Mojo::File qw(path);
use Test::More;
use Time::HiRes qw(sleep);

plan tests => 6;

my $stack = Gemclone::Stack->start(
    fsync        => 0,
    children     => 1,
    log_level    => 'info gemclone:trace8',
    more_modules => ['status'],
    directives   => ['GemcloneQuota basic unlimited', 'ExtendedStatus On', '<Location "/server-status">',
        'SetHandler server-status', 'GemcloneEngine Off', '</Location>',
        q{LogFormat "%r %U %q %{Referer}i %{gemclone-user}n" all},
        'CustomLog "' . 'access_all' . '" all'],
);
my ($user, $other) = map { $stack->new_user } 1 .. 2;
my $room = $user->room;
my @tickets;

sub ticket ($client, $id) {
    my $res = $client->post('/auth/stream-ticket', {message_id => $id});
    push @tickets, $res->json->{ticket} if $res->code == 200;
    return $res;
}

sub with_ticket ($id, $ticket, $more = '') {
    return Gemclone::Events->open(url => $user->url, path => "/message/$room/$id/events?ticket=$ticket$more");
}

my $id = $user->send($room, 'Hello')->{reply}{id};
$user->wait_reply($room, $id);

subtest 'a ticket' => sub {
    my $json = answer_ok(ticket($user, $id), 200, 'for a reply');
    is $json->{expires_in}, 60, 'good for a minute';
    like $json->{ticket}, qr/\A[\w-]{43}\z/, 'cannot be guessed, and fits into an address';
    my @events = with_ticket($id, $json->{ticket})->rest;
    is $events[-1]{event}, 'done', 'opens its events without a token';
    is with_ticket($id, $json->{ticket})->answered->status, 401, 'once';
    is $stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.tickets'), 0, 'nothing of it is kept';
};

subtest 'while it is generated' => sub {
    my $long = $user->send($room, 'Long [[gap=200]]')->{reply}{id};
    my @parts = map { with_ticket($long, ticket($user, $long)->json->{ticket}) } 1 .. 2;
    my $event = $parts[0]->next;
    $parts[0]->reset;
    my $again = ticket($user, $long)->json->{ticket};
    my @rest = with_ticket($long, $again, "&last_event_id=$event->{id}")->rest;
    my $whole = $user->wait_reply($room, $long)->{content};
    is text_of($event, @rest), $whole, 'a page that comes back with another ticket and the last id misses nothing';
    is text_of($parts[1]->rest), $whole, 'another reader with a ticket of its own';
};

subtest 'not good' => sub {
    my $second = $user->send($room, 'Second')->{reply}{id};
    $user->wait_reply($room, $second);
    my $ticket = ticket($user, $id)->json->{ticket};
    is with_ticket($second, $ticket)->answered->status, 401, 'for another reply';
    is with_ticket($id, $ticket)->answered->status, 200, 'which does not use it up';
    my $late = ticket($user, $id)->json->{ticket};
    $stack->dbh->do(q{UPDATE gemclone.tickets SET expires_at = now() - interval '1 ms'});
    is with_ticket($id, $late)->answered->status, 401, 'after its time';
    is with_ticket($id, $_)->answered->status, 401, "made up: '$_'" for '', 'x', 'A' x 43, 'A' x 3000, '%00';
    my $open = ticket($user, $id)->json->{ticket};
    for my $path ("/message/$room/$id", "/message/$room", '/user/me', '/chat/chatroom') {
        problem_ok $stack->client->get("$path?ticket=$open"), 401, "for $path";
    }
    is with_ticket($id, $open)->answered->status, 200, 'it was for events only';
};

subtest 'whom it is given to' => sub {
    problem_ok ticket($other, $id), 404, 'not for the reply of another';
    problem_ok ticket($user, $id - 1), 404, 'nor for a prompt';
    problem_ok ticket($user, 999_999_999), 404, 'nor for nothing';
    problem_ok $stack->client->post('/auth/stream-ticket', {message_id => $id}), 401, 'nor without a token';
    problem_ok $user->post('/auth/stream-ticket', {message_id => $_}), 422, 'nor for what is no id',
        errors => ['/message_id']
        for undef, 'x', "$id", -1, 0, 1.5, [], 1e300;
    problem_ok $user->post('/auth/stream-ticket', {}), 422, 'nor without one', errors => ['/message_id'];
};

subtest 'a bad request with a ticket in it' => sub {
    push @tickets, my $ticket = 'SECRET' . 'x' x 37;
    Gemclone::Raw->request($_, url => $user->url, seconds => 2)
        for "GET /message/$room/$id/events?ticket=$ticket HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n",
        "GET /message/$room/$id/events?a=b&ticket=$ticket&c=d HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /message/$room/$id/events?ticket=$ticket HTTP/9.9\r\nHost: x\r\n\r\n",
        "GET /elsewhere?ticket=$ticket HTTP/1.1\r\nHost: x\r\n\r\n";
    ok 1, 'was answered';
};

subtest 'no log has one' => sub {
    cmp_ok scalar @tickets, '>=', 8, 'tickets were used';
    my $status = $stack->client->get('/server-status')->body;
    like $status, qr/Apache Server Status/, 'the status page';
    sleep 0.3;
    my %text = ('the status page' => $status);
    $text{$_} = path($stack->dir)->child($_)->slurp for qw(error_log access_log access_all);
    $text{'the log of Postgres'} = path($stack->postgres->log)->slurp;
    like $text{access_all}, qr/events\?ticket=- HTTP/, 'the request is logged, but for the ticket';
    like $text{access_all}, qr/events\?a=b&ticket=-&c=d HTTP/, 'and nothing else is missing';
    my @found = map { my $where = $_; map {"$where: $_"} grep { index($text{$where}, $_) >= 0 } @tickets } sort keys %text;
    is_deeply \@found, [], 'no log has a ticket';
    my $dump = join "\n", map { $_->[0] } @{$stack->dbh->selectall_arrayref('SELECT t::text FROM gemclone.tickets t')};
    is_deeply [grep { index($dump, $_) >= 0 } @tickets], [], 'nor has the database';
};
