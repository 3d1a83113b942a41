# SPDX-License-Identifier: Apache-2.0
# JSON Web Tokens for tests: taken apart, and made right or wrong in every way.
package Gemclone::Token;
use Mojo::Base -strict, -signatures;

use Digest::SHA ();
use Mojo::JSON qw(decode_json encode_json);
use Mojo::Util qw(b64_decode b64_encode);

my %HMAC = (
    HS256 => \&Digest::SHA::hmac_sha256,
    HS384 => \&Digest::SHA::hmac_sha384,
    HS512 => \&Digest::SHA::hmac_sha512
);

# (header, claims, signature) of a token; the first two as hashes.
sub parts ($class, $token) {
    my ($header, $claims, $signature) = map { decode($_) } split /\./, $token, -1;
    return (decode_json($header), decode_json($claims), $signature);
}

# The token with this header and these claims. $key is of an HMAC, and $sign is by what, unless the header's alg says
# so already; or it is a Gemclone::TokenKey, which signs by its own algorithm.
sub make ($class, $header, $claims, $key, $sign = $header->{alg}) {
    my $text = join '.', map { encode(encode_json($_)) } $header, $claims;
    return "$text." . encode($key->sign($text)) if ref $key;
    my $hmac = $HMAC{$sign // ''} or return "$text.";
    return "$text." . encode($hmac->($text, $key));
}

sub encode ($bytes) { return b64_encode($bytes, '') =~ tr{+/=}{-_}dr }
sub decode ($text)  { return b64_decode($text =~ tr{-_}{+/}r) }

1;
