# SPDX-License-Identifier: Apache-2.0
# What directives say about Gemini reaches it: how much history, which system prompt, models, generation, safety;
# and over TLS only to whom the certificate says.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Stack;
use Gemclone::Standin;
use Mojo::JSON qw(from_json);
use Test::More;

plan tests => 8;

my $tls = Gemclone::Standin->start(tls => 1, quiet => 1);
my $SYSTEM = 'You are a patient teacher.';
my %HOST = (
    'plain.test' => [],
    'small.test' => ['GemcloneContextTokens 150', "GemcloneSystemPrompt \"$SYSTEM\""],
    'tuned.test' => [
        'GemcloneGeminiGeneration maxOutputTokens 500',
        'GemcloneGeminiGeneration stopSequences "[\"END\",\"STOP\"]"',
        'GemcloneGeminiGeneration temperature 0.5',
        'GemcloneGeminiThinking low',
        'GemcloneGeminiSafety HARASSMENT BLOCK_NONE',
        'GemcloneGeminiSafety HARM_CATEGORY_HATE_SPEECH BLOCK_ONLY_HIGH',
        'GemcloneGeminiModel gemini-3.6-flash'
    ],
    'budget.test' => ['GemcloneGeminiModel gemini-2.5-flash', 'GemcloneGeminiThinking 1024'],
    'listed.test' => ['GemcloneGeminiModels gemini-3.8-flash gemini-3.6-flash'],
    'strict.test' => ['GemcloneGeminiFallback none', 'GemcloneGeminiTries 2', 'GemcloneGeminiBackoff 20ms',
        'GemcloneGeminiBreaker 0'],
    'secure.test' => ['GemcloneGeminiURL ' . $tls->api_url, 'GemcloneGeminiCAFile ' . $tls->ca_file],
    'distant.test' => ['GemcloneGeminiURL ' . $tls->api_url],
);
my $stack = Gemclone::Stack->start(
    fsync => 0, children => 1,
    directives => ['GemcloneQuota basic unlimited', map {
        my ($site) = /^(\w+)/;
        ('<VirtualHost *:*>', "ServerName $_", "GemcloneSite $site", @{$HOST{$_}}, '</VirtualHost>')
    } sort { ($b eq 'plain.test') <=> ($a eq 'plain.test') } keys %HOST],
);
my $standin = $stack->standin;
my $user = $stack->new_user;

# A prompt to one of the hosts, and the whole message of its reply.
sub reply ($host, $room, $prompt) {
    my $sent
        = answer_ok($user->post("/message/$room", {content => $prompt}, Host => $host), 201, "$host takes a prompt");
    return $user->wait_reply($room, $sent->{reply}{id});
}

sub heard ($reply) { return Gemclone::Standin->parse_answer($reply->{content}) // {} }
sub last_body () { return from_json(($standin->requests(1))[0]{body}) }

subtest 'a small context' => sub {
    my $room = $user->room;
    # Each prompt weighs 10 tokens, each answer about 30: of 150, the system prompt and the prompt itself take 17.
    my @replies = map { reply('small.test', $room, "Prompt $_ " . 'x' x 31) } 1 .. 8;
    my @yours = map { [map { /^Prompt (\d)/ } @{heard($_)->{yours}}] } @replies;
    is_deeply [map { heard($_)->{system} } @replies], [($SYSTEM) x 8], 'the system prompt is always kept';
    is_deeply [map { heard($_)->{said} =~ /^Prompt (\d)/ } @replies], [1 .. 8], 'so is the prompt';
    is_deeply $yours[1], [1], 'what fits is sent';
    for my $i (1 .. 7) {
        my @kept = @{$yours[$i]};
        is_deeply \@kept, [($kept[0] // 0) .. $i],
            "before prompt @{[$i + 1]}: the newest turns, none left out between them"
            if @kept;
        is heard($replies[$i])->{turns}, 2 * @kept, 'whole';
    }
    cmp_ok scalar @{$yours[7]}, '<', 7, 'the oldest ones went';
    cmp_ok $_->{prompt_tokens}, '<=', 150, 'it is never more than was said' for @replies;
    my $long = reply('small.test', $room, 'y' x 1000);
    is_deeply [$long->{status}, heard($long)->{turns}], ['done', 0], 'a prompt that fills it alone goes alone';
    is heard($long)->{system}, $SYSTEM, 'with the system prompt';
    is heard(reply('plain.test', $room, 'And all?'))->{turns}, 18,
        'nothing of it is lost: a larger context has it all';
};

subtest 'system prompts' => sub {
    my $room = $user->post(
        '/chat/chatroom',
        {title => 'x', system_prompt => 'The room\'s own.'}
    )->json->{chatroom}{id};
    is heard(reply('small.test', $room, 'Hello'))->{system}, 'The room\'s own.', 'a room\'s own comes first';
    is heard(reply('plain.test', $user->room, 'Hello'))->{system}, undef, 'none is none';
};

subtest 'generation, thinking, safety' => sub {
    is reply('tuned.test', $user->room, 'Hello')->{status}, 'done', 'Gemini takes them';
    my $body = last_body;
    my %generation = (maxOutputTokens => 500, stopSequences => ['END', 'STOP'], temperature => 0.5);
    is_deeply $body->{generationConfig}, {%generation, thinkingConfig => {thinkingLevel => 'LOW'}}, 'as the directives say';
    my %safety = map { $_->{category} => $_->{threshold} } @{$body->{safetySettings}};
    is_deeply \%safety, {HARM_CATEGORY_HARASSMENT => 'BLOCK_NONE', HARM_CATEGORY_HATE_SPEECH => 'BLOCK_ONLY_HIGH'},
        'all of them';
    reply('budget.test', $user->room, 'Hello');
    is_deeply last_body->{generationConfig}, {thinkingConfig => {thinkingBudget => 1024}}, 'a budget is a number';
    reply('plain.test', $user->room, 'Hello');
    is_deeply [sort keys %{last_body()}], ['contents'], 'where none is given, none is sent';
};

subtest 'models' => sub {
    my $room = $user->room;
    is reply('tuned.test', $room, 'Hello')->{model}, 'gemini-3.6-flash', 'a host\'s own';
    for my $case (['POST', '/chat/chatroom'], ['PATCH', "/chat/chatroom/$room"]) {
        my ($method, $path) = @$case;
        my $ask = sub ($model, $host) {
            return $user->request($method => $path, {title => 'x', model => $model}, Host => $host);
        };
        problem_ok $ask->('gemini-9', 'listed.test'), 422, "$method: one that is not on the list",
            errors => ['/model'];
        is $ask->('gemini-3.6-flash', 'listed.test')->code, $method eq 'POST' ? 201 : 200, 'one that is';
        is $ask->(undef, 'listed.test')->code, $method eq 'POST' ? 201 : 200, 'and none';
        is $ask->('gemini-9', 'plain.test')->code, $method eq 'POST' ? 201 : 200, 'without a list any name will do';
    }
};

subtest 'no fallback' => sub {
    $stack->log->expect('GEM0403', 'GEM0409');
    for my $case (['[[status=404]]', 1], ['[[quota=day]]', 1], ['[[status=503]]', 2]) {
        my ($directive, $tries) = @$case;
        $standin->reset;
        is reply('strict.test', $user->room, "Hello $directive")->{status}, 'failed', $directive;
        is_deeply [map { $_->{model} } $standin->requests], [('gemini-3.8-flash') x $tries],
            'no other model is asked';
    }
};

subtest 'TLS' => sub {
    my $reply = reply('secure.test', $user->room, 'Over TLS');
    is $reply->{status}, 'done', 'a certificate of GemcloneGeminiCAFile';
    is heard($reply)->{said}, 'Over TLS', 'is talked to';
    my $stats = $tls->stats;
    reply('secure.test', $user->room, "Again $_") for 1 .. 5;
    is $tls->stats->{connections}{opened}, $stats->{connections}{opened}, 'over the connection that is there';
    my $before = $tls->stats->{requests};
    $reply = reply('distant.test', $user->room, 'To a stranger');
    is_deeply [@$reply{qw(status error content)}], ['failed', 'upstream', ''],
        'a certificate that nobody we trust has signed';
    is $tls->stats->{requests}, $before, 'does not get to see the prompt, or the key';
    ok $stack->log->wait_for(qr/GEM0403.*tls/), 'and the log says that somebody must act';
};

subtest 'sites' => sub {
    my $room = $user->room;
    my $one = $user->send($room, 'One [[delay=300]]', Host => 'plain.test')->{reply}{id};
    my $two = $user->send($room, 'Two', Host => 'tuned.test')->{reply}{id};
    is $user->wait_reply($room, $one)->{model}, 'gemini-3.8-flash',
        'a prompt is answered by the settings of its host';
    my $reply = $user->wait_reply($room, $two);
    is $reply->{model}, 'gemini-3.6-flash', 'each, also in one room';
    is_deeply heard($reply)->{yours}, ['One'], 'and in order';
};

is $stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs'), 0, 'no job is left';
