# SPDX-License-Identifier: Apache-2.0
# Google's error bodies: every error that the stand-in can answer with.
package Standin::Gemini::Error;
use Mojo::Base -base, -signatures;

use Mojo::Util qw(xml_escape);

use Standin::Gemini::JSON qw(compact_json pretty_json);

use constant QUOTA_HELP => 'https://ai.google.dev/gemini-api/docs/rate-limits';
use constant SERVICE    => 'generativelanguage.googleapis.com';

# code: the HTTP status; status: Google's name for it; details: a list of Any messages.
has [qw(code message status)];
has details => sub { [] };

# What an HTTP status means when nothing else was said.
my %BY_CODE = (
    400 => [INVALID_ARGUMENT => 'Request contains an invalid argument.'],
    401 => [
        UNAUTHENTICATED => 'Request had invalid authentication credentials. Expected OAuth 2 access'
            . ' token, login cookie or other valid authentication credential.'
    ],
    403 => [PERMISSION_DENIED  => 'The caller does not have permission'],
    404 => [NOT_FOUND          => 'Requested entity was not found.'],
    408 => [DEADLINE_EXCEEDED  => 'The request timed out.'],
    409 => [ABORTED            => 'The operation was aborted.'],
    429 => [RESOURCE_EXHAUSTED => 'Resource has been exhausted (e.g. check quota).'],
    499 => [CANCELLED          => 'The operation was cancelled.'],
    500 => [
        INTERNAL => 'An internal error has occurred. Please retry or report in'
            . ' https://developers.generativeai.google/guide/troubleshooting'
    ],
    501 => [UNIMPLEMENTED     => 'Operation is not implemented, or supported, or enabled.'],
    502 => [UNAVAILABLE       => 'Bad Gateway'],
    503 => [UNAVAILABLE       => 'The model is overloaded. Please try again later.'],
    504 => [DEADLINE_EXCEEDED => 'Deadline expired before operation could complete.'],
);

# Errors with a name, for which the status alone says too little: [code, status, message, ErrorInfo reason].
my %BY_REASON = (
    api_key =>
        [400, 'INVALID_ARGUMENT', 'API key not valid. Please pass a valid API key.', 'API_KEY_INVALID'],
    expired => [400, 'INVALID_ARGUMENT', 'API key expired. Please renew the API key.', 'API_KEY_INVALID'],
    many => [400, 'INVALID_ARGUMENT', 'Multiple authentication credentials received. Please pass only one.'],
    region  => [400, 'FAILED_PRECONDITION', 'User location is not supported for the API use.'],
    billing => [
        400,
        'FAILED_PRECONDITION',
        'Gemini API free tier is not available in your country. Please enable billing on your project in'
            . ' Google AI Studio.'
    ],
    bearer => [401, 'UNAUTHENTICATED', $BY_CODE{401}[1], 'ACCESS_TOKEN_TYPE_UNSUPPORTED'],
    no_key => [
        403,
        'PERMISSION_DENIED',
        "Method doesn't allow unregistered callers (callers without established identity). Please use API"
            . ' Key or other form of API consumer identity to call this API.'
    ],
    leaked => [403, 'PERMISSION_DENIED', 'Your API key was reported as leaked. Please use another API key.'],
    disabled => [
        403, 'PERMISSION_DENIED',
        'Generative Language API has not been used in project 123456789 before or it is disabled.',
        'SERVICE_DISABLED'
    ],
);

# The quotas of [[quota=...]]: quotaId, quotaMetric, limit.
my %QUOTA = (
    minute => ['GenerateRequestsPerMinutePerProjectPerModel', 'generate_requests_per_model', 1000],
    tokens => [
        'GenerateContentPaidTierInputTokensPerModelPerMinute',
        'generate_content_paid_tier_input_token_count',
        1_000_000
    ],
    day  => ['GenerateRequestsPerDayPerProjectPerModel', 'generate_requests_per_model_per_day', 10_000],
    zero =>
        ['GenerateRequestsPerMinutePerProjectPerModel-FreeTier', 'generate_content_free_tier_requests', 0],
);

sub reasons ($class) { sort keys %BY_REASON }
sub quotas  ($class) { sort keys %QUOTA, 'none' }

sub by_code ($class, $code, $message = undef) {
    my ($status, $usual) = @{$BY_CODE{$code} // ['UNKNOWN', "HTTP status $code."]};
    return $class->new(code => 0 + $code, status => $status, message => $message // $usual);
}

sub by_reason ($class, $name) {
    my ($code, $status, $message, $reason) = @{$BY_REASON{$name}};
    my $self = $class->new(code => $code, status => $status, message => $message);
    return $self unless $reason;
    my %info = ('reason' => $reason, domain => 'googleapis.com', metadata => {service => SERVICE});
    return $self->with(ErrorInfo => %info)->with(LocalizedMessage => locale => 'en-US', message => $message);
}

# 400, with one BadRequest violation for each [field, description].
sub invalid_json ($class, @violations) {
    my @fields = map {
        { ($_->[0] ne '' ? (field => $_->[0]) : ()), description => $_->[1] }
    } @violations;
    my $self = $class->by_code(400, join "\n", map { $_->[1] } @violations);
    return $self->with(BadRequest => fieldViolations => \@fields);
}

sub model_not_found ($class, $model, $method) {
    return $class->by_code(404,
        "models/$model is not found for API version v1beta, or is not supported for $method. Call ListModels to"
            . ' see the list of available models and their supported methods.');
}

# 429 for the quota of that name; delay is the text of RetryInfo's retryDelay or 'none', hint says where
# it stands: both, details or message.
sub quota ($class, $name, $model, $delay, $hint) {
    my $self = $class->by_code(429);
    return $self->retry($delay, $hint) if $name eq 'none';

    my ($id, $metric, $limit) = @{$QUOTA{$name}};
    $metric = SERVICE . "/$metric";
    $self->message('You exceeded your current quota, please check your plan and billing details. For more'
            . ' information on this error, head to: '
            . QUOTA_HELP
            . ". \n* Quota exceeded for metric: $metric, limit: $limit, model: $model");
    $self->with(Help => links => [{description => 'Learn more about Gemini API quotas', url => QUOTA_HELP}]);
    my %violation = (
        quotaId         => $id,
        quotaMetric     => $metric,
        quotaDimensions => {location => 'global', model => $model}
    );
    $violation{quotaValue} = "$limit" if $limit;
    return $self->with(QuotaFailure => violations => [\%violation])->retry($delay, $hint);
}

sub retry ($self, $delay, $hint) {
    return $self                                                 if $delay eq 'none';
    $self->message($self->message . "\nPlease retry in $delay.") if $hint ne 'details';
    $self->with(RetryInfo => retryDelay => $delay)               if $hint ne 'message';
    return $self;
}

sub with ($self, $type, %fields) {
    push @{$self->details}, {'@type' => "type.googleapis.com/google.rpc.$type", %fields};
    return $self;
}

sub throw ($self) { die $self }

sub tree ($self) {
    my %error = (code => $self->code, message => $self->message, status => $self->status);
    $error{details} = $self->details if @{$self->details};
    return {error => \%error};
}

# The body in the form that [[body=...]] names.
my %FORM = (
    json  => sub ($self) { pretty_json($self->tree) },
    array => sub ($self) { pretty_json([$self->tree]) },
    event => sub ($self) { 'data: ' . compact_json($self->tree) . "\r\n\r\n" },
    text  => sub ($self) { $self->message . "\n" },
    html  => sub ($self) { html_page($self->code, $self->message) },
    empty => sub ($self) { '' },
);
sub forms ($class)       { sort keys %FORM }
sub body  ($self, $form) { $FORM{$form}->($self) }

# The page that Google's front end shows where no API answers.
sub html_page ($code, $text) {
    return
        sprintf "<!DOCTYPE html>\n<html lang=en>\n<title>Error %d</title>\n<p><b>%d.</b> <ins>That's an"
        . " error.</ins>\n<p>%s\n</html>\n", $code, $code, xml_escape $text;
}

1;
