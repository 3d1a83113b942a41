# SPDX-License-Identifier: Apache-2.0
# What is to go wrong with requests to the gateways, and the errors that they answer with.
package Standin::Sms::Faults;
use Mojo::Base 'Standin::Faults', -signatures;

use Standin::Sms::Error;
use Standin::Sms::Given qw(read_given BOOLEAN INTEGER TEXT);

use constant MOST => 1000;    # that wait for their requests

my $WAYS  = join '|', __PACKAGE__->ways;
my %FAULT = (
    times       => INTEGER,
    path        => TEXT,
    method      => qr/\A(?:GET|POST)\z/,
    status      => qr/\A[45]\d\d\z/a,
    code        => qr/\A[1-9]\d{4}\z/a,
    message     => TEXT,
    retry_after => INTEGER,
    body        => TEXT,
    delay       => INTEGER,
    how         => qr/\A(?:$WAYS)\z/,
    after       => BOOLEAN,
    failed      => qr/\A[1-9]\d{4}\z/a,
);

# Adds faults; throws a 400 that tells what is wrong with one.
sub add ($self, @trees) {
    my @faults = map { read_given($_, \%FAULT) } @trees;
    for my $fault (@faults) {
        $fault->{status} //= Standin::Sms::Error->status_of($fault->{code})
            // _refuse('a code that the stand-in does not know needs a status')
            if $fault->{code};
        _refuse('either an error, or how, or failed') if 1 < grep { $fault->{$_} } qw(status how failed);
    }
    _refuse('too many faults') if @faults + @{$self->queue} > MOST;
    $self->append(@faults);
}

# What the record of a request calls it.
sub name ($class, $fault) { $fault->{failed} ? "failed $fault->{failed}" : $class->SUPER::name($fault) }

# The error that a fault with a status answers with.
sub error ($class, $fault) {
    my $error = Standin::Sms::Error->by_status(@$fault{qw(status code message)});
    return $error unless defined $fault->{retry_after};
    return $error->headers({'Retry-After' => $fault->{retry_after}});
}

sub _refuse ($why) { Standin::Sms::Error->refused($why)->throw }

1;
