# SPDX-License-Identifier: Apache-2.0
# The signature of a webhook, as Stripe makes it.
package Standin::Stripe::Signature;
use Mojo::Base -strict, -signatures;

use Digest::SHA qw(hmac_sha256_hex);
use Exporter    qw(import);

our @EXPORT_OK = qw(signature_header);

# The value of Stripe-Signature for these bytes: a v1 for each of the secrets, the whole `whsec_...` being the key.
sub signature_header ($payload, $secrets, $time = time) {
    return join ',', "t=$time", map { 'v1=' . hmac_sha256_hex("$time.$payload", $_) } @$secrets;
}

1;
