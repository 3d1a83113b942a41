# SPDX-License-Identifier: Apache-2.0
# The request messages as protobuf's JSON mapping reads them: unknown names and wrong types are refused.
package Standin::Gemini::Schema;
use Mojo::Base -strict, -signatures;

use B            ();
use Exporter     qw(import);
use Mojo::JSON   qw(decode_json encode_json);
use Mojo::Util   qw(decode);
use Scalar::Util qw(blessed looks_like_number);

use Standin::Gemini::Error;

our @EXPORT_OK = qw(read_message);

use constant PACKAGE => 'type.googleapis.com/google.ai.generativelanguage.v1beta';

# A field is a scalar type, the name of a message or an enum, 'any' for what the stand-in does not look into, or
# one of these in [] where it is repeated.
my %MESSAGE = (
    GenerateContentRequest => {
        model              => 'string',
        contents           => ['Content'],
        system_instruction => 'Content',
        generation_config  => 'GenerationConfig',
        safety_settings    => ['SafetySetting'],
        tools              => ['any'],
        tool_config        => 'any',
        cached_content     => 'string',
        service_tier       => 'string',
        store              => 'bool',
    },
    CountTokensRequest => {
        model                    => 'string',
        contents                 => ['Content'],
        generate_content_request => 'GenerateContentRequest',
    },
    Content => {role => 'string', parts => ['Part']},
    Part    => {
        text                  => 'string',
        thought               => 'bool',
        thought_signature     => 'string',
        inline_data           => 'any',
        file_data             => 'any',
        function_call         => 'any',
        function_response     => 'any',
        executable_code       => 'any',
        code_execution_result => 'any',
        video_metadata        => 'any',
        media_resolution      => 'any',
        part_metadata         => 'any',
    },
    GenerationConfig => {
        candidate_count               => 'int32',
        max_output_tokens             => 'int32',
        stop_sequences                => ['string'],
        seed                          => 'int32',
        temperature                   => 'float',
        top_p                         => 'float',
        top_k                         => 'int32',
        presence_penalty              => 'float',
        frequency_penalty             => 'float',
        response_mime_type            => 'string',
        response_schema               => 'any',
        response_json_schema          => 'any',
        _response_json_schema         => 'any',
        response_format               => 'any',
        response_modalities           => ['string'],
        response_logprobs             => 'bool',
        logprobs                      => 'int32',
        enable_enhanced_civic_answers => 'bool',
        speech_config                 => 'any',
        image_config                  => 'any',
        media_resolution              => 'string',
        thinking_config               => 'ThinkingConfig',
    },
    ThinkingConfig =>
        {include_thoughts => 'bool', thinking_budget => 'int32', thinking_level => 'ThinkingLevel'},
    SafetySetting => {category => 'HarmCategory', threshold => 'HarmBlockThreshold'},
);

my %ENUM = (
    ThinkingLevel => [qw(THINKING_LEVEL_UNSPECIFIED MINIMAL LOW MEDIUM HIGH)],
    HarmCategory  => [
        map { "HARM_CATEGORY_$_" }
            qw(UNSPECIFIED DEROGATORY TOXICITY VIOLENCE SEXUAL MEDICAL DANGEROUS HARASSMENT HATE_SPEECH
            SEXUALLY_EXPLICIT DANGEROUS_CONTENT CIVIC_INTEGRITY)
    ],
    HarmBlockThreshold => [
        qw(HARM_BLOCK_THRESHOLD_UNSPECIFIED BLOCK_LOW_AND_ABOVE BLOCK_MEDIUM_AND_ABOVE BLOCK_ONLY_HIGH),
        qw(BLOCK_NONE OFF)
    ],
);
my %IS_ENUM = map {
    my $name = $_;
    ($name => {map { $_ => 1 } @{$ENUM{$name}}})
} keys %ENUM;

# Protobuf reads numbers from strings too, but strings never from numbers.
my %SCALAR = (
    any    => sub ($value) { 1 },
    string => sub ($value) { !ref $value && !_is_number($value) },
    bool   => sub ($value) { _is_bool($value) },
    int32  => sub ($value) { !ref $value && $value =~ /\A-?\d{1,10}\z/ && abs $value < 2**31 },
    float  => sub ($value) { !ref $value && looks_like_number($value) },
);

# The message in the body, its fields named in snake_case. Throws a 400 that lists whatever does not fit.
sub read_message ($name, $body) {
    my $tree = eval { decode_json($body) };
    Standin::Gemini::Error->invalid_json(['', 'Invalid JSON payload received. ' . _first_line($@)])->throw
        if $@;
    my @wrong;
    my $message = _value($name, $tree, '', \@wrong);
    Standin::Gemini::Error->invalid_json(@wrong)->throw if @wrong;
    return $message;
}

sub _value ($type, $value, $path, $wrong) {
    return undef                                        if !defined $value;
    return _repeated($type->[0], $value, $path, $wrong) if ref $type;
    return _message($type, $value, $path, $wrong)       if $MESSAGE{$type};
    my $fits = $IS_ENUM{$type} ? !ref $value && $IS_ENUM{$type}{$value} : $SCALAR{$type}->($value);
    return $value if $fits;
    my $called = $IS_ENUM{$type} ? PACKAGE . ".$type" : 'TYPE_' . uc $type;
    push @$wrong, [$path, "Invalid value at '$path' ($called), " . _shown($value)];
    return undef;
}

# A single value stands for a list of one, as Google takes it.
sub _repeated ($type, $value, $path, $wrong) {
    return [_value($type, $value, $path, $wrong)] if ref $value ne 'ARRAY';
    return [map { _value($type, $value->[$_], "${path}[$_]", $wrong) } 0 .. $#$value];
}

sub _message ($name, $value, $path, $wrong) {
    if (ref $value ne 'HASH') {
        my $where = $path eq '' ? 'Root element must be a message.' : "Invalid value at '$path'";
        push @$wrong, [$path, "$where (" . PACKAGE . ".$name), " . _shown($value)];
        return {};
    }
    my %message;
    for my $given (sort keys %$value) {
        my $field = _snake_case($given);
        if (my $type = $MESSAGE{$name}{$field}) {
            my $inner = _value($type, $value->{$given}, $path eq '' ? $field : "$path.$field", $wrong);
            $message{$field} = $inner if defined $inner;
            next;
        }
        my $where = $path eq '' ? '' : " at '$path'";
        push @$wrong,
            [$path, qq{Invalid JSON payload received. Unknown name "$given"$where: Cannot find field.}];
    }
    return \%message;
}

sub _snake_case ($name) { $name =~ s/([A-Z])/_\l$1/gr }

sub _is_bool ($value) { blessed $value && $value->isa('JSON::PP::Boolean') }

# Whether JSON had a number here: no string flag on the scalar.
sub _is_number ($value) {
    my $flags = B::svref_2object(\$value)->FLAGS;
    return $flags & (B::SVp_IOK | B::SVp_NOK) && !($flags & B::SVp_POK);
}

sub _shown ($value) { decode('UTF-8', encode_json($value)) }

sub _first_line ($text) { ($text =~ s/ at \S+ line \d+\.?\s*\z//r) =~ s/\n.*//sr }

1;
