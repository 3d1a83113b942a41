# SPDX-License-Identifier: Apache-2.0
# What is to go wrong with requests to Stripe's API, and the errors that it answers with.
package Standin::Stripe::Faults;
use Mojo::Base 'Standin::Faults', -signatures;

use Standin::Stripe::Error;
use Standin::Stripe::Params qw(one_of read_params BOOLEAN INTEGER TEXT);

my %FAULT = (
    times        => INTEGER,
    path         => TEXT,
    method       => one_of(qw(GET POST DELETE)),
    status       => INTEGER,
    error        => {map { ($_ => TEXT) } qw(type code message param decline_code)},
    body         => TEXT,
    should_retry => BOOLEAN,
    retry_after  => INTEGER,
    delay        => INTEGER,
    how          => one_of(__PACKAGE__->ways),
    after        => BOOLEAN,
    sticky       => BOOLEAN,
);

# Adds faults; throws a 400 that tells what is wrong with one.
sub add ($self, @trees) {
    my @faults = map { read_params($_, \%FAULT) } @trees;
    for my $fault (@faults) {
        my $says = $fault->{status} // 500;
        Standin::Stripe::Error->invalid('status', 'stand-in: a status of 400 to 599 is an error.')->throw
            if $says !~ /\A[45]\d\d\z/;
        Standin::Stripe::Error->invalid('how', 'stand-in: either a status or how.')->throw
            if $fault->{status} && $fault->{how};
    }
    $self->append(@faults);
}

# The error that a fault with a status answers with.
sub error ($class, $fault) {
    my $error = Standin::Stripe::Error->by_status($fault->{status}, $fault->{error} // {});
    my %headers;
    $headers{'Stripe-Should-Retry'} = $fault->{should_retry} ? 'true' : 'false' if defined $fault->{should_retry};
    $headers{'Retry-After'} = $fault->{retry_after} if defined $fault->{retry_after};
    return $error->headers({%{$error->headers}, %headers});
}

1;
