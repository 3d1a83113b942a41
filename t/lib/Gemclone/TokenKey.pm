# SPDX-License-Identifier: Apache-2.0
# Asymmetric keys of tokens for tests. All that is done with them, openssl does: nothing of the server's own.
#
#   my $key = Gemclone::TokenKey->make("$dir/rsa.key", 'RS256');    # a private key in PEM, in that file
#   Gemclone::Token->make({alg => 'RS256', kid => 'rsa'}, $claims, $key);
#   Gemclone::TokenKey->of_jwk($jwk)->verifies($token);
package Gemclone::TokenKey;
use Mojo::Base -base, -signatures;

use Gemclone::Paths qw(program temp_dir write_file);
use Gemclone::Token;
use Mojo::File qw(path);

# algorithm: RS256 or ES256; file: the private key; public_pem: the public one.
has [qw(algorithm file)];
has public_pem => sub ($self) { _openssl('pkey', '-in', $self->file, '-pubout') };

my %MAKE = (RS256 => ['RSA', 'rsa_keygen_bits:2048'], ES256 => ['EC', 'ec_paramgen_curve:P-256']);

# $option: another size or curve, as openssl genpkey has it.
sub make ($class, $file, $algorithm, $option = undef) {
    my ($kind, $usual) = @{$MAKE{$algorithm}};
    my $old = umask 077;
    _openssl('genpkey', '-quiet', '-algorithm', $kind, '-pkeyopt', $option // $usual, '-out', $file);
    umask $old;
    return $class->new(file => $file, algorithm => $algorithm);
}

# Of a JSON Web Key, as RFC 7518 and RFC 5280 have it.
sub of_jwk ($class, $jwk) {
    my %is = map { $_ => Gemclone::Token::decode($jwk->{$_} // '') } qw(n e x y);
    my $der = $jwk->{kty} eq 'RSA'
        ? _sequence(pack('H*', '300d06092a864886f70d0101010500'), _der(3, "\0" . _sequence(_integer($is{n}), _integer($is{e}))))
        : pack('H*', '3059301306072a8648ce3d020106082a8648ce3d03010703420004') . $is{x} . $is{y};
    my $dir = temp_dir;
    my $file = write_file("$dir/der", $der);
    return $class->new(algorithm => $jwk->{alg}, public_pem => _openssl('pkey', '-pubin', '-inform', 'DER', '-in', $file));
}

# A signature as tokens have it.
sub sign ($self, $text, $digest = 'sha256') {
    my $dir = temp_dir;
    my $signature = _openssl('dgst', "-$digest", '-sign', $self->file, write_file("$dir/text", $text));
    return $self->algorithm eq 'ES256' ? _raw($signature) : $signature;
}

# Whether a token is signed by this key.
sub verifies ($self, $token) {
    my ($text, $signature) = $token =~ /\A(.*)\.([^.]*)\z/s;
    my $dir = temp_dir;
    my $bytes = Gemclone::Token::decode($signature);
    $bytes = _sequence(map { _integer($_) } unpack 'a32 a32', $bytes) if $self->algorithm eq 'ES256';
    my @files = (write_file("$dir/pem", $self->public_pem), write_file("$dir/signature", $bytes), write_file("$dir/text", $text));
    return (eval { _openssl('dgst', '-sha256', '-verify', $files[0], '-signature', $files[1], $files[2]) } // '') =~ /Verified OK/;
}

# --- ASN.1 ---------------------------------------------------------------------
sub _der ($tag, $content) {
    my $length = length $content;
    my $bytes = $length < 128 ? chr $length : $length < 256 ? "\x81" . chr $length : "\x82" . pack 'n', $length;
    return chr($tag) . $bytes . $content;
}

sub _sequence (@parts) { return _der(0x30, join '', @parts) }

sub _integer ($bytes) {
    $bytes =~ s/\A\0+(?=.)//s;
    return _der(2, (ord $bytes) & 0x80 ? "\0$bytes" : $bytes);
}

# The two numbers of ECDSA, of 32 bytes each.
sub _raw ($der) {
    my (undef, $r, $s) = unpack 'a3 C/a x C/a', $der;
    return join '', map { substr "\0" x 32 . $_, -32 } $r, $s;
}

sub _openssl (@arguments) {
    open my $out, '-|', '/bin/sh', '-c', 'exec "$0" "$@" 2>&1', program('openssl'), @arguments or die "openssl: $!\n";
    binmode $out;
    my $said = do { local $/; <$out> };
    close $out or die "openssl @arguments failed: $said\n";
    return $said;
}

1;
