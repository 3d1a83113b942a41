# SPDX-License-Identifier: Apache-2.0
# Nobody sees, changes or detects another user's room or message, by any route, method or id.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Routes;
use Gemclone::Stack;
use Mojo::JSON qw(encode_json);

my $stack = Gemclone::Stack->shared;
my $dbh = $stack->dbh;
my ($owner, $other) = map { $stack->new_user } 1 .. 2;

my $room = $owner->room('Secret');
my $sent = $owner->send($room, 'A secret prompt');
$owner->wait_reply($room, $sent->{reply}{id});
my ($prompt, $reply) = ($sent->{data}{id}, $sent->{reply}{id});
my $others_room = $other->room('Mine');
my $others_prompt = $other->send($others_room, 'Hello')->{data}{id};

# Every route with a room in its path, as the table has it.
my @ROUTES = map { [$_->method, $_->pattern] } grep { $_->pattern =~ /\{room\}/ } Gemclone::Routes->all;
my %BODY = (PATCH => {title => 'Stolen', system_prompt => 'x'}, POST => {content => 'Intrusion'});

plan tests => 6 + @ROUTES, need 'gemclone';

# All that is stored of a user, as one text.
sub state_of ($user) {
    return join "\n", map {
        map { join "\t", map { $_ // 'NULL' } @$_ } @{$dbh->selectall_arrayref($_, {}, $user->user->{id})}
    } (
        'SELECT * FROM gemclone.users WHERE id = ?',
        'SELECT * FROM gemclone.chatrooms WHERE user_id = ? ORDER BY id',
        'SELECT m.* FROM gemclone.messages m JOIN gemclone.chatrooms r ON r.id = m.room_id WHERE r.user_id = ? ORDER BY 2',
        'SELECT * FROM gemclone.usage WHERE user_id = ? ORDER BY day',
        'SELECT user_id, key, answer FROM gemclone.idempotency WHERE user_id = ? ORDER BY key',
        'SELECT * FROM gemclone.jobs WHERE user_id = ? ORDER BY reply_id',
    );
}

cmp_ok scalar @ROUTES, '>=', 10, 'there are routes to try';
eventually(
    sub { !$dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs WHERE user_id = ?', {}, $other->user->{id}) });
my ($owners, $others) = map { state_of($_) } $owner, $other;

for my $route (@ROUTES) {
    my ($method, $pattern) = @$route;
    subtest "$method $pattern" => sub {
        my $missing = random_uuid;
        my $ask = sub ($room, $id = $prompt, %headers) {
            my $path = $pattern =~ s/\{room\}/$room/r =~ s/\{id\}/$id/r;
            return $other->request($method => $path, $BODY{$method}, %headers);
        };
        my $none = $ask->($missing);
        problem_ok $none, 404, 'a room that does not exist';
        same_answer $ask->($room), $none, 'one that is another\'s looks the same';
        same_answer $ask->(uc $room), $none, 'in capitals as well';
        same_answer $ask->($room, $_), $ask->($missing, $_), "with the message $_"
            for $reply, $others_prompt, 1, 9_007_199_254_740_991, 0, 'x';
        same_answer $ask->($others_room, $_), $none, 'a message that is another\'s in a room of one\'s own'
            for $pattern =~ /\{id\}/ ? ($prompt, $reply) : ();
        my $length
            = $method eq 'GET'
            ? $other->request(HEAD => $pattern =~ s/\{room\}/$room/r =~ s/\{id\}/$prompt/r)
            : $none;
        is $length->headers->content_length, $none->headers->content_length, 'HEAD tells no more';
        same_answer $ask->($room, $prompt, 'If-None-Match' => '*'), $ask->($missing, $prompt, 'If-None-Match' => '*'),
            'nor do conditions';
        same_answer $ask->($room, $prompt, 'Idempotency-Key' => 'x'), $none, 'nor an Idempotency-Key';
        is state_of($owner), $owners, 'nothing of the owner\'s has changed';
        is state_of($other), $others, 'and nothing of the intruder\'s';
    };
}

subtest 'a body that is wrong is no oracle' => sub {
    for my $path ("/message/%s", "/chatroom/%s/message") {
        my ($missing, $there) = map { $other->post(sprintf($path, $_), {content => ''}) } random_uuid, $room;
        same_answer $there, $missing, $path;
    }
    my ($missing, $there) = map { $other->patch("/chat/chatroom/$_", {title => 1}) } random_uuid, $room;
    same_answer $there, $missing, 'PATCH';
};

subtest 'queries are no oracle' => sub {
    for my $query (
        'limit=1', 'limit=0',
        'cursor=x', 'limit=100&cursor=' . ($owner->get("/message/$room?limit=1")->json->{next_cursor})
    ) {
        my ($missing, $there) = map { $other->get("/message/$_?$query") } random_uuid, $room;
        same_answer $there, $missing, $query;
    }
};

subtest 'lists are a user\'s own' => sub {
    is_deeply [map { $_->{id} } @{$other->rooms}], [$others_room], 'the list';
    $owner->room for 1 .. 3;
    my $cursor = $owner->get('/chat/chatroom?limit=2')->json->{next_cursor};
    my $page = answer_ok($other->get("/chat/chatroom?cursor=$cursor"), 200, 'a page by another\'s cursor');
    is_deeply [grep { $_->{id} ne $others_room } @{$page->{chatrooms}}], [], 'shows nobody else\'s';
    unlike $other->get($_)->body, qr/Secret|secret/, $_
        for '/chat/chatroom', '/chatroom', '/user/me', "/message/$others_room";
};

subtest 'an ETag of another\'s is of no use' => sub {
    my $etag = $owner->get("/chat/chatroom/$room")->headers->etag;
    is $other->get("/chat/chatroom/$room", 'If-None-Match' => $etag)->code, 404, 'for the room';
    $etag = $owner->get('/chat/chatroom')->headers->etag;
    is $other->get('/chat/chatroom', 'If-None-Match' => $etag)->code, 200, 'for the list';
};

subtest 'the token alone says who it is' => sub {
    my $id = $owner->user->{id};
    for my $trick (
        ["?user_id=$id"],
        ['', 'X-User-Id' => $id],
        ['', 'X-Forwarded-User' => $id],
        ['', Cookie => "user_id=$id"],
        ['', 'X-HTTP-Method-Override' => 'DELETE'],
        ['?access_token=' . $owner->token]
    ) {
        my ($query, @headers) = @$trick;
        is_deeply [map { $_->{id} } @{$other->get("/chat/chatroom$query", @headers)->json->{chatrooms}}],
            [$others_room],
            "$query @headers";
    }
};
