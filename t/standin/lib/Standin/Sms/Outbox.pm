# SPDX-License-Identifier: Apache-2.0
# What the phones have got: the last messages of all gateways.
package Standin::Sms::Outbox;
use Mojo::Base -base, -signatures;

use Time::HiRes qw(time);

use constant MOST => 1000;

# {id, time, via (messages, verify, hook), to, from, text, code (of Verify), locale (of Verify)}, oldest first.
has messages => sub { [] };

sub add ($self, %message) {
    push @{$self->messages}, {time => time, %message};
    shift @{$self->messages} if @{$self->messages} > MOST;
}

# Those that this number has got, or all of them.
sub of ($self, $to = undef) { [grep { !defined $to || ($_->{to} // '') eq $to } @{$self->messages}] }

1;
