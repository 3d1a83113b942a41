# SPDX-License-Identifier: Apache-2.0
# What is to go wrong with requests to an API: a queue of faults, each good for a number of requests.
#
# A fault is a hash: times (0: all), path and method say for which requests it is meant; status, how, body, delay and
# after what happens to them. Which others it can have, and what an error looks like, is a subclass's.
package Standin::Faults;
use Mojo::Base -base, -signatures;

use List::Util qw(first);

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

has queue => sub { [] };

# What `how` can be.
sub ways ($class) { sort keys %INSTEAD, keys %SPOILT }

# Adds faults that have been read.
sub append ($self, @faults) {
    for my $fault (@faults) {
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

# The script of the answer: with a status that error, or a body that somebody in front of the API would send; else what
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
