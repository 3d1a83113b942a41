# SPDX-License-Identifier: Apache-2.0
# Idempotency-Key on what creates: prompts and chatrooms; what is sent again is created once. Accounts: signup.t.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Stack;

plan tests => 13, need 'gemclone';

my $stack = Gemclone::Stack->shared;
my $dbh = $stack->dbh;

sub post ($user, $room, $key, $content = 'Hello') {
    return $user->post("/message/$room", {content => $content}, 'Idempotency-Key' => $key);
}

sub prompts ($user, $room) { return scalar grep { $_->{sender} eq 'user' } @{$user->messages($room)} }

subtest 'the same again' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    my $first = answer_ok(post($user, $room, 'key-1'), 201, 'the first time');
    is_deeply answer_ok(post($user, $room, 'key-1'), 201, 'the second time'), $first, 'the same answer';
    $user->wait_reply($room, $first->{reply}{id});
    is_deeply answer_ok(post($user, $room, 'key-1'), 201, 'when the reply is there'), $first, 'still the same answer';
    is prompts($user, $room), 1, 'one message';
    my ($used)
        = $dbh->selectrow_array('SELECT sum(prompts) FROM gemclone.usage WHERE user_id = ?', {}, $user->user->{id});
    is $used, 1, 'one is charged';
    my $path = "/chatroom/$room/message";
    is_deeply answer_ok($user->post($path, {content => 'Hello'}, 'Idempotency-Key' => 'key-1'), 201,
        'by the other path'),
        $first, 'it is the same route, and the same answer';
};

subtest 'another request under a key' => sub {
    my $user = $stack->new_user;
    my ($room, $other) = ($user->room, $user->room);
    answer_ok post($user, $room, 'key'), 201, 'the first';
    problem_ok post($user, $room, 'key', 'Another'), 422, 'another content';
    problem_ok post($user, $other, 'key'), 422, 'another room';
    problem_ok $user->post("/message/$room", '{"content": "Hello" }', 'Idempotency-Key' => 'key',
        'Content-Type' => 'application/json'), 422, 'the same content in other bytes';
    is prompts($user, $room), 1, 'nothing is created';
    is prompts($user, $other), 0, 'anywhere';
    answer_ok post($user, $room, 'KEY', 'Another'), 201, 'keys differ by case';
};

subtest 'keys are a user\'s own' => sub {
    my ($one, $other) = map { $stack->new_user } 1 .. 2;
    my ($room, $others) = ($one->room, $other->room);
    my $first = post($one, $room, 'same')->json;
    my $second = answer_ok(post($other, $others, 'same'), 201, 'another user may use the same');
    isnt $second->{data}{id}, $first->{data}{id}, 'and gets another message';
    problem_ok post($other, $room, 'same'), 404, 'and does not get the first one\'s answer by it';
};

subtest 'the same many times at once' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    my @answers = all_at_once map {
        $user->transaction(POST => "/message/$room", {content => 'Hello'}, 'Idempotency-Key' => 'race')
    } 1 .. 30;
    is_deeply [map { $_->code } @answers], [(201) x 30], 'all are answered';
    my %ids = map { ($_->json->{data}{id} => 1) } @answers;
    is keys %ids, 1, 'with one and the same message';
    is prompts($user, $room), 1, 'there is one';
};

subtest 'a key that was refused for the quota' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    post($user, $room, "key-$_") for 1 .. 5;
    problem_ok post($user, $room, 'later'), 429, 'the sixth';
    answer_ok post($user, $room, 'key-5'), 201, 'the fifth again is no new one';
    $dbh->do('UPDATE gemclone.usage SET day = day - 1 WHERE user_id = ?', {}, $user->user->{id});
    answer_ok post($user, $room, 'later'), 201, 'the next day its key is good';
    is prompts($user, $room), 6, 'and it is there';
};

subtest 'what was refused for another reason keeps no key' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    problem_ok post($user, random_uuid, 'key'), 404, 'no room';
    problem_ok post($user, $room, 'key', ''), 422, 'an empty prompt';
    answer_ok post($user, $room, 'key'), 201, 'the key is good';
};

subtest 'a day later' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    my $first = post($user, $room, 'key')->json;
    $dbh->do(q{UPDATE gemclone.idempotency SET created_at = created_at - interval '23 h 59 min' WHERE user_id = ?},
        {}, $user->user->{id});
    is post($user, $room, 'key')->json->{data}{id}, $first->{data}{id}, 'just before it, the key is known';
    $dbh->do(q{UPDATE gemclone.idempotency SET created_at = created_at - interval '2 min' WHERE user_id = ?}, {},
        $user->user->{id});
    my $second = answer_ok(post($user, $room, 'key', 'Another'), 201, 'just after it, it is free');
    isnt $second->{data}{id}, $first->{data}{id}, 'for another message';
};

subtest 'keys that are none' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    problem_ok post($user, $room, $_->[0]), 400, $_->[1]
        for ['', 'an empty one'], ['x' x 256, 'one of 256 characters'], ['a b', 'one with a space'],
        ["caf\xC3\xA9", 'one beyond ASCII'];
    is prompts($user, $room), 0, 'nothing is created';
    answer_ok post($user, $room, 'x' x 255), 201, 'one of 255 characters is good';
    answer_ok post($user, $room, q{"8e03978e-40d5-43e8-bc93-6894a57f9324"}), 201,
        'so is one in quotes, as the draft writes it';
};

# ---------------------------------------------------------------- chatrooms ----
sub make ($user, $key, $body = {title => 'Plans'}, $path = '/chat/chatroom') {
    return $user->post($path, $body, 'Idempotency-Key' => $key);
}

subtest 'a chatroom, the same again' => sub {
    my $user = $stack->new_user;
    my $body = {title => 'Zo\x{EB}', system_prompt => 'Be brief.', model => 'gemini-3.6-flash'};
    my $first = answer_ok(make($user, 'room', $body), 201, 'the first time');
    is_deeply answer_ok(make($user, 'room', $body), 201, 'the second time'), $first, 'the same answer';
    is_deeply answer_ok(make($user, 'room', $body, '/chatroom'), 201, 'by the other path'), $first, 'the same answer';
    is_deeply $user->rooms, [$first->{chatroom}], 'there is one room';
    my $path = "/chat/chatroom/$first->{chatroom}{id}";
    $user->patch($path, {title => 'Changed', system_prompt => undef});
    is_deeply answer_ok(make($user, 'room', $body), 201, 'when it has changed'), $first, 'the first answer all the same';
    is $user->get($path)->json->{chatroom}{title}, 'Changed', 'and nothing is changed back';
    $user->delete($path);
    is_deeply answer_ok(make($user, 'room', $body), 201, 'when it is gone'), $first, 'the same';
    is_deeply $user->rooms, [], 'and it stays gone';
};

subtest 'a chatroom, another request under its key' => sub {
    my $user = $stack->new_user;
    my $room = make($user, 'key')->json->{chatroom}{id};
    problem_ok make($user, 'key', {title => 'Others'}), 422, 'another title';
    problem_ok make($user, 'key', {title => 'Plans', model => undef}), 422, 'one more member';
    problem_ok post($user, $room, 'key'), 422, 'a prompt';
    post($user, $room, 'prompt');
    problem_ok make($user, 'prompt'), 422, 'a chatroom under the key of a prompt';
    is @{$user->rooms}, 1, 'nothing is created';
    problem_ok make($user, 'a b'), 400, 'a key that is none';
    problem_ok make($user, 'other', {title => ''}), 422, 'what is refused', errors => ['/title'];
    answer_ok make($user, 'other'), 201, 'keeps no key';
    my $another = answer_ok(make($stack->new_user, 'key'), 201, 'another user may use the same');
    isnt $another->{chatroom}{id}, $room, 'for another room';
};

subtest 'a chatroom, many times at once' => sub {
    my $user = $stack->new_user;
    my @answers = all_at_once map {
        $user->transaction(POST => '/chat/chatroom', {title => 'Plans'}, 'Idempotency-Key' => 'race')
    } 1 .. 30;
    is_deeply [map { $_->code } @answers], [(201) x 30], 'all are answered';
    my %bodies = map { ($_->body => 1) } @answers;
    is keys %bodies, 1, 'with one and the same room';
    is @{$user->rooms}, 1, 'there is one';
    my @differ = all_at_once map {
        $user->transaction(POST => '/chat/chatroom', {title => "Plan $_"}, 'Idempotency-Key' => 'differ')
    } 1 .. 20;
    is_deeply [sort map { $_->code } @differ], [201, (422) x 19], 'of different ones under one key one is made';
    is @{$user->rooms}, 2, 'one';
};

subtest 'a chatroom, a day later' => sub {
    my $user = $stack->new_user;
    my $first = make($user, 'key')->json;
    $dbh->do(q{UPDATE gemclone.idempotency SET created_at = created_at - interval '25 h' WHERE user_id = ?}, {},
        $user->user->{id});
    my $second = answer_ok(make($user, 'key'), 201, 'its key is free');
    isnt $second->{chatroom}{id}, $first->{chatroom}{id}, 'for another room';
    is_deeply answer_ok(make($user, 'key'), 201, 'and again'), $second, 'is that one\'s';
};

subtest 'where there is nothing to keep apart' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    my $reply = post($user, $room, 'prompt')->json->{reply}{id};
    my @tickets = map {
        answer_ok($user->post('/auth/stream-ticket', {message_id => $reply}, 'Idempotency-Key' => 'prompt'), 200, 'a ticket')
            ->{ticket}
    } 1 .. 2;
    isnt $tickets[0], $tickets[1], 'is another one each time: none is kept to be shown again';
};
