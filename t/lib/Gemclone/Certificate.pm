# SPDX-License-Identifier: Apache-2.0
# Certificates for servers of tests: for localhost and 127.0.0.1, signed by themselves.
package Gemclone::Certificate;
use strict;
use warnings;
use feature qw(signatures);
no warnings qw(experimental::signatures);

use Carp qw(croak);

# Makes cert.pem and key.pem in a directory; returns their paths.
sub make ($class, $dir) {
    my @command = (
        qw(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2),
        -subj   => '/CN=localhost',
        -addext => 'subjectAltName=DNS:localhost,IP:127.0.0.1',
        -keyout => "$dir/key.pem",
        -out    => "$dir/cert.pem"
    );
    open my $openssl, '-|', "@command 2>&1" or croak "openssl: $!";
    my $said = join '', <$openssl>;
    close $openssl or croak "openssl: $said";
    return ("$dir/cert.pem", "$dir/key.pem");
}

1;
