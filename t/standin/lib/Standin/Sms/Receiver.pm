# SPDX-License-Identifier: Apache-2.0
# A receiver of Standard Webhooks (https://www.standardwebhooks.com): whether one is signed by whom it should be.
package Standin::Sms::Receiver;
use Mojo::Base -base, -signatures;

use Digest::SHA  qw(hmac_sha256);
use List::Util   qw(any);
use MIME::Base64 qw(decode_base64 encode_base64);

use Standin::Sms::Account qw(WEBHOOK_SECRET);

use constant {
    TOLERANCE => 300,     # seconds that a signature may be old, or ahead
    MOST      => 1000,    # ids that are remembered
};

has secrets   => sub { [WEBHOOK_SECRET] };
has tolerance => TOLERANCE;

# Ids of those that came, oldest first.
has ids => sub { [] };

# Why a webhook is none, for its headers and the bytes of its body; nothing if it is good.
sub complaint ($self, $headers, $body) {
    my ($id, $time, $signatures) = map { $headers->header("webhook-$_") } qw(id timestamp signature);
    return 'a header is missing' if grep { !length($_ // '') } $id, $time, $signatures;
    return 'the time is none'    if $time !~ /\A[1-9]\d{0,11}\z/a;
    return 'it is too old'       if time - $time > $self->tolerance;
    return 'it is too new'       if $time - time > $self->tolerance;
    my @given = map { /\Av1,(.+)\z/ } split / /, $signatures;
    my @right = map { encode_base64(hmac_sha256("$id.$time.$body", _key($_)), '') } @{$self->secrets};
    return 'no signature fits' unless any { my $given = $_; any { $given eq $_ } @right } @given;
    return undef;
}

# Whether one with this id was here before. It is remembered from now on.
sub is_known ($self, $id) {
    return 1 if any { $_ eq $id } @{$self->ids};
    push @{$self->ids}, $id;
    shift @{$self->ids} if @{$self->ids} > MOST;
    return 0;
}

sub _key ($secret) { decode_base64($secret =~ s/\Awhsec_//r) }

1;
