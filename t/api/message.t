# SPDX-License-Identifier: Apache-2.0
# Messages: send, list, get one; pages; texts of all kinds.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Stack;
use Gemclone::Standin;
use Mojo::JSON qw(encode_json false true);
use Mojo::Util qw(b64_encode);
use utf8;

plan tests => 11, need 'gemclone';

my $stack = Gemclone::Stack->shared;

# A user who may send as much as these tests do.
sub new_user () {
    my $user = $stack->new_user;
    $stack->dbh->do(q{UPDATE gemclone.users SET tier = 'pro' WHERE id = ?}, {}, $user->user->{id});
    return $user;
}

my $user = new_user;
my $room = $user->room;

for my $path ('/message/%s', '/chatroom/%s/message') {
    subtest "sending by $path" => sub {
        my $room = $user->room;
        my $json = answer_ok($user->post(sprintf($path, $room), {content => 'Hello'}), 201, 'a prompt');
        is_deeply [sort keys %$json], [qw(data message reply)], 'the members of the answer';
        is_deeply [sort keys %{$json->{data}}], [qw(chatroom_id content created_at id sender)], 'those of data';
        is_deeply [@{$json->{data}}{qw(chatroom_id content sender)}], [$room, 'Hello', 'user'], 'what they say';
        like $json->{data}{created_at}, qr/\A$TIME\z/, 'the time is RFC 3339';
        is_deeply [sort keys %{$json->{reply}}], [qw(id status)], 'the members of reply';
        is $json->{reply}{status}, 'pending', 'it is pending';
        like encode_json($json->{$_->[0]}), qr/"$_->[1]":\d+[,}]/, "the id of $_->[0] is a number"
            for [qw(data id)], [qw(reply id)];
        cmp_ok $json->{reply}{id}, '>', $json->{data}{id}, 'the reply comes after the prompt';
        cmp_ok $json->{reply}{id}, '<', 2**53, 'ids are exact in a browser';
    };
}

subtest 'the list' => sub {
    my $room = $user->room;
    is_deeply answer_ok($user->get("/message/$room"), 200, 'of an empty room'), [], 'is a bare, empty array';
    my $sent = $user->send($room, 'Hello [[delay=300]]');
    my ($prompt, $reply) = @{answer_ok($user->get("/message/$room"), 200, 'while the reply is generated')};
    is_deeply $prompt, {id => $sent->{data}{id}, sender => 'user', content => 'Hello [[delay=300]]',
        created_at => $sent->{data}{created_at}, status => 'done'}, 'the prompt';
    like delete $reply->{status}, qr/\A(?:pending|generating)\z/, 'the reply is not done';
    is_deeply $reply, {id => $sent->{reply}{id}, sender => 'gemini', content => '', prompt_id => $sent->{data}{id},
        created_at => $sent->{data}{created_at}}, 'the reply';
    ok eventually(sub { $user->messages($room)->[1]{status} eq 'generating' }, 5)
        || $user->messages($room)->[1]{status} eq 'done', 'a reply that is generated says so';

    $user->wait_reply($room, $sent->{reply}{id});
    my $done = $user->messages($room)->[1];
    is $done->{status}, 'done', 'then it is done';
    is $done->{content}, 'You said: Hello. I remember 0 earlier turns (0 yours): [].', 'and has its text';
};

subtest 'one message' => sub {
    my $sent = $user->send($room, 'One');
    $user->wait_reply($room, $sent->{reply}{id});
    my $prompt = answer_ok($user->get("/message/$room/$sent->{data}{id}"), 200, 'the prompt')->{data};
    is_deeply [sort keys %$prompt], [qw(chatroom_id content created_at id sender status tokens)], 'its members';
    is $prompt->{content}, 'One', 'its text';
    my $json = answer_ok($user->get("/message/$room/$sent->{reply}{id}"), 200, 'the reply');
    is_deeply [sort keys %$json], [qw(data message)], 'the members of the answer';
    my %reply = %{$json->{data}};
    is_deeply [sort keys %reply], [qw(cached_tokens chatroom_id content created_at finish_reason finished_at id model
        prompt_id prompt_tokens sender status thought_tokens tokens)], 'those of the reply';
    is $reply{model}, 'gemini-3.8-flash', 'the model';
    is $reply{finish_reason}, 'STOP', 'why it ended';
    is $reply{prompt_tokens}, Gemclone::Standin->tokens('One'), 'tokens of what was sent';
    is $reply{tokens}, Gemclone::Standin->tokens($reply{content}), 'and of the reply';
    like $reply{finished_at}, qr/\A$TIME\z/, 'when it ended';
    cmp_ok $reply{finished_at}, 'gt', $reply{created_at}, 'after it was asked for';
    my ($listed) = grep { $_->{id} == $reply{id} } @{$user->messages($room)};
    is_deeply $listed, {%reply{keys %$listed}}, 'the list says the same';
};

subtest 'ids that are none' => sub {
    my $other = $user->room;
    my $id = $user->send($other, 'Hello')->{data}{id};
    problem_ok $user->get("/message/$room/$id"), 404, 'a message of another room';
    for my $id (0, -1, '9' x 15, '9' x 16, '9' x 17, '9' x 40, 'x', '1x', '0x1', '1.0', '%20', "1'", random_uuid,
        '+1') {
        problem_ok $user->get("/message/$room/$id"), 404, "the id $id";
    }
    for my $room (random_uuid, 'x', 0, '%00') {
        problem_ok $user->get("/message/$room"), 404, "the messages of $room";
        problem_ok $user->get("/message/$room/$id"), 404, 'one of them';
        problem_ok $user->post($_, {content => 'x'}), 404, "POST $_" for "/message/$room", "/chatroom/$room/message";
    }
};

subtest 'the last id that there can be' => sub {
    my $room = $user->room;
    $stack->dbh->do(q{INSERT INTO gemclone.messages (room_id, id, sender, status, content, tokens)
        VALUES (?, 9007199254740991, 'user', 'done', 'Last', 1)}, {}, $room);
    like $user->get("/message/$room")->body, qr/"id":9007199254740991,/, 'is exact in the list';
    my $json = answer_ok($user->get("/message/$room/9007199254740991"), 200, 'can be got');
    is $json->{data}{content}, 'Last', 'and is the one';
    problem_ok $user->get("/message/$room/$_"), 404, "$_ is none"
        for qw(9007199254740990 9007199254740992 9223372036854775807 9223372036854775808 18446744073709551616);
};

subtest 'contents that break a rule' => sub {
    my $before = @{$user->messages($room)};
    for my $content (undef, '', '   ', "\n", 7, true, ['x'], {text => 'x'}, "a\0b", 'x' x 32_001) {
        my $shown = substr encode_json([$content]), 0, 40;
        problem_ok $user->post("/message/$room", {content => $content}), 422, $shown, errors => ['/content'];
    }
    problem_ok $user->post("/message/$room", {}), 422, 'none', errors => ['/content'];
    problem_ok $user->post("/message/$room", []), 422, 'no object', errors => [''];
    problem_ok $user->post("/message/$room", $_, 'Content-Type' => 'application/json'), 422, "no object: $_",
        errors => ['']
        for qw(null 1 "text" true);
    is @{$user->messages($room)}, $before, 'none of them is kept';
    answer_ok $user->post("/message/$room", {content => 'x', sender => 'gemini', status => 'failed', id => 1}),
        201, 'members unknown';
    is $user->messages($room)->[-2]{sender}, 'user', 'are ignored';
};

subtest 'texts of all kinds, there and back' => sub {
    my $room = $user->room;
    my @texts = (
        "\x{1F600}\x{1F468}\x{200D}\x{1F469}\x{200D}\x{1F467}", "\x{5E9}\x{5DC}\x{5D5}\x{5DD} \x{202E}abc",
        "\x{10FFFD}\x{FFFD}", "line\nline\r\nline\ttab",
        '<b>"\\u0000"</b>\\', "e\x{301}\x{E9}",
        'SELECT 1; --', "\x{7F}\x{85}\x{2028}\x{FEFF}",
        "\x{1}\x{1F}", 'x' x 32_000,
        "\x{1F600}" x 32_000
    );
    my @sent = map { $user->send($room, $_) } @texts;
    $user->wait_reply($room, $sent[-1]{reply}{id});
    my @messages = @{$user->messages($room)};
    for my $i (0 .. $#texts) {
        my ($prompt, $reply) = @messages[2 * $i, 2 * $i + 1];
        ok $prompt->{content} eq $texts[$i], "text $i is kept as it was sent";
        is $reply->{status}, 'done', 'and answered';
        ok $reply->{content} =~ /\AYou said: \Q$texts[$i]\E\. I remember/, 'Gemini saw it as it was';
    }
};

subtest 'escapes are the characters that they mean' => sub {
    my $room = $user->room;
    my $post = sub ($json) { $user->post("/message/$room", $json, 'Content-Type' => 'application/json') };
    my $json = answer_ok($post->('{"content":"\ud83d\ude00\u00e9\/"}'), 201, 'a pair of surrogates');
    is $json->{data}{content}, "\x{1F600}é/", 'is one character';
    problem_ok $post->('{"content":"\ud83d"}'), 400, 'half a pair';
    problem_ok $post->('{"content":"\ude00\ud83d"}'), 400, 'a pair in the wrong order';
    problem_ok $post->("{\"content\":\"\xED\xA0\x80\"}"), 400, 'a surrogate in UTF-8';
    problem_ok $post->("{\"content\":\"\xC0\x80\"}"), 400, 'U+0000 in two bytes';
    problem_ok $post->("{\"content\":\"\xF4\x90\x80\x80\"}"), 400, 'beyond U+10FFFF';
    problem_ok $post->('{"content":"a\u0000b"}'), 422, 'U+0000 as an escape', errors => ['/content'];
};

subtest 'pages' => sub {
    my $room = $user->room;
    my @ids = map { my $sent = $user->send($room, "Prompt $_"); ($sent->{data}{id}, $sent->{reply}{id}) } 1 .. 4;
    $user->wait_reply($room, $ids[-1]);
    my ($path, @seen, @sizes) = ("/message/$room?limit=3");
    while ($path) {
        my $json = answer_ok($user->get($path), 200, $path);
        push @seen, map { $_->{id} } @{$json->{messages}};
        push @sizes, scalar @{$json->{messages}};
        $path = $json->{next_cursor} && "/message/$room?limit=3&cursor=$json->{next_cursor}";
    }
    is_deeply \@seen, \@ids, 'they hold each message once, in order';
    is_deeply \@sizes, [3, 3, 2], 'and are as long as asked for';
    is_deeply $user->get("/message/$room?limit=100")->json->{messages}, $user->messages($room),
        'one page of all is the list';
    my $empty = answer_ok($user->get('/message/' . $user->room . '?limit=5'), 200, 'a page of an empty room');
    is_deeply $empty->{messages}, [], 'is empty';
    problem_ok $user->get('/message/' . random_uuid . '?limit=5'), 404, 'a page of no room';
    problem_ok $user->get("/message/$room?$_"), 400, "?$_" for qw(limit=0 limit=101 limit=x cursor=!);
};

subtest 'a cursor of one list in another' => sub {
    my ($mine, $other) = ($user->room, new_user);
    $user->send($mine, "Prompt $_") for 1 .. 2;
    my $cursor = $user->get("/message/$mine?limit=1")->json->{next_cursor};
    my $theirs = $other->room;
    my $sent = $other->send($theirs, 'Hello');
    my $json = answer_ok($other->get("/message/$theirs?cursor=$cursor"), 200, 'of another user\'s room');
    is_deeply [grep { $_ != $sent->{data}{id} && $_ != $sent->{reply}{id} } map { $_->{id} } @{$json->{messages}}],
        [],
        'shows nothing but the room\'s own';
    is $other->get("/chat/chatroom?cursor=$cursor")->code, 200, 'of messages in the list of rooms does no harm';
};
