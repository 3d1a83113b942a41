# SPDX-License-Identifier: Apache-2.0
# Stripe's errors: every one that the stand-in can answer with.
package Standin::Stripe::Error;
use Mojo::Base -base, -signatures;

# status: of HTTP; error: the members of the body's error; headers: beside the usual ones.
has [qw(status error)];
has headers => sub { {} };

use constant {
    DOCS   => 'https://stripe.com/docs',
    HELP   => 'https://support.stripe.com/',
    LOGS   => 'https://dashboard.stripe.com/test/logs',
    KEYS   => 'https://dashboard.stripe.com/apikeys',
    IN_USE => 'There is currently another in-progress request using this Idempotent Key (that probably means you'
        . ' submitted twice, and the other request is still going through): %s. Please try again later.',
};

# What an HTTP status means when nothing else was said: type, code, message.
my %BY_STATUS = (
    400 => ['invalid_request_error', undef, 'The request is not valid.'],
    401 => ['invalid_request_error', undef, 'Invalid API Key provided.'],
    402 => ['card_error', 'card_declined', 'Your card was declined.'],
    403 => ['invalid_request_error', undef, 'The provided key does not have the permissions that this endpoint needs.'],
    404 => ['invalid_request_error', 'resource_missing', 'No such object.'],
    409 => ['idempotency_error', 'idempotency_key_in_use', sprintf IN_USE, 'another'],
    424 => ['api_error', undef, 'The request could not be completed for a failure in a dependency external to Stripe.'],
    429 => [
        'invalid_request_error', 'rate_limit',
        'Request rate limit exceeded. Learn more about rate limits here ' . DOCS . '/rate-limits.'
    ],
);
my @UNKNOWN = ('api_error', undef, 'An unknown error occurred. If the error persists, please contact us at ' . HELP);

sub by_status ($class, $status, $more = {}) {
    my ($type, $code, $message) = @{$BY_STATUS{$status} // \@UNKNOWN};
    my %error = (type => $type, message => $message, $code ? (code => $code) : (), %$more);
    return $class->new(status => 0 + $status, error => \%error);
}

# 400, as most are: the parameter that is meant, what is wrong with it, and the code where there is one.
sub invalid ($class, $param, $message, $code = undef) {
    my %error = (message => $message, defined $param ? (param => $param) : (), $code ? (code => $code) : ());
    return $class->by_status(400, \%error);
}

sub unknown ($class, @params) {
    my $s = @params == 1 ? '' : 's';
    return $class->invalid($params[0], "Received unknown parameter$s: " . join(', ', @params), 'parameter_unknown');
}

sub missing ($class, $param) { $class->invalid($param, "Missing required param: $param.", 'parameter_missing') }

sub empty ($class, $param) {
    return $class->invalid($param,
        "You passed an empty string for '$param'. We assume empty values are an attempt to unset a parameter; however"
            . " '$param' cannot be unset. You should remove '$param' from your request or supply a non-empty value.",
        'parameter_invalid_empty');
}

# 404 where the id stands in the path, for which the param is `id`, but 400 where it is a parameter.
sub no_such ($class, $kind, $id, $param = 'id', $hint = '') {
    my %error = (message => "No such $kind: '$id'$hint", param => $param, code => 'resource_missing');
    return $class->by_status($param eq 'id' ? 404 : 400, \%error);
}

sub no_key ($class) {
    return $class->_unauthorized('You did not provide an API key. You need to provide your API key in the Authorization'
            . " header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See "
            . DOCS
            . '/api#authentication for details, or we can help at '
            . HELP
            . '.');
}

sub wrong_key   ($class, $key) { $class->_unauthorized("Invalid API Key provided: $key") }
sub expired_key ($class, $key) { $class->_unauthorized("Expired API Key provided: $key", code => 'api_key_expired') }

sub publishable_key ($class) {
    my $message = 'This API call cannot be made with a publishable API key. Please use a secret API key. You can find a'
        . ' list of your API keys at ' . KEYS . '.';
    return $class->by_status(403, {message => $message, code => 'secret_key_required'});
}

sub _unauthorized ($class, $message, %more) {
    my $self = $class->by_status(401, {message => $message, %more});
    return $self->headers({'WWW-Authenticate' => 'Bearer realm="Stripe"'});
}

sub wrong_version ($class, $version) {
    return $class->invalid(undef, "Invalid Stripe API version: $version. It must look like 2026-08-26.dahlia.")
        if defined $version;
    return $class->invalid(undef, 'stand-in: a request must say for which Stripe-Version it was written.');
}

sub not_a_form ($class) {
    return $class->invalid(undef,
        'Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you have any'
            . ' questions, we can help at ' . HELP . '.');
}

sub unrecognized_url ($class, $method, $path) {
    my $lists = $path =~ m{/\z}
        ? ' If you are trying to list objects, remove the trailing slash. If you are trying to retrieve an object, make'
        . ' sure you passed a valid (non-empty) identifier in your code.'
        : '';
    my $help = 'Please see ' . DOCS . ' or we can help at ' . HELP . '.';
    return $class->by_status(404, {message => "Unrecognized request URL ($method: $path).$lists $help", code => undef});
}

sub other_params ($class, $key) {
    return $class->_other_request($key, 'with the same parameters they were first used with');
}

sub other_endpoint ($class, $key, $now, $then) {
    return $class->_other_request($key, "for the same endpoint they were first used for ('$now' vs '$then')");
}

sub key_in_use ($class, $key) {
    my $self = $class->by_status(409, {message => sprintf IN_USE, $key});
    return $self->headers({'Stripe-Should-Retry' => 'true'});
}

sub _other_request ($class, $key, $how) {
    my $message = "Keys for idempotent requests can only be used $how. Try using a key other than '$key' if you meant"
        . ' to execute a different request.';
    return $class->by_status(400, {type => 'idempotency_error', message => $message});
}

# Something that the control API was told to do and cannot.
sub conflict ($class, $message) {
    return $class->by_status(409, {type => 'invalid_request_error', code => undef, message => "stand-in: $message"});
}

sub throw ($self) { die $self }

# The body, for the request of that id.
sub tree ($self, $request_id) {
    my %error = %{$self->error};
    delete $error{code} unless defined $error{code};
    $error{doc_url}         = DOCS . '/error-codes/' . $error{code} =~ tr/_/-/r if $error{code};
    $error{request_log_url} = LOGS . "/$request_id?t=" . time if $request_id;
    return {error => \%error};
}

1;
