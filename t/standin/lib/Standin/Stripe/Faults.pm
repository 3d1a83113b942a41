# SPDX-License-Identifier: Apache-2.0
# What is to go wrong with requests to the API: a queue of faults, each good for a number of requests.
package Standin::Stripe::Faults;
use Mojo::Base -base, -signatures;

use List::Util qw(first);

use Standin::Stripe::Error;
use Standin::Stripe::JSON   qw(stripe_json);
use Standin::Stripe::Params qw(one_of read_params BOOLEAN INTEGER TEXT);

use constant {
    GARBAGE       => qq({"id": oops \xFF\xFE),
    ENDLESS_BYTES => 1024,
    JSON_TYPE     => 'application/json',
};

# How an answer can be spoiled, as steps of Standin::Player. Those of the second kind need the answer that there would
# have been, so that its request takes effect.
my %INSTEAD = (
    close   => sub { ['close'] },
    reset   => sub { ['reset'] },
    hang    => sub { ['hang'] },
    garbage => sub { ([head => 200, JSON_TYPE], [write => GARBAGE], ['end']) },
    endless => sub { ([head => 200, JSON_TYPE], [repeat => 1, ' ' x ENDLESS_BYTES]) },
);
my %SPOILT = (
    late => sub ($body) { ([write => $body],        ['end']) },
    cut  => sub ($body) { ([write => _half($body)], ['close']) },
    torn => sub ($body) { ([write => _half($body)], ['end']) },
);

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
    how          => one_of(sort keys %INSTEAD, keys %SPOILT),
    after        => BOOLEAN,
    sticky       => BOOLEAN,
);

has queue => sub { [] };

# Adds faults; throws a 400 that tells what is wrong with one.
sub add ($self, @trees) {
    my @faults = map { read_params($_, \%FAULT) } @trees;
    for my $fault (@faults) {
        my $says = $fault->{status} // 500;
        Standin::Stripe::Error->invalid('status', 'stand-in: a status of 400 to 599 is an error.')->throw
            if $says !~ /\A[45]\d\d\z/;
        Standin::Stripe::Error->invalid('how', 'stand-in: either a status or how.')->throw
            if $fault->{status} && $fault->{how};
        $fault->{times} //= 1;
        $fault->{how}   //= 'late' unless $fault->{status};
    }
    push @{$self->queue}, @faults;
}

# The first fault that is meant for such a request, which it is then one time less; or none.
sub take ($self, $method, $path) {
    my $fault = first {
        ($_->{method} // $method) eq $method && index($path, $_->{path} // '') == 0
    } @{$self->queue};
    return undef unless $fault;
    $self->queue([grep { $_ != $fault } @{$self->queue}]) unless --$fault->{times};
    return {%$fault};
}

# What the record of a request calls it.
sub name ($class, $fault) { $fault->{how} // "status $fault->{status}" }

# Whether the request takes effect before it goes wrong.
sub comes_after ($class, $fault) { $fault->{after} || $SPOILT{$fault->{how} // ''} }

# The error that a fault with a status answers with.
sub error ($class, $fault) {
    my $error = Standin::Stripe::Error->by_status($fault->{status}, $fault->{error} // {});
    my %headers;
    $headers{'Stripe-Should-Retry'} = $fault->{should_retry} ? 'true' : 'false' if defined $fault->{should_retry};
    $headers{'Retry-After'} = $fault->{retry_after} if defined $fault->{retry_after};
    return $error->headers({%{$error->headers}, %headers});
}

# The script of the answer: with a status that error, or a body that somebody in front of Stripe would send; else what
# was to be answered.
sub script ($class, $fault, $status, $body) {
    my $delay = [pause => $fault->{delay} // 0];
    my $how   = $fault->{how} // 'late';
    return [$delay, $INSTEAD{$how}->()] if $INSTEAD{$how};
    return [$delay, [head => $status, 'text/html'], [write => $fault->{body}], ['end']] if defined $fault->{body};
    return [$delay, [head => $status, JSON_TYPE], $SPOILT{$how}->($body)];
}

sub _half ($body) { substr $body, 0, length($body) / 2 }

1;
