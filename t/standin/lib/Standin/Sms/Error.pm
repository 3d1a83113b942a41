# SPDX-License-Identifier: Apache-2.0
# Twilio's errors: every one that the stand-in can answer with.
package Standin::Sms::Error;
use Mojo::Base -base, -signatures;

use Mojo::Message::Response;

# status: of HTTP; code: Twilio's own; headers: beside the usual ones.
has [qw(status code message)];
has headers => sub { {} };

use constant DOCS => 'https://www.twilio.com/docs/errors';

# By code: the status, and what it says; %s is what it is about.
my %ERROR = (
    20001 => [400, 'Missing required parameter %s in the post body'],
    20003 => [401, 'Authenticate'],
    20404 => [404, 'The requested resource %s was not found'],
    20429 => [429, 'Too Many Requests'],
    20500 => [500, 'An internal server error has occurred'],
    20503 => [503, 'Service is unavailable. Please try again'],
    21211 => [400, 'The \'To\' number %s is not a valid phone number.'],
    21212 => [400, 'The \'From\' number %s is not a valid phone number, shortcode, or alphanumeric sender ID.'],
    21408 => [
        400, 'Permission to send an SMS has not been enabled for the region indicated by the \'To\' number: %s.'
    ],
    21602 => [400, 'Message body is required.'],
    21603 => [400, 'A \'From\' phone number is required.'],
    21604 => [400, 'A \'To\' phone number is required.'],
    21606 => [
        400,
        'The \'From\' phone number %s is not a valid, SMS-capable inbound phone number or short code for your account.'
    ],
    21610 => [400, 'Attempt to send to unsubscribed recipient'],
    21611 => [429, 'This \'From\' number has exceeded the maximum number of queued messages'],
    21612 => [400, 'The \'To\' phone number %s is not currently reachable via SMS.'],
    21614 => [400, 'To number: %s, is not a mobile number'],
    21617 => [400, 'The concatenated message body exceeds the 1600 character limit.'],
    21701 => [400, 'The Messaging Service %s does not exist'],
    60200 => [400, 'Invalid parameter: %s'],
    60202 => [429, 'Max check attempts reached'],
    60203 => [429, 'Max send attempts reached'],
    60205 => [403, 'SMS is not supported by landline phone number'],
    60212 => [429, 'Too many concurrent requests for phone number'],
    60410 => [403, 'Verification delivery attempt blocked'],
    60605 => [403, 'Verification delivery attempt blocked'],
);

# The code of a status that was asked for by itself.
my %OF_STATUS = (400 => 20001, 401 => 20003);

# The status that an error with this code has; undef if Twilio's other ones are meant.
sub status_of ($class, $code) { ($ERROR{$code} // [])->[0] }

# The error with this code, about that value.
sub by_code ($class, $code, $value = '') {
    my ($status, $message) = @{$ERROR{$code}};
    return $class->new(status => $status, code => 0 + $code, message => $message =~ s/%s/$value/r);
}

# An error of whatever status; the code and the message can be given.
sub by_status ($class, $status, $code = undef, $message = undef) {
    $code    //= $OF_STATUS{$status} // 20_000 + $status;
    $message //= $ERROR{$code} ? $class->by_code($code, '(something)')->message : _reason($status);
    return $class->new(status => 0 + $status, code => 0 + $code, message => $message);
}

sub _reason ($status) { Mojo::Message::Response->new->default_message($status) || 'Error' }

# Something that the control API was told and does not understand.
sub refused ($class, $why) { $class->by_status(400, 20_001, "stand-in: $why") }

sub throw ($self) { die $self }

sub tree ($self) {
    my $code = $self->code;
    return {code => $code, message => $self->message, more_info => DOCS . "/$code", status => $self->status};
}

1;
