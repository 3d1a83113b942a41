# SPDX-License-Identifier: Apache-2.0
# The answer to a request: its text, derived from the whole request, and the responses that carry it.
package Standin::Gemini::Answer;
use Mojo::Base -base, -signatures;

use Exporter   qw(import);
use List::Util qw(max min sum0);
use Mojo::JSON qw(true);
use Mojo::Util qw(b64_encode encode);

use Standin::Gemini::Directives;

our @EXPORT_OK = qw(count_prompt prompt_text);

use constant {
    BALLOON     => "\x{1F388}",
    FILLER      => 'The quick brown fox jumps over the lazy dog. ',
    TOKEN_BYTES => 4,
};

my @CATEGORIES = map { "HARM_CATEGORY_$_" } qw(SEXUALLY_EXPLICIT HATE_SPEECH HARASSMENT DANGEROUS_CONTENT);

# The finish reasons of an answer that Google holds back; [[finish=...]] takes any other word as well.
my %IS_BLOCKED = map { $_ => 1 }
    qw(SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII),
    qw(IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT IMAGE_RECITATION);

# request: as read by Schema; model: from Models; force: the directives in force.
has [qw(request model force)];

has prompt_tokens => sub ($self) { count_prompt($self->request) };
has response_id   => sub {
    join '', map { ('a' .. 'z', 'A' .. 'Z', 0 .. 9, '-', '_')[rand 64] } 1 .. 22;
};
has thinking       => sub ($self) { ($self->request->{generation_config} // {})->{thinking_config} };
has thoughts       => sub ($self) { [$self->_thoughts] };
has thought_tokens => sub ($self) { _tokens(join '', @{$self->thoughts}) };

# The raw text of the last user turn, which is what directives are read from.
sub prompt_text ($request) {
    my ($last) = grep { _is_user($_) } reverse @{$request->{contents} // []};
    return $last ? _text($last) : '';
}

# All text of contents and system instruction together, in bytes / 4, rounded up.
sub count_prompt ($request) {
    my @contents = (@{$request->{contents} // []}, $request->{system_instruction} // ());
    return _tokens(join '', map { _text($_) } @contents);
}

# The GenerateContentResponse trees in the order of the stream; the last one finishes it.
sub responses ($self) {
    return $self->_response(promptFeedback => $self->_prompt_feedback) if $self->force->{block};

    my ($text, $finish) = $self->_outcome;
    my @thoughts = $self->_shown_thoughts;
    my @pieces   = _pieces($text, $self->force->{chunks});
    my @parts    = ((map { {text => $_, thought => true} } @thoughts), (map { {text => $_} } @pieces));
    push @parts, undef             if !@pieces || $IS_BLOCKED{$finish};
    push @parts, $self->_signature if @pieces && !$IS_BLOCKED{$finish} && @{$self->thoughts};

    my ($said, @responses) = ('');
    for my $i (0 .. $#parts) {
        my $part = $parts[$i];
        $said .= $part->{text} if $part && !$part->{thought};
        my $candidate = {index => 0};
        $candidate->{content} = {role => 'model', $part ? (parts => [$part]) : ()}
            unless !$part && $IS_BLOCKED{$finish};
        _finish($candidate, $finish) if $i == $#parts && !$self->force->{nofinish};
        push @responses, $self->_response(candidates => [$candidate], _said => $said);
    }
    return @responses;
}

# The same as one response, for :generateContent.
sub whole ($self) {
    my @responses = $self->responses;
    my $whole     = $responses[-1];
    my @parts     = map { @{$_->{candidates} ? $_->{candidates}[0]{content}{parts} // [] : []} } @responses;
    return $whole unless @parts;

    my @merged;
    for my $part (@parts) {
        my $open = @merged && !$merged[-1]{thought} == !$part->{thought};
        if ($open) { $merged[-1] = {%{$merged[-1]}, %$part, text => $merged[-1]{text} . $part->{text}} }
        else       { push @merged, $part }
    }
    $whole->{candidates}[0]{content} = {role => 'model', parts => \@merged};
    return $whole;
}

# The text and the finish reason, once size, limits and directives have had their say.
sub _outcome ($self) {
    my $force  = $self->force;
    my $config = $self->request->{generation_config} // {};
    my $text   = $force->{empty} ? '' : _sized($force->{say} // $self->_echo, $force->{size});
    my $finish = $force->{finish} // 'STOP';
    $text .= ' ' . BALLOON if $force->{split} && $text !~ /[^\x00-\x7F]/;
    $text = substr $text, 0, length($text) / 2 if $IS_BLOCKED{$finish} || $finish eq 'MAX_TOKENS';

    for my $stop (@{$config->{stop_sequences} // []}) {
        my $at = index $text, $stop;
        $text = substr $text, 0, $at if $at >= 0;
    }
    if (defined(my $max = $config->{max_output_tokens})) {
        my $left = $max - $self->thought_tokens;
        ($text, $finish) = (_cut($text, $left * TOKEN_BYTES), 'MAX_TOKENS') if _tokens($text) > $left;
    }
    return ($text, $finish);
}

sub _echo ($self) {
    my @contents = @{$self->request->{contents}};
    my @yours    = map { Standin::Gemini::Directives->strip(_text($_)) } grep { _is_user($_) } @contents;
    my $earlier  = @contents - 1;
    my $said     = pop @yours // '';
    my $echo     = sprintf 'You said: %s. I remember %d earlier turns (%d yours): [%s].', $said, $earlier,
        scalar @yours,
        join ' | ', @yours;
    my $system = $self->request->{system_instruction};
    return $system ? "$echo System: " . _text($system) . '.' : $echo;
}

# The thought texts: as many as [[thoughts=N]] says, or one where the request asks to think.
sub _thoughts ($self) {
    my $config = $self->thinking;
    my $asked  = $config && ($config->{thinking_budget} // 1) != 0;
    my $count  = $self->force->{thoughts} // ($asked ? 1 : 0);
    my $prompt = Standin::Gemini::Directives->strip(prompt_text($self->request));
    return map { "Thought $_ of $count: $prompt. " } 1 .. $count;
}

sub _shown_thoughts ($self) {
    my $asked = ($self->thinking // {})->{include_thoughts};
    return $self->force->{thoughts} || $asked ? @{$self->thoughts} : ();
}

# Gemini 3 signs its reasoning on a part of its own at the end, the text of which is empty.
sub _signature ($self) {
    return {text => '', thoughtSignature => b64_encode(encode('UTF-8', join '', @{$self->thoughts}), '')};
}

sub _response ($self, %fields) {
    my $said    = delete $fields{_said} // '';
    my $prompt  = $self->prompt_tokens;
    my %counted = (candidatesTokenCount => _tokens($said), thoughtsTokenCount => $self->thought_tokens);
    delete @counted{grep { !$counted{$_} } keys %counted};
    %counted = () if $fields{promptFeedback};
    return {
        %fields,
        modelVersion  => $self->model->{name},
        responseId    => $self->response_id,
        usageMetadata => {
            %counted,
            promptTokenCount    => $prompt,
            totalTokenCount     => sum0($prompt, values %counted),
            promptTokensDetails => [{modality => 'TEXT', tokenCount => $prompt}],
        },
        $self->model->{status} ? (modelStatus => $self->model->{status}) : (),
    };
}

sub _prompt_feedback ($self) {
    my $reason = $self->force->{block};
    return {blockReason => $reason, $reason eq 'SAFETY' ? (safetyRatings => _ratings('HIGH')) : ()};
}

sub _finish ($candidate, $reason) {
    $candidate->{finishReason}  = $reason;
    $candidate->{finishMessage} = "The answer was held back: $reason." if $IS_BLOCKED{$reason};
    $candidate->{safetyRatings} = _ratings('HIGH')                     if $reason eq 'SAFETY';
}

sub _ratings ($worst) {
    my @ratings = map { {category => $_, probability => 'NEGLIGIBLE'} } @CATEGORIES;
    $ratings[-1] = {%{$ratings[-1]}, probability => $worst, blocked => true};
    return \@ratings;
}

sub _is_user ($content) { ($content->{role} // 'user') eq 'user' }

sub _text ($content) {
    join '', map { $_->{text} // '' } grep { !$_->{thought} } @{$content->{parts} // []};
}

sub _tokens ($text) { int((length(encode 'UTF-8', $text) + TOKEN_BYTES - 1) / TOKEN_BYTES) }

# Text of exactly that many bytes: cut, or filled up.
sub _sized ($text, $bytes) {
    return $text unless defined $bytes;
    my $missing = $bytes - length encode 'UTF-8', $text;
    $text .= substr ' ' . FILLER x(1 + $missing / length FILLER), 0, $missing if $missing > 0;
    $text = _cut($text, $bytes);
    return $text . '.' x ($bytes - length encode 'UTF-8', $text);
}

# The longest beginning of the text that has no more than so many bytes and no broken character.
sub _cut ($text, $bytes) {
    my $cut = substr encode('UTF-8', $text), 0, $bytes > 0 ? $bytes : 0;
    chop $cut until utf8::decode(my $whole = $cut);
    utf8::decode($cut);
    return $cut;
}

# The text in so many pieces, or in as many as it has characters.
sub _pieces ($text, $count) {
    my $length = length $text or return;
    $count = max(1, min($count, $length));
    my @at = map { int $_ * $length / $count } 0 .. $count;
    return map { substr $text, $at[$_ - 1], $at[$_] - $at[$_ - 1] } 1 .. $count;
}

1;
