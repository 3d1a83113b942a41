# SPDX-License-Identifier: Apache-2.0
# The models that the stand-in knows, and what each of them accepts.
package Standin::Gemini::Models;
use Mojo::Base -strict, -signatures;

use Exporter qw(import);
use Mojo::JSON;

our @EXPORT_OK = qw(find_model list_models model_resource);

my $ANY_LEVEL  = [qw(MINIMAL LOW MEDIUM HIGH)];
my $NO_MINIMAL = [qw(LOW MEDIUM HIGH)];

# levels: what thinkingLevel may be, none where the model takes a budget only.
# prefill: whether a request may end with a model turn.
# candidates: the most that candidateCount may ask for.
my @MODELS = (
    {
        name       => 'gemini-2.5-flash',
        title      => 'Gemini 2.5 Flash',
        levels     => [],
        prefill    => 1,
        candidates => 8,
        status     => {
            modelStage     => 'LEGACY',
            message        => 'This model will be retired. Please move to gemini-3.5-flash-lite.',
            retirementTime => '2026-12-01T00:00:00Z',
        },
    },
    {
        name       => 'gemini-2.5-pro',
        title      => 'Gemini 2.5 Pro',
        levels     => [],
        prefill    => 1,
        candidates => 8,
        status     => {
            modelStage     => 'LEGACY',
            message        => 'This model will be retired. Please move to gemini-3.8-flash.',
            retirementTime => '2026-12-01T00:00:00Z',
        },
    },
    {name => 'gemini-3.1-flash-lite', title => 'Gemini 3.1 Flash-Lite', levels  => $ANY_LEVEL, prefill => 1},
    {name => 'gemini-3.5-flash',      title => 'Gemini 3.5 Flash',      levels  => $ANY_LEVEL, prefill => 1},
    {name => 'gemini-3.5-flash-lite', title => 'Gemini 3.5 Flash-Lite', levels  => $ANY_LEVEL},
    {name => 'gemini-3.6-flash',      title => 'Gemini 3.6 Flash',      levels  => $ANY_LEVEL},
    {name => 'gemini-3.7-flash',      title => 'Gemini 3.7 Flash',      levels  => $NO_MINIMAL},
    {name => 'gemini-3.8-flash',      title => 'Gemini 3.8 Flash',      levels  => $NO_MINIMAL},
    {name => 'gemini-embedding-001',  title => 'Gemini Embedding 001',  methods => ['embedContent']},
);
my %BY_NAME = map { $_->{name} => $_ } @MODELS;
my %ALIAS   = ('gemini-flash-latest' => 'gemini-3.8-flash');

sub find_model ($name) { $BY_NAME{$ALIAS{$name} // $name} }

sub list_models () { @MODELS }

# A model as GET /v1beta/models/{model} shows it.
sub model_resource ($model) {
    return {
        name                       => "models/$model->{name}",
        version                    => '001',
        displayName                => $model->{title},
        description                => "What the stand-in answers as $model->{title}",
        inputTokenLimit            => 1_048_576,
        outputTokenLimit           => 65_536,
        supportedGenerationMethods => $model->{methods} // [qw(generateContent countTokens)],
        temperature                => 1,
        topP                       => 0.95,
        topK                       => 64,
        maxTemperature             => 2,
        thinking                   => Mojo::JSON::true(),
    };
}

1;
