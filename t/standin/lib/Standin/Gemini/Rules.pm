# SPDX-License-Identifier: Apache-2.0
# What Google checks of a request that is well-formed: the rules that depend on the values and on the model.
package Standin::Gemini::Rules;
use Mojo::Base -strict, -signatures;

use Exporter   qw(import);
use List::Util qw(any none);

use Standin::Gemini::Error;

our @EXPORT_OK = qw(check_request);

use constant {MAX_OUTPUT_TOKENS => 65_536, MAX_STOP_SEQUENCES => 5};

my @DATA = qw(inline_data file_data function_call function_response executable_code code_execution_result);

# The categories that Gemini has; the enum's others belong to older models.
my @CATEGORIES
    = map { "HARM_CATEGORY_$_" }
    qw(HATE_SPEECH SEXUALLY_EXPLICIT DANGEROUS_CONTENT HARASSMENT CIVIC_INTEGRITY);

# Throws a 400 for the first rule that the request breaks.
sub check_request ($request, $model) {
    _check_contents($request->{contents} // [], $model);
    _check_system($request->{system_instruction});
    _check_generation($request->{generation_config} // {}, $model);
    _check_safety($request->{safety_settings}       // []);
}

sub _check_contents ($contents, $model) {
    _broken('contents', 'contents is not specified') unless @$contents;
    for my $i (0 .. $#$contents) {
        my $role = $contents->[$i]{role} // 'user';
        _refuse('Please use a valid role: user, model.') if none { $role eq $_ } qw(user model);
        _check_parts($contents->[$i]{parts} // [], "contents[$i]");
    }
    _refuse('Requests ending with a model turn are not supported.')
        if !$model->{prefill} && ($contents->[-1]{role} // '') eq 'model';
}

sub _check_parts ($parts, $path) {
    _broken("$path.parts", 'contents.parts must not be empty.') unless @$parts;
    for my $i (0 .. $#$parts) {
        my $part = $parts->[$i];
        next if length($part->{text} // '') || any { exists $part->{$_} } @DATA;
        _broken("$path.parts[$i].data", "required oneof field 'data' must have one initialized field");
    }
}

sub _check_system ($system) {
    _check_parts($system->{parts} // [], 'system_instruction') if $system;
}

sub _check_generation ($config, $model) {
    my $max = $config->{max_output_tokens};
    _broken('generation_config.max_output_tokens', 'max_output_tokens must be positive.')
        if defined $max && $max < 1;
    _refuse(
        "Unable to submit request because it has a maxOutputTokens value of $max but the supported range is"
            . ' from 1 (inclusive) to 65537 (exclusive). Update the value and try again.')
        if ($max // 0) > MAX_OUTPUT_TOKENS;
    _refuse('Multiple candidates is not enabled for this model')
        if ($config->{candidate_count} // 1) > ($model->{candidates} // 1);
    _broken('generation_config.stop_sequences', 'only 5 stop sequences are allowed.')
        if @{$config->{stop_sequences} // []} > MAX_STOP_SEQUENCES;
    _broken('generation_config.temperature', 'temperature must be in the range [0.0, 2.0].')
        if any { $_ < 0 || $_ > 2 } $config->{temperature} // 1;
    _check_thinking($config->{thinking_config} // {}, $model);
}

sub _check_thinking ($thinking, $model) {
    my ($budget, $level) = @$thinking{qw(thinking_budget thinking_level)};
    _refuse('You can only set only one of thinking budget and thinking level.')
        if defined $budget && defined $level;
    return if !defined $level;
    my $levels = $model->{levels};
    _refuse('Thinking level is not supported for this model.') unless @$levels;
    _refuse("Thinking level $level is not supported for this model. Please retry with other thinking level.")
        if none { $level eq $_ } @$levels, 'THINKING_LEVEL_UNSPECIFIED';
}

sub _check_safety ($settings) {
    for my $i (0 .. $#$settings) {
        my $category = $settings->[$i]{category} // 'HARM_CATEGORY_UNSPECIFIED';
        next if any { $category eq $_ } @CATEGORIES;
        _broken("safety_settings[$i]",
                  'element predicate failed: $.category in ('
                . join(', ', map { "HarmCategory.$_" } @CATEGORIES)
                . ')');
    }
}

sub _refuse ($message) { Standin::Gemini::Error->by_code(400, $message)->throw }

sub _broken ($path, $rule) { _refuse("* GenerateContentRequest.$path: $rule\n") }

1;
