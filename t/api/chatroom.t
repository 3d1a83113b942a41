# SPDX-License-Identifier: Apache-2.0
# Chatrooms: create, list, get, change, delete; by the paths of the first clients and by their other names.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Stack;
use Mojo::JSON qw(encode_json false true);
use Mojo::Util qw(b64_encode);
use utf8;

plan tests => 13, need 'gemclone';

my $stack = Gemclone::Stack->shared;
my $user = $stack->new_user;

my @BASES = ('/chat/chatroom', '/chatroom');
my $MEMBERS = [qw(created_at id model system_prompt title)];

for my $base (@BASES) {
    subtest "a room's life below $base" => sub {
        my $user = $stack->new_user;
        my $made = answer_ok($user->post($base, {title => 'Plans'}), 201, 'it is made');
        is_deeply [sort keys %$made], [qw(chatroom message)], 'the members of the answer';
        my $room = $made->{chatroom};
        is_deeply [sort keys %$room], $MEMBERS, 'and of the room';
        is_deeply [@$room{qw(title system_prompt model)}], ['Plans', undef, undef], 'as it was asked for';
        like $room->{id}, qr/\A$UUID\z/, 'the id is a UUID';
        like $room->{created_at}, qr/\A$TIME\z/, 'the time is RFC 3339';

        my $got = answer_ok($user->get("$base/$room->{id}"), 200, 'it can be got');
        is_deeply [sort keys %$got], [qw(chatroom message)], 'the members of the answer';
        is_deeply $got->{chatroom}, $room, 'it is the same';
        is_deeply answer_ok($user->get("$base/" . uc $room->{id}), 200, 'also by capitals')->{chatroom}, $room,
            'the same';

        my $list = answer_ok($user->get($base), 200, 'it is in the list');
        is_deeply [sort keys %$list], [qw(chatrooms message)], 'whose members are these';
        is_deeply $list->{chatrooms}, [$room], 'alone';

        my $changed
            = answer_ok($user->patch("$base/$room->{id}", {title => 'Old plans'}), 200, 'it gets another title');
        is_deeply $changed->{chatroom}, {%$room, title => 'Old plans'}, 'nothing else changes';
        is_deeply $user->get("$base/$room->{id}")->json->{chatroom}, $changed->{chatroom}, 'for good';

        my $gone = answer_ok($user->delete("$base/$room->{id}"), 200, 'it is deleted');
        is_deeply [keys %$gone], ['message'], 'with a message';
        problem_ok $user->request($_ => "$base/$room->{id}"), 404, "then there is none to $_" for qw(GET DELETE);
        problem_ok $user->patch("$base/$room->{id}", {title => 'x'}), 404, 'and none to PATCH';
        is_deeply answer_ok($user->get($base), 200, 'the list')->{chatrooms}, [], 'is empty';
    };
}

subtest 'both names are of the same rooms' => sub {
    my $user = $stack->new_user;
    my ($one, $two) = map { $user->post($_, {title => $_})->json->{chatroom} } @BASES;
    is_deeply $user->get($BASES[1])->json, $user->get($BASES[0])->json, 'the same list';
    is_deeply $user->get("$BASES[1]/$one->{id}")->json->{chatroom}, $one, 'the same room';
    is $user->delete("$BASES[0]/$two->{id}")->code, 200, 'either deletes the other\'s';
};

subtest 'the list is newest first' => sub {
    my $user = $stack->new_user;
    my @ids = map { $user->room("Room $_") } 1 .. 7;
    is_deeply [map { $_->{id} } @{$user->rooms}], [reverse @ids], 'in the reverse order of their making';
};

subtest 'settings of a room' => sub {
    my $json = answer_ok($user->post('/chat/chatroom',
        {title => 'x', system_prompt => 'Be brief.', model => 'gemini-3.6-flash'}), 201, 'come with its making');
    my $path = "/chat/chatroom/$json->{chatroom}{id}";
    is_deeply [@{$json->{chatroom}}{qw(system_prompt model)}], ['Be brief.', 'gemini-3.6-flash'], 'as sent';
    for my $step (
        [{system_prompt => 'Be long.'}, 'Be long.', 'gemini-3.6-flash'],
        [{model => undef}, 'Be long.', undef],
        [{model => 'gemini-3.5-flash-lite', system_prompt => undef}, undef, 'gemini-3.5-flash-lite'],
        [{}, undef, 'gemini-3.5-flash-lite'],
    ) {
        my ($body, $prompt, $model) = @$step;
        my $is = answer_ok($user->patch($path, $body), 200, encode_json $body)->{chatroom};
        is_deeply [@$is{qw(title system_prompt model)}], ['x', $prompt, $model], 'changes what it names, no more';
    }
};

subtest 'members that break a rule' => sub {
    my $path = '/chat/chatroom/' . $user->room;
    for my $case (
        [{title => ''}, '/title'],
        [{title => " \n"}, '/title'],
        [{title => 'x' x 201}, '/title'],
        [{title => 5}, '/title'],
        [{title => "a\0b"}, '/title'],
        [{title => ['x']}, '/title'],
        [{title => undef}, '/title'],
        [   {
                title => 'x',
                system_prompt => ''
            },
            '/system_prompt'
        ],
        [   {
                title => 'x',
                system_prompt => {}
            },
            '/system_prompt'
        ],
        [   {
                title => 'x',
                system_prompt => 'x' x 32_001
            },
            '/system_prompt'
        ],
        [   {
                title => 'x',
                model => 'Gemini 3'
            },
            '/model'
        ],
        [   {
                title => 'x',
                model => '../../files'
            },
            '/model'
        ],
        [   {
                title => 'x',
                model => ''
            },
            '/model'
        ],
        [   {
                title => 'x',
                model => true
            },
            '/model'
        ],
        [   {
                title => 'x',
                model => 'm' x 65
            },
            '/model'
        ],
        [   {
                title => 5,
                system_prompt => 5,
                model => 5
            },
            '/title',
            '/system_prompt',
            '/model'
        ],
    ) {
        my ($body, @pointers) = @$case;
        my $shown = substr encode_json($body), 0, 60;
        problem_ok $user->post('/chat/chatroom', $body), 422, "POST $shown", errors => \@pointers;
        problem_ok $user->patch($path, $body), 422, "PATCH $shown", errors => \@pointers;
    }
    problem_ok $user->post('/chat/chatroom', {}), 422, 'a room needs a title', errors => ['/title'];
    is $user->get($path)->json->{chatroom}{title}, 'A room', 'and nothing has changed';
};

subtest 'what else is sent does not matter' => sub {
    my $other = $stack->new_user;
    my $json = answer_ok(
        $user->post(
            '/chat/chatroom',
            {
                title => 'x',
                id => random_uuid,
                user_id => $other->user->{id},
                created_at => '1999-01-01T00:00:00Z',
                nested => [{a => [false]}]
            }
        ),
        201, 'a room'
    );
    unlike $json->{chatroom}{created_at}, qr/^1999/, 'has its own time';
    is_deeply $other->rooms, [], 'and its own owner';
};

subtest 'texts of all kinds' => sub {
    for my $title (
        'Zoë', '東京',
        "\x{1F1FA}\x{1F1F3}\x{1F469}\x{200D}\x{1F4BB}", "\x{5E9}\x{5DC}\x{5D5}\x{5DD}",
        "\x{202E}abc", '<script>alert(1)</script>',
        q{'; DROP TABLE gemclone.users; --}, "tab\tand\nline",
        "\x{10FFFD}", '%s%n$1',
        '\\', '"',
        "\x{1F600}" x 200
    ) {
        is answer_ok($user->post('/chat/chatroom', {title => $title}), 201, 'a title')->{chatroom}{title}, $title,
            'comes back';
        is $user->rooms->[0]{title}, $title, 'in the list too';
    }
};

subtest 'ids that are none' => sub {
    for my $id (random_uuid, '0' x 32, 'x', '1', '00000000-0000-0000-0000-00000000000', '{' . random_uuid . '}',
        random_uuid . '0', "'--", '%00', '..%2e', random_uuid =~ tr/-/_/r) {
        for my $base (@BASES) {
            problem_ok $user->get("$base/$id"), 404, "GET $base/$id";
            problem_ok $user->delete("$base/$id"), 404, 'DELETE';
            problem_ok $user->patch("$base/$id", {title => 'x'}), 404, 'PATCH';
        }
    }
};

subtest 'pages' => sub {
    my $user = $stack->new_user;
    my @ids = reverse map { $user->room("Room $_") } 1 .. 7;
    for my $base (@BASES) {
        my ($path, @seen, @sizes) = ("$base?limit=3");
        while ($path) {
            my $json = answer_ok($user->get($path), 200, $path);
            push @seen, map { $_->{id} } @{$json->{chatrooms}};
            push @sizes, scalar @{$json->{chatrooms}};
            $path = $json->{next_cursor} && "$base?cursor=$json->{next_cursor}&limit=3";
        }
        is_deeply \@seen, \@ids, 'they hold each room once, in order';
        is_deeply \@sizes, [3, 3, 1], 'and are as long as asked for';
    }
    ok !exists $user->get('/chat/chatroom?limit=7')->json->{next_cursor}, 'a page that holds all has no cursor';
    ok !exists $user->get('/chat/chatroom')->json->{next_cursor}, 'nor has the whole list';
    is @{$user->get('/chat/chatroom?limit=1&limit=5')->json->{chatrooms}}, 1, 'the first of two limits counts';
};

subtest 'a page stays right while rooms come and go' => sub {
    my $user = $stack->new_user;
    my @ids = reverse map { $user->room } 1 .. 6;
    my $first = $user->get('/chat/chatroom?limit=2')->json;
    $user->room('a newer one');
    $user->delete("/chat/chatroom/$ids[1]");    # the one at which the cursor stands
    my $second = $user->get("/chat/chatroom?limit=2&cursor=$first->{next_cursor}")->json;
    is_deeply [map { $_->{id} } @{$second->{chatrooms}}], [@ids[2, 3]], 'nothing comes twice and nothing is left out';
};

subtest 'limits and cursors that are none' => sub {
    for my $query (
        qw(limit=0 limit=101 limit=-1 limit=1.5 limit=x limit=1e1 limit=99999999999999999999 limit=%31
        cursor=x cursor=% cursor=AAAA cursor=../../), 'cursor=' . 'A' x 7_000,
        'cursor=' . b64_encode('x' x 24, '') . '%3d'
    ) {
        problem_ok $user->get("/chat/chatroom?$query"), 400, substr $query, 0, 40;
    }
    for my $query (qw(limit= cursor= limit), 'other=1', 'limit=1&&cursor') {
        cmp_ok $user->get("/chat/chatroom?$query")->code, '<', 500, "?$query";
    }
};

subtest 'a cursor that somebody made up' => sub {
    # 64 bits and a UUID, in base64: nothing stops a client from making one.
    my %time = (least => "\x80" . "\0" x 7, most => "\x7F" . "\xFF" x 7, minus_one => "\xFF" x 8, zero => "\0" x 8,
        far => pack('q>', 300_000 * 365 * 86_400 * 1_000_000), past => pack('q>', -5000 * 365 * 86_400 * 1_000_000));
    for my $name (sort keys %time) {
        for my $id ("\0" x 16, "\xFF" x 16) {
            my $cursor = b64_encode($time{$name} . $id, '') =~ tr{+/=}{-_}dr;
            for my $path ('/chat/chatroom', '/message/' . $user->room) {
                my $res = $user->get("$path?cursor=$cursor");
                ok $res->code == 200 || $res->code == 400, "the time $name on $path does no harm" or diag shown $res;
            }
        }
    }
};
