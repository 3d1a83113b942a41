#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The stand-in for Gemini: its wire format byte by byte, its faults, and a thousand streams at once.
# Runs without the module: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use FindBin ();
use lib "$FindBin::Bin/lib";

use IO::Select;
use IO::Socket::IP;
use Mojo::IOLoop;
use Mojo::JSON qw(decode_json encode_json false true);
use Mojo::UserAgent;
use Mojo::Util qw(encode);
use Test::More;
use Time::HiRes qw(sleep time);

use Gemclone::Standin;

use constant {
    MODEL       => 'gemini-3.8-flash',
    STREAM_PATH => '/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse',
    STREAMS     => 1000,
};

my $standin = Gemclone::Standin->start;
my ($port) = $standin->url =~ /:(\d+)\z/;

# ---------------------------------------------------------------- the client ----

sub prompt   ($text, %more)            { {contents         => [turn(user => $text)], %more} }
sub turn     ($role, $text)            { {role             => $role, parts => [{text => $text}]} }
sub thinking (%config)                 { (generationConfig => {thinkingConfig => \%config}) }
sub path     ($method, $model = MODEL) { "/v1beta/models/$model:$method" }

# Sends one request and does not read the answer. The body is a tree, or a reference to its bytes.
sub send_request ($method, $path, $body = undef, $headers = {'x-goog-api-key' => 'key-1'}) {
    my $socket  = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port) or die "connect: $@";
    my $content = !defined $body ? '' : ref $body eq 'SCALAR' ? $$body : encode_json($body);
    my %headers
        = (Host => "127.0.0.1:$port", Connection => 'close', 'Content-Length' => length $content, %$headers);
    syswrite $socket,
          "$method $path HTTP/1.1\r\n"
        . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers)
        . "\r\n$content";
    return $socket;
}

# Reads until the end or until nothing has come for so many seconds. The answer is {status, type, raw, body,
# chunks, reads => [[seconds, bytes]], end => 'whole' (the last chunk came), 'cut' (closed before that), 'reset'
# or 'open'}.
sub read_answer ($socket, $patience = 5) {
    my %answer = (raw => '', reads => [], end => 'open');
    my $start  = time;
    while (IO::Select->new($socket)->can_read($patience)) {
        my $got = sysread $socket, my $bytes, 65536;
        if (!$got) {
            $answer{end} = defined $got ? 'cut' : 'reset';
            last;
        }
        push @{$answer{reads}}, [time - $start, $bytes];
        $answer{raw} .= $bytes;
    }
    (my $head, $answer{body}) = split /\r\n\r\n/, $answer{raw}, 2;
    ($answer{status}) = ($head // '') =~ m{\AHTTP/1\.1 (\d+)};
    ($answer{type})   = ($head // '') =~ /^Content-Type: ([^\r]*)/m;
    dechunk(\%answer, $answer{body}) if ($head // '') =~ /^Transfer-Encoding: chunked/m;
    return \%answer;
}

sub dechunk ($answer, $rest) {
    my @chunks;
    while ($rest =~ s/\A([0-9a-f]+)\r\n//) {
        my $size = hex $1;
        push @chunks, substr $rest, 0, $size if $size;
        $answer->{end} = 'whole' if !$size;
        substr($rest, 0, $size + 2) = '';
    }
    @$answer{qw(chunks body)} = (\@chunks, join '', @chunks);
}

sub stream ($body, $patience = 5) {
    $body = prompt($body) unless ref $body;
    return read_answer(send_request(POST => STREAM_PATH, $body), $patience);
}

sub generate ($body, $model = MODEL) {
    $body = prompt($body) unless ref $body;
    return read_answer(send_request(POST => path('generateContent', $model), $body));
}

sub ask ($method, $body, @headers) { read_answer(send_request(POST => path($method), $body, @headers)) }
sub get ($path)                    { read_answer(send_request(GET  => $path)) }

# The events of a stream as trees; dies unless the framing is exactly Google's.
sub events ($answer) {
    my @events = split /(?<=\r\n\r\n)/, $answer->{body};
    return map { /\Adata: (\{[^\r\n]*\})\r\n\r\n\z/ ? decode_json($1) : die "no event: $_" } @events;
}

sub parts_of ($event) { @{($event->{candidates}[0]{content} // {})->{parts} // []} }

sub text_of (@events) {
    join '', map { $_->{text} } grep { !$_->{thought} } map { parts_of($_) } @events;
}
sub finish_of (@events) { $events[-1]{candidates}[0]{finishReason} }
sub error_of  ($answer) { decode_json($answer->{body})->{error} }

sub detail ($error, $type) {
    (grep { $_->{'@type'} =~ /\.\Q$type\E\z/ } @{$error->{details} // []})[0];
}

sub wait_until ($condition, $seconds = 5) {
    my $until = time + $seconds;
    sleep 0.02 while !$condition->() && time < $until;
    return $condition->();
}

# ------------------------------------------------------------- the wire format ----

subtest 'events are framed as Google frames them' => sub {
    my $answer = stream('hello [[chunks=3]]');
    is $answer->{status},    200,                 'status';
    is $answer->{type},      'text/event-stream', 'Content-Type';
    is $answer->{end},       'whole',             'the body ends as it should';
    is @{$answer->{chunks}}, 3,                   'one write an event';
    like $_, qr/\Adata: \{[^\r\n]+\}\r\n\r\n\z/, 'data:, one line, CR LF CR LF' for @{$answer->{chunks}};

    my @events = events($answer);
    is text_of(@events), 'You said: hello. I remember 0 earlier turns (0 yours): [].', 'the text';
    is_deeply [map { $_->{candidates}[0]{finishReason} } @events], [undef, undef, 'STOP'],
        'the last event finishes';
    for my $event (@events) {
        is $event->{candidates}[0]{content}{role}, 'model',                'role';
        is $event->{candidates}[0]{index},         0,                      'index';
        is $event->{modelVersion},                 MODEL,                  'modelVersion';
        is $event->{responseId},                   $events[0]{responseId}, 'responseId';
        is $event->{usageMetadata}{totalTokenCount},
            $event->{usageMetadata}{promptTokenCount} + $event->{usageMetadata}{candidatesTokenCount},
            'tokens add up';
    }
    like generate(prompt(q{<b>&'=}))->{body}, qr/\\u003cb\\u003e\\u0026\\u0027\\u003d/,
        'escapes as Google writes them';
};

subtest 'LF and CR between events' => sub {
    is_deeply [map { substr $_, -3 } @{stream('a [[lf]]')->{chunks}}], [("}\n\n") x 5], 'lf';
    is_deeply [map { substr $_, -3 } @{stream('a [[cr]]')->{chunks}}], [("}\r\r") x 5], 'cr';
};

subtest 'a character is split between two writes' => sub {
    my $answer = stream("\x{20AC} [[split]] [[chunks=1]]");
    is @{$answer->{chunks}}, 2, 'two writes';
    like $answer->{chunks}[0], qr/\xE2\z/,         'the first ends in the character';
    like $answer->{chunks}[1], qr/\A\x82\xAC\. I/, 'the second goes on with it';
    ok reads_half_a_character(5), 'they arrive apart';
    like text_of(events($answer)),                   qr/\AYou said: \x{20AC}\./, 'nothing is lost';
    like text_of(events(stream('plain [[split]]'))), qr/ \x{1F388}\z/, 'a plain text gets a balloon';
};

# Whether a read ended within the character and the rest came after the pause; a busy machine may miss it.
sub reads_half_a_character ($tries) {
    for (1 .. $tries) {
        my @reads = @{stream("\x{20AC} [[split]] [[chunks=1]]")->{reads}};
        my ($early) = grep { $_->[1] =~ /\xE2(?:\r\n)?\z/ } @reads;
        return 1 if $early && $reads[-1][0] - $early->[0] >= 0.015;
    }
    return 0;
}

subtest 'escapes and small writes' => sub {
    my $answer = stream('plain [[split]] [[ascii]] [[chunks=1]]');
    like $answer->{chunks}[0],     qr/\\u\z/,          'split in an escape';
    like $answer->{body},          qr/\\ud83c\\udf88/, 'a surrogate pair';
    like text_of(events($answer)), qr/\x{1F388}\z/,    'which is the balloon';

    $answer = stream('plain [[dribble=7]]');
    is_deeply [grep { length > 7 } @{$answer->{chunks}}], [], 'no write of more than 7 bytes';
    is finish_of(events($answer)), 'STOP', 'and yet a whole answer';
};

subtest 'without alt=sse: an array in pieces' => sub {
    my $answer = ask(streamGenerateContent => prompt('hello [[chunks=3]]'));
    is $answer->{type},      'application/json; charset=UTF-8', 'Content-Type';
    is @{$answer->{chunks}}, 3,                                 'pieces';
    like $answer->{chunks}[0], qr/\A\[\{\n/,    'the first opens';
    like $answer->{chunks}[1], qr/\A,\r\n\{\n/, 'the second goes on';
    like $answer->{chunks}[2], qr/\}\n\]\z/,    'the last closes';
    is finish_of(@{decode_json($answer->{body})}), 'STOP', 'it is JSON';

    $answer = ask(streamGenerateContent => {});
    is decode_json($answer->{body})->[0]{error}{code}, 400, 'errors are an array of one';
};

subtest 'generateContent, countTokens, models' => sub {
    my $whole = decode_json(generate('hello [[thoughts=2]]')->{body});
    my @parts = parts_of($whole);
    is @parts, 2, 'the thought and the text';
    ok $parts[0]{thought} && !$parts[1]{thought}, 'in this order';
    is $parts[1]{text},   'You said: hello. I remember 0 earlier turns (0 yours): [].', 'the text';
    is finish_of($whole), 'STOP',                                                       'finished';

    my $count = ask(countTokens => prompt("\x{20AC}uro"));
    is decode_json($count->{body})->{totalTokens}, 2, 'six bytes are two tokens';

    my $page = decode_json(get('/v1beta/models?pageSize=2')->{body});
    is @{$page->{models}}, 2, 'a page of models';
    my $next = decode_json(get("/v1beta/models?pageToken=$page->{nextPageToken}")->{body});
    is_deeply [grep { $_->{name} eq 'models/' . MODEL } @{$next->{models}}],
        [decode_json(get('/v1beta/models/' . MODEL)->{body})],
        'the next page has the model';
    is get('/v1beta/models/nobody')->{status}, 404, 'an unknown model';
    is get('/healthz')->{status},              200, 'healthz';
    is get('/nothing')->{status},              404, 'no such page';
};

subtest 'a model that is not there' => sub {
    for my $model (qw(gemini-1.5-flash gemini-embedding-001)) {
        my $answer = generate('hello', $model);
        is $answer->{status}, 404, $model;
        is_deeply error_of($answer),
            {
            code    => 404,
            status  => 'NOT_FOUND',
            message =>
                "models/$model is not found for API version v1beta, or is not supported for generateContent."
                . ' Call ListModels to see the list of available models and their supported methods.'
            },
            'the error';
    }
};

# ------------------------------------------------------------------ the answer ----

subtest 'the answer tells what was sent' => sub {
    my $answer = stream(
        {
            contents => [
                turn(user  => 'one [[gap=1]]'),
                turn(model => 'yes?'),
                turn(user  => 'two'),
                turn(model => 'well?'),
                turn(user  => '[[chunks=2]] three')
            ],
            systemInstruction => {parts => [{text => 'Be brief'}]},
        }
    );
    my $text = text_of(events($answer));
    is $text, 'You said: three. I remember 4 earlier turns (2 yours): [one | two]. System: Be brief.',
        'the text';
    is_deeply(
        Gemclone::Standin->parse_answer($text),
        {said => 'three', turns => 4, yours => ['one', 'two'], system => 'Be brief'},
        'taken apart'
    );
    is_deeply [map { $_->{text} } map { parts_of($_) } events(stream("\x{20AC} [[size=9]] [[chunks=4]]"))],
        ['Yo', 'u ', 'sa', 'id:'], 'in as many pieces as asked for';
};

subtest 'sizes and tokens' => sub {
    for my $size (1, 10, 62, 63, 1000, 100_000) {
        my $text = text_of(events(stream(prompt("\x{20AC}" x 4 . "[[size=$size]]"))));
        is length(encode 'UTF-8', $text), $size, "$size bytes";
    }
    my $usage = (events(stream(prompt('12345', systemInstruction => {parts => [{text => '6789'}]}))))
        [-1]{usageMetadata};
    is $usage->{promptTokenCount}, 3, '9 bytes of prompt and system instruction';
    is $usage->{candidatesTokenCount},
        Gemclone::Standin->tokens('You said: 12345. I remember 0 earlier turns (0 yours): []. System: 6789.'),
        'the answer';

    my @events = events(stream(prompt('long', generationConfig => {maxOutputTokens => 3})));
    is text_of(@events),   'You said: lo', 'maxOutputTokens cuts';
    is finish_of(@events), 'MAX_TOKENS',   'and says so';
    @events = events(
        stream(
            prompt(
                'long',
                generationConfig => {maxOutputTokens => 3, thinkingConfig => {thinkingLevel => 'HIGH'}}
            )
        )
    );
    is text_of(@events),   '',           'thoughts can use it all up';
    is finish_of(@events), 'MAX_TOKENS', 'which is the same to the client';
    is text_of(events(stream(prompt('x', generationConfig => {stopSequences => ['. I']})))), 'You said: x',
        'stopSequences';
    is text_of(events(stream("hi [[say=# This\nalone]]"))), "# This\nalone", 'or what it was told to say';
};

subtest 'thoughts' => sub {
    my @events = events(stream(prompt('why?', thinking(includeThoughts => true))));
    my @parts  = map { parts_of($_) } @events;
    ok $parts[0]{thought}, 'the first part is a thought';
    is $parts[0]{text},  'Thought 1 of 1: why?. ', 'its text';
    is $parts[-1]{text}, '',                       'the last one has no text';
    ok $parts[-1]{thoughtSignature}, 'but a signature';
    is $events[-1]{usageMetadata}{thoughtsTokenCount}, 6, 'counted';

    @events = events(stream(prompt('why?', thinking(thinkingLevel => 'LOW'))));
    ok !(grep { $_->{thought} } map { parts_of($_) } @events), 'not shown unless asked for';
    is $events[-1]{usageMetadata}{thoughtsTokenCount}, 6, 'but counted';
    ok !exists((events(stream('why?')))[-1]{usageMetadata}{thoughtsTokenCount}), 'no thinking, no count';
    is grep({ $_->{thought} } map { parts_of($_) } events(stream('why? [[thoughts=3]]'))), 3,
        'as many as told';
};

# -------------------------------------------------------------------- requests ----

subtest 'credentials' => sub {
    my @cases = (
        [{}, 403, qr/unregistered callers/],
        [{'x-goog-api-key' => 'bad-key'},     400, qr/API key not valid/],
        [{'x-goog-api-key' => 'expired-key'}, 400, qr/expired/],
        [{'x-goog-api-key' => 'leaked-key'},  403, qr/leaked/],
        [{Authorization    => 'Bearer x'},    401, qr/invalid authentication credentials/],
        [
            {Authorization => 'Bearer x', 'x-goog-api-key' => 'k'}, 400,
            qr/Multiple authentication credentials/
        ],
    );
    for my $case (@cases) {
        my ($headers, $status, $message) = @$case;
        my $answer = ask(generateContent => prompt('hi'), $headers);
        is $answer->{status}, $status, "status $status";
        like error_of($answer)->{message}, $message, 'message';
    }
    my $twice = read_answer(send_request(POST => path('generateContent') . '?key=k', prompt('hi')));
    like error_of($twice)->{message}, qr/Multiple/, 'header and query';
    my $query = read_answer(send_request(POST => path('generateContent') . '?key=k', prompt('hi'), {}));
    is $query->{status}, 200, 'the query alone';

    my $bad = read_answer(send_request(POST => STREAM_PATH, prompt('hi'), {'x-goog-api-key' => 'bad-key'}));
    is $bad->{type}, 'text/event-stream', 'an error of a stream has the type of a stream';
    is detail(error_of($bad), 'ErrorInfo')->{reason}, 'API_KEY_INVALID', 'but is JSON';
};

subtest 'what Google refuses is refused' => sub {
    my $config = sub (%config) { prompt('hi', generationConfig => \%config) };
    my $safety = sub (%setting) { prompt('hi', safetySettings => [\%setting]) };
    my $thinks = sub (%thinking) { prompt('hi', thinking(%thinking)) };
    my @cases  = (
        ['no JSON',              \'{"contents":',    qr/Invalid JSON payload/],
        ['no object',            \'[]',              qr/Root element must be a message/],
        ['no contents',          {},                 qr/contents is not specified/],
        ['no turns',             {contents => []},   qr/contents is not specified/],
        ['a string of contents', {contents => 'hi'}, qr/Invalid value at 'contents'/],
        [
            'a system turn', {contents => [turn(system => 'x'), turn(user => 'y')]},
            qr/valid role: user, model/
        ],
        [
            'an assistant turn',
            {contents => [turn(assistant => 'x'), turn(user => 'y')]},
            qr/valid role: user, model/
        ],
        [
            'no parts',
            {contents => [{role => 'user', parts => []}]},
            qr/contents\[0\]\.parts: contents\.parts must not be empty/
        ],
        ['parts left out', {contents => [{role => 'user'}]}, qr/parts must not be empty/],
        [
            'an empty text',
            {contents => [turn(user => 'x'), turn(model => ''), turn(user => 'y')]},
            qr/contents\[1\]\.parts\[0\]\.data: required oneof/
        ],
        ['an empty part', {contents => [{parts => [{}]}]}, qr/required oneof/],
        [
            'a number for a text',
            {contents => [{parts => [{text => 1}]}]},
            qr/contents\[0\]\.parts\[0\]\.text' \(TYPE_STRING\), 1/
        ],
        [
            'a model turn last',
            {contents => [turn(user => 'x'), turn(model => 'y')]},
            qr/Requests ending with a model turn are not supported/
        ],
        [
            'an empty instruction',
            prompt('hi', systemInstruction => {parts => []}),
            qr/system_instruction\.parts/
        ],
        [
            'an unknown field',
            prompt('hi', generateConfig => {}),
            qr/Unknown name "generateConfig": Cannot find field/
        ],
        ['one further down', $config->(maxTokens => 1), qr/Unknown name "maxTokens" at 'generation_config'/],
        [
            'budget and level',
            $thinks->(thinkingBudget => 1, thinkingLevel => 'LOW'),
            qr/only one of thinking budget and thinking level/
        ],
        ['MINIMAL', $thinks->(thinkingLevel => 'MINIMAL'), qr/level MINIMAL is not supported/],
        [
            'an unknown level',
            $thinks->(thinkingLevel => 'SOME'),
            qr/thinking_level' \([^)]*ThinkingLevel\), "SOME"/
        ],
        ['a budget of words', $thinks->(thinkingBudget => 'much'), qr/TYPE_INT32/],
        [
            'an unknown category',
            $safety->(category => 'HARM_CATEGORY_NOISE', threshold => 'OFF'),
            qr/safety_settings\[0\]\.category/
        ],
        [
            'an old category',
            $safety->(category => 'HARM_CATEGORY_TOXICITY', threshold => 'OFF'),
            qr/element predicate failed/
        ],
        [
            'an unknown threshold',
            $safety->(category => 'HARM_CATEGORY_HARASSMENT', threshold => 'SOME'),
            qr/safety_settings\[0\]\.threshold/
        ],
        ['two candidates',  $config->(candidateCount => 2),        qr/Multiple candidates is not enabled/],
        ['no output',       $config->(maxOutputTokens => 0),       qr/must be positive/],
        ['too much output', $config->(maxOutputTokens => 100_000), qr/supported range/],
        ['a text for a boolean', $thinks->(includeThoughts => 'true'), qr/TYPE_BOOL/],
        ['too hot',              $config->(temperature => 3),          qr/range \[0\.0, 2\.0\]/],
        ['an unknown directive', prompt('hi [[no]]'),                  qr/there is no directive \[\[no\]\]/],
        ['a wrong value',        prompt('hi [[chunks=many]]'), qr/\[\[chunks=many\]\] is not understood/],
    );
    for my $case (@cases) {
        my ($name, $body, $message) = @$case;
        my $answer = generate($body);
        is $answer->{status}, 400, "$name: 400";
        my $error = error_of($answer);
        is $error->{status}, 'INVALID_ARGUMENT', "$name: INVALID_ARGUMENT";
        like $error->{message}, $message, "$name: message";
    }
};

subtest 'what Google takes is taken' => sub {
    my %all = (
        contents           => {parts => {text => 'no lists'}},
        system_instruction => {parts => {text => 'snake case'}},
        generationConfig   => {
            maxOutputTokens => '1000',
            temperature     => 1,
            topP            => 0.5,
            seed            => 1,
            stopSequences   => ['x'],
            thinkingConfig  => {thinkingLevel => 'HIGH', includeThoughts => false}
        },
        safetySettings =>
            [map { {category => "HARM_CATEGORY_$_", threshold => 'BLOCK_NONE'} } qw(HARASSMENT HATE_SPEECH)],
    );
    is generate(\%all)->{status}, 200, 'all fields';
    my $prefilled = {contents => [turn(user => 'x'), turn(model => 'y')]};
    my $minimal   = prompt('hi', thinking(thinkingLevel => 'MINIMAL'));
    is generate($prefilled, 'gemini-3.5-flash')->{status}, 200, 'a model turn last, for an older model';
    is generate($minimal,   'gemini-3.6-flash')->{status}, 200, 'MINIMAL, for a model that has it';
};

# ---------------------------------------------------------------------- errors ----

subtest 'every status' => sub {
    my %status = (
        400 => 'INVALID_ARGUMENT',
        401 => 'UNAUTHENTICATED',
        403 => 'PERMISSION_DENIED',
        404 => 'NOT_FOUND',
        408 => 'DEADLINE_EXCEEDED',
        409 => 'ABORTED',
        429 => 'RESOURCE_EXHAUSTED',
        499 => 'CANCELLED',
        500 => 'INTERNAL',
        501 => 'UNIMPLEMENTED',
        503 => 'UNAVAILABLE',
        504 => 'DEADLINE_EXCEEDED',
        418 => 'UNKNOWN',
    );
    for my $code (sort keys %status) {
        my $answer = stream("x [[status=$code]]");
        is $answer->{status},           $code,          "status $code";
        is error_of($answer)->{status}, $status{$code}, $status{$code};
        like $answer->{body}, qr/"code": $code,/, 'code, as a number';
    }
    my $gateway = stream('x [[status=502]]');
    is $gateway->{status}, 502, 'status 502';
    like $gateway->{body}, qr/\A<!DOCTYPE html>/, 'is a page of HTML';
};

subtest '429 and when to come back' => sub {
    my $minute = error_of(stream('x [[quota=minute]] [[retry=34.07s]]'));
    is detail($minute, 'RetryInfo')->{retryDelay}, '34.07s', 'RetryInfo';
    like $minute->{message}, qr/Please retry in 34\.07s\.\z/, 'and in words';
    my $violation = detail($minute, 'QuotaFailure')->{violations}[0];
    like $violation->{quotaId}, qr/PerMinute/, 'quotaId';
    is $violation->{quotaDimensions}{model},     MODEL, 'the model';
    is detail($minute, 'Help')->{links}[0]{url}, 'https://ai.google.dev/gemini-api/docs/rate-limits', 'Help';

    like detail(error_of(stream('x [[quota=day]]')), 'QuotaFailure')->{violations}[0]{quotaId}, qr/PerDay/,
        'day';
    like error_of(stream('x [[quota=zero]]'))->{message}, qr/limit: 0, model/, 'zero';
    my $bare = error_of(stream('x [[quota=none]]'));
    ok !exists $bare->{details} && $bare->{message} !~ /retry/, 'none: nothing to go by';
    my $words = error_of(stream('x [[status=429]] [[hint=message]]'));
    ok !detail($words, 'RetryInfo') && $words->{message} =~ /retry in 1s/, 'the time in words only';
    my $details = error_of(stream('x [[status=429]] [[hint=details]] [[retry=900ms]]'));
    ok detail($details, 'RetryInfo')->{retryDelay} eq '900ms' && $details->{message} !~ /retry in/,
        'in details only';
    ok !detail(error_of(stream('x [[status=429]] [[retry=none]]')), 'RetryInfo'), 'nowhere';
    is detail(error_of(stream('x [[status=503]] [[retry=2s]]')), 'RetryInfo')->{retryDelay}, '2s',
        'of another error';
};

subtest 'named errors and forms of the body' => sub {
    my %error = (
        region   => 'FAILED_PRECONDITION',
        billing  => 'FAILED_PRECONDITION',
        disabled => 'PERMISSION_DENIED'
    );
    is error_of(stream("x [[error=$_]]"))->{status}, $error{$_}, $_ for sort keys %error;
    is decode_json(stream('x [[status=503]] [[body=array]]')->{body})->[0]{error}{code}, 503, 'array';
    is stream('x [[status=503]] [[body=text]]')->{body},
        "The model is overloaded. Please try again later.\n", 'text';
    is stream('x [[status=503]] [[body=empty]]')->{body}, '', 'empty';
    like stream('x [[status=503]] [[body=html]]')->{type}, qr{\Atext/html}, 'html';
};

# ---------------------------------------------------------------------- faults ----

subtest 'answers that are held back' => sub {
    my @blocked = events(stream('x [[block=PROHIBITED_CONTENT]]'));
    is @blocked,                                 1,                    'one event';
    is $blocked[0]{promptFeedback}{blockReason}, 'PROHIBITED_CONTENT', 'the prompt is blocked';
    ok !exists $blocked[0]{candidates}, 'no candidates';
    is $blocked[0]{usageMetadata}{totalTokenCount}, $blocked[0]{usageMetadata}{promptTokenCount},
        'only the prompt counts';

    my @safety = events(stream('x [[finish=SAFETY]]'));
    is finish_of(@safety), 'SAFETY', 'finishReason';
    cmp_ok length text_of(@safety), '>', 0, 'after some text';
    ok !exists $safety[-1]{candidates}[0]{content}, 'the last event has no content';
    is grep({ $_->{blocked} } @{$safety[-1]{candidates}[0]{safetyRatings}}), 1, 'but a rating';
    is finish_of(events(stream("x [[finish=$_]]"))), $_, $_ for qw(MAX_TOKENS RECITATION OTHER SOMETHING_NEW);

    my @empty = events(stream('x [[empty]]'));
    is_deeply [scalar @empty, text_of(@empty), finish_of(@empty)], [1, '', 'STOP'], 'empty';
    is finish_of(events(stream('x [[empty]] [[finish=MAX_TOKENS]]'))), 'MAX_TOKENS',
        'empty for another reason';
    my $nofinish = stream('x [[nofinish]]');
    is_deeply [$nofinish->{end}, finish_of(events($nofinish))], ['whole', undef], 'nofinish';
};

subtest 'streams that break' => sub {
    my $cut = stream('x [[cut=2]]');
    is $cut->{end}, 'cut', 'cut: closed';
    like $cut->{body}, qr/\A(?:data: \{[^\r\n]+\}\r\n\r\n){2}data: [^\r\n]+\z/, 'in the third event';
    my $reset = stream('x [[reset]]');
    is $reset->{end}, 'reset', 'reset: reset';
    like $reset->{body}, qr/\A(?:data: \{[^\r\n]+\}\r\n\r\n){1}data: [^\r\n]+\z/, 'in the second event';
    my $torn = stream('x [[torn]]');
    is $torn->{end}, 'whole', 'torn: ends well';
    unlike $torn->{body}, qr/\n\z/, 'in an event';
    my $stall = stream('x [[stall=2]]', 0.3);
    is $stall->{end},  'open', 'stall: stays open';
    is events($stall), 2,      'after two events';

    my $garbage = stream('x [[garbage]]');
    my @frames  = split /(?<=\r\n\r\n)/, $garbage->{body};
    is @frames,    6,                                              'garbage: one event more';
    is $frames[1], qq(data: {"candidates": oops \xFF\xFE\r\n\r\n), 'which is garbage';

    my $late = stream('x [[miderror=2]] [[code=429]]');
    my ($error) = $late->{body} =~ /\A(?:data: [^\r\n]+\r\n\r\n){2}(\{\n.*\}\n)\z/s;
    is decode_json($error)->{error}{status}, 'RESOURCE_EXHAUSTED', 'miderror: a bare error in the stream';
    is decode_json(($late->{chunks}[-1]))->{error}{code}, 429,     'in one write';
    like stream('x [[miderror]] [[body=event]]')->{chunks}[-1],
        qr/\Adata: \{"error":\{"code":503.*\r\n\r\n\z/, 'as an event';

    is generate('x [[cut]]')->{end}, 'cut', 'generateContent can be cut too';
};

subtest 'answers that are late or endless' => sub {
    my $late = stream('x [[delay=300]] [[gap=50]] [[chunks=4]]');
    cmp_ok $late->{reads}[0][0],  '>=', 0.29, 'delay: before the first byte';
    cmp_ok $late->{reads}[-1][0], '>=', 0.44, 'gap: between events';

    my $hang = stream('x [[hang]]', 0.3);
    is_deeply [$hang->{raw}, $hang->{end}], ['', 'open'], 'hang: no answer';

    for my $kind ('events', 'line') {
        my $socket = send_request(POST => STREAM_PATH, prompt("x [[endless=$kind]]"));
        my $bytes  = 0;
        while ($bytes < 1_000_000) { $bytes += sysread($socket, my $more, 65536) || last }
        cmp_ok $bytes, '>=', 1_000_000, "endless=$kind";
    }
    ok wait_until(sub { $standin->stats->{in_flight} == 0 }), 'all of them are over when the client has left';
};

subtest 'faults that pass' => sub {
    is_deeply [map { stream('again [[status=503]] [[times=2]] [[chunks=1]]')->{status} } 1 .. 3],
        [503, 503, 200], 'twice, then well';
    is_deeply [map { stream('another [[empty]] [[times=1]]')->{body} =~ /You said/ ? 'text' : 'none' }
            1 .. 2], ['none', 'text'], 'empty once';
    $standin->reset;
    is stream('again [[status=503]] [[times=2]] [[chunks=1]]')->{status}, 503, 'and again after a reset';
};

# --------------------------------------------------------------------- control ----

subtest 'settings' => sub {
    $standin->control(
        {
            status => 503,
            models => {'gemini-3.5-flash' => {status => 500}},
            keys   => {'key-2'            => {error  => 'leaked'}}
        }
    );
    is generate('x')->{status},                     503, 'for all';
    is generate('x', 'gemini-3.5-flash')->{status}, 500, 'for a model';
    my $answer = ask(generateContent => prompt('x'), {'x-goog-api-key' => 'key-2'});
    is $answer->{status},                      403, 'for a key';
    is generate('x [[status=400]]')->{status}, 400, 'for a prompt';
    is generate('x [[status=off]]')->{status}, 200, 'off for a prompt';
    $standin->control({lf => true, delay => undef});
    like stream('x')->{body}, qr/\}\n\ndata/, 'another setting';
    is generate('x')->{status}, 200, 'in place of the first';
    for my $wrong ({nothing => 1}, {chunks => 'x'}, {models => 1}, {models => {x => {status => 200}}}) {
        ok !eval { $standin->control($wrong) }, 'refused: ' . encode_json($wrong);
    }
    $standin->reset;
    like stream('x')->{body}, qr/\}\r\n\r\ndata/, 'nothing set';
};

subtest 'the record of requests' => sub {
    $standin->reset;
    my $body = encode_json(prompt("caf\x{E9} [[chunks=2]]"));
    stream(\$body);
    stream('y [[cut]]');
    generate('z [[status=429]]', 'gemini-3.5-flash');
    send_request(POST => path('generateContent'), prompt('w [[hang]]'))->close;
    ok wait_until(sub { $standin->stats->{in_flight} == 0 }), 'all over';

    my @requests = $standin->requests;
    is_deeply [map { $_->{outcome} } @requests], [qw(done cut done gone)], 'outcomes';
    is_deeply [map { $_->{status} } @requests],  [200, 200, 429, undef],   'statuses';
    my ($first) = @requests;
    is encode('UTF-8', $first->{body}),     $body,   'the body as it was sent';
    is $first->{headers}{'x-goog-api-key'}, 'key-1', 'headers';
    is_deeply [@$first{qw(method path query call model key try writes)}],
        ['POST', path('streamGenerateContent'), 'alt=sse', 'streamGenerateContent', MODEL, 'key-1', 1, 2],
        'the rest';
    cmp_ok abs($first->{time} - time), '<', 60, 'the time';
    is_deeply [map { $_->{id} } $standin->requests(2)], [map { $_->{id} } @requests[2, 3]], 'the last two';

    my $stats = $standin->stats;
    is $stats->{requests}, 4, 'requests';
    is_deeply $stats->{model},       {(MODEL) => 3, 'gemini-3.5-flash' => 1},            'by model';
    is_deeply $stats->{call},        {streamGenerateContent => 2, generateContent => 2}, 'by call';
    is_deeply $stats->{key},         {'key-1' => 4},                                     'by key';
    is_deeply $stats->{status},      {200 => 2, 429 => 1, none => 1},                    'by status';
    is_deeply $stats->{outcome},     {done => 2, cut => 1, gone => 1},                   'by outcome';
    is_deeply $stats->{connections}, {open => 0, opened => 4, peak => 1},                'connections';

    generate(\('x' x 4_000_000)) for 1 .. 10;
    cmp_ok $standin->stats->{kept}, '<', 10, 'large bodies are not kept without end';
    $standin->reset;
    is_deeply [$standin->requests], [], 'forgotten';
};

# ------------------------------------------------------------------- many at once ----

subtest STREAMS . ' streams at once' => sub {
    $standin->reset;
    my $ua = Mojo::UserAgent->new(max_connections => 0, inactivity_timeout => 120, request_timeout => 120);
    my ($good, $left) = (0, STREAMS);
    for my $n (1 .. STREAMS) {
        my $url = $standin->url . STREAM_PATH;
        $ua->post(
            $url,
            {'x-goog-api-key' => 'many'},
            json => prompt("number $n [[delay=4000]] [[gap=200]]"),
            sub ($ua, $tx) {
                my $body   = $tx->error ? '' : $tx->res->body;
                my @events = eval { events({body => $body}) };
                $good++ if text_of(@events) =~ /\AYou said: number $n\./ && finish_of(@events) eq 'STOP';
                Mojo::IOLoop->stop unless --$left;
            }
        );
    }
    Mojo::IOLoop->start;
    is $good, STREAMS, 'every one got its own answer';
    my $stats = $standin->stats;
    is $stats->{peak_in_flight},    STREAMS, 'all at the same time';
    is $stats->{connections}{peak}, STREAMS, 'on their own connections';
    undef $ua;
    ok wait_until(sub { $standin->stats->{connections}{open} == 0 }), 'which are closed in the end';
};

subtest 'clients that leave' => sub {
    $standin->reset;
    my @sockets = map { send_request(POST => STREAM_PATH, prompt('x [[gap=60000]]')) } 1 .. 100;
    ok wait_until(sub { $standin->stats->{in_flight} == 100 }), 'a hundred are waiting';
    close $_ for splice @sockets;
    ok wait_until(sub { $standin->stats->{in_flight} == 0 }), 'none when they have left';
    is_deeply $standin->stats->{outcome}, {gone => 100}, 'and it is known that they left';
};

subtest 'keep-alive' => sub {
    $standin->reset;
    my $ua = Mojo::UserAgent->new;
    $ua->post($standin->url . STREAM_PATH, {'x-goog-api-key' => 'k'}, json => prompt('x'))->result
        for 1 .. 200;
    is $standin->stats->{connections}{opened}, 1, 'two hundred requests on one connection';
};

# --------------------------------------------------------------- start and stop ----

subtest 'https' => sub {
    my $tls = Gemclone::Standin->start(tls => 1);
    like $tls->url, qr{\Ahttps://127\.0\.0\.1:\d+\z}, 'url';
    my $ua  = Mojo::UserAgent->new(ca => $tls->ca_file);
    my $res = $ua->post($tls->url . STREAM_PATH, {'x-goog-api-key' => 'k'}, json => prompt('secret'))->result;
    like text_of(events({body => $res->body})), qr/\AYou said: secret\./, 'a stream';
    is $tls->stats->{requests}, 1, 'control';
};

subtest 'it ends' => sub {
    my $other = Gemclone::Standin->start;
    my $pid   = $other->pid;
    my $start = time;
    is $other->stop, 0, 'on SIGTERM, with status 0';
    cmp_ok time - $start, '<', 2, 'soon';
    undef $other;

    $pid = Gemclone::Standin->start->pid;
    ok !kill(0 => $pid), 'when its guard goes out of scope';

    pipe my $read, my $write or die "pipe: $!";
    my $starter = fork // die "fork: $!";
    if (!$starter) {
        my $orphan = Gemclone::Standin->start;
        syswrite $write, $orphan->pid . "\n";
        kill KILL => $$;
    }
    waitpid $starter, 0;
    my $orphan = <$read>;
    chomp $orphan;
    ok wait_until(sub { !kill(0 => $orphan) || is_zombie($orphan) }),
        'when the test that started it is killed';
};

# A container without an init keeps those that nobody waits for.
sub is_zombie ($pid) {
    open my $stat, '<', "/proc/$pid/stat" or return 1;
    return <$stat> =~ /\) Z /;
}

done_testing;
