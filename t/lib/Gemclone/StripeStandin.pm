# SPDX-License-Identifier: Apache-2.0
# The stand-in for Stripe: started, told and stopped as any Gemclone::Standin, with customers, time and banks at the
# call of a test.
#
#   my $stripe = Gemclone::StripeStandin->start;
#   $stripe->control({webhook => {url => "$url/webhook/stripe", secrets => ['whsec_1']}});
#   my $paid = $stripe->act($session_id => 'complete');           # it is paid, and the webhooks of it are sent
#   $stripe->act($paid->{subscription} => 'fail');                # a month later, without money
#   $stripe->go_wrong({status => 500, path => '/v1/checkout'});   # the next request of that kind
#
# With hold => 1 in the webhook's settings nothing is sent by itself. The events of an action are
# {id, type, payload (the bytes), object (the data's)}, to be sent by `deliver`, or by the test with a `signature`.
package Gemclone::StripeStandin;
use Mojo::Base 'Gemclone::Standin', -signatures;

use Carp           qw(croak);
use File::Basename qw(dirname);
use Mojo::JSON     qw(decode_json);
use Mojo::Parameters;

use lib dirname(__FILE__) . '/../../standin/lib';
use Standin::Stripe::Signature qw(signature_header);

# Good for calls of the API by `api` and for whoever else needs a key that the stand-in takes.
use constant {KEY => 'sk_test_standin_key', VERSION => '2026-08-26.dahlia'};

sub program  ($class) { 'stripe' }
sub api_path ($class) { '' }
sub patience ($class) { 60 }

# An action of the manual's on a session, subscription, customer, charge or dispute. Returns {events => [...],
# deliveries => [...] (if they have been sent), and the ids of all that it was about}.
sub act ($self, $id, $action, %options) {
    return _read($self->_ask(POST => "/control/objects/$id/$action", \%options));
}

# Any event: object => ID or data => {...}, and thin => 1 for one of the new kind. Returned as by `act`.
sub make_event ($self, $type, %of) { _read($self->_ask(POST => '/control/events', {type => $type, %of})) }

# Sends events, again or for the first time, in whatever way the manual knows. Returns deliveries.
sub deliver ($self, $events, %how) {
    my @ids = map { ref $_ ? $_->{id} : $_ } @$events;
    return @{$self->_ask(POST => '/control/deliver', {events => \@ids, %how})->{deliveries}};
}

# All that have been sent; without those that are still on their way, for which it waits so many seconds.
sub deliveries ($self, $seconds = 10) {
    my $until = time + $seconds;
    while (1) {
        my $all = $self->_ask(GET => '/control/deliveries');
        return @{$all->{deliveries}} unless $all->{pending};
        croak "$all->{pending} webhooks are still on their way after $seconds s" if time > $until;
        select undef, undef, undef, 0.02;
    }
}

# Faults of the next requests, one after the other.
sub go_wrong ($self, @faults) { $self->_ask(POST => '/control/faults', \@faults) }

sub faults     ($self) { @{$self->_ask(GET => '/control/faults')} }
sub end_faults ($self) { $self->_ask(DELETE => '/control/faults') }

# A customer who has subscribed, as if by a product: the parameters are those of a Checkout session, beside the usual
# ones; payment, trial_days and the like those of its completion. Returned as by `act`, with the session's id.
sub subscribe ($self, %given) {
    my @completion = grep { exists $given{$_} } qw(payment subscription trial_days email name);
    my %completion = map { ($_ => delete $given{$_}) } @completion;
    my $session = $self->api(
        POST => '/v1/checkout/sessions',
        {mode => 'subscription', 'line_items[0][price]' => 'price_pro', success_url => 'https://example.com/', %given}
    );
    return {%{$self->act($session->{id} => 'complete', %completion)}, session => $session->{id}};
}

# A call of the API, the parameters as Stripe writes them ('line_items[0][price]'); returns its JSON, dies of an error.
sub api ($self, $method, $path, $params = {}, %headers) {
    my $form = Mojo::Parameters->new(%$params)->to_string;
    my $url  = $self->url . $path . ($method eq 'POST' || $form eq '' ? '' : "?$form");
    my %options = (headers => {Authorization => 'Bearer ' . KEY, 'Stripe-Version' => VERSION, %headers});
    if ($method eq 'POST') {
        $options{content} = $form;
        $options{headers}{'Content-Type'} = 'application/x-www-form-urlencoded';
    }
    my $answer = $self->_http->request($method, $url, \%options);
    croak "$method $path: $answer->{status} $answer->{content}" unless $answer->{success};
    return decode_json($answer->{content});
}

# Stripe-Signature for a payload of bytes, by one secret or several.
sub signature ($class, $payload, $secrets, $time = time) {
    return signature_header($payload, ref $secrets ? $secrets : [$secrets], $time);
}

sub _read ($answer) {
    for my $event (@{$answer->{events}}) {
        utf8::encode($event->{payload});
        $event->{object} = decode_json($event->{payload})->{data}{object};
    }
    return $answer;
}

1;
