# SPDX-License-Identifier: Apache-2.0
# Stop, and another one please: cancelling a reply, on whatever host it is generated, and regenerating the last one.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Events qw(text_of);
use Gemclone::Stack;
use Test::More;
use Time::HiRes qw(sleep time);

plan tests => 10;

my @COMMON = ('GemcloneQuota basic 40');
my $stack = Gemclone::Stack->start(fsync => 0, children => 2, directives => [@COMMON]);
my $host = $stack->another_host(children => 1, redis => 0, directives => [@COMMON, 'GemcloneWorker Off']);
my $user = $stack->new_user;
my $there = Gemclone::Client->new(url => $host->url, token => $user->token);
my $room = $user->room;

my $SLOW = '[[chunks=100]] [[gap=50]] [[size=1000]]';

sub used () {
    return $stack->dbh->selectrow_array('SELECT sum(prompts) FROM gemclone.usage WHERE user_id = ?', {},
        $user->user->{id});
}

sub jobs () { return $stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs') }

# A prompt whose reply is being generated, with some text already: (stream, id, what has come).
sub started ($content) {
    $stack->standin->reset;
    my $stream = Gemclone::Events->of_prompt($user, $room, "$content $SLOW");
    my $id = $stream->next->{data}{reply}{id};
    my @come = map { $stream->next } 1 .. 5;
    return ($stream, $id, @come);
}

subtest 'cancelled before there was any text' => sub {
    $stack->standin->reset;
    my $empty = $user->room;
    my $id = $user->send($empty, 'Think [[delay=60000]]')->{reply}{id};
    ok eventually(sub { $stack->standin->stats->{in_flight} == 1 }), 'Gemini is thinking';
    is $user->post("/message/$empty/$id/cancel", '')->code, 202, 'the user has heard enough';
    my $reply = $user->wait_reply($empty, $id, 10);
    is_deeply [@$reply{qw(status content)}], ['cancelled', ''], 'nothing is kept';
    like $user->ask($empty, 'Once more'), qr/^You said: Once more\. I remember 0 earlier turns/,
        'and the next prompt is answered as if it had never been';
};

for my $case (['here', $user], ['by another host, which has no Redis', $there]) {
    my ($where, $client) = @$case;
    subtest "cancelled $where" => sub {
        my ($stream, $id, @come) = started("Stop $where");
        my $second = Gemclone::Events->of_reply($there, $room, $id);
        my $began = time;
        my $res = $client->post("/message/$room/$id/cancel", '');
        is answer_ok($res, 202, 'accepted')->{reply}{id}, $id, 'for this reply';
        my @rest = $stream->rest(5);
        cmp_ok time - $began, '<', 3, 'soon: within a second, but for a busy machine';
        is $rest[-1]{event}, 'done', 'the reader is told';
        is $rest[-1]{data}{status}, 'cancelled', 'that it was cancelled';
        my $text = text_of(@come, @rest);
        is $rest[-1]{data}{content}, $text, 'what has come is kept';
        cmp_ok length $text, '<', 900, 'and it is not the whole';
        is $user->wait_reply($room, $id, 0)->{status}, 'cancelled', 'and stored';
        is text_of($second->rest), $text, 'another reader has the same';
        ok eventually(sub { $stack->standin->stats->{in_flight} == 0 }, 2), 'the transfer from Gemini was closed';
        is +($stack->standin->requests)[-1]{outcome}, 'gone', 'by us';
        is jobs, 0, 'no job is left';
        is answer_ok($client->post("/message/$room/$id/cancel", ''), 200, 'again')->{reply}{status}, 'cancelled',
            'changes nothing';
    };
}

subtest 'cancelled before it began' => sub {
    my $used = used;
    my ($stream, $id) = started('First');
    my $waits = Gemclone::Events->of_prompt($user, $room, 'Second');
    my $second = $waits->next->{data}{reply}{id};
    is answer_ok($user->post("/message/$room/$second/cancel", ''), 200, 'at once')->{reply}{status}, 'cancelled',
        'it has ended';
    my @events = $waits->rest(5);
    is $events[-1]{data}{status}, 'cancelled', 'its reader is told';
    is $user->wait_reply($room, $second, 0)->{content}, '', 'nothing had come';
    is $user->post("/message/$room/$id/cancel", '')->code, 202, 'the one before it goes on until it is cancelled, too';
    $stream->rest(5);
    is used, $used + 2, 'both are paid for';
    my $third = $user->send($room, 'Third')->{reply}{id};
    like $user->wait_reply($room, $third)->{content}, qr/Third/, 'the room goes on';
};

subtest 'not to be cancelled' => sub {
    my $id = $user->send($room, 'Done')->{reply}{id};
    $user->wait_reply($room, $id);
    problem_ok $user->post("/message/$room/$id/cancel", ''), 409, 'a reply that is done';
    problem_ok $user->post("/message/$room/@{[$id - 1]}/cancel", ''), 404, 'a prompt';
    problem_ok $user->post("/message/$room/999999999/cancel", ''), 404, 'nothing';
    my $other = $stack->new_user;
    my ($stream, $running) = started('Mine');
    problem_ok $other->post("/message/$room/$running/cancel", ''), 404, 'the reply of another user';
    problem_ok $stack->client->post("/message/$room/$running/cancel", ''), 401, 'without a token';
    like +($stream->next // {})->{event}, qr/delta/, 'which goes on';
    $user->post("/message/$room/$running/cancel", '');
    $stream->rest(5);
};

subtest 'a client that goes away stops nothing' => sub {
    my ($stream, $id) = started('Away');
    $stream->reset;
    is $user->wait_reply($room, $id)->{status}, 'done', 'the reply is done';
};

subtest 'what was kept goes into the history' => sub {
    my $content = $user->ask($room, 'And now?');
    like $content, qr/Stop here \| .*And now\?|Stop here/, 'as far as it came';
};

subtest 'regenerated' => sub {
    my $used = used;
    my $id = $user->send($room, 'Once more')->{reply}{id};
    my $old = $user->wait_reply($room, $id);
    my $json = answer_ok($user->post("/message/$room/$id/regenerate", ''), 201, 'created');
    my $new = $user->wait_reply($room, $json->{reply}{id});
    isnt $new->{id}, $id, 'another reply';
    is $new->{prompt_id}, $old->{prompt_id}, 'to the same prompt';
    is $json->{reply}{prompt_id}, $old->{prompt_id}, 'which the answer names';
    is $new->{content}, $old->{content}, 'that knows what the first one knew';
    is used, $used + 2, 'charged like a prompt';
    is_deeply [map { $_->{id} } grep { ($_->{prompt_id} // 0) == $old->{prompt_id} } @{$user->messages($room)}],
        [$new->{id}], 'the list has the new one only';
    my $version = $user->get("/message/$room/$id")->json->{data};
    is $version->{content}, $old->{content}, 'the old one is kept';
    ok $version->{superseded}, 'as an older version';
    my @events = Gemclone::Events->of_prompt($user, $room, '', path => "/message/$room/$new->{id}/regenerate",
        body => undef)->rest;
    is join(' ', map { $_->{event} } @events) =~ s/(?:delta )+/delta /r, 'accepted delta done', 'and as a stream';
    is $events[-1]{data}{prompt_id}, $old->{prompt_id}, 'again of the same prompt';
    my $other = $stack->new_user;
    problem_ok $other->post("/message/$room/$events[-1]{data}{id}/regenerate", ''), 404, 'not by another user';
    problem_ok $user->post("/message/$room/$id/regenerate", ''), 409, 'nor an older version';
    problem_ok $user->post("/message/$room/$old->{prompt_id}/regenerate", ''), 404, 'nor a prompt';
    my $next = $user->send($room, "Next [[delay=500]]")->{reply}{id};
    problem_ok $user->post("/message/$room/$events[-1]{data}{id}/regenerate", ''), 409, 'nor one that is not the last';
    problem_ok $user->post("/message/$room/$next/regenerate", ''), 409, 'nor one that is not over';
    $user->wait_reply($room, $next);
    my @same = map { $user->post("/message/$room/$next/regenerate", '', 'Idempotency-Key' => 'again') } 1 .. 2;
    is_deeply [map { $_->code } @same], [201, 201], 'twice with one key';
    is $same[1]->json->{reply}{id}, $same[0]->json->{reply}{id}, 'is one reply';
    $user->wait_reply($room, $same[0]->json->{reply}{id});
    problem_ok $user->post("/message/$room/$new->{id}/regenerate", '', 'Idempotency-Key' => 'again'), 422,
        'and for another reply it is refused';
};

subtest 'exported' => sub {
    my $title = 'Export me';
    my $small = $user->room($title);
    my $id = $user->send($small, 'Versions')->{reply}{id};
    $user->wait_reply($small, $id);
    $user->wait_reply($small, $user->post("/message/$small/$id/regenerate", '')->json->{reply}{id});
    my $json = answer_ok($user->get("/chat/chatroom/$small/export"), 200, 'a chatroom as JSON');
    is $json->{chatroom}{title}, $title, 'has the room';
    is scalar @{$json->{messages}}, 3, 'the prompt and both versions';
    is scalar(grep { $_->{superseded} } @{$json->{messages}}), 1, 'of which one is an older one';
    my $text = $user->get("/chat/chatroom/$small/export", Accept => 'text/markdown');
    is $text->code, 200, 'as Markdown';
    like $text->headers->content_type, qr{\Atext/markdown}, 'by its type';
    like $text->body, qr/^# $title$/m, 'with the title';
    like $text->body, qr/earlier version/i, 'and the older version';
    problem_ok $stack->new_user->get("/chat/chatroom/$small/export"), 404, 'not for another user';
};

subtest 'the quota holds for regenerating' => sub {
    my $poor = $stack->new_user;
    my $place = $poor->room;
    $stack->dbh->do('INSERT INTO gemclone.usage (user_id, day, prompts) VALUES (?, (now() AT TIME ZONE \'UTC\')::date, 39)',
        {}, $poor->user->{id});
    my $id = $poor->send($place, 'Last one')->{reply}{id};
    $poor->wait_reply($place, $id);
    problem_ok $poor->post("/message/$place/$id/regenerate", ''), 429, 'when it is used up';
    is $poor->get("/message/$place/$id")->json->{data}{superseded}, undef, 'nothing has changed';
};
