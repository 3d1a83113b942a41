# SPDX-License-Identifier: Apache-2.0
# Replies: in order, from the right history, by the right model, stored as they came.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Stack;
use Gemclone::Standin;
use Mojo::File qw(path);
use Mojo::JSON qw(from_json);
use utf8;

plan tests => 13, need 'gemclone';

my $stack = Gemclone::Stack->shared;
my $standin = $stack->standin;
my $dbh = $stack->dbh;

sub new_user () {
    my $user = $stack->new_user;
    $dbh->do(q{UPDATE gemclone.users SET tier = 'pro' WHERE id = ?}, {}, $user->user->{id});
    return $user;
}

my $user = new_user;

# A prompt and the whole message of its reply.
sub reply ($room, $prompt, $by = $user) {
    return $by->wait_reply($room, $by->send($room, $prompt)->{reply}{id});
}

# The answer's parts: said, turns, yours, system.
sub heard ($reply) { return Gemclone::Standin->parse_answer($reply->{content}) // {} }

# The last request that Gemini got, its body decoded.
sub last_request () {
    my ($request) = $standin->requests(1);
    return {%$request, body => from_json($request->{body})};
}

subtest 'the request' => sub {
    $standin->reset;
    my $room = $user->room;
    reply($room, 'What?');
    my $request = last_request;
    my $key = path($stack->dir)->child('keys', 'gemini.key')->slurp =~ s/\n//r;
    is $request->{path}, '/v1beta/models/gemini-3.8-flash:streamGenerateContent', 'goes to the model';
    is $request->{query}, 'alt=sse', 'asks for events, and shows no key in its address';
    my %header = map { lc($_) => $request->{headers}{$_} } keys %{$request->{headers}};
    is_deeply [grep { $header{$_} =~ /\Q$key\E/ } keys %header], ['x-goog-api-key'], 'the key is in one header only';
    ok !exists $header{authorization}, 'there is no other credential';
    is_deeply $request->{body}, {contents => [{role => 'user', parts => [{text => 'What?'}]}]},
        'and holds what is needed, no more';
};

subtest 'a conversation' => sub {
    my $room = $user->room;
    my @said = ('One', 'Two', 'Three');
    for my $i (0 .. $#said) {
        my $heard = heard(reply($room, $said[$i]));
        is $heard->{said}, $said[$i], "turn $i: Gemini heard the prompt";
        is_deeply $heard->{yours}, [@said[0 .. $i - 1]], 'and all before it';
        is $heard->{turns}, 2 * $i, 'with their answers';
    }
    my @contents = @{last_request->{body}{contents}};
    is_deeply [map { $_->{role} } @contents], [qw(user model user model user)], 'the roles take turns';
    my @stored = map { $_->{content} } @{$user->messages($room)};
    is_deeply [map { $_->{parts}[0]{text} } @contents], [@stored[0 .. 4]], 'the texts are those that are stored';
    my $other = $user->room;
    is_deeply heard(reply($other, 'Elsewhere'))->{yours}, [], 'another room is another conversation';
};

subtest 'prompts that come faster than replies' => sub {
    my $room = $user->room;
    my @said = map {"Prompt $_"} 1 .. 6;
    my @sent = map { $user->send($room, $said[$_] . ($_ == 0 ? ' [[delay=700]]' : '')) } 0 .. $#said;
    my $elsewhere = $user->room;
    my $first = reply($elsewhere, 'Quick');
    is $user->get("/message/$room/$sent[0]{reply}{id}")->json->{data}{status}, 'generating',
        'a slow room holds up no other'
        or diag 'the quick one ended at ' . $first->{finished_at};
    my @replies = map { $user->wait_reply($room, $_->{reply}{id}) } @sent;
    is_deeply [map { heard($_)->{said} } @replies], \@said, 'each gets its own answer';
    is_deeply [map { heard($_)->{yours} } @replies], [map { [@said[0 .. $_ - 1]] } 0 .. $#said],
        'which knows all before it, in order';
    my @ends = map { $_->{finished_at} } @replies;
    is_deeply \@ends, [sort @ends], 'they end in the order of the prompts';
    is_deeply [map { $_->{sender} } @{$user->messages($room)}], [(qw(user gemini)) x 6],
        'prompt and reply stand together';
};

subtest 'prompts that come at once' => sub {
    my $room = $user->room;
    my @answers = all_at_once map { $user->transaction(POST => "/message/$room", {content => "P$_"}) } 1 .. 20;
    my @sent = sort { $a->{data}{id} <=> $b->{data}{id} } map { $_->json } @answers;
    my @replies = map { $user->wait_reply($room, $_->{reply}{id}, 60) } @sent;
    my @said = map { $_->{data}{content} } @sent;
    is_deeply [sort @said], [sort map {"P$_"} 1 .. 20], 'none is lost or doubled';
    is_deeply [map { heard($_)->{said} } @replies], \@said, 'each gets its own answer';
    is_deeply heard($replies[-1])->{yours}, [@said[0 .. 18]], 'in the order of their ids';
    my @ends = map { $_->{finished_at} } @replies;
    is_deeply \@ends, [sort @ends], 'one after the other';
};

subtest 'failed turns are not shown to Gemini' => sub {
    $stack->log->expect('GEM0403', 'GEM0409');
    my $room = $user->room;
    reply($room, 'Good');
    is reply($room, "Bad $_")->{status}, 'failed', $_ for '[[status=400]]', '[[block=SAFETY]]', '[[finish=SAFETY]]';
    my $heard = heard(reply($room, 'Again'));
    is_deeply $heard->{yours}, ['Good'], 'neither prompt nor reply';
    is $heard->{turns}, 2, 'of them';
};

subtest 'system prompts' => sub {
    my $room = $user->post('/chat/chatroom', {title => 'x', system_prompt => 'Be brief.'})->json->{chatroom}{id};
    is heard(reply($room, 'Hello'))->{system}, 'Be brief.', 'the room\'s own';
    is_deeply last_request->{body}{systemInstruction}, {parts => [{text => 'Be brief.'}]}, 'stands beside the turns';
    $user->patch("/chat/chatroom/$room", {system_prompt => 'Sei höflich. 🎩'});
    is heard(reply($room, 'Hello'))->{system}, 'Sei höflich. 🎩', 'changed';
    $user->patch("/chat/chatroom/$room", {system_prompt => undef});
    is heard(reply($room, 'Hello'))->{system}, undef, 'and taken away';
    ok !exists last_request->{body}{systemInstruction}, 'it is not even sent';
};

subtest 'models' => sub {
    my $room = $user->post('/chat/chatroom', {title => 'x', model => 'gemini-3.6-flash'})->json->{chatroom}{id};
    is reply($room, 'Hello')->{model}, 'gemini-3.6-flash', 'the room\'s own answers';
    is last_request->{model}, 'gemini-3.6-flash', 'and was asked';
    $user->patch("/chat/chatroom/$room", {model => undef});
    is reply($room, 'Hello')->{model}, 'gemini-3.8-flash', 'then the server\'s';
};

subtest 'thoughts' => sub {
    my $reply = reply($user->room, 'Think [[thoughts=3]]');
    is $reply->{status}, 'done', 'a reply with thoughts';
    is $reply->{content}, 'You said: Think. I remember 0 earlier turns (0 yours): [].', 'holds none of them';
    cmp_ok $reply->{thought_tokens}, '>', 0, 'though they are counted';
};

subtest 'the wire' => sub {
    my $text = 'Zoë 東京 👩🏽‍🚀 שלום';
    my $expected = "You said: $text. I remember 0 earlier turns (0 yours): [].";
    for my $directives (
        '[[split]]', '[[dribble=7]]', '[[ascii]]', '[[ascii]] [[split]]',
        '[[lf]]', '[[cr]]', '[[chunks=1]]', '[[chunks=60]]',
        '[[lf]] [[dribble=3]]', '[[cr]] [[dribble=1]]', '[[chunks=20]] [[split]]'
    ) {
        is reply($user->room, "$text $directives")->{content}, $expected, "$directives changes nothing";
    }
};

subtest 'long replies' => sub {
    my $reply = reply($user->room, 'Long [[size=900000]]');
    is $reply->{status}, 'done', 'one of 900,000 bytes';
    is length($reply->{content}), 900_000, 'comes whole';
    $reply = reply($user->room, 'Too long [[size=1200000]]');
    is $reply->{status}, 'failed', 'one longer than GemcloneMaxReply';
    is $reply->{error}, 'too_long', 'is too long';
    is $reply->{content}, '', 'and not kept in part';
};

subtest 'answers that were cut at their length' => sub {
    my $reply = reply($user->room, 'Much [[finish=MAX_TOKENS]]');
    is $reply->{status}, 'done', 'are kept';
    is $reply->{finish_reason}, 'MAX_TOKENS', 'and say so';
    like $reply->{content}, qr/^You said: Much/, 'as far as they came';
};

subtest 'usage' => sub {
    my $user = new_user;
    my $room = $user->room;
    my @replies = map { reply($room, $_, $user) } 'Hello', 'Think [[thoughts=2]]';
    my ($prompts, $in, $out)
        = $dbh->selectrow_array('SELECT prompts, input_tokens, output_tokens FROM gemclone.usage WHERE user_id = ?',
        {}, $user->user->{id});
    is $prompts, 2, 'prompts';
    is $in, $replies[0]{prompt_tokens} + $replies[1]{prompt_tokens}, 'tokens that went in';
    is $out, $replies[0]{tokens} + $replies[1]{tokens} + $replies[1]{thought_tokens},
        'and those that came out, thoughts included';
    is $replies[0]{prompt_tokens}, Gemclone::Standin->tokens('Hello'), 'as Gemini counted them';
    is $user->get("/message/$room/$replies[0]{prompt_id}")->json->{data}{tokens}, Gemclone::Standin->tokens('Hello'),
        'the prompt weighs what Gemini said';
};

subtest 'history is what fits' => sub {
    # 32,000 tokens: prompts of 20,000 characters are 5,000 each, and their answers repeat them.
    my $room = $user->room;
    my @said = map { $_ x 20_000 } qw(a b c d e);
    my @replies = map { reply($room, $_) } @said;
    my @kept = map { [map { substr $_, 0, 1 } @{heard($_)->{yours}}] } @replies;
    is_deeply $kept[1], ['a'], 'two turns fit';
    ok @{$kept[4]} && $kept[4][-1] eq 'd', 'the last one is always there';
    isnt $kept[4][0], 'a', 'the oldest went first';
    is_deeply [map { heard($_)->{turns} % 2 } @replies], [(0) x 5], 'whole turns only';
    cmp_ok $_->{prompt_tokens}, '<=', 32_000, 'never more than GemcloneContextTokens' for @replies;
};
