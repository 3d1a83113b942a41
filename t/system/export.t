# SPDX-License-Identifier: Apache-2.0
# What users take home, however much it is: all of it, in memory that does not grow with it, at the client's pace, and
# never half of it as if it were the whole.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Raw;
use Gemclone::Stack;
use Mojo::File qw(path);
use Mojo::JSON qw(decode_json);
use Test::More;
use Time::HiRes qw(sleep time);
use utf8;

use constant {FIONREAD => 0x541B, SANITIZED => !!$ENV{GEMCLONE_SANITIZE}};
use constant {PLACES => 2, MOST_GROWTH => 16 * 1024};

plan tests => 9;

# One connection to Postgres: whoever kept it while a client reads would keep everybody else from it.
my $stack = Gemclone::Stack->start(fsync => 0, children => 1, directives => [
    'GemcloneQuota basic unlimited', 'GemcloneBlockingStreams ' . PLACES, 'GemcloneDatabaseConnections 1',
    'GemcloneCacheTTL 1s']);
my ($child) = $stack->apache->children_pids;

# Turns of a prompt and its reply in a room, each text of so many characters; every tenth reply is an older version.
sub fill ($room, $turns, $characters) {
    $stack->dbh->do(q{
        WITH ids AS MATERIALIZED (
            SELECT i, nextval('gemclone.message_id') AS prompt, nextval('gemclone.message_id') AS reply
            FROM generate_series(1, $2::int) i)
        INSERT INTO gemclone.messages (room_id, id, parent_id, superseded, sender, status, content, tokens)
        SELECT $1::uuid, CASE k WHEN 0 THEN prompt ELSE reply END, CASE k WHEN 1 THEN prompt END, k = 1 AND i % 10 = 0,
               CASE k WHEN 0 THEN 'user' ELSE 'gemini' END, 'done', left(k || ' "ü" \\ ' || i || repeat(' text', $3::int), $3), 2
        FROM ids, generate_series(0, 1) k}, {}, $room, $turns, $characters);
    return $room;
}

# A user with a room of so many MB.
sub rich ($megabytes) {
    my $user = $stack->new_user;
    my $room = fill($user->room('Long'), $megabytes * 25, 20_000);
    return ($user, $room);
}

sub stored ($room) {
    return $stack->dbh->selectcol_arrayref('SELECT content FROM gemclone.messages WHERE room_id = ? ORDER BY id', {}, $room);
}

# A connection on which this was asked, and nothing has been read yet.
sub begin ($user, $path = '/user/me/export', $line = 'GET', @headers) {
    return Gemclone::Raw->new(url => $stack->url)->send(join "\r\n", "$line $path HTTP/1.1", 'Host: x',
        'Authorization: Bearer ' . $user->token, 'Connection: close', @headers, '', '');
}

# Reads what is left: (how long it was, whether the last chunk came, the last bytes before that).
sub drain ($raw) {
    my ($length, $last) = (0, '');
    while ($raw->socket->sysread(my $some, 262_144)) {
        $length += length $some;
        $last = substr "$last$some", -1000;
    }
    my $is_whole = $last =~ s/\r\n0\r\n\r\n\z//;
    $last =~ s/\r\n[0-9a-f]+\r\n//g;
    return ($length, $is_whole, $last);
}

sub unread ($raw) {
    ioctl $raw->socket, FIONREAD, my $count = pack 'i', 0 or die "ioctl: $!";
    return unpack 'i', $count;
}

# An answer that has begun and cannot go on, since its client reads nothing.
sub stalled ($raw) {
    $raw->socket->sysread(my $head, 4096) or die 'no answer';
    $head =~ m{\AHTTP/1\.1 200 .*^Transfer-Encoding: chunked}sm or die "no answer in chunks: $head";
    my $before = -1;
    eventually(sub {
        my $now = unread($raw);
        return 1 if $now == $before;
        $before = $now;
        sleep 0.5;
        return 0;
    }) or die 'it does not stand still';
    return $raw;
}

sub resident () { return (path("/proc/$child/status")->slurp =~ /^VmHWM:\s+(\d+) kB/m)[0] }

subtest 'all of an account' => sub {
    my $user = $stack->new_user(name => 'Zoë');
    $user->patch('/chat/chatroom/' . $user->room('Empty'), {system_prompt => 'Be brief.'});
    my $spoken = $user->room('Spoken');
    my $sent = $user->send($spoken, 'Hello');
    $user->wait_reply($spoken, $sent->{reply}{id});
    $user->wait_reply($spoken, $user->post("/message/$spoken/$sent->{reply}{id}/regenerate", '')->json->{reply}{id});
    my @many = map { $user->room("Room $_") } 1 .. 45;
    $stack->dbh->do(q{INSERT INTO gemclone.usage VALUES (?, '2025-01-31', 3, 30, 300)}, {}, $user->user->{id});
    my $res = $user->get('/user/me/export');
    my $json = answer_ok($res, 200, 'a document');
    is $res->headers->content_disposition, 'attachment; filename="gemclone-export.json"', 'to be kept as a file';
    ok $res->headers->etag, 'that is short enough for an ETag';
    is_deeply [sort keys %$json], [qw(chatrooms message sessions subscription usage user)], 'its members';
    is_deeply $json->{user}, $user->get('/user/me')->json->{user}, 'the account';
    is_deeply $json->{subscription}, $user->get('/subscription/status')->json, 'what it has';
    is_deeply $json->{sessions}, $user->get('/auth/sessions')->json->{sessions}, 'its sessions';
    my $today = $user->get('/user/me/usage')->json->{usage}{today};
    my ($first, $last, @more) = map { my %day = %$_; delete $day{day}; [$_->{day}, \%day] } @{$json->{usage}};
    is_deeply $first, ['2025-01-31', {prompts => 3, input_tokens => 30, output_tokens => 300}], 'its days';
    is_deeply [$last->[1], @more], [$today], 'up to today';
    is_deeply [map { $_->{chatroom} } @{$json->{chatrooms}}], $user->rooms, 'all chatrooms, as they are listed';
    my %room = map { $_->{chatroom}{id} => $_ } @{$json->{chatrooms}};
    is_deeply [map { scalar @{$_->{messages}} } @room{$spoken, @many}], [3, (0) x @many], 'with their messages';
    my $alone = $user->get("/chat/chatroom/$spoken/export")->json;
    delete $alone->{message};
    is_deeply $room{$spoken}, $alone, 'and as they are exported alone';
    is_deeply $stack->new_user->get('/user/me/export')->json->{chatrooms}, [], 'nobody else has them';
};

subtest 'long ones' => sub {
    my $user = $stack->new_user;
    my @rooms = map { $user->room("Room $_") } 1 .. 4;
    # Many short ones, some long ones, one that is longer than a page, none.
    fill($rooms[0], 1500, 30);
    fill($rooms[1], 30, 30_000);
    fill($rooms[2], 1, 700_000);
    my $res = $user->get('/user/me/export');
    my $json = answer_ok($res, 200, 'an account');
    is $res->headers->content_disposition, 'attachment; filename="gemclone-export.json"', 'as a file';
    is $res->headers->etag, undef, 'without an ETag';
    is_deeply [map { $_->{chatroom}{id} } @{$json->{chatrooms}}], [reverse @rooms], 'with all rooms';
    is_deeply [map { $_->{content} } @{$json->{chatrooms}[3 - $_]{messages}}], stored($rooms[$_]), 'and all that was said'
        for 0 .. 3;
    is scalar(grep { $_->{superseded} } @{$json->{chatrooms}[3]{messages}}), 150, 'older versions, too';
    for my $room (@rooms[0 .. 2]) {
        my $alone = answer_ok($user->get("/chat/chatroom/$room/export"), 200, 'one room');
        is_deeply [map { $_->{content} } @{$alone->{messages}}], stored($room), 'has the same';
        my $text = $user->get("/chat/chatroom/$room/export", Accept => 'text/markdown')->text;
        is scalar(() = $text =~ /^## (?:You|Gemini), /mg), scalar @{$alone->{messages}}, 'as Markdown, too';
        ok index($text, $alone->{messages}[-1]{content}) > 0, 'to the last';
    }
    my ($head, $get) = map { (split /\r\n\r\n/, begin($user, '/user/me/export', $_)->read(20), 2)[0] } qw(HEAD GET);
    like $get, qr/^Transfer-Encoding: chunked\r$/m, 'it comes in chunks';
    s/^(?:Date|Transfer-Encoding): .*\r\n//mg for $head, $get;
    is $head, $get, 'but for that, HEAD has the same headers';
};

my ($rich, $long) = rich(60);

subtest 'memory' => sub {
    fill($rich->room, 3, 20_000);
    answer_ok $rich->get("/message/$long?limit=100"), 200, 'a page, as a measure';
    drain(begin($stack->new_user));
    for my $path ('/user/me/export', "/chat/chatroom/$long/export") {
        my $before = resident;
        my ($length, $is_whole, $last) = drain(begin($rich, $path));
        cmp_ok $length, '>', 60_000_000, "$path is long";
        ok $is_whole, 'and whole';
        like $last, $path =~ /me/ ? qr/\]\}\]\}\z/ : qr/\]\}\z/, 'to its end';
        note sprintf '%d kB for %d', resident() - $before, $length / 1024;
        SANITIZED ? pass('a sanitizer keeps what was freed')
            : cmp_ok resident() - $before, '<', MOST_GROWTH, 'and takes little memory';
    }
};

subtest 'at the pace of its client' => sub {
    my $raw = stalled(begin($rich));
    my $other = $stack->new_user;
    my $began = time;
    answer_ok $other->get('/user/me/usage'), 200, 'while one does not read on, others are served';
    cmp_ok time - $began, '<', 2, 'at once: no connection to Postgres is held';
    ok +(drain($raw))[1], 'and it gets all of it';
};

subtest 'no more than there are places' => sub {
    my @readers = map { stalled(begin($rich)) } 1 .. PLACES;
    problem_ok $rich->get($_), 503, "then there is none for $_" for '/user/me/export', "/chat/chatroom/$long/export";
    is +(split ' ', begin($rich, '/user/me/export', 'HEAD')->read(20))[1], 200, 'HEAD needs none';
    answer_ok $stack->new_user->get('/user/me/export'), 200, 'nor does a short one';
    ok +(drain(shift @readers))[1], 'when one is at its end';
    ok +(drain(begin($rich)))[1], 'there is room for another';
    $_->socket->close for @readers;    # a client that leaves
    ok eventually(sub { (begin($rich)->read(0.3) =~ m{^HTTP/1\.1 (\d+)})[0] == 200 }), 'that of one who leaves is free as well';
    ok eventually(sub { (drain(begin($rich)))[1] }), 'again and again';
};

$stack->log->expect('GEM0502');

subtest 'a room that goes meanwhile' => sub {
    my $user = $stack->new_user;
    my ($small, $first) = ($user->room('Small'), fill($user->room('Long'), 1000, 20_000));
    my $raw = stalled(begin($user));
    answer_ok $user->delete("/chat/chatroom/$small"), 200, 'before it is read';
    my ($length, $is_whole, $last) = drain($raw);
    ok $is_whole, 'is left out';
    like $last, qr/"chatroom_id":"$first"[^[]*\]\}\]\}\z/, 'there is nothing of it';
    for my $path ('/user/me/export', '/chat/chatroom/{room}/export') {
        $raw = stalled(begin($user, $path =~ s/\{room\}/$first/r));
        answer_ok $user->delete("/chat/chatroom/$first"), 200, 'while it is read';
        ok !(drain($raw))[1], "$path is cut off";
        $first = fill($user->room('Long'), 1000, 20_000);
    }
};

subtest 'an account that goes meanwhile' => sub {
    my ($user) = rich(40);
    my $raw = stalled(begin($user));
    answer_ok $user->delete('/user/me'), 200, 'it is deleted';
    my ($length, $is_whole, $last) = drain($raw);
    ok !$is_whole, 'the document is cut off';
    unlike $last, qr/\]\}\z/, 'not at its end';
    ok $stack->log->wait_for(qr/GEM0502: route user_me_export/), 'which is logged';
    problem_ok $user->get('/user/me/export'), 401, 'there is none any more';
};

subtest 'Postgres goes away meanwhile' => sub {
    $stack->log->expect(qr/GEM020[1-3]/, 'GEM0407', qr/\[dbd:(?:error|crit)\]/);
    my @paths = ('/user/me/export', "/chat/chatroom/$long/export");
    my @readers = map { stalled(begin($rich, $_)) } @paths;
    $stack->postgres->stop;
    for my $raw (@readers) {
        my ($length, $is_whole, $last) = drain($raw);
        cmp_ok $length, '>', 100_000, 'what was read before comes';
        ok !$is_whole, 'and is cut off';
        unlike $last, qr/\]\}\z/, 'not at its end';
    }
    problem_ok $rich->get('/user/me/export'), 503, 'who comes now is told so';
    $stack->postgres->start;
    ok eventually(sub { (drain(begin($rich, $_)))[1] }), "then $_ is whole again" for @paths;
};

is_deeply [$stack->apache->children_pids], [$child], 'the child is the same';
