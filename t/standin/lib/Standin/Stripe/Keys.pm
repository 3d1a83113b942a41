# SPDX-License-Identifier: Apache-2.0
# Idempotency keys: what the first request with a key was, and what it was answered.
package Standin::Stripe::Keys;
use Mojo::Base -base, -signatures;

use Standin::Stripe::Error;

use constant MAX_LENGTH => 255;

has known => sub { {} };

# What an earlier request with the key was answered, {status, body, request_id}; undef if there was none. Throws what
# Stripe says when that was another request (now: path, form), or is still being answered.
sub first ($self, $livemode, $key, %now) {
    my $error = 'Standin::Stripe::Error';
    $error->invalid(undef, 'Idempotency keys can have up to ' . MAX_LENGTH . ' characters')->throw
        if length $key > MAX_LENGTH;
    my $first = $self->known->{"$livemode $key"} or return undef;
    $error->key_in_use($key)->throw if $first->{busy};
    $error->other_endpoint($key, $now{path}, $first->{path})->throw if $now{path} ne $first->{path};
    $error->other_params($key)->throw if $now{form} ne $first->{form};
    return $first;
}

# Keeps an answer. Errors are kept too, but not those that say that the request was not understood.
sub keep ($self, $livemode, $key, %answer) { $self->known->{"$livemode $key"} = \%answer }

1;
